// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/path.h"
#include "runtime/base/proc.h"
#include "runtime/flow/container.h"
#include "runtime/flow/criu.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/foreground.h"
#include "runtime/migrate/fetch.h"
#include "runtime/migrate/files.h"
#include "runtime/migrate/offer.h"
#include "runtime/migrate/record.h"
#include "runtime/migrate/relay.h"

#define DONE_MS 5000

struct target {
	const char *root;
	struct arena arena;
	struct wire w;
	struct migration_offer offer;
	char work[PATH_MAX / 2];
	int work_fd;
	const char *images;        /* the directory in it that is restored from */
	bool recorded, makes_bundle, made_bundle, running;
	bool unsaid;               /* its state could not be written, and does not say that it runs: who finds the record puts that right */
	size_t found;              /* how much of the bundle's path was there before us; SIZE_MAX: nothing was made */
	bool lazy, given;          /* post-copy; the word to go on has come, and is CRIU's to hear */
	bool lost, stuck;          /* it ran and was ended, or could not be */
	struct fetch fetch;
	struct relay relay;
	int signals;
};

/* ---- the record ---- */

static int called_off(struct err *e)
{
	return err_set(e, ERR_STATE, ECANCELED, "this migration was called off meanwhile");
}

/* Before anything is made; before the bundle is; and when it was: one that was there before is nobody's to remove. */
static int record(struct target *t, struct err *e)
{
	struct migration_record r = { .token = t->offer.token, .id = t->offer.id, .fate = MIGRATION_PENDING, .pid = getpid(), .work = t->work,
				      .bundle = t->makes_bundle ? t->offer.bundle : NULL,
				      .made = t->made_bundle ? record_identity(t->offer.bundle, &t->arena) : NULL };
	cleanup_fd int fd = record_open(t->root, t->offer.token, t->recorded ? 0 : O_CREAT | O_EXCL, e);
	struct migration_record was;
	char state;

	if (fd < 0 || proc_stat(getpid(), &r.start_time, &state, e) < 0 || record_read(fd, &was, &t->arena, e) < 0)
		return err_ret(e);
	if (was.fate == MIGRATION_ABORTED)
		return called_off(e);
	t->recorded = true;
	return record_write(fd, &r, e);
}

static int created_at(struct target *t, const char **ret, struct err *e)
{
	cleanup_container struct container c = { .dir = STORE_DIR_NONE, .pidfd = -1 };

	if (container_open(t->root, t->offer.id, STORE_LOOK, &c, e) < 0)
		return err_ret(e);
	*ret = arena_strdup(&t->arena, c.state.created);
	return *ret ? 0 : err_oom(e);
}

/* It runs, and then all of it is here; unless somebody has asked meanwhile, and was told that nothing came of it. */
static int commit(struct target *t, struct err *e)
{
	cleanup_fd int fd = record_open(t->root, t->offer.token, 0, e);
	struct migration_record r;

	if (fd < 0 || record_read(fd, &r, &t->arena, e) < 0)
		return err_ret(e);
	if (r.fate != (t->running ? MIGRATION_FETCHING : MIGRATION_PENDING))
		return called_off(e);
	r.fate = t->lazy && !t->running ? MIGRATION_FETCHING : MIGRATION_COMMITTED;
	r.ran = t->running;
	if (!r.created && created_at(t, &r.created, e) < 0)
		return err_ret(e);
	return record_write(fd, &r, e);
}

/* It runs.  Whether it still does when somebody asks says nothing. */
static int note_run(struct target *t, struct err *e)
{
	cleanup_container struct container c = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	cleanup_fd int fd = record_open(t->root, t->offer.token, 0, e);
	struct migration_record r;

	if (fd < 0 || record_read(fd, &r, &t->arena, e) < 0)
		return err_ret(e);
	r.ran = r.fate == MIGRATION_COMMITTED;
	if (r.ran && record_write(fd, &r, e) < 0)
		return err_ret(e);
	t->unsaid = container_open(t->root, t->offer.id, STORE_LOOK, &c, e) == 0 && c.state.status == OCI_CREATING;
	return 0;
}

/* ---- "what became of it?" ---- */

static int answer_question(struct target *t, const struct wire_frame *f, struct err *e)
{
	struct migration_question q = { 0 };
	struct migration_record r;
	struct wire_frame done;
	struct err ignored;

	if (migration_parse(&migration_question_type, f->data, f->len, &q, &t->arena, e) < 0)
		return err_ret(e);
	r = (struct migration_record){ .token = q.token, .id = q.id };
	if (record_find_fate(t->root, &q, &r.fate, &t->arena, e) < 0 ||
	    wire_send_document(&t->w, WIRE_FATE, &migration_record_type, &r, e) < 0)
		return err_ret(e);
	if (wire_expect(&t->w, WIRE_DONE, &done, &ignored) >= 0)
		record_settled(t->root, q.token);
	return 0;
}

/* ---- the offer ---- */

/* Named by the token, so that the record can name it before it is there. */
static int make_work(struct target *t, struct err *e)
{
	snprintf(t->work, sizeof t->work, "%s/vzrun-migrate.%s", offer_tmp(), t->offer.token);
	if (record(t, e) < 0) {
		t->work[0] = '\0'; /* nothing is ours */
		return err_ret(e);
	}
	if (mkdir(t->work, 0700) < 0) {
		err_sys(e, "%s", t->work);
		t->work[0] = '\0';
		return err_ret(e);
	}
	t->work_fd = open(t->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->work_fd < 0 ? err_sys(e, "%s", t->work) : 0;
}

/* What follows its last slash is its name.  One that is not absolute is refused later. */
static int clean_bundle(struct target *t, struct err *e)
{
	char clean[PATH_MAX];

	if (t->offer.bundle[0] != '/')
		return 0;
	if (path_clean(t->offer.bundle, clean, sizeof clean) < 0)
		return err_set(e, ERR_STATE, ENAMETOOLONG, "the bundle's path");
	t->offer.bundle = arena_strdup(&t->arena, clean);
	return t->offer.bundle ? 0 : err_oom(e);
}

/* What another one that was killed has left here must not stand in the way of this one. */
static int take_offer(struct target *t, const struct wire_frame *f, struct err *e)
{
	struct problems p = { .arena = &t->arena };
	struct migration_answer answer = { 0 };

	if (migration_parse(&migration_offer_type, f->data, f->len, &t->offer, &t->arena, e) < 0 || store_check_id(t->offer.id, e) < 0 ||
	    clean_bundle(t, e) < 0 || migrate_reconcile(t->root, e) < 0 || make_work(t, e) < 0)
		return err_ret(e);
	offer_check(&t->offer, t->root, t->work, &p, &t->arena);
	if (p.failed)
		return err_oom(e);
	answer = (struct migration_answer){ .problems = p.list.strs, .doubts = p.doubts.strs };
	if (wire_send_document(&t->w, WIRE_ANSWER, &migration_answer_type, &answer, e) < 0)
		return err_ret(e);
	return p.list.strs.n ? 0 : 1;
}

/* The document is ours to write: rsync may bring another, which was the other host's.  That of a shared bundle is the other host's too, and
 * stays: restore() hands ours over. */
static int write_document(struct target *t, struct err *e)
{
	if (t->offer.rootfs == MIGRATION_SHARED)
		return 0;
	cleanup_fd int dir = open(t->offer.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, "%s", t->offer.bundle);
	return fs_replace(dir, "config.json", t->offer.document, strlen(t->offer.document), 0600, e) < 0 ? err_wrap(e, "%s", t->offer.bundle) : 0;
}

/* The directories above it that were made for it, as far as nothing else is in them. */
static void remove_parents(const struct target *t)
{
	char path[PATH_MAX], *slash;

	snprintf(path, sizeof path, "%s", t->offer.bundle);
	while ((slash = strrchr(path, '/')) && (size_t)(slash - path) > t->found) {
		*slash = '\0';
		if (rmdir(path) < 0)
			return;
	}
}

static int make_bundle(struct target *t, struct err *e)
{
	char path[PATH_MAX], *slash;

	if (t->offer.rootfs != MIGRATION_COPY || t->made_bundle)
		return 0;
	t->found = fs_found(t->offer.bundle);
	snprintf(path, sizeof path, "%s", t->offer.bundle);
	slash = strrchr(path, '/');
	if (slash && slash != path) {
		*slash = '\0';
		if (fs_mkdir_all(path, 0755, e) < 0)
			return err_ret(e);
	}
	t->makes_bundle = true;
	if (record(t, e) < 0)
		return err_ret(e);
	if (mkdir(t->offer.bundle, 0700) < 0)
		return err_sys(e, "mkdir %s", t->offer.bundle);
	t->made_bundle = true;
	return record(t, e);
}

static void remove_work(struct target *t)
{
	const char *work = *t->work ? t->work : NULL;

	fd_close(&t->work_fd);
	record_remove(&work);
	if (!work)
		t->work[0] = '\0';
}

/* ---- post-copy ---- */

/* By the guard: whoever ran this is gone, or cannot get the rest of the memory. */
static int end_it(void *arg)
{
	const struct target *t = arg;
	cleanup_arena struct arena a = { 0 };
	struct migration_record r;
	struct err e;
	cleanup_fd int fd = record_open(t->root, t->offer.token, 0, &e);

	if (fd < 0)
		return e.num == ENOENT ? 0 : err_ret(&e);
	if (record_read(fd, &r, &a, &e) < 0)
		return err_ret(&e);
	if (r.fate != MIGRATION_FETCHING && r.fate != MIGRATION_PENDING)
		return 0;
	if (record_undo(t->root, &r, &e) < 0)
		return err_ret(&e);
	r.fate = r.fate == MIGRATION_FETCHING ? MIGRATION_LOST : MIGRATION_ABORTED;
	return record_write(fd, &r, &e);
}

/* From here on what is said goes beside the pages. */
static int begin_fetch(struct target *t, const char *images, struct err *e)
{
	const int wire[2] = { t->w.rd, t->w.wr };

	t->lazy = true;
	if (fetch_start(images, wire, end_it, t, &t->fetch, e) < 0)
		return err_ret(e);
	return relay_start(&t->w, t->fetch.stream, &t->relay, e);
}

/* It runs.  When this fails it does not any more. */
static int finish_fetch(struct target *t, struct err *e)
{
	struct criu_dirs dirs = { .images = t->work, .work = t->work, .images_fd = -1, .work_fd = -1 };
	int r = fetch_wait(&t->fetch, t->w.rd, e);

	if (r < 0 && e->num != EPIPE) {
		dirs.work_fd = openat(t->work_fd, t->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = criu_explain(&CRIU_NONE, &dirs, FETCH_LOG, true, e);
		fd_close(&dirs.work_fd);
	}
	if (r >= 0)
		r = commit(t, e);
	t->lost = r < 0;
	fetch_done(&t->fetch, r >= 0);
	if (r >= 0)
		return 0;
	/* Again, for a guard that was killed. */
	t->stuck = end_it(t) < 0;
	return err_hint(e, t->stuck ? "the container could not be ended here" : "the container was ended here");
}

/* ---- the restore ---- */

/* It stands, and nothing in it runs, until the source says so. */
static int wait_for_word(void *arg, int criu, struct err *e)
{
	struct target *t = arg;
	struct wire_frame f;

	(void)criu;
	if (t->lazy && fetch_hold(&t->fetch, e) < 0)
		return err_ret(e);
	if (wire_send(&t->w, WIRE_RESTORED, "", 0, e) < 0 || wire_expect(&t->w, WIRE_COMMIT, &f, e) < 0)
		return err_ret(e);
	if (commit(t, e) < 0)
		return err_ret(e);
	t->given = true;
	/* A signal would take back what the source must take for done. */
	foreground_hear_none(t->signals);
	return 0;
}

static enum cg_driver_kind driver_of(const char *name)
{
	if (strcmp(name, "systemd") == 0)
		return CG_DRIVER_SYSTEMD;
	return strcmp(name, "disabled") == 0 ? CG_DRIVER_DISABLED : CG_DRIVER_FS;
}

static int restore(struct target *t, const struct migration_restore *what, struct err *e)
{
	struct criu_options criu = {
		.images = arena_printf(&t->arena, "%s/%s", t->work, what->images), .tcp_established = what->tcp_established,
		.file_locks = what->file_locks, .ext_unix_sk = what->ext_unix_sk, .shell_job = what->shell_job, .lazy_pages = what->lazy, .tried = true,
		.cgroups = CRIU_CGROUPS_SOFT, .status_fd = -1, .signals = -1, .hold = wait_for_word, .hold_arg = t,
		.gone = what->lazy ? &t->w.rd : NULL, /* it may wait for memory */
	};
	struct flow_options o = {
		.root = t->root, .id = t->offer.id, .bundle = t->offer.bundle, .config = "config.json", .detach = true,
		.driver = driver_of(t->offer.driver), .signals = t->signals, .criu = &criu,
	};
	cleanup_str struct str document = { 0 };
	cleanup_flow struct flow f;

	str_add(&document, t->offer.document);
	if (t->offer.rootfs == MIGRATION_SHARED)
		o.document = &document;
	flow_init(&f, &o, FLOW_RESTORE);
	if (!criu.images || str_failed(&document))
		return err_oom(e);
	if (chdir(t->offer.bundle) < 0)
		return err_sys(e, "%s", t->offer.bundle);
	if (what->lazy && begin_fetch(t, criu.images, e) < 0)
		return err_ret(e);
	return flow_run(&f, e);
}

static int take_restore(struct target *t, const struct wire_frame *f, struct err *e)
{
	struct migration_restore what = { 0 };
	struct wire_frame done;
	struct err ignored;

	if (migration_parse(&migration_restore_type, f->data, f->len, &what, &t->arena, e) < 0)
		return err_ret(e);
	if (strchr(what.images, '/') || what.images[0] == '.')
		return err_set(e, ERR_STATE, EBADMSG, "images \"%.40s\"", what.images);
	t->images = what.images;
	if (make_bundle(t, e) < 0 || write_document(t, e) < 0 || restore(t, &what, e) < 0) {
		t->lost = t->given; /* for a moment it may have run */
		return err_ret(e);
	}
	t->running = true;
	if (note_run(t, &ignored) < 0)
		log_debug("record: %s", ignored.text); /* who asks finds the container */
	if (t->lazy) {
		wire_send(&t->w, WIRE_RUNNING, "", 0, &ignored); /* who does not hear it does not hear what follows */
		if (finish_fetch(t, e) < 0)
			return err_ret(e);
	}
	if (wire_send(&t->w, t->lazy ? WIRE_FETCHED : WIRE_RUNNING, "", 0, &ignored) >= 0 && wire_expect(&t->w, WIRE_DONE, &done, &ignored) >= 0) {
		remove_work(t);
		if (!*t->work && !t->unsaid)
			record_forget(t->root, t->offer.token); /* the source knows: nobody will ask */
		wire_send(&t->w, WIRE_DONE, "", 0, &ignored);
	}
	return 0;
}

/* ---- the conversation ---- */

static int take_files(struct target *t, const struct wire_frame *f, struct err *e)
{
	cleanup_str struct str to = { 0 };

	str_addf(&to, "%s/", t->offer.bundle);
	if (str_failed(&to))
		return err_oom(e);
	if (t->offer.rootfs != MIGRATION_COPY)
		return err_set(e, ERR_STATE, EBADMSG, "files come though the root is shared");
	return make_bundle(t, e) < 0 ? err_ret(e) : rsync_receive(&t->w, f, to.s, e);
}

/* Above zero: that was all. */
static int take_frame(struct target *t, struct err *e)
{
	struct wire_frame f;
	int r;

	if (wire_recv(&t->w, &f, e) < 0)
		return err_ret(e);
	if (f.type == WIRE_DIR)
		return files_receive(&t->w, t->work_fd, &f, e);
	if (f.type == WIRE_PIPE)
		return take_files(t, &f, e);
	if (f.type != WIRE_RESTORE)
		return wire_not_due(&t->w, &f, e);
	r = take_restore(t, &f, e);
	return r < 0 ? r : 1;
}

static int serve(struct target *t, struct err *e)
{
	struct wire_frame f;
	int r;

	if (wire_greet(&t->w, &t->arena, e) < 0 || wire_recv(&t->w, &f, e) < 0)
		return err_ret(e);
	if (f.type == WIRE_QUESTION)
		return answer_question(t, &f, e);
	if (f.type != WIRE_OFFER)
		return wire_not_due(&t->w, &f, e);
	r = take_offer(t, &f, e);
	while (r > 0) {
		r = take_frame(t, e);
		if (r > 0)
			return 0;
		r = r < 0 ? r : 1;
	}
	return r;
}

/* The restore failed behind the word to go on, and is undone.  `cleared`: so is all that it made. */
static void note_failure(struct target *t, bool cleared)
{
	struct err e;
	cleanup_fd int fd = record_open(t->root, t->offer.token, 0, &e);
	struct migration_record r;

	if (fd < 0 || record_read(fd, &r, &t->arena, &e) < 0)
		return;
	if (r.fate == MIGRATION_COMMITTED || r.fate == MIGRATION_FETCHING)
		r.fate = t->lost ? MIGRATION_LOST : MIGRATION_ABORTED;
	if (cleared)
		r.work = r.bundle = r.id = r.created = NULL;
	if (record_write(fd, &r, &e) < 0)
		log_warn_err(&e);
}

/* What cannot be removed is left to reconcile, and the record tells of it. */
static void clean_up(struct target *t)
{
	bool undo = (!t->running || t->lost) && !t->stuck;
	const char *bundle = undo && t->made_bundle ? t->offer.bundle : NULL;
	bool cleared;

	fetch_done(&t->fetch, true); /* one that ran and must not has been ended */
	if (t->recorded && !t->running)
		note_failure(t, false); /* before what takes long: the source may ask */
	remove_work(t);
	record_remove(&bundle);
	if (undo && !bundle && t->found < SIZE_MAX)
		remove_parents(t);
	cleared = t->recorded && !t->running && !bundle && !*t->work;
	if (cleared && t->lost)
		note_failure(t, true); /* it keeps for a question what became of it */
	else if (cleared)
		record_forget(t->root, t->offer.token);
	t->recorded = t->makes_bundle = t->made_bundle = false;
}

/* The wire is out of the way of the container's streams, and so is what the user reads: it gets the null device, since nobody here holds
 * its own. */
static int take_streams(struct wire *w, struct err *e)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int said;

	w->rd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	w->wr = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || w->rd < 0 || w->wr < 0 || said < 0)
		return err_sys(e, "standard streams");
	log_user(said);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return err_sys(e, "standard streams");
	return 0;
}

int migrate_receive(const char *root, struct err *e)
{
	struct target t = { .root = root, .w = WIRE_NONE, .work_fd = -1, .found = SIZE_MAX, .fetch = FETCH_NONE, .signals = -1 };
	struct wire_frame known;
	struct err ignored;
	cleanup_foreground struct foreground fg = { .signals = -1 };
	int r;

	t.w.peer = "the source";
	t.w.timeout_ms = WIRE_SILENCE_MS;
	r = take_streams(&t.w, e);
	if (r == 0)
		r = foreground_begin(&fg, false, e);
	t.signals = t.w.signals = fg.signals;
	if (r == 0)
		r = serve(&t, e);
	clean_up(&t); /* before the source hears of it: it may try again at once */
	if (r < 0 && !t.stuck) /* a source that hears nothing asks before it lets its own go on */
		wire_send_error(&t.w, e, t.lost);
	t.w.timeout_ms = DONE_MS;
	if (t.lost && wire_expect(&t.w, WIRE_DONE, &known, &ignored) >= 0)
		record_settled(root, t.offer.token); /* it will not ask */
	log_user(STDERR_FILENO); /* the error is the source's to tell */
	wire_done(&t.w);
	fd_close(&t.w.rd);
	fd_close(&t.w.wr);
	if (t.stuck)
		relay_end(&t.relay); /* the guard still has the other end of its stream */
	else
		relay_finish(&t.relay);
	arena_done(&t.arena);
	return r;
}
