// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/lsm.h"

/* No libselinux and no libapparmor: labels are written to procfs attributes, and no policy is
 * looked up. */
#include <fcntl.h>
#include <stdbool.h>
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

static bool selinux_active(void)
{
	struct statfs st;

	return (statfs("/sys/fs/selinux", &st) == 0 && (unsigned)st.f_type == SELINUX_MAGIC) ||
	       (statfs("/selinux", &st) == 0 && (unsigned)st.f_type == SELINUX_MAGIC);
}

int lsm_check(const char *apparmor_profile, const char *selinux_label, const char *mount_label,
	      struct err *e)
{
	/* "unconfined" asks for what a system without AppArmor gives anyway. */
	if (given(apparmor_profile) && !str_eq(apparmor_profile, "unconfined") &&
	    !apparmor_active())
		return err_set(e, ERR_CONFIG, 0,
			       "/process/apparmorProfile: AppArmor is not active on this system");
	if (!given(selinux_label) && !given(mount_label))
		return 0;
	if (selinux_active())
		return 0;
	return err_set(e, ERR_CONFIG, 0, "%s: SELinux is not active on this system",
		       given(selinux_label) ? "/process/selinuxLabel" : "/linux/mountLabel");
}

/* One write: procfs attributes take a whole value. */
static int write_attr(int procfs, const char *path, const char *text, struct err *e)
{
	cleanup_fd int fd = procfs_open_file(procfs, path, O_WRONLY, e);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_ret(e);
	n = write(fd, text, len);
	if (n < 0)
		return err_sys(e, "write %s", path);
	if ((size_t)n != len)
		return err_set(e, ERR_KERNEL, EIO, "write %s", path);
	return 0;
}

static int set_apparmor(int procfs, const char *profile, struct err *e)
{
	cleanup_str struct str text = {0};
	int r;

	str_addf(&text, "exec %s", profile);
	if (str_failed(&text))
		return err_oom(e);
	r = write_attr(procfs, "thread-self/attr/apparmor/exec", str_cstr(&text), e);
	if (r >= 0 || e->num != ENOENT)
		return r < 0 ? err_wrap(e, "apparmor profile %s", profile) : 0;
	/* Before Linux 5.8 there is only the file that all modules share.  Where AppArmor is off it
	 * has no owner (EINVAL): then "unconfined" is true already; any other profile was refused
	 * by lsm_check(). */
	r = write_attr(procfs, "thread-self/attr/exec", str_cstr(&text), e);
	if (r < 0 && (e->num == EINVAL || e->num == ENOENT) && str_eq(profile, "unconfined"))
		return 0;
	return r < 0 ? err_wrap(e, "apparmor profile %s", profile) : 0;
}

int lsm_set_exec(int procfs, const char *apparmor_profile, const char *selinux_label, struct err *e)
{
	int r;

	if (given(apparmor_profile)) {
		r = set_apparmor(procfs, apparmor_profile, e);
		if (r < 0)
			return r;
	}
	if (!given(selinux_label))
		return 0;
	r = write_attr(procfs, "thread-self/attr/exec", selinux_label, e);
	return r < 0 ? err_wrap(e, "selinux label %s", selinux_label) : 0;
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
	return r < 0 ? err_wrap(e, "selinux keycreate label") : 0;
}
