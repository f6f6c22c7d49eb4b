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
#include "runtime/cgroup/systemd.h"

bool cg_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && strncmp(p, word, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

struct cg_dir *cg_find(const struct cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg_list_has(cg->dirs[i].controllers, controller))
			return &cg->dirs[i];
	return NULL;
}

struct cg_dir *cg_find_v2(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dirs[i].v2)
			return &cg->dirs[i];
	return NULL;
}

int cg_dir_fd(struct cg_dir *d)
{
	if (d->fd < 0)
		d->fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return d->fd;
}

void cg_learn_mode(struct cgroup *cg)
{
	bool v1 = false, v2 = false;

	for (size_t i = 0; i < cg->n; i++)
		*(cg->dirs[i].v2 ? &v2 : &v1) = true;
	cg->mode = v1 ? (v2 ? CG_HYBRID : CG_V1) : (v2 ? CG_V2 : CG_NONE);
}

const char *cg_remedy(enum cg_mode mode)
{
	if (mode != CG_V2)
		return "cgroup v1 is not delegated to users: root has to make a cgroup and give it away, or leave "
		       "/linux/cgroupsPath and limits out";
	return "with systemd: --systemd-cgroup in a session (loginctl enable-linger), or start vzrun by systemd-run --user "
	       "--scope -p Delegate=yes; or leave /linux/cgroupsPath and limits out";
}

/* What the planner asks of a host: which controller is offered by which kind of hierarchy. */
struct cg_host cg_as_host(const struct cgroup *cg)
{
	struct cg_host host = { .mode = cg->mode, .n = cg->n };

	for (size_t i = 0; i < cg->n; i++)
		host.mounts[i] = (struct cg_mount){ .dir = cg->dirs[i].mount,
						    .controllers = cg->dirs[i].controllers,
						    .own_path = "/",
						    .v2 = cg->dirs[i].v2 };
	return host;
}

static const struct cg_driver *driver_of(enum cg_driver_kind kind, struct err *e)
{
	switch (kind) {
	case CG_DRIVER_FS:
		return &cg_driver_fs;
	case CG_DRIVER_DISABLED:
		return &cg_driver_disabled;
	case CG_DRIVER_SYSTEMD:
		return &cg_driver_systemd;
	}
	err_set(e, ERR_INTERNAL, 0, "cgroup driver %d", (int)kind);
	return NULL;
}

static struct cgroup *cgroup_new(const struct cg_driver *driver, size_t n, struct arena *a, struct err *e)
{
	struct cgroup *cg = arena_new(a, struct cgroup);

	if (cg)
		cg->dirs = arena_alloc_n(a, n ? n : 1, sizeof *cg->dirs);
	if (!cg || !cg->dirs) {
		err_oom(e);
		return NULL;
	}
	cg->driver = driver;
	cg->arena = a;
	return cg;
}

static bool may_write(const struct cg_mount *m, const char *path, struct arena *a)
{
	const char *dir = arena_printf(a, "%s%s", m->dir, path);

	return dir && faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) == 0;
}

/* Below which cgroup a relative path starts.  v1: our own cgroup of each controller.  v2: our own cgroup's parent,
 * because a cgroup with processes (ours) cannot hand controllers to children; but where only our own was delegated to
 * us, a container without controllers is better than none. */
static const char *base_of(const struct cg_mount *m, struct arena *a)
{
	const char *slash, *parent;

	if (!m->v2)
		return m->own_path;
	slash = strrchr(m->own_path, '/');
	parent = slash ? arena_strndup(a, m->own_path, (size_t)(slash - m->own_path)) : "/";
	return parent && !may_write(m, parent, a) && may_write(m, m->own_path, a) ? m->own_path : parent;
}

/* ".." never leaves the mount: the path is cleaned as an absolute one before it is put below it. */
static const char *dir_of(const struct cg_mount *m, const char *path, struct arena *a, struct err *e)
{
	char clean[PATH_MAX];
	const char *ret, *rel = arena_printf(a, "/%s", path);

	if (!rel || path_clean(rel, clean, sizeof clean) < 0) {
		err_set(e, ERR_CONFIG, ENAMETOOLONG, "/linux/cgroupsPath: too long");
		return NULL;
	}
	if (strcmp(clean, "/") == 0) {
		err_set(e, ERR_CONFIG, 0, "/linux/cgroupsPath: '%s' is the root of the hierarchy", path);
		return NULL;
	}
	if (path[0] != '/') {
		const char *base = base_of(m, a);

		rel = base ? arena_printf(a, "%s%s", base, clean) : NULL;
		if (!rel || path_clean(rel, clean, sizeof clean) < 0) {
			err_set(e, ERR_CONFIG, ENAMETOOLONG, "/linux/cgroupsPath: too long");
			return NULL;
		}
	}
	ret = arena_printf(a, "%s%s", m->dir, clean);
	if (!ret)
		err_oom(e);
	return ret;
}

/* Ours to remove when it was not there: that must be known (and saved) before it is made. */
void cg_add_dir(struct cgroup *cg, const struct cg_mount *m, const char *dir)
{
	cg->dirs[cg->n++] = (struct cg_dir){ .mount = m->dir,
					     .controllers = m->controllers,
					     .dir = dir,
					     .v2 = m->v2,
					     .made = faccessat(AT_FDCWD, dir, F_OK, 0) < 0,
					     .fd = -1,
					     .procs_fd = -1 };
}

int cgroup_choose(const struct cg_host *host, const struct cgroup_options *o, struct cgroup **ret, struct arena *a,
		  struct err *e)
{
	const struct cg_driver *driver = driver_of(o->driver, e);
	bool none = o->driver == CG_DRIVER_DISABLED;
	const char *path = o->path && *o->path ? o->path : o->id;
	struct cgroup *cg;

	if (!driver)
		return err_ret(e);
	cg = cgroup_new(driver, host->n, a, e);
	if (!cg)
		return err_ret(e);
	cg->mode = cg->host_mode = none ? CG_NONE : host->mode;
	cg->resources = o->resources;
	cg->rootless = o->rootless;
	cg->named = o->driver == CG_DRIVER_FS && o->path && *o->path;
	if (o->driver == CG_DRIVER_SYSTEMD) {
		*ret = cg; /* closed by the caller, connection and all, also after an error */
		return systemd_choose(cg, host, o, e);
	}
	for (size_t i = 0; !none && i < host->n; i++) {
		const struct cg_mount *m = &host->mounts[i];
		const char *dir = dir_of(m, path, a, e);

		if (!dir)
			return err_ret(e);
		cg_add_dir(cg, m, dir);
	}
	*ret = cg;
	return 0;
}

/* The mount is not saved: it is /sys/fs/cgroup, or one name below it wherever v1 hierarchies stand beside. */
static const char *mount_of(const char *dir, enum cg_mode mode, struct arena *a)
{
	static const char base[] = "/sys/fs/cgroup";
	const char *p = strstr(dir, base);
	const char *end;

	if (!p)
		return dir;
	end = p + sizeof base - 1;
	if (mode != CG_V2 && *end == '/')
		end += 1 + strcspn(end + 1, "/");
	return arena_strndup(a, dir, (size_t)(end - dir));
}

int cgroup_reopen(const struct cg_saved_list *saved, enum cg_driver_kind kind, struct cgroup **ret, struct arena *a,
		  struct err *e)
{
	const struct cg_driver *driver = driver_of(kind, e);
	struct cgroup *cg = driver ? cgroup_new(driver, saved->n, a, e) : NULL;

	if (!cg)
		return err_ret(e);
	for (size_t i = 0; i < saved->n; i++) {
		const struct cg_saved *s = &saved->v[i];

		if (!s->dir || !s->controllers || s->dir[0] != '/')
			return err_set(e, ERR_STATE, 0, "state: cgroups: entry %zu is damaged", i);
		cg->dirs[cg->n++] = (struct cg_dir){ .controllers = s->controllers,
						     .dir = s->dir,
						     .v2 = s->v2,
						     .made = s->made,
						     .fd = -1,
						     .procs_fd = -1 };
	}
	cg_learn_mode(cg);
	for (size_t i = 0; i < cg->n; i++) {
		cg->dirs[i].mount = mount_of(cg->dirs[i].dir, cg->mode, a);
		if (!cg->dirs[i].mount)
			return err_oom(e);
	}
	*ret = cg;
	return 0;
}

static enum cg_driver_kind kind_of(const struct oci_state *s)
{
	if (str_eq(s->cgroup_driver, "systemd"))
		return CG_DRIVER_SYSTEMD;
	return str_eq(s->cgroup_driver, "disabled") ? CG_DRIVER_DISABLED : CG_DRIVER_FS;
}

int cgroup_of_state(const struct oci_state *s, struct cgroup **ret, struct arena *a, struct err *e)
{
	int r = cgroup_reopen(&s->cgroups, kind_of(s), ret, a, e);

	if (r == 0 && kind_of(s) == CG_DRIVER_SYSTEMD)
		r = systemd_reopen(*ret, s->systemd_unit, s->systemd_user, e);
	return r;
}

const char *cgroup_unit(const struct cgroup *cg, bool *ret_user)
{
	*ret_user = cg->unit && cg->unit->user;
	return cg->unit ? cg->unit->name : NULL;
}

struct cg_saved_list cgroup_saved(const struct cgroup *cg)
{
	struct cg_saved_list list = { arena_alloc_n(cg->arena, cg->n ? cg->n : 1, sizeof *list.v), 0 };

	for (size_t i = 0; list.v && i < cg->n; i++)
		list.v[list.n++] = (struct cg_saved){ cg->dirs[i].controllers, cg->dirs[i].dir, cg->dirs[i].v2,
						      cg->dirs[i].made };
	return list;
}

void cgroup_close(struct cgroup **cg)
{
	if (!*cg)
		return;
	for (size_t i = 0; i < (*cg)->n; i++) {
		fd_close(&(*cg)->dirs[i].fd);
		fd_close(&(*cg)->dirs[i].procs_fd);
	}
	systemd_close(*cg);
	*cg = NULL;
}

int cgroup_make(struct cgroup *cg, struct err *e)
{
	return cg->driver->make(cg, e);
}

bool cgroup_is_none(const struct cgroup *cg)
{
	return cg->n == 0;
}

int cgroup_remove(struct cgroup *cg, struct err *e)
{
	return cg->driver->remove(cg, e);
}

int cgroup_enter(const struct cgroup *cg, bool cloned_into_v2, struct err *e)
{
	return cg->driver->attach(cg, cloned_into_v2, e);
}

int cgroup_clone_fd(const struct cgroup *cg)
{
	struct cg_dir *d = cg_find_v2(cg);

	return d ? cg_dir_fd(d) : -1;
}

int cgroup_open_procs(struct cgroup *cg, struct err *e)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg_open_procs(cg, &cg->dirs[i], e) < 0)
			return err_ret(e);
	return 0;
}

/* ---- where the payload went ---- */

static bool takes_no_process(struct cg_dir *d)
{
	char children[256];

	if (faccessat(AT_FDCWD, d->dir, F_OK, 0) < 0)
		return true;
	return d->v2 && cg_dir_fd(d) >= 0 &&
	       cg_read_text(d->fd, "cgroup.subtree_control", children, sizeof children) && *children;
}

/* The path of the line that names these controllers (none: v2) in a text like /proc/PID/cgroup. */
static const char *line_path(const char *text, const char *controllers, struct arena *a)
{
	size_t len = strlen(controllers);

	while (*text) {
		size_t n = strcspn(text, "\n"), head = strcspn(text, ":\n") + 1;

		if (head + len + 1 < n && strncmp(text + head, controllers, len) == 0 && text[head + len] == ':')
			return arena_strndup(a, text + head + len + 1, n - head - len - 1);
		text += n + (text[n] == '\n');
	}
	return NULL;
}

static int move_to(struct cgroup *cg, struct cg_dir *d, const char *path, struct err *e)
{
	/* "(deleted)", or outside of what we see: the directory stays as it was and the error comes on entering */
	if (!path || path[0] != '/' || strstr(path, "/.."))
		return 0;
	const char *dir = arena_printf(cg->arena, "%s%s", d->mount, path);
	if (!dir)
		return err_oom(e);
	if (faccessat(AT_FDCWD, dir, F_OK, 0) < 0)
		return 0;
	fd_close(&d->fd);
	fd_close(&d->procs_fd);
	d->dir = dir;
	d->made = false;
	return 0;
}

int cgroup_follow(struct cgroup *cg, pid_t init, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char proc[64];

	for (size_t i = 0; i < cg->n; i++) {
		struct cg_dir *d = &cg->dirs[i];

		if (!takes_no_process(d))
			continue;
		snprintf(proc, sizeof proc, "/proc/%d/cgroup", (int)init);
		if (text.len == 0 && fs_read(AT_FDCWD, proc, CG_FILE_MAX, &text, e) < 0)
			return err_ret(e);
		if (move_to(cg, d, line_path(text.s, d->v2 ? "" : d->controllers, cg->arena), e) < 0)
			return err_ret(e);
	}
	return 0;
}

/* A path below the container's own directory: no "..", in any spelling. */
static int check_sub(const char *sub, struct err *e)
{
	for (const char *p = sub; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0)
			return err_set(e, ERR_USAGE, 0, "--cgroup: '%s' is a sub-cgroup that escapes", sub);
		p += n + (p[n] == '/');
	}
	return 0;
}

/* "PATH" means every hierarchy, "CTRL[,CTRL]:PATH" the ones that hold these controllers. */
static int set_sub(struct cgroup *cg, const char *arg, struct arena *a, struct err *e)
{
	const char *colon = strchr(arg, ':');
	const char *sub = colon ? colon + 1 : arg;
	char *names = colon ? arena_strndup(a, arg, (size_t)(colon - arg)) : NULL;
	int r = check_sub(sub, e);

	if (r < 0)
		return r;
	if (colon && !names)
		return err_oom(e);
	do {
		const char *name = names ? strsep(&names, ",") : NULL;
		bool found = false;

		for (size_t i = 0; i < cg->n; i++) {
			struct cg_dir *d = &cg->dirs[i];

			if (name && !cg_list_has(d->controllers, name) &&
			    !(str_starts(d->controllers, "name=") && strcmp(d->controllers + 5, name) == 0))
				continue;
			found = true;
			d->dir = arena_printf(a, "%s/%s", d->dir, sub);
			if (!d->dir)
				return err_oom(e);
		}
		if (!found)
			return err_set(e, ERR_USAGE, 0, "--cgroup: the container has no '%s' cgroup", name ? name : "");
	} while (names);
	return 0;
}

int cgroup_open_sub(const struct cgroup *cg, const struct oci_strs *paths, struct cgroup **ret, struct arena *a,
		    struct err *e)
{
	struct cgroup *sub = cgroup_new(cg->driver, cg->n, a, e);

	if (!sub)
		return err_ret(e);
	sub->mode = cg->mode;
	sub->unit = cg->unit;
	for (size_t i = 0; i < cg->n; i++) {
		sub->dirs[i] = cg->dirs[i];
		sub->dirs[i].fd = sub->dirs[i].procs_fd = -1;
		sub->dirs[i].made = false;
	}
	sub->n = cg->n;
	for (size_t i = 0; i < paths->n; i++) {
		int r = set_sub(sub, paths->v[i], a, e);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < sub->n; i++)
		if (faccessat(AT_FDCWD, sub->dirs[i].dir, F_OK, 0) < 0)
			return err_sys(e, "--cgroup: %s", sub->dirs[i].dir);
	*ret = sub;
	return 0;
}

/* ---- processes ---- */

/* The hierarchy that knows all processes of the container: cgroup2, where a payload cannot be moved out of by tools
 * that know only v1 controllers; else a v1 one. */
static struct cg_dir *pids_dir(const struct cgroup *cg)
{
	static const char *const order[] = { "devices", "freezer", "pids", "memory" };
	struct cg_dir *d = cg_find_v2(cg);

	for (size_t i = 0; !d && i < ARRAY_SIZE(order); i++)
		d = cg_find(cg, order[i]);
	return d || cg->n == 0 ? d : &cg->dirs[0];
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *ret_n, struct arena *a, struct err *e)
{
	struct cg_dir *d = pids_dir(cg);
	size_t n = 0, cap = 0, unique = 0;
	pid_t *v = NULL;
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (!d)
		return 0;
	if (cg_dir_fd(d) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cgroup %s", d->dir);
	r = cg_tree_pids(d->fd, &v, &n, &cap, a, e);
	if (r < 0)
		return err_wrap(e, "cgroup %s", d->dir);
	if (n > 0)
		qsort(v, n, sizeof *v, compare_pids);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || v[unique - 1] != v[i])
			v[unique++] = v[i];
	*ret = v;
	*ret_n = unique;
	return 0;
}

bool cgroup_exists(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (faccessat(AT_FDCWD, cg->dirs[i].dir, F_OK, 0) == 0)
			return true;
	return false;
}

bool cgroup_made(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dirs[i].made)
			return true;
	return false;
}

int cgroup_populated(const struct cgroup *cg)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_dir *d = cg_find_v2(cg);
	struct err ignored;
	uint64_t populated;
	pid_t *pids;
	size_t n;

	if (d && cg_dir_fd(d) >= 0 && cg_read_key(d->fd, "cgroup.events", "populated", &populated))
		return populated != 0;
	return cgroup_pids(cg, &pids, &n, &a, &ignored) == 0 && n > 0;
}

int cgroup_delegate(const struct cgroup *cg, uid_t uid, struct err *e)
{
	char list[4096] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";
	struct cg_dir *d = cg_find_v2(cg);
	char *rest = list;

	if (!d || cg->mode != CG_V2)
		return 0;
	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	if (fchown(d->fd, uid, (gid_t)-1) < 0) {
		/* Not ours to give to another user: the container's root then only looks at it. */
		if (errno == EPERM && proc_is_rootless(cg->rootless))
			return 0;
		return err_sys(e, "hand over cgroup %s", d->dir);
	}
	cg_read_text(AT_FDCWD, "/sys/kernel/cgroup/delegate", list, sizeof list);
	for (char *name = strsep(&rest, "\n"); name; name = strsep(&rest, "\n")) {
		/* ENOENT: a controller that is not enabled here */
		if (*name && fchownat(d->fd, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return err_sys(e, "hand over cgroup %s/%s", d->dir, name);
	}
	return 0;
}

/* ---- questions of others ---- */

bool cgroup_on_v2(const struct cgroup *cg, const char *controller)
{
	const struct cg_dir *d = cg_find(cg, controller);

	return d && d->v2;
}

static int read_allowed(const char *dir, const char *file, struct str *ret)
{
	cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err ignored;

	str_clear(ret);
	if (fd < 0 || fs_read(fd, file, 65536, ret, &ignored) < 0)
		return -1;
	while (ret->len && ret->s[ret->len - 1] == '\n')
		ret->s[--ret->len] = '\0';
	return ret->len ? 0 : -1;
}

int cgroup_allowed(const struct cgroup *cg, const char *what, struct str *ret)
{
	const struct cg_dir *d = cg_find(cg, "cpuset");
	char dir[PATH_MAX], file[64];

	if (!d)
		return -1;
	snprintf(file, sizeof file, d->v2 ? "cpuset.%s.effective" : "cpuset.effective_%s", what);
	snprintf(dir, sizeof dir, "%s", d->dir);
	/* Parents that are not there yet, or (v2) have no cpuset of their own, give what theirs gives. */
	for (char *slash = strrchr(dir, '/'); slash && (size_t)(slash - dir) >= strlen(d->mount); slash = strrchr(dir, '/')) {
		*slash = '\0';
		if (read_allowed(dir, file, ret) == 0)
			return 0;
	}
	return -1;
}
