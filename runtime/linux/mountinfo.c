// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/mountinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/fs.h"
#include "runtime/base/str.h"

#define MOUNTINFO_MAX ((size_t)64 << 20)

static bool is_octal(const char *s)
{
	for (int i = 0; i < 3; i++)
		if (s[i] < '0' || s[i] > '7')
			return false;
	return true;
}

/* Blanks, tabs, newlines and backslashes are written as \ooo. */
char *mountinfo_unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from; to++)
		if (*from == '\\' && is_octal(from + 1)) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	*to = '\0';
	return text;
}

static bool number(const char *text, uint64_t *ret)
{
	return text && num_u64(text, ret) == 0;
}

/* "36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/sda1 rw,errors=continue" */
bool mountinfo_parse(char *line, struct mountinfo *ret)
{
	char *tail = strstr(line, " - "), *device, *root, *point, *options;

	if (!tail)
		return false;
	*tail = '\0';
	tail += 3;
	if (!number(strsep(&line, " "), &ret->id) || !number(strsep(&line, " "), &ret->parent))
		return false;
	device = strsep(&line, " ");
	root = strsep(&line, " ");
	point = strsep(&line, " ");
	options = strsep(&line, " ");
	if (!options || sscanf(device, "%u:%u", &ret->major, &ret->minor) != 2)
		return false;
	ret->root = mountinfo_unescape(root);
	ret->point = mountinfo_unescape(point);
	ret->options = options;
	ret->optional = line ? line : "";
	ret->fs = strsep(&tail, " ");
	ret->source = tail ? mountinfo_unescape(strsep(&tail, " ")) : NULL;
	ret->super = tail;
	return ret->super != NULL;
}

int mountinfo_read(pid_t pid, struct mountinfos *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char path[64], *rest;
	size_t lines = 0;
	int r;

	snprintf(path, sizeof path, pid ? "/proc/%d/mountinfo" : "/proc/self/mountinfo", (int)pid);
	r = fs_read(AT_FDCWD, path, MOUNTINFO_MAX, &text, e);
	if (r < 0)
		return r;
	for (const char *s = str_cstr(&text); *s; s++)
		lines += *s == '\n';
	*ret = (struct mountinfos){ .v = arena_alloc_n(a, lines + 1, sizeof *ret->v) };
	rest = arena_strndup(a, str_cstr(&text), text.len);
	if (!ret->v || !rest)
		return err_oom(e);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (*line && ret->n < lines && mountinfo_parse(line, &ret->v[ret->n]))
			ret->n++;
	return 0;
}

const char *path_below(const char *dir, const char *path)
{
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	if (strncmp(dir, path, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return NULL;
	return strcmp(path, "/") == 0 ? "" : path + len;
}

static bool same_device(const struct mountinfo *a, const struct mountinfo *b)
{
	return a->major == b->major && a->minor == b->minor;
}

bool mountinfo_has_device(const struct mountinfos *seen, const struct mountinfo *m)
{
	for (size_t i = 0; i < seen->n; i++)
		if (same_device(&seen->v[i], m))
			return true;
	return false;
}

/* The mount that a path is on: the last of those with the longest mount point above it, since that covers the others. */
static const struct mountinfo *mount_of(const struct mountinfos *seen, const char *path)
{
	const struct mountinfo *best = NULL;

	for (size_t i = 0; i < seen->n; i++)
		if (path_below(seen->v[i].point, path) && (!best || strlen(seen->v[i].point) >= strlen(best->point)))
			best = &seen->v[i];
	return best;
}

const char *mountinfo_locate(const struct mountinfos *seen, const struct mountinfo *m, struct arena *a)
{
	for (size_t i = seen->n; i-- > 0;) {
		const struct mountinfo *at = &seen->v[i];
		const char *rest = same_device(at, m) ? path_below(at->root, m->root) : NULL, *path;

		if (!rest)
			continue;
		path = arena_printf(a, "%s%s", strcmp(at->point, "/") == 0 && *rest ? "" : at->point, rest);
		if (!path || mount_of(seen, path) == at)
			return path;
	}
	return NULL;
}
