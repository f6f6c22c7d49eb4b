/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /proc/PID/mountinfo (proc(5)): the mounts that a process sees. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct mountinfo {
	uint64_t id, parent;
	unsigned major, minor;            /* of the superblock, which is not always st_dev of its files (btrfs) */
	const char *root, *point;         /* in the file system; where the process sees it */
	const char *options, *optional;   /* of the mount; "shared:1 master:2" */
	const char *fs, *source, *super;  /* type, what it was mounted from, options of the superblock */
};

struct mountinfos {
	struct mountinfo *v;
	size_t n;
};

/* In place; options of the superblock are left to who cuts them into pieces. */
char *mountinfo_unescape(char *text);

/* One line, which is cut into pieces and unescaped in place. */
bool mountinfo_parse(char *line, struct mountinfo *ret);

/* In the order of the kernel: what covers another comes later.  `pid` 0: ours. */
int mountinfo_read(pid_t pid, struct mountinfos *ret, struct arena *a, struct err *e);

/* The part of a path behind a directory that it is in or is: "/a/b" in "/a" is "/b", "" for itself, NULL when it is elsewhere. */
const char *path_below(const char *dir, const char *path);

/* Where `seen` shows this place of a file system, NULL: nowhere. */
const char *mountinfo_locate(const struct mountinfos *seen, const struct mountinfo *m, struct arena *a);

/* Whether a mount of the same superblock is among them. */
bool mountinfo_has_device(const struct mountinfos *seen, const struct mountinfo *m);
