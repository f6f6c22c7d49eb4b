#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate, between two --roots of this host.  tests/checkpoint/files.bats is about the bundle that is copied; tests/checkpoint/hosts.bats has
# two hosts that are apart; tests/checkpoint/faults.bats breaks it at every frame, and undecided.bats about the word to go on.

load ../lib/migrate

@test "migrate: a container runs there, and is gone here" {
	start_worker memory 8 500 /tmp/count
	n=$(count "$BUNDLE")
	migrate
	assert_match "$output" "check*files*memory  round 1*freeze*restore*done*downtime*"
	[[ ! -e $ROOT/$ID && ! -e $BUNDLE ]]
	assert_eq "$(there state "$ID-2" | jq -r .status)" running
	(($(count "$T/moved") >= n))
	goes_on "$T/moved"
	assert_eq "$(find "$T/tmp" "$T/tmp-there" "$THERE/.migrations" -mindepth 1)" ""
	there exec "$ID-2" true
}

@test "migrate: there and back, with --compress, --bandwidth and no rounds" {
	start_worker memory 8 0 /tmp/count
	migrate --compress --max-rounds 0
	! grep -q 'memory' <<<"$output" || false
	goes_on "$T/moved"
	began=$SECONDS
	PATH=$T/bin:$PATH run "$VZRUN" --root "$THERE" migrate --ssh "$T/ssh" --remote-root "$ROOT" --remote-bundle "$BUNDLE" --new-id "$ID" \
		--bandwidth 4m "$ID-2" host
	[[ $status == 0 ]]
	((SECONDS - began >= 2))
	state_is "$ID" running
	goes_on "$BUNDLE"
	[[ ! -e $T/moved ]]
}

@test "migrate: a shared root is found there, or refused" {
	config_set '."x-mine" = {a: 1}'
	chmod 640 "$CONFIG"
	start_worker memory 4 0 /tmp/count
	cp -p "$CONFIG" "$T/config.json"
	config_is_kept() { cmp "$CONFIG" "$T/config.json" && [[ $(stat -c '%a %Y' "$CONFIG") == "$(stat -c '%a %Y' "$T/config.json")" ]]; }
	refused 'is not the directory that the source has by that name' --rootfs shared
	goes_on "$BUNDLE"
	# It fails behind the restore.
	through lose back 31
	run_vzrun migrate --ssh "$T/ssh" --remote-root "$THERE" --new-id "$ID-2" --rootfs shared "$ID" host
	[[ $status == 1 ]]
	goes_on "$BUNDLE"
	config_is_kept
	unhindered
	wait_until test ! -e "$THERE/$ID-2"
	ok migrate --ssh "$T/ssh" --remote-root "$THERE" --new-id "$ID-2" --rootfs shared "$ID" host
	[[ ! -e $ROOT/$ID ]]
	config_is_kept
	there exec "$ID-2" true
	there set --cpulimit 40 "$ID-2"
	assert_eq "$(there state "$ID-2" | jq -r .bundle)" "$BUNDLE"
	goes_on "$BUNDLE"
	assert_eq "$(find "$BUNDLE" -name '.vzrun-*')" ""
}

@test "migrate: --keep leaves the bundle" {
	start_worker memory 4 0 /tmp/count
	migrate --keep
	[[ -e $BUNDLE/config.json && ! -e $ROOT/$ID ]]
	goes_on "$T/moved"
}

@test "migrate: --dry-run and all that stands in the way, at once" {
	mkdir "$T/volume" "$T/moved"
	add_mount /data bind "$T/volume" bind
	start_worker memory 4 0 /tmp/count
	rmdir "$T/moved"
	ok migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" --dry-run "$ID" host
	is_clean_there
	mkdir "$T/moved" "$THERE/$ID-2"
	mv "$T/volume" "$T/elsewhere"
	refused 'it cannot move to host:' --dry-run
	for text in "$T/moved is there already" 'container with given ID already exists' "$T/volume, which is mounted in the container, is not here"; do
		[[ $stderr == *"host: $text"* ]]
	done
	rmdir "$T/moved" "$THERE/$ID-2"
	is_clean_there
	goes_on "$BUNDLE"
}

@test "migrate: what a hook mounted has to be there" {
	mkdir -p "$T/outside/hooked" "$BUNDLE/rootfs/opt"
	printf '#!/bin/sh\nnsenter -t $(jq .pid) -m mount --bind %s %s\n' "$T/outside/hooked" "$BUNDLE/rootfs/opt" >"$T/hook"
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" '.hooks.createRuntime = [{path: $h}]'
	start_worker memory 4 0 /tmp/count
	ok migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "$ID" host
	# A host that has other things there.
	sed -i "s|^exec|exec unshare -m sh -c 'mount -t tmpfs none $T/outside \&\& exec \"\$@\"' sh|" "$T/ssh"
	refused "host: $T/outside/hooked, which is mounted in the container, is not here" --dry-run
	goes_on "$BUNDLE"
}

@test "migrate: where the bundle goes may be said in any way, and what is above it is made, and removed after a failure" {
	local to=$T/deep//x/../er/moved/
	start_worker memory 4 0 /tmp/count
	mkdir -p "$T/deep/er/moved"
	refused "$T/deep/er/moved is there already" --remote-bundle "$to" --dry-run
	rm -r "$T/deep"
	at_end() { run_vzrun migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$to" --new-id "$ID-2" "$ID" host; }
	through lose back 31
	at_end
	[[ $status == 1 ]]
	goes_on "$BUNDLE"
	wait_until test ! -e "$T/deep"
	is_clean_there
	unhindered
	mkdir "$T/deep"
	at_end
	[[ $status == 0 ]]
	assert_eq "$(there state "$ID-2" | jq -r .bundle)" "$T/deep/er/moved"
	goes_on "$T/deep/er/moved"
}

@test "migrate: a container with a terminal, a missing one, a stopped one and bad options are refused" {
	fails 'container does not exist' migrate --ssh "$T/ssh" "$ID" host
	fails 'requires a host' migrate "$ID"
	fails '--rootfs: "x" is none of copy, shared' migrate --rootfs x "$ID" host
	fails '--max-rounds: "x" is not a number' migrate --max-rounds x "$ID" host
	fails '--max-downtime' migrate --max-downtime x "$ID" host
	fails '--bandwidth: "x" is no number of bytes' migrate --bandwidth x "$ID" host
	fails '--remote-bundle: x is not absolute' migrate --remote-bundle x "$ID" host
	fails '"-x" is no host' migrate -- "$ID" -x
	start_worker memory 4 0 /tmp/count
	fails 'exec nowhere' migrate --ssh nowhere "$ID" host
	fails 'is vzrun on host' migrate --ssh false "$ID" host
	fails 'no migration that is undecided' migrate --resolve "$ID"
	goes_on "$BUNDLE"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	refused 'container cannot be migrated in stopped state'
	is_clean_there
}

@test "migrate: settings and limits go along" {
	config_set '.annotations["org.openvz.cpulimit"] = "50" | .linux.resources.pids.limit = 40'
	start_worker memory 4 0 /tmp/count
	ok set --cpulimit 60 "$ID"
	ok update --pids-limit 50 "$ID"
	migrate
	there state "$ID-2" >"$T/state"
	assert_eq "$(jq -r .settings.cpulimit "$T/state")" 60
	assert_eq "$(jq -r .resources.pids.limit "$T/state")" 50
	goes_on "$T/moved"
}

@test "migrate: a user namespace" {
	new_userns
	chmod 777 "$BUNDLE/rootfs/tmp"
	chmod 711 "$T/tmp" "$T/tmp-there"
	start_worker memory 4 0 /tmp/count
	migrate
	goes_on "$T/moved"
	assert_eq "$(there exec "$ID-2" id -u)" 0
	assert_eq "$(stat -c %u "/proc/$(there state "$ID-2" | jq .pid)")" 100000
}

@test "migrate: --ext-unix-sk: a socket that is connected to one outside goes on with the one there" {
	mkdir "$T/run"
	socat -u "UNIX-RECV:$T/run/log,mode=666" "OPEN:$T/got,creat,append" 3>&- 4>&- &
	local helper=$!
	wait_until test -S "$T/run/log"
	config_set '.linux.namespaces |= map(select(.type != "network"))' # CRIU finds only sockets of its own network namespace
	add_mount "$T/run" bind "$T/run" bind
	start_worker dgram "$T/run/log" /tmp/count
	move
	[[ $status == 1 && $stderr == *nix* ]]
	goes_on "$BUNDLE"
	migrate --ext-unix-sk
	n=$(wc -l <"$T/got")
	more() { (($(wc -l <"$T/got") > n + 3)); }
	wait_until more
	goes_on "$T/moved"
	there delete --force "$ID-2"
	kill "$helper" 2>/dev/null || :
}

@test "migrate: --format json" {
	start_worker memory 4 0 /tmp/count
	migrate --format json
	assert_eq "$(jq -s 'map(.phase) | unique | join(" ")' <<<"$output")" '"check done files freeze memory restore"'
	(($(jq -s 'last.downtimeMs' <<<"$output") > 0))
	# Numbers of bytes are of what went over the wire: the memory in its rounds, and in the end all, with the files.
	assert_eq "$(jq -s -c 'map(select(.phase == "memory") | .round) | . == [range(1; length + 1)]' <<<"$output")" true
	(($(jq -s 'map(select(.phase == "memory"))[0].bytes' <<<"$output") > 4 << 20))
	(($(jq -s 'map(select(.phase == "memory"))[0].bytesPerSecond' <<<"$output") > 0))
	(($(jq -s 'last.bytes - (map(select(.phase == "memory").bytes) | add)' <<<"$output") > 1 << 20))
}

# slowly: in the background, with $mover, until files are there and memory is on its way.
slowly() {
	"$VZRUN" --root "$ROOT" migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" --max-rounds 1 --bandwidth 2m \
		"$ID" host >"$T/move.out" 2>"$T/move.err" </dev/null 3>&- 4>&- &
	mover=$!
	on_its_way() { [[ -d $T/moved && -n $(find "$T/tmp-there" -name 'pages-*' 2>/dev/null) ]]; }
	wait_until on_its_way
}

@test "migrate: while it is copied others have the container, and what they change goes along; but no other checkpoint" {
	config_set '.annotations["org.openvz.cpulimit"] = "50" | .linux.resources.pids.limit = 40'
	start_worker memory 24 0 /tmp/count
	slowly
	VZ_TIMEOUT=8 ok exec "$ID" true
	VZ_TIMEOUT=8 ok set --cpulimit 60 "$ID"
	VZ_TIMEOUT=8 ok update --pids-limit 50 "$ID"
	fails "is being migrated to host by process $mover" checkpoint --pre-dump --image-path "$T/images" "$ID"
	fails "is being migrated to host by process $mover" migrate --ssh "$T/ssh" --remote-root "$T/third" "$ID" host
	kill -0 "$mover"
	wait "$mover" || { cat "$T/move.err"; false; }
	there state "$ID-2" >"$T/state"
	assert_eq "$(jq -c '[.settings.cpulimit, .resources.pids.limit]' "$T/state")" '["60",50]'
	goes_on "$T/moved"
	[[ ! -e $ROOT/$ID ]]
}

@test "migrate: one that is paused or deleted while it is copied does not move" {
	start_worker memory 24 0 /tmp/count
	slowly
	ok pause "$ID"
	s=0
	wait "$mover" || s=$?
	assert_eq "$s" 1
	assert_match "$(<"$T/move.err")" "*cannot be migrated in paused state*"
	wait_until settled
	is_clean_there
	state_is "$ID" paused
	assert_eq "$("$VZRUN" --root "$ROOT" state "$ID" | jq .migration)" null
	ok resume "$ID"
	goes_on "$BUNDLE"
	slowly
	ok delete --force "$ID"
	s=0
	wait "$mover" || s=$?
	assert_eq "$s" 1
	assert_match "$(<"$T/move.err")" "*does not exist*"
	wait_until settled
	is_clean_there
}

# It has let go of the processes, which the freezer keeps from running here.
@test "migrate: CRIU here dies before the word: it goes on here, and does not run there" {
	local frame

	for frame in '13+10=final' 30; do
		fresh_bundle
		start_worker memory 2 0 /tmp/count
		through criu-here there "$frame"
		move
		[[ $status == 1 && $stderr == *'CRIU has ended, which held the container'* ]] || { echo "$frame: $status $stderr"; false; }
		goes_on "$BUNDLE"
		wait_until settled
		is_clean_there
		ok delete --force "$ID"
	done
}

# The worst of tests/checkpoint/faults.bats.
@test "migrate: the word to go on is lost, and so is the answer to it" {
	at_frame lose there 32
	at_frame cut there 32
	at_frame lose back 33
	at_frame kill-there there 32
	at_frame kill-here there 32
}

@test "migrate: what a receiver that was killed has left there is not in the way of the next" {
	start_worker memory 4 0 /tmp/count
	through kill-there there 14
	move
	[[ $status == 1 ]]
	[[ -e $T/moved && -n $(ls "$T/tmp-there") ]]
	goes_on "$BUNDLE"
	unhindered
	migrate
	goes_on "$T/moved"
	[[ -z $(ls "$T/tmp-there") ]]
}

# The kernel would reset connections in the moment between the end of its filters and that of its interfaces.
@test "migrate: interfaces are down before the network that was left goes" {
	start_worker memory 2 0 /tmp/count
	hold_network_of "$(pid_of "$ID")"
	nsenter --net="$held" sh -c 'ip link add eth7 type bridge; ip link set eth7 up'
	nsenter --net="$held" ip -o link show up | grep -q eth7
	migrate
	goes_on "$T/moved"
	interfaces_are_down
	nsenter -t "$(there state "$ID-2" | jq .pid)" -n ip -o link show up | grep -q eth7
}
