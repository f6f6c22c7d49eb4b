// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/notify_socket.h"

#include <fcntl.h>
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
#include "runtime/base/sys.h"

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
	return f->notify_dir < 0 ? err_sys(e, "open_tree %s", STORE_NOTIFY) : 0;
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

int notify_socket_attach(struct flow *f, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC };
	cleanup_fd int target = -1;

	if (f->notify_dir < 0)
		return 0;
	target = path_mkdir_all(f->root_fd, NOTIFY_INSIDE, 0755, e);
	if (target < 0)
		return target;
	if (sys_mount_setattr(f->notify_dir, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_sys(e, "mount_setattr");
	if (sys_move_mount(f->notify_dir, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "move_mount");
	return 0;
}

static int send_to_manager(const char *path, const char *text, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	cleanup_fd int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return err_sys(e, "socket");
	if (len >= sizeof addr.sun_path)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "NOTIFY_SOCKET");
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@') /* sd_notify(3): an abstract socket */
		addr.sun_path[0] = '\0';
	if (sendto(sock, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&addr,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_sys(e, "NOTIFY_SOCKET %s", path);
	return 0;
}

static bool says_ready(char *text)
{
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

int notify_socket_forward(const struct flow *f, int pidfd, pid_t pid, struct err *e)
{
	char buf[4096], text[64];

	for (;;) {
		struct pollfd fds[] = { { .fd = f->notify_fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (fds[0].revents & POLLIN) {
			n = recv(f->notify_fd, buf, sizeof buf - 1, MSG_DONTWAIT);
			buf[n > 0 ? n : 0] = '\0';
			if (says_ready(buf))
				break;
		} else if (fds[1].revents) {
			return 0; /* it ended without a word */
		}
	}
	snprintf(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)pid);
	return send_to_manager(f->o->notify_socket, text, e);
}
