#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Extensions: annotations org.openvz.* at creation, `vzrun set` on a living container, and what the kernel has then.

load ../lib/helpers

setup() {
	vz_setup || return
	needs_root
	config_set '.linux.resources = {}'
}

# annotations KEY VALUE...: below org.openvz.
annotations() {
	while (($#)); do
		config_set --arg k "org.openvz.$1" --arg v "$2" '.annotations[$k] = $v'
		shift 2
	done
}

# kernel V1FILE VALUE V2FILE VALUE: the one of the two that this container has; - for a hierarchy that has none.
kernel() {
	local is

	if [[ $1 != - ]] && is=$(cg "$1" 2>/dev/null); then
		assert_eq "$1 $is" "$1 $2"
	else
		is=$(cg "$3") && assert_eq "$3 $is" "$3 $4"
	fi
}

# setting NAME: its value, and behind it the fields.
setting() { "$VZRUN" --root "$ROOT" set --format json "$ID" 3>&- 4>&- </dev/null | jq -r --arg k "$1" '.[$k] | "\(.value) \(.fields // "-")"'; }
setting_is() { assert_eq "$1: $(setting "$1")" "$1: $2"; }

refused() {
	fails "$1" create --bundle "$BUNDLE" "$ID" || return
	[[ ! -e $ROOT/$ID ]] || { echo "a record is left"; return 1; }
	[[ -z $(find /sys/fs/cgroup -type d -name "$ID" -print -quit) ]] || { echo "a cgroup is left"; return 1; }
}

mhz() { awk -F: '/^cpu MHz/ { m = int($2) } END { print m }' /proc/cpuinfo; }

allowed_of() { sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$1/status"; }

# ---- the keys ----

@test "cpuunits: by annotation and by set" {
	needs_controller cpu
	annotations cpuunits 3000
	start_sleep
	kernel cpu.shares 3072 cpu.weight 300
	ok set "$ID" --cpuunits 500
	kernel cpu.shares 512 cpu.weight 50
	assert_eq "$stderr" ""
	ok set "$ID" --cpuunits 8
	kernel cpu.shares 8 cpu.weight 1
	[[ $(cg_mode) != v2 ]] || assert_match "$stderr" "*--cpuunits: becomes cpu.weight 1, the lowest that the kernel has*"
	ok set "$ID" --cpuunits 500000
	kernel cpu.shares 262144 cpu.weight 10000
	assert_match "$stderr" "*--cpuunits: becomes cpu.@(shares 262144|weight 10000), the highest that the kernel has*"
	assert_match "$(setting cpuunits)" "500000 *"
	# Only who asks for it is told.
	ok set "$ID" --cpulimit 50
	assert_eq "$stderr" ""
}

@test "cpuunits beside shares of the document: neither is lost when update changes something else" {
	needs_controller cpu
	config_set '.linux.resources = { cpu: { shares: 1024 } }'
	start_sleep
	ok set "$ID" --cpuunits 3000
	kernel cpu.shares 3072 cpu.weight 300
	ok update "$ID" --cpu-quota 60000
	kernel cpu.shares 3072 cpu.weight 300
	assert_match "$(setting cpuunits)" "3000 *"
	ok update "$ID" --cpu-share 2048
	kernel cpu.shares 2048 cpu.weight "$(cg cpu.weight 2>/dev/null)"
	assert_match "$(setting cpuunits)" "2000 cpu/shares=2048"
	[[ $(cg_mode) != v2 || $(cg cpu.weight) != 300 ]]
	ok set "$ID" --cpulimit 50
	assert_match "$(setting cpuunits)" "2000 cpu/shares=2048"
	[[ $(cg_mode) != v2 || $(cg cpu.weight) != 300 ]]
}

@test "cpulimit: percent of one CPU, MHz, unlimited" {
	needs_controller cpu
	local half=12500

	annotations cpulimit 25
	start_sleep
	kernel cpu.cfs_quota_us 25000 cpu.max "25000 100000"
	ok set "$ID" --cpulimit 50%
	kernel cpu.cfs_quota_us 50000 cpu.max "50000 100000"
	setting_is cpulimit "50 cpu/quota=50000 cpu/period=100000"
	# systemd knows whole percents.
	[[ ${VZ_MANAGER:-} != systemd ]] || half=13000
	ok set "$ID" --cpulimit 12.5
	kernel cpu.cfs_quota_us $half cpu.max "$half 100000"
	ok set "$ID" --cpulimit 0.5
	kernel cpu.cfs_quota_us 1000 cpu.max "1000 100000"
	assert_match "$stderr" "*--cpulimit: less than the kernel takes: raised to 1000 us of 100000*"
	ok set "$ID" --cpulimit 0
	kernel cpu.cfs_quota_us -1 cpu.max "max 100000"
	[[ $(mhz) -gt 0 && ! -e /sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq ]] || return 0
	ok set "$ID" --cpulimit "$(($(mhz) / 2))mhz"
	assert_match "$(setting cpulimit)" "$(($(mhz) / 2))m cpu/quota=@(49|50)??? *"
}

@test "cpus: with cpulimit the smaller one holds" {
	needs_controller cpu
	annotations cpus 1 cpulimit 150
	start_sleep
	kernel cpu.cfs_quota_us 100000 cpu.max "100000 100000"
	ok set "$ID" --cpulimit 30
	kernel cpu.cfs_quota_us 30000 cpu.max "30000 100000"
	setting_is cpus "1 cpu/quota=30000 cpu/period=100000"
	ok set "$ID" --cpulimit 0
	kernel cpu.cfs_quota_us 100000 cpu.max "100000 100000"
}

@test "cpus by set; more than there are is all" {
	needs_controller cpu
	local all n

	all=$(nproc --all)
	start_sleep
	ok set "$ID" --cpus 1
	kernel cpu.cfs_quota_us 100000 cpu.max "100000 100000"
	setting_is cpus "1 cpu/quota=100000 cpu/period=100000"
	for n in $((all + 1)) 100000000000 1000000000000000 18446744073709551615; do
		ok set "$ID" --cpus "$n"
		assert_match "$stderr" "*--cpus: more than this machine has ($all): cut down to that*"
		kernel cpu.cfs_quota_us "${all}00000" cpu.max "${all}00000 100000"
		setting_is cpus "$n cpu/quota=${all}00000 cpu/period=100000"
		ok set "$ID" --cpus 1
	done
	ok set "$ID" --cpus 0
	kernel cpu.cfs_quota_us -1 cpu.max "max 100000"
}

@test "cpuburst: at most the quota" {
	needs_controller cpu
	annotations cpulimit 50 cpuburst 10000
	start_sleep
	kernel cpu.cfs_burst_us 10000 cpu.max.burst 10000
	ok set "$ID" --cpuburst 20000
	kernel cpu.cfs_burst_us 20000 cpu.max.burst 20000
	assert_eq "$stderr" ""
	ok set "$ID" --cpulimit 5
	assert_match "$stderr" "*--cpuburst: 20000 us are more than the quota: cut down to 5000*"
	kernel cpu.cfs_burst_us 5000 cpu.max.burst 5000
	setting_is cpuburst "20000 cpu/burst=5000"
	ok set "$ID" --cpulimit 50
	kernel cpu.cfs_burst_us 20000 cpu.max.burst 20000
	ok set "$ID" --cpuburst 900000
	kernel cpu.cfs_burst_us 50000 cpu.max.burst 50000
	ok set "$ID" --cpulimit 0
	kernel cpu.cfs_burst_us 900000 cpu.max.burst 900000
}

@test "cpumask and nodemask: a list, all, and what the machine has not" {
	needs_controller cpuset
	local all

	annotations cpumask 0
	start_sleep
	kernel cpuset.cpus 0 cpuset.cpus 0
	assert_eq "$(allowed_of "$(pid_of "$ID")")" 0
	ok set "$ID" --cpumask all --nodemask all
	all=$(allowed_of "$(pid_of "$ID")")
	[[ $(nproc) == 1 || $all != 0 ]]
	kernel cpuset.cpus "$all" cpuset.cpus "$all"
	kernel cpuset.mems 0 cpuset.mems 0
	fails "--cpumask: CPUs 0,8191: this container may use $all" set "$ID" --cpumask 0,8191
	fails "--nodemask: nodes 77: this container may use 0" set "$ID" --nodemask 77
	fails '--cpumask: "1-": ' set "$ID" --cpumask 1-
	kernel cpuset.cpus "$all" cpuset.cpus "$all"
	setting_is cpumask "all cpu/cpus=$all"
}

@test "nodemask alone means the CPUs of the node as well" {
	needs_controller cpuset
	[[ -e /sys/devices/system/node/node0/cpulist ]] || skip "no memory nodes here"
	annotations nodemask 0
	start_sleep
	kernel cpuset.mems 0 cpuset.mems 0
	kernel cpuset.cpus "$(</sys/devices/system/node/node0/cpulist)" cpuset.cpus "$(</sys/devices/system/node/node0/cpulist)"
}

@test "nodemask by set; its CPUs and those of the document" {
	needs_controller cpuset
	[[ -e /sys/devices/system/node/node0/cpulist && $(nproc) -gt 1 ]] || skip "no memory nodes or one CPU"
	local all

	all=$(</sys/devices/system/node/node0/cpulist)
	config_set '.linux.resources = { cpu: { cpus: "0" } }'
	annotations nodemask 0
	refused "/annotations/org.openvz.nodemask: means $all for /linux/resources/cpu/cpus, where the document has 0"
	config_set 'del(.annotations)'
	start_sleep
	ok set "$ID" --nodemask 0
	kernel cpuset.mems 0 cpuset.mems 0
	kernel cpuset.cpus "$all" cpuset.cpus "$all"
	setting_is nodemask "0 cpu/mems=0 cpu/cpus=$all"
}

@test "a mask in other words is the same mask" {
	needs_controller cpuset
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	config_set '.linux.resources = { cpu: { cpus: "1,0" } }'
	annotations cpumask 0-1
	start_sleep
	setting_is cpumask "0-1 cpu/cpus=1,0"
	ok set "$ID" --cpumask 0,1
	setting_is cpumask "0,1 cpu/cpus=1,0"
	ok update "$ID" --cpuset-cpus 0-1
	setting_is cpumask "0,1 cpu/cpus=0-1"
}

# mask_stays KEY VALUE CPU: what update made of the CPUs is not undone by a set of something else, and the key is no longer shown.
# No CPU: another than the one that was picked.
mask_stays() {
	local cpu=${3:-}

	ok set "$ID" "--$1" "$2"
	[[ -n $cpu ]] || cpu=$((1 - $(cg cpuset.cpus)))
	ok update "$ID" --cpuset-cpus "$cpu"
	setting_is cpumask "$cpu cpu/cpus=$cpu"
	ok set "$ID" --cpuunits $((RANDOM % 1000 + 1000)) --cpulimit $((RANDOM % 50 + 20))
	kernel cpuset.cpus "$cpu" cpuset.cpus "$cpu"
	setting_is cpumask "$cpu cpu/cpus=$cpu"
}

@test "masks: what update changed is the truth, also for the next set" {
	needs_controller cpuset
	needs_controller cpu
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	start_sleep
	mask_stays cpumask all 0
	[[ ! -e /sys/devices/system/node/node0/cpulist ]] || mask_stays nodemask 0 1
	mask_stays nodemask all 0
	mask_stays cpumask 0-1 1
	[[ $(nproc) != 2 ]] || mask_stays cpumask auto
	# Until it is asked for again.
	ok set "$ID" --cpumask all
	kernel cpuset.cpus 0-$(($(nproc) - 1)) cpuset.cpus 0-$(($(nproc) - 1))
}

# picked: one CPU, and the idle one.
picks_idle() {
	ok create --bundle "$BUNDLE" "$ID" && MASK=$(cg cpuset.cpus) && [[ $MASK =~ ^[0-9]+$ ]] || return
	[[ $MASK == 0 ]] || return 0
	ok delete --force "$ID"
	return 1
}

@test "cpumask auto: as many CPUs as the limit needs, the idle ones, and they stay" {
	needs_controller cpuset
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	local busy i

	taskset -c 0 sh -c 'while :; do :; done' 3>&- 4>&- &
	busy=$!
	annotations cpumask auto cpus 1
	# Beside other work no CPU may be idle at the moment.
	for ((i = 0; i < 20; i++)); do ! picks_idle || break; done
	kill "$busy"
	((i < 20))
	ok set "$ID" --cpuunits 2000
	assert_eq "$(cg cpuset.cpus)" "$MASK"
	setting_is cpumask "auto cpu/cpus=$MASK"
}

@test "cpumask auto by set: as many CPUs as there are wanted" {
	needs_controller cpuset
	needs_controller cpu
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	start_sleep
	ok set "$ID" --cpumask auto --cpus 1
	assert_match "$(cg cpuset.cpus)" "+([0-9])"
	ok set "$ID" --cpus 2
	assert_match "$(cg cpuset.cpus)" "+([0-9])[-,]+([0-9])"
	ok set "$ID" --cpulimit 70
	assert_match "$(cg cpuset.cpus)" "+([0-9])"
	assert_match "$(setting cpumask)" "auto cpu/cpus=$(cg cpuset.cpus)"
}

@test "physpages, swappages, numproc: pages, suffixes, pairs" {
	needs_controller memory
	needs_controller pids
	annotations physpages 16384 numproc 100:200
	start_sleep
	kernel memory.limit_in_bytes 67108864 memory.max 67108864
	kernel pids.max 200 pids.max 200
	ok set "$ID" --physpages 96M --numproc 300
	kernel memory.limit_in_bytes 100663296 memory.max 100663296
	kernel pids.max 300 pids.max 300
	setting_is physpages "96M memory/limit=100663296"
	ok set "$ID" --physpages 16384:32768
	kernel memory.limit_in_bytes 134217728 memory.max 134217728
	ok set "$ID" --numproc unlimited
	kernel pids.max max pids.max max
	ok set "$ID" --numproc 4194305
	assert_match "$stderr" "*--numproc: 4194305 is more than can exist*"
	kernel pids.max 4194304 pids.max 4194304
	setting_is numproc "4194305 pids/limit=4194304"
	ok set "$ID" --numproc 0
	assert_match "$stderr" "*--numproc: a container has a process: 1*"
	kernel pids.max 1 pids.max 1
	setting_is numproc "0 pids/limit=1"
}

@test "physpages below what is used: refused, and nothing dies" {
	needs_controller memory
	annotations physpages 64M
	start_sleep
	fails "memory" set "$ID" --physpages 4096B
	# Asked for by that word alone: update does as it is told, as before.
	ok set "$ID" --physpages 64M
	! grep checkBeforeUpdate "$ROOT/$ID/state.json" || false
	sleep 0.2
	state_is "$ID" running
	kernel memory.limit_in_bytes 67108864 memory.max 67108864
}

@test "swappages stay beside the memory when that changes" {
	needs_controller memory
	annotations physpages 64M swappages 32M
	start_sleep
	[[ -e $(cg_dir "$(pid_of "$ID")" memory)/memory.memsw.limit_in_bytes || -e $(cg_dir "$(pid_of "$ID")" memory)/memory.swap.max ]] ||
		skip "no swap accounting"
	kernel memory.memsw.limit_in_bytes 100663296 memory.swap.max 33554432
	ok set "$ID" --physpages 128M
	kernel memory.memsw.limit_in_bytes 167772160 memory.swap.max 33554432
	ok set "$ID" --physpages 32M
	kernel memory.memsw.limit_in_bytes 67108864 memory.swap.max 33554432
	setting_is swappages "32M memory/swap=67108864"
	ok set "$ID" --swappages 16M
	kernel memory.memsw.limit_in_bytes 50331648 memory.swap.max 16777216
	setting_is swappages "16M memory/swap=50331648"
	fails "--physpages: swap is bounded together with memory, which has no limit (set swappages to unlimited as well)" \
		set "$ID" --physpages unlimited
	ok set "$ID" --physpages unlimited --swappages unlimited
	kernel memory.memsw.limit_in_bytes 9223372036854771712 memory.swap.max max
	fails "--swappages: swap is bounded together with memory, which has no limit (set physpages)" set "$ID" --swappages 16M
}

# guaranteed BYTES: on v1 by a soft limit, of which there may be none.
guaranteed() { kernel memory.soft_limit_in_bytes "${1/#0/9223372036854771712}" memory.low "$1"; }

@test "memguarantee: percent of the memory, a size, auto" {
	needs_controller memory
	local bad

	annotations physpages 64M memguarantee 25
	start_sleep
	guaranteed 16777216
	setting_is memguarantee "25 memory/reservation=16777216"
	# A share stays a share.
	ok set "$ID" --physpages 128M
	guaranteed 33554432
	ok set "$ID" --memguarantee 8M
	guaranteed 8388608
	setting_is memguarantee "8M memory/reservation=8388608"
	ok set "$ID" --memguarantee 256M
	assert_match "$stderr" "*--memguarantee: more than the memory: cut down to that*"
	guaranteed 134217728
	ok set "$ID" --memguarantee auto
	guaranteed 0
	assert_match "$(setting memguarantee)" "auto *"
	ok set "$ID" --physpages 64M
	guaranteed 0
	ok set "$ID" --memguarantee 50%
	guaranteed 33554432
	ok update "$ID" --memory-reservation 4194304
	guaranteed 4194304
	assert_match "$(setting memguarantee)" "4M memory/reservation=4194304"
	for bad in 101 -1 x 5%% 99999999999%; do
		fails "--memguarantee: \"$bad\": " set "$ID" --memguarantee="$bad"
	done
	fails "--memguarantee: unlimited" set "$ID" --memguarantee unlimited
	guaranteed 4194304
	ok delete --force "$ID"
	config_set 'del(.annotations)'
	annotations memguarantee 25
	refused "/annotations/org.openvz.memguarantee: 25% of memory that has no limit"
	config_set '.linux.resources = { memory: { reservation: 1048576 } }'
	annotations memguarantee 2M
	refused "/annotations/org.openvz.memguarantee: means 2097152 for /linux/resources/memory/reservation, where the document has 1048576"
}

@test "nummemorysubgroups: on cgroup v2" {
	annotations nummemorysubgroups 512
	config_set '.process.args = ["sleep", "1000"]'
	ok run --bundle "$BUNDLE" --detach "$ID"
	if [[ $(cg_mode) != v2 ]]; then
		assert_match "$stderr" "*/annotations/org.openvz.nummemorysubgroups: is kept, but not enforced: only cgroup v2 has it*"
		ok set "$ID" --nummemorysubgroups 100
		assert_match "$stderr" "*--nummemorysubgroups: is kept, but not enforced*"
		setting_is nummemorysubgroups "100 -"
		return
	fi
	kernel - - cgroup.max.descendants 512
	ok set "$ID" --nummemorysubgroups 0
	kernel - - cgroup.max.descendants 0
	setting_is nummemorysubgroups "0 unified/cgroup.max.descendants=0"
	ok set "$ID" --nummemorysubgroups unlimited
	kernel - - cgroup.max.descendants max
	fails "--nummemorysubgroups: out of range" set "$ID" --nummemorysubgroups 2147483648
}

# What the reference names as such.
inert_keys() { "$VZRUN" features --annotations md | sed -n 's/^| `org.openvz.\([^`]*\)`.*Kept and shown, not enforced.*/\1/p'; }

# inert_value KEY FIRST|SECOND
inert_value() {
	case $1 in
	rate) [[ $2 == FIRST ]] && echo "eth0:1:256 *:2:512" || echo "eth1:1:1000" ;;
	netfilter) [[ $2 == FIRST ]] && echo stateless || echo full ;;
	*pages) [[ $2 == FIRST ]] && echo 1000:2048 || echo 12M ;;
	*) [[ $2 == FIRST ]] && echo 200 || echo 100:300 ;;
	esac
}

# inert_are FIRST|SECOND: all of them at once; what is shown is canonical.
inert_are() {
	local key want=

	for key in "${keys[@]}"; do
		case $key in
		*pages) want+="$key $([[ $1 == FIRST ]] && echo 1000:2048 || echo 12M)"$'\n' ;;
		*) want+="$key $(inert_value "$key" "$1" | sed 's/^100:300$/300/')"$'\n' ;;
		esac
	done
	ok set --format json "$ID"
	assert_eq "$(jq -r '$ARGS.positional[] as $k | "\($k) \(.[$k].value)"' --args "${keys[@]}" <<<"$output")" "${want%$'\n'}"
}

# said_once PREFIX: of each key, and of nothing else.
said_once() {
	assert_eq "$(grep "is kept, but not enforced" <<<"$stderr" | sort)" \
		"$(printf "vzrun: warning: $1%s: is kept, but not enforced\n" "${keys[@]}" | sort)"
}

@test "keys without an equivalent are kept, shown, and said once to be not enforced" {
	local key keys options=()

	mapfile -t keys < <(inert_keys)
	assert_eq "${#keys[@]}" 21
	assert_match " ${keys[*]} " "* privvmpages * numflock * rate netfilter *"
	for key in "${keys[@]}"; do
		options+=("--$key" "$(inert_value "$key" SECOND)")
		annotations "$key" "$(inert_value "$key" FIRST)"
	done
	config_set '.process.args = ["sleep", "1000"]'
	ok run --bundle "$BUNDLE" --detach "$ID"
	said_once /annotations/org.openvz.
	inert_are FIRST
	ok set "$ID" "${options[@]}"
	said_once --
	inert_are SECOND
	ok set "$ID" --rate-add "eth0:1:256,eth2:3:5" --rate-del eth1:1:1000
	setting_is rate "eth0:1:256 eth2:3:5 -"
	fails '--netfilter: "some": neither disabled, stateless, stateful nor full' set "$ID" --netfilter some
	for key in eth0 eth0:1 :1:256 eth0:0:256 eth0:1:x eth0::256; do
		fails "is not DEVICE:CLASS:KBITS" set "$ID" --rate "$key"
	done
}

# ---- two vocabularies ----

@test "an annotation and the native field that agree are fine, and both are shown" {
	needs_controller cpu
	config_set '.linux.resources = { cpu: { quota: 12500, period: 50000 } }'
	annotations cpulimit 25
	start_sleep
	kernel cpu.cfs_quota_us 12500 cpu.max "12500 50000"
	ok state "$ID"
	assert_eq "$(jq -r '.annotations["org.openvz.cpulimit"], .resources.cpu.quota' <<<"$output" | xargs)" "25 12500"
}

@test "an annotation and the native field that disagree are an error that names both" {
	config_set '.linux.resources = { cpu: { quota: 50000 } }'
	annotations cpulimit 25
	refused "/annotations/org.openvz.cpulimit: means 25000 for /linux/resources/cpu/quota, where the document has 50000"
	config_set '.linux.resources = { cpu: { shares: 1024 } }'
	config_set 'del(.annotations)'
	annotations cpuunits 3000
	refused "/annotations/org.openvz.cpuunits: means 3072 for /linux/resources/cpu/shares, where the document has 1024"
	config_set '.linux.resources = { pids: { limit: 5 } }'
	config_set 'del(.annotations)'
	annotations numproc 6
	refused "/annotations/org.openvz.numproc: means 6 for /linux/resources/pids/limit, where the document has 5"
}

@test "a native field alone is shown in OpenVZ's words" {
	needs_controller cpu
	needs_controller pids
	config_set '.linux.resources = { cpu: { quota: 33333, shares: 2048 }, pids: { limit: 77 } }'
	start_sleep
	assert_match "$(setting cpulimit)" "33.333 cpu/quota=33333*"
	assert_match "$(setting cpuunits)" "2000 *"
	setting_is numproc "77 pids/limit=77"
	ok state "$ID"
	assert_eq "$(jq -r '.settings.numproc, .annotations["org.openvz.numproc"], .resources.pids.limit' <<<"$output" | xargs)" "77 null 77"
}

@test "what update changed is the truth afterwards, also for the next set" {
	needs_controller cpu
	annotations cpulimit 25 cpuunits 1000
	start_sleep
	ok update "$ID" --cpu-quota 60000
	assert_match "$(setting cpulimit)" "60 cpu/quota=60000 *"
	ok state "$ID"
	assert_eq "$(jq -r '.settings.cpulimit, .annotations["org.openvz.cpulimit"]' <<<"$output" | xargs)" "60 60"
	ok set "$ID" --cpuunits 2000
	kernel cpu.cfs_quota_us 60000 cpu.max "60000 100000"
	assert_match "$(setting cpulimit)" "60 cpu/quota=60000 *"
}

# ---- all or nothing ----

# limits_of: the values that one `set` of five means.
limits_of() {
	for f in pids.max cpu.shares cpu.weight cpu.cfs_quota_us cpu.max memory.limit_in_bytes memory.max; do echo "$f $(cg $f 2>/dev/null)"; done
	allowed_of "$(pid_of "$ID")"
}

@test "one refusing value among five: the kernel has what it had" {
	needs_controller cpu
	needs_controller memory
	needs_controller pids
	needs_controller cpuset
	local before

	annotations cpulimit 50 physpages 64M numproc 100 cpuunits 1000 cpumask 0
	start_sleep
	before=$(limits_of)
	# What the kernel refuses: the file that is written last.
	in_mount_ns "$(read_only "$(cg_dir "$(pid_of "$ID")" cpuset)/cpuset.cpus")"
	fails "/linux/resources/cpu/cpus: " set "$ID" --numproc 200 --physpages 128M --cpuunits 3000 --cpulimit 60 --cpumask all
	VZRUN=$VZRUN_REAL
	assert_eq "$(limits_of)" "$before"
	# What vzrun refuses.
	fails "--cpumask" set "$ID" --numproc 200 --physpages 128M --cpuunits 3000 --cpulimit 60 --cpumask 99
	assert_eq "$(limits_of)" "$before"
	setting_is numproc "100 pids/limit=100"
	# And nothing of it stands in the way of the next.
	ok set "$ID" --numproc 200 --physpages 128M --cpuunits 3000 --cpulimit 60
	[[ $(limits_of) != "$before" ]]
}

@test "a record that cannot be written: the kernel has what it had, after set and after update" {
	needs_controller cpu
	needs_controller memory
	needs_controller pids
	local before

	annotations physpages 64M numproc 100
	config_set '.hostname = "first"'
	start_sleep
	before=$(limits_of)
	in_mount_ns "$(read_only "$ROOT/$ID")"
	fails "create state.json" set "$ID" --numproc 200 --physpages 128M --cpulimit 60 --cpuunits 2000 --cpumask 0 --hostname second
	assert_eq "$(limits_of)" "$before"
	ok exec "$ID" hostname
	assert_eq "$output" first
	fails "create state.json" update "$ID" --pids-limit 200 --memory 134217728 --cpu-quota 60000 --cpu-share 2048 --cpuset-cpus 0
	assert_eq "$(limits_of)" "$before"
	# Nor does systemd know better.
	[[ ${VZ_MANAGER:-} != systemd ]] || systemctl daemon-reload
	assert_eq "$(limits_of)" "$before"
	VZRUN=$VZRUN_REAL
	setting_is cpulimit "null -"
	ok set "$ID" --numproc 200
	kernel pids.max 200 pids.max 200
}

@test "values of the wrong form name the place and what is wanted" {
	local key

	for key in "cpulimit -5:neither percent" "cpulimit 25x:neither percent" "cpuunits 7:out of range: 8 to 500000" \
		"cpuunits 500001:out of range" "cpuunits x:not a number" "cpus -1:not a number" "cpumask a-b:" "cpumask :" \
		"physpages 12q:not a size" "physpages 99999999999999999999:too large" "numproc many:neither a number" "physpages 0:no memory"; do
		config_set 'del(.annotations)'
		annotations "${key%% *}" "$(sed 's/^[a-z]* //; s/:.*//' <<<"$key")"
		refused "/annotations/org.openvz.${key%% *}: *${key#*:}" || { echo "$key"; return 1; }
	done
	config_set 'del(.annotations)'
	annotations swappages 32M
	refused "/annotations/org.openvz.swappages: swap is bounded together with memory"
}

@test "more than the machine has is cut down, with a warning" {
	needs_controller cpu
	annotations cpulimit 10000000
	ok create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/annotations/org.openvz.cpulimit: more than this machine has ($(($(nproc --all) * 100))%)*"
	kernel cpu.cfs_quota_us $(($(nproc --all) * 100000)) cpu.max "$(($(nproc --all) * 100000)) 100000"
	setting_is cpulimit "10000000 cpu/quota=$(($(nproc --all) * 100000)) cpu/period=100000"
}

@test "an unknown key is a warning with the nearest one" {
	annotations cpulimt 25 zzzzzzzzzz 1
	ok create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/annotations/org.openvz.cpulimt: unknown key is ignored (did you mean org.openvz.cpulimit?)*"
	assert_match "$stderr" "*/annotations/org.openvz.zzzzzzzzzz: unknown key is ignored"*
	fails "flag provided but not defined: --cpulimt" set "$ID" --cpulimt 25
}

# ---- which containers ----

@test "set: created, paused, stopped, missing, all" {
	needs_controller pids
	needs_controller freezer
	ok create --bundle "$BUNDLE" "$ID"
	ok set "$ID" --numproc 50
	ok delete --force "$ID"
	start_sleep
	ok pause "$ID"
	ok set "$ID" --numproc 60
	kernel pids.max 60 pids.max 60
	ok resume "$ID"
	ok set --all --numproc 70
	kernel pids.max 70 pids.max 70
	fails "exclude each other" set --all "$ID" --numproc 70
	fails "nothing is to be set" set --all
	fails 'requires the id of a container' set --numproc 5
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	fails "container not running" set "$ID" --numproc 80
	ok set "$ID"
	assert_match "$output" "NAME *numproc *70*"
	ok set --all --numproc 70
	fails "container does not exist" set "$ID-none" --numproc 80
}

@test "set --all: whoever cannot is named, and the others have it" {
	needs_controller pids
	config_set --file "$CONFIG" '.linux.namespaces |= map(select(.type != "uts")) | del(.hostname)'
	start_sleep
	new_bundle "$T/second"
	jq '.process.args = ["sleep", "1000"]' "$T/second/config.json" >"$T/c" && mv "$T/c" "$T/second/config.json"
	ok run --bundle "$T/second" --detach "$ID-2"
	ok run --bundle "$T/second" --detach "$ID-3"
	ok kill "$ID-3" KILL
	wait_state "$ID-3" stopped
	fails "no uts namespace of its own" set "$ID" --hostname foo
	fails "$ID: hostname: the container has no uts namespace of its own" set --all --hostname foo
	[[ $stderr != *"$ID-"* ]]
	ok exec "$ID-2" hostname
	assert_eq "$output" foo
	ok set --all --numproc 70
	kernel pids.max 70 pids.max 70
}

@test "set: ten at once, and each of them whole" {
	needs_controller pids
	needs_controller cpu
	local i jobs=() pair

	annotations numproc 1000 cpuunits 1000
	start_sleep
	for i in {1..10}; do
		"$VZRUN" --root "$ROOT" set "$ID" --numproc "$((i * 100))" --cpuunits "$((i * 1000))" </dev/null 3>&- 4>&- &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do wait "$i"; done
	pair="$(setting numproc) $(setting cpuunits)"
	i=$(cg pids.max)
	kernel cpu.shares $((i * 10 * 1024 / 1000)) cpu.weight "$i"
	assert_match "$pair" "$i pids/limit=$i $((i * 10)) *"
}

@test "set: settings outlive a restart of nothing: exec, update and delete find them" {
	needs_controller pids
	annotations numproc 40
	start_sleep
	ok set "$ID" --numproc 44
	ok exec "$ID" true
	ok update "$ID" --cpu-share 100
	setting_is numproc "44 pids/limit=44"
	assert_eq "$(jq -r '.annotations["org.openvz.numproc"]' "$ROOT/$ID/state.json")" 44
	ok delete --force "$ID"
}

# ---- what it is for ----

# ticks PID: CPU time that it had, in hundredths.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

busy_bundle() {
	new_bundle "$T/$1"
	jq --argjson a "$2" '.linux.resources = {} | .process.args = ["sh", "-c", "while :; do :; done"] | .annotations = $a' \
		"$T/$1/config.json" >"$T/c" && mv "$T/c" "$T/$1/config.json"
	ok run --bundle "$T/$1" --detach "$ID-$1"
}

# per_mille PID SECONDS: of a CPU that it gets meanwhile.
per_mille() {
	local from began=${EPOCHREALTIME/[.,]/}

	from=$(ticks "$1")
	sleep "$2"
	echo $((($(ticks "$1") - from) * 10000000 / (${EPOCHREALTIME/[.,]/} - began)))
}

@test "a busy loop under cpulimit 25 gets a quarter of a CPU" {
	needs_controller cpu
	local pid used i

	# Before all others, so that it is the limit that holds it back.
	busy_bundle a '{ "org.openvz.cpulimit": "25", "org.openvz.cpuunits": "500000" }'
	pid=$(pid_of "$ID-a")
	sleep 0.3
	# Never more; beside other work less for a while.
	for i in 1 2 3 4 5 6; do
		used=$(per_mille "$pid" 3)
		echo "used: $used per mille"
		((used <= 280)) || return 1
		((used < 220)) || return 0
	done
	return 1
}

@test "two busy loops on one CPU with cpuunits 1000 and 3000 share it one to three" {
	needs_controller cpu
	needs_controller cpuset
	local a b i

	busy_bundle a '{ "org.openvz.cpuunits": "1000", "org.openvz.cpumask": "0" }'
	busy_bundle b '{ "org.openvz.cpuunits": "3000", "org.openvz.cpumask": "0" }'
	sleep 0.3
	# Others on that CPU take from one more than from the other for a while.
	for i in 1 2 3; do
		a=$(ticks "$(pid_of "$ID-a")") b=$(ticks "$(pid_of "$ID-b")")
		sleep 5
		a=$(($(ticks "$(pid_of "$ID-a")") - a)) b=$(($(ticks "$(pid_of "$ID-b")") - b))
		echo "a: $a, b: $b"
		((b * 100 < a * 270 || b * 100 > a * 330)) || return 0
	done
	return 1
}

@test "a change of the mask moves a busy loop at once" {
	needs_controller cpuset
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	local on=() i

	busy_bundle a '{ "org.openvz.cpumask": "0" }'
	assert_eq "$(awk '{ print $39 }' "/proc/$(pid_of "$ID-a")/stat")" 0
	ok set "$ID-a" --cpumask 1
	for i in 1 2 3; do
		on+=("$(awk '{ print $39 }' "/proc/$(pid_of "$ID-a")/stat")")
		sleep 0.02
	done
	assert_eq "${on[*]}" "1 1 1"
}

# ---- the structure ----

@test "runtime/ knows no extension by name" {
	local file name

	for file in "$TOP"/extensions/*.c; do
		name=$(basename "$file" .c)
		[[ $name != registry && $name != values && $name != machine ]] || continue
		! grep -rn "ext_$name\b\|extensions/$name" "$TOP/runtime" || return 1
	done
	! grep -rnE "openvz[.][a-z]" "$TOP/runtime" || false
}

# The program is linked anew, with the flags of its build and whatever else it consists of.
@test "an extension more is one file and one line in the registry" {
	local build=${VZRUN%/*} flags

	[[ -e $build/Makefile ]] || skip "no build directory here"
	mkdir -p "$T/more/extensions"
	sed '/X(hostname)/s/^/\tX(greeting) \\\n/' "$TOP/extensions/registry.h" >"$T/more/extensions/registry.h"
	cat >"$T/more/extensions/greeting.c" <<'C'
#include "extensions/registry.h"
#include "extensions/values.h"

struct greeting {
	const char *text;
};

static int parse(const char *text, void *member, struct arena *a, struct err *e)
{
	const char **to = member;

	if (!*text)
		return err_set(e, ERR_CONFIG, 0, "nobody is greeted");
	*to = arena_strdup(a, text);
	return *to ? 0 : err_oom(e);
}

static const struct ext_value value = { "TEXT", parse, value_print_text };
static const struct ext_row rows[] = {
	{ .name = "greeting", .offset = EXT_MEMBER(struct greeting, text), .value = &value, .help = "Words of welcome" },
	EXT_ROWS_END,
};
static int update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	(void)env, (void)was, (void)now, (void)saved, (void)e;
	return 0;
}
const struct ext ext_greeting = { .name = "greeting", .rows = rows, .config_size = sizeof(struct greeting), .update = update };
C
	# The flags without what says where dependencies are written.
	flags=$(printf 'include Makefile\nflags:\n\t@echo $(CC) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) ; echo $(VZ_LIBS)\n' |
		make -s -C "$build" -f - flags)
	cd "$build"
	# shellcheck disable=SC2086
	${flags%%$'\n'*} -D_GNU_SOURCE -I"$T/more" -I"$TOP" -I. -include config.h -o "$T/more/vzrun" "$TOP/runtime/cli/main.c" \
		"$TOP/extensions/registry.c" "$T/more/extensions/greeting.c" libvzrun.a ${flags#*$'\n'}
	cd "$TOP"
	VZRUN=$T/more/vzrun
	annotations greeting hello
	start_sleep
	setting_is greeting "hello -"
	ok set "$ID" --greeting welcome
	setting_is greeting "welcome -"
	fails "nobody is greeted" set "$ID" --greeting ""
	setting_is greeting "welcome -"
	ok set --help
	assert_match "$output" "*--greeting TEXT*Words of welcome*"
}
