// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"

/* Freezing, signals and out-of-memory events.
 *
 * A hybrid host has two freezers.  Ours is cgroup2's wherever there is one: it also stops what sits in nested cgroups of
 * any v1 hierarchy, never sticks half way, and its processes can be killed.  The v1 freezer is read as well and thawed
 * with it, since engines and CRIU may have used that one. */

int cgroup_freeze(struct cgroup *cg, bool freeze, struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg), *v1 = cg_find(cg, "freezer");
	int r = 0;

	if (v2 && v2 == v1)
		v1 = NULL;
	if (!v2 && !v1)
		return err_set(e, ERR_UNSUPPORTED, 0, "this host has no cgroup freezer");
	if (v2)
		r = cg_v2.freeze(v2, freeze, e);
	if (r == 0 && v1 && (!v2 || (!freeze && cg_v1.frozen(v1))))
		r = cg_v1.freeze(v1, freeze, e);
	return r;
}

int cgroup_frozen(const struct cgroup *cg)
{
	struct cg_dir *v2 = cg_find_v2(cg), *v1 = cg_find(cg, "freezer");

	return (v2 && cg_v2.frozen(v2)) || (v1 && !v1->v2 && cg_v1.frozen(v1));
}

const char *cgroup_freezer(const struct cgroup *cg)
{
	struct cg_dir *v1 = cg_find(cg, "freezer"), *v2 = cg_find_v2(cg);

	/* CRIU thaws what stands still already: of two freezers that is the one which was used. */
	if (!v1 || v1->v2 || (v2 && cg_v2.frozen(v2)))
		return v2 ? v2->dir : NULL;
	return v1->dir;
}

/* ---- kill ---- */

static int thaw(int fd, void *arg)
{
	char state[32];

	(void)arg;
	if (cg_read_text(fd, "freezer.state", state, sizeof state) && strcmp(state, "THAWED") != 0)
		fs_write(fd, "freezer.state", "THAWED", &(struct err){ 0 });
	return 0;
}

/* A process in a frozen v1 cgroup, its own or a nested one, survives SIGKILL and would block the end of its pid
 * namespace for ever. */
void cgroup_let_die(const struct cgroup *cg)
{
	struct cg_dir *d = cg_find(cg, "freezer");

	if (d && !d->v2 && cg_dir_fd(d) >= 0)
		cg_tree_each(d->fd, thaw, NULL);
}

static int signal_all(struct cgroup *cg, int sig, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	pid_t *pids;
	size_t n;
	int r = cgroup_pids(cg, &pids, &n, &a, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (kill(pids[i], sig) < 0 && errno != ESRCH)
			return err_sys(e, "kill %d", (int)pids[i]);
	return r;
}

int cgroup_kill(struct cgroup *cg, int sig, struct err *e)
{
	struct cg_dir *v2 = cg_find_v2(cg);
	bool was_frozen, frozen;
	struct err err;
	int r;

	if (sig == SIGKILL && v2 && cg_dir_fd(v2) >= 0 && fs_write(v2->fd, "cgroup.kill", "1", &err) == 0) {
		cgroup_let_die(cg);
		return 0;
	}
	/* Frozen, nothing forks away between the listing and the signal, and no pid is reused. */
	was_frozen = cgroup_frozen(cg);
	frozen = was_frozen || cgroup_freeze(cg, true, &err) == 0;
	r = signal_all(cg, sig, e);
	if (frozen && (!was_frozen || sig == SIGKILL) && cgroup_freeze(cg, false, &err) < 0 && r == 0 && err.num != ENOENT) {
		*e = err;
		r = err_ret(e);
	}
	if (sig == SIGKILL)
		cgroup_let_die(cg);
	return r;
}

/* ---- out of memory ---- */

int64_t cgroup_oom_kills(const struct cgroup *cg)
{
	struct cg_dir *d = cg_find(cg, "memory");
	uint64_t n;

	if (!d || cg_dir_fd(d) < 0 || !cg_read_key(d->fd, d->v2 ? "memory.events" : "memory.oom_control", "oom_kill", &n))
		return -1;
	return (int64_t)n;
}

static int watch_v1(struct cg_dir *d, struct err *e)
{
	cleanup_fd int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cleanup_fd int control = openat(d->fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	char line[64];

	if (event < 0 || control < 0)
		return err_sys(e, "cgroup %s: memory.oom_control", d->dir);
	snprintf(line, sizeof line, "%d %d", event, control);
	if (fs_write(d->fd, "cgroup.event_control", line, e) < 0)
		return err_wrap(e, "cgroup %s", d->dir);
	return fd_take(&event);
}

static int watch_v2(struct cg_dir *d, struct err *e)
{
	cleanup_fd int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d/memory.events", d->fd);
	if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return err_sys(e, "cgroup %s: watch memory.events", d->dir);
	return fd_take(&fd);
}

int cgroup_oom_watch(const struct cgroup *cg, struct err *e)
{
	struct cg_dir *d = cg_find(cg, "memory");

	if (!d)
		return err_set(e, ERR_UNSUPPORTED, 0, "this host has no memory controller");
	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	return d->v2 ? watch_v2(d, e) : watch_v1(d, e);
}

/* ---- what the container sees ---- */

static int view_of(const struct cgroup *cg, const struct cg_dir *d, struct cg_view *v, struct arena *a)
{
	bool named = str_starts(d->controllers, "name=");
	const char *slash = strrchr(d->mount, '/');
	size_t n = 0;

	v->v2 = d->v2;
	v->host_dir = d->dir;
	v->name = cg->mode == CG_V2 ? "" : slash ? slash + 1 : d->mount;
	v->options = d->v2 ? "" : named ? arena_printf(a, "none,%s", d->controllers) : d->controllers;
	const char **links = arena_alloc_n(a, strlen(d->controllers) / 2 + 2, sizeof *links);
	if (!v->options || !links)
		return -1;
	v->links = links;
	if (d->v2 || named || !strchr(v->name, ','))
		return 0;
	for (const char *p = v->name; *p;) {
		size_t len = strcspn(p, ",");

		links[n] = arena_strndup(a, p, len);
		if (!links[n++])
			return -1;
		p += len + (p[len] == ',');
	}
	return 0;
}

int cgroup_views(const struct cgroup *cg, struct cg_view **ret, size_t *ret_n, struct arena *a, struct err *e)
{
	struct cg_view *v = arena_alloc_n(a, cg->n ? cg->n : 1, sizeof *v);

	if (!v)
		return err_oom(e);
	for (size_t i = 0; i < cg->n; i++)
		if (view_of(cg, &cg->dirs[i], &v[i], a) < 0)
			return err_oom(e);
	*ret = v;
	*ret_n = cg->n;
	return 0;
}
