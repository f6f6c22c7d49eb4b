// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/json.h"

#include <string.h>
#include <yajl/yajl_parse.h>

#include "oci/decode.h"
#include "oci/utf8.h"

/* Nodes and strings are cut from blocks of these sizes, so that the arena's alignment is not paid for each. */
#define NODES_PER_BLOCK 48
#define TEXT_BLOCK ((size_t)2048)

struct level {
	struct json_node *container, *last;
};

struct parser {
	struct arena *a;
	struct err *e;
	yajl_handle yajl;
	struct json_node *root;
	struct json_node *nodes;
	size_t nodes_left;
	char *text;
	size_t text_left;
	const char *key; /* of the member whose value comes next */
	unsigned depth;
	struct level levels[OCI_DEPTH_MAX];
};

static char *text_room(struct parser *p, size_t size)
{
	char *s;

	if (size > TEXT_BLOCK / 4)
		return arena_alloc(p->a, size);
	if (p->text_left < size) {
		p->text = arena_alloc(p->a, TEXT_BLOCK);
		p->text_left = p->text ? TEXT_BLOCK : 0;
		if (!p->text)
			return NULL;
	}
	s = p->text;
	p->text += size;
	p->text_left -= size;
	return s;
}

static const char *keep_text(struct parser *p, const unsigned char *text, size_t len)
{
	char *s = text_room(p, len + 1);

	if (!s) {
		err_oom(p->e);
		return NULL;
	}
	memcpy(s, text, len);
	s[len] = '\0';
	return s;
}

/* yajl's own check lets overlong forms and lone low surrogates pass: ours is used instead. */
static const char *keep_string(struct parser *p, const unsigned char *text, size_t len)
{
	if (memchr(text, '\0', len)) {
		err_set(p->e, ERR_CONFIG, 0, "NUL in a string");
		return NULL;
	}
	if (!utf8_valid((const char *)text, len)) {
		err_set(p->e, ERR_CONFIG, 0, "invalid UTF-8 in a string");
		return NULL;
	}
	return keep_text(p, text, len);
}

static struct json_node *new_node(struct parser *p, enum json_kind kind)
{
	struct json_node *n;

	if (p->nodes_left == 0) {
		p->nodes = arena_alloc_n(p->a, NODES_PER_BLOCK, sizeof *p->nodes);
		if (!p->nodes) {
			err_oom(p->e);
			return NULL;
		}
		p->nodes_left = NODES_PER_BLOCK;
	}
	n = p->nodes++;
	p->nodes_left--;
	n->kind = kind;
	n->offset = (uint32_t)yajl_get_bytes_consumed(p->yajl);
	return n;
}

static void attach(struct parser *p, struct json_node *n)
{
	struct level *l;

	n->key = p->key;
	p->key = NULL;
	if (p->depth == 0) {
		p->root = n;
		return;
	}
	l = &p->levels[p->depth - 1];
	if (l->last)
		l->last->next = n;
	else
		l->container->child = n;
	l->last = n;
}

static int on_null(void *ctx)
{
	struct json_node *n = new_node(ctx, JSON_NULL);

	if (n)
		attach(ctx, n);
	return n != NULL;
}

static int on_bool(void *ctx, int truth)
{
	struct json_node *n = new_node(ctx, JSON_BOOL);

	if (!n)
		return 0;
	n->truth = truth;
	attach(ctx, n);
	return 1;
}

static int on_number(void *ctx, const char *digits, size_t len)
{
	struct json_node *n = new_node(ctx, JSON_NUMBER);

	if (!n)
		return 0;
	n->text = keep_text(ctx, (const unsigned char *)digits, len);
	attach(ctx, n);
	return n->text != NULL;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct json_node *n = new_node(ctx, JSON_STRING);

	if (!n)
		return 0;
	n->text = keep_string(ctx, text, len);
	attach(ctx, n);
	return n->text != NULL;
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct parser *p = ctx;

	p->key = keep_string(p, text, len);
	return p->key != NULL;
}

static int on_open(struct parser *p, enum json_kind kind)
{
	struct json_node *n;

	if (p->depth == OCI_DEPTH_MAX) {
		err_set(p->e, ERR_CONFIG, 0, "nested deeper than %d levels", OCI_DEPTH_MAX);
		return 0;
	}
	n = new_node(p, kind);
	if (!n)
		return 0;
	attach(p, n);
	p->levels[p->depth++] = (struct level){ .container = n };
	return 1;
}

static int on_object(void *ctx)
{
	return on_open(ctx, JSON_OBJECT);
}

static int on_array(void *ctx)
{
	return on_open(ctx, JSON_ARRAY);
}

static int on_close(void *ctx)
{
	struct parser *p = ctx;

	p->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_close,
	.yajl_start_array = on_array,
	.yajl_end_array = on_close,
};

static int wrap_place(const char *text, size_t len, size_t offset, struct err *e)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset && i < len; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return err_wrap(e, "line %zu, column %zu", line, column);
}

static void syntax_error(yajl_handle y, struct err *e)
{
	unsigned char *words = yajl_get_error(y, 0, NULL, 0);
	const char *s = words ? (const char *)words : "not JSON";

	err_set(e, ERR_CONFIG, 0, "%.*s", (int)strcspn(s, "\n"), s);
	if (words)
		yajl_free_error(y, words);
}

static void free_handle(yajl_handle *y)
{
	if (*y)
		yajl_free(*y);
}

int json_parse(const char *text, size_t len, struct json_node **ret, struct arena *a, struct err *e)
{
	struct parser p = { .a = a, .e = e };
	__attribute__((cleanup(free_handle))) yajl_handle y = NULL;
	yajl_status status;
	size_t at;

	if (len > OCI_DOCUMENT_MAX)
		return err_set(e, ERR_CONFIG, 0, "document larger than %zu bytes", OCI_DOCUMENT_MAX);
	y = yajl_alloc(&callbacks, NULL, &p);
	if (!y)
		return err_oom(e);
	yajl_config(y, yajl_dont_validate_strings, 1);
	p.yajl = y;
	status = yajl_parse(y, (const unsigned char *)text, len);
	at = yajl_get_bytes_consumed(y);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(y); /* counts anew */
	if (status == yajl_status_ok && p.root) {
		*ret = p.root;
		return 0;
	}
	if (status == yajl_status_client_canceled && e->kind == ERR_KERNEL)
		return err_ret(e);
	if (status != yajl_status_client_canceled)
		syntax_error(y, e);
	return wrap_place(text, len, at, e);
}

const struct json_node *json_get(const struct json_node *object, const char *key)
{
	const struct json_node *found = NULL;

	if (object->kind != JSON_OBJECT)
		return NULL;
	for (const struct json_node *n = object->child; n; n = n->next)
		if (strcmp(n->key, key) == 0)
			found = n;
	return found;
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",     [JSON_BOOL] = "boolean", [JSON_NUMBER] = "number",
		[JSON_STRING] = "string", [JSON_ARRAY] = "array",  [JSON_OBJECT] = "object",
	};

	return names[kind];
}
