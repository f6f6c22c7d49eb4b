/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "runtime/base/err.h"

/* Files from outside that a container has open (its standard streams) are others after a restore.  CRIU would insist on the same size
 * and mode, and go to the same place in them: in its list of open files these are taken out, and what is written is appended. */
int criu_free_external_files(int images_fd, struct err *e);
