// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/flow/criu.h"

#define CHUNK ((size_t)256 << 10)

/* ---- sending ---- */

static int send_bytes(struct wire *w, int fd, const char *name, struct err *e)
{
	cleanup_free char *buf = malloc(CHUNK);

	if (!buf)
		return err_oom(e);
	for (;;) {
		ssize_t n = read(fd, buf, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", name);
		if (n == 0)
			return wire_send(w, WIRE_FILE_END, "", 0, e);
		if (wire_send(w, WIRE_DATA, buf, (size_t)n, e) < 0)
			return err_ret(e);
	}
}

static int send_compressed(struct wire *w, int file, const char *name, struct err *e)
{
	static const char *const zstd[] = { "zstd", "-q", "-1", "-c", NULL };
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int from = ends[0];
	r = proc_spawn(zstd, file, ends[1], false, &pid, e);
	close(ends[1]);
	if (r < 0)
		return r;
	r = send_bytes(w, from, name, e);
	fd_close(&from);
	if (r < 0) {
		proc_end(&pid);
		return r;
	}
	return proc_finish("zstd", pid, e);
}

static int send_two(struct wire *w, enum wire_type type, const char *one, const char *two, struct err *e)
{
	char text[2 * PATH_MAX];
	int n = snprintf(text, sizeof text, "%s%c%s", one, '\0', two);

	return n < 0 || (size_t)n >= sizeof text ? err_set(e, ERR_INTERNAL, ENAMETOOLONG, "%s", one) :
						   wire_send(w, type, text, (size_t)n, e);
}

static int send_entry(struct wire *w, int dir, const char *name, bool compress, struct err *e)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", name);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dir, name, target, sizeof target - 1);
		if (n < 0)
			return err_sys(e, "%s", name);
		target[n] = '\0';
		return send_two(w, WIRE_LINK, name, target, e);
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", name);
	compress = compress && str_starts(name, CRIU_PAGES);
	if (send_two(w, WIRE_FILE, name, compress ? "zstd" : "", e) < 0)
		return err_ret(e);
	return compress ? send_compressed(w, fd, name, e) : send_bytes(w, fd, name, e);
}

int files_send(struct wire *w, int at, const char *name, bool compress, struct err *e)
{
	cleanup_dir DIR *dir = dir_open(at, name);

	if (!dir)
		return err_sys(e, "%s", name);
	if (wire_send_text(w, WIRE_DIR, name, e) < 0)
		return err_ret(e);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (entry->d_name[0] != '.' && send_entry(w, dirfd(dir), entry->d_name, compress, e) < 0)
			return err_wrap(e, "%s", name);
	return wire_send(w, WIRE_DIR_END, "", 0, e);
}

/* ---- receiving ---- */

static bool is_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < NAME_MAX;
}

static int receive_bytes(struct wire *w, int fd, const char *name, struct err *e)
{
	for (;;) {
		struct wire_frame f;

		if (wire_recv(w, &f, e) < 0)
			return err_ret(e);
		if (f.type == WIRE_FILE_END)
			return 0;
		if (f.type != WIRE_DATA)
			return wire_not_due(w, &f, e);
		if (f.len && fs_write_fd(fd, f.data, f.len, name, e) < 0)
			return err_ret(e);
	}
}

static bool is_full(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && fs.f_bavail == 0;
}

static int receive_compressed(struct wire *w, int file, const char *name, struct err *e)
{
	static const char *const zstd[] = { "zstd", "-q", "-d", "-c", NULL };
	struct err ignored;
	int ends[2], r, ended;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int to = ends[1];
	r = proc_spawn(zstd, ends[0], file, false, &pid, e);
	close(ends[0]);
	if (r < 0)
		return r;
	r = receive_bytes(w, to, name, e);
	fd_close(&to); /* it ends by that */
	ended = proc_finish("zstd", pid, r < 0 ? &ignored : e);
	/* Which could not write, and has nobody to tell why. */
	if (ended < 0 && (r >= 0 || e->num == EPIPE) && is_full(file))
		return err_set(e, ERR_KERNEL, ENOSPC, "write %s", name);
	return r < 0 ? r : ended;
}

static int receive_file(struct wire *w, int dir, const struct wire_frame *f, struct err *e)
{
	char name[NAME_MAX + 1];
	bool compressed;
	size_t at = 0;

	snprintf(name, sizeof name, "%s", wire_word(f, &at));
	compressed = strcmp(wire_word(f, &at), "zstd") == 0;
	if (!is_name(name))
		return err_set(e, ERR_STATE, EBADMSG, "\"%.40s\" is no name of an image", name);
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", name);
	return compressed ? receive_compressed(w, fd, name, e) : receive_bytes(w, fd, name, e);
}

/* "parent" leads to the directory of an earlier round, and nowhere else. */
static int receive_link(int dir, const struct wire_frame *f, struct err *e)
{
	size_t at = 0;
	const char *name = wire_word(f, &at), *target = wire_word(f, &at);

	if (!is_name(name) || !str_starts(target, "../") || !is_name(target + 3))
		return err_set(e, ERR_STATE, EBADMSG, "link \"%.40s\" to \"%.40s\"", name, target);
	return symlinkat(target, dir, name) < 0 ? err_sys(e, "%s", name) : 0;
}

int files_receive(struct wire *w, int parent, const struct wire_frame *first, struct err *e)
{
	char name[NAME_MAX + 1];
	int r = 0;

	snprintf(name, sizeof name, "%s", first->data);
	if (!is_name(name))
		return err_set(e, ERR_STATE, EBADMSG, "\"%.40s\" is no name of a directory of images", name);
	if (mkdirat(parent, name, 0700) < 0)
		return err_sys(e, "mkdir %s", name);
	cleanup_fd int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "%s", name);
	while (r >= 0) {
		struct wire_frame f;

		if (wire_recv(w, &f, e) < 0)
			return err_ret(e);
		if (f.type == WIRE_DIR_END)
			return 0;
		if (f.type == WIRE_FILE)
			r = receive_file(w, dir, &f, e);
		else if (f.type == WIRE_LINK)
			r = receive_link(dir, &f, e);
		else
			r = wire_not_due(w, &f, e);
	}
	return err_wrap(e, "images %s", name);
}
