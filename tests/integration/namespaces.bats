#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Namespaces: new, shared with the host, joined by path; hostname, sysctl, time, loopback.

load ../lib/helpers

ALL='pid network ipc uts mount cgroup time'
file_of() { case $1 in network) echo net ;; mount) echo mnt ;; *) echo "$1" ;; esac; }
ns() { readlink "/proc/$1/ns/$(file_of "$2")"; }

only() {
	local kinds=$*

	config_set --arg k "$kinds" '.linux.namespaces = [$k | split(" ")[] | {type: .}]'
}
bare() { # what a document without a mount and uts namespace may have
	config_set '.mounts = [] | .linux.maskedPaths = [] | .linux.readonlyPaths = [] | del(.hostname)'
}

@test "namespaces: all eight are new" {
	local n

	new_userns
	config_set '.linux.namespaces += [{type: "time"}]'
	start_sleep
	for n in $ALL user; do
		[[ $(ns "$(pid_of "$ID")" "$n") != "$(ns self "$n")" ]] || { echo "$n is the host's"; return 1; }
	done
	ok exec "$ID" sh -c 'cd /proc/self/ns; for n in *; do echo $n $(readlink $n); done'
	for n in $ALL user; do
		grep -qxF "$(file_of "$n") $(ns "$(pid_of "$ID")" "$n")" <<<"$output"
	done
}

@test "namespaces: those that are not listed are the host's" {
	local n

	bare
	only mount
	start_sleep
	for n in $ALL user; do
		[[ $n == mount ]] || assert_eq "$n $(ns "$(pid_of "$ID")" "$n")" "$n $(ns self "$n")"
	done
	[[ $(ns "$(pid_of "$ID")" mount) != "$(ns self mount)" ]]
}

@test "namespaces: none at all, and no linux section" {
	bare
	only ""
	config_set '.linux.namespaces = []'
	run_sh 'readlink /proc/self/ns/pid; ls -d /bin/busybox /usr/share 2>/dev/null; true'
	assert_eq "$output" /bin/busybox
	config_set 'del(.linux)'
	ok run --bundle "$BUNDLE" "$ID"
}

@test "namespaces: joined by path: net, ipc, uts, pid, user, cgroup, time of another container" {
	local pid n other=$T/other

	config_set '.linux.namespaces += [{type: "time"}] | .hostname = "pod"'
	new_userns
	start_sleep "$ID"
	pid=$(pid_of "$ID")
	new_bundle "$other"
	BUNDLE=$other CONFIG=$other/config.json
	new_userns
	for n in network ipc uts pid user cgroup time; do
		config_set --arg n "$n" --arg p "/proc/$pid/ns/$(file_of "$n")" '.linux.namespaces |= (map(select(.type != $n)) + [{type: $n, path: $p}])'
	done
	config_set 'del(.hostname)'
	start_sleep "$ID-2" "$other"
	for n in network ipc uts pid user cgroup time; do
		assert_eq "$n $(ns "$(pid_of "$ID-2")" "$n")" "$n $(ns "$pid" "$n")"
	done
	[[ $(ns "$(pid_of "$ID-2")" mount) != "$(ns "$pid" mount)" ]]
	ok exec "$ID-2" sh -c 'hostname; echo $$; readlink /proc/self/ns/user'
	assert_match "${output%$'\n'*}" "pod
[2-9]*"
	assert_eq "${output##*$'\n'}" "$(ns "$pid" user)"
	ok exec "$ID" sh -c 'ps | grep -c "sleep 1000"'
	[[ $output -ge 2 ]]
	ok delete --force "$ID-2"
	state_is "$ID" running
}

@test "namespaces: each joined alone" {
	local pid n other=$T/other

	config_set '.linux.namespaces += [{type: "time"}]'
	start_sleep "$ID"
	pid=$(pid_of "$ID")
	new_bundle "$other"
	BUNDLE=$other CONFIG=$other/config.json
	config_set 'del(.hostname)'
	cp "$CONFIG" "$T/plain.json"
	for n in network ipc uts pid cgroup time; do
		jq --arg n "$n" --arg p "/proc/$pid/ns/$(file_of "$n")" --arg f "/proc/self/ns/$(file_of "$n")" \
			'.linux.namespaces |= (map(select(.type != $n)) + [{type: $n, path: $p}]) | .process.args = ["readlink", $f]' \
			<"$T/plain.json" >"$CONFIG"
		ok run --bundle "$other" "$ID-2"
		assert_eq "$n $output" "$n $(ns "$pid" "$n")"
	done
}

@test "namespaces: a joined mount namespace" {
	local pid

	start_sleep "$ID"
	pid=$(pid_of "$ID")
	new_bundle "$T/other"
	BUNDLE=$T/other CONFIG=$T/other/config.json
	bare
	config_set --arg p "/proc/$pid/ns/mnt" '.linux.namespaces = [{type: "mount", path: $p}] | .root.path = "/usr"'
	mkdir -p "$T/bundle/rootfs/usr/bin"
	cp "$T/bundle/rootfs/bin/busybox" "$T/bundle/rootfs/usr/bin/busybox"
	config_set '.process.args = ["/bin/busybox", "ls", "/bin"]'
	run_vzrun run --bundle "$BUNDLE" "$ID-2"
	assert_eq "$status $output" "0 busybox"
}

@test "namespaces: wrong paths are errors with their place" {
	local old=$CONFIG

	config_set '.linux.namespaces[0] = {type: "pid", path: "/proc/self/ns/net"}'
	fails "/linux/namespaces/0/path: /proc/self/ns/net is a net namespace, not a pid namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[0].path = "/etc/passwd"'
	fails "/linux/namespaces/0/path: /etc/passwd is not a namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[0].path = "/dev/zero"'
	fails "/linux/namespaces/0/path: /dev/zero is not a namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[0].path = "/nonexistent"'
	fails "/linux/namespaces/0/path: open pid namespace /nonexistent: no such file or directory" run --bundle "$BUNDLE" "$ID"
	mkfifo "$T/fifo"
	config_set --arg p "$T/fifo" '.linux.namespaces[0].path = $p'
	fails "/linux/namespaces/0/path: $T/fifo is not a namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[0].path = "proc/self/ns/pid"'
	fails "config.json: /linux/namespaces/0/path: path 'proc/self/ns/pid' is not absolute" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[0] = {type: "ipc"}'
	fails "config.json: /linux/namespaces/2: duplicate namespace 'ipc'" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[0] = {type: "ipcs"}'
	fails "config.json: /linux/namespaces/0/type: unknown value 'ipcs'" run --bundle "$BUNDLE" "$ID"
	[[ -z $(ls "$ROOT") ]]
}

@test "namespaces: a path to our own is the host's namespace" {
	config_set '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)'
	run_sh 'readlink /proc/self/ns/net'
	assert_eq "$output" "$(readlink /proc/self/ns/net)"
	config_set '.linux.sysctl = {"net.ipv4.ip_forward": "1"}'
	fails "/linux/sysctl/net.ipv4.ip_forward: needs its own network namespace" run --bundle "$BUNDLE" "$ID"
}

@test "namespaces: in a pid namespace the payload is 1, and what it leaves dies with it" {
	run_sh 'echo $$; sleep 1000 & sleep 1000 & echo $(ls -d /proc/[0-9]* | wc -l)'
	assert_match "$output" "1
[4-6]"
}

@test "hostname and domainname" {
	config_set '.hostname = "h.example" | .domainname = "d.example"'
	run_sh 'hostname; cat /proc/sys/kernel/domainname'
	assert_eq "$output" "h.example
d.example"
	[[ $(hostname) != h.example && $(</proc/sys/kernel/domainname) != d.example ]]
	config_set '.hostname = ([range(65) | "x"] | add)'
	fails "config.json: /hostname: longer than 64 bytes" run --bundle "$BUNDLE" "$ID"
	config_set '.hostname = "a" | .linux.namespaces |= map(select(.type != "uts"))'
	fails "config.json: /hostname: needs a uts namespace" run --bundle "$BUNDLE" "$ID"
	config_set 'del(.hostname)'
	fails "config.json: /domainname: needs a uts namespace" run --bundle "$BUNDLE" "$ID"
}

@test "loopback is up" {
	run_sh 'ip addr show lo; '"$INTERFACES"'; ping -c 1 -W 2 127.0.0.1 >/dev/null && echo answers; true'
	assert_match "$output" "*<LOOPBACK,UP,LOWER_UP>*127.0.0.1/8*
lo
*"
}

@test "sysctl: of the container's namespaces" {
	config_set 'del(.hostname) | .linux.sysctl = {"kernel.msgmax": "4096", "kernel/shmmni": "99", "fs.mqueue.msg_max": "7", "net.ipv4.ip_forward": "1",
		"net.ipv4.ip_unprivileged_port_start": "0", "net/ipv4/conf/lo/rp_filter": "2", "kernel.domainname": "dom", "net.ipv4.ping_group_range": "0 7"}'
	run_sh 'cd /proc/sys; cat kernel/msgmax kernel/shmmni fs/mqueue/msg_max net/ipv4/ip_forward net/ipv4/ip_unprivileged_port_start net/ipv4/conf/lo/rp_filter kernel/domainname net/ipv4/ping_group_range'
	assert_eq "$output" "4096
99
7
1
0
2
dom
0	7"
}

@test "sysctl: others are refused with their place" {
	local k

	for k in kernel.core_pattern vm.overcommit_memory kernel.panic fs.file-max net net.; do
		config_set --arg k "$k" '.linux.sysctl = {($k): "1"}'
		fails "config.json: /linux/sysctl" run --bundle "$BUNDLE" "$ID"
		assert_match "$stderr" "*$k*"
	done
	config_set '.linux.sysctl = {"kernel.hostname": "x"}'
	fails "conflicts with /hostname" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.sysctl = {"net.ipv4.nosuch": "1"}'
	fails "sysctl: sysctl net.ipv4.nosuch: " run --bundle "$BUNDLE" "$ID"
	config_set '.linux.sysctl = {"net.ipv4.ip_forward": "abc"}'
	fails "sysctl: sysctl net.ipv4.ip_forward: write 'abc': invalid argument" run --bundle "$BUNDLE" "$ID"
	for k in network:net.ipv4.ip_forward ipc:kernel.msgmax uts:kernel.domainname; do
		config_set --arg n "${k%:*}" --arg k "${k#*:}" '.linux.sysctl = {($k): "1"}'
		cp "$CONFIG" "$T/saved"
		config_set --arg n "${k%:*}" 'del(.hostname) | .linux.namespaces |= map(select(.type != $n))'
		fails "/linux/sysctl" run --bundle "$BUNDLE" "$ID"
		assert_match "$stderr" "*${k#*:}*${k%:*}*"
		cp "$T/saved" "$CONFIG"
	done
}

@test "time: offsets of both clocks" {
	local up

	config_set '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000000, nanosecs: 5}, monotonic: {secs: 2000000, nanosecs: 500000000}}'
	run_sh 'cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets'
	up=$(cut -d. -f1 /proc/uptime)
	assert_match "$output" "*monotonic *2000000 *500000000
boottime *1000000 *5"
	((${output%%$'\n'*} - up >= 999995 && ${output%%$'\n'*} - up <= 1000005))
}

@test "time: negative offsets, only one clock, none" {
	config_set '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {monotonic: {secs: -1, nanosecs: 0}}'
	run_sh 'cat /proc/self/timens_offsets; readlink /proc/self/ns/time'
	assert_match "$output" "monotonic *-1 *0
boottime *0 *0*"
	config_set 'del(.linux.timeOffsets)'
	run_sh 'readlink /proc/self/ns/time'
	[[ $output != "$(readlink /proc/self/ns/time)" ]]
}

@test "time: with a user namespace, and exec sees the same" {
	new_userns
	config_set '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 777777}}'
	start_sleep
	ok exec "$ID" sh -c 'cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time'
	assert_match "$output" "*boottime *777777 *0*"
	assert_eq "${output##*$'\n'}" "$(ns "$(pid_of "$ID")" time)"
}

@test "time: errors" {
	config_set '.linux.timeOffsets = {boottime: {secs: 1}}'
	fails "config.json: /linux/timeOffsets: needs a time namespace" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces += [{type: "time", path: "/proc/self/ns/time"}]'
	fails "config.json: /linux/timeOffsets: cannot be set in a time namespace that is joined" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.namespaces[-1] = {type: "time"} | .linux.timeOffsets.boottime.secs = -100000000000'
	fails "time-offsets: *timens_offsets*" run --bundle "$BUNDLE" "$ID" || fails "time namespace: *" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.timeOffsets = {monotonic: {nanosecs: 1000000000}}'
	fails "config.json: /linux/timeOffsets/monotonic/nanosecs" run --bundle "$BUNDLE" "$ID"
}

@test "keyring: a session of its own by name, exec joins it, --no-new-keyring has none" {
	needs_command keyctl
	config_set '.process.args = ["sleep", "100"] | .linux.maskedPaths = []'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	ok exec "$ID" cat /proc/keys
	assert_match "$output" "*keyring *_ses.$ID*"
	local serial=${output%% *}
	ok exec "$ID" cat /proc/keys
	[[ $output == *"_ses.$ID"* ]]
	assert_eq "$(grep -c "_ses.$ID" /proc/keys || true)" 1
	ok delete --force "$ID"
	ok create --no-new-keyring --bundle "$BUNDLE" "$ID-2"
	ok start "$ID-2"
	ok exec "$ID-2" cat /proc/keys
	[[ $output != *"_ses.$ID-2"* ]]
}
