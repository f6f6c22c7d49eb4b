/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Counters of the network interfaces that a process sees: runc's "network_interfaces" of events. */

#include <sys/types.h>

#include "runtime/base/err.h"

struct emit;

/* From /proc/PID/net/dev; loopback is left out. */
int netstats_emit(pid_t pid, struct emit *out, struct err *e);
