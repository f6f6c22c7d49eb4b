// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/emit.h"
#include "oci/json.h"
#include "oci/names.h"
#include "oci/rows.h"
#include "oci/tables.h"

static const struct oci_field oci_seccomp_arg_fields[] = {
	U32(struct oci_seccomp_arg, index, "index", .flags = OCI_REQ),
	U64(struct oci_seccomp_arg, value, "value", .flags = OCI_REQ),
	OPT_U64(struct oci_seccomp_arg, value_two, "valueTwo"),
	WORD(struct oci_seccomp_arg, op, "op", &names_seccomp_ops, .flags = OCI_REQ),
	ROW_END
};
static TABLE(oci_seccomp_arg);

static const struct oci_field oci_seccomp_rule_fields[] = {
	STRS(struct oci_seccomp_rule, names, "names", .flags = OCI_REQ),
	WORD(struct oci_seccomp_rule, action, "action", &names_seccomp_actions, .flags = OCI_REQ),
	OPT_U64(struct oci_seccomp_rule, errno_ret, "errnoRet", NUMBERS(0, UINT32_MAX)),
	LIST(struct oci_seccomp_rule, args, "args", oci_seccomp_arg),
	ROW_END
};
static TABLE(oci_seccomp_rule);

/* `flags` decides by its mere presence whether the default (SPEC_ALLOW) is set, so an empty list is told from none
 * by a member of its own. */
static struct oci_seccomp *of_flags(const void *member)
{
	return (struct oci_seccomp *)((uintptr_t)member - offsetof(struct oci_seccomp, flags));
}

static int flags_decode(const struct json_node *node, void *member, struct arena *a, struct err *e)
{
	struct oci_ints *flags = member;
	size_t n = 0;

	if (node->kind != JSON_ARRAY)
		return err_set(e, ERR_CONFIG, 0, "expected array, got %s", json_kind_name(node->kind));
	for (const struct json_node *i = node->child; i; i = i->next)
		n++;
	flags->v = arena_alloc_n(a, n ? n : 1, sizeof *flags->v);
	if (!flags->v)
		return err_oom(e);
	for (const struct json_node *i = node->child; i; i = i->next) {
		if (i->kind != JSON_STRING)
			return err_set(e, ERR_CONFIG, 0, "/%zu: expected string, got %s", flags->n,
				       json_kind_name(i->kind));
		if (names_value(&names_seccomp_flags, i->text, &flags->v[flags->n]) < 0)
			return err_set(e, ERR_CONFIG, 0, "/%zu: unknown value '%.80s'", flags->n, i->text);
		flags->n++;
	}
	of_flags(member)->flags_set = true;
	return 0;
}

static void flags_emit(struct emit *out, const char *key, const void *member)
{
	const struct oci_ints *flags = member;

	emit_array(out, key);
	for (size_t i = 0; i < flags->n; i++)
		emit_string(out, NULL, names_word(&names_seccomp_flags, flags->v[i]));
	emit_array_end(out);
}

static bool flags_present(const void *member)
{
	return of_flags(member)->flags_set;
}

static const struct oci_custom flags = { flags_decode, flags_emit, flags_present };

static const struct oci_field oci_seccomp_fields[] = {
	WORD(struct oci_seccomp, default_action, "defaultAction", &names_seccomp_actions, .flags = OCI_REQ),
	OPT_U64(struct oci_seccomp, default_errno_ret, "defaultErrnoRet", NUMBERS(0, UINT32_MAX)),
	STRS(struct oci_seccomp, architectures, "architectures"),
	CUSTOM(struct oci_seccomp, flags, "flags", &flags),
	STR(struct oci_seccomp, listener_path, "listenerPath"),
	STR(struct oci_seccomp, listener_metadata, "listenerMetadata"),
	LIST(struct oci_seccomp, syscalls, "syscalls", oci_seccomp_rule),
	ROW_END
};
TABLE(oci_seccomp);
