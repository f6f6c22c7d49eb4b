# SPDX-License-Identifier: LGPL-2.1-or-later
# For files that make rows of the flow table fail: what they share.  Needs helpers.bash, and HOLDER and FAILED set by setup.

VZRUN=${VZRUN_FAULT:-$TOP/build-fault/vzrun}

setup_file() {
	export SHARED=$BATS_FILE_TMPDIR
	# A process whose namespaces are joined, in whose network namespace vzrun is called.
	unshare -n -u -i -p -f --kill-child sleep infinity </dev/null >/dev/null 2>&1 3>&- 4>&- &
	echo $! >"$SHARED/unshare"
	wait_until pgrep -P $! sleep
	pgrep -P $! sleep >"$SHARED/holder"
	python3 "$TOP/tests/steps/agents.py" "$SHARED/console" "$SHARED/seccomp" </dev/null >/dev/null 2>"$SHARED/agents.err" 3>&- 4>&- &
	echo $! >"$SHARED/agents"
	wait_until test -S "$SHARED/seccomp"
}

teardown_file() {
	kill "$(cat "$SHARED/holder")" "$(cat "$SHARED/unshare")" "$(cat "$SHARED/agents")"
	vz_teardown_file
}

# in_net ARGS...: in the network namespace of the holder, where a device can be given away.
in_net() { nsenter -t "$HOLDER" -n "$@"; }
device() { in_net ip -o link show vzsteps0 >/dev/null 2>&1; }
need_device() { device || in_net ip link add vzsteps0 type veth peer name vzsteps1; }

# rows COMMAND: of the table.
rows() {
	"$VZRUN" features --steps | awk -v want="$1" '
		BEGIN { letter["create"] = "c"; letter["start"] = "t"; letter["run"] = "r"; letter["exec"] = "x"; letter["restore"] = "s" }
		index($4, letter[want]) { print $2 }'
}
side_of() { "$VZRUN" features --steps | awk -v n="$1" '$2 == n { sub(/\*/, "", $3); print $3 }'; }
# after_clone ROW: is init there when the row is reached?
after_clone() { "$VZRUN" features --steps | awk -v n="$1" '$2 ~ /^(clone|criu-clone)$/ { on = 1; next } $2 == n { found = on } END { exit !found }'; }

# call VARIABLES ARGS...: vzrun with faults, as an engine calls it.
call() {
	local vars=$1

	shift
	status=0
	# shellcheck disable=SC2086
	in_net env $vars timeout -k 1 "${CALL_LIMIT:-5}" "$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" "$@" >"$T/stdout" 2>"$T/stderr" </dev/null 3>&- 4>&- || status=$?
	stderr=$(<"$T/stderr")
}

bad() {
	FAILED+="$1"$'\n'
	echo "$1: status $status: $stderr"
}

# clean ROW: nothing is left; if something is, say so once and start again from a clean host.
clean() {
	[[ ! -e $T/pid ]] || bad "$1: a pid file is left"
	rm -f "$T/pid"
	[[ -z $(ls -A "$T/probe") ]] || bad "$1: an extension left $(ls -A "$T/probe")"
	rm -f "$T/probe"/*
	audit check "$T/before" "$VZRUN_TEST_ID" && return
	bad "$1: left something"
	"$VZRUN" --root "$ROOT" delete --force "$ID" >/dev/null 2>&1 </dev/null
	audit clean "$T/before" "$VZRUN_TEST_ID"
}

force_delete() {
	local shown

	# Whatever is there can be looked at and deleted.
	shown=$("$VZRUN" --root "$ROOT" list -q 2>&1 3>&- 4>&-) || bad "$1: list fails: $shown"
	if [[ $shown == *"$ID"* && $1 != intent ]]; then
		shown=$(state_of "$ID")
		[[ $shown == @(creating|created|running|stopped) ]] || bad "$1: its state is '$shown'"
	fi
	call "" delete --force "$ID"
	[[ $status == 0 ]] || bad "$1: delete --force"
	rm -f "$T/pid" # its owner is dead
	clean "$1"
}
