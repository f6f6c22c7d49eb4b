// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/checkpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"
#include "runtime/flow/criu_compress.h"
#include "runtime/flow/criu_image.h"
#include "runtime/flow/externals.h"
#include "runtime/flow/network.h"

#define DUMP_LOG "dump.log"
#define END_MS 500 /* that a killed process takes to end */
#define PAGES_SETTING "ps-socket 6" /* CRIU_FDS */
_Static_assert(CRIU_FDS == 6, "PAGES_SETTING");

struct checkpoint {
	struct container *c;
	const struct criu_options *o;
	struct oci_spec spec;
	struct criu_dirs dirs;
	struct criu criu;
	struct criu_request req;
	struct oci_image image;
	pid_t guard; /* of what stands still, or 0 */
	bool frozen; /* by us */
	bool written; /* all of it; from then on CRIU may end the processes */
	bool given;  /* `hold` has let it go elsewhere */
};

/* ---- the page server of lazy pages ---- */

static bool serves_alone(const struct criu_options *o)
{
	return o->lazy_pages && !o->pages;
}

/* As CRIU will, so that EADDRINUSE means that somebody listens there.  A name is left to CRIU. */
static int bind_page_server(const struct criu_options *o)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(o->page_port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(o->page_port) };
	const bool is_v4 = inet_pton(AF_INET, o->page_server, &v4.sin_addr) == 1;

	if (!is_v4 && inet_pton(AF_INET6, o->page_server, &v6.sin6_addr) != 1)
		return 0;
	cleanup_fd int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	return is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof v4) : bind(fd, (struct sockaddr *)&v6, sizeof v6);
}

/* Before anything stands still: CRIU finds out when all is written. */
static int check_page_server(const struct criu_options *o, struct err *e)
{
	if (!serves_alone(o) || bind_page_server(o) == 0)
		return 0;
	return err_sys(e, "--page-server: cannot listen at %s, port %u, for --lazy-pages", o->page_server, (unsigned)o->page_port);
}

/* ---- standing still ---- */

static void wait_end(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* Where CRIU has died the freezer is as it was at that moment, between two steps of CRIU's or as we had frozen it. */
static void put_freezer_back(const struct checkpoint *k)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (!k->c->cg)
		return;
	if (k->c->status == OCI_RUNNING)
		container_thaw(k->c);
	else if (cgroup_freeze(k->c->cg, true, &e) < 0 && cgroup_exists(k->c->cg))
		log_warn("container %s was paused and may run: %s", k->c->id, err_format(&e, text, sizeof text));
}

/* CRIU lets the network go before it serves memory, and only of what is to go on anyway: not where the serving fails. */
static bool is_left_locked(const struct criu_options *o)
{
	return o->lazy_pages && !o->leave_running;
}

/* Nor does it let go of the connections, which give errors until then. */
static void end_repair(struct checkpoint *k)
{
	struct err ignored;
	pid_t *pids;
	size_t n;

	if (k->o->tcp_established && container_pids(k->c, &pids, &n, &k->c->arena, &ignored) == 0)
		network_end_repair(pids, n);
}

/* Who was killed has left the container cut off. */
static void unlock_network(const struct checkpoint *k)
{
	pid_t pid = (pid_t)k->c->state.pid;
	cleanup_fd int pidfd = network_is_own(pid) ? sys_pidfd_open(pid, 0) : -1;
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (!network_is_own(pid) && k->o->tcp_established && k->o->lock != CRIU_LOCK_SKIP)
		log_warn("connections of container %s may be cut off by CRIU's rules in the host's network, which cannot be told from those of "
			 "other checkpoints: look for 0xc114 in iptables -S and ip6tables -S, and for CRIU in nft list tables",
			 k->c->id);
	if (pidfd >= 0 && network_unlock(pid, pidfd, &e) < 0)
		log_warn("container %s may be cut off by CRIU's rules: %s", k->c->id, err_format(&e, text, sizeof text));
}

static void undo(struct checkpoint *k, bool freezer, bool network)
{
	if (network)
		end_repair(k);
	if (freezer)
		put_freezer_back(k);
	if (network)
		unlock_network(k);
}

/* Nobody has come for the memory, and nobody is left who could be told that it is enough.  Who has come gets all of it. */
static void end_waiting(const struct checkpoint *k)
{
	if (bind_page_server(k->o) == 0 || errno != EADDRINUSE)
		return;
	sys_pidfd_send_signal(k->criu.pidfd, SIGKILL, NULL, 0);
	unlinkat(k->dirs.images_fd, OCI_IMAGE_FILE, 0);
}

/* Who kills us leaves no container that stands still: CRIU puts the freezer back to what it has found, which is our doing. */
static void __attribute__((noreturn)) guard(struct checkpoint *k, int us)
{
	setsid();
	fd_close(&k->criu.sock); /* CRIU must hear that we are gone */
	for (int i = 0; k->o->pages && i < 2; i++)
		close(k->o->pages[i]);
	wait_end(us);
	if (serves_alone(k->o))
		end_waiting(k);
	wait_end(k->criu.pidfd);
	if (k->o->abandoned)
		k->o->abandoned(k->o->hold_arg);
	else
		undo(k, true, is_left_locked(k->o));
	_exit(0);
}

static int start_guard(struct checkpoint *k, struct err *e)
{
	cleanup_fd int us = sys_pidfd_open(getpid(), 0);

	if (us < 0)
		return err_sys(e, "pidfd_open");
	k->guard = fork();
	if (k->guard == 0)
		guard(k, us);
	return k->guard < 0 ? err_sys(e, "fork") : 0;
}

/* Not where CRIU has been told another freezer than ours, the one of v1: it would thaw that alone. */
static bool has_our_freezer(const char *dir)
{
	char path[PATH_MAX];

	return dir && snprintf(path, sizeof path, "%s/cgroup.freeze", dir) < (int)sizeof path && access(path, W_OK) == 0;
}

/* Just before CRIU does: it would look only every 100 ms whether all of it stands still.  Where this fails CRIU does it all the same. */
static void freeze(struct checkpoint *k)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (k->o->pre_dump || k->o->begin || k->c->status != OCI_RUNNING || !has_our_freezer(k->req.freeze_cgroup))
		return;
	k->frozen = k->guard > 0 || start_guard(k, &e) == 0;
	if (!k->frozen || cgroup_freeze(k->c->cg, true, &e) < 0)
		log_debug("freeze: %s", err_format(&e, text, sizeof text));
}

/* CRIU has thawed it again for ptrace.  If it dies nobody is to meet a connection as CRIU has left it. */
static void freeze_again(const struct checkpoint *k)
{
	struct err ignored;

	if (k->frozen && k->o->tcp_established)
		cgroup_freeze(k->c->cg, true, &ignored);
}

static void thaw(struct checkpoint *k)
{
	if (k->frozen)
		container_thaw(k->c);
	k->frozen = false;
	if (k->guard <= 0)
		return;
	kill(k->guard, SIGKILL);
	waitpid(k->guard, NULL, 0);
	k->guard = 0;
}

static void checkpoint_done(struct checkpoint *k)
{
	criu_close(&k->criu);
	thaw(k);
	criu_close_dirs(&k->dirs);
}

/* ---- before ---- */

static int may_checkpoint(const struct container *c, struct err *e)
{
	pid_t mover = container_mover(c);

	/* It would take away what the kernel keeps of changed memory. */
	if (mover)
		return err_set(e, ERR_STATE, EBUSY, "container %s is being migrated to %s by process %d", c->id, c->state.migration->host, (int)mover);
	if (c->status == OCI_RUNNING || c->status == OCI_PAUSED)
		return container_decided(c, e); /* or it would be restored beside itself */
	return err_set(e, ERR_STATE, 0, "container cannot be checkpointed in %s state", oci_status_name(c->status));
}

static int check_options(const struct criu_options *o, const struct criu_dirs *d, struct err *e)
{
	struct stat st, own;

	if (!o->parent)
		return 0;
	if (o->parent[0] == '/')
		return err_set(e, ERR_USAGE, 0, "--parent-path: %s is absolute: it is relative to --image-path, so that both can be moved "
			       "together", o->parent);
	if (fstatat(d->images_fd, o->parent, &st, 0) < 0)
		return err_sys(e, "--parent-path %s, from %s", o->parent, d->images);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE, ENOTDIR, "--parent-path %s, from %s", o->parent, d->images);
	if (fstat(d->images_fd, &own) < 0)
		return err_sys(e, "%s", d->images);
	return st.st_dev != own.st_dev || st.st_ino != own.st_ino ? 0 : err_set(e, ERR_USAGE, 0, "--parent-path %s: that is the --image-path itself",
										o->parent);
}

static int ask_extensions(struct checkpoint *k, struct err *e)
{
	struct container *c = k->c;
	struct ext_env env = container_env(c);
	struct ext_uses uses;

	env.spec = &k->spec;
	if (ext_read(&c->state.annotations, &c->state.extensions, false, &uses, &c->arena, e) < 0)
		return err_ret(e);
	return ext_run(&uses, EXT_CHECKPOINT, &env, e);
}

/* Hooks that ran when the network was made will make it again: what they did reaches out of the namespace. */
static bool network_is_made_by_hooks(const struct oci_spec *spec)
{
	return oci_namespace_new(spec, CLONE_NEWNET) && spec->hooks &&
	       (spec->hooks->prestart.n || spec->hooks->create_runtime.n);
}

static int describe(struct checkpoint *k, struct err *e)
{
	struct container *c = k->c;
	struct oci_image *im = &k->image;
	const struct oci_linux *l = k->spec.linux;
	pid_t pid = (pid_t)c->state.pid;

	*im = (struct oci_image){
		.version = OCI_IMAGE_VERSION, .id = c->id, .created = arena_strdup(&c->arena, clock_rfc3339(9).s),
		.criu = k->criu.version, .terminal = k->spec.process && k->spec.process->terminal.v, .pre_dump = k->o->pre_dump,
		.empty_network = k->o->empty_network || network_is_made_by_hooks(&k->spec),
		.no_cgroups = k->o->cgroups == CRIU_CGROUPS_IGNORE,
	};
	im->namespaces.v = arena_alloc_n(&c->arena, l ? l->namespaces.n + 1 : 1, sizeof *im->namespaces.v);
	if (!im->created || !im->namespaces.v)
		return err_oom(e);
	for (size_t i = 0; l && i < l->namespaces.n; i++)
		im->namespaces.v[im->namespaces.n++] = l->namespaces.v[i].type;
	if (externals_mounts(pid, &k->spec, &im->mounts, &c->arena, e) < 0 ||
	    externals_stdio(pid, &c->state.streams, &im->stdio, &im->stdio_keys, &c->arena, e) < 0)
		return err_ret(e);
	if (im->no_cgroups && criu_check_no_cgroups(im, e) < 0)
		return err_ret(e);
	im->extensions = c->state.extensions;
	return container_in_force(c, &im->settings, &im->resources, e);
}

/* ---- the request ---- */

static int add_external_mounts(struct checkpoint *k, struct err *e)
{
	const struct oci_image_mounts *m = &k->image.mounts;
	struct criu_pairs *to = &k->req.mounts;

	to->v = arena_alloc_n(&k->c->arena, m->n + 1, sizeof *to->v);
	if (!to->v)
		return err_oom(e);
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].external)
			to->v[to->n++] = (struct criu_pair){ m->v[i].point, m->v[i].point };
	return 0;
}

static int add_externals(struct checkpoint *k, struct err *e)
{
	struct oci_strs ns;
	const char **v;

	if (add_external_mounts(k, e) < 0 || externals_namespaces((pid_t)k->c->state.pid, &k->spec, &ns, &k->c->arena, e) < 0)
		return err_ret(e);
	v = arena_alloc_n(&k->c->arena, ns.n + k->image.stdio_keys.n + 1, sizeof *v);
	if (!v)
		return err_oom(e);
	k->req.external = (struct oci_strs){ v, 0 };
	for (size_t i = 0; i < ns.n; i++)
		v[k->req.external.n++] = ns.v[i];
	for (size_t i = 0; i < k->image.stdio_keys.n; i++)
		if (*k->image.stdio_keys.v[i])
			v[k->req.external.n++] = k->image.stdio_keys.v[i];
	return 0;
}

static int make_request(struct checkpoint *k, struct err *e)
{
	const struct criu_options *o = k->o;

	criu_fill(o, DUMP_LOG, &k->req);
	k->req.task = o->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP;
	k->req.pid = (pid_t)k->c->state.pid;
	k->req.config_file = criu_config_file(&k->spec.annotations);
	/* Its protocol has no other word for it with lazy_pages, and it would listen at every address. */
	if (o->pages) {
		k->req.config_file = criu_config_more(&k->dirs, k->req.config_file, PAGES_SETTING, &k->c->arena, e);
		if (!k->req.config_file)
			return err_ret(e);
	}
	k->req.root = k->c->state.rootfs;
	k->req.parent = o->parent;
	k->req.leave_running = o->leave_running;
	k->req.empty_network = k->image.empty_network;
	k->req.track_mem = o->pre_dump || o->parent;
	if (k->c->cg)
		k->req.freeze_cgroup = cgroup_freezer(k->c->cg);
	return add_externals(k, e);
}

/* ---- CRIU ---- */

static int ask_criu(struct checkpoint *k, struct err *e)
{
	const struct criu_options *o = k->o;
	struct criu_features has;

	if (criu_exec(&k->criu, e) < 0 || criu_check_version(&k->criu, e) < 0 || criu_check_options(o, &k->criu, e) < 0)
		return err_ret(e);
	/* CRIU tries them out, which takes as long as a small dump. */
	if (o->tried || (!o->pre_dump && !o->parent && !o->lazy_pages))
		return 0;
	if (criu_ask_features(&k->criu, &has, e) < 0)
		return err_ret(e);
	if ((o->pre_dump || o->parent) && !has.mem_track)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel does not track changes of memory (CONFIG_MEM_SOFT_DIRTY)",
			       o->pre_dump ? "--pre-dump" : "--parent-path");
	if (o->lazy_pages && !has.lazy_pages)
		return err_set(e, ERR_UNSUPPORTED, 0, "--lazy-pages: this kernel or CRIU has no userfaultfd for it");
	return 0;
}

/* Who waits for the page server to listen. */
static int tell_ready(const struct criu_options *o, struct err *e)
{
	if (o->status_fd < 0)
		return 0;
	return write(o->status_fd, "", 1) == 1 ? 0 : err_sys(e, "--status-fd %d", o->status_fd);
}

/* post-dump: all is written and all processes stand still.  What fails now, they go on. */
static int on_event(void *arg, struct criu_event *ev, struct err *e)
{
	struct checkpoint *k = arg;

	if (strcmp(ev->script, "pre-dump") == 0)
		freeze(k);
	if (strcmp(ev->script, "status-ready") == 0)
		return tell_ready(k->o, e);
	if (strcmp(ev->script, "post-dump") != 0 || k->o->pre_dump)
		return 0;
	freeze_again(k);
	if (k->c->cg && cgroup_nested(k->c->cg, &k->image.nested, &k->c->arena, e) < 0)
		return err_ret(e);
	if (criu_free_external_files(k->dirs.images_fd, e) < 0 || criu_part_external_mounts(k->dirs.images_fd, e) < 0 ||
	    criu_write_record(&k->dirs, &k->image, &k->c->arena, e) < 0)
		return err_ret(e);
	if (k->o->hold && k->o->hold(k->o->hold_arg, k->criu.pidfd, e) < 0)
		return err_ret(e);
	k->written = !k->o->leave_running;
	k->given = k->o->hold && k->written;
	return 0;
}

/* CRIU has died, or was ended, when it had written all: before it ended the processes, or behind that. */
static bool has_ended(const struct checkpoint *k, int within_ms)
{
	return k->written && k->c->pidfd >= 0 && poll(&(struct pollfd){ .fd = k->c->pidfd, .events = POLLIN }, 1, within_ms) > 0;
}

/* 0: the images are whole, and all that there is of the container. */
static int give_up(struct checkpoint *k, struct err *e)
{
	bool ended = has_ended(k, END_MS);

	if (!k->written)
		unlinkat(k->dirs.images_fd, OCI_IMAGE_FILE, 0);
	if (!ended)
		undo(k, !k->criu.pid && !k->o->begin, !k->criu.pid || is_left_locked(k->o));
	thaw(k);
	if (ended || has_ended(k, END_MS)) { /* on v1 nothing ends that is frozen */
		log_warn("CRIU failed when all was written and it had ended the container: %s", e->text);
		return 0;
	}
	unlinkat(k->dirs.images_fd, OCI_IMAGE_FILE, 0);
	return criu_explain(&k->criu, &k->dirs, DUMP_LOG, k->o->tried, e);
}

/* It comes behind post-dump, and behind the network's release. */
static int on_answered(void *arg, const struct criu_event *ev, struct err *e)
{
	struct checkpoint *k = arg;

	return k->o->serve && strcmp(ev->script, "status-ready") == 0 ? k->o->serve(k->o->hold_arg, k->criu.pidfd, e) : 0;
}

static int dump(struct checkpoint *k, struct err *e)
{
	const struct criu_listener l = { .event = on_event, .answered = on_answered, .arg = k, .signals = k->o->signals,
					 .last = serves_alone(k->o) ? "status-ready" : NULL };

	if (unlinkat(k->dirs.images_fd, OCI_IMAGE_FILE, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s/%s", k->dirs.images, OCI_IMAGE_FILE);
	if (unlinkat(k->dirs.work_fd, DUMP_LOG, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s/%s", k->dirs.work, DUMP_LOG);
	/* CRIU leaves one that is there as it is, and restore would take memory from what it leads to. */
	if (unlinkat(k->dirs.images_fd, "parent", 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s/parent", k->dirs.images);
	if (!k->o->pre_dump && criu_write_descriptors(&k->dirs, &k->image.stdio, e) < 0)
		return err_ret(e);
	if (criu_do(&k->criu, &k->req, &l, NULL, e) < 0) {
		if (k->given)
			return 0; /* all is written, and it is to end: as it stands, so that its peers do not hear of it */
		return give_up(k, e);
	}
	thaw(k);
	/* Of this CRIU tells only when it is over. */
	return k->o->pre_dump ? criu_write_record(&k->dirs, &k->image, &k->c->arena, e) : 0;
}

/* CRIU compares with what was written last, which may have been compressed since, or cut. */
static int check_base(const struct checkpoint *k, struct err *e)
{
	struct criu_dirs parent = { .images = k->o->parent, .work_fd = -1 };

	if (!k->o->parent)
		return 0;
	cleanup_fd int fd = openat(k->dirs.images_fd, k->o->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "--parent-path %s", k->o->parent);
	parent.images_fd = fd;
	return criu_check_base(&parent, e) < 0 ? err_wrap(e, "--parent-path") : 0;
}

/* The images are whole with and without, and the container may be gone. */
static void compress(const struct checkpoint *k)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (criu_compress(&k->dirs, &e) < 0)
		log_warn("--compress: images stay as they are: %s", err_format(&e, text, sizeof text));
}

static int run(struct checkpoint *k, struct err *e)
{
	const struct criu_options *o = k->o;
	struct criu_child child = { .cgroup_fd = -1 };
	struct container *c = k->c;

	if (may_checkpoint(c, e) < 0 || store_load_spec(&c->dir, &k->spec, &c->arena, e) < 0 || ask_extensions(k, e) < 0)
		return err_ret(e);
	if (criu_open_dirs(k->o, true, &k->dirs, e) < 0 || check_options(k->o, &k->dirs, e) < 0 || check_page_server(o, e) < 0)
		return err_ret(e);
	child.images_fd = k->dirs.images_fd;
	child.work_fd = k->dirs.work_fd;
	child.fds = o->pages ? &o->pages[1] : NULL;
	child.n_fds = o->pages ? 1 : 0;
	if (criu_clone(&k->criu, &child, e) < 0 || ask_criu(k, e) < 0)
		return err_ret(e);
	if ((o->begin || serves_alone(o)) && start_guard(k, e) < 0)
		return err_ret(e);
	if (o->begin && o->begin(o->hold_arg, e) < 0)
		return err_ret(e);
	if (describe(k, e) < 0 || make_request(k, e) < 0 || check_base(k, e) < 0 || dump(k, e) < 0)
		return err_ret(e);
	if (o->compress)
		compress(k);
	return 0;
}

int container_checkpoint(struct container *c, const struct criu_options *o, struct err *e)
{
	__attribute__((cleanup(checkpoint_done))) struct checkpoint k = {
		.c = c, .o = o, .dirs = CRIU_DIRS_NONE, .criu = CRIU_NONE,
	};
	int r = run(&k, e);

	if (r < 0 || o->leave_running || o->pre_dump)
		return r;
	return container_destroy(c, e);
}
