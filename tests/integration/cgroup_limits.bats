#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# linux.resources as the files of the container's cgroup tell it afterwards (cgroup v1 and hybrid), and what is refused.

load ../lib/helpers

setup() {
	vz_setup || return
	needs_root
	config_set '.linux.resources = {}'
}

resources() { config_set ".linux.resources = $1"; }

# refused POINTER: create fails, names the field, and leaves neither a record nor a cgroup
refused() {
	fails "$1" create --bundle "$BUNDLE" "$ID" || return
	[[ ! -e $ROOT/$ID ]] || { echo "a record is left"; return 1; }
	[[ -z $(find /sys/fs/cgroup -type d -name "$ID" -print -quit) ]] || { echo "a cgroup is left"; return 1; }
}

# cg_is FILE VALUE
cg_is() {
	local is

	is=$(cg "$1") && assert_eq "$1 $is" "$1 $2"
}

# ---- memory ----

@test "memory: limit, reservation, swap, swappiness" {
	needs_v1
	needs_controller memory
	resources '{memory: {limit: 33554432, reservation: 16777216, swap: 50331648, swappiness: 7}}'
	start_sleep
	cg_is memory.limit_in_bytes 33554432
	cg_is memory.soft_limit_in_bytes 16777216
	cg_is memory.swappiness 7
	[[ ! -e $(cg_dir "$(pid_of "$ID")" memory)/memory.memsw.limit_in_bytes ]] || cg_is memory.memsw.limit_in_bytes 50331648
}

@test "memory: -1 is unlimited" {
	needs_v1
	needs_controller memory
	resources '{memory: {limit: -1, swap: -1}}'
	start_sleep
	cg_is memory.limit_in_bytes 9223372036854771712
}

@test "memory: the OOM killer can be switched off" {
	needs_v1
	needs_controller memory
	resources '{memory: {limit: 33554432, disableOOMKiller: true}}'
	start_sleep
	assert_match "$(cg memory.oom_control)" "oom_kill_disable 1*"
}

@test "memory: swap below the limit, or without one" {
	resources '{memory: {limit: 33554432, swap: 16777216}}'
	refused "/linux/resources/memory/swap"
	resources '{memory: {swap: 16777216}}'
	refused "/linux/resources/memory/swap: unable to set swap limit without memory limit"
}

@test "memory: a kernel memory limit that this kernel forgets is refused" {
	needs_v1
	needs_controller memory
	resources '{memory: {limit: 33554432, kernel: 16777216}}'
	run_vzrun create --bundle "$BUNDLE" "$ID"
	if [[ $status == 0 ]]; then
		cg_is memory.kmem.limit_in_bytes 16777216
	else
		assert_match "$stderr" "*/linux/resources/memory/kernel:*"
		[[ ! -e $ROOT/$ID ]]
	fi
}

@test "memory: kernelTCP" {
	needs_v1
	needs_controller memory
	resources '{memory: {limit: 33554432, kernelTCP: 8388608}}'
	start_sleep
	cg_is memory.kmem.tcp.limit_in_bytes 8388608
}

@test "memory: the limit holds: the program is killed, run --keep knows why" {
	needs_controller memory
	add_probe
	resources '{memory: {limit: 16777216, swap: 16777216}}'
	config_set '.process.args = ["probe", "eat", "64"]'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 137
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .exit.status, .exit.signal, .exit.oomKilled]' <<<"$output")" '["stopped",137,"SIGKILL",true]'
	ok delete "$ID"
}

@test "memory: a death by any other SIGKILL is not called one for memory" {
	config_set '.process.args = ["sh", "-c", "kill -9 $$; sleep 100"] | .linux.namespaces |= map(select(.type != "pid"))'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 137
	ok state "$ID"
	assert_eq "$(jq -c '[.exit.signal, .exit.oomKilled == true]' <<<"$output")" '["SIGKILL",false]'
	ok delete "$ID"
}

@test "memory: too little for init itself is said so, by create or run, and leaves nothing" {
	needs_v1
	needs_controller memory
	local why="container init was OOM-killed (memory limit too low?)"

	# There init is in its cgroup before the limit is, and the kernel takes no limit below what is used, unless it can take it away.
	[[ ${VZ_MANAGER:-} != systemd ]] || why="@(/linux/resources/memory/limit: value '4096'|container init was OOM-killed)"
	resources '{memory: {limit: 4096}}'
	refused "$why"
	fails "$why" run --bundle "$BUNDLE" "$ID"
}

@test "memory: 1 MiB is enough to start a container" {
	needs_controller memory
	resources '{memory: {limit: 1048576}}'
	run_args true
}

# ---- cpu ----

@test "cpu: shares, quota, period, burst, idle" {
	needs_v1
	needs_controller cpu
	resources '{cpu: {shares: 300, quota: 40000, period: 80000, burst: 20000}}'
	start_sleep
	cg_is cpu.shares 300
	cg_is cpu.cfs_quota_us 40000
	cg_is cpu.cfs_period_us 80000
	cg_is cpu.cfs_burst_us 20000
	ok delete --force "$ID"
	resources '{cpu: {idle: 1}}'
	start_sleep
	cg_is cpu.idle 1
}

@test "cpu: quota -1 is none" {
	needs_v1
	needs_controller cpu
	resources '{cpu: {quota: -1, period: 50000}}'
	start_sleep
	cg_is cpu.cfs_quota_us -1
	cg_is cpu.cfs_period_us 50000
}

@test "cpu: real-time period and runtime" {
	needs_v1
	[[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] || skip "no real-time group scheduling here"
	resources '{cpu: {realtimePeriod: 500000, realtimeRuntime: 10000}}'
	start_sleep
	cg_is cpu.rt_period_us 500000
	cg_is cpu.rt_runtime_us 10000
}

@test "cpu: values that the kernel refuses name the field" {
	needs_v1
	needs_controller cpu
	# systemd rounds it up to a percent, which is enough
	resources '{cpu: {quota: 10}}'
	[[ ${VZ_MANAGER:-} == systemd ]] || refused "/linux/resources/cpu/quota"
	resources '{cpu: {quota: 10000, burst: 20000}}'
	refused "/linux/resources/cpu/"
	resources '{cpu: {idle: 2}}'
	refused "/linux/resources/cpu/idle"
}

@test "cpuset: cpus and mems" {
	needs_v1
	needs_controller cpuset
	resources '{cpu: {cpus: "0", mems: "0"}}'
	start_sleep
	cg_is cpuset.cpus 0
	cg_is cpuset.mems 0
}

@test "cpuset: unset is all that the parent has" {
	needs_v1
	needs_controller cpuset
	start_sleep
	cg_is cpuset.cpus "$(</sys/fs/cgroup/cpuset/cpuset.cpus)"
}

@test "cpuset: a parent that another made and has not filled yet" {
	cgroupfs_paths
	needs_v1
	needs_controller cpuset
	mkdir -p "/sys/fs/cgroup/cpuset/$ID-top/mid"
	config_set --arg p "/$ID-top/mid/leaf" '.linux.cgroupsPath = $p'
	start_sleep
	cg_is cpuset.cpus "$(</sys/fs/cgroup/cpuset/cpuset.cpus)"
	ok delete --force "$ID"
	find /sys/fs/cgroup -depth -path "*/$ID-top*" -type d -exec rmdir {} + 2>/dev/null
	[[ ! -e /sys/fs/cgroup/cpuset/$ID-top ]]
}

@test "cpuset: a processor or node that is not there" {
	needs_controller cpuset
	resources '{cpu: {cpus: "4000"}}'
	refused "/linux/resources/cpu/cpus"
	resources '{cpu: {mems: "1000"}}'
	refused "/linux/resources/cpu/mems"
	resources '{cpu: {cpus: "zero"}}'
	refused "/linux/resources/cpu/cpus"
}

# ---- pids ----

@test "pids: a limit, none, and zero, which is a limit too" {
	needs_controller pids
	local limit want

	for limit in "20 20" "-1 max" "0 1"; do
		resources "{pids: {limit: ${limit% *}}}"
		start_sleep
		cg_is pids.max "${limit#* }"
		ok delete --force "$ID"
	done
}

@test "pids: the limit holds" {
	needs_controller pids
	resources '{pids: {limit: 5}}'
	run_probe forks 10
	assert_eq "$output" "4 11"
}

# ---- blkio ----

loop_device() {
	[[ -e /dev/loop-control ]] || skip "no loop devices here"
	truncate -s 1M "$T/disk"
	loop=$(losetup --find --show "$T/disk" 2>/dev/null) || skip "no loop devices here"
	loop_id=$((0x$(stat -c %t "$loop"))):$((0x$(stat -c %T "$loop")))
}

@test "blockIO: throttles of a device" {
	needs_v1
	needs_controller blkio
	loop_device
	resources "$(jq -n --arg d "$loop_id" '($d | split(":") | {major: (.[0] | tonumber), minor: (.[1] | tonumber)}) as $n
		| {blockIO: {throttleReadBpsDevice: [$n + {rate: 1048576}], throttleWriteBpsDevice: [$n + {rate: 2097152}],
			throttleReadIOPSDevice: [$n + {rate: 100}], throttleWriteIOPSDevice: [$n + {rate: 200}]}}')"
	local rc=0
	start_sleep && cg_is blkio.throttle.read_bps_device "$loop_id 1048576" &&
		cg_is blkio.throttle.write_bps_device "$loop_id 2097152" &&
		cg_is blkio.throttle.read_iops_device "$loop_id 100" && cg_is blkio.throttle.write_iops_device "$loop_id 200" || rc=1
	losetup -d "$loop"
	return $rc
}

@test "blockIO: a device that is not there is named" {
	needs_v1
	needs_controller blkio
	resources '{blockIO: {throttleReadBpsDevice: [{major: 4000, minor: 1, rate: 1}]}}'
	refused "/linux/resources/blockIO/throttleReadBpsDevice/0"
}

@test "blockIO: a weight where the host has the file, else the field is named" {
	needs_v1
	needs_controller blkio
	local dir

	resources '{blockIO: {weight: 300}}'
	run_vzrun create --bundle "$BUNDLE" "$ID"
	if [[ $status == 0 ]]; then
		dir=$(cg_dir "$(pid_of "$ID")" blkio)
		assert_eq "$(cat "$dir/blkio.bfq.weight" "$dir/blkio.weight" 2>/dev/null | head -n 1)" 300
	else
		assert_match "$stderr" "*/linux/resources/blockIO/weight*"
	fi
	resources '{blockIO: {weight: 9}}'
	fails "/linux/resources/blockIO" create --bundle "$BUNDLE" "$ID-2"
}

# ---- devices ----

# A device that no driver has: whoever may open it gets ENXIO, whoever may not EPERM.
nodes='mknod /tmp/zero c 1 5; mknod /tmp/odd c 240 7; mknod /tmp/loop b 7 0'
tried='for d in zero odd loop; do for how in "<" ">"; do
	if eval "(: $how /tmp/$d) 2>/tmp/err"; then echo -n "$d$how:ok "; elif grep -q "not permitted" /tmp/err; then echo -n "$d$how:no "; else echo -n "$d$how:else "; fi; done; done'

@test "devices: nothing but the default devices, though root could make any node" {
	needs_v1
	resources '{devices: [{allow: false, access: "rwm"}]}'
	run_sh "$nodes; $tried"
	assert_eq "$output" "zero<:ok zero>:ok odd<:no odd>:no loop<:no loop>:no "
	assert_match "$(stat -c %F "$BUNDLE/rootfs/tmp/odd")" "character special file"
}

@test "devices: one allowed for reading only" {
	resources '{devices: [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 240, minor: 7, access: "r"}]}'
	run_sh "$nodes; $tried"
	assert_eq "$output" "zero<:ok zero>:ok odd<:else odd>:no loop<:no loop>:no "
}

@test "devices: everything but one" {
	resources '{devices: [{allow: true, access: "rwm"}, {allow: false, type: "c", major: 240, minor: 7, access: "rw"}]}'
	run_sh "$nodes; mknod /tmp/odder c 240 8; $tried; (: </tmp/odder) 2>&1 | grep -q 'not permitted' || echo other"
	assert_match "$output" "zero<:ok zero>:ok odd<:no odd>:no loop<:* loop>:* other"
	[[ $output != *loop*:no* ]]
}

@test "devices: everything but one, which cannot be made either" {
	resources '{devices: [{allow: true, access: "rwm"}, {allow: false, type: "c", major: 240, minor: 7, access: "rwm"}]}'
	run_sh "mknod /tmp/zero c 1 5 && echo made; mknod /tmp/odd c 240 7 2>/dev/null || echo not made"
	needs_v1
	assert_eq "$output" $'made\nnot made'
}

@test "devices: a node of the document is allowed only by a rule" {
	config_set '.linux.devices = [{path: "/dev/message", type: "c", major: 1, minor: 11, fileMode: 438}]
		| .linux.resources = {devices: [{allow: false, access: "rwm"}]}'
	run_sh '(: </dev/message) 2>&1 || true; (: </dev/null) && echo null'
	assert_match "$output" "*not permitted*null"
}

@test "devices: exec is bound by them as well" {
	resources '{devices: [{allow: false, access: "rwm"}]}'
	start_sleep
	run_vzrun exec "$ID" sh -c "$nodes; $tried"
	assert_match "$output" "*odd<:no odd>:no loop<:no*"
}

# ---- what this host has not ----

@test "hugepageLimits, rdma, network: on a host without the controller the field is named" {
	[[ ! -d /sys/fs/cgroup/net_cls && ! -d /sys/fs/cgroup/net_cls,net_prio ]] || skip "this host has net_cls"
	resources '{network: {classID: 4097}}'
	refused "/linux/resources/network/classID"
	resources '{network: {priorities: [{name: "lo", priority: 5}]}}'
	refused "/linux/resources/network/priorities"
	[[ ! -d /sys/fs/cgroup/rdma ]] && ! grep -qs rdma /sys/fs/cgroup/{unified/,}cgroup.controllers || skip "this host has rdma"
	resources '{rdma: {mlx5_1: {hcaHandles: 3}}}'
	refused "/linux/resources/rdma/mlx5_1"
}

@test "hugepageLimits: by the hierarchy that has hugetlb, a size that the host has not is named" {
	local dir

	for dir in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		grep -qsw hugetlb "$dir/cgroup.controllers" && break
		dir=
	done
	[[ -n $dir && -d /sys/kernel/mm/hugepages/hugepages-2048kB ]] || skip "no hugetlb of cgroup v2 with 2 MiB pages here"
	resources '{hugepageLimits: [{pageSize: "2MB", limit: 4194304}]}'
	start_sleep
	cg_is hugetlb.2MB.max 4194304
	ok delete --force "$ID"
	resources '{hugepageLimits: [{pageSize: "3MB", limit: 4194304}]}'
	refused "/linux/resources/hugepageLimits/0"
}

@test "unified: what cgroup v2 of this host has is written, what it has not is named" {
	[[ $(cg_mode) == hybrid ]] || skip "needs a hybrid host"
	grep -qw hugetlb /sys/fs/cgroup/unified/cgroup.controllers || skip "no hugetlb of cgroup v2 with 2 MiB pages here"
	resources '{unified: {"hugetlb.2MB.max": "2097152", "cgroup.max.depth": "7"}}'
	start_sleep
	cg_is hugetlb.2MB.max 2097152
	cg_is cgroup.max.depth 7
	ok delete --force "$ID"
	resources '{unified: {"memory.high": "1000000"}}'
	refused "/linux/resources/unified/memory.high"
	resources '{unified: {"hugetlb.none": "1"}}'
	refused "/linux/resources/unified/hugetlb.none"
	resources '{unified: {"../cgroup.procs": "1"}}'
	refused "/linux/resources/unified"
	resources '{unified: {"nodot": "1"}}'
	refused "/linux/resources/unified: key 'nodot'"
}

@test "resources: wrong types and numbers are pointed at" {
	resources '{memory: {limit: "much"}}'
	refused "/linux/resources/memory/limit"
	resources '{pids: {limit: 1.5}}'
	refused "/linux/resources/pids/limit"
	resources '{cpu: {shares: -1}}'
	refused "/linux/resources/cpu/shares"
	resources '{devices: [{allow: true, access: "rwx"}]}'
	refused "/linux/resources/devices/0/access"
}
