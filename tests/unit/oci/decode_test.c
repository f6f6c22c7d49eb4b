// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/decode.h"

#include "oci/emit.h"
#include "oci/json.h"
#include "oci/names.h"
#include "oci/rows.h"
#include "oci/walk.h"
#include "tests/lib/test.h"

struct part {
	const char *name;
	struct opt_i64 weight;
};

struct parts {
	struct part *v;
	size_t n;
};

struct thing {
	const char *s;
	struct oci_strs strs;
	bool b;
	struct opt_bool ob;
	int64_t i;
	uint64_t u;
	uint32_t u32;
	struct opt_i64 oi;
	struct opt_u64 ou;
	struct oci_u32s u32s;
	int64_t word;
	struct oci_ints words;
	struct part obj, *ptr;
	struct parts list, keyed;
	struct oci_map map;
};

static const struct oci_field part_fields[] = {
	STR(struct part, name, "name", .flags = OCI_KEY),
	OPT_I64(struct part, weight, "weight", NUMBERS(-5, 5)),
	ROW_END
};
static TABLE(part);

static const struct oci_field thing_fields[] = {
	STR(struct thing, s, "s"),
	STRS(struct thing, strs, "strs"),
	BOOL(struct thing, b, "b"),
	OPT_BOOL(struct thing, ob, "ob"),
	I64(struct thing, i, "i"),
	U64(struct thing, u, "u"),
	U32(struct thing, u32, "u32"),
	OPT_I64(struct thing, oi, "oi"),
	OPT_U64(struct thing, ou, "ou"),
	U32S(struct thing, u32s, "u32s"),
	WORD(struct thing, word, "word", &names_rule_types, .flags = OCI_DEFAULT, .min = 'b'),
	WORDS(struct thing, words, "words", &names_rule_types),
	OBJ(struct thing, obj, "obj", part),
	PTR(struct thing, ptr, "ptr", part),
	LIST(struct thing, list, "list", part),
	KEYED(struct thing, keyed, "keyed", part),
	MAP(struct thing, map, "map"),
	ROW_END
};
static TABLE(thing);

static int read_thing(const char *text, struct thing *t, struct arena *a, struct err *e)
{
	struct json_node *n;
	int r = json_parse(text, strlen(text), &n, a, e);

	return r < 0 ? r : decode(&thing_type, n, t, a, e);
}

static void refused(const char *text, const char *why)
{
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	if (read_thing(text, &t, &a, &e) >= 0)
		FAIL("accepted: %s", text);
	else
		CHECK_STR(e.text, why);
}

TEST(absent)
{
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	memset(&t, 0xaa, sizeof t);
	CHECK_INT(read_thing("{\"s\":null,\"oi\":null,\"list\":null}", &t, &a, &e), 0);
	CHECK(!t.s && !t.strs.v && !t.ob.set && !t.oi.set && !t.ou.set && !t.ptr && !t.list.v && !t.map.v);
	CHECK_INT(t.word, 'b');
}

TEST(empty_is_not_absent)
{
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	CHECK_INT(read_thing("{\"s\":\"\",\"strs\":[],\"u32s\":[],\"words\":[],\"list\":[],\"keyed\":{},\"map\":{},"
			     "\"oi\":0,\"ob\":false}",
			     &t, &a, &e),
		  0);
	CHECK(t.s && t.strs.v && !t.strs.v[0] && t.u32s.v && t.words.v && t.list.v && t.keyed.v && t.map.v);
	CHECK(t.oi.set && t.oi.v == 0 && t.ob.set && !t.ob.v);
}

TEST(values)
{
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	CHECK_INT(read_thing("{\"strs\":[\"a\",\"b\"],\"b\":true,\"i\":-9223372036854775808,\"u\":18446744073709551615,"
			     "\"u32\":4294967295,\"u32s\":[1,2],\"word\":\"c\",\"words\":[\"a\",\"c\"],"
			     "\"obj\":{\"weight\":-5},\"ptr\":{},\"list\":[{},{\"weight\":5}],"
			     "\"keyed\":{\"y\":{\"weight\":1},\"x\":{},\"y\":{\"weight\":2},\"z\":null},"
			     "\"map\":{\"k\":\"1\",\"j\":\"2\",\"k\":\"3\"}}",
			     &t, &a, &e),
		  0);
	CHECK_INT(t.strs.n, 2);
	CHECK(t.strs.v[2] == NULL);
	CHECK(t.i == INT64_MIN && t.u == UINT64_MAX && t.u32 == UINT32_MAX && t.b);
	CHECK_INT(t.words.v[1], 'c');
	CHECK_INT(t.obj.weight.v, -5);
	CHECK(t.ptr && !t.ptr->weight.set);
	CHECK_INT(t.list.n, 2);
	CHECK_INT(t.list.v[1].weight.v, 5);
	CHECK_INT(t.keyed.n, 2);
	CHECK_STR(t.keyed.v[0].name, "x");
	CHECK_STR(t.keyed.v[1].name, "y");
	CHECK_INT(t.keyed.v[1].weight.v, 2);
	CHECK_INT(t.map.n, 2);
	CHECK_STR(t.map.v[0].key, "j");
	CHECK_STR(t.map.v[1].value, "3");
}

TEST(an_embedded_object_twice)
{
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	CHECK_INT(read_thing("{\"obj\":{\"weight\":4},\"obj\":{}}", &t, &a, &e), 0);
	CHECK(!t.obj.weight.set);
}

TEST(pointers_in_errors)
{
	refused("3", "expected object, got number");
	refused("{\"s\":1}", "/s: expected string, got number");
	refused("{\"strs\":[\"a\",[]]}", "/strs/1: expected string, got array");
	refused("{\"b\":0}", "/b: expected boolean, got number");
	refused("{\"i\":9223372036854775808}",
		"/i: 9223372036854775808 is not in the range -9223372036854775808 to 9223372036854775807");
	refused("{\"u\":-1}", "/u: -1 is not in the range 0 to 18446744073709551615");
	refused("{\"u32\":4294967296}", "/u32: 4294967296 is not in the range 0 to 4294967295");
	refused("{\"u\":1.0}", "/u: expected an integer, got 1.0");
	refused("{\"u32s\":[0,-1]}", "/u32s/1: -1 is not in the range 0 to 4294967295");
	refused("{\"list\":[{},{\"weight\":6}]}", "/list/1/weight: 6 is not in the range -5 to 5");
	refused("{\"keyed\":{\"a/b~c\\n\":{\"weight\":-6}}}", "/keyed/a~1b~0c?/weight: -6 is not in the range -5 to 5");
	refused("{\"map\":{\"k\":null,\"l\":1}}", "/map/l: expected string, got number");
	refused("{\"words\":[\"x\"]}", "/words/0: unknown value 'x'");
	refused("{\"ptr\":[]}", "/ptr: expected object, got array");
}

TEST(a_long_key_is_cut)
{
	cleanup_str struct str text = { 0 };
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	str_add(&text, "{\"map\":{\"");
	for (int i = 0; i < 5000; i++)
		str_addc(&text, '/');
	str_add(&text, "\":1}}");
	CHECK(read_thing(text.s, &t, &a, &e) < 0);
	CHECK(str_ends(e.text, ": expected string, got number"));
}

TEST(many_members)
{
	cleanup_str struct str text = { 0 };
	cleanup_arena struct arena a = { 0 };
	struct thing t;
	struct err e;

	str_add(&text, "{\"map\":{");
	for (int i = 0; i < 100000; i++)
		str_addf(&text, "%s\"k%d\":\"%d\"", i ? "," : "", i % 50000, i);
	str_add(&text, "}}");
	CHECK_INT(read_thing(text.s, &t, &a, &e), 0);
	CHECK_INT(t.map.n, 50000);
	CHECK_STR(t.map.v[0].key, "k0");
	CHECK_STR(t.map.v[0].value, "50000");
}

static void check_diff(const char *x, const char *y, const char *expected)
{
	cleanup_arena struct arena a = { 0 };
	struct thing t, u;
	struct err e;
	const char *found;

	CHECK_INT(read_thing(x, &t, &a, &e), 0);
	CHECK_INT(read_thing(y, &u, &a, &e), 0);
	found = decode_diff(&thing_type, &t, &u, &a);
	if (expected)
		CHECK_STR(found, expected);
	else if (found)
		FAIL("%s and %s differ at %s", x, y, found);
}

TEST(differences)
{
	check_diff("{}", "{}", NULL);
	check_diff("{\"oi\":0}", "{}", "/oi");
	check_diff("{\"oi\":0}", "{\"oi\":-1}", "/oi");
	check_diff("{\"ou\":7}", "{\"ou\":7}", NULL);
	check_diff("{\"ob\":true}", "{\"ob\":false}", "/ob");
	check_diff("{\"s\":\"a\"}", "{\"s\":\"b\"}", "/s");
	check_diff("{\"strs\":[\"a\",\"b\"]}", "{\"strs\":[\"a\",\"c\"]}", "/strs/1");
	check_diff("{\"strs\":[\"a\"]}", "{\"strs\":[\"a\",\"c\"]}", "/strs");
	check_diff("{\"u32s\":[1]}", "{\"u32s\":[2]}", "/u32s");
	check_diff("{\"words\":[\"a\"]}", "{\"words\":[\"b\"]}", "/words");
	check_diff("{\"word\":\"b\"}", "{}", NULL);
	check_diff("{\"list\":[{},{\"weight\":1}]}", "{\"list\":[{},{\"weight\":2}]}", "/list/1/weight");
	check_diff("{\"list\":[{}]}", "{\"list\":[{},{}]}", "/list");
	check_diff("{\"ptr\":{\"weight\":1}}", "{\"ptr\":{\"weight\":2}}", "/ptr/weight");
	check_diff("{\"obj\":{\"weight\":1}}", "{}", "/obj/weight");
	check_diff("{\"map\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"map\":{\"b\":\"2\",\"a\":\"1\"}}", NULL);
	check_diff("{\"map\":{\"a\":\"1\"}}", "{\"map\":{\"a\":\"2\"}}", "/map/a");
	check_diff("{\"map\":{\"a\":\"1\"}}", "{\"map\":{\"a\":\"1\",\"b\":\"2\"}}", "/map");
	check_diff("{\"keyed\":{\"a\":{\"weight\":1},\"b\":{}}}", "{\"keyed\":{\"b\":{},\"a\":{\"weight\":1}}}", NULL);
	check_diff("{\"keyed\":{\"a\":{\"weight\":1}}}", "{\"keyed\":{\"a\":{\"weight\":2}}}", "/keyed/a/weight");
	check_diff("{\"keyed\":{\"a\":{}}}", "{\"keyed\":{\"b\":{}}}", "/keyed/a");
}

/* Wherever memory ends, it is an error and nothing worse. */
TEST(out_of_memory)
{
	static const char text[] = "{\"strs\":[\"a\"],\"u32s\":[1],\"words\":[\"a\"],\"ptr\":{},\"list\":[{}],"
				   "\"keyed\":{\"y\":{}},\"map\":{\"k\":\"1\"}}";
	int failures = 0;

	for (size_t limit = 16;; limit += 16) {
		cleanup_arena struct arena a = { .limit = limit };
		struct thing t;
		struct err e = { 0 };

		if (read_thing(text, &t, &a, &e) == 0)
			break;
		CHECK_INT(e.num, ENOMEM);
		failures++;
	}
	CHECK(failures > 10);
}
