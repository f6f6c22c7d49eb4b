// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fd.h"
#include "runtime/cgroup/hier.h"
#include "runtime/cgroup/sample.h"

/* A statistic that cannot be read is 0: a controller may be missing, and files come and go between kernels. */

static struct cg_dir *open_dir(const struct cgroup *cg, const char *controller)
{
	struct cg_dir *d = cg_find(cg, controller);

	return d && cg_dir_fd(d) >= 0 ? d : NULL;
}

static uint64_t number(struct cg_dir *d, const char *file)
{
	uint64_t v = 0;

	if (d)
		cg_read_u64(d->fd, file, &v);
	return v;
}

static uint64_t keyed(struct cg_dir *d, const char *file, const char *key)
{
	uint64_t v = 0;

	if (d)
		cg_read_key(d->fd, file, key, &v);
	return v;
}


/* ---- pressure ---- */

static void psi_line(struct emit *out, const char *name, const struct cg_psi_line *l)
{
	if (!l->set)
		return;
	emit_object(out, name);
	emit_double(out, "avg10", l->avg10);
	emit_double(out, "avg60", l->avg60);
	emit_double(out, "avg300", l->avg300);
	emit_u64(out, "total", l->total);
	emit_object_end(out);
}

void cg_psi_emit(const struct cg_psi *psi, struct emit *out)
{
	emit_object(out, "psi");
	psi_line(out, "some", &psi->some);
	psi_line(out, "full", &psi->full);
	emit_object_end(out);
}

static void psi(const struct cgroup *cg, const char *file, struct emit *out)
{
	struct cg_psi p;

	if (cg_psi_read(cg, file, &p))
		cg_psi_emit(&p, out);
}

/* ---- cpu ---- */

/* Column `n` of each line, as an array. */
static void column(struct emit *out, const char *key, const char *text, int n)
{
	emit_array(out, key);
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *q = p;

		for (int i = 0; i < n; i++) {
			q += strcspn(q, " \n");
			q += *q == ' ';
		}
		if (*q >= '0' && *q <= '9') /* the heading has words */
			emit_u64(out, NULL, strtoull(q, NULL, 10));
	}
	emit_array_end(out);
}

static void percpu(struct cg_dir *d, struct emit *out)
{
	cleanup_str struct str text = { 0 };

	if (cg_slurp(d, "cpuacct.usage_percpu", &text)) {
		for (char *p = text.s; p && *p; p++)
			if (*p == ' ')
				*p = '\n';
		column(out, "percpu", str_cstr(&text), 0);
	}
	if (cg_slurp(d, "cpuacct.usage_all", &text)) { /* "cpu user system" */
		column(out, "percpu_kernel", str_cstr(&text), 2);
		column(out, "percpu_user", str_cstr(&text), 1);
	}
}

static void cpu_v1(const struct cgroup *cg, struct emit *out)
{
	struct cg_dir *acct = open_dir(cg, "cpuacct"), *cpu = open_dir(cg, "cpu");
	uint64_t tick = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t user, kernel;

	emit_object(out, "usage");
	emit_u64(out, "total", number(acct, "cpuacct.usage"));
	percpu(acct, out);
	user = number(acct, "cpuacct.usage_user"); /* in ns; cpuacct.stat counts ticks */
	kernel = number(acct, "cpuacct.usage_sys");
	emit_u64(out, "kernel", kernel ? kernel : keyed(acct, "cpuacct.stat", "system") * tick);
	emit_u64(out, "user", user ? user : keyed(acct, "cpuacct.stat", "user") * tick);
	emit_object_end(out);
	emit_object(out, "throttling");
	emit_u64(out, "periods", keyed(cpu, "cpu.stat", "nr_periods"));
	emit_u64(out, "throttledPeriods", keyed(cpu, "cpu.stat", "nr_throttled"));
	emit_u64(out, "throttledTime", keyed(cpu, "cpu.stat", "throttled_time"));
	emit_object_end(out);
}

/* cpu.stat counts time even without the controller. */
static void cpu_v2(struct cg_dir *d, struct emit *out)
{
	emit_object(out, "usage");
	emit_u64(out, "total", keyed(d, "cpu.stat", "usage_usec") * 1000);
	emit_u64(out, "kernel", keyed(d, "cpu.stat", "system_usec") * 1000);
	emit_u64(out, "user", keyed(d, "cpu.stat", "user_usec") * 1000);
	emit_object_end(out);
	emit_object(out, "throttling");
	emit_u64(out, "periods", keyed(d, "cpu.stat", "nr_periods"));
	emit_u64(out, "throttledPeriods", keyed(d, "cpu.stat", "nr_throttled"));
	emit_u64(out, "throttledTime", keyed(d, "cpu.stat", "throttled_usec") * 1000);
	emit_object_end(out);
}

static void cpu(const struct cgroup *cg, struct emit *out)
{
	struct cg_dir *v2 = cg_find_v2(cg);

	emit_object(out, "cpu");
	if (v2 && !cg_find(cg, "cpuacct") && cg_dir_fd(v2) >= 0)
		cpu_v2(v2, out);
	else
		cpu_v1(cg, out);
	psi(cg, "cpu.pressure", out);
	emit_object_end(out);
}

/* "0-3,8" as numbers. */
static void cpu_list(struct cg_dir *d, const char *key, const char *file, struct emit *out)
{
	char text[4096];

	if (!d || !cg_read_text(d->fd, file, text, sizeof text) || !*text)
		return;
	emit_array(out, key);
	for (char *p = text; *p >= '0' && *p <= '9'; p += *p == ',') {
		unsigned long first = strtoul(p, &p, 10), last = first;

		if (*p == '-')
			last = strtoul(p + 1, &p, 10);
		for (; first <= last && last < 65536; first++)
			emit_u64(out, NULL, first);
	}
	emit_array_end(out);
}

static void cpuset(const struct cgroup *cg, struct emit *out)
{
	static const char *const numbers[] = { "cpu_exclusive",	     "mem_hardwall",	   "mem_exclusive",
					       "memory_migrate",     "memory_spread_page", "memory_spread_slab",
					       "memory_pressure",    "sched_load_balance" };
	struct cg_dir *d = open_dir(cg, "cpuset");
	char file[64], level[32];
	int64_t relax = 0;

	emit_object(out, "cpuset");
	cpu_list(d, "cpus", d && d->v2 ? "cpuset.cpus.effective" : "cpuset.cpus", out);
	cpu_list(d, "mems", d && d->v2 ? "cpuset.mems.effective" : "cpuset.mems", out);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		snprintf(file, sizeof file, "cpuset.%s", numbers[i]);
		emit_u64(out, numbers[i], number(d && !d->v2 ? d : NULL, file));
	}
	if (d && !d->v2 && cg_read_text(d->fd, "cpuset.sched_relax_domain_level", level, sizeof level))
		num_i64(level, &relax);
	emit_i64(out, "sched_relax_domain_level", relax);
	emit_object_end(out);
}

/* ---- memory ---- */

static void memory_entry(struct emit *out, const char *key, uint64_t limit, uint64_t usage, uint64_t max, uint64_t failcnt)
{
	emit_object(out, key);
	emit_u64(out, "limit", limit);
	emit_u64(out, "usage", usage);
	emit_u64(out, "max", max);
	emit_u64(out, "failcnt", failcnt);
	emit_object_end(out);
}

static void entry_v1(struct cg_dir *d, struct emit *out, const char *key, const char *prefix)
{
	static const char *const names[] = { "limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt" };
	uint64_t v[ARRAY_SIZE(names)];
	char file[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(file, sizeof file, "%s.%s", prefix, names[i]);
		v[i] = number(d, file);
	}
	memory_entry(out, key, v[0], v[1], v[2], v[3]);
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The shape counts memory and swap together, as v1 does. */
static void entries_v2(struct cg_dir *d, struct emit *out)
{
	uint64_t limit = number(d, "memory.max"), usage = number(d, "memory.current");

	memory_entry(out, "usage", limit, usage, number(d, "memory.peak"), keyed(d, "memory.events", "max"));
	memory_entry(out, "swap", plus(limit, number(d, "memory.swap.max")), plus(usage, number(d, "memory.swap.current")),
		     0, keyed(d, "memory.swap.events", "fail"));
	memory_entry(out, "kernel", 0, keyed(d, "memory.stat", "kernel"), 0, 0);
	memory_entry(out, "kernelTCP", 0, keyed(d, "memory.stat", "sock"), 0, 0);
}

static void raw(struct cg_dir *d, struct emit *out)
{
	cleanup_str struct str text = { 0 };
	char key[64];

	emit_object(out, "raw");
	cg_slurp(d, "memory.stat", &text);
	for (const char *p = str_cstr(&text); *p; p += strcspn(p, "\n"), p += *p == '\n') {
		unsigned long long v;

		if (sscanf(p, "%63s %llu", key, &v) == 2)
			emit_u64(out, key, v);
	}
	emit_object_end(out);
}

static void memory(const struct cgroup *cg, struct emit *out)
{
	struct cg_dir *d = open_dir(cg, "memory");

	emit_object(out, "memory");
	emit_u64(out, "cache", keyed(d, "memory.stat", d && d->v2 ? "file" : "cache"));
	if (d && d->v2) {
		entries_v2(d, out);
	} else {
		entry_v1(d, out, "usage", "memory");
		entry_v1(d, out, "swap", "memory.memsw");
		entry_v1(d, out, "kernel", "memory.kmem");
		entry_v1(d, out, "kernelTCP", "memory.kmem.tcp");
	}
	raw(d, out);
	psi(cg, "memory.pressure", out);
	emit_object_end(out);
}

static void pids(const struct cgroup *cg, struct emit *out)
{
	struct cg_dir *d = open_dir(cg, "pids");
	uint64_t limit = number(d, "pids.max");

	emit_object(out, "pids");
	emit_u64(out, "current", number(d, "pids.current"));
	emit_u64(out, "limit", limit == UINT64_MAX ? 0 : limit);
	emit_object_end(out);
}

/* ---- blkio ---- */

static void io_entry(struct emit *out, unsigned major, unsigned minor, const char *op, uint64_t value)
{
	emit_object(out, NULL);
	emit_u64(out, "major", major);
	emit_u64(out, "minor", minor);
	emit_string(out, "op", op);
	emit_u64(out, "value", value);
	emit_object_end(out);
}

/* Lines "8:0 Read 123", or "8:0 123" for times and sectors. */
static void io_lines(struct emit *out, const char *text)
{
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		unsigned major, minor;
		unsigned long long v;
		char op[32] = "";

		if (sscanf(p, "%u:%u %31[A-Za-z] %llu", &major, &minor, op, &v) == 4)
			io_entry(out, major, minor, op, v);
		else if (sscanf(p, "%u:%u %llu", &major, &minor, &v) == 3)
			io_entry(out, major, minor, "", v);
	}
}

static void io_v1(struct cg_dir *d, struct emit *out, const char *key, const char *name)
{
	cleanup_str struct str text = { 0 };

	emit_array(out, key);
	if (d && cg_io_text_v1(d, name, &text))
		io_lines(out, str_cstr(&text));
	emit_array_end(out);
}

static void io_stat_v2(struct emit *out, const char *key, const char *text, const char *const names[2])
{
	static const char *const ops[] = { "Read", "Write" };

	emit_array(out, key);
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		unsigned major, minor;

		if (sscanf(p, "%u:%u", &major, &minor) != 2)
			continue;
		for (size_t i = 0; i < 2; i++) {
			const char *v = strstr(p, names[i]);

			if (v && v < p + strcspn(p, "\n"))
				io_entry(out, major, minor, ops[i], strtoull(v + strlen(names[i]), NULL, 10));
		}
	}
	emit_array_end(out);
}

static void blkio_v2(struct cg_dir *d, struct emit *out)
{
	static const char *const bytes[] = { "rbytes=", "wbytes=" }, *const ios[] = { "rios=", "wios=" };
	static const char *const never[] = { "ioQueueRecursive",  "ioServiceTimeRecursive", "ioWaitTimeRecursive",
					     "ioMergedRecursive", "ioTimeRecursive",	    "sectorsRecursive" };
	cleanup_str struct str text = { 0 };

	cg_slurp(d, "io.stat", &text);
	io_stat_v2(out, "ioServiceBytesRecursive", str_cstr(&text), bytes);
	io_stat_v2(out, "ioServicedRecursive", str_cstr(&text), ios);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		emit_array(out, never[i]);
		emit_array_end(out);
	}
}

static void blkio(const struct cgroup *cg, struct emit *out)
{
	struct cg_dir *d = open_dir(cg, "blkio"), *v2 = open_dir(cg, "io");

	emit_object(out, "blkio");
	if (v2) {
		blkio_v2(v2, out);
	} else {
		io_v1(d, out, "ioServiceBytesRecursive", "io_service_bytes_recursive");
		io_v1(d, out, "ioServicedRecursive", "io_serviced_recursive");
		io_v1(d, out, "ioQueueRecursive", "io_queued_recursive");
		io_v1(d, out, "ioServiceTimeRecursive", "io_service_time_recursive");
		io_v1(d, out, "ioWaitTimeRecursive", "io_wait_time_recursive");
		io_v1(d, out, "ioMergedRecursive", "io_merged_recursive");
		io_v1(d, out, "ioTimeRecursive", "time_recursive");
		io_v1(d, out, "sectorsRecursive", "sectors_recursive");
	}
	psi(cg, "io.pressure", out);
	emit_object_end(out);
}

/* ---- hugetlb ---- */

static void hugetlb_size(struct cg_dir *d, struct emit *out, const char *size)
{
	char usage[96], max[96], fail[96];

	snprintf(usage, sizeof usage, "hugetlb.%s.%s", size, d->v2 ? "current" : "usage_in_bytes");
	snprintf(max, sizeof max, "hugetlb.%s.max_usage_in_bytes", size);
	snprintf(fail, sizeof fail, "hugetlb.%s.%s", size, d->v2 ? "events" : "failcnt");
	emit_object(out, size);
	emit_u64(out, "usage", number(d, usage));
	emit_u64(out, "max", d->v2 ? 0 : number(d, max));
	emit_u64(out, "failcnt", d->v2 ? keyed(d, fail, "max") : number(d, fail));
	emit_object_end(out);
}

/* The sizes are those that the directory has files for. */
static void hugetlb(const struct cgroup *cg, struct emit *out)
{
	struct cg_dir *d = open_dir(cg, "hugetlb");
	cleanup_dir DIR *list = d ? dir_open(d->fd, ".") : NULL;
	char size[64];

	emit_object(out, "hugetlb");
	for (struct dirent *de = list ? readdir(list) : NULL; de; de = readdir(list)) {
		int end = 0;

		if (sscanf(de->d_name, "hugetlb.%63[0-9KMGB].%n", size, &end) == 1 && end > 0 &&
		    strcmp(de->d_name + end, d->v2 ? "current" : "usage_in_bytes") == 0)
			hugetlb_size(d, out, size);
	}
	emit_object_end(out);
}

int cg_stats_emit(const struct cgroup *cg, struct emit *out, struct err *e)
{
	cpu(cg, out);
	cpuset(cg, out);
	memory(cg, out);
	pids(cg, out);
	blkio(cg, out);
	hugetlb(cg, out);
	return str_failed(out->out) ? err_oom(e) : 0;
}
