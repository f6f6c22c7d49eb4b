/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unix sockets: pairs of whole messages, descriptors as SCM_RIGHTS, paths longer than sun_path. */

#include <stddef.h>
#include <sys/types.h>

#include "runtime/base/err.h"

int sock_pair(int ret[2], struct err *e); /* SEQPACKET, CLOEXEC */

/* One message with at most one descriptor (fd < 0: none).  Retries on EINTR, never raises SIGPIPE. */
int sock_send(int sock, const void *data, size_t len, int fd, struct err *e);
int sock_send_fds(int sock, const void *data, size_t len, const int *fds, size_t n, struct err *e);

/* One message of at most `size` bytes.  Returns its length, 0 when the peer is gone.  A message that carries more
 * than one descriptor, or is longer than `size`, is an error (EBADMSG) and leaves no descriptor behind.
 * *ret_fd (may be NULL: then any descriptor is EBADMSG) is -1 when none came. */
ssize_t sock_recv(int sock, void *buf, size_t size, int *ret_fd, struct err *e);

/* Connect to, or bind and listen at, a path of any length: through a descriptor of the parent directory. */
int sock_connect(const char *path, int type, struct err *e);
int sock_listen(int dirfd, const char *name, int type, mode_t mode, struct err *e);
