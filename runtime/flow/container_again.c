// SPDX-License-Identifier: LGPL-2.1-or-later

/* A further life of a container that ended by reboot(2).
 *
 * Of its document as it was given, not as it is kept: what extensions did to the kept one they do anew, for the settings that
 * are in force now.  Device rules are the given ones for the same reason: nothing but extensions changes them. */

#include <string.h>
#include <sys/wait.h>

#include "oci/emit.h"
#include "runtime/flow/container.h"

/* Limits in force, less what settings put into lists. */
static int limits_in_force(const struct ext_uses *uses, const struct ext_env *env, struct oci_resources **ret, struct err *e)
{
	struct oci_resources *now;

	*ret = NULL;
	if (!env->resources)
		return 0;
	now = arena_new(env->arena, struct oci_resources);
	if (!now)
		return err_oom(e);
	if (ext_without_elements(uses, env, now, e) < 0)
		return err_ret(e);
	*ret = now;
	return 0;
}

int container_use_limits(struct oci_spec *spec, const struct oci_resources *limits, struct arena *a, struct err *e)
{
	struct oci_resources *now = arena_new(a, struct oci_resources);

	if (!spec->linux)
		spec->linux = arena_new(a, struct oci_linux);
	if (!now || !spec->linux)
		return err_oom(e);
	*now = *limits;
	now->devices = spec->linux->resources ? spec->linux->resources->devices : (struct oci_device_rules){ 0 };
	spec->linux->resources = now;
	return 0;
}

static int write_document(const struct str *given, const struct oci_map *settings, const struct ext_uses *uses,
			  const struct ext_env *env, struct str *ret, struct err *e)
{
	struct oci_spec spec = { 0 };
	struct oci_resources *limits;

	if (oci_spec_parse(given->s, given->len, STORE_CONFIG, &spec, env->arena, e) < 0 || limits_in_force(uses, env, &limits, e) < 0 ||
	    (limits && container_use_limits(&spec, limits, env->arena, e) < 0))
		return err_ret(e);
	spec.annotations = *settings;
	str_clear(ret);
	decode_emit(&oci_spec_type, &spec, &(struct emit){ .out = ret });
	return str_failed(ret) ? err_oom(e) : 0;
}

int container_in_force(struct container *c, struct oci_map *ret_settings, struct oci_resources **ret_limits, struct err *e)
{
	struct ext_env env = container_env(c);
	struct ext_uses uses;

	if (container_resources(c, &env.resources, e) < 0 || ext_present(&c->state.annotations, &env, ret_settings, e) < 0 ||
	    ext_read(ret_settings, &c->state.extensions, false, &uses, &c->arena, e) < 0)
		return err_ret(e);
	env.resources = c->state.resources; /* as long as nobody changed them the document says them */
	return limits_in_force(&uses, &env, ret_limits, e);
}

static int ask(struct container *c, const struct str *given, struct str *ret, struct err *e)
{
	struct ext_env env = container_env(c);
	struct oci_map settings;
	struct ext_uses uses;

	if (container_resources(c, &env.resources, e) < 0 || ext_present(&c->state.annotations, &env, &settings, e) < 0 ||
	    ext_read(&settings, &c->state.extensions, false, &uses, &c->arena, e) < 0)
		return err_ret(e);
	if (!ext_again(&uses, &env, c->state.exit->reboot))
		return 0;
	return write_document(given, &settings, &uses, &env, ret, e) < 0 ? err_ret(e) : 1;
}

int container_again(const char *root, const char *id, int wait_status, const struct str *given, struct str *ret, struct err *e)
{
	cleanup_container struct container c = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	int r;

	if (!WIFSIGNALED(wait_status))
		return 0;
	if (container_open(root, id, STORE_WAIT, &c, e) < 0)
		return e->kind == ERR_NOTFOUND ? 0 : err_ret(e); /* somebody has deleted it: there is nothing to start */
	container_set_exit(&c, wait_status, false);
	if (!c.state.exit || !c.state.exit->reboot)
		return 0;
	r = ask(&c, given, ret, e);
	c.state.status = OCI_STOPPED;
	return r > 0 && store_save(&c.dir, &c.state, e) < 0 ? err_ret(e) : r;
}
