// SPDX-License-Identifier: LGPL-2.1-or-later
/* New filesystems: fsopen(2) and its family, or mount(2) where that cannot do it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/mount_api.h"
#include "runtime/linux/ns.h"

/* fsconfig(2) takes strings shorter than this. */
#define VALUE_MAX 256
/* The kernel's DEFAULT_OVERFLOWUID. */
#define OVERFLOW_ID 65534

static bool is_among(const char *fs, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fs, names[i]) == 0)
			return true;
	return false;
}

/* The superblock of these is the kernel's own or shared: "ro" is a flag of the mount alone. */
static bool is_virtual(const char *fs)
{
	static const char *const names[] = { "bpf",	 "cgroup", "cgroup2",	 "debugfs", "devpts", "devtmpfs", "mqueue",
					     "proc", "ramfs",  "securityfs", "sysfs",   "tmpfs",  "tracefs" };

	return is_among(fs, names, ARRAY_SIZE(names));
}

/* Labels by mount option.  Not where files have labels of their own; not where the host's mount is the same superblock,
 * which can have one label only; and a user namespace may give one to these four (SELinux, Linux 4.19). */
static bool takes_context(const struct mount_context *c, const struct mount_wish *w)
{
	static const char *const not[] = { "proc",   "sysfs",	   "mqueue",  "cgroup",	   "cgroup2", "debugfs",
					   "tracefs", "securityfs", "configfs", "selinuxfs", "pstore",  "efivarfs" };
	static const char *const in_userns[] = { "tmpfs", "ramfs", "devpts", "overlay" };

	if (!c->label || !*c->label || is_among(w->fs, not, ARRAY_SIZE(not)))
		return false;
	if (c->in_userns && !is_among(w->fs, in_userns, ARRAY_SIZE(in_userns)))
		return false;
	return !w->data || !strstr(w->data, "context=");
}

/* The kernel leaves its reasons on the descriptor, a line per read: "e tmpfs: Unknown parameter 'x'". */
static void read_log(int fs, char *text, size_t size)
{
	char line[200];
	size_t o = 0;
	ssize_t n;

	text[0] = '\0';
	while (o < size && (n = read(fs, line, sizeof line - 1)) > 0) {
		while (n > 0 && line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		o += (size_t)snprintf(text + o, size - o, "%s%s", o ? "; " : "", n > 2 && line[1] == ' ' ? line + 2 : line);
	}
}

static int fs_fail(int fs, const struct mount_wish *w, const char *what, struct err *e)
{
	int error = errno;
	char log[420];

	read_log(fs, log, sizeof log);
	if (*log)
		return err_set(e, ERR_KERNEL, error, "%s", log);
	return err_set(e, ERR_KERNEL, error, "%s: %s", w->fs, what);
}

/* The names of what fsconfig(2) knows for every filesystem. */
static const struct sb_flag {
	unsigned long ms;
	const char *on, *off;
} sb_flags[] = {
	{ MS_SYNCHRONOUS, "sync", "async" },
	{ MS_DIRSYNC, "dirsync", NULL },
	{ MS_LAZYTIME, "lazytime", "nolazytime" },
	{ MS_MANDLOCK, "mand", "nomand" },
};

static int set_flag(int fs, const struct mount_wish *w, const char *name, struct err *e)
{
	return sys_fsconfig(fs, FSCONFIG_SET_FLAG, name, NULL, 0) < 0 ? fs_fail(fs, w, name, e) : 0;
}

/* After EINVAL: an id that has no name in the user namespace is the likely reason. */
static bool id_hint(const char *key, const char *value, struct err *e)
{
	if (e->num != EINVAL || (strcmp(key, "gid") != 0 && strcmp(key, "uid") != 0))
		return false;
	err_hint(e, "is %s %s mapped in this user namespace? If not, leave %s= out", key, value, key);
	return true;
}

static int set_string(int fs, const struct mount_wish *w, const char *key, const char *value, struct err *e)
{
	if (sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) == 0)
		return 0;
	fs_fail(fs, w, key, e);
	id_hint(key, value, e);
	return err_ret(e);
}

static int set_sb_flags(int fs, const struct mount_wish *w, bool again, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sb_flags) && r >= 0; i++) {
		if (w->sb_flags & sb_flags[i].ms)
			r = set_flag(fs, w, sb_flags[i].on, e);
		else if (again && w->sb_clear & sb_flags[i].ms && sb_flags[i].off)
			r = set_flag(fs, w, sb_flags[i].off, e);
	}
	return r;
}

/* Filesystems that have not learnt the newer interface (devpts before Linux 6.14) read their options only now. */
static int create_refused(int fs, const struct mount_wish *w, struct err *e)
{
	const char *rest = w->data;
	struct mount_data d;

	fs_fail(fs, w, "make the filesystem", e);
	while (mount_data_next(&rest, &d)) {
		char key[VALUE_MAX], value[VALUE_MAX];

		snprintf(key, sizeof key, "%.*s", (int)d.key_len, d.key);
		snprintf(value, sizeof value, "%.*s", d.value ? (int)d.value_len : 0, d.value ? d.value : "");
		if (id_hint(key, value, e))
			break;
	}
	return err_ret(e);
}

static int set_data(int fs, const struct mount_wish *w, struct err *e)
{
	const char *rest = w->data;
	struct mount_data d;
	int r = 0;

	while (r >= 0 && mount_data_next(&rest, &d)) {
		char key[VALUE_MAX], value[VALUE_MAX];

		if (d.key_len == 0)
			continue;
		snprintf(key, sizeof key, "%.*s", (int)d.key_len, d.key);
		if (!d.value) {
			r = set_flag(fs, w, key, e);
			continue;
		}
		snprintf(value, sizeof value, "%.*s", (int)d.value_len, d.value);
		r = set_string(fs, w, key, value, e);
	}
	return r;
}

static bool has_key(const char *data, const char *key)
{
	size_t len = strlen(key);
	struct mount_data d;

	while (mount_data_next(&data, &d))
		if (d.key_len == len && memcmp(d.key, key, len) == 0)
			return true;
	return false;
}

static bool hides_ids(const struct mount_context *c)
{
	return c->in_userns || proc_in_userns();
}

/* What a tmpfs takes from the directory that it covers.  Ids that our user namespace does not map read as the
 * overflow id, which may be anybody's inside: they are not taken. */
static int take_cover(int fs, const struct mount_context *c, const struct mount_wish *w, int over, struct err *e)
{
	char mode[16], uid[16], gid[16];
	struct stat st;

	if (fstat(over, &st) < 0)
		return err_sys(e, "mount point");
	snprintf(mode, sizeof mode, "%o", st.st_mode & 07777U);
	snprintf(uid, sizeof uid, "%u", st.st_uid);
	snprintf(gid, sizeof gid, "%u", st.st_gid);

	const struct {
		const char *key, *value;
		bool known;
	} covers[] = {
		{ "mode", mode, true },
		{ "uid", uid, st.st_uid != 0 && !(st.st_uid == OVERFLOW_ID && hides_ids(c)) },
		{ "gid", gid, st.st_gid != 0 && !(st.st_gid == OVERFLOW_ID && hides_ids(c)) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(covers); i++) {
		int r;

		if (!covers[i].known || has_key(w->data, covers[i].key))
			continue;
		r = set_string(fs, w, covers[i].key, covers[i].value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What only mount(2) can say. */
static bool needs_old(const struct mount_wish *w)
{
	const char *rest = w->data;
	struct mount_data d;

	if (w->sb_flags & MS_I_VERSION || (w->source && strlen(w->source) >= VALUE_MAX))
		return true;
	while (mount_data_next(&rest, &d))
		if (d.key_len >= VALUE_MAX || (d.value && d.value_len >= VALUE_MAX))
			return true;
	return false;
}

static int configure(int fs, const struct mount_context *c, const struct mount_wish *w, int over, bool was_there,
		     uint64_t set, struct err *e)
{
	int r = 0;

	if (w->source && *w->source)
		r = set_string(fs, w, "source", w->source, e);
	if (r >= 0 && set & MOUNT_ATTR_RDONLY && !is_virtual(w->fs))
		r = set_flag(fs, w, "ro", e);
	if (r >= 0)
		r = set_sb_flags(fs, w, false, e);
	if (r >= 0)
		r = set_data(fs, w, e);
	if (r >= 0 && was_there && strcmp(w->fs, "tmpfs") == 0)
		r = take_cover(fs, c, w, over, e);
	if (r >= 0 && takes_context(c, w))
		r = set_string(fs, w, "context", c->label, e);
	return r;
}

int mount_idmap_fd(const struct mount_wish *w, int procfs, int userns_fd, struct err *e)
{
	int fd;

	if (w->uid_map)
		return idmap_userns(procfs, w->uid_map, w->gid_map, e);
	if (userns_fd < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "idmap without mappings needs a user namespace");
	fd = fcntl(userns_fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_sys(e, "user namespace") : fd;
}

int mount_idmap_set(int tree, int userns, bool rec, const char *name, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };

	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | (rec ? AT_RECURSIVE : 0U), &attr, sizeof attr) == 0)
		return 0;
	if (errno == EINVAL)
		return err_sys(e, "%s: the filesystem does not support id-mapped mounts", name);
	return err_sys(e, "%s: id-map the mount", name);
}

static int idmap_new(const struct mount_context *c, const struct mount_wish *w, int tree, struct err *e)
{
	cleanup_fd int userns = mount_idmap_fd(w, c->procfs, c->userns_fd, e);

	return userns < 0 ? userns : mount_idmap_set(tree, userns, false, w->fs, e);
}

/* POSIX message queues: the directory is labelled once it is there; the policy labels each queue as it is made. */
static int label_mqueue(const struct mount_context *c, const struct mount_wish *w, int tree, struct err *e)
{
	if (!c->label || !*c->label || strcmp(w->fs, "mqueue") != 0)
		return 0;
	cleanup_fd int dir = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "mqueue");
	if (fsetxattr(dir, "security.selinux", c->label, strlen(c->label) + 1, 0) == 0 || errno == ENOTSUP)
		return 0;
	return err_sys(e, "mqueue: label '%s'", c->label);
}

/* In a user namespace proc and sysfs can be mounted only by who sees one that nothing covers. */
static int mount_refused(int fs, const struct mount_wish *w, struct err *e)
{
	int num = errno;

	fs_fail(fs, w, "fsmount", e);
	if (num == EPERM && (strcmp(w->fs, "proc") == 0 || strcmp(w->fs, "sysfs") == 0))
		return err_hint(e, "parts of the /%s that vzrun runs with are covered, and the kernel uncovers nothing: the outer "
				"container needs podman's --security-opt unmask=ALL, docker's systempaths=unconfined",
				*w->fs == 'p' ? "proc" : "sys");
	return err_ret(e);
}

int mount_fs_new(const struct mount_context *c, const struct mount_wish *w, int over, bool was_there, uint64_t set,
		 struct err *e)
{
	cleanup_fd int fs = -1, tree = -1;
	int r;

	if (needs_old(w))
		return -ENOSYS;
	fs = sys_fsopen(w->fs, FSOPEN_CLOEXEC);
	if (fs < 0 && errno == ENOSYS)
		return -ENOSYS;
	if (fs < 0)
		return errno == ENODEV ? err_sys(e, "unknown filesystem type %s", w->fs) : err_sys(e, "%s", w->fs);
	r = configure(fs, c, w, over, was_there, set, e);
	if (r < 0)
		return r;
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return create_refused(fs, w, e);
	tree = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)set);
	if (tree < 0)
		return mount_refused(fs, w, e);
	r = w->idmap ? idmap_new(c, w, tree, e) : 0;
	if (r == 0)
		r = label_mqueue(c, w, tree, e);
	return r < 0 ? r : fd_take(&tree);
}

int mount_fs_old(const struct mount_context *c, const struct mount_wish *w, int over, uint64_t set, struct err *e)
{
	cleanup_str struct str data = { 0 };

	if (w->idmap)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: no id-mapped mount with these options or on this kernel", w->fs);
	str_add(&data, w->data ? w->data : "");
	if (takes_context(c, w))
		str_addf(&data, "%scontext=\"%s\"", data.len ? "," : "", c->label);
	if (str_failed(&data))
		return err_oom(e);
	/* No data is NULL: a text, even an empty one, costs the kernel a page and its copy. */
	if (mount(w->source && *w->source ? w->source : "none", fd_path(over).s, w->fs, mount_attr_to_ms(set) | w->sb_flags,
		  data.len ? data.s : NULL) < 0)
		return err_sys(e, "%s", w->fs);
	return 0;
}

int mount_fs_reconfigure(const struct mount_wish *w, int mount_fd, struct err *e)
{
	uint64_t ro = w->fs && !is_virtual(w->fs) ? MOUNT_ATTR_RDONLY : 0;
	struct mount_wish named = *w;
	int r = 0;

	if (!((w->attr_set | w->attr_clr) & ro) && !w->data && !w->sb_flags && !w->sb_clear)
		return 0;
	if (!named.fs)
		named.fs = "remount";
	cleanup_fd int fs = sys_fspick(mount_fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (fs < 0)
		return err_sys(e, "remount");
	if (w->attr_set & ro)
		r = set_flag(fs, &named, "ro", e);
	else if (w->attr_clr & ro)
		r = set_flag(fs, &named, "rw", e);
	if (r >= 0)
		r = set_sb_flags(fs, &named, true, e);
	if (r >= 0)
		r = set_data(fs, &named, e);
	if (r < 0)
		return r;
	return sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0 ? fs_fail(fs, &named, "reconfigure", e) : 0;
}
