// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/names.h"
#include "oci/rows.h"
#include "oci/tables.h"

static const struct oci_field oci_device_rule_fields[] = {
	BOOL(struct oci_device_rule, allow, "allow", .flags = OCI_REQ),
	WORD(struct oci_device_rule, type, "type", &names_rule_types, .flags = OCI_DEFAULT, .min = 'a'),
	OPT_I64(struct oci_device_rule, major, "major"),
	OPT_I64(struct oci_device_rule, minor, "minor"),
	STR(struct oci_device_rule, access, "access"),
	ROW_END
};
static TABLE(oci_device_rule);

static const struct oci_field oci_memory_fields[] = {
	OPT_I64(struct oci_memory, limit, "limit"),
	OPT_I64(struct oci_memory, reservation, "reservation"),
	OPT_I64(struct oci_memory, swap, "swap"),
	OPT_I64(struct oci_memory, kernel, "kernel"),
	OPT_I64(struct oci_memory, kernel_tcp, "kernelTCP"),
	OPT_U64(struct oci_memory, swappiness, "swappiness"),
	OPT_BOOL(struct oci_memory, disable_oom_killer, "disableOOMKiller"),
	OPT_BOOL(struct oci_memory, use_hierarchy, "useHierarchy"),
	OPT_BOOL(struct oci_memory, check_before_update, "checkBeforeUpdate"),
	ROW_END
};
static TABLE(oci_memory);

static const struct oci_field oci_cpu_fields[] = {
	OPT_U64(struct oci_cpu, shares, "shares"),
	OPT_I64(struct oci_cpu, quota, "quota"),
	OPT_U64(struct oci_cpu, burst, "burst"),
	OPT_U64(struct oci_cpu, period, "period"),
	OPT_I64(struct oci_cpu, realtime_runtime, "realtimeRuntime"),
	OPT_U64(struct oci_cpu, realtime_period, "realtimePeriod"),
	STR(struct oci_cpu, cpus, "cpus"),
	STR(struct oci_cpu, mems, "mems"),
	OPT_I64(struct oci_cpu, idle, "idle"),
	ROW_END
};
static TABLE(oci_cpu);

static const struct oci_field oci_pids_fields[] = {
	OPT_I64(struct oci_pids, limit, "limit", .flags = OCI_REQ),
	ROW_END
};
static TABLE(oci_pids);

static const struct oci_field oci_weight_device_fields[] = {
	I64(struct oci_weight_device, major, "major", .flags = OCI_REQ),
	I64(struct oci_weight_device, minor, "minor", .flags = OCI_REQ),
	OPT_U64(struct oci_weight_device, weight, "weight", NUMBERS(0, UINT16_MAX)),
	OPT_U64(struct oci_weight_device, leaf_weight, "leafWeight", NUMBERS(0, UINT16_MAX)),
	ROW_END
};
static TABLE(oci_weight_device);

static const struct oci_field oci_throttle_fields[] = {
	I64(struct oci_throttle, major, "major", .flags = OCI_REQ),
	I64(struct oci_throttle, minor, "minor", .flags = OCI_REQ),
	U64(struct oci_throttle, rate, "rate"),
	ROW_END
};
static TABLE(oci_throttle);

static const struct oci_field oci_block_io_fields[] = {
	OPT_U64(struct oci_block_io, weight, "weight", NUMBERS(0, UINT16_MAX)),
	OPT_U64(struct oci_block_io, leaf_weight, "leafWeight", NUMBERS(0, UINT16_MAX)),
	LIST(struct oci_block_io, weight_device, "weightDevice", oci_weight_device),
	LIST(struct oci_block_io, throttle_read_bps, "throttleReadBpsDevice", oci_throttle),
	LIST(struct oci_block_io, throttle_write_bps, "throttleWriteBpsDevice", oci_throttle),
	LIST(struct oci_block_io, throttle_read_iops, "throttleReadIOPSDevice", oci_throttle),
	LIST(struct oci_block_io, throttle_write_iops, "throttleWriteIOPSDevice", oci_throttle),
	ROW_END
};
static TABLE(oci_block_io);

static const struct oci_field oci_hugepage_limit_fields[] = {
	STR(struct oci_hugepage_limit, page_size, "pageSize", .flags = OCI_REQ),
	U64(struct oci_hugepage_limit, limit, "limit", .flags = OCI_REQ),
	ROW_END
};
static TABLE(oci_hugepage_limit);

static const struct oci_field oci_if_prio_fields[] = {
	STR(struct oci_if_prio, name, "name", .flags = OCI_REQ),
	U32(struct oci_if_prio, priority, "priority", .flags = OCI_REQ),
	ROW_END
};
static TABLE(oci_if_prio);

static const struct oci_field oci_network_fields[] = {
	OPT_U64(struct oci_network, class_id, "classID", NUMBERS(0, UINT32_MAX)),
	LIST(struct oci_network, priorities, "priorities", oci_if_prio),
	ROW_END
};
static TABLE(oci_network);

static const struct oci_field oci_rdma_fields[] = {
	STR(struct oci_rdma, device, "", .flags = OCI_KEY),
	OPT_U64(struct oci_rdma, hca_handles, "hcaHandles", NUMBERS(0, UINT32_MAX)),
	OPT_U64(struct oci_rdma, hca_objects, "hcaObjects", NUMBERS(0, UINT32_MAX)),
	ROW_END
};
static TABLE(oci_rdma);

static const struct oci_field oci_resources_fields[] = {
	LIST(struct oci_resources, devices, "devices", oci_device_rule),
	PTR(struct oci_resources, memory, "memory", oci_memory),
	PTR(struct oci_resources, cpu, "cpu", oci_cpu),
	PTR(struct oci_resources, pids, "pids", oci_pids),
	PTR(struct oci_resources, block_io, "blockIO", oci_block_io),
	LIST(struct oci_resources, hugepage_limits, "hugepageLimits", oci_hugepage_limit),
	PTR(struct oci_resources, network, "network", oci_network),
	KEYED(struct oci_resources, rdma, "rdma", oci_rdma),
	MAP(struct oci_resources, unified, "unified"),
	ROW_END
};
TABLE(oci_resources);
