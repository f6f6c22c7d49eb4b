// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/netlink.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#if HAVE_MNL
#include <libmnl/libmnl.h>
#endif

#include "runtime/base/fd.h"
#include "runtime/base/str.h"

#if HAVE_MNL

/* Since Linux 4.15 and 5.14; older headers lack the names. */
#define ATTR_TARGET_NETNSID 46
#define ATTR_PERM_ADDRESS 54
#define ATTR_PARENT_DEV_NAME 56

#define DUMP_TRIES 8 /* of one that somebody changes meanwhile */

#define DUMP_BUFFER 32768 /* what the kernel puts into one part of a dump at most */
#define REQUEST_BUFFER 1024

/* ---- libmnl, opened on first use ---- */

static struct mnl {
	typeof(mnl_socket_open2) *socket_open2;
	typeof(mnl_socket_bind) *socket_bind;
	typeof(mnl_socket_close) *socket_close;
	typeof(mnl_socket_get_portid) *socket_get_portid;
	typeof(mnl_socket_sendto) *socket_sendto;
	typeof(mnl_socket_recvfrom) *socket_recvfrom;
	typeof(mnl_cb_run) *cb_run;
	typeof(mnl_nlmsg_put_header) *nlmsg_put_header;
	typeof(mnl_nlmsg_put_extra_header) *nlmsg_put_extra_header;
	typeof(mnl_attr_put) *attr_put;
	typeof(mnl_attr_nest_start) *attr_nest_start;
	typeof(mnl_attr_nest_end) *attr_nest_end;
	typeof(mnl_attr_parse) *attr_parse;
	typeof(mnl_attr_parse_nested) *attr_parse_nested;
	typeof(mnl_attr_get_type) *attr_get_type;
	typeof(mnl_attr_get_payload) *attr_get_payload;
	typeof(mnl_attr_get_payload_len) *attr_get_payload_len;
	bool loaded;
} mnl;

#define SYMBOL(name) { offsetof(struct mnl, name), "mnl_" #name }

static int load(struct err *e)
{
	static const struct {
		size_t offset;
		const char *name;
	} symbols[] = {
		SYMBOL(socket_open2), SYMBOL(socket_bind), SYMBOL(socket_close), SYMBOL(socket_get_portid), SYMBOL(socket_sendto),
		SYMBOL(socket_recvfrom), SYMBOL(cb_run), SYMBOL(nlmsg_put_header), SYMBOL(nlmsg_put_extra_header), SYMBOL(attr_put),
		SYMBOL(attr_nest_start), SYMBOL(attr_nest_end), SYMBOL(attr_parse), SYMBOL(attr_parse_nested), SYMBOL(attr_get_type),
		SYMBOL(attr_get_payload), SYMBOL(attr_get_payload_len),
	};
	void *handle;

	if (mnl.loaded)
		return 0;
	handle = dlopen("libmnl.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return err_set(e, ERR_UNSUPPORTED, 0, "libmnl cannot be loaded: %s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(handle, symbols[i].name);

		if (!p)
			return err_set(e, ERR_UNSUPPORTED, 0, "libmnl has no %s", symbols[i].name);
		memcpy((char *)&mnl + symbols[i].offset, &p, sizeof p);
	}
	mnl.loaded = true;
	return 0;
}

/* ---- one socket in one namespace ---- */

static int open_here(struct netlink *n, struct err *e)
{
	n->sock = mnl.socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->sock || mnl.socket_bind(n->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_sys(e, "netlink socket");
	return 0;
}

/* A socket belongs for ever to the namespace it was made in, so it is enough to be there for a moment.  This process has one
 * thread: setns forth and back costs two calls, a child that hands the socket over a hundred times that. */
static int open_there(struct netlink *n, int own_ns, struct err *e)
{
	int r;

	if (setns(n->ns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, "enter the container's network namespace");
	r = open_here(n, e);
	/* Nothing may go on in the wrong namespace; the caller's undo needs no network. */
	if (setns(own_ns, CLONE_NEWNET) < 0)
		return err_sys(e, "return from the container's network namespace");
	return r;
}

int netlink_open(struct netlink *ret, int ns_fd, struct err *e)
{
	cleanup_netlink struct netlink n = NETLINK_NONE;
	cleanup_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r = load(e);

	*ret = NETLINK_NONE;
	if (r < 0)
		return r;
	if (own < 0)
		return err_sys(e, "open /proc/self/ns/net");
	n.ns_fd = fcntl(ns_fd < 0 ? own : ns_fd, F_DUPFD_CLOEXEC, 3);
	if (n.ns_fd < 0)
		return err_sys(e, "network namespace");
	r = ns_fd < 0 ? open_here(&n, e) : open_there(&n, own, e);
	if (r < 0)
		return r;
	*ret = n;
	n = NETLINK_NONE;
	return 0;
}

void netlink_close(struct netlink *n)
{
	if (n->sock)
		mnl.socket_close(n->sock);
	n->sock = NULL;
	fd_close(&n->ns_fd);
}

/* ---- requests ---- */

struct request {
	union {
		struct nlmsghdr align;
		char buf[REQUEST_BUFFER];
	};
};

static struct nlmsghdr *request_init(struct request *r, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	struct nlmsghdr *h;

	memset(r, 0, sizeof *r); /* some versions of the library leave the padding of attributes as it is */
	h = mnl.nlmsg_put_header(r->buf);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(mnl.nlmsg_put_extra_header(h, size), body, size);
	return h;
}

static void put_string(struct nlmsghdr *h, uint16_t type, const char *s)
{
	mnl.attr_put(h, type, strlen(s) + 1, s);
}

static void put_u32(struct nlmsghdr *h, uint16_t type, uint32_t v)
{
	mnl.attr_put(h, type, sizeof v, &v);
}

/* The end of a dump, or of what is no dump: nothing comes behind it. */
static bool has_end(const void *buf, ssize_t len)
{
	const struct nlmsghdr *h = buf;

	for (int left = (int)len; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return true;
	return false;
}

/* What is left of a dump would answer the next request.  `buf` has the last `len` bytes that were read of it: the kernel may tell
 * of a change only in the last message, and then there is nothing left to wait for. */
static void drain(struct netlink *n, char buf[DUMP_BUFFER], ssize_t len)
{
	while (!has_end(buf, len)) {
		len = mnl.socket_recvfrom(n->sock, buf, DUMP_BUFFER);
		if (len < 0 && errno != EINTR)
			return;
	}
}

/* Send and read all answers: to the acknowledgement, or to the end of a dump.  -EINTR: what is dumped was changed meanwhile. */
static int run(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, void *data)
{
	char buf[DUMP_BUFFER];
	unsigned portid = mnl.socket_get_portid(n->sock);
	ssize_t len = 0;
	int r = MNL_CB_OK;

	h->nlmsg_seq = ++n->seq;
	if (mnl.socket_sendto(n->sock, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		len = mnl.socket_recvfrom(n->sock, buf, sizeof buf);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		r = mnl.cb_run(buf, (size_t)len, n->seq, portid, each, data);
	}
	if (r < 0 && errno == EINTR) {
		drain(n, buf, len);
		return -EINTR;
	}
	return r < 0 ? -errno : 0;
}

struct attrs {
	const struct nlattr *v[64];
};

static int collect_attr(const struct nlattr *a, void *data)
{
	struct attrs *as = data;
	uint16_t type = mnl.attr_get_type(a);

	if (type < ARRAY_SIZE(as->v))
		as->v[type] = a;
	return MNL_CB_OK;
}

static uint32_t attr_u32(const struct nlattr *a, uint32_t otherwise)
{
	uint32_t v = otherwise;

	if (a && mnl.attr_get_payload_len(a) == sizeof v)
		memcpy(&v, mnl.attr_get_payload(a), sizeof v);
	return v;
}

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

static void attr_string(const struct nlattr *a, char *ret, size_t size)
{
	size_t len = a ? mnl.attr_get_payload_len(a) : 0;

	if (len == 0 || len > size)
		return;
	memcpy(ret, mnl.attr_get_payload(a), len);
	ret[len - 1] = '\0';
}

static void attr_bytes(const struct nlattr *a, struct net_bytes *ret)
{
	size_t len = a ? mnl.attr_get_payload_len(a) : 0;

	if (len == 0 || len > sizeof ret->v)
		return;
	ret->n = len;
	memcpy(ret->v, mnl.attr_get_payload(a), len);
}

/* ---- namespaces ---- */

static int take_ns_id(const struct nlmsghdr *h, void *data)
{
	struct attrs as = { 0 };

	if (mnl.attr_parse(h, sizeof(struct rtgenmsg), collect_attr, &as) < 0)
		return MNL_CB_ERROR;
	*(int *)data = (int)attr_u32(as.v[NETNSA_NSID], (uint32_t)NETNSA_NSID_NOT_ASSIGNED);
	return MNL_CB_OK;
}

int net_ns_id(struct netlink *n, int ns_fd, int *ret)
{
	const struct rtgenmsg m = { .rtgen_family = AF_UNSPEC };
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_GETNSID, NLM_F_ACK, &m, sizeof m);

	*ret = NETNSA_NSID_NOT_ASSIGNED;
	put_u32(h, NETNSA_FD, (uint32_t)ns_fd);
	return run(n, h, take_ns_id, ret);
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

int net_ns_ids(struct netlink *n, int *v, size_t room, size_t *ret_n)
{
	const struct rtgenmsg m = { .rtgen_family = AF_UNSPEC };
	struct ns_ids ids = { v, room, 0 };
	struct request r;
	int code = run(n, request_init(&r, RTM_GETNSID, NLM_F_DUMP, &m, sizeof m), note_ns_id, &ids);

	*ret_n = ids.n;
	return code;
}

/* ---- links ---- */

static int read_link(const struct nlmsghdr *h, struct net_link *ret)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	struct attrs as = { 0 }, info = { 0 };

	if (mnl.attr_parse(h, sizeof *m, collect_attr, &as) < 0 ||
	    (as.v[IFLA_LINKINFO] && mnl.attr_parse_nested(as.v[IFLA_LINKINFO], collect_attr, &info) < 0))
		return -1;
	*ret = (struct net_link){
		.index = m->ifi_index, .flags = m->ifi_flags,
		.lower = (int)attr_u32(as.v[IFLA_LINK], 0), .lower_elsewhere = as.v[IFLA_LINK_NETNSID] != NULL,
		.lower_ns = (int)attr_u32(as.v[IFLA_LINK_NETNSID], (uint32_t)NETNSA_NSID_NOT_ASSIGNED),
		.master = (int)attr_u32(as.v[IFLA_MASTER], 0), .mtu = attr_u32(as.v[IFLA_MTU], 0),
		.txqueuelen = attr_u32(as.v[IFLA_TXQLEN], 0),
	};
	attr_string(as.v[IFLA_IFNAME], ret->name, sizeof ret->name);
	attr_string(info.v[IFLA_INFO_KIND], ret->kind, sizeof ret->kind);
	attr_string(as.v[ATTR_PARENT_DEV_NAME], ret->bus, sizeof ret->bus);
	attr_bytes(as.v[IFLA_ADDRESS], &ret->mac);
	attr_bytes(as.v[ATTR_PERM_ADDRESS], &ret->permanent_mac);
	attr_bytes(info.v[IFLA_INFO_DATA], &ret->data);
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
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_GETLINK, NLM_F_ACK, &m, sizeof m);

	*ret = (struct net_link){ 0 };
	if (name)
		put_string(h, IFLA_IFNAME, name);
	return run(n, h, take_link, ret);
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
	int code = -EINTR;

	for (int i = 0; i < DUMP_TRIES && code == -EINTR; i++) {
		struct walk w = { each, arg, false };
		struct request r;
		struct nlmsghdr *h = request_init(&r, RTM_GETLINK, NLM_F_DUMP, &m, sizeof m);

		if (ns)
			put_u32(h, ATTR_TARGET_NETNSID, (uint32_t)*ns);
		code = run(n, h, walk_link, &w);
	}
	return code;
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
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);

	mnl.attr_put(h, IFLA_NET_NS_FD, sizeof ns_fd, &ns_fd);
	put_string(h, IFLA_IFNAME, name);
	return run(n, h, NULL, NULL);
}

int net_link_change(struct netlink *n, int index, const struct net_change *c)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = c->flags, .ifi_change = c->mask };
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);

	if (c->name)
		put_string(h, IFLA_IFNAME, c->name);
	if (c->mac)
		mnl.attr_put(h, IFLA_ADDRESS, c->mac->n, c->mac->v);
	if (c->master)
		put_u32(h, IFLA_MASTER, (uint32_t)*c->master);
	if (c->mtu)
		put_u32(h, IFLA_MTU, c->mtu);
	if (c->set_txqueuelen)
		put_u32(h, IFLA_TXQLEN, c->txqueuelen);
	return run(n, h, NULL, NULL);
}

int net_link_delete(struct netlink *n, int index)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct request r;

	return run(n, request_init(&r, RTM_DELLINK, NLM_F_ACK, &m, sizeof m), NULL, NULL);
}

int net_link_delete_in(struct netlink *n, int ns, int index)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_DELLINK, NLM_F_ACK, &m, sizeof m);

	put_u32(h, ATTR_TARGET_NETNSID, (uint32_t)ns);
	return run(n, h, NULL, NULL);
}

static int change_altname(struct netlink *n, uint16_t type, uint16_t flags, int index, const char *name)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct request r;
	struct nlmsghdr *h = request_init(&r, type, NLM_F_ACK | flags, &m, sizeof m);
	struct nlattr *list = mnl.attr_nest_start(h, IFLA_PROP_LIST);

	put_string(h, IFLA_ALT_IFNAME, name);
	mnl.attr_nest_end(h, list);
	return run(n, h, NULL, NULL);
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
	put_string(h, IFLA_IFNAME, l->name);
	if (l->mac && l->mac->n)
		mnl.attr_put(h, IFLA_ADDRESS, l->mac->n, l->mac->v);
	if (l->mtu)
		put_u32(h, IFLA_MTU, l->mtu);
	if (l->lower)
		put_u32(h, IFLA_LINK, (uint32_t)l->lower);
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
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
	struct nlattr *info;

	put_new(h, l);
	info = mnl.attr_nest_start(h, IFLA_LINKINFO);
	put_string(h, IFLA_INFO_KIND, l->kind);
	if (l->peer)
		put_peer(h, l->peer);
	else if (l->data && l->data->n)
		mnl.attr_put(h, IFLA_INFO_DATA, l->data->n, l->data->v);
	mnl.attr_nest_end(h, info);
	return run(n, h, NULL, NULL);
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
	struct attrs as = { 0 };

	if (m->rtm_dst_len != 0 || m->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	if (mnl.attr_parse(h, sizeof *m, collect_attr, &as) < 0)
		return MNL_CB_ERROR;
	if (attr_u32(as.v[RTA_TABLE], m->rtm_table) != RT_TABLE_MAIN)
		return MNL_CB_OK;
	if ((int)attr_u32(as.v[RTA_OIF], 0) == s->index || (as.v[RTA_MULTIPATH] && hops_over(as.v[RTA_MULTIPATH], s->index)))
		s->found = true;
	return MNL_CB_OK;
}

int net_link_has_default_route(struct netlink *n, int index, bool *ret)
{
	const struct rtmsg m = { .rtm_family = AF_UNSPEC };
	struct route_search s = { index, false };
	int code = -EINTR;

	for (int i = 0; i < DUMP_TRIES && code == -EINTR; i++) {
		struct request r;

		code = run(n, request_init(&r, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof m), take_route, &s);
	}

	*ret = s.found;
	return code;
}

/* ---- addresses ---- */

struct address_search {
	int index;
	struct net_addresses *list;
	bool failed;
};

void net_addresses_done(struct net_addresses *a)
{
	free(a->v);
	*a = (struct net_addresses){ 0 };
}

static struct net_address *address_append(struct address_search *s)
{
	struct net_address *v = reallocarray(s->list->v, s->list->n + 1, sizeof *v);

	s->failed |= !v;
	if (!v)
		return NULL;
	s->list->v = v;
	v[s->list->n] = (struct net_address){ 0 };
	return &v[s->list->n++];
}

static void fill_address(struct net_address *a, const struct ifaddrmsg *m, const struct attrs *as, uint32_t flags)
{
	a->family = m->ifa_family;
	a->prefix = m->ifa_prefixlen;
	a->scope = m->ifa_scope;
	a->size = m->ifa_family == AF_INET ? 4 : 16;
	/* What a user may set; the rest is the kernel's report. */
	a->flags = flags & (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN);
	a->priority = attr_u32(as->v[IFA_RT_PRIORITY], 0);
	for (int t = IFA_ADDRESS; t <= IFA_BROADCAST; t++) {
		if (t == IFA_LABEL || !as->v[t] || mnl.attr_get_payload_len(as->v[t]) != a->size)
			continue;
		a->has[t] = true;
		memcpy(a->bytes[t], mnl.attr_get_payload(as->v[t]), a->size);
	}
}

static int take_address(const struct nlmsghdr *h, void *data)
{
	struct address_search *s = data;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct net_address *a;
	struct attrs as = { 0 };
	uint32_t flags;

	if ((int)m->ifa_index != s->index || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
		return MNL_CB_OK;
	if (mnl.attr_parse(h, sizeof *m, collect_attr, &as) < 0)
		return MNL_CB_ERROR;
	flags = attr_u32(as.v[IFA_FLAGS], m->ifa_flags);
	if (!(flags & IFA_F_PERMANENT) || m->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	a = address_append(s);
	if (!a)
		return MNL_CB_ERROR;
	fill_address(a, m, &as, flags);
	return MNL_CB_OK;
}

int net_addresses_read(struct netlink *n, int index, struct net_addresses *ret)
{
	const struct ifaddrmsg m = { .ifa_family = AF_UNSPEC };
	struct address_search s = { index, ret, false };
	int code = -EINTR;

	*ret = (struct net_addresses){ 0 };
	for (int i = 0; i < DUMP_TRIES && code == -EINTR; i++) {
		struct request r;

		net_addresses_done(ret);
		code = run(n, request_init(&r, RTM_GETADDR, NLM_F_DUMP, &m, sizeof m), take_address, &s);
	}
	return s.failed ? -ENOMEM : code;
}

int net_address_add(struct netlink *n, int index, const struct net_address *a)
{
	struct ifaddrmsg m = {
		.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope, .ifa_index = (unsigned)index,
	};
	struct request r;
	struct nlmsghdr *h = request_init(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);

	for (int t = IFA_ADDRESS; t <= IFA_BROADCAST; t++)
		if (a->has[t])
			mnl.attr_put(h, (uint16_t)t, a->size, a->bytes[t]);
	if (a->flags)
		put_u32(h, IFA_FLAGS, a->flags);
	if (a->priority)
		put_u32(h, IFA_RT_PRIORITY, a->priority);
	return run(n, h, NULL, NULL);
}

#else /* !HAVE_MNL: nothing below is reached without netlink_open() */

int netlink_open(struct netlink *ret, int ns_fd, struct err *e)
{
	(void)ns_fd;
	*ret = NETLINK_NONE;
	return err_set(e, ERR_UNSUPPORTED, 0, "this vzrun was built without libmnl");
}

void netlink_close(struct netlink *n)
{
	(void)n;
}

int net_ns_id(struct netlink *n, int ns_fd, int *ret)
{
	(void)n, (void)ns_fd, (void)ret;
	return -ENOSYS;
}

int net_link_find(struct netlink *n, const char *name, struct net_link *ret)
{
	(void)n, (void)name, (void)ret;
	return -ENOSYS;
}

int net_link_by_index(struct netlink *n, int index, struct net_link *ret)
{
	(void)n, (void)index, (void)ret;
	return -ENOSYS;
}

int net_link_each(struct netlink *n, bool (*each)(const struct net_link *l, void *arg), void *arg)
{
	(void)n, (void)each, (void)arg;
	return -ENOSYS;
}

int net_ns_ids(struct netlink *n, int *v, size_t room, size_t *ret_n)
{
	(void)n, (void)v, (void)room, (void)ret_n;
	return -ENOSYS;
}

int net_link_each_in(struct netlink *n, int ns, bool (*each)(const struct net_link *l, void *arg), void *arg)
{
	(void)n, (void)ns, (void)each, (void)arg;
	return -ENOSYS;
}

int net_link_delete_in(struct netlink *n, int ns, int index)
{
	(void)n, (void)ns, (void)index;
	return -ENOSYS;
}

int net_link_move(struct netlink *n, int index, int ns_fd, const char *name)
{
	(void)n, (void)index, (void)ns_fd, (void)name;
	return -ENOSYS;
}

int net_link_change(struct netlink *n, int index, const struct net_change *c)
{
	(void)n, (void)index, (void)c;
	return -ENOSYS;
}

int net_link_delete(struct netlink *n, int index)
{
	(void)n, (void)index;
	return -ENOSYS;
}

int net_link_add_altname(struct netlink *n, int index, const char *name)
{
	(void)n, (void)index, (void)name;
	return -ENOSYS;
}

int net_link_drop_altname(struct netlink *n, int index, const char *name)
{
	(void)n, (void)index, (void)name;
	return -ENOSYS;
}

int net_link_new(struct netlink *n, const struct net_new *l)
{
	(void)n, (void)l;
	return -ENOSYS;
}

int net_link_has_default_route(struct netlink *n, int index, bool *ret)
{
	(void)n, (void)index, (void)ret;
	return -ENOSYS;
}

void net_addresses_done(struct net_addresses *a)
{
	(void)a;
}

int net_addresses_read(struct netlink *n, int index, struct net_addresses *ret)
{
	(void)n, (void)index, (void)ret;
	return -ENOSYS;
}

int net_address_add(struct netlink *n, int index, const struct net_address *a)
{
	(void)n, (void)index, (void)a;
	return -ENOSYS;
}

#endif
