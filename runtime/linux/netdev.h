/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Network interfaces.  Only netdev.c knows libmnl (opened on first use; loopback needs only an ioctl). */

#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

int net_loopback_up(struct err *e);

/* Move each interface into the network namespace `netns_fd` under its name there, with all its permanent global addresses, and
 * bring it up.  "name" may be a template with %d.  Error when the name exists there.  Undo: what was moved before the failure
 * comes back under its old name with its addresses.  netdev_undo() is for the process that called netdev_move(): another
 * one knows only the document's names, not what a template became.  Both must run on the host's side, with its /proc. */
int netdev_move(const struct oci_net_devices *devices, int netns_fd, struct err *e);
void netdev_undo(const struct oci_net_devices *devices, int netns_fd);
