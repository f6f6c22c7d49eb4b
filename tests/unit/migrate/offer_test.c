// SPDX-License-Identifier: LGPL-2.1-or-later

#include <sys/utsname.h>

#include "runtime/base/str.h"
#include "runtime/migrate/offer.h"
#include "tests/lib/test.h"

static bool has(const struct oci_strs *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strstr(list->v[i], text))
			return true;
	return false;
}

TEST(too_many_problems_end_with_how_many_more)
{
	cleanup_arena struct arena a = { 0 };
	struct problems p = { .arena = &a };

	for (int i = 1; i <= PROBLEMS_MAX; i++)
		problem(&p, "problem %d", i);
	CHECK_INT(p.list.strs.n, PROBLEMS_MAX);
	CHECK_STR(p.list.strs.v[PROBLEMS_MAX - 1], "problem 100");
	problem(&p, "another");
	CHECK_INT(p.list.strs.n, PROBLEMS_MAX);
	CHECK_STR(p.list.strs.v[PROBLEMS_MAX - 1], "and 2 more");
	problem(&p, "another");
	CHECK_STR(p.list.strs.v[PROBLEMS_MAX - 1], "and 3 more");
	CHECK_STR(p.list.strs.v[PROBLEMS_MAX - 2], "problem 99");
	CHECK_INT(p.doubts.strs.n, 0);
	CHECK(!p.failed);
}

static void check(struct migration_offer *o, struct problems *p, struct arena *a)
{
	*p = (struct problems){ .arena = a };
	offer_check(o, "/nonexistent", "/", p, a);
}

TEST(an_older_kernel_is_a_doubt_and_another_machine_a_problem)
{
	cleanup_arena struct arena a = { 0 };
	struct problems p;
	struct utsname u;
	struct migration_offer o = { .token = "t", .id = "c", .document = "{}", .cgroups = "v2", .driver = "cgroupfs", .bundle = "/nonexistent/b" };

	CHECK_INT(uname(&u), 0);
	o.machine = u.machine;
	o.kernel = u.release;
	check(&o, &p, &a);
	CHECK_INT(p.doubts.strs.n, 0);
	o.kernel = "99.1-x";
	check(&o, &p, &a);
	CHECK(has(&p.doubts.strs, "99.1-x at the source"));
	o.kernel = "2.6.32";
	check(&o, &p, &a);
	CHECK_INT(p.doubts.strs.n, 0);
	o.machine = "vax";
	check(&o, &p, &a);
	CHECK(has(&p.list.strs, "runs on a vax"));
}

TEST(memory_that_has_no_room_is_a_problem)
{
	cleanup_arena struct arena a = { 0 };
	struct problems p = { .arena = &a };

	offer_check_space("the memory", "/", 1, &p);
	CHECK_INT(p.list.strs.n, 0);
	offer_check_space("the memory", "/", UINT64_MAX, &p);
	CHECK(has(&p.list.strs, "the memory needs up to"));
	offer_check_space("the memory", "/nonexistent", 1, &p);
	CHECK(has(&p.list.strs, "/nonexistent"));
}
