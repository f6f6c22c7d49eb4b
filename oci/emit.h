/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only JSON writer.  Does not escape "/".  indent 0 and no tabs: compact, one line.  Start with
 * { .out = &str }; failures are the string's, asked for once at the end.  Invalid UTF-8 becomes U+FFFD. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/str.h"

struct json_node; /* oci/json.h */

struct emit {
	struct str *out;
	unsigned indent, depth;
	bool comma;      /* the next member needs one */
	bool tabs;       /* a tab per level instead of `indent` blanks */
};

void emit_object(struct emit *e, const char *key); /* key NULL: top level or in an array */
void emit_object_end(struct emit *e);
void emit_array(struct emit *e, const char *key);
void emit_array_end(struct emit *e);
void emit_string(struct emit *e, const char *key, const char *value);
void emit_i64(struct emit *e, const char *key, int64_t value);
void emit_u64(struct emit *e, const char *key, uint64_t value);
void emit_bool(struct emit *e, const char *key, bool value);
void emit_null(struct emit *e, const char *key);
void emit_double(struct emit *e, const char *key, double value); /* PSI averages: two digits */
void emit_raw(struct emit *e, const char *key, const char *json); /* a value that is JSON already */
void emit_node(struct emit *e, const char *key, const struct json_node *node);
