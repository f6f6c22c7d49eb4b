#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore: connections and networks.

load ../lib/checkpoint

# The same of the container's own, as its user namespace has to own it: a hook makes the way.
hook_network() {
	links="v$$"
	printf '%s\n' '#!/bin/sh' 'pid=$(jq .pid)' "ip link add v$$ type veth peer name eth0 netns \$pid" "ip addr add 10.77.0.1/24 dev v$$" \
		"ip link set v$$ up" 'nsenter -t $pid -n sh -c "ip addr add 10.77.0.2/24 dev eth0; ip link set eth0 up; ip link set lo up"' >"$T/net-up"
	chmod 755 "$T/net-up"
	config_set --arg h "$T/net-up" '.hooks = {createRuntime: [{path: $h}]}'
}

@test "checkpoint: --tcp-established: a connection to a peer outside goes on" {
	new_network
	start_connected
	fails 'tcp-established' checkpoint --image-path "$IMG" "$ID"
	goes_on
	checkpoint --tcp-established
	sleep .5
	restore --tcp-established
	goes_on
	connection_went_on
	connection_paused
}

# Packets of the peer come as soon as there is an interface, and long before there is a connection again.
network_by_hooks() {
	needs_command ip nft
	links="br$$ dummy$$"
	ip link add "br$$" type bridge forward_delay 0
	ip link add "dummy$$" type dummy # the bridge has a link without the container too
	ip link set "dummy$$" master "br$$" up
	ip addr add 10.79.0.1/24 dev "br$$"
	ip link set "br$$" up
	ip neigh replace 10.79.0.2 lladdr 02:00:00:00:79:02 dev "br$$" nud permanent
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	cat >"$T/net-up" <<-H
	#!/bin/sh
	pid=\$(jq .pid)
	ip link add "vz$$" type veth peer name eth0 netns "\$pid" || exit
	ip link set "vz$$" master "br$$" up
	nsenter -t "\$pid" -n sh -c 'ip link set eth0 address 02:00:00:00:79:02; ip addr add 10.79.0.2/24 dev eth0; ip link set eth0 up; ip link set lo up'
	n=\$(cat "$T/packets")
	# Who sends again waits as long as the pause has taken so far.
	for i in \$(seq 400); do
		got=\$(nsenter -t "\$pid" -n awk '/^Ip: [0-9]/ { print \$4 }' /proc/net/snmp)
		[ "\$got" -lt "\$n" ] || break
		sleep .2
	done
	nsenter -t "\$pid" -n nft list ruleset >>"$T/rules"
	echo "\$got" >"$T/got"
	H
	chmod 755 "$T/net-up"
	echo 0 >"$T/packets"
	config_set --arg h "$T/net-up" '.hooks = {createRuntime: [{path: $h}]}'
	start_sh "worker serve 7000 & $counting"
	# One that asks and waits, and one that goes on sending.
	"$WORKER" client 10.79.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
	client=$! helpers+=" $!"
	(trap '' PIPE; exec 7<>/dev/tcp/10.79.0.2/7000; while echo x >&7; do sleep .2; done; : >"$T/broken") 2>/dev/null 3>&- 4>&- &
	helpers+=" $!"
	sleep 1
	checkpoint --tcp-established
	echo 1 >"$T/packets"
	: >"$T/rules"
	VZ_TIMEOUT=150 restore --tcp-established
	goes_on
	longer() { (($(wc -l <"$T/client") > 0)) && kill -0 "$client"; }
	VZ_TIMEOUT=60 wait_until longer # whose pauses double
	(($(<"$T/got") >= 1))
	grep -q vzrun_restore "$T/rules"
	! network_rules | grep vzrun || false
	connection_went_on
	sleep .5
	[[ ! -e $T/broken ]]
	# Nothing of the kind where there are no connections.
	ok delete --force "$ID"
	echo 0 >"$T/packets"
	: >"$T/rules"
	ok run --detach --bundle "$BUNDLE" "$ID"
	[[ ! -s $T/rules ]]
}

@test "restore: --tcp-established: a connection is not reset while hooks make the network" { network_by_hooks; }
@test "restore: --tcp-established, in a user namespace" { in_userns && network_by_hooks; }

tcp_close() {
	"$1"
	start_connected
	checkpoint --tcp-established
	restore --tcp-close
	goes_on
	! wait "$client" || false
	"$WORKER" client 10.77.0.2 7000 300
}

@test "restore: --tcp-close: connections are closed ones, and the rest goes on" { tcp_close new_network; }
@test "restore: --tcp-close in a user namespace" { in_userns && tcp_close hook_network; }

network_locks() {
	"$1"
	start_connected
	for lock in nftables skip iptables; do
		if { [[ $lock == skip ]] && ! criu_is 3.19; } || { [[ $lock == nftables ]] && ! criu_is 4.1; }; then
			fails "network-lock $lock: CRIU" checkpoint --tcp-established --network-lock "$lock" --image-path "$IMG" "$ID"
			continue
		fi
		IMG=$T/images-$lock
		checkpoint --tcp-established --network-lock "$lock"
		# It stays until the restore.
		case $lock in
			nftables) want="table inet CRIU" ;;
			iptables) want="jump CRIU" ;;
			skip) want= ;;
		esac
		[[ $1 != new_network ]] || assert_eq "$(network_rules | grep -o 'table inet CRIU\|jump CRIU' | sort -u)" "$want"
		restore --tcp-established --network-lock "$lock"
		goes_on
		! network_rules | grep CRIU || false
	done
	connection_went_on
}

@test "checkpoint: each --network-lock works for a connection" { network_locks new_network; }
@test "checkpoint: each --network-lock in a user namespace" { in_userns && network_locks hook_network; }

empty_network() {
	start_counting
	nsenter -t "$(pid_of "$ID")" -n sh -c "ip link set lo up; ip addr add 10.9.9.9/32 dev lo"
	addresses() { nsenter -t "$(pid_of "$ID")" -n ip -br addr; }
	checkpoint
	restore
	goes_on
	assert_match "$(addresses)" "*10.9.9.9*"
	IMG=$T/images-2
	checkpoint --leave-running
	ok delete --force "$ID"
	restore --empty-ns network
	goes_on
	assert_match "$(addresses)" "lo *DOWN*"
	ok delete --force "$ID"
	restore
	IMG=$T/images-3
	checkpoint --empty-ns network
	restore
	goes_on
	assert_match "$(addresses)" "lo *DOWN*"
}

@test "checkpoint: --empty-ns network: nothing of the network namespace comes back" { empty_network; }
@test "checkpoint: --empty-ns network in a user namespace" { in_userns && empty_network; }

skip_in_flight() {
	"$1"
	start_worker listen 7000 /tmp/count
	exec 7<>/dev/tcp/10.77.0.2/7000
	fails 'n-flight connection' checkpoint --tcp-established --image-path "$IMG" "$ID"
	goes_on
	checkpoint --tcp-established --tcp-skip-in-flight
	exec 7>&-
	restore --tcp-established
	goes_on
	timeout 10 bash -c 'exec 7<>/dev/tcp/10.77.0.2/7000' # it listens
}

@test "checkpoint: --tcp-skip-in-flight leaves out a connection that nobody has taken in yet" { skip_in_flight new_network; }
@test "checkpoint: --tcp-skip-in-flight in a user namespace" { in_userns && skip_in_flight hook_network; }

# It may have the address of one that goes on elsewhere.
@test "restore: that fails has its interfaces down before its network goes" {
	printf '%s\n' '#!/bin/sh' "[ -e $T/again ] || exit 0" 'nsenter -t "$(jq .pid)" -n sh -c "' 'ip link add eth7 type bridge' 'ip link set eth7 up' \
		"sleep 1000 >/dev/null 2>&1 & echo \\\$! >$T/holder\"" 'exit 1' >"$T/hook"
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" '.hooks = {createRuntime: [{path: $h}]}'
	start_counting
	checkpoint
	touch "$T/again"
	fails 'createRuntime hook' restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	helpers=$(<"$T/holder")
	nsenter -t "$helpers" -n ip -o link show eth7 >"$T/links"
	! grep '[<,]UP' "$T/links" || false
}
