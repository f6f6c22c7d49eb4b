// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/emit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oci/json.h"
#include "oci/utf8.h"

static void break_line(struct emit *e)
{
	if (!e->tabs && e->indent == 0)
		return;
	str_addc(e->out, '\n');
	for (unsigned i = 0; i < e->depth * (e->tabs ? 1 : e->indent); i++)
		str_addc(e->out, e->tabs ? '\t' : ' ');
}

static void add_escape(struct str *out, unsigned char c)
{
	static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };

	if (c == '"' || c == '\\')
		str_addf(out, "\\%c", c);
	else if (c < sizeof letters && letters[c])
		str_addf(out, "\\%c", letters[c]);
	else
		str_addf(out, "\\u%04x", c);
}

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_quoted(struct str *out, const char *s)
{
	size_t len = strlen(s), i = 0;

	str_addc(out, '"');
	while (i < len) {
		size_t from = i, n;

		while (i < len && plain((unsigned char)s[i]))
			i++;
		str_addn(out, s + from, i - from);
		if (i == len)
			break;
		n = utf8_sequence(s + i, len - i);
		if (n > 1)
			str_addn(out, s + i, n);
		else if (n == 1)
			add_escape(out, (unsigned char)s[i]);
		else
			str_add(out, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	str_addc(out, '"');
}

/* What stands before every value. */
static void begin(struct emit *e, const char *key)
{
	if (e->comma)
		str_addc(e->out, ',');
	if (e->depth > 0)
		break_line(e);
	if (key) {
		add_quoted(e->out, key);
		str_add(e->out, e->indent || e->tabs ? ": " : ":");
	}
	e->comma = true;
}

static void open_level(struct emit *e, const char *key, char bracket)
{
	begin(e, key);
	str_addc(e->out, bracket);
	e->depth++;
	e->comma = false;
}

static void close_level(struct emit *e, char bracket)
{
	e->depth--;
	if (e->comma)
		break_line(e);
	str_addc(e->out, bracket);
	e->comma = true;
}

void emit_object(struct emit *e, const char *key)
{
	open_level(e, key, '{');
}

void emit_object_end(struct emit *e)
{
	close_level(e, '}');
}

void emit_array(struct emit *e, const char *key)
{
	open_level(e, key, '[');
}

void emit_array_end(struct emit *e)
{
	close_level(e, ']');
}

void emit_string(struct emit *e, const char *key, const char *value)
{
	begin(e, key);
	add_quoted(e->out, value);
}

void emit_i64(struct emit *e, const char *key, int64_t value)
{
	begin(e, key);
	str_addf(e->out, "%" PRId64, value);
}

void emit_u64(struct emit *e, const char *key, uint64_t value)
{
	begin(e, key);
	str_addf(e->out, "%" PRIu64, value);
}

void emit_bool(struct emit *e, const char *key, bool value)
{
	begin(e, key);
	str_add(e->out, value ? "true" : "false");
}

void emit_null(struct emit *e, const char *key)
{
	begin(e, key);
	str_add(e->out, "null");
}

void emit_double(struct emit *e, const char *key, double value)
{
	begin(e, key);
	/* JSON has no word for what is not a number. */
	str_addf(e->out, "%.2f", isfinite(value) ? value : 0.0);
}

void emit_raw(struct emit *e, const char *key, const char *json)
{
	begin(e, key);
	str_add(e->out, json);
}

/* The depth is bounded by the reader's. */
void emit_node(struct emit *e, const char *key, const struct json_node *node)
{
	switch (node->kind) {
	case JSON_NULL:
		emit_null(e, key);
		return;
	case JSON_BOOL:
		emit_bool(e, key, node->truth);
		return;
	case JSON_NUMBER:
		emit_raw(e, key, node->text);
		return;
	case JSON_STRING:
		emit_string(e, key, node->text);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	open_level(e, key, node->kind == JSON_OBJECT ? '{' : '[');
	for (const struct json_node *n = node->child; n; n = n->next)
		emit_node(e, node->kind == JSON_OBJECT ? n->key : NULL, n);
	close_level(e, node->kind == JSON_OBJECT ? '}' : ']');
}
