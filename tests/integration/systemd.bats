#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The systemd driver: units, their properties, what they survive, and a manager that is not there or does not answer.

load ../lib/helpers

setup() {
	vz_setup
	VZ_MANAGER=systemd
}

teardown() {
	[[ -z ${listener:-} ]] || kill "$listener" 2>/dev/null
	vz_teardown
}

needs_systemd() { [[ -S /run/systemd/private ]] || skip "needs systemd"; }

sd() { ok --systemd-cgroup "$@"; }

create_sleep() {
	config_set '.process.args = ["sleep", "1000"]'
	sd create --bundle "$BUNDLE" "$ID" && ok start "$ID"
}

scope() { echo "vzrun-${1:-$ID}.scope"; }
prop() { systemctl show --value -p "$1" "${2:-$(scope)}"; }
prop_is() {
	local is

	is=$(prop "$1" "${3:-$(scope)}")
	[[ $is == "$2" ]] || { echo "$1 is '$is', expected '$2'"; return 1; }
}
gone() { [[ $(systemctl show --value -p LoadState "$1") == not-found ]]; }

@test "systemd: a scope in system.slice with init in it, gone after delete" {
	needs_systemd
	create_sleep
	prop_is Slice system.slice
	prop_is Description "vzrun container $ID"
	prop_is Delegate yes
	prop_is DefaultDependencies no
	prop_is ActiveState active
	prop_is CollectMode inactive-or-failed
	[[ $(<"/proc/$(pid_of "$ID")/cgroup") == *"/system.slice/$(scope)"* ]]
	assert_eq "$(jq -r .systemdUnit "$ROOT/$ID/state.json")" "$(scope)"
	assert_eq "$(jq -r .cgroupDriver "$ROOT/$ID/state.json")" systemd
	# No command needs to be told again.
	ok exec "$ID" true
	ok ps "$ID"
	ok pause "$ID"
	state_is "$ID" paused
	ok resume "$ID"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
	gone "$(scope)"
}

@test "systemd: the unit of a container that joins a pid namespace, or has ids of its own, holds its process" {
	local first i

	needs_systemd
	create_sleep
	first=$(pid_of "$ID")
	new_bundle "$T/b2"
	config_set --file "$T/b2/config.json" --arg p "/proc/$first/ns/pid" '.process.args = ["sleep", "1000"] |
		.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)'
	for i in 2 3 4; do
		sd create --bundle "$T/b2" "$ID-$i"
		ok start "$ID-$i"
		prop_is ActiveState active "$(scope "$ID-$i")"
		[[ $(<"/proc/$(pid_of "$ID-$i")/cgroup") == *"/$(scope "$ID-$i")"* ]]
	done
	new_bundle "$T/b3"
	BUNDLE=$T/b3 CONFIG=$T/b3/config.json
	new_userns
	config_set '.process.args = ["sleep", "1000"]'
	sd create --bundle "$BUNDLE" "$ID-5"
	ok start "$ID-5"
	prop_is ActiveState active "$(scope "$ID-5")"
	[[ $(<"/proc/$(pid_of "$ID-5")/cgroup") == *"/$(scope "$ID-5")"* ]]
}

@test "systemd: run in the foreground leaves no unit, whatever the exit status is" {
	needs_systemd
	config_set '.process.args = ["sh", "-c", "exit 3"]'
	run_vzrun --cgroup-manager=systemd run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 3
	gone "$(scope)"
	# the name is free again at once
	run_vzrun --cgroup-manager=systemd run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 3
}

@test "systemd: slice, prefix and name; slices are nested by their names" {
	needs_systemd
	config_set --arg p "vzt-a$$.slice:vzt:$ID" '.linux.cgroupsPath = $p'
	create_sleep
	prop_is Slice "vzt-a$$.slice" "vzt-$ID.scope"
	[[ $(<"/proc/$(pid_of "$ID")/cgroup") == *"/vzt.slice/vzt-a$$.slice/vzt-$ID.scope"* ]]
	ok delete --force "$ID"
	gone "vzt-$ID.scope"
	systemctl stop "vzt-a$$.slice" vzt.slice
}

@test "systemd: a name that ends in .slice is a slice unit" {
	needs_systemd
	config_set --arg p "vzt.slice:x:vzt-b$$.slice" '.linux.cgroupsPath = $p'
	create_sleep
	prop_is ActiveState active "vzt-b$$.slice"
	[[ $(<"/proc/$(pid_of "$ID")/cgroup") == *"/vzt.slice/vzt-b$$.slice"* ]]
	ok delete --force "$ID"
	[[ $(systemctl show --value -p ActiveState "vzt-b$$.slice") == inactive ]]
	systemctl stop vzt.slice
}

@test "systemd: cgroupsPath of another form is refused, and nothing is made" {
	needs_systemd
	local p

	for p in /foo a.slice:p a.slice:p:x:y; do
		config_set --arg p "$p" '.linux.cgroupsPath = $p'
		fails "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"$p\" instead" \
			--systemd-cgroup create --bundle "$BUNDLE" "$ID"
	done
	for p in a--b.slice:p:x no:p:x .slice:p:x; do
		config_set --arg p "$p" '.linux.cgroupsPath = $p'
		fails "invalid slice name: ${p%%:*}" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	done
	[[ ! -e $ROOT/$ID ]]
}

limits='.linux.resources.memory = {limit: 67108864, reservation: 33554432, swap: 134217728} |
	.linux.resources.cpu = {shares: 512, quota: 50000, period: 100000, cpus: "0", mems: "0"} |
	.linux.resources.pids = {limit: 77}'

@test "systemd: every limit of the document is a property of the unit (v2)" {
	needs_systemd
	needs_v2
	config_set "$limits"' | .linux.resources.blockIO = {weight: 500} |
		.linux.resources.unified = {"memory.high": "60000000", "memory.min": "1048576", "memory.oom.group": "1"}'
	create_sleep
	prop_is MemoryMax 67108864
	prop_is MemoryLow 33554432
	prop_is MemorySwapMax 67108864
	prop_is MemoryHigh 60000000
	prop_is MemoryMin 1048576
	prop_is CPUWeight 59
	prop_is CPUQuotaPerSecUSec 500ms
	prop_is CPUQuotaPeriodUSec 100ms
	prop_is AllowedCPUs 0
	prop_is AllowedMemoryNodes 0
	prop_is TasksMax 77
	prop_is IOWeight 4950
	prop_is OOMPolicy kill
	for p in Memory CPU IO Tasks; do
		prop_is "${p}Accounting" yes
	done
	assert_eq "$(cg memory.max)" 67108864
	assert_eq "$(cg memory.oom.group)" 1
	assert_eq "$(cg cpu.max)" "50000 100000"
	assert_eq "$(cg pids.max)" 77
}

@test "systemd: every limit of the document is a property of the unit (v1)" {
	needs_systemd
	needs_v1
	config_set "$limits"
	create_sleep
	prop_is MemoryLimit 67108864
	prop_is CPUShares 512
	prop_is CPUQuotaPerSecUSec 500ms
	prop_is TasksMax 77
	prop_is DevicePolicy strict
	[[ $(prop DeviceAllow) == *"/dev/char/1:3 rwm"* ]]
	assert_eq "$(cg memory.limit_in_bytes)" 67108864
	assert_eq "$(cg cpuset.cpus)" 0
	assert_eq "$(cg cpu.shares)" 512
	assert_eq "$(cg pids.max)" 77
}

@test "systemd: an idle container has the weight idle" {
	needs_systemd
	needs_v2
	config_set '.linux.resources.cpu = {idle: 1}'
	create_sleep
	prop_is CPUWeight idle
	assert_eq "$(cg cpu.idle)" 1
}

@test "systemd: a quota is rounded up to a whole percent, in systemd and in the kernel" {
	needs_systemd
	needs_v2
	config_set '.linux.resources.cpu = {quota: 12345, period: 100000}'
	create_sleep
	prop_is CPUQuotaPerSecUSec 130ms
	assert_eq "$(cg cpu.max)" "13000 100000"
}

# kept: what the limits are, as the kernel sees them
kept() {
	local f

	for f in memory.max memory.swap.max memory.low memory.high cpu.max cpu.weight cpu.max.burst cpu.idle pids.max cpuset.cpus \
		io.weight io.max hugetlb.2MB.max memory.limit_in_bytes cpu.shares cpu.cfs_quota_us devices.list net_cls.classid; do
		echo "$f: $(cg "$f" 2>/dev/null | tr '\n' ' ')"
	done
}

# devices_work: null may be used and made, the host's memory may not
devices_work() {
	ok exec "$ID" sh -c 'echo x >/dev/null && mknod /dev/n c 1 3 && : >/dev/n && mknod /dev/m c 1 1 && rm /dev/n' || return
	run_vzrun exec "$ID" sh -c ': </dev/m'
	[[ $status != 0 && $stderr == *"not permitted"* ]] || { echo "the container may read /dev/mem: $stderr"; return 1; }
	ok exec "$ID" rm /dev/m
}

@test "systemd: limits and devices survive daemon-reload and daemon-reexec" {
	needs_systemd
	config_set "$limits"' | .linux.resources.cpu.burst = 10000 | .process.capabilities |= map_values(. + ["CAP_MKNOD"] | unique)'
	create_sleep
	kept >"$T/was"
	devices_work
	systemctl daemon-reload
	sleep 1
	kept >"$T/is" && diff "$T/was" "$T/is"
	devices_work
	systemctl daemon-reexec
	sleep 1
	kept >"$T/is" && diff "$T/was" "$T/is"
	devices_work
	# systemd still knows it
	prop_is ActiveState active
	ok delete --force "$ID"
	gone "$(scope)"
}

@test "systemd: update tells systemd, and that survives a daemon-reload too" {
	needs_systemd
	needs_v2
	create_sleep
	ok update --memory 67108864 --memory-swap 134217728 --cpu-quota 25000 --cpu-share 512 --pids-limit 55 --cpuset-cpus 0 "$ID"
	prop_is MemoryMax 67108864
	prop_is MemorySwapMax 67108864
	prop_is CPUQuotaPerSecUSec 250ms
	prop_is CPUWeight 59
	prop_is TasksMax 55
	prop_is AllowedCPUs 0
	systemctl daemon-reload
	sleep 1
	assert_eq "$(cg memory.max)" 67108864
	assert_eq "$(cg cpu.max)" "25000 100000"
	assert_eq "$(cg pids.max)" 55
	ok update --memory -1 --pids-limit -1 "$ID"
	prop_is MemoryMax infinity
	prop_is TasksMax infinity
	assert_eq "$(cg memory.max)" max
}

@test "systemd: an update that the kernel refuses changes nothing, in systemd neither" {
	needs_systemd
	needs_v2
	config_set '.linux.resources.pids = {limit: 77}'
	create_sleep
	fails "cpuset" update --pids-limit 66 --cpuset-cpus 4000 "$ID"
	prop_is TasksMax 77
	prop_is AllowedCPUs ""
	assert_eq "$(cg pids.max)" 77
}

@test "systemd: a limit that the kernel refuses is an error of create, although systemd takes it" {
	needs_systemd
	config_set '.linux.resources.cpu = {cpus: "4000"}'
	fails "/linux/resources/cpu/cpus" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	gone "$(scope)"
}

@test "systemd: properties by annotation; seconds become microseconds" {
	needs_systemd
	config_set '.annotations = {
		"org.systemd.property.TimeoutStopSec": "uint64 7", "org.systemd.property.CollectMode": "'"'inactive'"'",
		"org.systemd.property.Description": "'"'of an annotation'"'", "org.systemd.property.After": "['"'local-fs.target'"']"}'
	create_sleep
	prop_is TimeoutStopUSec 7s
	prop_is CollectMode inactive
	prop_is Description "of an annotation"
	[[ " $(prop After) " == *" local-fs.target "* ]]
}

@test "systemd: an annotation that is no value, or no property, is an error that names it" {
	needs_systemd
	config_set '.annotations = {"org.systemd.property.TimeoutStopSec": "soon"}'
	fails "annotation org.systemd.property.TimeoutStopSec=soon: value parse error" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	config_set '.annotations = {"org.systemd.property.NoSuchThing": "true"}'
	fails "NoSuchThing" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	gone "$(scope)"
}

@test "systemd: a unit that failed is not in the way; one that runs is, and is left alone" {
	needs_systemd
	# no Delegate=, no CollectMode=: it stays as failed
	systemd-run --quiet --unit="$(scope .x)" --scope true 2>/dev/null || true
	systemd-run --quiet --unit="vzrun-$ID.service" --property=Type=oneshot false 2>/dev/null || true
	create_sleep
	local pid=$(pid_of "$ID")
	run_vzrun --root "$T/other" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ $status != 0 && $stderr == *"not empty"* ]]
	[[ $(pid_of "$ID") == "$pid" ]] && kill -0 "$pid"
	prop_is ActiveState active
	systemctl reset-failed "vzrun-$ID.service"
}

@test "systemd: delete when the unit is gone, and stop from outside" {
	needs_systemd
	# Process 1 of a pid namespace ends by the signals that it handles; systemd waits 90 seconds for another.
	set_args sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
	sd create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	systemctl stop "$(scope)"
	wait_state "$ID" stopped
	ok delete "$ID"
	gone "$(scope)"
}

@test "systemd: sub-cgroups of the payload go with the unit" {
	needs_systemd
	needs_v2
	create_sleep
	mkdir -p "$(cg_dir "$(pid_of "$ID")" memory)/a/b"
	ok delete --force "$ID"
	gone "$(scope)"
	[[ ! -e /sys/fs/cgroup/system.slice/$(scope) ]]
}

@test "systemd: a create that was killed is deleted, unit and all" {
	needs_systemd
	[[ -x ${VZRUN_FAULT:-} ]] || skip "no VZRUN_FAULT"
	local row

	for row in cgroup-begin clone unit-start unit-limits ready; do
		VZRUN_KILL_HOST=$row timeout 60 "$VZRUN_FAULT" --root "$ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$ID" \
			>/dev/null 2>&1 </dev/null 3>&- 4>&- || true
		ok delete --force "$ID"
		gone "$(scope)" || { echo "killed at $row"; return 1; }
		[[ ! -e /sys/fs/cgroup/system.slice/$(scope) ]]
	done
}

@test "systemd: a create that fails later leaves no unit" {
	needs_systemd
	config_set '.process.args = ["/no/such/program"]'
	fails "/no/such/program" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	gone "$(scope)"
	[[ ! -e $ROOT/$ID ]]
}

# took ARGS...: how long busctl takes, in ms
took() {
	local began=${EPOCHREALTIME/[.,]/}

	timeout 60 chrt -f 1 busctl "$@" >/dev/null || return
	echo $(((${EPOCHREALTIME/[.,]/} - began) / 1000))
}

# ping: how long the bus takes to answer, in ms: without what it takes to start busctl, which is a quarter of a second in an emulated
# guest and no fault of the bus.
ping() {
	local start all

	start=$(took --version) && all=$(took call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.DBus.Peer Ping) || return
	echo $((all > start ? all - start : 0))
}

@test "systemd: 50 containers at once: none fails, and the bus answers meanwhile" {
	needs_systemd
	local i pids=() rc=0 slow=0 now idle n=50

	config_set '.process.args = ["sleep", "1000"]'
	idle=$(ping)
	for ((i = 0; i < n; i++)); do
		"$VZRUN" --root "$ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$ID-$i" >>"$T/many" 2>&1 </dev/null 3>&- 4>&- &
		pids+=($!)
	done
	while [[ -n $(jobs -r) ]]; do
		now=$(ping) || rc=1
		((now <= slow)) || slow=$now
		sleep 0.1
	done
	for i in "${pids[@]}"; do
		wait "$i" || rc=1
	done
	echo "# the bus answers within $idle ms when idle, within $slow ms under load" >&3
	cat "$T/many"
	[[ $rc == 0 ]]
	((slow < 1000 + idle))
	for ((i = 0; i < n; i++)); do
		"$VZRUN" --root "$ROOT" delete --force "$ID-$i" </dev/null >>"$T/many" 2>&1 3>&- 4>&- &
	done
	wait
	cat "$T/many"
	[[ -z $(systemctl list-units --all --plain --no-legend "vzrun-$ID-*.scope") ]]
}

# On cgroup v1 the end of a container lets systemd tidy the slice, in which the next one is just being made.
@test "systemd: twenty containers one after the other, under names new and old, with and without namespaces" {
	needs_systemd
	local i name

	config_set '.process.args = ["sleep", "1000"]'
	for i in {1..10}; do
		((i % 3)) || config_set '.linux.namespaces |= map(select(.type != "cgroup"))'
		((i % 3 != 1)) || config_set '.linux.namespaces |= (map(select(.type != "cgroup")) + [{ type: "cgroup" }])'
		for name in "$ID-old" "$ID-$i"; do
			ok create --bundle "$BUNDLE" "$name" || return
			# Its own, not the host's: no moment without a right while init makes them.
			[[ $(stat -c %d "/proc/$(pid_of "$name")/root/dev/null") != "$(stat -c %d /dev/null)" ]] || return
			ok delete --force "$name" || return
		done
	done
}

@test "systemd: starts take turns, and a turn that is never given back holds nobody up for ever" {
	needs_systemd
	[[ -x ${VZRUN_FAULT:-} ]] || skip "no VZRUN_FAULT"
	local began=${EPOCHREALTIME/[.,]/}

	VZRUN=$VZRUN_FAULT # waits for 3 seconds and not for 30
	mkdir -p -m 700 /run/vzrun
	flock -x /run/vzrun sleep 60 >/dev/null 2>&1 3>&- 4>&- &
	wait_until pgrep -P $! sleep
	create_sleep
	pkill -P $! sleep
	(((${EPOCHREALTIME/[.,]/} - began) / 1000 >= 3000))
	state_is "$ID" running
}

# one_way SOCKET: with that one closed everything goes by the other.
one_way() {
	needs_systemd
	[[ -S /run/dbus/system_bus_socket ]] || skip "no message bus"
	in_mount_ns "mount --bind /dev/null $1"
	config_set '.linux.resources.pids = {limit: 77}'
	create_sleep
	prop_is TasksMax 77
	[[ $(<"/proc/$(pid_of "$ID")/cgroup") == *"/system.slice/$(scope)"* ]]
	ok update --pids-limit 66 "$ID"
	prop_is TasksMax 66
	ok delete --force "$ID"
	gone "$(scope)"
}

@test "systemd: through the message bus where its own socket is closed" { one_way /run/systemd/private; }
@test "systemd: through its own socket where there is no message bus" { one_way /run/dbus/system_bus_socket; }

# ---- without a manager ----

@test "systemd: no systemd at all is an error that says what is missing, and nothing is made" {
	in_mount_ns 'mkdir -p "$T/empty" /run; mount --bind "$T/empty" /run'
	fails "systemd cannot be reached (/run/dbus/system_bus_socket: no such file or directory; /run/systemd/private: no such file or directory" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ $stderr == *"use --cgroup-manager=cgroupfs"* ]]
	[[ ! -e $ROOT/$ID ]]
}

@test "systemd: without libsystemd the error names the library and its package, and nothing stays" {
	needs_systemd
	local lib

	lib=$(readlink -f "$(ldconfig -p | awk '$1 == "libsystemd.so.0" { print $NF; exit }')")
	[[ -f $lib ]] || skip "libsystemd is not installed"
	in_mount_ns "mount --bind /dev/null '$lib'"
	fails "the systemd cgroup driver needs libsystemd.so.0 (Debian: libsystemd0)" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID && ! -e /sys/fs/cgroup/system.slice/$(scope) ]]
}

# hang SOCKET [SCRIPT]: what takes connections and never answers, in place of our systemd and its bus
hang() {
	needs_command python3
	mkdir -p "$T/run/${1%/*}"
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(10); k = []
open(sys.argv[1] + ".ready", "w")
while True:
    c, _ = s.accept(); k.append(c); c.sendall(sys.argv[2].encode("latin1"))' "$T/run/$1" "${2:-}" >/dev/null 2>&1 3>&- 4>&- &
	listener=$!
	wait_until test -e "$T/run/$1.ready"
	in_mount_ns 'mount --bind "$T/run" /run'
}

never_answers() {
	[[ -x ${VZRUN_FAULT:-} ]] || skip "no VZRUN_FAULT"
	local began=$SECONDS

	VZRUN=$VZRUN_FAULT
	hang "$1"
	fails "systemd does not answer within 3 seconds (/run/$1)" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	((SECONDS - began < 30))
	[[ ! -e $ROOT/$ID ]]
}

@test "systemd: one that never answers is an error within seconds, and nothing stays" { never_answers systemd/private; }
@test "systemd: a bus that never answers is an error within seconds, and nothing stays" { never_answers dbus/system_bus_socket; }

@test "systemd: one that talks rubbish or refuses us is an error" {
	[[ -x ${VZRUN_FAULT:-} ]] || skip "no VZRUN_FAULT"
	VZRUN=$VZRUN_FAULT
	hang systemd/private $'DATA\r\nREJECTED EXTERNAL\r\n'
	fails "systemd does not accept uid 0" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	kill "$listener"
	VZRUN=$VZRUN_FAULT VZRUN_REAL='' && rm -r "$T/run"
	hang systemd/private $'DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nthis is no message at all'
	fails "not D-Bus" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "systemd: a container is deleted, with a warning, also when no systemd can be asked" {
	needs_systemd
	[[ -x ${VZRUN_FAULT:-} ]] || skip "no VZRUN_FAULT"
	# A cgroup that systemd does not know of, as after it has lost the unit.
	VZRUN_KILL_HOST=clone timeout 60 "$VZRUN_FAULT" --root "$ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$ID" \
		>/dev/null 2>&1 </dev/null 3>&- 4>&- || true
	[[ -e $ROOT/$ID ]]
	in_mount_ns 'mkdir -p "$T/empty" /run; mount --bind "$T/empty" /run'
	ok delete --force "$ID"
	[[ $stderr == *"unit $(scope) is left to systemd"* ]]
	[[ -z $(find /sys/fs/cgroup -name "$(scope)") ]]
	[[ ! -e $ROOT/$ID ]]
}
