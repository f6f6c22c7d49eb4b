/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who the process is: ids, groups, capabilities, no_new_privs, keyring.  Only creds.c knows libcap. */

#include <stdbool.h>
#include <stdint.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

/* The bounding set first (needs CAP_SETPCAP of the old state).  Capabilities that we do not have cannot be granted:
 * they are returned in *ret_missing as a mask and left out (the spec: warn and go on). */
int creds_bounding(const struct oci_capabilities *caps, uint64_t *ret_missing, struct err *e);

/* keepcaps, setgroups (skipped when /proc/self/setgroups says deny, read from procfs), setresgid, setresuid, umask. */
int creds_ids(const struct oci_user *user, int procfs, bool keep_groups, struct err *e);

/* permitted, effective, inheritable, then ambient; without a capability object: root keeps all, others none. */
int creds_caps(const struct oci_capabilities *caps, uint64_t *ret_missing, struct err *e);

int creds_no_new_privs(struct err *e);

/* Join the session keyring "_ses.ID" (label: SELinux keycreate, or NULL) and let `uid` search it. */
int keyring_join(const char *id, bool in_userns, struct err *e);

/* HOME of that uid from /etc/passwd inside "/" (after the pivot), bounded read, no NSS; "/" when unknown.  Writes to buf. */
void creds_home(uint32_t uid, char *buf, size_t size);
