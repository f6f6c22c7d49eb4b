// SPDX-License-Identifier: LGPL-2.1-or-later

/* update: options or a document -> the changes of linux.resources. */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "oci/check.h"
#include "runtime/base/fs.h"
#include "runtime/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/container.h"

/* Room for every object that an option may set. */
struct changes {
	struct oci_resources resources;
	struct oci_memory memory;
	struct oci_cpu cpu;
	struct oci_pids pids;
	struct oci_block_io block_io;
	struct oci_intel_rdt rdt;
	bool has_rdt;
};

enum number { NUM_SIGNED, NUM_UNSIGNED, NUM_SIZE };

static int set_number(const char *option, const char *text, enum number kind, void *member, struct err *e)
{
	struct opt_i64 *s = member;
	struct opt_u64 *u = member;
	int r = 0;

	if (!text)
		return 0;
	switch (kind) {
	case NUM_SIGNED:
		r = num_i64(text, &s->v);
		break;
	case NUM_UNSIGNED:
		r = num_u64(text, &u->v);
		break;
	case NUM_SIZE:
		r = num_size(text, &s->v);
		break;
	}
	if (r < 0)
		return err_set(e, ERR_USAGE, 0, "--%s: invalid value \"%s\"%s", option, text,
			       r == -ERANGE ? ": out of range" : "");
	if (kind == NUM_UNSIGNED)
		u->set = true;
	else
		s->set = true;
	return 0;
}

static int from_options(const struct cli *c, struct changes *ch, struct err *e)
{
	const struct {
		const char *option, *text;
		enum number kind;
		void *member;
	} rows[] = {
		{ "blkio-weight", c->blkio_weight, NUM_UNSIGNED, &ch->block_io.weight },
		{ "cpu-period", c->cpu_period, NUM_UNSIGNED, &ch->cpu.period },
		{ "cpu-quota", c->cpu_quota, NUM_SIGNED, &ch->cpu.quota },
		{ "cpu-burst", c->cpu_burst, NUM_UNSIGNED, &ch->cpu.burst },
		{ "cpu-share", c->cpu_shares, NUM_UNSIGNED, &ch->cpu.shares },
		{ "cpu-rt-period", c->cpu_rt_period, NUM_UNSIGNED, &ch->cpu.realtime_period },
		{ "cpu-rt-runtime", c->cpu_rt_runtime, NUM_SIGNED, &ch->cpu.realtime_runtime },
		{ "cpu-idle", c->cpu_idle, NUM_SIGNED, &ch->cpu.idle },
		{ "memory", c->memory, NUM_SIZE, &ch->memory.limit },
		{ "memory-reservation", c->memory_reservation, NUM_SIZE, &ch->memory.reservation },
		{ "memory-swap", c->memory_swap, NUM_SIZE, &ch->memory.swap },
		{ "pids-limit", c->pids_limit, NUM_SIGNED, &ch->pids.limit },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = set_number(rows[i].option, rows[i].text, rows[i].kind, rows[i].member, e);

		if (r < 0)
			return r;
	}
	ch->cpu.cpus = c->cpuset_cpus;
	ch->cpu.mems = c->cpuset_mems;
	ch->resources.memory = &ch->memory;
	ch->resources.cpu = &ch->cpu;
	ch->resources.pids = &ch->pids;
	ch->resources.block_io = &ch->block_io;
	if (c->kernel_memory || c->kernel_memory_tcp)
		log_warn("--kernel-memory and --kernel-memory-tcp are ignored: the kernel has them no more");
	return 0;
}

static int from_document(struct cli *c, struct changes *ch, struct err *e)
{
	bool standard_input = strcmp(c->resources, "-") == 0;
	const char *what = standard_input ? "standard input" : c->resources;
	cleanup_str struct str text = { 0 };
	int r;

	if (standard_input)
		r = fs_read_fd(STDIN_FILENO, OCI_DOCUMENT_MAX, what, &text, e);
	else
		r = fs_read(AT_FDCWD, c->resources, OCI_DOCUMENT_MAX, &text, e);
	return r < 0 ? r : oci_resources_parse(text.s, text.len, what, &ch->resources, &c->arena, e);
}

static int run_update(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	struct changes *ch = arena_new(&c->arena, struct changes);
	int r;

	if (!ch)
		return err_oom(e);
	r = store_check_id(c->args.v[0], e);
	if (r == 0)
		r = c->resources ? from_document(c, ch, e) : from_options(c, ch, e);
	ch->rdt.l3_cache_schema = c->l3_cache_schema;
	ch->rdt.mem_bw_schema = c->mem_bw_schema;
	ch->has_rdt = c->l3_cache_schema || c->mem_bw_schema;
	if (r == 0)
		r = container_open(c->root, c->args.v[0], STORE_WAIT, &box, e);
	return r < 0 ? r : container_update(&box, &ch->resources, ch->has_rdt ? &ch->rdt : NULL, e);
}

const struct command cmd_update = {
	"update", CMD_UPDATE, "ID", "change the limits of a container", 1, 1, false, run_update,
};
