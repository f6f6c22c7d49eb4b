/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A container moves to another host, live.
 *
 * The source decides nothing alone and the target runs nothing alone: memory and files are copied while the container runs here;
 * then it is stopped, the rest is copied, the target restores it and waits; at the word to go on it runs there, and what is left
 * here is killed.  Until that word any failure lets it go on here.  When the answer to that very word is lost, the container stays
 * frozen here and the record says so, until migrate_resolve() has asked.
 *
 * With post-copy it runs there before all its memory is there, and stays frozen here until it is.  What is lost in between ends it there. */

#include <stdbool.h>
#include <stdint.h>

#include "oci/migration.h"
#include "oci/spec.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

struct migrate_progress;

struct migrate_options {
	const char *root, *id;      /* here */
	const char *host;           /* [user@]host */
	struct oci_strs command;    /* what gives a byte stream to a program there: "ssh"; host and words follow */
	const char *remote_root, *remote_bundle, *new_id; /* NULL: as here */
	int64_t rootfs;             /* enum migration_rootfs */
	bool pre_copy;              /* memory is sent in rounds while the container runs */
	bool post_copy;             /* what is left then, when it runs there */
	unsigned max_rounds;
	int64_t max_downtime_ms;    /* 0: rounds end by what they bring alone */
	uint64_t bandwidth;         /* bytes per second; 0: all */
	bool compress, keep, dry_run;
	bool ext_unix_sk;           /* unix sockets that are connected to the outside, which has them there too */
	int signals;                /* of foreground_begin(), or -1 */
	/* What it is at, for people or programs. */
	void (*progress)(void *arg, const struct migrate_progress *p);
	void *arg;
};

struct migrate_progress {
	const char *phase;          /* "check", "files", "memory", "freeze", "restore", "fetch", "done" */
	unsigned round;
	uint64_t bytes;             /* sent in this phase */
	uint64_t rate;              /* bytes per second of it */
	uint64_t dirty;             /* bytes per second that the container changes; 0: not known */
	int64_t downtime_ms;        /* what it would be, or in "done" was */
};

/* 0: it runs there.  ERR_STATE with num EINPROGRESS: undecided; ENOTRECOVERABLE: it ran there, was ended, and is here as it was before:
 * it goes on, or with a shared root stays paused. */
int migrate(const struct migrate_options *o, struct err *e);
/* Above zero: it runs there; 0: here.  ENOTRECOVERABLE as above. */
int migrate_resolve(const struct migrate_options *o, struct err *e);

/* `vzrun migrate-receive`: the other side, on its standard streams. */
int migrate_receive(const char *root, struct err *e);

/* What one that was killed has left below this --root. */
int migrate_reconcile(const char *root, struct err *e);
