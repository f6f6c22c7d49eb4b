// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/mount_api.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

/* MOUNT_ATTR_RELATIME is 0, the default of the kernel: options that only take another atime mode back
 * ("atime", "norelatime", "nostrictatime") choose it, so that they also act on the clone of a noatime mount. */
enum kind {
	NOTHING,
	ATTR_SET,
	ATTR_CLEAR,
	ATIME,
	REC_SET,
	REC_CLEAR,
	REC_ATIME,
	SB_SET,
	SB_CLEAR,
	PROPAGATION,
	BIND,
	REMOUNT,
	TMPCOPYUP,
	IDMAP,
};

struct option {
	const char *name;
	enum kind kind;
	unsigned long value;
};

/* Sorted by name: looked up by bisection, and the order in which `features` prints them. */
static const struct option options[] = {
	{ "async", SB_CLEAR, MS_SYNCHRONOUS },
	{ "atime", ATIME, MOUNT_ATTR_RELATIME },
	{ "bind", BIND, 0 },
	{ "defaults", NOTHING, 0 },
	{ "dev", ATTR_CLEAR, MOUNT_ATTR_NODEV },
	{ "diratime", ATTR_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "dirsync", SB_SET, MS_DIRSYNC },
	{ "exec", ATTR_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "idmap", IDMAP, 0 },
	{ "iversion", SB_SET, MS_I_VERSION },
	{ "lazytime", SB_SET, MS_LAZYTIME },
	{ "loud", SB_CLEAR, MS_SILENT },
	{ "mand", SB_SET, MS_MANDLOCK },
	{ "noatime", ATIME, MOUNT_ATTR_NOATIME },
	{ "nodev", ATTR_SET, MOUNT_ATTR_NODEV },
	{ "nodiratime", ATTR_SET, MOUNT_ATTR_NODIRATIME },
	{ "noexec", ATTR_SET, MOUNT_ATTR_NOEXEC },
	{ "noiversion", SB_CLEAR, MS_I_VERSION },
	{ "nolazytime", SB_CLEAR, MS_LAZYTIME },
	{ "nomand", SB_CLEAR, MS_MANDLOCK },
	{ "norelatime", ATIME, MOUNT_ATTR_RELATIME },
	{ "nostrictatime", ATIME, MOUNT_ATTR_RELATIME },
	{ "nosuid", ATTR_SET, MOUNT_ATTR_NOSUID },
	{ "nosymfollow", ATTR_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "private", PROPAGATION, MS_PRIVATE },
	{ "ratime", REC_ATIME, MOUNT_ATTR_RELATIME },
	{ "rbind", BIND, MS_REC },
	{ "rdev", REC_CLEAR, MOUNT_ATTR_NODEV },
	{ "rdiratime", REC_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "relatime", ATIME, MOUNT_ATTR_RELATIME },
	{ "remount", REMOUNT, 0 },
	{ "rexec", REC_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "ridmap", IDMAP, MS_REC },
	{ "rnoatime", REC_ATIME, MOUNT_ATTR_NOATIME },
	{ "rnodev", REC_SET, MOUNT_ATTR_NODEV },
	{ "rnodiratime", REC_SET, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", REC_SET, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", REC_ATIME, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", REC_ATIME, MOUNT_ATTR_RELATIME },
	{ "rnosuid", REC_SET, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", REC_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", ATTR_SET, MOUNT_ATTR_RDONLY },
	{ "rprivate", PROPAGATION, MS_PRIVATE | MS_REC },
	{ "rrelatime", REC_ATIME, MOUNT_ATTR_RELATIME },
	{ "rro", REC_SET, MOUNT_ATTR_RDONLY },
	{ "rrw", REC_CLEAR, MOUNT_ATTR_RDONLY },
	{ "rshared", PROPAGATION, MS_SHARED | MS_REC },
	{ "rslave", PROPAGATION, MS_SLAVE | MS_REC },
	{ "rstrictatime", REC_ATIME, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", REC_CLEAR, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", REC_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC },
	{ "rw", ATTR_CLEAR, MOUNT_ATTR_RDONLY },
	{ "shared", PROPAGATION, MS_SHARED },
	{ "silent", SB_SET, MS_SILENT },
	{ "slave", PROPAGATION, MS_SLAVE },
	{ "strictatime", ATIME, MOUNT_ATTR_STRICTATIME },
	{ "suid", ATTR_CLEAR, MOUNT_ATTR_NOSUID },
	{ "symfollow", ATTR_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", SB_SET, MS_SYNCHRONOUS },
	{ "tmpcopyup", TMPCOPYUP, 0 },
	{ "unbindable", PROPAGATION, MS_UNBINDABLE },
};

const char *const *mount_option_names(void)
{
	static const char *names[ARRAY_SIZE(options) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		names[i] = options[i].name;
	return names;
}

static const struct option *find_option(const char *name)
{
	size_t low = 0, high = ARRAY_SIZE(options);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = strcmp(name, options[mid].name);

		if (d == 0)
			return &options[mid];
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Of two options that contradict each other the later one counts. */
static void turn_on(uint64_t *set, uint64_t *clear, uint64_t bit)
{
	*set |= bit;
	*clear &= ~bit;
}

/* The modes are one number, not bits: mount_setattr(2) wants all of the field cleared with any of them. */
static void choose_atime(uint64_t *set, uint64_t *clear, uint64_t mode)
{
	*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | mode;
	*clear |= MOUNT_ATTR__ATIME;
}

static void choose_propagation(struct mount_wish *w, uint64_t flags)
{
	/* [1] is carried out first: a recursive one after a plain one undoes it. */
	if (flags & MS_REC) {
		w->propagation[1] = flags;
		w->propagation[0] = 0;
		return;
	}
	w->propagation[0] = flags;
}

static void apply_option(struct mount_wish *w, const struct option *o)
{
	switch (o->kind) {
	case NOTHING:
		break;
	case ATTR_SET:
		turn_on(&w->attr_set, &w->attr_clr, o->value);
		break;
	case ATTR_CLEAR:
		turn_on(&w->attr_clr, &w->attr_set, o->value);
		break;
	case ATIME:
		choose_atime(&w->attr_set, &w->attr_clr, o->value);
		break;
	case REC_SET:
		turn_on(&w->rec_set, &w->rec_clr, o->value);
		break;
	case REC_CLEAR:
		turn_on(&w->rec_clr, &w->rec_set, o->value);
		break;
	case REC_ATIME:
		choose_atime(&w->rec_set, &w->rec_clr, o->value);
		break;
	case SB_SET:
		w->sb_flags |= o->value;
		w->sb_clear &= ~o->value;
		break;
	case SB_CLEAR:
		w->sb_clear |= o->value;
		w->sb_flags &= ~o->value;
		break;
	case PROPAGATION:
		choose_propagation(w, o->value);
		break;
	case BIND:
		w->bind = true;
		w->rec = o->value & MS_REC;
		break;
	case REMOUNT:
		w->remount = true;
		break;
	case TMPCOPYUP:
		w->tmpcopyup = true;
		break;
	case IDMAP:
		w->idmap = true;
		w->idmap_rec = o->value & MS_REC;
		break;
	}
}

bool mount_is_context(const char *option)
{
	static const char *const keys[] = { "context=", "fscontext=", "defcontext=", "rootcontext=" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (str_starts(option, keys[i]))
			return true;
	return false;
}

/* SELinux categories hold commas: quoted, they are not separators. */
static void add_data(struct str *data, const char *option)
{
	const char *value = strchr(option, '=');

	if (data->len)
		str_addc(data, ',');
	if (value && mount_is_context(option) && value[1] != '"' && strchr(value, ','))
		str_addf(data, "%.*s\"%s\"", (int)(value + 1 - option), option, value + 1);
	else
		str_add(data, option);
}

bool mount_data_next(const char **rest, struct mount_data *ret)
{
	const char *p = *rest, *end, *equal;

	if (!p || !*p)
		return false;
	end = p + strcspn(p, ",");
	equal = memchr(p, '=', (size_t)(end - p));
	*ret = (struct mount_data){ .key = p, .key_len = (size_t)((equal ? equal : end) - p) };
	if (equal) {
		ret->value = equal + 1;
		if (ret->value[0] == '"' && mount_is_context(p)) {
			ret->value++;
			end = ret->value + strcspn(ret->value, "\"");
			ret->value_len = (size_t)(end - ret->value);
			end += strcspn(end, ",");
		} else {
			ret->value_len = (size_t)(end - ret->value);
		}
	}
	*rest = *end ? end + 1 : end;
	return true;
}

static int compile_options(const struct oci_mount *m, struct mount_wish *w, struct str *data, size_t *ret_first_data,
			   struct err *e)
{
	for (size_t i = 0; i < m->options.n; i++) {
		const char *name = m->options.v[i];
		const struct option *o = find_option(name);

		if (o) {
			apply_option(w, o);
			continue;
		}
		if (!*name) /* podman 5 writes them, for a container with systemd */
			continue;
		if (!data->len)
			*ret_first_data = i;
		add_data(data, name);
	}
	return str_failed(data) ? err_oom(e) : 0;
}

static int compile_target(const struct oci_mount *m, const char *pointer, struct mount_wish *w, struct arena *a,
			  struct err *e)
{
	char joined[PATH_MAX + 1], clean[PATH_MAX];

	if (!m->destination || !*m->destination)
		return err_set(e, ERR_CONFIG, EINVAL, "%s/destination: missing", pointer);
	if (strlen(m->destination) >= PATH_MAX)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "%s/destination: too long", pointer);
	joined[0] = '/';
	strcpy(joined + 1, m->destination);
	if (path_clean(joined, clean, sizeof clean) < 0)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "%s/destination: too long", pointer);
	w->target = arena_strdup(a, clean);
	return w->target ? 0 : err_oom(e);
}

static int compile_idmap(const struct oci_mount *m, const char *pointer, struct mount_wish *w, struct err *e)
{
	if ((m->uid_mappings.n > 0) != (m->gid_mappings.n > 0))
		return err_set(e, ERR_CONFIG, EINVAL, "%s/%s: must be given as well", pointer,
			       m->uid_mappings.n ? "gidMappings" : "uidMappings");
	if (m->uid_mappings.n > 0) {
		w->idmap = true;
		w->uid_map = &m->uid_mappings;
		w->gid_map = &m->gid_mappings;
	}
	if (w->idmap && w->remount)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: a mount gets its id mapping before it is attached, not by a remount",
			       pointer);
	return 0;
}

/* What makes no sense together. */
static int compile_kind(const struct oci_mount *m, const char *pointer, struct mount_wish *w, const char *data,
			size_t first_data, struct err *e)
{
	/* The type of a bind is a dummy, but some documents say "bind" there and nowhere else. */
	if (str_eq(m->type, "bind") && !w->bind) {
		w->bind = true;
		w->rec = false;
	}
	/* What is mounted there would lie over the root and yet not be it: "/" stays the mount below. */
	if (!w->remount && !w->target[1])
		return err_set(e, ERR_CONFIG, EINVAL, "%s/destination: the root cannot be mounted over", pointer);
	if (w->bind && *data)
		return err_set(e, ERR_CONFIG, EINVAL, "%s/options/%zu: bind mounts cannot have any filesystem-specific options applied: %s",
			       pointer, first_data, m->options.v[first_data]);
	if (w->bind && !w->remount && (!m->source || !*m->source))
		return err_set(e, ERR_CONFIG, EINVAL, "%s/source: missing for a bind mount", pointer);
	if (!w->bind && !w->remount && (!m->type || !*m->type))
		return err_set(e, ERR_CONFIG, EINVAL, "%s/type: missing for a mount that is not a bind", pointer);
	if (w->tmpcopyup && (w->bind || !str_eq(m->type, "tmpfs")))
		return err_set(e, ERR_CONFIG, EINVAL, "%s/options: tmpcopyup is for a tmpfs", pointer);
	w->fs = w->bind ? NULL : m->type;
	w->source = m->source;
	return 0;
}

int mount_compile(const struct oci_mount *m, const char *pointer, struct mount_wish *ret, struct arena *a,
		  struct err *e)
{
	struct mount_wish w = { 0 };
	cleanup_str struct str data = { 0 };
	size_t first_data = 0;
	int r = compile_target(m, pointer, &w, a, e);

	if (r >= 0)
		r = compile_options(m, &w, &data, &first_data, e);
	if (r >= 0)
		r = compile_kind(m, pointer, &w, str_cstr(&data), first_data, e);
	if (r >= 0)
		r = compile_idmap(m, pointer, &w, e);
	if (r < 0)
		return r;
	if (data.len) {
		w.data = arena_strdup(a, str_cstr(&data));
		if (!w.data)
			return err_oom(e);
	}
	*ret = w;
	return 0;
}
