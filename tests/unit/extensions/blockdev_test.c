// SPDX-License-Identifier: LGPL-2.1-or-later

/* Which disks files stand on, by a tree that stands for /sys and /proc. */

#include "extensions/blockdev.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "tests/lib/test.h"

static struct err e;
static struct arena arena;
static char root[64];

static void put(const char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX], dir[PATH_MAX];
	size_t len = strlen(root);
	va_list ap;

	memcpy(path, root, len);
	va_start(ap, fmt);
	vsnprintf(path + len, sizeof path - len, fmt, ap);
	va_end(ap);
	snprintf(dir, sizeof dir, "%s", path);
	*strrchr(dir, '/') = '\0';
	CHECK_INT(fs_mkdir_all(dir, 0755, &e), 0);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* A device in `dir` below /sys/devices. */
static void device(const char *dir, const char *number)
{
	char target[256], path[256];

	put(arena_printf(&arena, "%s\n", number), "/sys/devices/%s/dev", dir);
	snprintf(target, sizeof target, "../../devices/%s", dir);
	snprintf(path, sizeof path, "%s/sys/dev/block/%s", root, number);
	unlink(path);
	CHECK_INT(symlink(target, path), 0);
}

static void make_root(void)
{
	char path[128];

	snprintf(root, sizeof root, "/tmp/vzrun-test-XXXXXX");
	CHECK(mkdtemp(root) != NULL);
	snprintf(path, sizeof path, "%s/sys/dev/block", root);
	CHECK_INT(fs_mkdir_all(path, 0755, &e), 0);
	device("vda", "254:0");
	device("vda/vda1", "254:1");
	put("1\n", "/sys/devices/vda/vda1/partition");
	device("sdb", "8:16");
	device("sdc", "8:32");
}

static void drop_root(void)
{
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	CHECK_INT(fs_remove_tree(tmp, root + strlen("/tmp/"), &e), 0);
}

/* "+" behind those that stand on others. */
static const char *print(const struct blockdevs *list)
{
	cleanup_str struct str text = { 0 };

	for (size_t i = 0; i < list->n; i++)
		str_addf(&text, "%s%lld:%lld%s", i ? " " : "", (long long)list->v[i].major, (long long)list->v[i].minor,
			 list->v[i].stacked ? "+" : "");
	return arena_strdup(&arena, str_cstr(&text));
}

static struct blockdev_search search(struct blockdevs *list)
{
	return (struct blockdev_search){ .root = root, .found = list, .arena = &arena };
}

static const char *of_number(unsigned major, unsigned minor)
{
	struct blockdevs list = { 0 };
	struct blockdev_search s = search(&list);

	CHECK_INT(blockdev_add_number(&s, major, minor, &e), list.n > 0);
	return print(&list);
}

static const char *of_mount(const char *fs, const char *source, const char *options)
{
	struct blockdevs list = { 0 };
	struct blockdev_search s = search(&list);

	CHECK_INT(blockdev_add_mount(&s, fs, source, options, &e), list.n > 0);
	return print(&list);
}

/* The device of files in the tree is one of /sys there, 9:9, whatever it is: by its number or, where the file system has none, by
 * its mount. */
static const char *own_device(void)
{
	struct stat st;

	CHECK_INT(stat(root, &st), 0);
	if (major(st.st_dev)) {
		const char *number = arena_printf(&arena, "%u:%u", major(st.st_dev), minor(st.st_dev));

		device("own", number);
		return number;
	}
	cleanup_fd int fd = open(root, O_PATH | O_CLOEXEC);
	cleanup_str struct str info = { 0 };
	const char *path = arena_printf(&arena, "/proc/self/fdinfo/%d", fd);

	CHECK_INT(fs_read(AT_FDCWD, path, 4096, &info, &e), 0);
	put(arena_printf(&arena, "%llu 1 0:99 / /x rw shared:1 - btrfs /dev/own rw\n",
			 strtoull(strstr(str_cstr(&info), "mnt_id:") + 7, NULL, 10)), "/proc/self/mountinfo");
	device("own", "9:9");
	put("9:9\n", "/sys/fs/btrfs/0000/devices/own/dev");
	return "9:9";
}

TEST(a_partition_is_its_disk)
{
	make_root();
	CHECK_STR(of_number(254, 0), "254:0");
	CHECK_STR(of_number(254, 1), "254:0");
	CHECK_STR(of_number(77, 1), ""); /* no such device */
	drop_root();
}

TEST(mapped_and_multiple_devices_have_members)
{
	make_root();
	device("dm-0", "253:0");
	put("254:1\n", "/sys/devices/dm-0/slaves/vda1/dev");
	device("md0", "9:0");
	put("253:0\n", "/sys/devices/md0/slaves/dm-0/dev");
	put("8:16\n", "/sys/devices/md0/slaves/sdb/dev");
	CHECK_STR(of_number(253, 0), "253:0+ 254:0");
	const char *all = of_number(9, 0);
	CHECK(strstr(all, "9:0+ ") == all && strstr(all, "253:0+ 254:0") && strstr(all, "8:16"));
	drop_root();
}

TEST(a_circle_ends)
{
	make_root();
	device("dm-1", "253:1");
	device("dm-2", "253:2");
	put("253:2\n", "/sys/devices/dm-1/slaves/dm-2/dev");
	put("253:1\n", "/sys/devices/dm-2/slaves/dm-1/dev");
	CHECK_STR(of_number(253, 1), "253:1+ 253:2+");
	drop_root();
}

TEST(a_loop_device_stands_on_its_image)
{
	const char *own;

	make_root();
	own = own_device();
	put("", "/image file");
	device("loop3", "7:3");
	put(arena_printf(&arena, "%s/image file\n", root), "/sys/devices/loop3/loop/backing_file");
	CHECK_STR(of_number(7, 3), arena_printf(&arena, "7:3+ %s", own));
	put("/gone (deleted)\n", "/sys/devices/loop3/loop/backing_file");
	CHECK_STR(of_number(7, 3), "7:3");
	drop_root();
}

TEST(an_overlay_has_layers)
{
	const char *own;

	make_root();
	own = own_device();
	put("", "/a/x");
	put("", "/b, c:d/x");
	CHECK_STR(of_mount("overlay", "overlay", arena_printf(&arena, "rw,lowerdir=/gone:%s/a,upperdir=/gone", root)), own);
	CHECK_STR(of_mount("overlay", "overlay", arena_printf(&arena, "rw,lowerdir=/gone:%s/b\\054\\040c\\134:d::", root)), own);
	CHECK_STR(of_mount("overlay", "overlay", arena_printf(&arena, "rw,lowerdir=l/A:l/B,upperdir=%s/a", root)), own);
	CHECK_STR(of_mount("overlay", "overlay", arena_printf(&arena, "rw,lowerdir+=%s/a,datadir+=/gone", root)), own);
	CHECK_STR(of_mount("overlay", "overlay", "rw,lowerdir=,upperdir="), "");
	drop_root();
}

TEST(all_devices_of_a_btrfs)
{
	const char *all;

	make_root();
	put("8:16\n", "/sys/fs/btrfs/1111/devices/sdb/dev");
	put("8:32\n", "/sys/fs/btrfs/1111/devices/sdc/dev");
	put("254:1\n", "/sys/fs/btrfs/2222/devices/vda1/dev");
	put("", "/sys/fs/btrfs/features/raid56");
	all = of_mount("btrfs", "/nowhere/sdc", "rw");
	CHECK(strlen(all) == strlen("8:16 8:32") && strstr(all, "8:16") && strstr(all, "8:32"));
	CHECK_STR(of_mount("btrfs", "/nowhere/vda1", "rw"), "254:0");
	drop_root();
}

TEST(what_stands_on_no_disk)
{
	make_root();
	CHECK_STR(of_mount("tmpfs", "tmpfs", "rw,size=64k"), "");
	CHECK_STR(of_mount("nfs4", "server:/export", "rw"), "");
	CHECK_STR(of_mount("proc", "", ""), "");
	CHECK_STR(of_mount("ext4", "/dev/null", "rw"), "");
	drop_root();
}

TEST(a_path_finds_its_mount)
{
	struct blockdevs list = { 0 };
	struct blockdev_search s;
	const char *own;

	make_root();
	s = search(&list);
	own = own_device();
	CHECK_INT(blockdev_add_path(&s, root, &e), 1);
	CHECK_INT(blockdev_add_path(&s, root, &e), 1);
	CHECK_STR(print(&list), own);
	CHECK_INT(blockdev_add_path(&s, "/proc", &e), 0);
	CHECK_INT(blockdev_add_path(&s, "/no/such/path", &e), 0);
	CHECK_INT(list.n, 1);
	drop_root();
}

TEST(schedulers_and_iocost)
{
	const struct blockdev vda = { .major = 254 }, sdb = { .major = 8, .minor = 16 }, sdc = { .major = 8, .minor = 32 };
	char name[64];

	make_root();
	put("none mq-deadline [bfq]\n", "/sys/devices/vda/queue/scheduler");
	put("none [mq-deadline] bfq\n", "/sys/devices/sdb/queue/scheduler");
	put("8:1 enable=1\n8:16 enable=1 ctrl=auto\n8:32 enable=0 ctrl=auto\n", "/sys/fs/cgroup/io.cost.qos");
	CHECK(blockdev_scheduled_by(root, &vda, "bfq") && !blockdev_scheduled_by(root, &sdb, "bfq"));
	CHECK(!blockdev_scheduled_by(root, &sdc, "bfq"));
	CHECK(blockdev_has_iocost(root, &sdb) && !blockdev_has_iocost(root, &sdc) && !blockdev_has_iocost(root, &vda));
	blockdev_name(root, &sdb, name, sizeof name);
	CHECK_STR(name, "sdb");
	blockdev_name(root, &(struct blockdev){ .major = 1, .minor = 2 }, name, sizeof name);
	CHECK_STR(name, "1:2");
	drop_root();
}
