/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For those who walk a decoded object by its table: where we are, and what is there. */

#include <stdbool.h>
#include <stddef.h>

#include "oci/decode.h"

struct walk_at {
	const struct walk_at *up; /* NULL: the document itself, key and index mean nothing */
	const char *key;          /* NULL: `index` of an array */
	size_t index;
};

#define WALK_POINTER_MAX 400

/* The JSON pointer, "/mounts/0/options/1"; "" for the document.  Cut when it is too long; control characters of a
 * key, which comes from the document, become '?'.  Returns buf. */
char *walk_pointer(const struct walk_at *at, char *buf, size_t size);

/* Any `struct { X *v; size_t n; }`. */
struct walk_list {
	unsigned char *v;
	size_t n;
};

struct walk_list walk_list(const void *member);
const void *walk_ptr(const void *member);

/* The row was in the document.  Plain scalars and embedded objects always are. */
bool walk_present(const struct oci_field *f, const void *object);
