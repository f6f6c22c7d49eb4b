// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/netstats.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/emit.h"
#include "runtime/base/fs.h"

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop ..." */
static bool parse_line(const char *line, struct net_interface *c)
{
	return sscanf(line, " %63[^:]: %llu %llu %llu %llu %*u %*u %*u %*u %llu %llu %llu %llu", c->name, &c->rx_bytes,
		      &c->rx_packets, &c->rx_errors, &c->rx_dropped, &c->tx_bytes, &c->tx_packets, &c->tx_errors,
		      &c->tx_dropped) == 9;
}

bool netstats_is_loopback(const struct net_interface *i)
{
	return strcmp(i->name, "lo") == 0;
}

bool netstats_is_own(pid_t pid)
{
	struct stat ours, its;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	return stat("/proc/self/ns/net", &ours) == 0 && stat(path, &its) == 0 &&
	       (ours.st_ino != its.st_ino || ours.st_dev != its.st_dev);
}

static void emit_interface(struct emit *out, const struct net_interface *c)
{
	emit_object(out, NULL);
	emit_string(out, "Name", c->name);
	emit_u64(out, "RxBytes", c->rx_bytes);
	emit_u64(out, "RxPackets", c->rx_packets);
	emit_u64(out, "RxErrors", c->rx_errors);
	emit_u64(out, "RxDropped", c->rx_dropped);
	emit_u64(out, "TxBytes", c->tx_bytes);
	emit_u64(out, "TxPackets", c->tx_packets);
	emit_u64(out, "TxErrors", c->tx_errors);
	emit_u64(out, "TxDropped", c->tx_dropped);
	emit_object_end(out);
}

void netstats_emit(const struct net_interfaces *list, struct emit *out)
{
	emit_array(out, "network_interfaces");
	for (size_t i = 0; i < list->n; i++)
		if (!netstats_is_loopback(&list->v[i]))
			emit_interface(out, &list->v[i]);
	emit_array_end(out);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int netstats_read(pid_t pid, struct net_interfaces *ret, struct arena *a, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char path[64];

	*ret = (struct net_interfaces){ 0 };
	snprintf(path, sizeof path, "/proc/%d/net/dev", (int)pid);
	if (fs_read(AT_FDCWD, path, (size_t)8 << 20, &text, e) < 0)
		return err_ret(e);
	ret->v = arena_alloc_n(a, count_lines(str_cstr(&text)) + 1, sizeof *ret->v);
	if (!ret->v)
		return err_oom(e);
	for (const char *p = str_cstr(&text); *p; p += strcspn(p, "\n"), p += *p == '\n')
		ret->n += parse_line(p, &ret->v[ret->n]);
	return 0;
}
