#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# root, linux.rootfsPropagation, --no-pivot.

load ../lib/helpers

setup() {
	vz_setup
	R=$BUNDLE/rootfs
}

@test "rootfs: read-only, with writable mounts in it" {
	config_set '.root.readonly = true'
	add_mount /tmp tmpfs tmpfs
	add_mount /made/point tmpfs tmpfs
	run_sh 'touch /x /etc/x; touch /tmp/x /made/point/x /dev/shm/x && echo written; cat /proc/self/mountinfo'
	assert_match "$output" "written*"
	assert_match "$stderr" "*/x: Read-only file system*/etc/x: Read-only file system*"
	assert_match "$(mount_flags /)," "ro,*"
	# The mount is, not the file system.
	assert_match "$(mount_super /)" "rw*"
	touch "$R/still-writable-outside"
}

@test "rootfs: writable" {
	run_sh 'echo here >/new'
	assert_eq "$(cat "$R/new")" here
}

@test "rootfs: paths: relative to the bundle, absolute, with dots" {
	mv "$R" "$T/other"
	local p

	for p in "$T/other" ../other ./../bundle/../other/ "$T//other/."; do
		config_set --arg p "$p" '.root.path = $p'
		run_sh 'echo inside'
		assert_eq "$output" inside
	done
	config_set '.root.path = ""'
	fails "config.json: /root/path: must not be empty" run --bundle "$BUNDLE" "$ID"
	config_set 'del(.root)'
	fails "config.json: /root: required, but missing" run --bundle "$BUNDLE" "$ID"
}

@test "rootfs: is a mount of its own already, or lies on one that is shared" {
	in_mount_ns 'mount --bind "$T/bundle/rootfs" "$T/bundle/rootfs"'
	run_sh 'cat /proc/self/mountinfo'
	assert_eq "$(grep -c ' / / ' <<<"$output") $(awk '$5 == "/"' <<<"$output" | wc -l)" "0 1"
	VZRUN=$VZRUN_REAL
	in_mount_ns 'mount --make-rshared /'
	run_sh 'cat /proc/self/mountinfo; touch /x'
	assert_eq "$(awk '$5 == "/"' <<<"$output" | wc -l)" 1
}

@test "rootfs: nothing of the host's root is left: no old root, no other mounts" {
	run_sh 'cat /proc/self/mountinfo; ls -A /'
	assert_eq "$(awk -v t="$T" 'index($5, t) == 1 || $5 ~ "old|put"' <<<"$output")" ""
	assert_match "$(mount_line /)" "*/bundle/rootfs / *"
	assert_eq "$(awk '$5 == "/"' <<<"$output" | wc -l)" 1
}

@test "rootfs: propagation words" {
	local p

	for p in private rprivate slave rslave unbindable runbindable; do
		config_set --arg p "$p" '.linux.rootfsPropagation = $p'
		run_sh 'cat /proc/self/mountinfo; true'
		case $p in
		*private) [[ $(mount_line /) != *shared:* && $(mount_line /) != *master:* ]] ;;
		*slave) [[ $(mount_line /) != *shared:* ]] ;;
		*unbindable) [[ $(mount_line /) == *" unbindable "* ]] ;;
		esac
	done
	for p in shared rshared; do
		config_set --arg p "$p" '.linux.rootfsPropagation = $p'
		run_sh 'cat /proc/self/mountinfo; true'
		assert_match "$(mount_line /)" "* shared:*"
	done
	config_set '.linux.rootfsPropagation = "sideways"'
	fails "config.json: /linux/rootfsPropagation: unknown value 'sideways'" run --bundle "$BUNDLE" "$ID"
}

# in_host SCRIPT: in a mount namespace of the test, with vz ARGS... for vzrun.
in_host() {
	export T VZRUN ROOT BUNDLE ID
	printf '%s\n' 'vz() { "$VZRUN" --root "$ROOT" "$@" >"$T/o" 2>"$T/e" </dev/null || { cat "$T/e"; exit 9; }; }' "$1" >"$T/host.sh"
	run timeout 20 unshare -m sh -eu "$T/host.sh" 3>&- 4>&-
}

@test "propagation: what the host mounts below the root comes in only where the document says slave" {
	local p

	for p in '' slave; do
		config_set --arg p "$p" '.process.args = ["sleep", "100"] | if $p == "" then . else .linux.rootfsPropagation = $p end'
		in_host 'mount --make-rshared /; mkdir -p "$BUNDLE/rootfs/late"; mount --bind "$BUNDLE/rootfs" "$BUNDLE/rootfs"
			vz create --bundle "$BUNDLE" "$ID"; vz start "$ID"
			mount -t tmpfs none "$BUNDLE/rootfs/late"; touch "$BUNDLE/rootfs/late/f"
			vz exec "$ID" sh -c "ls /late; cut -d\  -f5- /proc/self/mountinfo | grep -c \"^/ .*er:\"; true"; cat "$T/o"
			vz delete --force "$ID"'
		assert_eq "$status $output" "$([[ -n $p ]] && printf '0 f\n1' || printf '0 0')"
	done
}

@test "propagation: slave volumes see what the host mounts later, and give nothing back" {
	mkdir "$T/vol"
	config_set '.process.capabilities[] += ["CAP_SYS_ADMIN"] | .process.args = ["sleep", "100"] | .linux.rootfsPropagation = "rslave"'
	add_mount /vol none "$T/vol" rbind rslave
	in_host 'mount -t tmpfs none "$T/vol"; mount --make-shared "$T/vol"
		vz create --bundle "$BUNDLE" "$ID"; vz start "$ID"
		mkdir "$T/vol/late" "$T/vol/inner"; mount -t tmpfs none "$T/vol/late"; touch "$T/vol/late/f"
		vz exec "$ID" ls /vol/late; cat "$T/o"
		vz exec "$ID" mount -t tmpfs none /vol/inner
		grep -c "$T/vol/inner" /proc/self/mountinfo || true
		vz delete --force "$ID"'
	assert_eq "$status $output" "0 f
0"
}

@test "propagation: shared volumes give the host what the container mounts" {
	mkdir "$T/vol"
	config_set '.process.capabilities[] += ["CAP_SYS_ADMIN"] | .process.args = ["sleep", "100"] | .linux.rootfsPropagation = "rshared"'
	add_mount /vol none "$T/vol" rbind rshared
	in_host 'mount -t tmpfs none "$T/vol"; mount --make-shared "$T/vol"
		vz create --bundle "$BUNDLE" "$ID"; vz start "$ID"
		mkdir "$T/vol/inner"
		vz exec "$ID" mount -t tmpfs inner /vol/inner
		grep -c "$T/vol/inner .* inner" /proc/self/mountinfo || true
		vz delete --force "$ID"'
	assert_eq "$status $output" "0 1"
}

@test "propagation: private volumes see nothing" {
	mkdir "$T/vol"
	config_set '.process.args = ["sleep", "100"]'
	add_mount /vol none "$T/vol" rbind rprivate
	add_mount /plain none "$T/vol" rbind
	in_host 'mount -t tmpfs none "$T/vol"; mount --make-shared "$T/vol"
		vz create --bundle "$BUNDLE" "$ID"; vz start "$ID"
		mkdir "$T/vol/late"; mount -t tmpfs none "$T/vol/late"; touch "$T/vol/late/f"
		vz exec "$ID" ls /vol/late; cat "$T/o"
		vz exec "$ID" cat /proc/self/mountinfo; grep " /vol \| /plain " "$T/o"
		vz delete --force "$ID"'
	[[ $status == 0 && $output != f* ]]
	[[ $(grep ' /vol ' <<<"$output") != *master:* && $(grep ' /vol ' <<<"$output") != *shared:* ]]
}

@test "rootfs: options shared, slave, private and unbindable of a mount" {
	local o

	for o in shared slave private unbindable rshared rslave rprivate runbindable; do
		add_mount "/m/$o" tmpfs tmpfs "$o"
	done
	run_sh 'cat /proc/self/mountinfo'
	for o in shared rshared; do assert_match "$(mount_line /m/$o)" "* shared:*"; done
	for o in private rprivate slave rslave; do [[ $(mount_line /m/$o) != *shared:* ]]; done
	for o in unbindable runbindable; do assert_match "$(mount_line /m/$o)" "* unbindable *"; done
}

@test "rootfs: --no-pivot" {
	run_sh 'ls /; cat /proc/self/mountinfo; echo made >/tmp/x' --no-pivot
	assert_match "$output" "bin
dev
etc*"
	assert_eq "$(cat "$R/tmp/x")" made
	assert_eq "$(awk '$5 ~ "bundle/rootfs"' <<<"$output")" ""
	config_set '.process.args = ["sleep", "100"]'
	ok create --no-pivot --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	ok exec "$ID" ls /bin/busybox
}

@test "rootfs: --no-pivot works on an initial ramdisk, where pivot_root does not" {
	# chroot makes the root no mount point, which pivot_root refuses as on a ramdisk.
	mkdir "$T/c"
	in_mount_ns 'mount --rbind / "$T/c"'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 0
}

@test "rootfs: of a missing mount namespace: what needs one is refused" {
	config_set '.linux.namespaces |= map(select(.type != "mount"))'
	fails "config.json: /mounts: needs a new mount namespace in /linux/namespaces" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts = []'
	fails "config.json: /linux/maskedPaths: needs a new mount namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.maskedPaths = [] | .linux.readonlyPaths = []'
	run_sh 'ls -d /bin/busybox /usr/share 2>/dev/null; true'
	assert_eq "$output" /bin/busybox
	start_sleep
	ok exec "$ID" sh -c 'ls -d /bin/busybox /usr/share 2>/dev/null; true'
	assert_eq "$output" /bin/busybox
}

@test "rootfs: a full or read-only state directory is one clear error and leaves nothing" {
	in_mount_ns 'mount -t tmpfs -o ro none "$T/root"'
	fails "read-only file system" run --bundle "$BUNDLE" "$ID"
	VZRUN=$VZRUN_REAL
	in_mount_ns 'mount -t tmpfs -o size=8k,nr_inodes=64 none "$T/root"; dd if=/dev/zero of="$T/root/x" bs=4k count=2 2>/dev/null || true
		trap "ls -A $T/root >$T/left" 0'
	sed -i 's/^exec \(.*\)/\1/' "$T/in-mount-ns"
	fails "no space left on device" run --bundle "$BUNDLE" "$ID"
	assert_eq "$(wc -l <<<"$stderr")" 1
	assert_eq "$(cat "$T/left")" x
	VZRUN=$VZRUN_REAL
	in_mount_ns 'mount -t tmpfs -o size=1m,nr_inodes=4 none "$T/root"; trap "ls -A $T/root >$T/left" 0'
	sed -i 's/^exec \(.*\)/\1/' "$T/in-mount-ns"
	fails "no space left on device" run --bundle "$BUNDLE" "$ID"
	assert_eq "$(cat "$T/left")" ""
}
