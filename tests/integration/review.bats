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
	! wait $bg
	[[ ! -e $ROOT/$ID ]]
}

@test "delete --force: a create that waits for a createContainer hook undoes itself" {
	hanging_hook createContainer
	background create --bundle "$BUNDLE" "$ID"
	wait_until in_hook
	ok delete --force "$ID"
	! wait $bg
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
	config_set --arg p "/$ID/mid/leaf" '.linux.cgroupsPath = $p | .process.args = ["/nonexistent"]'
	fails 'exec: "/nonexistent"' create --bundle "$BUNDLE" "$ID"
	assert_eq "$(find /sys/fs/cgroup -maxdepth 3 -name "$ID")" ""
}

@test "delete --force: a record of a create that cloned nothing does not kill in a cgroup that was there before" {
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
