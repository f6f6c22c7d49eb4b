// SPDX-License-Identifier: LGPL-2.1-or-later

#include <sys/utsname.h>
#include <unistd.h>

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

/* Of a container that this host could take. */
static struct migration_offer good_offer(struct arena *a)
{
	struct migration_offer o = { .token = "t", .id = "c", .document = "{}", .bundle = "/nonexistent/b", .rootfs = MIGRATION_SHARED };
	struct oci_spec spec = { 0 };
	struct container c = { 0 };
	struct err e;

	CHECK(offer_fill(&c, &spec, &o, a, &e) >= 0);
	return o;
}

TEST(a_cpu_that_lacks_something_is_a_problem)
{
	cleanup_arena struct arena a = { 0 };
	struct migration_offer o = good_offer(&a);
	struct problems p;

	check(&o, &p, &a);
	CHECK(!has(&p.list.strs, "this CPU lacks"));
	o.cpu = arena_printf(&a, "abacus %s slide-rule", o.cpu);
	check(&o, &p, &a);
	CHECK(has(&p.list.strs, "this CPU lacks what programs may have found at the source: abacus slide-rule"));
}

TEST(other_cgroups_and_a_systemd_that_is_not_there_are_problems)
{
	cleanup_arena struct arena a = { 0 };
	struct migration_offer o = good_offer(&a);
	struct problems p;

	check(&o, &p, &a);
	CHECK(!has(&p.list.strs, "cgroups"));
	o.driver = "systemd";
	check(&o, &p, &a);
	CHECK(has(&p.list.strs, "the container's cgroups are systemd's") == (access("/run/systemd/private", F_OK) < 0));
	o.cgroups = "others";
	check(&o, &p, &a);
	CHECK(has(&p.list.strs, "cgroups are others at the source and"));
}

TEST(a_document_that_is_not_understood_is_a_problem)
{
	cleanup_arena struct arena a = { 0 };
	struct migration_offer o = good_offer(&a);
	struct problems p;

	o.document = "{\"ociVersion\": \"9.0\"}";
	check(&o, &p, &a);
	CHECK(has(&p.list.strs, "/ociVersion"));
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
