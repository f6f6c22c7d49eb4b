#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# How and where the payload runs: scheduler, ioPriority, execCPUAffinity, memoryPolicy, personality, oomScoreAdj,
# labels, intelRdt.

load ../lib/helpers

scheduler() { config_set ".process.scheduler = $1"; }

own_cap() { [[ $((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> $1 & 1)) == 1 ]]; }

@test "scheduler: OTHER with a nice value" {
	scheduler '{policy: "SCHED_OTHER", nice: 11}'
	run_probe sched
	assert_match "$output" "policy 0 nice 11 priority 0 *"
}

@test "scheduler: a negative nice value" {
	scheduler '{policy: "SCHED_OTHER", nice: -5}'
	run_probe sched
	assert_match "$output" "policy 0 nice -5 *"
}

@test "scheduler: BATCH, IDLE, and the reset-on-fork flag" {
	scheduler '{policy: "SCHED_BATCH", nice: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'
	run_probe sched
	assert_match "$output" "policy 3 nice 3 priority 0 flags 1 *"
	scheduler '{policy: "SCHED_IDLE"}'
	run_probe sched
	assert_match "$output" "policy 5 *"
}

@test "scheduler: real time without a share of the cgroup says why" {
	needs_v1
	[[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] || skip "no real-time group scheduling here"
	for policy in SCHED_FIFO SCHED_RR; do
		scheduler "{policy: \"$policy\", priority: 10}"
		fails "scheduler: $policy (the cpu cgroup has no real-time share: cpu.rt_runtime_us, resources.cpu.realtimeRuntime)" \
			run --bundle "$BUNDLE" "$ID"
		assert_match "$stderr" "*operation not permitted*"
	done
}

@test "scheduler: real time with a share" {
	needs_v1
	[[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] || skip "no real-time group scheduling here"
	scheduler '{policy: "SCHED_FIFO", priority: 10}'
	config_set '.linux.resources.cpu.realtimeRuntime = 20000'
	run_probe sched
	assert_match "$output" "policy 1 nice 0 priority 10 *"
	scheduler '{policy: "SCHED_RR", priority: 3}'
	run_probe sched
	assert_match "$output" "policy 2 nice 0 priority 3 *"
}

@test "scheduler: DEADLINE is set when the affinity allows it, else the reason is named" {
	scheduler '{policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 10000000, period: 10000000}'
	add_probe
	config_set '.process.args = ["probe", "sched"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	if [[ $status == 0 ]]; then
		assert_match "$output" "policy 6 *runtime 1000000 deadline 10000000 period 10000000"
	else
		assert_match "$stderr" "*scheduler: SCHED_DEADLINE (*"
	fi
}

@test "scheduler: a document that makes no sense is an error before anything exists" {
	scheduler '{policy: "SCHED_DEADLINE"}'
	fails "/process/scheduler" create --bundle "$BUNDLE" "$ID"
	scheduler '{policy: "SCHED_DEADLINE", runtime: 20, deadline: 10, period: 5}'
	fails "/process/scheduler" create --bundle "$BUNDLE" "$ID"
	scheduler '{policy: "SCHED_OTHER", priority: 3}'
	fails "/process/scheduler/priority" create --bundle "$BUNDLE" "$ID"
	scheduler '{policy: "SCHED_OTHER", nice: 20}'
	fails "/process/scheduler/nice" create --bundle "$BUNDLE" "$ID"
	scheduler '{policy: "SCHED_ISO"}'
	fails "/process/scheduler/policy" create --bundle "$BUNDLE" "$ID"
	scheduler '{policy: "SCHED_WHENEVER"}'
	fails "/process/scheduler/policy" create --bundle "$BUNDLE" "$ID"
	scheduler '{policy: "SCHED_OTHER", flags: ["SCHED_FLAG_WARP"]}'
	fails "/process/scheduler/flags/0" create --bundle "$BUNDLE" "$ID"
}

@test "scheduler, ioPriority, memoryPolicy, oomScoreAdj: in a user namespace" {
	add_probe
	config_set '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings | .process.oomScoreAdj = 300 | .process.scheduler = {policy: "SCHED_BATCH", nice: 5}
		| .process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6} | .linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}'
	run_args sh -c 'cat /proc/self/oom_score_adj; probe sched; probe ioprio; probe mempolicy'
	assert_match "$output" $'300\npolicy 3 nice 5 *\nclass 2 level 6\nmode 2 nodes 1'
	scheduler '{policy: "SCHED_OTHER", nice: -5}'
	fails "scheduler: SCHED_OTHER (a lower nice value needs CAP_SYS_NICE of the initial user namespace)" \
		run --bundle "$BUNDLE" "$ID"
}

@test "scheduler: exec has its own" {
	add_probe
	scheduler '{policy: "SCHED_OTHER", nice: 5}'
	start_sleep
	ok exec "$ID" probe sched
	assert_match "$output" "policy 0 nice 5 *"
	jq '.process | .args = ["probe", "sched"] | .scheduler = {policy: "SCHED_BATCH", nice: 9}' "$CONFIG" >"$T/p.json"
	ok exec --process "$T/p.json" "$ID"
	assert_match "$output" "policy 3 nice 9 *"
}

@test "ioPriority: each class" {
	local class level want

	while read -r class level want; do
		config_set ".process.ioPriority = {class: \"$class\", priority: $level}"
		run_probe ioprio
		assert_eq "$class $output" "$class $want"
	done <<'ROWS'
IOPRIO_CLASS_RT 3 class 1 level 3
IOPRIO_CLASS_BE 7 class 2 level 7
IOPRIO_CLASS_BE 0 class 2 level 0
IOPRIO_CLASS_IDLE 0 class 3 level 0
ROWS
	config_set '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 8}'
	fails "/process/ioPriority/priority" create --bundle "$BUNDLE" "$ID"
	config_set '.process.ioPriority = {class: "IOPRIO_CLASS_FAST", priority: 0}'
	fails "/process/ioPriority/class" create --bundle "$BUNDLE" "$ID"
}

@test "ioPriority: the caller keeps its own" {
	local before

	before=$("$PROBE" ioprio)
	config_set '.process.ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 0}'
	run_probe ioprio
	assert_eq "$("$PROBE" ioprio)" "$before"
}

needs_cpus() { [[ $(nproc --all) -ge $1 ]] || skip "needs $1 processors"; }

allowed() { sed -n 's/^Cpus_allowed_list:\t//p' <<<"$output"; }

@test "execCPUAffinity: final is what the program has, initial alone stays" {
	needs_cpus 2
	start_sleep
	for both in '{initial: "0", final: "1"} 1' '{initial: "1"} 1' '{final: "0"} 0' '{initial: "0", final: "0-1"} 0-1'; do
		jq ".process | .args = [\"cat\", \"/proc/self/status\"] | .execCPUAffinity = ${both% *}" "$CONFIG" >"$T/p.json"
		ok exec --process "$T/p.json" "$ID"
		assert_eq "$both: $(allowed)" "$both: ${both##* }"
	done
}

@test "execCPUAffinity: is for exec alone" {
	needs_cpus 2
	config_set '.process.execCPUAffinity = {final: "1"}'
	run_args cat /proc/self/status
	assert_eq "$(allowed)" "$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/1/status)"
}

@test "execCPUAffinity: what is no list, or no processor of this host, is an error" {
	start_sleep
	jq '.process | .execCPUAffinity = {initial: "0-"}' "$CONFIG" >"$T/p.json"
	fails "/execCPUAffinity/initial" exec --process "$T/p.json" "$ID"
	jq '.process | .execCPUAffinity = {final: "4000"}' "$CONFIG" >"$T/p.json"
	fails "CPU affinity 4000: none of these CPUs is allowed here" exec --process "$T/p.json" "$ID"
}

@test "affinity: a caller with a mask of its own does not hand it on" {
	needs_cpus 2
	config_set '.process.args = ["cat", "/proc/self/status"]'
	output=$(timeout 20 taskset -c 1 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 2>&1 </dev/null 3>&- 4>&-)
	assert_eq "$(allowed)" "0-$(($(nproc --all) - 1))"
}

@test "affinity: the container's cpuset holds, for exec too" {
	needs_cpus 2
	needs_controller cpuset
	config_set '.linux.resources.cpu.cpus = "1"'
	run_args cat /proc/self/status
	assert_eq "$(allowed)" 1
	start_sleep
	ok exec "$ID" cat /proc/self/status
	assert_eq "$(allowed)" 1
}

@test "memoryPolicy: modes and nodes" {
	config_set '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}'
	run_probe mempolicy
	assert_eq "$output" "mode 2 nodes 1"
	config_set '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}'
	run_probe mempolicy
	assert_eq "$output" "mode $((3 | 1 << 15)) nodes 1"
	config_set '.linux.memoryPolicy = {mode: "MPOL_PREFERRED"}'
	run_probe mempolicy
	assert_match "$output" "mode [14] nodes 0"
	config_set '.linux.memoryPolicy = {mode: "MPOL_DEFAULT"}'
	run_probe mempolicy
	assert_eq "$output" "mode 0 nodes 0"
}

@test "memoryPolicy: the texts of its errors" {
	config_set '.linux.memoryPolicy = {mode: "MPOL_BEST", nodes: "0"}'
	fails "/linux/memoryPolicy/mode: *invalid memory policy mode" create --bundle "$BUNDLE" "$ID"
	config_set '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_MAGIC"]}'
	fails "/linux/memoryPolicy/flags/0: *invalid memory policy flag" create --bundle "$BUNDLE" "$ID"
	config_set '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "zero"}'
	fails "/linux/memoryPolicy/nodes: *invalid memory policy node" create --bundle "$BUNDLE" "$ID"
	config_set '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "1000"}'
	fails "invalid memory policy node" create --bundle "$BUNDLE" "$ID"
}

@test "personality: LINUX32 is seen by uname" {
	[[ $(uname -m) == x86_64 ]] || skip "x86-64 only"
	config_set '.linux.personality = {domain: "LINUX32"}'
	run_args uname -m
	assert_eq "$output" i686
	start_sleep
	ok exec "$ID" uname -m
	assert_eq "$output" i686
	ok delete --force "$ID"
	config_set '.linux.personality = {domain: "LINUX"}'
	run_args uname -m
	assert_eq "$output" x86_64
	config_set '.linux.personality = {domain: "MSDOS"}'
	fails "/linux/personality/domain" create --bundle "$BUNDLE" "$ID"
}

@test "personality: comes before seccomp" {
	config_set '.linux.personality = {domain: "LINUX32"}
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["personality"], action: "SCMP_ACT_KILL"}]}'
	run_args true
}

@test "oomScoreAdj: raised, for exec as well" {
	config_set '.process.oomScoreAdj = 321'
	run_args cat /proc/self/oom_score_adj
	assert_eq "$output" 321
	start_sleep
	ok exec "$ID" cat /proc/self/oom_score_adj
	assert_eq "$output" 321
	jq '.process | .args = ["cat", "/proc/self/oom_score_adj"] | .oomScoreAdj = 555' "$CONFIG" >"$T/p.json"
	ok exec --process "$T/p.json" "$ID"
	assert_eq "$output" 555
}

@test "oomScoreAdj: unset is the caller's" {
	config_set '.process.args = ["cat", "/proc/self/oom_score_adj"]'
	(
		echo 77 >"/proc/$BASHPID/oom_score_adj"
		ok run --bundle "$BUNDLE" "$ID"
		assert_eq "$output" 77
	)
}

@test "oomScoreAdj: lowering without the privilege says what it needs" {
	! own_cap 24 || skip "this process has CAP_SYS_RESOURCE"
	config_set '.process.oomScoreAdj = -500'
	fails "oomScoreAdj -500 (lowering the score needs CAP_SYS_RESOURCE)" create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	config_set '.process.oomScoreAdj = 1001'
	fails "/process/oomScoreAdj" create --bundle "$BUNDLE" "$ID"
}

@test "apparmorProfile: on a host without AppArmor the field is named" {
	[[ ! -e /sys/kernel/security/apparmor ]] || skip "this host has AppArmor"
	config_set '.process.apparmorProfile = "docker-default"'
	fails "/process/apparmorProfile" create --bundle "$BUNDLE" "$ID"
	config_set '.process.apparmorProfile = ""'
	run_args true
	start_sleep
	fails "apparmor" exec --apparmor docker-default "$ID" true
}

@test "selinuxLabel, mountLabel: on a host without SELinux the field is named" {
	[[ ! -e /sys/fs/selinux/enforce ]] || skip "this host has SELinux"
	config_set '.process.selinuxLabel = "system_u:system_r:container_t:s0"'
	fails "/process/selinuxLabel" create --bundle "$BUNDLE" "$ID"
	config_set 'del(.process.selinuxLabel) | .linux.mountLabel = "system_u:object_r:container_file_t:s0"'
	fails "/linux/mountLabel" create --bundle "$BUNDLE" "$ID"
}

@test "intelRdt: on a host without resctrl the field is named" {
	! grep -q " resctrl " /proc/mounts || skip "this host has resctrl"
	config_set '.linux.intelRdt = {closID: "vz-test", l3CacheSchema: "L3:0=f"}'
	fails "/linux/intelRdt" create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
}
