// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of init about the process itself, up to exec. */

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/hooks.h"
#include "runtime/flow/notify_socket.h"
#include "runtime/flow/steps.h"
#include "runtime/flow/sync.h"
#include "runtime/linux/creds.h"
#include "runtime/linux/lsm.h"
#include "runtime/linux/process.h"

/* What a shell without PATH looks through. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- conditions ---- */

bool when_lsm(const struct flow *f)
{
	return f->process && (f->process->apparmor_profile || f->process->selinux_label);
}

static bool when_rlimits(const struct flow *f)
{
	return f->process && f->process->rlimits.n;
}

/* The descriptor of a listener and the pipes of a hook need files. */
static bool needs_files(const struct flow *f)
{
	return when_listener(f) || (f->command != FLOW_EXEC && when_hooks_start(f));
}

bool when_rlimits_last(const struct flow *f)
{
	return when_rlimits(f) && !needs_files(f);
}

bool when_rlimits_exec(const struct flow *f)
{
	return when_rlimits(f) && needs_files(f);
}

bool when_rlimits_here(const struct flow *f)
{
	return when_rlimits(f) && !flow_has_userns(f);
}

bool when_rlimits_by_host(const struct flow *f)
{
	return when_rlimits(f) && flow_has_userns(f);
}

bool when_oom_score(const struct flow *f)
{
	return f->process && f->process->oom_score_adj.set;
}

bool when_oom_score_own(const struct flow *f)
{
	return when_oom_score(f) && (geteuid() != 0 || flow_has_userns(f));
}

bool when_seccomp(const struct flow *f)
{
	return flow_linux(f)->seccomp && f->process;
}

bool when_seccomp_early(const struct flow *f)
{
	return when_seccomp(f) && f->seccomp.insns && !f->process->no_new_privileges.v;
}

bool when_seccomp_late(const struct flow *f)
{
	return when_seccomp(f) && f->seccomp.insns && f->process->no_new_privileges.v;
}

bool when_listener(const struct flow *f)
{
	return f->seccomp.insns && f->seccomp.listener;
}

bool when_hooks_start(const struct flow *f)
{
	return f->spec.hooks && f->spec.hooks->start_container.n;
}

/* ---- rows ---- */

int step_affinity_final(struct flow *f, struct err *e)
{
	const struct oci_exec_cpu_affinity *a = f->process ? f->process->exec_cpu_affinity : NULL;

	if (f->command == FLOW_EXEC && a && (a->final || a->initial))
		return affinity_set(0, a->final ? a->final : a->initial, e);
	/* Only a caller with a mask of its own can have left one on us. */
	return affinity_set(0, NULL, e);
}

int step_attributes(struct flow *f, struct err *e)
{
	const struct oci_linux *l = flow_linux(f);
	const struct oci_process *p = f->process;
	int r = 0;

	if (l->memory_policy)
		r = memory_policy_set(l->memory_policy, e);
	if (r == 0 && l->personality)
		r = personality_set(l->personality, e);
	if (r == 0 && p && p->scheduler)
		r = sched_set(p->scheduler, e);
	if (r == 0 && p && p->io_priority)
		r = io_priority_set(p->io_priority, e);
	return r;
}

int step_rlimits(struct flow *f, struct err *e)
{
	return rlimits_set(0, &f->process->rlimits, false, e);
}

int step_rlimits_due(struct flow *f, struct err *e)
{
	(void)f;
	(void)e;
	return 0;
}

int step_rlimits_last(struct flow *f, struct err *e)
{
	return rlimits_set(0, &f->process->rlimits, true, e);
}

/* The payload starts with nothing blocked and nothing ignored. */
int step_signals(struct flow *f, struct err *e)
{
	sigset_t none;

	(void)f;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? err_sys(e, "sigprocmask") : 0;
}

int step_lsm(struct flow *f, struct err *e)
{
	int procfs = flow_procfs(f, e);

	if (procfs < 0)
		return procfs;
	return lsm_set_exec(procfs, f->process->apparmor_profile, f->process->selinux_label,
			    f->process->no_new_privileges.v, e);
}

/* The host learns the number of the listener, to take it out by pidfd_getfd: the filter may forbid sendmsg. */
int step_seccomp(struct flow *f, struct err *e)
{
	struct sync_msg m = { .row = (uint32_t)f->cursor };
	int r;

	if (f->process->no_new_privileges.v) {
		r = creds_no_new_privs(e);
		if (r < 0)
			return r;
	}
	r = seccomp_load(&f->seccomp, e);
	if (r < 0)
		return r;
	f->listener = f->seccomp.listener ? r : -1;
	m.value = f->listener;
	return sync_send(f->peer.wr, &m, e) < 0 ? err_ret(e) : 1;
}

/* The payload's user must be able to open its own standard streams again (/dev/stderr).  Devices (terminals, /dev/null)
 * are not ours to give; a read-only or foreign file system is no reason to fail. */
int flow_give_stdio(uid_t uid, struct err *e)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || st.st_uid == uid)
			continue;
		if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
			continue;
		if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS && errno != EINVAL)
			return err_sys(e, "chown of standard stream %d", fd);
	}
	return 0;
}

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Looked at before it is opened for use, and without waiting: what stands there is the container's. */
static int open_null(void)
{
	cleanup_fd int path = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int fd = -1;

	if (path < 0 || !is_null(path))
		return -1;
	fd = open("/dev/null", O_RDWR | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !is_null(fd) || fcntl(fd, F_SETFL, 0) < 0)
		return -1;
	return fd_take(&fd);
}

/* A stream that is the host's null device would let root inside change that inode's mode for the whole host (fchmod); the
 * container's own does as well.  Without one the stream stays. */
static void replace_null(void)
{
	cleanup_fd int null = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (!is_null(fd))
			continue;
		if (null < 0)
			null = open_null();
		if (null < 0 || dup2(null, fd) < 0)
			return;
	}
}

/* Nobody else's, for when there is no container yet. */
static int make_null(void)
{
	cleanup_fd int fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC), dir = -1, fd = -1;

	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	dir = sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (dir < 0 || mknodat(dir, "null", S_IFCHR | 0600, makedev(1, 3)) < 0)
		return -1;
	fd = openat(dir, "null", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0666) < 0)
		return -1;
	return fd_take(&fd);
}

void flow_replace_own_null(int fd)
{
	cleanup_fd int null = is_null(fd) ? make_null() : -1;

	if (null >= 0)
		dup2(null, fd);
}

int step_stdio(struct flow *f, struct err *e)
{
	if (!f->process)
		return 0;
	replace_null();
	return flow_give_stdio(f->process->user.uid, e);
}

/* CVE-2024-21626: a cwd outside the root shows as "(unreachable)...". */
static int enter_cwd(const char *cwd, struct err *e)
{
	char buf[PATH_MAX];

	if (chdir(cwd) < 0)
		return err_sys(e, "chdir to cwd (\"%s\")", cwd);
	if (sys_getcwd(buf, sizeof buf) < 0)
		return err_sys(e, "getcwd");
	if (buf[0] != '/')
		return err_set(e, ERR_STATE, 0, "cwd \"%s\" is outside of the container's root", cwd);
	return 0;
}

bool flow_keeps_groups(const struct flow *f)
{
	return str_eq(oci_annotation(&f->spec, "run.oci.keep_original_groups"), "1");
}

int step_creds(struct flow *f, struct err *e)
{
	const struct oci_process *p = f->process;
	uint64_t bounding = 0, caps = 0;
	bool cwd_last;
	int r, procfs = -1;

	if (!p)
		return 0;
	/* Only a user namespace can have setgroups denied. */
	if (flow_has_userns(f)) {
		procfs = flow_procfs(f, e);
		if (procfs < 0)
			return procfs;
	}
	r = creds_bounding(p->capabilities, &bounding, e);
	if (r == 0)
		r = creds_ids(&p->user, procfs, flow_keeps_groups(f), e);
	/* Leaving uid 0 has emptied the effective set, and execve will leave no more of the document's than is ambient:
	 * the user must get there without. */
	cwd_last = r == 0 && (p->user.uid == 0 || (p->capabilities && p->capabilities->ambient.mask));
	if (r == 0 && !cwd_last)
		r = enter_cwd(p->cwd, e);
	if (r == 0)
		r = creds_caps(p->capabilities, &caps, e);
	if (cwd_last && r == 0)
		r = enter_cwd(p->cwd, e);
	if (r == 0 && p->no_new_privileges.v && !f->seccomp.insns)
		r = creds_no_new_privs(e);
	f->missing_caps = bounding | caps;
	return r;
}

/* ---- the program ---- */

static const char *env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static int add_env(struct flow *f, size_t *n, char *text)
{
	f->envp[*n] = text;
	if (text)
		++*n;
	return text ? 0 : -ENOMEM;
}

/* The document's environment, with HOME and what the sockets handed on need. */
static int build_env(struct flow *f, struct err *e)
{
	const struct oci_process *p = f->process;
	char home[PATH_MAX];
	size_t n = 0;
	int r = 0;

	f->envp = arena_alloc_n(&f->arena, p->env.n + 5, sizeof *f->envp);
	if (!f->envp)
		return err_oom(e);
	for (size_t i = 0; i < p->env.n; i++)
		if (strcmp(p->env.v[i], "HOME=") != 0) /* empty is as good as none */
			f->envp[n++] = (char *)p->env.v[i];
	if (!env_get(f->envp, "HOME")) {
		creds_home(p->user.uid, home, sizeof home);
		r = add_env(f, &n, arena_printf(&f->arena, "HOME=%s", home));
	}
	if (r == 0 && f->o->listen_fds) {
		r = add_env(f, &n, arena_printf(&f->arena, "LISTEN_FDS=%u", f->o->listen_fds));
		if (r == 0)
			r = add_env(f, &n, arena_strdup(&f->arena, "LISTEN_PID=1"));
	}
	if (r == 0 && f->notify)
		r = add_env(f, &n, arena_strdup(&f->arena, "NOTIFY_SOCKET=" NOTIFY_INSIDE "/notify.sock"));
	return r < 0 ? err_oom(e) : 0;
}

/* 0, or the reason why this file cannot be executed by us. */
static int probe(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static int search_path(struct flow *f, const char *name, struct err *e)
{
	const char *dirs = env_get(f->envp, "PATH");
	int denied = 0;

	if (!dirs)
		dirs = DEFAULT_PATH;
	while (*dirs) {
		int n = (int)strcspn(dirs, ":");
		char path[PATH_MAX];

		if (n > 0 && snprintf(path, sizeof path, "%.*s/%s", n, dirs, name) < (int)sizeof path) {
			int error = probe(path);

			if (error == 0) {
				f->exec_path = arena_strdup(&f->arena, path);
				return f->exec_path ? 0 : err_oom(e);
			}
			if (error == EACCES)
				denied = EACCES;
		}
		dirs += n;
		dirs += *dirs == ':';
	}
	if (denied)
		return err_set(e, ERR_KERNEL, denied, "exec: \"%s\"", name);
	return err_set(e, ERR_KERNEL, ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

/* As the user and in cwd.  The texts are what engines look for: 126 and 127 come from them. */
int step_lookup(struct flow *f, struct err *e)
{
	const char *name;
	int r, error;

	if (!f->process)
		return 0;
	r = build_env(f, e);
	if (r < 0)
		return r;
	name = f->process->args.v[0];
	if (!strchr(name, '/'))
		return search_path(f, name, e);
	error = probe(name);
	if (error)
		return err_set(e, ERR_KERNEL, error, "exec: \"%s\"", name);
	f->exec_path = name;
	return 0;
}

int step_ready(struct flow *f, struct err *e)
{
	struct sync_msg m = { .row = (uint32_t)f->cursor, .value = (int64_t)f->missing_caps };

	return sync_send(f->peer.wr, &m, e) < 0 ? err_ret(e) : 1;
}

/* After create our peer is whoever calls start. */
int step_await_start(struct flow *f, struct err *e)
{
	struct sync_msg m;
	int r;

	if (f->command == FLOW_CREATE) {
		fd_close(&f->peer.rd);
		f->peer = (struct flow_channel){ f->start_fd, f->result_fd };
		f->start_fd = f->result_fd = -1;
	}
	r = sync_recv(f->peer.rd, &m, e);
	return r > 0 ? err_set(e, ERR_INTERNAL, 0, "the runtime is gone") : r;
}

int step_hooks_start(struct flow *f, struct err *e)
{
	cleanup_str struct str state = { 0 };

	oci_state_hook(&f->state, "created", getpid(), &state);
	if (str_failed(&state))
		return err_oom(e);
	return hooks_run(&f->spec.hooks->start_container, "startContainer",
			 &(struct hooks_context){ state.s, f->envp, -1, -1 }, e);
}

static int exec_fail(const struct flow *f, struct err *e)
{
	const char *program = f->process->args.v[0], *label = f->process->selinux_label;

	if (errno == ENOENT)
		return err_set(e, ERR_KERNEL, ENOENT, "exec: \"%s\": its interpreter is missing", program);
	/* The label was taken when it was asked for; whether it may be entered is decided here. */
	if (label && *label && errno == EPERM && f->process->no_new_privileges.v)
		return err_sys(e, "exec: \"%s\": /process/selinuxLabel '%s' (under no_new_privs the policy must allow it the "
				  "nnp_transition)", program, label);
	if (label && *label && (errno == EACCES || errno == EPERM))
		return err_sys(e, "exec: \"%s\": /process/selinuxLabel '%s' (does the policy allow it the transition and "
				  "this entrypoint?)", program, label);
	return err_sys(e, "exec: \"%s\"", program);
}

int step_exec(struct flow *f, struct err *e)
{
	struct sync_msg m = { .row = (uint32_t)f->cursor, .value = 1 };
	int r;

	if (!f->process)
		return err_set(e, ERR_CONFIG, 0, "/process: is needed to start the container");
	/* So that a death between here and the program can be told from one before. */
	r = sync_send(f->peer.wr, &m, e);
	if (r < 0)
		return r;
	execve(f->exec_path, (char *const *)f->process->args.v, f->envp);
	return exec_fail(f, e);
}
