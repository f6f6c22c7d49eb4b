/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files of a FUSE file system over files of /proc and /sys, changed from outside in a container that lives.
 *
 * A mount whose server has gone answers ENOTCONN for ever, and can only be replaced.  Nothing inside is trusted: the target
 * must be a file of a procfs or sysfs that is mounted on the container's /proc or /sys, found without any link and without
 * leaving that mount (CVE-2019-19921), and only mounts of FUSE are taken away. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/base/err.h"

#define COVER_MAX 16

struct cover {
	const char *target; /* "/proc/meminfo", "/sys/devices/system/cpu/online" */
	int tree;           /* a detached clone, which replaces a dead mount, covers a bare file and leaves what works;
			       -1: what lies there is taken away */
	bool there;         /* the answer: a mount of FUSE that is not dead lies there now */
};

int cover_change(pid_t pid, int pidfd, struct cover *list, size_t n, struct err *e);
