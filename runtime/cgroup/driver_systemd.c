// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/systemd.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/cgroup/hier.h"

/* The systemd driver.
 *
 * Where a unit's cgroup will be follows from its name.  So it is made beforehand, as with cgroupfs: init is cloned into
 * it and goes on at once, under the device program, while systemd starts the unit, takes over the directory and
 * declares its limits.  A user's manager whose cgroups init may not enter by itself moves it there.
 *
 * On v2 the device program is ours, attached beside whatever systemd attaches, which therefore never replaces it.  On v1
 * systemd writes the device rules, again after a daemon-reload: it is told them.
 *
 * A scope ends by itself with its last process, so that delete needs no call; one that failed is forgotten as well
 * (CollectMode), so that its name is free again. */

#define GONE_MS 1000 /* how long systemd may take to see that a cgroup is empty before it is told */

/* ---- which unit ---- */

static struct cg_unit *unit_new(struct cgroup *cg, bool user, struct err *e)
{
	cg->unit = arena_new(cg->arena, struct cg_unit);
	if (!cg->unit) {
		err_oom(e);
		return NULL;
	}
	*cg->unit = (struct cg_unit){ .user = user, .turn = -1 };
	return cg->unit;
}

/* A plain user has nothing in v1 hierarchies but what systemd counts processes with. */
static bool is_ours(const struct cg_unit *u, const struct cg_mount *m)
{
	return !u->user || m->v2 || strcmp(m->controllers, "name=systemd") == 0;
}

int systemd_choose(struct cgroup *cg, const struct cg_host *host, const struct cgroup_options *o, struct err *e)
{
	struct cg_unit *u = unit_new(cg, manager_is_user(), e);
	struct unit_name name;
	const char *root;

	if (!u)
		return err_ret(e);
	u->id = o->id;
	u->annotations = o->annotations;
	if (unit_name(o->path, o->id, u->user, &name, cg->arena, e) < 0)
		return err_ret(e);
	u->name = name.unit;
	u->slice = name.slice;
	u->is_slice = name.is_slice;
	if (manager_open(u->user, &u->bus, e) < 0 || manager_root(&u->bus, u->user, &root, cg->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < host->n; i++) {
		const struct cg_mount *m = &host->mounts[i];
		const char *dir = arena_printf(cg->arena, "%s%s%s", m->dir, root, name.path);

		if (!dir)
			return err_oom(e);
		if (is_ours(u, m))
			cg_add_dir(cg, m, dir);
	}
	return cg->n > 0 ? 0 : err_set(e, ERR_UNSUPPORTED, 0, "systemd's cgroups are not mounted below /sys/fs/cgroup");
}

int systemd_reopen(struct cgroup *cg, const char *unit, bool user, struct err *e)
{
	struct cg_unit *u = unit_new(cg, user, e);

	if (!u)
		return err_ret(e);
	if (!unit)
		return err_set(e, ERR_STATE, 0, "state: systemdUnit is missing");
	u->name = unit;
	u->is_slice = str_ends(unit, ".slice");
	u->foreign = true;
	return 0;
}

void systemd_close(struct cgroup *cg)
{
	if (!cg->unit)
		return;
	bus_close(&cg->unit->bus);
	fd_close(&cg->unit->turn);
}

static int connect_unit(struct cg_unit *u, struct err *e)
{
	return u->bus.open ? 0 : manager_open(u->user, &u->bus, e);
}

/* ---- start ---- */

static int put_property(struct bus_call *call, const struct unit_property *p, struct err *e)
{
	bus_enter(call, 'r', "sv");
	bus_put_text(call, p->name);
	if (gvariant_put(p->value, call, e) < 0)
		return err_wrap(e, "%s: %s", p->pointer, p->name);
	bus_leave(call);
	return 0;
}

static int put_properties(struct bus_call *call, const struct unit_properties *list, struct err *e)
{
	bus_enter(call, 'a', "(sv)");
	for (size_t i = 0; i < list->n; i++)
		if (put_property(call, &list->v[i], e) < 0)
			return err_ret(e);
	bus_leave(call);
	return 0;
}

static const char *quoted(struct arena *a, const char *text)
{
	return arena_printf(a, "'%s'", text); /* names of units and ids: no quote can be in them */
}

/* What every container's unit has. */
static int add_basics(struct cgroup *cg, struct err *e)
{
	const struct cg_unit *u = cg->unit;
	struct arena *a = cg->arena;
	const bool v2 = cg->mode == CG_V2;
	const struct {
		const char *name, *value;
		bool wanted;
	} basics[] = {
		{ "Description", arena_printf(a, "'vzrun container %s'", u->id), true },
		{ "Slice", quoted(a, u->slice), !u->is_slice },
		{ "Wants", arena_printf(a, "['%s']", u->slice), u->is_slice },
		{ "PIDs", arena_printf(a, "[uint32 %d]", (int)u->pid), !u->is_slice },
		{ "Delegate", "true", !u->is_slice },
		{ "DefaultDependencies", "false", true },
		{ "CollectMode", "'inactive-or-failed'", true },
		{ "MemoryAccounting", "true", true },
		{ "CPUAccounting", "true", true },
		{ v2 ? "IOAccounting" : "BlockIOAccounting", "true", true },
		{ "TasksAccounting", "true", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(basics); i++)
		if (basics[i].wanted && unit_add(&cg->unit->properties, basics[i].name, basics[i].value, u->name, a, e) < 0)
			return err_ret(e);
	return 0;
}

static int send_start(struct cg_unit *u, struct err *e)
{
	cleanup_bus_call struct bus_call call = { 0 };

	if (bus_begin(&u->bus, &systemd_start_unit, &call, e) < 0)
		return err_ret(e);
	bus_put_text(&call, u->name);
	bus_put_text(&call, "replace");
	if (put_properties(&call, &u->properties, e) < 0)
		return err_ret(e);
	bus_enter(&call, 'a', "(sa(sv))"); /* no further units */
	bus_leave(&call);
	u->pending = bus_send(&u->bus, &call, e);
	return u->pending < 0 ? err_ret(e) : 0;
}

int systemd_start(struct cgroup *cg, pid_t pid, struct cg_plan *plan, struct err *e)
{
	static const struct oci_device_rules none;
	struct cg_unit *u = cg->unit;
	int r;

	u->pid = pid;
	u->properties = (struct unit_properties){ 0 };
	r = add_basics(cg, e);
	if (r == 0)
		r = unit_from_plan(plan, cg->mode == CG_V2, &u->properties, cg->arena, e);
	if (r == 0 && cg_find(cg, "devices"))
		r = unit_from_devices(cg->resources ? &cg->resources->devices : &none, &u->properties, cg->arena, e);
	/* Last: of two of a name the last one counts. */
	if (r == 0 && u->annotations)
		r = unit_from_annotations(u->annotations, &u->properties, cg->arena, e);
	if (r == 0)
		r = bus_listen(&u->bus, e);
	if (r == 0) {
		u->turn = manager_take_turn(u->user);
		u->started = true;
		r = send_start(u, e);
	}
	return r;
}

/* For a process that may not enter by itself. */
static int send_attach(struct cgroup *cg, const char *below, pid_t pid, struct err *e)
{
	struct cg_unit *u = cg->unit;
	cleanup_bus_call struct bus_call call = { 0 };

	if (connect_unit(u, e) < 0 || bus_begin(&u->bus, &systemd_attach, &call, e) < 0)
		return err_ret(e);
	bus_put_text(&call, u->name);
	bus_put_text(&call, below);
	bus_enter(&call, 'a', "u");
	bus_put_u32(&call, (uint32_t)pid);
	bus_leave(&call);
	u->pending = bus_send(&u->bus, &call, e);
	u->attaching = true;
	return u->pending < 0 ? err_ret(e) : 0;
}

int cgroup_unit_attach(struct cgroup *cg, pid_t pid, struct err *e)
{
	struct cg_dir *d = cg_find_v2(cg);
	const char *below;

	if (!d)
		d = cg_find(cg, "name=systemd");
	below = d ? strstr(d->dir, cg->unit->name) : NULL;
	below = below ? below + strlen(cg->unit->name) : "";
	return send_attach(cg, below, pid, e);
}

/* ---- the job ---- */

static bool is_error(const struct bus_message *m, const char *name)
{
	static const char prefix[] = "org.freedesktop.systemd1.";

	return m->kind == BUS_ERROR && str_starts(m->error, prefix) && strcmp(m->error + sizeof prefix - 1, name) == 0;
}

static int wait_job(struct cg_unit *u, const char *job, struct err *e)
{
	const int64_t until = clock_ms() + BUS_TIMEOUT_MS;
	struct bus_message m;

	for (;;) {
		if (bus_receive(&u->bus, until, &m, e) < 0)
			return err_wrap(e, "unit %s", u->name);
		if (m.kind != BUS_SIGNAL || strcmp(m.member, "JobRemoved") != 0 || strcmp(m.signature, "uoss") != 0)
			continue;
		bus_read_u32(&m);
		const char *path = bus_read_text(&m, 'o');
		bus_read_text(&m, 's');
		const char *result = bus_read_text(&m, 's');
		if (m.bad || strcmp(path, job) != 0)
			continue;
		if (strcmp(result, "done") == 0)
			return 0;
		return err_set(e, ERR_KERNEL, 0, "systemd could not start or stop unit %s: %.100s (see 'systemctl %sstatus %s')",
			       u->name, result, u->user ? "--user " : "", u->name);
	}
}

static int wait_job_of(struct cg_unit *u, struct bus_message *reply, struct err *e)
{
	char job[256];

	snprintf(job, sizeof job, "%s", bus_read_text(reply, 'o'));
	return wait_job(u, job, e);
}

/* A unit of this name that has ended badly is in the way until it is forgotten. */
static int reset_failed(struct cg_unit *u, struct err *e)
{
	cleanup_bus_call struct bus_call call = { 0 };
	struct bus_message m;
	int64_t sent;

	if (bus_begin(&u->bus, &systemd_reset_unit, &call, e) < 0)
		return err_ret(e);
	bus_put_text(&call, u->name);
	sent = bus_send(&u->bus, &call, e);
	return sent < 0 || bus_wait_reply(&u->bus, sent, &m, e) < 0 ? err_ret(e) : 0;
}

/* An older systemd names the property that it does not know. */
static bool drop_unknown(struct cg_unit *u, const struct bus_message *m)
{
	if (strcmp(m->error, "org.freedesktop.DBus.Error.PropertyReadOnly") != 0)
		return false;
	for (size_t i = 0; i < u->properties.n; i++) {
		struct unit_property *p = &u->properties.v[i];

		if (!p->optional || !strstr(m->text, p->name))
			continue;
		log_debug("unit %s: this systemd does not know %s", u->name, p->name);
		memmove(p, p + 1, (u->properties.n - i - 1) * sizeof *p);
		u->properties.n--;
		return true;
	}
	return false;
}

static int wait_start(struct cg_unit *u, struct err *e)
{
	bool retried = false;
	struct bus_message m;

	for (;;) {
		int r = bus_wait_reply(&u->bus, u->pending, &m, e);

		u->pending = 0;
		if (r < 0)
			return err_wrap(e, "unit %s", u->name);
		if (m.kind == BUS_REPLY)
			return wait_job_of(u, &m, e);
		if (is_error(&m, "UnitExists") && !retried) {
			retried = true;
			if (reset_failed(u, e) < 0)
				return err_wrap(e, "unit %s", u->name);
		} else if (!drop_unknown(u, &m)) {
			bus_error(&m, e);
			return err_wrap(e, "unit %s", u->name);
		}
		if (send_start(u, e) < 0)
			return err_ret(e);
	}
}

int cgroup_unit_wait(struct cgroup *cg, struct err *e)
{
	struct cg_unit *u = cg->unit;
	struct bus_message m;

	if (u->pending <= 0)
		return 0;
	if (!u->attaching) {
		int r = wait_start(u, e);

		/* Whoever stays connected is sent signals for as long as the container lives. */
		bus_close(&u->bus);
		fd_close(&u->turn);
		return r;
	}
	if (bus_wait_reply(&u->bus, u->pending, &m, e) < 0)
		return err_wrap(e, "unit %s", u->name);
	u->pending = 0;
	return m.kind == BUS_REPLY ? 0 : (bus_error(&m, e), err_wrap(e, "unit %s", u->name));
}

/* ---- update ---- */

static int set_properties(struct cg_unit *u, struct err *e)
{
	struct bus_message m = { .kind = BUS_REPLY };
	int64_t sent;

	do {
		cleanup_bus_call struct bus_call call = { 0 };
		const int runtime = true; /* until the next start, which there will not be */

		if (u->properties.n == 0)
			return 0;
		if (connect_unit(u, e) < 0 || bus_begin(&u->bus, &systemd_set_unit, &call, e) < 0)
			return err_ret(e);
		bus_put_text(&call, u->name);
		bus_put(&call, 'b', &runtime);
		if (put_properties(&call, &u->properties, e) < 0)
			return err_ret(e);
		sent = bus_send(&u->bus, &call, e);
		if (sent < 0 || bus_wait_reply(&u->bus, sent, &m, e) < 0)
			return err_wrap(e, "unit %s", u->name);
	} while (m.kind == BUS_ERROR && drop_unknown(u, &m));
	return m.kind == BUS_REPLY ? 0 : (bus_error(&m, e), err_wrap(e, "unit %s", u->name));
}

int systemd_update(struct cgroup *cg, struct cg_plan *plan, struct arena *a, struct err *e)
{
	cg->unit->properties = (struct unit_properties){ 0 };
	if (unit_from_plan(plan, cg->mode == CG_V2, &cg->unit->properties, a, e) < 0)
		return err_ret(e);
	return set_properties(cg->unit, e);
}

static bool same_properties(const struct unit_properties *x, const struct unit_properties *y)
{
	for (size_t i = 0; i < x->n && x->n == y->n; i++)
		if (strcmp(x->v[i].value, y->v[i].value) != 0)
			return false;
	return x->n == y->n;
}

/* Where nothing is new to systemd it is not called: it would write the files again, without the exceptions that it knows nothing
 * of. */
int systemd_set_devices(struct cgroup *cg, const struct oci_device_rules *was, const struct oci_device_rules *now, struct arena *a,
			struct err *e)
{
	struct unit_properties *list = &cg->unit->properties, before = { 0 }, after = { 0 };

	if (unit_from_devices(was, &before, a, e) < 0 || unit_from_devices(now, &after, a, e) < 0)
		return err_ret(e);
	if (same_properties(&before, &after))
		return 0;
	*list = (struct unit_properties){ 0 };
	/* To what it has systemd adds: first there is nothing. */
	if (unit_add(list, "DeviceAllow", "@a(ss) []", "/linux/resources/devices", a, e) < 0 || unit_from_devices(now, list, a, e) < 0)
		return err_ret(e);
	return set_properties(cg->unit, e);
}

/* ---- the driver ---- */

/* systemd turns on the controllers that it knows, with the unit.  Others are left alone by it, for us to turn on. */
static bool beyond_systemd(const struct oci_resources *r)
{
	static const char *const controllers[] = { "hugetlb.", "rdma.", "misc." };

	for (size_t i = 0; r && i < r->unified.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(controllers); k++)
			if (strncmp(r->unified.v[i].key, controllers[k], strlen(controllers[k])) == 0)
				return true;
	return r && (r->hugepage_limits.n > 0 || r->rdma.n > 0);
}

static int systemd_make(struct cgroup *cg, struct err *e)
{
	return cg_make_dirs(cg, beyond_systemd(cg->resources), e);
}

/* In the child.  A user's manager moves what may not move itself (row unit-enter waits for it). */
static int systemd_enter(const struct cgroup *cg, bool cloned_into_v2, struct err *e)
{
	int r = cg_driver_fs.attach(cg, cloned_into_v2, e);

	return r < 0 && cg->unit->user && (e->num == EACCES || e->num == EPERM) ? 0 : r;
}

static const char *unit_dir(const struct cgroup *cg)
{
	struct cg_dir *d = cg_find_v2(cg);

	if (!d)
		d = cg_find(cg, "name=systemd");
	return d ? d->dir : NULL;
}

/* Its cgroup goes with the unit. */
static bool ends_by_itself(struct cgroup *cg)
{
	const char *dir = unit_dir(cg);
	const int64_t until = clock_ms() + GONE_MS;

	if (!dir || cg->unit->is_slice)
		return false;
	for (int pause = 1; faccessat(AT_FDCWD, dir, F_OK, 0) == 0; pause = pause < 8 ? pause * 2 : pause) {
		if (clock_ms() >= until)
			return false;
		poll(NULL, 0, pause);
	}
	return true;
}

static int stop(struct cg_unit *u, struct err *e)
{
	cleanup_bus_call struct bus_call call = { 0 };
	struct bus_message m;
	int64_t sent;

	if (connect_unit(u, e) < 0 || bus_listen(&u->bus, e) < 0 || bus_begin(&u->bus, &systemd_stop_unit, &call, e) < 0)
		return err_ret(e);
	bus_put_text(&call, u->name);
	bus_put_text(&call, "replace");
	sent = bus_send(&u->bus, &call, e);
	if (sent < 0 || bus_wait_reply(&u->bus, sent, &m, e) < 0)
		return err_ret(e);
	if (m.kind == BUS_REPLY && wait_job_of(u, &m, e) < 0)
		return err_ret(e);
	if (is_error(&m, "NoSuchUnit"))
		return 0;
	return m.kind == BUS_ERROR ? bus_error(&m, e) : reset_failed(u, e);
}

static bool systemd_manages(const struct cg_dir *d)
{
	static const char *const names[] = { "name=systemd", "cpu", "cpuacct", "memory", "blkio", "devices", "pids" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cg_list_has(d->controllers, names[i]))
			return true;
	return d->v2;
}

/* In hierarchies that systemd does not look after, its slices are directories of ours. */
static void remove_slices(const struct cg_dir *d)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s", d->dir);
	for (char *slash = strrchr(path, '/'); slash && (size_t)(slash - path) > strlen(d->mount); slash = strrchr(path, '/')) {
		*slash = '\0';
		if (rmdir(path) < 0)
			return; /* another container lives there */
	}
}

static int systemd_remove(struct cgroup *cg, struct err *e)
{
	struct cg_unit *u = cg->unit;
	struct cg_dir *d = cg_find_v2(cg);
	char text[ERR_TEXT_MAX];
	struct err err;
	int r;

	if (!u->started && !u->foreign)
		return cg_driver_fs.remove(cg, e);
	/* A start under way would bring the unit back behind us. */
	if (u->pending > 0)
		cgroup_unit_wait(cg, &err);
	if (d)
		cg_wait_empty(d);
	if (!ends_by_itself(cg) && stop(u, &err) < 0)
		log_warn("unit %s is left to systemd: %s", u->name, err_format(&err, text, sizeof text));
	for (size_t i = 0; i < cg->n; i++)
		cg->dirs[i].made_top = NULL; /* slices are systemd's by now */
	r = cg_driver_fs.remove(cg, e);
	for (size_t i = 0; i < cg->n; i++)
		if (!systemd_manages(&cg->dirs[i]))
			remove_slices(&cg->dirs[i]);
	return r;
}

const struct cg_driver cg_driver_systemd = { "systemd", systemd_make, systemd_enter, cg_set_files, systemd_remove };
