/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths inside a root that somebody else controls.
 *
 * Nothing inside a container's root is ever opened by name from the outside: every path is resolved by the
 * kernel with openat2(RESOLVE_IN_ROOT) from a descriptor of the root, or, where that call is missing or
 * forbidden, by a walk that opens one component after the other without following links and counts the links it
 * resolves itself.  The results are O_PATH descriptors: mount on them by descriptor, never by name again
 * (CVE-2019-18837, 2021-30465, 2024-45310, 2026-41579). */

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/base/err.h"

/* Open `path` inside the root.  `flags` as for open(2); O_CLOEXEC is added.  Returns the descriptor. */
int path_open(int root_fd, const char *path, int flags, struct err *e);

/* As path_open(), without an error text: returns the descriptor or -errno.  For callers that go on without. */
int path_try_open(int root_fd, const char *path, int flags);

/* The same, but a symlink anywhere in the path is an error (ELOOP), and so is leaving the mount (EXDEV). */
int path_open_strict(int dirfd, const char *path, int flags, struct err *e);

/* The same, but other mounts are entered: for what the host mounted below a directory whose files are somebody else's. */
int path_open_linkless(int dirfd, const char *path, int flags, struct err *e);

/* Open a directory inside the root and make what is missing of it, component by component; a dangling symlink
 * on the way is followed inside the root and its target is made.  New directories get `mode` less the umask. */
int path_mkdir_all(int root_fd, const char *path, mode_t mode, struct err *e);

/* The same for a file: parents are directories, the last component an empty regular file.  Returns an O_PATH
 * descriptor of what is there, whatever its type. */
int path_create_file(int root_fd, const char *path, mode_t dir_mode, mode_t file_mode, struct err *e);

/* The same two for a path that was just found missing: they save looking again.  path_make_dir() does not
 * accept what is no directory. */
int path_make_dir(int root_fd, const char *path, mode_t mode, struct err *e);
int path_make_file(int root_fd, const char *path, mode_t dir_mode, mode_t file_mode, struct err *e);

/* Split off the last component of an absolute or relative path inside a root: opens (and, when mode is not 0,
 * makes) the parent and gives the name.  ".", ".." and "" are refused.  Returns the parent's descriptor. */
int path_open_parent(int root_fd, const char *path, mode_t mode, char *ret_name, size_t size, struct err *e);

/* Do both descriptors stand on one mount?  No where the kernel cannot tell (before 5.8). */
bool path_same_mount(int a, int b);

/* Clean "a//b/./c/../d" by text ("/.." is "/", a leading ".." of a relative path stays): only for paths of a document, never for what a container can link. */
int path_clean(const char *path, char *buf, size_t size);
