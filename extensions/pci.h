/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The extension pci: keys, checks and creation (pci.c), and a container that lives (pci_live.c). */

#include "extensions/netdev.h"
#include "extensions/pcidev.h"

#define PCI_KIND "pci" /* of a claim */

enum mode { MODE_UNSET, MODE_AUTO, MODE_VFIO };
enum sysfs { SYSFS_UNSET, SYSFS_RO, SYSFS_RW };

struct pci {
	struct oci_strs functions;
	unsigned mode, sysfs; /* enum mode, enum sysfs */
};

/* Why the host cannot spare it, as an error without a place. */
int pci_check(const struct ext_env *env, const struct claim_list *claims, const struct pci *p, const char *name, struct err *e);

/* Claimed, then bound where the mode says so; its nodes.  And the way back (claims_give). */
int pci_give(const struct ext_env *env, const struct claims *claims, const struct pci *p, const char *name, struct nodes *ret,
	     struct err *e);
int pci_give_back(const struct claims *claims, const struct claim *claim, struct arena *a, struct err *e);

bool pci_has_interfaces(const struct ext_env *env, const struct oci_strs *functions);
int pci_give_interfaces(const struct ext_env *env, const struct claims *claims, struct netdev_ends *ends, const char *name, struct err *e);

int pci_rules(const struct nodes *nodes, struct oci_device_rules *ret, struct arena *a, struct err *e);

/* ---- pci_live.c ---- */

int pci_update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e);
int pci_further_process(struct ext_env *env, const void *config, void *saved, struct err *e);
