// SPDX-License-Identifier: LGPL-2.1-or-later

/* Changes of a living container: update, which speaks of linux.resources, and set, which speaks of extensions' keys. */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "oci/check.h"
#include "runtime/base/log.h"
#include "runtime/cgroup/plan.h"
#include "runtime/flow/container.h"
#include "runtime/linux/rdt.h"

int container_resources(struct container *c, const struct oci_resources **ret, struct err *e)
{
	struct oci_spec spec;
	int r;

	*ret = c->state.resources ? c->state.resources : c->document_limits;
	if (*ret || c->document_read)
		return 0;
	r = store_load_spec(&c->dir, &spec, &c->arena, e);
	if (r < 0)
		return r;
	c->document_read = true;
	*ret = c->document_limits = spec.linux ? spec.linux->resources : NULL;
	return 0;
}

static int update_rdt(struct container *c, const struct oci_intel_rdt *rdt, struct err *e)
{
	struct oci_intel_rdt named = *rdt;

	if (!c->state.intel_rdt)
		return err_set(e, ERR_STATE, 0, "the container was created without intelRdt: its schema cannot be changed");
	named.clos_id = c->state.intel_rdt->clos_id;
	return rdt_update(NULL, c->id, &named, e);
}

static bool is_gone(int64_t major, int64_t minor)
{
	char path[64];

	snprintf(path, sizeof path, "/sys/dev/block/%lld:%lld", (long long)major, (long long)minor);
	return access(path, F_OK) < 0 && errno == ENOENT;
}

/* A list of disks becomes a copy without those that are gone.  Sets `failed` when memory runs out. */
#define KEEP_PRESENT(list)                                                                         \
	do {                                                                                       \
		__typeof__((list).v) kept = arena_alloc_n(a, (list).n + 1, sizeof *kept);          \
		size_t n = 0;                                                                      \
                                                                                                   \
		for (size_t i = 0; kept && i < (list).n; i++)                                      \
			if (!is_gone((list).v[i].major, (list).v[i].minor))                        \
				kept[n++] = (list).v[i];                                           \
		(list).v = kept;                                                                   \
		(list).n = n;                                                                      \
		failed |= !kept;                                                                   \
	} while (0)

/* What is recorded of disks that are gone the kernel refuses, and every other change with it. */
static const struct oci_resources *without_gone(const struct oci_resources *was, struct arena *a)
{
	struct oci_resources *r = arena_new(a, struct oci_resources);
	struct oci_block_io *io = arena_new(a, struct oci_block_io);
	bool failed = false;

	if (!r || !io)
		return NULL;
	*r = *was;
	*io = *was->block_io;
	r->block_io = io;
	KEEP_PRESENT(io->throttle_read_bps);
	KEEP_PRESENT(io->throttle_write_bps);
	KEEP_PRESENT(io->throttle_read_iops);
	KEEP_PRESENT(io->throttle_write_iops);
	KEEP_PRESENT(io->weight_device);
	return failed ? NULL : r;
}

/* Merged, checked and written; not saved. */
static int change_resources(struct container *c, const struct oci_resources *was, const struct oci_resources *changes,
			    struct err *e)
{
	struct oci_resources *merged = arena_new(&c->arena, struct oci_resources);
	const bool had = was;
	int r;

	if (was && was->block_io)
		was = without_gone(was, &c->arena);
	if (!merged || (had && !was))
		return err_oom(e);
	r = container_need_cgroup(c, e);
	if (r == 0)
		r = cg_merge(was, changes, merged, &c->arena, e);
	if (r == 0)
		r = check_resources(merged, "", e);
	if (r == 0)
		r = cgroup_update(c->cg, was, changes, &c->arena, e);
	if (r < 0)
		return r;
	/* It was asked for this change, not for those to come. */
	if (merged->memory && changes && changes->memory)
		merged->memory->check_before_update = was && was->memory ? was->memory->check_before_update : (struct opt_bool){ 0 };
	c->state.resources = merged;
	return 0;
}

static int may_change(const struct container *c, struct err *e)
{
	return c->status == OCI_STOPPED || c->status == OCI_CREATING ? container_not_running(e) : 0;
}

int container_update(struct container *c, const struct oci_resources *changes, const struct oci_intel_rdt *rdt,
		     struct err *e)
{
	const struct oci_resources *was;
	struct oci_resources *recorded = c->state.resources;
	struct err unsaved;
	int r = may_change(c, e);

	if (r == 0)
		r = container_need_cgroup(c, e);
	if (r == 0)
		r = container_resources(c, &was, e);
	if (r == 0)
		r = change_resources(c, was, changes, e);
	if (r < 0)
		return r;
	r = store_save(&c->dir, &c->state, e);
	/* Last: it cannot be taken back, and the record says nothing of it. */
	if (r == 0 && rdt && update_rdt(c, rdt, e) < 0) {
		r = err_ret(e);
		c->state.resources = recorded;
		if (store_save(&c->dir, &c->state, &unsaved) < 0)
			log_warn_err(&unsaved);
	}
	if (r < 0)
		cgroup_update_undo(c->cg);
	return r;
}

/* ---- set ---- */

struct change {
	struct container *c;
	const struct ext_wishes *wishes;
	struct ext_env env;
	struct oci_map present;
	struct ext_uses was, now;
};

static int set_devices(struct ext_env *env, const struct oci_device_rules *rules, struct err *e)
{
	static const struct oci_device_rules none;
	struct change *ch = (struct change *)(void *)((char *)env - offsetof(struct change, env));
	struct oci_resources *now = arena_new(env->arena, struct oci_resources);

	if (!now)
		return err_oom(e);
	if (container_need_cgroup(ch->c, e) < 0 ||
	    cgroup_set_devices(ch->c->cg, env->resources ? &env->resources->devices : &none, rules, e) < 0)
		return err_ret(e);
	if (env->resources)
		*now = *env->resources;
	now->devices = *rules;
	env->resources = ch->c->state.resources = now;
	return 0;
}

static bool wished(const struct change *ch, const struct ext *ext)
{
	for (size_t i = 0; i < ch->wishes->n; i++)
		if (ch->wishes->v[i].ext == ext)
			return true;
	return false;
}

static const void *config_before(const struct change *ch, const struct ext *ext)
{
	for (size_t i = 0; i < ch->was.n; i++)
		if (ch->was.v[i].ext == ext)
			return ch->was.v[i].config;
	return arena_alloc(&ch->c->arena, ext->config_size);
}

/* Only what is wished for, and who follows that: other extensions have nothing to do with this call. */
static int read_changed(struct change *ch, const struct oci_map *map, struct err *e)
{
	struct container *c = ch->c;
	struct ext_uses all;

	if (ext_read(&ch->present, &c->state.extensions, false, &ch->was, &c->arena, e) < 0 ||
	    ext_read(map, &c->state.extensions, false, &all, &c->arena, e) < 0)
		return err_ret(e);
	ch->now.v = arena_alloc_n(&c->arena, all.n + 1, sizeof *all.v);
	if (!ch->now.v)
		return err_oom(e);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].ext->follows || wished(ch, all.v[i].ext))
			ch->now.v[ch->now.n++] = all.v[i];
	return 0;
}

static int check_wishes(const struct change *ch, struct err *e)
{
	for (size_t i = 0; i < ch->wishes->n; i++) {
		const struct ext_row *row = ch->wishes->v[i].row;

		if (row->flags & EXT_COLD)
			return ext_refuse(&ch->env, e, row->name, "cannot be changed while the container lives: give it at "
					  "creation, as annotation " EXT_PREFIX "%s", row->name);
		if (row->flags & EXT_INERT)
			ext_warn(&ch->env, row->name, "is kept, but not enforced");
	}
	return ext_validate(&ch->now, &ch->env, e);
}

static void take_back(struct change *ch, size_t end)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	while (end-- > 0) {
		const struct ext_use *u = &ch->now.v[end];
		const void *before = config_before(ch, u->ext);

		if (u->ext->update && before && u->ext->update(&ch->env, u->config, before, u->saved, &e) < 0)
			log_warn("%s: not put back: %s", u->ext->name, err_format(&e, text, sizeof text));
	}
}

static bool any_native(const struct change *ch)
{
	for (size_t i = 0; i < ch->now.n; i++)
		if (ch->now.v[i].ext->native)
			return true;
	return false;
}

/* Native fields come last: the planner puts back what it wrote when a later value is refused, so that nothing has to be
 * taken back from outside.  And what some of them are is known only now: an update may have brought a device. */
static int apply_change(struct change *ch, struct err *e)
{
	struct oci_resources changes;
	size_t i = 0;
	int r = 0;

	for (; i < ch->now.n && r >= 0; i++) {
		const struct ext_use *u = &ch->now.v[i];
		const void *before = config_before(ch, u->ext);

		if (!before)
			r = err_oom(e);
		else if (u->ext->update && u->ext->update(&ch->env, before, u->config, u->saved, e) < 0)
			r = err_wrap(e, "%s", u->ext->name);
		if (r < 0)
			break;
	}
	if (r >= 0)
		r = ext_native(&ch->now, &ch->env, &changes, e);
	if (r >= 0 && any_native(ch))
		r = change_resources(ch->c, ch->env.resources, &changes, e);
	if (r < 0)
		take_back(ch, i);
	return r;
}

static int act(struct change *ch, struct err *e)
{
	for (size_t i = 0; i < ch->wishes->n; i++) {
		const struct ext_wish *w = &ch->wishes->v[i];

		for (size_t j = 0; str_eq(w->text, w->row->action) && j < ch->now.n; j++) {
			const struct ext_use *u = &ch->now.v[j];

			if (u->ext == w->ext && u->ext->act(&ch->env, w->row->name, w->text, u->config, u->saved, e) < 0)
				return err_wrap(e, "--%s %s", w->row->name, w->text);
		}
	}
	return 0;
}

/* Saved state of extensions that this call did not touch stays as it is. */
static int record(struct change *ch, const struct oci_map *map, struct err *e)
{
	struct oci_state *s = &ch->c->state;
	struct oci_state_exts now, all = { arena_alloc_n(&ch->c->arena, ch->now.n + s->extensions.n + 1, sizeof *all.v), 0 };

	if (!all.v)
		return err_oom(e);
	if (ext_saved(&ch->now, &now, &ch->c->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < s->extensions.n + now.n; i++) {
		const struct oci_state_ext *from = i < s->extensions.n ? &s->extensions.v[i] : &now.v[i - s->extensions.n];
		size_t at = 0;

		while (at < all.n && strcmp(all.v[at].name, from->name) != 0)
			at++;
		all.v[at] = *from;
		all.n += at == all.n;
	}
	s->extensions = all;
	s->annotations = *map;
	return store_save(&ch->c->dir, s, e);
}

int container_set(struct container *c, const struct ext_wishes *wishes, struct err *e)
{
	struct change ch = { .c = c, .wishes = wishes, .env = container_env(c) };
	struct oci_spec spec;
	struct oci_map map;
	int r;

	r = may_change(c, e);
	if (r == 0)
		r = container_resources(c, &ch.env.resources, e);
	if (r == 0)
		r = store_load_spec(&c->dir, &spec, &c->arena, e);
	if (r == 0)
		r = ext_present(&c->state.annotations, &ch.env, &ch.present, e);
	ch.env.option = true;
	ch.env.wishes = wishes;
	ch.env.set_devices = set_devices;
	ch.env.spec = &spec;
	if (r == 0)
		r = ext_wish(&ch.present, wishes, &map, &c->arena, e);
	if (r == 0)
		r = read_changed(&ch, &map, e);
	if (r == 0)
		r = check_wishes(&ch, e);
	if (r == 0)
		r = apply_change(&ch, e);
	if (r < 0)
		return r;
	/* Recorded before anything is done that is no setting: when that fails the record still says what the kernel has. */
	r = record(&ch, &map, e);
	if (r < 0) {
		if (any_native(&ch))
			cgroup_update_undo(c->cg);
		take_back(&ch, ch.now.n);
		return r;
	}
	return act(&ch, e);
}

int container_settings(struct container *c, struct oci_map *ret, struct err *e)
{
	struct ext_env env = container_env(c);

	if (container_resources(c, &env.resources, e) < 0)
		return err_ret(e);
	return ext_shown(&c->state.annotations, &env, ret, e);
}
