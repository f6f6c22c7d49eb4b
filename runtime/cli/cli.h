/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the commands share. */

#include "runtime/cli/opt.h"
#include "runtime/flow/flow.h"

extern const struct command cmd_create, cmd_start, cmd_run, cmd_exec, cmd_state, cmd_kill, cmd_delete, cmd_list, cmd_ps,
	cmd_pause, cmd_resume, cmd_update, cmd_events, cmd_features, cmd_spec, cmd_completion, cmd_set, cmd_stats, cmd_reconcile,
	cmd_checkpoint, cmd_restore, cmd_migrate, cmd_migrate_receive, cmd_migrate_rsh;

/* --cgroup-manager and --systemd-cgroup. */
int cli_driver(const struct cli *c, enum cg_driver_kind *ret, struct err *e);
int cli_rootless(const struct cli *c, enum proc_rootless *ret, struct err *e);

/* Made absolute from where the command was started; in the arena. */
int cli_absolute(struct cli *c, const char *path, const char **ret, struct err *e);

/* What create, run, exec and restore share: options of the flow; the bundle as the working directory; the exit code. */
int cli_flow_options(struct cli *c, struct flow_options *o, struct err *e);
int cli_enter_bundle(struct flow_options *o, struct cli *c, struct err *e);
int cli_exit_code(int wait_status);
/* A foreground container has ended: it is deleted, or its exit status kept (--keep).  The exit code, or below zero. */
int cli_end_run(struct cli *c, const struct flow *f, int wait_status, bool oom_seen, struct err *e);

/* Write to standard output; a full disk or a closed pipe is an error. */
int cli_print(const struct str *text, struct err *e);

/* The build's texts for --version and features. */
void cli_version(struct str *out);

/* --interval in Go's words: "5s", "500ms", "1m30s", "1.5s"; a bare 0 is refused.  In milliseconds. */
int cli_duration(const char *text, int *ret_ms, struct err *e);
