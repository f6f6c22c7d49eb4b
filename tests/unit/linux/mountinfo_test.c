// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/mountinfo.h"
#include "tests/lib/test.h"

TEST(a_line)
{
	char line[] = "36 35 98:12 /root\\040x /point\\011y rw,noatime shared:1 master:2 - ext3 /dev/a\\134b rw,errors=continue";
	struct mountinfo m;

	CHECK(mountinfo_parse(line, &m));
	CHECK_INT(m.id, 36);
	CHECK_INT(m.parent, 35);
	CHECK_INT(m.major, 98);
	CHECK_INT(m.minor, 12);
	CHECK_STR(m.root, "/root x");
	CHECK_STR(m.point, "/point\ty");
	CHECK_STR(m.options, "rw,noatime");
	CHECK_STR(m.optional, "shared:1 master:2");
	CHECK_STR(m.fs, "ext3");
	CHECK_STR(m.source, "/dev/a\\b");
	CHECK_STR(m.super, "rw,errors=continue");
}

TEST(no_line)
{
	static const char *const bad[] = { "", "36", "36 35 98:0 / /x rw", "x 35 98:0 / /x rw - a b c", "36 35 98 / /x rw - a b c",
					   "36 35 98:0 / /x rw - a b", NULL };
	struct mountinfo m;
	char line[128];

	for (size_t i = 0; bad[i]; i++) {
		snprintf(line, sizeof line, "%s", bad[i]);
		CHECK(!mountinfo_parse(line, &m));
	}
}

TEST(below)
{
	CHECK_STR(path_below("/a", "/a/b"), "/b");
	CHECK_STR(path_below("/a", "/a"), "");
	CHECK(path_below("/a", "/ab") == NULL);
	CHECK_STR(path_below("/", "/a"), "/a");
	CHECK_STR(path_below("/", "/"), "");
}

/* Where a place of a file system is seen: not where something else covers it. */
TEST(places)
{
	struct mountinfo v[] = {
		{ .major = 8, .minor = 1, .root = "/", .point = "/" },
		{ .major = 8, .minor = 2, .root = "/sub", .point = "/mnt" },
		{ .major = 0, .minor = 9, .root = "/", .point = "/srv" },
	};
	const struct mountinfos seen = { v, 3 };
	struct arena a = { 0 };

	CHECK_STR(mountinfo_locate(&seen, &(struct mountinfo){ .major = 8, .minor = 1, .root = "/etc/x" }, &a), "/etc/x");
	CHECK_STR(mountinfo_locate(&seen, &(struct mountinfo){ .major = 8, .minor = 2, .root = "/sub/y" }, &a), "/mnt/y");
	CHECK_STR(mountinfo_locate(&seen, &(struct mountinfo){ .major = 8, .minor = 2, .root = "/sub" }, &a), "/mnt");
	CHECK(mountinfo_locate(&seen, &(struct mountinfo){ .major = 8, .minor = 2, .root = "/other" }, &a) == NULL);
	CHECK(mountinfo_locate(&seen, &(struct mountinfo){ .major = 8, .minor = 1, .root = "/srv/z" }, &a) == NULL);
	CHECK(mountinfo_locate(&seen, &(struct mountinfo){ .major = 8, .minor = 3, .root = "/" }, &a) == NULL);
	CHECK(mountinfo_has_device(&seen, &(struct mountinfo){ .major = 0, .minor = 9 }));
	arena_done(&a);
}
