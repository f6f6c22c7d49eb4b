// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/features.h"

#include "oci/defaults.h"
#include "oci/emit.h"
#include "oci/names.h"

static void add_list(struct emit *out, const char *key, const char *const *words)
{
	emit_array(out, key);
	for (; words && *words; words++)
		emit_string(out, NULL, *words);
	emit_array_end(out);
}

static void add_names(struct emit *out, const char *key, const struct oci_names *names)
{
	emit_array(out, key);
	for (const struct oci_name *n = names->v; n->word; n++)
		emit_string(out, NULL, n->word);
	emit_array_end(out);
}

static void add_flags(struct emit *out, const char *key, int64_t supported)
{
	emit_array(out, key);
	for (const struct oci_name *n = names_seccomp_flags.v; n->word; n++)
		if (supported & n->value)
			emit_string(out, NULL, n->word);
	emit_array_end(out);
}

static void add_enabled(struct emit *out, const char *key, bool enabled)
{
	emit_object(out, key);
	emit_bool(out, "enabled", enabled);
	emit_object_end(out);
}

static void add_capabilities(struct emit *out)
{
	emit_array(out, "capabilities");
	for (int cap = 0; cap < OCI_CAPS; cap++)
		emit_string(out, NULL, names_cap_word(cap));
	emit_array_end(out);
}

static void add_cgroup(struct emit *out, const struct oci_features *f)
{
	emit_object(out, "cgroup");
	emit_bool(out, "v1", f->cgroup_v1);
	emit_bool(out, "v2", f->cgroup_v2);
	emit_bool(out, "systemd", f->cgroup_systemd);
	emit_bool(out, "systemdUser", f->cgroup_systemd_user);
	emit_bool(out, "rdma", f->cgroup_rdma);
	emit_object_end(out);
}

static void add_seccomp(struct emit *out, const struct oci_features *f)
{
	emit_object(out, "seccomp");
	emit_bool(out, "enabled", f->seccomp);
	if (f->seccomp) {
		add_names(out, "actions", &names_seccomp_actions);
		add_names(out, "operators", &names_seccomp_ops);
		if (f->seccomp_archs)
			add_list(out, "archs", f->seccomp_archs);
		else
			add_names(out, "archs", &names_seccomp_archs);
		add_names(out, "knownFlags", &names_seccomp_flags);
		add_flags(out, "supportedFlags", f->seccomp_flags);
	}
	emit_object_end(out);
}

static void add_intel_rdt(struct emit *out, const struct oci_features *f)
{
	emit_object(out, "intelRdt");
	emit_bool(out, "enabled", f->intel_rdt);
	emit_bool(out, "schemata", f->intel_rdt_schemata);
	emit_bool(out, "monitoring", f->intel_rdt_monitoring);
	emit_object_end(out);
}

static void add_linux(struct emit *out, const struct oci_features *f)
{
	emit_object(out, "linux");
	add_names(out, "namespaces", &names_namespaces);
	add_capabilities(out);
	add_cgroup(out, f);
	add_seccomp(out, f);
	add_enabled(out, "apparmor", f->apparmor);
	add_enabled(out, "selinux", f->selinux);
	add_intel_rdt(out, f);
	if (f->memory_policy) {
		emit_object(out, "memoryPolicy");
		add_names(out, "modes", &names_mpol_modes);
		add_names(out, "flags", &names_mpol_flags);
		emit_object_end(out);
	}
	emit_object(out, "mountExtensions");
	add_enabled(out, "idmap", f->idmap);
	emit_object_end(out);
	add_enabled(out, "netDevices", f->net_devices);
	emit_object_end(out);
}

void oci_features_emit(const struct oci_features *f, struct str *ret)
{
	struct emit out = { .out = ret, .indent = 4 };

	emit_object(&out, NULL);
	emit_string(&out, "ociVersionMin", "1.0.0");
	emit_string(&out, "ociVersionMax", OCI_VERSION);
	add_names(&out, "hooks", &names_hooks);
	add_list(&out, "mountOptions", f->mount_options);
	add_linux(&out, f);
	if (f->annotations && f->annotations->n > 0) {
		emit_object(&out, "annotations");
		for (size_t i = 0; i < f->annotations->n; i++)
			emit_string(&out, f->annotations->v[i].key, f->annotations->v[i].value);
		emit_object_end(&out);
	}
	add_list(&out, "potentiallyUnsafeConfigAnnotations", f->unsafe_annotations);
	emit_object_end(&out);
}
