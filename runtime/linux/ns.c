// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/ns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"
#include "runtime/linux/procfs.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

static const struct ns_type {
	int64_t flag;
	const char *name; /* the file below /proc/PID/ns and the word in error texts */
} types[] = {
	{ CLONE_NEWUSER, "user" }, { CLONE_NEWNS, "mnt" },   { CLONE_NEWPID, "pid" },       { CLONE_NEWNET, "net" },
	{ CLONE_NEWIPC, "ipc" },   { CLONE_NEWUTS, "uts" }, { CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" },
};

const char *ns_type_name(int64_t flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].flag == flag)
			return types[i].name;
	return "unknown";
}

int ns_open(const char *path, int64_t type, struct err *e)
{
	/* O_NONBLOCK: the path is the document's and may name a FIFO. */
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct statfs fs;
	int is;

	if (fd < 0)
		return err_sys(e, "open %s namespace %s", ns_type_name(type), path);
	/* The type of file system first: an ioctl on a device would mean something else. */
	if (fstatfs(fd, &fs) < 0)
		return err_sys(e, "%s", path);
	if (fs.f_type != NSFS_MAGIC)
		return err_set(e, ERR_CONFIG, EINVAL, "%s is not a namespace", path);
	is = ioctl(fd, NS_GET_NSTYPE);
	if (is < 0)
		return err_sys(e, "%s: type of the namespace", path);
	if (is != type)
		return err_set(e, ERR_CONFIG, EINVAL, "%s is a %s namespace, not a %s namespace", path,
			       ns_type_name(is), ns_type_name(type));
	return fd_take(&fd);
}

int ns_join(int fd, int64_t type, struct err *e)
{
	if (setns(fd, (int)type) < 0)
		return err_sys(e, "join the %s namespace", ns_type_name(type));
	return 0;
}

int ns_unshare(uint64_t flags, struct err *e)
{
	char names[80] = "";
	size_t o = 0;
	int error;

	if (unshare((int)flags) == 0)
		return 0;
	error = errno;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (flags & (uint64_t)types[i].flag)
			o += (size_t)snprintf(names + o, sizeof names - o, "%s%s", o ? ", " : "", types[i].name);
	err_set(e, ERR_KERNEL, error, "new namespaces (%s)", names);
	if (flags & CLONE_NEWUSER && error == EPERM)
		return err_hint(e, "plain users may be kept from it by the sysctls kernel.unprivileged_userns_clone and "
				"kernel.apparmor_restrict_unprivileged_userns, and everybody inside a chroot");
	if (error == ENOSPC)
		return err_hint(e, "the limit is in /proc/sys/user/max_*_namespaces");
	return err_ret(e);
}

bool ns_is_same(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool ns_is_own(const char *path, int64_t type)
{
	char own[64];

	if (!path)
		return true;
	snprintf(own, sizeof own, "/proc/self/ns/%s", ns_type_name(type));
	return ns_is_same(path, own);
}

static void add_offset(struct str *s, const char *clock, const struct oci_time_offset *o)
{
	if (o)
		str_addf(s, "%s %lld %u\n", clock, (long long)o->secs, o->nanosecs);
}

int ns_time_offsets(int procfs, const struct oci_time_offsets *offsets, struct err *e)
{
	cleanup_str struct str text = { 0 };

	add_offset(&text, "monotonic", offsets->monotonic);
	add_offset(&text, "boottime", offsets->boottime);
	if (str_failed(&text))
		return err_oom(e);
	return text.len ? procfs_write(procfs, "self/timens_offsets", str_cstr(&text), e) : 0;
}

int ns_hostname(const char *hostname, const char *domainname, struct err *e)
{
	if (hostname && sethostname(hostname, strlen(hostname)) < 0)
		return err_sys(e, "sethostname %s", hostname);
	if (domainname && setdomainname(domainname, strlen(domainname)) < 0)
		return err_sys(e, "setdomainname %s", domainname);
	return 0;
}
