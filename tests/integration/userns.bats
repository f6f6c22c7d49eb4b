#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers in user namespaces, and id-mapped mounts.

load ../lib/helpers

setup() {
	vz_setup
	R=$BUNDLE/rootfs
}

# maps KEY MAP...: CONTAINER:HOST:SIZE
maps() {
	local key=$1

	shift
	jq --arg k "$key" '.linux[$k] = [$ARGS.positional[] | split(":") | map(tonumber) | {containerID: .[0], hostID: .[1], size: .[2]}]' \
		--args "$@" <"$CONFIG" >"$CONFIG.new" && mv "$CONFIG.new" "$CONFIG"
}

@test "userns: maps of several ranges" {
	new_userns
	maps uidMappings 0:100000:1000 1000:5000:10 65534:300000:1
	maps gidMappings 0:200000:500 600:6000:1
	run_sh 'cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups'
	assert_eq "$(tr -s ' ' <<<"$output")" " 0 100000 1000
 1000 5000 10
 65534 300000 1
 0 200000 500
 600 6000 1
allow"
}

@test "userns: who root is on the host: processes and files" {
	new_userns
	config_set '.process.args = ["sh", "-c", "touch /tmp/f; exec sleep 1000"]'
	chmod 1777 "$R/tmp"
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_until test -e "$R/tmp/f"
	assert_eq "$(stat -c '%u %g' "$R/tmp/f")" "100000 200000"
	assert_eq "$(awk '/^[UG]id:/ { print $2, $3, $4, $5 }' "/proc/$(pid_of "$ID")/status")" "100000 100000 100000 100000
200000 200000 200000 200000"
	ok exec "$ID" sh -c 'id -u; id -g; stat -c "%u %g" /tmp/f / /proc/1 /dev/mqueue /dev/shm'
	assert_eq "$output" "0
0
0 0
0 0
0 0
0 0
0 0"
}

@test "userns: another user, additional groups, exec as one" {
	new_userns
	config_set '.process.user = {uid: 1000, gid: 1001, additionalGids: [50, 60]}'
	run_sh 'id -u; id -g; id -G'
	assert_eq "$output" "1000
1001
1001 50 60"
	config_set '.process.user = {uid: 0, gid: 0}'
	start_sleep
	ok exec --user 12:34 "$ID" sh -c 'id -u; id -g; touch /tmp/x 2>/dev/null; cat /proc/self/uid_map'
	assert_match "$output" "12
34
*100000*"
}

@test "userns: ids that are not mapped are errors" {
	new_userns
	maps uidMappings 1:100001:1000
	fails "/process/user/uid: 0 is not mapped in /linux/uidMappings" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 7, gid: 7}'
	fails "user namespace: setresuid(0): is user 0 mapped in /linux/uidMappings?: invalid argument" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 0, gid: 0}'
	maps uidMappings 0:100000:1000
	maps gidMappings 1:100000:1000
	fails "/process/user/gid: 0 is not mapped in /linux/gidMappings" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 7, gid: 7}'
	fails "user namespace: setresgid(0): is group 0 mapped in /linux/gidMappings?: invalid argument" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 0, gid: 0}'
	maps gidMappings 0:200000:1000
	config_set '.process.user.uid = 5000'
	fails "5000" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 0, gid: 5000}'
	fails "5000" run --bundle "$BUNDLE" "$ID"
	[[ -z $(ls "$ROOT") ]]
}

@test "userns: a mount point that is missing in a directory of an id that is not mapped" {
	new_userns
	chown 5000 "$BUNDLE/rootfs/run"
	add_mount /run/new tmpfs tmpfs
	fails "/run/new: mkdir /run/new (its directory belongs to an id that is not mapped*" run --bundle "$BUNDLE" "$ID"
	chown 100000 "$BUNDLE/rootfs/run"
	ok run --bundle "$BUNDLE" "$ID"
}

@test "userns: bad maps are errors with their place" {
	new_userns
	maps uidMappings
	fails "config.json: /linux/uidMappings: a new user namespace needs mappings" run --bundle "$BUNDLE" "$ID"
	maps uidMappings 0:100000:1000 500:200000:10
	fails "/linux/uidMappings" run --bundle "$BUNDLE" "$ID"
	maps uidMappings 0:100000:0
	fails "/linux/uidMappings/0" run --bundle "$BUNDLE" "$ID"
	maps uidMappings 0:100000:1000
	config_set '.linux.namespaces |= map(select(.type != "user"))'
	fails "config.json: /linux/uidMappings: needs a user namespace in /linux/namespaces" run --bundle "$BUNDLE" "$ID"
}

@test "userns: with the host's network sysfs is the host's, read-only" {
	new_userns
	config_set '.linux.namespaces |= map(select(.type != "network"))'
	run_sh 'cat /proc/self/mountinfo; touch /sys/x; mount -o remount,rw,bind /sys; true'
	assert_eq "$(mount_fs /sys)" sysfs
	assert_match "$(mount_flags /sys)" "ro,nosuid,nodev,noexec*"
	assert_match "$stderr" "*Read-only file system*"
}

@test "userns: cgroups, mqueue, devpts and tmpfs are there" {
	new_userns
	run_sh 'cat /proc/self/mountinfo; cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max; stat -c "%u %g" /dev/pts/ptmx'
	assert_eq "$(mount_fs /dev/mqueue) $(mount_fs /dev/pts) $(mount_fs /dev/shm) $(mount_fs /proc)" "mqueue devpts tmpfs proc"
	assert_match "$output" "*
64
0 0"
}

@test "userns: a source that only the host's root can reach" {
	mkdir -p "$T/private/deep/open"
	echo reached >"$T/private/deep/open/f"
	chmod 700 "$T/private" "$T/private/deep"
	new_userns
	add_mount /m none "$T/private/deep/open" bind
	add_mount /file none "$T/private/deep/open/f" bind ro
	run_sh 'cat /m/f /file; stat -c "%u %g" /file'
	assert_eq "$output" "reached
reached
65534 65534"
}

@test "userns: flags of a source can be taken off: the host side clones it" {
	new_userns
	in_mount_ns 'mount -t tmpfs -o nodev,nosuid none "$T/root"'
	VZRUN=$VZRUN_REAL
	mkdir "$T/src"
	in_mount_ns 'mount -t tmpfs -o nosuid,ro none "$T/src"'
	add_mount /a none "$T/src" bind
	add_mount /b none "$T/src" bind suid
	run_sh 'cat /proc/self/mountinfo'
	assert_match "$(mount_flags /a)" "ro,nosuid*"
	[[ $(mount_flags /b) != *nosuid* ]]
}

@test "userns: network of its own: it is root there; sysctls of its namespaces" {
	new_userns
	config_set '.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"} | .process.capabilities[] += ["CAP_NET_ADMIN"]'
	run_sh 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; ip link set lo down && echo down; stat -c %u /proc/sys/net/ipv4/ip_forward'
	assert_eq "$output" "1
4096
down
0"
}

@test "userns: without a mount namespace" {
	new_userns
	config_set '.mounts = [] | del(.hostname) | .linux.maskedPaths = [] | .linux.readonlyPaths = [] | .linux.namespaces = [{type: "user"}]'
	run_sh 'id -u; ls -d /bin/busybox /usr/share 2>/dev/null; true'
	assert_eq "$output" "0
/bin/busybox"
	config_set '.linux.namespaces += [{type: "pid"}, {type: "network"}] | .linux.sysctl = {"net.ipv4.ip_forward": "1"}'
	run_sh 'echo $$'
	assert_eq "$output" 1
}

@test "userns: the whole range of the host onto itself" {
	config_set '.linux.namespaces += [{type: "user"}]'
	maps uidMappings 0:0:4294967295
	maps gidMappings 0:0:4294967295
	run_sh 'id -u; stat -c %u /bin/busybox; tr -s " " </proc/self/uid_map'
	assert_eq "$output" "0
0
 0 0 4294967295"
}

# ---- id-mapped mounts ----

owners() {
	mkdir -p "$T/src"
	touch "$T/src/"{a,b}
	chown 0:0 "$T/src/a"
	chown 5:7 "$T/src/b"
	chmod 777 "$T/src"
}
m() { # m OPTIONS-JSON EXTRA-JSON: the mount of the test
	config_set --arg s "$T/src" --argjson o "$1" --argjson x "$2" '.mounts += [{destination: "/m", type: "none", source: $s, options: $o} + $x]'
}

@test "idmap: a bind with mappings of its own" {
	owners
	m '["bind"]' '{"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}], "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]}'
	config_set '.process.user = {uid: 1005, gid: 2007}'
	run_sh 'stat -c "%n %u %g" /m/a /m/b; touch /m/new'
	assert_eq "$output" "/m/a 1000 2000
/m/b 1005 2007"
	assert_eq "$(stat -c '%u %g' "$T/src/new")" "5 7"
}

@test "idmap: the option without mappings takes the container's" {
	owners
	new_userns
	m '["bind", "idmap"]' '{}'
	run_sh 'stat -c "%n %u %g" /m/a /m/b; touch /m/new'
	assert_eq "$output" "/m/a 0 0
/m/b 5 7"
	assert_eq "$(stat -c '%u %g' "$T/src/new")" "0 0"
}

@test "idmap: in a user namespace that is joined" {
	owners
	new_userns
	start_sleep
	config_set --arg p "/proc/$(pid_of "$ID")/ns/user" '.linux.namespaces |= map(if .type == "user" then .path = $p else . end)
		| del(.linux.uidMappings, .linux.gidMappings) | .process.args = ["stat", "-c", "%n %u %g", "/m/a", "/m/b"]'
	m '["bind", "idmap"]' '{}'
	ok run --bundle "$BUNDLE" "$ID-2"
	assert_eq "$output" "/m/a 0 0
/m/b 5 7"
}

needs_tmpfs_idmap() {
	local major minor _

	IFS=.- read -r major minor _ < <(uname -r)
	((major > 6 || (major == 6 && minor >= 3))) || skip "before Linux 6.3 no tmpfs is id-mapped"
}

@test "idmap: ridmap maps what is mounted below, idmap only the top" {
	needs_tmpfs_idmap
	in_mount_ns 'mount -t tmpfs none "$T/src"; mkdir "$T/src/sub"; mount -t tmpfs none "$T/src/sub"; touch "$T/src/f" "$T/src/sub/f"'
	mkdir "$T/src"
	local x='{"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}]}'
	m '["rbind", "ridmap"]' "$x"
	m '["rbind", "idmap"]' "$x"
	config_set '.mounts[-1].destination = "/n"'
	run_sh 'stat -c "%n %u" /m/f /m/sub/f /n/f /n/sub/f'
	assert_eq "$output" "/m/f 1000
/m/sub/f 1000
/n/f 1000
/n/sub/f 0"
}

@test "idmap: of a filesystem that is new" {
	needs_tmpfs_idmap
	config_set '.mounts += [{destination: "/m", type: "tmpfs", source: "tmpfs", options: ["mode=1777"],
		uidMappings: [{containerID: 0, hostID: 1000, size: 10}], gidMappings: [{containerID: 0, hostID: 1000, size: 10}]}]'
	run_sh 'stat -c "%u %g" /m'
	assert_eq "$output" "1000 1000"
}

@test "idmap: errors have the place" {
	owners
	m '["bind", "idmap"]' '{}'
	fails "config.json: /mounts/7/options: idmap needs mappings or a user namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] += {uidMappings: [{containerID: 0, hostID: 0, size: 1}]}'
	fails "config.json: /mounts/7: uidMappings and gidMappings go together" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7] += {gidMappings: [{containerID: 0, hostID: 0, size: 1}], source: "/sys/kernel"}'
	fails "/mounts/7: /m: /sys/kernel: the filesystem does not support id-mapped mounts" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].options = ["remount", "bind"]'
	fails "config.json: /mounts/7: a mount gets its id mapping before it is attached" run --bundle "$BUNDLE" "$ID"
	config_set '.mounts[7].options = ["bind"] | .mounts[7].uidMappings[0].size = 0'
	fails "/mounts/7/uidMappings/0" run --bundle "$BUNDLE" "$ID"
}

@test "userns: what is mounted below a volume cannot be lifted by root of a user namespace" {
	local vol=$T/vol

	mkdir -p "$vol/hidden"
	echo secret >"$vol/hidden/below"
	chmod -R go+rX "$T" 2>/dev/null
	new_userns
	add_mount /vol bind "$vol" rbind
	config_set '.process.capabilities |= (.bounding += ["CAP_SYS_ADMIN"] | .effective += ["CAP_SYS_ADMIN"] | .permitted += ["CAP_SYS_ADMIN"])'
	config_set '.process.args = ["sh", "-c", "umount /vol/hidden && echo lifted; cat /vol/hidden/below 2>&1; ls /vol/hidden"]'
	in_mount_ns "mount -t tmpfs none $vol/hidden; touch $vol/hidden/above"
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_match "$output" '*above*'
	[[ $output != *lifted* ]]
	[[ $output != *secret* ]]
}
