// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/proc.h"

#include "tests/lib/test.h"

static void check_zero(int64_t s, long ns, int64_t own_s, int64_t own_ns)
{
	struct oci_time_offset o = proc_zero_offset((struct timespec){ .tv_sec = s, .tv_nsec = ns }, own_s, own_ns);

	/* The host's clock, which shows less our own offset, and the new one: zero. */
	CHECK_INT((s - own_s + o.secs) * 1000000000 + ns - own_ns + o.nanosecs, 0);
	CHECK(o.nanosecs < 1000000000);
}

TEST(clocks_begin_at_zero)
{
	check_zero(1000, 0, 0, 0);
	check_zero(1000, 1, 0, 0);
	check_zero(1000, 999999999, 0, 0);
	check_zero(0, 5, 0, 0);
	/* In a time namespace: ours began at -500 s. */
	check_zero(12, 250000000, -500, 750000000);
	check_zero(12, 750000000, -500, 250000000);
}

TEST(uuid)
{
	uint8_t zeros[16] = { 0 }, ones[16];
	char text[PROC_UUID_SIZE];

	proc_uuid(zeros, text);
	CHECK_STR(text, "00000000-0000-4000-8000-000000000000");
	memset(ones, 0xff, sizeof ones);
	proc_uuid(ones, text);
	CHECK_STR(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
}
