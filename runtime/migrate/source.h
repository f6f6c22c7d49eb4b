/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The source of a migration, for the files that make it up: source.c the course of it, source_check.c what is asked before anything is
 * done, source_files.c its files, source_copy.c what is sent of its memory while it runs, source_switch.c what is while it stands still,
 * resolve.c what became of it. */

#include <limits.h>
#include <sys/types.h>
#include <time.h>

#include "runtime/flow/checkpoint.h"
#include "runtime/migrate/migrate.h"
#include "runtime/migrate/offer.h"
#include "runtime/migrate/relay.h"

enum outcome { HERE, THERE, UNDECIDED };

struct source {
	const struct migrate_options *o;
	struct container c;
	struct arena arena;
	struct wire w;
	pid_t connection;
	struct str document;     /* as it will be there */
	struct migration_offer offer;
	char work[PATH_MAX / 2]; /* images lie there until they are sent */
	int work_fd;
	struct criu_features criu;
	unsigned round;          /* the last one that was sent */
	time_t copied_at;        /* when the first pass over the files began, by the clock that may be set; 0: not yet */
	int64_t copied_ms;       /* and by the other */
	bool by_time;            /* a file that has changed since can be told by its time */
	struct str dirs;         /* and then: which directories there were, uint64_t each */
	enum outcome outcome;
	bool locked;             /* the container; else others may have it, and `c` is what it was */
	const char *recorded;    /* the token of the container's record that is ours to take away; NULL: none is */
	volatile bool *given;    /* the word to go on there, or it is on its way: for who outlives us */
	int64_t frozen_at;
	/* Post-copy. */
	int pages[2];            /* ours, and CRIU's, of the stream over which it serves memory */
	bool ready, served;      /* the network may be held; all but that memory is there */
	bool switched, lost;     /* it ran there; and does not any more, nor will */
	int64_t downtime;
	struct relay relay;
};

#define SOURCE_NONE(options) { .o = (options), .c = { .dir = STORE_DIR_NONE, .pidfd = -1 }, .w = WIRE_NONE, .work_fd = -1, .pages = { -1, -1 } }

void source_done(struct source *s);
void source_report(const struct source *s, const struct migrate_progress *p);

/* One that is killed leaves a record of what is to be done with the container; source_done() takes it away when it is HERE
 * and `recorded`: that of an earlier one stays as long as nobody has seen to what it names. */
int source_record(struct source *s, bool undecided, struct err *e);

/* While files and memory are copied others may do with the container what they like; what has become of it is seen when its lock is ours
 * again.  ERR_STATE: it is another, or does not run. */
int source_lock(struct source *s, struct err *e);
void source_unlock(struct source *s);

int source_connect(struct source *s, struct err *e);
int source_greet(struct source *s, struct err *e);

/* What would move, into s->offer; and all that stands in the way, here and there. */
int source_offer(struct source *s, struct err *e);
int source_check(struct source *s, struct err *e);
/* Nobody outside has joined the container's network: he would be left without one. */
int source_check_network(struct source *s, struct err *e);

/* The bundle, with --rootfs copy.  `last`: it stands still, and what has changed unseen is brought as well. */
int source_send_files(struct source *s, bool last, struct err *e);
uint64_t source_bundle_size(struct source *s); /* bytes, about */
void source_check_bundle(struct source *s, struct problems *p);
/* Memory, in rounds while the container runs. */
int source_send_rounds(struct source *s, struct err *e);
/* They end when there were enough, when one brings little, or more than the one before; and when what is left would be sent in the time that
 * it may take, of which the first, that brings all, says nothing.  `pages`, `ms`: what it brought and took; `before`: the one before, or 0. */
bool source_is_last_round(const struct migrate_options *o, unsigned round, uint64_t pages, uint64_t before, int64_t ms);
struct criu_options source_dump_options(const struct source *s, const char *images);

/* Of a frozen container: what is left, the restore there and the word to go on.  s->outcome says where it is, whatever is returned. */
int source_last_dump(struct source *s, struct err *e);

/* What was copied is the other side's now; unless others here have it too. */
int source_remove_bundle(struct source *s, struct err *e);

/* It ran there, and is HERE: *e, why it ended there, becomes ENOTRECOVERABLE of migrate(). */
int source_was_lost(const struct source *s, struct err *e);
/* Then with old memory over files that are newer, for which somebody has to decide. */
bool source_stays_paused(const struct source *s);
