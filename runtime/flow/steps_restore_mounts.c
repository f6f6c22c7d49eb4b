// SPDX-License-Identifier: LGPL-2.1-or-later

/* Rows of restore: what was mounted from outside, and on what. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/flow/notify_socket.h"
#include "runtime/flow/restore.h"
#include "runtime/flow/steps.h"
#include "runtime/linux/mountinfo.h"

/* ---- where mounts from outside come from ---- */

static const char *mapped(const struct flow *f, const char *point)
{
	const struct oci_strs *map = &f->o->criu->mount_map;

	for (size_t i = 0; i < map->n; i++) {
		size_t len = strcspn(map->v[i], "=");

		if (strlen(point) == len && strncmp(map->v[i], point, len) == 0)
			return map->v[i] + len + 1;
	}
	return NULL;
}

/* The document's bind on this place, of several the last; -1: none. */
static ssize_t document_source(const struct flow *f, const char *point)
{
	ssize_t i = (ssize_t)f->spec.mounts.n;

	while (--i >= 0 && (f->sources[i] < 0 || strcmp(f->wishes[i].target, point) != 0))
		;
	return i;
}

static const char *cgroup_view(const struct flow *f, const char *point)
{
	const char *name = strrchr(point, '/') + 1;

	for (size_t i = 0; i < f->n_views; i++)
		if (!*f->views[i].name || strcmp(f->views[i].name, name) == 0)
			return f->views[i].host_dir;
	return NULL;
}

/* Whether anybody says now what is to be mounted there. */
static bool is_said(const struct flow *f, const char *point, struct restore_mount *ret)
{
	const char *path = mapped(f, point);

	ret->source = path ? -1 : document_source(f, point);
	ret->base = ret->source < 0 ? path : f->wishes[ret->source].source;
	return ret->base;
}

/* A part of what the document mounts, that was mounted with it (rbind) or by somebody since: from the same part of what that is now.
 * Where it was mounted tells nothing: on a place in a volume a hook may have put anything.  Of several the one that says most of the
 * source, and then the one that it is mounted below. */
static bool is_part(const struct flow *f, const struct oci_image_mount *m, struct restore_mount *ret)
{
	const struct oci_image_mounts *all = &f->restore->image.mounts;
	size_t best = 0;

	if (!*m->source)
		return false; /* of no file here: a part of nothing */
	for (size_t i = 0; i < all->n; i++) {
		const struct oci_image_mount *whole = &all->v[i];
		const char *rest = whole->external && *whole->source ? path_below(whole->source, m->source) : NULL;
		size_t rank = rest ? strlen(whole->source) * 2 + (path_below(whole->point, m->point) != NULL) : 0;

		if (rank <= best || document_source(f, whole->point) < 0)
			continue;
		best = rank;
		is_said(f, whole->point, ret);
		ret->rest = rest + (*rest == '/');
	}
	return best;
}

/* A new state directory has a new one. */
static int make_notify(struct flow *f, struct restore_mount *ret, struct err *e)
{
	if (mkdirat(f->dir.fd, STORE_NOTIFY, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "mkdir %s", STORE_NOTIFY);
	ret->base = arena_printf(&f->arena, "%s/%s/" STORE_NOTIFY, f->o->root, f->o->id);
	return ret->base ? 0 : err_oom(e);
}

/* Of the container's own cgroup; from what is said; from where it was. */
static int source_of(struct flow *f, const struct oci_image_mount *m, struct restore_mount *ret, struct err *e)
{
	*ret = (struct restore_mount){ .point = m->point, .rest = "", .source = -1 };
	if (strstr(m->point, "]:")) /* a name that CRIU would take for another, with a place of its choice */
		return err_set(e, ERR_CONFIG, 0, "%s: the images have a mount with \"]:\" in its name: such ones are not restored", m->point);
	if (str_starts(m->fs, "cgroup") && !mapped(f, m->point))
		ret->view = cgroup_view(f, m->point);
	if (ret->view || is_said(f, m->point, ret) || is_part(f, m, ret))
		return 0;
	if (notify_socket_is(m, f->restore->image.id))
		return make_notify(f, ret, e);
	if (m->device) {
		ret->again = m;
		return 0;
	}
	if (!*m->source)
		return err_set(e, ERR_CONFIG, 0, "the container had %s mounted on %s from outside, and the document has nothing there: "
			       "--mount-map %s=SOURCE says what to take", m->fs, m->point, m->point);
	ret->base = "/";
	ret->rest = m->source + 1;
	return 0;
}

static int check_map(const struct flow *f, struct err *e)
{
	const struct oci_strs *map = &f->o->criu->mount_map;
	const struct oci_image_mounts *m = &f->restore->image.mounts;

	for (size_t i = 0; i < map->n; i++) {
		size_t len = strcspn(map->v[i], "="), at = 0;

		while (at < m->n && !(m->v[at].external && strlen(m->v[at].point) == len && strncmp(m->v[at].point, map->v[i], len) == 0))
			at++;
		if (at == m->n)
			return err_set(e, ERR_USAGE, 0, "--mount-map %s: the container had nothing from outside mounted there", map->v[i]);
	}
	return 0;
}

int step_restore_mounts(struct flow *f, struct err *e)
{
	struct restore *r = f->restore;
	const struct oci_image_mounts *m = &r->image.mounts;
	int ret = step_sources(f, e);

	if (ret < 0)
		return ret;
	if (flow_has_userns(f) && flow_userns(f, e) < 0)
		return err_ret(e);
	r->mounts = arena_alloc_n(&f->arena, m->n + 1, sizeof *r->mounts);
	if (!r->mounts)
		return err_oom(e);
	if (!f->views && f->cg && cgroup_views(f->cg, &f->views, &f->n_views, &f->arena, e) < 0)
		return err_ret(e);
	if (check_map(f, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].external && source_of(f, &m->v[i], &r->mounts[r->n_mounts++], e) < 0)
			return err_ret(e);
	return 0;
}

/* ---- mount points ---- */

static int make_point(int root, const char *path, bool directory, struct err *e)
{
	cleanup_fd int fd = directory ? path_mkdir_all(root, path, 0755, e) : path_create_file(root, path, 0755, 0644, e);

	return fd < 0 ? fd : 0;
}

/* What a mount point lies on: the mount with the longest point above it. */
static const struct oci_image_mount *mount_under(const struct oci_image_mounts *m, const char *point)
{
	const struct oci_image_mount *best = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].point, point) != 0 && path_below(m->v[i].point, point) &&
		    (!best || strlen(m->v[i].point) > strlen(best->point)))
			best = &m->v[i];
	return best;
}

/* A root that was made anew has not the mount points that create made.  Those inside what CRIU keeps come with it; those in a
 * volume are made there, as create makes them. */
int step_mount_points(struct flow *f, struct err *e)
{
	struct restore *r = f->restore;
	const struct oci_image_mounts *m = &r->image.mounts;
	cleanup_fd int root = open(f->state.rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (root < 0)
		return err_sys(e, "%s", f->state.rootfs);
	for (size_t i = 0; i < m->n; i++) {
		const struct oci_image_mount *below = mount_under(m, m->v[i].point);
		const char *rest = below ? path_below(below->point, m->v[i].point) : m->v[i].point;
		const char *other = below && below->external ? mapped(f, below->point) : NULL;
		ssize_t at = below && below->external ? document_source(f, below->point) : -1;
		cleanup_fd int fd = other ? open(other, O_PATH | O_CLOEXEC) : -1;

		if (other && fd < 0)
			return err_sys(e, "--mount-map %s=%s", below->point, other);
		if (below && !other && at < 0)
			continue; /* CRIU keeps it; or inside what the host has: it is there or is not */
		if (make_point(other ? fd : below ? f->sources[at] : root, rest, m->v[i].directory, e) < 0)
			return err_wrap(e, "mount point %s", m->v[i].point);
	}
	return 0;
}
