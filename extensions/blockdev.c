// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/blockdev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "oci/rows.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/linux/mountinfo.h"

#define MOUNTS_MAX ((size_t)16 << 20)
#define DEPTH_MAX 16 /* a loop over an overlay over a loop ...; it ends, whatever is in the files */

static const struct oci_field blockdev_fields[] = {
	I64(struct blockdev, major, "major", .flags = OCI_REQ),
	I64(struct blockdev, minor, "minor", .flags = OCI_REQ),
	BOOL(struct blockdev, stacked, "stacked"),
	ROW_END
};
TABLE(blockdev);

/* ---- sysfs ---- */

static bool read_line(const char *path, char *buf, size_t size)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;

	if (fs_read(AT_FDCWD, path, MOUNTS_MAX, &text, &ignored) < 0)
		return false;
	return snprintf(buf, size, "%.*s", (int)strcspn(str_cstr(&text), "\n"), str_cstr(&text)) < (int)size;
}

static bool parse_number(const char *text, uint64_t *ret_major, uint64_t *ret_minor)
{
	unsigned major, minor;

	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

static bool read_number(const char *path, uint64_t *ret_major, uint64_t *ret_minor)
{
	char text[64];

	return read_line(path, text, sizeof text) && parse_number(text, ret_major, ret_minor);
}

static void dir_of(const char *root, const struct blockdev *d, char *buf, size_t size)
{
	snprintf(buf, size, "%s/sys/dev/block/%lld:%lld", root, (long long)d->major, (long long)d->minor);
}

static struct blockdev *find(const struct blockdevs *list, const struct blockdev *d)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].major == d->major && list->v[i].minor == d->minor)
			return &list->v[i];
	return NULL;
}

/* Adds up what one after the other found; a failure stays. */
static int both(int one, int other)
{
	return one < 0 ? one : other < 0 ? other : one | other;
}

static int keep(struct blockdev_search *s, const struct blockdev *d, struct err *e)
{
	struct blockdevs *list = s->found;
	struct blockdev *v = arena_alloc_n(s->arena, list->n + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	if (list->n)
		memcpy(v, list->v, list->n * sizeof *v);
	v[list->n] = *d;
	*list = (struct blockdevs){ v, list->n + 1 };
	return 0;
}

/* Each entry of a directory is a device with a file that has its number. */
static int add_members(struct blockdev_search *s, const char *dir, struct err *e)
{
	cleanup_dir DIR *d = opendir(dir);
	char path[PATH_MAX];
	int r = 0;

	for (struct dirent *entry = d ? readdir(d) : NULL; entry && r >= 0; entry = readdir(d)) {
		uint64_t major, minor;

		snprintf(path, sizeof path, "%s/%s/dev", dir, entry->d_name);
		if (entry->d_name[0] != '.' && read_number(path, &major, &minor))
			r = both(r, blockdev_add_number(s, major, minor, e));
	}
	return r;
}

static int add_disk(struct blockdev_search *s, const struct blockdev *d, const char *dir, struct err *e)
{
	char path[PATH_MAX], image[PATH_MAX];
	int r = keep(s, d, e);

	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%s/slaves", dir);
	r = add_members(s, path, e);
	snprintf(path, sizeof path, "%s/loop/backing_file", dir);
	if (r >= 0 && read_line(path, image, sizeof image))
		r = both(r, blockdev_add_path(s, image, e));
	find(s->found, d)->stacked = r > 0;
	return r < 0 ? r : 1;
}

static int add_number(struct blockdev_search *s, uint64_t major, uint64_t minor, struct err *e)
{
	struct blockdev d = { .major = (int64_t)major, .minor = (int64_t)minor };
	char dir[PATH_MAX / 2], path[PATH_MAX];

	dir_of(s->root, &d, dir, sizeof dir);
	snprintf(path, sizeof path, "%s/partition", dir);
	if (access(path, F_OK) == 0) {
		snprintf(path, sizeof path, "%s/../dev", dir);
		return read_number(path, &major, &minor) ? blockdev_add_number(s, major, minor, e) : 0;
	}
	if (find(s->found, &d))
		return 1;
	return access(dir, F_OK) < 0 ? 0 : add_disk(s, &d, dir, e);
}

int blockdev_add_number(struct blockdev_search *s, uint64_t major, uint64_t minor, struct err *e)
{
	int r;

	if (s->depth == DEPTH_MAX)
		return 0;
	s->depth++;
	r = add_number(s, major, minor, e);
	s->depth--;
	return r;
}

/* ---- stacks of files ---- */

/* Layers are separated by colons; one in a name has a backslash before it.  Relative names are of who mounted, wherever that
 * was: the upper layer mostly lies beside them. */
static int add_layers(struct blockdev_search *s, const char *list, struct err *e)
{
	char layer[PATH_MAX];
	int r = 0;

	while (*list && r >= 0) {
		size_t n = 0;

		for (; *list && *list != ':'; list++) {
			if (*list == '\\' && list[1])
				list++;
			if (n < sizeof layer - 1)
				layer[n++] = *list;
		}
		list += *list == ':';
		layer[n] = '\0';
		if (layer[0] == '/')
			r = both(r, blockdev_add_path(s, layer, e));
	}
	return r;
}

static int add_overlay(struct blockdev_search *s, const char *options, struct err *e)
{
	static const char *const keys[] = { "lowerdir=", "lowerdir+=", "datadir+=", "upperdir=" };
	char *rest = arena_strdup(s->arena, options);
	int r = rest ? 0 : err_oom(e);

	for (char *o = strsep(&rest, ","); o && r >= 0; o = strsep(&rest, ","))
		for (size_t i = 0; i < ARRAY_SIZE(keys) && r >= 0; i++)
			if (str_starts(o, keys[i])) {
				mountinfo_unescape(o);
				r = both(r, add_layers(s, o + strlen(keys[i]), e));
				break;
			}
	return r;
}

static bool is_device_of(const char *dir, const char *name, const struct stat *source, const char *source_name)
{
	uint64_t major, minor;
	char path[PATH_MAX];

	if (source_name && strcmp(name, source_name) == 0)
		return true;
	if (snprintf(path, sizeof path, "%s/%s/dev", dir, name) >= (int)sizeof path)
		return false;
	return source && read_number(path, &major, &minor) && makedev((unsigned)major, (unsigned)minor) == source->st_rdev;
}

static bool has_device(const char *dir, const struct stat *source, const char *source_name)
{
	cleanup_dir DIR *d = opendir(dir);

	for (struct dirent *entry = d ? readdir(d) : NULL; entry; entry = readdir(d))
		if (entry->d_name[0] != '.' && is_device_of(dir, entry->d_name, source, source_name))
			return true;
	return false;
}

/* The source is one of several. */
static int add_btrfs(struct blockdev_search *s, const char *source, struct err *e)
{
	char all[PATH_MAX / 4], path[PATH_MAX];
	const char *name = strrchr(source, '/');
	struct stat st;
	bool node = stat(source, &st) == 0 && S_ISBLK(st.st_mode);
	int r = 0;

	snprintf(all, sizeof all, "%s/sys/fs/btrfs", s->root);
	cleanup_dir DIR *d = opendir(all);
	for (struct dirent *entry = d ? readdir(d) : NULL; entry && r >= 0; entry = readdir(d)) {
		snprintf(path, sizeof path, "%s/%s/devices", all, entry->d_name);
		if (entry->d_name[0] != '.' && has_device(path, node ? &st : NULL, name ? name + 1 : NULL))
			r = both(r, add_members(s, path, e));
	}
	return r >= 0 && node ? both(r, blockdev_add_number(s, major(st.st_rdev), minor(st.st_rdev), e)) : r;
}

/* "/dev/sda:/dev/sdb" of other filesystems with several devices; an image of erofs. */
static int add_sources(struct blockdev_search *s, const char *fs, const char *source, struct err *e)
{
	char *rest = arena_strdup(s->arena, source);
	int r = rest ? 0 : err_oom(e);

	for (char *one = strsep(&rest, ":"); one && r >= 0; one = strsep(&rest, ":")) {
		struct stat st;

		if (one[0] == '/' && stat(one, &st) == 0 && (S_ISBLK(st.st_mode) || strcmp(fs, "erofs") == 0))
			r = both(r, blockdev_add_path(s, one, e));
	}
	return r;
}

static int add_mount(struct blockdev_search *s, const char *fs, const char *source, const char *options, struct err *e)
{
	if (strcmp(fs, "overlay") == 0)
		return add_overlay(s, options, e);
	if (strcmp(fs, "btrfs") == 0)
		return add_btrfs(s, source, e);
	return add_sources(s, fs, source, e);
}

int blockdev_add_mount(struct blockdev_search *s, const char *fs, const char *source, const char *options, struct err *e)
{
	char *from = arena_strdup(s->arena, source);
	int r;

	if (!from)
		return err_oom(e);
	if (s->depth == DEPTH_MAX)
		return 0;
	s->depth++;
	r = add_mount(s, fs, from, options, e);
	s->depth--;
	return r;
}

/* ---- paths ---- */

static const char *read_mounts(const char *path, struct arena *a)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;

	return fs_read(AT_FDCWD, path, MOUNTS_MAX, &text, &ignored) < 0 ? "" : arena_strdup(a, str_cstr(&text));
}

static int load_mounts(struct blockdev_search *s, struct err *e)
{
	char path[PATH_MAX];

	if (s->mounts)
		return 0;
	snprintf(path, sizeof path, "%s/proc/self/mountinfo", s->root);
	s->mounts = read_mounts(path, s->arena);
	return s->mounts ? 0 : err_oom(e);
}

/* Device numbers are no help where files of one mount have several (btrfs): the mount's id is asked for. */
static bool mount_id(int fd, unsigned long long *ret)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;
	char path[64];
	const char *line;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	if (fs_read(AT_FDCWD, path, MOUNTS_MAX, &text, &ignored) < 0)
		return false;
	line = strstr(str_cstr(&text), "mnt_id:");
	return line && sscanf(line, "mnt_id: %llu", ret) == 1;
}

static int add_mount_of(struct blockdev_search *s, int fd, struct err *e)
{
	unsigned long long id;
	struct mountinfo m;
	char *rest;

	if (load_mounts(s, e) < 0)
		return err_ret(e);
	rest = arena_strdup(s->arena, s->mounts);
	if (!rest)
		return err_oom(e);
	if (!mount_id(fd, &id))
		return 0;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (mountinfo_parse(line, &m) && m.id == id)
			return blockdev_add_mount(s, m.fs, m.source, m.super, e);
	return 0;
}

int blockdev_add_path(struct blockdev_search *s, const char *path, struct err *e)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || s->depth == DEPTH_MAX)
		return 0;
	if (S_ISBLK(st.st_mode))
		return blockdev_add_number(s, major(st.st_rdev), minor(st.st_rdev), e);
	return major(st.st_dev) ? blockdev_add_number(s, major(st.st_dev), minor(st.st_dev), e) : add_mount_of(s, fd, e);
}

static bool shares_mounts(pid_t pid)
{
	char path[64];
	struct stat ours, theirs;

	snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
	return stat("/proc/self/ns/mnt", &ours) < 0 || stat(path, &theirs) < 0 || ours.st_ino == theirs.st_ino;
}

int blockdev_add_process(struct blockdev_search *s, pid_t pid, struct err *e)
{
	char path[64], *rest;
	const char *mounts;
	struct mountinfo m;
	int r = 0;

	/* In our own namespace there is everything of the host. */
	if (shares_mounts(pid))
		return 0;
	snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)pid);
	mounts = read_mounts(path, s->arena);
	rest = mounts ? arena_strdup(s->arena, mounts) : NULL;
	if (!rest)
		return err_oom(e);
	for (char *line = strsep(&rest, "\n"); line && r >= 0; line = strsep(&rest, "\n"))
		if (mountinfo_parse(line, &m) && m.major)
			r = both(r, blockdev_add_number(s, m.major, m.minor, e));
	return r;
}

/* ---- what a device can ---- */

bool blockdev_is_there(const char *root, const struct blockdev *d)
{
	char dir[PATH_MAX / 2];

	dir_of(root, d, dir, sizeof dir);
	return access(dir, F_OK) == 0 || errno != ENOENT;
}

/* "none mq-deadline [bfq]" */
bool blockdev_scheduled_by(const char *root, const struct blockdev *d, const char *name)
{
	char dir[PATH_MAX / 2], path[PATH_MAX], text[256], word[64];

	dir_of(root, d, dir, sizeof dir);
	snprintf(path, sizeof path, "%s/queue/scheduler", dir);
	snprintf(word, sizeof word, "[%s]", name);
	return read_line(path, text, sizeof text) && strstr(text, word);
}

/* "254:0 enable=1 ctrl=auto ..." in the root of cgroup v2. */
bool blockdev_has_iocost(const char *root, const struct blockdev *d)
{
	static const char *const files[] = { "/sys/fs/cgroup/io.cost.qos", "/sys/fs/cgroup/unified/io.cost.qos" };
	char path[PATH_MAX], want[64];

	snprintf(want, sizeof want, "%lld:%lld enable=1", (long long)d->major, (long long)d->minor);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_str struct str text = { 0 };
		struct err ignored;

		snprintf(path, sizeof path, "%s%s", root, files[i]);
		if (fs_read(AT_FDCWD, path, MOUNTS_MAX, &text, &ignored) < 0)
			continue;
		for (const char *line = str_cstr(&text); *line; line += strcspn(line, "\n"), line += *line == '\n')
			if (str_starts(line, want))
				return true;
	}
	return false;
}

void blockdev_name(const char *root, const struct blockdev *d, char *buf, size_t size)
{
	char dir[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(buf, size, "%lld:%lld", (long long)d->major, (long long)d->minor);
	dir_of(root, d, dir, sizeof dir);
	n = readlink(dir, target, sizeof target - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	if (strrchr(target, '/'))
		snprintf(buf, size, "%s", strrchr(target, '/') + 1);
}
