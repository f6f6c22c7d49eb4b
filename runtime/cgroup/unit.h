/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names and properties of systemd units.  Pure: no system call. */

#include <stdbool.h>
#include <stddef.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/plan.h"

struct unit_name {
	const char *unit;  /* "libpod-x.scope", or a slice: "a-b.slice" */
	const char *slice; /* what it is in: "machine.slice" */
	const char *path;  /* below the manager's cgroup: "/machine.slice/libpod-x.scope" */
	bool is_slice;
};

/* linux.cgroupsPath for systemd, "slice:prefix:name"; NULL or "": a scope named after the container.  `user`: of a
 * user's manager, whose default slice is another. */
int unit_name(const char *cgroups_path, const char *id, bool user, struct unit_name *ret, struct arena *a,
	      struct err *e);

/* "a-b.slice" is a child of "a.slice": "/a.slice/a-b.slice"; "-.slice", the root: "". */
int unit_slice_path(const char *slice, const char **ret, struct arena *a, struct err *e);

/* One property; its value in GVariant's text form: "uint64 5", "'text'", "[byte 0x03]". */
struct unit_property {
	const char *name, *value;
	const char *pointer; /* where it comes from, for error texts */
	bool optional;       /* a systemd that does not know it does without: the file is written in any case */
};

struct unit_properties {
	struct unit_property *v;
	size_t n, cap;
};

int unit_add(struct unit_properties *list, const char *name, const char *value, const char *pointer, struct arena *a,
	     struct err *e);

/* The properties of a plan's rows, that is, what systemd would overwrite if it did not know of it.  CPU quotas are
 * rounded up in the plan as well, to whole percents of a CPU: systemd keeps no more. */
int unit_from_plan(struct cg_plan *plan, bool v2, struct unit_properties *ret, struct arena *a, struct err *e);

/* "org.systemd.property.NAME": VALUE. */
int unit_from_annotations(const struct oci_map *annotations, struct unit_properties *ret, struct arena *a,
			  struct err *e);

/* DevicePolicy and DeviceAllow, for cgroup v1, where systemd writes the rules itself. */
int unit_from_devices(const struct oci_device_rules *rules, struct unit_properties *ret, struct arena *a,
		      struct err *e);

int gvariant_check(const char *text, struct err *e);
/* Append it as a variant to a call. */
struct bus_call;
int gvariant_put(const char *text, struct bus_call *call, struct err *e);
/* Seconds as text -> microseconds as text: "5" is "uint64 5000000". */
int gvariant_to_usec(const char *text, const char **ret, struct arena *a, struct err *e);
