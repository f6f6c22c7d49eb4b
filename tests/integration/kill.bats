#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill, delete, pause, resume.

load ../lib/helpers

# traps: a container that writes down the signals it gets.
traps() {
	config_set --arg s 'for s in HUP INT USR1 USR2 TERM WINCH CONT 34 37 64; do trap "echo $s >>/tmp/got" $s; done
		touch /tmp/ready; while :; do sleep 0.03; done' '.process.args = ["sh", "-c", $s]'
	ok create --bundle "$BUNDLE" "$ID" && ok start "$ID" && wait_until test -e "$BUNDLE/rootfs/tmp/ready"
}

got() { wait_until grep -qx "$1" "$BUNDLE/rootfs/tmp/got" && rm "$BUNDLE/rootfs/tmp/got"; }

@test "kill: names with and without SIG, in any case, and numbers" {
	traps
	while read -r word is; do
		ok kill "$ID" "$word"
		got "$is" || { echo "$word"; return 1; }
	done <<-E
		HUP HUP
		SIGHUP HUP
		hup HUP
		sigusr1 USR1
		1 HUP
		10 USR1
		USR2 USR2
		28 WINCH
		34 34
		SIGRTMIN 34
		RTMIN+3 37
		SIGRTMIN+3 37
		rtmin+3 37
		SIGRTMAX 64
		RTMAX-27 37
		64 64
	E
	ok kill "$ID"
	got TERM
	state_is "$ID" running
	for bad in FOO SIG "" 0 65 -1 1x RTMIN+99 RTMAX+1 RTMIN-1 999999999999 SIGSIGHUP; do
		fails "unknown signal \"$bad\"" kill "$ID" "$bad"
	done
	[[ ! -e $BUNDLE/rootfs/tmp/got ]]
	ok kill "$ID" SIGKILL
	wait_state "$ID" stopped
}

@test "kill: a created container" {
	ok create --bundle "$BUNDLE" "$ID"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
}

@test "kill: a container that does not run, in the words that engines know" {
	start_sleep
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	for s in TERM KILL 9; do
		fails 'container not running' kill "$ID" $s
	done
	fails 'container does not exist' kill nope KILL
}

@test "kill: --all reaches every process" {
	config_set --arg s 'trap "" TERM; sleep 1000 & sleep 1000 & wait' '.process.args = ["sh", "-c", $s]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	three() { ok ps -f json "$ID" && [[ $(jq length "$T/stdout") == 3 ]]; }
	wait_until three
	ok kill --all "$ID" KILL
	wait_state "$ID" stopped
	ok ps -f json "$ID"
	assert_eq "$output" "[]"
	# Accepted, in any place and form, when nothing is left.
	ok kill -a "$ID" KILL
	ok kill --all=true "$ID" 9
}

@test "kill: --all works when init is dead and others are not" {
	config_set '.linux.namespaces |= map(select(.type != "pid")) | .process.args = ["sh", "-c", "sleep 1000 & exit 0"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_state "$ID" stopped
	ok ps -f json "$ID"
	assert_eq "$(jq length "$T/stdout")" 1
	fails 'container not running' kill "$ID" KILL
	ok kill --all "$ID" 9
	none() { ok ps -f json "$ID" && [[ $output == "[]" ]]; }
	wait_until none
	ok delete "$ID"
}

@test "kill: KILL without a pid namespace takes everything" {
	config_set '.linux.namespaces |= map(select(.type != "pid")) | .process.args = ["sh", "-c", "sleep 1000 & sleep 1000 & wait"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	three() { ok ps -f json "$ID" && [[ $(jq length "$T/stdout") == 3 ]]; }
	wait_until three
	ok kill "$ID" KILL
	none() { ok ps -f json "$ID" && [[ $output == "[]" ]]; }
	wait_until none
}

@test "kill: KILL ends a paused container" {
	needs_controller freezer
	start_sleep
	ok pause "$ID"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
}

@test "delete: stopped, created; refused while it runs" {
	start_sleep
	fails "cannot delete container $ID that is not stopped: running" delete "$ID"
	state_is "$ID" running
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
	[[ ! -e $ROOT/$ID ]]
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(pid_of "$ID")
	ok delete "$ID"
	[[ ! -e /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status"
}

@test "delete: refused while it is paused" {
	needs_controller freezer
	start_sleep
	ok pause "$ID"
	fails "cannot delete container $ID that is not stopped: paused" delete "$ID"
	ok delete --force "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "delete: a missing container" {
	fails 'container does not exist: nope' delete nope
	ok delete --force nope
	ok delete -f nope
	assert_eq "$stderr" ""
	ok --root "$T/none" delete --force nope
}

@test "delete: --force kills, and is done when it returns" {
	config_set --arg s 'trap "" TERM INT; sleep 1000 & wait' '.process.args = ["sh", "-c", $s]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	dir=$(cg_dir "$(pid_of "$ID")" pids)
	[[ -d $dir ]]
	ok delete --force "$ID"
	[[ ! -e $ROOT/$ID && ! -e $dir ]]
	fails 'does not exist' state "$ID"
	ok delete --force "$ID"
}

@test "delete: of three at once one does it and none fails badly" {
	local i pids=()

	start_sleep
	for i in 1 2 3; do
		timeout 20 "$VZRUN" --root "$ROOT" delete --force "$ID" >"$T/d$i" 2>&1 </dev/null 3>&- 4>&- &
		pids+=($!)
	done
	for i in 0 1 2; do wait "${pids[i]}" || { cat "$T"/d?; return 1; }; done
	[[ ! -e $ROOT/$ID ]]
}

@test "delete: an id is free again at once" {
	for i in 1 2 3 4 5; do
		ok create --bundle "$BUNDLE" "$ID"
		ok start "$ID"
		ok delete --force "$ID"
	done
}

@test "delete: a directory without a record, and one half removed" {
	mkdir "$ROOT/$ID"
	fails "container $ID has no state yet (delete --force removes it)" delete "$ID"
	ok delete --force "$ID"
	[[ ! -e $ROOT/$ID ]]
	ok create --bundle "$BUNDLE" "$ID"
	rm -f "$ROOT/$ID"/config.json "$ROOT/$ID"/lock
	ok delete --force "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "pause, resume: status and effect" {
	needs_controller freezer
	config_set '.process.args = ["sh", "-c", "while :; do echo x >>/tmp/beat; sleep 0.02; done"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_until test -s "$BUNDLE/rootfs/tmp/beat"
	ok pause "$ID"
	state_is "$ID" paused
	before=$(wc -l <"$BUNDLE/rootfs/tmp/beat")
	sleep 0.2
	assert_eq "$(wc -l <"$BUNDLE/rootfs/tmp/beat")" "$before"
	ok list
	assert_match "$output" "*$ID *paused*"
	ok pause "$ID"
	ok resume "$ID"
	state_is "$ID" running
	beats() { [[ $(wc -l <"$BUNDLE/rootfs/tmp/beat") -gt $before ]]; }
	wait_until beats
	fails 'container not paused' resume "$ID"
}

@test "pause, resume: a stopped, a created and a missing container" {
	needs_controller freezer
	ok create --bundle "$BUNDLE" "$ID"
	ok pause "$ID"
	state_is "$ID" paused
	ok resume "$ID"
	state_is "$ID" created
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	fails 'container not running' pause "$ID"
	fails 'container not paused' resume "$ID"
	fails 'container does not exist' pause nope
	fails 'container does not exist' resume nope
}
