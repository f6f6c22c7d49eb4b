/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who the process is: ids, groups, capabilities, no_new_privs, keyring.
 *
 * Without a capabilities object the process has none, root or not, and neither has its bounding set (runc and crun
 * do the same).  Files: creds.c, keyring.c. */

#include <stdbool.h>
#include <stdint.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

/* The bounding set first (needs CAP_SETPCAP of the old state).  Capabilities that we do not have cannot be granted:
 * they are returned in *ret_missing as a mask (bit N: capability N) and left out (the spec: warn and go on).
 * creds_bounding() and creds_caps() each set their own mask: or them for one warning. */
int creds_bounding(const struct oci_capabilities *caps, uint64_t *ret_missing, struct err *e);

/* keepcaps, setgroups (its failure is none when /proc/self/setgroups, read from `procfs`, says deny), setresgid,
 * setresuid, umask.  A change of ids clears the dumpable flag and the parent death signal. */
int creds_ids(const struct oci_user *user, int procfs, bool keep_groups, struct err *e);

/* permitted, effective, inheritable, then ambient.  After creds_bounding() and creds_ids(). */
int creds_caps(const struct oci_capabilities *caps, uint64_t *ret_missing, struct err *e);

bool creds_capable(int cap); /* in the effective set of this process */
int creds_no_new_privs(struct err *e);

/* Join the session keyring "_ses.ID" and let the payload's user search it; without an id, a new one that only heirs have.  Its SELinux
 * label: lsm_set_keycreate() before and, with NULL, after. */
int keyring_join(const char *id, bool in_userns, struct err *e);

/* HOME of that uid from /etc/passwd inside "/" (after the pivot), bounded read, no NSS; "/" when unknown.  Writes to buf. */
void creds_home(uint32_t uid, char *buf, size_t size);
