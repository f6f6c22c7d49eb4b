/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the systemd driver needs of D-Bus, by sd-bus, which knows the protocol.  Ours is the connection itself, so that
 * connecting has a time limit and takes no library, and the waiting: no call below lasts longer than BUS_TIMEOUT_MS.
 *
 * libsystemd is opened by the first bus_begin().  That is after init has been cloned: a shared library that is mapped
 * before makes the clone dearer, and its symbols are looked up while init is at work. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"

#ifdef VZRUN_FAULT_INJECTION
#define BUS_TIMEOUT_MS 3000 /* a test can wait for it */
#else
#define BUS_TIMEOUT_MS 30000
#endif

struct sd_bus;
struct sd_bus_message;

struct bus {
	bool open;
	bool direct;       /* systemd itself is at the other end: no broker, so no greeting and no match rules */
	int fd;            /* -1: none, or it belongs to sd already */
	pid_t peer;        /* who listens; 0: a process that we cannot see */
	struct sd_bus *sd; /* since the first call */
	struct sd_bus_message *in; /* the last one received */
	char where[160];   /* the socket, for error texts */
};

/* A zeroed struct bus is a closed one. */
int bus_open(const char *socket, bool direct, struct bus *ret, struct err *e);
void bus_close(struct bus *b);

/* ---- calls ---- */

struct bus_member {
	const char *path, *interface, *name;
};
extern const struct bus_member systemd_start_unit, systemd_stop_unit, systemd_reset_unit, systemd_set_unit,
	systemd_attach, systemd_get_property;

struct bus_call {
	struct sd_bus_message *m;
	int failed; /* the first error of a writer; bus_send() tells it */
};
void bus_call_done(struct bus_call *c);
#define cleanup_bus_call __attribute__((cleanup(bus_call_done)))

/* Begins a call; the first one waits until the other end has accepted us. */
int bus_begin(struct bus *b, const struct bus_member *member, struct bus_call *ret, struct err *e);
void bus_put(struct bus_call *c, char type, const void *value); /* as sd_bus_message_append_basic() wants it */
void bus_put_u32(struct bus_call *c, uint32_t v);
void bus_put_text(struct bus_call *c, const char *text);
void bus_enter(struct bus_call *c, char type, const char *contents); /* 'a', 'v', and 'r' for a structure */
void bus_leave(struct bus_call *c);
/* Returns what the reply will be known by, or below zero. */
int64_t bus_send(struct bus *b, struct bus_call *c, struct err *e);
/* From now on signals of the manager reach us, also through a broker. */
int bus_listen(struct bus *b, struct err *e);

/* ---- what comes ---- */

enum bus_kind { BUS_REPLY = 2, BUS_ERROR, BUS_SIGNAL };

struct bus_message { /* good until the next bus_receive() */
	unsigned kind;
	int64_t reply_to;
	const char *member, *error, *text; /* text: of the error; none is ever NULL */
	const char *signature;
	struct sd_bus_message *m;
	bool bad; /* a reader met something else than it wanted */
};

/* The next message of any kind; ETIMEDOUT when none came until then (clock_ms()). */
int bus_receive(struct bus *b, int64_t until, struct bus_message *ret, struct err *e);
/* The reply to this call; other messages are passed over.  An error reply is returned as a message too. */
int bus_wait_reply(struct bus *b, int64_t call, struct bus_message *ret, struct err *e);
/* "org.freedesktop.systemd1.NoSuchUnit" and the text with it, as our error. */
int bus_error(const struct bus_message *m, struct err *e);

uint32_t bus_read_u32(struct bus_message *m);
const char *bus_read_text(struct bus_message *m, char type); /* 's' or 'o'; never NULL */
void bus_read_enter(struct bus_message *m, char type, const char *contents);
