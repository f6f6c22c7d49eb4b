// SPDX-License-Identifier: LGPL-2.1-or-later

/* Disk I/O (vzctl(8)): priority and limits, on every device that the rootfs and the volumes stand on.
 *
 *   ioprio     0 to 7, 4 is usual: libvzctl's weights 320 to 640, scaled so that 4 is the kernel's default of 100.  BFQ takes it
 *              as blockIO.weight, iocost as io.weight of cgroup v2.  Below a device that has neither it is the level of the
 *              processes in the best-effort class.
 *   iolimit    bytes a second, of each device and each direction: the kernel has no budget for reads and writes together
 *   iopslimit  the same in operations
 *
 * Where one device stands on another both are limited: which of them a request is charged to differs (writes of RAID 5 and, with
 * v1, those through the page cache of an image are the kernel's below).  A program that waits for each request waits at each.
 *
 * The devices are found at creation and again at every `set`, and kept in the record: so a change replaces the limits of those
 * that had them, and what was added meanwhile gets them as well. */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <string.h>

#include "extensions/blockdev.h"
#include "extensions/registry.h"
#include "extensions/values.h"
#include "oci/rows.h"
#include "runtime/base/fd.h"
#include "runtime/base/sys.h"

#define PRIO_MAX 7
#define LEVEL_USUAL 4

static const uint64_t weights[PRIO_MAX + 1] = { 64, 73, 82, 92, 100, 110, 120, 128 };

struct io {
	struct opt_u64 prio, iops;
	struct opt_i64 bytes; /* 0: unlimited, as iops */
};

struct io_saved {
	struct blockdevs devices;
	bool bfq, iocost; /* some of them had it: the fields that ioprio means are those of then */
	bool grown;       /* in this call; not in the record */
};

static const struct oci_field io_saved_fields[] = {
	LIST(struct io_saved, devices, "devices", blockdev),
	BOOL(struct io_saved, bfq, "bfq"),
	BOOL(struct io_saved, iocost, "iocost"),
	ROW_END
};
static TABLE(io_saved);

/* ---- values ---- */

static int parse_prio(const char *text, void *member, struct arena *a, struct err *e)
{
	struct opt_u64 *m = member;

	if (value_parse_number(text, member, a, e) < 0)
		return err_ret(e);
	return m->v > PRIO_MAX ? err_set(e, ERR_CONFIG, 0, "out of range: 0 to %d", PRIO_MAX) : 0;
}

static int parse_bytes(const char *text, void *member, struct arena *a, struct err *e)
{
	struct opt_i64 *m = member;

	(void)a;
	if (value_size(text, 1, false, &m->v, e) < 0)
		return err_ret(e);
	m->v = m->v < 0 ? 0 : m->v;
	m->set = true;
	return 0;
}

static void print_bytes(const void *member, struct str *out)
{
	const struct opt_i64 *m = member;

	if (m->set)
		value_print_size(m->v ? m->v : VALUE_UNLIMITED, out);
}

/* The kernel counts operations in 32 bits. */
static int parse_iops(const char *text, void *member, struct arena *a, struct err *e)
{
	struct opt_u64 *m = member;
	struct opt_i64 n;

	if (value_count.parse(text, &n, a, e) < 0)
		return err_ret(e);
	if (n.v > UINT32_MAX)
		return err_set(e, ERR_CONFIG, 0, "out of range: at most %u", UINT32_MAX);
	*m = (struct opt_u64){ .v = n.v < 0 ? 0 : (uint64_t)n.v, .set = true };
	return 0;
}

static void print_iops(const void *member, struct str *out)
{
	const struct opt_u64 *m = member;

	if (m->set && m->v)
		str_addf(out, "%llu", (unsigned long long)m->v);
	else if (m->set)
		str_add(out, "unlimited");
}

static const struct ext_value value_prio = { "0-7", parse_prio, value_print_number };
static const struct ext_value value_bytes = { "BYTES", parse_bytes, print_bytes };
static const struct ext_value value_iops = { "N", parse_iops, print_iops };

static const struct ext_row rows[] = {
	{ .name = "ioprio", .offset = EXT_MEMBER(struct io, prio), .value = &value_prio,
	  .native = "blockIO/weight unified/io.weight", .help = "Share of the disks when they are busy, 0 to 7",
	  .doc = "4 is usual, 7 gets twice as much as 0. It needs BFQ or iocost on the disk; elsewhere the processes get that level of "
		 "the best-effort class, with a warning." },
	{ .name = "iolimit", .offset = EXT_MEMBER(struct io, bytes), .value = &value_bytes,
	  .native = "blockIO/throttleReadBpsDevice blockIO/throttleWriteBpsDevice",
	  .help = "Highest rate of reads, and of writes, in bytes a second or with a suffix",
	  .doc = "0 is unlimited. It holds for each disk below the root filesystem and the volumes; on cgroup v1 writes through the page "
		 "cache are not counted." },
	{ .name = "iopslimit", .offset = EXT_MEMBER(struct io, iops), .value = &value_iops,
	  .native = "blockIO/throttleReadIOPSDevice blockIO/throttleWriteIOPSDevice",
	  .help = "Highest rate of reads, and of writes, in operations a second", .doc = "0 is unlimited. As iolimit." },
	EXT_ROWS_END,
};

/* ---- devices ---- */

static bool is_bind(const struct oci_mount *m)
{
	return str_eq(m->type, "bind") || value_listed(&m->options, "bind") || value_listed(&m->options, "rbind");
}

static const char *join_options(const struct oci_strs *list, struct arena *a)
{
	cleanup_str struct str text = { 0 };

	for (size_t i = 0; i < list->n; i++)
		str_addf(&text, "%s%s", i ? "," : "", list->v[i]);
	return str_failed(&text) ? NULL : arena_strdup(a, str_cstr(&text));
}

/* A bind of the host's files, or a filesystem that the document has made. */
static int add_volume(struct blockdev_search *s, const struct ext_env *env, const struct oci_mount *m, struct err *e)
{
	const char *options;
	char path[PATH_MAX];

	if (!m->source)
		return 0;
	if (is_bind(m)) {
		snprintf(path, sizeof path, "%s%s%s", m->source[0] == '/' ? "" : env->bundle ? env->bundle : "",
			 m->source[0] == '/' ? "" : "/", m->source);
		return blockdev_add_path(s, path, e);
	}
	options = join_options(&m->options, env->arena);
	return options ? blockdev_add_mount(s, m->type ? m->type : "", m->source, options, e) : err_oom(e);
}

static int add_document(struct blockdev_search *s, const struct ext_env *env, struct err *e)
{
	const struct oci_spec *spec = env->spec;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < spec->mounts.n; i++)
		r = add_volume(s, env, &spec->mounts.v[i], e);
	for (size_t i = 0; r >= 0 && spec->linux && i < spec->linux->devices.n; i++) {
		const struct oci_device *d = &spec->linux->devices.v[i];

		if (d->type == 'b' && d->major.set && d->minor.set)
			r = blockdev_add_number(s, (uint64_t)d->major.v, (uint64_t)d->minor.v, e);
	}
	return r;
}

/* Who knows weights among them. */
struct weighing {
	bool bfq, iocost;
	char other[64]; /* a disk that knows no weights */
};

static struct weighing weigh(const struct ext_env *env, const struct io_saved *saved)
{
	bool v2 = env->cg && cgroup_on_v2(env->cg, "io");
	struct weighing w = { 0 };

	for (size_t i = 0; i < saved->devices.n; i++) {
		const struct blockdev *d = &saved->devices.v[i];
		bool bfq = blockdev_scheduled_by("", d, "bfq"), iocost = v2 && blockdev_has_iocost("", d);

		w.bfq |= bfq;
		w.iocost |= iocost;
		if (!bfq && !iocost && !w.other[0] && !d->stacked)
			blockdev_name("", d, w.other, sizeof w.other);
	}
	return w;
}

/* While it lived a disk may have gone: a limit of that the kernel refuses. */
static void forget_gone(struct blockdevs *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (blockdev_is_there("", &list->v[i]))
			list->v[n++] = list->v[i];
	list->n = n;
}

static int find_devices(const struct ext_env *env, struct io_saved *saved, struct err *e)
{
	struct blockdev_search s = { .root = "", .found = &saved->devices, .arena = env->arena };
	struct weighing w;
	size_t before;
	int r;

	if (env->pid > 0)
		forget_gone(&saved->devices);
	before = saved->devices.n;
	r = env->rootfs ? blockdev_add_path(&s, env->rootfs, e) : 0;

	if (r >= 0 && env->spec)
		r = add_document(&s, env, e);
	if (r >= 0 && env->pid > 0)
		r = blockdev_add_process(&s, env->pid, e);
	if (r < 0)
		return r;
	w = weigh(env, saved);
	saved->grown |= saved->devices.n > before || (w.bfq && !saved->bfq) || (w.iocost && !saved->iocost);
	saved->bfq = w.bfq;
	saved->iocost = w.iocost;
	return 0;
}

/* ---- the class of processes ---- */

static bool needs_class(const struct ext_env *env, const struct io_saved *saved)
{
	return saved->devices.n == 0 || weigh(env, saved).other[0];
}

static int value_of_level(const struct opt_u64 *prio)
{
	return prio->set ? (int)IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, PRIO_MAX - (int)prio->v) : (int)IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0);
}

/* Who was given another class or level, by the document or by itself, keeps it.  The usual level of the class is what some
 * kernels name where nothing was set. */
static bool may_change(int is, int was)
{
	return is == was || IOPRIO_PRIO_CLASS(is) == IOPRIO_CLASS_NONE ||
	       is == (int)IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, LEVEL_USUAL);
}

/* Returns 0, or -errno; a thread that is gone is no failure. */
static int set_thread(pid_t tid, int was, int now)
{
	int is = sys_ioprio_get(IOPRIO_WHO_PROCESS, tid);

	if (is < 0 || is == now || !may_change(is, was) || sys_ioprio_set(IOPRIO_WHO_PROCESS, tid, now) == 0)
		return 0;
	return errno == ESRCH ? 0 : -errno;
}

static int set_process(pid_t pid, int was, int now)
{
	char path[64];
	int failed = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	cleanup_dir DIR *tasks = opendir(path);
	for (struct dirent *entry = tasks ? readdir(tasks) : NULL; entry; entry = readdir(tasks)) {
		int64_t tid;
		int r = num_i64(entry->d_name, &tid) == 0 ? set_thread((pid_t)tid, was, now) : 0;

		failed = r < 0 ? r : failed;
	}
	return failed;
}

static void warn_refused(const struct ext_env *env, int r)
{
	if (r < 0)
		ext_warn(env, "ioprio", "the I/O class of the processes may not be changed: %s", strerrordesc_np(-r));
}

/* Twice: what was forked meanwhile has the class of its parent, which may have been the old one. */
static int set_all(const struct ext_env *env, int was, int now, struct err *e)
{
	int r = 0;

	for (int round = 0; round < 2; round++) {
		pid_t *pids;
		size_t n;

		if (cgroup_pids(env->cg, &pids, &n, env->arena, e) < 0)
			return err_ret(e);
		for (size_t i = 0; i < n; i++) {
			int one = set_process(pids[i], was, now);

			r = one < 0 ? one : r;
		}
	}
	warn_refused(env, r);
	return 0;
}

static int apply(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct io *c = config;

	(void)e;
	if (c->prio.set && env->pid > 0 && needs_class(env, saved))
		warn_refused(env, set_process(env->pid, 0, value_of_level(&c->prio)));
	return 0;
}

static bool has_group(const struct ext_env *env)
{
	return env->cg && !cgroup_is_none(env->cg);
}

/* CRIU keeps no I/O class: what it made has ours. */
static int restored(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct io *c = config;

	if (!c->prio.set || !needs_class(env, saved))
		return 0;
	return has_group(env) ? set_all(env, 0, value_of_level(&c->prio), e) : apply(env, config, saved, e);
}

static int update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	const struct io *from = was, *to = now;
	struct io_saved *s = saved;

	if (find_devices(env, s, e) < 0)
		return err_ret(e);
	if ((!ext_wished(env, "ioprio") && !s->grown) || (!from->prio.set && !to->prio.set) || !needs_class(env, s))
		return 0;
	if (!has_group(env)) {
		if (env->pid > 0)
			warn_refused(env, set_process(env->pid, value_of_level(&from->prio), value_of_level(&to->prio)));
		return 0;
	}
	return set_all(env, value_of_level(&from->prio), value_of_level(&to->prio), e);
}

/* ---- against this machine ---- */

static const char *const lists[] = { "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
				     "throttleWriteIOPSDevice" };

static int check_list(const struct ext_env *env, const char *key, const char *list, const struct oci_throttles *has,
		      const struct io_saved *saved, uint64_t rate, struct err *e)
{
	for (size_t i = 0; i < has->n; i++)
		for (size_t j = 0; j < saved->devices.n; j++) {
			const struct oci_throttle *t = &has->v[i];
			const struct blockdev *d = &saved->devices.v[j];

			if (t->major == d->major && t->minor == d->minor && t->rate != rate)
				return ext_refuse(env, e, key, "means %llu for device %lld:%lld in /linux/resources/blockIO/%s, where the "
						  "document has %llu (leave one of the two out)", (unsigned long long)rate,
						  (long long)d->major, (long long)d->minor, list, (unsigned long long)t->rate);
		}
	return 0;
}

static int check_document(const struct ext_env *env, const struct io *c, const struct io_saved *saved, struct err *e)
{
	const struct oci_block_io *b = env->resources ? env->resources->block_io : NULL;
	uint64_t bytes = (uint64_t)c->bytes.v;

	if (env->option || env->again || !b)
		return 0;
	if (c->bytes.set && (check_list(env, "iolimit", lists[0], &b->throttle_read_bps, saved, bytes, e) < 0 ||
			     check_list(env, "iolimit", lists[1], &b->throttle_write_bps, saved, bytes, e) < 0))
		return err_ret(e);
	if (c->iops.set && (check_list(env, "iopslimit", lists[2], &b->throttle_read_iops, saved, c->iops.v, e) < 0 ||
			    check_list(env, "iopslimit", lists[3], &b->throttle_write_iops, saved, c->iops.v, e) < 0))
		return err_ret(e);
	return 0;
}

static void warn_weights(const struct ext_env *env, const struct io *c, const struct io_saved *saved)
{
	struct weighing w = weigh(env, saved);
	int level = PRIO_MAX - (int)c->prio.v;

	if (saved->devices.n == 0)
		ext_warn(env, "ioprio", "this container stands on no disk: its processes get level %d of the best-effort I/O class", level);
	else if (w.other[0])
		ext_warn(env, "ioprio", "disk %s has neither BFQ nor iocost, so it knows no weights: the processes get level %d of the "
			 "best-effort I/O class", w.other, level);
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	struct io_saved *saved = env->saved;
	const struct io *c = config;
	bool limited = (c->bytes.set && c->bytes.v) || (c->iops.set && c->iops.v);

	if (find_devices(env, saved, e) < 0 || check_document(env, c, saved, e) < 0)
		return err_ret(e);
	if (c->prio.set && ext_is_new(env, "ioprio"))
		warn_weights(env, c, saved);
	if (limited && saved->devices.n == 0 && (ext_is_new(env, "iolimit") || ext_is_new(env, "iopslimit")))
		ext_warn(env, c->bytes.set && c->bytes.v ? "iolimit" : "iopslimit", "this container stands on no disk: nothing is limited");
	return 0;
}

/* ---- fields ---- */

static int limit_all(const struct blockdevs *devices, uint64_t rate, struct oci_throttles *ret, struct arena *a, struct err *e)
{
	struct oci_throttle *v = arena_alloc_n(a, devices->n + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	for (size_t i = 0; i < devices->n; i++)
		v[i] = (struct oci_throttle){ .major = devices->v[i].major, .minor = devices->v[i].minor, .rate = rate };
	*ret = (struct oci_throttles){ v, devices->n };
	return 0;
}

/* iocost has no field: the conversion of blockIO.weight is for BFQ's range. */
static int native_weight(const struct ext_env *env, uint64_t weight, struct oci_block_io *b, struct oci_resources *changes,
			 struct err *e)
{
	const struct io_saved *saved = env->saved;
	struct oci_pair *pair = arena_new(env->arena, struct oci_pair);

	if (!pair)
		return err_oom(e);
	if (saved->bfq)
		b->weight = (struct opt_u64){ .v = weight, .set = true };
	if (!saved->iocost)
		return 0;
	pair->key = "io.weight";
	pair->value = arena_printf(env->arena, "%llu", (unsigned long long)weight);
	changes->unified = (struct oci_map){ pair, 1 };
	return pair->value ? 0 : err_oom(e);
}

static bool concerns(const struct ext_env *env, const struct io_saved *saved)
{
	return !env->option || saved->grown || ext_wished(env, "ioprio") || ext_wished(env, "iolimit") || ext_wished(env, "iopslimit");
}

static int native(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *e)
{
	const struct io_saved *saved = env->saved;
	const struct io *c = config;
	struct oci_block_io *b = arena_new(env->arena, struct oci_block_io);
	int r = b ? 0 : err_oom(e);

	if (r < 0 || !saved || !concerns(env, saved))
		return r;
	if (c->prio.set)
		r = native_weight(env, weights[c->prio.v], b, changes, e);
	if (r == 0 && c->bytes.set)
		r = limit_all(&saved->devices, (uint64_t)c->bytes.v, &b->throttle_read_bps, env->arena, e);
	if (r == 0 && c->iops.set)
		r = limit_all(&saved->devices, c->iops.v, &b->throttle_read_iops, env->arena, e);
	b->throttle_write_bps = b->throttle_read_bps;
	b->throttle_write_iops = b->throttle_read_iops;
	if (b->weight.set || b->throttle_read_bps.n || b->throttle_read_iops.n)
		changes->block_io = b;
	return r;
}

/* ---- the other way ---- */

static void derive_prio(const struct oci_resources *r, struct opt_u64 *ret)
{
	struct opt_u64 weight = { 0 };

	if (r->block_io)
		weight = r->block_io->weight;
	for (size_t i = 0; i < r->unified.n && !weight.set; i++)
		if (strcmp(r->unified.v[i].key, "io.weight") == 0)
			weight.set = num_u64(r->unified.v[i].value, &weight.v) == 0;
	for (uint64_t i = 0; i <= PRIO_MAX && weight.set; i++)
		if (weights[i] == weight.v)
			*ret = (struct opt_u64){ .v = i, .set = true };
}

/* One rate for all devices, the same for reads and writes; else there is no word for it. */
static bool one_rate(const struct oci_throttles *reads, const struct oci_throttles *writes, uint64_t *ret)
{
	if (reads->n == 0 || reads->n != writes->n)
		return false;
	for (size_t i = 0; i < reads->n; i++)
		if (reads->v[i].rate != reads->v[0].rate || writes->v[i].rate != reads->v[0].rate)
			return false;
	*ret = reads->v[0].rate;
	return true;
}

static void derive(const struct ext_env *env, const struct oci_resources *r, void *config)
{
	const struct oci_block_io *b = r->block_io;
	struct io *c = config;
	uint64_t bytes;

	(void)env;
	derive_prio(r, &c->prio);
	if (b && one_rate(&b->throttle_read_bps, &b->throttle_write_bps, &bytes) && bytes <= INT64_MAX)
		c->bytes = (struct opt_i64){ .v = (int64_t)bytes, .set = true };
	if (b)
		c->iops.set = one_rate(&b->throttle_read_iops, &b->throttle_write_iops, &c->iops.v);
}

const struct ext ext_io = {
	.name = "io",
	.rows = rows,
	.config_size = sizeof(struct io),
	.saved = &io_saved_type,
	.follows = true,
	.validate = validate,
	.native = native,
	.derive = derive,
	.apply = { [EXT_BEFORE_START] = apply, [EXT_EXEC] = apply, [EXT_RESTORED] = restored },
	.update = update,
};
