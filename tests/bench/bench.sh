#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# bench.sh BUILD-DIR VZRUN: `run` of /bin/true in the default bundle by vzrun, runc, crun and the floor; then the
# system calls of one `run` of vzrun.  ROUNDS=N: how many (default 200).  DRIVERS: who makes the cgroups, "cgroupfs",
# "systemd" or both (default: cgroupfs).  PEERS: the others (default: crun runc).  LIMITS="DRIVER:RATIO...": a failure when
# vzrun takes more than so many times crun's time with that driver.
set -eu
build=$1
vzrun=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vzrun-bench.XXXXXX")
# State lives on a tmpfs, as /run is one where runtimes are at work; programs are compared as packages install them: stripped
# (a guest has no strip: who runs this there hands over a stripped one), and not on a share of the host.
state=$(mktemp -d /dev/shm/vzrun-bench.XXXXXX 2>/dev/null) || state=$(mktemp -d "$tmp/state.XXXXXX")
trap 'rm -rf "$tmp" "$state"' EXIT
trap 'exit 130' INT TERM HUP
sh "$top/contrib/bundle.sh" "$tmp/bundle" /bin/true
strip -o "$tmp/vzrun" "$vzrun" 2>/dev/null || cp "$vzrun" "$tmp/vzrun"
cp "$build/tests/bench/floor" "$build/tests/bench/start" "$tmp"
vzrun=$tmp/vzrun

# Controllers that are mounted, as NAME:DIR, one per hierarchy.
hiers=$(awk '$3 == "cgroup" { n = split($2, p, "/"); split(p[n], c, ","); print c[1] ":" $2 }
	$3 == "cgroup2" { print "unified:" $2 }' /proc/mounts | tr '\n' ' ')

# bench DRIVER: the ratios are to the floor and to crun with the same driver.
bench() {
	driver=
	[ "$1" = cgroupfs ] || driver=--systemd-cgroup
	set --
	# shellcheck disable=SC2086
	if "$tmp/floor" "$tmp/bundle/rootfs" $hiers -- /bin/true; then
		set -- "$@" "floor=$tmp/floor $tmp/bundle/rootfs $hiers-- /bin/true"
	fi
	set -- "$@" "vzrun=$vzrun --root $state/vzrun $driver run --bundle $tmp/bundle vzb%d"
	for r in ${PEERS-crun runc}; do
		p=$(command -v $r) || continue
		mark=
		# crun refuses a hybrid host; without the cgroup2 mount it takes it for v1.
		if [ $r = crun ] && [ -e /sys/fs/cgroup/unified/cgroup.controllers ]; then mark=!; fi
		set -- "$@" "$r$mark=$p --root $state/$r $driver run --bundle $tmp/bundle ${r}b%d"
	done
	"$tmp/start" "${ROUNDS:-200}" "$@"
}

# within DRIVER: of the report on standard input, whose last column is the ratio to crun.
within() {
	for l in ${LIMITS:-}; do
		[ "${l%:*}" = "$1" ] || continue
		awk -v most="${l#*:}" -v driver="$1" '$1 == "vzrun" { seen = 1; bad = $NF + 0 > most || $NF !~ /^[0-9.]+$/ }
			END { if (!seen || bad) { print driver ": more than " most " of crun"; exit 1 } }' || missed=1
	done
}

missed=0
for d in ${DRIVERS:-cgroupfs}; do
	echo "== $d"
	bench "$d" >"$tmp/report"
	cat "$tmp/report"
	within "$d" <"$tmp/report"
done

if command -v strace >/dev/null; then
	echo
	echo "system calls of one run of vzrun (host side and init; the payload's own are among them):"
	strace -f -c -S calls -o "$tmp/strace" "$vzrun" --root "$state/vzrun" run --bundle "$tmp/bundle" "vzs$$" </dev/null
	awk '$4 ~ /^[0-9]+$/ && $NF != "total" { n += $4; line[++k] = sprintf("  %-24s %d", $NF, $4) }
		END { print "  total                    " n; for (i = 1; i <= k; i++) print line[i] }' "$tmp/strace"
fi
exit $missed
