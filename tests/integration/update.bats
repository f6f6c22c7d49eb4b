#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# update and events: every flag, documents, what is kept between updates; statistics and what they are made of.

load ../lib/helpers

setup() {
	vz_setup
	config_set '.linux.resources.cpu = {shares: 512, period: 100000, quota: 50000}'
	start_sleep
}

@test "update: each flag reaches its file (v1)" {
	needs_v1
	needs_controller memory
	while read -r flag value file want; do
		ok update "$flag" "$value" "$ID"
		assert_eq "$(cg "$file")" "$want" || { echo "$flag"; return 1; }
	done <<-E
		--cpu-share 700 cpu.shares 700
		--cpu-quota 20000 cpu.cfs_quota_us 20000
		--cpu-period 200000 cpu.cfs_period_us 200000
		--cpu-quota -1 cpu.cfs_quota_us -1
		--cpuset-cpus 0 cpuset.cpus 0
		--cpuset-mems 0 cpuset.mems 0
		--memory 50331648 memory.limit_in_bytes 50331648
		--memory 48m memory.limit_in_bytes 50331648
		--memory 49152K memory.limit_in_bytes 50331648
		--memory-reservation 20M memory.soft_limit_in_bytes 20971520
		--pids-limit 33 pids.max 33
		--pids-limit -1 pids.max max
		--pids-limit 10 pids.max 10
	E
}

@test "update: --cpu-burst, --cpu-idle, --blkio-weight, --memory-swap where the kernel has them" {
	needs_v1
	pid=$(pid_of "$ID")
	d=$(cg_dir "$pid" cpu)
	if [[ -e $d/cpu.cfs_burst_us ]]; then
		ok update --cpu-burst 10000 "$ID"
		assert_eq "$(<"$d/cpu.cfs_burst_us")" 10000
	fi
	if [[ -e $d/cpu.idle ]]; then
		ok update --cpu-idle 1 "$ID"
		assert_eq "$(<"$d/cpu.idle")" 1
		ok update --cpu-idle 0 "$ID"
		assert_eq "$(<"$d/cpu.idle")" 0
	fi
	d=$(cg_dir "$pid" blkio)
	if [[ -e $d/blkio.weight || -e $d/blkio.bfq.weight ]]; then
		ok update --blkio-weight 300 "$ID"
		grep -qx '\(default \)\?300' "$d"/blkio*.weight
	else
		fails 'weight' update --blkio-weight 300 "$ID"
	fi
	d=$(cg_dir "$pid" memory)
	if [[ -e $d/memory.memsw.limit_in_bytes ]]; then
		ok update --memory 30M --memory-swap 60M "$ID"
		assert_eq "$(<"$d/memory.memsw.limit_in_bytes")" 62914560
		# Both grow, both shrink: the kernel wants an order.
		ok update --memory 100M --memory-swap 120M "$ID"
		ok update --memory 20M --memory-swap 30M "$ID"
		assert_eq "$(<"$d/memory.memsw.limit_in_bytes")" 31457280
	fi
}

@test "update: flags that are accepted and ignored" {
	ok update --kernel-memory 100M "$ID"
	assert_match "$stderr" "*warning: *ignored*"
	ok update --kernel-memory-tcp 100M "$ID"
	ok update "$ID"
	assert_eq "$stderr" ""
}

@test "update: values that are no numbers" {
	for f in blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime cpu-idle memory memory-reservation memory-swap pids-limit; do
		for v in x 1x "" 1.5 99999999999999999999; do
			fails "--$f: invalid value \"$v\"" update "--$f" "$v" "$ID"
		done
	done
	for f in cpu-period cpu-share blkio-weight cpu-burst; do
		fails "--$f: invalid value \"-1\"" update "--$f" -1 "$ID"
	done
}

@test "update: a document from a file and from standard input" {
	needs_v1
	echo '{"memory": {"limit": 41943040}, "pids": {"limit": 21}, "cpu": {"shares": 300}}' >"$T/r"
	ok update -r "$T/r" "$ID"
	assert_eq "$(cg memory.limit_in_bytes) $(cg pids.max) $(cg cpu.shares)" "41943040 21 300"
	echo '{"pids": {"limit": 22}}' >"$T/r"
	VZ_STDIN=$T/r ok update -r - "$ID"
	assert_eq "$(cg pids.max)" 22
	echo '{"pids": {"limit": 23}}' >"$T/r"
	VZ_STDIN=$T/r ok update --resources=- "$ID"
	assert_eq "$(cg pids.max) $(cg memory.limit_in_bytes)" "23 41943040"
	# Without a word nothing changes: Kubernetes sends empty objects.
	echo '{"cpu": {}, "memory": {}}' >"$T/r"
	ok update -r "$T/r" "$ID"
	assert_eq "$(cg pids.max) $(cg memory.limit_in_bytes) $(cg cpu.shares)" "23 41943040 300"
	echo '{' >"$T/r"
	fails "$T/r: " update -r "$T/r" "$ID"
	VZ_STDIN=$T/r fails 'standard input: ' update -r - "$ID"
	echo '{"memory": {"limit": "x"}}' >"$T/r"
	fails "$T/r: /memory/limit: expected " update -r "$T/r" "$ID"
	fails "$T/none: no such file or directory" update -r "$T/none" "$ID"
}

@test "update: a later one keeps what an earlier one set" {
	needs_v1
	ok update --memory 60M "$ID"
	ok update --cpu-share 600 "$ID"
	ok update --pids-limit 40 "$ID"
	assert_eq "$(cg memory.limit_in_bytes) $(cg cpu.shares) $(cg pids.max) $(cg cpu.cfs_quota_us)" "62914560 600 40 50000"
	ok update --cpu-period 50000 "$ID"
	assert_eq "$(cg cpu.cfs_period_us) $(cg cpu.cfs_quota_us)" "50000 50000"
}

@test "update: one refused value changes nothing" {
	needs_v1
	before="$(cg cpu.shares) $(cg pids.max) $(cg memory.limit_in_bytes)"
	for bad in '--cpuset-cpus 4000' '--cpu-period 5' '--cpuset-mems 999' '--memory 1'; do
		# shellcheck disable=SC2086
		run_vzrun update --cpu-share 900 --pids-limit 50 $bad "$ID"
		[[ $bad == '--memory 1' && $status == 0 ]] || assert_eq "$status" 1 || { echo "$bad"; return 1; }
		[[ $bad == '--memory 1' ]] || assert_eq "$(cg cpu.shares) $(cg pids.max) $(cg memory.limit_in_bytes)" "$before" || { echo "$bad"; return 1; }
	done
}

@test "update: device rules stay as they are" {
	ok exec "$ID" sh -c 'echo x >/dev/null'
	ok update --memory 50M "$ID"
	ok exec "$ID" sh -c 'echo x >/dev/null; head -c 1 /dev/zero | wc -c'
	assert_eq "$output" 1
}

@test "update: a created and a paused container, not a stopped or missing one" {
	ok create --bundle "$BUNDLE" "$ID-2"
	ok update --pids-limit 50 "$ID-2"
	ok start "$ID-2"
	ok pause "$ID-2"
	VZ_TIMEOUT=10 ok update --pids-limit 51 "$ID-2"
	state_is "$ID-2" paused
	ok kill "$ID-2" KILL
	wait_state "$ID-2" stopped
	fails 'container not running' update --pids-limit 52 "$ID-2"
	fails 'container does not exist' update --pids-limit 1 nope
}

@test "update: resctrl schemas of a container that has none" {
	fails 'created without intelRdt' update --l3-cache-schema "L3:0=1" "$ID"
	fails 'created without intelRdt' update --mem-bw-schema "MB:0=1" "$ID"
}

@test "events: --stats has every key that readers know" {
	needs_v1
	needs_controller memory
	ok events --stats "$ID"
	assert_eq "$(wc -l <"$T/stdout")" 1
	assert_eq "$(jq -r '[.type, .id] | join(" ")' "$T/stdout")" "stats $ID"
	while read -r path type; do
		assert_eq "$(jq -r ".data.$path | type" "$T/stdout")" "$type" || { echo "$path"; return 1; }
	done <<-'E'
		cpu.usage.total number
		cpu.usage.percpu array
		cpu.usage.kernel number
		cpu.usage.user number
		cpu.throttling object
		cpuset.cpus array
		cpuset.mems array
		cpuset.cpu_exclusive number
		cpuset.mem_hardwall number
		cpuset.mem_exclusive number
		cpuset.memory_migrate number
		cpuset.memory_spread_page number
		cpuset.memory_spread_slab number
		cpuset.memory_pressure number
		cpuset.sched_load_balance number
		cpuset.sched_relax_domain_level number
		memory.usage.limit number
		memory.usage.usage number
		memory.usage.max number
		memory.usage.failcnt number
		memory.swap object
		memory.kernel object
		memory.kernelTCP object
		memory.raw object
		pids.current number
		pids.limit number
		blkio object
		network_interfaces array
	E
	jq -e '.data.memory.usage.limit == 67108864 and .data.pids.limit == 64 and .data.pids.current == 1
		and (.data.memory.usage.usage > 0) and (.data.cpu.usage.total > 0)' "$T/stdout"
	# The loopback device is nobody's interest.
	jq -e '.data.network_interfaces == []' "$T/stdout"
	if nsenter -t "$(pid_of "$ID")" -n ip link add d0 type veth peer name d1 2>/dev/null; then
		ok events --stats "$ID"
		jq -e '[.data.network_interfaces[].Name] | sort == ["d0", "d1"]' "$T/stdout"
		jq -e '.data.network_interfaces[0] | has("RxBytes") and has("TxDropped")' "$T/stdout"
	fi
}

@test "events: cpu time and throttling are in nanoseconds and counts" {
	needs_v1
	ok exec "$ID" sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'
	ok events --stats "$ID"
	jq -e '.data.cpu.usage.total > 10000000 and .data.cpu.throttling.periods > 0' "$T/stdout"
}

@test "events: again and again, until the container ends" {
	"$VZRUN" --root "$ROOT" events --interval 50ms "$ID" >"$T/ev" 2>"$T/ev.err" </dev/null 3>&- 4>&- &
	bg=$!
	several() { [[ $(wc -l <"$T/ev") -ge 3 ]]; }
	wait_until several
	ok kill "$ID" KILL
	wait $bg
	assert_eq "$(jq -r .type "$T/ev" | sort -u)" stats
}

@test "events: a container that ends while its statistics are taken is no error" {
	needs_plain_build
	needs_command strace
	timeout 30 strace -qq -o "$T/trace" -P "/proc/$(pid_of "$ID")/net/dev" -e inject=openat:delay_enter=3000000:when=1 \
		"$VZRUN" --root "$ROOT" events --interval 50ms "$ID" >"$T/ev" 2>"$T/ev.err" </dev/null 3>&- 4>&- &
	bg=$!
	wait_until grep -q net/dev "$T/trace"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	[[ ! -s $T/ev ]] # not late: the statistics were still to come
	wait $bg || { cat "$T/ev.err"; return 1; }
	assert_eq "$(cat "$T/ev" "$T/ev.err")" ""
}

@test "events: an out-of-memory kill" {
	needs_controller memory
	"$VZRUN" --root "$ROOT" events --interval 1h "$ID" >"$T/ev" 2>"$T/ev.err" </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -s "$T/ev"
	ok update --memory 8M --memory-swap 8M "$ID" || ok update --memory 8M "$ID"
	run_vzrun exec "$ID" tail -c 30000000 /dev/zero
	assert_eq "$status" 137
	wait_until grep -q '"oom"' "$T/ev"
	assert_eq "$(jq -c 'select(.type == "oom")' "$T/ev" | head -n 1)" "{\"type\":\"oom\",\"id\":\"$ID\"}"
	ok kill "$ID" KILL
	wait $bg
}

@test "events: durations, and containers that do not run" {
	for d in x 0 -1s 5 1s2 "" 1d s; do
		fails "--interval: \"$d\" is no duration" events --interval "$d" "$ID"
	done
	for d in 1ms 1.5s 1m30s 2h; do
		ok events --stats --interval "$d" "$ID"
	done
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	fails "container with id $ID is not running" events --stats "$ID"
	fails "container with id $ID is not running" events "$ID"
	fails 'container does not exist' events --stats nope
}
