#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Sentences of runtime.md and config.md about the whole life of a container that no test of a single command is about.

load ../lib/helpers

@test "lifecycle: who creates a container can use every operation on it" {
	config_set '.process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok state "$ID"
	ok start "$ID"
	ok state "$ID"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
	fails 'does not exist' state "$ID"
}

@test "lifecycle: status goes created, running, stopped, and the pid is the process's" {
	config_set '.process.args = ["sleep", "1000"] | .annotations = {"com.example.key": "value"}'
	ok create --bundle "$BUNDLE" "$ID"
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .id, .bundle, .annotations]' "$T/stdout")" "[\"created\",\"$ID\",\"$(realpath "$BUNDLE")\",{\"com.example.key\":\"value\"}]"
	created=$(jq .pid "$T/stdout")
	ok start "$ID"
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .pid]' "$T/stdout")" "[\"running\",$created]"
	assert_eq "$(tr '\0' ' ' <"/proc/$created/cmdline")" "sleep 1000 "
	kill -KILL "$created"
	wait_state "$ID" stopped
}

@test "lifecycle: a program that ends by itself leaves a stopped container, whose id is free after delete" {
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_state "$ID" stopped
	fails 'exists' create --bundle "$BUNDLE" "$ID"
	state_is "$ID" stopped
	ok delete "$ID"
	ok create --bundle "$BUNDLE" "$ID"
	state_is "$ID" created
}

@test "lifecycle: what create did not make is still there after delete" {
	local pid

	mkdir "$T/volume"
	echo kept >"$T/volume/file"
	unshare --net --ipc sleep 1000 >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	pid=$!
	wait_until sh -c "[ \$(readlink /proc/$pid/ns/net) != \$(readlink /proc/self/ns/net) ]"
	before=$(readlink /proc/$pid/ns/net /proc/$pid/ns/ipc)
	add_mount /volume none "$T/volume" bind
	config_set --arg p "/proc/$pid/ns" '.linux.namespaces |= map(if .type == "network" then .path = $p + "/net"
		elif .type == "ipc" then .path = $p + "/ipc" else . end) | .process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	ok delete --force "$ID"
	assert_eq "$(readlink /proc/$pid/ns/net /proc/$pid/ns/ipc)" "$before"
	kill -KILL $pid
	assert_eq "$(<"$T/volume/file")" kept
	[[ -x $BUNDLE/rootfs/bin/busybox && -f $CONFIG ]]
}

@test "lifecycle: a refused operation changes nothing" {
	start_sleep
	pid=$(pid_of "$ID")
	ok state "$ID"
	cp "$T/stdout" "$T/before-state"
	fails '' start "$ID"
	fails 'not stopped' delete "$ID"
	fails 'exists' create --bundle "$BUNDLE" "$ID"
	fails '' kill "$ID" NO_SUCH_SIGNAL
	fails '' kill "$ID-other" KILL
	ok state "$ID"
	cmp "$T/before-state" "$T/stdout"
	[[ -d /proc/$pid ]]
}

@test "lifecycle: two containers of one bundle do not know each other" {
	config_set '.process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok create --bundle "$BUNDLE" "$ID-2"
	ok start "$ID"
	state_is "$ID-2" created
	ok delete --force "$ID"
	state_is "$ID-2" created
	ok start "$ID-2"
	state_is "$ID-2" running
}

@test "lifecycle: ids of the mapping do not change the owner of the root's files" {
	config_set '.linux.namespaces += [{"type": "user"}] | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65536}]
		| .linux.gidMappings = .linux.uidMappings'
	chmod 711 "$BATS_RUN_TMPDIR"
	before=$(find "$BUNDLE/rootfs" -printf '%p %U %G %m\n' | sort)
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(find "$BUNDLE/rootfs" -printf '%p %U %G %m\n' | sort)" "$before"
}

@test "lifecycle: a cgroup path means the same place each time" {
	cgroupfs_paths
	config_set --arg p "/vz-$ID" '.linux.cgroupsPath = $p | .process.args = ["sleep", "1000"]'
	for i in 1 2; do
		ok create --bundle "$BUNDLE" "$ID"
		pid=$(pid_of "$ID")
		grep -E ':(pids|memory|cpu|):?' "/proc/$pid/cgroup" | grep -E ':(pids|memory):' >"$T/place-$i" ||
			grep '^0::' "/proc/$pid/cgroup" >"$T/place-$i"
		ok delete --force "$ID"
	done
	cmp "$T/place-1" "$T/place-2"
	grep -q ":/vz-$ID\$" "$T/place-1"
}

@test "lifecycle: without the field the runtime has a place of its own for each container" {
	config_set 'del(.linux.cgroupsPath) | .process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok create --bundle "$BUNDLE" "$ID-2"
	a=$(cg_dir "$(pid_of "$ID")" pids)
	b=$(cg_dir "$(pid_of "$ID-2")" pids)
	[[ -n $a && -n $b && $a != "$b" ]]
}

@test "lifecycle: unknown properties are ignored everywhere" {
	config_set '.x = 1 | .process.x = {} | .root.x = [] | .linux.x = null | .linux.resources.x = "y" | .mounts[0].x = true
		| .linux.namespaces[0].x = 1 | .hooks = {"x": [1]} | .annotations = {"org.opencontainers.unknown": "z", "empty": ""}'
	ok run --bundle "$BUNDLE" "$ID"
}

@test "lifecycle: what other platforms have is no obstacle to a Linux container" {
	config_set '.solaris = {"milestone": "x"} | .windows = {"layerFolders": ["x"]}'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	[[ $status == 0 || $stderr == *"/windows"* || $stderr == *"/solaris"* ]]
}

@test "lifecycle: the environment of a failed create is as before: no cgroup, no mount, no state" {
	config_set '.mounts += [{"destination": "/x", "type": "no-such-filesystem", "source": "none"}]'
	fails '/mounts/7' create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	fails 'does not exist' state "$ID"
}

@test "lifecycle: a warning does not change the operation" {
	config_set '.process.capabilities.bounding += ["CAP_NO_SUCH"] | .process.args = ["sh", "-c", "echo went on"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" "went on"
	assert_match "$stderr" "*CAP_NO_SUCH*"
}

@test "lifecycle: a bundle without config.json, or without its root, is an error" {
	mv "$BUNDLE/rootfs" "$BUNDLE/elsewhere"
	fails 'rootfs' create --bundle "$BUNDLE" "$ID"
	rm "$CONFIG"
	fails 'config.json' create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "lifecycle: the listener's message has all its fields" {
	needs_command python3
	cat >"$T/agent.py" <<-'P'
		import json, socket, sys, os
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.bind(sys.argv[1]); s.listen(1)
		open(sys.argv[2], "w").close()
		c, _ = s.accept()
		data, fds, flags, addr = socket.recv_fds(c, 65536, 4)
		first = len(fds)
		while True:
		    more, later, flags, addr = socket.recv_fds(c, 65536, 4)
		    if not more: break
		    data += more; assert not later
		d = json.loads(data)
		print(first, d["fds"], d["metadata"], d["state"]["id"], d["state"]["status"], d["pid"] == d["state"]["pid"], d["ociVersion"][:2])
	P
	timeout 20 python3 "$T/agent.py" "$T/s" "$T/ready" >"$T/agent.out" 2>&1 </dev/null 3>&- 4>&- &
	agent=$!
	wait_until test -e "$T/ready"
	config_set --arg s "$T/s" '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": $s, "listenerMetadata": "opaque",
		"syscalls": [{"names": ["acct"], "action": "SCMP_ACT_NOTIFY"}]}'
	ok run --bundle "$BUNDLE" "$ID"
	wait $agent
	assert_eq "$(<"$T/agent.out")" "1 ['seccompFd'] opaque $ID creating True 1."
}
