#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# run: in the foreground and detached, exit statuses, signals, what it reaps and what it undoes.

load ../lib/helpers

# run_bg ARGS...: vzrun run in the background; $bg is its pid, its output in $T/bg.out and $T/bg.err.
run_bg() {
	"$VZRUN" --root "$ROOT" run "$@" >"$T/bg.out" 2>"$T/bg.err" </dev/null 3>&- 4>&- &
	bg=$!
}

# bg_status: waits for it, 10 s at most.
bg_status() {
	local i

	for ((i = 0; i < 200; i++)); do
		[[ -e /proc/$bg ]] && grep -q '^State:.[^Z]' "/proc/$bg/status" 2>/dev/null || break
		sleep 0.05
	done
	status=0
	[[ $i -lt 200 ]] || { echo "run did not end"; kill -KILL "$bg"; return 1; }
	wait "$bg" || status=$?
}

args() { config_set --arg s "$1" '.process.args = ["sh", "-c", $s]'; }

@test "run: exit statuses are the program's" {
	for want in 0 1 7 255; do
		args "exit $want"
		run_vzrun run --bundle "$BUNDLE" "$ID"
		assert_eq "$status" $want
		assert_eq "$stderr" ""
		[[ ! -e $ROOT/$ID ]]
	done
}

@test "run: a signal is 128 and its number" {
	# A process 1 ignores what it has no handler for, but not what the kernel does to it.
	config_set '.linux.namespaces |= map(select(.type != "pid"))'
	for sig in TERM:143 KILL:137 SEGV:139 USR1:138; do
		args "kill -${sig%:*} \$\$; sleep 10"
		run_vzrun run --bundle "$BUNDLE" "$ID"
		assert_eq "$status" "${sig#*:}"
		[[ ! -e $ROOT/$ID ]]
	done
}

@test "run: the bundle is the current directory unless told" {
	config_set '.process.args = ["echo", "hello"]'
	cd "$BUNDLE"
	ok run "$ID"
	assert_eq "$output" hello
	cd /
	fails 'config.json: no such file' run "$ID"
	ok run -b "$BUNDLE" "$ID"
}

@test "run: --config names another document" {
	jq '.process.args = ["echo", "other"]' "$CONFIG" >"$BUNDLE/other.json"
	ok run --bundle "$BUNDLE" --config other.json "$ID"
	assert_eq "$output" other
	mv "$BUNDLE/other.json" "$T/far.json"
	ok run --bundle "$BUNDLE" -f "$T/far.json" "$ID"
	assert_eq "$output" other
	fails 'nothing.json: no such file' run --bundle "$BUNDLE" -f nothing.json "$ID"
}

@test "run: standard input, output and error are the program's" {
	args 'cat; echo two >&2'
	echo one >"$T/in"
	VZ_STDIN=$T/in ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output:$stderr" one:two
	# Through pipes, and a reader that goes away.
	args 'cat'
	assert_eq "$(seq 20000 | timeout 20 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- 4>&- | md5sum)" "$(seq 20000 | md5sum)"
	args 'while echo y; do :; done 2>/dev/null; exit 3'
	assert_eq "$(timeout 20 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- 4>&- | head -n 1)" y
}

@test "run: --detach returns when the program runs" {
	config_set '.process.args = ["sleep", "1000"]'
	ok run --detach --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	state_is "$ID" running
	assert_eq "$(<"$T/pid")" "$(pid_of "$ID")"
	assert_eq "$(tr '\0' ' ' <"/proc/$(<"$T/pid")/cmdline")" "sleep 1000 "
}

@test "run: a detached container outlives its caller's end and can be deleted" {
	args 'exit 4'
	ok run -d --bundle "$BUNDLE" "$ID"
	wait_state "$ID" stopped
	ok delete "$ID"
	fails 'does not exist' state "$ID"
}

@test "run: --keep leaves the stopped container with its exit status" {
	args 'exit 9'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 9
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .pid, .exit.status, .exit.signal, .exit.oomKilled == true]' "$T/stdout")" '["stopped",0,9,null,false]'
	fails 'already exists' run --bundle "$BUNDLE" "$ID"
	state_is "$ID" stopped
	ok delete "$ID"
}

@test "run: --keep tells of a signal" {
	args 'kill -SEGV $$'
	config_set '.linux.namespaces |= map(select(.type != "pid"))'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 139
	ok state "$ID"
	assert_match "$(jq -r '.exit | "\(.status) \(.signal)"' "$T/stdout")" "139 *SEGV"
}

# reboots COMMAND...: the payload calls reboot(2), but never outside of a pid namespace.
reboots() {
	add_probe
	config_set '.process.capabilities |= map_values(. + ["CAP_SYS_BOOT"])'
	config_set --arg s "[ \$\$ = 1 ] || exit 99; $*; sleep 10" '.process.args = ["sh", "-c", $s]'
}

@test "run: a reboot and a halt of the container are told apart" {
	needs_root
	while read -r command want word; do
		reboots "probe call reboot 0xfee1dead 672274793 $command"
		run_vzrun run --keep --bundle "$BUNDLE" "$ID"
		assert_eq "$command $status" "$command $want"
		ok state "$ID"
		assert_eq "$(jq -c '[.status, .exit.status, .exit.reboot]' "$T/stdout")" "[\"stopped\",$want,\"$word\"]"
		ok delete "$ID"
		run_vzrun run --bundle "$BUNDLE" "$ID"
		assert_eq "$command $status" "$command $want"
	done <<-'E'
		0x01234567 129 restart
		0xcdef0123 130 halt
		0x4321fedc 130 halt
	E
}

@test "run: without CAP_SYS_BOOT nothing reboots, and a signal is no reboot" {
	needs_root
	reboots 'probe call reboot 0xfee1dead 672274793 0x01234567; exit 3'
	config_set '.process.capabilities |= map_values(. - ["CAP_SYS_BOOT"])'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status $output" "3 -1 1"
	ok state "$ID"
	assert_eq "$(jq -c '[.exit.status, .exit.reboot]' "$T/stdout")" '[3,null]'
	ok delete "$ID"
	# Where the first process is like others, the same signal is only that.
	config_set '.linux.namespaces |= map(select(.type != "pid")) | .process.args = ["sh", "-c", "kill -HUP $$; sleep 10"]'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 129
	ok state "$ID"
	assert_eq "$(jq -c '.exit | has("reboot")' "$T/stdout")" false
}

@test "run: --keep tells of the out-of-memory killer" {
	needs_controller memory
	config_set '.linux.resources.memory = {limit: 16777216, swap: 16777216}
		| .process.args = ["sh", "-c", "exec tail -c 60000000 /dev/zero"]'
	run_vzrun run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 137
	ok state "$ID"
	assert_match "$(jq -r '.exit | "\(.status) \(.signal) \(.oomKilled)"' "$T/stdout")" "137 *KILL true"
}

@test "run: signals go on to the program" {
	args 'for s in HUP INT QUIT USR1 USR2 TERM CONT WINCH ALRM; do trap "echo got $s" $s; done; trap "echo got TERM; exit 5" TERM
		echo ready; while :; do sleep 0.05; done'
	run_bg --bundle "$BUNDLE" "$ID"
	wait_until grep -q ready "$T/bg.out"
	for s in HUP INT QUIT USR1 USR2 CONT WINCH ALRM; do
		kill -$s "$bg"
		wait_until grep -q "got $s" "$T/bg.out"
	done
	kill -TERM "$bg"
	bg_status
	assert_eq "$status" 5
	[[ ! -e $ROOT/$ID ]]
}

@test "run: realtime signals go on too" {
	config_set --arg s 'trap "echo got 36; exit 6" 36; echo ready; while :; do sleep 0.05; done' '.process.args = ["sh", "-c", $s]'
	run_bg --bundle "$BUNDLE" "$ID"
	wait_until grep -q ready "$T/bg.out"
	kill -36 "$bg"
	bg_status
	assert_eq "$status" 6
}

@test "run: what loses its parent is reaped" {
	# Without a pid namespace orphans come to the nearest subreaper: vzrun.
	config_set '.linux.namespaces |= map(select(.type != "pid"))'
	args '(sh -c "sleep 0.2; echo orphan" &) ; sleep 0.6; exit 3'
	run_bg --bundle "$BUNDLE" "$ID"
	wait_until grep -q orphan "$T/bg.out"
	sleep 0.1
	assert_eq "$(ps --no-headers -o stat --ppid "$bg" | grep -c Z)" 0
	bg_status
	assert_eq "$status" 3
}

@test "run: what the program left behind dies with the container" {
	config_set '.linux.namespaces |= map(select(.type != "pid"))'
	args 'sleep 1000 & exit 0'
	ok run --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	# the audit looks for the sleep
}

@test "run: SIGINT during a hanging hook undoes the create" {
	for sig in INT TERM HUP QUIT; do
		config_set --arg t "$T" '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "touch \($t)/hook; exec sleep 100"]}]'
		rm -f "$T/hook"
		run_bg --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
		wait_until test -e "$T/hook"
		# A shell's background process ignores INT and QUIT; vzrun must not.
		kill -$sig "$bg"
		bg_status
		assert_eq "$status" 1
		assert_eq "$(<"$T/bg.err")" "vzrun: run failed: error running createRuntime hook #0: /bin/sh: interrupted system call"
		[[ ! -e $ROOT/$ID && ! -e $T/pid ]]
	done
}

@test "run: killed during create leaves what delete --force removes" {
	config_set --arg t "$T" '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "touch \($t)/hook; exec sleep 100"]}]'
	run_bg --bundle "$BUNDLE" "$ID"
	wait_until test -e "$T/hook"
	kill -KILL "$bg"
	wait "$bg" || true
	state_is "$ID" creating || state_is "$ID" stopped
	ok delete --force "$ID"
	fails 'does not exist' state "$ID"
	# The hook is nobody's now: it is the test's to end.
	for p in $(audit processes "$VZRUN_TEST_ID" | awk '{ print $2 }'); do kill -KILL "$p" || true; done
}

@test "run: an error leaves nothing" {
	config_set '.process.args = ["/no/such/program"]'
	fails 'exec: "/no/such/program": no such file or directory' run --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	assert_eq "$status" 1
	[[ ! -e $ROOT/$ID && ! -e $T/pid ]]
	config_set '.process.args = ["nothing-here"]'
	fails 'exec: "nothing-here": executable file not found in $PATH: no such file or directory' run --bundle "$BUNDLE" "$ID"
	printf '#!/no/such/interpreter\n' >"$BUNDLE/rootfs/script"
	chmod 755 "$BUNDLE/rootfs/script"
	config_set '.process.args = ["/script"]'
	fails '*/script*no such file or directory' run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 1
	[[ ! -e $ROOT/$ID ]]
	touch "$BUNDLE/rootfs/data"
	config_set '.process.args = ["/data"]'
	fails 'exec: "/data": permission denied' run --bundle "$BUNDLE" "$ID"
	config_set '.process.args = ["/etc"]'
	fails 'exec: "/etc": ' run --bundle "$BUNDLE" "$ID"
	printf 'garbage' >"$BUNDLE/rootfs/data"
	chmod 755 "$BUNDLE/rootfs/data"
	config_set '.process.args = ["/data"]'
	fails 'exec: "/data": exec format error' run --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "run: --no-subreaper, --no-pivot, --no-new-keyring" {
	ok run --no-subreaper --bundle "$BUNDLE" "$ID"
	ok run --no-new-keyring --bundle "$BUNDLE" "$ID"
	run_sh 'ls / | tr "\n" " "' --no-pivot
	assert_match "$output" "*bin*proc*"
}

@test "run: the state is there while it runs in the foreground" {
	config_set '.process.args = ["sleep", "1000"]'
	run_bg --bundle "$BUNDLE" "$ID"
	wait_state "$ID" running
	ok exec "$ID" true
	ok kill "$ID" KILL
	bg_status
	assert_eq "$status" 137
	[[ ! -e $ROOT/$ID ]]
}
