// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/source.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/flow/network.h"

static struct err *was_ended(const char *host, struct err *e)
{
	err_set(e, ERR_STATE, 0, "%s has ended it, because not all of it came, or came to run", host);
	return e;
}

static int settle(struct source *s, int64_t fate, struct err *e)
{
	struct container *c = &s->c;
	bool remove = c->state.migration->remove;
	struct err ignored;

	if (fate == MIGRATION_COMMITTED) {
		container_silence(&s->c);
		if (container_destroy(c, e) < 0)
			return err_ret(e);
		return remove ? source_remove_bundle(s, e) : 0;
	}
	if (c->state.migration->work && fs_remove_path(c->state.migration->work, &ignored) < 0)
		log_warn("%s", ignored.text);
	s->outcome = HERE;
	if (c->pidfd < 0)
		return err_set(e, ERR_STATE, 0, "it does not run there, and does not live here any more");
	if (network_release((pid_t)c->state.pid, c->pidfd, NETWORK_UNDECIDED, &ignored) < 0)
		log_debug("network: %s", ignored.text); /* it was not held */
	/* What is not known there any more was cleared up, perhaps when it had run. */
	s->lost = fate == MIGRATION_LOST || c->state.migration->switched || (fate == MIGRATION_UNKNOWN && c->state.migration->shared);
	/* The record is cleared behind it. */
	return source_stays_paused(s) ? 0 : cgroup_freeze(c->cg, false, e);
}

/* The name may lead elsewhere by now, to one that knows nothing of it and would say so. */
static int check_host(const struct source *s, struct err *e)
{
	const char *was = s->c.state.migration->machine, *is = s->w.peer_host;

	if (!was || !is || strcmp(was, is) == 0)
		return 0;
	return err_set(e, ERR_STATE, 0, "%s is another machine (%.40s) than it was when the container moved there (%.40s): \"vzrun migrate --resolve %s "
		       "HOST\" asks the one that you name, whichever it is", s->o->host, is, was, s->o->id);
}

int migrate_resolve(const struct migrate_options *given, struct err *e)
{
	struct migrate_options o = *given;
	__attribute__((cleanup(source_done))) struct source s = SOURCE_NONE(&o);
	struct migration_record answer = { 0 };
	struct migration_question question;
	struct err ignored;
	int r;

	if (store_check_id(o.id, e) < 0 || container_open_until(o.root, o.id, o.signals, -1, &s.c, e) < 0)
		return err_ret(e);
	s.locked = true;
	if (!s.c.state.migration || !s.c.state.migration->undecided)
		return err_set(e, ERR_STATE, 0, "container %s has no migration that is undecided", o.id);
	s.recorded = s.c.state.migration->token;
	s.outcome = UNDECIDED;
	o.host = given->host ? given->host : s.c.state.migration->host;
	o.remote_root = s.c.state.migration->root;
	if (!o.command.n)
		o.command = s.c.state.migration->command;
	question = (struct migration_question){ .token = s.c.state.migration->token, .id = s.c.state.migration->id };
	if (source_connect(&s, e) < 0 || source_greet(&s, e) < 0 || (!given->host && check_host(&s, e) < 0) ||
	    wire_send_document(&s.w, WIRE_QUESTION, &migration_question_type, &question, e) < 0 ||
	    wire_expect_document(&s.w, WIRE_FATE, &migration_record_type, &answer, &s.arena, e) < 0)
		return err_ret(e);
	if (answer.fate == MIGRATION_PENDING || answer.fate == MIGRATION_FETCHING)
		return err_set(e, ERR_STATE, EBADMSG, "%s does not say what became of it", o.host);
	r = settle(&s, answer.fate, e);
	if (r == 0)
		wire_send(&s.w, WIRE_DONE, "", 0, &ignored); /* its record is not needed any more */
	if (r == 0 && s.lost)
		return source_was_lost(&s, was_ended(o.host, e));
	return r < 0 ? r : answer.fate == MIGRATION_COMMITTED;
}
