// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cgroup/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"
#include "runtime/cgroup/systemd.h"

/* Which devices a container may use: the document's rules, the last one that speaks of an access wins, and before
 * them "nothing"; after them the devices that every container has.  v1 takes rules one by one and knows only "all
 * but these" and "only these": what it cannot say is refused, not approximated.  v2 takes a program. */

struct rule {
	bool allow;
	char type;             /* 'a', 'b', 'c' */
	int64_t major, minor;  /* -1: any */
	unsigned access;       /* BPF_DEVCG_ACC_* */
	size_t index;          /* in the document; DEFAULT: one of ours */
};

#define PROGRAM_NAME "vzrun_devices"
#define PROGRAMS_MAX 64 /* BPF_CGROUP_MAX_PROGS */

#define DEFAULT SIZE_MAX
#define ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

static const struct rule defaults[] = {
	{ true, 'c', -1, -1, BPF_DEVCG_ACC_MKNOD, DEFAULT },
	{ true, 'b', -1, -1, BPF_DEVCG_ACC_MKNOD, DEFAULT },
	{ true, 'c', 1, 3, ALL, DEFAULT },    /* null */
	{ true, 'c', 1, 8, ALL, DEFAULT },    /* random */
	{ true, 'c', 1, 7, ALL, DEFAULT },    /* full */
	{ true, 'c', 5, 0, ALL, DEFAULT },    /* tty */
	{ true, 'c', 1, 5, ALL, DEFAULT },    /* zero */
	{ true, 'c', 1, 9, ALL, DEFAULT },    /* urandom */
	{ true, 'c', 136, -1, ALL, DEFAULT }, /* pts */
	{ true, 'c', 5, 2, ALL, DEFAULT },    /* ptmx */
	{ true, 'c', 10, 200, ALL, DEFAULT }, /* tun */
};

struct rules {
	struct rule *v;
	size_t n;
};

bool cgroup_device_is_common(char type, int64_t major, int64_t minor)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		const struct rule *r = &defaults[i];

		if (r->access == ALL && r->type == type && r->major == major && (r->minor < 0 || r->minor == minor))
			return true;
	}
	return false;
}

static unsigned access_of(const char *letters)
{
	unsigned mask = 0;

	if (!letters || !*letters)
		return ALL;
	for (; *letters; letters++)
		mask |= *letters == 'r' ? BPF_DEVCG_ACC_READ
			: *letters == 'w' ? BPF_DEVCG_ACC_WRITE
			: *letters == 'm' ? BPF_DEVCG_ACC_MKNOD : 0U;
	return mask;
}

static bool is_everything(const struct rule *r)
{
	return r->type == 'a' && r->major < 0 && r->minor < 0 && r->access == ALL;
}

static int check_number(struct opt_i64 v, const char *name, size_t i, struct err *e)
{
	if (!v.set || (v.v >= -1 && v.v <= UINT32_MAX))
		return 0;
	return err_set(e, ERR_CONFIG, 0, "/linux/resources/devices/%zu/%s: %lld is no device number", i, name,
		       (long long)v.v);
}

/* The document's rules and ours, from the last one on that settles everything. */
static int collect(const struct oci_device_rules *doc, struct rules *ret, struct arena *a, struct err *e)
{
	struct rule *v = arena_alloc_n(a, doc->n + ARRAY_SIZE(defaults), sizeof *v);
	size_t n = 0;

	if (!v)
		return err_oom(e);
	for (size_t i = 0; i < doc->n; i++) {
		const struct oci_device_rule *d = &doc->v[i];

		if (check_number(d->major, "major", i, e) < 0 || check_number(d->minor, "minor", i, e) < 0)
			return err_ret(e);
		v[n] = (struct rule){ d->allow, d->type ? (char)d->type : 'a', d->major.set ? d->major.v : -1,
				      d->minor.set ? d->minor.v : -1, access_of(d->access), i };
		if (is_everything(&v[n])) { /* what came before no longer counts */
			v[0] = v[n];
			n = 0;
		}
		n++;
	}
	memcpy(v + n, defaults, sizeof defaults);
	*ret = (struct rules){ v, n + ARRAY_SIZE(defaults) };
	return 0;
}

/* ---- v1 ---- */

/* The kernel's list while our writes go on: exceptions from `allow` (the rule for all others). */
struct emulator {
	bool allow;
	struct rule *v;
	size_t n;
};

static bool same(const struct rule *a, const struct rule *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static bool overlap(const struct rule *a, const struct rule *b)
{
	return a->type == b->type && (a->access & b->access) &&
	       (a->major < 0 || b->major < 0 || a->major == b->major) &&
	       (a->minor < 0 || b->minor < 0 || a->minor == b->minor);
}

static int hole(const struct rule *r, const struct rule *of, struct err *e)
{
	const struct rule *named = r->index == DEFAULT ? of : r;

	return err_set(e, ERR_UNSUPPORTED, 0,
		       "/linux/resources/devices/%zu: cgroup v1 cannot %s a part of what a wider rule %ss (%c %lld:%lld)",
		       named->index, r->allow ? "allow" : "deny", r->allow ? "denie" : "allow",
		       r->type, (long long)r->major, (long long)r->minor);
}

/* A rule against the default removes exceptions, but the kernel removes only equal ones and silently ignores the rest:
 * that would leave open what the document closes.  Returns 1 when the rule needs a write. */
static int emulate(struct emulator *m, const struct rule *r, struct err *e)
{
	int write = 0;

	if (r->allow != m->allow) {
		m->v[m->n++] = *r;
		return 1;
	}
	for (size_t i = 0; i < m->n; i++) {
		struct rule *x = &m->v[i];

		if (!overlap(r, x))
			continue;
		/* Making nodes of any kind is our own wish: a device that the document denies stays denied in full. */
		if (r->index == DEFAULT && r->major < 0)
			continue;
		if (!same(r, x))
			return hole(r, x, e);
		x->access &= ~r->access;
		write = 1;
	}
	return write;
}

static void write_rule(struct cg_planner *p, const struct rule *r)
{
	const char *file = r->allow ? "devices.allow" : "devices.deny";
	char field[64] = "devices", major[24] = "*", minor[24] = "*";

	if (r->index != DEFAULT)
		snprintf(field, sizeof field, "devices/%zu", r->index);
	if (r->major >= 0)
		snprintf(major, sizeof major, "%lld", (long long)r->major);
	if (r->minor >= 0)
		snprintf(minor, sizeof minor, "%lld", (long long)r->minor);
	/* A container in a container may not pass on what it has not: the payload just has less then. */
	cg_row(p, field, file, "%c %s:%s %s%s%s", r->type, major, minor, r->access & BPF_DEVCG_ACC_READ ? "r" : "",
	       r->access & BPF_DEVCG_ACC_WRITE ? "w" : "", r->access & BPF_DEVCG_ACC_MKNOD ? "m" : "")
		->may_fail = r->index == DEFAULT;
}

/* "Any type" with numbers or not all accesses: the kernel would take it for "everything". */
static int plan_rule(struct cg_planner *p, struct emulator *m, const struct rule *r)
{
	struct rule one = *r;
	int ret;

	for (const char *t = r->type == 'a' ? "bc" : (char[]){ r->type, '\0' }; *t; t++) {
		one.type = *t;
		ret = emulate(m, &one, p->e);
		if (ret < 0)
			return ret;
		if (ret > 0)
			write_rule(p, &one);
	}
	return cg_done(p);
}

/* All rules, and what the kernel's list is after them. */
static int plan_all(struct cg_planner *p, const struct oci_device_rules *doc, struct emulator *m)
{
	struct rules rules;
	size_t i = 0;
	int r = collect(doc, &rules, p->arena, p->e);

	if (r < 0)
		return r;
	*m = (struct emulator){ .v = arena_alloc_n(p->arena, rules.n * 2, sizeof *m->v) };
	if (!m->v)
		return err_oom(p->e);
	if (is_everything(&rules.v[0]))
		m->allow = rules.v[i++].allow;
	cg_row(p, "devices", m->allow ? "devices.allow" : "devices.deny", "a");
	for (; i < rules.n; i++) {
		r = plan_rule(p, m, &rules.v[i]);
		if (r < 0)
			return r;
	}
	return cg_done(p);
}

int cg_devices_plan_v1(struct cg_planner *p)
{
	struct emulator m;

	if (p->update) /* device rules are not updated: plug-ins change them behind our back */
		return 0;
	return plan_all(p, &p->r->devices, &m);
}

/* Accesses of a device that the list has, whichever rules brought them: the kernel keeps one exception for each. */
static unsigned access_in(const struct emulator *m, const struct rule *r, size_t end)
{
	unsigned access = 0;

	for (size_t i = 0; i < end; i++)
		if (same(&m->v[i], r))
			access |= m->v[i].access;
	return access;
}

/* What `a` has and `b` has not. */
static void write_exceptions(struct cg_planner *p, const struct emulator *a, const struct emulator *b, bool allow)
{
	for (size_t i = 0; i < a->n; i++) {
		struct rule one = a->v[i];

		one.allow = allow;
		one.access &= ~(access_in(a, &one, i) | access_in(b, &one, b->n));
		if (one.access)
			write_rule(p, &one);
	}
}

static int emulate_all(const struct oci_device_rules *doc, struct emulator *m, struct arena *a, struct err *e)
{
	static const struct cg_current nothing;
	const struct oci_resources r = { .devices = *doc };
	struct cg_planner unused = { .r = &r, .now = &nothing, .controller = "devices", .arena = a, .e = e };

	return plan_all(&unused, doc, m);
}

/* New exceptions come before others go: so at no moment is anything open that neither the old rules nor the new ones allow, nor
 * closed what both allow.  And what is in both is not touched, or cgroups below would lose it. */
int cg_devices_changes_v1(struct cg_planner *p, const struct oci_device_rules *was)
{
	struct emulator before, after;

	/* What v1 cannot say as a whole is refused here too. */
	if (emulate_all(was, &before, p->arena, p->e) < 0 || emulate_all(&p->r->devices, &after, p->arena, p->e) < 0)
		return err_ret(p->e);
	write_exceptions(p, &after, &before, !after.allow);
	write_exceptions(p, &before, &after, after.allow);
	return cg_done(p);
}

/* ---- v1 under systemd ---- */

static const char *systemd_device(const struct rule *r, char type, struct arena *a)
{
	const char *kind = type == 'b' ? "block" : "char";

	if (r->major < 0)
		return arena_printf(a, "%s-*", kind);
	if (r->minor < 0)
		return arena_printf(a, "%s-%lld", kind, (long long)r->major);
	return arena_printf(a, "/dev/%s/%lld:%lld", kind, (long long)r->major, (long long)r->minor);
}

static int add_device(const struct rule *r, char type, struct str *list, struct arena *a)
{
	const char *device = systemd_device(r, type, a);

	/* "any major, this minor" is nothing that systemd knows */
	if (!device || (r->major < 0 && r->minor >= 0))
		return device ? 0 : -1;
	str_addf(list, "%s('%s', '%s%s%s')", list->len ? ", " : "", device, r->access & BPF_DEVCG_ACC_READ ? "r" : "",
		 r->access & BPF_DEVCG_ACC_WRITE ? "w" : "", r->access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
	return 0;
}

/* systemd knows only "nothing but", one entry for a device, the last.  So it is told what the kernel's list is in the end.
 * Exceptions from what is allowed are written to the files and to them alone. */
int unit_from_devices(const struct oci_device_rules *doc, struct unit_properties *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str list = { 0 };
	struct emulator m;
	int r;

	if (emulate_all(doc, &m, a, e) < 0)
		return err_ret(e);
	for (size_t i = 0; !m.allow && i < m.n; i++) {
		struct rule one = m.v[i];

		one.access = access_in(&m, &one, i) ? 0 : access_in(&m, &one, m.n);
		if (one.access && add_device(&one, one.type, &list, a) < 0)
			return err_oom(e);
	}
	if (str_failed(&list))
		return err_oom(e);
	/* The list before the policy: the other way round systemd wants a daemon-reload. */
	r = unit_add(ret, "DeviceAllow", arena_printf(a, list.len ? "[%s]" : "@a(ss) []", str_cstr(&list)),
		     "/linux/resources/devices", a, e);
	return r < 0 ? r : unit_add(ret, "DevicePolicy", m.allow ? "'auto'" : "'strict'", "/linux/resources/devices", a, e);
}

/* ---- v2 ---- */

#define INSN(op, d, s, o, i) ((struct bpf_insn){ .code = (op), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })

struct program {
	struct bpf_insn *v;
	size_t n, cap;
};

#define RULE_INSNS 9 /* at most */

static void add(struct program *p, struct bpf_insn insn)
{
	if (p->n < p->cap)
		p->v[p->n++] = insn;
}

/* r2: type, r3: accesses that no rule has allowed yet, r4: major, r5: minor. */
static void add_head(struct program *p)
{
	add(p, INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0));
	add(p, INSN(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0));
	add(p, INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff));
	add(p, INSN(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16));
	add(p, INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0));
	add(p, INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0));
}

/* From the last rule to the first: an allowed access is crossed off and the last one ends it; an access that is still
 * open when a rule denies it ends it too.  So each access is settled by the last rule that speaks of it.  No access at
 * all (F_OK) is allowed where anything is. */
static void add_rule(struct program *p, const struct rule *r)
{
	struct bpf_insn *jumps[3];
	size_t n_jumps = 0;

#define UNLESS(reg, value)                                                                                            \
	do {                                                                                                          \
		jumps[n_jumps++] = &p->v[p->n];                                                                       \
		add(p, INSN(BPF_JMP32 | BPF_JNE | BPF_K, (reg), 0, 0, (int)(value)));                                 \
	} while (0)
	if (r->type != 'a')
		UNLESS(BPF_REG_2, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (r->major >= 0)
		UNLESS(BPF_REG_4, (uint32_t)r->major);
	if (r->minor >= 0)
		UNLESS(BPF_REG_5, (uint32_t)r->minor);
#undef UNLESS
	if (r->allow) {
		add(p, INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0, 0, (int)(ALL & ~r->access)));
		add(p, INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, 0));
		add(p, INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1));
	} else {
		add(p, INSN(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_0, BPF_REG_3, 0, 0));
		add(p, INSN(BPF_ALU | BPF_AND | BPF_K, BPF_REG_0, 0, 0, (int)r->access));
		add(p, INSN(BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0));
		add(p, INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0));
	}
	add(p, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	for (size_t i = 0; i < n_jumps; i++)
		jumps[i]->off = (int16_t)(&p->v[p->n] - jumps[i] - 1);
}

int cg_devices_program(const struct oci_device_rules *doc, struct bpf_insn **ret, size_t *ret_n, struct arena *a,
		       struct err *e)
{
	struct program p = { 0 };
	struct rules rules;
	int r = collect(doc, &rules, a, e);

	if (r < 0)
		return r;
	p.cap = 8 + rules.n * RULE_INSNS;
	p.v = arena_alloc_n(a, p.cap, sizeof *p.v);
	if (!p.v)
		return err_oom(e);
	add_head(&p);
	for (size_t i = rules.n; i-- > 0;)
		add_rule(&p, &rules.v[i]);
	add(&p, INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0));
	add(&p, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	*ret = p.v;
	*ret_n = p.n;
	return 0;
}

static int load(const struct bpf_insn *insns, size_t n)
{
	union bpf_attr attr = { 0 };
	int fd = -1;

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uintptr_t) "LGPL-2.1";
	memcpy(attr.prog_name, PROGRAM_NAME, sizeof PROGRAM_NAME);
	for (int i = 0; i < 10; i++) { /* EAGAIN: the verifier was interrupted by a signal (4.20) */
		fd = sys_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

/* Before Linux 5.11 programs count against RLIMIT_MEMLOCK. */
static int load_with_room(const struct bpf_insn *insns, size_t n)
{
	struct rlimit old, more = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = load(insns, n);

	if (fd >= 0 || errno != EPERM || getrlimit(RLIMIT_MEMLOCK, &old) < 0)
		return fd;
	if (setrlimit(RLIMIT_MEMLOCK, &more) < 0) {
		more.rlim_cur = more.rlim_max = old.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &more);
		more.rlim_max = old.rlim_max;
	}
	fd = load(insns, n);
	int saved = errno;
	setrlimit(RLIMIT_MEMLOCK, &old);
	errno = saved;
	return fd;
}

static bool is_ours(int program)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr = { 0 };

	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof info;
	attr.info.info = (uintptr_t)&info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 && strcmp(info.name, PROGRAM_NAME) == 0;
}

/* The program that we attached before: systemd and others may have theirs beside it. */
static int find_ours(int cgroup_fd)
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr = { 0 };

	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (sys_bpf(BPF_PROG_QUERY, &attr, sizeof attr) < 0)
		return -1;
	for (uint32_t i = 0, n = attr.query.prog_cnt; i < n && i < PROGRAMS_MAX; i++) {
		union bpf_attr get = { 0 };
		cleanup_fd int fd = -1;

		get.prog_id = ids[i];
		fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &get, sizeof get);
		if (fd >= 0 && is_ours(fd))
			return fd_take(&fd);
	}
	return -1;
}

/* Where we are not root the kernel refuses the program, and device nodes cannot be made there anyway. */
int cg_devices_attach(int cgroup_fd, const struct oci_device_rules *rules, bool replace, enum proc_rootless rootless,
		      struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_fd int old = replace ? find_ours(cgroup_fd) : -1;
	union bpf_attr attr = { 0 };
	struct bpf_insn *insns;
	size_t n;
	int r = cg_devices_program(rules, &insns, &n, &a, e);

	if (r < 0)
		return r;
	cleanup_fd int fd = load_with_room(insns, n);
	if (fd < 0 && errno == EPERM && proc_is_rootless(rootless)) {
		log_debug("devices: no program without root");
		return 0;
	}
	if (fd < 0)
		return err_sys(e, "/linux/resources/devices: load the device program");
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI; /* programs of parents and of others count as well */
	if (old >= 0) { /* at one stroke: nothing is allowed or denied in between (Linux 5.6) */
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)old;
	}
	if (sys_bpf(BPF_PROG_ATTACH, &attr, sizeof attr) < 0)
		return err_sys(e, "/linux/resources/devices: attach the device program");
	return 0;
}
