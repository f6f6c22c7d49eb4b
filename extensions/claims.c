// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/claims.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "oci/emit.h"
#include "oci/json.h"
#include "oci/rows.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"

#define CLAIM_MAX 65536
#define PIN_PREFIX ".netns-" /* no claim: its name begins with a dot */
#define LOCK_WAIT_MS 20000
#define LOCK_PAUSE_MS 20

/* ---- the file ---- */

static const struct oci_field netdev_address_fields[] = {
	STR(struct netdev_address, local, "local"),
	STR(struct netdev_address, peer, "peer"),
	STR(struct netdev_address, broadcast, "broadcast"),
	I64(struct netdev_address, prefix, "prefix"),
	I64(struct netdev_address, scope, "scope"),
	I64(struct netdev_address, flags, "flags"),
	I64(struct netdev_address, metric, "metric"),
	ROW_END
};
static TABLE(netdev_address);

static const struct oci_type netdev_record_type;
static const struct oci_field netdev_record_fields[] = {
	STR(struct netdev_record, name, "name"),
	STR(struct netdev_record, kind, "kind"),
	STR(struct netdev_record, bus, "bus"),
	STR(struct netdev_record, mac, "mac"),
	STR(struct netdev_record, permanent_mac, "permanentMac"),
	STR(struct netdev_record, data, "data"),
	STR(struct netdev_record, lower, "lower"),
	STR(struct netdev_record, master, "master"),
	STRS(struct netdev_record, altnames, "altnames"),
	I64(struct netdev_record, flags, "flags"),
	I64(struct netdev_record, mtu, "mtu"),
	I64(struct netdev_record, txqueuelen, "txqueuelen"),
	I64(struct netdev_record, index, "index"),
	I64(struct netdev_record, host_index, "hostIndex"),
	I64(struct netdev_record, lower_index, "lowerIndex"),
	LIST(struct netdev_record, addresses, "addresses", netdev_address),
	PTR(struct netdev_record, peer, "peer", netdev_record),
	ROW_END
};
static TABLE(netdev_record);

static const struct oci_field pci_record_fields[] = {
	STR(struct pci_record, driver, "driver"),
	STR(struct pci_record, override, "override"),
	BOOL(struct pci_record, vfio, "vfio"),
	LIST(struct pci_record, nodes, "nodes", node),
	ROW_END
};
static TABLE(pci_record);

static const struct oci_field claim_fields[] = {
	STR(struct claim, kind, "kind", .flags = OCI_REQ),
	STR(struct claim, name, "name", .flags = OCI_REQ),
	STR(struct claim, root, "root", .flags = OCI_REQ),
	STR(struct claim, id, "id", .flags = OCI_REQ),
	I64(struct claim, host_ns, "hostNamespace"),
	STR(struct claim, of, "of"),
	PTR(struct claim, netdev, "netdev", netdev_record),
	PTR(struct claim, pci, "pci", pci_record),
	ROW_END
};
static TABLE(claim);

struct file_name {
	char s[NAME_MAX];
};

/* Names of interfaces are of a network namespace. */
static struct file_name name_of(const struct claim *claim, const char *prefix)
{
	struct file_name f;

	if (claim->host_ns)
		snprintf(f.s, sizeof f.s, "%s%s-%lld-%s", prefix, claim->kind, (long long)claim->host_ns, claim->name);
	else
		snprintf(f.s, sizeof f.s, "%s%s-%s", prefix, claim->kind, claim->name);
	return f;
}

/* ---- the directory ---- */

/* Whoever has it may wait for a driver. */
static int lock(const struct claims *c, struct err *e)
{
	for (int ms = 0; flock(c->dir, LOCK_EX | LOCK_NB) < 0; ms += LOCK_PAUSE_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, "lock " CLAIMS_DIR);
		if (ms >= LOCK_WAIT_MS)
			return err_set(e, ERR_STATE, EBUSY, CLAIMS_DIR " is locked by another command, which may wait for a driver (try "
				       "again, or `vzrun reconcile` later)");
		poll(NULL, 0, LOCK_PAUSE_MS);
	}
	return 0;
}

/* Files are replaced as a whole: who only looks needs no lock. */
static int open_unlocked(struct claims *ret, struct err *e)
{
	struct stat st;

	ret->dir = open(CLAIMS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->dir < 0)
		/* A plain user has lent nothing: he may not. */
		return errno == ENOENT || errno == EACCES ? 0 : err_sys(e, CLAIMS_DIR);
	if (fstat(ret->dir, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 022) {
		fd_close(&ret->dir);
		return err_set(e, ERR_STATE, EPERM, CLAIMS_DIR " can be written by others");
	}
	return 0;
}

int claims_open_any(struct claims *ret, struct err *e)
{
	if (open_unlocked(ret, e) < 0)
		return err_ret(e);
	return ret->dir < 0 ? 0 : lock(ret, e);
}

int claims_open(struct claims *ret, struct err *e)
{
	if (fs_mkdir_all(CLAIMS_DIR, 0700, e) < 0)
		return err_ret(e);
	if (claims_open_any(ret, e) < 0)
		return err_ret(e);
	return ret->dir < 0 ? err_set(e, ERR_KERNEL, EACCES, CLAIMS_DIR) : 0;
}

void claims_close(struct claims *c)
{
	fd_close(&c->dir);
}

static int read_claim(const struct claims *c, const char *name, struct claim *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct json_node *tree;

	if (fs_read(c->dir, name, CLAIM_MAX, &text, e) < 0 || json_parse(str_cstr(&text), text.len, &tree, a, e) < 0)
		return err_ret(e);
	return decode(&claim_type, tree, ret, a, e);
}

static int append(struct claim_list *list, const struct claim *claim, struct arena *a, struct err *e)
{
	struct claim *more = arena_alloc_n(a, list->n + 1, sizeof *more);

	if (!more)
		return err_oom(e);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = *claim;
	*list = (struct claim_list){ more, list->n + 1 };
	return 0;
}

int claims_list(const struct claims *c, struct claim_list *ret, struct arena *a, struct err *e)
{
	int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char text[ERR_TEXT_MAX + 128];

	*ret = (struct claim_list){ 0 };
	if (!dir) {
		err_sys(e, CLAIMS_DIR);
		fd_close(&fd);
		return err_ret(e);
	}
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		struct claim claim;

		if (d->d_name[0] == '.')
			continue;
		if (read_claim(c, d->d_name, &claim, a, e) < 0) {
			if (e->num != ENOENT) /* given back meanwhile */
				log_warn(CLAIMS_DIR "/%s: %s", d->d_name, err_format(e, text, sizeof text));
		} else if (append(ret, &claim, a, e) < 0) {
			return err_ret(e);
		}
	}
	return 0;
}

int64_t claims_own_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (int64_t)st.st_ino : 0;
}

const struct claim *claims_find(const struct claim_list *list, const char *kind, const char *name)
{
	int64_t own = claims_own_ns();

	for (size_t i = 0; i < list->n; i++) {
		const struct claim *claim = &list->v[i];

		if (strcmp(claim->kind, kind) == 0 && strcmp(claim->name, name) == 0 && (!claim->host_ns || claim->host_ns == own))
			return claim;
	}
	return NULL;
}

/* --root may be given by a link. */
const char *claims_root(const struct ext_env *env)
{
	cleanup_free char *path = realpath(env->store, NULL);

	return arena_strdup(env->arena, path ? path : env->store);
}

bool claim_is_of(const struct claim *claim, const struct ext_env *env)
{
	return strcmp(claim->id, env->id) == 0 && str_eq(claim->root, claims_root(env));
}

int claims_put(const struct claims *c, const struct claim *claim, struct err *e)
{
	cleanup_str struct str text = { 0 };

	decode_emit(&claim_type, claim, &(struct emit){ .out = &text, .indent = 2 });
	if (str_failed(&text))
		return err_oom(e);
	return fs_replace(c->dir, name_of(claim, "").s, text.s, text.len, 0600, e) < 0 ? err_wrap(e, CLAIMS_DIR) : 0;
}

/* ---- network namespaces ---- */

struct pin_path {
	char s[PATH_MAX];
};

/* mount(2) takes paths; nobody else can change this one. */
static struct pin_path pin_path(const struct claim *claim)
{
	struct pin_path p;

	snprintf(p.s, sizeof p.s, CLAIMS_DIR "/%s", name_of(claim, PIN_PREFIX).s);
	return p;
}

static void unpin(const struct claims *c, const struct claim *claim)
{
	/* One over another, where somebody was killed and began again. */
	while (umount2(pin_path(claim).s, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	unlinkat(c->dir, name_of(claim, PIN_PREFIX).s, 0);
}

int claims_pin(const struct claims *c, const struct claim *claim, int netns_fd, struct err *e)
{
	unpin(c, claim);
	cleanup_fd int file = openat(c->dir, name_of(claim, PIN_PREFIX).s, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return err_sys(e, CLAIMS_DIR);
	if (mount(fd_path(netns_fd).s, pin_path(claim).s, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, "keep the network namespace by a mount in " CLAIMS_DIR);
	return 0;
}

int claims_pinned(const struct claims *c, const struct claim *claim)
{
	cleanup_fd int fd = openat(c->dir, name_of(claim, PIN_PREFIX).s, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	/* Not the file itself, where the mount was made in another mount namespace or never. */
	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC ? fd_take(&fd) : -1;
}

void claims_drop(const struct claims *c, const struct claim *claim)
{
	unpin(c, claim);
	unlinkat(c->dir, name_of(claim, "").s, 0);
}

/* ---- the way back ---- */

/* A root that cannot be seen from here says nothing about its containers. */
static bool has_ended(const struct claim *claim)
{
	return access(claim->root, F_OK) == 0 && ext_has_ended(claim->root, claim->id);
}

static bool is_due(const struct claim *claim, const struct ext_env *env, const char *kind)
{
	/* Of another network namespace: not ours to give back. */
	if (strcmp(claim->kind, kind) != 0 || (claim->host_ns && claim->host_ns != claims_own_ns()))
		return false;
	return env->id ? claim_is_of(claim, env) : has_ended(claim);
}

static bool any_is_due(const struct claims *c, const struct ext_env *env, const char *kind)
{
	struct claim_list list;
	struct err ignored;

	if (claims_list(c, &list, env->arena, &ignored) < 0)
		return true; /* to be said under the lock */
	for (size_t i = 0; i < list.n; i++)
		if (is_due(&list.v[i], env, kind))
			return true;
	return false;
}

static int give_all(const struct claims *c, const struct ext_env *env, const char *kind, claims_give give, struct err *e)
{
	char text[ERR_TEXT_MAX + 128];
	struct claim_list list;
	int r = 0;

	if (claims_list(c, &list, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < list.n; i++) {
		struct err one;

		if (!is_due(&list.v[i], env, kind) || give(c, &list.v[i], env->arena, &one) >= 0)
			continue;
		if (r < 0)
			log_warn("%s: %s", kind, err_format(e, text, sizeof text));
		*e = one;
		r = err_wrap(e, "not given back");
	}
	return r;
}

/* Who has nothing, and that is nearly everybody, waits for nobody. */
int claims_reclaim(const struct ext_env *env, const char *kind, claims_give give, struct err *e)
{
	cleanup_claims struct claims c = CLAIMS_NONE;

	if (open_unlocked(&c, e) < 0)
		return err_ret(e);
	if (c.dir < 0 || !any_is_due(&c, env, kind))
		return 0;
	return lock(&c, e) < 0 ? err_ret(e) : give_all(&c, env, kind, give, e);
}

void claims_undo(const struct ext_env *env, const char *kind, claims_give give)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (claims_reclaim(env, kind, give, &e) < 0)
		log_warn("%s: %s", kind, err_format(&e, text, sizeof text));
}

int claims_refuse_checkpoint(const struct ext_env *env, const char *key, const char *name, struct err *e)
{
	return ext_refuse(env, e, key, "%s is lent to the container and cannot go into images: take it away first (vzrun set %s --%s-del %s)", name,
			  env->id, key, name);
}
