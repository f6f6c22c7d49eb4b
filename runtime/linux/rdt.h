/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* resctrl (Intel RDT and the like): class of service and monitoring group of a container.
 *
 * Without closID the class is named after the container and takes the document's schema.  A closID whose class exists is
 * joined when its schema holds what the document says, else an error; one without any schema must exist; "/" is the
 * root class, which is only ever compared.  Lines are written in the order l3CacheSchema, memBwSchema, schemata. */

#include <stdbool.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

/* `root`: the resctrl mount, tests pass a fake tree; NULL: /sys/fs/resctrl.  *ret_created_clos and *ret_created_mon are
 * what rdt_remove() may remove: only what we made. */
int rdt_apply(const char *root, const char *id, const struct oci_intel_rdt *rdt, pid_t pid, bool *ret_created_clos,
	      bool *ret_created_mon, struct err *e);
int rdt_update(const char *root, const char *id, const struct oci_intel_rdt *rdt, struct err *e);
void rdt_remove(const char *root, const char *id, const struct oci_intel_rdt *rdt, bool clos, bool mon);
