/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The container's document, config.json of runtime-spec 1.3.0, as plain structs; also the process document of
 * `exec` (struct oci_process) and the resources of `update` (struct oci_resources).
 *
 * Everything lives in the arena that decode() was given.  An absent string is NULL; an absent scalar has
 * .set == false: unset, 0 and -1 stay distinct (memory.swap, cpu.quota).  An absent object is NULL.  Lists are
 * {v, n}; a list of strings is also NULL-terminated.  Words of the document become the kernel's numbers while
 * decoding (oci/names.h): a namespace type is its CLONE_NEW* flag, a signal its number.
 *
 * Sections for other platforms (windows, solaris, zos, freebsd, vm) are ignored, as the spec says. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#undef linux /* gnu17 predefines it as 1; here it is the member that the spec calls so */

struct opt_i64 {
	int64_t v;
	bool set;
};

struct opt_u64 {
	uint64_t v;
	bool set;
};

struct opt_bool {
	bool v;
	bool set;
};

struct oci_strs {
	const char **v; /* NULL-terminated; NULL when absent */
	size_t n;
};

struct oci_u32s {
	uint32_t *v;
	size_t n;
};

struct oci_pair {
	const char *key, *value;
};

struct oci_map { /* object of strings, in the document's order; of equal keys the last one wins */
	struct oci_pair *v;
	size_t n;
};

struct oci_ints { /* words turned into numbers */
	int64_t *v;
	size_t n;
};

/* ---- process ---- */

struct oci_console_size {
	uint64_t height, width;
};

struct oci_user {
	uint32_t uid, gid;
	struct opt_u64 umask;
	struct oci_u32s additional_gids;
	const char *username; /* for Windows; ignored */
};

/* A set of capabilities as the document names it.  Bit N of `mask` is capability N; names that this build does
 * not know are kept in `unknown` for the warning. */
struct oci_caps_set {
	uint64_t mask;
	bool set;
	struct oci_strs unknown;
};

struct oci_capabilities {
	struct oci_caps_set bounding, effective, inheritable, permitted, ambient;
};

struct oci_rlimit {
	int64_t type; /* RLIMIT_* */
	uint64_t soft, hard; /* all ones: unlimited */
};

struct oci_rlimits {
	struct oci_rlimit *v;
	size_t n;
};

struct oci_scheduler {
	int64_t policy; /* SCHED_* */
	struct opt_i64 nice, priority;
	struct oci_ints flags; /* SCHED_FLAG_* */
	struct opt_u64 runtime, deadline, period; /* ns */
};

struct oci_io_priority {
	int64_t class; /* IOPRIO_CLASS_* */
	struct opt_i64 priority;
};

struct oci_exec_cpu_affinity {
	const char *initial, *final; /* CPU lists: "0-3,8" */
};

struct oci_process {
	struct opt_bool terminal;
	struct oci_console_size *console_size;
	struct oci_user user;
	struct oci_strs args;
	const char *command_line; /* for Windows; ignored */
	struct oci_strs env;
	const char *cwd;
	struct oci_capabilities *capabilities;
	struct oci_rlimits rlimits;
	struct opt_bool no_new_privileges;
	const char *apparmor_profile;
	struct opt_i64 oom_score_adj;
	const char *selinux_label;
	struct oci_scheduler *scheduler;
	struct oci_io_priority *io_priority;
	struct oci_exec_cpu_affinity *exec_cpu_affinity;
};

/* ---- root, mounts, hooks ---- */

struct oci_root {
	const char *path;
	struct opt_bool readonly;
};

struct oci_idmap {
	uint32_t container_id, host_id, size;
};

struct oci_idmaps {
	struct oci_idmap *v;
	size_t n;
};

struct oci_mount {
	const char *destination, *type, *source;
	struct oci_strs options;
	struct oci_idmaps uid_mappings, gid_mappings;
};

struct oci_mounts {
	struct oci_mount *v;
	size_t n;
};

struct oci_hook {
	const char *path;
	struct oci_strs args, env; /* env.v NULL: absent (differs from an empty list) */
	struct opt_i64 timeout;    /* seconds */
};

struct oci_hook_list {
	struct oci_hook *v;
	size_t n;
};

struct oci_hooks {
	struct oci_hook_list prestart, create_runtime, create_container, start_container, poststart, poststop;
};

/* ---- linux ---- */

struct oci_namespace {
	int64_t type; /* CLONE_NEW* */
	const char *path;
};

struct oci_namespaces {
	struct oci_namespace *v;
	size_t n;
};

struct oci_time_offset {
	int64_t secs;
	uint32_t nanosecs;
};

struct oci_time_offsets {
	struct oci_time_offset *boottime, *monotonic;
};

struct oci_device {
	const char *path;
	int64_t type; /* 'c', 'b', 'p'; "u" is decoded as 'c' */
	struct opt_i64 major, minor;
	struct opt_u64 file_mode, uid, gid;
};

struct oci_devices {
	struct oci_device *v;
	size_t n;
};

struct oci_net_device {
	const char *host_name; /* the key */
	const char *name;      /* inside; NULL: the same */
};

struct oci_net_devices {
	struct oci_net_device *v;
	size_t n;
};

struct oci_device_rule { /* linux.resources.devices */
	bool allow;
	int64_t type;                /* 'a', 'b', 'c'; absent: 'a' */
	struct opt_i64 major, minor; /* unset or -1: any */
	const char *access;          /* letters of "rwm"; NULL: all */
};

struct oci_device_rules {
	struct oci_device_rule *v;
	size_t n;
};

struct oci_memory {
	struct opt_i64 limit, reservation, swap, kernel, kernel_tcp;
	struct opt_u64 swappiness;
	struct opt_bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct oci_cpu {
	struct opt_u64 shares, period, burst, realtime_period;
	struct opt_i64 quota, realtime_runtime, idle;
	const char *cpus, *mems;
};

struct oci_pids {
	struct opt_i64 limit;
};

struct oci_weight_device {
	int64_t major, minor;
	struct opt_u64 weight, leaf_weight;
};

struct oci_weight_devices {
	struct oci_weight_device *v;
	size_t n;
};

struct oci_throttle {
	int64_t major, minor;
	uint64_t rate;
};

struct oci_throttles {
	struct oci_throttle *v;
	size_t n;
};

struct oci_block_io {
	struct opt_u64 weight, leaf_weight;
	struct oci_weight_devices weight_device;
	struct oci_throttles throttle_read_bps, throttle_write_bps, throttle_read_iops, throttle_write_iops;
};

struct oci_hugepage_limit {
	const char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_hugepage_limits {
	struct oci_hugepage_limit *v;
	size_t n;
};

struct oci_if_prio {
	const char *name;
	uint32_t priority;
};

struct oci_if_prios {
	struct oci_if_prio *v;
	size_t n;
};

struct oci_network {
	struct opt_u64 class_id;
	struct oci_if_prios priorities;
};

struct oci_rdma {
	const char *device; /* the key */
	struct opt_u64 hca_handles, hca_objects;
};

struct oci_rdmas {
	struct oci_rdma *v;
	size_t n;
};

struct oci_resources {
	struct oci_device_rules devices;
	struct oci_memory *memory;
	struct oci_cpu *cpu;
	struct oci_pids *pids;
	struct oci_block_io *block_io;
	struct oci_hugepage_limits hugepage_limits;
	struct oci_network *network;
	struct oci_rdmas rdma;
	struct oci_map unified;
};

struct oci_seccomp_arg {
	uint32_t index;
	uint64_t value;
	struct opt_u64 value_two;
	int64_t op; /* enum scmp_compare's numbers, from oci/names.h */
};

struct oci_seccomp_args {
	struct oci_seccomp_arg *v;
	size_t n;
};

struct oci_seccomp_rule {
	struct oci_strs names;
	int64_t action; /* enum oci_seccomp_action */
	struct opt_u64 errno_ret;
	struct oci_seccomp_args args;
};

struct oci_seccomp_rules {
	struct oci_seccomp_rule *v;
	size_t n;
};

enum oci_seccomp_action {
	OCI_ACT_KILL_THREAD, /* SCMP_ACT_KILL is the same */
	OCI_ACT_KILL_PROCESS,
	OCI_ACT_TRAP,
	OCI_ACT_ERRNO,
	OCI_ACT_TRACE,
	OCI_ACT_ALLOW,
	OCI_ACT_LOG,
	OCI_ACT_NOTIFY,
};

enum oci_seccomp_op { OCI_CMP_NE, OCI_CMP_LT, OCI_CMP_LE, OCI_CMP_EQ, OCI_CMP_GE, OCI_CMP_GT, OCI_CMP_MASKED_EQ };

struct oci_seccomp {
	int64_t default_action; /* enum oci_seccomp_action */
	struct opt_u64 default_errno_ret;
	struct oci_strs architectures; /* "SCMP_ARCH_X86_64", checked against oci/names.h */
	struct oci_ints flags;         /* SECCOMP_FILTER_FLAG_* */
	bool flags_set;                /* "flags" was there, maybe empty */
	const char *listener_path, *listener_metadata;
	struct oci_seccomp_rules syscalls;
};

struct oci_intel_rdt {
	const char *clos_id;
	struct oci_strs schemata;
	const char *l3_cache_schema, *mem_bw_schema;
	struct opt_bool enable_monitoring;
};

struct oci_memory_policy {
	int64_t mode; /* MPOL_* */
	const char *nodes;
	struct oci_ints flags; /* MPOL_F_* */
};

struct oci_personality {
	int64_t domain; /* PER_LINUX, PER_LINUX32 */
	struct oci_strs flags; /* the spec defines none: any is an error */
};

struct oci_linux {
	struct oci_namespaces namespaces;
	struct oci_idmaps uid_mappings, gid_mappings;
	struct oci_time_offsets *time_offsets;
	struct oci_devices devices;
	struct oci_net_devices net_devices;
	const char *cgroups_path;
	struct oci_resources *resources;
	struct oci_seccomp *seccomp;
	const char *rootfs_propagation;
	struct oci_map sysctl;
	struct oci_strs masked_paths, readonly_paths;
	const char *mount_label;
	struct oci_intel_rdt *intel_rdt;
	struct oci_memory_policy *memory_policy;
	struct oci_personality *personality;
};

struct oci_spec {
	const char *oci_version;
	struct oci_root *root;
	struct oci_mounts mounts;
	struct oci_process *process; /* NULL: `start` is an error */
	const char *hostname, *domainname;
	struct oci_hooks *hooks;
	struct oci_map annotations;
	struct oci_linux *linux;
};

/* The namespace of that type, or NULL when the container shares the caller's. */
const struct oci_namespace *oci_namespace(const struct oci_spec *spec, int64_t type);
/* A new one is made: listed and without a path. */
bool oci_namespace_new(const struct oci_spec *spec, int64_t type);
const char *oci_annotation(const struct oci_spec *spec, const char *key);
