/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a container has from outside, learned from the kernel and not from its document alone: what hooks and engines mounted
 * is there as well. */

#include <stdbool.h>
#include <sys/types.h>

#include "oci/image.h"
#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

/* All mounts of the container's process 1, but its root.  External are those of the document's binds, and those of file systems
 * that this host has mounted too, unless they are made anew by everybody (sysfs) or lie in the container's own root. */
int externals_mounts(pid_t pid, const struct oci_spec *spec, struct oci_image_mounts *ret, struct arena *a, struct err *e);

/* The standard streams of process 1: what they are (*ret_what: "pipe:[123]"), and, where that is a file or a device from outside, the
 * name by which CRIU can be told so (*ret_keys: "file[1a:2b]", else "").  `given` is what it began with (externals_own_streams()). */
int externals_stdio(pid_t pid, const struct oci_strs *given, struct oci_strs *ret_what, struct oci_strs *ret_keys, struct arena *a, struct err *e);

/* Of our own standard streams those that a container is given: "pipe:[123]", "socket:[4]", "file[1a:2b]"; "" for the rest. */
int externals_own_streams(bool (*given)(int fd, const void *arg), const void *arg, struct oci_strs *ret, struct arena *a,
			  struct err *e);

/* CRIU enters none of these types that is there already: it makes a user namespace, and then may not go into another. */
int externals_check_joined(const struct oci_spec *spec, struct err *e);

/* The keys of namespaces that the document names by path: "net[4026531840]:extRootNetNS". */
int externals_namespaces(pid_t pid, const struct oci_spec *spec, struct oci_strs *ret, struct arena *a, struct err *e);
