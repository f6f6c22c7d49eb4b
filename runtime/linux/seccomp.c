// SPDX-License-Identifier: LGPL-2.1-or-later

/* libseccomp's header and ours both declare these two names; only ours exist in this program. */
#define seccomp_load	lib_seccomp_load
#define seccomp_version lib_seccomp_version
#if HAVE_SECCOMP
#include <seccomp.h>
#endif
#undef seccomp_load
#undef seccomp_version

#include "runtime/linux/seccomp.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/names.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/seccomp_cache.h"
#include "runtime/linux/seccomp_stub.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef EM_X86_64
#define EM_X86_64 62
#endif

#define POINTER_MAX 64

/* ---- loading: what init does; needs no library ---- */

int seccomp_load(const struct seccomp_program *p, struct err *e)
{
	struct sock_fprog prog = {.len = p->len, .filter = p->insns};
	int fd;

	if (!p->insns)
		return 0;
	fd = sys_seccomp(SECCOMP_SET_MODE_FILTER, p->flags, &prog);
	if (fd < 0)
		return err_sys(e, "seccomp: load the filter (%u instructions, flags %#x)", p->len,
			       p->flags);
	return p->listener ? fd : 0; /* the kernel opens the listener with CLOEXEC */
}

/* ---- what the document asks for ---- */

static const char *action_word(int64_t action)
{
	const char *word = names_word(&names_seccomp_actions, action);

	return word ? word : "unknown action";
}

static bool takes_number(int64_t action)
{
	return action == OCI_ACT_ERRNO || action == OCI_ACT_TRACE;
}

static int check_number(const char *where, const char *member, int64_t action,
			const struct opt_u64 *n, struct err *e)
{
	/* The kernel cuts an errno to 4095; a tracer gets 16 bits. */
	uint64_t max = action == OCI_ACT_ERRNO ? 4095 : UINT16_MAX;

	if (!n->set)
		return 0;
	if (!takes_number(action))
		return err_set(e, ERR_CONFIG, 0, "%s/%s: %s takes no number", where, member,
			       action_word(action));
	if (n->v > max)
		return err_set(e, ERR_CONFIG, 0, "%s/%s: must be at most %u", where, member,
			       (unsigned)max);
	return 0;
}

static int check_rule(const struct oci_seccomp_rule *r, size_t i, struct err *e)
{
	char where[POINTER_MAX];
	int ret;

	snprintf(where, sizeof where, "/linux/seccomp/syscalls/%zu", i);
	ret = check_number(where, "errnoRet", r->action, &r->errno_ret, e);
	if (ret < 0)
		return ret;
	for (size_t n = 0; n < r->args.n; n++)
		if (r->args.v[n].index > 5)
			return err_set(e, ERR_CONFIG, 0,
				       "%s/args/%zu/index: a system call has arguments 0 to 5",
				       where, n);
	/* init reports to the host by write(2) after the filter is in place, before anybody can
	 * answer. */
	for (size_t n = 0; r->action == OCI_ACT_NOTIFY && n < r->names.n; n++)
		if (str_eq(r->names.v[n], "write"))
			return err_set(e, ERR_CONFIG, 0,
				       "%s/names/%zu: SCMP_ACT_NOTIFY cannot be used for write",
				       where, n);
	return 0;
}

static int check_document(const struct oci_seccomp *s, struct err *e)
{
	int r = check_number("/linux/seccomp", "defaultErrnoRet", s->default_action,
			     &s->default_errno_ret, e);

	if (r < 0)
		return r;
	if (s->default_action == OCI_ACT_NOTIFY)
		return err_set(e, ERR_CONFIG, 0,
			       "/linux/seccomp/defaultAction: SCMP_ACT_NOTIFY would stop the "
			       "runtime itself");
	for (size_t i = 0; i < s->syscalls.n; i++) {
		r = check_rule(&s->syscalls.v[i], i, e);
		if (r < 0)
			return r;
	}
	return 0;
}

#if HAVE_SECCOMP

/* ---- libseccomp, opened on first use ---- */

struct lib {
	void *handle;
	char path[256];
	typeof(lib_seccomp_version) *version;
	typeof(seccomp_api_get) *api_get;
	typeof(seccomp_init) *init;
	typeof(seccomp_release) *release;
	typeof(seccomp_arch_resolve_name) *arch_resolve_name;
	typeof(seccomp_arch_native) *arch_native;
	typeof(seccomp_arch_add) *arch_add;
	typeof(seccomp_attr_set) *attr_set;
	typeof(seccomp_syscall_resolve_name_arch) *syscall_resolve_name_arch;
	typeof(seccomp_rule_add_array) *rule_add_array;
	typeof(seccomp_export_bpf) *export_bpf;
};

static void lib_close(struct lib *l)
{
	if (l->handle)
		dlclose(l->handle);
	l->handle = NULL;
}
#define cleanup_lib __attribute__((cleanup(lib_close)))

static int lib_symbol(struct lib *l, void *member, const char *name, struct err *e)
{
	void *p = dlsym(l->handle, name);

	if (!p)
		return err_set(e, ERR_UNSUPPORTED, 0, "/linux/seccomp: libseccomp has no %s", name);
	memcpy(member, &p, sizeof p);
	return 0;
}

#define SYMBOL(name)                                                                               \
	{                                                                                          \
		offsetof(struct lib, name), "seccomp_" #name                                       \
	}

static int lib_open(struct lib *l, struct err *e)
{
	static const struct {
		size_t offset;
		const char *name;
	} symbols[] = {
		SYMBOL(version),
		SYMBOL(api_get),
		SYMBOL(init),
		SYMBOL(release),
		SYMBOL(arch_resolve_name),
		SYMBOL(arch_native),
		SYMBOL(arch_add),
		SYMBOL(attr_set),
		SYMBOL(syscall_resolve_name_arch),
		SYMBOL(rule_add_array),
		SYMBOL(export_bpf),
	};
	Dl_info info;

	l->handle = dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL);
	if (!l->handle)
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "/linux/seccomp: libseccomp cannot be loaded: %s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		int r = lib_symbol(l, (char *)l + symbols[i].offset, symbols[i].name, e);

		if (r < 0)
			return r;
	}
	if (dladdr((void *)(uintptr_t)l->init, &info) && info.dli_fname)
		snprintf(l->path, sizeof l->path, "%s", info.dli_fname);
	return 0;
}

/* ---- what kernel and library can do; asked only before a compilation ---- */

static int check_action(const struct lib *l, const char *where, int64_t action, struct err *e)
{
	static const uint32_t kernel[] = {
		[OCI_ACT_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
		[OCI_ACT_TRAP] = SECCOMP_RET_TRAP,
		[OCI_ACT_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
		[OCI_ACT_ERRNO] = SECCOMP_RET_ERRNO,
		[OCI_ACT_TRACE] = SECCOMP_RET_TRACE,
		[OCI_ACT_ALLOW] = SECCOMP_RET_ALLOW,
		[OCI_ACT_LOG] = SECCOMP_RET_LOG,
		[OCI_ACT_NOTIFY] = SECCOMP_RET_USER_NOTIF,
	};
	static const uint8_t api_level[] = {
		[OCI_ACT_KILL_PROCESS] = 3,
		[OCI_ACT_LOG] = 3,
		[OCI_ACT_NOTIFY] = 6,
	};
	uint32_t value;

	if (action < 0 || (size_t)action >= ARRAY_SIZE(kernel))
		return err_set(e, ERR_CONFIG, 0, "%s: unknown action", where);
	value = kernel[action];
	if (sys_seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &value) < 0 && errno == EOPNOTSUPP)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: this kernel does not know %s", where,
			       action_word(action));
	if (l->api_get() < api_level[action])
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "%s: this libseccomp or kernel cannot do %s (API level %u of %u)",
			       where, action_word(action), l->api_get(), api_level[action]);
	return 0;
}

/* With a NULL program the kernel answers EINVAL to flags it does not know, and EFAULT to those it
 * does. */
static bool kernel_has_flag(unsigned flag)
{
	/* This one is refused without the listener it belongs to. */
	if (flag & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
		flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return sys_seccomp(SECCOMP_SET_MODE_FILTER, flag, NULL) == 0 || errno != EINVAL;
}

static int choose_flags(const struct oci_seccomp *s, bool listener, unsigned *ret, struct err *e)
{
	unsigned flags = 0;

	/* Without the flag every process with a filter loses speculative store bypass: slow, and
	 * nobody asked for it. */
	if (!s->flags_set && kernel_has_flag(SECCOMP_FILTER_FLAG_SPEC_ALLOW))
		flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	for (size_t i = 0; i < s->flags.n; i++) {
		unsigned flag = (unsigned)s->flags.v[i];

		if (flag == SECCOMP_FILTER_FLAG_TSYNC)
			continue; /* known, and without effect: init has one thread */
		if (!kernel_has_flag(flag))
			return err_set(e, ERR_UNSUPPORTED, 0,
				       "/linux/seccomp/flags/%zu: this kernel does not know it", i);
		if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && !listener)
			continue; /* it says how notifications wait, and there are none */
		flags |= flag;
	}
	if (listener)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	*ret = flags;
	return 0;
}

/* ---- compilation ---- */

struct build {
	const struct lib *lib;
	const struct oci_seccomp *s;
	scmp_filter_ctx ctx;
	uint32_t default_action;
	uint32_t archs[STUB_ARCHS_MAX];
	size_t n_archs;
	bool listener;
};

static void build_done(struct build *b)
{
	if (b->ctx)
		b->lib->release(b->ctx);
	b->ctx = NULL;
}
#define cleanup_build __attribute__((cleanup(build_done)))

static uint32_t lib_action(int64_t action, const struct opt_u64 *number)
{
	uint32_t n = number->set ? (uint32_t)number->v : EPERM;

	switch ((enum oci_seccomp_action)action) {
	case OCI_ACT_KILL_THREAD:
		return SCMP_ACT_KILL_THREAD;
	case OCI_ACT_KILL_PROCESS:
		return SCMP_ACT_KILL_PROCESS;
	case OCI_ACT_TRAP:
		return SCMP_ACT_TRAP;
	case OCI_ACT_ERRNO:
		return SCMP_ACT_ERRNO(n);
	case OCI_ACT_TRACE:
		return SCMP_ACT_TRACE(n);
	case OCI_ACT_ALLOW:
		return SCMP_ACT_ALLOW;
	case OCI_ACT_LOG:
		return SCMP_ACT_LOG;
	case OCI_ACT_NOTIFY:
		return SCMP_ACT_NOTIFY;
	}
	return SCMP_ACT_KILL_PROCESS;
}

static struct scmp_arg_cmp lib_compare(const struct oci_seccomp_arg *a)
{
	static const enum scmp_compare ops[] = {
		[OCI_CMP_NE] = SCMP_CMP_NE,
		[OCI_CMP_LT] = SCMP_CMP_LT,
		[OCI_CMP_LE] = SCMP_CMP_LE,
		[OCI_CMP_EQ] = SCMP_CMP_EQ,
		[OCI_CMP_GE] = SCMP_CMP_GE,
		[OCI_CMP_GT] = SCMP_CMP_GT,
		[OCI_CMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
	};

	/* For MASKED_EQ "value" is the mask and "valueTwo" what the masked argument must be. */
	return (struct scmp_arg_cmp){.arg = a->index,
				     .op = ops[a->op],
				     .datum_a = a->value,
				     .datum_b = a->value_two.set ? a->value_two.v : 0};
}

/* "SCMP_ARCH_X86_64" -> "x86_64" -> token.  The library knows its own architectures. */
static uint32_t arch_token(const struct lib *l, const char *word)
{
	char name[32];
	size_t i;

	if (!str_starts(word, "SCMP_ARCH_"))
		return 0;
	word += strlen("SCMP_ARCH_");
	for (i = 0; i < sizeof name - 1 && word[i]; i++)
		name[i] = (char)tolower((unsigned char)word[i]);
	name[i] = '\0';
	return str_eq(name, "native") ? l->arch_native() : l->arch_resolve_name(name);
}

static int add_archs(struct build *b, struct err *e)
{
	b->archs[b->n_archs++] = b->lib->arch_native(); /* a new filter has it already */
	for (size_t i = 0; i < b->s->architectures.n; i++) {
		const char *word = b->s->architectures.v[i];
		uint32_t token = arch_token(b->lib, word);
		int r;

		if (token == 0)
			return err_set(
				e, ERR_UNSUPPORTED, 0,
				"/linux/seccomp/architectures/%zu: libseccomp does not know %s", i,
				word);
		r = b->lib->arch_add(b->ctx, token);
		if (r == -EEXIST)
			continue;
		if (r < 0 || b->n_archs == STUB_ARCHS_MAX)
			return err_set(e, ERR_UNSUPPORTED, r < 0 ? -r : E2BIG,
				       "/linux/seccomp/architectures/%zu: libseccomp cannot add %s "
				       "on this machine",
				       i, word);
		b->archs[b->n_archs++] = token;
	}
	return 0;
}

static bool repeats_an_index(const struct oci_seccomp_args *args)
{
	unsigned seen = 0;

	for (size_t i = 0; i < args->n; i++) {
		if (seen & 1U << args->v[i].index)
			return true;
		seen |= 1U << args->v[i].index;
	}
	return false;
}

/* libseccomp takes one condition for each argument.  Where a document has two for the same one,
 * each condition becomes a rule of its own, as with runc and the profiles written for it. */
static int add_syscall(struct build *b, int nr, uint32_t action,
		       const struct oci_seccomp_args *args)
{
	struct scmp_arg_cmp cmp[6];
	int r;

	if (!repeats_an_index(args)) {
		for (size_t i = 0; i < args->n; i++)
			cmp[i] = lib_compare(&args->v[i]);
		return b->lib->rule_add_array(b->ctx, action, nr, (unsigned)args->n, cmp);
	}
	for (size_t i = 0; i < args->n; i++) {
		cmp[0] = lib_compare(&args->v[i]);
		r = b->lib->rule_add_array(b->ctx, action, nr, 1, cmp);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_rule(struct build *b, size_t i, struct err *e)
{
	const struct oci_seccomp_rule *rule = &b->s->syscalls.v[i];
	uint32_t action = lib_action(rule->action, &rule->errno_ret);
	char where[POINTER_MAX];
	int r;

	snprintf(where, sizeof where, "/linux/seccomp/syscalls/%zu/action", i);
	r = check_action(b->lib, where, rule->action, e);
	if (r < 0)
		return r;
	if (action == b->default_action)
		return 0; /* says nothing, and libseccomp refuses it */
	for (size_t n = 0; n < rule->names.n; n++) {
		const char *name = rule->names.v[n];
		int nr = b->lib->syscall_resolve_name_arch(b->archs[0], name);

		if (nr ==
		    __NR_SCMP_ERROR) { /* profiles name calls of newer kernels and other machines */
			log_debug("seccomp: unknown system call %s ignored", name);
			continue;
		}
		r = add_syscall(b, nr, action, &rule->args);
		if (r < 0)
			return err_set(
				e, ERR_CONFIG, -r,
				"/linux/seccomp/syscalls/%zu/names/%zu: libseccomp refuses %s: %s",
				i, n, name, strerror(-r));
	}
	b->listener |= rule->action == OCI_ACT_NOTIFY;
	return 0;
}

static int add_rules(struct build *b, struct err *e)
{
	int r = check_action(b->lib, "/linux/seccomp/defaultAction", b->s->default_action, e);

	if (r < 0)
		return r;
	b->default_action = lib_action(b->s->default_action, &b->s->default_errno_ret);
	b->ctx = b->lib->init(b->default_action);
	if (!b->ctx)
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "/linux/seccomp: libseccomp cannot make a filter");
	r = add_archs(b, e);
	for (size_t i = 0; r == 0 && i < b->s->syscalls.n; i++)
		r = add_rule(b, i, e);
	/* A binary tree instead of a chain of comparisons; libseccomp before 2.5 keeps the chain.
	 */
	if (r == 0)
		b->lib->attr_set(b->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return r;
}

/* ---- the ENOSYS stub ---- */

static bool wants_stub(const struct oci_seccomp *s)
{
	switch ((enum oci_seccomp_action)s->default_action) {
	case OCI_ACT_ALLOW:
	case OCI_ACT_LOG:
	case OCI_ACT_TRACE:
	case OCI_ACT_NOTIFY:
		return false; /* a call that is not named may run, or somebody is asked */
	case OCI_ACT_ERRNO:
		return !s->default_errno_ret.set || s->default_errno_ret.v != ENOSYS;
	case OCI_ACT_KILL_THREAD:
	case OCI_ACT_KILL_PROCESS:
	case OCI_ACT_TRAP:
		return true;
	}
	return true;
}

/* The largest number below `limit` (0: none) that the profile names for that architecture, or -1.
 */
static int64_t largest_named(const struct build *b, uint32_t arch, int64_t limit)
{
	int64_t max = -1;

	for (size_t i = 0; i < b->s->syscalls.n; i++) {
		const struct oci_strs *names = &b->s->syscalls.v[i].names;

		for (size_t n = 0; n < names->n; n++) {
			int nr = b->lib->syscall_resolve_name_arch(arch, names->v[n]);

			if (nr > max &&
			    (limit == 0 ||
			     nr < limit)) /* below 0: known, but not on this architecture */
				max = nr;
		}
	}
	return max;
}

#define X32_BIT	    0x40000000
#define ARM_PRIVATE 0x0f0000 /* cacheflush, set_tls ... */

static struct stub_arch describe_arch(const struct build *b, uint32_t arch)
{
	struct stub_arch a = {.audit = arch, .high = -1};

	if (arch == SCMP_ARCH_X86_64)
		a.split = X32_BIT;
	if (arch == SCMP_ARCH_ARM)
		a.split = ARM_PRIVATE;
	a.zero_is_unknown = arch == SCMP_ARCH_S390 || arch == SCMP_ARCH_S390X;
	a.max = largest_named(b, arch, a.split);
	return a;
}

static size_t make_stub(const struct build *b, struct sock_filter *out)
{
	struct stub_arch archs[STUB_ARCHS_MAX];
	size_t n = 0, x64 = STUB_ARCHS_MAX;
	int64_t x32_max = -1;

	for (size_t i = 0; i < b->n_archs; i++) {
		if (b->archs[i] ==
		    SCMP_ARCH_X32) { /* the kernel reports x86_64 and sets a bit in the number */
			x32_max = largest_named(b, b->archs[i], 0);
			continue;
		}
		if (b->archs[i] == SCMP_ARCH_X86_64)
			x64 = n;
		archs[n++] = describe_arch(b, b->archs[i]);
	}
	if (x64 < n && x32_max >= 0)
		archs[x64].high = x32_max | X32_BIT;
	return seccomp_stub_make(archs, n, out);
}

/* The library writes the program to a descriptor. */
static int read_program(const struct build *b, struct seccomp_program *ret, struct arena *a,
			struct err *e)
{
	struct sock_filter stub[STUB_INSNS_MAX];
	size_t n_stub = wants_stub(b->s) ? make_stub(b, stub) : 0, n;
	cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return err_sys(e, "seccomp: memfd_create");
	r = b->lib->export_bpf(b->ctx, fd);
	if (r < 0)
		return err_set(e, ERR_KERNEL, -r, "seccomp: libseccomp: export the filter");
	if (fstat(fd, &st) < 0)
		return err_sys(e, "seccomp: fstat");
	n = (size_t)st.st_size / sizeof(struct sock_filter);
	if (n == 0 || n + n_stub > BPF_MAXINSNS)
		return err_set(
			e, ERR_UNSUPPORTED, 0,
			"/linux/seccomp: the filter has %zu instructions, the kernel takes %d",
			n + n_stub, BPF_MAXINSNS);
	ret->insns = arena_alloc_n(a, n + n_stub, sizeof *ret->insns);
	if (!ret->insns)
		return err_oom(e);
	memcpy(ret->insns, stub, n_stub * sizeof *stub);
	if (pread(fd, ret->insns + n_stub, n * sizeof *stub, 0) != (ssize_t)(n * sizeof *stub))
		return err_set(e, ERR_KERNEL, EIO, "seccomp: read the filter");
	ret->len = (unsigned short)(n + n_stub);
	return 0;
}

static int compile(const struct lib *lib, const struct oci_seccomp *s, struct seccomp_program *ret,
		   struct arena *a, struct err *e)
{
	struct seccomp_program p = {0};
	cleanup_build struct build b = {.lib = lib, .s = s};
	int r = add_rules(&b, e);

	if (r == 0)
		r = choose_flags(s, b.listener, &p.flags, e);
	if (r == 0)
		r = read_program(&b, &p, a, e);
	if (r < 0)
		return r;
	p.listener = b.listener;
	*ret = p;
	return 0;
}

static int compile_and_keep(const struct oci_seccomp *s, int cache, const struct seccomp_key *key,
			    struct seccomp_program *ret, struct arena *a, struct err *e)
{
	cleanup_lib struct lib lib = {0};
	int r = lib_open(&lib, e);

	if (r == 0)
		r = compile(&lib, s, ret, a, e);
	if (r == 0 && cache >= 0)
		seccomp_cache_store(cache, key, ret, lib.path);
	return r;
}

bool seccomp_available(void)
{
	return true;
}

int seccomp_version(char *buf, size_t size)
{
	cleanup_lib struct lib lib = {0};
	const struct scmp_version *v;
	struct err ignored;
	int r = lib_open(&lib, &ignored);

	if (r < 0)
		return r;
	v = lib.version();
	snprintf(buf, size, "%u.%u.%u", v->major, v->minor, v->micro);
	return 0;
}

#else /* !HAVE_SECCOMP */

static int compile_and_keep(const struct oci_seccomp *s, int cache, const struct seccomp_key *key,
			    struct seccomp_program *ret, struct arena *a, struct err *e)
{
	(void)s, (void)cache, (void)key, (void)ret, (void)a;
	return err_set(e, ERR_UNSUPPORTED, 0,
		       "/linux/seccomp: this vzrun was built without libseccomp");
}

bool seccomp_available(void)
{
	return false;
}

int seccomp_version(char *buf, size_t size)
{
	(void)buf, (void)size;
	return -ENOSYS;
}

#endif

int seccomp_compile(const struct oci_seccomp *s, int cache_dirfd, struct seccomp_program *ret,
		    struct arena *a, struct err *e)
{
	struct seccomp_key key = {0};
	int r = check_document(s, e);

	if (r < 0)
		return r;
	if (cache_dirfd >= 0) {
		r = seccomp_cache_key(s, &key, e);
		if (r < 0)
			return r;
		if (seccomp_cache_find(cache_dirfd, &key, ret, a))
			return 0;
	}
	return compile_and_keep(s, cache_dirfd, &key, ret, a, e);
}

/* Debian 12's library does not know the last four. */
const char *const *seccomp_archs(void)
{
	static const char *const names[] = {
#if HAVE_SECCOMP
		"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64",
		"SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
		"SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390",
		"SCMP_ARCH_S390X", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",
#ifdef SCMP_ARCH_LOONGARCH64
		"SCMP_ARCH_LOONGARCH64",
#endif
#ifdef SCMP_ARCH_M68K
		"SCMP_ARCH_M68K",
#endif
#ifdef SCMP_ARCH_SH
		"SCMP_ARCH_SH",
#endif
#ifdef SCMP_ARCH_SHEB
		"SCMP_ARCH_SHEB",
#endif
#endif
		NULL,
	};

	return names;
}
