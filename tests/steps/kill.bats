#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Death at moments that nobody chose, and commands that meet each other.

load ../lib/helpers

# pause MICROSECONDS: read is a builtin, so the time is short when it is to be: 0.2 ms and what is asked for.
pause() {
	local seconds

	printf -v seconds '0.%06d' "$1"
	read -r -t "$seconds" <>"$T/never" || :
}

# moment MICROSECONDS: sleeps for a random part of them.
moment() { pause $(((RANDOM * 32768 + RANDOM) % $1)); }

setup() {
	vz_setup
	mkfifo "$T/never"
	KILLED=0 WINDOW= RC=0
}

quiet() { "$VZRUN" --root "$ROOT" "$@" >/dev/null 2>>"$T/errors" </dev/null 3>&- 4>&-; }

# signalled SIGNAL MICROSECONDS ARGS...: vzrun, which gets it at a random moment of them at first; then of more when it was too
# early to see the end, and of less when it was too late: however fast the machine is, about half of the calls end by it.
# vzrun begins a little late, or what takes half a millisecond would be over before this shell can send anything.
signalled() {
	local us=${WINDOW:=$2} signal=$1 pid

	shift 2
	{ pause 300 && exec "$VZRUN" --root "$ROOT" "$@"; } >/dev/null 2>>"$T/errors" </dev/null 3>&- 4>&- &
	pid=$!
	moment "$us"
	kill -"$signal" "$pid" 2>/dev/null || : # it may have ended before
	RC=0
	wait "$pid" 2>/dev/null || RC=$?
	if [[ $RC == 0 ]]; then
		WINDOW=$((us * 4 / 5 + 50))
	else
		WINDOW=$((us * 5 / 4))
	fi
}

killed_after() {
	signalled KILL "$@"
	[[ $RC != 137 ]] || KILLED=$((KILLED + 1))
}

# A test in which hardly anything was killed, or hardly anything else, has the wrong moments.
hit() {
	echo "$KILLED of $1 were killed"
	((KILLED * 5 >= $1))
}

user_namespace() {
	config_set '[{ containerID: 0, hostID: 0, size: 65536 }] as $map | .linux.uidMappings = $map
		| .linux.gidMappings = $map | .linux.namespaces += [{ type: "user" }]'
}

# rounds N COMMAND...: each time something is killed; then it can be looked at, deleted, and nothing is left.
rounds() {
	local i n=$1

	shift
	for ((i = 1; i <= n; i++)); do
		"$@"
		ok list
		ok delete --force "$ID"
		[[ -z $(ls -A "$ROOT") ]] || { ls -A "$ROOT"; return 1; }
		((i % 10)) || audit check "$T/before" "$VZRUN_TEST_ID" || return
	done
	hit "$n"
}

@test "create, killed at random moments" {
	rounds 50 killed_after 15000 create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
}

@test "create in a user namespace, killed at random moments" {
	user_namespace
	rounds 50 killed_after 20000 create --bundle "$BUNDLE" "$ID"
}

@test "run, killed at random moments" {
	rounds 50 killed_after 20000 run --bundle "$BUNDLE" "$ID"
}

start_killed() {
	ok create --bundle "$BUNDLE" "$ID" && killed_after 5000 start "$ID"
}

@test "start, killed at random moments" {
	rounds 30 start_killed
}

delete_killed() {
	ok create --bundle "$BUNDLE" "$ID" && killed_after 3000 delete --force "$ID"
}

@test "delete, killed at random moments, can be repeated" {
	rounds 30 delete_killed
}

@test "exec, killed at random moments, leaves the container as it was" {
	local i

	start_sleep
	for ((i = 0; i < 30; i++)); do
		killed_after 15000 exec "$ID" true
	done
	state_is "$ID" running
	ok exec "$ID" true
	only_init() { [[ $("$VZRUN" --root "$ROOT" ps -f json "$ID" 3>&- 4>&-) == "[$(pid_of "$ID")]" ]]; }
	wait_until only_init
	hit 30
}

# interrupted COMMAND...: by SIGTERM; what does not succeed leaves nothing, without any delete.
interrupted() {
	local i failures=0

	for ((i = 0; i < 30; i++)); do
		signalled TERM 10000 "$@"
		# Before vzrun looks at signals it has made nothing.
		[[ $RC == @(0|1|143) ]] || { echo "status $RC"; return 1; }
		[[ $RC == 0 ]] || failures=$((failures + 1))
		[[ $RC == 0 || -z $(ls -A "$ROOT") ]] || { echo "status $RC, left:"; ls -A "$ROOT"; return 1; }
		ok delete --force "$ID"
	done
	((failures > 3)) || { echo "only $failures were interrupted"; return 1; }
	grep -q "interrupted by TERM" "$T/errors"
}

@test "create, interrupted at random moments, undoes itself" {
	interrupted create --bundle "$BUNDLE" "$ID"
}

@test "create in a user namespace, interrupted at random moments, undoes itself" {
	user_namespace
	interrupted create --bundle "$BUNDLE" "$ID"
}

@test "one of several starts wins" {
	local i n=0
	local -a jobs=()

	config_set '.process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	for ((i = 0; i < 8; i++)); do
		quiet start "$ID" &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do
		if wait "$i"; then n=$((n + 1)); fi
	done
	assert_eq "$n" 1 || { cat "$T/errors"; return 1; }
	state_is "$ID" running
}

@test "init, killed at random moments of create" {
	local i pid

	for ((i = 0; i < 30; i++)); do
		"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >/dev/null 2>>"$T/errors" </dev/null 3>&- 4>&- &
		pid=$!
		moment 10000
		# The child of create, if there is one at this moment.
		pkill -KILL -P "$pid" 2>/dev/null || :
		wait "$pid" || [[ $? == 1 ]]
		ok delete --force "$ID"
		[[ -z $(ls -A "$ROOT") ]]
	done
}

# An engine asks the kernel to kill its runtime with it.
@test "create dies with its engine, and its hook with it" {
	config_set --arg t "$T" '.hooks.createRuntime = [{ path: "/bin/sh", args: ["sh", "-c", "echo $$ >" + $t + "/hook; exec sleep 1000"] }]'
	python3 - "$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >/dev/null 2>&1 </dev/null 3>&- 4>&- <<-'P' &
		import ctypes, subprocess, sys
		libc = ctypes.CDLL(None)
		subprocess.run(sys.argv[1:], preexec_fn=lambda: libc.prctl(1, 9, 0, 0, 0))
	P
	local engine=$!

	wait_until test -s "$T/hook"
	ok state "$ID"
	assert_eq "$(jq -r .status <<<"$output")" creating
	kill -KILL "$engine"
	wait "$engine" 2>/dev/null || :
	wait_until test ! -e "/proc/$(<"$T/hook")"
	ok delete --force "$ID"
}

# The lock makes the deletion wait; then it takes away what create has made, or has not made yet.
@test "delete --force while create runs" {
	local i pid rc

	for ((i = 0; i < 30; i++)); do
		quiet create --bundle "$BUNDLE" "$ID" &
		pid=$!
		moment 12000
		ok delete --force "$ID"
		rc=0
		wait "$pid" || rc=$?
		[[ $rc == 0 || $rc == 1 ]] || { echo "create: $rc"; cat "$T/errors"; return 1; }
		ok delete --force "$ID"
		[[ -z $(ls -A "$ROOT") ]]
	done
}

@test "one of several creates of the same id wins" {
	local i n
	local -a jobs=()

	for ((i = 0; i < 8; i++)); do
		quiet create --bundle "$BUNDLE" "$ID" &
		jobs+=($!)
	done
	n=0
	for i in "${jobs[@]}"; do
		if wait "$i"; then n=$((n + 1)); fi
	done
	assert_eq "$n" 1 || { cat "$T/errors"; return 1; }
	assert_eq "$(grep -c "container with given ID already exists" "$T/errors")" 7
	ok start "$ID"
}

# all COMMAND...: at the same time for each of the twenty; % is the id.
all() {
	local i rc=0
	local -a jobs=()

	for ((i = 0; i < 20; i++)); do
		quiet "${@//%/$ID-$i}" &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do
		wait "$i" || rc=1
	done
	[[ $rc == 0 ]] || cat "$T/errors"
	return $rc
}

@test "twenty containers at a time" {
	config_set '.process.args = ["sleep", "1000"]'
	all create --bundle "$BUNDLE" %
	all start %
	ok list -q
	assert_eq "$(wc -l <<<"$output")" 20
	all exec % true
	all kill % KILL
	local i

	for ((i = 0; i < 20; i++)); do wait_state "$ID-$i" stopped; done
	all delete %
	ok list -q
	assert_eq "$output" ""
	all run --bundle "$BUNDLE" --detach %
	all delete --force %
}

# ---- with an interface of the host, in a network namespace that stands for the host's ----

loan() { nsenter --net="/proc/$HOLDER/ns/net" ip addr show dev vzlend0 2>/dev/null | grep -o "inet 10.7.0.1/24\|mtu [0-9]*\|<.*UP.*>"; }

lends() {
	needs_root
	needs_command ip
	env -u VZRUN_TEST_ID unshare -n sh -c 'ip link add vzlend0 mtu 1400 type veth peer name vzlend1 && ip addr add 10.7.0.1/24 dev vzlend0 &&
		ip link set vzlend1 up && ip link set vzlend0 up && exec sleep 300' 3>&- 4>&- &
	HOLDER=$!
	stands() { [[ $(loan) == *LOWER_UP*10.7.0.1* ]]; }
	wait_until stands
	LOAN=$(loan)
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net "%s" "$@"\n' "$HOLDER" "$VZRUN" >"$T/vzrun"
	chmod 755 "$T/vzrun"
	VZRUN=$T/vzrun
	config_set '.process.args = ["sleep", "1000"]'
}

lent_out() {
	ok delete --force "$ID"
	assert_eq "$(loan)" "$LOAN"
	! compgen -G "/run/vzrun/.claims/*-vzlend0" || false
}

no_more_loans() {
	kill "$HOLDER"
	wait "$HOLDER" || :
}

create_lent() { killed_after 20000 create --bundle "$BUNDLE" "$ID" && lent_out; }

@test "create that lends an interface, killed at random moments: it is back as it was" {
	lends
	config_set '.annotations = { "org.openvz.netdev": "vzlend0" }'
	rounds 30 create_lent
	no_more_loans
}

# Whatever came of it, the next one makes it so.
set_lent() {
	ok create --bundle "$BUNDLE" "$ID"
	killed_after 15000 set "$ID" --netdev-add vzlend0 --devnodes-add null:rw
	ok set "$ID" --netdev vzlend0
	assert_eq "$(loan)" ""
	killed_after 15000 set "$ID" --netdev-del vzlend0
	ok set "$ID" --netdev ""
	assert_eq "$(loan)" "$LOAN"
	lent_out
}

@test "set that lends an interface and takes it back, killed at random moments, can be repeated" {
	lends
	for ((i = 0; i < 20; i++)); do set_lent; done
	hit 40
	no_more_loans
}

delete_lent() {
	ok create --bundle "$BUNDLE" "$ID"
	killed_after 10000 delete --force "$ID"
	lent_out
}

@test "delete of a container that was lent one, killed at random moments, can be repeated" {
	lends
	config_set '.annotations = { "org.openvz.netdev": "vzlend0" }'
	rounds 30 delete_lent
	no_more_loans
}
