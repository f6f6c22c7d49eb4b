// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"

/* A payload with a delegated cgroup chooses the depth: bounded, so that it cannot exhaust our stack. */
#define DEPTH_MAX 128

bool cg_read_text(int dirfd, const char *file, char *buf, size_t size)
{
	cleanup_fd int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return false;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
	return true;
}

bool cg_read_u64(int dirfd, const char *file, uint64_t *ret)
{
	char buf[64];

	if (!cg_read_text(dirfd, file, buf, sizeof buf))
		return false;
	if (strcmp(buf, "max") == 0) {
		*ret = UINT64_MAX;
		return true;
	}
	return num_u64(buf, ret) == 0;
}

bool cg_read_key(int dirfd, const char *file, const char *key, uint64_t *ret)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;
	size_t len = strlen(key);

	if (fs_read(dirfd, file, CG_FILE_MAX, &text, &ignored) < 0)
		return false;
	for (const char *p = str_cstr(&text); *p;) {
		size_t line = strcspn(p, "\n");

		if (line > len && strncmp(p, key, len) == 0 && p[len] == ' ') {
			*ret = strtoull(p + len + 1, NULL, 10);
			return true;
		}
		p += line + (p[line] == '\n');
	}
	return false;
}

/* Directories of a cgroup file system have two links and one for each sub-cgroup: without any there is nothing to
 * read.  Other file systems (tests, btrfs) may not count so; one link then means "look". */
static bool is_leaf(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 2;
}

static int each(int dirfd, int (*fn)(int fd, void *arg), void *arg, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return -ELOOP;
	if (!is_leaf(dirfd)) {
		cleanup_dir DIR *d = dir_open(dirfd, ".");

		if (!d)
			return -errno;
		for (struct dirent *de = readdir(d); de; de = readdir(d)) {
			if (de->d_type != DT_DIR || strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
				continue;
			cleanup_fd int sub = openat(dirfd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			int r = sub < 0 ? 0 : each(sub, fn, arg, depth + 1); /* gone meanwhile: fine */

			if (r < 0)
				return r;
		}
	}
	return fn(dirfd, arg);
}

int cg_tree_each(int dirfd, int (*fn)(int fd, void *arg), void *arg)
{
	return each(dirfd, fn, arg, 0);
}

struct pid_list {
	pid_t **v;
	size_t *n, *cap;
	struct arena *arena;
};

static int add_pid(struct pid_list *l, pid_t pid)
{
	if (*l->n == *l->cap) {
		size_t cap = *l->cap ? *l->cap * 2 : 64;
		pid_t *v = arena_alloc_n(l->arena, cap, sizeof *v);

		if (!v)
			return -ENOMEM;
		if (*l->n > 0)
			memcpy(v, *l->v, *l->n * sizeof *v);
		*l->v = v;
		*l->cap = cap;
	}
	(*l->v)[(*l->n)++] = pid;
	return 0;
}

static int read_pids(int fd, void *arg)
{
	cleanup_str struct str text = { 0 };
	struct err err;

	/* ENODEV: the cgroup went away.  EOPNOTSUPP: a threaded one, whose processes its domain lists. */
	if (fs_read(fd, "cgroup.procs", (size_t)64 << 20, &text, &err) < 0)
		return err.num == ENOENT || err.num == ENODEV || err.num == EOPNOTSUPP ? 0 : -(err.num ? err.num : EIO);
	for (char *p = text.s; p && *p;) {
		char *end;
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		/* 0: a process that our pid namespace does not see */
		if (pid > 0 && add_pid(arg, (pid_t)pid) < 0)
			return -ENOMEM;
		p = end + (*end == '\n');
	}
	return 0;
}

int cg_tree_pids(int dirfd, pid_t **ret, size_t *n, size_t *cap, struct arena *a, struct err *e)
{
	struct pid_list l = { ret, n, cap, a };
	int r = cg_tree_each(dirfd, read_pids, &l);

	return r < 0 ? err_set(e, ERR_KERNEL, -r, "read cgroup.procs") : 0;
}

static int remove_children(int dirfd, unsigned depth)
{
	cleanup_dir DIR *d = dir_open(dirfd, ".");
	int ret = 0;

	if (!d)
		return -errno;
	for (struct dirent *de = readdir(d); de; de = readdir(d)) {
		if (de->d_type != DT_DIR || strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd, de->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		cleanup_fd int sub = openat(dirfd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0 && depth < DEPTH_MAX)
			remove_children(sub, depth + 1);
		if (unlinkat(dirfd, de->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			ret = -errno;
	}
	return ret;
}

int cg_tree_remove(const char *dir)
{
	int saved;

	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	saved = errno;
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) /* a read-only file system answers EROFS for what is not there */
		return errno == ENOENT ? 0 : -saved;
	if (saved != EBUSY && saved != ENOTEMPTY)
		return -saved;
	remove_children(fd, 0);
	return rmdir(dir) == 0 || errno == ENOENT ? 0 : -errno;
}
