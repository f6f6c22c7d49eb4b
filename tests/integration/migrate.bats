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
