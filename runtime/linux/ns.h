/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Namespaces: making, joining, checking. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

struct clone_options {
	uint64_t flags;   /* CLONE_NEW*, CLONE_PARENT */
	int cgroup_fd;    /* CLONE_INTO_CGROUP, or -1 */
	bool want_pidfd;
};

/* Raw clone3(2), as fork: returns 0 in the child, the pid in the parent.  exit_signal is SIGCHLD, but 0 with
 * CLONE_PARENT, which must inherit it.  No libc handlers run: the child calls only our code. */
pid_t clone_process(const struct clone_options *o, int *ret_pidfd, struct err *e);

/* Open the namespace file and make sure (NS_GET_NSTYPE) that it is of this type. */
int ns_open(const char *path, int64_t type, struct err *e);
int ns_join(int fd, int64_t type, struct err *e); /* setns; text names the type */
int ns_unshare(uint64_t flags, struct err *e);    /* text names the types */

/* Is `path` (or, NULL, the caller's own) the same namespace as the caller's own of that type? */
bool ns_is_own(const char *path, int64_t type);
bool ns_is_same(const char *path, const char *other);
const char *ns_type_name(int64_t type); /* "mnt" */

/* Calls `fn` in a child of ours that has entered these namespaces (CLONE_NEW*) of the process, and waits for its end; what
 * it leaves in the `size` bytes of `arg` comes back.  Namespaces that the process shares with us are refused: they are the
 * host's.  A plain user enters the user namespace as well, which is what gives him the right.  The child is killed after
 * some seconds: it may meet a file system whose server does not answer. */
int ns_call(pid_t pid, int pidfd, int64_t types, int (*fn)(void *arg, struct err *e), void *arg, size_t size,
	    struct err *e);

/* After unshare(CLONE_NEWTIME), before the fork that enters it: "monotonic S NS\nboottime S NS\n". */
int ns_time_offsets(int procfs, const struct oci_time_offsets *offsets, struct err *e);

/* hostname and domainname of the current UTS namespace. */
int ns_hostname(const char *hostname, const char *domainname, struct err *e);

/* Turn the id maps into a text of the kernel's format.  Write them for process `pid`: gid_map and setgroups first.
 * As root (CAP_SETUID, CAP_SETGID) directly; otherwise newuidmap and newgidmap from PATH, or, for one line that
 * maps our own id, directly with setgroups denied. */
int idmap_write(int procfs, pid_t pid, const struct oci_idmaps *uid, const struct oci_idmaps *gid, struct err *e);

/* A user namespace with these maps, for MOUNT_ATTR_IDMAP: a short-lived child makes it. */
int idmap_userns(int procfs, const struct oci_idmaps *uid, const struct oci_idmaps *gid, struct err *e);

/* The id outside that `id` inside has under these maps, or -1. */
int64_t idmap_to_host(const struct oci_idmaps *maps, uint32_t id);
