// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/seccomp_stub.h"

#include <errno.h>
#include <linux/seccomp.h>

#define NR_OFFSET   offsetof(struct seccomp_data, nr)
#define ARCH_OFFSET offsetof(struct seccomp_data, arch)

/* To the filter behind the stub; the distance is filled in at the end. */
#define TO_FILTER  BPF_STMT(BPF_JMP | BPF_JA, 0)
#define RET_ENOSYS BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

struct code {
	struct sock_filter *insns;
	size_t n;
};

static void put(struct code *c, struct sock_filter insn)
{
	c->insns[c->n++] = insn;
}

static void put_limit(struct code *c, int64_t max, bool zero_is_unknown)
{
	if (max >= 0) {
		put(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)max,
						    zero_is_unknown, !zero_is_unknown));
		if (zero_is_unknown)
			put(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
		put(c, (struct sock_filter)RET_ENOSYS);
	}
	put(c, (struct sock_filter)TO_FILTER);
}

static void put_arch(struct code *c, const struct stub_arch *a)
{
	size_t test = c->n, branch;

	put(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a->audit, 0, 0));
	put(c, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR_OFFSET));
	branch = c->n;
	if (a->split)
		put(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, a->split, 0, 0));
	put_limit(c, a->max, a->zero_is_unknown);
	if (a->split) {
		c->insns[branch].jt = (uint8_t)(c->n - branch - 1);
		put_limit(c, a->high, false);
	}
	c->insns[test].jf = (uint8_t)(c->n - test - 1);
}

size_t seccomp_stub_make(const struct stub_arch *archs, size_t n, struct sock_filter *out)
{
	struct code c = {.insns = out};

	put(&c, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARCH_OFFSET));
	for (size_t i = 0; i < n && i < STUB_ARCHS_MAX; i++)
		if (archs[i].max >= 0 || archs[i].high >= 0)
			put_arch(&c, &archs[i]);
	if (c.n == 1)
		return 0;
	for (size_t i = 0; i < c.n; i++)
		if (out[i].code == (BPF_JMP | BPF_JA))
			out[i].k = (uint32_t)(c.n - i - 1);
	return c.n;
}
