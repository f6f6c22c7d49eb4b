// SPDX-License-Identifier: LGPL-2.1-or-later

/* Network interfaces of the host for a container (vzctl(8), --netdev_add).
 *
 * An interface goes in with its addresses, and comes back as it was: name, addresses, state.  The kernel alone would give
 * hardware back without addresses, and destroy what is virtual: so the network namespace is held until all is out of it. */

#include "extensions/netdev.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extensions/registry.h"
#include "extensions/values.h"
#include "oci/check_rules.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"
#include "runtime/linux/ns.h"

struct netdev {
	struct oci_strs names;
};

/* ---- words ---- */

static int parse(const char *text, void *member, struct arena *a, struct err *e)
{
	const char **name = member;

	if (!check_is_if_name(text) || strchr(text, '%'))
		return err_set(e, ERR_CONFIG, 0, "\"%.64s\" is no name of a network interface", text);
	*name = arena_strdup(a, text);
	return *name ? 0 : err_oom(e);
}

static const struct ext_value value_name = { "NAME", parse, value_print_text };

static const struct ext_row rows[] = {
	{ .name = "netdev", .kind = EXT_LIST, .flags = EXT_GRANT, .offset = EXT_MEMBER(struct netdev, names), .value = &value_name,
	  .help = "Network interfaces of the host, moved in",
	  .doc = "With their addresses, and up. They come back with name, addresses and state when they are taken away, when the container "
		 "is deleted, when a foreground run ends, and by `vzrun reconcile`. What the host's default route goes over is refused, with VLANs, bonds and bridges between. "
		 "What was built on it inside (a VLAN, a macvlan) goes before it comes back, also from network namespaces within, but not from one that has no process "
		 "and was not reached from the container's own at once. None may be lent at a checkpoint." },
	EXT_ROWS_END,
};

/* ---- both sides ---- */

int netdev_ends_open(struct netdev_ends *ends, const struct ext_env *env, struct err *e)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)env->pid);
	if (ns_is_own(path, CLONE_NEWNET))
		return err_set(e, ERR_STATE, 0, "the container has no network namespace of its own");
	ends->netns = ns_open(path, CLONE_NEWNET, e);
	/* The number may be somebody else's by now. */
	if (ends->netns >= 0 && env->pidfd >= 0 && sys_pidfd_send_signal(env->pidfd, 0, NULL, 0) < 0)
		return err_sys(e, "the container's network namespace");
	if (ends->netns < 0 || netlink_open(&ends->host, -1, e) < 0 || netlink_open(&ends->inside, ends->netns, e) < 0)
		return err_ret(e);
	return 0;
}

void netdev_ends_close(struct netdev_ends *ends)
{
	netlink_close(&ends->host);
	netlink_close(&ends->inside);
	fd_close(&ends->netns);
}

/* ---- the way of the default route ---- */

#define LAYERS 8 /* of interfaces one on another, as many as the kernel allows (MAX_NEST_DEV) */

struct tie { /* of an interface to what is above it and below it, by their indices; 0: nothing */
	int index, below, master;
};

struct ties {
	struct tie *v;
	size_t n, cap;
	struct arena *a;
};

/* Pairs and taps lead to somebody else, and so does not the default route of a bridge that they are ports of. */
static struct tie tie_of(const struct net_link *l)
{
	struct tie t = { l->index, 0, 0 };

	if (strcmp(l->kind, "veth") == 0 || strcmp(l->kind, "tun") == 0)
		return t;
	t.below = l->lower_elsewhere ? 0 : l->lower;
	t.master = l->master;
	return t;
}

static bool note(const struct net_link *l, void *arg)
{
	struct ties *ties = arg;

	if (ties->n == ties->cap) {
		struct tie *more = arena_alloc_n(ties->a, ties->cap * 2 + 32, sizeof *more);

		if (!more) {
			ties->a = NULL;
			return true;
		}
		if (ties->n)
			memcpy(more, ties->v, ties->n * sizeof *more);
		ties->v = more;
		ties->cap = ties->cap * 2 + 32;
	}
	ties->v[ties->n++] = tie_of(l);
	return false;
}

/* By itself, or by what stands on it, a VLAN or a bond or the bridge that it is a port of, and so on upwards. */
static bool carries(struct netlink *host, const struct ties *ties, int index, int layers)
{
	bool is_default = false;

	if (layers < 0 || net_link_has_default_route(host, index, &is_default) < 0 || is_default)
		return true;
	for (size_t i = 0; i < ties->n; i++) {
		const struct tie *t = &ties->v[i];

		if (t->below == index && carries(host, ties, t->index, layers - 1))
			return true;
		if (t->index == index && t->master && carries(host, ties, t->master, layers - 1))
			return true;
	}
	return false;
}

/* What cannot be seen is so. */
static bool carries_default_route(const struct ext_env *env, struct netlink *host, int index)
{
	struct ties ties = { .a = env->arena };

	return net_link_each(host, note, &ties) < 0 || !ties.a || carries(host, &ties, index, LAYERS);
}

int netdev_may_lend(const struct ext_env *env, const struct claim_list *claims, const char *name, struct err *e)
{
	const struct claim *claim = claims_find(claims, NETDEV_KIND, name);
	cleanup_netlink struct netlink host = NETLINK_NONE;
	struct net_link l;
	int r;

	if (claim && claim_is_of(claim, env))
		return 0;
	if (claim)
		return err_set(e, ERR_STATE, EBUSY, "%s is lent to container %s (%s)", name, claim->id, claim->root);
	if (netlink_open(&host, -1, e) < 0)
		return err_ret(e);
	r = net_link_find(&host, name, &l);
	if (r < 0)
		return err_set(e, ERR_CONFIG, 0, "no such interface: %s", name);
	if (l.flags & IFF_LOOPBACK)
		return err_set(e, ERR_CONFIG, 0, "%s is the host's loopback", name);
	if (strcmp(l.name, name) != 0)
		return err_set(e, ERR_CONFIG, 0, "%s is a further name of %s: give that", name, l.name);
	if (carries_default_route(env, &host, l.index))
		return err_set(e, ERR_STATE, EBUSY, "the host's default route goes over %s", name);
	return 0;
}

int netdev_lend_to(const struct ext_env *env, const struct claims *claims, struct netdev_ends *ends, const char *name, const char *of,
		   struct err *e)
{
	struct netdev_record record;
	struct claim claim = {
		.kind = NETDEV_KIND, .name = name, .root = claims_root(env), .id = env->id, .host_ns = claims_own_ns(), .of = of, .netdev = &record,
	};
	struct err ignored;

	if (!claim.root)
		return err_oom(e);
	if (netdev_describe(&ends->host, name, &record, env->arena, e) < 0 || claims_put(claims, &claim, e) < 0)
		return err_ret(e);
	if (claims_pin(claims, &claim, ends->netns, e) < 0 || netdev_lend(&ends->host, &ends->inside, &record, e) < 0 ||
	    claims_put(claims, &claim, e) < 0) {
		netdev_give_back(claims, &claim, env->arena, &ignored);
		return err_wrap(e, "%s", name);
	}
	return 0;
}

/* Of hardware sysfs tells; anything else that nobody can see is no more. */
static bool is_unplugged(const struct netdev_record *d)
{
	cleanup_dir DIR *buses = opendir("/sys/bus");
	char path[PATH_MAX];

	for (struct dirent *b = buses && d->bus ? readdir(buses) : NULL; b; b = readdir(buses)) {
		snprintf(path, sizeof path, "/sys/bus/%s/devices/%s", b->d_name, d->bus);
		if (b->d_name[0] != '.' && access(path, F_OK) == 0)
			return false;
	}
	return true;
}

/* Under whatever name: the host may have given it another one meanwhile. */
static const struct claim *find_by_index(const struct claim_list *list, int64_t index)
{
	int64_t own = claims_own_ns();

	for (size_t i = 0; index && i < list->n; i++)
		if (list->v[i].netdev && list->v[i].host_ns == own && list->v[i].netdev->host_index == index)
			return &list->v[i];
	return NULL;
}

/* Of what it stands on, or of its other end; NULL: that is not lent. */
static const struct claim *claim_of_lower(const struct claim_list *list, const struct netdev_record *d)
{
	const char *name = d->peer ? d->peer->name : d->lower;
	const struct claim *claim = find_by_index(list, d->lower_index);

	if (!claim && name)
		claim = claims_find(list, NETDEV_KIND, name);
	return claim && claim->netdev ? claim : NULL;
}

/* Of one that did not come back. */
enum fate {
	FATE_KEPT,   /* to be tried again */
	FATE_UNSEEN, /* it is no more, if it is not hidden in a namespace within the namespace */
	FATE_LOST,   /* it is no more */
};

static enum fate fate_of(struct netlink *host, const struct claim *claim, bool can_look, const struct err *e)
{
	if (e->num != ENODEV)
		return FATE_KEPT;
	if (netdev_is_orphan(host, claim->netdev))
		return FATE_LOST;
	/* Without a namespace to look into it may be in there, unless it never came so far. */
	if ((!can_look && claim->netdev->index) || !is_unplugged(claim->netdev))
		return FATE_KEPT;
	return claim->netdev->bus ? FATE_LOST : FATE_UNSEEN;
}

/* All loans, by their index in the list. */
static int *open_spaces(const struct claims *claims, const struct claim_list *list, struct arena *a)
{
	int *v = arena_alloc_n(a, list->n + 1, sizeof *v);

	for (size_t i = 0; v && i < list->n; i++)
		v[i] = list->v[i].netdev ? claims_pinned(claims, &list->v[i]) : -1;
	return v;
}

static int return_it(struct netlink *host, struct netlink *inside, const struct claims *claims, const struct claim *claim,
		     const struct claim_list *list, const struct claim *lower, struct arena *a, struct err *e)
{
	int *spaces = open_spaces(claims, list, a), r;

	if (!spaces)
		return err_oom(e);
	r = netdev_return(host, inside, claim->netdev, &(struct netdev_loans){
		.lower.netns = lower ? spaces[lower - list->v] : -1, .lower.index = lower ? lower->netdev->index : 0,
		.spaces = spaces, .n = list->n,
	}, e);
	for (size_t i = 0; i < list->n; i++)
		fd_close(&spaces[i]);
	return r;
}

static int put_back(const struct claims *claims, const struct claim *claim, struct arena *a, enum fate *ret_fate, struct err *e)
{
	cleanup_netlink struct netlink host = NETLINK_NONE, inside = NETLINK_NONE;
	cleanup_fd int netns = claims_pinned(claims, claim);
	const struct claim *lower;
	struct claim_list list;

	*ret_fate = FATE_KEPT;
	if (!claim->netdev)
		return err_set(e, ERR_STATE, 0, "%s: the claim says nothing about it", claim->name);
	if (claims_list(claims, &list, a, e) < 0 || netlink_open(&host, -1, e) < 0 || (netns >= 0 && netlink_open(&inside, netns, e) < 0))
		return err_ret(e);
	lower = claim_of_lower(&list, claim->netdev);
	if (return_it(&host, netns < 0 ? NULL : &inside, claims, claim, &list, lower, a, e) >= 0)
		return 0;
	if (e->num == ENODEV && lower && netdev_is_orphan(&host, claim->netdev))
		return err_set(e, ERR_STATE, EBUSY, "%s: is gone, and can be made again only when %s is back, which is lent to container %s",
			       claim->name, lower->name, lower->id);
	*ret_fate = fate_of(&host, claim, netns >= 0, e);
	return err_ret(e);
}

int netdev_give_back(const struct claims *claims, const struct claim *claim, struct arena *a, struct err *e)
{
	enum fate fate;

	if (put_back(claims, claim, a, &fate, e) < 0) {
		if (fate == FATE_KEPT)
			return err_ret(e);
		log_warn("network device %s", e->text); /* unplugged, or removed inside: nobody can give it back */
	}
	claims_drop(claims, claim);
	return 0;
}

/* ---- the key ---- */

/* Under a lock that is let go again: whoever takes it in the meantime is found once more by lend(). */
static int validate(const struct ext_env *env, void *config, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;
	const struct netdev *d = config;
	struct claim_list list = { 0 };
	struct err why;

	if (d->names.n == 0 || (env->option && !ext_wished(env, "netdev")))
		return 0;
	if (claims_open_any(&claims, e) < 0 || (claims.dir >= 0 && claims_list(&claims, &list, env->arena, e) < 0))
		return err_ret(e);
	if (!env->option && !oci_namespace(env->spec, CLONE_NEWNET))
		return ext_refuse(env, e, "netdev", "needs a network namespace in /linux/namespaces");
	for (size_t i = 0; i < d->names.n; i++)
		if (netdev_may_lend(env, &list, d->names.v[i], &why) < 0)
			return ext_refuse(env, e, "netdev", "%s", why.text);
	return 0;
}

/* What a killed `set` has left half done begins anew. */
static int is_lent(const struct ext_env *env, const struct claims *claims, const struct claim *claim, struct err *e)
{
	if (!claim || !claim_is_of(claim, env))
		return 0;
	if (claim->netdev && claim->netdev->index)
		return 1;
	return netdev_give_back(claims, claim, env->arena, e);
}

/* Those of `names` that are not in `other`. */
static int lend(struct ext_env *env, const struct oci_strs *names, const struct oci_strs *other, struct err *e)
{
	cleanup_netdev_ends struct netdev_ends ends = NETDEV_ENDS_NONE;
	cleanup_claims struct claims claims = CLAIMS_NONE;
	struct claim_list list;

	if (claims_open(&claims, e) < 0 || claims_list(&claims, &list, env->arena, e) < 0 || netdev_ends_open(&ends, env, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[i];
		int r = value_listed(other, name) ? 1 : is_lent(env, &claims, claims_find(&list, NETDEV_KIND, name), e);

		if (r < 0)
			return r;
		if (r == 0 && (netdev_may_lend(env, &list, name, e) < 0 || netdev_lend_to(env, &claims, &ends, name, NULL, e) < 0))
			return err_ret(e);
	}
	return 0;
}

/* Of the process; -1: nothing new to look into. */
static int open_nested(pid_t pid, ino_t host, ino_t inside, ino_t *last)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino == host || st.st_ino == inside || st.st_ino == *last)
		return -1;
	*last = st.st_ino;
	return fd_take(&fd);
}

/* A network namespace of processes of theirs may be one that the container's does not know.  What the host has is not theirs. */
static void clear_nested(const struct ext_env *env, const struct claims *claims, const struct claim *claim)
{
	cleanup_fd int netns = claims_pinned(claims, claim);
	cleanup_netlink struct netlink inside = NETLINK_NONE;
	ino_t host = (ino_t)claims_own_ns(), last = 0;
	struct err ignored;
	struct stat st;
	pid_t *pids;
	size_t n;

	if (!env->cg || !claim->netdev || netns < 0 || fstat(netns, &st) < 0 || netlink_open(&inside, netns, &ignored) < 0 ||
	    cgroup_pids(env->cg, &pids, &n, env->arena, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		cleanup_fd int fd = open_nested(pids[i], host, st.st_ino, &last);

		if (fd >= 0)
			netdev_remove_uppers(&inside, claim->netdev, fd);
	}
}

/* From a container that lives: what cannot be seen may be hidden, in a namespace within the namespace. */
static int take_one(const struct ext_env *env, const struct claims *claims, const struct claim *claim, struct err *e)
{
	enum fate fate;

	clear_nested(env, claims, claim);
	if (put_back(claims, claim, env->arena, &fate, e) < 0) {
		if (fate != FATE_LOST)
			return e->num == ENODEV ? err_hint(e, "or is hidden inside, until the container ends") : err_ret(e);
		log_warn("network device %s", e->text); /* unplugged, or gone with what it stood on */
	}
	claims_drop(claims, claim);
	return 0;
}

static int take(struct ext_env *env, const struct oci_strs *names, const struct oci_strs *other, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;
	struct claim_list list;

	if (claims_open(&claims, e) < 0 || claims_list(&claims, &list, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < names->n; i++) {
		const struct claim *claim = claims_find(&list, NETDEV_KIND, names->v[i]);

		if (!value_listed(other, names->v[i]) && claim && claim_is_of(claim, env) && take_one(env, &claims, claim, e) < 0)
			return err_ret(e);
	}
	return 0;
}

static int reclaim(struct ext_env *env, struct err *e)
{
	return claims_reclaim(env, NETDEV_KIND, netdev_give_back, e);
}

static void undo(struct ext_env *env, const void *config, const void *saved)
{
	(void)config;
	(void)saved;
	claims_undo(env, NETDEV_KIND, netdev_give_back);
}

static int apply(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	static const struct oci_strs none;
	const struct netdev *d = config;
	int r;

	if (d->names.n == 0)
		return 0;
	/* What an earlier container of this name still has would count as lent to this one. */
	r = claims_reclaim(env, NETDEV_KIND, netdev_give_back, e);
	if (r == 0)
		r = lend(env, &d->names, &none, e);
	if (r < 0)
		undo(env, config, saved);
	return r;
}

/* It would stay here while the images go elsewhere, and CRIU cannot make it again. */
static int refuse_checkpoint(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct netdev *d = config;

	(void)saved;
	return d->names.n ? claims_refuse_checkpoint(env, "netdev", d->names.v[0], e) : 0;
}

static int update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	const struct oci_strs *old = &((const struct netdev *)was)->names, *new = &((const struct netdev *)now)->names;
	struct err ignored;

	(void)saved;
	if (take(env, old, new, e) == 0 && lend(env, new, old, e) == 0)
		return 0;
	/* Each is where it was before; what is there already is left. */
	take(env, new, old, &ignored);
	lend(env, old, new, &ignored);
	return err_ret(e);
}

const struct ext ext_netdev = {
	.name = "netdev",
	.rows = rows,
	.config_size = sizeof(struct netdev),
	.validate = validate,
	.apply = { [EXT_NS_READY] = apply, [EXT_CHECKPOINT] = refuse_checkpoint },
	.undo = { [EXT_NS_READY] = undo },
	.update = update,
	.reclaim = reclaim,
};
