// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/fs.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "tests/lib/child.h"

static struct err e;

/* What a broken file system says behind the first entry of any directory: nothing more, and this errno.  Below zero: none is broken. */
static int broken = -1;

struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (broken >= 0 && telldir(dir) != 0) {
		errno = broken;
		return NULL;
	}
	return real(dir);
}

/* A directory of the test's own; removed by the function under test. */
struct scratch {
	char path[32];
	int fd;
};

static struct scratch open_scratch(void)
{
	struct scratch s = { "/tmp/vzrun-fs-XXXXXX", -1 };

	if (mkdtemp(s.path))
		s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(s.fd >= 0);
	return s;
}

static void close_scratch(struct scratch *s)
{
	cleanup_fd int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fd_close(&s->fd);
	CHECK_INT(fs_remove_tree(tmp, s->path + 5, &e), 0);
	CHECK(access(s->path, F_OK) < 0);
}

#define SCRATCH(name) __attribute__((cleanup(close_scratch))) struct scratch name = open_scratch()

TEST(read_and_write)
{
	SCRATCH(s);
	cleanup_str struct str text = { 0 };

	CHECK_INT(fs_replace(s.fd, "f", "hello", 5, 0640, &e), 0);
	CHECK_INT(fs_read(s.fd, "f", 5, &text, &e), 0);
	CHECK_STR(str_cstr(&text), "hello");
	str_clear(&text);
	CHECK_INT(fs_read(s.fd, "f", 4, &text, &e), -EFBIG);
	CHECK_INT(fs_read(s.fd, "missing", 4, &text, &e), -ENOENT);
	CHECK_STR(e.text, "open missing");
	CHECK_INT(fs_write(s.fd, "missing", "x", &e), -ENOENT);
	CHECK_INT(fs_write(s.fd, "f", "J", &e), 0);
	str_clear(&text);
	CHECK_INT(fs_read(s.fd, "f", 100, &text, &e), 0);
	CHECK_STR(str_cstr(&text), "Jello");
	str_clear(&text);
	CHECK_INT(fs_read(AT_FDCWD, "/proc/self/status", 1 << 20, &text, &e), 0);
	CHECK(str_starts(str_cstr(&text), "Name:"));
}

TEST(empty_file_is_an_empty_text)
{
	SCRATCH(s);
	cleanup_str struct str text = { 0 };

	CHECK_INT(fs_replace(s.fd, "f", "", 0, 0600, &e), 0);
	CHECK_INT(fs_read(s.fd, "f", 100, &text, &e), 0);
	CHECK(text.s && *text.s == '\0');
}

TEST(replace)
{
	SCRATCH(s);
	struct stat st;
	char longname[256];

	umask(022);
	CHECK_INT(fs_replace(s.fd, "f", "one", 3, 0600, &e), 0);
	cleanup_fd int old = openat(s.fd, "f", O_RDONLY | O_CLOEXEC);
	CHECK_INT(fs_replace(s.fd, "f", "two!", 4, 0600, &e), 0);
	CHECK(fstat(old, &st) == 0 && st.st_size == 3 && st.st_nlink == 0); /* a reader keeps what it opened */
	CHECK(fstatat(s.fd, "f", &st, 0) == 0 && st.st_size == 4 && st.st_mode == (S_IFREG | 0600));
	CHECK(faccessat(s.fd, ".f.tmp", F_OK, 0) < 0);
	CHECK_INT(symlinkat("/tmp/elsewhere", s.fd, ".g.tmp"), 0); /* neither followed nor in the way */
	CHECK_INT(fs_replace(s.fd, "g", "x", 1, 0600, &e), 0);
	CHECK(fstatat(s.fd, "g", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mode == (S_IFREG | 0600));
	CHECK(access("/tmp/elsewhere", F_OK) < 0);
	CHECK_INT(mkfifoat(s.fd, ".g.tmp", 0666), 0); /* nor waited for */
	CHECK_INT(fs_replace(s.fd, "g", "y", 1, 0600, &e), 0);
	CHECK_INT(mkdirat(s.fd, ".g.tmp", 0777), 0);
	CHECK(fs_replace(s.fd, "g", "x", 1, 0600, &e) < 0);
	memset(longname, 'n', 255);
	longname[255] = '\0';
	CHECK_INT(fs_replace(s.fd, longname, "x", 1, 0600, &e), -ENAMETOOLONG);
}

TEST(mkdir_all)
{
	SCRATCH(s);
	char path[5000];
	struct stat st;

	umask(022);
	snprintf(path, sizeof path, "%s/a/b//c/", s.path);
	CHECK_INT(fs_mkdir_all(path, 0711, &e), 0);
	CHECK_INT(fs_mkdir_all(path, 0711, &e), 0);
	CHECK(stat(path, &st) == 0 && st.st_mode == (S_IFDIR | 0711));
	CHECK_INT(fs_replace(s.fd, "f", "x", 1, 0600, &e), 0);
	snprintf(path, sizeof path, "%s/f/x", s.path);
	CHECK_INT(fs_mkdir_all(path, 0711, &e), -ENOTDIR);
	CHECK_INT(fs_mkdir_all("", 0711, &e), -ENOENT);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	CHECK_INT(fs_mkdir_all(path, 0711, &e), -ENAMETOOLONG);
}

TEST(found)
{
	SCRATCH(s);
	char path[64];
	size_t len = strlen(s.path);

	snprintf(path, sizeof path, "%s/a/b", s.path);
	CHECK_INT(fs_found(path), len);
	path[len + 2] = '\0';
	mkdirat(s.fd, "a", 0700);
	CHECK_INT(fs_found(path), len + 2);
	CHECK_INT(fs_found("/nothing-here/a"), 0);
	CHECK_INT(fs_found("nothing-here/a"), 0);
	CHECK_INT(fs_found("/"), 1);
	CHECK_INT(fs_found(""), 0);
}

TEST(remove_tree)
{
	SCRATCH(s);
	char path[64];

	snprintf(path, sizeof path, "%s/t/a/b", s.path);
	CHECK_INT(fs_mkdir_all(path, 0755, &e), 0);
	mkdirat(s.fd, "kept", 0755);
	CHECK_INT(fs_replace(s.fd, "kept/file", "x", 1, 0600, &e), -ENOENT); /* a name, not a path */
	close(openat(s.fd, "kept/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CHECK_INT(symlinkat("../../kept", s.fd, "t/a/link"), 0);
	CHECK_INT(symlinkat("kept", s.fd, "direct"), 0);
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof path, "t/f%d", i);
		close(openat(s.fd, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	CHECK_INT(fs_remove_tree(s.fd, "t", &e), 0);
	CHECK_INT(fs_remove_tree(s.fd, "t", &e), 0); /* missing is fine */
	CHECK_INT(fs_remove_tree(s.fd, "direct", &e), 0);
	CHECK(faccessat(s.fd, "kept/file", F_OK, 0) == 0);
}

TEST(remove_tree_that_cannot_be_read)
{
	SCRATCH(s);
	char path[64];

	snprintf(path, sizeof path, "%s/t/a/b", s.path);
	CHECK_INT(fs_mkdir_all(path, 0755, &e), 0);
	broken = EIO;
	CHECK_INT(fs_remove_tree(s.fd, "t", &e), -EIO);
	broken = 0;
	alarm(10);
	CHECK_INT(fs_remove_tree(s.fd, "t", &e), -ENOTEMPTY);
	alarm(0);
	broken = -1;
}

static void remove_with_mount(void)
{
	struct scratch s = open_scratch();
	char path[64];

	snprintf(path, sizeof path, "%s/t/m", s.path);
	CHECK_INT(fs_mkdir_all(path, 0755, &e), 0);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("t", path, "tmpfs", 0, NULL) < 0)
		_exit(100);
	close(openat(s.fd, "t/m/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CHECK(fs_remove_tree(s.fd, "t", &e) < 0);
	CHECK(faccessat(s.fd, "t/m/file", F_OK, 0) == 0);
	CHECK_INT(umount(path), 0);
	close_scratch(&s);
}

TEST(remove_tree_stops_at_mounts)
{
	if (!can_mount())
		SKIP("needs the right to mount");
	in_child(remove_with_mount);
}

/* A container may nest as deep as it likes: neither descriptors nor the stack nor PATH_MAX are the limit. */
TEST(remove_deep_tree)
{
	SCRATCH(s);
	struct rlimit was, few = { 32, 32 };
	int fd = dup(s.fd);

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &was), 0);
	few.rlim_max = was.rlim_max;
	for (int i = 0; i < 3000; i++) {
		int below;

		mkdirat(fd, "deep", 0755);
		below = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		mkdirat(fd, "empty", 0755);
		close(fd);
		fd = below;
	}
	CHECK(fd >= 0);
	close(fd);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
	CHECK_INT(fs_remove_tree(s.fd, "deep", &e), 0);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &was), 0);
	CHECK(faccessat(s.fd, "deep", F_OK, 0) < 0);
	CHECK(faccessat(s.fd, "file", F_OK, 0) == 0);
}

/* What moves out of the tree while it is removed must not lead anywhere else. */
TEST(remove_tree_that_is_moved)
{
	SCRATCH(s);
	pid_t pid;

	mkdirat(s.fd, "t", 0755);
	mkdirat(s.fd, "t/a", 0755);
	mkdirat(s.fd, "t/a/b", 0755);
	mkdirat(s.fd, "safe", 0755);
	close(openat(s.fd, "safe/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	pid = fork();
	if (pid == 0)
		for (;;) { /* in and out, until killed */
			renameat(s.fd, "t/a", s.fd, "safe/a");
			renameat(s.fd, "safe/a", s.fd, "t/a");
			mkdirat(s.fd, "t", 0755);
			mkdirat(s.fd, "t/a", 0755);
			mkdirat(s.fd, "t/a/b", 0755);
		}
	for (int i = 0; i < 2000; i++)
		fs_remove_tree(s.fd, "t", &e);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(faccessat(s.fd, "safe/file", F_OK, 0) == 0);
}
