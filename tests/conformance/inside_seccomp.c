// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/inside.h"

/* Calls that change nothing and succeed when they are allowed, with the arguments that rules may look at. */
static const struct probe {
	const char *name;
	long nr;
	unsigned long long args[6];
} probes[] = {
	{ "getsid", SYS_getsid, { 0 } },
	{ "getpgid", SYS_getpgid, { 0 } },
	{ "getpriority", SYS_getpriority, { 0, 0 } },
	{ "getpriority", SYS_getpriority, { 1, 0 } },
	{ "sched_yield", SYS_sched_yield, { 0 } },
	{ "sched_getscheduler", SYS_sched_getscheduler, { 0 } },
	{ "personality", SYS_personality, { 0xffffffff } },
#ifdef SYS_alarm
	{ "alarm", SYS_alarm, { 0 } },
	{ "alarm", SYS_alarm, { 100 } },
#endif
	{ "umask", SYS_umask, { 022 } },
	{ "umask", SYS_umask, { 077 } },
	{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
	{ "socket", SYS_socket, { AF_UNIX, SOCK_DGRAM, 0 } },
	{ "getuid", SYS_getuid, { 0 } },
	{ "geteuid", SYS_geteuid, { 0 } },
	{ "sysinfo", SYS_sysinfo, { 0 } },
	{ "times", SYS_times, { 0 } },
};

static bool arg_matches(const struct probe *p, yajl_val arg)
{
	const unsigned long long a = p->args[number_at(arg, "index", 0)];
	const unsigned long long v = unsigned_of(at(arg, "value"));
	const char *op = string_at(arg, "op", "");

	if (strcmp(op, "SCMP_CMP_EQ") == 0)
		return a == v;
	if (strcmp(op, "SCMP_CMP_NE") == 0)
		return a != v;
	if (strcmp(op, "SCMP_CMP_LT") == 0)
		return a < v;
	if (strcmp(op, "SCMP_CMP_LE") == 0)
		return a <= v;
	if (strcmp(op, "SCMP_CMP_GT") == 0)
		return a > v;
	if (strcmp(op, "SCMP_CMP_GE") == 0)
		return a >= v;
	return (a & v) == (unsigned long long)number_at(arg, "valueTwo", 0);
}

static bool rule_matches(const struct probe *p, yajl_val rule)
{
	const struct list args = list_at(rule, "args");

	if (!has_string(at(rule, "names"), p->name))
		return false;
	for (size_t i = 0; i < args.n; i++)
		if (!arg_matches(p, args.v[i]))
			return false;
	return true;
}

/* The action and the errno for a call.  The documents have no two rules that disagree about one call. */
static const char *expected(const struct probe *p, long long *ret_errno)
{
	const struct list rules = list_at(spec, "linux.seccomp.syscalls");

	for (size_t i = 0; i < rules.n; i++)
		if (rule_matches(p, rules.v[i])) {
			*ret_errno = number_at(rules.v[i], "errnoRet", EPERM);
			return string_at(rules.v[i], "action", "");
		}
	*ret_errno = number_at(spec, "linux.seccomp.defaultErrnoRet", EPERM);
	return string_at(spec, "linux.seccomp.defaultAction", "");
}

/* In a child, since some actions end the caller.  The status is the errno, 0 for success. */
static int try_call(const struct probe *p)
{
	const pid_t child = fork();
	int status = -1;

	if (child == 0) {
		const unsigned long long *a = p->args;
		long r;

		errno = 0;
		r = syscall(p->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		_exit(r < 0 ? errno : 0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	return status;
}

static void check_call(const struct probe *p)
{
	long long num;
	const char *action = expected(p, &num);
	const int status = try_call(p);
	char said[96];
	bool good;

	snprintf(said, sizeof said, "%s(%llx, %llx)", p->name, p->args[0], p->args[1]);
	if (strcmp(action, "SCMP_ACT_ERRNO") == 0)
		good = WIFEXITED(status) && WEXITSTATUS(status) == num;
	else if (strcmp(action, "SCMP_ACT_TRACE") == 0)
		good = WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS;
	else if (strncmp(action, "SCMP_ACT_KILL", 13) == 0 || strcmp(action, "SCMP_ACT_TRAP") == 0)
		good = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	else
		good = WIFEXITED(status) && WEXITSTATUS(status) != EPERM && WEXITSTATUS(status) != ENOSYS;
	check(good, "seccomp", "%s: %s, status %x", said, action, (unsigned)status);
}

void check_seccomp(void)
{
	const char *mode = status_field("Seccomp");

	check_string("seccomp", "mode", mode, at(spec, "linux.seccomp") ? "2" : string_at(facts, "seccomp", "0"));
	if (!at(spec, "linux.seccomp"))
		return;
	fflush(stdout);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		check_call(&probes[i]);
}
