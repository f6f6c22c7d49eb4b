#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Without root: a plain user, root of a user namespace, and what each may not do, with the remedy that the error names.
# Runs as root and becomes the plain user PLAIN for vzrun alone, or as a plain user by itself.

load ../lib/helpers

PLAIN=54321

setup() {
	unset VZ_MANAGER # of the leg: the plain user has no session
	vz_setup
	[[ $EUID == 0 ]] || PLAIN=$EUID
	$VZRUN spec --rootless --bundle "$T" >/dev/null
	jq --arg m "$VZRUN_TEST_ID" --argjson u "$PLAIN" --slurpfile old "$CONFIG" '.process.terminal = false |
		.process.env = $old[0].process.env | .process.args = ["true"] | .root.readonly = false |
		.linux.uidMappings[0].hostID = $u | .linux.gidMappings[0].hostID = $u' "$T/config.json" >"$CONFIG"
	become plain
}

# become plain | unshare | unshare-m: who runs vzrun from here on.  What it needs is that user's.
become() {
	local d=$BUNDLE prefix="setpriv --reuid $PLAIN --regid $PLAIN --clear-groups --inh-caps=-all --"

	VZRUN_REAL=${VZRUN_REAL:-$VZRUN}
	[[ $EUID == 0 ]] || prefix=
	case $1 in
	unshare) prefix+=" unshare -r" ;;
	unshare-m) prefix+=" unshare -rm" ;;
	esac
	printf '#!/bin/sh\nunset XDG_RUNTIME_DIR\n%s\nexec %s %s %s "$@"\n' "${3:-}" "$prefix" "${2:-}" "$VZRUN_REAL" >"$T/as"
	chmod 755 "$T/as"
	VZRUN=$T/as
	if [[ $EUID == 0 ]]; then
		chown "$PLAIN:$PLAIN" "$ROOT" "$BUNDLE" "$CONFIG"
		find "$BUNDLE/rootfs" -path "$BUNDLE/rootfs/bin" -prune -o -print0 | xargs -0 chown -h "$PLAIN:$PLAIN"
		while [[ $d != / && $d != /tmp ]]; do
			chmod a+x "$d"
			d=${d%/*}
			d=${d:-/}
		done
	fi
	[[ $1 == plain ]] || config_set '.linux.uidMappings[0].hostID = 0 | .linux.gidMappings[0].hostID = 0'
}

# For tests about what is refused.
no_cgroups() {
	local own

	[[ $EUID == 0 ]] && return 0
	own=$(sed -n 's/^0:://p' /proc/self/cgroup)
	[[ ! -w /sys/fs/cgroup${own%/*} ]] || skip "cgroups are delegated here"
}

ranges() { config_set '.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'; }

@test "plain user: run, with the exit status of the program" {
	run_sh 'id -u; cat /proc/self/uid_map; touch /tmp/x; hostname'
	assert_match "$output" $'0\n*0*'"$PLAIN"$'*1\nvzrun'
	config_set '.process.args = ["sh", "-c", "exit 7"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 7
	assert_eq "$(stat -c %u "$BUNDLE/rootfs/tmp/x")" "$PLAIN"
	[[ -z $(ls "$ROOT") ]]
}

@test "plain user: no warning, whatever vzrun had to do without" {
	ok --log "$ROOT/../root/log" run --bundle "$BUNDLE" "$ID"
	assert_eq "$stderr" ""
	rm -f "$ROOT/log"
}

@test "plain user: create, state, exec, ps, list, kill, delete" {
	start_sleep
	state_is "$ID" running
	ok exec --user 0 "$ID" sh -c 'id -u; echo in; cat /proc/1/cmdline'
	assert_match "$output" $'0\nin\nsleep*'
	ok ps --format json "$ID"
	assert_match "$output" "*$(pid_of "$ID")*"
	ok ps "$ID"
	assert_match "$output" "*sleep 1000*"
	ok list
	assert_match "$output" "*$ID*$(id -un $PLAIN 2>/dev/null || echo $PLAIN)*"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
}

@test "plain user: the state is for that user's eyes" {
	start_sleep
	assert_eq "$(stat -c '%a %u' "$ROOT/$ID")" "700 $PLAIN"
	assert_eq "$(stat -c '%a %u' "$ROOT/$ID/state.json")" "600 $PLAIN"
}

@test "plain user: devices of the host are bound" {
	run_sh 'for d in null zero full random urandom tty; do stat -c "%F %t:%T" /dev/$d; done; echo x >/dev/null && head -c 3 /dev/zero | wc -c'
	assert_eq "$output" "character special file 1:3
character special file 1:5
character special file 1:7
character special file 1:8
character special file 1:9
character special file 5:0
3"
	config_set '.linux.devices = [{path: "/dev/vz-none", type: "c", major: 1, minor: 3}]'
	fails "vz-none: no such file or directory" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/dev/null", type: "c", major: 1, minor: 5}]'
	fails "device null: the host's has another type or number" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.devices = [{path: "/srv/null", type: "c", major: 1, minor: 3}]'
	fails "device /srv/null cannot be made here" run --bundle "$BUNDLE" "$ID"
}

@test "plain user: /sys is the host's, read-only, and no cgroup of the caller shows (CVE-2023-25809)" {
	no_cgroups
	run_sh 'touch /sys/x 2>&1; ls -A /sys/fs/cgroup | grep -c . ; mkdir /sys/fs/cgroup/x 2>&1; grep " /sys/fs/cgroup " /proc/self/mountinfo | tail -1'
	assert_match "$output" "*/sys/x: Read-only file system*"
	[[ $output == *"/sys/fs/cgroup/x"*"Read-only file system"* ]]
}

@test "plain user: with a network of its own sysfs is mounted, and lo is up" {
	config_set '.linux.namespaces += [{type: "network"}] | .mounts |= map(if .destination == "/sys" then
		{destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro", "nosuid", "nodev", "noexec"]} else . end)'
	run_sh "$INTERFACES"'; ip link show lo; cat /proc/self/mountinfo'
	assert_match "$output" "lo*LOOPBACK,UP*"
	assert_eq "$(mount_fs /sys)" sysfs
}

@test "plain user: a terminal" {
	config_set '.process.terminal = true'
	run_sh 'tty; [ -c /dev/console ] && echo console; stat -c %u /dev/pts/0'
	assert_match "${output//$'\r'/}" $'/dev/pts/0\nconsole\n0'
}

@test "plain user: binds keep the flags that are locked, and what is below a source stays covered" {
	local flags

	add_mount /mnt none /sys rbind ro
	run_sh 'cat /proc/self/mountinfo; umount /mnt/fs/cgroup 2>&1; true'
	assert_match "$(mount_flags /mnt)" "ro,*"
	flags=$(awk '$5 == "/sys" { f = $6 } END { print f }' /proc/self/mountinfo)
	[[ $flags == *nosuid* ]] || skip "the host's /sys has no nosuid"
	assert_match "$(mount_flags /mnt)" "*nosuid*"
	config_set '.mounts[-1].options = ["rbind", "suid"]'
	fails "locked in this user namespace and cannot be cleared (nosuid)" run --bundle "$BUNDLE" "$ID"
}

@test "plain user: NOTIFY_SOCKET" {
	needs_command socat
	socat -u UNIX-RECV:"$T/notify",unlink-early,mode=777 - >"$T/got" 2>/dev/null 3>&- 4>&- &
	local pid=$!
	wait_until test -S "$T/notify"
	chmod a+x "$T"
	config_set '.process.args = ["sh", "-c", "ls -l $NOTIFY_SOCKET"]'
	NOTIFY_SOCKET=$T/notify run_vzrun run --bundle "$BUNDLE" "$ID"
	kill $pid
	assert_eq "$status" 0
	assert_match "$output" "*notify.sock"
}

@test "plain user: without a user namespace in the document" {
	config_set '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	fails "/linux/namespaces: a plain user needs a user namespace" run --bundle "$BUNDLE" "$ID"
	[[ $stderr == *"vzrun spec --rootless"* ]]
	[[ -z $(ls "$ROOT") ]]
}

@test "plain user: ids that the document does not map" {
	config_set '.process.user.uid = 5'
	fails "/process/user/uid: 5 is not mapped in /linux/uidMappings" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 0, gid: 6}'
	fails "/process/user/gid: 6 is not mapped in /linux/gidMappings" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 0, gid: 0, additionalGids: [0, 7]}'
	fails "/process/user/additionalGids/1: additional group has no mapping" run --bundle "$BUNDLE" "$ID"
	config_set '.process.user = {uid: 0, gid: 0}'
	start_sleep
	fails "/process/user/uid: 9 is not mapped in /linux/uidMappings" exec --user 9 "$ID" true
	fails "additional group has no mapping" exec --additional-gids 9 "$ID" true
}

@test "plain user: groups cannot be changed, and those of the caller stay when they are to be kept" {
	run_sh 'cat /proc/self/setgroups'
	assert_eq "$output" deny
	config_set '.annotations["run.oci.keep_original_groups"] = "1"'
	run_sh 'echo kept'
	assert_eq "$output" kept
}

@test "root: groups of the caller are kept in a user namespace too" {
	needs_root
	VZRUN=$VZRUN_REAL
	config_set '.annotations["run.oci.keep_original_groups"] = "1" | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings | .process.args = ["grep", "^Groups", "/proc/self/status"]'
	status=0
	output=$(setpriv --groups 0,77 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 3>&- 4>&-) || status=$?
	assert_eq "$status" 0
	assert_match "$output" "*77*"
}

@test "plain user: a devpts for a group that is not mapped" {
	config_set '(.mounts[] | select(.destination == "/dev/pts")).options += ["gid=5"]'
	fails "/mounts/2: /dev/pts: *is gid 5 mapped in this user namespace" run --bundle "$BUNDLE" "$ID"
}

@test "plain user: a range without newuidmap, and without a grant, names the line that is missing" {
	ranges
	mkdir "$T/bin"
	become plain "env PATH=$T/bin"
	fails "no newuidmap found in PATH: package uidmap" run --bundle "$BUNDLE" "$ID"
	[[ $stderr == *"/linux/uidMappings: host ids 100000 to 165535 must be granted by root, for instance by the line $PLAIN:100000:65536 in /etc/subuid"* ]]
	printf '#!/bin/sh\necho "newuidmap: uid range not allowed"\nexit 1\n' >"$T/bin/newuidmap"
	chmod -R a+rx "$T/bin"
	become plain "env PATH=$T/bin"
	ranges
	fails "newuidmap: exit status 1: newuidmap: uid range not allowed" run --bundle "$BUNDLE" "$ID"
	[[ $stderr == *"$PLAIN:100000:65536 in /etc/subuid"* ]]
	config_set --argjson u "$PLAIN" '.linux.uidMappings = [{containerID: 0, hostID: $u, size: 1}] |
		.linux.gidMappings = [{containerID: 0, hostID: $u, size: 1}, {containerID: 1, hostID: 300000, size: 10}]'
	fails "no newgidmap found" run --bundle "$BUNDLE" "$ID"
	[[ $stderr == *"/linux/gidMappings: host ids 300000 to 300009"*"$PLAIN:300000:10 in /etc/subgid"* ]]
	[[ -z $(ls "$ROOT") ]]
}

@test "plain user: granted ranges" {
	local name uid start count
	needs_root
	needs_command newuidmap newgidmap
	while IFS=: read -r name start count; do
		uid=$(id -u "$name" 2>/dev/null) && [[ $uid -ge 1000 && $count -ge 65536 ]] && break
		uid=
	done </etc/subuid
	[[ -n ${uid:-} ]] || skip "no user with subordinate ids here"
	PLAIN=$uid
	become plain
	config_set --argjson u "$uid" --argjson s "$start" '.linux.uidMappings = [{containerID: 0, hostID: $u, size: 1},
		{containerID: 1, hostID: $s, size: 65536}] | .linux.gidMappings = .linux.uidMappings |
		.process.user = {uid: 1000, gid: 1001, additionalGids: [50]}'
	run_sh 'id -u; id -g; id -G; touch /tmp/y'
	assert_eq "$output" $'1000\n1001\n1001 50'
	assert_eq "$(stat -c %u "$BUNDLE/rootfs/tmp/y")" $((start + 999))
	config_set '.process.user = {uid: 0, gid: 0} | .process.args = ["sleep", "1000"]'
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec --user 33:44 "$ID" id
	assert_match "$output" "uid=33 gid=44*"
}

@test "plain user: limits need a cgroup; without them none is needed" {
	no_cgroups
	config_set '.linux.resources = {memory: {limit: 67108864}}'
	fails "/linux/resources/memory/limit: limits need a cgroup" run --bundle "$BUNDLE" "$ID"
	[[ $stderr == *delegated* || $stderr == *Delegate=yes* ]]
	config_set '.linux.resources = {unified: {"memory.max": "67108864"}}'
	fails "/linux/resources/unified/memory.max: needs a cgroup" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.resources = {devices: [{allow: false, access: "rwm"}]}'
	ok run --bundle "$BUNDLE" "$ID"
	config_set '.linux.cgroupsPath = "/vz-rootless/x"'
	fails "make cgroup " run --bundle "$BUNDLE" "$ID"
	[[ $stderr == *"permission denied" ]]
	[[ -z $(ls "$ROOT") ]]
}

@test "--rootless: false does without nothing, true is for root as well" {
	no_cgroups
	fails "make cgroup *permission denied" --rootless=false run --bundle "$BUNDLE" "$ID"
	ok --rootless=true run --bundle "$BUNDLE" "$ID"
	ok --rootless=auto run --bundle "$BUNDLE" "$ID"
}

@test "plain user: what needs a cgroup says that there is none" {
	no_cgroups
	start_sleep
	fails "the container has no cgroup" pause "$ID"
	fails "the container has no cgroup" update --pids-limit 50 "$ID"
	fails "the container has no cgroup" events --stats "$ID"
	ok stats --format json "$ID"
	assert_eq "$(jq -c '.[0] | [.status, .cpu, .memory]' <<<"$output")" '["running",{},{}]'
	fails "container not paused" resume "$ID"
	ok kill --all "$ID" KILL
	wait_state "$ID" stopped
	ok kill --all "$ID" KILL
	ok delete "$ID"
}

@test "plain user: without a cgroup kill --all reaches what the pid namespace holds" {
	config_set '.process.args = ["sh", "-c", "trap \"echo first; wait\" USR1; (trap \"echo second; exit\" USR1; touch /tmp/up
		while :; do sleep 0.1; done) & wait"]'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_until test -e "$BUNDLE/rootfs/tmp/up"
	ok ps --format json "$ID"
	[[ $(jq length <<<"$output") -ge 2 ]]
	ok kill --all "$ID" USR1
	wait_state "$ID" stopped
}

@test "plain user: oomScoreAdj is raised, and left alone where lowering is not allowed" {
	config_set '.process.oomScoreAdj = 321'
	run_sh 'cat /proc/self/oom_score_adj'
	assert_eq "$output" 321
	config_set '.process.oomScoreAdj = -321'
	run_sh 'cat /proc/self/oom_score_adj'
	assert_match "$output" "[0-9]*"
	fails "oomScoreAdj -321*lowering" --rootless=false --cgroup-manager=disabled run --bundle "$BUNDLE" "$ID"
}

@test "plain user: a hard limit above one's own" {
	config_set '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 9999999, hard: 9999999}]'
	fails "rlimits: *NOFILE*needs CAP_SYS_RESOURCE" run --bundle "$BUNDLE" "$ID"
}

@test "plain user: sysctls of the container's namespaces" {
	config_set '.linux.sysctl = {"net.ipv4.ip_unprivileged_port_start": "99"} | .linux.namespaces += [{type: "network"}]
		| .mounts |= map(select(.destination != "/sys" and .destination != "/sys/fs/cgroup"))'
	run_sh 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start'
	assert_eq "$output" 99
}

@test "plain user: a source that the container's root cannot reach" {
	needs_root
	mkdir -p "$T/secret/data"
	chmod 700 "$T/secret"
	add_mount /mnt bind "$T/secret/data" bind
	fails "/mounts/7: /mnt: *permission denied" run --bundle "$BUNDLE" "$ID"
}

@test "plain user: state in XDG_RUNTIME_DIR, or a word about it" {
	mkdir "$T/xdg"
	[[ $EUID != 0 ]] || chown "$PLAIN" "$T/xdg"
	printf '#!/bin/sh\nshift 2\nexec env XDG_RUNTIME_DIR=%s "%s" "$@"\n' "$T/xdg" "$T/bare" >"$T/own-root"
	sed '/^unset/d' "$T/as" >"$T/bare"
	chmod 755 "$T/own-root" "$T/bare"
	VZRUN=$T/own-root
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(stat -c %a "$T/xdg/vzrun")" 1700
	printf '#!/bin/sh\nshift 2\nexec "%s" "$@"\n' "$T/as" >"$T/own-root"
	fails "/run*XDG_RUNTIME_DIR/vzrun, or where --root says" run --bundle "$BUNDLE" "$ID"
}

@test "unshare -r: run, exec, kill, delete" {
	become unshare
	run_sh 'id -u; ls /dev/null; cat /proc/self/uid_map'
	assert_match "$output" $'0\n/dev/null\n*0*0*1'
	ranges
	fails "/linux/uidMappings/0: host ids 100000 to 165535 are not (all) mapped in the user namespace that vzrun runs in" \
		run --bundle "$BUNDLE" "$ID"
}

@test "unshare -r: without a user namespace of the container's own" {
	become unshare
	config_set '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	run_sh 'id -u; ls /dev/null; cat /proc/self/uid_map; hostname'
	assert_match "$output" $'0\n/dev/null\n*0*'"$PLAIN"$'*1\nvzrun'
}

@test "unshare -rm: a masked /proc is named as the reason, with the remedy" {
	become unshare-m "sh -c 'mount -t tmpfs none /proc/bus && exec \"\$@\"' sh"
	fails "/mounts/0: /proc: *unmask=ALL" run --bundle "$BUNDLE" "$ID"
}

@test "unshare -rm: without /sys/fs/cgroup there are no cgroups" {
	become unshare-m "sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec \"\$@\"' sh"
	run_sh 'echo ran'
	assert_eq "$output" ran
	config_set '.linux.resources = {devices: [{allow: false, access: "rwm"}], pids: {limit: 9}}'
	fails "/linux/resources/pids/limit" run --bundle "$BUNDLE" "$ID"
}

@test "user namespaces: a limit that is used up is named" {
	become unshare "sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec \"\$@\"' sh"
	fails "/proc/sys/user/max_*_namespaces" run --bundle "$BUNDLE" "$ID"
}

@test "nested: vzrun in a container of vzrun" {
	mkdir -p "$BUNDLE/rootfs/inner/rootfs" "$BUNDLE/rootfs/lib" "$BUNDLE/rootfs/lib64" "$BUNDLE/rootfs/usr/lib"
	cp "$VZRUN_REAL" "$BUNDLE/rootfs/inner/vzrun"
	cp -al "$BUNDLE/rootfs/bin" "$BUNDLE/rootfs/inner/rootfs/bin"
	mkdir "$BUNDLE/rootfs/inner/rootfs"/{proc,sys,dev,etc,tmp}
	jq '.process.args = ["sh", "-c", "echo inner; id -u"] | .process.rlimits = [] | .linux.uidMappings[0].hostID = 0 |
		.linux.gidMappings[0].hostID = 0' "$CONFIG" >"$BUNDLE/rootfs/inner/config.json"
	cp -a "$BUNDLE/rootfs/inner/config.json" "$BUNDLE/rootfs/inner/masked.json"
	become plain
	# The system's libraries, since the program needs them; nothing covers /proc.
	add_mount /lib none /lib rbind ro
	add_mount /lib64 none /lib64 rbind ro
	add_mount /usr/lib none /usr/lib rbind ro
	config_set '.linux.maskedPaths = [] | .linux.readonlyPaths = [] | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN",
		"CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_SETPCAP", "CAP_CHOWN", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_FOWNER"])'
	VZ_STDIN=/dev/null run_sh 'cd /inner && ./vzrun --root /tmp/r run in; true' || true
	assert_match "$stderr" "*host id 0 can be mapped only with CAP_SETFCAP*"
	config_set '.process.capabilities |= map_values(. + ["CAP_SETFCAP"])'
	run_sh 'cd /inner && exec ./vzrun --root /tmp/r run in'
	assert_eq "$output" $'inner\n0'
}

@test "plain user: a container that reboots is started again" {
	add_probe
	add_mount /v bind "$T/v" rbind rw
	mkdir -m 777 "$T/v"
	config_set '.annotations = {"org.openvz.reboot": "on"} | .process.oomScoreAdj = 100 |
		.process.capabilities |= map_values(. + ["CAP_SYS_BOOT"])'
	run_sh '[ $$ = 1 ] || exit 99; cat /proc/self/oom_score_adj >>/v/lives
		[ $(wc -l </v/lives) -lt 3 ] || exit 0; probe call reboot 0xfee1dead 672274793 0x01234567; sleep 10'
	assert_eq "$(xargs <"$T/v/lives") $stderr" "100 100 100 "
}
