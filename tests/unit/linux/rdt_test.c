// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/linux/rdt.h"
#include "tests/lib/test.h"

/* resctrl fills a new group with files and removes it whole with one rmdir.  These two stand before the C library's, so
 * that a plain directory behaves like that. */
int mkdirat(int dir, const char *name, mode_t mode)
{
	static const char *const files[] = { "schemata", "tasks" };

	if (syscall(SYS_mkdirat, dir, name, mode) < 0)
		return -1;
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2; i++)
		close(openat(fd, files[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	syscall(SYS_mkdirat, fd, "mon_groups", 0755);
	return 0;
}

int unlinkat(int dir, const char *name, int flags)
{
	if (flags & AT_REMOVEDIR) {
		cleanup_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0) {
			syscall(SYS_unlinkat, fd, "schemata", 0);
			syscall(SYS_unlinkat, fd, "tasks", 0);
			syscall(SYS_unlinkat, fd, "mon_groups", AT_REMOVEDIR);
		}
	}
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

static char root[32];
static int root_fd;

static void tree_make(void)
{
	struct err e;

	strcpy(root, "/tmp/vzrdtXXXXXX");
	CHECK(mkdtemp(root) != NULL);
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(mkdirat(root_fd, "info", 0755), 0);
	CHECK_INT(syscall(SYS_mkdirat, root_fd, "mon_groups", 0755), 0);
	close(openat(root_fd, "tasks", O_CREAT | O_CLOEXEC, 0644));
	close(openat(root_fd, "schemata", O_CREAT | O_CLOEXEC, 0644));
	CHECK_INT(fs_write(root_fd, "schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n", &e), 0);
}

static void tree_drop(void)
{
	struct err e;
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(root_fd);
	CHECK_INT(fs_remove_tree(tmp, root + strlen("/tmp/"), &e), 0);
}

static bool exists(const char *path)
{
	return faccessat(root_fd, path, F_OK, 0) == 0;
}

/* The fake files are truncated by nobody, and each write opens them anew: the last one stands at the beginning. */
static const char *content(const char *path)
{
	static char buf[256];
	cleanup_fd int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n < 0 ? "(none)" : buf;
}

#define LINES(...)                                                                                           \
	{                                                                                                    \
		.v = (const char *[]){ __VA_ARGS__, NULL }, .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) \
	}

static int apply(const struct oci_intel_rdt *rdt, bool *clos, bool *mon, struct err *e)
{
	*e = (struct err){ 0 };
	*clos = *mon = false;
	return rdt_apply(root, "ct1", rdt, 4321, clos, mon, e);
}

TEST(class_named_after_the_container)
{
	struct oci_intel_rdt rdt = { .l3_cache_schema = "L3:0=f;1=f0", .enable_monitoring = { .v = true, .set = true } };
	struct err e;
	bool clos, mon;

	tree_make();
	CHECK_INT(apply(&rdt, &clos, &mon, &e), 0);
	CHECK(clos && mon);
	CHECK_STR(content("ct1/schemata"), "L3:0=f;1=f0\n");
	CHECK_STR(content("ct1/tasks"), "4321");
	CHECK_STR(content("ct1/mon_groups/ct1/tasks"), "4321");
	rdt.l3_cache_schema = "L3:0=3;1=f0";
	CHECK_INT(rdt_update(root, "ct1", &rdt, &e), 0);
	CHECK_STR(content("ct1/schemata"), "L3:0=3;1=f0\n");
	rdt_remove(root, "ct1", &rdt, clos, mon);
	CHECK(!exists("ct1"));
	tree_drop();
}

TEST(order_and_filter_of_lines)
{
	struct oci_intel_rdt rdt = { .clos_id = "gold", .l3_cache_schema = "L3:0=f\nMB:0=20", .mem_bw_schema = "MB:0=70",
				     .schemata = LINES("L2:0=3", "L3:0=1") };
	struct err e;
	bool clos, mon;

	/* One file per write is not to be seen in the end, so the lines have different lengths: the longest tail tells. */
	tree_make();
	CHECK_INT(apply(&rdt, &clos, &mon, &e), 0);
	CHECK(clos && !mon);
	CHECK_STR(content("gold/schemata"), "L3:0=1\n\n"); /* over "MB:0=70\n": "MB:0=20" was left out */
	rdt.schemata.n = 0;
	CHECK_INT(rdt_update(root, "ct1", &rdt, &e), 0);
	CHECK_STR(content("gold/schemata"), "MB:0=70\n");
	rdt_remove(root, "ct1", &rdt, clos, mon);
	CHECK(!exists("gold"));
	tree_drop();
}

TEST(existing_class_is_compared)
{
	struct oci_intel_rdt rdt = { .clos_id = "silver", .l3_cache_schema = "L3:1=00F", .mem_bw_schema = "MB:0=70" };
	struct err e;
	bool clos, mon;

	tree_make();
	mkdirat(root_fd, "silver", 0755);
	CHECK_INT(fs_write(root_fd, "silver/schemata", "    MB:0=070;1=100\n    L3:0=fffff;1=0000f\n", &e), 0);
	CHECK_INT(apply(&rdt, &clos, &mon, &e), 0);
	CHECK(!clos);
	CHECK_STR(content("silver/tasks"), "4321");
	CHECK_STR(content("silver/schemata"), "    MB:0=070;1=100\n    L3:0=fffff;1=0000f\n");
	rdt.mem_bw_schema = "MB:0=60";
	CHECK(apply(&rdt, &clos, &mon, &e) < 0);
	CHECK_STR(e.text, "/linux/intelRdt/closID: the class 'silver' exists and has another schema than 'MB:0=60'");
	CHECK_INT(e.kind, ERR_CONFIG);
	rdt.mem_bw_schema = NULL;
	rdt.schemata = (struct oci_strs)LINES("L2:0=3");
	CHECK(apply(&rdt, &clos, &mon, &e) < 0);
	rdt.schemata.n = 0;
	rdt.l3_cache_schema = "L3:0=fffff;1=f;2=f"; /* a domain that is not there */
	CHECK(apply(&rdt, &clos, &mon, &e) < 0);
	rdt.l3_cache_schema = NULL; /* a prepared class */
	CHECK_INT(apply(&rdt, &clos, &mon, &e), 0);
	rdt_remove(root, "ct1", &rdt, clos, mon);
	CHECK(exists("silver"));
	rdt.clos_id = "bronze";
	CHECK(apply(&rdt, &clos, &mon, &e) < 0);
	CHECK_STR(e.text, "/linux/intelRdt/closID: there is no class 'bronze'");
	CHECK(!exists("bronze"));
	tree_drop();
}

TEST(root_class)
{
	struct oci_intel_rdt rdt = { .clos_id = "/", .enable_monitoring = { .v = true, .set = true } };
	struct err e;
	bool clos, mon;

	tree_make();
	CHECK_INT(apply(&rdt, &clos, &mon, &e), 0);
	CHECK(!clos && mon);
	CHECK_STR(content("tasks"), "4321");
	CHECK_STR(content("mon_groups/ct1/tasks"), "4321");
	CHECK_INT(apply(&rdt, &clos, &mon, &e), 0); /* the group is there: joined, not ours to remove */
	CHECK(!mon);
	rdt_remove(root, "ct1", &rdt, false, true);
	CHECK(!exists("mon_groups/ct1"));
	rdt_remove(root, "ct1", &rdt, true, false);
	CHECK(exists("schemata"));
	rdt.l3_cache_schema = "L3:0=1";
	CHECK(apply(&rdt, &clos, &mon, &e) < 0);
	CHECK_INT(e.kind, ERR_CONFIG);
	tree_drop();
}

TEST(refused)
{
	static const char *const bad[] = { "..", "a/b", "info", "mon_groups", "a\nb" };
	struct oci_intel_rdt rdt = { .l3_cache_schema = "L3:0=1", .enable_monitoring = { .v = true, .set = true } };
	struct err e;
	bool clos, mon;

	tree_make();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		rdt.clos_id = bad[i];
		CHECK(apply(&rdt, &clos, &mon, &e) < 0);
		CHECK(strncmp(e.text, "/linux/intelRdt/closID: ", 24) == 0);
	}
	/* A failure leaves no class behind. */
	rdt.clos_id = NULL;
	rdt.schemata = (struct oci_strs)LINES("L3:0=0");
	CHECK_INT(mkdirat(root_fd, "ct2", 0755), 0);
	CHECK_INT(syscall(SYS_unlinkat, root_fd, "ct2/tasks", 0), 0);
	CHECK(rdt_apply(root, "ct2", &rdt, 1, &clos, &mon, &e) < 0);
	CHECK(exists("ct2")); /* it was there before */
	tree_drop();
	CHECK(apply(&rdt, &clos, &mon, &e) < 0);
	CHECK_INT(e.kind, ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "resctrl is not mounted"));
}

TEST(failure_removes_the_new_class)
{
	struct oci_intel_rdt rdt = { .l3_cache_schema = "L3:0=1", .enable_monitoring = { .v = true, .set = true } };
	struct err e = { 0 };
	bool clos = false, mon = false;
	char id[300];

	/* The class can be made, the monitoring group of the same name cannot: the name of the second is too long. */
	tree_make();
	memset(id, 'x', sizeof id);
	id[sizeof id - 1] = '\0';
	rdt.clos_id = "tin";
	CHECK(rdt_apply(root, id, &rdt, 1, &clos, &mon, &e) < 0);
	CHECK_INT(e.num, ENAMETOOLONG);
	CHECK(!exists("tin"));
	CHECK(!clos && !mon);
	tree_drop();
}
