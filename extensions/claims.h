/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What of the host's devices is lent to which container: a file per network interface or PCI function, in one directory for
 * all containers of this machine, under whatever --root they are kept.
 *
 * It is written before the device is taken and removed when it was given back: whoever is killed at whatever moment, what
 * is to be given back, and how it was, is found here.  And what is in here is not lent again. */

#include "extensions/node.h"
#include "runtime/flow/ext.h"
#include "runtime/linux/netdev.h"

#define CLAIMS_DIR "/run/vzrun/.claims"

struct pci_record { /* a function as it was on the host */
	const char *driver;   /* that it came from; NULL: none */
	const char *override; /* its driver_override; NULL: none */
	bool vfio;            /* given by VFIO, whoever bound it to vfio-pci */
	struct nodes nodes;   /* given */
};

struct claim {
	const char *kind;           /* "netdev", "pci" */
	const char *name;           /* "eth1", "0000:00:04.0" */
	const char *root, *id;      /* whose */
	int64_t host_ns;            /* netdev: inode of the network namespace that it comes from */
	const char *of;             /* netdev: the PCI function that it was lent for, or NULL */
	struct netdev_record *netdev;
	struct pci_record *pci;
};

/* The registry under its lock. */
struct claims {
	int dir;
};

#define CLAIMS_NONE ((struct claims){ -1 })

/* Waits for the lock, but not for ever: ERR_STATE, num EBUSY. */
int claims_open(struct claims *ret, struct err *e);
/* The same for who only gives back: 0 when there never was a claim. */
int claims_open_any(struct claims *ret, struct err *e);
void claims_close(struct claims *c);
#define cleanup_claims __attribute__((cleanup(claims_close)))

struct claim_list {
	struct claim *v;
	size_t n;
};

/* A file that cannot be read is a warning, and left out. */
int claims_list(const struct claims *c, struct claim_list *ret, struct arena *a, struct err *e);
const struct claim *claims_find(const struct claim_list *list, const char *kind, const char *name);
int64_t claims_own_ns(void); /* inode of our network namespace */
const char *claims_root(const struct ext_env *env); /* what a claim calls its root; NULL: out of memory */
bool claim_is_of(const struct claim *claim, const struct ext_env *env);

int claims_put(const struct claims *c, const struct claim *claim, struct err *e);
void claims_drop(const struct claims *c, const struct claim *claim);

/* A network namespace that is to stay as long as something lent is in it: otherwise it ends with its last process, and takes
 * virtual interfaces with it.  Held by a mount beside the claim.  claims_pinned() returns a descriptor, or -1. */
int claims_pin(const struct claims *c, const struct claim *claim, int netns_fd, struct err *e);
int claims_pinned(const struct claims *c, const struct claim *claim);

/* Of the key of that name: what is lent does not go into images. */
int claims_refuse_checkpoint(const struct ext_env *env, const char *key, const char *name, struct err *e);

/* For ext.reclaim and the undo of a point: calls `give` for every claim of the kind that the env's container has, or (no id)
 * that a container has which is no more.  What cannot be given back stays claimed, and does not keep others from it. */
typedef int (*claims_give)(const struct claims *c, const struct claim *claim, struct arena *a, struct err *e);
int claims_reclaim(const struct ext_env *env, const char *kind, claims_give give, struct err *e);
void claims_undo(const struct ext_env *env, const char *kind, claims_give give); /* the same; failures are warnings */
