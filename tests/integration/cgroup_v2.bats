#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# linux.resources on cgroup v2: what the files of the container's group say after create, after update and while it lives, and
# that the limits hold.  With any driver: the files are the same ones.

load ../lib/helpers

setup() {
	needs_v2
	vz_setup || return
	needs_root
	config_set '.linux.resources = {}'
}

teardown() { [[ -z ${loop:-} ]] || losetup -d "$loop"; vz_teardown; }

resources() { config_set ".linux.resources = $1"; }
group() { cg_dir "$(pid_of "${1:-$ID}")" unified; }

# files_are "FILE VALUE"...: of the container's group
files_are() {
	local dir line

	dir=$(group)
	for line; do
		assert_eq "${line%% *} $(<"$dir/${line%% *}")" "$line" || return
	done
}

refused() {
	fails "$1" create --bundle "$BUNDLE" "$ID" || return
	[[ ! -e $ROOT/$ID ]] || { echo "a record is left"; return 1; }
	[[ -z $(find /sys/fs/cgroup -type d -name "*$ID*" -print -quit) ]] || { echo "a cgroup is left"; return 1; }
}

loop_device() {
	truncate -s 8M "$T/disk"
	loop=$(losetup --find --show "$T/disk" 2>/dev/null) || skip "no loop devices here"
	loop_id=$((0x$(stat -c %t "$loop"))):$((0x$(stat -c %T "$loop")))
}

# with_loop JSON: resources with a function dev($rest) that is an object of the loop device.
with_loop() {
	resources "$(jq -n --arg d "$loop_id" "def dev(\$rest): (\$d | split(\":\") | {major: (.[0] | tonumber), minor: (.[1] | tonumber)}) + \$rest; $1")"
}

# ---- create ----

@test "v2 memory: limit, reservation, swap" {
	resources '{memory: {limit: 33554432, reservation: 16777216, swap: 50331648}}'
	start_sleep
	files_are "memory.max 33554432" "memory.low 16777216" "memory.swap.max 16777216"
	ok delete --force "$ID"
	resources '{memory: {limit: -1, swap: -1}}'
	start_sleep
	files_are "memory.max max" "memory.swap.max max"
}

@test "v2 memory: limit and swap alike are no swap, the limit holds" {
	add_probe
	resources '{memory: {limit: 16777216, swap: 16777216}}'
	config_set '.process.args = ["probe", "eat", "64"]'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 137
	ok state "$ID"
	assert_eq "$(jq -c '[.exit.signal, .exit.oomKilled]' <<<"$output")" '["SIGKILL",true]'
}

@test "v2 memory: what only cgroup v1 has is refused by name or said to be ignored" {
	resources '{memory: {limit: 33554432, swappiness: 10}}'
	run_vzrun create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/linux/resources/memory/swappiness*"
	run_vzrun delete --force "$ID"
	resources '{memory: {limit: 33554432, kernelTCP: 8388608}}'
	run_vzrun create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/linux/resources/memory/kernelTCP*"
}

@test "v2 cpu: shares become a weight" {
	local s

	for s in "1024 100" "2 1" "262144 10000"; do
		resources "{cpu: {shares: ${s% *}}}"
		start_sleep
		files_are "cpu.weight ${s#* }"
		ok delete --force "$ID"
	done
}

@test "v2 cpu: quota, period, burst, idle" {
	resources '{cpu: {quota: 40000, period: 80000, burst: 20000}}'
	start_sleep
	files_are "cpu.max 40000 80000" "cpu.max.burst 20000"
	ok delete --force "$ID"
	resources '{cpu: {quota: -1, period: 50000}}'
	start_sleep
	files_are "cpu.max max 50000"
	ok delete --force "$ID"
	resources '{cpu: {idle: 1}}'
	start_sleep
	files_are "cpu.idle 1"
}

@test "v2 cpu: values that the kernel refuses name the field" {
	# systemd takes whole percents: it rounds this one up.
	if [[ ${VZ_MANAGER:-} != systemd ]]; then
		resources '{cpu: {quota: 10}}'
		refused "/linux/resources/cpu/quota"
	fi
	resources '{cpu: {quota: 10000, burst: 20000}}'
	refused "/linux/resources/cpu/"
	resources '{cpu: {realtimeRuntime: 10000}}'
	refused "/linux/resources/cpu/realtimeRuntime"
	resources '{cpu: {cpus: "4000"}}'
	refused "/linux/resources/cpu/cpus"
}

@test "v2 cpuset: cpus and mems are the effective ones of the payload" {
	resources '{cpu: {cpus: "0", mems: "0"}}'
	start_sleep
	files_are "cpuset.cpus 0" "cpuset.mems 0" "cpuset.cpus.effective 0"
	assert_eq "$(sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$(pid_of "$ID")/status")" 0
}

@test "v2 pids: a limit, none, and it holds" {
	resources '{pids: {limit: 20}}'
	start_sleep
	files_are "pids.max 20"
	ok delete --force "$ID"
	resources '{pids: {limit: -1}}'
	start_sleep
	files_are "pids.max max"
	ok delete --force "$ID"
	resources '{pids: {limit: 5}}'
	run_probe forks 10
	assert_eq "$output" "4 11"
}

@test "v2 io: throttles of a device are one line of io.max" {
	loop_device
	with_loop '{blockIO: {throttleReadBpsDevice: [dev({rate: 1048576})], throttleWriteBpsDevice: [dev({rate: 2097152})],
		throttleReadIOPSDevice: [dev({rate: 100})], throttleWriteIOPSDevice: [dev({rate: 200})]}}'
	start_sleep
	files_are "io.max $loop_id rbps=1048576 wbps=2097152 riops=100 wiops=200"
	resources '{blockIO: {throttleReadBpsDevice: [{major: 4000, minor: 1, rate: 1}]}}'
	fails "/linux/resources/blockIO/throttleReadBpsDevice/0" create --bundle "$BUNDLE" "$ID-2"
}

@test "v2 io: a weight where the kernel has one, else the field is named" {
	resources '{blockIO: {weight: 1000}}'
	run_vzrun create --bundle "$BUNDLE" "$ID"
	if [[ $status == 0 ]]; then
		assert_match "$(cat "$(group)"/io.weight "$(group)"/io.bfq.weight 2>/dev/null | head -n 1)" "default 10*00"
	else
		assert_match "$stderr" "*/linux/resources/blockIO/weight*"
	fi
}

@test "v2 hugetlb: limits and reservations" {
	[[ -d /sys/kernel/mm/hugepages/hugepages-2048kB ]] || skip "no huge pages of 2 MiB here"
	resources '{hugepageLimits: [{pageSize: "2MB", limit: 4194304}]}'
	start_sleep
	files_are "hugetlb.2MB.max 4194304" "hugetlb.2MB.rsvd.max 4194304"
}

@test "v2 rdma: a device that is not there is named" {
	resources '{rdma: {nosuch0: {hcaHandles: 3, hcaObjects: 10}}}'
	refused "/linux/resources/rdma/nosuch0"
}

@test "v2 unified: files of any controller, written after the typed fields" {
	resources '{memory: {limit: 67108864}, unified: {"memory.high": "41943040", "memory.min": "1048576", "pids.max": "31", "memory.oom.group": "1"}}'
	start_sleep
	files_are "memory.max 67108864" "memory.high 41943040" "memory.min 1048576" "pids.max 31" "memory.oom.group 1"
	ok delete --force "$ID"
	resources '{unified: {"memory.nonsense": "1"}}'
	refused "/linux/resources/unified/memory.nonsense"
	resources '{unified: {"memory.high": "lots"}}'
	refused "/linux/resources/unified/memory.high"
}

@test "v2: what has no counterpart is refused by name" {
	resources '{network: {classID: 4097}}'
	refused "/linux/resources/network/classID"
	resources '{network: {priorities: [{name: "lo", priority: 5}]}}'
	refused "/linux/resources/network/priorities"
}

@test "v2 devices: the program is attached, and holds for exec too" {
	local nodes='mknod /tmp/zero c 1 5; mknod /tmp/odd c 240 7'

	resources '{devices: [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 240, minor: 7, access: "rm"}]}'
	start_sleep
	run_vzrun exec "$ID" sh -c "$nodes; (: </tmp/zero) && echo zero; (: </tmp/odd) 2>&1; (: >/tmp/odd) 2>&1; mknod /tmp/other c 240 8; (: </tmp/other) 2>&1"
	assert_match "$output" "zero*No such device*Operation not permitted*Operation not permitted*"
}

# ---- the group itself ----

@test "v2: every process of the container is in one group, whose controllers are on" {
	local dir c

	start_sleep
	dir=$(group)
	grep -qx "$(pid_of "$ID")" "$dir/cgroup.procs"
	for c in cpu cpuset io memory pids; do
		assert_match " $(<"$dir/cgroup.controllers") " "* $c *" || return
	done
	ok exec -d --pid-file "$T/pid" "$ID" sleep 1000
	grep -qx "$(<"$T/pid")" "$dir/cgroup.procs"
}

@test "v2: below a group that holds processes every new level is threaded, and memory is refused" {
	local top=/sys/fs/cgroup/$ID-top sleeper

	cgroupfs_paths
	mkdir "$top"
	sleep 1000 3>&- 4>&- &
	sleeper=$!
	echo $sleeper >"$top/cgroup.procs"
	config_set --arg p "/$ID-top/between/c" '.linux.cgroupsPath = $p'
	resources '{pids: {limit: 20}}'
	start_sleep
	files_are "cgroup.type threaded" "pids.max 20"
	assert_eq "$(<"$top/between/cgroup.type")" threaded
	ok delete --force "$ID"
	resources '{memory: {limit: 33554432}}'
	fails "*'domain invalid'*choose a parent that holds none*" create --bundle "$BUNDLE" "$ID"
	assert_eq "$(find "$top/between" -mindepth 1 -type d)" ""
	kill $sleeper
	wait $sleeper || true
	wait_until rmdir "$top/between" "$top"
}

@test "v2: delete removes groups that the payload made, with what is in them" {
	local dir

	start_sleep
	dir=$(group)
	mkdir -p "$dir/a/b"
	ok exec -d --cgroup a/b --pid-file "$T/pid" "$ID" sleep 1000
	grep -qx "$(<"$T/pid")" "$dir/a/b/cgroup.procs"
	fails "escapes" exec --cgroup ../../.. "$ID" true
	ok delete --force "$ID"
	[[ ! -e $dir && ! -e /proc/$(<"$T/pid") ]]
}

@test "v2 pause: the group freezes with all that is below, KILL and delete get through" {
	local dir

	start_sleep
	dir=$(group)
	ok pause "$ID"
	state_is "$ID" paused
	grep -qx "frozen 1" "$dir/cgroup.events"
	ok resume "$ID"
	grep -qx "frozen 0" "$dir/cgroup.events"
	# By somebody else, as engines do.
	echo 1 >"$dir/cgroup.freeze"
	wait_until grep -qx "frozen 1" "$dir/cgroup.events"
	state_is "$ID" paused
	VZ_TIMEOUT=20 ok delete --force "$ID"
	[[ ! -e $dir ]]
}

@test "v2: a frozen group is refused" {
	cgroupfs_paths
	local dir=/sys/fs/cgroup/$ID

	config_set --arg p "/$ID" '.linux.cgroupsPath = $p'
	mkdir "$dir"
	echo 1 >"$dir/cgroup.freeze"
	run_vzrun create --bundle "$BUNDLE" "$ID"
	echo 0 >"$dir/cgroup.freeze"
	rmdir "$dir"
	assert_match "$status $stderr" "1 *container's cgroup unexpectedly frozen*"
}

# ---- update and events ----

@test "v2 update: each flag reaches its file" {
	resources '{memory: {limit: 67108864}, cpu: {shares: 1024, quota: 50000, period: 100000}}'
	start_sleep
	ok update --cpu-share 2 --cpu-quota 20000 --cpu-period 200000 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 33 "$ID"
	files_are "cpu.weight 1" "cpu.max 20000 200000" "cpuset.cpus 0" "cpuset.mems 0" "pids.max 33"
	ok update --memory 48m --memory-reservation 20M --memory-swap 96M "$ID"
	files_are "memory.max 50331648" "memory.low 20971520" "memory.swap.max 50331648"
	ok update --cpu-burst 10000 "$ID"
	ok update --cpu-quota -1 --cpu-burst 0 --pids-limit -1 "$ID"
	files_are "pids.max max"
	# systemd forgets the period of no quota.
	assert_match "$(<"$(group)/cpu.max")" "max *00000"
	ok update --memory -1 --memory-swap -1 "$ID"
	files_are "memory.max max" "memory.swap.max max"
	ok update --cpu-idle 1 "$ID"
	files_are "cpu.idle 1"
}

@test "v2 update: a document, merged with what earlier ones set" {
	resources '{memory: {limit: 33554432}, cpu: {quota: 50000, period: 100000}}'
	start_sleep
	echo '{"pids": {"limit": 17}, "unified": {"memory.high": "25165824"}}' >"$T/r.json"
	VZ_STDIN=$T/r.json ok update -r - "$ID"
	files_are "pids.max 17" "memory.high 25165824" "memory.max 33554432" "cpu.max 50000 100000"
	ok update --cpu-period 50000 "$ID"
	files_are "cpu.max 50000 50000" "pids.max 17"
}

@test "v2 update: one refused value changes nothing" {
	resources '{memory: {limit: 33554432}, cpu: {shares: 1024}, pids: {limit: 40}}'
	start_sleep
	fails "/cpu/cpus" update --memory 67108864 --cpu-share 2 --pids-limit 7 --cpuset-cpus 4000 "$ID"
	files_are "memory.max 33554432" "cpu.weight 100" "pids.max 40"
}

@test "v2 events: the statistics are the group's" {
	resources '{memory: {limit: 67108864}, pids: {limit: 64}, cpu: {quota: 50000, period: 100000}}'
	start_sleep
	ok exec "$ID" sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'
	ok events --stats "$ID"
	jq -e '.type == "stats" and .data.memory.usage.limit == 67108864 and .data.memory.usage.usage > 0 and .data.pids.limit == 64
		and .data.pids.current == 1 and .data.cpu.usage.total > 1000000 and .data.cpu.throttling.periods > 0' "$T/stdout"
}

@test "v2 mount: the container sees its own group as the root, read-only" {
	resources '{pids: {limit: 64}}'
	run_sh 'cat /proc/self/mountinfo; cat /sys/fs/cgroup/pids.max; cat /proc/self/cgroup; mkdir /sys/fs/cgroup/x 2>&1 || true'
	assert_eq "$(mount_fs /sys/fs/cgroup)" cgroup2
	assert_match "$output" $'*\n64\n0::/\n*Read-only file system'
}
