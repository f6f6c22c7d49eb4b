#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# create and start: what they make, and what they refuse without making anything.

load ../lib/helpers

nothing_left() { [[ ! -e $ROOT/$ID && ! -e $T/pid ]] || { echo "left: $(ls "$ROOT" "$T/pid")"; return 1; }; }

@test "create: the program does not run before start" {
	config_set '.process.args = ["sh", "-c", "touch /tmp/ran; sleep 1000"]'
	ok create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	state_is "$ID" created
	[[ ! -e $BUNDLE/rootfs/tmp/ran ]]
	assert_eq "$(<"$T/pid")" "$(pid_of "$ID")"
	assert_eq "$(wc -c <"$T/pid")" "$(wc -m <<<"$(pid_of "$ID")" | awk '{ print $1 - 1 }')" # no newline
	ok start "$ID"
	state_is "$ID" running
	wait_until test -e "$BUNDLE/rootfs/tmp/ran"
}

@test "create: the pid file replaces what was there, atomically" {
	echo old >"$T/pid"
	inode=$(stat -c %i "$T/pid")
	ok create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	[[ $(stat -c %i "$T/pid") != "$inode" ]]
	assert_eq "$(stat -c %a "$T/pid")" 644
	[[ -z $(find "$T" -maxdepth 1 -name '.pid*') ]]
	# A relative one is taken from where the command was started, not from the bundle.
	cd "$T"
	ok create --bundle bundle --pid-file relative "$ID-2"
	[[ -s $T/relative && ! -e $BUNDLE/relative ]]
}

@test "create: a pid file that cannot be written undoes everything" {
	fails '--pid-file *no such file or directory' create --bundle "$BUNDLE" --pid-file "$T/no/pid" "$ID"
	nothing_left
	mkdir "$T/dir"
	fails '--pid-file' create --bundle "$BUNDLE" --pid-file "$T/dir" "$ID"
	nothing_left
}

@test "create: an id is taken once" {
	ok create --bundle "$BUNDLE" "$ID"
	before=$(pid_of "$ID")
	fails "container with given ID already exists" create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	assert_eq "$(pid_of "$ID")" "$before"
	[[ ! -e $T/pid ]]
	state_is "$ID" created
}

@test "create: of two at once with one id exactly one wins" {
	local i pids=() won=0

	for i in 1 2 3 4; do
		timeout 30 "$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >"$T/c$i" 2>&1 </dev/null 3>&- 4>&- &
		pids+=($!)
	done
	for i in 1 2 3 4; do
		if wait "${pids[i - 1]}"; then
			won=$((won + 1))
		else
			assert_match "$(<"$T/c$i")" "vzrun: create failed: *already exists*" ||
				assert_match "$(<"$T/c$i")" "vzrun: create failed: *cgroup*"
		fi
	done
	assert_eq $won 1
	state_is "$ID" created
	ok start "$ID"
}

@test "create: many containers at once" {
	local i pids=()

	for i in 1 2 3 4 5 6; do
		timeout 30 "$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID-$i" >"$T/c$i" 2>&1 </dev/null 3>&- 4>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || { cat "$T"/c?; return 1; }; done
	ok list -q
	assert_eq "$(wc -l <"$T/stdout")" 6
}

@test "create: documents that are refused name the place" {
	while IFS='|' read -r filter text; do
		cp "$CONFIG" "$T/saved"
		config_set "$filter"
		run_vzrun create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
		cp "$T/saved" "$CONFIG"
		assert_eq "$status" 1 || { echo "$filter"; return 1; }
		assert_match "$stderr" "vzrun: create failed: $text" || { echo "$filter"; return 1; }
		nothing_left
	done <<-'E'
		.process.args = "sh"|config.json: /process/args: expected array*
		.process.args = []|config.json: /process/args: *
		.process.cwd = "x"|config.json: /process/cwd: *absolute*
		.linux.namespaces += [{type: "pid"}]|config.json: /linux/namespaces/6*
		.linux.namespaces[0].type = "pdi"|config.json: /linux/namespaces/0/type: unknown value*pdi*
		.root.path = "missing"|/root/path: *missing: No such file or directory*
		.mounts[0].destination = 5|config.json: /mounts/0/destination: expected string, got number
		.process.rlimits += [.process.rlimits[0]]|config.json: /process/rlimits/1*
		.linux.resources.memory.limit = "x"|config.json: /linux/resources/memory/limit: *
		.hooks.prestart = [{path: "relative"}]|config.json: /hooks/prestart/0/path: *
	E
}

@test "create: a bundle or document that is not there" {
	fails "bundle $T/none: no such file or directory" create --bundle "$T/none" "$ID"
	rm "$CONFIG"
	fails 'config.json: no such file or directory' create --bundle "$BUNDLE" "$ID"
	echo '{' >"$CONFIG"
	fails 'config.json: ' create --bundle "$BUNDLE" "$ID"
	: >"$CONFIG"
	fails 'config.json: ' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "create: what is changed in the bundle afterwards has no effect" {
	config_set '.process.args = ["sh", "-c", "echo first >/tmp/said; sleep 1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	config_set '.process.args = ["sh", "-c", "echo second >/tmp/said; sleep 1000"] | .process.env += ["LATE=1"]'
	ok start "$ID"
	wait_until test -s "$BUNDLE/rootfs/tmp/said"
	assert_eq "$(<"$BUNDLE/rootfs/tmp/said")" first
	ok exec "$ID" env
	[[ $output != *LATE* ]]
}

@test "create: terminal and console socket belong together" {
	config_set '.process.terminal = true'
	fails 'cannot allocate tty if vzrun will detach without setting console socket' create --bundle "$BUNDLE" "$ID"
	fails 'console socket: *no such file' create --bundle "$BUNDLE" --console-socket "$T/none" "$ID"
	config_set '.process.terminal = false'
	fails 'cannot use console socket if vzrun will not detach or allocate tty' create --bundle "$BUNDLE" --console-socket "$T/none" "$ID"
	nothing_left
}

@test "create: SIGTERM during a hook undoes it" {
	config_set --arg t "$T" '.hooks.prestart = [{path: "/bin/sh", args: ["sh", "-c", "touch \($t)/hook; exec sleep 100"]}]'
	"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -e "$T/hook"
	kill -TERM $bg
	status=0
	wait $bg || status=$?
	assert_eq "$status" 1
	nothing_left
}

@test "create: descriptors beyond the preserved ones stay out" {
	(
		exec 3</etc/passwd 4</etc/group 5<"$T" 9</etc/hostname
		config_set '.process.args = ["sh", "-c", "ls -l /proc/self/fd >/tmp/fds; sleep 1000"]'
		timeout 20 "$VZRUN" --root "$ROOT" run -d --preserve-fds 2 --bundle "$BUNDLE" "$ID" >/dev/null 2>&1 </dev/null
	)
	wait_until grep -q 'passwd' "$BUNDLE/rootfs/tmp/fds"
	grep -q ' 4 -> .*group' "$BUNDLE/rootfs/tmp/fds"
	assert_eq "$(awk 'NR > 1 { print $9 }' "$BUNDLE/rootfs/tmp/fds" | tr '\n' ' ')" "0 1 2 3 4 5 " # 5: ls itself
	fails '--preserve-fds: descriptor 3 is not open' create --preserve-fds 1 --bundle "$BUNDLE" "$ID-2"
	fails '--preserve-fds: "-1" is not a number' create --preserve-fds -1 --bundle "$BUNDLE" "$ID-2"
}

@test "create: LISTEN_FDS are handed on when they are ours" {
	config_set '.process.args = ["sh", "-c", "cat <&3; echo $LISTEN_FDS $LISTEN_PID"]'
	(
		exec 3<<<"socket"
		# shellcheck disable=SC2016
		LISTEN_FDS=1 sh -c 'export LISTEN_PID=$$; exec "$@"' sh \
			timeout --foreground 20 true || true
		LISTEN_FDS=1 exec sh -c 'export LISTEN_PID=$$; exec "$@"' sh \
			"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/stdout" 2>"$T/stderr" </dev/null
	)
	assert_eq "$(<"$T/stdout")" $'socket\n1 1'
	# Somebody else's: not for us.
	(
		exec 3<<<"socket"
		config_set '.process.args = ["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | wc -l"]'
		LISTEN_FDS=1 LISTEN_PID=1 exec timeout 20 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/stdout" 2>"$T/stderr" </dev/null
	)
	assert_eq "$(<"$T/stdout")" $'\n4'
}

@test "create: --pidfd-socket" {
	python3 "$HERE/recvfd.py" "$T/sock" "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&- &
	wait_until test -e "$T/got.ready"
	ok create --pidfd-socket "$T/sock" --bundle "$BUNDLE" "$ID"
	wait_until test -e "$T/got.msg"
	assert_eq "$(<"$T/got.msg")" "message standard
fds 1
truncated 0
rest 0
pid $(pid_of "$ID")
tty 0"
	fails '--pidfd-socket' create --pidfd-socket "$T/none" --bundle "$BUNDLE" --pid-file "$T/pid" "$ID-2"
	[[ ! -e $ROOT/$ID-2 && ! -e $T/pid ]]
}

@test "start: refused for a running, a stopped and a missing container" {
	start_sleep
	fails 'cannot start an already running container' start "$ID"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	fails 'cannot start a container that has stopped' start "$ID"
	fails 'container does not exist: nope' start nope
}

@test "start: an init that was killed after create is told quickly" {
	ok create --bundle "$BUNDLE" "$ID"
	kill -KILL "$(pid_of "$ID")"
	wait_state "$ID" stopped
	VZ_TIMEOUT=5 fails 'cannot start a container that has stopped' start "$ID"
	ok delete "$ID"
	# Killed in the moment of the start: never a hang.
	for i in 1 2 3 4 5; do
		ok create --bundle "$BUNDLE" "$ID"
		kill -KILL "$(pid_of "$ID")"
		VZ_TIMEOUT=5 run_vzrun start "$ID"
		assert_eq "$status" 1
		assert_match "$stderr" "vzrun: start failed: *"
		ok delete --force "$ID"
	done
}

@test "start: two at once, one wins" {
	local i pids=() won=0

	ok create --bundle "$BUNDLE" "$ID"
	config_set '.process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID-2"
	for i in 1 2 3; do
		timeout 20 "$VZRUN" --root "$ROOT" start "$ID-2" >"$T/s$i" 2>&1 </dev/null 3>&- 4>&- &
		pids+=($!)
	done
	for i in 1 2 3; do
		if wait "${pids[i - 1]}"; then won=$((won + 1)); else assert_match "$(<"$T/s$i")" "*cannot start an already running container"; fi
	done
	assert_eq $won 1
}

@test "start: a program that vanished after create" {
	cp "$BUNDLE/rootfs/bin/busybox" "$BUNDLE/rootfs/tmp/program"
	config_set '.process.args = ["/tmp/program", "true"]'
	ok create --bundle "$BUNDLE" "$ID"
	rm "$BUNDLE/rootfs/tmp/program"
	VZ_TIMEOUT=5 fails 'exec: "/tmp/program"*' start "$ID"
	wait_state "$ID" stopped
	ok delete "$ID"
}

@test "start: without a process there is nothing to start" {
	config_set 'del(.process)'
	ok create --bundle "$BUNDLE" "$ID"
	VZ_TIMEOUT=5 fails '/process' start "$ID"
}

@test "start: concurrent with delete --force" {
	for i in 1 2 3 4 5; do
		ok create --bundle "$BUNDLE" "$ID"
		timeout 20 "$VZRUN" --root "$ROOT" start "$ID" >"$T/s" 2>&1 </dev/null 3>&- 4>&- &
		bg=$!
		ok delete --force "$ID"
		status=0
		wait $bg || status=$?
		[[ $status == 0 || $status == 1 ]]
		[[ $status == 0 ]] || assert_match "$(<"$T/s")" "vzrun: start failed: *container*"
		[[ ! -e $ROOT/$ID ]]
	done
}
