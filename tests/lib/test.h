/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unit tests: TEST(name) { CHECK(...); }.  A test program prints TAP and exits non-zero when a check failed. */

#include <stdio.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

extern struct test *test_list; /* in tests/lib/test.c */
extern int test_failures;
extern const char *test_skip_reason;

#define TEST(n)                                                                             \
	static void test_##n(void);                                                         \
	static struct test entry_##n = { #n, test_##n, NULL };                              \
	__attribute__((constructor)) static void register_##n(void)                         \
	{                                                                                   \
		struct test **p = &test_list;                                               \
		while (*p)                                                                  \
			p = &(*p)->next;                                                    \
		*p = &entry_##n;                                                            \
	}                                                                                   \
	static void test_##n(void)

#define FAIL(...) (test_failures++, printf("# %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"))
#define CHECK(cond) ((cond) ? (void)0 : (void)FAIL("%s", #cond))
#define CHECK_INT(a, b)                                                                     \
	do {                                                                                \
		long long va = (long long)(a), vb = (long long)(b);                         \
		if (va != vb)                                                               \
			FAIL("%s is %lld, expected %lld", #a, va, vb);                      \
	} while (0)
#define CHECK_STR(a, b)                                                                     \
	do {                                                                                \
		const char *sa = (a), *sb = (b);                                            \
		if (!sa || !sb || strcmp(sa, sb) != 0)                                      \
			FAIL("%s is \"%s\", expected \"%s\"", #a, sa ? sa : "(null)", sb ? sb : "(null)"); \
	} while (0)
#define SKIP(reason)                                                                        \
	do {                                                                                \
		test_skip_reason = (reason);                                                \
		return;                                                                     \
	} while (0)
