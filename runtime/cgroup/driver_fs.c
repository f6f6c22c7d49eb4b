// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"

/* The cgroupfs driver: the directories are ours, limits are written to files. */

#define REMOVE_TIMEOUT_MS 10000
#define TIDY_MAX 10 /* times in a row that systemd takes a directory away before somebody is inside */

/* ---- make ---- */

static int refuse_used(struct cg_dir *d, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	size_t n = 0, cap = 0;
	pid_t *pids = NULL;
	int r, frozen;

	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	r = cg_tree_pids(d->fd, &pids, &n, &cap, &a, e);
	if (r < 0)
		return err_wrap(e, "cgroup %s", d->dir);
	if (n > 0)
		return err_set(e, ERR_STATE, 0, "container's cgroup is not empty: %zu process(es) found", n);
	frozen = d->v2 ? cg_v2.frozen(d) : cg_v1.frozen(d);
	return frozen ? err_set(e, ERR_STATE, 0, "container's cgroup unexpectedly frozen") : 0;
}

/* Keeps errno: why it could not be made. */
static bool is_dir_there(const char *path)
{
	int num = errno;
	bool there = faccessat(AT_FDCWD, path, F_OK, 0) == 0;

	errno = num;
	return there;
}

/* mkdir -p; remembers the topmost parent that was not there. */
static int make_parents(const struct cgroup *cg, struct cg_dir *d, struct err *e)
{
	char *path = arena_strdup(cg->arena, d->dir);

	if (!path)
		return err_oom(e);
	for (char *p = path + strlen(d->mount) + 1;; p++) {
		p += strcspn(p, "/");
		if (*p == '\0')
			return 0;
		*p = '\0';
		if (mkdir(path, 0755) == 0 && !d->made_top)
			d->made_top = arena_strdup(cg->arena, path);
		else if (errno != EEXIST && !is_dir_there(path))
			return err_sys(e, "make cgroup %s", path);
		*p = '/';
	}
}

/* A v1 cpuset starts empty and takes no process then: every new level inherits. */
static int cpuset_copy(int parent, int fd, const char *file, const char *dir, struct err *e)
{
	char buf[8192];

	if (cg_read_text(fd, file, buf, sizeof buf) && *buf)
		return 0;
	if (!cg_read_text(parent, file, buf, sizeof buf))
		return err_sys(e, "cgroup %s: read the parent's %s", dir, file);
	if (!*buf)
		return err_set(e, ERR_STATE, ENOSPC, "cgroup %s: the parent's %s is empty", dir, file);
	return fs_write(fd, file, buf, e) < 0 ? err_wrap(e, "cgroup %s", dir) : 0;
}

/* Parents first: a child takes only what its parent has. */
static int cpuset_fill_from(struct cg_dir *d, size_t len, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%.*s", (int)len, d->dir);
	cleanup_fd int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (parent >= 0 && d->dir[len] == '/') {
		len += 1 + strcspn(d->dir + len + 1, "/");
		snprintf(path, sizeof path, "%.*s", (int)len, d->dir);
		cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "cgroup %s", path);
		if (cpuset_copy(parent, fd, "cpuset.cpus", path, e) < 0 ||
		    cpuset_copy(parent, fd, "cpuset.mems", path, e) < 0)
			return err_ret(e);
		fd_close(&parent);
		parent = fd_take(&fd);
	}
	return parent < 0 ? err_sys(e, "cgroup %s", path) : 0;
}

static int cpuset_fill(struct cg_dir *d, struct err *e)
{
	size_t parent = (size_t)(strrchr(d->dir, '/') - d->dir);

	/* Levels that were there before have their sets, but for what someone else made and left empty, or is about to
	 * fill: two containers that start at once under a new parent. */
	if (!d->made_top && cpuset_fill_from(d, parent, e) == 0)
		return 0;
	return cpuset_fill_from(d, strlen(d->mount), e);
}

/* The parents that make_parents() made, from below; known only to who made them. */
static void unmake_parents(const struct cg_dir *d)
{
	size_t top = d->made_top ? strlen(d->made_top) : 0;
	char path[PATH_MAX];

	if (!top)
		return;
	snprintf(path, sizeof path, "%s", d->dir);
	for (char *slash = strrchr(path, '/'); slash && (size_t)(slash - path) >= top; slash = strrchr(path, '/')) {
		*slash = '\0';
		if (rmdir(path) < 0)
			return; /* another container lives there by now */
	}
}

static int make_one(const struct cgroup *cg, struct cg_dir *d, struct err *e)
{
	int r = mkdir(d->dir, 0755);

	/* Again and again: the end of another container may take empty parents away. */
	for (int i = 0; r < 0 && errno == ENOENT && i < 10; i++) {
		if (make_parents(cg, d, e) < 0 && e->num != ENOENT)
			return err_ret(e);
		r = mkdir(d->dir, 0755);
	}
	if (r < 0 && errno == EEXIST) {
		d->made = false;
		r = refuse_used(d, e);
		if (r < 0)
			return r;
	} else if (r < 0) {
		r = err_sys(e, "make cgroup %s", d->dir);
		unmake_parents(d);
		d->made = false;
		return r;
	} else {
		d->made = true;
	}
	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	return !d->v2 && cg_list_has(d->controllers, "cpuset") ? cpuset_fill(d, e) : 0;
}

/* Only what this call made: d->made of a directory that was not reached yet says what will be. */
static void unmake(struct cg_dir *d)
{
	if (!d->made)
		return;
	fd_close(&d->fd);
	rmdir(d->dir);
	unmake_parents(d);
}

static bool is_refusal(int num)
{
	return num == EACCES || num == EPERM || num == EROFS;
}

/* A read-only file system is the word of whoever set this place up, also to root. */
static bool can_do_without(const struct cgroup *cg, const struct err *e)
{
	return !cg->named && is_refusal(e->num) &&
	       (proc_is_rootless(cg->rootless) || (e->num == EROFS && cg->rootless == PROC_ROOTLESS_AUTO));
}

static void drop(struct cgroup *cg, size_t i)
{
	log_debug("cgroup %s may not be made: the container does without", cg->dirs[i].dir);
	cg->refused = true;
	cg->n--;
	memmove(&cg->dirs[i], &cg->dirs[i + 1], (cg->n - i) * sizeof cg->dirs[i]);
	cg_learn_mode(cg);
}

static int make_failed(struct cgroup *cg, size_t n, struct err *e)
{
	for (size_t j = 0; j < n; j++)
		unmake(&cg->dirs[j]);
	/* Whatever else is to be undone may need descriptors. */
	for (size_t j = 0; j < cg->n; j++)
		fd_close(&cg->dirs[j].fd);
	return is_refusal(e->num) ? err_hint(e, "%s", cg_remedy(cg->host_mode)) : err_ret(e);
}

int cg_make_dirs(struct cgroup *cg, bool enable, struct err *e)
{
	for (size_t i = 0; i < cg->n;) {
		struct cg_dir *d = &cg->dirs[i];
		int r = make_one(cg, d, e);

		if (r == 0 && d->v2 && enable)
			r = cg_v2_enable(cg, d, e);
		if (r < 0 && !d->made && can_do_without(cg, e)) {
			drop(cg, i);
			continue;
		}
		if (r < 0)
			return make_failed(cg, i + 1, e);
		i++;
	}
	return 0;
}

static int fs_make(struct cgroup *cg, struct err *e)
{
	return cg_make_dirs(cg, true, e);
}

/* v1 under systemd: when a unit of a slice ends, systemd tidies the slice in the hierarchies that none of its units needs any
 * more, and takes every empty directory below it along: also ours, until somebody is inside. */
static bool was_tidied(const struct cgroup *cg, const struct cg_dir *d, int num)
{
	return cg->unit && !d->v2 && (num == ENOENT || num == ENODEV);
}

int cg_open_procs(const struct cgroup *cg, struct cg_dir *d, struct err *e)
{
	for (int i = 0;; i++) {
		if (d->procs_fd < 0 && cg_dir_fd(d) >= 0)
			d->procs_fd = openat(d->fd, d->v2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
		if (d->procs_fd >= 0)
			return 0;
		if (i == TIDY_MAX || !was_tidied(cg, d, errno))
			return err_sys(e, "cgroup %s", d->dir);
		fd_close(&d->fd);
		if (make_one(cg, d, e) < 0 && !was_tidied(cg, d, e->num))
			return err_ret(e);
	}
}

/* ---- attach ---- */

/* Keeps errno: why it could not be entered. */
static bool enter_one(const struct cgroup *cg, struct cg_dir *d, struct err *e)
{
	for (int i = 0; write(d->procs_fd, "0", 1) != 1; i++) {
		if (i == TIDY_MAX || !was_tidied(cg, d, errno))
			return false;
		fd_close(&d->procs_fd);
		fd_close(&d->fd);
		if (cg_open_procs(cg, d, e) < 0) {
			errno = e->num;
			return false;
		}
	}
	return true;
}

/* "0" in `tasks` is the writing thread itself: the kernel then needs no lock over all of the host's thread groups, which
 * costs an RCU grace period.  Measured on Linux 6.18, nine hierarchies, host at rest: 0.09 ms; the same by cgroup.procs
 * 10 ms, by the parent with the child's pid 6.5 ms.  Read and write only: init may run under a filter. */
static int fs_attach(const struct cgroup *cg, bool cloned_into_v2, struct err *e)
{
	for (size_t i = 0; i < cg->n; i++) {
		struct cg_dir *d = &cg->dirs[i];

		if ((d->v2 && cloned_into_v2) || enter_one(cg, d, e))
			continue;
		if (errno == EINVAL && cg_list_has(d->controllers, "cpu"))
			return err_sys(e, "enter cgroup %s (a real-time process needs cpu.realtimeRuntime)", d->dir);
		if (errno == EACCES && d->v2)
			return err_sys(e, "enter cgroup %s (a process moves only inside of what is delegated to its user: "
				       "systemd-run --user --scope vzrun ...)", d->dir);
		return err_sys(e, "enter cgroup %s", d->dir);
	}
	return 0;
}

/* ---- set ---- */

/* Device rules are a dozen lines for two files: the file stays open from row to row. */
struct open_file {
	const struct cg_dir *dir;
	const char *name;
	int fd;
};

static void open_file_close(struct open_file *f)
{
	fd_close(&f->fd);
}

static int write_value(struct cg_dir *d, const struct cg_write *w, struct open_file *f, struct err *e)
{
	int r;

	if (f->fd < 0 || f->dir != d || strcmp(f->name, w->file) != 0) {
		fd_close(&f->fd);
		*f = (struct open_file){ d, w->file, openat(cg_dir_fd(d), w->file, O_WRONLY | O_CLOEXEC) };
	}
	if (f->fd < 0)
		return err_sys(e, "open %s", w->file);
	r = fs_write_fd(f->fd, w->value, strlen(w->value), w->file, e);
	if (r < 0 && (e->num == EINVAL || e->num == ENOSPC) && w->fallback)
		r = fs_write_fd(f->fd, w->fallback, strlen(w->fallback), w->file, e);
	return r;
}

/* Since Linux 5.16 a limit on kernel memory alone is taken and forgotten. */
static bool was_forgotten(struct cg_dir *d, const struct cg_write *w)
{
	uint64_t v;

	return strcmp(w->file, "memory.kmem.limit_in_bytes") == 0 && w->value[0] != '-' &&
	       cg_read_u64(d->fd, w->file, &v) && v > (uint64_t)INT64_MAX - 65536;
}

static int no_file(const struct cgroup *cg, const struct cg_dir *d, const struct cg_write *w, struct err *e)
{
	err_set(e, ERR_UNSUPPORTED, 0, "%s: there is no %s in this cgroup", w->pointer, w->file);
	if (!d->v2 || cg_v2_enabled(d->fd, w->controller))
		return err_ret(e);
	if (proc_is_rootless(cg->rootless))
		return err_hint(e, "the %s controller is not delegated: %s", w->controller, cg_remedy(cg->host_mode));
	return err_hint(e, "the %s controller cannot be enabled: %s has processes, or a parent of it", w->controller, d->dir);
}

static int write_row(struct cgroup *cg, const struct cg_write *w, struct open_file *f, struct err *e)
{
	struct cg_dir *d = strcmp(w->controller, "cgroup") == 0 ? cg_find_v2(cg) : cg_find(cg, w->controller);
	int r;

	if (!d)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: this host has no %s controller", w->pointer, w->controller);
	r = write_value(d, w, f, e);
	if (r == 0 && was_forgotten(d, w))
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel no longer limits kernel memory alone", w->pointer);
	if (r == 0 || (w->may_be_absent && e->num == ENOENT))
		return 0;
	if (w->may_fail) {
		log_warn("%s: %s = %s was refused: %s", w->pointer, w->file, w->value, strerror(e->num));
		return 0;
	}
	if (e->num == ENOENT)
		return no_file(cg, d, w, e);
	return err_wrap(e, "%s: value '%s'", w->pointer, w->value);
}

int cg_write_row(struct cgroup *cg, const struct cg_write *w, struct err *e)
{
	__attribute__((cleanup(open_file_close))) struct open_file f = { .fd = -1 };

	return write_row(cg, w, &f, e);
}

int cg_set_files(struct cgroup *cg, const struct cg_plan *plan, struct err *e)
{
	__attribute__((cleanup(open_file_close))) struct open_file f = { .fd = -1 };

	for (size_t i = 0; i < plan->n; i++) {
		int r = write_row(cg, &plan->v[i], &f, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- remove ---- */

/* v2 says when the last process is gone; the descriptor must be read before each poll. */
static void wait_empty(struct cg_dir *d, int64_t until)
{
	cleanup_fd int fd = d->v2 && cg_dir_fd(d) >= 0 ? openat(d->fd, "cgroup.events", O_RDONLY | O_CLOEXEC) : -1;

	while (fd >= 0) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		int64_t left = until - clock_ms();
		char buf[256];
		ssize_t n = pread(fd, buf, sizeof buf - 1, 0);

		if (n <= 0 || left <= 0)
			return;
		buf[n] = '\0';
		if (!strstr(buf, "populated 1"))
			return;
		if (poll(&p, 1, (int)left) <= 0)
			return;
	}
}

void cg_wait_empty(struct cg_dir *d)
{
	wait_empty(d, clock_ms() + REMOVE_TIMEOUT_MS);
}

static int remove_one(struct cg_dir *d, int64_t until, struct err *e)
{
	int64_t pause = 1;
	int r = cg_tree_remove(d->dir);

	if (r == -EBUSY)
		wait_empty(d, until);
	/* Even an empty cgroup answers EBUSY for a moment: a task leaves it only after it was reaped. */
	for (; r == -EBUSY && clock_ms() < until; pause = pause < 100 ? pause * 2 : pause) {
		r = cg_tree_remove(d->dir);
		if (r == -EBUSY)
			poll(NULL, 0, (int)pause);
	}
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "remove cgroup %s", d->dir) : 0;
}

static int fs_remove(struct cgroup *cg, struct err *e)
{
	int64_t until = clock_ms() + REMOVE_TIMEOUT_MS;
	int ret = 0;

	for (size_t i = 0; i < cg->n; i++) {
		struct cg_dir *d = &cg->dirs[i];
		struct err err;

		if (!d->made)
			continue;
		if (remove_one(d, until, &err) < 0 && ret == 0) { /* the first failure counts, the rest is still tried */
			*e = err;
			ret = err_ret(e);
		}
		unmake_parents(d);
		fd_close(&d->fd);
		fd_close(&d->procs_fd);
	}
	return ret;
}

const struct cg_driver cg_driver_fs = { "cgroupfs", fs_make, fs_attach, cg_set_files, fs_remove };

/* ---- --cgroup-manager=disabled: the container stays where its caller is ---- */

static int none_make(struct cgroup *cg, struct err *e)
{
	(void)cg;
	(void)e;
	return 0;
}

static int none_attach(const struct cgroup *cg, bool cloned_into_v2, struct err *e)
{
	(void)cg;
	(void)cloned_into_v2;
	(void)e;
	return 0;
}

const struct cg_driver cg_driver_disabled = { "disabled", none_make, none_attach, cg_set_files, none_make };
