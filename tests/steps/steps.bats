#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each row of the flow table fails, kills the host side and kills init, in create, run, start and exec.  The rows come from
# `vzrun features --steps`, so a new row is covered, or the first test fails.
#
# Documents: full   everything that needs no user namespace, and an extension that acts at every point
#            user   user and time namespaces, a filter without no_new_privs
#            join   network, ipc, uts and pid namespaces of another process
#            lend   an interface of the host on loan (create alone)
#            rdt    intelRdt: the row is reached, and what can follow it is what needs resctrl

load ../lib/helpers
load faults

setup() {
	"$VZRUN" features --steps >/dev/null 2>&1 || skip "no build with fault injection"
	vz_setup
	mkdir "$T/probe"
	HOLDER=$(cat "$SHARED/holder")
	FAILED=
}

document() {
	[[ -e $CONFIG.plain ]] || cp "$CONFIG" "$CONFIG.plain"
	cp "$CONFIG.plain" "$CONFIG"
	case $1 in
	full)
		need_device
		config_set --arg agent "$SHARED/seccomp" --arg probe "$T/probe" '
			.annotations = { "org.openvz.probe": $probe, "org.openvz.cpulimit": "50" } |
			.hostname = "steps" | .linux.rootfsPropagation = "private" | .process.terminal = true | .process.oomScoreAdj = 100
			| .process.apparmorProfile = "unconfined"
			| (.mounts[] | select(.type == "cgroup") | .options) -= ["ro"]
			| .linux.sysctl = { "kernel.msgmax": "8192" }
			| .linux.netDevices = { "vzsteps0": { "name": "given0" } }
			| .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", listenerPath: $agent,
				syscalls: [{ names: ["swapon"], action: "SCMP_ACT_NOTIFY" }] }
			| { path: "/bin/true" } as $t
			| .hooks = { prestart: [$t], createRuntime: [$t], createContainer: [$t], startContainer: [$t],
				poststart: [$t], poststop: [$t] }'
		;;
	user)
		config_set '
			[{ containerID: 0, hostID: 0, size: 65536 }] as $map
			| .process.noNewPrivileges = false | .process.oomScoreAdj = 100 | .annotations = { "org.openvz.proc": "auto" }
			| .linux.uidMappings = $map | .linux.gidMappings = $map
			| .linux.timeOffsets = { "boottime": { "secs": 1000 } }
			| .linux.namespaces += [{ type: "user" }, { type: "time" }]
			| .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW",
				syscalls: [{ names: ["swapon"], action: "SCMP_ACT_ERRNO" }] }'
		;;
	join)
		config_set --arg d "/proc/$HOLDER/ns/" '
			{ pid: "pid", network: "net", ipc: "ipc", uts: "uts" } as $file
			| .linux.namespaces |= map(if $file[.type] then .path = $d + $file[.type] else . end)
			| del(.hostname)'
		;;
	lend)
		need_loan
		config_set '.annotations = { "org.openvz.netdev": "vzlend0", "org.openvz.devnodes": "null:rw" }'
		;;
	rdt) config_set '.linux.intelRdt = { "closID": "vzsteps" }' ;;
	esac
}

loan() { in_net ip addr show dev vzlend0 2>/dev/null | grep -o "inet 10.7.0.1/24\|mtu [0-9]*\|<.*UP.*>"; }
need_loan() {
	[[ -z $(loan) ]] || return 0
	in_net ip link add vzlend0 mtu 1400 type veth peer name vzlend1
	in_net ip addr add 10.7.0.1/24 dev vzlend0
	in_net ip link set vzlend1 up
	in_net ip link set vzlend0 up
	LOAN=$(loan)
}

# out_of_reach ROW COMMAND: no document of ours reaches it on this machine, and why.
out_of_reach() {
	case $1 in
	cgroup-delegate) [[ $(cg_mode) != v2 ]] ;;
	unit-enter) true ;; # only where a plain user's manager moves what may not move itself
	unit-start) [[ ${VZ_MANAGER:-} != systemd || $2 == exec ]] ;; # exec: likewise
	unit-wait*) [[ ${VZ_MANAGER:-} != systemd || $(cg_mode) == v2 ]] ;;
	unit-*) [[ ${VZ_MANAGER:-} != systemd ]] ;;
	*) return 1 ;;
	esac
}

# begin COMMAND DOCUMENT VARIABLES [GLOBAL...]
begin() {
	local command=$1 doc=$2 vars=$3
	local -a more=(--pid-file "$T/pid")

	shift 3
	[[ $doc != full ]] || need_device
	[[ $doc != full || $command != create ]] || more+=(--console-socket "$SHARED/console")
	[[ $command != create ]] || vars+=" $(notify "$doc")"
	call "$vars" "$@" "$command" --bundle "$BUNDLE" "${more[@]}" "$ID"
}

# start waits for the payload's word, or its end.
notify() { [[ $1 != full ]] || echo "NOTIFY_SOCKET=$SHARED/notify"; }

# each COMMAND DOCUMENT FUNCTION: for the rows that the document reaches.
each() {
	local row file=$SHARED/rows.$1.$2

	[[ -s $file ]] || { echo "the first test found no rows"; return 1; }
	while read -r row; do
		"$3" "$row" "$1" "$2"
	done <"$file"
	[[ -z $FAILED ]]
}

# reached COMMAND DOCUMENT: from a debug log that of the rows run.  exec says nothing: it succeeded.
reached() {
	sed -n 's/.*step \([a-z-]*\) (\(host\|init\)).*/\1/p' "$T/log" | sort -u >"$T/reached"
	echo exec >>"$T/reached"
	rows "$1" | grep -xFf "$T/reached" >"$SHARED/rows.$1.$2"
}

debug_log() { echo "--debug --log $T/log"; }

exec_process() {
	jq '.process | .args = ["true"] | .oomScoreAdj = 200
		| .execCPUAffinity = { initial: "0", final: "0" }' "$CONFIG" >"$T/process.json"
}

run_exec() {
	local vars=$1 doc=$2
	local -a more=(--pid-file "$T/pid" --process "$T/process.json")

	shift 2
	# With a terminal and its socket only when detached: the foreground has no use for one.
	[[ $doc != full ]] || more+=(--detach --console-socket "$SHARED/console")
	call "$vars" "$@" exec "${more[@]}" "$ID"
}

start_for_exec() {
	document "$1"
	exec_process
	config_set '.process.args = ["sleep", "1000"]'
	begin create "$1" ""
	assert_eq "$status" 0 && ok start "$ID"
	rm -f "$T/pid"
	wait_until grep -q ^sleep "/proc/$(pid_of "$ID")/cmdline"
	audit processes "$VZRUN_TEST_ID" >"$T/processes"
}

@test "every row of the table is reached by some document" {
	local doc command row lost=

	for doc in full user join; do
		BUNDLE=$T/$doc CONFIG=$T/$doc/config.json
		new_bundle "$BUNDLE"
		document "$doc"
		config_set '.process.args = ["true"]'
		rm -f "$T/log"
		# shellcheck disable=SC2046
		begin run "$doc" "" $(debug_log)
		[[ $status == 0 ]] || { bad "run of $doc"; return 1; }
		reached run "$doc"
		rm -f "$T/log" "$T/pid"
		# shellcheck disable=SC2046
		begin create "$doc" "" $(debug_log)
		[[ $status == 0 ]] || { bad "create of $doc"; return 1; }
		reached create "$doc"
		sed -i '/^exec$/d' "$SHARED/rows.create.$doc" # comes with start
		mv "$T/log" "$T/init.log"
		rm -f "$T/pid"
		# shellcheck disable=SC2046
		call "$(notify "$doc")" $(debug_log) start "$ID"
		[[ $status == 0 ]] || { bad "start of $doc"; return 1; }
		reached start "$doc"
		# init's part of it is in the log that create has opened.
		sed -n '/step await-start/,$ s/.*step \([a-z-]*\) (init).*/\1/p' "$T/init.log" >>"$SHARED/rows.start.$doc"
		echo exec >>"$SHARED/rows.start.$doc"
		ok delete --force "$ID"
		[[ $doc != full ]] || grep -qx hooks-start "$SHARED/rows.start.full" # or the log was lost
		[[ $doc == join ]] && continue
		start_for_exec "$doc"
		rm -f "$T/log"
		# shellcheck disable=SC2046
		run_exec "" "$doc" $(debug_log)
		[[ $status == 0 ]] || { bad "exec in $doc"; return 1; }
		wait_until test -e "$T/pid"
		reached exec "$doc"
		ok delete --force "$ID"
		rm -f "$T/pid"
	done
	BUNDLE=$T/lend CONFIG=$T/lend/config.json
	new_bundle "$BUNDLE"
	document lend
	rm -f "$T/log"
	# shellcheck disable=SC2046
	begin create lend "" $(debug_log)
	[[ $status == 0 && -z $(loan) ]] || { bad "create of lend"; return 1; }
	reached create lend
	sed -i '/^exec$/d' "$SHARED/rows.create.lend"
	call "" delete --force "$ID"
	rm -f "$T/pid"
	echo rdt | tee "$SHARED/rows.create.rdt" >"$SHARED/rows.run.rdt"

	cp "$SHARED/rows.start.full" "$T/all.create"
	for command in create run start exec; do
		cat "$SHARED/rows.$command".* >>"$T/all.$command"
		for row in $(rows $command); do
			grep -qx "$row" "$T/all.$command" || out_of_reach "$row" "$command" || lost+=" $command:$row"
		done
	done
	assert_eq "$lost" ""
}

# ---- create and run ----

fail_row() {
	begin "$2" "$3" "VZRUN_FAIL_STEP=$1"
	[[ $status != 0 && $status -lt 124 ]] || bad "$1: did not fail"
	[[ $stderr == *"step $1: made to fail"* ]] || bad "$1: does not say why"
	[[ $3 != full ]] || device || bad "$1: the network device is gone"
	clean "$1"
}

kill_host_row() {
	begin "$2" "$3" "VZRUN_KILL_HOST=$1"
	[[ $status == 137 ]] || bad "$1: the host was not killed"
	force_delete "$1"
}

# Microseconds.  Whoever waits for one that is dead waits for ten seconds; a busy emulated guest takes a few.
NOT_HUNG=8000000

kill_init_row() {
	local -i began=${EPOCHREALTIME/./}

	after_clone "$1" || return 0
	begin "$2" "$3" "VZRUN_KILL_INIT=$1"
	((${EPOCHREALTIME/./} - began < NOT_HUNG)) || bad "$1: took long"
	# The first process of two (fork-inner) may have done its part when the host comes to kill it.
	if [[ $1 == @(save-pid|unit-start) && $3 != full && $status == 0 ]]; then
		force_delete "$1"
		return
	fi
	# When the payload runs already it is the payload that was killed, or that has ended.
	if [[ $1 == hooks-poststart || ($1 == running && $status == @(0|137)) ]]; then
		[[ $status == 137 || $status == 0 ]] || bad "$1: expected the status of a payload"
		rm -f "$T/pid"
	else
		[[ $status != 0 && $status -lt 124 ]] || bad "$1: did not fail"
		[[ $stderr == *"init died"* ]] || bad "$1: does not say why"
	fi
	clean "$1"
}

each_command() {
	local doc=$1 what=$2 rc=0

	document "$doc"
	config_set '.process.args = ["true"]'
	each create "$doc" "$what" || rc=1
	each run "$doc" "$what" || rc=1
	return $rc
}

@test "create and run: a row fails: document full" { each_command full fail_row; }
@test "create and run: a row fails: document user" { each_command user fail_row; }
@test "create and run: a row fails: document join" { each_command join fail_row; }
@test "create and run: a row fails: document rdt" { each_command rdt fail_row; }
@test "create and run: the host side is killed at a row: document full" { each_command full kill_host_row; }
@test "create and run: the host side is killed at a row: document user" { each_command user kill_host_row; }
@test "create and run: the host side is killed at a row: document join" { each_command join kill_host_row; }
@test "create and run: the host side is killed at a row: document rdt" { each_command rdt kill_host_row; }
@test "create and run: init is killed at a row: document full" { each_command full kill_init_row; }
@test "create and run: init is killed at a row: document user" { each_command user kill_init_row; }
@test "create and run: init is killed at a row: document join" { each_command join kill_init_row; }

# is_back ROW: the interface that was lent; the next row has it again.
is_back() {
	[[ $(loan) == "$LOAN" ]] || bad "$1: vzlend0 is '$(loan)', not '$LOAN'"
	! compgen -G "/run/vzrun/.claims/*-vzlend0" || bad "$1: a claim is left"
}
fail_lending() { fail_row "$@" && is_back "$1"; }
kill_host_lending() { kill_host_row "$@" && is_back "$1"; }
kill_init_lending() { kill_init_row "$@" && is_back "$1"; }

each_lending() {
	document lend
	LOAN=$(loan)
	each create lend "$1"
}

@test "create: a row fails: document lend" { each_lending fail_lending; }
@test "create: the host side is killed at a row: document lend" { each_lending kill_host_lending; }
@test "create: init is killed at a row: document lend" { each_lending kill_init_lending; }

# ---- start ----

# start_with VARIABLE ROW DOCUMENT: init takes its faults from create's environment.
start_with() {
	begin create "$3" "$1=$2"
	[[ $status == 0 ]] || bad "$2: create"
	call "$1=$2 $(notify "$3")" start "$ID"
}

fail_start() {
	start_with VZRUN_FAIL_STEP "$1" "$3"
	[[ $status != 0 && $status -lt 124 ]] || bad "$1: did not fail"
	# Nobody listens to init between create and start.
	[[ $1 == await-start || $stderr == *"step $1: made to fail"* ]] || bad "$1: does not say why"
	[[ $1 != await-start || $stderr == *"cannot start a container that has stopped"* ]] || bad "$1: does not say why"
	case $1 in
	open | connect | notify-bind | ext-start | release) state_is "$ID" created && ok start "$ID" || bad "$1: cannot be started any more" ;;
	*) wait_state "$ID" stopped || bad "$1: still runs" ;;
	esac
	wait_state "$ID" stopped || bad "$1: goes on"
	call "" delete --force "$ID"
	[[ $status == 0 ]] || bad "$1: delete"
	rm -f "$T/pid"
	clean "$1"
}

kill_host_start() {
	start_with VZRUN_KILL_HOST "$1" "$3"
	[[ $status == 137 || $1 == await-start ]] || bad "$1: the host was not killed"
	force_delete "$1"
}

kill_init_start() {
	local -i began=${EPOCHREALTIME/./}

	start_with VZRUN_KILL_INIT "$1" "$3"
	((${EPOCHREALTIME/./} - began < NOT_HUNG)) || bad "$1: took long"
	# open: init lives when it is looked at; running, hooks-poststart: it may be the payload already.
	if [[ $1 == @(running|hooks-poststart) ]]; then
		[[ $status -lt 124 ]] || bad "$1: killed or hung"
	elif [[ $1 != open ]]; then
		[[ $status != 0 && $status -lt 124 ]] || bad "$1: did not fail"
		[[ $stderr == *@("died before"|"has stopped"|"init died")* ]] || bad "$1: does not say why"
	fi
	force_delete "$1"
}

each_start() {
	document "$1"
	config_set '.process.args = ["sleep", "0.1"]'
	each start "$1" "$2"
}

@test "start: a row fails: document full" { each_start full fail_start; }
@test "start: a row fails: document user" { each_start user fail_start; }
@test "start: the host side is killed at a row: document full" { each_start full kill_host_start; }
@test "start: the host side is killed at a row: document user" { each_start user kill_host_start; }
@test "start: killed after the word to go on: the container runs, and state says so" {
	config_set '.process.args = ["sleep", "1000"]'
	call "" create --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 0
	call VZRUN_KILL_HOST=running start "$ID"
	assert_eq "$status" 137
	wait_state "$ID" running
	fails "cannot start an already running container" start "$ID"
	fails "that is not stopped: running" delete "$ID"
	ok exec "$ID" true
}

@test "start: init is killed at a row: document full" { each_start full kill_init_start; }
@test "start: init is killed at a row: document user" { each_start user kill_init_start; }

# ---- exec ----

# as_before ROW: the container runs as if nothing had been, and nothing of exec is left.
as_before() {
	wait_until same_processes || bad "$1: other processes than before: $(audit processes "$VZRUN_TEST_ID")"
	state_is "$ID" running || bad "$1: the container does not run"
}
same_processes() { [[ $(audit processes "$VZRUN_TEST_ID") == "$(<"$T/processes")" ]]; }

fail_exec() {
	run_exec "VZRUN_FAIL_STEP=$1" "$3"
	[[ $status != 0 && $status != 124 && $status != 137 ]] || bad "$1: did not fail"
	[[ $stderr == *"step $1: made to fail"* ]] || bad "$1: does not say why"
	[[ ! -e $T/pid ]] || bad "$1: a pid file is left"
	as_before "$1"
}

kill_host_exec() {
	run_exec "VZRUN_KILL_HOST=$1" "$3"
	[[ $status == 137 ]] || bad "$1: the host was not killed"
	rm -f "$T/pid"
	as_before "$1"
}

kill_init_exec() {
	local -i began=${EPOCHREALTIME/./}

	after_clone "$1" || return 0
	run_exec "VZRUN_KILL_INIT=$1" "$3"
	((${EPOCHREALTIME/./} - began < NOT_HUNG)) || bad "$1: took long"
	if [[ $1 != running ]]; then
		[[ $status != 0 && $status != 124 && $status != 137 ]] || bad "$1: did not fail"
		[[ $stderr == *"init died"* ]] || bad "$1: does not say why"
		[[ ! -e $T/pid ]] || bad "$1: a pid file is left"
	fi
	rm -f "$T/pid"
	as_before "$1"
}

each_exec() {
	start_for_exec "$1"
	each exec "$1" "$2"
}

@test "exec: a row fails: document full" { each_exec full fail_exec; }
@test "exec: a row fails: document user" { each_exec user fail_exec; }
@test "exec: the host side is killed at a row: document full" { each_exec full kill_host_exec; }
@test "exec: the host side is killed at a row: document user" { each_exec user kill_host_exec; }
@test "exec: init is killed at a row: document full" { each_exec full kill_init_exec; }
@test "exec: init is killed at a row: document user" { each_exec user kill_init_exec; }
