// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/linux/process.h"
#include "runtime/linux/procfs.h"
#include "tests/lib/test.h"

static void in_child(void (*test)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int before = test_failures;

		alarm(30);
		test();
		fflush(stdout);
		_exit(test_failures > before);
	}
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
}

/* ---- lists ---- */

static int parse(const char *list, unsigned long *mask, size_t bits)
{
	struct err e = { 0 };

	return cpu_list_parse(list, mask, bits, &e);
}

TEST(cpu_lists)
{
	static const char *const bad[] = { "", ",", "1,", ",1", "-1", "3-1", "1-", "a", "1 ", " 1", "+1", "0x1", "1--2", "1;2",
					   "128", "0-128", "99999999999999999999", "0-7:", "0-7:2", "0-7:2/", "0-7:0/4", "0-7:5/4",
					   "1:1/2", "all" };
	unsigned long m[2];

	CHECK_INT(parse("0-3,8", m, 128), 9);
	CHECK_INT(m[0], 0x10f);
	CHECK_INT(m[1], 0);
	CHECK_INT(parse("127", m, 128), 128);
	CHECK_INT(m[1], 1UL << 63);
	CHECK_INT(m[0], 0);
	CHECK_INT(parse("5,1,1-2", m, 128), 6);
	CHECK_INT(m[0], 0x26);
	CHECK_INT(parse("0-7:2/4", m, 128), 8);
	CHECK_INT(m[0], 0x33);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parse(bad[i], m, 128) >= 0)
			FAIL("'%s' was taken", bad[i]);
}

/* ---- rlimits ---- */

static void limits(void)
{
	struct oci_rlimit v[] = { { RLIMIT_NOFILE, 64, 128 }, { RLIMIT_AS, 1ULL << 40, 1ULL << 40 }, { RLIMIT_CORE, 0, 0 } };
	struct oci_rlimits all = { v, 3 };
	struct rlimit r;
	struct err e = { 0 };

	CHECK_INT(rlimits_set(0, &all, false, &e), 0);
	getrlimit(RLIMIT_CORE, &r);
	CHECK(r.rlim_cur == 0 && r.rlim_max == 0);
	getrlimit(RLIMIT_NOFILE, &r);
	CHECK(r.rlim_max != 128);
	getrlimit(RLIMIT_AS, &r);
	CHECK(r.rlim_max != 1ULL << 40);
	CHECK_INT(rlimits_set(0, &all, true, &e), 0);
	getrlimit(RLIMIT_NOFILE, &r);
	CHECK(r.rlim_cur == 64 && r.rlim_max == 128);
	getrlimit(RLIMIT_AS, &r);
	CHECK(r.rlim_cur == 1ULL << 40 && r.rlim_max == 1ULL << 40);
	/* Another process. */
	pid_t pid = fork();
	if (pid == 0)
		pause();
	v[0].soft = v[0].hard = 32;
	all.n = 1;
	CHECK_INT(rlimits_set(pid, &all, true, &e), 0);
	CHECK(prlimit(pid, RLIMIT_NOFILE, NULL, &r) == 0 && r.rlim_max == 32);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
TEST(rlimits) { in_child(limits); }

static void limit_above(void)
{
	struct oci_rlimit v[] = { { RLIMIT_NOFILE, 100, 300 } };
	struct oci_rlimits all = { v, 1 };
	const struct rlimit low = { 50, 200 };
	struct err e = { 0 };

	CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
	if (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0) /* whatever root may here, this one may not */
		FAIL("setresuid");
	CHECK(rlimits_set(0, &all, false, &e) < 0);
	CHECK_INT(e.num, EPERM);
	CHECK_STR(e.text, "rlimits: RLIMIT_NOFILE: hard limit 300 is above the current 200, needs CAP_SYS_RESOURCE");
	v[0] = (struct oci_rlimit){ 77, 0, 0 };
	CHECK(rlimits_set(0, &all, false, &e) < 0);
	CHECK_STR(e.text, "rlimits: unknown limit: soft 0, hard 0");
}
TEST(rlimit_above_the_hard_limit) { in_child(limit_above); }

static void oom(void)
{
	struct err e = { 0 };
	cleanup_fd int proc = procfs_open(&e);
	cleanup_str struct str s = { 0 };

	CHECK_INT(oom_score_set(proc, 0, 321, &e), 0);
	CHECK_INT(oom_score_set(proc, getpid(), 322, &e), 0);
	CHECK_INT(fs_read(AT_FDCWD, "/proc/self/oom_score_adj", 64, &s, &e), 0);
	CHECK_STR(str_cstr(&s), "322\n");
	CHECK(oom_score_set(proc, 0, 1001, &e) < 0);
	CHECK_INT(e.num, EINVAL);
	if (setresuid(12345, 12345, 12345) < 0)
		FAIL("setresuid");
}
TEST(oom_score)
{
	if (geteuid() != 0)
		SKIP("needs root: makes a private procfs");
	in_child(oom);
}

/* ---- scheduling ---- */

static void policies(void)
{
	/* Upwards from where the tests run: whoever runs them under nice may be a plain user. */
	int nice = getpriority(PRIO_PROCESS, 0) + (getpriority(PRIO_PROCESS, 0) < 19);
	struct oci_scheduler s = { .policy = SCHED_BATCH, .nice = { .v = nice, .set = true } };
	struct err e = { 0 };

	CHECK_INT(sched_set(&s, &e), 0);
	CHECK_INT(sched_getscheduler(0), SCHED_BATCH);
	CHECK_INT(getpriority(PRIO_PROCESS, 0), nice);
	s.nice.set = false; /* unset: unchanged */
	s.policy = SCHED_OTHER;
	CHECK_INT(sched_set(&s, &e), 0);
	CHECK_INT(sched_getscheduler(0), SCHED_OTHER);
	CHECK_INT(getpriority(PRIO_PROCESS, 0), nice);
	s.policy = SCHED_IDLE;
	CHECK_INT(sched_set(&s, &e), 0);
	CHECK_INT(sched_getscheduler(0), SCHED_IDLE);
	s.policy = 4;
	CHECK(sched_set(&s, &e) < 0);
	CHECK_INT(e.kind, ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "/process/scheduler/policy: "));
	s.policy = SCHED_FIFO; /* without its priority */
	CHECK(sched_set(&s, &e) < 0);
	CHECK_INT(e.num, EINVAL);
}
TEST(scheduler) { in_child(policies); }

static void reset_on_fork(void)
{
	int64_t flag = 0x01; /* SCHED_FLAG_RESET_ON_FORK */
	struct oci_scheduler s = { .policy = SCHED_BATCH, .flags = { &flag, 1 } };
	struct err e = { 0 };

	CHECK_INT(sched_set(&s, &e), 0);
	CHECK_INT(sched_getscheduler(0), SCHED_BATCH | SCHED_RESET_ON_FORK);
	flag = 1 << 30;
	CHECK(sched_set(&s, &e) < 0);
	CHECK_INT(e.num, EINVAL);
}
TEST(scheduler_flags) { in_child(reset_on_fork); }

static void real_time(void)
{
	struct oci_scheduler s = { .policy = SCHED_RR, .priority = { .v = 3, .set = true } };
	struct sched_param p;
	struct err e = { 0 };
	int r = sched_set(&s, &e);

	if (r == 0) {
		CHECK_INT(sched_getscheduler(0), SCHED_RR);
		sched_getparam(0, &p);
		CHECK_INT(p.sched_priority, 3);
	} else { /* the caller's own cpu cgroup may have no share */
		CHECK_INT(e.num, EPERM);
		CHECK(strstr(e.text, "SCHED_RR (the cpu cgroup has no real-time share: cpu.rt_runtime_us"));
	}
	s = (struct oci_scheduler){ .policy = SCHED_OTHER };
	CHECK_INT(sched_set(&s, &e), 0);
	if (setresuid(12345, 12345, 12345) < 0)
		FAIL("setresuid");
	s = (struct oci_scheduler){ .policy = SCHED_FIFO, .priority = { .v = 3, .set = true } };
	CHECK(sched_set(&s, &e) < 0);
	CHECK_STR(e.text, "scheduler: SCHED_FIFO (needs CAP_SYS_NICE)");
}
TEST(real_time_scheduler)
{
	if (geteuid() != 0)
		SKIP("needs root: real-time priorities");
	in_child(real_time);
}

static void deadline(void)
{
	struct oci_scheduler s = { .policy = 6, .runtime = { 1000000, true }, .deadline = { 100000000, true },
				   .period = { 100000000, true } };
	struct err e = { 0 };

	if (sched_set(&s, &e) == 0)
		CHECK_INT(sched_getscheduler(0), 6);
	else
		CHECK(strstr(e.text, "scheduler: SCHED_DEADLINE"));
	s.runtime.v = 200000000; /* more than the deadline */
	CHECK(sched_set(&s, &e) < 0);
}
TEST(deadline_scheduler)
{
	if (geteuid() != 0)
		SKIP("needs root: deadline scheduling");
	in_child(deadline);
}

static void io_priority(void)
{
	struct oci_io_priority p = { .class = IOPRIO_CLASS_BE, .priority = { .v = 6, .set = true } };
	struct err e = { 0 };

	CHECK_INT(io_priority_set(&p, &e), 0);
	CHECK_INT(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
	p.class = IOPRIO_CLASS_IDLE;
	p.priority.set = false;
	CHECK_INT(io_priority_set(&p, &e), 0);
	CHECK_INT(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	p.priority = (struct opt_i64){ .v = 8, .set = true };
	CHECK(io_priority_set(&p, &e) < 0);
	CHECK_INT(e.kind, ERR_CONFIG);
}
TEST(io_priorities) { in_child(io_priority); }

static void affinity(void)
{
	struct err e = { 0 };
	cpu_set_t all, now;
	char list[16];
	int last = -1;

	CHECK_INT(sched_getaffinity(0, sizeof all, &all), 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all))
			last = i;
	snprintf(list, sizeof list, "%d", last);
	CHECK_INT(affinity_set(0, list, &e), 0);
	CHECK_INT(sched_getaffinity(0, sizeof now, &now), 0);
	CHECK_INT(CPU_COUNT(&now), 1);
	CHECK(CPU_ISSET(last, &now));
	CHECK_INT(affinity_set(getpid(), NULL, &e), 0);
	CHECK_INT(sched_getaffinity(0, sizeof now, &now), 0);
	CHECK(CPU_EQUAL(&now, &all));
	CHECK(affinity_set(0, "8191", &e) < 0);
	CHECK_STR(e.text, "CPU affinity 8191: none of these CPUs is allowed here");
	CHECK(affinity_set(0, "1,x", &e) < 0);
	CHECK_STR(e.text, "CPU affinity: invalid list '1,x' at character 3");
}
TEST(affinities) { in_child(affinity); }

static void memory_policy(void)
{
	int64_t flag = 1 << 15; /* MPOL_F_STATIC_NODES */
	struct oci_memory_policy p = { .mode = MPOL_BIND, .nodes = "0", .flags = { &flag, 1 } };
	struct err e = { 0 };
	int mode = -1;

	CHECK_INT(memory_policy_set(&p, &e), 0);
	CHECK_INT(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0), 0);
	CHECK_INT(mode, MPOL_BIND | MPOL_F_STATIC_NODES);
	p = (struct oci_memory_policy){ .mode = MPOL_DEFAULT };
	CHECK_INT(memory_policy_set(&p, &e), 0);
	CHECK_INT(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0), 0);
	CHECK_INT(mode, MPOL_DEFAULT);
	p = (struct oci_memory_policy){ .mode = MPOL_LOCAL, .nodes = "" };
	CHECK_INT(memory_policy_set(&p, &e), 0);
	p.mode = 99;
	CHECK(memory_policy_set(&p, &e) < 0);
	CHECK(strstr(e.text, "/linux/memoryPolicy/mode: invalid memory policy mode"));
	flag = 1 << 20;
	p = (struct oci_memory_policy){ .mode = MPOL_BIND, .nodes = "0", .flags = { &flag, 1 } };
	CHECK(memory_policy_set(&p, &e) < 0);
	CHECK(strstr(e.text, "/linux/memoryPolicy/flags/0: invalid memory policy flag"));
	p = (struct oci_memory_policy){ .mode = MPOL_BIND, .nodes = "0-" };
	CHECK(memory_policy_set(&p, &e) < 0);
	CHECK(strstr(e.text, "/linux/memoryPolicy/nodes: invalid memory policy node: "));
	p.nodes = "5000-6000";
	CHECK(memory_policy_set(&p, &e) < 0);
	CHECK(strstr(e.text, "invalid memory policy node"));
	CHECK_INT(e.num, EINVAL);
}
TEST(memory_policies)
{
	int mode;

	if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) < 0 && errno == ENOSYS)
		SKIP("this kernel has no memory policies");
	in_child(memory_policy);
}

static void persona(void)
{
	const char *flags[] = { "ADDR_NO_RANDOMIZE", NULL };
	struct oci_personality p = { .domain = PER_LINUX32 };
	struct utsname before, now;
	struct err e = { 0 };

	uname(&before);
	CHECK_INT(personality_set(&p, &e), 0);
	CHECK_INT(personality(0xffffffff), PER_LINUX32);
	uname(&now);
	CHECK(sizeof(long) == 4 || strcmp(before.machine, now.machine) != 0);
	p.domain = PER_LINUX;
	CHECK_INT(personality_set(&p, &e), 0);
	CHECK_INT(personality(0xffffffff), PER_LINUX);
	p.flags = (struct oci_strs){ flags, 1 };
	CHECK(personality_set(&p, &e) < 0);
	CHECK(strstr(e.text, "/linux/personality/flags/0: "));
}
TEST(personalities) { in_child(persona); }

/* ---- sysctls ---- */

static const char *check(const char *key, uint64_t namespaces, bool hostname)
{
	static struct err e;
	struct oci_pair pair = { key, "1" };
	struct oci_map map = { &pair, 1 };

	e = (struct err){ 0 };
	return sysctl_check(&map, namespaces, hostname, &e) < 0 ? e.text : "ok";
}

TEST(sysctl_namespaces)
{
	const uint64_t all = CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWUSER;

	CHECK_STR(check("kernel.msgmax", CLONE_NEWIPC, false), "ok");
	CHECK_STR(check("kernel/shm_rmid_forced", CLONE_NEWIPC, false), "ok");
	CHECK_STR(check("fs.mqueue.msg_max", CLONE_NEWIPC, false), "ok");
	CHECK_STR(check("kernel.sem", all & ~(uint64_t)CLONE_NEWIPC, false),
		  "/linux/sysctl/kernel.sem: needs its own ipc namespace");
	CHECK_STR(check("net.ipv4.ip_forward", CLONE_NEWNET, false), "ok");
	CHECK(strstr(check("net/ipv4/ip_forward", CLONE_NEWIPC, false), "network namespace"));
	CHECK_STR(check("net.ipv4.conf.eth0/100.rp_filter", CLONE_NEWNET, false), "ok");
	CHECK_STR(check("net/ipv4/conf/eth0.100/rp_filter", CLONE_NEWNET, false), "ok");
	CHECK_STR(check("user.max_user_namespaces", CLONE_NEWUSER, false), "ok");
	CHECK(strstr(check("user.max_user_namespaces", CLONE_NEWNET, false), "user namespace"));
	CHECK_STR(check("kernel.domainname", CLONE_NEWUTS, true), "ok");
	CHECK_STR(check("kernel.hostname", CLONE_NEWUTS, false), "ok");
	CHECK_STR(check("kernel.hostname", CLONE_NEWUTS, true), "/linux/sysctl/kernel.hostname: conflicts with /hostname");
	CHECK(strstr(check("kernel.hostname", CLONE_NEWIPC, false), "uts namespace"));
	CHECK_STR(check("vm.overcommit_memory", all, false),
		  "/linux/sysctl/vm.overcommit_memory: not in a separate kernel namespace");
	CHECK(strstr(check("kernel.core_pattern", all, false), "not in a separate"));
	CHECK(strstr(check("kernel.msgmaxx", all, false), "not in a separate"));
	CHECK(strstr(check("kernel.msgmax.x", all, false), "not in a separate"));
	CHECK(strstr(check("network.x", all, false), "not in a separate"));
}

TEST(sysctl_odd_names)
{
	static const char *const bad[] = { "", ".", "/", "net", "net.", "net/", ".net", "/net/ipv4", "net..ipv4", "net//ipv4",
					   "net/../kernel/core_pattern", "net.ipv4./.x", "net/./ipv4", "net/.hidden", "net.ipv4.a b",
					   "net.ipv4.a\nb", "net.ipv4.a=b", "net.ipv4.\xc3\xa4", "net.ipv4.a\\b", "net.*" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (strcmp(check(bad[i], ~UINT64_C(0), false), "ok") == 0)
			FAIL("'%s' was taken", bad[i]);
}

static void sysctls(void)
{
	struct oci_pair v[] = { { "kernel.msgmax", "5000" }, { "net/ipv4/ip_forward", "1" },
				{ "net.ipv4.ping_group_range", "10 20" } };
	struct oci_map map = { v, 3 };
	struct err e = { 0 };
	cleanup_fd int proc = procfs_open(&e);
	cleanup_str struct str s = { 0 };

	CHECK_INT(unshare(CLONE_NEWIPC | CLONE_NEWNET), 0);
	CHECK_INT(sysctl_write(proc, &map, &e), 0);
	CHECK_INT(fs_read(AT_FDCWD, "/proc/sys/kernel/msgmax", 64, &s, &e), 0);
	CHECK_INT(fs_read(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", 64, &s, &e), 0);
	CHECK_INT(fs_read(AT_FDCWD, "/proc/sys/net/ipv4/ping_group_range", 64, &s, &e), 0);
	CHECK_STR(str_cstr(&s), "5000\n1\n10\t20\n");
	v[0] = (struct oci_pair){ "net.ipv4.no_such", "1" };
	CHECK(sysctl_write(proc, &map, &e) < 0);
	CHECK_INT(e.num, ENOENT);
	CHECK(strncmp(e.text, "sysctl net.ipv4.no_such: ", 25) == 0);
	v[0] = (struct oci_pair){ "kernel.msgmax", "many" };
	CHECK(sysctl_write(proc, &map, &e) < 0);
	CHECK_STR(e.text, "sysctl kernel.msgmax: write 'many'");
	CHECK_INT(e.num, EINVAL);
	/* Whoever calls it with what sysctl_check() would refuse does not get out of sys/. */
	v[0] = (struct oci_pair){ "net/../../sysrq-trigger", "h" };
	CHECK(sysctl_write(proc, &map, &e) < 0);
	CHECK_INT(e.kind, ERR_CONFIG);
}
TEST(sysctl_writes)
{
	if (geteuid() != 0)
		SKIP("needs root: makes namespaces");
	in_child(sysctls);
}
