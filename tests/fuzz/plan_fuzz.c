// SPDX-License-Identifier: LGPL-2.1-or-later

/* A resources document -> plans for v1, hybrid and v2, the device program, and a merge with itself.  What must hold for
 * any input: no row leaves its directory, no value is empty, each has its pointer. */

#include <stdlib.h>
#include <string.h>

#include "oci/decode.h"
#include "runtime/cgroup/devices.h"
#include "runtime/cgroup/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cg_host hosts[] = {
	{ CG_V1,
	  { { "/a", "cpu,cpuacct,cpuset,memory,devices,blkio,pids", "/", false },
	    { "/b", "hugetlb,net_cls,net_prio,rdma", "/", false } },
	  2 },
	{ CG_HYBRID, { { "/a", "cpu,memory,devices", "/", false }, { "/c", "hugetlb,io,pids", "/", true } }, 2 },
	{ CG_V2, { { "/c", "cpu,cpuset,memory,io,pids,hugetlb,rdma,misc", "/", true } }, 1 },
};

static void check(const struct cg_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct cg_write *w = &plan->v[i];

		if (!w->file || strchr(w->file, '/') || !w->value || !*w->value || !w->controller ||
		    strncmp(w->pointer, "/linux/resources/", 17) != 0)
			if (!w->pointer || strcmp(w->pointer, "/linux/resources/devices") != 0)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_current now = { .memory_limit = { 1 << 20, true }, .memory_swap = { 1 << 21, true }, .update = true };
	struct oci_resources r, merged;
	struct bpf_insn *insns;
	struct cg_plan plan;
	struct err err;
	size_t n;

	if (oci_resources_parse((const char *)data, size, "fuzz", &r, &a, &err) < 0)
		return 0;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		if (cg_plan(&hosts[i], &r, NULL, &plan, &a, &err) == 0)
			check(&plan);
		if (cg_merge(&r, &r, &merged, &a, &err) == 0 && cg_plan(&hosts[i], &merged, &now, &plan, &a, &err) == 0)
			check(&plan);
	}
	cg_devices_program(&r.devices, &insns, &n, &a, &err);
	return 0;
}
