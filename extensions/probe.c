// SPDX-License-Identifier: LGPL-2.1-or-later

/* In builds with fault injection only: leaves a file per point in the directory that is its value, so that tests/steps sees
 * what of an extension was undone, at whatever moment a command was killed. */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extensions/registry.h"
#include "oci/rows.h"
#include "runtime/base/fd.h"

struct probe {
	const char *dir;
};

struct probe_saved {
	int64_t points; /* that were run */
};

static int parse(const char *text, void *member, struct arena *a, struct err *e)
{
	const char **dir = member;

	if (text[0] != '/')
		return err_set(e, ERR_CONFIG, 0, "not an absolute path");
	*dir = arena_strdup(a, text);
	return *dir ? 0 : err_oom(e);
}

static void print(const void *member, struct str *out)
{
	const char *const *dir = member;

	if (*dir)
		str_add(out, *dir);
}

static const struct ext_value value_dir = { "DIR", parse, print };

static const struct ext_row rows[] = {
	{ .name = "probe", .offset = EXT_MEMBER(struct probe, dir), .value = &value_dir, .flags = EXT_COLD,
	  .help = "Files of a test" },
	EXT_ROWS_END,
};

static const struct oci_field probe_saved_fields[] = {
	I64(struct probe_saved, points, "points"),
	ROW_END
};
static TABLE(probe_saved);

static void file_of(const struct probe *p, const struct ext_env *env, int point, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s-%d", p->dir, env->id, point);
}

static int leave(struct ext_env *env, const struct probe *p, struct probe_saved *saved, int point, struct err *e)
{
	char path[PATH_MAX];

	file_of(p, env, point, path, sizeof path);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", path);
	saved->points++;
	return 0;
}

static void take(const struct ext_env *env, const struct probe *p, int point)
{
	char path[PATH_MAX];

	file_of(p, env, point, path, sizeof path);
	unlink(path); /* which may not be there, or no more */
}

#define POINT(name, which)                                                                                        \
	static int apply_##name(struct ext_env *env, const void *config, void *saved, struct err *e)              \
	{                                                                                                         \
		return leave(env, config, saved, which, e);                                                       \
	}                                                                                                         \
	static void undo_##name(struct ext_env *env, const void *config, const void *saved)                       \
	{                                                                                                         \
		(void)saved;                                                                                      \
		take(env, config, which);                                                                         \
	}

POINT(recorded, EXT_RECORDED)
POINT(cgroup, EXT_CGROUP_READY)
POINT(ns, EXT_NS_READY)
POINT(start, EXT_BEFORE_START)
POINT(restored, EXT_RESTORED)

static int apply_rootfs(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	struct stat st;

	(void)config;
	(void)saved;
	return fstat(env->root_fd, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : err_set(e, ERR_INTERNAL, 0, "no root");
}

static int apply_exec(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	(void)config;
	(void)saved;
	return env->pid > 0 && fcntl(env->pidfd, F_GETFD) >= 0 ? 0 : err_set(e, ERR_INTERNAL, 0, "no process");
}

/* A file "refuse" in the directory is a reason. */
static int apply_checkpoint(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct probe *p = config;
	char path[PATH_MAX];

	(void)saved;
	if (env->pid <= 0 || fcntl(env->pidfd, F_GETFD) < 0 || !env->cg)
		return err_set(e, ERR_INTERNAL, 0, "no process or no cgroup");
	snprintf(path, sizeof path, "%s/refuse", p->dir);
	return access(path, F_OK) < 0 ? 0 : ext_refuse(env, e, "probe", "%s is there", path);
}

const struct ext ext_probe = {
	.name = "probe",
	.rows = rows,
	.config_size = sizeof(struct probe),
	.saved = &probe_saved_type,
	.apply = {
		[EXT_RECORDED] = apply_recorded,
		[EXT_CGROUP_READY] = apply_cgroup,
		[EXT_NS_READY] = apply_ns,
		[EXT_ROOTFS_READY] = apply_rootfs,
		[EXT_BEFORE_START] = apply_start,
		[EXT_EXEC] = apply_exec,
		[EXT_CHECKPOINT] = apply_checkpoint,
		[EXT_RESTORED] = apply_restored,
	},
	.undo = {
		[EXT_RECORDED] = undo_recorded,
		[EXT_CGROUP_READY] = undo_cgroup,
		[EXT_NS_READY] = undo_ns,
		[EXT_BEFORE_START] = undo_start,
		[EXT_RESTORED] = undo_restored,
	},
};
