// SPDX-License-Identifier: LGPL-2.1-or-later

/* Where CRIU runs for a restore: a mount namespace of its own, a slave of the host's.  There the root is a mount, as it wants it, and
 * all that is mounted from outside lies ready for it.  Nothing of that is left behind, whoever is killed. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/flow/restore.h"
#include "runtime/flow/steps.h"
#include "runtime/linux/mount_api.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/process.h"

#define CLOCKS_PREFIX "timens-"
#define CLOCKS_MAX 65536
#define PARENT "parent"
#define MAPPED ".mapped"

/* ---- mounts from outside ---- */

/* Covers the directory of all containers, in this namespace alone: nobody else sees the sources there, and root of a user namespace
 * gets through. */
static int cover_root(const struct flow *f, struct err *e)
{
	return mount("vzrun", f->o->root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0711,size=1m,nr_inodes=16k") < 0 ?
		       err_sys(e, "tmpfs for the sources of mounts, on %s", f->o->root) : 0;
}

static int make_place(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || (S_ISDIR(st.st_mode) ? mkdir(path, 0700) < 0 : mknod(path, S_IFREG | 0600, 0) < 0))
		return err_sys(e, "%s", path);
	return 0;
}

/* Before the directory of all containers is covered: extensions have files there. */
static int open_place(const struct restore_mount *m, struct err *e)
{
	cleanup_fd int base = open(m->base, O_PATH | O_CLOEXEC);
	int fd;

	if (base < 0)
		return err_sys(e, "%s: %s", m->point, m->base);
	if (!*m->rest)
		return fd_take(&base);
	fd = path_open_linkless(base, m->rest, O_PATH, e);
	if (fd < 0 && e->num == ELOOP)
		return err_set(e, ERR_CONFIG, ELOOP, "%s was mounted from %s%s%s, and now a symbolic link leads there: --mount-map %s=SOURCE says "
			       "what to take", m->point, m->base, str_ends(m->base, "/") ? "" : "/", m->rest, m->point);
	return fd < 0 ? err_wrap(e, "%s: %s", m->point, m->base) : fd;
}

/* What is mapped to other ids is a mount of its own, and so are its parts. */
static int attach_mapped(struct flow *f, struct err *e)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < f->spec.mounts.n; i++) {
		if (f->sources[i] < 0 || !f->wishes[i].idmap)
			continue;
		snprintf(path, sizeof path, "%s/mapped-%zu", f->o->root, i);
		if (make_place(f->sources[i], path, e) < 0)
			return err_ret(e);
		if (sys_move_mount(f->sources[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return err_sys(e, "move_mount %s", path);
	}
	return 0;
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The same file in there, instead of the host's. */
static void use_mapped(const struct flow *f, const struct restore_mount *m, int *fd)
{
	struct err ignored;
	cleanup_fd int other = -1;

	if (m->source < 0 || !f->wishes[m->source].idmap)
		return;
	other = *m->rest ? path_open_linkless(f->sources[m->source], m->rest, O_PATH, &ignored) :
			   fcntl(f->sources[m->source], F_DUPFD_CLOEXEC, 3);
	if (other < 0 || !is_same_file(other, *fd))
		return; /* the host has mounted something on it */
	close(*fd);
	*fd = fd_take(&other);
}

/* By descriptor: what a name leads to may be another thing the next moment.  Root of a user namespace, as whom CRIU mounts, would
 * perhaps not be let through the directories on the way either. */
static int attach(const struct flow *f, size_t i, int *fd, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, RESTORE_PLACE, f->o->root, i);
	use_mapped(f, &f->restore->mounts[i], fd);
	if (make_place(*fd, path, e) < 0)
		return err_ret(e);
	return mount(fd_path(*fd).s, path, NULL, MS_BIND, NULL) < 0 ? err_sys(e, "bind %s", f->restore->mounts[i].point) : 0;
}

static int attach_all(struct flow *f, struct err *e)
{
	const struct restore *r = f->restore;
	int *fds = arena_alloc_n(&f->arena, r->n_mounts + 1, sizeof *fds);

	if (!fds)
		return err_oom(e);
	for (size_t i = 0; i < f->spec.mounts.n; i++)
		if (!f->wishes[i].idmap)
			fd_close(&f->sources[i]);
	for (size_t i = 0; i < r->n_mounts; i++)
		if (r->mounts[i].base && (fds[i] = open_place(&r->mounts[i], e)) < 0)
			return err_ret(e);
	if (cover_root(f, e) < 0 || attach_mapped(f, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < r->n_mounts; i++) {
		if (!r->mounts[i].base)
			continue;
		if (attach(f, i, &fds[i], e) < 0)
			return err_ret(e);
		close(fds[i]);
	}
	return 0;
}

/* "rw,vers=4.2,addr=...": what mountinfo shows is what mount(2) takes. */
static int mount_again(const struct oci_image_mount *m, const char *path, struct err *e)
{
	const char *options = m->options ? m->options : "";
	unsigned long flags = str_starts(options, "ro") && (options[2] == ',' || !options[2]) ? MS_RDONLY : 0;

	if (str_starts(options, "rw,") || str_starts(options, "ro,"))
		options += 3;
	if (mkdir(path, 0700) < 0)
		return err_sys(e, "%s", path);
	return mount(m->device, path, m->fs, flags, options) < 0 ? err_sys(e, "mount %s of %s", m->point, m->device) : 0;
}

/* In the network namespace that the container joins, which is the one that it did it in. */
static int mount_all_again(const struct flow *f, struct err *e)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;
	const struct restore *r = f->restore;
	cleanup_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[PATH_MAX];
	int ret = 0;

	for (size_t i = 0; i < ns->n && ret == 0; i++)
		if (ns->v[i].type == CLONE_NEWNET && f->ns_fds[i] >= 0)
			ret = ns_join(f->ns_fds[i], CLONE_NEWNET, e);
	for (size_t i = 0; i < r->n_mounts && ret == 0; i++) {
		snprintf(path, sizeof path, RESTORE_PLACE, f->o->root, i);
		if (r->mounts[i].again)
			ret = mount_again(r->mounts[i].again, path, e);
	}
	if (ret == 0 && own >= 0)
		ret = ns_join(own, CLONE_NEWNET, e);
	return ret;
}

static bool needs_place(const struct flow *f)
{
	for (size_t i = 0; i < f->restore->n_mounts; i++)
		if (f->restore->mounts[i].base || f->restore->mounts[i].again)
			return true;
	return false;
}

/* ---- the images ---- */

/* The same directory, as this mount namespace has it. */
static int reopen(const char *path, int *fd, struct err *e)
{
	cleanup_fd int again = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat was, now;

	if (again < 0 || fstat(*fd, &was) < 0 || fstat(again, &now) < 0)
		return err_sys(e, "%s", path);
	if (was.st_dev != now.st_dev || was.st_ino != now.st_ino)
		return err_set(e, ERR_STATE, 0, "%s: somebody has put another directory there", path);
	close(*fd);
	*fd = fd_take(&again);
	return 0;
}

/* Offsets of clocks, which are no secret. */
static int copy_clocks(int images, int to, const char *name, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (fs_read(images, name, CLOCKS_MAX, &text, e) < 0 || fs_replace(to, name, text.s, text.len, 0644, e) < 0)
		return err_ret(e);
	return fchmodat(to, name, 0644, 0) < 0 ? err_sys(e, "%s", name) : 0; /* whatever the umask is */
}

static int link_image(int to, const char *name, struct err *e)
{
	char target[PATH_MAX];

	snprintf(target, sizeof target, MAPPED "/%s", name);
	return symlinkat(target, to, name) < 0 ? err_sys(e, "%s", name) : 0;
}

static int link_images(int images, int to, struct err *e)
{
	cleanup_dir DIR *dir = dir_open(images, ".");
	int r = 0;

	if (!dir)
		return err_sys(e, "images");
	for (struct dirent *entry = readdir(dir); entry && r == 0; entry = readdir(dir)) {
		const char *name = entry->d_name;

		if (name[0] != '.' && strcmp(name, PARENT) != 0)
			r = str_starts(name, CLOCKS_PREFIX) ? copy_clocks(images, to, name, e) : link_image(to, name, e);
	}
	return r;
}

/* What is in the directory `images`, in the directory `to`: root of the user namespace reads images of it, which are root's and for nobody
 * else; there they seem to be its own. */
static int map_images(const struct flow *f, int images, int to, struct err *e)
{
	cleanup_fd int tree = sys_open_tree(images, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return err_sys(e, "open_tree");
	if (mount_idmap_set(tree, f->userns_fd, false, "images", e) < 0)
		return err_hint(e, "they must lie on a file system that can map ids, for a container with a user namespace");
	if (mkdirat(to, MAPPED, 0755) < 0 || sys_move_mount(tree, "", to, MAPPED, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, "move_mount");
	return link_images(images, to, e);
}

/* The place of those that the ones in `at`, the number n, are based on. */
static int make_parent(int cover, int at, unsigned n, struct err *e)
{
	char name[32], target[40];
	int fd;

	snprintf(name, sizeof name, ".parent-%u", n + 1);
	snprintf(target, sizeof target, "%s%s", n ? "../" : "", name);
	/* Whatever the umask is. */
	if (mkdirat(cover, name, 0755) < 0 || fchmodat(cover, name, 0755, 0) < 0 || symlinkat(target, at, PARENT) < 0)
		return err_sys(e, "%s", name);
	fd = openat(cover, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s", name) : fd;
}

/* The images and all that they are based on, wherever that lies, for root of a user namespace, who may not go there.
 *
 * CRIU has process 1 read the clocks' image before it waits for its ids to be mapped.  As long as they are not it is nobody to whom the
 * images could seem to belong, and who comes first is chance.  So over them lies a directory that is open to all, where this one can be
 * read by all and the others are found through links. */
static int cover_images(const struct flow *f, const char *images, int *fd, struct err *e)
{
	if (mount("vzrun", images, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m,nr_inodes=0") < 0)
		return err_sys(e, "tmpfs on %s", images);
	cleanup_fd int cover = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int from = fcntl(*fd, F_DUPFD_CLOEXEC, 3), to = fcntl(cover, F_DUPFD_CLOEXEC, 3);
	if (cover < 0 || from < 0 || to < 0)
		return err_sys(e, "%s", images);
	for (unsigned n = 0; ; n++) {
		int parent;

		if (map_images(f, from, to, e) < 0)
			return err_wrap(e, n ? "%s: parent images" : "%s", images);
		parent = openat(from, PARENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0 && errno == ENOENT)
			break;
		if (parent < 0)
			return err_sys(e, "%s: parent images", images);
		close(from);
		from = parent;
		parent = make_parent(cover, to, n, e);
		if (parent < 0)
			return err_ret(e);
		close(to);
		to = parent;
	}
	close(*fd);
	*fd = fd_take(&cover);
	return 0;
}

/* ---- all of it ---- */

/* What the processes have from CRIU, which neither notes it nor makes it: not what we have from our caller. */
static int make_inherited(struct flow *f, struct err *e)
{
	const struct oci_memory_policy *memory = flow_linux(f)->memory_policy;

	if (when_keyring(f) && step_keyring(f, e) < 0)
		return err_wrap(e, "keyring");
	if (step_affinity_final(f, e) < 0)
		return err_ret(e);
	if (memory && memory_policy_set(memory, e) < 0)
		return err_ret(e);
	return f->process && f->process->io_priority ? io_priority_set(f->process->io_priority, e) : 0;
}

int restore_place(struct criu_child *child, void *arg, struct err *e)
{
	struct flow *f = arg;
	const struct criu_dirs *d = &f->restore->dirs;

	if (f->cg && cgroup_enter(f->cg, f->cloned_into_cgroup, e) < 0)
		return err_wrap(e, "cgroup");
	if (make_inherited(f, e) < 0)
		return err_ret(e);
	/* Process 1 has CRIU's: CRIU makes it one of its own only by cgroups of the images, and else mounts all of the host's. */
	if (restore_ignores_cgroups(f) && oci_namespace_new(&f->spec, CLONE_NEWCGROUP) && ns_unshare(CLONE_NEWCGROUP, e) < 0)
		return err_ret(e);
	if (ns_unshare(CLONE_NEWNS, e) < 0)
		return err_ret(e);
	if (mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_sys(e, "mount propagation");
	/* CRIU wants its root to be a mount. */
	if (mount(f->state.rootfs, f->state.rootfs, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(e, "bind %s", f->state.rootfs);
	if (mount("", f->state.rootfs, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(e, "propagation of %s", f->state.rootfs);
	if (reopen(d->images, &child->images_fd, e) < 0 || reopen(d->work, &child->work_fd, e) < 0)
		return err_ret(e);
	if (flow_has_userns(f) && cover_images(f, d->images, &child->images_fd, e) < 0)
		return err_ret(e);
	if (!needs_place(f))
		return 0;
	return attach_all(f, e) < 0 ? err_ret(e) : mount_all_again(f, e);
}
