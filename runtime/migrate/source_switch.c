// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/source.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/flow/network.h"
#include "runtime/migrate/files.h"

#define REPORT_MS 1000 /* while memory is fetched */
#define LAST_WORD_MS 10000 /* CRIU ends before the other side says that it has all */

/* ---- standing still ---- */

/* From here on nobody but us knows whether it may go on. */
static int begin(void *arg, struct err *e)
{
	struct source *s = arg;

	if (source_record(s, true, e) < 0)
		return err_ret(e);
	s->frozen_at = clock_ms();
	return cgroup_freeze(s->c.cg, true, e) < 0 ? err_ret(e) : 0;
}

/* Not one that others made: they have it too, and nobody could say when it may go on. */
static bool has_own_network(struct source *s)
{
	struct oci_spec spec;
	struct err ignored;

	return store_load_spec(&s->c.dir, &spec, &s->arena, &ignored) < 0 || oci_namespace_new(&spec, CLONE_NEWNET);
}

static void hold_network(struct source *s)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (!has_own_network(s))
		return;
	if (network_hold((pid_t)s->c.state.pid, s->c.pidfd, NETWORK_UNDECIDED, &e) < 0)
		log_warn("the network of %s is not held: %s", s->o->id, err_format(&e, text, sizeof text));
}

/* We were killed.  As long as the word was not given it goes on here, as if nothing had been.  Behind it CRIU has let
 * go of the network, and what stands still here must not answer for what runs there. */
static void abandoned(void *arg)
{
	struct source *s = arg;
	struct err ignored;

	if (*s->given) {
		hold_network(s);
		return;
	}
	network_release((pid_t)s->c.state.pid, s->c.pidfd, NETWORK_UNDECIDED, &ignored); /* where it was held */
	if (cgroup_freeze(s->c.cg, false, &ignored) < 0)
		return; /* --resolve does it */
	s->c.state.migration = NULL;
	store_save(&s->c.dir, &s->c.state, &ignored);
	fs_remove_path(s->work, &ignored);
}

/* ---- the word ---- */

/* From the word to go on there is no way back without knowing what became of it, and no signal that would make one. */
static int commit(struct source *s, struct err *e)
{
	struct wire_frame f;

	*s->given = true;
	if (wire_send(&s->w, WIRE_COMMIT, "", 0, e) < 0) {
		*s->given = false; /* so short a frame is sent as a whole or not at all */
		return err_ret(e);
	}
	s->outcome = UNDECIDED;
	s->w.signals = -1;
	if (wire_expect(&s->w, WIRE_RUNNING, &f, e) < 0) {
		s->lost = e->num == ENOTRECOVERABLE;
		if (s->lost || e->num == EREMOTEIO)
			s->outcome = HERE; /* it says that nothing is left of it */
		return err_ret(e);
	}
	s->outcome = THERE;
	return 0;
}

static int criu_is_gone(struct err *e)
{
	return err_set(e, ERR_KERNEL, ECHILD, "CRIU has ended, which held the container and what was still here of its memory");
}

static int ask_restore(struct source *s, int criu, struct err *e)
{
	const struct migration_restore restore = { .images = "final", .tcp_established = true, .file_locks = true, .ext_unix_sk = s->o->ext_unix_sk,
						   .lazy = s->o->post_copy };
	struct wire_frame f;
	int r;

	source_report(s, &(struct migrate_progress){ .phase = "restore", .downtime_ms = clock_ms() - s->frozen_at });
	r = wire_send_document(&s->w, WIRE_RESTORE, &migration_restore_type, &restore, e);
	if (r >= 0)
		r = wire_wait(&s->w, criu, e);
	if (r > 0)
		return criu_is_gone(e);
	return r < 0 ? r : wire_expect(&s->w, WIRE_RESTORED, &f, e);
}

/* CRIU has thawed the cgroup when it had all processes.  If it dies it lets go of them, and they must not run here. */
static int send_rest(struct source *s, struct err *e)
{
	if (cgroup_freeze(s->c.cg, true, e) < 0 || files_send(&s->w, s->work_fd, "final", s->o->compress, e) < 0)
		return err_ret(e);
	return source_send_files(s, true, e);
}

/* All processes stand still, and so does their network. */
static int hand_over(void *arg, int criu, struct err *e)
{
	struct source *s = arg;

	if (send_rest(s, e) < 0 || ask_restore(s, criu, e) < 0)
		return err_ret(e);
	if (commit(s, e) < 0 && s->outcome == UNDECIDED)
		hold_network(s);
	if (s->outcome != THERE)
		return err_ret(e);
	container_silence(&s->c);
	cgroup_let_die(s->c.cg); /* CRIU kills them */
	return 0;
}

/* ---- post-copy ---- */

/* Beside what is sent; the status tells.  0: there is nothing to hold. */
static pid_t begin_hold(struct source *s, struct err *e)
{
	struct err why;
	pid_t pid;

	if (!network_is_own((pid_t)s->c.state.pid))
		return 0;
	pid = proc_fork(e);
	if (pid != 0)
		return pid;
	_exit(network_hold((pid_t)s->c.state.pid, s->c.pidfd, NETWORK_UNDECIDED, &why) < 0);
}

/* The same, but for memory that CRIU will serve.  Then it lets the network go. */
static int prepare_switch(void *arg, int criu, struct err *e)
{
	struct source *s = arg;
	struct err why = { 0 };
	pid_t holder = begin_hold(s, e);
	bool sent;

	(void)criu; /* serve() hears of its end */
	if (holder < 0)
		return (int)holder;
	s->ready = true; /* also where only some of it is done, it is to be undone */
	sent = send_rest(s, e) >= 0;
	if (holder > 0 && proc_finish("nft", holder, &why) < 0 && sent) {
		sent = false;
		err_set(e, ERR_KERNEL, 0, "the container's network cannot be held: nft(8) fails in its network namespace");
	}
	s->served = sent;
	return sent ? 0 : err_ret(e);
}

static void report_fetch(struct source *s, int64_t began, uint64_t before)
{
	uint64_t bytes = relay_bytes(&s->relay);
	int64_t ms = clock_ms() - began + 1;

	source_report(s, &(struct migrate_progress){ .phase = "fetch", .bytes = bytes, .rate = (bytes - before) * 1000 / (uint64_t)ms });
}

/* Until all memory is there.  A lost connection ends the container there, and so does a signal that makes us lose it, or the end of CRIU:
 * the connection alone would not tell, since the stream of memory stays open in our processes. */
static int wait_fetched(struct source *s, int criu, struct err *e)
{
	int64_t began = clock_ms(), ended = 0;
	uint64_t before = relay_bytes(&s->relay);
	struct wire fetched = s->w;
	struct wire_frame f;
	struct err why;
	int r;

	fetched.signals = s->o->signals;
	fetched.timeout_ms = REPORT_MS;
	while ((r = wire_wait(&fetched, ended ? -1 : criu, &why)) > 0 || (r < 0 && why.num == ETIMEDOUT)) {
		if (r > 0)
			ended = clock_ms();
		else if (!ended)
			report_fetch(s, began, before);
		else if (clock_ms() - ended >= LAST_WORD_MS)
			return criu_is_gone(e);
	}
	if (r < 0) {
		*e = why;
		return err_ret(e);
	}
	if (wire_expect(&s->w, WIRE_FETCHED, &f, e) < 0) {
		s->lost = e->num == ENOTRECOVERABLE || e->num == EREMOTEIO;
		s->outcome = s->lost ? HERE : UNDECIDED;
		return err_ret(e);
	}
	report_fetch(s, began, before);
	s->outcome = THERE;
	container_silence(&s->c);
	return 0;
}

static int switch_over(struct source *s, int criu, struct err *e)
{
	if (relay_start(&s->w, s->pages[0], &s->relay, e) < 0 || ask_restore(s, criu, e) < 0 || commit(s, e) < 0)
		return err_ret(e);
	s->downtime = clock_ms() - s->frozen_at;
	s->switched = true;
	s->outcome = UNDECIDED;
	if (source_record(s, true, e) < 0)
		log_warn("%s", e->text); /* it says undecided, as it did before */
	return wait_fetched(s, criu, e);
}

/* CRIU serves.  Whatever comes of it, it leaves the processes to the freezer: were it told to kill them it would also do so when it lost
 * the other side. */
static int serve(void *arg, int criu, struct err *e)
{
	struct source *s = arg;
	int r = s->served && e->kind == ERR_NONE ? switch_over(s, criu, e) : 0; /* a signal may have ended it meanwhile */

	shutdown(s->pages[0], SHUT_RDWR);
	return r;
}

int source_last_dump(struct source *s, struct err *e)
{
	char images[PATH_MAX], parent[32];
	struct criu_options o;

	snprintf(images, sizeof images, "%s/final", s->work);
	snprintf(parent, sizeof parent, "../%u", s->round);
	o = source_dump_options(s, images);
	o.parent = s->round ? parent : NULL;
	o.hold = s->o->post_copy ? prepare_switch : hand_over;
	o.hold_arg = s;
	o.begin = begin;
	o.abandoned = abandoned;
	s->given = mmap(NULL, sizeof *s->given, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->given == MAP_FAILED) {
		s->given = NULL;
		return err_sys(e, "mmap");
	}
	if (s->o->post_copy) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->pages) < 0)
			return err_sys(e, "socketpair");
		o.lazy_pages = o.leave_running = true;
		o.pages = s->pages;
		o.serve = serve;
	}
	return container_checkpoint(&s->c, &o, e);
}
