// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of init: namespaces, and the file system as the container will see it. */

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/hooks.h"
#include "runtime/flow/notify_socket.h"
#include "runtime/flow/steps.h"
#include "runtime/flow/sync.h"
#include "runtime/linux/creds.h"
#include "runtime/linux/lsm.h"
#include "runtime/linux/netdev.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/process.h"
#include "runtime/linux/rootfs.h"
#include "runtime/linux/tty.h"

/* ---- conditions ---- */

bool flow_has_userns(const struct flow *f)
{
	return (f->new_ns | f->join_ns | f->diff_ns) & CLONE_NEWUSER;
}

bool flow_new_mount_ns(const struct flow *f)
{
	return f->new_ns & CLONE_NEWNS;
}

bool when_cgroup(const struct flow *f)
{
	return f->command == FLOW_EXEC ? !str_eq(f->state.cgroup_driver, "disabled")
				       : f->o->driver != CG_DRIVER_DISABLED;
}

bool when_new_userns(const struct flow *f)
{
	return f->new_ns & CLONE_NEWUSER;
}

bool when_userns(const struct flow *f)
{
	return flow_has_userns(f);
}

/* With a user namespace, new or joined, the others are made inside it; else clone3 makes them. */
bool when_unshare(const struct flow *f)
{
	return ((f->new_ns | f->join_ns) & CLONE_NEWUSER) || when_time_offsets(f);
}

bool when_time_offsets(const struct flow *f)
{
	const struct oci_time_offsets *o = flow_linux(f)->time_offsets;

	return (f->new_ns & CLONE_NEWTIME) && o && (o->boottime || o->monotonic);
}

bool when_inner_fork(const struct flow *f)
{
	return f->inner_fork;
}

bool when_cgroup_ns(const struct flow *f)
{
	return f->new_ns & CLONE_NEWCGROUP;
}

bool when_new_net(const struct flow *f)
{
	return f->new_ns & CLONE_NEWNET;
}

bool when_mount_ns(const struct flow *f)
{
	return flow_new_mount_ns(f);
}

bool when_propagation(const struct flow *f)
{
	return flow_linux(f)->rootfs_propagation;
}

bool when_keyring(const struct flow *f)
{
	return f->command == FLOW_EXEC ? !f->state.no_new_keyring : !f->o->no_new_keyring;
}

bool when_terminal(const struct flow *f)
{
	return f->process && f->process->terminal.v;
}

bool when_hostname(const struct flow *f)
{
	return f->spec.hostname || f->spec.domainname;
}

bool when_sysctl(const struct flow *f)
{
	return flow_linux(f)->sysctl.n > 0;
}

bool when_hooks_container(const struct flow *f)
{
	return f->spec.hooks && f->spec.hooks->create_container.n;
}

/* ---- namespaces ---- */

int step_cgroup_enter(struct flow *f, struct err *e)
{
	int r = cgroup_enter(f->join_cg, f->cloned_into_cgroup, e);

	flow_close_cgroups(f);
	return r;
}

static int enter_root(const struct flow *f, int root_fd, struct err *e)
{
	if (fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_sys(e, "chroot %s", f->state.rootfs);
	return 0;
}

static int chroot_container(const struct flow *f, struct err *e)
{
	cleanup_fd int root = open(f->state.rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return root < 0 ? err_sys(e, "%s", f->state.rootfs) : enter_root(f, root, e);
}

static int join_container(struct flow *f, struct err *e)
{
	fd_close(&f->procfs); /* of the host's pid namespace */
	if (f->diff_ns && setns(f->init_pidfd, (int)f->diff_ns) < 0) {
		err_sys(e, "setns of the container's process %d", (int)f->state.pid);
		/* init keeps itself from being looked into until the payload replaces it. */
		return f->state.status == OCI_CREATED && e->num == EPERM ?
			       err_hint(e, "without root a container can be entered once it has been started") :
			       err_ret(e);
	}
	fd_close(&f->init_pidfd); /* from here on others can look at us */
	/* A new mount namespace begins at the container's root, any other at the host's. */
	return oci_namespace_new(&f->spec, CLONE_NEWNS) ? 0 : chroot_container(f, e);
}

/* One pass over the document's paths.  What is refused before the user namespace was joined is tried again in it: a
 * namespace may belong to the one or to the other. */
static int join_pass(struct flow *f, bool user, bool last, struct err *e)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;

	for (size_t i = 0; i < ns->n; i++) {
		int r;

		if (f->ns_fds[i] < 0 || (ns->v[i].type == CLONE_NEWUSER) != user)
			continue;
		r = ns_join(f->ns_fds[i], ns->v[i].type, e);
		if (r < 0 && (last || user || e->num != EPERM))
			return err_wrap(e, "/linux/namespaces/%zu/path", i);
		if (r == 0)
			fd_close(&f->ns_fds[i]);
	}
	return 0;
}

int step_join_ns(struct flow *f, struct err *e)
{
	bool user = f->join_ns & CLONE_NEWUSER;
	int r;

	if (f->command == FLOW_EXEC)
		return join_container(f, e);
	if (!f->join_ns)
		return 0;
	r = join_pass(f, false, !user, e);
	if (r == 0 && user)
		r = join_pass(f, true, true, e);
	if (r == 0 && user)
		r = join_pass(f, false, true, e);
	return r;
}

int step_unshare_user(struct flow *f, struct err *e)
{
	int r = ns_unshare(CLONE_NEWUSER, e);

	(void)f;
	/* A plain user's host side may write our maps only while the files belong to that user.  Nobody but that user's own
	 * processes can look at us: we are in no namespace of the container yet. */
	if (r == 0 && getuid() != 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return err_sys(e, "prctl(PR_SET_DUMPABLE)");
	return r;
}

int step_become_root(struct flow *f, struct err *e)
{
	/* Denied where the maps came without privileges.  Groups that are to be kept could not be had again. */
	if (!flow_keeps_groups(f) && setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(e, "setgroups");
	/* A joined namespace need not map 0. */
	if (setresgid(0, 0, 0) < 0 && (errno != EINVAL || when_new_userns(f)))
		return err_sys(e, "setresgid(0): is group 0 mapped in /linux/gidMappings?");
	if (setresuid(0, 0, 0) < 0 && (errno != EINVAL || when_new_userns(f)))
		return err_sys(e, "setresuid(0): is user 0 mapped in /linux/uidMappings?");
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? err_sys(e, "prctl(PR_SET_DUMPABLE)") : 0;
}

int step_unshare_rest(struct flow *f, struct err *e)
{
	uint64_t flags = f->new_ns & ~(uint64_t)(CLONE_NEWUSER | CLONE_NEWCGROUP);

	return flags ? ns_unshare(flags, e) : 0;
}

int step_time_offsets(struct flow *f, struct err *e)
{
	int procfs = flow_procfs(f, e), r;

	if (procfs < 0)
		return procfs;
	/* The file belongs to the owner of a dumpable process only; nobody else is in these namespaces yet. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return err_sys(e, "prctl(PR_SET_DUMPABLE)");
	r = ns_time_offsets(procfs, flow_linux(f)->time_offsets, e);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return r;
}

int step_fork_inner(struct flow *f, struct err *e)
{
	/* Our sibling, not our child: the host (and after it the engine's subreaper) is its parent. */
	const struct clone_options o = { .flags = CLONE_PARENT, .cgroup_fd = -1 };
	pid_t pid = clone_process(&o, NULL, e);

	if (pid < 0)
		return err_wrap(e, "clone");
	if (pid > 0) {
		struct sync_msg m = { .row = (uint32_t)f->cursor, .value = pid };

		_exit(sync_send(f->peer.wr, &m, e) < 0 ? 1 : 0);
	}
	fd_close(&f->procfs); /* it shows another pid namespace than ours now */
	return 1;
}

int step_session(struct flow *f, struct err *e)
{
	(void)f;
	return setsid() < 0 ? err_sys(e, "setsid") : 0;
}

int step_cgroup_ns(struct flow *f, struct err *e)
{
	(void)f;
	return ns_unshare(CLONE_NEWCGROUP, e);
}

int step_loopback(struct flow *f, struct err *e)
{
	(void)f;
	return net_loopback_up(e);
}

int step_keyring(struct flow *f, struct err *e)
{
	const char *label = f->process ? f->process->selinux_label : NULL;
	/* Names are the user namespace's, and a restore does not do this in the container's: all users of the host could search it. */
	const char *id = f->command == FLOW_RESTORE && flow_has_userns(f) ? NULL : f->o->id;
	int procfs, r;

	if (!label)
		return keyring_join(id, flow_has_userns(f), e);
	procfs = flow_procfs(f, e);
	if (procfs < 0)
		return procfs;
	r = lsm_set_keycreate(procfs, label, e);
	if (r == 0)
		r = keyring_join(id, flow_has_userns(f), e);
	return r < 0 ? r : lsm_set_keycreate(procfs, NULL, e);
}

/* ---- the file system ---- */

int step_rootfs(struct flow *f, struct err *e)
{
	const struct rootfs_options o = {
		.path = f->state.rootfs, .propagation = flow_linux(f)->rootfs_propagation,
	};

	if (flow_new_mount_ns(f)) {
		f->root_fd = rootfs_enter(&o, e);
		return f->root_fd < 0 ? f->root_fd : 0;
	}
	/* Opened while there is a /proc in sight: without rights over this mount namespace no new one can be made. */
	if (flow_procfs(f, e) < 0)
		return err_ret(e);
	f->root_fd = open(o.path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return f->root_fd < 0 ? err_sys(e, "%s", o.path) : 0;
}

static struct mount_context mount_context(struct flow *f)
{
	return (struct mount_context){
		.root_fd = f->root_fd, .procfs = f->procfs, .userns_fd = f->userns_fd,
		.in_userns = flow_has_userns(f),
		.own_net = (f->new_ns | f->join_ns) & CLONE_NEWNET,
		.own_pid = (f->new_ns | f->join_ns) & CLONE_NEWPID,
		.own_ipc = (f->new_ns | f->join_ns) & CLONE_NEWIPC,
		.label = flow_linux(f)->mount_label,
	};
}

/* The hierarchies as a cgroup namespace shows them; without one, the container's own directories. */
static int mount_cgroup(struct flow *f, const struct mount_context *c, const struct mount_wish *w, struct err *e)
{
	bool namespaced = (f->new_ns | f->join_ns) & CLONE_NEWCGROUP;
	struct mount_view *views = arena_alloc_n(&f->arena, f->n_views, sizeof *views);
	struct mount_wish masked = *w;

	if (!views)
		return err_oom(e);
	/* Without a cgroup of its own the container sees none, and whatever /sys below this shows stays covered
	 * (CVE-2023-25809). */
	if (f->n_views == 0) {
		masked.attr_set |= MOUNT_ATTR_RDONLY;
		masked.attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		w = &masked;
	}
	for (size_t i = 0; i < f->n_views; i++)
		views[i] = (struct mount_view){
			.name = f->views[i].name,
			.fs = !namespaced ? NULL : f->views[i].v2 ? "cgroup2" : "cgroup",
			.options = f->views[i].options,
			.source = f->view_fds[i],
			.links = f->views[i].links,
		};
	return mount_cgroup_views(c, w, views, f->n_views, e);
}

static bool needs_procfs(const struct flow *f)
{
	for (size_t i = 0; i < f->spec.mounts.n; i++)
		if (f->wishes[i].idmap && (!f->wishes[i].bind || f->sources[i] < 0))
			return true;
	return false;
}

/* A relative cwd is refused by the check; a missing one is made, as runc does, while the root can be written. */
static int make_cwd(struct flow *f, struct err *e)
{
	int fd;

	if (!f->process)
		return 0;
	fd = path_try_open(f->root_fd, f->process->cwd, O_PATH);
	if (fd == -ENOENT) {
		fd = path_mkdir_all(f->root_fd, f->process->cwd, 0755, e);
		if (fd < 0)
			return err_wrap(e, "/process/cwd");
	}
	if (fd >= 0)
		close(fd); /* whatever else is wrong with it shows when the user enters it */
	return 0;
}

/* Mounts below a source hide what is under them.  In a tree that the host cloned, root of a user namespace could unmount
 * them and look; in one that is cloned inside the namespace the kernel keeps them locked.  Only where the namespace's root
 * cannot reach the source the host's tree has to do. */
static int lock_source(struct flow *f, size_t i, struct err *e)
{
	const struct mount_wish *w = &f->wishes[i];
	int tree;

	if (!flow_has_userns(f) || !w->rec || w->idmap)
		return 0;
	tree = mount_source(w, -1, -1, true, e);
	if (tree < 0)
		return e->num == EACCES || e->num == EPERM ? 0 : tree;
	fd_close(&f->sources[i]);
	f->sources[i] = tree;
	return 0;
}

static int own_source(struct flow *f, const struct mount_context *c, size_t i, struct err *e)
{
	const struct mount_wish *w = &f->wishes[i];

	f->sources[i] = mount_source(w, c->procfs, c->userns_fd, true, e);
	if (f->sources[i] >= 0)
		return 0;
	if (e->num == EACCES)
		return err_hint(e, "root of the container's user namespace cannot reach it: directories on the way need "
				"o+x, or its user a mapping in /linux/uidMappings");
	return err_ret(e);
}

/* What the host could not clone, all of it before the first mount could change what a path leads to. */
static int clone_sources(struct flow *f, const struct mount_context *c, struct err *e)
{
	for (size_t i = 0; i < f->spec.mounts.n; i++) {
		const struct mount_wish *w = &f->wishes[i];
		int r;

		if (!w->bind || w->remount)
			continue;
		r = f->sources[i] < 0 ? own_source(f, c, i, e) : lock_source(f, i, e);
		if (r < 0)
			return err_wrap(e, "/mounts/%zu: %s", i, w->target);
	}
	for (size_t i = 0; i < f->n_views; i++)
		if (f->view_fds[i] < 0 && !(f->new_ns & CLONE_NEWCGROUP && !flow_has_userns(f)))
			f->view_fds[i] = sys_open_tree(AT_FDCWD, f->views[i].host_dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return 0;
}

int step_mounts(struct flow *f, struct err *e)
{
	struct mount_context c;
	int r;

	if (needs_procfs(f) && flow_procfs(f, e) < 0)
		return err_ret(e);
	c = mount_context(f);
	r = clone_sources(f, &c, e);
	for (size_t i = 0; i < f->spec.mounts.n && r >= 0; i++) {
		const struct mount_wish *w = &f->wishes[i];

		if (str_eq(w->fs, "cgroup"))
			r = mount_cgroup(f, &c, w, e);
		else
			r = mount_attach(&c, w, fd_take(&f->sources[i]), e);
		if (r < 0)
			err_wrap(e, "/mounts/%zu: %s", i, w->target);
	}
	if (r < 0)
		return r;
	if (notify_socket_attach(f, e) < 0)
		return err_wrap(e, NOTIFY_INSIDE);
	return make_cwd(f, e);
}

extern char **environ;

int step_hooks_container(struct flow *f, struct err *e)
{
	cleanup_str struct str state = { 0 };

	oci_state_hook(&f->state, "creating", getpid(), &state);
	if (str_failed(&state))
		return err_oom(e);
	return hooks_run(&f->spec.hooks->create_container, "createContainer",
			 &(struct hooks_context){ state.s, environ, f->root_fd, -1 }, e);
}

int step_pivot(struct flow *f, struct err *e)
{
	return flow_new_mount_ns(f) ? rootfs_pivot(f->root_fd, f->o->no_pivot, e) : enter_root(f, f->root_fd, e);
}

int step_tty(struct flow *f, struct err *e)
{
	const struct oci_user *u = &f->process->user;
	struct sync_msg m = { .row = (uint32_t)f->cursor };
	bool console = f->command != FLOW_EXEC && flow_new_mount_ns(f);
	cleanup_fd int master = tty_setup(f->process->console_size, console, u->uid, u->gid, e);

	if (master < 0)
		return master;
	return sync_send_fd(f->peer.wr, &m, master, e) < 0 ? err_ret(e) : 1;
}

int step_hostname(struct flow *f, struct err *e)
{
	return ns_hostname(f->spec.hostname, f->spec.domainname, e);
}

int step_sysctl(struct flow *f, struct err *e)
{
	int procfs = flow_procfs(f, e);

	return procfs < 0 ? procfs : sysctl_write(procfs, &flow_linux(f)->sysctl, e);
}

int step_finalise(struct flow *f, struct err *e)
{
	struct mount_context c = mount_context(f);

	for (size_t i = 0; i < f->spec.mounts.n; i++) {
		int r = mount_finalise(&c, &f->wishes[i], e);

		if (r < 0)
			return err_wrap(e, "/mounts/%zu: %s", i, f->wishes[i].target);
	}
	return f->spec.root->readonly.v ? rootfs_readonly(e) : 0;
}

int step_mask(struct flow *f, struct err *e)
{
	const struct oci_linux *l = flow_linux(f);
	int r = readonly_paths(&l->readonly_paths, e);

	if (r < 0)
		return err_wrap(e, "/linux/readonlyPaths");
	r = mask_paths(&l->masked_paths, l->mount_label, e);
	return r < 0 ? err_wrap(e, "/linux/maskedPaths") : 0;
}

int step_propagation(struct flow *f, struct err *e)
{
	return rootfs_set_propagation(flow_linux(f)->rootfs_propagation, e);
}

/* The last row that needs what the host opened. */
int step_devices(struct flow *f, struct err *e)
{
	bool own = true;

	for (size_t i = 0; i < f->spec.mounts.n; i++)
		if (str_eq(f->wishes[i].target, "/dev") &&
		    (f->wishes[i].bind || str_eq(f->wishes[i].fs, "devtmpfs")))
			own = false; /* somebody else's /dev (there is one devtmpfs only): it has what it has */
	flow_close_sources(f);
	if (f->files.rlim_max && setrlimit(RLIMIT_NOFILE, &f->files) < 0)
		return err_sys(e, "setrlimit(RLIMIT_NOFILE)");
	return own ? dev_create(f->root_fd, &flow_linux(f)->devices, flow_has_userns(f), -1, e) : 0;
}
