// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/sock.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/flow/criu_rpc.h"

#define HOLD 'h'
#define WELL 'w'
#define CANNOT 'c'
#define START_MS 30000
#define END_MS 30000 /* for a container to be killed and deleted */
#define PAUSE_MS 5

/* ---- the guard ---- */

/* What follows a fork in the container is CRIU's alone; that is the time until end() has killed it. */
static bool hold_memory(pid_t criu, int pidfd)
{
	char path[64], target[64];
	bool all = true;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)criu);
	cleanup_dir DIR *dir = opendir(path);
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		int number;

		if (n <= 0 || sscanf(entry->d_name, "%d", &number) != 1)
			continue;
		target[n] = '\0';
		if (strstr(target, "[userfaultfd]"))
			all &= sys_pidfd_getfd(pidfd, number, 0) >= 0; /* kept until we end */
	}
	return dir && all;
}

/* There is one descriptor for each process of the container. */
static void raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static void __attribute__((noreturn)) guard(int word, pid_t criu, int pidfd, int (*end)(void *arg), void *arg)
{
	struct err ignored;
	char said = 0;

	setsid();
	log_user(STDERR_FILENO); /* or whoever reads what we all say would wait for our end */
	raise_limit();
	while (sock_recv(word, &said, 1, NULL, &ignored) == 1 && said == HOLD) {
		said = hold_memory(criu, pidfd) ? HOLD : CANNOT;
		sock_send(word, &said, 1, -1, &ignored);
		said = 0;
	}
	/* As long as it may live it must not find zeros. */
	while (said != WELL && end(arg) < 0)
		sleep(1);
	sys_pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	_exit(0);
}

/* Its copy of the stream keeps CRIU from noticing our end before the container has met its own. */
static int start_guard(struct fetch *f, const int wire[2], int (*end)(void *arg), void *arg, struct err *e)
{
	int pair[2];

	if (sock_pair(pair, e) < 0)
		return err_ret(e);
	f->guard = fork();
	if (f->guard == 0) {
		close(pair[0]);
		close(wire[0]);
		close(wire[1]);
		guard(pair[1], f->criu, f->pidfd, end, arg);
	}
	close(pair[1]);
	f->word = pair[0];
	return f->guard < 0 ? err_sys(e, "fork") : 0;
}

/* ---- CRIU ---- */

static int spawn(const char *images, int stream, int ready, pid_t *ret, struct err *e)
{
	char path[PATH_MAX], stream_text[16], ready_text[16];
	const char *const argv[] = { path, "lazy-pages", "--images-dir", images, "--work-dir", images, "--page-server", "--ps-socket",
				     stream_text, "--status-fd", ready_text, "-v1", "--log-file", FETCH_LOG, NULL };
	int r;

	if (!criu_find(path, sizeof path))
		return err_set(e, ERR_UNSUPPORTED, ENOENT, "there is no program \"criu\": install CRIU");
	snprintf(stream_text, sizeof stream_text, "%d", stream);
	snprintf(ready_text, sizeof ready_text, "%d", ready);
	fcntl(stream, F_SETFD, 0);
	fcntl(ready, F_SETFD, 0);
	r = proc_spawn(argv, -1, -1, true, ret, e);
	fcntl(stream, F_SETFD, FD_CLOEXEC);
	fcntl(ready, F_SETFD, FD_CLOEXEC);
	return r;
}

/* It writes a byte when it listens to the restore. */
static int wait_ready(int ready, struct err *e)
{
	struct pollfd in = { .fd = ready, .events = POLLIN };
	char byte;
	int r;

	do
		r = poll(&in, 1, START_MS);
	while (r < 0 && errno == EINTR);
	if (r > 0 && read(ready, &byte, 1) == 1)
		return 0;
	return err_set(e, ERR_KERNEL, 0, "criu lazy-pages did not start");
}

static int start_criu(const char *images, struct fetch *f, struct err *e)
{
	int pair[2], ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "socketpair");
	f->stream = pair[0];
	cleanup_fd int theirs = pair[1];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int ready = ends[0];
	r = spawn(images, theirs, ends[1], &f->criu, e);
	close(ends[1]);
	if (r < 0)
		return r;
	f->pidfd = sys_pidfd_open(f->criu, 0);
	if (f->pidfd < 0)
		return err_sys(e, "pidfd_open");
	return wait_ready(ready, e);
}

int fetch_start(const char *images, const int wire[2], int (*end)(void *arg), void *arg, struct fetch *ret, struct err *e)
{
	*ret = FETCH_NONE;
	if (start_criu(images, ret, e) < 0 || start_guard(ret, wire, end, arg, e) < 0) {
		fetch_done(ret, true);
		return err_ret(e);
	}
	return 0;
}

int fetch_hold(struct fetch *f, struct err *e)
{
	char word = HOLD;

	if (sock_send(f->word, &word, 1, -1, e) < 0)
		return err_ret(e);
	if (sock_recv(f->word, &word, 1, NULL, e) != 1)
		return err_set(e, ERR_KERNEL, ECHILD, "the guard of the container is gone");
	if (word != HOLD)
		return err_set(e, ERR_KERNEL, 0, "memory that is to come cannot be held by the guard: the limit of open files is too low, or "
			       "criu lazy-pages has ended");
	/* Before that it would have left zeros. */
	if (poll(&(struct pollfd){ .fd = f->pidfd, .events = POLLIN }, 1, 0) != 0)
		return err_set(e, ERR_KERNEL, ECHILD, "criu lazy-pages has ended while the container was restored");
	return 0;
}

int fetch_wait(struct fetch *f, int wire, struct err *e)
{
	struct pollfd fds[] = { { .fd = f->pidfd, .events = POLLIN }, { .fd = wire, .events = POLLIN } };
	pid_t criu = f->criu;

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return err_sys(e, "poll");
	if (!fds[0].revents)
		return err_set(e, ERR_STATE, EPIPE, "the source is gone, and with it the memory that was still there");
	f->criu = 0;
	return proc_finish("criu lazy-pages", criu, e);
}

void fetch_done(struct fetch *f, bool well)
{
	const char word = WELL;
	struct err ignored;

	if (f->word >= 0 && well)
		sock_send(f->word, &word, 1, -1, &ignored);
	if (f->word >= 0)
		shutdown(f->word, SHUT_RDWR); /* processes that we made since have it as well */
	fd_close(&f->word);
	/* It has its work to do first; and where it cannot do it, it goes on trying without us. */
	for (int ms = 0; f->guard > 0 && ms < END_MS && waitpid(f->guard, NULL, WNOHANG) == 0; ms += PAUSE_MS)
		poll(NULL, 0, PAUSE_MS);
	f->guard = 0;
	proc_end(&f->criu);
	fd_close(&f->pidfd);
	fd_close(&f->stream);
}
