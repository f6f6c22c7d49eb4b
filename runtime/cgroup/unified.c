// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/plan.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/str.h"

/* What of `unified` a field says as well. */

#define SAID(object, field) (r->object && r->object->field.set && r->object->field.v != 0)

static bool says_hugetlb(const struct oci_hugepage_limits *limits, const char *file)
{
	for (size_t i = 0; i < limits->n; i++) {
		const char *size = limits->v[i].page_size, *rest = file + sizeof "hugetlb." - 1;

		if (str_starts(file, "hugetlb.") && str_starts(rest, size) && (str_eq(rest + strlen(size), ".max") || str_eq(rest + strlen(size), ".rsvd.max")))
			return true;
	}
	return false;
}

bool cg_says(const struct oci_resources *r, const char *file)
{
	const struct {
		const char *file;
		bool said;
	} files[] = {
		{ "memory.max", SAID(memory, limit) },
		{ "memory.swap.max", SAID(memory, swap) },
		{ "memory.low", SAID(memory, reservation) },
		{ "cpu.weight", SAID(cpu, shares) },
		{ "cpu.max", SAID(cpu, quota) || SAID(cpu, period) },
		{ "cpu.max.burst", r->cpu && r->cpu->burst.set },
		{ "cpu.idle", r->cpu && r->cpu->idle.set },
		{ "cpuset.cpus", r->cpu && r->cpu->cpus && *r->cpu->cpus },
		{ "cpuset.mems", r->cpu && r->cpu->mems && *r->cpu->mems },
		{ "pids.max", r->pids && r->pids->limit.set },
		{ "io.weight", SAID(block_io, weight) },
		{ "io.bfq.weight", SAID(block_io, weight) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(files[i].file, file) == 0)
			return files[i].said;
	return says_hugetlb(&r->hugepage_limits, file);
}

/* ---- files with a line for each device ---- */

static bool has_throttle(const struct oci_throttles *list, const char *device, size_t len)
{
	char name[48];

	for (size_t i = 0; i < list->n; i++) {
		int n = snprintf(name, sizeof name, "%lld:%lld", (long long)list->v[i].major, (long long)list->v[i].minor);

		if ((size_t)n == len && strncmp(name, device, len) == 0)
			return true;
	}
	return false;
}

static bool says_io(const struct oci_block_io *io, const char *device, size_t len, const char *word)
{
	const struct {
		const char *key;
		const struct oci_throttles *list;
	} keys[] = {
		{ "rbps=", &io->throttle_read_bps },
		{ "wbps=", &io->throttle_write_bps },
		{ "riops=", &io->throttle_read_iops },
		{ "wiops=", &io->throttle_write_iops },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (str_starts(word, keys[i].key))
			return has_throttle(keys[i].list, device, len);
	return false;
}

static bool says_rdma(const struct oci_rdmas *rdma, const char *device, size_t len, const char *word)
{
	for (size_t i = 0; i < rdma->n; i++) {
		const struct oci_rdma *one = &rdma->v[i];

		if (strlen(one->device) == len && strncmp(one->device, device, len) == 0)
			return (str_starts(word, "hca_handle=") && one->hca_handles.set) ||
			       (str_starts(word, "hca_object=") && one->hca_objects.set);
	}
	return false;
}

/* One line without the words that are said; nothing where only the device is left. */
static void add_rest(struct str *to, const struct oci_resources *r, const char *line, size_t end)
{
	size_t len = strcspn(line, " \n");
	bool any = false;

	for (const char *word = line + len; word < line + end;) {
		size_t n;

		word += strspn(word, " ");
		n = strcspn(word, " \n");
		if (n > 0 && !(r->block_io && says_io(r->block_io, line, len, word)) && !says_rdma(&r->rdma, line, len, word)) {
			if (!any) {
				str_add(to, to->len ? "\n" : "");
				str_addn(to, line, len);
			}
			str_add(to, " ");
			str_addn(to, word, n);
			any = true;
		}
		word += n;
	}
}

int cg_unified_rest(const struct oci_resources *r, const char *file, const char **value, struct arena *a)
{
	cleanup_str struct str rest = { 0 };

	if (cg_says(r, file))
		*value = NULL;
	if (!*value || (strcmp(file, "io.max") != 0 && strcmp(file, "rdma.max") != 0))
		return 0;
	for (const char *line = *value; *line;) {
		size_t end = strcspn(line, "\n");

		add_rest(&rest, r, line, end);
		line += end + (line[end] == '\n');
	}
	if (str_failed(&rest))
		return -1;
	*value = rest.len ? arena_strndup(a, rest.s, rest.len) : NULL;
	return rest.len && !*value ? -1 : 0;
}
