// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/network.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/ns.h"

#define SECONDS 5
#define FAMILY "inet"
#define NFT "exec nft -f -"
#define PROGRAMS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Before connection tracking and before CRIU's own rules. */
#define TABLE(name, rule) \
	"table " FAMILY " " name " {\n" \
	" chain in { type filter hook input priority -400; iifname != \"lo\" " rule "; }\n" \
	" chain out { type filter hook output priority -400; oifname != \"lo\" " rule "; }\n" \
	"}\n"

static const struct {
	const char *hold, *release;
} rules[] = {
	[NETWORK_UNDECIDED] = { TABLE("vzrun_undecided", "drop"), "delete table " FAMILY " vzrun_undecided\n" },
	[NETWORK_RESTORE] = { TABLE("vzrun_restore", "meta l4proto tcp drop"), "delete table " FAMILY " vzrun_restore\n" },
};

/* CRIU's own, by iptables or in a table named after the run.  The container may have tables of any name: nft takes words for options and
 * commands wherever they stand. */
static const char unlock[] =
	"exec 2>/dev/null\n"
	"for t in iptables ip6tables; do\n"
	"	for c in INPUT OUTPUT; do while $t -w -D $c -j CRIU; do :; done; done\n"
	"	$t -w -F CRIU && $t -w -X CRIU\n"
	"done\n"
	"nft list tables inet | while read -r t f name; do\n"
	"	case $name in *[!A-Za-z0-9-]*) ;; CRIU-*) nft delete table inet \"$name\" ;; esac\n"
	"done\n"
	"! { iptables -w -S; ip6tables -w -S; nft list tables; } | grep CRIU\n";

struct job {
	const char *command, *rules;
};

/* In a child that is in the container's network namespace, with our programs. */
static int run_filter(void *arg, struct err *e)
{
	const struct job *job = arg;
	const char *const argv[] = { "sh", "-c", job->command, NULL };
	const char *const envp[] = { "PATH=" PROGRAMS, NULL };
	cleanup_str struct str output = { 0 };
	int status;

	status = proc_run(&(struct proc_run){ .path = "/bin/sh", .argv = argv, .envp = envp,
					      .input = job->rules, .keep = 300, .timeout = SECONDS,
					      .cwd_fd = -1, .stop_fd = -1 },
			  &output, e);
	if (status < 0)
		return status;
	return status == 0 ? 0 : err_set(e, ERR_KERNEL, 0, "network filter: %s", str_cstr(&output));
}

bool network_is_own(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	return !ns_is_own(path, CLONE_NEWNET);
}

bool network_can_hold(void)
{
	return proc_in_list("nft", PROGRAMS);
}

int network_hold(pid_t pid, int pidfd, enum network_hold what, struct err *e)
{
	struct job job = { NFT, rules[what].hold };

	return ns_call(pid, pidfd, CLONE_NEWNET, run_filter, &job, sizeof job, e);
}

int network_release(pid_t pid, int pidfd, enum network_hold what, struct err *e)
{
	struct job job = { NFT, rules[what].release };

	return ns_call(pid, pidfd, CLONE_NEWNET, run_filter, &job, sizeof job, e);
}

int network_open(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	return ns_is_own(path, CLONE_NEWNET) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

/* setns(2) takes the namespace as it takes a pidfd; of process 0 nothing is the host's. */
int network_release_opened(int fd, enum network_hold what, struct err *e)
{
	return network_release(0, fd, what, e);
}

int network_unlock(pid_t pid, int pidfd, struct err *e)
{
	struct job job = { unlock, "" };

	return ns_call(pid, pidfd, CLONE_NEWNET, run_filter, &job, sizeof job, e);
}

static int take_down(void *arg, struct err *e)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *all = if_nameindex();
	int r = 0;

	(void)arg;
	if (sock < 0 || !all)
		r = err_sys(e, "interfaces");
	for (const struct if_nameindex *i = all; sock >= 0 && all && i->if_index; i++) {
		struct ifreq change = { 0 };

		snprintf(change.ifr_name, sizeof change.ifr_name, "%s", i->if_name);
		if (ioctl(sock, SIOCGIFFLAGS, &change) < 0 || change.ifr_flags & IFF_LOOPBACK)
			continue;
		change.ifr_flags &= ~IFF_UP;
		if (ioctl(sock, SIOCSIFFLAGS, &change) < 0)
			r = err_sys(e, "set %s down", i->if_name); /* the others all the same */
	}
	if (all)
		if_freenameindex(all);
	return r;
}

int network_silence(pid_t pid, int pidfd, struct err *e)
{
	char nothing = 0;

	return ns_call(pid, pidfd, CLONE_NEWNET, take_down, &nothing, sizeof nothing, e);
}

/* In repair mode, by which CRIU learns of a connection, nothing is sent, and who reads or writes gets errors. */
static void end_repair(int pidfd, int number)
{
	cleanup_fd int fd = sys_pidfd_getfd(pidfd, number, 0);
	int on = 0;
	socklen_t len = sizeof on;

	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, &len) < 0 || !on)
		return;
	on = 0;
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on);
}

static void end_repairs_of(pid_t pid)
{
	cleanup_fd int pidfd = sys_pidfd_open(pid, 0);
	char path[64], target[64];

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	cleanup_dir DIR *dir = pidfd < 0 ? NULL : opendir(path);
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		target[n < 0 ? 0 : n] = '\0';
		if (str_starts(target, "socket:["))
			end_repair(pidfd, atoi(entry->d_name));
	}
}

void network_end_repair(const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		end_repairs_of(pids[i]);
}
