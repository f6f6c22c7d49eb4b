/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PCI functions of the host, as sysfs tells of them.  `sysfs`: where that is, "/sys". */

#include "extensions/node.h"

#define PCI_SYSFS "/sys"
#define PCI_VFIO "vfio-pci"

struct pci_function {
	const char *name;     /* "0000:00:04.0" */
	const char *dir;      /* SYSFS/bus/pci/devices/NAME */
	const char *real;     /* "/devices/pci0000:00/0000:00:04.0", below sysfs */
	uint32_t class;       /* 0x020000 */
	const char *driver;   /* NULL: none */
	const char *override; /* driver_override; NULL: none */
	const char *group;    /* number of its IOMMU group; NULL: none */
	struct oci_strs members;    /* other functions of the group, without bridges: these are the kernel's own */
	struct oci_strs interfaces; /* network interfaces that are on the host */
	struct nodes nodes;   /* below /dev, readable and writable */
	uint64_t vfs;         /* virtual functions that are enabled */
};

/* "[dddd:]bb:dd.f" with hexadecimal digits, in its canonical form. */
int pci_parse(const char *text, const char **ret, struct arena *a, struct err *e);

/* ERR_CONFIG, num ENODEV: there is none. */
int pci_look(const char *sysfs, const char *name, struct pci_function *ret, struct arena *a, struct err *e);
bool pci_is_bridge(const struct pci_function *f);

/* Bind to a driver: `override` becomes driver_override (NULL: none), what is bound is unbound, and the kernel looks for a
 * driver again; `driver` is the one that must have it afterwards (NULL: none).  A driver that does not let go within ten
 * seconds is ERR_STATE, num EBUSY. */
int pci_bind(const char *sysfs, const char *name, const char *override, const char *driver, struct err *e);

/* The nodes of an IOMMU group that vfio has: /dev/vfio/vfio and /dev/vfio/GROUP. */
int pci_vfio_nodes(const char *sysfs, const char *group, struct nodes *ret, struct arena *a, struct err *e);
bool pci_has_vfio(const char *sysfs);
