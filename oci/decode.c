// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/emit.h"
#include "oci/json.h"
#include "oci/names.h"
#include "oci/walk.h"
#include "runtime/base/log.h"

struct ctx {
	struct arena *a;
	struct err *e;
};

static int decode_object(const struct oci_type *type, const struct json_node *node, unsigned char *out,
			 const struct walk_at *at, const struct ctx *c);

static int fail(const struct walk_at *at, const struct ctx *c, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(const struct walk_at *at, const struct ctx *c, const char *fmt, ...)
{
	char pointer[WALK_POINTER_MAX], words[ERR_TEXT_MAX - WALK_POINTER_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	walk_pointer(at, pointer, sizeof pointer);
	return err_set(c->e, ERR_CONFIG, 0, "%s%s%s", pointer, *pointer && words[0] != '/' ? ": " : "", words);
}

static int wrong_kind(const char *expected, const struct json_node *n, const struct walk_at *at, const struct ctx *c)
{
	return fail(at, c, "expected %s, got %s", expected, json_kind_name(n->kind));
}

static size_t count_children(const struct json_node *node)
{
	size_t n = 0;

	for (const struct json_node *i = node->child; i; i = i->next)
		n++;
	return n;
}

/* Room for the elements of `node`.  Never NULL but for lack of memory: an empty list is not an absent one. */
static void *alloc_elements(const struct json_node *node, size_t size, size_t more, const struct ctx *c)
{
	size_t n = count_children(node) + more;
	void *v = arena_alloc_n(c->a, n ? n : 1, size);

	if (!v)
		err_oom(c->e);
	return v;
}

static int number_range(const struct json_node *n, int64_t min, uint64_t max, const struct walk_at *at,
			const struct ctx *c)
{
	return fail(at, c, "%.40s is not in the range %lld to %llu", n->text, (long long)min, (unsigned long long)max);
}

static int number_check(const struct json_node *n, const struct walk_at *at, const struct ctx *c)
{
	if (n->kind != JSON_NUMBER)
		return wrong_kind("number", n, at, c);
	if (n->text[strspn(n->text, "-0123456789")])
		return fail(at, c, "expected an integer, got %.40s", n->text);
	return 0;
}

static int decode_u64(const struct json_node *n, uint64_t min, uint64_t max, uint64_t *ret, const struct walk_at *at,
		      const struct ctx *c)
{
	int r = number_check(n, at, c);

	if (r < 0)
		return r;
	if (num_u64(n->text, ret) < 0 || *ret < min || *ret > max)
		return number_range(n, (int64_t)min, max, at, c);
	return 0;
}

static int decode_i64(const struct json_node *n, int64_t min, uint64_t max, int64_t *ret, const struct walk_at *at,
		      const struct ctx *c)
{
	int r = number_check(n, at, c);

	if (r < 0)
		return r;
	if (num_i64(n->text, ret) < 0 || *ret < min || (*ret > 0 && (uint64_t)*ret > max))
		return number_range(n, min, max, at, c);
	return 0;
}

static int decode_row_u64(const struct oci_field *f, const struct json_node *n, uint64_t *ret,
			  const struct walk_at *at, const struct ctx *c)
{
	const uint64_t most = f->kind == OCI_U32 ? UINT32_MAX : UINT64_MAX;

	if (f->flags & OCI_RANGE)
		return decode_u64(n, f->min > 0 ? (uint64_t)f->min : 0, f->max, ret, at, c);
	return decode_u64(n, 0, most, ret, at, c);
}

static int decode_row_i64(const struct oci_field *f, const struct json_node *n, int64_t *ret,
			  const struct walk_at *at, const struct ctx *c)
{
	if (f->flags & OCI_RANGE)
		return decode_i64(n, f->min, f->max, ret, at, c);
	return decode_i64(n, INT64_MIN, INT64_MAX, ret, at, c);
}

static int decode_u32(const struct oci_field *f, const struct json_node *n, uint32_t *ret, const struct walk_at *at,
		      const struct ctx *c)
{
	uint64_t v = 0;
	int r = decode_row_u64(f, n, &v, at, c);

	*ret = (uint32_t)v;
	return r;
}

static int decode_bool(const struct json_node *n, bool *ret, const struct walk_at *at, const struct ctx *c)
{
	if (n->kind != JSON_BOOL)
		return wrong_kind("boolean", n, at, c);
	*ret = n->truth;
	return 0;
}

static int decode_str(const struct json_node *n, const char **ret, const struct walk_at *at, const struct ctx *c)
{
	if (n->kind != JSON_STRING)
		return wrong_kind("string", n, at, c);
	*ret = n->text;
	return 0;
}

static int decode_strs(const struct json_node *n, struct oci_strs *ret, const struct walk_at *at, const struct ctx *c)
{
	if (n->kind != JSON_ARRAY)
		return wrong_kind("array", n, at, c);
	ret->v = alloc_elements(n, sizeof *ret->v, 1, c);
	if (!ret->v)
		return err_ret(c->e);
	for (const struct json_node *i = n->child; i; i = i->next) {
		const struct walk_at here = { .up = at, .index = ret->n };
		int r = decode_str(i, &ret->v[ret->n++], &here, c);

		if (r < 0)
			return r;
	}
	return 0;
}

static int decode_u32s(const struct json_node *n, struct oci_u32s *ret, const struct walk_at *at, const struct ctx *c)
{
	if (n->kind != JSON_ARRAY)
		return wrong_kind("array", n, at, c);
	ret->v = alloc_elements(n, sizeof *ret->v, 0, c);
	if (!ret->v)
		return err_ret(c->e);
	for (const struct json_node *i = n->child; i; i = i->next) {
		const struct walk_at here = { .up = at, .index = ret->n };
		uint64_t v;
		int r = decode_u64(i, 0, UINT32_MAX, &v, &here, c);

		if (r < 0)
			return r;
		ret->v[ret->n++] = (uint32_t)v;
	}
	return 0;
}

static int decode_word(const struct oci_field *f, const struct json_node *n, int64_t *ret, const struct walk_at *at,
		       const struct ctx *c)
{
	if (n->kind != JSON_STRING)
		return wrong_kind("string", n, at, c);
	if (names_value(f->names, n->text, ret) < 0)
		return fail(at, c, "%s '%.80s'", f->names->invalid ? f->names->invalid : "unknown value", n->text);
	return 0;
}

static int decode_words(const struct oci_field *f, const struct json_node *n, struct oci_ints *ret,
			const struct walk_at *at, const struct ctx *c)
{
	if (n->kind != JSON_ARRAY)
		return wrong_kind("array", n, at, c);
	ret->v = alloc_elements(n, sizeof *ret->v, 0, c);
	if (!ret->v)
		return err_ret(c->e);
	for (const struct json_node *i = n->child; i; i = i->next) {
		const struct walk_at here = { .up = at, .index = ret->n };
		int r = decode_word(f, i, &ret->v[ret->n++], &here, c);

		if (r < 0)
			return r;
	}
	return 0;
}

static int decode_ptr(const struct oci_field *f, const struct json_node *n, void *member, const struct walk_at *at,
		      const struct ctx *c)
{
	unsigned char *object;
	int r;

	if (n->kind != JSON_OBJECT)
		return wrong_kind("object", n, at, c);
	object = arena_alloc(c->a, f->size);
	if (!object)
		return err_oom(c->e);
	r = decode_object(f->type, n, object, at, c);
	if (r < 0)
		return r;
	memcpy(member, &object, sizeof object);
	return 0;
}

static int decode_list(const struct oci_field *f, const struct json_node *n, void *member, const struct walk_at *at,
		       const struct ctx *c)
{
	struct walk_list list = { 0 };

	if (n->kind != JSON_ARRAY)
		return wrong_kind("array", n, at, c);
	list.v = alloc_elements(n, f->size, 0, c);
	if (!list.v)
		return err_ret(c->e);
	for (const struct json_node *i = n->child; i; i = i->next) {
		const struct walk_at here = { .up = at, .index = list.n };
		int r = decode_object(f->type, i, list.v + list.n++ * f->size, &here, c);

		if (r < 0)
			return r;
	}
	memcpy(member, &list, sizeof list);
	return 0;
}

/* ---- objects whose keys are data ---- */

static int compare_members(const void *a, const void *b)
{
	const struct json_node *const *x = a, *const *y = b;
	int r = strcmp((*x)->key, (*y)->key);

	return r ? r : (*x)->offset < (*y)->offset ? -1 : 1;
}

static int compare_places(const void *a, const void *b)
{
	const struct json_node *const *x = a, *const *y = b;

	return (*x)->offset < (*y)->offset ? -1 : 1;
}

/* The members that count: of equal keys the last, none that is null; in the document's order.  By sorting, since
 * the document is not trusted to be short. */
static int pick_members(const struct json_node *n, const struct json_node ***ret, size_t *ret_n, const struct ctx *c)
{
	const struct json_node **v = alloc_elements(n, sizeof *v, 0, c);
	size_t all = 0, kept = 0;

	if (!v)
		return err_ret(c->e);
	for (const struct json_node *i = n->child; i; i = i->next)
		v[all++] = i;
	qsort(v, all, sizeof *v, compare_members);
	for (size_t i = 0; i < all; i++) {
		if (i + 1 < all && strcmp(v[i]->key, v[i + 1]->key) == 0)
			log_debug("duplicate key '%s': the last one counts", v[i]->key);
		else if (v[i]->kind != JSON_NULL)
			v[kept++] = v[i];
	}
	qsort(v, kept, sizeof *v, compare_places);
	*ret = v;
	*ret_n = kept;
	return 0;
}

static int decode_map(const struct json_node *n, struct oci_map *ret, const struct walk_at *at, const struct ctx *c)
{
	const struct json_node **members;
	int r;

	if (n->kind != JSON_OBJECT)
		return wrong_kind("object", n, at, c);
	r = pick_members(n, &members, &ret->n, c);
	if (r < 0)
		return r;
	ret->v = arena_alloc_n(c->a, ret->n ? ret->n : 1, sizeof *ret->v);
	if (!ret->v)
		return err_oom(c->e);
	for (size_t i = 0; i < ret->n; i++) {
		const struct walk_at here = { .up = at, .key = members[i]->key };

		ret->v[i].key = members[i]->key;
		r = decode_str(members[i], &ret->v[i].value, &here, c);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct oci_field *key_row(const struct oci_type *type)
{
	const struct oci_field *f = type->fields;

	while (f->kind != OCI_END && !(f->flags & OCI_KEY))
		f++;
	return f;
}

static int decode_keyed(const struct oci_field *f, const struct json_node *n, void *member, const struct walk_at *at,
			const struct ctx *c)
{
	const size_t key_offset = key_row(f->type)->offset;
	const struct json_node **members;
	struct walk_list list = { 0 };
	int r;

	if (n->kind != JSON_OBJECT)
		return wrong_kind("object", n, at, c);
	r = pick_members(n, &members, &list.n, c);
	if (r < 0)
		return r;
	list.v = arena_alloc_n(c->a, list.n ? list.n : 1, f->size);
	if (!list.v)
		return err_oom(c->e);
	for (size_t i = 0; i < list.n; i++) {
		const struct walk_at here = { .up = at, .key = members[i]->key };
		unsigned char *element = list.v + i * f->size;

		r = decode_object(f->type, members[i], element, &here, c);
		if (r < 0)
			return r;
		memcpy(element + key_offset, &members[i]->key, sizeof members[i]->key);
	}
	memcpy(member, &list, sizeof list);
	return 0;
}

/* ---- rows ---- */

static int decode_custom(const struct oci_field *f, const struct json_node *n, void *member, const struct walk_at *at,
			 const struct ctx *c)
{
	struct err inner;
	int r = f->custom->decode(n, member, c->a, &inner);

	if (r >= 0)
		return 0;
	if (inner.kind == ERR_CONFIG)
		return fail(at, c, "%s", inner.text);
	*c->e = inner;
	return r;
}

static int decode_row(const struct oci_field *f, const struct json_node *n, unsigned char *out,
		      const struct walk_at *at, const struct ctx *c)
{
	void *m = out + f->offset;

	switch (f->kind) {
	case OCI_STR:
		return decode_str(n, m, at, c);
	case OCI_STRS:
		return decode_strs(n, m, at, c);
	case OCI_BOOL:
		return decode_bool(n, m, at, c);
	case OCI_OPT_BOOL:
		((struct opt_bool *)m)->set = true;
		return decode_bool(n, &((struct opt_bool *)m)->v, at, c);
	case OCI_I64:
		return decode_row_i64(f, n, m, at, c);
	case OCI_U64:
		return decode_row_u64(f, n, m, at, c);
	case OCI_U32:
		return decode_u32(f, n, m, at, c);
	case OCI_OPT_I64:
		((struct opt_i64 *)m)->set = true;
		return decode_row_i64(f, n, &((struct opt_i64 *)m)->v, at, c);
	case OCI_OPT_U64:
		((struct opt_u64 *)m)->set = true;
		return decode_row_u64(f, n, &((struct opt_u64 *)m)->v, at, c);
	case OCI_U32S:
		return decode_u32s(n, m, at, c);
	case OCI_WORD:
		return decode_word(f, n, m, at, c);
	case OCI_WORDS:
		return decode_words(f, n, m, at, c);
	case OCI_OBJ:
		return decode_object(f->type, n, m, at, c);
	case OCI_PTR:
		return decode_ptr(f, n, m, at, c);
	case OCI_LIST:
		return decode_list(f, n, m, at, c);
	case OCI_MAP:
		return decode_map(n, m, at, c);
	case OCI_KEYED:
		return decode_keyed(f, n, m, at, c);
	case OCI_CUSTOM:
		return decode_custom(f, n, m, at, c);
	case OCI_END:
		break;
	}
	return err_set(c->e, ERR_INTERNAL, 0, "%s: row of no kind", f->name);
}

static void name_ignored(const char *why, const char *key, const struct walk_at *at)
{
	char pointer[WALK_POINTER_MAX];
	const struct walk_at here = { .up = at, .key = key };

	if (log_debugging())
		log_debug("%s: %s", walk_pointer(&here, pointer, sizeof pointer), why);
}

/* Which node belongs to which row: of equal keys the last. */
static void match_rows(const struct oci_type *type, const struct json_node *node, const struct json_node **found,
		       const struct walk_at *at)
{
	for (const struct json_node *n = node->child; n; n = n->next) {
		const struct oci_field *f = type->fields;

		while (f->kind != OCI_END && (f->flags & OCI_KEY || strcmp(f->name, n->key) != 0))
			f++;
		if (f->kind == OCI_END) {
			name_ignored("ignored, this key is unknown", n->key, at);
			continue;
		}
		if (found[f - type->fields])
			name_ignored("this key is there twice, the last one counts", n->key, at);
		found[f - type->fields] = n;
	}
}

static int decode_absent(const struct oci_field *f, unsigned char *out, const struct walk_at *at, const struct ctx *c)
{
	if (f->flags & OCI_DEFAULT)
		memcpy(out + f->offset, &f->min, sizeof f->min);
	if (f->flags & OCI_REQ)
		return fail(at, c, "required, but missing");
	return 0;
}

static int decode_object(const struct oci_type *type, const struct json_node *node, unsigned char *out,
			 const struct walk_at *at, const struct ctx *c)
{
	const struct json_node *found[OCI_FIELDS_MAX] = { NULL };

	if (node->kind != JSON_OBJECT)
		return wrong_kind("object", node, at, c);
	memset(out, 0, type->size);
	match_rows(type, node, found, at);
	for (const struct oci_field *f = type->fields; f->kind != OCI_END; f++) {
		const struct json_node *n = found[f - type->fields];
		const struct walk_at here = { .up = at, .key = f->name };
		int r;

		if (f->flags & OCI_KEY)
			continue;
		if (!n || n->kind == JSON_NULL)
			r = decode_absent(f, out, &here, c);
		else
			r = decode_row(f, n, out, &here, c);
		if (r < 0)
			return r;
	}
	return 0;
}

int decode(const struct oci_type *type, const struct json_node *node, void *out, struct arena *a, struct err *e)
{
	const struct ctx c = { .a = a, .e = e };
	const struct walk_at top = { .up = NULL };

	return decode_object(type, node, out, &top, &c);
}
