#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman calls vzrun: containers of a locally imported root filesystem, without a registry and without a network.

load ../lib/helpers

setup_file() {
	command -v podman >/dev/null || return 0
	export POD=$BATS_FILE_TMPDIR/podman CONTAINERS_CONF=$BATS_FILE_TMPDIR/containers.conf
	mkdir "$POD"
	cat >"$CONTAINERS_CONF" <<-C
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		[engine]
		runtime = "vzrun"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		lock_type = "file"
		[engine.runtimes]
		vzrun = ["$VZRUN"]
	C
	T=$BATS_FILE_TMPDIR
	sh "$TOP/contrib/bundle.sh" "$T/rootfs" true
	tar -C "$T/rootfs/rootfs" -cf "$T/image.tar" .
	raw import "$T/image.tar" vzrun-test:1 >/dev/null 2>"$T/import.err" || { cat "$T/import.err"; return 1; }
}

teardown_file() {
	local m

	vz_teardown_file
	while read -r m; do umount -l "$m"; done < <(awk -v d="$BATS_FILE_TMPDIR/podman" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo | sort -r)
}

raw() (
	cd "$BATS_FILE_TMPDIR" || return # conmon writes there
	timeout -k 5 60 podman --root "$POD/root" --runroot "$POD/run" --tmpdir "$POD/tmp" --storage-driver vfs "$@" </dev/null 3>&- 4>&-
)

setup() {
	needs_command podman conmon
	vz_setup
	PARENT=/vzpod-$BATS_TEST_NUMBER-$RANDOM
}

teardown() {
	[[ -n ${T:-} ]] || return 0
	raw rm -a -f -t 0 >/dev/null 2>&1
	raw pod rm -a -f >/dev/null 2>&1
	remove_parents
	vz_teardown
}

# The containers' parent, a pod's and conmon's group are the engine's to remove, and on v1 it does not know every
# hierarchy.  Containers' own are named libpod-ID: none of those may be left.
remove_parents() {
	local i d

	for ((i = 0; i < 20; i++)); do
		for d in /sys/fs/cgroup/*"$PARENT" /sys/fs/cgroup/*/*"$PARENT" /sys/fs/cgroup/*/*/*"$PARENT"; do
			[[ ! -d $d ]] || rmdir "$d"/{conmon,[0-9a-f]*,} 2>/dev/null
		done
		[[ -n $(find /sys/fs/cgroup -type d -path "*$PARENT") ]] || return
		sleep 0.1
	done
}

# pod ARGS...: $status, $output, $stderr
pod() {
	status=0
	raw "$@" >"$T/stdout" 2>"$T/stderr" || status=$?
	output=$(tr -d '\r' <"$T/stdout")
	stderr=$(<"$T/stderr")
}

gives() {
	local want=$1

	shift
	pod "$@"
	[[ $status == "$want" ]] && return 0
	printf 'podman %s: status %s, expected %s\n%s\n%s\n' "$*" "$status" "$want" "$output" "$stderr"
	return 1
}

# box VERB ARGS...: run or create.  The machine may lack CAP_SYS_RESOURCE: limits that need no right.
box() {
	local verb=$1

	shift
	set -- "$verb" --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none --cgroup-parent "$PARENT" \
		--env "VZRUN_TEST_ID=$VZRUN_TEST_ID" "$@"
	pod "$@"
}

box_gives() {
	local want=$1

	shift
	box "$@"
	[[ $status == "$want" ]] && return 0
	printf 'podman %s: status %s, expected %s\n%s\n%s\n' "$*" "$status" "$want" "$output" "$stderr"
	return 1
}

box_prints() {
	local want=$1

	shift
	box_gives 0 run --rm "$@" && assert_eq "$output" "$want"
}

@test "podman: run prints and hands on the exit status" {
	box_prints hello vzrun-test:1 echo hello
	box_gives 7 run --rm vzrun-test:1 sh -c 'exit 7'
	pod ps -a -q
	assert_eq "$output" ""
}

@test "podman: run of a missing program is 127, of one that cannot be executed 126" {
	box_gives 127 run --rm vzrun-test:1 /nonexistent
	assert_match "$stderr" '*exec: "/nonexistent"*not found*'
	box_gives 127 run --rm vzrun-test:1 nonexistent
	assert_match "$stderr" '*executable file not found in $PATH*'
	box_gives 126 run --rm vzrun-test:1 /etc/passwd
	assert_match "$stderr" '*ermission denied*'
	pod ps -a -q
	assert_eq "$output" ""
}

@test "podman: detached, exec, logs, top, stats, stop, rm" {
	box_gives 0 run -d --name c1 vzrun-test:1 sh -c 'trap "echo bye; exit 5" TERM; echo started; while :; do sleep 0.1; done'
	gives 0 inspect c1 --format '{{.State.Status}} {{.OCIRuntime}}'
	assert_match "$output" "running *vzrun*"
	gives 0 exec c1 sh -c 'echo in; cat /proc/1/cmdline'
	assert_match "$output" "in*trap*"
	gives 3 exec c1 sh -c 'exit 3'
	gives 0 exec -u 1000:1000 -w /tmp -e A=b c1 sh -c 'id -u; id -g; pwd; echo $A'
	assert_eq "$output" $'1000\n1000\n/tmp\nb'
	gives 0 exec -t c1 tty
	assert_match "$output" "/dev/pts/*"
	gives 127 exec c1 /nonexistent
	gives 126 exec c1 /etc/passwd
	gives 0 top c1
	assert_match "$output" "*PID*sh -c trap*"
	gives 0 stats --no-stream --format '{{.Name}} {{.PIDs}}' c1
	assert_match "$output" "c1 [1-9]*"
	gives 0 stop -t 10 c1
	gives 0 wait c1
	assert_eq "$output" 5
	gives 0 logs c1
	assert_eq "$output" $'started\nbye'
	gives 0 rm c1
	gives 0 ps -a -q
	assert_eq "$output" ""
}

@test "podman: stop of a deaf process kills it" {
	box_gives 0 run -d --name c1 vzrun-test:1 sleep 1000
	gives 0 stop -t 1 c1
	gives 0 inspect c1 --format '{{.State.Status}} {{.State.ExitCode}}'
	assert_eq "$output" "exited 137"
}

@test "podman: kill hands on the signal; rm -f of a running container" {
	box_gives 0 run -d --name c1 vzrun-test:1 sh -c 'trap "exit 9" USR1; while :; do sleep 0.1; done'
	sleep 0.3
	gives 0 kill -s USR1 c1
	gives 0 wait c1
	assert_eq "$output" 9
	box_gives 0 run -d --name c2 vzrun-test:1 sleep 1000
	gives 0 rm -f -t 0 c2
}

@test "podman: pause and unpause" {
	box_gives 0 run -d --name c1 vzrun-test:1 sleep 1000
	gives 0 pause c1
	gives 0 ps -a --format '{{.Names}} {{.Status}}'
	assert_match "$output" "c1*[Pp]aused*"
	pod exec c1 true
	[[ $status != 0 ]]
	gives 0 unpause c1
	gives 0 exec c1 true
}

@test "podman: create, start, restart, attach" {
	box_gives 0 create --name c1 vzrun-test:1 sh -c 'echo run; exit 4'
	gives 4 start -a c1
	assert_eq "$output" run
	gives 4 start -a c1
	box_gives 0 run -d --name c2 vzrun-test:1 sleep 1000
	gives 0 restart -t 0 c2
	gives 0 exec c2 true
}

# cg_value NAME FILE: of the container's cgroup.
cg_value() {
	pod inspect "$1" --format '{{.State.Pid}}'
	local dir

	dir=$(cg_dir "$output" "${2%%.*}") && cat "$dir/$2"
}

@test "podman: limits, and update of them" {
	needs_v1
	box_gives 0 run -d --name c1 --memory 64m --pids-limit 20 --cpus 0.5 vzrun-test:1 sleep 1000
	assert_eq "$(cg_value c1 memory.limit_in_bytes)" 67108864
	assert_eq "$(cg_value c1 pids.max)" 20
	assert_eq "$(cg_value c1 cpu.cfs_quota_us)" 50000
	gives 0 update --memory 96m --cpus 0.25 c1
	assert_eq "$(cg_value c1 memory.limit_in_bytes)" 100663296
	assert_eq "$(cg_value c1 cpu.cfs_quota_us)" 25000
	assert_eq "$(cg_value c1 pids.max)" 20
}

@test "podman: out of memory" {
	box_gives 137 run --name c1 --memory 16m --memory-swap 16m vzrun-test:1 sh -c 'tail /dev/zero; exit $?'
	gives 0 inspect c1 --format '{{.State.Status}} {{.State.ExitCode}}'
	assert_eq "$output" "exited 137"
}

@test "podman: root, mounts, user, capabilities, devices, host name, sysctl" {
	mkdir "$T/vol"
	echo content >"$T/vol/file"
	box_prints content -v "$T/vol:/vol:ro" vzrun-test:1 cat /vol/file
	box_gives 1 run --rm -v "$T/vol:/vol:ro" vzrun-test:1 sh -c 'echo x >/vol/file'
	box_prints 1 --read-only --tmpfs /scratch vzrun-test:1 sh -c 'touch /scratch/x; touch /x 2>/dev/null; echo $?'
	box_prints 1000 --user 1000 vzrun-test:1 id -u
	box_prints 0000000000000000 --cap-drop all vzrun-test:1 awk '/CapEff/ { print $2 }' /proc/self/status
	box_prints 2 vzrun-test:1 awk '/Seccomp:/ { print $2 }' /proc/self/status
	box_prints 0 --security-opt seccomp=unconfined vzrun-test:1 awk '/Seccomp:/ { print $2 }' /proc/self/status
	box_prints 1 --security-opt no-new-privileges vzrun-test:1 awk '/NoNewPrivs:/ { print $2 }' /proc/self/status
	box_prints somebody --hostname somebody vzrun-test:1 hostname
	box_prints 8192 --sysctl kernel.msgmax=8192 vzrun-test:1 cat /proc/sys/kernel/msgmax
	box_prints 1:3 --device /dev/null:/dev/other vzrun-test:1 stat -c %t:%T /dev/other
	box_prints 512 --ulimit core=0:0 --shm-size 512k vzrun-test:1 sh -c 'df -k /dev/shm | awk "END { print \$2 }"'
}

@test "podman: terminal" {
	box_gives 0 run --rm -t vzrun-test:1 sh -c 'tty; stty size >/dev/null && echo sized'
	assert_match "$output" "/dev/pts/*sized"
}

@test "podman: user namespace" {
	box_prints "0 100000 65536" --uidmap 0:100000:65536 --gidmap 0:100000:65536 vzrun-test:1 \
		awk '{ print $1, $2, $3 }' /proc/self/uid_map
}

@test "podman: namespaces of the host and of another container" {
	box_gives 0 run -d --name c1 --ipc shareable vzrun-test:1 sleep 1000
	gives 0 inspect c1 --format '{{.State.Pid}}'
	local first=$output

	box_prints "$(readlink "/proc/$first/ns/ipc") $(readlink "/proc/$first/ns/pid")" --ipc container:c1 --pid container:c1 \
		vzrun-test:1 sh -c 'echo $(readlink /proc/self/ns/ipc) $(readlink /proc/self/ns/pid)'
	box_prints "$(readlink /proc/self/ns/uts)" --uts host vzrun-test:1 readlink /proc/self/ns/uts
	box_gives 0 run -d --name c2 --pid host vzrun-test:1 sleep 1000
	gives 0 rm -f -t 0 c2
}

@test "podman: an init inside" {
	needs_command catatonit
	box_gives 0 run -d --name c1 --init vzrun-test:1 sh -c 'sleep 1000'
	gives 0 exec c1 sh -c 'tr "\0" " " </proc/1/cmdline'
	assert_match "$output" "*init* -- sh -c sleep*"
}

@test "podman: ten containers at a time" {
	local i
	local -a jobs=()

	for i in 1 2 3 4 5 6 7 8 9 10; do
		raw run --rm --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none --cgroup-parent "$PARENT" \
			vzrun-test:1 sh -c "exit $((i + 20))" >/dev/null 2>"$T/err.$i" &
		jobs+=($!)
	done
	for i in 1 2 3 4 5 6 7 8 9 10; do
		status=0
		wait "${jobs[i - 1]}" || status=$?
		assert_eq "$status" $((i + 20)) || { cat "$T/err.$i"; return 1; }
	done
}

@test "podman: a pod, whose containers share namespaces" {
	needs_command catatonit
	gives 0 pod create --name p1 --network none --cgroup-parent "$PARENT"
	pod run --rm --pod p1 --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --env "VZRUN_TEST_ID=$VZRUN_TEST_ID" \
		vzrun-test:1 readlink /proc/self/ns/net
	assert_eq "$status" 0
	assert_match "$output" "net:*"
	local first=$output

	pod run --rm --pod p1 --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --env "VZRUN_TEST_ID=$VZRUN_TEST_ID" \
		vzrun-test:1 readlink /proc/self/ns/net
	assert_eq "$output" "$first"
	gives 0 pod rm -f -t 0 p1
}

@test "podman: the configuration in contrib is understood" {
	sed "s,^vzrun = .*,vzrun = [\"$VZRUN\"]," "$TOP/contrib/engines/podman.conf" >"$T/containers.conf"
	CONTAINERS_CONF=$T/containers.conf gives 0 info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}'
	assert_eq "$output" "vzrun $VZRUN"
}
