// SPDX-License-Identifier: LGPL-2.1-or-later
/* Without libmnl: nothing here is reached but netlink_open(). */
#include <errno.h>

#include "runtime/linux/netlink.h"

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
