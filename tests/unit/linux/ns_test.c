// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/linux/procfs.h"
#include "tests/lib/child.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static struct err e;

static void forbid(int call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(100);
}

#define NEED_ROOT()                                                                         \
	do {                                                                                \
		if (geteuid() != 0 || !can_mount())                                         \
			SKIP("needs root");                                                 \
	} while (0)

/* ---- clone ---- */

static void clone_case(void)
{
	struct clone_options o = { .flags = CLONE_NEWUTS, .cgroup_fd = -1, .want_pidfd = true };
	int status = 0;
	cleanup_fd int pidfd = -1;
	pid_t pid = clone_process(&o, &pidfd, &e);

	if (pid == 0)
		_exit(ns_hostname("inner", "dom", &e) == 0 ? 5 : 6);
	CHECK(pid > 0 && pidfd >= 0);
	CHECK(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(WEXITSTATUS(status), 5);
}

static void clone_without_clone3(void)
{
	forbid(SYS_clone3, ENOSYS);
	clone_case();
}

static void clone_forbidden(void)
{
	forbid(SYS_clone3, EPERM);
	clone_case();
}

TEST(clone)
{
	struct utsname u;

	NEED_ROOT();
	in_child(clone_case);
	in_child(clone_without_clone3);
	in_child(clone_forbidden);
	uname(&u);
	CHECK(strcmp(u.nodename, "inner") != 0);
}

/* With CLONE_PARENT the new process is our parent's child. */
static void sibling(void)
{
	struct clone_options o = { .flags = CLONE_PARENT, .cgroup_fd = -1 };
	pid_t pid = clone_process(&o, NULL, &e);

	if (pid == 0)
		_exit(0);
	CHECK(pid > 0);
	CHECK(waitpid(pid, NULL, __WALL) < 0 && errno == ECHILD);
}

TEST(clone_parent)
{
	in_child(sibling);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* ---- namespaces ---- */

TEST(open_checks_the_type)
{
	cleanup_fd int fd = ns_open("/proc/self/ns/uts", CLONE_NEWUTS, &e);

	CHECK(fd >= 0);
	CHECK(ns_open("/proc/self/ns/uts", CLONE_NEWNET, &e) < 0);
	CHECK_STR(e.text, "/proc/self/ns/uts is a uts namespace, not a net namespace");
	CHECK(ns_open("/dev/null", CLONE_NEWNET, &e) < 0);
	CHECK_STR(e.text, "/dev/null is not a namespace");
	CHECK(ns_open("/proc/self/status", CLONE_NEWNET, &e) < 0);
	CHECK_INT(ns_open("/no/such/file", CLONE_NEWNET, &e), -ENOENT);
	CHECK_STR(e.text, "open net namespace /no/such/file");
	CHECK(ns_is_own(NULL, CLONE_NEWNET) && ns_is_own("/proc/self/ns/net", CLONE_NEWNET));
	CHECK(!ns_is_own("/proc/self/ns/uts", CLONE_NEWNET) && !ns_is_own("/none", CLONE_NEWNET));
}

static void join_case(void)
{
	cleanup_fd int own = ns_open("/proc/self/ns/uts", CLONE_NEWUTS, &e);
	cleanup_fd int procfs = procfs_open(&e);
	struct utsname u;

	CHECK_INT(ns_unshare(CLONE_NEWUTS | CLONE_NEWIPC, &e), 0);
	CHECK_INT(ns_hostname("inner", NULL, &e), 0);
	uname(&u);
	CHECK_STR(u.nodename, "inner");
	CHECK(ns_is_own("/proc/self/ns/uts", CLONE_NEWUTS));
	CHECK_INT(ns_join(own, CLONE_NEWUTS, &e), 0);
	uname(&u);
	CHECK(strcmp(u.nodename, "inner") != 0);
	CHECK(ns_join(own, CLONE_NEWNET, &e) == -EINVAL);
	CHECK_STR(e.text, "join the net namespace");
	CHECK(procfs >= 0);
}

TEST(join)
{
	NEED_ROOT();
	in_child(join_case);
}

static void refused(void)
{
	forbid(SYS_unshare, EPERM);
	CHECK_INT(ns_unshare(CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWTIME, &e), -EPERM);
	CHECK_STR(e.text, "new namespaces (net, uts, time)");
}

TEST(refusal_names_the_types)
{
	in_child(refused);
}

static void time_case(void)
{
	struct oci_time_offset boot = { .secs = 86400, .nanosecs = 5 }, mono = { .secs = 3600 };
	struct oci_time_offsets offsets = { .boottime = &boot, .monotonic = &mono };
	cleanup_fd int procfs = procfs_open(&e);
	struct timespec before, after;
	int status;

	clock_gettime(CLOCK_BOOTTIME, &before);
	CHECK_INT(ns_unshare(CLONE_NEWTIME, &e), 0);
	CHECK_INT(ns_time_offsets(procfs, &offsets, &e), 0);
	pid_t pid = fork();
	if (pid == 0) {
		clock_gettime(CLOCK_BOOTTIME, &after);
		_exit(after.tv_sec - before.tv_sec >= 86400 && after.tv_sec - before.tv_sec < 86460 ? 0 : 1);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK(ns_time_offsets(procfs, &offsets, &e) < 0); /* it has a process now */
}

TEST(time_offsets)
{
	NEED_ROOT();
	if (access("/proc/self/ns/time_for_children", F_OK) < 0)
		SKIP("no time namespaces");
	in_child(time_case);
}

/* ---- id maps ---- */

static struct oci_idmap two[] = { { 0, 100000, 10 }, { 10, 200000, 5 } };
static const struct oci_idmaps maps = { two, 2 };

TEST(map_lookup)
{
	CHECK_INT(idmap_to_host(&maps, 0), 100000);
	CHECK_INT(idmap_to_host(&maps, 9), 100009);
	CHECK_INT(idmap_to_host(&maps, 10), 200000);
	CHECK_INT(idmap_to_host(&maps, 14), 200004);
	CHECK_INT(idmap_to_host(&maps, 15), -1);
	CHECK_INT(idmap_to_host(&maps, UINT32_MAX), -1);
}

static pid_t sleeper(uint64_t flags)
{
	struct clone_options o = { .flags = flags, .cgroup_fd = -1 };
	pid_t pid = clone_process(&o, NULL, &e);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	return pid;
}

/* The columns of a map: any blanks between numbers are one. */
static void read_map(pid_t pid, const char *file, char *buf, size_t size)
{
	cleanup_str struct str text = { 0 };
	char path[64];
	size_t o = 0;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	fs_read(AT_FDCWD, path, 4096, &text, &e);
	for (const char *p = str_cstr(&text); *p && o + 1 < size; p++)
		if (*p != ' ' || (o > 0 && buf[o - 1] != ' ' && buf[o - 1] != '\n'))
			buf[o++] = *p;
	buf[o] = '\0';
}

static void as_root(void)
{
	cleanup_fd int procfs = procfs_open(&e);
	pid_t pid = sleeper(CLONE_NEWUSER);
	char buf[128];

	CHECK(pid > 0);
	CHECK_INT(idmap_write(procfs, pid, &maps, &maps, &e), 0);
	read_map(pid, "uid_map", buf, sizeof buf);
	CHECK_STR(buf, "0 100000 10\n10 200000 5\n");
	read_map(pid, "setgroups", buf, sizeof buf);
	CHECK_STR(buf, "allow\n");
	CHECK_INT(idmap_write(procfs, pid, &maps, &maps, &e), -EPERM); /* once only */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_INT(idmap_write(procfs, 0x3fffff, &maps, &maps, &e), -ENOENT);
}

static void as_user(void)
{
	struct oci_idmap own = { 0, 65534, 1 }, other = { 0, 5, 1 };
	const struct oci_idmaps own_map = { &own, 1 }, other_map = { &other, 1 };
	char buf[64];
	int status;
	pid_t pid;

	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	prctl(PR_SET_DUMPABLE, 1);
	cleanup_fd int procfs = procfs_open(&e);
	pid = sleeper(CLONE_NEWUSER);
	CHECK(pid > 0 && procfs >= 0);
	CHECK_INT(idmap_write(procfs, pid, &own_map, &own_map, &e), 0);
	read_map(pid, "gid_map", buf, sizeof buf);
	CHECK_STR(buf, "0 65534 1\n");
	read_map(pid, "setgroups", buf, sizeof buf);
	CHECK_STR(buf, "deny\n");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	pid = sleeper(CLONE_NEWUSER);
	setenv("PATH", "/nowhere", 1);
	CHECK(idmap_write(procfs, pid, &other_map, &other_map, &e) < 0);
	CHECK_STR(e.text, "write gid_map (no newgidmap found in PATH: package uidmap) (/linux/gidMappings: host ids 5 to 5 must be "
		    "granted by root, for instance by the line 65534:5:1 in /etc/subgid)");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* Programs that stand in for newuidmap and newgidmap: they write down how they were called, and fail when told to. */
static char helper_dir[] = "/tmp/vzrun-ns-XXXXXX";

static void with_helpers(void)
{
	const char *dir = helper_dir;
	char path[64], expect[64];
	cleanup_str struct str log = { 0 };
	pid_t pid;

	CHECK_INT(chmod(dir, 0777), 0);
	for (int i = 0; i < 2; i++) {
		FILE *f;

		snprintf(path, sizeof path, "%s/%s", dir, i ? "newgidmap" : "newuidmap");
		f = fopen(path, "we");
		fprintf(f, "#!/bin/sh\necho \"$0 $*\" >>%s/log\n%s", dir, i ? "" : "echo not in subuid >&2; exit 1\n");
		fclose(f);
		chmod(path, 0755);
	}
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(path, sizeof path, "relative:%s:/usr/bin", dir);
	setenv("PATH", path, 1);
	cleanup_fd int procfs = procfs_open(&e);
	pid = sleeper(CLONE_NEWUSER);
	CHECK(idmap_write(procfs, pid, &maps, &maps, &e) < 0);
	CHECK_STR(e.text, "newuidmap: exit status 1: not in subuid (/linux/uidMappings: host ids 100000 to 100009 must be granted by "
		    "root, for instance by the line 65534:100000:10 in /etc/subuid)");
	snprintf(path, sizeof path, "%s/log", dir);
	fs_read(AT_FDCWD, path, 4096, &log, &e);
	snprintf(expect, sizeof expect, "newgidmap %d 0 100000 10 10 200000 5\n", (int)pid);
	CHECK(strstr(str_cstr(&log), expect));
	snprintf(expect, sizeof expect, "newuidmap %d 0 100000 10 10 200000 5\n", (int)pid);
	CHECK(strstr(str_cstr(&log), expect));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST(write_maps)
{
	NEED_ROOT();
	in_child(as_root);
	in_child(as_user);
	CHECK(mkdtemp(helper_dir) != NULL);
	in_child(with_helpers);
	cleanup_fd int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(fs_remove_tree(tmp, helper_dir + strlen("/tmp/"), &e), 0);
}

static void too_many_lines(void)
{
	static struct oci_idmap many[341];
	const struct oci_idmaps m = { many, 341 };
	cleanup_fd int procfs = procfs_open(&e);

	for (uint32_t i = 0; i < 341; i++)
		many[i] = (struct oci_idmap){ i, i, 1 };
	CHECK(idmap_userns(procfs, &m, &m, &e) < 0);
	CHECK_STR(e.text, "user namespace of a mount: gid_map: 341 lines, the kernel takes 340");
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* its process is gone */
}

TEST(map_limits)
{
	NEED_ROOT();
	in_child(too_many_lines);
}

/* ---- procfs ---- */

static void procfs_cases(void)
{
	cleanup_fd int procfs = procfs_open(&e);
	cleanup_str struct str text = { 0 };
	cleanup_fd int fd = -1;
	struct statfs fs;
	char own[32];

	CHECK(procfs >= 0 && fstatfs(procfs, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC);
	CHECK(fcntl(procfs, F_GETFD) & FD_CLOEXEC);
	fd = procfs_open_file(procfs, "self/stat", O_RDONLY, &e);
	CHECK(fd >= 0 && fs_read_fd(fd, 4096, "stat", &text, &e) == 0);
	snprintf(own, sizeof own, "%d (", (int)getpid());
	CHECK(str_starts(str_cstr(&text), own));
	fd_close(&fd);
	fd = procfs_open_file(procfs, "thread-self/comm", O_RDONLY, &e);
	CHECK(fd >= 0);
	CHECK_INT(procfs_write(procfs, "thread-self/comm", "renamed", &e), 0);
	CHECK_INT(procfs_open_file(procfs, "self/exe", O_RDONLY, &e), -ELOOP);
	CHECK_INT(procfs_open_file(procfs, "self/root/etc/passwd", O_RDONLY, &e), -ELOOP);
	CHECK_INT(procfs_open_file(procfs, "../etc/passwd", O_RDONLY, &e), -EXDEV);
	CHECK_INT(procfs_open_file(procfs, "no/such", O_RDONLY, &e), -ENOENT);
	CHECK_STR(e.text, "open /proc/no/such");
	CHECK(procfs_write(procfs, "version", "x", &e) < 0);
}

/* What is mounted over /proc does not count. */
static void covered(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("fake", "/proc", "tmpfs", 0, NULL) < 0)
		_exit(100);
	procfs_cases();
}

static void no_openat2(void)
{
	forbid(SYS_openat2, ENOSYS);
	cleanup_fd int procfs = procfs_open(&e);
	cleanup_fd int fd = procfs_open_file(procfs, "thread-self/attr/current", O_RDONLY, &e);
	CHECK(fd >= 0 || e.num == ENOENT);
	CHECK_INT(procfs_write(procfs, "thread-self/comm", "renamed", &e), 0);
	CHECK(procfs_open_file(procfs, "self/exe", O_RDONLY, &e) < 0);
	CHECK(procfs_open_file(procfs, "self/root/etc/passwd", O_RDONLY, &e) < 0);
	CHECK(procfs_open_file(procfs, "../etc/passwd", O_RDONLY, &e) < 0);
}

/* Without fsopen: a clone of /proc leaves covers behind; with a false /proc there is none. */
static void no_fsopen(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("/dev/null", "/proc/version", NULL, MS_BIND, NULL) < 0)
		_exit(100);
	forbid(SYS_fsopen, ENOSYS);
	cleanup_fd int procfs = procfs_open(&e);
	cleanup_fd int fd = procfs_open_file(procfs, "version", O_RDONLY, &e);
	char buf[8] = "";
	CHECK(read(fd, buf, 5) == 5 && strncmp(buf, "Linux", 5) == 0);
}

static void false_proc(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("fake", "/proc", "tmpfs", 0, NULL) < 0)
		_exit(100);
	forbid(SYS_fsopen, ENOSYS);
	CHECK(procfs_open(&e) < 0);
	CHECK_STR(e.text, "/proc is not a procfs");
}

/* Neither fsopen nor open_tree: /proc itself, where a cover is noticed. */
static void plain_proc(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("/dev/null", "/proc/version", NULL, MS_BIND, NULL) < 0)
		_exit(100);
	forbid(SYS_fsopen, ENOSYS);
	forbid(SYS_open_tree, ENOSYS);
	cleanup_fd int procfs = procfs_open(&e);
	CHECK(procfs >= 0);
	CHECK_INT(procfs_open_file(procfs, "version", O_RDONLY, &e), -EXDEV);
	forbid(SYS_openat2, ENOSYS);
	CHECK_INT(procfs_open_file(procfs, "version", O_RDONLY, &e), -EXDEV);
}

TEST(private_procfs)
{
	NEED_ROOT();
	in_child(procfs_cases);
	in_child(covered);
	in_child(no_openat2);
	in_child(no_fsopen);
	in_child(false_proc);
	in_child(plain_proc);
}

/* ---- calls in the namespaces of another process ---- */

struct call {
	char name[65];
	int how; /* what the function does besides: fail, die */
};

static int call_inside(void *arg, struct err *error)
{
	struct call *c = arg;
	struct utsname u;

	if (c->how == 2)
		_exit(0);
	uname(&u);
	snprintf(c->name, sizeof c->name, "%s", u.nodename);
	return c->how == 1 ? err_set(error, ERR_KERNEL, EBUSY, "as told") : 0;
}

/* A process that waits in new namespaces until it is killed. */
static pid_t parked_in(int flags, int *pidfd)
{
	struct clone_options o = { .flags = (uint64_t)flags, .cgroup_fd = -1, .want_pidfd = true };
	int ends[2];
	char c = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = clone_process(&o, pidfd, &e);
	if (pid == 0) {
		ns_hostname("parked", NULL, &e);
		(void)!write(ends[1], &c, 1);
		for (;;)
			pause();
	}
	close(ends[1]);
	CHECK_INT(read(ends[0], &c, 1), 1);
	close(ends[0]);
	return pid;
}

TEST(call_in_namespaces)
{
	struct call c = { 0 };
	int pidfd = -1;
	pid_t pid;

	NEED_ROOT();
	pid = parked_in(CLONE_NEWUTS, &pidfd);
	CHECK(pid > 0);
	if (pid <= 0)
		return;
	CHECK_INT(ns_call(pid, pidfd, CLONE_NEWUTS, call_inside, &c, sizeof c, &e), 0);
	CHECK_STR(c.name, "parked");
	c = (struct call){ .how = 1 };
	CHECK(ns_call(pid, pidfd, CLONE_NEWUTS, call_inside, &c, sizeof c, &e) < 0);
	CHECK_STR(e.text, "as told");
	CHECK_INT(e.num, EBUSY);
	CHECK_STR(c.name, "parked");
	c = (struct call){ .how = 2 };
	CHECK(ns_call(pid, pidfd, CLONE_NEWUTS, call_inside, &c, sizeof c, &e) < 0);
	CHECK_INT(e.num, ETIMEDOUT);
	/* What it shares with us is the host's. */
	CHECK(ns_call(pid, pidfd, CLONE_NEWUTS | CLONE_NEWNS, call_inside, &c, sizeof c, &e) < 0);
	CHECK_STR(e.text, "the container has no mnt namespace of its own");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	c = (struct call){ 0 };
	CHECK(ns_call(pid, pidfd, CLONE_NEWUTS, call_inside, &c, sizeof c, &e) < 0);
	close(pidfd);
}
