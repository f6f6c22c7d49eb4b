#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mount of type cgroup in the document.

load ../lib/helpers

no_cgroupns() { config_set '.linux.namespaces |= map(select(.type != "cgroup"))'; }
writable() { config_set '(.mounts[] | select(.type == "cgroup")).options |= map(select(. != "ro"))'; }

# Each hierarchy of the host, as in /proc/self/cgroup.
hierarchies() {
	local c

	while IFS=: read -r _ c _; do
		case $c in
		name=*) echo "${c#name=}" ;;
		"") [[ $(cg_mode) == v1 ]] || echo unified ;;
		*) echo "$c" ;;
		esac
	done </proc/self/cgroup
}

@test "cgroup mount: v1 and hybrid: a directory for each hierarchy, read-only" {
	needs_v1
	run_sh 'cat /proc/self/mountinfo; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes; cat /sys/fs/cgroup/pids/cgroup.procs | head -1
		touch /sys/fs/cgroup/x; mkdir /sys/fs/cgroup/pids/x; echo 7 >/sys/fs/cgroup/pids/pids.max; true'
	local h

	for h in $(hierarchies); do
		mount_line "/sys/fs/cgroup/$h"
		assert_match "$(mount_flags "/sys/fs/cgroup/$h")" "ro,nosuid,nodev,noexec*"
	done
	assert_eq "$(mount_fs /sys/fs/cgroup)" tmpfs
	assert_match "$(mount_flags /sys/fs/cgroup)" "ro,nosuid,nodev,noexec*"
	assert_match "$output" "*
64
67108864
1"
	assert_eq "$(grep -c 'Read-only file system' <<<"$stderr")" 3
}

@test "cgroup mount: in a cgroup namespace the root is the container's own" {
	needs_v1
	run_sh 'cat /proc/self/cgroup; cat /proc/self/mountinfo'
	assert_eq "$(grep -E '^[0-9]+:' <<<"$output" | grep -cv ':/$' || true)" 0
	assert_match "$(mount_line /sys/fs/cgroup/pids)" "* / /sys/fs/cgroup/pids *"
}

@test "cgroup mount: without a cgroup namespace only the container's own directories are seen" {
	needs_v1
	no_cgroupns
	run_sh 'cat /proc/self/mountinfo; cat /sys/fs/cgroup/pids/pids.max; ls /sys/fs/cgroup'
	assert_match "$(mount_line /sys/fs/cgroup/pids)" "*$ID?(.scope) /sys/fs/cgroup/pids ro,*"
	assert_match "$output" "*
64
*"
	local h
	for h in $(hierarchies); do
		assert_match $'\n'"$output"$'\n' "*"$'\n'"$h"$'\n'"*"
	done
}

@test "cgroup mount: writable; what the container makes there goes with it" {
	needs_v1
	writable
	run_sh 'mkdir -p /sys/fs/cgroup/pids/sub/deep /sys/fs/cgroup/memory/sub && echo $$ >/sys/fs/cgroup/pids/sub/deep/cgroup.procs && cat /proc/self/cgroup; cat /proc/self/mountinfo'
	assert_match "$output" "*pids:/sub/deep*"
	assert_match "$(mount_flags /sys/fs/cgroup/pids)" "rw,*"
	[[ -z $(find /sys/fs/cgroup -type d -name "*$ID*") ]]
}

@test "cgroup mount: in a user namespace" {
	needs_v1
	new_userns
	run_sh 'cat /sys/fs/cgroup/pids/pids.max; cat /proc/self/mountinfo; echo 7 >/sys/fs/cgroup/pids/pids.max; true'
	assert_match "$output" "64
*"
	assert_match "$(mount_flags /sys/fs/cgroup/pids)" "ro,*"
}

@test "cgroup mount: links to hierarchies that are mounted together" {
	needs_v1
	local c

	c=$(cut -d: -f2 /proc/self/cgroup | grep , | grep -v = | head -1)
	[[ -n $c ]] || skip "no co-mounted hierarchies here"
	run_sh "readlink /sys/fs/cgroup/${c%%,*}"
	assert_eq "$output" "$c"
}

@test "cgroup mount: other flags hold, and mounts in it are possible" {
	needs_v1
	config_set '(.mounts[] | select(.type == "cgroup")).options = ["rw", "relatime"]'
	add_mount /sys/fs/cgroup/extra tmpfs tmpfs
	run_sh 'cat /proc/self/mountinfo'
	[[ $(mount_flags /sys/fs/cgroup/pids) != *noexec* ]]
	assert_eq "$(mount_fs /sys/fs/cgroup/extra)" tmpfs
}

@test "cgroup mount: type cgroup2 is the unified hierarchy alone" {
	[[ $(cg_mode) != v1 ]] || skip "needs cgroup v2"
	config_set '(.mounts[] | select(.type == "cgroup")) |= (.type = "cgroup2" | .source = "cgroup2")'
	run_sh 'cat /proc/self/mountinfo; ls /sys/fs/cgroup/cgroup.procs'
	assert_eq "$(mount_fs /sys/fs/cgroup)" cgroup2
	assert_match "$(mount_line /sys/fs/cgroup)" "* / /sys/fs/cgroup ro,*"
}

@test "cgroup mount: cgroup v2: the hierarchy itself" {
	needs_v2
	run_sh 'cat /proc/self/mountinfo; cat /sys/fs/cgroup/pids.max'
	assert_eq "$(mount_fs /sys/fs/cgroup)" cgroup2
	assert_match "$output" "*
64"
}
