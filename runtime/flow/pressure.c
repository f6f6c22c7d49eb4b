// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/pressure.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

static bool is_pressure(const char *path)
{
	return str_ends(path, ".pressure") || strstr(path, "/pressure/");
}

/* The container chooses what stands under such a name: it gets a line that it could write itself, and no other file than the kernel's. */
static void rearm(int pidfd, int number)
{
	cleanup_fd int fd = sys_pidfd_getfd(pidfd, number, 0);
	struct statfs fs;

	if (fd < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY || fstatfs(fd, &fs) < 0)
		return;
	if (fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != PROC_SUPER_MAGIC)
		return;
	/* EBUSY: it has one, another process with the same descriptor came first. */
	if (write(fd, PRESSURE_TRIGGER, sizeof PRESSURE_TRIGGER) < 0)
		return;
}

static void rearm_all(pid_t pid)
{
	cleanup_fd int pidfd = sys_pidfd_open(pid, 0);
	char path[64], target[PATH_MAX];

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	cleanup_dir DIR *dir = pidfd < 0 ? NULL : opendir(path);
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		target[n < 0 ? 0 : n] = '\0';
		if (is_pressure(target))
			rearm(pidfd, atoi(entry->d_name));
	}
}

void pressure_rearm(const struct cgroup *cg)
{
	cleanup_arena struct arena a = { 0 };
	struct err ignored;
	pid_t *pids;
	size_t n;

	if (cgroup_pids(cg, &pids, &n, &a, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		rearm_all(pids[i]);
}
