// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/fd.h"

#include <fcntl.h>
#include <stdio.h>

struct fd_path fd_path(int fd)
{
	struct fd_path p;

	snprintf(p.s, sizeof p.s, "/proc/self/fd/%d", fd);
	return p;
}

DIR *dir_open(int dirfd, const char *name)
{
	cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		fd_take(&fd);
	return d;
}
