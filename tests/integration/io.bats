#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Extension io: ioprio, iolimit, iopslimit on every disk below a container.

load ../lib/helpers

teardown_file() {
	vz_teardown_file
	[[ -z ${VZ_LEG:-} || ! -e /sys/module/bfq/refcnt ]] || modprobe -r bfq
}

setup() {
	vz_setup || return
	needs_root
	if [[ $(cg_mode) == v2 ]]; then needs_controller io; else needs_controller blkio; fi
	config_set '.linux.resources = {}'
	config_set '.process.args = ["sleep", "1000"]'
	LOOPS=() SCHEDULERS=() DISK_DIR= LOOP_FLAGS=
}

# Containers first: they hold the devices.
teardown() {
	local c i

	for c in "${ROOT:-/nonexistent}"/*/; do
		[[ ! -d $c ]] || timeout 20 "$VZRUN" --root "$ROOT" delete --force "$(basename "$c")" >/dev/null 2>&1 </dev/null 3>&- 4>&-
	done
	for i in "${!LOOPS[@]}"; do
		[[ -z ${SCHEDULERS[i]} ]] || echo "${SCHEDULERS[i]}" >"/sys/block/${LOOPS[i]#/dev/}/queue/scheduler"
		losetup -d "${LOOPS[i]}"
	done
	[[ -z $DISK_DIR ]] || rm -rf "$DISK_DIR"
	vz_teardown
}

annotations() {
	while (($#)); do
		config_set --arg k "org.openvz.$1" --arg v "$2" '.annotations[$k] = $v'
		shift 2
	done
}

# setting NAME: its value.
setting() { "$VZRUN" --root "$ROOT" set --format json "$ID" 3>&- 4>&- </dev/null | jq -r --arg k "$1" '.[$k].value'; }

refused() {
	fails "$1" create --bundle "$BUNDLE" "$ID" || return
	[[ ! -e $ROOT/$ID ]] || { echo "a record is left"; return 1; }
}

# ---- devices ----

# loop_volume [FILE]: $LOOP, a loop device with a file system, and its number.
loop_volume() {
	local image=${1:-$T/image.${#LOOPS[@]}}

	needs_command mkfs.ext4
	truncate -s 64M "$image" && mkfs.ext4 -q -O ^has_journal "$image" && attach "$image"
}

attach() {
	local image=$1

	[[ -e /dev/loop-control ]] || skip "no loop devices here"
	LOOP=$(losetup --find --show $LOOP_FLAGS "$image" 2>/dev/null) || skip "no loop devices here"
	LOOPS+=("$LOOP") SCHEDULERS+=("")
	LOOP_ID=$((0x$(stat -c %t "$LOOP"))):$((0x$(stat -c %T "$LOOP")))
}

# disks_of PATH...: the whole disks and their members.
disks_of() {
	local p

	for p; do members_of "$(stat -c '%Hd:%Ld' "$p")"; done | sort -u
}

members_of() {
	local s

	[[ -e /sys/dev/block/$1 ]] || return 0
	if [[ -e /sys/dev/block/$1/partition ]]; then
		members_of "$(<"/sys/dev/block/$1/../dev")"
		return
	fi
	echo "$1"
	for s in "/sys/dev/block/$1/slaves"/*/dev; do
		[[ ! -e $s ]] || members_of "$(<"$s")"
	done
}

# disk_dir: $DISK_DIR, a directory on a real disk.
disk_dir() {
	local d

	for d in "$T" /var/tmp "$TOP"; do
		[[ $(stat -c %Hd "$d") != 0 && -w $d ]] || continue
		DISK_DIR=$(mktemp -d "$d/vzrun-io.XXXXXX")
		return
	done
	skip "no disk below the tests"
}

# limits_of DISK [ID]: reads and writes in bytes, then in operations; "max" where there is none.
limits_of() {
	local f out=() line

	if cg blkio.throttle.read_bps_device "${2:-$ID}" >/dev/null 2>&1; then
		for f in read_bps write_bps read_iops write_iops; do
			line=$(cg "blkio.throttle.${f}_device" "${2:-$ID}" | awk -v d="$1" '$1 == d { print $2 }')
			out+=("${line:-max}")
		done
		echo "${out[*]}"
		return
	fi
	line=$(cg io.max "${2:-$ID}" | grep "^$1 ") || line="$1 rbps=max wbps=max riops=max wiops=max"
	sed 's/^[^ ]* //; s/[a-z]*=//g' <<<"$line"
}

# limits_are WANTED DISK...: of all of them.
limits_are() {
	local want=$1 d

	shift
	for d; do assert_eq "$d: $(limits_of "$d")" "$d: $want" || return; done
}

limited_disks() { { cg blkio.throttle.read_bps_device || cg io.max; } 2>/dev/null | cut -d' ' -f1 | sort -u; }

# ---- limits ----

@test "iolimit and iopslimit: by annotation and by set, on the volume's disk and the one below its image" {
	local disks

	loop_volume
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	annotations iolimit 8M iopslimit 500
	ok create --bundle "$BUNDLE" "$ID"
	mapfile -t disks < <({ disks_of "$T"; echo "$LOOP_ID"; } | sort -u)
	assert_eq "$(limited_disks)" "$(printf '%s\n' "${disks[@]}")"
	limits_are "8388608 8388608 500 500" "${disks[@]}"
	ok set "$ID" --iolimit 1048576
	limits_are "1048576 1048576 500 500" "${disks[@]}"
	assert_eq "$(setting iolimit) $(setting iopslimit)" "1M 500"
	ok set "$ID" --iopslimit 20
	limits_are "1048576 1048576 20 20" "${disks[@]}"
	ok start "$ID"
	ok set "$ID" --iolimit 0 --iopslimit unlimited
	limits_are "max max max max" "${disks[@]}"
	assert_eq "$(setting iolimit) $(setting iopslimit)" "unlimited unlimited"
	ok set "$ID" --iolimit 512k
	limits_are "524288 524288 max max" "${disks[@]}"
	ok state "$ID"
	assert_eq "$(jq -r '.settings.iolimit, .annotations["org.openvz.iolimit"], .resources.blockIO.throttleReadBpsDevice[0].rate' <<<"$output" | xargs)" \
		"512K 512K 524288"
}

@test "a container without a limit gets one by set, on all its disks" {
	loop_volume
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	start_sleep
	assert_eq "$(limited_disks)" ""
	ok set "$ID" --iolimit 8M
	limits_are "8388608 8388608 max max" $(disks_of "$T") "$LOOP_ID"
}

@test "both layers of an overlay" {
	local lower

	loop_volume
	lower=$LOOP_ID
	mkdir "$T/lower" "$T/upper" "$T/merged"
	local first=$LOOP
	loop_volume
	in_mount_ns "mount $first $T/lower; mount $LOOP $T/upper; mkdir -p $T/upper/u $T/upper/w
		mount -t overlay overlay -o lowerdir=$BUNDLE/rootfs:$T/lower,upperdir=$T/upper/u,workdir=$T/upper/w $T/merged"
	config_set --arg r "$T/merged" '.root.path = $r'
	annotations iolimit 2M
	ok create --bundle "$BUNDLE" "$ID"
	limits_are "2097152 2097152 max max" "$lower" "$LOOP_ID" $(disks_of "$T")
}

@test "the disk of a partition, and a source that is relative to the bundle" {
	local whole

	needs_command mkfs.ext4
	# A table of one partition, from sector 2048 on.
	truncate -s 64M "$T/image"
	printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\0\1\0' | dd of="$T/image" bs=1 seek=446 conv=notrunc status=none
	printf '\125\252' | dd of="$T/image" bs=1 seek=510 conv=notrunc status=none
	LOOP_FLAGS=--partscan attach "$T/image"
	whole=$LOOP_ID
	# Not every kernel reads tables; where udev does, it would take a partition away that is in none.
	[[ -b ${LOOP}p1 ]] || addpart "$LOOP" 1 2048 65536 2>/dev/null || :
	wait_until test -b "${LOOP}p1" || skip "no partitions of loop devices here"
	mkfs.ext4 -q "${LOOP}p1"
	mkdir "$BUNDLE/vol"
	in_mount_ns "mount ${LOOP}p1 $BUNDLE/vol"
	add_mount /vol bind vol bind
	annotations iolimit 1M
	ok create --bundle "$BUNDLE" "$ID"
	limits_are "1048576 1048576 max max" "$whole"
	assert_eq "$(limited_disks)" "$({ disks_of "$T"; echo "$whole"; } | sort -u)"
}

@test "a device that is given to the container, and one that was mounted in it later" {
	local given

	loop_volume
	given=$LOOP_ID
	config_set --argjson a "${given%:*}" --argjson b "${given#*:}" '.linux.resources.devices = [{ allow: true, access: "rwm" }]
		| .linux.devices = [{ path: "/dev/disk", type: "b", major: $a, minor: $b }]'
	annotations iolimit 2M
	start_sleep
	limits_are "2097152 2097152 max max" "$given"
	loop_volume
	ok exec --cap CAP_SYS_ADMIN --cap CAP_MKNOD "$ID" sh -c "mkdir /tmp/m && mknod /tmp/later b ${LOOP_ID%:*} ${LOOP_ID#*:} &&
		mount -t ext4 /tmp/later /tmp/m"
	limits_are "max max max max" "$LOOP_ID"
	# Whatever is set: that device is found.
	ok set "$ID" --cpuunits 1000
	limits_are "2097152 2097152 max max" "$given" "$LOOP_ID"
	assert_eq "$(setting iolimit)" 2M
}

@test "what the document has for a device of ours and differs is an error that names both" {
	local id

	loop_volume
	id=$LOOP_ID
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	config_set --argjson a "${id%:*}" --argjson b "${id#*:}" \
		'.linux.resources.blockIO.throttleWriteBpsDevice = [{ major: $a, minor: $b, rate: 5000 }]'
	annotations iolimit 8M
	refused "/annotations/org.openvz.iolimit: means 8388608 for device $id in /linux/resources/blockIO/throttleWriteBpsDevice, where the document has 5000"
	config_set '.linux.resources.blockIO.throttleWriteBpsDevice[0].rate = 8388608'
	ok create --bundle "$BUNDLE" "$ID"
	limits_are "8388608 8388608 max max" "$id"
	ok delete --force "$ID"
	# Of another device it is nothing to us.
	config_set 'del(.annotations)'
	annotations iopslimit 50
	ok create --bundle "$BUNDLE" "$ID"
	limits_are "max 8388608 50 50" "$id"
}

@test "fields alone are shown in OpenVZ's words where all devices have one rate; update is the truth" {
	loop_volume
	config_set --argjson a "${LOOP_ID%:*}" --argjson b "${LOOP_ID#*:}" '{ major: $a, minor: $b, rate: 1048576 } as $t
		| .linux.resources.blockIO = { throttleReadBpsDevice: [$t], throttleWriteBpsDevice: [$t] }'
	start_sleep
	assert_eq "$(setting iolimit) $(setting iopslimit)" "1M null"
	jq -n --argjson a "${LOOP_ID%:*}" --argjson b "${LOOP_ID#*:}" \
		'{ blockIO: { throttleReadBpsDevice: [{ major: $a, minor: $b, rate: 7777 }] } }' >"$T/r"
	ok update -r "$T/r" "$ID"
	assert_eq "$(setting iolimit)" null
}

@test "values of the wrong form name the place, and the old ones stay" {
	local key

	loop_volume
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	for key in "ioprio 8:out of range: 0 to 7" "ioprio x:not a number" "iolimit 3x:not a size" "iolimit -1:not a size" \
		"iopslimit 4294967296:out of range" "iopslimit many:neither a number"; do
		config_set 'del(.annotations)'
		annotations "${key%% *}" "$(sed 's/^[a-z]* //; s/:.*//' <<<"$key")"
		refused "/annotations/org.openvz.${key%% *}: *${key#*:}" || { echo "$key"; return 1; }
	done
	config_set 'del(.annotations)'
	annotations iolimit 8M ioprio 5
	start_sleep
	fails '--iolimit: "3x": not a size' set "$ID" --iolimit 3x
	fails '--ioprio: "9": out of range' set "$ID" --iolimit 1M --ioprio 9
	limits_are "8388608 8388608 max max" "$LOOP_ID"
	assert_eq "$(setting iolimit) $(setting ioprio)" "8M 5"
}

# class_of PID: "best-effort: prio 4"
class_of() { ionice -p "$1"; }

@test "one value that the kernel refuses: limits and the class are as before" {
	needs_controller cpu
	local pid before

	loop_volume
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	annotations iolimit 8M ioprio 6 cpulimit 50
	start_sleep
	pid=$(pid_of "$ID")
	before="$(limits_of "$LOOP_ID") $(class_of "$pid")"
	in_mount_ns "mount $LOOP $T/vol; $(read_only "$(cg_dir "$pid" cpu)/$([[ $(cg_mode) == v2 ]] && echo cpu.max || echo cpu.cfs_quota_us)")"
	fails "/linux/resources/cpu/quota: " set "$ID" --iolimit 4M --iopslimit 10 --ioprio 1 --cpulimit 60
	in_mount_ns "mount $LOOP $T/vol"
	assert_eq "$(limits_of "$LOOP_ID") $(class_of "$pid")" "$before"
	assert_eq "$(setting iolimit) $(setting ioprio) $(setting iopslimit)" "8M 6 null"
	ok set "$ID" --iolimit 4M --iopslimit 10 --ioprio 1
	limits_are "4194304 4194304 10 10" "$LOOP_ID"
}

# ---- weights ----

@test "ioprio where no disk knows weights: the class of all threads, with a warning" {
	local pid p

	loop_volume
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	[[ $(cat /sys/block/*/queue/scheduler) != *"[bfq]"* ]] || skip "BFQ is the scheduler of a disk here"
	annotations ioprio 7
	config_set '.process.args = ["sh", "-c", "sleep 1000 & sleep 1000 & wait"]'
	ok create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/annotations/org.openvz.ioprio: disk * has neither BFQ nor iocost*level 0 of the best-effort I/O class*" ||
		assert_match "$stderr" "*/annotations/org.openvz.ioprio: this container stands on no disk*level 0 of the best-effort I/O class*"
	ok start "$ID"
	pid=$(pid_of "$ID")
	assert_eq "$(class_of "$pid")" "best-effort: prio 0"
	ok set "$ID" --ioprio 1
	assert_match "$stderr" "*--ioprio: *level 6 of the best-effort I/O class*"
	wait_until test "$(pgrep -P "$pid" -c)" = 2
	for p in "$pid" $(pgrep -P "$pid"); do assert_eq "$(class_of "$p")" "best-effort: prio 6"; done
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 1000
	assert_eq "$(class_of "$(<"$T/pid")")" "best-effort: prio 6"
	# Who chose a class keeps it.
	ionice -c 3 -p "$pid"
	ok set "$ID" --ioprio 3
	assert_eq "$(class_of "$pid") $(class_of "$(<"$T/pid")")" "idle best-effort: prio 4"
	assert_eq "$(setting ioprio)" 3
	# Of something else there is no word.
	ok set "$ID" --iolimit 8M
	assert_eq "$stderr" ""
}

# use_bfq: for the last loop device.
use_bfq() {
	local file=/sys/block/${LOOP#/dev/}/queue/scheduler was

	# In a guest, which is ours, it may be loaded, and goes again: with it there are files that other tests take for limits.
	[[ -z ${VZ_LEG:-} ]] || modprobe -q bfq 2>/dev/null || true
	grep -qw bfq "$file" || skip "no BFQ here"
	was=$(sed 's/.*\[\(.*\)\].*/\1/' "$file")
	{ echo bfq >"$file"; } 2>/dev/null || skip "no BFQ here"
	SCHEDULERS[-1]=$was
}

weight() { { cg blkio.bfq.weight "${1:-$ID}" || cg io.bfq.weight "${1:-$ID}"; } 2>/dev/null | sed -n 's/^default //; 1p'; }

@test "ioprio under BFQ: 0 to 7 are weights of 64 to 128" {
	loop_volume
	use_bfq
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	annotations ioprio 0
	start_sleep
	assert_eq "$(weight)" 64
	ok set "$ID" --ioprio 4
	assert_eq "$(weight)" 100
	ok set "$ID" --ioprio 7
	assert_eq "$(weight)" 128
	# systemd knows as well, or it would write its own again; its numbers are others: 100 + (128 - 100) * 11.
	[[ ${VZ_MANAGER:-} != systemd || $(cg_mode) == v2 ]] || assert_eq "$(systemctl show -p BlockIOWeight --value "vzrun-$ID.scope")" 408
	assert_match "$("$VZRUN" --root "$ROOT" set "$ID" 3>&- 4>&- </dev/null | grep ioprio)" "ioprio *7 *blockIO/weight=128"
	# A scheduler that comes later is used by the next set, whatever that sets.
	echo "${SCHEDULERS[-1]}" >"/sys/block/${LOOP#/dev/}/queue/scheduler"
	ok create --bundle "$BUNDLE" "$ID-3"
	[[ $(weight "$ID-3") != 64 ]] # 100, or what systemd makes of its own default
	echo bfq >"/sys/block/${LOOP#/dev/}/queue/scheduler"
	ID=$ID-3 && assert_eq "$(setting ioprio)" 0
	ok set "$ID" --cpuunits 1000
	assert_eq "$(weight) $(setting ioprio)" "64 0"
	config_set '.linux.resources.blockIO.weight = 100'
	ID=$ID-2 refused "/annotations/org.openvz.ioprio: means 64 for /linux/resources/blockIO/weight, where the document has 100"
}

@test "ioprio under iocost: io.weight of cgroup v2" {
	needs_v2
	local qos=/sys/fs/cgroup/io.cost.qos

	loop_volume
	[[ -e $qos ]] || skip "no iocost here"
	echo "$LOOP_ID enable=1" >$qos || skip "no iocost here"
	mkdir "$T/vol"
	in_mount_ns "mount $LOOP $T/vol"
	add_mount /vol bind "$T/vol" bind
	annotations ioprio 7
	start_sleep
	assert_match "$(cg io.weight)" "default 128*"
	ok set "$ID" --ioprio 2
	assert_match "$(cg io.weight)" "default 82*"
	assert_eq "$(setting ioprio)" 2
	ok delete --force "$ID"
	echo "$LOOP_ID enable=0" >$qos
}

@test "a disk that is gone holds no change up" {
	local gone other

	loop_volume
	other=$LOOP_ID
	loop_volume
	gone=$LOOP_ID
	config_set --argjson a "${gone%:*}" --argjson b "${gone#*:}" --argjson c "${other#*:}" '
		.linux.resources.devices = [{ allow: true, access: "rwm" }]
		| .linux.devices = [{ path: "/dev/disk", type: "b", major: $a, minor: $b }, { path: "/dev/other", type: "b", major: $a, minor: $c }]'
	annotations iolimit 2M iopslimit 500
	start_sleep
	limits_are "2097152 2097152 500 500" "$gone" "$other"
	losetup -d "$LOOP"
	unset "LOOPS[-1]" "SCHEDULERS[-1]"
	python3 -c 'import fcntl, sys; fcntl.ioctl(open("/dev/loop-control"), 0x4c81, int(sys.argv[1]))' "${gone#*:}"
	[[ ! -e /sys/dev/block/$gone ]]
	ok set "$ID" --cpuunits 2000
	ok update "$ID" --pids-limit 77
	ok set "$ID" --iolimit 4M
	limits_are "4194304 4194304 500 500" "$other"
	ok set "$ID" --iolimit 0 --iopslimit 0
	limits_are "max max max max" "$other"
	[[ $(limited_disks) != *"$gone"* ]]
}

# ---- what it is for ----

# rate MIB ARG...: bytes a second of a dd of so much in the container, by its own clock.
rate() {
	local mib=$1 from to

	shift
	ok exec "$ID" sh -c "read a b </proc/uptime; dd $* bs=1M count=$mib || exit; read c d </proc/uptime; echo \$a \$c" || return
	read -r from to <<<"$output"
	RATE=$((mib * 1048576 * 100 / (10#${to/./} - 10#${from/./})))
	echo "$*: $RATE bytes a second"
}

# RATE is within a tenth of 8 MiB.
near_8m() { ((RATE >= 7549747 && RATE <= 9227468)); }

# at_8m ARG...: in one window of several: a guest that stood still for a while is slow in one and catches up in the next.
at_8m() {
	local i

	for i in 1 2 3 4; do
		rate 32 "$@" || return
		! near_8m || return 0
	done
	return 1
}

disk_container() {
	disk_dir
	dd if=/dev/zero of="$DISK_DIR/file" bs=1M count=40 conv=fsync status=none
	add_mount /vol bind "$DISK_DIR" bind rw
	annotations iolimit 8M
	start_sleep
	assert_eq "$(limits_of "$(disks_of "$DISK_DIR" | head -n 1)")" "8388608 8388608 max max"
}

@test "direct reads and writes under iolimit 8M run at 8 MiB a second" {
	disk_container
	at_8m if=/vol/file of=/dev/null iflag=direct
	at_8m if=/dev/zero of=/vol/file oflag=direct conv=notrunc
	ok set "$ID" --iolimit 0
	rate 40 if=/vol/file of=/dev/null iflag=direct
	((RATE > 12000000))
}

written() { cg io.stat | sed -n "s/^$1 .*wbytes=\([0-9]*\).*/\1/p"; }

started() { (($(written "$1") - $2 > 1048576)); }

@test "buffered writes under iolimit 8M as well, on cgroup v2" {
	needs_v2
	disk_container
	local disk from began i

	disk=$(disks_of "$DISK_DIR" | head -n 1)
	from=$(written "$disk")
	ok exec --detach "$ID" dd if=/dev/zero of=/vol/new bs=1M count=240 conv=fsync
	wait_until started "$disk" "${from:-0}"
	# As in at_8m; what is measured is what the kernel writes of what is in the cache.
	for i in 1 2 3 4 5; do
		from=$(written "$disk") began=${EPOCHREALTIME/[.,]/}
		sleep 4
		RATE=$((($(written "$disk") - from) * 1000000 / (${EPOCHREALTIME/[.,]/} - began)))
		echo "written: $RATE bytes a second"
		! near_8m || break
	done
	# Or dd would not end before what it has written.
	ok set "$ID" --iolimit 0
	near_8m
}
