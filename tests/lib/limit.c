// SPDX-License-Identifier: LGPL-2.1-or-later

/* limit SECONDS COMMAND [ARG...]: what `timeout --foreground -k 5 SECONDS COMMAND` does: the command's status, 128 + N when
 * signal N ended it; after SECONDS it gets SIGTERM, and SIGKILL five seconds later, and the status is 124 or 137.  What ends
 * this program is passed on to the command.  A static program, because helpers.bash starts every vzrun by it. */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMED_OUT = 124, NOT_RUN = 126, NOT_FOUND = 127, GRACE = 5 };

/* The command finds signals as they were here. */
static pid_t start(char **argv, const sigset_t *mask)
{
	void (*children)(int) = signal(SIGCHLD, SIG_DFL);
	pid_t pid = fork();

	if (pid)
		return pid;
	signal(SIGCHLD, children);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	fprintf(stderr, "limit: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? NOT_FOUND : NOT_RUN);
}

static struct timespec until(long seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += seconds;
	return t;
}

/* Until T a signal of SET, or 0: it is later. */
static int next_signal(const sigset_t *set, struct timespec t)
{
	struct timespec now = until(0);
	struct timespec left = { .tv_sec = t.tv_sec - now.tv_sec, .tv_nsec = t.tv_nsec - now.tv_nsec };
	int sig;

	if (left.tv_nsec < 0) {
		left.tv_sec--;
		left.tv_nsec += 1000000000;
	}
	if (left.tv_sec < 0)
		return 0;
	sig = sigtimedwait(set, NULL, &left);
	return sig > 0 ? sig : errno == EINTR ? SIGCHLD : 0;
}

int main(int argc, char **argv)
{
	long seconds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	struct timespec end;
	sigset_t set, old;
	bool late = false;
	int status, sig;
	pid_t pid;

	if (seconds <= 0) {
		fprintf(stderr, "usage: limit SECONDS COMMAND [ARG...]\n");
		return 2;
	}
	sigemptyset(&set);
	for (const int *s = (const int[]){ SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0 }; *s; s++)
		sigaddset(&set, *s);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = start(argv + 2, &old);
	if (pid < 0) {
		perror("limit: fork");
		return NOT_RUN;
	}
	end = until(seconds);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		sig = next_signal(&set, end);
		if (sig && sig != SIGCHLD)
			kill(pid, sig);
		if (sig)
			continue;
		kill(pid, late ? SIGKILL : SIGTERM);
		end = until(GRACE);
		late = true;
	}
	if (WIFSIGNALED(status))
		return late && WTERMSIG(status) == SIGTERM ? TIMED_OUT : 128 + WTERMSIG(status);
	return late ? TIMED_OUT : WEXITSTATUS(status);
}
