#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SELinux, enforcing, with the policy of tests/lsm/vzrun-test.selinux.  A policy cannot be unloaded: it is loaded only
# where the kernel has SELinux and no policy yet, a guest without policy packages booted with security=selinux.  What a
# host without it says: scheduler.bats.

load ../lib/helpers

selinuxfs=/sys/fs/selinux

# Before a policy is loaded every process is "kernel".
load_policy_once() {
	[[ $EUID == 0 && ,$(cat /sys/kernel/security/lsm 2>/dev/null), == *,selinux,* ]] || return
	command -v checkpolicy >/dev/null || return
	grep -q " $selinuxfs selinuxfs " /proc/mounts || mount -t selinuxfs none "$selinuxfs" || return
	if [[ $(tr -d '\0' </proc/self/attr/current) == kernel ]]; then
		checkpolicy -M -U allow -c 33 -o "$BATS_FILE_TMPDIR/policy" "$BATS_TEST_DIRNAME/../lsm/vzrun-test.selinux" \
			>/dev/null 2>&1 || return
		dd if="$BATS_FILE_TMPDIR/policy" of="$selinuxfs/load" bs=1M 2>/dev/null || return
	fi
	[[ $(tr -d '\0' </proc/self/attr/current) == "$host_label" ]] && echo 1 >"$selinuxfs/enforce"
}

host_label=system_u:system_r:host_t:s0-s0:c0.c3
label=system_u:system_r:container_t:s0:c1,c2
mount_label=system_u:object_r:container_file_t:s0:c1,c2

setup_file() { load_policy_once && touch "$BATS_FILE_TMPDIR/loaded"; true; }

setup() {
	vz_setup
	[[ -e $BATS_FILE_TMPDIR/loaded ]] || skip "needs SELinux without a policy yet"
	[[ $(cat "$selinuxfs/enforce") == 1 ]]
	mkdir "$BUNDLE/rootfs/files"
	put secret system_u:object_r:secret_t:s0
	put mine system_u:object_r:container_file_t:s0:c1
	put others system_u:object_r:container_file_t:s0:c3
}

put() {
	echo "$1" >"$BUNDLE/rootfs/files/$1"
	setfattr -n security.selinux -v "$2" "$BUNDLE/rootfs/files/$1"
}

label() { config_set --arg l "$1" '.process.selinuxLabel = $l'; }

look='tr -d "\0" </proc/self/attr/current; echo; for f in secret mine others; do cat /files/$f 2>/dev/null || echo "no $f"; done'
says() { assert_eq "$output" "$(printf '%s\n' "$@")"; }
# label_of FILE: by the host's eyes
label_of() { getfattr -h --only-values -n security.selinux "$1" 2>/dev/null | tr -d '\0'; }

@test "selinux: a labelled container cannot read what the policy denies, one without a label can" {
	run_sh "$look"
	says "$host_label" secret mine others
	label "$label"
	run_sh "$look"
	says "$label" "no secret" mine "no others"
	label system_u:system_r:container_t:s0:c3
	run_sh "$look"
	says system_u:system_r:container_t:s0:c3 "no secret" "no mine" others
	label ""
	run_sh "$look"
	says "$host_label" secret mine others
}

@test "selinux: noNewPrivileges, a filter, a user namespace and a plain user change nothing" {
	local nnp

	label "$label"
	for nnp in true false; do
		config_set --argjson n "$nnp" '.process.noNewPrivileges = $n'
		run_sh "$look"
		says "$label" "no secret" mine "no others"
	done
	config_set '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}'
	new_userns
	for nnp in true false; do
		config_set --argjson n "$nnp" '.process.noNewPrivileges = $n'
		run_sh "$look"
		says "$label" "no secret" mine "no others"
	done
	config_set '.process.user = {uid: 1000, gid: 1000} | del(.process.capabilities)'
	run_sh "$look"
	says "$label" "no secret" mine "no others"
}

@test "selinux: exec takes the label of the document, --process-label or its own document's" {
	local other=system_u:system_r:container_t:s0:c3

	label "$label"
	start_sleep
	assert_eq "$(tr -d '\0' <"/proc/$(pid_of "$ID")/attr/current")" "$label"
	ok exec "$ID" sh -c "$look"
	says "$label" "no secret" mine "no others"
	ok exec --process-label "$other" "$ID" sh -c "$look"
	says "$other" "no secret" "no mine" others
	jq --arg s "$look" --arg l "$other" '.process | .selinuxLabel = $l | .args = ["sh", "-c", $s]' "$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	says "$other" "no secret" "no mine" others
	jq --arg s "$look" '.process | del(.selinuxLabel) | .args = ["sh", "-c", $s]' "$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	says "$host_label" secret mine others
}

@test "selinux: a label that the policy does not know is named, and nothing is left" {
	local l

	for l in system_u:system_r:nobody_t:s0 nonsense system_u:system_r:container_t:s0:c9; do
		label "$l"
		fails "/process/selinuxLabel: the policy of this system has no label '$l'" create --bundle "$BUNDLE" "$ID"
		fails "/process/selinuxLabel: the policy of this system has no label '$l'" create --no-new-keyring --bundle "$BUNDLE" "$ID"
		[[ ! -e $ROOT/$ID ]]
	done
	config_set 'del(.process.selinuxLabel)'
	start_sleep
	fails "/process/selinuxLabel: the policy of this system has no label 'nonsense'" exec --process-label nonsense "$ID" true
	config_set --arg l nonsense '.linux.mountLabel = $l'
	fails "/linux/mountLabel: the policy of this system has no label 'nonsense'" create --bundle "$BUNDLE" "$ID-2"
	[[ ! -e $ROOT/$ID-2 ]]
}

@test "selinux: a transition that the policy forbids under no_new_privs says so" {
	label system_u:system_r:container_nnp_t:s0
	config_set '.process.noNewPrivileges = false'
	run_sh "$look"
	says system_u:system_r:container_nnp_t:s0 "no secret" "no mine" "no others"
	config_set '.process.noNewPrivileges = true'
	fails "operation not permitted" run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/process/selinuxLabel*container_nnp_t*no_new_privs*"
}

@test "selinux: mountLabel: what the container makes has it, what is the host's keeps its own" {
	local pid root m

	label "$label"
	config_set --arg l "$mount_label" '.linux.mountLabel = $l'
	add_mount /labelled tmpfs tmpfs "context=\"system_u:object_r:container_file_t:s0:c3\""
	add_mount /bound bind "$BUNDLE/rootfs/files" rbind
	add_mount /trace tracefs none ro
	start_sleep
	pid=$(pid_of "$ID")
	root=/proc/$pid/root
	output=$(<"/proc/$pid/mountinfo")
	for m in /dev /dev/pts /dev/shm /sys/firmware; do
		assert_match "$(mount_super "$m")" "*context=\"$mount_label\"*"
		assert_eq "$(label_of "$root$m")" "$mount_label"
	done
	assert_eq "$(label_of "$root/dev/null")" "$mount_label"
	assert_eq "$(label_of "$root/labelled")" system_u:object_r:container_file_t:s0:c3
	assert_eq "$(label_of "$root/bound/secret")" system_u:object_r:secret_t:s0
	for m in /proc /sys /dev/mqueue /trace; do
		assert_match "$(mount_super "$m")" "*"
		[[ $(mount_super "$m") != *context=* ]]
	done
	# what is made there has it, too
	ok exec "$ID" sh -c 'echo x >/dev/shm/file; cat /dev/shm/file; echo y >/labelled/file; cat /labelled/file || echo denied'
	says x denied
	assert_eq "$(label_of "$root/dev/shm/file")" "$mount_label"
}

@test "selinux: mountLabel: a later remount does not speak of it again" {
	label "$label"
	config_set --arg l "$mount_label" '.linux.mountLabel = $l'
	add_mount /again tmpfs tmpfs mode=755
	add_mount /again - - remount ro
	run_sh 'cat /proc/self/mountinfo; touch /again/x 2>/dev/null || echo read-only'
	assert_match "$(mount_super /again)" "*context=\"$mount_label\"*"
	assert_match "$output" "*read-only"
}

@test "selinux: mountLabel: /dev/mqueue, which takes none by option" {
	local pid

	label "$label"
	config_set --arg l "$mount_label" '.linux.mountLabel = $l'
	start_sleep
	pid=$(pid_of "$ID")
	assert_eq "$(label_of "/proc/$pid/root/dev/mqueue")" "$mount_label"
	config_set 'del(.linux.mountLabel)'
	start_sleep "$ID-2"
	[[ $(label_of "/proc/$(pid_of "$ID-2")/root/dev/mqueue") != "$mount_label" ]]
}

@test "selinux: mountLabel in a user namespace: where the kernel takes one" {
	local m

	label "$label"
	config_set --arg l "$mount_label" '.linux.mountLabel = $l'
	new_userns
	start_sleep
	output=$(<"/proc/$(pid_of "$ID")/mountinfo")
	for m in /dev /dev/pts /dev/shm; do
		assert_match "$(mount_super "$m")" "*context=\"$mount_label\"*"
	done
	assert_eq "$(label_of "/proc/$(pid_of "$ID")/root/dev/mqueue")" "$mount_label"
}

@test "selinux: the session keyring has the process's label, a process without one the caller's" {
	label "$label"
	run_probe keylabel
	assert_eq "$output" "$label"
	config_set '.process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	ok exec "$ID" probe keylabel
	assert_eq "$output" "$label"
	config_set 'del(.process.selinuxLabel)'
	ID=$ID-2 run_probe keylabel
	assert_eq "$output" "$host_label"
}

@test "selinux: the label goes to procfs and not to what the container put in its place" {
	mkdir -p "$BUNDLE"/rootfs/proc/{self,thread-self}/attr
	touch "$BUNDLE"/rootfs/proc/{self,thread-self}/attr/{exec,keycreate}
	config_set '.mounts |= map(select(.destination != "/proc")) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	label "$label"
	run_sh 'cat /files/secret || echo denied'
	assert_eq "$output" denied
	[[ ! -s $BUNDLE/rootfs/proc/thread-self/attr/exec && ! -s $BUNDLE/rootfs/proc/thread-self/attr/keycreate ]]
	config_set '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"] | unique)
		| .process.args = ["sh", "-c", "mount -t tmpfs none /proc && mkdir -p /proc/thread-self/attr && : >/proc/thread-self/attr/exec; echo >/ready; exec sleep 1000"]'
	config_set '.mounts += [{destination: "/proc", type: "proc", source: "proc"}]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_until test -e "$BUNDLE/rootfs/ready"
	ok exec "$ID" sh -c 'cat /files/secret || echo denied; cat /proc/thread-self/attr/exec'
	assert_eq "$output" denied
}

@test "selinux: a terminal has the mounts' label" {
	label "$label"
	config_set --arg l "$mount_label" '.linux.mountLabel = $l | .process.terminal = true | .process.args = ["sleep", "1000"]'
	python3 "$HERE/recvfd.py" "$T/tty.sock" "$T/tty" >/dev/null 2>&1 3>&- 4>&- &
	wait_until test -e "$T/tty.ready"
	ok create --console-socket "$T/tty.sock" --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	assert_eq "$(label_of "/proc/$(pid_of "$ID")/root/dev/pts/0")" "$mount_label"
	assert_eq "$(label_of "/proc/$(pid_of "$ID")/root/dev/console")" "$mount_label"
	ok delete --force "$ID"
	wait
}

@test "selinux: label and mountLabel are there after checkpoint and restore, or it is refused; --lsm-profile and --lsm-mount-context give others" {
	local other=system_u:system_r:container_t:s0:c3 other_mount=system_u:object_r:container_file_t:s0:c3

	needs_criu
	label "$label"
	config_set --arg l "$mount_label" '.linux.mountLabel = $l | .root.readonly = false'
	add_mount /labelled tmpfs tmpfs mode=755
	config_set --arg s "while :; do { $look; } >/labelled/new 2>/dev/null; mv /labelled/new /labelled/out; sleep .1; done" \
		'.process.args = ["sh", "-c", $s]'
	ok run --detach --bundle "$BUNDLE" "$ID"
	looks_again
	says "$label" "no secret" mine "no others"
	ok checkpoint --image-path "$T/images" "$ID"
	# A CRIU that was built without SELinux (Debian's) would let it go on with CRIU's own label.
	run_vzrun restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	if [[ $status != 0 ]]; then
		assert_match "$stderr" "*restore failed: CRIU: selinux LSM specified but selinux not supported*"
		[[ ! -e $ROOT/$ID ]]
		return
	fi
	looks_again
	says "$label" "no secret" mine "no others"
	output=$(<"/proc/$(pid_of "$ID")/mountinfo")
	assert_match "$(mount_super /labelled)" "*context=\"$mount_label\"*"
	assert_match "$(mount_super /dev)" "*context=\"$mount_label\"*"
	ok delete --force "$ID"
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" --lsm-profile "selinux:$other" --lsm-mount-context "$other_mount" "$ID"
	looks_again
	says "$other" "no secret" "no mine" others
	ok exec "$ID" sh -c "$look"
	says "$other" "no secret" "no mine" others
	output=$(<"/proc/$(pid_of "$ID")/mountinfo")
	assert_match "$(mount_super /labelled)" "*context=\"$other_mount\"*"
}

# looks_again: what a process that was started before now says.
looks_again() {
	local out=/proc/$(pid_of "$ID")/root/labelled/out

	rm -f "$out"
	wait_until test -e "$out"
	output=$(<"$out")
}
