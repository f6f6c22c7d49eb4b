/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/base/err.h"

/* A network namespace that is not to answer yet, or any more: the kernel would do so without any process.  By nft(8), in the namespace
 * of a process; what goes over lo is left alone.  Both may hold at once. */
enum network_hold {
	NETWORK_UNDECIDED, /* the frozen copy of who may run elsewhere: nothing comes in or out, or it would acknowledge what nobody reads */
	NETWORK_RESTORE,   /* the addresses are there, the connections not yet: no TCP, or they would be reset */
};

bool network_is_own(pid_t pid); /* and not the host's, which is not held */
bool network_can_hold(void);    /* there is nft */
int network_hold(pid_t pid, int pidfd, enum network_hold what, struct err *e);
int network_release(pid_t pid, int pidfd, enum network_hold what, struct err *e);

/* For a release when the process is gone, and others may have the namespace still: -1: it is the host's, or gone. */
int network_open(pid_t pid);
int network_release_opened(int fd, enum network_hold what, struct err *e);

/* Takes down its interfaces, for good: before a namespace goes whose connections go on elsewhere.  The kernel takes its filters away before
 * its interfaces, and a packet between the two would be answered with a reset. */
int network_silence(pid_t pid, int pidfd, struct err *e);

/* Takes away the lock of a CRIU that has died. */
int network_unlock(pid_t pid, int pidfd, struct err *e);

/* The TCP connections of these processes that it was looking at work again. */
void network_end_repair(const pid_t *pids, size_t n);
