#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Terminals: sent to a console socket, and in the foreground.

load ../lib/helpers

setup() {
	vz_setup
	needs_command python3
	config_set '.process.terminal = true'
}

# receive [TEXT]: the other side of $T/sock.
receive() {
	python3 "$HERE/recvfd.py" "${SOCK:-$T/sock}" "$T/got" "$@" >"$T/recv.log" 2>&1 3>&- 4>&- &
	wait_until test -e "$T/got.ready"
}

# on_terminal COMMAND: runs it with script(1), whose terminal is 40 rows by 100 columns; $output without CR.
on_terminal() {
	status=0
	timeout --foreground 20 script -qefc "stty rows 40 cols 100; $1" "$T/typescript" >"$T/stdout" 2>&1 <"${2:-/dev/null}" 3>&- 4>&- || status=$?
	output=$(tr -d '\r\0' <"$T/stdout" | sed 's/^^@//')
}

script_of() { config_set --arg s "$1" '.process.args = ["sh", "-c", $s]'; }

@test "tty: create sends the master, one descriptor in one message" {
	script_of 'tty; stty size; echo a; echo b'
	config_set '.process.consoleSize = {height: 30, width: 90}'
	receive
	ok create --bundle "$BUNDLE" --console-socket "$T/sock" "$ID"
	wait_until test -e "$T/got.msg"
	assert_match "$(<"$T/got.msg")" "message /dev/pts/*
fds 1
truncated 0
rest 0
tty 1
size 30 90
onlcr 0"
	ok start "$ID"
	wait_until test -e "$T/got.done"
	assert_match "$(<"$T/got")" $'/dev/pts/0\n30 90\na\nb'
}

@test "tty: what is typed arrives, and interrupts" {
	script_of 'trap "echo interrupted; exit 3" INT; read x; echo "read $x"; while :; do sleep 0.05; done'
	receive $'word\n'
	ok run -d --bundle "$BUNDLE" --console-socket "$T/sock" "$ID"
	wait_until grep -q 'read word' "$T/got"
	state_is "$ID" running
}

@test "tty: is the controlling terminal of a session, at /dev/console too" {
	script_of 'echo to-tty >/dev/tty; echo to-console >/dev/console; ps -o pid,sid,pgid,args | grep "[e]cho to-tty" | wc -l; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; stat -c %t:%T /dev/console; stat -c %t:%T $(tty)'
	receive
	ok run -d --bundle "$BUNDLE" --console-socket "$T/sock" "$ID"
	wait_until test -e "$T/got.done"
	grep -qx to-tty "$T/got"
	grep -qx to-console "$T/got"
	grep -qx all "$T/got"
	assert_eq "$(tail -n 1 "$T/got")" "$(tail -n 2 "$T/got" | head -n 1)"
}

@test "tty: a socket whose path is longer than an address" {
	long=$T/$(printf 'd%.0s' {1..100})
	mkdir "$long"
	script_of 'echo long'
	(cd "$long" && exec python3 "$HERE/recvfd.py" sock "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&-) &
	wait_until test -e "$T/got.ready"
	ok run -d --bundle "$BUNDLE" --console-socket "$long/sock" "$ID"
	wait_until test -e "$T/got.done"
	assert_eq "$(<"$T/got")" long
}

@test "tty: a relative console socket is taken from where the command was started" {
	script_of 'echo relative'
	receive
	cd "$T"
	ok run -d --bundle bundle --console-socket sock "$ID"
	wait_until test -e "$T/got.done"
	assert_eq "$(<"$T/got")" relative
}

@test "tty: without a devpts, an error that says what is missing" {
	config_set '.mounts |= map(select(.destination != "/dev/pts"))'
	receive
	fails '/dev/pts' run -d --bundle "$BUNDLE" --console-socket "$T/sock" "$ID"
	[[ ! -e $ROOT/$ID ]]
	kill %% 2>/dev/null || true
}

@test "tty: in the foreground size, output and exit status are right" {
	needs_command script
	script_of 'stty size; tty; echo out; exit 5'
	on_terminal "'$VZRUN' --root '$ROOT' run --bundle '$BUNDLE' '$ID'"
	assert_eq "$status" 5
	assert_eq "$output" $'40 100\n/dev/pts/0\nout'
	[[ ! -e $ROOT/$ID ]]
}

@test "tty: in the foreground ours is raw meanwhile, and restored afterwards" {
	needs_command script
	# Until it has been seen raw; a busy guest needs long to start.
	script_of 'for i in 1 2 3 4 5 6 7 8 9 10; do [ ! -e /seen ] || exit 0; sleep 0.5; done'
	on_terminal "stty -a >'$T/tty.before'; '$VZRUN' --root '$ROOT' run --bundle '$BUNDLE' '$ID' </dev/tty &
		for i in \$(seq 100); do stty -a >'$T/tty.during'; ! grep -q -e -icanon '$T/tty.during' || break; sleep 0.05; done
		touch '$BUNDLE/rootfs/seen'; wait; stty -a >'$T/tty.after'"
	diff "$T/tty.before" "$T/tty.after"
	grep -q ' icanon' "$T/tty.before"
	grep -q -e '-icanon' "$T/tty.during"
	grep -q -e '-isig' "$T/tty.during"
}

@test "tty: a change of size is passed on" {
	needs_command script
	script_of 'trap "stty size" WINCH; touch /tmp/ready; while [ ! -e /tmp/end ]; do sleep 0.03; done'
	on_terminal "'$VZRUN' --root '$ROOT' run --bundle '$BUNDLE' '$ID' </dev/tty & while [ ! -e '$BUNDLE/rootfs/tmp/ready' ]; do sleep 0.05; done
		stty rows 22 cols 77; kill -WINCH \$!; sleep 0.3; touch '$BUNDLE/rootfs/tmp/end'; wait"
	assert_match "$output" "*22 77*"
}

@test "tty: input that is no terminal is copied too" {
	script_of 'read x; echo "got $x"'
	echo hello >"$T/in"
	VZ_STDIN=$T/in ok run --bundle "$BUNDLE" "$ID"
	assert_match "$output" "*got hello*"
}

@test "tty: much output arrives whole, also when the reader is slow" {
	script_of 'seq 20000'
	timeout 30 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 2>"$T/err" </dev/null 3>&- 4>&- | (sleep 0.3; cat) >"$T/stdout"
	assert_eq "$(md5sum <"$T/stdout")" "$(seq 20000 | md5sum)"
}

@test "tty: exec --tty in the foreground" {
	needs_command script
	config_set '.process.terminal = false'
	start_sleep
	on_terminal "'$VZRUN' --root '$ROOT' exec -t '$ID' sh -c 'stty size; tty; exit 6'"
	assert_eq "$status" 6
	assert_match "$output" $'40 100\n/dev/pts/0'
}
