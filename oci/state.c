// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/state.h"

#include <string.h>

#include "oci/emit.h"
#include "oci/json.h"
#include "oci/names.h"
#include "oci/rows.h"

/* Go's zero time: its JSON reader, which every caller has, refuses an empty one. */
#define NO_TIME "0001-01-01T00:00:00Z"

static const struct oci_name status_list[] = {
	{ "creating", OCI_CREATING }, { "created", OCI_CREATED }, { "running", OCI_RUNNING },
	{ "paused", OCI_PAUSED },     { "stopped", OCI_STOPPED }, { NULL, 0 },
};
static const struct oci_names statuses = { .v = status_list };

const char *oci_status_name(int64_t status)
{
	const char *word = names_word(&statuses, status);

	return word ? word : "unknown";
}

/* A word of a newer vzrun is taken for running: whether it does is then asked of the process itself. */
static int status_decode(const struct json_node *node, void *member, struct arena *a, struct err *e)
{
	int64_t *status = member;

	(void)a;
	if (node->kind != JSON_STRING)
		return err_set(e, ERR_CONFIG, 0, "expected string, got %s", json_kind_name(node->kind));
	if (names_value(&statuses, node->text, status) < 0)
		*status = OCI_RUNNING;
	return 0;
}

static void status_emit(struct emit *out, const char *key, const void *member)
{
	emit_string(out, key, oci_status_name(*(const int64_t *)member));
}

static bool status_present(const void *member)
{
	(void)member;
	return true;
}

static const struct oci_custom status_word = { status_decode, status_emit, status_present };

/* ---- what extensions keep: any JSON, carried as its text ---- */

static struct oci_state_ext *ext_slot(struct oci_state_exts *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].name, name) == 0)
			return &list->v[i];
	list->v[list->n].name = name;
	return &list->v[list->n++];
}

static const char *node_text(const struct json_node *node, struct arena *a)
{
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	emit_node(&out, NULL, node);
	return str_failed(&text) ? NULL : arena_strndup(a, text.s, text.len);
}

static int exts_decode(const struct json_node *node, void *member, struct arena *a, struct err *e)
{
	struct oci_state_exts *list = member;
	size_t n = 1;

	if (node->kind != JSON_OBJECT)
		return err_set(e, ERR_CONFIG, 0, "expected object, got %s", json_kind_name(node->kind));
	for (const struct json_node *i = node->child; i; i = i->next)
		n++;
	list->v = arena_alloc_n(a, n, sizeof *list->v);
	if (!list->v)
		return err_oom(e);
	for (const struct json_node *i = node->child; i; i = i->next) {
		struct oci_state_ext *ext;

		if (i->kind == JSON_NULL)
			continue;
		ext = ext_slot(list, i->key);
		ext->json = node_text(i, a);
		if (!ext->json)
			return err_oom(e);
	}
	return 0;
}

static void exts_emit(struct emit *out, const char *key, const void *member)
{
	const struct oci_state_exts *list = member;

	emit_object(out, key);
	for (size_t i = 0; i < list->n; i++)
		emit_raw(out, list->v[i].name, list->v[i].json);
	emit_object_end(out);
}

static bool exts_present(const void *member)
{
	return ((const struct oci_state_exts *)member)->n > 0;
}

const struct oci_custom oci_state_exts_member = { exts_decode, exts_emit, exts_present };

/* ---- tables ---- */

static const struct oci_field cg_saved_fields[] = {
	STR(struct cg_saved, controllers, "controllers"),
	STR(struct cg_saved, dir, "dir", .flags = OCI_REQ),
	BOOL(struct cg_saved, v2, "v2"),
	BOOL(struct cg_saved, made, "made"),
	ROW_END
};
static TABLE(cg_saved);

static const struct oci_field oci_state_exit_fields[] = {
	I64(struct oci_state_exit, status, "status", .flags = OCI_REQ),
	STR(struct oci_state_exit, signal, "signal"),
	BOOL(struct oci_state_exit, oom_killed, "oomKilled"),
	STR(struct oci_state_exit, reboot, "reboot"),
	ROW_END
};
static TABLE(oci_state_exit);

static const struct oci_field oci_state_rdt_fields[] = {
	STR(struct oci_state_rdt, clos_id, "closID"),
	BOOL(struct oci_state_rdt, made_clos, "madeClos"),
	BOOL(struct oci_state_rdt, made_mon, "madeMon"),
	ROW_END
};
static TABLE(oci_state_rdt);

static const struct oci_field oci_state_migration_fields[] = {
	BOOL(struct oci_state_migration, undecided, "undecided"),
	BOOL(struct oci_state_migration, switched, "switched"),
	I64(struct oci_state_migration, pid, "pid", NUMBERS(0, INT32_MAX)),
	U64(struct oci_state_migration, start_time, "startTime"),
	STR(struct oci_state_migration, work, "work"),
	STR(struct oci_state_migration, token, "token", .flags = OCI_REQ),
	STR(struct oci_state_migration, host, "host", .flags = OCI_REQ),
	STR(struct oci_state_migration, id, "id", .flags = OCI_REQ),
	STR(struct oci_state_migration, machine, "machine"),
	STR(struct oci_state_migration, root, "root"),
	STRS(struct oci_state_migration, command, "command"),
	BOOL(struct oci_state_migration, remove, "remove"),
	BOOL(struct oci_state_migration, shared, "shared"),
	ROW_END
};
static TABLE(oci_state_migration);

static const struct oci_field oci_state_fields[] = {
	I64(struct oci_state, version, "version", .flags = OCI_REQ | OCI_RANGE, .min = 1, .max = INT32_MAX),
	STR(struct oci_state, id, "id", .flags = OCI_REQ),
	CUSTOM(struct oci_state, status, "status", &status_word),
	I64(struct oci_state, pid, "pid", NUMBERS(0, INT32_MAX)),
	U64(struct oci_state, start_time, "startTime"),
	STR(struct oci_state, oci_version, "ociVersion"),
	STR(struct oci_state, bundle, "bundle"),
	STR(struct oci_state, rootfs, "rootfs"),
	STR(struct oci_state, created, "created"),
	STR(struct oci_state, owner, "owner"),
	MAP(struct oci_state, annotations, "annotations"),
	STR(struct oci_state, cgroup_driver, "cgroupDriver"),
	STR(struct oci_state, systemd_unit, "systemdUnit"),
	BOOL(struct oci_state, systemd_user, "systemdUser"),
	LIST(struct oci_state, cgroups, "cgroups", cg_saved),
	PTR(struct oci_state, resources, "resources", oci_resources),
	PTR(struct oci_state, intel_rdt, "intelRdt", oci_state_rdt),
	BOOL(struct oci_state, no_new_keyring, "noNewKeyring"),
	BOOL(struct oci_state, private_pid_ns, "privatePidNs"),
	BOOL(struct oci_state, has_poststart, "hasPoststart"),
	BOOL(struct oci_state, has_poststop, "hasPoststop"),
	STRS(struct oci_state, streams, "streams"),
	STR(struct oci_state, config, "config"),
	CUSTOM(struct oci_state, extensions, "extensions", &oci_state_exts_member),
	PTR(struct oci_state, exit, "exit", oci_state_exit),
	PTR(struct oci_state, migration, "migration", oci_state_migration),
	ROW_END
};
TABLE(oci_state);

int oci_state_parse(const char *text, size_t len, const char *what, struct oci_state *ret, struct arena *a,
		    struct err *e)
{
	struct json_node *tree;
	int r = json_parse(text, len, &tree, a, e);

	if (r == 0)
		r = decode(&oci_state_type, tree, ret, a, e);
	return r < 0 ? err_wrap(e, "%s", what) : 0;
}

/* ---- what others are told ---- */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void add_annotations(const struct oci_state *s, struct emit *out)
{
	if (s->annotations.n == 0)
		return;
	emit_object(out, "annotations");
	for (size_t i = 0; i < s->annotations.n; i++)
		emit_string(out, s->annotations.v[i].key, s->annotations.v[i].value);
	emit_object_end(out);
}

/* Limits; the rules of devices, which every engine writes by the dozen, are in the document. */
static void add_limits(const struct oci_resources *r, struct emit *out)
{
	struct oci_resources limits = *r;

	limits.devices = (struct oci_device_rules){ 0 };
	if (r->memory || r->cpu || r->pids || r->block_io || r->hugepage_limits.n || r->network || r->rdma.n || r->unified.n)
		decode_emit_key(&oci_resources_type, "resources", &limits, out);
}

void oci_state_print(const struct oci_state *s, int64_t status, int64_t pid, unsigned indent, struct str *out)
{
	struct emit e = { .out = out, .indent = indent };

	emit_object(&e, NULL);
	emit_string(&e, "ociVersion", or_empty(s->oci_version));
	emit_string(&e, "id", or_empty(s->id));
	emit_i64(&e, "pid", status == OCI_STOPPED ? 0 : pid);
	emit_string(&e, "status", oci_status_name(status));
	emit_string(&e, "bundle", or_empty(s->bundle));
	emit_string(&e, "rootfs", or_empty(s->rootfs));
	emit_string(&e, "created", s->created ? s->created : NO_TIME);
	add_annotations(s, &e);
	emit_string(&e, "owner", or_empty(s->owner));
	if (s->settings.n) {
		emit_object(&e, "settings");
		for (size_t i = 0; i < s->settings.n; i++)
			emit_string(&e, s->settings.v[i].key, s->settings.v[i].value);
		emit_object_end(&e);
	}
	if (s->resources)
		add_limits(s->resources, &e);
	if (status == OCI_STOPPED && s->exit)
		decode_emit_key(&oci_state_exit_type, "exit", s->exit, &e);
	if (s->migration)
		decode_emit_key(&oci_state_migration_type, "migration", s->migration, &e);
	emit_object_end(&e);
}

static void add_state(const struct oci_state *s, const char *key, const char *status, int64_t pid, struct emit *out)
{
	emit_object(out, key);
	emit_string(out, "ociVersion", or_empty(s->oci_version));
	emit_string(out, "id", or_empty(s->id));
	emit_string(out, "status", status);
	if (pid > 0)
		emit_i64(out, "pid", pid);
	emit_string(out, "bundle", or_empty(s->bundle));
	add_annotations(s, out);
	emit_object_end(out);
}

void oci_state_hook(const struct oci_state *s, const char *status, int64_t pid, struct str *out)
{
	struct emit e = { .out = out };

	add_state(s, NULL, status, pid, &e);
}

void oci_state_seccomp(const struct oci_state *s, const char *status, int64_t init_pid, int64_t pid,
		       const char *metadata, struct str *out)
{
	struct emit e = { .out = out };

	emit_object(&e, NULL);
	emit_string(&e, "ociVersion", or_empty(s->oci_version));
	emit_array(&e, "fds");
	emit_string(&e, NULL, "seccompFd");
	emit_array_end(&e);
	emit_i64(&e, "pid", pid);
	if (metadata && *metadata)
		emit_string(&e, "metadata", metadata);
	add_state(s, "state", status, init_pid, &e);
	emit_object_end(&e);
}
