// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/creds.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/procfs.h"

/* UID_GID_MAP_MAX_EXTENTS; more is EINVAL without a word. */
#define MAX_LINES 340
#define HELPER_TIMEOUT 30

/* What differs between the two maps. */
struct map_kind {
	const char *file, *helper, *ranges, *field;
	bool group;
};

static const struct map_kind kind_uid = { "uid_map", "newuidmap", "/etc/subuid", "/linux/uidMappings", false };
static const struct map_kind kind_gid = { "gid_map", "newgidmap", "/etc/subgid", "/linux/gidMappings", true };

static int map_text(const struct map_kind *k, const struct oci_idmaps *maps, struct str *ret, struct err *e)
{
	if (maps->n > MAX_LINES)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: %zu lines, the kernel takes %d", k->file, maps->n, MAX_LINES);
	for (size_t i = 0; i < maps->n; i++)
		str_addf(ret, "%u %u %u\n", maps->v[i].container_id, maps->v[i].host_id, maps->v[i].size);
	return str_failed(ret) ? err_oom(e) : 0;
}

static bool is_own(const struct map_kind *k, const struct oci_idmap *m)
{
	return m->size == 1 && m->host_id == (k->group ? getegid() : geteuid());
}

static bool maps_own_id(const struct map_kind *k, const struct oci_idmaps *maps)
{
	return maps->n == 1 && is_own(k, &maps->v[0]);
}

/* The helper is set-user-id: only absolute directories of PATH, so that no working directory can offer one. */
static int find_helper(const char *name, char *buf, size_t size)
{
	const char *dirs = getenv("PATH");

	if (!dirs || !*dirs)
		dirs = "/usr/sbin:/usr/bin:/sbin:/bin";
	while (*dirs) {
		size_t n = strcspn(dirs, ":");

		if (*dirs == '/' && snprintf(buf, size, "%.*s/%s", (int)n, dirs, name) < (int)size &&
		    access(buf, X_OK) == 0)
			return 0;
		dirs += n + (dirs[n] == ':');
	}
	return -ENOENT;
}

/* "newuidmap PID INSIDE OUTSIDE COUNT ...". */
static int helper_args(const char *name, pid_t pid, const struct oci_idmaps *maps, struct str *numbers,
		       const char ***ret_argv, struct err *e)
{
	size_t n = maps->n * 3, i = 0;
	const char **argv = calloc(n + 3, sizeof *argv);
	char *p;

	if (!argv)
		return err_oom(e);
	str_addf(numbers, "%d", (int)pid);
	for (size_t line = 0; line < maps->n; line++)
		str_addf(numbers, " %u %u %u", maps->v[line].container_id, maps->v[line].host_id, maps->v[line].size);
	if (str_failed(numbers)) {
		free(argv);
		return err_oom(e);
	}
	argv[i++] = name;
	for (p = numbers->s; p; ) {
		argv[i++] = strsep(&p, " ");
	}
	*ret_argv = argv;
	return 0;
}

static void free_argv(const char ***argv)
{
	free(*argv);
}

/* The first range that needs somebody's permission: what the user has to ask for. */
static const struct oci_idmap *foreign_range(const struct map_kind *k, const struct oci_idmaps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		if (!is_own(k, &maps->v[i]))
			return &maps->v[i];
	return &maps->v[0];
}

static int hint_range(const struct map_kind *k, const struct oci_idmaps *maps, struct err *e)
{
	const struct oci_idmap *m = foreign_range(k, maps);

	return err_hint(e, "%s: host ids %u to %u must be granted by root, for instance by the line %u:%u:%u in %s", k->field,
			m->host_id, m->host_id + (m->size - 1), (unsigned)getuid(), m->host_id, m->size, k->ranges);
}

/* Whether every host id of the map has a place in our own user namespace, without which nobody could grant it. */
static bool is_here(const struct map_kind *k, const struct oci_idmap *m)
{
	cleanup_str struct str text = { 0 };
	unsigned inside, outside, count;
	struct err ignored;
	int used;

	if (fs_read(AT_FDCWD, k->group ? "/proc/self/gid_map" : "/proc/self/uid_map", 65536, &text, &ignored) < 0)
		return true;
	for (const char *p = str_cstr(&text); sscanf(p, "%u %u %u %n", &inside, &outside, &count, &used) == 3; p += used)
		if (m->host_id >= inside && m->host_id - inside < count && m->size <= count - (m->host_id - inside))
			return true;
	return false;
}

static int check_here(const struct map_kind *k, const struct oci_idmaps *maps, struct err *e)
{
	for (size_t i = 0; i < maps->n; i++) {
		const struct oci_idmap *m = &maps->v[i];

		if (!is_here(k, m))
			return err_set(e, ERR_KERNEL, EPERM, "%s/%zu: host ids %u to %u are not (all) mapped in the user "
				       "namespace that vzrun runs in: /proc/self/%s tells which are", k->field, i, m->host_id,
				       m->host_id + (m->size - 1), k->file);
		/* Linux 5.12: capabilities of files that root there writes would be valid here. */
		if (m->host_id == 0 && !k->group && !creds_capable(CAP_SETFCAP))
			return err_set(e, ERR_KERNEL, EPERM, "%s/%zu: host id 0 can be mapped only with CAP_SETFCAP", k->field, i);
	}
	return 0;
}

static int run_helper(const struct map_kind *k, pid_t pid, const struct oci_idmaps *maps, struct err *e)
{
	__attribute__((cleanup(free_argv))) const char **argv = NULL;
	cleanup_str struct str numbers = { 0 }, output = { 0 };
	char path[PATH_MAX], text[64];
	struct proc_run run = { .path = path, .keep = 512, .timeout = HELPER_TIMEOUT, .cwd_fd = -1 };
	int r;

	r = check_here(k, maps, e);
	if (r < 0)
		return r;
	if (find_helper(k->helper, path, sizeof path) < 0) {
		err_set(e, ERR_KERNEL, EPERM, "write %s (no %s found in PATH: package uidmap)", k->file, k->helper);
		return hint_range(k, maps, e);
	}
	r = helper_args(k->helper, pid, maps, &numbers, &argv, e);
	if (r < 0)
		return r;
	run.argv = argv;
	r = proc_run(&run, &output, e);
	if (r < 0)
		return r;
	if (r == 0)
		return 0;
	err_set(e, ERR_KERNEL, EPERM, "%s: %s: %.*s", k->helper, proc_status_text(r, text, sizeof text),
		(int)strcspn(str_cstr(&output), "\n"), str_cstr(&output));
	return hint_range(k, maps, e);
}

/* The kernel itself decides whether we may: an attempt costs less than finding out, and one that fails leaves the
 * map unwritten. */
static int write_map(int procfs, pid_t pid, const struct map_kind *k, const struct oci_idmaps *maps, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char path[32];
	int r;

	if (maps->n == 0)
		return 0;
	r = map_text(k, maps, &text, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%d/%s", (int)pid, k->file);
	r = procfs_write(procfs, path, str_cstr(&text), e);
	if (r >= 0 || e->num != EPERM)
		return r;
	if (!k->group || !maps_own_id(k, maps))
		return run_helper(k, pid, maps, e);
	/* A group that is there to deny access must not be dropped by an unprivileged user (CVE-2014-8989). */
	snprintf(path, sizeof path, "%d/setgroups", (int)pid);
	r = procfs_write(procfs, path, "deny", e);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%d/%s", (int)pid, k->file);
	return procfs_write(procfs, path, str_cstr(&text), e);
}

int idmap_write(int procfs, pid_t pid, const struct oci_idmaps *uid, const struct oci_idmaps *gid, struct err *e)
{
	/* Groups first: once the user map is there, the namespace's own root could write the other one. */
	int r = write_map(procfs, pid, &kind_gid, gid, e);

	return r < 0 ? r : write_map(procfs, pid, &kind_uid, uid, e);
}

/* A process that does nothing and ends with us. */
struct parked {
	pid_t pid;
	int pidfd, pipe;
};

static void parked_done(struct parked *p)
{
	fd_close(&p->pipe); /* its read(2) returns */
	if (p->pid > 0)
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	fd_close(&p->pidfd);
}

static int park(struct parked *ret, struct err *e)
{
	struct clone_options o = { .flags = CLONE_NEWUSER, .cgroup_fd = -1, .want_pidfd = true };
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int theirs = ends[0];
	ret->pipe = ends[1];
	pid = clone_process(&o, &ret->pidfd, e);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		char c;

		close(ends[1]);
		while (read(theirs, &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	ret->pid = pid;
	return 0;
}

int idmap_userns(int procfs, const struct oci_idmaps *uid, const struct oci_idmaps *gid, struct err *e)
{
	__attribute__((cleanup(parked_done))) struct parked p = { .pid = -1, .pidfd = -1, .pipe = -1 };
	cleanup_fd int fd = -1;
	char path[32];
	int r = park(&p, e);

	if (r < 0)
		return err_wrap(e, "user namespace of a mount");
	r = idmap_write(procfs, p.pid, uid, gid, e);
	if (r < 0)
		return err_wrap(e, "user namespace of a mount");
	/* A magic link of our own child in our own procfs; the type says that it led where it should. */
	snprintf(path, sizeof path, "%d/ns/user", (int)p.pid);
	fd = openat(procfs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /proc/%s", path);
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWUSER)
		return err_set(e, ERR_INTERNAL, 0, "/proc/%s is not a user namespace", path);
	return fd_take(&fd);
}

int64_t idmap_to_host(const struct oci_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++) {
		const struct oci_idmap *m = &maps->v[i];

		if (id >= m->container_id && id - m->container_id < m->size)
			return (int64_t)m->host_id + (id - m->container_id);
	}
	return -1;
}
