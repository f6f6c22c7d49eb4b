// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "runtime/base/fd.h"
#include "runtime/base/sock.h"
#include "runtime/linux/seccomp.h"

#define SEND_SECONDS   10 /* an agent that does not read must not hang create for ever */
#define NOTIFY_FDS_MAX 16

/* The first message carries the descriptors and as much text as the socket takes; sock_send_fds()
 * is for sockets that keep messages whole, this one is a stream. */
static ssize_t send_first(int sock, const char *text, size_t len, const int *fds, size_t n,
			  struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (n > NOTIFY_FDS_MAX)
		return err_set(e, ERR_INTERNAL, E2BIG, "too many descriptors");
	if (n > 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? err_sys(e, "sendmsg") : sent;
}

int notify_send(const char *listener_path, const char *process_state_json, const int *fds, size_t n,
		struct err *e)
{
	const struct timeval timeout = {.tv_sec = SEND_SECONDS};
	size_t len = strlen(process_state_json), done;
	cleanup_fd int sock = sock_connect(listener_path, SOCK_STREAM, e);
	ssize_t sent;

	if (sock < 0)
		return err_wrap(e, "seccomp listener");
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	sent = send_first(sock, process_state_json, len, fds, n, e);
	if (sent < 0)
		return err_wrap(e, "seccomp listener %s", listener_path);
	for (done = (size_t)sent; done < len; done += (size_t)sent) {
		sent = send(sock, process_state_json + done, len - done, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			sent = 0;
		if (sent < 0)
			return err_sys(e, "seccomp listener %s: send", listener_path);
	}
	return 0;
}
