/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How OpenVZ writes values (vzctl(8)): numbers, and sizes with the suffixes k m g t (powers of 1024) and p (pages of 4096
 * bytes); where a pair barrier:limit is asked for the barrier has no effect, as in OpenVZ 7.  "unlimited" is written as
 * such, as LONG_MAX (2^63-1) or as 2147483647, which 32-bit hosts left in configurations.
 *
 * Errors say what is wrong with the text, not where it stands. */

#include "oci/spec.h"
#include "runtime/flow/ext.h"

#define VALUE_UNLIMITED (-1)

/* A size in bytes; without a suffix in `unit` bytes.  "A:B" is B where a pair is allowed. */
int value_size(const char *text, int64_t unit, bool pair, int64_t *ret, struct err *e);
/* With the largest suffix that fits without a rest; "unlimited" for -1. */
void value_print_size(int64_t bytes, struct str *out);

/* Rows: struct opt_i64 in bytes, of pages or of bytes without a suffix; struct opt_i64 as a number or "unlimited". */
extern const struct ext_value value_pages, value_count;

/* struct opt_u64: any number. */
extern const struct ext_value value_number;

/* One of several words; an index of `words`, which begins with "" for a member that is not set and ends with NULL. */
int value_choose(const char *text, const char *const *words, unsigned *ret, struct err *e);

/* A row's value, such an index. */
#define VALUE_CHOICE(name, words, form)                                                                   \
	static int name##_parse(const char *text, void *member, struct arena *a, struct err *e)           \
	{                                                                                                 \
		(void)a;                                                                                  \
		return value_choose(text, words, member, e);                                              \
	}                                                                                                 \
	static void name##_print(const void *member, struct str *out)                                     \
	{                                                                                                 \
		str_add(out, (words)[*(const unsigned *)member]);                                         \
	}                                                                                                 \
	static const struct ext_value name = { form, name##_parse, name##_print };

/* Members that are texts, such as the words of a list. */
void value_print_text(const void *member, struct str *out);
bool value_listed(const struct oci_strs *list, const char *word);

int value_parse_number(const char *text, void *member, struct arena *a, struct err *e);
void value_print_number(const void *member, struct str *out);
