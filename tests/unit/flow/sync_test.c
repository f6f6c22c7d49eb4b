// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/sync.h"

#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/sock.h"
#include "tests/lib/test.h"

static struct err e;

/* The other side says why it ends, and ends without having read what we sent meanwhile. */
static void last_words(int ours, int *theirs)
{
	struct sync_msg m = { .row = 7 };

	CHECK_INT(sync_send(ours, &m, &e), 0);
	err_set(&m.err, ERR_STATE, 0, "the reason");
	CHECK_INT(sync_send(*theirs, &m, &e), 0);
	fd_close(theirs);
}

TEST(the_last_words_of_a_peer_are_heard)
{
	struct sync_msg m = { 0 };
	int pair[2];

	CHECK_INT(sock_pair(pair, &e), 0);
	cleanup_fd int ours = pair[0];
	last_words(ours, &pair[1]);
	CHECK_INT(sync_recv(ours, &m, &e), 0);
	CHECK_STR(m.err.text, "the reason");
	CHECK_INT(sync_recv(ours, &m, &e), 1);
}

TEST(and_where_a_descriptor_may_come_with_them)
{
	struct sync_msg m = { 0 };
	int pair[2], fd = -1;

	CHECK_INT(sock_pair(pair, &e), 0);
	cleanup_fd int ours = pair[0];
	last_words(ours, &pair[1]);
	CHECK_INT(sync_recv_fd(ours, &m, &fd, &e), 0);
	CHECK_STR(m.err.text, "the reason");
	CHECK_INT(fd, -1);
	CHECK_INT(sync_recv_fd(ours, &m, &fd, &e), 1);
}
