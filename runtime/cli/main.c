// SPDX-License-Identifier: LGPL-2.1-or-later

/* The program: what is common to all commands.  The only place that ends the process and reports to the user. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extensions/registry.h"
#include "oci/defaults.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/sys.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/self.h"
#include "runtime/linux/seccomp.h"

#include "commit.h"

const struct command *const cli_commands[] = {
	&cmd_create, &cmd_start,  &cmd_run,    &cmd_exec,   &cmd_state,    &cmd_kill, &cmd_delete,     &cmd_list, &cmd_ps,
	&cmd_pause,  &cmd_resume, &cmd_update, &cmd_set,    &cmd_events, &cmd_stats, &cmd_reconcile,
	&cmd_checkpoint, &cmd_restore, &cmd_migrate, &cmd_migrate_receive, &cmd_features, &cmd_spec, &cmd_completion, NULL,
};

const struct command *const cli_inner[] = { &cmd_migrate_rsh, NULL };

void cli_version(struct str *out)
{
	char library[32];

	str_addf(out, "vzrun version %s\ncommit: %s\nspec: %s\n", PACKAGE_VERSION, VZRUN_COMMIT, OCI_VERSION);
	if (seccomp_version(library, sizeof library) == 0)
		str_addf(out, "libseccomp: %s\n", library);
}

int cli_driver(const struct cli *c, enum cg_driver_kind *ret, struct err *e)
{
	const char *m = c->cgroup_manager;

	if (c->systemd_cgroup && m && strcmp(m, "systemd") != 0)
		return err_set(e, ERR_USAGE, 0, "--systemd-cgroup contradicts --cgroup-manager=%s", m);
	if (c->systemd_cgroup || str_eq(m, "systemd"))
		*ret = CG_DRIVER_SYSTEMD;
	else if (str_eq(m, "disabled"))
		*ret = CG_DRIVER_DISABLED;
	else if (!m || strcmp(m, "cgroupfs") == 0)
		*ret = CG_DRIVER_FS;
	else
		return err_set(e, ERR_USAGE, 0, "--cgroup-manager: \"%s\" is none of cgroupfs, systemd, disabled", m);
	return 0;
}

int cli_absolute(struct cli *c, const char *path, const char **ret, struct err *e)
{
	char cwd[PATH_MAX];

	if (!path || path[0] == '/') {
		*ret = path;
		return 0;
	}
	if (!getcwd(cwd, sizeof cwd))
		return err_sys(e, "current directory");
	*ret = arena_printf(&c->arena, "%s/%s", cwd, path);
	return *ret ? 0 : err_oom(e);
}

int cli_print(const struct str *text, struct err *e)
{
	if (str_failed(text))
		return err_oom(e);
	return text->len ? fs_write_fd(STDOUT_FILENO, text->s, text->len, "standard output", e) : 0;
}

/* A command started without a standard stream would hand its first descriptors out as 0-2. */
static void open_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR); /* the lowest free one: this */
}

/* What the caller ignores is inherited.  Without SIGCHLD there is no wait status of a child; and a reader that went away is
 * an error to report, not a reason to vanish while a container is being started. */
static void usual_signals(void)
{
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
}

static bool owns_run(void)
{
	return geteuid() == 0 && (str_eq(getenv("USER"), "root") || !proc_in_userns());
}

/* runc's rule: a plain user, or root of a user namespace that does not call itself root, keeps state in its own runtime
 * directory; sticky, so that tmp cleaners spare it. */
static int choose_root(struct cli *c, struct err *e)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int r;

	if (c->root) {
		r = cli_absolute(c, c->root, &c->root, e);
		if (r == 0 && strspn(c->root, "/.") == strlen(c->root))
			return err_set(e, ERR_USAGE, 0, "--root: %s cannot be used", c->root);
		return r;
	}
	if (!dir || !*dir || owns_run()) {
		c->root = "/run/vzrun";
		return 0;
	}
	c->root = arena_printf(&c->arena, "%s/vzrun", dir);
	if (!c->root)
		return err_oom(e);
	if (mkdir(c->root, 0700) == 0)
		chmod(c->root, 01700);
	return 0;
}

static int log_level(const char *word, enum log_level *ret, struct err *e)
{
	if (!word || strcmp(word, "error") == 0)
		*ret = LOG_LEVEL_ERROR;
	else if (strcmp(word, "warning") == 0 || strcmp(word, "warn") == 0)
		*ret = LOG_LEVEL_WARNING;
	else if (strcmp(word, "debug") == 0)
		*ret = LOG_LEVEL_DEBUG;
	else
		return err_set(e, ERR_USAGE, 0, "--log-level: \"%s\" is none of error, warning, debug", word);
	return 0;
}

static int open_log(const struct cli *c, struct err *e)
{
	struct log_options o = { .fd = -1, .json = str_eq(c->log_format, "json"), .debug = c->debug };
	const char *path = c->log;
	int r;

	r = log_level(c->log_level, &o.level, e);
	if (r < 0)
		return r;
	if (c->debug)
		o.level = LOG_LEVEL_DEBUG;
	o.debug = o.level == LOG_LEVEL_DEBUG;
	if (path && str_starts(path, "file:"))
		path += strlen("file:");
	if (path && *path) {
		/* Not O_SYNC, which runc uses: a record is one write and never half there. */
		o.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0644);
		if (o.fd < 0)
			r = err_sys(e, "--log %s", path);
	}
	log_setup(&o);
	if (r == 0 && c->log_format && strcmp(c->log_format, "json") != 0 && strcmp(c->log_format, "text") != 0)
		r = err_set(e, ERR_USAGE, 0, "--log-format: \"%s\" is neither text nor json", c->log_format);
	return r;
}

int cli_rootless(const struct cli *c, enum proc_rootless *ret, struct err *e)
{
	if (!c->rootless || strcmp(c->rootless, "auto") == 0)
		*ret = PROC_ROOTLESS_AUTO;
	else if (strcmp(c->rootless, "true") == 0)
		*ret = PROC_ROOTLESS_TRUE;
	else if (strcmp(c->rootless, "false") == 0)
		*ret = PROC_ROOTLESS_FALSE;
	else
		return err_set(e, ERR_USAGE, 0, "--rootless: \"%s\" is none of true, false, auto", c->rootless);
	return 0;
}

static int print_help(const struct cli *c, struct err *e)
{
	cleanup_str struct str text = { 0 };

	cli_help(c->command, &text);
	return cli_print(&text, e);
}

static int print_version(struct err *e)
{
	cleanup_str struct str text = { 0 };

	cli_version(&text);
	return cli_print(&text, e);
}

static int dispatch(struct cli *c, int argc, char **argv, struct err *e)
{
	enum proc_rootless rootless;
	int r = cli_parse(c, argc, argv, e), logged;
	struct err second = { 0 };

	/* The log is opened even then: it is where the caller looks for the error. */
	logged = open_log(c, r < 0 ? &second : e);
	if (r < 0)
		return r;
	if (c->help)
		return print_help(c, e);
	if (c->version)
		return print_version(e);
	if (logged < 0)
		return logged;
	r = cli_rootless(c, &rootless, e);
	if (r == 0)
		r = choose_root(c, e);
	return r < 0 ? r : c->command->run(c, e);
}

int main(int argc, char **argv)
{
	struct cli c = { 0 };
	struct err e = { 0 };
	int r;

	open_stdio();
	ext_register(extensions());
	r = self_protect(argc, argv, &e);
	usual_signals();
	if (r >= 0)
		r = dispatch(&c, argc, argv, &e);
	if (r < 0) {
		log_error(&e);
		/* runc's exec tells its own failures from the program's by 255. */
		r = c.command == &cmd_exec ? 255 : 1;
	}
	arena_done(&c.arena);
	return r;
}
