/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sd_notify(3) of the container's process 1, passed on to our own NOTIFY_SOCKET (oci-contract 2.5): a socket of ours in
 * the state directory, whose directory the container sees at /run/notify. */

#include "oci/image.h"
#include "runtime/flow/flow.h"

#define NOTIFY_INSIDE "/run/notify"

/* Is it that what was mounted there?  It goes with the state directory of `id`, and no document names it. */
bool notify_socket_is(const struct oci_image_mount *m, const char *id);

/* Host, before the clone: make the directory and a detached tree of it (f->notify_dir); run also binds its socket.
 * Nothing without NOTIFY_SOCKET. */
int notify_socket_prepare(struct flow *f, struct err *e);

/* Host, before the payload is released: f->notify_fd.  Nothing when the container was created without one. */
int notify_socket_bind(struct flow *f, struct err *e);

/* init, with the mounts. */
int notify_socket_attach(struct flow *f, struct err *e);

/* Take one datagram from f->notify_fd.  When it says READY=1 that is passed on with MAINPID=`pid`, and the result is above
 * zero: there is nothing more to wait for.  `barrier`: return only when the manager has processed it, since it cannot tell
 * whose word it was once the sender is gone. */
int notify_socket_take(const struct flow *f, pid_t pid, bool barrier, struct err *e);

/* For a caller that ends afterwards: wait for it, or for the end of process 1, held by `pidfd`. */
int notify_socket_forward(const struct flow *f, int pidfd, pid_t pid, struct err *e);
