// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/conformance/inside.h"

static void check_args(int argc, char **argv)
{
	const struct list args = list_at(spec, "process.args");

	check_number("args", "number of words", argc, (long long)args.n);
	for (size_t i = 0; i < args.n && i < (size_t)argc; i++)
		check_string("args", "word", argv[i], text_of(args.v[i]));
}

/* The last of several entries with one key is what getenv() must find.  HOME may come from the runtime. */
static void check_env(char **envp)
{
	const struct list env = list_at(spec, "process.env");

	for (size_t i = 0; i < env.n; i++) {
		const char *entry = text_of(env.v[i]);
		const size_t n = strcspn(entry, "=");
		bool later = false, found = false;

		for (size_t k = i + 1; k < env.n; k++)
			later |= strncmp(text_of(env.v[k]), entry, n + 1) == 0;
		for (char **e = envp; *e; e++)
			found |= strcmp(*e, entry) == 0;
		check(found || later || strcmp(entry, "HOME=") == 0, "env", "has %s", entry);
	}
	for (char **e = envp; *e; e++)
		check(has_string(at(spec, "process.env"), *e) || strncmp(*e, "HOME=", 5) == 0, "env", "%s is asked for",
		      *e);
}

static void check_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *de;

	if (!d) {
		check(false, "fds", "/proc/self/fd can be read");
		return;
	}
	while ((de = readdir(d))) {
		const int fd = atoi(de->d_name);

		if (de->d_name[0] != '.' && fd != dirfd(d))
			check(fd <= 2, "fds", "descriptor %d is one of the standard ones", fd);
	}
	closedir(d);
}

static void check_terminal(void)
{
	const bool want = true_at(spec, "process.terminal");
	struct winsize w = { 0 };

	for (int fd = 0; fd <= 2; fd++)
		check(isatty(fd) == want, "terminal", "descriptor %d is %sa terminal", fd, want ? "" : "not ");
	if (!want || !at(spec, "process.consoleSize"))
		return;
	check(ioctl(0, TIOCGWINSZ, &w) == 0, "terminal", "has a size");
	check_number("terminal", "height", w.ws_row, number_at(spec, "process.consoleSize.height", -1));
	check_number("terminal", "width", w.ws_col, number_at(spec, "process.consoleSize.width", -1));
}

void check_process(int argc, char **argv, char **envp)
{
	char cwd[4096];

	check_args(argc, argv);
	check_env(envp);
	check_string("cwd", "directory", getcwd(cwd, sizeof cwd), string_at(spec, "process.cwd", NULL));
	check_fds();
	check_terminal();
}

static void check_groups(void)
{
	const struct list want = list_at(spec, "process.user.additionalGids");
	gid_t is[256];
	const int n = getgroups(256, is);

	check_number("user", "number of additional groups", n, (long long)want.n);
	for (size_t i = 0; i < want.n; i++) {
		bool found = false;

		for (int k = 0; k < n; k++)
			found |= is[k] == (gid_t)unsigned_of(want.v[i]);
		check(found, "user", "has group %llu", unsigned_of(want.v[i]));
	}
}

static const char *const capability_names[] = {
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
};

/* A set of the document, without what cannot be granted here. */
static unsigned long long wanted_caps(const char *set)
{
	const struct list names = list_at(spec, set);
	const char *host = string_at(facts, "bounding", "ffffffffffffffff");
	unsigned long long r = 0;

	for (size_t i = 0; i < names.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(capability_names); k++)
			if (strcmp(text_of(names.v[i]) + 4, capability_names[k]) == 0)
				r |= 1ULL << k;
	/* A new user namespace has them all. */
	return has_ns("user") ? r : r & strtoull(host, NULL, 16);
}

static void check_caps(const char *field, unsigned long long want)
{
	const char *text = status_field(field);
	const unsigned long long is = text ? strtoull(text, NULL, 16) : 0;

	check(text && is == want, "capabilities", "%s: is %llx, expected %llx", field, is, want);
}

/* The sets of the document are those before execve; the kernel's rules (capabilities(7)) give those after it. */
static void check_capabilities(void)
{
	const unsigned long long bounding = wanted_caps("process.capabilities.bounding");
	const unsigned long long inheritable = wanted_caps("process.capabilities.inheritable");
	const unsigned long long permitted = wanted_caps("process.capabilities.permitted");
	const unsigned long long ambient =
		wanted_caps("process.capabilities.ambient") & permitted & inheritable;
	unsigned long long after = ambient;

	if (number_at(spec, "process.user.uid", 0) == 0) {
		after |= bounding | inheritable;
		if (true_at(spec, "process.noNewPrivileges"))
			after &= permitted;
	}
	check_caps("CapBnd", bounding);
	check_caps("CapInh", inheritable);
	check_caps("CapAmb", ambient);
	check_caps("CapPrm", after);
	check_caps("CapEff", after);
}

void check_user(void)
{
	const long long uid = number_at(spec, "process.user.uid", 0), gid = number_at(spec, "process.user.gid", 0);
	uid_t u[3];
	gid_t g[3];
	const char *mask;

	if (getresuid(&u[0], &u[1], &u[2]) == 0 && getresgid(&g[0], &g[1], &g[2]) == 0)
		for (int i = 0; i < 3; i++) {
			check_number("user", "uid", u[i], uid);
			check_number("user", "gid", g[i], gid);
		}
	check_groups();
	/* Not by umask(2), which some of the documents filter. */
	mask = status_field("Umask");
	check_number("umask", "umask", mask ? strtol(mask, NULL, 8) : -1,
		     number_at(spec, "process.user.umask", number_at(facts, "umask", -1)));
	check_capabilities();
}

static const char *const rlimit_names[] = {
	"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
	"MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
};

static void check_rlimits(void)
{
	const struct list l = list_at(spec, "process.rlimits");

	for (size_t i = 0; i < l.n; i++) {
		const char *type = string_at(l.v[i], "type", "RLIMIT_");
		struct rlimit is = { 0, 0 };

		for (size_t k = 0; k < ARRAY_SIZE(rlimit_names); k++)
			if (strcmp(type + 7, rlimit_names[k]) == 0)
				check(syscall(SYS_getrlimit, (unsigned)k, &is) == 0, "rlimits", "%s can be read", type);
		check(is.rlim_cur == unsigned_of(at(l.v[i], "soft")), "rlimits", "%s soft: is %llu", type,
		      (unsigned long long)is.rlim_cur);
		check(is.rlim_max == unsigned_of(at(l.v[i], "hard")), "rlimits", "%s hard: is %llu", type,
		      (unsigned long long)is.rlim_max);
	}
}

/* struct sched_attr, which headers of the kernel and of the C library define in each other's way. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int policy_of(const char *name)
{
	static const char *const names[] = { "OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name + strlen("SCHED_"), names[i]) == 0)
			return (int)i;
	return -1;
}

static void check_scheduler(void)
{
	const yajl_val s = at(spec, "process.scheduler");
	struct attributes a = { 0 };

	if (!s)
		return;
	check(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0, "scheduler", "can be read");
	check_number("scheduler", "policy", a.policy, policy_of(string_at(s, "policy", "SCHED_?")));
	check_number("scheduler", "nice", a.nice, number_at(s, "nice", 0));
	check_number("scheduler", "priority", a.priority, number_at(s, "priority", 0));
	check_number("scheduler", "reset on fork", a.flags & 1, has_string(at(s, "flags"), "SCHED_FLAG_RESET_ON_FORK"));
	if (a.policy != 6)
		return;
	check_number("scheduler", "runtime", (long long)a.runtime, number_at(s, "runtime", 0));
	check_number("scheduler", "deadline", (long long)a.deadline, number_at(s, "deadline", 0));
	check_number("scheduler", "period", (long long)a.period, number_at(s, "period", 0));
}

static void check_io_priority(void)
{
	static const char *const classes[] = { "", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE" };
	const yajl_val p = at(spec, "process.ioPriority");
	const long is = syscall(SYS_ioprio_get, 1, 0);

	if (!p)
		return;
	check_string("ioprio", "class", is >= 0 && is >> 13 < 4 ? classes[is >> 13] : NULL, string_at(p, "class", NULL));
	check_number("ioprio", "priority", is & 7, number_at(p, "priority", 0));
}

static void check_memory_policy(void)
{
	static const char *const modes[] = {
		"MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
		"MPOL_WEIGHTED_INTERLEAVE",
	};
	const yajl_val p = at(spec, "linux.memoryPolicy");
	unsigned long nodes[16] = { 0 };
	int mode = -1;

	if (!p)
		return;
	check(syscall(SYS_get_mempolicy, &mode, nodes, 1024UL, 0UL, 0UL) == 0, "memory policy", "can be read");
	mode &= 0xff;
	check_string("memory policy", "mode", mode < (int)ARRAY_SIZE(modes) ? modes[mode] : NULL, string_at(p, "mode", NULL));
	if (*string_at(p, "nodes", ""))
		check_number("memory policy", "node 0", (long long)nodes[0], 1);
}

void check_attributes(void)
{
	const char *score = read_text("/proc/self/oom_score_adj");
	struct utsname u;
	const int persona = personality(0xffffffff);

	check_number("oom", "oom_score_adj", score ? atoi(score) : -9999,
		     number_at(spec, "process.oomScoreAdj", number_at(facts, "oom_score_adj", 0)));
	check_rlimits();
	check_number("no new privileges", "flag", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
		     true_at(spec, "process.noNewPrivileges"));
	check_scheduler();
	check_io_priority();
	check_memory_policy();
	check_string("personality", "domain", (persona & 0xff) == PER_LINUX32 ? "LINUX32" : "LINUX",
		     string_at(spec, "linux.personality.domain", "LINUX"));
	if (uname(&u) == 0 && strcmp(string_at(facts, "machine", ""), "x86_64") == 0)
		check_string("personality", "machine", u.machine,
			     strcmp(string_at(spec, "linux.personality.domain", ""), "LINUX32") ? "x86_64" : "i686");
}
