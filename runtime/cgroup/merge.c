// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/plan.h"

#include <string.h>

#include "runtime/base/str.h"

/* An update's resources laid over what the container has. */

#define TAKE(field)                                                                                                   \
	do {                                                                                                          \
		if (from->field.set)                                                                                  \
			to->field = from->field;                                                                      \
	} while (0)

static void merge_memory(struct oci_memory *to, const struct oci_memory *from)
{
	TAKE(limit);
	TAKE(reservation);
	/* "Unlimited" without a word on swap ends the old swap limit too, which could not be kept anyway. */
	if (from->limit.set && from->limit.v < 0)
		to->swap = (struct opt_i64){ 0 };
	TAKE(swap);
	TAKE(kernel);
	TAKE(kernel_tcp);
	TAKE(swappiness);
	TAKE(disable_oom_killer);
	TAKE(use_hierarchy);
	TAKE(check_before_update);
}

static void merge_cpu(struct oci_cpu *to, const struct oci_cpu *from)
{
	TAKE(shares);
	TAKE(quota);
	TAKE(period);
	TAKE(burst);
	TAKE(realtime_runtime);
	TAKE(realtime_period);
	TAKE(idle);
	if (from->cpus && *from->cpus)
		to->cpus = from->cpus;
	if (from->mems && *from->mems)
		to->mems = from->mems;
}

/* Lists: the elements of `was` that `now` does not name again, then those of `now`. */
static bool same_weight(const void *a, const void *b)
{
	const struct oci_weight_device *x = a, *y = b;

	return x->major == y->major && x->minor == y->minor;
}

static bool same_throttle(const void *a, const void *b)
{
	const struct oci_throttle *x = a, *y = b;

	return x->major == y->major && x->minor == y->minor;
}

static bool same_page(const void *a, const void *b)
{
	return str_eq(((const struct oci_hugepage_limit *)a)->page_size, ((const struct oci_hugepage_limit *)b)->page_size);
}

static bool same_if(const void *a, const void *b)
{
	return str_eq(((const struct oci_if_prio *)a)->name, ((const struct oci_if_prio *)b)->name);
}

static bool same_rdma(const void *a, const void *b)
{
	return str_eq(((const struct oci_rdma *)a)->device, ((const struct oci_rdma *)b)->device);
}

static bool same_key(const void *a, const void *b)
{
	return str_eq(((const struct oci_pair *)a)->key, ((const struct oci_pair *)b)->key);
}

static void *merge_list(const void *was, size_t *n_was, const void *now, size_t n_now, size_t size,
			bool (*same)(const void *, const void *), struct arena *a)
{
	const char *old = was, *new = now;
	char *v = arena_alloc_n(a, *n_was + n_now, size);
	size_t n = 0;

	for (size_t i = 0; v && i < *n_was; i++) {
		bool again = false;

		for (size_t j = 0; j < n_now; j++)
			again |= same(old + i * size, new + j * size);
		if (!again)
			memcpy(v + n++ * size, old + i * size, size);
	}
	if (!v)
		return NULL;
	memcpy(v + n * size, new, n_now * size);
	*n_was = n + n_now;
	return v;
}

/* Sets `failed` when memory runs out. */
#define LIST(to, from, same)                                                                                          \
	do {                                                                                                          \
		if ((from).n > 0)                                                                                     \
			(to).v = merge_list((to).v, &(to).n, (from).v, (from).n, sizeof *(to).v, (same), a);          \
		failed |= (from).n > 0 && !(to).v;                                                                    \
	} while (0)

static int merge_block_io(struct oci_block_io *to, const struct oci_block_io *from, struct arena *a)
{
	int failed = 0;

	TAKE(weight);
	TAKE(leaf_weight);
	LIST(to->weight_device, from->weight_device, same_weight);
	LIST(to->throttle_read_bps, from->throttle_read_bps, same_throttle);
	LIST(to->throttle_write_bps, from->throttle_write_bps, same_throttle);
	LIST(to->throttle_read_iops, from->throttle_read_iops, same_throttle);
	LIST(to->throttle_write_iops, from->throttle_write_iops, same_throttle);
	return failed;
}

static int merge_network(struct oci_network *to, const struct oci_network *from, struct arena *a)
{
	int failed = 0;

	TAKE(class_id);
	LIST(to->priorities, from->priorities, same_if);
	return failed;
}

/* `unified` is written last: what it had for the file of a field that is said anew would undo that. */
static int merge_unified(struct oci_map *to, const struct oci_resources *from, struct arena *a)
{
	struct oci_pair *v = arena_alloc_n(a, to->n + 1, sizeof *v);
	int failed = !v;
	size_t n = 0;

	for (size_t i = 0; v && i < to->n; i++) {
		v[n] = to->v[i];
		failed |= cg_unified_rest(from, to->v[i].key, &v[n].value, a) < 0;
		n += v[n].value != NULL;
	}
	*to = (struct oci_map){ v, n };
	LIST(*to, from->unified, same_key);
	return failed;
}

/* A copy of our own of a sub-object, or an empty one, to lay something over; NULL: out of memory. */
static void *own_copy(const void *was, size_t size, struct arena *a)
{
	void *p = arena_alloc(a, size);

	if (p && was)
		memcpy(p, was, size);
	return p;
}

int cg_merge(const struct oci_resources *was, const struct oci_resources *now, struct oci_resources *ret,
	     struct arena *a, struct err *e)
{
	static const struct oci_resources nothing;
	struct oci_resources r = was ? *was : nothing;
	int failed = 0;

#define OWN(field)                                                                                                    \
	do {                                                                                                          \
		if (now->field)                                                                                       \
			r.field = own_copy(r.field, sizeof *r.field, a);                                              \
		failed |= now->field && !r.field;                                                                     \
	} while (0)
	OWN(memory);
	OWN(cpu);
	if (now->pids && now->pids->limit.set) /* the one member is required: there is no empty object */
		OWN(pids);
	OWN(block_io);
	OWN(network);
#undef OWN
	if (failed)
		return err_oom(e);
	if (now->memory)
		merge_memory(r.memory, now->memory);
	if (now->cpu)
		merge_cpu(r.cpu, now->cpu);
	if (now->pids && now->pids->limit.set)
		r.pids->limit = now->pids->limit;
	if (now->block_io)
		failed |= merge_block_io(r.block_io, now->block_io, a);
	if (now->network)
		failed |= merge_network(r.network, now->network, a);
	LIST(r.hugepage_limits, now->hugepage_limits, same_page);
	LIST(r.rdma, now->rdma, same_rdma);
	failed |= merge_unified(&r.unified, now, a);
	if (failed)
		return err_oom(e);
	*ret = r;
	return 0;
}
