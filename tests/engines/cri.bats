#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Kubernetes' side of containerd: its CRI plugin with vzrun as a runtime handler, driven as the kubelet does by a client of
# our own (cri/client.py).  A daemon of the test's own in a network namespace of the test's own, images made here.
# VZ_MANAGER=systemd: with SystemdCgroup.

load ../lib/helpers

IMAGE=localhost/vzrun-test:1
PYTHON=/usr/bin/python3 # Debian's grpc belongs to Debian's Python

client_works() { command -v containerd ctr socat >/dev/null && "$PYTHON" -c 'import grpc' 2>/dev/null; }

setup_file() {
	local dir=$BATS_FILE_TMPDIR

	client_works || return 0
	mkdir "$dir/cni" "$dir/logs"
	# Root of a user namespace finds its way to the root filesystem too, as it does below /run/containerd.
	chmod a+x "$dir" "${dir%/*}" "$BATS_RUN_TMPDIR"
	export PARENT=/vzcri$$
	[[ ${VZ_MANAGER:-} != systemd ]] || PARENT=/vzcri$$.slice
	write_config "$dir" >"$dir/config.toml"
	network bridge
	start_client
	start_engine
	make_image "$dir" && ctr_raw image import --snapshotter overlayfs "$dir/image.tar" >"$dir/import" 2>&1 ||
		{ cat "$dir/import" "$dir/log"; return 1; }
	T=$dir
	wait_until image_known
	run_pod shared && printf '%s\n' "$POD" >"$dir/pod" && printf '%s\n' "$POD_CONFIG" >"$dir/pod.json"
}

# The handler is the one that contrib ships, but for what keeps the test apart from the machine's own containerd.
write_config() {
	local systemd=false

	[[ ${VZ_MANAGER:-} != systemd ]] || systemd=true
	cat <<-C
		version = 2
		root = "$1/root"
		state = "$1/state"
		[grpc]
		address = "$1/c.sock"
		[ttrpc]
		address = "$1/t.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "$IMAGE"
		restrict_oom_score_adj = true
		netns_mounts_under_state_dir = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "/usr/lib/cni"
		conf_dir = "$1/cni"
	C
	sed -e '/^version/d' -e "s,^BinaryName = .*,BinaryName = \"$VZRUN\"\nRoot = \"$1/runtime\"," \
		-e "s,^SystemdCgroup = .*,SystemdCgroup = $systemd," "$TOP/contrib/engines/containerd.toml"
}

# network TYPE: how pods get an address of their own.
network() {
	local more='"bridge": "vzcri0", "isGateway": true,'

	[[ $1 == bridge ]] || more=
	cat >"$BATS_FILE_TMPDIR/cni/new" <<-C
		{ "cniVersion": "0.4.0", "name": "vzrun-$1", "plugins": [{ "type": "$1", $more "ipMasq": false, "ipam": {
			"type": "host-local", "ranges": [[{ "subnet": "10.99.0.0/24" }]], "dataDir": "$BATS_FILE_TMPDIR/ipam" } }] }
	C
	mv "$BATS_FILE_TMPDIR/cni/new" "$BATS_FILE_TMPDIR/cni/10-vzrun.conflist"
}

# The client holds the network namespace in which the daemon, its streaming server and the pods' bridge are.
start_client() {
	local dir=$BATS_FILE_TMPDIR

	unshare -n sh -c 'ip link set lo up && exec "$@"' sh "$PYTHON" "$HERE/../engines/cri/client.py" "$dir/client.sock" \
		"$dir/c.sock" >"$dir/client.log" 2>&1 </dev/null 3>&- 4>&- &
	echo $! >"$dir/client.pid"
	wait_until test -S "$dir/client.sock"
}

start_engine() {
	local dir=$BATS_FILE_TMPDIR

	env -u VZRUN_TEST_ID nsenter --net="/proc/$(<"$dir/client.pid")/ns/net" containerd --config "$dir/config.toml" -l warn \
		>>"$dir/log" 2>&1 </dev/null 3>&- 4>&- &
	echo $! >"$dir/pid"
	# It listens before the plugin is ready.
	wait_until answers && return
	cat "$dir/log"
	return 1
}

answers() { cri Version && [[ $answer == ok ]]; }

# end_process FILE: waits until it is gone.
end_process() {
	local pid

	[[ -s $1 ]] || return 0
	pid=$(<"$1")
	kill "$pid"
	wait_until test ! -e "/proc/$pid/exe"
}

# An archive as `docker save` writes it.  The pause container of a pod is made from it too: its command sleeps.
make_image() {
	local layer config d=$1/image

	sh "$TOP/contrib/bundle.sh" "$1/bundle" true && mkdir "$d" && tar -C "$1/bundle/rootfs" -cf "$d/layer.tar" . || return
	layer=$(sha256sum "$d/layer.tar" | cut -d' ' -f1)
	jq -n --arg l "sha256:$layer" --arg arch "$(dpkg --print-architecture)" '{ architecture: $arch, os: "linux",
		config: { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sleep", "1000000"] },
		rootfs: { type: "layers", diff_ids: [$l] } }' >"$d/config.json"
	config=$(sha256sum "$d/config.json" | cut -d' ' -f1).json
	mv "$d/config.json" "$d/$config"
	jq -n --arg c "$config" --arg i $IMAGE '[{ Config: $c, RepoTags: [$i], Layers: ["layer.tar"] }]' >"$d/manifest.json"
	tar -C "$d" -cf "$1/image.tar" manifest.json "$config" layer.tar
}

ctr_raw() { timeout -k 5 60 ctr -a "$BATS_FILE_TMPDIR/c.sock" -n k8s.io "$@" </dev/null 3>&- 4>&-; }

teardown_file() {
	if [[ -e $BATS_FILE_TMPDIR/pid ]]; then
		remove_all
		end_process "$BATS_FILE_TMPDIR/pid"
		end_process "$BATS_FILE_TMPDIR/client.pid"
		find /sys/fs/cgroup -depth -type d -name "${PARENT#/}" -exec rmdir {} + 2>/dev/null
	fi
	vz_teardown_file
}

setup() {
	needs_command containerd ctr socat
	client_works || skip "no grpc for Debian's Python"
	[[ -x /usr/lib/cni/bridge ]] || skip "no network plugins"
	vz_setup
	POD=$(<"$BATS_FILE_TMPDIR/pod") POD_CONFIG=$(<"$BATS_FILE_TMPDIR/pod.json")
}

teardown() {
	[[ -n ${T:-} ]] || return 0
	remove_all "$(<"$BATS_FILE_TMPDIR/pod")"
	vz_teardown
}

# remove_all [POD]: all containers, and all pods but one.
remove_all() {
	local id

	cri ListContainers
	for id in $(jq -r '.containers[].id' <<<"$output"); do cri RemoveContainer "{\"container_id\": \"$id\"}"; done
	cri ListPodSandbox
	for id in $(jq -r '.items[].id' <<<"$output"); do
		[[ $id != "${1:-}" ]] || continue
		cri StopPodSandbox "{\"pod_sandbox_id\": \"$id\"}"
		cri RemovePodSandbox "{\"pod_sandbox_id\": \"$id\"}"
	done
}

# cri CALL [JSON]: $answer is ok or error, $output what came with it.
cri() {
	output=$(printf '%s %s\n' "$1" "${2//$'\n'/ }" | socat -t 90 - "UNIX-CONNECT:$BATS_FILE_TMPDIR/client.sock" 3>&- 4>&-)
	answer=${output%% *} output=${output#* }
}

gives() {
	cri "$@"
	[[ $answer == ok ]] && return 0
	printf '%s %s: %s\n' "$1" "${2:-}" "$output"
	return 1
}

refuses() {
	local text=$1

	shift
	cri "$@"
	# shellcheck disable=SC2053
	[[ $answer == error && $output == $text ]] && return 0
	printf '%s: %s %s\nexpected: error %s\n' "$*" "$answer" "$output" "$text"
	return 1
}

# get FILTER: of the last answer.
get() { jq -r "$@" <<<"$output"; }

image_known() { cri ImageStatus "{\"image\": {\"image\": \"$IMAGE\"}}" && [[ $(get .image.id) == sha256:* ]]; }

# run_pod NAME [FILTER]: a pod of the host's network, which FILTER changes: $POD, $POD_CONFIG.
run_pod() {
	POD_CONFIG=$(jq -nc --arg name "$1" --arg dir "$BATS_FILE_TMPDIR/logs" --arg parent "$PARENT" '{
		metadata: { name: $name, uid: "uid-\($name)", namespace: "vz" }, log_directory: $dir,
		linux: { cgroup_parent: $parent, security_context: { namespace_options: { network: "NODE", pid: "CONTAINER" } } }
	} | '"${2:-.}")
	gives RunPodSandbox "{\"config\": $POD_CONFIG, \"runtime_handler\": \"vzrun\"}" && POD=$(get .pod_sandbox_id)
}

own_network='.hostname = "pod" | .linux.security_context.namespace_options.network = "POD"'

# container_config NAME SCRIPT [FILTER]
container_config() {
	jq -nc --arg name "$1" --arg script "$2" --arg image $IMAGE --arg marker "$VZRUN_TEST_ID" '{
		metadata: { name: $name }, image: { image: $image }, command: ["sh", "-c", $script], log_path: "\($name).log",
		envs: [{ key: "VZRUN_TEST_ID", value: $marker }],
		linux: { security_context: { namespace_options: { network: "NODE", pid: "CONTAINER" } } } } | '"${3:-.}"
}

# container NAME SCRIPT [FILTER]: in $POD, started: $C.  Containers ask for the namespaces of their pod, as the kubelet does.
create() {
	local config

	config=$(container_config "$@") || return
	config=$(jq -c --argjson p "$POD_CONFIG" '.linux.security_context.namespace_options =
		$p.linux.security_context.namespace_options + (.linux.security_context.namespace_options | del(.network))' <<<"$config")
	rm -f "$BATS_FILE_TMPDIR/logs/$1.log"
	gives CreateContainer "{\"pod_sandbox_id\": \"$POD\", \"config\": $config, \"sandbox_config\": $POD_CONFIG}" &&
		C=$(get .container_id)
}
container() { create "$@" && gives StartContainer "{\"container_id\": \"$C\"}"; }

status_of() { gives ContainerStatus "{\"container_id\": \"$1\", \"verbose\": true}"; }
state_of_is() { status_of "$1" && [[ $(get .status.state) == "$2" ]]; }
pid_in() { status_of "${1:-$C}" && get '.info.info | fromjson | .pid'; }

# ends CODE: the container ends with that exit status.
ends() {
	wait_until state_of_is "$C" EXITED && assert_eq "$(get .status.exit_code)" "$1"
}

# log NAME: the text of its standard output and error; the lines' form is looked at as well.
log() {
	! grep -vE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[-+][0-9:]+) std(out|err) [FP] ' "$BATS_FILE_TMPDIR/logs/$1.log" &&
		cut -d' ' -f4- "$BATS_FILE_TMPDIR/logs/$1.log"
}

# prints TEXT SCRIPT [FILTER]: a container that ends with status 0 and has said TEXT.
prints() {
	container c0 "${@:2}" && ends 0 || { log c0; return 1; }
	assert_eq "$(log c0)" "$1" && gives RemoveContainer "{\"container_id\": \"$C\"}"
}

# exec_sync CODE SCRIPT: in $C.
exec_sync() {
	gives ExecSync "$(jq -nc --arg c "$C" --arg s "$2" '{ container_id: $c, cmd: ["sh", "-c", $s], timeout: 30 }')" &&
		assert_eq "$(get .exit_code)" "$1"
}

# stream_of CALL FIELDS STEPS: the streaming server: $output as the client describes it.
stream_of() {
	gives "$1" "$(jq -nc --arg c "$C" "{ container_id: \$c, $2 }")" && gives stream "$(get .url) $3"
}

@test "cri: the engine is ready, and has the handler" {
	gives Status '{"verbose": true}'
	assert_eq "$(get '[.status.conditions[] | select(.status and (.type | endswith("Ready"))) | .type] | sort | join(" ")')" \
		"NetworkReady RuntimeReady"
	assert_eq "$(get '.info.config | fromjson | .containerd.runtimes.vzrun.options.BinaryName')" "$VZRUN"
}

@test "cri: a container's life: created, running, exited, removed; its log" {
	create c1 'echo out; echo err >&2; sleep 1; exit 7'
	status_of "$C"
	assert_eq "$(get .status.state)" CREATED
	gives StartContainer "{\"container_id\": \"$C\"}"
	ends 7
	assert_eq "$(get .status.reason)" Error
	assert_eq "$(log c1 | sort)" $'err\nout'
	grep -q ' stdout F out$' "$BATS_FILE_TMPDIR/logs/c1.log"
	grep -q ' stderr F err$' "$BATS_FILE_TMPDIR/logs/c1.log"
	refuses '*CONTAINER_EXITED state*' StartContainer "{\"container_id\": \"$C\"}"
	gives RemoveContainer "{\"container_id\": \"$C\"}"
	refuses 'NOT_FOUND*' ContainerStatus "{\"container_id\": \"$C\"}"
}

@test "cri: programs that cannot be executed say why" {
	create c1 '' '.command = ["/nonexistent"]'
	refuses '*exec: "/nonexistent"*o such file or directory*' StartContainer "{\"container_id\": \"$C\"}"
	status_of "$C"
	assert_eq "$(get '.status | "\(.state) \(.exit_code) \(.reason)"')" "EXITED 128 StartError"
	create c2 '' '.command = ["/etc/passwd"]'
	refuses '*exec: "/etc/passwd"*ermission denied*' StartContainer "{\"container_id\": \"$C\"}"
}

@test "cri: exec waits for the program and hands over what it says" {
	container c1 'sleep 1000'
	exec_sync 3 'echo out; echo err >&2; exit 3'
	assert_eq "$(get '.stdout + .stderr')" $'out\nerr'
	exec_sync 0 'readlink /proc/1/ns/net'
	assert_eq "$(get .stdout)" "$(readlink "/proc/$(pid_in)/ns/net")"
	refuses '*exec: "/nonexistent"*' ExecSync "{\"container_id\": \"$C\", \"cmd\": [\"/nonexistent\"], \"timeout\": 30}"
	refuses 'DEADLINE_EXCEEDED*' ExecSync "{\"container_id\": \"$C\", \"cmd\": [\"sleep\", \"1000\"], \"timeout\": 1}"
	wait_until sleepers_are 1
}

sleepers_are() { exec_sync 0 'ps -o args | grep -c "^sleep 1000"' && [[ $(get .stdout) == "$1" ]]; }

@test "cri: streams: exec with input, exit status, terminal and its size; attach" {
	container c1 'echo ready; while read -r line; do echo "got $line"; done' '.stdin = true'
	stream_of Exec 'cmd: ["sh", "-c", "read a; echo $a; echo err >&2; exit 5"], stdin: true, stdout: true, stderr: true' \
		'[{"in": "word\n"}]'
	assert_eq "$(get '"\(.stdout)\(.stderr)\(.status.details.causes[0].message)"')" $'word\nerr\n5'
	stream_of Exec 'cmd: ["sh"], stdin: true, stdout: true, tty: true' \
		'[{"size": [123, 45]}, {"in": "tty; sleep 0.3; stty size; exit 0\n"}, {"expect": "45 123"}]'
	assert_match "$(get .stdout)" "*/dev/pts/*45 123*"
	assert_eq "$(get .status.status)" Success
	stream_of Attach 'stdin: true, stdout: true, stderr: true' '[{"in": "hello\n"}, {"expect": "got hello"}, {"leave": true}]'
	assert_eq "$(get .stdout)" "got hello"
	assert_eq "$(log c1)" $'ready\ngot hello'
}

@test "cri: a container with a terminal" {
	container c1 'tty; read -r line; echo "got $line"; exit 4' '.stdin = true | .tty = true'
	stream_of Attach 'stdin: true, stdout: true, tty: true' '[{"in": "hello\n"}, {"expect": "got hello"}]'
	ends 4
	assert_match "$(log c1)" "/dev/pts/*hello*got hello*"
}

@test "cri: logs: long lines, and a log that is opened anew" {
	local dir=$BATS_FILE_TMPDIR/logs

	container c1 'head -c 20000 /dev/zero | tr "\0" x; echo; while [ ! -e /go ]; do sleep 0.1; done; echo second; sleep 1000'
	wait_until grep -q ' stdout F x' "$dir/c1.log"
	assert_eq "$(awk '{ n[$3] += length($4) } END { print n["P"] + n["F"], (n["P"] >= 16000) }' "$dir/c1.log")" "20000 1"
	mv "$dir/c1.log" "$T/rotated"
	gives ReopenContainerLog "{\"container_id\": \"$C\"}"
	exec_sync 0 'touch /go'
	wait_until grep -q ' stdout F second$' "$dir/c1.log"
	assert_eq "$(log c1)" second
}

@test "cri: what the kubelet asks of processes: user, groups, capabilities, root, seccomp, privileges" {
	prints '1234 2000 2000 3000' 'echo $(id -u) $(id -g) $(id -G)' '.linux.security_context += {
		run_as_user: { value: 1234 }, run_as_group: { value: 2000 }, supplemental_groups: [3000] }'
	prints 0000000000001000 'awk "/CapEff/ { print \$2 }" /proc/self/status' '.linux.security_context.capabilities = {
		drop_capabilities: ["ALL"], add_capabilities: ["NET_ADMIN"] }'
	prints '2 1 1' 'echo $(awk "/^(Seccomp|NoNewPrivs):/ { print \$2 }" /proc/self/status | sort -r) \
		$(touch /x 2>/dev/null; echo $?)' \
		'.linux.security_context += { seccomp: { profile_type: "RuntimeDefault" }, no_new_privs: true, readonly_rootfs: true }'
	prints '1 /masked' 'echo $(ls -A /masked | wc -l) $(ls -d /masked)' '.linux.security_context.masked_paths = ["/proc/kcore"] |
		.mounts = [{ container_path: "/masked", host_path: "'"$BATS_FILE_TMPDIR"'/bundle/rootfs/home", readonly: true }]'
}

@test "cri: a privileged container" {
	run_pod p1 '.linux.security_context.privileged = true'
	prints 'rw rw 0 0' 'echo $(awk "\$5 == \"/sys\" || \$5 == \"/proc\" { print substr(\$6, 1, 2) }" /proc/self/mountinfo) \
		$(awk "/^(Seccomp|NoNewPrivs):/ { print \$2 }" /proc/self/status)' '.linux.security_context.privileged = true'
	container c1 'sleep 1000' '.linux.security_context.privileged = true'
	exec_sync 0 'find /dev -type c -maxdepth 1 | wc -l'
	[[ $(get .stdout) -gt 15 ]]
}

@test "cri: what the kubelet asks of the pod: host name, sysctls, shared namespaces" {
	run_pod p1 "$own_network"' | .hostname = "somebody" |
		.linux.sysctls = { "net.ipv4.ip_unprivileged_port_start": "1024", "kernel.shm_rmid_forced": "1" } |
		.linux.security_context.namespace_options.pid = "POD"'
	prints 'somebody 1024 1 sleep' 'cd /proc/sys && echo $(hostname) \
		$(cat net/ipv4/ip_unprivileged_port_start kernel/shm_rmid_forced /proc/1/comm)' '.linux.security_context.namespace_options.pid = "POD"'
	container c1 'sleep 1000' '.linux.security_context.namespace_options.pid = "CONTAINER"'
	exec_sync 0 'ps | grep -c sleep'
	local target=$C first

	first=$(readlink "/proc/$(pid_in)/ns/pid")
	prints "$first" 'readlink /proc/self/ns/pid' \
		'.linux.security_context.namespace_options += { pid: "TARGET", target_id: "'"$target"'" }'
}

@test "cri: devices, mounts, propagation, environment, working directory" {
	mkdir "$T/vol"
	echo content >"$T/vol/file"
	prints 'content 1 shared: b /tmp 1:3' 'echo $(cat /vol/file) $(echo x 2>/dev/null >/vol/file; echo $?) \
		$(awk "\$5 == \"/vol2\" { print substr(\$7, 1, 7) }" /proc/self/mountinfo) $A $(pwd) $(stat -c %t:%T /dev/other)' \
		'.envs += [{ key: "A", value: "b" }] | .working_dir = "/tmp" |
		.devices = [{ container_path: "/dev/other", host_path: "/dev/null", permissions: "rwm" }] | .mounts = [
		{ container_path: "/vol", host_path: "'"$T"'/vol", readonly: true },
		{ container_path: "/vol2", host_path: "'"$T"'/vol", propagation: "BIDIRECTIONAL" }]'
}

# limit CONTROLLER FILE: of $C.
limit() { cat "$(cg_dir "$(pid_in)" "$1")/$2"; }

# limits_are MEMORY QUOTA PERIOD SHARES|WEIGHT
limits_are() {
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(limit memory memory.max) $(limit cpu cpu.max) $(limit cpu cpu.weight)" "$1 $2 $3 $5"
	else
		assert_eq "$(limit memory memory.limit_in_bytes) $(limit cpu cpu.cfs_quota_us)" "$1 $2"
		assert_eq "$(limit cpu cpu.cfs_period_us) $(limit cpu cpu.shares)" "$3 $4"
	fi
}

@test "cri: limits, and update of them while it runs" {
	container c1 'sleep 1000' '.linux.resources = { cpu_period: 100000, cpu_quota: 50000, cpu_shares: 512,
		memory_limit_in_bytes: 67108864, oom_score_adj: 500 }'
	limits_are 67108864 50000 100000 512 59
	assert_eq "$(cat "/proc/$(pid_in)/oom_score_adj")" 500
	gives UpdateContainerResources "{\"container_id\": \"$C\", \"linux\": { \"cpu_period\": 100000, \"cpu_quota\": 25000,
		\"cpu_shares\": 1024, \"memory_limit_in_bytes\": 100663296 }}"
	limits_are 100663296 25000 100000 1024 100
	exec_sync 0 true
	status_of "$C"
	assert_eq "$(get .status.resources.linux.memory_limit_in_bytes)" 100663296
}

@test "cri: out of memory is told" {
	container c1 'tail /dev/zero; exit $?' '.linux.resources = {
		memory_limit_in_bytes: 16777216, memory_swap_limit_in_bytes: 16777216 }'
	ends 137
	wait_until reason_is OOMKilled
}

reason_is() { status_of "$C" && [[ $(get .status.reason) == "$1" ]]; }

@test "cri: statistics of a container and of a pod" {
	container c1 'head -c 3000000 /dev/zero | tail -c 3000000 >/dev/shm/x; sleep 1000'
	wait_until has_memory 1000000
	[[ $(get .stats.cpu.usage_core_nano_seconds.value) -gt 0 ]]
	gives PodSandboxStats "{\"pod_sandbox_id\": \"$POD\"}"
	[[ $(get .stats.linux.memory.usage_bytes.value) -ge 1000000 ]]
	[[ $(get '.stats.linux.containers | length') == 1 ]]
}

has_memory() {
	gives ContainerStats "{\"container_id\": \"$C\"}" && [[ $(get .stats.memory.usage_bytes.value) -ge $1 ]]
}

@test "cri: stop gives time, and kills after it; a pod ends with its containers" {
	run_pod p1 "$own_network"
	container c1 'trap "echo bye; exit 5" TERM; while :; do sleep 0.1; done'
	sleep 0.5
	gives StopContainer "{\"container_id\": \"$C\", \"timeout\": 30}"
	ends 5
	assert_eq "$(log c1)" bye
	container c2 'trap "" TERM; while :; do sleep 0.1; done'
	gives StopContainer "{\"container_id\": \"$C\", \"timeout\": 1}"
	ends 137
	container c3 'sleep 1000'
	gives StopPodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
	ends 137
	gives PodSandboxStatus "{\"pod_sandbox_id\": \"$POD\"}"
	assert_eq "$(get .status.state)" NOTREADY
	gives RemovePodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
	refuses 'NOT_FOUND*' PodSandboxStatus "{\"pod_sandbox_id\": \"$POD\"}"
	[[ -z $(find /sys/fs/cgroup -name "*$POD*") ]]
}

@test "cri: a container in the host's process namespace leaves nobody behind" {
	container c1 'sleep 1000 & echo child $!; exit 3' '.linux.security_context.namespace_options.pid = "NODE"'
	ends 3
	wait_until gone "$(log c1 | cut -d' ' -f2)"
}

gone() { [[ ! -e /proc/$1/exe ]]; }

# address: of the pod.
address() { gives PodSandboxStatus "{\"pod_sandbox_id\": \"$POD\"}" && get .status.network.ip; }

network_is() { gives Status '{"verbose": true}' && get '.info.cniconfig' | grep -q "vzrun-$1"; }

@test "cri: pods with a network of their own, behind a bridge and point to point" {
	local first server

	run_pod p1 "$own_network"
	first=$(address)
	assert_match "$first" "10.99.0.*"
	container c1 'echo hello | nc -l -p 8000; sleep 1000'
	server=$C
	exec_sync 0 'ip -o -4 addr show dev eth0; ip -o link show dev lo'
	assert_match "$(get .stdout)" "*$first/24*LOOPBACK,UP*"
	run_pod p2 "$own_network"
	[[ $(address) != "$first" ]]
	container c2 "nc -w 10 $first 8000"
	ends 0
	assert_eq "$(log c2)" hello
	[[ $(readlink "/proc/$(pid_in)/ns/net") != "$(readlink "/proc/$(pid_in "$server")/ns/net")" ]]
	network ptp
	wait_until network_is ptp
	run_pod p3 "$own_network"
	prints "$(address)/24" 'ip -o -4 addr show dev eth0 | awk "{ print \$4 }"'
}

@test "cri: annotations of the pod and of the container that the handler lets through" {
	local dir=$BATS_FILE_TMPDIR/state/io.containerd.runtime.v2.task/k8s.io

	run_pod p1 '.annotations = { "org.openvz.proc": "off", "org.openvz.capability": "sys_admin:on" }'
	container c1 'sleep 1000' '.annotations = { "org.openvz.numproc": "77", "example.org/other": "no" }'
	note() { jq -r ".annotations[\"$2\"]" "$dir/$1/config.json"; }
	assert_eq "$(note "$C" org.openvz.proc) $(note "$C" org.openvz.numproc) $(note "$C" org.openvz.capability) $(note "$C" example.org/other)" "off 77 null null"
	assert_eq "$(note "$POD" org.openvz.proc)" off
	assert_eq "$("$VZRUN" --root "$BATS_FILE_TMPDIR/runtime/k8s.io" state "$C" | jq -r '.annotations["org.openvz.numproc"]')" 77
	assert_eq "$(cat "$(cg_dir "$(pid_in)" pids)/pids.max")" 77
}

@test "cri: containers outlive the engine" {
	container c1 'n=0; while :; do n=$((n + 1)); echo $n; sleep 0.2; done'
	local first=$C last

	container c2 'while [ ! -e /stop/now ]; do sleep 0.1; done; exit 9' \
		".mounts = [{ container_path: \"/stop\", host_path: \"$T\" }]"
	end_process "$BATS_FILE_TMPDIR/pid"
	touch "$T/now"
	sleep 1
	start_engine
	# containerd 1.7 no longer knows the status of one that ended meanwhile, whatever the runtime, and says 255.
	wait_until state_of_is "$C" EXITED
	assert_match "$(get .status.exit_code)" '@(9|255)'
	C=$first
	state_of_is "$C" RUNNING
	exec_sync 0 'echo there'
	assert_eq "$(get .stdout)" there
	last=$(log c1 | tail -n 1)
	wait_until log_beyond "$last"
	gives StopContainer "{\"container_id\": \"$C\", \"timeout\": 0}"
	ends 137
}

log_beyond() { [[ $(log c1 | tail -n 1) -gt $1 ]]; }

# userns_pod VERSIONS WHAT: the versions of containerd that VERSIONS matches are too old.
userns_pod() {
	ids='[{ "host_id": 100000, "container_id": 0, "length": 65536 }]'

	gives Version
	# shellcheck disable=SC2053
	[[ $(get .runtime_version) != $1 ]] || skip "this containerd has no user namespaces for $2"
	run_pod p1 "$own_network | .linux.security_context.namespace_options.userns_options = {
		mode: \"POD\", uids: $ids, gids: $ids }"
}

@test "cri: a pod in a user namespace" {
	userns_pod '1.6.*' pods
	prints '0 100000 65536 0 0' 'echo $(awk "{ print \$1, \$2, \$3 }" /proc/self/uid_map) $(stat -c "%u %g" /etc/passwd)'
}

@test "cri: a volume in a user namespace keeps its owners" {
	userns_pod '1.*' volumes
	mkdir "$T/vol"
	prints '0 0' 'touch /vol/file && stat -c "%u %g" /vol/file' ".mounts = [{ container_path: \"/vol\", host_path: \"$T/vol\",
		uidMappings: $ids, gidMappings: $ids }]"
	assert_eq "$(stat -c '%u %g' "$T/vol/file")" '0 0'
}
