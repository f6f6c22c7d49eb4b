// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/cover.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount_api.h"
#include "runtime/linux/ns.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#define ROOT_INODE 1 /* of procfs and of sysfs */
#define LAYERS 16    /* mounts on one file that are looked at: somebody inside may add more meanwhile */

struct job {
	dev_t host; /* its /proc */
	size_t n;
	struct cover v[COVER_MAX];
};

enum layer { LAYER_BARE, LAYER_FUSE, LAYER_DEAD, LAYER_OTHER };

/* /proc or /sys of the container, whose root is ours now.  Each pid namespace has a procfs of its own, so one that is the
 * host's was bound, and what is mounted there might show up on the host. */
static int open_top(const char *target, dev_t host, const char **ret_rest, long *ret_type)
{
	static const struct {
		const char *dir;
		long type;
	} tops[] = { { "/proc", PROC_SUPER_MAGIC }, { "/sys", SYSFS_MAGIC } };

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		size_t len = strlen(tops[i].dir);
		struct statfs fs;
		struct stat st;

		if (!str_starts(target, tops[i].dir) || target[len] != '/')
			continue;
		cleanup_fd int fd = open(tops[i].dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != tops[i].type)
			return -1;
		if (fstat(fd, &st) < 0 || st.st_ino != ROOT_INODE || st.st_dev == host)
			return -1;
		*ret_rest = target + len + 1;
		*ret_type = tops[i].type;
		return fd_take(&fd);
	}
	return -1;
}

/* The directory of the target; its name in *ret_name.  Below zero: there is no such place in this container. */
static int open_parent(const char *target, dev_t host, const char **ret_name, long *ret_type)
{
	const char *rest, *slash;
	char dirs[PATH_MAX];
	struct err ignored;

	cleanup_fd int top = open_top(target, host, &rest, ret_type);
	if (top < 0)
		return -1;
	slash = strrchr(rest, '/');
	*ret_name = slash ? slash + 1 : rest;
	if (!slash)
		return fd_take(&top);
	snprintf(dirs, sizeof dirs, "%.*s", (int)(slash - rest), rest);
	return path_open_strict(top, dirs, O_PATH | O_DIRECTORY, &ignored);
}

static bool is_dead(int error)
{
	return error == ENOTCONN || error == ECONNABORTED || error == ECONNREFUSED;
}

static enum layer look(int fd, long bare)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return is_dead(errno) ? LAYER_DEAD : LAYER_OTHER;
	return fs.f_type == bare ? LAYER_BARE : fs.f_type == FUSE_SUPER_MAGIC ? LAYER_FUSE : LAYER_OTHER;
}

/* By the directory's descriptor and one component: umount2 knows no descriptors. */
static int take_away(int parent, const char *name, struct err *e)
{
	if (fchdir(parent) < 0 || umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return err_sys(e, "unmount");
	return 0;
}

static int attach(int tree, int target, struct err *e)
{
	int r = mount_move(tree, target);

	return r < 0 ? err_set(e, ERR_KERNEL, -r, "attach") : 0;
}

static int change_one(struct cover *c, dev_t host, struct err *e)
{
	const char *name;
	long type;
	cleanup_fd int parent = open_parent(c->target, host, &name, &type);

	c->there = false;
	for (int i = 0; parent >= 0 && i < LAYERS; i++) {
		cleanup_fd int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		enum layer layer = fd < 0 ? LAYER_OTHER : look(fd, type);

		if (layer == LAYER_OTHER || (layer == LAYER_BARE && c->tree < 0))
			return 0;
		if (layer == LAYER_BARE || (layer == LAYER_FUSE && c->tree >= 0)) {
			c->there = true;
			return layer == LAYER_BARE ? attach(c->tree, fd, e) : 0;
		}
		if (take_away(parent, name, e) < 0)
			return err_ret(e);
	}
	return 0;
}

static int change_all(void *arg, struct err *e)
{
	struct job *job = arg;

	for (size_t i = 0; i < job->n; i++)
		if (change_one(&job->v[i], job->host, e) < 0)
			return err_wrap(e, "%s", job->v[i].target);
	return 0;
}

int cover_change(pid_t pid, int pidfd, struct cover *list, size_t n, struct err *e)
{
	struct job job = { .n = n };
	struct stat st;

	if (n > COVER_MAX)
		return err_set(e, ERR_INTERNAL, 0, "too many files");
	if (stat("/proc", &st) < 0)
		return err_sys(e, "/proc");
	job.host = st.st_dev;
	memcpy(job.v, list, n * sizeof *list);
	if (ns_call(pid, pidfd, CLONE_NEWNS, change_all, &job, sizeof job, e) < 0)
		return err_ret(e);
	memcpy(list, job.v, n * sizeof *list);
	return 0;
}
