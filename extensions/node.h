/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Devices of the host in a container: nodes below its /dev, and rules. */

#include "runtime/flow/ext.h"

/* What was given, by number: the host's node may be another one, or gone, when it is taken back. */
struct node {
	const char *word;   /* "fuse:rw": ends with ":ACCESS" */
	const char *path;   /* "/dev/fuse" */
	int64_t type, major, minor;
};

struct nodes {
	struct node *v;
	size_t n;
};

extern const struct oci_type node_type;

bool node_is_denied(const struct node *n); /* ":none" */

struct oci_device_rule node_rule_for(int64_t type, int64_t major, int64_t minor, const char *access, struct arena *a);
struct oci_device_rule node_rule(const struct node *n, struct arena *a);

/* At creation: one of the document's devices more, and its rule behind the others. */
int node_to_document(struct ext_env *env, const struct node *n, struct err *e);
int node_rules_to_document(struct ext_env *env, const struct oci_device_rules *more, struct err *e);

/* In a container that lives.  In a user namespace the host's node is bound: one made there could not be opened. */
int node_change(const struct ext_env *env, const struct node *n, bool add, struct err *e);

/* In update(): the rules `was` of an extension become `now`, for the cgroup, the env and the record.  What no other rule
 * of the list allows is denied from then on. */
int node_rules_change(struct ext_env *env, const struct oci_device_rules *was, const struct oci_device_rules *now, struct err *e);
