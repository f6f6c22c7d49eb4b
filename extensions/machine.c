// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/machine.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fs.h"
#include "runtime/linux/process.h"

#define SYS_CPU "/sys/devices/system/cpu/"
#define SYS_NODE "/sys/devices/system/node/"
#define TEXT_MAX ((size_t)1 << 20)

/* ---- sets ---- */

int cpus_parse(const char *list, struct cpus *ret, struct err *e)
{
	int r = cpu_list_parse(list, ret->w, MACHINE_CPUS_MAX, e);

	return r < 0 ? r : 0;
}

bool cpus_has(const struct cpus *c, size_t cpu)
{
	return cpu < MACHINE_CPUS_MAX && c->w[cpu / MACHINE_BITS] >> (cpu % MACHINE_BITS) & 1;
}

void cpus_add(struct cpus *c, size_t cpu)
{
	c->w[cpu / MACHINE_BITS] |= 1UL << (cpu % MACHINE_BITS);
}

void cpus_print(const struct cpus *c, struct str *out)
{
	bool first = true;

	for (size_t i = 0; i < MACHINE_CPUS_MAX; i++) {
		size_t last = i;

		if (!cpus_has(c, i))
			continue;
		while (cpus_has(c, last + 1))
			last++;
		str_addf(out, last == i ? "%s%zu" : "%s%zu-%zu", first ? "" : ",", i, last);
		first = false;
		i = last;
	}
}

bool cpus_within(const struct cpus *c, const struct cpus *all)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->w); i++)
		if (c->w[i] & ~all->w[i])
			return false;
	return true;
}

size_t cpus_count(const struct cpus *c)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(c->w); i++)
		n += (size_t)__builtin_popcountl(c->w[i]);
	return n;
}

void cpus_and(struct cpus *c, const struct cpus *with)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->w); i++)
		c->w[i] &= with->w[i];
}

void cpus_or(struct cpus *c, const struct cpus *with)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->w); i++)
		c->w[i] |= with->w[i];
}

/* ---- files ---- */

static const char *root = "";

void machine_use_root(const char *dir)
{
	root = dir;
}

static bool exists(const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s%s", root, file);
	return access(path, F_OK) == 0;
}

static int read_file(const char *file, size_t max, struct str *ret, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s%s", root, file);
	return fs_read(AT_FDCWD, path, max, ret, e);
}

static int read_set(const char *path, struct cpus *ret, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (read_file(path, TEXT_MAX, &text, e) < 0)
		return err_ret(e);
	while (text.len && text.s[text.len - 1] == '\n')
		text.s[--text.len] = '\0';
	*ret = (struct cpus){ 0 };
	return text.len && cpus_parse(text.s, ret, e) < 0 ? err_wrap(e, "%s", path) : 0;
}

static int allowed(const struct cgroup *cg, const char *what, const char *fallback, struct cpus *ret, struct err *e)
{
	cleanup_str struct str text = { 0 };

	*ret = (struct cpus){ 0 };
	if (cg && cgroup_allowed(cg, what, &text) == 0)
		return cpus_parse(str_cstr(&text), ret, e);
	return read_set(fallback, ret, e);
}

int machine_allowed_cpus(const struct cgroup *cg, struct cpus *ret, struct err *e)
{
	return allowed(cg, "cpus", SYS_CPU "online", ret, e);
}

int machine_allowed_nodes(const struct cgroup *cg, struct cpus *ret, struct err *e)
{
	/* A kernel without NUMA has one node and no files about it. */
	if (!exists(SYS_NODE "online") && !cg) {
		*ret = (struct cpus){ 0 };
		cpus_add(ret, 0);
		return 0;
	}
	return allowed(cg, "mems", SYS_NODE "online", ret, e);
}

int machine_node_cpus(size_t node, struct cpus *ret, struct err *e)
{
	char path[128];

	snprintf(path, sizeof path, SYS_NODE "node%zu/cpulist", node);
	if (node == 0 && !exists(path))
		return read_set(SYS_CPU "online", ret, e);
	return read_set(path, ret, e);
}

size_t machine_cpus(void)
{
	struct cpus online;
	struct err ignored;

	return read_set(SYS_CPU "online", &online, &ignored) == 0 && cpus_count(&online) ? cpus_count(&online) : 1;
}

/* libvzctl's rule: the highest clock that cpufreq names, else the last of /proc/cpuinfo. */
int machine_mhz(int64_t *ret, struct err *e)
{
	cleanup_str struct str text = { 0 };
	const char *p = NULL;
	struct err ignored;
	int64_t mhz = 0;

	if (read_file(SYS_CPU "cpu0/cpufreq/cpuinfo_max_freq", 64, &text, &ignored) == 0)
		mhz = atoll(str_cstr(&text)) / 1000;
	if (mhz <= 0) {
		str_clear(&text);
		if (read_file("/proc/cpuinfo", TEXT_MAX * 8, &text, e) < 0)
			return err_ret(e);
		for (const char *next = text.s; next && (next = strstr(next, "cpu MHz")); next++)
			p = next;
		p = p ? strchr(p, ':') : NULL;
		mhz = p ? atoll(p + 1) : 0;
	}
	if (mhz <= 0)
		return err_set(e, ERR_UNSUPPORTED, 0, "this machine does not tell the clock of its CPUs: give percent");
	*ret = mhz;
	return 0;
}

/* "cpuN user nice system idle iowait irq softirq steal": all but idle and iowait. */
static int read_busy(uint32_t busy[MACHINE_CPUS_MAX], struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (read_file("/proc/stat", TEXT_MAX * 8, &text, e) < 0)
		return err_ret(e);
	for (const char *line = strchr(str_cstr(&text), '\n'); line; line = strchr(line + 1, '\n')) {
		unsigned long long t[8] = { 0 };
		unsigned cpu;

		if (sscanf(line, "\ncpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5],
			   &t[6], &t[7]) == 9 && cpu < MACHINE_CPUS_MAX)
			busy[cpu] = (uint32_t)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]);
	}
	return 0;
}

int machine_load(uint32_t ret[MACHINE_CPUS_MAX], struct err *e)
{
	uint32_t *before = calloc(MACHINE_CPUS_MAX, sizeof *before);
	int r = before ? read_busy(before, e) : err_oom(e);

	if (r == 0)
		poll(NULL, 0, MACHINE_SAMPLE_MS);
	if (r == 0)
		r = read_busy(ret, e);
	for (size_t i = 0; r == 0 && i < MACHINE_CPUS_MAX; i++)
		ret[i] -= before[i];
	free(before);
	return r;
}
