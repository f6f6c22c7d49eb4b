// SPDX-License-Identifier: LGPL-2.1-or-later

/* CPU: weight, limit, masks (vzctl(8), libvzctl).
 *
 *   cpuunits   v1: cpu.shares = units * 1024 / 1000, 2 to 262144; v2: cpu.weight = units / 10, 1 to 10000.  1000 is the kernel's
 *              default in both.  On v2 the weight goes to `unified`: the conversion of shares that engines expect is not linear.
 *   cpulimit   percent of one CPU: quota = percent * period / 100, at least 1000 us, which is the kernel's smallest
 *   cpus       a limit of as many CPUs; with cpulimit the smaller one holds
 *   MHz        percent = 100 * MHz / MHz of one CPU
 *   cpuburst   at most the quota, also where the burst is the document's and a limit lowers the quota
 *   masks      `all`, `auto` and the CPUs of a nodemask become lists when they are asked for, which are kept in the record: whatever
 *              else is set leaves the container where it is, and what `update` has changed is seen */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extensions/machine.h"
#include "extensions/registry.h"
#include "extensions/values.h"
#include "oci/rows.h"

#define UNITS_MIN 8
#define UNITS_MAX 500000
#define PERIOD_US 100000
#define QUOTA_MIN_US 1000
#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_MIN 1
#define WEIGHT_MAX 10000
#define PERCENT 1000 /* limits are kept in thousandths of a percent */

enum mask_kind { MASK_NONE, MASK_LIST, MASK_ALL, MASK_AUTO };

struct mask {
	enum mask_kind kind;
	const char *list;
};

struct limit {
	bool set, mhz;
	int64_t v; /* thousandths of a percent of one CPU, or MHz; 0: unlimited */
};

struct cpu {
	struct opt_u64 units, cpus, burst;
	struct limit limit;
	struct mask mask, nodes;
};

struct cpu_saved {
	const char *cpus, *mems; /* what the masks are on this machine; NULL: no mask */
};

static const struct oci_field cpu_saved_fields[] = {
	STR(struct cpu_saved, cpus, "cpus"),
	STR(struct cpu_saved, mems, "mems"),
	ROW_END
};
static TABLE(cpu_saved);

/* ---- values ---- */

static int parse_units(const char *text, void *member, struct arena *a, struct err *e)
{
	struct opt_u64 *m = member;

	if (value_parse_number(text, member, a, e) < 0)
		return err_ret(e);
	if (m->v < UNITS_MIN || m->v > UNITS_MAX)
		return err_set(e, ERR_CONFIG, 0, "out of range: %d to %d", UNITS_MIN, UNITS_MAX);
	return 0;
}

/* "12.5" in thousandths. */
static int parse_percent(const char *text, size_t len, int64_t *ret)
{
	size_t whole = strspn(text, "0123456789"), part = 0;
	int64_t v = 0;

	if (whole == 0 || whole > 12)
		return -1;
	if (text[whole] == '.')
		part = strspn(text + whole + 1, "0123456789");
	if (whole + (part ? part + 1 : 0) != len || part > 3)
		return -1;
	for (size_t i = 0; i < whole; i++)
		v = v * 10 + (text[i] - '0');
	for (size_t i = 0; i < 3; i++)
		v = v * 10 + (i < part ? text[whole + 1 + i] - '0' : 0);
	*ret = v;
	return 0;
}

static int parse_limit(const char *text, void *member, struct arena *a, struct err *e)
{
	size_t len = strcspn(text, "%mM");
	const char *unit = text + len;
	struct limit *m = member;

	(void)a;
	m->mhz = strcasecmp(unit, "m") == 0 || strcasecmp(unit, "mhz") == 0;
	if (parse_percent(text, len, &m->v) < 0 || (*unit && !m->mhz && strcmp(unit, "%") != 0) || (m->mhz && m->v % PERCENT))
		return err_set(e, ERR_CONFIG, 0, "neither percent of one CPU (25, 25%%) nor MHz (600m, 600mhz)");
	if (m->mhz)
		m->v /= PERCENT;
	m->set = true;
	return 0;
}

static void print_limit(const void *member, struct str *out)
{
	const struct limit *m = member;
	int64_t rest = m->v % PERCENT;

	if (!m->set)
		return;
	if (m->mhz) {
		str_addf(out, "%lldm", (long long)m->v);
		return;
	}
	str_addf(out, "%lld", (long long)(m->v / PERCENT));
	if (rest == 0)
		return;
	str_addf(out, ".%03lld", (long long)rest);
	while (out->s && out->s[out->len - 1] == '0')
		out->s[--out->len] = '\0';
}

static int parse_nodes(const char *text, void *member, struct arena *a, struct err *e)
{
	struct mask *m = member;
	struct cpus set;

	if (strcmp(text, "all") == 0) {
		m->kind = MASK_ALL;
		return 0;
	}
	if (cpus_parse(text, &set, e) < 0)
		return err_ret(e);
	m->kind = MASK_LIST;
	m->list = arena_strdup(a, text);
	return m->list ? 0 : err_oom(e);
}

static int parse_mask(const char *text, void *member, struct arena *a, struct err *e)
{
	if (strcmp(text, "auto") != 0)
		return parse_nodes(text, member, a, e);
	((struct mask *)member)->kind = MASK_AUTO;
	return 0;
}

static void print_mask(const void *member, struct str *out)
{
	const struct mask *m = member;

	switch (m->kind) {
	case MASK_NONE:
		break;
	case MASK_LIST:
		str_add(out, m->list);
		break;
	case MASK_ALL:
		str_add(out, "all");
		break;
	case MASK_AUTO:
		str_add(out, "auto");
		break;
	}
}

static const struct ext_value value_units = { "UNITS", parse_units, value_print_number };
static const struct ext_value value_limit = { "PERCENT[%]|MHZm", parse_limit, print_limit };
static const struct ext_value value_mask = { "LIST|all|auto", parse_mask, print_mask };
static const struct ext_value value_nodes = { "LIST|all", parse_nodes, print_mask };
static const struct ext_value value_us = { "US", value_parse_number, value_print_number };

static const struct ext_row rows[] = {
	{ .name = "cpuunits", .offset = EXT_MEMBER(struct cpu, units), .value = &value_units,
	  .native = "cpu/shares unified/cpu.weight", .help = "Share of the CPUs when they are busy, 8 to 500000",
	  .doc = "1000 is the usual share; who has 3000 gets three times as much." },
	{ .name = "cpulimit", .offset = EXT_MEMBER(struct cpu, limit), .value = &value_limit,
	  .native = "cpu/quota cpu/period", .help = "Highest use, in percent of one CPU or in MHz",
	  .doc = "0 is unlimited; more than the machine has, and less than the kernel takes (1 %), become that, with a warning." },
	{ .name = "cpus", .offset = EXT_MEMBER(struct cpu, cpus), .value = &value_number, .native = "cpu/quota cpu/period",
	  .help = "Highest use, in CPUs",
	  .doc = "0 is unlimited; more than the machine has is cut down to that, with a warning. With cpulimit the smaller one holds." },
	{ .name = "cpuburst", .offset = EXT_MEMBER(struct cpu, burst), .value = &value_us, .native = "cpu/burst",
	  .help = "Unused time that may be saved up for a burst, in microseconds", .doc = "More than the quota is cut down to that, with a warning." },
	{ .name = "cpumask", .offset = EXT_MEMBER(struct cpu, mask), .value = &value_mask, .native = "cpu/cpus",
	  .help = "CPUs of the host to run on",
	  .doc = "auto: as many of the least loaded ones as cpus or cpulimit need, of one node where they fit in it; with nodemask "
		 "all CPUs of those nodes. all and auto are decided when they are set, auto also with cpus and cpulimit." },
	{ .name = "nodemask", .offset = EXT_MEMBER(struct cpu, nodes), .value = &value_nodes, .native = "cpu/mems cpu/cpus",
	  .help = "Memory nodes of the host", .doc = "Without cpumask also the CPUs of these nodes." },
	EXT_ROWS_END,
};

/* ---- masks ---- */

static const char *to_list(const struct cpus *set, struct arena *a)
{
	cleanup_str struct str text = { 0 };

	cpus_print(set, &text);
	return str_failed(&text) ? NULL : arena_strdup(a, str_cstr(&text));
}

static int check_within(const struct ext_env *env, const char *key, const struct cpus *set, const struct cpus *all,
			const char *what, struct err *e)
{
	cleanup_str struct str wanted = { 0 }, range = { 0 };

	if (cpus_count(set) > 0 && cpus_within(set, all))
		return 0;
	cpus_print(set, &wanted);
	cpus_print(all, &range);
	return ext_refuse(env, e, key, "%s %s: this container may use %s", what, str_cstr(&wanted), str_cstr(&range));
}

static int cpus_of_nodes(const struct cpus *nodes, struct cpus *ret, struct err *e)
{
	*ret = (struct cpus){ 0 };
	for (size_t i = 0; i < MACHINE_CPUS_MAX; i++) {
		struct cpus one;

		if (!cpus_has(nodes, i))
			continue;
		if (machine_node_cpus(i, &one, e) < 0)
			return err_ret(e);
		cpus_or(ret, &one);
	}
	return 0;
}

static int resolve_nodes(const struct ext_env *env, const struct cpu *c, struct cpus *ret, struct err *e)
{
	struct cpu_saved *saved = env->saved;
	struct cpus all;

	if (machine_allowed_nodes(env->cg, &all, e) < 0)
		return err_ret(e);
	*ret = all;
	if (c->nodes.kind == MASK_LIST && (cpus_parse(c->nodes.list, ret, e) < 0 ||
					   check_within(env, "nodemask", ret, &all, "nodes", e) < 0))
		return err_ret(e);
	saved->mems = c->nodes.kind == MASK_NONE ? NULL : to_list(ret, env->arena);
	return c->nodes.kind != MASK_NONE && !saved->mems ? err_oom(e) : 0;
}

/* More CPUs than there are: all. */
static int64_t cpus_of(const struct cpu *c)
{
	return c->cpus.v < machine_cpus() ? (int64_t)c->cpus.v : (int64_t)machine_cpus();
}

/* How many CPUs the limits want; 0: they do not say. */
static size_t wanted_cpus(const struct cpu *c)
{
	int64_t by_limit = c->limit.set && !c->limit.mhz ? (c->limit.v + 100 * PERCENT - 1) / (100 * PERCENT) : 0;
	int64_t n = c->cpus.set ? cpus_of(c) : 0;

	if (by_limit && (!n || by_limit < n))
		n = by_limit;
	return (size_t)n;
}

static uint64_t load_of(const struct cpus *set, const uint32_t *load)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MACHINE_CPUS_MAX; i++)
		if (cpus_has(set, i))
			sum += load[i];
	return sum;
}

/* The node that has the least to do per CPU, of those with enough CPUs; all CPUs where none has. */
static int pick_node(const struct cpus *nodes, const struct cpus *all, size_t need, const uint32_t *load, struct cpus *ret,
		     struct err *e)
{
	uint64_t best_load = 0, best_n = 0;

	*ret = *all;
	for (size_t i = 0; i < MACHINE_CPUS_MAX; i++) {
		struct cpus one;
		uint64_t n, sum;

		if (!cpus_has(nodes, i))
			continue;
		if (machine_node_cpus(i, &one, e) < 0)
			return err_ret(e);
		cpus_and(&one, all);
		n = cpus_count(&one);
		sum = load_of(&one, load);
		if (n == 0 || n < need || (best_n && sum * best_n >= best_load * n))
			continue;
		*ret = one;
		best_load = sum;
		best_n = n;
	}
	return 0;
}

static void pick_cpus(struct cpus *set, size_t need, const uint32_t *load)
{
	struct cpus picked = { 0 };

	for (; need > 0 && cpus_count(&picked) < cpus_count(set); need--) {
		size_t best = MACHINE_CPUS_MAX;

		for (size_t i = 0; i < MACHINE_CPUS_MAX; i++)
			if (cpus_has(set, i) && !cpus_has(&picked, i) && (best == MACHINE_CPUS_MAX || load[i] < load[best]))
				best = i;
		cpus_add(&picked, best);
	}
	*set = picked;
}

static int pick(const struct cpu *c, const struct cpus *nodes, const struct cpus *all, struct cpus *ret, struct err *e)
{
	uint32_t *load = calloc(MACHINE_CPUS_MAX, sizeof *load);
	size_t need = wanted_cpus(c);
	int r = load ? machine_load(load, e) : err_oom(e);

	if (r == 0)
		r = pick_node(nodes, all, need, load, ret, e);
	if (r == 0 && need)
		pick_cpus(ret, need, load);
	free(load);
	return r;
}

/* Masks are decided when they are asked for, `auto` also when the number of CPUs is. */
static bool stays(const struct ext_env *env, const struct cpu *c)
{
	return !ext_is_new(env, "cpumask") && !ext_is_new(env, "nodemask") &&
	       (c->mask.kind != MASK_AUTO || (!ext_is_new(env, "cpus") && !ext_is_new(env, "cpulimit")));
}

static int resolve_mask(const struct ext_env *env, const struct cpu *c, const struct cpus *nodes, struct err *e)
{
	bool of_nodes = c->nodes.kind == MASK_LIST && (c->mask.kind == MASK_NONE || c->mask.kind == MASK_AUTO);
	struct cpu_saved *saved = env->saved;
	struct cpus all, set;
	int r = machine_allowed_cpus(env->cg, &all, e);

	saved->cpus = NULL;
	if (r < 0 || (c->mask.kind == MASK_NONE && !of_nodes))
		return r;
	set = all;
	if (of_nodes) {
		r = cpus_of_nodes(nodes, &set, e);
		cpus_and(&set, &all);
	} else if (c->mask.kind == MASK_LIST) {
		r = cpus_parse(c->mask.list, &set, e);
	} else if (c->mask.kind == MASK_AUTO) {
		r = pick(c, nodes, &all, &set, e);
	}
	if (r == 0)
		r = check_within(env, of_nodes ? "nodemask" : "cpumask", &set, &all, "CPUs", e);
	if (r < 0)
		return r;
	saved->cpus = to_list(&set, env->arena);
	return saved->cpus ? 0 : err_oom(e);
}

static bool has_mask(const struct cpu *c)
{
	return c->mask.kind != MASK_NONE || c->nodes.kind != MASK_NONE;
}

static int resolve(const struct ext_env *env, const struct cpu *c, struct err *e)
{
	struct cpus nodes;

	if (!has_mask(c)) {
		*(struct cpu_saved *)env->saved = (struct cpu_saved){ 0 };
		return 0;
	}
	if (stays(env, c))
		return 0;
	return resolve_nodes(env, c, &nodes, e) < 0 ? err_ret(e) : resolve_mask(env, c, &nodes, e);
}

/* The field as it is, where it has the same set in other words: "0,1" is "0-1". */
static const char *as_written(const char *has, const char *ours)
{
	struct cpus x, y;
	struct err ignored;

	if (!has || !ours || cpus_parse(has, &x, &ignored) < 0 || cpus_parse(ours, &y, &ignored) < 0)
		return ours;
	return cpus_within(&x, &y) && cpus_within(&y, &x) ? has : ours;
}

/* ---- limits ---- */

static const struct oci_cpu *present(const struct ext_env *env)
{
	static const struct oci_cpu nothing;

	return env->resources && env->resources->cpu ? env->resources->cpu : &nothing;
}

/* Over the machine: all of it, and the value stays as it was given. */
static int effective_limit(const struct ext_env *env, const struct cpu *c, bool warn, int64_t *ret, struct err *e)
{
	int64_t total = (int64_t)machine_cpus() * 100 * PERCENT, v = c->limit.v, mhz, cpus;

	if (c->limit.set && c->limit.mhz && v) {
		if (machine_mhz(&mhz, e) < 0)
			return err_wrap(e, "cpulimit");
		v = v > INT64_MAX / (100 * PERCENT) ? INT64_MAX : v * 100 * PERCENT / mhz;
	}
	if (c->limit.set && v > total) {
		if (warn)
			ext_warn(env, "cpulimit", "more than this machine has (%lld%%): cut down to that", (long long)(total / PERCENT));
		v = total;
	}
	if (warn && c->cpus.set && c->cpus.v > machine_cpus())
		ext_warn(env, "cpus", "more than this machine has (%zu): cut down to that", machine_cpus());
	cpus = c->cpus.set ? cpus_of(c) * 100 * PERCENT : 0;
	*ret = cpus && (!v || cpus < v) ? cpus : v;
	return 0;
}

static int64_t period_of(const struct ext_env *env)
{
	return present(env)->period.set && present(env)->period.v ? (int64_t)present(env)->period.v : PERIOD_US;
}

static bool is_limited(const struct cpu *c)
{
	return c->limit.set || c->cpus.set;
}

/* -1: unlimited; that of the fields where no key says one. */
static int quota_of(const struct ext_env *env, const struct cpu *c, bool warn, int64_t *ret, struct err *e)
{
	int64_t v = 0;

	*ret = present(env)->quota.set && present(env)->quota.v ? present(env)->quota.v : -1;
	if (!is_limited(c))
		return 0;
	if (effective_limit(env, c, warn, &v, e) < 0)
		return err_ret(e);
	*ret = v ? v * period_of(env) / (100 * PERCENT) : -1;
	if (!v || *ret >= QUOTA_MIN_US)
		return 0;
	*ret = QUOTA_MIN_US;
	if (warn)
		ext_warn(env, "cpulimit", "less than the kernel takes: raised to %d us of %lld", QUOTA_MIN_US, (long long)period_of(env));
	return 0;
}

static struct opt_u64 burst_of(const struct ext_env *env, const struct cpu *c)
{
	return c->burst.set ? c->burst : present(env)->burst;
}

static bool is_too_long(struct opt_u64 burst, int64_t quota)
{
	return burst.set && quota > 0 && burst.v > (uint64_t)quota;
}

static uint64_t between(uint64_t v, uint64_t min, uint64_t max)
{
	return v < min ? min : v > max ? max : v;
}

static uint64_t shares_of(uint64_t units)
{
	return between(units * 1024 / 1000, SHARES_MIN, SHARES_MAX);
}

static uint64_t weight_of(uint64_t units)
{
	return between(units / 10, WEIGHT_MIN, WEIGHT_MAX);
}

static bool on_v2(const struct ext_env *env)
{
	return env->cg && cgroup_on_v2(env->cg, "cpu");
}

/* The weight of v2 is not the field of shares: the engine would not see that they disagree. */
static int check_shares(const struct ext_env *env, const struct cpu *c, struct err *e)
{
	struct opt_u64 shares = present(env)->shares;

	if (env->option || env->again || !c->units.set || !shares.set || shares.v == shares_of(c->units.v))
		return 0;
	return ext_refuse(env, e, "cpuunits", "means %llu for /linux/resources/cpu/shares, where the document has %llu (leave one "
			  "of the two out)", (unsigned long long)shares_of(c->units.v), (unsigned long long)shares.v);
}

static void warn_units(const struct ext_env *env, uint64_t units)
{
	uint64_t exact = on_v2(env) ? units / 10 : units * 1024 / 1000, is = on_v2(env) ? weight_of(units) : shares_of(units);

	if (is != exact)
		ext_warn(env, "cpuunits", "becomes %s %llu, the %s that the kernel has", on_v2(env) ? "cpu.weight" : "cpu.shares",
			 (unsigned long long)is, is < exact ? "highest" : "lowest");
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	bool limits = ext_is_new(env, "cpulimit") || ext_is_new(env, "cpus");
	const struct cpu *c = config;
	int64_t quota;

	if (check_shares(env, c, e) < 0 || quota_of(env, c, limits, &quota, e) < 0)
		return err_ret(e);
	if (c->units.set && ext_is_new(env, "cpuunits"))
		warn_units(env, c->units.v);
	if (is_too_long(burst_of(env, c), quota) && (limits || ext_is_new(env, "cpuburst")))
		ext_warn(env, "cpuburst", "%llu us are more than the quota: cut down to %lld", (unsigned long long)burst_of(env, c).v,
			 (long long)quota);
	return resolve(env, c, e);
}

static int native_weight(const struct ext_env *env, const struct cpu *c, struct oci_cpu *cpu, struct oci_resources *changes,
			 struct err *e)
{
	struct oci_pair *pair;

	if (!on_v2(env)) {
		cpu->shares = (struct opt_u64){ .v = shares_of(c->units.v), .set = true };
		return 0;
	}
	pair = arena_new(env->arena, struct oci_pair);
	if (!pair)
		return err_oom(e);
	pair->key = "cpu.weight";
	pair->value = arena_printf(env->arena, "%llu", (unsigned long long)weight_of(c->units.v));
	changes->unified = (struct oci_map){ pair, 1 };
	return pair->value ? 0 : err_oom(e);
}

static int native_limit(const struct ext_env *env, const struct cpu *c, struct oci_cpu *cpu, struct err *e)
{
	int64_t quota;

	if (quota_of(env, c, false, &quota, e) < 0)
		return err_ret(e);
	if (is_limited(c)) {
		cpu->quota = (struct opt_i64){ .v = quota, .set = true };
		cpu->period = (struct opt_u64){ .v = (uint64_t)period_of(env), .set = true };
	}
	cpu->burst = c->burst;
	if (is_too_long(burst_of(env, c), quota))
		cpu->burst = (struct opt_u64){ .v = (uint64_t)quota, .set = true };
	return 0;
}

static int native(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *e)
{
	struct oci_cpu *cpu = arena_new(env->arena, struct oci_cpu);
	const struct cpu_saved *saved = env->saved;
	const struct cpu *c = config;

	if (!cpu)
		return err_oom(e);
	if ((c->units.set && native_weight(env, c, cpu, changes, e) < 0) || native_limit(env, c, cpu, e) < 0)
		return err_ret(e);
	if (has_mask(c)) {
		cpu->cpus = as_written(present(env)->cpus, saved->cpus);
		/* What decided them may have been overruled by another set of them since. */
		if (c->nodes.kind != MASK_NONE)
			cpu->mems = as_written(present(env)->mems, saved->mems);
	}
	changes->cpu = cpu;
	return 0;
}

/* ---- the other way ---- */

static void derive_weight(const struct oci_resources *r, struct opt_u64 *units)
{
	for (size_t i = 0; i < r->unified.n; i++)
		if (strcmp(r->unified.v[i].key, "cpu.weight") == 0 && num_u64(r->unified.v[i].value, &units->v) == 0) {
			*units = (struct opt_u64){ .v = units->v * 10, .set = true };
			return;
		}
	if (r->cpu && r->cpu->shares.set && r->cpu->shares.v)
		*units = (struct opt_u64){ .v = (r->cpu->shares.v * 1000 + 512) / 1024, .set = true };
}

static void derive(const struct ext_env *env, const struct oci_resources *r, void *config)
{
	struct cpu *c = config;

	derive_weight(r, &c->units);
	if (!r->cpu)
		return;
	if (r->cpu->quota.set)
		c->limit = (struct limit){ .set = true, .v = r->cpu->quota.v <= 0 ? 0 :
						r->cpu->quota.v * 100 * PERCENT / period_of(env) };
	c->burst = r->cpu->burst;
	if (r->cpu->cpus && *r->cpu->cpus)
		c->mask = (struct mask){ MASK_LIST, r->cpu->cpus };
	if (r->cpu->mems && *r->cpu->mems)
		c->nodes = (struct mask){ MASK_LIST, r->cpu->mems };
}

const struct ext ext_cpu = {
	.name = "cpu",
	.rows = rows,
	.config_size = sizeof(struct cpu),
	.saved = &cpu_saved_type,
	.validate = validate,
	.native = native,
	.derive = derive,
};
