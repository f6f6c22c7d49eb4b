// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cgroup/hier.h"

/* ---- conversions ---- */

/* log2 and 10^x for the range of cpu.shares; the C library's would bring libm into every start.  Both are exact to
 * about 1e-15, far better than what the formula's rounding needs (the test compares all 262143 arguments). */
static double log2_of(double x)
{
	double t, t2, sum = 0, power;
	int n = 0;

	while (x >= 2) {
		x /= 2;
		n++;
	}
	t = (x - 1) / (x + 1); /* ln x = 2 (t + t^3/3 + t^5/5 + ...), |t| <= 1/3 */
	t2 = t * t;
	power = t;
	for (int k = 1; k < 40; k += 2, power *= t2)
		sum += power / k;
	return n + 2 * sum / 0.693147180559945309417;
}

static double pow10_of(double x)
{
	double y = x * 2.302585092994045684018, term = 1, sum = 1; /* e^y; y is at most 9.3 */
	int halvings = 0;

	while (y > 0.5) {
		y /= 2;
		halvings++;
	}
	for (int k = 1; k < 20; k++) {
		term *= y / k;
		sum += term;
	}
	while (halvings-- > 0)
		sum *= sum;
	return sum;
}

uint64_t cg_weight_from_shares(uint64_t shares)
{
	double l, w;
	uint64_t whole;

	if (shares == 0)
		return 0;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2_of((double)shares);
	w = pow10_of((l * l + 125 * l) / 612.0 - 7.0 / 34.0);
	whole = (uint64_t)w;
	return w - (double)whole > 1e-9 ? whole + 1 : whole; /* 1024 is 100, not 100.0000000001 */
}

uint64_t cg_io_weight_from_blkio(uint64_t weight)
{
	if (weight <= 10)
		return weight == 0 ? 0 : 1;
	return weight >= 1000 ? 10000 : 1 + (weight - 10) * 9999 / 990;
}

/* ---- rows ---- */

/* An error sticks in p->e: knobs add their rows without looking and ask once. */
int cg_done(const struct cg_planner *p)
{
	return p->e->kind == ERR_NONE ? 0 : err_ret(p->e);
}

int cg_refuse(struct cg_planner *p, const char *field, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (p->e->kind != ERR_NONE)
		return err_ret(p->e);
	return err_set(p->e, ERR_UNSUPPORTED, 0, "/linux/resources/%s: %s", field, text);
}

static struct cg_write *grow(struct cg_planner *p)
{
	struct cg_write *v;
	size_t cap = p->cap ? p->cap * 2 : 32;

	if (p->n < p->cap)
		return &p->v[p->n];
	v = arena_alloc_n(p->arena, cap, sizeof *v);
	if (!v)
		return NULL;
	if (p->n > 0)
		memcpy(v, p->v, p->n * sizeof *v);
	p->v = v;
	p->cap = cap;
	return &p->v[p->n];
}

/* Never NULL: after an error the row is a dummy, so that a caller may set flags without looking. */
struct cg_write *cg_row(struct cg_planner *p, const char *field, const char *file, const char *fmt, ...)
{
	struct cg_write *w;
	char value[4096], *pointer, *text; /* no cgroup file takes more than a page */
	va_list ap;
	int n;

	w = p->e->kind == ERR_NONE ? grow(p) : NULL;
	va_start(ap, fmt);
	n = vsnprintf(value, sizeof value, fmt, ap);
	va_end(ap);
	if (p->e->kind == ERR_NONE && p->missing)
		cg_refuse(p, field, p->now->refused ? "limits need a cgroup with the %s controller, which may not be made here"
					       : "this host has no %s controller",
			  p->controller);
	if (p->e->kind == ERR_NONE && n >= (int)sizeof value)
		err_set(p->e, ERR_CONFIG, 0, "/linux/resources/%s: value is too long", field);
	pointer = arena_printf(p->arena, "/linux/resources/%s", field);
	text = arena_strdup(p->arena, value);
	if (p->e->kind == ERR_NONE && (!w || !pointer || !text))
		err_oom(p->e);
	if (p->e->kind != ERR_NONE || !w)
		return &p->dummy;
	*w = (struct cg_write){ .controller = p->controller, .file = file, .value = text, .pointer = pointer };
	p->n++;
	return w;
}

/* ---- knobs that are the same on v1 and v2 ---- */

int cg_pids_plan(struct cg_planner *p)
{
	if (!p->r->pids || !p->r->pids->limit.set)
		return 0;
	/* 0 would forbid even the clone into the cgroup; with 1 the payload cannot fork either. */
	if (p->r->pids->limit.v < 0)
		cg_row(p, "pids/limit", "pids.max", "max");
	else
		cg_row(p, "pids/limit", "pids.max", "%lld", p->r->pids->limit.v ? (long long)p->r->pids->limit.v : 1LL);
	return cg_done(p);
}

int cg_cpuset_plan(struct cg_planner *p)
{
	const struct oci_cpu *c = p->r->cpu;

	/* An empty text would mean "none" on v1. */
	if (c && c->cpus && *c->cpus)
		cg_row(p, "cpu/cpus", "cpuset.cpus", "%s", c->cpus);
	if (c && c->mems && *c->mems)
		cg_row(p, "cpu/mems", "cpuset.mems", "%s", c->mems);
	return cg_done(p);
}

/* It becomes a part of a file's name: "64KB", "2MB", "1GB" and nothing else. */
static bool is_page_size(const char *s)
{
	size_t digits = s ? strspn(s, "0123456789") : 0;

	return digits > 0 && digits < 10 && s[digits] && strchr("KMG", s[digits]) && strcmp(s + digits + 1, "B") == 0;
}

int cg_hugetlb_plan(struct cg_planner *p, const char *suffix)
{
	for (size_t i = 0; i < p->r->hugepage_limits.n; i++) {
		const struct oci_hugepage_limit *h = &p->r->hugepage_limits.v[i];
		const char *file, *rsvd;
		char field[64];

		if (!is_page_size(h->page_size))
			return err_set(p->e, ERR_CONFIG, 0,
				       "/linux/resources/hugepageLimits/%zu/pageSize: '%.40s' is not like 64KB, 2MB or 1GB", i,
				       h->page_size ? h->page_size : "");
		file = arena_printf(p->arena, "hugetlb.%s.%s", h->page_size, suffix);
		rsvd = arena_printf(p->arena, "hugetlb.%s.rsvd.%s", h->page_size, suffix);
		if (!file || !rsvd)
			return err_oom(p->e);
		snprintf(field, sizeof field, "hugepageLimits/%zu", i);
		cg_row(p, field, file, "%llu", (unsigned long long)h->limit);
		cg_row(p, field, rsvd, "%llu", (unsigned long long)h->limit)->may_be_absent = true; /* Linux 5.7 */
	}
	return cg_done(p);
}

int cg_rdma_plan(struct cg_planner *p)
{
	for (size_t i = 0; i < p->r->rdma.n; i++) {
		const struct oci_rdma *d = &p->r->rdma.v[i];
		char field[128], value[128];
		int n = 0;

		snprintf(field, sizeof field, "rdma/%.100s", d->device);
		if (!*d->device || d->device[strcspn(d->device, " \t\n")])
			return err_set(p->e, ERR_CONFIG, 0, "/linux/resources/%s: not the name of a device", field);
		if (d->hca_handles.set)
			n += snprintf(value, sizeof value, " hca_handle=%llu", (unsigned long long)d->hca_handles.v);
		if (d->hca_objects.set)
			n += snprintf(value + n, sizeof value - (size_t)n, " hca_object=%llu",
				      (unsigned long long)d->hca_objects.v);
		if (n > 0)
			cg_row(p, field, "rdma.max", "%s%s", d->device, value);
	}
	return cg_done(p);
}

/* memory.swap counts memory and swap together, on both versions.  Zero is "not said", as in every engine. */
int cg_swap_check(struct cg_planner *p, struct opt_i64 *ret_limit, struct opt_i64 *ret_swap)
{
	struct opt_i64 limit = p->r->memory->limit, swap = p->r->memory->swap;

	limit.set = limit.set && limit.v != 0;
	swap.set = swap.set && swap.v != 0;
	*ret_limit = limit;
	*ret_swap = swap;
	if (!limit.set && p->now->memory_limit.set)
		limit = p->now->memory_limit;
	if (!swap.set || swap.v < 0)
		return 0;
	if (!limit.set || limit.v < 0)
		return err_set(p->e, ERR_CONFIG, 0,
			       "/linux/resources/memory/swap: unable to set swap limit without memory limit");
	if (swap.v < limit.v)
		return err_set(p->e, ERR_CONFIG, 0, "/linux/resources/memory/swap: %lld is less than the memory limit %lld",
			       (long long)swap.v, (long long)limit.v);
	return 0;
}

/* memory.checkBeforeUpdate: rather refuse than let the kernel kill. */
static int check_usage(struct cg_planner *p)
{
	const struct oci_memory *m = p->r->memory;

	if (!m || !m->check_before_update.v || !m->limit.set || m->limit.v <= 0 || !p->now->memory_usage.set)
		return 0;
	if (p->now->memory_usage.v <= m->limit.v)
		return 0;
	return err_set(p->e, ERR_CONFIG, 0, "/linux/resources/memory/limit: %lld is below the current usage %lld",
		       (long long)m->limit.v, (long long)p->now->memory_usage.v);
}

/* ---- unified ---- */

static int unified_key(const struct cg_planner *p, const struct cg_host *host, const char *key,
		       const char **ret_controller, struct err *e)
{
	static const char *const no_limits[] = { "cgroup.procs", "cgroup.threads", "cgroup.kill" };
	const char *dot = strchr(key, '.');
	bool v2 = false;

	if (!dot || dot == key || dot[1] == '\0' || strchr(key, '/'))
		return err_set(e, ERR_CONFIG, 0, "/linux/resources/unified/%s: not of the form CONTROLLER.PARAMETER", key);
	for (size_t i = 0; i < ARRAY_SIZE(no_limits); i++)
		if (strcmp(key, no_limits[i]) == 0)
			return err_set(e, ERR_CONFIG, 0, "/linux/resources/unified/%s: not a limit", key);
	*ret_controller = arena_strndup(p->arena, key, (size_t)(dot - key));
	if (!*ret_controller)
		return err_oom(e);
	for (size_t i = 0; i < host->n; i++) {
		if (!host->mounts[i].v2)
			continue;
		v2 = true;
		if (strcmp(*ret_controller, "cgroup") == 0 || cg_list_has(host->mounts[i].controllers, *ret_controller))
			return 0;
	}
	if (!v2)
		return err_set(e, ERR_UNSUPPORTED, 0, "/linux/resources/unified/%s: %s", key,
			       p->now->refused ? "needs a cgroup, which may not be made here" : "this host has no cgroup v2");
	return err_set(e, ERR_UNSUPPORTED, 0, "/linux/resources/unified/%s: cgroup v2 of this host has no %s controller",
		       key, *ret_controller);
}

/* One write for each line: keyed files (io.max) take one entry at a time. */
static int plan_unified(struct cg_planner *p, const struct cg_host *host)
{
	for (size_t i = 0; i < p->r->unified.n; i++) {
		const struct oci_pair *u = &p->r->unified.v[i];
		char *field = arena_printf(p->arena, "unified/%s", u->key);
		int r = unified_key(p, host, u->key, &p->controller, p->e);

		if (r < 0)
			return r;
		if (!field)
			return err_oom(p->e);
		if (u->value[strspn(u->value, "\n")] == '\0')
			return err_set(p->e, ERR_CONFIG, 0, "/linux/resources/%s: the value is empty", field);
		for (const char *line = u->value; *line;) {
			size_t n = strcspn(line, "\n");

			if (n > 0)
				cg_row(p, field, u->key, "%.*s", (int)n, line);
			line += n + (line[n] == '\n');
		}
	}
	return cg_done(p);
}

/* ---- the planner ---- */

/* Which version of a controller this host has: v1 before v2, as a controller is in one of them only. */
static const struct cg_knob *choose(const struct cg_host *host, size_t group, bool *ret_missing)
{
	*ret_missing = false;
	for (size_t i = 0; i < host->n; i++) {
		const struct cg_mount *m = &host->mounts[i];
		const struct cg_knob *k = m->v2 ? &cg_v2.knobs[group] : &cg_v1.knobs[group];

		if (k->controller && cg_list_has(m->controllers, k->controller))
			return k;
	}
	/* Device rules of v2 are a program, for which no controller is needed; net_cls and net_prio are refused by
	 * v2's own words. */
	for (size_t i = 0; i < host->n; i++)
		if (host->mounts[i].v2 && (group == CG_DEVICES || (host->mode == CG_V2 && !cg_v2.knobs[group].controller)))
			return &cg_v2.knobs[group];
	*ret_missing = true;
	return &cg_v1.knobs[group];
}

int cg_plan(const struct cg_host *host, const struct oci_resources *r, const struct cg_current *current,
	    struct cg_plan *ret, struct arena *a, struct err *e)
{
	static const struct cg_current nothing;
	struct cg_planner p = { .r = r, .now = current ? current : &nothing, .arena = a, .e = e };
	int rc;

	*ret = (struct cg_plan){ 0 };
	*e = (struct err){ 0 };
	if (!r)
		return 0;
	p.update = p.now->update;
	if (!grow(&p))
		return err_oom(e);
	rc = check_usage(&p);
	for (size_t g = 0; rc == 0 && g < CG_GROUPS; g++) {
		const struct cg_knob *k = choose(host, g, &p.missing);

		p.controller = k->controller;
		/* A host without device rules at all can only refuse those that the document asks for. */
		if (g == CG_DEVICES && p.missing && r->devices.n == 0)
			continue;
		if (k->plan)
			rc = k->plan(&p);
	}
	p.missing = false;
	if (rc == 0)
		rc = plan_unified(&p, host);
	if (rc < 0)
		return rc;
	*ret = (struct cg_plan){ p.v, p.n };
	return 0;
}
