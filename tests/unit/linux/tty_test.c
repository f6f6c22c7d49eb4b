// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/base/fd.h"
#include "runtime/base/sock.h"
#include "runtime/linux/ns.h"
#include "tests/lib/child.h"

static struct err e;
static int report = -1; /* the real standard output, while 1 is the terminal */

/* A mount namespace with a devpts of its own at /dev/pts and a tmpfs for /dev. */
static void own_dev(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("dev", "/dev", "tmpfs", 0, NULL) < 0 || mkdir("/dev/pts", 0755) < 0 ||
	    mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620") < 0) {
		FAIL("own_dev: %s", strerror(errno));
		fflush(stdout);
		_exit(100);
	}
	fflush(stdout);
	report = fcntl(1, F_DUPFD_CLOEXEC, 10);
}

static void back_to_stdout(void)
{
	fflush(stdout);
	dup2(report, 1);
}

static void console(void)
{
	struct oci_console_size size = { .height = 33, .width = 77 };
	struct stat st, other;
	struct winsize ws;
	char buf[64] = "";
	int ok, r;

	signal(SIGHUP, SIG_IGN); /* closing the master hangs our session up */

	own_dev();
	int master = tty_setup(&size, true, 12, 34, &e);
	ok = master >= 0 && isatty(0) && isatty(1) && isatty(2);
	r = (int)write(1, "a\nb\n", 4);
	back_to_stdout();
	if (!ok) {
		FAIL("tty_setup: %s (%d)", master < 0 ? e.text : "no terminal", e.num);
		return;
	}
	CHECK_INT(r, 4);
	CHECK_INT(read(master, buf, sizeof buf), 4); /* no CR before the LF */
	CHECK_STR(buf, "a\nb\n");
	CHECK(ioctl(0, TIOCGWINSZ, &ws) == 0 && ws.ws_row == 33 && ws.ws_col == 77);
	CHECK(fstat(0, &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
	CHECK(stat("/dev/console", &other) == 0 && other.st_rdev == st.st_rdev && other.st_ino == st.st_ino);
	CHECK(fcntl(master, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(tcgetsid(0), getpid()); /* the controlling terminal of our session */
	close(master);
}

TEST(console)
{
	NEED_MOUNTS();
	in_child(console);
}

static void false_devpts(void)
{
	own_dev();
	if (mount("fake", "/dev/pts", "tmpfs", 0, NULL) < 0 || mknod("/dev/pts/ptmx", S_IFCHR | 0666, makedev(5, 2)) < 0)
		_exit(100);
	int r = tty_setup(NULL, true, 0, 0, &e);
	back_to_stdout();
	CHECK(r < 0);
	CHECK_STR(e.text, "a terminal needs a devpts at /dev/pts");
}

static void covered_ptmx(void)
{
	own_dev();
	close(open("/dev/other", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	if (mount("/dev/other", "/dev/pts/ptmx", NULL, MS_BIND, NULL) < 0)
		_exit(100);
	int r = tty_setup(NULL, true, 0, 0, &e);
	back_to_stdout();
	CHECK(r < 0);
	CHECK_STR(e.text, "/dev/pts/ptmx is not the pseudoterminal multiplexer");
}

TEST(false_devices)
{
	NEED_MOUNTS();
	in_child(false_devpts);
	in_child(covered_ptmx);
}

/* A bare chroot, where packages are built, may have no devpts. */
#define NEED_TERMINALS()                                                                    \
	do {                                                                                \
		cleanup_fd int ptmx = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);     \
		if (ptmx < 0)                                                               \
			SKIP("no pseudoterminals here");                                    \
	} while (0)

TEST(console_socket)
{
	NEED_TERMINALS();
	char base[] = "/tmp/vzrun-tty-XXXXXX", path[64], name[64];
	int master = -1, peer = -1, got = -1;

	CHECK(mkdtemp(base) && openpty(&master, &peer, NULL, NULL, NULL) == 0);
	cleanup_fd int dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int server = sock_listen(dir, "s", SOCK_STREAM, 0600, &e);
	snprintf(path, sizeof path, "%s/s", base);
	CHECK_INT(tty_send(path, master, &e), 0); /* nobody has accepted yet: it must not wait */
	cleanup_fd int conn = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	ssize_t n = sock_recv(conn, name, sizeof name - 1, &got, &e);
	CHECK(n > 0 && got >= 0);
	name[n > 0 ? n : 0] = '\0';
	CHECK_STR(name, ttyname(peer));
	CHECK_INT(sock_recv(conn, name, sizeof name, NULL, &e), 0);
	CHECK_INT(write(peer, "x", 1), 1);
	CHECK_INT(read(got, name, sizeof name), 1);
	unlink(path);
	CHECK_INT(tty_send(path, master, &e), -ENOENT);
	CHECK(strncmp(e.text, "console socket: connect ", 24) == 0);
	close(got);
	close(master);
	close(peer);
	rmdir(base);
}

TEST(raw_and_back)
{
	NEED_TERMINALS();
	struct termios before, saved, now;
	struct winsize ws = { .ws_row = 5, .ws_col = 6 }, copied;
	int master = -1, peer = -1, master2 = -1, peer2 = -1, pipes[2];

	CHECK(openpty(&master, &peer, NULL, NULL, NULL) == 0 && openpty(&master2, &peer2, NULL, NULL, NULL) == 0);
	tcgetattr(peer, &before);
	CHECK_INT(tty_raw(peer, &saved, &e), 1);
	tcgetattr(peer, &now);
	CHECK(!(now.c_lflag & (ICANON | ECHO | ISIG)) && now.c_oflag & OPOST);
	tty_restore(peer, &saved);
	tcgetattr(peer, &now);
	CHECK(now.c_lflag == before.c_lflag && now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag);
	CHECK_INT(ioctl(peer, TIOCSWINSZ, &ws), 0);
	tty_copy_size(peer, master2);
	CHECK(ioctl(peer2, TIOCGWINSZ, &copied) == 0 && copied.ws_row == 5 && copied.ws_col == 6);
	CHECK_INT(pipe(pipes), 0);
	CHECK_INT(tty_raw(pipes[0], &saved, &e), 0);
	tty_copy_size(pipes[0], master2);
	CHECK(ioctl(peer2, TIOCGWINSZ, &copied) == 0 && copied.ws_row == 5);
	close(pipes[0]);
	close(pipes[1]);
	close(master);
	close(peer);
	close(master2);
	close(peer2);
}
