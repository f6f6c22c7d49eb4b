// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool str_reserve(struct str *s, size_t more)
{
	size_t need, cap;
	char *p;

	if (s->failed)
		return false;
	/* Half of what a size can hold: doubling below never wraps. */
	if (__builtin_add_overflow(s->len, more, &need) || need >= SIZE_MAX / 2) {
		s->failed = true;
		return false;
	}
	if (need + 1 <= s->cap)
		return true;
	cap = s->cap ? s->cap : 64;
	while (cap < need + 1)
		cap *= 2;
	p = realloc(s->s, cap);
	if (!p) {
		s->failed = true;
		return false;
	}
	s->s = p;
	s->cap = cap;
	return true;
}

void str_addn(struct str *s, const char *text, size_t len)
{
	if (!str_reserve(s, len))
		return;
	if (len > 0)
		memcpy(s->s + s->len, text, len);
	s->len += len;
	s->s[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_addn(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
	str_addn(s, &c, 1);
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !str_reserve(s, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(s->s + s->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	s->len += (size_t)n;
}

void str_clear(struct str *s)
{
	s->len = 0;
	if (s->s)
		s->s[0] = '\0';
}

void str_done(struct str *s)
{
	int saved = errno;

	free(s->s);
	*s = (struct str){ 0 };
	errno = saved;
}

char *str_take(struct str *s)
{
	char *p;

	if (!str_reserve(s, 0))
		return NULL;
	s->s[s->len] = '\0';
	p = s->s;
	*s = (struct str){ 0 };
	return p;
}

const char *str_cstr(const struct str *s)
{
	return s->s ? s->s : "";
}

void free_charp(char **p)
{
	int saved = errno;

	free(*p);
	*p = NULL;
	errno = saved;
}

int num_u64(const char *text, uint64_t *ret)
{
	uint64_t v = 0;

	if (!text || !*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int num_i64(const char *text, int64_t *ret)
{
	bool negative = text && *text == '-';
	uint64_t v;
	int r = num_u64(negative ? text + 1 : text, &v);

	if (r < 0)
		return r;
	if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -ERANGE;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

int num_u32(const char *text, uint32_t *ret)
{
	uint64_t v;
	int r = num_u64(text, &v);

	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

int num_octal(const char *text, uint32_t *ret)
{
	uint32_t v = 0;

	if (!text || !*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '7')
			return -EINVAL;
		if (v > UINT32_MAX >> 3)
			return -ERANGE;
		v = v << 3 | (uint32_t)(*text - '0');
	}
	*ret = v;
	return 0;
}

static int size_shift(const char *unit)
{
	static const char units[] = "kmgtp";
	const char *at;
	int shift = 0;

	if (*unit && (at = strchr(units, tolower((unsigned char)*unit)))) {
		shift = (int)(at - units + 1) * 10;
		unit++;
		if (*unit == 'i' || *unit == 'I') {
			unit++;
			if (*unit != 'b' && *unit != 'B')
				return -EINVAL;
		}
	}
	if (*unit == 'b' || *unit == 'B')
		unit++;
	return *unit ? -EINVAL : shift;
}

int num_size(const char *text, int64_t *ret)
{
	char digits[24];
	uint64_t v;
	size_t n;
	int shift, r;

	if (!text)
		return -EINVAL;
	if (strcmp(text, "-1") == 0) {
		*ret = -1;
		return 0;
	}
	n = strspn(text, "0123456789");
	if (n == 0 || n >= sizeof digits)
		return n ? -ERANGE : -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	r = num_u64(digits, &v);
	if (r < 0)
		return r;
	shift = size_shift(text + n);
	if (shift < 0)
		return shift;
	if (v > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*ret = (int64_t)(v << shift);
	return 0;
}

bool str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t a = strlen(s), b = strlen(suffix);

	return a >= b && strcmp(s + a - b, suffix) == 0;
}
