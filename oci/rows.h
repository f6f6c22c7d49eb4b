/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of a decode table.  Each macro names the C member, the key in the document and, last, more of struct
 * oci_field (".flags = OCI_REQ").  The member's C type is compared with the row's kind while compiling: a row
 * whose member changed does not build.  A type of elements is named by its struct: LIST(struct oci_spec, mounts,
 * "mounts", oci_mount) wants `struct { struct oci_mount *v; ... }` and uses `oci_mount_type`. */

#include <stddef.h>

#include "oci/decode.h"

/* 0, or an array of negative size. */
#define ROW_TYPE(T, m, want) \
	(0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), want) ? 1 : -1]))
#define ROW(K, T, m, want, key, ...) \
	{ .name = (key), .kind = (K), .offset = offsetof(T, m) + ROW_TYPE(T, m, want), ##__VA_ARGS__ }

#define STR(T, m, key, ...) ROW(OCI_STR, T, m, const char *, key, ##__VA_ARGS__)
#define STRS(T, m, key, ...) ROW(OCI_STRS, T, m, struct oci_strs, key, ##__VA_ARGS__)
#define BOOL(T, m, key, ...) ROW(OCI_BOOL, T, m, bool, key, ##__VA_ARGS__)
#define OPT_BOOL(T, m, key, ...) ROW(OCI_OPT_BOOL, T, m, struct opt_bool, key, ##__VA_ARGS__)
#define I64(T, m, key, ...) ROW(OCI_I64, T, m, int64_t, key, ##__VA_ARGS__)
#define U64(T, m, key, ...) ROW(OCI_U64, T, m, uint64_t, key, ##__VA_ARGS__)
#define U32(T, m, key, ...) ROW(OCI_U32, T, m, uint32_t, key, ##__VA_ARGS__)
#define OPT_I64(T, m, key, ...) ROW(OCI_OPT_I64, T, m, struct opt_i64, key, ##__VA_ARGS__)
#define OPT_U64(T, m, key, ...) ROW(OCI_OPT_U64, T, m, struct opt_u64, key, ##__VA_ARGS__)
#define U32S(T, m, key, ...) ROW(OCI_U32S, T, m, struct oci_u32s, key, ##__VA_ARGS__)
#define MAP(T, m, key, ...) ROW(OCI_MAP, T, m, struct oci_map, key, ##__VA_ARGS__)
#define WORD(T, m, key, words, ...) ROW(OCI_WORD, T, m, int64_t, key, .names = (words), ##__VA_ARGS__)
#define WORDS(T, m, key, words, ...) ROW(OCI_WORDS, T, m, struct oci_ints, key, .names = (words), ##__VA_ARGS__)
#define CUSTOM(T, m, key, how, ...) \
	{ .name = (key), .kind = OCI_CUSTOM, .offset = offsetof(T, m), .custom = (how), ##__VA_ARGS__ }

/* The element's struct comes without the word struct. */
#define OBJ(T, m, key, S, ...) \
	ROW(OCI_OBJ, T, m, struct S, key, .size = sizeof(struct S), .type = &S##_type, ##__VA_ARGS__)
#define PTR(T, m, key, S, ...) \
	ROW(OCI_PTR, T, m, struct S *, key, .size = sizeof(struct S), .type = &S##_type, ##__VA_ARGS__)
#define ROW_ELEMENTS(K, T, m, key, S, ...) \
	{ .name = (key), .kind = (K), .offset = offsetof(T, m) + ROW_TYPE(T, m.v, struct S *) + ROW_TYPE(T, m.n, size_t), \
	  .size = sizeof(struct S), .type = &S##_type, ##__VA_ARGS__ }
#define LIST(T, m, key, S, ...) ROW_ELEMENTS(OCI_LIST, T, m, key, S, ##__VA_ARGS__)
#define KEYED(T, m, key, S, ...) ROW_ELEMENTS(OCI_KEYED, T, m, key, S, ##__VA_ARGS__)

#define ROW_END { .kind = OCI_END }
#define NUMBERS(low, high) .flags = OCI_RANGE, .min = (low), .max = (high)

/* TABLE(oci_root) defines oci_root_type from oci_root_fields. */
#define TABLE(S) const struct oci_type S##_type = { .name = #S, .size = sizeof(struct S), .fields = S##_fields }
