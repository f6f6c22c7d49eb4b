# SPDX-License-Identifier: LGPL-2.1-or-later
# For the files that test checkpoints by engines.
#
#   $COUNTING          a script that notes in /starts that it was started, and counts, in its memory, into /count
#   counted PID        how far it has come, by a process of the container          counts_to PID N   it has come to N or further
#   goes_on PID N      it is at N or beyond, was started once, and counts on

# shellcheck disable=SC2016,SC2034
COUNTING='echo >>/starts; i=0; while :; do i=$((i + 1)); echo $i >/count; echo $i; sleep 0.1; done'

counted() {
	local n

	n=$(cat "/proc/$1/root/count" 2>/dev/null)
	echo $((10#${n:-0}))
}
counts_to() { (($(counted "$1") >= $2)); }

# What is started again counts from 1.
goes_on() {
	local n=$2

	assert_eq "$(wc -l <"/proc/$1/root/starts")" 1
	wait_until counts_to "$1" "$n"
	n=$(counted "$1")
	wait_until counts_to "$1" $((n + 3))
	(($(counted "$1") < n + 1000))
}
