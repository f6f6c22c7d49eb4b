/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Attributes of a process that the kernel keeps one by one: limits, scheduling, memory policy, personality, sysctls.
 * Files: rlimit.c, sched.c, sysctl.c. */

#include <stdint.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

/* prlimit(2) on `pid` (0: ourselves).  A hard limit above the caller's without CAP_SYS_RESOURCE is an error that names the
 * limit and both values.  In two turns: what would starve the runtime itself before exec (address space, data, files) is
 * only raised, as far as its hard limit needs that, and set as the document has it when `last`, without the others. */
int rlimits_set(pid_t pid, const struct oci_rlimits *limits, bool last, struct err *e);
int oom_score_set(int procfs, pid_t pid, int64_t score, struct err *e);

/* Set our own score, for a child to inherit.  Returns a descriptor for oom_score_take_back(), or -1 where it is refused. */
int oom_score_lend(int procfs, int64_t score, int64_t *ret_was);
int oom_score_take_back(int fd, int64_t was, struct err *e);

int sched_set(const struct oci_scheduler *s, struct err *e);       /* says so when RT_GROUP_SCHED is the reason */
int io_priority_set(const struct oci_io_priority *p, struct err *e);
int affinity_set(pid_t pid, const char *list, struct err *e);      /* NULL: all CPUs that the cpuset allows */
int memory_policy_set(const struct oci_memory_policy *p, struct err *e);
int personality_set(const struct oci_personality *p, struct err *e);

/* Parse cpuset(7)'s list format ("0-3,8", "0-15:2/4") strictly: bit N of mask, which has `bits` bits and is cleared
 * first.  Returns the highest number + 1.  Shared with cgroup checks. */
int cpu_list_parse(const char *list, unsigned long *mask, size_t bits, struct err *e);

/* A key is separated by '.' or by '/', whichever comes first; the other one is then a dot inside a component (the
 * rule of sysctl(8)): "net.ipv4.conf.eth0/100.rp_filter" and "net/ipv4/conf/eth0.100/rp_filter".
 *
 * Which sysctls a container may have, given its namespaces (CLONE_NEW* of the new or joined ones that differ from the
 * caller's).  Pure.  Errors begin with /linux/sysctl/KEY. */
int sysctl_check(const struct oci_map *sysctl, uint64_t namespaces, bool hostname_given, struct err *e);
int sysctl_write(int procfs, const struct oci_map *sysctl, struct err *e);
