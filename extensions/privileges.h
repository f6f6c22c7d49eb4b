/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "NAME:on|off ..." (vzctl(8)), separated by blanks or commas; of a name that is there twice the last word counts. */

#include <stdint.h>

#include "runtime/flow/ext.h"

struct switches {
	uint64_t on, off; /* bit N: the Nth name */
};

/* `index`: the number of a name of that length, or below zero with an error.  `name`: in lower case into buf. */
int switches_parse(const char *text, int (*index)(const char *name, size_t len, struct err *e), struct switches *ret,
		   struct err *e);
void switches_print(const struct switches *s, const char *(*name)(int index, char *buf, size_t size), struct str *out);

extern const struct ext_value value_capabilities, value_features;
