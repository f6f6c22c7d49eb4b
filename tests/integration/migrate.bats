#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate, between two --roots of this host: the other "host" is a command that runs vzrun here.  tests/integration/hosts.bats has
# two that are apart.

load ../lib/helpers

WORKER=${PROBE%/*}/worker

setup() {
	needs_root
	needs_command criu
	criu check >/dev/null 2>&1 || skip "this CRIU does not run on this kernel"
	needs_command rsync
	vz_setup
	THERE=$T/there
	mkdir -p "$BUNDLE/rootfs/tmp" "$T/bin" "$T/tmp"
	export TMPDIR=$T/tmp
	config_set '.root.readonly = false'
	ln -s "$VZRUN" "$T/bin/vzrun"
	printf '#!/bin/sh\necho "$@" >>%s/calls\nshift\nPATH=%s/bin:$PATH exec "$@"\n' "$T" "$T" >"$T/ssh"
	chmod 755 "$T/ssh"
}

teardown() {
	local c

	for c in "${THERE:-/nonexistent}"/*/; do
		[[ ! -d $c ]] || timeout 20 "$VZRUN" --root "$THERE" delete --force "$(basename "$c")" >/dev/null 2>&1 </dev/null
	done
	vz_teardown
}

# start_worker WORD...: a container that counts into /tmp/count, as long as all is well.
start_worker() {
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set --argjson a "$(jq -cn '["worker"] + $ARGS.positional' --args -- "$@")" '.process.args = $a'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_until counted_to 3 "$BUNDLE"
}

count() {
	local n

	n=$(cat "$1/rootfs/tmp/count" 2>/dev/null)
	echo $((10#${n:-0}))
}
counted_to() { (($(count "$2") >= $1)); }

# goes_on BUNDLE: what it counts grows.
goes_on() {
	local n

	n=$(count "$1")
	((n > 0))
	wait_until counted_to $((n + 3)) "$1"
}

migrate() { ok migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "$@" "$ID" host; }
refused() { fails "$1" migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "${@:2}" "$ID" host; }
there() { "$VZRUN" --root "$THERE" "$@"; }

# The other side has nothing of it, and neither has anybody's directory for images.
is_clean_there() {
	[[ ! -e $THERE/$ID-2 && ! -e $T/moved ]]
	assert_eq "$(find "$T/tmp" "$THERE/.migrations" -mindepth 1 2>/dev/null)" ""
}

@test "migrate: a container runs there, and is gone here" {
	start_worker memory 8 500 /tmp/count
	n=$(count "$BUNDLE")
	migrate
	assert_match "$output" "check*files*memory  round 1*freeze*restore*done*downtime*"
	[[ ! -e $ROOT/$ID && ! -e $BUNDLE ]]
	assert_eq "$(there state "$ID-2" | jq -r .status)" running
	(($(count "$T/moved") >= n))
	goes_on "$T/moved"
	assert_eq "$(find "$T/tmp" "$THERE/.migrations" -mindepth 1)" ""
	there exec "$ID-2" true
}

@test "migrate: there and back, with --compress, --bandwidth and no rounds" {
	start_worker memory 8 0 /tmp/count
	migrate --compress --max-rounds 0
	! grep -q 'memory' <<<"$output"
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
	start_worker memory 4 0 /tmp/count
	refused 'is not the directory that the source has by that name' --rootfs shared
	goes_on "$BUNDLE"
	ok migrate --ssh "$T/ssh" --remote-root "$THERE" --new-id "$ID-2" --rootfs shared "$ID" host
	[[ ! -e $ROOT/$ID ]]
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

# ---- faults ----

# who_runs: how many of the two count.
who_runs() {
	local a b

	a=$(count "$BUNDLE") b=$(count "$T/moved")
	sleep .4
	running=$(( ($(count "$BUNDLE") > a) + ($(count "$T/moved") > b) ))
}

# through ACTION DIRECTION TYPE: the connection goes through tests/lib/cut.py.
through() {
	printf '#!/bin/sh\nshift\nPATH=%s/bin:$PATH exec python3 %s/tests/lib/cut.py %s "$@"\n' "$T" "$TOP" "$*" >"$T/ssh"
}

move() { run_vzrun migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" --max-rounds 1 "$@" "$ID" host; }
unhindered() { printf '#!/bin/sh\nshift\nPATH=%s/bin:$PATH exec "$@"\n' "$T" >"$T/ssh"; }

# The other side has noticed, and cleaned up.
settled() { [[ ! -e $THERE/$ID-2 && ! -e $T/moved && -z $(find "$T/tmp" "$THERE/.migrations" -mindepth 1 2>/dev/null) ]]; }

# each_frame ACTION: at every kind of frame, in either direction.  Afterwards one runs, and not two; or it is undecided, and --resolve
# ends it so.  The side that was not killed is clean.
each_frame() {
	local action=$1 direction type n=0

	: >"$T/list"
	export CUT_LIST=$T/list
	start_worker memory 2 0 /tmp/count
	through list x 0
	move
	[[ $status == 0 ]]
	there delete --force "$ID-2"
	rm -rf "$T/moved"
	mkdir -p "$BUNDLE"
	sort -u "$T/list" >"$T/kinds"
	(($(wc -l <"$T/kinds") > 15))
	while read -r direction type <&9; do
		rm -rf "$BUNDLE"
		new_bundle "$BUNDLE"
		mkdir -p "$BUNDLE/rootfs/tmp"
		config_set '.root.readonly = false'
		start_worker memory 2 0 /tmp/count
		through "$action" "$direction" "$type"
		move
		after "$direction" "$type"
		n=$((n + 1))
	done 9<"$T/kinds"
	echo "# $action: $n frames"
}

after() {
	local where="$action $1 $2" undecided

	unhindered
	undecided=$("$VZRUN" --root "$ROOT" state "$ID" 2>/dev/null | jq -r '.migration.undecided // false')
	if [[ $undecided == true ]]; then
		who_runs
		((running <= 1)) || { echo "$where: two run"; return 1; }
		fails 'may run on host' resume "$ID"
		run_vzrun migrate --resolve "$ID"
		[[ $status == 0 ]] || { echo "$where: --resolve: $stderr"; return 1; }
	fi
	one() { who_runs; ((running == 1)); }
	wait_until one || { echo "$where: $running run ($stderr)"; return 1; }
	if [[ -e $ROOT/$ID ]]; then
		[[ $action == kill-there ]] && there reconcile
		wait_until settled || { echo "$where: left there:"; find "$T/tmp" "$THERE" "$T/moved" | head; return 1; }
		state_is "$ID" running
		ok delete --force "$ID"
	else
		there delete --force "$ID-2"
		rm -rf "$T/moved"
	fi
	[[ $action != kill-here ]] || rm -rf "$T"/tmp/*
}

@test "migrate: the connection is cut before each frame" {
	VZ_TIMEOUT=30 each_frame lose
}

@test "migrate: the connection is cut behind each frame" {
	VZ_TIMEOUT=30 each_frame cut
}

@test "migrate: each frame is damaged" {
	VZ_TIMEOUT=30 each_frame garble
}

@test "migrate: the other side is killed at each frame" {
	VZ_TIMEOUT=30 each_frame kill-there
}

@test "migrate: this side is killed at each frame" {
	VZ_TIMEOUT=30 each_frame kill-here
}
