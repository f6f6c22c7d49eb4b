/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Network interfaces that go from one network namespace to another: those of the document for good (netdev.c), those of an
 * extension on loan (netdev_lend.c). */

#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/linux/netlink.h"

int net_loopback_up(struct err *e);

/* Move each interface into the network namespace `netns_fd` under its name there, with all its permanent global addresses, and
 * bring it up.  "name" may be a template with %d.  Error when the name exists there.  Undo: what was moved before the failure
 * comes back under its old name with its addresses.  netdev_undo() is for the process that called netdev_move(): another
 * one knows only the document's names, not what a template became.  Both must run on the host's side, with its /proc. */
int netdev_move(const struct oci_net_devices *devices, int netns_fd, struct err *e);
void netdev_undo(const struct oci_net_devices *devices, int netns_fd);

/* ---- on loan ---- */

struct netdev_address { /* as ip(8) writes them */
	const char *local, *peer, *broadcast;
	int64_t prefix, scope, flags, metric;
};

struct netdev_addresses {
	struct netdev_address *v;
	size_t n;
};

/* What an interface was on the host; enough to make a virtual one again. */
struct netdev_record {
	const char *name, *kind, *bus;    /* as in struct net_link; NULL: none */
	const char *mac, *permanent_mac, *data; /* hexadecimal */
	const char *lower, *master;       /* names */
	struct oci_strs altnames;
	int64_t flags, mtu, txqueuelen;
	int64_t index;                    /* in the other namespace; 0: it was not moved yet */
	int64_t host_index, lower_index;  /* on the host before that, its own and of `lower` or `peer`; 0: an older version kept none */
	struct netdev_addresses addresses;
	struct netdev_record *peer;       /* of a veth: the other end, where that is on the host */
};

/* ERR_CONFIG, num ENODEV: there is none. */
int netdev_describe(struct netlink *host, const char *name, struct netdev_record *ret, struct arena *a, struct err *e);

/* Moves it as netdev_move() does, under its name, and keeps its index there. */
int netdev_lend(struct netlink *host, struct netlink *inside, struct netdev_record *d, struct err *e);

/* Where something is that the host has lent. */
struct netdev_place {
	int netns;     /* descriptor; -1: not lent */
	int64_t index; /* there; 0: not known */
};

/* What the host has lent besides. */
struct netdev_loans {
	struct netdev_place lower; /* what it stands on, or its other end */
	const int *spaces;         /* the namespaces that anything is lent to: descriptors, or -1 */
	size_t n;
};

/* Wherever it is now - in the namespace, given back by the kernel, or destroyed with it - it is on the host with its name,
 * hardware address, size, flags, further names, master and addresses as they were before.  What those inside have set does not
 * come with it, nor does what they have built on it in that namespace or moved on from there, and what they have put into its place is
 * removed.  May be called again.  `inside` may be NULL.  ERR_STATE, num ENODEV: it is nowhere that can be seen from here, and cannot be
 * made again. */
int netdev_return(struct netlink *host, struct netlink *inside, const struct netdev_record *d, const struct netdev_loans *loans,
		  struct err *e);

/* What was built on it inside and is in yet another namespace now goes. */
void netdev_remove_uppers(struct netlink *inside, const struct netdev_record *d, int ns_fd);

/* Is it of a kind that the kernel destroys with what it stands on, and is that no more on the host?  Then it is nowhere. */
bool netdev_is_orphan(struct netlink *host, const struct netdev_record *d);

/* ---- shared by both ---- */

/* The interface and its permanent global addresses. */
int netdev_transfer(struct netlink *from, struct netlink *to, const struct net_link *l, const char *name, bool up,
		    struct net_link *ret, struct err *e);
int netdev_choose_name(struct netlink *to, const char *name, char out[IFNAMSIZ], struct err *e);
int netdev_set_up(struct netlink *n, int index, struct err *e);
