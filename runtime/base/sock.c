// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/sock.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "runtime/base/fd.h"

#define FDS_MAX 16

int sock_pair(int ret[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
		return err_sys(e, "socketpair");
	return 0;
}

int sock_send_fds(int sock, const void *data, size_t len, const int *fds, size_t n, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > FDS_MAX)
		return err_set(e, ERR_INTERNAL, E2BIG, "sendmsg");
	if (n > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = &control.align; /* the first header */
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_sys(e, "sendmsg");
	return 0;
}

int sock_send(int sock, const void *data, size_t len, int fd, struct err *e)
{
	return sock_send_fds(sock, data, len, &fd, fd >= 0 ? 1 : 0, e);
}

static size_t take_fds(struct msghdr *msg, int *fds, size_t max)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && n < max; i++)
			memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return n;
}

ssize_t sock_recv(int sock, void *buf, size_t size, int *ret_fd, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof control.buf };
	int fds[FDS_MAX];
	size_t count;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "recvmsg");
	count = take_fds(&msg, fds, FDS_MAX);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || count > (ret_fd ? 1U : 0U)) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		return err_set(e, ERR_KERNEL, EBADMSG, "recvmsg");
	}
	if (ret_fd)
		*ret_fd = count ? fds[0] : -1;
	return n;
}

/* sun_path holds 108 bytes; /proc/self/fd/N/NAME of the parent fits where the path itself may not. */
static int fill_address(int dir, const char *name, struct sockaddr_un *ret, struct err *e)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (snprintf(ret->sun_path, sizeof ret->sun_path, "%s/%s", fd_path(dir).s, name) >=
	    (int)sizeof ret->sun_path)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%s", name);
	return 0;
}

int sock_connect(const char *path, int type, struct err *e)
{
	cleanup_fd int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	cleanup_fd int dir = -1;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r;

	if (sock < 0)
		return err_sys(e, "socket");
	if (strlen(path) < sizeof addr.sun_path) {
		strcpy(addr.sun_path, path);
	} else {
		char parent[PATH_MAX];
		const char *name = strrchr(path, '/');

		if (!name || strlen(path) >= sizeof parent)
			return err_set(e, ERR_KERNEL, ENAMETOOLONG, "connect %s", path);
		memcpy(parent, path, (size_t)(name - path) + 1);
		parent[name - path + 1] = '\0';
		dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_sys(e, "connect %s", path);
		r = fill_address(dir, name + 1, &addr, e);
		if (r < 0)
			return r;
	}
	if (connect(sock, (struct sockaddr *)&addr, sizeof addr) < 0)
		return err_sys(e, "connect %s", path);
	return fd_take(&sock);
}

int sock_listen(int dirfd, const char *name, int type, mode_t mode, struct err *e)
{
	cleanup_fd int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;
	int r;

	if (sock < 0)
		return err_sys(e, "socket");
	r = fill_address(dirfd, name, &addr, e);
	if (r < 0)
		return r;
	if (bind(sock, (struct sockaddr *)&addr, sizeof addr) < 0)
		return err_sys(e, "bind %s", name);
	if (fchmodat(dirfd, name, mode, 0) < 0)
		return err_sys(e, "chmod %s", name);
	if (type == SOCK_DGRAM)
		return fd_take(&sock);
	if (listen(sock, 1) < 0)
		return err_sys(e, "listen %s", name);
	return fd_take(&sock);
}
