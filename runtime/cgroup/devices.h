/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Device rules of a container (oci-contract 4.6). */

#include "runtime/cgroup/hier.h"

struct bpf_insn;

/* The program of cgroup v2 for these rules, for the kernel or for a test that interprets it. */
int cg_devices_program(const struct oci_device_rules *rules, struct bpf_insn **ret, size_t *ret_n, struct arena *a,
		       struct err *e);
