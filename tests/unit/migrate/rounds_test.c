// SPDX-License-Identifier: LGPL-2.1-or-later

#include "runtime/migrate/source.h"
#include "tests/lib/test.h"

TEST(there_are_no_more_than_were_asked_for)
{
	const struct migrate_options o = { .max_rounds = 3 };

	CHECK(!source_is_last_round(&o, 1, 5000, 0, 10));
	CHECK(!source_is_last_round(&o, 2, 4000, 5000, 10));
	CHECK(source_is_last_round(&o, 3, 3000, 4000, 10));
}

TEST(one_that_brings_little_is_the_last)
{
	const struct migrate_options o = { .max_rounds = 8 };

	CHECK(!source_is_last_round(&o, 2, 65, 5000, 10));
	CHECK(source_is_last_round(&o, 2, 64, 5000, 10));
	CHECK(source_is_last_round(&o, 1, 0, 0, 10));
}

TEST(and_so_is_one_that_brings_a_tenth_more_than_the_one_before)
{
	const struct migrate_options o = { .max_rounds = 8 };

	CHECK(!source_is_last_round(&o, 3, 1100, 1000, 10));
	CHECK(source_is_last_round(&o, 3, 1101, 1000, 10));
}

TEST(what_is_short_enough_is_the_last_but_the_first_says_nothing)
{
	const struct migrate_options o = { .max_rounds = 8, .max_downtime_ms = 500 };

	CHECK(!source_is_last_round(&o, 1, 5000, 0, 400));
	CHECK(!source_is_last_round(&o, 2, 4000, 5000, 501));
	CHECK(source_is_last_round(&o, 2, 4000, 5000, 500));
}
