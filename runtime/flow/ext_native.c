// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/ext.h"

#include <stdio.h>
#include <string.h>

#include "oci/emit.h"
#include "oci/json.h"
#include "runtime/cgroup/plan.h"

/* Keys that mean fields of linux.resources: both vocabularies, and what happens when they disagree.  Fields are compared as
 * JSON: so this file needs to know none of them. */

static int own_tree(const struct oci_resources *r, struct json_node **ret, struct arena *a, struct err *e)
{
	static const struct oci_resources nothing;
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	decode_emit(&oci_resources_type, r ? r : &nothing, &out);
	return str_failed(&text) ? err_oom(e) : json_parse(text.s, text.len, ret, a, e);
}

static int tree_of(const struct oci_resources *r, const struct json_node **ret, struct arena *a, struct err *e)
{
	struct json_node *tree;

	if (own_tree(r, &tree, a, e) < 0)
		return err_ret(e);
	*ret = tree;
	return 0;
}

/* The next of the row's fields: what follows it, or NULL when there is none. */
static const char *next_field(const char *rest, char *field, size_t size)
{
	size_t len = strcspn(rest, " ");

	if (len == 0)
		return NULL;
	snprintf(field, size, "%.*s", (int)len, rest);
	return rest + len + (rest[len] == ' ');
}

/* "cpu/quota" in the tree, NULL when it is not set.  Only the first "/" separates: keys of `unified` are file names. */
static const struct json_node *node_of(const struct json_node *tree, const char *field)
{
	char object[64];
	const struct json_node *node;

	snprintf(object, sizeof object, "%.*s", (int)strcspn(field, "/"), field);
	node = json_get(tree, object);
	return node && node->kind == JSON_OBJECT ? json_get(node, strchr(field, '/') + 1) : NULL;
}

/* NULL for lists as well. */
static const char *value_of(const struct json_node *tree, const char *field)
{
	const struct json_node *node = node_of(tree, field);

	return node ? node->text : NULL;
}

#define EACH_FIELD(p, row, field)                                                                        \
	for (const char *p = (row)->native ? next_field((row)->native, field, sizeof field) : NULL; p; \
	     p = next_field(p, field, sizeof field))

int ext_native_text(const struct ext_row *row, const struct oci_resources *r, struct str *out, struct arena *a,
		    struct err *e)
{
	const struct json_node *tree;
	char field[64];

	if (!row->native)
		return 0;
	if (tree_of(r, &tree, a, e) < 0)
		return err_ret(e);
	EACH_FIELD (p, row, field) {
		const struct json_node *node = node_of(tree, field);

		if (!node)
			continue;
		str_addf(out, "%s%s=%s", out->len ? " " : "", field, node->text ? node->text : "");
		if (!node->text)
			emit_node(&(struct emit){ .out = out }, NULL, node);
	}
	return str_failed(out) ? err_oom(e) : 0;
}

/* ---- creation ---- */

static struct ext_env env_for(const struct ext_env *env, const struct ext_use *u)
{
	struct ext_env own = *env;

	own.saved = u->saved;
	return own;
}

int ext_validate(const struct ext_uses *uses, const struct ext_env *env, struct err *e)
{
	for (size_t i = 0; i < uses->n; i++) {
		const struct ext_use *u = &uses->v[i];
		struct ext_env own = env_for(env, u);

		if (u->ext->validate && u->ext->validate(&own, u->config, e) < 0)
			return err_ret(e);
	}
	return 0;
}

int ext_native(const struct ext_uses *uses, const struct ext_env *env, struct oci_resources *changes, struct err *e)
{
	*changes = (struct oci_resources){ 0 };
	for (size_t i = 0; i < uses->n; i++) {
		const struct ext_use *u = &uses->v[i];
		struct ext_env own = env_for(env, u);
		struct oci_resources one = { 0 };

		if (!u->ext->native)
			continue;
		if (u->ext->native(&own, u->config, &one, e) < 0 || cg_merge(changes, &one, changes, env->arena, e) < 0)
			return err_ret(e);
	}
	return 0;
}

static bool is_set(const struct ext_row *row, void *config)
{
	cleanup_str struct str text = { 0 };

	ext_print(row, config, &text);
	return text.len > 0;
}

static int row_conflict(const struct ext_row *row, const struct json_node *has, const struct json_node *wants,
			struct err *e)
{
	char field[64];

	EACH_FIELD (p, row, field) {
		const char *theirs = value_of(has, field), *ours = value_of(wants, field);

		if (theirs && ours && strcmp(theirs, ours) != 0)
			return err_set(e, ERR_CONFIG, 0,
				       "/annotations/" EXT_PREFIX "%s: means %s for /linux/resources/%s, where the document has "
				       "%s (leave one of the two out)", row->name, ours, field, theirs);
	}
	return 0;
}

static int conflict(const struct ext_uses *uses, const struct oci_resources *has, const struct oci_resources *wants,
		    struct arena *a, struct err *e)
{
	const struct json_node *theirs, *ours;

	if (tree_of(has, &theirs, a, e) < 0 || tree_of(wants, &ours, a, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < uses->n; i++)
		for (const struct ext_row *row = uses->v[i].ext->rows; row->name; row++)
			if (is_set(row, uses->v[i].config) && row_conflict(row, theirs, ours, e) < 0)
				return err_ret(e);
	return 0;
}

static int merge_native(const struct ext_uses *uses, struct ext_env *env, struct err *e)
{
	struct oci_linux *linux = env->spec->linux;
	struct oci_resources wants, *merged = arena_new(env->arena, struct oci_resources);

	if (!merged)
		return err_oom(e);
	if (ext_native(uses, env, &wants, e) < 0 ||
	    (!env->again && conflict(uses, linux->resources, &wants, env->arena, e) < 0) ||
	    cg_merge(linux->resources, &wants, merged, env->arena, e) < 0)
		return err_ret(e);
	/* In place: the cgroup, which is chosen already, knows the object. */
	*linux->resources = *merged;
	return 0;
}

int ext_prepare(const struct ext_uses *uses, struct ext_env *env, struct err *e)
{
	env->resources = env->spec->linux->resources;
	if (ext_validate(uses, env, e) < 0 || merge_native(uses, env, e) < 0)
		return err_ret(e);
	return ext_run(uses, EXT_PREPARE, env, e);
}

/* ---- what is shown ---- */

static bool same(const struct json_node *x, const struct json_node *y)
{
	const struct json_node *a = x->child, *b = y->child;

	if (x->kind != y->kind || !str_eq(x->text, y->text) || !str_eq(x->key, y->key) || x->truth != y->truth)
		return false;
	while (a && b && same(a, b)) {
		a = a->next;
		b = b->next;
	}
	return !a && !b;
}

static bool has_element(const struct json_node *list, const struct json_node *element)
{
	for (const struct json_node *p = list ? list->child : NULL; p; p = p->next)
		if (same(p, element))
			return true;
	return false;
}

/* Others may have put more into a list. */
static bool list_holds(const struct json_node *has, const struct json_node *wants)
{
	for (const struct json_node *p = wants->child; p; p = p->next)
		if (!has_element(has, p))
			return false;
	return true;
}

/* Whether the fields that the setting means are as it means them. */
static bool row_holds(const struct ext_row *row, const struct json_node *has, const struct json_node *wants)
{
	char field[64];

	EACH_FIELD (p, row, field) {
		const struct json_node *ours = node_of(wants, field), *theirs = node_of(has, field);

		if (ours && (ours->kind == JSON_ARRAY ? !list_holds(theirs, ours) : !theirs || !str_eq(ours->text, theirs->text)))
			return false;
	}
	return true;
}

static void drop(struct oci_map *map, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < map->n; i++)
		if (!str_starts(map->v[i].key, EXT_PREFIX) || strcmp(map->v[i].key + sizeof EXT_PREFIX - 1, name) != 0)
			map->v[n++] = map->v[i];
	map->n = n;
}

static int drop_stale(const struct ext_use *u, const struct ext_env *env, const struct json_node *has, struct oci_map *map,
		      struct err *e)
{
	struct ext_env own = env_for(env, u);
	struct oci_resources wants = { 0 };
	const struct json_node *ours;

	if (u->ext->native(&own, u->config, &wants, e) < 0 || tree_of(&wants, &ours, env->arena, e) < 0)
		return err_ret(e);
	for (const struct ext_row *row = u->ext->rows; row->name; row++)
		if (is_set(row, u->config) && !row_holds(row, has, ours))
			drop(map, row->name);
	return 0;
}

int ext_present(const struct oci_map *annotations, const struct ext_env *env, struct oci_map *ret, struct err *e)
{
	static const struct oci_state_exts no_saved;
	struct oci_map map = { arena_alloc_n(env->arena, annotations->n + 1, sizeof *map.v), annotations->n };
	const struct json_node *has;
	struct ext_uses uses;

	if (!map.v)
		return err_oom(e);
	if (map.n)
		memcpy(map.v, annotations->v, map.n * sizeof *map.v);
	if (ext_read(annotations, env->kept ? env->kept : &no_saved, false, &uses, env->arena, e) < 0 ||
	    (uses.n && tree_of(env->resources, &has, env->arena, e) < 0))
		return err_ret(e);
	for (size_t i = 0; i < uses.n; i++)
		if (uses.v[i].ext->native && drop_stale(&uses.v[i], env, has, &map, e) < 0)
			return err_ret(e);
	*ret = map;
	return 0;
}

static int show_derived(const struct ext *ext, const struct ext_env *env, struct oci_map *map, struct err *e)
{
	void *config = arena_alloc(env->arena, ext->config_size);

	if (!config)
		return err_oom(e);
	ext->derive(env, env->resources, config);
	for (const struct ext_row *row = ext->rows; row->name; row++) {
		cleanup_str struct str text = { 0 };

		if (!row->native || ext_setting(map, row->name))
			continue;
		ext_print(row, config, &text);
		if (text.len && ext_put_setting(map, row->name, str_cstr(&text), env->arena, e) < 0)
			return err_ret(e);
	}
	return 0;
}

int ext_shown(const struct oci_map *annotations, const struct ext_env *env, struct oci_map *ret, struct err *e)
{
	const struct ext *const *list = ext_registry();

	if (ext_present(annotations, env, ret, e) < 0)
		return err_ret(e);
	for (size_t i = 0; env->resources && list[i]; i++)
		if (list[i]->derive && show_derived(list[i], env, ret, e) < 0)
			return err_ret(e);
	return 0;
}

/* ---- a further life ---- */

static struct json_node *member_of(const struct json_node *object, const char *key)
{
	for (struct json_node *p = object ? object->child : NULL; p; p = p->next)
		if (str_eq(p->key, key))
			return p;
	return NULL;
}

static void drop_elements(struct json_node *list, const struct json_node *ours)
{
	struct json_node **p = &list->child;

	while (*p)
		if (has_element(ours, *p))
			*p = (*p)->next;
		else
			p = &(*p)->next;
}

/* Only lists: a number is replaced by what its setting means then, and a list only by element. */
static void drop_lists(const struct ext_row *row, const struct json_node *has, const struct json_node *wants)
{
	char field[64];

	EACH_FIELD (p, row, field) {
		const struct json_node *ours = node_of(wants, field);
		char *key = strchr(field, '/');
		struct json_node *theirs;

		if (!ours || ours->kind != JSON_ARRAY)
			continue;
		*key++ = '\0';
		theirs = member_of(member_of(has, field), key);
		if (theirs)
			drop_elements(theirs, ours);
	}
}

int ext_without_elements(const struct ext_uses *uses, const struct ext_env *env, struct oci_resources *ret, struct err *e)
{
	struct oci_resources wants;
	const struct json_node *ours;
	struct json_node *has;

	if (own_tree(env->resources, &has, env->arena, e) < 0 || ext_native(uses, env, &wants, e) < 0 ||
	    tree_of(&wants, &ours, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < uses->n; i++)
		for (const struct ext_row *row = uses->v[i].ext->rows; row->name; row++)
			if (is_set(row, uses->v[i].config))
				drop_lists(row, has, ours);
	*ret = (struct oci_resources){ 0 };
	return decode(&oci_resources_type, has, ret, env->arena, e);
}
