// SPDX-License-Identifier: LGPL-2.1-or-later

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "runtime/base/fd.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/mount_api.h"

int mount_without_links(const char *dir, struct err *e)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_sys(e, "a mount namespace");
	cleanup_fd int point = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (point < 0)
		return err_sys(e, "%s", dir);
	cleanup_fd int tree = mount_clone(point, NULL, true);
	r = tree < 0 ? tree : mount_change(tree, true, MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NODEV, 0, 0);
	if (r == 0)
		r = mount_move(tree, point);
	return r < 0 ? err_set(e, ERR_KERNEL, -r, "%s without symbolic links that lead anywhere, which Linux can from 5.14 on", dir) : 0;
}
