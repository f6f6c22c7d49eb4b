/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The target of a post-copy: `criu lazy-pages` gets memory when the container touches it, and the rest beside that; and a guard, a process
 * that outlives us, calls end() when we are gone or say so, and again as long as that fails.
 *
 * The kernel takes memory that nobody hands over any more for zeros.  So the guard holds the container's memory as well (the userfaultfds of
 * CRIU's process), and whoever touches what has not come waits until the container is ended. */

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/base/err.h"

struct fetch {
	pid_t criu, guard;
	int pidfd;  /* of CRIU */
	int stream; /* what CRIU says to its page server, and hears */
	int word;   /* to the guard */
};

#define FETCH_NONE ((struct fetch){ .pidfd = -1, .stream = -1, .word = -1 })
#define FETCH_LOG "lazy-pages.log"

/* `wire`: descriptors that the guard must not hold. */
int fetch_start(const char *images, const int wire[2], int (*end)(void *arg), void *arg, struct fetch *ret, struct err *e);

/* It is restored, and does not run yet. */
int fetch_hold(struct fetch *f, struct err *e);

/* Until all is here; below zero when it will not come any more.  `wire`: who speaks there, or is gone, ends it. */
int fetch_wait(struct fetch *f, int wire, struct err *e);

/* The guard has nothing to guard, or (not `well`) has called end() when this returns. */
void fetch_done(struct fetch *f, bool well);
