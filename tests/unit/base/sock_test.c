// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/sock.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "tests/lib/test.h"

static struct err e;

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

TEST(messages)
{
	int pair[2] = { -1, -1 }, fd = 99;
	char buf[16];

	CHECK_INT(sock_pair(pair, &e), 0);
	cleanup_fd int a = pair[0], b = pair[1];
	CHECK(fcntl(a, F_GETFD) & FD_CLOEXEC && fcntl(b, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(sock_send(a, "one", 3, -1, &e), 0);
	CHECK_INT(sock_send(a, "three", 5, -1, &e), 0);
	CHECK_INT(sock_recv(b, buf, sizeof buf, &fd, &e), 3);
	CHECK_INT(fd, -1);
	CHECK_INT(sock_recv(b, buf, sizeof buf, NULL, &e), 5);
	CHECK(memcmp(buf, "three", 5) == 0);
	fd_close(&a);
	CHECK_INT(sock_recv(b, buf, sizeof buf, &fd, &e), 0);
	CHECK_INT(sock_send(b, "x", 1, -1, &e), -EPIPE); /* and no SIGPIPE */
}

TEST(descriptors)
{
	int pair[2] = { -1, -1 }, fd = -1, before;
	char buf[16];
	struct stat x, y;

	CHECK_INT(sock_pair(pair, &e), 0);
	cleanup_fd int a = pair[0], b = pair[1];
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK_INT(sock_send(a, "f", 1, null, &e), 0);
	CHECK_INT(sock_recv(b, buf, sizeof buf, &fd, &e), 1);
	CHECK(fstat(fd, &x) == 0 && fstat(null, &y) == 0 && x.st_rdev == y.st_rdev);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	fd_close(&fd);

	before = count_fds();
	int many[] = { null, null, null };
	CHECK_INT(sock_send_fds(a, "m", 1, many, 3, &e), 0);
	CHECK_INT(sock_recv(b, buf, sizeof buf, &fd, &e), -EBADMSG);
	CHECK_INT(sock_send(a, "f", 1, null, &e), 0);
	CHECK_INT(sock_recv(b, buf, sizeof buf, NULL, &e), -EBADMSG); /* none was expected */
	CHECK_INT(sock_send(a, "0123456789abcdef0", 17, null, &e), 0);
	CHECK_INT(sock_recv(b, buf, sizeof buf, &fd, &e), -EBADMSG); /* too long */
	CHECK_INT(count_fds(), before);
	CHECK(sock_send_fds(a, "m", 1, many, 1000, &e) < 0);
}

/* More descriptors than the receiver's buffer holds: the kernel cuts, none may stay. */
TEST(too_many_descriptors)
{
	int pair[2] = { -1, -1 }, fds[40], fd = -1, before;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof fds)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (char[]){ "x" }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	char buf[4];

	CHECK_INT(sock_pair(pair, &e), 0);
	cleanup_fd int a = pair[0], b = pair[1];
	for (size_t i = 0; i < 40; i++)
		fds[i] = a;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	before = count_fds();
	CHECK_INT(sendmsg(a, &msg, 0), 1);
	CHECK_INT(sock_recv(b, buf, sizeof buf, &fd, &e), -EBADMSG);
	CHECK_INT(count_fds(), before);
}

TEST(paths_of_any_length)
{
	char base[] = "/tmp/vzrun-sock-XXXXXX", path[600];
	cleanup_fd int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	CHECK(mkdtemp(base) != NULL);
	snprintf(path, sizeof path, "%s", base);
	for (int i = 0; i < 4; i++) {
		memset(path + strlen(path) + 1, 'd', 100);
		path[strlen(base) + (size_t)(i + 1) * 101] = '\0';
		path[strlen(base) + (size_t)i * 101] = '/';
		CHECK_INT(mkdir(path, 0700), 0);
	}
	cleanup_fd int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int server = sock_listen(dir, "s", SOCK_STREAM, 0622, &e);
	CHECK(server >= 0);
	CHECK(fstatat(dir, "s", &st, 0) == 0 && st.st_mode == (S_IFSOCK | 0622));
	CHECK(sock_listen(dir, "s", SOCK_STREAM, 0600, &e) == -EADDRINUSE);
	strcat(path, "/s");
	cleanup_fd int client = sock_connect(path, SOCK_STREAM, &e);
	CHECK(client >= 0);
	cleanup_fd int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	CHECK(peer >= 0);
	path[strlen(path) - 1] = 't';
	CHECK_INT(sock_connect(path, SOCK_STREAM, &e), -ENOENT);
	CHECK(strstr(e.text, path));
	CHECK_INT(sock_connect("/tmp/vzrun-no-such-socket", SOCK_STREAM, &e), -ENOENT);
	CHECK_INT(fs_remove_tree(tmp, base + 5, &e), 0);
}
