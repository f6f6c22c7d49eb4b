// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/linux/netlink_request.h"

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

static void fill_address(struct net_address *a, const struct ifaddrmsg *m, const struct netlink_attrs *as, uint32_t flags)
{
	a->family = m->ifa_family;
	a->prefix = m->ifa_prefixlen;
	a->scope = m->ifa_scope;
	a->size = m->ifa_family == AF_INET ? 4 : 16;
	/* What a user may set; the rest is the kernel's report. */
	a->flags = flags & (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN);
	a->priority = netlink_u32(as->v[IFA_RT_PRIORITY], 0);
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
	struct netlink_attrs as;
	uint32_t flags;

	if ((int)m->ifa_index != s->index || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
		return MNL_CB_OK;
	if (netlink_attrs(h, sizeof *m, &as) < 0)
		return MNL_CB_ERROR;
	flags = netlink_u32(as.v[IFA_FLAGS], m->ifa_flags);
	if (!(flags & IFA_F_PERMANENT) || m->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	a = address_append(s);
	if (!a)
		return MNL_CB_ERROR;
	fill_address(a, m, &as, flags);
	return MNL_CB_OK;
}

static void forget_addresses(void *data)
{
	net_addresses_done(((struct address_search *)data)->list);
}

int net_addresses_read(struct netlink *n, int index, struct net_addresses *ret)
{
	const struct ifaddrmsg m = { .ifa_family = AF_UNSPEC };
	struct address_search s = { index, ret, false };
	struct netlink_request r;
	int code;

	*ret = (struct net_addresses){ 0 };
	code = netlink_dump(n, netlink_request_init(&r, RTM_GETADDR, NLM_F_DUMP, &m, sizeof m), take_address, forget_addresses, &s);
	return s.failed ? -ENOMEM : code;
}

int net_address_add(struct netlink *n, int index, const struct net_address *a)
{
	struct ifaddrmsg m = {
		.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope, .ifa_index = (unsigned)index,
	};
	struct netlink_request r;
	struct nlmsghdr *h = netlink_request_init(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);

	for (int t = IFA_ADDRESS; t <= IFA_BROADCAST; t++)
		if (a->has[t])
			mnl.attr_put(h, (uint16_t)t, a->size, a->bytes[t]);
	if (a->flags)
		netlink_put_u32(h, IFA_FLAGS, a->flags);
	if (a->priority)
		netlink_put_u32(h, IFA_RT_PRIORITY, a->priority);
	return netlink_run(n, h, NULL, NULL);
}
