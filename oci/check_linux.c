// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#include "oci/check.h"
#include "oci/check_rules.h"
#include "oci/names.h"
#include "runtime/base/str.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static int check_namespaces(const struct oci_spec *spec, struct err *e)
{
	const struct oci_namespaces *list = &spec->linux->namespaces;

	for (size_t i = 0; i < list->n; i++) {
		const char *path = list->v[i].path;

		if (oci_namespace(spec, list->v[i].type) != &list->v[i])
			return bad(e, "/linux/namespaces/%zu: duplicate namespace '%s'", i,
				   names_word(&names_namespaces, list->v[i].type));
		if (path && *path && !check_is_absolute(path))
			return bad(e, "/linux/namespaces/%zu/path: path '%.200s' is not absolute", i, path);
	}
	return 0;
}

static int check_userns(const struct oci_spec *spec, struct err *e)
{
	const struct oci_idmaps *uid = &spec->linux->uid_mappings, *gid = &spec->linux->gid_mappings;
	const bool listed = check_has_ns(spec, CLONE_NEWUSER);
	int r;

	if (!listed && (uid->n > 0 || gid->n > 0))
		return bad(e, "/linux/%s: needs a user namespace in /linux/namespaces",
			   uid->n > 0 ? "uidMappings" : "gidMappings");
	if (oci_namespace_new(spec, CLONE_NEWUSER) && (uid->n == 0 || gid->n == 0))
		return bad(e, "/linux/%s: a new user namespace needs mappings",
			   uid->n == 0 ? "uidMappings" : "gidMappings");
	r = check_idmaps(uid, "/linux/uidMappings", e);
	return r < 0 ? r : check_idmaps(gid, "/linux/gidMappings", e);
}

static int check_offset(const struct oci_time_offset *o, const char *key, struct err *e)
{
	if (o && o->nanosecs > 999999999)
		return bad(e, "/linux/timeOffsets/%s/nanosecs: more than 999999999", key);
	return 0;
}

static int check_time(const struct oci_spec *spec, struct err *e)
{
	const struct oci_time_offsets *t = spec->linux->time_offsets;

	if (!t)
		return 0;
	if (!check_has_ns(spec, CLONE_NEWTIME))
		return bad(e, "/linux/timeOffsets: needs a time namespace in /linux/namespaces");
	if (!oci_namespace_new(spec, CLONE_NEWTIME))
		return bad(e, "/linux/timeOffsets: cannot be set in a time namespace that is joined by path");
	if (check_offset(t->boottime, "boottime", e) < 0)
		return err_ret(e);
	return check_offset(t->monotonic, "monotonic", e);
}

static int check_device(const struct oci_device *d, size_t i, struct err *e)
{
	if (!check_is_absolute(d->path))
		return bad(e, "/linux/devices/%zu/path: path '%.200s' is not absolute", i, d->path);
	if (d->type == 'p')
		return 0;
	if (!d->major.set || !d->minor.set)
		return bad(e, "/linux/devices/%zu: major and minor are required for this type", i);
	/* What mknod(2) and makedev(3) can carry. */
	if (d->major.v < 0 || d->major.v > 0xfff || d->minor.v < 0 || d->minor.v > 0xfffff)
		return bad(e, "/linux/devices/%zu: no device has the number %lld:%lld", i, (long long)d->major.v,
			   (long long)d->minor.v);
	return 0;
}

static int check_devices(const struct oci_spec *spec, struct err *e)
{
	for (size_t i = 0; i < spec->linux->devices.n; i++)
		if (check_device(&spec->linux->devices.v[i], i, e) < 0)
			return err_ret(e);
	return 0;
}

/* A name with one "%d" is a template, which the kernel fills. */
static bool is_template(const char *name)
{
	const char *percent = strchr(name, '%');

	return percent && percent[1] == 'd' && !strchr(percent + 1, '%');
}

static const char *name_inside(const struct oci_net_device *d)
{
	return d->name && *d->name ? d->name : d->host_name;
}

static int check_net_device(const struct oci_net_devices *list, size_t i, struct err *e)
{
	const struct oci_net_device *d = &list->v[i];
	const char *inside = name_inside(d);

	if (!check_is_if_name(d->host_name) || strchr(d->host_name, '%'))
		return bad(e, "/linux/netDevices: '%.40s' is no interface name", d->host_name);
	if (!check_is_if_name(inside) || (strchr(inside, '%') && !is_template(inside)))
		return bad(e, "/linux/netDevices/%s/name: '%.40s' is no interface name", d->host_name, inside);
	for (size_t n = 0; n < i && !is_template(inside); n++)
		if (strcmp(name_inside(&list->v[n]), inside) == 0)
			return bad(e, "/linux/netDevices/%s/name: '%s' is there twice", d->host_name, inside);
	return 0;
}

static int check_net_devices(const struct oci_spec *spec, struct err *e)
{
	const struct oci_net_devices *list = &spec->linux->net_devices;

	if (list->n > 0 && !check_has_ns(spec, CLONE_NEWNET))
		return bad(e, "/linux/netDevices: needs a network namespace in /linux/namespaces");
	for (size_t i = 0; i < list->n; i++)
		if (check_net_device(list, i, e) < 0)
			return err_ret(e);
	return 0;
}

/* "." and "..": the path is below a cgroup mount and must stay there. */
static bool has_dots(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if ((len == 1 && path[0] == '.') || (len == 2 && memcmp(path, "..", 2) == 0))
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}

static int check_cgroups_path(const struct oci_spec *spec, struct err *e)
{
	const char *path = spec->linux->cgroups_path;

	if (path && has_dots(path))
		return bad(e, "/linux/cgroupsPath: '%.200s' has a component '.' or '..'", path);
	if (path && strchr(path, '\n'))
		return bad(e, "/linux/cgroupsPath: has a line break");
	return 0;
}

static int check_propagation(const struct oci_spec *spec, struct err *e)
{
	const char *word = spec->linux->rootfs_propagation;
	int64_t flags;

	if (word && *word && names_value(&names_propagations, word, &flags) < 0)
		return bad(e, "/linux/rootfsPropagation: unknown value '%.80s'", word);
	return 0;
}

static int check_paths(const struct oci_spec *spec, struct err *e)
{
	int r = check_absolute_paths(&spec->linux->masked_paths, "/linux/maskedPaths", e);

	return r < 0 ? r : check_absolute_paths(&spec->linux->readonly_paths, "/linux/readonlyPaths", e);
}

/* A directory below resctrl, and none of the kernel's own; "/" is the root class. */
static bool is_clos_id(const char *id)
{
	static const char *const taken[] = { "", ".", "..", "info", "mon_data", "mon_groups" };

	if (strcmp(id, "/") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (strcmp(id, taken[i]) == 0)
			return false;
	return strcspn(id, "/\n") == strlen(id);
}

static int check_intel_rdt(const struct oci_spec *spec, struct err *e)
{
	const struct oci_intel_rdt *rdt = spec->linux->intel_rdt;

	if (!rdt)
		return 0;
	if (rdt->clos_id && !is_clos_id(rdt->clos_id))
		return bad(e, "/linux/intelRdt/closID: '%.80s' is no name of a class", rdt->clos_id);
	if (rdt->mem_bw_schema && *rdt->mem_bw_schema &&
	    (!str_starts(rdt->mem_bw_schema, "MB:") || strchr(rdt->mem_bw_schema, '\n')))
		return bad(e, "/linux/intelRdt/memBwSchema: must be one line that begins with 'MB:'");
	for (size_t i = 0; i < rdt->schemata.n; i++)
		if (strchr(rdt->schemata.v[i], '\n'))
			return bad(e, "/linux/intelRdt/schemata/%zu: must be one line", i);
	return 0;
}

static int check_memory_policy(const struct oci_spec *spec, struct err *e)
{
	const struct oci_memory_policy *m = spec->linux->memory_policy;
	int64_t all = 0, fixed, relative;

	if (!m)
		return 0;
	if (m->nodes && !check_is_list(m->nodes))
		return bad(e, "/linux/memoryPolicy/nodes: invalid memory policy node '%.80s'", m->nodes);
	for (size_t i = 0; i < m->flags.n; i++)
		all |= m->flags.v[i];
	names_value(&names_mpol_flags, "MPOL_F_STATIC_NODES", &fixed);
	names_value(&names_mpol_flags, "MPOL_F_RELATIVE_NODES", &relative);
	if ((all & fixed) && (all & relative))
		return bad(e, "/linux/memoryPolicy/flags: invalid memory policy flag: nodes are both static and "
			      "relative");
	return 0;
}

static int check_personality(const struct oci_spec *spec, struct err *e)
{
	const struct oci_personality *p = spec->linux->personality;

	if (p && p->flags.n > 0)
		return bad(e, "/linux/personality/flags/0: unsupported flag '%.80s'", p->flags.v[0]);
	return 0;
}

static int check_sysctl_rows(const struct oci_spec *spec, struct err *e)
{
	return check_sysctls(spec, "/linux/sysctl", e);
}

static int check_limits(const struct oci_spec *spec, struct err *e)
{
	return spec->linux->resources ? check_resources(spec->linux->resources, "/linux/resources", e) : 0;
}

static int check_filter(const struct oci_spec *spec, struct err *e)
{
	return spec->linux->seccomp ? check_seccomp(spec->linux->seccomp, "/linux/seccomp", e) : 0;
}

int check_linux(const struct oci_spec *spec, struct err *e)
{
	static int (*const rules[])(const struct oci_spec *, struct err *) = {
		check_namespaces,    check_userns,      check_time,       check_devices,     check_net_devices,
		check_cgroups_path,  check_limits,      check_filter,     check_propagation, check_paths,
		check_sysctl_rows,   check_intel_rdt,   check_memory_policy, check_personality,
	};

	for (size_t i = 0; spec->linux && i < ARRAY_SIZE(rules); i++) {
		int r = rules[i](spec, e);

		if (r < 0)
			return r;
	}
	return 0;
}
