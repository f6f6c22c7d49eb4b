#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# containerd writes containers of vzrun into images and lets them go on.

load containerd
load checkpoint

setup_file() { containerd_setup_file; }
teardown_file() { containerd_teardown_file; }

setup() {
	needs_root
	needs_criu
	containerd_setup
}

teardown() {
	local i

	if [[ -n ${T:-} ]]; then
		for i in $(ctr_raw image ls -q 2>/dev/null | grep checkpoint); do ctr_raw image rm "$i" >/dev/null 2>&1; done
	fi
	containerd_teardown
}

# counts OPTIONS... ID: a container that counts; $n, how far it has come.
counts() {
	box 0 -d "${@:1:$#-1}" $IMAGE "${!#}" sh -c "$COUNTING"
	wait_until counts_to "$(task_pid "${!#}")" 5
	n=$(counted "$(task_pid "${!#}")")
}

ends() {
	gives 0 task kill -s KILL "$1"
	wait_until task_is "$1" STOPPED
	rm_says 137 "$1"
	gives 0 container rm "$1"
}

@test "containerd: containers checkpoint --task, and restore --live: it goes on, with its limits, and once more from the same image" {
	local pid

	counts --memory-limit 67108864 c1
	gives 0 container checkpoint --task c1 checkpoint1
	# It went on meanwhile.
	task_is c1 RUNNING
	goes_on "$(task_pid c1)" "$n"
	ends c1
	gives 0 container restore --live c1 checkpoint1
	task_is c1 RUNNING
	pid=$(task_pid c1)
	wait_until counts_to "$pid" "$n"
	n=$(counted "$pid")
	wait_until counts_to "$pid" $((n + 3))
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cat "$(cg_dir "$pid" memory)/memory.max")" 67108864
	fi
	[[ ${VZ_MANAGER:-} != systemd || $(cat "/proc/$pid/cgroup") == *"/system.slice/$NAMESPACE-c1.scope"* ]]
	gives 0 task exec --exec-id e1 c1 true
	gives 0 task pause c1
	gives 0 task resume c1
	ends c1
	gives 0 container restore --live c1 checkpoint1
	wait_until counts_to "$(task_pid c1)" 6
	ends c1
}

@test "containerd: with --rw the root goes on as well" {
	counts c1
	gives 0 container checkpoint --task --image --rw c1 checkpoint1
	ends c1
	gives 0 container restore --live --rw c1 checkpoint1
	goes_on "$(task_pid c1)" "$n"
	ends c1
}

@test "containerd: tasks checkpoint --exit ends it, into a directory as well" {
	counts c1
	gives 0 task checkpoint --exit c1
	assert_match "$output" "containerd.io/checkpoint/c1:*"
	wait_until task_is c1 STOPPED
	rm_says 137 c1
	gives 0 container rm c1
	counts c2
	gives 0 task checkpoint --exit --image-path "$T/images" --work-path "$T/work" c2
	wait_until task_is c2 STOPPED
	[[ -s $T/images/vzrun.json && -s $T/work/dump.log ]]
}
