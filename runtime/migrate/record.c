// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/flow/container.h"
#include "runtime/migrate/migrate.h"

#define RECORDS ".migrations"
#define RECORD_MAX 65536
#define RECORD_BLOCK 4096
#define LOCK_WAIT_MS 1000
#define RSYNC_MS 10000
#define RSYNC_PAUSE_MS 5
#define QUESTION_MS 30000 /* for the lock, before it is asked again */

int record_open(const char *root, const char *token, int flags, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (strlen(token) != MIGRATION_TOKEN || strspn(token, "0123456789abcdef") != MIGRATION_TOKEN)
		return err_set(e, ERR_STATE, EINVAL, "\"%.40s\" is no name of a migration", token);
	snprintf(path, sizeof path, "%s/" RECORDS, root);
	if (flags & O_CREAT && fs_mkdir_all(path, 0700, e) < 0)
		return err_ret(e);
	snprintf(path, sizeof path, "%s/" RECORDS "/%s", root, token);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		return err_sys(e, "%s", path);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			close(fd);
			return err_sys(e, "lock %s", path);
		}
	if (fstat(fd, &st) == 0 && st.st_nlink > 0)
		return fd;
	close(fd); /* forgotten while we waited: one that is new seems to be nobody's until it is locked */
	return record_open(root, token, flags, e);
}

int record_read(int fd, struct migration_record *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };

	*ret = (struct migration_record){ .fate = MIGRATION_UNKNOWN };
	if (lseek(fd, 0, SEEK_SET) < 0 || fs_read_fd(fd, RECORD_MAX, RECORDS, &text, e) < 0)
		return err_ret(e);
	return text.len ? migration_parse(&migration_record_type, text.s, text.len, ret, a, e) : 0;
}

int record_write(int fd, const struct migration_record *r, struct err *e)
{
	cleanup_str struct str text = { 0 };

	decode_emit(&migration_record_type, r, &(struct emit){ .out = &text });
	if (str_failed(&text))
		return err_oom(e);
	/* Over what was there and no longer than that: a full disk leaves it as it is. */
	while (text.len % RECORD_BLOCK)
		str_addc(&text, ' ');
	if (str_failed(&text))
		return err_oom(e);
	if (lseek(fd, 0, SEEK_SET) < 0 || fs_write_fd(fd, text.s, text.len, RECORDS, e) < 0)
		return err_ret(e);
	return ftruncate(fd, (off_t)text.len) < 0 ? err_sys(e, RECORDS) : 0;
}

void record_forget(const char *root, const char *token)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/" RECORDS "/%s", root, token);
	unlink(path);
}

/* Processes of an rsync that was killed end soon, and make directories until then (rsync.c). */
static void await_rsync(const char *dir)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int ms = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && ms < RSYNC_MS; ms += RSYNC_PAUSE_MS)
		poll(NULL, 0, RSYNC_PAUSE_MS);
}

void record_remove(const char **path)
{
	struct err e;

	if (*path)
		await_rsync(*path);
	if (*path && fs_remove_path(*path, &e) < 0)
		log_warn_err(&e);
	else
		*path = NULL;
}

/* Numbers of inodes are given anew at once: only with the time of its birth, where the file system knows it, is it no other. */
const char *record_identity(const char *path, struct arena *a)
{
	struct statx x;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &x) < 0)
		return NULL;
	return arena_printf(a, "%u:%u:%llu:%lld.%09u", x.stx_dev_major, x.stx_dev_minor, (unsigned long long)x.stx_ino,
			    (long long)x.stx_btime.tv_sec, x.stx_btime.tv_nsec);
}

/* Somebody who has removed it may have put his own there. */
static void remove_bundle(struct migration_record *r)
{
	cleanup_arena struct arena a = { 0 };
	const char *is;

	if (!r->bundle)
		return;
	errno = 0;
	is = record_identity(r->bundle, &a);
	if (!is && errno != ENOENT)
		return; /* the record keeps its name */
	if (!is || str_eq(is, r->made)) {
		record_remove(&r->bundle);
		return;
	}
	/* Its maker was killed before it could tell which one it made, and so before anything came to be in it. */
	if (!r->made && rmdir(r->bundle) == 0) {
		r->bundle = NULL;
		return;
	}
	log_warn("%s stays: it is not known to be what a migration made there", r->bundle);
	r->bundle = NULL;
}

static bool is_alive(const struct migration_record *r)
{
	struct err ignored;
	cleanup_fd int pidfd = r->pid > 0 ? proc_open((pid_t)r->pid, r->start_time, &ignored) : -1;

	return pidfd >= 0;
}

static bool is_cleared(const struct migration_record *r)
{
	return r->fate == MIGRATION_COMMITTED ? !r->work || is_alive(r) /* who removes it */ : !r->work && !r->bundle;
}

/* ---- the answer to "what became of it?" ---- */

static bool is_unsaid(const struct container *c, const struct migration_record *r)
{
	return c->state.status == OCI_CREATING && r->created && str_eq(c->state.created, r->created);
}

/* It ran, and there was no space to say so in its state. */
static void say_so(const char *root, const struct migration_record *r)
{
	cleanup_container struct container seen = { .dir = STORE_DIR_NONE, .pidfd = -1 }, c = seen;
	struct err e;

	if (!r->id || container_open(root, r->id, STORE_LOOK, &seen, &e) < 0 || !is_unsaid(&seen, r))
		return;
	if (container_open_until(root, r->id, -1, LOCK_WAIT_MS, &c, &e) < 0 || !is_unsaid(&c, r))
		return;
	c.state.status = OCI_RUNNING;
	if (store_save(&c.dir, &c.state, &e) < 0)
		log_warn_err(&e);
}

/* 1: it runs, or did; 0: it never will; below: it cannot be known now.  Whoever restores it holds its lock: when we have that, nothing
 * changes any more.  A vzrun that was killed behind its word to CRIU has left a container that runs and nothing that says so. */
static int has_run(const char *root, const struct migration_record *r, struct err *e)
{
	cleanup_container struct container c = { .dir = STORE_DIR_NONE, .pidfd = -1 };

	if (r->ran) {
		say_so(root, r);
		return 1;
	}
	if (container_open_until(root, r->id ? r->id : "", -1, QUESTION_MS, &c, e) < 0)
		return e->kind == ERR_STATE && e->num == ENOENT ? 0 : err_ret(e);
	if (r->created && !str_eq(c.state.created, r->created))
		return err_set(e, ERR_STATE, 0, "container %s is another there: whether the one that moved ever ran cannot be known any more", r->id);
	if (c.state.status != OCI_CREATING)
		return 1;
	/* CRIU's own process, or one that it is about to take back, is gone in a moment. */
	if (c.pidfd < 0 || poll(&(struct pollfd){ .fd = c.pidfd, .events = POLLIN }, 1, 3000) > 0)
		return 0;
	c.state.status = OCI_RUNNING;
	return store_save(&c.dir, &c.state, e) < 0 ? err_ret(e) : 1;
}

/* A restore that did not come to its end, and no container of that id that somebody has made otherwise, or is making. */
static bool is_half_made(const char *root, const char *id)
{
	cleanup_container struct container c = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	struct err e;

	/* A killed restore's helpers may have its lock for a moment yet; whoever has it for longer makes a container of his own. */
	return container_open_until(root, id, -1, LOCK_WAIT_MS, &c, &e) == 0 ? c.state.status == OCI_CREATING : e.num == ENOENT && e.kind == ERR_STATE;
}

/* The container of this migration, which runs; another of its id is left alone. */
static int end_own(const char *root, const struct migration_record *r, struct err *e)
{
	cleanup_container struct container c = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	struct err ignored;

	if (container_open(root, r->id ? r->id : "", STORE_LOOK, &c, &ignored) == 0 && str_eq(c.state.created, r->created))
		container_silence(&c);
	return container_delete_own(root, r->id ? r->id : "", r->created ? r->created : "", true, e) < 0 ? err_ret(e) : 0;
}

int record_undo(const char *root, struct migration_record *r, struct err *e)
{
	/* As long as it may live its files stay, and so does the record that tells of them. */
	if (r->id && r->created && end_own(root, r, e) < 0)
		return err_ret(e);
	if (r->id && !r->created && is_half_made(root, r->id) && container_delete(root, r->id, true, e) < 0)
		return err_ret(e);
	record_remove(&r->work);
	remove_bundle(r);
	r->id = r->created = NULL; /* what is there from now on is others' */
	return 0;
}

/* Its images are not needed any more; whoever restored it and lives removes them itself. */
static void undo_work(int fd, struct migration_record *r)
{
	struct err e;

	if (!r->work || is_alive(r))
		return;
	record_remove(&r->work);
	if (!r->work && record_write(fd, r, &e) < 0)
		log_warn_err(&e);
}

int record_find_fate(const char *root, const struct migration_question *q, int64_t *ret, struct arena *a, struct err *e)
{
	cleanup_fd int fd = record_open(root, q->token, 0, e);
	struct migration_record r;
	int ran = 0;

	*ret = MIGRATION_UNKNOWN;
	if (fd < 0)
		return e->num == ENOENT ? 0 : err_ret(e);
	if (record_read(fd, &r, a, e) < 0)
		return err_ret(e);
	if (r.fate == MIGRATION_COMMITTED)
		ran = has_run(root, &r, e);
	if (ran < 0)
		return err_ret(e);
	if (ran) {
		undo_work(fd, &r);
		*ret = MIGRATION_COMMITTED;
		return 0;
	}
	/* Its memory was where the question comes from, which has lost us: it must not run when that has our answer.  Or it was let go, and is
	 * not there. */
	if (r.fate == MIGRATION_FETCHING || r.fate == MIGRATION_LOST || r.fate == MIGRATION_COMMITTED) {
		if (record_undo(root, &r, e) < 0)
			return err_ret(e);
		r.fate = *ret = MIGRATION_LOST;
		return record_write(fd, &r, e);
	}
	/* Whoever still waits for the word gets it too late, and cleans up itself. */
	r.fate = *ret = MIGRATION_ABORTED;
	if (!is_alive(&r) && record_undo(root, &r, e) < 0)
		return err_ret(e);
	return record_write(fd, &r, e);
}

/* The source knows. */
void record_settled(const char *root, const char *token)
{
	cleanup_arena struct arena a = { 0 };
	struct migration_record r;
	struct err ignored;
	cleanup_fd int fd = record_open(root, token, 0, &ignored);

	if (fd >= 0 && record_read(fd, &r, &a, &ignored) >= 0 && is_cleared(&r))
		record_forget(root, token);
}

/* A container that has come to run here is no part of this any more, nor is another of its id; its images are.  One that was to run and
 * never will is called off, as it would be by a question: none that comes later finds a container that is not there. */
static int clear_up(const char *root, int fd, struct migration_record *r, struct err *e)
{
	if (r->fate == MIGRATION_COMMITTED && has_run(root, r, e) != 0) {
		undo_work(fd, r);
		return 0;
	}
	if (r->fate == MIGRATION_COMMITTED) {
		r->fate = MIGRATION_LOST;
		if (record_write(fd, r, e) < 0)
			return err_ret(e);
	}
	if (record_undo(root, r, e) < 0)
		return err_ret(e);
	if (r->fate == MIGRATION_FETCHING)
		r->fate = MIGRATION_LOST; /* not before that: the guard of its memory goes by it */
	return record_write(fd, r, e);
}

static int reconcile(const char *root, const char *token, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_fd int fd = record_open(root, token, 0, e);
	struct migration_record r;

	if (fd < 0)
		return e->num == ENOENT ? 0 : err_ret(e); /* forgotten meanwhile */
	if (record_read(fd, &r, &a, e) < 0)
		return err_wrap(e, "%s/" RECORDS "/%s", root, token);
	if (is_alive(&r))
		return 0;
	if (clear_up(root, fd, &r, e) < 0)
		return err_ret(e);
	if (is_cleared(&r) && r.fate != MIGRATION_COMMITTED && r.fate != MIGRATION_LOST)
		record_forget(root, token); /* else somebody may still ask */
	return 0;
}

int migrate_reconcile(const char *root, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/" RECORDS, root);
	cleanup_dir DIR *dir = opendir(path);
	if (!dir && errno != ENOENT)
		return err_sys(e, "%s", path);
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		struct err why;

		/* What is wrong with one is no reason to leave the others. */
		if (entry->d_name[0] != '.' && reconcile(root, entry->d_name, &why) < 0)
			log_warn_err(&why);
	}
	return 0;
}
