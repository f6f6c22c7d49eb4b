// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/notify_socket.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/path.h"
#include "runtime/base/sock.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

/* As long as runc waits. */
#define BARRIER_MS 30000

bool notify_socket_is(const struct oci_image_mount *m, const char *id)
{
	char end[NAME_MAX + sizeof "//" STORE_NOTIFY];

	snprintf(end, sizeof end, "/%s/" STORE_NOTIFY, id);
	return m->external && strcmp(m->point, NOTIFY_INSIDE) == 0 && str_ends(m->source, end);
}

static int bind_in(struct flow *f, int dir, struct err *e)
{
	/* Any user of the container may notify: what is passed on is one word. */
	f->notify_fd = sock_listen(dir, "notify.sock", SOCK_DGRAM, 0777, e);
	return f->notify_fd < 0 ? f->notify_fd : 0;
}

int notify_socket_prepare(struct flow *f, struct err *e)
{
	cleanup_fd int dir = -1;

	if (!f->o->notify_socket)
		return 0;
	if (mkdirat(f->dir.fd, STORE_NOTIFY, 0755) < 0)
		return err_sys(e, "mkdir %s", STORE_NOTIFY);
	dir = openat(f->dir.fd, STORE_NOTIFY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open %s", STORE_NOTIFY);
	if (f->command == FLOW_RUN && bind_in(f, dir, e) < 0)
		return err_ret(e);
	f->notify = true;
	f->notify_dir = sys_open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	/* As with the sources of mounts, init may where we may not. */
	return f->notify_dir < 0 && errno != EPERM ? err_sys(e, "open_tree %s", STORE_NOTIFY) : 0;
}

int notify_socket_bind(struct flow *f, struct err *e)
{
	cleanup_fd int dir = openat(f->dir.fd, STORE_NOTIFY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", STORE_NOTIFY);
	/* A start that failed before this one may have left its socket. */
	if (unlinkat(dir, "notify.sock", 0) < 0 && errno != ENOENT)
		return err_sys(e, "remove notify.sock");
	return bind_in(f, dir, e);
}

/* The host had no right to clone it: by its path, which leads to the host's directory until the root is switched. */
static int clone_own(struct flow *f, struct err *e)
{
	const char *dir = arena_printf(&f->arena, "%s/%s/%s", f->o->root, f->o->id, STORE_NOTIFY);

	if (!dir)
		return err_oom(e);
	f->notify_dir = sys_open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	return f->notify_dir < 0 ? err_sys(e, "open_tree %s", dir) : 0;
}

int notify_socket_attach(struct flow *f, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC };
	cleanup_fd int target = -1;

	if (!f->notify)
		return 0;
	if (f->notify_dir < 0 && clone_own(f, e) < 0)
		return err_ret(e);
	target = path_mkdir_all(f->root_fd, NOTIFY_INSIDE, 0755, e);
	if (target < 0)
		return target;
	if (sys_mount_setattr(f->notify_dir, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_sys(e, "mount_setattr");
	if (sys_move_mount(f->notify_dir, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "move_mount");
	return 0;
}

static int connect_manager(const char *path, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	cleanup_fd int sock = -1;

	if (path[0] != '@')
		return sock_connect(path, SOCK_DGRAM, e);
	/* sd_notify(3): an abstract socket */
	if (len >= sizeof addr.sun_path)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "NOTIFY_SOCKET");
	memcpy(addr.sun_path + 1, path + 1, len - 1);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return err_sys(e, "socket");
	if (connect(sock, (struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_sys(e, "connect %s", path);
	return fd_take(&sock);
}

/* sd_notify_barrier(3): the manager closes its end when it has come that far. */
static int wait_barrier(int sock, struct err *e)
{
	static const char text[] = "BARRIER=1";
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	cleanup_fd int ours = ends[0], theirs = ends[1];
	r = sock_send(sock, text, sizeof text - 1, theirs, e);
	if (r < 0)
		return r;
	fd_close(&theirs);
	/* One that never answers has been told all the same. */
	poll(&(struct pollfd){ .fd = ours }, 1, BARRIER_MS);
	return 0;
}

static int tell_manager(const struct flow *f, pid_t pid, bool barrier, struct err *e)
{
	cleanup_fd int sock = connect_manager(f->o->notify_socket, e);
	char text[64];
	int n, r;

	if (sock < 0)
		return err_wrap(e, "NOTIFY_SOCKET");
	n = snprintf(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)pid);
	r = sock_send(sock, text, (size_t)n, -1, e);
	if (r == 0 && barrier)
		r = wait_barrier(sock, e);
	return r < 0 ? err_wrap(e, "NOTIFY_SOCKET") : 1;
}

static bool says_ready(char *text)
{
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

int notify_socket_take(const struct flow *f, pid_t pid, bool barrier, struct err *e)
{
	char buf[4096];
	ssize_t n = recv(f->notify_fd, buf, sizeof buf - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return says_ready(buf) ? tell_manager(f, pid, barrier, e) : 0;
}

int notify_socket_forward(const struct flow *f, int pidfd, pid_t pid, struct err *e)
{
	int r = 0;

	while (r == 0) {
		struct pollfd fds[] = { { .fd = f->notify_fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (fds[0].revents & POLLIN)
			r = notify_socket_take(f, pid, true, e);
		else if (fds[1].revents)
			return 0; /* it ended without a word */
	}
	return r < 0 ? r : 0;
}
