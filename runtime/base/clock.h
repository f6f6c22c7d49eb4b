/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Time: how long something takes, and what the wall clock says. */

#include <stddef.h>
#include <stdint.h>

int64_t clock_us(void); /* CLOCK_MONOTONIC, microseconds */
int64_t clock_ms(void);

/* "2026-01-02T03:04:05.000006Z" with so many digits (1 to 9) behind the point: RFC 3339, UTC. */
struct clock_text {
	char s[48];
};
struct clock_text clock_rfc3339(int digits);
