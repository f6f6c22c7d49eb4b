// SPDX-License-Identifier: LGPL-2.1-or-later
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/sys.h"
#include "runtime/linux/ns.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* clone(2) as fork, for kernels and outer seccomp profiles without clone3. */
static pid_t clone_old(uint64_t flags, int exit_signal, int *pidfd)
{
	unsigned long word = (unsigned long)flags | (unsigned long)exit_signal;

#if defined(__s390__) || defined(__CRIS__)
	return (pid_t)syscall(SYS_clone, NULL, word, pidfd, NULL, 0UL);
#else
	return (pid_t)syscall(SYS_clone, word, NULL, pidfd, NULL, 0UL);
#endif
}

pid_t clone_process(const struct clone_options *o, int *ret_pidfd, struct err *e)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = o->flags | (o->want_pidfd ? CLONE_PIDFD : 0) | (o->cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uintptr_t)&pidfd,
		/* The kernel wants none here: with CLONE_PARENT the signal is the one of the common parent. */
		.exit_signal = o->flags & CLONE_PARENT ? 0 : SIGCHLD,
		.cgroup = o->cgroup_fd >= 0 ? (uint64_t)o->cgroup_fd : 0,
	};
	pid_t pid = sys_clone3(&args);

	/* The old call knows neither CLONE_INTO_CGROUP nor CLONE_NEWTIME (its bit is part of the exit signal): the
	 * caller does without them then.  EPERM is what old seccomp profiles answer for calls they do not know. */
	if (pid < 0 && (errno == ENOSYS || errno == EPERM) && o->cgroup_fd < 0 && !(o->flags & CLONE_NEWTIME))
		pid = clone_old(args.flags, (int)args.exit_signal, &pidfd);
	if (pid < 0)
		return err_sys(e, "clone");
	if (pid > 0 && ret_pidfd)
		*ret_pidfd = pidfd;
	return pid;
}
