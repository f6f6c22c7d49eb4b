#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# org.openvz.proc, capability, features and hostname: by annotation and by set.
#
# lxcfs runs in a mount namespace of the test, and so does vzrun: the host's /var/lib/lxcfs is never touched.

load ../lib/helpers

setup() {
	vz_setup || return
	needs_root
	config_set '.linux.resources = {} | del(.hostname)'
}

teardown() {
	[[ -z ${LXCFS:-} ]] || kill -KILL "$LXCFS" 2>/dev/null || true
	[[ -z ${HOLDER:-} ]] || kill -KILL "$HOLDER" 2>/dev/null || true
	vz_teardown
}

# annotations KEY VALUE...: below org.openvz.
annotations() {
	while (($#)); do
		config_set --arg k "org.openvz.$1" --arg v "$2" '.annotations[$k] = $v'
		shift 2
	done
}

inside() { ok exec "$ID" sh -c "$1"; }
inside_is() { inside "$1" && assert_eq "$1: $output" "$1: $2"; }

refused() {
	fails "$1" create --bundle "$BUNDLE" "$ID" || return
	[[ ! -e $ROOT/$ID ]] || { echo "a record is left"; return 1; }
}

in_holder() { nsenter -t "$HOLDER" -m "$@"; }

# A mount namespace in which vzrun runs from here on; nothing lies on its /var/lib/lxcfs.
private_mounts() {
	[[ -d /var/lib/lxcfs ]] || skip "no command lxcfs"
	env -u VZRUN_TEST_ID unshare -m --propagation private sleep 600 3>&- 4>&- </dev/null >/dev/null 2>&1 &
	HOLDER=$!
	wait_until unshared
	in_holder umount -l /var/lib/lxcfs 2>/dev/null || true
	VZRUN_REAL=$VZRUN
	printf '%s\n' '#!/bin/sh' "exec nsenter -t $HOLDER -m '$VZRUN_REAL' \"\$@\"" >"$T/vzrun-private"
	chmod 755 "$T/vzrun-private"
	VZRUN=$T/vzrun-private
}
unshared() { [[ $(readlink "/proc/$HOLDER/ns/mnt") != "$(readlink /proc/self/ns/mnt)" && $(<"/proc/$HOLDER/comm") == sleep ]]; }

start_lxcfs() {
	needs_command lxcfs
	[[ -c /dev/fuse ]] || skip "no FUSE here"
	[[ -n ${HOLDER:-} ]] || private_mounts
	env -u VZRUN_TEST_ID nsenter -t "$HOLDER" -m timeout -s KILL 300 lxcfs -f -l -p "$T/lxcfs.pid" /var/lib/lxcfs 3>&- 4>&- </dev/null >"$T/lxcfs.log" 2>&1 &
	wait_until in_holder test -e /var/lib/lxcfs/proc/meminfo
	LXCFS=$(<"$T/lxcfs.pid")
}

# As when it crashed: its mounts are dead.
stop_lxcfs() {
	kill -KILL "$LXCFS"
	wait_until eval '! kill -0 "$LXCFS"'
	in_holder umount -l /var/lib/lxcfs
	rm -f "$T/lxcfs.pid"
	LXCFS=
}

# The host's procps: busybox asks the kernel (sysinfo) where they read /proc.
host_tools() {
	needs_command free nproc uptime top
	add_mount /usr none /usr rbind ro
	ln -sfn usr/lib "$BUNDLE/rootfs/lib"
	ln -sfn usr/lib64 "$BUNDLE/rootfs/lib64"
}

# MIB: what of the machine is seen inside.
sees() {
	inside_is "/usr/bin/free -m | awk '/^Mem/ { print \$2 }'" "$1"
	inside "/usr/bin/top -b -n 1 | grep 'MiB Mem'" && assert_match "$output" "*: * $1.0 total*"
	inside_is "/usr/bin/nproc" 1
	inside_is "cat /sys/devices/system/cpu/online" 0
	inside_is "grep -c ^processor /proc/cpuinfo" 1
	inside_is "grep -c '^cpu[0-9]' /proc/stat" 1
	inside_is "awk '{ print (\$1 < 100) }' /proc/uptime" 1
	inside "/usr/bin/uptime" && assert_match "$output" "* up [01] min*load average: 0.*"
	inside_is "cat /proc/swaps | wc -l" 1
}

lxcfs_mounts() { inside_is "grep -c ' fuse.lxcfs ' /proc/mounts || true" "$1"; }

# ---- proc ----

@test "proc on: free, nproc, uptime and top inside show the container's limits, after a restart of lxcfs too" {
	needs_controller cpuset
	needs_controller memory
	start_lxcfs
	host_tools
	annotations proc on cpumask 0 physpages 128M
	start_sleep
	sees 128
	lxcfs_mounts 8
	ok set "$ID" --physpages 64M
	sees 64
	stop_lxcfs
	run_vzrun exec "$ID" cat /proc/meminfo
	assert_match "$stderr" "*not connected*"
	fails "--proc: lxcfs is not running" set "$ID" --proc reattach
	start_lxcfs
	ok set --all --proc reattach
	sees 64
	lxcfs_mounts 8
	# What works stays as it is.
	ok set --all --proc reattach
	lxcfs_mounts 8
	assert_eq "$(jq -r '.annotations["org.openvz.proc"]' "$ROOT/$ID/state.json")" on
}

@test "proc on: after checkpoint and restore as well" {
	needs_criu
	start_lxcfs
	annotations proc on physpages 256m
	config_set '.process.args = ["sh", "-c", "while :; do sleep 1; done"]' # a sleep that is restored ends early
	ok run --detach --bundle "$BUNDLE" "$ID"
	inside_is "awk '/MemTotal/ { print \$2 }' /proc/meminfo" 262144
	inside 'cut -d. -f1 /proc/uptime'
	((output < 100))
	inside "cat /proc/sys/kernel/random/boot_id"
	local boot_id=$output
	ok checkpoint --image-path "$T/images" "$ID"
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	inside_is "awk '/MemTotal/ { print \$2 }' /proc/meminfo" 262144
	inside 'cut -d. -f1 /proc/uptime'
	((output < 100))
	# It has not booted again, and not at the second time either.
	inside_is "cat /proc/sys/kernel/random/boot_id" "$boot_id"
	ok checkpoint --image-path "$T/images2" "$ID"
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images2" "$ID"
	inside_is "cat /proc/sys/kernel/random/boot_id" "$boot_id"
	stop_lxcfs
	start_lxcfs
	ok set "$ID" --proc reattach
	inside_is "awk '/MemTotal/ { print \$2 }' /proc/meminfo" 262144
	lxcfs_mounts 8
	# What is no boot_id is not believed.
	ok checkpoint --image-path "$T/images3" "$ID"
	sed -i "s/$boot_id/..\/..\/etc/" "$T/images3/vzrun.json"
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images3" "$ID"
	inside "cat /proc/sys/kernel/random/boot_id"
	[[ $output =~ ^[0-9a-f-]{36}$ && $output != "$boot_id" ]]
}

@test "proc by set: off, on and auto on a living container" {
	start_lxcfs
	start_sleep
	lxcfs_mounts 0
	ok set "$ID" --proc on
	assert_match "$stderr" "*--proc: time namespace and boot_id come at creation only*"
	lxcfs_mounts 8
	ok set "$ID" --proc auto
	lxcfs_mounts 8
	ok set "$ID" --proc off
	lxcfs_mounts 0
	ok set "$ID" --proc reattach
	lxcfs_mounts 0
	ok set "$ID" --proc auto
	lxcfs_mounts 8
	stop_lxcfs
	# Dead ones go as well.
	ok set "$ID" --proc off
	lxcfs_mounts 0
	ok set "$ID" --proc auto
	lxcfs_mounts 0
	fails "--proc: lxcfs is not running" set "$ID" --proc on
	fails '--proc: "maybe": neither off, auto nor on' set "$ID" --proc maybe
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" </dev/null 3>&- 4>&- | jq -r .proc.value)" auto
}

@test "proc without lxcfs: auto begins uptime at zero and has a boot_id of its own, on is refused" {
	private_mounts
	annotations proc auto
	start_sleep
	inside_is "awk '{ print (\$1 < 100) }' /proc/uptime" 1
	inside "cat /proc/sys/kernel/random/boot_id"
	[[ $output =~ ^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$ ]]
	[[ $output != "$(</proc/sys/kernel/random/boot_id)" ]]
	first=$output
	inside_is "echo x >/proc/sys/kernel/random/boot_id || echo read-only" "read-only"
	lxcfs_mounts 0
	[[ $(readlink "/proc/$(pid_of "$ID")/ns/time") != "$(readlink /proc/self/ns/time)" ]]
	ok delete --force "$ID"
	start_sleep
	inside "cat /proc/sys/kernel/random/boot_id"
	[[ $output != "$first" ]]
	ok delete --force "$ID"
	annotations proc on
	refused "/annotations/org.openvz.proc: lxcfs is not running: nothing answers in /var/lib/lxcfs"
	annotations proc maybe
	refused '/annotations/org.openvz.proc: "maybe": neither off, auto nor on'
}

@test "proc off: the host's clocks and boot_id" {
	annotations proc off
	start_sleep
	inside_is "cat /proc/sys/kernel/random/boot_id" "$(</proc/sys/kernel/random/boot_id)"
	assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/time")" "$(readlink /proc/self/ns/time)"
	lxcfs_mounts 0
}

@test "proc: what the document mounts or says itself stays" {
	start_lxcfs
	echo mine >"$T/mine"
	add_mount /proc/meminfo bind "$T/mine" bind
	add_mount /proc/sys/kernel/random/boot_id bind "$T/mine" bind
	config_set '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000000}}'
	annotations proc on
	start_sleep
	inside_is "cat /proc/meminfo /proc/sys/kernel/random/boot_id" $'mine\nmine'
	lxcfs_mounts 7
	ok set "$ID" --proc off
	inside_is "awk '{ print (\$1 >= 1000000) }' /proc/uptime" 1
	inside_is "cat /proc/meminfo" mine
	ok set "$ID" --proc on
	inside_is "cat /proc/meminfo" mine
	lxcfs_mounts 7
	ok delete --force "$ID"
	# lxcfs' own file as well.
	config_set 'del(.annotations) | .mounts |= map(if .destination == "/proc/meminfo" then .source = "/var/lib/lxcfs/proc/meminfo" else . end)'
	start_sleep
	lxcfs_mounts 1
	ok set "$ID" --proc on
	lxcfs_mounts 8
	ok set "$ID" --proc off
	lxcfs_mounts 1
}

@test "proc: only the files without /proc or with processes only in it" {
	private_mounts
	annotations proc auto
	config_set '.mounts |= map(if .destination == "/proc" then .options = ["subset=pid"] else . end)'
	config_set 'del(.linux.readonlyPaths, .linux.maskedPaths)'
	ok create --bundle "$BUNDLE" "$ID"
	ok delete --force "$ID"
	start_lxcfs
	annotations proc on
	refused "/annotations/org.openvz.proc: needs all of a proc filesystem on /proc in /mounts"
	config_set --arg s "$T" '.mounts |= map(if .destination == "/proc" then {destination: "/proc", type: "bind", source: $s, options: ["bind"]} else . end)'
	refused "/annotations/org.openvz.proc: needs all of a proc filesystem on /proc in /mounts"
}

@test "proc: in a user namespace" {
	start_lxcfs
	new_userns
	annotations proc on
	start_sleep
	lxcfs_mounts 8
	inside_is "awk '{ print (\$1 < 100) }' /proc/uptime" 1
	inside "cat /proc/sys/kernel/random/boot_id" && [[ $output != "$(</proc/sys/kernel/random/boot_id)" ]]
	stop_lxcfs
	start_lxcfs
	ok set --all --proc reattach
	lxcfs_mounts 8
	inside "cat /proc/meminfo"
	ok set "$ID" --proc off
	lxcfs_mounts 0
}

@test "proc: an action that fails leaves what was set beside it in force, and in the record" {
	start_lxcfs
	annotations proc auto
	start_sleep
	stop_lxcfs
	fails "lxcfs is not running" set "$ID" --proc reattach --hostname other
	inside_is hostname other
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" </dev/null 3>&- 4>&- | jq -r .hostname.value)" other
}

@test "proc: a paused container and one that is only created are reattached" {
	start_lxcfs
	annotations proc on
	config_set '.process.args = ["sh", "-c", "cat /proc/meminfo >/read"] | .root.readonly = false'
	ok create --bundle "$BUNDLE" "$ID-2"
	start_sleep
	stop_lxcfs
	start_lxcfs
	ok pause "$ID"
	ok set --all --proc reattach
	ok resume "$ID"
	lxcfs_mounts 8
	inside "cat /proc/meminfo"
	ok start "$ID-2"
	wait_state "$ID-2" stopped
	grep -q MemTotal "$BUNDLE/rootfs/read"
}

@test "proc: reattach follows nothing that the container has put there" {
	start_lxcfs
	annotations proc on capability sys_admin:on
	echo secret >"$BUNDLE/rootfs/etc/target"
	# The last is a mount of its own over lxcfs's.
	config_set 'del(.linux.seccomp, .linux.maskedPaths, .linux.readonlyPaths)'
	start_sleep
	inside 'mount -t tmpfs none /sys && mkdir -p /sys/devices/system/cpu && ln -s /etc/target /sys/devices/system/cpu/online &&
		mount --bind /etc/target /proc/stat'
	stop_lxcfs
	start_lxcfs
	ok set --all --proc reattach
	assert_match "$stderr" "*/proc/stat is not lxcfs's: something else lies there*"
	assert_match "$stderr" "*/sys/devices/system/cpu/online is not lxcfs's*"
	inside_is "cat /etc/target /proc/stat /sys/devices/system/cpu/online" $'secret\nsecret\nsecret'
	inside 'grep MemTotal /proc/meminfo'
	# A /proc that is a link, or another filesystem.
	inside 'mount -t tmpfs none /proc; ln -s /etc/target /proc/meminfo; mount --move /proc /tmp && rmdir /proc 2>/dev/null; true'
	inside 'mount -t tmpfs none /proc && ln -s /etc/target /proc/meminfo'
	stop_lxcfs
	start_lxcfs
	ok set --all --proc reattach
	inside_is "readlink /proc/meminfo; cat /proc/meminfo" $'/etc/target\nsecret'
	ok set "$ID" --proc off
	inside_is "cat /proc/meminfo" secret
}

@test "proc: a container in the host's mount namespace does not cover the host's files" {
	start_lxcfs
	config_set '.mounts = [] | del(.linux.maskedPaths, .linux.readonlyPaths, .linux.rootfsPropagation) | del(.root.readonly) |
		.linux.namespaces |= map(select(.type != "mount"))'
	ok create --bundle "$BUNDLE" "$ID"
	fails "the container has no mnt namespace of its own" set "$ID" --proc on
	! in_holder grep -q 'lxcfs /proc' /proc/self/mounts || false
}

@test "proc: the host's own /proc in a container is not covered by set" {
	start_lxcfs
	config_set 'del(.linux.maskedPaths, .linux.readonlyPaths) | .linux.namespaces |= map(select(.type != "pid")) |
		.mounts |= map(if .destination == "/proc" then {destination: "/proc", type: "bind", source: "/proc", options: ["rbind"]} else . end)'
	start_sleep
	ok set "$ID" --proc on
	lxcfs_mounts 1 # that of /sys
	assert_eq "$(jq -c .extensions.proc.files "$ROOT/$ID/state.json")" '["/sys/devices/system/cpu/online"]'
}

@test "proc: the commands of the drop-in wait for lxcfs and reattach" {
	start_lxcfs
	annotations proc on
	start_sleep
	mkdir -p "$T/runc/ns"
	ok --root "$T/runc/ns" run --bundle "$BUNDLE" --detach "$ID-2"
	stop_lxcfs
	# vzrun's root, namespaces of containerd, and of docker, which this host has not.
	sed -n 's/^ExecStartPost=-//p' "$TOP/contrib/systemd/lxcfs.service.d/vzrun.conf" |
		sed "s,[$][$],$,g; s,/usr/local/bin/vzrun,$VZRUN_REAL,; s,/run/vzrun ,$ROOT ,; s,/run/containerd/runc/,$T/runc/,
			s,/run/docker/,$T/docker/," >"$T/commands"
	assert_eq "$(wc -l <"$T/commands")" 2
	in_holder timeout 60 sh -e "$T/commands" 3>&- 4>&- </dev/null >"$T/said" 2>&1 &
	unit=$!
	start_lxcfs
	wait "$unit" || { cat "$T/said"; return 1; }
	lxcfs_mounts 8
	inside "cat /proc/meminfo"
	run_vzrun --root "$T/runc/ns" exec "$ID-2" cat /proc/meminfo
	"$VZRUN" --root "$T/runc/ns" delete --force "$ID-2"
	assert_eq "$status" 0
}

# ---- hostname ----

@test "hostname: by annotation and by set, where the host has another" {
	annotations hostname first.example
	start_sleep
	inside_is hostname first.example
	ok set "$ID" --hostname second
	inside_is hostname second
	[[ $(hostname) != second ]]
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" </dev/null 3>&- 4>&- | jq -r .hostname.value)" second
	fails '--hostname: "a b": not a host name' set "$ID" --hostname "a b"
	fails '--hostname: "-a": not a host name' set "$ID" --hostname=-a
	fails "not 1 to 64 bytes" set "$ID" --hostname "$(printf '%065d' 0)"
	inside_is hostname second
}

@test "hostname: is put back when another value of the same set is refused" {
	config_set '.hostname = "first"'
	start_sleep
	fails "memory" set "$ID" --hostname second --physpages 4096B
	inside_is hostname first
}

@test "hostname: in a user namespace" {
	new_userns
	annotations hostname first
	start_sleep
	ok set "$ID" --hostname second
	inside_is hostname second
}

@test "hostname: annotation and document must agree, and a UTS namespace is needed" {
	annotations hostname one
	config_set '.hostname = "two"'
	refused "/annotations/org.openvz.hostname: is one, where /hostname has two (leave one of the two out)"
	config_set '.hostname = "one"'
	ok create --bundle "$BUNDLE" "$ID"
	ok delete --force "$ID"
	config_set 'del(.hostname) | .linux.namespaces |= map(select(.type != "uts"))'
	refused "/annotations/org.openvz.hostname: needs a uts namespace in /linux/namespaces"
	config_set 'del(.annotations)'
	start_sleep
	was=$(hostname)
	fails "the container has no uts namespace of its own" set "$ID" --hostname other
	assert_eq "$(hostname)" "$was"
}

# ---- capability, features ----

# caps LETTERS BIT: whether each set (Inh Prm Eff Bnd Amb) has it, as y and n.
caps() {
	local set hex all=

	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		hex=$(sed -n "s/^$set:\t//p" "/proc/$(pid_of "$ID")/status")
		all+=$((0x$hex >> $2 & 1))
	done
	assert_eq "$2 $all" "$2 $1"
}

@test "capability: on and off at creation, for exec too; not on a living container" {
	annotations capability "SYS_TIME:on cap_chown:off"
	start_sleep
	caps 01110 25
	caps 00000 0
	inside "grep CapEff /proc/self/status" && ((0x${output##*[[:space:]]} >> 25 & 1)) && ((!(0x${output##*[[:space:]]} & 1)))
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" </dev/null 3>&- 4>&- | jq -r .capability.value)" "SYS_TIME:on cap_chown:off"
	fails "--capability: cannot be changed while the container lives" set "$ID" --capability chown:on
	fails '--capability: "flying:on": flying: unknown capability' set "$ID" --capability flying:on
	ok delete --force "$ID"
	annotations capability ve_admin:on
	refused '/annotations/org.openvz.capability: "ve_admin:on": ve_admin: only OpenVZ'
}

@test "capability: off takes it out of every set of the document" {
	config_set '.process.capabilities |= map_values(["CAP_CHOWN", "CAP_KILL"]) | .process.capabilities.ambient = ["CAP_CHOWN", "CAP_KILL"] |
		.process.capabilities.inheritable = ["CAP_CHOWN", "CAP_KILL"]'
	annotations capability chown:off
	start_sleep
	caps 00000 0
	caps 11111 5
}

@test "features: what a capability or a device gives" {
	annotations features "fuse:on tun:on time:on"
	[[ -c /dev/fuse ]] || annotations features "tun:on time:on"
	start_sleep
	caps 01110 12
	caps 01110 25
	inside "ls -l /dev/net/tun" && assert_match "$output" "c*10, *200 */dev/net/tun"
	if [[ -c /dev/fuse ]]; then
		inside "ls -l /dev/fuse; : <>/dev/fuse" && assert_match "$output" "crw-rw-rw-*10, *229 */dev/fuse"
	fi
	fails "--features: cannot be changed while the container lives" set "$ID" --features tun:off
	ok delete --force "$ID"
	annotations features "bridge:on,sit:on"
	start_sleep
	inside "ip link add br7 type bridge 2>&1 || true; ip link show" || true
	caps 01110 12
}

@test "features: what is missing is said" {
	annotations features nfs:on
	refused "/annotations/org.openvz.features: nfs:on needs capability sys_admin, which is not given along"
	annotations features nfs:on capability sys_admin:on
	ok create --bundle "$BUNDLE" "$ID"
	ok delete --force "$ID"
	annotations features tun:on capability net_admin:off
	refused "features: tun:on needs capability net_admin, which /annotations/org.openvz.capability takes away"
	annotations features sysfs:on,def_perms:off,sit:off capability net_admin:on
	ok create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*sysfs means nothing: *"
	assert_match "$stderr" "*sit:off: cannot be kept from a container with capability net_admin*"
	ok delete --force "$ID"
	annotations features fuse:off
	config_set '.linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 229}]'
	refused "features: fuse:off, where /linux/devices has /dev/fuse (leave one of the two out)"
	annotations features flying:on
	refused 'features: "flying:on": flying: unknown feature'
	config_set 'del(.linux.devices) | del(.annotations) | .linux.namespaces |= map(select(.type != "network"))'
	annotations features bridge:on
	refused "features: bridge:on needs a network namespace in /linux/namespaces"
	config_set '.linux.namespaces += [{type: "network"}]'
	new_userns
	annotations features time:on
	refused "features: time:on: the kernel allows it in the initial user namespace only"
}
