// SPDX-License-Identifier: LGPL-2.1-or-later

/* Names of units, properties from rows and annotations, GVariant text to D-Bus. */

#include <stdlib.h>
#include <string.h>

#include "runtime/cgroup/bus.h"
#include "runtime/cgroup/unit.h"
#include "tests/lib/test.h"

static struct arena arena;

static void name_is(const char *path, bool user, const char *unit, const char *slice, const char *dir)
{
	struct unit_name n = { 0 };
	struct err err = { 0 };

	if (unit_name(path, "c1", user, &n, &arena, &err) < 0) {
		FAIL("%s: %s", path ? path : "(none)", err.text);
		return;
	}
	CHECK_STR(n.unit, unit);
	CHECK_STR(n.slice, slice);
	CHECK_STR(n.path, dir);
}

static void name_fails(const char *path, const char *text)
{
	struct unit_name n = { 0 };
	struct err err = { 0 };

	CHECK(unit_name(path, "c1", false, &n, &arena, &err) < 0);
	if (!strstr(err.text, text))
		FAIL("%s: %s", path, err.text);
}

TEST(names)
{
	name_is(NULL, false, "vzrun-c1.scope", "system.slice", "/system.slice/vzrun-c1.scope");
	name_is("", true, "vzrun-c1.scope", "user.slice", "/user.slice/vzrun-c1.scope");
	name_is("machine.slice:libpod:x", false, "libpod-x.scope", "machine.slice", "/machine.slice/libpod-x.scope");
	name_is("a-b-c.slice:p:x", false, "p-x.scope", "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/p-x.scope");
	name_is(":p:x", false, "p-x.scope", "system.slice", "/system.slice/p-x.scope");
	name_is(":p:x", true, "p-x.scope", "user.slice", "/user.slice/p-x.scope");
	name_is("-.slice:p:x", false, "p-x.scope", "-.slice", "/p-x.scope");
	name_is("a.slice::x", false, "x.scope", "a.slice", "/a.slice/x.scope");
	name_is("a.slice:p:a-b.slice", false, "a-b.slice", "a.slice", "/a.slice/a-b.slice");
	name_is("a.slice:p:x@1_2\\x2d", false, "p-x@1_2\\x2d.scope", "a.slice", "/a.slice/p-x@1_2\\x2d.scope");
}

TEST(bad_names)
{
	char longest[400] = "a.slice:p:";

	name_fails("/foo", "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"/foo\" instead");
	name_fails("a.slice:p", "got \"a.slice:p\" instead");
	name_fails("a.slice:p:x:y", "got \"a.slice:p:x:y\" instead");
	name_fails("a.slice:p:", "no name");
	name_fails("a:p:x", "invalid slice name: a");
	name_fails("a/b.slice:p:x", "invalid slice name: a/b.slice");
	name_fails("a--b.slice:p:x", "invalid slice name");
	name_fails("-a.slice:p:x", "invalid slice name");
	name_fails("a-.slice:p:x", "invalid slice name");
	name_fails(".slice:p:x", "invalid slice name");
	name_fails("../a.slice:p:x", "invalid slice name");
	name_fails("a.slice:p:../x", "'/' cannot be part of the name of a systemd unit");
	name_fails("a.slice:p/q:x", "'/' cannot be part");
	name_fails("a.slice:p:x y", "' ' cannot be part");
	name_fails("a.slice:p:x+y", "'+' cannot be part");
	name_fails("a.slice:p:--.slice", "invalid slice name");
	memset(longest + 10, 'x', 300);
	name_fails(longest, "more than 255 characters");
}

/* The bytes in hex, the signature before them. */
static void gvariant_is(const char *text, const char *type, const char *hex)
{
	cleanup_str struct str body = { 0 }, got = { 0 };
	struct err err = { 0 };
	size_t begin = 2 + strlen(type);

	if (gvariant_put(text, &body, &err) < 0) {
		FAIL("%s: %s", text, err.text);
		return;
	}
	CHECK(body.s[0] == (char)strlen(type));
	CHECK_STR(body.s + 1, type);
	for (size_t i = begin; i < body.len; i++)
		str_addf(&got, "%02x", (unsigned char)body.s[i]);
	CHECK_STR(str_cstr(&got), hex);
}

/* Little-endian, as all machines that we build for are; padding to the alignment included. */
TEST(gvariant)
{
	gvariant_is("true", "b", "0001000000");
	gvariant_is(" false ", "b", "0000000000");
	gvariant_is("byte 0x03", "y", "03");
	gvariant_is("5", "i", "0005000000");
	gvariant_is("-5", "i", "00fbffffff");
	gvariant_is("uint32 4294967295", "u", "00ffffffff");
	gvariant_is("uint64 18446744073709551615", "t", "0000000000ffffffffffffffff");
	gvariant_is("int16 -2", "n", "00feff");
	gvariant_is("1.5", "d", "0000000000000000000000f83f");
	gvariant_is("'ab'", "s", "00020000006162" "00");
	gvariant_is("\"a'b\"", "s", "000300000061276200");
	gvariant_is("'a\\'b'", "s", "000300000061276200");
	gvariant_is("objectpath '/a'", "o", "00020000002f6100");
	gvariant_is("@as []", "as", "00000000");
	gvariant_is("['a', 'b']", "as", "0e00000001000000610000000100000062" "00");
	gvariant_is("[byte 1, 2]", "ay", "020000000102");
	gvariant_is("[('x', uint64 7)]", "a(st)", "00" "10000000" "00000000" "01000000" "7800" "0000" "0700000000000000");
}

static void gvariant_fails(const char *text, const char *why)
{
	cleanup_str struct str body = { 0 };
	struct err err = { 0 };

	CHECK(gvariant_put(text, &body, &err) < 0);
	if (!strstr(err.text, why))
		FAIL("%s: %s", text, err.text);
}

TEST(bad_gvariant)
{
	gvariant_fails("", "no value");
	gvariant_fails("word", "no value");
	gvariant_fails("truest", "no value");
	gvariant_fails("'open", "closing quote");
	gvariant_fails("'end\\", "closing quote");
	gvariant_fails("5 6", "more than one value");
	gvariant_fails("uint32 -1", "out of range");
	gvariant_fails("byte 256", "out of range");
	gvariant_fails("3000000000", "out of range");
	gvariant_fails("uint64 99999999999999999999", "out of range");
	gvariant_fails("uint64 'x'", "a text where another type is wanted");
	gvariant_fails("boolean 1", "a number where another type is wanted");
	gvariant_fails("[]", "an empty array needs a type");
	gvariant_fails("['a', 1]", "a number where another type");
	gvariant_fails("['a' 'b']", "no comma");
	gvariant_fails("['a'", "no comma");
	gvariant_fails("()", "too few");
	gvariant_fails("@(ss) ('a')", "too few");
	gvariant_fails("@(s) ('a', 'b')", "too many");
	gvariant_fails("@z 1", "no type");
	gvariant_fails("[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "nested too deeply");
}

static const char *usec(const char *text)
{
	struct err err = { 0 };
	const char *ret;

	return gvariant_to_usec(text, &ret, &arena, &err) < 0 ? arena_strdup(&arena, err.text) : ret;
}

TEST(seconds)
{
	CHECK_STR(usec("5"), "uint64 5000000");
	CHECK_STR(usec("uint64 90"), "uint64 90000000");
	CHECK_STR(usec("1.5"), "uint64 1500000");
	CHECK_STR(usec("uint64 18446744073709551615"), "uint64 18446744073709551615");
	CHECK(strstr(usec("'5'"), "a number of seconds is wanted") != NULL);
	CHECK(strstr(usec("-1"), "out of range") != NULL);
	CHECK(strstr(usec("uint64 18446744073709551"), "out of range") != NULL);
}

static int annotation(const char *key, const char *value, struct unit_properties *list, struct err *e)
{
	struct oci_pair pair = { key, value };
	struct oci_map map = { &pair, 1 };

	*e = (struct err){ 0 };
	return unit_from_annotations(&map, list, &arena, e);
}

TEST(annotations)
{
	struct unit_properties list = { 0 };
	struct err err;

	CHECK(annotation("org.systemd.property.TimeoutStopSec", "uint64 5", &list, &err) == 0);
	CHECK(annotation("org.systemd.property.TimeoutStopUSec", "uint64 5", &list, &err) == 0);
	CHECK(annotation("org.systemd.property.After", "['a.service']", &list, &err) == 0);
	CHECK(annotation("org.other", "rubbish", &list, &err) == 0);
	CHECK(list.n == 3);
	CHECK_STR(list.v[0].name, "TimeoutStopUSec");
	CHECK_STR(list.v[0].value, "uint64 5000000");
	CHECK_STR(list.v[1].name, "TimeoutStopUSec");
	CHECK_STR(list.v[1].value, "uint64 5");
	CHECK_STR(list.v[2].name, "After");
	CHECK(annotation("org.systemd.property.After", "rubbish", &list, &err) < 0);
	CHECK(strstr(err.text, "annotation org.systemd.property.After=rubbish: value parse error") != NULL);
	CHECK(annotation("org.systemd.property.", "1", &list, &err) < 0);
	CHECK(strstr(err.text, "name incorrect") != NULL);
	CHECK(annotation("org.systemd.property.A-b", "1", &list, &err) < 0);
	CHECK(annotation("org.systemd.property.XSec", "'no'", &list, &err) == 0);
}
