// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/str.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/lib/test.h"

TEST(growing)
{
	cleanup_str struct str s = { 0 };

	CHECK_STR(str_cstr(&s), "");
	for (int i = 0; i < 1000; i++)
		str_addf(&s, "%d,", i);
	CHECK_INT(s.len, 10 * 2 + 90 * 3 + 900 * 4);
	CHECK(str_starts(s.s, "0,1,2,") && str_ends(s.s, "998,999,"));
	str_clear(&s);
	CHECK_STR(str_cstr(&s), "");
	str_add(&s, "a");
	str_addc(&s, 'b');
	str_addn(&s, "cde", 2);
	CHECK_STR(str_cstr(&s), "abcd");
	CHECK(!str_failed(&s));
	char *p = str_take(&s);
	CHECK_STR(p, "abcd");
	free(p);
	CHECK_STR(str_cstr(&s), "");
}

TEST(failure_sticks)
{
	cleanup_str struct str s = { 0 };

	str_add(&s, "x");
	str_addn(&s, "y", SIZE_MAX - 1);
	CHECK(str_failed(&s));
	str_add(&s, "z");
	CHECK(str_failed(&s));
	CHECK(str_cstr(&s) != NULL);
	CHECK(str_take(&s) == NULL);
}

TEST(comparing)
{
	CHECK(str_eq(NULL, NULL) && !str_eq(NULL, "") && !str_eq("", NULL) && str_eq("a", "a") && !str_eq("a", "b"));
	CHECK(str_starts("abc", "") && str_starts("abc", "ab") && !str_starts("ab", "abc"));
	CHECK(str_ends("abc", "") && str_ends("abc", "bc") && !str_ends("bc", "abc"));
}

static const struct number {
	const char *text;
	int error;
	int64_t value;
} unsigneds[] = {
	{ "0", 0, 0 },	   { "007", 0, 7 },	  { "42", 0, 42 },	       { "9223372036854775807", 0, INT64_MAX },
	{ "", -EINVAL, 0 },  { NULL, -EINVAL, 0 },  { "-1", -EINVAL, 0 },	       { "+1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 }, { "1\n", -EINVAL, 0 },	       { "0x1", -EINVAL, 0 },
	{ "1.0", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "18446744073709551616", -ERANGE, 0 },
	{ "99999999999999999999999", -ERANGE, 0 },
};

TEST(u64)
{
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(unsigneds); i++) {
		v = 77;
		CHECK_INT(num_u64(unsigneds[i].text, &v), unsigneds[i].error);
		CHECK_INT(v, unsigneds[i].error ? 77 : unsigneds[i].value);
	}
	CHECK_INT(num_u64("18446744073709551615", &v), 0);
	CHECK(v == UINT64_MAX);
}

static const struct number signeds[] = {
	{ "-1", 0, -1 },
	{ "0", 0, 0 },
	{ "-0", 0, 0 },
	{ "9223372036854775807", 0, INT64_MAX },
	{ "-9223372036854775808", 0, INT64_MIN },
	{ "9223372036854775808", -ERANGE, 0 },
	{ "-9223372036854775809", -ERANGE, 0 },
	{ "--1", -EINVAL, 0 },
	{ "-", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ NULL, -EINVAL, 0 },
};

TEST(i64)
{
	for (size_t i = 0; i < ARRAY_SIZE(signeds); i++) {
		int64_t v = 77;

		CHECK_INT(num_i64(signeds[i].text, &v), signeds[i].error);
		CHECK_INT(v, signeds[i].error ? 77 : signeds[i].value);
	}
}

TEST(u32_and_octal)
{
	uint32_t v = 77;

	CHECK_INT(num_u32("4294967295", &v), 0);
	CHECK(v == UINT32_MAX);
	CHECK_INT(num_u32("4294967296", &v), -ERANGE);
	CHECK_INT(num_octal("0755", &v), 0);
	CHECK_INT(v, 0755);
	CHECK_INT(num_octal("37777777777", &v), 0);
	CHECK(v == UINT32_MAX);
	CHECK_INT(num_octal("40000000000", &v), -ERANGE);
	CHECK_INT(num_octal("8", &v), -EINVAL);
	CHECK_INT(num_octal("", &v), -EINVAL);
	CHECK_INT(num_octal(NULL, &v), -EINVAL);
	CHECK(v == UINT32_MAX);
}

static const struct number sizes[] = {
	{ "0", 0, 0 },	      { "512", 0, 512 },	{ "1k", 0, 1024 },	{ "1K", 0, 1024 },   { "1kb", 0, 1024 },
	{ "1KiB", 0, 1024 },  { "64m", 0, 64 << 20 },	{ "2G", 0, 2LL << 30 }, { "1t", 0, 1LL << 40 }, { "1p", 0, 1LL << 50 },
	{ "5b", 0, 5 },	      { "-1", 0, -1 },	{ "-2", -EINVAL, 0 },	{ "k", -EINVAL, 0 }, { "", -EINVAL, 0 },
	{ NULL, -EINVAL, 0 }, { "1x", -EINVAL, 0 },	{ "1ki", -EINVAL, 0 },	{ "1kx", -EINVAL, 0 }, { "1bb", -EINVAL, 0 },
	{ "1.5m", -EINVAL, 0 }, { " 1m", -EINVAL, 0 }, { "1 m", -EINVAL, 0 }, { "8192p", -ERANGE, 0 },
	{ "8191p", 0, 8191LL << 50 }, { "9223372036854775807", 0, INT64_MAX }, { "9223372036854775808", -ERANGE, 0 },
	{ "111111111111111111111111111111", -ERANGE, 0 },
};

TEST(size)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int64_t v = 77;

		CHECK_INT(num_size(sizes[i].text, &v), sizes[i].error);
		CHECK_INT(v, sizes[i].error ? 77 : sizes[i].value);
	}
}
