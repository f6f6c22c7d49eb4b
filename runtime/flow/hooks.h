/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hooks of the document (config.md, "POSIX-platform Hooks"). */

#include "oci/spec.h"
#include "runtime/base/err.h"

struct hooks_context {
	const char *state_json;  /* on stdin */
	char *const *envp;       /* of a hook without an env of its own: runc's rule, users rely on it */
	int cwd_fd;              /* -1: ours */
	int signals;             /* signalfd that may end the wait, or -1 */
};

/* Run them one after the other.  The first failure ends the list: "error running NAME hook #N: exit status 1, output: ...". */
int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct hooks_context *c, struct err *e);

/* poststop: a failure is a warning and the rest still runs. */
void hooks_run_all(const struct oci_hook_list *hooks, const char *name, const struct hooks_context *c);
