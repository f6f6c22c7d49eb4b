// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/fd.h"

#include <stdio.h>

struct fd_path fd_path(int fd)
{
	struct fd_path p;

	snprintf(p.s, sizeof p.s, "/proc/self/fd/%d", fd);
	return p;
}
