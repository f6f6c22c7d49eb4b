/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The foreground of run and exec: while the payload lives, its terminal is copied, every signal that can be caught is
 * passed on (but SIGCHLD and SIGURG), and what is reparented to us is reaped. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"

struct foreground {
	int signals;     /* signalfd */
	bool subreaper;
	int late;        /* a signal that asks to end and came when the payload was dead already, or 0 */
};

/* Before the clone: from here on signals wait for us instead of ending us, so that an interrupted create is undone. */
int foreground_begin(struct foreground *fg, bool subreaper, struct err *e);
void foreground_done(struct foreground *fg);
#define cleanup_foreground __attribute__((cleanup(foreground_done)))

/* Of the signals that wait: one that asks us to end (HUP, INT, QUIT, TERM), or 0.  The others are dropped. */
int foreground_ending_signal(int signals);
/* From now on none is heard by whoever has that descriptor: they wait. */
void foreground_hear_none(int signals);

/* Between two payloads: so long, or until a signal asks us to end, or one has come to a dead payload.  That signal, or 0. */
int foreground_pause(struct foreground *fg, int64_t ms);

/* A further descriptor that is listened to meanwhile; `take` returns above zero when it need not be any longer. */
struct foreground_watch {
	int fd;          /* -1: none */
	int (*take)(void *arg, struct err *e);
	void *arg;
};

#define FOREGROUND_WATCHES 2

/* Until `pid` ends.  `tty`: the master, or -1; at most FOREGROUND_WATCHES watches, which it sets to -1 when they are
 * done.  *ret_status is its wait status. */
int foreground_wait(struct foreground *fg, pid_t pid, int pidfd, int tty, struct foreground_watch *watches, size_t n,
		    int *ret_status, struct err *e);
