// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>

#include "runtime/linux/netlink_request.h"

/* Since Linux 4.15 and 5.14; older headers lack the names. */
#define ATTR_TARGET_NETNSID 46
#define ATTR_PERM_ADDRESS 54
#define ATTR_PARENT_DEV_NAME 56

/* ---- namespaces ---- */

static int take_ns_id(const struct nlmsghdr *h, void *data)
{
	struct netlink_attrs as;

	if (netlink_attrs(h, sizeof(struct rtgenmsg), &as) < 0)
		return MNL_CB_ERROR;
	*(int *)data = (int)netlink_u32(as.v[NETNSA_NSID], (uint32_t)NETNSA_NSID_NOT_ASSIGNED);
	return MNL_CB_OK;
}

int net_ns_id(struct netlink *n, int ns_fd, int *ret)
{
	const struct rtgenmsg m = { .rtgen_family = AF_UNSPEC };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_GETNSID, NLM_F_ACK, &m, sizeof m);

	*ret = NETNSA_NSID_NOT_ASSIGNED;
	netlink_put_u32(h, NETNSA_FD, (uint32_t)ns_fd);
	return netlink_run(n, h, take_ns_id, ret);
}

struct ns_ids {
	int *v;
	size_t room, n;
};

static int note_ns_id(const struct nlmsghdr *h, void *data)
{
	struct ns_ids *ids = data;
	int id;

	if (take_ns_id(h, &id) < 0)
		return MNL_CB_ERROR;
	if (id >= 0 && ids->n < ids->room)
		ids->v[ids->n++] = id;
	return MNL_CB_OK;
}

static void forget_ns_ids(void *data)
{
	((struct ns_ids *)data)->n = 0;
}

int net_ns_ids(struct netlink *n, int *v, size_t room, size_t *ret_n)
{
	const struct rtgenmsg m = { .rtgen_family = AF_UNSPEC };
	struct ns_ids ids = { v, room, 0 };
	struct netlink_request r;
	int code = netlink_dump(n, netlink_request_init(&r, RTM_GETNSID, NLM_F_DUMP, &m, sizeof m), note_ns_id, forget_ns_ids, &ids);

	*ret_n = ids.n;
	return code;
}

/* ---- links ---- */

static int take_altname(const struct nlattr *a, void *data)
{
	struct net_link *l = data;
	size_t len = mnl.attr_get_payload_len(a);

	if (mnl.attr_get_type(a) != IFLA_ALT_IFNAME || len == 0 || len > sizeof l->altnames[0] || l->n_altnames == NETLINK_ALTNAMES)
		return MNL_CB_OK;
	memcpy(l->altnames[l->n_altnames], mnl.attr_get_payload(a), len);
	l->altnames[l->n_altnames++][len - 1] = '\0';
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *h, struct net_link *ret)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	struct netlink_attrs as, info;

	if (netlink_attrs(h, sizeof *m, &as) < 0 || netlink_attrs_nested(as.v[IFLA_LINKINFO], &info) < 0)
		return -1;
	*ret = (struct net_link){
		.index = m->ifi_index, .flags = m->ifi_flags,
		.lower = (int)netlink_u32(as.v[IFLA_LINK], 0), .lower_elsewhere = as.v[IFLA_LINK_NETNSID] != NULL,
		.lower_ns = (int)netlink_u32(as.v[IFLA_LINK_NETNSID], (uint32_t)NETNSA_NSID_NOT_ASSIGNED),
		.master = (int)netlink_u32(as.v[IFLA_MASTER], 0), .mtu = netlink_u32(as.v[IFLA_MTU], 0),
		.txqueuelen = netlink_u32(as.v[IFLA_TXQLEN], 0),
	};
	netlink_string(as.v[IFLA_IFNAME], ret->name, sizeof ret->name);
	netlink_string(info.v[IFLA_INFO_KIND], ret->kind, sizeof ret->kind);
	netlink_string(as.v[ATTR_PARENT_DEV_NAME], ret->bus, sizeof ret->bus);
	netlink_bytes(as.v[IFLA_ADDRESS], &ret->mac);
	netlink_bytes(as.v[ATTR_PERM_ADDRESS], &ret->permanent_mac);
	netlink_bytes(info.v[IFLA_INFO_DATA], &ret->data);
	if (as.v[IFLA_PROP_LIST] && mnl.attr_parse_nested(as.v[IFLA_PROP_LIST], take_altname, ret) < 0)
		return -1;
	return 0;
}

static int take_link(const struct nlmsghdr *h, void *data)
{
	return read_link(h, data) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static int find(struct netlink *n, int index, const char *name, struct net_link *ret)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_GETLINK, NLM_F_ACK, &m, sizeof m);

	*ret = (struct net_link){ 0 };
	if (name)
		netlink_put_string(h, IFLA_IFNAME, name);
	return netlink_run(n, h, take_link, ret);
}

int net_link_find(struct netlink *n, const char *name, struct net_link *ret)
{
	return find(n, 0, name, ret);
}

int net_link_by_index(struct netlink *n, int index, struct net_link *ret)
{
	return find(n, index, NULL, ret);
}

struct walk {
	bool (*each)(const struct net_link *l, void *arg);
	void *arg;
	bool found;
};

/* To the end in any case: what is left unread would answer the next request. */
static int walk_link(const struct nlmsghdr *h, void *data)
{
	struct walk *w = data;
	struct net_link l;

	if (w->found)
		return MNL_CB_OK;
	if (read_link(h, &l) < 0)
		return MNL_CB_ERROR;
	w->found = w->each(&l, w->arg);
	return MNL_CB_OK;
}

static int walk_links(struct netlink *n, const int *ns, bool (*each)(const struct net_link *l, void *arg), void *arg)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	struct walk w = { each, arg, false };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_GETLINK, NLM_F_DUMP, &m, sizeof m);

	if (ns)
		netlink_put_u32(h, ATTR_TARGET_NETNSID, (uint32_t)*ns);
	return netlink_dump(n, h, walk_link, NULL, &w);
}

int net_link_each(struct netlink *n, bool (*each)(const struct net_link *l, void *arg), void *arg)
{
	return walk_links(n, NULL, each, arg);
}

int net_link_each_in(struct netlink *n, int ns, bool (*each)(const struct net_link *l, void *arg), void *arg)
{
	return walk_links(n, &ns, each, arg);
}

int net_link_move(struct netlink *n, int index, int ns_fd, const char *name)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);

	mnl.attr_put(h, IFLA_NET_NS_FD, sizeof ns_fd, &ns_fd);
	netlink_put_string(h, IFLA_IFNAME, name);
	return netlink_run(n, h, NULL, NULL);
}

int net_link_change(struct netlink *n, int index, const struct net_change *c)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = c->flags, .ifi_change = c->mask };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);

	if (c->name)
		netlink_put_string(h, IFLA_IFNAME, c->name);
	if (c->mac)
		mnl.attr_put(h, IFLA_ADDRESS, c->mac->n, c->mac->v);
	if (c->master)
		netlink_put_u32(h, IFLA_MASTER, (uint32_t)*c->master);
	if (c->mtu)
		netlink_put_u32(h, IFLA_MTU, c->mtu);
	if (c->set_txqueuelen)
		netlink_put_u32(h, IFLA_TXQLEN, c->txqueuelen);
	return netlink_run(n, h, NULL, NULL);
}

int net_link_delete(struct netlink *n, int index)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_request r;

	return netlink_run(n, netlink_request_init(&r, RTM_DELLINK, NLM_F_ACK, &m, sizeof m), NULL, NULL);
}

int net_link_delete_in(struct netlink *n, int ns, int index)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_DELLINK, NLM_F_ACK, &m, sizeof m);

	netlink_put_u32(h, ATTR_TARGET_NETNSID, (uint32_t)ns);
	return netlink_run(n, h, NULL, NULL);
}

static int change_altname(struct netlink *n, uint16_t type, uint16_t flags, int index, const char *name)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, type, NLM_F_ACK | flags, &m, sizeof m);
	struct nlattr *list = mnl.attr_nest_start(h, IFLA_PROP_LIST);

	netlink_put_string(h, IFLA_ALT_IFNAME, name);
	mnl.attr_nest_end(h, list);
	return netlink_run(n, h, NULL, NULL);
}

int net_link_add_altname(struct netlink *n, int index, const char *name)
{
	int r = change_altname(n, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, index, name);

	return r == -EEXIST ? 0 : r;
}

int net_link_drop_altname(struct netlink *n, int index, const char *name)
{
	return change_altname(n, RTM_DELLINKPROP, 0, index, name);
}

static void put_new(struct nlmsghdr *h, const struct net_new *l)
{
	netlink_put_string(h, IFLA_IFNAME, l->name);
	if (l->mac && l->mac->n)
		mnl.attr_put(h, IFLA_ADDRESS, l->mac->n, l->mac->v);
	if (l->mtu)
		netlink_put_u32(h, IFLA_MTU, l->mtu);
	if (l->lower)
		netlink_put_u32(h, IFLA_LINK, (uint32_t)l->lower);
}

static void put_peer(struct nlmsghdr *h, const struct net_new *peer)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	struct nlattr *data = mnl.attr_nest_start(h, IFLA_INFO_DATA), *nest = mnl.attr_nest_start(h, VETH_INFO_PEER);

	memcpy(mnl.nlmsg_put_extra_header(h, sizeof m), &m, sizeof m);
	put_new(h, peer);
	mnl.attr_nest_end(h, nest);
	mnl.attr_nest_end(h, data);
}

int net_link_new(struct netlink *n, const struct net_new *l)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
	struct nlattr *info;

	put_new(h, l);
	info = mnl.attr_nest_start(h, IFLA_LINKINFO);
	netlink_put_string(h, IFLA_INFO_KIND, l->kind);
	if (l->peer)
		put_peer(h, l->peer);
	else if (l->data && l->data->n)
		mnl.attr_put(h, IFLA_INFO_DATA, l->data->n, l->data->v);
	mnl.attr_nest_end(h, info);
	return netlink_run(n, h, NULL, NULL);
}

/* ---- routes ---- */

struct route_search {
	int index;
	bool found;
};

static bool hops_over(const struct nlattr *a, int index)
{
	const struct rtnexthop *hop = mnl.attr_get_payload(a);
	int left = (int)mnl.attr_get_payload_len(a);

	for (; RTNH_OK(hop, left); left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		if (hop->rtnh_ifindex == index)
			return true;
	return false;
}

static int take_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct route_search *s = data;
	struct netlink_attrs as;

	if (m->rtm_dst_len != 0 || m->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	if (netlink_attrs(h, sizeof *m, &as) < 0)
		return MNL_CB_ERROR;
	if (netlink_u32(as.v[RTA_TABLE], m->rtm_table) != RT_TABLE_MAIN)
		return MNL_CB_OK;
	if ((int)netlink_u32(as.v[RTA_OIF], 0) == s->index || (as.v[RTA_MULTIPATH] && hops_over(as.v[RTA_MULTIPATH], s->index)))
		s->found = true;
	return MNL_CB_OK;
}

int net_link_has_default_route(struct netlink *n, int index, bool *ret)
{
	const struct rtmsg m = { .rtm_family = AF_UNSPEC };
	struct route_search s = { index, false };
	struct netlink_request r;
	int code = netlink_dump(n, netlink_request_init(&r, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof m), take_route, NULL, &s);

	*ret = s.found;
	return code;
}
