// SPDX-License-Identifier: LGPL-2.1-or-later

/* VSwap (vzctl(8)): memory, and swap besides it, where OCI counts both together; what of it is guaranteed; processes and sub-groups.
 *
 *   memguarantee        v2: memory.low; v1 has only a soft limit, by which the kernel chooses where to take first.  `auto` is nothing,
 *                       as OpenVZ has it for containers
 *   nummemorysubgroups  cgroup.max.descendants, which v1 does not have */

#include <string.h>

#include "extensions/registry.h"
#include "extensions/values.h"

#define NUMPROC_MIN 1       /* init: the planner makes no group that nobody can be in */
#define NUMPROC_MAX 4194304 /* PID_MAX_LIMIT: more cannot exist, and pids.max takes no more */

struct guarantee {
	bool set, automatic, percent;
	int64_t v; /* percent of the memory, or bytes */
};

struct memory {
	struct opt_i64 physpages, swappages, numproc, subgroups;
	struct guarantee guarantee;
};

/* ---- values ---- */

static int parse_guarantee(const char *text, void *member, struct arena *a, struct err *e)
{
	size_t digits = strspn(text, "0123456789");
	struct guarantee *m = member;
	const char *unit = text + digits;
	char number[8] = "";

	(void)a;
	m->set = true;
	m->automatic = strcmp(text, "auto") == 0;
	if (m->automatic)
		return 0;
	m->percent = *unit == '\0' || strcmp(unit, "%") == 0;
	if (!m->percent)
		return value_size(text, 1, false, &m->v, e);
	if (digits < sizeof number)
		memcpy(number, text, digits);
	if (num_i64(number, &m->v) < 0 || m->v > 100)
		return err_set(e, ERR_CONFIG, 0, "neither auto, nor percent of the memory (25, 25%%), nor a size with a suffix");
	return 0;
}

static void print_guarantee(const void *member, struct str *out)
{
	const struct guarantee *m = member;

	if (m->automatic)
		str_add(out, "auto");
	else if (m->set && m->percent)
		str_addf(out, "%lld%%", (long long)m->v);
	else if (m->set)
		value_print_size(m->v, out);
}

static const struct ext_value value_guarantee = { "auto|PERCENT[%]|BYTES", parse_guarantee, print_guarantee };

static const struct ext_row rows[] = {
	{ .name = "physpages", .offset = EXT_MEMBER(struct memory, physpages), .value = &value_pages,
	  .native = "memory/limit", .help = "Memory, in pages of 4 KiB or with a suffix",
	  .doc = "Of a pair the second counts. A change keeps the swap beside it; one below what is used is refused." },
	{ .name = "swappages", .offset = EXT_MEMBER(struct memory, swappages), .value = &value_pages,
	  .native = "memory/swap", .help = "Swap besides the memory, in pages of 4 KiB or with a suffix",
	  .doc = "The field counts memory and swap together." },
	{ .name = "memguarantee", .offset = EXT_MEMBER(struct memory, guarantee), .value = &value_guarantee,
	  .native = "memory/reservation unified/memory.low",
	  .help = "Memory that others do not take away, in percent of physpages or with a suffix",
	  .doc = "auto is none. At most the memory. On cgroup v1 it is only a soft limit; on v2 the groups above must have as much." },
	{ .name = "numproc", .offset = EXT_MEMBER(struct memory, numproc), .value = &value_count, .native = "pids/limit",
	  .help = "Processes and threads", .doc = "At least 1." },
	{ .name = "nummemorysubgroups", .offset = EXT_MEMBER(struct memory, subgroups), .value = &value_count,
	  .native = "unified/cgroup.max.descendants", .help = "Cgroups that may be made inside",
	  .doc = "Only on cgroup v2; elsewhere kept, not enforced." },
	EXT_ROWS_END,
};

/* ---- against what there is ---- */

static const struct oci_memory *present(const struct ext_env *env)
{
	static const struct oci_memory nothing;

	return env->resources && env->resources->memory ? env->resources->memory : &nothing;
}

/* What swap is beside the memory: -1 unlimited; unset where the field is. */
static struct opt_i64 swap_of(const struct oci_memory *m)
{
	if (!m->swap.set || (m->swap.v >= 0 && (!m->limit.set || m->limit.v < 0)))
		return (struct opt_i64){ 0 };
	return (struct opt_i64){ .v = m->swap.v < 0 ? VALUE_UNLIMITED : m->swap.v - m->limit.v, .set = true };
}

static struct opt_i64 memory_of(const struct memory *c, const struct ext_env *env)
{
	return c->physpages.set ? c->physpages : present(env)->limit;
}

static bool is_unlimited(struct opt_i64 memory)
{
	return !memory.set || memory.v < 0;
}

static bool on_v2(const struct ext_env *env)
{
	return env->cg && cgroup_on_v2(env->cg, "memory");
}

/* In bytes, before it is cut down. */
static int64_t guarantee_of(const struct guarantee *g, struct opt_i64 memory)
{
	if (g->automatic)
		return 0;
	return g->percent ? memory.v / 100 * g->v + memory.v % 100 * g->v / 100 : g->v;
}

static int check_swap(const struct ext_env *env, const struct memory *c, struct opt_i64 memory, struct err *e)
{
	bool asked = ext_is_new(env, "swappages");
	int64_t sum;

	if (!c->swappages.set || c->swappages.v < 0)
		return 0;
	if (is_unlimited(memory))
		return ext_refuse(env, e, asked ? "swappages" : "physpages", "swap is bounded together with memory, which has no limit "
				  "(%s)", asked ? "set physpages" : "set swappages to unlimited as well");
	return __builtin_add_overflow(memory.v, c->swappages.v, &sum) ?
		       ext_refuse(env, e, asked ? "swappages" : "physpages", "too large together with the swap") : 0;
}

static int check_guarantee(const struct ext_env *env, const struct guarantee *g, struct opt_i64 memory, struct err *e)
{
	bool asked = ext_is_new(env, "memguarantee");

	if (!g->set || g->automatic)
		return 0;
	if (g->percent && is_unlimited(memory))
		return ext_refuse(env, e, asked ? "memguarantee" : "physpages", "%lld%% of memory that has no limit", (long long)g->v);
	if (!g->percent && g->v < 0)
		return ext_refuse(env, e, "memguarantee", "unlimited");
	if (!is_unlimited(memory) && guarantee_of(g, memory) > memory.v && (asked || ext_is_new(env, "physpages")))
		ext_warn(env, "memguarantee", "more than the memory: cut down to that");
	return 0;
}

static void warn_counts(const struct ext_env *env, const struct memory *c)
{
	if (c->numproc.set && c->numproc.v > NUMPROC_MAX && ext_is_new(env, "numproc"))
		ext_warn(env, "numproc", "%lld is more than can exist: %d", (long long)c->numproc.v, NUMPROC_MAX);
	if (c->numproc.set && c->numproc.v == 0 && ext_is_new(env, "numproc"))
		ext_warn(env, "numproc", "a container has a process: %d", NUMPROC_MIN);
	if (c->subgroups.set && !on_v2(env) && ext_is_new(env, "nummemorysubgroups"))
		ext_warn(env, "nummemorysubgroups", "is kept, but not enforced: only cgroup v2 has it");
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	const struct memory *c = config;
	struct opt_i64 memory = memory_of(c, env);

	if (c->physpages.set && c->physpages.v == 0)
		return ext_refuse(env, e, "physpages", "no memory at all");
	if (c->subgroups.set && c->subgroups.v > INT32_MAX)
		return ext_refuse(env, e, "nummemorysubgroups", "out of range: at most %d", INT32_MAX);
	warn_counts(env, c);
	return check_swap(env, c, memory, e) < 0 ? err_ret(e) : check_guarantee(env, &c->guarantee, memory, e);
}

/* ---- fields ---- */

static int put_file(struct oci_map *map, const char *file, int64_t v, struct arena *a, struct err *e)
{
	const char *text = v < 0 ? "max" : arena_printf(a, "%lld", (long long)v);
	struct oci_pair *pairs = arena_alloc_n(a, map->n + 1, sizeof *pairs);

	if (!pairs || !text)
		return err_oom(e);
	if (map->n)
		memcpy(pairs, map->v, map->n * sizeof *pairs);
	pairs[map->n] = (struct oci_pair){ file, text };
	*map = (struct oci_map){ pairs, map->n + 1 };
	return 0;
}

/* 0 in the field would be "not said". */
static int native_guarantee(const struct ext_env *env, const struct memory *c, struct oci_memory *m, struct oci_map *unified,
			    struct err *e)
{
	struct opt_i64 memory = memory_of(c, env);
	int64_t v = c->guarantee.percent && is_unlimited(memory) ? 0 : guarantee_of(&c->guarantee, memory);

	if (!is_unlimited(memory) && v > memory.v)
		v = memory.v;
	if (v == 0 && on_v2(env))
		return put_file(unified, "memory.low", 0, env->arena, e);
	m->reservation = (struct opt_i64){ .v = v ? v : -1, .set = true };
	return 0;
}

static void native_memory(const struct ext_env *env, const struct memory *c, struct oci_memory *m)
{
	struct opt_i64 swap = c->swappages.set ? c->swappages : swap_of(present(env)), memory = memory_of(c, env);

	m->limit = c->physpages;
	/* A limit below what is used is refused, as in OpenVZ; v2 would kill for it. */
	if (env->option && ext_wished(env, "physpages"))
		m->check_before_update = (struct opt_bool){ .v = true, .set = true };
	if (swap.set && (c->swappages.set || c->physpages.set) && memory.set)
		m->swap = (struct opt_i64){ .v = swap.v < 0 || memory.v < 0 ? -1 : memory.v + swap.v, .set = true };
}

static int native(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *e)
{
	const struct memory *c = config;
	struct oci_memory *m = arena_new(env->arena, struct oci_memory);
	struct oci_pids *p = arena_new(env->arena, struct oci_pids);

	if (!m || !p)
		return err_oom(e);
	native_memory(env, c, m);
	if ((c->guarantee.set && native_guarantee(env, c, m, &changes->unified, e) < 0) ||
	    (c->subgroups.set && on_v2(env) &&
	     put_file(&changes->unified, "cgroup.max.descendants", c->subgroups.v, env->arena, e) < 0))
		return err_ret(e);
	p->limit = c->numproc;
	if (p->limit.v > NUMPROC_MAX)
		p->limit.v = NUMPROC_MAX;
	else if (p->limit.v == 0)
		p->limit.v = NUMPROC_MIN;
	if (m->limit.set || m->swap.set || m->reservation.set)
		changes->memory = m;
	if (p->limit.set)
		changes->pids = p;
	return 0;
}

/* ---- the other way ---- */

static struct opt_i64 count_of(const struct oci_map *unified, const char *file)
{
	struct opt_i64 ret = { .v = VALUE_UNLIMITED };

	for (size_t i = 0; i < unified->n; i++)
		if (strcmp(unified->v[i].key, file) == 0)
			ret.set = strcmp(unified->v[i].value, "max") == 0 || num_i64(unified->v[i].value, &ret.v) == 0;
	return ret;
}

static void derive_guarantee(const struct oci_resources *r, struct guarantee *g)
{
	struct opt_i64 low = count_of(&r->unified, "memory.low");

	if (!low.set && r->memory)
		low = r->memory->reservation;
	if (low.set && low.v > 0)
		*g = (struct guarantee){ .set = true, .v = low.v };
}

static void derive(const struct ext_env *env, const struct oci_resources *r, void *config)
{
	struct memory *c = config;

	(void)env;
	if (r->memory && r->memory->limit.set)
		c->physpages = (struct opt_i64){ .v = r->memory->limit.v < 0 ? VALUE_UNLIMITED : r->memory->limit.v, .set = true };
	if (r->memory)
		c->swappages = swap_of(r->memory);
	derive_guarantee(r, &c->guarantee);
	if (r->pids && r->pids->limit.set)
		c->numproc = (struct opt_i64){ .v = r->pids->limit.v < 0 ? VALUE_UNLIMITED : r->pids->limit.v, .set = true };
	c->subgroups = count_of(&r->unified, "cgroup.max.descendants");
}

const struct ext ext_memory = {
	.name = "memory",
	.rows = rows,
	.config_size = sizeof(struct memory),
	.validate = validate,
	.native = native,
	.derive = derive,
};
