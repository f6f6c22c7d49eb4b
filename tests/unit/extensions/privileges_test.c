// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/privileges.h"

#include "tests/lib/test.h"

/* What a text becomes when it is kept, or the error. */
static const char *canonical(const struct ext_value *value, const char *text)
{
	static char buf[ERR_TEXT_MAX + 128];
	__attribute__((cleanup(arena_done))) struct arena a = { 0 };
	cleanup_str struct str out = { 0 };
	struct switches s = { 0 };
	struct err e;

	if (value->parse(text, &s, &a, &e) < 0)
		return err_format(&e, buf, sizeof buf);
	value->print(&s, &out);
	snprintf(buf, sizeof buf, "%s", str_cstr(&out));
	return buf;
}

TEST(capabilities)
{
	const struct ext_value *v = &value_capabilities;

	CHECK_STR(canonical(v, "SYS_TIME:on"), "sys_time:on");
	CHECK_STR(canonical(v, " cap_sys_time:ON,  chown:off "), "chown:off sys_time:on");
	CHECK_STR(canonical(v, "chown:on chown:off"), "chown:off");
	CHECK_STR(canonical(v, "audit_control:on"), "audit_control:on");
	CHECK(strstr(canonical(v, "ve_admin:on"), "only OpenVZ's kernel has this capability"));
	CHECK_STR(canonical(v, "flying:on"), "flying: unknown capability");
	CHECK_STR(canonical(v, "chown"), "chown: not NAME:on or NAME:off");
	CHECK_STR(canonical(v, "chown:onn"), "chown:onn: not NAME:on or NAME:off");
	CHECK_STR(canonical(v, ":on"), ": unknown capability");
	CHECK_STR(canonical(v, " "), "says nothing: NAME:on or NAME:off");
	CHECK_STR(canonical(v, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:on"),
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: unknown capability");
}

TEST(features)
{
	const struct ext_value *v = &value_features;

	CHECK_STR(canonical(v, "tun:on,NFS:off"), "nfs:off tun:on");
	CHECK_STR(canonical(v, "bridge:on"), "bridge:on");
	CHECK_STR(canonical(v, "brid:on"), "brid: unknown feature");
}
