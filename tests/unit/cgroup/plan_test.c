// SPDX-License-Identifier: LGPL-2.1-or-later

/* Conversions and orders that depend on present values; the rest is in tests/golden/cgroup. */

#include <math.h>
#include <stdint.h>

#include "runtime/base/str.h"
#include "runtime/cgroup/plan.h"
#include "tests/lib/test.h"

static const struct cg_host v1 = { CG_V1,
				   { { "/cg/cpu", "cpu,cpuacct", "/", false }, { "/cg/memory", "memory", "/", false } },
				   2 };
static const struct cg_host v2 = { CG_V2, { { "/cg", "cpu,memory,io", "/", true } }, 1 };

TEST(weight_is_the_formula_for_every_share)
{
	int wrong = 0;

	for (uint64_t s = 3; s < 262144; s++) {
		double l = log2((double)s);
		double w = pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0);

		if (cg_weight_from_shares(s) != (uint64_t)ceil(w - 1e-9))
			wrong++;
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(cg_weight_from_shares(0), 0);
	CHECK_INT(cg_weight_from_shares(1), 1);
	CHECK_INT(cg_weight_from_shares(2), 1);
	CHECK_INT(cg_weight_from_shares(1024), 100);
	CHECK_INT(cg_weight_from_shares(262144), 10000);
	CHECK_INT(cg_weight_from_shares(UINT64_MAX), 10000);
}

TEST(io_weight)
{
	CHECK_INT(cg_io_weight_from_blkio(0), 0);
	CHECK_INT(cg_io_weight_from_blkio(10), 1);
	CHECK_INT(cg_io_weight_from_blkio(500), 4950);
	CHECK_INT(cg_io_weight_from_blkio(1000), 10000);
	CHECK_INT(cg_io_weight_from_blkio(UINT64_MAX), 10000);
}

/* "file=value file=value ..." */
static const char *plan(const struct cg_host *host, struct oci_memory *m, struct oci_cpu *c, struct cg_current now)
{
	static char buf[1024];
	cleanup_arena struct arena a = { 0 };
	struct oci_resources r = { .memory = m, .cpu = c };
	struct err err = { 0 };
	struct cg_plan p;
	size_t n = 0;

	buf[0] = '\0';
	now.update = true;
	if (cg_plan(host, &r, &now, &p, &a, &err) < 0) {
		snprintf(buf, sizeof buf, "%s", err.text);
		return buf;
	}
	for (size_t i = 0; i < p.n; i++)
		n += (size_t)snprintf(buf + n, sizeof buf - n, "%s%s=%s", i ? " " : "", p.v[i].file, p.v[i].value);
	return buf;
}

#define SET(x) { (x), true }

TEST(memory_and_swap_in_the_order_the_kernel_accepts)
{
	struct oci_memory up = { .limit = SET(300), .swap = SET(400) }, down = { .limit = SET(50), .swap = SET(60) };
	struct cg_current now = { .memory_limit = SET(100), .memory_swap = SET(200) };

	CHECK_STR(plan(&v1, &up, NULL, now), "memory.memsw.limit_in_bytes=400 memory.limit_in_bytes=300");
	CHECK_STR(plan(&v1, &down, NULL, now), "memory.limit_in_bytes=50 memory.memsw.limit_in_bytes=60");
	CHECK_STR(plan(&v2, &up, NULL, now), "memory.max=300 memory.swap.max=100");
}

TEST(unlimited_memory_takes_swap_along)
{
	struct oci_memory m = { .limit = SET(-1) };
	struct cg_current now = { .memory_limit = SET(100), .memory_swap = SET(200) };

	CHECK_STR(plan(&v1, &m, NULL, now), "memory.memsw.limit_in_bytes=-1 memory.limit_in_bytes=-1");
	CHECK_STR(plan(&v2, &m, NULL, now), "memory.max=max memory.swap.max=max");
}

TEST(swap_alone_uses_the_present_limit)
{
	struct oci_memory m = { .swap = SET(150) };
	struct cg_current now = { .memory_limit = SET(100) }, none = { .memory_limit = SET(-1) };

	CHECK_STR(plan(&v1, &m, NULL, now), "memory.memsw.limit_in_bytes=150");
	CHECK_STR(plan(&v2, &m, NULL, now), "memory.swap.max=50");
	CHECK(strstr(plan(&v2, &m, NULL, none), "unable to set swap limit without memory limit") != NULL);
}

TEST(check_before_update)
{
	struct oci_memory m = { .limit = SET(100), .check_before_update = SET(true) };
	struct cg_current busy = { .memory_usage = SET(101) }, idle = { .memory_usage = SET(99) };

	CHECK_STR(plan(&v2, &m, NULL, busy), "/linux/resources/memory/limit: 100 is below the current usage 101");
	CHECK_STR(plan(&v1, &m, NULL, busy), "/linux/resources/memory/limit: 100 is below the current usage 101");
	CHECK_STR(plan(&v2, &m, NULL, idle), "memory.max=100");
}

TEST(quota_and_period)
{
	struct oci_cpu both = { .quota = SET(20000), .period = SET(50000) }, longer = { .quota = SET(20000), .period = SET(200000) };
	struct oci_cpu quota = { .quota = SET(30000) }, period = { .period = SET(50000) };
	struct cg_current now = { .cpu_quota = SET(10000), .cpu_period = SET(100000) };

	CHECK_STR(plan(&v1, NULL, &both, now), "cpu.cfs_quota_us=20000 cpu.cfs_period_us=50000");
	CHECK_STR(plan(&v1, NULL, &longer, now), "cpu.cfs_period_us=200000 cpu.cfs_quota_us=20000");
	CHECK_STR(plan(&v1, NULL, &quota, now), "cpu.cfs_quota_us=30000");
	CHECK_STR(plan(&v2, NULL, &both, now), "cpu.max=20000 50000");
	CHECK_STR(plan(&v2, NULL, &quota, now), "cpu.max=30000 100000");
	CHECK_STR(plan(&v2, NULL, &period, now), "cpu.max=10000 50000");
}

TEST(burst_never_exceeds_quota)
{
	struct oci_cpu down = { .quota = SET(5000), .burst = SET(1000) }, up = { .quota = SET(50000), .burst = SET(40000) };
	struct cg_current now = { .cpu_quota = SET(10000), .cpu_period = SET(100000) };

	CHECK_STR(plan(&v2, NULL, &down, now), "cpu.max.burst=1000 cpu.max=5000 100000");
	CHECK_STR(plan(&v2, NULL, &up, now), "cpu.max=50000 100000 cpu.max.burst=40000");
	CHECK_STR(plan(&v1, NULL, &down, now), "cpu.cfs_burst_us=1000 cpu.cfs_quota_us=5000");
}

TEST(merge)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_memory m1 = { .limit = SET(100), .swap = SET(200), .reservation = SET(50) }, m2 = { .limit = SET(-1) };
	struct oci_throttle t1[] = { { 8, 0, 1 }, { 8, 16, 2 } }, t2[] = { { 8, 16, 3 }, { 8, 32, 4 } };
	struct oci_block_io b1 = { .throttle_read_bps = { t1, 2 } }, b2 = { .throttle_read_bps = { t2, 2 } };
	struct oci_pair u1[] = { { "a.b", "1" }, { "c.d", "2" } }, u2[] = { { "a.b", "3" } };
	struct oci_resources was = { .memory = &m1, .block_io = &b1, .unified = { u1, 2 } };
	struct oci_resources now = { .memory = &m2, .block_io = &b2, .unified = { u2, 1 } }, r;
	struct err err = { 0 };

	CHECK_INT(cg_merge(&was, &now, &r, &a, &err), 0);
	CHECK_INT(r.memory->limit.v, -1);
	CHECK(!r.memory->swap.set);
	CHECK_INT(r.memory->reservation.v, 50);
	CHECK_INT(m1.limit.v, 100); /* the input stays */
	CHECK_INT(r.block_io->throttle_read_bps.n, 3);
	CHECK_INT(r.block_io->throttle_read_bps.v[1].rate, 3);
	CHECK_INT(r.unified.n, 2);
	CHECK_STR(r.unified.v[1].value, "3");
	CHECK_INT(cg_merge(NULL, &now, &r, &a, &err), 0);
	CHECK_INT(r.memory->limit.v, -1);
}

TEST(a_field_said_anew_ends_what_unified_had_for_its_file)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_pair u[] = { { "cpu.weight", "300" }, { "memory.low", "4096" }, { "io.weight", "50" }, { "cpu.max", "1000 5000" } };
	struct oci_cpu shares = { .shares = SET(1024) }, quota = { .quota = SET(70000) };
	struct oci_block_io weight = { .weight = SET(500) };
	struct oci_resources was = { .unified = { u, 4 } }, now = { .cpu = &shares, .block_io = &weight }, r;
	struct err err = { 0 };

	CHECK_INT(cg_merge(&was, &now, &r, &a, &err), 0);
	CHECK_INT(r.unified.n, 2);
	CHECK_STR(r.unified.v[0].key, "memory.low");
	CHECK_STR(r.unified.v[1].key, "cpu.max");
	CHECK_INT(was.unified.n, 4);
	/* Both at once: the document's order. */
	now = (struct oci_resources){ .cpu = &quota, .unified = { u + 3, 1 } };
	CHECK_INT(cg_merge(&was, &now, &r, &a, &err), 0);
	CHECK_INT(r.unified.n, 4);
}

TEST(limits_of_a_device_end_what_unified_had_for_it)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_pair u[] = { { "io.max", "8:0 rbps=1 wbps=2\n8:16 rbps=3\n8:1 riops=4 rbps=5" }, { "rdma.max", "mlx5_0 hca_handle=1" } };
	struct oci_throttle read[] = { { 8, 0, 100 }, { 8, 16, 100 } };
	struct oci_block_io io = { .throttle_read_bps = { read, 2 } };
	struct oci_rdma card = { "mlx5_0", .hca_objects = SET(7) }, again = { "mlx5_0", .hca_handles = SET(7) };
	struct oci_resources was = { .unified = { u, 2 } }, now = { .block_io = &io, .rdma = { &card, 1 } }, r;
	struct err err = { 0 };

	CHECK_INT(cg_merge(&was, &now, &r, &a, &err), 0);
	CHECK_INT(r.unified.n, 2);
	CHECK_STR(r.unified.v[0].value, "8:0 wbps=2\n8:1 riops=4 rbps=5");
	CHECK_STR(r.unified.v[1].value, "mlx5_0 hca_handle=1");
	now = (struct oci_resources){ .rdma = { &again, 1 } };
	CHECK_INT(cg_merge(&was, &now, &r, &a, &err), 0);
	CHECK_INT(r.unified.n, 1);
	CHECK_STR(r.unified.v[0].value, u[0].value);
}

TEST(a_limit_of_huge_pages_ends_what_unified_had_for_that_size)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_pair u[] = { { "hugetlb.2MB.max", "0" }, { "hugetlb.2MB.rsvd.max", "0" }, { "hugetlb.1GB.max", "0" }, { "hugetlb.2MB.events", "" } };
	struct oci_hugepage_limit page = { "2MB", 67108864 };
	struct oci_resources was = { .unified = { u, 4 } }, now = { .hugepage_limits = { &page, 1 } }, r;
	struct err err = { 0 };

	CHECK_INT(cg_merge(&was, &now, &r, &a, &err), 0);
	CHECK_INT(r.unified.n, 2);
	CHECK_STR(r.unified.v[0].key, "hugetlb.1GB.max");
	CHECK_STR(r.unified.v[1].key, "hugetlb.2MB.events");
}
