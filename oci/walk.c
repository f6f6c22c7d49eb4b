// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/walk.h"

#include <stdio.h>
#include <string.h>

#include "oci/emit.h"
#include "oci/names.h"

struct room {
	char *at;
	size_t left; /* without the final NUL */
};

static void put(struct room *r, char c)
{
	if (r->left == 0)
		return;
	*r->at++ = c;
	r->left--;
}

static void put_key(struct room *r, const char *key)
{
	for (; *key; key++) {
		if (*key == '~' || *key == '/') {
			put(r, '~');
			put(r, *key == '~' ? '0' : '1');
		} else {
			put(r, (unsigned char)*key < 0x20 || *key == 0x7f ? '?' : *key);
		}
	}
}

static void put_at(struct room *r, const struct walk_at *at)
{
	char digits[24];

	if (!at->up)
		return;
	put_at(r, at->up);
	put(r, '/');
	if (!at->key)
		snprintf(digits, sizeof digits, "%zu", at->index);
	put_key(r, at->key ? at->key : digits);
}

char *walk_pointer(const struct walk_at *at, char *buf, size_t size)
{
	struct room r = { .at = buf, .left = size - 1 };

	put_at(&r, at);
	*r.at = '\0';
	return buf;
}

/* Through memcpy, because the real member's type is another one. */
struct walk_list walk_list(const void *member)
{
	struct walk_list list;

	memcpy(&list, member, sizeof list);
	return list;
}

const void *walk_ptr(const void *member)
{
	const void *p;

	memcpy(&p, member, sizeof p);
	return p;
}

bool walk_present(const struct oci_field *f, const void *object)
{
	const void *m = (const unsigned char *)object + f->offset;

	switch (f->kind) {
	case OCI_BOOL:
	case OCI_I64:
	case OCI_U64:
	case OCI_U32:
	case OCI_WORD:
	case OCI_OBJ:
		return true;
	case OCI_STR:
	case OCI_PTR:
		return walk_ptr(m) != NULL;
	case OCI_OPT_BOOL:
		return ((const struct opt_bool *)m)->set;
	case OCI_OPT_I64:
		return ((const struct opt_i64 *)m)->set;
	case OCI_OPT_U64:
		return ((const struct opt_u64 *)m)->set;
	case OCI_STRS:
	case OCI_U32S:
	case OCI_WORDS:
	case OCI_LIST:
	case OCI_MAP:
	case OCI_KEYED:
		return walk_list(m).v != NULL;
	case OCI_CUSTOM:
		return f->custom->present(m);
	case OCI_END:
		break;
	}
	return false;
}

/* ---- emit ---- */

static void emit_word(const struct oci_field *f, const char *key, int64_t value, struct emit *out)
{
	const char *word = names_word(f->names, value);

	/* No word: the value did not come from a document.  A reader must not take it for another one. */
	emit_string(out, key, word ? word : "?");
}

static void emit_strs(const char *key, const struct oci_strs *s, struct emit *out)
{
	emit_array(out, key);
	for (size_t i = 0; i < s->n; i++)
		emit_string(out, NULL, s->v[i]);
	emit_array_end(out);
}

static void emit_u32s(const char *key, const struct oci_u32s *s, struct emit *out)
{
	emit_array(out, key);
	for (size_t i = 0; i < s->n; i++)
		emit_u64(out, NULL, s->v[i]);
	emit_array_end(out);
}

static void emit_words(const struct oci_field *f, const struct oci_ints *s, struct emit *out)
{
	emit_array(out, f->name);
	for (size_t i = 0; i < s->n; i++)
		emit_word(f, NULL, s->v[i], out);
	emit_array_end(out);
}

static void emit_list(const struct oci_field *f, struct walk_list list, struct emit *out)
{
	emit_array(out, f->name);
	for (size_t i = 0; i < list.n; i++)
		decode_emit(f->type, list.v + i * f->size, out);
	emit_array_end(out);
}

static size_t key_offset(const struct oci_type *type)
{
	const struct oci_field *f = type->fields;

	while (f->kind != OCI_END && !(f->flags & OCI_KEY))
		f++;
	return f->offset;
}

static void emit_keyed(const struct oci_field *f, struct walk_list list, struct emit *out)
{
	const size_t offset = key_offset(f->type);

	emit_object(out, f->name);
	for (size_t i = 0; i < list.n; i++) {
		const unsigned char *element = list.v + i * f->size;

		decode_emit_key(f->type, walk_ptr(element + offset), element, out);
	}
	emit_object_end(out);
}

static void emit_map(const char *key, const struct oci_map *map, struct emit *out)
{
	emit_object(out, key);
	for (size_t i = 0; i < map->n; i++)
		emit_string(out, map->v[i].key, map->v[i].value);
	emit_object_end(out);
}

static void emit_row(const struct oci_field *f, const void *m, struct emit *out)
{
	switch (f->kind) {
	case OCI_STR:
		emit_string(out, f->name, walk_ptr(m));
		return;
	case OCI_STRS:
		emit_strs(f->name, m, out);
		return;
	case OCI_BOOL:
		emit_bool(out, f->name, *(const bool *)m);
		return;
	case OCI_OPT_BOOL:
		emit_bool(out, f->name, ((const struct opt_bool *)m)->v);
		return;
	case OCI_I64:
		emit_i64(out, f->name, *(const int64_t *)m);
		return;
	case OCI_U64:
		emit_u64(out, f->name, *(const uint64_t *)m);
		return;
	case OCI_U32:
		emit_u64(out, f->name, *(const uint32_t *)m);
		return;
	case OCI_OPT_I64:
		emit_i64(out, f->name, ((const struct opt_i64 *)m)->v);
		return;
	case OCI_OPT_U64:
		emit_u64(out, f->name, ((const struct opt_u64 *)m)->v);
		return;
	case OCI_U32S:
		emit_u32s(f->name, m, out);
		return;
	case OCI_WORD:
		emit_word(f, f->name, *(const int64_t *)m, out);
		return;
	case OCI_WORDS:
		emit_words(f, m, out);
		return;
	case OCI_OBJ:
		decode_emit_key(f->type, f->name, m, out);
		return;
	case OCI_PTR:
		decode_emit_key(f->type, f->name, walk_ptr(m), out);
		return;
	case OCI_LIST:
		emit_list(f, walk_list(m), out);
		return;
	case OCI_MAP:
		emit_map(f->name, m, out);
		return;
	case OCI_KEYED:
		emit_keyed(f, walk_list(m), out);
		return;
	case OCI_CUSTOM:
		f->custom->emit(out, f->name, m);
		return;
	case OCI_END:
		return;
	}
}

void decode_emit_key(const struct oci_type *type, const char *key, const void *object, struct emit *out)
{
	emit_object(out, key);
	for (const struct oci_field *f = type->fields; f->kind != OCI_END; f++)
		if (!(f->flags & OCI_KEY) && walk_present(f, object))
			emit_row(f, (const unsigned char *)object + f->offset, out);
	emit_object_end(out);
}

void decode_emit(const struct oci_type *type, const void *object, struct emit *out)
{
	decode_emit_key(type, NULL, object, out);
}

/* ---- compare ---- */

struct finding {
	struct arena *a;
	const char *pointer;
};

static bool differs(const struct oci_type *type, const unsigned char *x, const unsigned char *y,
		    const struct walk_at *at, struct finding *f);

/* Always true: the caller returns it. */
static bool found(struct finding *f, const struct walk_at *at)
{
	char pointer[WALK_POINTER_MAX];

	f->pointer = arena_strdup(f->a, walk_pointer(at, pointer, sizeof pointer));
	if (!f->pointer)
		f->pointer = "/"; /* out of memory is still a difference */
	return true;
}

static bool differs_strs(const struct oci_strs *x, const struct oci_strs *y, const struct walk_at *at,
			 struct finding *f)
{
	for (size_t i = 0; i < x->n && i < y->n; i++) {
		const struct walk_at here = { .up = at, .index = i };

		if (strcmp(x->v[i], y->v[i]) != 0)
			return found(f, &here);
	}
	return x->n != y->n && found(f, at);
}

static bool differs_list(const struct oci_field *row, struct walk_list x, struct walk_list y, const struct walk_at *at,
			 struct finding *f)
{
	for (size_t i = 0; i < x.n && i < y.n; i++) {
		const struct walk_at here = { .up = at, .index = i };

		if (differs(row->type, x.v + i * row->size, y.v + i * row->size, &here, f))
			return true;
	}
	return x.n != y.n && found(f, at);
}

static const unsigned char *element_of(const struct oci_field *row, struct walk_list list, const char *key)
{
	for (size_t i = 0; i < list.n; i++) {
		const unsigned char *element = list.v + i * row->size;

		if (strcmp(walk_ptr(element + key_offset(row->type)), key) == 0)
			return element;
	}
	return NULL;
}

/* The order of an object's members means nothing. */
static bool differs_keyed(const struct oci_field *row, struct walk_list x, struct walk_list y,
			  const struct walk_at *at, struct finding *f)
{
	for (size_t i = 0; i < x.n; i++) {
		const unsigned char *mine = x.v + i * row->size, *other;
		const struct walk_at here = { .up = at, .key = walk_ptr(mine + key_offset(row->type)) };

		other = element_of(row, y, here.key);
		if (!other)
			return found(f, &here);
		if (differs(row->type, mine, other, &here, f))
			return true;
	}
	return x.n != y.n && found(f, at);
}

static const char *value_of(const struct oci_map *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->v[i].key, key) == 0)
			return map->v[i].value;
	return NULL;
}

static bool differs_map(const struct oci_map *x, const struct oci_map *y, const struct walk_at *at, struct finding *f)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct walk_at here = { .up = at, .key = x->v[i].key };

		if (!str_eq(x->v[i].value, value_of(y, x->v[i].key)))
			return found(f, &here);
	}
	return x->n != y->n && found(f, at);
}

static bool differs_custom(const struct oci_field *row, const void *x, const void *y, const struct walk_at *at,
			   struct finding *f)
{
	cleanup_str struct str a = { 0 }, b = { 0 };
	struct emit ea = { .out = &a }, eb = { .out = &b };

	row->custom->emit(&ea, row->name, x);
	row->custom->emit(&eb, row->name, y);
	return (str_failed(&a) || str_failed(&b) || strcmp(str_cstr(&a), str_cstr(&b)) != 0) && found(f, at);
}

static bool differs_row(const struct oci_field *row, const void *x, const void *y, const struct walk_at *at,
			struct finding *f)
{
	switch (row->kind) {
	case OCI_STR:
		return strcmp(walk_ptr(x), walk_ptr(y)) != 0 && found(f, at);
	case OCI_STRS:
		return differs_strs(x, y, at, f);
	case OCI_BOOL:
		return *(const bool *)x != *(const bool *)y && found(f, at);
	case OCI_OPT_BOOL:
		return ((const struct opt_bool *)x)->v != ((const struct opt_bool *)y)->v && found(f, at);
	case OCI_I64:
	case OCI_WORD:
	case OCI_OPT_I64: /* the value comes first */
		return *(const int64_t *)x != *(const int64_t *)y && found(f, at);
	case OCI_U64:
	case OCI_OPT_U64:
		return *(const uint64_t *)x != *(const uint64_t *)y && found(f, at);
	case OCI_U32:
		return *(const uint32_t *)x != *(const uint32_t *)y && found(f, at);
	case OCI_U32S:
	case OCI_WORDS: {
		const size_t size = row->kind == OCI_U32S ? sizeof(uint32_t) : sizeof(int64_t);
		const struct walk_list a = walk_list(x), b = walk_list(y);

		return (a.n != b.n || memcmp(a.v, b.v, a.n * size) != 0) && found(f, at);
	}
	case OCI_OBJ:
		return differs(row->type, x, y, at, f);
	case OCI_PTR:
		return differs(row->type, walk_ptr(x), walk_ptr(y), at, f);
	case OCI_LIST:
		return differs_list(row, walk_list(x), walk_list(y), at, f);
	case OCI_MAP:
		return differs_map(x, y, at, f);
	case OCI_KEYED:
		return differs_keyed(row, walk_list(x), walk_list(y), at, f);
	case OCI_CUSTOM:
		return differs_custom(row, x, y, at, f);
	case OCI_END:
		break;
	}
	return false;
}

static bool differs(const struct oci_type *type, const unsigned char *x, const unsigned char *y,
		    const struct walk_at *at, struct finding *f)
{
	for (const struct oci_field *row = type->fields; row->kind != OCI_END; row++) {
		const struct walk_at here = { .up = at, .key = row->name };
		bool has = walk_present(row, x);

		if (row->flags & OCI_KEY)
			continue;
		if (has != walk_present(row, y))
			return found(f, &here);
		if (has && differs_row(row, x + row->offset, y + row->offset, &here, f))
			return true;
	}
	return false;
}

const char *decode_diff(const struct oci_type *type, const void *a, const void *b, struct arena *arena)
{
	const struct walk_at top = { .up = NULL };
	struct finding f = { .a = arena };

	differs(type, a, b, &top, &f);
	return f.pointer;
}
