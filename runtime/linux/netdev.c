// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/netdev.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/linux/netlink.h"

#define TEMPLATE_TRIES 4096

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

int netdev_set_up(struct netlink *n, int index, struct err *e)
{
	const struct net_change up = { .flags = IFF_UP, .mask = IFF_UP };
	int r = net_link_change(n, index, &up);

	return r < 0 ? net_err(e, -r, "set up") : 0;
}

int netdev_transfer(struct netlink *from, struct netlink *to, const struct net_link *l, const char *name, bool up,
		    struct net_link *ret, struct err *e)
{
	cleanup_net_addresses struct net_addresses as = { 0 };
	int r = net_addresses_read(from, l->index, &as);

	if (r < 0)
		return net_err(e, -r, "read the addresses");
	r = net_link_move(from, l->index, to->ns_fd, name);
	if (r < 0)
		return net_err(e, -r, "move to the other network namespace as %s", name);
	/* The index may be another one there. */
	r = net_link_find(to, name, ret);
	if (r < 0)
		return net_err(e, -r, "find %s after the move", name);
	for (size_t i = 0; i < as.n; i++) {
		r = net_address_add(to, ret->index, &as.v[i]);
		if (r < 0)
			return net_err(e, -r, "%s: restore address %zu of %zu", name, i + 1, as.n);
	}
	return up && netdev_set_up(to, ret->index, e) < 0 ? err_wrap(e, "%s", name) : 0;
}

/* "eth%d" -> the first free number there.  Chosen here and not by the kernel, which would not tell. */
static int expand_template(struct netlink *to, const char *name, char out[IFNAMSIZ], struct err *e)
{
	const char *percent = strchr(name, '%');
	struct net_link l;

	if (percent[1] != 'd' || strchr(percent + 1, '%'))
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no template with one %%d", name);
	for (unsigned i = 0; i < TEMPLATE_TRIES; i++) {
		if (snprintf(out, IFNAMSIZ, "%.*s%u%s", (int)(percent - name), name, i, percent + 2) >= IFNAMSIZ)
			break;
		if (net_link_find(to, out, &l) == -ENODEV)
			return 0;
	}
	return err_set(e, ERR_CONFIG, EEXIST, "no free name for '%s'", name);
}

int netdev_choose_name(struct netlink *to, const char *name, char out[IFNAMSIZ], struct err *e)
{
	struct net_link l;
	int r;

	if (strchr(name, '%'))
		return expand_template(to, name, out, e);
	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no name of an interface", name);
	r = net_link_find(to, name, &l);
	if (r == 0)
		return err_set(e, ERR_CONFIG, EEXIST, "%s exists in the container's network namespace", name);
	if (r != -ENODEV)
		return net_err(e, -r, "look for %s in the container's network namespace", name);
	memcpy(out, name, strlen(name) + 1);
	return 0;
}

static int move_one(struct netlink *host, struct netlink *inside, const struct oci_net_device *d,
		    struct moved *m, struct err *e)
{
	struct net_link l;
	int r;

	if (strlen(d->host_name) >= sizeof m->host)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "no name of an interface");
	r = net_link_find(host, d->host_name, &l);
	if (r < 0)
		return net_err(e, -r, "no such interface");
	r = netdev_choose_name(inside, d->name ? d->name : d->host_name, m->inside, e);
	if (r < 0)
		return r;
	memcpy(m->host, d->host_name, strlen(d->host_name) + 1);
	m->was_up = l.flags & IFF_UP;
	n_moves++; /* before it happens: half a move must be undone, too */
	return netdev_transfer(host, inside, &l, m->inside, true, &l, e);
}

struct both {
	struct netlink host, inside;
};

#define BOTH_NONE ((struct both){ NETLINK_NONE, NETLINK_NONE })

static void both_done(struct both *b)
{
	netlink_close(&b->host);
	netlink_close(&b->inside);
}
#define cleanup_both __attribute__((cleanup(both_done)))

static int both_open(struct both *b, int netns_fd, struct err *e)
{
	int r = netlink_open(&b->host, -1, e);

	return r < 0 ? r : netlink_open(&b->inside, netns_fd, e);
}

static void undo_one(struct both *b, const struct moved *m)
{
	struct err e;
	struct net_link l;
	char text[ERR_TEXT_MAX];

	if (net_link_find(&b->inside, m->inside, &l) < 0)
		return; /* it never got there, or is gone */
	if (netdev_transfer(&b->inside, &b->host, &l, m->host, m->was_up, &l, &e) < 0)
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
	cleanup_both struct both b = BOTH_NONE;
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
			return err_wrap(e, e->kind == ERR_CONFIG ? "/linux/netDevices/%s/name" : "/linux/netDevices/%s",
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
	cleanup_both struct both b = BOTH_NONE;
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

