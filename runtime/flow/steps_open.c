// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows before anything exists: reading, checking, and the record of what will be made. */

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/check.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/path.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/steps.h"
#include "runtime/linux/creds.h"
#include "runtime/linux/lsm.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/process.h"

/* Namespace types of an existing container, from its document: what it has of its own or joined is entered. */
static uint64_t listed_namespaces(const struct flow *f)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;
	uint64_t flags = 0;

	for (size_t i = 0; i < ns->n; i++)
		flags |= (uint64_t)ns->v[i].type;
	return flags;
}

static int open_for_exec(struct flow *f, int64_t status, struct err *e)
{
	int r;

	if (status == OCI_STOPPED || status == OCI_CREATING)
		return err_set(e, ERR_STATE, 0, "cannot exec in a stopped container");
	r = store_load_spec(&f->dir, &f->spec, &f->arena, e);
	if (r < 0)
		return r;
	f->diff_ns = listed_namespaces(f);
	/* A process cannot join the user namespace that it is in. */
	if (f->diff_ns & CLONE_NEWUSER) {
		char path[64];

		snprintf(path, sizeof path, "/proc/%d/ns/user", (int)f->state.pid);
		if (ns_is_own(path, CLONE_NEWUSER))
			f->diff_ns &= ~(uint64_t)CLONE_NEWUSER;
	}
	f->inner_fork = f->diff_ns & CLONE_NEWPID;
	return 0;
}

static int open_for_start(struct flow *f, int64_t status, struct err *e)
{
	if (status == OCI_STOPPED)
		return err_set(e, ERR_STATE, 0, "cannot start a container that has stopped");
	if (status == OCI_RUNNING)
		return err_set(e, ERR_STATE, 0, "cannot start an already running container");
	if (status != OCI_CREATED)
		return err_set(e, ERR_STATE, 0, "cannot start a container in the %s state", oci_status_name(status));
	f->pid = (pid_t)f->state.pid;
	return f->state.has_poststart ? store_load_spec(&f->dir, &f->spec, &f->arena, e) : 0;
}

int step_open(struct flow *f, struct err *e)
{
	int64_t status;
	int r;

	r = store_open(f->o->root, f->o->id, STORE_WAIT, &f->dir, e);
	if (r == 0)
		r = store_load(&f->dir, f->o->id, &f->state, &f->arena, e);
	if (r < 0)
		return r;
	r = ext_read(&f->state.annotations, &f->state.extensions, false, &f->exts, &f->arena, e);
	if (r < 0)
		return r;
	store_status(&f->dir, &f->state, &status, &f->init_pidfd);
	return f->command == FLOW_EXEC ? open_for_exec(f, status, e) : open_for_start(f, status, e);
}

/* The text is kept: it becomes the private copy (runtime.md, "create": later changes have no effect). */
static int decode_bundle(struct flow *f, struct err *e)
{
	cleanup_fd int bundle = open(f->o->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (bundle < 0)
		return err_sys(e, "bundle %s", f->o->bundle);
	if (f->o->document)
		str_add(&f->document, str_cstr(f->o->document));
	else if (fs_read(bundle, f->o->config, OCI_DOCUMENT_MAX, &f->document, e) < 0)
		return err_ret(e);
	if (str_failed(&f->document))
		return err_oom(e);
	return oci_spec_parse(f->document.s, f->document.len, f->o->config, &f->spec, &f->arena, e);
}

int step_decode(struct flow *f, struct err *e)
{
	int r = 0;

	if (f->command == FLOW_EXEC) {
		f->process = f->o->process;
		return 0;
	}
	r = decode_bundle(f, e);
	f->process = f->spec.process;
	return r;
}

static void collect_namespaces(struct flow *f)
{
	const struct oci_namespaces *ns = &flow_linux(f)->namespaces;

	for (size_t i = 0; i < ns->n; i++)
		*(ns->v[i].path ? &f->join_ns : &f->new_ns) |= (uint64_t)ns->v[i].type;
	f->inner_fork = (f->join_ns & CLONE_NEWPID) || when_new_userns(f) || when_time_offsets(f);
	/* A joined user namespace must own what is made new, so that is unshared after joining, and a pid
	 * namespace made by unshare is entered by a child only. */
	if ((f->join_ns & CLONE_NEWUSER) && (f->new_ns & (CLONE_NEWPID | CLONE_NEWTIME)))
		f->inner_fork = true;
	if (f->command == FLOW_RESTORE) /* how CRIU does it is its business */
		f->inner_fork = false;
}

static int check_terminal(const struct flow *f, struct err *e)
{
	bool terminal = f->process && f->process->terminal.v;

	if (terminal && f->o->detach && !f->o->console_socket)
		return err_set(e, ERR_USAGE, 0, "cannot allocate tty if vzrun will detach without setting console socket");
	if ((!terminal || !f->o->detach) && f->o->console_socket)
		return err_set(e, ERR_USAGE, 0,
			       "cannot use console socket if vzrun will not detach or allocate tty");
	return 0;
}

static void warn_unknown(const struct oci_caps_set *set, const char *which)
{
	for (size_t i = 0; i < set->unknown.n; i++)
		log_warn("/process/capabilities/%s: unknown capability \"%s\" is ignored", which, set->unknown.v[i]);
}

/* A capability that this build does not know cannot be granted: a warning (config.md). */
static void warn_unknown_caps(const struct oci_capabilities *c)
{
	if (!c)
		return;
	warn_unknown(&c->bounding, "bounding");
	warn_unknown(&c->effective, "effective");
	warn_unknown(&c->inheritable, "inheritable");
	warn_unknown(&c->permitted, "permitted");
	warn_unknown(&c->ambient, "ambient");
}

static int check_process_here(const struct flow *f, struct err *e)
{
	const struct oci_process *p = f->process;
	int r;

	if (!p)
		return 0;
	warn_unknown_caps(p->capabilities);
	r = check_terminal(f, e);
	if (r == 0)
		r = lsm_check(p->apparmor_profile, p->selinux_label, flow_linux(f)->mount_label, e);
	return r;
}

static int check_root(const struct flow *f, struct err *e)
{
	struct stat st;

	if (lstat(f->state.rootfs, &st) < 0)
		return err_set(e, ERR_CONFIG, errno, "/root/path: %s: %s", f->state.rootfs, strerrordesc_np(errno));
	if (S_ISLNK(st.st_mode))
		return err_set(e, ERR_CONFIG, 0, "/root/path: %s is a symbolic link, not a directory", f->state.rootfs);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, 0, "/root/path: %s is not a directory", f->state.rootfs);
	return 0;
}

/* Without a mount namespace of its own whatever is mounted would stay on the host. */
static int check_mount_ns(const struct flow *f, struct err *e)
{
	const struct oci_linux *l = flow_linux(f);
	const char *pointer = f->spec.mounts.n ? "/mounts" :
			      l->masked_paths.n ? "/linux/maskedPaths" :
			      l->readonly_paths.n ? "/linux/readonlyPaths" :
			      f->spec.root->readonly.v ? "/root/readonly" :
			      l->rootfs_propagation ? "/linux/rootfsPropagation" : NULL;

	if (flow_new_mount_ns(f) || !pointer)
		return 0;
	return err_set(e, ERR_CONFIG, 0, "%s: needs a new mount namespace in /linux/namespaces", pointer);
}

static int compile_mounts(struct flow *f, struct err *e)
{
	size_t n = f->spec.mounts.n;

	f->wishes = arena_alloc_n(&f->arena, n, sizeof *f->wishes);
	f->sources = arena_alloc_n(&f->arena, n, sizeof *f->sources);
	if (!f->wishes || !f->sources)
		return err_oom(e);
	for (size_t i = 0; i < n; i++)
		f->sources[i] = -1;
	for (size_t i = 0; i < n; i++) {
		char pointer[32];
		int r;

		snprintf(pointer, sizeof pointer, "/mounts/%zu", i);
		r = mount_compile(&f->spec.mounts.v[i], pointer, &f->wishes[i], &f->arena, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Everything else that a container is made of needs CAP_SYS_ADMIN, which a plain user has only inside. */
static int check_privileges(const struct flow *f, struct err *e)
{
	if (geteuid() == 0 || flow_has_userns(f) || creds_capable(CAP_SYS_ADMIN))
		return 0;
	return err_set(e, ERR_CONFIG, EPERM,
		       "/linux/namespaces: a plain user needs a user namespace: {\"type\": \"user\"}, uidMappings and "
		       "gidMappings (vzrun spec --rootless writes such a document)");
}

/* Only who makes the user namespace knows its maps before it is there; a joined one answers by itself, later. */
static int check_ids(const struct flow *f, struct err *e)
{
	const struct oci_idmaps *uids = &flow_linux(f)->uid_mappings, *gids = &flow_linux(f)->gid_mappings;
	const struct oci_user *u = f->process ? &f->process->user : NULL;

	if (!u || !oci_namespace_new(&f->spec, CLONE_NEWUSER) || !uids->n || !gids->n)
		return 0;
	if (idmap_to_host(uids, u->uid) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "/process/user/uid: %u is not mapped in /linux/uidMappings", u->uid);
	if (idmap_to_host(gids, u->gid) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "/process/user/gid: %u is not mapped in /linux/gidMappings", u->gid);
	for (size_t i = 0; i < u->additional_gids.n && !flow_keeps_groups(f); i++)
		if (idmap_to_host(gids, u->additional_gids.v[i]) < 0)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "/process/user/additionalGids/%zu: additional group has no mapping in the user "
				       "namespace: %u is not in /linux/gidMappings", i, u->additional_gids.v[i]);
	return 0;
}

static int check_new_container(struct flow *f, struct err *e)
{
	uint64_t namespaces;
	int r;

	r = check_spec(&f->spec, e);
	if (r < 0)
		return r;
	collect_namespaces(f);
	r = check_privileges(f, e);
	if (r < 0)
		return r;
	namespaces = f->new_ns | f->join_ns;
	for (size_t i = 0; i < flow_linux(f)->namespaces.n; i++) {
		const struct oci_namespace *ns = &f->spec.linux->namespaces.v[i];

		/* A path that leads back to our own namespace gives the container nothing of its own. */
		if (ns->path && ns_is_own(ns->path, ns->type))
			namespaces &= ~(uint64_t)ns->type;
	}
	r = sysctl_check(&flow_linux(f)->sysctl, namespaces, f->spec.hostname != NULL, e);
	if (r == 0)
		r = check_mount_ns(f, e);
	if (r == 0)
		r = compile_mounts(f, e);
	return r;
}

/* Who asks for no cgroup gets no limits, but not without a word. */
static void warn_unlimited(const struct flow *f)
{
	const struct oci_resources *l = flow_linux(f)->resources;
	cleanup_str struct str list = { 0 };

	if (!l || f->command == FLOW_EXEC || f->o->driver != CG_DRIVER_DISABLED)
		return;
	const struct {
		const char *name;
		bool set;
	} groups[] = {
		{ "devices", l->devices.n > 0 },
		{ "memory", l->memory },
		{ "cpu", l->cpu },
		{ "pids", l->pids },
		{ "blockIO", l->block_io },
		{ "hugepageLimits", l->hugepage_limits.n > 0 },
		{ "network", l->network },
		{ "rdma", l->rdma.n > 0 },
		{ "unified", l->unified.n > 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (groups[i].set)
			str_addf(&list, "%s%s", list.len ? ", " : "", groups[i].name);
	if (list.len)
		log_warn("/linux/resources is not applied without a cgroup: %s", str_cstr(&list));
}

int step_check(struct flow *f, struct err *e)
{
	int r;

	r = f->command == FLOW_EXEC ? check_process(f->process, "/process", e) : check_new_container(f, e);
	if (r == 0)
		r = check_process_here(f, e);
	if (r == 0)
		r = check_ids(f, e);
	if (r == 0)
		warn_unlimited(f);
	return r < 0 && f->command != FLOW_EXEC ? err_wrap(e, "%s", f->o->config) : r;
}

static const char *driver_name(enum cg_driver_kind driver)
{
	switch (driver) {
	case CG_DRIVER_SYSTEMD:
		return "systemd";
	case CG_DRIVER_DISABLED:
		return "disabled";
	case CG_DRIVER_FS:
		break;
	}
	return "cgroupfs";
}

int flow_rootfs(struct flow *f, const char **ret, struct err *e)
{
	const char *path = f->spec.root->path;
	char joined[4096], clean[4096];

	snprintf(joined, sizeof joined, "%s/%s", f->o->bundle, path);
	if (path_clean(path[0] == '/' ? path : joined, clean, sizeof clean) < 0)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "/root/path: too long");
	*ret = arena_strdup(&f->arena, clean);
	return *ret ? 0 : err_oom(e);
}

static int fill_state(struct flow *f, struct err *e)
{
	const char *rootfs;

	if (flow_rootfs(f, &rootfs, e) < 0)
		return err_ret(e);
	f->state = (struct oci_state){
		.version = OCI_STATE_VERSION,
		.id = f->o->id,
		.status = OCI_CREATING,
		.oci_version = f->spec.oci_version,
		.bundle = f->o->bundle,
		.rootfs = rootfs,
		.created = arena_strdup(&f->arena, clock_rfc3339(9).s),
		.owner = geteuid() == 0 ? "root" : arena_printf(&f->arena, "%u", (unsigned)geteuid()),
		.annotations = f->spec.annotations,
		.cgroup_driver = driver_name(f->o->driver),
		.no_new_keyring = f->o->no_new_keyring,
		.private_pid_ns = f->new_ns & CLONE_NEWPID,
		.has_poststart = f->spec.hooks && f->spec.hooks->poststart.n,
		.has_poststop = f->spec.hooks && f->spec.hooks->poststop.n,
	};
	if (!f->state.created || !f->state.owner)
		return err_oom(e);
	return 0;
}

int flow_choose_cgroup(struct flow *f, struct err *e)
{
	const struct cgroup_options o = {
		.id = f->o->id, .path = flow_linux(f)->cgroups_path, .driver = f->o->driver,
		.resources = flow_linux(f)->resources, .rootless = f->o->rootless, .annotations = &f->spec.annotations,
	};
	int r;

	if (f->o->driver == CG_DRIVER_DISABLED || f->cg)
		return 0;
	r = cg_host_probe(NULL, &f->cg_host, &f->arena, e);
	if (r == 0)
		r = cgroup_choose(&f->cg_host, &o, &f->cg, &f->arena, e);
	return r < 0 ? err_wrap(e, "cgroup") : 0;
}

static int record_cgroup(struct flow *f, struct err *e)
{
	if (flow_choose_cgroup(f, e) < 0)
		return err_ret(e);
	if (f->cg) {
		f->state.cgroups = cgroup_saved(f->cg);
		f->state.systemd_unit = cgroup_unit(f->cg, &f->state.systemd_user);
	}
	return 0;
}

int step_intent(struct flow *f, struct err *e)
{
	int r;

	r = fill_state(f, e);
	if (r == 0)
		r = check_root(f, e);
	if (r == 0)
		r = record_cgroup(f, e);
	if (r == 0)
		r = ext_saved(&f->exts, &f->state.extensions, &f->arena, e);
	if (r == 0)
		r = store_create(f->o->root, f->o->id, &f->dir, e);
	if (r < 0)
		return r;
	r = store_save(&f->dir, &f->state, e);
	if (r == 0)
		r = fs_replace(f->dir.fd, STORE_CONFIG, f->document.s, f->document.len, 0600, e);
	/* What a migration takes along: on another host extensions find other things. */
	if (r == 0 && f->given.len)
		r = fs_replace(f->dir.fd, STORE_GIVEN, f->given.s, f->given.len, 0600, e);
	if (r < 0)
		undo_intent(f);
	return r;
}

void undo_intent(struct flow *f)
{
	struct err e;

	if (store_remove(&f->dir, f->o->id, &e) < 0)
		log_warn_err(&e);
}
