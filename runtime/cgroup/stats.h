/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Statistics of a container, in runc's shape (oci-contract 2.3). */

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/cgroup.h"

struct cg_psi; /* sample.h */
struct emit;

/* Append the members of the "data" object of `events --stats` (cpu, cpuset, memory, pids, blkio, hugetlb) to an open JSON
 * object; intel_rdt and network_interfaces are the caller's to add.  What the host does not count is 0. */
int cg_stats_emit(const struct cgroup *cg, struct emit *out, struct err *e);

/* Pressure as an object "psi". */
void cg_psi_emit(const struct cg_psi *psi, struct emit *out);
