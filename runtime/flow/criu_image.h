/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "runtime/base/err.h"

/* Files from outside that a container has open (its standard streams) are others after a restore.  CRIU would insist on the same size
 * and mode, and go to the same place in them: in its list of open files these are taken out, and what is written is appended. */
int criu_free_external_files(int images_fd, struct err *e);

/* Mounts from outside that hear of the host's mounts (slaves): CRIU would have all that have one master hear of what the source of one of
 * them does, which works only where that shows the sources of the others as well.  After this each has a master of its own, and its
 * own source it is. */
int criu_part_external_mounts(int images_fd, struct err *e);
