// SPDX-License-Identifier: LGPL-2.1-or-later

/* Names of units, properties from rows and annotations, GVariant text to D-Bus. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
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

/* ---- a manager at the other end of a socket, which has answered before it was asked ---- */

static const struct bus_member member = { "/p", "i.f", "Member" };

struct peer {
	struct bus bus;
	int fd;
	char in[4096];
	size_t len;
};

static int peer_listen(struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path + 1, sizeof addr->sun_path - 1, "vzrun-unit-test-%d", (int)getpid());
	return fd >= 0 && bind(fd, (const struct sockaddr *)addr,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(addr->sun_path + 1))) == 0 &&
			       listen(fd, 1) == 0 ? fd : -1;
}

static bool peer_begin(struct peer *p, const char *says, size_t len)
{
	struct sockaddr_un addr;
	cleanup_fd int listener = peer_listen(&addr);
	struct err err = { 0 };

	*p = (struct peer){ .fd = -1 };
	addr.sun_path[0] = '@';
	if (listener < 0 || bus_open(addr.sun_path, true, &p->bus, &err) < 0) {
		FAIL("%s", err.text);
		return false;
	}
	p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return p->fd >= 0 && send(p->fd, says, len, 0) == (ssize_t)len;
}

#define ACCEPTED "DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n"

static void peer_end(struct peer *p)
{
	bus_close(&p->bus);
	fd_close(&p->fd);
}

/* The body of the one message that was sent; the header tells its length. */
static const unsigned char *peer_body(struct peer *p, uint32_t *len)
{
	static const char begin[] = "BEGIN\r\n";
	ssize_t n = recv(p->fd, p->in, sizeof p->in, 0);
	const char *header = n > 0 ? memmem(p->in, (size_t)n, begin, sizeof begin - 1) : NULL;

	if (!header)
		return NULL;
	header += sizeof begin - 1;
	memcpy(len, header + 4, 4);
	return (const unsigned char *)p->in + n - *len;
}

/* The bytes in hex, the signature before them. */
static void gvariant_is(const char *text, const char *type, const char *hex)
{
	cleanup_bus_call struct bus_call call = { 0 };
	cleanup_str struct str got = { 0 };
	struct err err = { 0 };
	const unsigned char *body = NULL;
	struct peer p;
	uint32_t len = 0;

	if (peer_begin(&p, ACCEPTED, sizeof ACCEPTED - 1) && bus_begin(&p.bus, &member, &call, &err) == 0 &&
	    gvariant_put(text, &call, &err) == 0 && bus_send(&p.bus, &call, &err) > 0)
		body = peer_body(&p, &len);
	if (!body || len < 2 + strlen(type)) {
		FAIL("%s: %s", text, err.text);
	} else {
		CHECK(body[0] == strlen(type));
		CHECK_STR((const char *)body + 1, type);
		for (size_t i = 2 + strlen(type); i < len; i++)
			str_addf(&got, "%02x", body[i]);
		CHECK_STR(str_cstr(&got), hex);
	}
	bus_call_done(&call);
	peer_end(&p);
}

/* Little-endian, as all machines that we build for are; padding to the alignment included. */
TEST(gvariant)
{
	if (!HAVE_SYSTEMD)
		SKIP("built without libsystemd");
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
	struct err err = { 0 };

	CHECK(gvariant_check(text, &err) < 0);
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

TEST(no_object_path)
{
	cleanup_bus_call struct bus_call call = { 0 };
	struct err err = { 0 };
	struct peer p;

	if (!HAVE_SYSTEMD)
		SKIP("built without libsystemd");
	CHECK(peer_begin(&p, ACCEPTED, sizeof ACCEPTED - 1) && bus_begin(&p.bus, &member, &call, &err) == 0);
	CHECK(gvariant_put("objectpath 'x'", &call, &err) < 0);
	CHECK(strstr(err.text, "objectpath 'x'") != NULL);
	CHECK(bus_send(&p.bus, &call, &err) < 0);
	bus_call_done(&call);
	peer_end(&p);
}

static void begin_fails(const char *says, size_t len, bool hang_up, const char *why)
{
	cleanup_bus_call struct bus_call call = { 0 };
	struct err err = { 0 };
	struct bus_message m;
	struct peer p;

	CHECK(peer_begin(&p, says, len));
	if (hang_up)
		shutdown(p.fd, SHUT_RDWR);
	CHECK(bus_begin(&p.bus, &member, &call, &err) < 0 || bus_receive(&p.bus, clock_ms() + 200, &m, &err) < 0);
	if (!strstr(err.text, why))
		FAIL("%s: %s", why, err.text);
	bus_call_done(&call);
	peer_end(&p);
}

#define BEGIN_FAILS(says, hang_up, why) begin_fails(says, sizeof(says) - 1, hang_up, why)

TEST(bad_peers)
{
	if (!HAVE_SYSTEMD)
		SKIP("built without libsystemd");
	BEGIN_FAILS("DATA\r\nREJECTED EXTERNAL\r\n", false, "systemd does not accept uid");
	BEGIN_FAILS(ACCEPTED "this is no message at all", false, "not D-Bus what comes from @vzrun-unit-test-");
	BEGIN_FAILS(ACCEPTED "l\3\1\1\0\0\0\0\1\0\0\0\377\377\377\377", false, "not D-Bus");
	BEGIN_FAILS(ACCEPTED "l", false, "does not answer within");
	BEGIN_FAILS(ACCEPTED "l", true, "closed the connection");
	BEGIN_FAILS("", true, "closed the connection");
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
