/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a container's cgroups count at one moment, as plain numbers.  A number that this host does not count is not set: it
 * must not look like a zero.  A limit of all ones is none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/cgroup/cgroup.h"

#define CG_UNLIMITED UINT64_MAX

struct cg_psi_line {
	bool set;
	double avg10, avg60, avg300; /* percent of the time */
	uint64_t total;              /* us */
};

struct cg_psi { /* Documentation/accounting/psi.rst */
	struct cg_psi_line some, full;
};

struct cg_cpu_sample {
	struct opt_u64 usage_ns, user_ns, kernel_ns;
	struct opt_u64 periods, throttled_periods, throttled_ns;
	struct opt_u64 quota_us, period_us;
	const char *mask; /* "0-3,8"; NULL: not known */
	struct cg_psi psi;
};

struct cg_memory_sample { /* bytes, and counts */
	struct opt_u64 usage, working_set; /* without the cache that is given back first */
	struct opt_u64 cache, limit;
	struct opt_u64 guarantee, reservation; /* memory.min; memory.low or v1's soft limit */
	struct opt_u64 swap, swap_limit;       /* swap alone */
	struct opt_u64 refaults_anon, refaults_file;
	struct cg_psi psi;
};

struct cg_io_device {
	unsigned major, minor;
	uint64_t read_bytes, write_bytes, reads, writes;
};

struct cg_io_sample {
	bool known;
	struct cg_io_device *v;
	size_t n;
	struct cg_psi psi;
};

struct cg_sample {
	struct cg_cpu_sample cpu;
	struct cg_memory_sample memory;
	struct cg_io_sample io;
	struct opt_u64 pids, pids_limit;
};

/* `cg` may be NULL: nothing is known then.  Fails only for want of memory. */
int cg_sample(const struct cgroup *cg, struct cg_sample *ret, struct arena *a, struct err *e);

/* false: this host does not measure pressure. */
bool cg_psi_read(const struct cgroup *cg, const char *file, struct cg_psi *ret);
