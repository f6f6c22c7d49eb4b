/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* JSON text -> an immutable tree, by yajl's SAX callbacks (its tree cuts strings at NUL and overflows the stack).
 * Refused: NUL in a string, invalid UTF-8, more than OCI_DEPTH_MAX levels, more than OCI_DOCUMENT_MAX bytes, text
 * after the value.  Errors are ERR_CONFIG: "line 3, column 14: ...". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Ordered for size: a document has thousands of them, and their pages are charged to the container. */
struct json_node {
	enum json_kind kind : 8;
	bool truth;
	uint32_t offset;        /* byte in the document just behind the token */
	const char *key;        /* in an object */
	const char *text;       /* string, or the raw digits of a number: uint64 survives */
	struct json_node *child, *next;
};

int json_parse(const char *text, size_t len, struct json_node **ret, struct arena *a, struct err *e);
const struct json_node *json_get(const struct json_node *object, const char *key); /* the last of equal keys */
const char *json_kind_name(enum json_kind kind);
