// SPDX-License-Identifier: LGPL-2.1-or-later
/* Limits -> writes: each tests/golden/cgroup/NAME.json is a resources document; NAME.out is what would be written for
 * it on a v1, a hybrid and a v2 host, or the error, and what systemd would be told besides (with the rows that it makes
 * us round).  With VZRUN_GOLDEN_WRITE=1 a missing .out is written: look at it
 * before you commit it. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "oci/decode.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/unit.h"
#include "tests/lib/test.h"

#define AT_LEAST 20

static const struct {
	const char *name;
	struct cg_host host;
} hosts[] = {
	{ "v1",
	  { CG_V1,
	    { { "/cg/cpu,cpuacct", "cpu,cpuacct", "/", false },
	      { "/cg/cpuset", "cpuset", "/", false },
	      { "/cg/memory", "memory", "/", false },
	      { "/cg/devices", "devices", "/", false },
	      { "/cg/freezer", "freezer", "/", false },
	      { "/cg/blkio", "blkio", "/", false },
	      { "/cg/pids", "pids", "/", false },
	      { "/cg/hugetlb", "hugetlb", "/", false },
	      { "/cg/net_cls,net_prio", "net_cls,net_prio", "/", false },
	      { "/cg/rdma", "rdma", "/", false },
	      { "/cg/systemd", "name=systemd", "/", false } },
	    11 } },
	{ "hybrid",
	  { CG_HYBRID,
	    { { "/cg/cpu", "cpu", "/", false },
	      { "/cg/cpuacct", "cpuacct", "/", false },
	      { "/cg/cpuset", "cpuset", "/", false },
	      { "/cg/memory", "memory", "/", false },
	      { "/cg/devices", "devices", "/", false },
	      { "/cg/freezer", "freezer", "/", false },
	      { "/cg/blkio", "blkio", "/", false },
	      { "/cg/pids", "pids", "/", false },
	      { "/cg/systemd", "name=systemd", "/", false },
	      { "/cg/unified", "hugetlb", "/", true } },
	    10 } },
	{ "v2", { CG_V2, { { "/cg", "cpuset,cpu,io,memory,hugetlb,pids,rdma,misc", "/", true } }, 1 } },
};

/* The rows for the devices that every container has stand only in the documents about devices. */
static void print_plan(const struct cg_plan *plan, bool all, struct str *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct cg_write *w = &plan->v[i];

		if (!all && strcmp(w->pointer, "/linux/resources/devices") == 0)
			continue;
		str_addf(out, "%s = %s    # %s%s%s%s%s\n", w->file, w->value, w->pointer,
			 w->may_be_absent ? ", may be absent" : "", w->may_fail ? ", may fail" : "",
			 w->fallback ? ", else " : "", w->fallback ? w->fallback : "");
	}
}

static void print_properties(const struct oci_resources *r, bool v1, struct cg_plan *plan, struct arena *a,
			     struct str *out)
{
	struct unit_properties list = { 0 };
	struct err err = { 0 };
	const char **before = arena_alloc_n(a, plan->n + 1, sizeof *before);

	for (size_t i = 0; i < plan->n; i++)
		before[i] = plan->v[i].value;
	CHECK(unit_from_plan(plan, !v1, &list, a, &err) == 0);
	if (v1 && r->devices.n > 0)
		CHECK(unit_from_devices(&r->devices, &list, a, &err) == 0);
	for (size_t i = 0; i < plan->n; i++)
		if (before[i] != plan->v[i].value)
			str_addf(out, "systemd: %s = %s\n", plan->v[i].file, plan->v[i].value);
	for (size_t i = 0; i < list.n; i++)
		str_addf(out, "systemd: %s = %s    # %s%s\n", list.v[i].name, list.v[i].value, list.v[i].pointer,
			 list.v[i].optional ? ", optional" : "");
}

static void print_all(const struct oci_resources *r, struct arena *a, struct str *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct cg_plan plan;
		struct err err = { 0 };

		str_addf(out, "== %s\n", hosts[i].name);
		if (cg_plan(&hosts[i].host, r, NULL, &plan, a, &err) < 0)
			str_addf(out, "error: %s\n", err.text);
		else {
			print_plan(&plan, r->devices.n > 0, out);
			print_properties(r, hosts[i].host.mode != CG_V2, &plan, a, out);
		}
	}
}

static int is_document(const struct dirent *de)
{
	return str_ends(de->d_name, ".json");
}

static void check(int dir, const char *name)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str text = { 0 }, got = { 0 }, want = { 0 };
	struct oci_resources r;
	struct err err = { 0 };
	char out[300];

	snprintf(out, sizeof out, "%.*s.out", (int)(strlen(name) - 5), name);
	if (fs_read(dir, name, 1 << 20, &text, &err) < 0 ||
	    oci_resources_parse(text.s, text.len, name, &r, &a, &err) < 0) {
		FAIL("%s: %s", name, err.text);
		return;
	}
	print_all(&r, &a, &got);
	if (getenv("VZRUN_GOLDEN_WRITE") && faccessat(dir, out, F_OK, 0) < 0)
		CHECK(fs_replace(dir, out, got.s, got.len, 0644, &err) == 0);
	if (fs_read(dir, out, 1 << 20, &want, &err) < 0)
		FAIL("%s: %s", out, err.text);
	else if (strcmp(got.s, want.s) != 0)
		FAIL("%s: got\n%s", name, got.s);
}

TEST(plans)
{
	const char *src = getenv("srcdir");
	char path[4096];
	struct dirent **list;
	int n;

	snprintf(path, sizeof path, "%s/tests/golden/cgroup", src && *src ? src : ".");
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = scandir(path, &list, is_document, alphasort);
	CHECK(n >= AT_LEAST);
	for (int i = 0; i < n; i++) {
		check(dir, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}
