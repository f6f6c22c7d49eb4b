// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/rdt.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"

#ifndef RDTGROUP_SUPER_MAGIC
#define RDTGROUP_SUPER_MAGIC 0x7655821
#endif

#define RESCTRL	     "/sys/fs/resctrl"
#define SCHEMATA_MAX ((size_t)64 << 10)

static int open_root(const char *root, struct err *e)
{
	struct statfs st;
	cleanup_fd int fd = open(root ? root : RESCTRL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, ERR_UNSUPPORTED, errno,
			       "/linux/intelRdt: resctrl is not mounted at %s", RESCTRL);
	if (!root && (fstatfs(fd, &st) < 0 || (unsigned long)st.f_type != RDTGROUP_SUPER_MAGIC))
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "/linux/intelRdt: resctrl is not mounted at %s", RESCTRL);
	return fd_take(&fd);
}

/* "/" is the root class; without closID the container's id names the class. */
static bool is_root_class(const struct oci_intel_rdt *rdt)
{
	return str_eq(rdt->clos_id, "/");
}

static const char *class_name(const char *id, const struct oci_intel_rdt *rdt)
{
	return is_root_class(rdt) ? "." : rdt->clos_id && rdt->clos_id[0] ? rdt->clos_id : id;
}

/* One component, and none of the files and directories that resctrl itself keeps at that level. */
static int check_class(const char *name, struct err *e)
{
	if (strcmp(name, "..") == 0 || strchr(name, '/') || strchr(name, '\n') ||
	    strcmp(name, "info") == 0 || str_starts(name, "mon_"))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "/linux/intelRdt/closID: '%s' is no name of a class", name);
	return 0;
}

/* The kernel explains a refused write in words. */
static void last_status(int root, struct str *text, struct err *e)
{
	char why[256] = "";
	cleanup_fd int fd = openat(root, "info/last_cmd_status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, why, sizeof why - 1);

	while (n > 0 && isspace((unsigned char)why[n - 1]))
		why[--n] = '\0';
	if (n > 0 && strcmp(why, "ok") != 0)
		err_wrap(e, "%s (%s)", str_cstr(text), why);
	else
		err_wrap(e, "%s", str_cstr(text));
}

static int write_line(int root, int class, const char *line, struct err *e)
{
	cleanup_str struct str with_end = {0};
	cleanup_str struct str where = {0};
	int r;

	str_addf(&with_end, "%s\n", line); /* without its end the kernel refuses a line */
	str_addf(&where, "intelRdt: schemata '%s'", line);
	if (str_failed(&with_end) || str_failed(&where))
		return err_oom(e);
	r = fs_write(class, "schemata", str_cstr(&with_end), e);
	if (r < 0)
		last_status(root, &where, e);
	return r;
}

/* The order of the spec: l3CacheSchema, memBwSchema, then schemata, whose later lines may correct
 * the first two. */
static int each_line(const struct oci_intel_rdt *rdt,
		     int (*f)(void *data, const char *line, struct err *e), void *data,
		     struct err *e)
{
	const char *whole[2] = {rdt->l3_cache_schema, rdt->mem_bw_schema};

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): `text` is freed by its attribute */
	for (size_t i = 0; i < ARRAY_SIZE(whole) + rdt->schemata.n; i++) {
		cleanup_free char *text = NULL;
		const char *source =
			i < ARRAY_SIZE(whole) ? whole[i] : rdt->schemata.v[i - ARRAY_SIZE(whole)];
		char *rest, *line;

		if (!source)
			continue;
		text = rest = strdup(source);
		if (!text)
			return err_oom(e);
		while ((line = strsep(&rest, "\n"))) {
			/* An l3 schema brings no bandwidth: memBwSchema alone says that, whatever
			 * an engine copied. */
			if (line[0] == '\0' ||
			    (i == 0 && rdt->mem_bw_schema && str_starts(line, "MB:")))
				continue;
			int r = f(data, line, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

struct target {
	int root, class;
};

static int write_one(void *data, const char *line, struct err *e)
{
	const struct target *t = data;

	return write_line(t->root, t->class, line, e);
}

/* ---- comparing with a class that exists ---- */

/* Is domain=value of the wish what the class has?  Numbers of cache masks are compared as the
 * kernel prints them: hexadecimal, maybe with leading zeros or commas; bandwidths may be rounded up
 * by the kernel but are printed rounded. */
static bool same_value(const char *a, size_t a_len, const char *b, size_t b_len)
{
	while (a_len > 1 && *a == '0')
		a++, a_len--;
	while (b_len > 1 && *b == '0')
		b++, b_len--;
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* "0=ff;1=f": the value of that domain, trimmed. */
static bool find_domain(const char *list, const char *domain, size_t domain_len, const char **ret,
			size_t *ret_len)
{
	while (*list) {
		size_t len = strcspn(list, ";\n"), eq;

		while (*list == ' ')
			list++, len--;
		eq = strcspn(list, "=");
		if (eq < len && same_value(list, eq, domain, domain_len)) {
			*ret = list + eq + 1;
			*ret_len = len - eq - 1;
			return true;
		}
		list += len;
		if (*list != ';')
			return false;
		list++;
	}
	return false;
}

/* The line of that resource ("L3", "MB") in a schemata file, after its colon. */
static const char *find_resource(const char *file, const char *name, size_t len)
{
	for (const char *p = file; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		while (*p == ' ')
			p++;
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return p + len + 1;
	}
	return NULL;
}

static bool line_holds(const char *file, const char *line)
{
	size_t name_len = strcspn(line, ":");
	const char *has = line[name_len] == ':' ? find_resource(file, line, name_len) : NULL,
		   *p = line + name_len + 1;

	if (!has)
		return false;
	while (*p) {
		const char *value;
		size_t len = strcspn(p, ";"), value_len, eq;

		while (*p == ' ')
			p++, len--;
		eq = strcspn(p, "=");
		if (eq >= len || !find_domain(has, p, eq, &value, &value_len) ||
		    !same_value(p + eq + 1, len - eq - 1, value, value_len))
			return false;
		p += len;
		p += *p == ';';
	}
	return true;
}

struct comparison {
	const char *file;
	const char *name;
};

static int compare_one(void *data, const char *line, struct err *e)
{
	const struct comparison *c = data;

	if (line_holds(c->file, line))
		return 0;
	return err_set(
		e, ERR_CONFIG, EEXIST,
		"/linux/intelRdt/closID: the class '%s' exists and has another schema than '%s'",
		c->name, line);
}

static int compare_class(int class, const char *name, const struct oci_intel_rdt *rdt,
			 struct err *e)
{
	cleanup_str struct str file = {0};
	struct comparison c = {.name = name};
	int r = fs_read(class, "schemata", SCHEMATA_MAX, &file, e);

	if (r < 0)
		return err_wrap(e, "intelRdt: class %s", name);
	c.file = str_cstr(&file);
	return each_line(rdt, compare_one, &c, e);
}

/* ---- groups ---- */

static bool has_schema(const struct oci_intel_rdt *rdt)
{
	return rdt->l3_cache_schema || rdt->mem_bw_schema || rdt->schemata.n > 0;
}

static bool names_class(const struct oci_intel_rdt *rdt)
{
	return rdt->clos_id && rdt->clos_id[0];
}

/* A closID without a schema means a class that somebody else has prepared: it must be there. */
static int open_class(int root, const char *name, const struct oci_intel_rdt *rdt,
		      bool *ret_created, struct err *e)
{
	bool created = false;
	int fd;

	if (!names_class(rdt) || (has_schema(rdt) && !is_root_class(rdt))) {
		created = mkdirat(root, name, 0755) == 0;
		if (!created && errno == ENOSPC)
			return err_set(e, ERR_KERNEL, ENOSPC,
				       "intelRdt: no class of service is left for %s", name);
		if (!created && errno != EEXIST)
			return err_sys(e, "intelRdt: make the class %s", name);
	}
	fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !created)
		return err_set(e, ERR_CONFIG, ENOENT,
			       "/linux/intelRdt/closID: there is no class '%s'", name);
	if (fd < 0) {
		int r = err_sys(e, "intelRdt: open the class %s", name);

		if (created)
			unlinkat(root, name, AT_REMOVEDIR);
		return r;
	}
	*ret_created = created;
	return fd;
}

static int write_task(int group, pid_t pid, struct err *e)
{
	char text[16];

	snprintf(text, sizeof text, "%d", (int)pid);
	return fs_write(group, "tasks", text, e);
}

static int make_monitor(int class, const char *id, pid_t pid, bool *ret_created, struct err *e)
{
	cleanup_fd int groups = openat(class, "mon_groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool created = false;
	int r;

	if (groups < 0)
		return err_set(e, ERR_UNSUPPORTED, errno,
			       "/linux/intelRdt/enableMonitoring: resctrl has no monitoring here");
	created = mkdirat(groups, id, 0755) == 0;
	if (!created && errno != EEXIST)
		return err_sys(e, "intelRdt: make the monitoring group %s", id);
	cleanup_fd int group = openat(groups, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = group < 0 ? err_sys(e, "intelRdt: monitoring group %s", id) : write_task(group, pid, e);
	if (r < 0 && created)
		unlinkat(groups, id, AT_REMOVEDIR);
	if (r == 0)
		*ret_created = created;
	return r;
}

static int fill_class(int root, int class, const char *name, const char *id,
		      const struct oci_intel_rdt *rdt, bool created, pid_t pid, bool *ret_mon,
		      struct err *e)
{
	struct target t = {root, class};
	/* A class that has a name and was there belongs to whoever made it, as the root class
	 * belongs to the host: its schema is compared, not changed.  One named after the container
	 * takes what the document says. */
	bool compare = !created && names_class(rdt);
	int r = compare ? compare_class(class, name, rdt, e) : each_line(rdt, write_one, &t, e);

	if (r == 0)
		r = write_task(class, pid, e);
	/* A process can only join a monitoring group of the class that it is in. */
	if (r == 0 && rdt->enable_monitoring.set && rdt->enable_monitoring.v)
		r = make_monitor(class, id, pid, ret_mon, e);
	return r;
}

int rdt_apply(const char *root_path, const char *id, const struct oci_intel_rdt *rdt, pid_t pid,
	      bool *ret_created_clos, bool *ret_created_mon, struct err *e)
{
	const char *name = class_name(id, rdt);
	bool created = false, mon = false;
	int r = check_class(name, e);

	if (r < 0)
		return r;
	cleanup_fd int root = open_root(root_path, e);
	if (root < 0)
		return root;
	cleanup_fd int class = open_class(root, name, rdt, &created, e);
	if (class < 0)
		return class;
	r = fill_class(root, class, name, id, rdt, created, pid, &mon, e);
	if (r < 0) {
		if (created)
			unlinkat(root, name, AT_REMOVEDIR);
		return r;
	}
	*ret_created_clos = created;
	*ret_created_mon = mon;
	return 0;
}

int rdt_update(const char *root_path, const char *id, const struct oci_intel_rdt *rdt,
	       struct err *e)
{
	const char *name = class_name(id, rdt);
	int r = check_class(name, e);

	if (r < 0)
		return r;
	cleanup_fd int root = open_root(root_path, e);
	if (root < 0)
		return root;
	cleanup_fd int class = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (class < 0)
		return err_sys(e, "intelRdt: open the class %s", name);
	struct target t = {root, class};
	return each_line(rdt, write_one, &t, e);
}

/* resctrl's groups go by one rmdir, with what they hold. */
static void remove_group(int dir, const char *name)
{
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		log_warn("intelRdt: remove %s: %s", name, strerror(errno));
}

void rdt_remove(const char *root_path, const char *id, const struct oci_intel_rdt *rdt, bool clos,
		bool mon)
{
	const char *name = class_name(id, rdt);
	struct err e;

	if ((!clos && !mon) || check_class(name, &e) < 0)
		return;
	cleanup_fd int root = open_root(root_path, &e);
	if (root < 0)
		return;
	cleanup_fd int class = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int groups =
		class < 0 ? -1 : openat(class, "mon_groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mon && groups >= 0)
		remove_group(groups, id);
	if (clos && strcmp(name, ".") != 0)
		remove_group(root, name);
}
