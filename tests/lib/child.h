/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tests that change the process (namespaces, mounts, ids) run in a child that is killed when it hangs; its failures
 * count as ours. */

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define CHILD_SECONDS 30

static inline void in_child(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		test_failures = 0;
		alarm(CHILD_SECONDS);
		fn();
		fflush(stdout);
		_exit(test_failures > 100 ? 100 : test_failures);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		FAIL("fork");
		return;
	}
	if (WIFEXITED(status))
		test_failures += WEXITSTATUS(status);
	else
		FAIL("the child died of signal %d", WTERMSIG(status));
}

/* Does this machine let us make mounts of our own? */
static inline int can_mount(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0);
	waitpid(pid, &status, 0);
	return status == 0;
}

#define NEED_MOUNTS()                                                                       \
	do {                                                                                \
		if (!can_mount())                                                           \
			SKIP("needs the right to mount");                                   \
	} while (0)
