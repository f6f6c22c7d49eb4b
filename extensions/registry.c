// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/registry.h"

/* `set` applies in this order: what bounds damage first. */
static const struct ext *const list[] = {
	&ext_memory,
	&ext_cpu,
	&ext_devices,
	&ext_beancounters,
	&ext_traffic,
	&ext_privileges,
	&ext_hostname,
	&ext_proc,
	&ext_netdev,
	&ext_pci, /* behind it: interfaces come back before their function does */
	&ext_reboot,
	&ext_io, /* follows all that bring devices */
#ifdef VZRUN_FAULT_INJECTION
	&ext_probe,
#endif
	NULL,
};

const struct ext *const *extensions(void)
{
	return list;
}
