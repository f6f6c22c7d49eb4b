/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `features` prints (features.md).  It tells what was built, never what this host has; the caller, who knows
 * the build, fills the struct, the words come from the tables. */

#include <stdbool.h>

#include "oci/spec.h"
#include "runtime/base/str.h"

struct oci_features {
	const char *const *mount_options; /* NULL-terminated; independent of the file system */
	bool cgroup_v1, cgroup_v2, cgroup_systemd, cgroup_systemd_user, cgroup_rdma;
	bool seccomp;
	int64_t seccomp_flags;            /* SECCOMP_FILTER_FLAG_* that this build can set */
	const char *const *seccomp_archs; /* NULL: all that the spec names */
	bool apparmor, selinux;
	bool memory_policy;
	bool intel_rdt, intel_rdt_schemata, intel_rdt_monitoring;
	bool idmap, net_devices;
	const struct oci_map *annotations;
	const char *const *unsafe_annotations; /* prefixes of annotations that make the runtime do things */
};

/* Append the document, indented by four, without a newline. */
void oci_features_emit(const struct oci_features *f, struct str *ret);
