#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Attacks that worked on a runtime once, each named after its record.

load ../lib/helpers

setup() {
	vz_setup
	mkdir "$T/outside" "$T/src"
	echo secret >"$T/outside/f"
	R=$BUNDLE/rootfs
}

outside_is_untouched() {
	assert_eq "$(ls -A "$T/outside")" "${1:-f}" || return
	assert_eq "$(cat "$T/outside/f")" secret
}

@test "security: /dev of the image is a link (CVE-2026-41579, CVE-2026-47766)" {
	config_set '.mounts |= map(select(.destination | startswith("/dev") | not))'
	rm -rf "$R/dev"
	ln -s "$T/outside" "$R/dev"
	fails "devices: /dev is not an ordinary directory" run --bundle "$BUNDLE" "$ID"
	ln -sfn ../../outside "$R/dev"
	fails "devices: /dev is not an ordinary directory" run --bundle "$BUNDLE" "$ID"
	outside_is_untouched
}

@test "security: /dev is a link and a tmpfs goes there: inside the root" {
	rm -rf "$R/dev"
	ln -s "$T/outside" "$R/dev"
	run_vzrun run --bundle "$BUNDLE" "$ID"
	outside_is_untouched
	[[ ! -e $T/outside/null ]]
}

@test "security: /proc of the image is a link (CVE-2019-19921, 2023-27561, 2023-28642, 2025-54867)" {
	rmdir "$R/proc"
	mkdir -p "$R/evil/self/attr"
	ln -s evil "$R/proc"
	fails 'filesystem "proc" at /proc must be mounted on ordinary directory' run --bundle "$BUNDLE" "$ID"
	rmdir "$R/sys"
	ln -s evil "$R/sys"
	rm "$R/proc"
	mkdir "$R/proc"
	fails 'filesystem "sysfs" at /sys must be mounted on ordinary directory' run --bundle "$BUNDLE" "$ID"
}

@test "security: a volume over /proc, or in it (CVE-2019-16884)" {
	add_mount /proc/self/attr none "$T/src" bind
	fails "/mounts/7: /proc/self/attr: is inside /proc" run --bundle "$BUNDLE" "$ID"
	# Before the real one it lies below; what init writes goes to a procfs of its own either way.
	config_set '.mounts |= map(select(.destination != "/proc/self/attr"))'
	config_set '.mounts += [{destination: "/proc", type: "tmpfs", source: "tmpfs"}] | .linux.sysctl = {"kernel.domainname": "inside"}
		| .process.args = ["hostname", "-d"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$(find "$R/proc" -type f)" ""
	[[ $(cat /proc/sys/kernel/domainname) != inside ]]
}

@test "security: targets through links that lead out of the root (CVE-2019-18837)" {
	ln -s "$T/outside" "$R/abs"
	ln -s ../../../../../../../../../../"$T/outside" "$R/up"
	mkdir "$R/d"
	ln -s ../../../.. "$R/d/far"
	add_mount /abs/a tmpfs tmpfs
	add_mount /up/b none "$T/src" bind
	add_mount "/d/far$T/outside/c" tmpfs tmpfs
	ok run --bundle "$BUNDLE" "$ID"
	outside_is_untouched
	[[ -d $R$T/outside/a && -d $R$T/outside/b && -d $R$T/outside/c ]]
}

@test "security: dangling links as targets make nothing outside (CVE-2024-45310)" {
	ln -s "$T/outside/new/dir" "$R/dir"
	ln -s "$T/outside/new/file" "$R/file"
	echo x >"$T/src/file"
	add_mount /dir tmpfs tmpfs
	add_mount /file none "$T/src/file" bind
	config_set --arg d "$T/outside/cwd" '.process.cwd = $d'
	ok run --bundle "$BUNDLE" "$ID"
	outside_is_untouched
	[[ -d $R$T/outside/new/dir && -f $R$T/outside/new/file && -d $R$T/outside/cwd ]]
}

@test "security: the root itself is a link" {
	mv "$R" "$T/moved"
	ln -s "$T/moved" "$R"
	fails "/root/path: $R is a symbolic link, not a directory" run --bundle "$BUNDLE" "$ID"
	config_set '.root.path = "rootfs/"'
	fails "/root/path: " run --bundle "$BUNDLE" "$ID"
	rm "$R"
	mv "$T/moved" "$R"
	config_set '.root.path = "nowhere/../rootfs/."'
	ok run --bundle "$BUNDLE" "$ID"
	config_set '.root.path = "nowhere"'
	fails "/root/path: $BUNDLE/nowhere: No such file or directory" run --bundle "$BUNDLE" "$ID"
	config_set '.root.path = "config.json"'
	fails "/root/path: $BUNDLE/config.json is not a directory" run --bundle "$BUNDLE" "$ID"
}

# A program that exchanges PATH with a link to TARGET as fast as it can.
swap() {
	python3 - "$1" "$2" 3>&- 4>&- <<-'P' &
		import ctypes, os, sys
		path, target = sys.argv[1:3]
		libc = ctypes.CDLL(None)
		os.symlink(target, path + ".link")
		a, b = path.encode(), (path + ".link").encode()
		while True:
		    libc.renameat2(-100, a, -100, b, 2)
	P
	swapper=$!
}

@test "security: a mount target that is exchanged with a link meanwhile (CVE-2021-30465, 2019-19921)" {
	local i

	mkdir -p "$R/vol/x"
	add_mount /vol none "$T/src" rbind
	add_mount /vol/x/target tmpfs tmpfs
	add_mount /vol/x/made/deep none "$T/src" bind
	add_mount /vol/x/file none "$BUNDLE/config.json" bind
	mkdir -p "$T/src/x"
	swap "$T/src/x" "$T/outside"
	for i in {1..30}; do
		"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >/dev/null 2>>"$T/errors" </dev/null 3>&- 4>&- || true
	done
	kill "$swapper"
	wait "$swapper" || true
	outside_is_untouched
	# The link was met, too: it led to a place inside the root.
	[[ -d $R$T/outside ]]
	# Such a race may make a start fail, but cleanly.
	[[ -z $(ls "$ROOT") ]]
	run grep -vE '/mounts/[0-9]+: |file exists' "$T/errors"
	assert_eq "$output" ""
}

@test "security: /proc and /dev that are exchanged with links meanwhile" {
	local i

	swap "$R/proc" "$T/outside"
	for i in {1..15}; do
		"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >/dev/null 2>>"$T/errors" </dev/null 3>&- 4>&- || true
	done
	kill "$swapper"
	wait "$swapper" || true
	swap "$R/dev" "$T/outside"
	config_set '.mounts |= map(select(.destination | startswith("/dev") | not)) | .linux.maskedPaths = []'
	for i in {1..15}; do
		"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >/dev/null 2>>"$T/errors" </dev/null 3>&- 4>&- || true
	done
	kill "$swapper"
	wait "$swapper" || true
	outside_is_untouched
	[[ -z $(ls "$ROOT") ]]
}

# harmless COMMAND...: it fails, or what it entered is the container's own root.
harmless() {
	run_vzrun "$@"
	[[ $status != 0 || $output == $'/\nbin/busybox' ]] && return 0
	echo "vzrun $* says: $output"
	return 1
}

@test "security: cwd and program through descriptors of the runtime (CVE-2024-21626)" {
	local n as_cwd as_program

	config_set '.process.cwd = "/proc/self/fd/FD" | .process.args = ["sh", "-c", "readlink /proc/self/cwd; ls -d bin/busybox"]'
	read_text as_cwd "$CONFIG"
	config_set '.process.cwd = "/" | .process.args = ["/proc/self/fd/FD/../../../../bin/bash", "-c", "echo outside"]'
	read_text as_program "$CONFIG"
	for n in {3..20}; do
		echo "${as_cwd//FD/$n}" >"$CONFIG"
		harmless run --bundle "$BUNDLE" "$ID"
		echo "${as_program//FD/$n}" >"$CONFIG"
		fails "" run --bundle "$BUNDLE" "$ID"
	done
	start_sleep
	for n in {3..20}; do
		harmless exec --cwd "/proc/self/fd/$n" "$ID" sh -c 'readlink /proc/self/cwd; ls -d bin/busybox'
	done
}

@test "security: a masked path is not led astray by a /dev/null of the image (CVE-2025-31133)" {
	config_set '.mounts |= map(select(.destination | startswith("/dev") | not))'
	ln -s /proc/sys/kernel/core_pattern "$R/dev/null"
	fails "null" run --bundle "$BUNDLE" "$ID"
	rm "$R/dev/null"
	echo x >"$R/dev/null"
	fails "null" run --bundle "$BUNDLE" "$ID"
	rm "$R/dev/null"
	mknod "$R/dev/null" c 1 5
	fails "null" run --bundle "$BUNDLE" "$ID"
}

@test "security: a startContainer hook cannot take the masks away, nor a createContainer hook replace /dev/null" {
	cat >"$T/hook" <<-'S'
		#!/bin/sh
		rm -f dev/null; echo fake >dev/null
	S
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" '.hooks.createContainer = [{path: $h}]'
	fails "/linux/maskedPaths: mask /proc/*: /dev/null is not the null device" run --bundle "$BUNDLE" "$ID"
}

@test "security: no descriptor of the runtime reaches the payload" {
	exec 37</etc/passwd
	assert_fds "0 1 2"
	exec 37<&-
	config_set '.process.args = ["sleep", "100"]'
	start_sleep
	ok exec "$ID" sh -c 'set -- /proc/$$/fd/*; for f; do [ -L $f ] && printf "%s " ${f##*/}; done; true'
	assert_eq "$output" "0 1 2 "
}

@test "security: the runtime's program cannot be written from the inside (CVE-2019-5736)" {
	local before

	before=$(md5sum "$VZRUN")
	printf '#!/proc/self/exe\n' >"$R/bin/evil"
	chmod 755 "$R/bin/evil"
	config_set '.process.args = ["/bin/evil"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	# As a script of itself it ends with an error of vzrun or of the kernel.
	[[ $status != 0 ]]
	config_set '.process.args = ["sh", "-c", "while :; do for p in /proc/[0-9]*/exe; do case $(readlink $p) in *busybox*) ;; *) (echo x >$p) 2>/dev/null && echo WRITTEN; esac; done; done"]
		| .process.capabilities[] += ["CAP_SYS_PTRACE"]'
	"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&-
	ok start "$ID"
	for _ in {1..10}; do
		ok exec "$ID" true
	done
	assert_eq "$(cat "$T/out")" ""
	assert_eq "$(md5sum "$VZRUN")" "$before"
}

@test "security: an entering process cannot be traced or looked through (CVE-2016-9962)" {
	config_set '.process.capabilities[] += ["CAP_SYS_PTRACE"] | .process.args = ["sh", "-c",
		"while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; for f in $p/fd/* $p/root $p/cwd; do l=$(readlink $f) || continue; case $l in /|/dev/*|pipe:*|/bin/*|/proc*|\"\") ;; *) echo $p $f $l;; esac; done; done 2>/dev/null; done"]'
	"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&-
	ok start "$ID"
	for _ in {1..10}; do
		"$VZRUN" --root "$ROOT" exec "$ID" true </dev/null >/dev/null 2>&1 3>&- 4>&-
	done
	# Descriptors of the container's root or of the host would show as paths.  A payload that may trace can see the channel to
	# the host side, whose messages are distrusted, and nothing else.
	run grep -v -e "/fd/[012] " -e " socket:" "$T/out"
	assert_eq "$output" ""
}

@test "security: cgroups are read-only without a cgroup namespace of their own (CVE-2023-25809)" {
	config_set '.linux.namespaces |= map(select(.type != "cgroup"))'
	run_sh 'find /sys/fs/cgroup -name cgroup.procs | while read f; do (echo $$ >$f) 2>/dev/null && echo $f; done
		mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; true'
	assert_eq "$output" ""
}

@test "security: a value of a sysctl names no other (CVE-2022-0811)" {
	config_set '.linux.sysctl = {"net.ipv4.ip_forward": "1+kernel.core_pattern=evil"}'
	local before

	before=$(cat /proc/sys/kernel/core_pattern)
	fails "sysctl net.ipv4.ip_forward: write '1+kernel.core_pattern=evil': invalid argument" run --bundle "$BUNDLE" "$ID"
	assert_eq "$(cat /proc/sys/kernel/core_pattern)" "$before"
	config_set '.linux.sysctl = {"net.ipv4.../../kernel/core_pattern": "evil"}'
	fails "/linux/sysctl: malformed sysctl 'net.ipv4.../../kernel/core_pattern'" run --bundle "$BUNDLE" "$ID"
	assert_eq "$(cat /proc/sys/kernel/core_pattern)" "$before"
}

@test "security: console of a replaced devpts (CVE-2025-52565)" {
	needs_command socat
	config_set '.process.terminal = true | (.mounts[] | select(.destination == "/dev/pts")) |= (.type = "tmpfs" | .options = [])'
	socat -u "UNIX-LISTEN:$T/console" /dev/null >/dev/null 2>&1 3>&- 4>&- &
	wait_until test -S "$T/console"
	fails "a terminal needs a devpts at /dev/pts" create --console-socket "$T/console" --bundle "$BUNDLE" "$ID"
	kill %% || true
}

# An unbindable mount cannot be cloned; plain users cannot clone any.
@test "security: where the mount cannot be made the program runs from a sealed copy, tried again when the kernel is busy" {
	needs_plain_build
	needs_command strace
	needs_root
	local n traced='mount --bind "$0" "$0" && mount --make-unbindable "$0" && exec strace -f -qq -e trace=fcntl,execveat "$@"'

	cp "$VZRUN" "$T/program"
	in_unbindable() {
		unshare -m sh -c "$traced" "$T/program" -o "$T/trace" "$@" "$T/program" --root "$ROOT" run --bundle "$BUNDLE" "$ID" \
			>"$T/out" 2>&1 </dev/null 3>&- 4>&- || { cat "$T/out"; false; }
	}
	in_unbindable
	[[ $(grep -c F_ADD_SEALS "$T/trace") == 1 && $(grep -c execveat "$T/trace") == 1 ]]
	n=$(grep fcntl "$T/trace" | grep -n -m 1 F_ADD_SEALS | cut -d: -f1)
	[[ -n $n ]]
	in_unbindable -e inject=fcntl:error=EBUSY:when="$n"
	[[ $(grep -c F_ADD_SEALS "$T/trace") == 2 ]]
}

# What holds the program open, as a container could, once nobody runs it any more: nothing makes it writable.
@test "security: the program runs from a mount that nobody can make writable (CVE-2019-5736)" {
	needs_root
	local pid

	cp "$VZRUN" "$T/program"
	config_set '.process.args = ["sleep", "1000"]'
	"$T/program" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/out" 2>&1 3>&- 4>&- &
	pid=$!
	wait_state "$ID" running
	exec 9<"/proc/$pid/exe"
	ok kill "$ID" KILL
	wait "$pid" || true
	run python3 - 9 <<-'P'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		fd = int(sys.argv[1])
		def attempt(what, r):
		    print(what, 'done' if r >= 0 else os.strerror(ctypes.get_errno()))
		def opened(flags):
		    try:
		        return os.open(f'/proc/self/fd/{fd}', flags)
		    except OSError as e:
		        ctypes.set_errno(e.errno)
		        return -1
		attempt('write:', opened(os.O_WRONLY))
		attempt('truncate:', opened(os.O_WRONLY | os.O_TRUNC))
		attempt('chmod:', libc.fchmodat(-100, f'/proc/self/fd/{fd}'.encode(), 0o777, 0))
		attr = (ctypes.c_uint64 * 4)(0, 1, 0, 0)  # attr_clr: MOUNT_ATTR_RDONLY
		attempt('mount_setattr:', libc.syscall(442, fd, b'', 0x1000, ctypes.byref(attr), 32))
		attempt('open_tree:', libc.syscall(428, fd, b'', 0x1001))
	P
	exec 9<&-
	assert_eq "$output" "write: Read-only file system
truncate: Read-only file system
chmod: Read-only file system
mount_setattr: Invalid argument
open_tree: Invalid argument"
	cmp "$VZRUN" "$T/program"
}
