// SPDX-License-Identifier: LGPL-2.1-or-later
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/fd.h"
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
	wire_send_error(&w, &theirs);
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
