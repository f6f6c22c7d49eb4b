// SPDX-License-Identifier: LGPL-2.1-or-later

/* set: the keys of extensions, on containers that live. */

#include <string.h>

#include "oci/emit.h"
#include "runtime/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/container.h"

/* ---- what there is ---- */

static void print_row(const struct ext_row *row, const char *value, const char *fields, struct emit *json, struct str *out)
{
	if (!json) {
		str_addf(out, *fields ? "%-16s %-24s %s\n" : "%-16s %s\n", row->name, value, fields);
		return;
	}
	emit_object(json, row->name);
	emit_string(json, "value", value);
	if (*fields)
		emit_string(json, "fields", fields);
	emit_object_end(json);
}

static int print_settings(struct container *c, struct emit *json, struct str *out, struct err *e)
{
	const struct ext *const *list = ext_registry();
	const struct oci_resources *resources;
	struct oci_map map;

	if (container_settings(c, &map, e) < 0 || container_resources(c, &resources, e) < 0)
		return err_ret(e);
	for (size_t i = 0; list[i]; i++)
		for (const struct ext_row *row = list[i]->rows; row->name; row++) {
			const char *value = ext_setting(&map, row->name);
			cleanup_str struct str fields = { 0 };

			if (!value)
				continue;
			if (ext_native_text(row, resources, &fields, &c->arena, e) < 0)
				return err_ret(e);
			print_row(row, value, str_cstr(&fields), json, out);
		}
	return 0;
}

static int print_one(const struct cli *c, struct container *box, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct emit json = { .out = &text, .indent = 2 };
	bool as_json = str_eq(c->format, "json");
	int r;

	if (as_json)
		emit_object(&json, NULL);
	else
		str_addf(&text, "%-16s %-24s %s\n", "NAME", "VALUE", "FIELDS OF linux.resources");
	r = print_settings(box, as_json ? &json : NULL, &text, e);
	if (as_json) {
		emit_object_end(&json);
		str_addc(&text, '\n');
	}
	return r < 0 ? r : cli_print(&text, e);
}

/* ---- what shall be ---- */

static int set_one(const struct cli *c, const char *id, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	int r = container_open(c->root, id, c->wishes.n ? STORE_WAIT : STORE_LOOK, &box, e);

	if (r < 0)
		return r;
	return c->wishes.n ? container_set(&box, &c->wishes, e) : print_one(c, &box, e);
}

/* One that comes, goes or has ended is not. */
static bool is_meant(const struct cli *c, const char *id)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	struct err e;

	if (container_open(c->root, id, STORE_LOOK, &box, &e) < 0)
		return e.kind != ERR_NOTFOUND && e.num != ENOENT;
	return box.status != OCI_STOPPED && box.status != OCI_CREATING;
}

/* Whatever fails does not keep the others from it. */
static int set_all(struct cli *c, struct err *e)
{
	struct oci_strs ids;
	struct err first = { 0 };

	if (store_list(c->root, &ids, &c->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < ids.n; i++) {
		struct err one;

		if (set_one(c, ids.v[i], &one) >= 0 || !is_meant(c, ids.v[i]))
			continue;
		err_wrap(&one, "%s", ids.v[i]);
		if (first.kind == ERR_NONE)
			first = one;
		else
			log_error(&one);
	}
	*e = first;
	return first.kind == ERR_NONE ? 0 : err_ret(e);
}

static int check_usage(const struct cli *c, struct err *e)
{
	if (c->format && strcmp(c->format, "table") != 0 && strcmp(c->format, "json") != 0)
		return err_set(e, ERR_USAGE, 0, "invalid format option: \"%s\" (table or json)", c->format);
	if (c->all && c->args.n)
		return err_set(e, ERR_USAGE, 0, "--all and the id %s exclude each other", c->args.v[0]);
	if (c->all && !c->wishes.n)
		return err_set(e, ERR_USAGE, 0, "--all: nothing is to be set (vzrun set ID prints the settings of one container)");
	if (!c->all && !c->args.n)
		return err_set(e, ERR_USAGE, 0, "\"set\" requires the id of a container, or --all: vzrun set [options] ID");
	return c->all ? 0 : store_check_id(c->args.v[0], e);
}

static int run_set(struct cli *c, struct err *e)
{
	if (check_usage(c, e) < 0)
		return err_ret(e);
	return c->all ? set_all(c, e) : set_one(c, c->args.v[0], e);
}

const struct command cmd_set = {
	"set", CMD_SET, "ID", "change or print settings in the words of OpenVZ", 0, 1, false, run_set,
};
