// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of the host side from start on. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/hooks.h"
#include "runtime/flow/notify_socket.h"
#include "runtime/flow/steps.h"
#include "runtime/flow/sync.h"

bool when_hooks_poststart(const struct flow *f)
{
	return f->spec.hooks && f->spec.hooks->poststart.n;
}

bool when_hooks_runtime(const struct flow *f)
{
	return f->spec.hooks && (f->spec.hooks->prestart.n || f->spec.hooks->create_runtime.n);
}

bool when_netdev(const struct flow *f)
{
	return flow_linux(f)->net_devices.n > 0;
}

bool when_rdt(const struct flow *f)
{
	return flow_linux(f)->intel_rdt != NULL;
}

bool when_affinity_initial(const struct flow *f)
{
	return f->process->exec_cpu_affinity && f->process->exec_cpu_affinity->initial;
}

bool when_start_channel(const struct flow *f)
{
	return f->command == FLOW_CREATE;
}

/* Opening for writing fails when nobody reads: a dead init never keeps start waiting. */
int step_connect(struct flow *f, struct err *e)
{
	f->peer.wr = openat(f->dir.fd, STORE_START, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (f->peer.wr < 0 && errno == ENXIO)
		return err_set(e, ERR_STATE, 0, "cannot start a container that has stopped");
	if (f->peer.wr >= 0)
		f->peer.rd = openat(f->dir.fd, STORE_RESULT, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (f->peer.wr < 0 || f->peer.rd < 0)
		return err_sys(e, "open the start channel");
	if (fcntl(f->peer.rd, F_SETFL, 0) < 0)
		return err_sys(e, "fcntl");
	/* init may end before the word reaches it: that is an error to tell, not our death. */
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

bool when_notify_bind(const struct flow *f)
{
	return f->o->notify_socket;
}

int step_notify_bind(struct flow *f, struct err *e)
{
	return notify_socket_bind(f, e);
}

int step_release(struct flow *f, struct err *e)
{
	struct sync_msg m = { .row = (uint32_t)f->cursor };
	struct err ignored;
	int r;

	if (f->o->watch_oom && f->cg)
		f->oom_watch = cgroup_oom_watch(f->cg, &ignored);
	if (f->command == FLOW_START)
		f->pid = (pid_t)f->state.pid;
	r = sync_send(f->peer.wr, &m, e);
	if (r < 0 && e->num == EPIPE)
		return err_set(e, ERR_STATE, 0, "cannot start a container that has stopped");
	return r;
}

static int died_before_exec(struct flow *f, struct err *e)
{
	cleanup_cgroup struct cgroup *cg = NULL;
	struct err ignored;

	if (cgroup_reopen(&f->state.cgroups, CG_DRIVER_FS, &cg, &f->arena, &ignored) == 0 && cgroup_oom_kills(cg) > 0)
		return err_set(e, ERR_STATE, 0, "container init was OOM-killed (memory limit too low?)");
	return err_set(e, ERR_STATE, 0, "container init died before it could execute the program");
}

static void end_of_talk(struct flow *f)
{
	if (f->peer.wr != f->peer.rd)
		fd_close(&f->peer.wr);
	fd_close(&f->peer.rd);
	f->peer = (struct flow_channel){ -1, -1 };
}

/* First the announcement, then either the closing of the channel (exec worked) or a message with the error. */
static int await_exec(struct flow *f, struct err *e)
{
	bool announced = false;

	for (;;) {
		struct sync_msg m;
		int r = sync_recv(f->peer.rd, &m, e);

		if (r > 0) {
			end_of_talk(f);
			return announced ? 0 : died_before_exec(f, e);
		}
		if (r < 0)
			return r;
		if (m.err.kind != ERR_NONE) {
			fd_close(&f->init_pidfd); /* it ends by itself, and its parent learns with which status */
			*e = m.err;
			return err_ret(e);
		}
		announced = true;
	}
}

int step_running(struct flow *f, struct err *e)
{
	int r = await_exec(f, e);

	if (r < 0 || f->command == FLOW_EXEC)
		return r;
	f->state.status = OCI_RUNNING;
	return store_save(&f->dir, &f->state, e);
}

/* A failed poststart hook, or anything else after the release, stops the container (config.md); delete cleans up. */
void undo_start(struct flow *f)
{
	if (f->command != FLOW_START)
		return; /* run undoes its clone */
	if (f->init_pidfd >= 0)
		sys_pidfd_send_signal(f->init_pidfd, SIGKILL, NULL, 0);
}

extern char **environ;

int step_hooks_poststart(struct flow *f, struct err *e)
{
	cleanup_str struct str state = { 0 };

	oci_state_hook(&f->state, "running", f->state.pid, &state);
	if (str_failed(&state))
		return err_oom(e);
	return flow_told(f, hooks_run(&f->spec.hooks->poststart, "poststart", &(struct hooks_context){ state.s, environ, -1, f->o->signals }, e), e);
}
