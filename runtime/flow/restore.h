/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the rows of restore share (steps_restore.c, restore_place.c). */

#include "oci/image.h"
#include "runtime/flow/criu.h"
#include "runtime/flow/flow.h"

#define RESTORE_NAMESPACES 2 /* handed over by descriptor: network and pid */
#define RESTORE_STREAMS 3

struct restore_mount {       /* one from outside */
	const char *point;
	const struct oci_image_mount *again; /* to be mounted once more, or NULL */
	int source;          /* index of the document's mount of which a clone is attached for CRIU, or -1 */
	const char *path;    /* of the host; with a source: below it, "" for itself */
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
	bool held; /* the network */
};

/* Whether a clone of the document's mount is attached for CRIU, which does not get to its source. */
bool restore_is_attached(const struct flow *f, size_t mount);

/* In CRIU's process, before it is CRIU: `prepare` of struct criu_child, with the flow. */
int restore_place(struct criu_child *child, void *flow, struct err *e);
