// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dlfcn.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/linux/netlink.h"
#include "tests/lib/test.h"

/* ---- a kernel that tells of a change in the last message of a dump alone ---- */

static int changes, ends; /* to be told, and seen */

static void tell(struct nlmsghdr *h, ssize_t len)
{
	for (int left = (int)len; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type != NLMSG_DONE)
			continue;
		ends++;
		if (changes && changes--)
			h->nlmsg_flags |= NLM_F_DUMP_INTR;
	}
}

/* What libmnl finds, too. */
__attribute__((visibility("default"))) ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	static ssize_t (*real)(int, struct msghdr *, int);
	ssize_t len;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "recvmsg");
	len = real(fd, m, flags);
	if (len > 0 && m->msg_iovlen == 1)
		tell(m->msg_iov->iov_base, len);
	return len;
}

static bool is_loopback(const struct net_link *l, void *arg)
{
	*(bool *)arg |= (l->flags & IFF_LOOPBACK) != 0;
	return false;
}

/* 0 or -errno of a walk over the interfaces, with that many changes on the way. */
static int walk(struct netlink *n, int how_many, bool *found)
{
	int r;

	*found = false;
	changes = how_many;
	ends = 0;
	alarm(20); /* the mistake would be to wait for ever */
	r = net_link_each(n, is_loopback, found);
	alarm(0);
	return r;
}

TEST(a_dump_whose_end_alone_tells_of_a_change)
{
	cleanup_netlink struct netlink n = NETLINK_NONE;
	struct net_link l;
	struct err e;
	bool found;

	if (netlink_open(&n, -1, &e) < 0)
		SKIP("no netlink, or no libmnl");
	if (walk(&n, 0, &found) < 0 || ends == 0)
		SKIP("libmnl does not read by this program's recvmsg()");
	CHECK(found);
	CHECK_INT(walk(&n, 1, &found), 0);
	CHECK(found);
	CHECK_INT(ends, 2);
	/* For ever is too much; and the next request has its own answer. */
	CHECK_INT(walk(&n, 1000, &found), -EINTR);
	changes = 0;
	CHECK_INT(net_link_find(&n, "lo", &l), 0);
	CHECK_STR(l.name, "lo");
}
