// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/opt.h"

#include <stdio.h>
#include <string.h>

#define CREATES (CMD_CREATE | CMD_RUN)
#define CRIU (CMD_CHECKPOINT | CMD_RESTORE)
#define FLAG(n, l, c, m, h) { n, l, OPT_FLAG, c, offsetof(struct cli, m), NULL, h }
#define STRING(n, l, c, m, v, h) { n, l, OPT_STRING, c, offsetof(struct cli, m), v, h }
#define LIST(n, l, c, m, v, h) { n, l, OPT_LIST, c, offsetof(struct cli, m), v, h }

static const struct option_row rows[] = {
	STRING("root", 0, CMD_GLOBAL, root, "DIR", "directory of the containers' state (default: /run/vzrun)"),
	STRING("log", 0, CMD_GLOBAL, log, "FILE", "append the error record to FILE"),
	STRING("log-format", 0, CMD_GLOBAL, log_format, "text|json", "format of the log (default: text)"),
	STRING("log-level", 0, CMD_GLOBAL, log_level, "error|warning|debug", "what the log takes (default: error)"),
	FLAG("debug", 0, CMD_GLOBAL, debug, "log every step with its time"),
	FLAG("systemd-cgroup", 0, CMD_GLOBAL, systemd_cgroup, "let systemd make the cgroups"),
	STRING("cgroup-manager", 0, CMD_GLOBAL, cgroup_manager, "cgroupfs|systemd|disabled", "who makes the cgroups"),
	STRING("rootless", 0, CMD_GLOBAL, rootless, "true|false|auto", "ignore what only root can do (default: auto)"),
	FLAG("version", 'v', CMD_GLOBAL, version, "print the version"),
	FLAG("help", 'h', CMD_GLOBAL | CMD_ALL, help, "print this text"),

	STRING("bundle", 'b', CREATES | CMD_RESTORE | CMD_SPEC, bundle, "DIR", "the bundle (default: the current directory)"),
	STRING("config", 'f', CREATES | CMD_RESTORE, config, "FILE", "the document in the bundle (default: config.json)"),
	STRING("console-socket", 0, CREATES | CMD_EXEC | CMD_RESTORE, console_socket, "PATH", "socket that gets the terminal's master"),
	STRING("pidfd-socket", 0, CREATES | CMD_EXEC | CMD_RESTORE, pidfd_socket, "PATH", "socket that gets a pidfd of the process"),
	STRING("pid-file", 0, CREATES | CMD_EXEC | CMD_RESTORE, pid_file, "FILE", "write the process id to FILE"),
	STRING("preserve-fds", 0, CREATES | CMD_EXEC, preserve_fds, "N", "hand on N descriptors from 3 up"),
	FLAG("no-pivot", 0, CREATES | CMD_RESTORE, no_pivot, "do not use pivot_root (initramfs)"),
	FLAG("no-new-keyring", 0, CREATES, no_new_keyring, "keep the caller's session keyring"),
	FLAG("no-subreaper", 0, CREATES | CMD_RESTORE, no_subreaper, "do not reap what the container leaves behind"),
	FLAG("detach", 'd', CMD_RUN | CMD_EXEC | CMD_RESTORE, detach, "return when the process runs"),
	FLAG("keep", 0, CMD_RUN | CMD_RESTORE, keep, "do not delete the container when it ends"),

	STRING("cwd", 0, CMD_EXEC, cwd, "WORKDIR", "working directory in the container"),
	LIST("env", 'e', CMD_EXEC, env, "NAME=VALUE", "set a variable (may be repeated)"),
	FLAG("tty", 't', CMD_EXEC, tty, "give the process a terminal"),
	STRING("user", 'u', CMD_EXEC, user, "UID[:GID]", "user of the process"),
	LIST("additional-gids", 'g', CMD_EXEC, additional_gids, "GID", "a further group (may be repeated)"),
	STRING("process", 'p', CMD_EXEC, process, "FILE", "the process document"),
	STRING("process-label", 0, CMD_EXEC, process_label, "LABEL", "SELinux label of the process"),
	STRING("apparmor", 0, CMD_EXEC, apparmor, "PROFILE", "AppArmor profile of the process"),
	FLAG("no-new-privs", 0, CMD_EXEC, no_new_privs, "set no_new_privs"),
	LIST("cap", 'c', CMD_EXEC, caps, "CAP", "a further capability (may be repeated)"),
	LIST("cgroup", 0, CMD_EXEC, cgroups, "[CTRL:]PATH", "run in this sub-cgroup (may be repeated)"),
	FLAG("ignore-paused", 0, CMD_EXEC, ignore_paused, "enter a paused container"),

	STRING("image-path", 0, CRIU, image_path, "DIR", "the images (default: ./checkpoint)"),
	STRING("work-path", 0, CRIU, work_path, "DIR", "CRIU's logs and statistics (default: with the images)"),
	STRING("parent-path", 0, CMD_CHECKPOINT, parent_path, "DIR", "images of an earlier pre-dump, relative to --image-path"),
	FLAG("leave-running", 0, CMD_CHECKPOINT, leave_running, "let the container go on"),
	FLAG("pre-dump", 0, CMD_CHECKPOINT, pre_dump, "write the memory only and let the container go on"),
	FLAG("tcp-established", 0, CRIU, tcp_established, "allow TCP connections that are open"),
	FLAG("tcp-skip-in-flight", 0, CMD_CHECKPOINT, tcp_skip_in_flight, "leave out TCP connections that are being made"),
	FLAG("tcp-close", 0, CMD_RESTORE, tcp_close, "restore open TCP connections as closed ones"),
	FLAG("ext-unix-sk", 0, CRIU | CMD_MIGRATE, ext_unix_sk, "allow unix sockets that are connected to the outside"),
	FLAG("shell-job", 0, CRIU, shell_job, "allow a session and terminal from outside"),
	FLAG("file-locks", 0, CRIU, file_locks, "keep file locks"),
	FLAG("link-remap", 0, CMD_CHECKPOINT, link_remap, "give open files without a name one for the time being"),
	FLAG("lazy-pages", 0, CRIU, lazy_pages, "hand memory over when it is used, by userfaultfd"),
	STRING("status-fd", 0, CMD_CHECKPOINT, status_fd, "FD", "gets a NUL when --lazy-pages can be asked"),
	STRING("page-server", 0, CMD_CHECKPOINT, page_server, "ADDRESS:PORT", "send memory to CRIU's page server there"),
	FLAG("auto-dedup", 0, CRIU, auto_dedup, "free what later images have again"),
	STRING("manage-cgroups-mode", 0, CRIU, manage_cgroups_mode, "soft|full|strict|ignore", "CRIU's way with cgroups (default: soft)"),
	LIST("empty-ns", 0, CRIU, empty_ns, "network", "leave out what is in this namespace"),
	STRING("network-lock", 0, CRIU, network_lock, "iptables|nftables|skip", "how the network is stopped meanwhile"),
	STRING("lsm-profile", 0, CMD_RESTORE, lsm_profile, "TYPE:NAME", "another process label: apparmor:NAME, selinux:LABEL"),
	STRING("lsm-mount-context", 0, CMD_RESTORE, lsm_mount_context, "CONTEXT", "another SELinux context of mounts"),
	LIST("mount-map", 0, CMD_RESTORE, mount_map, "DEST=SOURCE", "take the mount on DEST from SOURCE (may be repeated)"),

	FLAG("pre-copy", 0, CMD_MIGRATE, pre_copy, "send memory in rounds while the container runs (default)"),
	FLAG("post-copy", 0, CMD_MIGRATE, post_copy, "fetch memory when it runs there; meanwhile a lost connection ends it there"),
	FLAG("both", 0, CMD_MIGRATE, both_copies, "send memory in rounds, and fetch the rest so"),
	STRING("max-rounds", 0, CMD_MIGRATE, max_rounds, "N", "at most so many of them (default: 8; 0: none)"),
	STRING("max-downtime", 0, CMD_MIGRATE, max_downtime, "DURATION", "no more rounds when the rest takes no longer"),
	STRING("bandwidth", 0, CMD_MIGRATE, bandwidth, "BYTES", "send no more in a second"),
	FLAG("compress", 0, CMD_CHECKPOINT | CMD_MIGRATE, compress, "write, or send, memory compressed by zstd"),
	STRING("rootfs", 0, CMD_MIGRATE, rootfs, "copy|shared", "copy the bundle by rsync, or find it there (default: copy)"),
	STRING("ssh", 0, CMD_MIGRATE, ssh, "COMMAND", "what runs a program on the host (default: ssh -o BatchMode=yes)"),
	STRING("remote-root", 0, CMD_MIGRATE, remote_root, "PATH", "--root there"),
	STRING("remote-bundle", 0, CMD_MIGRATE, remote_bundle, "PATH", "the bundle there (default: as here)"),
	STRING("new-id", 0, CMD_MIGRATE, new_id, "ID", "another id there"),
	FLAG("keep", 0, CMD_MIGRATE, keep_bundle, "do not remove the bundle here when it was copied"),
	FLAG("dry-run", 0, CMD_MIGRATE, dry_run, "only say what stands in the way"),
	FLAG("resolve", 0, CMD_MIGRATE, resolve, "end a migration whose end is not known"),

	FLAG("all", 'a', CMD_KILL, all, "signal every process of the container"),
	FLAG("all", 'a', CMD_SET, all, "every container that is not stopped"),
	FLAG("all", 'a', CMD_STATS, all, "every container that is not stopped, as without an id"),
	FLAG("force", 'f', CMD_DELETE, force, "kill it first; a missing container is no error"),
	STRING("format", 'f', CMD_LIST | CMD_PS | CMD_SET | CMD_STATS | CMD_MIGRATE, format, "table|json", "format of the output (default: table)"),
	FLAG("quiet", 'q', CMD_LIST, quiet, "print only the ids"),
	FLAG("stats", 0, CMD_EVENTS, stats, "print the statistics once"),
	STRING("interval", 0, CMD_EVENTS, interval, "DURATION", "time between statistics (default: 5s)"),
	STRING("interval", 0, CMD_STATS, interval, "SECONDS", "print again and again, with this time between"),
	STRING("sort", 's', CMD_STATS, sort, "id|cpu|mem|io|net|pids", "what comes first (default: id)"),
	FLAG("rootless", 0, CMD_SPEC, spec_rootless, "a document for a plain user"),
	FLAG("steps", 0, CMD_FEATURES, steps, "print the table of steps instead"),
	STRING("annotations", 0, CMD_FEATURES, annotations, "md|man", "print the reference of " EXT_PREFIX " annotations instead"),

	STRING("resources", 'r', CMD_UPDATE, resources, "FILE|-", "read linux.resources from FILE; other options are ignored"),
	STRING("blkio-weight", 0, CMD_UPDATE, blkio_weight, "N", "block I/O weight, 10 to 1000"),
	STRING("cpu-period", 0, CMD_UPDATE, cpu_period, "US", "CPU period"),
	STRING("cpu-quota", 0, CMD_UPDATE, cpu_quota, "US", "CPU time in a period; -1: unlimited"),
	STRING("cpu-burst", 0, CMD_UPDATE, cpu_burst, "US", "unused quota that may be saved up"),
	STRING("cpu-share", 0, CMD_UPDATE, cpu_shares, "N", "CPU shares"),
	STRING("cpu-rt-period", 0, CMD_UPDATE, cpu_rt_period, "US", "realtime period (v1)"),
	STRING("cpu-rt-runtime", 0, CMD_UPDATE, cpu_rt_runtime, "US", "realtime runtime (v1)"),
	STRING("cpu-idle", 0, CMD_UPDATE, cpu_idle, "0|1", "run only when nothing else wants to"),
	STRING("cpuset-cpus", 0, CMD_UPDATE, cpuset_cpus, "LIST", "CPUs"),
	STRING("cpuset-mems", 0, CMD_UPDATE, cpuset_mems, "LIST", "memory nodes"),
	STRING("kernel-memory", 0, CMD_UPDATE, kernel_memory, "BYTES", "accepted and ignored: the kernel has it no more"),
	STRING("kernel-memory-tcp", 0, CMD_UPDATE, kernel_memory_tcp, "BYTES", "accepted and ignored, likewise"),
	STRING("memory", 0, CMD_UPDATE, memory, "BYTES", "memory limit; -1: unlimited"),
	STRING("memory-reservation", 0, CMD_UPDATE, memory_reservation, "BYTES", "memory that is reclaimed last"),
	STRING("memory-swap", 0, CMD_UPDATE, memory_swap, "BYTES", "memory and swap together; -1: unlimited"),
	STRING("pids-limit", 0, CMD_UPDATE, pids_limit, "N", "number of processes; -1: unlimited"),
	STRING("l3-cache-schema", 0, CMD_UPDATE, l3_cache_schema, "SCHEMA", "resctrl: cache"),
	STRING("mem-bw-schema", 0, CMD_UPDATE, mem_bw_schema, "SCHEMA", "resctrl: memory bandwidth"),
};

/* ---- settings: options that extensions bring ---- */

#define SETTINGS_MAX 256

/* The table with a row for each key of an extension; made when it is asked for, which most commands do not. */
static struct option_row all_rows[ARRAY_SIZE(rows) + SETTINGS_MAX];
static char list_names[SETTINGS_MAX][48];
static size_t n_all;

static void add_setting(const struct ext_row *row, const char *suffix)
{
	char *name = list_names[n_all - ARRAY_SIZE(rows)];

	snprintf(name, sizeof *list_names, "%s%s", row->name, suffix);
	all_rows[n_all++] = (struct option_row){ name, 0, OPT_SETTING, CMD_SET, 0, row->value->word, row->help };
}

const struct option_row *cli_options(size_t *n)
{
	const struct ext *const *list = ext_registry();

	if (n_all == 0) {
		memcpy(all_rows, rows, sizeof rows);
		n_all = ARRAY_SIZE(rows);
		for (size_t i = 0; list[i]; i++)
			for (const struct ext_row *row = list[i]->rows; row->name && n_all + 3 < ARRAY_SIZE(all_rows); row++) {
				add_setting(row, "");
				if (row->kind != EXT_LIST)
					continue;
				add_setting(row, "-add");
				add_setting(row, "-del");
			}
	}
	*n = n_all;
	return all_rows;
}

/* ---- parsing ---- */

struct parser {
	struct cli *c;
	char **argv;
	int argc, at;
	uint32_t scope;
};

static const struct option_row *find_row(uint32_t scope, const char *name, size_t len)
{
	size_t n = ARRAY_SIZE(rows);
	const struct option_row *row = scope == CMD_SET ? cli_options(&n) : rows;

	for (; n > 0; n--, row++) {
		if (!(row->commands & scope))
			continue;
		if (strlen(row->name) == len && strncmp(row->name, name, len) == 0)
			return row;
		if (len == 1 && row->letter == *name)
			return row;
	}
	/* crun prints its version for -V too. */
	return scope == CMD_GLOBAL && len == 1 && *name == 'V' ? find_row(scope, "v", 1) : NULL;
}

static int list_add(struct cli *c, struct oci_strs *list, const char *value, struct err *e)
{
	const char **more = arena_alloc_n(&c->arena, list->n + 2, sizeof *more);

	if (!more)
		return err_oom(e);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = value;
	*list = (struct oci_strs){ .v = more, .n = list->n + 1 };
	return 0;
}

static int set_flag(bool *flag, const struct option_row *row, const char *value, struct err *e)
{
	if (!value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*flag = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*flag = false;
	else
		return err_set(e, ERR_USAGE, 0, "--%s: \"%s\" is neither true nor false", row->name, value);
	return 0;
}

static int add_wish(struct cli *c, const char *name, const char *value, struct err *e)
{
	struct ext_wish *more = arena_alloc_n(&c->arena, c->wishes.n + 1, sizeof *more);

	if (!more)
		return err_oom(e);
	if (c->wishes.n)
		memcpy(more, c->wishes.v, c->wishes.n * sizeof *more);
	ext_find_option(name, strlen(name), &more[c->wishes.n]);
	more[c->wishes.n].text = value;
	c->wishes = (struct ext_wishes){ more, c->wishes.n + 1 };
	return 0;
}

static int set_value(struct parser *p, const struct option_row *row, const char *value, struct err *e)
{
	void *member = (char *)p->c + row->offset;

	if (row->kind == OPT_FLAG)
		return set_flag(member, row, value, e);
	if (!value) {
		if (p->at >= p->argc)
			return err_set(e, ERR_USAGE, 0, "flag needs an argument: --%s", row->name);
		value = p->argv[p->at++];
	}
	if (row->kind == OPT_SETTING)
		return add_wish(p->c, row->name, value, e);
	if (row->kind == OPT_LIST)
		return list_add(p->c, member, value, e);
	*(const char **)member = value;
	return 0;
}

static int parse_option(struct parser *p, const char *text, struct err *e)
{
	const char *name = text + 1 + (text[1] == '-');
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = find_row(p->scope, name, len);

	if (!row)
		return err_set(e, ERR_USAGE, 0, "flag provided but not defined: %.64s (see vzrun %s%s--help)", text,
			       p->c->command ? p->c->command->name : "", p->c->command ? " " : "");
	return set_value(p, row, equals ? equals + 1 : NULL, e);
}

static bool is_option(const char *text)
{
	return text[0] == '-' && text[1] != '\0';
}

static const struct command *command_in(const struct command *const *list, const char *name)
{
	for (; *list; list++)
		if (strcmp((*list)->name, name) == 0)
			return *list;
	return NULL;
}

static int find_command(struct cli *c, const char *name, struct err *e)
{
	c->command = command_in(cli_commands, name);
	if (!c->command)
		c->command = command_in(cli_inner, name);
	if (c->command)
		return 0;
	return err_set(e, ERR_USAGE, 0, "unknown command \"%.64s\" (see vzrun --help)", name);
}

static int parse_globals(struct parser *p, struct err *e)
{
	p->scope = CMD_GLOBAL;
	while (p->at < p->argc && is_option(p->argv[p->at])) {
		int r = parse_option(p, p->argv[p->at++], e);

		if (r < 0)
			return r;
	}
	p->c->explicit_root = p->c->root != NULL;
	return 0;
}

static int parse_command(struct parser *p, struct err *e)
{
	bool options = true;

	p->scope = p->c->command->bit;
	while (p->at < p->argc) {
		char *text = p->argv[p->at++];
		int r;

		if (options && strcmp(text, "--") == 0) {
			options = false;
			continue;
		}
		if (options && is_option(text)) {
			r = parse_option(p, text, e);
		} else {
			r = list_add(p->c, &p->c->args, text, e);
			options = options && !p->c->command->stop_at_first;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_args(const struct cli *c, struct err *e)
{
	const struct command *cmd = c->command;

	if (c->help)
		return 0;
	if (c->args.n < cmd->min_args)
		return err_set(e, ERR_USAGE, 0, "\"%s\" requires a minimum of %zu argument%s: vzrun %s [options] %s",
			       cmd->name, cmd->min_args, cmd->min_args == 1 ? "" : "s", cmd->name, cmd->arguments);
	if (c->args.n > cmd->max_args)
		return err_set(e, ERR_USAGE, 0, "\"%s\" requires a maximum of %zu argument%s: vzrun %s [options] %s",
			       cmd->name, cmd->max_args, cmd->max_args == 1 ? "" : "s", cmd->name, cmd->arguments);
	return 0;
}

int cli_parse(struct cli *c, int argc, char **argv, struct err *e)
{
	struct parser p = { .c = c, .argv = argv, .argc = argc, .at = 1 };
	int r;

	r = parse_globals(&p, e);
	if (r < 0 || c->version || (c->help && p.at >= argc))
		return r;
	if (p.at >= argc) {
		c->help = true;
		return 0;
	}
	if (strcmp(argv[p.at], "help") == 0) {
		c->help = true;
		return ++p.at < argc ? find_command(c, argv[p.at], e) : 0;
	}
	r = find_command(c, argv[p.at++], e);
	if (r == 0)
		r = parse_command(&p, e);
	return r < 0 ? r : check_args(c, e);
}

/* ---- texts ---- */

static void help_row(const struct option_row *row, struct str *out)
{
	struct str left = { 0 };

	str_addf(&left, "   --%s", row->name);
	if (row->letter)
		str_addf(&left, ", -%c", row->letter);
	if (row->value)
		str_addf(&left, " %s", row->value);
	str_addf(out, "%-42s %s\n", str_cstr(&left), row->help);
	str_done(&left);
}

void cli_help(const struct command *command, struct str *out)
{
	uint32_t scope = command ? command->bit : CMD_GLOBAL;
	size_t n;
	const struct option_row *row = cli_options(&n);

	if (command) {
		str_addf(out, "NAME:\n   vzrun %s - %s\n\nUSAGE:\n   vzrun %s [options] %s\n", command->name,
			 command->help, command->name, command->arguments);
	} else {
		str_add(out, "NAME:\n   vzrun - Open Container Initiative runtime\n\n"
			     "USAGE:\n   vzrun [options] command [options] [arguments...]\n\nCOMMANDS:\n");
		for (size_t i = 0; cli_commands[i]; i++)
			str_addf(out, "   %-12s %s\n", cli_commands[i]->name, cli_commands[i]->help);
	}
	str_add(out, "\nOPTIONS:\n");
	for (; n > 0; n--, row++)
		if (row->commands & scope)
			help_row(row, out);
}

void cli_option_list(struct str *out)
{
	size_t n;
	const struct option_row *all = cli_options(&n);

	for (size_t i = 0; i < n; i++)
		if (all[i].commands & CMD_GLOBAL)
			str_addf(out, "vzrun --%s\n", all[i].name);
	for (size_t c = 0; cli_commands[c]; c++)
		for (size_t i = 0; i < n; i++)
			if (all[i].commands & cli_commands[c]->bit)
				str_addf(out, "%s --%s\n", cli_commands[c]->name, all[i].name);
}
