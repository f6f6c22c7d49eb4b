// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/sync.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/base/sock.h"
#include "runtime/flow/fault.h"

_Static_assert(sizeof(struct sync_msg) <= PIPE_BUF, "a message must be whole on a FIFO");

int sync_send(int fd, const struct sync_msg *m, struct err *e)
{
	ssize_t n;

	do
		n = write(fd, m, sizeof *m);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "sync: write");
	return n == sizeof *m ? 0 : err_set(e, ERR_INTERNAL, 0, "sync: short write");
}

int sync_send_fd(int sock, const struct sync_msg *m, int fd, struct err *e)
{
	return sock_send(sock, m, sizeof *m, fd, e);
}

static int accept_msg(ssize_t n, struct sync_msg *m, struct err *e)
{
	if (n == 0)
		return 1;
	if (n != sizeof *m)
		return err_set(e, ERR_INTERNAL, 0, "sync: message of %zd bytes", n);
	fault_word(m);
	if (m->err.kind != ERR_NONE)
		err_sanitize(&m->err);
	return 0;
}

static ssize_t read_whole(int fd, struct sync_msg *ret)
{
	ssize_t n;

	do
		n = read(fd, ret, sizeof *ret);
	while (n < 0 && errno == EINTR);
	return n;
}

/* A peer that ended with unread data of ours in its queue shows as a reset, once, and before what it had to say: so both
 * ways of receiving ask again. */
int sync_recv(int fd, struct sync_msg *ret, struct err *e)
{
	ssize_t n = read_whole(fd, ret);

	if (n < 0 && errno == ECONNRESET)
		n = read_whole(fd, ret);
	if (n < 0 && errno == ECONNRESET)
		return 1;
	if (n < 0)
		return err_sys(e, "sync: read");
	return accept_msg(n, ret, e);
}

int sync_recv_fd(int sock, struct sync_msg *ret, int *ret_fd, struct err *e)
{
	ssize_t n = sock_recv(sock, ret, sizeof *ret, ret_fd, e);

	if (n < 0 && e->num == ECONNRESET)
		n = sock_recv(sock, ret, sizeof *ret, ret_fd, e);
	if (n < 0)
		return e->num == ECONNRESET ? 1 : err_wrap(e, "sync");
	return accept_msg(n, ret, e);
}
