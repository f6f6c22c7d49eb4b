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
	const char *target;      /* absolute inside the container and cleaned; relative ones were prefixed with "/" */
	const char *fs;          /* filesystem type; NULL for a bind */
	const char *source;
	bool bind, rec;          /* bind, rbind */
	uint64_t attr_set, attr_clr;         /* MOUNT_ATTR_* of this mount; only what the options name */
	uint64_t rec_set, rec_clr;           /* rro, rnosuid, ...: recursively */
	uint64_t propagation[2];             /* MS_PRIVATE ..., [1] is with MS_REC; 0: leave */
	unsigned long sb_flags, sb_clear;    /* MS_SYNCHRONOUS and the like, for the superblock */
	bool remount;
	bool tmpcopyup;
	bool idmap, idmap_rec;               /* idmap or ridmap, or mappings given */
	const struct oci_idmaps *uid_map, *gid_map; /* NULL: the container's user namespace's */
	const char *data;                    /* what no table knows, comma-separated: the filesystem's own options; a
						value with commas (an SELinux context) stands in double quotes */
};

/* Pointer is the JSON pointer of the mount ("/mounts/3") for errors. */
int mount_compile(const struct oci_mount *m, const char *pointer, struct mount_wish *ret, struct arena *a,
		  struct err *e);

/* Names of all options known, for `features`; NULL-terminated, sorted. */
const char *const *mount_option_names(void);

/* The mount points of the host are peers of such a clone: without a propagation option it becomes a slave.
 *
 * Clone the source of a bind as a detached tree, id-mapped and with its flags.  `userns_fd`: the container's user
 * namespace for "idmap" without mappings (-1: none).  `locked`: the caller is in a user namespace, so flags of the source that
 * are locked are kept (error text names them when the document clears them).  Returns the descriptor. */
int mount_source(const struct mount_wish *w, int procfs, int userns_fd, bool locked, struct err *e);

/* From here on in a mount namespace of its own, in which no symbolic link at or below the directory leads anywhere: for who reads, by
 * names, what a container changes meanwhile.  readlink(2) goes on.  EINVAL or ENOSYS before Linux 5.14. */
int mount_without_links(const char *dir, struct err *e);

struct mount_context {
	int root_fd;             /* the container's root, attached in our mount namespace */
	int procfs;
	int userns_fd;           /* or -1 */
	bool in_userns;
	bool own_net, own_pid, own_ipc; /* not the host's: decides whether the host's sysfs, proc, mqueue may stand in */
	const char *label;       /* linux.mountLabel, or NULL */
};

/* Attach one wish.  `source` is what mount_source() returned (taken over, also on failure), or -1: a new filesystem, or a bind
 * that is cloned here.  Makes the mount point when it is missing (a directory, or a file for a bind of a file; parents
 * 0755).  Refuses targets below /proc but for the list in oci-contract 5.2, and /proc and /sys that are not
 * ordinary directories.  A tmpfs over an existing directory takes its mode and owner unless mode=, uid= or gid= say
 * otherwise.  sysfs, proc and mqueue that the kernel refuses because the container shares that namespace with the host become
 * a bind of the host's with the flags of the document on all of it: before the root is switched, that is.
 * A tmpfs with `ro` must stay writable while the container is set up (mount points, /dev): it is attached writable,
 * mount_attach() returns 1 to say so, and mount_finalise() makes it read-only. */
int mount_attach(const struct mount_context *c, const struct mount_wish *w, int source, struct err *e);
int mount_finalise(const struct mount_context *c, const struct mount_wish *w, struct err *e);

/* What a mount of type "cgroup" becomes.  One view named "": the mount itself (cgroup v2).  Otherwise a tmpfs with a
 * directory for each view and the links that lead to it. */
struct mount_view {
	const char *name;         /* directory: "cpu,cpuacct" */
	const char *fs;           /* "cgroup" or "cgroup2": a new mount, as a cgroup namespace shows it; NULL: only the bind */
	const char *options;      /* of the new mount: "cpu,cpuacct", "none,name=systemd", "nsdelegate" */
	int source;               /* a detached clone (open_tree) of the container's own cgroup directory, attached without
				     `fs` or where the kernel refuses the new mount (EPERM, EBUSY); -1: none */
	const char *const *links; /* "cpu", "cpuacct"; NULL-terminated, may be NULL */
};

/* `w` is the document's mount: target, flags (`ro` holds for all parts, last of all for the tmpfs) and propagation. */
int mount_cgroup_views(const struct mount_context *c, const struct mount_wish *w, const struct mount_view *views, size_t n,
		       struct err *e);

/* Bind a detached clone of the open file or directory `fd` onto a path in the root (devices, resolv.conf, masks). */
int mount_bind_fd(int root_fd, int fd, const char *target, uint64_t attr_set, struct err *e);
