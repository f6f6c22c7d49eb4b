/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frames over a byte stream, both ways.
 *
 *   bytes  0-3  "vzm1"     4-5  type     6-7  0     8-11  length of what follows     12-15  CRC-32 of type, length and that
 *
 * All little-endian.  A frame that is damaged, too long or of another type than is due ends the conversation: there is nothing to
 * synchronise on.  Whoever has nothing to say for long says that it is there (WIRE_ALIVE), so that silence means a connection that
 * is gone, however long a restore or a copy takes.  Types that come later (disk images, their snapshots) are further kinds of FILE and PIPE, not new frames. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/decode.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define WIRE_MAX ((size_t)1 << 20) /* of one frame */
#define WIRE_SILENCE_MS 120000     /* after that nobody is there */

enum wire_type {
	WIRE_HELLO = 1,   /* struct migration_hello */
	WIRE_OFFER = 2,   /* struct migration_offer */
	WIRE_ANSWER = 3,  /* struct migration_answer */
	WIRE_ALIVE = 4,   /* nothing, between any two others */
	WIRE_DIR = 10,    /* a directory of files begins: its name */
	WIRE_FILE = 11,   /* one of its files begins: its name, a NUL, "" or "zstd" */
	WIRE_LINK = 12,   /* a link: its name, a NUL, where it leads */
	WIRE_DATA = 13,   /* of the file or pipe at hand */
	WIRE_FILE_END = 14,
	WIRE_DIR_END = 15,
	WIRE_PIPE = 20,   /* a program is to be run at the other end: its words, each with a NUL */
	WIRE_PIPE_EOF = 21,
	WIRE_PIPE_END = 22, /* it ended: its status, decimal */
	WIRE_PAGES = 25,    /* of the conversation about memory that is still at the source, either way */
	WIRE_RESTORE = 30,  /* struct migration_restore */
	WIRE_RESTORED = 31, /* it stands, and waits */
	WIRE_COMMIT = 32,   /* it may run, and does not here */
	WIRE_RUNNING = 33,
	WIRE_FETCHED = 34,  /* and has all its memory */
	WIRE_QUESTION = 40, /* struct migration_question */
	WIRE_FATE = 41,     /* struct migration_record */
	WIRE_DONE = 50,     /* what was asked for is done */
	WIRE_ERROR = 51,    /* it failed, and nothing is left of it: the text of the error */
	WIRE_LOST = 52,     /* the same, but it ran */
};

struct wire {
	int rd, wr;
	int signals;             /* of foreground_begin(): one that asks us to end ends a wait; -1: none does */
	int timeout_ms;          /* for the other side to say something, or to take it; -1: none */
	uint64_t rate;           /* bytes per second that may be sent; 0: as fast as it goes */
	uint64_t sent, received; /* bytes so far, by this process; */
	uint64_t *total;         /* sent, by all that have this connection (wire_total()) */
	int64_t began;           /* of the rate */
	uint64_t began_sent;
	char *buf;               /* of the frame received last */
	bool broken;             /* a frame could not be sent whole, or at all: no other can follow */
	int turn;                /* locked by whoever sends a frame, where there are several; -1: there are not */
	pid_t pulse;             /* says WIRE_ALIVE */
	const char *peer;        /* what it is called in errors: "host" */
	const char *peer_host;   /* and which one it is, by migration_hello; NULL: it does not say */
};

#define WIRE_NONE ((struct wire){ .rd = -1, .wr = -1, .signals = -1, .timeout_ms = -1, .turn = -1, .peer = "the other side" })

struct wire_frame {
	enum wire_type type;
	const char *data; /* until the next one is received; a NUL follows */
	size_t len;
};

/* Before its descriptors are closed: the other side would not see that. */
void wire_done(struct wire *w);

/* Bytes sent so far, also by those who sent beside us. */
uint64_t wire_total(const struct wire *w);

/* The hellos of both; from here on the other side hears that we are there. */
int wire_greet(struct wire *w, struct arena *a, struct err *e);

int wire_send(struct wire *w, enum wire_type type, const void *data, size_t len, struct err *e);
int wire_send_text(struct wire *w, enum wire_type type, const char *text, struct err *e);
int wire_send_document(struct wire *w, enum wire_type type, const struct oci_type *what, const void *document, struct err *e);
void wire_send_error(struct wire *w, const struct err *what, bool ran); /* as far as that is possible */

/* Until the other side says something, or `also` (-1: nothing) can be read: above zero.  num ETIMEDOUT: neither; EINTR: a signal. */
int wire_wait(struct wire *w, int also, struct err *e);

/* num EPIPE: the connection is gone. */
int wire_recv(struct wire *w, struct wire_frame *ret, struct err *e);
int wire_next(struct wire *w, struct wire_frame *ret, struct err *e); /* also WIRE_ALIVE, which wire_recv() keeps to itself */

/* One of this type; an error of the other side is ours, num EREMOTEIO, or with WIRE_LOST ENOTRECOVERABLE. */
int wire_expect(struct wire *w, enum wire_type type, struct wire_frame *ret, struct err *e);
int wire_expect_document(struct wire *w, enum wire_type type, const struct oci_type *what, void *ret, struct arena *a, struct err *e);

/* The error of a frame of another type than is due; an error of the other side as above. */
int wire_not_due(const struct wire *w, const struct wire_frame *f, struct err *e);

/* What stands at `at` and its end, "": there is nothing more. */
const char *wire_word(const struct wire_frame *f, size_t *at);
