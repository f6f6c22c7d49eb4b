// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/source.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/path.h"
#include "runtime/base/proc.h"
#include "runtime/cgroup/sample.h"
#include "runtime/flow/externals.h"
#include "runtime/flow/network.h"
#include "runtime/flow/notify_socket.h"
#include "runtime/linux/mountinfo.h"
#include "runtime/linux/ns.h"
#include "runtime/migrate/offer.h"

/* Who is in its network for a moment only (`stats` is) keeps nobody from moving. */
#define LOOKS 4
#define LOOK_PAUSE_MS 100

/* ---- what would move ---- */

static int make_token(struct source *s, struct err *e)
{
	uint8_t random[16];
	char text[33];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return err_sys(e, "getrandom");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	s->offer.token = arena_strdup(&s->arena, text);
	return s->offer.token ? 0 : err_oom(e);
}

/* A path of this bundle becomes the same one of that bundle. */
static const char *moved(struct source *s, const char *path)
{
	size_t len = strlen(s->c.state.bundle);

	if (!path || strncmp(path, s->c.state.bundle, len) != 0 || (path[len] != '/' && path[len]))
		return path;
	return arena_printf(&s->arena, "%s%s", s->offer.bundle, path + len);
}

/* Those that are programs of the host. */
static void move_hooks(struct source *s, const struct oci_hooks *hooks)
{
	const struct oci_hook_list *lists[OFFER_HOOKS];

	for (size_t i = offer_hooks(hooks, lists); i-- > 0;)
		for (size_t j = 0; j < lists[i]->n; j++)
			lists[i]->v[j].path = moved(s, lists[i]->v[j].path);
}

/* Its document as it was given: what extensions found on this host they look for anew on the other. */
static int load_document(struct source *s, struct oci_spec *spec, struct err *e)
{
	bool given = faccessat(s->c.dir.fd, STORE_GIVEN, F_OK, 0) == 0;
	const char *name = given ? STORE_GIVEN : STORE_CONFIG, *inside;

	if (oci_spec_load(s->c.dir.fd, name, name, spec, &s->arena, e) < 0)
		return err_ret(e);
	inside = s->c.state.rootfs + strlen(s->c.state.bundle);
	if (s->o->rootfs == MIGRATION_COPY) {
		/* rsync brings the bundle; a root that lies elsewhere would need a second one. */
		if (!str_starts(s->c.state.rootfs, s->c.state.bundle) || *inside != '/')
			return err_set(e, ERR_UNSUPPORTED, 0, "the root %s is not in the bundle %s: only --rootfs shared moves such a container",
				       s->c.state.rootfs, s->c.state.bundle);
		spec->root->path = inside + 1;
	} else {
		spec->root->path = moved(s, spec->root->path);
	}
	move_hooks(s, spec->hooks);
	for (size_t i = 0; i < spec->mounts.n; i++)
		spec->mounts.v[i].source = moved(s, spec->mounts.v[i].source);
	decode_emit(&oci_spec_type, spec, &(struct emit){ .out = &s->document });
	return str_failed(&s->document) ? err_oom(e) : 0;
}

int source_offer(struct source *s, struct err *e)
{
	struct migration_offer *o = &s->offer;
	struct oci_spec spec = { 0 };
	struct cg_sample sample;

	o->id = s->o->new_id ? s->o->new_id : s->o->id;
	o->bundle = arena_strdup(&s->arena, s->o->remote_bundle ? s->o->remote_bundle : s->c.state.bundle);
	o->rootfs = s->o->rootfs;
	o->compress = s->o->compress;
	o->lazy = s->o->post_copy;
	if (!o->bundle)
		return err_oom(e);
	if (make_token(s, e) < 0 || load_document(s, &spec, e) < 0)
		return err_ret(e);
	o->document = str_cstr(&s->document);
	o->criu = criu_here(&s->criu, e);
	if (!o->criu)
		return err_ret(e);
	if (o->rootfs == MIGRATION_COPY)
		o->files = source_bundle_size(s);
	if (s->c.cg && cg_sample(s->c.cg, &sample, &s->arena, e) == 0)
		o->memory = sample.memory.usage.v;
	return offer_fill(&s->c, &spec, o, &s->arena, e);
}

/* ---- before anything is done ---- */

static void check_extensions(struct source *s, const struct oci_spec *spec, struct problems *p)
{
	struct ext_env env = container_env(&s->c);
	char text[ERR_TEXT_MAX + 128];
	struct oci_spec copy = *spec;
	struct ext_uses uses;
	struct err e;

	env.spec = &copy;
	if (ext_read(&s->c.state.annotations, &s->c.state.extensions, false, &uses, &s->arena, &e) < 0 ||
	    ext_run(&uses, EXT_CHECKPOINT, &env, &e) < 0)
		problem(p, "%s", err_format(&e, text, sizeof text));
}

static bool is_documented(const struct oci_spec *spec, const char *point)
{
	char clean[PATH_MAX];

	for (size_t i = 0; i < spec->mounts.n; i++)
		if (path_clean(spec->mounts.v[i].destination, clean, sizeof clean) >= 0 && path_below(clean, point))
			return true;
	return false;
}

/* What hooks and engines mounted comes from where it is here, and so has to be there: the source of each is offered with the document's. */
static void check_mounts(struct source *s, const struct oci_spec *spec, struct problems *p)
{
	struct oci_strs *offered = &s->offer.sources;
	struct oci_image_mounts mounts;
	char text[ERR_TEXT_MAX + 128];
	const char **v;
	struct err e;

	if (externals_mounts((pid_t)s->c.state.pid, spec, &mounts, &s->arena, &e) < 0) {
		problem(p, "%s", err_format(&e, text, sizeof text));
		return;
	}
	v = arena_alloc_n(&s->arena, offered->n + mounts.n + 1, sizeof *v);
	p->failed |= !v;
	if (!v)
		return;
	if (offered->n)
		memcpy(v, offered->v, offered->n * sizeof *v);
	offered->v = v;
	for (size_t i = 0; i < mounts.n; i++) {
		const struct oci_image_mount *m = &mounts.v[i];
		const char *there = moved(s, m->source);

		if (!m->external || m->device || str_starts(m->fs, "cgroup") || is_documented(spec, m->point) ||
		    notify_socket_is(m, s->o->id))
			continue;
		if (!*m->source)
			problem(p, "%s was mounted on %s from outside, and nothing says what to take there", m->fs, m->point);
		else if (there == m->source)
			v[offered->n++] = m->source;
		else if (!there || strcmp(there, m->source) != 0)
			problem(p, "%s was mounted on %s from the bundle, which lies elsewhere there", m->source, m->point);
	}
}

/* A process that has the container's network and does not move along, or 0.  Those of the container come second: what it forks meanwhile
 * is not among the first, and what ends meanwhile is not there any more. */
static int find_sharer(struct source *s, pid_t *ret, struct err *e)
{
	char own_path[64], path[64];
	pid_t *all = NULL, *own;
	size_t n_own, i;
	ssize_t n;
	int r;

	*ret = 0;
	n = proc_list_namespace((pid_t)s->c.state.pid, "net", &all, e);
	r = n < 0 ? (int)n : container_pids(&s->c, &own, &n_own, &s->arena, e);
	snprintf(own_path, sizeof own_path, "/proc/%d/ns/net", (int)s->c.state.pid);
	for (ssize_t j = 0; r >= 0 && j < n && !*ret; j++) {
		for (i = 0; i < n_own && own[i] != all[j]; i++)
			;
		snprintf(path, sizeof path, "/proc/%d/ns/net", (int)all[j]);
		if (i == n_own && ns_is_same(path, own_path))
			*ret = all[j];
	}
	free(all);
	return r;
}

/* When it has moved its addresses are elsewhere, and the interfaces here go down. */
int source_check_network(struct source *s, struct err *e)
{
	struct oci_spec spec;
	pid_t pid = 0;

	if (store_load_spec(&s->c.dir, &spec, &s->arena, e) < 0)
		return err_ret(e);
	if (!oci_namespace_new(&spec, CLONE_NEWNET))
		return 0;
	for (int looks = 0; looks < LOOKS && (looks == 0 || pid); looks++) {
		poll(NULL, 0, looks ? LOOK_PAUSE_MS : 0);
		if (find_sharer(s, &pid, e) < 0)
			return err_ret(e);
	}
	return pid ? err_set(e, ERR_STATE, 0, "process %d has the container's network too, and would be left without one", (int)pid) : 0;
}

static void check_here(struct source *s, struct problems *p)
{
	char text[ERR_TEXT_MAX + 128];
	struct oci_spec spec;
	struct err e;

	if (store_load_spec(&s->c.dir, &spec, &s->arena, &e) < 0) {
		problem(p, "%s", err_format(&e, text, sizeof text));
		return;
	}
	if (externals_check_joined(&spec, &e) < 0)
		problem(p, "%s", err_format(&e, text, sizeof text));
	if (spec.process && spec.process->terminal.v)
		problem(p, "/process/terminal: nobody would hold the container's terminal there");
	if (!s->c.cg)
		problem(p, "the container has no cgroup, and so cannot be frozen");
	if (s->o->rootfs == MIGRATION_COPY && !proc_in_path("rsync"))
		problem(p, "there is no rsync here, which brings the files (--rootfs shared does without)");
	if (s->o->compress && !proc_in_path("zstd"))
		problem(p, "there is no zstd here, for --compress");
	if (s->o->post_copy)
		offer_check_lazy(&s->criu, p);
	/* CRIU lets go of it when it begins to serve memory: what is frozen here must not answer for what runs there. */
	if (s->o->post_copy && network_is_own((pid_t)s->c.state.pid) && !network_can_hold())
		problem(p, "there is no nft here, which holds the container's network during --post-copy");
	if (s->o->post_copy && network_is_own((pid_t)s->c.state.pid) && !oci_namespace_new(&spec, CLONE_NEWNET))
		problem(p, "/linux/namespaces: others have the container's network namespace too, and --post-copy would hold their network");
	/* After a lost connection it goes on here with the memory of before: over files that are newer. */
	if (s->o->post_copy && s->o->rootfs == MIGRATION_SHARED)
		problem(p, "--rootfs shared cannot go with --post-copy: what it wrote there would stay when it has to go on here from before");
	offer_check_space("the memory", offer_tmp(), s->offer.memory, p);
	if (source_check_network(s, &e) < 0)
		problem(p, "%s", err_format(&e, text, sizeof text));
	if (criu_check_place(offer_tmp(), &e) < 0)
		problem(p, "the images: %s", err_format(&e, text, sizeof text));
	check_mounts(s, &spec, p);
	check_extensions(s, &spec, p);
}

/* A file in the bundle that the other side must see, if it is the same directory. */
static int make_marker(struct source *s, char *path, size_t size, struct err *e)
{
	if (s->o->rootfs != MIGRATION_SHARED)
		return 0;
	s->offer.marker = arena_printf(&s->arena, ".vzrun-%s", s->offer.token);
	if (!s->offer.marker || snprintf(path, size, "%s/%s", s->c.state.bundle, s->offer.marker) >= (int)size)
		return err_oom(e);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "%s", path) : 0;
}

/* In one error where it has room for them. */
static int all_problems(const struct oci_strs *list, const char *host, struct err *e)
{
	cleanup_str struct str text = { 0 };

	for (size_t i = 0; i < list->n; i++)
		str_addf(&text, "\n  %s", list->v[i]);
	if (str_failed(&text))
		return err_oom(e);
	if (text.len < ERR_TEXT_MAX / 2)
		return list->n ? err_set(e, ERR_STATE, 0, "it cannot move to %s:%s", host, str_cstr(&text)) : 0;
	for (size_t i = 0; i < list->n; i++)
		log_warn("%s", list->v[i]);
	return err_set(e, ERR_STATE, 0, "it cannot move to %s, for what is said above", host);
}

int source_check(struct source *s, struct err *e)
{
	struct migration_answer answer = { 0 };
	struct problems p = { .arena = &s->arena };
	char marker[PATH_MAX] = "";
	int r;

	check_here(s, &p);
	source_check_bundle(s, &p);
	if (make_marker(s, marker, sizeof marker, e) < 0)
		return err_ret(e);
	r = wire_send_document(&s->w, WIRE_OFFER, &migration_offer_type, &s->offer, e);
	if (r >= 0)
		r = wire_expect_document(&s->w, WIRE_ANSWER, &migration_answer_type, &answer, &s->arena, e);
	if (*marker)
		unlink(marker);
	if (r < 0)
		return r;
	for (size_t i = 0; i < answer.problems.n; i++)
		problem(&p, "%s: %s", s->o->host, answer.problems.v[i]);
	for (size_t i = 0; i < answer.doubts.n; i++)
		log_warn("%s: %s", s->o->host, answer.doubts.v[i]);
	return p.failed ? err_oom(e) : all_problems(&p.list.strs, s->o->host, e);
}
