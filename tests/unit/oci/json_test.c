// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/json.h"

#include <stdlib.h>

#include "oci/decode.h"
#include "oci/emit.h"
#include "tests/lib/test.h"

static struct json_node *parse(const char *text, struct arena *a, struct err *e)
{
	struct json_node *n = NULL;

	*e = (struct err){ 0 };
	return json_parse(text, strlen(text), &n, a, e) < 0 ? NULL : n;
}

static void refused(const char *text, const char *why)
{
	cleanup_arena struct arena a = { 0 };
	struct err e;

	if (parse(text, &a, &e))
		FAIL("accepted: %s", text);
	CHECK_STR(e.text, why);
	CHECK_INT(e.kind, ERR_CONFIG);
}

TEST(tree)
{
	cleanup_arena struct arena a = { 0 };
	struct err e;
	const struct json_node *n = parse("{\"a\":[1,-2.5e3,\"x\",null,true],\"b\":{\"c\":false}}", &a, &e);
	const struct json_node *i;

	CHECK(n != NULL);
	if (!n)
		return;
	CHECK_INT(n->kind, JSON_OBJECT);
	CHECK(n->key == NULL);
	i = json_get(n, "a")->child;
	CHECK_STR(i->text, "1");
	CHECK_INT(i->kind, JSON_NUMBER);
	i = i->next;
	CHECK_STR(i->text, "-2.5e3");
	i = i->next;
	CHECK_INT(i->kind, JSON_STRING);
	CHECK_STR(i->text, "x");
	i = i->next;
	CHECK_INT(i->kind, JSON_NULL);
	i = i->next;
	CHECK(i->truth);
	CHECK(i->next == NULL);
	CHECK(!json_get(json_get(n, "b"), "c")->truth);
	CHECK(json_get(n, "zz") == NULL);
	CHECK(json_get(json_get(n, "a"), "a") == NULL);
}

TEST(numbers_keep_their_digits)
{
	cleanup_arena struct arena a = { 0 };
	struct err e;
	const struct json_node *n = parse("[18446744073709551615,9223372036854775808123]", &a, &e);

	CHECK_STR(n->child->text, "18446744073709551615");
	CHECK_STR(n->child->next->text, "9223372036854775808123");
}

TEST(the_last_of_equal_keys)
{
	cleanup_arena struct arena a = { 0 };
	struct err e;

	CHECK_STR(json_get(parse("{\"k\":1,\"j\":2,\"k\":3}", &a, &e), "k")->text, "3");
}

TEST(scalars_at_the_top)
{
	cleanup_arena struct arena a = { 0 };
	struct err e;

	CHECK_INT(parse(" 17 ", &a, &e)->kind, JSON_NUMBER);
	CHECK_STR(parse("\"s\"", &a, &e)->text, "s");
}

TEST(refusals)
{
	refused("", "line 1, column 1: parse error: premature EOF");
	refused("   \n", "line 2, column 1: parse error: premature EOF");
	refused("{\"a\":1", "line 1, column 7: parse error: premature EOF");
	refused("{} {}", "line 1, column 5: parse error: trailing garbage");
	refused("\n\n[1,]", "line 3, column 5: parse error: unallowed token at this point in JSON text");
	refused("[\"a\\u0000b\"]", "line 1, column 12: NUL in a string");
	refused("{\"a\\u0000b\":1}", "line 1, column 12: NUL in a string");
	refused("[\"\xff\"]", "line 1, column 5: invalid UTF-8 in a string");
	refused("[\"\xed\xa0\x80\"]", "line 1, column 7: invalid UTF-8 in a string");
	refused("[\"\xf4\x90\x80\x80\"]", "line 1, column 8: invalid UTF-8 in a string");
	refused("[\"\xe2\x82\"]", "line 1, column 6: invalid UTF-8 in a string");
}

TEST(a_nul_byte_between_tokens)
{
	cleanup_arena struct arena a = { 0 };
	struct json_node *n;
	struct err e;

	CHECK(json_parse("[1]\0", 4, &n, &a, &e) < 0);
	CHECK(json_parse("[\0]", 3, &n, &a, &e) < 0);
}

static void nest(struct str *s, size_t levels)
{
	for (size_t i = 0; i < levels; i++)
		str_addc(s, '[');
	for (size_t i = 0; i < levels; i++)
		str_addc(s, ']');
}

TEST(depth)
{
	cleanup_str struct str fits = { 0 }, deep = { 0 }, very = { 0 };
	cleanup_arena struct arena a = { 0 };
	struct err e;

	nest(&fits, OCI_DEPTH_MAX);
	CHECK(parse(fits.s, &a, &e) != NULL);
	nest(&deep, OCI_DEPTH_MAX + 1);
	refused(deep.s, "line 1, column 66: nested deeper than 64 levels");
	nest(&very, 1000000);
	refused(very.s, "line 1, column 66: nested deeper than 64 levels");
}

TEST(size)
{
	cleanup_arena struct arena a = { 0 };
	char *text = malloc(OCI_DOCUMENT_MAX + 1);
	struct json_node *n;
	struct err e;

	memset(text, ' ', OCI_DOCUMENT_MAX + 1);
	text[0] = '1';
	CHECK_INT(json_parse(text, OCI_DOCUMENT_MAX, &n, &a, &e), 0);
	CHECK(json_parse(text, OCI_DOCUMENT_MAX + 1, &n, &a, &e) < 0);
	CHECK_STR(e.text, "document larger than 16777216 bytes");
	free(text);
}

TEST(out_of_memory)
{
	cleanup_arena struct arena a = { .limit = 100 };
	struct json_node *n;
	struct err e;

	CHECK_INT(json_parse("[1]", 3, &n, &a, &e), -ENOMEM);
	CHECK_INT(e.kind, ERR_KERNEL);
}

TEST(long_strings)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str text = { 0 };
	struct json_node *n;
	struct err e;

	str_add(&text, "[");
	for (size_t len = 1; len < 5000; len += 97) {
		str_add(&text, len > 1 ? ",\"" : "\"");
		for (size_t i = 0; i < len; i++)
			str_addc(&text, (char)('a' + i % 26));
		str_add(&text, "\"");
	}
	str_add(&text, "]");
	CHECK_INT(json_parse(text.s, text.len, &n, &a, &e), 0);
	n = n->child;
	for (size_t len = 1; len < 5000; len += 97, n = n->next)
		CHECK_INT(strlen(n->text), len);
	CHECK(n == NULL);
}

TEST(written_again)
{
	static const char text[] = "{\"a\":[1,-2.5e3,\"x/\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\",null,true,{},[]],\"b\":{\"c\":false}}";
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str out = { 0 };
	struct emit em = { .out = &out };
	struct err e;

	emit_node(&em, NULL, parse(text, &a, &e));
	CHECK_STR(str_cstr(&out), text);
}
