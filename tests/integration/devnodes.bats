#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Devices by annotation and on a living container: the node and the permission, together.

load ../lib/helpers

setup() {
	vz_setup || return
	needs_root
	needs_controller devices
	[[ -c /dev/fuse && -c /dev/loop-control ]] || skip "no /dev/fuse here"
	config_set '.process.args = ["sleep", "1000"]'
}

annotation() { config_set --arg k "org.openvz.$1" --arg v "$2" '.annotations[$k] = $v'; }

starts() { ok run --bundle "$BUNDLE" --detach "$ID"; }
inside() { ok exec "$ID" sh -c "$1"; }

# opens PATH yes|no: for reading and writing, by who is in the container
opens() {
	run_vzrun exec "$ID" sh -c "exec 3<>$1"
	if [[ $2 == yes ]]; then
		[[ $status == 0 ]] || { echo "$1 cannot be opened: $stderr"; return 1; }
	else
		[[ $status != 0 ]] || { echo "$1 can be opened"; return 1; }
	fi
}

user_namespace() {
	config_set '[{ containerID: 0, hostID: 0, size: 65536 }] as $map | .linux.uidMappings = $map
		| .linux.gidMappings = $map | .linux.namespaces += [{ type: "user" }]'
}

setting_is() { assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" 3>&- 4>&- </dev/null | jq -r --arg k "$1" '.[$k].value')" "$2"; }

# What v1's kernel has.
list() { [[ $(cg_mode) == v2 ]] || cg devices.list | sort; }

document_allows() {
	config_set '.linux.resources.devices = [{ allow: false, access: "rwm" }, { allow: true, type: "c", major: 10, minor: 229, access: "rwm" }]'
}

# refused FILE ARGS...: set, by a kernel that does not take what is written into this file.
refused() {
	local file

	file=$(cg_dir "$(pid_of "$ID")" "${1%%.*}")/$1
	shift
	in_mount_ns "$(read_only "$file")"
	fails "read-only file system" set "$ID" "$@"
	VZRUN=$VZRUN_REAL
}

@test "devnodes: by annotation" {
	annotation devnodes "fuse:rw"
	starts
	inside 'stat -c "%F %t:%T %a" /dev/fuse'
	assert_eq "$output" "character special file a:e5 600"
	opens /dev/fuse yes
	inside '! [ -e /dev/loop-control ]'
}

@test "devnodes: added and taken away while it lives" {
	starts
	inside '! [ -e /dev/fuse ]'
	ok set "$ID" --devnodes-add fuse:rw
	inside 'stat -c "%F %t:%T %a" /dev/fuse'
	assert_eq "$output" "character special file a:e5 600"
	opens /dev/fuse yes
	ok set "$ID" --devnodes-add "loop-control:r"
	setting_is devnodes "fuse:rw loop-control:r"
	opens /dev/loop-control no
	inside 'exec 3</dev/loop-control'
	ok set "$ID" --devnodes-del fuse:rw
	inside '! [ -e /dev/fuse ]'
	# Not the node alone: the permission has gone too.
	inside 'mknod /dev/mine c 10 229'
	opens /dev/mine no
	inside 'exec 3</dev/loop-control'
	ok set "$ID" --devnodes ""
	inside '! [ -e /dev/loop-control ]'
	setting_is devnodes ""
}

@test "devnodes: in a user namespace, bound" {
	user_namespace
	chmod 755 "$T" "$BUNDLE"
	annotation devnodes "loop-control:r"
	starts
	inside 'stat -c "%F %t:%T" /dev/loop-control'
	assert_eq "$output" "character special file a:ed"
	ok set "$ID" --devnodes-add fuse:rw
	inside 'stat -c "%F %t:%T" /dev/fuse; grep -c " /dev/fuse " /proc/self/mountinfo'
	assert_eq "$output" $'character special file a:e5\n1'
	opens /dev/fuse yes
	ok set "$ID" --devnodes-del fuse:rw
	inside '! [ -e /dev/fuse ]; ! grep " /dev/fuse " /proc/self/mountinfo'
}

@test "devnodes: words are separated by blanks or commas" {
	annotation devnodes "fuse:rw,loop-control:r"
	starts
	inside '[ -c /dev/fuse ] && [ -c /dev/loop-control ]'
	ok set "$ID" --devnodes-del "loop-control:r,"
	setting_is devnodes "fuse:rw"
	ok set "$ID" --devnodes "fuse:r, loop-control:rw"
	setting_is devnodes "fuse:r loop-control:rw"
}

@test "devices: by number, a minor or all, and none" {
	annotation devices "c:10:229:rw"
	starts
	inside 'mknod /dev/f c 10 229; mknod /dev/k c 10 237'
	opens /dev/f yes
	opens /dev/k no
	ok set "$ID" --devices-add "c:10:237:rw"
	opens /dev/k yes
	ok set "$ID" --devices-del "c:10:229:rw"
	opens /dev/f no
	opens /dev/k yes
	ok set "$ID" --devices-del "c:10:237" --devices-add c:10:all
	setting_is devices "c:10:all:rw"
	opens /dev/f yes
	opens /dev/k yes
	if [[ -d /sys/fs/cgroup/devices ]]; then
		fails "cgroup v1 cannot deny a part of what a wider rule allows (c 10:229)" set "$ID" --devices "c:10:all:rw c:10:229:none"
		opens /dev/f yes
	else
		ok set "$ID" --devices "c:10:all:rw c:10:229:none"
		opens /dev/f no
	fi
	opens /dev/k yes
	opens /dev/null yes
}

@test "devices: what the document allows stays allowed, and its node stays" {
	local was

	document_allows
	config_set '.linux.devices = [{ path: "/dev/fuse", type: "c", major: 10, minor: 229 }]'
	starts
	was=$(list)
	ok set "$ID" --devices-add c:10:229:rw
	ok set "$ID" --devices-del c:10:229:rw
	opens /dev/fuse yes
	ok set "$ID" --devnodes-add fuse:r
	ok set "$ID" --devnodes ""
	inside '[ -c /dev/fuse ]'
	opens /dev/fuse yes
	assert_eq "$(list)" "$was"
}

@test "devices: none, taken back, is what it was before" {
	local was

	document_allows
	needs_controller pids
	starts
	inside 'mknod /dev/f c 10 229'
	was=$(list)
	ok set "$ID" --devices c:10:229:none
	opens /dev/f no
	ok set "$ID" --devices ""
	opens /dev/f yes
	assert_eq "$(list)" "$was"
	ok set "$ID" --devnodes fuse:none
	opens /dev/f no
	ok set "$ID" --devnodes-del fuse:none
	opens /dev/f yes
	refused pids.max --devices c:10:229:none --devnodes-add loop-control:rw --numproc 100
	opens /dev/f yes
	inside '! [ -e /dev/loop-control ]'
	assert_eq "$(list)" "$was"
	assert_eq "$(jq -c '[.resources.devices[] | .allow]' "$ROOT/$ID/state.json")" "[false,true]"
}

@test "devices: in a container that may use all, added and taken away changes nothing, none denies and comes back" {
	config_set '.linux.resources.devices = [{ allow: true, access: "rwm" }]'
	starts
	inside 'mknod /dev/f c 10 229'
	ok set "$ID" --devnodes-add fuse:r
	opens /dev/f yes
	ok set "$ID" --devnodes-del fuse:r
	opens /dev/f yes
	inside '! [ -e /dev/fuse ]'
	ok set "$ID" --devices c:10:229:none
	opens /dev/f no
	ok set "$ID" --devices c:10:237:none
	opens /dev/f yes
}

@test "devnodes, devices: of two words for the same the new one holds" {
	starts
	inside 'mknod /dev/f c 10 229'
	ok set "$ID" --devnodes-add fuse:r
	opens /dev/fuse no
	ok set "$ID" --devnodes-add fuse:rw
	setting_is devnodes "fuse:rw"
	opens /dev/fuse yes
	fails "fuse:r is not there" set "$ID" --devnodes-del fuse:r
	ok set "$ID" --devnodes "fuse:rw fuse:r"
	setting_is devnodes "fuse:r"
	opens /dev/fuse no
	inside 'exec 3</dev/fuse'
	ok set "$ID" --devnodes-add fuse:none
	setting_is devnodes "fuse:none"
	inside '! [ -e /dev/fuse ] && ! (exec 3</dev/f)'
	ok set "$ID" --devnodes-add fuse:rw
	opens /dev/fuse yes
	ok set "$ID" --devices-add c:10:237:r --devices-add c:10:237:rw
	setting_is devices "c:10:237:rw"
	annotation devnodes "fuse:rw loop-control:r fuse:r"
	ok run --bundle "$BUNDLE" --detach "$ID-b"
	ok exec "$ID-b" sh -c '! (exec 3<>/dev/fuse) && exec 3</dev/fuse'
}

@test "devnodes and devices for the same number: each goes without the other" {
	starts
	inside 'mknod /dev/f c 10 229'
	ok set "$ID" --devnodes fuse:rw --devices c:10:229:r
	opens /dev/fuse yes
	ok set "$ID" --devices ""
	opens /dev/fuse yes
	ok set "$ID" --devices c:10:229:r --devnodes ""
	inside '! [ -e /dev/fuse ] && exec 3</dev/f'
	opens /dev/f no
	ok set "$ID" --devices ""
	inside '! (exec 3</dev/f)'
}

# The parent's cgroup denies one of two.
@test "devices: when the kernel refuses a later rule those before it are taken back" {
	local top

	needs_v1
	top=/sys/fs/cgroup/devices/$ID-top
	mkdir "$top"
	echo "c 10:237 rw" >"$top/devices.deny"
	cgroupfs_paths
	config_set --arg p "/$ID-top/c" '.linux.cgroupsPath = $p'
	starts
	inside 'mknod /dev/f c 10 229'
	local was
	was=$(list)
	fails "c 10:237 rwm" set "$ID" --devices "c:10:229:rw c:10:237:rw"
	opens /dev/f no
	fails "c 10:237 rwm" set "$ID" --devnodes "fuse:rw loop-control:rw"
	inside '! [ -e /dev/fuse ] && ! [ -e /dev/loop-control ]'
	assert_eq "$(list)" "$was"
	ok delete --force "$ID"
	find /sys/fs/cgroup -depth -type d -name "$ID-top" -exec rmdir {} +
}

@test "devnodes: the record and a second process hold the rules, pause does not keep them out" {
	needs_controller freezer
	starts
	ok pause "$ID"
	ok set "$ID" --devnodes-add fuse:rw
	ok resume "$ID"
	opens /dev/fuse yes
	ok update "$ID" --pids-limit 100
	opens /dev/fuse yes
	[[ $(jq '[.resources.devices[] | select(.major == 10 and .minor == 229)] | length' "$ROOT/$ID/state.json") == 1 ]]
}

@test "devnodes: a node of the container under the same name is not touched" {
	starts
	inside 'echo mine >/dev/fuse'
	fails "device fuse: file exists" set "$ID" --devnodes-add fuse:rw
	inside 'cat /dev/fuse'
	assert_eq "$output" mine
	setting_is devnodes null
	inside 'mknod /dev/f c 10 229'
	opens /dev/f no
	inside 'rm /dev/fuse; ln -s /etc/passwd /dev/fuse'
	fails "device fuse: file exists" set "$ID" --devnodes-add fuse:rw
	inside 'rm /dev/fuse'
	ok set "$ID" --devnodes-add fuse:rw
	inside 'rm /dev/fuse; echo mine >/dev/fuse'
	ok set "$ID" --devnodes-del fuse:rw
	inside 'cat /dev/fuse'
	assert_eq "$output" mine
}

# host_dir DIR NODE...: a directory of the host's that is bound on DIR, with nodes "NAME TYPE MAJOR MINOR", mode 666.
host_dir() {
	local dir=$1 node

	HOST=$T/host${dir//\//-}
	mkdir "$HOST"
	shift
	for node; do
		# shellcheck disable=SC2086
		mknod -m 666 "$HOST"/$node
	done
	config_set --arg s "$HOST" --arg d "$dir" '.mounts |= map(select(.destination == $d | not))
		| .mounts += [{ destination: $d, type: "bind", source: $s, options: ["bind", "rw"] }]'
}

is_as_made() { assert_eq "$(stat -c '%F %t:%T %a' "$1")" "character special file $2 666"; }

@test "devnodes: where the host's /dev is bound nothing is made, changed or removed, only permitted" {
	config_set '.mounts |= map(select(.destination | startswith("/dev") | not))'
	host_dir /dev "fuse c 10 229" "null c 1 3"
	starts
	opens /dev/fuse no
	ok set "$ID" --devnodes-add "fuse:rw loop-control:rw"
	is_as_made "$HOST/fuse" a:e5
	[[ ! -e $HOST/loop-control ]]
	opens /dev/fuse yes
	ok set "$ID" --devnodes ""
	is_as_made "$HOST/fuse" a:e5
	opens /dev/fuse no
	ok delete --force "$ID"

	annotation devnodes "fuse:rw"
	starts
	opens /dev/fuse yes
	ok set "$ID" --devnodes ""
	is_as_made "$HOST/fuse" a:e5
	opens /dev/fuse no
}

@test "devnodes: in a directory of the host's only what was made is removed, and nothing else is changed" {
	needs_controller pids
	local other

	# Another one that is in a directory: mapper/control, cpu/0/cpuid ...
	other=$(find /dev -mindepth 2 -type c ! -path "/dev/net/*" ! -path "/dev/pts/*" | sed -n "1s:^/dev/::p")
	[[ -c /dev/net/tun && -n $other ]] || skip "no /dev/net/tun, or nothing else in a directory here"
	host_dir /dev/net "tun c 10 200"
	host_dir "/dev/${other%%/*}"
	starts
	ok set "$ID" --devnodes-add net/tun:rw
	is_as_made "$T/host-dev-net/tun" a:c8
	ok set "$ID" --devnodes-add net/tun:r
	ok set "$ID" --devnodes-del net/tun:r
	is_as_made "$T/host-dev-net/tun" a:c8
	ok set "$ID" --devnodes-add "$other:r"
	assert_eq "$(stat -c %t:%T "$HOST/${other#*/}")" "$(stat -c %t:%T "/dev/$other")"
	ok set "$ID" --devnodes-add "$other:rw"
	ok set "$ID" --devnodes-del "$other:rw"
	[[ ! -e $HOST/${other#*/} ]]
	refused pids.max --devnodes-add "net/tun:rw $other:rw" --numproc 100
	is_as_made "$T/host-dev-net/tun" a:c8
	[[ ! -e $HOST/${other#*/} ]]
	ok delete --force "$ID"

	annotation devnodes "net/tun:rw"
	starts
	is_as_made "$T/host-dev-net/tun" a:c8
	ok set "$ID" --devnodes ""
	is_as_made "$T/host-dev-net/tun" a:c8
}

@test "devnodes: in a tmpfs of the container's below /dev they are made and removed" {
	[[ -c /dev/net/tun ]] || skip "no /dev/net/tun here"
	config_set '.mounts += [{ destination: "/dev/net", type: "tmpfs", source: "tmpfs" }]'
	annotation devnodes "net/tun:rw"
	starts
	inside '[ -c /dev/net/tun ]'
	ok set "$ID" --devnodes ""
	inside '! [ -e /dev/net/tun ]'
	ok set "$ID" --devnodes "net/tun:rw"
	inside 'stat -c "%t:%T %a" /dev/net/tun'
	assert_eq "$output" "a:c8 600"
	ok set "$ID" --devnodes-add "net/tun:r"
	ok set "$ID" --devnodes ""
	inside '! [ -e /dev/net/tun ]'
}

@test "devnodes: in a container that may use all, the document's node stays as it is" {
	needs_controller pids
	config_set '.linux.resources.devices = [{ allow: true, access: "rwm" }]
		| .linux.devices = [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 438 }]'
	starts
	ok set "$ID" --devnodes-add fuse:rw
	ok set "$ID" --devnodes-del fuse:rw
	refused pids.max --devnodes-add fuse:rw --numproc 100
	inside 'stat -c "%t:%T %a" /dev/fuse'
	assert_eq "$output" "a:e5 666"
	ok delete --force "$ID"

	annotation devnodes "fuse:rw loop-control:rw"
	starts
	ok set "$ID" --devnodes ""
	inside 'stat -c "%t:%T %a" /dev/fuse; ! [ -e /dev/loop-control ]'
	assert_eq "$output" "a:e5 666"
}

@test "devnodes: a record that does not say whether a node was made" {
	local state

	starts
	state=$ROOT/$ID/state.json
	ok set "$ID" --devnodes-add fuse:rw
	assert_eq "$(jq '[.extensions.devices | .. | objects | .made? | values] | length' "$state")" 1
	jq '(.extensions.devices | .. | objects | select(has("made"))) |= del(.made)' "$state" >"$T/state"
	cp "$T/state" "$state"
	ok set "$ID" --devnodes-add loop-control:rw
	ok set "$ID" --devnodes ""
	inside '! [ -e /dev/fuse ] && ! [ -e /dev/loop-control ]'
}

@test "devnodes: what a link in the container's /dev points to is not reached" {
	mkdir "$T/host"
	starts
	inside 'mkdir /elsewhere; ln -s /elsewhere /dev/sub'
	fails "" set "$ID" --devnodes-add "mapper/../sub/x:rw"
	inside 'ls /elsewhere'
	assert_eq "$output" ""
}

@test "devnodes, devices: what is wrong is named, and nothing is changed" {
	local bad

	starts
	fails "--devnodes: this host has no /dev/vznone" set "$ID" --devnodes-add vznone:rw
	fails "/dev/shm is no device" set "$ID" --devnodes-add shm:rw
	for bad in fuse fuse:x /dev/fuse:rw ../fuse:rw a/../../fuse:rw :rw fuse:q; do
		fails "is not NAME:ACCESS" set "$ID" --devnodes-add "$bad" || { echo "$bad"; return 1; }
	done
	for bad in c:10 x:10:1:r c:-1:2:r c:all:1:r c:10:1:rwx c:1:99999999999:r; do
		fails "is not TYPE:MAJOR:MINOR" set "$ID" --devices-add "$bad" || { echo "$bad"; return 1; }
	done
	fails "is there already" set "$ID" --devices c:10:229:rw --devices-add c:10:229:rw
	fails "is not there" set "$ID" --devices-del c:10:229:rw
	inside 'mknod /dev/f c 10 229'
	opens /dev/f no
	fails "--devnodes: null:none: every container may use this device" set "$ID" --devnodes-add null:none
	for bad in c:1:3:none c:136:5:none c:136:all:none c:10:200:none; do
		fails "--devices: $bad: every container may use this device" set "$ID" --devices-add "$bad" || { echo "$bad"; return 1; }
	done
	opens /dev/null yes
	config_set 'del(.annotations)'
	annotation devnodes "vznone:rw"
	fails "/annotations/org.openvz.devnodes: this host has no /dev/vznone" create --bundle "$BUNDLE" "$ID-2"
}

@test "devices: refused with others in one set, the permission is as it was" {
	needs_controller pids
	starts
	inside 'mknod /dev/f c 10 229'
	refused pids.max --devnodes-add fuse:rw --numproc 100
	opens /dev/f no
	inside '! [ -e /dev/fuse ]'
	setting_is devnodes null
}

@test "devices: a daemon-reload of systemd takes nothing away" {
	[[ -S /run/systemd/private ]] || skip "needs systemd"
	VZ_MANAGER=systemd
	starts
	ok set "$ID" --devnodes-add fuse:rw
	opens /dev/fuse yes
	systemctl daemon-reload
	opens /dev/fuse yes
	systemctl set-property --runtime "vzrun-$ID.scope" CPUWeight=200
	opens /dev/fuse yes
	ok set "$ID" --devnodes-del fuse:rw
	inside 'mknod /dev/f c 10 229'
	opens /dev/f no
	systemctl daemon-reload
	opens /dev/f no
}

# Every key that the reference names as one of them.
@test "what gives rights does not come from the annotations of a pod" {
	[[ ! -e /etc/vzrun/pod-annotations ]] || skip "this host lets pods have devices"
	local key keys value

	mapfile -t keys < <("$VZRUN" features --annotations md | sed -n 's/^| `org.openvz.\([^`]*\)`.*For a pod only where .*/\1/p')
	assert_match " ${keys[*]} " "* devnodes *capability *netdev *pci *"
	for key in "${keys[@]}"; do
		case $key in
		devnodes) value=fuse:rw ;;
		devices) value=c:10:229:rw ;;
		capability) value=net_admin:on ;;
		features) value=nfs:on ;;
		netdev) value=lo ;;
		pci) value=0000:00:00.0 ;;
		pci-mode) value=vfio ;;
		pci-sysfs) value=rw ;;
		*) echo "no value for $key in this test" && return 1 ;;
		esac
		config_set 'del(.annotations) | .annotations["io.kubernetes.cri.container-type"] = "container"'
		annotation "$key" "$value"
		fails "/annotations/org.openvz.$key: gives rights, and whoever makes pods chooses their annotations" create --bundle "$BUNDLE" "$ID"
	done
	config_set 'del(.annotations) | .annotations["io.kubernetes.cri.container-type"] = "container"'
	annotation cpulimit 50
	ok create --bundle "$BUNDLE" "$ID"
	ok set "$ID" --devnodes-add fuse:rw
}

@test "devnodes: in a user namespace whose root is nobody on the host" {
	new_userns
	starts
	ok set "$ID" --devnodes-add fuse:rw
	inside 'stat -c "%F %t:%T" /dev/fuse'
	assert_eq "$output" "character special file a:e5"
	ok set "$ID" --devnodes-del fuse:rw
	inside '! [ -e /dev/fuse ]'
}
