#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore: user namespaces, and namespaces of others.

load ../lib/checkpoint

@test "checkpoint: a user namespace" {
	in_userns
	start_counting
	pid=$(pid_of "$ID")
	map=$(cat "/proc/$pid/uid_map")
	checkpoint
	restore
	goes_on
	assert_eq "$(cat "/proc/$(pid_of "$ID")/uid_map")" "$map"
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" id -u)" 0
	"$VZRUN" --root "$ROOT" exec "$ID" sh -c ': >/dev/null && ls /dev/zero' >/dev/null
}

# CRIU has process 1 read the clocks' image before its ids are mapped, or after that, as it happens.  With a network namespace to be
# made it is mostly after.
@test "checkpoint: a user namespace: the clocks' image can be read by whom no id is mapped for, and nothing else" {
	in_userns
	config_set '.linux.namespaces |= map(select(.type != "network")) | .mounts |= map(select(.type != "sysfs"))'
	mkdir "$T/bin"
	cat >"$T/bin/criu" <<-S
	#!/bin/sh
	unshare -U cat /proc/self/fd/4/timens-0.img >$T/clocks 2>&1
	! unshare -U cat /proc/self/fd/4/core-1.img >>$T/clocks 2>/dev/null || echo open >>$T/clocks
	exec $(command -v criu) "\$@"
	S
	chmod 755 "$T/bin/criu"
	start_counting
	checkpoint --leave-running
	for i in 1 2 3; do
		ok delete --force "$ID"
		PATH=$T/bin:$PATH restore
		[[ ! -e $IMG/timens-0.img ]] || cmp "$T/clocks" "$IMG/timens-0.img"
		goes_on
	done
}

@test "checkpoint: a user namespace: images that are based on others" {
	needs_criu_feature mem_dirty_track
	in_userns
	start_counting
	# Where nobody may go but root.
	mkdir -m 700 "$T/closed"
	IMG=$T/closed/images
	ok checkpoint --pre-dump --image-path "$T/closed/pre/a" "$ID"
	ok checkpoint --pre-dump --image-path "$T/closed/b" --parent-path ../pre/a "$ID"
	checkpoint --parent-path ../b
	restore
	goes_on
	checkpoint
	restore --auto-dedup
	goes_on
}

# More than the links that the kernel follows in one path.
@test "checkpoint: a user namespace: images with many parents" {
	local i

	needs_criu_feature mem_dirty_track
	in_userns
	start_counting
	ok checkpoint --pre-dump --image-path "$T/pre1" "$ID"
	for ((i = 2; i <= 43; i++)); do
		ok checkpoint --pre-dump --parent-path "../pre$((i - 1))" --image-path "$T/pre$i" "$ID"
	done
	checkpoint --parent-path ../pre43
	restore
	goes_on
}

# pod TYPE=FILE...: what of another container's namespaces it has.
pod() {
	local pid ns

	config_set '.process.args = ["sleep", "1000"]'
	ok run -d -b "$BUNDLE" "$ID-pod"
	pid=$(pid_of "$ID-pod")
	for ns; do
		config_set --arg t "${ns%=*}" --arg p "/proc/$pid/ns/${ns#*=}" '.linux.namespaces |= map(if .type == $t then .path = $p else . end) | del(.hostname)'
	done
	start_counting
	checkpoint
	restore
	goes_on
	for ns; do
		assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/${ns#*=}")" "$(readlink "/proc/$pid/ns/${ns#*=}")"
	done
	[[ $(readlink "/proc/$(pid_of "$ID")/ns/mnt") != "$(readlink "/proc/$pid/ns/mnt")" ]]
}

@test "checkpoint: a pod: network, ipc and uts namespaces of another container" { pod network=net ipc=ipc uts=uts; }

@test "restore: a network namespace of another, where the container of the images had its own" {
	start_counting
	checkpoint
	new_network
	fails "CRIU has restored process 1 into another net namespace than /proc/$holder/ns/net" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "checkpoint: a pid namespace of another container" {
	config_set '.process.args = ["sh", "-c", "while :; do sleep .05; done"]' # it reaps
	ok run -d -b "$BUNDLE" "$ID-pod"
	pid=$(pid_of "$ID-pod")
	config_set --arg p "/proc/$pid/ns/pid" '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)'
	start_counting
	checkpoint
	restore
	goes_on
	assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/pid")" "$(readlink "/proc/$pid/ns/pid")"
}

@test "checkpoint: the clock goes on, and exec has the same" {
	start_worker clock /tmp/count
	before=$("$VZRUN" --root "$ROOT" exec "$ID" cut -d. -f1 /proc/uptime)
	checkpoint
	sleep 2
	restore
	goes_on
	"$VZRUN" --root "$ROOT" exec "$ID" cat /proc/uptime >"$T/uptime"
	after=$(cut -d. -f1 "$T/uptime")
	((after >= before && after < before + 60))
	assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/time")" "$("$VZRUN" --root "$ROOT" exec "$ID" readlink /proc/self/ns/time)"
}
