// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/fs.h"

/* How limits are written on cgroup v1. */

#define PERIOD_DEFAULT 100000

static int plan_memory(struct cg_planner *p)
{
	const struct oci_memory *m = p->r->memory;
	struct opt_i64 limit, swap, old;
	int r;

	if (!m)
		return 0;
	r = cg_swap_check(p, &limit, &swap);
	if (r < 0)
		return r;
	if (m->use_hierarchy.set) /* before anything is charged or has children */
		cg_row(p, "memory/useHierarchy", "memory.use_hierarchy", "%d", m->use_hierarchy.v);
	/* "Unlimited" without a word on swap lifts that as well, else memsw would still be the old limit. */
	bool derived = limit.set && limit.v < 0 && !swap.set && p->update;
	if (derived)
		swap = (struct opt_i64){ -1, true };
	old = p->now->memory_swap;
	/* memsw >= memory holds at every moment: memsw first when the new memory limit is above the old memsw,
	 * memory first otherwise. */
	bool swap_first = swap.set && limit.set && old.set && old.v >= 0 && (limit.v < 0 || limit.v > old.v);
	for (int pass = 0; pass < 2; pass++) {
		if ((pass == 0) == swap_first && swap.set) {
			struct cg_write *w = cg_row(p, derived ? "memory/limit" : "memory/swap",
						    "memory.memsw.limit_in_bytes", "%lld", (long long)swap.v);
			w->may_be_absent = swap.v < 0; /* no swap accounting: nothing limits it */
		} else if ((pass == 0) != swap_first && limit.set) {
			cg_row(p, "memory/limit", "memory.limit_in_bytes", "%lld", (long long)limit.v);
		}
	}
	if (m->reservation.set && m->reservation.v != 0)
		cg_row(p, "memory/reservation", "memory.soft_limit_in_bytes", "%lld", (long long)m->reservation.v);
	if (m->kernel.set && m->kernel.v != 0)
		cg_row(p, "memory/kernel", "memory.kmem.limit_in_bytes", "%lld", (long long)m->kernel.v)->may_be_absent =
			m->kernel.v < 0;
	if (m->kernel_tcp.set && m->kernel_tcp.v != 0)
		cg_row(p, "memory/kernelTCP", "memory.kmem.tcp.limit_in_bytes", "%lld", (long long)m->kernel_tcp.v)
			->may_be_absent = m->kernel_tcp.v < 0;
	if (m->swappiness.set)
		cg_row(p, "memory/swappiness", "memory.swappiness", "%llu", (unsigned long long)m->swappiness.v);
	if (m->disable_oom_killer.set && (m->disable_oom_killer.v || p->update))
		cg_row(p, "memory/disableOOMKiller", "memory.oom_control", "%d", m->disable_oom_killer.v);
	return cg_done(p);
}

static void plan_quota(struct cg_planner *p, const struct oci_cpu *c)
{
	bool quota = c->quota.set && c->quota.v != 0, period = c->period.set && c->period.v != 0;
	uint64_t old = p->now->cpu_period.set ? p->now->cpu_period.v : PERIOD_DEFAULT;
	/* The kernel holds quota/period against the parent's ratio at each write: raising the period first, or lowering
	 * it last, keeps the ratio in between below the old or the new one. */
	bool period_first = period && c->period.v >= old;

	if (period_first)
		cg_row(p, "cpu/period", "cpu.cfs_period_us", "%llu", (unsigned long long)c->period.v);
	if (quota)
		cg_row(p, "cpu/quota", "cpu.cfs_quota_us", "%lld", c->quota.v < 0 ? -1LL : (long long)c->quota.v);
	if (period && !period_first)
		cg_row(p, "cpu/period", "cpu.cfs_period_us", "%llu", (unsigned long long)c->period.v);
}

static void plan_burst(struct cg_planner *p, const struct oci_cpu *c)
{
	if (c->burst.set)
		cg_row(p, "cpu/burst", "cpu.cfs_burst_us", "%llu", (unsigned long long)c->burst.v)->may_be_absent =
			c->burst.v == 0;
}

static int plan_cpu(struct cg_planner *p)
{
	const struct oci_cpu *c = p->r->cpu;
	struct opt_i64 old = p->now->cpu_quota;

	if (!c)
		return 0;
	/* burst <= quota at every moment: a quota that falls comes after its burst. */
	bool burst_first = c->quota.set && c->quota.v > 0 && (!old.set || old.v < 0 || c->quota.v < old.v);
	if (c->idle.set) /* before shares: an idle group has none */
		cg_row(p, "cpu/idle", "cpu.idle", "%lld", (long long)c->idle.v)->may_be_absent = c->idle.v == 0;
	if (c->shares.set && c->shares.v != 0 && !(c->idle.set && c->idle.v == 1))
		cg_row(p, "cpu/shares", "cpu.shares", "%llu", (unsigned long long)c->shares.v);
	if (burst_first)
		plan_burst(p, c);
	plan_quota(p, c);
	if (!burst_first)
		plan_burst(p, c);
	if (c->realtime_period.set && c->realtime_period.v != 0)
		cg_row(p, "cpu/realtimePeriod", "cpu.rt_period_us", "%llu", (unsigned long long)c->realtime_period.v);
	if (c->realtime_runtime.set)
		cg_row(p, "cpu/realtimeRuntime", "cpu.rt_runtime_us", "%lld", (long long)c->realtime_runtime.v)
			->may_be_absent = c->realtime_runtime.v == 0;
	return cg_done(p);
}

static void plan_weights(struct cg_planner *p, const struct oci_block_io *b)
{
	bool bfq = p->now->has_bfq_weight && !p->now->has_blkio_weight;
	char field[64];

	if (b->weight.set && b->weight.v != 0)
		cg_row(p, "blockIO/weight", bfq ? "blkio.bfq.weight" : "blkio.weight", "%llu",
		       (unsigned long long)b->weight.v);
	if (b->leaf_weight.set && b->leaf_weight.v != 0)
		cg_row(p, "blockIO/leafWeight", "blkio.leaf_weight", "%llu", (unsigned long long)b->leaf_weight.v);
	for (size_t i = 0; i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		snprintf(field, sizeof field, "blockIO/weightDevice/%zu", i);
		if (d->weight.set)
			cg_row(p, field, bfq ? "blkio.bfq.weight_device" : "blkio.weight_device", "%lld:%lld %llu",
			       (long long)d->major, (long long)d->minor, (unsigned long long)d->weight.v);
		if (d->leaf_weight.set)
			cg_row(p, field, "blkio.leaf_weight_device", "%lld:%lld %llu", (long long)d->major,
			       (long long)d->minor, (unsigned long long)d->leaf_weight.v);
	}
}

static void plan_throttle(struct cg_planner *p, const char *name, const struct oci_throttles *t, const char *file)
{
	for (size_t i = 0; i < t->n; i++) {
		char field[64];

		snprintf(field, sizeof field, "blockIO/%s/%zu", name, i);
		cg_row(p, field, file, "%lld:%lld %llu", (long long)t->v[i].major, (long long)t->v[i].minor,
		       (unsigned long long)t->v[i].rate);
	}
}

static int plan_blkio(struct cg_planner *p)
{
	const struct oci_block_io *b = p->r->block_io;

	if (!b)
		return 0;
	plan_weights(p, b);
	plan_throttle(p, "throttleReadBpsDevice", &b->throttle_read_bps, "blkio.throttle.read_bps_device");
	plan_throttle(p, "throttleWriteBpsDevice", &b->throttle_write_bps, "blkio.throttle.write_bps_device");
	plan_throttle(p, "throttleReadIOPSDevice", &b->throttle_read_iops, "blkio.throttle.read_iops_device");
	plan_throttle(p, "throttleWriteIOPSDevice", &b->throttle_write_iops, "blkio.throttle.write_iops_device");
	return cg_done(p);
}

static int plan_hugetlb(struct cg_planner *p)
{
	return cg_hugetlb_plan(p, "limit_in_bytes");
}

static int plan_net_cls(struct cg_planner *p)
{
	const struct oci_network *n = p->r->network;

	if (n && n->class_id.set && (n->class_id.v != 0 || !p->missing))
		cg_row(p, "network/classID", "net_cls.classid", "%llu", (unsigned long long)n->class_id.v);
	return cg_done(p);
}

static int plan_net_prio(struct cg_planner *p)
{
	const struct oci_network *n = p->r->network;

	for (size_t i = 0; n && i < n->priorities.n; i++) {
		char field[64];

		snprintf(field, sizeof field, "network/priorities/%zu", i);
		cg_row(p, field, "net_prio.ifpriomap", "%s %u", n->priorities.v[i].name, n->priorities.v[i].priority);
	}
	return cg_done(p);
}

/* ---- freezer ---- */

static int frozen(struct cg_dir *d)
{
	char state[32];

	return cg_dir_fd(d) >= 0 && cg_read_text(d->fd, "freezer.state", state, sizeof state) &&
	       strcmp(state, "THAWED") != 0;
}

/* FREEZING may stick when tasks are forked or moved meanwhile: write again, and now and then thaw for a moment so that
 * a task on its way can arrive somewhere it freezes. */
static int freeze(struct cg_dir *d, bool on, struct err *e)
{
	const char *want = on ? "FROZEN" : "THAWED";
	char state[32] = "";
	int pause = 1;

	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	for (int i = 0; i < 200; i++) {
		if (on && i % 50 == 49) {
			fs_write(d->fd, "freezer.state", "THAWED", e);
			poll(NULL, 0, 10);
		}
		if (fs_write(d->fd, "freezer.state", want, e) < 0)
			return err_wrap(e, "cgroup %s", d->dir);
		if (!cg_read_text(d->fd, "freezer.state", state, sizeof state))
			return err_sys(e, "cgroup %s: freezer.state", d->dir);
		if (strcmp(state, want) == 0)
			return 0;
		poll(NULL, 0, pause);
		pause = pause < 32 ? pause * 2 : pause;
	}
	fs_write(d->fd, "freezer.state", "THAWED", e);
	return err_set(e, ERR_KERNEL, EBUSY, "cgroup %s stays %s", d->dir, state);
}

static const struct cg_knob knobs[CG_GROUPS] = {
	[CG_PIDS] = { "pids", cg_pids_plan },
	[CG_MEMORY] = { "memory", plan_memory },
	[CG_IO] = { "blkio", plan_blkio },
	[CG_CPU] = { "cpu", plan_cpu },
	[CG_DEVICES] = { "devices", cg_devices_plan_v1 },
	[CG_CPUSET] = { "cpuset", cg_cpuset_plan },
	[CG_HUGETLB] = { "hugetlb", plan_hugetlb },
	[CG_RDMA] = { "rdma", cg_rdma_plan },
	[CG_NET_CLS] = { "net_cls", plan_net_cls },
	[CG_NET_PRIO] = { "net_prio", plan_net_prio },
};

const struct cg_hier cg_v1 = { knobs, freeze, frozen };
