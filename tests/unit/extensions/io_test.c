// SPDX-License-Identifier: LGPL-2.1-or-later

/* Values of the extension io and the fields that they mean. */

#include <stdlib.h>

#include "extensions/blockdev.h"
#include "extensions/registry.h"
#include "tests/lib/test.h"

static struct err e;
static struct arena arena;
static const struct ext *const list[] = { &ext_io, NULL };

static struct oci_state_exts two_disks = { &(struct oci_state_ext){ "io", "{\"devices\":[{\"major\":8,\"minor\":0},"
								   "{\"major\":8,\"minor\":16}]}" }, 1 };

static struct oci_map map_of(const char *key, const char *value)
{
	struct oci_pair *pair = arena_new(&arena, struct oci_pair);

	*pair = (struct oci_pair){ arena_printf(&arena, EXT_PREFIX "%s", key), value };
	return (struct oci_map){ pair, 1 };
}

static const char *canonical(const char *key, const char *value)
{
	struct oci_map empty = { 0 }, map;
	struct ext_wish w = { 0 };

	ext_register(list);
	CHECK(ext_find_option(key, strlen(key), &w));
	w.text = value;
	return ext_wish(&empty, &(struct ext_wishes){ &w, 1 }, &map, &arena, &e) < 0 ? e.text : ext_setting(&map, key);
}

static struct oci_resources changes_of(const char *key, const char *value)
{
	struct oci_map map = map_of(key, value);
	struct ext_env env = { .arena = &arena };
	struct oci_resources r = { 0 };
	struct ext_uses uses;

	ext_register(list);
	CHECK_INT(ext_read(&map, &two_disks, false, &uses, &arena, &e), 0);
	CHECK_INT(ext_native(&uses, &env, &r, &e), 0);
	return r;
}

TEST(values)
{
	CHECK_STR(canonical("ioprio", "0"), "0");
	CHECK_STR(canonical("ioprio", "7"), "7");
	CHECK_STR(canonical("ioprio", "8"), "--ioprio: \"8\": out of range: 0 to 7");
	CHECK_STR(canonical("ioprio", "-1"), "--ioprio: \"-1\": not a number");
	CHECK_STR(canonical("iolimit", "8388608"), "8M");
	CHECK_STR(canonical("iolimit", "10m"), "10M");
	CHECK_STR(canonical("iolimit", "1000b"), "1000B");
	CHECK_STR(canonical("iolimit", "0"), "unlimited");
	CHECK_STR(canonical("iolimit", "unlimited"), "unlimited");
	CHECK(strstr(canonical("iolimit", "8:9"), "--iolimit: \"8:9\": not a size"));
	CHECK(strstr(canonical("iolimit", "-5"), "not a size"));
	CHECK_STR(canonical("iopslimit", "4294967295"), "4294967295");
	CHECK_STR(canonical("iopslimit", "4294967296"), "--iopslimit: \"4294967296\": out of range: at most 4294967295");
	CHECK_STR(canonical("iopslimit", "0"), "unlimited");
}

TEST(limits_are_of_every_device_and_direction)
{
	struct oci_resources r = changes_of("iolimit", "8M"), n = changes_of("iopslimit", "0");

	CHECK(r.block_io && r.block_io->throttle_read_bps.n == 2 && r.block_io->throttle_write_bps.n == 2);
	CHECK_INT(r.block_io->throttle_write_bps.v[1].minor, 16);
	CHECK_INT(r.block_io->throttle_write_bps.v[1].rate, 8388608);
	CHECK_INT(r.block_io->throttle_read_iops.n, 0);
	CHECK_INT(n.block_io->throttle_read_iops.n, 2);
	CHECK_INT(n.block_io->throttle_read_iops.v[0].rate, 0); /* which lifts it */
}

static const char *shown(const struct oci_map *map, const struct oci_resources *r, const char *key)
{
	struct ext_env env = { .arena = &arena, .resources = r, .kept = &two_disks };
	struct oci_map ret;

	ext_register(list);
	CHECK_INT(ext_shown(map, &env, &ret, &e), 0);
	return ext_setting(&ret, key);
}

TEST(fields_are_shown_in_words)
{
	struct oci_resources r = changes_of("iolimit", "8M");
	struct oci_map none = { 0 }, set = map_of("iolimit", "8M");
	struct oci_throttle more[3];
	struct oci_block_io b = *r.block_io;

	CHECK_STR(shown(&none, &r, "iolimit"), "8M");
	CHECK_STR(shown(&set, &r, "iolimit"), "8M");
	/* Another device beside ours changes nothing for the setting, but has no word of its own. */
	memcpy(more, b.throttle_read_bps.v, 2 * sizeof *more);
	more[2] = (struct oci_throttle){ .major = 9, .minor = 1, .rate = 5 };
	b.throttle_read_bps = (struct oci_throttles){ more, 3 };
	r.block_io = &b;
	CHECK_STR(shown(&set, &r, "iolimit"), "8M");
	CHECK(!shown(&none, &r, "iolimit"));
	/* One of ours that was changed otherwise does. */
	more[1].rate = 7;
	CHECK(!shown(&set, &r, "iolimit"));
}

TEST(weights_are_shown_as_priorities)
{
	struct oci_block_io b = { .weight = { .v = 128, .set = true } };
	struct oci_pair pair = { "io.weight", "64" };
	struct oci_resources field = { .block_io = &b }, unified = { .unified = { &pair, 1 } };
	struct oci_map none = { 0 };

	CHECK_STR(shown(&none, &field, "ioprio"), "7");
	CHECK_STR(shown(&none, &unified, "ioprio"), "0");
	b.weight.v = 99;
	CHECK(!shown(&none, &field, "ioprio"));
}

TEST(what_the_document_has_for_a_device_of_ours)
{
	struct oci_map map = map_of("iolimit", "8M");
	struct oci_throttle t = { .major = 8, .minor = 16, .rate = 5 };
	struct oci_block_io b = { .throttle_write_bps = { &t, 1 } };
	struct oci_resources r = { .block_io = &b };
	struct ext_env env = { .arena = &arena, .resources = &r };
	struct ext_uses uses;

	ext_register(list);
	CHECK_INT(ext_read(&map, &two_disks, false, &uses, &arena, &e), 0);
	CHECK(ext_validate(&uses, &env, &e) < 0);
	CHECK_STR(e.text, "/annotations/org.openvz.iolimit: means 8388608 for device 8:16 in "
			  "/linux/resources/blockIO/throttleWriteBpsDevice, where the document has 5 (leave one of the two out)");
	t.rate = 8388608;
	CHECK_INT(ext_validate(&uses, &env, &e), 0);
	t = (struct oci_throttle){ .major = 9, .minor = 16, .rate = 5 };
	CHECK_INT(ext_validate(&uses, &env, &e), 0);
}
