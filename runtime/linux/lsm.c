// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/lsm.h"

/* No libselinux and no libapparmor: labels are written to procfs attributes, and no policy is
 * looked up. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/linux/procfs.h"

#ifndef SELINUX_MAGIC
#define SELINUX_MAGIC 0xf97cff8cU
#endif

static bool given(const char *label)
{
	return label && label[0];
}

static bool apparmor_active(void)
{
	char word = 0;
	cleanup_fd int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &word, 1) == 1 && word == 'Y';
}

static const char *selinux_dir(void)
{
	static const char *const dirs[] = { "/sys/fs/selinux", "/selinux" };
	struct statfs st;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (statfs(dirs[i], &st) == 0 && (unsigned)st.f_type == SELINUX_MAGIC)
			return dirs[i];
	return NULL;
}

/* Asking the policy before anything is made: the kernel's later answer is a bare EINVAL, and a mount has no place for a
 * word about labels.  Who may not ask learns it then. */
static int check_label(const char *dir, const char *pointer, const char *label, struct err *e)
{
	char path[64];

	if (!given(label))
		return 0;
	if (!dir)
		return err_set(e, ERR_CONFIG, 0, "%s: SELinux is not active on this system", pointer);
	snprintf(path, sizeof path, "%s/context", dir);
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && write(fd, label, strlen(label) + 1) < 0 && errno == EINVAL)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: the policy of this system has no label '%s'", pointer, label);
	return 0;
}

int lsm_check(const char *apparmor_profile, const char *selinux_label, const char *mount_label,
	      struct err *e)
{
	const char *dir;
	int r;

	/* "unconfined" asks for what a system without AppArmor gives anyway. */
	if (given(apparmor_profile) && !str_eq(apparmor_profile, "unconfined") &&
	    !apparmor_active())
		return err_set(e, ERR_CONFIG, 0,
			       "/process/apparmorProfile: AppArmor is not active on this system");
	if (!given(selinux_label) && !given(mount_label))
		return 0;
	dir = selinux_dir();
	r = check_label(dir, "/process/selinuxLabel", selinux_label, e);
	return r < 0 ? r : check_label(dir, "/linux/mountLabel", mount_label, e);
}

/* One write: procfs attributes take a whole value. */
static int write_whole(int fd, const char *path, const char *text, struct err *e)
{
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);

	if (n < 0)
		return err_sys(e, "write %s", path);
	return (size_t)n == len ? 0 : err_set(e, ERR_KERNEL, EIO, "write %s", path);
}

static int write_attr(int procfs, const char *path, const char *text, struct err *e)
{
	cleanup_fd int fd = procfs_open_file(procfs, path, O_WRONLY, e);

	return fd < 0 ? err_ret(e) : write_whole(fd, path, text, e);
}

/* The files of one module, since Linux 5.8, and before that the one that all modules share. */
static const char *const apparmor_files[][2] = {
	{ "thread-self/attr/apparmor/current", "thread-self/attr/apparmor/exec" },
	{ "thread-self/attr/current", "thread-self/attr/exec" },
};

/* What we run under ourselves: "unconfined", "NAME (enforce)"; "" when nobody says. */
static void read_own_profile(int procfs, char *buf, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(apparmor_files); i++) {
		struct err ignored;
		cleanup_fd int fd = procfs_open_file(procfs, apparmor_files[i][0], O_RDONLY, &ignored);
		ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

		buf[n > 0 ? n : 0] = '\0';
		buf[strcspn(buf, "\n")] = '\0';
		if (n > 0)
			return;
	}
}

/* "NAME (unconfined)" is a profile that gives a program a name and forbids nothing. */
static bool is_confined(const char *own)
{
	return *own && !str_eq(own, "unconfined") && !str_ends(own, " (unconfined)");
}

static int profile_fail(const char *profile, const char *own, struct err *e)
{
	switch (e->num) {
	case ENOENT:
		return err_set(e, ERR_CONFIG, ENOENT,
			       "/process/apparmorProfile: no profile '%s' is loaded: load it (apparmor_parser -r FILE), or "
			       "name one of /sys/kernel/security/apparmor/profiles",
			       profile);
	case EACCES:
	case EPERM:
		return err_set(e, ERR_KERNEL, e->num,
			       "/process/apparmorProfile: vzrun itself runs under the profile '%s', which does not permit the "
			       "change to '%s': it needs the rule 'change_profile -> %s'",
			       own, profile, profile);
	default:
		return err_wrap(e, "apparmor profile %s", profile);
	}
}

/* One word is one write: "exec NAME" or "stack NAME". */
static int write_profile(int procfs, const char *verb, const char *profile, struct err *e)
{
	cleanup_str struct str text = { 0 };

	str_addf(&text, "%s %s", verb, profile);
	if (str_failed(&text))
		return err_oom(e);
	for (size_t i = 0; i < ARRAY_SIZE(apparmor_files); i++) {
		cleanup_fd int fd = procfs_open_file(procfs, apparmor_files[i][1], O_WRONLY, e);

		if (fd >= 0)
			return write_whole(fd, apparmor_files[i][1], str_cstr(&text), e);
	}
	return 1; /* the error of the open is in e */
}

static int set_apparmor(int procfs, const char *profile, bool no_new_privs, struct err *e)
{
	char own[256] = "";
	int r;

	if (no_new_privs)
		read_own_profile(procfs, own, sizeof own);
	/* With no_new_privs the kernel lets a confined process have less only: both profiles at once. */
	r = write_profile(procfs, is_confined(own) ? "stack" : "exec", profile, e);
	/* Where AppArmor is off the file is missing or has no owner (EINVAL): then "unconfined" is true already; any
	 * other profile was refused by lsm_check(). */
	if ((r > 0 || (r < 0 && e->num == EINVAL)) && str_eq(profile, "unconfined"))
		return 0;
	if (r > 0)
		return err_wrap(e, "apparmor profile %s", profile);
	if (r == 0)
		return 0;
	/* A policy may permit the one and not the other. */
	if (e->num == EACCES && !no_new_privs && write_profile(procfs, "stack", profile, e) == 0)
		return 0;
	read_own_profile(procfs, own, sizeof own);
	return profile_fail(profile, own, e);
}

static int label_fail(const char *label, struct err *e)
{
	if (e->num == EINVAL)
		return err_set(e, ERR_CONFIG, EINVAL, "/process/selinuxLabel: the policy of this system has no label '%s'",
			       label);
	if (e->num == EACCES || e->num == EPERM)
		return err_set(e, ERR_KERNEL, e->num, "/process/selinuxLabel: the policy does not permit vzrun to set '%s'",
			       label);
	return err_wrap(e, "selinux label %s", label);
}

int lsm_set_exec(int procfs, const char *apparmor_profile, const char *selinux_label, bool no_new_privs, struct err *e)
{
	int r;

	if (given(apparmor_profile)) {
		r = set_apparmor(procfs, apparmor_profile, no_new_privs, e);
		if (r < 0)
			return r;
	}
	if (!given(selinux_label))
		return 0;
	r = write_attr(procfs, "thread-self/attr/exec", selinux_label, e);
	return r < 0 ? label_fail(selinux_label, e) : 0;
}

int lsm_set_keycreate(int procfs, const char *selinux_label, struct err *e)
{
	int r = write_attr(procfs, "thread-self/attr/keycreate", selinux_label ? selinux_label : "",
			   e);

	/* Kernels older than the attribute label keys by themselves. */
	if (r < 0 && e->num == ENOENT)
		return 0;
	/* Clearing where no module owns the attribute has nothing to clear. */
	if (r < 0 && !selinux_label && e->num == EINVAL)
		return 0;
	return r < 0 ? label_fail(selinux_label ? selinux_label : "", e) : 0;
}
