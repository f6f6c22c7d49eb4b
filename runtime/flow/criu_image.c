// SPDX-License-Identifier: LGPL-2.1-or-later

/* An image of CRIU is two magic numbers, and then entries: their length in 32 bits, and a message. */

#include "runtime/flow/criu_image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#if HAVE_PROTOBUF_C
#include "runtime/flow/criu.pb-c.h"
#endif

#define FILES "files.img"
#define MOUNTS "mountpoints-"
#define IMAGE_MAX ((size_t)256 << 20)
#define HEADER 8
#define NO_POSITION UINT64_MAX
#define FIRST_MASTER (1U << 30) /* the kernel counts from 1, and takes what is free */

#if HAVE_PROTOBUF_C

/* ---- an image ---- */

/* With its length. */
static int add_entry(struct str *out, const ProtobufCMessage *m)
{
	uint32_t len = (uint32_t)protobuf_c_message_get_packed_size(m);
	cleanup_free char *buf = malloc(len + 1);

	if (!buf)
		return -ENOMEM;
	protobuf_c_message_pack(m, (uint8_t *)buf);
	str_addn(out, (const char *)&len, sizeof len);
	str_addn(out, buf, len);
	return 0;
}

typedef int change_entry(ProtobufCMessage *m, void *arg); /* above zero: it did */

/* Above zero: some were changed. */
static int copy_entries(const struct str *in, const ProtobufCMessageDescriptor *type, change_entry *change, void *arg, struct str *out)
{
	bool changed = false;
	uint32_t len;

	str_addn(out, in->s, HEADER);
	for (size_t at = HEADER; at < in->len; at += len) {
		ProtobufCMessage *m;
		int r;

		if (in->len - at < sizeof len)
			return -EBADMSG;
		memcpy(&len, in->s + at, sizeof len);
		at += sizeof len;
		m = len <= in->len - at ? protobuf_c_message_unpack(type, NULL, len, (const uint8_t *)in->s + at) : NULL;
		if (!m)
			return -EBADMSG;
		r = change(m, arg);
		changed |= r > 0;
		if (r >= 0)
			r = add_entry(out, m);
		protobuf_c_message_free_unpacked(m, NULL);
		if (r < 0)
			return r;
	}
	return str_failed(out) ? -ENOMEM : changed;
}

static int change_image(int images_fd, const char *name, const ProtobufCMessageDescriptor *type, change_entry *change, void *arg,
			struct err *e)
{
	cleanup_str struct str in = { 0 }, out = { 0 };
	int r;

	if (fs_read(images_fd, name, IMAGE_MAX, &in, e) < 0)
		return err_ret(e);
	r = in.len < HEADER ? -EBADMSG : copy_entries(&in, type, change, arg, &out);
	if (r < 0)
		return err_set(e, ERR_KERNEL, -r, "%s", name);
	return r == 0 ? 0 : fs_replace(images_fd, name, out.s, out.len, 0600, e);
}

/* ---- open files ---- */

static int free_file(ProtobufCMessage *m, void *arg)
{
	Criu__RegularFile *reg = ((Criu__OpenFile *)m)->reg;

	(void)arg;
	if (!reg || !reg->ext)
		return 0;
	reg->has_size = reg->has_mode = false;
	if ((reg->flags & O_ACCMODE) != O_RDONLY) {
		reg->flags |= O_APPEND;
		reg->pos = NO_POSITION;
	}
	return 1;
}

int criu_free_external_files(int images_fd, struct err *e)
{
	if (faccessat(images_fd, FILES, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	return change_image(images_fd, FILES, &criu__open_file__descriptor, free_file, NULL, e);
}

/* ---- mounts ---- */

struct groups {
	uint32_t *shared; /* those of the container: what is a slave of one of them stays it */
	size_t n, cap;
	uint32_t next;
};

static int note_group(ProtobufCMessage *m, void *arg)
{
	const Criu__MountPoint *p = (Criu__MountPoint *)m;
	struct groups *g = arg;

	if (!p->shared_id)
		return 0;
	if (g->n == g->cap) {
		uint32_t *more = reallocarray(g->shared, g->cap * 2 + 64, sizeof *more);

		if (!more)
			return -ENOMEM;
		g->shared = more;
		g->cap = g->cap * 2 + 64;
	}
	g->shared[g->n++] = p->shared_id;
	return 0;
}

static int part_mount(ProtobufCMessage *m, void *arg)
{
	Criu__MountPoint *p = (Criu__MountPoint *)m;
	struct groups *g = arg;

	if (!p->master_id || p->shared_id || !p->ext_key || !*p->ext_key)
		return 0;
	for (size_t i = 0; i < g->n; i++)
		if (g->shared[i] == p->master_id)
			return 0;
	p->master_id = g->next++;
	return 1;
}

/* One for each mount namespace in the container. */
static int each_mount(int images_fd, change_entry *change, struct groups *g, struct err *e)
{
	cleanup_dir DIR *dir = dir_open(images_fd, ".");

	if (!dir)
		return err_sys(e, "images");
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (str_starts(entry->d_name, MOUNTS) && str_ends(entry->d_name, ".img") &&
		    change_image(dirfd(dir), entry->d_name, &criu__mount_point__descriptor, change, g, e) < 0)
			return err_ret(e);
	return 0;
}

int criu_part_external_mounts(int images_fd, struct err *e)
{
	struct groups g = { .next = FIRST_MASTER };
	int r = each_mount(images_fd, note_group, &g, e);

	if (r == 0)
		r = each_mount(images_fd, part_mount, &g, e);
	free(g.shared);
	return r;
}

#else /* not reached: no checkpoint comes so far */

int criu_free_external_files(int images_fd, struct err *e)
{
	(void)images_fd;
	return err_set(e, ERR_UNSUPPORTED, 0, FILES);
}

int criu_part_external_mounts(int images_fd, struct err *e)
{
	(void)images_fd;
	return err_set(e, ERR_UNSUPPORTED, 0, MOUNTS);
}

#endif
