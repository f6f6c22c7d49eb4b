// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/emit.h"

#include <math.h>

#include "tests/lib/test.h"

static void sample(struct emit *e)
{
	emit_object(e, NULL);
	emit_string(e, "s", "a/b");
	emit_i64(e, "i", INT64_MIN);
	emit_u64(e, "u", UINT64_MAX);
	emit_array(e, "l");
	emit_bool(e, NULL, true);
	emit_null(e, NULL);
	emit_object(e, NULL);
	emit_object_end(e);
	emit_array_end(e);
	emit_array(e, "empty");
	emit_array_end(e);
	emit_raw(e, "raw", "[1]");
	emit_object_end(e);
}

TEST(compact)
{
	cleanup_str struct str out = { 0 };
	struct emit e = { .out = &out };

	sample(&e);
	CHECK_STR(str_cstr(&out), "{\"s\":\"a/b\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"
				  "\"l\":[true,null,{}],\"empty\":[],\"raw\":[1]}");
}

TEST(indented)
{
	cleanup_str struct str out = { 0 };
	struct emit e = { .out = &out, .indent = 2 };

	sample(&e);
	CHECK_STR(str_cstr(&out), "{\n  \"s\": \"a/b\",\n  \"i\": -9223372036854775808,\n"
				  "  \"u\": 18446744073709551615,\n  \"l\": [\n    true,\n    null,\n    {}\n  ],\n"
				  "  \"empty\": [],\n  \"raw\": [1]\n}");
}

TEST(tabs)
{
	cleanup_str struct str out = { 0 };
	struct emit e = { .out = &out, .tabs = true };

	emit_array(&e, NULL);
	emit_array(&e, NULL);
	emit_i64(&e, NULL, 1);
	emit_array_end(&e);
	emit_array_end(&e);
	CHECK_STR(str_cstr(&out), "[\n\t[\n\t\t1\n\t]\n]");
}

static void check_string(const char *value, const char *expected)
{
	cleanup_str struct str out = { 0 };
	struct emit e = { .out = &out };

	emit_string(&e, NULL, value);
	CHECK_STR(str_cstr(&out), expected);
}

TEST(strings)
{
	check_string("", "\"\"");
	check_string("\"\\/\b\t\n\f\r\x01\x1f\x7f", "\"\\\"\\\\/\\b\\t\\n\\f\\r\\u0001\\u001f\\u007f\"");
	check_string("\xd0\xb6\xf0\x9f\x98\x80", "\"\xd0\xb6\xf0\x9f\x98\x80\"");
}

TEST(bad_utf8_is_replaced)
{
	check_string("a\xffz", "\"a\xef\xbf\xbdz\"");
	check_string("\xc3", "\"\xef\xbf\xbd\"");
	check_string("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string("\xe2\x82\"", "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"");
}

TEST(doubles)
{
	cleanup_str struct str out = { 0 };
	struct emit e = { .out = &out };

	emit_array(&e, NULL);
	emit_double(&e, NULL, 0);
	emit_double(&e, NULL, 12.345678);
	emit_double(&e, NULL, (double)NAN);
	emit_double(&e, NULL, (double)INFINITY);
	emit_array_end(&e);
	CHECK_STR(str_cstr(&out), "[0.00,12.35,0.00,0.00]");
}
