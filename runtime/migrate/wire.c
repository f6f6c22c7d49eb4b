// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/migrate/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/emit.h"
#include "oci/migration.h"
#include "runtime/base/clock.h"

#define HEADER 16
#define MAGIC "vzm1"
#define RATE_SLICE_MS 50 /* how far ahead of the rate one may be */

/* ---- bytes ---- */

/* The polynomial of Ethernet and zip, reflected. */
static uint32_t crc32(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256];
	static bool ready;

	for (uint32_t i = 0; !ready && i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? 0xedb88320U ^ table[i] >> 1 : table[i] >> 1;
	}
	ready = true;
	crc = ~crc;
	for (const uint8_t *p = data; len > 0; p++, len--)
		crc = table[(crc ^ *p) & 0xff] ^ crc >> 8;
	return ~crc;
}

static void put(uint8_t *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get(const uint8_t *from, int bytes)
{
	uint32_t value = 0;

	for (int i = bytes; i-- > 0;)
		value = value << 8 | from[i];
	return value;
}

static int gone(const struct wire *w, struct err *e)
{
	return err_set(e, ERR_STATE, EPIPE, "the connection to %s is gone", w->peer);
}

static int write_all(const struct wire *w, const void *data, size_t len, struct err *e)
{
	for (const char *p = data; len > 0;) {
		ssize_t n = write(w->wr, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return gone(w, e);
		if (n < 0)
			return err_sys(e, "write to %s", w->peer);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(struct wire *w, void *data, size_t len, struct err *e)
{
	for (char *p = data; len > 0;) {
		struct pollfd in = { .fd = w->rd, .events = POLLIN };
		ssize_t n;
		int r = poll(&in, 1, w->timeout_ms);

		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0)
			return err_set(e, ERR_STATE, ETIMEDOUT, "%s says nothing", w->peer);
		n = read(w->rd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return gone(w, e);
		if (n < 0)
			return err_sys(e, "read from %s", w->peer);
		p += n;
		len -= (size_t)n;
		w->received += (uint64_t)n;
	}
	return 0;
}

/* Waits until what was sent is no more than the rate allows. */
static void keep_rate(struct wire *w)
{
	int64_t now = clock_ms(), due;

	if (!w->rate)
		return;
	if (!w->began) {
		w->began = now;
		w->began_sent = w->sent;
	}
	due = w->began + (int64_t)((w->sent - w->began_sent) * 1000 / w->rate);
	if (due > now + RATE_SLICE_MS)
		poll(NULL, 0, (int)(due - now));
	/* Who was idle has saved nothing up. */
	if (due + 1000 < now) {
		w->began = now;
		w->began_sent = w->sent;
	}
}

void wire_done(struct wire *w)
{
	free(w->buf);
	w->buf = NULL;
}

/* ---- frames ---- */

static uint32_t checksum(const uint8_t *header, const void *data, size_t len)
{
	return crc32(crc32(0, header + 4, 8), data, len);
}

int wire_send(struct wire *w, enum wire_type type, const void *data, size_t len, struct err *e)
{
	uint8_t header[HEADER] = MAGIC;

	if (len > WIRE_MAX)
		return err_set(e, ERR_INTERNAL, EMSGSIZE, "frame %d of %zu bytes", (int)type, len);
	put(header + 4, type, 2);
	put(header + 8, len, 4);
	put(header + 12, checksum(header, data, len), 4);
	if (write_all(w, header, HEADER, e) < 0 || write_all(w, data, len, e) < 0)
		return err_ret(e);
	w->sent += HEADER + len;
	keep_rate(w);
	return 0;
}

int wire_send_text(struct wire *w, enum wire_type type, const char *text, struct err *e)
{
	return wire_send(w, type, text, strlen(text), e);
}

int wire_send_document(struct wire *w, enum wire_type type, const struct oci_type *what, const void *document, struct err *e)
{
	cleanup_str struct str text = { 0 };

	decode_emit(what, document, &(struct emit){ .out = &text });
	return str_failed(&text) ? err_oom(e) : wire_send(w, type, text.s, text.len, e);
}

void wire_send_error(struct wire *w, const struct err *what)
{
	char text[ERR_TEXT_MAX + 128];
	struct err ignored;

	wire_send_text(w, WIRE_ERROR, err_format(what, text, sizeof text), &ignored);
}

static int damaged(const struct wire *w, const char *how, struct err *e)
{
	return err_set(e, ERR_STATE, EBADMSG, "what comes from %s is no frame of this protocol: %s", w->peer, how);
}

int wire_recv(struct wire *w, struct wire_frame *ret, struct err *e)
{
	uint8_t header[HEADER];
	size_t len;

	if (!w->buf)
		w->buf = malloc(WIRE_MAX + 1);
	if (!w->buf)
		return err_oom(e);
	if (read_all(w, header, HEADER, e) < 0)
		return err_ret(e);
	if (memcmp(header, MAGIC, 4) != 0)
		return damaged(w, "another beginning", e);
	len = get(header + 8, 4);
	if (len > WIRE_MAX)
		return damaged(w, "too long", e);
	if (read_all(w, w->buf, len, e) < 0)
		return err_ret(e);
	if (get(header + 12, 4) != checksum(header, w->buf, len))
		return damaged(w, "another checksum", e);
	w->buf[len] = '\0';
	*ret = (struct wire_frame){ (enum wire_type)get(header + 4, 2), w->buf, len };
	return 0;
}

int wire_not_due(const struct wire *w, struct err *e)
{
	return damaged(w, "another frame than is due", e);
}

int wire_expect(struct wire *w, enum wire_type type, struct wire_frame *ret, struct err *e)
{
	if (wire_recv(w, ret, e) < 0)
		return err_ret(e);
	if (ret->type == WIRE_ERROR) {
		err_set(e, ERR_STATE, 0, "%s: %s", w->peer, ret->data);
		err_sanitize(e);
		e->num = EREMOTEIO;
		return err_ret(e);
	}
	return ret->type == type ? 0 : wire_not_due(w, e);
}

int wire_expect_document(struct wire *w, enum wire_type type, const struct oci_type *what, void *ret, struct arena *a, struct err *e)
{
	struct wire_frame f;

	return wire_expect(w, type, &f, e) < 0 ? err_ret(e) : migration_parse(what, f.data, f.len, ret, a, e);
}

const char *wire_word(const struct wire_frame *f, size_t *at)
{
	const char *word = *at < f->len ? f->data + *at : "";

	*at += strlen(word) + 1;
	return word;
}
