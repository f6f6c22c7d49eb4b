#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate: who runs when a side is killed, signalled or fails about the word to go on; what the records of both sides say then, and
# what resume, reconcile and --resolve make of them.

load ../lib/migrate

@test "migrate: --resolve knows of one that ran there, whatever became of it since" {
	local end
	for end in kill delete damage; do
		fresh_bundle
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
		fresh_bundle
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

# Its state is written anew, its record over what was there.
@test "migrate: no space there behind the word to go on: it runs, and says so when there is some" {
	local what how
	mkdir "$THERE"
	mount -t tmpfs -o size=1m none "$THERE"
	mounts=$THERE
	export CUT_RUN="cat /dev/zero >$THERE/full"
	for what in 'goes-on --max-rounds 0' 'goes-on --post-copy' 'is-killed --max-rounds 0'; do
		read -r what how <<<"$what"
		fresh_bundle
		start_worker memory 2 0 /tmp/count
		through run there 32
		# shellcheck disable=SC2086
		VZ_TIMEOUT=100 migrate $how
		[[ -s $THERE/full && $stderr == *warning*space* && ! -e $ROOT/$ID ]] || { echo "$stderr"; false; }
		goes_on "$T/moved"
		rm "$THERE/full"
		[[ $what != is-killed ]] || kill -KILL "$(jq .pid "$THERE/$ID-2/state.json")"
		there reconcile
		if [[ $what == is-killed ]]; then
			there_is stopped
		else
			there_is running
			assert_eq "$(there exec "$ID-2" echo here)" here
		fi
		# It is the only copy.
		[[ -s $T/moved/rootfs/tmp/count ]]
		there delete --force "$ID-2"
		rm -rf "$T/moved" "$THERE"/.migrations/*
	done
}

@test "migrate: a hook that fails behind the word to go on is told of, and takes nothing back" {
	hook_there ": >$T/hooked; exit 1"
	start_worker memory 2 0 /tmp/count
	migrate --max-rounds 0
	[[ -e $T/hooked && $stderr == *warning*poststart* ]] || { echo "$stderr"; false; }
	goes_on "$T/moved"
	there_is running
	[[ ! -e $ROOT/$ID ]]
}

# It may have run for a moment, and what it did then is gone.
@test "migrate: what fails there behind the word to go on is lost, and it goes on here" {
	start_worker memory 2 0 /tmp/count
	through criu-there there 32
	move
	[[ $status == 4 && $stderr == *'what the container did there is lost; it goes on here'* ]]
	goes_on "$BUNDLE"
	is_clean_there
}

@test "migrate: what fails there behind the word to go on, and nobody hears of it: --resolve does" {
	start_worker memory 2 0 /tmp/count
	# Two connections, one in the other: the outer one loses the answer.
	printf '#!/bin/sh\nexec python3 %s/tests/lib/cut.py lose back 52 %s/inner "$@"\n' "$TOP" "$T" >"$T/outer"
	chmod 755 "$T/outer"
	through criu-there there 32
	mv "$T/ssh" "$T/inner"
	mv "$T/outer" "$T/ssh"
	move
	[[ $status == 3 ]]
	unhindered
	there reconcile # nor does that, or another migration, forget it
	run_vzrun migrate --resolve "$ID"
	[[ $status == 4 && $stderr == *'host has ended it'*'it goes on here'* ]]
	goes_on "$BUNDLE"
	is_clean_there
}

@test "migrate: what fails there behind the word to go on has written to a shared root: it stays paused" {
	start_worker memory 2 0 /tmp/count
	through criu-there there 32
	run_vzrun migrate --ssh "$T/ssh" --remote-root "$THERE" --new-id "$ID-2" --rootfs shared --max-rounds 1 "$ID" host
	[[ $status == 4 && $stderr == *'it stays paused here'* ]]
	[[ ! -e $THERE/$ID-2 ]]
	state_is "$ID" paused
	ok resume "$ID"
	goes_on "$BUNDLE"
}

@test "migrate: CRIU here dies when the word is on its way: it runs there, and not here for a moment" {
	start_worker memory 2 0 /tmp/count
	through criu-here there 32
	move --keep
	[[ $status == 0 ]]
	# It writes all the time when it runs; the other file was made when it had been frozen, and before the word.
	[[ -s $BUNDLE/rootfs/tmp/count && ! $BUNDLE/rootfs/tmp/count -nt $T/moved/config.json ]]
	goes_on "$T/moved"
	[[ ! -e $ROOT/$ID ]]
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
		fresh_bundle
		start_worker memory 4 0 /tmp/count
		become_undecided
		nsenter -t "$(jq .pid "$ROOT/$ID/state.json")" -n sleep 300 3>&- 4>&- &
		member=$!
		joined() { [[ /proc/$member/ns/net -ef /proc/$(jq .pid "$ROOT/$ID/state.json")/ns/net ]]; }
		wait_until joined
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
	rm "$THERE"/.migrations/* # its source would ask
	still_here
	is_clean_there
}

# Who was killed just behind that word: CRIU took the restore back, perhaps when it had run for a moment.
@test "migrate: reconcile removes what is left of one that was committed and is not there" {
	killed_there back 31
	[[ -e $T/moved && -e $THERE/$ID-2 ]]
	local created record
	created=$(jq -r .created "$THERE/$ID-2/state.json")
	record=$(jq -c --arg c "$created" '.fate = "committed" | .created = $c' "$THERE"/.migrations/*)
	echo "$record" | tee "$THERE"/.migrations/* >/dev/null
	there reconcile
	[[ ! -e $THERE/$ID-2 ]]
	assert_eq "$(jq -r '.fate, .bundle // "none", .work // "none"' "$THERE"/.migrations/* | paste -sd ' ')" "lost none none"
	rm "$THERE"/.migrations/* # its source would ask
	still_here
	is_clean_there
}

# What is left of a killed rsync makes directories as long as it lives: here somebody who makes one when he is waited for.
@test "reconcile: a bundle is removed when rsync's processes have ended" {
	killed_there back 31
	(
		exec 7<"$T/moved"
		flock -s 7
		: >"$T/locked"
		sleep 2
		mkdir -p "$T/moved/late"
	) 3>&- 4>&- &
	wait_until test -e "$T/locked"
	there reconcile
	[[ ! -e $T/moved ]]
	wait $!
	[[ ! -e $T/moved ]]
	still_here
	is_clean_there
}
