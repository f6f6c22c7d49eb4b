/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Terminals. */

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

/* In init, after the pivot (the container's own devpts): open a pty from /dev/pts/ptmx, checked (devpts magic, char 5:2), ONLCR cleared, window size set, slave by TIOCGPTPEER, made the controlling terminal and fds 0-2,
 * owned by uid:gid, and bound on /dev/console when `console`.  Returns the master. */
int tty_setup(const struct oci_console_size *size, bool console, uint32_t uid, uint32_t gid, struct err *e);

/* Hand the master to a --console-socket: one message with the pts name and one descriptor. */
int tty_send(const char *socket_path, int master, struct err *e);
int tty_send_to(int sock, int master, struct err *e); /* the same on a connection that exists */

/* Foreground: raw mode on our terminal, copying both ways, window size on SIGWINCH; the loop itself is
 * flow/foreground's.  tty_raw() returns 1, or 0 when fd is no terminal (nothing is changed then). */
int tty_raw(int fd, struct termios *ret_saved, struct err *e);
void tty_restore(int fd, const struct termios *saved);
void tty_copy_size(int from, int to);
