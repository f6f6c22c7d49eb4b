// SPDX-License-Identifier: LGPL-2.1-or-later

/* Where systemd listens, and which cgroup is its own. */

#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/proc.h"
#include "runtime/cgroup/hier.h"
#include "runtime/cgroup/systemd.h"

#define SYSTEM_PRIVATE "/run/systemd/private"
#define SYSTEM_BUS     "/run/dbus/system_bus_socket"

/* Who is not root of the host has only a manager of his own.  Root of a user namespace is root for systemd where that
 * runs inside of the namespace, too. */
bool manager_is_user(void)
{
	struct stat st;

	if (geteuid() != 0)
		return true;
	return proc_in_userns() && !(stat(SYSTEM_PRIVATE, &st) == 0 && st.st_uid == 0);
}

/* Our uid as the host knows it, which its directories are named after. */
static unsigned long long host_uid(void)
{
	const unsigned long long uid = geteuid();
	unsigned long long inside, outside, count;
	cleanup_str struct str map = { 0 };
	struct err ignored;

	if (fs_read(AT_FDCWD, "/proc/self/uid_map", 65536, &map, &ignored) < 0)
		return uid;
	for (const char *p = map.s; p && *p; p += strcspn(p, "\n") + 1) {
		if (sscanf(p, "%llu %llu %llu", &inside, &outside, &count) == 3 && uid >= inside && uid - inside < count)
			return outside + (uid - inside);
		if (!strchr(p, '\n'))
			break;
	}
	return uid;
}

/* "unix:path=/run/user/1000/bus,guid=...", "unix:abstract=x"; other kinds are not for us.  Percent signs stand for what a
 * path rarely has: such an address is passed over. */
static bool address_path(const char *address, char *path, size_t size)
{
	static const char *const kinds[] = { "unix:path=", "unix:abstract=" };

	for (size_t i = 0; address && i < ARRAY_SIZE(kinds); i++) {
		const char *p = address + strlen(kinds[i]);

		if (!str_starts(address, kinds[i]) || strchr(p, '%'))
			continue;
		snprintf(path, size, "%s%.*s", i ? "@" : "", (int)strcspn(p, ",;"), p);
		return true;
	}
	return false;
}

struct attempt {
	char tried[700];
	struct bus *bus;
};

static bool try(struct attempt *t, const char *socket, bool direct)
{
	char text[ERR_TEXT_MAX];
	size_t len = strlen(t->tried);
	struct err err;

	if (bus_open(socket, direct, t->bus, &err) == 0)
		return true;
	snprintf(t->tried + len, sizeof t->tried - len, "%s%s", len ? "; " : "", err_format(&err, text, sizeof text));
	return false;
}

static int open_system(struct bus *ret, struct err *e)
{
	struct attempt t = { .bus = ret };

	/* By the broker where there is one: each connection to its own socket costs systemd more than a unit's start does (it
	 * registers all its interfaces for it), and brings every signal that it sends. */
	if (try(&t, SYSTEM_BUS, false) || try(&t, SYSTEM_PRIVATE, true))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, 0,
		       "systemd cannot be reached (%s): the systemd cgroup driver needs it as process 1; without it use "
		       "--cgroup-manager=cgroupfs",
		       t.tried);
}

static int open_user(struct bus *ret, struct err *e)
{
	const char *set = getenv("XDG_RUNTIME_DIR"), *address = getenv("DBUS_SESSION_BUS_ADDRESS");
	struct attempt t = { .bus = ret };
	char dir[512], path[600];

	if (set && *set == '/')
		snprintf(dir, sizeof dir, "%s", set);
	else
		snprintf(dir, sizeof dir, "/run/user/%llu", host_uid());
	if (address_path(address, path, sizeof path) && try(&t, path, false))
		return 0;
	snprintf(path, sizeof path, "%s/bus", dir);
	if (try(&t, path, false))
		return 0;
	snprintf(path, sizeof path, "%s/systemd/private", dir);
	if (try(&t, path, true))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, 0,
		       "the systemd of user %llu cannot be reached (%s): it runs while the user is logged in, or always "
		       "after 'loginctl enable-linger', and XDG_RUNTIME_DIR names its directory; without it use "
		       "--cgroup-manager=cgroupfs",
		       host_uid(), t.tried);
}

int manager_open(bool user, struct bus *ret, struct err *e)
{
	if (!HAVE_SYSTEMD)
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "this vzrun was built without libsystemd, which the systemd cgroup driver needs: use "
			       "--cgroup-manager=cgroupfs");
	return user ? open_user(ret, e) : open_system(ret, e);
}

/* ---- turns ---- */

#define TURNS_DIR     "/run/vzrun"
#define TURN_MS       BUS_TIMEOUT_MS /* then we go ahead: better all at once than never */
#define TURN_PAUSE_MS 32

int manager_take_turn(bool user)
{
	const char *dir = user ? getenv("XDG_RUNTIME_DIR") : TURNS_DIR;
	const int64_t until = clock_ms() + TURN_MS;
	cleanup_fd int fd = -1;

	if (!user)
		mkdir(dir, 0700);
	if (dir)
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (int pause = 1; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; pause = pause < TURN_PAUSE_MS ? pause * 2 : pause) {
		if (errno != EWOULDBLOCK || clock_ms() >= until)
			return -1;
		poll(NULL, 0, pause);
	}
	return fd_take(&fd);
}

/* ---- its cgroup ---- */

static int ask_root(struct bus *b, const char **ret, struct arena *a, struct err *e)
{
	cleanup_bus_call struct bus_call call = { 0 };
	struct bus_message m;
	const char *text;
	int64_t sent;

	if (bus_begin(b, &systemd_get_property, &call, e) < 0)
		return err_ret(e);
	bus_put_text(&call, "org.freedesktop.systemd1.Manager");
	bus_put_text(&call, "ControlGroup");
	sent = bus_send(b, &call, e);
	if (sent < 0 || bus_wait_reply(b, sent, &m, e) < 0)
		return err_ret(e);
	if (m.kind == BUS_ERROR)
		return bus_error(&m, e);
	bus_read_enter(&m, 'v', "s");
	text = bus_read_text(&m, 's');
	if (m.bad)
		return err_set(e, ERR_KERNEL, EBADMSG, "systemd: ControlGroup is no text");
	*ret = arena_strdup(a, strcmp(text, "/") == 0 ? "" : text);
	return *ret ? 0 : err_oom(e);
}

/* The line of v2, or of systemd's own v1 hierarchy. */
static const char *own_line(const char *text)
{
	const char *v1 = strstr(text, ":name=systemd:"), *v2 = strstr(text, "0::");

	if (v1)
		return v1 + strlen(":name=systemd:");
	return v2 && (v2 == text || v2[-1] == '\n') ? v2 + 3 : NULL;
}

/* The process of the manager where it is known without a question: who listens, or process 1. */
static pid_t manager_pid(const struct bus *b, bool user)
{
	return b->direct ? b->peer : user ? 0 : 1;
}

/* A manager sits in init.scope below its own cgroup.  One that we do not see must tell. */
int manager_root(struct bus *b, bool user, const char **ret, struct arena *a, struct err *e)
{
	static const char scope[] = "/init.scope";
	const pid_t pid = manager_pid(b, user);
	cleanup_str struct str text = { 0 };
	struct err ignored;
	const char *line;
	char path[64];
	size_t len;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	if (pid <= 0 || fs_read(AT_FDCWD, path, CG_FILE_MAX, &text, &ignored) < 0)
		return ask_root(b, ret, a, e);
	line = own_line(str_cstr(&text));
	len = line ? strcspn(line, "\n") : 0;
	/* "/..": above what our cgroup namespace shows */
	if (len < sizeof scope - 1 || strncmp(line + len - (sizeof scope - 1), scope, sizeof scope - 1) != 0 ||
	    strncmp(line, "/..", 3) == 0)
		return ask_root(b, ret, a, e);
	*ret = arena_strndup(a, line, len - (sizeof scope - 1));
	return *ret ? 0 : err_oom(e);
}
