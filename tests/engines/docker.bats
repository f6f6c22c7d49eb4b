#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# docker calls vzrun through containerd's shim: daemons of the test's own in a mount and a network namespace of their own; an image
# made here, no registry.  A call costs two seconds in an emulated guest and a start six, so tests look at much in one container.
# VZ_MANAGER=cgroupfs|systemd: who makes the cgroups.

load ../lib/helpers
load client

IMAGE=vzrun-test
MANAGER=${VZ_MANAGER:-cgroupfs}

setup_file() {
	local dir=$BATS_FILE_TMPDIR

	command -v dockerd >/dev/null && command -v docker >/dev/null || return 0
	export DOCKER_HOST=unix://$dir/sock DOCKER_CONFIG=$dir/client
	mkdir "$dir/client"
	[[ -e /run/docker ]] || touch "$dir/no-run-docker"
	# For --userns-remap: the way to the root filesystems is open to the ids that are mapped, and one user has such ids.
	chmod a+x "$dir" "${dir%/*}" "$BATS_RUN_TMPDIR"
	echo daemon:100000:65536 >"$dir/subids"
	new_namespaces
	# The example of contrib, with the program under test.
	jq --arg p "$VZRUN" '.runtimes.vzrun.path = $p' "$TOP/contrib/engines/docker.json" >"$dir/daemon.json"
	# dockerd gives a containerd that it starts itself 15 seconds: not enough in a busy guest.
	cat >"$dir/containerd.toml" <<-C
		version = 2
		root = "$dir/containerd"
		state = "$dir/containerd-state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		address = "$dir/c.sock"
		[ttrpc]
		address = "$dir/t.sock"
	C
	inside containerd --config "$dir/containerd.toml" -l warn
	echo $! >"$dir/containerd.pid"
	daemon || return
	sh "$TOP/contrib/bundle.sh" "$dir/bundle" true
	tar -C "$dir/bundle/rootfs" -cf "$dir/image.tar" .
	raw import "$dir/image.tar" $IMAGE >"$dir/import" 2>&1 || { cat "$dir/import" "$dir/log"; return 1; }
}

# Held by a process: a daemon that is started again comes back to its mounts and its network.
# The remapped user's ids are bound over the host's.
new_namespaces() {
	# shellcheck disable=SC2016
	unshare -mn --propagation slave sh -c 'mount --make-rshared / && ip link set lo up || exit
		for f in /etc/subuid /etc/subgid; do mount --bind "$0/subids" $f; done
		touch "$0/ready" && exec sleep 3600' "$BATS_FILE_TMPDIR" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	echo $! >"$BATS_FILE_TMPDIR/holder"
	wait_until test -e "$BATS_FILE_TMPDIR/ready"
}

# inside COMMAND...: in the background there; $!
inside() {
	env -u VZRUN_TEST_ID nsenter -t "$(cat "$BATS_FILE_TMPDIR/holder")" -m -n "$@" \
		>>"$BATS_FILE_TMPDIR/log" 2>&1 </dev/null 3>&- 4>&- &
}

# daemon ARGS...: dockerd, which answers when this returns.
daemon() {
	local dir=$BATS_FILE_TMPDIR i pid

	inside dockerd -l warn --config-file "$dir/daemon.json" --containerd "$dir/c.sock" --data-root "$dir/data" --exec-root "$dir/exec" \
		--pidfile "$dir/dockerd.pid" -H "unix://$dir/sock" --bridge none --iptables=false --ip-forward=false --live-restore \
		--default-runtime vzrun --exec-opt "native.cgroupdriver=$MANAGER" "$@"
	pid=$!
	echo $pid >"$dir/pid"
	for ((i = 0; i < 600; i++)); do
		[[ -e /proc/$pid/exe ]] || break
		[[ -S $dir/sock ]] && timeout 20 docker version >/dev/null 2>&1 </dev/null && return 0
		sleep 0.2
	done
	echo "dockerd does not answer:"
	tail -n 20 "$dir/log"
	return 1
}

# gone FILE: ends the process whose id is in FILE, if it is there.
gone() {
	local pid i

	[[ -s $1 ]] || return 0
	pid=$(cat "$1")
	rm -f "$1"
	kill "$pid" 2>/dev/null || : # one that a test started ends with it
	for ((i = 0; i < 400; i++)); do
		[[ -e /proc/$pid/exe ]] || return 0
		sleep 0.1
	done
	kill -KILL "$pid"
}

teardown_file() {
	local dir=$BATS_FILE_TMPDIR

	gone "$dir/pid"
	gone "$dir/containerd.pid"
	gone "$dir/holder"
	[[ ! -e $dir/no-run-docker ]] || rmdir /run/docker/plugins /run/docker 2>/dev/null
	vz_teardown_file
}

setup() {
	needs_command dockerd docker
	vz_setup
	PARENT=/vzdocker$$n$BATS_TEST_NUMBER
	[[ $MANAGER != systemd ]] || PARENT=vzdocker$$n$BATS_TEST_NUMBER.slice
	NETWORK=none
}

teardown() {
	local ids

	[[ -n ${T:-} ]] || return 0
	ids=$(raw ps -aq 2>/dev/null)
	# shellcheck disable=SC2086
	[[ -z $ids ]] || raw rm -f -v $ids >/dev/null 2>&1
	[[ ! -e $T/network ]] || raw network rm "$(cat "$T/network")" >/dev/null 2>&1
	# The parent is the engine's to remove, which does not.
	if [[ $MANAGER == systemd ]]; then
		systemctl stop "$PARENT" >/dev/null 2>&1
	else
		find /sys/fs/cgroup -depth -type d -name "${PARENT#/}" -exec rmdir {} + 2>/dev/null
	fi
	vz_teardown
}

raw() { timeout -k 5 90 docker "$@" <"${IN:-/dev/null}" 3>&- 4>&-; }

# d ARGS...: $status, $output, $stderr
d() { ask raw "$@"; }
CLIENT=d
client_log() { tail -n 5 "$BATS_FILE_TMPDIR/log"; }

# box STATUS ARGS...: docker run ARGS
box() {
	local want=$1

	shift
	gives "$want" run --runtime "${RUNTIME:-vzrun}" --network "$NETWORK" --cgroup-parent "$PARENT" --env "VZRUN_TEST_ID=$VZRUN_TEST_ID" "$@"
}

asked() { raw inspect --format "$1" "$2"; }
asked_is() { [[ $(asked "$1" "$2") == "$3" ]]; }
logged() { [[ $(raw logs "$1" 2>&1 | tr -d '\r') == "$2" ]]; }

# on_terminal COMMAND: with a terminal of its own, as a person has.
on_terminal() {
	status=0
	timeout -k 5 60 script -qec "stty cols 91 rows 31; $1" /dev/null >"$T/stdout" 2>"$T/stderr" </dev/null 3>&- 4>&- || status=$?
	output=$(tr -d '\r\0' <"$T/stdout")
}

# limits PID: memory, cpu and pids, one word each
limits() {
	local dir

	dir=$(cg_dir "$1" memory)
	if [[ $(cg_mode) == v2 ]]; then
		echo "$(cat "$dir"/{memory,cpu,pids}.max 2>/dev/null)"
	else
		echo "$(cat "$dir/memory.limit_in_bytes" "$(cg_dir "$1" cpu)"/cpu.cfs_{quota,period}_us "$(cg_dir "$1" pids)/pids.max")"
	fi | tr -s '\n' ' '
}

@test "docker: run: output, standard input, exit status; programs that cannot be executed" {
	echo typed >"$T/in"
	IN=$T/in box 7 --rm -i $IMAGE sh -c 'cat; echo error >&2; exit 7'
	assert_eq "$output" typed
	assert_eq "$stderr" error
	box 127 --rm $IMAGE /nonexistent
	assert_match "$stderr" '*OCI runtime create failed: *exec: "/nonexistent": no such file or directory*'
	box 127 --rm $IMAGE nonexistent
	assert_match "$stderr" '*exec: "nonexistent": executable file not found*'
	box 126 --rm $IMAGE /etc/passwd
	assert_match "$stderr" '*exec: "/etc/passwd": permission denied*'
	gives 0 ps -aq
	assert_eq "$output" ""
}

@test "docker: terminal, logs, exec, top, stats, health check, stop" {
	box 0 -dt --name c1 --health-cmd 'test -e /healthy' --health-interval 3s --health-retries 100 $IMAGE \
		sh -c 'tty; trap "exit 5" TERM; while :; do sleep 1000 & wait $!; done'
	wait_until logged c1 /dev/pts/0
	gives 3 exec -u 1000:50 -w /tmp -e A=b c1 sh -c 'pwd; id -u; id -g; echo $A; exit 3'
	assert_eq "$output" $'/tmp\n1000\n50\nb'
	echo typed >"$T/in"
	IN=$T/in gives 0 exec -i c1 cat
	assert_eq "$output" typed
	d exec c1 /nonexistent
	[[ $status == 12[67] ]] # the daemon's choice
	assert_match "$output$stderr" '*OCI runtime exec failed: *exec: "/nonexistent": no such file or directory*'
	gives 126 exec c1 /etc/passwd
	on_terminal 'docker exec -it c1 sh -c "tty; until stty size 2>/dev/null; do sleep 0.1; done; exit 4"'
	assert_eq "$status" 4
	assert_match "$output" '*/dev/pts/1*31 91*'
	gives 0 top c1
	assert_match "$output" '*sleep 1000*'
	gives 0 stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' c1
	assert_match "$output" '[2-4] [1-9]*B / *'
	asked_is '{{.State.Health.Status}}' c1 starting
	gives 0 exec -d c1 touch /healthy
	wait_until asked_is '{{.State.Health.Status}}' c1 healthy
	gives 0 stop -t 30 c1
	assert_eq "$(asked '{{.State.Status}} {{.State.ExitCode}}' c1)" 'exited 5'
}

@test "docker: limits, pause, update, signals, restart, kill" {
	local pid id

	box 0 -d --name c1 -m 64m --memory-swap 64m --cpus 0.5 --pids-limit 30 $IMAGE \
		sh -c 'trap "echo usr1" USR1; trap "echo term; exit 5" TERM; echo up; while :; do sleep 1000 & wait $!; done'
	wait_until logged c1 up
	read -r pid id <<<"$(asked '{{.State.Pid}} {{.Id}}' c1)"
	if [[ $MANAGER == systemd ]]; then
		assert_match "$(cat "/proc/$pid/cgroup")" "*/$PARENT/docker-$id.scope*"
	else
		assert_match "$(cat "/proc/$pid/cgroup")" "*$PARENT/$id*"
	fi
	assert_eq "$(limits "$pid")" '67108864 50000 100000 30 '
	gives 0 pause c1
	assert_eq "$(asked '{{.State.Status}}' c1)" paused
	gives 0 unpause c1
	gives 0 update -m 96m --memory-swap 96m --cpus 0.25 --pids-limit 40 --cpuset-cpus 0 c1
	assert_eq "$(limits "$pid")" '100663296 25000 100000 40 '
	assert_eq "$(awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$pid/status")" 0
	gives 0 kill -s USR1 c1
	wait_until logged c1 $'up\nusr1'
	gives 0 restart -t 30 c1
	wait_until logged c1 $'up\nusr1\nterm\nup'
	assert_eq "$(limits "$(asked '{{.State.Pid}}' c1)")" '100663296 25000 100000 40 '
	gives 0 kill c1
	gives 0 wait c1
	assert_eq "$output" 137
}

@test "docker: memory that runs out; restart by policy" {
	box 137 --name c1 -m 16m --memory-swap 16m $IMAGE tail /dev/zero
	assert_eq "$(asked '{{.State.OOMKilled}}' c1)" true
	box 0 -d --name c2 --restart on-failure:1 $IMAGE sh -c 'echo run; exit 3'
	wait_until asked_is '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}' c2 '1 exited 3'
	assert_eq "$(raw logs c2)" $'run\nrun'
}

# What docker has words for, in one container.
@test "docker: root, volumes, tmpfs, devices, capabilities, seccomp, limits, sysctl, init" {
	mkdir "$T/vol"
	echo content >"$T/vol/file"
	box 0 --rm --init --read-only -v "$T/vol:/vol:ro" -v /data --tmpfs /scratch:size=1m,noexec --shm-size 2m --hostname h1 \
		--device /dev/kmsg:/dev/messages:r --cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges --ulimit nofile=100:200 \
		--ulimit core=0 --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=4096 --group-add 7 --oom-score-adj 500 -w /home $IMAGE sh -c '
			cat /proc/1/comm; hostname; pwd; cat /vol/file; touch /data/x /scratch/x && echo written
			awk "\$5 ~ \"^/(scratch|dev/shm)\$\" { print \$6, \$NF }" /proc/self/mountinfo
			awk "/^(CapEff|CapBnd|Seccomp|NoNewPrivs):/ { print \$2 }" /proc/self/status
			ulimit -Sn; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/self/oom_score_adj; id -G
			stat -c %t:%T /dev/messages; cat /proc/kcore /proc/timer_list 2>/dev/null | wc -c
			(: >/dev/messages); touch /x; touch /vol/x; echo 1 >/proc/sys/kernel/hostname; unshare -U true; true'
	assert_eq "${output//,inode64/}" "docker-init
h1
/home
content
written
rw,nosuid,nodev,noexec,relatime rw,size=2048k
rw,nosuid,nodev,noexec,relatime rw,size=1024k
0000000000000001
0000000000000001
1
2
100
200
1
4096
500
0 7
1:b
0"
	echo "$stderr"
	assert_match "$stderr" '*/dev/messages: Operation not permitted*/x: Read-only*/vol/x: Read-only*hostname: Read-only*unshare*not permitted*'
}

@test "docker: privileged; namespaces of the host and of another container" {
	local pid

	box 0 --rm --privileged --pid host --uts host --ipc host --cgroupns host $IMAGE sh -c '
		awk "/^(CapEff|Seccomp):/ { print \$2 }" /proc/self/status
		for n in pid uts ipc cgroup; do readlink /proc/self/ns/$n; done
		ls /dev/kmsg; mount -t tmpfs none /tmp && echo mounted'
	assert_match "$output" '00000[01][0-9a-f]f*ff
*'
	assert_eq "${output#*$'\n'}" "0
$(readlink "/proc/$(cat "$BATS_FILE_TMPDIR/pid")"/ns/{pid,uts,ipc,cgroup})
/dev/kmsg
mounted"
	box 0 -d --name c1 --ipc shareable $IMAGE sleep 1000
	pid=$(asked '{{.State.Pid}}' c1)
	NETWORK=container:c1 box 0 --rm --pid container:c1 --ipc container:c1 --security-opt seccomp=unconfined \
		--security-opt systempaths=unconfined $IMAGE sh -c 'for n in pid ipc net; do readlink /proc/self/ns/$n; done
			awk "/^Seccomp:/ { print \$2 }" /proc/self/status; grep " /proc/" /proc/self/mountinfo; true'
	assert_eq "$output" "$(readlink "/proc/$pid"/ns/{pid,ipc,net})
0"
	if [[ -d /sys/kernel/security/apparmor ]]; then
		gives 0 exec c1 cat /proc/1/attr/current /proc/self/attr/current
		assert_eq "$output" $'docker-default (enforce)\ndocker-default (enforce)'
	fi
}

@test "docker: a build" {
	printf 'FROM %s\nRUN echo built >/made && test "$(cat /proc/1/comm)" = sh\nUSER 1000\nCMD ["cat", "/made"]\n' $IMAGE >"$T/Dockerfile"
	DOCKER_BUILDKIT=0 gives 0 build -q --rm=false --network none --cgroup-parent "$PARENT" -t vzrun-built -f "$T/Dockerfile" "$DOCKER_CONFIG"
	assert_eq "$(asked '{{.HostConfig.Runtime}}' "$(raw ps -lq)")" vzrun
	box 0 --rm vzrun-built
	assert_eq "$output" built
	gives 0 rmi vzrun-built
}

@test "docker: a network" {
	[[ -z ${VZ_LEG:-} ]] || modprobe -aq bridge veth
	[[ -d /sys/module/bridge && -d /sys/module/veth ]] || skip "no bridges here"
	NETWORK=vznet
	echo $NETWORK >"$T/network"
	gives 0 network create --subnet 192.0.2.0/24 $NETWORK
	box 0 --rm --ip 192.0.2.77 $IMAGE sh -c 'ip -o -4 addr show; ping -c 1 -W 20 192.0.2.1'
	assert_match "$output" '* lo *eth0 *inet 192.0.2.77/24*1 packets received*'
}

@test "docker: containers outlive the daemon" {
	box 0 -d --name c1 $IMAGE sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 1000 & wait $!; done'
	gone "$BATS_FILE_TMPDIR/pid"
	daemon
	assert_eq "$(asked '{{.State.Status}} {{.RestartCount}}' c1)" 'running 0'
	gives 3 exec c1 sh -c 'exit 3'
	gives 0 stop -t 30 c1
	assert_eq "$(asked '{{.State.ExitCode}}' c1)" 5
}

# In the end: this daemon has its own images.
@test "docker: a daemon with --userns-remap" {
	gone "$BATS_FILE_TMPDIR/pid"
	daemon --userns-remap daemon
	gives 0 import "$BATS_FILE_TMPDIR/image.tar" $IMAGE
	box 0 -d --name c1 -m 64m --cpus 0.5 --pids-limit 30 -v /data --tmpfs /scratch $IMAGE sleep 1000
	assert_eq "$(limits "$(asked '{{.State.Pid}}' c1)")" '67108864 50000 100000 30 '
	gives 0 exec c1 sh -c 'cat /proc/1/uid_map; touch /data/x /scratch/x /x; stat -c %u:%g /data/x /scratch/x /x /dev/shm; id -u'
	assert_match "$output" "*0 *100000 *65536
0:0
0:0
0:0
0:0
0"
	gives 0 rm -f c1
}
