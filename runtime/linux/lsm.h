/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* AppArmor and SELinux, by procfs attributes through the private procfs.  All files: "thread-self/attr/...". */

#include <stdbool.h>

#include "runtime/base/err.h"

/* Is the LSM active here?  An asked-for label on a system without it is an error (config.md). */
int lsm_check(const char *apparmor_profile, const char *selinux_label, const char *mount_label, struct err *e);
/* Takes effect at the next exec, with or without no_new_privs being set until then. */
int lsm_set_exec(int procfs, const char *apparmor_profile, const char *selinux_label, bool no_new_privs,
		 struct err *e);
int lsm_set_keycreate(int procfs, const char *selinux_label, struct err *e); /* NULL clears */
