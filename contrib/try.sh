#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows vzrun at work: on a fresh Debian 12 or 13, as root, installs what the build needs, builds in build/, makes a small
# container from busybox and takes it through its life.  Leaves the build behind, and nothing else.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	echo "try.sh: run me as root (containers and packages need it)" >&2
	exit 1
fi

say() { printf '\n== %s\n' "$*"; }

say "packages and build"
sh contrib/packages.sh install build runtime bundle
sh contrib/build.sh build
vzrun=$PWD/build/vzrun
"$vzrun" --version

tmp=$(mktemp -d "${TMPDIR:-/tmp}/vzrun-try.XXXXXX")
id=try-$$
finish() {
	status=$?
	for c in "$id" "$id-run"; do vz delete --force "$c" >/dev/null 2>&1 || :; done
	rm -rf "$tmp"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# timed WORD COMMAND...: runs it and prints how long it took.
timed() {
	word=$1
	shift
	t0=$(date +%s%N)
	"$@"
	t1=$(date +%s%N)
	printf '   %-7s %5d.%03d ms\n' "$word" $(((t1 - t0) / 1000000)) $(((t1 - t0) / 1000 % 1000))
}
# A time limit: a hang is reported and cleaned up, not waited for.
vz() { timeout --foreground -k 5 60 "$vzrun" --root "$tmp/state" "$@"; }

say "a container's life"
sh contrib/bundle.sh "$tmp/life" sleep 1000
timed create vz create --bundle "$tmp/life" "$id" </dev/null
timed start vz start "$id"
vz list
timed delete vz delete --force "$id"

say "what a container sees"
# shellcheck disable=SC2016
sh contrib/bundle.sh "$tmp/look" sh -c '
first() { for f; do if [ -r "$f" ]; then cat "$f"; return; fi; done; echo "-"; }
cg=/sys/fs/cgroup
echo "   hostname:        $(hostname)"
echo "   process 1:       $(tr "\0\n" "  " </proc/1/cmdline | cut -c 1-14)... (of $(ls -d /proc/[0-9]* | wc -l) processes in sight)"
echo "   memory limit:    $(first $cg/memory.max $cg/memory/memory.limit_in_bytes) bytes"
echo "   process limit:   $(first $cg/pids.max $cg/pids/pids.max)"
echo "   cpu weight:      $(first $cg/cpu.weight $cg/cpu/cpu.shares $cg/cpu,cpuacct/cpu.shares) (the document says shares: 512)"
echo "   open files:      $(ulimit -n)"
echo "   mounts:          $(wc -l </proc/self/mountinfo)"
echo "   network devices: $(ls /sys/class/net | tr "\n" " ")"
echo "   capabilities:    $(sed -n "s/^CapEff:.//p" /proc/self/status)"'
vz run --bundle "$tmp/look" "$id-run" </dev/null

say "try next"
cat <<N
   sh contrib/bundle.sh -t /tmp/first sh            # a bundle of your own; edit /tmp/first/config.json as you like
   build/vzrun run --bundle /tmp/first first        # a shell inside it
   sh tests/run.sh                                  # all tests
N
