// SPDX-License-Identifier: LGPL-2.1-or-later

/* The device program of cgroup v2, run by a small interpreter: each answer against the plain reading of the rules (for
 * each access the last rule that speaks of it). */

#include <linux/bpf.h>
#include <stdlib.h>

#include "runtime/cgroup/devices.h"
#include "tests/lib/test.h"

#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE
#define M BPF_DEVCG_ACC_MKNOD
#define B BPF_DEVCG_DEV_BLOCK
#define C BPF_DEVCG_DEV_CHAR

/* Returns r0, or -1 for something that the kernel would not run. */
static int run(const struct bpf_insn *v, size_t n, unsigned type, unsigned access, unsigned maj, unsigned min)
{
	struct bpf_cgroup_dev_ctx ctx = { (access << 16) | type, maj, min };
	uint64_t r[11] = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct bpf_insn *x = &v[i];
		uint64_t *d = &r[x->dst_reg];
		uint32_t k = (uint32_t)x->imm;

		switch (x->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			*d = *(uint32_t *)((char *)&ctx + x->off);
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			*d = (uint32_t)r[x->src_reg];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*d = (uint32_t)*d & k;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*d = (uint32_t)*d >> k;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*d = k;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			i += (uint32_t)*d != k ? (size_t)x->off : 0;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			i += (uint32_t)*d == k ? (size_t)x->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -1;
		}
	}
	return -1;
}

struct prog {
	struct arena arena;
	struct bpf_insn *v;
	size_t n;
};

static struct prog build(const struct oci_device_rule *rules, size_t n)
{
	struct oci_device_rules list = { (struct oci_device_rule *)rules, n };
	struct prog p = { 0 };
	struct err err = { 0 };

	CHECK_INT(cg_devices_program(&list, &p.v, &p.n, &p.arena, &err), 0);
	return p;
}

#define SET(x) { (x), true }

TEST(no_rules_mean_the_defaults)
{
	struct prog p = build(NULL, 0);

	CHECK_INT(run(p.v, p.n, C, R | W | M, 1, 3), 1);
	CHECK_INT(run(p.v, p.n, C, R | W, 136, 77), 1);
	CHECK_INT(run(p.v, p.n, C, M, 250, 1), 1);
	CHECK_INT(run(p.v, p.n, C, R, 250, 1), 0);
	CHECK_INT(run(p.v, p.n, C, R | M, 250, 1), 0);
	CHECK_INT(run(p.v, p.n, B, M, 8, 0), 1);
	CHECK_INT(run(p.v, p.n, B, R, 8, 0), 0);
	CHECK_INT(run(p.v, p.n, B, R, 1, 3), 0);
	CHECK_INT(run(p.v, p.n, C, 0, 1, 3), 1);
	arena_done(&p.arena);
}

TEST(last_rule_wins)
{
	struct oci_device_rule rules[] = {
		{ false, 'a', { 0 }, { 0 }, "rwm" },
		{ true, 'c', SET(10), { 0 }, "rwm" },
		{ false, 'c', SET(10), SET(229), "w" },
		{ true, 'b', SET(8), SET(0), "r" },
	};
	struct prog p = build(rules, 4);

	CHECK_INT(run(p.v, p.n, C, R | W, 10, 1), 1);
	CHECK_INT(run(p.v, p.n, C, R, 10, 229), 1);
	CHECK_INT(run(p.v, p.n, C, W, 10, 229), 0);
	CHECK_INT(run(p.v, p.n, C, R | W, 10, 229), 0);
	CHECK_INT(run(p.v, p.n, B, R, 8, 0), 1);
	CHECK_INT(run(p.v, p.n, B, R | W, 8, 0), 0);
	CHECK_INT(run(p.v, p.n, B, R, 8, 1), 0);
	arena_done(&p.arena);
}

TEST(everything_allowed)
{
	struct oci_device_rule rules[] = { { false, 'a', { 0 }, { 0 }, NULL }, { true, 'a', { 0 }, { 0 }, NULL } };
	struct prog p = build(rules, 2);

	CHECK_INT(run(p.v, p.n, B, R | W | M, 8, 0), 1);
	CHECK_INT(run(p.v, p.n, C, R | W | M, 250, 9), 1);
	arena_done(&p.arena);
}

/* What the rules say, without the program. */
static int plain(const struct oci_device_rule *v, size_t n, unsigned type, unsigned access, unsigned maj, unsigned min)
{
	for (unsigned bit = 1; bit <= 4; bit <<= 1) {
		bool allowed = false;

		if (!(access & bit))
			continue;
		for (size_t i = 0; i < n; i++) {
			bool dev = (v[i].type == 'a' || v[i].type == (type == B ? 'b' : 'c')) &&
				   (!v[i].major.set || v[i].major.v == maj) && (!v[i].minor.set || v[i].minor.v == min);

			if (dev && strchr(v[i].access, bit == R ? 'r' : bit == W ? 'w' : 'm'))
				allowed = v[i].allow;
		}
		if (!allowed)
			return 0;
	}
	return 1;
}

TEST(random_rules_agree_with_the_plain_reading)
{
	static const char *const words[] = { "r", "w", "m", "rw", "rm", "wm", "rwm" };
	int wrong = 0;

	srand(1);
	for (int round = 0; round < 300; round++) {
		struct oci_device_rule v[12];
		size_t n = (size_t)(rand() % 12);

		for (size_t i = 0; i < n; i++)
			v[i] = (struct oci_device_rule){ rand() % 2, "abc"[rand() % 3], { 200 + rand() % 2, rand() % 2 },
							 { rand() % 2, rand() % 2 }, words[rand() % 7] };
		struct prog p = build(v, n);
		for (unsigned type = B; type <= C; type++)
			for (unsigned acc = R; acc <= (R | W); acc++) /* no M: the defaults allow it */
				for (unsigned maj = 200; maj < 202; maj++)
					for (unsigned min = 0; min < 2; min++)
						wrong += !(acc & M) && run(p.v, p.n, type, acc, maj, min) !=
									       plain(v, n, type, acc, maj, min);
		arena_done(&p.arena);
	}
	CHECK_INT(wrong, 0);
}

TEST(numbers_out_of_range)
{
	struct oci_device_rule rule = { true, 'c', SET((int64_t)1 << 40), { 0 }, "r" };
	struct oci_device_rules list = { &rule, 1 };
	cleanup_arena struct arena a = { 0 };
	struct err err = { 0 };
	struct bpf_insn *v;
	size_t n;

	CHECK(cg_devices_program(&list, &v, &n, &a, &err) < 0);
	CHECK_STR(err.text, "/linux/resources/devices/0/major: 1099511627776 is no device number");
}
