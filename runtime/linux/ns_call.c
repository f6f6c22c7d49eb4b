// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/linux/ns.h"

/* More than a slow server of a file system takes, less than a user waits. */
#define CALL_SECONDS 10

struct reply {
	int r;
	struct err e;
};

static int check_others(pid_t pid, int64_t types, struct err *e)
{
	for (int64_t type = 1; type <= types; type <<= 1) {
		char path[64];

		if (!(types & type))
			continue;
		snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, ns_type_name(type));
		if (ns_is_own(path, type))
			return err_set(e, ERR_STATE, 0, "the container has no %s namespace of its own", ns_type_name(type));
	}
	return 0;
}

static int enter(int pidfd, int64_t types, struct err *e)
{
	if (setns(pidfd, (int)types) == 0)
		return 0;
	if (errno == EPERM && setns(pidfd, (int)(types | CLONE_NEWUSER)) == 0)
		return 0;
	return err_sys(e, "enter the container's namespaces");
}

static bool write_all(int fd, const void *data, size_t len)
{
	for (const char *p = data; len > 0;) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	for (char *p = data; len > 0;) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void limit_time(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(CALL_SECONDS);
}

_Noreturn static void child(int out, int pidfd, int64_t types, int (*fn)(void *arg, struct err *e), void *arg, size_t size)
{
	struct reply reply = { 0 };

	limit_time();
	/* Whoever is root inside must not look into a process that has descriptors of the host (CVE-2016-9962). */
	prctl(PR_SET_DUMPABLE, 0);
	reply.r = enter(pidfd, types, &reply.e);
	if (reply.r == 0)
		reply.r = fn(arg, &reply.e);
	_exit(write_all(out, &reply, sizeof reply) && write_all(out, arg, size) ? 0 : 1);
}

int ns_call(pid_t pid, int pidfd, int64_t types, int (*fn)(void *arg, struct err *e), void *arg, size_t size, struct err *e)
{
	const struct clone_options o = { .cgroup_fd = -1 };
	struct reply reply;
	bool answered;
	int ends[2];
	pid_t helper;

	if (check_others(pid, types, e) < 0)
		return err_ret(e);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int in = ends[0], out = ends[1];
	helper = clone_process(&o, NULL, e);
	if (helper < 0)
		return (int)helper;
	if (helper == 0)
		child(out, pidfd, types, fn, arg, size);
	fd_close(&out);
	answered = read_all(in, &reply, sizeof reply) && read_all(in, arg, size);
	while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	if (!answered)
		return err_set(e, ERR_KERNEL, ETIMEDOUT, "in the container's namespaces");
	if (reply.r < 0)
		*e = reply.e;
	return reply.r;
}
