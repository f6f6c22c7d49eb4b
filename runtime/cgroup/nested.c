// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"

/* Cgroups that the payload has made below its own (systemd, an engine in the container), cgroup2 alone: v1 hands nothing down.
 *
 * CRIU makes the directories of a checkpoint again, but their controllers only when everything is restored: too late for what opens
 * or watches their files.  And it stands in the container's cgroup itself, which then can hand down none. */

/* ---- what is there ---- */

struct walk {
	struct oci_map *to;
	size_t cap, prefix; /* length of the container's own directory */
	struct arena *arena;
};

/* Of a descriptor, 0 or -errno; what is removed meanwhile gets " (deleted)" behind it and cannot be read. */
static int path_of(int fd, const char **ret, struct arena *a)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path);
	if (n < 0 || n == (ssize_t)sizeof path)
		return n < 0 ? -errno : -ENAMETOOLONG;
	*ret = arena_strndup(a, path, (size_t)n);
	return *ret ? 0 : -ENOMEM;
}

static int grow(struct walk *w)
{
	size_t cap = w->cap * 2 + 16;
	struct oci_pair *v = arena_alloc_n(w->arena, cap, sizeof *v);

	if (!v)
		return -ENOMEM;
	if (w->to->n > 0)
		memcpy(v, w->to->v, w->to->n * sizeof *v);
	w->to->v = v;
	w->cap = cap;
	return 0;
}

static int note(int fd, void *arg)
{
	struct walk *w = arg;
	char list[256];
	const char *path;
	int r;

	if (!cg_read_text(fd, "cgroup.subtree_control", list, sizeof list) || !*list)
		return 0;
	r = path_of(fd, &path, w->arena);
	if (r < 0)
		return r;
	if (strlen(path) < w->prefix)
		return -EXDEV; /* moved, which cgroup2 does not do */
	if (w->to->n == w->cap && grow(w) < 0)
		return -ENOMEM;
	path += w->prefix;
	w->to->v[w->to->n++] = (struct oci_pair){ .key = *path == '/' ? path + 1 : ".", .value = arena_strdup(w->arena, list) };
	return w->to->v[w->to->n - 1].value ? 0 : -ENOMEM;
}

int cgroup_nested(const struct cgroup *cg, struct oci_map *ret, struct arena *a, struct err *e)
{
	struct cg_dir *d = cg_find_v2(cg);
	struct walk w = { .to = ret, .arena = a };
	const char *own;
	int r;

	*ret = (struct oci_map){ 0 };
	if (!d || cg_dir_fd(d) < 0)
		return 0;
	r = path_of(d->fd, &own, a);
	if (r == 0) {
		w.prefix = strlen(own);
		r = cg_tree_each(d->fd, note, &w);
	}
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "cgroup %s: its sub-cgroups", d->dir) : 0;
}

/* ---- and again ---- */

static bool has_pid(const char *list, pid_t pid)
{
	for (const char *p = list; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (atoi(p) == (int)pid)
			return true;
	return false;
}

/* Who restores steps out of the container's cgroup, to where we are ourselves.  Where process 1 stands in it, it hands down only what
 * goes beside processes (threaded controllers): then all stay, and the container does not leave its limits. */
static int vacate(struct cg_dir *d, pid_t init, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str pids = { 0 };
	struct cg_host host;
	const char *to = NULL;
	char *rest;

	if (fs_read(d->fd, "cgroup.procs", CG_FILE_MAX, &pids, e) < 0 || cg_host_probe(NULL, &host, &a, e) < 0)
		return err_ret(e);
	if (has_pid(str_cstr(&pids), init))
		return 0;
	for (size_t i = 0; i < host.n; i++)
		if (host.mounts[i].v2)
			to = arena_printf(&a, "%s%s/cgroup.procs", host.mounts[i].dir, host.mounts[i].own_path);
	if (!to)
		return err_set(e, ERR_KERNEL, 0, "there is no cgroup2 to move CRIU to");
	rest = pids.s;
	for (char *pid = rest ? strsep(&rest, "\n") : NULL; pid; pid = strsep(&rest, "\n"))
		if (*pid && fs_write(AT_FDCWD, to, pid, e) < 0 && e->num != ESRCH)
			return err_ret(e);
	return 0;
}

static int hand_down(const struct cg_dir *d, const struct oci_pair *p, struct err *e)
{
	cleanup_fd int fd = path_open_strict(d->fd, p->key, O_RDONLY | O_DIRECTORY, e);
	cleanup_str struct str words = { 0 };

	if (fd < 0)
		return e->num == ENOENT ? 0 : err_wrap(e, "cgroup %s", d->dir);
	for (const char *word = p->value; *word;) {
		size_t n = strcspn(word, " ");

		str_addf(&words, "%s+%.*s", words.len ? " " : "", (int)n, word);
		word += n + (word[n] == ' ');
	}
	if (str_failed(&words))
		return err_oom(e);
	return fs_write(fd, "cgroup.subtree_control", str_cstr(&words), e) < 0 ? err_wrap(e, "cgroup %s/%s", d->dir, p->key) : 0;
}

int cgroup_nest(struct cgroup *cg, const struct oci_map *nested, pid_t init, struct err *e)
{
	struct cg_dir *d = cg_find_v2(cg);

	if (nested->n == 0 || !d)
		return 0;
	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	if (vacate(d, init, e) < 0)
		return err_ret(e);
	for (size_t i = nested->n; i > 0; i--) /* the children came first */
		if (hand_down(d, &nested->v[i - 1], e) < 0)
			return err_ret(e);
	return 0;
}
