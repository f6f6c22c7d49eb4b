// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/sys.h"

/* The kernel's own limit on links in one path. */
#define MAX_LINKS 40
/* openat2 answers EAGAIN when something was renamed while it resolved "..": a busy container must not be able to
 * keep us here for ever. */
#define MAX_RETRIES 128

/* A path that is still to be walked.  Links are spliced in front of the rest. */
struct walk {
	int root;
	int at; /* O_PATH descriptor of where we are; owned unless it is the root's */
	int links;
	char rest[PATH_MAX];
};

static void walk_done(struct walk *w)
{
	if (w->at != w->root)
		fd_close(&w->at);
}
#define cleanup_walk __attribute__((cleanup(walk_done)))

static int walk_init(struct walk *w, int root, const char *path)
{
	*w = (struct walk){ .root = root, .at = root };
	if (strlen(path) >= sizeof w->rest)
		return -ENAMETOOLONG;
	strcpy(w->rest, path);
	return 0;
}

/* Take the next component off; false at the end. */
static bool walk_next(struct walk *w, char name[NAME_MAX + 1], bool *last, int *error)
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/");

	*error = 0;
	if (n == 0)
		return false;
	if (n > NAME_MAX) {
		*error = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, p, n);
	name[n] = '\0';
	p += n;
	*last = p[strspn(p, "/")] == '\0';
	memmove(w->rest, p, strlen(p) + 1);
	return true;
}

static void walk_to(struct walk *w, int fd)
{
	walk_done(w);
	w->at = fd;
}

/* Where two descriptors stand on the same directory: ".." at the root stays there. */
static bool same_dir(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int walk_up(struct walk *w)
{
	int fd;

	if (w->at == w->root || same_dir(w->at, w->root))
		return 0;
	fd = openat(w->at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	walk_to(w, fd);
	return 0;
}

static int walk_link(struct walk *w, int link_fd)
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n;

	if (++w->links > MAX_LINKS)
		return -ELOOP;
	n = readlinkat(link_fd, "", target, sizeof target - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (snprintf(joined, sizeof joined, "%s/%s", target, w->rest) >= (int)sizeof w->rest)
		return -ENAMETOOLONG;
	strcpy(w->rest, joined);
	if (target[0] == '/')
		walk_to(w, w->root);
	return 0;
}

/* One step down.  Returns 1 when a link was spliced in, 0 when *ret_fd is the component, -errno otherwise. */
static int walk_down(struct walk *w, const char *name, bool follow, int *ret_fd)
{
	cleanup_fd int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && follow) {
		r = walk_link(w, fd);
		return r < 0 ? r : 1;
	}
	*ret_fd = fd_take(&fd);
	return 0;
}

static int reopen(int fd, int flags)
{
	int r;

	if (flags & O_PATH) {
		r = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return r < 0 ? -errno : r;
	}
	r = open(fd_path(fd).s, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* openat2(RESOLVE_IN_ROOT) by hand. */
static int walk_open(int root_fd, const char *path, int flags)
{
	char name[NAME_MAX + 1];
	cleanup_walk struct walk w;
	bool last = false;
	int error, r, fd;

	r = walk_init(&w, root_fd, path);
	if (r < 0)
		return r;
	while (walk_next(&w, name, &last, &error)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			r = walk_up(&w);
		else
			r = walk_down(&w, name, !(last && (flags & O_NOFOLLOW)), &fd);
		if (r < 0)
			return r;
		if (r == 0 && strcmp(name, "..") != 0)
			walk_to(&w, fd);
	}
	if (error < 0)
		return error;
	return reopen(w.at, flags);
}

static int in_root(int root_fd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = resolve };

	for (int i = 0; i < MAX_RETRIES; i++) {
		int fd = sys_openat2(root_fd, path, &how);

		if (fd >= 0)
			return fd;
		if (errno != EAGAIN)
			return -errno;
	}
	return -EAGAIN;
}

int path_try_open(int root_fd, const char *path, int flags)
{
	int fd = in_root(root_fd, *path ? path : ".", flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	/* Linux before 5.6 has no openat2, and old seccomp profiles of an outer container answer EPERM. */
	if (fd == -ENOSYS || fd == -EPERM)
		fd = walk_open(root_fd, path, flags);
	return fd;
}

int path_open(int root_fd, const char *path, int flags, struct err *e)
{
	int fd = path_try_open(root_fd, path, flags);

	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "open %s", path) : fd;
}

int path_open_strict(int dirfd, const char *path, int flags, struct err *e)
{
	int fd = in_root(dirfd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);

	if (fd == -ENOSYS || fd == -EPERM) {
		char name[NAME_MAX + 1];
		cleanup_walk struct walk w;
		bool last;
		int error, r = walk_init(&w, dirfd, path);

		while (r == 0 && walk_next(&w, name, &last, &error)) {
			r = strcmp(name, "..") == 0 ? -EXDEV : walk_down(&w, name, false, &fd);
			if (r == 0)
				walk_to(&w, fd);
		}
		fd = r < 0 ? r : reopen(w.at, flags);
	}
	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "open %s", path) : fd;
}

/* Make one missing component.  Somebody else may have made it meanwhile: the caller opens it again and looks. */
static int make_component(int at, const char *name, bool file, mode_t mode)
{
	int fd;

	if (!file)
		return mkdirat(at, name, mode) < 0 && errno != EEXIST ? -errno : 0;
	fd = openat(at, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	close(fd);
	return 0;
}

static int walk_create(int root_fd, const char *path, mode_t dir_mode, bool file, mode_t file_mode)
{
	char name[NAME_MAX + 1];
	cleanup_walk struct walk w;
	bool last = false;
	int error, r, fd;

	r = walk_init(&w, root_fd, path);
	if (r < 0)
		return r;
	while (walk_next(&w, name, &last, &error)) {
		bool make_file = file && last;

		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			r = walk_up(&w);
			if (r < 0)
				return r;
			continue;
		}
		r = walk_down(&w, name, true, &fd);
		if (r == -ENOENT) {
			r = make_component(w.at, name, make_file, make_file ? file_mode : dir_mode);
			if (r < 0)
				return r;
			r = walk_down(&w, name, true, &fd);
		}
		if (r < 0)
			return r;
		if (r == 0)
			walk_to(&w, fd);
	}
	if (error < 0)
		return error;
	return reopen(w.at, O_PATH);
}

int path_mkdir_all(int root_fd, const char *path, mode_t mode, struct err *e)
{
	int fd = path_try_open(root_fd, path, O_PATH | O_DIRECTORY);

	if (fd == -ENOENT)
		fd = walk_create(root_fd, path, mode, false, 0);
	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "mkdir %s", path) : fd;
}

int path_create_file(int root_fd, const char *path, mode_t dir_mode, mode_t file_mode, struct err *e)
{
	int fd = path_try_open(root_fd, path, O_PATH);

	if (fd == -ENOENT)
		fd = walk_create(root_fd, path, dir_mode, true, file_mode);
	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "create %s", path) : fd;
}

int path_open_parent(int root_fd, const char *path, mode_t mode, char *ret_name, size_t size, struct err *e)
{
	char dir[PATH_MAX];
	size_t len = strlen(path);
	const char *name;

	if (len >= sizeof dir)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", path);
	memcpy(dir, path, len + 1);
	while (len > 0 && dir[len - 1] == '/')
		dir[--len] = '\0';
	name = strrchr(dir, '/');
	name = name ? name + 1 : dir;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, ERR_KERNEL, EINVAL, "%s", path);
	if (snprintf(ret_name, size, "%s", name) >= (int)size)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", path);
	dir[name - dir] = '\0';
	if (mode)
		return path_mkdir_all(root_fd, dir, mode, e);
	return path_open(root_fd, dir, O_PATH | O_DIRECTORY, e);
}

int path_clean(const char *path, char *buf, size_t size)
{
	bool absolute = path[0] == '/';
	size_t o = 0;

	if (size < 2)
		return -ENAMETOOLONG;
	if (absolute)
		buf[o++] = '/';
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0 && o > (absolute ? 1U : 0U)) {
			while (o > (absolute ? 1U : 0U) && buf[o - 1] != '/')
				o--;
			if (o > 1 && buf[o - 1] == '/')
				o--;
		} else if (n > 0 && !(n == 1 && *path == '.') && !(n == 2 && strncmp(path, "..", 2) == 0)) {
			if (o > 0 && buf[o - 1] != '/') {
				if (o + 1 >= size)
					return -ENAMETOOLONG;
				buf[o++] = '/';
			}
			if (o + n >= size)
				return -ENAMETOOLONG;
			memcpy(buf + o, path, n);
			o += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	if (o == 0)
		buf[o++] = absolute ? '/' : '.';
	buf[o] = '\0';
	return 0;
}
