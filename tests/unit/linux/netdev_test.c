// SPDX-License-Identifier: LGPL-2.1-or-later
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/fd.h"
#include "runtime/linux/netdev.h"
#include "tests/lib/test.h"

/* Each test runs in a child with two namespaces of its own: "host", where it stays, and "inside". */
static int inside_ns, host_ns;

static int own_netns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int enter_two_namespaces(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	inside_ns = own_netns();
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	host_ns = own_netns();
	return system("ip link set lo up && ip link add d0 type veth peer name p0 2>/dev/null");
}

static void in_namespaces(void (*test)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		SKIP("needs root: makes network namespaces");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int before = test_failures;

		alarm(30);
		if (enter_two_namespaces() != 0)
			_exit(77);
		test();
		fflush(stdout);
		_exit(test_failures > before);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP("no network namespaces, no ip(8) or no veth devices here");
	CHECK_INT(status, 0);
}

/* "10.0.0.1/24 fd00::1/64" of that interface in the current namespace, without link-local ones. */
static const char *addresses(const char *name)
{
	static char out[1024];
	struct ifaddrs *list = NULL;

	out[0] = '\0';
	if (getifaddrs(&list) < 0)
		return "(getifaddrs)";
	for (struct ifaddrs *a = list; a; a = a->ifa_next) {
		char text[INET6_ADDRSTRLEN];
		const void *bytes;

		if (!a->ifa_addr || strcmp(a->ifa_name, name) != 0)
			continue;
		if (a->ifa_addr->sa_family == AF_INET)
			bytes = &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr;
		else if (a->ifa_addr->sa_family == AF_INET6)
			bytes = &((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr;
		else
			continue;
		inet_ntop(a->ifa_addr->sa_family, bytes, text, sizeof text);
		if (strncmp(text, "fe80", 4) == 0)
			continue;
		snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", out[0] ? " " : "", text);
	}
	freeifaddrs(list);
	return out;
}

static bool is_up(const char *name)
{
	struct ifaddrs *list = NULL;
	bool up = false;

	getifaddrs(&list);
	for (struct ifaddrs *a = list; a; a = a->ifa_next)
		up |= strcmp(a->ifa_name, name) == 0 && a->ifa_flags & IFF_UP;
	freeifaddrs(list);
	return up;
}

static void go(int ns)
{
	CHECK_INT(setns(ns, CLONE_NEWNET), 0);
}

static int move(const char *host, const char *name, struct err *e)
{
	struct oci_net_device d = { .host_name = host, .name = name };
	struct oci_net_devices ds = { .v = &d, .n = 1 };

	*e = (struct err){ 0 };
	return netdev_move(&ds, inside_ns, e);
}

static void loopback(void)
{
	struct err e = { 0 };

	go(inside_ns);
	CHECK(!is_up("lo"));
	CHECK_INT(net_loopback_up(&e), 0);
	CHECK(is_up("lo"));
	CHECK_STR(addresses("lo"), "127.0.0.1 ::1");
}
TEST(loopback_comes_up) { in_namespaces(loopback); }

static void move_all(void)
{
	struct err e;

	CHECK_INT(system("ip addr add 10.1.2.3/24 broadcast 10.1.2.255 dev d0 && ip addr add 10.1.2.4/24 dev d0 && "
			 "ip addr add 10.9.9.1 peer 10.9.9.2/32 dev d0 && ip -6 addr add fd00:1::5/64 dev d0 && "
			 "ip addr add 10.7.7.7/24 valid_lft 1000 preferred_lft 1000 dev d0 && "
			 "ip addr add 10.6.6.6/24 scope link dev d0 && ip link set d0 mtu 1400 up"), 0);
	CHECK_INT(move("d0", "eth7", &e), 0);
	CHECK_INT(if_nametoindex("d0"), 0);
	go(inside_ns);
	/* Neither the lease nor the address of link scope. */
	CHECK_STR(addresses("eth7"), "10.1.2.3 10.9.9.1 10.1.2.4 fd00:1::5");
	CHECK(is_up("eth7"));
	CHECK_INT(system("ip -4 addr show dev eth7 | grep -q '10.1.2.3/24 brd 10.1.2.255' && "
			 "ip -4 addr show dev eth7 | grep -q '10.9.9.1 peer 10.9.9.2/32' && "
			 "ip -6 addr show dev eth7 | grep -q 'fd00:1::5/64' && ip link show dev eth7 | grep -q 'mtu 1400'"), 0);
}
TEST(moves_with_addresses) { in_namespaces(move_all); }

static void name_taken(void)
{
	struct err e;

	go(inside_ns);
	CHECK_INT(system("ip link add eth0 type bridge"), 0);
	go(host_ns);
	CHECK_INT(system("ip addr add 10.1.2.3/24 dev d0"), 0);
	CHECK(move("d0", "eth0", &e) < 0);
	CHECK_INT(e.kind, ERR_CONFIG);
	CHECK_STR(e.text, "/linux/netDevices/d0/name: eth0 exists in the container's network namespace");
	CHECK_STR(addresses("d0"), "10.1.2.3");
	CHECK(move("nope", NULL, &e) < 0);
	CHECK_STR(e.text, "/linux/netDevices/nope: no such interface");
	CHECK_INT(e.num, ENODEV);
	CHECK(move("d0", "much-too-long-a-name", &e) < 0);
	CHECK_INT(e.kind, ERR_CONFIG);
	CHECK(move("lo", "lo1", &e) < 0); /* the kernel moves no loopback */
	CHECK(if_nametoindex("lo") != 0);
}
TEST(bad_names) { in_namespaces(name_taken); }

static void templates(void)
{
	struct oci_net_device d[] = { { .host_name = "d0", .name = "eth%d" }, { .host_name = "d1", .name = "eth%d" } };
	struct oci_net_devices ds = { .v = d, .n = 2 };
	struct err e = { 0 };

	go(inside_ns);
	CHECK_INT(system("ip link add eth0 type bridge && ip link add eth2 type bridge"), 0);
	go(host_ns);
	CHECK_INT(system("ip link add d1 type veth peer name p1 && ip addr add 10.0.0.1/24 dev d0 && ip addr add 10.0.1.1/24 dev d1"), 0);
	CHECK_INT(netdev_move(&ds, inside_ns, &e), 0);
	go(inside_ns);
	CHECK_STR(addresses("eth1"), "10.0.0.1");
	CHECK_STR(addresses("eth3"), "10.0.1.1");
	go(host_ns);
	CHECK(move("lo", "eth%s", &e) < 0);
	CHECK_STR(e.text, "/linux/netDevices/lo/name: 'eth%s' is no template with one %d");
	/* A later move forgot the record: the templates cannot be undone by name, and nothing else is touched. */
	netdev_undo(&ds, inside_ns);
	go(inside_ns);
	CHECK(if_nametoindex("eth0") && if_nametoindex("eth2"));
}
TEST(templates_take_free_names) { in_namespaces(templates); }

static void undo(void)
{
	struct oci_net_device d[] = { { .host_name = "d0", .name = "a%d" }, { .host_name = "d1", .name = "eth1" } };
	struct oci_net_devices ds = { .v = d, .n = 2 };
	struct err e = { 0 };

	CHECK_INT(system("ip link add d1 type veth peer name p1 && ip addr add 10.0.0.1/24 dev d0 && ip -6 addr add fd00:2::1/64 dev d0 &&"
			 "ip addr add 10.0.1.1/24 dev d1 && ip link set d0 up"), 0);
	CHECK_INT(netdev_move(&ds, inside_ns, &e), 0);
	CHECK_INT(if_nametoindex("d0"), 0);
	netdev_undo(&ds, inside_ns);
	CHECK_STR(addresses("d0"), "10.0.0.1 fd00:2::1");
	CHECK_STR(addresses("d1"), "10.0.1.1");
	CHECK(is_up("d0"));
	CHECK(!is_up("d1"));
	netdev_undo(&ds, inside_ns); /* once more: nothing to do */
	CHECK_STR(addresses("d0"), "10.0.0.1 fd00:2::1");
	/* What another process moved comes back by the document's names. */
	CHECK_INT(system("ip link set d1 up"), 0);
	d[0] = d[1];
	ds.n = 1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(netdev_move(&ds, inside_ns, &e) < 0);
	int status = -1;
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
	CHECK_INT(if_nametoindex("d1"), 0);
	netdev_undo(&ds, inside_ns);
	CHECK_STR(addresses("d1"), "10.0.1.1");
}
TEST(undo_brings_all_back) { in_namespaces(undo); }

static void second_fails(void)
{
	struct oci_net_device d[] = { { .host_name = "d0", .name = "eth0" }, { .host_name = "missing" } };
	struct oci_net_devices ds = { .v = d, .n = 2 };
	struct err e = { 0 };
	int fds_before, fds_after;

	fds_before = dup(0);
	close(fds_before);
	CHECK_INT(system("ip addr add 10.0.0.1/24 dev d0 && ip link set d0 up"), 0);
	CHECK(netdev_move(&ds, inside_ns, &e) < 0);
	CHECK_STR(e.text, "/linux/netDevices/missing: no such interface");
	CHECK_STR(addresses("d0"), "10.0.0.1");
	CHECK(is_up("d0"));
	fds_after = dup(0);
	close(fds_after);
	CHECK_INT(fds_after, fds_before);
	go(inside_ns);
	CHECK_INT(if_nametoindex("eth0"), 0);
}
TEST(failure_of_one_undoes_the_others) { in_namespaces(second_fails); }
