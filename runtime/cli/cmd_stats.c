// SPDX-License-Identifier: LGPL-2.1-or-later

/* stats: what containers use now, one line each, once or again and again. */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/stats_table.h"
#include "runtime/flow/container.h"

#define FIRST_MS 1000 /* rates need two looks; nobody waits for long intervals to see the first ones */
#define SCREEN_ID_MAX 20

struct view {
	const struct cli *c;
	enum stats_key key;
	bool json, screen;
	int interval; /* ms; 0: once */
	int signals;  /* or -1 */
};

/* All containers at one moment. */
struct round {
	struct arena arena;
	struct sample *v;
	size_t n;
	struct clock_text time;
};

static void round_done(struct round *r)
{
	arena_done(&r->arena);
}

#define cleanup_round __attribute__((cleanup(round_done)))

/* ---- one round ---- */

/* In a list of all, one that comes, goes or does not run is not meant, and a damaged one does not hide the others. */
static bool is_skipped(const struct err *e, bool named, bool first)
{

	if (e->kind == ERR_NOTFOUND || e->kind == ERR_STATE)
		return !named || !first;
	if (named)
		return false;
	if (first)
		log_warn_err(e);
	return true;
}

static int look_at(const struct cli *c, const char *id, struct round *r, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };

	if (container_open(c->root, id, STORE_LOOK, &box, e) < 0 || sample_take(&box, &r->v[r->n], &r->arena, e) < 0)
		return err_ret(e);
	r->n++;
	return 0;
}

static int list_ids(const struct cli *c, struct oci_strs *ret, struct arena *a, struct err *e)
{
	*ret = c->args;
	if (c->args.n || store_list(c->root, ret, a, e) == 0)
		return 0;
	*ret = (struct oci_strs){ 0 };
	/* Nobody has created a container yet; but a --root that is not there is a mistake. */
	return e->num == ENOENT && !c->explicit_root ? 0 : err_ret(e);
}

static int take_round(const struct view *v, bool first, struct round *r, struct err *e)
{
	struct oci_strs ids;

	if (list_ids(v->c, &ids, &r->arena, e) < 0)
		return err_ret(e);
	r->v = arena_alloc_n(&r->arena, ids.n + 1, sizeof *r->v);
	if (!r->v)
		return err_oom(e);
	r->time = clock_rfc3339(6);
	for (size_t i = 0; i < ids.n; i++)
		if (look_at(v->c, ids.v[i], r, e) < 0 && !is_skipped(e, v->c->args.n > 0, first))
			return err_ret(e);
	return 0;
}

static void compare_rounds(const struct round *was, struct round *now)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct sample *before = NULL;

		for (size_t j = 0; j < was->n && !before; j++)
			if (strcmp(was->v[j].id, now->v[i].id) == 0)
				before = &was->v[j];
		sample_compare(before, &now->v[i]);
	}
}

/* ---- showing ---- */

static void add_json(const struct round *r, struct str *text)
{
	struct emit out = { .out = text };

	emit_array(&out, NULL);
	for (size_t i = 0; i < r->n; i++) {
		const struct sample *s = &r->v[i];

		emit_object(&out, NULL);
		emit_string(&out, "id", s->id);
		emit_string(&out, "time", r->time.s);
		emit_string(&out, "status", oci_status_name(s->status));
		emit_i64(&out, "pid", s->pid);
		sample_emit(s, &out);
		sample_emit_rates(s, &out);
		emit_object_end(&out);
	}
	emit_array_end(&out);
	str_addc(text, '\n');
}

static void add_screen(const struct round *r, struct str *text)
{
	cleanup_str struct str table = { 0 };
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 2 || size.ws_col < 1)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	stats_table(r->v, r->n, SCREEN_ID_MAX, &table);
	stats_screen(str_cstr(&table), size.ws_row, size.ws_col, text);
	text->failed = text->failed || table.failed;
}

static int show(const struct view *v, const struct round *r, struct err *e)
{
	cleanup_str struct str text = { 0 };

	stats_sort(r->v, r->n, v->key);
	if (v->json)
		add_json(r, &text);
	else if (v->screen)
		add_screen(r, &text);
	else
		stats_table(r->v, r->n, 0, &text);
	return cli_print(&text, e);
}

/* ---- again and again ---- */

/* What the caller ignores stays ignored: a blocked signal would come through the descriptor all the same. */
static int watch_signals(int *ret, struct err *e)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction was;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigaction(ending[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	*ret = signalfd(-1, &set, SFD_CLOEXEC);
	if (*ret < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "signalfd");
	return 0;
}

/* Until that moment; 1: a signal says that it is enough. */
static int wait_until(const struct view *v, int64_t ms, struct err *e)
{
	struct pollfd end = { .fd = v->signals, .events = POLLIN };

	for (;;) {
		int64_t left = ms - clock_ms();
		int n = poll(&end, 1, left > 0 ? (int)left : 0);

		if (n < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (n >= 0)
			return n;
	}
}

/* One step: the moment, the containers, the text.  1: the end. */
static int step(const struct view *v, int64_t moment, struct round *was, struct err *e)
{
	cleanup_round struct round now = { 0 };
	struct round old = *was;
	int r = wait_until(v, moment, e);

	if (r != 0)
		return r;
	if (take_round(v, false, &now, e) < 0)
		return err_ret(e);
	compare_rounds(was, &now);
	if (show(v, &now, e) < 0)
		return err_ret(e);
	*was = now;
	now = old;
	return v->interval == 0 || (v->c->args.n && was->n == 0);
}

/* In step with the clock; but a machine that is late does not catch up, which would be rates of a blink. */
static int64_t next_moment(int64_t moment, int interval)
{
	int64_t now = clock_ms();

	return moment + interval >= now + interval / 2 ? moment + interval : now + interval;
}

static int watch(const struct view *v, struct err *e)
{
	cleanup_round struct round was = { 0 };
	int64_t moment = clock_ms() + (v->interval && v->interval < FIRST_MS ? v->interval : FIRST_MS);
	int r = take_round(v, true, &was, e);

	for (; r == 0; moment = next_moment(moment, v->interval))
		r = step(v, moment, &was, e);
	return r < 0 ? r : 0;
}

/* Seconds, or a duration as for events. */
static int parse_interval(const char *text, int *ret_ms, struct err *e)
{
	char buf[32];

	if (!text)
		return 0;
	if (*text && strspn(text, "0123456789.") == strlen(text) && strlen(text) + 1 < sizeof buf) {
		snprintf(buf, sizeof buf, "%ss", text);
		if (cli_duration(buf, ret_ms, e) == 0)
			return 0;
	} else if (cli_duration(text, ret_ms, e) == 0) {
		return 0;
	}
	return err_set(e, ERR_USAGE, 0, "--interval: \"%s\" is no time like 5, 0.5, 500ms or 1m30s", text);
}

static int check_usage(const struct cli *c, struct err *e)
{
	if (c->format && strcmp(c->format, "table") != 0 && strcmp(c->format, "json") != 0)
		return err_set(e, ERR_USAGE, 0, "invalid format option: \"%s\" (table or json)", c->format);
	if (c->all && c->args.n)
		return err_set(e, ERR_USAGE, 0, "--all and the id %s exclude each other", c->args.v[0]);
	for (size_t i = 0; i < c->args.n; i++)
		if (store_check_id(c->args.v[i], e) < 0)
			return err_ret(e);
	return 0;
}

static int run_stats(struct cli *c, struct err *e)
{
	struct view v = { .c = c, .json = str_eq(c->format, "json"), .signals = -1 };
	cleanup_fd int signals = -1;

	if (check_usage(c, e) < 0 || stats_sort_key(c->sort, &v.key, e) < 0 || parse_interval(c->interval, &v.interval, e) < 0)
		return err_ret(e);
	v.screen = v.interval && !v.json && isatty(STDOUT_FILENO);
	if (v.interval && watch_signals(&signals, e) < 0)
		return err_ret(e);
	v.signals = signals;
	return watch(&v, e);
}

const struct command cmd_stats = {
	"stats", CMD_STATS, "[ID...]", "show what containers use: CPU, memory, I/O, network", 0, SIZE_MAX, false, run_stats,
};
