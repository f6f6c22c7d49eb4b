// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/defaults.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>

#include "oci/decode.h"
#include "oci/emit.h"

#define TEXTS(...) { .v = (const char *[]){ __VA_ARGS__, NULL }, \
		     .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define FS(at, kind, from, ...) { .destination = at, .type = kind, .source = from, .options = TEXTS(__VA_ARGS__) }

enum { MOUNT_PTS = 2, MOUNT_SYS = 5 };

static void set_caps(struct oci_capabilities *caps)
{
	const struct oci_caps_set few = {
		.mask = 1ULL << CAP_AUDIT_WRITE | 1ULL << CAP_KILL | 1ULL << CAP_NET_BIND_SERVICE,
		.set = true,
	};

	*caps = (struct oci_capabilities){ .bounding = few, .effective = few, .permitted = few };
}

/* devpts: group 5 has no place in a map of one id.  sysfs: only who owns the network namespace may mount it. */
static void make_rootless(struct oci_mount *mounts)
{
	static const char *pts[] = { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", NULL };
	static const char *sys[] = { "rbind", "nosuid", "noexec", "nodev", "ro", NULL };

	mounts[MOUNT_PTS].options = (struct oci_strs){ pts, 5 };
	mounts[MOUNT_SYS] = (struct oci_mount){
		.destination = "/sys", .type = "none", .source = "/sys", .options = { sys, 5 },
	};
}

static int print(const struct oci_spec *spec, struct str *ret)
{
	struct emit out = { .out = ret, .tabs = true };

	decode_emit(&oci_spec_type, spec, &out);
	str_addc(ret, '\n');
	return str_failed(ret) ? -ENOMEM : 0;
}

int defaults_spec(bool rootless, uint32_t uid, uint32_t gid, struct str *ret)
{
	struct oci_mount mounts[] = {
		{ .destination = "/proc", .type = "proc", .source = "proc" },
		FS("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
		FS("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
		FS("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
		FS("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
		FS("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
		FS("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
	};
	struct oci_namespace namespaces[] = {
		{ .type = CLONE_NEWPID }, { .type = CLONE_NEWIPC }, { .type = CLONE_NEWUTS }, { .type = CLONE_NEWNS },
		{ .type = rootless ? CLONE_NEWUSER : CLONE_NEWNET },
	};
	struct oci_idmap uid_map = { .host_id = uid, .size = 1 }, gid_map = { .host_id = gid, .size = 1 };
	struct oci_rlimit nofile = { .type = RLIMIT_NOFILE, .soft = 1024, .hard = 1024 };
	struct oci_device_rule deny = { .type = 'a', .access = "rwm" };
	struct oci_resources resources = { .devices = { &deny, 1 } };
	struct oci_capabilities caps;
	struct oci_process process = {
		.terminal = { .v = true, .set = true },
		.args = TEXTS("sh"),
		.env = TEXTS("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"),
		.cwd = "/",
		.capabilities = &caps,
		.rlimits = { &nofile, 1 },
		.no_new_privileges = { .v = true, .set = true },
	};
	struct oci_root root = { .path = "rootfs", .readonly = { .v = true, .set = true } };
	struct oci_linux on_linux = {
		.namespaces = { namespaces, ARRAY_SIZE(namespaces) },
		.masked_paths = TEXTS("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
				      "/proc/scsi"),
		.readonly_paths = TEXTS("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
		.resources = rootless ? NULL : &resources,
	};
	const struct oci_spec spec = {
		.oci_version = OCI_VERSION, .root = &root, .mounts = { mounts, ARRAY_SIZE(mounts) },
		.process = &process, .hostname = "vzrun", .linux = &on_linux,
	};

	set_caps(&caps);
	if (rootless) {
		make_rootless(mounts);
		on_linux.uid_mappings = (struct oci_idmaps){ &uid_map, 1 };
		on_linux.gid_mappings = (struct oci_idmaps){ &gid_map, 1 };
	}
	return print(&spec, ret);
}
