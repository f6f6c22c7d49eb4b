#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# stats: numbers against the kernel's own files and against what the payload does; order, forms, containers that come and go.

load ../lib/helpers

setup() {
	vz_setup || return
	bgs=()
}

teardown() {
	local p

	for p in "${bgs[@]}"; do
		kill "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	[[ -z ${mounted:-} ]] || umount "$BUNDLE/rootfs"
	vz_teardown
}

# start_sh SCRIPT [ID] [BUNDLE]: a running container.
start_sh() {
	local id=${2:-$ID} bundle=${3:-$BUNDLE}

	config_set --file "$bundle/config.json" --arg s "$1" '.process.args = ["sh", "-c", $s]' || return
	ok create --bundle "$bundle" "$id" && ok start "$id"
}

# another SUFFIX SCRIPT: one more container.
another() {
	mkdir -p "$T/bundle-$1/rootfs" && new_bundle "$T/bundle-$1" && start_sh "$2" "$ID-$1" "$T/bundle-$1"
}

# json FILTER: of the sample in $output; shown when it does not hold.
json() { jq -e "$1" <<<"$output" >/dev/null || { echo "not so: $1"; jq . <<<"$output"; return 1; }; }

# watching ARGS...: stats in the background, into $T/out; $bg.
watching() {
	"$VZRUN" --root "$ROOT" stats "$@" >"$T/out" 2>"$T/err" </dev/null 3>&- 4>&- &
	bg=$!
	bgs+=("$bg")
}
has_lines() { [[ $(wc -l <"$T/out") -ge $1 ]]; }

ended() { ! kill -0 "$1" 2>/dev/null; }

# near VALUE WANTED: the same within a tenth.
near() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d * d <= b * b / 100) }' || { echo "$1 is not near $2"; return 1; }; }

# ---- numbers ----

@test "stats: the numbers are those of the kernel's files" {
	needs_v1
	needs_root
	needs_controller memory
	start_sleep
	ok stats --format json "$ID"
	json 'length == 1 and .[0].id == "'"$ID"'" and .[0].status == "running" and .[0].pid == '"$(pid_of "$ID")"
	assert_eq "$(jq '.[0].memory.usage_bytes' <<<"$output")" "$(cg memory.usage_in_bytes)"
	assert_eq "$(jq '.[0].memory.limit_bytes' <<<"$output")" "$(cg memory.limit_in_bytes)"
	assert_eq "$(jq '.[0].memory.refaults_file' <<<"$output")" "$(cg memory.stat | awk '$1 == "total_workingset_refault_file" { print $2; f = 1 } END { if (!f) print "null" }')"
	assert_eq "$(jq '.[0].pids.current, .[0].pids.limit' <<<"$output" | tr '\n' ' ')" "$(cg pids.current) $(cg pids.max) "
	near "$(jq '.[0].cpu.usage_ns' <<<"$output")" "$(cg cpuacct.usage)"
	assert_eq "$(jq -r '.[0].cpu.mask' <<<"$output")" "$(cg cpuset.cpus)"
	json '.[0].memory | has("guarantee_bytes") | not'
}

@test "v2 stats: the numbers are those of the kernel's files" {
	needs_v2
	needs_root
	start_sleep
	ok stats --format json "$ID"
	near "$(jq '.[0].memory.usage_bytes' <<<"$output")" "$(cg memory.current)"
	assert_eq "$(jq '.[0].memory.limit_bytes' <<<"$output")" "$(cg memory.max)"
	assert_eq "$(jq '.[0].memory.guarantee_bytes' <<<"$output")" "$(cg memory.min)"
	assert_eq "$(jq '.[0].pids.current, .[0].pids.limit' <<<"$output" | tr '\n' ' ')" "$(cg pids.current) $(cg pids.max) "
	near "$(jq '.[0].cpu.usage_ns' <<<"$output")" "$(cg cpu.stat | awk '$1 == "usage_usec" { print $2 * 1000 }')"
}

@test "stats: limits are those that were set, and none is left out" {
	needs_root
	needs_controller memory
	needs_controller cpu
	config_set '.linux.resources = {}'
	start_sleep
	ok stats --format json "$ID"
	# systemd bounds the processes of every unit.
	[[ ${VZ_MANAGER:-} == systemd ]] || json '.[0].pids.limit == null'
	json '.[0] | (.cpu.limit_percent, .memory.limit_bytes) == null and .memory.usage_bytes > 0'
	ok stats "$ID"
	assert_match "$(tail -n 1 <<<"$output")" "$ID *([0-9.]) * max *"
	ok set "$ID" --cpulimit 30 --physpages 64M --numproc 50
	ok stats --format json "$ID"
	json '.[0] | .cpu.limit_percent == 30 and .memory.limit_bytes == 67108864 and .pids.limit == 50'
}

@test "stats: a busy loop uses its limit and is throttled" {
	needs_root
	needs_controller cpu
	config_set '.linux.resources.cpu = {quota: 20000, period: 100000}'
	start_sh 'while :; do :; done'
	watching --format json --interval 2 "$ID"
	wait_until has_lines 3
	output=$(sed -n 3p "$T/out")
	# A machine that is busy gives less than the limit, and never much more.
	json '.[0].rates | .cpu_percent > 5 and .cpu_percent < 26 and .throttled_percent > 10'
	json '.[0].rates | .interval_us > 1900000 and .interval_us < 4000000'
	json '.[0].cpu | .limit_percent == 20 and .throttled_periods > 5 and .throttled_ns > 0 and .usage_ns > 100000000'
}

@test "stats: memory that is held, and processes" {
	needs_root
	needs_controller memory
	needs_controller pids
	start_sh 'sleep 1000 & sleep 1000 & x=$(dd if=/dev/zero bs=1M count=20 | tr "\0" x); echo ready >/ready; wait'
	wait_until test -e "$BUNDLE/rootfs/ready"
	ok stats --format json "$ID"
	json '.[0] | .memory.working_set_bytes > 20000000 and .memory.working_set_bytes <= .memory.usage_bytes and .pids.current == 3'
	ok stats "$ID"
	# shellcheck disable=SC2046
	set -- $(tail -n 1 <<<"$output")
	assert_match "$5" "[2-6]?M"
	assert_eq "$8" 3
}

@test "stats: what a writer writes" {
	needs_v1
	needs_root
	needs_controller blkio
	start_sh 'while :; do dd if=/dev/zero of=/f bs=256k count=4 conv=fsync 2>/dev/null; done'
	ok stats --format json "$ID"
	counted=$(cg blkio.throttle.io_service_bytes_recursive | awk '$2 == "Write" { n += $3 } END { print n + 0 }')
	json ".[0].io | .write_bytes <= $counted and .write_bytes == ([.devices[].write_bytes] | add // 0)"
	# The directory of the tests may lie on no device.
	[[ $counted != 0 ]] || return 0
	json '.[0] | .io.write_bytes >= 1048576 and .rates.write_bytes_per_s > 100000 and .io.devices[0].writes > 0 and
		(.io.devices[0].name | length) > 0'
}

@test "stats: bytes over loopback and over a pair of interfaces" {
	needs_root
	start_sleep
	another 2 'sleep 1000'
	a=$(pid_of "$ID") b=$(pid_of "$ID-2")
	ok stats --format json "$ID"
	json '.[0].network | length == 1 and .[0].name == "lo" and .[0].tx_bytes == 0'
	nsenter -t "$a" -n bash -c 'printf %1000s >/dev/udp/127.0.0.1/9'
	ok stats --format json "$ID"
	json '.[0].network[0] | .tx_bytes >= 1000 and .tx_bytes == .rx_bytes and .tx_packets > 0'
	json '.[0].rates | .rx_bytes_per_s == 0 and .tx_bytes_per_s == 0'
	nsenter -t "$a" -n ip link add d0 type veth peer name d1 netns "$b" 2>/dev/null || skip "the kernel makes no network device here"
	nsenter -t "$a" -n sh -c 'ip addr add 192.0.2.1/24 dev d0 && ip link set d0 up && ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev d0'
	nsenter -t "$b" -n ip link set d1 up
	nsenter -t "$a" -n timeout 20 bash -c 'while :; do printf %1000s >/dev/udp/192.0.2.2/9; sleep 0.02; done' 3>&- 4>&- &
	bgs+=($!)
	ok stats --format json --sort net
	json 'length == 2 and all(.[]; .network | length == 2)'
	json '(.[] | select(.id == "'"$ID"'")).rates | .tx_bytes_per_s > 5000 and .tx_bytes_per_s < 200000 and .rx_bytes_per_s < 5000'
	json '(.[] | select(.id == "'"$ID-2"'")).rates.rx_bytes_per_s > 5000'
}

@test "stats: a network that is not the container's own is not told as its" {
	config_set '.linux.namespaces |= map(select(.type != "network"))'
	config_set 'del(.linux.sysctl)'
	start_sleep
	ok stats --format json "$ID"
	json '.[0] | has("network") or (.rates | has("rx_bytes_per_s")) | not'
}

@test "stats: the disk of a root filesystem of its own, and none of a shared one" {
	needs_root
	start_sleep
	ok stats --format json "$ID"
	json '.[0] | has("disk") | not'
	ok delete --force "$ID"
	mkdir "$T/keep"
	cp -a "$BUNDLE/rootfs/." "$T/keep"
	mount -t tmpfs -o size=32M none "$BUNDLE/rootfs"
	mounted=1
	cp -a "$T/keep/." "$BUNDLE/rootfs"
	start_sh 'dd if=/dev/zero of=/f bs=1M count=5 2>/dev/null; echo >/ready; sleep 1000'
	wait_until test -e "$BUNDLE/rootfs/ready"
	ok stats --format json "$ID"
	assert_eq "$(jq '.[0].disk | .size_bytes, .used_bytes' <<<"$output" | tr '\n' ' ')" \
		"$(stat -f -c '%b %f %S' "$BUNDLE/rootfs" | awk '{ print $1 * $3, ($1 - $2) * $3 }') "
	json '.[0].disk.used_bytes >= 5242880'
	ok delete --force "$ID"
	umount "$BUNDLE/rootfs"
	mounted=
}

@test "stats: pressure, where the kernel measures it" {
	needs_root
	start_sleep
	dir=$(cg_dir "$(pid_of "$ID")" none)
	ok stats --format json "$ID"
	# Files of the kernel have no size.
	if [[ -n $dir && -n $(cat "$dir/cpu.pressure" 2>/dev/null) ]]; then
		json '.[0] | (.cpu, .memory, .io) | .psi.some | has("avg10") and has("total")'
	else
		json '.[0].cpu | has("psi") | not'
	fi
}

# ---- forms ----

@test "stats: the table has a heading and one line a container, of as many columns" {
	start_sleep
	another 2 'sleep 1000'
	ok stats
	assert_eq "$(wc -l <"$T/stdout")" 3
	assert_match "$(head -n 1 "$T/stdout")" "ID *CPU% *LIMIT% *MEM *LIMIT *SWAP *PIDS *READ/s *WRITE/s *RX/s *TX/s *DISK"
	assert_eq "$(awk '{ print NF }' "$T/stdout" | sort -u)" 16
	assert_eq "$(awk 'NR > 1 { print $1 }' "$T/stdout" | tr '\n' ' ')" "$ID $ID-2 "
	# For a file, nothing that moves the cursor.
	! grep -q $'\033' "$T/stdout" || false
}

@test "stats: all of them, some of them, none" {
	ok stats --format json
	assert_eq "$output" "[]"
	ok stats --all
	assert_eq "$(wc -l <"$T/stdout")" 1
	start_sleep
	another 2 'sleep 1000'
	another 3 'true'
	wait_state "$ID-3" stopped
	ok stats --all --format json
	assert_eq "$(jq -c 'map(.id)' <<<"$output")" "[\"$ID\",\"$ID-2\"]"
	ok stats --format json "$ID-2" "$ID"
	assert_eq "$(jq -c 'map(.id)' <<<"$output")" "[\"$ID\",\"$ID-2\"]"
	ok stats --format json "$ID-2"
	assert_eq "$(jq -c 'map(.id)' <<<"$output")" "[\"$ID-2\"]"
	fails "container with id $ID-3 is not running" stats "$ID-3"
	fails "container with id $ID-3 is not running" stats "$ID" "$ID-3"
	fails "container does not exist" stats "$ID" nope
}

@test "stats: a root directory that is not there" {
	fails "no such file or directory" --root "$T/nowhere" stats || fails "No such file or directory" --root "$T/nowhere" stats
}

@test "stats: a created and a paused container" {
	needs_root
	ok create --bundle "$BUNDLE" "$ID"
	ok stats --format json "$ID"
	json '.[0].status == "created"'
	ok delete --force "$ID"
	needs_controller freezer
	start_sleep
	ok pause "$ID"
	ok stats --format json "$ID"
	json '.[0].status == "paused" and .[0].rates.cpu_percent == 0'
	ok resume "$ID"
}

@test "stats: orders" {
	needs_root
	needs_controller memory
	needs_controller pids
	start_sh 'x=$(dd if=/dev/zero bs=1M count=20 | tr "\0" x); echo ready >/ready; sleep 1000; :'
	another 2 'while :; do :; done'
	another 3 'for i in 1 2 3 4; do sleep 1000 & done; wait'
	order() {
		ok stats --format json --sort "$1" && jq -r 'map(.id) | map(if . == "'"$ID"'" then "1" else .[-1:] end) | join(" ")' <<<"$output"
	}
	wait_until test -e "$BUNDLE/rootfs/ready"
	assert_eq "$(order id)" "1 2 3"
	assert_eq "$(order pids)" "3 1 2"
	assert_match "$(order cpu)" "2 *"
	assert_match "$(order mem)" "1 *"
	assert_eq "$(order net)" "1 2 3"
	# What was written before may go to the disk just now.
	assert_eq "$(order io | wc -w)" 3
	ok stats -s pids
	assert_match "$(sed -n 2p "$T/stdout")" "$ID-3 *"
}

@test "stats: what is refused" {
	fails '--sort: "size" is none of id, cpu, mem, io, net, pids' stats --sort size
	fails 'invalid format option: "xml" (table or json)' stats --format xml
	fails '--all and the id x exclude each other' stats --all x
	fails 'invalid container ID format' stats ../x
	for t in 0 -1 x 5x "" . 1.2.3 1e3 1d 99999999999; do
		fails "--interval: \"$t\" is no time" stats --interval "$t"
	done
	fails 'flag needs an argument: --interval' stats --interval
}

@test "stats: again and again, until a signal says that it is enough" {
	start_sleep
	for s in INT TERM; do
		# A shell that is not interactive has its children ignore SIGINT.
		env --default-signal=INT "$VZRUN" --root "$ROOT" stats --format json --interval 100ms >"$T/out" 2>"$T/err" </dev/null 3>&- 4>&- &
		bg=$!
		bgs+=("$bg")
		wait_until has_lines 3
		kill -$s $bg
		wait $bg
		assert_eq "$(cat "$T/err")" ""
		# A line is a sample.
		assert_eq "$(jq -c 'length' "$T/out" | sort -u)" 1
		assert_eq "$(jq -rs 'map(.[0].rates.interval_us > 40000) | all' "$T/out")" true
	done
	watching --interval 0.2
	wait_until has_lines 4
	kill -TERM "$bg"
	wait "$bg"
	assert_eq "$(grep -c '^ID ' "$T/out")" "$(grep -c "^$ID " "$T/out")"
	! grep -q $'\033' "$T/out" || false
}

@test "stats: a signal that the caller ignores stays ignored" {
	start_sleep
	(trap '' INT; exec "$VZRUN" --root "$ROOT" stats --format json --interval 100ms "$ID" >"$T/out" 2>"$T/err" </dev/null 3>&- 4>&-) &
	bg=$!
	bgs+=("$bg")
	wait_until has_lines 1
	kill -INT $bg
	n=$(wc -l <"$T/out")
	wait_until has_lines $((n + 2))
	kill -TERM $bg
	wait $bg
}

@test "stats: a container that ends in between is left out, one that comes is there" {
	start_sleep
	another 2 'sleep 1000'
	watching --format json --interval 100ms
	wait_until has_lines 1
	ok kill "$ID-2" KILL
	wait_state "$ID-2" stopped
	only() { [[ $(tail -n 1 "$T/out" | jq -c 'map(.id)') == "$1" ]]; }
	wait_until only "[\"$ID\"]"
	ok delete "$ID-2"
	another 4 'sleep 1000'
	wait_until only "[\"$ID\",\"$ID-4\"]"
	# New ones have no rates yet: the first line with it has none, the next has some.
	rates() { jq -c '.[] | select(.id == "'"$ID-4"'") | has("rates")' "$T/out" | head -n 2 | tr '\n' ' '; }
	two_lines() { [[ $(rates) == *' '*' ' ]]; }
	wait_until two_lines
	assert_eq "$(rates)" "false true "
	ok delete --force "$ID-4"
	ok delete --force "$ID"
	wait_until only '[]'
	kill -0 "$bg"
	kill -TERM "$bg"
	wait "$bg"
	assert_eq "$(cat "$T/err")" ""
}

@test "stats: when none of those named is left it ends" {
	start_sleep
	watching --format json --interval 100ms "$ID"
	wait_until has_lines 1
	ok kill "$ID" KILL
	wait_until ended "$bg"
	wait "$bg"
	assert_eq "$(tail -n 1 "$T/out")" "[]"
	assert_eq "$(cat "$T/err")" ""
}

@test "stats: another container under the same id has no rates of the first" {
	start_sleep
	watching --format json --interval 100ms
	wait_until has_lines 2
	ok delete --force "$ID"
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(pid_of "$ID")
	sees() { grep -q "\"pid\":$pid," "$T/out"; }
	wait_until sees
	sleep 0.3
	kill -TERM "$bg"
	wait "$bg"
	assert_eq "$(jq -c --argjson p "$pid" '.[] | select(.pid == $p) | has("rates")' "$T/out" | head -n 1)" false
}

@test "stats: on a terminal the table is drawn over the last one and fits" {
	needs_command script
	start_sleep
	printf '%s\n' '#!/bin/sh' 'stty rows 3 cols 40' "exec timeout --foreground -s TERM 2 '$VZRUN' --root '$ROOT' stats --interval 0.3" >"$T/cmd"
	chmod 755 "$T/cmd"
	timeout 20 script -qec "$T/cmd" /dev/null >"$T/out" 2>&1 </dev/null 3>&- 4>&- || true
	# The first is "home", the last "clear what is below".
	[[ $(grep -o $'\033\[H' "$T/out" | wc -l) -ge 2 ]]
	assert_eq "$(grep -o $'\033\[H' "$T/out" | wc -l)" "$(grep -o $'\033\[J' "$T/out" | wc -l)"
	tr -d '\r' <"$T/out" | sed $'s/\033\[[A-Z]//g' | awk 'length > 40 { print; exit 1 }'
}

@test "stats: whoever takes the container's lock does not keep it waiting" {
	needs_command flock
	start_sleep
	exec 9<"$ROOT/$ID"
	flock -x 9
	ok stats "$ID"
	assert_match "$output" "*$ID*"
	exec 9<&-
}

@test "stats: a container without cgroups has what is known without them" {
	config_set 'del(.linux.resources)'
	config_set '.process.args = ["sleep", "1000"]'
	ok --cgroup-manager=disabled create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	ok stats --format json "$ID"
	json '.[0] | .cpu == {} and .memory == {} and .pids == {} and .io == {} and (.network | length) == 1'
	ok stats "$ID"
	assert_match "$(tail -n 1 <<<"$output")" "$ID * - * - * - * - *"
}

@test "events: the same numbers under the key vzrun" {
	needs_root
	needs_controller memory
	start_sleep
	ok events --stats "$ID"
	events=$(jq -c '.data.vzrun | map_values(keys? // length)' <<<"$output")
	json '.data.vzrun.memory.usage_bytes == .data.memory.usage.usage'
	ok stats --format json "$ID"
	assert_eq "$events" "$(jq -c '.[0] | del(.id, .time, .status, .pid, .rates) | map_values(keys? // length)' <<<"$output")"
}
