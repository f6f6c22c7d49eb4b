#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Debian has no CRI-O: the very calls that it makes, with Debian's conmon where CRI-O uses conmon.

load ../lib/helpers

setup() {
	needs_command conmon
	vz_setup
	mkdir "$T/exits" "$T/persist" "$T/sockets"
	rt features >/dev/null
}

# rt ARGS...: as CRI-O calls the runtime itself; standard input is the caller's.
rt() { timeout -k 5 60 "$VZRUN" "--root=$ROOT" "$@" 3>&- 4>&-; }

# monitor ARGS...: conmon, which goes into the background and writes JSON lines about its child to the descriptor it is told.
monitor() {
	local systemd=

	[[ ${VZ_MANAGER:-} != systemd ]] || systemd=-s
	(cd "$T" && _OCI_SYNCPIPE=5 timeout -k 5 60 conmon $systemd -c "$ID" -n name -u "$ID" -r "$VZRUN" -l "$T/log" \
		--socket-dir-path "$T/sockets" --runtime-arg "--root=$ROOT" --log-level warning "$@" 5>"$T/sync" >/dev/null 2>"$T/conmon.err" </dev/null 3>&- 4>&-)
}

# create [ARGS...]: the container of $CONFIG by conmon.
create() {
	monitor -b "$BUNDLE" -p "$T/pid" -P "$T/conmon.pid" --exit-dir "$T/exits" --persist-dir "$T/persist" "$@"
	wait_until test -s "$T/sync"
	[[ $(jq -r .pid "$T/sync") == "$(cat "$T/pid")" ]] || { cat "$T/sync" "$T/conmon.err"; return 1; }
}

status_of() { rt state "$ID" | jq -r .status; }
status_is() { [[ $(status_of) == "$1" ]]; }

# ended CODE: what conmon has seen.
ended() {
	wait_until test -s "$T/exits/$ID"
	assert_eq "$(cat "$T/exits/$ID")" "$1"
	wait_until status_is stopped
}

# process ARGS...: a process document for exec.
process() {
	jq --arg tty "${TTY:-no}" '.process | .args = $ARGS.positional | .terminal = ($tty == "yes")' "$CONFIG" --args -- "$@" \
		>"$T/process.json"
}

exec_direct() { rt exec --process "$T/process.json" "$ID" </dev/null; }

# exec_sync WANT: by conmon, whose second line on the pipe is the exit status.
exec_sync() {
	rm -f "$T/log"
	monitor -p "$T/exec.pid" -e --exec-process-spec "$T/process.json" --exit-dir "$T/exits" -T 30 --persist-dir "$T/persist"
	wait_until grep -q exit_code "$T/sync"
	assert_eq "$(jq -s '.[-1].exit_code' "$T/sync")" "$1"
}

payload() { config_set --arg s "$1" '.process.args = ["sh", "-c", $s]'; }

@test "cri-o: create by conmon, start, state, stop by name of the signal, delete" {
	payload 'trap "echo bye; exit 5" TERM; echo started; while :; do sleep 0.1; done'
	create
	assert_eq "$(rt state "$ID" | jq -r '"\(.status) \(.pid) \(.bundle)"')" "created $(cat "$T/pid") $BUNDLE"
	rt start "$ID"
	wait_until grep -q 'stdout F started' "$T/log"
	status_is running
	date -d "$(rt state "$ID" | jq -r .created)" +%s
	rt kill "$ID" TERM
	ended 5
	grep -q 'stdout F bye' "$T/log"
	assert_eq "$(rt state "$ID" | jq -r .pid)" 0
	run rt kill "$ID" KILL
	assert_match "$status $output" '[1-9]*container not running*'
	rt delete --force "$ID"
	rt delete --force "$ID"
	run rt state "$ID"
	assert_match "$status $output" '[1-9]*does not exist*'
}

# processes TEST-OPERATOR NUMBER: how many there are, asked again by each call
processes() { test "$(rt ps --format json "$ID" | jq length)" "$@"; }

@test "cri-o: real-time signals by name, and all processes by number" {
	payload 'trap "exit 37" 37; sleep 1000 & while :; do sleep 0.1; done'
	config_set 'del(.linux.namespaces[] | select(.type == "pid"))'
	create
	rt start "$ID"
	wait_until processes -ge 2
	rt kill "$ID" SIGRTMIN+3
	ended 37
	rt kill -a "$ID" 9
	wait_until processes = 0
	rt delete --force "$ID"
}

@test "cri-o: exec in the foreground: pipes, input, exit status" {
	payload 'sleep 1000'
	create
	rt start "$ID"
	process sh -c 'cat; echo err >&2; exit 3'
	status=0
	output=$(echo input | rt exec --process "$T/process.json" "$ID" 2>"$T/stderr") || status=$?
	assert_eq "$status $output $(cat "$T/stderr")" "3 input err"
	process /nonexistent
	run exec_direct
	assert_match "$status $output" '255*exec: "/nonexistent"*'
	process sh -c 'kill -9 $$'
	run exec_direct
	assert_eq "$status" 137
}

@test "cri-o: exec in the foreground on a terminal of the caller's, whose size follows" {
	payload 'sleep 1000'
	create
	rt start "$ID"
	TTY=yes process sh -c 'tty; stty size; read -r line; echo "got $line"; stty size; exit 6'
	status=0
	output=$(timeout 60 python3 "$HERE/../engines/cri/terminal.py" "$VZRUN" "--root=$ROOT" exec --process "$T/process.json" \
		"$ID" 3>&- 4>&-) || status=$?
	assert_match "$output" $'/dev/pts/*10 20*got word*30 40*'
	assert_eq "$status" 6
}

@test "cri-o: exec by conmon tells output and exit status" {
	payload 'sleep 1000'
	create
	rt start "$ID"
	process sh -c 'echo out; echo err >&2; exit 4'
	exec_sync 4
	grep -q 'stdout F out' "$T/log"
	grep -q 'stderr F err' "$T/log"
	process sleep 1000
	monitor -p "$T/exec.pid" -e --exec-process-spec "$T/process.json" --exit-dir "$T/exits" -T 1 --persist-dir "$T/persist"
	wait_until grep -q exit_code "$T/sync"
	assert_eq "$(jq -s '.[-1].exit_code' "$T/sync")" -1
	process /nonexistent
	monitor -p "$T/exec.pid" -e --exec-process-spec "$T/process.json" --exit-dir "$T/exits" -T 30 --persist-dir "$T/persist"
	wait_until test -s "$T/sync"
	assert_match "$(cat "$T/sync")" '*-1*/nonexistent*'
}

@test "cri-o: update reads resources from its input" {
	payload 'sleep 1000'
	create
	rt start "$ID"
	echo '{"memory": {"limit": 100663296}, "cpu": {"shares": 2048, "quota": 25000, "period": 100000}, "pids": {"limit": 50}}' |
		rt update --resources - "$ID"
	assert_eq "$(cg pids.max)" 50
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cg memory.max) $(cg cpu.max)" "100663296 25000 100000"
	else
		assert_eq "$(cg memory.limit_in_bytes) $(cg cpu.cfs_quota_us)" "100663296 25000"
	fi
	echo '{"cpu": {"shares": "many"}}' >"$T/bad"
	run rt update --resources - "$ID" <"$T/bad"
	assert_match "$status $output" '[1-9]*/cpu/shares*'
	status_is running
}

@test "cri-o: pause, resume" {
	payload 'sleep 1000'
	create
	rt start "$ID"
	rt pause "$ID"
	status_is paused
	rt resume "$ID"
	status_is running
}

@test "cri-o: a program that is not there fails the creation, and conmon hands over the words" {
	config_set '.process.args = ["/nonexistent"]'
	monitor -b "$BUNDLE" -p "$T/pid" -P "$T/conmon.pid" --exit-dir "$T/exits" --persist-dir "$T/persist" || :
	wait_until test -s "$T/sync"
	assert_match "$(cat "$T/sync")" '*-1*exec: \\"/nonexistent\\"*'
	run rt state "$ID"
	assert_match "$status $output" '[1-9]*does not exist*'
}
