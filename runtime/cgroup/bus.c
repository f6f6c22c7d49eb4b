// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include "runtime/cgroup/bus.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#if HAVE_SYSTEMD
#include <systemd/sd-bus.h>
#endif

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/str.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define BROKER "org.freedesktop.DBus"

const struct bus_member systemd_start_unit = { MANAGER, "StartTransientUnit" };
const struct bus_member systemd_stop_unit = { MANAGER, "StopUnit" };
const struct bus_member systemd_reset_unit = { MANAGER, "ResetFailedUnit" };
const struct bus_member systemd_set_unit = { MANAGER, "SetUnitProperties" };
const struct bus_member systemd_attach = { MANAGER, "AttachProcessesToUnit" };
const struct bus_member systemd_get_property = { "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties", "Get" };
static const struct bus_member broker_match = { "/org/freedesktop/DBus", BROKER, "AddMatch" };

static int no_answer(const struct bus *b, struct err *e)
{
	return err_set(e, ERR_KERNEL, ETIMEDOUT, "systemd does not answer within %d seconds (%s)", BUS_TIMEOUT_MS / 1000,
		       b->where);
}

/* ---- connection ---- */

/* Not sd-bus' own: that gives up at once while the listener's queue is full. */
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
	struct bus b = { .open = true, .fd = -1, .direct = direct };
	int r;

	snprintf(b.where, sizeof b.where, "%s", socket_path);
	r = connect_to(socket_path, &b, e);
	if (r < 0) {
		fd_close(&b.fd);
		return r;
	}
	*ret = b;
	return 0;
}

#if HAVE_SYSTEMD

/* ---- libsystemd, opened on first use ---- */

#define SYMBOLS(X)                                                                                                    \
	X(new)                                                                                                        \
	X(set_fd)                                                                                                     \
	X(set_bus_client)                                                                                             \
	X(negotiate_fds)                                                                                              \
	X(start)                                                                                                      \
	X(is_ready)                                                                                                   \
	X(process)                                                                                                    \
	X(wait)                                                                                                       \
	X(send)                                                                                                       \
	X(close_unref)                                                                                                \
	X(message_new_method_call)                                                                                    \
	X(message_append_basic)                                                                                       \
	X(message_open_container)                                                                                     \
	X(message_close_container)                                                                                    \
	X(message_unref)                                                                                              \
	X(message_get_type)                                                                                           \
	X(message_get_reply_cookie)                                                                                   \
	X(message_get_error)                                                                                          \
	X(message_get_interface)                                                                                      \
	X(message_get_member)                                                                                         \
	X(message_get_signature)                                                                                      \
	X(message_read_basic)                                                                                         \
	X(message_enter_container)

#define MEMBER(name) typeof(sd_bus_##name) *name; /* NOLINT(bugprone-macro-parentheses): a declarator */
#define ROW(name) { offsetof(struct lib, name), "sd_bus_" #name },

/* It stays open: a second connection of the same process finds it there. */
static struct lib {
	void *handle;
	SYMBOLS(MEMBER)
} lib;

static int lib_open(struct err *e)
{
	static const struct {
		size_t offset;
		const char *name;
	} symbols[] = { SYMBOLS(ROW) };
	void *handle;

	if (lib.handle)
		return 0;
	handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "the systemd cgroup driver needs libsystemd.so.0 (Debian: libsystemd0): %s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(handle, symbols[i].name);

		if (!p) {
			dlclose(handle);
			return err_set(e, ERR_UNSUPPORTED, 0, "the systemd cgroup driver: libsystemd has no %s",
				       symbols[i].name);
		}
		memcpy((char *)&lib + symbols[i].offset, &p, sizeof p);
	}
	lib.handle = handle;
	return 0;
}

static int check(const struct bus *b, int r, struct err *e)
{
	switch (-r) {
	case EPERM:
		return err_set(e, ERR_KERNEL, EACCES, "systemd does not accept uid %d (%s)", (int)geteuid(), b->where);
	case EBADMSG:
	case ENOBUFS: /* a length beyond all bounds */
		return err_set(e, ERR_KERNEL, EBADMSG, "systemd: not D-Bus what comes from %s", b->where);
	case ETIMEDOUT:
		return no_answer(b, e);
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
		return err_set(e, ERR_KERNEL, ECONNRESET, "systemd closed the connection (%s)", b->where);
	default:
		return err_set(e, ERR_KERNEL, -r, "systemd: %s", b->where);
	}
}

/* Does what can be done at once, or waits for more.  *ret: a message, when one was next. */
static int go_on(struct bus *b, int64_t until, sd_bus_message **ret, struct err *e)
{
	int r = lib.process(b->sd, ret);
	int64_t left = until - clock_ms();

	if (r < 0)
		return check(b, r, e);
	if (r > 0 && *ret) /* sd-bus' own word for an end of the connection is a signal */
		return str_eq(lib.message_get_interface(*ret), "org.freedesktop.DBus.Local") ? check(b, -ECONNRESET, e) : 0;
	if (left <= 0)
		return no_answer(b, e);
	r = r > 0 ? 0 : lib.wait(b->sd, (uint64_t)left * 1000);
	return r < 0 && r != -EINTR ? check(b, r, e) : 0;
}

static int start(struct bus *b, struct err *e)
{
	int r = lib.new(&b->sd);

	if (r == 0)
		r = lib.set_fd(b->sd, b->fd, b->fd);
	if (r < 0)
		return check(b, r, e);
	b->fd = -1;
	r = lib.set_bus_client(b->sd, !b->direct);
	if (r >= 0)
		r = lib.negotiate_fds(b->sd, false);
	if (r >= 0)
		r = lib.start(b->sd);
	return r < 0 ? check(b, r, e) : 0;
}

static int get_ready(struct bus *b, struct err *e)
{
	const int64_t until = clock_ms() + BUS_TIMEOUT_MS;
	int r;

	if (!b->sd && (lib_open(e) < 0 || start(b, e) < 0))
		return err_ret(e);
	while ((r = lib.is_ready(b->sd)) == 0) {
		sd_bus_message *m = NULL;

		r = go_on(b, until, &m, e);
		lib.message_unref(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? check(b, r, e) : 0;
}

void bus_close(struct bus *b)
{
	if (b->in)
		lib.message_unref(b->in);
	if (b->sd)
		lib.close_unref(b->sd);
	if (b->open)
		fd_close(&b->fd);
	*b = (struct bus){ .fd = -1 };
}

/* ---- calls ---- */

int bus_begin(struct bus *b, const struct bus_member *m, struct bus_call *ret, struct err *e)
{
	const char *to = b->direct ? NULL : strcmp(m->interface, BROKER) == 0 ? BROKER : SYSTEMD;
	int r;

	*ret = (struct bus_call){ 0 };
	if (get_ready(b, e) < 0)
		return err_ret(e);
	r = lib.message_new_method_call(b->sd, &ret->m, to, m->path, m->interface, m->name);
	return r < 0 ? check(b, r, e) : 0;
}

void bus_call_done(struct bus_call *c)
{
	if (c->m)
		c->m = lib.message_unref(c->m);
}

void bus_put(struct bus_call *c, char type, const void *value)
{
	if (c->failed >= 0)
		c->failed = lib.message_append_basic(c->m, type, value);
}

void bus_enter(struct bus_call *c, char type, const char *contents)
{
	if (c->failed >= 0)
		c->failed = lib.message_open_container(c->m, type, contents);
}

void bus_leave(struct bus_call *c)
{
	if (c->failed >= 0)
		c->failed = lib.message_close_container(c->m);
}

int64_t bus_send(struct bus *b, struct bus_call *c, struct err *e)
{
	uint64_t cookie = 0;
	int r = c->failed;

	if (r >= 0)
		r = lib.send(b->sd, c->m, &cookie);
	return r < 0 ? check(b, r, e) : (int64_t)cookie;
}

/* ---- what comes ---- */

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

int bus_receive(struct bus *b, int64_t until, struct bus_message *ret, struct err *e)
{
	const sd_bus_error *error;
	uint64_t cookie = 0;
	uint8_t kind = 0;

	b->in = lib.message_unref(b->in);
	while (!b->in)
		if (go_on(b, until, &b->in, e) < 0)
			return err_ret(e);
	lib.message_get_type(b->in, &kind);
	lib.message_get_reply_cookie(b->in, &cookie);
	error = lib.message_get_error(b->in);
	*ret = (struct bus_message){ .kind = kind,
				     .reply_to = (int64_t)cookie,
				     .member = or_empty(lib.message_get_member(b->in)),
				     .error = or_empty(error ? error->name : NULL),
				     .text = or_empty(error ? error->message : NULL),
				     .signature = or_empty(lib.message_get_signature(b->in, true)),
				     .m = b->in };
	return 0;
}

static const void *read_basic(struct bus_message *m, char type, void *ret)
{
	if (!m->bad && lib.message_read_basic(m->m, type, ret) <= 0)
		m->bad = true;
	return m->bad ? NULL : ret;
}

void bus_read_enter(struct bus_message *m, char type, const char *contents)
{
	if (!m->bad && lib.message_enter_container(m->m, type, contents) <= 0)
		m->bad = true;
}

#else /* !HAVE_SYSTEMD: nothing is ever opened (manager.c) */

void bus_close(struct bus *b)
{
	(void)b;
}

int bus_begin(struct bus *b, const struct bus_member *m, struct bus_call *ret, struct err *e)
{
	(void)b, (void)m, (void)ret, (void)broker_match;
	return err_set(e, ERR_UNSUPPORTED, 0, "this vzrun was built without libsystemd");
}

void bus_call_done(struct bus_call *c)
{
	(void)c;
}

void bus_put(struct bus_call *c, char type, const void *value)
{
	(void)c, (void)type, (void)value;
}

void bus_enter(struct bus_call *c, char type, const char *contents)
{
	(void)c, (void)type, (void)contents;
}

void bus_leave(struct bus_call *c)
{
	(void)c;
}

int64_t bus_send(struct bus *b, struct bus_call *c, struct err *e)
{
	return bus_begin(b, NULL, c, e);
}

int bus_receive(struct bus *b, int64_t until, struct bus_message *ret, struct err *e)
{
	(void)until, (void)ret;
	return bus_begin(b, NULL, NULL, e);
}

static const void *read_basic(struct bus_message *m, char type, void *ret)
{
	(void)m, (void)type, (void)ret;
	return NULL;
}

void bus_read_enter(struct bus_message *m, char type, const char *contents)
{
	(void)m, (void)type, (void)contents;
}

#endif

void bus_put_u32(struct bus_call *c, uint32_t v)
{
	bus_put(c, 'u', &v);
}

void bus_put_text(struct bus_call *c, const char *text)
{
	bus_put(c, 's', text);
}

/* The broker takes the rule before whatever is sent after it: nobody needs to wait for its reply. */
int bus_listen(struct bus *b, struct err *e)
{
	cleanup_bus_call struct bus_call call = { 0 };

	if (b->direct)
		return 0;
	if (bus_begin(b, &broker_match, &call, e) < 0)
		return err_ret(e);
	bus_put_text(&call, "type='signal',sender='" SYSTEMD "',interface='org.freedesktop.systemd1.Manager',"
			    "member='JobRemoved',path='/org/freedesktop/systemd1'");
	return bus_send(b, &call, e) < 0 ? err_ret(e) : 0;
}

int bus_wait_reply(struct bus *b, int64_t call, struct bus_message *ret, struct err *e)
{
	const int64_t until = clock_ms() + BUS_TIMEOUT_MS;
	int r;

	do
		r = bus_receive(b, until, ret, e);
	while (r == 0 && !((ret->kind == BUS_REPLY || ret->kind == BUS_ERROR) && ret->reply_to == call));
	return r;
}

int bus_error(const struct bus_message *m, struct err *e)
{
	int r = err_set(e, ERR_KERNEL, 0, "systemd: %s%s%s", m->error, *m->text ? ": " : "", m->text);

	err_sanitize(e);
	return r;
}

uint32_t bus_read_u32(struct bus_message *m)
{
	uint32_t v = 0;

	return read_basic(m, 'u', &v) ? v : 0;
}

const char *bus_read_text(struct bus_message *m, char type)
{
	const char *text = NULL;

	return read_basic(m, type, &text) ? text : "";
}
