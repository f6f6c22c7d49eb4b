// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/tty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/sock.h"
#include "runtime/linux/mount_api.h"

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
/* The kernel's inode of ptmx in every devpts. */
#define PTMX_INODE 2

/* The multiplexer of the container's own devpts.  The directory is judged before anything in it is opened for
 * reading: a devpts holds nothing but ptmx and terminals (CVE-2025-52565). */
static int open_ptmx(struct err *e)
{
	cleanup_fd int dir = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	struct statfs fs;
	struct stat st;

	if (dir < 0)
		return err_sys(e, "open /dev/pts");
	if (fstatfs(dir, &fs) < 0)
		return err_sys(e, "/dev/pts");
	if (fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, ERR_CONFIG, ENODEV, "a terminal needs a devpts at /dev/pts");
	fd = openat(dir, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /dev/pts/ptmx");
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || st.st_ino != PTMX_INODE)
		return err_set(e, ERR_KERNEL, ENODEV, "/dev/pts/ptmx is not the pseudoterminal multiplexer");
	return fd_take(&fd);
}

/* Callers read lines that end as the program wrote them, without a CR before each LF. */
static int set_modes(int master, const struct oci_console_size *size, struct err *e)
{
	struct termios modes;

	if (tcgetattr(master, &modes) < 0)
		return err_sys(e, "terminal modes");
	modes.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(master, TCSANOW, &modes) < 0)
		return err_sys(e, "terminal modes");
	if (size && (size->height || size->width)) {
		struct winsize ws = { .ws_row = (unsigned short)size->height, .ws_col = (unsigned short)size->width };

		if (ioctl(master, TIOCSWINSZ, &ws) < 0)
			return err_sys(e, "terminal size");
	}
	return 0;
}

static int open_pair(int *ret_master, struct err *e)
{
	cleanup_fd int master = open_ptmx(e);
	int unlock = 0, peer;

	if (master < 0)
		return master;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "unlock the terminal");
	/* By the master, not by name: /dev/pts/N may be something else by now. */
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return err_sys(e, "open the terminal");
	*ret_master = fd_take(&master);
	return peer;
}

static int bind_console(int peer, struct err *e)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_sys(e, "open /");
	return mount_bind_fd(root, peer, "/dev/console", 0, e);
}

static int use_as_stdio(int peer, struct err *e)
{
	setsid(); /* EPERM: we lead a session already */
	if (ioctl(peer, TIOCSCTTY, 0) < 0)
		return err_sys(e, "controlling terminal");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(peer, fd) < 0)
			return err_sys(e, "standard streams");
	return 0;
}

int tty_setup(const struct oci_console_size *size, bool console, uint32_t uid, uint32_t gid, struct err *e)
{
	cleanup_fd int master = -1;
	cleanup_fd int peer = open_pair(&master, e);
	int r;

	if (peer < 0)
		return peer;
	r = set_modes(master, size, e);
	if (r >= 0 && fchown(peer, uid, gid) < 0)
		r = err_sys(e, "owner of the terminal");
	if (r >= 0 && console)
		r = bind_console(peer, e);
	if (r >= 0)
		r = use_as_stdio(peer, e);
	return r < 0 ? r : fd_take(&master);
}

int tty_send_to(int sock, int master, struct err *e)
{
	char name[32] = "/dev/ptmx";
	unsigned n;

	if (ioctl(master, TIOCGPTN, &n) == 0)
		snprintf(name, sizeof name, "/dev/pts/%u", n);
	return sock_send(sock, name, strlen(name), master, e);
}

int tty_send(const char *socket_path, int master, struct err *e)
{
	cleanup_fd int sock = sock_connect(socket_path, SOCK_STREAM, e);
	int r;

	if (sock < 0)
		return err_wrap(e, "console socket");
	r = tty_send_to(sock, master, e);
	return r < 0 ? err_wrap(e, "console socket") : 0;
}

int tty_raw(int fd, struct termios *ret_saved, struct err *e)
{
	struct termios raw;

	if (tcgetattr(fd, &raw) < 0)
		return errno == ENOTTY || errno == EBADF ? 0 : err_sys(e, "terminal modes");
	*ret_saved = raw;
	cfmakeraw(&raw);
	/* The container's side leaves LF alone: our own terminal still has to make CR LF of it. */
	raw.c_oflag |= OPOST;
	if (tcsetattr(fd, TCSANOW, &raw) < 0)
		return err_sys(e, "terminal modes");
	return 1;
}

void tty_restore(int fd, const struct termios *saved)
{
	tcsetattr(fd, TCSANOW, saved);
}

void tty_copy_size(int from, int to)
{
	struct winsize ws;

	/* A terminal that nobody gave a size must not take away that of the document. */
	if (ioctl(from, TIOCGWINSZ, &ws) == 0 && (ws.ws_row || ws.ws_col))
		ioctl(to, TIOCSWINSZ, &ws);
}
