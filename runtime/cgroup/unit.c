// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/unit.h"

#include <string.h>

#define UNIT_MAX 255

static const char unit_chars[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@";

/* ---- slices ---- */

static int bad_slice(const char *slice, struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "/linux/cgroupsPath: invalid slice name: %.255s", slice);
}

int unit_slice_path(const char *slice, const char **ret, struct arena *a, struct err *e)
{
	cleanup_str struct str path = { 0 };
	size_t len = strlen(slice);

	if (strcmp(slice, "-.slice") == 0) {
		*ret = "";
		return 0;
	}
	if (!str_ends(slice, ".slice") || len > UNIT_MAX || slice[strspn(slice, unit_chars)])
		return bad_slice(slice, e);
	len -= strlen(".slice");
	for (size_t end = 0; end < len;) {
		size_t part = strcspn(slice + end, "-");

		if (end + part > len)
			part = len - end;
		if (part == 0) /* "a--b", "-a" */
			return bad_slice(slice, e);
		end += part;
		str_addf(&path, "/%.*s.slice", (int)end, slice);
		if (end < len && slice[end] == '-' && ++end == len) /* "a-" */
			return bad_slice(slice, e);
	}
	*ret = len > 0 ? arena_strdup(a, str_cstr(&path)) : NULL;
	if (len == 0)
		return bad_slice(slice, e);
	return str_failed(&path) || !*ret ? err_oom(e) : 0;
}

/* ---- units ---- */

static int check_part(const char *path, const char *part, struct err *e)
{
	size_t good = strspn(part, unit_chars);

	if (!part[good])
		return 0;
	return err_set(e, ERR_CONFIG, 0, "/linux/cgroupsPath: '%.200s': '%c' cannot be part of the name of a systemd unit",
		       path, part[good] >= ' ' && part[good] < 0x7f ? part[good] : '?');
}

static size_t count_fields(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == ':';
	return n;
}

static int split(const char *path, struct unit_name *n, struct arena *a, struct err *e)
{
	char *rest = arena_strdup(a, path);

	if (count_fields(path) != 3)
		return err_set(e, ERR_CONFIG, 0,
			       "/linux/cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" for systemd "
			       "cgroups, got \"%.255s\" instead",
			       path);
	if (!rest)
		return err_oom(e);
	const char *slice = strsep(&rest, ":"), *prefix = strsep(&rest, ":"), *name = rest;
	if (!*name)
		return err_set(e, ERR_CONFIG, 0, "/linux/cgroupsPath: '%.255s' has no name in it", path);
	if (check_part(path, prefix, e) < 0 || check_part(path, name, e) < 0)
		return err_ret(e);
	if (*slice)
		n->slice = slice;
	n->is_slice = str_ends(name, ".slice");
	n->unit = n->is_slice ? name : arena_printf(a, "%s%s%s.scope", prefix, *prefix ? "-" : "", name);
	return n->unit ? 0 : err_oom(e);
}

int unit_name(const char *cgroups_path, const char *id, bool user, struct unit_name *ret, struct arena *a,
	      struct err *e)
{
	struct unit_name n = { .slice = user ? "user.slice" : "system.slice" };
	const char *dir;
	int r;

	if (cgroups_path && *cgroups_path) {
		r = split(cgroups_path, &n, a, e);
		if (r < 0)
			return r;
	} else {
		if (check_part(id, id, e) < 0)
			return err_wrap(e, "container id");
		n.unit = arena_printf(a, "vzrun-%s.scope", id);
	}
	if (!n.unit)
		return err_oom(e);
	if (strlen(n.unit) > UNIT_MAX)
		return err_set(e, ERR_CONFIG, 0, "/linux/cgroupsPath: the name of the unit has more than %d characters: %.60s...",
			       UNIT_MAX, n.unit);
	r = unit_slice_path(n.slice, &dir, a, e);
	if (r < 0)
		return r;
	/* A slice stands where its own name says. */
	if (n.is_slice)
		r = unit_slice_path(n.unit, &n.path, a, e);
	else
		n.path = arena_printf(a, "%s/%s", dir, n.unit);
	if (r < 0)
		return r;
	*ret = n;
	return n.path ? 0 : err_oom(e);
}
