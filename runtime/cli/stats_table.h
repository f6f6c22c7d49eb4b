/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `stats` shows to people. */

#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/flow/sample.h"

struct stats_number {
	char s[24];
};

/* Powers of 1024 with one digit behind the point below 10: "512", "1.5K", "23M"; "-" for NAN, "max" for INFINITY. */
struct stats_number stats_size(double n);
struct stats_number stats_percent(double n);

enum stats_key { STATS_ID, STATS_CPU, STATS_MEM, STATS_IO, STATS_NET, STATS_PIDS };

/* NULL: by id. */
int stats_sort_key(const char *text, enum stats_key *ret, struct err *e);
/* The largest first, unknown ones last; among equals, and by id, in the order of ids. */
void stats_sort(struct sample *v, size_t n, enum stats_key key);

/* A header and a line for each.  Ids are cut to `id_max` characters; 0: they are not. */
void stats_table(const struct sample *v, size_t n, size_t id_max, struct str *out);

/* The same text as a terminal of that size shows it from its upper left corner, without a remainder of what was there. */
void stats_screen(const char *table, size_t rows, size_t columns, struct str *out);
