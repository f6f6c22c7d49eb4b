// SPDX-License-Identifier: LGPL-2.1-or-later
/* Measures `run` of one bundle by several programs, in turn, so that all of them see the same machine.
 *
 *   start ROUNDS NAME[!]=COMMAND...
 *
 * COMMAND is split at blanks; %d in it becomes a number that no other round uses.  A ! after the name: the command runs
 * without the cgroup2 mount of a hybrid host.  Each command has a forked helper in a mount namespace of its own, so that
 * neither that nor the namespace is part of what is measured.  Prints wall, CPU (user + system of the program and all
 * that it waited for) and peak RSS, and the ratios to the programs named "floor" and "crun". */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROGRAMS 8
#define MAX_ROUNDS   10000
#define WARM_ROUNDS  5

struct sample {
	double wall, cpu;
	long rss;
	int status;
};

struct program {
	const char *name;
	char *command;
	int without_v2;
	int sock;
	pid_t helper;
	struct sample *samples;
	double wall50, wall95, cpu50;
	long rss;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double micros(struct timeval t)
{
	return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

static void split(char *text, char **argv, int max)
{
	int n = 0;

	for (char *w = strtok(text, " "); w && n < max - 1; w = strtok(NULL, " "))
		argv[n++] = w;
	argv[n] = NULL;
}

static struct sample measure(const char *command, int number)
{
	char text[4096], *argv[64];
	const char *mark = strstr(command, "%d");
	struct rusage use;
	struct sample s;

	if (mark)
		snprintf(text, sizeof(text), "%.*s%d%s", (int)(mark - command), command, number, mark + 2);
	else
		snprintf(text, sizeof(text), "%s", command);
	split(text, argv, 64);

	double begin = now();
	pid_t pid = vfork();
	if (pid < 0)
		die("vfork");
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	if (wait4(pid, &s.status, 0, &use) < 0)
		die("wait4");
	s.wall = now() - begin;
	s.cpu = micros(use.ru_utime) + micros(use.ru_stime);
	s.rss = use.ru_maxrss;
	return s;
}

static void helper(const struct program *p, int sock)
{
	int number, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("private mount namespace");
	if (p->without_v2 && umount2("/sys/fs/cgroup/unified", MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		die("umount of cgroup2");
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		die("/dev/null");
	while (read(sock, &number, sizeof(number)) == (ssize_t)sizeof(number)) {
		struct sample s = measure(p->command, number);

		if (write(sock, &s, sizeof(s)) != (ssize_t)sizeof(s))
			die("helper");
	}
	_exit(0);
}

static void program_start(struct program *p)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		die("socketpair");
	p->helper = fork();
	if (p->helper < 0)
		die("fork");
	if (p->helper == 0) {
		close(sv[0]);
		helper(p, sv[1]);
	}
	close(sv[1]);
	p->sock = sv[0];
}

static struct sample program_round(const struct program *p, int number)
{
	struct sample s;

	if (write(p->sock, &number, sizeof(number)) != (ssize_t)sizeof(number) ||
	    read(p->sock, &s, sizeof(s)) != (ssize_t)sizeof(s)) {
		fprintf(stderr, "%s: its helper died\n", p->name);
		exit(1);
	}
	if (s.status != 0) {
		fprintf(stderr, "%s: status %#x of: %s\n", p->name, (unsigned)s.status, p->command);
		exit(1);
	}
	return s;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *sorted, int n, double q)
{
	int i = (int)(q * (n - 1) + 0.5);

	return sorted[i];
}

static void program_sum_up(struct program *p, int rounds)
{
	double *v = calloc((size_t)rounds, sizeof(*v));

	if (!v)
		die("calloc");
	for (int i = 0; i < rounds; i++)
		v[i] = p->samples[i].wall;
	qsort(v, (size_t)rounds, sizeof(*v), by_value);
	p->wall50 = quantile(v, rounds, 0.5);
	p->wall95 = quantile(v, rounds, 0.95);
	for (int i = 0; i < rounds; i++) {
		v[i] = p->samples[i].cpu;
		if (p->samples[i].rss > p->rss)
			p->rss = p->samples[i].rss;
	}
	qsort(v, (size_t)rounds, sizeof(*v), by_value);
	p->cpu50 = quantile(v, rounds, 0.5);
	free(v);
}

static const struct program *find(const struct program *p, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(p[i].name, name) == 0)
			return &p[i];
	return NULL;
}

static void ratio(double a, const struct program *base)
{
	if (base)
		printf(" %9.2f", a / base->wall50);
	else
		printf(" %9s", "-");
}

static void report(struct program *p, int n, int rounds)
{
	const struct program *floor = find(p, n, "floor"), *crun = find(p, n, "crun");

	for (int i = 0; i < n; i++)
		program_sum_up(&p[i], rounds);
	printf("%d rounds, alternating\n", rounds);
	printf("%-8s %11s %11s %11s %12s %9s %9s\n", "", "median ms", "p95 ms", "CPU ms", "peak RSS KiB", "to floor", "to crun");
	for (int i = 0; i < n; i++) {
		printf("%-8s %11.2f %11.2f %11.2f %12ld", p[i].name, p[i].wall50 / 1e3, p[i].wall95 / 1e3, p[i].cpu50 / 1e3, p[i].rss);
		ratio(p[i].wall50, floor);
		ratio(p[i].wall50, crun);
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	struct program p[MAX_PROGRAMS] = { 0 };
	int n = argc - 2, rounds = argc > 2 ? atoi(argv[1]) : 0;

	if (n < 1 || n > MAX_PROGRAMS || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: start ROUNDS NAME[!]=COMMAND...\n");
		return 2;
	}
	for (int i = 0; i < n; i++) {
		char *eq = strchr(argv[i + 2], '=');

		if (!eq || eq == argv[i + 2])
			return 2;
		*eq = '\0';
		p[i].without_v2 = eq[-1] == '!';
		if (p[i].without_v2)
			eq[-1] = '\0';
		p[i].name = argv[i + 2];
		p[i].command = eq + 1;
		p[i].samples = calloc((size_t)rounds, sizeof(struct sample));
		if (!p[i].samples)
			die("calloc");
		program_start(&p[i]);
	}
	for (int round = -WARM_ROUNDS; round < rounds; round++)
		for (int i = 0; i < n; i++) {
			/* Who comes first changes by round: nobody always follows the slowest. */
			int k = (i + round + WARM_ROUNDS) % n;
			struct sample s = program_round(&p[k], (int)getpid() * 100 + round + WARM_ROUNDS);

			if (round >= 0)
				p[k].samples[round] = s;
		}
	report(p, n, rounds);
	/* A later helper has inherited the sockets of the earlier ones: all are closed before any helper is waited for. */
	for (int i = 0; i < n; i++)
		close(p[i].sock);
	for (int i = 0; i < n; i++) {
		waitpid(p[i].helper, NULL, 0);
		free(p[i].samples);
	}
	return 0;
}
