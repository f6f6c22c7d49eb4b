// SPDX-License-Identifier: LGPL-2.1-or-later
/* A whole file system for a container, made the way init does it, in namespaces of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "runtime/base/arena.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/procfs.h"
#include "runtime/linux/rootfs.h"
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

/* A tmpfs of the child's own mount namespace is the host's side; "rootfs" in it is the container's. */
static char base[] = "/tmp/vzrun-host-XXXXXX";
static char rootfs[64];

static const char *const default_mounts[][4] = {
	{ "/proc", "proc", "proc", "" },
	{ "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k" },
	{ "/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k" },
	{ "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev" },
	{ "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro" },
	{ "/ro", "tmpfs", "tmpfs", "ro,mode=700" },
};

static const char *masked[] = { "/proc/kcore",      "/proc/keys",    "/proc/missing",    "/proc/version/x",
				"/sys/firmware",    "/proc/scsi",    "/link-to-masked",  NULL };
static const char *readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/none", NULL };

static void make_host(unsigned long propagation)
{
	char path[128];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("host", base, "tmpfs", 0, NULL) < 0 || mount(NULL, base, NULL, propagation, NULL) < 0) {
		FAIL("host side: %s", strerror(errno));
		_exit(100);
	}
	snprintf(rootfs, sizeof rootfs, "%s/rootfs", base);
	mkdir(rootfs, 0755);
	snprintf(path, sizeof path, "%s/hidden", rootfs);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/hidden/file", rootfs);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	snprintf(path, sizeof path, "%s/link-to-masked", rootfs);
	CHECK_INT(symlink("/hidden", path), 0);
}

static void host_child(void (*fn)(void))
{
	strcpy(base + sizeof base - 7, "XXXXXX");
	if (!mkdtemp(base)) {
		FAIL("mkdtemp");
		return;
	}
	in_child(fn);
	rmdir(base);
}

static void compile(const char *const m[4], struct mount_wish *w, struct arena *a)
{
	struct oci_mount mount = { .destination = m[0], .type = m[1], .source = m[2] };
	char *copy = arena_strdup(a, m[3]), *word;

	mount.options.v = arena_alloc_n(a, 32, sizeof(char *));
	while ((word = strsep(&copy, ",")))
		if (*word)
			mount.options.v[mount.options.n++] = word;
	if (mount_compile(&mount, "/mounts/0", w, a, &e) < 0)
		FAIL("%s: %s", m[0], e.text);
}

static bool is_fs(const char *path, long magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == magic;
}

static unsigned long flags_of(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) == 0 ? v.f_flag : ~0UL;
}

static dev_t char_dev(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) ? st.st_rdev : 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static void check_link(const char *path, const char *target)
{
	char buf[128];
	ssize_t n = readlink(path, buf, sizeof buf - 1);

	buf[n > 0 ? n : 0] = '\0';
	CHECK_STR(buf, target);
}

static void check_dev(void)
{
	CHECK_INT(char_dev("/dev/null"), makedev(1, 3));
	CHECK_INT(char_dev("/dev/tty"), makedev(5, 0));
	CHECK_INT(mode_of("/dev/null"), S_IFCHR | 0666);
	CHECK_INT(mode_of("/dev/fuse-like"), S_IFCHR | 0640);
	CHECK_INT(char_dev("/dev/net/tun-like"), makedev(10, 200));
	CHECK_INT(mode_of("/pipe"), S_IFIFO | 0666);
	check_link("/dev/fd", "/proc/self/fd");
	check_link("/dev/stdout", "/proc/self/fd/1");
	check_link("/dev/ptmx", "pts/ptmx");
	CHECK(close(open("/dev/null", O_WRONLY | O_CLOEXEC)) == 0);
}

static void check_masks(void)
{
	CHECK_INT(char_dev("/proc/keys"), makedev(1, 3));
	CHECK(is_fs("/hidden", TMPFS_MAGIC) && flags_of("/hidden") & ST_RDONLY);
	CHECK(access("/hidden/file", F_OK) < 0);
	CHECK(is_fs("/sys/firmware", TMPFS_MAGIC));
	CHECK(open("/hidden/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	CHECK(open("/proc/sys/kernel/domainname", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
	CHECK(open("/proc/irq/default_smp_affinity", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
}

static void container(void)
{
	cleanup_arena struct arena a = { 0 };
	struct rootfs_options o = { .path = rootfs };
	struct mount_wish w[ARRAY_SIZE(default_mounts)];
	int left_ro[ARRAY_SIZE(default_mounts)];
	struct oci_device devs[] = {
		{ .path = "/dev/fuse-like", .type = 'c', .major = { 10, true }, .minor = { 229, true }, .file_mode = { 0640, true } },
		{ .path = "/dev/net/tun-like", .type = 'c', .major = { 10, true }, .minor = { 200, true } },
		{ .path = "/pipe", .type = 'p' },
		{ .path = "/dev/zero", .type = 'c', .major = { 1, true }, .minor = { 5, true }, .file_mode = { 0600, true } },
	};
	struct oci_devices devices = { devs, ARRAY_SIZE(devs) };
	cleanup_fd int root = rootfs_enter(&o, &e);
	struct mount_context c = { .root_fd = root, .procfs = -1, .userns_fd = -1, .own_pid = true, .own_net = true,
				   .own_ipc = true };

	OK(root);
	for (size_t i = 0; i < ARRAY_SIZE(default_mounts); i++) {
		compile(default_mounts[i], &w[i], &a);
		OK(left_ro[i] = mount_attach(&c, &w[i], -1, &e));
	}
	OK(dev_create(root, &devices, false, -1, &e));
	OK(rootfs_pivot(root, false, &e));
	for (size_t i = 0; i < ARRAY_SIZE(default_mounts); i++) {
		CHECK_INT(left_ro[i], strcmp(default_mounts[i][0], "/ro") == 0);
		OK(mount_finalise(&c, &w[i], &e));
	}
	struct oci_strs ro = { readonly, ARRAY_SIZE(readonly) - 1 }, mask = { masked, ARRAY_SIZE(masked) - 1 };
	OK(readonly_paths(&ro, &e));
	OK(mask_paths(&mask, NULL, &e));
	OK(rootfs_readonly(&e));
}

static void check_container(void)
{
	cleanup_str struct str mounts = { 0 };

	CHECK(is_fs("/proc", PROC_SUPER_MAGIC) && is_fs("/sys", SYSFS_MAGIC) && is_fs("/dev/pts", 0x1cd1));
	CHECK_INT(mode_of("/dev"), S_IFDIR | 0755);
	CHECK_INT(mode_of("/dev/shm"), S_IFDIR | 01777);
	CHECK_INT(mode_of("/ro"), S_IFDIR | 0700);
	CHECK(flags_of("/ro") & ST_RDONLY);
	CHECK(flags_of("/dev/shm") & ST_NODEV && !(flags_of("/dev") & ST_NODEV));
	CHECK(!(flags_of("/dev") & ST_RELATIME) && flags_of("/proc") & ST_RELATIME);
	CHECK(flags_of("/sys") & ST_RDONLY && flags_of("/") & ST_RDONLY);
	CHECK_INT(mode_of("/dev/zero"), S_IFCHR | 0600);
	check_dev();
	check_masks();
	CHECK(access(base, F_OK) < 0); /* the host is gone */
	OK(fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &mounts, &e));
	CHECK(!strstr(str_cstr(&mounts), base));
	CHECK(!strstr(str_cstr(&mounts), "shared:"));
	CHECK(strstr(str_cstr(&mounts), " - tmpfs shm rw"));
}

static void run_in_namespaces(void (*fn)(void))
{
	struct clone_options o = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS,
				   .cgroup_fd = -1, .want_pidfd = true };
	cleanup_fd int pidfd = -1;
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = clone_process(&o, &pidfd, &e);
	OK(pid);
	if (pid == 0) {
		test_failures = 0;
		fn();
		fflush(stdout);
		_exit(test_failures);
	}
	CHECK(pidfd >= 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

static void default_init(void)
{
	container();
	if (!test_failures)
		check_container();
}

static void default_bundle(void)
{
	cleanup_str struct str before = { 0 }, after = { 0 };

	make_host(MS_SHARED);
	fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &before, &e);
	run_in_namespaces(default_init);
	fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &after, &e);
	CHECK_STR(str_cstr(&after), str_cstr(&before));
}

TEST(default_bundle)
{
	NEED_MOUNTS();
	host_child(default_bundle);
}

/* Shared propagation: what the container mounts in a shared volume reaches the host, all else does not. */
static void shared_init(void)
{
	struct rootfs_options o = { .path = rootfs, .propagation = "rshared" };
	cleanup_arena struct arena a = { 0 };
	char volume[80];
	snprintf(volume, sizeof volume, "%s/volume", base);
	const char *const m[4] = { "/vol", NULL, volume, "rbind,rshared" };
	const char *const t[4] = { "/tmp", "tmpfs", "tmpfs", "" };
	struct mount_wish w;
	cleanup_fd int root = rootfs_enter(&o, &e);
	struct mount_context c = { .root_fd = root, .procfs = -1, .userns_fd = -1 };

	OK(root);
	compile(m, &w, &a);
	OK(mount_attach(&c, &w, -1, &e));
	compile(t, &w, &a);
	OK(mount_attach(&c, &w, -1, &e));
	OK(rootfs_pivot(root, false, &e));
	OK(rootfs_set_propagation("rshared", &e));
	mkdir("/vol/inner", 0755);
	CHECK_INT(mount("inner", "/vol/inner", "tmpfs", 0, NULL), 0);
	mkdir("/tmp/quiet", 0755);
	CHECK_INT(mount("quiet", "/tmp/quiet", "tmpfs", 0, NULL), 0);
}

static void shared_bundle(void)
{
	cleanup_str struct str after = { 0 };
	char volume[80];

	make_host(MS_SHARED);
	snprintf(volume, sizeof volume, "%s/volume", base);
	mkdir(volume, 0755);
	CHECK_INT(mount("volume", volume, "tmpfs", 0, NULL), 0);
	CHECK_INT(mount(NULL, volume, NULL, MS_SHARED, NULL), 0);
	run_in_namespaces(shared_init);
	fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &after, &e);
	CHECK(strstr(str_cstr(&after), "/volume/inner"));
	CHECK(!strstr(str_cstr(&after), "quiet"));
	CHECK(!strstr(str_cstr(&after), "rootfs"));
	CHECK(is_fs("/proc", PROC_SUPER_MAGIC));
}

TEST(shared_propagation)
{
	NEED_MOUNTS();
	host_child(shared_bundle);
}

static void no_pivot_init(void)
{
	struct rootfs_options o = { .path = rootfs };
	cleanup_fd int root = rootfs_enter(&o, &e);
	cleanup_arena struct arena a = { 0 };
	const char *const p[4] = { "/proc", "proc", "proc", "" };
	cleanup_str struct str mounts = { 0 };
	struct mount_context c = { .root_fd = root, .procfs = -1, .userns_fd = -1, .own_pid = true };
	struct mount_wish w;
	int procs = 0;

	OK(root);
	compile(p, &w, &a);
	OK(mount_attach(&c, &w, -1, &e));
	OK(rootfs_pivot(root, true, &e));
	CHECK(access("/hidden", F_OK) == 0 && access(base, F_OK) < 0);
	OK(fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &mounts, &e));
	for (const char *s = str_cstr(&mounts); (s = strstr(s, " - proc ")); s++)
		procs++;
	CHECK_INT(procs, 1);
	CHECK(!strstr(str_cstr(&mounts), " - sysfs "));
}

static void no_pivot_bundle(void)
{
	make_host(MS_PRIVATE);
	run_in_namespaces(no_pivot_init);
}

TEST(no_pivot)
{
	NEED_MOUNTS();
	host_child(no_pivot_bundle);
}

static void bad_roots(void)
{
	char link[80], file[80];
	const char *const paths[] = { link, file, "/nowhere/rootfs" };

	make_host(MS_PRIVATE);
	snprintf(link, sizeof link, "%s/link/", base);
	snprintf(file, sizeof file, "%s/file", base);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	link[strlen(link) - 1] = '\0';
	CHECK_INT(symlink(rootfs, link), 0);
	strcat(link, "/");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct rootfs_options o = { .path = paths[i] };

		CHECK(rootfs_enter(&o, &e) < 0);
		CHECK(strstr(e.text, paths[i]));
	}
	struct rootfs_options o = { .path = rootfs, .propagation = "sahred" };
	CHECK(rootfs_enter(&o, &e) < 0);
	CHECK_STR(e.text, "/linux/rootfsPropagation: unknown value 'sahred'");
}

TEST(bad_roots)
{
	NEED_MOUNTS();
	host_child(bad_roots);
}

/* An image whose /dev is a link (CVE-2026-41579), or has nodes of its own. */
static void dev_cases(void)
{
	struct oci_devices none = { 0 };
	struct oci_device wrong = { .path = "/dev/null", .type = 'c', .major = { 1, true }, .minor = { 7, true } };
	struct oci_devices one = { &wrong, 1 };
	char path[128];

	make_host(MS_PRIVATE);
	cleanup_fd int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/outside", base);
	mkdir(path, 0755);
	CHECK_INT(symlinkat("../outside", root, "dev"), 0);
	CHECK(dev_create(root, &none, false, -1, &e) < 0);
	CHECK_STR(e.text, "/dev is not an ordinary directory");
	CHECK_INT(unlinkat(root, "dev", 0), 0);
	OK(dev_create(root, &none, false, -1, &e)); /* made */
	OK(dev_create(root, &none, false, -1, &e)); /* identical nodes are accepted */
	CHECK(dev_create(root, &one, false, -1, &e) < 0);
	CHECK_INT(e.num, EEXIST);
	CHECK_INT(rmdir(path), 0); /* still empty */
}

TEST(dev_cases)
{
	NEED_MOUNTS();
	host_child(dev_cases);
}

static void dev_bind(void)
{
	struct oci_devices none = { 0 };
	struct oci_device wrong = { .path = "/dev/null", .type = 'c', .major = { 1, true }, .minor = { 7, true } };
	struct oci_devices one = { &wrong, 1 };
	char path[128];

	make_host(MS_PRIVATE);
	cleanup_fd int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int host = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(dev_create(root, &one, true, host, &e) < 0);
	CHECK(strstr(e.text, "another type or number"));
	OK(dev_create(root, &none, true, host, &e));
	snprintf(path, sizeof path, "%s/dev/null", rootfs);
	CHECK_INT(char_dev(path), makedev(1, 3));
	CHECK(flags_of(path) & ST_NOSUID && flags_of(path) & ST_NOEXEC);
}

/* As init does it: a root of its own, before the switch, the host's /dev still in sight. */
static void dev_bind_init(void)
{
	struct rootfs_options o = { .path = rootfs };
	struct oci_device fuse = { .path = "/dev/dir/zero", .type = 'c', .major = { 1, true }, .minor = { 5, true } };
	struct oci_devices one = { &fuse, 1 };
	cleanup_fd int root = rootfs_enter(&o, &e);

	OK(root);
	CHECK(dev_create(root, &one, true, -1, &e) < 0); /* the host has no such path */
	fuse.path = "/dev/zero";
	OK(dev_create(root, &one, true, -1, &e));
	OK(rootfs_pivot(root, false, &e));
	CHECK_INT(char_dev("/dev/null"), makedev(1, 3));
	CHECK_INT(char_dev("/dev/zero"), makedev(1, 5));
}

static void dev_bind_bundle(void)
{
	make_host(MS_PRIVATE);
	run_in_namespaces(dev_bind_init);
}

TEST(dev_bind_in_namespaces)
{
	NEED_MOUNTS();
	host_child(dev_bind_bundle);
}

TEST(dev_bind)
{
	NEED_MOUNTS();
	host_child(dev_bind);
}

/* A null device that is something else must not become a mask (CVE-2025-31133). */
static void false_null(void)
{
	const char *paths[] = { "/hidden/file", NULL };
	struct oci_strs mask = { paths, 1 };
	struct rootfs_options o = { .path = rootfs };

	make_host(MS_PRIVATE);
	cleanup_fd int root = rootfs_enter(&o, &e);
	OK(root);
	mkdirat(root, "dev", 0755);
	CHECK_INT(symlinkat("/hidden/file", root, "dev/null"), 0);
	OK(rootfs_pivot(root, false, &e));
	CHECK(mask_paths(&mask, NULL, &e) < 0);
	CHECK_STR(e.text, "mask /hidden/file: /dev/null is not the null device");
}

TEST(false_null)
{
	NEED_MOUNTS();
	host_child(false_null);
}
