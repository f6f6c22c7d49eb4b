// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/linux/mount_api.h"

/* The part of a view: its own directory of the host, or the hierarchy as the cgroup namespace shows it. */
static int view_tree(const struct mount_context *c, const struct mount_wish *w, const struct mount_view *v, int target,
		     struct err *e)
{
	const struct mount_wish new = { .target = w->target, .fs = v->fs, .source = v->fs, .data = v->options };
	uint64_t set, clear;
	int r;

	mount_merged(w, &set, &clear);
	if (v->fs) {
		int fd = mount_fs_new(c, &new, target, false, set, e);

		if (fd == -ENOSYS)
			return err_set(e, ERR_UNSUPPORTED, ENOSYS, "this kernel has no fsopen");
		if (fd >= 0 || v->source < 0 || (fd != -EPERM && fd != -EBUSY))
			return fd;
	}
	cleanup_fd int tree = fcntl(v->source, F_DUPFD_CLOEXEC, 3);
	if (tree < 0)
		return err_sys(e, "%s", v->name);
	r = mount_change(tree, false, set, clear, MS_SLAVE);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "%s", v->name) : fd_take(&tree);
}

static int make_links(int dir, const struct mount_view *v, struct err *e)
{
	for (const char *const *link = v->links; link && *link; link++)
		if (symlinkat(v->name, dir, *link) < 0)
			return err_sys(e, "symlink %s", *link);
	return 0;
}

static int add_view(const struct mount_context *c, const struct mount_wish *w, const struct mount_view *v, int dir,
		    struct err *e)
{
	int r;

	if (mkdirat(dir, v->name, 0755) < 0)
		return err_sys(e, "mkdir %s", v->name);
	cleanup_fd int target = openat(dir, v->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "open %s", v->name);
	cleanup_fd int tree = view_tree(c, w, v, target, e);
	if (tree < 0)
		return tree;
	r = mount_move(tree, target);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "mount %s", v->name) : make_links(dir, v, e);
}

/* cgroup2 on the place itself. */
static int whole(const struct mount_context *c, const struct mount_wish *w, const struct mount_view *v, struct err *e)
{
	struct mount_wish place = *w;
	int tree;

	place.fs = NULL;
	place.bind = true; /* the tree is there already: no filesystem is to be made */
	tree = view_tree(c, w, v, -1, e);
	if (tree < 0)
		return tree;
	cleanup_fd int fd = mount_place(c, &place, tree, e);
	return fd < 0 ? fd : 0;
}

int mount_cgroup_views(const struct mount_context *c, const struct mount_wish *w, const struct mount_view *views, size_t n,
		       struct err *e)
{
	const struct mount_wish base = {
		.target = w->target, .fs = "tmpfs", .source = "tmpfs", .data = "mode=755",
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	int r = 0;

	if (n == 1 && !*views[0].name)
		return whole(c, w, &views[0], e);
	cleanup_fd int dir = mount_place(c, &base, -1, e);
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = add_view(c, w, &views[i], dir, e);
	if (r < 0)
		return r;
	if ((w->attr_set | w->rec_set) & MOUNT_ATTR_RDONLY)
		r = mount_change(dir, false, MOUNT_ATTR_RDONLY, 0, 0);
	if (r < 0)
		return err_set(e, ERR_KERNEL, -r, "make it read-only");
	return mount_set_propagation(w, dir, e);
}
