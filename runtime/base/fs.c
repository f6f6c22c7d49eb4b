// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/fs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/sys.h"

int fs_read_fd(int fd, size_t max, const char *what, struct str *ret, struct err *e)
{
	char buf[4096];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", what);
		if (n == 0)
			break;
		if (ret->len + (size_t)n > max)
			return err_set(e, ERR_KERNEL, EFBIG, "%s: more than %zu bytes", what, max);
		str_addn(ret, buf, (size_t)n);
	}
	str_addn(ret, "", 0);
	return str_failed(ret) ? err_oom(e) : 0;
}

int fs_read(int at, const char *path, size_t max, struct str *ret, struct err *e)
{
	cleanup_fd int fd = openat(at, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return fs_read_fd(fd, max, path, ret, e);
}

int fs_write_fd(int fd, const void *data, size_t len, const char *what, struct err *e)
{
	const char *p = data;

	do {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write %s", what);
		if (n == 0 && len > 0)
			return err_set(e, ERR_KERNEL, EIO, "write %s", what);
		p += n;
		len -= (size_t)n;
	} while (len > 0);
	return 0;
}

int fs_write(int at, const char *path, const char *text, struct err *e)
{
	cleanup_fd int fd = openat(at, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return fs_write_fd(fd, text, strlen(text), path, e);
}

int fs_replace(int at, const char *name, const void *data, size_t len, mode_t mode, struct err *e)
{
	char tmp[NAME_MAX + 1];
	int r;

	/* The name carries no pid, so that killed writers leave one file at most.  What is there already is such a leftover, or
	 * stands in a directory for all (a pid file in /tmp) and is somebody's trap: never written to. */
	if (snprintf(tmp, sizeof tmp, ".%s.tmp", name) >= (int)sizeof tmp)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", name);
	cleanup_fd int fd = openat(at, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 && errno == EEXIST && unlinkat(at, tmp, 0) == 0)
		fd = openat(at, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "create %s", name);
	r = fs_write_fd(fd, data, len, name, e);
	if (r == 0 && renameat(at, tmp, at, name) < 0)
		r = err_sys(e, "rename %s", name);
	if (r < 0)
		unlinkat(at, tmp, 0);
	return r;
}

size_t fs_found(const char *path)
{
	char part[PATH_MAX], *slash;

	snprintf(part, sizeof part, "%s", path);
	while (access(part, F_OK) < 0) {
		slash = strrchr(part, '/');
		if (!slash)
			return 0;
		*slash = '\0';
	}
	return strlen(part);
}

int fs_mkdir_all(const char *path, mode_t mode, struct err *e)
{
	char buf[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof buf)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "mkdir %s", path);
	if (len == 0)
		return err_set(e, ERR_KERNEL, ENOENT, "mkdir of an empty path");
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_sys(e, "mkdir %s", path);
	memcpy(buf, path, len + 1);
	for (char *p = buf + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(buf, mode) < 0 && errno != EEXIST)
			return err_sys(e, "mkdir %s", buf);
		*p = '/';
	}
	if (mkdir(buf, mode) < 0 && errno != EEXIST)
		return err_sys(e, "mkdir %s", path);
	return 0;
}

static int open_below(int at, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	int fd = sys_openat2(at, name, &how);

	/* Before Linux 5.6, and under filters that deny openat2, the name is a single component anyway. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(at, name, (int)how.flags);
	return fd;
}

/* Above zero: it is a directory with something in it. */
static int remove_entry(int at, const char *name, struct err *e)
{
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EBUSY)
		return err_sys(e, "remove %s", name);
	if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : err_sys(e, "remove %s", name);
}

/* Where a removal is, and the directories above: whoever made the tree says how deep it is, so that only one of them is open.  The way
 * up is "..", and only into what the way down came through: a directory may be moved meanwhile. */
struct removal {
	DIR *dir;
	struct place {
		dev_t dev;
		ino_t ino;
	} *way, barren; /* the last one in which nothing was seen */
	size_t n, cap;
};

static void removal_done(struct removal *r)
{
	dir_close(&r->dir);
	free(r->way);
}

static int stand_in(struct removal *r, int fd, struct stat *ret, struct err *e)
{
	DIR *dir = fstat(fd, ret) < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		err_sys(e, "open directory");
		close(fd);
		return err_ret(e);
	}
	dir_close(&r->dir);
	r->dir = dir;
	return 0;
}

static int go_down(struct removal *r, int at, const char *name, struct err *e)
{
	int fd = open_below(at, name);
	struct stat st;

	if (fd < 0)
		return err_sys(e, "remove %s", name);
	if (r->n == r->cap) {
		struct place *more = realloc(r->way, (r->cap * 2 + 16) * sizeof *more);

		if (!more) {
			close(fd);
			return err_oom(e);
		}
		r->way = more;
		r->cap = r->cap * 2 + 16;
	}
	if (stand_in(r, fd, &st, e) < 0)
		return err_ret(e);
	/* A file system that shows nothing and yet says that something is there would keep us for ever. */
	if (st.st_dev == r->barren.dev && st.st_ino == r->barren.ino)
		return err_set(e, ERR_KERNEL, ENOTEMPTY, "remove %s", name);
	r->way[r->n++] = (struct place){ st.st_dev, st.st_ino };
	return 0;
}

static int go_up(struct removal *r, struct err *e)
{
	int fd = openat(dirfd(r->dir), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct place *above = &r->way[--r->n - 1];
	struct stat st;

	if (fd < 0)
		return err_sys(e, "open ..");
	if (stand_in(r, fd, &st, e) < 0)
		return err_ret(e);
	return st.st_dev == above->dev && st.st_ino == above->ino ? 0 : err_set(e, ERR_KERNEL, EAGAIN, "a directory was moved elsewhere meanwhile");
}

/* What can be removed here at once; at what cannot it goes down.  Above zero: nothing is left. */
static int clear_here(struct removal *r, struct err *e)
{
	size_t seen = 0;
	int full = 0;

	while (full == 0) {
		struct dirent *d;

		errno = 0;
		d = readdir(r->dir);
		if (!d && errno)
			return err_sys(e, "read directory");
		if (!d)
			break;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		seen++;
		full = remove_entry(dirfd(r->dir), d->d_name, e);
		if (full > 0)
			return go_down(r, dirfd(r->dir), d->d_name, e);
		r->barren = (struct place){ 0 }; /* it may have been that one: its number can be another's now */
	}
	if (full < 0)
		return full;
	if (seen == 0)
		r->barren = r->way[r->n - 1];
	return 1;
}

static int clear_all(struct removal *r, struct err *e)
{
	for (;;) {
		int empty = clear_here(r, e);

		if (empty < 0)
			return empty;
		if (empty > 0 && r->n == 1)
			return 0;
		if (empty > 0 && go_up(r, e) < 0)
			return err_ret(e);
	}
}

int fs_remove_tree(int at, const char *name, struct err *e)
{
	__attribute__((cleanup(removal_done))) struct removal r = { 0 };
	int full = remove_entry(at, name, e);

	if (full <= 0)
		return full;
	if (go_down(&r, at, name, e) < 0)
		return err_ret(e);
	if (clear_all(&r, e) < 0)
		return err_wrap(e, "%s", name);
	if (unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", name);
	return 0;
}

int fs_remove_path(const char *path, struct err *e)
{
	const char *name = strrchr(path, '/');
	char parent[4096];

	if (!name || !name[1] || snprintf(parent, sizeof parent, "%.*s/", (int)(name - path), path) >= (int)sizeof parent)
		return err_set(e, ERR_INTERNAL, EINVAL, "remove %s", path);
	cleanup_fd int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "remove %s", path);
	return fs_remove_tree(dir, name + 1, e);
}
