// SPDX-License-Identifier: LGPL-2.1-or-later

/* The device program of cgroup v2, run by a small interpreter: each answer against the plain reading of the rules (for
 * each access the last rule that speaks of it).  And what is written to v1, against a model of the kernel's list. */

#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- v1 ---- */

struct model { /* security/device_cgroup.c */
	bool allow;
	struct exception {
		char type;
		int major, minor; /* -1: any */
		unsigned access;
	} v[128];
	size_t n;
};

static unsigned mask_of(const char *letters)
{
	return (strchr(letters, 'r') ? R : 0U) | (strchr(letters, 'w') ? W : 0U) | (strchr(letters, 'm') ? M : 0U);
}

static struct exception *find(struct model *m, const struct exception *x)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].type == x->type && m->v[i].major == x->major && m->v[i].minor == x->minor)
			return &m->v[i];
	return NULL;
}

static void model_write(struct model *m, const char *file, const char *value)
{
	bool allow = strcmp(file, "devices.allow") == 0;
	char major[16], minor[16], letters[8];
	struct exception x, *there;

	if (strcmp(value, "a") == 0) {
		*m = (struct model){ .allow = allow };
		return;
	}
	CHECK_INT(sscanf(value, "%c %15[0-9*]:%15[0-9*] %7s", &x.type, major, minor, letters), 4);
	x.major = *major == '*' ? -1 : atoi(major);
	x.minor = *minor == '*' ? -1 : atoi(minor);
	x.access = mask_of(letters);
	there = find(m, &x);
	if (allow != m->allow && there)
		there->access |= x.access;
	else if (allow != m->allow)
		m->v[m->n++] = x;
	else if (there)
		there->access &= ~x.access;
}

static bool model_opens(const struct model *m, char type, unsigned access, int major, int minor)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct exception *x = &m->v[i];

		if (x->type != type || (x->major >= 0 && x->major != major) || (x->minor >= 0 && x->minor != minor))
			continue;
		if (m->allow ? x->access & access : !(access & ~x->access))
			return !m->allow;
	}
	return m->allow;
}

#define EACH_DEVICE(type, major, minor)                                \
	for (const char *type = "bc"; *type; type++)                   \
		for (int major = 10; major < 12; major++)              \
			for (int minor = 0; minor < 3; minor++)

static int differences(const struct model *a, const struct model *b)
{
	int n = 0;

	EACH_DEVICE(type, major, minor)
		for (unsigned access = 1; access <= (R | W | M); access++)
			n += model_opens(a, *type, access, major, minor) != model_opens(b, *type, access, major, minor);
	return n;
}

/* Open though neither has it so, or closed though both have it open. */
static int surprises(const struct model *m, const struct model *was, const struct model *now)
{
	int n = 0;

	EACH_DEVICE(type, major, minor)
		for (unsigned access = 1; access <= (R | W | M); access <<= 1) {
			bool before = model_opens(was, *type, access, major, minor), after = model_opens(now, *type, access, major, minor);

			n += before == after && model_opens(m, *type, access, major, minor) != after;
		}
	return n;
}

/* How the list is made at creation; false: v1 cannot say it. */
static bool created(const struct oci_device_rules *rules, struct model *ret, struct arena *a)
{
	static const struct cg_current nothing;
	struct oci_resources r = { .devices = *rules };
	struct err err = { 0 };
	struct cg_planner p = { .r = &r, .now = &nothing, .controller = "devices", .arena = a, .e = &err };

	if (cg_devices_plan_v1(&p) < 0)
		return false;
	for (size_t i = 0; i < p.n; i++)
		model_write(ret, p.v[i].file, p.v[i].value);
	return true;
}

static const char *other(const char *file)
{
	return strcmp(file, "devices.allow") == 0 ? "devices.deny" : "devices.allow";
}

/* Returns 1 when both could be said. */
static int change(const struct oci_device_rules *was, const struct oci_device_rules *now, int *wrong)
{
	static const struct cg_current nothing;
	struct oci_resources r = { .devices = *now };
	cleanup_arena struct arena a = { 0 };
	struct err err = { 0 };
	struct cg_planner p = { .r = &r, .now = &nothing, .controller = "devices", .arena = &a, .e = &err };
	struct model before = { 0 }, after = { 0 }, m;

	if (!created(was, &before, &a) || !created(now, &after, &a)) {
		CHECK(cg_devices_changes_v1(&p, was) < 0);
		return 0;
	}
	m = before;
	CHECK_INT(cg_devices_changes_v1(&p, was), 0);
	for (size_t i = 0; i < p.n; i++) {
		model_write(&m, p.v[i].file, p.v[i].value);
		*wrong += surprises(&m, &before, &after);
	}
	*wrong += differences(&m, &after);
	for (size_t i = p.n; i-- > 0;)
		model_write(&m, other(p.v[i].file), p.v[i].value);
	*wrong += differences(&m, &before);
	return 1;
}

TEST(changes_of_v1_lead_from_any_list_to_any_other)
{
	static const char *const words[] = { "r", "w", "rw", "rm", "wm", "rwm" };
	int wrong = 0, said = 0;

	srand(2);
	for (int round = 0; round < 3000; round++) {
		struct oci_device_rule v[2][8];
		struct oci_device_rules list[2];
		int open = rand() % 2;

		for (int k = 0; k < 2; k++) {
			size_t n = 1 + (size_t)(rand() % 7);

			v[k][0] = (struct oci_device_rule){ open, 'a', { 0 }, { 0 }, "rwm" };
			for (size_t i = 1; i < n; i++)
				v[k][i] = (struct oci_device_rule){ rand() % 2, "bc"[rand() % 2], SET(10 + rand() % 2),
								    { rand() % 3, rand() % 8 > 0 }, words[rand() % 6] };
			list[k] = (struct oci_device_rules){ v[k], n };
		}
		said += change(&list[0], &list[1], &wrong);
	}
	CHECK_INT(wrong, 0);
	CHECK(said > 500);
}

TEST(changes_of_v1_write_nothing_that_is_so_already)
{
	static const struct cg_current nothing;
	struct oci_device_rule was[] = { { false, 'a', { 0 }, { 0 }, "rwm" }, { true, 'c', SET(10), SET(229), "rm" } };
	struct oci_device_rule now[] = { was[0], was[1], { true, 'c', SET(10), SET(229), "rwm" }, { true, 'c', SET(1), SET(3), "rwm" },
					 { false, 'c', SET(1), SET(5), "rwm" } };
	struct oci_device_rules before = { was, 2 };
	struct oci_resources r = { .devices = { now, 5 } };
	cleanup_arena struct arena a = { 0 };
	struct err err = { 0 };
	struct cg_planner p = { .r = &r, .now = &nothing, .controller = "devices", .arena = &a, .e = &err };

	CHECK_INT(cg_devices_changes_v1(&p, &before), 0);
	CHECK_INT(p.n, 1);
	CHECK_STR(p.v[0].file, "devices.allow");
	CHECK_STR(p.v[0].value, "c 10:229 w");
}
