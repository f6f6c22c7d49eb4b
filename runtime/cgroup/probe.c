// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fs.h"
#include "runtime/base/str.h"

/* What this host has.  Engines start a container in milliseconds, and mountinfo of a busy host is long: the
 * conventional places below /sys/fs/cgroup are looked at instead, named by the lines of /proc/self/cgroup.  A
 * hierarchy that is mounted elsewhere counts as absent. */

static bool is_there(const char *dir, const char *file, struct arena *a)
{
	const char *path = arena_printf(a, "%s/%s", dir, file);

	return path && faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

/* Our own cgroup as a path below the mount.  Inside a container it may lie outside of what is mounted, by a cgroup
 * namespace ("/../..") or by a bind mount: then the root of the mount is all there is. */
static const char *own_path(const char *dir, const char *path, struct arena *a)
{
	if (strcmp(path, "/") == 0 || strstr(path, "/..") || path[0] != '/')
		return "/";
	return is_there(dir, path + 1, a) ? path : "/";
}

static int add_mount(struct cg_host *host, struct cg_mount m, struct arena *a, struct err *e)
{
	if (!m.dir || !m.controllers)
		return err_oom(e);
	if (host->n == CG_HIERS_MAX)
		return err_set(e, ERR_UNSUPPORTED, 0, "more than %d cgroup hierarchies", CG_HIERS_MAX);
	m.own_path = own_path(m.dir, m.own_path, a);
	host->mounts[host->n++] = m;
	return 0;
}

/* The controllers that are offered: words of cgroup.controllers, comma-separated. */
static int add_v2(struct cg_host *host, const char *dir, const char *own, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	const char *path = arena_printf(a, "%s/cgroup.controllers", dir);
	int r;

	if (!path)
		return err_oom(e);
	r = fs_read(AT_FDCWD, path, 4096, &text, e);
	if (r < 0)
		return r;
	char *list = arena_strdup(a, str_cstr(&text));
	if (!list)
		return err_oom(e);
	list[strcspn(list, "\n")] = '\0';
	for (char *p = list; *p; p++)
		if (*p == ' ')
			*p = ',';
	return add_mount(host, (struct cg_mount){ dir, list, own, true }, a, e);
}

/* "cpu,cpuacct" is mounted under that name, in the other order, or under one of the names (which may be a link). */
static const char *find_v1(const char *base, const char *controllers, struct arena *a)
{
	const char *names = str_starts(controllers, "name=") ? controllers + 5 : controllers;
	const char *dir = arena_printf(a, "%s/%s", base, names);

	if (!dir || is_there(dir, "cgroup.procs", a))
		return dir;
	for (const char *p = names; *p;) {
		size_t len = strcspn(p, ",");

		dir = arena_printf(a, "%s/%.*s", base, (int)len, p);
		if (!dir || is_there(dir, "cgroup.procs", a))
			return dir;
		p += len + (p[len] == ',');
	}
	return NULL;
}

static int add_v1(struct cg_host *host, const char *base, const char *controllers, const char *own, struct arena *a,
		  struct err *e)
{
	const char *dir;

	if (strchr(controllers, '/')) /* a named hierarchy may be called anything */
		return 0;
	dir = find_v1(base, controllers, a);
	return dir ? add_mount(host, (struct cg_mount){ dir, controllers, own, false }, a, e) : 0;
}

/* One line of /proc/self/cgroup: "4:memory:/a", "9:name=systemd:/", "0::/b". */
static int add_line(struct cg_host *host, const char *base, const char *v2_dir, char *line, struct arena *a,
		    struct err *e)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!path)
		return 0;
	*path++ = '\0';
	controllers++;
	if (*controllers == '\0')
		return v2_dir ? add_v2(host, v2_dir, path, a, e) : 0;
	return add_v1(host, base, controllers, path, a, e);
}

static enum cg_mode mode_of(const struct cg_host *host)
{
	bool v1 = false, v2 = false;

	for (size_t i = 0; i < host->n; i++)
		*(host->mounts[i].v2 ? &v2 : &v1) = true;
	if (v1 && v2)
		return CG_HYBRID;
	if (v2)
		return CG_V2;
	return v1 ? CG_V1 : CG_NONE;
}

int cg_host_probe(const char *root, struct cg_host *ret, struct arena *a, struct err *e)
{
	const char *base = arena_printf(a, "%s/sys/fs/cgroup", root ? root : "");
	const char *unified = arena_printf(a, "%s/sys/fs/cgroup/unified", root ? root : "");
	const char *self = arena_printf(a, "%s/proc/self/cgroup", root ? root : "");
	cleanup_str struct str text = { 0 };
	const char *v2_dir = NULL;
	struct cg_host host = { 0 };
	int r;

	if (!base || !unified || !self)
		return err_oom(e);
	if (is_there(base, "cgroup.controllers", a))
		v2_dir = base;
	else if (is_there(unified, "cgroup.controllers", a))
		v2_dir = unified;
	r = fs_read(AT_FDCWD, self, (size_t)1 << 20, &text, e);
	if (r < 0 && e->num == ENOENT) { /* a kernel without cgroups */
		*ret = (struct cg_host){ .mode = CG_NONE };
		return 0;
	}
	if (r < 0)
		return r;
	char *rest = arena_strdup(a, str_cstr(&text));
	if (!rest)
		return err_oom(e);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		r = add_line(&host, base, v2_dir, line, a, e);
		if (r < 0)
			return err_wrap(e, "cgroups");
	}
	host.mode = mode_of(&host);
	*ret = host;
	return 0;
}
