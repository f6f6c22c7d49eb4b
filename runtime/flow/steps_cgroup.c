// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of the host side about the container's cgroup, and its unit with the systemd driver. */

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "runtime/base/log.h"
#include "runtime/flow/flow.h"
#include "runtime/flow/steps.h"
#include "runtime/linux/ns.h"

/* ---- cgroups ---- */

static int reopen_cgroup(struct flow *f, struct err *e)
{
	int r;

	r = cgroup_of_state(&f->state, &f->cg, &f->arena, e);
	if (r < 0)
		return r;
	if (cgroup_frozen(f->cg) > 0) {
		if (!f->o->ignore_paused)
			return err_set(e, ERR_STATE, 0,
				       "cannot exec in a paused container (use --ignore-paused to override)");
		/* We freeze with the rest as soon as we are inside: resume and delete must not wait for us. */
		store_unlock(&f->dir);
	}
	if (f->o->sub_cgroups.n) {
		r = cgroup_open_sub(f->cg, &f->o->sub_cgroups, &f->join_cg, &f->arena, e);
		return r < 0 ? r : cgroup_open_procs(f->join_cg, e);
	}
	f->join_cg = f->cg;
	r = cgroup_follow(f->cg, (pid_t)f->state.pid, e);
	return r < 0 ? r : cgroup_open_procs(f->cg, e);
}

int step_cgroup_begin(struct flow *f, struct err *e)
{
	int r;

	if (f->command == FLOW_EXEC)
		return reopen_cgroup(f, e);
	r = cgroup_make(f->cg, e);
	/* What was there before, and what we may have, is known for certain only now. */
	f->state.cgroups = cgroup_saved(f->cg);
	if (cgroup_is_none(f->cg))
		f->state.cgroup_driver = "disabled";
	f->join_cg = f->cg;
	if (r < 0)
		return r;
	r = cgroup_open_procs(f->cg, e);
	if (r < 0)
		undo_cgroup(f);
	return r;
}

/* exec made nothing: its undo must not take the container's cgroup away. */
void undo_cgroup(struct flow *f)
{
	struct err e;

	if (f->command == FLOW_EXEC)
		return;
	cgroup_kill(f->cg, SIGKILL, &e);
	if (cgroup_remove(f->cg, &e) < 0)
		log_warn_err(&e);
}

int step_cgroup_limits(struct flow *f, struct err *e)
{
	return cgroup_apply(f->cg, flow_linux(f)->resources, e);
}

/* ---- the systemd driver ---- */

static bool has_unit(const struct flow *f)
{
	return f->command == FLOW_EXEC ? str_eq(f->state.cgroup_driver, "systemd") : f->o->driver == CG_DRIVER_SYSTEMD;
}

/* A user may move a process only between cgroups whose common parent is his: from the session's to the container's only
 * systemd may. */
bool when_unit_enter(const struct flow *f)
{
	return has_unit(f) && f->state.systemd_user && !f->cloned_into_cgroup;
}

bool when_unit_start_inner(const struct flow *f)
{
	return f->inner_fork && has_unit(f) && !when_unit_enter(f) && f->command != FLOW_EXEC;
}

bool when_unit_start(const struct flow *f)
{
	if (f->command == FLOW_EXEC)
		return when_unit_enter(f);
	return has_unit(f) && !when_unit_start_inner(f);
}

/* On v1 systemd moves whatever processes it finds below a slice out of the hierarchies that none of the slice's units needs,
 * and removes the directories; so init goes nowhere, and makes no cgroup namespace, before its unit is known. */
bool flow_unit_first(const struct flow *f)
{
	return has_unit(f) && f->command != FLOW_EXEC && f->cg_host.mode != CG_V2;
}

bool when_unit_wait(const struct flow *f)
{
	return flow_unit_first(f) && !when_unit_start_inner(f);
}

bool when_unit_wait_inner(const struct flow *f)
{
	return flow_unit_first(f) && when_unit_start_inner(f);
}

bool when_unit_limits(const struct flow *f)
{
	return has_unit(f);
}

int step_unit_start(struct flow *f, struct err *e)
{
	return f->command == FLOW_EXEC ? cgroup_unit_attach(f->join_cg, f->pid, e) : cgroup_unit_start(f->cg, f->pid, e);
}

int step_unit_enter(struct flow *f, struct err *e)
{
	int r = cgroup_unit_wait(f->join_cg, e);

	return r < 0 || !flow_unit_first(f) ? r : cgroup_unit_devices(f->cg, flow_linux(f)->resources, e);
}

int step_unit_limits(struct flow *f, struct err *e)
{
	int r = cgroup_unit_wait(f->cg, e);

	return r < 0 ? r : cgroup_unit_limits(f->cg, flow_linux(f)->resources, e);
}

/* config-linux.md, "Cgroup ownership". */
bool when_cgroup_delegate(const struct flow *f)
{
	if (f->cg_host.mode != CG_V2 || !f->cg || !(f->new_ns & CLONE_NEWCGROUP) || !f->process)
		return false;
	for (size_t i = 0; i < f->spec.mounts.n; i++)
		if (str_eq(f->wishes[i].fs, "cgroup") && !(f->wishes[i].attr_set & MOUNT_ATTR_RDONLY))
			return true;
	return false;
}

int step_cgroup_delegate(struct flow *f, struct err *e)
{
	const struct oci_idmaps *maps = &flow_linux(f)->uid_mappings;
	uint32_t uid = f->process->user.uid;
	int64_t host = maps->n ? idmap_to_host(maps, uid) : (int64_t)uid;

	if (host < 0)
		return err_set(e, ERR_CONFIG, 0, "/process/user/uid: %u is not mapped in /linux/uidMappings", uid);
	return cgroup_delegate(f->cg, (uid_t)host, e);
}
