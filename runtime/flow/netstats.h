/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Counters of the network interfaces that a process sees. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct emit;

struct net_interface {
	char name[64];
	unsigned long long rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
};

struct net_interfaces {
	struct net_interface *v;
	size_t n;
};

/* From /proc/PID/net/dev, which shows the process's namespace without entering it. */
int netstats_read(pid_t pid, struct net_interfaces *ret, struct arena *a, struct err *e);

/* Whether that namespace is another one than ours; false also when it cannot be known. */
bool netstats_is_own(pid_t pid);

/* Bytes over loopback have not left the container. */
bool netstats_is_loopback(const struct net_interface *i);

/* runc's "network_interfaces" of events; loopback is left out. */
void netstats_emit(const struct net_interfaces *list, struct emit *out);
