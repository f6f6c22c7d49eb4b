// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/sample.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/cgroup/stats.h"

/* ---- taking ---- */

static uint64_t fs_bytes(const struct statfs *f, uint64_t blocks)
{
	return blocks * (uint64_t)f->f_frsize;
}

/* Its numbers are the container's when the directory is the root of a file system, or a quota of its own makes it look like
 * one.  overlayfs answers for the file system below it, and subvolumes of btrfs share theirs. */
static bool is_own_fs(const struct stat *dir, const struct statfs *f, const struct stat *parent, const struct statfs *pf)
{
	if (f->f_type == OVERLAYFS_SUPER_MAGIC)
		return false;
	if (dir->st_dev == parent->st_dev)
		return f->f_blocks != pf->f_blocks;
	return f->f_type != BTRFS_SUPER_MAGIC || pf->f_type != BTRFS_SUPER_MAGIC || f->f_blocks != pf->f_blocks;
}

/* By the host's path: what the container mounts over its root would have us wait for whoever serves it. */
static void take_disk(const char *rootfs, struct sample_disk *ret)
{
	cleanup_fd int fd = rootfs ? open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	cleanup_fd int up = fd >= 0 ? openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct stat dir, parent;
	struct statfs f, pf;

	if (up < 0 || fstat(fd, &dir) < 0 || fstat(up, &parent) < 0 || fstatfs(fd, &f) < 0 || fstatfs(up, &pf) < 0)
		return;
	if (f.f_blocks == 0 || !is_own_fs(&dir, &f, &parent, &pf))
		return;
	*ret = (struct sample_disk){ .known = true, .size_bytes = fs_bytes(&f, f.f_blocks),
				     .used_bytes = fs_bytes(&f, f.f_blocks - f.f_bfree), .inodes = f.f_files,
				     .used_inodes = f.f_files - f.f_ffree };
}

static bool is_alive(const struct container *c)
{
	struct pollfd end = { .fd = c->pidfd, .events = POLLIN };

	return c->status != OCI_CREATING && c->pidfd >= 0 && poll(&end, 1, 0) == 0;
}

static int not_running(const struct container *c, struct err *e)
{
	return err_set(e, ERR_STATE, 0, "container with id %s is not running", c->id);
}

int sample_take(const struct container *c, struct sample *ret, struct arena *a, struct err *e)
{
	pid_t pid = (pid_t)c->state.pid;
	struct err ignored;

	*ret = (struct sample){ .status = c->status, .pid = pid, .start_time = c->state.start_time };
	if (!is_alive(c))
		return not_running(c, e);
	ret->id = arena_strdup(a, c->id);
	if (!ret->id)
		return err_oom(e);
	ret->at_us = clock_us();
	if (cg_sample(c->cg, &ret->cg, a, e) < 0)
		return err_ret(e);
	ret->own_network = netstats_is_own(pid) && netstats_read(pid, &ret->network, a, &ignored) == 0;
	take_disk(c->state.rootfs, &ret->disk);
	/* As long as it lives its pid is nobody else's. */
	return is_alive(c) ? 0 : not_running(c, e);
}

/* ---- comparing ---- */

/* A counter that went back is another one: a device or an interface has gone. */
static double per_second(bool known, uint64_t was, uint64_t now, int64_t us)
{
	return known && now >= was ? (double)(now - was) * 1e6 / (double)us : NAN;
}

static double opt_per_second(struct opt_u64 was, struct opt_u64 now, int64_t us)
{
	return per_second(was.set && now.set, was.v, now.v, us);
}

static void io_total(const struct cg_io_sample *io, uint64_t *read_bytes, uint64_t *write_bytes)
{
	*read_bytes = *write_bytes = 0;
	for (size_t i = 0; i < io->n; i++) {
		*read_bytes += io->v[i].read_bytes;
		*write_bytes += io->v[i].write_bytes;
	}
}

static void net_total(const struct net_interfaces *list, uint64_t *rx, uint64_t *tx)
{
	*rx = *tx = 0;
	for (size_t i = 0; i < list->n; i++)
		if (!netstats_is_loopback(&list->v[i])) {
			*rx += list->v[i].rx_bytes;
			*tx += list->v[i].tx_bytes;
		}
}

static double throttled_percent(const struct cg_cpu_sample *was, const struct cg_cpu_sample *now)
{
	if (!was->periods.set || !now->periods.set || !was->throttled_periods.set || !now->throttled_periods.set ||
	    now->periods.v < was->periods.v || now->throttled_periods.v < was->throttled_periods.v)
		return NAN;
	if (now->periods.v == was->periods.v) /* without a limit there are no periods */
		return 0;
	return 100.0 * (double)(now->throttled_periods.v - was->throttled_periods.v) / (double)(now->periods.v - was->periods.v);
}

void sample_compare(const struct sample *was, struct sample *now)
{
	struct sample_rates *r = &now->rates;
	uint64_t in1, out1, in2, out2;
	bool both;
	int64_t us;

	*r = (struct sample_rates){ 0, NAN, NAN, NAN, NAN, NAN, NAN };
	if (!was || was->pid != now->pid || was->start_time != now->start_time || now->at_us <= was->at_us)
		return;
	us = r->interval_us = now->at_us - was->at_us;
	r->cpu_percent = opt_per_second(was->cg.cpu.usage_ns, now->cg.cpu.usage_ns, us) / 1e7;
	r->throttled_percent = throttled_percent(&was->cg.cpu, &now->cg.cpu);
	io_total(&was->cg.io, &in1, &out1);
	io_total(&now->cg.io, &in2, &out2);
	both = was->cg.io.known && now->cg.io.known;
	r->read_bytes = per_second(both, in1, in2, us);
	r->write_bytes = per_second(both, out1, out2, us);
	net_total(&was->network, &in1, &out1);
	net_total(&now->network, &in2, &out2);
	both = was->own_network && now->own_network;
	r->rx_bytes = per_second(both, in1, in2, us);
	r->tx_bytes = per_second(both, out1, out2, us);
}

double sample_cpu_limit(const struct sample *s)
{
	const struct cg_cpu_sample *c = &s->cg.cpu;

	if (!c->quota_us.set || !c->period_us.set || c->period_us.v == 0)
		return NAN;
	return c->quota_us.v == CG_UNLIMITED ? INFINITY : 100.0 * (double)c->quota_us.v / (double)c->period_us.v;
}

/* ---- JSON ---- */

static void put(struct emit *out, const char *key, struct opt_u64 n)
{
	if (n.set && n.v != CG_UNLIMITED)
		emit_u64(out, key, n.v);
}

static void put_double(struct emit *out, const char *key, double v)
{
	if (isfinite(v))
		emit_double(out, key, v);
}

static void put_psi(struct emit *out, const struct cg_psi *psi)
{
	if (psi->some.set || psi->full.set)
		cg_psi_emit(psi, out);
}

static void emit_cpu(const struct sample *s, struct emit *out)
{
	const struct cg_cpu_sample *c = &s->cg.cpu;

	emit_object(out, "cpu");
	put(out, "usage_ns", c->usage_ns);
	put(out, "user_ns", c->user_ns);
	put(out, "kernel_ns", c->kernel_ns);
	put_double(out, "limit_percent", sample_cpu_limit(s));
	put(out, "periods", c->periods);
	put(out, "throttled_periods", c->throttled_periods);
	put(out, "throttled_ns", c->throttled_ns);
	if (c->mask)
		emit_string(out, "mask", c->mask);
	put_psi(out, &c->psi);
	emit_object_end(out);
}

static void emit_memory(const struct cg_memory_sample *m, struct emit *out)
{
	emit_object(out, "memory");
	put(out, "usage_bytes", m->usage);
	put(out, "working_set_bytes", m->working_set);
	put(out, "cache_bytes", m->cache);
	put(out, "limit_bytes", m->limit);
	put(out, "guarantee_bytes", m->guarantee);
	put(out, "reservation_bytes", m->reservation);
	put(out, "swap_bytes", m->swap);
	put(out, "swap_limit_bytes", m->swap_limit);
	put(out, "refaults_anon", m->refaults_anon);
	put(out, "refaults_file", m->refaults_file);
	put_psi(out, &m->psi);
	emit_object_end(out);
}

/* "sda": the last part of what /sys/dev/block/8:0 leads to. */
static void emit_device_name(const struct cg_io_device *d, struct emit *out)
{
	char link[64], target[PATH_MAX];
	const char *name;
	ssize_t n;

	snprintf(link, sizeof link, "/sys/dev/block/%u:%u", d->major, d->minor);
	n = readlink(link, target, sizeof target - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	name = strrchr(target, '/');
	emit_string(out, "name", name ? name + 1 : target);
}

static void emit_io(const struct cg_io_sample *io, struct emit *out)
{
	uint64_t read_bytes, write_bytes;

	emit_object(out, "io");
	if (io->known) {
		io_total(io, &read_bytes, &write_bytes);
		emit_u64(out, "read_bytes", read_bytes);
		emit_u64(out, "write_bytes", write_bytes);
		emit_array(out, "devices");
		for (size_t i = 0; i < io->n; i++) {
			emit_object(out, NULL);
			emit_u64(out, "major", io->v[i].major);
			emit_u64(out, "minor", io->v[i].minor);
			emit_device_name(&io->v[i], out);
			emit_u64(out, "read_bytes", io->v[i].read_bytes);
			emit_u64(out, "write_bytes", io->v[i].write_bytes);
			emit_u64(out, "reads", io->v[i].reads);
			emit_u64(out, "writes", io->v[i].writes);
			emit_object_end(out);
		}
		emit_array_end(out);
	}
	put_psi(out, &io->psi);
	emit_object_end(out);
}

static void emit_network(const struct net_interfaces *list, struct emit *out)
{
	emit_array(out, "network");
	for (size_t i = 0; i < list->n; i++) {
		const struct net_interface *n = &list->v[i];

		emit_object(out, NULL);
		emit_string(out, "name", n->name);
		emit_u64(out, "rx_bytes", n->rx_bytes);
		emit_u64(out, "rx_packets", n->rx_packets);
		emit_u64(out, "rx_errors", n->rx_errors);
		emit_u64(out, "rx_dropped", n->rx_dropped);
		emit_u64(out, "tx_bytes", n->tx_bytes);
		emit_u64(out, "tx_packets", n->tx_packets);
		emit_u64(out, "tx_errors", n->tx_errors);
		emit_u64(out, "tx_dropped", n->tx_dropped);
		emit_object_end(out);
	}
	emit_array_end(out);
}

static void emit_disk(const struct sample_disk *d, struct emit *out)
{
	emit_object(out, "disk");
	emit_u64(out, "size_bytes", d->size_bytes);
	emit_u64(out, "used_bytes", d->used_bytes);
	if (d->inodes) { /* btrfs has no number of them */
		emit_u64(out, "inodes", d->inodes);
		emit_u64(out, "used_inodes", d->used_inodes);
	}
	emit_object_end(out);
}

void sample_emit(const struct sample *s, struct emit *out)
{
	emit_cpu(s, out);
	emit_memory(&s->cg.memory, out);
	emit_object(out, "pids");
	put(out, "current", s->cg.pids);
	put(out, "limit", s->cg.pids_limit);
	emit_object_end(out);
	emit_io(&s->cg.io, out);
	if (s->own_network)
		emit_network(&s->network, out);
	if (s->disk.known)
		emit_disk(&s->disk, out);
}

void sample_emit_rates(const struct sample *s, struct emit *out)
{
	const struct sample_rates *r = &s->rates;

	if (r->interval_us == 0)
		return;
	emit_object(out, "rates");
	emit_i64(out, "interval_us", r->interval_us);
	put_double(out, "cpu_percent", r->cpu_percent);
	put_double(out, "throttled_percent", r->throttled_percent);
	put_double(out, "read_bytes_per_s", r->read_bytes);
	put_double(out, "write_bytes_per_s", r->write_bytes);
	put_double(out, "rx_bytes_per_s", r->rx_bytes);
	put_double(out, "tx_bytes_per_s", r->tx_bytes);
	emit_object_end(out);
}
