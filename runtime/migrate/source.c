// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"

#include "oci/emit.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/path.h"
#include "runtime/base/proc.h"
#include "runtime/flow/checkpoint.h"
#include "runtime/cgroup/sample.h"
#include "runtime/migrate/files.h"
#include "runtime/flow/network.h"
#include "runtime/migrate/offer.h"
#include "runtime/migrate/relay.h"

#define ANSWER_MS 120000  /* for each word of the other side; a restore takes as long as there is memory */
#define REPORT_MS 1000    /* while memory is fetched */
#define PAGE 4096U
#define FEW_PAGES 64      /* a round that brings no more is the last */
#define GROWTH_PERCENT 10 /* and so is one that brings so much more than the one before */

#define POST_COPY_WARNING "post-copy: from the moment at which it runs there until all its memory is there, a lost connection ends the container " \
	"there; then it can go on here, as it was at that moment"

enum outcome { HERE, THERE, UNDECIDED };

struct source {
	const struct migrate_options *o;
	struct container c;
	struct arena arena;
	struct wire w;
	pid_t connection;
	struct str document;     /* as it will be there */
	struct migration_offer offer;
	char work[PATH_MAX / 2]; /* images lie there until they are sent */
	int work_fd;
	struct criu_features criu;
	unsigned round;          /* the last one that was sent */
	enum outcome outcome;
	int64_t frozen_at;
	/* Post-copy. */
	int pages[2];            /* ours, and CRIU's, of the stream over which it serves memory */
	bool ready, served;      /* the network may be held; all but that memory is there */
	bool switched, lost;     /* it ran there; and does not any more, nor will */
	int64_t downtime;
	struct relay relay;
};

static void report(const struct source *s, const struct migrate_progress *p)
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

static int connect_to(struct source *s, struct err *e)
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
	s->w.timeout_ms = ANSWER_MS;
	s->w.rate = s->o->bandwidth;
	return proc_spawn(words, their_in, their_out, true, &s->connection, e);
}

static int greet(struct source *s, struct err *e)
{
	const struct migration_hello ours = { .protocol = MIGRATION_PROTOCOL, .vzrun = PACKAGE_VERSION, .root = s->o->root };
	struct migration_hello theirs = { 0 };

	if (wire_send_document(&s->w, WIRE_HELLO, &migration_hello_type, &ours, e) < 0 ||
	    wire_expect_document(&s->w, WIRE_HELLO, &migration_hello_type, &theirs, &s->arena, e) < 0)
		return err_hint(e, "is vzrun on %s, in the PATH there?", s->o->host);
	if (theirs.protocol < 1)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s speaks no protocol that we know", s->o->host);
	if (s->o->post_copy && theirs.protocol < MIGRATION_POST_COPY)
		return err_set(e, ERR_UNSUPPORTED, 0, "vzrun %s on %s knows no --post-copy: install this version there", theirs.vzrun ? theirs.vzrun : "",
			       s->o->host);
	return 0;
}

static void hang_up(struct source *s)
{
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
	wire_done(&s->w);
}

/* ---- what would move ---- */

static int make_token(struct source *s, struct err *e)
{
	uint8_t random[16];
	char text[33];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return err_sys(e, "getrandom");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	s->offer.token = arena_strdup(&s->arena, text);
	return s->offer.token ? 0 : err_oom(e);
}

/* A path of this bundle becomes the same one of that bundle. */
static const char *moved(struct source *s, const char *path)
{
	size_t len = strlen(s->c.state.bundle);

	if (!path || strncmp(path, s->c.state.bundle, len) != 0 || (path[len] != '/' && path[len]))
		return path;
	return arena_printf(&s->arena, "%s%s", s->offer.bundle, path + len);
}

/* Its document as it was given: what extensions found on this host they look for anew on the other. */
static int load_document(struct source *s, struct oci_spec *spec, struct err *e)
{
	bool given = faccessat(s->c.dir.fd, STORE_GIVEN, F_OK, 0) == 0;
	const char *name = given ? STORE_GIVEN : STORE_CONFIG, *inside;

	if (oci_spec_load(s->c.dir.fd, name, name, spec, &s->arena, e) < 0)
		return err_ret(e);
	inside = s->c.state.rootfs + strlen(s->c.state.bundle);
	if (s->o->rootfs == MIGRATION_COPY) {
		/* rsync brings the bundle; a root that lies elsewhere would need a second one. */
		if (!str_starts(s->c.state.rootfs, s->c.state.bundle) || *inside != '/')
			return err_set(e, ERR_UNSUPPORTED, 0, "the root %s is not in the bundle %s: only --rootfs shared moves such a container",
				       s->c.state.rootfs, s->c.state.bundle);
		spec->root->path = inside + 1;
	}
	for (size_t i = 0; i < spec->mounts.n; i++)
		spec->mounts.v[i].source = moved(s, spec->mounts.v[i].source);
	decode_emit(&oci_spec_type, spec, &(struct emit){ .out = &s->document });
	return str_failed(&s->document) ? err_oom(e) : 0;
}

static int make_offer(struct source *s, struct err *e)
{
	struct migration_offer *o = &s->offer;
	struct oci_spec spec = { 0 };
	struct cg_sample sample;

	o->id = s->o->new_id ? s->o->new_id : s->o->id;
	o->bundle = s->o->remote_bundle ? s->o->remote_bundle : s->c.state.bundle;
	o->rootfs = s->o->rootfs;
	o->compress = s->o->compress;
	o->lazy = s->o->post_copy;
	if (make_token(s, e) < 0 || load_document(s, &spec, e) < 0)
		return err_ret(e);
	o->document = str_cstr(&s->document);
	o->criu = criu_here(&s->criu, e);
	if (!o->criu)
		return err_ret(e);
	if (s->c.cg && cg_sample(s->c.cg, &sample, &s->arena, e) == 0)
		o->memory = sample.memory.usage.v;
	return offer_fill(&s->c, &spec, o, &s->arena, e);
}

/* ---- before anything is done ---- */

static void check_extensions(struct source *s, const struct oci_spec *spec, struct problems *p)
{
	struct ext_env env = container_env(&s->c);
	char text[ERR_TEXT_MAX + 128];
	struct oci_spec copy = *spec;
	struct ext_uses uses;
	struct err e;

	env.spec = &copy;
	if (ext_read(&s->c.state.annotations, &s->c.state.extensions, false, &uses, &s->arena, &e) < 0 ||
	    ext_run(&uses, EXT_CHECKPOINT, &env, &e) < 0)
		problem(p, "%s", err_format(&e, text, sizeof text));
}

static void check_here(struct source *s, struct problems *p)
{
	char text[ERR_TEXT_MAX + 128];
	struct oci_spec spec;
	struct err e;

	if (store_load_spec(&s->c.dir, &spec, &s->arena, &e) < 0) {
		problem(p, "%s", err_format(&e, text, sizeof text));
		return;
	}
	if (spec.process && spec.process->terminal.v)
		problem(p, "/process/terminal: nobody would hold the container's terminal there");
	if (!s->c.cg)
		problem(p, "the container has no cgroup, and so cannot be frozen");
	if (s->o->rootfs == MIGRATION_COPY && !proc_in_path("rsync"))
		problem(p, "there is no rsync here, which brings the files (--rootfs shared does without)");
	if (s->o->compress && !proc_in_path("zstd"))
		problem(p, "there is no zstd here, for --compress");
	if (s->o->post_copy)
		offer_check_lazy(&s->criu, p);
	/* CRIU lets go of it when it begins to serve memory: what is frozen here must not answer for what runs there. */
	if (s->o->post_copy && network_is_own((pid_t)s->c.state.pid) && !network_can_hold())
		problem(p, "there is no nft here, which holds the container's network during --post-copy");
	if (s->o->post_copy && network_is_own((pid_t)s->c.state.pid) && !oci_namespace_new(&spec, CLONE_NEWNET))
		problem(p, "/linux/namespaces: others have the container's network namespace too, and --post-copy would hold their network");
	/* After a lost connection it goes on here with the memory of before: over files that are newer. */
	if (s->o->post_copy && s->o->rootfs == MIGRATION_SHARED)
		problem(p, "--rootfs shared cannot go with --post-copy: what it wrote there would stay when it has to go on here from before");
	check_extensions(s, &spec, p);
}

/* A file in the bundle that the other side must see, if it is the same directory. */
static int make_marker(struct source *s, char *path, size_t size, struct err *e)
{
	if (s->o->rootfs != MIGRATION_SHARED)
		return 0;
	s->offer.marker = arena_printf(&s->arena, ".vzrun-%s", s->offer.token);
	if (!s->offer.marker || snprintf(path, size, "%s/%s", s->c.state.bundle, s->offer.marker) >= (int)size)
		return err_oom(e);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "%s", path) : 0;
}

static int all_problems(const struct problems *p, const char *host, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (p->failed)
		return err_oom(e);
	for (size_t i = 0; i < p->list.n; i++)
		str_addf(&text, "\n  %s", p->list.v[i]);
	return p->list.n ? err_set(e, ERR_STATE, 0, "it cannot move to %s:%s", host, str_cstr(&text)) : 0;
}

static int check(struct source *s, struct err *e)
{
	struct migration_answer answer = { 0 };
	struct problems p = { .arena = &s->arena };
	char marker[PATH_MAX] = "";
	int r;

	check_here(s, &p);
	if (make_marker(s, marker, sizeof marker, e) < 0)
		return err_ret(e);
	r = wire_send_document(&s->w, WIRE_OFFER, &migration_offer_type, &s->offer, e);
	if (r >= 0)
		r = wire_expect_document(&s->w, WIRE_ANSWER, &migration_answer_type, &answer, &s->arena, e);
	if (*marker)
		unlink(marker);
	if (r < 0)
		return r;
	for (size_t i = 0; i < answer.problems.n; i++)
		problem(&p, "%s: %s", s->o->host, answer.problems.v[i]);
	return all_problems(&p, s->o->host, e);
}

/* ---- the record: so that whoever is killed leaves a container of which it is known what to do with it ---- */

static int record(struct source *s, bool undecided, struct err *e)
{
	struct oci_state_migration *m = arena_new(&s->c.arena, struct oci_state_migration);

	if (!m)
		return err_oom(e);
	*m = (struct oci_state_migration){
		.undecided = undecided, .switched = s->switched, .work = s->work, .token = s->offer.token, .host = s->o->host, .id = s->offer.id,
		.root = s->o->remote_root, .command = s->o->command, .remove = s->o->rootfs == MIGRATION_COPY && !s->o->keep,
	};
	s->c.state.migration = m;
	return store_save(&s->c.dir, &s->c.state, e);
}

static void unrecord(struct source *s)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (!s->c.state.migration || s->outcome != HERE)
		return;
	s->c.state.migration = NULL;
	if (store_save(&s->c.dir, &s->c.state, &e) < 0)
		log_warn("%s", err_format(&e, text, sizeof text));
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
	return m->work ? fs_remove_path(m->work, e) : 0;
}

/* ---- rounds ---- */

static int make_work(struct source *s, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(s->work, sizeof s->work, "%s/vzrun-migrate.XXXXXX", tmp && *tmp == '/' ? tmp : "/var/tmp");
	if (!mkdtemp(s->work)) {
		err_sys(e, "%s", s->work);
		*s->work = '\0';
		return err_ret(e);
	}
	s->work_fd = open(s->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->work_fd < 0 ? err_sys(e, "%s", s->work) : record(s, false, e);
}

static int send_files(struct source *s, struct err *e)
{
	cleanup_str struct str from = { 0 };
	struct migrate_progress p = { .phase = "files", .round = s->round };

	if (s->o->rootfs != MIGRATION_COPY)
		return 0;
	str_addf(&from, "%s/", s->c.state.bundle);
	if (str_failed(&from))
		return err_oom(e);
	report(s, &p);
	return rsync_send(&s->w, from.s, e);
}

static struct criu_options dump_options(const struct source *s, const char *images)
{
	return (struct criu_options){
		.images = images, .tcp_established = true, .tcp_skip_in_flight = true, .file_locks = true, .link_remap = true,
		.cgroups = CRIU_CGROUPS_SOFT, .status_fd = -1, .signals = s->o->signals, .tried = true,
	};
}

static uint64_t pages_in(int work_fd, const char *name)
{
	int fd = openat(work_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t bytes = 0;
	struct stat st;

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir))
		if (str_starts(entry->d_name, "pages-") && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	return bytes / PAGE;
}

/* What was sent is kept on the other side alone: a later dump needs only the map of it. */
static void drop_pages(int work_fd, const char *name)
{
	int fd = openat(work_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		cleanup_fd int file = str_starts(entry->d_name, "pages-") ? openat(fd, entry->d_name, O_WRONLY | O_CLOEXEC) : -1;
		struct stat st;

		if (file >= 0 && fstat(file, &st) == 0)
			fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size);
	}
}

/* One round; *ret_pages: what it brought. */
static int pre_dump(struct source *s, uint64_t *ret_pages, struct err *e)
{
	char images[PATH_MAX], parent[32], name[16];
	struct criu_options o;
	int64_t began = clock_ms();
	uint64_t sent = s->w.sent;
	int64_t ms;

	snprintf(name, sizeof name, "%u", s->round + 1);
	snprintf(images, sizeof images, "%s/%s", s->work, name);
	snprintf(parent, sizeof parent, "../%u", s->round);
	o = dump_options(s, images);
	o.pre_dump = true;
	o.parent = s->round ? parent : NULL;
	if (container_checkpoint(&s->c, &o, e) < 0 || files_send(&s->w, s->work_fd, name, s->o->compress, e) < 0)
		return err_ret(e);
	*ret_pages = pages_in(s->work_fd, name);
	drop_pages(s->work_fd, name);
	s->round++;
	ms = clock_ms() - began + 1;
	report(s, &(struct migrate_progress){
			  .phase = "memory", .round = s->round, .bytes = s->w.sent - sent, .rate = (s->w.sent - sent) * 1000 / (uint64_t)ms,
			  .dirty = s->round > 1 ? *ret_pages * PAGE * 1000 / (uint64_t)ms : 0, .downtime_ms = ms });
	return 0;
}

/* Rounds end when they bring little, when they grow, or when there were enough of them; and when what is left would be sent in
 * the time that it may take. */
static int send_rounds(struct source *s, struct err *e)
{
	uint64_t before = 0, pages = 0;

	if (!s->o->pre_copy || !s->criu.mem_track)
		return 0;
	while (s->round < s->o->max_rounds) {
		int64_t began = clock_ms(), ms;

		if (pre_dump(s, &pages, e) < 0)
			return err_wrap(e, "round %u", s->round + 1);
		ms = clock_ms() - began;
		if (pages <= FEW_PAGES || (before && pages > before + before * GROWTH_PERCENT / 100) ||
		    (s->round > 1 && s->o->max_downtime_ms && ms <= s->o->max_downtime_ms))
			break;
		before = pages;
		if (send_files(s, e) < 0)
			return err_ret(e);
	}
	return 0;
}

/* ---- the move itself ---- */

/* From the word to go on there is no way back without knowing what became of it. */
static int commit(struct source *s, struct err *e)
{
	struct wire_frame f;

	if (wire_send(&s->w, WIRE_COMMIT, "", 0, e) < 0)
		return err_ret(e); /* so short a frame is sent as a whole or not at all */
	s->outcome = UNDECIDED;
	if (wire_expect(&s->w, WIRE_RUNNING, &f, e) < 0) {
		if (e->num == EREMOTEIO)
			s->outcome = HERE; /* it says that nothing is left of it */
		return err_ret(e);
	}
	s->outcome = THERE;
	return 0;
}

/* Before CRIU lets go of it. */
static void hold_network(struct source *s)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (network_hold((pid_t)s->c.state.pid, s->c.pidfd, NETWORK_UNDECIDED, &e) < 0)
		log_warn("the network of %s is not held: %s", s->o->id, err_format(&e, text, sizeof text));
}

static int ask_restore(struct source *s, struct err *e)
{
	const struct migration_restore restore = { .images = "final", .tcp_established = true, .file_locks = true, .lazy = s->o->post_copy };
	struct wire_frame f;

	report(s, &(struct migrate_progress){ .phase = "restore", .downtime_ms = clock_ms() - s->frozen_at });
	return wire_send_document(&s->w, WIRE_RESTORE, &migration_restore_type, &restore, e) < 0 ? err_ret(e) :
												    wire_expect(&s->w, WIRE_RESTORED, &f, e);
}

/* All processes stand still, and so does their network. */
static int hand_over(void *arg, struct err *e)
{
	struct source *s = arg;

	if (files_send(&s->w, s->work_fd, "final", s->o->compress, e) < 0 || send_files(s, e) < 0 || ask_restore(s, e) < 0)
		return err_ret(e);
	if (commit(s, e) < 0 && s->outcome == UNDECIDED)
		hold_network(s);
	return s->outcome == THERE ? 0 : err_ret(e);
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

/* The same, but for memory that CRIU will serve.  Then it lets the network go, and if it died it would let go of the processes: it
 * has thawed the cgroup. */
static int prepare_switch(void *arg, struct err *e)
{
	struct source *s = arg;
	struct err why = { 0 };
	pid_t holder = begin_hold(s, e);
	bool sent;

	if (holder < 0)
		return (int)holder;
	s->ready = true; /* also where only some of it is done, it is to be undone */
	sent = files_send(&s->w, s->work_fd, "final", s->o->compress, e) >= 0 && send_files(s, e) >= 0 && cgroup_freeze(s->c.cg, true, e) >= 0;
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

	report(s, &(struct migrate_progress){ .phase = "fetch", .bytes = bytes, .rate = (bytes - before) * 1000 / (uint64_t)ms });
}

/* Until all memory is there.  A lost connection ends the container there. */
static int wait_fetched(struct source *s, struct err *e)
{
	struct pollfd in = { .fd = s->w.rd, .events = POLLIN };
	int64_t began = clock_ms();
	uint64_t before = relay_bytes(&s->relay);
	struct wire_frame f;

	while (poll(&in, 1, REPORT_MS) <= 0)
		report_fetch(s, began, before);
	if (wire_expect(&s->w, WIRE_FETCHED, &f, e) < 0) {
		s->lost = e->num == EREMOTEIO;
		s->outcome = s->lost ? HERE : UNDECIDED;
		return err_ret(e);
	}
	report_fetch(s, began, before);
	s->outcome = THERE;
	return 0;
}

static int switch_over(struct source *s, struct err *e)
{
	if (relay_start(&s->w, s->pages[0], &s->relay, e) < 0 || ask_restore(s, e) < 0 || commit(s, e) < 0)
		return err_ret(e);
	s->downtime = clock_ms() - s->frozen_at;
	s->switched = true;
	s->outcome = UNDECIDED;
	if (record(s, true, e) < 0)
		log_warn("%s", e->text); /* it says undecided, as it did before */
	return wait_fetched(s, e);
}

/* CRIU serves.  Whatever comes of it, it leaves the processes to the freezer: were it told to kill them it would also do so when it lost
 * the other side. */
static int serve(void *arg, struct err *e)
{
	struct source *s = arg;
	int r = s->served && e->kind == ERR_NONE ? switch_over(s, e) : 0; /* a signal may have ended it meanwhile */

	shutdown(s->pages[0], SHUT_RDWR);
	return r;
}

static int last_dump(struct source *s, struct err *e)
{
	char images[PATH_MAX], parent[32];
	struct criu_options o;

	snprintf(images, sizeof images, "%s/final", s->work);
	snprintf(parent, sizeof parent, "../%u", s->round);
	o = dump_options(s, images);
	o.parent = s->round ? parent : NULL;
	o.hold = s->o->post_copy ? prepare_switch : hand_over;
	o.hold_arg = s;
	if (s->o->post_copy) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->pages) < 0)
			return err_sys(e, "socketpair");
		o.lazy_pages = o.leave_running = true;
		o.pages = &s->pages[1];
		o.serve = serve;
	}
	return container_checkpoint(&s->c, &o, e);
}

static struct err *was_ended(const char *host, struct err *e)
{
	err_set(e, ERR_STATE, 0, "%s ended it, because its memory did not come", host);
	return e;
}

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

/* What was copied is the other side's now. */
static int remove_bundle(const char *bundle, struct err *e)
{
	return fs_remove_path(bundle, e) < 0 ? err_wrap(e, "it runs there; the bundle here") : 0;
}

static int it_was_lost(struct err *e)
{
	char why[ERR_TEXT_MAX + 128];

	err_format(e, why, sizeof why);
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
	cgroup_freeze(s->c.cg, false, &ignored);
	if (!s->lost)
		return err_ret(e);
	/* It keeps for a question what became of it. */
	if (wire_send(&s->w, WIRE_DONE, "", 0, &ignored) >= 0)
		wire_recv(&s->w, &f, &ignored);
	return it_was_lost(e);
}

static int move(struct source *s, struct err *e)
{
	struct err ignored;
	struct wire_frame f;
	int r;

	report(s, &(struct migrate_progress){ .phase = "freeze", .round = s->round });
	if (record(s, true, e) < 0) /* from here on nobody but us knows whether it may go on */
		return err_ret(e);
	s->frozen_at = clock_ms();
	r = cgroup_freeze(s->c.cg, true, e) < 0 ? err_ret(e) : last_dump(s, e);
	if (r < 0 && s->outcome == UNDECIDED)
		return undecided(s, e);
	if (r < 0 && s->outcome == HERE)
		return go_on(s, e);
	report(s, &(struct migrate_progress){ .phase = "done", .round = s->round, .bytes = s->w.sent + relay_bytes(&s->relay),
					      .downtime_ms = s->switched ? s->downtime : clock_ms() - s->frozen_at });
	/* It runs there, whatever still fails here. */
	if ((r < 0 || s->o->post_copy) && container_destroy(&s->c, e) < 0)
		return err_wrap(e, "it runs on %s; what is left of it here", s->o->host);
	if (wire_send(&s->w, WIRE_DONE, "", 0, &ignored) >= 0)
		wire_expect(&s->w, WIRE_DONE, &f, &ignored);
	return s->o->rootfs == MIGRATION_COPY && !s->o->keep ? remove_bundle(s->c.state.bundle, e) : 0;
}

static int begin(struct source *s, struct err *e)
{
	if (store_check_id(s->o->id, e) < 0 || container_open(s->o->root, s->o->id, STORE_WAIT, &s->c, e) < 0)
		return err_ret(e);
	if (take_over(s, e) < 0)
		return err_ret(e);
	if (s->c.status != OCI_RUNNING)
		return err_set(e, ERR_STATE, 0, "container cannot be migrated in %s state", oci_status_name(s->c.status));
	if (make_offer(s, e) < 0 || connect_to(s, e) < 0 || greet(s, e) < 0)
		return err_ret(e);
	report(s, &(struct migrate_progress){ .phase = "check" });
	return check(s, e);
}

static void source_done(struct source *s)
{
	struct err ignored;

	hang_up(s);
	unrecord(s);
	fd_close(&s->work_fd);
	if (*s->work)
		fs_remove_path(s->work, &ignored);
	fd_close(&s->pages[0]);
	fd_close(&s->pages[1]);
	str_done(&s->document);
	container_done(&s->c);
	arena_done(&s->arena);
}

#define SOURCE_NONE(options) { .o = (options), .c = { .dir = STORE_DIR_NONE, .pidfd = -1 }, .w = WIRE_NONE, .work_fd = -1, .pages = { -1, -1 } }

int migrate(const struct migrate_options *o, struct err *e)
{
	__attribute__((cleanup(source_done))) struct source s = SOURCE_NONE(o);

	if (begin(&s, e) < 0)
		return err_ret(e);
	if (o->dry_run)
		return 0;
	if (o->post_copy)
		log_warn(POST_COPY_WARNING);
	if (make_work(&s, e) < 0 || send_files(&s, e) < 0 || send_rounds(&s, e) < 0 || send_files(&s, e) < 0)
		return err_ret(e);
	return move(&s, e);
}

/* ---- what became of it? ---- */

static int settle(struct source *s, int64_t fate, struct err *e)
{
	struct container *c = &s->c;
	bool remove = c->state.migration->remove;
	struct err ignored;

	if (fate == MIGRATION_COMMITTED) {
		if (container_destroy(c, e) < 0)
			return err_ret(e);
		return remove ? remove_bundle(c->state.bundle, e) : 0;
	}
	if (c->state.migration->work && fs_remove_path(c->state.migration->work, &ignored) < 0)
		log_warn("%s", ignored.text);
	s->outcome = HERE;
	if (c->pidfd < 0)
		return err_set(e, ERR_STATE, 0, "it does not run there, and does not live here any more");
	if (network_release((pid_t)c->state.pid, c->pidfd, NETWORK_UNDECIDED, &ignored) < 0)
		log_debug("network: %s", ignored.text); /* it was not held */
	/* The record is cleared behind it. */
	if (cgroup_freeze(c->cg, false, e) < 0)
		return err_ret(e);
	s->lost = fate == MIGRATION_LOST || (c->state.migration->switched && fate != MIGRATION_PENDING);
	return 0;
}

int migrate_resolve(const struct migrate_options *given, struct err *e)
{
	struct migrate_options o = *given;
	__attribute__((cleanup(source_done))) struct source s = SOURCE_NONE(&o);
	struct migration_record answer = { 0 };
	struct migration_question question;
	struct err ignored;
	int r;

	if (store_check_id(o.id, e) < 0 || container_open(o.root, o.id, STORE_WAIT, &s.c, e) < 0)
		return err_ret(e);
	if (!s.c.state.migration || !s.c.state.migration->undecided)
		return err_set(e, ERR_STATE, 0, "container %s has no migration that is undecided", o.id);
	s.outcome = UNDECIDED;
	o.host = s.c.state.migration->host;
	o.remote_root = s.c.state.migration->root;
	if (!o.command.n)
		o.command = s.c.state.migration->command;
	question = (struct migration_question){ .token = s.c.state.migration->token, .id = s.c.state.migration->id };
	if (connect_to(&s, e) < 0 || greet(&s, e) < 0 ||
	    wire_send_document(&s.w, WIRE_QUESTION, &migration_question_type, &question, e) < 0 ||
	    wire_expect_document(&s.w, WIRE_FATE, &migration_record_type, &answer, &s.arena, e) < 0)
		return err_ret(e);
	r = settle(&s, answer.fate, e);
	if (r == 0)
		wire_send(&s.w, WIRE_DONE, "", 0, &ignored); /* its record is not needed any more */
	if (r == 0 && s.lost)
		return it_was_lost(was_ended(o.host, e));
	return r < 0 ? r : answer.fate == MIGRATION_COMMITTED;
}
