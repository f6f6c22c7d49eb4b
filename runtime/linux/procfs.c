// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/procfs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"

/* The kernel's PROC_ROOT_INO. */
#define ROOT_INODE 1

static int open_private(void)
{
	cleanup_fd int fs = sys_fsopen("proc", FSOPEN_CLOEXEC);

	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static bool is_proc_root(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(fd, &st) == 0 &&
	       st.st_ino == ROOT_INODE;
}

int procfs_open(struct err *e)
{
	cleanup_fd int fd = open_private(); /* made by us this moment: needs no check */

	if (fd >= 0)
		return fd_take(&fd);
	/* Without the right to mount proc (a masked /proc: the kernel would reveal what is hidden).  The clone leaves
	 * behind what is mounted over parts of /proc. */
	fd = sys_open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /proc");
	if (!is_proc_root(fd))
		return err_set(e, ERR_UNSUPPORTED, 0, "/proc is not a procfs");
	return fd_take(&fd);
}

/* The links "self" and "thread-self" by their text, so that the walk follows none. */
static int expand_self(int procfs, const char *path, char *buf, size_t size)
{
	static const char *const links[] = { "self", "thread-self" };

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		size_t n = strlen(links[i]);
		char target[64];
		ssize_t len;

		if (strncmp(path, links[i], n) != 0 || (path[n] && path[n] != '/'))
			continue;
		len = readlinkat(procfs, links[i], target, sizeof target);
		if (len < 0)
			return -errno;
		return snprintf(buf, size, "%.*s%s", (int)len, target, path + n) >= (int)size ? -ENAMETOOLONG : 0;
	}
	return snprintf(buf, size, "%s", path) >= (int)size ? -ENAMETOOLONG : 0;
}

/* openat2 by hand: one component after the other, no link, no other mount. */
static int walk(int procfs, const char *path, int flags)
{
	cleanup_fd int at = -1;
	char buf[PATH_MAX], *rest = buf, *name;
	int r = expand_self(procfs, path, buf, sizeof buf);

	if (r < 0)
		return r;
	while ((name = strsep(&rest, "/"))) {
		int from = at >= 0 ? at : procfs;
		int fd;

		if (!*name || strcmp(name, "..") == 0)
			return -EXDEV;
		fd = openat(from, name, (rest ? O_PATH | O_DIRECTORY : flags) | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		fd_close(&at);
		at = fd;
		if (!path_same_mount(at, procfs))
			return -EXDEV;
	}
	return fd_take(&at);
}

int procfs_open_file(int procfs, const char *path, int flags, struct err *e)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd = sys_openat2(procfs, path, &how);

	if (fd >= 0)
		return fd;
	fd = -errno;
	/* A filter that forbids openat2 answers EPERM, and so may a file: the walk tells them apart. */
	if (fd == -ENOSYS || fd == -EPERM)
		fd = walk(procfs, path, flags);
	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "open /proc/%s", path) : fd;
}

int procfs_write(int procfs, const char *path, const char *text, struct err *e)
{
	cleanup_fd int fd = procfs_open_file(procfs, path, O_WRONLY, e);
	int r;

	if (fd < 0)
		return fd;
	r = fs_write_fd(fd, text, strlen(text), path, e);
	return r < 0 ? err_set(e, ERR_KERNEL, e->num, "write /proc/%s", path) : 0;
}
