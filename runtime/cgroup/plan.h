/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits -> an ordered list of writes.  Pure: no system call, golden tests need no root.
 *
 * Ordering knowledge is data with its reason beside it: shrink memory before memsw, grow memsw before memory; cpu.max
 * takes quota and period together; on v1 period before quota or the other way round as the kernel's check demands. */

#include <stdbool.h>
#include <stddef.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/cgroup/cgroup.h"

struct cg_write {
	const char *controller; /* "memory": which hierarchy's directory takes it */
	const char *file;       /* "memory.max" */
	const char *value;      /* one write(2) */
	const char *pointer;    /* "/linux/resources/memory/limit": begins the error text */
	const char *fallback;   /* value to write instead when the kernel answers EINVAL or ENOSPC, or NULL */
	bool may_be_absent;     /* a missing file is fine (value is the default, or the kernel is older) */
	bool may_fail;          /* any refusal is a warning */
};

struct cg_plan {
	struct cg_write *v;
	size_t n;
};

struct cg_current { /* what the planner must know of the present values: order of memory and memsw, cpu period */
	struct opt_i64 memory_limit, memory_swap; /* -1: unlimited */
	struct opt_i64 cpu_quota;
	struct opt_u64 cpu_period;
	bool update;                              /* the container exists: a switch that is off must be written too */
	struct opt_i64 memory_usage;              /* memory.checkBeforeUpdate */
	bool has_bfq_weight;                      /* io.bfq.weight / blkio.bfq.weight exist */
	bool has_blkio_weight;                    /* v1 blkio.weight (CFQ kernels) */
	bool refused;                             /* the host has more hierarchies, which we may not use */
};

int cg_plan(const struct cg_host *host, const struct oci_resources *r, const struct cg_current *current,
	    struct cg_plan *ret, struct arena *a, struct err *e);

/* `now` laid over `was` (may be NULL): what an update means, and what the state keeps afterwards.  Lists by device,
 * page size, interface and key; device rules stay those of `was`. */
int cg_merge(const struct oci_resources *was, const struct oci_resources *now, struct oci_resources *ret,
	     struct arena *a, struct err *e);

/* Whether a field other than `unified` means this file of v2. */
bool cg_says(const struct oci_resources *r, const char *file);
/* What a value of `unified` says besides such fields: of io.max and rdma.max the devices and keys that no field means; NULL: nothing.
 * Below zero: out of memory. */
int cg_unified_rest(const struct oci_resources *r, const char *file, const char **value, struct arena *a);

/* The conversions of v1 numbers (oci-contract 4.4). */
uint64_t cg_weight_from_shares(uint64_t shares);
uint64_t cg_io_weight_from_blkio(uint64_t weight);
