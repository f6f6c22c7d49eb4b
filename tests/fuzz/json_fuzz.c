// SPDX-License-Identifier: LGPL-2.1-or-later
/* Any bytes: the reader refuses them, or gives a tree that is written as text which reads as the same text again. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/emit.h"
#include "oci/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_tree(const struct json_node *n, struct str *out)
{
	struct emit e = { .out = out };

	emit_node(&e, NULL, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str first = { 0 }, second = { 0 };
	struct json_node *n;
	struct err e;

	if (json_parse((const char *)data, size, &n, &a, &e) < 0) {
		if (e.len == 0 || e.len != strlen(e.text))
			abort();
		return 0;
	}
	write_tree(n, &first);
	if (json_parse(str_cstr(&first), first.len, &n, &a, &e) < 0)
		abort();
	write_tree(n, &second);
	if (strcmp(str_cstr(&first), str_cstr(&second)) != 0)
		abort();
	return 0;
}
