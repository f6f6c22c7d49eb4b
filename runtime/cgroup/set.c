// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/hier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/cgroup/systemd.h"

/* Limits on their way into the kernel: at creation, and by `update`, which puts back what it wrote when a value is
 * refused. */

static bool has_file(const struct cgroup *cg, const char *controller, const char *file)
{
	struct cg_dir *d = cg_find(cg, controller);

	return d && cg_dir_fd(d) >= 0 && faccessat(d->fd, file, F_OK, 0) == 0;
}

static void look_for_weights(const struct cgroup *cg, const struct oci_resources *r, struct cg_current *now)
{
	if (!r->block_io || (!r->block_io->weight.set && r->block_io->weight_device.n == 0))
		return;
	now->has_bfq_weight = has_file(cg, "blkio", "blkio.bfq.weight") || has_file(cg, "io", "io.bfq.weight");
	now->has_blkio_weight = has_file(cg, "blkio", "blkio.weight");
}

static struct cg_dir *device_dir(const struct cgroup *cg)
{
	return cg_find(cg, "devices") ? NULL : cg_find_v2(cg);
}

static int plan_new(const struct cgroup *cg, const struct oci_resources *r, struct cg_plan *ret, struct arena *a,
		    struct err *e)
{
	struct cg_host host = cg_as_host(cg);
	struct cg_current now = { .refused = cg->refused };

	look_for_weights(cg, r, &now);
	return cg_plan(&host, r, &now, ret, a, e);
}

static const struct oci_resources none;

int cgroup_apply(struct cgroup *cg, const struct oci_resources *resources, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_resources r = resources ? *resources : none;
	struct cg_dir *d = device_dir(cg);
	struct cg_plan plan = { 0 };
	int rc = 0;

	/* Every document has some: whoever may not make a cgroup cannot make device nodes either, and who asked for no
	 * cgroup, or has none, wants to be left alone. */
	if (cg->driver == &cg_driver_disabled || (!d && !cg_find(cg, "devices") && (cg->refused || cg->mode == CG_NONE)))
		r.devices = none.devices;
	if (!cg->unit)
		rc = plan_new(cg, &r, &plan, &a, e);
	if (rc == 0)
		rc = cg->driver->set(cg, &plan, e);
	if (rc == 0 && d)
		rc = cg_dir_fd(d) < 0 ? err_sys(e, "cgroup %s", d->dir) : cg_devices_attach(d->fd, &r.devices, false, cg->rootless, e);
	if (rc < 0 && cg->refused)
		return err_hint(e, "%s", cg_remedy(cg->host_mode));
	return rc;
}

int cgroup_unit_start(struct cgroup *cg, pid_t pid, struct err *e)
{
	struct cg_plan plan;
	int r = plan_new(cg, cg->resources ? cg->resources : &none, &plan, cg->arena, e);

	return r < 0 ? r : systemd_start(cg, pid, &plan, e);
}

static void keep_rows(struct cg_plan *plan, bool devices)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		if ((strcmp(plan->v[i].controller, "devices") == 0) == devices)
			plan->v[n++] = plan->v[i];
	plan->n = n;
}

/* Also what systemd was told: it only logs what the kernel refuses.  `devices`: of v1's rules only these, or all but these. */
static int unit_limits(struct cgroup *cg, const struct oci_resources *resources, bool devices, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct unit_properties declared = { 0 };
	struct cg_plan plan = { 0 };
	int r;

	/* systemd may have taken an empty v1 directory away, and init made it again: what is open may be the old one. */
	for (size_t i = 0; i < cg->n; i++)
		if (!cg->dirs[i].v2)
			fd_close(&cg->dirs[i].fd);
	r = plan_new(cg, resources ? resources : &none, &plan, &a, e);
	if (r == 0)
		r = unit_from_plan(&plan, cg->mode == CG_V2, &declared, &a, e); /* rounds */
	keep_rows(&plan, devices);
	return r < 0 ? r : cg->driver->set(cg, &plan, e);
}

int cgroup_unit_devices(struct cgroup *cg, const struct oci_resources *resources, struct err *e)
{
	return cg_find(cg, "devices") ? unit_limits(cg, resources, true, e) : 0;
}

int cgroup_unit_limits(struct cgroup *cg, const struct oci_resources *resources, struct err *e)
{
	return unit_limits(cg, resources, false, e);
}

/* ---- what is there now ---- */

/* "Unlimited" of v1 is the largest page-aligned number. */
static void read_i64(const struct cgroup *cg, const char *file, struct opt_i64 *ret)
{
	struct cg_dir *d = cg_find(cg, "memory");
	uint64_t v;

	if (d && cg_dir_fd(d) >= 0 && cg_read_u64(d->fd, file, &v))
		*ret = (struct opt_i64){ v >= (uint64_t)INT64_MAX - 65535 ? -1 : (int64_t)v, true };
}

static void read_cpu(const struct cgroup *cg, struct cg_current *now)
{
	struct cg_dir *d = cg_find(cg, "cpu");
	char quota[64], period[64];
	char *space;

	if (!d || cg_dir_fd(d) < 0)
		return;
	if (!d->v2) {
		if (cg_read_text(d->fd, "cpu.cfs_quota_us", quota, sizeof quota))
			now->cpu_quota.set = num_i64(quota, &now->cpu_quota.v) == 0;
		if (cg_read_text(d->fd, "cpu.cfs_period_us", period, sizeof period))
			now->cpu_period.set = num_u64(period, &now->cpu_period.v) == 0;
		return;
	}
	if (!cg_read_text(d->fd, "cpu.max", quota, sizeof quota))
		return;
	space = strchr(quota, ' ');
	if (!space)
		return;
	*space = '\0';
	now->cpu_quota = (struct opt_i64){ -1, true };
	num_i64(quota, &now->cpu_quota.v); /* "max" leaves -1 */
	now->cpu_period.set = num_u64(space + 1, &now->cpu_period.v) == 0;
}

static struct cg_current read_current(const struct cgroup *cg, const struct oci_resources *r)
{
	struct cg_current now = { .update = true };
	struct cg_dir *d = cg_find(cg, "memory");

	if (r->memory && d && d->v2) {
		read_i64(cg, "memory.max", &now.memory_limit);
		read_i64(cg, "memory.current", &now.memory_usage);
	} else if (r->memory) {
		read_i64(cg, "memory.limit_in_bytes", &now.memory_limit);
		read_i64(cg, "memory.memsw.limit_in_bytes", &now.memory_swap);
		read_i64(cg, "memory.usage_in_bytes", &now.memory_usage);
	}
	if (r->cpu)
		read_cpu(cg, &now);
	look_for_weights(cg, r, &now);
	return now;
}

/* ---- putting back ---- */

/* Files with one entry a line: what an entry that was not there is set to. */
static const struct {
	const char *file, *absent;
} keyed[] = {
	{ "blkio.throttle.read_bps_device", "0" },
	{ "blkio.throttle.write_bps_device", "0" },
	{ "blkio.throttle.read_iops_device", "0" },
	{ "blkio.throttle.write_iops_device", "0" },
	{ "blkio.weight_device", "0" },
	{ "blkio.leaf_weight_device", "0" },
	{ "blkio.bfq.weight_device", "default" },
	{ "io.weight", "default" },
	{ "io.bfq.weight", "default" },
	{ "io.max", "rbps=max wbps=max riops=max wiops=max" },
	{ "io.latency", "target=0" },
	{ "rdma.max", "hca_handle=max hca_object=max" },
	{ "misc.max", "max" },
	{ "net_prio.ifpriomap", "0" },
};

static const char *find_line(const char *text, const char *key, size_t len, struct arena *a)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n > len && strncmp(text, key, len) == 0 && text[len] == ' ')
			return arena_strndup(a, text, n);
		text += n + (text[n] == '\n');
	}
	return NULL;
}

/* What would have to be written to get the present value back; NULL: nothing can be. */
static const char *value_before(const struct cgroup *cg, const struct cg_write *w, struct arena *a)
{
	struct cg_dir *d = strcmp(w->controller, "cgroup") == 0 ? cg_find_v2(cg) : cg_find(cg, w->controller);
	cleanup_str struct str text = { 0 };
	const char *absent = NULL, *line;
	size_t key = strcspn(w->value, " ");
	struct err ignored;

	if (!d || cg_dir_fd(d) < 0 || fs_read(d->fd, w->file, CG_FILE_MAX, &text, &ignored) < 0)
		return NULL;
	if (strcmp(w->file, "memory.oom_control") == 0) {
		line = find_line(str_cstr(&text), "oom_kill_disable", 16, a);
		return line ? line + 17 : NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		if (strcmp(keyed[i].file, w->file) == 0)
			absent = keyed[i].absent;
	if (absent && w->value[key] == ' ') {
		line = find_line(str_cstr(&text), w->value, key, a);
		return line ? line : arena_printf(a, "%.*s %s", (int)key, w->value, absent);
	}
	if (absent) { /* "default 100", then devices: the plain number is the default */
		line = find_line(str_cstr(&text), "default", 7, a);
		if (line)
			return line + 8;
	}
	/* An empty set is written back as a line, since an empty write(2) never reaches the kernel. */
	while (text.len && text.s[text.len - 1] == '\n')
		text.s[--text.len] = '\0';
	return text.len ? arena_strdup(a, text.s) : "\n";
}

/* A set of v2 that has processes cannot be made empty again: the same CPUs, by name. */
static const char *fallback_before(const struct cgroup *cg, const struct cg_write *before, struct arena *a)
{
	struct cg_write effective = *before;

	if (!before->value || strcmp(before->value, "\n") != 0 || strcmp(before->controller, "cpuset") != 0)
		return NULL;
	effective.file = arena_printf(a, "%s.effective", before->file);
	return effective.file ? value_before(cg, &effective, a) : NULL;
}

/* cg->before, backwards; a row whose value is not known is left alone. */
static void put_back(struct cgroup *cg)
{
	for (size_t n = cg->before.n; n-- > 0;) {
		struct err err;

		if (cg->before.v[n].value && cg_write_row(cg, &cg->before.v[n], &err) < 0)
			log_warn("update: %s could not be put back to '%s'", cg->before.v[n].file, cg->before.v[n].value);
	}
}

static int write_or_undo(struct cgroup *cg, struct cg_plan *plan, struct arena *a, struct err *e)
{
	struct cg_write *before = arena_alloc_n(a, plan->n + 1, sizeof *before);
	int r = 0;

	if (!before)
		return err_oom(e);
	cg->before = (struct cg_plan){ before, 0 };
	for (size_t i = 0; i < plan->n; i++) {
		before[i] = plan->v[i];
		before[i].value = value_before(cg, &plan->v[i], a);
		before[i].fallback = fallback_before(cg, &before[i], a);
		r = cg_write_row(cg, &plan->v[i], e);
		if (r < 0)
			break;
		cg->before.n++;
	}
	/* After the files: what the kernel refuses never reaches systemd. */
	if (r >= 0 && cg->unit)
		r = systemd_update(cg, plan, a, e);
	if (r < 0)
		put_back(cg);
	return r;
}

static void drop_unknown(struct cg_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].value)
			plan->v[n++] = plan->v[i];
	plan->n = n;
}

void cgroup_update_undo(struct cgroup *cg)
{
	cleanup_arena struct arena a = { 0 };
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	drop_unknown(&cg->before);
	/* Before the files: when it answers, what it was told last is written, and it does not write a set that is empty. */
	if (cg->unit && systemd_update(cg, &cg->before, &a, &e) < 0)
		log_warn("update: systemd was not told what is put back: %s", err_format(&e, text, sizeof text));
	put_back(cg);
	cg->before.n = 0;
}

/* ---- update ---- */

/* A group that the update speaks of is written again, even where the document said the same before. */
static bool touched(const struct oci_resources *now, const char *pointer)
{
	const char *p = pointer + sizeof "/linux/resources/" - 1;

	return (now->memory && str_starts(p, "memory/")) || (now->cpu && str_starts(p, "cpu/")) ||
	       (now->pids && str_starts(p, "pids/")) || (now->block_io && str_starts(p, "blockIO/")) ||
	       (now->hugepage_limits.n > 0 && str_starts(p, "hugepageLimits/")) ||
	       (now->network && str_starts(p, "network/")) || (now->rdma.n > 0 && str_starts(p, "rdma/")) ||
	       (now->unified.n > 0 && str_starts(p, "unified/"));
}

/* A file that a field means as well may have been written a moment before: `unified` comes last, and holds. */
static bool overrides(const struct oci_resources *merged, const struct cg_write *w)
{
	return str_starts(w->pointer, "/linux/resources/unified/") && cg_says(merged, w->file);
}

static void keep_touched(struct cg_plan *plan, const struct oci_resources *merged, const struct oci_resources *now)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		if (touched(now, plan->v[i].pointer) || overrides(merged, &plan->v[i]))
			plan->v[n++] = plan->v[i];
	plan->n = n;
}

int cgroup_update(struct cgroup *cg, const struct oci_resources *was, const struct oci_resources *now, struct arena *a,
		  struct err *e)
{
	struct cg_host host = cg_as_host(cg);
	struct oci_resources merged;
	struct cg_current current;
	struct cg_plan plan;
	int r;

	cg->before.n = 0;
	if (!now)
		return 0;
	r = cg_merge(was, now, &merged, a, e);
	if (r < 0)
		return r;
	merged.devices = (struct oci_device_rules){ 0 };
	current = read_current(cg, &merged);
	r = cg_plan(&host, &merged, &current, &plan, a, e);
	if (r < 0)
		return r;
	keep_touched(&plan, &merged, now);
	if (cg->unit) {
		struct unit_properties declared = { 0 };

		r = unit_from_plan(&plan, cg->mode == CG_V2, &declared, a, e); /* rounds */
		if (r < 0)
			return r;
	}
	return write_or_undo(cg, &plan, a, e);
}

/* ---- devices of a living container ---- */

/* A rule is taken back by the other file. */
static void undo_devices(struct cgroup *cg, const struct cg_planner *p, size_t n)
{
	while (n-- > 0) {
		struct cg_write w = p->v[n];
		struct err err;

		w.file = strcmp(w.file, "devices.allow") == 0 ? "devices.deny" : "devices.allow";
		if (cg_write_row(cg, &w, &err) < 0)
			log_warn("devices: '%s' could not be put back", w.value);
	}
}

static int set_devices_v1(struct cgroup *cg, const struct oci_device_rules *was, const struct oci_device_rules *now, struct err *e)
{
	static const struct cg_current nothing;
	cleanup_arena struct arena a = { 0 };
	struct oci_resources r = { .devices = *now };
	struct cg_planner p = { .r = &r, .now = &nothing, .controller = "devices", .arena = &a, .e = e };
	int rc;
	size_t i = 0;

	*e = (struct err){ 0 };
	rc = cg_devices_changes_v1(&p, was);
	while (rc == 0 && i < p.n)
		rc = cg_write_row(cg, &p.v[i++], e);
	if (rc < 0) {
		undo_devices(cg, &p, i > 0 ? i - 1 : 0);
		return rc;
	}
	rc = cg->unit ? systemd_set_devices(cg, was, now, &a, e) : 0;
	if (rc < 0)
		undo_devices(cg, &p, p.n);
	return rc;
}

int cgroup_set_devices(struct cgroup *cg, const struct oci_device_rules *was, const struct oci_device_rules *now, struct err *e)
{
	struct cg_dir *d = device_dir(cg);

	if (cg_find(cg, "devices"))
		return set_devices_v1(cg, was, now, e);
	if (!d)
		return err_set(e, ERR_UNSUPPORTED, 0, "devices: the container has no cgroup that holds its rules");
	return cg_dir_fd(d) < 0 ? err_sys(e, "cgroup %s", d->dir) : cg_devices_attach(d->fd, now, true, cg->rootless, e);
}
