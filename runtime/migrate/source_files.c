// SPDX-License-Identifier: LGPL-2.1-or-later

/* The bundle: whether it can be copied and removed, and what a pass of rsync(1) brings.
 *
 * rsync takes a file for unchanged by its size and the time of its last change, which a program may set, which an old rsync looks at in
 * seconds, and which a store into a mapped page changes only when the page was clean.  So the last pass, of a container that stands
 * still, compares the content of every file that has changed at all since the first pass began.  That tells the time that nobody can set,
 * st_ctim: the pages were clean then (syncfs), where the file system is one that learns of the first store into a page.
 *
 * A file has another name without having changed when a directory above it was renamed.  So the directories are noted before the first
 * pass, and below one that is another by that name, or was not there, all files are compared. */

#include "runtime/migrate/source.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/mountinfo.h"
#include "runtime/migrate/files.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#define BCACHEFS_MAGIC 0xca451a4e
#define CHANGED "changed" /* the list of those files, in the directory of the images */
#define WALK_FDS 64
#define WALK_TRIES 3

/* ---- whether it can move ---- */

static const char *real(struct source *s, const char *path)
{
	char *text = realpath(path, NULL);
	const char *copy = text ? arena_strdup(&s->arena, text) : path;

	free(text);
	return copy ? copy : path;
}

static bool is_in(struct source *s, const char *bundle, const char *path)
{
	return path && path_below(bundle, real(s, path));
}

/* Does the document of another container take a mount from there? */
static int mounts_from(struct source *s, const struct store_dir *dir, const char *bundle, bool *ret, struct err *e)
{
	struct oci_spec spec;

	if (store_load_spec(dir, &spec, &s->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < spec.mounts.n && !*ret; i++)
		*ret = spec.mounts.v[i].source && *spec.mounts.v[i].source == '/' && is_in(s, bundle, spec.mounts.v[i].source);
	return 0;
}

/* Another container of this --root that has something of the bundle: its own, its root, or a mount; NULL: none has. */
static int other_user(struct source *s, const char **ret, struct err *e)
{
	const char *bundle = real(s, s->c.state.bundle);
	struct oci_strs ids = { 0 };

	*ret = NULL;
	if (store_list(s->o->root, &ids, &s->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < ids.n && !*ret; i++) {
		cleanup_store struct store_dir dir = STORE_DIR_NONE;
		struct oci_state other;
		bool has;

		if (strcmp(ids.v[i], s->o->id) == 0)
			continue;
		if (store_open(s->o->root, ids.v[i], STORE_LOOK, &dir, e) < 0 || store_load(&dir, ids.v[i], &other, &s->arena, e) < 0) {
			if (e->kind == ERR_NOTFOUND || e->num == ENOENT)
				continue; /* it comes or goes */
			return err_wrap(e, "whether container %s has something of it", ids.v[i]);
		}
		has = is_in(s, bundle, other.bundle) || is_in(s, bundle, other.rootfs);
		/* One that comes has no document yet. */
		if (!has && mounts_from(s, &dir, bundle, &has, e) < 0 && e->kind != ERR_NOTFOUND && e->num != ENOENT)
			return err_wrap(e, "whether container %s has something of it", ids.v[i]);
		if (has)
			*ret = ids.v[i];
	}
	return 0;
}

/* A mount at or below the bundle, other than `but` (NULL: any), NULL: there is none. */
static const char *mount_in(struct source *s, const char *but)
{
	const char *bundle = real(s, s->c.state.bundle);
	struct mountinfos seen;
	struct err ignored;

	if (mountinfo_read(0, &seen, &s->arena, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < seen.n; i++)
		if (path_below(bundle, seen.v[i].point) && (!but || (strcmp(seen.v[i].point, but) != 0 && strcmp(seen.v[i].point, bundle) != 0)))
			return seen.v[i].point;
	return NULL;
}

/* Never becomes a program. */
static int enter_and_end(const char *dir, struct err *e)
{
	if (mount_without_links(dir, e) < 0)
		return err_ret(e);
	_exit(0);
}

/* What rsync is started in. */
static int try_without_links(struct source *s, struct err *e)
{
	static const char *const none[] = { "rsync", NULL };
	pid_t pid;

	if (proc_spawn_after(enter_and_end, s->c.state.bundle, none, -1, -1, false, &pid, e) < 0)
		return err_ret(e);
	return proc_finish(none[0], pid, e);
}

void source_check_bundle(struct source *s, struct problems *p)
{
	const char *mount, *other = NULL;
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	if (s->o->rootfs != MIGRATION_COPY)
		return;
	if (try_without_links(s, &e) < 0)
		problem(p, "%s: --rootfs shared does without", err_format(&e, text, sizeof text));
	mount = mount_in(s, real(s, s->c.state.rootfs));
	if (mount)
		problem(p, "%s is mounted in the bundle, of which only the root may be a mount: unmount it, or let the document mount it in the "
			   "container", mount);
	if (!s->o->keep && other_user(s, &other, &e) < 0)
		problem(p, "the bundle %s would be removed here: %s: --keep leaves it", s->c.state.bundle, err_format(&e, text, sizeof text));
	if (other)
		problem(p, "the bundle %s would be removed here, and container %s has it, or something of it: --keep leaves it", s->c.state.bundle,
			other);
}

int source_remove_bundle(struct source *s, struct err *e)
{
	const char *bundle = s->c.state.bundle, *other, *mount = mount_in(s, NULL);

	if (other_user(s, &other, e) < 0)
		return err_wrap(e, "it runs there; the bundle %s stays", bundle);
	if (other)
		log_warn("the bundle %s stays: container %s has it, or something of it", bundle, other);
	else if (mount)
		log_warn("the bundle %s stays: %s is a mount", bundle, mount);
	else if (fs_remove_path(bundle, e) < 0)
		return err_wrap(e, "it runs there; the bundle here");
	return 0;
}

/* ---- the copy ---- */

static bool keeps_times(struct source *s, const char *path);

/* What lies over others knows of changes as its upper layer does. */
static bool upper_keeps_times(struct source *s, const char *path)
{
	struct mountinfos seen;
	struct err ignored;
	const char *upper = NULL;
	char *name;
	size_t longest = 0;

	if (mountinfo_read(0, &seen, &s->arena, &ignored) < 0)
		return false;
	for (size_t i = 0; i < seen.n; i++)
		if (path_below(seen.v[i].point, path) && strlen(seen.v[i].point) >= longest) {
			longest = strlen(seen.v[i].point);
			upper = strcmp(seen.v[i].fs, "overlay") == 0 ? strstr(seen.v[i].super, ",upperdir=") : NULL;
		}
	if (!upper)
		return false;
	upper += strlen(",upperdir=");
	name = arena_strndup(&s->arena, upper, strcspn(upper, ","));
	return name && keeps_times(s, mountinfo_unescape(name));
}

/* By the clock of this host, and also for stores into mapped pages, of which tmpfs and some network file systems hear nothing. */
static bool keeps_times(struct source *s, const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return false;
	switch ((unsigned)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case BCACHEFS_MAGIC:
		return true;
	case OVERLAYFS_SUPER_MAGIC:
		return upper_keeps_times(s, real(s, path));
	default:
		return false;
	}
}

static bool sync_at(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && syncfs(fd) == 0;
}

/* Which directory (FNV-1a). */
static uint64_t key_of(const char *path, const struct stat *st)
{
	uint64_t key = 0xcbf29ce484222325;
	const uint64_t number[] = { st->st_dev, st->st_ino };

	for (const char *p = path; *p; p++)
		key = (key ^ (uint8_t)*p) * 0x100000001b3;
	for (size_t i = 0; i < sizeof number; i++)
		key = (key ^ ((const uint8_t *)number)[i]) * 0x100000001b3;
	return key;
}

struct inode {
	dev_t dev;
	ino_t ino;
};

/* Of the one walk that there is at a time. */
static struct {
	FILE *to;         /* names, each with a NUL */
	size_t prefix, n;
	uint64_t bytes;
	void *links;      /* tsearch(3): the files that have further names, struct inode */
	time_t since;
	struct str *dirs; /* the keys of those that were there before the first pass */
	int moved;        /* the level of the directory at hand that was not among them; -1: there is none */
} walk;

static int compare_inodes(const void *a, const void *b)
{
	const struct inode *x = a, *y = b;

	if (x->dev != y->dev)
		return (x->dev > y->dev) - (x->dev < y->dev);
	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* Of a file with several names the first. */
static bool is_new_link(const struct stat *st)
{
	struct inode *i = malloc(sizeof *i), **found;

	if (!i)
		return true;
	*i = (struct inode){ st->st_dev, st->st_ino };
	found = tsearch(i, &walk.links, compare_inodes);
	if (found && *found == i)
		return true;
	free(i);
	return !found;
}

static int add_size(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)at;
	if (type != FTW_F || (st->st_nlink > 1 && !is_new_link(st)))
		return 0;
	walk.bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t source_bundle_size(struct source *s)
{
	walk.bytes = 0;
	nftw(real(s, s->c.state.bundle), add_size, WALK_FDS, FTW_PHYS);
	tdestroy(walk.links, free);
	walk.links = NULL;
	return walk.bytes;
}

static int note(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const uint64_t key = key_of(path, st);

	(void)at;
	if (type == FTW_D)
		str_addn(walk.dirs, (const char *)&key, sizeof key);
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* One that vanishes ends the walk.  What is not seen, and what comes twice, costs no more than time; and so does an overlay of several file
 * systems, whose directories may get other numbers. */
static int note_dirs(struct source *s, const char *bundle, struct err *e)
{
	int tries = WALK_TRIES;

	walk.dirs = &s->dirs;
	while (tries-- > 0 && nftw(bundle, note, WALK_FDS, FTW_PHYS) != 0)
		;
	if (str_failed(&s->dirs))
		return err_oom(e);
	if (s->dirs.len)
		qsort(s->dirs.s, s->dirs.len / sizeof(uint64_t), sizeof(uint64_t), compare_keys);
	return 0;
}

static int first_pass(struct source *s, const char *from, struct err *e)
{
	static const char *const options[] = { "--delete", "--sparse", NULL };
	const char *bundle = s->c.state.bundle, *root = s->c.state.rootfs;

	s->copied_at = time(NULL);
	s->copied_ms = clock_ms();
	s->by_time = keeps_times(s, bundle) && keeps_times(s, root) && sync_at(bundle) && sync_at(root);
	if (s->by_time && note_dirs(s, real(s, bundle), e) < 0)
		return err_ret(e);
	return rsync_send(&s->w, from, options, false, e);
}

static bool was_there(const char *path, const struct stat *st)
{
	const uint64_t key = key_of(path, st);

	return walk.dirs->len && bsearch(&key, walk.dirs->s, walk.dirs->len / sizeof key, sizeof key, compare_keys);
}

/* A directory comes before what is in it. */
static int look(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (at->level <= walk.moved)
		walk.moved = -1;
	if (type == FTW_D && walk.moved < 0 && !was_there(path, st))
		walk.moved = at->level;
	if (type != FTW_F || !S_ISREG(st->st_mode) || (walk.moved < 0 && st->st_ctim.tv_sec < walk.since))
		return 0;
	walk.n++;
	path += walk.prefix;
	return fputs(path + strspn(path, "/"), walk.to) < 0 || fputc('\0', walk.to) < 0;
}

/* The clock may have been set back meanwhile; and a file's time is a little behind it. */
static time_t since(const struct source *s)
{
	time_t now = time(NULL) - (time_t)((clock_ms() - s->copied_ms) / 1000);

	return (now < s->copied_at ? now : s->copied_at) - 2;
}

static int list_changed(struct source *s, const char *list, struct err *e)
{
	const char *bundle = real(s, s->c.state.bundle);
	int r;

	walk.to = fopen(list, "we");
	if (!walk.to)
		return err_sys(e, "%s", list);
	walk.prefix = strlen(bundle);
	walk.n = 0;
	walk.since = since(s);
	walk.dirs = &s->dirs;
	walk.moved = -1;
	r = nftw(bundle, look, WALK_FDS, FTW_PHYS);
	if (fclose(walk.to) != 0 || r != 0)
		return err_sys(e, "%s", r < 0 ? bundle : list);
	return 0;
}

/* Nothing changes, and no name leads elsewhere than it did a moment ago. */
static int compare_changed(struct source *s, const char *from, struct err *e)
{
	char list[PATH_MAX], word[PATH_MAX + 16];
	const char *const options[] = { "--ignore-times", "--from0", word, NULL };

	snprintf(list, sizeof list, "%s/" CHANGED, s->work);
	snprintf(word, sizeof word, "--files-from=%s", list);
	if (list_changed(s, list, e) < 0)
		return err_ret(e);
	return walk.n ? rsync_send(&s->w, from, options, true, e) : 0;
}

int source_send_files(struct source *s, bool last, struct err *e)
{
	/* Not --inplace: it would write into what was one file with another before, and is one no more. */
	static const char *const by_time[] = { "--delete", NULL };
	static const char *const by_content[] = { "--delete", "--checksum", NULL };
	struct migrate_progress p = { .phase = "files", .round = s->round };
	const char *from;

	if (s->o->rootfs != MIGRATION_COPY)
		return 0;
	from = arena_printf(&s->arena, "%s/", s->c.state.bundle);
	if (!from)
		return err_oom(e);
	source_report(s, &p);
	if (!s->copied_at)
		return first_pass(s, from, e);
	if (rsync_send(&s->w, from, last && !s->by_time ? by_content : by_time, last, e) < 0)
		return err_ret(e);
	return last && s->by_time ? compare_changed(s, from, e) : 0;
}
