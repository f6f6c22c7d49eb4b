#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint.sh VZRUN [ROUNDS]: how long a checkpoint and a restore take, and how long the container stands still meanwhile, against runc
# with the same CRIU in the same run: containers of 16, 128 and 512 MiB of touched memory, of one process and of 64.  As root, where
# CRIU and runc run.  Medians in ms; fails when vzrun's time is more than LIMIT of runc's.
#   checkpoint           the command, in which the container stands still but for its beginning
#   restore until life   from the command to the first sign of life
#   total                both commands
set -eu
vzrun=$1 rounds=${2:-5} limit=${LIMIT:-1.05}
top=$(cd "$(dirname "$0")/../.." && pwd)
worker=${WORKER:-$top/build/tests/lib/worker}
T=$(mktemp -d "${TMPDIR:-/tmp}/vzrun-bench.XXXXXX")
trap 'for r in "$vzrun" runc; do "$r" --root "$T/root" delete --force bench >/dev/null 2>&1 || :; done; rm -rf "$T"' EXIT
trap 'exit 130' INT TERM HUP

now() { date +%s%N; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# bundle MIB PROCESSES: they share the memory evenly, and the first tells of its life.
bundle() {
	sh "$top/contrib/bundle.sh" "$T/bundle" true >/dev/null
	mkdir -p "$T/bundle/rootfs/tmp"
	cp "$worker" "$T/bundle/rootfs/bin/worker"
	jq --arg s "i=1; while [ \$i -lt $2 ]; do worker memory $(($1 / $2)) 0 /tmp/c\$i & i=\$((i + 1)); done; exec worker memory $(($1 / $2)) 0 /tmp/count" \
		'.process.args = ["sh", "-c", $s] | .root.readonly = false | del(.linux.resources) | .linux.cgroupsPath = "/vzrun-bench"' \
		"$T/bundle/config.json" >"$T/config" && mv "$T/config" "$T/bundle/config.json"
}

alive() { cat "$T/bundle/rootfs/tmp/count" 2>/dev/null || :; }

# wait_change WAS: until there is another sign of life.
wait_change() { while [ "$(alive)" = "$1" ]; do :; done; }

# round RUNTIME: appends "freeze total" to $T/RUNTIME-times.
round() {
	name=$1 run=$2
	rm -rf "$T/images" "$T/bundle/rootfs/tmp"/*
	"$run" --root "$T/root" run -d --bundle "$T/bundle" bench >/dev/null 2>&1 </dev/null
	i=1
	while [ $i -lt "$processes" ]; do
		while [ ! -s "$T/bundle/rootfs/tmp/c$i" ]; do sleep .05; done
		i=$((i + 1))
	done
	while [ ! -s "$T/bundle/rootfs/tmp/count" ]; do sleep .05; done
	sleep .2
	a=$(now)
	"$run" --root "$T/root" checkpoint --image-path "$T/images" --work-path "$T/work" bench >/dev/null 2>&1 </dev/null
	b=$(now)
	was=$(alive)
	c=$(now)
	"$run" --root "$T/root" restore -d --bundle "$T/bundle" --image-path "$T/images" --work-path "$T/work" bench >/dev/null 2>&1 </dev/null
	d=$(now)
	wait_change "$was"
	frozen=$(($(now) - c))
	echo "$((((b - a) + (d - c)) / 1000000)) $((b / 1000000 - a / 1000000)) $((frozen / 1000000))" >>"$T/$name-times"
	"$run" --root "$T/root" delete --force bench >/dev/null 2>&1
}

bad=0
printf '%-22s %10s %10s %8s\n' container vzrun runc ratio
for case in 16:1 128:1 512:1 128:64; do
	mib=${case%:*} processes=${case#*:}
	bundle "$mib" "$processes"
	rm -f "$T"/*-times
	n=0
	while [ $n -lt "$rounds" ]; do
		round vzrun "$vzrun"
		round runc runc
		n=$((n + 1))
	done
	column=1
	for what in total checkpoint 'restore until life'; do
		v=$(cut -d ' ' -f $column "$T/vzrun-times" | median) r=$(cut -d ' ' -f $column "$T/runc-times" | median)
		awk -v c="$mib MiB $processes: $what" -v v="$v" -v r="$r" -v limit="$limit" 'BEGIN {
			printf "%-36s %8d %8d %8.2f\n", c, v, r, v / r
			exit v > r * limit }' || bad=1
		column=$((column + 1))
	done
done
exit $bad
