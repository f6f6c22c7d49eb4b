// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rates between two samples, and JSON of what is known. */

#include "runtime/flow/sample.h"

#include <math.h>
#include <unistd.h>

#include "oci/emit.h"
#include "tests/lib/test.h"

static struct opt_u64 is(uint64_t v)
{
	return (struct opt_u64){ v, true };
}

static struct cg_io_device disks1[] = { { 8, 0, 1000, 5000, 1, 2 }, { 8, 16, 0, 0, 0, 0 } };
static struct cg_io_device disks2[] = { { 8, 0, 3000, 5000, 2, 2 }, { 8, 16, 0, 4000, 0, 9 } };
static struct net_interface net1[] = { { "lo", 10, 1, 0, 0, 10, 1, 0, 0 }, { "eth0", 100, 1, 0, 0, 200, 2, 0, 0 } };
static struct net_interface net2[] = { { "lo", 99, 1, 0, 0, 99, 1, 0, 0 }, { "eth0", 600, 1, 0, 0, 200, 2, 0, 0 } };

static void two(struct sample *was, struct sample *now)
{
	*was = (struct sample){ .id = "c", .pid = 7, .start_time = 3, .at_us = 1000000, .own_network = true };
	was->cg.cpu.usage_ns = is(1000000000);
	was->cg.cpu.periods = is(100);
	was->cg.cpu.throttled_periods = is(10);
	was->cg.io = (struct cg_io_sample){ .known = true, .v = disks1, .n = 2 };
	was->network = (struct net_interfaces){ net1, 2 };
	*now = *was;
	now->at_us += 2000000;
	now->cg.cpu.usage_ns = is(1500000000);
	now->cg.cpu.periods = is(120);
	now->cg.cpu.throttled_periods = is(15);
	now->cg.io.v = disks2;
	now->network.v = net2;
}

#define NEAR(a, b) CHECK(fabs((a) - (b)) < 1e-6)

TEST(rates)
{
	struct sample was, now;

	two(&was, &now);
	sample_compare(&was, &now);
	CHECK_INT(now.rates.interval_us, 2000000);
	NEAR(now.rates.cpu_percent, 25);
	NEAR(now.rates.throttled_percent, 25);
	NEAR(now.rates.read_bytes, 1000);
	NEAR(now.rates.write_bytes, 2000);
	NEAR(now.rates.rx_bytes, 250);
	NEAR(now.rates.tx_bytes, 0);
}

TEST(no_rates)
{
	struct sample was, now;

	two(&was, &now);
	sample_compare(NULL, &now);
	CHECK_INT(now.rates.interval_us, 0);
	CHECK(isnan(now.rates.cpu_percent));
	/* the same pid, another process */
	was.start_time++;
	sample_compare(&was, &now);
	CHECK_INT(now.rates.interval_us, 0);
	two(&was, &now);
	now.at_us = was.at_us;
	sample_compare(&was, &now);
	CHECK_INT(now.rates.interval_us, 0);
}

TEST(what_is_not_known_has_no_rate)
{
	struct sample was, now;

	two(&was, &now);
	was.cg.cpu.usage_ns.set = false;
	now.cg.io.known = false;
	now.own_network = false;
	now.cg.cpu.periods.set = false;
	sample_compare(&was, &now);
	CHECK_INT(now.rates.interval_us, 2000000);
	CHECK(isnan(now.rates.cpu_percent));
	CHECK(isnan(now.rates.read_bytes));
	CHECK(isnan(now.rates.tx_bytes));
	CHECK(isnan(now.rates.throttled_percent));
}

TEST(counters_that_go_back_and_periods_that_stand_still)
{
	struct sample was, now;

	two(&was, &now);
	now.cg.cpu.usage_ns = is(5);
	now.cg.io.n = 0;
	now.cg.cpu.periods = was.cg.cpu.periods;
	now.cg.cpu.throttled_periods = was.cg.cpu.throttled_periods;
	sample_compare(&was, &now);
	CHECK(isnan(now.rates.cpu_percent));
	CHECK(isnan(now.rates.read_bytes));
	NEAR(now.rates.throttled_percent, 0);
}

TEST(cpu_limit)
{
	struct sample s = { 0 };

	CHECK(isnan(sample_cpu_limit(&s)));
	s.cg.cpu.quota_us = is(CG_UNLIMITED);
	s.cg.cpu.period_us = is(100000);
	CHECK(isinf(sample_cpu_limit(&s)));
	s.cg.cpu.quota_us = is(150000);
	NEAR(sample_cpu_limit(&s), 150);
	s.cg.cpu.period_us = is(0);
	CHECK(isnan(sample_cpu_limit(&s)));
}

static const char *json(const struct sample *s)
{
	static struct str text;
	struct emit out = { .out = &text };

	str_clear(&text);
	emit_object(&out, NULL);
	sample_emit(s, &out);
	sample_emit_rates(s, &out);
	emit_object_end(&out);
	return str_cstr(&text);
}

TEST(json_has_what_is_known)
{
	struct sample s = { 0 };

	CHECK_STR(json(&s), "{\"cpu\":{},\"memory\":{},\"pids\":{},\"io\":{}}");
	s.cg.memory.usage = is(0);
	s.cg.memory.limit = is(CG_UNLIMITED);
	s.cg.pids = is(3);
	s.cg.io.known = true;
	s.own_network = true;
	s.disk = (struct sample_disk){ .known = true, .size_bytes = 10, .used_bytes = 4 };
	CHECK_STR(json(&s), "{\"cpu\":{},\"memory\":{\"usage_bytes\":0},\"pids\":{\"current\":3},"
			    "\"io\":{\"read_bytes\":0,\"write_bytes\":0,\"devices\":[]},\"network\":[],"
			    "\"disk\":{\"size_bytes\":10,\"used_bytes\":4}}");
	s = (struct sample){ .rates = { 5, 1.5, NAN, NAN, 2, NAN, NAN } };
	CHECK(strstr(json(&s), "\"rates\":{\"interval_us\":5,\"cpu_percent\":1.50,\"write_bytes_per_s\":2.00}}") != NULL);
}

TEST(network_of_a_process)
{
	cleanup_arena struct arena a = { 0 };
	struct net_interfaces list;
	struct err e;

	CHECK_INT(netstats_read(getpid(), &list, &a, &e), 0);
	CHECK(!netstats_is_own(getpid()));
	CHECK(!netstats_is_own(-1));
	CHECK(netstats_read(-1, &list, &a, &e) < 0);
	CHECK_INT(list.n, 0);
}
