/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* rtnetlink: interfaces, their addresses and routes, in one network namespace.  Only netlink*.c know libmnl, which is
 * opened on first use.  Functions without a struct err return 0 or -errno. */

#include <linux/if_addr.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

struct netlink {
	void *sock;
	unsigned seq;
	int ns_fd; /* of its namespace */
};

#define NETLINK_ALTNAMES 8 /* of which we take note */

#define NETLINK_NONE ((struct netlink){ .ns_fd = -1 })

/* `ns_fd`: a network namespace, borrowed for the call; -1: the caller's own. */
int netlink_open(struct netlink *n, int ns_fd, struct err *e);
void netlink_close(struct netlink *n);
#define cleanup_netlink __attribute__((cleanup(netlink_close)))

struct net_bytes {
	size_t n;
	uint8_t v[248];
};

struct net_link {
	int index;
	int lower, master; /* indices: what it stands on or the other end of a pair, what it is a port of; 0: nothing */
	bool lower_elsewhere; /* `lower` is of another namespace: */
	int lower_ns;         /* that one, by net_ns_id() */
	unsigned flags;    /* IFF_* */
	uint32_t mtu, txqueuelen;
	char name[IFNAMSIZ];
	char kind[32];     /* "veth"; "" for what has a driver */
	char bus[64];      /* "0000:00:04.0": the device that it is an interface of */
	struct net_bytes mac, permanent_mac;
	struct net_bytes data; /* what its kind keeps of it */
	size_t n_altnames;
	char altnames[NETLINK_ALTNAMES][128];
};

/* What the namespace of `n` calls another one; *ret is below zero where it has no number for it. */
int net_ns_id(struct netlink *n, int ns_fd, int *ret);

/* All that the namespace of `n` has a number for, as far as there is room. */
int net_ns_ids(struct netlink *n, int *v, size_t room, size_t *ret_n);

/* -ENODEV when there is none. */
int net_link_find(struct netlink *n, const char *name, struct net_link *ret);
int net_link_by_index(struct netlink *n, int index, struct net_link *ret);

/* All of them, until `each` returns true. */
int net_link_each(struct netlink *n, bool (*each)(const struct net_link *l, void *arg), void *arg);

/* The same, and net_link_delete(), in the namespace that is called `ns` in that of `n`.  What is told of them is in terms of `n`. */
int net_link_each_in(struct netlink *n, int ns, bool (*each)(const struct net_link *l, void *arg), void *arg);
int net_link_delete_in(struct netlink *n, int ns, int index);

/* One request moves and renames. */
int net_link_move(struct netlink *n, int index, int ns_fd, const char *name);

struct net_change {
	unsigned flags, mask; /* of IFF_* */
	const char *name;
	const struct net_bytes *mac;
	const int *master;
	uint32_t mtu, txqueuelen;
	bool set_txqueuelen; /* for which 0 is a value */
};

int net_link_change(struct netlink *n, int index, const struct net_change *c);

int net_link_delete(struct netlink *n, int index);

/* Further names of it; none is a new one where it is there already. */
int net_link_add_altname(struct netlink *n, int index, const char *name);
int net_link_drop_altname(struct netlink *n, int index, const char *name);

struct net_new {
	const char *name, *kind;
	const struct net_bytes *mac, *data; /* may be NULL */
	uint32_t mtu;
	int lower;
	const struct net_new *peer; /* of a veth */
};

int net_link_new(struct netlink *n, const struct net_new *l);

/* Is a default route of the main table on it? */
int net_link_has_default_route(struct netlink *n, int index, bool *ret);

struct net_address {
	uint8_t family, prefix, scope;
	uint32_t flags, priority;
	uint8_t size; /* 4 or 16 */
	bool has[IFA_BROADCAST + 1];
	uint8_t bytes[IFA_BROADCAST + 1][16]; /* by IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST */
};

struct net_addresses {
	struct net_address *v;
	size_t n;
};

void net_addresses_done(struct net_addresses *a);
#define cleanup_net_addresses __attribute__((cleanup(net_addresses_done)))

/* The permanent ones of global scope: others (link-local, from router advertisements, leases) are made anew by whoever made
 * them. */
int net_addresses_read(struct netlink *n, int index, struct net_addresses *ret);
int net_address_add(struct netlink *n, int index, const struct net_address *a);
