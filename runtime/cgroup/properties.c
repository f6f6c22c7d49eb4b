// SPDX-License-Identifier: LGPL-2.1-or-later
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cgroup/hier.h"
#include "runtime/cgroup/unit.h"

/* The rows of a plan as properties of a unit.  Each is still written to its file as well: systemd only logs what the
 * kernel refuses.  What has no row here (throttles, huge pages, burst, ...) systemd leaves alone. */

#define INFINITY_TEXT "uint64 18446744073709551615"
#define PERIOD_DEFAULT 100000

enum kind { NUMBER, SIZE, WEIGHT, BFQ, TASKS, SET, OOM_GROUP };

#define BLOCK_IO_WEIGHT_MAX 1000

static const struct {
	const char *file, *property;
	enum kind kind;
	bool optional;
} table[] = {
	{ "memory.max", "MemoryMax", SIZE, false },
	{ "memory.swap.max", "MemorySwapMax", SIZE, false },
	{ "memory.low", "MemoryLow", SIZE, false },
	{ "memory.min", "MemoryMin", SIZE, false },
	{ "memory.high", "MemoryHigh", SIZE, false },
	{ "memory.zswap.max", "MemoryZSwapMax", SIZE, true },      /* systemd 253 */
	{ "memory.oom.group", "OOMPolicy", OOM_GROUP, true },      /* 253 for scopes */
	{ "pids.max", "TasksMax", TASKS, false },
	{ "cpu.weight", "CPUWeight", NUMBER, false },
	{ "io.weight", "IOWeight", WEIGHT, false },
	{ "io.bfq.weight", "IOWeight", WEIGHT, false },
	{ "cpuset.cpus", "AllowedCPUs", SET, true },               /* 244; on v1 the sets are ours */
	{ "cpuset.mems", "AllowedMemoryNodes", SET, true },
	{ "memory.limit_in_bytes", "MemoryLimit", SIZE, true },    /* v1; gone in 256 */
	{ "cpu.shares", "CPUShares", NUMBER, true },               /* v1 */
	{ "blkio.weight", "BlockIOWeight", NUMBER, true },         /* v1 */
	{ "blkio.bfq.weight", "BlockIOWeight", BFQ, true },        /* v1 */
};

int unit_add(struct unit_properties *list, const char *name, const char *value, const char *pointer, struct arena *a,
	     struct err *e)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 32;
		struct unit_property *v = arena_alloc_n(a, cap, sizeof *v);

		if (!v)
			return err_oom(e);
		if (list->n > 0)
			memcpy(v, list->v, list->n * sizeof *v);
		list->v = v;
		list->cap = cap;
	}
	if (!name || !value)
		return err_oom(e);
	list->v[list->n++] = (struct unit_property){ .name = name, .value = value, .pointer = pointer };
	return 0;
}

/* ---- values ---- */

static const char *size_text(const char *value, struct arena *a)
{
	int64_t v;

	if (strcmp(value, "max") == 0 || strcmp(value, "-1") == 0)
		return INFINITY_TEXT;
	return num_size(value, &v) == 0 && v >= 0 ? arena_printf(a, "uint64 %" PRId64, v) : NULL;
}

/* 0 processes is no limit that systemd takes. */
static const char *tasks_text(const char *value, struct arena *a)
{
	return strcmp(value, "0") == 0 ? "uint64 1" : size_text(value, a);
}

/* systemd gives BFQ a weight of its own making, 1 to 1000 from 1 to 10000: the one that becomes ours. */
static uint64_t weight_for_bfq(uint64_t w)
{
	return w <= 100 ? w : 100 + (w - 100) * 11;
}

/* On v1 it has only 10 to 1000 for that, which reaches to 181. */
static const char *bfq_text(const char *value, struct arena *a)
{
	uint64_t w;

	if (num_u64(value, &w) < 0)
		return NULL;
	w = weight_for_bfq(w);
	return arena_printf(a, "uint64 %" PRIu64, w < BLOCK_IO_WEIGHT_MAX ? w : BLOCK_IO_WEIGHT_MAX);
}

/* "100", "default 100", "8:0 100" */
static int add_weight(const struct cg_write *w, struct unit_properties *list, struct arena *a, struct err *e)
{
	const char *space = strchr(w->value, ' '), *colon = strchr(w->value, ':');
	uint64_t weight;

	if (num_u64(space ? space + 1 : w->value, &weight) < 0)
		return 0;
	if (strcmp(w->file, "io.bfq.weight") == 0)
		weight = weight_for_bfq(weight);
	if (!colon)
		return unit_add(list, "IOWeight", arena_printf(a, "uint64 %" PRIu64, weight), w->pointer, a, e);
	return unit_add(list, "IODeviceWeight",
			arena_printf(a, "[('/dev/block/%.*s', uint64 %" PRIu64 ")]", (int)(space - w->value), w->value,
				     weight),
			w->pointer, a, e);
}

/* "0-3,8" as a mask, the lowest bits first; a line with nothing in it is none; NULL: not of that form, which the kernel will say. */
static const char *set_text(const char *value, struct arena *a)
{
	uint8_t mask[1024] = { 0 };
	cleanup_str struct str text = { 0 };
	size_t bytes = 0;

	if (strcmp(value, "\n") == 0)
		return "@ay []";
	for (const char *p = value; *p;) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (end == p)
			return NULL;
		if (*end == '-') {
			p = end + 1;
			last = strtoul(p, &end, 10);
		}
		if (end == p || first > last || last >= 8 * sizeof mask || (*end && *end != ','))
			return NULL;
		for (unsigned long i = first; i <= last; i++)
			mask[i / 8] |= (uint8_t)(1U << (i % 8));
		if (last / 8 + 1 > bytes)
			bytes = last / 8 + 1;
		p = end + (*end == ',');
	}
	for (size_t i = 0; i < bytes; i++)
		str_addf(&text, "%s0x%02x", i ? ", " : "[byte ", mask[i]);
	return bytes == 0 || str_failed(&text) ? NULL : arena_printf(a, "%s]", text.s);
}

static int add_row(const struct cg_write *w, size_t t, struct unit_properties *list, struct arena *a, struct err *e)
{
	const char *value = NULL;
	uint64_t v;
	int r;

	switch (table[t].kind) {
	case WEIGHT:
		return add_weight(w, list, a, e);
	case SIZE:
		value = size_text(w->value, a);
		break;
	case BFQ:
		value = bfq_text(w->value, a);
		break;
	case TASKS:
		value = tasks_text(w->value, a);
		break;
	case SET:
		value = set_text(w->value, a);
		break;
	case OOM_GROUP:
		value = strcmp(w->value, "0") == 0 ? "'continue'" : "'kill'";
		break;
	case NUMBER:
		value = num_u64(w->value, &v) == 0 ? arena_printf(a, "uint64 %" PRIu64, v) : NULL;
	}
	if (!value) /* what systemd cannot read the kernel judges */
		return 0;
	r = unit_add(list, table[t].property, value, w->pointer, a, e);
	if (r == 0)
		list->v[list->n - 1].optional = table[t].optional;
	return r;
}

/* ---- CPU quota ---- */

struct quota {
	struct cg_write *row;
	bool set, both; /* both: in one file, as on v2 */
	int64_t quota;  /* below zero: unlimited */
	uint64_t period;
};

static void read_max(struct cg_write *w, struct quota *q)
{
	long long quota;
	unsigned long long period;

	if (sscanf(w->value, "max %llu", &period) == 1)
		quota = -1;
	else if (sscanf(w->value, "%lld %llu", &quota, &period) != 2)
		return;
	*q = (struct quota){ w, true, true, quota, period };
}

static void look_for_quota(struct cg_write *w, struct quota *q)
{
	if (strcmp(w->file, "cpu.max") == 0) {
		read_max(w, q);
	} else if (strcmp(w->file, "cpu.cfs_quota_us") == 0 && num_i64(w->value, &q->quota) == 0) {
		q->set = true;
		q->row = w;
	} else if (strcmp(w->file, "cpu.cfs_period_us") == 0) {
		num_u64(w->value, &q->period);
	}
}

/* What systemd keeps of a quota, it keeps in whole percents of a CPU: rounded up, and the file with it, so that
 * the limit is the same after a daemon-reload. */
static int add_quota(struct quota *q, struct unit_properties *list, struct arena *a, struct err *e)
{
	const char *period = arena_printf(a, "uint64 %" PRIu64, q->period);
	const char *pointer = q->row->pointer;
	uint64_t per_second, percents;

	if (unit_add(list, "CPUQuotaPeriodUSec", period, pointer, a, e) < 0)
		return err_ret(e);
	if (q->quota < 0)
		return unit_add(list, "CPUQuotaPerSecUSec", INFINITY_TEXT, pointer, a, e);
	if (q->period == 0 || (uint64_t)q->quota > UINT64_MAX / 1000000)
		return 0; /* the kernel will say it */
	per_second = (uint64_t)q->quota * 1000000 / q->period;
	percents = (per_second + 9999) / 10000;
	if (percents * 10000 != per_second) {
		uint64_t quota = percents * q->period / 100;

		q->row->value = q->both ? arena_printf(a, "%" PRIu64 " %" PRIu64, quota, q->period)
					: arena_printf(a, "%" PRIu64, quota);
		if (!q->row->value)
			return err_oom(e);
	}
	return unit_add(list, "CPUQuotaPerSecUSec", arena_printf(a, "uint64 %" PRIu64, percents * 10000), pointer, a, e);
}

int unit_from_plan(struct cg_plan *plan, bool v2, struct unit_properties *ret, struct arena *a, struct err *e)
{
	struct quota q = { .period = PERIOD_DEFAULT };
	int r = 0;

	for (size_t i = 0; i < plan->n && r == 0; i++) {
		struct cg_write *w = &plan->v[i];

		look_for_quota(w, &q);
		/* systemd 252 takes the weight 0 for it */
		if (v2 && strcmp(w->file, "cpu.idle") == 0 && strcmp(w->value, "1") == 0 &&
		    (r = unit_add(ret, "CPUWeight", "uint64 0", w->pointer, a, e)) == 0)
			ret->v[ret->n - 1].optional = true;
		for (size_t t = 0; t < ARRAY_SIZE(table) && r == 0; t++)
			if (strcmp(w->file, table[t].file) == 0 && (v2 || table[t].kind != SET))
				r = add_row(w, t, ret, a, e);
	}
	return r == 0 && q.set ? add_quota(&q, ret, a, e) : r;
}

/* ---- annotations ---- */

#define PREFIX "org.systemd.property."

static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n >= 3 && s[n] == '\0';
}

/* Over D-Bus every time is in microseconds, and called so: TimeoutStopSec is TimeoutStopUSec there. */
static bool is_seconds(const char *name)
{
	size_t n = strlen(name);

	return n > 3 && strcmp(name + n - 3, "Sec") == 0 && name[n - 4] >= 'a' && name[n - 4] <= 'z';
}

static int add_annotation(const struct oci_pair *p, struct unit_properties *ret, struct arena *a, struct err *e)
{
	const char *name = p->key + sizeof PREFIX - 1, *value = p->value;
	const char *pointer = arena_printf(a, "annotation %s=%s", p->key, p->value);
	int r;

	if (!pointer)
		return err_oom(e);
	if (!is_name(name))
		return err_set(e, ERR_CONFIG, 0, "annotation %s: name incorrect: letters only, and at least three", p->key);
	if (is_seconds(name)) {
		name = arena_printf(a, "%.*sUSec", (int)strlen(name) - 3, name);
		r = gvariant_to_usec(p->value, &value, a, e);
	} else {
		r = gvariant_check(value, e);
	}
	if (r < 0)
		return err_wrap(e, "annotation %s=%s: value parse error", p->key, p->value);
	return unit_add(ret, name, value, pointer, a, e);
}

int unit_from_annotations(const struct oci_map *annotations, struct unit_properties *ret, struct arena *a,
			  struct err *e)
{
	for (size_t i = 0; i < annotations->n; i++)
		if (str_starts(annotations->v[i].key, PREFIX) && add_annotation(&annotations->v[i], ret, a, e) < 0)
			return err_ret(e);
	return 0;
}
