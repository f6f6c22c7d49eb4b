// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/flow/network.h"

#define LAST_WORD_MS 5000
#define LAST_LOCK_MS 5000 /* to take our record away */
#define POST_COPY_WARNING "post-copy: from the moment at which it runs there until all its memory is there, a lost connection ends the container " \
	"there; then it can go on here, as it was at that moment"

void source_report(const struct source *s, const struct migrate_progress *p)
{
	if (s->o->progress)
		s->o->progress(s->o->arg, p);
}

/* ---- the connection ---- */

static int words_of(const struct migrate_options *o, const char ***ret, struct arena *a, struct err *e)
{
	const char **v = arena_alloc_n(a, o->command.n + 8, sizeof *v);
	size_t n = 0;

	if (!v)
		return err_oom(e);
	for (size_t i = 0; i < o->command.n; i++)
		v[n++] = o->command.v[i];
	v[n++] = o->host;
	v[n++] = "vzrun";
	if (o->remote_root) {
		v[n++] = "--root";
		v[n++] = o->remote_root;
	}
	v[n++] = "migrate-receive";
	*ret = v;
	return 0;
}

int source_connect(struct source *s, struct err *e)
{
	int in[2], out[2];
	const char **words;

	if (words_of(s->o, &words, &s->arena, e) < 0)
		return err_ret(e);
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int their_in = in[0];
	s->w.wr = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int their_out = out[1];
	s->w.rd = out[0];
	s->w.peer = s->o->host;
	s->w.timeout_ms = WIRE_SILENCE_MS;
	s->w.signals = s->o->signals;
	s->w.rate = s->o->bandwidth;
	return proc_spawn(words, their_in, their_out, true, &s->connection, e);
}

int source_greet(struct source *s, struct err *e)
{
	if (wire_greet(&s->w, &s->arena, e) >= 0)
		return 0;
	return e->kind == ERR_UNSUPPORTED ? err_ret(e) : err_hint(e, "is vzrun on %s, in the PATH there?", s->o->host);
}

static void hang_up(struct source *s)
{
	wire_done(&s->w);
	fd_close(&s->w.wr);
	fd_close(&s->w.rd);
	if (s->connection > 0) {
		/* It ends by the end of its input; one that does not is not waited for. */
		for (int ms = 0; ms < 5000; ms += 10) {
			if (waitpid(s->connection, NULL, WNOHANG) != 0)
				break;
			poll(NULL, 0, 10);
			if (ms == 4990)
				kill(s->connection, SIGKILL);
		}
	}
	s->connection = 0;
	relay_end(&s->relay);
}

/* ---- the lock ---- */

static int reopen(struct source *s, int signals, int ms, struct err *e)
{
	cleanup_container struct container again = { .dir = STORE_DIR_NONE, .pidfd = -1 };

	if (container_open_until(s->o->root, s->o->id, signals, ms, &again, e) < 0)
		return err_ret(e);
	if (!str_eq(again.state.created, s->c.state.created) || again.state.pid != s->c.state.pid)
		return err_set(e, ERR_STATE, ESTALE, "container %s is another one meanwhile", s->o->id);
	container_done(&s->c);
	s->c = again;
	again = (struct container){ .dir = STORE_DIR_NONE, .pidfd = -1 };
	s->locked = true;
	return 0;
}

static int not_running(const struct source *s, struct err *e)
{
	return err_set(e, ERR_STATE, 0, "container cannot be migrated in %s state", oci_status_name(s->c.status));
}

static int is_moved(const struct source *s, struct err *e)
{
	return err_set(e, ERR_STATE, EBUSY, "container %s is being migrated to %s by process %d", s->o->id, s->c.state.migration->host,
		       (int)container_mover(&s->c));
}

int source_lock(struct source *s, struct err *e)
{
	if (reopen(s, s->o->signals, -1, e) < 0)
		return err_ret(e);
	if (container_mover(&s->c))
		return is_moved(s, e);
	return s->c.status == OCI_RUNNING ? 0 : not_running(s, e);
}

void source_unlock(struct source *s)
{
	if (s->locked)
		store_unlock(&s->c.dir);
	s->locked = false;
}

/* ---- the record: so that whoever is killed leaves a container of which it is known what to do with it ---- */

int source_record(struct source *s, bool undecided, struct err *e)
{
	struct oci_state_migration *m = arena_new(&s->c.arena, struct oci_state_migration);
	char state;

	if (!m)
		return err_oom(e);
	*m = (struct oci_state_migration){
		.undecided = undecided, .switched = s->switched, .pid = getpid(), .work = s->work, .token = s->offer.token, .host = s->o->host,
		.id = s->offer.id, .machine = s->w.peer_host, .root = s->o->remote_root, .command = s->o->command,
		.remove = s->o->rootfs == MIGRATION_COPY && !s->o->keep, .shared = s->o->rootfs == MIGRATION_SHARED,
	};
	if (proc_stat(getpid(), &m->start_time, &state, e) < 0)
		return err_ret(e);
	s->c.state.migration = m;
	s->recorded = s->offer.token;
	return store_save(&s->c.dir, &s->c.state, e);
}

/* Somebody may have made his own meanwhile. */
static bool is_our_record(const struct source *s)
{
	return s->c.state.migration && str_eq(s->c.state.migration->token, s->recorded);
}

static void unrecord(struct source *s)
{
	struct err e;

	if (!s->recorded || s->outcome != HERE || (!s->locked && reopen(s, -1, LAST_LOCK_MS, &e) < 0) || !is_our_record(s))
		return; /* who finds it sees that we are gone */
	s->c.state.migration = NULL;
	if (store_save(&s->c.dir, &s->c.state, &e) < 0)
		log_warn_err(&e);
}

/* Of one that was killed before it came to anything. */
static int take_over(struct source *s, struct err *e)
{
	const struct oci_state_migration *m = s->c.state.migration;

	if (!m)
		return 0;
	if (m->undecided)
		return err_set(e, ERR_STATE, 0, "an earlier migration to %s is undecided: \"vzrun migrate --resolve %s\" ends it", m->host,
			       s->o->id);
	if (container_mover(&s->c))
		return is_moved(s, e);
	if (m->work && fs_remove_path(m->work, e) < 0)
		return err_ret(e);
	s->recorded = arena_strdup(&s->arena, m->token);
	return s->recorded ? 0 : err_oom(e);
}

/* ---- where images lie until they are sent ---- */

static int make_work(struct source *s, struct err *e)
{
	snprintf(s->work, sizeof s->work, "%s/vzrun-migrate.XXXXXX", offer_tmp());
	if (!mkdtemp(s->work)) {
		err_sys(e, "%s", s->work);
		*s->work = '\0';
		return err_ret(e);
	}
	s->work_fd = open(s->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->work_fd < 0)
		return err_sys(e, "%s", s->work);
	if (source_lock(s, e) < 0 || source_record(s, false, e) < 0)
		return err_ret(e);
	source_unlock(s);
	return 0;
}

/* ---- the move itself ---- */

static int undecided(struct source *s, struct err *e)
{
	char why[ERR_TEXT_MAX + 128];

	err_format(e, why, sizeof why);
	if (s->switched)
		return err_set(e, ERR_STATE, EINPROGRESS, "%.300s: it ran on %s, where it is ended unless all of its memory came; it is frozen here, and "
			       "\"vzrun migrate --resolve %s\" asks there and ends it", why, s->o->host, s->o->id);
	return err_set(e, ERR_STATE, EINPROGRESS, "%.300s: nobody here knows whether it runs on %s now; it is frozen here, and \"vzrun migrate "
		       "--resolve %s\" asks there and ends it", why, s->o->host, s->o->id);
}

bool source_stays_paused(const struct source *s)
{
	return s->lost && s->c.state.migration->shared;
}

int source_was_lost(const struct source *s, struct err *e)
{
	char why[ERR_TEXT_MAX + 128];

	err_format(e, why, sizeof why);
	if (source_stays_paused(s))
		return err_set(e, ERR_STATE, ENOTRECOVERABLE, "%.300s: what the container did there is lost, but not what it wrote to the files that both "
			       "hosts have: it stays paused here, and \"vzrun resume %s\" lets it go on from the moment at which it was switched over",
			       why, s->o->id);
	return err_set(e, ERR_STATE, ENOTRECOVERABLE, "%.300s: what the container did there is lost; it goes on here from the moment at which it "
		       "was switched over", why);
}

/* Here, as it was. */
static int go_on(struct source *s, struct err *e)
{
	struct wire_frame f;
	struct err ignored;

	if (s->ready && network_release((pid_t)s->c.state.pid, s->c.pidfd, NETWORK_UNDECIDED, &ignored) < 0)
		log_debug("network: %s", ignored.text); /* it was not held */
	if (!source_stays_paused(s))
		container_thaw(&s->c);
	if (!s->lost)
		return err_ret(e);
	/* It keeps for a question what became of it. */
	if (wire_send(&s->w, WIRE_DONE, "", 0, &ignored) >= 0)
		wire_recv(&s->w, &f, &ignored);
	return source_was_lost(s, e);
}

static int move(struct source *s, struct err *e)
{
	struct err ignored;
	struct wire_frame f;
	int r;

	if (source_lock(s, e) < 0 || source_check_network(s, e) < 0)
		return err_ret(e);
	source_report(s, &(struct migrate_progress){ .phase = "freeze", .round = s->round });
	r = source_last_dump(s, e);
	if (r < 0 && s->outcome == UNDECIDED)
		return undecided(s, e);
	if (r < 0 && s->outcome == HERE)
		return go_on(s, e);
	source_report(s, &(struct migrate_progress){ .phase = "done", .round = s->round, .bytes = wire_total(&s->w),
					      .downtime_ms = s->switched ? s->downtime : clock_ms() - s->frozen_at });
	/* It runs there, whatever still fails here. */
	if ((r < 0 || s->o->post_copy) && container_destroy(&s->c, e) < 0)
		return err_wrap(e, "it runs on %s; what is left of it here", s->o->host);
	if (wire_send(&s->w, WIRE_DONE, "", 0, &ignored) >= 0)
		wire_expect(&s->w, WIRE_DONE, &f, &ignored);
	return s->o->rootfs == MIGRATION_COPY && !s->o->keep ? source_remove_bundle(s, e) : 0;
}

/* What it could not take it has not read; why, it may have said. */
static int take_last_word(struct source *s, struct err *e)
{
	struct wire_frame f;
	struct err ignored;

	s->w.timeout_ms = LAST_WORD_MS;
	while (wire_recv(&s->w, &f, &ignored) >= 0)
		if (f.type == WIRE_ERROR || f.type == WIRE_LOST)
			return wire_not_due(&s->w, &f, e);
	return err_ret(e);
}

static int begin(struct source *s, struct err *e)
{
	if (store_check_id(s->o->id, e) < 0 || container_open_until(s->o->root, s->o->id, s->o->signals, -1, &s->c, e) < 0)
		return err_ret(e);
	s->locked = true;
	if (take_over(s, e) < 0)
		return err_ret(e);
	if (s->c.status != OCI_RUNNING)
		return not_running(s, e);
	if (source_offer(s, e) < 0)
		return err_ret(e);
	source_unlock(s);
	if (source_connect(s, e) < 0 || source_greet(s, e) < 0)
		return err_ret(e);
	source_report(s, &(struct migrate_progress){ .phase = "check" });
	return source_check(s, e);
}

void source_done(struct source *s)
{
	struct err ignored;

	hang_up(s);
	unrecord(s);
	fd_close(&s->work_fd);
	if (*s->work)
		fs_remove_path(s->work, &ignored);
	fd_close(&s->pages[0]);
	fd_close(&s->pages[1]);
	if (s->given)
		munmap((void *)s->given, sizeof *s->given);
	str_done(&s->document);
	str_done(&s->dirs);
	container_done(&s->c);
	arena_done(&s->arena);
}

/* What fails because somebody has deleted it meanwhile. */
static void check_gone(struct source *s, struct err *e)
{
	struct err gone;

	if (!s->locked && reopen(s, -1, LAST_LOCK_MS, &gone) < 0 && gone.kind == ERR_NOTFOUND)
		*e = gone;
}

int migrate(const struct migrate_options *o, struct err *e)
{
	__attribute__((cleanup(source_done))) struct source s = SOURCE_NONE(o);

	if (begin(&s, e) < 0)
		return err_ret(e);
	if (o->dry_run)
		return 0;
	if (o->post_copy)
		log_warn(POST_COPY_WARNING);
	if (make_work(&s, e) < 0 || source_send_files(&s, false, e) < 0 || source_send_rounds(&s, e) < 0 || source_send_files(&s, false, e) < 0 ||
	    move(&s, e) < 0) {
		check_gone(&s, e);
		return e->num == EPIPE && s.outcome == HERE ? take_last_word(&s, e) : err_ret(e);
	}
	return 0;
}
