// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/conformance/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

yajl_val spec, facts;

static unsigned checks, failures;

yajl_val at(yajl_val from, const char *path)
{
	char part[64];

	while (from && *path) {
		const char *keys[2] = { part, NULL };
		const size_t n = strcspn(path, ".");

		if (n >= sizeof part || !YAJL_IS_OBJECT(from))
			return NULL;
		memcpy(part, path, n);
		part[n] = '\0';
		from = yajl_tree_get(from, keys, yajl_t_any);
		path += path[n] ? n + 1 : n;
	}
	return from && !YAJL_IS_NULL(from) ? from : NULL;
}

const char *string_at(yajl_val from, const char *path, const char *otherwise)
{
	const yajl_val v = at(from, path);

	return v && YAJL_IS_STRING(v) ? v->u.string : otherwise;
}

const char *text_of(yajl_val v)
{
	return v && YAJL_IS_STRING(v) ? v->u.string : "";
}

long long number_at(yajl_val from, const char *path, long long otherwise)
{
	const yajl_val v = at(from, path);

	return v && YAJL_IS_NUMBER(v) ? (long long)unsigned_of(v) : otherwise;
}

unsigned long long unsigned_of(yajl_val v)
{
	const char *text = YAJL_GET_NUMBER(v);

	return *text == '-' ? (unsigned long long)strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
}

bool true_at(yajl_val from, const char *path)
{
	const yajl_val v = at(from, path);

	return v && YAJL_IS_TRUE(v);
}

struct list strings_of(yajl_val v)
{
	if (!v || !YAJL_IS_ARRAY(v))
		return (struct list){ NULL, 0 };
	return (struct list){ v->u.array.values, v->u.array.len };
}

struct list list_at(yajl_val from, const char *path)
{
	return strings_of(at(from, path));
}

bool has_string(yajl_val array, const char *s)
{
	const struct list l = strings_of(array);

	for (size_t i = 0; i < l.n; i++)
		if (strcmp(text_of(l.v[i]), s) == 0)
			return true;
	return false;
}

void check(bool good, const char *group, const char *fmt, ...)
{
	va_list ap;

	checks++;
	failures += !good;
	printf("%s %s: ", good ? "ok" : "not ok", group);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void check_number(const char *group, const char *what, long long is, long long want)
{
	check(is == want, group, "%s: is %lld, expected %lld", what, is, want);
}

void check_string(const char *group, const char *what, const char *is, const char *want)
{
	check(is && want && strcmp(is, want) == 0, group, "%s: is '%s', expected '%s'", what, is ? is : "(none)",
	      want ? want : "(none)");
}

const char *read_text(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return NULL;
	n = fread(text, 1, sizeof text - 1, f);
	if (ferror(f))
		n = 0;
	fclose(f);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return text;
}

const char *status_field(const char *name)
{
	static char value[256];
	const char *text = read_text("/proc/self/status");
	const size_t n = strlen(name);

	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " \t");
		snprintf(value, sizeof value, "%.*s", (int)strcspn(p, "\n"), p);
		return value;
	}
	return NULL;
}

static yajl_val parse_file(const char *path)
{
	char why[512];
	const char *text = read_text(path);
	yajl_val v = text ? yajl_tree_parse(text, why, sizeof why) : NULL;

	if (!v) {
		fprintf(stderr, "inside: %s: %s\n", path, text ? why : "cannot be read");
		exit(2);
	}
	return v;
}

/* inside DOCUMENT FACTS [WORDS...]: the further words are there to be compared with process.args. */
int main(int argc, char **argv, char **envp)
{
	if (argc < 3) {
		fprintf(stderr, "usage: inside DOCUMENT FACTS [WORD...]\n");
		return 2;
	}
	spec = parse_file(argv[1]);
	facts = parse_file(argv[2]);
	check_process(argc, argv, envp);
	check_user();
	check_attributes();
	check_uts();
	check_namespaces();
	check_mounts();
	check_root();
	check_paths();
	check_devices();
	check_device_rules();
	check_sysctl();
	check_cgroup();
	/* Last: some of the calls that are tried end the process that makes them. */
	check_seccomp();
	printf("done: %u checks, %u failures\n", checks, failures);
	return failures ? 1 : 0;
}
