/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The program's own file is never within reach of a container.
 *
 * A process inside can reach the executable of whatever enters it, by /proc/PID/exe or by a payload "#!/proc/self/exe", and
 * could write to it (CVE-2019-5736).  So the commands that put a process inside run from a read-only mount of the file that is in
 * no namespace or, where that cannot be made, from a sealed copy in memory. */

#include "runtime/base/err.h"

/* Replaces the process by one that runs from there when the command needs it and this is not it yet. */
int self_protect(int argc, char **argv, struct err *e);
