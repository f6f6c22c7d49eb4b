#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate between two hosts: each has network, mount, pid, uts and cgroup namespaces, a /run, a --root and bundles of its own; a bridge
# is between them and a third one, where a client is.  What connects them is a TCP stream (socat), not ssh.

load ../lib/helpers

setup() {
	needs_root
	needs_v2
	needs_criu
	for c in rsync socat nft; do needs_command $c; done
	vz_setup
	mkdir -p "$BUNDLE/rootfs/tmp" "$T/hosts"
	ip link add "br$$" type bridge forward_delay 0
	ip link set "br$$" up
	new_host 1
	new_host 2
	new_client
}

teardown() {
	local h

	for h in 1 2; do
		[[ ! -e $T/hosts/$h/pid ]] || on $h "$VZRUN" --root /run/vzrun delete --force box >/dev/null 2>&1 </dev/null
		[[ ! -e $T/hosts/$h/pid ]] || kill -KILL "$(<"$T/hosts/$h/pid")" 2>/dev/null
	done
	[[ -z ${client_ns:-} ]] || kill -KILL "$client_ns" 2>/dev/null
	ip link del "br$$" 2>/dev/null
	sleep .2
	for h in 1 2; do
		find "/sys/fs/cgroup/vzhost$h-$$" -depth -type d -exec rmdir {} \; 2>/dev/null
	done
	vz_teardown
}

# on N COMMAND...: on that host.
on() {
	local h=$1

	shift
	sh -c 'echo $$ >"$1" && shift && exec nsenter "$@"' sh "/sys/fs/cgroup/vzhost$h-$$/init/cgroup.procs" \
		-t "$(<"$T/hosts/$h/pid")" -m -p -n -u -C "$@" 3>&- 4>&-
}

# Its first process waits; what runs there has a cgroup below its root.
new_host() {
	local h=$1 d=$T/hosts/$1 g=/sys/fs/cgroup/vzhost$1-$$

	mkdir -p "$d/bundles" "$g"
	cat >"$d/init" <<-I
	echo \$\$ >$g/cgroup.procs
	exec unshare -C -m -n -u -p --fork sh -c '
		mount -t tmpfs run /run
		mount -t proc proc /proc
		umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup /sys/fs/cgroup
		mkdir /sys/fs/cgroup/init && echo 0 >/sys/fs/cgroup/init/cgroup.procs
		for c in \$(cat /sys/fs/cgroup/cgroup.controllers); do echo +\$c >/sys/fs/cgroup/cgroup.subtree_control; done
		hostname host$h
		ip link set lo up
		touch $d/ready
		while :; do sleep 1000 & wait; done'
	I
	sh "$d/init" >"$d/log" 2>&1 </dev/null 3>&- 4>&- &
	wait_until test -e "$d/ready"
	pgrep -P $! >"$d/pid"
	# The host's address is its bridge's, on which its containers are.
	ip link add "h$h-$$" type veth peer name up0 netns "$(<"$d/pid")"
	ip link set "h$h-$$" master "br$$" up
	on "$h" sh -c "ip link add br0 type bridge forward_delay 0; ip link set up0 master br0 up; ip addr add 10.78.0.1$h/24 dev br0; ip link set br0 up"
	on "$h" socat TCP-LISTEN:2222,fork,reuseaddr EXEC:"$VZRUN --root /run/vzrun migrate-receive" >"$d/receive.log" 2>&1 </dev/null &
	printf '#!/bin/sh\nexec socat -t 30 - TCP:10.78.0.1%s:2222\n' "$h" >"$T/to-$h"
	chmod 755 "$T/to-$h"
}

new_client() {
	unshare -n sleep 1000 3>&- 4>&- &
	client_ns=$!
	apart() { [[ $(readlink "/proc/$client_ns/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
	wait_until apart
	ip link add "c-$$" type veth peer name eth0 netns "$client_ns"
	ip link set "c-$$" master "br$$" up
	nsenter -t "$client_ns" -n sh -c 'ip addr add 10.78.0.1/24 dev eth0; ip link set eth0 up; ip link set lo up'
}

# What an engine's network does: the container has its address wherever it is, and says so when it has come.
network_hooks() {
	cat >"$T/net-up" <<-'H'
	#!/bin/sh
	pid=$(jq .pid)
	ip link add "v$pid" type veth peer name eth0 netns "$pid" || exit
	ip link set "v$pid" master br0 up
	nsenter -t "$pid" -n sh -c 'ip link set eth0 address 02:00:00:00:78:64; ip addr add 10.78.0.100/24 dev eth0; ip link set eth0 up; ip link set lo up'
	H
	printf '#!/bin/sh\nnsenter -t "$(jq .pid)" -n busybox arping -U -c 1 -w 1 -I eth0 10.78.0.100 >/dev/null 2>&1 || :\n' >"$T/net-told"
	chmod 755 "$T/net-up" "$T/net-told"
	config_set --arg u "$T/net-up" --arg t "$T/net-told" '.hooks = {createRuntime: [{path: $u}], poststart: [{path: $t}]}'
}

start_server() {
	network_hooks
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set '.process.args = ["sh", "-c", "worker memory 8 200 /tmp/count & exec worker serve 7000"] | .root.readonly = false |
		del(.linux.resources) | .linux.cgroupsPath = "/box"'
	cp -a "$BUNDLE" "$T/hosts/1/bundles/box"
	on 1 "$VZRUN" --root /run/vzrun run -d -b "$T/hosts/1/bundles/box" box >"$T/run.log" 2>&1 </dev/null || { cat "$T/run.log"; false; }
}

# move FROM TO OPTION...
move() {
	on "$1" "$VZRUN" --root /run/vzrun migrate --ssh "$T/to-$2" --remote-root /run/vzrun --remote-bundle "$T/hosts/$2/bundles/box" "${@:3}" box "host$2" \
		>"$T/move.log" 2>&1 || { cat "$T/move.log"; return 1; }
}

@test "hosts: a server with a client's connection moves there and back ten times" {
	start_server
	nsenter -t "$client_ns" -n "$WORKER" client 10.78.0.100 7000 "${VZ_CLIENT_MS:-2400000}" >"$T/client" 2>&1 3>&- 4>&- &
	client=$!
	sleep 1
	for ((i = 1; i <= ${VZ_MOVES:-10}; i++)); do
		move 1 2
		move 2 1
		kill -0 "$client" || { cat "$T/client"; false; }
		echo "# round $i: $(grep -c pause "$T/client") pauses, the last two $(tail -n 2 "$T/client" | cut -d ' ' -f 2 | paste -sd ' ') ms; vzrun: $(grep -o 'done.*' "$T/move.log")" >&3
	done
	assert_eq "$(on 1 "$VZRUN" --root /run/vzrun state box | jq -r .status)" running
	[[ ! -e $T/hosts/2/bundles/box ]]
	assert_eq "$(on 2 "$VZRUN" --root /run/vzrun list -q)" ""
	# The client's word: nothing was reset, nothing was wrong, and how long it was not answered.
	n=$(grep -c pause "$T/client")
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
	((n >= 1))
	nsenter -t "$client_ns" -n "$WORKER" client 10.78.0.100 7000 1000
}

@test "hosts: the same by post-copy: nothing is lost or answered twice while memory is fetched" {
	needs_criu_feature uffd-noncoop
	start_server
	nsenter -t "$client_ns" -n "$WORKER" client 10.78.0.100 7000 "${VZ_CLIENT_MS:-240000}" >"$T/client" 2>&1 3>&- 4>&- &
	client=$!
	sleep 1
	move 1 2 --post-copy
	grep -q '^fetch' "$T/move.log"
	move 2 1 --both --max-rounds 1
	kill -0 "$client" || { cat "$T/client"; false; }
	sleep 1
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
	assert_eq "$(on 1 "$VZRUN" --root /run/vzrun state box | jq -r .status)" running
	[[ ! -e $T/hosts/2/bundles/box ]]
	echo "# pauses: $(cut -d ' ' -f 2 "$T/client" | sort -n | tail -n 3 | paste -sd ' ') ms" >&3
	nsenter -t "$client_ns" -n "$WORKER" client 10.78.0.100 7000 1000
}

# Who has died cannot end it quietly: nothing of that end may reach the peer, whose connection lives elsewhere.
@test "hosts: CRIU here dies when the word is on its way: the connection goes on" {
	start_server
	nsenter -t "$client_ns" -n "$WORKER" client 10.78.0.100 7000 "${VZ_CLIENT_MS:-240000}" >"$T/client" 2>&1 3>&- 4>&- &
	client=$!
	sleep 1
	sed -i "s|^exec |exec python3 $TOP/tests/lib/cut.py criu-here there 32 |" "$T/to-2"
	move 1 2
	sleep 2
	kill -0 "$client" || { cat "$T/client"; false; }
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
	assert_eq "$(on 1 "$VZRUN" --root /run/vzrun list -q)" ""
	nsenter -t "$client_ns" -n "$WORKER" client 10.78.0.100 7000 1000
}
