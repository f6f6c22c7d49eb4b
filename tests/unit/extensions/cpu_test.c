// SPDX-License-Identifier: LGPL-2.1-or-later

/* Masks and limits on a machine of two memory nodes, by a tree that stands for /sys and /proc. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extensions/machine.h"
#include "extensions/registry.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "tests/lib/test.h"

#define CPUS 8

static struct err e;
static struct arena arena;
static char root[64];
static const struct ext *const list[] = { &ext_cpu, NULL };

static void put(const char *file, const char *text)
{
	char path[PATH_MAX], dir[PATH_MAX];

	snprintf(path, sizeof path, "%s%s", root, file);
	snprintf(dir, sizeof dir, "%s", path);
	*strrchr(dir, '/') = '\0';
	CHECK_INT(fs_mkdir_all(dir, 0755, &e), 0);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Ticks that each CPU has been busy, which stands still. */
static void put_stat(const unsigned busy[CPUS])
{
	cleanup_str struct str text = { 0 };

	str_add(&text, "cpu  1 2 3 4 5 6 7 8 9 10\n");
	for (unsigned i = 0; i < CPUS; i++)
		str_addf(&text, "cpu%u %u 0 0 50 50 0 0 0 0 0\n", i, busy[i]);
	str_add(&text, "intr 1\n");
	put("/proc/stat", str_cstr(&text));
}

static const unsigned idle[CPUS];

/* Nodes 0 and 2, each with four CPUs that do not lie side by side. */
static void begin(void)
{
	snprintf(root, sizeof root, "/tmp/vzrun-test-XXXXXX");
	CHECK(mkdtemp(root) != NULL);
	put("/sys/devices/system/cpu/online", "0-7\n");
	put("/sys/devices/system/node/online", "0,2\n");
	put("/sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
	put("/sys/devices/system/node/node2/cpulist", "2-3,6-7\n");
	put("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "2000000\n");
	put_stat(idle);
	machine_use_root(root);
	ext_register(list);
}

static void end(void)
{
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	machine_use_root("");
	CHECK_INT(fs_remove_tree(tmp, root + strlen("/tmp/"), &e), 0);
	arena_done(&arena);
}

/* "cpuunits 1000 cpumask 0-1": what they mean for a document with these fields, at creation. */
static struct oci_cpu fields_of(const char *settings, const struct oci_cpu *document)
{
	struct oci_resources has = { .cpu = (struct oci_cpu *)(uintptr_t)document }, wants = { 0 };
	struct oci_state_exts saved = { 0 };
	char *rest = arena_strdup(&arena, settings);
	struct oci_pair pairs[4];
	struct oci_map map = { pairs, 0 };
	struct ext_env env = { .arena = &arena, .resources = &has };
	struct ext_uses uses;

	for (char *key = strsep(&rest, " "); key; key = strsep(&rest, " "))
		pairs[map.n++] = (struct oci_pair){ arena_printf(&arena, EXT_PREFIX "%s", key), strsep(&rest, " ") };
	e = (struct err){ 0 };
	CHECK_INT(ext_read(&map, &saved, false, &uses, &arena, &e), 0);
	if (ext_validate(&uses, &env, &e) < 0 || ext_native(&uses, &env, &wants, &e) < 0)
		return (struct oci_cpu){ .cpus = e.text };
	return *wants.cpu;
}

static const char *cpus(const char *settings)
{
	return fields_of(settings, NULL).cpus;
}

/* As soon as somebody has read /proc/stat the CPUs have done that much. */
static pid_t work_meanwhile(const unsigned busy[CPUS])
{
	char path[PATH_MAX], event[512];
	cleanup_fd int watch = inotify_init1(IN_CLOEXEC);
	pid_t pid;

	put_stat(idle);
	snprintf(path, sizeof path, "%s/proc/stat", root);
	CHECK(inotify_add_watch(watch, path, IN_CLOSE_NOWRITE) >= 0);
	pid = fork();
	if (pid != 0)
		return pid;
	if (read(watch, event, sizeof event) > 0)
		put_stat(busy);
	_exit(0);
}

/* The sample is short: on a machine that is busy itself the work may come too late, and nothing was to do. */
static const char *cpus_under(const unsigned busy[CPUS], const char *settings, const char *want)
{
	const char *is = NULL;

	for (int i = 0; i < 20 && (!is || strcmp(is, want) != 0); i++) {
		pid_t worker = work_meanwhile(busy);

		is = cpus(settings);
		kill(worker, SIGKILL);
		waitpid(worker, NULL, 0);
	}
	return is;
}

TEST(nodemask_alone_means_the_cpus_of_the_nodes)
{
	begin();
	CHECK_STR(cpus("nodemask 0"), "0-1,4-5");
	CHECK_STR(cpus("nodemask 2"), "2-3,6-7");
	CHECK_STR(cpus("nodemask 0,2"), "0-7");
	CHECK_STR(fields_of("nodemask 2", NULL).mems, "2");
	CHECK(!cpus("nodemask all"));
	CHECK_STR(fields_of("nodemask all", NULL).mems, "0,2");
	CHECK_STR(cpus("nodemask 2 cpumask 1"), "1");
	CHECK_STR(cpus("nodemask 1"), "/annotations/org.openvz.nodemask: nodes 1: this container may use 0,2");
	CHECK_STR(cpus("cpumask 7-8"), "/annotations/org.openvz.cpumask: CPUs 7-8: this container may use 0-7");
	put("/sys/devices/system/node/node2/cpulist", "\n");
	CHECK(strstr(cpus("nodemask 2"), "/annotations/org.openvz.nodemask: CPUs "));
	end();
}

TEST(auto_with_nodemask_is_all_cpus_of_the_nodes)
{
	begin();
	CHECK_STR(cpus("cpumask auto nodemask 2"), "2-3,6-7");
	CHECK_STR(cpus("cpumask auto nodemask 2 cpus 1"), "2-3,6-7");
	end();
}

TEST(auto_picks_the_node_that_has_the_least_to_do)
{
	static const unsigned first[CPUS] = { 9, 9, 1, 2, 9, 9, 3, 4 }, second[CPUS] = { 4, 1, 9, 9, 2, 3, 9, 9 };

	begin();
	CHECK_STR(cpus_under(first, "cpumask auto", "2-3,6-7"), "2-3,6-7");
	CHECK_STR(cpus_under(second, "cpumask auto", "0-1,4-5"), "0-1,4-5");
	CHECK_STR(cpus_under(first, "cpumask auto cpus 2", "2-3"), "2-3");
	CHECK_STR(cpus_under(second, "cpumask auto cpulimit 150", "1,4"), "1,4");
	/* The smaller of the two; more than a node has: the least loaded of all. */
	CHECK_STR(cpus_under(second, "cpumask auto cpus 3 cpulimit 50", "1"), "1");
	CHECK_STR(cpus_under(first, "cpumask auto cpus 6", "0-3,6-7"), "0-3,6-7");
	CHECK_STR(cpus("cpumask auto cpus 18446744073709551615"), "0-7");
	end();
}

TEST(auto_counts_the_load_per_cpu)
{
	/* Node 0 has more to do, but on four CPUs. */
	static const unsigned busy[CPUS] = { 3, 3, 5, 5, 3, 3, 0, 0 };

	begin();
	put("/sys/devices/system/node/node2/cpulist", "2-3\n");
	CHECK_STR(cpus_under(busy, "cpumask auto", "0-1,4-5"), "0-1,4-5");
	end();
}

TEST(a_document_may_write_a_set_otherwise)
{
	begin();
	CHECK_STR(fields_of("cpumask 0-1", &(struct oci_cpu){ .cpus = "1,0" }).cpus, "1,0");
	CHECK_STR(fields_of("cpumask 0-1", &(struct oci_cpu){ .cpus = "0" }).cpus, "0-1");
	CHECK_STR(fields_of("nodemask 0,2", &(struct oci_cpu){ .mems = "2,0" }).mems, "2,0");
	end();
}

TEST(limits_are_cut_down_to_the_machine)
{
	begin();
	CHECK_INT(fields_of("cpus 3", NULL).quota.v, 300000);
	CHECK_INT(fields_of("cpus 9", NULL).quota.v, 800000);
	CHECK_INT(fields_of("cpus 100000000000", NULL).quota.v, 800000);
	CHECK_INT(fields_of("cpus 18446744073709551615", NULL).quota.v, 800000);
	CHECK_INT(fields_of("cpus 18446744073709551615 cpulimit 30", NULL).quota.v, 30000);
	CHECK_INT(fields_of("cpus 2 cpulimit 1000", NULL).quota.v, 200000);
	CHECK_INT(fields_of("cpulimit 1000", NULL).quota.v, 800000);
	CHECK_INT(fields_of("cpulimit 500mhz", NULL).quota.v, 25000);
	CHECK_INT(fields_of("cpulimit 0.1", NULL).quota.v, 1000);
	CHECK_INT(fields_of("cpulimit 0 cpus 0", NULL).quota.v, -1);
	end();
}

TEST(a_burst_is_cut_down_to_the_quota)
{
	static const struct oci_cpu burst = { .burst = { .v = 10000, .set = true } }, quota = { .quota = { .v = 5000, .set = true } };

	begin();
	CHECK_INT(fields_of("cpulimit 50 cpuburst 10000", NULL).burst.v, 10000);
	CHECK_INT(fields_of("cpulimit 5 cpuburst 10000", NULL).burst.v, 5000);
	CHECK_INT(fields_of("cpuburst 10000", NULL).burst.v, 10000);
	CHECK_INT(fields_of("cpuburst 10000", &quota).burst.v, 5000);
	CHECK_INT(fields_of("cpulimit 5", &burst).burst.v, 5000);
	CHECK(!fields_of("cpulimit 50", &burst).burst.set);
	CHECK(!fields_of("cpulimit 0", &burst).burst.set);
	end();
}
