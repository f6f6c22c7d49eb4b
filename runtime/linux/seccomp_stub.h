/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Instructions put before a filter; pure, used by seccomp.c only.
 *
 * A system call newer than the profile must not be answered with EPERM: C libraries fall back to an older call only
 * on ENOSYS (clone3, faccessat2, ...).  The stub answers ENOSYS for every number above the largest one that the
 * profile names for that architecture; everything else goes on to the filter. */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers from `split` on are another table of the same architecture (x32 on x86_64) or private calls of it (ARM):
 * they are compared with `high`, or left to the filter when that is below 0. */
struct stub_arch {
	uint32_t audit;    /* AUDIT_ARCH_* */
	int64_t max;       /* largest number named, -1: leave all to the filter */
	uint32_t split;    /* 0: none */
	int64_t high;
	bool zero_is_unknown; /* s390: the kernel turns unknown numbers into 0 */
};

#define STUB_ARCHS_MAX 32
#define STUB_INSNS_MAX (1 + STUB_ARCHS_MAX * 10)

/* Writes to out, which holds STUB_INSNS_MAX.  Returns the number of instructions. */
size_t seccomp_stub_make(const struct stub_arch *archs, size_t n, struct sock_filter *out);
