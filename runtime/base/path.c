// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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
	char done[PATH_MAX]; /* where we are, below the root and free of links: "/a/b" or "" */
};

static void walk_done(struct walk *w)
{
	if (w->at != w->root)
		fd_close(&w->at);
}
#define cleanup_walk __attribute__((cleanup(walk_done)))

static int walk_init(struct walk *w, int root, const char *path)
{
	w->root = w->at = root;
	w->links = 0;
	w->done[0] = w->rest[0] = '\0';
	if (strlen(path) >= sizeof w->rest)
		return -ENAMETOOLONG;
	strcpy(w->rest, path);
	return 0;
}

static void walk_to(struct walk *w, int fd)
{
	walk_done(w);
	w->at = fd;
}

struct component {
	char name[NAME_MAX + 1];
	bool last;
	bool slash; /* the last one, and slashes follow: it must be a directory, and a link is followed */
};

/* Take the next component off: 1, or 0 at the end, or -errno. */
static int walk_next(struct walk *w, struct component *c)
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/");

	if (n == 0)
		return 0;
	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(c->name, p, n);
	c->name[n] = '\0';
	p += n;
	c->last = p[strspn(p, "/")] == '\0';
	c->slash = c->last && *p == '/';
	memmove(w->rest, p, strlen(p) + 1);
	return 1;
}

static int walk_enter(struct walk *w, const char *name, int fd)
{
	size_t len = strlen(w->done);

	walk_to(w, fd);
	if (snprintf(w->done + len, sizeof w->done - len, "/%s", name) >= (int)(sizeof w->done - len))
		return -ENAMETOOLONG;
	return 0;
}

/* ".." by going down again from the root: the parent of a directory that somebody moved away meanwhile may lie
 * outside. */
static int walk_up(struct walk *w)
{
	char *slash = strrchr(w->done, '/'), path[PATH_MAX], *rest = path, *name;

	if (!slash)
		return 0;
	*slash = '\0';
	strcpy(path, w->done);
	walk_to(w, w->root);
	while ((name = strsep(&rest, "/"))) {
		int fd;

		if (!*name)
			continue;
		fd = openat(w->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		walk_to(w, fd);
	}
	return 0;
}

/* Links of procfs jump anywhere, whatever their text says; those in its root ("self") are plain. */
static bool is_magic(const struct walk *w, int link_fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(link_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && (fstat(w->at, &st) < 0 || st.st_ino != 1);
}

static int walk_link(struct walk *w, int link_fd)
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n;

	if (++w->links > MAX_LINKS || is_magic(w, link_fd))
		return -ELOOP;
	n = readlinkat(link_fd, "", target, sizeof target - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (snprintf(joined, sizeof joined, "%s%s", target, w->rest) >= (int)sizeof w->rest)
		return -ENAMETOOLONG;
	strcpy(w->rest, joined);
	if (target[0] == '/') {
		walk_to(w, w->root);
		w->done[0] = '\0';
	}
	return 0;
}

/* One step down.  Returns 1 when a link was spliced in, 0 when *ret_fd is the component, -errno otherwise. */
static int walk_down(struct walk *w, const char *name, bool follow, int *ret_fd)
{
	cleanup_fd int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && follow) {
		r = walk_link(w, fd);
		return r < 0 ? r : 1;
	}
	*ret_fd = fd_take(&fd);
	return 0;
}

/* Hand over where we are. */
static int walk_take(struct walk *w)
{
	int fd = w->at;

	if (fd == w->root) {
		fd = openat(w->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	w->at = w->root;
	return fd;
}

static int open_at(int at, const char *name, int flags)
{
	int fd = openat(at, name, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The last component.  It was looked at before; what replaced it since is not followed. */
static int walk_last(const struct walk *w, const struct component *c, int flags)
{
	int extra = O_NOFOLLOW | (c->slash ? O_DIRECTORY : 0);

	return open_at(w->at, c->name, flags | extra);
}

static int walk_step(struct walk *w, const struct component *c, bool follow)
{
	int fd, r;

	if (strcmp(c->name, ".") == 0)
		return 0;
	if (strcmp(c->name, "..") == 0)
		return walk_up(w);
	r = walk_down(w, c->name, follow, &fd);
	if (r != 0)
		return r;
	return walk_enter(w, c->name, fd);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) by hand. */
static int walk_open(int root_fd, const char *path, int flags)
{
	cleanup_walk struct walk w;
	struct component c;
	int r = walk_init(&w, root_fd, path), fd = -1;

	while (r >= 0 && (r = walk_next(&w, &c)) > 0) {
		if (!c.last || is_dots(c.name)) {
			r = walk_step(&w, &c, true);
			continue;
		}
		r = walk_down(&w, c.name, !(flags & O_NOFOLLOW) || c.slash, &fd);
		if (r == 0) {
			close(fd);
			return walk_last(&w, &c, flags);
		}
	}
	return r < 0 ? r : open_at(w.at, ".", flags);
}

bool path_same_mount(int a, int b)
{
	struct statx x, y;

	return statx(a, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) == 0 && statx(b, "", AT_EMPTY_PATH, STATX_MNT_ID, &y) == 0 &&
	       x.stx_mask & y.stx_mask & STATX_MNT_ID && x.stx_mnt_id == y.stx_mnt_id;
}

/* openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), and RESOLVE_NO_XDEV, by hand; ".." is not worth the care. */
static int walk_strict(int dirfd, const char *path, int flags, bool one_mount)
{
	cleanup_walk struct walk w;
	struct component c;
	int r = walk_init(&w, dirfd, path), fd = -1;

	if (*path == '/')
		return -EXDEV;
	while (r >= 0 && (r = walk_next(&w, &c)) > 0) {
		if (strcmp(c.name, "..") == 0)
			return -EXDEV;
		if (strcmp(c.name, ".") == 0)
			continue;
		/* O_DIRECTORY would hide that it is a link. */
		r = walk_down(&w, c.name, true, &fd);
		if (r > 0)
			return -ELOOP;
		if (r < 0)
			return r;
		if (one_mount && !path_same_mount(fd, dirfd)) {
			close(fd);
			return -EXDEV;
		}
		if (c.last) {
			close(fd);
			return walk_last(&w, &c, flags);
		}
		r = walk_enter(&w, c.name, fd);
	}
	return r < 0 ? r : open_at(w.at, ".", flags);
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

static int open_strict(int dirfd, const char *path, int flags, bool one_mount, struct err *e)
{
	int fd = in_root(dirfd, *path ? path : ".", flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | (one_mount ? RESOLVE_NO_XDEV : 0U));

	if (fd == -ENOSYS || fd == -EPERM)
		fd = walk_strict(dirfd, path, flags, one_mount);
	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "open %s", path) : fd;
}

int path_open_strict(int dirfd, const char *path, int flags, struct err *e)
{
	return open_strict(dirfd, path, flags, true, e);
}

int path_open_linkless(int dirfd, const char *path, int flags, struct err *e)
{
	return open_strict(dirfd, path, flags, false, e);
}

/* What is to be made where nothing is. */
struct making {
	mode_t dir_mode, file_mode;
	bool file; /* the last component */
};

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

static int walk_create(int root_fd, const char *path, const struct making *m)
{
	cleanup_walk struct walk w;
	struct component c;
	struct stat st;
	int r = walk_init(&w, root_fd, path);

	while (r >= 0 && (r = walk_next(&w, &c)) > 0) {
		bool file = m->file && c.last;

		r = walk_step(&w, &c, true);
		if (r != -ENOENT)
			continue;
		if (file && c.slash)
			return -EISDIR;
		r = make_component(w.at, c.name, file, file ? m->file_mode : m->dir_mode);
		if (r >= 0)
			r = walk_step(&w, &c, true);
	}
	if (r < 0)
		return r;
	if (!m->file && (fstat(w.at, &st) < 0 || !S_ISDIR(st.st_mode)))
		return -ENOTDIR;
	return walk_take(&w);
}

/* Mostly only the last component is missing, and its parent is there: then three calls will do.  Anything else, a
 * dangling link for one, is the walk's. */
static int make_last(int root_fd, const char *path, const struct making *m)
{
	cleanup_fd int parent = -1;
	char dir[PATH_MAX];
	const char *name = strrchr(path, '/');
	int at = root_fd, r;

	name = name ? name + 1 : path;
	if (!*name || is_dots(name) || strlen(path) >= sizeof dir)
		return -EAGAIN;
	memcpy(dir, path, (size_t)(name - path));
	dir[name - path] = '\0';
	if (dir[strspn(dir, "/")]) {
		parent = path_try_open(root_fd, dir, O_PATH | O_DIRECTORY);
		if (parent < 0)
			return -EAGAIN;
		at = parent;
	}
	r = make_component(at, name, m->file, m->file ? m->file_mode : m->dir_mode);
	if (r < 0)
		return r;
	r = open_at(at, name, O_PATH | O_NOFOLLOW | (m->file ? 0 : O_DIRECTORY));
	if (r >= 0 && m->file) {
		struct stat st;

		if (fstat(r, &st) < 0 || S_ISLNK(st.st_mode))
			fd_close(&r);
	}
	return r < 0 ? -EAGAIN : r;
}

static int make_path(int root_fd, const char *path, const struct making *m)
{
	int fd = make_last(root_fd, path, m);

	return fd == -EAGAIN ? walk_create(root_fd, path, m) : fd;
}

int path_make_dir(int root_fd, const char *path, mode_t mode, struct err *e)
{
	const struct making m = { .dir_mode = mode };
	int fd = make_path(root_fd, path, &m);

	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "mkdir %s", path) : fd;
}

int path_make_file(int root_fd, const char *path, mode_t dir_mode, mode_t file_mode, struct err *e)
{
	const struct making m = { .dir_mode = dir_mode, .file_mode = file_mode, .file = true };
	int fd = make_path(root_fd, path, &m);

	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "create %s", path) : fd;
}

int path_mkdir_all(int root_fd, const char *path, mode_t mode, struct err *e)
{
	int fd = path_try_open(root_fd, path, O_PATH | O_DIRECTORY);

	if (fd == -ENOENT)
		return path_make_dir(root_fd, path, mode, e);
	return fd < 0 ? err_set(e, ERR_KERNEL, -fd, "mkdir %s", path) : fd;
}

int path_create_file(int root_fd, const char *path, mode_t dir_mode, mode_t file_mode, struct err *e)
{
	int fd = path_try_open(root_fd, path, O_PATH);

	if (fd == -ENOENT)
		return path_make_file(root_fd, path, dir_mode, file_mode, e);
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

/* Take the last component off; false where there is none, or only "..", which stands for something. */
static bool drop_last(const char *buf, size_t start, size_t *o)
{
	size_t end = *o;

	while (end > start && buf[end - 1] != '/')
		end--;
	if (*o == start || (*o - end == 2 && memcmp(buf + end, "..", 2) == 0))
		return false;
	*o = end > start ? end - 1 : start;
	return true;
}

int path_clean(const char *path, char *buf, size_t size)
{
	const size_t start = path[0] == '/' ? 1 : 0;
	size_t o = start;

	if (size < 2)
		return -ENAMETOOLONG;
	buf[0] = start ? '/' : '.';
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t n = strcspn(path, "/");
		bool up = n == 2 && memcmp(path, "..", 2) == 0;
		bool skip = (n == 1 && *path == '.') || (up && (drop_last(buf, start, &o) || start));

		if (!skip) {
			size_t need = n + (o > start ? 1 : 0);

			if (o + need >= size)
				return -ENAMETOOLONG;
			if (o > start)
				buf[o++] = '/';
			memcpy(buf + o, path, n);
			o += n;
		}
		path += n;
	}
	if (o == 0)
		buf[o++] = '.';
	buf[o] = '\0';
	return 0;
}
