// SPDX-License-Identifier: LGPL-2.1-or-later

/* rsync(1) through the wire.
 *
 * Each direction has a process of its own: with one for both, two ends that write and do not read would wait for each other. */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/sock.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/mount.h"
#include "runtime/migrate/files.h"

#define RSH_FD "VZRUN_MIGRATE_FD" /* in the environment of rsync and of migrate-rsh */
#define OPTIONS_MAX 8
#define WORDS_MAX 128
#define WORDS_BYTES 32768
#define CHUNK ((size_t)64 << 10)
#define TARGET "bundle/" /* the receiver knows which directory is meant */
/* rsync's status: files went away while it looked; some could not be read, one that became shorter meanwhile for one. */
#define VANISHED 24
#define PARTIAL 23

/* ---- both ends ---- */

/* In a process of its own: what comes from `fd` goes over the wire, until its end. */
static pid_t fork_sender(struct wire *w, int fd, int not_ours, struct err *e)
{
	pid_t pid = proc_fork(e);
	static char buf[CHUNK];
	ssize_t n;

	if (pid != 0)
		return pid;
	close(not_ours); /* the other direction ends when it is closed there */
	w->signals = -1; /* the caller's */
	while ((n = read(fd, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && wire_send(w, WIRE_DATA, buf, (size_t)n, e) < 0)
			_exit(1);
	_exit(wire_send(w, WIRE_PIPE_EOF, "", 0, e) < 0);
}

/* A program that does not read any more is told so by its end, not by ours. */
static void give(int *fd, const char *data, size_t len)
{
	struct err ignored;

	if (*fd >= 0 && len > 0 && fs_write_fd(*fd, data, len, "rsync", &ignored) < 0)
		fd_close(fd);
}

static int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* ---- the source ---- */

/* migrate-rsh: rsync's "remote shell".  Its words and its streams go to the vzrun that called rsync, whose answer is the exit
 * status. */
int rsync_rsh(const struct oci_strs *words, struct err *e)
{
	const char *text = getenv(RSH_FD);
	char all[WORDS_BYTES], status[16] = "";
	size_t len = 0;
	uint32_t fd;

	if (!text || num_u32(text, &fd) < 0)
		return err_set(e, ERR_USAGE, 0, "migrate-rsh is called by rsync, on behalf of vzrun migrate");
	/* The first is the host, the rest the command there. */
	for (size_t i = 1; i < words->n; i++) {
		size_t more = strlen(words->v[i]) + 1;

		if (len + more > sizeof all)
			return err_set(e, ERR_USAGE, E2BIG, "migrate-rsh");
		memcpy(all + len, words->v[i], more);
		len += more;
	}
	if (sock_send((int)fd, all, len, STDIN_FILENO, e) < 0 || sock_send((int)fd, "", 1, STDOUT_FILENO, e) < 0)
		return err_ret(e);
	/* Ours would keep the pipes open. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (sock_recv((int)fd, status, sizeof status - 1, NULL, e) <= 0)
		return 255;
	return atoi(status);
}

static int start_rsync(const char *from, const char *const *options, int sock, pid_t *ret, struct err *e)
{
	char rsh[64], number[16];
	/* The other side looks at its words: they are to stand where it sees them, and to be those that it knows. */
	const char *argv[OPTIONS_MAX + 9] = { "rsync", "-aHAX", "--numeric-ids", "--no-protect-args", "-e", rsh };
	size_t n = 6;
	int r;

	while (*options && n < 6 + OPTIONS_MAX)
		argv[n++] = *options++;
	unsetenv("RSYNC_ICONV");
	unsetenv("RSYNC_MAX_ALLOC");
	argv[n++] = from;
	argv[n] = "target:" TARGET;
	snprintf(rsh, sizeof rsh, "/proc/%d/exe migrate-rsh", (int)getpid());
	snprintf(number, sizeof number, "%d", sock);
	setenv(RSH_FD, number, 1);
	fcntl(sock, F_SETFD, 0);
	/* The container may put a link in the place of a directory while rsync is on its way through it. */
	r = proc_spawn_after(mount_without_links, from, argv, -1, -1, true, ret, e);
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	unsetenv(RSH_FD);
	return r;
}

static int lost(const struct wire *w, struct err *e)
{
	return err_set(e, ERR_STATE, EPIPE, "the connection to %s is gone", w->peer);
}

/* Above zero: the server has ended. */
static int take_server_word(struct wire *w, int *out, int *ret_status, struct err *e)
{
	struct wire_frame f;

	if (wire_next(w, &f, e) < 0)
		return err_ret(e);
	if (f.type == WIRE_PIPE_END)
		*ret_status = atoi(f.data);
	else if (f.type == WIRE_DATA)
		give(out, f.data, f.len);
	else if (f.type == WIRE_PIPE_EOF)
		fd_close(out);
	else if (f.type != WIRE_ALIVE)
		return wire_not_due(w, &f, e);
	return f.type == WIRE_PIPE_END;
}

/* Data for rsync until its server's end.  A sender that has ended well has said all that rsync did. */
static int take_data(struct wire *w, int to, pid_t *sender, int *ret_status, struct err *e)
{
	cleanup_fd int out = to, pidfd = sys_pidfd_open(*sender, 0);
	int r = 0;

	if (pidfd < 0)
		return err_sys(e, "pidfd_open");
	while (r == 0) {
		r = wire_wait(w, pidfd, e);
		if (r < 0)
			return r;
		if (r > 0) {
			r = wait_status(*sender) == 0 ? 0 : lost(w, e);
			*sender = 0;
			fd_close(&pidfd);
		} else {
			r = take_server_word(w, &out, ret_status, e);
		}
	}
	return r < 0 ? r : 0;
}

static int converse(struct wire *w, int sock, struct err *e)
{
	cleanup_fd int from = -1, to = -1;
	char words[WORDS_BYTES], word;
	int status = 255;
	ssize_t n;
	pid_t sender;

	n = sock_recv(sock, words, sizeof words, &from, e);
	if (n <= 0 || sock_recv(sock, &word, 1, &to, e) <= 0 || from < 0 || to < 0)
		return err_set(e, ERR_STATE, 0, "rsync did not come to its connection");
	if (wire_send(w, WIRE_PIPE, words, (size_t)n, e) < 0)
		return err_ret(e);
	sender = fork_sender(w, from, to, e);
	if (sender < 0)
		return (int)sender;
	fd_close(&from);
	if (take_data(w, fd_take(&to), &sender, &status, e) < 0) {
		proc_end(&sender);
		return err_ret(e);
	}
	/* rsync closes its end when its remote shell ends, and by that our sender does. */
	snprintf(words, sizeof words, "%d", status);
	if (sock_send(sock, words, strlen(words), -1, e) < 0 && sender > 0)
		kill(sender, SIGKILL);
	return sender == 0 || wait_status(sender) == 0 ? 0 : lost(w, e);
}

int rsync_send(struct wire *w, const char *from, const char *const *options, bool last, struct err *e)
{
	char how[64];
	int pair[2], status, r;
	pid_t pid = 0;

	if (sock_pair(pair, e) < 0)
		return err_ret(e);
	cleanup_fd int ours = pair[0];
	r = start_rsync(from, options, pair[1], &pid, e);
	close(pair[1]);
	if (r < 0)
		return r;
	r = converse(w, ours, e);
	fd_close(&ours);
	if (r < 0)
		kill(pid, SIGKILL);
	status = wait_status(pid);
	if (r < 0)
		return err_wrap(e, "rsync");
	if (status == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == VANISHED))
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == PARTIAL && !last) {
		log_warn("rsync could not bring all files yet; what it still cannot when the container stands still ends the migration");
		return 0;
	}
	return err_set(e, ERR_STATE, 0, "rsync: %s", proc_status_text(status, how, sizeof how));
}

/* ---- the target ---- */

/* Of what rsync knows only that which our own client asks for: with other words it reads more of them (-s, --daemon), or writes elsewhere
 * (-K, -b, -T).  Behind an e stands what the client can do. */
static bool is_known(const char *word)
{
	static const char *const known[] = { "--delete", "--delete-during", "--numeric-ids" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(word, known[i]) == 0)
			return true;
	if (word[0] != '-' || !word[1])
		return false;
	word++;
	word += strspn(word, "lHogDtpAXrcIRS");
	if (*word == 'e')
		while (isalnum((unsigned char)*word) || *word == '.')
			word++;
	return !*word;
}

int rsync_check_words(const char *const *words, size_t n, struct err *e)
{
	bool well = n >= 4 && strcmp(words[0], "rsync") == 0 && strcmp(words[1], "--server") == 0 && strcmp(words[n - 1], TARGET) == 0 &&
		    strcmp(words[n - 2], ".") == 0;

	for (size_t i = 2; well && i < n - 2; i++)
		if (!is_known(words[i]))
			return err_set(e, ERR_STATE, EBADMSG, "rsync may not be told \"%.40s\" here", words[i]);
	return well ? 0 : err_set(e, ERR_STATE, EBADMSG, "this is no rsync that writes here");
}

static int start_server(const char *const *words, int *ret_in, int *ret_out, pid_t *ret, struct err *e)
{
	int in[2], out[2], r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return err_sys(e, "pipe");
	}
	r = proc_spawn(words, in[0], out[1], false, ret, e);
	close(in[0]);
	close(out[1]);
	*ret_in = in[1];
	*ret_out = out[0];
	return r;
}

struct pipe_ends {
	pid_t server, sender;
};

/* Above zero: the client's last word was taken. */
static int take_word(struct wire *w, int *in, struct err *e)
{
	struct wire_frame f;

	if (wire_next(w, &f, e) < 0)
		return err_ret(e);
	if (f.type == WIRE_PIPE_EOF)
		return 1;
	if (f.type != WIRE_DATA && f.type != WIRE_ALIVE)
		return wire_not_due(w, &f, e);
	give(in, f.data, f.len);
	return 0;
}

/* All that the server wrote has been sent before its status is. */
static int tell_status(struct wire *w, struct pipe_ends *ends, struct err *e)
{
	int status = wait_status(ends->server);
	char text[16];

	ends->server = 0;
	wait_status(ends->sender);
	ends->sender = 0;
	snprintf(text, sizeof text, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	return wire_send_text(w, WIRE_PIPE_END, text, e);
}

/* The server ends first, and is told of; then the client, which has waited for that, closes its side. */
static int serve(struct wire *w, struct pipe_ends *ends, int *in, struct err *e)
{
	cleanup_fd int pidfd = sys_pidfd_open(ends->server, 0);
	int r = 0;

	if (pidfd < 0)
		return err_sys(e, "pidfd_open");
	while (r == 0) {
		bool ended = (r = wire_wait(w, ends->server ? pidfd : -1, e)) > 0;

		if (r == 0)
			r = take_word(w, in, e);
		else if (ended)
			r = 0;
		if (r > 0)
			fd_close(in);
		if (ends->server && (ended || r > 0))
			r = tell_status(w, ends, e) < 0 ? err_ret(e) : r;
	}
	return r < 0 ? r : 0;
}

int rsync_receive(struct wire *w, const struct wire_frame *first, const char *to, struct err *e)
{
	const char *words[WORDS_MAX + 1] = { 0 };
	cleanup_fd int in = -1, out = -1;
	cleanup_str struct str copy = { 0 };
	struct pipe_ends ends;
	size_t n = 0;
	int r;

	str_addn(&copy, first->data, first->len);
	if (str_failed(&copy))
		return err_oom(e);
	for (size_t at = 0; at < copy.len && n < WORDS_MAX; at += strlen(copy.s + at) + 1)
		words[n++] = copy.s + at;
	if (rsync_check_words(words, n, e) < 0)
		return err_ret(e);
	words[n - 1] = to;
	/* Not CLOEXEC: all processes of rsync are to have it, and whoever removes what is there waits for their end (record.c). */
	cleanup_fd int held = open(to, O_RDONLY | O_DIRECTORY);
	if (held < 0 || flock(held, LOCK_SH | LOCK_NB) < 0)
		return err_sys(e, "%s", to);
	if (start_server(words, &in, &out, &ends.server, e) < 0)
		return err_ret(e);
	ends.sender = fork_sender(w, out, in, e);
	fd_close(&out);
	r = ends.sender < 0 ? (int)ends.sender : serve(w, &ends, &in, e);
	if (r < 0) {
		proc_end(&ends.server);
		proc_end(&ends.sender);
	}
	return r;
}
