#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint.sh BUILD-DIR VZRUN: how long checkpoint and restore take, and how long the container stands still for them, against runc with
# the same CRIU in the same run; then how long it stands still for a migration.  As root, where CRIU runs.  Times are medians in ms;
# standing still is what the container's process 1 itself did not run for.  The ratio is that of the fastest of each: what others do on the
# machine meanwhile only adds, and to a median of few it adds much.
#   freeze       by `checkpoint --leave-running`         written      that command
#   gone         by `checkpoint` and `restore`           restored     the second
# runc leaves out what is in the network namespace; vzrun does so with --empty-ns network alone, which is what is compared.  The rows
# "with the network" are shown without a limit: there CRIU runs ip, iptables-save and nft for vzrun and not for runc.
# ROUNDS=N: how many (default 5; three times as many of 16 MiB; again as many, for both, of what is above the limit, up to twice).
# CASES="MIB:PROCESSES...": MIB all together.  LIMIT: a failure when
# vzrun takes more than so many times runc's time.
set -eu
build=$1 vzrun=$2 rounds=${ROUNDS:-5}
top=$(cd "$(dirname "$0")/../.." && pwd)
worker=$build/tests/lib/worker
# The bundle on a disk, where containers are: a tmpfs does not tell what has changed in it, and migrate compares all.
T=$(mktemp -d "${TMPDIR:-/var/tmp}/vzrun-bench.XXXXXX")
# Images and logs on a tmpfs: disks are not compared.
S=$(mktemp -d /dev/shm/vzrun-bench.XXXXXX)
trap 'for r in "$vzrun" runc; do "$r" --root "$S/root" delete --force bench >/dev/null 2>&1 || :; done; "$vzrun" --root "$S/there" delete --force moved >/dev/null 2>&1 || :
	rm -rf "$T" "$S"' EXIT
trap 'exit 130' INT TERM HUP

now_us() { echo $(($(date +%s%N) / 1000)); }
fastest() { sort -n | head -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# bundle SCRIPT: process 1 is the last thing that it runs.
bundle() {
	rm -rf "$T/bundle"
	sh "$top/contrib/bundle.sh" "$T/bundle" true >/dev/null
	mkdir -p "$T/bundle/rootfs/tmp"
	cp "$worker" "$T/bundle/rootfs/bin/worker"
	jq --arg s "$1" '.process.args = ["sh", "-c", $s] | .root.readonly = false | del(.linux.resources)' "$T/bundle/config.json" >"$T/config"
	mv "$T/config" "$T/bundle/config.json"
}

# await COMMAND...: until it is so.
await() {
	n=0
	until "$@"; do
		n=$((n + 1))
		[ $n -lt 2000 ] || { echo "waited in vain for: $*" >&2; exit 1; }
		sleep .02
	done
}

# pause BUNDLE: prints the longest since it was last asked for.  The process runs when it says so: what it stood still for now is in it.
pause() {
	rm "$1/rootfs/tmp/pause"
	await test -s "$1/rootfs/tmp/pause"
	# Without leading zeros, which the shell takes for another kind of number.
	sed 's/^0*\(.\)/\1/' "$1/rootfs/tmp/pause"
}

quietly() {
	"$@" >"$T/said" 2>&1 </dev/null || { echo "$*:" && cat "$T/said" && { grep -h Error "$S"/logs/*.log || :; } && exit 1; } >&2
}

start() { # RUNTIME PROCESSES
	rm -rf "$T/bundle/rootfs/tmp"/*
	# Not to a file of the host, which runc cannot write.
	"$1" --root "$S/root" run -d --bundle "$T/bundle" bench >/dev/null 2>&1 </dev/null
	for p in $(seq 1 $(($2 - 1))) pause; do
		await test -s "$T/bundle/rootfs/tmp/$p"
	done
	sleep .5
	pause "$T/bundle" >/dev/null
}

checkpoint() { # RUNTIME WORD...
	r=$1
	shift
	[ "$r" = runc ] || set -- ${empty:-} "$@"
	quietly "$r" --root "$S/root" checkpoint --image-path "$S/images" --work-path "$S/logs" "$@" bench
}

# round RUNTIME PROCESSES: one line, "freeze written gone restored" in us.
round() {
	start "$@"
	a=$(now_us)
	checkpoint "$1" --leave-running
	b=$(now_us)
	freeze=$(pause "$T/bundle")
	rm -rf "$S/images"
	checkpoint "$1"
	c=$(now_us)
	quietly "$1" --root "$S/root" restore -d --bundle "$T/bundle" --image-path "$S/images" --work-path "$S/logs" bench
	d=$(now_us)
	gone=$(pause "$T/bundle")
	quietly "$1" --root "$S/root" delete --force bench
	rm -rf "$S/images" "$S/logs"
	echo "$freeze $((b - a)) $gone $((d - c))"
}

# measure ROUNDS PROCESSES
measure() {
	for _ in $(seq "$1"); do
		round "$vzrun" "$2" >>"$T/vzrun-times"
		[ -z "$runc" ] || round runc "$2" >>"$T/runc-times"
	done
}

# Is anything of what was measured above the limit?
is_over() {
	[ -n "$runc" ] && [ "${LIMIT:-0}" != 0 ] && paste -d ' ' "$T/vzrun-times" "$T/runc-times" | awk -v limit="$LIMIT" '
		{ for (c = 1; c <= 8; c++) if (NR == 1 || $c < fastest[c]) fastest[c] = $c }
		END { for (c = 1; c <= 4; c++) if (fastest[c] > fastest[c + 4] * limit) exit 0; exit 1 }'
}

# compare MIB PROCESSES
compare() {
	each=$(($1 * 1024 / $2))
	bundle "for i in \$(seq 1 $(($2 - 1))); do worker pause $each 0 /tmp/\$i & done; exec worker pause $each 0 /tmp/pause"
	rm -f "$T"/*-times
	# Short ones are cheap, and others on the machine weigh more there.
	often=$((rounds * ($1 > 16 ? 1 : 3)))
	measure "$often" "$2"
	# Of few rounds a single one that nobody disturbed decides: the fastest of more are nearer to what each of them needs.
	for _ in 1 2; do
		! is_over || measure "$often" "$2"
	done
	column=1
	for what in freeze written gone restored; do
		cut -d ' ' -f $column "$T/vzrun-times" >"$T/v"
		cut -d ' ' -f $column "$T/runc-times" >"$T/r" 2>/dev/null || :
		awk -v c="$1 MiB, $2 processes: $what" -v v="$(median <"$T/v")" -v r="$(median <"$T/r")" -v fv="$(fastest <"$T/v")" -v fr="$(fastest <"$T/r")" \
			-v limit="${LIMIT:-0}" 'BEGIN {
			printf "%-36s %9.1f %9s %7s\n", c, v / 1000, r ? sprintf("%.1f", r / 1000) : "-", fr ? sprintf("%.2f", fv / fr) : "-"
			exit limit && (!fr || fv > fr * limit) }' || missed=1
		column=$((column + 1))
	done
}

# The other host is another --root of this one.
migration() { # KB/S WORDS
	bundle "exec worker pause $((128 * 1024)) $1 /tmp/pause"
	printf '#!/bin/sh\nshift\nPATH=%s:$PATH exec "$@"\n' "$T" >"$T/ssh"
	chmod 755 "$T/ssh"
	cp "$vzrun" "$T/vzrun"
	rm -f "$T/times"
	for _ in $(seq "$rounds"); do
		start "$vzrun" 1
		TMPDIR=$S quietly "$vzrun" --root "$S/root" migrate --keep --ssh "$T/ssh" --remote-root "$S/there" --remote-bundle "$T/moved" --new-id moved bench host
		pause "$T/moved" >>"$T/times"
		quietly "$vzrun" --root "$S/there" delete --force moved
		rm -rf "$T/moved"
	done
	printf '%-36s %9.1f\n' "128 MiB, $2" "$(awk -v n="$(median <"$T/times")" 'BEGIN { print n / 1000 }')"
}

empty='--empty-ns network'
missed=0 runc=$(command -v runc || :)
printf '%-36s %9s %9s %7s\n' "" vzrun runc ratio
for case in ${CASES:-16:1 128:1 512:1 16:64 128:64 512:64}; do
	compare "${case%:*}" "${case#*:}"
done
echo
echo "with the network"
empty= LIMIT=0 compare 16 1
echo
echo "standing still in a migration"
migration 0 idle
migration 1024 "1 MiB/s changed"
migration 51200 "50 MiB/s changed"
exit $missed
