// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include "runtime/cgroup/bus.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"

#define MESSAGE_MAX ((size_t)16 << 20)
#define HEADER 16 /* the part of fixed size */

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define BROKER "org.freedesktop.DBus"

const struct bus_member systemd_start_unit = { MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))" };
const struct bus_member systemd_stop_unit = { MANAGER, "StopUnit", "ss" };
const struct bus_member systemd_reset_unit = { MANAGER, "ResetFailedUnit", "s" };
const struct bus_member systemd_set_unit = { MANAGER, "SetUnitProperties", "sba(sv)" };
const struct bus_member systemd_attach = { MANAGER, "AttachProcessesToUnit", "ssau" };
const struct bus_member systemd_get_property = { "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties", "Get",
						 "ss" };
static const struct bus_member broker_hello = { "/org/freedesktop/DBus", BROKER, "Hello", "" };
static const struct bus_member broker_match = { "/org/freedesktop/DBus", BROKER, "AddMatch", "s" };

enum { FIELD_PATH = 1, FIELD_INTERFACE, FIELD_MEMBER, FIELD_ERROR, FIELD_REPLY_TO, FIELD_DESTINATION, FIELD_SENDER,
       FIELD_SIGNATURE };

static uint8_t native_order(void)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';
}

/* ---- writing ---- */

void bus_align(struct str *body, size_t to)
{
	while (body->len % to && !str_failed(body))
		str_addc(body, '\0');
}

void bus_put(struct str *body, const void *value, size_t size)
{
	bus_align(body, size);
	str_addn(body, value, size);
}

void bus_put_u32(struct str *body, uint32_t v)
{
	bus_put(body, &v, sizeof v);
}

void bus_put_text(struct str *body, const char *text)
{
	bus_put_u32(body, (uint32_t)strlen(text));
	str_addn(body, text, strlen(text) + 1);
}

void bus_put_signature(struct str *body, const char *text)
{
	str_addc(body, (char)strlen(text));
	str_addn(body, text, strlen(text) + 1);
}

/* The length counts from the first element on, without the padding before it. */
struct bus_array bus_array_begin(struct str *body, size_t element_align)
{
	struct bus_array a;

	bus_put_u32(body, 0);
	a.length_at = body->len - sizeof(uint32_t);
	bus_align(body, element_align);
	a.begin = body->len;
	return a;
}

void bus_array_end(struct str *body, struct bus_array a)
{
	uint32_t n = (uint32_t)(body->len - a.begin);

	if (!str_failed(body))
		memcpy(body->s + a.length_at, &n, sizeof n);
}

static void put_field(struct str *out, char code, const char *type, const char *text)
{
	bus_align(out, 8);
	str_addc(out, code);
	bus_put_signature(out, type);
	if (*type == 'g')
		bus_put_signature(out, text);
	else
		bus_put_text(out, text);
}

static void build(struct bus *b, const struct bus_member *m, const struct str *body, struct str *out)
{
	const uint8_t start[4] = { native_order(), BUS_CALL, 0, 1 };
	struct bus_array fields;

	str_addn(out, (const char *)start, sizeof start);
	bus_put_u32(out, body ? (uint32_t)body->len : 0);
	bus_put_u32(out, ++b->serial);
	fields = bus_array_begin(out, 8);
	put_field(out, FIELD_PATH, "o", m->path);
	put_field(out, FIELD_INTERFACE, "s", m->interface);
	put_field(out, FIELD_MEMBER, "s", m->name);
	if (!b->direct)
		put_field(out, FIELD_DESTINATION, "s", strcmp(m->interface, BROKER) == 0 ? BROKER : SYSTEMD);
	if (*m->signature)
		put_field(out, FIELD_SIGNATURE, "g", m->signature);
	bus_array_end(out, fields);
	bus_align(out, 8);
	if (body)
		str_addn(out, body->s, body->len);
}

static int no_answer(const struct bus *b, struct err *e)
{
	return err_set(e, ERR_KERNEL, ETIMEDOUT, "systemd does not answer within %d seconds (%s)", BUS_TIMEOUT_MS / 1000,
		       b->where);
}

static int send_all(struct bus *b, const char *p, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = send(b->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) /* SO_SNDTIMEO */
			return no_answer(b, e);
		if (n < 0)
			return err_sys(e, "systemd: send to %s", b->where);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- reading ---- */

static int receive_more(struct bus *b, int64_t until, struct err *e)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };
	char buf[4096];
	int64_t left;
	ssize_t n;

	if (b->taken > 0) {
		memmove(b->in.s, b->in.s + b->taken, b->in.len - b->taken);
		b->in.len -= b->taken;
		b->taken = 0;
	}
	for (;;) {
		n = recv(b->fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n > 0)
			break;
		if (n == 0)
			return err_set(e, ERR_KERNEL, ECONNRESET, "systemd closed the connection (%s)", b->where);
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(e, "systemd: receive from %s", b->where);
		left = until - clock_ms();
		if (left <= 0)
			return no_answer(b, e);
		poll(&p, 1, (int)left);
	}
	str_addn(&b->in, buf, (size_t)n);
	return str_failed(&b->in) ? err_oom(e) : 0;
}

static int garbage(const struct bus *b, struct err *e)
{
	return err_set(e, ERR_KERNEL, EBADMSG, "systemd: not D-Bus what comes from %s", b->where);
}

/* "DATA", a question to which our empty answer has been sent already, then "OK GUID". */
static int await_accepted(struct bus *b, struct err *e)
{
	const int64_t until = clock_ms() + BUS_TIMEOUT_MS;

	for (;;) {
		char *line = b->in.s ? b->in.s + b->taken : NULL;
		char *end = line ? memchr(line, '\n', b->in.len - b->taken) : NULL;

		if (!end) {
			if (b->in.len - b->taken > 1024)
				return garbage(b, e);
			if (receive_more(b, until, e) < 0)
				return err_ret(e);
			continue;
		}
		b->taken += (size_t)(end - line) + 1;
		if (strncmp(line, "OK ", 3) == 0)
			return 0;
		if (strncmp(line, "DATA", 4) != 0)
			return err_set(e, ERR_KERNEL, EACCES, "systemd does not accept uid %d (%s)", (int)geteuid(), b->where);
	}
}

static const char *at(struct bus_message *m, size_t align, size_t size)
{
	size_t pos = (m->pos + align - 1) / align * align;

	if (m->bad || pos > m->len || size > m->len - pos) {
		m->bad = true;
		return NULL;
	}
	m->pos = pos + size;
	return m->body + pos;
}

uint32_t bus_read_u32(struct bus_message *m)
{
	const char *p = at(m, 4, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof v);
	return v;
}

static const char *read_text(struct bus_message *m, size_t len)
{
	const char *p = at(m, 1, len + 1);

	if (p && strnlen(p, len + 1) == len)
		return p;
	m->bad = true;
	return "";
}

const char *bus_read_text(struct bus_message *m)
{
	return read_text(m, bus_read_u32(m));
}

const char *bus_read_signature(struct bus_message *m)
{
	const char *len = at(m, 1, 1);

	return len ? read_text(m, (uint8_t)*len) : "";
}

/* The header's fields: those that we look at, and of the types that the specification gives them. */
static bool read_fields(struct bus_message *fields, struct bus_message *ret)
{
	while (fields->pos < fields->len && !fields->bad) {
		const char *code = at(fields, 8, 1), *type = bus_read_signature(fields);
		const char *text = "";
		uint32_t number = 0;

		if (!code || !*type || type[1])
			return false;
		if (*type == 's' || *type == 'o')
			text = bus_read_text(fields);
		else if (*type == 'g')
			text = bus_read_signature(fields);
		else if (*type == 'u')
			number = bus_read_u32(fields);
		else
			return false;
		if (*code == FIELD_MEMBER)
			ret->member = text;
		else if (*code == FIELD_ERROR)
			ret->error = text;
		else if (*code == FIELD_SIGNATURE)
			ret->signature = text;
		else if (*code == FIELD_REPLY_TO)
			ret->reply_to = number;
	}
	return !fields->bad;
}

/* Returns 1 when a whole message is there, 0 when more must come. */
static int take_message(struct bus *b, struct bus_message *ret, struct err *e)
{
	const char *p = b->in.s ? b->in.s + b->taken : NULL;
	size_t have = b->in.len - b->taken, fields_end, body_begin;
	uint32_t body_len, fields_len;

	if (have < HEADER)
		return 0;
	memcpy(&body_len, p + 4, 4);
	memcpy(&fields_len, p + 12, 4);
	if ((uint8_t)p[0] != native_order() || p[3] != 1 || body_len > MESSAGE_MAX || fields_len > MESSAGE_MAX)
		return garbage(b, e);
	fields_end = HEADER + fields_len;
	body_begin = (fields_end + 7) / 8 * 8;
	if (have < body_begin + body_len)
		return 0;
	*ret = (struct bus_message){ .kind = (uint8_t)p[1], .member = "", .error = "", .signature = "",
				     .body = p + body_begin, .len = body_len };
	struct bus_message fields = { .body = p, .len = fields_end, .pos = HEADER };
	if (!read_fields(&fields, ret))
		return garbage(b, e);
	b->taken += body_begin + body_len;
	return 1;
}

int bus_receive(struct bus *b, int64_t until, struct bus_message *ret, struct err *e)
{
	for (;;) {
		int r = take_message(b, ret, e);

		if (r != 0)
			return r < 0 ? r : 0;
		r = receive_more(b, until, e);
		if (r < 0)
			return r;
	}
}

int bus_wait_reply(struct bus *b, int64_t serial, struct bus_message *ret, struct err *e)
{
	const int64_t until = clock_ms() + BUS_TIMEOUT_MS;
	int r;

	do
		r = bus_receive(b, until, ret, e);
	while (r == 0 && !((ret->kind == BUS_REPLY || ret->kind == BUS_ERROR) && ret->reply_to == serial));
	return r;
}

int bus_error(struct bus *b, struct bus_message *m, struct err *e)
{
	const char *text = *m->signature == 's' ? bus_read_text(m) : "";
	int r = err_set(e, ERR_KERNEL, 0, "systemd: %s%s%s", m->error, *text ? ": " : "", text);

	(void)b;
	err_sanitize(e);
	return r;
}

/* ---- connection ---- */

/* Nobody is named: the kernel tells who we are, also from a user namespace, where our own idea of it is another. */
static const char introduction[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

static int connect_to(const char *socket_path, struct bus *b, struct err *e)
{
	const struct timeval limit = { BUS_TIMEOUT_MS / 1000, 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred cred = { 0 };
	socklen_t len = sizeof cred, addr_len;
	size_t n = strlen(socket_path);

	if (n >= sizeof addr.sun_path)
		return err_set(e, ERR_KERNEL, ENAMETOOLONG, "%.60s...", socket_path);
	memcpy(addr.sun_path, socket_path, n);
	if (addr.sun_path[0] == '@') /* an abstract name */
		addr.sun_path[0] = '\0';
	addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (addr.sun_path[0] ? 1 : 0));
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* It holds for connect(2) too, which waits while the listener's queue is full. */
	if (b->fd < 0 || setsockopt(b->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return err_sys(e, "socket");
	if (connect(b->fd, (const struct sockaddr *)&addr, addr_len) < 0)
		return errno == EAGAIN ? no_answer(b, e) : err_sys(e, "%s", b->where);
	if (getsockopt(b->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		b->peer = cred.pid;
	return 0;
}

int bus_open(const char *socket_path, bool direct, struct bus *ret, struct err *e)
{
	struct bus b = { .fd = -1, .direct = direct };
	int r;

	snprintf(b.where, sizeof b.where, "%s", socket_path);
	r = connect_to(socket_path, &b, e);
	if (r == 0)
		r = send_all(&b, introduction, sizeof introduction - 1, e);
	if (r < 0) {
		bus_close(&b);
		return r;
	}
	*ret = b;
	return 0;
}

void bus_close(struct bus *b)
{
	fd_close(&b->fd);
	str_done(&b->in);
	b->taken = 0;
}

static int64_t transmit(struct bus *b, const struct bus_member *member, const struct str *body, struct err *e)
{
	cleanup_str struct str out = { 0 };

	if (body && str_failed(body))
		return err_oom(e);
	build(b, member, body, &out);
	if (str_failed(&out))
		return err_oom(e);
	return send_all(b, out.s, out.len, e) < 0 ? err_ret(e) : (int64_t)b->serial;
}

static int get_ready(struct bus *b, struct err *e)
{
	struct bus_message m;
	int64_t serial;
	int r;

	if (b->ready)
		return 0;
	r = await_accepted(b, e);
	if (r < 0)
		return r;
	b->ready = true;
	if (b->direct)
		return 0;
	serial = transmit(b, &broker_hello, NULL, e);
	if (serial < 0 || bus_wait_reply(b, serial, &m, e) < 0)
		return err_ret(e);
	return m.kind == BUS_ERROR ? bus_error(b, &m, e) : 0;
}

int64_t bus_call(struct bus *b, const struct bus_member *member, const struct str *body, struct err *e)
{
	return get_ready(b, e) < 0 ? err_ret(e) : transmit(b, member, body, e);
}

/* The broker takes the rule before whatever is sent after it: nobody needs to wait for its reply. */
int bus_listen(struct bus *b, struct err *e)
{
	cleanup_str struct str body = { 0 };
	int64_t serial;

	if (b->direct)
		return 0;
	bus_put_text(&body, "type='signal',sender='" SYSTEMD "',interface='org.freedesktop.systemd1.Manager',"
			    "member='JobRemoved',path='/org/freedesktop/systemd1'");
	serial = bus_call(b, &broker_match, &body, e);
	return serial < 0 ? err_ret(e) : 0;
}
