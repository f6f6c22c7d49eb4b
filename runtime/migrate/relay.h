/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A second stream of bytes through a wire: what CRIU's two ends say to each other about memory that is still at the source.
 *
 * Each direction has a process of its own, as for rsync: so that neither waits for the other, and pages come while the caller waits for
 * something else.  The caller goes on with the same wire, of which the two take the other frames out. */

#include <sys/types.h>

#include "runtime/migrate/wire.h"

struct relay {
	pid_t up, down;
	uint64_t *bytes; /* of the stream so far: [0] sent, [1] received */
};

#define RELAY_NONE ((struct relay){ 0 })

/* `stream` stays the caller's, and open: what is shut down with it is so for all. */
int relay_start(struct wire *w, int stream, struct relay *ret, struct err *e);
uint64_t relay_bytes(const struct relay *r);
/* The caller has closed its wire: what it said last gets through. */
void relay_finish(struct relay *r);
void relay_end(struct relay *r); /* at once */
