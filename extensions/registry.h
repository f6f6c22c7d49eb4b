/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The extensions of this build.  A new one: its file, a line here, a line in extensions.mk, a test. */

#include "runtime/flow/ext.h"

#ifdef VZRUN_FAULT_INJECTION
#define OF_TESTS(X) X(probe)
#else
#define OF_TESTS(X)
#endif

/* In the order in which they act; `set` applies in it, too: what bounds damage first. */
#define EACH_EXTENSION(X)                                                                          \
	X(memory)                                                                                  \
	X(cpu)                                                                                     \
	X(devices)                                                                                 \
	X(beancounters)                                                                            \
	X(traffic)                                                                                 \
	X(privileges)                                                                              \
	X(hostname)                                                                                \
	X(proc)                                                                                    \
	X(netdev)                                                                                  \
	X(pci) /* behind it: interfaces come back before their function does */                    \
	X(reboot)                                                                                  \
	X(io) /* follows all that bring devices */                                                 \
	OF_TESTS(X)

#define DECLARE_EXTENSION(name) extern const struct ext ext_##name;
EACH_EXTENSION(DECLARE_EXTENSION)

const struct ext *const *extensions(void); /* ends with NULL */
