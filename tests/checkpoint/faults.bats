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

# stalls FRAME SIGNAL PHASE: the connection stays and carries nothing; the signal ends that, long before its time is over.
stalls() {
	through stall there "$1"
	"$VZRUN" --root "$ROOT" migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" --max-rounds 1 \
		"$ID" host >"$T/move.out" 2>"$T/move.err" </dev/null 3>&- 4>&- &
	local mover=$! s=0 began
	wait_until grep -q "^$3" "$T/move.out"
	sleep 1
	began=$SECONDS
	kill -"$2" "$mover"
	wait "$mover" || s=$?
	((s == 1 && SECONDS - began < 30)) || { echo "status $s"; cat "$T/move.err"; return 1; }
	[[ $(<"$T/move.err") == *"interrupted by $2"* ]]
	goes_on "$BUNDLE"
	state_is "$ID" running
	wait_until settled
	is_clean_there
}

@test "migrate: a signal ends a migration whose connection stalls, and the container goes on" {
	start_worker memory 8 0 /tmp/count
	stalls 13+10=1 INT files
	stalls 13+10=final TERM freeze
}

@test "migrate: while one side works it says that it is there" {
	printf '#!/bin/sh\n[ -e %s/slept ] || sleep 11\ntouch %s/slept\nexec /usr/bin/rsync "$@"\n' "$T" "$T" >"$T/bin/rsync"
	chmod 755 "$T/bin/rsync"
	: >"$T/list"
	export CUT_LIST=$T/list
	start_worker memory 2 0 /tmp/count
	through list x 0
	move
	[[ $status == 0 ]]
	grep -qx 'there 4' "$T/list"
	grep -qx 'back 4' "$T/list"
	goes_on "$T/moved"
}
