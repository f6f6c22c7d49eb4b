/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A procfs that nobody else can touch.
 *
 * What a container can mount over must never take a label, a sysctl or an id map (CVE-2019-16884, 2019-19921,
 * 2023-28642, 2025-52881): these writes go through a detached procfs of our own (fsopen + fsmount), or, where the
 * kernel refuses that (nested containers with a masked /proc), a non-recursive clone of /proc, or /proc itself;
 * each is checked by its magic number and root inode. */

#include "runtime/base/err.h"

/* The root of a procfs of the caller's pid namespace, O_PATH-like, CLOEXEC. */
int procfs_open(struct err *e);

/* Open a plain file below it, e.g. "thread-self/attr/exec", "1234/uid_map", "sys/net/ipv4/ip_forward": no symlink
 * but procfs's own self and thread-self, no other mount, and the file is procfs's. */
int procfs_open_file(int procfs, const char *path, int flags, struct err *e);
int procfs_write(int procfs, const char *path, const char *text, struct err *e);
