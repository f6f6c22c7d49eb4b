/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The extensions of this build, in the order in which they act.  A new one: its file, a line here, a line in
 * extensions.mk, a test. */

#include "runtime/flow/ext.h"

extern const struct ext ext_beancounters, ext_cpu, ext_devices, ext_hostname, ext_io, ext_memory, ext_netdev, ext_pci, ext_privileges, ext_probe, ext_proc,
	ext_reboot, ext_traffic;

const struct ext *const *extensions(void); /* ends with NULL */
