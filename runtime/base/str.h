/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Growing strings with a sticky failure, and strict numbers.
 *
 * A struct str starts as {0}; every str_add*() may be called without looking, and str_failed() is asked once
 * at the end.  Its text is always NUL-terminated; str_cstr() never returns NULL. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	char *s;
	size_t len, cap;
	bool failed;
};

void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *text, size_t len);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_clear(struct str *s); /* keeps the buffer */
void str_done(struct str *s);
char *str_take(struct str *s); /* the caller frees; NULL when it failed */
const char *str_cstr(const struct str *s);
#define str_failed(x) ((x)->failed)
#define cleanup_str __attribute__((cleanup(str_done)))

void free_charp(char **p);
#define cleanup_free __attribute__((cleanup(free_charp)))

/* Whole-string decimal numbers: no sign for the unsigned one, no blanks, no trailing text, no overflow.
 * Return 0, or -EINVAL / -ERANGE; *ret is written only on success. */
int num_u64(const char *text, uint64_t *ret);
int num_i64(const char *text, int64_t *ret);
int num_u32(const char *text, uint32_t *ret);
int num_octal(const char *text, uint32_t *ret);

/* Sizes as Docker and runc take them: a number, then an optional k, m, g, t, p (powers of 1024), an optional
 * "b" or "ib"; -1 where negative is allowed means unlimited. */
int num_size(const char *text, int64_t *ret);

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
