/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sd_notify(3) of the container's process 1, passed on to our own NOTIFY_SOCKET (oci-contract 2.5): a socket of ours in
 * the state directory, whose directory the container sees at /run/notify. */

#include "runtime/flow/flow.h"

#define NOTIFY_INSIDE "/run/notify"

/* Host, before the clone: make the socket and a detached tree of its directory (f->notify_dir).  Nothing without
 * NOTIFY_SOCKET. */
int notify_socket_prepare(struct flow *f, struct err *e);

/* init, with the mounts. */
int notify_socket_attach(struct flow *f, struct err *e);

/* Wait for READY=1 (or the end of process 1) and pass it on with MAINPID=`pid`.  `socket_fd` is bound in prepare. */
int notify_socket_forward(const struct flow *f, pid_t pid, struct err *e);
