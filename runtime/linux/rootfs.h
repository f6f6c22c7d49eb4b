/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The root file system: entering it, its /dev, its masked and read-only paths.  All of it runs in init. */

#include <stdbool.h>
#include <stdint.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

struct rootfs_options {
	const char *path;          /* absolute, checked: a directory, not a symlink */
	const char *propagation;   /* linux.rootfsPropagation or NULL: the namespace is made rslave first */
};

/* In init's mount namespace: stop propagation to the host, clone the root as a mount of its own and attach it over
 * itself.  Returns a descriptor of it. */
int rootfs_enter(const struct rootfs_options *o, struct err *e);

/* Make it "/": pivot_root(".", ".") and detach the old root; or, with no_pivot (initramfs), MS_MOVE and chroot after everything
 * else visible was unmounted or made unreachable (runc's --no-pivot).  Afterwards cwd is "/". */
int rootfs_pivot(int root_fd, bool no_pivot, struct err *e);
int rootfs_set_propagation(const char *propagation, struct err *e); /* after the pivot, shared/slave/private/unbindable */
int rootfs_readonly(struct err *e);                                 /* "/" read-only, flags kept */

/* /dev: default nodes, document's devices, symlinks, ptmx.  Not to be called when the document binds something on /dev: what is there
 * belongs to the host.  `bind`: nodes cannot be made (user namespace): host nodes are bound,
 * from `host_dev`, an O_PATH descriptor of the host's /dev opened in this mount namespace (-1: /dev is opened here, so before the pivot).  All on a descriptor of /dev opened inside the root
 * (CVE-2026-41579, 2026-47766). */
int dev_create(int root_fd, const struct oci_devices *devices, bool bind, int host_dev, struct err *e);

/* One more or less below /dev of a container that lives; called inside its mount namespace.  `tree`: a detached clone of the host's
 * node, to be bound where a node that is made could not be opened (user namespace); -1: it is made.  What is there and is
 * another device is refused, or left alone; what is there and is the same stays as it is, and was not made. */
int dev_clone(const char *path, struct err *e); /* of the host, before that */
int dev_add(int root_fd, const struct oci_device *device, int tree, bool *ret_made, struct err *e);
int dev_remove(int root_fd, const struct oci_device *device, struct err *e);

/* Masked paths: a file is covered by a verified /dev/null (char 1:3), a directory by one read-only empty tmpfs that
 * all share.  Missing paths are fine; anything else that fails is an error (CVE-2025-31133).  Read-only paths: one descriptor per target for clone, flags and
 * attach, and what is mounted below keeps its flags.  After the pivot: "/" is the container's. */
int mask_paths(const struct oci_strs *paths, const char *label, struct err *e);
int readonly_paths(const struct oci_strs *paths, struct err *e);
