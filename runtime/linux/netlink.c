// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/netlink_request.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"

#define DUMP_TRIES 8 /* of one that somebody changes meanwhile */

#define DUMP_BUFFER 32768 /* what the kernel puts into one part of a dump at most */

/* ---- libmnl, opened on first use ---- */

struct mnl mnl;

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

	if (mnl.cb_run)
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

struct nlmsghdr *netlink_request_init(struct netlink_request *r, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	struct nlmsghdr *h;

	memset(r, 0, sizeof *r); /* some versions of the library leave the padding of attributes as it is */
	h = mnl.nlmsg_put_header(r->buf);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(mnl.nlmsg_put_extra_header(h, size), body, size);
	return h;
}

void netlink_put_string(struct nlmsghdr *h, uint16_t type, const char *s)
{
	mnl.attr_put(h, type, strlen(s) + 1, s);
}

void netlink_put_u32(struct nlmsghdr *h, uint16_t type, uint32_t v)
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

int netlink_run(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, void *data)
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

int netlink_dump(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, void (*restart)(void *data), void *data)
{
	int r = -EINTR;

	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		if (i > 0 && restart)
			restart(data);
		r = netlink_run(n, h, each, data);
	}
	return r;
}

/* ---- answers ---- */

static int collect_attr(const struct nlattr *a, void *data)
{
	struct netlink_attrs *as = data;
	uint16_t type = mnl.attr_get_type(a);

	if (type < ARRAY_SIZE(as->v))
		as->v[type] = a;
	return MNL_CB_OK;
}

int netlink_attrs(const struct nlmsghdr *h, size_t size, struct netlink_attrs *ret)
{
	*ret = (struct netlink_attrs){ 0 };
	return mnl.attr_parse(h, (unsigned)size, collect_attr, ret) < 0 ? -1 : 0;
}

int netlink_attrs_nested(const struct nlattr *a, struct netlink_attrs *ret)
{
	*ret = (struct netlink_attrs){ 0 };
	return a && mnl.attr_parse_nested(a, collect_attr, ret) < 0 ? -1 : 0;
}

uint32_t netlink_u32(const struct nlattr *a, uint32_t otherwise)
{
	uint32_t v = otherwise;

	if (a && mnl.attr_get_payload_len(a) == sizeof v)
		memcpy(&v, mnl.attr_get_payload(a), sizeof v);
	return v;
}

void netlink_string(const struct nlattr *a, char *ret, size_t size)
{
	size_t len = a ? mnl.attr_get_payload_len(a) : 0;

	if (len == 0 || len > size)
		return;
	memcpy(ret, mnl.attr_get_payload(a), len);
	ret[len - 1] = '\0';
}

void netlink_bytes(const struct nlattr *a, struct net_bytes *ret)
{
	size_t len = a ? mnl.attr_get_payload_len(a) : 0;

	if (len == 0 || len > sizeof ret->v)
		return;
	ret->n = len;
	memcpy(ret->v, mnl.attr_get_payload(a), len);
}
