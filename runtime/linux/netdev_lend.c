// SPDX-License-Identifier: LGPL-2.1-or-later
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/linux/netdev.h"

/* What of an interface's flags is somebody's wish; the rest is its state. */
#define KEPT_FLAGS (IFF_UP | IFF_PROMISC | IFF_ALLMULTI | IFF_NOARP | IFF_MULTICAST | IFF_DYNAMIC)

/* Kinds that can be made from what the kernel tells of one. */
static const char *const makeable[] = { "dummy", "ifb", "ipvlan", "ipvtap", "macvlan", "macvtap", "veth", "vlan" };

/* Those of them that stand on another, and go with it. */
static const char *const dependent[] = { "ipvlan", "ipvtap", "macvlan", "macvtap", "vlan" };

#define net_err(e, num, ...) err_set((e), ERR_KERNEL, (num), __VA_ARGS__)

/* ---- the record ---- */

static const char *hex_of(const struct net_bytes *b, struct arena *a)
{
	char text[2 * sizeof b->v + 1] = "";

	for (size_t i = 0; i < b->n; i++)
		snprintf(text + 2 * i, 3, "%02x", b->v[i]);
	return b->n ? arena_strdup(a, text) : NULL;
}

static struct net_bytes bytes_of(const char *hex)
{
	struct net_bytes b = { 0 };
	unsigned v;

	for (const char *p = hex ? hex : ""; b.n < sizeof b.v && sscanf(p, "%2x", &v) == 1 && p[1]; p += 2)
		b.v[b.n++] = (uint8_t)v;
	return b;
}

static const char *word_of(const char *text, struct arena *a)
{
	return *text ? arena_strdup(a, text) : NULL;
}

static const char *address_text(const struct net_address *x, int type, struct arena *a)
{
	char text[INET6_ADDRSTRLEN];

	if (!x->has[type] || !inet_ntop(x->family, x->bytes[type], text, sizeof text))
		return NULL;
	return arena_strdup(a, text);
}

static int describe_addresses(struct netlink *host, int index, struct netdev_addresses *ret, struct arena *a, struct err *e)
{
	cleanup_net_addresses struct net_addresses as = { 0 };
	int r = net_addresses_read(host, index, &as);

	if (r < 0)
		return net_err(e, -r, "read the addresses");
	ret->v = arena_alloc_n(a, as.n + 1, sizeof *ret->v);
	if (!ret->v)
		return err_oom(e);
	for (ret->n = 0; ret->n < as.n; ret->n++) {
		const struct net_address *x = &as.v[ret->n];

		/* IPv4 has both, the same unless there is another end; IPv6 has one, or both. */
		ret->v[ret->n] = (struct netdev_address){
			.local = address_text(x, x->has[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS, a),
			.peer = x->has[IFA_LOCAL] ? address_text(x, IFA_ADDRESS, a) : NULL,
			.broadcast = address_text(x, IFA_BROADCAST, a),
			.prefix = x->prefix, .scope = x->scope, .flags = x->flags, .metric = x->priority,
		};
	}
	return 0;
}

static const char *name_of(struct netlink *host, int index, struct arena *a)
{
	struct net_link l;

	return index && net_link_by_index(host, index, &l) == 0 ? word_of(l.name, a) : NULL;
}

static int describe_altnames(const struct net_link *l, struct oci_strs *ret, struct arena *a, struct err *e)
{
	ret->v = arena_alloc_n(a, l->n_altnames + 1, sizeof *ret->v);
	if (!ret->v)
		return err_oom(e);
	for (ret->n = 0; ret->n < l->n_altnames; ret->n++) {
		ret->v[ret->n] = arena_strdup(a, l->altnames[ret->n]);
		if (!ret->v[ret->n])
			return err_oom(e);
	}
	return 0;
}

static int describe_link(struct netlink *host, const struct net_link *l, struct netdev_record *ret, struct arena *a,
			 struct err *e)
{
	*ret = (struct netdev_record){
		.name = word_of(l->name, a), .kind = word_of(l->kind, a), .bus = word_of(l->bus, a),
		.mac = hex_of(&l->mac, a), .permanent_mac = hex_of(&l->permanent_mac, a), .data = hex_of(&l->data, a),
		.lower = l->lower_elsewhere ? NULL : name_of(host, l->lower, a), .master = name_of(host, l->master, a),
		.flags = l->flags & KEPT_FLAGS, .mtu = l->mtu, .txqueuelen = l->txqueuelen,
		.host_index = l->index, .lower_index = l->lower_elsewhere ? 0 : l->lower,
	};
	if (!ret->name)
		return err_oom(e);
	if (describe_altnames(l, &ret->altnames, a, e) < 0)
		return err_ret(e);
	return describe_addresses(host, l->index, &ret->addresses, a, e);
}

static int describe_peer(struct netlink *host, const struct net_link *l, struct netdev_record *ret, struct arena *a,
			 struct err *e)
{
	struct net_link peer;

	if (strcmp(l->kind, "veth") != 0 || l->lower_elsewhere || net_link_by_index(host, l->lower, &peer) < 0)
		return 0;
	ret->peer = arena_new(a, struct netdev_record);
	return ret->peer ? describe_link(host, &peer, ret->peer, a, e) : err_oom(e);
}

int netdev_describe(struct netlink *host, const char *name, struct netdev_record *ret, struct arena *a, struct err *e)
{
	struct net_link l;
	int r = strlen(name) < IFNAMSIZ ? net_link_find(host, name, &l) : -ENODEV;

	if (r == -ENODEV)
		return err_set(e, ERR_CONFIG, ENODEV, "no such interface: %.64s", name);
	if (r < 0)
		return net_err(e, -r, "look for %s", name);
	if (describe_link(host, &l, ret, a, e) < 0 || describe_peer(host, &l, ret, a, e) < 0)
		return err_wrap(e, "%s", name);
	return 0;
}

int netdev_lend(struct netlink *host, struct netlink *inside, struct netdev_record *d, struct err *e)
{
	char name[IFNAMSIZ];
	struct net_link l;
	int r = net_link_find(host, d->name, &l);

	if (r < 0)
		return net_err(e, -r, "look for %s", d->name);
	if (netdev_choose_name(inside, d->name, name, e) < 0 || netdev_transfer(host, inside, &l, name, true, &l, e) < 0)
		return err_ret(e);
	d->index = l.index;
	return 0;
}

/* ---- the way back ---- */

/* The container's root may have removed it and put something else under its name or number. */
static bool is_it(const struct netdev_record *d, const struct net_link *l)
{
	const struct net_bytes permanent = bytes_of(d->permanent_mac);

	if (strcmp(l->kind, d->kind ? d->kind : "") != 0 || strcmp(l->bus, d->bus ? d->bus : "") != 0)
		return false;
	/* Interfaces of one function tell themselves apart by it. */
	return permanent.n == l->permanent_mac.n && memcmp(permanent.v, l->permanent_mac.v, permanent.n) == 0;
}

struct hunt {
	const struct netdev_record *d;
	struct net_link *ret;
	bool found;
};

static bool is_same_hardware(const struct net_link *l, void *arg)
{
	struct hunt *h = arg;

	h->found = h->d->bus && is_it(h->d, l);
	if (h->found)
		*h->ret = *l;
	return h->found;
}

static bool on_host(struct netlink *host, const struct netdev_record *d, struct net_link *ret)
{
	struct hunt h = { d, ret, false };

	if (net_link_find(host, d->name, ret) == 0 && is_it(d, ret))
		return true;
	/* Hardware comes back by itself when its namespace ends, as "dev0" where its name is taken. */
	return net_link_each(host, is_same_hardware, &h) == 0 && h.found;
}

static bool is_inside(struct netlink *inside, const struct netdev_record *d, struct net_link *ret)
{
	struct hunt h = { d, ret, false };

	if (d->index && net_link_by_index(inside, (int)d->index, ret) == 0 && is_it(d, ret))
		return true;
	if (net_link_find(inside, d->name, ret) == 0 && is_it(d, ret))
		return true;
	return net_link_each(inside, is_same_hardware, &h) == 0 && h.found;
}

/* Its own name, or one that is free. */
static int free_name(struct netlink *host, const struct netdev_record *d, char ret[IFNAMSIZ], struct err *e)
{
	struct err taken;

	if (netdev_choose_name(host, d->name, ret, &taken) == 0)
		return 0;
	if (taken.num != EEXIST)
		return net_err(e, taken.num, "look for %s", d->name);
	if (netdev_choose_name(host, "dev%d", ret, e) < 0)
		return err_ret(e);
	log_warn("network device %s comes back as %s: the host has another one of that name", d->name, ret);
	return 0;
}

static int set_down(struct netlink *n, int index, struct err *e)
{
	const struct net_change down = { .mask = IFF_UP };
	int r = net_link_change(n, index, &down);

	return r < 0 ? net_err(e, -r, "set down") : 0;
}

struct uppers {
	int lower;
	int v[64], lower_ns[64]; /* as many in one go */
	size_t n;
};

static bool is_upper(const struct net_link *l, void *arg)
{
	struct uppers *u = arg;

	/* The other end of a pair stands on nothing. */
	if (l->lower == u->lower && l->index != u->lower && !l->lower_elsewhere && strcmp(l->kind, "veth") != 0)
		u->v[u->n++] = l->index;
	return u->n == ARRAY_SIZE(u->v);
}

/* A macvlan or VLAN of theirs would go on to send and hear over the host's interface. */
static int remove_uppers(struct netlink *inside, int index, struct err *e)
{
	struct uppers u;
	int r = 0;

	do {
		u = (struct uppers){ .lower = index };
		r = net_link_each(inside, is_upper, &u);
		for (size_t i = 0; r == 0 && i < u.n; i++)
			r = net_link_delete(inside, u.v[i]);
		if (r == -ENODEV) /* it went with another */
			r = 0;
	} while (r == 0 && u.n);
	return r < 0 ? net_err(e, -r, "remove what was built on it inside") : 0;
}

static bool is_hidden_upper(const struct net_link *l, void *arg)
{
	struct uppers *u = arg;

	if (l->lower != u->lower || !l->lower_elsewhere || strcmp(l->kind, "veth") == 0)
		return false;
	u->lower_ns[u->n] = l->lower_ns;
	u->v[u->n++] = l->index;
	return u->n == ARRAY_SIZE(u->v);
}

/* In the namespace that `n` calls *ns, or its own; `lower_ns` is the one that `index` is of.  The kernel chooses the number of a
 * namespace when it first speaks of it: so that is asked for behind the walk. */
static void remove_uppers_in(struct netlink *n, const int *ns, int lower_ns, int index)
{
	struct uppers u;
	int own, r;

	do {
		u = (struct uppers){ .lower = index };
		r = ns ? net_link_each_in(n, *ns, is_hidden_upper, &u) : net_link_each(n, is_hidden_upper, &u);
		if (r < 0 || u.n == 0 || net_ns_id(n, lower_ns, &own) < 0 || own < 0)
			return;
		for (size_t i = 0; i < u.n; i++)
			if (u.lower_ns[i] == own)
				r = ns ? net_link_delete_in(n, *ns, u.v[i]) : net_link_delete(n, u.v[i]);
	} while (r == 0 && u.n == ARRAY_SIZE(u.v) && u.lower_ns[0] == own);
}

void netdev_remove_uppers(struct netlink *inside, const struct netdev_record *d, int ns_fd)
{
	cleanup_netlink struct netlink there = NETLINK_NONE;
	struct net_link l = { 0 };
	struct err ignored;

	if (is_inside(inside, d, &l) && netlink_open(&there, ns_fd, &ignored) == 0)
		remove_uppers_in(&there, NULL, inside->ns_fd, l.index);
}

/* And so it would from elsewhere: a namespace keeps a number of each that something went to from it.  What the host has built
 * on it and kept is not theirs, nor what it has lent to others.  What cannot be seen is left. */
static void remove_hidden_uppers(struct netlink *host, struct netlink *inside, int index, const struct netdev_loans *loans)
{
	int ids[256], kept;
	size_t n;

	if (net_ns_ids(inside, ids, ARRAY_SIZE(ids), &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		bool theirs = net_ns_id(inside, host->ns_fd, &kept) == 0 && kept != ids[i];

		for (size_t j = 0; theirs && j < loans->n; j++)
			theirs = loans->spaces[j] < 0 || (net_ns_id(inside, loans->spaces[j], &kept) == 0 && kept != ids[i]);
		if (theirs)
			remove_uppers_in(inside, &ids[i], inside->ns_fd, index);
	}
}

/* One that the host has as well would keep it from coming back. */
static int drop_altnames(struct netlink *inside, struct net_link *l, struct err *e)
{
	int r = 0;

	while (r == 0 && l->n_altnames) {
		for (size_t i = 0; r == 0 && i < l->n_altnames; i++)
			r = net_link_drop_altname(inside, l->index, l->altnames[i]);
		if (r == 0)
			r = net_link_by_index(inside, l->index, l);
	}
	return r < 0 ? net_err(e, -r, "take its further names away") : 0;
}

static int move_back(struct netlink *host, struct netlink *inside, const struct netdev_record *d, const struct netdev_loans *loans,
		     struct net_link *l, struct err *e)
{
	char name[IFNAMSIZ];
	int r;

	remove_hidden_uppers(host, inside, l->index, loans);
	if (set_down(inside, l->index, e) < 0 || remove_uppers(inside, l->index, e) < 0 || drop_altnames(inside, l, e) < 0 ||
	    free_name(host, d, name, e) < 0)
		return err_ret(e);
	r = net_link_move(inside, l->index, host->ns_fd, name);
	if (r == 0)
		r = net_link_find(host, name, l);
	return r < 0 ? net_err(e, -r, "move back as %s", name) : 0;
}

static int index_of(struct netlink *host, const char *name)
{
	struct net_link l;

	return name && net_link_find(host, name, &l) == 0 ? l.index : 0;
}

/* What it stood on, as far as that is still on the host: made anew under the same name, too. */
static int lower_of(struct netlink *host, const struct netdev_record *d)
{
	struct net_link l;

	if (d->lower_index && net_link_by_index(host, (int)d->lower_index, &l) == 0)
		return l.index;
	return index_of(host, d->lower);
}

/* Names are the host's to change, and a number may be another one after a loan: one of the two is enough. */
static bool is_lower(struct netlink *host, const struct netdev_record *d, const char *name, int index)
{
	return index && (index == d->lower_index || index == index_of(host, name));
}

static bool is_at(struct netlink *host, const struct netdev_place *place, const struct net_link *l)
{
	int ns;

	return place->netns >= 0 && (!place->index || place->index == l->lower) && net_ns_id(host, place->netns, &ns) == 0 && ns >= 0 &&
	       ns == l->lower_ns;
}

/* Whoever is root inside can make another of its kind under its name, but not one that stands on what the host has, or on what the
 * host has lent to somebody else. */
static bool is_impostor(struct netlink *host, const struct netdev_record *d, const struct netdev_place *lower, const struct net_link *l)
{
	const char *under = d->peer ? d->peer->name : d->lower;

	return under && !(l->lower_elsewhere ? is_at(host, lower, l) : is_lower(host, d, under, l->lower));
}

static bool is_one_of(const char *kind, const char *const *kinds, size_t n)
{
	for (size_t i = 0; kind && i < n; i++)
		if (strcmp(kinds[i], kind) == 0)
			return true;
	return false;
}

static bool is_dependent(const struct netdev_record *d)
{
	return is_one_of(d->kind, dependent, ARRAY_SIZE(dependent));
}

bool netdev_is_orphan(struct netlink *host, const struct netdev_record *d)
{
	return is_dependent(d) && d->lower && !lower_of(host, d);
}

static int can_be_made(struct netlink *host, const struct netdev_record *d, struct err *e)
{
	/* One end alone would lead nowhere. */
	if (!is_one_of(d->kind, makeable, ARRAY_SIZE(makeable)) || (strcmp(d->kind, "veth") == 0 && !d->peer))
		return err_set(e, ERR_STATE, ENODEV, "is gone, and cannot be made again");
	/* The kernel would only say that something is invalid. */
	if (is_dependent(d) && !lower_of(host, d))
		return err_set(e, ERR_STATE, ENODEV, "is gone, and so is %s, which it stood on", d->lower ? d->lower : "the interface");
	return 0;
}

/* What the kernel reports is not quite what it takes.  Of a macvlan: only mode and flags, its first two attributes.  Of a VLAN: all
 * but the mask of the flags, which must be of those that there are. */
static void take_attr(const char *kind, const struct nlattr *head, const uint8_t *from, struct net_bytes *to)
{
	struct ifla_vlan_flags vlan;

	if (str_starts(kind, "macv") && head->nla_type > IFLA_MACVLAN_FLAGS)
		return;
	memcpy(to->v + to->n, from, head->nla_len);
	if (strcmp(kind, "vlan") == 0 && head->nla_type == IFLA_VLAN_FLAGS && head->nla_len == NLA_HDRLEN + sizeof vlan) {
		memcpy(&vlan, from + NLA_HDRLEN, sizeof vlan);
		vlan.mask = vlan.flags | VLAN_FLAG_REORDER_HDR;
		memcpy(to->v + to->n + NLA_HDRLEN, &vlan, sizeof vlan);
	}
	to->n += NLA_ALIGN(head->nla_len);
}

static struct net_bytes data_to_make(const struct netdev_record *d)
{
	const struct net_bytes all = bytes_of(d->data);
	struct net_bytes some = { 0 };
	struct nlattr head;

	for (size_t at = 0; at + sizeof head <= all.n; at += NLA_ALIGN(head.nla_len)) {
		memcpy(&head, all.v + at, sizeof head);
		if (head.nla_len < sizeof head || at + NLA_ALIGN(head.nla_len) > sizeof all.v)
			break;
		take_attr(d->kind, &head, all.v + at, &some);
	}
	return some;
}

/* The other end of a pair whose end was hidden inside, in a namespace within the namespace: both go. */
static bool drop_widow(struct netlink *host, const struct netdev_record *d)
{
	struct net_link l;

	return net_link_find(host, d->peer->name, &l) == 0 && strcmp(l.kind, "veth") == 0 && l.lower_elsewhere &&
	       (!d->lower_index || l.index == d->lower_index) && net_link_delete(host, l.index) == 0;
}

static int make_again(struct netlink *host, const struct netdev_record *d, struct net_link *ret, struct err *e)
{
	struct net_bytes mac = bytes_of(d->mac), data, peer_mac = { 0 };
	struct net_new peer = { 0 }, new = { .name = d->name, .kind = d->kind, .mac = &mac, .data = &data, .mtu = (uint32_t)d->mtu };
	int r;

	if (can_be_made(host, d, e) < 0)
		return err_ret(e);
	data = data_to_make(d);
	if (d->peer) {
		peer_mac = bytes_of(d->peer->mac);
		peer = (struct net_new){ .name = d->peer->name, .mac = &peer_mac, .mtu = (uint32_t)d->peer->mtu };
		new.peer = &peer;
	} else if (d->lower) {
		new.lower = lower_of(host, d);
	}
	r = net_link_new(host, &new);
	if (r == -EEXIST && d->peer && drop_widow(host, d))
		r = net_link_new(host, &new);
	if (r == 0)
		r = net_link_find(host, d->name, ret);
	return r < 0 ? net_err(e, -r, "make it again") : 0;
}

/* ---- as it was ---- */

static bool put_text(struct net_address *x, int type, const char *text)
{
	if (!text)
		return true;
	x->has[type] = inet_pton(x->family, text, x->bytes[type]) == 1;
	return x->has[type];
}

static int add_address(struct netlink *host, int index, const struct netdev_address *from, struct err *e)
{
	bool six = from->local && strchr(from->local, ':');
	struct net_address x = {
		.family = six ? AF_INET6 : AF_INET, .size = six ? 16 : 4, .prefix = (uint8_t)from->prefix, .scope = (uint8_t)from->scope,
		.flags = (uint32_t)from->flags, .priority = (uint32_t)from->metric,
	};
	int r;

	if (!from->local || !put_text(&x, IFA_LOCAL, from->local) || !put_text(&x, IFA_ADDRESS, from->peer ? from->peer : from->local) ||
	    !put_text(&x, IFA_BROADCAST, from->broadcast))
		return err_set(e, ERR_STATE, 0, "address %s", from->local ? from->local : "");
	r = net_address_add(host, index, &x);
	return r < 0 && r != -EEXIST ? net_err(e, -r, "address %s", from->local) : 0;
}

/* Down for what an interface that is up refuses. */
static int restore(struct netlink *host, const struct net_link *l, const struct netdev_record *d, struct err *e)
{
	const struct net_bytes mac = bytes_of(d->mac);
	const int master = index_of(host, d->master);
	struct net_change was = {
		.flags = (unsigned)d->flags & ~(unsigned)IFF_UP, .mask = KEPT_FLAGS, .mac = mac.n ? &mac : NULL,
		.mtu = (uint32_t)d->mtu, .txqueuelen = (uint32_t)d->txqueuelen, .set_txqueuelen = true,
		.master = master != l->master ? &master : NULL,
	};
	int r;

	if (memcmp(mac.v, l->mac.v, sizeof mac.v) == 0)
		was.mac = NULL; /* not every kind lets it be set */
	if (strcmp(l->name, d->name) != 0 && index_of(host, d->name) == 0)
		was.name = d->name;
	r = net_link_change(host, l->index, &was);
	if (r < 0)
		return net_err(e, -r, "set what it was");
	for (size_t i = 0; i < d->altnames.n; i++)
		if (net_link_add_altname(host, l->index, d->altnames.v[i]) < 0)
			log_warn("network device %s: its further name %s is not free", d->name, d->altnames.v[i]);
	for (size_t i = 0; i < d->addresses.n; i++)
		if (add_address(host, l->index, &d->addresses.v[i], e) < 0)
			return err_ret(e);
	return d->flags & IFF_UP ? netdev_set_up(host, l->index, e) : 0;
}

static int restore_peer(struct netlink *host, const struct netdev_record *peer, struct err *e)
{
	struct net_link l;
	int r = net_link_find(host, peer->name, &l);

	if (r < 0)
		return net_err(e, -r, "find %s", peer->name);
	return restore(host, &l, peer, e) < 0 ? err_wrap(e, "%s", peer->name) : 0;
}

int netdev_return(struct netlink *host, struct netlink *inside, const struct netdev_record *d, const struct netdev_loans *loans,
		  struct err *e)
{
	struct net_link l;
	bool there, made = false;
	int r = 0;

	there = inside && is_inside(inside, d, &l);
	if (there)
		r = move_back(host, inside, d, loans, &l, e);
	if (r == 0 && there && is_impostor(host, d, &loans->lower, &l)) {
		net_link_delete(host, l.index);
		there = false;
	}
	if (r == 0 && !there && !on_host(host, d, &l)) {
		r = make_again(host, d, &l, e);
		made = true;
	}
	if (r == 0)
		r = restore(host, &l, d, e);
	if (r == 0 && made && d->peer)
		r = restore_peer(host, d->peer, e);
	return r < 0 ? err_wrap(e, "%s", d->name) : 0;
}
