// SPDX-License-Identifier: LGPL-2.1-or-later
/* The copy behind "tmpcopyup".  The source is an image's directory: hostile names and links are expected, so every
 * entry is opened without following and judged by its descriptor. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount_api.h"

/* Each level keeps two descriptors open. */
#define DEPTH_MAX 100
/* What one call moves at most (MAX_RW_COUNT).  More is no help, and EINVAL once it overflows with the offset. */
#define COPY_AT_ONCE 0x7ffff000

static int copy_dir(int from, int to, unsigned depth, struct err *e);

/* Attributes that the new filesystem or our rights do not allow are left behind, as cp does without --preserve=all. */
static void copy_xattrs(int from, int to)
{
	ssize_t size = flistxattr(from, NULL, 0);
	cleanup_free char *names = size > 0 ? malloc((size_t)size) : NULL;

	if (!names)
		return;
	size = flistxattr(from, names, (size_t)size);
	for (char *name = names; size > 0 && name < names + size; name += strlen(name) + 1) {
		ssize_t len = fgetxattr(from, name, NULL, 0);
		cleanup_free char *value = len >= 0 ? malloc((size_t)len + 1) : NULL;

		if (value && (len = fgetxattr(from, name, value, (size_t)len)) >= 0)
			fsetxattr(to, name, value, (size_t)len, 0);
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by their attribute */
}

static int finish(int from, int to, const struct stat *st, const char *name, struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* The owner first: chown takes the set-id bits and file capabilities away. */
	if (fchown(to, st->st_uid, st->st_gid) < 0 && errno != EPERM && errno != EINVAL)
		return err_sys(e, "owner of %s", name);
	copy_xattrs(from, to);
	if (fchmod(to, st->st_mode & 07777) < 0)
		return err_sys(e, "mode of %s", name);
	futimens(to, times);
	return 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, struct err *e)
{
	cleanup_fd int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_fd int to = -1;
	struct stat st;
	ssize_t n;

	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(e, "open %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_KERNEL, EAGAIN, "%s changed meanwhile", name);
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(e, "create %s", name);
	do
		n = sendfile(to, from, NULL, COPY_AT_ONCE);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return err_sys(e, "copy %s", name);
	return finish(from, to, &st, name, e);
}

static int copy_subdir(int from_dir, int to_dir, const char *name, unsigned depth, struct err *e)
{
	cleanup_fd int from = -1, to = -1;
	struct stat st;
	int r;

	if (mkdirat(to_dir, name, 0700) < 0)
		return err_sys(e, "mkdir %s", name);
	from = path_open_strict(from_dir, name, O_RDONLY | O_DIRECTORY, e);
	if (from < 0)
		return e->num == EXDEV ? 0 : from; /* another mount: its place stays empty */
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(from, &st) < 0)
		return err_sys(e, "open %s", name);
	r = copy_dir(from, to, depth + 1, e);
	return r < 0 ? r : finish(from, to, &st, name, e);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof target - 1);

	if (n < 0)
		return err_sys(e, "readlink %s", name);
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0)
		return err_sys(e, "symlink %s", name);
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM && errno != EINVAL)
		return err_sys(e, "owner of %s", name);
	return 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *st, struct err *e)
{
	if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0)
		return err_sys(e, "mknod %s", name);
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM && errno != EINVAL)
		return err_sys(e, "owner of %s", name);
	if (fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return err_sys(e, "mode of %s", name);
	return 0;
}

static int copy_entry(int from, int to, const char *name, unsigned depth, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", name);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(from, to, name, e);
	case S_IFDIR:
		return copy_subdir(from, to, name, depth, e);
	case S_IFLNK:
		return copy_link(from, to, name, &st, e);
	default:
		return copy_node(to, name, &st, e);
	}
}

static int copy_dir(int from, int to, unsigned depth, struct err *e)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *d;

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_KERNEL, ELOOP, "tmpcopyup: more than %d levels", DEPTH_MAX);
	dir = dir_open(from, ".");
	if (!dir)
		return err_sys(e, "tmpcopyup");
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		int r;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		r = copy_entry(from, to, d->d_name, depth, e);
		if (r < 0)
			return r;
	}
	return errno ? err_sys(e, "tmpcopyup") : 0;
}

int mount_copy_up(int from, int to, struct err *e)
{
	cleanup_fd int top = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return err_sys(e, "tmpcopyup");
	return copy_dir(from, top, 0, e);
}
