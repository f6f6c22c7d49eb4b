// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/mount_api.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

static const struct propagation {
	const char *word;
	unsigned long flags;
} propagations[] = {
	{ "shared", MS_SHARED },         { "rshared", MS_SHARED | MS_REC },
	{ "slave", MS_SLAVE },           { "rslave", MS_SLAVE | MS_REC },
	{ "private", MS_PRIVATE },       { "rprivate", MS_PRIVATE | MS_REC },
	{ "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
};

static int parse_propagation(const char *word, unsigned long *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++) {
		if (strcmp(propagations[i].word, word) == 0) {
			*ret = propagations[i].flags;
			return 0;
		}
	}
	return err_set(e, ERR_CONFIG, EINVAL, "/linux/rootfsPropagation: unknown value '%s'", word);
}

/* The mount that a directory is on, by its root. */
static int open_mount_root(int dir, struct err *e)
{
	cleanup_fd int fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);

	while (fd >= 0) {
		struct statx sx;
		int up;

		if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &sx) < 0)
			break;
		if (!(sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
			return err_set(e, ERR_UNSUPPORTED, 0, "rootfsPropagation shared: this kernel does not tell mounts apart");
		if (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
			return fd_take(&fd);
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd_close(&fd);
		fd = up;
	}
	return err_sys(e, "find the mount of the rootfs");
}

/* Nothing that is mounted from here on may reach the host.  With a shared propagation the rest of the tree keeps its
 * peers (volumes that are to show the container's mounts on the host need them), but the mount that the root lies
 * on is cut off; pivot_root(2) wants that as well. */
static int stop_propagation(const char *propagation, int dir, struct err *e)
{
	unsigned long flags = MS_SLAVE, keep = MS_SLAVE;
	int r = propagation ? parse_propagation(propagation, &flags, e) : 0;

	if (r < 0)
		return r;
	if (flags & MS_SHARED) {
		cleanup_fd int mount_fd = open_mount_root(dir, e);

		if (mount_fd < 0)
			return mount_fd;
		r = mount_change(mount_fd, false, 0, 0, MS_PRIVATE);
		return r < 0 ? err_set(e, ERR_KERNEL, -r, "make the parent of the rootfs private") : 0;
	}
	if (flags & MS_PRIVATE)
		keep = MS_PRIVATE; /* unbindable must wait for the end: sources and the root itself are to be cloned */
	if (mount(NULL, "/", NULL, keep | MS_REC, NULL) < 0)
		return err_sys(e, "stop the propagation of mounts");
	return 0;
}

/* O_NOFOLLOW looks at the last component only when no slash follows it. */
static int open_root_dir(const char *path, struct err *e)
{
	char buf[PATH_MAX];
	size_t len = strlen(path);
	int fd;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof buf)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "rootfs %s", path);
	memcpy(buf, path, len);
	buf[len] = '\0';
	fd = open(buf, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR ? err_set(e, ERR_CONFIG, ENOTDIR, "rootfs %s is not a directory or is a symlink", path)
					: err_sys(e, "rootfs %s", path);
	return fd;
}

/* Without a word in the document what the host mounts below its side of the root does not appear inside. */
static int part_from_host(int root, bool alone)
{
	int r = mount_change(root, true, 0, 0, MS_SLAVE);

	return r >= 0 && alone ? mount_change(root, false, 0, 0, MS_PRIVATE) : r;
}

static int attach_old(const char *path, int dir, bool alone, struct err *e)
{
	struct fd_path at = fd_path(dir);
	int fd, r;

	if (mount(at.s, at.s, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(e, "bind the rootfs");
	fd = open_root_dir(path, e);
	if (fd < 0)
		return fd;
	r = part_from_host(fd, alone);
	if (r < 0) {
		close(fd);
		return err_set(e, ERR_KERNEL, -r, "propagation of the rootfs");
	}
	return fd;
}

int rootfs_enter(const struct rootfs_options *o, struct err *e)
{
	cleanup_fd int dir = open_root_dir(o->path, e);
	cleanup_fd int tree = -1;
	int r;

	if (dir < 0)
		return dir;
	r = stop_propagation(o->propagation, dir, e);
	if (r < 0)
		return r;
	tree = mount_clone(dir, NULL, true);
	if (tree == -ENOSYS)
		return attach_old(o->path, dir, !o->propagation, e);
	if (tree < 0)
		return err_set(e, ERR_KERNEL, -tree, "clone the rootfs %s", o->path);
	/* The clone is a peer of what it was made from, with all below it: cut it off before anything is mounted in. */
	r = part_from_host(tree, !o->propagation);
	if (r >= 0)
		r = mount_move(tree, dir);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "attach the rootfs %s", o->path) : fd_take(&tree);
}

/* ---- the switch ---- */

static int pivot(struct err *e)
{
	cleanup_fd int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (old < 0)
		return err_sys(e, "open the old root");
	/* The old root ends up on top of the new one: no directory for it is needed inside. */
	if (sys_pivot_root(".", ".") < 0)
		return err_sys(e, "pivot_root");
	/* Where it is still shared with the host, detaching would take the host's own mounts along. */
	r = mount_change(old, true, 0, 0, MS_SLAVE);
	if (r < 0)
		return err_set(e, ERR_KERNEL, -r, "propagation of the old root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "detach the old root");
	return 0;
}

static bool below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0' || n == 1);
}

/* The kernel writes blanks and backslashes of mountinfo as \040. */
static void unescape(char *s)
{
	char *o = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*o++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*o++ = *s;
		}
	}
	*o = '\0';
}

/* Without pivot_root the old tree stays beneath.  A whole proc or sysfs in it would let a user namespace of the
 * container mount fresh, unmasked ones: the kernel allows that to whoever sees one already. */
static int hide_mount(const char *path, struct err *e)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return err_sys(e, "unmount %s", path);
	if (mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0,nr_inodes=2") < 0)
		return err_sys(e, "cover %s", path);
	return 0;
}

static int hide_line(char *line, const char *root, struct err *e)
{
	char *fields[6] = { NULL }, *type = strstr(line, " - ");

	for (size_t i = 0; i < ARRAY_SIZE(fields) && line; i++)
		fields[i] = strsep(&line, " ");
	if (!type || !fields[4])
		return 0;
	type += 3;
	if (!str_starts(type, "proc ") && !str_starts(type, "sysfs "))
		return 0;
	unescape(fields[4]);
	return below(fields[4], root) ? 0 : hide_mount(fields[4], e);
}

static int hide_others(const char *root, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char *line, *rest;
	int r = fs_read(AT_FDCWD, "/proc/self/mountinfo", (size_t)16 << 20, &text, e);

	for (rest = text.s; r >= 0 && (line = strsep(&rest, "\n")); )
		if (*line)
			r = hide_line(line, root, e);
	return r;
}

static int move_root(struct err *e)
{
	char root[PATH_MAX];
	int r;

	if (sys_getcwd(root, sizeof root) < 0)
		return err_sys(e, "path of the rootfs");
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_sys(e, "propagation of the old root");
	r = hide_others(root, e);
	if (r < 0)
		return r;
	if (mount(root, "/", NULL, MS_MOVE, NULL) < 0)
		return err_sys(e, "move the rootfs to /");
	if (chroot(".") < 0)
		return err_sys(e, "chroot");
	return 0;
}

int rootfs_pivot(int root_fd, bool no_pivot, struct err *e)
{
	int r;

	if (fchdir(root_fd) < 0)
		return err_sys(e, "enter the rootfs");
	r = no_pivot ? move_root(e) : pivot(e);
	if (r < 0)
		return r;
	return chdir("/") < 0 ? err_sys(e, "enter the new root") : 0;
}

int rootfs_set_propagation(const char *propagation, struct err *e)
{
	unsigned long flags;
	int r;

	if (!propagation)
		return 0;
	r = parse_propagation(propagation, &flags, e);
	if (r < 0)
		return r;
	return mount(NULL, "/", NULL, flags, NULL) < 0 ? err_sys(e, "rootfsPropagation %s", propagation) : 0;
}

int rootfs_readonly(struct err *e)
{
	cleanup_fd int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : mount_change(fd, false, MOUNT_ATTR_RDONLY, 0, 0);

	return r < 0 ? err_set(e, ERR_KERNEL, -r, "make the root read-only") : 0;
}
