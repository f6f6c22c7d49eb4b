// SPDX-License-Identifier: LGPL-2.1-or-later

/* VSwap (vzctl(8)): memory, and swap besides it, where OCI counts both together; and processes. */

#include "extensions/registry.h"
#include "extensions/values.h"

#define NUMPROC_MAX 4194304 /* PID_MAX_LIMIT: more cannot exist, and pids.max takes no more */

struct memory {
	struct opt_i64 physpages, swappages, numproc;
};

static const struct ext_row rows[] = {
	{ .name = "physpages", .offset = EXT_MEMBER(struct memory, physpages), .value = &value_pages,
	  .native = "memory/limit", .help = "Memory, in pages of 4 KiB or with a suffix",
	  .doc = "Of a pair the second counts. A change keeps the swap beside it; one below what is used is refused." },
	{ .name = "swappages", .offset = EXT_MEMBER(struct memory, swappages), .value = &value_pages,
	  .native = "memory/swap", .help = "Swap besides the memory, in pages of 4 KiB or with a suffix",
	  .doc = "The field counts memory and swap together." },
	{ .name = "numproc", .offset = EXT_MEMBER(struct memory, numproc), .value = &value_count, .native = "pids/limit",
	  .help = "Processes and threads" },
	EXT_ROWS_END,
};

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

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	struct memory *c = config;
	struct opt_i64 memory = memory_of(c, env);
	int64_t sum;

	if (c->physpages.set && c->physpages.v == 0)
		return ext_refuse(env, e, "physpages", "no memory at all");
	if (c->numproc.set && c->numproc.v > NUMPROC_MAX) {
		ext_warn(env, "numproc", "%lld is more than can exist: %d", (long long)c->numproc.v, NUMPROC_MAX);
		c->numproc.v = NUMPROC_MAX;
	}
	if (!c->swappages.set || c->swappages.v < 0)
		return 0;
	if (!memory.set || memory.v < 0)
		return ext_refuse(env, e, "swappages", "swap is bounded together with memory, which has no limit (set physpages)");
	return __builtin_add_overflow(memory.v, c->swappages.v, &sum) ? ext_refuse(env, e, "swappages", "too large") : 0;
}

static int native(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *e)
{
	const struct memory *c = config;
	struct oci_memory *m = arena_new(env->arena, struct oci_memory);
	struct oci_pids *p = arena_new(env->arena, struct oci_pids);
	struct opt_i64 swap = c->swappages.set ? c->swappages : swap_of(present(env)), memory = memory_of(c, env);

	if (!m || !p)
		return err_oom(e);
	m->limit = c->physpages;
	/* A limit below what is used is refused, as in OpenVZ; v2 would kill for it. */
	if (env->option && ext_wished(env, "physpages"))
		m->check_before_update = (struct opt_bool){ .v = true, .set = true };
	if (swap.set && (c->swappages.set || c->physpages.set) && memory.set)
		m->swap = (struct opt_i64){ .v = swap.v < 0 || memory.v < 0 ? -1 : memory.v + swap.v, .set = true };
	p->limit = c->numproc;
	if (m->limit.set || m->swap.set)
		changes->memory = m;
	if (p->limit.set)
		changes->pids = p;
	return 0;
}

static void derive(const struct ext_env *env, const struct oci_resources *r, void *config)
{
	struct memory *c = config;

	(void)env;
	if (r->memory && r->memory->limit.set)
		c->physpages = (struct opt_i64){ .v = r->memory->limit.v < 0 ? VALUE_UNLIMITED : r->memory->limit.v, .set = true };
	if (r->memory)
		c->swappages = swap_of(r->memory);
	if (r->pids && r->pids->limit.set)
		c->numproc = (struct opt_i64){ .v = r->pids->limit.v < 0 ? VALUE_UNLIMITED : r->pids->limit.v, .set = true };
}

const struct ext ext_memory = {
	.name = "memory",
	.rows = rows,
	.config_size = sizeof(struct memory),
	.validate = validate,
	.native = native,
	.derive = derive,
};
