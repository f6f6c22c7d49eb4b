/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rules that span fields: every MUST of runtime-spec 1.3 (config.md, config-linux.md) that can be checked
 * before anything is created.  Pure: no system call.  Errors are ERR_CONFIG and begin with a JSON pointer. */

#include "oci/spec.h"
#include "runtime/base/err.h"

int check_spec(const struct oci_spec *spec, struct err *e);
int check_process(const struct oci_process *process, const char *pointer, struct err *e);
int check_resources(const struct oci_resources *resources, const char *pointer, struct err *e);
