// SPDX-License-Identifier: LGPL-2.1-or-later
#define ERR_IMPLEMENTATION
#include "runtime/base/err.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_ret(const struct err *e)
{
	return e->num > 0 ? -e->num : -1;
}

int err_set(struct err *e, enum err_kind kind, int num, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof e->text)
		n = (int)sizeof e->text - 1;
	e->len = (uint16_t)n;
	e->num = num;
	e->kind = kind;
	return err_ret(e);
}

/* Make room for `need` bytes before the text.  The cause stands at the end and stays; what is cut is the
 * middle, where the dots then stand. */
static void make_room(struct err *e, size_t need)
{
	static const char dots[] = "... ";
	size_t room = sizeof e->text - 1 - need;
	size_t keep;

	if (e->len <= room) {
		memmove(e->text + need, e->text, e->len + 1U);
		e->len = (uint16_t)(e->len + need);
		return;
	}
	keep = room - (sizeof dots - 1);
	memmove(e->text + need + sizeof dots - 1, e->text + (e->len - keep), keep + 1);
	memcpy(e->text + need, dots, sizeof dots - 1);
	e->len = (uint16_t)(sizeof e->text - 1);
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX / 2];
	size_t len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(words, sizeof words - 2, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_ret(e);
	len = strlen(words);
	words[len++] = ':';
	words[len++] = ' ';
	make_room(e, len);
	memcpy(e->text, words, len);
	return err_ret(e);
}

int err_hint(struct err *e, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX / 2];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof words || e->len + (size_t)n + sizeof " ()" > sizeof e->text)
		return err_ret(e);
	e->len = (uint16_t)(e->len + snprintf(e->text + e->len, sizeof e->text - e->len, " (%s)", words));
	return err_ret(e);
}

/* The cause begins small, as Go writes it: engines look for "no such file or directory" and "permission denied", and take
 * their exit status from what they find. */
char *err_format(const struct err *e, char *buf, size_t size)
{
	const char *why = e->kind == ERR_KERNEL && e->num > 0 ? strerrordesc_np(e->num) : NULL;
	int cause = why ? (int)strlen(why) + 2 : 0;
	int room = (int)size - 1 - cause;

	if (room < 0)
		room = 0;
	if (why)
		snprintf(buf, size, "%.*s: %c%s", room, e->text, tolower((unsigned char)*why), why + 1);
	else
		snprintf(buf, size, "%.*s", room, e->text);
	return buf;
}

void err_sanitize(struct err *e)
{
	if (e->kind <= ERR_NONE || e->kind >= ERR_KINDS)
		e->kind = ERR_INTERNAL;
	if (e->num < 0 || e->num > 4095)
		e->num = 0;
	if (e->len >= sizeof e->text)
		e->len = sizeof e->text - 1;
	e->text[e->len] = '\0';
	for (size_t i = 0; i < e->len; i++) {
		unsigned char c = (unsigned char)e->text[i];

		if (c < 0x20 || c == 0x7f)
			e->text[i] = c == '\0' || c == '\n' ? ' ' : '?';
	}
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[ERR_KINDS] = {
		[ERR_NONE] = "none",           [ERR_USAGE] = "usage",
		[ERR_CONFIG] = "config",       [ERR_STATE] = "state",
		[ERR_NOTFOUND] = "notfound",   [ERR_KERNEL] = "kernel",
		[ERR_UNSUPPORTED] = "unsupported", [ERR_EXTENSION] = "extension",
		[ERR_INTERNAL] = "internal",
	};

	return kind >= ERR_NONE && kind < ERR_KINDS ? names[kind] : "internal";
}
