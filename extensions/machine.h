/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this machine has: CPUs, memory nodes, their clock and load.  Sources: sysfs and procfs of the host. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/cgroup.h"

#define MACHINE_CPUS_MAX 8192
#define MACHINE_BITS (8 * sizeof(unsigned long))

struct cpus { /* or memory nodes */
	unsigned long w[MACHINE_CPUS_MAX / MACHINE_BITS];
};

int cpus_parse(const char *list, struct cpus *ret, struct err *e); /* cpuset(7): "0-3,8" */
void cpus_print(const struct cpus *c, struct str *out);
bool cpus_has(const struct cpus *c, size_t cpu);
void cpus_add(struct cpus *c, size_t cpu);
bool cpus_within(const struct cpus *c, const struct cpus *all);
size_t cpus_count(const struct cpus *c);
void cpus_and(struct cpus *c, const struct cpus *with);
void cpus_or(struct cpus *c, const struct cpus *with);

/* For tests: a tree that stands for /. */
void machine_use_root(const char *dir);

/* What a container of this cgroup may be given: the set of its nearest parent that has one.  NULL: what is online. */
int machine_allowed_cpus(const struct cgroup *cg, struct cpus *ret, struct err *e);
int machine_allowed_nodes(const struct cgroup *cg, struct cpus *ret, struct err *e);
int machine_node_cpus(size_t node, struct cpus *ret, struct err *e);

size_t machine_cpus(void);           /* online */
int machine_mhz(int64_t *ret, struct err *e); /* of one CPU at its highest clock */

/* Busy time per CPU over MACHINE_SAMPLE_MS, in ticks; of CPUs that are not online nothing is written. */
#define MACHINE_SAMPLE_MS 100
int machine_load(uint32_t ret[MACHINE_CPUS_MAX], struct err *e);
