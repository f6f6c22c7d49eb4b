// SPDX-License-Identifier: LGPL-2.1-or-later

/* Traffic of a container's network (vzctl(8)): kept, so that a configuration of OpenVZ can be taken over whole. */

#include <string.h>

#include "extensions/registry.h"
#include "extensions/values.h"

struct traffic {
	struct oci_strs rate;
	unsigned netfilter;
};

static const char *const levels[] = { "", "disabled", "stateless", "stateful", "full", NULL };

/* "eth0:1:256": an interface of the host (or *, all), a class of traffic, a rate. */
static int parse_rate(const char *text, void *member, struct arena *a, struct err *e)
{
	const char *first = strchr(text, ':'), *second = first ? strchr(first + 1, ':') : NULL, **word = member;
	uint64_t rate;
	int64_t class;
	char number[8] = "";

	if (second && (size_t)(second - first) <= sizeof number)
		memcpy(number, first + 1, (size_t)(second - first) - 1);
	if (!second || first == text || num_i64(number, &class) < 0 || class < 1 || num_u64(second + 1, &rate) < 0)
		return err_set(e, ERR_CONFIG, 0, "is not DEVICE:CLASS:KBITS");
	*word = arena_strdup(a, text);
	return *word ? 0 : err_oom(e);
}

static const struct ext_value value_rate = { "DEVICE:CLASS:KBITS", parse_rate, value_print_text };
VALUE_CHOICE(value_level, levels, "disabled|stateless|stateful|full")

static const struct ext_row rows[] = {
	{ .name = "rate", .kind = EXT_LIST, .flags = EXT_INERT, .offset = EXT_MEMBER(struct traffic, rate), .value = &value_rate,
	  .help = "Highest rate of outgoing traffic of a class" },
	{ .name = "netfilter", .flags = EXT_INERT, .offset = EXT_MEMBER(struct traffic, netfilter), .value = &value_level,
	  .help = "What of netfilter may be used" },
	EXT_ROWS_END,
};

const struct ext ext_traffic = {
	.name = "traffic",
	.rows = rows,
	.config_size = sizeof(struct traffic),
};
