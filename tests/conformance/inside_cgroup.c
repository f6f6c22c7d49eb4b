// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conformance/inside.h"

/* What a limit is called, and how it is written.  Only what stands in one file as one number; the rest below. */
static const struct {
	const char *field, *controller, *v1, *v2;
} limits[] = {
	{ "memory.limit", "memory", "memory.limit_in_bytes", "memory.max" },
	{ "memory.reservation", "memory", "memory.soft_limit_in_bytes", "memory.low" },
	{ "memory.swappiness", "memory", "memory.swappiness", NULL },
	{ "cpu.shares", "cpu", "cpu.shares", NULL },
	{ "cpu.quota", "cpu", "cpu.cfs_quota_us", NULL },
	{ "cpu.period", "cpu", "cpu.cfs_period_us", NULL },
	{ "cpu.burst", "cpu", "cpu.cfs_burst_us", "cpu.max.burst" },
	{ "cpu.idle", "cpu", "cpu.idle", "cpu.idle" },
	{ "cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", NULL },
	{ "cpu.realtimePeriod", "cpu", "cpu.rt_period_us", NULL },
	{ "pids.limit", "pids", "pids.max", "pids.max" },
};

static bool is_v2(void)
{
	return strcmp(string_at(facts, "cgroup_mode", ""), "v2") == 0;
}

/* The file of a controller in this container's own cgroup, as the mount in the container shows it. */
static const char *cgroup_text(const char *controller, const char *file)
{
	char path[256];

	if (is_v2())
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", file);
	else
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", controller, file);
	return read_text(path);
}

static void check_limit(size_t i)
{
	char field[64];
	const char *file = is_v2() ? limits[i].v2 : limits[i].v1, *text;
	const yajl_val v = at(spec, (snprintf(field, sizeof field, "linux.resources.%s", limits[i].field), field));
	long long want;

	if (!v || !file)
		return;
	text = cgroup_text(limits[i].controller, file);
	want = (long long)unsigned_of(v);
	if (!text)
		check(false, "cgroup", "%s: %s can be read", limits[i].field, file);
	else if (strcmp(text, "max") == 0)
		check(want < 0, "cgroup", "%s: is max, expected %lld", limits[i].field, want);
	else
		check_number("cgroup", limits[i].field, strtoll(text, NULL, 10), want);
}

static void check_cpuset(const char *field, const char *file)
{
	char key[64];
	const char *want = string_at(spec, (snprintf(key, sizeof key, "linux.resources.cpu.%s", field), key), NULL);

	if (want && *want)
		check_string("cgroup", field, cgroup_text("cpuset", file), want);
}

static void check_v2_cpu(void)
{
	const long long quota = number_at(spec, "linux.resources.cpu.quota", 0);
	const long long period = number_at(spec, "linux.resources.cpu.period", 100000);
	char want[64];

	if (!is_v2() || quota == 0)
		return;
	if (quota < 0)
		snprintf(want, sizeof want, "max %lld", period);
	else
		snprintf(want, sizeof want, "%lld %lld", quota, period);
	check_string("cgroup", "cpu.max", cgroup_text("cpu", "cpu.max"), want);
}

static void check_oom_killer(void)
{
	const char *text;

	if (is_v2() || !at(spec, "linux.resources.memory.disableOOMKiller"))
		return;
	text = cgroup_text("memory", "memory.oom_control");
	check(text && !!strstr(text, "oom_kill_disable 1") == true_at(spec, "linux.resources.memory.disableOOMKiller"),
	      "cgroup", "the OOM killer is %s", true_at(spec, "linux.resources.memory.disableOOMKiller") ? "off" : "on");
}

/* The keys of "unified" are files of the cgroup2 hierarchy, on a hybrid host in its own mount. */
static void check_unified(void)
{
	const yajl_val o = at(spec, "linux.resources.unified");

	for (size_t i = 0; o && i < o->u.object.len; i++) {
		const char *text = cgroup_text("unified", o->u.object.keys[i]);

		check_string("cgroup", o->u.object.keys[i], text, text_of(o->u.object.values[i]));
	}
}

/* With a namespace of its own the container sees its cgroup as the root; without one by its name on the host. */
static void check_path(void)
{
	const char *text = read_text("/proc/self/cgroup"), *want = string_at(facts, "cgroup_path", NULL);
	bool all = true;

	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		const char *colon = strchr(strchr(p, ':') + 1, ':') + 1;
		const int n = (int)strcspn(colon, "\n");

		if (has_new_ns("cgroup"))
			all &= n == 1 && *colon == '/';
		else if (want)
			all &= n == (int)strlen(want) && strncmp(colon, want, (size_t)n) == 0;
	}
	check(text && all, "cgroup path", "%s: %.300s", has_new_ns("cgroup") ? "/" : want ? want : "any", text ? text : "");
}

void check_cgroup(void)
{
	struct stat st;

	check_path();
	if (!true_at(facts, "cgroup_mounted") || stat("/sys/fs/cgroup", &st) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		check_limit(i);
	check_cpuset("cpus", "cpuset.cpus");
	check_cpuset("mems", "cpuset.mems");
	check_v2_cpu();
	check_oom_killer();
	check_unified();
}
