// SPDX-License-Identifier: LGPL-2.1-or-later

/* User beancounters (proc_user_beancounters(5)) that an upstream kernel does not count by container: what they bound is
 * kernel memory, which the limit of memory holds.  Kept, so that a configuration of OpenVZ can be taken over whole. */

#include "extensions/registry.h"
#include "extensions/values.h"

struct beancounters {
	struct opt_i64 kmemsize, lockedpages, privvmpages, shmpages, vmguarpages, oomguarpages, numtcpsock, numflock, numpty,
		numsiginfo, tcpsndbuf, tcprcvbuf, othersockbuf, dgramrcvbuf, numothersock, dcachesize, numfile, numiptent,
		avnumproc;
};

#define ROW(n, v, h) { .name = #n, .offset = EXT_MEMBER(struct beancounters, n), .value = &(v), .flags = EXT_INERT, .help = h }

static const struct ext_row rows[] = {
	ROW(kmemsize, value_count, "Bytes of kernel memory"),
	ROW(lockedpages, value_pages, "Memory that may be locked"),
	ROW(privvmpages, value_pages, "Private memory that may be allocated"),
	ROW(shmpages, value_pages, "Shared memory"),
	ROW(vmguarpages, value_pages, "Memory whose allocation is guaranteed"),
	ROW(oomguarpages, value_pages, "Memory that the OOM killer respects"),
	ROW(numtcpsock, value_count, "TCP sockets"),
	ROW(numflock, value_count, "File locks"),
	ROW(numpty, value_count, "Pseudo-terminals"),
	ROW(numsiginfo, value_count, "Queued signals"),
	ROW(tcpsndbuf, value_count, "Bytes of TCP send buffers"),
	ROW(tcprcvbuf, value_count, "Bytes of TCP receive buffers"),
	ROW(othersockbuf, value_count, "Bytes of other sockets' buffers"),
	ROW(dgramrcvbuf, value_count, "Bytes of datagram receive buffers"),
	ROW(numothersock, value_count, "Sockets that are not TCP"),
	ROW(dcachesize, value_count, "Bytes of the directory cache"),
	ROW(numfile, value_count, "Open files"),
	ROW(numiptent, value_count, "Netfilter entries"),
	ROW(avnumproc, value_count, "Average number of processes"),
	EXT_ROWS_END,
};

const struct ext ext_beancounters = {
	.name = "beancounters",
	.rows = rows,
	.config_size = sizeof(struct beancounters),
};
