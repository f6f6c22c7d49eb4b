#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# NOTIFY_SOCKET: sd_notify of the container's program reaches the service manager of the runtime's caller.

load ../lib/helpers

setup() {
	vz_setup
	needs_command python3
	config_set '.process.args = ["sh", "-c", "echo $NOTIFY_SOCKET >/tmp/where; sleep 1000"]'
}

# manager: plays the service manager at $T/manager; what it hears is in $T/heard.
manager() {
	python3 -c "$manager_program" "$1" "$T/heard" >"$T/manager.log" 2>&1 3>&- 4>&- &
	manager=$!
	wait_until test -e "$T/heard.ready"
}

manager_program='
import os, socket, sys
path, out = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path.replace("@", "\0", 1) if path[0] == "@" else path)
open(out + ".ready", "w").close()
s.settimeout(20)
with open(out, "w", 1) as f:
    while True:
        text, fds, _, _ = socket.recv_fds(s, 4096, 4)
        f.write(text.decode().strip().replace("\n", " ") + " fds=%d\n" % len(fds))
        for fd in fds:
            os.close(fd)
'

# say PID TEXT: as the program would, through the socket as the container sees it.
say() {
	python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
os.chdir("/proc/%s/root/run/notify" % sys.argv[1])
s.sendto(sys.argv[2].encode(), "notify.sock")' "$1" "$2"
}

@test "notify: start forwards READY=1 with the pid of the container's process, and waits until it is heard" {
	manager "$T/manager"
	export NOTIFY_SOCKET=$T/manager
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(pid_of "$ID")
	"$VZRUN" --root "$ROOT" start "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -s "$BUNDLE/rootfs/tmp/where"
	assert_eq "$(<"$BUNDLE/rootfs/tmp/where")" /run/notify/notify.sock
	say "$pid" $'STATUS=loading\n'
	say "$pid" $'NOTREADY=1\nREADY=0\n'
	sleep 0.1
	[[ ! -s $T/heard ]]
	kill -0 $bg
	say "$pid" $'STATUS=fine\nREADY=1\nMAINPID=1\n'
	wait $bg
	assert_eq "$(<"$T/heard")" "READY=1 MAINPID=$pid fds=0
BARRIER=1 fds=1"
	kill $manager
}

@test "notify: the directory is read-only and its socket cannot be replaced" {
	manager "$T/manager"
	NOTIFY_SOCKET=$T/manager ok create --bundle "$BUNDLE" "$ID"
	run_vzrun exec "$ID" touch /run/notify/x
	assert_match "$stderr" "*Read-only file system*"
	ok exec "$ID" cat /proc/self/mountinfo
	assert_match "$(mount_flags /run/notify)" "ro,nosuid,nodev,noexec*"
	kill $manager
}

@test "notify: run in the foreground speaks for itself, and goes on with its work" {
	manager "$T/manager"
	config_set --arg s 'trap "exit 8" TERM; echo line; touch /tmp/ready; while :; do sleep 0.03; done' '.process.args = ["sh", "-c", $s]'
	NOTIFY_SOCKET=$T/manager "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -e "$BUNDLE/rootfs/tmp/ready"
	say "$(pid_of "$ID")" READY=1
	wait_until test -s "$T/heard"
	assert_eq "$(<"$T/heard")" "READY=1 MAINPID=$bg fds=0"
	# Without READY too it passes signals on.
	kill -TERM $bg
	status=0
	wait $bg || status=$?
	assert_eq "$status" 8
	rm "$BUNDLE/rootfs/tmp/ready"
	NOTIFY_SOCKET=$T/manager "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -e "$BUNDLE/rootfs/tmp/ready"
	kill -TERM $bg
	status=0
	wait $bg || status=$?
	assert_eq "$status" 8
	kill $manager
}

@test "notify: a detached run waits for READY, or for the end" {
	manager "$T/manager"
	export NOTIFY_SOCKET=$T/manager
	"$VZRUN" --root "$ROOT" run -d --pid-file "$T/pid" --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -s "$BUNDLE/rootfs/tmp/where"
	say "$(<"$T/pid")" READY=1
	wait $bg
	assert_eq "$(head -n 1 "$T/heard")" "READY=1 MAINPID=$(<"$T/pid") fds=0"
	config_set '.process.args = ["true"]'
	VZ_TIMEOUT=10 ok run -d --bundle "$BUNDLE" "$ID-2"
	kill $manager
}

@test "notify: an abstract socket" {
	manager "@$ID"
	NOTIFY_SOCKET=@$ID "$VZRUN" --root "$ROOT" run -d --pid-file "$T/pid" --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -s "$BUNDLE/rootfs/tmp/where"
	say "$(<"$T/pid")" READY=1
	wait $bg
	assert_eq "$(head -n 1 "$T/heard")" "READY=1 MAINPID=$(<"$T/pid") fds=0"
	kill $manager
}

@test "notify: a manager that is gone is told as an error" {
	NOTIFY_SOCKET=$T/nobody "$VZRUN" --root "$ROOT" run -d --pid-file "$T/pid" --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -s "$BUNDLE/rootfs/tmp/where"
	say "$(<"$T/pid")" READY=1
	status=0
	wait $bg || status=$?
	assert_eq "$status" 1
	assert_match "$(<"$T/out")" "vzrun: *NOTIFY_SOCKET*$T/nobody: no such file or directory"
}
