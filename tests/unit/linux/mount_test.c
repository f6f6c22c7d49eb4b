// SPDX-License-Identifier: LGPL-2.1-or-later
/* Mounts on a root that is a plain directory, in a mount namespace of the test's own. */
#include "runtime/linux/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "runtime/base/arena.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/procfs.h"
#include "tests/lib/child.h"

#define OK(call)                                                                            \
	do {                                                                                \
		if ((call) < 0) {                                                           \
			char msg[ERR_TEXT_MAX + 64];                                        \
			FAIL("%s: %s", #call, err_format(&e, msg, sizeof msg));             \
			return;                                                             \
		}                                                                           \
	} while (0)

static struct err e;
static char base[] = "/tmp/vzrun-mount-XXXXXX";
static struct mount_context c = { .root_fd = -1, .procfs = -1, .userns_fd = -1, .own_pid = true, .own_net = true,
				  .own_ipc = true };

/* base/root is the container's root, base/src what is bound from; a tmpfs without any flags. */
static void prepare(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("host", base, "tmpfs", 0, NULL) < 0 || chdir(base) < 0) {
		FAIL("prepare: %s", strerror(errno));
		_exit(100);
	}
	umask(022);
	mkdir("root", 0755);
	mkdir("src", 0755);
	mkdir("src/below", 0755);
	CHECK_INT(mount("below", "src/below", "tmpfs", 0, NULL), 0);
	close(open("src/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	close(open("src/below/deep", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	c.root_fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	c.procfs = procfs_open(&e);
	CHECK(c.procfs >= 0);
}

static void mount_child(void (*fn)(void))
{
	strcpy(base + sizeof base - 7, "XXXXXX");
	if (!mkdtemp(base)) {
		FAIL("mkdtemp");
		return;
	}
	in_child(fn);
	rmdir(base);
}

#define MOUNT_TEST(n)                                                                       \
	static void n(void);                                                                \
	static void prepared_##n(void)                                                      \
	{                                                                                   \
		prepare();                                                                  \
		n();                                                                        \
	}                                                                                   \
	TEST(n)                                                                             \
	{                                                                                   \
		NEED_MOUNTS();                                                              \
		mount_child(prepared_##n);                                                  \
	}                                                                                   \
	static void n(void)

/* Compile and attach; options are separated by blanks. */
static int add(const char *destination, const char *type, const char *source, const char *options)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_mount m = { .destination = destination, .type = type, .source = source };
	char *copy = arena_strdup(&a, options), *word;
	struct mount_wish w;
	int r;

	m.options.v = arena_alloc_n(&a, 32, sizeof(char *));
	while ((word = strsep(&copy, " ")))
		if (*word)
			m.options.v[m.options.n++] = word;
	r = mount_compile(&m, "/mounts/0", &w, &a, &e);
	return r < 0 ? r : mount_attach(&c, &w, -1, &e);
}

static unsigned long flags_of(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) == 0 ? v.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME |
						   ST_NODIRATIME | ST_RELATIME | 0x2000)
				      : ~0UL;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static bool mountinfo_has(const char *text)
{
	cleanup_str struct str s = { 0 };

	fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &s, &e);
	return strstr(str_cstr(&s), text);
}

MOUNT_TEST(bind_flags)
{
	OK(add("/a", NULL, "src", "bind"));
	CHECK_INT(flags_of("root/a"), ST_RELATIME);
	CHECK(access("root/a/below/deep", F_OK) < 0); /* bind is not rbind */
	OK(add("/b", "none", "src", "rbind ro nosuid nodev noexec nosymfollow"));
	CHECK_INT(flags_of("root/b"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RELATIME | 0x2000);
	CHECK(access("root/b/below/deep", F_OK) == 0);
	CHECK_INT(flags_of("root/b/below"), ST_RELATIME); /* only the top */
	OK(add("/c", "none", "src", "rbind rro rnosuid"));
	CHECK_INT(flags_of("root/c/below"), ST_RDONLY | ST_NOSUID | ST_RELATIME);
	OK(add("/d", "none", "src", "rbind rro rw"));
	CHECK_INT(flags_of("root/d"), ST_RDONLY | ST_RELATIME); /* recursive ones come second */
	OK(add("/n", NULL, "src", "bind noatime nodiratime"));
	CHECK_INT(flags_of("root/n"), ST_NOATIME | ST_NODIRATIME);
	OK(add("/s", NULL, "src", "bind strictatime"));
	CHECK_INT(flags_of("root/s"), 0);
	OK(add("/r", NULL, "root/n", "bind"));
	CHECK_INT(flags_of("root/r"), ST_NOATIME | ST_NODIRATIME); /* what is not named stays */
	OK(add("/q", NULL, "root/n", "bind relatime diratime"));
	CHECK_INT(flags_of("root/q"), ST_RELATIME);
	OK(add("/rec", NULL, "src", "rbind rnoatime"));
	CHECK_INT(flags_of("root/rec/below"), ST_NOATIME);
	CHECK_INT(flags_of("src"), ST_RELATIME); /* the source is as it was */
	CHECK_INT(flags_of("src/below"), ST_RELATIME);
}

MOUNT_TEST(mount_points)
{
	struct stat st;

	OK(add("/x/y/z", NULL, "src", "bind"));
	CHECK_INT(mode_of("root/x/y"), S_IFDIR | 0755);
	OK(add("/etc/conf", NULL, "src/file", "bind ro"));
	CHECK(stat("root/etc/conf", &st) == 0 && S_ISREG(st.st_mode));
	CHECK_INT(flags_of("root/etc/conf"), ST_RDONLY | ST_RELATIME);
	OK(add("relative/dir", "tmpfs", "t", ""));
	CHECK_INT(mode_of("root/relative/dir"), S_IFDIR | 01777);
	CHECK(add("/etc/conf", "tmpfs", "t", "") == -ENOTDIR);
	CHECK(add("/", "tmpfs", "t", "") < 0);
	CHECK(add("/a", NULL, "missing", "bind") == -ENOENT);
	CHECK(strstr(e.text, "missing"));
	CHECK(access("root/a", F_OK) < 0);
	/* set-gid directories hand their group down, as mkdir does */
	mkdir("root/sgid", 0755);
	CHECK_INT(chown("root/sgid", 0, 77), 0);
	CHECK_INT(chmod("root/sgid", 02755), 0);
	OK(add("/sgid/inner/place", NULL, "src", "bind"));
	CHECK(stat("root/sgid/inner", &st) == 0 && st.st_gid == 77 && st.st_mode & S_ISGID);
}

MOUNT_TEST(links_stay_inside)
{
	mkdir("outside", 0755);
	CHECK_INT(symlink("../outside", "root/rel"), 0);
	CHECK_INT(symlink("/real", "root/abs"), 0);
	OK(add("/rel", "tmpfs", "t1", "mode=700"));
	CHECK_INT(mode_of("outside"), S_IFDIR | 0755);
	CHECK_INT(mode_of("root/outside"), S_IFDIR | 0700);
	OK(add("/abs/sub", "tmpfs", "t2", "mode=711"));
	CHECK_INT(mode_of("root/real/sub"), S_IFDIR | 0711);
}

MOUNT_TEST(proc_and_sys)
{
	mkdir("root/elsewhere", 0755);
	CHECK_INT(symlink("elsewhere", "root/proc"), 0);
	CHECK(add("/proc", "proc", "proc", "") < 0);
	CHECK_STR(e.text, "filesystem \"proc\" at /proc must be mounted on ordinary directory");
	CHECK(add("/proc", NULL, "/proc", "rbind") < 0);
	CHECK_INT(symlink("elsewhere", "root/sys"), 0);
	CHECK(add("/sys", "sysfs", "sysfs", "") < 0);
	CHECK(strstr(e.text, "must be mounted on ordinary directory"));
	CHECK_INT(unlink("root/proc"), 0);
	OK(add("/proc", "proc", "proc", "nosuid noexec nodev"));
	CHECK(add("/proc/sys", NULL, "src", "bind") < 0);
	CHECK_INT(e.kind, ERR_CONFIG);
	CHECK(add("/proc/self/attr", "tmpfs", "t", "") < 0);
	CHECK(add("/proc/../proc/sys", "tmpfs", "t", "") < 0);
	/* by a link of the image */
	CHECK_INT(symlink("/proc/sys", "root/innocent"), 0);
	CHECK(add("/innocent", "tmpfs", "t", "") < 0);
	CHECK(strstr(e.text, "inside /proc"));
	CHECK(!mountinfo_has("innocent") && !mountinfo_has("/proc/sys "));
	/* lxcfs */
	OK(add("/proc/uptime", NULL, "src/file", "bind"));
	CHECK(mode_of("root/proc/uptime") == (S_IFREG | 0644));
	CHECK(add("/proc/version", NULL, "src/file", "bind") < 0);
}

MOUNT_TEST(new_filesystems)
{
	OK(add("/t", "tmpfs", "name", "nosuid nodev noexec noatime size=64k mode=750 uid=5 gid=6"));
	CHECK_INT(flags_of("root/t"), ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME);
	CHECK_INT(mode_of("root/t"), S_IFDIR | 0750);
	CHECK(mountinfo_has(" - tmpfs name rw,size=64k"));
	OK(add("/sb", "tmpfs", "t", "sync dirsync"));
	CHECK(mountinfo_has("root/sb rw,relatime - tmpfs t rw,sync,dirsync"));
	CHECK(add("/u", "tmpfs", "t", "sized=1") < 0);
	CHECK(strstr(e.text, "tmpfs: Unknown parameter 'sized'"));
	CHECK(add("/u", "tmpfs", "t", "mode=9") < 0);
	CHECK(add("/u", "no-such-fs", "t", "") == -ENODEV);
	CHECK(strstr(e.text, "no-such-fs"));
	CHECK(add("/u", "proc", "proc", "hidepid=7") < 0);
	OK(add("/ro", "tmpfs", "t", "ro"));
	CHECK_INT(flags_of("root/ro"), ST_RELATIME); /* until the end */
	OK(add("/ram", "ramfs", "r", "ro"));
	CHECK_INT(flags_of("root/ram"), ST_RDONLY | ST_RELATIME);
}

MOUNT_TEST(tmpfs_takes_after_its_directory)
{
	struct stat st;

	mkdir("root/old", 0755);
	CHECK_INT(chown("root/old", 12, 34), 0);
	CHECK_INT(chmod("root/old", 02751), 0);
	OK(add("/old", "tmpfs", "t", ""));
	CHECK(stat("root/old", &st) == 0 && st.st_mode == (S_IFDIR | 02751) && st.st_uid == 12 && st.st_gid == 34);
	OK(add("/old", "tmpfs", "t", "mode=700 uid=1"));
	CHECK(stat("root/old", &st) == 0 && st.st_mode == (S_IFDIR | 0700) && st.st_uid == 1 && st.st_gid == 34);
	OK(add("/fresh", "tmpfs", "t", ""));
	CHECK_INT(mode_of("root/fresh"), S_IFDIR | 01777);
}

MOUNT_TEST(copy_up)
{
	cleanup_str struct str text = { 0 };
	struct stat st;
	char link[32];

	mkdir("root/var", 0751);
	mkdir("root/var/dir", 02770);
	CHECK_INT(chmod("root/var/dir", 02770), 0);
	close(open("root/var/dir/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	OK(fs_write(AT_FDCWD, "root/var/dir/file", "text", &e));
	CHECK_INT(chown("root/var/dir/file", 3, 4), 0);
	CHECK_INT(chmod("root/var/dir/file", 04711), 0);
	setxattr("root/var/dir/file", "trusted.vzrun", "v", 1, 0);
	CHECK_INT(symlink("/etc/shadow", "root/var/link"), 0);
	CHECK_INT(mkfifo("root/var/pipe", 0640), 0);
	mkdir("root/var/mounted", 0755);
	CHECK_INT(mount("m", "root/var/mounted", "tmpfs", 0, NULL), 0);
	close(open("root/var/mounted/not-this", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	OK(add("/var", "tmpfs", "t", "tmpcopyup"));
	CHECK(mountinfo_has("root/var rw,relatime - tmpfs t"));
	CHECK_INT(mode_of("root/var"), S_IFDIR | 0751);
	CHECK_INT(mode_of("root/var/dir"), S_IFDIR | 02770);
	CHECK(stat("root/var/dir/file", &st) == 0 && st.st_uid == 3 && st.st_gid == 4 && st.st_mode == (S_IFREG | 04711));
	CHECK_INT(getxattr("root/var/dir/file", "trusted.vzrun", link, sizeof link), 1);
	OK(fs_read(AT_FDCWD, "root/var/dir/file", 100, &text, &e));
	CHECK_STR(str_cstr(&text), "text");
	CHECK_INT(readlink("root/var/link", link, sizeof link), (int)strlen("/etc/shadow"));
	CHECK_INT(mode_of("root/var/pipe"), S_IFIFO | 0640);
	CHECK(access("root/var/mounted", F_OK) == 0 && access("root/var/mounted/not-this", F_OK) < 0);
	OK(add("/absent", "tmpfs", "t", "tmpcopyup"));
}

MOUNT_TEST(remounts)
{
	OK(add("/a", NULL, "src", "bind nosuid"));
	OK(add("/a", NULL, NULL, "remount bind ro"));
	CHECK_INT(flags_of("root/a"), ST_RDONLY | ST_NOSUID | ST_RELATIME);
	OK(add("/a", NULL, NULL, "remount bind rw suid"));
	CHECK_INT(flags_of("root/a"), ST_RELATIME);
	OK(add("/t", "tmpfs", "t", "size=64k"));
	OK(add("/t", "tmpfs", "t", "remount size=128k nodev"));
	CHECK(mountinfo_has("root/t rw,nodev,relatime - tmpfs t rw,size=128k"));
	CHECK(add("/t/no-mount", "tmpfs", "t", "remount") < 0);
	mkdir("root/t/dir", 0755);
	CHECK(add("/t/dir", NULL, NULL, "remount bind ro") == -EINVAL);
}

MOUNT_TEST(propagations)
{
	CHECK_INT(mount(NULL, base, NULL, MS_SHARED, NULL), 0);
	OK(add("/default", NULL, "src", "bind"));
	mkdir("root/default/x", 0755);
	CHECK_INT(mount("leak", "root/default/x", "tmpfs", 0, NULL), 0);
	CHECK(!mountinfo_has("src/x ")); /* a slave: the source does not see it */
	CHECK_INT(mount(NULL, base, NULL, MS_PRIVATE, NULL), 0);
	OK(add("/p", NULL, "src", "rbind rprivate"));
	CHECK(mountinfo_has("root/p rw,relatime - "));
	OK(add("/s", NULL, "src", "rbind rshared"));
	CHECK(mountinfo_has("root/s rw,relatime shared:") && mountinfo_has("root/s/below rw,relatime shared:"));
	OK(add("/m", NULL, "src", "rbind rprivate shared"));
	CHECK(mountinfo_has("root/m rw,relatime shared:") && mountinfo_has("root/m/below rw,relatime - "));
	OK(add("/u", "tmpfs", "t", "unbindable"));
	CHECK(mountinfo_has("root/u rw,relatime unbindable - "));
	CHECK(add("/v", NULL, "root/u", "bind") == -EINVAL);
}

static int add_mapped(const char *destination, const char *type, const char *source, const char *option)
{
	struct oci_idmap map = { .container_id = 0, .host_id = 100000, .size = 1000 };
	const char *options[] = { option, NULL };
	struct oci_mount m = { .destination = destination, .type = type, .source = source,
			       .options = { options, option ? 1 : 0 }, .uid_mappings = { &map, 1 }, .gid_mappings = { &map, 1 } };
	cleanup_arena struct arena a = { 0 };
	struct mount_wish w;
	int r = mount_compile(&m, "/mounts/0", &w, &a, &e);

	return r < 0 ? r : mount_attach(&c, &w, -1, &e);
}

static void id_mapped(void)
{
	struct stat st;

	prepare();
	OK(add_mapped("/b", NULL, "src", "bind"));
	CHECK(stat("root/b/file", &st) == 0 && st.st_uid == 100000 && st.st_gid == 100000);
	CHECK(stat("src/file", &st) == 0 && st.st_uid == 0);
	OK(add_mapped("/t", "tmpfs", "t", NULL));
	CHECK(stat("root/t", &st) == 0 && st.st_uid == 100000);
	CHECK(add_mapped("/p", "proc", "proc", NULL) == -EINVAL);
	CHECK_STR(e.text, "proc: the filesystem does not support id-mapped mounts");
	CHECK(add("/c", NULL, "src", "bind idmap") < 0);
	CHECK(strstr(e.text, "needs a user namespace"));
	OK(add_mapped("/r", NULL, "src", "rbind"));
	CHECK(stat("root/r/below/deep", &st) == 0 && st.st_uid == 0); /* idmap is for the top */
}

TEST(id_mapped)
{
	struct utsname u;
	int major = 0, minor = 0;

	NEED_MOUNTS();
	if (uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 3)))
		SKIP("before Linux 6.3 no tmpfs is id-mapped");
	mount_child(id_mapped);
}

static const char *const links[] = { "cpu", "cpuacct", NULL };

MOUNT_TEST(cgroup_directories)
{
	cleanup_fd int one = sys_open_tree(AT_FDCWD, "src", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	cleanup_fd int two = sys_open_tree(AT_FDCWD, "src/below", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	cleanup_fd int three = sys_open_tree(AT_FDCWD, "src", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_view views[] = {
		{ .name = "cpu,cpuacct", .source = one, .links = links },
		{ .name = "systemd", .source = two },
	};
	struct mount_wish w = { .target = "/sys/fs/cgroup", .fs = "cgroup", .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };

	OK(mount_cgroup_views(&c, &w, views, 2, &e));
	CHECK_INT(flags_of("root/sys/fs/cgroup"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RELATIME);
	CHECK_INT(mode_of("root/sys/fs/cgroup"), S_IFDIR | 0755);
	CHECK(access("root/sys/fs/cgroup/cpu/file", F_OK) == 0 && access("root/sys/fs/cgroup/cpuacct/file", F_OK) == 0);
	CHECK(access("root/sys/fs/cgroup/systemd/deep", F_OK) == 0);
	CHECK_INT(flags_of("root/sys/fs/cgroup/systemd"), ST_RDONLY | ST_NOSUID | ST_RELATIME);

	views[0].name = "";
	views[0].source = three;
	w.target = "/whole";
	w.attr_set = 0;
	OK(mount_cgroup_views(&c, &w, views, 1, &e));
	CHECK(access("root/whole/file", F_OK) == 0);
	CHECK_INT(flags_of("root/whole"), ST_RELATIME);
}

static void hierarchies(void)
{
	struct mount_view views[] = { { .name = "systemd", .fs = "cgroup", .options = "none,name=systemd", .source = -1 } };
	struct mount_wish w = { .target = "/cg", .fs = "cgroup", .attr_set = MOUNT_ATTR_RDONLY };

	prepare();
	OK(ns_unshare(CLONE_NEWCGROUP, &e));
	OK(mount_cgroup_views(&c, &w, views, 1, &e));
	CHECK(mountinfo_has("root/cg/systemd ro,relatime - cgroup cgroup rw,")); /* then what all mounts of it have */
	CHECK(mountinfo_has(",name=systemd"));
	CHECK(access("root/cg/systemd/cgroup.procs", F_OK) == 0);
}

TEST(cgroup_hierarchies)
{
	NEED_MOUNTS();
	if (access("/sys/fs/cgroup/systemd/cgroup.procs", F_OK) < 0)
		SKIP("no cgroup v1 here");
	mount_child(hierarchies);
}

MOUNT_TEST(bind_by_descriptor)
{
	cleanup_fd int fd = open("src/file", O_PATH | O_CLOEXEC);

	OK(mount_bind_fd(c.root_fd, fd, "/etc/resolv.conf", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, &e));
	CHECK_INT(flags_of("root/etc/resolv.conf"), ST_RDONLY | ST_NODEV | ST_RELATIME);
}

/* ---- in a user namespace ---- */

static void enter_userns(void)
{
	struct oci_idmap map = { .container_id = 0, .host_id = 0, .size = 10000 };
	struct oci_idmaps maps = { &map, 1 };
	cleanup_fd int ns = idmap_userns(c.procfs, &maps, &maps, &e);

	OK(ns);
	OK(ns_join(ns, CLONE_NEWUSER, &e));
	OK(ns_unshare(CLONE_NEWNS, &e));
	c.in_userns = true;
	CHECK_INT(chdir(base), 0);
	fd_close(&c.root_fd);
	c.root_fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

MOUNT_TEST(locked_flags)
{
	mkdir("locked", 0755);
	CHECK_INT(mount("l", "locked", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, NULL), 0);
	enter_userns();
	OK(add("/a", NULL, "locked", "bind ro"));
	CHECK_INT(flags_of("root/a"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOATIME);
	CHECK(add("/b", NULL, "locked", "bind suid dev") == -EPERM);
	CHECK(strstr(e.text, "(nosuid, nodev)"));
	CHECK(add("/c", NULL, "locked", "bind relatime") == -EPERM);
	CHECK(strstr(e.text, "(noatime)"));
	CHECK(add("/d", NULL, "src", "bind") == -EINVAL); /* would show what lies under src/below */
	CHECK(strstr(e.text, "rbind"));
	OK(add("/e", NULL, "src", "rbind"));
}

MOUNT_TEST(host_views)
{
	enter_userns();
	c.own_net = c.own_pid = c.own_ipc = false;
	OK(add("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"));
	CHECK_INT(flags_of("root/sys"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RELATIME);
	CHECK_INT(flags_of("root/sys/fs/cgroup") & ST_RDONLY, ST_RDONLY);
	OK(add("/proc", "proc", "proc", "nosuid"));
	CHECK(access("root/proc/self", F_OK) == 0);
	c.own_net = c.own_pid = true;
	CHECK(add("/sys2", "sysfs", "sysfs", "") == -EPERM);
}

/* ---- without the new calls ---- */

static void forbid(const int *calls, size_t n)
{
	struct sock_filter code[32] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	size_t at = 1;

	for (size_t i = 0; i < n; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { (unsigned short)at, code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(100);
}

static void old_kernel_cases(void)
{
	OK(add("/a", NULL, "src", "rbind ro nosuid"));
	CHECK_INT(flags_of("root/a"), ST_RDONLY | ST_NOSUID | ST_RELATIME);
	CHECK(access("root/a/below/deep", F_OK) == 0);
	OK(add("/r", NULL, "root/a", "bind nodev"));
	CHECK_INT(flags_of("root/r"), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_RELATIME);
	OK(add("/n", NULL, "src", "bind noatime rprivate"));
	CHECK_INT(flags_of("root/n"), ST_NOATIME);
	OK(add("/etc/conf", NULL, "src/file", "bind ro"));
	CHECK_INT(flags_of("root/etc/conf"), ST_RDONLY | ST_RELATIME);
	OK(add("/t", "tmpfs", "t", "nosuid strictatime mode=711 shared"));
	CHECK_INT(flags_of("root/t"), ST_NOSUID);
	CHECK_INT(mode_of("root/t"), S_IFDIR | 0711);
	CHECK(mountinfo_has("root/t rw,nosuid shared:"));
	mkdir("root/up", 0755);
	close(open("root/up/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	OK(add("/up", "tmpfs", "t", "tmpcopyup"));
	CHECK(access("root/up/f", F_OK) == 0 && mountinfo_has("root/up rw"));
	CHECK(add("/e", NULL, "src", "rbind rro") < 0);
	CHECK(add_mapped("/m", NULL, "src", "bind") < 0);
}

MOUNT_TEST(without_the_mount_api)
{
	static const int calls[] = { SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_mount_setattr };

	forbid(calls, ARRAY_SIZE(calls));
	old_kernel_cases();
}

MOUNT_TEST(without_mount_setattr)
{
	static const int calls[] = { SYS_mount_setattr };

	forbid(calls, 1);
	old_kernel_cases();
}
