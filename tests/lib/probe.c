// SPDX-License-Identifier: LGPL-2.1-or-later

/* What busybox cannot tell or do.  Linked statically, copied into a test's root and run as the payload; `agent` runs on
 * the host.  Each command prints what the kernel says, one line per fact, and nothing else.
 *
 *   probe sched                     policy, nice, priority, flags, runtime, deadline, period
 *   probe ioprio                    class level
 *   probe mempolicy                 mode (with its flags) and the nodes
 *   probe call NR [ARG...]          the system call by number (some by name): "ret errno"
 *   probe call32 NR [ARG...]        the same by int 0x80: the i386 table (x86-64 only)
 *   probe eat MIB                   allocate and touch
 *   probe signals                   the blocked, ignored and caught signals
 *   probe agent SOCKET ERRNO [N]    a seccomp agent: prints the state it gets and the call it answers, N times (1);
 *                                   ERRNO 0: let the call go on
 *   probe keylabel                  the security label of the session keyring
 *   probe keyring                   its name
 *   probe forks N                   fork N children that wait; prints how many there are, then ends them */

#include <errno.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1
#endif

#define AGENT_WAIT_MS 10000

static int fail(const char *what)
{
	perror(what);
	return 1;
}

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

static int cmd_sched(char **args)
{
	struct attr a = { 0 };

	(void)args;
	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) < 0)
		return fail("sched_getattr");
	printf("policy %u nice %d priority %u flags %llu runtime %llu deadline %llu period %llu\n", a.policy, a.nice,
	       a.priority, (unsigned long long)a.flags, (unsigned long long)a.runtime, (unsigned long long)a.deadline,
	       (unsigned long long)a.period);
	return 0;
}

static int cmd_ioprio(char **args)
{
	long v = syscall(SYS_ioprio_get, 1, 0);

	(void)args;
	if (v < 0)
		return fail("ioprio_get");
	printf("class %ld level %ld\n", v >> 13, v & 7);
	return 0;
}

static int cmd_mempolicy(char **args)
{
	unsigned long nodes[1024 / (8 * sizeof(long))] = { 0 };
	int mode = -1;

	(void)args;
	if (syscall(SYS_get_mempolicy, &mode, nodes, 1024UL, NULL, 0UL) < 0)
		return fail("get_mempolicy");
	printf("mode %d nodes %lx\n", mode, nodes[0]);
	return 0;
}

/* argv as numbers; what is missing is 0 */
static void numbers(char **args, long n[7])
{
	for (int i = 0; i < 7; i++)
		n[i] = *args ? (long)strtoul(*args++, NULL, 0) : 0;
}

/* The numbers of this architecture for what the tests call. */
static long call_number(const char *name)
{
	static const struct {
		const char *name;
		long nr;
	} names[] = {
		{ "getpgid", SYS_getpgid }, { "getppid", SYS_getppid }, { "sethostname", SYS_sethostname },
		{ "getsid", SYS_getsid },   { "unshare", SYS_unshare }, { "geteuid", SYS_geteuid },
		{ "reboot", SYS_reboot },
	};

	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].nr;
	return name ? strtol(name, NULL, 0) : 0;
}

static int cmd_call(char **args)
{
	long n[7], r;

	numbers(args, n);
	n[0] = call_number(*args);
	errno = 0;
	r = syscall(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
	printf("%ld %d\n", r, errno);
	return 0;
}

static int cmd_call32(char **args)
{
#ifdef __x86_64__
	long n[7], r;

	numbers(args, n);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(n[0]), "b"(n[1]), "c"(n[2]), "d"(n[3]) : "memory", "r8", "r9", "r10", "r11");
	r = (int)r;
	printf("%ld %ld\n", r < 0 ? -1 : r, r < 0 ? -r : 0);
	return 0;
#else
	(void)args;
	fprintf(stderr, "not on this architecture\n");
	return 1;
#endif
}

static int cmd_eat(char **args)
{
	size_t bytes = *args ? strtoul(*args, NULL, 0) << 20 : 0;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return fail("mmap");
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	printf("eaten\n");
	return 0;
}

static int cmd_signals(char **args)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	(void)args;
	if (!f)
		return fail("/proc/self/status");
	while (fgets(line, sizeof line, f))
		if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0 || strncmp(line, "SigCgt", 6) == 0)
			fputs(line, stdout);
	fclose(f);
	return 0;
}

static int cmd_keylabel(char **args)
{
	char label[256] = "";

	(void)args;
	if (syscall(SYS_keyctl, KEYCTL_GET_SECURITY, KEY_SPEC_SESSION_KEYRING, label, sizeof label - 1) < 0)
		return fail("keyctl");
	puts(label);
	return 0;
}

static int cmd_keyring(char **args)
{
	char text[256] = "";

	(void)args;
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof text - 1) < 0)
		return fail("keyctl");
	puts(strrchr(text, ';') + 1);
	return 0;
}

static int cmd_forks(char **args)
{
	int wanted = *args ? atoi(*args) : 0, n = 0;
	pid_t pids[1024];

	while (n < wanted && n < 1024) {
		pids[n] = fork();
		if (pids[n] == 0) {
			pause();
			_exit(0);
		}
		if (pids[n] < 0)
			break;
		n++;
	}
	printf("%d %d\n", n, n < wanted ? errno : 0);
	for (int i = 0; i < n; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return 0;
}

/* The text of one connection up to its end, and the descriptors of its first message. */
static int receive_state(int conn, char *text, size_t size, int *ret_fds)
{
	char control[CMSG_SPACE(16 * sizeof(int))];
	struct iovec iov = { text, size - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	ssize_t len = recvmsg(conn, &msg, MSG_CMSG_CLOEXEC), n;
	int fd = -1, count = 0;

	if (len < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	}
	while ((n = read(conn, text + len, size - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	*ret_fds = count;
	return fd;
}

/* The kernel may know larger structures than our headers. */
static int answer(int listener, int error)
{
	union {
		struct seccomp_notif req;
		char room[1024];
	} in = { 0 };
	union {
		struct seccomp_notif_resp resp;
		char room[1024];
	} out = { 0 };
	struct pollfd p = { .fd = listener, .events = POLLIN };

	if (poll(&p, 1, AGENT_WAIT_MS) != 1 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in.req) < 0)
		return fail("no notification");
	printf("call %d %llu\n", in.req.data.nr, (unsigned long long)in.req.data.args[0]);
	fflush(stdout);
	out.resp.id = in.req.id;
	out.resp.error = -error;
	out.resp.flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out.resp) < 0 ? fail("answer") : 0;
}

static int cmd_agent(char **args)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), conn, listener, fds = 0;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	static char text[65536];

	if (!args[0] || !args[1] || strlen(args[0]) >= sizeof a.sun_path)
		return 2;
	memcpy(a.sun_path, args[0], strlen(args[0]) + 1);
	if (sock < 0 || bind(sock, (struct sockaddr *)&a, sizeof a) < 0 || listen(sock, 1) < 0)
		return fail(args[0]);
	if (poll(&p, 1, AGENT_WAIT_MS) != 1)
		return fail("nobody connected");
	conn = accept(sock, NULL, NULL);
	listener = receive_state(conn, text, sizeof text, &fds);
	printf("fds %d\nstate %s\n", fds, text);
	fflush(stdout);
	for (int i = args[2] ? atoi(args[2]) : 1; i > 0; i--)
		if (answer(listener, atoi(args[1])) != 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(char **args);
	} commands[] = {
		{ "sched", cmd_sched },	  { "ioprio", cmd_ioprio }, { "mempolicy", cmd_mempolicy }, { "call", cmd_call },
		{ "call32", cmd_call32 }, { "eat", cmd_eat },	    { "signals", cmd_signals },	    { "forks", cmd_forks },
		{ "agent", cmd_agent },	  { "keylabel", cmd_keylabel }, { "keyring", cmd_keyring },
	};

	for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: probe COMMAND [ARG...]\n");
	return 2;
}
