/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Statistics of a container at one moment, and what happened since an earlier one: `stats`, and the part of `events` that
 * goes beyond runc's shape. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/cgroup/sample.h"
#include "runtime/flow/container.h"
#include "runtime/flow/netstats.h"

struct emit;

struct sample_disk {
	bool known; /* the root file system is one of its own */
	uint64_t size_bytes, used_bytes, inodes, used_inodes;
};

/* Per second, or in percent.  NAN: not known. */
struct sample_rates {
	int64_t interval_us; /* 0: there was no earlier sample */
	double cpu_percent;  /* of one CPU */
	double throttled_percent; /* of the periods of the CPU limit */
	double read_bytes, write_bytes;
	double rx_bytes, tx_bytes; /* without loopback */
};

struct sample {
	const char *id;
	int64_t status, pid, at_us; /* at_us: clock_us() */
	uint64_t start_time;
	struct cg_sample cg;
	bool own_network; /* without a network of its own the counters would be those of others */
	struct net_interfaces network;
	struct sample_disk disk;
	struct sample_rates rates;
};

/* Of a container that is open.  ERR_STATE when it is not running, or has ended meanwhile. */
int sample_take(const struct container *c, struct sample *ret, struct arena *a, struct err *e);

/* `was` is an earlier sample of the same container; NULL, or another container under the same id: no rates. */
void sample_compare(const struct sample *was, struct sample *now);

/* The CPU limit in percent of one CPU; NAN: not known, INFINITY: none. */
double sample_cpu_limit(const struct sample *s);

/* Members cpu, memory, pids, io, network, disk, each where it is known, into an open object. */
void sample_emit(const struct sample *s, struct emit *out);
/* A member "rates", where there are any. */
void sample_emit_rates(const struct sample *s, struct emit *out);
