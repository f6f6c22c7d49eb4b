// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ctype.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "oci/names.h"
#include "runtime/base/sys.h"
#include "runtime/linux/process.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE                                                                   \
	6 /* Linux 6.9; an enumerator in headers that have it: same value */
#endif
#ifndef MPOL_F_NUMA_BALANCING
#define MPOL_F_NUMA_BALANCING (1 << 13)
#endif

#define SCHED_ISO_RESERVED 4 /* a word of the spec, a number that no kernel implements */
#define PER_LINUX32_NUMBER 8

#define BITS_PER_LONG (sizeof(unsigned long) * CHAR_BIT)
#define AFFINITY_BITS 8192 /* the largest NR_CPUS of any architecture */
/* set_mempolicy(2) takes a page of mask at most; bits above the kernel's MAX_NUMNODES are an error
 * there. */
#define NODE_BITS 32768

static const char *policy_name(int64_t policy)
{
	const char *name = names_word(&names_sched_policies, policy);

	return name ? name : "unknown policy";
}

static bool may_set_realtime(void)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	return sys_capget(&hdr, d) == 0 && d[0].effective & (1U << CAP_SYS_NICE);
}

/* With CONFIG_RT_GROUP_SCHED a fresh cpu cgroup may run nothing in real time, and the kernel says
 * only EPERM. */
static int sched_refused(int64_t policy, struct err *e)
{
	int num = errno;
	const char *hint = "";

	if (num == EPERM && !may_set_realtime())
		hint = " (needs CAP_SYS_NICE)";
	else if (num == EPERM && (policy == SCHED_FIFO || policy == SCHED_RR))
		hint = " (the cpu cgroup has no real-time share: cpu.rt_runtime_us, "
		       "resources.cpu.realtimeRuntime)";
	else if (num == EPERM && (policy == SCHED_OTHER || policy == SCHED_BATCH))
		hint = " (a lower nice value needs CAP_SYS_NICE of the initial user namespace)";
	else if (num == EPERM && policy == SCHED_DEADLINE)
		hint = " (the CPU affinity must cover the whole root domain)";
	else if (num == EBUSY)
		hint = " (not enough CPU bandwidth left)";
	return err_set(e, ERR_KERNEL, num, "scheduler: %s%s", policy_name(policy), hint);
}

int sched_set(const struct oci_scheduler *s, struct err *e)
{
	struct sys_sched_attr attr = {.size = 48 /* SCHED_ATTR_SIZE_VER0: no clamps */};

	if (s->policy == SCHED_ISO_RESERVED)
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "/process/scheduler/policy: Linux does not implement SCHED_ISO");
	attr.policy = (uint32_t)s->policy;
	/* Unset means unchanged, as everywhere; the kernel would take 0. */
	attr.nice = s->nice.set ? (int32_t)s->nice.v : getpriority(PRIO_PROCESS, 0);
	attr.priority = s->priority.set ? (uint32_t)s->priority.v : 0;
	attr.runtime = s->runtime.set ? s->runtime.v : 0;
	attr.deadline = s->deadline.set ? s->deadline.v : 0;
	attr.period = s->period.set ? s->period.v : 0;
	for (size_t i = 0; i < s->flags.n; i++)
		attr.flags |= (uint64_t)s->flags.v[i];
	if (attr.flags & SCHED_FLAG_UTIL_CLAMP)
		attr.size = sizeof attr;
	if (sys_sched_setattr(0, &attr, 0) < 0)
		return sched_refused(s->policy, e);
	return 0;
}

int io_priority_set(const struct oci_io_priority *p, struct err *e)
{
	int64_t level = p->priority.set ? p->priority.v : 0;

	if (p->class < IOPRIO_CLASS_NONE || p->class > IOPRIO_CLASS_IDLE || level < 0 || level > 7)
		return err_set(e, ERR_CONFIG, 0,
			       "/process/ioPriority/priority: must be between 0 and 7");
	/* This process only, children inherit it: its process group may still hold processes of the
	 * host. */
	if (sys_ioprio_set(IOPRIO_WHO_PROCESS, 0, (int)IOPRIO_PRIO_VALUE(p->class, level)) < 0)
		return err_sys(e, "ioPriority: ioprio_set");
	return 0;
}

static void set_bit(unsigned long *mask, unsigned long n)
{
	mask[n / BITS_PER_LONG] |= 1UL << (n % BITS_PER_LONG);
}

/* A decimal number below `bits`, from *p, which moves on.  No sign, no blank: strtoul would take
 * both. */
static bool parse_number(const char **p, size_t bits, unsigned long *ret)
{
	unsigned long n = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		n = n * 10 + (unsigned long)(**p - '0');
		if (n >= bits)
			return false;
	}
	*ret = n;
	return true;
}

struct cpu_range {
	unsigned long first, last, used, group; /* of every `group` the first `used` */
};

/* One element of cpuset(7)'s list format: "N", "N-M" or "N-M:used/group". */
static bool parse_range(const char **p, size_t bits, struct cpu_range *r)
{
	if (!parse_number(p, bits, &r->first))
		return false;
	r->last = r->first;
	r->used = r->group = 1;
	if (**p != '-')
		return true;
	(*p)++;
	if (!parse_number(p, bits, &r->last) || r->last < r->first)
		return false;
	if (**p != ':')
		return true;
	(*p)++;
	if (!parse_number(p, bits, &r->used) || **p != '/')
		return false;
	(*p)++;
	return parse_number(p, bits, &r->group) && r->used > 0 && r->used <= r->group;
}

int cpu_list_parse(const char *list, unsigned long *mask, size_t bits, struct err *e)
{
	const char *p = list;
	unsigned long max = 0;

	memset(mask, 0, (bits + BITS_PER_LONG - 1) / BITS_PER_LONG * sizeof *mask);
	for (;; p++) {
		struct cpu_range r;

		if (!parse_range(&p, bits, &r))
			return err_set(e, ERR_CONFIG, EINVAL, "invalid list '%s' at character %zu",
				       list, (size_t)(p - list) + 1);
		for (unsigned long n = r.first; n <= r.last; n++)
			if ((n - r.first) % r.group < r.used)
				set_bit(mask, n);
		if (r.last + 1 > max)
			max = r.last + 1;
		if (*p == '\0')
			return (int)max;
		if (*p != ',')
			return err_set(e, ERR_CONFIG, EINVAL, "invalid list '%s' at character %zu",
				       list, (size_t)(p - list) + 1);
	}
}

int affinity_set(pid_t pid, const char *list, struct err *e)
{
	unsigned long mask[AFFINITY_BITS / BITS_PER_LONG];

	if (!list) {
		memset(mask, 0xff, sizeof mask); /* the kernel cuts it to the cpuset */
	} else {
		int r = cpu_list_parse(list, mask, AFFINITY_BITS, e);

		if (r < 0)
			return err_wrap(e, "CPU affinity");
	}
	if (sched_setaffinity(pid, sizeof mask, (const cpu_set_t *)mask) == 0)
		return 0;
	if (errno == EINVAL)
		return err_sys(e, "CPU affinity %s: none of these CPUs is allowed here",
			       list ? list : "(all)");
	return err_sys(e, "CPU affinity %s", list ? list : "(all)");
}

int memory_policy_set(const struct oci_memory_policy *p, struct err *e)
{
	const int64_t known = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING;
	unsigned long nodes[NODE_BITS / BITS_PER_LONG] = {0};
	int64_t mode = p->mode;
	int r = 0;

	if (mode < MPOL_DEFAULT || mode > MPOL_WEIGHTED_INTERLEAVE)
		return err_set(e, ERR_CONFIG, 0,
			       "/linux/memoryPolicy/mode: invalid memory policy mode %d",
			       (int)mode);
	for (size_t i = 0; i < p->flags.n; i++) {
		if (p->flags.v[i] & ~known)
			return err_set(e, ERR_CONFIG, 0,
				       "/linux/memoryPolicy/flags/%zu: invalid memory policy flag",
				       i);
		mode |= p->flags.v[i];
	}
	if (p->nodes && p->nodes[0]) {
		r = cpu_list_parse(p->nodes, nodes, NODE_BITS, e);
		if (r < 0)
			return err_wrap(e, "/linux/memoryPolicy/nodes: invalid memory policy node");
	}
	/* The kernel takes one bit less than it is told. */
	if (sys_set_mempolicy((int)mode, r > 0 ? nodes : NULL, r > 0 ? (unsigned long)r + 1 : 0) ==
	    0)
		return 0;
	if (errno == EINVAL && r > 0)
		return err_sys(
			e, "set_mempolicy: mode %lld, invalid memory policy node in '%s' or flag",
			(long long)p->mode, p->nodes);
	return err_sys(e, "set_mempolicy: mode %lld", (long long)p->mode);
}

int personality_set(const struct oci_personality *p, struct err *e)
{
	if (p->flags.n > 0)
		return err_set(e, ERR_CONFIG, 0, "/linux/personality/flags/0: unknown flag '%s'",
			       p->flags.v[0]);
	if (p->domain != PER_LINUX && p->domain != PER_LINUX32_NUMBER)
		return err_set(e, ERR_CONFIG, 0, "/linux/personality/domain: unknown domain %d",
			       (int)p->domain);
	if (personality((unsigned long)p->domain) < 0)
		return err_sys(e, "personality");
	return 0;
}
