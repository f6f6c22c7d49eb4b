// SPDX-License-Identifier: LGPL-2.1-or-later

/* checkpoint, restore. */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/fd.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/checkpoint.h"
#include "runtime/flow/foreground.h"

struct word {
	const char *text;
	int value;
};

static int find_word(const char *option, const char *text, const struct word *words, int *ret, struct err *e)
{
	cleanup_str struct str list = { 0 };

	for (; words->text; words++) {
		if (str_eq(text, words->text)) {
			*ret = words->value;
			return 0;
		}
		str_addf(&list, "%s%s", list.len ? ", " : "", words->text);
	}
	return err_set(e, ERR_USAGE, 0, "--%s: \"%s\" is none of %s", option, text, str_cstr(&list));
}

static int parse_words(const struct cli *c, struct criu_options *o, struct err *e)
{
	static const struct word modes[] = { { "soft", CRIU_CGROUPS_SOFT }, { "full", CRIU_CGROUPS_FULL },
					     { "strict", CRIU_CGROUPS_STRICT }, { "ignore", CRIU_CGROUPS_IGNORE }, { 0 } };
	static const struct word locks[] = { { "iptables", CRIU_LOCK_IPTABLES }, { "nftables", CRIU_LOCK_NFTABLES },
					     { "skip", CRIU_LOCK_SKIP }, { 0 } };
	static const struct word spaces[] = { { "network", true }, { 0 } };
	int mode = CRIU_CGROUPS_SOFT, lock = CRIU_LOCK_DEFAULT, empty = false;

	if (c->manage_cgroups_mode && find_word("manage-cgroups-mode", c->manage_cgroups_mode, modes, &mode, e) < 0)
		return err_ret(e);
	if (c->network_lock && find_word("network-lock", c->network_lock, locks, &lock, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < c->empty_ns.n; i++)
		if (find_word("empty-ns", c->empty_ns.v[i], spaces, &empty, e) < 0)
			return err_ret(e);
	o->cgroups = (enum criu_cgroups)mode;
	o->lock = (enum criu_lock)lock;
	o->empty_network = empty;
	return 0;
}

/* "host:1234", "[::1]:1234" */
static int parse_page_server(struct cli *c, struct criu_options *o, struct err *e)
{
	const char *text = c->page_server, *colon = text ? strrchr(text, ':') : NULL;
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint32_t port;

	if (!text)
		return 0;
	if (!colon || len == 0 || num_u32(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX)
		return err_set(e, ERR_USAGE, 0, "--page-server: \"%s\" is not ADDRESS:PORT", text);
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	o->page_server = arena_strndup(&c->arena, text, len);
	o->page_port = (uint16_t)port;
	return o->page_server ? 0 : err_oom(e);
}

static int parse_status_fd(const struct cli *c, struct criu_options *o, struct err *e)
{
	uint32_t fd;

	o->status_fd = -1;
	if (!c->status_fd)
		return 0;
	if (num_u32(c->status_fd, &fd) < 0 || fd > INT_MAX)
		return err_set(e, ERR_USAGE, 0, "--status-fd: \"%s\" is not a number", c->status_fd);
	if (fcntl((int)fd, F_GETFD) < 0)
		return err_sys(e, "--status-fd %u", fd);
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	o->status_fd = (int)fd;
	return 0;
}

static int check_map(const struct cli *c, struct err *e)
{
	for (size_t i = 0; i < c->mount_map.n; i++) {
		const char *text = c->mount_map.v[i], *eq = strchr(text, '=');

		if (!eq || text[0] != '/' || eq[1] != '/')
			return err_set(e, ERR_USAGE, 0, "--mount-map: \"%s\" is not DESTINATION=SOURCE with absolute paths", text);
	}
	return 0;
}

static int criu_options_of(struct cli *c, struct criu_options *o, struct err *e)
{
	*o = (struct criu_options){
		.parent = c->parent_path, .leave_running = c->leave_running, .pre_dump = c->pre_dump,
		.tcp_established = c->tcp_established, .tcp_skip_in_flight = c->tcp_skip_in_flight, .tcp_close = c->tcp_close,
		.link_remap = c->link_remap, .ext_unix_sk = c->ext_unix_sk, .shell_job = c->shell_job, .file_locks = c->file_locks,
		.lazy_pages = c->lazy_pages, .auto_dedup = c->auto_dedup, .compress = c->compress, .lsm_profile = c->lsm_profile,
		.lsm_mount_context = c->lsm_mount_context, .mount_map = c->mount_map, .signals = -1,
	};
	if (parse_words(c, o, e) < 0 || parse_page_server(c, o, e) < 0 || parse_status_fd(c, o, e) < 0 || check_map(c, e) < 0)
		return err_ret(e);
	if (cli_absolute(c, c->image_path ? c->image_path : "checkpoint", &o->images, e) < 0)
		return err_ret(e);
	return cli_absolute(c, c->work_path, &o->work, e);
}

/* What cannot be asked for together. */
static int check_checkpoint(const struct criu_options *o, struct err *e)
{
	if (o->pre_dump && o->lazy_pages)
		return err_set(e, ERR_USAGE, 0, "--pre-dump and --lazy-pages cannot be used together");
	if (o->lazy_pages && !o->page_server)
		return err_set(e, ERR_USAGE, 0, "--lazy-pages needs --page-server: it is from there that the memory is fetched");
	if (o->compress && (o->pre_dump || o->page_server))
		return err_set(e, ERR_USAGE, 0, "--compress and --%s cannot be used together: %s", o->pre_dump ? "pre-dump" : "page-server",
			       o->pre_dump ? "the checkpoint that follows reads these images" : "the memory is not written here");
	if (o->compress && !proc_in_path("zstd"))
		return err_set(e, ERR_USAGE, 0, "--compress: there is no zstd in PATH");
	return 0;
}

static int run_checkpoint(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	cleanup_foreground struct foreground fg = { .signals = -1 };
	struct criu_options o;
	int r;

	r = criu_options_of(c, &o, e);
	if (r == 0)
		r = check_checkpoint(&o, e);
	if (r == 0)
		r = store_check_id(c->args.v[0], e);
	if (r == 0)
		r = container_open(c->root, c->args.v[0], STORE_WAIT, &box, e);
	if (r == 0)
		r = foreground_begin(&fg, false, e);
	o.signals = fg.signals;
	if (r == 0)
		r = container_checkpoint(&box, &o, e);
	return r < 0 ? err_wrap(e, "checkpoint failed") : 0;
}

static int follow(struct cli *c, struct flow *f, struct foreground *fg, struct err *e)
{
	int status = 0, r;

	store_close(&f->dir); /* the lock is for the setup only */
	if (c->detach)
		return 0;
	r = foreground_wait(fg, f->pid, f->pidfd, f->tty_master, NULL, 0, &status, e);
	return r < 0 ? r : cli_end_run(c, f, status, false, e);
}

static int run_restore(struct cli *c, struct err *e)
{
	cleanup_foreground struct foreground fg = { .signals = -1 };
	cleanup_flow struct flow f;
	struct flow_options o = { .signals = -1 };
	struct criu_options criu;
	int r;

	flow_init(&f, &o, FLOW_RESTORE);
	r = criu_options_of(c, &criu, e);
	if (r == 0)
		r = cli_flow_options(c, &o, e);
	o.criu = &criu;
	o.notify_socket = NULL;
	if (r == 0)
		r = cli_enter_bundle(&o, c, e);
	if (r == 0)
		r = foreground_begin(&fg, !c->detach && !c->no_subreaper, e);
	o.signals = fg.signals;
	if (r == 0)
		r = flow_run(&f, e);
	return r < 0 ? err_wrap(e, "restore failed") : follow(c, &f, &fg, e);
}

const struct command cmd_checkpoint = {
	"checkpoint", CMD_CHECKPOINT, "ID", "write a running container into images", 1, 1, false, run_checkpoint,
};
const struct command cmd_restore = {
	"restore", CMD_RESTORE, "ID", "make a container of images and let it go on", 1, 1, false, run_restore,
};
