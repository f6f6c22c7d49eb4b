#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# containerd calls vzrun through its shim for runc: the life of a container.

load containerd

setup_file() { containerd_setup_file; }
teardown_file() { containerd_teardown_file; }
setup() { containerd_setup; }
teardown() { containerd_teardown; }

@test "containerd: run prints and hands on the exit status" {
	box 0 --rm $IMAGE c1 echo hello
	assert_eq "$output" hello
	box 7 --rm $IMAGE c1 sh -c 'exit 7'
	gives 0 container ls -q
	assert_eq "$output" ""
	echo typed >"$T/in"
	IN=$T/in box 0 --rm $IMAGE c1 head -n 1 # ctr does not hand the end of its input on
	assert_eq "$output" typed
}

@test "containerd: a missing program is an error that names it" {
	box 1 --rm $IMAGE c1 /nonexistent
	assert_match "$stderr" '*OCI runtime create failed: *exec: "/nonexistent"*'
	box 1 --rm $IMAGE c1 /etc/passwd
	assert_match "$stderr" '*OCI runtime create failed: *exec: "/etc/passwd"*ermission denied*'
	gives 0 task ls -q
	assert_eq "$output" ""
}

@test "containerd: detached, exec, ps, metrics, kill, rm" {
	box 0 -d $IMAGE c1 sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
	task_is c1 RUNNING
	gives 3 task exec --exec-id e1 c1 sh -c 'hostname; exit 3'
	gives 0 task exec --exec-id e2 --cwd /tmp --user 1000:1000 c1 sh -c 'pwd; id -u'
	assert_eq "$output" $'/tmp\n1000'
	gives 1 task exec --exec-id e3 c1 /nonexistent
	assert_match "$stderr" '*OCI runtime exec failed: *exec: "/nonexistent"*'
	gives 0 task exec -d --exec-id e4 c1 sh -c 'touch /detached; exec sleep 1000'
	wait_until test -e "/proc/$(task_pid c1)/root/detached"
	gives 0 task ps c1
	assert_match "$output" "*$(task_pid c1)*"
	gives 0 task metrics c1
	assert_match "$output" "*pids.current*[1-9]*"
	gives 0 task kill -s TERM c1
	wait_until task_is c1 STOPPED
	rm_says 5 c1
	gives 0 container rm c1
}

@test "containerd: terminal of run and of exec" {
	script_c run --rm -t --snapshotter native --runc-binary "$VZRUN" $IMAGE c1 tty
	assert_eq "$status" 0
	assert_match "$output" "*/dev/pts/0*"
	box 0 -d $IMAGE c2 sleep 1000
	script_c task exec -t --exec-id e1 c2 tty
	assert_match "$output" "*/dev/pts/0*"
}

@test "containerd: a killed program, and deletion by force" {
	box 0 -d $IMAGE c1 sleep 1000
	gives 0 task kill -s KILL c1
	wait_until task_is c1 STOPPED
	rm_says 137 c1
	gives 0 container rm c1
	box 0 -d $IMAGE c1 sleep 1000
	c task rm -f c1
	gives 0 container rm c1
}

@test "containerd: pause and resume" {
	box 0 -d $IMAGE c1 sleep 1000
	gives 0 task pause c1
	task_is c1 PAUSED
	gives 0 task resume c1
	task_is c1 RUNNING
	gives 0 task exec --exec-id e1 c1 true
}

@test "containerd: limits; namespaces of another container" {
	local pid

	box 0 -d --memory-limit 67108864 --cpu-quota 50000 --cpu-period 100000 $IMAGE c1 sleep 1000
	pid=$(task_pid c1)
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cat "$(cg_dir "$pid" memory)"/{memory,cpu}.max)" $'67108864\n50000 100000'
	else
		assert_eq "$(cat "$(cg_dir "$pid" memory)/memory.limit_in_bytes" "$(cg_dir "$pid" cpu)/cpu.cfs_quota_us")" $'67108864\n50000'
	fi
	[[ ${VZ_MANAGER:-} != systemd || $(cat "/proc/$pid/cgroup") == *"/system.slice/$NAMESPACE-c1.scope"* ]]
	box 0 --rm --with-ns "ipc:/proc/$pid/ns/ipc" $IMAGE c2 readlink /proc/self/ns/ipc
	assert_eq "$output" "$(readlink "/proc/$pid/ns/ipc")"
}

@test "containerd: annotations in OpenVZ's words" {
	local pid

	box 0 -d --annotation org.openvz.cpulimit=25 --annotation org.openvz.numproc=50 $IMAGE c1 sleep 1000
	pid=$(task_pid c1)
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cat "$(cg_dir "$pid" cpu)/cpu.max" "$(cg_dir "$pid" pids)/pids.max")" $'25000 100000\n50'
	else
		assert_eq "$(cat "$(cg_dir "$pid" cpu)/cpu.cfs_quota_us" "$(cg_dir "$pid" pids)/pids.max")" $'25000\n50'
	fi
}

# What ctr has words for, in one container.
@test "containerd: root, mounts, environment, directory, capabilities, devices, seccomp" {
	mkdir "$T/vol"
	echo content >"$T/vol/file"
	box 0 --rm --read-only --mount "type=bind,src=$T/vol,dst=/vol,options=rbind:ro" --env A=b --cwd /home --seccomp \
		--cap-drop CAP_CHOWN --device /dev/kmsg $IMAGE c2 sh -c 'cat /vol/file; echo $A; pwd
			touch /vol/x; touch /x; chown 1 /vol/file
			awk "/Seccomp:/ { print \$2 } /CapEff/ { print \$2 }" /proc/self/status; stat -c %t:%T /dev/kmsg'
	assert_eq "$output" $'content\nb\n/home\n00000000a80425fa\n2\n1:b'
	assert_match "$stderr" '*/vol/x: Read-only*/x: Read-only*/vol/file: *'
	box 0 --rm --privileged $IMAGE c2 awk '/CapEff/ { print $2 }' /proc/self/status
	assert_match "$output" '000001ff[ef]*ff'
}

@test "containerd: a daemon that was restarted finds its containers" {
	local dir=$BATS_FILE_TMPDIR pid

	box 0 -d $IMAGE c1 sleep 1000
	pid=$(cat "$dir/pid")
	kill "$pid"
	wait_until test ! -e "/proc/$pid/exe"
	env -u VZRUN_TEST_ID containerd --config "$dir/config.toml" -l warn >>"$dir/log" 2>&1 </dev/null 3>&- 4>&- &
	echo $! >"$dir/pid"
	wait_until ctr_raw version
	task_is c1 RUNNING
	gives 0 task exec --exec-id e1 c1 true
}

@test "containerd: ten containers at a time" {
	local i
	local -a jobs=()

	for i in 1 2 3 4 5 6 7 8 9 10; do
		ctr_raw run --rm --snapshotter native --runc-binary "$VZRUN" $IMAGE "c$i" sh -c "exit $((i + 20))" \
			>/dev/null 2>"$T/err.$i" &
		jobs+=($!)
	done
	for i in 1 2 3 4 5 6 7 8 9 10; do
		status=0
		wait "${jobs[i - 1]}" || status=$?
		assert_eq "$status" $((i + 20)) || { cat "$T/err.$i"; return 1; }
	done
}

@test "containerd: the configurations in contrib are understood" {
	local version file=containerd.toml

	version=$(containerd --version | awk '{ print $3 }')
	for file in containerd.toml containerd-2.toml; do
		[[ $version != 1.* || $file == containerd.toml ]] || continue
		timeout 20 containerd --config "$TOP/contrib/engines/$file" config dump >"$T/dump"
		grep -A 30 'runtimes.vzrun\]' "$T/dump" >"$T/ours"
		grep -q "runtime_type = [\"']io.containerd.runc.v2[\"']" "$T/ours"
		grep -q "BinaryName = [\"']/.*/vzrun[\"']" "$T/ours"
		grep -q "pod_annotations = \[[\"']org.openvz" "$T/ours"
		grep -q "runtimes.runc\]" "$T/dump"
	done
}
