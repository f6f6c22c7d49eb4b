#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where mounts go and what is there afterwards.

load ../lib/helpers

setup() {
	vz_setup
	mkdir "$T/src"
	echo content >"$T/src/file"
	R=$BUNDLE/rootfs
}

@test "mounts: missing mount points are made: a directory, or a file for what is no directory" {
	python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/src/sock"
	mkfifo "$T/src/fifo"
	add_mount /a/b/c none "$T/src" bind
	add_mount /x/y/file none "$T/src/file" bind ro
	add_mount /x/sock none "$T/src/sock" bind
	add_mount /x/fifo none "$T/src/fifo" bind
	add_mount /x/null none /dev/null bind
	add_mount /t/deep tmpfs tmpfs
	run_sh 'cat /a/b/c/file /x/y/file; for f in /x/sock /x/fifo /x/null /t/deep; do stat -c "%F" $f; done
		echo lost >/x/null || echo failed; touch /x/y/file /x/new; true'
	assert_eq "$output" "content
content
socket
fifo
character special file
directory"
	assert_match "$stderr" "*Read-only file system*"
	assert_eq "$(stat -c '%a %F' "$R/a" "$R/a/b/c" "$R/x/y/file" "$R/x/sock" "$R/x/null" "$R/t/deep")" "755 directory
755 directory
644 regular empty file
644 regular empty file
644 regular empty file
755 directory"
}

@test "mounts: a mount point takes over the set-group-id bit of its parent, as mkdir does" {
	install -d -m 2775 -g 50 "$R/sgid"
	add_mount /sgid/a/b tmpfs tmpfs
	run_sh 'stat -c "%a %g" /sgid/a'
	assert_eq "$output" "2755 50"
}

@test "mounts: a relative destination is meant from the root" {
	add_mount a/b tmpfs one
	add_mount ./c/../d tmpfs two
	add_mount ../../e tmpfs three
	run_sh "awk '{ print \$5, \$(NF-1) }' /proc/self/mountinfo"
	assert_match "$output" "*/a/b one
/d two
/e three*"
	[[ -d $R/e && ! -e $T/e && ! -e $BUNDLE/e ]]
}

@test "mounts: in the order of the document: a later one covers an earlier one" {
	mkdir "$T/src2"
	echo second >"$T/src2/file"
	add_mount /m none "$T/src" bind
	add_mount /m none "$T/src2" bind
	run_sh 'cat /m/file'
	assert_eq "$output" second
}

@test "mounts: nested: a tmpfs, a bind in it, a tmpfs in that, a file on a file" {
	echo other >"$T/src/other"
	add_mount /m tmpfs tmpfs
	add_mount /m/bind none "$T/src" bind
	add_mount /m/bind/t tmpfs tmpfs
	add_mount /m/bind/t/f none "$T/src/file" bind
	add_mount /m/bind/file none "$T/src/other" bind
	run_sh 'cat /m/bind/t/f /m/bind/file; ls /m/bind'
	assert_eq "$output" "content
other
file
other
t"
	assert_eq "$(cat "$T/src/file")" content
}

@test "mounts: a directory does not go on a file, nor a file on a directory" {
	add_mount /etc/hosts none "$T/src" bind
	fails "/mounts/7: /etc/hosts: *a directory and a file cannot be mounted on each other" run --bundle "$BUNDLE" "$ID"
	config_set --arg s "$T/src/file" '.mounts[7] |= (.source = $s | .destination = "/etc")'
	fails "/mounts/7: /etc: *a directory and a file cannot be mounted on each other" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].destination = "/etc/hosts/x"'
	fails "/mounts/7: /etc/hosts/x: *not a directory" run --bundle "$BUNDLE" "$ID"
	[[ -z $(ls "$ROOT") ]]
}

@test "mounts: relative sources are meant from the bundle" {
	mkdir "$BUNDLE/data"
	echo bundled >"$BUNDLE/data/f"
	add_mount /m none data bind
	cd /
	run_sh 'cat /m/f'
	assert_eq "$output" bundled
}

@test "mounts: the source of a bind may be a link" {
	ln -s src "$T/link"
	add_mount /m none "$T/link" bind
	run_sh 'cat /m/file'
	assert_eq "$output" content
}

@test "mounts: destinations through links stay inside the root" {
	mkdir -p "$R/real/dir"
	ln -s /real "$R/abs"
	ln -s real/dir "$R/rel"
	ln -s ../../../../../real "$R/up"
	ln -s /made/by/us "$R/dangling"
	ln -s /made/file "$R/danglingfile"
	add_mount /abs/dir none "$T/src" bind
	add_mount /rel/file none "$T/src/file" bind
	add_mount /up/x tmpfs tmpfs
	add_mount /dangling/y tmpfs tmpfs
	add_mount /danglingfile none "$T/src/file" bind
	run_sh 'cut -d" " -f5 /proc/self/mountinfo'
	assert_eq "$(grep -E '^/(real|made)' <<<"$output" | sort)" "/made/by/us/y
/made/file
/real/dir
/real/dir/file
/real/x"
	[[ ! -e /made && ! -e /real ]]
}

@test "mounts: a loop of links is an error" {
	ln -s b "$R/a"
	ln -s a "$R/b"
	add_mount /a/x tmpfs tmpfs
	fails "/mounts/7: /a/x: *too many levels of symbolic links" run --bundle "$BUNDLE" "$ID"
}

@test "mounts: /proc and /sys must be ordinary directories, whatever is mounted there" {
	local d

	for d in proc sys; do
		rmdir "$R/$d"
		mkdir -p "$R/elsewhere"
		ln -s elsewhere "$R/$d"
		fails "/$d: filesystem \"${d/sys/sysfs}\" at /$d must be mounted on ordinary directory" run --bundle "$BUNDLE" "$ID"
		config_set --arg d "/$d" '(.mounts[] | select(.destination == $d)) |= (.type = "tmpfs")'
		fails "/$d: filesystem \"tmpfs\" at /$d must be mounted on ordinary directory" run --bundle "$BUNDLE" "$ID"
		rm "$R/$d"
		echo x >"$R/$d"
		fails "must be mounted on ordinary directory" run --bundle "$BUNDLE" "$ID"
		rm "$R/$d"
		mkdir "$R/$d"
		new=$(jq --arg d "/$d" '(.mounts[] | select(.destination == $d)) |= (.type = ($d | ltrimstr("/") | sub("sys"; "sysfs")))' "$CONFIG")
		echo "$new" >"$CONFIG"
	done
	ok run --bundle "$BUNDLE" "$ID"
}

@test "mounts: files of /proc that may be covered, and no others" {
	local f

	for f in cpuinfo diskstats loadavg meminfo stat swaps uptime; do
		add_mount "/proc/$f" none "$T/src/file" bind
	done
	run_sh 'cat /proc/cpuinfo /proc/diskstats /proc/loadavg /proc/meminfo /proc/stat /proc/swaps /proc/uptime | sort -u'
	assert_eq "$output" content
	config_set 'del(.mounts[8:])'
	for f in self/attr/exec version sys/kernel/core_pattern net/dev 1/status sys; do
		config_set --arg d "/proc/$f" '.mounts[7].destination = $d'
		fails "/mounts/7: /proc/$f: is inside /proc and cannot be mounted over" run --bundle "$BUNDLE" "$ID"
	done
	config_set '.mounts[7] = {destination: "/proc/self", type: "tmpfs", source: "tmpfs"}'
	fails "/mounts/7: /proc/self: is inside /proc" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].destination = "/tmp/../proc//1"'
	fails "/mounts/7: /proc/1: is inside /proc" run --bundle "$BUNDLE" "$ID"
}

@test "mounts: a link into /proc is no way around that" {
	ln -s /proc/self/attr "$R/sneaky"
	add_mount /sneaky none "$T/src" bind
	fails "/mounts/7: /sneaky: is inside /proc and cannot be mounted over" run --bundle "$BUNDLE" "$ID"
	ln -sfn /proc/sys/kernel "$R/sneaky"
	config_set --arg s "$T/src/file" '.mounts[7] |= (.source = $s | .destination = "/sneaky/core_pattern")'
	fails "/mounts/7: /sneaky/core_pattern: is inside /proc and cannot be mounted over" run --bundle "$BUNDLE" "$ID"
	ln -sfn /proc "$R/sneaky"
	config_set '.mounts[7].destination = "/sneaky/version"'
	fails "/mounts/7: /sneaky/version: is inside /proc and cannot be mounted over" run --bundle "$BUNDLE" "$ID"
	ln -sfn /proc/1/root "$R/sneaky"
	config_set '.mounts[7].destination = "/sneaky/tmp/vz-sneaky"'
	fails "/mounts/7: /sneaky/tmp/vz-sneaky: mount point: too many levels of symbolic links" run --bundle "$BUNDLE" "$ID"
	[[ ! -e /tmp/vz-sneaky ]]
}

@test "mounts: the root cannot be mounted over" {
	add_mount / tmpfs tmpfs
	fails "config.json: /mounts/7/destination: the root cannot be mounted over" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].destination = "/etc/.."'
	fails "config.json: /mounts/7/destination: the root cannot be mounted over" run --bundle "$BUNDLE" "$ID"
}

@test "mounts: a tmpfs takes mode and owner of the directory that it covers, unless told otherwise" {
	install -d -m 1751 -o 12 -g 34 "$R/there"
	add_mount /there tmpfs tmpfs
	add_mount /new tmpfs tmpfs
	add_mount /tmp tmpfs tmpfs
	run_sh 'stat -c "%n %a %u %g" /there /new /tmp'
	assert_eq "$output" "/there 1751 12 34
/new 1777 0 0
/tmp 1777 0 0"
	config_set '.mounts[7].options = ["mode=0700", "uid=5"]'
	run_sh 'stat -c "%n %a %u %g" /there'
	assert_eq "$output" "/there 700 5 34"
}

@test "mounts: tmpcopyup: the tmpfs begins with what the image has there" {
	mkdir -p "$R/data/sub/deep"
	echo one >"$R/data/one"
	echo two >"$R/data/sub/two"
	ln -s one "$R/data/link"
	ln -s /nonexistent "$R/data/sub/dangling"
	mkfifo -m 640 "$R/data/fifo"
	chown 12:34 "$R/data/one" "$R/data/sub"
	chmod 4750 "$R/data/one"
	dd if=/dev/urandom of="$R/data/big" bs=100k count=1 2>/dev/null
	touch -d '2001-02-03 04:05:06 UTC' "$R/data/one"
	add_mount /data tmpfs tmpfs tmpcopyup size=1m
	run_sh 'cd /data; cat one sub/two; readlink link; readlink sub/dangling; stat -c "%n %a %u %g %F" one sub sub/deep fifo
		TZ=UTC0 stat -c %y one; echo changed >one; rm -r sub; stat -f -c %T .; md5sum <big'
	assert_eq "$output" "one
two
one
/nonexistent
one 4750 12 34 regular file
sub 755 12 34 directory
sub/deep 755 0 0 directory
fifo 640 0 0 fifo
2001-02-03 04:05:06.000000000 +0000
tmpfs
$(md5sum <"$R/data/big")"
	assert_eq "$(cat "$R/data/one" "$R/data/sub/two")" "one
two"
}

@test "mounts: tmpcopyup into too small a tmpfs is an error, on what is no tmpfs too" {
	mkdir "$R/data"
	dd if=/dev/zero of="$R/data/big" bs=64k count=4 2>/dev/null
	add_mount /data tmpfs tmpfs tmpcopyup size=64k
	fails "/mounts/7: /data: copy big: no space left on device" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] |= (.type = "ramfs" | .options = ["tmpcopyup"])'
	fails "/mounts/7/options: tmpcopyup is for a tmpfs" run --bundle "$BUNDLE" "$ID"
}

@test "mounts: a tmpfs that is read-only is filled first" {
	add_mount /m tmpfs tmpfs ro
	add_mount /m/sub none "$T/src" bind
	run_sh 'cat /m/sub/file; touch /m/x; true'
	[[ $output == content && $stderr == *"Read-only file system"* ]] || { echo "$output$stderr"; false; }
}

@test "mounts: a tmpfs with rro: later mounts in it keep their own options" {
	add_mount /m tmpfs tmpfs rro
	add_mount /m/sub none "$T/src" bind
	add_mount /m/t tmpfs tmpfs
	run_sh 'touch /m/x; touch /m/sub/new /m/t/new && echo writable'
	assert_match "$stderr" "*/m/x: Read-only file system*"
	assert_eq "$output" writable
}

@test "mounts: an overlay, also with more directories than one option of fsconfig takes" {
	local i lower=

	mkdir -p "$T/up" "$T/work" "$T/lo wer"
	echo low >"$T/lo wer/f"
	add_mount /m overlay overlay "lowerdir=$T/lo wer:$T/src" "upperdir=$T/up" "workdir=$T/work"
	for i in {1..12}; do
		mkdir "$T/a-directory-with-a-long-name-$i"
		lower=$lower$T/a-directory-with-a-long-name-$i:
	done
	add_mount /long overlay overlay ro nosuid "lowerdir=$lower$T/src"
	run_sh 'cat /m/f /m/file /long/file; echo new >/m/new; touch /long/x; cat /proc/self/mountinfo'
	assert_match "$output" "low
content
content
*"
	assert_eq "$(cat "$T/up/new")" new
	assert_match "$(mount_flags /long)" "ro,nosuid*"
	assert_match "$stderr" "*/long/x: Read-only file system*"
	config_set '.mounts[7].options[0] = "lowerdir=/nonexistent"'
	# Kernels before 6.5 do not say which of the directories is meant.
	fails "/mounts/7: /m: overlay: *no such file or directory" run --bundle "$BUNDLE" "$ID"
}

@test "mounts: more of them than the caller may open files" {
	config_set --arg s "$T/src" '.mounts += [range(300) | {destination: "/m/\(.)", type: "none", source: $s, options: ["bind", "ro"]}] | .process.rlimits = []'
	config_set '.process.args = ["sh", "-c", "grep -c \" /m/\" /proc/self/mountinfo; ulimit -Sn; ulimit -Hn"]'
	(ulimit -Sn 256; ulimit -Hn 1000; run_vzrun run --bundle "$BUNDLE" "$ID")
	assert_eq "$(cat "$T/stdout" "$T/stderr")" "300
256
1000"
}

@test "mounts: the runtime does not hold them while the container runs" {
	local pid

	mkfifo "$R/go"
	add_mount /m none "$T/src" bind
	config_set '.process.args = ["sh", "-c", "read x </go"]'
	"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >/dev/null 2>"$T/err" </dev/null 3>&- 4>&- &
	pid=$!
	wait_state "$ID" running
	output=$(ls -l "/proc/$pid/fd")
	echo >"$R/go"
	wait "$pid"
	# A tree of another mount namespace shows as its root or by its name there.
	run grep -E -- "-> /(m|$)|$T/src" <<<"$output"
	assert_eq "$output" ""
}

@test "mounts: names with spaces, tabs, newlines and bytes that are no ASCII" {
	local n=$'sp ace\ttab\nline \303\244'

	mkdir "$T/$n"
	echo odd >"$T/$n/f"
	add_mount "/$n" none "$T/$n" rbind
	run_sh 'cat /sp*/f' --no-pivot
	assert_eq "$output" odd
	run_sh 'cat /sp*/f'
	assert_eq "$output" odd
}

@test "mounts: /dev that is read-only has its devices and links" {
	config_set '(.mounts[] | select(.destination == "/dev")).options += ["ro"]'
	run_sh 'ls /dev; touch /dev/x; echo x >/dev/null && echo written' || true
	assert_match "$output" "*null*stdin*written"
	assert_match "$stderr" "*/dev/x: Read-only file system*"
}

@test "mounts: only the container's are visible in it" {
	run_sh 'cat /proc/self/mountinfo'
	# Below these lie the hierarchies and the masks.
	assert_eq "$(cut -d' ' -f5 <<<"$output" | sed -E 's,^/(sys/fs/cgroup|proc|sys/(firmware|devices))/.*,/\1,' | sort -u |
		grep -v /sys/firmware)" "/
/dev
/dev/mqueue
/dev/pts
/dev/shm
/proc
/sys
/sys/fs/cgroup"
	[[ $output != *" /oldroot"* && $output != *put_old* ]]
}

@test "mounts: the host's are as before, while it runs and afterwards" {
	local before during

	add_mount /m none "$T/src" rbind
	add_mount /m/t tmpfs tmpfs
	before=$(sort /proc/self/mountinfo)
	start_sleep
	during=$(sort /proc/self/mountinfo)
	assert_eq "$during" "$before"
	ok delete --force "$ID"
	assert_eq "$(sort /proc/self/mountinfo)" "$before"
}

@test "mounts: a missing cwd is made" {
	config_set '.process.cwd = "/made/for/cwd"'
	run_sh 'pwd; stat -c %a .'
	assert_eq "$output" "/made/for/cwd
755"
}

@test "mounts: proc with options of its own" {
	config_set '(.mounts[] | select(.type == "proc")).options += ["hidepid=2", "subset=pid"] | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	run_sh 'ls /proc | grep -v "^[0-9]"; cat /proc/self/mountinfo'
	assert_match "$(mount_super /proc)" "*hidepid=invisible*"
	assert_match "$(mount_super /proc)" "*subset=pid*"
	[[ $output != *cpuinfo* ]]
}

@test "mounts: sysfs, mqueue and proc of a container that shares those namespaces" {
	config_set '.linux.namespaces |= map(select(.type != "network" and .type != "ipc" and .type != "pid"))'
	config_set 'del(.hostname) | .linux.namespaces |= map(select(.type != "uts"))'
	run_sh 'cat /proc/self/mountinfo; '"$INTERFACES"'; touch /sys/x; true'
	assert_match "$(mount_flags /sys)" "ro,nosuid,nodev,noexec*"
	assert_eq "$(mount_fs /sys) $(mount_fs /dev/mqueue) $(mount_fs /proc)" "sysfs mqueue proc"
	assert_match "$stderr" "*Read-only file system*"
}

@test "mounts: a bundle on a mount that is shared, and with a mount inside its rootfs" {
	in_mount_ns 'mount --bind "$T/bundle" "$T/bundle"; mount --make-shared "$T/bundle"
		mkdir -p "$T/bundle/rootfs/inner"; mount -t tmpfs none "$T/bundle/rootfs/inner"; echo x >"$T/bundle/rootfs/inner/f"
		trap "cut -d\  -f5 /proc/self/mountinfo | grep -c bundle/rootfs >$T/count" 0'
	add_mount /inner/t tmpfs tmpfs
	run_sh 'cat /inner/f; ls -d /inner/t'
	assert_eq "$output" "x
/inner/t"
}

@test "mounts: nothing that the container mounts reaches a shared source on the host" {
	config_set '.process.capabilities[] += ["CAP_SYS_ADMIN"]'
	add_mount /m none "$T/src" rbind
	config_set '.process.args = ["sh", "-c", "mkdir -p /m/in && mount -t tmpfs none /m/in && touch /m/in/f; sleep 1000"]'
	cat >"$T/script" <<-'S'
		mount --bind "$T/src" "$T/src"; mount --make-shared "$T/src"
		"$VZRUN" --root "$ROOT" run --detach --bundle "$BUNDLE" "$ID" >/dev/null 2>"$T/err" </dev/null
		i=0; while [ ! -e "/proc/$("$VZRUN" --root "$ROOT" state "$ID" | jq .pid)/root/m/in/f" ]; do
			sleep 0.05; i=$((i + 1)); [ $i -lt 100 ] || exit 3; done
		ls "$T/src/in"; grep -c "$T/src" /proc/self/mountinfo
	S
	export T VZRUN ROOT BUNDLE ID
	run timeout 20 unshare -m sh "$T/script" 3>&- 4>&-
	assert_eq "$status $output" "0 1"
}
