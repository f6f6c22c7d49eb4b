// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/sys.h"
#include "tests/lib/child.h"

static struct err e;

/* sh -c SCRIPT; returns what proc_run() does, output in *ret. */
static int sh(const char *script, const char *input, size_t keep, unsigned timeout, struct str *ret)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	const char *envp[] = { "PATH=/usr/bin:/bin", NULL };
	struct proc_run run = { .path = "/bin/sh", .argv = argv, .envp = envp, .input = input, .keep = keep,
				.timeout = timeout, .cwd_fd = -1 };

	return proc_run(&run, ret, &e);
}

/* By /proc/PID/task/PID/children. */
static pid_t child_of(pid_t pid)
{
	cleanup_str struct str text = { 0 };
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	return fs_read(AT_FDCWD, path, 64, &text, &e) < 0 ? -1 : (pid_t)atoi(str_cstr(&text));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(output_and_status)
{
	cleanup_str struct str out = { 0 };
	int r = sh("echo out; echo err >&2; exit 7", NULL, 100, 10, &out);

	CHECK(r >= 0 && WIFEXITED(r));
	CHECK_INT(WEXITSTATUS(r), 7);
	CHECK_STR(str_cstr(&out), "out\nerr\n");
}

TEST(input)
{
	cleanup_str struct str out = { 0 }, big = { 0 };

	CHECK_INT(sh("cat", "some text", 100, 10, &out), 0);
	CHECK_STR(str_cstr(&out), "some text");
	str_clear(&out);
	CHECK_INT(sh("cat", NULL, 100, 10, &out), 0); /* /dev/null */
	CHECK_STR(str_cstr(&out), "");
	CHECK_INT(sh("cat", "", 100, 10, &out), 0);
	for (int i = 0; i < 100000; i++)
		str_add(&big, "0123456789");
	str_clear(&out);
	CHECK_INT(sh("wc -c", big.s, 100, 20, &out), 0);
	CHECK_INT(atoi(str_cstr(&out)), 1000000);
	CHECK_INT(sh("exec <&-; exit 0", big.s, 100, 20, &out), 0); /* does not read it */
	CHECK_INT(sh("exit 0", big.s, 100, 20, &out), 0);
}

TEST(flood)
{
	cleanup_str struct str out = { 0 };

	CHECK_INT(sh("head -c 5000000 /dev/zero | tr '\\0' x", NULL, 100, 20, &out), 0);
	CHECK_INT(out.len, 100);
}

TEST(timeout)
{
	cleanup_str struct str out = { 0 };
	double start = now();

	CHECK_INT(sh("sleep 100 & sleep 100", NULL, 100, 1, &out), -ETIMEDOUT);
	CHECK(strstr(e.text, "/bin/sh: no end after 1 s"));
	CHECK(now() - start < 5);
}

TEST(grandchild_holds_the_pipe)
{
	cleanup_str struct str out = { 0 };
	double start = now();

	CHECK_INT(sh("sleep 3 & echo first", NULL, 100, 10, &out), 0);
	CHECK_STR(str_cstr(&out), "first\n");
	CHECK(now() - start < 2.5);
}

TEST(long_timeout)
{
	cleanup_str struct str out = { 0 };

	CHECK_INT(sh("sleep 0.2", NULL, 100, 4294967295U, &out), 0);
}

TEST(cannot_start)
{
	const char *argv[] = { "x", NULL };
	struct proc_run run = { .path = "/no/such/program", .argv = argv, .cwd_fd = -1, .keep = 10 };
	cleanup_str struct str out = { 0 };

	CHECK_INT(proc_run(&run, &out, &e), -ENOENT);
	CHECK_STR(e.text, "exec /no/such/program");
	run.path = "/etc/passwd";
	CHECK_INT(proc_run(&run, &out, &e), -EACCES);
}

TEST(descriptors_and_signals)
{
	cleanup_str struct str out = { 0 };
	cleanup_fd int leak = open("/dev/null", O_RDONLY); /* NOLINT: without CLOEXEC, to see it closed */
	int seen[] = { dup(leak) };
	const char *argv[] = { "sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Ign|Blk)' /proc/self/status", NULL };
	const char *envp[] = { "PATH=/usr/bin:/bin", NULL };
	struct proc_run run = { .path = "/bin/sh", .argv = argv, .envp = envp, .keep = 1000, .timeout = 10, .cwd_fd = -1,
				.fds = seen, .n_fds = 1 };
	char expect[64];
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	signal(SIGHUP, SIG_IGN);
	CHECK_INT(proc_run(&run, &out, &e), 0);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	CHECK(leak >= 0 && seen[0] > leak);
	CHECK(strstr(str_cstr(&out), "SigBlk:\t0000000000000000"));
	/* 32 and 33 belong to libc, which lets nobody change them; make hands them on ignored. */
	CHECK(strstr(str_cstr(&out), "SigIgn:\t0000000000000000") || strstr(str_cstr(&out), "SigIgn:\t0000000180000000"));
	/* 3 is the directory that ls reads. */
	snprintf(expect, sizeof expect, "0 1 2 3 %d Sig", seen[0]);
	CHECK(str_starts(str_cstr(&out), expect));
	close(seen[0]);
}

static void ignored_children(void)
{
	cleanup_str struct str out = { 0 };

	signal(SIGCHLD, SIG_IGN);
	CHECK(sh("exit 3", NULL, 100, 10, &out) < 0); /* no status: not a success */
}

TEST(no_status)
{
	in_child(ignored_children);
}

TEST(identity)
{
	uint64_t start = 0;
	char state = 0;
	int fd;

	CHECK_INT(proc_stat(getpid(), &start, &state, &e), 0);
	CHECK(start > 0 && state == 'R');
	fd = proc_open(getpid(), start, &e);
	CHECK(fd >= 0);
	close(fd);
	CHECK_INT(proc_open(getpid(), start + 1, &e), -ESRCH);
	CHECK_INT(proc_open(0, start, &e), -ESRCH);
	CHECK_INT(proc_open(-1, start, &e), -ESRCH);
	CHECK_INT(proc_stat(0x3fffff, &start, &state, &e), -ESRCH);
}

TEST(zombies_are_gone)
{
	uint64_t start;
	char state = 0;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NAME, "a) R (b");
		_exit(0);
	}
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	CHECK_INT(proc_stat(pid, &start, &state, &e), 0);
	CHECK_INT(state, 'Z');
	CHECK_INT(proc_open(pid, start, &e), -ESRCH);
	waitpid(pid, NULL, 0);
	CHECK_INT(proc_open(pid, start, &e), -ESRCH);
}

TEST(what_is_started_ends_with_us_unless_it_is_apart)
{
	static const char *const argv[] = { "sleep", "100", NULL };

	for (int apart = 0; apart < 2; apart++) {
		pid_t us, sleeper = -1;
		int pair[2], status;

		CHECK_INT(pipe(pair), 0);
		us = fork();
		if (us == 0) {
			if (proc_spawn(argv, -1, -1, apart, &sleeper, &e) < 0 || write(pair[1], &sleeper, sizeof sleeper) < 0)
				_exit(1);
			pause();
		}
		CHECK_INT(read(pair[0], &sleeper, sizeof sleeper), sizeof sleeper);
		cleanup_fd int pidfd = sys_pidfd_open(sleeper, 0);
		CHECK(pidfd >= 0);
		kill(us, SIGKILL);
		CHECK_INT(waitpid(us, &status, 0), us);
		CHECK_INT(poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, apart ? 200 : 5000), !apart);
		sys_pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		close(pair[0]);
		close(pair[1]);
	}
}

TEST(what_cannot_be_started_is_told)
{
	static const char *const argv[] = { "no-such-program", NULL };
	pid_t pid;

	CHECK(proc_spawn(argv, -1, -1, false, &pid, &e) < 0);
	CHECK_INT(e.num, ENOENT);
	CHECK(strstr(e.text, "exec no-such-program"));
}

/* Process 1 of a pid namespace waits for the others, when its files are closed: here for one that we trace and do not take back. */
TEST(one_that_ends_is_no_zombie_yet)
{
	uint64_t start;
	char state;
	int pair[2];
	pid_t init, child;

	CHECK_INT(pipe(pair), 0);
	init = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWPID, NULL, NULL, NULL, NULL);
	if (init == 0) {
		close(pair[0]);
		if (fork() > 0)
			prctl(PR_SET_NAME, "init");
		pause();
		_exit(0);
	}
	close(pair[1]);
	if (init < 0)
		return; /* not root */
	CHECK(!proc_is_ending(init));
	for (int i = 0; (child = child_of(init)) <= 0 && i < 5000; i++)
		usleep(1000);
	CHECK(child > 0);
	CHECK_INT(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	kill(init, SIGKILL);
	CHECK_INT(read(pair[0], &state, 1), 0); /* its files are closed, and so are the child's */
	CHECK(proc_is_ending(init));
	CHECK_INT(proc_stat(init, &start, &state, &e), 0);
	CHECK(state != 'Z');
	CHECK_INT(waitpid(child, NULL, __WALL), child);
	CHECK_INT(waitpid(init, NULL, 0), init);
	CHECK(!proc_is_ending(init));
	close(pair[0]);
}

TEST(names_with_parentheses)
{
	uint64_t start = 0, again = 0;
	char name[16], state = 0;

	prctl(PR_GET_NAME, name);
	CHECK_INT(proc_stat(getpid(), &start, &state, &e), 0);
	prctl(PR_SET_NAME, "x) Z 1 (y) 2");
	CHECK_INT(proc_stat(getpid(), &again, &state, &e), 0);
	prctl(PR_SET_NAME, name);
	CHECK(start == again && state == 'R');
}

TEST(status_words)
{
	static const struct {
		int status;
		const char *text;
	} words[] = {
		{ 0, "exit status 0" },          { 3 << 8, "exit status 3" },     { SIGKILL, "signal: killed" },
		{ SIGTERM, "signal: terminated" }, { SIGSEGV, "signal: segmentation fault" },
		{ SIGABRT | 0x80, "signal: aborted (core dumped)" }, { SIGXCPU, "signal: CPU time limit exceeded" },
		{ SIGIO, "signal: I/O possible" }, { SIGUSR1, "signal: user defined signal 1" }, { 40, "signal: signal 40" },
	};
	char buf[64];

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		CHECK_STR(proc_status_text(words[i].status, buf, sizeof buf), words[i].text);
	CHECK_STR(proc_status_text(SIGABRT | 0x80, buf, 17), "signal: aborted");
}
