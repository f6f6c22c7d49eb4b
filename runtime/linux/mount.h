/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mounts of a container.
 *
 * A mount of the document is compiled (mount_compile(): pure, golden-tested) into a struct mount_wish.  Sources of
 * bind mounts are cloned as detached trees BEFORE the root is switched, with flags and id mapping applied
 * (mount_source()); filesystems that belong to the container's namespaces (proc, sysfs, mqueue, devpts, tmpfs, cgroup2)
 * are made by init with fsopen (mount_attach() does).  Targets are resolved inside the root by descriptor.  After the
 * root is switched nothing is ever opened by a host path again.
 *
 * Where the new mount API is missing a piece (Linux before 5.12: mount_setattr), mount(2) on /proc/self/fd/N is used. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct mount_wish {
	const char *target;      /* absolute inside the container; relative ones were prefixed with "/" */
	const char *fs;          /* filesystem type; NULL for a bind */
	const char *source;
	bool bind, rec;          /* bind, rbind */
	uint64_t attr_set, attr_clr;         /* MOUNT_ATTR_* of this mount; only what the options name */
	uint64_t rec_set, rec_clr;           /* rro, rnosuid, ...: recursively */
	uint64_t propagation[2];             /* MS_PRIVATE ..., [1] is with MS_REC; 0: leave */
	unsigned long sb_flags;              /* MS_SYNCHRONOUS and the like, for the superblock */
	bool remount;
	bool tmpcopyup;
	bool idmap, idmap_rec;               /* idmap or ridmap, or mappings given */
	const struct oci_idmaps *uid_map, *gid_map; /* NULL: the container's user namespace's */
	const char *data;                    /* what no table knows, comma-separated: the filesystem's own options */
	const char *label_key;               /* "context" when an SELinux mount label applies, else NULL */
};

/* Pointer is the JSON pointer of the mount ("/mounts/3") for errors. */
int mount_compile(const struct oci_mount *m, const char *pointer, struct mount_wish *ret, struct arena *a,
		  struct err *e);

/* Names of all options known, for `features`; NULL-terminated, sorted. */
const char *const *mount_option_names(void);

/* Clone the source of a bind as a detached tree, id-mapped and with its flags.  `userns_fd`: the container's user
 * namespace for "idmap" without mappings (-1: none).  `locked`: the caller is in a user namespace, so flags of the source that
 * are locked are kept (error text names them when the document clears them).  Returns the descriptor. */
int mount_source(const struct mount_wish *w, int procfs, int userns_fd, bool locked, struct err *e);

struct mount_context {
	int root_fd;             /* the container's root, attached in our mount namespace */
	int procfs;
	int userns_fd;           /* or -1 */
	bool in_userns;
	bool own_net, own_pid, own_ipc; /* new or joined namespaces: decides on the sysfs fallback */
	const char *label;       /* linux.mountLabel, or NULL */
};

/* Attach one wish.  `source` is what mount_source() returned (taken over), or -1 for a new filesystem.  Makes the
 * mount point when it is missing (a directory, or a file for a bind of a file; parents 0755).  Refuses targets below
 * /proc but for the list in oci-contract 5.2, and /proc and /sys that are not ordinary directories.
 * A tmpfs over an existing directory takes its mode and owner unless mode=, uid= or gid= say otherwise.
 * Mounts that must stay writable while the container is set up (root of /dev) are made read-only by
 * mount_finalise(): mount_attach() leaves `ro` off a tmpfs at /dev and returns 1 to say so. */
int mount_attach(const struct mount_context *c, const struct mount_wish *w, int source, struct err *e);
int mount_finalise(const struct mount_context *c, const struct mount_wish *w, struct err *e);

/* Bind a detached clone of the open file or directory `fd` onto a path in the root (devices, resolv.conf, masks). */
int mount_bind_fd(int root_fd, int fd, const char *target, uint64_t attr_set, struct err *e);
