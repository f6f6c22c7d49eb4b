// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <string.h>

#include "oci/check.h"
#include "oci/check_rules.h"
#include "runtime/base/str.h"

typedef int (*rule)(const struct oci_resources *r, const char *p, struct err *e);

static int check_device_rules(const struct oci_resources *r, const char *p, struct err *e)
{
	for (size_t i = 0; i < r->devices.n; i++) {
		const struct oci_device_rule *d = &r->devices.v[i];

		if (d->access && d->access[strspn(d->access, "rwm")])
			return bad(e, "%s/devices/%zu/access: '%.20s' has more than the letters r, w, m", p, i,
				   d->access);
		if (d->major.v < -1 || d->major.v > UINT32_MAX || d->minor.v < -1 || d->minor.v > UINT32_MAX)
			return bad(e, "%s/devices/%zu: major and minor must be -1 to 4294967295", p, i);
	}
	return 0;
}

/* The swap field is memory plus swap, so it cannot be less than memory.  0 is what a Go program has for unset. */
static int check_memory(const struct oci_resources *r, const char *p, struct err *e)
{
	const struct oci_memory *m = r->memory;

	if (!m)
		return 0;
	if (m->limit.v < -1 || m->reservation.v < -1 || m->swap.v < -1)
		return bad(e, "%s/memory: a limit must be -1 (none) or more", p);
	if (m->swap.v > 0 && m->limit.v == -1)
		return bad(e, "%s/memory/swap: limited, while the memory is not", p);
	if (m->swap.v > 0 && m->swap.v < m->limit.v)
		return bad(e, "%s/memory/swap: %lld is less than the memory limit %lld (swap counts both)", p,
			   (long long)m->swap.v, (long long)m->limit.v);
	if (m->swappiness.v > 100)
		return bad(e, "%s/memory/swappiness: must be 0 to 100", p);
	return 0;
}

static int check_cpu(const struct oci_resources *r, const char *p, struct err *e)
{
	const struct oci_cpu *c = r->cpu;

	if (!c)
		return 0;
	if (c->idle.v != 0 && c->idle.v != 1)
		return bad(e, "%s/cpu/idle: must be 0 or 1", p);
	if (c->cpus && !check_is_list(c->cpus))
		return bad(e, "%s/cpu/cpus: malformed CPU list '%.80s'", p, c->cpus);
	if (c->mems && !check_is_list(c->mems))
		return bad(e, "%s/cpu/mems: malformed node list '%.80s'", p, c->mems);
	return 0;
}

static bool is_weight(const struct opt_u64 *w)
{
	return w->v == 0 || (w->v >= 10 && w->v <= 1000);
}

static int check_throttles(const struct oci_throttles *list, const char *key, const char *p, struct err *e)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].major < 0 || list->v[i].minor < 0)
			return bad(e, "%s/blockIO/%s/%zu: negative device number", p, key, i);
	return 0;
}

static int check_weights(const struct oci_block_io *b, const char *p, struct err *e)
{
	if (!is_weight(&b->weight) || !is_weight(&b->leaf_weight))
		return bad(e, "%s/blockIO: a weight must be 10 to 1000", p);
	for (size_t i = 0; i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		if (d->major < 0 || d->minor < 0)
			return bad(e, "%s/blockIO/weightDevice/%zu: negative device number", p, i);
		if (!d->weight.set && !d->leaf_weight.set)
			return bad(e, "%s/blockIO/weightDevice/%zu: neither weight nor leafWeight", p, i);
		if (!is_weight(&d->weight) || !is_weight(&d->leaf_weight))
			return bad(e, "%s/blockIO/weightDevice/%zu: a weight must be 10 to 1000", p, i);
	}
	return 0;
}

static int check_block_io(const struct oci_resources *res, const char *p, struct err *e)
{
	const struct oci_block_io *b = res->block_io;
	int r;

	if (!b)
		return 0;
	r = check_weights(b, p, e);
	if (r == 0)
		r = check_throttles(&b->throttle_read_bps, "throttleReadBpsDevice", p, e);
	if (r == 0)
		r = check_throttles(&b->throttle_write_bps, "throttleWriteBpsDevice", p, e);
	if (r == 0)
		r = check_throttles(&b->throttle_read_iops, "throttleReadIOPSDevice", p, e);
	return r < 0 ? r : check_throttles(&b->throttle_write_iops, "throttleWriteIOPSDevice", p, e);
}

/* "^[1-9][0-9]*[KMG]B$": it becomes part of a file name. */
static bool is_page_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && s[0] != '0' && s[digits] && strchr("KMG", s[digits]) && strcmp(s + digits + 1, "B") == 0;
}

static int check_hugepages(const struct oci_resources *r, const char *p, struct err *e)
{
	for (size_t i = 0; i < r->hugepage_limits.n; i++)
		if (!is_page_size(r->hugepage_limits.v[i].page_size))
			return bad(e, "%s/hugepageLimits/%zu/pageSize: '%.40s' is not of the form 64KB, 2MB, 1GB", p,
				   i, r->hugepage_limits.v[i].page_size);
	return 0;
}

static int check_network(const struct oci_resources *r, const char *p, struct err *e)
{
	if (!r->network)
		return 0;
	for (size_t i = 0; i < r->network->priorities.n; i++)
		if (!check_is_if_name(r->network->priorities.v[i].name))
			return bad(e, "%s/network/priorities/%zu/name: '%.40s' is no interface name", p, i,
				   r->network->priorities.v[i].name);
	return 0;
}

static int check_rdma(const struct oci_resources *r, const char *p, struct err *e)
{
	for (size_t i = 0; i < r->rdma.n; i++) {
		const struct oci_rdma *d = &r->rdma.v[i];

		if (!*d->device || strcspn(d->device, " \t\n") != strlen(d->device))
			return bad(e, "%s/rdma: '%.40s' is no device name", p, d->device);
		if (!d->hca_handles.set && !d->hca_objects.set)
			return bad(e, "%s/rdma/%.40s: neither hcaHandles nor hcaObjects", p, d->device);
	}
	return 0;
}

/* The key is a file name below the cgroup: a slash would lead elsewhere. */
static int check_unified(const struct oci_resources *r, const char *p, struct err *e)
{
	for (size_t i = 0; i < r->unified.n; i++) {
		const char *key = r->unified.v[i].key, *dot = strchr(key, '.');

		if (strchr(key, '/'))
			return bad(e, "%s/unified: key '%.80s' must be a file name without any '/'", p, key);
		if (!dot || dot == key || !dot[1])
			return bad(e, "%s/unified: key '%.80s' is not of the form CONTROLLER.PARAM", p, key);
	}
	return 0;
}

int check_resources(const struct oci_resources *resources, const char *pointer, struct err *e)
{
	static const rule rules[] = {
		check_device_rules, check_memory,  check_cpu,  check_block_io,
		check_hugepages,    check_network, check_rdma, check_unified,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int r = rules[i](resources, pointer, e);

		if (r < 0)
			return r;
	}
	return 0;
}
