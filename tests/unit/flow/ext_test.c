// SPDX-License-Identifier: LGPL-2.1-or-later

/* The engine of extensions, with two of the test's own: all that a new one needs is a table and a line in a registry. */

#include "runtime/flow/ext.h"

#include <stdlib.h>
#include <unistd.h>

#include "extensions/values.h"
#include "oci/rows.h"
#include "tests/lib/test.h"

static struct err e;
static struct arena arena;
static char trace[256];

static void note(const char *what)
{
	strncat(trace, what, sizeof trace - strlen(trace) - 1);
}

/* ---- toy: a native number and a list ---- */

struct toy {
	struct opt_i64 limit;
	struct oci_strs names;
};

static int parse_name(const char *text, void *member, struct arena *a, struct err *er)
{
	if (strchr(text, '!'))
		return err_set(er, ERR_CONFIG, 0, "no name");
	*(const char **)member = arena_printf(a, "<%s>", text[0] == '<' ? "again" : text);
	if (text[0] == '<')
		*(const char **)member = arena_strdup(a, text);
	return 0;
}

static void print_name(const void *member, struct str *out)
{
	str_add(out, *(const char *const *)member);
}

static const struct ext_value value_name = { "NAME", parse_name, print_name };

static const struct ext_row toy_rows[] = {
	{ .name = "toylimit", .offset = EXT_MEMBER(struct toy, limit), .value = &value_count, .native = "pids/limit", .help = "h" },
	{ .name = "toys", .kind = EXT_LIST, .offset = EXT_MEMBER(struct toy, names), .value = &value_name, .help = "h" },
	EXT_ROWS_END,
};

static int toy_native(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *er)
{
	const struct toy *t = config;

	(void)er;
	changes->pids = arena_new(env->arena, struct oci_pids);
	changes->pids->limit = t->limit;
	return 0;
}

static void toy_derive(const struct ext_env *env, const struct oci_resources *r, void *config)
{
	(void)env;
	if (r->pids)
		((struct toy *)config)->limit = r->pids->limit;
}

static int toy_apply(struct ext_env *env, const void *config, void *saved, struct err *er)
{
	(void)env;
	(void)config;
	(void)saved;
	(void)er;
	note("+toy");
	return 0;
}

static void toy_undo(struct ext_env *env, const void *config, const void *saved)
{
	(void)env;
	(void)config;
	(void)saved;
	note("-toy");
}

static bool toy_again(const struct ext_env *env, const void *config, const char *reboot)
{
	const struct toy *t = config;

	(void)env;
	return t->limit.v == 1 && strcmp(reboot, "restart") == 0;
}

static const struct ext toy = {
	.name = "toy", .again = toy_again, .rows = toy_rows, .config_size = sizeof(struct toy), .native = toy_native, .derive = toy_derive,
	.apply = { [EXT_NS_READY] = toy_apply }, .undo = { [EXT_NS_READY] = toy_undo },
};

/* ---- disk: elements of a list ---- */

static const struct ext_row disk_rows[] = {
	{ .name = "disk", .offset = EXT_MEMBER(struct toy, limit), .value = &value_count, .help = "h",
	  .native = "blockIO/throttleReadBpsDevice blockIO/weight" },
	EXT_ROWS_END,
};

static int disk_native(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *er)
{
	static struct oci_throttle elements[] = { { .major = 8, .minor = 0, .rate = 7 } };
	const struct toy *t = config;

	(void)er;
	if (!t->limit.set)
		return 0;
	changes->block_io = arena_new(env->arena, struct oci_block_io);
	changes->block_io->throttle_read_bps = (struct oci_throttles){ elements, 1 };
	changes->block_io->weight = (struct opt_u64){ .v = 100, .set = true };
	return 0;
}

static const struct ext disk = {
	.name = "disk", .rows = disk_rows, .config_size = sizeof(struct toy), .native = disk_native,
};

/* ---- cold: what it keeps, and a refusal ---- */

struct cold {
	struct opt_u64 n;
};

struct cold_saved {
	int64_t kept;
};

static const struct oci_field cold_saved_fields[] = { I64(struct cold_saved, kept, "kept"), ROW_END };
static TABLE(cold_saved);

static const struct ext_row cold_rows[] = {
	{ .name = "cold", .flags = EXT_GRANT, .offset = EXT_MEMBER(struct cold, n), .value = &value_number, .help = "h" },
	EXT_ROWS_END,
};

static int cold_apply(struct ext_env *env, const void *config, void *saved, struct err *er)
{
	const struct cold *c = config;

	(void)env;
	if (c->n.v > 9)
		return err_set(er, ERR_EXTENSION, 0, "too many");
	note("+cold");
	((struct cold_saved *)saved)->kept += (int64_t)c->n.v;
	return 0;
}

static const struct ext cold = {
	.name = "cold", .rows = cold_rows, .config_size = sizeof(struct cold), .saved = &cold_saved_type,
	.apply = { [EXT_NS_READY] = cold_apply },
};

static const struct ext *const list[] = { &toy, &disk, &cold, NULL };
static const struct oci_state_exts no_saved;

static struct ext_uses uses_of(const struct oci_map *map)
{
	struct ext_uses uses = { 0 };

	ext_register(list);
	CHECK_INT(ext_read(map, &no_saved, false, &uses, &arena, &e), 0);
	return uses;
}

static struct oci_map map_of(const char *key, const char *value)
{
	struct oci_pair *pair = arena_new(&arena, struct oci_pair);

	*pair = (struct oci_pair){ arena_printf(&arena, EXT_PREFIX "%s", key), value };
	return (struct oci_map){ pair, 1 };
}

static int wish(const struct oci_map *map, const char *option, const char *text, struct oci_map *ret)
{
	struct ext_wish w = { 0 };

	ext_register(list);
	CHECK(ext_find_option(option, strlen(option), &w));
	w.text = text;
	return ext_wish(map, &(struct ext_wishes){ &w, 1 }, ret, &arena, &e);
}

TEST(values_are_read_and_wrong_ones_name_the_place)
{
	struct oci_map good = map_of("toylimit", "5"), bad = map_of("toylimit", "five");
	struct ext_uses uses = uses_of(&good);

	CHECK_INT(uses.n, 1);
	CHECK_INT(((struct toy *)uses.v[0].config)->limit.v, 5);
	CHECK(ext_read(&bad, &no_saved, false, &uses, &arena, &e) < 0);
	CHECK_STR(e.text, "/annotations/org.openvz.toylimit: \"five\": neither a number nor unlimited");
}

TEST(lists_grow_and_shrink_by_words)
{
	struct oci_map map = map_of("toys", "a b"), next;

	CHECK_INT(wish(&map, "toys-add", "c d", &next), 0);
	CHECK_STR(ext_setting(&next, "toys"), "<a> <b> <c> <d>");
	CHECK_INT(wish(&next, "toys-del", "a <c>", &map), 0);
	CHECK_STR(ext_setting(&map, "toys"), "<b> <d>");
	CHECK_INT(wish(&map, "toys", "x", &next), 0);
	CHECK_STR(ext_setting(&next, "toys"), "<x>");
	CHECK(wish(&map, "toys-del", "z", &next) < 0);
	CHECK_STR(e.text, "--toys-del: <z> is not there");
	CHECK(wish(&map, "toys-add", "b", &next) < 0);
	CHECK_STR(e.text, "--toys-add: <b> is there already");
	CHECK(wish(&map, "toys-add", "b!", &next) < 0);
	CHECK_STR(ext_setting(&map, "toys"), "<b> <d>");
}

TEST(options_that_there_are_not)
{
	struct ext_wish w;

	ext_register(list);
	CHECK(!ext_find_option("toylimit-add", strlen("toylimit-add"), &w)); /* no list */
	CHECK(!ext_find_option("toy", 3, &w));
	CHECK(!ext_find_option("-add", 4, &w));
	CHECK(!ext_find_option("", 0, &w));
}

TEST(a_refusal_undoes_who_was_before)
{
	struct oci_pair pairs[] = { { EXT_PREFIX "toylimit", "1" }, { EXT_PREFIX "cold", "10" } };
	struct ext_uses uses = uses_of(&(struct oci_map){ pairs, 2 });
	struct ext_env env = { .arena = &arena };

	trace[0] = '\0';
	CHECK(ext_run(&uses, EXT_NS_READY, &env, &e) < 0);
	CHECK_STR(e.text, "cold: too many");
	CHECK_STR(trace, "+toy-toy");
	CHECK(ext_acts(&uses, EXT_NS_READY) && !ext_acts(&uses, EXT_BEFORE_START));
}

TEST(what_they_keep_comes_back)
{
	struct oci_map map = map_of("cold", "4");
	struct ext_uses uses = uses_of(&map), again;
	struct ext_env env = { .arena = &arena };
	struct oci_state_exts saved;

	CHECK_INT(ext_run(&uses, EXT_NS_READY, &env, &e), 0);
	CHECK_INT(ext_saved(&uses, &saved, &arena, &e), 0);
	CHECK_INT(saved.n, 1);
	CHECK_STR(saved.v[0].json, "{\"kept\":4}");
	CHECK_INT(ext_read(&map, &saved, false, &again, &arena, &e), 0);
	CHECK_INT(((struct cold_saved *)again.v[0].saved)->kept, 4);
	saved.v[0].json = "[]";
	CHECK(ext_read(&map, &saved, false, &again, &arena, &e) < 0);
}

static int prepare(const struct oci_map *map, struct oci_resources *r)
{
	struct ext_uses uses = uses_of(map);
	struct oci_linux linux = { .resources = r };
	struct oci_spec spec = { .linux = &linux };
	struct ext_env env = { .arena = &arena, .spec = &spec };

	return ext_prepare(&uses, &env, &e);
}

TEST(two_words_for_one_field)
{
	struct oci_map map = map_of("toylimit", "5");
	struct oci_pids pids = { .limit = { .v = 5, .set = true } };
	struct oci_resources alone = { 0 }, same = { .pids = &pids }, other = { .pids = &pids };

	CHECK_INT(prepare(&map, &alone), 0);
	CHECK(alone.pids && alone.pids->limit.v == 5);
	CHECK_INT(prepare(&map, &same), 0);
	pids.limit.v = 6;
	CHECK(prepare(&map, &other) < 0);
	CHECK_STR(e.text, "/annotations/org.openvz.toylimit: means 5 for /linux/resources/pids/limit, where the document has 6 "
			  "(leave one of the two out)");
	CHECK_INT(other.pids->limit.v, 6);
}

TEST(in_a_further_life_settings_win)
{
	struct oci_map map = map_of("toylimit", "5");
	struct ext_uses uses = uses_of(&map);
	struct oci_pids pids = { .limit = { .v = 6, .set = true } };
	struct oci_resources r = { .pids = &pids };
	struct oci_linux linux = { .resources = &r };
	struct oci_spec spec = { .linux = &linux };
	struct ext_env env = { .arena = &arena, .spec = &spec, .again = true };

	CHECK_INT(ext_prepare(&uses, &env, &e), 0);
	CHECK_INT(r.pids->limit.v, 5);
}

TEST(one_that_wants_it_again_is_enough)
{
	struct oci_pair pairs[] = { { EXT_PREFIX "toylimit", "1" }, { EXT_PREFIX "cold", "1" } };
	struct ext_uses both = uses_of(&(struct oci_map){ pairs, 2 }), none = uses_of(&(struct oci_map){ pairs + 1, 1 });
	struct ext_env env = { .arena = &arena };

	CHECK(ext_again(&both, &env, "restart"));
	CHECK(!ext_again(&both, &env, "halt"));
	CHECK(!ext_again(&none, &env, "restart"));
}

TEST(elements_of_settings_leave_the_lists)
{
	struct oci_map map = map_of("disk", "1");
	struct ext_uses uses = uses_of(&map), none = { 0 };
	struct oci_throttle has[] = { { .major = 8, .minor = 0, .rate = 7 }, { .major = 8, .minor = 16, .rate = 7 } };
	struct oci_block_io b = { .weight = { .v = 100, .set = true }, .throttle_read_bps = { has, 2 }, .throttle_write_bps = { has, 2 } };
	struct oci_resources r = { .block_io = &b }, left;
	struct ext_env env = { .arena = &arena, .resources = &r };

	CHECK_INT(ext_without_elements(&uses, &env, &left, &e), 0);
	CHECK_INT(left.block_io->throttle_read_bps.n, 1);
	CHECK_INT(left.block_io->throttle_read_bps.v[0].minor, 16);
	CHECK_INT(left.block_io->throttle_write_bps.n, 2); /* not its field */
	CHECK_INT(left.block_io->weight.v, 100);
	CHECK_INT(ext_without_elements(&none, &env, &left, &e), 0);
	CHECK_INT(left.block_io->throttle_read_bps.n, 2);
	CHECK_INT(b.throttle_read_bps.n, 2);
}

TEST(a_pod_gives_itself_no_rights)
{
	struct oci_pair pairs[] = { { "io.kubernetes.cri.container-type", "container" }, { EXT_PREFIX "cold", "1" } };
	struct oci_map pod = { pairs, 2 }, other = { pairs + 1, 1 };
	char path[] = "/tmp/ext_test.XXXXXX";
	int fd = mkstemp(path);

	ext_register(list);
	CHECK_INT(ext_check_pod(&other, "/nonexistent", &e), 0);
	CHECK(ext_check_pod(&pod, "/nonexistent", &e) < 0);
	CHECK_STR(e.text, "/annotations/org.openvz.cold: gives rights, and whoever makes pods chooses their annotations (a line "
			  "\"cold\" in /nonexistent permits it)");
	CHECK_INT(write(fd, "colder\ntoys\n", 12), 12);
	CHECK(ext_check_pod(&pod, path, &e) < 0);
	CHECK_INT(write(fd, "cold", 4), 4);
	CHECK_INT(ext_check_pod(&pod, path, &e), 0);
	pairs[1].key = EXT_PREFIX "toylimit";
	CHECK_INT(ext_check_pod(&pod, "/nonexistent", &e), 0);
	close(fd);
	unlink(path);
}

TEST(the_field_is_the_truth)
{
	struct oci_map map = map_of("toylimit", "5"), shown;
	struct oci_pids pids = { .limit = { .v = 5, .set = true } };
	struct oci_resources r = { .pids = &pids };
	struct ext_env env = { .arena = &arena, .resources = &r };
	cleanup_str struct str text = { 0 };

	ext_register(list);
	CHECK_INT(ext_shown(&map, &env, &shown, &e), 0);
	CHECK_STR(ext_setting(&shown, "toylimit"), "5");
	pids.limit.v = 8;
	CHECK_INT(ext_present(&map, &env, &shown, &e), 0);
	CHECK(!ext_setting(&shown, "toylimit"));
	CHECK_INT(ext_shown(&map, &env, &shown, &e), 0);
	CHECK_STR(ext_setting(&shown, "toylimit"), "8");
	CHECK_INT(ext_native_text(&toy_rows[0], &r, &text, &arena, &e), 0);
	CHECK_STR(str_cstr(&text), "pids/limit=8");
	CHECK_INT(ext_shown(&(struct oci_map){ 0 }, &env, &shown, &e), 0);
	CHECK_STR(ext_setting(&shown, "toylimit"), "8");
}
