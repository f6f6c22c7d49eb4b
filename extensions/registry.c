// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/registry.h"

#define LIST_EXTENSION(name) &ext_##name,

static const struct ext *const list[] = { EACH_EXTENSION(LIST_EXTENSION) NULL };

const struct ext *const *extensions(void)
{
	return list;
}
