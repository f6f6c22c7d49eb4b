// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fs.h"
#include "runtime/cgroup/hier.h"

/* v1 says "no limit" by the largest number of pages that it can count. */
#define V1_UNLIMITED (UINT64_C(1) << 62)

static struct cg_dir *open_dir(const struct cgroup *cg, const char *controller)
{
	struct cg_dir *d = cg_find(cg, controller);

	return d && cg_dir_fd(d) >= 0 ? d : NULL;
}

bool cg_slurp(const struct cg_dir *d, const char *file, struct str *ret)
{
	struct err ignored;

	str_clear(ret);
	return d && fs_read(d->fd, file, CG_FILE_MAX, ret, &ignored) == 0 && !str_failed(ret);
}

static struct opt_u64 number(const struct cg_dir *d, const char *file)
{
	struct opt_u64 n = { 0 };

	n.set = d && cg_read_u64(d->fd, file, &n.v);
	return n;
}

static struct opt_u64 limit(const struct cg_dir *d, const char *file)
{
	struct opt_u64 n = number(d, file);

	if (n.set && !d->v2 && n.v >= V1_UNLIMITED)
		n.v = CG_UNLIMITED;
	return n;
}

/* The number behind `key` at the beginning of a line. */
static struct opt_u64 keyed(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, key, len) == 0 && p[len] == ' ')
			return (struct opt_u64){ strtoull(p + len + 1, NULL, 10), true };
	return (struct opt_u64){ 0 };
}

static struct opt_u64 times(struct opt_u64 n, uint64_t factor)
{
	n.v *= factor;
	return n;
}

static struct opt_u64 first_of(struct opt_u64 a, struct opt_u64 b)
{
	return a.set ? a : b;
}

/* What has both numbers has the difference; they are read one after the other, so it may come out below zero. */
static struct opt_u64 minus(struct opt_u64 a, struct opt_u64 b)
{
	if (!a.set || !b.set)
		return (struct opt_u64){ 0 };
	if (a.v == CG_UNLIMITED)
		return a;
	a.v = a.v > b.v ? a.v - b.v : 0;
	return a;
}

/* ---- pressure ---- */

static void psi_line(const char *text, const char *name, struct cg_psi_line *ret)
{
	const char *line = strstr(text, name);
	struct cg_psi_line l;
	unsigned long long total;

	if (!line || sscanf(line + strlen(name), " avg10=%lf avg60=%lf avg300=%lf total=%llu", &l.avg10, &l.avg60, &l.avg300,
			    &total) != 4)
		return;
	l.set = true;
	l.total = total;
	*ret = l;
}

/* Pressure is counted by cgroup2 alone, without a controller: on a hybrid host too. */
bool cg_psi_read(const struct cgroup *cg, const char *file, struct cg_psi *ret)
{
	cleanup_str struct str text = { 0 };
	struct cg_dir *d = cg_find_v2(cg);

	*ret = (struct cg_psi){ 0 };
	if (!d || cg_dir_fd(d) < 0 || !cg_slurp(d, file, &text) || text.len == 0)
		return false;
	psi_line(text.s, "some", &ret->some);
	psi_line(text.s, "full", &ret->full);
	return true;
}

/* ---- cpu ---- */

static void cpu_v1(const struct cg_dir *acct, const struct cg_dir *cpu, struct cg_cpu_sample *ret)
{
	cleanup_str struct str text = { 0 };
	struct opt_u64 quota;
	int64_t us;
	char line[32];

	ret->usage_ns = number(acct, "cpuacct.usage");
	ret->user_ns = number(acct, "cpuacct.usage_user");
	ret->kernel_ns = number(acct, "cpuacct.usage_sys");
	if (!cpu)
		return;
	if (cg_slurp(cpu, "cpu.stat", &text)) {
		ret->periods = keyed(str_cstr(&text), "nr_periods");
		ret->throttled_periods = keyed(str_cstr(&text), "nr_throttled");
		ret->throttled_ns = keyed(str_cstr(&text), "throttled_time");
	}
	quota.set = cg_read_text(cpu->fd, "cpu.cfs_quota_us", line, sizeof line) && num_i64(line, &us) == 0;
	quota.v = quota.set && us >= 0 ? (uint64_t)us : CG_UNLIMITED;
	ret->quota_us = quota;
	ret->period_us = number(cpu, "cpu.cfs_period_us");
}

/* cpu.stat counts time even without the controller; what only that counts is absent then. */
static void cpu_v2(const struct cg_dir *d, struct cg_cpu_sample *ret)
{
	cleanup_str struct str text = { 0 };
	char quota[32], line[64];
	unsigned long long period;
	uint64_t us = CG_UNLIMITED;

	if (cg_slurp(d, "cpu.stat", &text)) {
		ret->usage_ns = times(keyed(str_cstr(&text), "usage_usec"), 1000);
		ret->user_ns = times(keyed(str_cstr(&text), "user_usec"), 1000);
		ret->kernel_ns = times(keyed(str_cstr(&text), "system_usec"), 1000);
		ret->periods = keyed(str_cstr(&text), "nr_periods");
		ret->throttled_periods = keyed(str_cstr(&text), "nr_throttled");
		ret->throttled_ns = times(keyed(str_cstr(&text), "throttled_usec"), 1000);
	}
	if (!cg_read_text(d->fd, "cpu.max", line, sizeof line) || sscanf(line, "%31s %llu", quota, &period) != 2)
		return;
	if (strcmp(quota, "max") != 0 && num_u64(quota, &us) < 0)
		return;
	ret->quota_us = (struct opt_u64){ us, true };
	ret->period_us = (struct opt_u64){ period, true };
}

static int cpu(const struct cgroup *cg, struct cg_cpu_sample *ret, struct arena *a, struct err *e)
{
	struct cg_dir *acct = open_dir(cg, "cpuacct"), *ctl = open_dir(cg, "cpu"), *v2 = cg_find_v2(cg);
	struct cg_dir *set = open_dir(cg, "cpuset");
	char mask[4096];

	if (acct || (ctl && !ctl->v2))
		cpu_v1(acct, ctl, ret);
	else if (v2 && cg_dir_fd(v2) >= 0)
		cpu_v2(v2, ret);
	cg_psi_read(cg, "cpu.pressure", &ret->psi);
	if (!set || !cg_read_text(set->fd, set->v2 ? "cpuset.cpus.effective" : "cpuset.cpus", mask, sizeof mask) || !*mask)
		return 0;
	ret->mask = arena_strdup(a, mask);
	return ret->mask ? 0 : err_oom(e);
}

/* ---- memory ---- */

/* v1 has two numbers of each kind: that with its children begins with "total_". */
static struct opt_u64 stat_v1(const char *text, const char *key)
{
	char total[64];

	snprintf(total, sizeof total, "total_%s", key);
	return first_of(keyed(text, total), keyed(text, key));
}

static void memory_v1(const struct cg_dir *d, const char *stat, struct cg_memory_sample *ret)
{
	ret->usage = number(d, "memory.usage_in_bytes");
	ret->limit = limit(d, "memory.limit_in_bytes");
	ret->working_set = minus(ret->usage, stat_v1(stat, "inactive_file"));
	ret->cache = stat_v1(stat, "cache");
	ret->reservation = limit(d, "memory.soft_limit_in_bytes");
	ret->swap = first_of(stat_v1(stat, "swap"), minus(number(d, "memory.memsw.usage_in_bytes"), ret->usage));
	ret->swap_limit = minus(limit(d, "memory.memsw.limit_in_bytes"), ret->limit);
	ret->refaults_anon = stat_v1(stat, "workingset_refault_anon");
	ret->refaults_file = stat_v1(stat, "workingset_refault_file");
}

static void memory_v2(const struct cg_dir *d, const char *stat, struct cg_memory_sample *ret)
{
	ret->usage = number(d, "memory.current");
	ret->limit = limit(d, "memory.max");
	ret->working_set = minus(ret->usage, keyed(stat, "inactive_file"));
	ret->cache = keyed(stat, "file");
	ret->guarantee = number(d, "memory.min");
	ret->reservation = number(d, "memory.low");
	ret->swap = number(d, "memory.swap.current");
	ret->swap_limit = limit(d, "memory.swap.max");
	ret->refaults_anon = keyed(stat, "workingset_refault_anon");
	/* Before Linux 5.9 there was one number, for files. */
	ret->refaults_file = first_of(keyed(stat, "workingset_refault_file"), keyed(stat, "workingset_refault"));
}

static void memory(const struct cgroup *cg, struct cg_memory_sample *ret)
{
	cleanup_str struct str stat = { 0 };
	struct cg_dir *d = open_dir(cg, "memory");

	cg_psi_read(cg, "memory.pressure", &ret->psi);
	if (!d)
		return;
	cg_slurp(d, "memory.stat", &stat);
	if (d->v2)
		memory_v2(d, str_cstr(&stat), ret);
	else
		memory_v1(d, str_cstr(&stat), ret);
}

/* ---- I/O ---- */

static struct cg_io_device *device(struct cg_io_sample *io, unsigned major, unsigned minor, struct arena *a)
{
	struct cg_io_device *more;

	for (size_t i = 0; i < io->n; i++)
		if (io->v[i].major == major && io->v[i].minor == minor)
			return &io->v[i];
	if ((io->n & (io->n + 1)) == 0) { /* full: room for 1, 3, 7, ... */
		more = arena_alloc_n(a, 2 * io->n + 1, sizeof *more);
		if (!more)
			return NULL;
		if (io->n)
			memcpy(more, io->v, io->n * sizeof *more);
		io->v = more;
	}
	io->v[io->n] = (struct cg_io_device){ .major = major, .minor = minor };
	return &io->v[io->n++];
}

/* BFQ counts its own devices, the throttle files all: the first that knows a device tells. */
bool cg_io_text_v1(const struct cg_dir *d, const char *name, struct str *ret)
{
	static const char *const prefixes[] = { "blkio.bfq.", "blkio.", "blkio.throttle." };
	char file[96];
	bool there = false;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		snprintf(file, sizeof file, "%s%s", prefixes[i], name);
		there = cg_slurp(d, file, ret) || there;
		if (strchr(str_cstr(ret), ':'))
			return true;
	}
	str_clear(ret);
	return there;
}

/* Lines "8:0 Read 123". */
static int io_lines_v1(const char *text, bool bytes, struct cg_io_sample *ret, struct arena *a, struct err *e)
{
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		struct cg_io_device *dev;
		unsigned major, minor;
		unsigned long long v;
		char op[32];

		if (sscanf(p, "%u:%u %31[A-Za-z] %llu", &major, &minor, op, &v) != 4)
			continue;
		dev = device(ret, major, minor, a);
		if (!dev)
			return err_oom(e);
		if (strcmp(op, "Read") == 0)
			*(bytes ? &dev->read_bytes : &dev->reads) = v;
		else if (strcmp(op, "Write") == 0)
			*(bytes ? &dev->write_bytes : &dev->writes) = v;
	}
	return 0;
}

static int io_v1(const struct cg_dir *d, struct cg_io_sample *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };

	ret->known = cg_io_text_v1(d, "io_service_bytes_recursive", &text);
	if (io_lines_v1(str_cstr(&text), true, ret, a, e) < 0)
		return err_ret(e);
	cg_io_text_v1(d, "io_serviced_recursive", &text);
	return io_lines_v1(str_cstr(&text), false, ret, a, e);
}

static uint64_t word(const char *line, const char *name)
{
	const char *end = line + strcspn(line, "\n"), *v = strstr(line, name);

	return v && v < end ? strtoull(v + strlen(name), NULL, 10) : 0;
}

/* Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0". */
static int io_v2(const struct cg_dir *d, struct cg_io_sample *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };

	ret->known = cg_slurp(d, "io.stat", &text);
	for (const char *p = str_cstr(&text); *p; p += strcspn(p, "\n"), p += *p == '\n') {
		struct cg_io_device *dev;
		unsigned major, minor;

		if (sscanf(p, "%u:%u", &major, &minor) != 2)
			continue;
		dev = device(ret, major, minor, a);
		if (!dev)
			return err_oom(e);
		dev->read_bytes = word(p, " rbytes=");
		dev->write_bytes = word(p, " wbytes=");
		dev->reads = word(p, " rios=");
		dev->writes = word(p, " wios=");
	}
	return 0;
}

static int io(const struct cgroup *cg, struct cg_io_sample *ret, struct arena *a, struct err *e)
{
	struct cg_dir *v1 = open_dir(cg, "blkio"), *v2 = open_dir(cg, "io");

	cg_psi_read(cg, "io.pressure", &ret->psi);
	if (v2)
		return io_v2(v2, ret, a, e);
	return v1 ? io_v1(v1, ret, a, e) : 0;
}

int cg_sample(const struct cgroup *cg, struct cg_sample *ret, struct arena *a, struct err *e)
{
	struct cg_dir *pids;

	*ret = (struct cg_sample){ 0 };
	if (!cg)
		return 0;
	memory(cg, &ret->memory);
	pids = open_dir(cg, "pids");
	ret->pids = number(pids, "pids.current");
	ret->pids_limit = limit(pids, "pids.max");
	return cpu(cg, &ret->cpu, a, e) < 0 ? err_ret(e) : io(cg, &ret->io, a, e);
}
