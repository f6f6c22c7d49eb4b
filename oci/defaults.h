/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `spec` writes: a document that runs a shell from ./rootfs, the same in content as runc's.  Tabs, a final
 * newline.  Rootless: a user namespace that maps root to uid and gid, no network namespace and no fresh sysfs
 * (which needs one), no limits. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/str.h"

#define OCI_VERSION "1.3.0" /* of the spec that this program follows */

int defaults_spec(bool rootless, uint32_t uid, uint32_t gid, struct str *ret); /* 0 or -ENOMEM */
