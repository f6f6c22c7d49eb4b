// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/lib/test.h"

struct test *test_list;
int test_failures;
const char *test_skip_reason;

int main(void)
{
	int n = 0, total = 0, failed = 0;

	for (struct test *t = test_list; t; t = t->next)
		total++;
	printf("1..%d\n", total);
	for (struct test *t = test_list; t; t = t->next) {
		int before = test_failures;

		test_skip_reason = NULL;
		t->run();
		if (test_failures > before)
			failed++;
		printf("%sok %d - %s%s%s\n", test_failures > before ? "not " : "", ++n, t->name,
		       test_skip_reason ? " # SKIP " : "", test_skip_reason ? test_skip_reason : "");
		fflush(stdout);
	}
	return failed ? 1 : 0;
}
