// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/sys.h"
#include "runtime/linux/creds.h"
#include "runtime/linux/procfs.h"
#include "tests/lib/test.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* Every test changes what cannot be changed back: in a child. */
static void in_child(void (*test)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		SKIP("needs root: changes ids and capabilities");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int before = test_failures;

		alarm(30);
		test();
		fflush(stdout);
		_exit(test_failures > before);
	}
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
}

/* "CapPrm" and so on of /proc/self/status, as the kernel shows them. */
static uint64_t shown(const char *field)
{
	FILE *f = fopen("/proc/thread-self/status", "re");
	char line[4096];
	uint64_t v = ~UINT64_C(0);

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, field, strlen(field)) == 0)
			v = strtoull(line + strlen(field) + 1, NULL, 16);
	if (f)
		fclose(f);
	return v;
}

static int procfs(void)
{
	struct err e;
	int fd = procfs_open(&e);

	CHECK(fd >= 0);
	return fd;
}

static struct oci_capabilities all_sets(uint64_t mask)
{
	struct oci_caps_set s = { .mask = mask, .set = true };

	return (struct oci_capabilities){ s, s, s, s, s };
}

static void become(const struct oci_capabilities *caps, uint32_t uid, uint64_t *missing)
{
	struct oci_user user = { .uid = uid, .gid = uid };
	struct err e = { 0 };
	uint64_t m1 = 0, m2 = 0;
	cleanup_fd int proc = procfs();

	CHECK_INT(creds_bounding(caps, &m1, &e), 0);
	CHECK_INT(creds_ids(&user, proc, false, &e), 0);
	CHECK_INT(creds_caps(caps, &m2, &e), 0);
	*missing = m1 | m2;
}

static void user_with_caps(void)
{
	const uint64_t want = BIT(CAP_CHOWN) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_KILL);
	struct oci_capabilities caps = all_sets(want);
	uint64_t missing;

	caps.effective.mask = BIT(CAP_KILL);
	caps.ambient.mask = BIT(CAP_CHOWN);
	become(&caps, 1234, &missing);
	CHECK_INT(missing, 0);
	CHECK_INT(shown("CapBnd:"), want);
	CHECK_INT(shown("CapPrm:"), want);
	CHECK_INT(shown("CapInh:"), want);
	CHECK_INT(shown("CapEff:"), BIT(CAP_KILL));
	CHECK_INT(shown("CapAmb:"), BIT(CAP_CHOWN));
	CHECK_INT(getuid(), 1234);
}
TEST(capabilities_of_a_user) { in_child(user_with_caps); }

static void without_object(void)
{
	uint64_t missing = 1;

	become(NULL, 0, &missing);
	CHECK_INT(missing, 0);
	CHECK_INT(shown("CapBnd:"), 0);
	CHECK_INT(shown("CapPrm:"), 0);
	CHECK_INT(shown("CapEff:"), 0);
	CHECK_INT(shown("CapInh:"), 0);
	CHECK_INT(shown("CapAmb:"), 0);
}
TEST(no_object_means_no_capability) { in_child(without_object); }

static void inheritable_only_as_written(void)
{
	struct oci_capabilities caps = all_sets(BIT(CAP_CHOWN));
	uint64_t missing;

	caps.inheritable.mask = 0;
	caps.ambient.mask = 0;
	become(&caps, 0, &missing);
	CHECK_INT(shown("CapInh:"), 0);
	CHECK_INT(shown("CapEff:"), BIT(CAP_CHOWN));
}
TEST(nothing_inheritable_by_itself) { in_child(inheritable_only_as_written); }

static void cannot_be_granted(void)
{
	const uint64_t gone = BIT(CAP_SYS_TIME), keep = BIT(CAP_CHOWN) | BIT(CAP_SETPCAP) | BIT(CAP_SETUID) | BIT(CAP_SETGID);
	struct oci_capabilities caps = all_sets(keep | gone | BIT(60));
	struct oci_capabilities without = all_sets(shown("CapPrm:") & ~gone);
	struct err e = { 0 };
	uint64_t missing;

	/* A caller that lacks one capability, and a document with a number that no kernel has. */
	CHECK_INT(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0), 0);
	without.ambient.mask = 0;
	without.inheritable.mask = 0;
	CHECK_INT(creds_caps(&without, &missing, &e), 0);
	become(&caps, 1000, &missing);
	CHECK_INT(missing, gone | BIT(60));
	CHECK_INT(shown("CapPrm:"), keep);
	CHECK_INT(shown("CapEff:"), keep);
	CHECK_INT(shown("CapAmb:"), keep);
	CHECK_INT(shown("CapBnd:"), keep);
}
TEST(missing_ones_are_reported_and_the_rest_applied) { in_child(cannot_be_granted); }

static void this_machine(void)
{
	struct oci_capabilities caps = all_sets(BIT(CAP_SYS_RESOURCE) | BIT(CAP_CHOWN));
	uint64_t missing;

	become(&caps, 0, &missing);
	CHECK_INT(missing, BIT(CAP_SYS_RESOURCE));
	CHECK_INT(shown("CapPrm:"), BIT(CAP_CHOWN));
}
TEST(a_machine_without_cap_sys_resource)
{
	if (shown("CapBnd:") & BIT(CAP_SYS_RESOURCE))
		SKIP("this machine grants CAP_SYS_RESOURCE");
	in_child(this_machine);
}

static void bounding_refused(void)
{
	struct oci_capabilities caps = all_sets(0), all = all_sets(~UINT64_C(0));
	struct err e = { 0 };
	uint64_t missing;

	CHECK_INT(creds_caps(&caps, &missing, &e), 0); /* no CAP_SETPCAP any more */
	CHECK(creds_bounding(&caps, &missing, &e) < 0);
	CHECK_INT(e.num, EPERM);
	CHECK_INT(creds_bounding(&all, &missing, &e), 0); /* nothing to drop: nothing to refuse */
}
TEST(bounding_set_needs_setpcap) { in_child(bounding_refused); }

static void ids(void)
{
	uint32_t groups[] = { 5, 77, 4000000 };
	gid_t got[8];
	struct oci_user user = { .uid = 1001, .gid = 1002, .umask = { .v = 027, .set = true },
				 .additional_gids = { groups, 3 } };
	struct err e = { 0 };
	uid_t r, f, s;
	cleanup_fd int proc = procfs();

	CHECK_INT(creds_ids(&user, proc, false, &e), 0);
	CHECK_INT(getgroups(8, got), 3);
	CHECK_INT(got[2], 4000000);
	getresuid(&r, &f, &s);
	CHECK(r == 1001 && f == 1001 && s == 1001);
	getresgid(&r, &f, &s);
	CHECK(r == 1002 && f == 1002 && s == 1002);
	CHECK_INT(umask(0), 027);
}
TEST(ids_groups_and_umask) { in_child(ids); }

static void keep(void)
{
	gid_t before[] = { 5, 6 }, got[8];
	struct oci_user user = { .uid = 0, .gid = 0 };
	struct err e = { 0 };
	cleanup_fd int proc = procfs();

	umask(031);
	CHECK_INT(setgroups(2, before), 0);
	CHECK_INT(creds_ids(&user, proc, true, &e), 0);
	CHECK_INT(getgroups(8, got), 2);
	CHECK_INT(umask(0), 031); /* unset: unchanged */
	CHECK_INT(creds_ids(&user, proc, false, &e), 0);
	CHECK_INT(getgroups(8, got), 0);
}
TEST(keep_groups) { in_child(keep); }

static void denied(void)
{
	uint32_t group = 0;
	struct oci_user user = { .uid = 0, .gid = 0, .additional_gids = { &group, 1 } };
	struct err e = { 0 };
	cleanup_fd int proc = procfs();

	CHECK_INT(unshare(CLONE_NEWUSER), 0);
	CHECK_INT(fs_write(AT_FDCWD, "/proc/self/setgroups", "deny", &e), 0);
	CHECK_INT(fs_write(AT_FDCWD, "/proc/self/uid_map", "0 0 1", &e), 0);
	CHECK_INT(fs_write(AT_FDCWD, "/proc/self/gid_map", "0 0 1", &e), 0);
	CHECK_INT(creds_ids(&user, proc, false, &e), 0);
	user.gid = 5;
	CHECK(creds_ids(&user, proc, false, &e) < 0);
	CHECK_STR(e.text, "setresgid 5 (not mapped)");
	user.gid = 0;
	user.uid = 7;
	CHECK(creds_ids(&user, proc, false, &e) < 0);
	CHECK_STR(e.text, "setresuid 7 (not mapped)");
}
TEST(denied_setgroups_is_no_error) { in_child(denied); }

static void nnp(void)
{
	struct err e = { 0 };

	CHECK_INT(creds_no_new_privs(&e), 0);
	CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
TEST(no_new_privileges) { in_child(nnp); }

/* ---- HOME ---- */

static char jail[32];

static void put_passwd(const char *text, size_t len)
{
	cleanup_fd int fd = open("/etc/passwd", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	CHECK_INT(write(fd, text, len), (ssize_t)len);
}

static const char *home(uint32_t uid)
{
	static char buf[64];

	strcpy(buf, "(unwritten)");
	creds_home(uid, buf, sizeof buf);
	return buf;
}

static void homes(void)
{
	static const char text[] = "# comment\nroot:x:0:0:root:/root:/bin/sh\nnogecos:x:7:7::/seven:\n"
				   "cut:x:8\nbad:x:+9:9::/nine:/bin/sh\nrel:x:10:10::relative:\nctl:x:11:11::/a\tb:\n"
				   "long:x:12:12::/0123456789012345678901234567890123456789012345678901234567890123456789:\n"
				   "first:x:13:13::/one:\nsecond:x:13:13::/two:\nlast:x:14:14::/last";
	static char big[20000];
	int fds[2];

	CHECK_INT(chroot(jail), 0);
	CHECK_INT(chdir("/"), 0);
	CHECK_STR(home(0), "/"); /* no file */
	mkdir("/etc", 0755);
	put_passwd(text, sizeof text - 1);
	CHECK_STR(home(0), "/root");
	CHECK_STR(home(7), "/seven");
	CHECK_STR(home(8), "/");
	CHECK_STR(home(9), "/");
	CHECK_STR(home(10), "/");
	CHECK_STR(home(11), "/");
	CHECK_STR(home(12), "/"); /* longer than the caller's buffer */
	CHECK_STR(home(13), "/one");
	CHECK_STR(home(14), "/last"); /* no newline at the end */
	CHECK_STR(home(99), "/");
	/* A line longer than any sane one is skipped as a whole, what follows is read. */
	memset(big, 'x', sizeof big);
	strcpy(big + sizeof big - 40, "\nuser:x:5:5::/five:/bin/sh\n");
	put_passwd(big, sizeof big - 14);
	CHECK_STR(home(5), "/five");
	/* A FIFO does not block, a symlink inside the root is followed, a magic one is not. */
	unlink("/etc/passwd");
	CHECK_INT(mkfifo("/etc/passwd", 0644), 0);
	CHECK_STR(home(0), "/");
	unlink("/etc/passwd");
	CHECK_INT(symlink("/real", "/etc/passwd"), 0);
	{
		struct err e;
		cleanup_fd int fd = open("/real", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		CHECK_INT(fs_write_fd(fd, "u:x:3:3::/three:\n", 17, "real", &e), 0);
	}
	CHECK_STR(home(3), "/three");
	fds[0] = open("/real", O_RDONLY | O_CLOEXEC);
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fds[0]);
	unlink("/etc/passwd");
	mkdir("/proc", 0755);
	CHECK_INT(unshare(CLONE_NEWNS), 0);
	CHECK_INT(mount("proc", "/proc", "proc", 0, NULL), 0);
	CHECK_INT(symlink(link, "/etc/passwd"), 0);
	CHECK_STR(home(3), "/");
	close(fds[0]);
	CHECK_INT(umount("/proc"), 0);
}
TEST(home_from_passwd)
{
	struct err e;
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	strcpy(jail, "/tmp/vzhomeXXXXXX");
	CHECK(mkdtemp(jail) != NULL);
	in_child(homes);
	CHECK_INT(fs_remove_tree(tmp, jail + strlen("/tmp/"), &e), 0);
}

/* ---- keyring ---- */

static void session(void)
{
	struct err e = { 0 };
	char text[256] = "";
	long before = sys_keyctl(KEYCTL_GET_KEYRING_ID, (unsigned long)KEY_SPEC_SESSION_KEYRING, 0, 0, 0), now;

	CHECK_INT(keyring_join("unit-test", false, &e), 0);
	now = sys_keyctl(KEYCTL_GET_KEYRING_ID, (unsigned long)KEY_SPEC_SESSION_KEYRING, 0, 0, 0);
	CHECK(now > 0 && now != before);
	CHECK(sys_keyctl(KEYCTL_DESCRIBE, (unsigned long)now, (unsigned long)text, sizeof text - 1, 0) > 0);
	CHECK(strncmp(text, "keyring;", 8) == 0 && strstr(text, ";_ses.unit-test"));
	unsigned perm = 0;
	CHECK_INT(sscanf(text, "%*[^;];%*d;%*d;%x", &perm), 1);
	CHECK_INT(perm & 0x80000, 0x80000);
	CHECK_INT(perm & 0x8, 0);
	CHECK_INT(keyring_join("unit-test", true, &e), 0); /* the same one again */
	CHECK_INT(sys_keyctl(KEYCTL_GET_KEYRING_ID, (unsigned long)KEY_SPEC_SESSION_KEYRING, 0, 0, 0), now);
	CHECK(sys_keyctl(KEYCTL_DESCRIBE, (unsigned long)now, (unsigned long)text, sizeof text - 1, 0) > 0);
	CHECK_INT(sscanf(text, "%*[^;];%*d;%*d;%x", &perm), 1);
	CHECK_INT(perm & 0x8, 0x8);
}
TEST(session_keyring)
{
	struct err e;

	if (sys_keyctl(KEYCTL_GET_KEYRING_ID, (unsigned long)KEY_SPEC_SESSION_KEYRING, 0, 0, 0) < 0 && errno == ENOSYS) {
		CHECK_INT(keyring_join("unit-test", false, &e), 0);
		SKIP("this kernel has no keys");
	}
	in_child(session);
}
