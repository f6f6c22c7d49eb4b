// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

#include "oci/emit.h"
#include "oci/migration.h"
#include "runtime/base/clock.h"
#include "runtime/base/crc.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/proc.h"
#include "runtime/flow/foreground.h"

#define HEADER 16
#define MAGIC "vzm1"
#define RATE_SLICE_MS 50 /* how far ahead of the rate one may be */
#define ALIVE_MS 10000

/* ---- bytes ---- */

static void put(uint8_t *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get(const uint8_t *from, int bytes)
{
	uint32_t value = 0;

	for (int i = bytes; i-- > 0;)
		value = value << 8 | from[i];
	return value;
}

static int gone(const struct wire *w, struct err *e)
{
	return err_set(e, ERR_STATE, EPIPE, "the connection to %s is gone", w->peer);
}

/* Until one of `fds` is ready, of which the last is for signals. */
static int await(const struct wire *w, struct pollfd *fds, size_t n, const char *what, struct err *e)
{
	fds[n - 1] = (struct pollfd){ .fd = w->signals, .events = POLLIN };
	for (;;) {
		int r = poll(fds, n, w->timeout_ms), sig;

		if (r < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (r == 0)
			return err_set(e, ERR_STATE, ETIMEDOUT, "%s %s", w->peer, what);
		if (r < 0)
			continue;
		sig = fds[n - 1].revents ? foreground_ending_signal(w->signals) : 0;
		if (sig)
			return err_set(e, ERR_STATE, EINTR, "interrupted by %s", sigabbrev_np(sig));
		if (r > 1 || !fds[n - 1].revents)
			return 0;
	}
}

/* No more than a pipe takes at once when it takes anything: the descriptor, which others may have too, is left as it blocks. */
static int write_all(const struct wire *w, const void *data, size_t len, struct err *e)
{
	for (const char *p = data; len > 0;) {
		struct pollfd fds[2] = { { .fd = w->wr, .events = POLLOUT } };
		ssize_t n;

		if (await(w, fds, ARRAY_SIZE(fds), "takes nothing", e) < 0)
			return err_ret(e);
		n = write(w->wr, p, len < PIPE_BUF ? len : PIPE_BUF);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return gone(w, e);
		if (n < 0)
			return err_sys(e, "write to %s", w->peer);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int wire_wait(struct wire *w, int also, struct err *e)
{
	struct pollfd fds[3] = { { .fd = also, .events = POLLIN }, { .fd = w->rd, .events = POLLIN } };

	return await(w, fds, ARRAY_SIZE(fds), "says nothing", e) < 0 ? err_ret(e) : fds[0].revents != 0;
}

static int read_all(struct wire *w, void *data, size_t len, struct err *e)
{
	for (char *p = data; len > 0;) {
		ssize_t n;

		if (wire_wait(w, -1, e) < 0)
			return err_ret(e);
		n = read(w->rd, p, len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return gone(w, e);
		if (n < 0)
			return err_sys(e, "read from %s", w->peer);
		p += n;
		len -= (size_t)n;
		w->received += (uint64_t)n;
	}
	return 0;
}

/* Until what was sent is no more than the rate allows. */
static int keep_rate(struct wire *w, struct err *e)
{
	struct wire pause = { .signals = w->signals, .peer = "" };
	struct pollfd none[1];
	struct err why;
	int64_t now = clock_ms(), due;

	if (!w->rate)
		return 0;
	if (!w->began) {
		w->began = now;
		w->began_sent = w->sent;
	}
	due = w->began + (int64_t)((w->sent - w->began_sent) * 1000 / w->rate);
	pause.timeout_ms = (int)(due - now);
	if (due > now + RATE_SLICE_MS && await(&pause, none, 1, "", &why) < 0 && why.num != ETIMEDOUT) {
		*e = why;
		return err_ret(e);
	}
	/* Who was idle has saved nothing up. */
	if (due + 1000 < now) {
		w->began = now;
		w->began_sent = w->sent;
	}
	return 0;
}

void wire_done(struct wire *w)
{
	proc_end(&w->pulse);
	fd_close(&w->turn);
	if (w->total)
		munmap(w->total, sizeof *w->total);
	w->total = NULL;
	free(w->buf);
	w->buf = NULL;
}

uint64_t wire_total(const struct wire *w)
{
	return w->total ? __atomic_load_n(w->total, __ATOMIC_RELAXED) : w->sent;
}

/* ---- frames ---- */

static uint32_t checksum(const uint8_t *header, const void *data, size_t len)
{
	return crc32(crc32(0, header + 4, 8), data, len);
}

/* It ends with the process that has it. */
static int take_turn(const struct wire *w, short what, struct err *e)
{
	struct flock lock = { .l_type = what, .l_whence = SEEK_SET };

	while (w->turn >= 0 && fcntl(w->turn, F_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return err_sys(e, "lock the connection to %s", w->peer);
	return 0;
}

/* All that can be waited for comes before the first byte: a short frame is sent as a whole or not at all. */
int wire_send(struct wire *w, enum wire_type type, const void *data, size_t len, struct err *e)
{
	uint8_t header[HEADER] = MAGIC;
	struct err ignored;

	if (len > WIRE_MAX)
		return err_set(e, ERR_INTERNAL, EMSGSIZE, "frame %d of %zu bytes", (int)type, len);
	if (w->broken)
		return gone(w, e);
	put(header + 4, type, 2);
	put(header + 8, len, 4);
	put(header + 12, checksum(header, data, len), 4);
	if (keep_rate(w, e) < 0 || take_turn(w, F_WRLCK, e) < 0)
		return err_ret(e);
	w->broken = write_all(w, header, HEADER, e) < 0 || write_all(w, data, len, e) < 0;
	take_turn(w, F_UNLCK, &ignored);
	w->sent += HEADER + len;
	if (w->total)
		__atomic_add_fetch(w->total, HEADER + len, __ATOMIC_RELAXED);
	return w->broken ? err_ret(e) : 0;
}

int wire_send_text(struct wire *w, enum wire_type type, const char *text, struct err *e)
{
	return wire_send(w, type, text, strlen(text), e);
}

int wire_send_document(struct wire *w, enum wire_type type, const struct oci_type *what, const void *document, struct err *e)
{
	cleanup_str struct str text = { 0 };

	decode_emit(what, document, &(struct emit){ .out = &text });
	return str_failed(&text) ? err_oom(e) : wire_send(w, type, text.s, text.len, e);
}

void wire_send_error(struct wire *w, const struct err *what, bool ran)
{
	char text[ERR_TEXT_MAX + 128];
	struct err ignored;

	wire_send_text(w, ran ? WIRE_LOST : WIRE_ERROR, err_format(what, text, sizeof text), &ignored);
}

static int damaged(const struct wire *w, const char *how, struct err *e)
{
	return err_set(e, ERR_STATE, EBADMSG, "what comes from %s is no frame of this protocol: %s", w->peer, how);
}

int wire_next(struct wire *w, struct wire_frame *ret, struct err *e)
{
	uint8_t header[HEADER];
	size_t len;

	if (!w->buf)
		w->buf = malloc(WIRE_MAX + 1);
	if (!w->buf)
		return err_oom(e);
	if (read_all(w, header, HEADER, e) < 0)
		return err_ret(e);
	if (memcmp(header, MAGIC, 4) != 0)
		return damaged(w, "another beginning", e);
	len = get(header + 8, 4);
	if (len > WIRE_MAX)
		return damaged(w, "too long", e);
	if (read_all(w, w->buf, len, e) < 0)
		return err_ret(e);
	if (get(header + 12, 4) != checksum(header, w->buf, len))
		return damaged(w, "another checksum", e);
	w->buf[len] = '\0';
	*ret = (struct wire_frame){ (enum wire_type)get(header + 4, 2), w->buf, len };
	return 0;
}

int wire_recv(struct wire *w, struct wire_frame *ret, struct err *e)
{
	do
		if (wire_next(w, ret, e) < 0)
			return err_ret(e);
	while (ret->type == WIRE_ALIVE);
	return 0;
}

int wire_not_due(const struct wire *w, const struct wire_frame *f, struct err *e)
{
	if (f->type != WIRE_ERROR && f->type != WIRE_LOST)
		return damaged(w, "another frame than is due", e);
	err_set(e, ERR_STATE, 0, "%s: %s", w->peer, f->data);
	err_sanitize(e);
	e->num = f->type == WIRE_LOST ? ENOTRECOVERABLE : EREMOTEIO;
	return err_ret(e);
}

int wire_expect(struct wire *w, enum wire_type type, struct wire_frame *ret, struct err *e)
{
	if (wire_recv(w, ret, e) < 0)
		return err_ret(e);
	return ret->type == type ? 0 : wire_not_due(w, ret, e);
}

int wire_expect_document(struct wire *w, enum wire_type type, const struct oci_type *what, void *ret, struct arena *a, struct err *e)
{
	struct wire_frame f;

	return wire_expect(w, type, &f, e) < 0 ? err_ret(e) : migration_parse(what, f.data, f.len, ret, a, e);
}

const char *wire_word(const struct wire_frame *f, size_t *at)
{
	const char *word = *at < f->len ? f->data + *at : "";

	*at += strlen(word) + 1;
	return word;
}

/* ---- both sides are there ---- */

/* In a process of its own, since ours may be in a restore.  It never waits: a connection that takes nothing has enough to carry. */
static void __attribute__((noreturn)) beat(struct wire *w)
{
	struct pollfd out = { .fd = w->wr, .events = POLLOUT };
	struct err e = { 0 };

	signal(SIGPIPE, SIG_IGN);
	close(w->rd);
	w->signals = -1;
	w->rate = 0;
	for (;;) {
		poll(NULL, 0, ALIVE_MS);
		if (take_turn(w, F_WRLCK, &e) < 0 || (poll(&out, 1, 0) > 0 && wire_send(w, WIRE_ALIVE, "", 0, &e) < 0))
			_exit(1);
		take_turn(w, F_UNLCK, &e);
	}
}

static int start_pulse(struct wire *w, struct err *e)
{
	w->turn = memfd_create("turn", MFD_CLOEXEC);
	if (w->turn < 0)
		return err_sys(e, "memfd_create");
	w->total = mmap(NULL, sizeof *w->total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->total == MAP_FAILED) {
		w->total = NULL;
		return err_sys(e, "mmap");
	}
	*w->total = w->sent;
	w->pulse = proc_fork(e);
	if (w->pulse == 0)
		beat(w);
	return w->pulse < 0 ? (int)w->pulse : 0;
}

static const char *host_here(struct arena *a)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;

	if (fs_read(AT_FDCWD, "/etc/machine-id", 64, &text, &ignored) < 0 || !text.len)
		return NULL;
	return arena_strndup(a, text.s, strcspn(text.s, "\n"));
}

int wire_greet(struct wire *w, struct arena *a, struct err *e)
{
	const struct migration_hello ours = { .protocol = MIGRATION_PROTOCOL, .vzrun = PACKAGE_VERSION, .host = host_here(a) };
	struct migration_hello theirs = { 0 };

	if (wire_send_document(w, WIRE_HELLO, &migration_hello_type, &ours, e) < 0 ||
	    wire_expect_document(w, WIRE_HELLO, &migration_hello_type, &theirs, a, e) < 0)
		return err_ret(e);
	if (theirs.protocol < MIGRATION_OLDEST)
		return err_set(e, ERR_UNSUPPORTED, 0, "vzrun %.40s of %s speaks an older protocol: both sides need this version, %s",
			       theirs.vzrun ? theirs.vzrun : "", w->peer, PACKAGE_VERSION);
	w->peer_host = theirs.host;
	return start_pulse(w, e);
}
