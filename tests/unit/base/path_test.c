// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every case is asked twice: of openat2(2), and of the walk by hand, in a child whose filter answers ENOSYS to
 * openat2. */
#include "runtime/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "tests/lib/child.h"

static struct err e;
static char base[] = "/tmp/vzrun-path-XXXXXX";
static int top = -1, root = -1;
static const char *how;

static void forbid_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(100);
}

static void put(int at, const char *name)
{
	cleanup_fd int fd = openat(at, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
}

/* top/secret and top/outside/ are what must never be reached; top/root is the root. */
static void make_tree(void)
{
	char deep[PATH_MAX];

	strcpy(base + sizeof base - 7, "XXXXXX");
	if (!mkdtemp(base))
		_exit(100);
	top = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(top, "secret");
	mkdirat(top, "outside", 0755);
	put(top, "outside/secret");
	mkdirat(top, "root", 0755);
	root = openat(top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(root, "dir", 0755);
	mkdirat(root, "dir/sub", 0755);
	put(root, "file");
	put(root, "dir/file");
	snprintf(deep, sizeof deep, "%s/secret", base);

	const char *const links[][2] = {
		{ "dir", "to-dir" },
		{ "/dir/sub", "to-sub" },
		{ "../../secret", "escape" },
		{ deep, "escape-abs" },
		{ "../../../../../..", "up" },
		{ "/", "to-root" },
		{ "loop-b", "loop-a" },
		{ "loop-a", "loop-b" },
		{ "nowhere/at/all", "dangling" },
		{ "/new/place", "dangling-abs" },
		{ "file", "to-file" },
		{ "dir/", "to-dir-slash" },
		{ "/../outside", "climb" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		CHECK_INT(symlinkat(links[i][0], root, links[i][1]), 0);
}

static void remove_tree(void)
{
	cleanup_fd int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fd_close(&root);
	fd_close(&top);
	CHECK_INT(fs_remove_tree(tmp, base + strlen("/tmp/"), &e), 0);
}

/* Where a descriptor stands, below the root. */
static const char *where(int fd, char *buf, size_t size)
{
	char path[PATH_MAX], prefix[PATH_MAX];
	ssize_t n = readlink(fd_path(fd).s, path, sizeof path - 1);
	ssize_t m = readlink(fd_path(root).s, prefix, sizeof prefix - 1);

	if (n < 0 || m < 0 || n < m || strncmp(path, prefix, (size_t)m) != 0) {
		snprintf(buf, size, "OUTSIDE");
		return buf;
	}
	path[n] = '\0';
	snprintf(buf, size, "%.*s", (int)size - 1, path[m] ? path + m : "/");
	return buf;
}

static void expect(const char *what, const char *path, int fd, const char *place, int error)
{
	char buf[256];

	if (error) {
		if (fd != -error)
			FAIL("%s %s (%s): got %d, expected %d", what, path, how, fd, -error);
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd < 0) {
		FAIL("%s %s (%s): %s", what, path, how, strerror(-fd));
		return;
	}
	where(fd, buf, sizeof buf);
	if (strcmp(buf, place) != 0)
		FAIL("%s %s (%s): got to %s, expected %s", what, path, how, buf, place);
	close(fd);
}

static const struct opening {
	const char *path;
	int flags;
	const char *place;
	int error;
} openings[] = {
	{ "", O_PATH, "/", 0 },
	{ "/", O_PATH, "/", 0 },
	{ ".", O_RDONLY, "/", 0 },
	{ "..", O_PATH, "/", 0 },
	{ "/../../..", O_PATH, "/", 0 },
	{ "dir/../..", O_PATH | O_DIRECTORY, "/", 0 },
	{ "file", O_RDONLY, "/file", 0 },
	{ "/file", O_PATH, "/file", 0 },
	{ "/dir//./sub/../file", O_RDONLY, "/dir/file", 0 },
	{ "file", O_PATH | O_DIRECTORY, NULL, ENOTDIR },
	{ "file/", O_PATH, NULL, ENOTDIR },
	{ "file/.", O_PATH, NULL, ENOTDIR },
	{ "file/x", O_PATH, NULL, ENOTDIR },
	{ "dir/", O_PATH, "/dir", 0 },
	{ "missing", O_PATH, NULL, ENOENT },
	{ "missing/..", O_PATH, NULL, ENOENT },
	{ "to-dir/file", O_RDONLY, "/dir/file", 0 },
	{ "to-sub", O_PATH, "/dir/sub", 0 },
	{ "to-sub/..", O_PATH, "/dir", 0 },
	{ "to-sub/../../file", O_PATH, "/file", 0 },
	{ "to-dir", O_PATH | O_NOFOLLOW, "/to-dir", 0 },
	{ "to-dir", O_RDONLY | O_NOFOLLOW, NULL, ELOOP },
	{ "to-dir", O_PATH | O_NOFOLLOW | O_DIRECTORY, NULL, ENOTDIR },
	{ "to-dir/", O_PATH | O_NOFOLLOW, "/dir", 0 },
	{ "to-dir-slash", O_PATH, "/dir", 0 },
	{ "to-file", O_PATH, "/file", 0 },
	{ "to-file/", O_PATH, NULL, ENOTDIR },
	{ "to-root/to-root/dir", O_PATH, "/dir", 0 },
	{ "escape", O_PATH, NULL, ENOENT },
	{ "escape-abs", O_PATH, NULL, ENOENT },
	{ "up", O_PATH, "/", 0 },
	{ "up/dir", O_PATH, "/dir", 0 },
	{ "climb", O_PATH, NULL, ENOENT },
	{ "dir/../../outside/secret", O_PATH, NULL, ENOENT },
	{ "loop-a", O_PATH, NULL, ELOOP },
	{ "loop-a/x", O_PATH, NULL, ELOOP },
	{ "dangling", O_PATH, NULL, ENOENT },
	{ "dangling", O_PATH | O_NOFOLLOW, "/dangling", 0 },
};

static void check_openings(void)
{
	char component[NAME_MAX + 2], whole[PATH_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(openings); i++)
		expect("open", openings[i].path, path_try_open(root, openings[i].path, openings[i].flags),
		       openings[i].place, openings[i].error);
	memset(component, 'x', sizeof component - 1);
	component[sizeof component - 1] = '\0';
	expect("open", "a long name", path_try_open(root, component, O_PATH), NULL, ENAMETOOLONG);
	memset(whole, '/', sizeof whole - 1);
	whole[sizeof whole - 1] = '\0';
	expect("open", "a long path", path_try_open(root, whole, O_PATH), NULL, ENAMETOOLONG);
}

static const struct opening strict[] = {
	{ "", O_PATH, "/", 0 },
	{ "file", O_RDONLY, "/file", 0 },
	{ "dir/./sub/", O_PATH, "/dir/sub", 0 },
	{ "/file", O_PATH, NULL, EXDEV },
	{ "..", O_PATH, NULL, EXDEV },
	{ "to-dir", O_PATH, NULL, ELOOP },
	{ "to-dir/file", O_PATH, NULL, ELOOP },
	{ "to-dir", O_PATH | O_DIRECTORY, NULL, ELOOP },
	{ "escape", O_RDONLY, NULL, ELOOP },
	{ "missing", O_PATH, NULL, ENOENT },
	{ "file", O_PATH | O_DIRECTORY, NULL, ENOTDIR },
};

static void check_strict(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(strict); i++) {
		expect("strict", strict[i].path, path_open_strict(root, strict[i].path, strict[i].flags, &e),
		       strict[i].place, strict[i].error);
		expect("linkless", strict[i].path, path_open_linkless(root, strict[i].path, strict[i].flags, &e),
		       strict[i].place, strict[i].error);
	}
}

/* Procfs: other links than those of its root jump, and a mount is left at its edge. */
static void check_proc(void)
{
	cleanup_fd int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = path_try_open(slash, "/proc/self/stat", O_RDONLY);

	CHECK(fd >= 0);
	expect("magic", "/proc/self/cwd", path_try_open(slash, "/proc/self/cwd", O_PATH), NULL, ELOOP);
	expect("magic", "/proc/self/exe", path_try_open(slash, "/proc/self/exe", O_PATH), NULL, ELOOP);
	expect("edge", "proc/version", path_open_strict(slash, "proc/version", O_PATH, &e), NULL, EXDEV);
	cleanup_fd int over = path_open_linkless(slash, "proc/version", O_RDONLY, &e);
	CHECK(over >= 0);
	expect("over the edge", "proc/self/stat", path_open_linkless(slash, "proc/self/stat", O_PATH, &e), NULL, ELOOP);
}

static const struct making {
	const char *path;
	bool file;
	const char *place;
	int error;
} makings[] = {
	{ "a/b/c", false, "/a/b/c", 0 },
	{ "/a/b/c", false, "/a/b/c", 0 },
	{ "a/b/new/", false, "/a/b/new", 0 },
	{ "/single", false, "/single", 0 },
	{ "to-dir/made", false, "/dir/made", 0 },
	{ "to-sub/../made2/x", false, "/dir/made2/x", 0 },
	{ "dangling/deeper", false, "/nowhere/at/all/deeper", 0 },
	{ "dangling-abs", false, "/new/place", 0 },
	{ "escape", false, "/secret", 0 },
	{ "../../../../climbed", false, "/climbed", 0 },
	{ "climb/x", false, "/outside/x", 0 },
	{ "file", false, NULL, ENOTDIR },
	{ "file/x", false, NULL, ENOTDIR },
	{ "to-file", false, NULL, ENOTDIR },
	{ "loop-a", false, NULL, ELOOP },
	{ "loop-a/x", false, NULL, ELOOP },
	{ "p/q/file", true, "/p/q/file", 0 },
	{ "p/q/file", true, "/p/q/file", 0 },
	{ "topfile", true, "/topfile", 0 },
	{ "dir", true, "/dir", 0 },
	{ "p/q/new/", true, NULL, EISDIR },
	{ "file/x", true, NULL, ENOTDIR },
};

static void check_makings(void)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(makings); i++) {
		const char *path = makings[i].path;

		expect("make", path, makings[i].file ? path_create_file(root, path, 0755, 0640, &e)
						     : path_mkdir_all(root, path, 0750, &e),
		       makings[i].place, makings[i].error);
	}
	CHECK(fstatat(root, "a/b", &st, 0) == 0 && st.st_mode == (S_IFDIR | 0750));
	CHECK(fstatat(root, "p/q/file", &st, 0) == 0 && st.st_mode == (S_IFREG | 0640) && st.st_size == 0);
	/* Nothing of it happened outside. */
	CHECK(faccessat(top, "outside/x", F_OK, 0) < 0 && faccessat(top, "climbed", F_OK, 0) < 0);
	CHECK(fstatat(top, "secret", &st, 0) == 0 && S_ISREG(st.st_mode));
}

static void check_file_through_link(void)
{
	CHECK_INT(symlinkat("/made-by-link", root, "dangling-file"), 0);
	expect("make", "dangling-file", path_create_file(root, "dangling-file", 0755, 0600, &e), "/made-by-link", 0);
}

static void check_parents(void)
{
	char name[NAME_MAX + 1];

	expect("parent", "/pipe", path_open_parent(root, "/pipe", 0, name, sizeof name, &e), "/", 0);
	CHECK_STR(name, "pipe");
	expect("parent", "x", path_open_parent(root, "x", 0755, name, sizeof name, &e), "/", 0);
	expect("parent", "made/by/parent//", path_open_parent(root, "made/by/parent//", 0755, name, sizeof name, &e), "/made/by", 0);
	CHECK_STR(name, "parent");
	expect("parent", "to-sub/n", path_open_parent(root, "to-sub/n", 0, name, sizeof name, &e), "/dir/sub", 0);
	CHECK(path_open_parent(root, "not/there", 0, name, sizeof name, &e) == -ENOENT);
	CHECK(path_open_parent(root, "/", 0, name, sizeof name, &e) < 0);
	CHECK(path_open_parent(root, "dir/..", 0, name, sizeof name, &e) < 0);
	CHECK(path_open_parent(root, "dir/.", 0, name, sizeof name, &e) < 0);
	CHECK(path_open_parent(root, "", 0, name, sizeof name, &e) < 0);
	CHECK(path_open_parent(root, "file/toolong", 0, name, 3, &e) < 0);
}

static void check_all(void)
{
	umask(0);
	make_tree();
	check_openings();
	check_strict();
	check_proc();
	check_makings();
	check_file_through_link();
	check_parents();
	remove_tree();
}

static void by_kernel(void)
{
	how = "openat2";
	check_all();
}

static void by_hand(void)
{
	how = "by hand";
	forbid_openat2();
	check_all();
}

TEST(by_kernel)
{
	in_child(by_kernel);
}

TEST(by_hand)
{
	in_child(by_hand);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Somebody swaps a directory for a link to the outside, and moves one out and in again, while we resolve. */
static void attacker(void)
{
	for (;;) {
		renameat2(root, "dir", root, "evil", RENAME_EXCHANGE);
		renameat(root, "a/b", top, "moved");
		renameat(top, "moved", root, "a/b");
	}
}

static void race(void)
{
	int64_t end = now_ms() + 1000;
	unsigned long reached = 0;
	struct stat st;
	pid_t pid;

	make_tree();
	mkdirat(root, "a", 0755);
	mkdirat(root, "a/b", 0755);
	mkdirat(root, "a/b/c", 0755);
	put(root, "a/secret");
	CHECK_INT(symlinkat("../outside", root, "evil"), 0);
	pid = fork();
	if (pid == 0)
		attacker();
	while (now_ms() < end) {
		char buf[256];
		cleanup_fd int fd = path_try_open(root, "dir/secret", O_PATH);
		cleanup_fd int up = path_try_open(root, "a/b/c/../../secret", O_PATH);
		cleanup_fd int made = path_mkdir_all(root, "dir/new/x", 0755, &e);

		/* "dir" has none: a file of this name is the one outside. */
		if (fd >= 0 || (up >= 0 && strcmp(where(up, buf, sizeof buf), "/a/secret") != 0))
			FAIL("reached the outside (%s)", how);
		if (made >= 0 && strcmp(where(made, buf, sizeof buf), "OUTSIDE") == 0)
			FAIL("made %s outside (%s)", buf, how);
		reached += made >= 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(fstatat(top, "outside/new", &st, 0) < 0);
	CHECK(reached > 0);
	remove_tree();
}

static void race_kernel(void)
{
	how = "openat2";
	race();
}

static void race_by_hand(void)
{
	how = "by hand";
	forbid_openat2();
	race();
}

TEST(race)
{
	in_child(race_kernel);
}

TEST(race_by_hand)
{
	in_child(race_by_hand);
}

TEST(clean)
{
	static const char *const pairs[][2] = {
		{ "/", "/" },           { "//", "/" },        { "", "." },          { ".", "." },        { "./", "." },
		{ "/a", "/a" },         { "/a/", "/a" },      { "a//b", "a/b" },    { "/a/./b", "/a/b" }, { "/a/../b", "/b" },
		{ "/..", "/" },         { "/../../a", "/a" }, { "a/..", "." },      { "a/../b", "b" },   { "..", ".." },
		{ "../x", "../x" },     { "../../x", "../../x" }, { "a/../../x", "../x" }, { "../a/..", ".." },
		{ "/a/b/../../c", "/c" }, { "a/b/../..", "." }, { "/...", "/..." },  { "..a/b", "..a/b" }, { "/a/b/..", "/a" },
	};
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		CHECK_INT(path_clean(pairs[i][0], buf, sizeof buf), 0);
		CHECK_STR(buf, pairs[i][1]);
	}
	CHECK_INT(path_clean("/abc", buf, 5), 0);
	CHECK_INT(path_clean("/abc", buf, 4), -ENAMETOOLONG);
	CHECK_INT(path_clean("abc", buf, 4), 0);
	CHECK_INT(path_clean("/", buf, 1), -ENAMETOOLONG);
}
