// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cgroup/bus.h"

/* Values of properties as text, in the form that gdbus and systemd's documentation use, and from there to D-Bus.  A
 * number without a word before it is an int32, or a double when it has a point. */

#define DEPTH_MAX 16
#define TYPE_MAX 64

struct node {
	char type[TYPE_MAX]; /* signature */
	uint64_t bits;       /* integers, booleans */
	double real;
	const char *text;
	struct node *child, *next;
};

struct parser {
	const char *p;
	struct arena *arena;
	struct err *e;
	unsigned depth;
};

static const struct {
	const char *word;
	char type[2];
} words[] = {
	{ "boolean", "b" }, { "byte", "y" },   { "int16", "n" },      { "uint16", "q" },     { "int32", "i" },
	{ "uint32", "u" },  { "int64", "x" },  { "uint64", "t" },     { "double", "d" },     { "string", "s" },
	{ "objectpath", "o" }, { "signature", "g" },
};

static const struct {
	char type;
	int64_t min;
	uint64_t max;
	size_t size;
} integers[] = {
	{ 'y', 0, UINT8_MAX, 1 },          { 'n', INT16_MIN, INT16_MAX, 2 },  { 'q', 0, UINT16_MAX, 2 },
	{ 'i', INT32_MIN, INT32_MAX, 4 },  { 'u', 0, UINT32_MAX, 4 },         { 'x', INT64_MIN, INT64_MAX, 8 },
	{ 't', 0, UINT64_MAX, 8 },
};

static int bad(struct parser *p, const char *what)
{
	return err_set(p->e, ERR_CONFIG, 0, "%s at '%.40s'", what, p->p);
}

static void skip(struct parser *p)
{
	p->p += strspn(p->p, " \t\n");
}

static bool take(struct parser *p, char c)
{
	skip(p);
	if (*p->p != c)
		return false;
	p->p++;
	return true;
}

static int parse(struct parser *p, const char *want, struct node *ret);

/* ---- leaves ---- */

static int parse_text(struct parser *p, struct node *n)
{
	char quote = *p->p++, *out = arena_alloc(p->arena, strlen(p->p) + 1);

	if (!out)
		return err_oom(p->e);
	n->text = out;
	while (*p->p && *p->p != quote) {
		char c = *p->p++;

		if (c == '\\') {
			c = *p->p;
			if (!c)
				break;
			p->p++;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		*out++ = c;
	}
	return *p->p++ == quote ? 0 : (p->p--, bad(p, "a text without its closing quote"));
}

static int parse_integer(struct parser *p, struct node *n)
{
	bool negative = *p->p == '-';
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		if (integers[i].type != n->type[0])
			continue;
		errno = 0;
		n->bits = negative ? (uint64_t)strtoll(p->p, &end, 0) : strtoull(p->p, &end, 0);
		if (end == p->p)
			return bad(p, "no number");
		if (errno || (negative ? (int64_t)n->bits < integers[i].min : n->bits > integers[i].max))
			return bad(p, "a number out of range");
		p->p = end;
		return 0;
	}
	return bad(p, "a number where another type is wanted");
}

static int parse_number(struct parser *p, struct node *n)
{
	const char *digits = p->p + (*p->p == '-' || *p->p == '+');
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	char *end;

	if (!*n->type)
		strcpy(n->type, !hex && strpbrk(p->p, ".eE") && strspn(digits, "0123456789") < strcspn(digits, " ,])") ? "d"
														       : "i");
	if (n->type[0] != 'd')
		return parse_integer(p, n);
	n->real = strtod(p->p, &end);
	if (end == p->p)
		return bad(p, "no number");
	p->p = end;
	return 0;
}

static bool take_word(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(p->p, word, n) != 0 || strchr("abcdefghijklmnopqrstuvwxyz0123456789_", p->p[n] ? p->p[n] : ' '))
		return false;
	p->p += n;
	return true;
}

static int parse_leaf(struct parser *p, struct node *n)
{
	char type = n->type[0];
	bool is_text = *p->p == '\'' || *p->p == '"', is_true = !is_text && take_word(p, "true");

	if (is_true || (!is_text && take_word(p, "false"))) {
		if (type && type != 'b')
			return bad(p, "a boolean where another type is wanted");
		strcpy(n->type, "b");
		n->bits = is_true;
		return 0;
	}
	if (!is_text)
		return *p->p && strchr("+-.0123456789", *p->p) ? parse_number(p, n) : bad(p, "no value");
	if (type && !strchr("sog", type))
		return bad(p, "a text where another type is wanted");
	if (!type)
		strcpy(n->type, "s");
	return parse_text(p, n);
}

/* ---- containers ---- */

/* The length of the first complete type of a signature; 0: none. */
static size_t type_length(const char *s, unsigned depth)
{
	size_t n = 1, part;

	if (depth > DEPTH_MAX || !*s)
		return 0;
	if (*s == 'a') {
		part = type_length(s + 1, depth + 1);
		return part ? part + 1 : 0;
	}
	if (*s != '(')
		return strchr("bynqiuxtdsog", *s) ? 1 : 0;
	while (s[n] != ')') {
		part = type_length(s + n, depth + 1);
		if (part == 0)
			return 0;
		n += part;
	}
	return n > 1 ? n + 1 : 0;
}

static int set_type(struct parser *p, struct node *n, const char *type, size_t len)
{
	if (len >= sizeof n->type)
		return bad(p, "a type too long");
	memcpy(n->type, type, len);
	n->type[len] = '\0';
	return 0;
}

static int parse_array(struct parser *p, struct node *n)
{
	char element[TYPE_MAX] = "", type[TYPE_MAX + 1];
	struct node **next = &n->child;

	if (*n->type && *n->type != 'a')
		return bad(p, "an array where another type is wanted");
	if (*n->type)
		strcpy(element, n->type + 1);
	while (!take(p, ']')) {
		if (next != &n->child && !take(p, ','))
			return bad(p, "no comma between the elements of an array");
		*next = arena_new(p->arena, struct node);
		if (!*next)
			return err_oom(p->e);
		if (parse(p, element, *next) < 0)
			return err_ret(p->e);
		strcpy(element, (*next)->type); /* the first one settles it */
		next = &(*next)->next;
	}
	if (!*element)
		return bad(p, "an empty array needs a type before it, as in '@as []';");
	snprintf(type, sizeof type, "a%s", element);
	return set_type(p, n, type, strlen(type));
}

static int parse_tuple(struct parser *p, struct node *n)
{
	char type[2 * TYPE_MAX] = "(", part[TYPE_MAX];
	const char *want = *n->type ? n->type + 1 : "";
	struct node **next = &n->child;

	if (*n->type && *n->type != '(')
		return bad(p, "a tuple where another type is wanted");
	while (!take(p, ')')) {
		size_t len = type_length(want, 0);

		if (next != &n->child && !take(p, ','))
			return bad(p, "no comma between the elements of a tuple");
		if (*n->type && len == 0)
			return bad(p, "too many elements in a tuple");
		snprintf(part, sizeof part, "%.*s", (int)len, want);
		want += len;
		*next = arena_new(p->arena, struct node);
		if (!*next)
			return err_oom(p->e);
		if (parse(p, part, *next) < 0)
			return err_ret(p->e);
		if (strlen(type) + strlen((*next)->type) + 2 > TYPE_MAX)
			return bad(p, "a type too long");
		strcat(type, (*next)->type);
		next = &(*next)->next;
	}
	if (!n->child || (*n->type && *want != ')'))
		return bad(p, "too few elements in a tuple");
	strcat(type, ")");
	return set_type(p, n, type, strlen(type));
}

/* "@as ['x']", "uint64 5" */
static int parse_type(struct parser *p, struct node *n)
{
	size_t len;

	if (*p->p == '@') {
		len = type_length(++p->p, 0);
		if (len == 0 || !strchr(" \t\n", p->p[len]))
			return bad(p, "no type");
		if (set_type(p, n, p->p, len) < 0)
			return err_ret(p->e);
		p->p += len;
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (take_word(p, words[i].word))
				strcpy(n->type, words[i].type);
	}
	skip(p);
	return 0;
}

static int parse(struct parser *p, const char *want, struct node *n)
{
	int r;

	if (++p->depth > DEPTH_MAX)
		return bad(p, "nested too deeply");
	skip(p);
	if (parse_type(p, n) < 0)
		return err_ret(p->e);
	if (!*n->type)
		snprintf(n->type, sizeof n->type, "%s", want);
	else if (*want && strcmp(n->type, want) != 0)
		return bad(p, "elements of different types");
	if (*p->p == '[')
		r = (p->p++, parse_array(p, n));
	else if (*p->p == '(')
		r = (p->p++, parse_tuple(p, n));
	else
		r = parse_leaf(p, n);
	p->depth--;
	return r;
}

/* ---- to D-Bus ---- */

static void put_integer(const struct node *n, struct bus_call *call)
{
	const uint8_t y = (uint8_t)n->bits;
	const uint16_t q = (uint16_t)n->bits;
	const uint32_t u = (uint32_t)n->bits;

	for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
		if (integers[i].type == n->type[0])
			bus_put(call, n->type[0],
				integers[i].size == 1 ? (const void *)&y
				: integers[i].size == 2 ? (const void *)&q
				: integers[i].size == 4 ? (const void *)&u : (const void *)&n->bits);
}

static void put_node(const struct node *n, struct bus_call *call);

/* The contents' signature: an array's without the 'a', a tuple's without its parentheses. */
static void put_container(const struct node *n, struct bus_call *call)
{
	char contents[TYPE_MAX];
	bool tuple = n->type[0] == '(';

	snprintf(contents, sizeof contents, "%.*s", (int)(strlen(n->type) - (tuple ? 2 : 1)), n->type + 1);
	bus_enter(call, tuple ? 'r' : 'a', contents);
	for (const struct node *c = n->child; c; c = c->next)
		put_node(c, call);
	bus_leave(call);
}

static void put_node(const struct node *n, struct bus_call *call)
{
	const int truth = n->bits != 0;

	if (strchr("a(", n->type[0]))
		put_container(n, call);
	else if (strchr("sog", n->type[0]))
		bus_put(call, n->type[0], n->text);
	else if (n->type[0] == 'b')
		bus_put(call, 'b', &truth);
	else if (n->type[0] == 'd')
		bus_put(call, 'd', &n->real);
	else
		put_integer(n, call);
}

static int parse_all(const char *text, struct node *ret, struct arena *a, struct err *e)
{
	struct parser p = { .p = text, .arena = a, .e = e };

	if (parse(&p, "", ret) < 0)
		return err_ret(e);
	skip(&p);
	return *p.p ? bad(&p, "more than one value") : 0;
}

int gvariant_check(const char *text, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct node n = { 0 };

	return parse_all(text, &n, &a, e);
}

int gvariant_put(const char *text, struct bus_call *call, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct node n = { 0 };
	int r = parse_all(text, &n, &a, e);

	if (r < 0)
		return r;
	bus_enter(call, 'v', n.type);
	put_node(&n, call);
	bus_leave(call);
	/* an object path or a signature that is none */
	return call->failed < 0 ? err_set(e, ERR_CONFIG, -call->failed, "%.40s", text) : 0;
}

int gvariant_to_usec(const char *text, const char **ret, struct arena *a, struct err *e)
{
	struct node n = { 0 };
	int r = parse_all(text, &n, a, e);

	if (r < 0)
		return r;
	bool real = n.type[0] == 'd';
	if (!real && (n.type[1] || !strchr("ynqiuxt", n.type[0])))
		return err_set(e, ERR_CONFIG, 0, "a number of seconds is wanted, not %.40s", text);
	bool negative = real ? n.real < 0 : strchr("nix", n.type[0]) && (int64_t)n.bits < 0;
	if (negative || (real ? n.real >= 1.8e13 : n.bits > UINT64_MAX / 1000000 && n.bits != UINT64_MAX))
		return err_set(e, ERR_CONFIG, 0, "a number of seconds out of range: %.40s", text);
	uint64_t usec = real ? (uint64_t)(n.real * 1e6) : n.bits == UINT64_MAX ? n.bits : n.bits * 1000000;
	*ret = arena_printf(a, "uint64 %" PRIu64, usec);
	return *ret ? 0 : err_oom(e);
}
