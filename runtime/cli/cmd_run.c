// SPDX-License-Identifier: LGPL-2.1-or-later

/* create, start, run, exec: the commands that walk the flow table. */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/names.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/container.h"
#include "runtime/flow/foreground.h"
#include "runtime/flow/notify_socket.h"

static int parse_count(const char *option, const char *text, unsigned *ret, struct err *e)
{
	uint32_t n = 0;

	if (text && num_u32(text, &n) < 0)
		return err_set(e, ERR_USAGE, 0, "--%s: \"%s\" is not a number", option, text);
	*ret = n;
	return 0;
}

/* sd_listen_fds(3): they are ours only when LISTEN_PID says so. */
static unsigned listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint32_t p, n;

	if (!pid || !fds || num_u32(pid, &p) < 0 || num_u32(fds, &n) < 0 || p != (uint32_t)getpid() || n > 1024)
		return 0;
	return n;
}

static int check_preserved(unsigned n, struct err *e)
{
	for (unsigned fd = 3; fd < 3 + n; fd++) {
		int flags = fcntl((int)fd, F_GETFD);

		/* What came by execve is never CLOEXEC: such a one is our own (the log). */
		if (flags < 0 || flags & FD_CLOEXEC)
			return err_set(e, ERR_USAGE, EBADF, "--preserve-fds: descriptor %u is not open", fd);
	}
	return 0;
}

int cli_flow_options(struct cli *c, struct flow_options *o, struct err *e)
{
	int r;

	*o = (struct flow_options){
		.root = c->root, .id = c->args.v[0], .config = c->config ? c->config : "config.json",
		.no_pivot = c->no_pivot, .no_new_keyring = c->no_new_keyring, .detach = c->detach,
		.sub_cgroups = c->cgroups, .ignore_paused = c->ignore_paused, .listen_fds = listen_fds(),
		.notify_socket = getenv("NOTIFY_SOCKET"), .signals = -1,
	};
	r = parse_count("preserve-fds", c->preserve_fds, &o->preserve_fds, e);
	o->preserve_fds += o->listen_fds;
	if (r == 0)
		r = check_preserved(o->preserve_fds, e);
	/* What else the caller left open is not for the container. */
	if (r == 0 && sys_close_range(3 + o->preserve_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		r = err_sys(e, "close_range");
	if (r == 0)
		r = store_check_id(o->id, e);
	if (r == 0)
		r = cli_driver(c, &o->driver, e);
	if (r == 0)
		r = cli_rootless(c, &o->rootless, e);
	if (r == 0)
		r = cli_absolute(c, c->bundle ? c->bundle : ".", &o->bundle, e);
	if (r == 0)
		r = cli_absolute(c, c->console_socket, &o->console_socket, e);
	if (r == 0)
		r = cli_absolute(c, c->pidfd_socket, &o->pidfd_socket, e);
	return r < 0 ? r : cli_absolute(c, c->pid_file, &o->pid_file, e);
}

/* Hooks and relative paths of the document expect the bundle as the working directory, as with runc. */
int cli_enter_bundle(struct flow_options *o, struct cli *c, struct err *e)
{
	char path[PATH_MAX];

	if (chdir(o->bundle) < 0)
		return err_sys(e, "bundle %s", o->bundle);
	if (!getcwd(path, sizeof path))
		return err_sys(e, "bundle %s", o->bundle);
	o->bundle = arena_strdup(&c->arena, path);
	return o->bundle ? 0 : err_oom(e);
}

int cli_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- create, start ---- */

static int run_create(struct cli *c, struct err *e)
{
	cleanup_foreground struct foreground fg = { .signals = -1 };
	cleanup_flow struct flow f;
	struct flow_options o = { .signals = -1 };
	int r;

	flow_init(&f, &o, FLOW_CREATE);
	r = cli_flow_options(c, &o, e);
	o.detach = true;
	if (r == 0)
		r = cli_enter_bundle(&o, c, e);
	if (r == 0)
		r = foreground_begin(&fg, false, e);
	o.signals = fg.signals;
	if (r == 0)
		r = flow_run(&f, e);
	return r < 0 ? err_wrap(e, "create failed") : 0;
}

static int run_start(struct cli *c, struct err *e)
{
	struct flow_options o = {
		.root = c->root, .id = c->args.v[0], .notify_socket = getenv("NOTIFY_SOCKET"), .signals = -1,
	};
	cleanup_flow struct flow f;
	int r;

	flow_init(&f, &o, FLOW_START);
	r = store_check_id(o.id, e);
	if (r == 0)
		r = flow_run(&f, e);
	store_close(&f.dir);
	if (r == 0 && f.notify_fd >= 0)
		r = notify_socket_forward(&f, f.init_pidfd, f.pid, e);
	return r < 0 ? err_wrap(e, "start failed") : 0;
}

/* ---- run ---- */

int cli_end_run(struct cli *c, const struct flow *f, int status, bool oom_seen, struct err *e)
{
	int r;

	if (c->keep)
		r = container_save_exit(c->root, c->args.v[0], f->state.created, status, oom_seen, e);
	else
		r = container_delete_own(c->root, c->args.v[0], f->state.created, true, e);
	return r < 0 ? r : cli_exit_code(status);
}

/* Ours, not init's: a service manager watches the process that it started. */
static int pass_ready(void *flow, struct err *e)
{
	return notify_socket_take(flow, getpid(), false, e);
}

/* systemd removes a scope's cgroup with its last process, and with it the count of what the kernel killed. */
struct oom_watch {
	const struct cgroup *cg;
	int fd;
	bool seen;
};

static int note_oom(void *arg, struct err *e)
{
	struct oom_watch *w = arg;
	char event[256];

	(void)e;
	while (read(w->fd, event, sizeof event) > 0)
		;
	/* None yet: more events come.  Below zero: the cgroup has gone with the process, which is what the event was about. */
	w->seen = cgroup_oom_kills(w->cg) != 0;
	return w->seen;
}

/* A container that reboots may be started again, as often as it likes.  After a life that was shorter than LIFE_SHORT_MS the
 * next one waits, each time twice as long: one that reboots at once must not eat the machine. */
#define LIFE_SHORT_MS 10000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000

struct lives {
	struct flow_options o;
	struct foreground fg;
	struct str document; /* of the next one */
	bool again;
	int64_t began, pause_ms;
};

static void lives_done(struct lives *l)
{
	str_done(&l->document);
	foreground_done(&l->fg);
}

static bool pause_between(const struct cli *c, struct lives *l)
{
	int64_t longer = l->pause_ms ? 2 * l->pause_ms : PAUSE_FIRST_MS;
	int sig;

	l->pause_ms = clock_ms() - l->began >= LIFE_SHORT_MS ? 0 : longer < PAUSE_MAX_MS ? longer : PAUSE_MAX_MS;
	sig = foreground_pause(&l->fg, l->pause_ms);
	if (sig)
		log_warn("container %s is not started again: SIG%s came between two lives", c->args.v[0], sigabbrev_np(sig));
	return !sig;
}

/* Above zero: nothing of the former life is there any more.  Meanwhile it is a stopped container: who deletes it does not want
 * it started again. */
static int end_former(const struct cli *c, struct flow *f, struct lives *l, struct err *e)
{
	int sig, r;

	if (!pause_between(c, l))
		return 0;
	flow_take_back(f);
	r = container_delete_own(c->root, c->args.v[0], f->state.created, false, e);
	if (r <= 0)
		return r;
	/* While poststop hooks ran; later it would be taken for the next payload's. */
	sig = foreground_ending_signal(l->fg.signals);
	if (sig)
		return err_set(e, ERR_STATE, EINTR, "interrupted by %s", sigabbrev_np(sig));
	l->o.document = &l->document;
	return 1;
}

static int end_life(struct cli *c, struct flow *f, struct lives *l, int status, bool oom_seen, struct err *e)
{
	struct err ignored;
	int r = container_again(c->root, c->args.v[0], status, flow_given(f), &l->document, e);

	if (r > 0)
		r = end_former(c, f, l, e);
	fd_close(&f->netns);
	l->again = r > 0;
	if (r == 0)
		return cli_end_run(c, f, status, oom_seen, e);
	if (r < 0)
		cli_end_run(c, f, status, oom_seen, &ignored);
	return r < 0 ? err_wrap(e, "restart failed") : 0;
}

static int follow(struct cli *c, struct flow *f, struct lives *l, struct err *e)
{
	struct oom_watch oom = { .cg = f->cg, .fd = f->oom_watch };
	int status = 0, r;

	store_close(&f->dir); /* the lock is for the setup only: exec and delete must not wait for the payload */
	if (c->detach) {
		fd_close(&f->netns); /* we do not see the container's end, with which it ends */
		return f->notify_fd >= 0 ? notify_socket_forward(f, f->pidfd, f->pid, e) : 0;
	}
	struct foreground_watch watches[] = {
		{ .fd = f->notify_fd, .take = pass_ready, .arg = f },
		{ .fd = oom.fd, .take = note_oom, .arg = &oom },
	};
	r = foreground_wait(&l->fg, f->pid, f->pidfd, f->tty_master, watches, ARRAY_SIZE(watches), &status, e);
	return r < 0 ? r : end_life(c, f, l, status, oom.seen, e);
}

static int live(struct cli *c, struct lives *l, struct err *e)
{
	const char *what = l->again ? "restart failed" : "run failed";
	cleanup_flow struct flow f;

	l->again = false;
	flow_init(&f, &l->o, FLOW_RUN);
	if (flow_run(&f, e) < 0)
		return err_wrap(e, "%s", what);
	l->began = clock_ms();
	return follow(c, &f, l, e);
}

static int run_run(struct cli *c, struct err *e)
{
	__attribute__((cleanup(lives_done))) struct lives l = { .fg = { .signals = -1 } };
	int r;

	r = cli_flow_options(c, &l.o, e);
	if (r == 0)
		r = cli_enter_bundle(&l.o, c, e);
	if (r == 0)
		r = foreground_begin(&l.fg, !c->detach && !c->no_subreaper, e);
	if (r < 0)
		return err_wrap(e, "run failed");
	l.o.signals = l.fg.signals;
	l.o.watch_oom = c->keep && !c->detach && l.o.driver == CG_DRIVER_SYSTEMD;
	do
		r = live(c, &l, e);
	while (l.again);
	return r;
}

/* ---- exec ---- */

static int parse_user(const char *text, struct oci_user *u, struct err *e)
{
	char uid[32];
	size_t n = strcspn(text, ":");

	/* The whole text must be a number: "1x" is not user 1, and nothing is ever user 0 by accident (CVE-2026-30892). */
	if (n >= sizeof uid || snprintf(uid, sizeof uid, "%.*s", (int)n, text) < 0 || num_u32(uid, &u->uid) < 0 ||
	    (text[n] == ':' && num_u32(text + n + 1, &u->gid) < 0))
		return err_set(e, ERR_USAGE, 0, "--user: \"%s\" is not UID[:GID] in numbers", text);
	return 0;
}

static int add_strings(struct cli *c, struct oci_strs *to, const struct oci_strs *more, size_t skip, struct err *e)
{
	size_t extra = more->n - skip;
	const char **v = arena_alloc_n(&c->arena, to->n + extra + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	if (to->n)
		memcpy(v, to->v, to->n * sizeof *v);
	if (extra)
		memcpy(v + to->n, more->v + skip, extra * sizeof *v);
	*to = (struct oci_strs){ .v = v, .n = to->n + extra };
	return 0;
}

static int add_groups(struct cli *c, struct oci_user *u, struct err *e)
{
	size_t n = u->additional_gids.n;
	uint32_t *v = arena_alloc_n(&c->arena, n + c->additional_gids.n, sizeof *v);

	if (!v)
		return err_oom(e);
	if (n)
		memcpy(v, u->additional_gids.v, n * sizeof *v);
	for (size_t i = 0; i < c->additional_gids.n; i++)
		if (num_u32(c->additional_gids.v[i], &v[n + i]) < 0)
			return err_set(e, ERR_USAGE, 0, "--additional-gids: \"%s\" is not a number",
				       c->additional_gids.v[i]);
	u->additional_gids = (struct oci_u32s){ .v = v, .n = n + c->additional_gids.n };
	return 0;
}

/* --cap: in all sets but inheritable, which only a document may fill (CVE-2022-29162). */
static int add_caps(struct cli *c, struct oci_process *p, struct err *e)
{
	struct oci_capabilities *caps = arena_new(&c->arena, struct oci_capabilities);

	if (!caps)
		return err_oom(e);
	if (p->capabilities)
		*caps = *p->capabilities;
	p->capabilities = caps;
	for (size_t i = 0; i < c->caps.n; i++) {
		int cap = names_cap(c->caps.v[i]);
		uint64_t bit;

		if (cap < 0)
			return err_set(e, ERR_USAGE, 0, "--cap: unknown capability \"%s\"", c->caps.v[i]);
		bit = UINT64_C(1) << cap;
		caps->bounding.mask |= bit;
		caps->effective.mask |= bit;
		caps->permitted.mask |= bit;
		caps->bounding.set = caps->effective.set = caps->permitted.set = true;
	}
	return 0;
}

/* The container's own process with what the options change: its environment, its capabilities, but not its terminal. */
static int process_from_options(struct cli *c, const struct oci_spec *spec, struct oci_process *p, struct err *e)
{
	int r = 0;

	if (!spec->process)
		return err_set(e, ERR_CONFIG, 0, "the container's document has no process: use --process");
	*p = *spec->process;
	p->args = (struct oci_strs){ 0 };
	p->terminal = (struct opt_bool){ c->tty, true };
	p->cwd = c->cwd ? c->cwd : p->cwd;
	if (c->no_new_privs)
		p->no_new_privileges = (struct opt_bool){ true, true };
	if (c->apparmor)
		p->apparmor_profile = c->apparmor;
	if (c->process_label)
		p->selinux_label = c->process_label;
	if (c->user) {
		p->user.gid = 0;
		p->user.additional_gids = (struct oci_u32s){ 0 };
		r = parse_user(c->user, &p->user, e);
	}
	if (r == 0)
		r = add_strings(c, &p->args, &c->args, 1, e);
	if (r == 0)
		r = add_strings(c, &p->env, &c->env, 0, e);
	if (r == 0 && c->additional_gids.n)
		r = add_groups(c, &p->user, e);
	return r == 0 && c->caps.n ? add_caps(c, p, e) : r;
}

static int read_process(struct cli *c, const char *path, struct oci_process *p, struct err *e)
{
	cleanup_str struct str text = { 0 };
	int r;

	r = fs_read(AT_FDCWD, path, OCI_DOCUMENT_MAX, &text, e);
	if (r == 0)
		r = oci_process_parse(text.s, text.len, path, p, &c->arena, e);
	/* conmon and containerd tell about the terminal in the document alone; users of --tty mean it. */
	if (r == 0 && c->tty)
		p->terminal = (struct opt_bool){ true, true };
	return r;
}

static int exec_process(struct cli *c, struct oci_process *p, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	struct oci_spec spec = { 0 };
	int r;

	if (c->process)
		return read_process(c, c->process, p, e);
	if (c->args.n < 2)
		return err_set(e, ERR_USAGE, 0, "\"exec\" requires a program or --process");
	r = container_open(c->root, c->args.v[0], STORE_LOOK, &box, e);
	if (r == 0)
		r = store_load_spec(&box.dir, &spec, &c->arena, e);
	return r < 0 ? r : process_from_options(c, &spec, p, e);
}

static int follow_exec(struct cli *c, struct flow *f, struct foreground *fg, struct err *e)
{
	int status = 0, r;

	store_close(&f->dir); /* the lock is for the setup only */
	if (c->detach)
		return 0;
	r = foreground_wait(fg, f->pid, f->pidfd, f->tty_master, NULL, 0, &status, e);
	return r < 0 ? r : cli_exit_code(status);
}

static int run_exec(struct cli *c, struct err *e)
{
	cleanup_foreground struct foreground fg = { .signals = -1 };
	cleanup_flow struct flow f;
	struct oci_process process = { 0 };
	struct flow_options o = { .signals = -1 };
	int r;

	flow_init(&f, &o, FLOW_EXEC);
	r = cli_flow_options(c, &o, e);
	if (r == 0)
		r = exec_process(c, &process, e);
	o.process = &process;
	o.notify_socket = NULL;
	o.listen_fds = 0;
	if (r == 0)
		r = foreground_begin(&fg, false, e);
	o.signals = fg.signals;
	if (r == 0)
		r = flow_run(&f, e);
	if (r < 0)
		return err_wrap(e, "exec failed");
	return follow_exec(c, &f, &fg, e);
}

const struct command cmd_create = {
	"create", CMD_CREATE, "ID", "make a container, ready to be started", 1, 1, false, run_create,
};
const struct command cmd_start = {
	"start", CMD_START, "ID", "start the program of a created container", 1, 1, false, run_start,
};
const struct command cmd_run = {
	"run", CMD_RUN, "ID", "create and start a container", 1, 1, false, run_run,
};
const struct command cmd_exec = {
	"exec", CMD_EXEC, "ID PROGRAM [ARGUMENT...]", "run a further program in a container", 1, SIZE_MAX, true, run_exec,
};
