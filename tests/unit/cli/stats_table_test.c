// SPDX-License-Identifier: LGPL-2.1-or-later

/* stats: numbers for people, order, what a terminal gets. */

#include "runtime/cli/stats_table.h"

#include <math.h>

#include "runtime/cli/cli.h"
#include "tests/lib/test.h"

TEST(sizes)
{
	CHECK_STR(stats_size(0).s, "0");
	CHECK_STR(stats_size(512).s, "512");
	CHECK_STR(stats_size(1023).s, "1023");
	CHECK_STR(stats_size(1023.6).s, "1.0K");
	CHECK_STR(stats_size(1024).s, "1.0K");
	CHECK_STR(stats_size(1536).s, "1.5K");
	CHECK_STR(stats_size(9.96 * 1024).s, "10K");
	CHECK_STR(stats_size(1023.7 * 1024).s, "1.0M");
	CHECK_STR(stats_size(64 * 1048576.0).s, "64M");
	CHECK_STR(stats_size(1.5 * 1099511627776.0).s, "1.5T");
	CHECK_STR(stats_size(18446744073709551614.0).s, "16E");
	CHECK_STR(stats_size(NAN).s, "-");
	CHECK_STR(stats_size(INFINITY).s, "max");
}

TEST(percents)
{
	CHECK_STR(stats_percent(0).s, "0.0");
	CHECK_STR(stats_percent(12.34).s, "12.3");
	CHECK_STR(stats_percent(6400).s, "6400.0");
	CHECK_STR(stats_percent(NAN).s, "-");
	CHECK_STR(stats_percent(INFINITY).s, "max");
}

static struct sample sample(const char *id, double cpu, uint64_t pids)
{
	struct sample s = { .id = id };

	sample_compare(NULL, &s);
	s.rates.cpu_percent = cpu;
	s.cg.pids = (struct opt_u64){ pids, pids != 0 };
	return s;
}

TEST(order)
{
	struct sample v[] = { sample("b", 1, 0), sample("d", NAN, 3), sample("a", 20, 3), sample("c", 1, 9) };
	enum stats_key key;
	struct err e;

	CHECK_INT(stats_sort_key("cpu", &key, &e), 0);
	stats_sort(v, 4, key);
	CHECK_STR(v[0].id, "a");
	CHECK_STR(v[1].id, "b");
	CHECK_STR(v[2].id, "c");
	CHECK_STR(v[3].id, "d");
	CHECK_INT(stats_sort_key("pids", &key, &e), 0);
	stats_sort(v, 4, key);
	CHECK_STR(v[0].id, "c");
	CHECK_STR(v[1].id, "a");
	CHECK_STR(v[2].id, "d");
	CHECK_STR(v[3].id, "b");
	CHECK_INT(stats_sort_key(NULL, &key, &e), 0);
	stats_sort(v, 4, key);
	CHECK_STR(v[3].id, "d");
	CHECK(stats_sort_key("", &key, &e) < 0);
	stats_sort(NULL, 0, key);
}

TEST(table)
{
	static const char head[] = "ID             CPU% LIMIT% THROT%    MEM  LIMIT   SWAP   PIDS  READ/s  WRITE/s   RX/s   TX/s CPU-PSI% "
				   "MEM-PSI%  IO-PSI%   DISK\n";
	struct sample s = sample("x", NAN, 0);
	cleanup_str struct str out = { 0 };

	stats_table(NULL, 0, 0, &out);
	CHECK_STR(out.s, head);
	str_clear(&out);
	stats_table(&s, 1, 0, &out);
	CHECK(str_starts(out.s, head));
	CHECK_STR(out.s + strlen(head), "x                 -      -      -      -      -      -      -       -        -      -      -        "
					"-        -        -      -\n");
	str_clear(&out);
	s = sample("0123456789abcdef", 7.25, 5);
	s.cg.cpu.quota_us = (struct opt_u64){ CG_UNLIMITED, true };
	s.cg.cpu.period_us = (struct opt_u64){ 100000, true };
	s.cg.memory.usage = (struct opt_u64){ 4096, true };
	s.cg.memory.limit = (struct opt_u64){ CG_UNLIMITED, true };
	stats_table(&s, 1, 13, &out);
	CHECK(strstr(out.s, "\n0123456789abc    7.2    max      -   4.0K    max      -      5 ") != NULL);
}

TEST(screen)
{
	cleanup_str struct str out = { 0 };

	stats_screen("heading\nfirst\nsecond\n", 3, 6, &out);
	CHECK_STR(out.s, "\033[Hheadin\033[K\nfirst\033[K\n\033[J");
	str_clear(&out);
	stats_screen("a\nb", 24, 80, &out);
	CHECK_STR(out.s, "\033[Ha\033[K\nb\033[K\n\033[J");
	str_clear(&out);
	stats_screen("", 24, 80, &out);
	CHECK_STR(out.s, "\033[H\033[J");
}

TEST(durations)
{
	struct err e;
	int ms;

	CHECK_INT(cli_duration("1m30s", &ms, &e), 0);
	CHECK_INT(ms, 90000);
	CHECK_INT(cli_duration("1.5s", &ms, &e), 0);
	CHECK_INT(ms, 1500);
	CHECK(cli_duration("5", &ms, &e) < 0);
	CHECK(cli_duration("1us", &ms, &e) < 0);
	CHECK(cli_duration("", &ms, &e) < 0);
}
