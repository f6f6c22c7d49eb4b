#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint that cannot end, is ended, or is killed: the container goes on, or its images are whole.

load ../lib/checkpoint

# What keeps CRIU where it is for a while, as its script, and no longer than it lives.
holding='n=0; while [ $n -lt 50 ] && kill -0 $PPID; do n=$((n + 1)); sleep .1; done'

@test "checkpoint: no space in the middle: the container goes on" {
	start_worker memory 16 0 /tmp/count
	in_mount_ns "mkdir -p $T/small && mount -t tmpfs -o size=8m small $T/small"
	fails 'o space left' checkpoint --image-path "$T/small/images" "$ID"
	VZRUN=$VZRUN_REAL
	goes_on
}

@test "checkpoint: a page server that is not there, and one that dies: the container goes on" {
	start_worker memory 16 0 /tmp/count
	fails "Can't connect to server" checkpoint --image-path "$IMG" --page-server 127.0.0.1:27309 "$ID"
	goes_on
	[[ ! -e $IMG/vzrun.json ]]
	# One that takes the connection and goes.
	python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 27310))
c = s.accept()[0]
c.recv(100000)
c.close()' 3>&- 4>&- &
	helpers=$!
	listening() { ss -Hltn 'sport = :27310' | grep -q .; }
	wait_until listening
	fails 'checkpoint failed' checkpoint --image-path "$IMG" --page-server 127.0.0.1:27310 "$ID"
	goes_on
}

@test "checkpoint: a signal ends it, and the container goes on" {
	start_worker memory 32 0 /tmp/count
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" "$ID" >"$T/out" 2>&1 3>&- 4>&- &
	bg=$!
	wait_until test -e "$IMG/dump.log"
	kill -TERM "$bg"
	if wait "$bg"; then
		[[ ! -e $ROOT/$ID ]] # it was done already
	else
		grep -q 'interrupted by TERM' "$T/out"
		goes_on
		[[ ! -e $IMG/vzrun.json ]]
	fi
}

@test "checkpoint: one that is killed leaves a container that runs" {
	# By an action script beside our own notifications.
	criu_is 4.0 || skip "CRIU before 4.0 calls no script here"
	# CRIU is held when nothing runs any more.
	printf '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != network-lock ] || { touch %s; %s; }\n' "$T/still" "$holding" >"$T/hold"
	chmod 755 "$T/hold"
	echo "action-script $T/hold" >"$T/criu.conf"
	config_annotation org.criu.config "$T/criu.conf"
	start_counting
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" "$ID" >"$T/out" 2>&1 3>&- 4>&- &
	bg=$!
	wait_until test -e "$T/still"
	n=$(count)
	kill -KILL "$bg"
	wait_until counted_to $((n + 3))
	goes_on
	[[ ! -e $IMG/vzrun.json ]]
}

# held_checkpoint [ARG...]: one of what $start starts, in the background ($bg, its output in $T/out), whose CRIU waits when all is written
# and the network is locked.
held_checkpoint() {
	criu_is 4.0 || skip "CRIU before 4.0 calls no script here"
	rm -f "$T/still"
	printf '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-dump -o -e %s ] || { touch %s; %s; }\n' "$T/still" "$T/still" "$holding" >"$T/hold"
	chmod 755 "$T/hold"
	echo "action-script $T/hold" >"$T/criu.conf"
	config_annotation org.criu.config "$T/criu.conf"
	${start:-start_counting}
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" "$@" "$ID" >"$T/out" 2>&1 3>&- 4>&- &
	bg=$!
	wait_until test -e "$T/still"
}

@test "checkpoint: a second one meanwhile waits, and then there is no container, or it goes on" {
	held_checkpoint
	fails 'checkpoint failed: container does not exist' checkpoint --image-path "$T/second" "$ID"
	wait "$bg"
	[[ ! -e $T/second ]]
	restore
	goes_on
	ok delete --force "$ID"
	IMG=$T/images-2
	held_checkpoint --leave-running
	ok checkpoint --image-path "$T/second" "$ID"
	wait "$bg"
	IMG=$T/second
	restore
	goes_on
}

@test "checkpoint: one that is killed when all is written leaves images that are whole, and a network that is not locked" {
	new_network
	held_checkpoint
	kill -KILL "$bg"
	wait_state "$ID" stopped
	ok delete --force "$ID"
	restore
	goes_on
	ping -c 1 -W 5 10.77.0.2
}

@test "checkpoint: whose CRIU is killed goes on and is not cut off, and can be checkpointed again" {
	new_network
	answers() { ping -c 1 -W 5 10.77.0.2; }
	for lock in iptables nftables; do
		held_checkpoint --network-lock "$lock"
		network_rules | grep CRIU
		! ping -c 1 -W 1 10.77.0.2 || false
		kill -KILL "$(pgrep -P "$bg" -x criu)"
		! wait "$bg" || false
		grep -q 'checkpoint failed: CRIU ended: signal: killed' "$T/out"
		[[ ! -e $IMG/vzrun.json ]]
		goes_on
		! network_rules | grep CRIU || false
		answers
		checkpoint --network-lock "$lock"
		restore --network-lock "$lock"
		goes_on
		answers
		ok delete --force "$ID"
		rm -rf "$IMG"
		criu_is 4.1 || break
	done
}

# It is in the images, and nowhere else.
@test "checkpoint: whose CRIU is killed when it has ended the container leaves images that are whole" {
	local i

	start_counting
	for i in 1 2 3 4 5 6 7 8; do
		python3 -c 'import os, select, subprocess, sys
process = os.pidfd_open(int(sys.argv[1]))
run = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
criu = None
while not criu:
    criu = open("/proc/%d/task/%d/children" % (run.pid, run.pid)).read().split()
select.select([process], [], [])
try:
    os.kill(int(criu[0]), 9)
except ProcessLookupError:
    pass
sys.exit(run.wait())' "$(pid_of "$ID")" "$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" "$ID" \
			>"$T/out" 3>&- 4>&-
		[[ ! -e $ROOT/$ID ]]
		restore
		goes_on
		! grep -q 'CRIU failed when all was written and it had ended the container: CRIU ended: signal: killed' "$T/out" || return 0
	done
	cat "$T/out"
	false
}

# killed_at WORDS ARG...: a checkpoint whose CRIU is killed as soon as the freezer says one of WORDS.  Again when that was missed.
killed_at() {
	local words=$1 i

	shift
	for i in 1 2 3 4 5 6; do
		rm -rf "$IMG"
		python3 -c 'import os, subprocess, sys
freezer, words = os.open(sys.argv[1], os.O_RDONLY), sys.argv[2].split()
run = subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
criu = None
while not criu:
    criu = open("/proc/%d/task/%d/children" % (run.pid, run.pid)).read().split()
try:
    while os.pread(freezer, 20, 0).decode().strip() not in words:
        os.kill(int(criu[0]), 0)
    os.kill(int(criu[0]), 9)
except ProcessLookupError:
    pass
run.wait()' "$freezer" "$words" "$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" "$@" "$ID" \
			>"$T/out" 3>&- 4>&-
		! grep -q 'checkpoint failed: CRIU ended: signal: killed' "$T/out" || return 0
	done
	cat "$T/out"
	return 1
}

@test "checkpoint: whose CRIU is killed while it uses the freezer: what ran runs, and what was paused is paused" {
	local dir how

	needs_criu_feature mem_dirty_track
	start_worker memory 32 0 /tmp/count
	dir=$(cg_dir "$(pid_of "$ID")" freezer)
	freezer=$dir/freezer.state
	[[ -e $freezer ]] || freezer=$dir/cgroup.freeze
	for how in --pre-dump --leave-running; do
		killed_at '1 FREEZING FROZEN' "$how" || { criu_is 4.0 && false; } || skip "CRIU before 4.0 was not met in its freezer"
		goes_on
	done
	ok pause "$ID"
	# It thaws it while ptrace holds the processes; where there are two freezers pause uses cgroup2's.
	for freezer in "/sys/fs/cgroup/unified${dir#/sys/fs/cgroup/freezer}/cgroup.freeze" "$dir/cgroup.freeze" "$dir/freezer.state"; do
		[[ ! -e $freezer ]] || break
	done
	killed_at '0 THAWED' --leave-running
	state_is "$ID" paused
	ok resume "$ID"
	goes_on
}

@test "checkpoint: --tcp-established, whose CRIU is killed: rules that it leaves in the host's network are told of" {
	rules() { iptables -S; nft list ruleset; }
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set '.linux.namespaces |= map(select(.type != "network"))'
	connected() { ss -Htn state established 'dport = :7177' | grep -q .; }
	start_with_host() {
		start_sh "worker serve 7177 & $counting"
		"$WORKER" client 127.0.0.1 7177 90000 >"$T/client" 2>&1 3>&- 4>&- &
		helpers=$!
		wait_until connected
	}
	start=start_with_host
	held_checkpoint --tcp-established
	rules | grep -i 0xc114
	kill -KILL "$(pgrep -P "$bg" -x criu)"
	! wait "$bg" || false
	rules | grep -i 0xc114
	iptables -S | sed -n '/0xc114/s/^-A/iptables -D/p' | sh
	grep -q 'connections of container .* may be cut off .*0xc114' "$T/out"
	goes_on
}

@test "checkpoint: --tcp-established, whose CRIU is killed: connections go on" {
	new_network
	start=start_connected
	held_checkpoint --tcp-established
	sleep .5
	kill -KILL "$(pgrep -P "$bg" -x criu)"
	! wait "$bg" || false
	goes_on
	connection_went_on
	connection_paused
}

# lazy_checkpoint PORT: one in the background ($bg, its output in $T/out) that waits for who wants the memory.
lazy_checkpoint() {
	needs_criu_feature uffd-noncoop
	start_counting
	mkfifo "$T/ready"
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" --lazy-pages \
		--page-server "127.0.0.1:$1" --status-fd 7 "$ID" 7>"$T/ready" >"$T/out" 2>&1 3>&- 4>&- &
	bg=$! helpers="${helpers:-} $!"
	exec 8<"$T/ready"
	IFS= read -r -d '' -t 20 -u 8
	exec 8<&-
	rm "$T/ready"
}

# not_cut_off: it goes on, nothing says that it is written, and its network answers.
not_cut_off() {
	wait_until eval '! network_rules | grep CRIU'
	ping -c 1 -W 5 10.77.0.2
	goes_on
	[[ ! -e $IMG/vzrun.json ]]
}

@test "checkpoint: --lazy-pages that cannot be served: the container goes on and is not cut off" {
	needs_criu_feature uffd-noncoop
	new_network
	start_counting
	python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 27311))
time.sleep(1000)' 3>&- 4>&- &
	helpers+=" $!"
	listening() { ss -Hltn 'sport = :27311' | grep -q .; }
	wait_until listening
	for at in 127.0.0.1:27311 192.0.2.1:27312 '[2001:db8::1]:27312'; do
		fails '--page-server: cannot listen at' checkpoint --image-path "$IMG" --lazy-pages --page-server "$at" "$ID"
		[[ ! -e $IMG/dump.log ]]
	done
	# Nobody is there to be told that it is ready.
	fails '--status-fd 7' checkpoint --image-path "$IMG" --lazy-pages --page-server 127.0.0.1:27312 --status-fd 7 "$ID" 7> >(:)
	grep 'Starting lazy pages server' "$IMG/dump.log"
	not_cut_off
}

@test "checkpoint: --lazy-pages: a signal ends it while nobody comes for the memory, and so does its own end" {
	gone() { ! kill -0 "$bg"; }
	new_network
	lazy_checkpoint 27313
	! ping -c 1 -W 1 10.77.0.2 || false
	kill -TERM "$bg"
	wait_until gone
	! wait "$bg" || false
	grep -q 'checkpoint failed: interrupted by TERM' "$T/out"
	not_cut_off
	ok delete --force "$ID"
	lazy_checkpoint 27313
	kill -KILL "$bg"
	not_cut_off
	ok delete --force "$ID"
}

# table_named NAME: nft itself takes only some names, the kernel any.
table_named() {
	nsenter -t "$holder" -n python3 - "$1" <<-'P'
	import socket, struct, sys
	def message(kind, flags, family, resource, attributes=b''):
	    body = struct.pack('>BBH', family, 0, resource) + attributes
	    return struct.pack('=IHHII', 16 + len(body), kind, flags, 0, 0) + body
	name = sys.argv[1].encode() + b'\0'
	name = struct.pack('=HH', 4 + len(name), 1) + name + b'\0' * (-len(name) % 4)
	s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
	s.send(message(0x10, 1, 0, 10) + message(10 << 8, 0x405, 1, 0, name) + message(0x11, 1, 0, 10))
	sys.exit(-struct.unpack_from('=i', s.recv(4096), 16)[0])
	P
}

@test "checkpoint: whose CRIU is killed: names of the container's tables are no words of a command" {
	new_network
	echo "add table inet taken" >"$T/words"
	table_named "CRIU-1 -f $T/words"
	table_named "CRIU-1; add table inet taken"
	table_named CRIU-1
	held_checkpoint
	kill -KILL "$(pgrep -P "$bg" -x criu)"
	! wait "$bg" || false
	goes_on
	ping -c 1 -W 5 10.77.0.2
	assert_eq "$(nsenter -t "$holder" -n nft list tables | grep -c '^table inet CRIU-1')" 2
	! nsenter -t "$holder" -n nft list tables | grep -x 'table inet taken' || false
}
