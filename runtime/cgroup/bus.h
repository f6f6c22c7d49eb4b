/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* As much of D-Bus as it takes to talk to systemd: calls, their replies, and signals, over a unix socket.
 *
 * No library is used.  libsystemd would have to be opened at every create, and its time limits and its queue are its
 * own: here one write carries the request while other work goes on, and no wait is without an end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"

#ifdef VZRUN_FAULT_INJECTION
#define BUS_TIMEOUT_MS 3000 /* a test can wait for it */
#else
#define BUS_TIMEOUT_MS 30000
#endif

struct bus {
	int fd;
	bool direct;       /* systemd itself is at the other end: no broker, so no greeting and no match rules */
	bool ready;        /* it has accepted us */
	pid_t peer;        /* who listens; 0: a process that we cannot see */
	uint32_t serial;   /* of the last call */
	struct str in;     /* received and not yet taken */
	size_t taken;
	char where[160];   /* the socket, for error texts */
};

/* Connects and begins to introduce us; the answer is awaited by the first bus_call(). */
int bus_open(const char *socket, bool direct, struct bus *ret, struct err *e);
void bus_close(struct bus *b);

struct bus_member {
	const char *path, *interface, *name, *signature;
};
extern const struct bus_member systemd_start_unit, systemd_stop_unit, systemd_reset_unit, systemd_set_unit,
	systemd_attach, systemd_get_property;

/* Sends a call; returns its serial number, or below zero. */
int64_t bus_call(struct bus *b, const struct bus_member *member, const struct str *body, struct err *e);
/* From now on signals of the manager reach us, also through a broker. */
int bus_listen(struct bus *b, struct err *e);

enum bus_kind { BUS_CALL = 1, BUS_REPLY, BUS_ERROR, BUS_SIGNAL };

struct bus_message {       /* texts and body are good until the next bus_receive() */
	unsigned kind;
	uint32_t reply_to;
	const char *member, *error, *signature;
	const char *body;
	size_t len, pos;   /* pos: of the readers below */
	bool bad;          /* a reader met something else than it wanted */
};

/* The next message of any kind; ETIMEDOUT when none came until then (clock_ms()). */
int bus_receive(struct bus *b, int64_t until, struct bus_message *ret, struct err *e);
/* The reply to this call; other messages are passed over.  An error reply is returned as a message too. */
int bus_wait_reply(struct bus *b, int64_t serial, struct bus_message *ret, struct err *e);
/* "org.freedesktop.systemd1.NoSuchUnit" and the text with it, as our error. */
int bus_error(struct bus *b, struct bus_message *m, struct err *e);

uint32_t bus_read_u32(struct bus_message *m);
const char *bus_read_text(struct bus_message *m); /* s or o; never NULL */
const char *bus_read_signature(struct bus_message *m);

/* Writers of a body. */
void bus_align(struct str *body, size_t to);
void bus_put(struct str *body, const void *value, size_t size); /* aligned to its size */
void bus_put_u32(struct str *body, uint32_t v);
void bus_put_text(struct str *body, const char *text);          /* s and o */
void bus_put_signature(struct str *body, const char *text);
struct bus_array {
	size_t length_at, begin;
};
struct bus_array bus_array_begin(struct str *body, size_t element_align);
void bus_array_end(struct str *body, struct bus_array a);
