// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/spec.h"

#include <string.h>

#include "oci/emit.h"
#include "oci/json.h"
#include "oci/names.h"
#include "oci/rows.h"
#include "oci/tables.h"
#include "runtime/base/fs.h"

/* ---- capabilities: a set of words becomes a mask ---- */

/* Not every word must be known (config.md: one that cannot be mapped is a warning), but it must be a word. */
static int check_cap_word(const char *word, size_t index, struct err *e)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

	if (!*word || word[strspn(word, letters)])
		return err_set(e, ERR_CONFIG, 0, "/%zu: malformed capability '%.80s'", index, word);
	return 0;
}

static int caps_decode(const struct json_node *node, void *member, struct arena *a, struct err *e)
{
	struct oci_caps_set *set = member;
	size_t unknown = 0, index = 0;

	if (node->kind != JSON_ARRAY)
		return err_set(e, ERR_CONFIG, 0, "expected array, got %s", json_kind_name(node->kind));
	set->set = true;
	for (const struct json_node *n = node->child; n; n = n->next, index++) {
		int cap;

		if (n->kind != JSON_STRING)
			return err_set(e, ERR_CONFIG, 0, "/%zu: expected string, got %s", index,
				       json_kind_name(n->kind));
		if (check_cap_word(n->text, index, e) < 0)
			return err_ret(e);
		cap = names_cap(n->text);
		if (cap >= 0)
			set->mask |= UINT64_C(1) << cap;
		else
			unknown++;
	}
	if (unknown == 0)
		return 0;
	set->unknown.v = arena_alloc_n(a, unknown + 1, sizeof *set->unknown.v);
	if (!set->unknown.v)
		return err_oom(e);
	for (const struct json_node *n = node->child; n; n = n->next)
		if (names_cap(n->text) < 0)
			set->unknown.v[set->unknown.n++] = n->text;
	return 0;
}

static void caps_emit(struct emit *out, const char *key, const void *member)
{
	const struct oci_caps_set *set = member;

	emit_array(out, key);
	for (int cap = 0; cap < OCI_CAPS; cap++)
		if (set->mask >> cap & 1)
			emit_string(out, NULL, names_cap_word(cap));
	for (size_t i = 0; i < set->unknown.n; i++)
		emit_string(out, NULL, set->unknown.v[i]);
	emit_array_end(out);
}

static bool caps_present(const void *member)
{
	return ((const struct oci_caps_set *)member)->set;
}

static const struct oci_custom caps = { caps_decode, caps_emit, caps_present };

/* ---- process ---- */

static const struct oci_field oci_console_size_fields[] = {
	U64(struct oci_console_size, height, "height", .flags = OCI_REQ),
	U64(struct oci_console_size, width, "width", .flags = OCI_REQ),
	ROW_END
};
static TABLE(oci_console_size);

static const struct oci_field oci_user_fields[] = {
	U32(struct oci_user, uid, "uid"),
	U32(struct oci_user, gid, "gid"),
	OPT_U64(struct oci_user, umask, "umask", NUMBERS(0, UINT32_MAX)),
	U32S(struct oci_user, additional_gids, "additionalGids"),
	STR(struct oci_user, username, "username"),
	ROW_END
};
static TABLE(oci_user);

static const struct oci_field oci_capabilities_fields[] = {
	CUSTOM(struct oci_capabilities, bounding, "bounding", &caps),
	CUSTOM(struct oci_capabilities, effective, "effective", &caps),
	CUSTOM(struct oci_capabilities, inheritable, "inheritable", &caps),
	CUSTOM(struct oci_capabilities, permitted, "permitted", &caps),
	CUSTOM(struct oci_capabilities, ambient, "ambient", &caps),
	ROW_END
};
static TABLE(oci_capabilities);

static const struct oci_field oci_rlimit_fields[] = {
	WORD(struct oci_rlimit, type, "type", &names_rlimits, .flags = OCI_REQ),
	U64(struct oci_rlimit, hard, "hard", .flags = OCI_REQ),
	U64(struct oci_rlimit, soft, "soft", .flags = OCI_REQ),
	ROW_END
};
static TABLE(oci_rlimit);

static const struct oci_field oci_scheduler_fields[] = {
	WORD(struct oci_scheduler, policy, "policy", &names_sched_policies, .flags = OCI_REQ),
	OPT_I64(struct oci_scheduler, nice, "nice", NUMBERS(INT32_MIN, INT32_MAX)),
	OPT_I64(struct oci_scheduler, priority, "priority", NUMBERS(INT32_MIN, INT32_MAX)),
	WORDS(struct oci_scheduler, flags, "flags", &names_sched_flags),
	OPT_U64(struct oci_scheduler, runtime, "runtime"),
	OPT_U64(struct oci_scheduler, deadline, "deadline"),
	OPT_U64(struct oci_scheduler, period, "period"),
	ROW_END
};
static TABLE(oci_scheduler);

static const struct oci_field oci_io_priority_fields[] = {
	WORD(struct oci_io_priority, class, "class", &names_ioprio_classes, .flags = OCI_REQ),
	OPT_I64(struct oci_io_priority, priority, "priority", NUMBERS(INT32_MIN, INT32_MAX)),
	ROW_END
};
static TABLE(oci_io_priority);

static const struct oci_field oci_exec_cpu_affinity_fields[] = {
	STR(struct oci_exec_cpu_affinity, initial, "initial"),
	STR(struct oci_exec_cpu_affinity, final, "final"),
	ROW_END
};
static TABLE(oci_exec_cpu_affinity);

static const struct oci_field oci_process_fields[] = {
	OPT_BOOL(struct oci_process, terminal, "terminal"),
	PTR(struct oci_process, console_size, "consoleSize", oci_console_size),
	OBJ(struct oci_process, user, "user", oci_user),
	STRS(struct oci_process, args, "args"),
	STR(struct oci_process, command_line, "commandLine"),
	STRS(struct oci_process, env, "env"),
	STR(struct oci_process, cwd, "cwd", .flags = OCI_REQ),
	PTR(struct oci_process, capabilities, "capabilities", oci_capabilities),
	LIST(struct oci_process, rlimits, "rlimits", oci_rlimit),
	OPT_BOOL(struct oci_process, no_new_privileges, "noNewPrivileges"),
	STR(struct oci_process, apparmor_profile, "apparmorProfile"),
	OPT_I64(struct oci_process, oom_score_adj, "oomScoreAdj", NUMBERS(-1000, 1000)),
	STR(struct oci_process, selinux_label, "selinuxLabel"),
	PTR(struct oci_process, scheduler, "scheduler", oci_scheduler),
	PTR(struct oci_process, io_priority, "ioPriority", oci_io_priority),
	PTR(struct oci_process, exec_cpu_affinity, "execCPUAffinity", oci_exec_cpu_affinity),
	ROW_END
};
TABLE(oci_process);

/* ---- root, mounts, hooks ---- */

static const struct oci_field oci_root_fields[] = {
	STR(struct oci_root, path, "path", .flags = OCI_REQ),
	OPT_BOOL(struct oci_root, readonly, "readonly"),
	ROW_END
};
static TABLE(oci_root);

static const struct oci_field oci_idmap_fields[] = {
	U32(struct oci_idmap, container_id, "containerID", .flags = OCI_REQ),
	U32(struct oci_idmap, host_id, "hostID", .flags = OCI_REQ),
	U32(struct oci_idmap, size, "size", .flags = OCI_REQ),
	ROW_END
};
TABLE(oci_idmap);

static const struct oci_field oci_mount_fields[] = {
	STR(struct oci_mount, destination, "destination", .flags = OCI_REQ),
	STR(struct oci_mount, type, "type"),
	STR(struct oci_mount, source, "source"),
	STRS(struct oci_mount, options, "options"),
	LIST(struct oci_mount, uid_mappings, "uidMappings", oci_idmap),
	LIST(struct oci_mount, gid_mappings, "gidMappings", oci_idmap),
	ROW_END
};
static TABLE(oci_mount);

static const struct oci_field oci_hook_fields[] = {
	STR(struct oci_hook, path, "path", .flags = OCI_REQ),
	STRS(struct oci_hook, args, "args"),
	STRS(struct oci_hook, env, "env"),
	OPT_I64(struct oci_hook, timeout, "timeout"),
	ROW_END
};
static TABLE(oci_hook);

static const struct oci_field oci_hooks_fields[] = {
	LIST(struct oci_hooks, prestart, "prestart", oci_hook),
	LIST(struct oci_hooks, create_runtime, "createRuntime", oci_hook),
	LIST(struct oci_hooks, create_container, "createContainer", oci_hook),
	LIST(struct oci_hooks, start_container, "startContainer", oci_hook),
	LIST(struct oci_hooks, poststart, "poststart", oci_hook),
	LIST(struct oci_hooks, poststop, "poststop", oci_hook),
	ROW_END
};
static TABLE(oci_hooks);

static const struct oci_field oci_spec_fields[] = {
	STR(struct oci_spec, oci_version, "ociVersion", .flags = OCI_REQ),
	PTR(struct oci_spec, process, "process", oci_process),
	PTR(struct oci_spec, root, "root", oci_root),
	STR(struct oci_spec, hostname, "hostname"),
	STR(struct oci_spec, domainname, "domainname"),
	LIST(struct oci_spec, mounts, "mounts", oci_mount),
	PTR(struct oci_spec, hooks, "hooks", oci_hooks),
	MAP(struct oci_spec, annotations, "annotations"),
	PTR(struct oci_spec, linux, "linux", oci_linux),
	ROW_END
};
TABLE(oci_spec);

/* ---- whole documents ---- */

static int parse_into(const struct oci_type *type, const char *text, size_t len, const char *what, void *ret,
		      struct arena *a, struct err *e)
{
	struct json_node *tree;
	int r = json_parse(text, len, &tree, a, e);

	if (r == 0)
		r = decode(type, tree, ret, a, e);
	return r < 0 ? err_wrap(e, "%s", what) : 0;
}

int oci_spec_parse(const char *text, size_t len, const char *what, struct oci_spec *ret, struct arena *a,
		   struct err *e)
{
	return parse_into(&oci_spec_type, text, len, what, ret, a, e);
}

int oci_process_parse(const char *text, size_t len, const char *what, struct oci_process *ret, struct arena *a,
		      struct err *e)
{
	return parse_into(&oci_process_type, text, len, what, ret, a, e);
}

int oci_resources_parse(const char *text, size_t len, const char *what, struct oci_resources *ret, struct arena *a,
			struct err *e)
{
	return parse_into(&oci_resources_type, text, len, what, ret, a, e);
}

int oci_spec_load(int dirfd, const char *path, const char *what, struct oci_spec *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	int r = fs_read(dirfd, path, OCI_DOCUMENT_MAX, &text, e);

	if (r < 0)
		return r;
	return oci_spec_parse(text.s, text.len, what, ret, a, e);
}

/* ---- questions ---- */

const struct oci_namespace *oci_namespace(const struct oci_spec *spec, int64_t type)
{
	if (!spec->linux)
		return NULL;
	for (size_t i = 0; i < spec->linux->namespaces.n; i++)
		if (spec->linux->namespaces.v[i].type == type)
			return &spec->linux->namespaces.v[i];
	return NULL;
}

bool oci_namespace_new(const struct oci_spec *spec, int64_t type)
{
	const struct oci_namespace *ns = oci_namespace(spec, type);

	/* An empty path is what a Go program writes for an absent one. */
	return ns && (!ns->path || !*ns->path);
}

const char *oci_annotation(const struct oci_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (strcmp(spec->annotations.v[i].key, key) == 0)
			return spec->annotations.v[i].value;
	return NULL;
}
