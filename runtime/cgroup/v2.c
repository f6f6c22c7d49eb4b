// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"

/* How limits are written on cgroup v2.  The document speaks v1: numbers are converted (oci-contract 4.4), and what has
 * no counterpart is refused, unless it asks for what v2 does anyway. */

static void row_limit(struct cg_planner *p, const char *field, const char *file, int64_t v)
{
	if (v < 0)
		cg_row(p, field, file, "max");
	else
		cg_row(p, field, file, "%lld", (long long)v);
}

static int refuse_memory(struct cg_planner *p, const struct oci_memory *m)
{
	if (m->kernel.set && m->kernel.v > 0)
		return cg_refuse(p, "memory/kernel", "cgroup v2 has no limit on kernel memory alone");
	if (m->kernel_tcp.set && m->kernel_tcp.v > 0)
		return cg_refuse(p, "memory/kernelTCP", "cgroup v2 has no limit on TCP buffers");
	if (m->swappiness.set)
		return cg_refuse(p, "memory/swappiness", "cgroup v2 has no swappiness of a cgroup");
	if (m->disable_oom_killer.v)
		return cg_refuse(p, "memory/disableOOMKiller", "cgroup v2 cannot disable the OOM killer");
	if (m->use_hierarchy.set && !m->use_hierarchy.v)
		return cg_refuse(p, "memory/useHierarchy", "cgroup v2 is always hierarchical");
	return 0;
}

static void plan_swap(struct cg_planner *p, struct opt_i64 limit, struct opt_i64 swap)
{
	static const char file[] = "memory.swap.max";

	if (!limit.set)
		limit = p->now->memory_limit;
	if (swap.set && swap.v > 0) {
		/* Without swap accounting no swap is counted: only "none" is then what happens. */
		cg_row(p, "memory/swap", file, "%lld", (long long)(swap.v - limit.v))->may_be_absent = swap.v == limit.v;
	} else if ((swap.set && swap.v < 0) || (limit.set && limit.v < 0 && p->r->memory->limit.set)) {
		cg_row(p, swap.set ? "memory/swap" : "memory/limit", file, "max")->may_be_absent = true;
	}
}

static int plan_memory(struct cg_planner *p)
{
	const struct oci_memory *m = p->r->memory;
	struct opt_i64 limit = { 0 }, swap = { 0 };
	int r;

	if (!m)
		return 0;
	r = refuse_memory(p, m);
	if (r == 0)
		r = cg_swap_check(p, &limit, &swap);
	if (r < 0)
		return r;
	if (limit.set)
		row_limit(p, "memory/limit", "memory.max", limit.v);
	plan_swap(p, limit, swap);
	if (m->reservation.set && m->reservation.v != 0)
		row_limit(p, "memory/reservation", "memory.low", m->reservation.v);
	return cg_done(p);
}

/* Quota and period are one file: what the document leaves out keeps its present value. */
static void plan_quota(struct cg_planner *p, const struct oci_cpu *c)
{
	bool has_quota = c->quota.set && c->quota.v != 0, has_period = c->period.set && c->period.v != 0;
	int64_t quota = has_quota ? c->quota.v : p->now->cpu_quota.set ? p->now->cpu_quota.v : -1;
	uint64_t period = has_period ? c->period.v : p->now->cpu_period.set ? p->now->cpu_period.v : 100000;
	const char *field = has_quota ? "cpu/quota" : "cpu/period";

	if (!has_quota && !has_period)
		return;
	if (quota <= 0)
		cg_row(p, field, "cpu.max", "max %llu", (unsigned long long)period);
	else
		cg_row(p, field, "cpu.max", "%lld %llu", (long long)quota, (unsigned long long)period);
}

static void plan_burst(struct cg_planner *p, const struct oci_cpu *c)
{
	if (c->burst.set)
		cg_row(p, "cpu/burst", "cpu.max.burst", "%llu", (unsigned long long)c->burst.v)->may_be_absent =
			c->burst.v == 0;
}

static int plan_cpu(struct cg_planner *p)
{
	const struct oci_cpu *c = p->r->cpu;
	struct opt_i64 old = p->now->cpu_quota;

	if (!c)
		return 0;
	if (c->realtime_runtime.set && c->realtime_runtime.v != 0)
		return cg_refuse(p, "cpu/realtimeRuntime", "cgroup v2 has no real-time runtime");
	if (c->realtime_period.set && c->realtime_period.v != 0)
		return cg_refuse(p, "cpu/realtimePeriod", "cgroup v2 has no real-time period");
	/* burst <= quota at every moment: a quota that falls comes after its burst. */
	bool burst_first = c->quota.set && c->quota.v > 0 && (!old.set || old.v < 0 || c->quota.v < old.v);
	if (c->idle.set) /* before the weight: an idle group has none */
		cg_row(p, "cpu/idle", "cpu.idle", "%lld", (long long)c->idle.v)->may_be_absent = c->idle.v == 0;
	if (c->shares.set && c->shares.v != 0 && !(c->idle.set && c->idle.v == 1))
		cg_row(p, "cpu/shares", "cpu.weight", "%llu", (unsigned long long)cg_weight_from_shares(c->shares.v));
	if (burst_first)
		plan_burst(p, c);
	plan_quota(p, c);
	if (!burst_first)
		plan_burst(p, c);
	return cg_done(p);
}

static int plan_weights(struct cg_planner *p, const struct oci_block_io *b)
{
	bool bfq = p->now->has_bfq_weight;
	const char *file = bfq ? "io.bfq.weight" : "io.weight";
	char field[64];

	if (b->leaf_weight.set && b->leaf_weight.v != 0)
		return cg_refuse(p, "blockIO/leafWeight", "cgroup v2 has no leaf weight");
	if (b->weight.set && b->weight.v != 0)
		cg_row(p, "blockIO/weight", file, "%llu",
		       (unsigned long long)(bfq ? b->weight.v : cg_io_weight_from_blkio(b->weight.v)));
	for (size_t i = 0; i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		snprintf(field, sizeof field, "blockIO/weightDevice/%zu", i);
		if (d->leaf_weight.set && d->leaf_weight.v != 0)
			return cg_refuse(p, field, "cgroup v2 has no leaf weight");
		if (d->weight.set && d->weight.v == 0)
			cg_row(p, field, file, "%lld:%lld default", (long long)d->major, (long long)d->minor);
		else if (d->weight.set)
			cg_row(p, field, file, "%lld:%lld %llu", (long long)d->major, (long long)d->minor,
			       (unsigned long long)(bfq ? d->weight.v : cg_io_weight_from_blkio(d->weight.v)));
	}
	return cg_done(p);
}

static void plan_throttle(struct cg_planner *p, const char *name, const struct oci_throttles *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct oci_throttle *d = &t->v[i];
		char field[64];

		snprintf(field, sizeof field, "blockIO/%s/%zu", name, i);
		if (d->rate == 0) /* v1's word for "no limit" */
			cg_row(p, field, "io.max", "%lld:%lld %s=max", (long long)d->major, (long long)d->minor, key);
		else
			cg_row(p, field, "io.max", "%lld:%lld %s=%llu", (long long)d->major, (long long)d->minor, key,
			       (unsigned long long)d->rate);
	}
}

static int plan_io(struct cg_planner *p)
{
	const struct oci_block_io *b = p->r->block_io;
	int r;

	if (!b)
		return 0;
	r = plan_weights(p, b);
	if (r < 0)
		return r;
	plan_throttle(p, "throttleReadBpsDevice", &b->throttle_read_bps, "rbps");
	plan_throttle(p, "throttleWriteBpsDevice", &b->throttle_write_bps, "wbps");
	plan_throttle(p, "throttleReadIOPSDevice", &b->throttle_read_iops, "riops");
	plan_throttle(p, "throttleWriteIOPSDevice", &b->throttle_write_iops, "wiops");
	return cg_done(p);
}

static int plan_hugetlb(struct cg_planner *p)
{
	return cg_hugetlb_plan(p, "max");
}

static int refuse_net_cls(struct cg_planner *p)
{
	const struct oci_network *n = p->r->network;

	if (n && n->class_id.set && n->class_id.v != 0)
		return cg_refuse(p, "network/classID", "cgroup v2 has no network classes");
	return 0;
}

static int refuse_net_prio(struct cg_planner *p)
{
	if (p->r->network && p->r->network->priorities.n > 0)
		return cg_refuse(p, "network/priorities", "cgroup v2 has no network priorities");
	return 0;
}

/* ---- freezer ---- */

static int frozen(struct cg_dir *d)
{
	uint64_t v;

	return cg_dir_fd(d) >= 0 && cg_read_u64(d->fd, "cgroup.freeze", &v) && v == 1;
}

/* The kernel reports by cgroup.events when the last process has arrived; a poll reports changes since the last read. */
static int freeze(struct cg_dir *d, bool on, struct err *e)
{
	const char *want = on ? "frozen 1" : "frozen 0";

	if (cg_dir_fd(d) < 0)
		return err_sys(e, "cgroup %s", d->dir);
	cleanup_fd int events = openat(d->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (events < 0)
		return err_sys(e, "cgroup %s: cgroup.events", d->dir);
	if (fs_write(d->fd, "cgroup.freeze", on ? "1" : "0", e) < 0)
		return err_wrap(e, "cgroup %s", d->dir);
	for (int i = 0; i < 100; i++) {
		struct pollfd p = { .fd = events, .events = POLLPRI };
		char buf[256];
		ssize_t n = pread(events, buf, sizeof buf - 1, 0);

		if (n < 0)
			return err_sys(e, "cgroup %s: cgroup.events", d->dir);
		buf[n] = '\0';
		if (strstr(buf, want))
			return 0;
		poll(&p, 1, 100);
	}
	if (on)
		fs_write(d->fd, "cgroup.freeze", "0", &(struct err){ 0 });
	return err_set(e, ERR_KERNEL, ETIMEDOUT, "cgroup %s does not %s", d->dir, on ? "freeze" : "thaw");
}

/* ---- controllers ---- */

/* Which controllers the container's cgroup must have: on v2 alone all (statistics need them), beside v1 only what the
 * document limits here, because enabling one walks all processes below and waits for a grace period. */
static bool wanted(const struct cgroup *cg, const char *controller)
{
	const struct oci_resources *r = cg->resources;
	size_t len = strlen(controller);

	if (cg->mode == CG_V2)
		return true;
	if (!r)
		return false;
	for (size_t i = 0; i < r->unified.n; i++)
		if (strncmp(r->unified.v[i].key, controller, len) == 0 && r->unified.v[i].key[len] == '.')
			return true;
	return (strcmp(controller, "hugetlb") == 0 && r->hugepage_limits.n > 0) ||
	       (strcmp(controller, "rdma") == 0 && r->rdma.n > 0) ||
	       (strcmp(controller, "memory") == 0 && r->memory) || (strcmp(controller, "pids") == 0 && r->pids) ||
	       (strcmp(controller, "io") == 0 && r->block_io) || (strncmp(controller, "cpu", 3) == 0 && r->cpu);
}

bool cg_v2_enabled(int fd, const char *controller)
{
	char list[1024];

	if (!cg_read_text(fd, "cgroup.controllers", list, sizeof list))
		return false;
	for (char *p = list; *p; p++)
		if (*p == ' ')
			*p = ',';
	return cg_list_has(list, controller);
}

/* The next wanted word of the list; returns what follows it, or NULL at the end. */
static const char *next_wanted(const struct cgroup *cg, const char *list, char *word, size_t size)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		bool fits = n < size;

		if (fits) {
			memcpy(word, list, n);
			word[n] = '\0';
		}
		list += n + (list[n] == ',');
		if (fits && n > 0 && wanted(cg, word))
			return list;
	}
	return NULL;
}

/* What a threaded cgroup cannot limit. */
static bool needs_domain(const struct oci_resources *r)
{
	return r && (r->memory || r->block_io || r->hugepage_limits.n > 0);
}

/* A new cgroup below one that is threaded or has processes is of no use until it is threaded as well. */
static bool is_invalid(int fd)
{
	char type[64];

	return cg_read_text(fd, "cgroup.type", type, sizeof type) && strcmp(type, "domain invalid") == 0;
}

/* All at once; where that is refused (one of them cannot be: cpu with real-time processes, a threaded parent, one that
 * has processes) each alone.  What is still missing then shows when a limit is written. */
static void enable_in(const struct cgroup *cg, const struct cg_dir *d, const char *dir)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_str struct str all = { 0 };
	struct err ignored;
	char word[64];

	for (const char *p = next_wanted(cg, d->controllers, word, sizeof word); p;
	     p = next_wanted(cg, p, word, sizeof word))
		str_addf(&all, "%s+%s", all.len ? " " : "", word);
	if (fd < 0 || str_failed(&all) || all.len == 0 || fs_write(fd, "cgroup.subtree_control", all.s, &ignored) == 0)
		return;
	if (is_invalid(fd) && !needs_domain(cg->resources))
		fs_write(fd, "cgroup.type", "threaded", &ignored);
	for (char *rest = all.s, *one = strsep(&rest, " "); one; one = strsep(&rest, " "))
		fs_write(fd, "cgroup.subtree_control", one, &ignored);
}

static int check_type(const struct cgroup *cg, struct cg_dir *d, struct err *e)
{
	char type[64];

	if (!cg_read_text(d->fd, "cgroup.type", type, sizeof type) || strcmp(type, "domain") == 0)
		return 0;
	/* Below a threaded cgroup only controllers of threads work. */
	if (needs_domain(cg->resources))
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "cgroup %s is '%s': its parent holds processes or is threaded, so memory, I/O and huge "
			       "pages cannot be limited here (choose a parent that holds none)",
			       d->dir, type);
	return is_invalid(d->fd) ? fs_write(d->fd, "cgroup.type", "threaded", e) : 0;
}

int cg_v2_enable(struct cgroup *cg, struct cg_dir *d, struct err *e)
{
	char path[PATH_MAX], word[64];
	bool missing = false;

	for (const char *p = next_wanted(cg, d->controllers, word, sizeof word); p && !missing;
	     p = next_wanted(cg, p, word, sizeof word))
		missing = !cg_v2_enabled(d->fd, word);
	if (!missing)
		return 0;
	for (size_t len = strlen(d->mount); d->dir[len] == '/'; len += 1 + strcspn(d->dir + len + 1, "/")) {
		snprintf(path, sizeof path, "%.*s", (int)len, d->dir);
		enable_in(cg, d, path);
	}
	return check_type(cg, d, e);
}

static const struct cg_knob knobs[CG_GROUPS] = {
	[CG_PIDS] = { "pids", cg_pids_plan },
	[CG_MEMORY] = { "memory", plan_memory },
	[CG_IO] = { "io", plan_io },
	[CG_CPU] = { "cpu", plan_cpu },
	[CG_DEVICES] = { NULL, NULL }, /* a program: devices.c */
	[CG_CPUSET] = { "cpuset", cg_cpuset_plan },
	[CG_HUGETLB] = { "hugetlb", plan_hugetlb },
	[CG_RDMA] = { "rdma", cg_rdma_plan },
	[CG_NET_CLS] = { NULL, refuse_net_cls },
	[CG_NET_PRIO] = { NULL, refuse_net_prio },
};

const struct cg_hier cg_v2 = { knobs, freeze, frozen };
