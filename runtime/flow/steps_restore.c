// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of restore: between the cgroup and the record it is CRIU that makes the container. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"
#include "runtime/flow/container.h"
#include "runtime/flow/externals.h"
#include "runtime/flow/network.h"
#include "runtime/flow/pressure.h"
#include "runtime/flow/restore.h"
#include "runtime/flow/steps.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/tty.h"

#define RESTORE_LOG "restore.log"

void flow_restore_done(struct flow *f)
{
	if (!f->restore)
		return;
	criu_close(&f->restore->criu);
	criu_close_dirs(&f->restore->dirs);
	fd_close(&f->restore->network);
}

/* ---- the image ---- */

/* Settings of the image are newer than the document's: `set` changed them while the container lived.  Other annotations are the
 * engine's, which may give the container a new name and new labels. */
static int use_settings(struct flow *f, const struct oci_map *settings, struct err *e)
{
	struct oci_map *to = &f->spec.annotations, all = { arena_alloc_n(&f->arena, to->n + settings->n + 1, sizeof *all.v), 0 };

	if (!all.v)
		return err_oom(e);
	for (size_t i = 0; i < to->n; i++)
		if (!str_starts(to->v[i].key, EXT_PREFIX))
			all.v[all.n++] = to->v[i];
	for (size_t i = 0; i < settings->n; i++)
		if (str_starts(settings->v[i].key, EXT_PREFIX))
			all.v[all.n++] = settings->v[i];
	*to = all;
	return 0;
}

/* Also for later exec and checkpoint. */
static int use_lsm_profile(struct flow *f, struct err *e)
{
	const char *text = f->o->criu->lsm_profile, *colon = text ? strchr(text, ':') : NULL;
	struct oci_process *p = f->spec.process;

	if (!text)
		return 0;
	if (!colon || !(str_starts(text, "apparmor:") || str_starts(text, "selinux:")))
		return err_set(e, ERR_USAGE, 0, "--lsm-profile: \"%s\" is neither apparmor:PROFILE nor selinux:LABEL", text);
	if (p && text[0] == 'a')
		p->apparmor_profile = colon + 1;
	else if (p)
		p->selinux_label = colon + 1;
	return 0;
}

/* CRIU makes the namespaces of the images; what the document says else is what exec and the next checkpoint go by. */
static int check_namespaces(const struct flow *f, const struct oci_image *im, struct err *e)
{
	const struct oci_ints *types = &im->namespaces;
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;

	for (size_t i = 0; i < ns->n; i++)
		if (ns->v[i].type != CLONE_NEWTIME && !criu_image_has_namespace(im, ns->v[i].type))
			return err_set(e, ERR_CONFIG, 0, "/linux/namespaces/%zu: the container of the images had no %s namespace", i,
				       ns_type_name(ns->v[i].type));
	for (size_t i = 0; i < types->n; i++)
		if (types->v[i] != CLONE_NEWTIME && !oci_namespace(&f->spec, types->v[i]))
			return err_set(e, ERR_CONFIG, 0, "/linux/namespaces: the container of the images had a %s namespace, the document "
				       "has none", ns_type_name(types->v[i]));
	return 0;
}

int step_image(struct flow *f, struct err *e)
{
	struct restore *r = arena_new(&f->arena, struct restore);
	int ret;

	if (!r)
		return err_oom(e);
	*r = (struct restore){ .criu = CRIU_NONE, .dirs = CRIU_DIRS_NONE, .network = -1 };
	f->restore = r;
	if (criu_open_dirs(f->o->criu, false, &r->dirs, e) < 0 || criu_read_record(&r->dirs, &r->image, &f->arena, e) < 0)
		return err_ret(e);
	ret = check_namespaces(f, &r->image, e) < 0 || externals_check_joined(&f->spec, e) < 0 ? err_ret(e) : 0;
	if (ret < 0)
		return err_wrap(e, "%s", f->o->config);
	if (restore_ignores_cgroups(f) && criu_check_no_cgroups(&r->image, e) < 0)
		return err_ret(e);
	if (use_lsm_profile(f, e) < 0 || use_settings(f, &r->image.settings, e) < 0 ||
	    (r->image.resources && container_use_limits(&f->spec, r->image.resources, &f->arena, e) < 0))
		return err_ret(e);
	return flow_write_document(f, e);
}

/* ---- CRIU's process ---- */

/* Namespaces that are handed over by descriptor. */
static void collect_fds(struct flow *f)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;
	struct restore *r = f->restore;

	for (size_t i = 0; i < ns->n; i++) {
		if (f->ns_fds[i] < 0 || (ns->v[i].type != CLONE_NEWNET && ns->v[i].type != CLONE_NEWPID))
			continue;
		r->inherit[r->n_inherit].key = ns->v[i].type == CLONE_NEWNET ? CRIU_NETNS_KEY : CRIU_PIDNS_KEY;
		r->inherit[r->n_inherit].fd = CRIU_FDS + (int)r->n_inherit;
		r->fds[r->n_inherit++] = f->ns_fds[i];
	}
}

/* The name that CRIU has for a standard stream which was a pipe, a socket or a file of the host. */
const char *flow_restored_stream(const struct flow *f, int fd)
{
	const struct oci_image *im = &f->restore->image;
	const char *what = (size_t)fd < im->stdio.n ? im->stdio.v[fd] : "";
	const char *key = (size_t)fd < im->stdio_keys.n ? im->stdio_keys.v[fd] : "";

	if (*key)
		return key;
	return str_starts(what, "pipe:") || str_starts(what, "socket:") ? what : NULL;
}

/* Before CRIU's process comes to be, which has them as well. */
static void keep_null(struct flow *f)
{
	for (int fd = 0; fd < RESTORE_STREAMS; fd++)
		if (flow_restored_stream(f, fd))
			flow_replace_own_null(fd);
}

int step_criu_clone(struct flow *f, struct err *e)
{
	struct restore *r = f->restore;
	struct criu_child child = { .cgroup_fd = f->cg ? cgroup_clone_fd(f->cg) : -1, .prepare = restore_place, .arg = f };
	int ret;

	collect_fds(f);
	keep_null(f);
	child.images_fd = r->dirs.images_fd;
	child.work_fd = r->dirs.work_fd;
	child.fds = r->fds;
	child.n_fds = r->n_inherit;
	f->cloned_into_cgroup = child.cgroup_fd >= 0;
	ret = criu_clone(&r->criu, &child, e);
	if (ret < 0 && f->cloned_into_cgroup && e->kind == ERR_KERNEL) {
		child.cgroup_fd = -1;
		f->cloned_into_cgroup = false;
		ret = criu_clone(&r->criu, &child, e);
	}
	/* Recorded, and what systemd starts the unit with. */
	f->pid = ret < 0 ? 0 : r->criu.pid;
	return ret;
}

void undo_criu_clone(struct flow *f)
{
	criu_close(&f->restore->criu);
	f->pid = 0;
}

/* ---- the restore itself ---- */

static int add_cgroup_roots(struct flow *f, struct criu_request *req, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char path[64], *rest;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)f->restore->criu.pid);
	if (fs_read(AT_FDCWD, path, 65536, &text, e) < 0)
		return err_ret(e);
	req->cgroup_roots.v = arena_alloc_n(&f->arena, CG_HIERS_MAX + 1, sizeof *req->cgroup_roots.v);
	rest = arena_strdup(&f->arena, str_cstr(&text));
	if (!req->cgroup_roots.v || !rest)
		return err_oom(e);
	/* "4:cpu,cpuacct:/path", "0::/path" */
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *controllers = strchr(line, ':'), *dir = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!dir || req->cgroup_roots.n == CG_HIERS_MAX)
			continue;
		*dir++ = '\0';
		req->cgroup_roots.v[req->cgroup_roots.n++] = (struct criu_pair){ controllers + 1, dir };
	}
	return 0;
}

static int add_mounts(struct flow *f, struct criu_request *req, struct err *e)
{
	struct restore *r = f->restore;

	req->mounts.v = arena_alloc_n(&f->arena, r->n_mounts + 1, sizeof *req->mounts.v);
	if (!req->mounts.v)
		return err_oom(e);
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct restore_mount *m = &r->mounts[i];
		const char *path = m->view ? m->view : arena_printf(&f->arena, RESTORE_PLACE, f->o->root, i);

		if (!path)
			return err_oom(e);
		req->mounts.v[req->mounts.n++] = (struct criu_pair){ m->point, path };
	}
	return 0;
}

/* The other namespaces that are joined, by path. */
static int add_joined(struct flow *f, struct criu_request *req, struct err *e)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;

	req->join.v = arena_alloc_n(&f->arena, ns->n + 1, sizeof *req->join.v);
	if (!req->join.v)
		return err_oom(e);
	for (size_t i = 0; i < ns->n; i++) {
		int64_t type = ns->v[i].type;

		if (!ns->v[i].path || type == CLONE_NEWNET || type == CLONE_NEWPID)
			continue;
		req->join.v[req->join.n++] = (struct criu_pair){ ns_type_name(type), ns->v[i].path };
	}
	return 0;
}

/* Without the first letter, which is a slash in the name of any other file, CRIU takes the descriptor as it is; by the whole name it
 * would open it anew, and want the size, the mode and the position of the old one. */
static const char *inherited_name(const char *key)
{
	return str_starts(key, "file[") ? key + 1 : key;
}

/* They become ours, which CRIU's process has as 0 to 2. */
static void add_streams(struct flow *f, struct criu_request *req)
{
	struct restore *r = f->restore;

	for (int fd = 0; fd < RESTORE_STREAMS; fd++) {
		const char *key = flow_restored_stream(f, fd);

		if (key)
			r->inherit[r->n_inherit++] = (struct criu_inherited){ inherited_name(key), fd };
	}
	req->inherit = r->inherit;
	req->n_inherit = r->n_inherit;
}

/* As create gives them: the payload's user can open them again, and so can CRIU as root of a user namespace. */
static int give_streams(const struct flow *f, struct err *e)
{
	const struct oci_idmaps *maps = &flow_linux(f)->uid_mappings;
	int64_t uid = f->process ? f->process->user.uid : 0;

	if (flow_has_userns(f))
		uid = idmap_to_host(maps, (uint32_t)uid);
	return uid < 0 ? 0 : flow_give_stdio((uid_t)uid, e);
}

static int make_request(struct flow *f, struct criu_request *req, struct err *e)
{
	const struct criu_options *o = f->o->criu;

	criu_fill(o, RESTORE_LOG, req);
	req->task = CRIU_RESTORE;
	req->root = f->state.rootfs;
	req->config_file = criu_config_file(&f->spec.annotations);
	req->lsm_profile = o->lsm_profile;
	if (!o->lsm_profile && f->process && f->process->selinux_label)
		req->lsm_profile = arena_printf(&f->arena, "selinux:%s", f->process->selinux_label);
	req->lsm_mount_context = o->lsm_mount_context;
	if (restore_ignores_cgroups(f))
		req->cgroups = CRIU_CGROUPS_IGNORE;
	req->empty_network = o->empty_network || f->restore->image.empty_network;
	/* A terminal from outside becomes CRIU's standard input, and not one that is made in the container. */
	req->terminal = f->restore->image.terminal || !o->shell_job;
	if (add_mounts(f, req, e) < 0 || add_joined(f, req, e) < 0 || add_cgroup_roots(f, req, e) < 0)
		return err_ret(e);
	add_streams(f, req);
	return give_streams(f, e);
}

static int take_terminal(struct flow *f, struct criu_event *ev, struct err *e)
{
	if (ev->fd < 0)
		return err_set(e, ERR_KERNEL, 0, "no terminal came from CRIU");
	return flow_take_tty(f, fd_take(&ev->fd), e);
}

/* Hooks make the network, and then others reach addresses that have no connections yet.  CRIU's own lock comes behind the hooks. */
static void hold_network(struct flow *f)
{
	char text[ERR_TEXT_MAX + 128];
	struct restore *r = f->restore;
	struct err e;

	if (!f->o->criu->tcp_established || !r->image.empty_network || !oci_namespace_new(&f->spec, CLONE_NEWNET))
		return;
	r->held = network_hold(f->pid, f->pidfd, NETWORK_RESTORE, &e) >= 0;
	if (!r->held)
		log_warn("connections may be reset while hooks make the network: %s", err_format(&e, text, sizeof text));
}

static int release_network(struct flow *f, struct err *e)
{
	if (!f->restore->held)
		return 0;
	f->restore->held = false;
	return network_release(f->pid, f->pidfd, NETWORK_RESTORE, e) < 0 ? err_wrap(e, "network of the container") : 0;
}

/* The namespaces are there, and nothing in them: as between `ext-ns` and `hooks-runtime` of create. */
static int on_namespaces(struct flow *f, pid_t pid, struct err *e)
{
	static const char *const rows[] = { "rdt", "netdev", "ext-ns", "hooks-runtime" };

	f->pid = pid;
	fd_close(&f->pidfd);
	f->pidfd = sys_pidfd_open(pid, 0);
	if (f->pidfd < 0)
		return err_sys(e, "pidfd_open %d", (int)pid);
	if (step_save_pid(f, e) < 0)
		return err_ret(e);
	if (oci_namespace_new(&f->spec, CLONE_NEWNET))
		f->restore->network = network_open(pid);
	hold_network(f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (flow_row(f, rows[i], e) < 0)
			return err_ret(e);
	return 0;
}

/* Process 1 has entered its cgroup, and no other process is there yet: its parents can hand down controllers now, and have to before
 * files are opened, since CRIU writes into cgroups when all is done. */
static int on_entered(struct flow *f, struct err *e)
{
	if (!f->cg || restore_ignores_cgroups(f))
		return 0;
	return cgroup_nest(f->cg, &f->restore->image.nested, f->pid, e);
}

/* A time namespace in which the clocks go on came without being asked for: exec is to enter it as well. */
static int note_time_namespace(struct flow *f, struct err *e)
{
	struct oci_linux *l = f->spec.linux;
	struct oci_namespace *v;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/time", (int)f->pid);
	if (oci_namespace(&f->spec, CLONE_NEWTIME) || access(path, F_OK) < 0 || ns_is_own(path, CLONE_NEWTIME) || !l)
		return 0;
	v = arena_alloc_n(&f->arena, l->namespaces.n + 1, sizeof *v);
	if (!v)
		return err_oom(e);
	if (l->namespaces.n)
		memcpy(v, l->namespaces.v, l->namespaces.n * sizeof *v);
	v[l->namespaces.n] = (struct oci_namespace){ .type = CLONE_NEWTIME };
	l->namespaces.v = v;
	flow_close_namespaces(f); /* by the list that they were opened by */
	l->namespaces.n++;
	return flow_keep_document(f, e);
}

/* Whatever the images and CRIU's own configuration have said: what the document keeps apart from the host is, and what it has it share
 * with others it shares. */
static int check_restored_namespaces(const struct flow *f, struct err *e)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;
	char path[64];

	for (size_t i = 0; i < ns->n; i++) {
		const char *name = ns_type_name(ns->v[i].type), *joined = ns->v[i].path;

		snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)f->pid, name);
		if (joined && !ns_is_same(path, joined))
			return err_set(e, ERR_STATE, 0, "%s: /linux/namespaces/%zu/path: CRIU has restored process 1 into another %s namespace than %s: "
				       "the container of the images had not joined one", f->o->config, i, name, joined);
		if (!joined && ns->v[i].type != CLONE_NEWTIME && ns_is_own(path, ns->v[i].type))
			return err_set(e, ERR_STATE, 0, "%s: /linux/namespaces/%zu: CRIU has restored process 1 into the host's %s namespace",
				       f->o->config, i, name);
	}
	return 0;
}

/* All is there, and nothing runs yet. */
static int on_restored(struct flow *f, struct err *e)
{
	const struct criu_options *o = f->o->criu;

	if (check_restored_namespaces(f, e) < 0)
		return err_ret(e);
	if (f->cg)
		pressure_rearm(f->cg);
	if (note_time_namespace(f, e) < 0)
		return err_ret(e);
	return o->hold ? o->hold(o->hold_arg, f->restore->criu.pidfd, e) : 0;
}

/* A container that was confined is not one with CRIU's own rights.  All processes have their credentials, and none has run: what this
 * says is nothing to CRIU any more, so that process 1 must be ended before it goes on. */
static int check_label(const struct flow *f, struct err *e)
{
	const char *want = f->process ? f->process->selinux_label : NULL;
	cleanup_str struct str text = { 0 };
	char path[64];

	if (!want)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/attr/current", (int)f->pid);
	if (fs_read(AT_FDCWD, path, 4096, &text, e) < 0)
		return err_ret(e);
	if (strcmp(str_cstr(&text), want) == 0) /* a NUL may stand behind it */
		return 0;
	return err_set(e, ERR_STATE, EACCES, "CRIU restored it with the label %s, not with /process/selinuxLabel %s: does the policy let CRIU's "
		       "domain change to it (process dyntransition, setcurrent)?", str_cstr(&text), want);
}

static int on_resume(struct flow *f, struct err *e)
{
	if (check_label(f, e) >= 0)
		return 0;
	if (f->pidfd >= 0)
		sys_pidfd_send_signal(f->pidfd, SIGKILL, NULL, 0);
	return err_ret(e);
}

static int on_event(void *arg, struct criu_event *ev, struct err *e)
{
	struct flow *f = arg;

	if (strcmp(ev->script, "setup-namespaces") == 0)
		return on_namespaces(f, ev->pid, e);
	if (strcmp(ev->script, "post-setup-namespaces") == 0)
		return on_entered(f, e);
	if (strcmp(ev->script, "network-unlock") == 0)
		return release_network(f, e);
	if (strcmp(ev->script, "orphan-pts-master") == 0)
		return take_terminal(f, ev, e);
	if (strcmp(ev->script, "post-restore") == 0)
		return on_restored(f, e);
	return strcmp(ev->script, "pre-resume") == 0 ? on_resume(f, e) : 0;
}

static void warn_lost(const struct flow *f, const struct criu *c)
{
	char have[32];

	if (c->version < CRIU_KEEPS_NNP && f->process && f->process->no_new_privileges.v)
		log_warn("/process/noNewPrivileges: CRIU %s does not restore it, 3.19 and later do: until then set-user-id programs give rights "
			 "to the restored processes", criu_version_text(c->version, have, sizeof have));
}

static int ask_criu(struct flow *f, struct err *e)
{
	struct criu *c = &f->restore->criu;
	struct criu_features has;

	if (criu_exec(c, e) < 0 || criu_check_version(c, e) < 0 || criu_check_record(&f->restore->image, c->version, e) < 0 ||
	    criu_check_options(f->o->criu, c, e) < 0)
		return err_ret(e);
	warn_lost(f, c);
	/* CRIU tries them out, which takes as long as a small restore. */
	if (f->o->criu->tried || !f->o->criu->lazy_pages)
		return 0;
	if (criu_ask_features(c, &has, e) < 0)
		return err_ret(e);
	if (!has.lazy_pages)
		return err_set(e, ERR_UNSUPPORTED, 0, "--lazy-pages: this kernel or CRIU has no userfaultfd for it");
	return 0;
}

static int restore(struct flow *f, struct err *e)
{
	struct restore *r = f->restore;
	const struct criu_listener l = { .event = on_event, .arg = f, .signals = f->o->signals, .gone = f->o->criu->gone,
					 .process = &f->pidfd };
	struct criu_request req;
	pid_t pid = 0;

	if (ask_criu(f, e) < 0)
		return err_ret(e);
	flow_close_sources(f); /* CRIU has them */
	if (make_request(f, &req, e) < 0)
		return err_ret(e);
	if (unlinkat(r->dirs.work_fd, RESTORE_LOG, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s/%s", r->dirs.work, RESTORE_LOG);
	r->failed = criu_do(&r->criu, &req, &l, &pid, e) < 0;
	if (r->failed)
		return err_ret(e);
	if (pid <= 0 || pid != f->pid)
		return err_set(e, ERR_INTERNAL, 0, "CRIU tells of process %d, but made %d", (int)pid, (int)f->pid);
	return 0;
}

int flow_told(const struct flow *f, int r, const struct err *e)
{
	if (r >= 0 || !f->o->criu || !f->o->criu->hold)
		return r;
	log_warn_err(e);
	return 0;
}

int step_criu_restore(struct flow *f, struct err *e)
{
	const struct restore *r = f->restore;

	if (restore(f, e) >= 0)
		return 0;
	undo_criu_restore(f);
	return r->failed ? criu_explain(&r->criu, &r->dirs, RESTORE_LOG, f->o->criu->tried, e) : err_ret(e);
}

/* With process 1 ends its pid namespace, and what else there is with the cgroup. */
void undo_criu_restore(struct flow *f)
{
	struct err ignored;

	if (f->pidfd < 0)
		return; /* it came to no namespace */
	undo_ext_ns(f);
	undo_netdev(f);
	undo_rdt(f);
	/* It may have the addresses of one that goes on elsewhere, where it came from. */
	if (f->restore->network >= 0)
		network_silence(0, f->restore->network, &ignored);
	sys_pidfd_send_signal(f->pidfd, SIGKILL, NULL, 0);
	poll(&(struct pollfd){ .fd = f->pidfd, .events = POLLIN }, 1, 1000); /* a frozen one dies with the cgroup */
	waitpid(f->pid, NULL, WNOHANG);
	f->pid = 0;
}
