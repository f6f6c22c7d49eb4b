#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Findings of a review of the whole runtime: locks, signals, descriptors and undo.

load ../lib/helpers

background() {
	timeout 30 "$VZRUN" --root "$ROOT" "$@" >"$T/bg.out" 2>"$T/bg.err" </dev/null 3>&- 4>&- &
	bg=$!
}

in_hook() { [[ -e $T/in-hook ]]; }

hanging_hook() {
	printf '#!/bin/sh\n: >%s/in-hook\nexec sleep 1000\n' "$T" >"$T/hook"
	chmod 755 "$T/hook"
	config_set --arg k "$1" --arg p "${2:-$T/hook}" '.hooks[$k] = [{path: $p}]'
}

@test "delete --force: a start that waits for a startContainer hook does not keep it" {
	config_set '.hooks.startContainer = [{path: "/bin/sleep", args: ["sleep", "1000"]}]'
	ok create --bundle "$BUNDLE" "$ID"
	background start "$ID"
	wait_until pgrep -P "$(pid_of "$ID")" || return
	ok delete --force "$ID"
	! wait $bg || false
	[[ ! -e $ROOT/$ID ]]
}

@test "delete --force: a create that waits for a createContainer hook undoes itself" {
	hanging_hook createContainer
	background create --bundle "$BUNDLE" "$ID"
	wait_until in_hook
	ok delete --force "$ID"
	! wait $bg || false
	[[ ! -e $ROOT/$ID ]]
	assert_match "$(<"$T/bg.err")" "*init died*killed*"
}

@test "delete: many at the same time succeed, none leaves a directory" {
	local i j pids

	for i in {1..8}; do
		ok create --bundle "$BUNDLE" "$ID"
		pids=
		for j in 1 2 3 4; do
			timeout 30 "$VZRUN" --root "$ROOT" delete --force "$ID" >>"$T/deletes" 2>&1 </dev/null 3>&- 4>&- &
			pids+=" $!"
		done
		for j in $pids; do wait "$j" || { cat "$T/deletes"; return 1; }; done
		[[ ! -e $ROOT/$ID ]]
	done
}

@test "create: a failure takes away the parents of the cgroup that were made for it" {
	cgroupfs_paths
	config_set --arg p "/$ID/mid/leaf" '.linux.cgroupsPath = $p | .process.args = ["/nonexistent"]'
	fails 'exec: "/nonexistent"' create --bundle "$BUNDLE" "$ID"
	assert_eq "$(find /sys/fs/cgroup -maxdepth 3 -name "$ID")" ""
}

@test "delete --force: a record of a create that cloned nothing does not kill in a cgroup that was there before" {
	cgroupfs_paths
	needs_controller pids
	config_set --arg p "/$ID" '.linux.cgroupsPath = $p'
	ok create --bundle "$BUNDLE" "$ID"
	cp -r "$ROOT/$ID" "$T/saved"
	ok delete --force "$ID"
	# The record as a killed create leaves it that found the cgroup in use.
	jq '.status = "creating" | .pid = 0 | .cgroups |= map(.made = false)' "$T/saved/state.json" >"$T/s" || return
	local dir=/sys/fs/cgroup/pids/$ID
	[[ $(cg_mode) != v2 ]] || dir=/sys/fs/cgroup/$ID
	mkdir "$dir"
	sleep 1000 3>&- 4>&- &
	local foreign=$!
	echo $foreign >"$dir/cgroup.procs"
	mkdir "$ROOT/$ID" && cp "$T/s" "$ROOT/$ID/state.json"
	ok delete --force "$ID"
	kill -0 $foreign
	local rc=$?
	kill -9 $foreign
	wait $foreign || :
	wait_until rmdir "$dir"
	[[ ! -e $ROOT/$ID ]]
	return $rc
}

# from_python CODE ARGS...: vzrun as a child of a program that leaves it something unusual.
from_python() {
	local code=$1

	shift
	status=0
	timeout -k 2 20 python3 -c "$code"$'\n'"os.execv(sys.argv[1], sys.argv[1:])" "$VZRUN" --root "$ROOT" "$@" \
		>"$T/stdout" 2>"$T/stderr" </dev/null 3>&- 4>&- || status=$?
	output=$(<"$T/stdout") stderr=$(<"$T/stderr")
}

@test "run: SIGCHLD that the caller ignores does not keep it waiting; hooks are run" {
	needs_command python3
	config_set '.process.args = ["sh", "-c", "exit 3"] | .hooks.createRuntime = [{path: "/bin/true"}]'
	from_python 'import os, sys, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)' run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 3 || { echo "$stderr"; return 1; }
}

@test "run: signals that the caller blocked or ignored are usual ones for the payload" {
	needs_command python3
	config_set '.process.args = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]'
	from_python 'import os, sys, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
signal.signal(signal.SIGPIPE, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)' run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 0
	assert_eq "$output" $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
}

@test "run: closed standard streams" {
	run_sh 'true'
	timeout 20 sh -c 'exec "$@" <&- >&- 2>&-' sh "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- 4>&-
}

@test "run: the host's null device is not handed on" {
	run_sh 'stat -c %d -L /dev/null /proc/self/fd/0'
	assert_eq "$(sed -n 1p <<<"$output")" "$(sed -n 2p <<<"$output")"
	[[ $(sed -n 1p <<<"$output") != "$(stat -c %d /dev/null)" ]]
}

@test "exec: the host's null device is not handed on" {
	start_sleep
	ok exec "$ID" stat -c %d -L /dev/null /proc/self/fd/0
	assert_eq "$(sed -n 1p <<<"$output")" "$(sed -n 2p <<<"$output")"
	[[ $(sed -n 1p <<<"$output") != "$(stat -c %d /dev/null)" ]]
}

@test "run: with a terminal and a reader that goes away the payload's terminal hangs up" {
	config_set '.process.args = ["yes"] | .process.terminal = true'
	timeout 20 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 2>"$T/stderr" 3>&- 4>&- | head -n 1 >"$T/stdout"
	assert_eq "${PIPESTATUS[*]}" "1 0"
	[[ ! -e $ROOT/$ID ]]
}

@test "run: with a terminal and a full disk behind standard output the payload's terminal hangs up" {
	config_set '.process.args = ["yes"] | .process.terminal = true'
	status=0
	timeout 20 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/full 2>"$T/stderr" 3>&- 4>&- || status=$?
	assert_eq "$status" 1
	[[ ! -e $ROOT/$ID ]]
}

@test "--preserve-fds: a descriptor of our own (the log) is none of the caller's" {
	fails "descriptor 3 is not open" --log "$T/log" run --preserve-fds 1 --bundle "$BUNDLE" "$ID"
}

@test "--pid-file: what lies in wait under the temporary name is not written to" {
	mkfifo "$T/.pid.tmp"
	ok create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	assert_eq "$(<"$T/pid")" "$(pid_of "$ID")"
	[[ ! -e $T/.pid.tmp ]]
}

@test "errors: control characters of a hook's output do not reach the terminal or break the log" {
	printf '#!/bin/sh\nprintf "\\033[2J\\007evil\\177"\nexit 1\n' >"$T/hook"
	chmod 755 "$T/hook"
	config_set --arg p "$T/hook" '.hooks.createRuntime = [{path: $p}]'
	fails "output: ?[2J?evil?" --log "$T/log" --log-format json create --bundle "$BUNDLE" "$ID"
	! grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$T/stderr" || false
	jq -e '.msg | contains("evil")' "$T/log"
}

@test "create: whatever number of descriptors is too small, nothing is left behind" {
	local n

	config_set '.hooks.createRuntime = [{path: "/bin/true"}] | del(.process.rlimits)'
	for ((n = 8; n < 44; n += 3)); do
		status=0
		(ulimit -n $n && exec timeout 20 "$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID") \
			>"$T/stdout" 2>"$T/stderr" </dev/null 3>&- 4>&- || status=$?
		[[ $status == 0 ]] && break
		[[ ! -e $ROOT/$ID ]] || { echo "limit $n:"; cat "$T/stderr"; return 1; }
		! grep -v 'too many open files' "$T/stderr" || { echo "limit $n"; return 1; }
		assert_eq "$(find /sys/fs/cgroup -name "$ID")" "" || { echo "limit $n:"; cat "$T/stderr"; return 1; }
	done
	[[ $n -gt 8 ]] # else none was too small: v2 needs but few
}
