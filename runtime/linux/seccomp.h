/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* System call filters.
 *
 * The host compiles (libseccomp, opened on first use) or takes the program from the cache; init only loads bytes.
 * The program begins with a stub that answers ENOSYS for system calls newer than the profile knows
 * (oci-contract 5.7). */

#include <linux/filter.h>
#include <stdbool.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct seccomp_program {
	struct sock_filter *insns; /* in the arena, or NULL: nothing to load */
	unsigned short len;
	unsigned flags; /* for seccomp(2) */
	bool listener;  /* loading it gives a notify descriptor; that somebody listens is for the caller to see to */
};

/* `cache_dirfd`: directory of compiled programs that only we can write to, or -1.  Entries are content-addressed by all
 * that goes in (document, our version, kernel, machine; the library's file is compared), appear complete or not at all,
 * and are checked for owner, mode, length and sum before they are used; at most 64, those used longest ago go.  A hit
 * loads no library.  SPEC_ALLOW is set when the document has no flags; TSYNC is ignored. */
int seccomp_compile(const struct oci_seccomp *s, int cache_dirfd, struct seccomp_program *ret, struct arena *a,
		    struct err *e);

/* Load into the calling process.  Returns the listener descriptor (CLOEXEC) or 0. */
int seccomp_load(const struct seccomp_program *p, struct err *e);

/* Send the listener to the agent (linux.seccomp.listenerPath): one ContainerProcessState message. */
int notify_send(const char *listener_path, const char *process_state_json, const int *fds, size_t n, struct err *e);

/* For `features`. */
bool seccomp_available(void);
const char *const *seccomp_archs(void); /* that the library of the build knows; NULL-terminated */
int seccomp_version(char *buf, size_t size);
