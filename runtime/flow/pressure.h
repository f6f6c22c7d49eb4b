/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Triggers of pressure stall information (Documentation/accounting/psi.rst) in restored processes.
 *
 * Who wants to hear of pressure writes a line into "memory.pressure" or /proc/pressure/memory and polls that descriptor.  The kernel
 * does not show the line to anybody, so CRIU opens the file alone; polled without a trigger it is in error for ever, and an event
 * loop such as systemd's turns without a pause. */

#include "runtime/cgroup/cgroup.h"

/* What systemd asks for unless it is told otherwise, sd_event_add_memory_pressure(3): told when processes have stood still for 200 ms
 * of 2 s.  A window of whole 2 s needs no privilege. */
#define PRESSURE_TRIGGER "some 200000 2000000"

/* Writes it to all such descriptors that can be written; ones that have a trigger keep it.  Nothing of it is worth a failure. */
void pressure_rearm(const struct cgroup *cg);
