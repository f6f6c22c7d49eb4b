/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors that close themselves.  `cleanup_fd int fd = open(...)` closes on every way out, keeps errno and
 * does nothing when negative; fd_take() hands the descriptor over.  Every descriptor of vzrun is CLOEXEC at
 * birth. */

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

static inline void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd); /* never again on EINTR: on Linux the descriptor is gone already */
	*fd = -1;
	errno = saved;
}

static inline int fd_take(int *fd)
{
	int n = *fd;

	*fd = -1;
	return n;
}

static inline void dir_close(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	*d = NULL;
	errno = saved;
}

/* The directory of that name, which may be "." but no link; NULL, and errno. */
DIR *dir_open(int dirfd, const char *name);

#define cleanup_fd __attribute__((cleanup(fd_close)))
#define cleanup_dir __attribute__((cleanup(dir_close)))

/* "/proc/self/fd/N" for calls that take only a path.  The caller makes sure that /proc is the host's own. */
struct fd_path {
	char s[32];
};
struct fd_path fd_path(int fd);
