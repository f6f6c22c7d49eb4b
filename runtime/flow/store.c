// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/proc.h"

#define ENDING_MS 1000
#define STATE_MAX ((size_t)32 << 20)

int store_check_id(const char *id, struct err *e)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
	size_t len = strlen(id);

	if (len == 0 || len > 255 || id[0] == '.' || strspn(id, first) != len)
		return err_set(e, ERR_USAGE, 0,
			       "invalid container ID format: \"%.64s\": letters, digits, _ + - and, not first, a dot",
			       id);
	return 0;
}

/* The directory itself is what is locked: a lock file could be made anew by who comes while a delete empties the directory,
 * which would then not go away. */
static int take_lock(const struct store_dir *d, enum store_lock lock, struct err *e)
{
	struct stat st;

	while (flock(d->fd, lock == STORE_TRY ? LOCK_EX | LOCK_NB : LOCK_EX) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(e, ERR_STATE, EWOULDBLOCK,
				       "container is busy: another command works on it, and may wait for a hook");
		if (errno != EINTR)
			return err_sys(e, "lock");
	}
	/* Whoever held it may have deleted the container meanwhile. */
	if (fstat(d->fd, &st) < 0 || st.st_nlink == 0)
		return err_set(e, ERR_NOTFOUND, 0, "container does not exist");
	return 0;
}

void store_unlock(const struct store_dir *d)
{
	flock(d->fd, LOCK_UN);
}

static int open_root(const char *root, struct store_dir *ret, struct err *e)
{
	ret->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ret->root_fd < 0 ? err_sys(e, "open %s", root) : 0;
}

static int make_dir(const char *root, const char *id, struct store_dir *d, struct err *e)
{
	int r;

	r = open_root(root, d, e);
	if (r < 0 && e->num == ENOENT) {
		r = fs_mkdir_all(root, 0700, e);
		if (r == 0)
			r = open_root(root, d, e);
	}
	if (r < 0 && (e->num == EACCES || e->num == EROFS))
		return err_hint(e, "who is not root keeps containers in $XDG_RUNTIME_DIR/vzrun, or where --root says");
	if (r < 0)
		return r;
	if (mkdirat(d->root_fd, id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(e, ERR_STATE, EEXIST, "container with given ID already exists: %s", id);
		return err_sys(e, "mkdir %s/%s", root, id);
	}
	d->fd = openat(d->root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		r = err_sys(e, "open %s/%s", root, id);
	else
		r = take_lock(d, STORE_WAIT, e);
	if (r < 0) {
		struct err ignored;

		fs_remove_tree(d->root_fd, id, &ignored);
	}
	return r;
}

int store_create(const char *root, const char *id, struct store_dir *ret, struct err *e)
{
	cleanup_store struct store_dir d = STORE_DIR_NONE;
	int r = make_dir(root, id, &d, e);

	if (r < 0)
		return r;
	*ret = d;
	d = STORE_DIR_NONE;
	return 0;
}

static int not_there(const char *id, struct err *e)
{
	return err_set(e, ERR_NOTFOUND, ENOENT, "container does not exist: %s", id);
}

int store_open(const char *root, const char *id, enum store_lock lock, struct store_dir *ret, struct err *e)
{
	cleanup_store struct store_dir d = STORE_DIR_NONE;
	int r;

	r = open_root(root, &d, e);
	if (r < 0)
		return e->num == ENOENT ? not_there(id, e) : r;
	d.fd = openat(d.root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd < 0)
		return errno == ENOENT ? not_there(id, e) : err_sys(e, "open %s/%s", root, id);
	r = lock == STORE_LOOK ? 0 : take_lock(&d, lock, e);
	if (r < 0)
		return e->kind == ERR_NOTFOUND ? not_there(id, e) : r;
	*ret = d;
	d = STORE_DIR_NONE;
	return 0;
}

/* A delete that is killed half-way can be repeated with --force. */
int store_remove(struct store_dir *d, const char *id, struct err *e)
{
	return d->root_fd < 0 ? 0 : fs_remove_tree(d->root_fd, id, e);
}

void store_close(struct store_dir *d)
{
	fd_close(&d->fd);
	fd_close(&d->root_fd);
}

int store_save(const struct store_dir *d, const struct oci_state *s, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	decode_emit(&oci_state_type, s, &out);
	if (str_failed(&text))
		return err_oom(e);
	return fs_replace(d->fd, STORE_STATE, text.s, text.len, 0600, e);
}

int store_load(const struct store_dir *d, const char *id, struct oci_state *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	int r;

	*ret = (struct oci_state){ .id = id };
	r = fs_read(d->fd, STORE_STATE, STATE_MAX, &text, e);
	if (r == 0)
		r = oci_state_parse(text.s, text.len, STORE_STATE, ret, a, e);
	if (r == 0 && !str_eq(ret->id, id))
		r = err_set(e, ERR_STATE, 0, "%s: it is of container %s", STORE_STATE, ret->id ? ret->id : "(none)");
	if (r < 0) {
		*ret = (struct oci_state){ .id = id };
		/* Between the directory and the record: create is at work, or was killed. */
		if (e->num == ENOENT)
			return err_set(e, ERR_STATE, ENOENT, "container %s has no state yet (delete --force removes it)", id);
		err_wrap(e, "container %s: its state cannot be read (delete --force removes it)", id);
	}
	return r;
}

int store_load_spec(const struct store_dir *d, struct oci_spec *ret, struct arena *a, struct err *e)
{
	return oci_spec_load(d->fd, STORE_CONFIG, STORE_CONFIG, ret, a, e);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_id(struct oci_strs *ids, size_t *cap, const char *id, struct arena *a)
{
	if (ids->n + 2 > *cap) {
		const char **more = arena_alloc_n(a, *cap * 2 + 16, sizeof *more);

		if (!more)
			return -ENOMEM;
		if (ids->n)
			memcpy(more, ids->v, ids->n * sizeof *more);
		*cap = *cap * 2 + 16;
		ids->v = more;
	}
	ids->v[ids->n] = arena_strdup(a, id);
	if (!ids->v[ids->n])
		return -ENOMEM;
	ids->v[++ids->n] = NULL;
	return 0;
}

int store_list(const char *root, struct oci_strs *ret, struct arena *a, struct err *e)
{
	struct oci_strs ids = { 0 };
	cleanup_dir DIR *dir = opendir(root);
	struct dirent *d;
	size_t cap = 0;

	if (!dir)
		return err_sys(e, "open %s", root);
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.' || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
			continue;
		if (add_id(&ids, &cap, d->d_name, a) < 0)
			return err_oom(e);
	}
	if (ids.n > 1)
		qsort(ids.v, ids.n, sizeof *ids.v, by_name);
	*ret = ids;
	return 0;
}

/* A start that was killed may have released init without having recorded it.  The program has not inherited init's end
 * of the channel. */
static bool was_released(const struct store_dir *d)
{
	cleanup_fd int fd = openat(d->fd, STORE_START, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 && errno == ENXIO;
}

/* Nor has an init that was killed it any more, before it counts as gone. */
static bool is_dead_soon(pid_t pid, int pidfd)
{
	return proc_is_ending(pid) && poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, ENDING_MS) > 0;
}

int store_status(const struct store_dir *d, const struct oci_state *s, int64_t *ret_status, int *ret_pidfd)
{
	struct err ignored;
	cleanup_fd int pidfd = -1;

	if (ret_pidfd)
		*ret_pidfd = -1;
	*ret_status = s->status;
	if (s->pid <= 0) {
		/* Nothing was cloned yet: whoever is creating it holds the lock, or was killed. */
		*ret_status = s->status == OCI_CREATING ? OCI_CREATING : OCI_STOPPED;
		return 0;
	}
	pidfd = proc_open((pid_t)s->pid, s->start_time, &ignored);
	if (pidfd < 0)
		*ret_status = OCI_STOPPED;
	else if (s->status == OCI_CREATED && was_released(d))
		*ret_status = is_dead_soon((pid_t)s->pid, pidfd) ? OCI_STOPPED : OCI_RUNNING;
	if (ret_pidfd)
		*ret_pidfd = fd_take(&pidfd);
	return 0;
}
