/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table engine.  One table per object of a document serves four jobs: decode, emit, compare and walk (the
 * reference pages are printed from it).
 *
 * Errors are of kind ERR_CONFIG and begin with a JSON pointer:
 *     /mounts/0/options/1: expected string, got number
 *     /linux/namespaces/0/type: unknown value 'pdi'
 * the caller wraps the document's name around them.  JSON null is the same as absent.  Unknown keys are ignored
 * and named at debug level; of duplicate keys the last wins. */

#include <stdbool.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

struct json_node; /* oci/json.h */

enum oci_kind {
	OCI_END,
	OCI_STR,    /* const char * */
	OCI_STRS,   /* struct oci_strs */
	OCI_BOOL,   /* bool */
	OCI_OPT_BOOL,
	OCI_I64,    /* int64_t */
	OCI_U64,    /* uint64_t */
	OCI_U32,    /* uint32_t */
	OCI_OPT_I64,
	OCI_OPT_U64,
	OCI_U32S,   /* struct oci_u32s */
	OCI_WORD,   /* int64_t, a word of .names */
	OCI_WORDS,  /* struct oci_ints, words of .names */
	OCI_OBJ,    /* struct X embedded */
	OCI_PTR,    /* struct X *, NULL when absent */
	OCI_LIST,   /* struct { X *v; size_t n; } of objects of .type */
	OCI_MAP,    /* struct oci_map */
	OCI_KEYED,  /* as OCI_LIST, but a JSON object: the key goes to the row flagged OCI_KEY of .type */
	OCI_CUSTOM, /* .custom decodes and emits */
};

enum oci_flags {
	OCI_REQ = 1 << 0,   /* must be there */
	OCI_KEY = 1 << 1,   /* takes the key of an OCI_KEYED object */
	OCI_RANGE = 1 << 2, /* .min and .max bound a number */
	OCI_DEFAULT = 1 << 3, /* an absent OCI_WORD is .min */
};

struct oci_type;
struct oci_names; /* oci/names.h */
struct emit;      /* oci/emit.h */

/* A custom row's error is "message" or "/relative/pointer: message"; the engine puts the row's pointer before it. */
struct oci_custom {
	int (*decode)(const struct json_node *node, void *member, struct arena *a, struct err *e);
	void (*emit)(struct emit *out, const char *key, const void *member);
	bool (*present)(const void *member);
};

struct oci_field {
	const char *name;
	enum oci_kind kind;
	unsigned flags;
	size_t offset;
	size_t size; /* of the element for PTR, LIST, KEYED */
	const struct oci_type *type;
	const struct oci_names *names;
	const struct oci_custom *custom;
	int64_t min;
	uint64_t max;
	const char *doc; /* one line for the reference pages; may be NULL */
};

struct oci_type {
	const char *name;
	size_t size;
	const struct oci_field *fields; /* ends with OCI_END; at most OCI_FIELDS_MAX */
};

#define OCI_FIELDS_MAX 48

/* Decode `node` into *out (which has type->size bytes and is zeroed first). */
int decode(const struct oci_type *type, const struct json_node *node, void *out, struct arena *a, struct err *e);

/* Append the object as JSON; absent members are left out. */
void decode_emit(const struct oci_type *type, const void *object, struct emit *out);
void decode_emit_key(const struct oci_type *type, const char *key, const void *object, struct emit *out);

/* The JSON pointer of the first difference, in the arena, or NULL when both are the same. */
const char *decode_diff(const struct oci_type *type, const void *a, const void *b, struct arena *arena);

/* The tables. */
extern const struct oci_type oci_spec_type, oci_process_type, oci_resources_type;

/* Read, parse and decode.  The pointers end in the arena; the text is not kept.  `what` begins the error:
 * "config.json: /process/cwd: ...". */
int oci_spec_load(int dirfd, const char *path, const char *what, struct oci_spec *ret, struct arena *a, struct err *e);
int oci_spec_parse(const char *text, size_t len, const char *what, struct oci_spec *ret, struct arena *a,
		   struct err *e);
int oci_process_parse(const char *text, size_t len, const char *what, struct oci_process *ret, struct arena *a,
		      struct err *e);
int oci_resources_parse(const char *text, size_t len, const char *what, struct oci_resources *ret, struct arena *a,
			struct err *e);

/* Documents larger than this, or nested deeper, are refused. */
#define OCI_DOCUMENT_MAX ((size_t)16 << 20)
#define OCI_DEPTH_MAX 64
