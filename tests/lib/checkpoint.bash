# SPDX-License-Identifier: LGPL-2.1-or-later
# For tests of checkpoints: containers that write numbers that grow to /tmp/count, as long as all is well.
#
#   start_counting, start_sh SCRIPT, start_worker WORD...   run one       count [BUNDLE]   how far it is
#   checkpoint, restore   with the images in $IMG, must succeed            goes_on [ID]     it runs, and counts on
#   in_userns             it gets a user namespace of its own              new_network      and a network that others made
#
# What a test starts, makes and mounts outside is in $helpers (pids), $links (interfaces) and $mounts.

load ../lib/helpers

setup() {
	needs_root
	needs_criu
	vz_setup
	IMG=$T/images
	mkdir -p "$BUNDLE/rootfs/tmp"
	config_set '.root.readonly = false'
}

end_helpers() {
	local p

	for p in ${helpers:-}; do
		kill -KILL "$p" 2>/dev/null || :
	done
	for p in ${links:-}; do
		ip link del "$p" 2>/dev/null || :
	done
	for p in ${mounts:-}; do
		umount -l "$p" 2>/dev/null || :
	done
}

teardown() {
	[[ -z ${uffd_was:-} ]] || sysctl -q vm.unprivileged_userfaultfd="$uffd_was"
	end_helpers
	vz_teardown
}

# A script that counts.
counting='i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep .05; done'

# start_sh SCRIPT [ARG...]: detached, with these arguments of run.
start_sh() {
	config_set --arg s "$1" '.process.args = ["sh", "-c", $s]'
	shift
	ok run --detach --bundle "$BUNDLE" "$@" "$ID"
	wait_until counted_to 3
}

# start_counting [ARG...]: process 1 counts in its memory.
start_counting() { start_sh "$counting" "$@"; }

# start_worker WORD...: the same with tests/lib/worker.c.
start_worker() {
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set --argjson a "$(jq -cn '["worker"] + $ARGS.positional' --args -- "$@")" '.process.args = $a'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_until counted_to 3
}

checkpoint() { ok checkpoint --image-path "$IMG" "$@" "$ID"; }
restore() { ok restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$@" "$ID"; }

# The file is empty for a moment each time.
count() {
	local n i

	for i in 1 2 3 4 5; do
		n=$(cat "${1:-$BUNDLE}/rootfs/tmp/count" 2>/dev/null)
		[[ -z $n ]] || break
		sleep .01
	done
	echo $((10#${n:-0}))
}
counted_to() { (($(count "${2:-}") >= $1)); } # N [BUNDLE]

# goes_on [ID]: it is running, and counts on from where it was.
goes_on() {
	local n

	n=$(count)
	state_is "${1:-$ID}" running
	((n > 0))
	wait_until counted_to $((n + 3))
}

in_userns() { new_userns && chmod 777 "$BUNDLE/rootfs/tmp"; }

config_annotation() { config_set --arg k "$1" --arg v "$2" '.annotations[$k] = $v'; }

# The container gets the network of somebody else.
new_network() {
	outer_network
	config_set --arg p "/proc/$holder/ns/net" '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)'
}

# start_connected: one with that address serves, and has a $client outside.
start_connected() {
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	start_sh "worker serve 7000 & $counting"
	"$WORKER" client 10.77.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
	client=$! helpers+=" $!"
	sleep 1
}

# connection_went_on: the client ends, and has seen no reset and no wrong byte; connection_paused: and what stood still in between.
connection_went_on() {
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
}
connection_paused() {
	local n pause

	read -r n pause < <(tail -n 1 "$T/client")
	((n > 20 && pause >= 500))
}

# network_rules: what nft knows there.
network_rules() { nsenter -t "${holder:-$(pid_of "$ID")}" -n nft list ruleset; }

inside() { "$VZRUN" --root "$ROOT" exec "$ID" "$@" 3>&- 4>&-; }
