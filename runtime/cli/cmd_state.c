// SPDX-License-Identifier: LGPL-2.1-or-later

/* state, list, ps: what there is. */

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/container.h"

#define PS_OUTPUT_MAX ((size_t)64 << 20)

static int64_t shown_pid(const struct container *c)
{
	return c->status == OCI_STOPPED ? 0 : c->state.pid;
}

/* The record has a number: create does not take the time to ask for the name. */
static void name_owner(struct container *c)
{
	struct passwd *p;
	uint32_t uid;

	if (!c->state.owner || num_u32(c->state.owner, &uid) < 0)
		return;
	p = getpwuid(uid);
	if (p)
		c->state.owner = p->pw_name; /* until the next one is asked for */
}

/* The document's annotations as they are now, in place. */
static void refresh(struct oci_map *annotations, const struct oci_map *settings)
{
	size_t n = 0;

	for (size_t i = 0; i < annotations->n; i++) {
		struct oci_pair *pair = &annotations->v[i];

		if (str_starts(pair->key, EXT_PREFIX))
			pair->value = ext_setting(settings, pair->key + strlen(EXT_PREFIX));
		if (pair->value)
			annotations->v[n++] = *pair;
	}
	annotations->n = n;
}

/* Limits in both vocabularies.  A document that cannot be read any more does not keep the rest from being shown. */
static void show_settings(struct container *c)
{
	const struct oci_resources *limits;
	struct oci_state *s = &c->state;
	struct oci_map map;
	struct err e;

	if (container_settings(c, &map, &e) < 0 || container_resources(c, &limits, &e) < 0) {
		log_warn_err(&e);
		return;
	}
	refresh(&s->annotations, &map);
	s->settings = (struct oci_map){ map.v, 0 };
	for (size_t i = 0; i < map.n; i++)
		if (str_starts(map.v[i].key, EXT_PREFIX))
			s->settings.v[s->settings.n++] = (struct oci_pair){ map.v[i].key + strlen(EXT_PREFIX), map.v[i].value };
	s->resources = limits ? arena_new(&c->arena, struct oci_resources) : NULL;
	if (s->resources)
		*s->resources = *limits;
}

static int run_state(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	cleanup_str struct str text = { 0 };
	int r;

	r = store_check_id(c->args.v[0], e);
	if (r == 0)
		r = container_open(c->root, c->args.v[0], STORE_LOOK, &box, e);
	if (r < 0)
		return r;
	name_owner(&box);
	show_settings(&box);
	oci_state_print(&box.state, box.status, shown_pid(&box), 2, &text);
	return cli_print(&text, e);
}

/* ---- list ---- */

enum list_form { LIST_TABLE, LIST_JSON, LIST_QUIET };

static int list_form(const struct cli *c, enum list_form *ret, struct err *e)
{
	if (c->quiet)
		*ret = LIST_QUIET;
	else if (!c->format || strcmp(c->format, "table") == 0)
		*ret = LIST_TABLE;
	else if (strcmp(c->format, "json") == 0)
		*ret = LIST_JSON;
	else
		return err_set(e, ERR_USAGE, 0, "invalid format option: \"%s\" (table or json)", c->format);
	return 0;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void list_row(const struct container *b, enum list_form form, bool first, struct str *out)
{
	switch (form) {
	case LIST_QUIET:
		str_addf(out, "%s\n", b->id);
		break;
	case LIST_TABLE:
		str_addf(out, "%-24s %-10lld %-10s %-40s %-32s %s\n", b->id, (long long)shown_pid(b),
			 oci_status_name(b->status), or_empty(b->state.bundle), or_empty(b->state.created),
			 or_empty(b->state.owner));
		break;
	case LIST_JSON:
		if (!first)
			str_addc(out, ',');
		oci_state_print(&b->state, b->status, shown_pid(b), 0, out);
		break;
	}
}

static void list_all(const struct cli *c, const struct oci_strs *ids, enum list_form form, struct str *out)
{
	bool first = true;

	if (form == LIST_TABLE)
		str_addf(out, "%-24s %-10s %-10s %-40s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
	if (form == LIST_JSON)
		str_add(out, ids->n ? "[" : "null");
	for (size_t i = 0; i < ids->n; i++) {
		cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
		struct err skipped;

		/* One that comes or goes meanwhile is none; a damaged one must not hide the others. */
		if (container_open(c->root, ids->v[i], STORE_LOOK, &box, &skipped) < 0) {
			if (skipped.kind != ERR_NOTFOUND && skipped.num != ENOENT)
				log_warn_err(&skipped);
			continue;
		}
		name_owner(&box);
		if (form == LIST_JSON)
			show_settings(&box);
		list_row(&box, form, first, out);
		first = false;
	}
	if (form == LIST_JSON && ids->n)
		str_addc(out, ']');
	if (form == LIST_JSON)
		str_addc(out, '\n');
}

static int run_list(struct cli *c, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct oci_strs ids = { 0 };
	enum list_form form = LIST_TABLE;
	int r;

	r = list_form(c, &form, e);
	if (r == 0)
		r = store_list(c->root, &ids, &c->arena, e);
	/* Nobody has created a container yet; but a --root that is not there is a mistake. */
	if (r < 0 && e->num == ENOENT && !c->explicit_root)
		r = 0;
	if (r < 0)
		return r;
	list_all(c, &ids, form, &text);
	return cli_print(&text, e);
}

/* ---- ps ---- */

static int ps_json(const pid_t *pids, size_t n, struct err *e)
{
	cleanup_str struct str text = { 0 };

	str_addc(&text, '[');
	for (size_t i = 0; i < n; i++)
		str_addf(&text, "%s%d", i ? "," : "", (int)pids[i]);
	str_add(&text, "]\n");
	return cli_print(&text, e);
}

static int run_ps_program(struct cli *c, struct str *ret, struct err *e)
{
	static const char *const usual[] = { "ps", "-ef", NULL };
	const char **argv = arena_alloc_n(&c->arena, c->args.n + 2, sizeof *argv);
	extern char **environ;
	char how[64];
	int status;

	if (!argv)
		return err_oom(e);
	argv[0] = "ps";
	for (size_t i = 1; i < c->args.n; i++)
		argv[i] = c->args.v[i];
	status = proc_run(&(struct proc_run){
				  .path = access("/bin/ps", X_OK) == 0 ? "/bin/ps" : "/usr/bin/ps",
				  .argv = c->args.n > 1 ? argv : usual,
				  .envp = (const char *const *)environ,
				  .keep = PS_OUTPUT_MAX, .cwd_fd = -1,
			  },
			  ret, e);
	if (status < 0)
		return err_wrap(e, "ps");
	if (status > 0)
		return err_set(e, ERR_STATE, 0, "ps: %s: %s", proc_status_text(status, how, sizeof how), str_cstr(ret));
	return 0;
}

/* Which blank-separated column of the header is PID; below zero: none. */
static int pid_column(const char *header)
{
	int column = 0;

	for (const char *p = header; *p && *p != '\n'; column++) {
		size_t n;

		p += strspn(p, " ");
		n = strcspn(p, " \n");
		if (n == 3 && strncmp(p, "PID", 3) == 0)
			return column;
		p += n;
	}
	return -1;
}

static bool line_matches(const char *line, int column, const pid_t *pids, size_t n)
{
	const char *p = line + strspn(line, " ");
	long pid;

	while (column-- > 0) {
		p += strcspn(p, " \n");
		p += strspn(p, " ");
	}
	pid = strtol(p, NULL, 10);
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static int ps_table(struct cli *c, const pid_t *pids, size_t n, struct err *e)
{
	cleanup_str struct str all = { 0 }, text = { 0 };
	int column, r;
	char *line;

	r = run_ps_program(c, &all, e);
	if (r < 0)
		return r;
	column = pid_column(str_cstr(&all));
	if (column < 0)
		return err_set(e, ERR_USAGE, 0, "ps: couldn't find PID field in its output: leave that column in");
	line = (char *)str_cstr(&all);
	for (bool header = true; *line; header = false) {
		size_t len = strcspn(line, "\n");

		if (header || line_matches(line, column, pids, n)) {
			str_addn(&text, line, len);
			str_addc(&text, '\n');
		}
		line += len + (line[len] == '\n');
	}
	return cli_print(&text, e);
}

static int run_ps(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	bool json = str_eq(c->format, "json");
	pid_t *pids = NULL;
	size_t n = 0;
	int r;

	if (c->format && !json && strcmp(c->format, "table") != 0)
		return err_set(e, ERR_USAGE, 0, "invalid format option: \"%s\" (table or json)", c->format);
	r = store_check_id(c->args.v[0], e);
	if (r == 0)
		r = container_open(c->root, c->args.v[0], STORE_LOOK, &box, e);
	if (r == 0)
		r = container_pids(&box, &pids, &n, &c->arena, e);
	if (r < 0)
		return r;
	return json ? ps_json(pids, n, e) : ps_table(c, pids, n, e);
}

const struct command cmd_state = {
	"state", CMD_STATE, "ID", "print the state of a container", 1, 1, false, run_state,
};
const struct command cmd_list = {
	"list", CMD_LIST, "", "list the containers", 0, 0, false, run_list,
};
const struct command cmd_ps = {
	"ps", CMD_PS, "ID [PS OPTION...]", "show the processes of a container", 1, SIZE_MAX, true, run_ps,
};
