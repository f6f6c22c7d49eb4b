// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/linux/lsm.h"
#include "runtime/linux/procfs.h"
#include "tests/lib/test.h"

/* A procfs of our making: few machines have both modules, and most have none.  Nothing else of procfs.c is linked. */
int procfs_open_file(int procfs, const char *path, int flags, struct err *e)
{
	int fd = openat(procfs, path, flags | (flags & O_WRONLY ? O_TRUNC : 0) | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open %s", path) : fd;
}

static char tree[32];
static int tree_fd;

static void put(const char *path)
{
	close(openat(tree_fd, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

static void tree_make(bool apparmor, bool others)
{
	strcpy(tree, "/tmp/vzlsmXXXXXX");
	CHECK(mkdtemp(tree) != NULL);
	tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(tree_fd, "thread-self", 0755);
	mkdirat(tree_fd, "thread-self/attr", 0755);
	if (apparmor) {
		mkdirat(tree_fd, "thread-self/attr/apparmor", 0755);
		put("thread-self/attr/apparmor/exec");
	}
	if (others) {
		put("thread-self/attr/exec");
		put("thread-self/attr/keycreate");
	}
}

static void tree_drop(void)
{
	struct err e;
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(tree_fd);
	CHECK_INT(fs_remove_tree(tmp, tree + strlen("/tmp/"), &e), 0);
}

static const char *content(const char *path)
{
	static char buf[128];
	cleanup_fd int fd = openat(tree_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n < 0 ? "(none)" : buf;
}

TEST(apparmor_profile)
{
	struct err e = { 0 };

	tree_make(true, true);
	CHECK_INT(lsm_set_exec(tree_fd, "my-profile", NULL, false, &e), 0);
	CHECK_STR(content("thread-self/attr/apparmor/exec"), "exec my-profile");
	CHECK_STR(content("thread-self/attr/exec"), "");
	CHECK_INT(lsm_set_exec(tree_fd, "unconfined", "", false, &e), 0);
	CHECK_STR(content("thread-self/attr/apparmor/exec"), "exec unconfined");
	tree_drop();
	tree_make(false, true); /* older kernels */
	CHECK_INT(lsm_set_exec(tree_fd, "my-profile", NULL, false, &e), 0);
	CHECK_STR(content("thread-self/attr/exec"), "exec my-profile");
	tree_drop();
}

static void put_text(const char *path, const char *text)
{
	cleanup_fd int fd = openat(tree_fd, path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	CHECK_INT(write(fd, text, strlen(text)), (long long)strlen(text));
}

/* A confined process that is to gain no privileges can only be confined further. */
TEST(apparmor_stack)
{
	static const struct {
		const char *own;
		bool no_new_privs;
		const char *want;
	} cases[] = {
		{ "unconfined\n", true, "exec p" },	{ "unconfined\n", false, "exec p" },
		{ "outer (enforce)\n", true, "stack p" }, { "outer (enforce)\n", false, "exec p" },
		{ "outer (complain)", true, "stack p" },	{ "vzrun (unconfined)\n", true, "exec p" },
	};
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		tree_make(true, true);
		put_text("thread-self/attr/apparmor/current", cases[i].own);
		CHECK_INT(lsm_set_exec(tree_fd, "p", NULL, cases[i].no_new_privs, &e), 0);
		CHECK_STR(content("thread-self/attr/apparmor/exec"), cases[i].want);
		tree_drop();
		tree_make(false, true);
		put_text("thread-self/attr/current", cases[i].own);
		CHECK_INT(lsm_set_exec(tree_fd, "p", NULL, cases[i].no_new_privs, &e), 0);
		CHECK_STR(content("thread-self/attr/exec"), cases[i].want);
		tree_drop();
	}
}

TEST(selinux_label)
{
	struct err e = { 0 };

	tree_make(false, true);
	CHECK_INT(lsm_set_exec(tree_fd, "", "system_u:system_r:container_t:s0:c1,c2", false, &e), 0);
	CHECK_STR(content("thread-self/attr/exec"), "system_u:system_r:container_t:s0:c1,c2");
	CHECK_INT(lsm_set_keycreate(tree_fd, "system_u:object_r:x_t:s0", &e), 0);
	CHECK_STR(content("thread-self/attr/keycreate"), "system_u:object_r:x_t:s0");
	CHECK_INT(lsm_set_keycreate(tree_fd, NULL, &e), 0);
	CHECK_STR(content("thread-self/attr/keycreate"), "");
	tree_drop();
}

TEST(missing_attributes)
{
	struct err e = { 0 };

	tree_make(false, false);
	CHECK(lsm_set_exec(tree_fd, "my-profile", NULL, false, &e) < 0);
	CHECK_STR(e.text, "apparmor profile my-profile: open thread-self/attr/exec");
	CHECK_INT(e.num, ENOENT);
	CHECK_INT(lsm_set_exec(tree_fd, "unconfined", NULL, false, &e), 0);
	CHECK(lsm_set_exec(tree_fd, NULL, "a:b:c:d", false, &e) < 0);
	CHECK_STR(e.text, "selinux label a:b:c:d: open thread-self/attr/exec");
	CHECK_INT(lsm_set_keycreate(tree_fd, "a:b:c:d", &e), 0);
	CHECK_INT(lsm_set_keycreate(tree_fd, NULL, &e), 0);
	CHECK_INT(lsm_set_exec(tree_fd, NULL, NULL, false, &e), 0);
	tree_drop();
}

TEST(the_kernel_of_this_machine)
{
	struct err e = { 0 };
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	/* Whatever modules it has, clearing and "unconfined" must work. */
	CHECK_INT(lsm_set_keycreate(proc, NULL, &e), 0);
	if (access("/sys/module/apparmor", F_OK) == 0)
		SKIP("AppArmor is here: the test process stays as it is");
	CHECK_INT(lsm_set_exec(proc, "unconfined", NULL, false, &e), 0);
	CHECK(lsm_set_exec(proc, "docker-default", NULL, false, &e) < 0);
}

TEST(labels_without_the_module)
{
	struct err e = { 0 };

	CHECK_INT(lsm_check(NULL, NULL, NULL, &e), 0);
	CHECK_INT(lsm_check("", "", "", &e), 0);
	CHECK_INT(lsm_check("unconfined", NULL, NULL, &e), 0);
	if (access("/sys/module/apparmor", F_OK) == 0 || access("/sys/fs/selinux/enforce", F_OK) == 0)
		SKIP("an LSM with labels is active");
	CHECK(lsm_check("docker-default", NULL, NULL, &e) < 0);
	CHECK_STR(e.text, "/process/apparmorProfile: AppArmor is not active on this system");
	CHECK_INT(e.kind, ERR_CONFIG);
	CHECK(lsm_check(NULL, "a:b:c:d", "a:b:c:d", &e) < 0);
	CHECK_STR(e.text, "/process/selinuxLabel: SELinux is not active on this system");
	CHECK(lsm_check(NULL, NULL, "a:b:c:d", &e) < 0);
	CHECK_STR(e.text, "/linux/mountLabel: SELinux is not active on this system");
}
