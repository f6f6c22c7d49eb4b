// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/cli.h"

int cli_duration(const char *text, int *ret_ms, struct err *e)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "us", 1e-3 }, { "ns", 1e-6 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 } };
	const char *p = text;
	double total = 0;

	while (*p) {
		char *end;
		double n = strtod(p, &end);
		size_t i = 0;

		if (end == p || *p == '-' || *p == '+')
			break;
		while (i < ARRAY_SIZE(units) && !str_starts(end, units[i].unit))
			i++;
		if (i == ARRAY_SIZE(units))
			break;
		total += n * units[i].ms;
		p = end + strlen(units[i].unit);
	}
	if (*p || !(total >= 1) || total > 1e9)
		return err_set(e, ERR_USAGE, 0, "--interval: \"%s\" is no duration like 5s, 500ms or 1m30s", text);
	*ret_ms = (int)total;
	return 0;
}
