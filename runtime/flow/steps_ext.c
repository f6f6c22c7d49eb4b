// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows at which extensions act, and the same at the end of a container. */

#include <string.h>

#include "oci/emit.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/flow/ext.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/restore.h"
#include "runtime/flow/steps.h"

/* Its settings are newer than its document, and came from who may set them. */
static bool is_further_life(const struct flow *f)
{
	return f->o->document || f->command == FLOW_RESTORE;
}

static struct ext_env env_of(struct flow *f)
{
	return (struct ext_env){
		.id = f->o->id, .spec = &f->spec, .resources = flow_linux(f)->resources, .cg = f->cg,
		.rootfs = f->state.rootfs, .bundle = f->o->bundle ? f->o->bundle : f->state.bundle, .kept = &f->state.extensions,
		.store = f->o->root, .pid = f->pid, .pidfd = f->pidfd, .root_fd = f->root_fd, .again = is_further_life(f),
		.before = f->restore ? &f->restore->image.extensions : NULL, .arena = &f->arena,
	};
}

bool when_ext_prepare(const struct flow *f)
{
	return ext_any(&f->spec.annotations);
}

bool when_ext_recorded(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_RECORDED);
}

bool when_ext_cgroup(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_CGROUP_READY);
}

bool when_ext_ns(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_NS_READY);
}

bool when_ext_rootfs(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_ROOTFS_READY);
}

bool when_ext_start(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_BEFORE_START);
}

bool when_ext_restored(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_RESTORED);
}

bool when_ext_exec(const struct flow *f)
{
	return ext_acts(&f->exts, EXT_EXEC);
}

static int need_resources(struct flow *f, struct err *e)
{
	if (!f->spec.linux)
		f->spec.linux = arena_new(&f->arena, struct oci_linux);
	if (f->spec.linux && !f->spec.linux->resources)
		f->spec.linux->resources = arena_new(&f->arena, struct oci_resources);
	return f->spec.linux && f->spec.linux->resources ? 0 : err_oom(e);
}

/* The document that is kept is the one that the container is made of. */
int flow_write_document(struct flow *f, struct err *e)
{
	if (!f->given.len) {
		f->given = f->document;
		f->document = (struct str){ 0 };
	}
	str_clear(&f->document);
	decode_emit(&oci_spec_type, &f->spec, &(struct emit){ .out = &f->document });
	return str_failed(&f->document) ? err_oom(e) : 0;
}

int flow_keep_document(struct flow *f, struct err *e)
{
	if (flow_write_document(f, e) < 0)
		return err_ret(e);
	return fs_replace(f->dir.fd, STORE_CONFIG, f->document.s, f->document.len, 0600, e);
}

int step_ext_prepare(struct flow *f, struct err *e)
{
	static const struct oci_state_exts no_saved;
	struct ext_env env;
	int r = need_resources(f, e);

	/* Where it will be says what may be given to it. */
	if (r == 0)
		r = flow_choose_cgroup(f, e);
	if (r == 0 && f->spec.root && f->spec.root->path)
		r = flow_rootfs(f, &f->state.rootfs, e);
	/* What has come since the first life came by `set`, from who may. */
	if (r == 0 && !is_further_life(f))
		r = ext_check_pod(&f->spec.annotations, EXT_POD_KEYS, e);
	if (r == 0)
		r = ext_read(&f->spec.annotations, &no_saved, !is_further_life(f), &f->exts, &f->arena, e);
	env = env_of(f);
	if (r == 0)
		r = ext_prepare(&f->exts, &env, e);
	if (r == 0)
		r = flow_write_document(f, e);
	f->process = f->spec.process;
	return r < 0 ? err_wrap(e, "%s", f->o->config) : 0;
}

/* What they keep is recorded as soon as it is another. */
static int record(struct flow *f, struct err *e)
{
	struct oci_state_exts now;
	bool same;

	if (ext_saved(&f->exts, &now, &f->arena, e) < 0)
		return err_ret(e);
	same = now.n == f->state.extensions.n;
	for (size_t i = 0; same && i < now.n; i++)
		same = strcmp(now.v[i].json, f->state.extensions.v[i].json) == 0;
	f->state.extensions = now;
	return same ? 0 : store_save(&f->dir, &f->state, e);
}

static int run_point(struct flow *f, enum ext_point point, struct err *e)
{
	struct ext_env env = env_of(f);
	int r = ext_run(&f->exts, point, &env, e);

	if (r == 0 && record(f, e) < 0) {
		ext_undo(&f->exts, point, &env);
		return err_ret(e);
	}
	return r;
}

static void undo_point(struct flow *f, enum ext_point point)
{
	struct ext_env env = env_of(f);

	ext_undo(&f->exts, point, &env);
}

/* The kept document and the limits know what was added. */
int step_ext_recorded(struct flow *f, struct err *e)
{
	int r = run_point(f, EXT_RECORDED, e);

	if (r == 0)
		r = flow_keep_document(f, e);
	if (r < 0)
		undo_ext_recorded(f);
	return r;
}

void undo_ext_recorded(struct flow *f)
{
	undo_point(f, EXT_RECORDED);
}

int step_ext_cgroup(struct flow *f, struct err *e)
{
	return run_point(f, EXT_CGROUP_READY, e);
}

void undo_ext_cgroup(struct flow *f)
{
	undo_point(f, EXT_CGROUP_READY);
}

int step_ext_ns(struct flow *f, struct err *e)
{
	return run_point(f, EXT_NS_READY, e);
}

void undo_ext_ns(struct flow *f)
{
	undo_point(f, EXT_NS_READY);
}

/* init: what was prepared is attached; nothing is recorded, and nothing undone. */
int step_ext_rootfs(struct flow *f, struct err *e)
{
	struct ext_env env = env_of(f);

	return ext_run(&f->exts, EXT_ROOTFS_READY, &env, e);
}

int step_ext_start(struct flow *f, struct err *e)
{
	return run_point(f, EXT_BEFORE_START, e);
}

void undo_ext_start(struct flow *f)
{
	undo_point(f, EXT_BEFORE_START);
}

int step_ext_restored(struct flow *f, struct err *e)
{
	return flow_told(f, run_point(f, EXT_RESTORED, e), e);
}

void undo_ext_restored(struct flow *f)
{
	undo_point(f, EXT_RESTORED);
}

int step_ext_exec(struct flow *f, struct err *e)
{
	struct ext_env env = env_of(f);

	return ext_run(&f->exts, EXT_EXEC, &env, e);
}

/* ---- the end ---- */

void ext_end(struct ext_env *env, const struct oci_state *state)
{
	char text[ERR_TEXT_MAX + 128];
	struct ext_uses uses;
	struct err e;

	if (ext_read(&state->annotations, &state->extensions, false, &uses, env->arena, &e) < 0) {
		log_warn("extensions: %s", err_format(&e, text, sizeof text));
		return;
	}
	for (int point = EXT_AFTER_STOP; point > EXT_PREPARE; point--)
		ext_undo(&uses, (enum ext_point)point, env);
	if (ext_run(&uses, EXT_AFTER_STOP, env, &e) < 0)
		log_warn("extensions: %s", err_format(&e, text, sizeof text));
	if (ext_reclaim(env, &e) < 0)
		log_warn_err(&e);
}

int ext_reclaim(struct ext_env *env, struct err *e)
{
	const struct ext *const *list = ext_registry();
	int r = 0;

	for (size_t i = 0; list[i]; i++) {
		struct err one;

		if (!list[i]->reclaim || list[i]->reclaim(env, &one) >= 0)
			continue;
		if (r < 0)
			log_warn_err(e);
		*e = one;
		r = err_wrap(e, "%s", list[i]->name);
	}
	return r;
}

/* One that is being made has no process yet, but somebody has its lock. */
bool ext_has_ended(const char *root, const char *id)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_store struct store_dir dir = STORE_DIR_NONE;
	struct oci_state state;
	int64_t status;
	struct err e;

	if (store_open(root, id, STORE_TRY, &dir, &e) < 0)
		return e.kind == ERR_NOTFOUND;
	if (store_load(&dir, id, &state, &a, &e) < 0)
		return true;
	store_status(&dir, &state, &status, NULL);
	return status == OCI_STOPPED || (status == OCI_CREATING && state.pid <= 0);
}
