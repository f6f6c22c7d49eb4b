// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/sched.h>
#include <stdio.h>

#include "oci/check.h"
#include "oci/check_rules.h"
#include "oci/names.h"
#include "runtime/base/str.h"

#define SCHED_ISO_RESERVED 4 /* a word of the spec for which no kernel has a policy */

typedef int (*rule)(const struct oci_process *process, const char *p, struct err *e);

static int check_program(const struct oci_process *process, const char *p, struct err *e)
{
	char at[64];

	if (!check_is_absolute(process->cwd))
		return bad(e, "%s/cwd: path '%.200s' is not absolute", p, process->cwd);
	if (process->args.n == 0)
		return bad(e, "%s/args: must not be empty", p);
	snprintf(at, sizeof at, "%s/env", p);
	return check_env(&process->env, at, e);
}

static int check_console(const struct oci_process *process, const char *p, struct err *e)
{
	const struct oci_console_size *size = process->console_size;

	/* Without a terminal the size must be ignored. */
	if (!size || !process->terminal.v)
		return 0;
	if (size->height > UINT16_MAX || size->width > UINT16_MAX)
		return bad(e, "%s/consoleSize: more than 65535 rows or columns", p);
	return 0;
}

static int check_user(const struct oci_process *process, const char *p, struct err *e)
{
	const struct oci_user *user = &process->user;

	if (user->uid == UINT32_MAX || user->gid == UINT32_MAX)
		return bad(e, "%s/user: 4294967295 is no id", p);
	if (user->umask.set && user->umask.v > 0777)
		return bad(e, "%s/user/umask: more than 511 (octal 777)", p);
	return 0;
}

static int check_rlimits(const struct oci_process *process, const char *p, struct err *e)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < process->rlimits.n; i++) {
		const struct oci_rlimit *l = &process->rlimits.v[i];
		const char *word = names_word(&names_rlimits, l->type);

		if (seen >> l->type & 1)
			return bad(e, "%s/rlimits/%zu: duplicate limit '%s'", p, i, word);
		seen |= UINT64_C(1) << l->type;
		if (l->soft > l->hard)
			return bad(e, "%s/rlimits/%zu: soft limit of %s is above the hard one", p, i, word);
	}
	return 0;
}

/* ---- scheduler: sched_setattr(2).  A Go program cannot tell 0 from unset, so 0 is unset here. ---- */

static int check_deadline(const struct oci_scheduler *s, const char *p, struct err *e)
{
	if (s->policy != SCHED_DEADLINE) {
		if (s->runtime.v || s->deadline.v || s->period.v)
			return bad(e, "%s/scheduler: runtime, deadline and period belong to SCHED_DEADLINE", p);
		return 0;
	}
	if (s->runtime.v == 0 || s->deadline.v == 0)
		return bad(e, "%s/scheduler: SCHED_DEADLINE needs runtime and deadline", p);
	if (s->runtime.v > s->deadline.v)
		return bad(e, "%s/scheduler/runtime: above the deadline", p);
	if (s->period.v && s->deadline.v > s->period.v)
		return bad(e, "%s/scheduler/deadline: above the period", p);
	return 0;
}

static int check_sched_priority(const struct oci_scheduler *s, const char *p, struct err *e)
{
	const bool realtime = s->policy == SCHED_FIFO || s->policy == SCHED_RR;

	if (realtime && (s->priority.v < 1 || s->priority.v > 99))
		return bad(e, "%s/scheduler/priority: must be 1 to 99 for %s", p,
			   names_word(&names_sched_policies, s->policy));
	if (!realtime && s->priority.v != 0)
		return bad(e, "%s/scheduler/priority: only for SCHED_FIFO and SCHED_RR", p);
	return 0;
}

static int check_scheduler(const struct oci_process *process, const char *p, struct err *e)
{
	const struct oci_scheduler *s = process->scheduler;
	int r;

	if (!s)
		return 0;
	if (s->policy == SCHED_ISO_RESERVED)
		return bad(e, "%s/scheduler/policy: no kernel has SCHED_ISO", p);
	if (s->nice.v != 0 && s->policy != SCHED_NORMAL && s->policy != SCHED_BATCH)
		return bad(e, "%s/scheduler/nice: only for SCHED_OTHER and SCHED_BATCH", p);
	if (s->nice.v < -20 || s->nice.v > 19)
		return bad(e, "%s/scheduler/nice: must be -20 to 19", p);
	r = check_sched_priority(s, p, e);
	return r < 0 ? r : check_deadline(s, p, e);
}

static int check_io_priority(const struct oci_process *process, const char *p, struct err *e)
{
	const struct oci_io_priority *io = process->io_priority;

	if (io && (io->priority.v < 0 || io->priority.v > 7))
		return bad(e, "%s/ioPriority/priority: must be 0 to 7", p);
	return 0;
}

static int check_affinity(const struct oci_process *process, const char *p, struct err *e)
{
	const struct oci_exec_cpu_affinity *a = process->exec_cpu_affinity;

	if (a && a->initial && !check_is_list(a->initial))
		return bad(e, "%s/execCPUAffinity/initial: malformed CPU list '%.80s'", p, a->initial);
	if (a && a->final && !check_is_list(a->final))
		return bad(e, "%s/execCPUAffinity/final: malformed CPU list '%.80s'", p, a->final);
	return 0;
}

int check_process(const struct oci_process *process, const char *pointer, struct err *e)
{
	static const rule rules[] = {
		check_program,   check_console,     check_user,     check_rlimits,
		check_scheduler, check_io_priority, check_affinity,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int r = rules[i](process, pointer, e);

		if (r < 0)
			return r;
	}
	return 0;
}
