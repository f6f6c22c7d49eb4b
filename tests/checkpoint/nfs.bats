#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint, restore and migration of containers whose files are on NFS.  The server is in namespaces of its own.

load ../lib/migrate

start_server() {
	modprobe -q nfsd || :
	mkdir -p "$T/nfs/export" "$T/mnt"
	unshare -n -m --propagation private sh "$TOP/tests/lib/nfs-server" "$T/nfs" >"$T/nfs/log" 2>&1 </dev/null 3>&- 4>&- &
	server=$!
	wait_until test -e "$T/nfs/ready" || { cat "$T/nfs/log"; return 1; }
	ip link add "n$$" type veth peer name n1 netns "$server"
	ip addr add 10.79.0.1/24 dev "n$$"
	ip link set "n$$" up
	nsenter -t "$server" -n sh -c 'ip addr add 10.79.0.2/24 dev n1; ip link set n1 up'
}

setup() {
	server=
	needs_migration
	needs_command rpc.nfsd
	migrate_prepare
	start_server
}

teardown() {
	local c

	for c in "${THERE:-/nonexistent}"/*/; do
		[[ ! -d $c ]] || timeout 20 "$VZRUN" --root "$THERE" delete --force "$(basename "$c")" >/dev/null 2>&1 </dev/null
	done
	[[ ! -d ${ROOT:-/nonexistent}/$ID ]] || timeout 20 "$VZRUN" --root "$ROOT" delete --force "$ID" >/dev/null 2>&1 </dev/null
	[[ ! -d ${T:-/nonexistent}/mnt ]] || umount -f -l "$T/mnt" 2>/dev/null || :
	if [[ -n $server ]]; then
		nsenter -t "$server" -m -n rpc.nfsd 0 2>/dev/null
		kill -KILL "$(<"$T/nfs/mountd.pid")" "$server" 2>/dev/null
	fi
	vz_teardown
}

# Lines 0, 1, 2, ... into a file on NFS that is open all the time, from a working directory there.
appending='cd /nfs; exec 9>>log; i=0; while :; do echo $i >&9; echo $i >/tmp/count; i=$((i + 1)); sleep .02; done'
lines() { cat "$T/nfs/export/log" 2>/dev/null | wc -l; }
lines_reach() { (($(lines) >= $1)); }

# No line is missing, none is there twice.
is_whole() {
	local n

	wait_until lines_reach $(($(lines) + 5))
	head -n "$(lines)" "$T/nfs/export/log" >"$T/log"
	n=$(wc -l <"$T/log")
	seq 0 $((n - 1)) | cmp - "$T/log"
}

start_appending() {
	config_set --arg s "$appending" '.process.args = ["sh", "-c", $s]'
	ok run -d -b "$BUNDLE" "$ID"
	wait_until lines_reach 5 || wait_until lines_reach 5 # a server that has just started waits for clients of an earlier life
}

mount_on_host() {
	timeout 60 mount -t nfs4 -o vers=4.2 10.79.0.2:/ "$T/mnt"
	add_mount /nfs bind "$T/mnt" bind rw
}

@test "nfs: a process that appends to a file goes on after a restore, without losing a line" {
	mount_on_host
	start_appending
	for i in 1 2; do
		ok checkpoint --image-path "$T/images$i" "$ID"
		n=$(lines)
		sleep .3
		assert_eq "$(lines)" "$n"
		ok restore -d -b "$BUNDLE" --image-path "$T/images$i" "$ID"
		is_whole
		(($(lines) > n))
	done
	assert_eq "$(readlink "/proc/$(pid_of "$ID")/cwd")" /nfs
}

@test "nfs: a file without a name on NFS" {
	mount_on_host
	config_set --arg s 'cd /nfs; echo kept >gone; exec 8<gone; rm gone; '"$appending" '.process.args = ["sh", "-c", $s]'
	ok run -d -b "$BUNDLE" "$ID"
	wait_until lines_reach 5 || wait_until lines_reach 5 # a server that has just started waits for clients of an earlier life
	ok checkpoint --link-remap --image-path "$T/images" "$ID"
	ok restore -d -b "$BUNDLE" --image-path "$T/images" "$ID"
	is_whole
	assert_eq "$(cat "/proc/$(pid_of "$ID")/fd/8")" kept
}

@test "nfs: and after a migration" {
	mount_on_host
	start_appending
	migrate
	is_whole
	[[ ! -e $ROOT/$ID ]]
}

@test "nfs: what the container mounted itself is mounted again" {
	config_set '.linux.namespaces |= map(select(.type != "network")) | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
	mkdir -p "$BUNDLE/rootfs/nfs"
	config_set --arg s 'mount -t nfs4 -o vers=4.2,addr=10.79.0.2,clientaddr=10.79.0.1 10.79.0.2:/ /nfs; '"$appending" '.process.args = ["sh", "-c", $s]'
	ok run -d -b "$BUNDLE" "$ID"
	wait_until lines_reach 5 || wait_until lines_reach 5 # a server that has just started waits for clients of an earlier life
	# Its options, but for the port that it comes from.
	options() { sed -n 's/.* \/nfs \([^ ]*\) \(.* \)\?- nfs4 10.79.0.2:\/ /\1 /p' "/proc/$1/mountinfo"; }
	was=$(options "$(pid_of "$ID")")
	assert_match "$was" "*vers=4.2*"
	ok checkpoint --image-path "$T/images" "$ID"
	ok restore -d -b "$BUNDLE" --image-path "$T/images" "$ID"
	is_whole
	assert_eq "$(options "$(pid_of "$ID")")" "$was"
	migrate
	is_whole
	assert_eq "$(options "$(there state "$ID-2" | jq .pid)")" "$was"
}
