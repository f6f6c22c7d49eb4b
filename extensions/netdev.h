/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Network interfaces of the host on loan to a container, for whoever lends some. */

#include "extensions/claims.h"

#define NETDEV_KIND "netdev" /* of a claim */

/* Both sides of a loan. */
struct netdev_ends {
	struct netlink host, inside;
	int netns; /* the container's */
};

#define NETDEV_ENDS_NONE ((struct netdev_ends){ NETLINK_NONE, NETLINK_NONE, -1 })

int netdev_ends_open(struct netdev_ends *ret, const struct ext_env *env, struct err *e);
void netdev_ends_close(struct netdev_ends *ends);
#define cleanup_netdev_ends __attribute__((cleanup(netdev_ends_close)))

/* The reason why the host cannot spare it, as an error without a place. */
int netdev_may_lend(const struct ext_env *env, const struct claim_list *claims, const char *name, struct err *e);

/* Claimed, then moved.  `of`: the PCI function that it is lent for, or NULL. */
int netdev_lend_to(const struct ext_env *env, const struct claims *claims, struct netdev_ends *ends, const char *name, const char *of,
		   struct err *e);

/* claims_give: back on the host, no longer claimed. */
int netdev_give_back(const struct claims *claims, const struct claim *claim, struct arena *a, struct err *e);
