/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages between the host side and init.  Fixed size, one write each, at most PIPE_BUF: whole on sockets and on
 * FIFOs.  What init sends is hostile from the step "mounts" on (createContainer hooks run there): the size, the row and
 * the number of descriptors are checked and the text is filtered. */

#include <stdint.h>

#include "runtime/base/err.h"

struct sync_msg {
	uint32_t row;
	int64_t value;   /* a row's own number: a pid, a descriptor, a mask */
	struct err err;  /* kind ERR_NONE: the row succeeded */
};

/* Plain write(2): works under the payload's filter. */
int sync_send(int fd, const struct sync_msg *m, struct err *e);
/* With a descriptor, over the socket. */
int sync_send_fd(int sock, const struct sync_msg *m, int fd, struct err *e);

/* Read one message.  0: it came; 1: the peer is gone (*ret untouched); below zero: an error.  The message is
 * sanitized. */
int sync_recv(int fd, struct sync_msg *ret, struct err *e);
int sync_recv_fd(int sock, struct sync_msg *ret, int *ret_fd, struct err *e);
