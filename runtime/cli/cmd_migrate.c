// SPDX-License-Identifier: LGPL-2.1-or-later

/* migrate, and what runs on its behalf at the other end and inside rsync. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/foreground.h"
#include "runtime/migrate/files.h"
#include "runtime/migrate/migrate.h"

#define ROUNDS 8           /* p.haul's */
#define SSH "ssh -o BatchMode=yes" /* its process group is in the background: a question would stop it */
#define SHELL_SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@=%" /* no shell reads anything into these */
#define EXIT_UNDECIDED 3
#define EXIT_LOST 4        /* it ran there, and is here as it was before */

/* "ssh -p 22": words, by blanks. */
static int split_command(struct cli *c, const char *text, struct oci_strs *ret, struct err *e)
{
	char *copy = arena_strdup(&c->arena, text), *rest = copy;
	const char **v = arena_alloc_n(&c->arena, strlen(text) / 2 + 2, sizeof *v);

	if (!copy || !v)
		return err_oom(e);
	*ret = (struct oci_strs){ v, 0 };
	for (char *word = strsep(&rest, " \t"); word; word = strsep(&rest, " \t"))
		if (*word)
			v[ret->n++] = word;
	return ret->n ? 0 : err_set(e, ERR_USAGE, 0, "--ssh: no command");
}

static int parse_numbers(const struct cli *c, struct migrate_options *o, struct err *e)
{
	uint32_t rounds = ROUNDS;
	int64_t rate = 0;
	int ms = 0;

	if (c->max_rounds && (num_u32(c->max_rounds, &rounds) < 0 || rounds > 1000))
		return err_set(e, ERR_USAGE, 0, "--max-rounds: \"%s\" is not a number up to 1000", c->max_rounds);
	if (c->max_downtime && cli_duration(c->max_downtime, &ms, e) < 0)
		return err_wrap(e, "--max-downtime");
	if (c->bandwidth && (num_size(c->bandwidth, &rate) < 0 || rate <= 0))
		return err_set(e, ERR_USAGE, 0, "--bandwidth: \"%s\" is no number of bytes", c->bandwidth);
	o->max_rounds = rounds;
	o->max_downtime_ms = ms;
	o->bandwidth = (uint64_t)rate;
	return 0;
}

static int check_paths(struct cli *c, struct migrate_options *o, struct err *e)
{
	char clean[PATH_MAX];

	if (o->remote_root && o->remote_root[0] != '/')
		return err_set(e, ERR_USAGE, 0, "--remote-root: %s is not absolute", o->remote_root);
	if (o->remote_root && o->remote_root[strspn(o->remote_root, SHELL_SAFE)])
		return err_set(e, ERR_USAGE, 0, "--remote-root: %s: it goes through a shell there, and may have letters, digits and "
			       "/ . _ - + : , @ = %% alone", o->remote_root);
	if (o->remote_bundle && o->remote_bundle[0] != '/')
		return err_set(e, ERR_USAGE, 0, "--remote-bundle: %s is not absolute", o->remote_bundle);
	if (o->remote_bundle && path_clean(o->remote_bundle, clean, sizeof clean) < 0)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "--remote-bundle: too long");
	if (o->remote_bundle)
		o->remote_bundle = arena_strdup(&c->arena, clean);
	if (c->remote_bundle && !o->remote_bundle)
		return err_oom(e);
	return o->new_id ? store_check_id(o->new_id, e) : 0;
}

/* What it was asked to do was said when it began, and the record has it. */
static int check_resolve(const struct cli *c, struct err *e)
{
	const struct {
		const char *option;
		bool given;
	} others[] = {
		{ "pre-copy", c->pre_copy }, { "post-copy", c->post_copy }, { "both", c->both_copies }, { "max-rounds", c->max_rounds },
		{ "max-downtime", c->max_downtime }, { "bandwidth", c->bandwidth }, { "compress", c->compress }, { "rootfs", c->rootfs },
		{ "remote-root", c->remote_root }, { "remote-bundle", c->remote_bundle }, { "new-id", c->new_id }, { "keep", c->keep_bundle },
		{ "dry-run", c->dry_run }, { "ext-unix-sk", c->ext_unix_sk }, { "format", c->format },
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i].given)
			return err_set(e, ERR_USAGE, 0, "--%s: --resolve ends a migration as it was begun, and takes --ssh alone", others[i].option);
	return 0;
}

static int options_of(struct cli *c, struct migrate_options *o, struct err *e)
{
	*o = (struct migrate_options){
		.root = c->root, .id = c->args.v[0], .host = c->args.n > 1 ? c->args.v[1] : NULL, .remote_root = c->remote_root,
		.remote_bundle = c->remote_bundle, .new_id = c->new_id, .pre_copy = !c->post_copy,
		.post_copy = c->post_copy || c->both_copies, .compress = c->compress, .keep = c->keep_bundle, .ext_unix_sk = c->ext_unix_sk,
		.dry_run = c->dry_run, .signals = -1,
	};
	if (c->resolve && check_resolve(c, e) < 0)
		return err_ret(e);
	if (c->pre_copy + c->post_copy + c->both_copies > 1)
		return err_set(e, ERR_USAGE, 0, "--pre-copy, --post-copy and --both cannot be used together");
	if (c->post_copy && (c->max_rounds || c->max_downtime))
		return err_set(e, ERR_USAGE, 0, "%s is about rounds, of which --post-copy has none: --both has",
			       c->max_rounds ? "--max-rounds" : "--max-downtime");
	if (c->post_copy && c->compress)
		return err_set(e, ERR_USAGE, 0, "--compress: memory that is fetched comes as it is; --both compresses that of its rounds");
	if (c->rootfs && strcmp(c->rootfs, "copy") != 0 && strcmp(c->rootfs, "shared") != 0)
		return err_set(e, ERR_USAGE, 0, "--rootfs: \"%s\" is none of copy, shared", c->rootfs);
	o->rootfs = str_eq(c->rootfs, "shared") ? MIGRATION_SHARED : MIGRATION_COPY;
	if (c->format && strcmp(c->format, "table") != 0 && strcmp(c->format, "json") != 0)
		return err_set(e, ERR_USAGE, 0, "--format: \"%s\" is neither table nor json", c->format);
	if (o->host && *o->host == '-')
		return err_set(e, ERR_USAGE, 0, "\"%s\" is no host", o->host);
	if (c->ssh || !c->resolve) {
		if (split_command(c, c->ssh ? c->ssh : SSH, &o->command, e) < 0)
			return err_ret(e);
	}
	return parse_numbers(c, o, e) < 0 ? err_ret(e) : check_paths(c, o, e);
}

/* ---- progress ---- */

static void show_line(void *arg, const struct migrate_progress *p)
{
	(void)arg;
	printf("%s", p->phase);
	if (p->round)
		printf("  round %u", p->round);
	if (p->bytes)
		printf("  %.1f MiB", (double)p->bytes / (1 << 20));
	if (p->rate)
		printf("  %.1f MiB/s", (double)p->rate / (1 << 20));
	if (p->dirty)
		printf("  changes %.1f MiB/s", (double)p->dirty / (1 << 20));
	if (p->downtime_ms)
		printf("  downtime %s%lld ms", strcmp(p->phase, "memory") == 0 ? "about " : "", (long long)p->downtime_ms);
	printf("\n");
	fflush(stdout);
}

static void show_json(void *arg, const struct migrate_progress *p)
{
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	(void)arg;
	emit_object(&out, NULL);
	emit_string(&out, "phase", p->phase);
	emit_u64(&out, "round", p->round);
	emit_u64(&out, "bytes", p->bytes);
	emit_u64(&out, "bytesPerSecond", p->rate);
	emit_u64(&out, "dirtyBytesPerSecond", p->dirty);
	emit_i64(&out, "downtimeMs", p->downtime_ms);
	emit_object_end(&out);
	if (!str_failed(&text))
		puts(text.s);
	fflush(stdout);
}

static int failed(int r, struct err *e)
{
	int num = e->num;

	err_wrap(e, "migrate failed");
	if (num != EINPROGRESS && num != ENOTRECOVERABLE)
		return r;
	log_error(e);
	return num == EINPROGRESS ? EXIT_UNDECIDED : EXIT_LOST;
}

static int run_resolve(const struct migrate_options *o, struct err *e)
{
	int r = migrate_resolve(o, e);

	if (r < 0)
		return failed(r, e);
	printf(r ? "%s runs there; what was left of it here is deleted\n" : "%s does not run there, and goes on here\n", o->id);
	return 0;
}

static int run_migrate(struct cli *c, struct err *e)
{
	cleanup_foreground struct foreground fg = { .signals = -1 };
	struct migrate_options o;
	int r;

	r = options_of(c, &o, e);
	if (r == 0 && !c->resolve && !o.host)
		r = err_set(e, ERR_USAGE, 0, "\"migrate\" requires a host");
	if (r == 0)
		r = foreground_begin(&fg, false, e);
	if (r < 0)
		return r;
	o.signals = fg.signals;
	o.progress = str_eq(c->format, "json") ? show_json : show_line;
	if (c->resolve)
		return run_resolve(&o, e);
	r = migrate(&o, e);
	return r < 0 ? failed(r, e) : r;
}

static int run_receive(struct cli *c, struct err *e)
{
	int r = migrate_receive(c->root, e);

	return r < 0 ? err_wrap(e, "migrate-receive failed") : 0;
}

static int run_rsh(struct cli *c, struct err *e)
{
	return rsync_rsh(&c->args, e);
}

const struct command cmd_migrate = {
	"migrate", CMD_MIGRATE, "ID [USER@]HOST", "move a running container to another host", 1, 2, false, run_migrate,
};
const struct command cmd_migrate_receive = {
	"migrate-receive", CMD_MIGRATE_RECEIVE, "", "the other side of migrate, on standard input and output", 0, 0, false, run_receive,
};
const struct command cmd_migrate_rsh = {
	"migrate-rsh", CMD_MIGRATE_RSH, "HOST COMMAND...", "called by rsync", 1, SIZE_MAX, true, run_rsh,
};
