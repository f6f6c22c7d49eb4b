// SPDX-License-Identifier: LGPL-2.1-or-later
/* Any bytes as each of the documents: what decodes is checked, written, read again and must then be the same. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/check.h"
#include "oci/decode.h"
#include "oci/emit.h"
#include "oci/json.h"
#include "oci/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *read_as(const struct oci_type *type, const char *text, size_t len, struct arena *a, struct err *e)
{
	void *object = arena_alloc(a, type->size);
	struct json_node *n;

	if (!object || json_parse(text, len, &n, a, e) < 0)
		return NULL;
	return decode(type, n, object, a, e) < 0 ? NULL : object;
}

static void *round_trip(const struct oci_type *type, const uint8_t *data, size_t size, struct arena *a)
{
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };
	struct err e;
	void *first = read_as(type, (const char *)data, size, a, &e), *second;

	if (!first)
		return NULL;
	decode_emit(type, first, &out);
	second = read_as(type, str_cstr(&text), text.len, a, &e);
	if (!second || decode_diff(type, first, second, a))
		abort();
	return first;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena a = { 0 };
	const struct oci_resources *resources;
	const struct oci_process *process;
	const struct oci_state *state;
	const struct oci_spec *spec;
	struct err e;

	spec = round_trip(&oci_spec_type, data, size, &a);
	if (spec)
		check_spec(spec, &e);
	process = round_trip(&oci_process_type, data, size, &a);
	if (process)
		check_process(process, "", &e);
	resources = round_trip(&oci_resources_type, data, size, &a);
	if (resources)
		check_resources(resources, "", &e);
	state = round_trip(&oci_state_type, data, size, &a);
	if (state) {
		cleanup_str struct str text = { 0 };

		oci_state_print(state, state->status, state->pid, 2, &text);
		oci_state_hook(state, oci_status_name(state->status), state->pid, &text);
	}
	return 0;
}
