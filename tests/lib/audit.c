// SPDX-License-Identifier: LGPL-2.1-or-later

/* The leak audit: what a test leaves on the host.
 *
 *   audit snapshot FILE               before the test
 *   audit check FILE MARKER [TRIES]   after it: prints the leaks, status 1 when there is one
 *   audit clean FILE MARKER           removes what is certainly the test's, so that the next one starts from a clean host
 *   audit processes MARKER            the processes of the test
 *   audit keyrings FILE               before a file of tests
 *   audit check-keyrings FILE [MARKERS]  after it; MARKERS: a file with the markers of its tests, those of others do not count
 *
 * One line per object, "KIND NAME"; a leak is a line that is there after and was not before.  Some objects die a moment
 * after their last user (a pid namespace's mounts, keyrings, network devices), so check looks again, 20 times in two
 * seconds, before it calls something a leak.  A process belongs to a test when it was started with
 * VZRUN_TEST_ID=MARKER in its environment: everything below vzrun is, and the payloads, since the test bundle hands it
 * to them.  AUDIT_STATE: a further directory in which nothing may stay.  AUDIT_KEYRINGS=later leaves keyrings out: the
 * kernel frees the credentials of a dead process lazily, up to ten seconds later, so helpers.bash looks at them once per
 * file and not after each test.  A static program, because it runs three times per test. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

struct lines {
	char **v;
	size_t n;
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void add(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct lines *l, const char *fmt, ...)
{
	va_list ap;

	l->v = reallocarray(l->v, l->n + 1, sizeof *l->v);
	va_start(ap, fmt);
	if (!l->v || vasprintf(&l->v[l->n++], fmt, ap) < 0)
		die("memory");
	va_end(ap);
}

static void clear(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct lines){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct lines *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof *l->v, by_name);
}

static bool has(const struct lines *l, char *line)
{
	return l->n && bsearch(&line, l->v, l->n, sizeof *l->v, by_name);
}

/* The n-th word of a line, from 1; it is cut off there. */
static char *word(char *line, int n)
{
	char *save, *w = strtok_r(line, " \n", &save);

	while (w && --n)
		w = strtok_r(NULL, " \n", &save);
	return w;
}

static void list_words(struct lines *l, const char *file, const char *kind, int field, const char *prefix)
{
	FILE *f = fopen(file, "re");
	char *line = NULL, *w;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		if ((w = word(line, field)) && strncmp(w, prefix, strlen(prefix)) == 0)
			add(l, "%s %s", kind, w);
	free(line);
	if (f)
		fclose(f);
}

/* A keyring of a container is named _ses.ID; the other columns change by themselves. */
static void list_keyrings(struct lines *l)
{
	list_words(l, "/proc/keys", "keyring", 9, "_ses.");
}

static void list_cgroups(struct lines *l, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char *path;

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s", dir, e->d_name) < 0)
			die("memory");
		add(l, "cgroup %s", path);
		list_cgroups(l, path);
		free(path);
	}
	if (d)
		closedir(d);
}

static void list_glob(struct lines *l, const char *kind, const char *pattern, int skip, const char *end)
{
	glob_t g;

	if (glob(pattern, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++) {
			const char *path = g.gl_pathv[i] + skip;

			add(l, "%s%.*s", kind, (int)(strlen(path) - strlen(end)), path);
		}
	}
	globfree(&g);
}

static void list(struct lines *l)
{
	const char *later = getenv("AUDIT_KEYRINGS"), *state = getenv("AUDIT_STATE");
	char pattern[4096];

	list_words(l, "/proc/self/mountinfo", "mount", 5, "");
	if (!later || strcmp(later, "later") != 0)
		list_keyrings(l);
	list_cgroups(l, "/sys/fs/cgroup");
	list_glob(l, "netdev ", "/sys/class/net/*", (int)strlen("/sys/class/net/"), "");
	list_glob(l, "loop /dev/", "/sys/block/loop*/loop/backing_file", (int)strlen("/sys/block/"), "/loop/backing_file");
	list_glob(l, "state ", "/run/vzrun/*", 0, "");
	list_glob(l, "state ", "/dev/mqueue/*", 0, "");
	list_glob(l, "state ", "/run/netns/*", 0, "");
	if (state && snprintf(pattern, sizeof pattern, "%s/*", state) < (int)sizeof pattern)
		list_glob(l, "state ", pattern, 0, "");
	sort(l);
}

/* A file of procfs; the caller frees it.  NULL: gone, or somebody else's. */
static char *slurp(pid_t pid, const char *name, size_t *n)
{
	char path[64], *buf = NULL;
	ssize_t got = -1;
	size_t cap = 0;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return NULL;
	for (*n = 0; got; *n += (size_t)got) {
		if (cap - *n < 4096 && !(buf = realloc(buf, cap += 65536)))
			die("memory");
		if ((got = read(fd, buf + *n, cap - *n - 1)) < 0)
			break;
	}
	close(fd);
	if (got == 0) {
		buf[*n] = 0;
		return buf;
	}
	free(buf);
	return NULL;
}

static bool in_environment(pid_t pid, const char *variable)
{
	size_t n, len = strlen(variable) + 1;
	char *env = slurp(pid, "environ", &n);
	bool found = false;

	for (char *p = env; p && !found && p < env + n; p += strlen(p) + 1)
		found = (size_t)(env + n - p) >= len && memcmp(p, variable, len) == 0;
	free(env);
	return found;
}

/* The pids too, when asked for: for whoever ends them. */
static void list_processes(struct lines *l, const char *marker, bool pids)
{
	char variable[256], *cmd;
	DIR *d = opendir("/proc");
	struct dirent *e;
	size_t n;

	snprintf(variable, sizeof variable, "VZRUN_TEST_ID=%s", marker);
	while (d && (e = readdir(d))) {
		pid_t pid = atoi(e->d_name);

		if (pid <= 0 || pid == getpid() || !in_environment(pid, variable) || !(cmd = slurp(pid, "cmdline", &n)))
			continue;
		for (size_t i = 0; i < n; i++)
			if (!cmd[i])
				cmd[i] = ' ';
		if (pids)
			add(l, "%d", pid);
		else
			add(l, "process %d %s", pid, n ? cmd : "(no command line)");
		free(cmd);
	}
	if (d)
		closedir(d);
}

static void put(const struct lines *l, FILE *f, const char *prefix)
{
	for (size_t i = 0; i < l->n; i++)
		fprintf(f, "%s%s\n", prefix, l->v[i]);
}

static void save(const struct lines *l, const char *file)
{
	FILE *f = fopen(file, "we");

	if (!f)
		die(file);
	put(l, f, "");
	if (fclose(f))
		die(file);
}

static void load(struct lines *l, const char *file)
{
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		add(l, "%s", line);
	}
	free(line);
	if (f)
		fclose(f);
	sort(l);
}

/* systemd makes cgroups for its own units when it likes; a controller that one unit asks for, for one, the others of its slice
 * get on v1 as well.  Hierarchies that it does not look after are ours alone. */
static bool is_of_systemd(const char *line)
{
	static const char *const hierarchies[] = { "cpu/", "cpu,cpuacct/", "memory/", "blkio/", "devices/", "pids/", "systemd/",
						   "unified/" };
	static const char *const kinds[] = { ".service", ".slice", ".mount", ".socket", ".swap", "/init.scope" };
	static const char prefix[] = "cgroup /sys/fs/cgroup/";
	bool managed = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0, unit = false;
	size_t len = strlen(line);

	if (strncmp(line, prefix, sizeof prefix - 1) != 0 || access("/run/systemd/private", F_OK) < 0)
		return false;
	for (size_t i = 0; i < sizeof hierarchies / sizeof *hierarchies; i++)
		managed |= strncmp(line + sizeof prefix - 1, hierarchies[i], strlen(hierarchies[i])) == 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		unit |= len > strlen(kinds[i]) && strcmp(line + len - strlen(kinds[i]), kinds[i]) == 0;
	return managed && unit;
}

/* What is new since the snapshot.  Other runs of these tests at the same time have markers of the same form in the names of
 * their cgroups and keyrings: they are not ours. */
static void list_new(struct lines *l, const struct lines *before, const char *marker)
{
	struct lines now = { 0 };
	regex_t other;

	if (regcomp(&other, "t[0-9]+-[0-9]+-[0-9]+", REG_EXTENDED | REG_NOSUB))
		die("regcomp");
	list(&now);
	for (size_t i = 0; i < now.n; i++)
		if (!has(before, now.v[i]) && (strstr(now.v[i], marker) || !is_of_systemd(now.v[i])) &&
		    (strstr(now.v[i], marker) || regexec(&other, now.v[i], 0, NULL, 0)))
			add(l, "%s", now.v[i]);
	clear(&now);
	regfree(&other);
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Whatever is not in the snapshot is called a leak and removed: one that a test has overwritten must not be believed. */
static bool whole(const struct lines *before, const char *file)
{
	char root[] = "mount /";

	if (has(before, root))
		return true;
	printf("LEAK: the snapshot %s is damaged\n", file);
	return false;
}

static int check(const char *file, const char *marker, int tries)
{
	struct lines before = { 0 }, leaks = { 0 };

	load(&before, file);
	if (!whole(&before, file))
		return 1;
	for (int i = 1;; i++) {
		clear(&leaks);
		list_new(&leaks, &before, marker);
		list_processes(&leaks, marker, false);
		if (!leaks.n)
			return 0;
		if (i >= tries)
			break;
		pause_ms(100);
	}
	put(&leaks, stdout, "LEAK: ");
	return 1;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static bool is(const char *line, const char *kind, const char **name)
{
	size_t n = strlen(kind);

	if (strncmp(line, kind, n) != 0 || line[n] != ' ')
		return false;
	*name = line + n + 1;
	return true;
}

static void thaw(const char *cgroup)
{
	static const char *const files[][2] = { { "freezer.state", "THAWED" }, { "cgroup.freeze", "0" } };
	char path[4096];

	for (size_t i = 0; i < 2; i++) {
		int fd;

		snprintf(path, sizeof path, "%s/%s", cgroup, files[i][0]);
		if ((fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
			continue;
		if (write(fd, files[i][1], strlen(files[i][1])) < 0)
			perror(path);
		close(fd);
	}
}

static void clean_one(const char *line, const char *marker, const char *dir)
{
	bool ours = strstr(line, marker);
	const char *name;

	if (is(line, "cgroup", &name) && ours)
		rmdir(name); /* another one may be somebody else's */
	else if (is(line, "mount", &name) && strncmp(name, dir, strlen(dir)) == 0)
		umount2(name, MNT_DETACH);
	else if (is(line, "state", &name) && (ours || strncmp(name, dir, strlen(dir)) == 0))
		nftw(name, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* What appeared meanwhile may be somebody else's, a container of the host's engine for one.  Processes are ended by the
 * marker only, a cgroup goes only when it is empty then, a mount or a file only inside the test's directory. */
static int clean(const char *file, const char *marker)
{
	struct lines before = { 0 }, leaks = { 0 }, pids = { 0 };
	const char *state = getenv("AUDIT_STATE"), *name;
	char dir[4096] = "/nonexistent/";

	load(&before, file);
	if (!whole(&before, file))
		return 1;
	if (state && strrchr(state, '/'))
		snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(state, '/') + 1 - state), state);
	list_new(&leaks, &before, marker);
	for (size_t i = 0; i < leaks.n; i++)
		if (is(leaks.v[i], "cgroup", &name) && strstr(name, marker))
			thaw(name);
	list_processes(&pids, marker, true);
	for (size_t i = 0; i < pids.n; i++)
		kill(atoi(pids.v[i]), SIGKILL);
	pause_ms(50);
	/* Inner ones first. */
	for (size_t i = leaks.n; i--;)
		clean_one(leaks.v[i], marker, dir);
	return 0;
}

/* Is it of a run of these tests, and not of the tests in `own`? */
static bool is_of_others(const char *line, const struct lines *own)
{
	regex_t marker;
	bool found;

	for (size_t i = 0; i < own->n; i++)
		if (strstr(line, own->v[i]))
			return false;
	if (regcomp(&marker, "t[0-9]+-[0-9]+-[0-9]+", REG_EXTENDED | REG_NOSUB))
		die("regcomp");
	found = regexec(&marker, line, 0, NULL, 0) == 0;
	regfree(&marker);
	return found;
}

static int check_keyrings(const char *file, const char *markers)
{
	struct lines before = { 0 }, now = { 0 }, own = { 0 };
	size_t leaks = 1;

	load(&before, file);
	if (markers)
		load(&own, markers);
	for (int i = 0; leaks && i < 40; i++) {
		if (i)
			pause_ms(500);
		clear(&now);
		list_keyrings(&now);
		leaks = 0;
		for (size_t k = 0; k < now.n; k++)
			leaks += !has(&before, now.v[k]) && !(markers && is_of_others(now.v[k], &own));
	}
	for (size_t k = 0; k < now.n; k++)
		if (!has(&before, now.v[k]) && !(markers && is_of_others(now.v[k], &own)))
			printf("LEAK: %s\n", now.v[k]);
	return leaks != 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "", *file = argc > 2 ? argv[2] : "";
	struct lines l = { 0 };

	if (strcmp(verb, "check") == 0 && argc > 3)
		return check(file, argv[3], argc > 4 ? atoi(argv[4]) : 20);
	if (strcmp(verb, "clean") == 0 && argc > 3)
		return clean(file, argv[3]);
	if (strcmp(verb, "check-keyrings") == 0)
		return check_keyrings(file, argc > 3 ? argv[3] : NULL);
	if (strcmp(verb, "snapshot") == 0) {
		list(&l);
		save(&l, file);
	} else if (strcmp(verb, "keyrings") == 0) {
		list_keyrings(&l);
		save(&l, file);
	} else if (strcmp(verb, "processes") == 0) {
		list_processes(&l, file, false);
		put(&l, stdout, "");
	} else {
		fprintf(stderr, "audit: see the beginning of tests/lib/audit.c\n");
		return 2;
	}
	return 0;
}
