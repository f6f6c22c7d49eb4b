// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/container.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/names.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/sys.h"
#include "runtime/flow/ext.h"
#include "runtime/flow/foreground.h"
#include "runtime/flow/hooks.h"
#include "runtime/flow/network.h"
#include "runtime/linux/rdt.h"

/* As long as runc waits for a killed init. */
#define KILL_WAIT_MS 10000
#define LOCK_PAUSE_MS 10

static const struct container container_none = { .dir = { -1, -1 }, .pidfd = -1 };

/* reboot(2) in a pid namespace ends its first process as if by one of these signals (Linux 3.4), which nothing else can do:
 * that process ignores what it does not handle. */
static const char *reboot_word(const struct container *c, int status)
{
	if (!c->state.private_pid_ns || !WIFSIGNALED(status))
		return NULL;
	if (WTERMSIG(status) == SIGHUP)
		return "restart";
	return WTERMSIG(status) == SIGINT ? "halt" : NULL;
}

void container_set_exit(struct container *c, int status, bool oom_seen)
{
	struct oci_state_exit *x = arena_new(&c->arena, struct oci_state_exit);
	char name[32];

	if (!x)
		return;
	x->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (WIFSIGNALED(status)) {
		x->signal = arena_strdup(&c->arena, names_signal_word(WTERMSIG(status), name, sizeof name));
		x->oom_killed = WTERMSIG(status) == SIGKILL && (oom_seen || (c->cg && cgroup_oom_kills(c->cg) > 0));
	}
	x->reboot = reboot_word(c, status);
	c->state.exit = x;
}

/* A zombie still tells how it ended: the engine has not reaped it yet. */
static void learn_exit(struct container *c)
{
	int status;

	if (c->state.exit || c->status != OCI_STOPPED || c->state.pid <= 0)
		return;
	if (proc_exit_status((pid_t)c->state.pid, c->state.start_time, &status) == 0)
		container_set_exit(c, status, false);
}

static int open_cgroup(struct container *c, struct err *e)
{
	if (str_eq(c->state.cgroup_driver, "disabled"))
		return 0;
	return cgroup_of_state(&c->state, &c->cg, &c->arena, e);
}

int container_open(const char *root, const char *id, enum store_lock lock, struct container *ret, struct err *e)
{
	cleanup_container struct container c = container_none;
	int r;

	c.root = root;
	c.id = id;
	r = store_open(root, id, lock, &c.dir, e);
	if (r == 0)
		r = store_load(&c.dir, id, &c.state, &c.arena, e);
	if (r == 0)
		r = open_cgroup(&c, e);
	if (r < 0)
		return r;
	store_status(&c.dir, &c.state, &c.status, &c.pidfd);
	if (c.cg && (c.status == OCI_RUNNING || c.status == OCI_CREATED) && cgroup_frozen(c.cg) > 0)
		c.status = OCI_PAUSED;
	learn_exit(&c);
	*ret = c;
	c = container_none;
	return 0;
}

int container_open_until(const char *root, const char *id, int signals, int ms, struct container *ret, struct err *e)
{
	struct pollfd p = { .fd = signals, .events = POLLIN };
	int r = container_open(root, id, STORE_TRY, ret, e);

	for (int waited = 0; r < 0 && e->num == EWOULDBLOCK && (ms < 0 || waited < ms); waited += LOCK_PAUSE_MS) {
		int sig = poll(&p, 1, LOCK_PAUSE_MS) > 0 ? foreground_ending_signal(signals) : 0;

		if (sig)
			return err_set(e, ERR_STATE, EINTR, "interrupted by %s", sigabbrev_np(sig));
		r = container_open(root, id, STORE_TRY, ret, e);
	}
	return r;
}

void container_done(struct container *c)
{
	fd_close(&c->pidfd);
	cgroup_close(&c->cg);
	store_close(&c->dir);
	arena_done(&c->arena);
}

struct ext_env container_env(struct container *c)
{
	return (struct ext_env){
		.id = c->id, .resources = c->state.resources, .cg = c->cg, .rootfs = c->state.rootfs,
		.bundle = c->state.bundle, .kept = &c->state.extensions, .store = c->root,
		.pid = c->pidfd < 0 ? 0 : (pid_t)c->state.pid, .pidfd = c->pidfd, .root_fd = -1, .arena = &c->arena,
	};
}

/* ---- kill ---- */

int container_not_running(struct err *e)
{
	return err_set(e, ERR_STATE, 0, "container not running");
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* A plain user cannot look at his own init before the payload is executed, and nobody else is there yet. */
static bool is_alone(const struct container *c, const struct err *e)
{
	return e->num == EACCES && (c->status == OCI_CREATING || c->status == OCI_CREATED);
}

static int only_init(const struct container *c, pid_t **ret, size_t *ret_n, struct arena *a, struct err *e)
{
	*ret = arena_alloc_n(a, 1, sizeof **ret);
	if (!*ret)
		return err_oom(e);
	**ret = (pid_t)c->state.pid;
	*ret_n = 1;
	return 0;
}

/* Without a cgroup the pid namespace holds them together. */
static int namespace_pids(const struct container *c, pid_t **ret, size_t *ret_n, struct arena *a, struct err *e)
{
	pid_t *found = NULL;
	ssize_t n;

	*ret = NULL;
	*ret_n = 0;
	if (c->status == OCI_STOPPED)
		return 0;
	n = proc_list_namespace((pid_t)c->state.pid, "pid", &found, e);
	if (n < 0)
		return is_alone(c, e) ? only_init(c, ret, ret_n, a, e) : (int)n;
	if (n > 0) {
		qsort(found, (size_t)n, sizeof *found, compare_pids);
		*ret = arena_alloc_n(a, (size_t)n, sizeof **ret);
	}
	if (*ret)
		memcpy(*ret, found, (size_t)n * sizeof *found);
	*ret_n = *ret ? (size_t)n : 0;
	free(found);
	return n > 0 && !*ret ? err_oom(e) : 0;
}

/* Without a cgroup: all that the pid namespace holds, which dies with its first process; else that one alone. */
static int kill_without_cgroup(struct container *c, int sig, struct err *e)
{
	pid_t *pids;
	size_t n;

	if (c->pidfd < 0)
		return 0;
	if (sig == SIGKILL || !c->state.private_pid_ns)
		return sys_pidfd_send_signal(c->pidfd, sig, NULL, 0) < 0 && errno != ESRCH ? err_sys(e, "kill") : 0;
	if (namespace_pids(c, &pids, &n, &c->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < n; i++)
		if (kill(pids[i], sig) < 0 && errno != ESRCH)
			return err_sys(e, "kill %d", (int)pids[i]);
	return 0;
}

static int kill_all(struct container *c, int sig, struct err *e)
{
	if (!c->cg)
		return kill_without_cgroup(c, sig, e);
	return cgroup_exists(c->cg) ? cgroup_kill(c->cg, sig, e) : 0;
}

int container_kill(struct container *c, int sig, bool all, struct err *e)
{
	struct err ignored;

	if (all)
		return kill_all(c, sig, e);
	if (c->pidfd < 0)
		return container_not_running(e);
	if (sig == SIGKILL && !c->state.private_pid_ns && c->cg)
		return kill_all(c, sig, e);
	if (sys_pidfd_send_signal(c->pidfd, sig, NULL, 0) < 0)
		return errno == ESRCH ? container_not_running(e) : err_sys(e, "kill");
	/* A frozen v1 process survives SIGKILL and would hold its pid namespace for ever. */
	if (sig == SIGKILL && c->status == OCI_PAUSED && c->cg)
		cgroup_freeze(c->cg, false, &ignored);
	return 0;
}

/* ---- delete ---- */

static int wait_dead(int pidfd, struct err *e)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	if (pidfd < 0)
		return 0;
	do
		r = poll(&p, 1, KILL_WAIT_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return err_set(e, ERR_STATE, 0, "container init still running");
	return 0;
}

static int force_dead(struct container *c, struct err *e)
{
	int r = 0;

	if (c->pidfd >= 0)
		sys_pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	/* Before the clone nothing of the container can be in a cgroup that was there before it. */
	if (c->cg && (c->state.pid > 0 || cgroup_made(c->cg)) && cgroup_exists(c->cg))
		r = cgroup_kill(c->cg, SIGKILL, e);
	return r < 0 ? r : wait_dead(c->pidfd, e);
}

static void run_poststop(struct container *c, const struct oci_spec *spec)
{
	extern char **environ;
	cleanup_str struct str state = { 0 };

	if (!spec->hooks || !spec->hooks->poststop.n)
		return;
	oci_state_hook(&c->state, "stopped", 0, &state);
	if (!str_failed(&state))
		hooks_run_all(&spec->hooks->poststop, "poststop",
			      &(struct hooks_context){ state.s, environ, -1, -1 });
}

/* The document is read only when something in it is needed. */
static void undo_document(struct container *c)
{
	char text[ERR_TEXT_MAX + 128];
	struct oci_spec spec;
	struct err e;

	if (!c->state.has_poststop && !c->state.intel_rdt)
		return;
	if (store_load_spec(&c->dir, &spec, &c->arena, &e) < 0) {
		log_warn("poststop hooks are not run: %s", err_format(&e, text, sizeof text));
		return;
	}
	if (c->state.intel_rdt && spec.linux && spec.linux->intel_rdt)
		rdt_remove(NULL, c->id, spec.linux->intel_rdt, c->state.intel_rdt->made_clos,
			   c->state.intel_rdt->made_mon);
	run_poststop(c, &spec);
}

static void end_extensions(struct container *c)
{
	struct ext_env env = container_env(c);

	ext_end(&env, &c->state);
}

static int destroy(struct container *c, struct err *e)
{
	int r = c->cg ? cgroup_remove(c->cg, e) : 0;
	struct err ignored;

	if (r < 0)
		return r;
	undo_document(c);
	end_extensions(c);
	if (c->state.migration && c->state.migration->work && fs_remove_path(c->state.migration->work, &ignored) < 0)
		log_warn("images of a migration: %s", ignored.text);
	return store_remove(&c->dir, c->id, e);
}

void container_thaw(const struct container *c)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (cgroup_freeze(c->cg, false, &e) < 0 && cgroup_frozen(c->cg)) /* else it is gone */
		log_warn("container %s stands still (\"vzrun resume\" lets it go on): %s", c->id, err_format(&e, text, sizeof text));
}

/* The network of one whose migration is undecided may be held, and others may have joined it.  It is released when all that was in it is
 * dead: the end of a connection that is open elsewhere must not get out. */
int container_destroy(struct container *c, struct err *e)
{
	bool undecided = c->pidfd >= 0 && c->state.migration && c->state.migration->undecided;
	cleanup_fd int net = undecided ? network_open((pid_t)c->state.pid) : -1;
	struct err ignored;

	if (force_dead(c, e) < 0)
		return err_ret(e);
	if (net >= 0 && network_release_opened(net, NETWORK_UNDECIDED, &ignored) < 0)
		log_debug("network: %s", ignored.text); /* it was not held */
	return destroy(c, e);
}

/* Not a network that others made: they have it too. */
void container_silence(struct container *c)
{
	struct oci_spec spec;
	struct err e;

	if (c->pidfd < 0 || store_load_spec(&c->dir, &spec, &c->arena, &e) < 0 || !oci_namespace_new(&spec, CLONE_NEWNET))
		return;
	if (network_silence((pid_t)c->state.pid, c->pidfd, &e) < 0)
		log_debug("the network of %s: %s", c->id, e.text); /* it has none, or is gone already */
}

static int may_delete(const struct container *c, struct err *e)
{
	if (c->status == OCI_STOPPED || c->status == OCI_CREATED)
		return 0;
	return err_set(e, ERR_STATE, 0, "cannot delete container %s that is not stopped: %s", c->id,
		       oci_status_name(c->status));
}

static int reclaim(const char *root, const char *id, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct ext_env env = { .id = id, .store = root, .pidfd = -1, .root_fd = -1, .arena = &a };

	return ext_reclaim(&env, e);
}

/* A directory without a readable record: all that can be found in it is removed. */
static int delete_damaged(const char *root, const char *id, struct err *e)
{
	cleanup_store struct store_dir dir = STORE_DIR_NONE;
	int r = store_open(root, id, STORE_WAIT, &dir, e);

	if (r == 0)
		r = reclaim(root, id, e);
	return r < 0 ? r : store_remove(&dir, id, e);
}

/* A create or start that waits for a hook holds the lock for as long as that takes.  Without its process it gives up and
 * undoes what it did. */
static int force_open(const char *root, const char *id, struct container *ret, struct err *e)
{
	int r = container_open(root, id, STORE_TRY, ret, e);

	if (r < 0 && e->num == EWOULDBLOCK) {
		cleanup_container struct container c = container_none;
		struct err ignored;

		if (container_open(root, id, STORE_LOOK, &c, &ignored) == 0)
			force_dead(&c, &ignored);
	}
	return r < 0 && e->num == EWOULDBLOCK ? container_open_until(root, id, -1, KILL_WAIT_MS, ret, e) : r;
}

int container_reconcile(struct err *e)
{
	return reclaim(NULL, NULL, e);
}

static int delete_opened(struct container *c, bool force, struct err *e)
{
	int r = force ? 0 : may_delete(c, e);

	if (r < 0)
		return r;
	return force || c->status == OCI_CREATED ? container_destroy(c, e) : destroy(c, e);
}

/* Before anything of it is killed to get its lock. */
static bool is_anothers(const char *root, const char *id, const char *created)
{
	cleanup_container struct container c = container_none;
	struct err ignored;

	return container_open(root, id, STORE_LOOK, &c, &ignored) == 0 && !str_eq(c.state.created, created);
}

int container_delete_own(const char *root, const char *id, const char *created, bool force, struct err *e)
{
	cleanup_container struct container c = container_none;
	int r;

	if (is_anothers(root, id, created))
		return 0;
	r = force ? force_open(root, id, &c, e) : container_open(root, id, STORE_WAIT, &c, e);
	if (r < 0 && e->kind == ERR_NOTFOUND)
		return 0;
	if (r < 0)
		return force && e->num != EWOULDBLOCK ? delete_damaged(root, id, e) : r;
	if (!str_eq(c.state.created, created))
		return 0;
	r = delete_opened(&c, force, e);
	return r < 0 ? r : 1;
}

int container_delete(const char *root, const char *id, bool force, struct err *e)
{
	cleanup_container struct container c = container_none;
	int r;

	r = force ? force_open(root, id, &c, e) : container_open(root, id, STORE_WAIT, &c, e);
	if (r < 0 && force && e->kind == ERR_NOTFOUND)
		return reclaim(root, id, e);
	if (r < 0 && force && e->num != EWOULDBLOCK)
		return delete_damaged(root, id, e);
	return r < 0 ? r : delete_opened(&c, force, e);
}

/* ---- pause, resume ---- */

int container_need_cgroup(const struct container *c, struct err *e)
{
	return c->cg ? 0 : err_set(e, ERR_UNSUPPORTED, 0, "the container has no cgroup (--cgroup-manager=disabled, or "
						"none was allowed when it was made: see ROOTLESS in vzrun(8))");
}

int container_pause(struct container *c, struct err *e)
{
	if (c->status == OCI_PAUSED)
		return 0;
	if (c->status != OCI_RUNNING && c->status != OCI_CREATED)
		return container_not_running(e);
	return container_need_cgroup(c, e) < 0 ? err_ret(e) : cgroup_freeze(c->cg, true, e);
}

int container_decided(const struct container *c, struct err *e)
{
	if (c->state.migration && c->state.migration->undecided)
		return err_set(e, ERR_STATE, 0, "container %s may run on %s: \"vzrun migrate --resolve %s\" asks there", c->id,
			       c->state.migration->host, c->id);
	return 0;
}

pid_t container_mover(const struct container *c)
{
	const struct oci_state_migration *m = c->state.migration;
	struct err ignored;
	cleanup_fd int pidfd = m && m->pid > 0 && m->pid != getpid() ? proc_open((pid_t)m->pid, m->start_time, &ignored) : -1;

	return pidfd >= 0 ? (pid_t)m->pid : 0;
}

int container_resume(struct container *c, struct err *e)
{
	if (c->status != OCI_PAUSED)
		return err_set(e, ERR_STATE, 0, "container not paused");
	return container_decided(c, e) < 0 ? err_ret(e) : cgroup_freeze(c->cg, false, e);
}

int container_pids(const struct container *c, pid_t **ret, size_t *ret_n, struct arena *a, struct err *e)
{
	if (!c->cg && c->state.private_pid_ns)
		return namespace_pids(c, ret, ret_n, a, e);
	if (container_need_cgroup(c, e) < 0)
		return err_ret(e);
	return cgroup_pids(c->cg, ret, ret_n, a, e);
}

/* ---- exit status ---- */

int container_save_exit(const char *root, const char *id, const char *created, int wait_status, bool oom_seen, struct err *e)
{
	cleanup_container struct container c = container_none;
	int r;

	r = container_open(root, id, STORE_WAIT, &c, e);
	if (r < 0)
		return r;
	if (!str_eq(c.state.created, created))
		return 0;
	container_set_exit(&c, wait_status, oom_seen);
	c.state.status = OCI_STOPPED;
	if (store_save(&c.dir, &c.state, e) < 0)
		return err_ret(e);
	return reclaim(root, id, e);
}
