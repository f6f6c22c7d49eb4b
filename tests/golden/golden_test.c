// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every document below tests/golden: the good ones are decoded, checked and written again, which must give the
 * NAME.out beside them and, read once more, the same object; the bad ones fail with the line in NAME.err.
 * With VZRUN_GOLDEN_WRITE=1 a missing .out is written: look at it before you commit it.
 *
 * The schema's own documents are read from $VZRUN_SPEC_SCHEMA_DIR (or ../shared/spec/schema/test); those that this
 * program answers otherwise stand in schema-exceptions.txt with the reason. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "oci/check.h"
#include "oci/decode.h"
#include "oci/emit.h"
#include "oci/json.h"
#include "oci/state.h"
#include "runtime/base/fs.h"
#include "tests/lib/test.h"

struct doc_kind {
	const char *name; /* the folder */
	const struct oci_type *type;
	int (*check)(const void *object, struct err *e); /* NULL: decoding is all */
	int at_least;                                    /* documents, good and bad, that must be found */
};

static int check_spec_doc(const void *object, struct err *e)
{
	return check_spec(object, e);
}

static int check_process_doc(const void *object, struct err *e)
{
	return check_process(object, "", e);
}

static int check_resources_doc(const void *object, struct err *e)
{
	return check_resources(object, "", e);
}

static const struct doc_kind kinds[] = {
	{ "config", &oci_spec_type, check_spec_doc, 150 },
	{ "process", &oci_process_type, check_process_doc, 10 },
	{ "resources", &oci_resources_type, check_resources_doc, 10 },
	{ "state", &oci_state_type, NULL, 8 },
};

static const char *source_dir(void)
{
	const char *dir = getenv("srcdir");

	return dir && *dir ? dir : ".";
}

static int read_doc(const struct doc_kind *kind, const char *text, size_t len, bool check, void **ret,
		    struct arena *a, struct err *e)
{
	struct json_node *tree;
	void *object = arena_alloc(a, kind->type->size);
	int r = json_parse(text, len, &tree, a, e);

	if (r == 0)
		r = decode(kind->type, tree, object, a, e);
	if (r == 0 && check && kind->check)
		r = kind->check(object, e);
	*ret = object;
	return r;
}

static void write_doc(const struct doc_kind *kind, const void *object, struct str *out)
{
	struct emit e = { .out = out, .indent = 2 };

	str_clear(out);
	decode_emit(kind->type, object, &e);
	str_addc(out, '\n');
}

static bool read_beside(const char *path, const char *ending, struct str *ret)
{
	char name[600];
	struct err e;

	snprintf(name, sizeof name, "%.*s%s", (int)(strlen(path) - strlen(".json")), path, ending);
	return fs_read(AT_FDCWD, name, OCI_DOCUMENT_MAX, ret, &e) == 0;
}

static void offer_out(const char *path, const struct str *text)
{
	char name[600];
	FILE *f;

	if (!getenv("VZRUN_GOLDEN_WRITE"))
		return;
	snprintf(name, sizeof name, "%.*s.out", (int)(strlen(path) - strlen(".json")), path);
	f = fopen(name, "we");
	if (!f)
		return;
	fputs(str_cstr(text), f);
	fclose(f);
}

static void run_good(const struct doc_kind *kind, const char *path, const struct str *text)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str out = { 0 }, again = { 0 }, expected = { 0 };
	void *first, *second;
	const char *difference;
	struct err e;

	if (read_doc(kind, text->s, text->len, true, &first, &a, &e) < 0) {
		FAIL("%s: refused: %s", path, e.text);
		return;
	}
	write_doc(kind, first, &out);
	if (!read_beside(path, ".out", &expected)) {
		FAIL("%s: has no .out", path);
		offer_out(path, &out);
	} else if (strcmp(expected.s, out.s) != 0) {
		FAIL("%s: written differently:\n%s", path, out.s);
	}
	if (read_doc(kind, out.s, out.len, true, &second, &a, &e) < 0) {
		FAIL("%s: refused when read again: %s", path, e.text);
		return;
	}
	write_doc(kind, second, &again);
	CHECK_STR(again.s, out.s);
	difference = decode_diff(kind->type, first, second, &a);
	if (difference)
		FAIL("%s: differs from itself at %s", path, difference);
}

static void run_bad(const struct doc_kind *kind, const char *path, const struct str *text)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str expected = { 0 };
	void *object;
	struct err e;

	if (!read_beside(path, ".err", &expected)) {
		FAIL("%s: has no .err", path);
		return;
	}
	if (read_doc(kind, text->s, text->len, true, &object, &a, &e) >= 0) {
		FAIL("%s: accepted", path);
		return;
	}
	expected.s[strcspn(expected.s, "\n")] = '\0';
	if (e.kind != ERR_CONFIG || strcmp(e.text, expected.s) != 0)
		FAIL("%s: error \"%s\", expected \"%s\"", path, e.text, expected.s);
}

/* Calls `run` for each document of a folder; returns how many there were. */
static int each_doc(const struct doc_kind *kind, const char *folder,
		    void (*run)(const struct doc_kind *, const char *, const struct str *))
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	int n = 0;

	if (!d)
		return 0;
	while ((entry = readdir(d))) {
		cleanup_str struct str text = { 0 };
		char path[560];
		struct err e;

		if (!str_ends(entry->d_name, ".json"))
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (fs_read(AT_FDCWD, path, OCI_DOCUMENT_MAX, &text, &e) < 0)
			FAIL("%s: %s", path, e.text);
		else
			run(kind, path, &text);
		n++;
	}
	closedir(d);
	return n;
}

static void run_kind(const struct doc_kind *kind)
{
	char folder[300];
	int good, wrong;

	snprintf(folder, sizeof folder, "%s/tests/golden/%s/good", source_dir(), kind->name);
	good = each_doc(kind, folder, run_good);
	snprintf(folder, sizeof folder, "%s/tests/golden/%s/bad", source_dir(), kind->name);
	wrong = each_doc(kind, folder, run_bad);
	printf("# %s: %d good, %d bad\n", kind->name, good, wrong);
	if (good == 0 || wrong == 0 || good + wrong < kind->at_least)
		FAIL("%s: only %d good and %d bad documents", kind->name, good, wrong);
}

TEST(config)
{
	run_kind(&kinds[0]);
}

TEST(process)
{
	run_kind(&kinds[1]);
}

TEST(resources)
{
	run_kind(&kinds[2]);
}

TEST(state)
{
	run_kind(&kinds[3]);
}

/* ---- the schema's documents ---- */

static struct str exceptions;

/* A line "config/good/x.json: reason".  Good ones that stand there must still decode. */
static bool excepted(const char *path)
{
	char needle[600];
	const char *name = path + strlen(path);
	int slashes = 0;

	while (name > path && slashes < 3)
		if (*--name == '/')
			slashes++;
	snprintf(needle, sizeof needle, "\n%s: ", *name == '/' ? name + 1 : name);
	return strstr(str_cstr(&exceptions), needle) != NULL;
}

static int decode_schema_doc(const struct doc_kind *kind, const struct str *text, bool check, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	void *object;

	return read_doc(kind, text->s, text->len, check, &object, &a, e);
}

static void run_schema_good(const struct doc_kind *kind, const char *path, const struct str *text)
{
	struct err e;

	if (decode_schema_doc(kind, text, false, &e) < 0)
		FAIL("%s: does not decode: %s", path, e.text);
	else if ((decode_schema_doc(kind, text, true, &e) < 0) != excepted(path))
		FAIL("%s: %s", path, excepted(path) ? "listed as exception, but accepted" : e.text);
}

static void run_schema_bad(const struct doc_kind *kind, const char *path, const struct str *text)
{
	struct err e;

	if ((decode_schema_doc(kind, text, true, &e) >= 0) != excepted(path))
		FAIL("%s: %s", path, excepted(path) ? "listed as exception, but refused" : "accepted");
}

/* The public state is printed, never read; it has its own required members, which are checked here as a table. */
struct public_state {
	const char *oci_version, *id, *status, *bundle;
};

static const struct oci_field public_state_fields[] = {
	{ .name = "ociVersion", .kind = OCI_STR, .flags = OCI_REQ, .offset = offsetof(struct public_state, oci_version) },
	{ .name = "id", .kind = OCI_STR, .flags = OCI_REQ, .offset = offsetof(struct public_state, id) },
	{ .name = "status", .kind = OCI_STR, .flags = OCI_REQ, .offset = offsetof(struct public_state, status) },
	{ .name = "bundle", .kind = OCI_STR, .flags = OCI_REQ, .offset = offsetof(struct public_state, bundle) },
	{ .kind = OCI_END }
};
static const struct oci_type public_state_type = { "state", sizeof(struct public_state), public_state_fields };

struct features {
	const char *min, *max;
	struct oci_strs hooks, mount_options;
};

static const struct oci_field features_fields[] = {
	{ .name = "ociVersionMin", .kind = OCI_STR, .flags = OCI_REQ, .offset = offsetof(struct features, min) },
	{ .name = "ociVersionMax", .kind = OCI_STR, .flags = OCI_REQ, .offset = offsetof(struct features, max) },
	{ .name = "hooks", .kind = OCI_STRS, .offset = offsetof(struct features, hooks) },
	{ .name = "mountOptions", .kind = OCI_STRS, .offset = offsetof(struct features, mount_options) },
	{ .kind = OCI_END }
};
static const struct oci_type features_type = { "features", sizeof(struct features), features_fields };

TEST(schema_documents)
{
	static const struct doc_kind schema_kinds[] = {
		{ "config", &oci_spec_type, check_spec_doc, 1 },
		{ "state", &public_state_type, NULL, 1 },
		{ "features", &features_type, NULL, 1 },
	};
	const char *dir = getenv("VZRUN_SPEC_SCHEMA_DIR");
	char near[300], path[300];
	struct err e;

	snprintf(near, sizeof near, "%s/../shared/spec/schema/test", source_dir());
	if (!dir)
		dir = near;
	if (access(dir, R_OK) < 0)
		SKIP("the schema's documents are not here (VZRUN_SPEC_SCHEMA_DIR)");
	snprintf(path, sizeof path, "%s/tests/golden/schema-exceptions.txt", source_dir());
	if (fs_read(AT_FDCWD, path, 1 << 16, &exceptions, &e) < 0)
		FAIL("%s", e.text);
	for (size_t i = 0; i < ARRAY_SIZE(schema_kinds); i++) {
		char folder[400];
		int n;

		snprintf(folder, sizeof folder, "%s/%s/good", dir, schema_kinds[i].name);
		n = each_doc(&schema_kinds[i], folder, run_schema_good);
		snprintf(folder, sizeof folder, "%s/%s/bad", dir, schema_kinds[i].name);
		n += each_doc(&schema_kinds[i], folder, run_schema_bad);
		if (n == 0)
			FAIL("%s: no documents", schema_kinds[i].name);
	}
	str_done(&exceptions);
}
