// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/names.h"
#include "oci/rows.h"
#include "oci/tables.h"

static const struct oci_field oci_namespace_fields[] = {
	WORD(struct oci_namespace, type, "type", &names_namespaces, .flags = OCI_REQ),
	STR(struct oci_namespace, path, "path"),
	ROW_END
};
static TABLE(oci_namespace);

static const struct oci_field oci_time_offset_fields[] = {
	I64(struct oci_time_offset, secs, "secs"),
	U32(struct oci_time_offset, nanosecs, "nanosecs"),
	ROW_END
};
static TABLE(oci_time_offset);

static const struct oci_field oci_time_offsets_fields[] = {
	PTR(struct oci_time_offsets, boottime, "boottime", oci_time_offset),
	PTR(struct oci_time_offsets, monotonic, "monotonic", oci_time_offset),
	ROW_END
};
static TABLE(oci_time_offsets);

/* fileMode is whatever Go's os.FileMode is in the engine's hands: file type bits may be there and are ignored. */
static const struct oci_field oci_device_fields[] = {
	STR(struct oci_device, path, "path", .flags = OCI_REQ),
	WORD(struct oci_device, type, "type", &names_device_types, .flags = OCI_REQ),
	OPT_I64(struct oci_device, major, "major"),
	OPT_I64(struct oci_device, minor, "minor"),
	OPT_U64(struct oci_device, file_mode, "fileMode", NUMBERS(0, UINT32_MAX)),
	OPT_U64(struct oci_device, uid, "uid", NUMBERS(0, UINT32_MAX)),
	OPT_U64(struct oci_device, gid, "gid", NUMBERS(0, UINT32_MAX)),
	ROW_END
};
static TABLE(oci_device);

static const struct oci_field oci_net_device_fields[] = {
	STR(struct oci_net_device, host_name, "", .flags = OCI_KEY),
	STR(struct oci_net_device, name, "name"),
	ROW_END
};
static TABLE(oci_net_device);

static const struct oci_field oci_intel_rdt_fields[] = {
	STR(struct oci_intel_rdt, clos_id, "closID"),
	STRS(struct oci_intel_rdt, schemata, "schemata"),
	STR(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema"),
	STR(struct oci_intel_rdt, mem_bw_schema, "memBwSchema"),
	OPT_BOOL(struct oci_intel_rdt, enable_monitoring, "enableMonitoring"),
	ROW_END
};
static TABLE(oci_intel_rdt);

static const struct oci_field oci_memory_policy_fields[] = {
	WORD(struct oci_memory_policy, mode, "mode", &names_mpol_modes, .flags = OCI_REQ),
	STR(struct oci_memory_policy, nodes, "nodes"),
	WORDS(struct oci_memory_policy, flags, "flags", &names_mpol_flags),
	ROW_END
};
static TABLE(oci_memory_policy);

static const struct oci_field oci_personality_fields[] = {
	WORD(struct oci_personality, domain, "domain", &names_personalities, .flags = OCI_REQ),
	STRS(struct oci_personality, flags, "flags"),
	ROW_END
};
static TABLE(oci_personality);

static const struct oci_field oci_linux_fields[] = {
	LIST(struct oci_linux, uid_mappings, "uidMappings", oci_idmap),
	LIST(struct oci_linux, gid_mappings, "gidMappings", oci_idmap),
	MAP(struct oci_linux, sysctl, "sysctl"),
	PTR(struct oci_linux, resources, "resources", oci_resources),
	STR(struct oci_linux, cgroups_path, "cgroupsPath"),
	LIST(struct oci_linux, namespaces, "namespaces", oci_namespace),
	LIST(struct oci_linux, devices, "devices", oci_device),
	KEYED(struct oci_linux, net_devices, "netDevices", oci_net_device),
	PTR(struct oci_linux, seccomp, "seccomp", oci_seccomp),
	STR(struct oci_linux, rootfs_propagation, "rootfsPropagation"),
	STRS(struct oci_linux, masked_paths, "maskedPaths"),
	STRS(struct oci_linux, readonly_paths, "readonlyPaths"),
	STR(struct oci_linux, mount_label, "mountLabel"),
	PTR(struct oci_linux, intel_rdt, "intelRdt", oci_intel_rdt),
	PTR(struct oci_linux, memory_policy, "memoryPolicy", oci_memory_policy),
	PTR(struct oci_linux, personality, "personality", oci_personality),
	PTR(struct oci_linux, time_offsets, "timeOffsets", oci_time_offsets),
	ROW_END
};
TABLE(oci_linux);
