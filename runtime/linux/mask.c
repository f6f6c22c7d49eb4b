// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"
#include "runtime/linux/mount_api.h"
#include "runtime/linux/rootfs.h"

#define COVER_FLAGS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* What lies over masked paths; made when the first of its kind is met. */
struct covers {
	const char *label;
	int null, dir;
};

static void covers_done(struct covers *c)
{
	fd_close(&c->null);
	fd_close(&c->dir);
}

/* The container may have put something else there (CVE-2025-31133): the descriptor is what was looked at. */
static int open_null(int root, struct err *e)
{
	cleanup_fd int fd = path_open(root, "dev/null", O_PATH | O_NOFOLLOW, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_KERNEL, ENODEV, "/dev/null is not the null device");
	return fd_take(&fd);
}

static int empty_dir(const char *label, struct err *e)
{
	const struct mount_context c = { .root_fd = -1, .procfs = -1, .userns_fd = -1, .label = label };
	const struct mount_wish w = { .target = "mask", .fs = "tmpfs", .data = "mode=755,nr_blocks=1,nr_inodes=2" };
	int fd = mount_fs_new(&c, &w, -1, false, COVER_FLAGS, e);

	return fd == -ENOSYS ? err_set(e, ERR_UNSUPPORTED, ENOSYS, "this kernel has no fsopen") : fd;
}

/* One superblock for all directories: a new one each would cost a shrinker and its lock. */
static int cover_dir(struct covers *c, int target, struct err *e)
{
	cleanup_fd int clone = -1;
	int r;

	if (c->dir < 0) {
		c->dir = empty_dir(c->label, e);
		if (c->dir < 0)
			return c->dir;
		/* Attached at the first place; older kernels clone only what is attached. */
		r = mount_move(c->dir, target);
		return r < 0 ? err_set(e, ERR_KERNEL, -r, "attach") : 0;
	}
	clone = mount_clone(c->dir, NULL, false);
	r = clone < 0 ? clone : mount_move(clone, target);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "attach") : 0;
}

static int cover_file(struct covers *c, int root, int target, struct err *e)
{
	int r;

	if (c->null < 0)
		c->null = open_null(root, e);
	if (c->null < 0)
		return c->null;
	cleanup_fd int clone = mount_clone(c->null, NULL, false);
	r = clone < 0 ? clone : mount_move(clone, target);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "attach") : 0;
}

/* A path through something that is no directory is as missing as one that nobody made. */
static bool is_missing(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

static int mask_path(struct covers *c, int root, const char *path, struct err *e)
{
	cleanup_fd int target = path_try_open(root, path, O_PATH);
	struct stat st;

	if (is_missing(target))
		return 0;
	if (target < 0)
		return err_set(e, ERR_KERNEL, -target, "open");
	if (fstat(target, &st) < 0)
		return err_sys(e, "stat");
	return S_ISDIR(st.st_mode) ? cover_dir(c, target, e) : cover_file(c, root, target, e);
}

int mask_paths(const struct oci_strs *paths, const char *label, struct err *e)
{
	__attribute__((cleanup(covers_done))) struct covers c = { .label = label, .null = -1, .dir = -1 };
	cleanup_fd int root = -1;

	if (!paths->n)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open /");
	for (size_t i = 0; i < paths->n; i++)
		if (mask_path(&c, root, paths->v[i], e) < 0)
			return err_wrap(e, "mask %s", paths->v[i]);
	return 0;
}

/* Clone, flags and attach all by one descriptor: the path is resolved once (GHSA-3q8j-pf29-vwv8). */
static int readonly_path(int root, const char *path, struct err *e)
{
	cleanup_fd int target = path_try_open(root, path, O_PATH);
	cleanup_fd int tree = -1;
	bool early = mount_can_change_detached();
	int r = 0;

	if (is_missing(target))
		return 0;
	if (target < 0)
		return err_set(e, ERR_KERNEL, -target, "open");
	tree = mount_clone(target, NULL, true);
	if (tree < 0)
		return err_set(e, ERR_KERNEL, -tree, "clone");
	if (early)
		r = mount_change(tree, false, MOUNT_ATTR_RDONLY, 0, 0);
	if (r >= 0)
		r = mount_move(tree, target);
	if (r >= 0 && !early)
		r = mount_change(tree, false, MOUNT_ATTR_RDONLY, 0, 0);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "attach") : 0;
}

int readonly_paths(const struct oci_strs *paths, struct err *e)
{
	cleanup_fd int root = -1;

	if (!paths->n)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open /");
	for (size_t i = 0; i < paths->n; i++)
		if (readonly_path(root, paths->v[i], e) < 0)
			return err_wrap(e, "make %s read-only", paths->v[i]);
	return 0;
}
