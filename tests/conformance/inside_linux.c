// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/conformance/inside.h"

/* Names of the document and of /proc/PID/ns. */
static const char *const namespaces[][2] = {
	{ "pid", "pid" }, { "network", "net" }, { "mount", "mnt" }, { "ipc", "ipc" }, { "uts", "uts" },
	{ "user", "user" }, { "cgroup", "cgroup" }, { "time", "time" },
};

static yajl_val find_ns(const char *type)
{
	const struct list l = list_at(spec, "linux.namespaces");

	for (size_t i = 0; i < l.n; i++)
		if (strcmp(string_at(l.v[i], "type", ""), type) == 0)
			return l.v[i];
	return NULL;
}

bool has_ns(const char *type)
{
	return find_ns(type) != NULL;
}

bool has_new_ns(const char *type)
{
	const yajl_val ns = find_ns(type);

	return ns && !*string_at(ns, "path", "");
}

static void check_namespace(const char *type, const char *name)
{
	char path[64], is[64] = "", key[64];
	const char *host, *joined;

	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	if (readlink(path, is, sizeof is - 1) < 0) {
		check(false, "namespaces", "%s can be read", path);
		return;
	}
	snprintf(key, sizeof key, "namespaces.%s", type);
	host = string_at(facts, key, "?");
	snprintf(key, sizeof key, "joined.%s", type);
	joined = string_at(facts, key, NULL);
	if (!has_ns(type))
		check_string("namespaces", type, is, host);
	else if (has_new_ns(type))
		check(strcmp(is, host) != 0, "namespaces", "%s is a new one: is %s, the runtime's %s", type, is, host);
	else
		check_string("namespaces", type, is, joined);
}

static void check_id_map(const char *file, const char *key)
{
	const struct list want = list_at(spec, key);
	const char *text = read_text(file);
	unsigned long long in, out, size;
	size_t i = 0;
	int used;

	if (!has_new_ns("user"))
		return;
	for (; text && sscanf(text, "%llu %llu %llu%n", &in, &out, &size, &used) == 3; text += used, i++) {
		check(i < want.n && in == (unsigned long long)number_at(want.v[i], "containerID", -1) &&
			      out == (unsigned long long)number_at(want.v[i], "hostID", -1) &&
			      size == (unsigned long long)number_at(want.v[i], "size", -1),
		      "id maps", "%s, line %zu: is %llu %llu %llu", file, i, in, out, size);
	}
	check_number("id maps", file, (long long)i, (long long)want.n);
}

static void check_clock(const char *clock)
{
	const char *text = read_text("/proc/self/timens_offsets"), *line = text ? strstr(text, clock) : NULL;
	char key[64];
	long long secs = -1, nsecs = -1;

	if (line)
		sscanf(line + strlen(clock), "%lld %lld", &secs, &nsecs);
	snprintf(key, sizeof key, "linux.timeOffsets.%s.secs", clock);
	check_number("time offsets", key, secs, number_at(spec, key, 0));
	snprintf(key, sizeof key, "linux.timeOffsets.%s.nanosecs", clock);
	check_number("time offsets", key, nsecs, number_at(spec, key, 0));
}

void check_namespaces(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		check_namespace(namespaces[i][0], namespaces[i][1]);
	if (has_new_ns("pid"))
		check_number("namespaces", "process id", getpid(), 1);
	check_id_map("/proc/self/uid_map", "linux.uidMappings");
	check_id_map("/proc/self/gid_map", "linux.gidMappings");
	if (has_new_ns("time")) {
		check_clock("monotonic");
		check_clock("boottime");
	}
}

/* A new uts namespace is a copy of the runtime's. */
void check_uts(void)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	check_string("hostname", "hostname", u.nodename, string_at(spec, "hostname", string_at(facts, "hostname", "?")));
	check_string("hostname", "domainname", u.domainname,
		     string_at(spec, "domainname", string_at(facts, "domainname", "?")));
}

static mode_t kind_of(const char *type)
{
	switch (*type) {
	case 'b': return S_IFBLK;
	case 'p': return S_IFIFO;
	default: return S_IFCHR;
	}
}

static void check_device(const char *path, mode_t kind, unsigned major_no, unsigned minor_no)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		check(false, "devices", "%s is there", path);
		return;
	}
	check((st.st_mode & S_IFMT) == kind, "devices", "%s has the right type", path);
	if (kind != S_IFIFO)
		check(st.st_rdev == makedev(major_no, minor_no), "devices", "%s: is %u:%u, expected %u:%u", path,
		      major(st.st_rdev), minor(st.st_rdev), major_no, minor_no);
}

/* Devices of the host stand in for nodes that a user namespace may not make: they keep the host's mode and owner. */
static void check_device_owner(yajl_val device)
{
	const char *path = string_at(device, "path", "");
	struct stat st;

	if (has_ns("user") || stat(path, &st) < 0)
		return;
	check(((st.st_mode & 07777) == number_at(device, "fileMode", 0666)), "devices", "%s: mode is %o", path,
	      st.st_mode & 07777);
	check_number("devices", "uid", st.st_uid, number_at(device, "uid", 0));
	check_number("devices", "gid", st.st_gid, number_at(device, "gid", 0));
}

static void check_link(const char *path, const char *want)
{
	char is[256] = "";

	if (readlink(path, is, sizeof is - 1) < 0)
		is[0] = '\0';
	check_string("dev links", path, is, want);
}

static void check_ptmx(void)
{
	struct stat st;
	char link[64] = "";

	if (readlink("/dev/ptmx", link, sizeof link - 1) > 0)
		check(strcmp(link, "pts/ptmx") == 0 || strcmp(link, "/dev/pts/ptmx") == 0, "devices", "/dev/ptmx: is %s", link);
	else
		check(stat("/dev/ptmx", &st) == 0 && st.st_rdev == makedev(5, 2), "devices", "/dev/ptmx is a multiplexer");
}

static bool has_mount(const char *target)
{
	const struct list l = list_at(spec, "mounts");

	for (size_t i = 0; i < l.n; i++)
		if (strcmp(string_at(l.v[i], "destination", ""), target) == 0)
			return true;
	return false;
}

void check_devices(void)
{
	static const struct { const char *path; unsigned major_no, minor_no; } always[] = {
		{ "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 }, { "/dev/random", 1, 8 },
		{ "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
	};
	const struct list l = list_at(spec, "linux.devices");
	const struct mount *console;

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		check_device(always[i].path, S_IFCHR, always[i].major_no, always[i].minor_no);
	check_link("/dev/fd", "/proc/self/fd");
	check_link("/dev/stdin", "/proc/self/fd/0");
	check_link("/dev/stdout", "/proc/self/fd/1");
	check_link("/dev/stderr", "/proc/self/fd/2");
	if (has_mount("/dev/pts"))
		check_ptmx();
	for (size_t i = 0; i < l.n; i++) {
		check_device(string_at(l.v[i], "path", "?"), kind_of(string_at(l.v[i], "type", "")),
			     (unsigned)number_at(l.v[i], "major", 0), (unsigned)number_at(l.v[i], "minor", 0));
		check_device_owner(l.v[i]);
	}
	console = mount_at("/dev/console");
	check(!!console == true_at(spec, "process.terminal"), "terminal", "/dev/console is %sbound", console ? "" : "not ");
}

static bool rule_matches(yajl_val rule, char type, long long major_no, long long minor_no, char access)
{
	const char *t = string_at(rule, "type", "a");
	const long long ma = number_at(rule, "major", -1), mi = number_at(rule, "minor", -1);

	return (*t == 'a' || *t == type) && (ma == -1 || ma == major_no) && (mi == -1 || mi == minor_no) &&
	       strchr(string_at(rule, "access", "rwm"), access);
}

/* In the listed order, the last that matches decides; the default devices and mknod are always allowed. */
static bool is_allowed(char type, long long major_no, long long minor_no, char access)
{
	const struct list rules = list_at(spec, "linux.resources.devices");
	const bool usual = type == 'c' && ((major_no == 1 && strchr("\3\5\7\10\11", (int)minor_no)) ||
					   (major_no == 5 && minor_no <= 2) || major_no == 136);
	bool allowed = true;

	for (size_t i = 0; i < rules.n; i++)
		if (rule_matches(rules.v[i], type, major_no, minor_no, access))
			allowed = true_at(rules.v[i], "allow");
	return allowed || usual || access == 'm';
}

static void try_device(char type, int major_no, int minor_no)
{
	static const struct { char access; int flags; } ways[] = { { 'r', O_RDONLY }, { 'w', O_WRONLY } };
	const char *path = "/dev/shm/probe";

	if (mknod(path, (type == 'b' ? S_IFBLK : S_IFCHR) | 0666, makedev((unsigned)major_no, (unsigned)minor_no)) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		const int fd = open(path, ways[i].flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		const bool refused = fd < 0 && errno == EPERM;

		check(refused != is_allowed(type, major_no, minor_no, ways[i].access), "device rules", "%c %d:%d %c is %s",
		      type, major_no, minor_no, ways[i].access, refused ? "refused" : "allowed");
		if (fd >= 0)
			close(fd);
	}
	unlink(path);
}

/* Only where nodes can be made, and where no mount is nodev: the facts say so. */
void check_device_rules(void)
{
	if (!true_at(facts, "try_devices"))
		return;
	try_device('c', 1, 3);
	try_device('c', 1, 11);
	try_device('c', 1, 4);
	try_device('c', 4, 0);
	try_device('c', 10, 229);
	try_device('b', 7, 0);
	try_device('b', 7, 1);
}

static void squeeze(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++)
		if (strchr(" \t\n", *from)) {
			if (n > 0 && to[n - 1] != ' ')
				to[n++] = ' ';
		} else {
			to[n++] = *from;
		}
	to[n] = '\0';
}

void check_sysctl(void)
{
	const yajl_val o = at(spec, "linux.sysctl");

	for (size_t i = 0; o && i < o->u.object.len; i++) {
		char path[256], is[256], want[256];
		const char *text;

		snprintf(path, sizeof path, "/proc/sys/%s", o->u.object.keys[i]);
		for (char *p = path + strlen("/proc/sys/"); *p; p++)
			if (*p == '.')
				*p = '/';
		text = read_text(path);
		squeeze(text ? text : "(none)", is, sizeof is);
		squeeze(text_of(o->u.object.values[i]), want, sizeof want);
		check_string("sysctl", o->u.object.keys[i], is, want);
	}
}
