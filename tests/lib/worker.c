// SPDX-License-Identifier: LGPL-2.1-or-later

/* Payloads with something to lose, for checkpoints and migration.  Linked statically.
 *
 *   worker memory MIB KB_PER_S FILE   fills MIB of memory with stamps, changes KB_PER_S of them and checks others all the time; FILE
 *                                     gets the number of the round, so that it shows that all is well
 *   worker pause KIB KB_PER_S FILE    memory like this without checks; FILE is made when it is not there, with the longest time since
 *                                     it was last made that this did not run for, in us
 *   worker clock FILE                 CLOCK_MONOTONIC, in ms, into FILE; ends with 1 when it ever goes back
 *   worker serve PORT                 a TCP server that echoes, to as many as come
 *   worker listen PORT FILE           listens, takes nobody in, and counts into FILE
 *   worker client ADDRESS PORT MS     numbers to it and back for MS or until SIGTERM; prints "pause MS" of each pause of a tenth of a
 *                                     second or more, and in the end how many came and the longest pause; ends with 1 on a wrong or
 *                                     lost byte
 *   worker lock PATH FILE             locks PATH (flock, and a record of it by fcntl), and counts into FILE
 *   worker dgram PATH FILE            sends numbers to the unix socket PATH, to which it is connected; FILE gets what was sent */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define CLIENTS_MAX 64
#define TICK_MS 10
#define PAUSE_MS 100

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Whole, so that a reader never finds half of it. */
static int tell(const char *file, long long n)
{
	char text[32];
	int fd = open(file, O_WRONLY | O_CREAT, 0644), len = snprintf(text, sizeof text, "%019lld\n", n), r;

	if (fd < 0)
		return fail(file);
	r = (int)write(fd, text, (size_t)len);
	close(fd);
	return r == len ? 0 : fail(file);
}

/* ---- memory ---- */

static int cmd_memory(char **args)
{
	size_t pages = strtoul(args[0], NULL, 10) * 1024 * 1024 / PAGE, at = 0;
	unsigned long per_tick = strtoul(args[1], NULL, 10) * 1024 / PAGE * TICK_MS / 1000, n = 0;
	uint64_t *stamps = calloc(pages ? pages : 1, sizeof *stamps);
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!stamps || memory == MAP_FAILED)
		return fail("memory");
	for (size_t i = 0; i < pages; i++) {
		stamps[i] = i * 7 + 1;
		memcpy(memory + i * PAGE + i % 500 * 8, &stamps[i], sizeof *stamps);
	}
	for (;; n++) {
		if (tell(args[2], (long long)n))
			return 1;
		for (unsigned long k = 0; k < per_tick && pages; k++, at = (at + 1) % pages) {
			stamps[at] += 3;
			memcpy(memory + at * PAGE + at % 500 * 8, &stamps[at], sizeof *stamps);
		}
		for (size_t i = n % 101; i < pages; i += 101)
			if (memcmp(memory + i * PAGE + i % 500 * 8, &stamps[i], sizeof *stamps) != 0) {
				fprintf(stderr, "page %zu is not what it was\n", i);
				return 1;
			}
		sleep_ms(TICK_MS);
	}
}

/* CLOCK_MONOTONIC stands still while a container is in images. */
static int cmd_pause(char **args)
{
	size_t pages = strtoul(args[0], NULL, 10) * 1024 / PAGE, at = 0;
	unsigned long per_tick = strtoul(args[1], NULL, 10) * 1024 / PAGE * TICK_MS / 1000;
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t longest = 0;

	if (memory == MAP_FAILED)
		return fail("memory");
	for (size_t i = 0; i < pages; i++) /* no page like another, and none that is zeros */
		for (size_t k = 0; k < PAGE; k += sizeof i)
			memcpy(memory + i * PAGE + k, &(uint64_t){ i * 0x9e3779b97f4a7c15 + k }, sizeof i);
	for (int64_t last = now_us(CLOCK_REALTIME);; sleep_ms(TICK_MS)) {
		int64_t now = now_us(CLOCK_REALTIME);

		longest = now - last > longest ? now - last : longest;
		last = now;
		if (access(args[2], F_OK) < 0) {
			if (tell(args[2], longest))
				return 1;
			longest = 0;
		}
		for (unsigned long k = 0; k < per_tick && pages; k++, at = (at + 1) % pages)
			memory[at * PAGE] += 1;
	}
}

static int cmd_clock(char **args)
{
	for (int64_t last = now_ms();; sleep_ms(TICK_MS)) {
		int64_t now = now_ms();

		if (now < last)
			return 1;
		last = now;
		if (tell(args[0], now))
			return 1;
	}
}

/* ---- TCP ---- */

static int all(int fd, const char *buf, size_t len)
{
	for (ssize_t n; len > 0; buf += n, len -= (size_t)n) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -1;
	}
	return 0;
}

static int listener(const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	return bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 16) < 0 ? -1 : fd;
}

static int cmd_listen(char **args)
{
	if (listener(args[0]) < 0)
		return fail("listen");
	for (long long n = 0;; n++, sleep_ms(TICK_MS))
		if (tell(args[1], n))
			return 1;
}

static int cmd_serve(char **args)
{
	struct pollfd fds[CLIENTS_MAX];
	nfds_t n = 1;

	fds[0] = (struct pollfd){ .fd = listener(args[0]), .events = POLLIN };
	if (fds[0].fd < 0)
		return fail("listen");
	for (;;) {
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			return fail("poll");
		for (nfds_t i = n; i-- > 1;) {
			char buf[65536];
			ssize_t len = fds[i].revents ? read(fds[i].fd, buf, sizeof buf) : 1;

			if (!fds[i].revents || (len > 0 && all(fds[i].fd, buf, (size_t)len) == 0))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
		}
		if (fds[0].revents & POLLIN && n < CLIENTS_MAX)
			fds[n++] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL), .events = POLLIN };
	}
}

/* It is only looked for: a handler would interrupt a recv() that has a time limit. */
static int told_to_end(void)
{
	sigset_t set;

	return sigpending(&set) == 0 && sigismember(&set, SIGTERM);
}

static void keep_sigterm(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int cmd_client(char **args)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(args[1])) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	int64_t end = now_ms() + atoll(args[2]), longest = 0, last;
	struct timeval wait = { .tv_sec = 60 }; /* TCP doubles its pauses: after 13 s without an answer it asks after 25 s */
	uint64_t n = 0;

	keep_sigterm();
	if (inet_pton(AF_INET, args[0], &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	for (last = now_ms(); now_ms() < end && !told_to_end(); n++) {
		uint64_t back = 0;
		int64_t now;

		if (all(fd, (char *)&n, sizeof n) < 0)
			return fail("send");
		if (recv(fd, &back, sizeof back, MSG_WAITALL) != sizeof back)
			return fail("recv");
		if (back != n) {
			fprintf(stderr, "%llu came for %llu\n", (unsigned long long)back, (unsigned long long)n);
			return 1;
		}
		now = now_ms();
		longest = now - last > longest ? now - last : longest;
		if (now - last >= PAUSE_MS) {
			printf("pause %lld\n", (long long)(now - last));
			fflush(stdout);
		}
		last = now;
		sleep_ms(1);
	}
	printf("%llu %lld\n", (unsigned long long)n, (long long)longest);
	return n == 0;
}

static int cmd_lock(char **args)
{
	int fd = open(args[0], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fcntl(fd, F_SETLK, &record) < 0)
		return fail(args[0]);
	for (long long n = 0;; n++, sleep_ms(TICK_MS))
		if (tell(args[1], n))
			return 1;
}

static int cmd_dgram(char **args)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(to.sun_path, args[0], sizeof to.sun_path - 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return fail("connect");
	for (long long n = 0;; n++, sleep_ms(TICK_MS)) {
		char text[32];
		int len = snprintf(text, sizeof text, "%lld\n", n);

		if (send(fd, text, (size_t)len, 0) != len)
			return fail("send");
		if (tell(args[1], n))
			return 1;
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **args);
	} commands[] = {
		{ "memory", 3, cmd_memory }, { "pause", 3, cmd_pause },   { "clock", 1, cmd_clock },   { "serve", 1, cmd_serve },
		{ "client", 3, cmd_client }, { "lock", 2, cmd_lock },     { "dgram", 2, cmd_dgram },
		{ "listen", 2, cmd_listen },
	};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0 && argc - 2 == commands[i].args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: see the top of worker.c\n");
	return 2;
}
