# SPDX-License-Identifier: LGPL-2.1-or-later
# For the files that test podman and buildah: an engine of the test's own (storage, configuration), an image made here, no
# registry and no network.  A call costs two seconds in an emulated guest and a foreground run five, so tests look at much
# in one container.  VZ_MANAGER=cgroupfs|systemd: who makes the cgroups.  VZ_AS=session|user: a plain user with or without a
# systemd of its own (tests/vm/run-test); without one there are no cgroups for containers.
#
#   raw ARGS...             podman ARGS                     $IN         a file to be its standard input
#   pod ARGS...             the same: $status, $output, $stderr
#   gives STATUS ARGS...    must end with STATUS
#   box VERB ARGS...        run or create with what the tests need; box_gives STATUS VERB ARGS...
#   pid_in NAME             the container's process         cg_of NAME FILE     a file of its cgroup
#   starts NAME ARGS...     run -d --name NAME              as_is ROOTS USERS   what is expected of root, of a plain user

load ../lib/helpers
load client

IMAGE=localhost/vzrun-test:1
MANAGER=${VZ_MANAGER:-cgroupfs}

# Limits that need no right: the machine may lack CAP_SYS_RESOURCE.
ULIMITS=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

# An emulated guest takes more than a minute for a privileged container, with all devices of the host.
POD_LIMIT=60
[[ -z ${VZ_LEG:-} ]] || POD_LIMIT=180

podman_setup_file() {
	command -v podman >/dev/null && command -v conmon >/dev/null || return 0
	export POD=$BATS_FILE_TMPDIR/podman CONTAINERS_CONF=$BATS_FILE_TMPDIR/containers.conf
	mkdir "$POD"
	podman_config >"$CONTAINERS_CONF"
	[[ ${VZ_AS:-root} != user ]] || export XDG_RUNTIME_DIR=$BATS_FILE_TMPDIR/runtime
	[[ ${VZ_AS:-root} != user ]] || mkdir -m 700 "$XDG_RUNTIME_DIR"
	[[ ! -e $(pause_file) ]] || touch "$BATS_FILE_TMPDIR/not-our-pause"
	sh "$TOP/contrib/bundle.sh" "$BATS_FILE_TMPDIR/rootfs" true
	# With a plain user as its owner, the image is one that few id maps suit.
	tar -C "$BATS_FILE_TMPDIR/rootfs/rootfs" --owner 0 --group 0 --numeric-owner -cf "$BATS_FILE_TMPDIR/image.tar" .
	raw import "$BATS_FILE_TMPDIR/image.tar" $IMAGE >/dev/null 2>"$BATS_FILE_TMPDIR/import.err" ||
		{ cat "$BATS_FILE_TMPDIR/import.err"; return 1; }
}

# The example of contrib, with the program under test and apart from the machine's own podman.
podman_config() {
	sed "s,^vzrun = .*,vzrun = [\"$VZRUN\"]," "$TOP/contrib/engines/podman.conf"
	# Parts of the table [engine] that the example leaves alone.
	cat <<-C
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
	C
}

podman_teardown_file() {
	local m

	vz_teardown_file
	[[ ${VZ_AS:-root} == root ]] || end_rootless
	while read -r m; do umount -l "$m"; done < <(awk -v d="$BATS_FILE_TMPDIR/podman" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo | sort -r)
}

# A plain user's storage has files of the user's subordinate ids, and a process that keeps the namespaces of all of podman's calls.
end_rootless() {
	[[ -n ${POD:-} ]] || return 0
	raw unshare sh -c 'umount -l "$1/overlay" 2>/dev/null; rm -rf "$@"' sh "$POD/root" "$POD/run"
	[[ ! -e $BATS_FILE_TMPDIR/not-our-pause && -e $(pause_file) ]] || return 0
	kill "$(<"$(pause_file)")"
	# podman does not do without a process that is named there.
	rm -f "$(pause_file)" "$(dirname "$(pause_file)")/ns_handles"
}
pause_file() { echo "${XDG_RUNTIME_DIR:-/run/user/$EUID}/libpod/tmp/pause.pid"; }

as_is() { if [[ ${VZ_AS:-root} == root ]]; then echo "$1"; else echo "$2"; fi; }

raw() (
	cd "$BATS_FILE_TMPDIR" || return # conmon writes there
	timeout -k 5 "${POD_TIMEOUT:-$POD_LIMIT}" podman --root "$POD/root" --runroot "$POD/run" --tmpdir "$POD/tmp" \
		--storage-driver "${POD_STORAGE:-overlay}" --cgroup-manager "$MANAGER" --events-backend file "$@" \
		<"${IN:-/dev/null}" 3>&- 4>&-
)

podman_setup() {
	needs_command podman conmon
	[[ ${VZ_AS:-root} != unshare ]] || skip "needs root: or ids of its own"
	vz_setup
	PARENT=/vzpod$$n$BATS_TEST_NUMBER
	case $MANAGER:${VZ_AS:-root} in
	systemd:*) PARENT=vzpod$$n$BATS_TEST_NUMBER.slice ;;
	# Beside the cgroup that we are in: below one that has processes most controllers cannot be enabled.
	*:session) PARENT=$(sed -n 's,^0::\(.*\)/[^/]*$,\1,p' /proc/self/cgroup)$PARENT ;;
	*:user) PARENT= ;;
	esac
	RUN=(--network none ${PARENT:+--cgroup-parent "$PARENT"} --env "VZRUN_TEST_ID=$VZRUN_TEST_ID")
	[[ ${VZ_AS:-root} == root ]] || export AUDIT_STATE=${XDG_RUNTIME_DIR:-/run/user/$EUID}/vzrun
}

podman_teardown() {
	[[ -n ${T:-} ]] || return 0
	if has_containers; then
		raw rm -a -f -t 0 >/dev/null 2>&1
		! has_containers || raw pod rm -a -f -t 0 >/dev/null 2>&1
	fi
	remove_parents
	# Root of podman's user namespace is the user.
	[[ ${VZ_AS:-root} == root || -z $(find "$T" ! -uid "$EUID" -print -quit 2>/dev/null) ]] || raw unshare chown -R 0:0 "$T"
	# podman's own, which it takes away now and then.
	[[ ${VZ_AS:-root} != root ]] || umount "$POD/root/overlay" 2>/dev/null
	vz_teardown
}

# Without asking podman, which takes its time: most tests leave nothing.
has_containers() { cat "$POD"/root/*-containers/*containers.json 2>/dev/null | grep -q '"id"'; }

# The containers' parent, a pod's and conmon's group are the engine's to remove, and on v1 it does not know every
# hierarchy.  Containers' own are named libpod-ID: none of those may be left.
remove_parents() {
	local i d

	[[ -n $PARENT ]] || return 0
	if [[ $MANAGER == systemd ]]; then
		systemctl $(as_is --system --user) stop "$PARENT" >/dev/null 2>&1
		return 0
	fi
	for ((i = 0; i < 20; i++)); do
		for d in $(find /sys/fs/cgroup -type d -path "*$PARENT"); do
			rmdir "$d"/{conmon,[0-9a-f]*,} 2>/dev/null
		done
		[[ -n $(find /sys/fs/cgroup -type d -path "*$PARENT") ]] || return 0
		sleep 0.1
	done
}

pod() { ask raw "$@"; }
CLIENT=pod

box() {
	local verb=$1

	shift
	pod "$verb" "${ULIMITS[@]}" "${RUN[@]}" "$@"
}

box_gives() {
	local want=$1 verb=$2

	shift 2
	gives "$want" "$verb" "${ULIMITS[@]}" "${RUN[@]}" "$@"
}

starts() {
	local name=$1

	shift
	box_gives 0 run -d --name "$name" "$@"
}

pid_in() { raw inspect "$1" --format '{{.State.Pid}}'; }

# cg_of PID FILE...: words of the files of its cgroup on one line.  A process of a unit below it stands deeper: $CG_UP.
cg_of() {
	local pid=$1 dir file

	shift
	for file; do
		dir=$(cg_dir "$pid" "${file%%.*}") || return
		tr '\n' ' ' <"$dir/${CG_UP:-}$file"
	done
}

# v2_or_v1 A B: what the mode of the host calls for
v2_or_v1() { if [[ $(cg_mode) == v2 ]]; then echo "$1"; else echo "$2"; fi; }
