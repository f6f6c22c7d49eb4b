/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The program's own file is never within reach of a container.
 *
 * A process inside can reach the executable of whatever enters it, by /proc/PID/exe or by a payload "#!/proc/self/exe", and
 * could write to it (CVE-2019-5736).  So the commands that put a process inside run from a sealed copy in memory. */

#include "runtime/base/err.h"

/* Replaces the process by the sealed copy when the command needs it and this is not the copy yet. */
int self_protect(int argc, char **argv, struct err *e);
