#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore up to CRIU: what it is asked (tests/lib/criu-stub.py stands for it), and what is said of one that cannot.

load ../lib/helpers

setup() {
	needs_root
	vz_setup
	IMG=$T/images STUB=$T/stub
	mkdir "$STUB"
	install -m 755 "$TOP/tests/lib/criu-stub.py" "$STUB/criu"
	echo 4.1.1 >"$STUB/version"
	export PATH=$STUB:$PATH
	set_args sleep 1000
}

start() { ok run --detach --bundle "$BUNDLE" "$@" "$ID"; }

# asked FILTER: of the last request.
asked() { tail -n 1 "$STUB/asked" | jq -c "$1"; }

checkpoint_fails() { fails "$1" checkpoint --image-path "$IMG" "${@:2}" "$ID"; }

# make_images ARG...: that the stub has not written: only what CRIU is then asked for counts.
make_images() {
	start
	touch "$STUB/dumps"
	ok checkpoint --image-path "$IMG" "$@" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

restore_fails() { fails "$1" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "${@:2}" "$ID"; }

goes_on() {
	state_is "$ID" running
	[[ ! -e $IMG/vzrun.json ]]
}

@test "checkpoint: a CRIU that cannot run on this kernel is said so, with the version that can" {
	start
	touch "$STUB/too-new-kernel"
	checkpoint_fails "CRIU 4.1.1 cannot run on this kernel (Linux $(uname -r)): a newer CRIU is needed, 4.1 or later for Linux 6.12 and later"
	assert_match "$stderr" "*it said: the stub does nothing (log: $IMG/dump.log)*"
	goes_on
	for options in --pre-dump '--lazy-pages --page-server 127.0.0.1:7777'; do
		# shellcheck disable=SC2086
		checkpoint_fails "cannot run on this kernel" $options
		goes_on
	done
	rm "$STUB/too-new-kernel"
	checkpoint_fails "CRIU: the stub does nothing (log: $IMG/dump.log)"
	[[ $stderr != *kernel* ]]
	goes_on
}

@test "restore: a CRIU that cannot run on this kernel is said so, with the version that can" {
	make_images
	touch "$STUB/too-new-kernel"
	restore_fails "CRIU 4.1.1 cannot run on this kernel (Linux $(uname -r)): a newer CRIU is needed"
	assert_match "$stderr" "*it said: the stub does nothing (log: $IMG/restore.log)*"
	[[ ! -e $ROOT/$ID ]]
}

@test "checkpoint, restore: a CRIU that is too old, and none at all" {
	make_images
	start
	echo 3.14.0 >"$STUB/version"
	checkpoint_fails 'CRIU 3.14 is too old: at least 3.15 is needed'
	fails 'CRIU 3.14 is too old: at least 3.15 is needed' restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID-2"
	[[ ! -e $ROOT/$ID-2 ]]
	state_is "$ID" running
	[[ ! -x /usr/sbin/criu ]] || return 0 # it is found without PATH
	rm "$STUB/criu"
	checkpoint_fails 'there is no program "criu": install CRIU'
	state_is "$ID" running
}

@test "restore: a CRIU that does not know --lsm-mount-context" {
	echo 3.15.0 >"$STUB/version"
	make_images
	restore_fails '--lsm-mount-context: CRIU 3.15 cannot, 3.16 and later can' --lsm-mount-context x
	[[ ! -e $ROOT/$ID ]]
}

@test "checkpoint: each option is what CRIU is asked for" {
	start
	checkpoint_fails 'stub'
	assert_eq "$(asked .pid)" "$(pid_of "$ID")"
	assert_eq "$(asked '[.leave_running, .ext_unix_sk, .tcp_established, .tcp_skip_in_flight, .shell_job, .file_locks, .link_remap, .auto_dedup,
		.lazy_pages, .track_mem, .empty_ns, .network_lock, .ps, .parent_img, .config_file]')" \
		'[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]'
	checkpoint_fails 'stub' --leave-running --ext-unix-sk --tcp-established --tcp-skip-in-flight --shell-job --file-locks --link-remap \
		--page-server 127.0.0.1:7777 --empty-ns network --network-lock iptables --manage-cgroups-mode full
	assert_eq "$(asked '[.what, .leave_running, .ext_unix_sk, .tcp_established, .tcp_skip_in_flight, .shell_job, .file_locks, .link_remap,
		.ps[0].address, .ps[0].port, .empty_ns, .network_lock, .manage_cgroups_mode]')" \
		'[1,1,1,1,1,1,1,1,"127.0.0.1",7777,1073741824,1,4]'
	checkpoint_fails 'stub' --pre-dump
	assert_eq "$(asked '[.what, .track_mem, .leave_running]')" '[4,1,null]'
	for mode in ignore=0 soft=3 full=4 strict=5; do
		checkpoint_fails 'stub' --manage-cgroups-mode "${mode%=*}"
		assert_eq "$(asked .manage_cgroups_mode)" "${mode#*=}"
	done
	for lock in iptables=1 nftables=2 skip=3; do
		checkpoint_fails 'stub' --network-lock "${lock%=*}"
		assert_eq "$(asked .network_lock)" "${lock#*=}"
	done
	state_is "$ID" running
}

@test "restore: each option is what CRIU is asked for" {
	make_images
	restore_fails 'stub'
	assert_eq "$(asked '[.what, .ext_unix_sk, .tcp_established, .tcp_close, .shell_job, .file_locks, .auto_dedup, .empty_ns, .network_lock,
		.lsm_profile, .lsm_mount_context, .config_file]')" '[2,null,null,null,null,null,null,null,null,null,null,null]'
	restore_fails 'stub' --ext-unix-sk --tcp-established --shell-job --file-locks --auto-dedup --empty-ns network --network-lock iptables
	assert_eq "$(asked '[.ext_unix_sk, .tcp_established, .shell_job, .file_locks, .auto_dedup, .empty_ns, .network_lock]')" \
		'[1,1,1,1,1,1073741824,1]'
	restore_fails 'stub' --tcp-close
	assert_eq "$(asked .tcp_close)" 1
	restore_fails 'stub' --lsm-profile apparmor:unconfined
	assert_eq "$(asked .lsm_profile)" '"apparmor:unconfined"'
	restore_fails 'stub' --lsm-mount-context system_u:object_r:container_file_t:s0:c1,c2
	assert_eq "$(asked .lsm_mount_context)" '"system_u:object_r:container_file_t:s0:c1,c2"'
	[[ ! -e $ROOT/$ID ]]
}

@test "checkpoint: settings of org.criu.config, of /etc/criu/runc.conf without it, and none of \"\"" {
	cp -a /etc "$T/etc"
	mkdir -p "$T/etc/criu"
	echo tcp-close >"$T/etc/criu/runc.conf"
	in_mount_ns "mount --bind $T/etc /etc"
	start
	checkpoint_fails 'stub'
	assert_eq "$(asked .config_file)" '"/etc/criu/runc.conf"'
	ok delete --force "$ID"
	config_set '.annotations["org.criu.config"] = "/etc/criu/other.conf"'
	start
	checkpoint_fails 'stub'
	assert_eq "$(asked .config_file)" '"/etc/criu/other.conf"'
	ok delete --force "$ID"
	config_set '.annotations["org.criu.config"] = ""'
	start
	checkpoint_fails 'stub'
	assert_eq "$(asked .config_file)" null
}

# with_mount FILTER: the images as if the container had had one mount more from outside, with what the filter says of it.
with_mount() {
	jq '.mounts += [{point: "/mnt", source: "", type: "tmpfs", external: true, directory: true} | '"$1"']' "$T/vzrun.json" >"$IMG/vzrun.json"
}

@test "restore: a mount of which no source is known comes from nowhere, and not from what else the document mounts" {
	add_mount /host bind / bind
	make_images
	cp "$IMG/vzrun.json" "$T"
	with_mount .
	restore_fails 'the container had tmpfs mounted on /mnt from outside, and the document has nothing there: --mount-map /mnt=SOURCE says what to take'
	with_mount 'del(.source)'
	restore_fails 'vzrun.json: /mounts/*/source'
	with_mount 'del(.type)'
	restore_fails 'vzrun.json: /mounts/*/type'
	[[ ! -e $ROOT/$ID ]]
}

@test "restore: --manage-cgroups-mode ignore, of restore or of the images: what CRIU makes has the container's cgroup namespace" {
	config_set '.linux.namespaces |= map(select(.type != "cgroup")) + [{type: "cgroup"}]'
	make_images
	restore_fails 'stub'
	assert_eq "$(asked '[.manage_cgroups_mode, .cgroup_ns]')" "[3,\"$(readlink /proc/self/ns/cgroup)\"]"
	restore_fails 'stub' --manage-cgroups-mode ignore
	assert_eq "$(asked .manage_cgroups_mode)" 0
	[[ $(asked .cgroup_ns) != "\"$(readlink /proc/self/ns/cgroup)\"" ]]
	IMG=$T/images-2
	make_images --manage-cgroups-mode ignore
	restore_fails 'stub'
	assert_eq "$(asked .manage_cgroups_mode)" 0
	[[ $(asked .cgroup_ns) != "\"$(readlink /proc/self/ns/cgroup)\"" ]]
}

@test "restore: a process 1 in a namespace of the host is ended, and the restore refused" {
	make_images
	touch "$STUB/restores"
	restore_fails "/linux/namespaces/0: CRIU has restored process 1 into the host's pid namespace"
	[[ ! -e $ROOT/$ID ]]
	[[ -s $STUB/restored ]]
	wait_until eval '! kill -0 "$(<"$STUB/restored")" 2>/dev/null'
}

@test "checkpoint, restore: a user namespace that is there already is refused" {
	local refused='path: CRIU cannot restore a container into a user namespace that is there already'

	new_userns
	cp "$CONFIG" "$T/own"
	join_user_namespace
	cp "$CONFIG" "$T/joined"
	start
	checkpoint_fails "$refused"
	goes_on
	[[ ! -e $STUB/asked ]]
	ok delete --force "$ID"
	cp "$T/own" "$CONFIG"
	make_images
	cp "$T/joined" "$CONFIG"
	restore_fails "config.json: /linux/namespaces/$(jq '.linux.namespaces | map(.type) | index("user")' "$CONFIG")/$refused"
	assert_eq "$(wc -l <"$STUB/asked")" 1 # to dump
}
