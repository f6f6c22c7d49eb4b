// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/criu_compress.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"

#define PLAIN ".img"
#define PACKED ".img.zst"
#define PART ".part" /* of what is being written */

/* ---- one file ---- */

static int filter(int dir, const char *from, const char *to, const char *const *argv, struct err *e)
{
	struct stat st;
	pid_t pid;

	cleanup_fd int in = openat(dir, from, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(e, "%s", from);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFIG, 0, "%s is no regular file", from);
	unlinkat(dir, to, 0); /* of who was killed */
	cleanup_fd int out = openat(dir, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(e, "%s", to);
	if (proc_spawn(argv, in, out, false, &pid, e) < 0 || proc_finish(argv[0], pid, e) < 0)
		return err_wrap(e, "%s", from);
	/* The other one goes, and there is no third. */
	return fsync(out) < 0 ? err_sys(e, "%s", to) : 0;
}

static int convert(int dir, const char *from, const char *to, const char *const *argv, struct err *e)
{
	char part[NAME_MAX + 1];

	if (snprintf(part, sizeof part, "%s" PART, to) >= (int)sizeof part)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", to);
	if (filter(dir, from, part, argv, e) < 0) {
		unlinkat(dir, part, 0);
		return err_ret(e);
	}
	if (renameat(dir, part, dir, to) < 0 || unlinkat(dir, from, 0) < 0)
		return err_sys(e, "%s", to);
	return 0;
}

static int pack(int dir, const char *name, struct err *e)
{
	static const char *const zstd[] = { CRIU_PACKER, "-q", "-3", "-T0", "-c", NULL };
	char to[NAME_MAX + 1];

	if (snprintf(to, sizeof to, "%s.zst", name) >= (int)sizeof to)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", name);
	return convert(dir, name, to, zstd, e);
}

static int unpack(int dir, const char *name, struct err *e)
{
	static const char *const zstd[] = { CRIU_PACKER, "-q", "-d", "--sparse", "-c", NULL };
	char to[NAME_MAX + 1];

	snprintf(to, sizeof to, "%.*s", (int)(strlen(name) - strlen(".zst")), name);
	/* Whoever packed it was killed before the last step. */
	if (faccessat(dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return unlinkat(dir, name, 0) < 0 ? err_sys(e, "%s", name) : 0;
	return convert(dir, name, to, zstd, e);
}

/* ---- a directory ---- */

static bool is_memory(const char *name, const char *suffix)
{
	return str_starts(name, CRIU_PAGES) && str_ends(name, suffix);
}

static int each_file(int images, const char *suffix, int (*call)(int dir, const char *name, struct err *e), struct err *e)
{
	cleanup_dir DIR *dir = dir_open(images, ".");

	if (!dir)
		return err_sys(e, "open it");
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (is_memory(entry->d_name, suffix) && call(dirfd(dir), entry->d_name, e) < 0)
			return err_ret(e);
	return 0;
}

static int any(int dir, const char *name, struct err *e)
{
	(void)dir;
	return err_set(e, ERR_STATE, EEXIST, "%s", name);
}

/* A directory that nobody may write to is none that has something to unpack. */
static int expand_one(int images, struct err *e)
{
	struct err found;

	if (each_file(images, PACKED, any, &found) == 0)
		return 0;
	/* Another restore of the same images may be at it; the lock goes with the descriptor. */
	cleanup_fd int lock = openat(images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_sys(e, "lock it");
	return each_file(images, PACKED, unpack, e);
}

int criu_compress(const struct criu_dirs *d, struct err *e)
{
	return each_file(d->images_fd, PLAIN, pack, e) < 0 ? err_wrap(e, "%s", d->images) : 0;
}

int criu_expand(const struct criu_dirs *d, struct err *e)
{
	int at = d->images_fd, r = 0;

	for (cleanup_fd int parent = -1; at >= 0 && r == 0; at = parent) {
		int next;

		r = expand_one(at, e);
		next = openat(at, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fd_close(&parent);
		parent = next;
	}
	return r < 0 ? err_wrap(e, "%s: unpack its images", d->images) : 0;
}
