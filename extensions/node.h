/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Devices of the host in a container: nodes below its /dev, and rules. */

#include "runtime/flow/ext.h"

/* What was given, by number: the host's node may be another one, or gone, when it is taken back. */
struct node {
	const char *word;   /* "fuse:rw": ends with ":ACCESS" */
	const char *path;   /* "/dev/fuse" */
	int64_t type, major, minor;
	/* Whether the node in the container was made for this; not where the document has it, or it was there before.  Not set:
	 * not known, as of what the container was created with, or of records of versions that kept nothing of it. */
	struct opt_bool made;
};

struct nodes {
	struct node *v;
	size_t n;
};

extern const struct oci_type node_type;

struct oci_device_rule node_rule_for(int64_t type, int64_t major, int64_t minor, const char *access, struct arena *a);
struct oci_device_rule node_rule(const struct node *n, struct arena *a);

/* Marks a node that the document has by itself: it is not ours to remove. */
void node_mark(const struct ext_env *env, struct node *n);

/* At creation: one of the document's devices more, where it has not that node by itself; and its rule behind the others. */
int node_to_document(struct ext_env *env, struct node *n, struct err *e);
int node_device_to_document(struct ext_env *env, const struct oci_device *d, struct err *e);
int node_rules_to_document(struct ext_env *env, const struct oci_device_rules *more, struct err *e);

/* What an extension gives, or one function of the host. */
struct node_grant {
	struct nodes nodes;
	struct oci_device_rules rules;
};

/* In update(): one becomes the other - nodes in the container, rules in the cgroup, the env and the record - or nothing is changed.
 * A node that a rule of somebody else allows by its number stays; so does one that was not made for this, and what is in a
 * directory of the host's.  Whether a node was made is kept in `now`. */
int node_grant_change(struct ext_env *env, const struct node_grant *was, const struct node_grant *now, struct err *e);
