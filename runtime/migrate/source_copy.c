// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/source.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/migrate/files.h"

#define FEW_PAGES 64      /* a round that brings no more is the last */
#define GROWTH_PERCENT 10 /* and so is one that brings so much more than the one before */

struct criu_options source_dump_options(const struct source *s, const char *images)
{
	return (struct criu_options){
		.images = images, .tcp_established = true, .tcp_skip_in_flight = true, .file_locks = true, .link_remap = true, .ext_unix_sk = s->o->ext_unix_sk,
		.cgroups = CRIU_CGROUPS_SOFT, .status_fd = -1, .signals = s->o->signals, .tried = true,
	};
}

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t pages_in(int work_fd, const char *name)
{
	cleanup_dir DIR *dir = dir_open(work_fd, name);
	uint64_t bytes = 0;
	struct stat st;

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir))
		if (str_starts(entry->d_name, CRIU_PAGES) && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	return bytes / page_size();
}

/* What was sent is kept on the other side alone: a later dump needs only the map of it. */
static void drop_pages(int work_fd, const char *name)
{
	cleanup_dir DIR *dir = dir_open(work_fd, name);

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		cleanup_fd int file = str_starts(entry->d_name, CRIU_PAGES) ? openat(dirfd(dir), entry->d_name, O_WRONLY | O_CLOEXEC) : -1;
		struct stat st;

		if (file >= 0 && fstat(file, &st) == 0)
			fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size);
	}
}

/* One round; *ret_pages: what it brought. */
static int pre_dump(struct source *s, uint64_t *ret_pages, struct err *e)
{
	char images[PATH_MAX], parent[32], name[16];
	struct criu_options o;
	int64_t began = clock_ms();
	uint64_t sent = s->w.sent;
	int64_t ms;

	snprintf(name, sizeof name, "%u", s->round + 1);
	snprintf(images, sizeof images, "%s/%s", s->work, name);
	snprintf(parent, sizeof parent, "../%u", s->round);
	o = source_dump_options(s, images);
	o.pre_dump = true;
	o.parent = s->round ? parent : NULL;
	if (source_lock(s, e) < 0 || container_checkpoint(&s->c, &o, e) < 0)
		return err_ret(e);
	source_unlock(s);
	if (files_send(&s->w, s->work_fd, name, s->o->compress, e) < 0)
		return err_ret(e);
	*ret_pages = pages_in(s->work_fd, name);
	drop_pages(s->work_fd, name);
	s->round++;
	ms = clock_ms() - began + 1;
	source_report(s, &(struct migrate_progress){
			  .phase = "memory", .round = s->round, .bytes = s->w.sent - sent, .rate = (s->w.sent - sent) * 1000 / (uint64_t)ms,
			  .dirty = s->round > 1 ? *ret_pages * page_size() * 1000 / (uint64_t)ms : 0, .downtime_ms = ms });
	return 0;
}

bool source_is_last_round(const struct migrate_options *o, unsigned round, uint64_t pages, uint64_t before, int64_t ms)
{
	if (round >= o->max_rounds || pages <= FEW_PAGES || (before && pages > before + before * GROWTH_PERCENT / 100))
		return true;
	return round > 1 && o->max_downtime_ms && ms <= o->max_downtime_ms;
}

int source_send_rounds(struct source *s, struct err *e)
{
	uint64_t before = 0, pages = 0;

	if (!s->o->pre_copy || !s->criu.mem_track)
		return 0;
	while (s->round < s->o->max_rounds) {
		int64_t began = clock_ms(), ms;

		if (pre_dump(s, &pages, e) < 0)
			return err_wrap(e, "round %u", s->round + 1);
		ms = clock_ms() - began;
		if (source_is_last_round(s->o, s->round, pages, before, ms))
			break;
		before = pages;
		if (source_send_files(s, false, e) < 0)
			return err_ret(e);
	}
	return 0;
}
