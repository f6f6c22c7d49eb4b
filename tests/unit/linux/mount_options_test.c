// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/base/arena.h"
#include "runtime/base/str.h"
#include "runtime/linux/mount.h"
#include "tests/lib/test.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

struct word {
	uint64_t bit;
	const char *name;
};

static const struct word attrs[] = {
	{ MOUNT_ATTR_RDONLY, "ro" },       { MOUNT_ATTR_NOSUID, "nosuid" },         { MOUNT_ATTR_NODEV, "nodev" },
	{ MOUNT_ATTR_NOEXEC, "noexec" },   { MOUNT_ATTR_NOATIME, "noatime" },       { MOUNT_ATTR_STRICTATIME, "strictatime" },
	{ MOUNT_ATTR_NODIRATIME, "nodiratime" }, { MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow" },
};

static const struct word sbs[] = {
	{ MS_SYNCHRONOUS, "sync" }, { MS_DIRSYNC, "dirsync" },   { MS_MANDLOCK, "mand" },
	{ MS_SILENT, "silent" },    { MS_I_VERSION, "iversion" }, { 1 << 25, "lazytime" },
};

static const struct word props[] = {
	{ MS_SHARED, "shared" }, { MS_SLAVE, "slave" }, { MS_PRIVATE, "private" }, { MS_UNBINDABLE, "unbindable" },
};

static void add_words(struct str *s, const char *what, uint64_t bits, const struct word *words, size_t n)
{
	bool any = false;

	if (!bits)
		return;
	str_addf(s, " %s=", what);
	for (size_t i = 0; i < n; i++) {
		if (bits & words[i].bit) {
			str_addf(s, "%s%s", any ? "+" : "", words[i].name);
			any = true;
			bits &= ~words[i].bit;
		}
	}
	if (bits)
		str_addf(s, "%s%#llx", any ? "+" : "", (unsigned long long)bits);
}

/* All of the atime field stands in "clear": written as one word. */
static void add_attrs(struct str *s, const char *what, const char *unset, uint64_t set, uint64_t clear)
{
	bool atime = (clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME;

	add_words(s, what, set, attrs, ARRAY_SIZE(attrs));
	if (atime && !(set & MOUNT_ATTR__ATIME))
		str_addf(s, " %s=relatime", what);
	if (atime)
		clear &= ~(uint64_t)MOUNT_ATTR__ATIME;
	add_words(s, unset, clear, attrs, ARRAY_SIZE(attrs));
}

static void dump(const struct mount_wish *w, struct str *s)
{
	str_add(s, w->bind ? (w->rec ? "rbind" : "bind") : w->fs ? w->fs : "(none)");
	add_attrs(s, "set", "clear", w->attr_set, w->attr_clr);
	add_attrs(s, "rset", "rclear", w->rec_set, w->rec_clr);
	add_words(s, "sb", w->sb_flags, sbs, ARRAY_SIZE(sbs));
	add_words(s, "sbclear", w->sb_clear, sbs, ARRAY_SIZE(sbs));
	add_words(s, "rprop", w->propagation[1] & ~(uint64_t)MS_REC, props, ARRAY_SIZE(props));
	add_words(s, "prop", w->propagation[0], props, ARRAY_SIZE(props));
	str_add(s, w->remount ? " remount" : "");
	str_add(s, w->tmpcopyup ? " tmpcopyup" : "");
	str_add(s, w->idmap ? (w->idmap_rec ? " ridmap" : " idmap") : "");
	str_add(s, w->uid_map ? " maps" : "");
	if (w->data)
		str_addf(s, " data=%s", w->data);
}

/* "a b c" as a list of options; "" is none. */
static void set_options(struct oci_mount *m, struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text), *word;

	m->options.v = arena_alloc_n(a, strlen(text) + 1, sizeof(char *));
	m->options.n = 0;
	while ((word = strsep(&copy, " ")))
		if (*word)
			m->options.v[m->options.n++] = word;
}

static const struct golden {
	const char *type, *options, *expect;
} golden[] = {
	{ "tmpfs", "", "tmpfs" },
	{ "tmpfs", "defaults", "tmpfs" },
	{ "tmpfs", "nosuid strictatime mode=755 size=65536k", "tmpfs set=nosuid+strictatime data=mode=755,size=65536k" },
	{ "proc", "nosuid noexec nodev", "proc set=nosuid+nodev+noexec" },
	{ "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5",
	  "devpts set=nosuid+noexec data=newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "sysfs", "nosuid noexec nodev ro", "sysfs set=ro+nosuid+nodev+noexec" },
	{ "none", "bind", "bind" },
	{ "none", "rbind", "rbind" },
	{ "none", "bind rbind", "rbind" },
	{ "none", "rbind bind", "bind" },
	{ "bind", "ro", "bind set=ro" },
	{ NULL, "rbind rprivate ro", "rbind set=ro rprop=private" },
	/* the last one wins */
	{ "x", "ro rw", "x clear=ro" },
	{ "x", "rw ro", "x set=ro" },
	{ "x", "nosuid suid", "x clear=nosuid" },
	{ "x", "suid nosuid", "x set=nosuid" },
	{ "x", "nodev dev", "x clear=nodev" },
	{ "x", "noexec exec", "x clear=noexec" },
	{ "x", "exec noexec", "x set=noexec" },
	{ "x", "nodiratime diratime", "x clear=nodiratime" },
	{ "x", "nosymfollow symfollow", "x clear=nosymfollow" },
	{ "x", "symfollow nosymfollow", "x set=nosymfollow" },
	/* access times: one value, never two bits */
	{ "x", "noatime", "x set=noatime" },
	{ "x", "relatime", "x set=relatime" },
	{ "x", "strictatime", "x set=strictatime" },
	{ "x", "noatime strictatime", "x set=strictatime" },
	{ "x", "strictatime noatime", "x set=noatime" },
	{ "x", "strictatime relatime", "x set=relatime" },
	{ "x", "noatime atime", "x set=relatime" },
	{ "x", "norelatime", "x set=relatime" },
	{ "x", "strictatime nostrictatime", "x set=relatime" },
	{ "x", "noatime nodiratime", "x set=noatime+nodiratime" },
	/* superblock */
	{ "x", "sync", "x sb=sync" },
	{ "x", "sync async", "x sbclear=sync" },
	{ "x", "async sync", "x sb=sync" },
	{ "x", "dirsync", "x sb=dirsync" },
	{ "x", "mand nomand", "x sbclear=mand" },
	{ "x", "mand", "x sb=mand" },
	{ "x", "lazytime", "x sb=lazytime" },
	{ "x", "lazytime nolazytime", "x sbclear=lazytime" },
	{ "x", "silent", "x sb=silent" },
	{ "x", "silent loud", "x sbclear=silent" },
	{ "x", "iversion", "x sb=iversion" },
	{ "x", "iversion noiversion", "x sbclear=iversion" },
	/* propagation */
	{ "x", "shared", "x prop=shared" },
	{ "x", "slave", "x prop=slave" },
	{ "x", "private", "x prop=private" },
	{ "x", "unbindable", "x prop=unbindable" },
	{ "x", "rshared", "x rprop=shared" },
	{ "x", "rslave", "x rprop=slave" },
	{ "x", "rprivate", "x rprop=private" },
	{ "x", "runbindable", "x rprop=unbindable" },
	{ "x", "rslave shared", "x rprop=slave prop=shared" },
	{ "x", "shared rslave", "x rprop=slave" },
	{ "x", "shared private", "x prop=private" },
	/* recursive ones */
	{ NULL, "rbind rro", "rbind rset=ro" },
	{ NULL, "rbind rro rrw", "rbind rclear=ro" },
	{ NULL, "rbind rnosuid rnodev rnoexec rnosymfollow rnodiratime",
	  "rbind rset=nosuid+nodev+noexec+nodiratime+nosymfollow" },
	{ NULL, "rbind rsuid rdev rexec rsymfollow rdiratime",
	  "rbind rclear=nosuid+nodev+noexec+nodiratime+nosymfollow" },
	{ NULL, "rbind rnoatime", "rbind rset=noatime" },
	{ NULL, "rbind rstrictatime", "rbind rset=strictatime" },
	{ NULL, "rbind rnoatime rrelatime", "rbind rset=relatime" },
	{ NULL, "rbind rstrictatime rnoatime", "rbind rset=noatime" },
	{ NULL, "rbind ratime", "rbind rset=relatime" },
	{ NULL, "rbind rnorelatime", "rbind rset=relatime" },
	{ NULL, "rbind rnostrictatime", "rbind rset=relatime" },
	{ NULL, "rbind ro rnosuid", "rbind set=ro rset=nosuid" },
	/* the rest */
	{ NULL, "remount ro", "(none) set=ro remount" },
	{ NULL, "remount bind ro", "bind set=ro remount" },
	{ "tmpfs", "tmpcopyup", "tmpfs tmpcopyup" },
	{ NULL, "bind idmap", "bind idmap" },
	{ NULL, "rbind ridmap", "rbind ridmap" },
	{ NULL, "rbind ridmap idmap", "rbind idmap" },
	{ "overlay", "lowerdir=/a:/b upperdir=/u workdir=/w index=off",
	  "overlay data=lowerdir=/a:/b,upperdir=/u,workdir=/w,index=off" },
	{ "tmpfs", "size=1,mode=700", "tmpfs data=size=1,mode=700" },
	{ "tmpfs", "context=a:b:c:s0:c1,c2 size=1", "tmpfs data=context=\"a:b:c:s0:c1,c2\",size=1" },
	{ "tmpfs", "context=\"a:s0:c1,c2\"", "tmpfs data=context=\"a:s0:c1,c2\"" },
	{ "tmpfs", "context=a:s0", "tmpfs data=context=a:s0" },
	{ "x", "RO", "x data=RO" },
	{ "x", "ro=1", "x data=ro=1" },
};

TEST(options)
{
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		cleanup_arena struct arena a = { 0 };
		cleanup_str struct str text = { 0 };
		struct oci_mount m = { .destination = "/mnt", .type = golden[i].type, .source = "src" };
		struct mount_wish w;
		struct err e;

		set_options(&m, &a, golden[i].options);
		if (mount_compile(&m, "/mounts/0", &w, &a, &e) < 0) {
			FAIL("%s: %s", golden[i].options, e.text);
			continue;
		}
		dump(&w, &text);
		if (strcmp(str_cstr(&text), golden[i].expect) != 0)
			FAIL("%s: got \"%s\", expected \"%s\"", golden[i].options, str_cstr(&text), golden[i].expect);
	}
}

TEST(every_option_of_the_specification_is_known)
{
	static const char *const spec[] = {
		"async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "iversion", "lazytime",
		"loud", "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand",
		"norelatime", "nostrictatime", "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime",
		"relatime", "remount", "rexec", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime",
		"rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared",
		"rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw", "shared", "silent", "slave",
		"strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable", "idmap", "ridmap",
	};
	const char *const *names = mount_option_names();
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(spec); i++) {
		bool found = false;

		for (n = 0; names[n]; n++)
			found |= strcmp(names[n], spec[i]) == 0;
		if (!found)
			FAIL("%s is missing", spec[i]);
	}
	CHECK_INT(n, ARRAY_SIZE(spec));
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i - 1], names[i]) >= 0)
			FAIL("%s is not sorted", names[i]);
}

static const struct bad {
	const char *destination, *type, *source, *options, *expect;
} bad[] = {
	{ "/a", NULL, "/s", "bind size=1", "/mounts/7/options/1: bind mounts cannot have any filesystem-specific options applied: size=1" },
	{ "/a", "bind", "/s", "foo", "/mounts/7/options/0: bind mounts cannot have any filesystem-specific options applied: foo" },
	{ "/a", NULL, NULL, "bind", "/mounts/7/source: missing for a bind mount" },
	{ "/a", NULL, "/s", "ro", "/mounts/7/type: missing for a mount that is not a bind" },
	{ "/a", "", "/s", "ro", "/mounts/7/type: missing for a mount that is not a bind" },
	{ "", "tmpfs", "t", "", "/mounts/7/destination: missing" },
	{ NULL, "tmpfs", "t", "", "/mounts/7/destination: missing" },
	{ "/", "tmpfs", "t", "", "/mounts/7/destination: the root cannot be mounted over" },
	{ "/a/..", NULL, "/s", "bind", "/mounts/7/destination: the root cannot be mounted over" },
	{ "/a", "ext4", "/s", "tmpcopyup", "/mounts/7/options: tmpcopyup is for a tmpfs" },
	{ "/a", NULL, "/s", "bind tmpcopyup", "/mounts/7/options: tmpcopyup is for a tmpfs" },
	{ "/a", NULL, "/s", "remount bind idmap",
	  "/mounts/7: a mount gets its id mapping before it is attached, not by a remount" },
};

TEST(bad_options)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_arena struct arena a = { 0 };
		struct oci_mount m = { .destination = bad[i].destination, .type = bad[i].type, .source = bad[i].source };
		struct mount_wish w = { .target = "untouched" };
		struct err e;

		set_options(&m, &a, bad[i].options);
		CHECK(mount_compile(&m, "/mounts/7", &w, &a, &e) < 0);
		CHECK_INT(e.kind, ERR_CONFIG);
		CHECK_STR(e.text, bad[i].expect);
		CHECK_STR(w.target, "untouched");
	}
}

TEST(destinations)
{
	static const char *const pairs[][2] = {
		{ "/a", "/a" }, { "a", "/a" }, { "a/b/", "/a/b" }, { "/a//b/./c", "/a/b/c" },
		{ "/a/../b", "/b" }, { "../../x", "/x" }, { "/proc/../proc/x", "/proc/x" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		cleanup_arena struct arena a = { 0 };
		struct oci_mount m = { .destination = pairs[i][0], .type = "tmpfs" };
		struct mount_wish w;
		struct err e;

		CHECK_INT(mount_compile(&m, "/mounts/0", &w, &a, &e), 0);
		CHECK_STR(w.target, pairs[i][1]);
	}
}

TEST(mappings)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_idmap map = { 0, 1000, 1 };
	struct oci_mount m = { .destination = "/a", .source = "/s", .uid_mappings = { &map, 1 }, .gid_mappings = { &map, 1 } };
	struct mount_wish w;
	struct err e;

	set_options(&m, &a, "bind");
	CHECK_INT(mount_compile(&m, "/mounts/0", &w, &a, &e), 0);
	CHECK(w.idmap && !w.idmap_rec && w.uid_map == &m.uid_mappings && w.gid_map == &m.gid_mappings);
	set_options(&m, &a, "rbind ridmap");
	CHECK_INT(mount_compile(&m, "/mounts/0", &w, &a, &e), 0);
	CHECK(w.idmap && w.idmap_rec);
	m.gid_mappings.n = 0;
	CHECK(mount_compile(&m, "/mounts/0", &w, &a, &e) < 0);
	CHECK_STR(e.text, "/mounts/0/gidMappings: must be given as well");
}
