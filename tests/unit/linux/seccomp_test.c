// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/seccomp.h"
#include "runtime/linux/seccomp_cache.h"
#include "runtime/linux/seccomp_stub.h"
#include "tests/lib/test.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define NAMES(...)                                                            \
	{                                                                     \
		.v = (const char *[]){ __VA_ARGS__, NULL },                   \
		.n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) \
	}
#define RULES(...)                                                            \
	{                                                                     \
		.v = (struct oci_seccomp_rule[]){ __VA_ARGS__ },              \
		.n = sizeof((struct oci_seccomp_rule[]){ __VA_ARGS__ }) /     \
		     sizeof(struct oci_seccomp_rule)                          \
	}
#define ARGS(...)                                                             \
	{                                                                     \
		.v = (struct oci_seccomp_arg[]){ __VA_ARGS__ },               \
		.n = sizeof((struct oci_seccomp_arg[]){ __VA_ARGS__ }) /      \
		     sizeof(struct oci_seccomp_arg)                           \
	}
#define NUMBER(x) { .v = (x), .set = true }

/* What a process needs to answer: the rest of a document that denies by default. */
#define BASICS "read", "write", "exit", "exit_group", "rt_sigreturn", "close", "munmap", "getpid"

static const char *compile_error(const struct oci_seccomp *s, struct err *e)
{
	struct arena a = { 0 };
	struct seccomp_program p;

	*e = (struct err){ 0 };
	seccomp_compile(s, -1, &p, &a, e);
	arena_done(&a);
	return e->text;
}

static int load_quietly(const struct seccomp_program *p)
{
	struct err e = { 0 };
	int r;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = seccomp_load(p, &e);
	if (r < 0)
		printf("# %s (errno %d)\n", e.text, e.num);
	return r;
}

/* errno of each call of `probe` under the filter, in a child: the child exits with it; a signal gives 1000 + it. */
static int run_filtered(const struct oci_seccomp *s, int cache, int (*probe)(void))
{
	struct arena a = { 0 };
	struct seccomp_program p = { 0 };
	struct err e = { 0 };
	int status;
	pid_t pid;

	if (seccomp_compile(s, cache, &p, &a, &e) < 0) {
		printf("# %s\n", e.text);
		arena_done(&a);
		return -1;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(10);
		if (load_quietly(&p) < 0)
			_exit(250);
		syscall(SYS_exit_group, probe());
	}
	waitpid(pid, &status, 0);
	arena_done(&a);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

static int probe_getppid(void) { return errno_of(syscall(SYS_getppid)); }
static int probe_future(void) { return errno_of(syscall(4000)); }
static int probe_uname(void) { return errno_of(syscall(SYS_uname, 0)); }
static int probe_getpid(void) { return errno_of(syscall(SYS_getpid)); }

TEST(default_errno_and_allow)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .default_errno_ret = NUMBER(EXDEV),
				 .syscalls = RULES({ .names = NAMES(BASICS), .action = OCI_ACT_ALLOW }) };

	CHECK_INT(run_filtered(&s, -1, probe_getppid), EXDEV);
	CHECK_INT(run_filtered(&s, -1, probe_getpid), 0);
	s.default_errno_ret.set = false;
	CHECK_INT(run_filtered(&s, -1, probe_getppid), EPERM);
}

TEST(numbers_above_the_profile_are_enosys)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES({ .names = NAMES(BASICS), .action = OCI_ACT_ALLOW }) };

	/* The largest named is exit_group; below it the default holds, above it the stub. */
	CHECK_INT(run_filtered(&s, -1, probe_getppid), EPERM);
	CHECK_INT(run_filtered(&s, -1, probe_future), ENOSYS);
	s.default_action = OCI_ACT_KILL_PROCESS;
	CHECK_INT(run_filtered(&s, -1, probe_future), ENOSYS);
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 1000 + SIGSYS);
	/* The document answers for itself. */
	s.default_action = OCI_ACT_ALLOW;
	s.syscalls.v[0].action = OCI_ACT_LOG;
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 0);
}

#if defined(__x86_64__)
static int probe_x32(void) { return errno_of(syscall(0x40000000 + SYS_getppid)); }
static int probe_x32_future(void) { return errno_of(syscall(0x40000000 + 4000)); }

TEST(x32_is_left_to_the_filter_or_has_its_own_limit)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .default_errno_ret = NUMBER(EXDEV),
				 .syscalls = RULES({ .names = NAMES(BASICS), .action = OCI_ACT_ALLOW }) };

	/* libseccomp kills calls of an architecture that is not listed. */
	CHECK_INT(run_filtered(&s, -1, probe_x32_future), 1000 + SIGSYS);
	s.architectures = (struct oci_strs)NAMES("SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86");
	CHECK_INT(run_filtered(&s, -1, probe_x32_future), ENOSYS);
	CHECK_INT(run_filtered(&s, -1, probe_x32), EXDEV);
	CHECK_INT(run_filtered(&s, -1, probe_future), ENOSYS);
}
#endif

static long sim(const struct sock_filter *f, size_t n, uint32_t arch, uint32_t nr)
{
	uint32_t acc = 0;

	for (size_t i = 0; i < n; i++) {
		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			acc = f[i].k == offsetof(struct seccomp_data, arch) ? arch : nr;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K: i += acc == f[i].k ? f[i].jt : f[i].jf; break;
		case BPF_JMP | BPF_JGT | BPF_K: i += acc > f[i].k ? f[i].jt : f[i].jf; break;
		case BPF_JMP | BPF_JGE | BPF_K: i += acc >= f[i].k ? f[i].jt : f[i].jf; break;
		case BPF_JMP | BPF_JA: i += f[i].k; break;
		case BPF_RET | BPF_K: return f[i].k;
		default: return -2;
		}
	}
	return -1; /* on to the filter */
}

TEST(stub_of_many_architectures)
{
	const long enosys = SECCOMP_RET_ERRNO | ENOSYS;
	struct stub_arch archs[] = {
		{ .audit = AUDIT_ARCH_X86_64, .max = 300, .split = 0x40000000, .high = -1 },
		{ .audit = AUDIT_ARCH_I386, .max = 400, .high = -1 },
		{ .audit = AUDIT_ARCH_ARM, .max = 350, .split = 0x0f0000, .high = -1 },
		{ .audit = AUDIT_ARCH_S390X, .max = 360, .high = -1, .zero_is_unknown = true },
		{ .audit = AUDIT_ARCH_AARCH64, .max = -1, .high = -1 },
	};
	struct sock_filter f[STUB_INSNS_MAX];
	size_t n = seccomp_stub_make(archs, 5, f);

	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 300), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 301), enosys);
	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 0), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 0x40000001), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_I386, 301), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_I386, 401), enosys);
	CHECK_INT(sim(f, n, AUDIT_ARCH_ARM, 351), enosys);
	CHECK_INT(sim(f, n, AUDIT_ARCH_ARM, 0x0f0005), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_S390X, 0), enosys);
	CHECK_INT(sim(f, n, AUDIT_ARCH_S390X, 1), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_S390X, 361), enosys);
	CHECK_INT(sim(f, n, AUDIT_ARCH_AARCH64, 4000), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_PPC64, 4000), -1);
	archs[0].high = 0x40000200;
	n = seccomp_stub_make(archs, 1, f);
	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 0x40000200), -1);
	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 0x40000201), enosys);
	CHECK_INT(sim(f, n, AUDIT_ARCH_X86_64, 301), enosys);
	CHECK_INT(seccomp_stub_make(archs + 4, 1, f), 0);
}

TEST(actions)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = NAMES("getppid"), .action = OCI_ACT_ERRNO }) };

	CHECK_INT(run_filtered(&s, -1, probe_getppid), EPERM);
	s.syscalls.v[0].errno_ret = (struct opt_u64)NUMBER(ENOTTY);
	CHECK_INT(run_filtered(&s, -1, probe_getppid), ENOTTY);
	s.syscalls.v[0].action = OCI_ACT_TRACE; /* no tracer: the kernel answers ENOSYS */
	CHECK_INT(run_filtered(&s, -1, probe_getppid), ENOSYS);
	s.syscalls.v[0].errno_ret.set = false;
	s.syscalls.v[0].action = OCI_ACT_TRAP;
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 1000 + SIGSYS);
	s.syscalls.v[0].action = OCI_ACT_KILL_PROCESS;
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 1000 + SIGSYS);
	s.syscalls.v[0].action = OCI_ACT_KILL_THREAD;
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 1000 + SIGSYS);
	s.syscalls.v[0].action = OCI_ACT_LOG;
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 0);
	s.syscalls.v[0].action = OCI_ACT_ALLOW; /* the default again: skipped */
	CHECK_INT(run_filtered(&s, -1, probe_getppid), 0);
}

static unsigned long probe_value;
static int probe_value_1(void) { return errno_of(syscall(SYS_dup2, -1, probe_value)); } /* EBADF when it runs */

static int with_op(int64_t op, uint64_t value, uint64_t two, unsigned long actual)
{
	struct oci_seccomp s = {
		.default_action = OCI_ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("dup2"), .action = OCI_ACT_ERRNO, .errno_ret = NUMBER(EXDEV),
				    .args = ARGS({ .index = 1, .value = value, .value_two = NUMBER(two), .op = op }) }),
	};

	probe_value = actual;
	return run_filtered(&s, -1, probe_value_1) == EXDEV;
}

TEST(operators)
{
	CHECK_INT(with_op(OCI_CMP_EQ, 5, 0, 5), 1);
	CHECK_INT(with_op(OCI_CMP_EQ, 5, 0, 6), 0);
	CHECK_INT(with_op(OCI_CMP_NE, 5, 0, 6), 1);
	CHECK_INT(with_op(OCI_CMP_NE, 5, 0, 5), 0);
	CHECK_INT(with_op(OCI_CMP_LT, 5, 0, 4), 1);
	CHECK_INT(with_op(OCI_CMP_LT, 5, 0, 5), 0);
	CHECK_INT(with_op(OCI_CMP_LE, 5, 0, 5), 1);
	CHECK_INT(with_op(OCI_CMP_LE, 5, 0, 6), 0);
	CHECK_INT(with_op(OCI_CMP_GE, 5, 0, 5), 1);
	CHECK_INT(with_op(OCI_CMP_GE, 5, 0, 4), 0);
	CHECK_INT(with_op(OCI_CMP_GT, 5, 0, 6), 1);
	CHECK_INT(with_op(OCI_CMP_GT, 5, 0, 5), 0);
	CHECK_INT(with_op(OCI_CMP_MASKED_EQ, 0xf0, 0x50, 0x5a), 1);
	CHECK_INT(with_op(OCI_CMP_MASKED_EQ, 0xf0, 0x50, 0x6a), 0);
}

TEST(two_conditions_on_one_argument_are_two_rules)
{
	struct oci_seccomp s = {
		.default_action = OCI_ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("dup2"), .action = OCI_ACT_ERRNO, .errno_ret = NUMBER(EXDEV),
				    .args = ARGS({ .index = 1, .value = 5, .op = OCI_CMP_EQ },
						 { .index = 1, .value = 9, .op = OCI_CMP_EQ }) }),
	};

	probe_value = 5;
	CHECK_INT(run_filtered(&s, -1, probe_value_1), EXDEV);
	probe_value = 9;
	CHECK_INT(run_filtered(&s, -1, probe_value_1), EXDEV);
	probe_value = 7;
	CHECK_INT(run_filtered(&s, -1, probe_value_1), EBADF);
	s.syscalls.v[0].args.v[0].index = 0; /* different arguments: both must hold */
	s.syscalls.v[0].args.v[0].value = 77;
	s.syscalls.v[0].args.v[0].op = OCI_CMP_NE;
	probe_value = 9;
	CHECK_INT(run_filtered(&s, -1, probe_value_1), EXDEV);
	probe_value = 5;
	CHECK_INT(run_filtered(&s, -1, probe_value_1), EBADF);
}

TEST(unknown_names_are_ignored)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = NAMES("no_such_call", "uname"), .action = OCI_ACT_ERRNO }) };

	CHECK_INT(run_filtered(&s, -1, probe_uname), EPERM);
}

TEST(bad_documents_are_named)
{
	struct err e;
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES({ .names = NAMES("read", "write"), .action = OCI_ACT_NOTIFY }) };

	CHECK_STR(compile_error(&s, &e), "/linux/seccomp/syscalls/0/names/1: SCMP_ACT_NOTIFY cannot be used for write");
	CHECK_INT(e.kind, ERR_CONFIG);
	s.syscalls.v[0].action = OCI_ACT_ALLOW;
	s.syscalls.v[0].errno_ret = (struct opt_u64)NUMBER(1);
	CHECK_STR(compile_error(&s, &e), "/linux/seccomp/syscalls/0/errnoRet: SCMP_ACT_ALLOW takes no number");
	s.syscalls.v[0].action = OCI_ACT_ERRNO;
	s.syscalls.v[0].errno_ret.v = 4096;
	CHECK_STR(compile_error(&s, &e), "/linux/seccomp/syscalls/0/errnoRet: must be at most 4095");
	s.syscalls.v[0].errno_ret.v = 2;
	s.default_errno_ret = (struct opt_u64)NUMBER(1);
	s.default_action = OCI_ACT_KILL_THREAD;
	CHECK_STR(compile_error(&s, &e), "/linux/seccomp/defaultErrnoRet: SCMP_ACT_KILL takes no number");
	s.default_errno_ret.set = false;
	s.default_action = OCI_ACT_NOTIFY;
	CHECK(strstr(compile_error(&s, &e), "/linux/seccomp/defaultAction: "));
	s.default_action = OCI_ACT_ALLOW;
	s.architectures = (struct oci_strs)NAMES("SCMP_ARCH_NATIVE", "SCMP_ARCH_PDP11");
	CHECK_STR(compile_error(&s, &e), "/linux/seccomp/architectures/1: libseccomp does not know SCMP_ARCH_PDP11");
	CHECK_INT(e.kind, ERR_UNSUPPORTED);
	s.architectures = (struct oci_strs)NAMES("SCMP_ARCH_S390X"); /* the other byte order */
	CHECK(strstr(compile_error(&s, &e), "/linux/seccomp/architectures/0: libseccomp cannot add"));
	s.architectures.n = 0;
	s.syscalls.v[0].args = (struct oci_seccomp_args)ARGS({ .index = 6 });
	CHECK_STR(compile_error(&s, &e),
		  "/linux/seccomp/syscalls/0/args/0/index: a system call has arguments 0 to 5");
}

TEST(flags)
{
	struct arena a = { 0 };
	struct err e = { 0 };
	struct seccomp_program p;
	int64_t flags[] = { SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV };
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = NAMES("getppid"), .action = OCI_ACT_ERRNO }) };

	CHECK_INT(seccomp_compile(&s, -1, &p, &a, &e), 0);
	CHECK_INT(p.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	s.flags_set = true; /* "flags": [] */
	CHECK_INT(seccomp_compile(&s, -1, &p, &a, &e), 0);
	CHECK_INT(p.flags, 0);
	s.flags = (struct oci_ints){ .v = flags, .n = 3 };
	CHECK_INT(seccomp_compile(&s, -1, &p, &a, &e), 0);
	CHECK_INT(p.flags, SECCOMP_FILTER_FLAG_LOG);
	s.syscalls.v[0].action = OCI_ACT_NOTIFY;
	CHECK_INT(seccomp_compile(&s, -1, &p, &a, &e), 0);
	CHECK_INT(p.flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_NEW_LISTENER |
				   SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	CHECK(p.listener);
	flags[0] = 1 << 20;
	CHECK_STR(compile_error(&s, &e), "/linux/seccomp/flags/0: this kernel does not know it");
	CHECK_INT(e.kind, ERR_UNSUPPORTED);
	arena_done(&a);
}

/* The agent's side: one notification, answered with EXDEV. */
static void answer_one(int listener)
{
	struct seccomp_notif req = { 0 };
	struct seccomp_notif_resp resp = { .error = -EXDEV };
	struct pollfd p = { .fd = listener, .events = POLLIN };

	CHECK_INT(poll(&p, 1, 10000), 1);
	CHECK_INT(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req), 0);
	CHECK_INT(req.data.nr, SYS_getppid);
	resp.id = req.id;
	CHECK_INT(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp), 0);
}

TEST(notify_listener)
{
	struct arena a = { 0 };
	struct err e = { 0 };
	struct seccomp_program p = { 0 };
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = NAMES("getppid"), .action = OCI_ACT_NOTIFY }) };
	int status, pipefd[2], fd = -1;
	pid_t pid;

	CHECK_INT(seccomp_compile(&s, -1, &p, &a, &e), 0);
	CHECK_INT(pipe2(pipefd, O_CLOEXEC), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int l;

		alarm(10);
		l = load_quietly(&p);
		if (l <= 0 || !(fcntl(l, F_GETFD) & FD_CLOEXEC) || write(pipefd[1], &l, sizeof l) != sizeof l)
			_exit(250);
		_exit(probe_getppid());
	}
	CHECK_INT(read(pipefd[0], &fd, sizeof fd), sizeof fd);
	cleanup_fd int pidfd = sys_pidfd_open(pid, 0);
	cleanup_fd int listener = sys_pidfd_getfd(pidfd, fd, 0);
	CHECK(listener >= 0);
	if (listener >= 0)
		answer_one(listener);
	waitpid(pid, &status, 0);
	CHECK_INT(WEXITSTATUS(status), EXDEV);
	close(pipefd[0]);
	close(pipefd[1]);
	arena_done(&a);
}

/* ---- notify_send ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
	CHECK_INT(bind(s, (struct sockaddr *)&addr, sizeof addr), 0);
	CHECK_INT(listen(s, 4), 0);
	return s;
}

TEST(notify_send_puts_the_descriptors_into_the_first_message)
{
	char dir[] = "/tmp/vznotifyXXXXXX", path[64], text[256];
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { text, sizeof text };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct err e = { 0 };
	struct stat sent, got;
	int fds[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC), open("/", O_PATH | O_CLOEXEC) }, received[2];

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
	cleanup_fd int l = listen_at(path);
	CHECK_INT(notify_send(path, "{\"ociVersion\":\"1.2.0\"}", fds, 2, &e), 0);
	cleanup_fd int c = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	ssize_t n = recvmsg(c, &msg, MSG_CMSG_CLOEXEC);
	CHECK_INT(n, 22);
	text[n > 0 ? n : 0] = '\0';
	CHECK_STR(text, "{\"ociVersion\":\"1.2.0\"}");
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
	CHECK(h && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof received));
	if (h && h->cmsg_len == CMSG_LEN(sizeof received)) {
		memcpy(received, CMSG_DATA(h), sizeof received);
		for (int i = 0; i < 2; i++) {
			fstat(fds[i], &sent);
			CHECK_INT(fstat(received[i], &got), 0);
			CHECK(sent.st_ino == got.st_ino && sent.st_dev == got.st_dev);
			close(received[i]);
		}
	}
	CHECK_INT(read(c, text, sizeof text), 0); /* closed after one message */
	close(fds[0]);
	close(fds[1]);
	unlink(path);
	CHECK(notify_send(path, "{}", NULL, 0, &e) < 0);
	CHECK_INT(e.num, ENOENT);
	rmdir(dir);
}

/* ---- the cache ---- */

struct cache_dir {
	char path[32];
	int fd;
};

static struct cache_dir cache_make(void)
{
	struct cache_dir c = { .path = "/tmp/vzcacheXXXXXX" };

	CHECK(mkdtemp(c.path) != NULL);
	c.fd = open(c.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c;
}

static void cache_drop(struct cache_dir *c)
{
	struct err e;

	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(c->fd);
	CHECK_INT(fs_remove_tree(tmp, c->path + strlen("/tmp/"), &e), 0);
}

static int cache_count(const struct cache_dir *c, char *ret_name)
{
	DIR *d = opendir(c->path);
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0) {
			n++;
			if (ret_name)
				snprintf(ret_name, 256, "%s", de->d_name);
		}
	closedir(d);
	return n;
}

static bool find(const struct cache_dir *c, const struct oci_seccomp *s)
{
	struct arena a = { 0 };
	struct seccomp_program p;
	struct seccomp_key key;
	struct err e;
	bool found = seccomp_cache_key(s, &key, &e) == 0 && seccomp_cache_find(c->fd, &key, &p, &a);

	arena_done(&a);
	return found;
}

TEST(cache_gives_the_same_program)
{
	struct cache_dir c = cache_make();
	struct arena a = { 0 };
	struct err e = { 0 };
	struct seccomp_program p1, p2;
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .default_errno_ret = NUMBER(EXDEV),
				 .syscalls = RULES({ .names = NAMES(BASICS), .action = OCI_ACT_ALLOW }) };
	struct stat st;
	char name[256];

	CHECK(!find(&c, &s));
	CHECK_INT(seccomp_compile(&s, c.fd, &p1, &a, &e), 0);
	CHECK_INT(cache_count(&c, name), 1);
	CHECK_INT(fstatat(c.fd, name, &st, 0), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK(find(&c, &s));
	CHECK_INT(seccomp_compile(&s, c.fd, &p2, &a, &e), 0);
	CHECK(p1.len == p2.len && p1.flags == p2.flags && p1.listener == p2.listener);
	CHECK(memcmp(p1.insns, p2.insns, p1.len * sizeof *p1.insns) == 0);
	CHECK_INT(run_filtered(&s, c.fd, probe_getppid), EXDEV);
	/* Everything that goes in counts. */
	s.default_errno_ret.v = EPERM;
	CHECK(!find(&c, &s));
	s.default_errno_ret.v = EXDEV;
	s.flags_set = true;
	CHECK(!find(&c, &s));
	s.flags_set = false;
	s.syscalls.v[0].names.n--;
	CHECK(!find(&c, &s));
	s.syscalls.v[0].names.n++;
	CHECK(find(&c, &s));
	arena_done(&a);
	cache_drop(&c);
}

TEST(cache_trusts_no_foreign_or_damaged_entry)
{
	struct cache_dir c = cache_make();
	struct arena a = { 0 };
	struct err e = { 0 };
	struct seccomp_program p;
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = NAMES("uname"), .action = OCI_ACT_ERRNO }) };
	char name[256], byte;
	struct stat st;

	CHECK_INT(seccomp_compile(&s, c.fd, &p, &a, &e), 0);
	CHECK_INT(cache_count(&c, name), 1);
	CHECK_INT(fchmodat(c.fd, name, 0620, 0), 0);
	CHECK(!find(&c, &s));
	CHECK_INT(fchmodat(c.fd, name, 0600, 0), 0);
	CHECK(find(&c, &s));
	if (geteuid() == 0) {
		CHECK_INT(fchownat(c.fd, name, 12345, 0, 0), 0);
		CHECK(!find(&c, &s));
		CHECK_INT(fchownat(c.fd, name, 0, 0, 0), 0);
	}
	CHECK(find(&c, &s));
	{ /* one bit of the last instruction */
		cleanup_fd int fd = openat(c.fd, name, O_RDWR | O_CLOEXEC);

		fstat(fd, &st);
		CHECK_INT(pread(fd, &byte, 1, st.st_size - 1), 1);
		byte ^= 1;
		CHECK_INT(pwrite(fd, &byte, 1, st.st_size - 1), 1);
		CHECK(!find(&c, &s));
		byte ^= 1;
		CHECK_INT(pwrite(fd, &byte, 1, st.st_size - 1), 1);
		CHECK(find(&c, &s));
		CHECK_INT(ftruncate(fd, st.st_size - 8), 0);
		CHECK(!find(&c, &s));
	}
	/* A compilation replaces what could not be used. */
	CHECK_INT(seccomp_compile(&s, c.fd, &p, &a, &e), 0);
	CHECK(find(&c, &s));
	/* Under another document's name. */
	struct oci_seccomp other = s;
	other.default_action = OCI_ACT_LOG;
	CHECK_INT(seccomp_compile(&other, c.fd, &p, &a, &e), 0);
	unlinkat(c.fd, name, 0);
	char second[256];
	CHECK_INT(cache_count(&c, second), 1);
	CHECK_INT(renameat(c.fd, second, c.fd, name), 0);
	CHECK(!find(&c, &s));
	/* A symlink, a FIFO. */
	CHECK_INT(renameat(c.fd, name, c.fd, second), 0);
	CHECK(find(&c, &other));
	CHECK_INT(renameat(c.fd, second, c.fd, "x"), 0);
	CHECK_INT(symlinkat("x", c.fd, second), 0);
	CHECK(!find(&c, &other));
	unlinkat(c.fd, second, 0);
	CHECK_INT(mkfifoat(c.fd, second, 0600), 0);
	alarm(10);
	CHECK(!find(&c, &other));
	alarm(0);
	arena_done(&a);
	cache_drop(&c);
}

TEST(cache_forgets_when_the_library_changes)
{
	struct cache_dir c = cache_make();
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct seccomp_program p = { .insns = &insn, .len = 1 };
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW };
	struct seccomp_key key;
	struct err e;
	char lib[64];

	snprintf(lib, sizeof lib, "%s/lib", c.path);
	CHECK_INT(close(open(lib, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)), 0);
	CHECK_INT(seccomp_cache_key(&s, &key, &e), 0);
	seccomp_cache_store(c.fd, &key, &p, lib);
	CHECK(find(&c, &s));
	CHECK_INT(truncate(lib, 1), 0);
	CHECK(!find(&c, &s));
	seccomp_cache_store(c.fd, &key, &p, lib);
	CHECK(find(&c, &s));
	unlink(lib);
	CHECK(!find(&c, &s));
	cache_drop(&c);
}

TEST(cache_drops_the_oldest)
{
	struct cache_dir c = cache_make();
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct seccomp_program p = { .insns = &insn, .len = 1 };
	struct seccomp_key key = { 0 };
	struct arena a = { 0 };

	for (int i = 0; i < SECCOMP_CACHE_ENTRIES + 6; i++) {
		struct timespec t[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };
		char name[65] = "";

		key.b[0] = (uint8_t)i;
		seccomp_cache_store(c.fd, &key, &p, "/");
		snprintf(name, sizeof name, "%02x%062d", i, 0);
		CHECK_INT(utimensat(c.fd, name, t, 0), 0);
		if (i == SECCOMP_CACHE_ENTRIES - 1) { /* using the first one makes it young again */
			key.b[0] = 0;
			CHECK(seccomp_cache_find(c.fd, &key, &p, &a));
		}
	}
	CHECK_INT(cache_count(&c, NULL), SECCOMP_CACHE_ENTRIES);
	key.b[0] = 0;
	CHECK(seccomp_cache_find(c.fd, &key, &p, &a));
	key.b[0] = 1;
	CHECK(!seccomp_cache_find(c.fd, &key, &p, &a));
	key.b[0] = SECCOMP_CACHE_ENTRIES + 5;
	CHECK(seccomp_cache_find(c.fd, &key, &p, &a));
	arena_done(&a);
	cache_drop(&c);
}

/* About what container engines send: 350 allowed calls, some conditions, three architectures. */
static const char *const large_names[] = {
#include "tests/unit/linux/seccomp_names.inc"
	NULL,
};

static double elapsed_us(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) * 1e6 + (double)(now.tv_nsec - from->tv_nsec) / 1e3;
}

TEST(large_profile)
{
	struct oci_seccomp s = {
		.default_action = OCI_ACT_ERRNO,
		.default_errno_ret = NUMBER(EPERM),
		.architectures = NAMES("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
		.syscalls = RULES({ .action = OCI_ACT_ALLOW },
				  { .names = NAMES("personality"), .action = OCI_ACT_ALLOW, .args = ARGS({ .op = OCI_CMP_EQ }) },
				  { .names = NAMES("personality"), .action = OCI_ACT_ALLOW,
				    .args = ARGS({ .value = 0xffffffff, .op = OCI_CMP_EQ }) },
				  { .names = NAMES("clone"), .action = OCI_ACT_ALLOW,
				    .args = ARGS({ .value = 2114060288, .value_two = NUMBER(0), .op = OCI_CMP_MASKED_EQ }) },
				  { .names = NAMES("clone3"), .action = OCI_ACT_ERRNO, .errno_ret = NUMBER(ENOSYS) }),
	};
	struct cache_dir c = cache_make();
	struct arena a = { 0 };
	struct err e = { 0 };
	struct seccomp_program miss = { 0 }, hit = { 0 };
	struct timespec t;

	s.syscalls.v[0].names = (struct oci_strs){ .v = (const char **)(uintptr_t)large_names,
						   .n = sizeof large_names / sizeof *large_names - 1 };
#if !defined(__x86_64__)
	s.architectures.n = 0;
#endif
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_INT(seccomp_compile(&s, c.fd, &miss, &a, &e), 0);
	printf("# miss: %.0f us, %u instructions\n", elapsed_us(&t), miss.len);
	for (int i = 0; i < 3; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		CHECK_INT(seccomp_compile(&s, c.fd, &hit, &a, &e), 0);
		printf("# hit: %.0f us\n", elapsed_us(&t));
	}
	CHECK(miss.len == hit.len && miss.len > 100);
	CHECK(hit.insns && miss.insns && memcmp(miss.insns, hit.insns, miss.len * sizeof *miss.insns) == 0);
	CHECK_INT(run_filtered(&s, c.fd, probe_getppid), 0);
	CHECK_INT(run_filtered(&s, c.fd, probe_future), ENOSYS);
	cache_drop(&c);
	arena_done(&a);
}

TEST(blake2b_vectors)
{
	static const uint8_t abc[4] = { 0xba, 0x80, 0xa5, 0x3f }; /* RFC 7693, appendix A */
	uint8_t out[64], self[32], in[1024];
	static const uint8_t many[8] = { 0xee, 0xb1, 0xd8, 0xe6, 0x91, 0xa0, 0x64, 0xdf };
	static const size_t out_len[4] = { 20, 32, 48, 64 }, in_len[6] = { 0, 3, 128, 129, 255, 1024 };
	struct blake2b h, all;

	blake2b_init(&h, 64);
	blake2b_add(&h, "abc", 3);
	blake2b_end(&h, out);
	CHECK(memcmp(out, abc, sizeof abc) == 0);
	/* Many lengths, hashed again; the value was computed by another implementation. */
	blake2b_init(&all, 32);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 6; j++) {
			for (size_t k = 0; k < in_len[j]; k++)
				in[k] = (uint8_t)(k * 7 + in_len[j]);
			blake2b_init(&h, out_len[i]);
			blake2b_add(&h, in, in_len[j] / 3);
			blake2b_add(&h, in + in_len[j] / 3, in_len[j] - in_len[j] / 3);
			blake2b_end(&h, out);
			blake2b_add(&all, out, out_len[i]);
		}
	blake2b_end(&all, self);
	CHECK(memcmp(self, many, sizeof many) == 0);
}

TEST(library_version)
{
	char v[32] = "";

	CHECK(seccomp_available());
	CHECK_INT(seccomp_version(v, sizeof v), 0);
	CHECK(strchr(v, '.') != NULL);
}
