#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# /dev of a container: the default devices, those of the document, links, the console.

load ../lib/helpers

setup() {
	vz_setup
	R=$BUNDLE/rootfs
}

LIST='for f in null zero full random urandom tty; do stat -c "%n %F %t:%T %a %u %g" /dev/$f; done'
DEFAULTS='/dev/null character special file 1:3 666 0 0
/dev/zero character special file 1:5 666 0 0
/dev/full character special file 1:7 666 0 0
/dev/random character special file 1:8 666 0 0
/dev/urandom character special file 1:9 666 0 0
/dev/tty character special file 5:0 666 0 0'

@test "devices: the default ones" {
	run_sh "$LIST"
	assert_eq "$output" "$DEFAULTS"
}

@test "devices: the default ones work, whatever the umask of the caller" {
	umask 077
	run_sh "$LIST; echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x >/dev/full"'; true'
	assert_eq "$output" "$DEFAULTS
4
4"
	assert_match "$stderr" "*No space left on device*"
}

@test "devices: links, ptmx" {
	run_sh 'for f in fd stdin stdout stderr ptmx; do echo $f $(readlink /dev/$f); done; [ ! -e /proc/kcore ] || readlink /dev/core'
	assert_eq "${output%%?/proc/kcore}" "fd /proc/self/fd
stdin /proc/self/fd/0
stdout /proc/self/fd/1
stderr /proc/self/fd/2
ptmx pts/ptmx"
	[[ ! -e /proc/kcore || $output == */proc/kcore ]]
}

@test "devices: links only to what is there" {
	config_set '.mounts |= map(select(.type != "proc")) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	run_sh 'ls -d /dev/fd /dev/stdin /dev/core; true'
	assert_eq "$output" ""
}

@test "devices: a ptmx of the image is replaced, links of the image are kept" {
	config_set '.mounts |= map(select(.destination != "/dev"))'
	mknod "$R/dev/ptmx" c 5 2
	ln -s /elsewhere "$R/dev/core"
	run_sh 'readlink /dev/ptmx; readlink /dev/core'
	assert_eq "$output" "pts/ptmx
/elsewhere"
}

@test "devices: those of the document: c, b, u, p, modes, owners, deep paths" {
	config_set '.linux.devices = [
		{path: "/dev/kmsg-like", type: "c", major: 1, minor: 11, fileMode: 416, uid: 12, gid: 34},
		{path: "/dev/mapper/deep/b", type: "b", major: 7, minor: 300},
		{path: "/dev/u", type: "u", major: 1, minor: 5, fileMode: 511},
		{path: "/dev/p", type: "p", fileMode: 384, uid: 1},
		{path: "/srv/not-in-dev", type: "c", major: 1, minor: 3},
		{path: "/dev/setuid", type: "c", major: 1, minor: 3, fileMode: 2559},
		{path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 438}]'
	umask 077
	run_sh 'for f in kmsg-like mapper/deep/b u p setuid null; do stat -c "%n %F %t:%T %a %u %g" /dev/$f; done; stat -c "%n %t:%T %a" /srv/not-in-dev'
	assert_eq "$output" "/dev/kmsg-like character special file 1:b 640 12 34
/dev/mapper/deep/b block special file 7:12c 666 0 0
/dev/u character special file 1:5 777 0 0
/dev/p fifo 0:0 600 1 0
/dev/setuid character special file 1:3 4777 0 0
/dev/null character special file 1:3 666 0 0
/srv/not-in-dev 1:3 666"
}

@test "devices: a file in the way is an error, the same node is not" {
	config_set '.mounts |= map(select(.destination != "/dev")) | .linux.devices = [{path: "/dev/mine", type: "c", major: 1, minor: 3}]'
	mknod "$R/dev/mine" c 1 3
	ok run --bundle "$BUNDLE" "$ID"
	rm "$R/dev/mine"
	echo x >"$R/dev/mine"
	fails "devices: *mine: file exists" run --bundle "$BUNDLE" "$ID"
	rm "$R/dev/mine"
	mknod "$R/dev/mine" c 1 5
	fails "devices: *mine: file exists" run --bundle "$BUNDLE" "$ID"
	rm "$R/dev/mine"
	rm "$R/dev/null"
	ln -s /etc/passwd "$R/dev/null"
	fails "devices: *null: file exists" run --bundle "$BUNDLE" "$ID"
}

@test "devices: bad ones have the place" {
	config_set '.linux.devices = [{path: "/dev/a", type: "c", major: 1}]'
	fails "config.json: /linux/devices/0: major and minor are required" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/dev/a", type: "x", major: 1, minor: 1}]'
	fails "config.json: /linux/devices/0/type: unknown value 'x'" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "dev/a", type: "c", major: 1, minor: 1}]'
	fails "config.json: /linux/devices/0/path: path 'dev/a' is not absolute" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/dev/a", type: "c", major: -1, minor: 1}]'
	fails "config.json: /linux/devices/0: no device has the number -1:1" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/dev/..", type: "c", major: 1, minor: 1}]'
	fails "devices: " run --bundle "$BUNDLE" "$ID"
}

@test "devices: in a user namespace they are the host's nodes, bound" {
	new_userns
	config_set '.linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 229}]'
	run_sh 'for f in null zero full random urandom tty; do stat -c "%n %t:%T %a" /dev/$f; done; echo x >/dev/null && echo written; stat -c %t:%T /dev/fuse; cat /proc/self/mountinfo'
	assert_match "$output" '/dev/null 1:3 666
/dev/zero 1:5 666
/dev/full 1:7 666
/dev/random 1:8 666
/dev/urandom 1:9 666
/dev/tty 5:0 666
written
a:e5
*'
	assert_match "$(mount_flags /dev/null)" "*nosuid*noexec*"
}

@test "devices: in a user namespace what the host has not cannot be had" {
	new_userns
	config_set '.linux.devices = [{path: "/dev/nosuch", type: "c", major: 10, minor: 229}]'
	fails "devices: device of the host: open nosuch: no such file or directory" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 1}]'
	fails "devices: device fuse: the host's has another type or number: no such device" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/dev/pipe", type: "p"}]'
	run_sh 'stat -c "%F %u %g" /dev/pipe'
	assert_eq "$output" "fifo 0 0"
}

@test "devices: /dev bound from the host is left as it is" {
	mkdir "$T/dev"
	mknod -m 666 "$T/dev/null" c 1 3
	config_set --arg d "$T/dev" '.mounts |= (map(select(.destination | startswith("/dev") | not)) +
		[{destination: "/dev", type: "bind", source: $d, options: ["rbind"]}])'
	run_sh 'ls /dev'
	assert_eq "$output" null
	assert_eq "$(ls "$T/dev")" null
}

@test "devices: a devtmpfs is the host's own, and is left as it is" {
	local before after

	config_set '.mounts |= map(select(.destination | startswith("/dev/") | not)) | .linux.devices = [{path: "/dev/vz-mine", type: "c", major: 1, minor: 3}]
		| (.mounts[] | select(.destination == "/dev")) |= (.type = "devtmpfs" | .options = ["nosuid"])'
	before=$(ls -l --time-style=+%s /dev | awk '{ print $1, $5, $6, $NF }')
	run_vzrun run --bundle "$BUNDLE" "$ID"
	after=$(ls -l --time-style=+%s /dev | awk '{ print $1, $5, $6, $NF }')
	# Whatever goes wrong here, the host needs it.
	[[ -c /dev/ptmx ]] || { rm -f /dev/ptmx && mknod -m 666 /dev/ptmx c 5 2; }
	rm -f /dev/vz-mine
	assert_eq "$after" "$before"
	assert_eq "$status" 0
}

@test "devices: none of the runtime's without a mount over /dev stay behind on the host's /dev" {
	local before

	before=$(ls -la --time-style=+%s /dev | md5sum)
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(ls -la --time-style=+%s /dev | md5sum)" "$before"
}

@test "devices: the console is the terminal" {
	needs_command socat
	config_set '.process.terminal = true | .process.user = {uid: 1000, gid: 1000}
		| .process.args = ["sh", "-c", "tty >/tmp/out; stat -c \"%t:%T %u %a\" /dev/console /proc/self/fd/0 2>/dev/null >>/tmp/out; stat -Lc \"%t %u\" /proc/self/fd/0 >>/tmp/out; (echo x >/dev/console) && echo ok >>/tmp/out"]'
	chmod 1777 "$R/tmp"
	python3 - "$T/console" >"$T/tty" 2>&1 3>&- 4>&- <<-'P' &
		import array, os, socket, sys
		s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
		c, _ = s.accept()
		m, a, _, _ = c.recvmsg(100, 100)
		fd = array.array("i", a[0][2])[0]
		print(m.decode())
		try:
		    while os.read(fd, 100): pass
		except OSError: pass
	P
	wait_until test -S "$T/console"
	ok create --console-socket "$T/console" --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_state "$ID" stopped
	assert_match "$(cat "$R/tmp/out")" "/dev/console
88:0 1000 *
*88 1000
ok" || assert_match "$(cat "$R/tmp/out")" "/dev/pts/0
88:0 1000 *
*88 1000
ok"
	assert_eq "$(cat "$T/tty")" /dev/pts/0
}
