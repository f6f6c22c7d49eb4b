// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/sys.h"

#define PF_EXITING 0x4U /* include/linux/sched.h */

/* Field N of /proc/PID/stat, counted from 1 as in proc(5), for N > 2; *ret points into text. */
static int stat_field(struct str *text, int n, const char **ret)
{
	/* The command name may hold blanks and parentheses: the last ')' ends it. */
	char *p = strrchr(str_cstr(text), ')');

	for (int field = 2; p && field < n; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EINVAL;
	*ret = p + 1;
	return 0;
}

static int read_stat(pid_t pid, struct str *ret, struct err *e)
{
	char path[64];
	int r;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	r = fs_read(AT_FDCWD, path, 8192, ret, e);
	return r < 0 && e->num == ENOENT ? err_set(e, ERR_KERNEL, ESRCH, "%s", path) : r;
}

int proc_stat(pid_t pid, uint64_t *ret_start, char *ret_state, struct err *e)
{
	cleanup_str struct str text = { 0 };
	const char *state, *start;
	int r;

	r = read_stat(pid, &text, e);
	if (r < 0)
		return r;
	if (stat_field(&text, 3, &state) < 0 || stat_field(&text, 22, &start) < 0)
		return err_set(e, ERR_INTERNAL, 0, "/proc/%d/stat: unknown format", (int)pid);
	*ret_state = *state;
	*ret_start = strtoull(start, NULL, 10);
	return 0;
}

bool proc_is_ending(pid_t pid)
{
	cleanup_str struct str text = { 0 };
	const char *flags;
	struct err ignored;

	return read_stat(pid, &text, &ignored) == 0 && stat_field(&text, 9, &flags) == 0 && strtoul(flags, NULL, 10) & PF_EXITING;
}

int proc_exit_status(pid_t pid, uint64_t start, int *ret_status)
{
	cleanup_str struct str text = { 0 };
	const char *state, *began, *code;
	struct err ignored;

	if (read_stat(pid, &text, &ignored) < 0 || stat_field(&text, 3, &state) < 0 ||
	    stat_field(&text, 22, &began) < 0 || stat_field(&text, 52, &code) < 0)
		return -ESRCH;
	if (*state != 'Z' || strtoull(began, NULL, 10) != start)
		return -ESRCH;
	*ret_status = atoi(code);
	return 0;
}

int proc_open(pid_t pid, uint64_t start, struct err *e)
{
	cleanup_fd int fd = -1;
	uint64_t now;
	char state;
	int r;

	if (pid <= 0)
		return err_set(e, ERR_KERNEL, ESRCH, "no process");
	/* The descriptor first: what is read afterwards is about the process that it holds. */
	fd = sys_pidfd_open(pid, 0);
	if (fd < 0)
		return err_sys(e, "pidfd_open %d", (int)pid);
	r = proc_stat(pid, &now, &state, e);
	if (r < 0)
		return r;
	if (now != start || state == 'Z' || state == 'X')
		return err_set(e, ERR_KERNEL, ESRCH, "process %d", (int)pid);
	return fd_take(&fd);
}

/* What the child reports when it cannot become the program. */
static void __attribute__((noreturn)) child_fail(int result)
{
	int error = errno;
	ssize_t n = write(result, &error, sizeof error);

	_exit(n == sizeof error ? 126 : 125);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) child_main(const struct proc_run *what, pid_t parent, int in, int out, int result)
{
	static const char *const empty[] = { NULL };
	const char *const *envp = what->envp ? what->envp : empty;

	/* Nobody would end it, or wait for it, when we are killed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		child_fail(result);
	if (getppid() != parent)
		_exit(125);
	setpgid(0, 0);
	reset_signals();
	/* Any of these may sit on 0-2 when ours were closed: lift them before the standard streams are laid. */
	int high = fcntl(result, F_DUPFD_CLOEXEC, 10);
	if (high < 0)
		child_fail(result);
	result = high;
	/* A failed one leaves its errno for the report below. */
	in = fcntl(in, F_DUPFD_CLOEXEC, 10);
	if (in >= 0 && out >= 0)
		out = fcntl(out, F_DUPFD_CLOEXEC, 10);
	if (in < 0 || dup2(in, 0) < 0)
		child_fail(result);
	if (what->keep && (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0))
		child_fail(result);
	if (what->cwd_fd >= 0 && fchdir(what->cwd_fd) < 0)
		child_fail(result);
	sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < what->n_fds; i++)
		fcntl(what->fds[i], F_SETFD, 0);
	execve(what->path, (char *const *)what->argv, (char *const *)envp);
	child_fail(result);
}

/* Our ends of the three channels to a running program. */
struct pump {
	int in, out, result;
	const char *input;
	size_t left;
	size_t keep;
	int exec_errno;
};

static void pump_done(struct pump *p)
{
	fd_close(&p->in);
	fd_close(&p->out);
	fd_close(&p->result);
}

static void pump_input(struct pump *p)
{
	/* A socket and MSG_NOSIGNAL: a program that closes its input early must not kill us with SIGPIPE. */
	ssize_t n = send(p->in, p->input, p->left, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0) {
		p->input += n;
		p->left -= (size_t)n;
	}
	if (p->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		fd_close(&p->in);
}

static void pump_output(struct pump *p, struct str *ret)
{
	char buf[4096];
	ssize_t n = read(p->out, buf, sizeof buf);

	if (n > 0) {
		size_t room = p->keep > ret->len ? p->keep - ret->len : 0;

		str_addn(ret, buf, (size_t)n < room ? (size_t)n : room);
	} else if (n == 0 || errno != EINTR) {
		fd_close(&p->out);
	}
}

/* Returns 0 when all is read and the program has ended, -ETIMEDOUT past the deadline (0: none), -EINTR when it was
 * stopped. */
static int pump_run(struct pump *p, const struct proc_run *what, int pidfd, int64_t deadline, struct str *ret_output)
{
	bool ended = false;

	while (!ended) {
		struct pollfd fds[] = {
			{ .fd = p->in, .events = POLLOUT },
			{ .fd = p->out, .events = POLLIN },
			{ .fd = pidfd, .events = POLLIN },
			{ .fd = what->stopped ? what->stop_fd : -1, .events = POLLIN },
		};
		int64_t left = deadline ? deadline - clock_ms() : -1;

		if (deadline && left <= 0)
			return -ETIMEDOUT;
		if (poll(fds, ARRAY_SIZE(fds), left > INT_MAX ? INT_MAX : (int)left) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (p->in >= 0 && fds[0].revents)
			pump_input(p);
		if (p->out >= 0 && fds[1].revents)
			pump_output(p, ret_output);
		ended = fds[2].revents != 0;
		if (!ended && what->stopped && fds[3].revents && what->stopped(what->stop_fd))
			return -EINTR;
	}
	/* What it wrote last; a grandchild that keeps the pipe open must not hold us. */
	while (p->out >= 0) {
		struct pollfd last = { .fd = p->out, .events = POLLIN };

		if (poll(&last, 1, 0) <= 0)
			break;
		pump_output(p, ret_output);
	}
	if (read(p->result, &p->exec_errno, sizeof p->exec_errno) != sizeof p->exec_errno)
		p->exec_errno = 0;
	return 0;
}

static int start(const struct proc_run *what, struct pump *p, pid_t *ret_pid, struct err *e)
{
	int in[2], out[2] = { -1, -1 }, result[2];
	pid_t pid, us = getpid();

	/* The kernel frees the descriptors of a failed start with the pump; the child's ends are closed here. */
	if (what->input ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0
			: (in[0] = -1, in[1] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		return err_sys(e, "%s: standard input", what->path);
	p->in = in[0];
	cleanup_fd int child_in = in[1];
	if (what->keep && pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, "%s: pipe", what->path);
	p->out = out[0];
	cleanup_fd int child_out = out[1];
	if (pipe2(result, O_CLOEXEC) < 0)
		return err_sys(e, "%s: pipe", what->path);
	p->result = result[0];
	cleanup_fd int child_result = result[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "%s: fork", what->path);
	if (pid == 0)
		child_main(what, us, child_in, child_out, child_result);
	*ret_pid = pid;
	return 0;
}

int proc_run(const struct proc_run *what, struct str *ret_output, struct err *e)
{
	__attribute__((cleanup(pump_done))) struct pump p = {
		.in = -1, .out = -1, .result = -1, .input = what->input,
		.left = what->input ? strlen(what->input) : 0, .keep = what->keep,
	};
	int64_t deadline = what->timeout ? clock_ms() + (int64_t)what->timeout * 1000 : 0;
	cleanup_fd int pidfd = -1;
	int status = 0, r;
	pid_t pid = -1;

	r = start(what, &p, &pid, e);
	if (r < 0)
		return r;
	pidfd = sys_pidfd_open(pid, 0);
	r = pidfd < 0 ? -errno : pump_run(&p, what, pidfd, deadline, ret_output);
	if (r < 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0) {
		/* Without a status nothing says that it went well (SIGCHLD is ignored, for one). */
		if (errno != EINTR)
			return err_sys(e, "%s: wait", what->path);
	}
	if (r == -ETIMEDOUT)
		return err_set(e, ERR_KERNEL, ETIMEDOUT, "%s: no end after %u s", what->path, what->timeout);
	if (r < 0)
		return err_set(e, ERR_KERNEL, -r, "%s", what->path);
	if (p.exec_errno > 0)
		return err_set(e, ERR_KERNEL, p.exec_errno, "exec %s", what->path);
	return status;
}

pid_t proc_fork(struct err *e)
{
	pid_t us = getpid(), pid = fork();

	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != us))
		_exit(1);
	return pid;
}

static int prepare(int in, int out, bool apart, struct err *e)
{
	sigset_t none;

	sigemptyset(&none);
	if ((!apart || setpgid(0, 0) == 0) && (in < 0 || dup2(in, STDIN_FILENO) >= 0) && (out < 0 || dup2(out, STDOUT_FILENO) >= 0) &&
	    sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		return 0;
	return err_sys(e, "streams");
}

int proc_spawn(const char *const *argv, int in, int out, bool apart, pid_t *ret, struct err *e)
{
	return proc_spawn_after(NULL, NULL, argv, in, out, apart, ret, e);
}

int proc_spawn_after(proc_first *first, const char *arg, const char *const *argv, int in, int out, bool apart, pid_t *ret, struct err *e)
{
	int word[2];
	pid_t pid;

	if (pipe2(word, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int theirs = word[1], ours = word[0];
	pid = apart ? fork() : proc_fork(e);
	if (pid == 0) {
		if ((!first || first(arg, e) == 0) && prepare(in, out, apart, e) == 0) {
			execvp(argv[0], (char *const *)argv);
			(void)err_sys(e, "exec %s", argv[0]);
		}
		_exit(write(theirs, e, sizeof *e) == sizeof *e ? 126 : 125);
	}
	if (pid < 0)
		return apart ? err_sys(e, "fork") : (int)pid;
	fd_close(&theirs);
	/* It closes by CLOEXEC. */
	if (read(ours, e, sizeof *e) != sizeof *e) {
		*ret = pid;
		return 0;
	}
	proc_end(&pid);
	return err_ret(e);
}

int proc_finish(const char *name, pid_t pid, struct err *e)
{
	char how[64];
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", name);
	return status == 0 ? 0 : err_set(e, ERR_STATE, 0, "%s: %s", name, proc_status_text(status, how, sizeof how));
}

void proc_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*pid = 0;
}

bool proc_in_path(const char *name)
{
	return proc_in_list(name, getenv("PATH"));
}

bool proc_in_list(const char *name, const char *path)
{
	char file[PATH_MAX];

	for (const char *dir = path; dir && *dir; dir += strspn(dir, ":")) {
		size_t len = strcspn(dir, ":");

		if (snprintf(file, sizeof file, "%.*s/%s", (int)len, dir, name) < (int)sizeof file && access(file, X_OK) == 0)
			return true;
		dir += len;
	}
	return false;
}

const char *proc_status_text(int status, char *buf, size_t size)
{
	const char *name;

	if (!WIFSIGNALED(status)) {
		snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
		return buf;
	}
	name = sigdescr_np(WTERMSIG(status));
	if (!name)
		snprintf(buf, size, "signal: signal %d", WTERMSIG(status));
	else if (islower((unsigned char)name[1])) /* "killed", but "CPU time limit exceeded" and "I/O possible" */
		snprintf(buf, size, "signal: %c%s", tolower((unsigned char)name[0]), name + 1);
	else
		snprintf(buf, size, "signal: %s", name);
	if (WCOREDUMP(status) && strlen(buf) + sizeof " (core dumped)" <= size)
		strcat(buf, " (core dumped)");
	return buf;
}

/* ---- who we are, who is there ---- */

/* The map of the initial user namespace is the whole range onto itself. */
bool proc_in_userns(void)
{
	cleanup_str struct str text = { 0 };
	unsigned inside, outside, count;
	struct err ignored;

	if (fs_read(AT_FDCWD, "/proc/self/uid_map", 65536, &text, &ignored) < 0)
		return false;
	return sscanf(str_cstr(&text), "%u %u %u", &inside, &outside, &count) != 3 || inside != 0 || outside != 0 ||
	       count != UINT_MAX;
}

bool proc_is_rootless(enum proc_rootless how)
{
	if (how != PROC_ROOTLESS_AUTO)
		return how == PROC_ROOTLESS_TRUE;
	return geteuid() != 0 || proc_in_userns();
}

static bool is_in_namespace(const char *pid, const char *type, const struct stat *ns)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%.20s/ns/%s", pid, type);
	return stat(path, &st) == 0 && st.st_dev == ns->st_dev && st.st_ino == ns->st_ino;
}

ssize_t proc_list_namespace(pid_t pid, const char *type, pid_t **ret, struct err *e)
{
	cleanup_dir DIR *dir = opendir("/proc");
	size_t n = 0, cap = 0;
	pid_t *v = NULL;
	struct dirent *d;
	struct stat ns;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, type);
	if (!dir || stat(path, &ns) < 0)
		return err_sys(e, "processes of the container");
	while ((d = readdir(dir))) {
		if (!isdigit((unsigned char)d->d_name[0]) || !is_in_namespace(d->d_name, type, &ns))
			continue;
		if (n == cap) {
			pid_t *more = reallocarray(v, cap + 64, sizeof *v);

			if (!more) {
				free(v);
				return err_oom(e);
			}
			v = more;
			cap += 64;
		}
		v[n++] = (pid_t)strtol(d->d_name, NULL, 10);
	}
	*ret = v;
	return (ssize_t)n;
}
