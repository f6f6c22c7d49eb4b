// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/netdev.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#if HAVE_MNL
#include <libmnl/libmnl.h>
#endif

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"

int net_loopback_up(struct err *e)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	cleanup_fd int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A kernel without IPv4 still has AF_UNIX, whose sockets know these requests as well. */
	if (s < 0)
		s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return err_sys(e, "loopback: socket");
	/* The loopback of a new namespace has no flag that setting these two could lose. */
	if (ioctl(s, SIOCSIFFLAGS, &r) < 0)
		return err_sys(e, "loopback: SIOCSIFFLAGS");
	return 0;
}

#if HAVE_MNL

#define TEMPLATE_TRIES 4096
#define NETLINK_BUFFER 32768 /* what the kernel puts into one part of a dump at most */
#define REQUEST_BUFFER 512

/* ---- libmnl, opened on first use ---- */

struct mnl {
	void *handle;
	typeof(mnl_socket_open2) *socket_open2;
	typeof(mnl_socket_bind) *socket_bind;
	typeof(mnl_socket_close) *socket_close;
	typeof(mnl_socket_get_portid) *socket_get_portid;
	typeof(mnl_socket_sendto) *socket_sendto;
	typeof(mnl_socket_recvfrom) *socket_recvfrom;
	typeof(mnl_cb_run) *cb_run;
	typeof(mnl_nlmsg_put_header) *nlmsg_put_header;
	typeof(mnl_nlmsg_put_extra_header) *nlmsg_put_extra_header;
	typeof(mnl_nlmsg_get_payload) *nlmsg_get_payload;
	typeof(mnl_attr_put) *attr_put;
	typeof(mnl_attr_parse) *attr_parse;
	typeof(mnl_attr_get_type) *attr_get_type;
	typeof(mnl_attr_get_payload) *attr_get_payload;
	typeof(mnl_attr_get_payload_len) *attr_get_payload_len;
};

static void mnl_close(struct mnl *m)
{
	if (m->handle)
		dlclose(m->handle);
	m->handle = NULL;
}
#define cleanup_mnl __attribute__((cleanup(mnl_close)))

#define SYMBOL(name)                                                                               \
	{                                                                                          \
		offsetof(struct mnl, name), "mnl_" #name                                           \
	}

static int mnl_open(struct mnl *m, struct err *e)
{
	static const struct {
		size_t offset;
		const char *name;
	} symbols[] = {
		SYMBOL(socket_open2),
		SYMBOL(socket_bind),
		SYMBOL(socket_close),
		SYMBOL(socket_get_portid),
		SYMBOL(socket_sendto),
		SYMBOL(socket_recvfrom),
		SYMBOL(cb_run),
		SYMBOL(nlmsg_put_header),
		SYMBOL(nlmsg_put_extra_header),
		SYMBOL(nlmsg_get_payload),
		SYMBOL(attr_put),
		SYMBOL(attr_parse),
		SYMBOL(attr_get_type),
		SYMBOL(attr_get_payload),
		SYMBOL(attr_get_payload_len),
	};

	m->handle = dlopen("libmnl.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!m->handle)
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "/linux/netDevices: libmnl cannot be loaded: %s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(m->handle, symbols[i].name);

		if (!p)
			return err_set(e, ERR_UNSUPPORTED, 0, "/linux/netDevices: libmnl has no %s",
				       symbols[i].name);
		memcpy((char *)m + symbols[i].offset, &p, sizeof p);
	}
	return 0;
}

/* ---- one rtnetlink socket in one namespace ---- */

struct nl {
	const struct mnl *mnl;
	struct mnl_socket *sock;
	unsigned seq;
	int ns_fd; /* its namespace, borrowed */
};

static void nl_close(struct nl *n)
{
	if (n->sock)
		n->mnl->socket_close(n->sock);
	n->sock = NULL;
}
#define cleanup_nl __attribute__((cleanup(nl_close)))

static int nl_open(struct nl *n, const struct mnl *m, int ns_fd, struct err *e)
{
	*n = (struct nl){.mnl = m, .ns_fd = ns_fd};
	n->sock = m->socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->sock || m->socket_bind(n->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_sys(e, "netlink socket");
	return 0;
}

/* A socket belongs for ever to the namespace it was made in, so it is enough to be there for a
 * moment.  This process has one thread: setns forth and back costs two calls, a child that hands
 * the socket over a hundred times that. */
static int nl_open_inside(struct nl *n, const struct mnl *m, int ns_fd, int own_ns, struct err *e)
{
	int r;

	if (setns(ns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, "enter the container's network namespace");
	r = nl_open(n, m, ns_fd, e);
	/* Nothing may go on in the wrong namespace; the caller's undo needs no network. */
	if (setns(own_ns, CLONE_NEWNET) < 0)
		return err_sys(e, "return from the container's network namespace");
	return r;
}

struct request {
	union {
		struct nlmsghdr align;
		char buf[REQUEST_BUFFER];
	};
};

static struct nlmsghdr *request_init(const struct nl *n, struct request *r, uint16_t type,
				     uint16_t flags, const void *body, size_t size)
{
	struct nlmsghdr *h;

	memset(r, 0, sizeof *r); /* some versions of the library leave the padding of attributes as
				    it is */
	h = n->mnl->nlmsg_put_header(r->buf);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(n->mnl->nlmsg_put_extra_header(h, size), body, size);
	return h;
}

static void put_string(const struct nl *n, struct nlmsghdr *h, uint16_t type, const char *s)
{
	n->mnl->attr_put(h, type, strlen(s) + 1, s);
}

/* Send and read all answers: to the acknowledgement, or to the end of a dump.  Returns 0 or -errno.
 */
static int nl_run(struct nl *n, struct nlmsghdr *h, mnl_cb_t each, void *data)
{
	char buf[NETLINK_BUFFER];
	unsigned portid = n->mnl->socket_get_portid(n->sock);
	int r;

	h->nlmsg_seq = ++n->seq;
	if (n->mnl->socket_sendto(n->sock, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t len = n->mnl->socket_recvfrom(n->sock, buf, sizeof buf);

		if (len < 0 && errno == EINTR) {
			r = MNL_CB_OK;
			continue;
		}
		if (len < 0)
			return -errno;
		r = n->mnl->cb_run(buf, (size_t)len, n->seq, portid, each, data);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : 0;
}

struct attrs {
	const struct mnl *mnl;
	const struct nlattr *v[64];
};

static int collect_attr(const struct nlattr *a, void *data)
{
	struct attrs *as = data;
	uint16_t type = as->mnl->attr_get_type(a);

	if (type < ARRAY_SIZE(as->v))
		as->v[type] = a;
	return MNL_CB_OK;
}

/* ---- links ---- */

struct link {
	int index;
	bool up;
};

static int take_link(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	struct link *l = data;

	l->index = m->ifi_index;
	l->up = m->ifi_flags & IFF_UP;
	return MNL_CB_OK;
}

/* Returns 0, or -ENODEV when there is none of that name. */
static int link_find(struct nl *n, const char *name, struct link *ret)
{
	const struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
	struct request r;
	struct nlmsghdr *h = request_init(n, &r, RTM_GETLINK, NLM_F_ACK, &m, sizeof m);

	*ret = (struct link){0};
	put_string(n, h, IFLA_IFNAME, name);
	return nl_run(n, h, take_link, ret);
}

/* One request moves and renames. */
static int link_move(struct nl *n, int index, int ns_fd, const char *name)
{
	const struct ifinfomsg m = {.ifi_family = AF_UNSPEC, .ifi_index = index};
	struct request r;
	struct nlmsghdr *h = request_init(n, &r, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);

	n->mnl->attr_put(h, IFLA_NET_NS_FD, sizeof ns_fd, &ns_fd);
	put_string(n, h, IFLA_IFNAME, name);
	return nl_run(n, h, NULL, NULL);
}

static int link_up(struct nl *n, int index)
{
	const struct ifinfomsg m = {.ifi_family = AF_UNSPEC,
				    .ifi_index = index,
				    .ifi_flags = IFF_UP,
				    .ifi_change = IFF_UP};
	struct request r;

	return nl_run(n, request_init(n, &r, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m), NULL, NULL);
}

/* ---- addresses ---- */

struct address {
	struct ifaddrmsg m;
	uint32_t flags, priority;
	uint8_t size; /* 4 or 16 */
	bool has[IFA_BROADCAST + 1];
	uint8_t bytes[IFA_BROADCAST + 1][16]; /* by IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST */
};

struct addresses {
	const struct mnl *mnl;
	int index;
	struct address *v;
	size_t n;
	bool failed;
};

static void addresses_done(struct addresses *a)
{
	free(a->v);
	a->v = NULL;
}
#define cleanup_addresses __attribute__((cleanup(addresses_done)))

static uint32_t attr_u32(const struct mnl *m, const struct nlattr *a, uint32_t otherwise)
{
	uint32_t v = otherwise;

	if (a && m->attr_get_payload_len(a) == sizeof v)
		memcpy(&v, m->attr_get_payload(a), sizeof v);
	return v;
}

static struct address *address_append(struct addresses *as)
{
	struct address *v = reallocarray(as->v, as->n + 1, sizeof *v);

	as->failed |= !v;
	if (!v)
		return NULL;
	as->v = v;
	v[as->n] = (struct address){0};
	return &v[as->n++];
}

/* The spec: all permanent addresses of global scope.  The others (link-local, from router
 * advertisements, leases) are made anew by whoever made them. */
static int take_address(const struct nlmsghdr *h, void *data)
{
	struct addresses *as = data;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct attrs attrs = {.mnl = as->mnl};
	struct address *a;
	uint32_t flags;

	if ((int)m->ifa_index != as->index ||
	    (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
		return MNL_CB_OK;
	if (as->mnl->attr_parse(h, sizeof *m, collect_attr, &attrs) < 0)
		return MNL_CB_ERROR;
	flags = attr_u32(as->mnl, attrs.v[IFA_FLAGS], m->ifa_flags);
	if (!(flags & IFA_F_PERMANENT) || m->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	a = address_append(as);
	if (!a)
		return MNL_CB_ERROR;
	a->m = *m;
	a->size = m->ifa_family == AF_INET ? 4 : 16;
	/* What a user may set; the rest is the kernel's report. */
	a->flags = flags & (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR |
			    IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN);
	a->priority = attr_u32(as->mnl, attrs.v[IFA_RT_PRIORITY], 0);
	for (int t = IFA_ADDRESS; t <= IFA_BROADCAST; t++) {
		if (t == IFA_LABEL || !attrs.v[t] ||
		    as->mnl->attr_get_payload_len(attrs.v[t]) != a->size)
			continue;
		a->has[t] = true;
		memcpy(a->bytes[t], as->mnl->attr_get_payload(attrs.v[t]), a->size);
	}
	return MNL_CB_OK;
}

static int addresses_read(struct nl *n, int index, struct addresses *ret)
{
	const struct ifaddrmsg m = {.ifa_family = AF_UNSPEC};
	struct request r;
	struct nlmsghdr *h = request_init(n, &r, RTM_GETADDR, NLM_F_DUMP, &m, sizeof m);
	int ret_code;

	*ret = (struct addresses){.mnl = n->mnl, .index = index};
	ret_code = nl_run(n, h, take_address, ret);
	return ret->failed ? -ENOMEM : ret_code;
}

static int address_add(struct nl *n, int index, const struct address *a)
{
	struct ifaddrmsg m = {.ifa_family = a->m.ifa_family,
			      .ifa_prefixlen = a->m.ifa_prefixlen,
			      .ifa_scope = a->m.ifa_scope,
			      .ifa_index = (unsigned)index};
	struct request r;
	struct nlmsghdr *h = request_init(n, &r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
					  &m, sizeof m);

	for (int t = IFA_ADDRESS; t <= IFA_BROADCAST; t++)
		if (a->has[t])
			n->mnl->attr_put(h, (uint16_t)t, a->size, a->bytes[t]);
	if (a->flags)
		n->mnl->attr_put(h, IFA_FLAGS, sizeof a->flags, &a->flags);
	if (a->priority)
		n->mnl->attr_put(h, IFA_RT_PRIORITY, sizeof a->priority, &a->priority);
	return nl_run(n, h, NULL, NULL);
}

/* ---- moving ---- */

struct moved {
	char host[IFNAMSIZ], inside[IFNAMSIZ];
	bool was_up;
};

/* What this process moved, for netdev_undo(): a template's name is known only here. */
static struct moved *moves;
static size_t n_moves;

static void moves_forget(void)
{
	free(moves);
	moves = NULL;
	n_moves = 0;
}

#define net_err(e, num, ...) err_set((e), ERR_KERNEL, (num), __VA_ARGS__)

/* From one namespace to the other, with addresses; `up` afterwards. */
static int transfer(struct nl *from, struct nl *to, const struct link *l, const char *name, bool up,
		    struct err *e)
{
	cleanup_addresses struct addresses as = {0};
	struct link there;
	int r = addresses_read(from, l->index, &as);

	if (r < 0)
		return net_err(e, -r, "read the addresses");
	r = link_move(from, l->index, to->ns_fd, name);
	if (r < 0)
		return net_err(e, -r, "move to the other network namespace as %s", name);
	/* The index may be another one there. */
	r = link_find(to, name, &there);
	if (r < 0)
		return net_err(e, -r, "find %s after the move", name);
	for (size_t i = 0; i < as.n; i++) {
		r = address_add(to, there.index, &as.v[i]);
		if (r < 0)
			return net_err(e, -r, "%s: restore address %zu of %zu", name, i + 1, as.n);
	}
	if (up) {
		r = link_up(to, there.index);
		if (r < 0)
			return net_err(e, -r, "%s: set up", name);
	}
	return 0;
}

/* "eth%d" -> the first free number there.  Chosen here and not by the kernel, which would not tell.
 */
static int expand_template(struct nl *to, const char *name, char out[IFNAMSIZ], struct err *e)
{
	const char *percent = strchr(name, '%');
	struct link l;

	if (percent[1] != 'd' || strchr(percent + 1, '%'))
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no template with one %%d", name);
	for (unsigned i = 0; i < TEMPLATE_TRIES; i++) {
		if (snprintf(out, IFNAMSIZ, "%.*s%u%s", (int)(percent - name), name, i,
			     percent + 2) >= IFNAMSIZ)
			break;
		if (link_find(to, out, &l) == -ENODEV)
			return 0;
	}
	return err_set(e, ERR_CONFIG, EEXIST, "no free name for '%s'", name);
}

static int choose_name(struct nl *to, const char *name, char out[IFNAMSIZ], struct err *e)
{
	struct link l;
	int r;

	if (strchr(name, '%'))
		return expand_template(to, name, out, e);
	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no name of an interface", name);
	r = link_find(to, name, &l);
	if (r == 0)
		return err_set(e, ERR_CONFIG, EEXIST,
			       "%s exists in the container's network namespace", name);
	if (r != -ENODEV)
		return net_err(e, -r, "look for %s in the container's network namespace", name);
	memcpy(out, name, strlen(name) + 1);
	return 0;
}

static int move_one(struct nl *host, struct nl *inside, const struct oci_net_device *d,
		    struct moved *m, struct err *e)
{
	struct link l;
	int r;

	if (strlen(d->host_name) >= sizeof m->host)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "no name of an interface");
	r = link_find(host, d->host_name, &l);
	if (r < 0)
		return net_err(e, -r, "no such interface");
	r = choose_name(inside, d->name ? d->name : d->host_name, m->inside, e);
	if (r < 0)
		return r;
	memcpy(m->host, d->host_name, strlen(d->host_name) + 1);
	m->was_up = l.up;
	n_moves++; /* before it happens: half a move must be undone, too */
	return transfer(host, inside, &l, m->inside, true, e);
}

struct both {
	struct mnl mnl;
	struct nl host, inside;
	int own_ns;
};

static void both_done(struct both *b)
{
	nl_close(&b->host);
	nl_close(&b->inside);
	fd_close(&b->own_ns);
	mnl_close(&b->mnl);
}
#define cleanup_both __attribute__((cleanup(both_done)))

static int both_open(struct both *b, int netns_fd, struct err *e)
{
	int r = mnl_open(&b->mnl, e);

	if (r < 0)
		return r;
	b->own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (b->own_ns < 0)
		return err_sys(e, "open /proc/self/ns/net");
	r = nl_open(&b->host, &b->mnl, b->own_ns, e);
	return r < 0 ? r : nl_open_inside(&b->inside, &b->mnl, netns_fd, b->own_ns, e);
}

static void undo_one(struct both *b, const struct moved *m)
{
	struct err e;
	struct link l;
	char text[ERR_TEXT_MAX];

	if (link_find(&b->inside, m->inside, &l) < 0)
		return; /* it never got there, or is gone */
	if (transfer(&b->inside, &b->host, &l, m->host, m->was_up, &e) < 0)
		log_warn("network device %s: %s", m->host, err_format(&e, text, sizeof text));
}

static void undo_moves(struct both *b)
{
	while (n_moves > 0)
		undo_one(b, &moves[--n_moves]);
	moves_forget();
}

int netdev_move(const struct oci_net_devices *devices, int netns_fd, struct err *e)
{
	cleanup_both struct both b = {.own_ns = -1};
	int r;

	if (devices->n == 0)
		return 0;
	r = both_open(&b, netns_fd, e);
	if (r < 0)
		return err_wrap(e, "network devices");
	moves_forget();
	moves = calloc(devices->n, sizeof *moves);
	if (!moves)
		return err_oom(e);
	for (size_t i = 0; i < devices->n; i++) {
		r = move_one(&b.host, &b.inside, &devices->v[i], &moves[n_moves], e);
		if (r < 0) {
			undo_moves(&b);
			return err_wrap(e,
					e->kind == ERR_CONFIG ? "/linux/netDevices/%s/name"
							      : "/linux/netDevices/%s",
					devices->v[i].host_name);
		}
	}
	return 0;
}

/* Another process made the moves: only what the document says is known. */
static void undo_by_names(struct both *b, const struct oci_net_devices *devices)
{
	for (size_t i = devices->n; i-- > 0;) {
		const struct oci_net_device *d = &devices->v[i];
		const char *inside = d->name ? d->name : d->host_name;
		struct moved m = {.was_up = true};

		if (strchr(inside, '%') || strlen(inside) >= IFNAMSIZ ||
		    strlen(d->host_name) >= IFNAMSIZ)
			continue;
		memcpy(m.host, d->host_name, strlen(d->host_name) + 1);
		memcpy(m.inside, inside, strlen(inside) + 1);
		undo_one(b, &m);
	}
}

void netdev_undo(const struct oci_net_devices *devices, int netns_fd)
{
	cleanup_both struct both b = {.own_ns = -1};
	char text[ERR_TEXT_MAX];
	struct err e;

	if (devices->n == 0)
		return;
	if (both_open(&b, netns_fd, &e) < 0) {
		log_warn("network devices: %s", err_format(&e, text, sizeof text));
		return;
	}
	if (moves)
		undo_moves(&b);
	else
		undo_by_names(&b, devices);
}

#else /* !HAVE_MNL */

int netdev_move(const struct oci_net_devices *devices, int netns_fd, struct err *e)
{
	(void)netns_fd;
	if (devices->n == 0)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, 0,
		       "/linux/netDevices: this vzrun was built without libmnl");
}

void netdev_undo(const struct oci_net_devices *devices, int netns_fd)
{
	(void)devices, (void)netns_fd;
}

#endif
