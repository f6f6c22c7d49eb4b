/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fault injection by step name, in builds configured with --enable-fault-injection only.
 *   VZRUN_FAIL_STEP=NAME    the side that owns the row fails there
 *   VZRUN_KILL_HOST=NAME    the host side dies when the row is reached, by whichever side runs it
 *   VZRUN_KILL_INIT=NAME    init does
 * A row of the other side is reached by a word or a signal from there, so that each row is a moment of death for both. */

#include "config.h"

#include "runtime/base/err.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/sync.h"

#ifdef VZRUN_FAULT_INJECTION
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The row number of a message that kills whoever reads it. */
#define FAULT_DIE UINT32_MAX

static inline bool fault_is(const char *variable, const char *step)
{
	const char *want = getenv(variable);

	return want && strcmp(want, step) == 0;
}

static inline int fault_fail(const char *step, struct err *e)
{
	return fault_is("VZRUN_FAIL_STEP", step) ? err_set(e, ERR_INTERNAL, EIO, "step %s: made to fail", step) : 0;
}

static inline void fault_die(void)
{
	kill(getpid(), SIGKILL);
	__builtin_trap(); /* process 1 of a pid namespace survives its own signals, but no fault */
}

/* init: the host reads this wherever it waits for us.  The row goes on when it is dead. */
static inline void fault_kill_host(const struct flow *f)
{
	struct sync_msg m = { .row = FAULT_DIE };
	struct pollfd gone = { .fd = f->peer.rd };
	struct err ignored;

	sync_send(f->peer.wr, &m, &ignored);
	poll(&gone, 1, 1000);
}

static inline void fault_kill_init(const struct flow *f)
{
	struct pollfd dead = { .fd = f->command == FLOW_START ? f->init_pidfd : f->pidfd, .events = POLLIN };

	kill(f->pid, SIGKILL);
	poll(&dead, 1, 1000);
}

/* Before each row, on both sides. */
static inline void fault_row(const struct flow *f, const struct step *s)
{
	bool mine = s->side == f->side;

	if (fault_is(f->side == FLOW_HOST ? "VZRUN_KILL_HOST" : "VZRUN_KILL_INIT", s->name) &&
	    (mine || s->flags & STEP_SYNC))
		fault_die();
	if (mine && f->side == FLOW_HOST && f->pid > 0 && fault_is("VZRUN_KILL_INIT", s->name))
		fault_kill_init(f);
	if (mine && f->side == FLOW_INIT && f->peer.rd >= 0 && fault_is("VZRUN_KILL_HOST", s->name))
		fault_kill_host(f);
}

static inline void fault_word(const struct sync_msg *m)
{
	if (m->row == FAULT_DIE)
		fault_die();
}
#else
static inline int fault_fail(const char *step, struct err *e)
{
	(void)step;
	(void)e;
	return 0;
}

static inline void fault_row(const struct flow *f, const struct step *s)
{
	(void)f;
	(void)s;
}

static inline void fault_word(const struct sync_msg *m)
{
	(void)m;
}
#endif
