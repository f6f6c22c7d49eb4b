// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/mount.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/mount_api.h"

#define PROC_ROOT_INODE 1
#define DIR_MODE 0755
#define FILE_MODE 0644
#define UNMAPPED 65534 /* how the kernel shows such an id, unless a sysctl says otherwise */

/* ---- sources ---- */

static int change_failed(int r, int tree, uint64_t clear, struct err *e)
{
	char names[80];

	if (r == -EPERM && *mount_flag_names(tree, clear, names, sizeof names))
		return err_set(e, ERR_KERNEL, EPERM,
			       "flags of the source are locked in this user namespace and cannot be cleared (%s)", names);
	return err_set(e, ERR_KERNEL, -r, "flags of the mount");
}

/* The plain options are for the top, the recursive ones for all: the latter come second and win. */
static int source_flags(const struct mount_wish *w, int tree, struct err *e)
{
	/* A clone belongs to its source's peer group: unless the document says otherwise, what the container mounts
	 * there must not show up on the host. */
	uint64_t slave = w->propagation[0] || w->propagation[1] ? 0 : MS_SLAVE;
	uint64_t set = w->attr_set, clear = w->attr_clr;
	int r = 0;

	if (!w->rec)
		mount_merged(w, &set, &clear);
	if (set || clear || (!w->rec && slave))
		r = mount_change(tree, false, set, clear, w->rec ? 0 : slave);
	if (r < 0)
		return change_failed(r, tree, clear, e);
	if (w->rec && (w->rec_set || w->rec_clr || slave))
		r = mount_change(tree, true, w->rec_set, w->rec_clr, slave);
	return r < 0 ? change_failed(r, tree, w->rec_clr, e) : 0;
}

static int source_idmap(const struct mount_wish *w, int tree, int procfs, int userns_fd, struct err *e)
{
	cleanup_fd int userns = mount_idmap_fd(w, procfs, userns_fd, e);

	return userns < 0 ? userns : mount_idmap_set(tree, userns, w->idmap_rec, w->source, e);
}

/* Without the new calls the source is only opened: mount_attach() binds it by mount(2). */
static int source_old(const struct mount_wish *w, struct err *e)
{
	int fd;

	if (w->idmap)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel has no id-mapped mounts", w->source);
	if (w->rec && (w->rec_set || w->rec_clr))
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel has no recursive mount options", w->source);
	fd = open(w->source, O_PATH | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s", w->source) : fd;
}

int mount_source(const struct mount_wish *w, int procfs, int userns_fd, bool locked, struct err *e)
{
	cleanup_fd int tree = mount_clone(AT_FDCWD, w->source, w->rec);
	int r = 0;

	if (tree == -ENOSYS || (tree >= 0 && !mount_can_change_detached()))
		return source_old(w, e);
	if (tree == -EINVAL && !w->rec && locked)
		return err_set(e, ERR_KERNEL, EINVAL, "%s: cannot be bound without what is mounted below it (rbind)",
			       w->source);
	if (tree < 0)
		return err_set(e, ERR_KERNEL, -tree, "bind source %s", w->source);
	/* The mapping first: the flags may lock what it needs. */
	if (w->idmap)
		r = source_idmap(w, tree, procfs, userns_fd, e);
	if (r >= 0)
		r = source_flags(w, tree, e);
	return r < 0 ? r : fd_take(&tree);
}

/* ---- targets ---- */

/* Files of /proc that a document may cover (lxcfs and the like): each says something, none of them does anything. */
static bool may_cover(const char *target)
{
	static const char *const files[] = {
		"cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime",
		"sys/crypto/fips_enabled", "sys/kernel/ns_last_pid", "sys/kernel/random/boot_id",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(target + strlen("/proc/"), files[i]) == 0)
			return true;
	return false;
}

/* A link in the image must not lead a mount into /proc (CVE-2019-16884): what counts is where it ended. */
static int check_not_in_proc(int fd, struct err *e)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0)
		return err_sys(e, "mount point");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "mount point");
	if (st.st_ino == PROC_ROOT_INODE)
		return 0;
	return err_set(e, ERR_CONFIG, EPERM, "is inside /proc and cannot be mounted over");
}

static bool wants_ordinary(const struct mount_wish *w)
{
	return strcmp(w->target, "/proc") == 0 || strcmp(w->target, "/sys") == 0 || str_eq(w->fs, "proc") ||
	       str_eq(w->fs, "sysfs");
}

static int open_in_proc(const struct mount_context *c, const struct mount_wish *w, struct err *e)
{
	cleanup_fd int proc = -1;

	if (!may_cover(w->target))
		return err_set(e, ERR_CONFIG, EPERM, "is inside /proc and cannot be mounted over");
	/* One component without following, then none that is a link: this file of this /proc. */
	proc = openat(c->root_fd, "proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (proc < 0)
		return err_sys(e, "/proc");
	return path_open_strict(proc, w->target + strlen("/proc/"), O_PATH, e);
}

/* Root of a user namespace may make nothing in a directory whose owner has no id there, and the kernel says no more than EACCES. */
static int owner_hint(const struct mount_context *c, const struct mount_wish *w, struct err *e)
{
	char name[NAME_MAX + 1];
	struct err ignored;
	struct stat st;

	if (e->num != EACCES && e->num != EOVERFLOW)
		return err_ret(e);
	cleanup_fd int parent = path_open_parent(c->root_fd, w->target, 0, name, sizeof name, &ignored);
	if (fstat(parent < 0 ? c->root_fd : parent, &st) < 0 || (st.st_uid != UNMAPPED && st.st_gid != UNMAPPED))
		return err_ret(e);
	return err_hint(e, "its directory belongs to an id that is not mapped: map it in /linux/uidMappings and gidMappings, or "
			   "give the root filesystem to ids that are");
}

static int make_target(const struct mount_context *c, const struct mount_wish *w, int source, struct err *e)
{
	struct stat st = { .st_mode = S_IFDIR };
	int r;

	if (source >= 0 && fstat(source, &st) < 0)
		return err_sys(e, "%s", w->source);
	r = S_ISDIR(st.st_mode) ? path_make_dir(c->root_fd, w->target, DIR_MODE, e) :
				  path_make_file(c->root_fd, w->target, DIR_MODE, FILE_MODE, e);
	return r < 0 ? owner_hint(c, w, e) : r;
}

/* Returns the descriptor of the mount point, which is made when it is missing. */
static int open_target(const struct mount_context *c, const struct mount_wish *w, int source, bool *ret_was_there,
		       struct err *e)
{
	int how = O_PATH | (wants_ordinary(w) ? O_DIRECTORY | O_NOFOLLOW : 0);
	cleanup_fd int fd = -1;
	int r;

	*ret_was_there = true;
	if (str_starts(w->target, "/proc/"))
		return open_in_proc(c, w, e);
	fd = path_try_open(c->root_fd, w->target, how);
	if (fd == -ENOENT) {
		*ret_was_there = false;
		fd = make_target(c, w, source, e);
		if (fd < 0)
			return fd;
		/* Whoever shares the root may have put a link there meanwhile (CVE-2019-19921). */
		if (how & O_NOFOLLOW) {
			fd_close(&fd);
			fd = path_try_open(c->root_fd, w->target, how);
		}
	}
	if (how & O_NOFOLLOW && (fd == -ENOTDIR || fd == -ELOOP))
		return err_set(e, ERR_CONFIG, ENOTDIR, "filesystem \"%s\" at %s must be mounted on ordinary directory",
			       w->fs ? w->fs : "bind", w->target);
	if (fd < 0)
		return err_set(e, ERR_KERNEL, -fd, "mount point");
	r = check_not_in_proc(fd, e);
	return r < 0 ? r : fd_take(&fd);
}

static bool is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The kernel says only EINVAL to a directory on a file. */
static int move_failed(int r, int tree, int target, struct err *e)
{
	if (is_dir(tree) != is_dir(target))
		return err_set(e, ERR_KERNEL, ENOTDIR, "a directory and a file cannot be mounted on each other");
	return err_set(e, ERR_KERNEL, -r, "mount");
}

/* ---- attaching ---- */

/* A tmpfs is still to be filled with mount points, so it becomes read-only at the end. */
static bool leaves_ro(const struct mount_wish *w)
{
	return !w->remount && str_eq(w->fs, "tmpfs") && (w->attr_set | w->rec_set) & MOUNT_ATTR_RDONLY;
}

/* The kernel gives some filesystems only to the owner of the namespace that they show.  A container that shares that
 * namespace with the host sees the host's mount instead; the flags of the document hold for all below it. */
static int host_view(const struct mount_context *c, const struct mount_wish *w, uint64_t set, struct err *e)
{
	const struct {
		const char *fs, *path;
		bool own;
	} views[] = {
		{ "sysfs", "/sys", c->own_net },
		{ "proc", "/proc", c->own_pid },
		{ "mqueue", "/dev/mqueue", c->own_ipc },
	};

	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		int r;

		if (strcmp(w->fs, views[i].fs) != 0 || views[i].own)
			continue;
		cleanup_fd int tree = mount_clone(AT_FDCWD, views[i].path, true);
		if (tree < 0)
			break;
		r = mount_change(tree, true, set, set & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0, MS_SLAVE);
		if (r < 0)
			return err_set(e, ERR_KERNEL, -r, "flags of the host's mount");
		return fd_take(&tree);
	}
	return err_ret(e);
}

static int new_tree(const struct mount_context *c, const struct mount_wish *w, int target, bool was_there, struct err *e)
{
	uint64_t set, clear;
	int r;

	mount_merged(w, &set, &clear);
	if (leaves_ro(w))
		set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	cleanup_fd int tree = mount_fs_new(c, w, target, was_there, set, e);
	if (tree == -EPERM)
		return host_view(c, w, set, e);
	if (tree < 0)
		return tree;
	if (w->tmpcopyup && was_there) {
		r = mount_copy_up(target, tree, e);
		if (r < 0)
			return r;
	}
	return fd_take(&tree);
}

int mount_set_propagation(const struct mount_wish *w, int mount_fd, struct err *e)
{
	int r = 0;

	if (w->propagation[1])
		r = mount_change(mount_fd, true, 0, 0, w->propagation[1] & ~(uint64_t)MS_REC);
	if (r >= 0 && w->propagation[0])
		r = mount_change(mount_fd, false, 0, 0, w->propagation[0]);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "propagation") : 0;
}

/* mount(2) for a bind; its flags need a second call on the mount that then stands at the target. */
static int attach_bind_old(const struct mount_context *c, const struct mount_wish *w, int source, int target,
			   struct err *e)
{
	uint64_t set, clear;
	int r;

	if (mount(fd_path(source).s, fd_path(target).s, NULL, MS_BIND | (w->rec ? MS_REC : 0UL), NULL) < 0)
		return err_sys(e, "mount");
	cleanup_fd int fd = path_open(c->root_fd, w->target, O_PATH, e);
	if (fd < 0)
		return fd;
	mount_merged(w, &set, &clear);
	r = mount_change(fd, w->rec, 0, 0, w->propagation[0] || w->propagation[1] ? 0 : MS_SLAVE);
	if (r >= 0 && (set || clear))
		r = mount_change(fd, false, set, clear, 0);
	if (r < 0)
		return change_failed(r, fd, clear, e);
	r = mount_set_propagation(w, fd, e);
	return r < 0 ? r : fd_take(&fd);
}

static int attach_fs_old(const struct mount_context *c, const struct mount_wish *w, int target, bool was_there,
			 struct err *e)
{
	uint64_t set, clear;
	int r;

	mount_merged(w, &set, &clear);
	if (leaves_ro(w))
		set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	r = mount_fs_old(c, w, target, set, e);
	if (r < 0)
		return r;
	cleanup_fd int fd = path_open(c->root_fd, w->target, O_PATH, e);
	if (fd < 0)
		return fd;
	if (w->tmpcopyup && was_there) {
		r = mount_copy_up(target, fd, e);
		if (r < 0)
			return r;
	}
	r = mount_set_propagation(w, fd, e);
	return r < 0 ? r : fd_take(&fd);
}

int mount_place(const struct mount_context *c, const struct mount_wish *w, int source, struct err *e)
{
	cleanup_fd int tree = source, target = -1;
	bool was_there;
	int r;

	target = open_target(c, w, w->bind ? tree : -1, &was_there, e);
	if (target < 0)
		return target;
	if (tree < 0)
		tree = new_tree(c, w, target, was_there, e);
	if (tree == -ENOSYS)
		return attach_fs_old(c, w, target, was_there, e);
	if (tree < 0)
		return tree;
	r = w->bind && !mount_can_change_detached() ? -ENOSYS : mount_move(tree, target);
	if (r == -ENOSYS)
		return attach_bind_old(c, w, tree, target, e);
	if (r < 0)
		return move_failed(r, tree, target, e);
	r = mount_set_propagation(w, tree, e);
	return r < 0 ? r : fd_take(&tree);
}

static int change_existing(const struct mount_wish *w, int fd, uint64_t top_set, uint64_t rec_set, struct err *e)
{
	int r = 0;

	if (top_set || w->attr_clr)
		r = mount_change(fd, false, top_set, w->attr_clr, 0);
	if (r < 0)
		return change_failed(r, fd, w->attr_clr, e);
	if (rec_set || w->rec_clr)
		r = mount_change(fd, true, rec_set, w->rec_clr, 0);
	return r < 0 ? change_failed(r, fd, w->rec_clr, e) : 0;
}

static int remount(const struct mount_context *c, const struct mount_wish *w, struct err *e)
{
	cleanup_fd int fd = path_open(c->root_fd, w->target, O_PATH, e);
	int r = 0;

	if (fd < 0)
		return fd;
	if (!w->bind)
		r = mount_fs_reconfigure(w, fd, e);
	if (r >= 0)
		r = change_existing(w, fd, w->attr_set, w->rec_set, e);
	if (r >= 0)
		r = mount_set_propagation(w, fd, e);
	return r < 0 ? err_wrap(e, "remount") : 0;
}

int mount_attach(const struct mount_context *c, const struct mount_wish *w, int source, struct err *e)
{
	if (w->remount) {
		fd_close(&source);
		return remount(c, w, e);
	}
	if (w->bind && source < 0) {
		source = mount_source(w, c->procfs, c->userns_fd, c->in_userns, e);
		if (source < 0)
			return source;
	}
	cleanup_fd int fd = mount_place(c, w, source, e);
	return fd < 0 ? fd : leaves_ro(w);
}

int mount_finalise(const struct mount_context *c, const struct mount_wish *w, struct err *e)
{
	int r;

	if (!leaves_ro(w))
		return 0;
	/* Opened again: the descriptor of the mount point is what lies below the mount. */
	cleanup_fd int fd = path_open(c->root_fd, w->target, O_PATH, e);
	if (fd < 0)
		return fd;
	/* Also with "rro": what lies below by now came later and has options of its own. */
	r = mount_change(fd, false, MOUNT_ATTR_RDONLY, 0, 0);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "make it read-only") : 0;
}

int mount_bind_fd(int root_fd, int fd, const char *target, uint64_t attr_set, struct err *e)
{
	const struct mount_wish w = { .target = target, .source = target, .bind = true, .attr_set = attr_set };
	const struct mount_context c = { .root_fd = root_fd, .procfs = -1, .userns_fd = -1 };
	cleanup_fd int tree = mount_can_change_detached() ? mount_clone(fd, NULL, false) : -ENOSYS;
	int r = 0;

	if (tree == -ENOSYS)
		tree = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else if (tree >= 0)
		r = source_flags(&w, tree, e);
	if (tree < 0)
		return err_set(e, ERR_KERNEL, tree == -1 ? errno : -tree, "bind onto %s", target);
	if (r < 0)
		return err_wrap(e, "bind onto %s", target);
	cleanup_fd int mount_fd = mount_place(&c, &w, fd_take(&tree), e);
	return mount_fd < 0 ? err_wrap(e, "bind onto %s", target) : 0;
}
