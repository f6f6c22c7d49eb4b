// SPDX-License-Identifier: LGPL-2.1-or-later

/* An image of CRIU is two magic numbers, and then entries: their length in 32 bits, and a message. */

#include "runtime/flow/criu_image.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#if HAVE_PROTOBUF_C
#include "runtime/flow/criu.pb-c.h"
#endif

#define FILES "files.img"
#define FILES_MAX ((size_t)256 << 20)
#define HEADER 8
#define NO_POSITION UINT64_MAX

#if HAVE_PROTOBUF_C

static bool free_file(Criu__OpenFile *f)
{
	Criu__RegularFile *reg = f->reg;

	if (!reg || !reg->ext)
		return false;
	reg->has_size = reg->has_mode = false;
	if ((reg->flags & O_ACCMODE) != O_RDONLY) {
		reg->flags |= O_APPEND;
		reg->pos = NO_POSITION;
	}
	return true;
}

static int add_entry(struct str *out, const Criu__OpenFile *f)
{
	uint32_t len = (uint32_t)criu__open_file__get_packed_size(f);
	cleanup_free char *buf = malloc(len + 1);

	if (!buf)
		return -1;
	criu__open_file__pack(f, (uint8_t *)buf);
	str_addn(out, (const char *)&len, sizeof len);
	str_addn(out, buf, len);
	return 0;
}

/* Above zero: some were changed. */
static int copy_entries(const struct str *in, struct str *out, struct err *e)
{
	bool changed = false;
	uint32_t len;

	str_addn(out, in->s, HEADER);
	for (size_t at = HEADER; at < in->len; at += len) {
		Criu__OpenFile *f;
		int r;

		if (in->len - at < sizeof len)
			return err_set(e, ERR_KERNEL, EBADMSG, FILES);
		memcpy(&len, in->s + at, sizeof len);
		at += sizeof len;
		f = len <= in->len - at ? criu__open_file__unpack(NULL, len, (const uint8_t *)in->s + at) : NULL;
		if (!f)
			return err_set(e, ERR_KERNEL, EBADMSG, FILES);
		changed |= free_file(f);
		r = add_entry(out, f);
		criu__open_file__free_unpacked(f, NULL);
		if (r < 0)
			return err_oom(e);
	}
	return str_failed(out) ? err_oom(e) : changed;
}

int criu_free_external_files(int images_fd, struct err *e)
{
	cleanup_str struct str in = { 0 }, out = { 0 };
	int r;

	if (fs_read(images_fd, FILES, FILES_MAX, &in, e) < 0)
		return e->num == ENOENT ? 0 : err_ret(e);
	if (in.len < HEADER)
		return err_set(e, ERR_KERNEL, EBADMSG, FILES);
	r = copy_entries(&in, &out, e);
	return r <= 0 ? r : fs_replace(images_fd, FILES, out.s, out.len, 0600, e);
}

#else /* not reached: no checkpoint comes so far */

int criu_free_external_files(int images_fd, struct err *e)
{
	(void)images_fd;
	return err_set(e, ERR_UNSUPPORTED, 0, FILES);
}

#endif
