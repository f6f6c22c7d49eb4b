#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# linux.maskedPaths and linux.readonlyPaths.

load ../lib/helpers

setup() {
	vz_setup
	R=$BUNDLE/rootfs
	mkdir -p "$R/data/dir/sub"
	echo secret >"$R/data/file"
	echo secret >"$R/data/dir/f"
}

masked() {
	jq '.linux.maskedPaths = $ARGS.positional' --args "$@" <"$CONFIG" >"$CONFIG.new" && mv "$CONFIG.new" "$CONFIG"
}

@test "masked: a file is the null device, a directory is empty, neither can be written" {
	masked /data/file /data/dir
	run_sh 'cat /data/file; ls -A /data/dir; stat -c %F /data/file; stat -c "%F %a %u" /data/dir; touch /data/dir/x; echo x >/data/file; cat /data/file; true'
	assert_eq "$output" "character special file
directory 755 0"
	assert_match "$stderr" "*/data/dir/x: Read-only file system*"
	assert_eq "$(cat "$R/data/file" "$R/data/dir/f")" "secret
secret"
}

@test "masked: what is missing is no error" {
	masked /data/none /none/at/all /data/file/below
	ok run --bundle "$BUNDLE" "$ID"
	[[ ! -e $R/data/none && ! -e $R/none ]]
}

@test "masked: links are followed inside the root" {
	ln -s /data/file "$R/link"
	ln -s ../../../../../data/dir "$R/dirlink"
	masked /link /dirlink
	run_sh 'cat /data/file; ls /data/dir'
	assert_eq "$output" ""
}

@test "masked: through /proc/self and /proc/1" {
	masked /proc/self/environ /proc/1/cmdline
	run_sh 'stat -c %F /proc/1/cmdline /proc/1/environ'
	assert_eq "$output" "character special file
character special file"
}

@test "masked: many directories share one empty file system" {
	mkdir "$R/data/"{a,b,c}
	masked /data/a /data/b /data/c /data/dir
	run_sh 'cat /proc/self/mountinfo'
	assert_eq "$(awk '$5 ~ "^/data/" { print $3, $6 }' <<<"$output" | sort | uniq -c | awk '{ print $1 }')" 4
	assert_match "$(mount_flags /data/a)" "ro,nosuid,nodev,noexec*"
}

@test "masked: a mount, a file in it, one after the other; the same twice" {
	config_set '.mounts += [{destination: "/vol", type: "tmpfs", source: "tmpfs"}]'
	masked /vol /data/file /data/file /data/dir /data/dir
	run_sh 'ls -A /vol; touch /vol/x; cat /data/file; ls -A /data/dir; true'
	assert_eq "$output" ""
	assert_match "$stderr" "*/vol/x: Read-only file system*"
}

@test "masked: the payload cannot take it away" {
	masked /data/file
	config_set '.process.capabilities[] += ["CAP_SYS_ADMIN"] | .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	# In a user namespace of its own and another mount namespace below it the masks are locked.
	run_sh 'unshare -Ur -m sh -c "umount /data/file; cat /data/file" 2>&1; true'
	[[ $output != *secret* ]]
}

@test "masked: relative paths are an error with their place" {
	masked /data/file data/dir
	fails "config.json: /linux/maskedPaths/1: " run --bundle "$BUNDLE" "$ID"
	config_set '.linux.maskedPaths = [] | .linux.readonlyPaths = ["x"]'
	fails "config.json: /linux/readonlyPaths/0: " run --bundle "$BUNDLE" "$ID"
}

@test "readonly paths: a directory, a file, what is missing" {
	config_set '.linux.readonlyPaths = ["/data/file", "/data/dir", "/none", "/data/file/x"]'
	run_sh 'cat /data/file /data/dir/f; echo y >>/data/file; touch /data/dir/sub/x; touch /data/ok; ls /data; true'
	assert_eq "$output" "secret
secret
dir
file
ok"
	assert_match "$stderr" "*/data/file: Read-only file system*/data/dir/sub/x: Read-only file system*"
}

@test "readonly paths: the mount's flags stay, mounts below it too" {
	config_set '.mounts += [{destination: "/vol", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec", "noatime"]},
		{destination: "/vol/sub", type: "tmpfs", source: "tmpfs"}] | .linux.readonlyPaths = ["/vol"]'
	run_sh 'touch /vol/x; touch /vol/sub/x && echo below; cat /proc/self/mountinfo'
	assert_match "$stderr" "*/vol/x: Read-only file system*"
	assert_eq "$(mount_flags /vol)" ro,nosuid,nodev,noexec,noatime
	# Of the path itself only, as with the peers: rro of a mount is for the rest.
	assert_match "$output" "below*"
}

@test "readonly paths: links, and a path that is masked as well" {
	ln -s /data/dir "$R/link"
	config_set '.linux.readonlyPaths = ["/link", "/data/file"] | .linux.maskedPaths = ["/data/file"]'
	run_sh 'touch /data/dir/x; cat /data/file; true'
	assert_eq "$output" ""
	assert_match "$stderr" "*/data/dir/x: Read-only file system*"
}

@test "readonly paths: /proc/sys after the sysctls were written" {
	config_set '.linux.sysctl = {"net.ipv4.ip_forward": "1"}'
	run_sh 'cat /proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/ip_forward; true'
	assert_eq "$output" 1
	assert_match "$stderr" "*Read-only file system*"
}

@test "masked and readonly paths in a user namespace" {
	masked /proc/keys /data/file /data/dir
	config_set '.linux.readonlyPaths += ["/data"]'
	new_userns
	run_sh 'cat /data/file; ls -A /data/dir; touch /data/x; stat -c %F /proc/keys; true'
	assert_eq "$output" "character special file"
	assert_match "$stderr" "*/data/x: Read-only file system*"
}
