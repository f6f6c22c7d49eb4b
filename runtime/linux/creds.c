// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/creds.h"

/* No libcap: its shared library costs its loading and a constructor that probes the kernel's
 * capabilities one by one at every start, and what is needed are capget, capset and prctl.  The
 * types are the kernel's. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/procfs.h"

#define CAP_BITS   64
#define GROUPS_MAX 65536 /* the kernel's NGROUPS_MAX */

#define PASSWD_BYTES_MAX ((size_t)16 << 20)
#define PASSWD_LINE_MAX	 4096

/* An absent object, or an absent set of it, is the empty set: runc and crun, too, run such a
 * process without any capability, root or not. */
static const struct oci_capabilities no_caps;

struct cap_state {
	uint64_t effective, permitted, inheritable;
};

static int cap_get(struct cap_state *ret, struct err *e)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	if (sys_capget(&hdr, d) < 0)
		return err_sys(e, "capget");
	ret->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	ret->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	ret->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return 0;
}

static int cap_set(const struct cap_state *c, struct err *e)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{(uint32_t)c->effective, (uint32_t)c->permitted, (uint32_t)c->inheritable},
		{(uint32_t)(c->effective >> 32), (uint32_t)(c->permitted >> 32),
		 (uint32_t)(c->inheritable >> 32)},
	};

	if (sys_capset(&hdr, d) < 0)
		return err_sys(e, "capset");
	return 0;
}

bool creds_capable(int cap)
{
	struct cap_state now = { 0 };
	struct err ignored;

	return cap_get(&now, &ignored) == 0 && now.effective >> cap & 1;
}

static bool in_bounding(int cap)
{
	return prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
}

int creds_bounding(const struct oci_capabilities *caps, uint64_t *ret_missing, struct err *e)
{
	uint64_t keep = (caps ? caps : &no_caps)->bounding.mask, missing = 0;

	/* A wanted bit is only read and an unwanted one only dropped (dropping twice is no error):
	 * one call for each capability.  The first that the kernel does not know (EINVAL) ends the
	 * dropping. */
	bool past_last = false;
	for (int cap = 0; cap < CAP_BITS; cap++) {
		uint64_t bit = UINT64_C(1) << cap;

		if (keep & bit) {
			missing |= in_bounding(cap) ? 0 : bit;
			continue;
		}
		if (past_last || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		past_last = errno == EINVAL;
		if (!past_last && in_bounding(cap))
			return err_set(e, ERR_KERNEL, EPERM,
				       "drop capability %d from the bounding set", cap);
	}
	*ret_missing = missing;
	return 0;
}

/* In a user namespace made without privilege setgroups(2) is forbidden for good (CVE-2014-8989):
 * not an error, the document cannot know.  Asked only after a failure: usually the call just works.
 */
static bool setgroups_denied(int procfs)
{
	struct err ignored;
	char word[8] = "";
	/* vzrun itself may run in such a namespace: then nobody has opened one before. */
	cleanup_fd int own = procfs < 0 ? procfs_open(&ignored) : -1;
	cleanup_fd int fd = procfs_open_file(own < 0 ? procfs : own, "self/setgroups", O_RDONLY, &ignored);

	return fd >= 0 && read(fd, word, sizeof word - 1) > 0 && str_starts(word, "deny");
}

static int set_groups(const struct oci_u32s *groups, int procfs, struct err *e)
{
	_Static_assert(sizeof(gid_t) == sizeof(groups->v[0]), "gid_t");

	if (groups->n > GROUPS_MAX)
		return err_set(e, ERR_CONFIG, E2BIG,
			       "/process/user/additionalGids: more than %d groups", GROUPS_MAX);
	if (setgroups(groups->n, groups->v) == 0)
		return 0;
	int num = errno;
	if (num == EPERM && setgroups_denied(procfs))
		return 0;
	return err_set(e, ERR_KERNEL, num, "setgroups%s",
		       num == EINVAL ? ": an additional group has no mapping in the user namespace" : "");
}

int creds_ids(const struct oci_user *user, int procfs, bool keep_groups, struct err *e)
{
	/* Leaving uid 0 clears the permitted set, which creds_caps() still needs.  execve() clears
	 * the flag. */
	if (user->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, "prctl PR_SET_KEEPCAPS");
	if (!keep_groups) {
		int r = set_groups(&user->additional_gids, procfs, e);

		if (r < 0)
			return r;
	}
	/* Groups before the user: without uid 0 they could not be changed any more. */
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return err_sys(e, "setresgid %u%s", user->gid,
			       errno == EINVAL ? " (not mapped)" : "");
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(e, "setresuid %u%s", user->uid,
			       errno == EINVAL ? " (not mapped)" : "");
	if (user->umask.set)
		umask((mode_t)user->umask.v & 0777);
	return 0;
}

/* Which of `wanted` may become inheritable: capset(2) asks for the permitted set or what is
 * inheritable already, and for the bounding set.  Only the wanted ones are looked up: mostly none
 * (CVE-2022-24769: inheritable only as the document says). */
static uint64_t grantable_inheritable(uint64_t wanted, const struct cap_state *now)
{
	uint64_t ok = wanted & (now->inheritable | now->permitted);

	for (int cap = 0; cap < CAP_BITS; cap++) {
		uint64_t bit = UINT64_C(1) << cap;

		if ((ok & bit) && !(now->inheritable & bit) && !in_bounding(cap))
			ok &= ~bit;
	}
	return ok;
}

/* Raise the ambient set, after clearing it: a caller's ambient capabilities are not the document's.
 */
static int set_ambient(uint64_t wanted, uint64_t *missing, struct err *e)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_sys(e, "clear the ambient capabilities");
	for (unsigned long cap = 0; cap < CAP_BITS; cap++) {
		uint64_t bit = UINT64_C(1) << cap;

		if (!(wanted & bit))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) == 0)
			continue;
		if (errno != EPERM && errno != EINVAL)
			return err_sys(e, "raise ambient capability %lu", cap);
		*missing |= bit;
	}
	return 0;
}

int creds_caps(const struct oci_capabilities *caps, uint64_t *ret_missing, struct err *e)
{
	struct cap_state now = { 0 }, next;
	uint64_t missing;
	int r;

	if (!caps)
		caps = &no_caps;
	r = cap_get(&now, e);
	if (r < 0)
		return r;
	next.permitted = caps->permitted.mask & now.permitted;
	next.effective = caps->effective.mask & next.permitted;
	next.inheritable = grantable_inheritable(caps->inheritable.mask, &now);
	missing = (caps->permitted.mask & ~next.permitted) |
		  (caps->effective.mask & ~next.effective) |
		  (caps->inheritable.mask & ~next.inheritable);
	r = cap_set(&next, e);
	if (r < 0)
		return r;
	r = set_ambient(caps->ambient.mask, &missing, e);
	if (r < 0)
		return r;
	*ret_missing = missing;
	return 0;
}

int creds_no_new_privs(struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "prctl PR_SET_NO_NEW_PRIVS");
	return 0;
}

/* "name:password:uid:gid:comment:home:shell".  Returns whether the line is that user's; home is
 * then in buf. */
static bool parse_passwd_line(char *line, uint32_t uid, char *buf, size_t size)
{
	char *field[7], *rest = line;
	size_t n = 0;
	uint32_t id;

	while (rest && n < ARRAY_SIZE(field))
		field[n++] = strsep(&rest, ":");
	if (n < 6 || num_u32(field[2], &id) < 0 || id != uid)
		return false;
	/* The value becomes part of an environment; the file is the image's. */
	for (const char *p = field[5]; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return true;
	if (field[5][0] == '/' && strlen(field[5]) < size)
		memcpy(buf, field[5], strlen(field[5]) + 1);
	return true;
}

/* The file belongs to the container.  Its root is "/" here, so no symlink leads out but the magic
 * ones of a procfs, which are refused; a FIFO must not block, and what is not a regular file is not
 * read. */
static int open_passwd(void)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_MAGICLINKS};
	cleanup_fd int fd = sys_openat2(AT_FDCWD, "/etc/passwd", &how);
	struct stat st;

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open("/etc/passwd", flags | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return fd_take(&fd);
}

void creds_home(uint32_t uid, char *buf, size_t size)
{
	cleanup_fd int fd = open_passwd();
	char line[PASSWD_LINE_MAX], chunk[4096];
	size_t len = 0, total = 0;
	bool too_long = false;
	ssize_t n;

	if (size < 2)
		return;
	memcpy(buf, "/", 2);
	if (fd < 0)
		return;
	while (total < PASSWD_BYTES_MAX && (n = read(fd, chunk, sizeof chunk)) > 0) {
		total += (size_t)n;
		for (ssize_t i = 0; i < n; i++) {
			if (chunk[i] != '\n') {
				too_long |= len == sizeof line - 1;
				if (!too_long)
					line[len++] = chunk[i];
				continue;
			}
			line[len] = '\0';
			if (!too_long && parse_passwd_line(line, uid, buf, size))
				return;
			len = 0;
			too_long = false;
		}
	}
	line[len] = '\0';
	if (!too_long)
		parse_passwd_line(line, uid, buf, size);
}
