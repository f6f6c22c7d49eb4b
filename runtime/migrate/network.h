/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/base/err.h"

/* While nobody knows where a container runs, its frozen copy must not answer for it: the kernel would acknowledge what no process
 * reads, and who runs elsewhere would never see it.  In its network namespace all packets are dropped (by nft(8)), or no more. */
bool network_is_own(pid_t pid); /* and not the host's, which is not held */
bool network_can_hold(void);   /* there is nft */
int network_hold(pid_t pid, int pidfd, bool hold, struct err *e);
