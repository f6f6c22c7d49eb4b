// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/externals.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "oci/utf8.h"
#include "runtime/base/fs.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/flow/criu.h"
#include "runtime/linux/mountinfo.h"
#include "runtime/linux/ns.h"

struct search {
	const struct oci_spec *spec;
	struct mountinfos inside, host;
	const struct mountinfo *root;
	bool own_cgroup_ns, userns;
};

/* ---- mounts ---- */

static bool is_bind(const struct oci_mount *m)
{
	if (str_eq(m->type, "bind"))
		return true;
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], "bind") == 0 || strcmp(m->options.v[i], "rbind") == 0)
			return true;
	return false;
}

static const struct oci_mount *document_bind(const struct oci_spec *spec, const char *point)
{
	for (size_t i = spec->mounts.n; i-- > 0;) {
		char joined[PATH_MAX], clean[PATH_MAX];

		snprintf(joined, sizeof joined, "/%s", spec->mounts.v[i].destination);
		if (is_bind(&spec->mounts.v[i]) && path_clean(joined, clean, sizeof clean) >= 0 && strcmp(clean, point) == 0)
			return &spec->mounts.v[i];
	}
	return NULL;
}

static bool has_word(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

/* Of these each namespace has its own, and CRIU makes it again. */
static const char *const own_fs[] = { "proc", "mqueue", "devpts", NULL };
static const char *const network_fs[] = { "nfs", "nfs4", NULL };
static const char *const cgroup_fs[] = { "cgroup", "cgroup2", NULL };

static bool is_external(const struct search *s, const struct mountinfo *m)
{
	bool of_host = mountinfo_has_device(&s->host, m);

	if (document_bind(s->spec, m->point))
		return true;
	if (has_word(cgroup_fs, m->fs))
		return !s->own_cgroup_ns;
	if (has_word(network_fs, m->fs))
		return true; /* what is in it is on the server */
	if (has_word(own_fs, m->fs))
		return of_host;
	if (strcmp(m->fs, "sysfs") == 0)
		return of_host && s->userns; /* root of a user namespace could not mount it */
	/* A part of its own root shown once more. */
	if (s->root && m->major == s->root->major && m->minor == s->root->minor && path_below(s->root->root, m->root))
		return false;
	return of_host;
}

/* Files that are mounted are told from directories by looking through the container's root; what cannot be seen (covered by
 * another mount) is taken for a directory. */
static bool is_directory(pid_t pid, const char *point)
{
	char path[64];
	struct stat st;
	int root, fd;

	snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = root < 0 ? -1 : path_try_open(root, point, O_PATH | O_NOFOLLOW);
	bool directory = fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode);

	if (fd >= 0)
		close(fd);
	if (root >= 0)
		close(root);
	return directory;
}

static int read_both(pid_t pid, const struct oci_spec *spec, struct search *s, struct arena *a, struct err *e)
{
	*s = (struct search){
		.spec = spec,
		.own_cgroup_ns = oci_namespace(spec, CLONE_NEWCGROUP) != NULL,
		.userns = oci_namespace(spec, CLONE_NEWUSER) != NULL,
	};
	if (mountinfo_read(pid, &s->inside, a, e) < 0 || mountinfo_read(0, &s->host, a, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < s->inside.n; i++)
		if (strcmp(s->inside.v[i].point, "/") == 0)
			s->root = &s->inside.v[i]; /* the last one covers the others */
	return 0;
}

static bool is_same(const struct mountinfo *a, const struct mountinfo *b)
{
	return a->major == b->major && a->minor == b->minor && strcmp(a->root, b->root) == 0;
}

/* CRIU tells mounts from outside by where they are: what covers one would be taken for it, and its content would be lost. */
static int check_stack(const struct search *s, size_t top, struct err *e)
{
	const struct mountinfo *v = s->inside.v;

	for (size_t i = 0; i < top; i++)
		if (strcmp(v[i].point, v[top].point) == 0 && !is_same(&v[i], &v[top]) &&
		    (is_external(s, &v[i]) || is_external(s, &v[top]) || has_word(cgroup_fs, v[i].fs) /* it came with the host's /sys */))
			return err_set(e, ERR_UNSUPPORTED, 0, "%s: %s is mounted over what comes from outside: CRIU cannot tell the two apart; "
				       "unmount it, or mount it elsewhere", v[top].point, v[top].source);
	return 0;
}

/* CRIU finds them by one text, KEY]:VALUE with what the caller chose behind, and we write them down as JSON. */
static int check_name(const char *point, struct err *e)
{
	if (strstr(point, "]:"))
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: CRIU cannot tell this name of a mount from outside (it has \"]:\"): unmount it, or mount it "
			       "elsewhere", point);
	if (!utf8_valid(point, strlen(point)))
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: the name of a mount from outside is no UTF-8, and cannot be written down: unmount it, or mount "
			       "it elsewhere", point);
	return 0;
}

int externals_mounts(pid_t pid, const struct oci_spec *spec, struct oci_image_mounts *ret, struct arena *a, struct err *e)
{
	struct search s;

	if (read_both(pid, spec, &s, a, e) < 0)
		return err_ret(e);
	*ret = (struct oci_image_mounts){ .v = arena_alloc_n(a, s.inside.n + 1, sizeof *ret->v) };
	if (!ret->v)
		return err_oom(e);
	for (size_t i = 0; i < s.inside.n; i++) {
		const struct mountinfo *m = &s.inside.v[i];
		struct oci_image_mount *to = &ret->v[ret->n];
		const char *source;

		if (strcmp(m->point, "/") == 0)
			continue;
		if (check_stack(&s, i, e) < 0)
			return err_ret(e);
		*to = (struct oci_image_mount){ .point = m->point, .fs = m->fs, .external = is_external(&s, m),
						.directory = is_directory(pid, m->point) };
		if (to->external && check_name(m->point, e) < 0)
			return err_ret(e);
		source = to->external ? mountinfo_locate(&s.host, m, a) : NULL;
		if (source && !utf8_valid(source, strlen(source)))
			source = NULL; /* as one that cannot be found: --mount-map or the document has to say it */
		to->source = source ? source : "";
		if (!source && has_word(network_fs, m->fs)) {
			/* It speaks through the network namespace that it was mounted in, which must be there before it. */
			if (oci_namespace_new(spec, CLONE_NEWNET))
				return err_set(e, ERR_UNSUPPORTED, 0, "%s: %s was mounted by the container itself in a network namespace that "
					       "comes and goes with it: mount it on the host, and bind it", m->point, m->source);
			to->device = m->source;
			to->options = m->super;
		}
		ret->n++;
	}
	return 0;
}

/* ---- standard streams ---- */

static bool fdinfo_mount(pid_t pid, int fd, uint64_t *ret)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;
	char path[64];
	const char *at;
	unsigned long long id;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, fd);
	if (fs_read(AT_FDCWD, path, 65536, &text, &ignored) < 0)
		return false;
	at = strstr(str_cstr(&text), "mnt_id:");
	if (!at || sscanf(at, "mnt_id: %llu", &id) != 1)
		return false;
	*ret = id;
	return true;
}

static bool is_inside(const struct mountinfos *inside, uint64_t id)
{
	for (size_t i = 0; i < inside->n; i++)
		if (inside->v[i].id == id)
			return true;
	return false;
}

/* A file, FIFO or device that was opened on the host: on none of the container's mounts.  Terminals of the host are CRIU's
 * business (shell-job). */
static const char *file_key(mode_t mode, unsigned device_major, uint64_t mount, uint64_t ino, struct arena *a)
{
	if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISCHR(mode))
		return "";
	if (S_ISCHR(mode) && device_major != 1) /* null, zero and the like */
		return "";
	return arena_printf(a, "file[%llx:%llx]", (unsigned long long)mount, (unsigned long long)ino);
}

static const char *stream_key(pid_t pid, int fd, const struct mountinfos *inside, struct arena *a)
{
	char path[64];
	uint64_t mount;
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
	if (stat(path, &st) < 0 || !fdinfo_mount(pid, fd, &mount) || is_inside(inside, mount))
		return "";
	return file_key(st.st_mode, major(st.st_rdev), mount, st.st_ino, a);
}

static bool has_inode_only(const char *what)
{
	return str_starts(what, "pipe:") || str_starts(what, "socket:");
}

/* The numbers of mounts before Linux 5.8 are not told: then it is "", and the checkpoint looks by itself. */
static const char *own_stream(int fd, struct arena *a)
{
	char path[32], what[64];
	struct statx x;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = readlink(path, what, sizeof what - 1);
	what[n < 0 ? 0 : n] = '\0';
	if (has_inode_only(what))
		return arena_strdup(a, what);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &x) < 0 || !(x.stx_mask & STATX_MNT_ID))
		return "";
	return file_key(x.stx_mode, x.stx_rdev_major, x.stx_mnt_id, x.stx_ino, a);
}

int externals_own_streams(bool (*given)(int fd, const void *arg), const void *arg, struct oci_strs *ret, struct arena *a,
			  struct err *e)
{
	const char **v = arena_alloc_n(a, 3, sizeof *v);

	if (!v)
		return err_oom(e);
	for (int fd = 0; fd < 3; fd++) {
		v[fd] = given(fd, arg) ? own_stream(fd, a) : "";
		if (!v[fd])
			return err_oom(e);
	}
	*ret = (struct oci_strs){ v, 3 };
	return 0;
}

/* A shell has another file in that place for a moment, while a builtin writes to it; what it was given it keeps elsewhere, and
 * has given to others. */
static void prefer_given(const struct oci_strs *given, int fd, const char **what, const char **key)
{
	const char *was = (size_t)fd < given->n ? given->v[fd] : "";

	if (!*was)
		return;
	*key = has_inode_only(was) ? "" : was;
	if (has_inode_only(was))
		*what = was;
}

int externals_stdio(pid_t pid, const struct oci_strs *given, struct oci_strs *ret_what, struct oci_strs *ret_keys, struct arena *a,
		    struct err *e)
{
	const char **what = arena_alloc_n(a, 4, sizeof *what), **keys = arena_alloc_n(a, 4, sizeof *keys);
	struct mountinfos inside;

	if (!what || !keys)
		return err_oom(e);
	if (mountinfo_read(pid, &inside, a, e) < 0)
		return err_ret(e);
	for (int fd = 0; fd < 3; fd++) {
		char path[64], target[PATH_MAX];
		ssize_t n;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
		n = readlink(path, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = '\0';
		what[fd] = arena_strdup(a, target);
		keys[fd] = n < 0 || has_inode_only(target) ? "" : stream_key(pid, fd, &inside, a);
		prefer_given(given, fd, &what[fd], &keys[fd]);
		if (!what[fd] || !keys[fd])
			return err_oom(e);
	}
	*ret_what = (struct oci_strs){ what, 3 };
	*ret_keys = (struct oci_strs){ keys, 3 };
	return 0;
}

/* ---- namespaces ---- */

static const char *namespace_key(pid_t pid, int64_t type, struct arena *a)
{
	const char *name = ns_type_name(type), *key = type == CLONE_NEWNET ? CRIU_NETNS_KEY : CRIU_PIDNS_KEY;
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
	return stat(path, &st) < 0 ? NULL : arena_printf(a, "%s[%llu]:%s", name, (unsigned long long)st.st_ino, key);
}

int externals_check_joined(const struct oci_spec *spec, struct err *e)
{
	const struct oci_namespaces *ns = spec->linux ? &spec->linux->namespaces : &(const struct oci_namespaces){ 0 };

	for (size_t i = 0; i < ns->n; i++) {
		int64_t type = ns->v[i].type;

		if (ns->v[i].path && (type == CLONE_NEWNS || type == CLONE_NEWCGROUP || type == CLONE_NEWUSER))
			return err_set(e, ERR_UNSUPPORTED, 0, "/linux/namespaces/%zu/path: CRIU cannot restore a container into a %s namespace "
				       "that is there already", i, type == CLONE_NEWNS ? "mount" : ns_type_name(type));
	}
	return 0;
}

int externals_namespaces(pid_t pid, const struct oci_spec *spec, struct oci_strs *ret, struct arena *a, struct err *e)
{
	const struct oci_namespaces *ns = spec->linux ? &spec->linux->namespaces : &(const struct oci_namespaces){ 0 };
	const char **v = arena_alloc_n(a, ns->n + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	if (externals_check_joined(spec, e) < 0)
		return err_ret(e);
	*ret = (struct oci_strs){ v, 0 };
	for (size_t i = 0; i < ns->n; i++) {
		int64_t type = ns->v[i].type;

		if (!ns->v[i].path || (type != CLONE_NEWNET && type != CLONE_NEWPID))
			continue;
		v[ret->n] = namespace_key(pid, type, a);
		if (!v[ret->n++])
			return err_sys(e, "namespaces of process %d", (int)pid);
	}
	return 0;
}
