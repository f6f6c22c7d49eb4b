/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mount calls of Linux 5.2 (open_tree, move_mount) and 5.12 (mount_setattr) with mount(2) where they are
 * missing.  For the files of runtime/linux that mount; nobody else includes it.  Results are 0, a descriptor, or
 * -errno: the callers know the words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "runtime/linux/mount.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

/* A detached clone of the mount (rec: with those below) at the open descriptor, or at a path (dirfd AT_FDCWD). */
int mount_clone(int dirfd, const char *path, bool rec);

/* Attach a detached tree at the descriptor of a mount point; `tree` stays open and is the mount afterwards. */
int mount_move(int tree, int target);

/* Flags (MOUNT_ATTR_*) and propagation (MS_SHARED ..., 0: leave) of a mount by a descriptor of its root.  Without
 * mount_setattr(2) it works only on an attached mount and not recursively on flags. */
int mount_change(int mount, bool rec, uint64_t set, uint64_t clear, uint64_t propagation);

/* Does mount_setattr(2) exist?  Without it flags of a clone must wait until it is attached. */
bool mount_can_change_detached(void);

unsigned long mount_attr_to_ms(uint64_t attr);

/* "nosuid, nodev": the flags among `attrs` that the mount at fd has. */
const char *mount_flag_names(int fd, uint64_t attrs, char *buf, size_t size);

/* What is wished for the top of the tree: recursive options count after the plain ones. */
void mount_merged(const struct mount_wish *w, uint64_t *ret_set, uint64_t *ret_clear);

/* One option of mount_wish.data; value NULL: a flag.  Quotes around a value are left out. */
struct mount_data {
	const char *key, *value;
	size_t key_len, value_len;
};
bool mount_data_next(const char **rest, struct mount_data *ret);
bool mount_is_context(const char *option);

/* mount.c: what mount_attach() does but for remounts; returns the mount's descriptor. */
int mount_place(const struct mount_context *c, const struct mount_wish *w, int source, struct err *e);
int mount_set_propagation(const struct mount_wish *w, int mount, struct err *e);

/* mount_fs.c: a new filesystem as a detached mount.  `over` is its mount point; `was_there`: not made by us.
 * -ENOSYS without an error text where fsopen(2) is missing or cannot express the options: mount_fs_old() does. */
int mount_fs_new(const struct mount_context *c, const struct mount_wish *w, int over, bool was_there, uint64_t set,
		 struct err *e);
int mount_fs_old(const struct mount_context *c, const struct mount_wish *w, int over, uint64_t set, struct err *e);
int mount_fs_reconfigure(const struct mount_wish *w, int mount, struct err *e);
/* A user namespace descriptor for the wish's id mapping: a new one or a copy. */
int mount_idmap_fd(const struct mount_wish *w, int procfs, int userns_fd, struct err *e);
int mount_idmap_set(int tree, int userns, bool rec, const char *name, struct err *e);

/* mount_copy.c: copy what is in a directory to an empty one: files, directories, links, nodes with their owners,
 * modes, times and extended attributes.  Does not enter other mounts. */
int mount_copy_up(int from, int to, struct err *e);
