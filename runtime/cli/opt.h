/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line: one table of options for all commands.  It drives parsing, --help, shell completion and a test that
 * compares it with the man page.
 *
 * Go's flag package set the habits of runc's callers: `-opt` is `--opt`, values come as `--opt=v` or `--opt v`, switches may be
 * given as `--opt=false`.  Options may follow the container id, but not for exec, ps and kill, whose own arguments begin
 * there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/flow/ext.h"

enum command_bit {
	CMD_CREATE = 1 << 0,
	CMD_START = 1 << 1,
	CMD_RUN = 1 << 2,
	CMD_EXEC = 1 << 3,
	CMD_STATE = 1 << 4,
	CMD_KILL = 1 << 5,
	CMD_DELETE = 1 << 6,
	CMD_LIST = 1 << 7,
	CMD_PS = 1 << 8,
	CMD_PAUSE = 1 << 9,
	CMD_RESUME = 1 << 10,
	CMD_UPDATE = 1 << 11,
	CMD_EVENTS = 1 << 12,
	CMD_FEATURES = 1 << 13,
	CMD_SPEC = 1 << 14,
	CMD_COMPLETION = 1 << 15,
	CMD_SET = 1 << 16,
	CMD_STATS = 1 << 17,
	CMD_RECONCILE = 1 << 18,
	CMD_CHECKPOINT = 1 << 19,
	CMD_RESTORE = 1 << 20,
	CMD_MIGRATE = 1 << 21,
	CMD_MIGRATE_RECEIVE = 1 << 22,
	CMD_MIGRATE_RSH = 1 << 23,
	CMD_GLOBAL = 1 << 30,
	CMD_ALL = CMD_GLOBAL - 1,
};

struct cli {
	struct arena arena;
	/* before the command */
	const char *root, *log, *log_format, *log_level, *cgroup_manager, *rootless;
	bool systemd_cgroup, debug, version;
	/* anywhere */
	bool help;
	/* create, run, exec */
	const char *bundle, *config, *console_socket, *pidfd_socket, *pid_file, *preserve_fds;
	bool detach, keep, no_pivot, no_new_keyring, no_subreaper;
	/* exec */
	const char *cwd, *user, *process, *process_label, *apparmor;
	struct oci_strs env, additional_gids, caps, cgroups;
	bool tty, no_new_privs, ignore_paused;
	/* kill, delete, list, ps, events, stats, spec, features */
	bool all, force, quiet, stats, spec_rootless, steps;
	const char *annotations;
	const char *format, *interval, *sort;
	/* update */
	const char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_shares, *cpu_rt_period,
		*cpu_rt_runtime, *cpu_idle, *cpuset_cpus, *cpuset_mems, *memory, *memory_reservation, *memory_swap,
		*kernel_memory, *kernel_memory_tcp, *pids_limit, *l3_cache_schema, *mem_bw_schema;
	/* set */
	struct ext_wishes wishes;
	/* migrate */
	const char *max_rounds, *max_downtime, *bandwidth, *rootfs, *ssh, *remote_root, *remote_bundle, *new_id;
	bool pre_copy, post_copy, both_copies, compress, keep_bundle, dry_run, resolve;
	/* checkpoint, restore */
	const char *image_path, *work_path, *parent_path, *status_fd, *page_server, *manage_cgroups_mode, *network_lock, *lsm_profile,
		*lsm_mount_context;
	struct oci_strs empty_ns, mount_map;
	bool leave_running, tcp_established, tcp_skip_in_flight, tcp_close, link_remap, ext_unix_sk, shell_job, file_locks,
		lazy_pages, pre_dump, auto_dedup;

	const struct command *command;
	bool explicit_root;
	struct oci_strs args; /* what is no option */
};

struct command {
	const char *name;
	uint32_t bit;
	const char *arguments; /* for the usage line */
	const char *help;
	size_t min_args, max_args;
	bool stop_at_first;    /* what follows the first argument is no option of ours */
	int (*run)(struct cli *c, struct err *e); /* the exit status, or below zero */
};

enum opt_kind { OPT_FLAG, OPT_STRING, OPT_LIST, OPT_SETTING };

struct option_row {
	const char *name;
	char letter; /* 0: none */
	enum opt_kind kind;
	uint32_t commands;
	size_t offset;
	/* The word for the value in --help.  Completion goes by it: small letters with | between them are all there is to
	 * choose from, DIR is a directory here, FILE and PATH are files here. */
	const char *value;
	const char *help;
};

extern const struct command *const cli_commands[]; /* main.c; NULL-terminated */
extern const struct command *const cli_inner[];    /* called by programs that we start: in no help, manual or completion */

int cli_parse(struct cli *c, int argc, char **argv, struct err *e);
void cli_help(const struct command *command, struct str *out); /* NULL: of the program */

const struct option_row *cli_options(size_t *n);

/* Completion scripts, made from the table, for "bash", "fish", "zsh"; -ENOENT for another shell. */
int cli_completion(const char *shell, struct str *out);

/* One line per option: "COMMAND --name", for the test of the man page. */
void cli_option_list(struct str *out);
