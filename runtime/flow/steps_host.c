// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of the host side between the record and the end of create. */

#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/names.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/sock.h"
#include "runtime/base/sys.h"
#include "runtime/flow/externals.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/hooks.h"
#include "runtime/flow/notify_socket.h"
#include "runtime/flow/steps.h"
#include "runtime/flow/sync.h"
#include "runtime/linux/netdev.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/process.h"
#include "runtime/linux/rdt.h"
#include "runtime/linux/tty.h"

/* What else may be open beside the sources of mounts. */
#define SPARE_FILES 100

/* ---- before the clone ---- */

int step_open_ns(struct flow *f, struct err *e)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;

	if (f->command == FLOW_EXEC)
		return 0;
	f->ns_fds = arena_alloc_n(&f->arena, ns->n, sizeof *f->ns_fds);
	if (!f->ns_fds)
		return err_oom(e);
	for (size_t i = 0; i < ns->n; i++)
		f->ns_fds[i] = -1;
	for (size_t i = 0; i < ns->n; i++) {
		if (!ns->v[i].path)
			continue;
		f->ns_fds[i] = ns_open(ns->v[i].path, ns->v[i].type, e);
		if (f->ns_fds[i] < 0)
			return err_wrap(e, "/linux/namespaces/%zu/path", i);
	}
	return 0;
}

/* The user namespace that "idmap" without mappings of its own means.  A new one does not exist yet, but one with
 * the same maps does as well. */
int flow_userns(struct flow *f, struct err *e)
{
	const struct oci_linux *l = flow_linux(f);
	int procfs;

	for (size_t i = 0; i < l->namespaces.n && f->userns_fd < 0; i++)
		if (l->namespaces.v[i].type == CLONE_NEWUSER && f->ns_fds[i] >= 0)
			f->userns_fd = fcntl(f->ns_fds[i], F_DUPFD_CLOEXEC, 3);
	if (f->userns_fd >= 0)
		return f->userns_fd;
	procfs = flow_procfs(f, e);
	f->userns_fd = procfs < 0 ? procfs : idmap_userns(procfs, &l->uid_mappings, &l->gid_mappings, e);
	return f->userns_fd;
}

static bool needs_userns_fd(const struct flow *f)
{
	for (size_t i = 0; i < f->spec.mounts.n; i++)
		if (f->wishes[i].idmap && !f->wishes[i].uid_map)
			return true;
	return false;
}

static int open_views(struct flow *f, struct err *e)
{
	int r;

	r = cgroup_views(f->cg, &f->views, &f->n_views, &f->arena, e);
	if (r < 0)
		return r;
	f->view_fds = arena_alloc_n(&f->arena, f->n_views, sizeof *f->view_fds);
	if (!f->view_fds)
		return err_oom(e);
	for (size_t i = 0; i < f->n_views; i++)
		f->view_fds[i] = -1;
	/* With a cgroup namespace init mounts the hierarchies anew, which can be refused only in a user namespace: a tree
	 * that nobody attaches is not free, closing it waits for the kernel's mount locks. */
	if (((f->new_ns | f->join_ns) & CLONE_NEWCGROUP) && !flow_has_userns(f))
		return 0;
	if (flow_unit_first(f)) /* what is there by now may be another directory when the unit is known: init opens them */
		return 0;
	for (size_t i = 0; i < f->n_views; i++) {
		f->view_fds[i] = sys_open_tree(AT_FDCWD, f->views[i].host_dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (f->view_fds[i] < 0 && errno != EPERM) /* as in open_sources() */
			return err_sys(e, "open_tree %s", f->views[i].host_dir);
	}
	return 0;
}

static int open_sources(struct flow *f, struct err *e)
{
	int procfs = -1, r = 0;

	if (needs_userns_fd(f) && flow_userns(f, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < f->spec.mounts.n && r >= 0; i++) {
		const struct mount_wish *w = &f->wishes[i];

		if (w->uid_map && procfs < 0) {
			procfs = flow_procfs(f, e);
			if (procfs < 0)
				return procfs;
		}
		if (w->bind && !w->remount) {
			r = mount_source(w, procfs, f->userns_fd, false, e);
			f->sources[i] = r;
			/* Without rights over our mount namespace nothing can be cloned here; init has one of its own. */
			if (r == -EPERM)
				r = 0;
			if (r < 0)
				return err_wrap(e, "/mounts/%zu: %s", i, w->target);
		} else if (str_eq(w->fs, "cgroup") && !f->views && f->cg) {
			r = open_views(f, e);
		}
	}
	return r < 0 ? r : 0;
}

/* Each source is a descriptor until it is attached.  Init takes the limit back before anything else runs in it. */
static void allow_sources(struct flow *f)
{
	const rlim_t need = f->spec.mounts.n + SPARE_FILES;
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur >= need || now.rlim_cur >= now.rlim_max)
		return;
	f->files = now;
	now.rlim_cur = need < now.rlim_max ? need : now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &now);
}

int step_sources(struct flow *f, struct err *e)
{
	int r;

	allow_sources(f);
	r = open_sources(f, e);
	if (r < 0)
		return r;
	return notify_socket_prepare(f, e);
}

static int seccomp_cache_dir(struct flow *f)
{
	if (mkdirat(f->dir.root_fd, ".cache", 0700) < 0 && errno != EEXIST)
		return -1;
	if (mkdirat(f->dir.root_fd, ".cache/seccomp", 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(f->dir.root_fd, ".cache/seccomp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int step_seccomp_compile(struct flow *f, struct err *e)
{
	cleanup_fd int cache = openat(f->dir.root_fd, ".cache/seccomp",
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (cache < 0)
		cache = seccomp_cache_dir(f); /* without one it only takes longer */
	return seccomp_compile(flow_linux(f)->seccomp, cache, &f->seccomp, &f->arena, e);
}

int step_affinity_initial(struct flow *f, struct err *e)
{
	return affinity_set(0, f->process->exec_cpu_affinity->initial, e);
}

int step_start_channel(struct flow *f, struct err *e)
{
	if (mkfifoat(f->dir.fd, STORE_START, 0600) < 0 || mkfifoat(f->dir.fd, STORE_RESULT, 0600) < 0)
		return err_sys(e, "mkfifo");
	/* Both ways: so a read sleeps while no start is there, and opening waits for nobody. */
	f->start_fd = openat(f->dir.fd, STORE_START, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	f->result_fd = openat(f->dir.fd, STORE_RESULT, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return f->start_fd < 0 || f->result_fd < 0 ? err_sys(e, "open the start channel") : 0;
}

/* ---- clone ---- */

/* What clone3 itself can make: everything, where row unshare-rest has nothing to do, but for the cgroup namespace, which is
 * made where the process stands (row cgroup-ns). */
static uint64_t clone_flags(const struct flow *f)
{
	return when_unshare(f) ? 0 : f->new_ns & ~(uint64_t)CLONE_NEWCGROUP;
}

static void become_init(struct flow *f, int sock)
{
	fd_close(&f->peer.rd);
	f->peer = (struct flow_channel){ sock, sock };
	f->side = FLOW_INIT;
	/* The host's handle shows the host's pids: with a pid namespace of our own it would lie about "self". */
	if (f->new_ns & CLONE_NEWPID)
		fd_close(&f->procfs);
	fd_close(&f->pidfd);
	fd_close(&f->notify_fd);
	fd_close(&f->oom_fd);
	store_close(&f->dir); /* with the lock: it is the host side's */
	if (f->o->signals >= 0)
		close(f->o->signals); /* likewise; init never reads it */
}

/* Straight into the cgroup where the kernel lets us.  Without clone3 (ENOSYS, or EPERM of an outer filter), and where the
 * group takes processes only by cgroup.procs (EBUSY, EOPNOTSUPP), row cgroup-enter does it. */
static pid_t clone_init(struct flow *f, struct err *e)
{
	struct clone_options o = { .flags = clone_flags(f), .cgroup_fd = -1, .want_pidfd = true };
	pid_t pid;

	o.cgroup_fd = f->join_cg ? cgroup_clone_fd(f->join_cg) : -1;
	f->cloned_into_cgroup = o.cgroup_fd >= 0;
	pid = clone_process(&o, &f->pidfd, e);
	if (pid >= 0 || !f->cloned_into_cgroup)
		return pid;
	o.cgroup_fd = -1;
	f->cloned_into_cgroup = false;
	return clone_process(&o, &f->pidfd, e);
}

int step_clone(struct flow *f, struct err *e)
{
	int pair[2], r;

	f->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	/* Nobody inside may trace us or look through our descriptors, from the first moment (CVE-2016-9962). */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, "prctl(PR_SET_DUMPABLE)");
	r = sock_pair(pair, e);
	if (r < 0)
		return r;
	f->peer = (struct flow_channel){ pair[0], pair[0] };
	cleanup_fd int theirs = pair[1];
	f->pid = clone_init(f, e);
	if (f->pid < 0) {
		f->pid = 0;
		return err_wrap(e, "clone");
	}
	if (f->pid == 0) {
		become_init(f, fd_take(&theirs));
		return 0;
	}
	/* Only init may keep its ends: their closing is a signal. */
	fd_close(&f->start_fd);
	fd_close(&f->result_fd);
	return 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void undo_clone(struct flow *f)
{
	fd_close(&f->peer.rd); /* a middle process that waits for us ends by itself */
	f->peer = (struct flow_channel){ -1, -1 };
	if (f->pid > 0) {
		kill(f->pid, SIGKILL); /* our unreaped child: the number cannot be another's */
		reap(f->pid);
	}
	f->pid = 0;
	if (f->middle > 0)
		reap(f->middle);
	f->middle = 0;
}

static int record_pid(struct flow *f, struct err *e)
{
	char state;
	int r = proc_stat(f->pid, &f->state.start_time, &state, e);

	if (r < 0)
		return r;
	f->state.pid = f->pid;
	return store_save(&f->dir, &f->state, e);
}

int step_save_pid(struct flow *f, struct err *e)
{
	/* The middle process is recorded too: it may be killed with us before the inner one exists. */
	return record_pid(f, e);
}

/* Row fork-inner was announced: the container's process is another child of ours now.  What is no child of ours is not
 * believed: we are going to signal it. */
static int take_inner(struct flow *f, pid_t pid, struct err *e)
{
	siginfo_t info;

	if (pid <= 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return err_set(e, ERR_INTERNAL, 0, "sync: process %d is not ours", (int)pid);
	f->middle = f->pid;
	f->pid = pid;
	return 0;
}

int step_adopt(struct flow *f, struct err *e)
{
	fd_close(&f->pidfd);
	f->pidfd = sys_pidfd_open(f->pid, 0);
	if (f->pidfd < 0)
		return err_sys(e, "pidfd_open %d", (int)f->pid);
	reap(f->middle);
	f->middle = 0;
	return f->command == FLOW_EXEC ? 0 : record_pid(f, e);
}

int flow_take_tty(struct flow *f, int fd, struct err *e)
{
	cleanup_fd int master = fd;

	if (master < 0)
		return err_set(e, ERR_INTERNAL, 0, "no terminal came");
	if (f->o->console_socket)
		return tty_send(f->o->console_socket, master, e);
	/* Now, not when we begin to copy: the payload may ask at once. */
	tty_copy_size(STDIN_FILENO, master);
	f->tty_master = fd_take(&master);
	return 0;
}

/* The spec wants a warning, not an error, where a capability cannot be granted. */
static void warn_capabilities(uint64_t missing)
{
	cleanup_str struct str list = { 0 };

	for (int cap = 0; cap < OCI_CAPS; cap++)
		if (missing >> cap & 1)
			str_addf(&list, "%s%s", list.len ? ", " : "", names_cap_word(cap));
	if (list.len)
		log_warn("capabilities that cannot be granted here: %s", str_cstr(&list));
}

int step_awaited(struct flow *f, const struct step *s, int64_t value, int fd, struct err *e)
{
	if (f->side != FLOW_HOST) {
		if (s->run == step_listener)
			fd_close(&f->listener); /* the agent has it now */
		return 0;
	}
	if (s->run == step_fork_inner)
		return take_inner(f, (pid_t)value, e);
	if (s->run == step_mounts)
		flow_close_sources(f); /* a container that unmounts one must not find it held by us */
	if (s->run == step_tty)
		return flow_take_tty(f, fd, e);
	if (s->run == step_seccomp)
		f->listener = (int)value;
	if (s->run == step_ready)
		warn_capabilities((uint64_t)value);
	return 0;
}

int step_id_maps(struct flow *f, struct err *e)
{
	int procfs = flow_procfs(f, e);

	if (procfs < 0)
		return procfs;
	return idmap_write(procfs, f->pid, &flow_linux(f)->uid_mappings, &flow_linux(f)->gid_mappings, e);
}

/* ---- what the host does to init ---- */

/* The files of a process that is not dumpable are root's.  Who is not writes the score to its own, lets init inherit it
 * and takes it back; what is refused here is tried again by oom-score, whose error it is. */
int step_oom_score_own(struct flow *f, struct err *e)
{
	int procfs = flow_procfs(f, e);

	if (procfs < 0)
		return procfs;
	f->oom_fd = oom_score_lend(procfs, f->process->oom_score_adj.v, &f->oom_was);
	return 0;
}

int step_oom_score(struct flow *f, struct err *e)
{
	int procfs, r;

	if (f->oom_fd >= 0) {
		r = oom_score_take_back(f->oom_fd, f->oom_was, e);
		fd_close(&f->oom_fd);
		return r;
	}
	procfs = flow_procfs(f, e);
	if (procfs < 0)
		return procfs;
	r = oom_score_set(procfs, f->pid, f->process->oom_score_adj.v, e);
	if (r < 0 && (e->num == EACCES || e->num == EPERM) && proc_is_rootless(f->o->rootless)) {
		log_debug("oomScoreAdj %lld is left out: lowering it needs root", (long long)f->process->oom_score_adj.v);
		return 0;
	}
	return r;
}

int step_rdt(struct flow *f, struct err *e)
{
	struct oci_state_rdt *saved = arena_new(&f->arena, struct oci_state_rdt);
	int r;

	if (!saved)
		return err_oom(e);
	r = rdt_apply(NULL, f->o->id, f->spec.linux->intel_rdt, f->pid, &saved->made_clos, &saved->made_mon, e);
	if (r < 0)
		return r;
	saved->clos_id = f->spec.linux->intel_rdt->clos_id;
	f->state.intel_rdt = saved;
	return store_save(&f->dir, &f->state, e);
}

void undo_rdt(struct flow *f)
{
	const struct oci_state_rdt *s = f->state.intel_rdt;

	if (s)
		rdt_remove(NULL, f->o->id, f->spec.linux->intel_rdt, s->made_clos, s->made_mon);
}

static int open_netns(struct flow *f, struct err *e)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)f->pid);
	return ns_open(path, CLONE_NEWNET, e);
}

int step_netdev(struct flow *f, struct err *e)
{
	/* Kept: the devices come back from there even when init is dead and has no file in /proc any more. */
	f->netns = open_netns(f, e);
	return f->netns < 0 ? f->netns : netdev_move(&f->spec.linux->net_devices, f->netns, e);
}

void undo_netdev(struct flow *f)
{
	if (f->netns >= 0)
		netdev_undo(&f->spec.linux->net_devices, f->netns);
}

int step_rlimits_host(struct flow *f, struct err *e)
{
	return rlimits_set(f->pid, &f->process->rlimits, false, e);
}

extern char **environ;

int step_hooks_runtime(struct flow *f, struct err *e)
{
	struct hooks_context c = { .envp = environ, .cwd_fd = -1, .signals = f->o->signals };
	const struct oci_hooks *h = f->spec.hooks;
	cleanup_str struct str state = { 0 };
	int r;

	oci_state_hook(&f->state, "creating", f->pid, &state);
	if (str_failed(&state))
		return err_oom(e);
	c.state_json = state.s;
	r = hooks_run(&h->prestart, "prestart", &c, e);
	return r < 0 ? r : hooks_run(&h->create_runtime, "createRuntime", &c, e);
}

/* The agent of linux.seccomp.listenerPath gets the descriptor that the filter gave init. */
int step_listener(struct flow *f, struct err *e)
{
	const struct oci_seccomp *s = f->spec.linux->seccomp;
	cleanup_fd int fd = sys_pidfd_getfd(f->pidfd, f->listener, 0);
	cleanup_str struct str state = { 0 };

	f->listener = -1; /* a number in init, not ours */
	if (fd < 0)
		return err_sys(e, "pidfd_getfd of the seccomp listener");
	oci_state_seccomp(&f->state, f->command == FLOW_EXEC ? "running" : "creating", f->state.pid, f->pid,
			  s->listener_metadata, &state);
	if (str_failed(&state))
		return err_oom(e);
	return notify_send(s->listener_path, state.s, &fd, 1, e);
}

/* ---- the end of create ---- */

static int send_pidfd(struct flow *f, struct err *e)
{
	const char *kind = f->command == FLOW_EXEC ? "setns" : "standard";
	cleanup_fd int sock = sock_connect(f->o->pidfd_socket, SOCK_STREAM, e);

	if (sock < 0)
		return err_wrap(e, "--pidfd-socket");
	return sock_send(sock, kind, strlen(kind), f->pidfd, e);
}

/* No newline: go-runc converts the raw text.  Atomic: conmon looks while we write. */
static int write_pid_file(struct flow *f, struct err *e)
{
	char parent[4096], text[16];
	const char *name = strrchr(f->o->pid_file, '/');
	int n = snprintf(text, sizeof text, "%d", (int)f->pid);

	snprintf(parent, sizeof parent, "%.*s", (int)(name - f->o->pid_file + 1), f->o->pid_file);
	cleanup_fd int dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "--pid-file %s", f->o->pid_file);
	return fs_replace(dir, name + 1, text, (size_t)n, 0644, e) < 0 ? err_wrap(e, "--pid-file") : 0;
}

/* A terminal is the container's own; of a restored one CRIU made what did not come from outside. */
static bool is_given(int fd, const void *arg)
{
	const struct flow *f = arg;

	if (f->command == FLOW_RESTORE)
		return flow_restored_stream(f, fd) != NULL;
	return f->process && !f->process->terminal.v;
}

static int save(struct flow *f, struct err *e)
{
	if (f->o->pidfd_socket && send_pidfd(f, e) < 0)
		return err_ret(e);
	if (f->command != FLOW_EXEC) {
		f->state.status = f->command == FLOW_RESTORE ? OCI_RUNNING : OCI_CREATED;
		if (externals_own_streams(is_given, f, &f->state.streams, &f->arena, e) < 0)
			return err_ret(e);
		/* run is in `running` in a moment and saves that: one write less. */
		if (f->command != FLOW_RUN && store_save(&f->dir, &f->state, e) < 0)
			return err_ret(e);
	}
	return f->o->pid_file ? write_pid_file(f, e) : 0;
}

/* A container that runs by the word of a migration is nobody's to take back. */
int step_save(struct flow *f, struct err *e)
{
	return flow_told(f, save(f, e), e);
}

void undo_save(struct flow *f)
{
	if (f->o->pid_file)
		unlink(f->o->pid_file);
}
