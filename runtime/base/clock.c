// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

struct clock_text clock_rfc3339(int digits)
{
	struct clock_text text;
	struct timespec now;
	struct tm tm;
	char date[32], fraction[16];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(fraction, sizeof fraction, "%09ld", now.tv_nsec);
	snprintf(text.s, sizeof text.s, "%s.%.*sZ", date, digits, fraction);
	return text;
}
