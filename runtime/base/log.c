// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"

#define LINE_MAX_LEN 4096

static struct log_options sink = { .fd = -1 };
static int user = STDERR_FILENO;

void log_setup(const struct log_options *options)
{
	sink = *options;
}

void log_user(int fd)
{
	if (user != STDERR_FILENO)
		close(user);
	user = fd;
}

bool log_debugging(void)
{
	return sink.debug;
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_DEBUG:
		break;
	}
	return "debug";
}

/* Quote for JSON and for the text form alike: both want ", \ and control characters escaped.  Bytes that are not
 * UTF-8 would spoil the reader's parser: the ones from 0x80 up pass only in well-formed sequences. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static void quote(char *out, size_t size, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t o = 0;

	while (*s && o + 8 < size) {
		size_t n = *s >= 0x80 ? utf8_len(s) : 1;

		if (n == 0) {
			o += (size_t)snprintf(out + o, size - o, "\\u%04x", 0xfffdU);
			s++;
		} else if (*s == '"' || *s == '\\') {
			out[o++] = '\\';
			out[o++] = (char)*s++;
		} else if (*s < 0x20) {
			o += (size_t)snprintf(out + o, size - o, "\\u%04x", *s++);
		} else {
			memcpy(out + o, s, n);
			o += n;
			s += n;
		}
	}
	out[o] = '\0';
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere is left to say so */
		buf += n;
		len -= (size_t)n;
	}
}

static void record(int fd, enum log_level level, const char *text)
{
	const struct clock_text when = clock_rfc3339(6);
	char quoted[LINE_MAX_LEN], line[LINE_MAX_LEN + 128];
	int n;

	quote(quoted, sizeof quoted, text);
	if (sink.json)
		n = snprintf(line, sizeof line, "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n", level_name(level),
			     quoted, when.s);
	else
		n = snprintf(line, sizeof line, "time=\"%s\" level=%s msg=\"%s\"\n", when.s, level_name(level), quoted);
	if (n > 0)
		write_all(fd, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* The text may quote what a hook or a document says; whoever reads it may sit at a terminal. */
static void plain(const char *prefix, const char *text)
{
	char line[LINE_MAX_LEN];
	int n = snprintf(line, sizeof line, "vzrun: %s%s\n", prefix, text);

	if (n < 0)
		return;
	if ((size_t)n >= sizeof line)
		n = (int)sizeof line - 1;
	for (int i = 0; i < n; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\n' && line[i] != '\t') || line[i] == 0x7f)
			line[i] = '?';
	write_all(user, line, (size_t)n);
}

void log_error(const struct err *e)
{
	char text[ERR_TEXT_MAX + 128];

	err_format(e, text, sizeof text);
	if (sink.fd >= 0)
		record(sink.fd, LOG_LEVEL_ERROR, text);
	plain("", text);
}

void log_warn_err(const struct err *e)
{
	char text[ERR_TEXT_MAX + 128];

	log_warn("%s", err_format(e, text, sizeof text));
}

void log_warn(const char *fmt, ...)
{
	char text[LINE_MAX_LEN - 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (sink.fd >= 0 && sink.level >= LOG_LEVEL_WARNING)
		record(sink.fd, LOG_LEVEL_WARNING, text);
	plain("warning: ", text);
}

void log_debug(const char *fmt, ...)
{
	char text[LINE_MAX_LEN - 64];
	va_list ap;

	if (!sink.debug)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	record(sink.fd >= 0 ? sink.fd : user, LOG_LEVEL_DEBUG, text);
}
