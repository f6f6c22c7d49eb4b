#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What two containers get of one disk by their ioprio.  On a disk that is slower than the processors: else it is these that they share.

load ../lib/helpers

setup_file() {
	local serial

	for serial in /sys/block/vd*/serial; do
		[[ $(cat "$serial" 2>/dev/null) != slow ]] || export DISK=$(basename "${serial%/*}")
	done
}

setup() {
	vz_setup || return
	needs_root
	[[ -n ${DISK:-} ]] || skip "needs the guest with a slow disk"
	# The guest is ours.
	modprobe -q bfq || true
	grep -qw bfq "/sys/block/$DISK/queue/scheduler" || skip "no BFQ here"
	DISK_ID=$(<"/sys/block/$DISK/dev")
	echo bfq >"/sys/block/$DISK/queue/scheduler"
	# What BFQ does for the first seconds of an interactive program, and for the queues of a disk, is not what is measured.
	echo 0 >"/sys/block/$DISK/queue/iosched/low_latency"
	echo 1 >"/sys/block/$DISK/queue/iosched/strict_guarantees"
	# Turns of 1 MiB: of large ones a window has few.
	echo 2048 >"/sys/block/$DISK/queue/iosched/max_budget"
}

teardown() {
	vz_teardown || return
	[[ -z ${DISK_ID:-} ]] || echo none >"/sys/block/$DISK/queue/scheduler"
}

# served ID: bytes that it had read from the disk.
served() { cg io.stat "$1" | sed -n "s/^$DISK_ID .*rbytes=\([0-9]*\).*/\1/p"; }

# reader PRIO: a container of that ioprio whose four processes read the disk without end.
reader() {
	config_set --arg prio "$1" --argjson major "${DISK_ID%:*}" --argjson minor "${DISK_ID#*:}" '
		.annotations = { "org.openvz.ioprio": $prio }
		| .linux.resources = { devices: [{ allow: true, access: "rwm" }] }
		| .linux.devices = [{ path: "/dev/disk", type: "b", major: $major, minor: $minor }]
		| .process.args = ["sh", "-c",
			"for i in 1 2 3 4; do while :; do dd if=/dev/disk of=/dev/null bs=256k iflag=direct status=none; done & done; wait"]'
	ok create --bundle "$BUNDLE" "$ID-$1"
}

# share A B LOW HIGH: starts them; for each ten that A reads B reads LOW to HIGH.  In one window of several: a guest that stood still for a while is far off in one.
share() {
	local a b i

	ok start "$1"
	ok start "$2"
	for i in 1 2 3 4 5; do
		sleep 1
		a=$(served "$1") b=$(served "$2")
		sleep 4
		a=$(($(served "$1") - a)) b=$(($(served "$2") - b))
		echo "$a and $b"
		((b * 10 > a * $4 || b * 10 < a * $3)) || return 0
	done
	return 1
}

@test "two readers with ioprio 0 and 7 under BFQ share a disk about one to two" {
	reader 0
	reader 7
	share "$ID-0" "$ID-7" 16 25
}

@test "and two of the same ioprio share it one to one" {
	reader 4
	ID=$ID-b reader 4
	share "$ID-4" "$ID-b-4" 8 12
}
