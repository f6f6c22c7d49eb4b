// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/criu_rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/sock.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/flow/foreground.h"
#include "runtime/flow/protobuf.h"
#include "runtime/linux/ns.h"
#if HAVE_PROTOBUF_C
#include "runtime/flow/criu.pb-c.h"
#endif

#define SOCKET_NUMBER 3 /* CRIU's end, for `criu swrk 3` */
#define FDS_MAX 16
#define MESSAGE_MAX ((size_t)1 << 20)
#define GO 'g'

const char *criu_version_text(int version, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%d.%d", version / 10000, version / 100 % 100);

	if (version % 100 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ".%d", version % 100);
	return buf;
}

/* ---- its process ---- */

bool criu_find(char *buf, size_t size)
{
	static const char also[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	const char *const lists[] = { getenv("PATH"), also };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const char *dir = lists[i]; dir && *dir; dir += strspn(dir, ":")) {
			size_t len = strcspn(dir, ":");

			if (*dir == '/' && snprintf(buf, size, "%.*s/criu", (int)len, dir) < (int)size && access(buf, X_OK) == 0)
				return true;
			dir += len;
		}
	return false;
}

/* Out of the way first: the numbers that they get may be those that others have. */
static int place_fds(int sock, const struct criu_child *child, struct err *e)
{
	const int high = SOCKET_NUMBER + FDS_MAX;
	int fds[FDS_MAX] = { sock, child->images_fd, child->work_fd }, n = 3;

	_Static_assert(CRIU_IMAGES == SOCKET_NUMBER + 1 && CRIU_WORK == SOCKET_NUMBER + 2 && CRIU_FDS == SOCKET_NUMBER + 3, "in a row");
	for (size_t i = 0; i < child->n_fds && n < FDS_MAX; i++)
		fds[n++] = child->fds[i];
	for (int i = 0; i < n; i++)
		fds[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, high);
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0 && dup2(fds[i], SOCKET_NUMBER + i) < 0)
			return err_sys(e, "dup2");
	return 0;
}

/* CRIU looks for its directories among the descriptors of whoever made the socket pair.  It is itself: descriptors of ours would
 * lead it into our mount namespace, where it can mount nothing. */
static int exchange_sockets(int sock, struct err *e)
{
	int pair[2], r;

	if (sock_pair(pair, e) < 0)
		return err_ret(e);
	r = sock_send(sock, "", 1, pair[1], e);
	close(pair[1]);
	return r < 0 ? r : pair[0];
}

/* Somebody's ^C is for us, who tell CRIU; one that dies between its steps leaves a container that is stopped half-way. */
static void block_ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static int become_criu(int sock, struct criu_child *child, struct err *e)
{
	char path[4096], go = 0;
	struct err ignored;

	if (sock_recv(sock, &go, 1, NULL, &ignored) != 1 || go != GO)
		_exit(0); /* nobody wants us any more */
	if (!criu_find(path, sizeof path))
		return err_set(e, ERR_UNSUPPORTED, ENOENT, "there is no program \"criu\": install CRIU");
	if (child->prepare && child->prepare(child, child->arg, e) < 0)
		return err_ret(e);
	sock = exchange_sockets(sock, e);
	if (sock < 0 || place_fds(sock, child, e) < 0)
		return err_ret(e);
	block_ending_signals();
	signal(SIGPIPE, SIG_DFL);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0); /* for iptables, nft and ip */
	execv(path, (char *[]){ (char *)"criu", (char *)"swrk", (char *)"3", NULL });
	return err_sys(e, "exec %s", path);
}

int criu_clone(struct criu *ret, struct criu_child *child, struct err *e)
{
	cleanup_criu struct criu c = CRIU_NONE;
	struct clone_options o = { .cgroup_fd = child->cgroup_fd, .want_pidfd = true };
	int pair[2], tell[2];

	if (protobuf_open(e) < 0 || sock_pair(pair, e) < 0)
		return err_ret(e);
	c.sock = pair[0];
	cleanup_fd int theirs = pair[1];
	if (pipe2(tell, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	c.failed = tell[0];
	cleanup_fd int word = tell[1];
	c.pid = clone_process(&o, &c.pidfd, e);
	if (c.pid < 0) {
		c.pid = 0;
		return err_wrap(e, "clone");
	}
	if (c.pid == 0) {
		struct err met;

		fd_close(&c.sock);
		fd_close(&c.failed);
		become_criu(theirs, child, &met);
		if (write(word, &met, sizeof met) < 0)
			_exit(2);
		_exit(1);
	}
	*ret = c;
	c = CRIU_NONE;
	return 0;
}

static int died(struct criu *c, struct err *e)
{
	char how[64];
	int status;

	fd_close(&c->sock);
	if (waitpid(c->pid, &status, 0) != c->pid)
		return err_set(e, ERR_KERNEL, 0, "CRIU is gone");
	c->pid = 0;
	return err_set(e, ERR_KERNEL, 0, "CRIU ended: %s", proc_status_text(status, how, sizeof how));
}

static int send_bytes(struct criu *c, const void *data, size_t len, struct err *e)
{
	int r = sock_send(c->sock, data, len, -1, e);

	return r < 0 && e->num == EPIPE ? died(c, e) : r;
}

int criu_exec(struct criu *c, struct err *e)
{
	const char go = GO;
	struct err met;
	int sock = -1;
	char word;

	if (send_bytes(c, &go, 1, e) < 0)
		return err_ret(e);
	/* The pipe closes by CLOEXEC when CRIU is executed. */
	if (read(c->failed, &met, sizeof met) == (ssize_t)sizeof met) {
		*e = met;
		err_sanitize(e);
		return err_ret(e);
	}
	fd_close(&c->failed);
	if (sock_recv(c->sock, &word, 1, &sock, e) < 0)
		return err_ret(e);
	if (sock < 0)
		return died(c, e);
	close(c->sock);
	c->sock = sock;
	return 0;
}

static void reap(struct criu *c)
{
	while (c->pid > 0 && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

void criu_close(struct criu *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL); /* our unreaped child: the number cannot be another's */
	reap(c);
	fd_close(&c->sock);
	fd_close(&c->failed);
	fd_close(&c->pidfd);
}

#if HAVE_PROTOBUF_C

/* ---- messages ---- */

static int send_request(struct criu *c, const Criu__Request *req, struct err *e)
{
	size_t len = criu__request__get_packed_size(req);
	cleanup_free char *buf = malloc(len ? len : 1);

	if (!buf)
		return err_oom(e);
	criu__request__pack(req, (uint8_t *)buf);
	return send_bytes(c, buf, len, e);
}

static void free_response(Criu__Response **r)
{
	if (*r)
		criu__response__free_unpacked(*r, NULL);
}

#define cleanup_response __attribute__((cleanup(free_response)))

static int receive(struct criu *c, Criu__Response **ret, int *ret_fd, struct err *e)
{
	cleanup_free char *buf = malloc(MESSAGE_MAX);
	ssize_t n;

	if (!buf)
		return err_oom(e);
	n = sock_recv(c->sock, buf, MESSAGE_MAX, ret_fd, e);
	if (n == 0 || (n < 0 && e->num == ECONNRESET))
		return died(c, e);
	if (n < 0)
		return (int)n;
	*ret = criu__response__unpack(NULL, (size_t)n, (const uint8_t *)buf);
	if (!*ret && ret_fd)
		fd_close(ret_fd);
	return *ret ? 0 : err_set(e, ERR_KERNEL, EBADMSG, "CRIU's answer");
}

static int ask(struct criu *c, const Criu__Request *req, Criu__Response **ret, struct err *e)
{
	return send_request(c, req, e) < 0 ? err_ret(e) : receive(c, ret, NULL, e);
}

/* ---- questions ---- */

static int ask_version(struct criu *c, struct err *e)
{
	Criu__Request req = CRIU__REQUEST__INIT;
	cleanup_response Criu__Response *r = NULL;

	req.type = CRIU__WHAT__VERSION;
	req.has_keep_open = req.keep_open = true;
	if (ask(c, &req, &r, e) < 0)
		return err_ret(e);
	if (!r->success || !r->version)
		return err_set(e, ERR_UNSUPPORTED, 0, "this CRIU does not tell its version: at least 3.15 is needed");
	c->version = r->version->major_number * 10000 + r->version->minor_number * 100 +
		     (r->version->has_sublevel ? r->version->sublevel : 0);
	return 0;
}

/* It answers in a child that looks at the kernel: where that fails nothing else will work. */
static int cannot_run(const struct criu *c, struct err *e)
{
	char have[32];
	struct utsname u;

	if (uname(&u) < 0)
		u.release[0] = '\0';
	return err_set(e, ERR_UNSUPPORTED, 0,
		       "CRIU %s cannot run on this kernel (Linux %s): a newer CRIU is needed, 4.1 or later for Linux 6.12 and "
		       "later; `criu check` says what it misses", criu_version_text(c->version, have, sizeof have), u.release);
}

int criu_ask_features(struct criu *c, struct criu_features *ret, struct err *e)
{
	Criu__Request req = CRIU__REQUEST__INIT;
	Criu__Features wanted = CRIU__FEATURES__INIT;
	cleanup_response Criu__Response *r = NULL;

	wanted.has_mem_track = wanted.mem_track = wanted.has_lazy_pages = wanted.lazy_pages = true;
	req.type = CRIU__WHAT__FEATURE_CHECK;
	req.has_keep_open = req.keep_open = true;
	req.features = &wanted;
	if (ask(c, &req, &r, e) < 0)
		return err_ret(e);
	if (!r->success)
		return cannot_run(c, e);
	*ret = (struct criu_features){ .mem_track = r->features && r->features->mem_track,
				       .lazy_pages = r->features && r->features->lazy_pages };
	return 0;
}

int criu_check_version(struct criu *c, struct err *e)
{
	char have[32], want[32];

	if (ask_version(c, e) < 0)
		return err_ret(e);
	if (c->version < CRIU_VERSION_MIN)
		return err_set(e, ERR_UNSUPPORTED, 0, "CRIU %s is too old: at least %s is needed",
			       criu_version_text(c->version, have, sizeof have),
			       criu_version_text(CRIU_VERSION_MIN, want, sizeof want));
	return 0;
}

int criu_here(struct criu_features *ret, struct err *e)
{
	cleanup_criu struct criu c = CRIU_NONE;
	struct criu_child child = { .cgroup_fd = -1, .images_fd = -1, .work_fd = -1 };

	if (criu_clone(&c, &child, e) < 0 || criu_exec(&c, e) < 0 || criu_check_version(&c, e) < 0 || criu_ask_features(&c, ret, e) < 0)
		return 0;
	return c.version;
}

/* ---- the request ---- */

/* protobuf-c wants arrays of pointers. */
struct message {
	Criu__Request req;
	Criu__Options opts;
	Criu__PageServer ps;
	struct arena arena;
};

static void message_done(struct message *m)
{
	arena_done(&m->arena);
}

static int fill_mounts(struct message *m, const struct criu_pairs *from, struct err *e)
{
	m->opts.ext_mnt = arena_alloc_n(&m->arena, from->n + 1, sizeof *m->opts.ext_mnt);
	for (size_t i = 0; i < from->n; i++) {
		Criu__MountMap *x = m->opts.ext_mnt ? arena_new(&m->arena, Criu__MountMap) : NULL;

		if (!x)
			return err_oom(e);
		criu__mount_map__init(x);
		x->key = (char *)from->v[i].key;
		x->val = (char *)from->v[i].value;
		m->opts.ext_mnt[m->opts.n_ext_mnt++] = x;
	}
	return 0;
}

static int fill_cgroups(struct message *m, const struct criu_pairs *from, struct err *e)
{
	m->opts.cg_root = arena_alloc_n(&m->arena, from->n + 1, sizeof *m->opts.cg_root);
	for (size_t i = 0; i < from->n; i++) {
		Criu__CgroupRoot *x = m->opts.cg_root ? arena_new(&m->arena, Criu__CgroupRoot) : NULL;

		if (!x)
			return err_oom(e);
		criu__cgroup_root__init(x);
		x->ctrl = (char *)from->v[i].key;
		x->path = (char *)from->v[i].value;
		m->opts.cg_root[m->opts.n_cg_root++] = x;
	}
	return 0;
}

static int fill_joined(struct message *m, const struct criu_request *r, struct err *e)
{
	m->opts.join_ns = arena_alloc_n(&m->arena, r->join.n + 1, sizeof *m->opts.join_ns);
	for (size_t i = 0; i < r->join.n; i++) {
		Criu__JoinNamespace *x = m->opts.join_ns ? arena_new(&m->arena, Criu__JoinNamespace) : NULL;

		if (!x)
			return err_oom(e);
		criu__join_namespace__init(x);
		x->ns = (char *)r->join.v[i].key;
		x->ns_file = (char *)r->join.v[i].value;
		m->opts.join_ns[m->opts.n_join_ns++] = x;
	}
	return 0;
}

static int fill_inherited(struct message *m, const struct criu_request *r, struct err *e)
{
	m->opts.inherit_fd = arena_alloc_n(&m->arena, r->n_inherit + 1, sizeof *m->opts.inherit_fd);
	for (size_t i = 0; i < r->n_inherit; i++) {
		Criu__Inherited *x = m->opts.inherit_fd ? arena_new(&m->arena, Criu__Inherited) : NULL;

		if (!x)
			return err_oom(e);
		criu__inherited__init(x);
		x->key = (char *)r->inherit[i].key;
		x->fd = r->inherit[i].fd;
		m->opts.inherit_fd[m->opts.n_inherit_fd++] = x;
	}
	return 0;
}

static int fill_lists(struct message *m, const struct criu_request *r, struct err *e)
{
	m->opts.n_external = r->external.n;
	m->opts.external = (char **)r->external.v;
	if (fill_mounts(m, &r->mounts, e) < 0 || fill_cgroups(m, &r->cgroup_roots, e) < 0 || fill_joined(m, r, e) < 0)
		return err_ret(e);
	return fill_inherited(m, r, e);
}

/* A value that is not its type's zero is said; CRIU's defaults are these zeros. */
#define SAY(m, field, value) \
	do { \
		(m)->opts.field = (value); \
		(m)->opts.has_##field = (m)->opts.field != 0; \
	} while (0)

/* Seconds that CRIU may need to stop all processes; its ten are little for a big container on a busy host. */
#define FREEZE_TIMEOUT 180
/* Files that are deleted and still open go into the image up to this size; CRIU's 1 MiB is an error nobody expects. */
#define GHOST_LIMIT UINT32_MAX

static void fill_options(struct message *m, const struct criu_request *r)
{
	Criu__Options *o = &m->opts;

	o->images_dir_fd = CRIU_IMAGES;
	SAY(m, work_dir_fd, CRIU_WORK);
	SAY(m, pid, r->task == CRIU_RESTORE ? 0 : r->pid);
	SAY(m, log_level, 4);
	SAY(m, notify_scripts, true);
	SAY(m, manage_cgroups, true);
	o->has_manage_cgroups_mode = true;
	o->manage_cgroups_mode = r->cgroups;
	SAY(m, orphan_pts_master, r->terminal);
	SAY(m, ext_masters, true);
	SAY(m, ghost_limit, GHOST_LIMIT);
	SAY(m, timeout, FREEZE_TIMEOUT);
	SAY(m, leave_running, r->leave_running);
	SAY(m, ext_unix_sk, r->ext_unix_sk);
	SAY(m, tcp_established, r->tcp_established);
	SAY(m, tcp_skip_in_flight, r->tcp_skip_in_flight);
	SAY(m, tcp_close, r->tcp_close);
	SAY(m, shell_job, r->shell_job);
	SAY(m, file_locks, r->file_locks);
	SAY(m, link_remap, r->link_remap);
	SAY(m, auto_dedup, r->auto_dedup);
	SAY(m, lazy_pages, r->lazy_pages);
	SAY(m, track_mem, r->track_mem);
	SAY(m, empty_ns, r->empty_network ? CLONE_NEWNET : 0);
	SAY(m, network_lock, r->lock);
	SAY(m, evasive_devices, r->task == CRIU_RESTORE);
	SAY(m, rst_sibling, r->task == CRIU_RESTORE);
	o->log_file = (char *)r->log_file;
	o->config_file = (char *)r->config_file;
	o->root = (char *)r->root;
	o->parent_img = (char *)r->parent;
	o->freeze_cgroup = (char *)r->freeze_cgroup;
	o->lsm_profile = (char *)r->lsm_profile;
	o->lsm_mount_context = (char *)r->lsm_mount_context;
	if (r->page_server) {
		m->ps.address = (char *)r->page_server;
		m->ps.port = r->port;
		m->ps.has_port = true;
		o->ps = &m->ps;
	}
}

static Criu__What what_of(enum criu_task task)
{
	switch (task) {
	case CRIU_DUMP:
		return CRIU__WHAT__DUMP;
	case CRIU_PRE_DUMP:
		return CRIU__WHAT__PRE_DUMP;
	case CRIU_RESTORE:
		break;
	}
	return CRIU__WHAT__RESTORE;
}

static int send_task(struct criu *c, const struct criu_request *r, struct err *e)
{
	__attribute__((cleanup(message_done))) struct message m = {
		.req = CRIU__REQUEST__INIT, .opts = CRIU__OPTIONS__INIT, .ps = CRIU__PAGE_SERVER__INIT,
	};

	if (fill_lists(&m, r, e) < 0)
		return err_ret(e);
	fill_options(&m, r);
	m.req.type = what_of(r->task);
	m.req.opts = &m.opts;
	return send_request(c, &m.req, e);
}

/* ---- while it works ---- */

#define AFTER_DEATH_MS 3000

/* A signal that asks us to end is kept until CRIU next asks whether it may go on: then it undoes what it did.  One that will not ask any more
 * is killed.  Process 1 of what it makes is our child and not CRIU's, which would wait for a dead one for ever; but one that ends as soon as
 * it runs is well. */
static int wait_for_criu(const struct criu *c, const struct criu_listener *l, int *interrupted, struct err *e)
{
	struct pollfd fds[] = { { .fd = c->sock, .events = POLLIN }, { .fd = *interrupted ? -1 : l->signals, .events = POLLIN },
				{ .fd = l->process ? *l->process : -1, .events = POLLIN }, { .fd = l->gone ? *l->gone : -1, .events = POLLIN } };
	int timeout = -1;

	for (;;) {
		int n = poll(fds, ARRAY_SIZE(fds), timeout);

		if (n < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (n == 0)
			return err_set(e, ERR_STATE, 0, "CRIU waits for process 1, which has ended");
		if (n < 0)
			continue;
		if (fds[0].revents)
			return 0;
		if (fds[3].revents)
			return err_set(e, ERR_STATE, EPIPE, "nobody is there any more for whom this is done");
		if (fds[2].revents) {
			fds[2].fd = -1;
			timeout = AFTER_DEATH_MS;
		}
		if (fds[1].revents) {
			*interrupted = foreground_ending_signal(l->signals);
			if (*interrupted)
				fds[1].fd = -1;
			if (*interrupted && c->serves)
				kill(c->pid, SIGKILL);
		}
	}
}

static int answer(struct criu *c, bool well, struct err *e)
{
	Criu__Request req = CRIU__REQUEST__INIT;

	req.type = CRIU__WHAT__NOTIFY;
	req.has_notify_success = true;
	req.notify_success = well;
	return send_request(c, &req, e);
}

static int refuse(int interrupted, struct err *refused)
{
	return err_set(refused, ERR_STATE, EINTR, "interrupted by %s", sigabbrev_np(interrupted));
}

/* *refused: why the listener, or a signal, made CRIU give up; that is the error, not what CRIU makes of it. */
static int notified(struct criu *c, const Criu__Notification *n, int fd, const struct criu_listener *l, int interrupted,
		    struct err *refused, struct err *e)
{
	struct criu_event ev = { .script = n->script ? n->script : "", .pid = n->has_pid ? n->pid : 0, .fd = fd };
	bool well = refused->kind == ERR_NONE;

	log_debug("CRIU: %s", ev.script);
	if (well && interrupted)
		well = refuse(interrupted, refused) >= 0;
	if (well)
		well = l->event(l->arg, &ev, refused) >= 0;
	fd_close(&ev.fd);
	if (answer(c, well, e) < 0)
		return err_ret(e);
	c->serves = well && str_eq(ev.script, l->last);
	/* What fails now CRIU is not told; it is the error all the same. */
	if (l->answered)
		l->answered(l->arg, &ev, refused);
	return 0;
}

static int failed(const Criu__Response *r, struct err *e)
{
	int num = r->has_cr_errno ? r->cr_errno : 0;

	if (r->cr_errmsg && *r->cr_errmsg)
		return err_set(e, ERR_KERNEL, 0, "CRIU: %.*s", (int)strcspn(r->cr_errmsg, "\n"), r->cr_errmsg);
	return err_set(e, ERR_KERNEL, num, "CRIU failed");
}

int criu_do(struct criu *c, const struct criu_request *r, const struct criu_listener *l, pid_t *ret_pid, struct err *e)
{
	struct err refused = { 0 };
	int interrupted = 0;

	if (send_task(c, r, e) < 0)
		return err_ret(e);
	for (;;) {
		cleanup_response Criu__Response *resp = NULL;
		int fd = -1, result;

		if (wait_for_criu(c, l, &interrupted, e) < 0)
			return err_ret(e);
		result = receive(c, &resp, &fd, e);
		if (result < 0 && c->serves && interrupted)
			refuse(interrupted, &refused);
		if (result >= 0 && resp->type == CRIU__WHAT__NOTIFY && resp->notify) {
			result = notified(c, resp->notify, fd, l, interrupted, &refused, e);
			if (result >= 0)
				continue;
		} else if (result >= 0) {
			fd_close(&fd);
			if (!resp->success)
				result = failed(resp, e);
		}
		if (refused.kind != ERR_NONE) {
			c->refused = true;
			*e = refused;
			return err_ret(e);
		}
		if (result < 0)
			return result;
		if (ret_pid)
			*ret_pid = resp->restore ? resp->restore->pid : 0;
		/* After a pre-dump it waits for the next one, and would complain of our leaving. */
		if (r->task == CRIU_PRE_DUMP)
			kill(c->pid, SIGKILL);
		if (interrupted)
			raise(interrupted); /* too late for this: whoever waits for something next gets it */
		fd_close(&c->sock);
		reap(c);
		return 0;
	}
}

#else /* nothing below is reached: criu_clone() fails */

int criu_check_version(struct criu *c, struct err *e)
{
	(void)c;
	return protobuf_open(e);
}

int criu_ask_features(struct criu *c, struct criu_features *ret, struct err *e)
{
	(void)c;
	(void)ret;
	return protobuf_open(e);
}

int criu_do(struct criu *c, const struct criu_request *r, const struct criu_listener *l, pid_t *ret_pid, struct err *e)
{
	(void)c;
	(void)r;
	(void)l;
	(void)ret_pid;
	return protobuf_open(e);
}

#endif
