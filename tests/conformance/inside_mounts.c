// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/conformance/inside.h"

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (*s == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	*to = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool parse_line(char *line, struct mount *m)
{
	char *dash = strstr(line, " - "), *save = NULL;
	char *word[5];

	if (!dash)
		return false;
	*dash = '\0';
	m->id = strtoll(line, &line, 10);
	m->parent = strtoll(line, &line, 10);
	strtok_r(line, " ", &save); /* the device's number */
	for (int i = 0; i < 3; i++)
		word[i] = strtok_r(NULL, " ", &save);
	m->root = word[0];
	m->target = word[1];
	m->flags = word[2];
	m->tags = save ? save : (char[]){ "" };
	m->fs = strtok_r(dash + 3, " ", &save);
	m->source = strtok_r(NULL, " ", &save);
	m->super = strtok_r(NULL, " ", &save);
	if (!m->target || !m->flags || !m->super)
		return false;
	m->tags = strdup(m->tags ? m->tags : "");
	unescape(m->target);
	return true;
}

size_t mounts_read(struct mount **ret)
{
	static struct mount mounts[1024];
	static size_t n;
	FILE *f;
	char *line = NULL;
	size_t size = 0;

	*ret = mounts;
	if (n > 0)
		return n;
	f = fopen("/proc/self/mountinfo", "re");
	while (f && n < ARRAY_SIZE(mounts) && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		n += parse_line(strdup(line), &mounts[n]);
	}
	free(line);
	if (f)
		fclose(f);
	return n;
}

const struct mount *mount_at(const char *path)
{
	struct mount *m;
	const size_t n = mounts_read(&m);
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if ((unsigned long long)m[i].id == st.stx_mnt_id && strcmp(m[i].target, path) == 0)
			return &m[i];
	return NULL;
}

bool has_word(const char *list, const char *word)
{
	const size_t n = strlen(word);

	for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, word, n) == 0 && (p[n] == ',' || !p[n]))
			return true;
	return false;
}

/* Destinations may be relative and need not be clean. */
static void clean(const char *path, char *ret, size_t size)
{
	size_t len = 0;

	for (const char *p = path; *p;) {
		const size_t n = strcspn(p, "/");

		if (n > 0 && !(n == 1 && *p == '.') && len + n + 2 < size) {
			ret[len++] = '/';
			memcpy(ret + len, p, n);
			len += n;
		}
		p += n + (p[n] == '/');
	}
	if (len == 0)
		ret[len++] = '/';
	ret[len] = '\0';
}

static bool is_at_or_below(const char *path, const char *top)
{
	const size_t n = strlen(top);

	return strcmp(top, "/") == 0 || (strncmp(path, top, n) == 0 && (!path[n] || path[n] == '/'));
}

static const char *destination(yajl_val mount, char *buf)
{
	clean(string_at(mount, "destination", "/"), buf, PATH_MAX);
	return buf;
}

/* A later mount, a mask or a read-only path lies over it. */
static bool is_covered(const struct list *mounts, size_t i)
{
	static const char *const lists[] = { "linux.maskedPaths", "linux.readonlyPaths" };
	char mine[PATH_MAX], other[PATH_MAX];

	destination(mounts->v[i], mine);
	for (size_t k = i + 1; k < mounts->n; k++)
		if (is_at_or_below(mine, destination(mounts->v[k], other)))
			return true;
	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		const struct list paths = list_at(spec, lists[l]);

		for (size_t k = 0; k < paths.n; k++)
			if (is_at_or_below(mine, text_of(paths.v[k])))
				return true;
	}
	return false;
}

/* Flags of a mount: each option, what it excludes, and the words of mountinfo. */
struct flag_option {
	const char *name, *class, *has, *has_not;
};

static const struct flag_option flag_options[] = {
	{ "ro", "w", "ro", "rw" }, { "rw", "w", "rw", "ro" },
	{ "nosuid", "s", "nosuid", NULL }, { "suid", "s", NULL, "nosuid" },
	{ "nodev", "d", "nodev", NULL }, { "dev", "d", NULL, "nodev" },
	{ "noexec", "x", "noexec", NULL }, { "exec", "x", NULL, "noexec" },
	{ "noatime", "a", "noatime", "relatime" }, { "relatime", "a", "relatime", "noatime" },
	{ "strictatime", "a", NULL, "relatime" }, { "atime", "a", NULL, "noatime" },
	{ "norelatime", "a", NULL, NULL }, { "nostrictatime", "a", NULL, NULL },
	{ "nodiratime", "D", "nodiratime", NULL }, { "diratime", "D", NULL, "nodiratime" },
	{ "nosymfollow", "l", "nosymfollow", NULL }, { "symfollow", "l", NULL, "nosymfollow" },
};

static const struct flag_option *flag_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_options); i++)
		if (strcmp(flag_options[i].name, name) == 0)
			return &flag_options[i];
	return NULL;
}

/* The last of its class wins.  `skip`: 1 for the recursive options, which have an "r" before the name. */
static bool is_overruled(const struct list *options, size_t i, const struct flag_option *mine, size_t skip)
{
	for (size_t k = i + 1; k < options->n; k++) {
		const char *name = text_of(options->v[k]);
		const struct flag_option *o = *name ? flag_option(name + skip) : NULL;

		if (o && strcmp(o->class, mine->class) == 0)
			return true;
	}
	return false;
}

static bool flags_match(const char *flags, const struct flag_option *o)
{
	return (!o->has || has_word(flags, o->has)) && (!o->has_not || !has_word(flags, o->has_not));
}

static void check_recursive(const char *target, const struct flag_option *o)
{
	struct mount *m;
	const size_t n = mounts_read(&m);

	for (size_t i = 0; i < n; i++)
		if (is_at_or_below(m[i].target, target))
			check(flags_match(m[i].flags, o), "mount flags", "%s below %s: r%s, is %s", m[i].target, target,
			      o->name, m[i].flags);
}

static bool check_propagation(const struct mount *m, const char *option)
{
	static const struct { const char *name, *has; bool private; } kinds[] = {
		{ "shared", "shared:", false }, { "slave", "master:", false }, { "private", NULL, true },
		{ "unbindable", "unbindable", true },
	};
	const char *plain = *option == 'r' ? option + 1 : option;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, plain) != 0)
			continue;
		check(!kinds[i].has || strstr(m->tags, kinds[i].has), "propagation", "%s: %s, is '%s'", m->target, option,
		      m->tags);
		check(!kinds[i].private || (!strstr(m->tags, "shared:") && !strstr(m->tags, "master:")), "propagation",
		      "%s: %s, is '%s'", m->target, option, m->tags);
		return true;
	}
	return false;
}

static long long host_gid(long long gid)
{
	const struct list maps = list_at(spec, "linux.gidMappings");

	for (size_t i = 0; has_new_ns("user") && i < maps.n; i++) {
		const long long first = number_at(maps.v[i], "containerID", 0);

		if (gid >= first && gid < first + number_at(maps.v[i], "size", 0))
			return gid - first + number_at(maps.v[i], "hostID", 0);
	}
	return gid;
}

/* Sizes come back in kilobytes, modes in octal with or without a zero. */
static void check_data(const struct mount *m, const char *option)
{
	static const char *const words[] = { "sync", "dirsync", "lazytime", "mand" };
	char want[256];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], option) == 0)
			check(has_word(m->super, option), "mount data", "%s: %s, is %s", m->target, option, m->super);
	if (strncmp(option, "mode=", 5) == 0 && strcmp(m->fs, "tmpfs") == 0) {
		if (stat(m->target, &st) == 0)
			check_number("mount data", option, st.st_mode & 07777, strtol(option + 5, NULL, 8));
	} else if (strncmp(option, "size=", 5) == 0 || strncmp(option, "nr_inodes=", 10) == 0) {
		check(has_word(m->super, option), "mount data", "%s: %s, is %s", m->target, option, m->super);
	} else if (strncmp(option, "gid=", 4) == 0) {
		/* The kernel shows the host's ids. */
		snprintf(want, sizeof want, "gid=%lld", host_gid(strtoll(option + 4, NULL, 10)));
		check(has_word(m->super, want), "mount data", "%s: %s, is %s", m->target, option, m->super);
	}
}

static void check_option(const struct mount *m, const struct list *options, size_t i)
{
	const char *name = text_of(options->v[i]);
	const struct flag_option *o = flag_option(name);

	if (o) {
		if (!is_overruled(options, i, o, 0))
			check(flags_match(m->flags, o) || (strcmp(name, "ro") == 0 && has_word(m->super, "ro")), "mount flags",
			      "%s: %s, is %s", m->target, name, m->flags);
		return;
	}
	if (*name == 'r' && (o = flag_option(name + 1)) && strcmp(name, "ratime") != 0) {
		if (!is_overruled(options, i, o, 1))
			check_recursive(m->target, o);
		return;
	}
	if (!check_propagation(m, name))
		check_data(m, name);
}

/* A new filesystem starts without restrictions. */
static void check_defaults(const struct mount *m, const struct list *options)
{
	static const char *const off[] = { "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow" };

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		bool named = false;

		for (size_t k = 0; k < options->n; k++)
			named |= strstr(text_of(options->v[k]), off[i]) != NULL;
		if (!named)
			check(!has_word(m->flags, off[i]), "mount flags", "%s: no %s, is %s", m->target, off[i], m->flags);
	}
}

static void check_source(const char *target)
{
	const yajl_val sources = at(facts, "sources");
	const char *keys[2] = { target, NULL };
	const yajl_val s = sources ? yajl_tree_get(sources, keys, yajl_t_any) : NULL;
	struct stat st = { 0 };

	if (!s) {
		check(false, "mount source", "%s: the facts know it", target);
		return;
	}
	check(stat(target, &st) == 0 && (long long)st.st_ino == number_at(s, "ino", -1) &&
		      (long long)st.st_dev == number_at(s, "dev", -1),
	      "mount source", "%s: device %llx inode %llu", target, (unsigned long long)st.st_dev,
	      (unsigned long long)st.st_ino);
	if (at(s, "uid"))
		check_number("mount idmap", "owner", st.st_uid, number_at(s, "uid", -1));
}

static void check_type(const struct mount *m, const char *type)
{
	/* On v1 and hybrid hosts a "cgroup" is a tmpfs with a mount for each hierarchy. */
	if (strcmp(type, "cgroup") == 0)
		type = strcmp(string_at(facts, "cgroup_mode", ""), "v2") == 0 ? "cgroup2" : "tmpfs";
	check_string("mount type", m->target, m->fs, type);
}

static void check_mount(const struct list *mounts, size_t i)
{
	const struct list options = list_at(mounts->v[i], "options");
	const yajl_val raw = at(mounts->v[i], "options");
	char target[PATH_MAX];
	const struct mount *m;

	if (has_string(raw, "remount"))
		return;
	destination(mounts->v[i], target);
	m = mount_at(target);
	if (is_covered(mounts, i)) {
		if (m)
			check(strcmp(m->target, target) == 0, "mount order", "%s: what is there is the later one", target);
		return;
	}
	check(m != NULL, "mount order", "%s: is mounted and not covered", target);
	if (!m)
		return;
	if (has_string(raw, "bind") || has_string(raw, "rbind"))
		check_source(target);
	else if (strcmp(string_at(mounts->v[i], "type", ""), "cgroup") != 0)
		check_defaults(m, &options);
	if (!has_string(raw, "bind") && !has_string(raw, "rbind"))
		check_type(m, string_at(mounts->v[i], "type", ""));
	if (has_string(raw, "tmpcopyup"))
		check(faccessat(AT_FDCWD, target, R_OK, 0) == 0 && mount_at(target) &&
			      access(string_at(facts, "copied", "/none"), R_OK) == 0,
		      "mount data", "%s: %s was copied up", target, string_at(facts, "copied", "?"));
	for (size_t k = 0; k < options.n; k++)
		check_option(m, &options, k);
}

/* A remount changes the mount that was there before. */
static void check_remount(const struct list *mounts, size_t i)
{
	const struct list options = list_at(mounts->v[i], "options");
	char target[PATH_MAX];
	const struct mount *m;

	if (!has_string(at(mounts->v[i], "options"), "remount"))
		return;
	m = mount_at(destination(mounts->v[i], target));
	check(m != NULL, "mount order", "%s: is mounted", target);
	for (size_t k = 0; m && k < options.n; k++)
		check_option(m, &options, k);
}

void check_mounts(void)
{
	const struct list mounts = list_at(spec, "mounts");

	for (size_t i = 0; i < mounts.n; i++) {
		check_mount(&mounts, i);
		check_remount(&mounts, i);
	}
}

void check_root(void)
{
	const bool readonly = true_at(spec, "root.readonly");
	const char *propagation = string_at(spec, "linux.rootfsPropagation", NULL);
	const struct mount *root = mount_at("/");
	struct statvfs st;
	int fd;

	check(statvfs("/", &st) == 0 && !!(st.f_flag & ST_RDONLY) == readonly, "root", "is %s",
	      readonly ? "read-only" : "writable");
	fd = open("/written-by-inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	check(readonly ? fd < 0 && errno == EROFS : fd >= 0 || errno == EACCES, "root", "a file can%s be made",
	      readonly ? "not" : "");
	if (fd >= 0)
		close(fd);
	check(root != NULL, "root", "is a mount");
	if (root && propagation)
		check_propagation(root, propagation);
}

static bool is_empty_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *de;
	bool empty = true;

	while (d && (de = readdir(d)))
		empty &= de->d_name[0] == '.';
	if (d)
		closedir(d);
	return empty;
}

/* A file reads as nothing, a directory is empty, and neither can be written. */
static void check_masked(const char *path)
{
	struct stat st;
	char byte;
	int fd;

	if (stat(path, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode)) {
		check(is_empty_dir(path), "masked", "%s is empty", path);
		check(access(path, W_OK) < 0, "masked", "%s cannot be written", path);
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fd < 0 || read(fd, &byte, 1) == 0, "masked", "%s reads as nothing", path);
	if (fd >= 0)
		close(fd);
	check(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3), "masked", "%s is the null device", path);
}

void check_paths(void)
{
	const struct list masked = list_at(spec, "linux.maskedPaths");
	const struct list readonly = list_at(spec, "linux.readonlyPaths");
	struct statvfs st;

	for (size_t i = 0; i < masked.n; i++)
		check_masked(text_of(masked.v[i]));
	for (size_t i = 0; i < readonly.n; i++)
		if (statvfs(text_of(readonly.v[i]), &st) == 0)
			check(st.f_flag & ST_RDONLY, "readonly", "%s is read-only", text_of(readonly.v[i]));
}
