/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fault injection by step name, in builds configured with --enable-fault-injection only.
 *   VZRUN_FAIL_STEP=NAME    the side that owns the row fails there
 *   VZRUN_KILL_HOST=NAME    the host side kills itself when it reaches the row (its own or one it awaits)
 *   VZRUN_KILL_INIT=NAME    init does
 */

#include "config.h"

#include "runtime/base/err.h"

#ifdef VZRUN_FAULT_INJECTION
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int fault_fail(const char *step, struct err *e)
{
	const char *want = getenv("VZRUN_FAIL_STEP");

	if (want && strcmp(want, step) == 0)
		return err_set(e, ERR_INTERNAL, EIO, "step %s: made to fail", step);
	return 0;
}

static inline void fault_kill(int side, const char *step)
{
	const char *want = getenv(side == 0 ? "VZRUN_KILL_HOST" : "VZRUN_KILL_INIT");

	if (want && strcmp(want, step) == 0)
		kill(getpid(), SIGKILL);
}
#else
static inline int fault_fail(const char *step, struct err *e)
{
	(void)step;
	(void)e;
	return 0;
}

static inline void fault_kill(int side, const char *step)
{
	(void)side;
	(void)step;
}
#endif
