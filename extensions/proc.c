// SPDX-License-Identifier: LGPL-2.1-or-later

/* proc: the container sees its own machine.
 *
 * With lxcfs its files are bound over those of /proc and /sys; with or without, uptime begins at zero by a time namespace,
 * and the container has a boot_id of its own.  All of it becomes part of the document, whose mounts are made as all others
 * are.  What comes from lxcfs is recorded: `reattach` replaces exactly these mounts after lxcfs has been restarted. */

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "extensions/proc.h"
#include "extensions/registry.h"
#include "extensions/values.h"
#include "oci/rows.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/path.h"
#include "runtime/linux/cover.h"
#include "runtime/linux/mount.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define LXCFS "/var/lib/lxcfs"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_FILE "boot_id"
#define COVER_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Where they lie in lxcfs and in a container. */
static const char *const files[] = {
	"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
	"/sys/devices/system/cpu/online",
};

enum mode { PROC_UNSET, PROC_OFF, PROC_AUTO, PROC_ON };

static const char *const words[] = { [PROC_UNSET] = "", [PROC_OFF] = "off", [PROC_AUTO] = "auto", [PROC_ON] = "on", NULL };

struct proc {
	unsigned mode; /* enum mode */
};

struct proc_saved {
	struct oci_strs files; /* covered by lxcfs's */
	struct oci_strs made;  /* at creation: in the kept document, and yet not the document's */
	const char *boot_id;   /* NULL: the host's is seen */
};

/* ---- values ---- */

VALUE_CHOICE(value_mode, words, "off|auto|on")

static const struct ext_row rows[] = {
	{ .name = "proc", .offset = EXT_MEMBER(struct proc, mode), .value = &value_mode, .action = "reattach",
	  .help = "The container sees its own machine: memory, CPUs, load, uptime and boot_id",
	  .doc = "By lxcfs, by a time namespace and by a file. on: without lxcfs it is an error; auto: without lxcfs only what "
		 "needs none. reattach, for set only: mounts that died with a former lxcfs are replaced. Time namespace and "
		 "boot_id come at creation only." },
	EXT_ROWS_END,
};

static const struct oci_field proc_saved_fields[] = {
	STRS(struct proc_saved, files, "files"),
	STRS(struct proc_saved, made, "made"),
	STR(struct proc_saved, boot_id, "bootIdText"),
	ROW_END
};
static TABLE(proc_saved);

static bool wanted(const struct proc *c)
{
	return c->mode == PROC_AUTO || c->mode == PROC_ON;
}

/* ---- lxcfs ---- */

/* A dead one does not answer. */
static bool lxcfs_runs(void)
{
	struct statfs fs;

	return statfs(LXCFS "/proc", &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
}

/* Older versions have fewer files. */
static bool lxcfs_has(const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, LXCFS "%s", file);
	return access(path, F_OK) == 0;
}

static int no_lxcfs(const struct ext_env *env, struct err *e)
{
	return ext_refuse(env, e, "proc", "lxcfs is not running: nothing answers in " LXCFS);
}

/* ---- uptime ---- */

struct oci_time_offset proc_zero_offset(struct timespec now, int64_t own_s, int64_t own_ns)
{
	int64_t s = own_s - (int64_t)now.tv_sec, ns = own_ns - (int64_t)now.tv_nsec;

	for (; ns < 0; ns += 1000000000)
		s--;
	return (struct oci_time_offset){ .secs = s, .nanosecs = (uint32_t)ns };
}

/* "monotonic 0 0": offsets count from the host's clocks, while ours may be those of a time namespace. */
static void own_offset(const char *text, const char *clock, int64_t *ret_s, int64_t *ret_ns)
{
	const char *line = text ? strstr(text, clock) : NULL;
	long long s = 0, ns = 0;

	if (line)
		sscanf(line + strlen(clock), "%lld %lld", &s, &ns);
	*ret_s = s;
	*ret_ns = ns;
}

static struct oci_time_offset *offset_of(const struct ext_env *env, const char *text, const char *name, clockid_t clock)
{
	struct oci_time_offset *ret = arena_new(env->arena, struct oci_time_offset);
	struct timespec now;
	int64_t s, ns;

	if (!ret || clock_gettime(clock, &now) < 0)
		return NULL;
	own_offset(text, name, &s, &ns);
	*ret = proc_zero_offset(now, s, ns);
	return ret;
}

static int add_namespace(struct ext_env *env, int64_t type, struct err *e)
{
	struct oci_namespaces *list = &env->spec->linux->namespaces;
	struct oci_namespace *more = arena_alloc_n(env->arena, list->n + 1, sizeof *more);

	if (!more)
		return err_oom(e);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = (struct oci_namespace){ .type = type };
	*list = (struct oci_namespaces){ more, list->n + 1 };
	return 0;
}

/* Where the document has a time namespace it decides itself. */
static int add_time(struct ext_env *env, const struct proc *c, struct err *e)
{
	cleanup_str struct str own = { 0 };
	struct oci_time_offsets *o;

	if (oci_namespace(env->spec, CLONE_NEWTIME) || env->spec->linux->time_offsets)
		return 0;
	if (fs_read(AT_FDCWD, "/proc/self/timens_offsets", 4096, &own, e) < 0) {
		if (c->mode == PROC_ON)
			ext_warn(env, "proc", "this kernel has no time namespaces: clocks go on as the host's");
		return 0;
	}
	o = arena_new(env->arena, struct oci_time_offsets);
	if (!o)
		return err_oom(e);
	o->monotonic = offset_of(env, str_cstr(&own), "monotonic", CLOCK_MONOTONIC);
	o->boottime = offset_of(env, str_cstr(&own), "boottime", CLOCK_BOOTTIME);
	env->spec->linux->time_offsets = o;
	return o->monotonic && o->boottime ? add_namespace(env, CLONE_NEWTIME, e) : err_oom(e);
}

/* ---- mounts ---- */

static const struct oci_mount *mount_on(const struct oci_spec *spec, const char *target)
{
	for (size_t i = spec->mounts.n; i-- > 0;) {
		const char *dest = spec->mounts.v[i].destination;
		char abs[PATH_MAX], clean[PATH_MAX];

		snprintf(abs, sizeof abs, "/%s", dest);
		if (path_clean(abs, clean, sizeof clean) >= 0 && strcmp(clean, target) == 0)
			return &spec->mounts.v[i];
	}
	return NULL;
}

/* The kernel's, new or the host's: not a directory of somebody, where a link may lie, or nothing.  A procfs of processes
 * only has none of the files, and a mount that is shared with the host would give it ours. */
static bool is_usable(const struct oci_mount *m, const char *fs)
{
	static const char *const unfit[] = { "subset=pid", "shared", "rshared" };

	if (!m || !(str_eq(m->type, fs) || str_eq(m->source, m->destination)))
		return false;
	for (size_t i = 0; i < m->options.n; i++)
		for (size_t j = 0; j < ARRAY_SIZE(unfit); j++)
			if (strcmp(m->options.v[i], unfit[j]) == 0)
				return false;
	return true;
}

/* Behind all others.  What the document mounts there itself stays. */
static int add_mount(struct ext_env *env, const char *target, const char *source, bool *ret_added, struct err *e)
{
	static const char *options[] = { "bind", "ro", "nosuid", "nodev", "noexec", NULL };
	struct oci_mounts *list = &env->spec->mounts;
	struct oci_mount *more;

	*ret_added = false;
	if (mount_on(env->spec, target))
		return 0;
	more = arena_alloc_n(env->arena, list->n + 1, sizeof *more);
	if (!more || !source)
		return err_oom(e);
	memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = (struct oci_mount){
		.destination = target, .type = "bind", .source = source, .options = { options, ARRAY_SIZE(options) - 1 },
	};
	*list = (struct oci_mounts){ more, list->n + 1 };
	*ret_added = true;
	return 0;
}

static int room_for_files(struct proc_saved *s, struct arena *a, struct err *e)
{
	s->files = (struct oci_strs){ arena_alloc_n(a, ARRAY_SIZE(files) + 1, sizeof *s->files.v), 0 };
	return s->files.v ? 0 : err_oom(e);
}

static int add_files(struct ext_env *env, struct proc_saved *s, struct err *e)
{
	bool sys = is_usable(mount_on(env->spec, "/sys"), "sysfs");

	if (!lxcfs_runs())
		return 0;
	if (room_for_files(s, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		bool added;

		if ((str_starts(files[i], "/sys/") && !sys) || !lxcfs_has(files[i]))
			continue;
		if (add_mount(env, files[i], arena_printf(env->arena, LXCFS "%s", files[i]), &added, e) < 0)
			return err_ret(e);
		if (added)
			s->files.v[s->files.n++] = files[i];
	}
	s->made = s->files;
	return 0;
}

/* The kept document has what creation added as well. */
static bool is_of_document(const struct ext_env *env, const struct proc_saved *s, const char *file)
{
	return env->spec && mount_on(env->spec, file) && !value_listed(&s->made, file);
}

/* ---- boot_id ---- */

void proc_uuid(uint8_t bytes[16], char buf[PROC_UUID_SIZE])
{
	size_t o = 0;

	bytes[6] = (bytes[6] & 0x0f) | 0x40; /* version 4: random */
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < 16; i++) {
		bool group = i == 4 || i == 6 || i == 8 || i == 10;

		o += (size_t)snprintf(buf + o, PROC_UUID_SIZE - o, "%s%02x", group ? "-" : "", bytes[i]);
	}
}

/* An image is another host's word. */
static bool is_uuid(const char *text)
{
	return strlen(text) == PROC_UUID_SIZE - 1 && strspn(text, "0123456789abcdef-") == PROC_UUID_SIZE - 1;
}

/* A restored container has not booted again. */
static int choose_boot_id(const struct ext_env *env, struct proc_saved *s, struct err *e)
{
	char text[PROC_UUID_SIZE];
	uint8_t bytes[16];
	void *former;

	if (ext_before(env, &ext_proc, &former, e) < 0)
		return err_ret(e);
	const struct proc_saved *was = former;
	if (was && was->boot_id && is_uuid(was->boot_id)) {
		s->boot_id = was->boot_id;
		return 0;
	}
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return err_sys(e, "getrandom");
	proc_uuid(bytes, text);
	s->boot_id = arena_strdup(env->arena, text);
	return s->boot_id ? 0 : err_oom(e);
}

static int add_boot_id(struct ext_env *env, struct proc_saved *s, struct err *e)
{
	bool added;

	if (add_mount(env, BOOT_ID, arena_printf(env->arena, "%s/%s/" BOOT_ID_FILE, env->store, env->id), &added, e) < 0)
		return err_ret(e);
	return added ? choose_boot_id(env, s, e) : 0;
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	const struct proc *c = config;

	return c->mode == PROC_ON && !lxcfs_runs() ? no_lxcfs(env, e) : 0;
}

static int prepare(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct proc *c = config;
	struct proc_saved *s = saved;

	if (!wanted(c))
		return 0;
	if (!is_usable(mount_on(env->spec, "/proc"), "proc")) {
		if (c->mode == PROC_ON)
			return ext_refuse(env, e, "proc", "needs all of a proc filesystem on /proc in /mounts, and not shared with "
					  "the host");
		return add_time(env, c, e);
	}
	if (add_files(env, s, e) < 0 || add_boot_id(env, s, e) < 0)
		return err_ret(e);
	return add_time(env, c, e);
}

/* ---- the file of boot_id ---- */

/* Whatever our umask is: everybody inside may read it. */
static int let_read(const struct ext_env *env, int dir, struct err *e)
{
	const char *label = env->spec && env->spec->linux ? env->spec->linux->mount_label : NULL;

	cleanup_fd int fd = openat(dir, BOOT_ID_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0444) < 0)
		return err_sys(e, BOOT_ID_FILE);
	if (label && *label && fsetxattr(fd, "security.selinux", label, strlen(label) + 1, 0) < 0 && errno != EOPNOTSUPP)
		return err_sys(e, "label of " BOOT_ID_FILE);
	return 0;
}

/* The file that PREPARE has bound: its directory is the container's record, with which it goes. */
static int make_boot_id(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct proc_saved *s = saved;
	char path[PATH_MAX];

	(void)config;
	if (!s->boot_id)
		return 0;
	snprintf(path, sizeof path, "%s/%s", env->store, env->id);
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "%s/" BOOT_ID_FILE, path);
	const char *line = arena_printf(env->arena, "%s\n", s->boot_id);
	if (!line)
		return err_oom(e);
	return fs_replace(dir, BOOT_ID_FILE, line, strlen(line), 0444, e) < 0 ? err_ret(e) : let_read(env, dir, e);
}

/* ---- living containers ---- */

static int clone_file(struct cover *c, struct arena *a, struct err *e)
{
	const struct mount_wish w = {
		.target = c->target, .source = arena_printf(a, LXCFS "%s", c->target), .bind = true, .attr_set = COVER_ATTRS,
	};

	if (!w.source)
		return err_oom(e);
	c->tree = mount_source(&w, -1, -1, false, e);
	return c->tree < 0 ? c->tree : 0;
}

static int cover_with_clones(struct ext_env *env, struct cover *list, size_t n, struct err *e)
{
	size_t made = 0;
	int r = 0;

	for (; made < n && r == 0; made++)
		r = clone_file(&list[made], env->arena, e);
	if (r == 0)
		r = cover_change(env->pid, env->pidfd, list, n, e);
	while (made-- > 0)
		fd_close(&list[made].tree);
	return r;
}

static int attach(struct ext_env *env, struct proc_saved *s, struct err *e)
{
	struct cover list[ARRAY_SIZE(files)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (lxcfs_has(files[i]) && !is_of_document(env, s, files[i]))
			list[n++] = (struct cover){ .target = files[i], .tree = -1 };
	if (cover_with_clones(env, list, n, e) < 0 || room_for_files(s, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < n; i++)
		if (list[i].there)
			s->files.v[s->files.n++] = list[i].target;
	return 0;
}

/* Only names of the table: the record is ours, but a target becomes a path in somebody else's root. */
static bool is_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(files[i], name) == 0)
			return true;
	return false;
}

static size_t recorded(const struct proc_saved *s, struct cover *list)
{
	size_t n = 0;

	for (size_t i = 0; i < s->files.n && n < ARRAY_SIZE(files); i++)
		if (is_file(s->files.v[i]))
			list[n++] = (struct cover){ .target = s->files.v[i], .tree = -1 };
	return n;
}

static int detach(struct ext_env *env, struct proc_saved *s, struct err *e)
{
	struct cover list[ARRAY_SIZE(files)];

	if (cover_change(env->pid, env->pidfd, list, recorded(s, list), e) < 0)
		return err_ret(e);
	s->files = (struct oci_strs){ 0 };
	return 0;
}

static int update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	const struct proc *c = now;
	struct proc_saved *s = saved;

	(void)was;
	if (!wanted(c))
		return s->files.n ? detach(env, s, e) : 0;
	if (!s->boot_id && ext_wished(env, "proc"))
		ext_warn(env, "proc", "time namespace and boot_id come at creation only");
	return s->files.n || !lxcfs_runs() ? 0 : attach(env, s, e);
}

static int reattach(struct ext_env *env, const char *name, const char *word, const void *config, void *saved, struct err *e)
{
	const struct proc_saved *s = saved;
	struct cover list[ARRAY_SIZE(files)];
	size_t n = recorded(s, list);

	(void)name;
	(void)word;
	(void)config;
	if (!n)
		return 0;
	if (!lxcfs_runs())
		return no_lxcfs(env, e);
	if (cover_with_clones(env, list, n, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < n; i++)
		if (!list[i].there)
			ext_warn(env, "proc", "%s is not lxcfs's: something else lies there in container %s", list[i].target,
				 env->id);
	return 0;
}

const struct ext ext_proc = {
	.name = "proc",
	.rows = rows,
	.config_size = sizeof(struct proc),
	.saved = &proc_saved_type,
	.validate = validate,
	.apply = { [EXT_PREPARE] = prepare, [EXT_CGROUP_READY] = make_boot_id },
	.update = update,
	.act = reattach,
};
