#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every option of a mount that is a flag: what the kernel says about the mount afterwards.

load ../lib/helpers

setup() {
	vz_setup
	mkdir -p "$T/src/sub"
	echo content >"$T/src/file"
}

# has FLAGS WANTED...: of a comma-separated list; "!x" must not be in it.
has() {
	local flags=",$1," f

	shift
	for f; do
		case $f in
		!*) [[ $flags != *",${f#!},"* ]] || { echo "$f: $flags"; return 1; } ;;
		*) [[ $flags == *",$f,"* ]] || { echo "no $f: $flags"; return 1; } ;;
		esac
	done
}

dump() { run_sh 'cat /proc/self/mountinfo' "$@"; }

@test "mount options: each flag on a bind" {
	local o

	for o in ro nosuid nodev noexec noatime nodiratime relatime strictatime nosymfollow; do
		add_mount "/m/$o" none "$T/src" bind "$o"
	done
	dump
	for o in ro nosuid nodev noexec noatime nodiratime relatime nosymfollow; do
		has "$(mount_flags "/m/$o")" "$o" || { echo "option $o"; return 1; }
	done
	has "$(mount_flags /m/strictatime)" '!relatime' '!noatime'
	has "$(mount_flags /m/nosuid)" rw '!nodev' '!noexec' '!nosymfollow'
}

@test "mount options: each flag on a filesystem of its own" {
	local o

	for o in ro nosuid nodev noexec noatime nodiratime relatime strictatime nosymfollow; do
		add_mount "/m/$o" tmpfs "src-$o" "$o"
	done
	for o in sync dirsync lazytime; do
		add_mount "/m/$o" tmpfs "src-$o" "$o"
	done
	dump
	for o in ro nosuid nodev noexec noatime nodiratime relatime nosymfollow; do
		has "$(mount_flags "/m/$o")" "$o" || { echo "option $o"; return 1; }
	done
	has "$(mount_flags /m/strictatime)" '!relatime' '!noatime'
	for o in sync dirsync lazytime; do
		has "$(mount_super "/m/$o")" "$o" || { echo "option $o"; return 1; }
	done
	assert_match "$(mount_line /m/ro)" '* - tmpfs src-ro *'
}

@test "mount options: the opposite of a flag takes it off the clone of a mount that has it" {
	in_mount_ns 'mount -t tmpfs -o ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow none "$T/src"'
	local o

	add_mount /m/as none "$T/src" bind
	for o in rw suid dev exec atime diratime symfollow; do
		add_mount "/m/$o" none "$T/src" bind "$o"
	done
	dump
	has "$(mount_flags /m/as)" ro nosuid nodev noexec noatime nodiratime nosymfollow
	has "$(mount_flags /m/rw)" rw nosuid nodev noexec noatime nodiratime nosymfollow
	has "$(mount_flags /m/suid)" ro '!nosuid' nodev
	has "$(mount_flags /m/dev)" ro nosuid '!nodev' noexec
	has "$(mount_flags /m/exec)" ro nosuid nodev '!noexec'
	has "$(mount_flags /m/atime)" ro '!noatime' relatime
	has "$(mount_flags /m/diratime)" ro '!nodiratime' noatime
	has "$(mount_flags /m/symfollow)" ro '!nosymfollow'
}

@test "mount options: of two that contradict each other the later counts" {
	add_mount /m/rw none "$T/src" bind ro rw
	add_mount /m/ro none "$T/src" bind rw ro
	add_mount /m/suid none "$T/src" bind nosuid suid
	add_mount /m/noatime none "$T/src" bind relatime noatime
	add_mount /m/async tmpfs tmpfs sync async
	dump
	has "$(mount_flags /m/rw)" rw
	has "$(mount_flags /m/ro)" ro
	has "$(mount_flags /m/suid)" '!nosuid'
	has "$(mount_flags /m/noatime)" noatime '!relatime'
	has "$(mount_super /m/async)" '!sync'
}

@test "mount options: defaults, and words that are only accepted" {
	add_mount /m/a tmpfs tmpfs defaults
	add_mount /m/b none "$T/src" rbind defaults silent loud nomand noiversion nolazytime norelatime nostrictatime
	dump
	has "$(mount_flags /m/a)" rw relatime
	has "$(mount_flags /m/b)" rw relatime
}

@test "mount options: recursive ones reach what is mounted below" {
	in_mount_ns 'mount -t tmpfs none "$T/src"; mkdir "$T/src/sub"; mount -t tmpfs none "$T/src/sub"'
	local o flag

	for o in rro rnosuid rnodev rnoexec rnoatime rnodiratime rrelatime rnosymfollow rstrictatime; do
		add_mount "/m/$o" none "$T/src" rbind "$o"
	done
	add_mount /m/ro none "$T/src" rbind ro nosuid
	dump
	for o in rro rnosuid rnodev rnoexec rnoatime rnodiratime rrelatime rnosymfollow; do
		flag=${o#r}
		has "$(mount_flags "/m/$o")" "$flag" && has "$(mount_flags "/m/$o/sub")" "$flag" ||
			{ echo "option $o"; return 1; }
	done
	has "$(mount_flags /m/rstrictatime/sub)" '!relatime' '!noatime'
	# The plain ones do not.
	has "$(mount_flags /m/ro)" ro nosuid
	has "$(mount_flags /m/ro/sub)" rw '!nosuid'
}

@test "mount options: recursive opposites" {
	in_mount_ns 'o=ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow
		mount -t tmpfs none "$T/src"; mkdir "$T/src/sub"
		mount -t tmpfs -o $o none "$T/src/sub"; mount -o remount,bind,$o "$T/src"'
	local o flag

	for o in rrw rsuid rdev rexec ratime rdiratime rsymfollow; do
		add_mount "/m/$o" none "$T/src" rbind "$o"
	done
	add_mount /m/norel none "$T/src" rbind rnorelatime
	add_mount /m/nostrict none "$T/src" rbind rnostrictatime
	dump
	has "$(mount_flags /m/rrw)" rw
	has "$(mount_flags /m/rrw/sub)" rw nosuid
	for o in suid dev exec diratime symfollow; do
		has "$(mount_flags "/m/r$o")" ro "!no$o" && has "$(mount_flags "/m/r$o/sub")" ro "!no$o" ||
			{ echo "option r$o"; return 1; }
	done
	has "$(mount_flags /m/ratime/sub)" '!noatime'
	has "$(mount_flags /m/norel/sub)" relatime '!noatime'
	has "$(mount_flags /m/nostrict/sub)" relatime '!noatime'
}

@test "mount options: rro and rw: the top is as the recursive one says" {
	in_mount_ns 'mount -t tmpfs none "$T/src"; mkdir "$T/src/sub"; mount -t tmpfs none "$T/src/sub"'
	add_mount /m/a none "$T/src" rbind rro rw
	add_mount /m/b none "$T/src" rbind ro rrw
	add_mount /m/c none "$T/src" bind rro
	dump
	has "$(mount_flags /m/a)" ro
	has "$(mount_flags /m/a/sub)" ro
	has "$(mount_flags /m/b)" rw
	has "$(mount_flags /m/b/sub)" rw
	has "$(mount_flags /m/c)" ro
	run mount_line /m/c/sub
	assert_eq "$status" 1
}

@test "mount options: bind leaves out what is mounted below, rbind takes it along" {
	in_mount_ns 'mount -t tmpfs none "$T/src"; mkdir "$T/src/sub"; mount -t tmpfs none "$T/src/sub"; echo x >"$T/src/sub/f"'
	add_mount /m/bind none "$T/src" bind
	add_mount /m/rbind none "$T/src" rbind
	run_sh 'ls /m/bind/sub /m/rbind/sub'
	assert_eq "$output" "/m/bind/sub:

/m/rbind/sub:
f"
}

@test "mount options: type bind alone is a bind, and a bind's type is a dummy" {
	add_mount /m/a bind "$T/src"
	add_mount /m/b proc "$T/src" bind
	run_sh 'cat /m/a/file /m/b/file'
	assert_eq "$output" "content
content"
}

@test "mount options: a filesystem's own go to the filesystem" {
	add_mount /m/a tmpfs tmpfs size=1m mode=0711 uid=12 gid=34 nr_inodes=77
	run_sh 'cat /proc/self/mountinfo; stat -c "%a %u %g" /m/a'
	has "$(mount_super /m/a)" size=1024k mode=711 nr_inodes=77
	# In a user namespace the host has other numbers for these.
	[[ ${VZ_AS:-root} != root ]] || has "$(mount_super /m/a)" uid=12 gid=34
	assert_match "$output" '*711 12 34'
}

@test "mount options: an empty one says nothing" {
	add_mount /m/a tmpfs tmpfs "" ro "" size=1m ""
	add_mount /m/b - "$T" "" bind ""
	run_sh 'cat /proc/self/mountinfo'
	has "$(mount_super /m/a)" size=1024k
	has "$(mount_flags /m/a)" ro
	[[ -n $(mount_line /m/b) ]]
}

@test "mount options: errors have the place" {
	add_mount /m/a tmpfs tmpfs nosuid frobnicate=7
	fails "/mounts/7: /m/a: tmpfs: Unknown parameter 'frobnicate'" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].options = ["size=bogus"]'
	fails "/mounts/7: /m/a: *size*" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] = {destination: "/m", type: "nosuchfs", source: "x"}'
	fails "/mounts/7: /m: unknown filesystem type nosuchfs: no such device" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] = {destination: "/m", source: "x"}'
	fails "config.json: /mounts/7/type: missing" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] = {destination: "/m", type: "none", options: ["bind"]}'
	fails "config.json: /mounts/7/source: missing for a bind mount" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] = {destination: "/m", type: "none", source: "/nonexistent-source", options: ["bind"]}'
	fails "/mounts/7: /m: bind source /nonexistent-source: no such file or directory" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] = {destination: "", type: "tmpfs"}'
	fails "config.json: /mounts/7/destination: must not be empty" run --bundle "$BUNDLE" "$ID"
	[[ ! -e $BUNDLE/rootfs/m/a/x && -z $(ls "$ROOT") ]]
}

@test "mount options: data options on a bind are an error, not forgotten" {
	add_mount /m none "$T/src" bind ro size=1m
	fails "config.json: /mounts/7/options/2: bind mounts cannot have any filesystem-specific options applied: size=1m" \
		run --bundle "$BUNDLE" "$ID"
}

@test "mount options: remount changes a mount that is there" {
	add_mount /m/a tmpfs tmpfs size=1m
	add_mount /m/a - - remount ro nosuid size=2m
	add_mount /m/b none "$T/src" bind
	add_mount /m/b none - remount bind ro noexec
	add_mount /dev/shm - - remount nosuid size=3m
	dump
	has "$(mount_flags /m/a)" ro nosuid
	has "$(mount_super /m/a)" size=2048k
	has "$(mount_flags /m/b)" ro noexec
	has "$(mount_super /m/b)" rw
	has "$(mount_super /dev/shm)" size=3072k
}

@test "mount options: remount of what is no mount point is an error" {
	mkdir "$BUNDLE/rootfs/m"
	add_mount /m - - remount ro
	fails "/mounts/7: /m: *invalid argument" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].destination = "/none"'
	fails "/mounts/7: /none: *no such file or directory" run --bundle "$BUNDLE" "$ID"
	[[ ! -e $BUNDLE/rootfs/none ]]
}

@test "mount options: features names them" {
	ok features
	jq -e '.mountOptions | index("rro") and index("tmpcopyup") and index("idmap") and index("rbind")' <<<"$output"
}
