# SPDX-License-Identifier: LGPL-2.1-or-later
# For the files that test containerd by its ctr: a daemon of the test's own, an image made here, no registry.
# VZ_MANAGER=systemd: with units of systemd.
#
#   c ARGS...                               ctr ARGS: $status, $output, $stderr      gives STATUS ARGS...   must end with STATUS
#   box STATUS OPTIONS... IMAGE ID ARGS...  ctr run with what the tests need         script_c ARGS...       ctr on a terminal
#   task_is ID STATUS, task_pid ID, rm_says STATUS ID: the exit status that `task rm` tells

load ../lib/helpers
load client

containerd_setup_file() {
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

containerd_teardown_file() {
	local pid=

	[[ ! -e $BATS_FILE_TMPDIR/pid ]] || pid=$(cat "$BATS_FILE_TMPDIR/pid")
	if [[ -n $pid ]]; then
		kill "$pid"
		wait_until test ! -e "/proc/$pid/exe"
	fi
	vz_teardown_file
}

containerd_setup() {
	needs_command containerd ctr
	vz_setup
}

containerd_teardown() {
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

