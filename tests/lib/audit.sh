#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The leak audit: what a test leaves on the host.
#
#   audit.sh snapshot FILE               before the test
#   audit.sh check FILE MARKER [TRIES]   after it: prints the leaks, status 1 when there is one
#   audit.sh clean FILE MARKER           removes what is certainly the test's, so that the next one starts from a clean host
#   audit.sh processes MARKER            the processes of the test
#   audit.sh keyrings FILE               before a file of tests
#   audit.sh check-keyrings FILE         after it
#
# One line per object, "KIND NAME"; a leak is a line that is there after and was not before.  Some objects die a moment
# after their last user (a pid namespace's mounts, keyrings, network devices), so check looks again, 20 times in two
# seconds, before it calls something a leak.  A process belongs to a test when it was started with
# VZRUN_TEST_ID=MARKER in its environment: everything below vzrun is, and the payloads, since the test bundle hands it
# to them.  AUDIT_STATE: a further directory in which nothing may stay.  AUDIT_IGNORE_PIDS: processes of the test
# itself.  AUDIT_KEYRINGS=later leaves keyrings out: the kernel frees the credentials of a dead process lazily, up to
# ten seconds later, so helpers.bash looks at them once per file and not after each test.  A program of its own, not functions: bats traces each command of bash, which makes loops ten times slower.
set -u
LC_ALL=C
export LC_ALL

list() {
	# A keyring of a container is named _ses.ID; the other columns change by themselves.
	awk -v later="${AUDIT_KEYRINGS:-now}" 'FILENAME == "/proc/self/mountinfo" { print "mount " $5; next }
		later != "later" && $8 == "keyring" && $9 ~ /^_ses\./ { print "keyring " $9 }' /proc/self/mountinfo /proc/keys 2>/dev/null
	find /sys/fs/cgroup -mindepth 1 -type d -printf 'cgroup %p\n' 2>/dev/null
	for f in /sys/class/net/*; do
		echo "netdev ${f##*/}"
	done
	for f in /sys/block/loop*/loop/backing_file; do
		[ ! -e "$f" ] || { f=${f%/loop/*}; echo "loop /dev/${f##*/}"; }
	done
	for f in /run/vzrun/* "${AUDIT_STATE:-/nonexistent}"/* /dev/mqueue/* /run/netns/*; do
		if [ -e "$f" ] || [ -L "$f" ]; then echo "state $f"; fi
	done
}

processes() {
	for f in $(VZRUN_TEST_ID='' grep -lsz "^VZRUN_TEST_ID=$1\$" /proc/[0-9]*/environ 2>/dev/null); do
		pid=${f#/proc/}
		pid=${pid%/environ}
		case " $$ ${AUDIT_IGNORE_PIDS:-} " in *" $pid "*) continue ;; esac
		what=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
		# A subshell of this script, gone in a moment, is no process of the test.
		case $what in "sh ${0%/*}/audit.sh "*) continue ;; esac
		echo "process $pid ${what:-(no command line)}"
	done
}

# new FILE MARKER.  Other runs of these tests at the same time have markers of the same form in the names of their cgroups
# and keyrings: they are not ours.
new() {
	list | sort | comm -13 "$1" - | awk -v marker="$2" 'index($0, marker) || !/t[0-9]+-[0-9]+-[0-9]+/'
}

# Whatever is not in the snapshot is called a leak and removed: one that a test has overwritten must not be believed.
whole() { grep -qsx 'mount /' "$1" && return 0; echo "LEAK: the snapshot $1 is damaged"; return 1; }

check() {
	whole "$1" || return 1
	i=1
	while leaks=$(new "$1" "$2"; processes "$2"); [ -n "$leaks" ]; do
		[ $i -lt "${3:-20}" ] || { echo "$leaks" | sed 's/^/LEAK: /'; return 1; }
		i=$((i + 1))
		sleep 0.1
	done
}

# What appeared meanwhile may be somebody else's, a container of the host's engine for one.  Processes are ended by the
# marker only, a cgroup goes only when it is empty then, a mount or a file only inside the test's directory.
clean() {
	whole "$1" || return 1
	dir=${AUDIT_STATE%/*}
	new "$1" "$2" | sort -r >"$1.clean"
	while read -r kind name; do
		case $kind:$name in
		cgroup:*"$2"*) [ ! -e "$name/freezer.state" ] || echo THAWED >"$name/freezer.state" ;;
		esac
	done <"$1.clean"
	for pid in $(processes "$2" | cut -d' ' -f2); do
		kill -KILL "$pid"
	done
	sleep 0.05
	while read -r kind name; do
		case $kind:$name in
		mount:"$dir"/*) umount -l "$name" ;;
		cgroup:*"$2"*) rmdir "$name" ;; # another one may be somebody else's
		state:"$dir"/*) rm -rf "$name" ;;
		state:*"$2"*) rm -rf "$name" ;;
		esac
	done <"$1.clean"
	rm -f "$1.clean"
	return 0
}

keyrings() { awk '$8 == "keyring" && $9 ~ /^_ses\./ { print "keyring " $9 }' /proc/keys | sort; }

# check_keyrings FILE: waits for up to 20 seconds.
check_keyrings() {
	i=0
	while leaks=$(keyrings | comm -13 "$1" -); [ -n "$leaks" ]; do
		[ $i -lt 40 ] || { echo "$leaks" | sed 's/^/LEAK: /'; return 1; }
		i=$((i + 1))
		sleep 0.5
	done
}

case $1 in
keyrings) keyrings >"$2" ;;
check-keyrings) check_keyrings "$2" ;;
snapshot) list | sort >"$2" ;;
check) check "$2" "$3" "${4:-}" ;;
processes) processes "$2" ;;
clean) clean "$2" "$3" >/dev/null 2>&1 ;;
esac
