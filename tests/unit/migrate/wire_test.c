// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/flow/foreground.h"
#include "runtime/migrate/wire.h"
#include "tests/lib/test.h"

/* What is sent comes out of the other end of a pipe, which holds a frame. */
static void begin(struct wire *w)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	*w = WIRE_NONE;
	CHECK_INT(pipe(ends), 0);
	w->rd = ends[0];
	w->wr = ends[1];
	w->timeout_ms = 1000;
}

static void end(struct wire *w)
{
	fd_close(&w->rd);
	fd_close(&w->wr);
	wire_done(w);
}

TEST(a_frame_comes_as_it_was_sent)
{
	struct wire_frame f;
	struct wire w;
	struct err e;
	size_t at = 0;

	begin(&w);
	CHECK_INT(wire_send(&w, WIRE_LINK, "a\0bc", 4, &e), 0);
	CHECK_INT(wire_send(&w, WIRE_DATA, "", 0, &e), 0);
	CHECK_INT(wire_recv(&w, &f, &e), 0);
	CHECK_INT(f.type, WIRE_LINK);
	CHECK_INT(f.len, 4);
	CHECK_STR(wire_word(&f, &at), "a");
	CHECK_STR(wire_word(&f, &at), "bc");
	CHECK_STR(wire_word(&f, &at), "");
	CHECK_INT(wire_recv(&w, &f, &e), 0);
	CHECK_INT(f.len, 0);
	end(&w);
}

/* The checksum is the one that everybody knows as CRC-32. */
TEST(the_bytes_of_a_frame)
{
	static const unsigned char want[] = { 'v', 'z', 'm', '1', 13, 0, 0, 0, 2, 0, 0, 0 };
	unsigned char got[18];
	struct wire w;
	struct err e;

	begin(&w);
	CHECK_INT(wire_send(&w, WIRE_DATA, "hi", 2, &e), 0);
	CHECK_INT(read(w.rd, got, sizeof got), 18);
	CHECK(memcmp(got, want, sizeof want) == 0);
	/* python3 -c 'import zlib; print(hex(zlib.crc32(bytes([13,0,0,0,2,0,0,0]) + b"hi")))' */
	CHECK_INT(got[12] | got[13] << 8 | got[14] << 16 | (long long)got[15] << 24, 3270933150LL);
	CHECK(memcmp(got + 16, "hi", 2) == 0);
	end(&w);
}

static void expect_refusal(const char *bytes, size_t len, const char *text)
{
	struct wire_frame f;
	struct wire w;
	struct err e;

	begin(&w);
	CHECK_INT(write(w.wr, bytes, len), len);
	fd_close(&w.wr);
	CHECK(wire_recv(&w, &f, &e) < 0);
	CHECK(strstr(e.text, text) != NULL);
	end(&w);
}

TEST(damaged_frames_are_refused)
{
	expect_refusal("", 0, "is gone");
	expect_refusal("vzm1\x0d\0\0\0", 8, "is gone");
	expect_refusal("SSH-2.0-OpenSSH_9", 17, "another beginning");
	expect_refusal("vzm1\x0d\0\0\0\xff\xff\xff\xff\0\0\0\0", 16, "too long");
	expect_refusal("vzm1\x0d\0\0\0\x02\0\0\0\x01\x02\x03\x04hi", 18, "another checksum");
	expect_refusal("vzm1\x0d\0\0\0\x02\0\0\0\x01\x02\x03\x04h", 17, "is gone");
}

TEST(what_is_due)
{
	struct err e, theirs;
	struct wire_frame f;
	struct wire w;

	begin(&w);
	CHECK_INT(wire_send(&w, WIRE_HELLO, "{}", 2, &e), 0);
	CHECK(wire_expect(&w, WIRE_OFFER, &f, &e) < 0);
	CHECK_INT(e.num, EBADMSG);
	err_set(&theirs, ERR_STATE, 0, "no room\x1b[2J");
	wire_send_error(&w, &theirs, true);
	CHECK(wire_expect(&w, WIRE_OFFER, &f, &e) < 0);
	CHECK_INT(e.num, ENOTRECOVERABLE);
	CHECK(strstr(e.text, "no room") != NULL);
	wire_send_error(&w, &theirs, false);
	CHECK(wire_expect(&w, WIRE_OFFER, &f, &e) < 0);
	CHECK_INT(e.num, EREMOTEIO);
	CHECK(strstr(e.text, "no room") != NULL);
	CHECK(strchr(e.text, '\x1b') == NULL);
	w.timeout_ms = 20;
	CHECK(wire_recv(&w, &f, &e) < 0);
	CHECK_INT(e.num, ETIMEDOUT);
	fd_close(&w.rd);
	CHECK(wire_send(&w, WIRE_DATA, "x", 1, &e) < 0);
	CHECK_INT(e.num, EPIPE);
	end(&w);
}

/* A peer that is there and does not read. */
TEST(nobody_takes_it)
{
	static char much[WIRE_MAX];
	struct wire w;
	struct err e;

	begin(&w);
	w.timeout_ms = 50;
	CHECK(wire_send(&w, WIRE_DATA, much, sizeof much, &e) < 0);
	CHECK_INT(e.num, ETIMEDOUT);
	CHECK(strstr(e.text, "takes nothing") != NULL);
	/* What would follow a part of a frame is no frame. */
	CHECK(wire_send(&w, WIRE_DATA, "x", 1, &e) < 0);
	CHECK_INT(e.num, EPIPE);
	end(&w);
}

/* In a process of its own, whose signals are blocked from then on. */
static void signalled(struct wire *w, int sig, bool send)
{
	static char much[WIRE_MAX];
	int64_t began = clock_ms();
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct foreground fg;
		struct wire_frame f;
		struct err e;
		pid_t us = getpid();

		if (foreground_begin(&fg, false, &e) < 0)
			_exit(1);
		w->signals = fg.signals;
		w->timeout_ms = 20000;
		if (fork() == 0) {
			kill(us, SIGCHLD); /* does not ask us to end */
			poll(NULL, 0, 50);
			kill(us, sig);
			_exit(0);
		}
		_exit((send ? wire_send(w, WIRE_DATA, much, sizeof much, &e) : wire_recv(w, &f, &e)) < 0 && e.num == EINTR ? 0 : 2);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK(clock_ms() - began < 10000);
}

TEST(a_signal_ends_a_wait)
{
	struct wire w;

	begin(&w);
	signalled(&w, SIGTERM, false);
	signalled(&w, SIGINT, true);
	/* Nor does it wait for the rate. */
	w.rate = 1;
	w.sent = 1000;
	w.began = clock_ms();
	signalled(&w, SIGINT, true);
	end(&w);
}

/* Who says that it is there is not silent. */
TEST(alive)
{
	struct wire_frame f;
	struct wire w;
	struct err e;
	pid_t pid;

	begin(&w);
	w.timeout_ms = 1000; /* a busy machine is late */
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 20; i++) {
			poll(NULL, 0, 100);
			wire_send(&w, WIRE_ALIVE, "", 0, &e);
		}
		_exit(wire_send(&w, WIRE_RESTORED, "", 0, &e) < 0);
	}
	CHECK_INT(wire_expect(&w, WIRE_RESTORED, &f, &e), 0);
	waitpid(pid, NULL, 0);
	end(&w);
}

/* Both ends in one process: what each says is there for the other. */
static void begin_two(struct wire *a, struct wire *b)
{
	begin(a);
	begin(b);
	int rd = a->rd;

	a->rd = b->rd;
	b->rd = rd;
}

TEST(greeting)
{
	struct arena arena = { 0 };
	struct wire_frame f;
	struct wire a, b;
	struct err e;
	pid_t pid;

	begin_two(&a, &b);
	pid = fork();
	if (pid == 0) {
		int r = wire_greet(&b, &arena, &e);

		wire_send(&b, WIRE_DONE, "", 0, &e);
		wire_done(&b);
		_exit(r < 0);
	}
	CHECK_INT(wire_greet(&a, &arena, &e), 0);
	CHECK(a.pulse > 0);
	CHECK_INT(wire_expect(&a, WIRE_DONE, &f, &e), 0);
	waitpid(pid, NULL, 0);
	end(&a);
	end(&b);
	/* One that is older. */
	begin_two(&a, &b);
	CHECK_INT(wire_send_text(&b, WIRE_HELLO, "{\"protocol\": 2, \"vzrun\": \"0.0\"}", &e), 0);
	CHECK(wire_greet(&a, &arena, &e) < 0);
	CHECK_INT(e.kind, ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "vzrun 0.0 of the other side speaks an older protocol") != NULL);
	end(&a);
	end(&b);
	arena_done(&arena);
}
