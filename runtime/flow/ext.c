// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/ext.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "oci/emit.h"
#include "oci/json.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"

static const struct ext *const none[] = { NULL };
static const struct ext *const *registry = none;

void ext_register(const struct ext *const *list)
{
	registry = list;
}

const struct ext *const *ext_registry(void)
{
	return registry;
}

/* ---- words ---- */

struct words {
	char text[640];
};

static struct words at_place(const struct ext_env *env, const char *key, const char *fmt, va_list ap)
{
	struct words w;
	int n = snprintf(w.text, sizeof w.text, env->option ? "--%s: " : "/annotations/" EXT_PREFIX "%s: ", key);

	vsnprintf(w.text + n, sizeof w.text - (size_t)n, fmt, ap); /* a key is short: the table has it */
	return w;
}

int ext_refuse(const struct ext_env *env, struct err *e, const char *key, const char *fmt, ...)
{
	struct words w;
	va_list ap;

	va_start(ap, fmt);
	w = at_place(env, key, fmt, ap);
	va_end(ap);
	return err_set(e, env->option ? ERR_USAGE : ERR_CONFIG, 0, "%s", w.text);
}

void ext_warn(const struct ext_env *env, const char *key, const char *fmt, ...)
{
	struct words w;
	va_list ap;

	va_start(ap, fmt);
	w = at_place(env, key, fmt, ap);
	va_end(ap);
	log_warn("%s", w.text);
}

bool ext_wished(const struct ext_env *env, const char *key)
{
	for (size_t i = 0; env->wishes && i < env->wishes->n; i++)
		if (strcmp(env->wishes->v[i].row->name, key) == 0)
			return true;
	return false;
}

bool ext_is_new(const struct ext_env *env, const char *key)
{
	return !env->option || ext_wished(env, key);
}

/* ---- rows ---- */

static void *member(const struct ext_row *row, void *config)
{
	return (char *)config + row->offset;
}

const char *ext_setting(const struct oci_map *map, const char *name)
{
	const char *text = NULL;

	for (size_t i = 0; i < map->n; i++)
		if (str_starts(map->v[i].key, EXT_PREFIX) && strcmp(map->v[i].key + sizeof EXT_PREFIX - 1, name) == 0)
			text = map->v[i].value;
	return text;
}

static const struct ext_row *find_row(const char *name, size_t len, const struct ext **ret)
{
	for (size_t i = 0; registry[i]; i++)
		for (const struct ext_row *row = registry[i]->rows; row->name; row++)
			if (strlen(row->name) == len && strncmp(row->name, name, len) == 0) {
				*ret = registry[i];
				return row;
			}
	return NULL;
}

static size_t index_of(const struct ext_row *row, const struct oci_strs *list, const char *word)
{
	const char *colon = row->flags & EXT_NAMED ? strrchr(word, ':') : NULL;
	size_t i = 0, len = colon ? (size_t)(colon - word) + 1 : strlen(word) + 1;

	while (i < list->n && strncmp(list->v[i], word, len) != 0)
		i++;
	return i;
}

/* Into a list that has room: twice the same is once, also where it was written in two ways. */
static void put_word(const struct ext_row *row, struct oci_strs *list, const char *word)
{
	size_t at = index_of(row, list, word);

	list->v[at] = word;
	list->n += at == list->n;
}

#define LIST_BETWEEN " \t\n,"

static int parse_list(const struct ext_row *row, const char *text, struct oci_strs *list, struct arena *a, struct err *e)
{
	char *rest = arena_strdup(a, text);

	list->v = arena_alloc_n(a, strlen(text) / 2 + 2, sizeof *list->v);
	list->n = 0;
	if (!rest || !list->v)
		return err_oom(e);
	for (char *word = strsep(&rest, LIST_BETWEEN); word; word = strsep(&rest, LIST_BETWEEN)) {
		const char *parsed;

		if (!*word)
			continue;
		if (row->value->parse(word, &parsed, a, e) < 0)
			return err_ret(e);
		put_word(row, list, parsed);
	}
	return 0;
}

static int parse_row(const struct ext_row *row, const char *text, void *config, struct arena *a, struct err *e)
{
	int r = row->kind == EXT_LIST ? parse_list(row, text, member(row, config), a, e) :
					row->value->parse(text, member(row, config), a, e);

	return r < 0 ? err_wrap(e, "\"%.64s\"", text) : 0;
}

void ext_print(const struct ext_row *row, void *config, struct str *out)
{
	const struct oci_strs *list = member(row, config);

	if (row->kind != EXT_LIST) {
		row->value->print(member(row, config), out);
		return;
	}
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			str_addc(out, ' ');
		row->value->print(&list->v[i], out);
	}
}

/* ---- reading ---- */

bool ext_any(const struct oci_map *annotations)
{
	for (size_t i = 0; i < annotations->n; i++)
		if (str_starts(annotations->v[i].key, EXT_PREFIX))
			return true;
	return false;
}

/* Edit distance with rows of at most 64 characters; longer words are far from everything. */
static size_t distance(const char *x, const char *y)
{
	size_t line[65], n = strlen(y);

	if (n > 64)
		return n;
	for (size_t j = 0; j <= n; j++)
		line[j] = j;
	for (size_t i = 0; x[i]; i++) {
		size_t corner = line[0];

		line[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = corner + (x[i] != y[j]);

			corner = line[j + 1];
			best = best < corner + 1 ? best : corner + 1;
			line[j + 1] = best < line[j] + 1 ? best : line[j] + 1;
		}
	}
	return line[n];
}

static void warn_unknown(const char *key)
{
	const char *name = key + sizeof EXT_PREFIX - 1, *nearest = NULL;
	size_t best = strlen(name) / 2 + 1;

	for (size_t i = 0; registry[i]; i++)
		for (const struct ext_row *row = registry[i]->rows; row->name; row++) {
			size_t d = distance(name, row->name);

			if (d < best) {
				best = d;
				nearest = row->name;
			}
		}
	if (nearest)
		log_warn("/annotations/%s: unknown key is ignored (did you mean " EXT_PREFIX "%s?)", key, nearest);
	else
		log_warn("/annotations/%s: unknown key is ignored", key);
}

static void warn_of(const struct oci_map *annotations)
{
	for (size_t i = 0; i < annotations->n; i++) {
		const char *key = annotations->v[i].key;
		const struct ext_row *row;
		const struct ext *ext;

		if (!str_starts(key, EXT_PREFIX))
			continue;
		row = find_row(key + sizeof EXT_PREFIX - 1, strlen(key) - (sizeof EXT_PREFIX - 1), &ext);
		if (!row)
			warn_unknown(key);
		else if (row->flags & EXT_INERT)
			log_warn("/annotations/%s: is kept, but not enforced", key);
	}
}

static const char *find_saved(const struct oci_state_exts *saved, const char *name)
{
	for (size_t i = 0; i < saved->n; i++)
		if (strcmp(saved->v[i].name, name) == 0)
			return saved->v[i].json;
	return NULL;
}

static int read_saved(const struct ext *ext, const char *json, struct ext_use *use, struct arena *a, struct err *e)
{
	struct json_node *tree;

	if (!ext->saved)
		return 0;
	use->saved = arena_alloc(a, ext->saved->size);
	if (!use->saved)
		return err_oom(e);
	if (!json)
		return 0;
	if (json_parse(json, strlen(json), &tree, a, e) < 0 || decode(ext->saved, tree, use->saved, a, e) < 0)
		return err_wrap(e, "state: extensions: %s", ext->name);
	return 0;
}

int ext_before(const struct ext_env *env, const struct ext *ext, void **ret, struct err *e)
{
	const char *json = env->before ? find_saved(env->before, ext->name) : NULL;
	struct ext_use use = { 0 };

	if (json && read_saved(ext, json, &use, env->arena, e) < 0)
		return err_ret(e);
	*ret = use.saved;
	return 0;
}

/* Returns 1 when the container has something of this extension. */
static int read_one(const struct ext *ext, const struct oci_map *annotations, const struct oci_state_exts *saved,
		    struct ext_use *ret, struct arena *a, struct err *e)
{
	struct ext_use use = { ext, arena_alloc(a, ext->config_size), NULL };
	const char *json = find_saved(saved, ext->name);
	int any = json != NULL;

	if (!use.config)
		return err_oom(e);
	for (const struct ext_row *row = ext->rows; row->name; row++) {
		const char *text = ext_setting(annotations, row->name);

		if (!text)
			continue;
		any = 1;
		if (parse_row(row, text, use.config, a, e) < 0)
			return err_wrap(e, "/annotations/" EXT_PREFIX "%s", row->name);
	}
	if (any && read_saved(ext, json, &use, a, e) < 0)
		return err_ret(e);
	*ret = use;
	return any;
}

int ext_read(const struct oci_map *annotations, const struct oci_state_exts *saved, bool warn, struct ext_uses *ret,
	     struct arena *a, struct err *e)
{
	size_t n = 0;

	*ret = (struct ext_uses){ 0 };
	if (!ext_any(annotations) && saved->n == 0)
		return 0;
	while (registry[n])
		n++;
	ret->v = arena_alloc_n(a, n + 1, sizeof *ret->v);
	if (!ret->v)
		return err_oom(e);
	for (size_t i = 0; i < n; i++) {
		int r = read_one(registry[i], annotations, saved, &ret->v[ret->n], a, e);

		if (r < 0)
			return r;
		ret->n += (size_t)r;
	}
	if (warn)
		warn_of(annotations);
	return 0;
}

/* containerd and CRI-O mark the documents of pods so. */
static bool is_pod(const struct oci_map *annotations)
{
	for (size_t i = 0; i < annotations->n; i++)
		if (str_starts(annotations->v[i].key, "io.kubernetes.cri"))
			return true;
	return false;
}

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, line, len) == 0 && (p[len] == '\n' || p[len] == '\0'))
			return true;
	return false;
}

int ext_check_pod(const struct oci_map *annotations, const char *allowed, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;

	if (!is_pod(annotations))
		return 0;
	fs_read(AT_FDCWD, allowed, 65536, &text, &ignored);
	for (size_t i = 0; i < annotations->n; i++) {
		const char *key = annotations->v[i].key, *name = key + sizeof EXT_PREFIX - 1;
		const struct ext *ext;
		const struct ext_row *row = str_starts(key, EXT_PREFIX) ? find_row(name, strlen(name), &ext) : NULL;

		if (row && row->flags & EXT_GRANT && !has_line(str_cstr(&text), row->name))
			return err_set(e, ERR_CONFIG, EPERM, "/annotations/%s: gives rights, and whoever makes pods chooses their "
				       "annotations (a line \"%s\" in %s permits it)", key, row->name, allowed);
	}
	return 0;
}

/* ---- points ---- */

bool ext_acts(const struct ext_uses *uses, enum ext_point point)
{
	for (size_t i = 0; i < uses->n; i++)
		if (uses->v[i].ext->apply[point])
			return true;
	return false;
}

static void undo_before(const struct ext_uses *uses, size_t end, enum ext_point point, struct ext_env *env)
{
	while (end-- > 0)
		if (uses->v[end].ext->undo[point])
			uses->v[end].ext->undo[point](env, uses->v[end].config, uses->v[end].saved);
}

int ext_run(const struct ext_uses *uses, enum ext_point point, struct ext_env *env, struct err *e)
{
	for (size_t i = 0; i < uses->n; i++) {
		const struct ext_use *u = &uses->v[i];

		if (!u->ext->apply[point] || u->ext->apply[point](env, u->config, u->saved, e) >= 0)
			continue;
		undo_before(uses, i, point, env);
		return err_wrap(e, "%s", u->ext->name);
	}
	return 0;
}

void ext_undo(const struct ext_uses *uses, enum ext_point point, struct ext_env *env)
{
	undo_before(uses, uses->n, point, env);
}

int ext_saved(const struct ext_uses *uses, struct oci_state_exts *ret, struct arena *a, struct err *e)
{
	struct oci_state_exts list = { arena_alloc_n(a, uses->n + 1, sizeof *list.v), 0 };

	if (!list.v)
		return err_oom(e);
	for (size_t i = 0; i < uses->n; i++) {
		cleanup_str struct str text = { 0 };
		struct emit out = { .out = &text };
		const struct ext *ext = uses->v[i].ext;

		if (!ext->saved)
			continue;
		decode_emit(ext->saved, uses->v[i].saved, &out);
		list.v[list.n] = (struct oci_state_ext){ ext->name, str_failed(&text) ? NULL : arena_strdup(a, text.s) };
		if (!list.v[list.n++].json)
			return err_oom(e);
	}
	*ret = list;
	return 0;
}

bool ext_again(const struct ext_uses *uses, const struct ext_env *env, const char *reboot)
{
	for (size_t i = 0; i < uses->n; i++)
		if (uses->v[i].ext->again && uses->v[i].ext->again(env, uses->v[i].config, reboot))
			return true;
	return false;
}

/* ---- wishes ---- */

bool ext_find_option(const char *name, size_t len, struct ext_wish *ret)
{
	static const struct {
		const char *suffix;
		enum ext_verb verb;
	} verbs[] = { { "", EXT_SET }, { "-add", EXT_ADD }, { "-del", EXT_DEL } };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		size_t tail = strlen(verbs[i].suffix);

		if (len < tail || strncmp(name + len - tail, verbs[i].suffix, tail) != 0)
			continue;
		ret->row = find_row(name, len - tail, &ret->ext);
		ret->verb = verbs[i].verb;
		if (ret->row && (ret->row->kind == EXT_LIST || ret->verb == EXT_SET))
			return true;
	}
	return false;
}

int ext_put_setting(struct oci_map *map, const char *name, const char *text, struct arena *a,
		    struct err *e)
{
	const char *key = arena_printf(a, EXT_PREFIX "%s", name), *value = arena_strdup(a, text);
	struct oci_pair *more;

	if (!key || !value)
		return err_oom(e);
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->v[i].key, key) == 0) {
			map->v[i].value = value;
			return 0;
		}
	more = arena_alloc_n(a, map->n + 1, sizeof *more);
	if (!more)
		return err_oom(e);
	if (map->n)
		memcpy(more, map->v, map->n * sizeof *more);
	more[map->n] = (struct oci_pair){ key, value };
	*map = (struct oci_map){ more, map->n + 1 };
	return 0;
}

/* Words of `change` into `list`, which has room, or out of it. */
static int change_list(const struct ext_row *row, struct oci_strs *list, const struct oci_strs *change, enum ext_verb verb, struct err *e)
{
	for (size_t i = 0; i < change->n; i++) {
		const char *word = change->v[i];
		size_t at = index_of(row, list, word);
		bool there = at < list->n && strcmp(list->v[at], word) == 0;

		if (verb == EXT_ADD && there)
			return err_set(e, ERR_USAGE, 0, "%s is there already", word);
		if (verb == EXT_DEL && !there)
			return err_set(e, ERR_USAGE, 0, "%s is not there", word);
		if (verb == EXT_ADD) {
			put_word(row, list, word);
			continue;
		}
		for (list->n--; at < list->n; at++)
			list->v[at] = list->v[at + 1];
	}
	return 0;
}

/* The list as it is, with the wish in it. */
static int wish_list(const struct ext_wish *w, const char *present, struct oci_strs *list, struct arena *a, struct err *e)
{
	struct oci_strs was = { 0 }, change;
	const char **room;

	if (parse_list(w->row, w->text, &change, a, e) < 0 || (present && parse_list(w->row, present, &was, a, e) < 0))
		return err_ret(e);
	room = arena_alloc_n(a, was.n + change.n + 1, sizeof *room);
	if (!room)
		return err_oom(e);
	for (size_t i = 0; i < was.n; i++)
		room[i] = was.v[i];
	*list = (struct oci_strs){ room, was.n };
	return change_list(w->row, list, &change, w->verb, e);
}

static int wish_one(const struct ext_wish *w, struct oci_map *map, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	void *config = arena_alloc(a, w->ext->config_size);
	int r;

	if (!config)
		return err_oom(e);
	if (w->verb == EXT_SET)
		r = parse_row(w->row, w->text, config, a, e);
	else
		r = wish_list(w, ext_setting(map, w->row->name), member(w->row, config), a, e);
	if (r < 0) {
		e->kind = ERR_USAGE;
		return err_wrap(e, "--%s%s", w->row->name, w->verb == EXT_ADD ? "-add" : w->verb == EXT_DEL ? "-del" : "");
	}
	ext_print(w->row, config, &text);
	if (str_failed(&text))
		return err_oom(e);
	return ext_put_setting(map, w->row->name, str_cstr(&text), a, e);
}

int ext_wish(const struct oci_map *annotations, const struct ext_wishes *wishes, struct oci_map *ret, struct arena *a,
	     struct err *e)
{
	struct oci_map map = { arena_alloc_n(a, annotations->n + 1, sizeof *map.v), annotations->n };

	if (!map.v)
		return err_oom(e);
	if (map.n)
		memcpy(map.v, annotations->v, map.n * sizeof *map.v);
	for (size_t i = 0; i < wishes->n; i++) {
		const struct ext_wish *w = &wishes->v[i];

		if (w->row->action && strcmp(w->text, w->row->action) == 0)
			continue;
		if (wish_one(w, &map, a, e) < 0)
			return err_ret(e);
	}
	*ret = map;
	return 0;
}

/* ---- the reference ---- */

static void print_flags(const struct ext_row *row, struct str *out)
{
	if (row->flags & EXT_COLD)
		str_add(out, "At creation only.");
	if (row->flags & EXT_INERT)
		str_add(out, "Kept and shown, not enforced.");
	if (row->flags & EXT_GRANT)
		str_addf(out, "%sFor a pod only where " EXT_POD_KEYS " has it.", row->flags & (EXT_COLD | EXT_INERT) ? " " : "");
}

void ext_print_reference(struct str *out)
{
	for (size_t i = 0; registry[i]; i++) {
		str_addf(out, "%s## %s\n\n| annotation | value | means | field |\n|---|---|---|---|\n", i ? "\n" : "", registry[i]->name);
		for (const struct ext_row *row = registry[i]->rows; row->name; row++) {
			str_addf(out, "| `" EXT_PREFIX "%s` | ", row->name);
			for (const char *p = row->value->word; *p; p++)
				str_addf(out, *p == '|' ? " or " : "%c", *p);
			str_addf(out, "%s | %s.", row->kind == EXT_LIST ? "..." : "", row->help);
			if (row->doc)
				str_addf(out, " %s", row->doc);
			if (row->flags)
				str_addc(out, ' ');
			print_flags(row, out);
			str_addf(out, " | %s |\n", row->native ? row->native : "");
		}
	}
}

void ext_print_man(struct str *out)
{
	for (size_t i = 0; registry[i]; i++)
		for (const struct ext_row *row = registry[i]->rows; row->name; row++) {
			str_addf(out, ".It Fl -%s Ar %s\n", row->name, row->value->word);
			if (row->kind == EXT_LIST)
				str_addf(out, ".It Fl -%s-add Ar %s\n.It Fl -%s-del Ar %s\n", row->name, row->value->word, row->name,
					 row->value->word);
			str_addf(out, "%s.\n", row->help);
			if (row->doc)
				str_addf(out, "%s\n", row->doc);
			print_flags(row, out);
			if (row->flags)
				str_addc(out, '\n');
		}
}
