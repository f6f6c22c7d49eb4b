// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/self.h"

#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Not F_SEAL_FUTURE_WRITE: kernels before 5.10 did not keep it on all mappings. */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define SEAL_TRIES 20

/* Only these put a process of ours inside.  A word that is an option's value costs nothing but the copy. */
static bool enters_container(int argc, char **argv)
{
	static const char *const commands[] = { "create", "run", "exec", "restore" };

	for (int i = 1; i < argc; i++)
		for (size_t n = 0; n < ARRAY_SIZE(commands); n++)
			if (strcmp(argv[i], commands[n]) == 0)
				return true;
	return false;
}

/* Only what was executed by descriptor, and whose mount is that one file: a read-only mount of the host's may be made
 * writable again. */
static bool is_clone(int fd)
{
	const char *name = (const char *)getauxval(AT_EXECFN);
	struct statvfs fs;
	struct statx x;

	return name && str_starts(name, "/dev/fd/") && fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY &&
	       statx(fd, "", AT_EMPTY_PATH, 0, &x) == 0 && x.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static bool is_protected(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return (seals >= 0 && (seals & SEALS) == SEALS) || is_clone(fd); /* a kernel may add seals of its own */
}

/* A read-only mount of the file alone.  It is in no namespace once its descriptor is closed, which exec does: nobody, whatever
 * their capabilities, can change its flags or clone it then, and what is opened through it cannot be written.  The pages stay
 * the file's, which is why it costs a fraction of a copy.  Below zero where we have not the right (no root), the kernel not
 * the calls (before 5.12), or the mount must not be cloned. */
static int make_clone(int exe)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int clone = sys_open_tree(exe, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (clone < 0 || sys_mount_setattr(clone, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return -1;
	return fd_take(&clone);
}

/* On a busy machine the kernel may still hold pages that were just written, and says EBUSY after waiting 70 ms or so. */
static int seal(int fd)
{
	int r = -1;

	for (int i = 0; i < SEAL_TRIES && r < 0; i++) {
		r = fcntl(fd, F_ADD_SEALS, SEALS);
		if (r < 0 && errno != EBUSY)
			break;
	}
	return r;
}

static int make_copy(int exe, struct err *e)
{
	/* MFD_EXEC is not known before Linux 6.3, and demanded by some policies since. */
	cleanup_fd int copy = memfd_create("vzrun", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	struct stat st;
	off_t left;

	if (copy < 0 && errno == EINVAL)
		copy = memfd_create("vzrun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0 || fstat(exe, &st) < 0)
		return err_sys(e, "copy of the program");
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(copy, exe, NULL, (size_t)left);

		if (n <= 0)
			return err_sys(e, "copy of the program");
		left -= n;
	}
	if (fchmod(copy, 0511) < 0 || seal(copy) < 0)
		return err_sys(e, "copy of the program: seals");
	return fd_take(&copy);
}

int self_protect(int argc, char **argv, struct err *e)
{
	extern char **environ;
	cleanup_fd int exe = -1, image = -1;

	if (!enters_container(argc, argv))
		return 0;
	exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (exe < 0)
		return err_sys(e, "open /proc/self/exe");
	if (is_protected(exe))
		return 0;
	image = make_clone(exe);
	if (image < 0)
		image = make_copy(exe, e);
	if (image < 0)
		return image;
	sys_execveat(image, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, "exec of the protected program");
}
