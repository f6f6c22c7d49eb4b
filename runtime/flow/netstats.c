// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/netstats.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "oci/emit.h"
#include "runtime/base/fs.h"

struct counters {
	unsigned long long rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop ..." */
static int parse_line(const char *line, char name[64], struct counters *c)
{
	return sscanf(line, " %63[^:]: %llu %llu %llu %llu %*u %*u %*u %*u %llu %llu %llu %llu", name, &c->rx_bytes,
		      &c->rx_packets, &c->rx_errors, &c->rx_dropped, &c->tx_bytes, &c->tx_packets, &c->tx_errors,
		      &c->tx_dropped) == 9;
}

static void emit_interface(struct emit *out, const char *name, const struct counters *c)
{
	emit_object(out, NULL);
	emit_string(out, "Name", name);
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

int netstats_emit(pid_t pid, struct emit *out, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char path[64], name[64], *save = NULL;
	struct counters c;
	int r;

	snprintf(path, sizeof path, "/proc/%d/net/dev", (int)pid);
	r = fs_read(AT_FDCWD, path, (size_t)8 << 20, &text, e);
	if (r < 0)
		return r;
	emit_array(out, "network_interfaces");
	for (char *line = strtok_r(text.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (parse_line(line, name, &c) && strcmp(name, "lo") != 0)
			emit_interface(out, name, &c);
	emit_array_end(out);
	return 0;
}
