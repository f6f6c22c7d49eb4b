// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/tty.h"

static void wanted_signals(sigset_t *set)
{
	sigfillset(set);
	/* Faults of our own must still end us. */
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGFPE);
	sigdelset(set, SIGILL);
	sigdelset(set, SIGABRT);
}

int foreground_begin(struct foreground *fg, bool subreaper, struct err *e)
{
	sigset_t set;

	*fg = (struct foreground){ .signals = -1, .subreaper = subreaper };
	wanted_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "sigprocmask");
	fg->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fg->signals < 0)
		return err_sys(e, "signalfd");
	/* Daemons of the payload that lose their parent become ours to reap. */
	if (subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(e, "prctl(PR_SET_CHILD_SUBREAPER)");
	return 0;
}

void foreground_done(struct foreground *fg)
{
	fd_close(&fg->signals);
}

static bool is_ending(int sig)
{
	return sig == SIGHUP || sig == SIGINT || sig == SIGQUIT || sig == SIGTERM;
}

int foreground_ending_signal(int signals)
{
	struct signalfd_siginfo s;

	while (read(signals, &s, sizeof s) == sizeof s)
		if (is_ending((int)s.ssi_signo))
			return (int)s.ssi_signo;
	return 0;
}

void foreground_hear_none(int signals)
{
	sigset_t none;

	sigemptyset(&none);
	signalfd(signals, &none, 0);
}

int foreground_pause(struct foreground *fg, int64_t ms)
{
	const int64_t end = clock_ms() + ms;
	struct pollfd p = { .fd = fg->signals, .events = POLLIN };
	int sig = fg->late ? fg->late : foreground_ending_signal(fg->signals);

	for (int64_t left = ms; !sig && left > 0; left = end - clock_ms())
		if (poll(&p, 1, (int)left) > 0)
			sig = foreground_ending_signal(fg->signals);
	fg->late = 0;
	return sig;
}

/* A ring for one direction: a reader that is slow must not make us spin or lose bytes. */
struct copy {
	int from, to;
	char buf[8192];
	size_t len;
};

/* false: this direction has ended. */
static bool copy_in(struct copy *c)
{
	ssize_t n = read(c->from, c->buf, sizeof c->buf);

	if (n > 0)
		c->len = (size_t)n;
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static bool copy_out(struct copy *c)
{
	ssize_t n = write(c->to, c->buf, c->len);

	if (n > 0) {
		c->len -= (size_t)n;
		memmove(c->buf, c->buf + n, c->len);
	}
	return n >= 0 || errno == EINTR || errno == EAGAIN;
}

struct terminal {
	struct copy in, out; /* our stdin -> master, master -> our stdout */
	bool in_open, out_open;
	bool raw;
	struct termios saved;
};

static void terminal_done(struct terminal *t)
{
	if (t->raw)
		tty_restore(STDIN_FILENO, &t->saved);
}

static int terminal_begin(struct terminal *t, int master, struct err *e)
{
	int r;

	t->in.from = STDIN_FILENO;
	t->in.to = master;
	t->out.from = master;
	t->out.to = STDOUT_FILENO;
	t->in_open = t->out_open = master >= 0;
	if (master < 0)
		return 0;
	/* Without O_NONBLOCK a payload that does not read would block us in the middle of a write. */
	fcntl(master, F_SETFL, O_NONBLOCK);
	r = tty_raw(STDIN_FILENO, &t->saved, e);
	if (r < 0)
		return r;
	t->raw = r > 0;
	if (t->raw)
		tty_copy_size(STDIN_FILENO, master);
	return 0;
}

static bool is_dead(int pidfd)
{
	return poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) > 0;
}

static void forward(struct foreground *fg, int pidfd, struct terminal *t)
{
	struct signalfd_siginfo s;

	while (read(fg->signals, &s, sizeof s) == sizeof s) {
		int sig = (int)s.ssi_signo;

		if (sig == SIGCHLD || sig == SIGURG || sig == SIGPIPE)
			continue;
		if (sig == SIGWINCH && t->out_open)
			tty_copy_size(STDIN_FILENO, t->in.to);
		else
			sys_pidfd_send_signal(pidfd, sig, NULL, 0);
		if (is_ending(sig) && is_dead(pidfd))
			fg->late = sig;
	}
}

/* Nobody takes what the payload writes any more: its terminal hangs up, as one does whose line is gone.  In place, so that
 * the number stays its owner's. */
static void hang_up(struct terminal *t)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup3(null, t->out.from, O_CLOEXEC);
	t->in_open = t->out_open = false;
	t->in.len = t->out.len = 0;
}

/* Reap everything; true when `pid` was among it. */
static bool reap(pid_t pid, int *ret_status)
{
	bool found = false;
	int status;
	pid_t p;

	while ((p = waitpid(-1, &status, WNOHANG)) > 0) {
		if (p != pid)
			continue;
		*ret_status = status;
		found = true;
	}
	return found;
}

static void pump(struct terminal *t, const struct pollfd *fds)
{
	if (t->in_open && t->in.len == 0 && fds[1].revents)
		t->in_open = copy_in(&t->in);
	if (t->in.len > 0 && fds[2].revents & POLLOUT && !copy_out(&t->in))
		t->in.len = 0;
	if (t->out_open && t->out.len == 0 && fds[3].revents)
		t->out_open = copy_in(&t->out);
	if (t->out.len > 0 && fds[4].revents && !copy_out(&t->out))
		hang_up(t);
}

#define OWN_FDS 5

static void fill_poll(const struct foreground *fg, const struct terminal *t, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = fg->signals, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = t->in_open && t->in.len == 0 ? t->in.from : -1, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = t->in.len > 0 ? t->in.to : -1, .events = POLLOUT };
	fds[3] = (struct pollfd){ .fd = t->out_open && t->out.len == 0 ? t->out.from : -1, .events = POLLIN };
	fds[4] = (struct pollfd){ .fd = t->out_open && t->out.len > 0 ? t->out.to : -1, .events = POLLOUT };
}

/* What the payload wrote last is still in the terminal when it is gone. */
static void drain(struct terminal *t)
{
	while (t->out_open) {
		struct pollfd out = { .fd = t->out.to, .events = POLLOUT };

		if (t->out.len == 0 && (!copy_in(&t->out) || t->out.len == 0))
			return;
		if (poll(&out, 1, 1000) <= 0 || !copy_out(&t->out))
			return;
	}
}

/* What it hears of concerns others: an error is a warning, the payload runs on. */
static void take_watched(struct foreground_watch *w)
{
	struct err e;
	int r = w->take(w->arg, &e);

	if (r < 0)
		log_warn_err(&e);
	if (r != 0)
		w->fd = -1;
}

int foreground_wait(struct foreground *fg, pid_t pid, int pidfd, int tty, struct foreground_watch *watches, size_t n,
		    int *ret_status, struct err *e)
{
	__attribute__((cleanup(terminal_done))) struct terminal t = { 0 };
	int r;

	r = terminal_begin(&t, tty, e);
	if (r < 0)
		return r;
	/* A child that ended before SIGCHLD was blocked shows here; later ones wake the poll. */
	while (!reap(pid, ret_status)) {
		struct pollfd fds[OWN_FDS + FOREGROUND_WATCHES];

		fill_poll(fg, &t, fds);
		for (size_t i = 0; i < n; i++)
			fds[OWN_FDS + i] = (struct pollfd){ .fd = watches[i].fd, .events = POLLIN };
		if (poll(fds, OWN_FDS + n, -1) < 0 && errno != EINTR)
			return err_sys(e, "poll");
		pump(&t, fds);
		if (fds[0].revents)
			forward(fg, pidfd, &t);
		for (size_t i = 0; i < n; i++)
			if (watches[i].fd >= 0 && fds[OWN_FDS + i].revents)
				take_watched(&watches[i]);
	}
	drain(&t);
	return 0;
}
