/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files relative to a directory descriptor.  `what` names the place in the error text. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"

/* Read a whole file (proc, sysfs, cgroup or regular) of at most `max` bytes.  Returns 0. */
int fs_read(int dirfd, const char *path, size_t max, struct str *ret, struct err *e);
int fs_read_fd(int fd, size_t max, const char *what, struct str *ret, struct err *e);

/* One write(2) of the whole text: what procfs, sysfs and cgroup files want. */
int fs_write(int dirfd, const char *path, const char *text, struct err *e);
int fs_write_fd(int fd, const void *data, size_t len, const char *what, struct err *e);

/* Create or replace a file so that a reader sees the old text or the new one, never a part: a temporary name in
 * the same directory, then rename(2).  No fsync: state lives on a tmpfs. */
int fs_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e);

/* How much of the path is there: its own length, or that of the nearest directory above; 0: nothing that it names. */
size_t fs_found(const char *path);

/* mkdir -p; every new directory gets `mode`. */
int fs_mkdir_all(const char *path, mode_t mode, struct err *e);

/* rm -rf of one entry below dirfd without following links or crossing into other mounts.  A missing entry is
 * success.  However deep it is, two descriptors do. */
int fs_remove_tree(int dirfd, const char *name, struct err *e);
int fs_remove_path(const char *path, struct err *e); /* the same, of an absolute path */
