// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/flow.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/flow/fault.h"
#include "runtime/flow/foreground.h"
#include "runtime/flow/steps.h"
#include "runtime/flow/sync.h"
#include "runtime/linux/procfs.h"

void flow_init(struct flow *f, const struct flow_options *o, enum flow_command command)
{
	*f = (struct flow){
		.o = o, .command = command, .side = FLOW_HOST,
		.dir = STORE_DIR_NONE, .userns_fd = -1, .notify_dir = -1, .notify_fd = -1, .procfs = -1,
		.pidfd = -1, .oom_watch = -1, .oom_fd = -1, .netns = -1, .init_pidfd = -1, .peer = { -1, -1 }, .start_fd = -1, .result_fd = -1,
		.root_fd = -1, .tty_master = -1, .listener = -1,
	};
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; fds && i < n; i++)
		fd_close(&fds[i]);
}

void flow_close_cgroups(struct flow *f)
{
	if (f->join_cg != f->cg)
		cgroup_close(&f->join_cg);
	f->join_cg = NULL;
	cgroup_close(&f->cg);
}

void flow_close_sources(struct flow *f)
{
	close_all(f->sources, f->spec.mounts.n);
	close_all(f->view_fds, f->n_views);
	fd_close(&f->userns_fd);
	fd_close(&f->notify_dir);
}

void flow_close_namespaces(struct flow *f)
{
	close_all(f->ns_fds, flow_linux(f)->namespaces.n);
	f->ns_fds = NULL;
}

void flow_done(struct flow *f)
{
	flow_close_namespaces(f);
	flow_restore_done(f);
	flow_close_sources(f);
	if (f->peer.wr != f->peer.rd)
		fd_close(&f->peer.wr);
	fd_close(&f->peer.rd);
	fd_close(&f->notify_fd);
	fd_close(&f->procfs);
	fd_close(&f->pidfd);
	fd_close(&f->oom_watch);
	fd_close(&f->oom_fd);
	fd_close(&f->netns);
	fd_close(&f->init_pidfd);
	fd_close(&f->start_fd);
	fd_close(&f->result_fd);
	fd_close(&f->root_fd);
	fd_close(&f->tty_master);
	flow_close_cgroups(f);
	store_close(&f->dir);
	str_done(&f->document);
	str_done(&f->given);
	arena_done(&f->arena);
}

void flow_take_back(struct flow *f)
{
	undo_netdev(f);
	fd_close(&f->netns);
	if (f->files.rlim_max)
		setrlimit(RLIMIT_NOFILE, &f->files);
	/* A plain user who is not has no say over his own files in /proc.  Nobody is left inside who could look. */
	if (f->dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

const struct str *flow_given(const struct flow *f)
{
	return f->given.len ? &f->given : &f->document;
}

int flow_procfs(struct flow *f, struct err *e)
{
	if (f->procfs < 0)
		f->procfs = procfs_open(e);
	return f->procfs;
}

const struct oci_linux *flow_linux(const struct flow *f)
{
	static const struct oci_linux none;

	return f->spec.linux ? f->spec.linux : &none;
}

static int run_row(struct flow *f, const struct step *s, struct err *e)
{
	int64_t began = log_debugging() ? clock_us() : 0;
	int r = fault_fail(s->name, e);

	if (r == 0)
		r = s->run(f, e);
	if (began)
		log_debug("step %s (%s): %lld us%s", s->name, f->side == FLOW_HOST ? "host" : "init",
			  (long long)(clock_us() - began), r < 0 ? ", failed" : "");
	if (r < 0 && s->label)
		err_wrap(e, "%s", s->label);
	return r;
}

/* Tell the other side that our row is done. */
static int announce(struct flow *f, size_t row, struct err *e)
{
	struct sync_msg m = { .row = (uint32_t)row };

	return sync_send(f->peer.wr, &m, e);
}

/* init ended without a word: say how, where the kernel tells.  One that only closed its end does not keep us waiting. */
static int peer_gone(struct flow *f, const struct step *s, struct err *e)
{
	struct pollfd end = { .fd = f->pidfd, .events = POLLIN };
	char how[64];
	int status;

	if (f->side == FLOW_INIT)
		return err_set(e, ERR_INTERNAL, 0, "step %s: the runtime is gone", s->name);
	if (f->cg && cgroup_oom_kills(f->cg) > 0)
		return err_set(e, ERR_STATE, 0, "container init was OOM-killed (memory limit too low?)");
	if (f->pid > 0 && poll(&end, 1, 1000) == 0)
		kill(f->pid, SIGKILL);
	if (f->pid > 0 && waitpid(f->pid, &status, 0) == f->pid) {
		f->pid = 0;
		return err_set(e, ERR_STATE, 0, "init died at step %s: %s", s->name,
			       proc_status_text(status, how, sizeof how));
	}
	return err_set(e, ERR_STATE, 0, "init died at step %s", s->name);
}

/* A signal that arrives while init works ends the command and undoes it.  (In the foreground later ones are the
 * payload's.) */
static int wait_readable(const struct flow *f, struct err *e)
{
	struct pollfd fds[] = { { .fd = f->peer.rd, .events = POLLIN }, { .fd = f->o->signals, .events = POLLIN } };
	int sig;

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (fds[0].revents)
			return 0;
		sig = fds[1].revents ? foreground_ending_signal(f->o->signals) : 0;
		if (sig)
			return err_set(e, ERR_STATE, EINTR, "interrupted by %s", sigabbrev_np(sig));
	}
}

static int await(struct flow *f, size_t row, struct err *e)
{
	const struct step *s = &flow_table[row];
	struct sync_msg m;
	int fd = -1, r;

	if (f->side == FLOW_HOST && wait_readable(f, e) < 0)
		return err_ret(e);
	/* Only these rows of init carry a descriptor; on any other one is an error. */
	if (f->side == FLOW_HOST && s->run == step_tty)
		r = sync_recv_fd(f->peer.rd, &m, &fd, e);
	else
		r = sync_recv(f->peer.rd, &m, e);
	if (r > 0)
		return peer_gone(f, s, e);
	if (r < 0)
		return r;
	if (m.err.kind != ERR_NONE) {
		fd_close(&fd);
		*e = m.err;
		return err_ret(e);
	}
	if (m.row != row) {
		fd_close(&fd);
		return err_set(e, ERR_INTERNAL, 0, "sync: expected step %s, got row %u", s->name, m.row);
	}
	return step_awaited(f, s, m.value, fd, e);
}

/* A row of ours failed: what init met before that is the reason then, not that its end made us fail.  (Once the program
 * was executed the channel is closed: nothing of this is true any more.) */
static int init_first(struct flow *f, const struct step *s, struct err *e)
{
	struct pollfd word = { .fd = f->peer.rd, .events = POLLIN }, end = { .fd = f->pidfd, .events = POLLIN };
	/* What a process that has just died looks like; its descriptors may close later still. */
	int wait = e->num == ESRCH || e->num == ENOENT || e->num == EPIPE ? 50 : 0;
	cleanup_fd int master = -1; /* a terminal's, on its way to us: its end would hang up on init */
	struct err ignored;
	struct sync_msg m;

	if (s->run == step_running)
		return err_ret(e); /* it listens to init itself */
	while (f->peer.rd >= 0 && poll(&word, 1, wait) > 0) {
		cleanup_fd int fd = -1;
		int r = f->command == FLOW_START ? sync_recv(f->peer.rd, &m, &ignored) :
						   sync_recv_fd(f->peer.rd, &m, &fd, &ignored);

		/* It closes its descriptors a moment before it is dead. */
		if (r > 0 && f->pidfd >= 0 && poll(&end, 1, 100) > 0)
			return peer_gone(f, s, e);
		if (fd >= 0) {
			fd_close(&master);
			master = fd_take(&fd);
		}
		if (r != 0)
			break;
		if (m.err.kind != ERR_NONE) {
			*e = m.err;
			break;
		}
	}
	return err_ret(e);
}

static void undo(struct flow *f)
{
	for (size_t i = flow_table_size(); i-- > 0;)
		if (f->done[i] && flow_table[i].undo) {
			log_debug("undo %s", flow_table[i].name);
			flow_table[i].undo(f);
		}
}

/* init: the error goes to whoever listens, and this process ends.  The message may be lost when nobody does. */
static void __attribute__((noreturn)) init_fail(struct flow *f, const struct err *e)
{
	struct sync_msg m = { .row = (uint32_t)f->cursor, .err = *e };
	struct err ignored;

	sync_send(f->peer.wr, &m, &ignored);
	_exit(1);
}

static int walk_row(struct flow *f, size_t i, struct err *e)
{
	const struct step *s = &flow_table[i];
	bool sync = (s->flags & STEP_SYNC) && f->peer.rd >= 0;
	bool mine = s->side == f->side;
	int r;

	f->cursor = i;
	fault_row(f, s);
	if (!mine)
		return sync ? await(f, i, e) : 0;
	r = run_row(f, s, e);
	if (r >= 0 && f->side == FLOW_HOST)
		f->done[i] = true;
	/* Only a row that made its own message (a descriptor with it, the middle process) returns above zero. */
	if (r == 0 && sync)
		r = announce(f, i, e);
	if (r < 0 && f->side == FLOW_HOST)
		return init_first(f, s, e);
	return r < 0 ? r : 0;
}

int flow_row(struct flow *f, const char *name, struct err *e)
{
	const struct step *s = flow_table;

	while (strcmp(s->name, name) != 0)
		s++;
	if (s->when && !s->when(f))
		return 0;
	fault_row(f, s);
	return run_row(f, s, e);
}

int flow_run(struct flow *f, struct err *e)
{
	int r = 0;

	f->done = arena_alloc_n(&f->arena, flow_table_size(), sizeof *f->done);
	if (!f->done)
		return err_oom(e);
	for (size_t i = 0; i < flow_table_size() && r >= 0; i++) {
		const struct step *s = &flow_table[i];

		if (!(s->flags & f->command) || (s->when && !s->when(f)))
			continue;
		r = walk_row(f, i, e);
	}
	if (f->side == FLOW_INIT)
		init_fail(f, e); /* the last row of init is exec: whoever comes here has failed */
	if (r < 0)
		undo(f);
	return r;
}

static void print_commands(struct str *out, unsigned flags)
{
	static const struct {
		unsigned flag;
		char letter;
	} letters[] = { { FLOW_CREATE, 'c' }, { FLOW_START, 't' }, { FLOW_RUN, 'r' }, { FLOW_EXEC, 'x' }, { FLOW_RESTORE, 's' } };

	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		str_addc(out, flags & letters[i].flag ? letters[i].letter : '-');
}

int flow_print_steps(struct str *ret)
{
	for (size_t i = 0; i < flow_table_size(); i++) {
		const struct step *s = &flow_table[i];

		str_addf(ret, "%2zu  %-20s %s%s  ", i, s->name, s->side == FLOW_HOST ? "host" : "init",
			 s->flags & STEP_SYNC ? "*" : " ");
		print_commands(ret, s->flags);
		str_addf(ret, "  %s\n", s->why);
	}
	return str_failed(ret) ? -ENOMEM : 0;
}
