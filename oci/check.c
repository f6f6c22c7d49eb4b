// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/check.h"

#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#include "oci/check_rules.h"
#include "runtime/base/str.h"

/* Any 1.x: a runtime that refused what it does not know yet broke its users at every release of the spec. */
static int check_version(const struct oci_spec *spec, struct err *e)
{
	const char *v = spec->oci_version;
	size_t digits = str_starts(v, "1.") ? strspn(v + 2, "0123456789") : 0;

	if (digits == 0 || !strchr(".-+", v[2 + digits]))
		return bad(e, "/ociVersion: unsupported version '%.40s', expected 1.x", v);
	return 0;
}

static int check_root(const struct oci_spec *spec, struct err *e)
{
	if (!spec->root)
		return bad(e, "/root: required, but missing");
	if (!*spec->root->path)
		return bad(e, "/root/path: must not be empty");
	return 0;
}

/* The kernel's __NEW_UTS_LEN. */
#define UTS_LEN 64

static int check_uts_name(const struct oci_spec *spec, const char *key, const char *name, struct err *e)
{
	if (!name || !*name)
		return 0;
	if (!check_has_ns(spec, CLONE_NEWUTS))
		return bad(e, "/%s: needs a uts namespace in /linux/namespaces", key);
	if (strlen(name) > UTS_LEN)
		return bad(e, "/%s: longer than %d bytes", key, UTS_LEN);
	return 0;
}

static bool has_option(const struct oci_mount *m, const char *option)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], option) == 0)
			return true;
	return false;
}

static int check_mount_idmap(const struct oci_spec *spec, const struct oci_mount *m, const char *p, struct err *e)
{
	const bool wanted = has_option(m, "idmap") || has_option(m, "ridmap");
	char at[64];

	if ((m->uid_mappings.n == 0) != (m->gid_mappings.n == 0))
		return bad(e, "%s: uidMappings and gidMappings go together", p);
	if (wanted && m->uid_mappings.n == 0 && !check_has_ns(spec, CLONE_NEWUSER))
		return bad(e, "%s/options: idmap needs mappings or a user namespace", p);
	snprintf(at, sizeof at, "%s/uidMappings", p);
	if (check_idmaps(&m->uid_mappings, at, e) < 0)
		return err_ret(e);
	snprintf(at, sizeof at, "%s/gidMappings", p);
	return check_idmaps(&m->gid_mappings, at, e);
}

/* A relative destination is meant from "/" (deprecated, but allowed). */
static int check_mounts(const struct oci_spec *spec, struct err *e)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];
		char p[32];

		snprintf(p, sizeof p, "/mounts/%zu", i);
		if (!*m->destination)
			return bad(e, "%s/destination: must not be empty", p);
		if (check_mount_idmap(spec, m, p, e) < 0)
			return err_ret(e);
	}
	return 0;
}

static int check_hook_list(const struct oci_hook_list *list, const char *name, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_hook *h = &list->v[i];
		char p[64];

		if (!check_is_absolute(h->path))
			return bad(e, "/hooks/%s/%zu/path: path '%.200s' is not absolute", name, i, h->path);
		if (h->timeout.set && h->timeout.v <= 0)
			return bad(e, "/hooks/%s/%zu/timeout: must be greater than 0", name, i);
		snprintf(p, sizeof p, "/hooks/%s/%zu/env", name, i);
		if (check_env(&h->env, p, e) < 0)
			return err_ret(e);
	}
	return 0;
}

static int check_hooks(const struct oci_spec *spec, struct err *e)
{
	const struct oci_hooks *h = spec->hooks;
	int r = 0;

	if (!h)
		return 0;
	const struct {
		const struct oci_hook_list *list;
		const char *name;
	} all[] = {
		{ &h->prestart, "prestart" },
		{ &h->create_runtime, "createRuntime" },
		{ &h->create_container, "createContainer" },
		{ &h->start_container, "startContainer" },
		{ &h->poststart, "poststart" },
		{ &h->poststop, "poststop" },
	};
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
		r = check_hook_list(all[i].list, all[i].name, e);
	return r;
}

static int check_annotations(const struct oci_spec *spec, struct err *e)
{
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (!*spec->annotations.v[i].key)
			return bad(e, "/annotations: empty key");
	return 0;
}

static int check_names(const struct oci_spec *spec, struct err *e)
{
	int r = check_uts_name(spec, "hostname", spec->hostname, e);

	return r < 0 ? r : check_uts_name(spec, "domainname", spec->domainname, e);
}

static int check_main_process(const struct oci_spec *spec, struct err *e)
{
	return spec->process ? check_process(spec->process, "/process", e) : 0;
}

int check_spec(const struct oci_spec *spec, struct err *e)
{
	static int (*const rules[])(const struct oci_spec *, struct err *) = {
		check_version, check_root,  check_main_process, check_names,
		check_mounts,  check_hooks, check_annotations,  check_linux,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int r = rules[i](spec, e);

		if (r < 0)
			return r;
	}
	return 0;
}
