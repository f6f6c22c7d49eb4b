#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate, between two --roots of this host.  tests/checkpoint/files.bats is about the bundle that is copied; tests/checkpoint/hosts.bats has
# two hosts that are apart; tests/checkpoint/faults.bats breaks it at every frame.

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

@test "migrate: --format json" {
	start_worker memory 4 0 /tmp/count
	migrate --format json
	assert_eq "$(jq -s 'map(.phase) | unique | join(" ")' <<<"$output")" '"check done files freeze memory restore"'
	(($(jq -s 'last.downtimeMs' <<<"$output") > 0))
}

@test "migrate: --resolve knows of one that ran there, whatever became of it since" {
	local end
	for end in kill delete damage; do
		rm -rf "$BUNDLE"
		new_bundle "$BUNDLE"
		mkdir -p "$BUNDLE/rootfs/tmp"
		config_set '.root.readonly = false'
		start_worker memory 4 0 /tmp/count
		through lose back 33
		VZ_TIMEOUT=60 move
		assert_eq "$status" 3
		unhindered
		goes_on "$T/moved"
		case $end in
		kill)
			there kill "$ID-2" KILL
			wait_until there_is stopped
			;;
		delete) there delete --force "$ID-2" ;;
		damage)
			# What cannot be read may run: nobody is told that it does not.
			sed -i 's/"ran":true/"ran":false/' "$THERE"/.migrations/*
			cp "$THERE/$ID-2/state.json" "$T/kept"
			echo '{' >"$THERE/$ID-2/state.json"
			fails state.json migrate --resolve "$ID"
			assert_eq "$("$VZRUN" --root "$ROOT" state "$ID" | jq .migration.undecided)" true
			goes_on "$T/moved"
			cp "$T/kept" "$THERE/$ID-2/state.json"
			;;
		esac
		there reconcile
		ok migrate --resolve "$ID"
		[[ ! -e $ROOT/$ID && -s $T/moved/rootfs/tmp/count ]]
		there delete --force "$ID-2" 2>/dev/null || :
		rm -rf "$T/moved"
		is_clean_there
	done
}

@test "migrate: who is killed before the word to go on leaves a container that goes on here" {
	local at direction type how
	not_recorded() { [[ $("$VZRUN" --root "$ROOT" state "$ID" | jq .migration) == null ]]; }
	for at in 'there 30' 'back 31' 'there 30 --post-copy'; do
		read -r direction type how <<<"$at"
		rm -rf "$BUNDLE"
		new_bundle "$BUNDLE"
		mkdir -p "$BUNDLE/rootfs/tmp"
		config_set '.root.readonly = false'
		start_worker memory 4 0 /tmp/count
		through kill-here "$direction" "$type"
		VZ_TIMEOUT=60 move ${how:+"$how"}
		unhindered
		wait_until not_recorded
		goes_on "$BUNDLE"
		wait_until settled
		assert_eq "$(find "$T/tmp" -mindepth 1)" ""
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

# hook_there SCRIPT: poststart, at the other side alone.
hook_there() {
	printf '#!/bin/sh\n[ -e %s/moved ] || exit 0\n%s\n' "$T" "$1" >"$T/hook"
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" '.hooks.poststart = [{path: $h}]'
}

@test "migrate: a signal that comes to the other side behind the word to go on takes nothing back" {
	hook_there "kill -TERM \$PPID; sleep .5; : >$T/hooked"
	start_worker memory 2 0 /tmp/count
	migrate --max-rounds 0
	[[ -e $T/hooked ]]
	goes_on "$T/moved"
	there_is running
}

# Its files cannot be removed, so that the record stays; and nobody hears how it ended.
@test "migrate: what failed behind the word to go on has not run there, and --resolve knows it" {
	hook_there "mkdir $T/moved/held; mount -t tmpfs none $T/moved/held; exit 1"
	start_worker memory 2 0 /tmp/count
	through lose back 51
	move --max-rounds 0
	[[ $status == 3 ]]
	unhindered
	umount "$T/moved/held"
	run_vzrun migrate --resolve "$ID"
	[[ $status == 0 ]]
	goes_on "$BUNDLE"
	is_clean_there
}

undecided() { [[ $("$VZRUN" --root "$ROOT" state "$ID" | jq .migration.undecided) == true ]]; }

# become_undecided: it runs there and stands still here, and nobody here knows.
become_undecided() {
	through lose back 33
	VZ_TIMEOUT=60 move
	[[ $status == 3 ]]
	unhindered
	goes_on "$T/moved"
}

@test "migrate: a second one of an undecided container changes nothing" {
	start_worker memory 4 0 /tmp/count
	become_undecided
	move
	[[ $status != 0 && $stderr == *'an earlier migration to host is undecided'* ]]
	undecided
	fails 'may run on host' resume "$ID"
	who_runs
	((running == 1))
	ok migrate --resolve "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "migrate: --resolve leaves the record of one that was killed while it ran, and the next one removes its images" {
	local work

	start_worker memory 4 0 /tmp/count
	through kill-here there 20
	move
	unhindered
	wait_until settled
	goes_on "$BUNDLE"
	work=$(jq -r .migration.work "$ROOT/$ID/state.json")
	[[ -d $work ]]
	fails 'no migration that is undecided' migrate --resolve "$ID"
	assert_eq "$(jq -r .migration.work "$ROOT/$ID/state.json")" "$work"
	migrate
	[[ ! -e $work ]]
	goes_on "$T/moved"
	assert_eq "$(find "$T/tmp" -mindepth 1)" ""
}

is_held() { nsenter --net="/proc/$1/ns/net" nft list tables | grep -q vzrun_undecided; }
is_free() { ! is_held "$1"; }

@test "migrate: of an undecided container no network is held that others made" {
	needs_command nft
	unshare -n sleep 300 3>&- 4>&- &
	local pod=$!
	wait_until test ! "/proc/$pod/ns/net" -ef /proc/self/ns/net
	config_set --arg p "/proc/$pod/ns/net" '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)'
	start_worker memory 4 0 /tmp/count
	become_undecided
	is_free "$pod"
	ok migrate --resolve "$ID"
	is_free "$pod"
	there delete --force "$ID-2"
	kill "$pod"
	wait "$pod" || :
}

@test "migrate: who has joined an undecided container's network is not cut off when that is gone" {
	local end member

	needs_command nft
	for end in 'migrate --resolve' 'delete --force'; do
		rm -rf "$BUNDLE"
		new_bundle "$BUNDLE"
		mkdir -p "$BUNDLE/rootfs/tmp"
		config_set '.root.readonly = false'
		start_worker memory 4 0 /tmp/count
		nsenter -t "$(jq .pid "$ROOT/$ID/state.json")" -n sleep 300 3>&- 4>&- &
		member=$!
		become_undecided
		is_held "$member"
		# shellcheck disable=SC2086
		ok $end "$ID"
		[[ ! -e $ROOT/$ID ]]
		is_free "$member"
		kill "$member"
		wait "$member" || :
		there delete --force "$ID-2"
		rm -rf "$T/moved" "$THERE"/.migrations/*
	done
}

# killed_there DIRECTION TYPE: the other side, before it has the word to go on; still_here: as this side then learns.
killed_there() {
	start_worker memory 4 0 /tmp/count
	through kill-there "$1" "$2"
	move
	[[ $status != 0 ]]
	unhindered
	wait_until no_criu
	assert_eq "$(jq -r .fate "$THERE"/.migrations/*)" pending
}

still_here() {
	! undecided || ok migrate --resolve "$ID"
	goes_on "$BUNDLE"
}

no_criu() { ! pgrep -x criu >/dev/null; }

@test "migrate: reconcile leaves a bundle that was made where a killed one's had been" {
	killed_there back 31
	assert_eq "$(jq -r .bundle "$THERE"/.migrations/*)" "$T/moved"
	rm -rf "$T/moved"
	new_bundle "$T/moved"
	there reconcile
	[[ -e $T/moved/config.json ]]
	rm -rf "$T/moved"
	still_here
	is_clean_there
}

# reconcile_meanwhile: while a hook of the container $ID-2 is waited for.
reconcile_meanwhile() {
	rm -f "$T/hooked" "$T/go"
	there create --bundle "$T/other" "$ID-2" >"$T/create.out" 2>&1 </dev/null 3>&- 4>&- &
	wait_until test -e "$T/hooked"
	there reconcile &
	local reconcile=$!
	sleep 2
	: >"$T/go"
	wait "$reconcile"
	wait_until there_is created
	there delete --force "$ID-2"
}

@test "migrate: reconcile leaves a container that is being created by the id of a killed one" {
	killed_there there 20+22
	[[ ! -e $THERE/$ID-2 ]]
	new_bundle "$T/other"
	printf '#!/bin/sh\n: >%s/hooked\nwhile [ ! -e %s/go ]; do sleep .1; done\n' "$T" "$T" >"$T/hook"
	chmod 755 "$T/hook"
	config_set --file "$T/other/config.json" --arg h "$T/hook" '.hooks.createRuntime = [{path: $h}]'
	cp "$THERE"/.migrations/* "$T/record"
	reconcile_meanwhile
	# Of one that ran, and whose files could not be removed when it was ended.
	jq -c '.fate = "lost" | .created = "2026-01-01T00:00:00Z"' "$T/record" >"$THERE/.migrations/$(jq -r .token "$T/record")"
	reconcile_meanwhile
	still_here
	is_clean_there
}

# Who was killed just behind that word: CRIU took the restore back.
@test "migrate: reconcile removes what is left of one that was committed and never ran" {
	killed_there back 31
	[[ -e $T/moved && -e $THERE/$ID-2 ]]
	local created record
	created=$(jq -r .created "$THERE/$ID-2/state.json")
	record=$(jq -c --arg c "$created" '.fate = "committed" | .created = $c' "$THERE"/.migrations/*)
	echo "$record" | tee "$THERE"/.migrations/* >/dev/null
	there reconcile
	[[ ! -e $THERE/$ID-2 ]]
	still_here
	is_clean_there
}

# Who was killed just behind that word: CRIU took the restore back.
@test "migrate: reconcile removes what is left of one that was committed and never ran" {
	killed_there back 31
	[[ -e $T/moved && -e $THERE/$ID-2 ]]
	local created record
	created=$(jq -r .created "$THERE/$ID-2/state.json")
	record=$(jq -c --arg c "$created" '.fate = "committed" | .created = $c' "$THERE"/.migrations/*)
	echo "$record" | tee "$THERE"/.migrations/* >/dev/null
	there reconcile
	[[ ! -e $THERE/$ID-2 ]]
	still_here
	is_clean_there
}
