// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/offer.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "oci/check.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/sample.h"
#include "runtime/flow/criu.h"
#include "runtime/migrate/files.h"

#define CPUINFO_MAX ((size_t)16 << 20)

static void add(struct problems *p, struct problem_list *to, const char *text)
{
	struct oci_strs *l = &to->strs;

	if (!l->v)
		l->v = arena_alloc_n(p->arena, PROBLEMS_MAX, sizeof *l->v);
	if (l->v && l->n == PROBLEMS_MAX) {
		to->more += to->more ? 1 : 2; /* with the one whose place it takes */
		l->v[l->n - 1] = arena_printf(p->arena, "and %zu more", to->more);
	} else if (l->v) {
		l->v[l->n++] = arena_strdup(p->arena, text);
	}
	p->failed |= !l->v || !l->v[l->n - 1];
}

static void add_v(struct problems *p, struct problem_list *to, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof text, fmt, ap);
	add(p, to, text);
}

void problem(struct problems *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_v(p, &p->list, fmt, ap);
	va_end(ap);
}

void doubt(struct problems *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_v(p, &p->doubts, fmt, ap);
	va_end(ap);
}

/* ---- what it needs ---- */

/* Instructions that a program may have found and goes on using.  What the kernel adds to the list, and what is about virtual
 * machines and mitigations, differs without harm. */
static bool is_instruction_set(const char *flag)
{
	static const char *const prefixes[] = {
		"fpu", "mmx", "sse", "ssse3", "avx", "aes", "pclmulqdq", "fma", "f16c", "bmi", "adx", "sha_ni", "sha512", "popcnt", "movbe",
		"rdrand", "rdseed", "xsave", "xgetbv", "abm", "fsgsbase", "erms", "fsrm", "clflushopt", "clwb", "gfni", "vaes",
		"vpclmulqdq", "amx_", "rdpid", "serialize", "cx8", "cx16", "lahf_lm", "3dnow", "rdtscp", "movdir", "cldemote", "waitpkg",
		"asimd", "atomics", "sve", "sha1", "sha2", "sha3", "crc32", "pmull", "lrcpc", "dcpop", "fphp", "dotprod",
	};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (str_starts(flag, prefixes[i]))
			return true;
	return false;
}

/* The words of the first "flags" (x86) or "Features" (arm) line. */
static const char *cpu_here(struct arena *a)
{
	cleanup_str struct str text = { 0 }, list = { 0 };
	struct err ignored;
	const char *line;

	if (fs_read(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &text, &ignored) < 0)
		return "";
	line = strstr(str_cstr(&text), "\nflags");
	if (!line)
		line = strstr(str_cstr(&text), "\nFeatures");
	line = line ? strchr(line, ':') : NULL;
	for (const char *word = line ? line + 1 : ""; *word && *word != '\n';) {
		size_t len = strcspn(word, " \n");
		char flag[64];

		snprintf(flag, sizeof flag, "%.*s", (int)len, word);
		if (len && is_instruction_set(flag))
			str_addf(&list, "%s%s", list.len ? " " : "", flag);
		word += len + (word[len] == ' ');
	}
	return str_failed(&list) ? "" : arena_strdup(a, str_cstr(&list));
}

static const char *cgroups_here(struct arena *a)
{
	static const char *const words[] = { [CG_V1] = "v1", [CG_HYBRID] = "hybrid", [CG_V2] = "v2", [CG_NONE] = "none" };
	struct cg_host host;
	struct err ignored;

	return cg_host_probe(NULL, &host, a, &ignored) < 0 ? "none" : words[host.mode];
}

static bool below(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	return strncmp(dir, path, len) == 0 && (path[len] == '/' || !path[len]);
}

/* Sources in the bundle come with it. */
static int add_sources(const struct oci_spec *spec, struct migration_offer *o, struct arena *a, struct err *e)
{
	const char **v = arena_alloc_n(a, spec->mounts.n + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	o->sources = (struct oci_strs){ v, 0 };
	for (size_t i = 0; i < spec->mounts.n; i++)
		if (spec->mounts.v[i].source && spec->mounts.v[i].source[0] == '/' && !below(o->bundle, spec->mounts.v[i].source))
			v[o->sources.n++] = spec->mounts.v[i].source;
	return 0;
}

static int add_namespaces(const struct oci_spec *spec, struct migration_offer *o, struct arena *a, struct err *e)
{
	size_t n = spec->linux ? spec->linux->namespaces.n : 0;
	const char **v = arena_alloc_n(a, n + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	o->namespaces = (struct oci_strs){ v, 0 };
	for (size_t i = 0; i < n; i++)
		if (spec->linux->namespaces.v[i].path)
			v[o->namespaces.n++] = spec->linux->namespaces.v[i].path;
	return 0;
}

int offer_fill(struct container *c, const struct oci_spec *spec, struct migration_offer *ret, struct arena *a, struct err *e)
{
	struct utsname u;

	if (uname(&u) < 0)
		return err_sys(e, "uname");
	ret->machine = arena_strdup(a, u.machine);
	ret->kernel = arena_strdup(a, u.release);
	ret->cpu = cpu_here(a);
	ret->cgroups = cgroups_here(a);
	ret->driver = arena_strdup(a, c->state.cgroup_driver ? c->state.cgroup_driver : "cgroupfs");
	if (!ret->machine || !ret->kernel || !ret->driver)
		return err_oom(e);
	return add_sources(spec, ret, a, e) < 0 ? err_ret(e) : add_namespaces(spec, ret, a, e);
}

/* ---- whether a host has it ---- */

const char *offer_tmp(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp == '/' ? tmp : "/var/tmp";
}

void offer_check_lazy(const struct criu_features *has, struct problems *p)
{
	if (!has->lazy_pages)
		problem(p, "CRIU and this kernel cannot hand over memory later (userfaultfd), for --post-copy");
}

/* Who restores itself is root of that namespace and nowhere else, and makes the descriptor by which its memory is handed over. */
static void check_lazy_userns(const struct oci_spec *spec, struct problems *p)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;

	if (oci_namespace(spec, CLONE_NEWUSER) && fs_read(AT_FDCWD, "/proc/sys/vm/unprivileged_userfaultfd", 16, &text, &ignored) >= 0 &&
	    *str_cstr(&text) == '0')
		problem(p, "a container with a user namespace gets memory later, for --post-copy, only with sysctl vm.unprivileged_userfaultfd=1");
}

static void check_criu(const struct migration_offer *o, const char *work, struct problems *p)
{
	struct criu_features has = { 0 };
	char theirs[32], ours[32], text[ERR_TEXT_MAX + 128];
	struct err e;
	int version = criu_here(&has, &e);

	if (!version)
		problem(p, "CRIU: %s", err_format(&e, text, sizeof text));
	else if (o->lazy)
		offer_check_lazy(&has, p);
	if (criu_check_place(work, &e) < 0)
		problem(p, "the images: %s", err_format(&e, text, sizeof text));
	if (version && version / 100 < o->criu / 100)
		problem(p, "CRIU is %s here and %s at the source: an older one may not understand the images",
			criu_version_text(version, ours, sizeof ours), criu_version_text((int)o->criu, theirs, sizeof theirs));
}

/* "6.1.0-13-amd64" and "6.12.48": by the first two numbers. */
static bool is_older(const char *release, const char *than)
{
	unsigned a[2], b[2];

	return sscanf(release, "%u.%u", &a[0], &a[1]) == 2 && sscanf(than, "%u.%u", &b[0], &b[1]) == 2 &&
	       (a[0] < b[0] || (a[0] == b[0] && a[1] < b[1]));
}

static void check_machine(const struct migration_offer *o, struct problems *p, struct arena *a)
{
	cleanup_str struct str missing = { 0 };
	const char *have = arena_printf(a, " %s ", cpu_here(a)), *ours = cgroups_here(a);
	struct utsname u;

	if (uname(&u) == 0 && strcmp(u.machine, o->machine) != 0)
		problem(p, "the container runs on a %s, this is a %s", o->machine, u.machine);
	else if (o->kernel && is_older(u.release, o->kernel))
		doubt(p, "Linux is %s here and %s at the source: programs may have found there what this one lacks", u.release, o->kernel);
	for (const char *word = o->cpu ? o->cpu : ""; *word && have;) {
		size_t len = strcspn(word, " ");
		char flag[66];

		snprintf(flag, sizeof flag, " %.*s ", (int)len, word);
		if (!strstr(have, flag))
			str_addf(&missing, "%s%.*s", missing.len ? " " : "", (int)len, word);
		word += len + (word[len] == ' ');
	}
	if (missing.len)
		problem(p, "this CPU lacks what programs may have found at the source: %s", str_cstr(&missing));
	if (strcmp(ours, o->cgroups) != 0)
		problem(p, "cgroups are %s at the source and %s here", o->cgroups, ours);
	if (strcmp(o->driver, "systemd") == 0 && access("/run/systemd/private", F_OK) < 0)
		problem(p, "the container's cgroups are systemd's, which does not run here");
}

void offer_check_space(const char *what, const char *dir, uint64_t need, struct problems *p)
{
	struct statvfs fs;

	if (statvfs(dir, &fs) < 0)
		problem(p, "%s: %s: %s", what, dir, strerrordesc_np(errno));
	else if ((uint64_t)fs.f_bavail * fs.f_frsize < need)
		problem(p, "%s needs up to %llu MiB in %s, where %llu are free", what, (unsigned long long)(need >> 20), dir,
			(unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20));
}

static void check_bundle(const struct migration_offer *o, struct problems *p, struct arena *a)
{
	size_t found = fs_found(o->bundle);
	const char *parent = found ? arena_printf(a, "%.*s", (int)found, o->bundle) : "/";

	if (o->bundle[0] != '/' || !parent) {
		problem(p, "the bundle's path %s is not absolute", o->bundle);
		return;
	}
	if (o->rootfs == MIGRATION_SHARED) {
		const char *marker = arena_printf(a, "%s/%s", o->bundle, o->marker ? o->marker : "");

		if (!o->marker || strchr(o->marker, '/') || !marker || access(marker, F_OK) < 0)
			problem(p, "%s is not the directory that the source has by that name: --rootfs copy brings it here", o->bundle);
		return;
	}
	if (access(o->bundle, F_OK) == 0)
		problem(p, "%s is there already: --remote-bundle says where else", o->bundle);
	if (!proc_in_path("rsync"))
		problem(p, "there is no rsync, which brings the files");
	offer_check_space("the root file system", parent, o->files, p);
}

size_t offer_hooks(const struct oci_hooks *h, const struct oci_hook_list *ret[OFFER_HOOKS])
{
	if (!h)
		return 0;
	ret[0] = &h->prestart;
	ret[1] = &h->create_runtime;
	ret[2] = &h->poststart;
	ret[3] = &h->poststop;
	return OFFER_HOOKS;
}

/* What is in a bundle that is copied comes with it. */
static void check_programs(const struct migration_offer *o, const struct oci_spec *spec, struct problems *p)
{
	const struct oci_hook_list *lists[OFFER_HOOKS];
	size_t n = offer_hooks(spec->hooks, lists);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < lists[i]->n; j++) {
			const char *path = lists[i]->v[j].path;

			if ((o->rootfs != MIGRATION_COPY || !below(o->bundle, path)) && access(path, X_OK) < 0)
				problem(p, "%s, which is a hook of the container, cannot be run here", path);
		}
	if (o->rootfs == MIGRATION_SHARED && spec->root && spec->root->path[0] == '/' && access(spec->root->path, F_OK) < 0)
		problem(p, "/root/path: %s is not here", spec->root->path);
}

static void check_document(const struct migration_offer *o, struct problems *p, struct arena *a)
{
	char text[ERR_TEXT_MAX + 128];
	struct oci_spec spec;
	struct ext_uses uses;
	struct err e;

	if (oci_spec_parse(o->document, strlen(o->document), "config.json", &spec, a, &e) < 0 || check_spec(&spec, &e) < 0 ||
	    ext_read(&spec.annotations, &(const struct oci_state_exts){ 0 }, true, &uses, a, &e) < 0) {
		problem(p, "%s", err_format(&e, text, sizeof text));
		return;
	}
	check_programs(o, &spec, p);
	if (o->lazy)
		check_lazy_userns(&spec, p);
}

void offer_check(const struct migration_offer *o, const char *root, const char *work, struct problems *p, struct arena *a)
{
	const char *state = arena_printf(a, "%s/%s", root, o->id);

	if (geteuid() != 0)
		problem(p, "vzrun is not root here, and only root restores");
	if (state && access(state, F_OK) == 0)
		problem(p, "container with given ID already exists: %s: --new-id gives it another", o->id);
	check_criu(o, work, p);
	check_machine(o, p, a);
	check_bundle(o, p, a);
	offer_check_space("the memory", work, o->memory, p);
	if (o->compress && !proc_in_path("zstd"))
		problem(p, "there is no zstd, for --compress");
	for (size_t i = 0; i < o->sources.n; i++)
		if (access(o->sources.v[i], F_OK) < 0)
			problem(p, "%s, which is mounted in the container, is not here", o->sources.v[i]);
	for (size_t i = 0; i < o->namespaces.n; i++)
		if (access(o->namespaces.v[i], F_OK) < 0)
			problem(p, "the namespace %s is not here", o->namespaces.v[i]);
	check_document(o, p, a);
}
