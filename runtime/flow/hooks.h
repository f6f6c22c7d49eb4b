/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hooks of the document (config.md, "POSIX-platform Hooks"). */

#include "oci/spec.h"
#include "runtime/base/err.h"

/* Run them one after the other, each with `state_json` on stdin, from directory `cwd_fd` (-1: ours).  A hook without an
 * env gets `envp` (runc gives it the caller's; users rely on it).  The first failure ends the list:
 * "error running NAME hook #N: exit status 1, output: ...". */
int hooks_run(const struct oci_hook_list *hooks, const char *name, const char *state_json, char *const *envp, int cwd_fd,
	      struct err *e);

/* poststop: a failure is a warning and the rest still runs. */
void hooks_run_all(const struct oci_hook_list *hooks, const char *name, const char *state_json, char *const *envp);
