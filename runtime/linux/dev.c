// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount_api.h"
#include "runtime/linux/rootfs.h"

struct node {
	const char *path; /* below /dev where `in_dev`, else absolute in the root */
	bool in_dev;
	mode_t mode; /* with the type */
	dev_t dev;
	uint32_t uid, gid;
};

/* Where nodes are made: all by descriptor, so that an image whose /dev is a link leads nowhere
 * (CVE-2026-41579, CVE-2026-47766). */
struct place {
	int root, dev;
	int host_dev; /* opened when it is needed first */
	int tree;     /* what is bound, already cloned; -1: looked for in host_dev */
	bool bind, own_host_dev;
	bool made; /* the last node: false where it was there before */
};

static void place_done(struct place *p)
{
	if (p->own_host_dev)
		fd_close(&p->host_dev);
}

/* A descriptor that came from another mount namespace could be looked at but not cloned: /dev as we see it. */
static int open_host_dev(struct place *p, struct err *e)
{
	if (p->host_dev >= 0)
		return 0;
	p->host_dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->own_host_dev = true;
	return p->host_dev < 0 ? err_sys(e, "open the host's /dev") : 0;
}

static const struct {
	const char *name;
	unsigned major, minor;
} defaults[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const char *below_dev(const char *path)
{
	return str_starts(path, "/dev/") ? path + strlen("/dev/") : NULL;
}

static bool is_same(const struct stat *st, const struct node *n)
{
	if ((st->st_mode & S_IFMT) != (n->mode & S_IFMT))
		return false;
	return S_ISFIFO(n->mode) || st->st_rdev == n->dev;
}

/* Something is there already: the same node is as good as a new one, with the mode that it has - it may be the host's. */
static int accept_existing(int parent, const char *name, const struct node *n, struct err *e)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", n->path);
	if (!is_same(&st, n))
		return err_set(e, ERR_KERNEL, EEXIST, "device %s", n->path);
	return 0;
}

/* Returns 1 when the kernel does not let us make nodes. */
static int make_node(struct place *p, int parent, const char *name, const struct node *n, struct err *e)
{
	if (mknodat(parent, name, n->mode, n->dev) < 0) {
		if (errno == EPERM)
			return 1;
		return errno == EEXIST ? accept_existing(parent, name, n, e) : err_sys(e, "mknod %s", n->path);
	}
	p->made = true;
	if ((n->uid || n->gid) && fchownat(parent, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "owner of %s", n->path);
	return 0;
}

/* A clone that the host made, on a file that is new. */
static int attach_node(struct place *p, int parent, const char *name, const struct node *n, struct err *e)
{
	cleanup_fd int file = openat(parent, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
	int r;

	if (file < 0)
		return errno == EEXIST ? accept_existing(parent, name, n, e) : err_sys(e, "%s", n->path);
	r = mount_move(p->tree, file);
	p->made = r == 0;
	if (r == 0)
		return 0;
	unlinkat(parent, name, 0);
	return err_set(e, ERR_KERNEL, -r, "bind onto %s", n->path);
}

static int bind_node(struct place *p, int parent, const char *name, const struct node *n, struct err *e)
{
	cleanup_fd int source = -1;
	struct stat st;
	int r;

	if (!n->in_dev)
		return err_set(e, ERR_KERNEL, EPERM, "device %s cannot be made here", n->path);
	r = open_host_dev(p, e);
	if (r < 0)
		return r;
	source = path_open(p->host_dev, n->path, O_PATH, e);
	if (source < 0)
		return err_wrap(e, "device of the host");
	if (fstat(source, &st) < 0)
		return err_sys(e, "%s", n->path);
	if (!is_same(&st, n))
		return err_set(e, ERR_KERNEL, ENODEV, "device %s: the host's has another type or number", n->path);
	return mount_bind_fd(parent, source, name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
}

static int add_node(struct place *p, const struct node *n, struct err *e)
{
	char name[NAME_MAX + 2] = "/";
	cleanup_fd int made = -1;
	int parent = p->dev, r = 1;

	if (n->in_dev && !strchr(n->path, '/')) {
		if (strlen(n->path) > NAME_MAX)
			return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", n->path);
		strcpy(name + 1, n->path);
	} else {
		made = path_open_parent(n->in_dev ? p->dev : p->root, n->path, 0755, name + 1, sizeof name - 1, e);
		parent = made;
	}
	if (parent < 0)
		return err_wrap(e, "device %s", n->path);
	if (p->tree >= 0)
		return attach_node(p, parent, name + 1, n, e);
	if (!p->bind || S_ISFIFO(n->mode))
		r = make_node(p, parent, name + 1, n, e);
	return r > 0 ? bind_node(p, parent, name, n, e) : r;
}

static bool in_document(const struct oci_devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->n; i++) {
		const char *below = below_dev(devices->v[i].path);

		if (below && strcmp(below, name) == 0)
			return true;
	}
	return false;
}

static mode_t node_type(int64_t type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

static struct node node_of(const struct oci_device *d)
{
	const char *below = below_dev(d->path);

	return (struct node){ .path = below ? below : d->path, .in_dev = below,
			      .mode = node_type(d->type) | (d->file_mode.set ? (mode_t)d->file_mode.v & 07777 : 0666),
			      .dev = d->type == 'p' ? 0 : makedev((unsigned)d->major.v, (unsigned)d->minor.v),
			      .uid = (uint32_t)d->uid.v, .gid = (uint32_t)d->gid.v };
}

static int add_nodes(struct place *p, const struct oci_devices *devices, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(defaults) && r >= 0; i++) {
		struct node n = { .path = defaults[i].name, .in_dev = true, .mode = S_IFCHR | 0666,
				  .dev = makedev(defaults[i].major, defaults[i].minor) };

		if (!in_document(devices, n.path))
			r = add_node(p, &n, e);
	}
	for (size_t i = 0; i < devices->n && r >= 0; i++) {
		struct node n = node_of(&devices->v[i]);

		r = add_node(p, &n, e);
	}
	return r;
}

static int add_link(int dev, const char *target, const char *name, struct err *e)
{
	if (symlinkat(target, dev, name) < 0 && errno != EEXIST)
		return err_sys(e, "symlink /dev/%s", name);
	return 0;
}

/* Only a hint whether the targets are there: nothing is opened behind the name. */
static int add_links(const struct place *p, struct err *e)
{
	cleanup_fd int proc = openat(p->root, "proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = 0;

	if (proc >= 0 && faccessat(proc, "self/fd", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		r = add_link(p->dev, "/proc/self/fd", "fd", e);
		if (r >= 0)
			r = add_link(p->dev, "/proc/self/fd/0", "stdin", e);
		if (r >= 0)
			r = add_link(p->dev, "/proc/self/fd/1", "stdout", e);
		if (r >= 0)
			r = add_link(p->dev, "/proc/self/fd/2", "stderr", e);
	}
	if (r >= 0 && proc >= 0 && faccessat(proc, "kcore", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = add_link(p->dev, "/proc/kcore", "core", e);
	return r;
}

/* Whatever ptmx an image brings belongs to another devpts. */
static int add_ptmx(int dev, struct err *e)
{
	if (symlinkat("pts/ptmx", dev, "ptmx") == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, "symlink /dev/ptmx");
	if (unlinkat(dev, "ptmx", 0) < 0 || symlinkat("pts/ptmx", dev, "ptmx") < 0)
		return err_sys(e, "replace /dev/ptmx");
	return 0;
}

static int open_dev(int root, struct err *e)
{
	const int how = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(root, "dev", how);

	if (fd < 0 && errno == ENOENT && mkdirat(root, "dev", 0755) == 0)
		fd = openat(root, "dev", how);
	if (fd < 0)
		return err_sys(e, "/dev is not an ordinary directory");
	return fd;
}

int dev_create(int root_fd, const struct oci_devices *devices, bool bind, int host_dev, struct err *e)
{
	cleanup_fd int dev = open_dev(root_fd, e);
	__attribute__((cleanup(place_done))) struct place p = { .root = root_fd, .dev = dev, .host_dev = host_dev,
								.tree = -1, .bind = bind };
	mode_t mask;
	int r;

	if (dev < 0)
		return dev;
	mask = umask(0); /* modes are what the document says */
	r = add_nodes(&p, devices, e);
	umask(mask);
	if (r >= 0)
		r = add_links(&p, e);
	return r < 0 ? r : add_ptmx(dev, e);
}

/* ---- on a container that lives ---- */

static int open_living_dev(int root, struct err *e)
{
	int fd = openat(root, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "/dev of the container") : fd;
}

int dev_clone(const char *path, struct err *e)
{
	cleanup_fd int tree = mount_clone(AT_FDCWD, path, false);
	int r;

	if (tree < 0)
		return err_set(e, ERR_KERNEL, -tree, "clone %s", path);
	r = mount_change(tree, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, 0);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "clone %s", path) : fd_take(&tree);
}

int dev_add(int root_fd, const struct oci_device *d, int tree, bool *ret_made, struct err *e)
{
	cleanup_fd int dev = open_living_dev(root_fd, e);
	struct place p = { .root = root_fd, .dev = dev, .host_dev = -1, .tree = tree };
	struct node n = node_of(d);
	mode_t mask;
	int r;

	if (dev < 0)
		return dev;
	mask = umask(0);
	r = add_node(&p, &n, e);
	umask(mask);
	*ret_made = p.made;
	return r;
}

/* The parent by descriptor, the name in it as the working directory's own: umount2 takes no descriptor. */
static int take_away(int parent, const char *name, const struct node *n, struct err *e)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", n->path);
	if (!is_same(&st, n))
		return 0; /* another's by now */
	if (fchdir(parent) < 0)
		return err_sys(e, "%s", n->path);
	if (umount2(name, UMOUNT_NOFOLLOW | MNT_DETACH) < 0 && errno != EINVAL)
		return err_sys(e, "unmount %s", n->path);
	return unlinkat(parent, name, 0) < 0 && errno != ENOENT ? err_sys(e, "remove %s", n->path) : 0;
}

int dev_remove(int root_fd, const struct oci_device *d, struct err *e)
{
	char name[NAME_MAX + 1];
	struct node n = node_of(d);
	cleanup_fd int dev = open_living_dev(root_fd, e);
	cleanup_fd int parent = dev < 0 ? -1 : path_open_parent(dev, n.path, 0, name, sizeof name, e);

	if (dev < 0)
		return dev;
	if (parent < 0)
		return e->num == ENOENT ? 0 : err_ret(e);
	return take_away(parent, name, &n, e);
}
