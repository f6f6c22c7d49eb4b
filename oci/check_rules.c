// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/check_rules.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/str.h"

bool check_has_ns(const struct oci_spec *spec, int64_t type)
{
	return oci_namespace(spec, type) != NULL;
}

/* One number without sign; NULL when there is none or it is beyond any kernel. */
static const char *skip_number(const char *s, unsigned long *ret)
{
	char *end;

	if (*s < '0' || *s > '9')
		return NULL;
	*ret = strtoul(s, &end, 10);
	return *ret <= 1UL << 20 ? end : NULL;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " ");
}

static const char *skip_range(const char *s)
{
	unsigned long low, high;

	s = skip_number(skip_blanks(s), &low);
	if (!s || *s != '-')
		return s;
	s = skip_number(s + 1, &high);
	return s && low <= high ? s : NULL;
}

bool check_is_list(const char *text)
{
	if (!*skip_blanks(text))
		return true;
	for (;;) {
		text = skip_range(text);
		if (!text)
			return false;
		text = skip_blanks(text);
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
	}
}

bool check_is_if_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 15 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return strcspn(name, "/: \t\n\v\f\r\xa0") == len;
}

bool check_is_absolute(const char *path)
{
	return path[0] == '/';
}

int check_absolute_paths(const struct oci_strs *paths, const char *p, struct err *e)
{
	for (size_t i = 0; i < paths->n; i++)
		if (!check_is_absolute(paths->v[i]))
			return bad(e, "%s/%zu: path '%.200s' is not absolute", p, i, paths->v[i]);
	return 0;
}

int check_env(const struct oci_strs *env, const char *p, struct err *e)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *equals = strchr(env->v[i], '=');

		if (!equals)
			return bad(e, "%s/%zu: '%.80s' has no '='", p, i, env->v[i]);
		if (equals == env->v[i])
			return bad(e, "%s/%zu: empty name of an environment variable", p, i);
	}
	return 0;
}

static int by_container(const void *a, const void *b)
{
	const struct oci_idmap *const *x = a, *const *y = b;

	return ((*x)->container_id > (*y)->container_id) - ((*x)->container_id < (*y)->container_id);
}

static int by_host(const void *a, const void *b)
{
	const struct oci_idmap *const *x = a, *const *y = b;

	return ((*x)->host_id > (*y)->host_id) - ((*x)->host_id < (*y)->host_id);
}

/* What the kernel takes: user_namespaces(7), since 4.15. */
#define MAPS_MAX 340

static int check_idmap(const struct oci_idmap *m, const char *p, size_t i, struct err *e)
{
	if (m->size == 0)
		return bad(e, "%s/%zu/size: must not be 0", p, i);
	/* The id of all ones means "no id" in the system calls. */
	if (m->size > UINT32_MAX - m->container_id)
		return bad(e, "%s/%zu: containerID + size is more than 4294967295", p, i);
	if (m->size > UINT32_MAX - m->host_id)
		return bad(e, "%s/%zu: hostID + size is more than 4294967295", p, i);
	return 0;
}

int check_idmaps(const struct oci_idmaps *maps, const char *p, struct err *e)
{
	const struct oci_idmap *sorted[MAPS_MAX];

	if (maps->n > MAPS_MAX)
		return bad(e, "%s: more than %d mappings", p, MAPS_MAX);
	for (size_t i = 0; i < maps->n; i++) {
		if (check_idmap(&maps->v[i], p, i, e) < 0)
			return err_ret(e);
		sorted[i] = &maps->v[i];
	}
	qsort(sorted, maps->n, sizeof *sorted, by_container);
	for (size_t i = 1; i < maps->n; i++)
		if (sorted[i]->container_id - sorted[i - 1]->container_id < sorted[i - 1]->size)
			return bad(e, "%s: containerID %u is mapped twice", p, sorted[i]->container_id);
	qsort(sorted, maps->n, sizeof *sorted, by_host);
	for (size_t i = 1; i < maps->n; i++)
		if (sorted[i]->host_id - sorted[i - 1]->host_id < sorted[i - 1]->size)
			return bad(e, "%s: hostID %u is mapped twice", p, sorted[i]->host_id);
	return 0;
}
