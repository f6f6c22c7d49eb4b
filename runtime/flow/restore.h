/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the rows of restore share (steps_restore.c, restore_place.c). */

#include "oci/image.h"
#include "runtime/flow/criu.h"
#include "runtime/flow/flow.h"

#define RESTORE_NAMESPACES 2 /* handed over by descriptor: network and pid */
#define RESTORE_STREAMS 3

struct restore_mount {       /* one from outside: a view of its cgroup, one to be mounted once more, or a place of the host */
	const char *point;
	const char *view;    /* or NULL */
	const struct oci_image_mount *again; /* or NULL */
	const char *base;    /* what the administrator names, links and all; or NULL */
	const char *rest;    /* below it, "" for itself: the container may write there, and no link is followed */
	ssize_t source;      /* index of the document's mount that has this base, or -1 */
};

struct restore {
	struct criu criu;
	struct criu_dirs dirs;
	struct oci_image image;
	struct restore_mount *mounts;
	size_t n_mounts;
	struct criu_inherited inherit[RESTORE_NAMESPACES + RESTORE_STREAMS];
	size_t n_inherit;
	int fds[RESTORE_NAMESPACES];
	int network; /* its namespace, as long as the restore can fail: CRIU may end the processes first; -1: it is not the container's own */
	bool held;   /* the network */
	bool failed; /* CRIU */
};

/* Neither what is in the container's cgroup nor below it comes back. */
static inline bool restore_ignores_cgroups(const struct flow *f)
{
	return f->o->criu->cgroups == CRIU_CGROUPS_IGNORE || f->restore->image.no_cgroups;
}

/* Where CRIU finds one of restore.mounts, other than a view: in the directory of all containers, which is covered for that. */
#define RESTORE_PLACE "%s/%zu"

/* In CRIU's process, before it is CRIU: `prepare` of struct criu_child, with the flow. */
int restore_place(struct criu_child *child, void *flow, struct err *e);
