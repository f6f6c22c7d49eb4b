#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# exec: every option, its exit statuses, and its refusals.

load ../lib/helpers

setup() {
	vz_setup
	[[ $BATS_TEST_DESCRIPTION == *"(no container)"* ]] || start_sleep
}

inside() { ok exec "$@"; }

@test "exec: output, input and exit status" {
	inside "$ID" sh -c 'echo out; echo err >&2'
	assert_eq "$output:$stderr" out:err
	echo text >"$T/in"
	VZ_STDIN=$T/in inside "$ID" cat
	assert_eq "$output" text
	for want in 0 1 7 254 255; do
		run_vzrun exec "$ID" sh -c "exit $want"
		assert_eq "$status" $want
	done
	run_vzrun exec "$ID" sh -c 'kill -TERM $$'
	assert_eq "$status" 143
	state_is "$ID" running
}

@test "exec: is in the container's namespaces, cgroup and root" {
	inside "$ID" sh -c 'cd /proc/self/ns; for n in pid mnt ipc uts net cgroup; do readlink $n; done'
	pid=$(pid_of "$ID")
	assert_eq "$output" "$(cd "/proc/$pid/ns" && for n in pid mnt ipc uts net cgroup; do readlink $n; done)"
	"$VZRUN" --root "$ROOT" exec --detach --pid-file "$T/pid" "$ID" sleep 1000 >/dev/null 2>&1 </dev/null 3>&- 4>&-
	assert_eq "$(</proc/"$(<"$T/pid")"/cgroup)" "$(</proc/"$pid"/cgroup)"
	assert_eq "$(stat -L -c %i "/proc/$(<"$T/pid")/root/")" "$(stat -L -c %i "/proc/$pid/root/")"
}

@test "exec: a missing program is 255, named, and before the pid file" {
	for p in /no/such/thing nothing; do
		run_vzrun exec --pid-file "$T/pid" "$ID" $p
		assert_eq "$status" 255
		assert_match "$stderr" "vzrun: exec failed: exec: \"$p\": *no such file or directory"
		[[ ! -e $T/pid ]]
		run_vzrun exec -d --pid-file "$T/pid" "$ID" $p
		assert_eq "$status" 255
		[[ ! -e $T/pid ]]
	done
	run_vzrun exec "$ID" /etc/passwd
	assert_eq "$status" 255
	assert_match "$stderr" 'vzrun: exec failed: exec: "/etc/passwd": permission denied'
	printf '#!/no/interpreter\n' >"$BUNDLE/rootfs/script"
	chmod 755 "$BUNDLE/rootfs/script"
	run_vzrun exec "$ID" /script
	assert_eq "$status" 255
	assert_match "$stderr" 'vzrun: exec failed: exec: "/script": *no such file or directory'
}

@test "exec: --cwd" {
	inside --cwd /tmp "$ID" pwd
	assert_eq "$output" /tmp
	inside --cwd=/proc/self "$ID" pwd
	run_vzrun exec --cwd /missing "$ID" pwd
	assert_eq "$status" 255
	assert_match "$stderr" '*chdir to cwd ("/missing"): no such file or directory*'
	run_vzrun exec --cwd relative "$ID" pwd
	assert_eq "$status" 255
	assert_match "$stderr" '*/process/cwd: *absolute*'
}

@test "exec: --env adds to the container's own, the last one counts" {
	config_env=$(jq -r '.process.env[] | select(startswith("TERM="))' "$CONFIG")
	inside -e A=1 --env B=2=3 --env TERM=dumb "$ID" env
	assert_match "$output" '*A=1*'
	grep -qx B=2=3 "$T/stdout"
	assert_eq "$config_env" TERM=xterm
	inside -e TERM=dumb "$ID" sh -c 'echo $TERM'
	assert_eq "$output" dumb
}

@test "exec: --user is numbers, the whole of them" {
	inside -u 1000 "$ID" id -u
	assert_eq "$output" 1000
	inside --user 1000:50 "$ID" sh -c 'id -u; id -g; id -G'
	assert_eq "$output" $'1000\n50\n50'
	inside -u 1 "$ID" id -u
	assert_eq "$output" 1
	for u in 1x x root "" ":" 1: :1 -1 1:2:3 1:x 4294967296 4294967295 " 1" 0x1 1.0; do
		run_vzrun exec -u "$u" "$ID" id -u
		assert_eq "$status" 255 || { echo "user '$u': $output"; return 1; }
		assert_match "$stderr" "vzrun: exec failed: *"
	done
	run_vzrun exec -u 1x "$ID" id -u
	assert_match "$stderr" '*--user: "1x" is not UID\[:GID\] in numbers'
	inside -u 1000 "$ID" sh -c 'echo $HOME'
	assert_eq "$output" /root # the document says so, and it counts
}

@test "exec: --additional-gids" {
	inside -u 1000:1000 -g 50 --additional-gids 60 "$ID" id -G
	assert_eq "$output" "1000 50 60"
	run_vzrun exec -g staff "$ID" id
	assert_eq "$status" 255
	assert_match "$stderr" '*--additional-gids: "staff" is not a number'
}

@test "exec: --cap fills all sets but the inheritable one" {
	inside --cap CAP_SYS_ADMIN -c CAP_NET_ADMIN "$ID" grep Cap /proc/self/status
	sys_admin=$((1 << 21 | 1 << 12))
	while read -r name value; do
		case $name in
		CapInh: | CapAmb:) ((16#$value == 0)) ;;
		*) (((16#$value & sys_admin) == sys_admin)) ;;
		esac || { echo "$name $value"; return 1; }
	done <<<"$output"
	run_vzrun exec --cap CAP_FROBNICATE "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" '*--cap: unknown capability "CAP_FROBNICATE"'
	# Without it those of the container, no more.
	inside "$ID" grep CapEff /proc/self/status
	assert_eq "$output" "$(grep CapEff "/proc/$(pid_of "$ID")/status")"
}

@test "exec: --no-new-privs" {
	ok delete --force "$ID"
	config_set '.process.noNewPrivileges = false'
	start_sleep
	inside "$ID" grep NoNewPrivs /proc/self/status
	assert_match "$output" "*0"
	inside --no-new-privs "$ID" grep NoNewPrivs /proc/self/status
	assert_match "$output" "*1"
}

@test "exec: labels that nobody here understands are refused" {
	[[ ! -e /sys/kernel/security/apparmor && ! -e /sys/fs/selinux/enforce ]] || skip "an LSM is active"
	run_vzrun exec --apparmor profile "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*exec failed: *AppArmor*"
	run_vzrun exec --process-label a_u:b_r:c_t:s0 "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*exec failed: *SELinux*"
}

@test "exec: --detach and --pid-file" {
	"$VZRUN" --root "$ROOT" exec -d --pid-file "$T/pid" "$ID" sleep 500 >/dev/null 2>"$T/stderr" </dev/null 3>&- 4>&-
	assert_eq "$(wc -l <"$T/pid")" 0
	assert_eq "$(tr '\0' ' ' </proc/"$(<"$T/pid")"/cmdline)" "sleep 500 "
	assert_eq "$(stat -c %a "$T/pid")" 644
	cd "$T"
	ok exec --pid-file relative "$ID" true
	[[ -s $T/relative ]]
	run_vzrun exec --pid-file "$T/none/pid" "$ID" sh -c 'touch /tmp/ran'
	assert_eq "$status" 255
	[[ ! -e $BUNDLE/rootfs/tmp/ran ]]
}

@test "exec: --process" {
	jq '.process | .args = ["sh", "-c", "echo $X; id -u; id -G; pwd"] | .env += ["X=y"]
		| .user = {uid: 7, gid: 8, additionalGids: [9]} | .cwd = "/etc"' "$CONFIG" >"$T/p.json"
	inside --process "$T/p.json" "$ID"
	assert_eq "$output" $'y\n7\n8 9\n/etc'
	inside -p "$T/p.json" "$ID" ignored arguments
	jq '.args = "x"' "$T/p.json" >"$T/bad.json"
	run_vzrun exec -p "$T/bad.json" "$ID"
	assert_eq "$status" 255
	assert_match "$stderr" "*exec failed: $T/bad.json: */args: *"
	run_vzrun exec -p "$T/none.json" "$ID"
	assert_eq "$status" 255
	assert_match "$stderr" "*$T/none.json: no such file or directory"
	jq 'del(.args)' "$T/p.json" >"$T/bad.json"
	run_vzrun exec -p "$T/bad.json" "$ID"
	assert_eq "$status" 255
	assert_match "$stderr" "*args*"
	run_vzrun exec "$ID"
	assert_eq "$status" 255
	assert_match "$stderr" '*"exec" requires a program or --process'
}

@test "exec: --preserve-fds" {
	run_vzrun exec --preserve-fds 1 "$ID" true 3<&-
	assert_eq "$status" 255
	assert_match "$stderr" "*--preserve-fds: descriptor 3 is not open: bad file descriptor" ||
		assert_match "$stderr" "*--preserve-fds: descriptor 3 is not open"
	(
		exec 3<<<"five" 4<<<"six"
		exec timeout 20 "$VZRUN" --root "$ROOT" exec --preserve-fds 2 "$ID" sh -c 'cat <&3; cat <&4' >"$T/stdout" 2>"$T/stderr" </dev/null
	)
	assert_eq "$(<"$T/stdout")" $'five\nsix'
}

@test "exec: --cgroup PATH and CONTROLLER:PATH" {
	needs_v1
	needs_controller memory
	d=$(cg_dir "$(pid_of "$ID")" memory)
	mkdir "$d/sub"
	inside --cgroup memory:sub "$ID" cat /proc/self/cgroup
	grep -q ':memory:.*/sub$' "$T/stdout"
	[[ $(grep -c '/sub$' "$T/stdout") == 1 ]]
	for p in pids cpu devices freezer blkio cpuset unified; do
		d=$(cg_dir "$(pid_of "$ID")" $p) && mkdir -p "$d/sub"
		[[ $p != cpuset ]] || { cat "$d/cpuset.cpus" >"$d/sub/cpuset.cpus"; cat "$d/cpuset.mems" >"$d/sub/cpuset.mems"; }
	done
	run_vzrun exec --cgroup memory:missing "$ID" true
	assert_eq "$status" 255
	for p in ../x memory:../.. sub/../../x nothing:sub; do
		run_vzrun exec --cgroup "$p" "$ID" true
		assert_eq "$status" 255 || { echo "$p"; return 1; }
		assert_match "$stderr" "*exec failed: *"
	done
}

@test "exec: a paused container is refused, or entered with --ignore-paused" {
	needs_controller freezer
	ok pause "$ID"
	run_vzrun exec "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*cannot exec in a paused container (use --ignore-paused to override)"
	"$VZRUN" --root "$ROOT" exec --ignore-paused "$ID" sh -c 'echo thawed' >"$T/late" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	sleep 0.3
	[[ ! -s $T/late ]]
	# It is frozen too now, and in nobody's way.
	VZ_TIMEOUT=5 ok state "$ID"
	VZ_TIMEOUT=5 ok resume "$ID"
	wait $bg
	assert_eq "$(<"$T/late")" thawed
}

@test "exec: one that waits in a paused container dies with it" {
	needs_controller freezer
	ok pause "$ID"
	"$VZRUN" --root "$ROOT" exec --ignore-paused "$ID" true >"$T/late" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	sleep 0.2
	VZ_TIMEOUT=10 ok delete --force "$ID"
	status=0
	wait $bg || status=$?
	assert_eq "$status" 255
	assert_match "$(<"$T/late")" "vzrun: exec failed: *"
}

@test "exec: a stopped and a missing container" {
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	run_vzrun exec "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*cannot exec in a stopped container"
	run_vzrun exec nope true
	assert_eq "$status" 255
	assert_match "$stderr" "*container does not exist: nope"
}

@test "exec: a created container" {
	ok create --bundle "$BUNDLE" "$ID-2"
	if [[ ${VZ_AS:-root} == session || ${VZ_AS:-root} == user ]]; then
		run_vzrun exec "$ID-2" true
		assert_eq "$status" 255
		assert_match "$stderr" "*[(]without root a container can be entered once it has been started): operation not permitted"
	else
		ok exec "$ID-2" true
		ok exec "$ID-2" sh -c 'ps | wc -l'
	fi
	ok start "$ID-2"
	ok exec "$ID-2" true
}

@test "exec: signals go on, and the exit status comes back" {
	"$VZRUN" --root "$ROOT" exec "$ID" sh -c 'trap "echo got; exit 12" TERM; echo ready; while :; do sleep 0.05; done' \
		>"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until grep -q ready "$T/out"
	kill -TERM $bg
	status=0
	wait $bg || status=$?
	assert_eq "$status" 12
	grep -q got "$T/out"
}

@test "exec: --pidfd-socket" {
	python3 "$HERE/recvfd.py" "$T/sock" "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&- &
	wait_until test -e "$T/got.ready"
	"$VZRUN" --root "$ROOT" exec -d --pidfd-socket "$T/sock" --pid-file "$T/pid" "$ID" sleep 500 >/dev/null 2>&1 </dev/null 3>&- 4>&-
	wait_until test -e "$T/got.msg"
	assert_eq "$(<"$T/got.msg")" "message setns
fds 1
truncated 0
rest 0
pid $(<"$T/pid")
tty 0"
	run_vzrun exec --pidfd-socket "$T/nothing" "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*--pidfd-socket*"
}

@test "exec: --tty with --console-socket" {
	python3 "$HERE/recvfd.py" "$T/sock" "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&- &
	wait_until test -e "$T/got.ready"
	ok exec -t -d --console-socket "$T/sock" "$ID" sh -c 'tty; echo a; echo b'
	wait_until test -e "$T/got.done"
	assert_match "$(<"$T/got")" $'/dev/pts/*\na\nb'
	grep -qx 'fds 1' "$T/got.msg"
	grep -qx 'onlcr 0' "$T/got.msg"
	run_vzrun exec -t -d "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*cannot allocate tty if vzrun will detach without setting console socket"
	run_vzrun exec -d --console-socket "$T/sock2" "$ID" true
	assert_eq "$status" 255
	assert_match "$stderr" "*cannot use console socket if vzrun will not detach or allocate tty"
}

@test "exec: the terminal's owner is the user" {
	python3 "$HERE/recvfd.py" "$T/sock" "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&- &
	wait_until test -e "$T/got.ready"
	ok exec -t -d -u 1000:1000 --console-socket "$T/sock" "$ID" sh -c 'stat -c %u $(tty); echo w >/dev/tty; echo x >$(tty)'
	wait_until test -e "$T/got.done"
	assert_eq "$(<"$T/got")" $'1000\nw\nx'
}

@test "exec: many at once" {
	local pids=()

	for i in {1..8}; do
		timeout 30 "$VZRUN" --root "$ROOT" exec "$ID" sh -c "echo $i; exit $i" >"$T/o$i" 2>&1 </dev/null 3>&- 4>&- &
		pids+=($!)
	done
	for i in {1..8}; do
		status=0
		wait "${pids[i - 1]}" || status=$?
		assert_eq "$status:$(<"$T/o$i")" "$i:$i"
	done
}

@test "exec: nothing of the host's environment or descriptors comes in" {
	exec 9</etc/passwd
	SECRET=1 NOTIFY_SOCKET=/x LISTEN_FDS=1 LISTEN_PID=1 run_vzrun exec "$ID" sh -c 'env; ls /proc/self/fd'
	assert_eq "$status" 0
	[[ $output != *SECRET* && $output != *NOTIFY* && $output != *LISTEN* ]]
	assert_eq "$(tail -n 4 "$T/stdout" | tr '\n' ' ')" "0 1 2 3 " # 3: ls itself
}

@test "exec: the middle process may be slow to name the inner one" {
	needs_plain_build
	needs_command strace
	# From its fifth write on each process is slow: the middle one, which has entered the cgroups, but not the inner one.
	timeout 30 strace -f -qq -o "$T/trace" -e trace=write -e inject=write:delay_enter=300000:when=5+ \
		"$VZRUN" --root "$ROOT" exec "$ID" true >"$T/out" 2>&1 </dev/null 3>&- 4>&- || { cat "$T/out"; false; }
}
