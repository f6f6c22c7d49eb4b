// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lines: destination, type, source, then one option each; an empty type or source is an absent one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/base/arena.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/mount_api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
	if (!what)
		abort();
}

static void check_wish(const struct mount_wish *w)
{
	const char *rest = w->data, *end = w->data ? w->data + strlen(w->data) : NULL;
	uint64_t set, clear;
	struct mount_data d;

	require(w->target[0] == '/' && !strstr(w->target, "//") && !strstr(w->target, "/../"));
	require(w->bind ? !w->fs && !w->data : w->remount || (w->fs && *w->fs));
	require(!w->bind || w->remount || (w->source && *w->source));
	require(!(w->attr_set & w->attr_clr & ~(uint64_t)MOUNT_ATTR__ATIME));
	require(!(w->rec_set & w->rec_clr & ~(uint64_t)MOUNT_ATTR__ATIME));
	require(!(w->sb_flags & w->sb_clear));
	mount_merged(w, &set, &clear);
	require(!(set & clear & ~(uint64_t)MOUNT_ATTR__ATIME));
	require((set & MOUNT_ATTR__ATIME) != MOUNT_ATTR__ATIME); /* both at once is no mode */
	require(!(set & MOUNT_ATTR__ATIME) || (clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME);
	while (mount_data_next(&rest, &d)) {
		require(d.key >= w->data && d.key + d.key_len <= end);
		require(!d.value || (d.value >= w->data && d.value + d.value_len <= end));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena a = { 0 };
	char *text = arena_strndup(&a, (const char *)data, size), *line;
	struct oci_mount m = { 0 };
	struct mount_wish w;
	struct err e;
	int r;

	m.options.v = arena_alloc_n(&a, size + 2, sizeof(char *));
	if (!text || !m.options.v)
		return 0;
	m.destination = strsep(&text, "\n");
	m.type = strsep(&text, "\n");
	m.source = strsep(&text, "\n");
	while ((line = strsep(&text, "\n")))
		m.options.v[m.options.n++] = line;
	if (m.type && !*m.type)
		m.type = NULL;
	if (m.source && !*m.source)
		m.source = NULL;
	r = mount_compile(&m, "/mounts/0", &w, &a, &e);
	if (r < 0) {
		require(e.kind == ERR_CONFIG || e.num == ENOMEM);
		require(strncmp(e.text, "/mounts/0", 9) == 0 || e.num == ENOMEM);
		return 0;
	}
	check_wish(&w);
	return 0;
}
