// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"

#define CHUNK ((size_t)256 << 10)
#define LAST_WORDS_MS 5000
#define LAST_WORDS_STEP_MS 5

/* ---- in the processes ---- */

/* From here to there: the caller's frames as they are, the stream's bytes in frames.  Ends with the caller or the connection. */
static void carry_up(struct wire *from, struct wire *to, int stream, uint64_t *bytes)
{
	static char buf[CHUNK];
	struct wire_frame f;
	struct err e;
	ssize_t n;

	for (;;) {
		struct pollfd fds[] = { { .fd = from->rd, .events = POLLIN }, { .fd = stream, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[0].revents && (wire_recv(from, &f, &e) < 0 || wire_send(to, f.type, f.data, f.len, &e) < 0))
			return;
		if (!fds[1].revents)
			continue;
		n = read(stream, buf, sizeof buf);
		if (n <= 0 && !(n < 0 && errno == EINTR))
			stream = -1; /* the other side is told in words, not by this end */
		if (n > 0 && wire_send(to, WIRE_PAGES, buf, (size_t)n, &e) < 0)
			return;
		__atomic_fetch_add(bytes, n > 0 ? (uint64_t)n : 0, __ATOMIC_RELAXED);
	}
}

/* From there to here. */
static void carry_down(struct wire *from, struct wire *to, int stream, uint64_t *bytes)
{
	bool open = true;
	struct wire_frame f;
	struct err e;

	while (wire_recv(from, &f, &e) >= 0) {
		if (f.type != WIRE_PAGES) {
			if (wire_send(to, f.type, f.data, f.len, &e) < 0)
				return;
			continue;
		}
		open = open && fs_write_fd(stream, f.data, f.len, "CRIU", &e) >= 0; /* CRIU's end is known by CRIU's status */
		__atomic_fetch_add(bytes, f.len, __ATOMIC_RELAXED);
	}
}

/* ---- for the caller ---- */

struct ends {
	int up[2], down[2];
};

static pid_t start(const struct wire *w, const struct ends *ends, int stream, uint64_t *bytes, bool up, struct err *e)
{
	pid_t pid = proc_fork(e);
	struct wire from = WIRE_NONE, to = *w;

	if (pid != 0)
		return pid;
	signal(SIGPIPE, SIG_IGN);
	close(ends->up[1]);
	close(ends->down[0]);
	to.buf = NULL;
	to.signals = -1; /* they are the caller's */
	if (up) {
		close(w->rd);
		close(ends->down[1]);
		from.rd = ends->up[0];
		carry_up(&from, &to, stream, &bytes[0]);
	} else {
		close(w->wr);
		close(ends->up[0]);
		from.wr = ends->down[1];
		carry_down(&to, &from, stream, &bytes[1]);
	}
	_exit(0);
}

static void close_two(int fd[2])
{
	fd_close(&fd[0]);
	fd_close(&fd[1]);
}

static int start_both(struct wire *w, struct ends *ends, int stream, struct relay *r, struct err *e)
{
	r->up = start(w, ends, stream, r->bytes, true, e);
	if (r->up < 0)
		return (int)r->up;
	r->down = start(w, ends, stream, r->bytes, false, e);
	if (r->down < 0)
		return (int)r->down;
	close(w->rd);
	close(w->wr);
	w->rd = fd_take(&ends->down[0]);
	w->wr = fd_take(&ends->up[1]);
	/* All of that is theirs to keep; what they end by ends ours. */
	w->rate = 0;
	w->timeout_ms = -1;
	fd_close(&w->turn);
	return 0;
}

int relay_start(struct wire *w, int stream, struct relay *ret, struct err *e)
{
	struct ends ends = { { -1, -1 }, { -1, -1 } };
	struct relay r = RELAY_NONE;
	int result;

	r.bytes = mmap(NULL, 2 * sizeof *r.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r.bytes == MAP_FAILED)
		return err_oom(e);
	result = pipe2(ends.up, O_CLOEXEC) < 0 || pipe2(ends.down, O_CLOEXEC) < 0 ? err_sys(e, "pipe") :
										    start_both(w, &ends, stream, &r, e);
	close_two(ends.up);
	close_two(ends.down);
	if (result < 0) {
		relay_end(&r);
		return result;
	}
	*ret = r;
	return 0;
}

uint64_t relay_bytes(const struct relay *r)
{
	return r->bytes ? __atomic_load_n(&r->bytes[0], __ATOMIC_RELAXED) + __atomic_load_n(&r->bytes[1], __ATOMIC_RELAXED) : 0;
}

void relay_finish(struct relay *r)
{
	int ms = 0;

	while (r->up > 0 && ms < LAST_WORDS_MS && waitpid(r->up, NULL, WNOHANG) == 0) {
		poll(NULL, 0, LAST_WORDS_STEP_MS);
		ms += LAST_WORDS_STEP_MS;
	}
	if (ms < LAST_WORDS_MS)
		r->up = 0;
	relay_end(r);
}

void relay_end(struct relay *r)
{
	proc_end(&r->up);
	proc_end(&r->down);
	if (r->bytes)
		munmap(r->bytes, 2 * sizeof *r->bytes);
	r->bytes = NULL;
}
