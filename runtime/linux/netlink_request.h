/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What requests to rtnetlink are made of, for the netlink_*.c that make them. */

#include <libmnl/libmnl.h>

#include "runtime/linux/netlink.h"

/* libmnl; netlink_open() opens it. */
extern struct mnl {
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
} mnl;

struct netlink_request {
	union {
		struct nlmsghdr align;
		char buf[1024];
	};
};

/* `body`: the header of the type, before the attributes. */
struct nlmsghdr *netlink_request_init(struct netlink_request *r, uint16_t type, uint16_t flags, const void *body, size_t size);
void netlink_put_string(struct nlmsghdr *h, uint16_t type, const char *s);
void netlink_put_u32(struct nlmsghdr *h, uint16_t type, uint32_t v);

/* Sends it and reads all answers, to the acknowledgement.  `each` returns MNL_CB_OK or MNL_CB_ERROR. */
int netlink_run(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, void *data);

/* The same with a dump, once more where somebody changed meanwhile what is dumped: `restart` (may be NULL) then forgets what
 * `each` has taken.  -EINTR: it was changed each time. */
int netlink_dump(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, void (*restart)(void *data), void *data);

/* By type; NULL: not there. */
struct netlink_attrs {
	const struct nlattr *v[64];
};

/* Behind a type's header of `size` bytes; in an attribute, which may be NULL. */
int netlink_attrs(const struct nlmsghdr *h, size_t size, struct netlink_attrs *ret);
int netlink_attrs_nested(const struct nlattr *a, struct netlink_attrs *ret);

/* `a` may be NULL; what is of another size is left as it was. */
uint32_t netlink_u32(const struct nlattr *a, uint32_t otherwise);
void netlink_string(const struct nlattr *a, char *ret, size_t size);
void netlink_bytes(const struct nlattr *a, struct net_bytes *ret);
