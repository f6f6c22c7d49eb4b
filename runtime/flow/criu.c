// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/criu.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/crc.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/flow/criu_compress.h"

#define CONFIG_ANNOTATION "org.criu.config"
#define CONFIG_FILE "/etc/criu/runc.conf"
#define CONFIG_MAX ((size_t)1 << 20)
#define LOG_MAX ((size_t)256 << 20)
#define QUOTED_LINES 4 /* of the log: the first ones are the reasons, what follows them is the consequence */
#define PARENTS_MAX 1000 /* rounds of pre-dump */
#define RECORD_MAX ((size_t)64 << 20)
#define SUM_MAX ((size_t)1 << 20)

/* ---- directories ---- */

static int open_dir(const char *option, const char *path, bool make, int *ret, struct err *e)
{
	if (make && fs_mkdir_all(path, 0700, e) < 0)
		return err_wrap(e, "--%s", option);
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, "--%s %s", option, path) : 0;
}

/* Images are code that runs with the container's rights, and CRIU reads them as root, and writes through whatever link lies where it writes. */
static int check_owner(const char *dir, const char *name, const struct stat *st, struct err *e)
{
	if ((st->st_uid != 0 && st->st_uid != geteuid()) || st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && st->st_gid != 0))
		return err_set(e, ERR_CONFIG, EPERM, "%s%s%s: others than root could write it (owner %u, mode %04o), and what is in "
			       "it would run: make it root's, with mode 0600, if you know what it is", dir, *name ? "/" : "", name,
			       (unsigned)st->st_uid, (unsigned)st->st_mode & 07777);
	return 0;
}

static int check_place(const char *dir, int fd, struct err *e)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? err_sys(e, "%s", dir) : check_owner(dir, "", &st, e);
}

/* Whoever may rename this directory or one above it may put others there once images have been looked at: CRIU, and who covers them, come
 * by name. */
static int check_way(int dir, const char *path, struct err *e)
{
	cleanup_fd int fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_str struct str name = { 0 };
	struct stat st, below = { 0 };

	str_add(&name, path);
	for (;;) {
		int above;

		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(e, "%s", str_cstr(&name));
		if (st.st_dev == below.st_dev && st.st_ino == below.st_ino)
			return 0;
		below = st;
		if (st.st_mode & S_ISVTX) /* there each renames his own */
			st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
		if (check_owner(str_cstr(&name), "", &st, e) < 0)
			return err_ret(e);
		above = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = above;
		str_add(&name, "/..");
	}
}

int criu_check_place(const char *dir, struct err *e)
{
	char found[PATH_MAX];
	cleanup_fd int fd = -1;
	size_t n = fs_found(dir);

	snprintf(found, sizeof found, "%.*s", (int)n, dir);
	if (!n)
		strcpy(found, dir[0] == '/' ? "/" : ".");
	if (open_dir("image-path", found, false, &fd, e) < 0)
		return err_ret(e);
	return check_way(fd, found, e);
}

int criu_open_dirs(const struct criu_options *o, bool make, struct criu_dirs *ret, struct err *e)
{
	cleanup_dirs struct criu_dirs d = { o->images, o->work ? o->work : o->images, -1, -1 };

	/* A restore takes images only from such a place. */
	if (make && criu_check_place(d.images, e) < 0)
		return err_ret(e);
	if (open_dir("image-path", d.images, make, &d.images_fd, e) < 0)
		return err_ret(e);
	if (!o->work)
		d.work_fd = fcntl(d.images_fd, F_DUPFD_CLOEXEC, 3);
	else if (open_dir("work-path", d.work, true, &d.work_fd, e) < 0)
		return err_ret(e);
	if (d.work_fd < 0)
		return err_sys(e, "--work-path %s", d.work);
	if (faccessat(d.work_fd, ".", W_OK, 0) < 0) {
		err_sys(e, "%s", d.work);
		return err_hint(e, "CRIU writes its log there: give --work-path");
	}
	if ((make && check_place(d.images, d.images_fd, e) < 0) || check_place(d.work, d.work_fd, e) < 0)
		return err_ret(e);
	*ret = d;
	d = CRIU_DIRS_NONE;
	return 0;
}

void criu_close_dirs(struct criu_dirs *d)
{
	fd_close(&d->images_fd);
	fd_close(&d->work_fd);
}

/* ---- the request ---- */

void criu_fill(const struct criu_options *o, const char *log, struct criu_request *ret)
{
	*ret = (struct criu_request){
		.log_file = log, .terminal = true,
		.ext_unix_sk = o->ext_unix_sk, .tcp_established = o->tcp_established, .tcp_skip_in_flight = o->tcp_skip_in_flight,
		.tcp_close = o->tcp_close, .shell_job = o->shell_job, .file_locks = o->file_locks, .link_remap = o->link_remap,
		.auto_dedup = o->auto_dedup, .lazy_pages = o->lazy_pages, .empty_network = o->empty_network,
		.cgroups = o->cgroups, .lock = o->lock, .page_server = o->page_server, .port = o->page_port,
	};
}

int criu_check_options(const struct criu_options *o, const struct criu *c, struct err *e)
{
	char have[32];

	if ((o->lsm_profile || o->lsm_mount_context) && c->version < CRIU_TAKES_LSM)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: CRIU %s cannot, 3.16 and later can", o->lsm_profile ? "--lsm-profile" : "--lsm-mount-context",
			       criu_version_text(c->version, have, sizeof have));
	if (o->lock == CRIU_LOCK_SKIP && c->version < CRIU_SKIPS_LOCK)
		return err_set(e, ERR_UNSUPPORTED, 0, "--network-lock skip: CRIU %s cannot, 3.19 and later can",
			       criu_version_text(c->version, have, sizeof have));
	/* What is restored would be cut off for good, and nobody would be told. */
	if (o->lock == CRIU_LOCK_NFTABLES && c->version < CRIU_FINDS_LOCK)
		return err_set(e, ERR_UNSUPPORTED, 0, "--network-lock nftables: CRIU %s would not find its lock again after the restore, "
			       "4.1 and later do: use iptables", criu_version_text(c->version, have, sizeof have));
	return 0;
}

const char *criu_config_file(const struct oci_map *annotations)
{
	for (size_t i = 0; i < annotations->n; i++)
		if (strcmp(annotations->v[i].key, CONFIG_ANNOTATION) == 0)
			return *annotations->v[i].value ? annotations->v[i].value : NULL;
	return access(CONFIG_FILE, F_OK) == 0 ? CONFIG_FILE : NULL;
}

const char *criu_config_more(const struct criu_dirs *d, const char *config, const char *line, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	const char *path;

	if (config && fs_read(AT_FDCWD, config, CONFIG_MAX, &text, e) < 0) {
		err_wrap(e, CONFIG_ANNOTATION);
		return NULL;
	}
	str_addf(&text, "\n%s\n", line);
	path = arena_printf(a, "%s/" CRIU_CONFIG_MORE, d->work);
	if (str_failed(&text) || !path) {
		err_oom(e);
		return NULL;
	}
	return fs_replace(d->work_fd, CRIU_CONFIG_MORE, text.s, text.len, 0600, e) < 0 ? NULL : path;
}

/* ---- errors ---- */

/* "(00.012345)     42: Error (criu/files.c:1234): Can't lookup mount=...", without what stands before the words; some reasons, as that
 * no page server answers, come without the first of them. */
static const char *error_text(const char *line)
{
	const char *at = strstr(line, "Error ("), *cannot = strstr(line, ") Can't ");
	const char *colon = at ? strstr(at, "): ") : NULL;

	if (!at && cannot)
		return cannot + strlen(") ");
	return colon ? colon + strlen("): ") : at;
}

static void quote_errors(const struct str *log, struct str *ret)
{
	const char *last = "";
	size_t last_len = 0;
	int n = 0;

	for (const char *line = str_cstr(log); *line && n < QUOTED_LINES;) {
		size_t len = strcspn(line, "\n");
		char text[512];
		const char *found;

		snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), line);
		found = error_text(text);
		if (found && !(strlen(found) == last_len && strncmp(last, found, last_len) == 0)) {
			str_addf(ret, "%s%s", n++ ? "; " : "", found);
			last_len = strlen(found);
			last = line + (found - text);
		}
		line += len + (line[len] == '\n');
	}
}

/* One that cannot run on this kernel fails at what it tries first, in words of its authors' alone.  That is asked behind a failure:
 * the question takes as long as a small dump. */
static bool can_run(struct err *e)
{
	struct criu_features has;

	return criu_here(&has, e) != 0 || e->kind != ERR_UNSUPPORTED;
}

int criu_explain(const struct criu *c, const struct criu_dirs *d, const char *log, bool tried, struct err *e)
{
	cleanup_str struct str text = { 0 }, lines = { 0 };
	struct err ignored, why;
	bool has_log;

	if (c->refused)
		return err_ret(e);
	has_log = fs_read(d->work_fd, log, LOG_MAX, &text, &ignored) >= 0;
	if (has_log)
		quote_errors(&text, &lines);
	if (!tried && !can_run(&why))
		err_set(e, ERR_UNSUPPORTED, 0, "%s%s%s", why.text, lines.len ? "; it said: " : "", str_cstr(&lines));
	else if (lines.len)
		err_set(e, ERR_KERNEL, 0, "CRIU: %s", str_cstr(&lines));
	return has_log ? err_hint(e, "log: %s/%s", d->work, log) : err_ret(e);
}

/* ---- the record ---- */

static bool is_ours(const char *name)
{
	return name[0] == '.' || strcmp(name, OCI_IMAGE_FILE) == 0 || strcmp(name, CRIU_DESCRIPTORS) == 0;
}

/* Logs and statistics are written until the very end, and by a restore. */
static bool is_kept(const char *name)
{
	return !is_ours(name) && str_ends(name, ".img");
}

/* What says who the processes are, and what they have: small files, which are read in no time.  Memory is not read twice while a
 * container stands still, and parts of it may be taken out later (auto-dedup). */
static int sum_file(int dir, const char *name, uint64_t size, struct arena *a, const char **ret, struct err *e)
{
	cleanup_str struct str text = { 0 };

	*ret = NULL;
	if (size > SUM_MAX || str_starts(name, CRIU_PAGES))
		return 0;
	if (fs_read(dir, name, SUM_MAX, &text, e) < 0)
		return err_ret(e);
	*ret = arena_printf(a, "%08x", crc32(0, text.s, text.len));
	return *ret ? 0 : err_oom(e);
}

static int list_files(const struct criu_dirs *d, struct oci_image_files *ret, struct arena *a, struct err *e)
{
	cleanup_dir DIR *dir = dir_open(d->images_fd, ".");
	size_t cap = 0;

	if (!dir)
		return err_sys(e, "%s", d->images);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		struct stat st;

		if (!is_kept(entry->d_name) || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (ret->n == cap) {
			struct oci_image_file *more = arena_alloc_n(a, cap * 2 + 64, sizeof *more);

			if (!more)
				return err_oom(e);
			if (ret->n)
				memcpy(more, ret->v, ret->n * sizeof *more);
			cap = cap * 2 + 64;
			ret->v = more;
		}
		ret->v[ret->n].name = arena_strdup(a, entry->d_name);
		ret->v[ret->n].size = (uint64_t)st.st_size;
		if (!ret->v[ret->n].name)
			return err_oom(e);
		if (sum_file(dirfd(dir), entry->d_name, (uint64_t)st.st_size, a, &ret->v[ret->n++].sum, e) < 0)
			return err_wrap(e, "%s", d->images);
	}
	return 0;
}

int criu_write_record(const struct criu_dirs *d, struct oci_image *image, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct utsname u;

	if (uname(&u) < 0)
		return err_sys(e, "uname");
	image->machine = arena_strdup(a, u.machine);
	image->kernel = arena_strdup(a, u.release);
	if (!image->machine || !image->kernel)
		return err_oom(e);
	image->files = (struct oci_image_files){ 0 };
	if (list_files(d, &image->files, a, e) < 0)
		return err_ret(e);
	decode_emit(&oci_image_type, image, &(struct emit){ .out = &text });
	if (str_failed(&text))
		return err_oom(e);
	return fs_replace(d->images_fd, OCI_IMAGE_FILE, text.s, text.len, 0600, e) < 0 ? err_wrap(e, "%s", d->images) : 0;
}

static int check_owners(const struct criu_dirs *d, struct err *e)
{
	cleanup_dir DIR *dir = dir_open(d->images_fd, ".");
	struct stat st;

	if (!dir || fstat(dirfd(dir), &st) < 0)
		return err_sys(e, "%s", d->images);
	if (check_owner(d->images, "", &st, e) < 0)
		return err_ret(e);
	errno = 0;
	for (struct dirent *entry = readdir(dir); entry; errno = 0, entry = readdir(dir)) {
		if (strcmp(entry->d_name, "..") == 0 || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* A link is as safe as what it leads to: parents are looked at, and nothing else is one. */
		if (S_ISLNK(st.st_mode) && strcmp(entry->d_name, "parent") != 0)
			return err_set(e, ERR_CONFIG, ELOOP, "%s/%s: a symbolic link, which no checkpoint makes", d->images, entry->d_name);
		if (!S_ISLNK(st.st_mode) && check_owner(d->images, entry->d_name, &st, e) < 0)
			return err_ret(e);
	}
	return errno ? err_sys(e, "%s", d->images) : check_way(d->images_fd, d->images, e);
}

static int check_file(const struct criu_dirs *d, const struct oci_image_file *f, struct arena *a, struct err *e)
{
	const char *sum;
	struct stat st;

	if (fstatat(d->images_fd, f->name, &st, 0) < 0)
		return err_sys(e, "%s/%s", d->images, f->name);
	/* What memory was the same as the parent's may have been taken out since (auto-dedup): that is a hole, not a shorter file. */
	if ((uint64_t)st.st_size != f->size)
		return err_set(e, ERR_CONFIG, 0, "%s/%s: %lld bytes, but the checkpoint wrote %llu: it was cut, or is another's",
			       d->images, f->name, (long long)st.st_size, (unsigned long long)f->size);
	if (!f->sum)
		return 0;
	if (sum_file(d->images_fd, f->name, f->size, a, &sum, e) < 0)
		return err_wrap(e, "%s", d->images);
	return str_eq(sum, f->sum) ? 0 : err_set(e, ERR_CONFIG, 0, "%s/%s is not what the checkpoint wrote: it was changed, or is another's",
						 d->images, f->name);
}

static int check_files(const struct criu_dirs *d, const struct oci_image *image, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < image->files.n; i++) {
		const char *name = image->files.v[i].name;

		if (strchr(name, '/'))
			return err_set(e, ERR_CONFIG, 0, "%s: /files/%zu/name: %s is no name of a file", OCI_IMAGE_FILE, i, name);
		if (check_file(d, &image->files.v[i], a, e) < 0)
			return err_ret(e);
	}
	return 0;
}

typedef int check_dir(const struct criu_dirs *d, struct err *e);

static int check_parents(const struct criu_dirs *d, int depth, check_dir *check, struct err *e)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n = readlinkat(d->images_fd, "parent", target, sizeof target - 1);

	if (n < 0)
		return 0;
	target[n] = '\0';
	if (depth == PARENTS_MAX)
		return err_set(e, ERR_CONFIG, ELOOP, "%s: its parent images", d->images);
	if (fstatat(d->images_fd, "parent", &st, 0) < 0)
		return err_sys(e, "%s: its parent images %s", d->images, target);
	cleanup_fd int fd = openat(d->images_fd, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s: its parent images %s", d->images, target);
	struct criu_dirs parent = { .images = target, .images_fd = fd, .work_fd = -1 };
	if (check(&parent, e) < 0)
		return err_wrap(e, "parent images");
	return check_parents(&parent, depth + 1, check, e);
}

/* Those that they are based on as well. */
static int check_all_owners(const struct criu_dirs *d, struct err *e)
{
	return check_owners(d, e) < 0 ? err_ret(e) : check_parents(d, 0, check_owners, e);
}

static int parse_record(const struct criu_dirs *d, struct oci_image *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (fs_read(d->images_fd, OCI_IMAGE_FILE, RECORD_MAX, &text, e) < 0 || oci_image_parse(text.s, text.len, ret, a, e) < 0)
		return err_wrap(e, "%s", d->images);
	return 0;
}

/* Pre-dumps of older vzrun, and of others, have no record. */
static int check_recorded(const struct criu_dirs *d, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_image image;

	if (faccessat(d->images_fd, OCI_IMAGE_FILE, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	return parse_record(d, &image, &a, e) < 0 ? err_ret(e) : check_files(d, &image, &a, e);
}

int criu_check_base(const struct criu_dirs *d, struct err *e)
{
	if (check_all_owners(d, e) < 0 || criu_expand(d, e) < 0 || check_recorded(d, e) < 0)
		return err_ret(e);
	return check_parents(d, 0, check_recorded, e);
}

int criu_read_record(const struct criu_dirs *d, struct oci_image *ret, struct arena *a, struct err *e)
{
	struct utsname u;

	if (check_all_owners(d, e) < 0)
		return err_ret(e);
	if (faccessat(d->images_fd, OCI_IMAGE_FILE, F_OK, 0) < 0 && errno == ENOENT)
		return err_set(e, ERR_CONFIG, 0, "%s holds no finished checkpoint of vzrun: there is no %s", d->images, OCI_IMAGE_FILE);
	if (parse_record(d, ret, a, e) < 0)
		return err_ret(e);
	if (ret->pre_dump)
		return err_set(e, ERR_CONFIG, 0, "%s holds no finished checkpoint of vzrun, but a pre-dump, memory that a later one is based on",
			       d->images);
	if (uname(&u) < 0)
		return err_sys(e, "uname");
	if (strcmp(ret->machine, u.machine) != 0)
		return err_set(e, ERR_CONFIG, 0, "%s: the images are of a %s machine, this is a %s", d->images, ret->machine, u.machine);
	if (criu_expand(d, e) < 0 || check_files(d, ret, a, e) < 0)
		return err_ret(e);
	return check_parents(d, 0, check_recorded, e);
}

int criu_check_record(const struct oci_image *image, int version, struct err *e)
{
	char theirs[32], ours[32];

	if (image->criu / 100 <= version / 100)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, 0, "the images were made by CRIU %s, and CRIU %s may not understand them: install that version "
		       "or a newer one", criu_version_text((int)image->criu, theirs, sizeof theirs),
		       criu_version_text(version, ours, sizeof ours));
}

bool criu_image_has_namespace(const struct oci_image *image, int64_t type)
{
	for (size_t i = 0; i < image->namespaces.n; i++)
		if (image->namespaces.v[i] == type)
			return true;
	return false;
}

int criu_check_no_cgroups(const struct oci_image *image, struct err *e)
{
	const struct oci_image_mounts *m = &image->mounts;

	if (!criu_image_has_namespace(image, CLONE_NEWUSER) || !criu_image_has_namespace(image, CLONE_NEWCGROUP))
		return 0;
	for (size_t i = 0; i < m->n; i++)
		if (str_starts(m->v[i].fs, "cgroup") && !m->v[i].external)
			return err_set(e, ERR_UNSUPPORTED, 0, "--manage-cgroups-mode ignore: %s: CRIU cannot mount cgroups again in a user namespace without "
				       "restoring them: use soft", m->v[i].point);
	return 0;
}

int criu_write_descriptors(const struct criu_dirs *d, const struct oci_strs *stdio, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	emit_array(&out, NULL);
	for (size_t i = 0; i < stdio->n; i++)
		emit_string(&out, NULL, stdio->v[i]);
	emit_array_end(&out);
	if (str_failed(&text))
		return err_oom(e);
	return fs_replace(d->images_fd, CRIU_DESCRIPTORS, text.s, text.len, 0600, e) < 0 ? err_wrap(e, "%s", d->images) : 0;
}
