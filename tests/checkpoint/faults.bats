#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate broken at every frame, in every way.  Afterwards one container runs, and not two; or it is undecided, and --resolve ends it
# so; and the side that was not killed is clean.

load ../lib/migrate

# What is sent while the container runs, and again while it stands still: the first of it here, the last below.
@test "migrate: the connection is cut before each frame" {
	each_frame lose
}

@test "migrate: each side is killed while files are copied and the container runs" {
	for action in kill-there kill-here; do
		at_frame $action there 13+10=1
		at_frame $action there 13+20
		at_frame $action back 13+20
	done
}

@test "migrate: the connection is cut behind each frame" {
	each_frame cut last
}

@test "migrate: each frame is damaged" {
	each_frame garble last
}

@test "migrate: the other side is killed at each frame" {
	each_frame kill-there last
}

@test "migrate: this side is killed at each frame" {
	each_frame kill-here last
}

# Two minutes each, and at the same time.
@test "migrate: both sides give up a connection that carries nothing" {
	local receiver

	mkfifo "$T/silent"
	exec 7<>"$T/silent"
	"$VZRUN" --root "$THERE" migrate-receive <"$T/silent" >"$T/received" 2>/dev/null 3>&- 4>&- 7>&- &
	receiver=$!
	start_worker memory 2 0 /tmp/count
	through stall there 15+10=final
	VZ_TIMEOUT=200 move
	[[ $status == 1 && $stderr == *'host says nothing'* ]]
	goes_on "$BUNDLE"
	wait_until settled
	wait_until grep -qa 'the source says nothing' "$T/received"
	wait "$receiver" || :
	exec 7>&-
}
