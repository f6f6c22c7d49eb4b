#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman writes containers of vzrun into images and lets them go on.

load podman
load checkpoint

setup_file() { podman_setup_file; }
teardown_file() { podman_teardown_file; }

setup() {
	needs_root
	needs_criu
	podman_setup
}

teardown() {
	local p

	for p in ${helpers:-}; do
		kill -KILL "$p" 2>/dev/null || :
	done
	podman_teardown
}

# counts NAME ARGS...: a container that counts; $pid, its process, and $n, how far it has come.
counts() {
	starts "$@" $IMAGE sh -c "$COUNTING"
	pid=$(pid_in "$1")
	wait_until counts_to "$pid" 5
	n=$(counted "$pid")
}

# went_on NAME: it counts on from $n in another process; $pid and $n are the new ones.
went_on() {
	pid=$(pid_in "$1")
	goes_on "$pid" "$n"
	n=$(counted "$pid")
}

checkpoint() { gives 0 container checkpoint "$@"; }
restore() { gives 0 container restore "$@"; }
status_of() { raw inspect "$1" --format '{{.State.Status}}'; }

@test "podman: checkpoint and restore: the container goes on, with its limits, its log and its exit status; again" {
	starts c1 --memory 64m --pids-limit 50 $IMAGE sh -c "trap 'exit 7' TERM; $COUNTING"
	pid=$(pid_in c1)
	wait_until counts_to "$pid" 5
	n=$(counted "$pid")
	checkpoint c1
	assert_eq "$(status_of c1)" exited
	[[ ! -e /proc/$pid ]]
	restore c1
	went_on c1
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cg_of "$pid" memory.max pids.max)" "67108864 50 "
	fi
	gives 0 exec c1 sh -c 'ps -o args | grep -c "[s]leep 0.1"'
	checkpoint --keep --print-stats c1
	assert_match "$output" '*"frozen_time": [1-9]*'
	restore --keep --print-stats c1
	assert_match "$output" '*"pages_restored": [1-9]*'
	went_on c1
	# Without a gap.
	raw logs c1 >"$T/log"
	assert_eq "$(head -n "$n" "$T/log" | md5sum)" "$(seq "$n" | md5sum)"
	gives 0 stop -t 10 c1
	gives 0 wait c1
	assert_eq "$output" 7
}

@test "podman: checkpoint --leave-running --export: the container goes on; the archive is good for one of another name, with volumes" {
	mkdir "$T/vol" && echo bound >"$T/vol/file"
	counts c1 -v "$T/vol:/vol" -v named:/named --tmpfs /scratch
	gives 0 exec c1 sh -c 'echo named >/named/file; echo scratch >/scratch/file'
	checkpoint --leave-running --export "$T/c1.tar.gz" c1
	assert_eq "$(pid_in c1)" "$pid"
	goes_on "$pid" "$n"
	gives 0 rm -f -t 0 -v c1
	gives 0 volume rm -f named
	restore --import "$T/c1.tar.gz" --name c2
	went_on c2
	gives 0 exec c2 cat /vol/file /named/file /scratch/file
	assert_eq "$output" $'bound\nnamed\nscratch'
	gives 0 volume rm -f -t 0 named
	# Twice of the same: each has its own root.
	restore --import "$T/c1.tar.gz" --name c3 --ignore-rootfs --ignore-volumes
	gives 0 rm -f -t 0 c3
}

@test "podman: checkpoint --pre-checkpoint, then --with-previous: the two archives are one container" {
	needs_criu_feature mem_dirty_track
	starts c1 -v "$WORKER:/bin/worker:ro" $IMAGE sh -c "worker memory 16 0 /work & $COUNTING"
	pid=$(pid_in c1)
	wait_until counts_to "$pid" 5
	checkpoint --pre-checkpoint --export "$T/pre.tar" --compress none c1
	assert_eq "$stderr" ""
	goes_on "$pid" 5
	checkpoint --with-previous --export "$T/last.tar" --compress none c1
	n=$(tar -xOf "$T/last.tar" rootfs-diff.tar | tar -xO count)
	n=${n:-5} # it stood still between emptying the file and writing it
	(($(stat -c %s "$T/pre.tar") > 16 << 20 && $(stat -c %s "$T/last.tar") < 8 << 20))
	gives 0 rm c1
	restore --import-previous "$T/pre.tar" --import "$T/last.tar"
	went_on c1
	n=$(cat "/proc/$pid/root/work")
	working() { ((10#$(cat "/proc/$pid/root/work") > 10#$n)); }
	wait_until working
}

@test "podman: checkpoint of a container with a terminal, and of one with an init" {
	counts c1 -t
	one=$n
	counts c2 --init
	checkpoint c1 c2
	restore c1 c2
	went_on c2
	gives 0 exec c2 sh -c 'tr "\0" " " </proc/1/cmdline'
	assert_match "$output" "*init* -- sh -c *"
	n=$one
	went_on c1
	assert_match "$(readlink "/proc/$pid/fd/1")" "/dev/pts/*"
	said() { raw logs --tail 3 c1 | tr -d '\r' | grep -qx "[0-9]*" && (($(raw logs --tail 1 c1 | tr -d '\r') >= n)); }
	wait_until said
}

@test "podman: checkpoint --file-locks" {
	starts c1 -v "$WORKER:/bin/worker:ro" $IMAGE sh -c "worker lock /lock /locked & $COUNTING"
	pid=$(pid_in c1)
	wait_until counts_to "$pid" 5
	gives 125 container checkpoint c1
	assert_match "$stderr" "*file-locks*"
	goes_on "$pid" 5
	n=$(counted "$pid")
	checkpoint --file-locks c1
	restore --file-locks c1
	went_on c1
	! flock -n "/proc/$pid/root/lock" true || false
}

# A network namespace that somebody else made, with a way to this one.
@test "podman: checkpoint --tcp-established: a connection to a peer outside goes on" {
	local holder client

	outer_network
	RUN[1]=ns:/proc/$holder/ns/net
	starts c1 -v "$WORKER:/bin/worker:ro" $IMAGE sh -c "worker serve 7000 & $COUNTING"
	pid=$(pid_in c1)
	wait_until counts_to "$pid" 5
	"$WORKER" client 10.77.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
	client=$! helpers+=" $!"
	sleep 1
	gives 125 container checkpoint c1
	assert_match "$stderr" "*tcp-established*"
	n=$(counted "$pid")
	checkpoint --tcp-established c1
	restore --tcp-established c1
	went_on c1
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
	read -r sent pause < <(tail -n 1 "$T/client")
	((sent > 20 && pause >= 500))
}

@test "podman: checkpoint of a container in a pod; its archive goes into another pod" {
	needs_command catatonit
	gives 0 pod create --name p1 --network none --cgroup-parent "$PARENT" --share ipc,net,uts
	gives 0 pod create --name p2 --network none --cgroup-parent "$PARENT" --share ipc,net,uts
	RUN=(--pod p1 --env "VZRUN_TEST_ID=$VZRUN_TEST_ID")
	counts c1
	net=$(readlink "/proc/$pid/ns/net")
	checkpoint c1
	restore c1
	went_on c1
	assert_eq "$(readlink "/proc/$pid/ns/net")" "$net"
	checkpoint --export "$T/c1.tar" --compress none c1
	gives 0 rm c1
	gives 0 pod start p2
	restore --pod p2 --name c2 --import "$T/c1.tar"
	went_on c2
	[[ $(readlink "/proc/$pid/ns/net") != "$net" ]]
	gives 0 pod rm -f -t 0 p1 p2
	! has_containers || false
}

@test "podman: checkpoint --create-image: the container goes on from an image" {
	counts c1
	checkpoint --create-image localhost/vzrun-test:checkpoint c1
	gives 0 rm c1
	restore localhost/vzrun-test:checkpoint
	went_on c1
	gives 0 rm -f -t 0 c1
	gives 0 rmi localhost/vzrun-test:checkpoint
}

# CRIU writes down the group range of pings as the host numbers groups, and cannot restore any but the kernel's own, which is empty;
# podman sets another by default.
@test "podman: checkpoint of a container with a user namespace" {
	RUN+=(--uidmap 0:100000:65536 --gidmap 0:100000:65536 --sysctl "net.ipv4.ping_group_range=1 0")
	counts c1
	map=$(cat "/proc/$pid/uid_map")
	checkpoint c1
	restore c1
	went_on c1
	assert_eq "$(cat "/proc/$pid/uid_map")" "$map"
	gives 0 exec c1 stat -c %u:%g /etc/hosts
	assert_eq "$output" 0:0
}
