#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# org.openvz.reboot: a container of a foreground run that reboots is started again.

load ../lib/helpers

# Volume /v of the container is $T/v.  In its payloads `life` is the number of this life, and `reboot` and `halt` do so; never outside
# of a pid namespace.
setup() {
	vz_setup
	needs_root
	add_probe
	mkdir -p "$T/v" "$BUNDLE/rootfs/v"
	: >"$T/v/lives"
	add_mount /v bind "$T/v" bind rw
	config_set '.process.capabilities |= map_values(. + ["CAP_SYS_BOOT"])'
}

annotate() { config_set --arg k "org.openvz.$1" --arg v "$2" '.annotations[$k] = $v'; }

payload() {
	config_set --arg s '[ $$ = 1 ] || exit 99
		reboot() { probe call reboot 0xfee1dead 672274793 0x01234567; sleep 10; exit 98; }
		halt() { probe call reboot 0xfee1dead 672274793 0xcdef0123; sleep 10; exit 98; }
		await() { until [ -e /v/$1 ]; do sleep 0.05; done; }
		echo life >>/v/lives; set -- $(wc -l </v/lives); life=$1
		'"$1" '.process.args = ["sh", "-c", $s]'
}

lives() { wc -l <"$T/v/lives"; }
lives_are() { [[ $(lives) -ge $1 ]]; }

run_bg() {
	"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$@" "$ID" >"$T/bg.out" 2>"$T/bg.err" </dev/null 3>&- 4>&- &
	bg=$!
}

bg_status() {
	local i

	for ((i = 0; i < 600; i++)); do
		[[ -e /proc/$bg ]] && grep -q '^State:.[^Z]' "/proc/$bg/status" 2>/dev/null || break
		sleep 0.05
	done
	status=0
	[[ $i -lt 600 ]] || { echo "run did not end"; kill -KILL "$bg"; return 1; }
	wait "$bg" || status=$?
}

@test "reboot: on: started again, and the status is that of the last life" {
	annotate reboot on
	payload 'echo "life $life of $(hostname)"; [ $life = 3 ] && exit 7; reboot'
	run_vzrun run --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	assert_eq "$status" 7
	assert_eq "$(grep -c '^life [123] of' <<<"$output")" 3
	assert_eq "$stderr" ""
	[[ ! -e $ROOT/$ID ]]
}

@test "reboot: off and absent: it ends" {
	payload reboot
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $(lives)" "129 1"
	annotate reboot off
	run_vzrun run --bundle "$BUNDLE" --keep "$ID"
	assert_eq "$status $(lives)" "129 2"
	ok state "$ID"
	assert_eq "$(jq -r .exit.reboot "$T/stdout")" restart
}

@test "reboot: a halt, a signal and an exit end it" {
	annotate reboot on
	payload halt
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $(lives)" "130 1"
	payload 'exit 129'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $(lives)" "129 2"
	payload 'await never'
	run_bg
	wait_until lives_are 3
	wait_state "$ID" running
	ok kill "$ID" KILL
	bg_status
	assert_eq "$status $(lives)" "137 3"
}

@test "reboot: changed while it runs: what is in force then counts" {
	payload '[ $life = 2 ] && exit 4; await go; reboot'
	run_bg
	wait_state "$ID" running
	ok set "$ID" --reboot on
	ok set "$ID"
	assert_match "$output" "*reboot *on*"
	touch "$T/v/go"
	bg_status
	assert_eq "$status $(lives)" "4 2"
	: >"$T/v/lives"
	rm "$T/v/go"
	annotate reboot on
	run_bg
	wait_state "$ID" running
	ok set "$ID" --reboot off
	touch "$T/v/go"
	bg_status
	assert_eq "$status $(lives)" "129 1"
}

@test "reboot: limits and settings that were changed are in force in the next life" {
	needs_controller pids
	needs_controller memory
	needs_controller cpu
	annotate reboot on
	annotate cpulimit 25
	annotate hostname first
	config_set '.linux.resources = {pids: {limit: 90}, memory: {limit: 134217728}, cpu: {period: 50000}} | .hostname = "first"'
	payload 'hostname >>/v/names; await go$life; [ $life = 3 ] && exit 5; reboot'
	run_bg
	wait_state "$ID" running
	ok update "$ID" --memory 100663296
	ok set "$ID" --cpulimit 50 --numproc 80 --hostname second
	touch "$T/v/go1"
	wait_until lives_are 2
	wait_state "$ID" running
	assert_eq "$(cat "$(cg_dir "$(pid_of "$ID")" pids)/pids.max")" 80
	ok state "$ID"
	assert_eq "$(jq -c '[.resources.memory.limit, .resources.cpu.quota, .resources.cpu.period, .resources.pids.limit,
		.annotations["org.openvz.cpulimit"], .annotations["org.openvz.hostname"]]' "$T/stdout")" \
		'[100663296,25000,50000,80,"50","second"]'
	# By update alone: the setting has gone.
	ok update "$ID" --cpu-quota 30000
	touch "$T/v/go2"
	wait_until lives_are 3
	wait_state "$ID" running
	ok state "$ID"
	assert_eq "$(jq -c '[.resources.cpu.quota, .resources.memory.limit, .resources.pids.limit, .settings.cpulimit]' "$T/stdout")" \
		'[30000,100663296,80,"60"]'
	touch "$T/v/go3"
	bg_status
	assert_eq "$status $(cat "$T/bg.err")" "5 "
	assert_eq "$(xargs <"$T/v/names")" "first second second"
}

# Device rules of the document that is kept.
rules() { jq '.linux.resources.devices | length' "$ROOT/$ID/config.json"; }

@test "reboot: devices are given again, and no rule twice" {
	annotate reboot on
	annotate devnodes "fuse:rw"
	annotate devices "c:10:200:rw"
	[[ -c /dev/fuse ]] || skip "no /dev/fuse"
	payload 'ls /dev >>/v/dev$life; await go$life; [ $life = 3 ] && exit 5; reboot'
	run_bg
	wait_state "$ID" running
	ok set "$ID" --devnodes-add full:r --devices-del c:10:200:rw
	touch "$T/v/go1"
	wait_until lives_are 2
	wait_until grep -qx full "$T/v/dev2"
	grep -qx fuse "$T/v/dev2"
	assert_eq "$(rules)" "$(($(jq '.linux.resources.devices | length' "$CONFIG") + 2))"
	wait_state "$ID" running
	ok set "$ID" --devnodes-del fuse:rw
	touch "$T/v/go2"
	wait_until lives_are 3
	wait_until grep -qx full "$T/v/dev3"
	[[ $(xargs <"$T/v/dev3") != *fuse* ]]
	assert_eq "$(rules)" "$(($(jq '.linux.resources.devices | length' "$CONFIG") + 1))"
	touch "$T/v/go3"
	bg_status
	assert_eq "$status" 5
}

@test "reboot: limits of disks" {
	needs_controller "$([[ $(cg_mode) == v2 ]] && echo io || echo blkio)"
	annotate reboot on
	annotate iolimit 8M
	payload 'await go$life; [ $life = 3 ] && exit 5; reboot'
	run_bg
	wait_state "$ID" running
	ok set "$ID" --iolimit 4M
	touch "$T/v/go1"
	wait_until lives_are 2
	wait_state "$ID" running
	ok state "$ID"
	assert_eq "$(jq -c '.annotations["org.openvz.iolimit"]' "$T/stdout")" '"4M"'
	assert_eq "$(jq -c '[.resources.blockIO.throttleReadBpsDevice[]?.rate] | unique' "$T/stdout")" \
		"$(jq -c 'if (.resources.blockIO.throttleReadBpsDevice | length) > 0 then [4194304] else [] end' "$T/stdout")"
	ok set "$ID" --iolimit 2M
	touch "$T/v/go2"
	wait_until lives_are 3
	touch "$T/v/go3"
	bg_status
	assert_eq "$status $(grep -v 'stands on no disk' "$T/bg.err")" "5 "
}

@test "reboot: hooks run again, those of the end as well" {
	annotate reboot on
	config_set --arg f "$T/hooks" '.hooks = ({prestart: "a", createRuntime: "b", poststart: "c", poststop: "d"} |
		map_values([{path: "/bin/sh", args: ["sh", "-c", "cat >/dev/null; echo \(.) >>\($f)"]}]))'
	payload '[ $life = 2 ] && exit 0; reboot'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 0
	assert_eq "$(xargs <"$T/hooks")" "a b c d a b c d"
}

@test "reboot: what changed in the bundle meanwhile has no effect" {
	annotate reboot on
	payload '[ $life = 2 ] && exit 6; await go; reboot'
	run_bg
	wait_state "$ID" running
	echo nonsense >"$CONFIG"
	touch "$T/v/go"
	bg_status
	assert_eq "$status $(lives)" "6 2"
}

@test "reboot: a proc of its own" {
	annotate reboot on
	annotate proc auto
	payload 'cat /proc/sys/kernel/random/boot_id >>/v/boots; [ $life = 2 ] && exit 6; reboot'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $stderr" "6 "
	assert_eq "$(sort -u "$T/v/boots" | wc -l)" 2
}

@test "reboot: descriptors that were handed on, standard streams and LISTEN_FDS are there again" {
	annotate reboot on
	payload 'echo "in $(cat)"; echo $life >&3; echo $life >&4; [ $life = 2 ] && exit 0; reboot'
	export T
	echo input >"$T/in"
	status=0
	timeout 60 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" --preserve-fds 2 "$ID" <"$T/in" >"$T/out" 2>"$T/err" 3>"$T/three" 4>"$T/four" || status=$?
	assert_eq "$status $(cat "$T/err")" "0 "
	assert_eq "$(xargs <"$T/three") $(xargs <"$T/four")" "1 2 1 2"
	assert_eq "$(xargs <"$T/out")" "in input in"
	: >"$T/v/lives"
	payload 'echo "$LISTEN_FDS $LISTEN_PID" >&3; [ $life = 2 ] && exit 0; reboot'
	LISTEN_FDS=1 timeout 60 sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" \
		3>"$T/three" >"$T/out" 2>"$T/err" </dev/null
	assert_eq "$(xargs <"$T/three")" "1 1 1 1"
}

@test "reboot: a notify socket" {
	annotate reboot on
	payload '[ -S "$NOTIFY_SOCKET" ] && echo $life >>/v/sockets; [ $life = 2 ] && exit 0; reboot'
	NOTIFY_SOCKET=$T/manager run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $stderr $(xargs <"$T/v/sockets")" "0  1 2"
}

@test "reboot: a terminal" {
	needs_command script
	annotate reboot on
	config_set '.process.terminal = true'
	payload 'test -t 0 && test -t 1 && echo "tty $life"; [ $life = 2 ] && exit 3; reboot'
	status=0
	timeout 60 script -qec "'$VZRUN' --root '$ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null >"$T/out" </dev/null 3>&- 4>&- || status=$?
	assert_eq "$status" 3
	grep -q 'tty 1' "$T/out"
	grep -q 'tty 2' "$T/out"
}

@test "reboot: network devices come back with their names before the next life" {
	needs_command ip
	unshare -n ip link add va type veth peer name vb 2>/dev/null || skip "the kernel makes no network device here"
	annotate reboot on
	config_set '.linux.netDevices = {va: {name: "eth0"}}'
	payload 'ip -o addr show eth0 >/v/net$life; [ $life = 2 ] && exit 3; reboot'
	VZ_UNSHARE=-n in_mount_ns 'ip link add va type veth peer name vb; ip link set vb up; ip addr add 10.7.0.1/24 dev va'
	export VZ_UNSHARE=-n
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $stderr" "3 "
	grep -q 10.7.0.1/24 "$T/v/net1"
	grep -q 10.7.0.1/24 "$T/v/net2"
}

@test "reboot: --keep keeps the last life; meanwhile it is a container that has stopped" {
	annotate reboot on
	payload 'ulimit -n >>/v/files; [ $life -gt 5 ] && exit 7; reboot'
	run_bg --keep
	wait_until lives_are 4
	wait_state "$ID" stopped
	ok state "$ID"
	assert_eq "$(jq -c '[.exit.status, .exit.reboot]' "$T/stdout")" '[129,"restart"]'
	bg_status
	assert_eq "$status $(lives)" "7 6"
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .exit.status]' "$T/stdout")" '["stopped",7]'
	assert_eq "$(sort -u "$T/v/files" | wc -l)" 1
}

@test "reboot: one that reboots at once is slowed down, and SIGTERM in the pause ends run" {
	local before

	annotate reboot on
	payload reboot
	before=$(date +%s%N)
	run_bg
	wait_until lives_are 5
	wait_state "$ID" stopped
	ls "/proc/$bg/fd" >"$T/fds"
	wait_until lives_are 6
	# 0.1 + 0.2 + 0.4 + 0.8 + 1.6 seconds
	(($(date +%s%N) - before >= 3100000000))
	wait_state "$ID" stopped
	assert_eq "$(ls "/proc/$bg/fd" | xargs)" "$(xargs <"$T/fds")"
	kill -TERM "$bg"
	bg_status
	assert_eq "$status $(lives)" "129 6"
	assert_match "$(cat "$T/bg.err")" "*container $ID is not started again: SIGTERM came between two lives*"
	[[ ! -e $ROOT/$ID ]]
}

@test "reboot: SIGTERM while a poststop hook runs ends run" {
	annotate reboot on
	config_set --arg f "$T/hook" '.hooks = {poststop: [{path: "/bin/sh", args: ["sh", "-c", "cat >/dev/null; touch \($f); sleep 1"]}]}'
	payload reboot
	run_bg
	wait_until test -e "$T/hook"
	kill -TERM "$bg"
	bg_status
	assert_eq "$status $(lives)" "1 1"
	assert_match "$(cat "$T/bg.err")" "*restart failed: interrupted by TERM*"
	[[ ! -e $ROOT/$ID ]]
}

@test "reboot: who deletes it in the pause ends run" {
	annotate reboot on
	payload reboot
	run_bg
	wait_until lives_are 5
	wait_state "$ID" stopped
	ok delete "$ID"
	bg_status
	assert_eq "$status $(lives)" "129 5"
	[[ ! -e $ROOT/$ID ]]
}

@test "reboot: one of the same id that somebody creates in the pause is not touched" {
	annotate reboot on
	payload reboot
	run_bg
	wait_until lives_are 5
	wait_state "$ID" stopped
	ok delete "$ID"
	config_set 'del(.annotations) | .process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	local pid
	pid=$(pid_of "$ID")
	bg_status
	assert_eq "$status $(lives)" "129 5"
	state_is "$ID" created
	assert_eq "$(pid_of "$ID")" "$pid"
	ok delete --force "$ID"
}

@test "reboot: a restart that fails is the error of run, and nothing is left" {
	annotate reboot on
	config_set --arg f "$T/fail" '.hooks = {createRuntime: [{path: "/bin/sh", args: ["sh", "-c", "cat >/dev/null; [ ! -e \($f) ]"]}]}'
	payload 'await go; reboot'
	run_bg
	wait_state "$ID" running
	touch "$T/fail" "$T/v/go"
	bg_status
	assert_eq "$status $(lives)" "1 1"
	assert_match "$(cat "$T/bg.err")" "*restart failed: *createRuntime*"
	[[ ! -e $ROOT/$ID ]]
}

@test "reboot: bad values, and what it cannot mean" {
	annotate reboot yes
	fails '/annotations/org.openvz.reboot: "yes": neither on nor off' run --bundle "$BUNDLE" "$ID"
	annotate reboot on
	config_set '.linux.namespaces |= map(select(.type != "pid")) | .process.args = ["true"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/annotations/org.openvz.reboot: means nothing without a pid namespace*"
	config_set '.linux.namespaces += [{type: "pid"}]'
	start_sleep
	fails '--reboot: "maybe": neither on nor off' set "$ID" --reboot maybe
}
