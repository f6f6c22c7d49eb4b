// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/mount_api.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#ifndef ST_RELATIME
#define ST_RELATIME 4096
#endif
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif

/* One flag in the three vocabularies: mount_setattr(2), mount(2), statfs(2). */
static const struct flag {
	uint64_t attr;
	unsigned long ms, st;
	const char *name;
} flags[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY, ST_RDONLY, "ro" },
	{ MOUNT_ATTR_NOSUID, MS_NOSUID, ST_NOSUID, "nosuid" },
	{ MOUNT_ATTR_NODEV, MS_NODEV, ST_NODEV, "nodev" },
	{ MOUNT_ATTR_NOEXEC, MS_NOEXEC, ST_NOEXEC, "noexec" },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME, ST_NODIRATIME, "nodiratime" },
	{ MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW, ST_NOSYMFOLLOW, "nosymfollow" },
};

int mount_clone(int dirfd, const char *path, bool rec)
{
	unsigned how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (rec ? AT_RECURSIVE : 0U);
	int fd = path ? sys_open_tree(dirfd, path, how) : sys_open_tree(dirfd, "", how | AT_EMPTY_PATH);

	return fd < 0 ? -errno : fd;
}

int mount_move(int tree, int target)
{
	int r = sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);

	return r < 0 ? -errno : 0;
}

static unsigned long atime_to_ms(uint64_t attr)
{
	switch (attr & MOUNT_ATTR__ATIME) {
	case MOUNT_ATTR_NOATIME:
		return MS_NOATIME;
	case MOUNT_ATTR_STRICTATIME:
		return MS_STRICTATIME;
	default:
		return MS_RELATIME;
	}
}

unsigned long mount_attr_to_ms(uint64_t attr)
{
	unsigned long ms = attr & MOUNT_ATTR__ATIME ? atime_to_ms(attr) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (attr & flags[i].attr)
			ms |= flags[i].ms;
	return ms;
}

static int present_flags(int fd, uint64_t *ret)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if ((unsigned long)fs.f_flags & flags[i].st)
			*ret |= flags[i].attr;
	if (fs.f_flags & ST_NOATIME)
		*ret |= MOUNT_ATTR_NOATIME;
	else if (!(fs.f_flags & ST_RELATIME))
		*ret |= MOUNT_ATTR_STRICTATIME;
	return 0;
}

const char *mount_flag_names(int fd, uint64_t attrs, char *buf, size_t size)
{
	uint64_t have = 0;
	size_t o = 0;

	buf[0] = '\0';
	if (present_flags(fd, &have) < 0)
		return buf;
	for (size_t i = 0; i < ARRAY_SIZE(flags) && o < size; i++)
		if (have & attrs & flags[i].attr)
			o += (size_t)snprintf(buf + o, size - o, "%s%s", o ? ", " : "", flags[i].name);
	if (attrs & MOUNT_ATTR__ATIME && o < size)
		snprintf(buf + o, size - o, "%s%s", o ? ", " : "",
			 have & MOUNT_ATTR_NOATIME ? "noatime" : have & MOUNT_ATTR_STRICTATIME ? "strictatime" : "relatime");
	return buf;
}

/* mount(2) takes paths: the descriptor by way of a /proc that must be one. */
static int change_old(int mount_fd, bool rec, uint64_t set, uint64_t clear, uint64_t propagation)
{
	struct fd_path path = fd_path(mount_fd);
	unsigned long deep = rec ? MS_REC : 0;
	struct statfs fs;
	uint64_t now = 0;
	int r;

	if (statfs("/proc/self/fd", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return -ENOSYS;
	if (propagation && mount(NULL, path.s, NULL, propagation | deep, NULL) < 0)
		return -errno;
	if (!set && !clear)
		return 0;
	if (rec)
		return -ENOSYS;
	/* A bind remount sets all flags: name those that are there. */
	r = present_flags(mount_fd, &now);
	if (r < 0)
		return r;
	now = (now & ~clear) | set;
	if (mount(NULL, path.s, NULL, MS_REMOUNT | MS_BIND | mount_attr_to_ms(now) | atime_to_ms(now), NULL) < 0)
		return -errno;
	return 0;
}

int mount_change(int mount_fd, bool rec, uint64_t set, uint64_t clear, uint64_t propagation)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };

	if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH | (rec ? AT_RECURSIVE : 0U), &attr, sizeof attr) == 0)
		return 0;
	if (errno != ENOSYS)
		return -errno;
	return change_old(mount_fd, rec, set, clear, propagation);
}

bool mount_can_change_detached(void)
{
	static int known; /* 1: yes, -1: no */

	if (!known)
		known = sys_mount_setattr(-1, "", 0, NULL, 0) < 0 && errno == ENOSYS ? -1 : 1;
	return known > 0;
}

void mount_merged(const struct mount_wish *w, uint64_t *ret_set, uint64_t *ret_clear)
{
	uint64_t set = w->attr_set, clear = w->attr_clr;

	if (w->rec_clr & MOUNT_ATTR__ATIME)
		set &= ~(uint64_t)MOUNT_ATTR__ATIME;
	*ret_set = (set & ~w->rec_clr) | w->rec_set;
	*ret_clear = (clear & ~(w->rec_set & ~(uint64_t)MOUNT_ATTR__ATIME)) | w->rec_clr;
}
