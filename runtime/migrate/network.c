// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/network.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/linux/ns.h"

#define TABLE "inet vzrun_undecided"
#define SECONDS 5
#define PROGRAMS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Before connection tracking and before CRIU's own rules. */
static const char drop_all[] =
	"table " TABLE " {\n"
	" chain in { type filter hook input priority -400; policy drop; iifname \"lo\" accept; }\n"
	" chain out { type filter hook output priority -400; policy drop; oifname \"lo\" accept; }\n"
	"}\n";

struct job {
	bool hold;
};

/* In a child that is in the container's network namespace, with our programs. */
static int run_nft(void *arg, struct err *e)
{
	const struct job *job = arg;
	const char *const argv[] = { "sh", "-c", "exec nft -f -", NULL };
	const char *const envp[] = { "PATH=" PROGRAMS, NULL };
	cleanup_str struct str output = { 0 };
	int status;

	status = proc_run(&(struct proc_run){ .path = "/bin/sh", .argv = argv, .envp = envp,
					      .input = job->hold ? drop_all : "delete table " TABLE "\n", .keep = 300, .timeout = SECONDS,
					      .cwd_fd = -1, .stop_fd = -1 },
			  &output, e);
	if (status < 0)
		return status;
	return status == 0 ? 0 : err_set(e, ERR_KERNEL, 0, "nft: %s", str_cstr(&output));
}

bool network_is_own(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	return !ns_is_own(path, CLONE_NEWNET);
}

bool network_can_hold(void)
{
	return proc_in_list("nft", PROGRAMS);
}

int network_hold(pid_t pid, int pidfd, bool hold, struct err *e)
{
	struct job job = { hold };

	return ns_call(pid, pidfd, CLONE_NEWNET, run_nft, &job, sizeof job, e);
}
