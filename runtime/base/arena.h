/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One arena per command holds the documents and everything decoded from them: freeing is one call.
 * Memory comes zeroed and aligned for any type.  NULL means out of memory (or over the arena's limit);
 * callers turn it into an error with err_oom(). */

#include <stdarg.h>
#include <stddef.h>

#include "runtime/base/err.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *head;
	size_t used;  /* bytes handed out */
	size_t limit; /* 0: ARENA_LIMIT */
};

#define ARENA_LIMIT ((size_t)512 << 20)

void *arena_alloc(struct arena *a, size_t size);
void *arena_alloc_n(struct arena *a, size_t n, size_t size); /* checks the product */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_done(struct arena *a);

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define cleanup_arena __attribute__((cleanup(arena_done)))
