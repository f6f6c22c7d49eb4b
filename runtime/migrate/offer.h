/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a container needs to run elsewhere, and whether a host has it. */

#include "oci/migration.h"
#include "runtime/flow/container.h"
#include "runtime/flow/criu_rpc.h"

#define PROBLEMS_MAX 100 /* of each kind; the last one then says how many more */

struct problems {
	struct problem_list {
		struct oci_strs strs;
		size_t more;
	} list, doubts;
	struct arena *arena;
	bool failed;
};

/* It cannot move; it may, but what is said may be the reason when something fails. */
void problem(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doubt(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Everything of the offer but token, id, bundle, marker, the size of the files and CRIU's version.  `spec`: the document as it will be there. */
int offer_fill(struct container *c, const struct oci_spec *spec, struct migration_offer *ret, struct arena *a, struct err *e);

/* The lists of hooks whose programs are the host's; how many there are. */
#define OFFER_HOOKS 4
size_t offer_hooks(const struct oci_hooks *h, const struct oci_hook_list *ret[OFFER_HOOKS]);

/* All that stands in the way here, at once. */
void offer_check(const struct migration_offer *o, const char *root, const char *work, struct problems *p, struct arena *a);

/* Where images lie, on either side. */
const char *offer_tmp(void);

/* Whether so many bytes are free there. */
void offer_check_space(const char *what, const char *dir, uint64_t need, struct problems *p);

/* Whether memory can be handed over later, to the one or the other side. */
void offer_check_lazy(const struct criu_features *has, struct problems *p);
