#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate --post-copy and --both: it runs there before all its memory is there.  Between two --roots of this host.

load ../lib/migrate

setup() {
	needs_migration
	needs_command nft
	needs_criu_feature uffd-noncoop
	migrate_prepare
	config_set 'del(.linux.resources)'
	MOVE=(--post-copy)
	MOVED_MIB=8
}

teardown() {
	[[ -z ${mover:-} ]] || kill -KILL "$mover" 2>/dev/null
	migrate_teardown
}

# It has other words for what it is at.
no_criu() { ! pgrep -f 'criu lazy-pages|(dump|restore) --rpc' >/dev/null; }

# begin_move: in the background, to where it runs there and fetches, for a while.
begin_move() {
	"$VZRUN" --root "$ROOT" migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" --post-copy --bandwidth 2m \
		"$@" "$ID" host >"$T/move.out" 2>"$T/move.err" </dev/null 3>&- 4>&- &
	mover=$!
	VZ_TIMEOUT=60 wait_until grep -q '^fetch' "$T/move.out"
}

# end_move STATUS
end_move() {
	local s=0

	wait "$mover" || s=$?
	mover=
	[[ $s == "$1" ]] || { echo "status $s"; cat "$T/move.out" "$T/move.err"; return 1; }
}

@test "post-copy: a container runs there, with all its memory, and is gone here" {
	start_worker memory 24 0 /tmp/count
	n=$(count "$BUNDLE")
	VZ_TIMEOUT=100 migrate --post-copy
	assert_match "$output" "check*files*freeze*restore*fetch*done*downtime*"
	! grep -q '^memory' <<<"$output" || false
	[[ $stderr == *'a lost connection ends the container there'* ]]
	[[ ! -e $ROOT/$ID && ! -e $BUNDLE ]]
	assert_eq "$(there state "$ID-2" | jq -r .status)" running
	(($(count "$T/moved") >= n))
	goes_on "$T/moved"
	assert_eq "$(find "$T/tmp" "$T/tmp-there" "$THERE/.migrations" -mindepth 1)" ""
	no_criu
	there exec "$ID-2" true
}

@test "post-copy: it runs there while memory is still fetched, and is frozen and hidden here" {
	start_worker memory 24 0 /tmp/count
	begin_move
	n=$(count "$T/moved")
	moves() { (($(count "$T/moved") > n)); }
	wait_until moves
	kill -0 "$mover"
	assert_eq "$(cat "$ROOT/$ID/state.json" | jq -c '.migration | [.undecided, .switched]')" '[true,true]'
	nsenter -t "$(jq .pid "$ROOT/$ID/state.json")" -n nft list tables | grep -q vzrun_undecided
	assert_eq "$(jq -r .fate "$THERE"/.migrations/*)" fetching
	end_move 0
	goes_on "$T/moved"
}

@test "post-copy: --both, while memory is changed, and back" {
	start_worker memory 16 500 /tmp/count
	VZ_TIMEOUT=100 migrate --both --max-rounds 2 --compress
	assert_match "$output" "check*memory  round 1*freeze*restore*fetch*done*"
	goes_on "$T/moved"
	PATH=$T/bin:$PATH run timeout 100 "$VZRUN" --root "$THERE" migrate --ssh "$T/ssh" --remote-root "$ROOT" --remote-bundle "$BUNDLE" --new-id "$ID" \
		--post-copy --format json "$ID-2" host
	[[ $status == 0 ]] || { echo "$output"; false; }
	[[ $output == *'"phase":"fetch"'* ]]
	state_is "$ID" running
	goes_on "$BUNDLE"
	[[ ! -e $T/moved ]]
	no_criu
}

# stood_still OPTION: what its own clock tells, in us.
stood_still() {
	fresh_bundle
	config_set 'del(.linux.resources)'
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set '.process.args = ["worker", "pause", "98304", "0", "/tmp/count"]'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_until test -s "$BUNDLE/rootfs/tmp/count"
	sleep 1
	VZ_TIMEOUT=150 migrate "$@"
	rm "$T/moved/rootfs/tmp/count"
	wait_until test -s "$T/moved/rootfs/tmp/count"
	pause=$(count "$T/moved")
	there delete --force "$ID-2"
	rm -rf "$T/moved"
}

@test "post-copy: it stands still for less time than when all memory is sent before" {
	stood_still --max-rounds 0
	before=$pause
	stood_still --post-copy
	echo "# 96 MiB: $((before / 1000)) ms without, $((pause / 1000)) ms with --post-copy" >&3
	((pause > 0 && pause < before))
}

@test "post-copy: the connection is lost meanwhile: it is ended there, and goes on here when that is known" {
	start_worker memory 24 0 /tmp/count
	through lose there 25+33
	move
	[[ $status == 3 ]]
	[[ $stderr == *'it ran on host, where it is ended unless all of its memory came; it is frozen here'* ]]
	wait_until test ! -e "$THERE/$ID-2"
	wait_until test ! -e "$T/moved"
	wait_until no_criu
	n=$(count "$BUNDLE")
	state_is "$ID" paused
	sleep .3
	assert_eq "$(count "$BUNDLE")" "$n"
	assert_eq "$(jq -r .fate "$THERE"/.migrations/*)" lost
	unhindered
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 ]]
	[[ $stderr == *'what the container did there is lost; it goes on here from the moment at which it was switched over'* ]]
	goes_on "$BUNDLE"
	is_clean_there
	state_is "$ID" running
	# And all of that again, to the end.
	VZ_TIMEOUT=100 migrate --post-copy
	goes_on "$T/moved"
}

@test "post-copy: a signal meanwhile: it is ended there, and goes on here when that is known" {
	start_worker memory 24 0 /tmp/count
	begin_move
	kill -TERM "$mover"
	end_move 3
	[[ $(<"$T/move.err") == *'interrupted by TERM: it ran on host, where it is ended unless all of its memory came'* ]]
	wait_until test ! -e "$THERE/$ID-2"
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 ]]
	goes_on "$BUNDLE"
	is_clean_there
}

# Its end would close connections that go on where it was.
@test "post-copy: interfaces of a copy that is lost go down before it is ended" {
	start_worker memory 24 0 /tmp/count
	nsenter -t "$(pid_of "$ID")" -n sh -c 'ip link add eth7 type bridge; ip link set eth7 up'
	begin_move
	hold_network_of "$(there state "$ID-2" | jq .pid)"
	nsenter --net="$held" ip -o link show up | grep -q eth7
	kill -TERM "$mover"
	end_move 3
	wait_until test ! -e "$THERE/$ID-2"
	interfaces_are_down
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 ]]
	goes_on "$BUNDLE"
	nsenter -t "$(pid_of "$ID")" -n ip -o link show up | grep -q eth7
}

@test "post-copy: CRIU there is killed meanwhile: the container is ended, and goes on here at once" {
	start_worker memory 24 0 /tmp/count
	begin_move
	pkill -KILL -f 'criu lazy-pages'
	end_move 4
	[[ $(<"$T/move.err") == *'what the container did there is lost'* ]]
	is_clean_there
	state_is "$ID" running
	goes_on "$BUNDLE"
	! nsenter -t "$(jq .pid "$ROOT/$ID/state.json")" -n nft list tables | grep vzrun_undecided || false
}

# Its record cannot be opened, without which nobody may say what became of it.
@test "post-copy: where it cannot be ended there nobody waits for ever, and it is ended when it can be" {
	local record
	start_worker memory 24 0 /tmp/count
	begin_move
	record=$(compgen -G "$THERE/.migrations/*")
	chattr +i "$record" 2>/dev/null || { kill -KILL "$mover"; skip "no immutable files here"; }
	pkill -KILL -f 'criu lazy-pages'
	s=0
	wait "$mover" || s=$?
	chattr -i "$record" # before anything else fails
	mover=
	assert_eq "$s" 3
	is_lost() { [[ $(jq -r .fate "$record") == lost && ! -e $THERE/$ID-2 ]]; }
	wait_until is_lost
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 ]]
	is_clean_there
	goes_on "$BUNDLE"
}

@test "post-copy: CRIU here is killed meanwhile: never two" {
	start_worker memory 24 0 /tmp/count
	begin_move
	pkill -KILL -f 'dump --rpc'
	sleep .2
	n=$(count "$BUNDLE")
	sleep .3
	assert_eq "$(count "$BUNDLE")" "$n"
	ended() { ! kill -0 "$mover" 2>/dev/null; }
	wait_until ended || wait_until ended # nothing else tells either side
	end_move 3
	[[ $(<"$T/move.err") == *'CRIU has ended, which held the container'* ]]
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 ]]
	is_clean_there
	goes_on "$BUNDLE"
}

@test "post-copy: CRIU here is killed while it is restored there: it goes on here" {
	start_worker memory 8 0 /tmp/count
	printf '#!/bin/sh\npkill -KILL -f "[d]ump --rpc"\nexec %s "$@"\n' "$(command -v criu)" >"$T/bin/criu"
	chmod 755 "$T/bin/criu"
	VZ_TIMEOUT=60 move
	[[ $status == 1 ]]
	[[ $stderr == *'CRIU has ended, which held the container'* ]]
	goes_on "$BUNDLE"
	wait_until is_clean_there
	state_is "$ID" running
}

@test "post-copy: each side is killed, and the connection lost, in the window" {
	for action in cut garble kill-there kill-here; do
		at_frame $action there 25+33
		at_frame $action back 25+33
	done
	at_frame kill-here back 33
	at_frame kill-there there 32
}

@test "post-copy: bad options and what stands in the way" {
	fails 'cannot be used together' migrate --pre-copy --post-copy "$ID" host
	fails 'cannot be used together' migrate --both --post-copy "$ID" host
	fails '--max-rounds is about rounds' migrate --post-copy --max-rounds 3 "$ID" host
	fails '--max-downtime is about rounds' migrate --post-copy --max-downtime 1s "$ID" host
	fails '--both compresses that of its rounds' migrate --post-copy --compress "$ID" host
	new_userns
	chmod 777 "$BUNDLE/rootfs/tmp"
	start_worker memory 4 0 /tmp/count
	sysctl -q vm.unprivileged_userfaultfd=0
	mkdir "$T/moved"
	refused 'vm.unprivileged_userfaultfd=1' --post-copy
	[[ $stderr == *"$T/moved is there already"* ]]
	rmdir "$T/moved"
	goes_on "$BUNDLE"
	# What it wrote there would stay when it goes on here with the memory of before.
	refused '--rootfs shared cannot go with --post-copy' --post-copy --rootfs shared
	refused '--rootfs shared cannot go with --post-copy' --both --rootfs shared
	sysctl -q vm.unprivileged_userfaultfd=1
	chmod 711 "$T/tmp" "$T/tmp-there"
	VZ_TIMEOUT=60 migrate --post-copy
	goes_on "$T/moved"
}

@test "post-copy: not from a network namespace that others have too" {
	unshare -n sleep 300 3>&- 4>&- &
	local pod=$!
	wait_until test ! "/proc/$pod/ns/net" -ef /proc/self/ns/net
	config_set --arg p "/proc/$pod/ns/net" '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)'
	start_worker memory 4 0 /tmp/count
	refused "others have the container's network namespace too" --post-copy
	goes_on "$BUNDLE"
	[[ -z $(nsenter --net="/proc/$pod/ns/net" nft list ruleset) ]]
	ok delete --force "$ID"
	kill "$pod"
	wait "$pod" || :
}

# A record of one that was lost names nothing that has come since.
@test "post-copy: --resolve and reconcile leave a bundle that was made where a lost one had been" {
	start_worker memory 24 0 /tmp/count
	through lose there 25+33
	move
	[[ $status == 3 ]]
	wait_until test ! -e "$THERE/$ID-2"
	assert_eq "$(jq -r '.fate, .bundle // "none"' "$THERE"/.migrations/* | paste -sd ' ')" "lost none"
	new_bundle "$T/moved"
	unhindered
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 && -e $T/moved/config.json ]]
	goes_on "$BUNDLE"
	there reconcile
	[[ -e $T/moved/config.json ]]
}

# tests/checkpoint/faults.bats, for this conversation.
@test "post-copy: the connection is cut behind each frame" {
	each_frame cut
}

@test "post-copy: the other side is killed at each frame" {
	each_frame kill-there
}

@test "post-copy: this side is killed at each frame" {
	each_frame kill-here
}
