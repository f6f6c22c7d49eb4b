/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words of the documents and of the command line <-> the kernel's numbers.
 *
 * A table is a plain list that ends with a NULL word.  Where two words mean one value the first is the one that is
 * printed.  Words that the spec names are all here, whether or not this build or kernel can apply them. */

#include <stddef.h>
#include <stdint.h>

struct oci_name {
	const char *word;
	int64_t value;
};

struct oci_names {
	const struct oci_name *v;
	const char *invalid; /* begins the text for an unknown word; NULL: "unknown value" */
};

int names_value(const struct oci_names *names, const char *word, int64_t *ret); /* 0 or -ENOENT */
const char *names_word(const struct oci_names *names, int64_t value);           /* NULL when there is none */

extern const struct oci_names names_namespaces;      /* "pid" -> CLONE_NEWPID */
extern const struct oci_names names_rlimits;         /* "RLIMIT_NOFILE" -> RLIMIT_NOFILE */
extern const struct oci_names names_hooks;           /* "prestart" ... -> enum oci_hook_kind */
extern const struct oci_names names_device_types;    /* "c", "b", "u" (-> 'c'), "p" */
extern const struct oci_names names_rule_types;      /* "a", "b", "c" */
extern const struct oci_names names_seccomp_actions; /* enum oci_seccomp_action */
extern const struct oci_names names_seccomp_ops;     /* enum oci_seccomp_op */
extern const struct oci_names names_seccomp_archs;   /* the number has no meaning outside */
extern const struct oci_names names_seccomp_flags;   /* SECCOMP_FILTER_FLAG_* */
extern const struct oci_names names_sched_policies;  /* SCHED_* */
extern const struct oci_names names_sched_flags;     /* SCHED_FLAG_* */
extern const struct oci_names names_ioprio_classes;  /* IOPRIO_CLASS_* */
extern const struct oci_names names_mpol_modes;      /* MPOL_* */
extern const struct oci_names names_mpol_flags;      /* MPOL_F_* */
extern const struct oci_names names_personalities;   /* PER_* */
extern const struct oci_names names_propagations;    /* MS_SHARED, | MS_REC for the "r" forms */

enum oci_hook_kind {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
};

/* Capabilities are numbered without gaps from 0; a document's word has its "CAP_". */
#define OCI_CAPS 41
int names_cap(const char *word);       /* the number, or -ENOENT */
const char *names_cap_word(int cap);   /* NULL above the last */

/* A signal as `kill` takes it: "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3", "SIGRTMAX-1".  Numbers are 1..64;
 * 0 (which only asks) is refused.  -EINVAL when it is none of these. */
int names_signal(const char *text, int *ret);
/* "SIGTERM", "SIGRTMIN+3"; NULL when it is no signal.  Writes into buf where the name must be made. */
const char *names_signal_word(int sig, char *buf, size_t size);
