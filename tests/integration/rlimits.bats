#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# process.rlimits, as /proc/self/limits of the payload tells them.

load ../lib/helpers

# set_limit TYPE SOFT HARD
set_limit() {
	# Not by jq, which rounds numbers above 2^53.
	config_set --arg t "$1" '.process.rlimits = [{type: $t, soft: "@S", hard: "@H"}]'
	sed -i "s/\"@S\"/$2/; s/\"@H\"/$3/" "$CONFIG"
}

# limit_is "NAME OF THE LINE" SOFT HARD
limit_is() {
	run_args grep "^$1 " /proc/self/limits || return
	output=${output#"$1"}
	# shellcheck disable=SC2086
	set -- "$2 $3" $output
	assert_eq "$2 $3" "$1"
}

UNLIMITED=18446744073709551615

@test "rlimits: every type" {
	local row type line soft hard got

	config_set '.process.rlimits = []'
	while read -r type soft hard line; do
		config_set --arg t "$type" --argjson s "$soft" --argjson h "$hard" \
			'.process.rlimits += [{type: $t, soft: $s, hard: $h}]'
	done <<'ROWS'
RLIMIT_AS 1000000000 2000000000 Max address space
RLIMIT_CORE 0 4096 Max core file size
RLIMIT_CPU 100 200 Max cpu time
RLIMIT_DATA 100000000 200000000 Max data size
RLIMIT_FSIZE 1000000 2000000 Max file size
RLIMIT_LOCKS 100 200 Max file locks
RLIMIT_MEMLOCK 4096 8192 Max locked memory
RLIMIT_MSGQUEUE 1000 2000 Max msgqueue size
RLIMIT_NICE 0 0 Max nice priority
RLIMIT_NOFILE 100 200 Max open files
RLIMIT_NPROC 50 60 Max processes
RLIMIT_RSS 1000000 2000000 Max resident set
RLIMIT_RTPRIO 0 0 Max realtime priority
RLIMIT_RTTIME 1000000 2000000 Max realtime timeout
RLIMIT_SIGPENDING 50 60 Max pending signals
RLIMIT_STACK 1000000 2000000 Max stack size
ROWS
	run_args cat /proc/self/limits
	got=$(sed -n 's/^\(Max.*[a-z]\)  *\([0-9][0-9]*\)  *\([0-9][0-9]*\).*/\1 \2 \3/p' <<<"$output" | sed 's/  */ /g' | sort)
	assert_eq "$got" "Max address space 1000000000 2000000000
Max core file size 0 4096
Max cpu time 100 200
Max data size 100000000 200000000
Max file locks 100 200
Max file size 1000000 2000000
Max locked memory 4096 8192
Max msgqueue size 1000 2000
Max nice priority 0 0
Max open files 100 200
Max pending signals 50 60
Max processes 50 60
Max realtime priority 0 0
Max realtime timeout 1000000 2000000
Max resident set 1000000 2000000
Max stack size 1000000 2000000"
}

@test "rlimits: unlimited is a number as well" {
	[[ $(ulimit -Hc) == unlimited ]] || skip "this process may not have unlimited core files"
	config_set '.process.args = ["grep", "^Max core", "/proc/self/limits"]'
	set_limit RLIMIT_CORE "$UNLIMITED" "$UNLIMITED"
	ok run --bundle "$BUNDLE" "$ID"
	assert_match "$output" "Max core file size        unlimited            unlimited *"
}

@test "rlimits: those that the document does not name stay as they are" {
	config_set '.process.rlimits = []'
	limit_is "Max open files" "$(ulimit -Sn)" "$(ulimit -Hn)"
}

@test "rlimits: a hard limit above our own names the limit and both values" {
	[[ $((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24 & 1)) == 0 ]] || skip "this process has CAP_SYS_RESOURCE"
	local own

	own=$(ulimit -Hn)
	set_limit RLIMIT_NOFILE 100 $((own + 1))
	fails "RLIMIT_NOFILE: hard limit $((own + 1)) is above the current $own, needs CAP_SYS_RESOURCE" \
		run --bundle "$BUNDLE" "$ID"
	fails "RLIMIT_NOFILE: hard limit" --log "$T/log" --log-format json create --bundle "$BUNDLE" "$ID"
	[[ $(jq -s 'length == 1 and (.[0].msg | contains("RLIMIT_NOFILE"))' "$T/log") == true ]]
	[[ ! -e $ROOT/$ID ]]
}

@test "rlimits: the same for the address space, which is limited later than the others" {
	needs_plain_build
	(
		ulimit -v 4000000
		set_limit RLIMIT_AS 100000000 $((4000001 * 1024))
		[[ $((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24 & 1)) == 0 ]] || exit 0
		fails "RLIMIT_AS: hard limit $((4000001 * 1024)) is above the current $((4000000 * 1024))" \
			run --bundle "$BUNDLE" "$ID"
	)
}

@test "rlimits: twice the same type is an error" {
	config_set '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]'
	fails "/process/rlimits/1" run --bundle "$BUNDLE" "$ID"
}

@test "rlimits: a small address space does not starve the runtime, seccomp included" {
	config_set '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mount"], action: "SCMP_ACT_ERRNO"}]}'
	set_limit RLIMIT_AS 6000000 6000000
	limit_is "Max address space" 6000000 6000000
}

@test "rlimits: nor does a small data segment" {
	set_limit RLIMIT_DATA 400000 400000
	limit_is "Max data size" 400000 400000
}

@test "rlimits: three files and not one more" {
	config_set 'del(.process.env)'
	set_limit RLIMIT_NOFILE 3 3
	add_probe
	# HOME is looked up in a file: that comes before the limit.
	config_set '.process.user = {uid: 1000, gid: 1000} | .process.args = ["probe", "sched"]'
	ok run --bundle "$BUNDLE" "$ID"
	config_set '.process.args = ["env"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" "HOME=/home/user"
}

@test "rlimits: three files bind neither a startContainer hook nor the listener of an agent" {
	local agent

	add_probe
	printf '#!/bin/sh\ncat >/tmp/hooked\n' >"$BUNDLE/rootfs/bin/hook"
	chmod 755 "$BUNDLE/rootfs/bin/hook"
	set_limit RLIMIT_NOFILE 3 3
	config_set --arg s "$T/sock" '.hooks = {startContainer: [{path: "/bin/hook"}]}
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $s,
			syscalls: [{names: ["getpgid"], action: "SCMP_ACT_NOTIFY"}]}'
	timeout 20 "$PROBE" agent "$T/sock" 88 >"$T/agent" 2>&1 </dev/null 3>&- 4>&- &
	agent=$!
	wait_until test -S "$T/sock"
	run_args probe call getpgid 0
	assert_eq "$output" "-1 88"
	wait "$agent"
	[[ -s $BUNDLE/rootfs/tmp/hooked ]]
}

@test "rlimits: no file at all" {
	set_limit RLIMIT_NOFILE 0 0
	run_probe sched
	assert_match "$output" "policy 0*"
}

@test "rlimits: of processes: none more for a user, root is not bound" {
	add_probe
	set_limit RLIMIT_NPROC 1 1
	config_set '.process.user = {uid: 41234, gid: 41234}'
	run_args probe forks 2
	assert_eq "$output" "0 11"
	config_set '.process.user = {uid: 0, gid: 0} | .process.capabilities = {}'
	run_args probe forks 2
	assert_eq "$output" "2 0"
}

@test "rlimits: file size" {
	set_limit RLIMIT_FSIZE 1024 1024
	config_set '.process.args = ["sh", "-c", "dd if=/dev/zero of=/tmp/f bs=2048 count=1 2>/dev/null"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	[[ $status != 0 && $(stat -c %s "$BUNDLE/rootfs/tmp/f") == 1024 ]]
}

@test "rlimits: in a user namespace the host sets them" {
	config_set '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings
		| .process.user = {uid: 1000, gid: 1000}
		| .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 13, hard: 30}, {type: "RLIMIT_AS", soft: 6000000, hard: 7000000}]'
	run_args grep -E "^Max (open|addr)" /proc/self/limits
	assert_match "$output" "Max open files            13                   30 *Max address space         6000000              7000000 *"
}

@test "exec: limits of the container's document, of its own with --process" {
	set_limit RLIMIT_NOFILE 77 88
	start_sleep
	ok exec "$ID" sh -c "ulimit -Sn; ulimit -Hn"
	assert_eq "$output" $'77\n88'
	jq '.process | .args = ["sh", "-c", "ulimit -Sn; ulimit -Hn"]
		| .rlimits = [{type: "RLIMIT_NOFILE", soft: 55, hard: 66}]' "$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	assert_eq "$output" $'55\n66'
}
