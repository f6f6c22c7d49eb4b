#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# containerd calls vzrun through its shim for runc: a daemon of the test's own, an image made here, no registry.
# VZ_MANAGER=systemd: with units of systemd.

load ../lib/helpers
load client

setup_file() {
	local dir=$BATS_FILE_TMPDIR i

	command -v containerd >/dev/null && command -v ctr >/dev/null || return 0
	cat >"$dir/config.toml" <<-C
		version = 2
		root = "$dir/root"
		state = "$dir/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		address = "$dir/c.sock"
		[ttrpc]
		address = "$dir/t.sock"
	C
	containerd --config "$dir/config.toml" -l warn >"$dir/log" 2>&1 </dev/null 3>&- 4>&- &
	echo $! >"$dir/pid"
	for ((i = 0; i < 100; i++)); do
		timeout 5 ctr -a "$dir/c.sock" version >/dev/null 2>&1 && break
		sleep 0.1
	done
	export NAMESPACE=vzctr$$
	make_image "$dir" && ctr_raw image import --snapshotter native "$dir/image.tar" >"$dir/import" 2>&1 ||
		{ cat "$dir/import" "$dir/log"; return 1; }
}

# An archive as `docker save` writes it: one layer, its configuration, a list of both.
make_image() {
	local layer config d=$1/image

	sh "$TOP/contrib/bundle.sh" "$1/bundle" true && mkdir "$d" && tar -C "$1/bundle/rootfs" -cf "$d/layer.tar" . || return
	layer=$(sha256sum "$d/layer.tar" | cut -d' ' -f1)
	jq -n --arg l "sha256:$layer" --arg arch "$(dpkg --print-architecture)" '{ architecture: $arch, os: "linux",
		config: { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"] },
		rootfs: { type: "layers", diff_ids: [$l] } }' >"$d/config.json"
	config=$(sha256sum "$d/config.json" | cut -d' ' -f1).json
	mv "$d/config.json" "$d/$config"
	jq -n --arg c "$config" '[{ Config: $c, RepoTags: ["localhost/vzrun-test:1"], Layers: ["layer.tar"] }]' >"$d/manifest.json"
	tar -C "$d" -cf "$1/image.tar" manifest.json "$config" layer.tar
}

ctr_raw() {
	timeout -k 5 60 ctr -a "$BATS_FILE_TMPDIR/c.sock" -n "$NAMESPACE" "$@" <"${IN:-/dev/null}" 3>&- 4>&-
}

teardown_file() {
	local pid=

	[[ ! -e $BATS_FILE_TMPDIR/pid ]] || pid=$(cat "$BATS_FILE_TMPDIR/pid")
	if [[ -n $pid ]]; then
		kill "$pid"
		wait_until test ! -e "/proc/$pid/exe"
	fi
	vz_teardown_file
}

setup() {
	needs_command containerd ctr
	vz_setup
}

teardown() {
	local i d c

	[[ -n ${T:-} ]] || return 0
	for c in $(ctr_raw task ls -q 2>/dev/null); do
		ctr_raw task kill -s KILL -a "$c" >/dev/null 2>&1
		sleep 0.3
		ctr_raw task rm -f "$c" >/dev/null 2>&1
	done
	for c in $(ctr_raw container ls -q 2>/dev/null); do ctr_raw container rm "$c" >/dev/null 2>&1; done
	# The parent named after the namespace is the engine's; it cannot be removed while anything is in it.
	find /sys/fs/cgroup -depth -type d -name "$NAMESPACE" -exec rmdir {} + 2>/dev/null
	vz_teardown
}

# c ARGS...: $status, $output, $stderr
c() { ask ctr_raw "$@"; }
CLIENT=c

# box WANT OPTIONS... IMAGE ID ARGS...: ctr run.
box() {
	local want=$1 i
	local -a cgroup=()

	shift
	for ((i = 1; i < $#; i++)); do
		[[ ${VZ_MANAGER:-} != systemd || ${!i} != "$IMAGE" ]] && continue
		((i++))
		cgroup=(--runc-systemd-cgroup --cgroup "system.slice:$NAMESPACE:${!i}")
		break
	done
	gives "$want" run --snapshotter native --runc-binary "$VZRUN" "${cgroup[@]}" --env "VZRUN_TEST_ID=$VZRUN_TEST_ID" "$@"
}
IMAGE=localhost/vzrun-test:1

# script ARGS...: ctr with a terminal of its own, as a person has.
script_c() {
	status=0
	timeout -k 5 60 script -qec "ctr -a $BATS_FILE_TMPDIR/c.sock -n $NAMESPACE $*" /dev/null >"$T/stdout" 2>"$T/stderr" \
		< <(sleep 1) 3>&- 4>&- || status=$?
	output=$(tr -d '\r\0' <"$T/stdout")
}

task_status() { ctr_raw task ls | awk -v id="$1" '$1 == id { print $3 }'; }
task_is() { [[ $(task_status "$1") == "$2" ]]; }

# rm_says STATUS ID: versions of ctr hand it on or warn about it.
rm_says() {
	c task rm "$2"
	[[ $status == "$1" || $stderr == *"exit code $1"* ]] && return 0
	echo "task rm: status $status, $stderr"
	return 1
}
task_pid() { ctr_raw task ls | awk -v id="$1" '$1 == id { print $2 }'; }

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
