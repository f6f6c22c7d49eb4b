#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# bundle.sh [-t] DIR [ARG...]: makes an OCI bundle in DIR from Debian's busybox-static: a root filesystem and a config.json as
# an engine would write it, with memory, pids and cpu limits.  ARGs are the process (default: sh); -t gives it a terminal.
set -eu
terminal=false
if [ "${1:-}" = -t ]; then terminal=true; shift; fi
if [ $# -lt 1 ]; then
	echo "usage: bundle.sh [-t] DIR [ARG...]" >&2
	exit 2
fi
dir=$1
shift
[ $# -gt 0 ] || set -- sh

busybox=$(command -v busybox) || { echo "bundle.sh: no busybox: apt-get install busybox-static" >&2; exit 1; }
root=$dir/rootfs
mkdir -p "$root/bin" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/root" "$root/tmp" "$root/run" "$root/var" \
	"$root/home/user" "$root/usr/bin"
chmod 1777 "$root/tmp"
cp "$busybox" "$root/bin/busybox"
(cd "$root/bin" && ./busybox --install . 2>/dev/null) || { echo "bundle.sh: $busybox cannot install its links" >&2; exit 1; }
if [ ! -e "$root/bin/sh" ] || ! "$root/bin/busybox" true; then
	echo "bundle.sh: $busybox does not work" >&2
	exit 1
fi
cat >"$root/etc/passwd" <<P
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
user:x:1000:1000:user:/home/user:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
P
cat >"$root/etc/group" <<P
root:x:0:
daemon:x:1:
staff:x:50:user
user:x:1000:
nogroup:x:65534:
P
echo 127.0.0.1 localhost >"$root/etc/hosts"

args=
for a in "$@"; do
	q=$(printf '%s' "$a" | sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g' | sed ':a;N;$!ba;s/\n/\\n/g')
	args="$args${args:+, }\"$q\""
done
caps='"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
				"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"'
cat >"$dir/config.json" <<J
{
	"ociVersion": "1.0.2",
	"process": {
		"terminal": $terminal,
		"user": { "uid": 0, "gid": 0 },
		"args": [$args],
		"env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "HOME=/root"],
		"cwd": "/",
		"capabilities": {
			"bounding": [$caps],
			"effective": [$caps],
			"permitted": [$caps]
		},
		"rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
		"noNewPrivileges": true
	},
	"root": { "path": "rootfs", "readonly": false },
	"hostname": "first-container",
	"mounts": [
		{ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
		{ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
		{ "destination": "/dev/pts", "type": "devpts", "source": "devpts",
		  "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
		{ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
		{ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"] },
		{ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
		{ "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
		  "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] }
	],
	"linux": {
		"resources": {
			"devices": [{ "allow": false, "access": "rwm" }],
			"memory": { "limit": 67108864 },
			"cpu": { "shares": 512 },
			"pids": { "limit": 64 }
		},
		"namespaces": [
			{ "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" }
		],
		"maskedPaths": [
			"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
			"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"
		],
		"readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
	}
}
J
