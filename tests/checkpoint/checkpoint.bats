#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore, by a CRIU that runs here.

load ../lib/helpers

WORKER=${PROBE%/*}/worker

setup() {
	needs_root
	needs_criu
	vz_setup
	IMG=$T/images
	mkdir -p "$BUNDLE/rootfs/tmp"
	config_set '.root.readonly = false'
}

teardown() {
	local p

	[[ -z ${uffd_was:-} ]] || sysctl -q vm.unprivileged_userfaultfd="$uffd_was"
	for p in ${helpers:-}; do
		kill -KILL "$p" 2>/dev/null || :
	done
	for p in ${links:-}; do
		ip link del "$p" 2>/dev/null || :
	done
	for p in ${mounts:-}; do
		umount -l "$p" 2>/dev/null || :
	done
	vz_teardown
}

needs_criu_feature() { criu check --feature "$1" >/dev/null 2>&1 || skip "CRIU has no $1 here"; }

# What keeps CRIU where it is for a while, as its script, and no longer than it lives.
holding='n=0; while [ $n -lt 50 ] && kill -0 $PPID; do n=$((n + 1)); sleep .1; done'

counting='i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep .05; done'

# start_sh SCRIPT [ARG...]: a detached container that runs the script, which writes numbers that grow to /tmp/count.
start_sh() {
	config_set --arg s "$1" '.process.args = ["sh", "-c", $s]'
	shift
	ok run --detach --bundle "$BUNDLE" "$@" "$ID"
	wait_until counted_to 3
}

# start_counting [ARG...]: process 1 counts in its memory.
start_counting() { start_sh "$counting" "$@"; }

# start_worker WORD...: the same with tests/lib/worker.c.
start_worker() {
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set --argjson a "$(jq -cn '["worker"] + $ARGS.positional' --args -- "$@")" '.process.args = $a'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_until counted_to 3
}

# With ARGS of both commands: what is restored goes on from where it was.
checkpoint() { ok checkpoint --image-path "$IMG" "$@" "$ID"; }
restore() { ok restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$@" "$ID"; }

# The file is empty for a moment each time.
count() {
	local n i

	for i in 1 2 3 4 5; do
		n=$(cat "$BUNDLE/rootfs/tmp/count" 2>/dev/null)
		[[ -z $n ]] || break
		sleep .01
	done
	echo $((10#${n:-0}))
}
counted_to() { (($(count) >= $1)); }

# goes_on [ID]: it is running, and counts on from where it was.
goes_on() {
	local n

	n=$(count)
	state_is "${1:-$ID}" running
	((n > 0))
	wait_until counted_to $((n + 3))
}

in_userns() { new_userns && chmod 777 "$BUNDLE/rootfs/tmp"; }

config_annotation() { config_set --arg k "$1" --arg v "$2" '.annotations[$k] = $v'; }

@test "checkpoint: a container is written, is gone, and goes on when it is restored" {
	start_counting
	checkpoint
	n=$(count)
	[[ ! -e $ROOT/$ID ]]
	sleep .3
	assert_eq "$(count)" "$n"
	restore
	goes_on
	(($(count) < n + 1000))
	ok exec "$ID" true
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
}

@test "checkpoint: --leave-running lets it go on, and the images are good for another id" {
	start_counting
	checkpoint --leave-running
	goes_on
	ok delete --force "$ID"
	n=$(count)
	ok restore -d -b "$BUNDLE" --image-path "$IMG" "$ID-2"
	goes_on "$ID-2"
	assert_eq "$("$VZRUN" --root "$ROOT" state "$ID-2" | jq -r .id)" "$ID-2"
}

@test "checkpoint: one that was restored is written again" {
	start_counting
	for i in 1 2 3; do
		IMG=$T/images$i
		checkpoint
		restore
		goes_on
	done
}

@test "restore: in the foreground it ends with the payload's status and is deleted; the pid file is written" {
	start_sh 'i=0; trap "exit 7" TERM; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep .05; done'
	checkpoint
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" restore --bundle "$BUNDLE" --image-path "$IMG" \
		--pid-file "$T/pid" "$ID" >>"$T/stdout" 2>>"$T/stderr" </dev/null 3>&- 4>&- &
	bg=$! helpers=$!
	wait_state "$ID" running
	wait_until test -s "$T/pid"
	assert_eq "$(<"$T/pid")" "$(pid_of "$ID")"
	goes_on
	ok kill "$ID" TERM
	status=0
	wait "$bg" || status=$?
	assert_eq "$status" 7
	[[ ! -e $ROOT/$ID ]]
}

@test "restore: --keep: in the foreground its record stays, with its status; --config is another document, --pidfd-socket gets process 1" {
	local helper
	start_sh 'i=0; trap "exit 7" TERM; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep .05; done'
	checkpoint
	mv "$CONFIG" "$T/other.json"
	fails config.json restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	python3 "$TOP/tests/lib/recvfd.py" "$T/sock" "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&- &
	helper=$! helpers=$!
	wait_until test -e "$T/got.ready"
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" restore --keep --config "$T/other.json" --pidfd-socket "$T/sock" --bundle "$BUNDLE" \
		--image-path "$IMG" "$ID" >>"$T/stdout" 2>>"$T/stderr" </dev/null 3>&- 4>&- &
	bg=$! helpers+=" $!"
	wait_state "$ID" running
	goes_on
	wait_until grep -qx "pid $(pid_of "$ID")" "$T/got.msg"
	ok kill "$ID" TERM
	status=0
	wait "$bg" || status=$?
	assert_eq "$status" 7
	state_is "$ID" stopped
	assert_eq "$("$VZRUN" --root "$ROOT" state "$ID" | jq .exit.status)" 7
	kill "$helper" 2>/dev/null || :
}

@test "restore: pipes of standard streams become those of restore" {
	config_set --arg s 'i=0; while read x; do i=$((i + 1)); echo "$i $x"; echo "e$i" >&2; echo $i >/tmp/count; done' '.process.args = ["sh", "-c", $s]'
	streams() {
		mkfifo "$T/in$1"
		cat "$T/in$1" 3>&- 4>&- | "$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" "${@:2}" -b "$BUNDLE" "$ID" \
			2> >(cat >"$T/err$1") > >(cat >"$T/out$1") 3>&- 4>&- &
	}
	streams 1 run
	exec 8>"$T/in1"
	printf 'a\nb\nc\n' >&8
	wait_until grep -qx '3 c' "$T/out1"
	checkpoint
	exec 8>&-
	assert_eq "$(jq -c 'map(.[0:5])' "$IMG/descriptors.json")" '["pipe:","pipe:","pipe:"]'
	streams 2 restore --image-path "$IMG"
	exec 8>"$T/in2"
	printf 'd\n' >&8
	wait_until grep -qx '4 d' "$T/out2"
	wait_until grep -qx e4 "$T/err2"
	! grep -q '4 d' "$T/out1" || false
	exec 8>&-
	wait
	[[ ! -e $ROOT/$ID ]]
}

@test "restore: standard streams that were a file and a device of the host become those of restore" {
	config_set --arg s "$counting" '.process.args = ["sh", "-c", ($s | sub("sleep"; "echo $i; sleep"))]'
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" run -d -b "$BUNDLE" "$ID" >>"$T/log" 2>&1 </dev/null 3>&- 4>&-
	wait_until counted_to 3
	checkpoint
	n=$(tail -n 1 "$T/log")
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID" >>"$T/log" 2>&1 </dev/null 3>&- 4>&-
	goes_on
	wait_until grep -qx $((n + 1)) "$T/log"
	# Another file, and none.
	IMG=$T/images-2
	checkpoint
	n=$(tail -n 1 "$T/log")
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID" >"$T/log-2" 2>/dev/null </dev/null 3>&- 4>&-
	goes_on
	assert_eq "$(head -n 1 "$T/log-2")" $((n + 1))
	IMG=$T/images-3
	checkpoint
	restore
	goes_on
}

# With the size, mode and position of their own.
@test "restore: standard streams that were files become others, and pipes" {
	config_set --arg s "$counting" '.process.args = ["sh", "-c", ($s | sub("sleep"; "echo $i; sleep"))]'
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" run -d -b "$BUNDLE" "$ID" >"$T/one" 2>"$T/err" </dev/null 3>&- 4>&-
	wait_until counted_to 3
	checkpoint
	n=$(tail -n 1 "$T/one")
	echo before >"$T/err"
	(umask 077; "$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID" >"$T/two" 2>>"$T/err" </dev/null 3>&- 4>&-)
	goes_on
	assert_eq "$(head -n 1 "$T/two")" $((n + 1))
	IMG=$T/images-2
	checkpoint
	n=$(tail -n 1 "$T/two")
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID" </dev/null 2>/dev/null 3>&- 4>&- | cat >"$T/three" &
	wait_until grep -qx $((n + 3)) "$T/three"
	assert_eq "$(head -n 1 "$T/three")" $((n + 1))
}

# root inside could change the mode of the host's for everybody.
@test "restore: a null device for a stream that was a pipe is the container's, and can be written again" {
	config_set --arg s "$counting" '.process.args = ["sh", "-c", $s]'
	mkfifo "$T/in"
	cat "$T/in" 3>&- 4>&- | "$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" run -d -b "$BUNDLE" "$ID" >/dev/null 2>&1 3>&- 4>&- &
	exec 8>"$T/in"
	wait_until counted_to 3
	checkpoint
	exec 8>&-
	assert_eq "$(jq -c 'map(.[0:5])' "$IMG/descriptors.json")" '["pipe:","/dev/","/dev/"]'
	for i in 1 2; do
		restore
		goes_on
		for fd in 0 1 2; do
			assert_eq "$(stat -L -c '%t:%T %a' "/proc/$(pid_of "$ID")/fd/$fd")" "1:3 666"
			[[ $(stat -L -c %d:%i "/proc/$(pid_of "$ID")/fd/$fd") != "$(stat -L -c %d:%i /dev/null)" ]]
		done
		checkpoint
	done
}

own_terminal() {
	receive() {
		rm -f "$T/sock"
		python3 "$TOP/tests/lib/recvfd.py" "$T/sock" "$T/$1" 3>&- 4>&- &
		helpers="${helpers:-} $!"
		wait_until test -e "$T/$1.ready"
	}
	config_set '.process.terminal = true'
	receive one
	start_sh 'i=0; while :; do i=$((i + 1)); echo "n $i"; echo $i >/tmp/count; sleep .05; done' --console-socket "$T/sock"
	wait_until grep -q 'n 3' "$T/one"
	checkpoint
	n=$(count)
	fails 'console socket' restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	receive two
	restore --console-socket "$T/sock"
	wait_until grep -q "n $((n + 2))" "$T/two"
	grep -q 'tty 1' "$T/two.msg"
	ok delete --force "$ID"
}

@test "restore: the terminal goes to the console socket" { own_terminal; }
@test "restore: the terminal of a user namespace goes to the console socket" { in_userns && own_terminal; }

@test "checkpoint: --pre-dump and --parent-path: only what changed is written again" {
	needs_criu_feature mem_dirty_track
	start_worker memory 16 0 /tmp/count
	ok checkpoint --pre-dump --image-path "$T/pre" "$ID"
	goes_on
	ok checkpoint --image-path "$IMG" --parent-path ../pre "$ID"
	pre=$(cat "$T"/pre/pages-*.img | wc -c) last=$(cat "$IMG"/pages-*.img | wc -c)
	((pre > 16 << 20 && last < 4 << 20))
	# Moved together they are good; without its parent the last is not.
	mkdir "$T/moved"
	mv "$T/pre" "$IMG" "$T/moved"
	IMG=$T/moved/images
	mv "$T/moved/pre" "$T/moved/gone"
	fails 'parent images ../pre' restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	mv "$T/moved/gone" "$T/moved/pre"
	restore
	goes_on
}

@test "checkpoint: parent images that were cut or changed are refused; a pre-dump is no checkpoint; an old one has no record" {
	needs_criu_feature mem_dirty_track
	start_worker memory 4 0 /tmp/count
	ok checkpoint --pre-dump --image-path "$T/pre-1" "$ID"
	ok checkpoint --pre-dump --image-path "$T/pre-2" --parent-path ../pre-1 "$ID"
	fails "$T/pre-1 holds no finished checkpoint of vzrun, but a pre-dump" restore -d -b "$BUNDLE" --image-path "$T/pre-1" "$ID-2"
	cp -a "$T/pre-1" "$T/kept"
	truncate -s 4096 "$T/pre-1/pages-1.img"
	fails "--parent-path: parent images: ../pre-1/pages-1.img: 4096 bytes, but the checkpoint wrote" \
		checkpoint --image-path "$IMG" --parent-path ../pre-2 "$ID"
	goes_on
	rm -r "$T/pre-1"
	cp -a "$T/kept" "$T/pre-1"
	checkpoint --parent-path ../pre-2
	bad_parent() {
		(cd "$T/pre-1" && eval "$2")
		fails "parent images: ../pre-1/$1" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
		[[ ! -e $ROOT/$ID ]]
		rm -r "$T/pre-1"
		cp -a "$T/kept" "$T/pre-1"
	}
	bad_parent 'pages-1.img: 4096 bytes, but the checkpoint wrote' 'truncate -s 4096 pages-1.img'
	bad_parent 'pagemap-1.img is not what the checkpoint wrote' 'n=$(stat -c %s pagemap-1.img); head -c $n /dev/urandom >pagemap-1.img'
	bad_parent 'inventory.img: no such file' 'rm inventory.img'
	rm "$T/pre-1/vzrun.json" "$T/pre-2/vzrun.json"
	restore
	goes_on
}

@test "checkpoint: what the images were based on before is no parent any more" {
	needs_criu_feature mem_dirty_track
	start_counting
	ok checkpoint --pre-dump --image-path "$T/first" "$ID"
	checkpoint --leave-running --parent-path ../first
	assert_eq "$(readlink "$IMG/parent")" ../first
	ok checkpoint --pre-dump --image-path "$T/second" "$ID"
	checkpoint --leave-running --parent-path ../second
	assert_eq "$(readlink "$IMG/parent")" ../second
	checkpoint
	[[ ! -L $IMG/parent ]]
	rm -r "$T/first" "$T/second"
	restore
	goes_on
}

auto_dedup() {
	needs_criu_feature mem_dirty_track
	start_worker memory 16 8000 /tmp/count
	ok checkpoint --pre-dump --image-path "$T/pre" "$ID"
	before=$(du -k "$T/pre" | cut -f 1)
	sleep 1
	ok checkpoint --image-path "$IMG" --parent-path ../pre --auto-dedup "$ID"
	after=$(du -k "$T/pre" | cut -f 1)
	((after < before - 2000))
	# And restore frees what it has read.
	before=$(du -sk "$T/pre" "$IMG" | awk '{ n += $1 } END { print n }')
	restore --auto-dedup
	after=$(du -sk "$T/pre" "$IMG" | awk '{ n += $1 } END { print n }')
	((after < before - 8000)) || { echo "$before, then $after"; false; }
	goes_on
}

@test "checkpoint: --auto-dedup frees in the parent what was written again" { auto_dedup; }
@test "checkpoint: --auto-dedup in a user namespace" { in_userns && auto_dedup; }

page_server() {
	start_worker memory 8 0 /tmp/count
	mkdir "$T/there"
	criu page-server --images-dir "$T/there" --address 127.0.0.1 --port 27301 >"$T/ps.log" 2>&1 3>&- 4>&- &
	helpers=$!
	listening() { ss -Hltn 'sport = :27301' | grep -q .; }
	wait_until listening
	checkpoint --page-server 127.0.0.1:27301
	wait "$helpers"
	! ls "$IMG"/pages-*.img 2>/dev/null || false
	cp "$T/there"/*.img "$IMG"
	restore
	goes_on
}

@test "checkpoint: --page-server sends the memory there" { page_server; }
@test "checkpoint: --page-server in a user namespace" { in_userns && page_server; }

lazy_memory() {
	needs_criu_feature uffd-noncoop
	start_worker memory 16 0 /tmp/count
	mkdir "$T/work"
	mkfifo "$T/ready"
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" --lazy-pages --page-server 127.0.0.1:27302 \
		--status-fd 7 "$ID" 7>"$T/ready" >"$T/lazy.log" 2>&1 3>&- 4>&- &
	dump=$! helpers=$!
	exec 8<"$T/ready"
	IFS= read -r -d '' -t 20 word <&8
	exec 8<&-
	(cd "$T/work" && exec criu lazy-pages --images-dir "$IMG" --work-dir "$T/work" --page-server --address 127.0.0.1 --port 27302) \
		>"$T/daemon.log" 2>&1 3>&- 4>&- &
	helpers+=" $!"
	wait_until test -S "$T/work/lazy-pages.socket"
	# Hardly anything is here: the rest comes over the network.
	(($(cat "$IMG"/pages-*.img | wc -c) < 8 << 20))
	ok restore --detach --bundle "$BUNDLE" --image-path "$IMG" --work-path "$T/work" --lazy-pages "$ID-2"
	goes_on "$ID-2"
	wait "$dump"
	[[ ! -e $ROOT/$ID ]]
	state_is "$ID-2" running
}

@test "checkpoint: --lazy-pages: the memory is fetched when it is used" { lazy_memory; }
@test "checkpoint: --lazy-pages in a user namespace" {
	uffd_was=$(sysctl -n vm.unprivileged_userfaultfd)
	sysctl -q vm.unprivileged_userfaultfd=1
	in_userns
	lazy_memory
}

file_locks() {
	start_worker lock /tmp/lock /tmp/count
	fails 'file-locks' checkpoint --image-path "$IMG" "$ID"
	goes_on
	checkpoint --file-locks
	flock -n "$BUNDLE/rootfs/tmp/lock" true
	restore --file-locks
	goes_on
	! flock -n "$BUNDLE/rootfs/tmp/lock" true || false
}

@test "checkpoint: --file-locks keeps a lock; without it there is an error that says so" { file_locks; }
@test "checkpoint: --file-locks in a user namespace" { in_userns && file_locks; }

link_remap() {
	start_sh 'echo kept >/tmp/a; ln /tmp/a /tmp/b; exec 9</tmp/a; rm /tmp/a; '"$counting"'; '
	fails 'link-remap' checkpoint --image-path "$IMG" "$ID"
	goes_on
	checkpoint --link-remap
	restore
	goes_on
	assert_eq "$(cat "/proc/$(pid_of "$ID")/fd/9")" kept
	[[ ! -e $BUNDLE/rootfs/tmp/a ]]
}

@test "checkpoint: --link-remap: a file without its name comes back" { link_remap; }
@test "checkpoint: --link-remap in a user namespace" { in_userns && link_remap; }

@test "checkpoint: a file that was deleted and is open comes back, a big one too" {
	start_sh 'dd if=/dev/zero bs=1M count=3 of=/tmp/big 2>/dev/null; exec 9</tmp/big; rm /tmp/big; '"$counting"
	checkpoint
	restore
	goes_on
	assert_eq "$(wc -c <"/proc/$(pid_of "$ID")/fd/9")" $((3 << 20))
}

outer_socket() {
	mkdir "$T/run"
	socat -u "UNIX-RECV:$T/run/log,mode=666" "OPEN:$T/got,creat,append" 3>&- 4>&- &
	helpers=$!
	wait_until test -S "$T/run/log"
	config_set '.linux.namespaces |= map(select(.type != "network"))' # CRIU finds only sockets of its own network namespace
	add_mount "$T/run" bind "$T/run" bind # CRIU connects by the name that it was bound by
	start_worker dgram "$T/run/log" /tmp/count
	fails 'nix' checkpoint --image-path "$IMG" "$ID"
	goes_on
	checkpoint --ext-unix-sk
	n=$(wc -l <"$T/got")
	restore --ext-unix-sk
	goes_on
	more() { (($(wc -l <"$T/got") > n + 3)); }
	wait_until more
}

@test "checkpoint: --ext-unix-sk: a socket that is connected to one outside goes on" { outer_socket; }
# Its /sys would be the host's, with the host's cgroups below its own.
@test "checkpoint: --ext-unix-sk in a user namespace" {
	criu_is 4.0 || skip "CRIU before 4.0 restores no such socket in a user namespace"
	in_userns
	cp "$CONFIG" "$T/whole"
	config_set '.linux.namespaces |= map(select(.type != "network"))'
	set_args sleep 1000
	ok run --detach --bundle "$BUNDLE" "$ID"
	fails 'is mounted over what comes from outside' checkpoint --image-path "$IMG" "$ID"
	state_is "$ID" running
	ok delete --force "$ID"
	cp "$T/whole" "$CONFIG"
	config_set '.mounts |= map(select(.destination | startswith("/sys") | not)) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	outer_socket
}

# A network namespace that somebody else made, as CNI does, with a way to this one.
new_network() {
	unshare -n sleep 1000 3>&- 4>&- &
	holder=$! helpers="${helpers:-} $!"
	apart() { [[ $(readlink "/proc/$holder/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
	wait_until apart
	ip link add "v$holder" type veth peer name eth0 netns "$holder"
	ip addr add 10.77.0.1/24 dev "v$holder"
	ip link set "v$holder" up
	nsenter -t "$holder" -n sh -c 'ip addr add 10.77.0.2/24 dev eth0; ip link set eth0 up; ip link set lo up'
	config_set --arg p "/proc/$holder/ns/net" '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)'
}

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
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	start_sh "worker serve 7000 & $counting"
	"$WORKER" client 10.77.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
	client=$! helpers+=" $!"
	sleep 1
	fails 'tcp-established' checkpoint --image-path "$IMG" "$ID"
	goes_on
	checkpoint --tcp-established
	sleep .5
	restore --tcp-established
	goes_on
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
	read -r n pause < <(tail -n 1 "$T/client")
	((n > 20 && pause >= 500))
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
	! nsenter -t "$(pid_of "$ID")" -n nft list ruleset | grep vzrun || false
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
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
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	start_sh "worker serve 7000 & $counting"
	"$WORKER" client 10.77.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
	client=$! helpers+=" $!"
	sleep 1
	checkpoint --tcp-established
	restore --tcp-close
	goes_on
	! wait "$client" || false
	"$WORKER" client 10.77.0.2 7000 300
}

@test "restore: --tcp-close: connections are closed ones, and the rest goes on" { tcp_close new_network; }
@test "restore: --tcp-close in a user namespace" { in_userns && tcp_close hook_network; }

@test "checkpoint: --network-lock, --manage-cgroups-mode and --empty-ns take their words and refuse others" {
	start_counting
	fails '--network-lock: "x" is none of iptables, nftables, skip' checkpoint --network-lock x "$ID"
	fails '--manage-cgroups-mode: "x" is none of soft, full, strict, ignore' checkpoint --manage-cgroups-mode x "$ID"
	fails '--empty-ns: "pid" is none of network' checkpoint --empty-ns pid "$ID"
	fails '--page-server: "x" is not ADDRESS:PORT' checkpoint --page-server x "$ID"
	fails '--status-fd 77' checkpoint --status-fd 77 "$ID"
	fails '--lazy-pages needs --page-server' checkpoint --lazy-pages "$ID"
	fails 'relative to --image-path' checkpoint --image-path "$IMG" --parent-path /x "$ID"
	goes_on
}

network_locks() {
	"$1"
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	start_sh "worker serve 7000 & $counting"
	"$WORKER" client 10.77.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
	client=$! helpers+=" $!"
	sleep 1
	rules() { nsenter -t "${holder:-$(pid_of "$ID")}" -n nft list ruleset; }
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
		[[ $1 != new_network ]] || assert_eq "$(rules | grep -o 'table inet CRIU\|jump CRIU' | sort -u)" "$want"
		restore --tcp-established --network-lock "$lock"
		goes_on
		! rules | grep CRIU || false
	done
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
}

@test "checkpoint: each --network-lock works for a connection" { network_locks new_network; }
@test "checkpoint: each --network-lock in a user namespace" { in_userns && network_locks hook_network; }

# manage_cgroups MODE...: it is in its cgroup, and sees no other.
manage_cgroups() {
	local mode

	start_counting
	for mode; do
		IMG=$T/images-$mode
		checkpoint --manage-cgroups-mode "$mode"
		restore --manage-cgroups-mode "$mode"
		goes_on
		assert_eq "$("$VZRUN" --root "$ROOT" ps -f json "$ID" | jq 'index($p) != null' --argjson p "$(pid_of "$ID")")" true
		has_own_cgroups "$ID"
	done
}

# Its root in each hierarchy is where it is.
has_own_cgroups() {
	[[ $(readlink "/proc/$(pid_of "$1")/ns/cgroup") != "$(readlink /proc/self/ns/cgroup)" ]]
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$1" sed 's/.*://' /proc/1/cgroup | sort -u)" /
	"$VZRUN" --root "$ROOT" exec "$1" grep -q . /proc/self/cgroup
}

@test "checkpoint: each --manage-cgroups-mode" { manage_cgroups soft full ignore; }
@test "checkpoint: each --manage-cgroups-mode in a user namespace" {
	in_userns
	manage_cgroups soft full
	fails '--manage-cgroups-mode ignore: /sys/fs/cgroup' checkpoint --manage-cgroups-mode ignore --image-path "$T/images-ignore" "$ID"
	goes_on
	checkpoint
	fails '--manage-cgroups-mode ignore: /sys/fs/cgroup' restore --detach --bundle "$BUNDLE" --image-path "$IMG" --manage-cgroups-mode ignore "$ID"
	restore
	goes_on
	ok delete --force "$ID"
	config_set '.mounts |= map(select(.type != "cgroup"))'
	manage_cgroups ignore
}

@test "checkpoint: --manage-cgroups-mode ignore: another id is in a cgroup of its own, not in that of the images" {
	start_counting
	checkpoint --manage-cgroups-mode ignore --leave-running
	ok kill "$ID" STOP
	ok restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID-2"
	goes_on "$ID-2"
	has_own_cgroups "$ID-2"
	assert_eq "$("$VZRUN" --root "$ROOT" ps -f json "$ID-2" | jq 'index($p) != null' --argjson p "$(pid_of "$ID-2")")" true
	assert_eq "$("$VZRUN" --root "$ROOT" ps -f json "$ID" | jq 'index($p) != null' --argjson p "$(pid_of "$ID-2")")" false
}

# systemd_root: a root with the host's /usr, in which systemd has one service to look after, that counts.
systemd_root() {
	local r=$BUNDLE/rootfs units=$BUNDLE/rootfs/etc/systemd/system d

	rm -rf "$r"
	mkdir -p "$r"/{usr,proc,sys,dev,run,tmp,root,var/log,"${units#"$r"/}"}
	for d in bin sbin lib lib64; do
		ln -s "usr/$d" "$r/$d"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$r/etc/passwd"
	echo 'root:x:0:' >"$r/etc/group"
	echo 0123456789abcdef0123456789abcdef >"$r/etc/machine-id"
	printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sh -c %s\n' "'${counting//$/\$\$}'" >"$units/counting.service"
	printf '[Unit]\nDefaultDependencies=no\nRequires=counting.service\n' >"$units/default.target"
	config_set '.process.args = ["/usr/lib/systemd/systemd"] | .process.env += ["container=oci"]
		| .mounts |= map(select(.destination != "/sys/fs/cgroup"))
		| .mounts += [{destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"]},
			{destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"]},
			{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw", "nosuid", "noexec", "nodev"]}]
		| .linux.namespaces |= map(select(.type != "cgroup")) + [{type: "cgroup"}]'
}

# ticks PID: of CPU.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

@test "restore: process 1 beside threaded cgroups stays in the container's cgroup" {
	local dir
	start_counting
	dir=$(cg_dir "$(pid_of "$ID")" cgroup)
	grep -qw pids "$dir/cgroup.controllers" 2>/dev/null || skip "needs cgroup v2"
	mkdir "$dir/sub"
	echo threaded >"$dir/sub/cgroup.type"
	echo +pids >"$dir/cgroup.subtree_control"
	checkpoint
	restore
	goes_on
	assert_eq "$(cg_dir "$(pid_of "$ID")" cgroup)" "$dir"
	grep -qx "$(pid_of "$ID")" "$dir/cgroup.threads"
}

@test "checkpoint: systemd as process 1, with its cgroups, and what it watches in them" {
	needs_command systemctl
	[[ -x /usr/lib/systemd/systemd ]] || skip "no command systemd"
	[[ -e /sys/fs/cgroup/cgroup.controllers ]] || skip "needs cgroup v2"
	local pid was
	systemd_root
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_until counted_to 3
	ok exec "$ID" grep -q memory /sys/fs/cgroup/cgroup.subtree_control
	checkpoint --file-locks --link-remap --ext-unix-sk
	restore --file-locks --ext-unix-sk
	goes_on
	ok exec "$ID" grep -q memory /sys/fs/cgroup/cgroup.subtree_control
	ok exec "$ID" test -e /sys/fs/cgroup/system.slice/counting.service/memory.events
	ok exec "$ID" grep -q . /sys/fs/cgroup/init.scope/cgroup.procs
	ok exec "$ID" systemctl restart counting
	ok exec "$ID" systemctl is-active counting
	# It waits for pressure, which it would else be told of without end.
	pid=$(pid_of "$ID")
	was=$(ticks "$pid")
	sleep 2
	(($(ticks "$pid") - was < 100))
}

# What is in the cgroup that vzrun has made already, and what is below it.
@test "checkpoint: --manage-cgroups-mode: which properties and which cgroups come back" {
	for mode in soft full ignore strict; do
		IMG=$T/images-$mode
		start_counting
		dir=$(cg_dir "$(pid_of "$ID")" cgroup)
		[[ -e $dir/cgroup.max.depth ]] || skip "no cgroup2"
		criu_is 4.0 || skip "CRIU before 4.0 leaves out these properties of cgroup2"
		mkdir "$dir/sub"
		echo 5 >"$dir/cgroup.max.depth"
		echo 7 >"$dir/sub/cgroup.max.descendants"
		checkpoint --manage-cgroups-mode "$mode"
		[[ ! -e $dir ]]
		case $mode in
			soft) want="max 7" ;;
			full) want="5 7" ;;
			ignore) want="max" ;;
			strict)
				fails "Abort restore of existing cgroups" restore -d -b "$BUNDLE" --image-path "$IMG" --manage-cgroups-mode strict "$ID"
				[[ ! -e $dir && ! -e $ROOT/$ID ]]
				# Only restore's word counts, where there is something to restore; and without one it is soft.
				want="max 7" mode=
				;;
		esac
		restore ${mode:+--manage-cgroups-mode "$mode"}
		goes_on
		assert_eq "$(cat "$dir/cgroup.max.depth" "$dir/sub/cgroup.max.descendants" 2>/dev/null | xargs)" "$want"
		ok delete --force "$ID"
	done
	# Nothing of it is in the images of the third.
	IMG=$T/images-ignore
	restore
	goes_on
	[[ ! -e $dir/sub ]]
}

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

@test "restore: the cgroup has the container's limits, and its processes are in it" {
	needs_controller pids
	config_set '.linux.resources.pids = {limit: 50}'
	start_counting
	ok update --pids-limit 60 "$ID"
	checkpoint
	restore
	goes_on
	assert_eq "$(cg pids.max)" 60
	assert_eq "$("$VZRUN" --root "$ROOT" ps -f json "$ID" | jq 'index($p) != null' --argjson p "$(pid_of "$ID")")" true
	ok pause "$ID"
	state_is "$ID" paused
	ok resume "$ID"
	goes_on
}

@test "checkpoint: a paused container" {
	start_counting
	ok pause "$ID"
	ok checkpoint --leave-running --image-path "$T/images-1" "$ID"
	state_is "$ID" paused
	ok resume "$ID"
	goes_on
	ok pause "$ID"
	checkpoint
	restore
	goes_on
}

@test "restore: volumes, and what is mounted below them" {
	mkdir -p "$T/vol" "$T/other" "$T/vol2"
	echo one >"$T/vol/file"
	echo host >"$T/conf"
	add_mount /data bind "$T/vol" rbind rw
	add_mount /data/below tmpfs tmpfs
	add_mount /etc/conf bind "$T/conf" bind ro
	start_sh "echo inside >/data/below/f; exec 9</data/file; $counting"
	checkpoint
	restore
	goes_on
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" cat /data/file /data/below/f /etc/conf)" $'one\ninside\nhost'
	! "$VZRUN" --root "$ROOT" exec "$ID" sh -c 'echo x >/etc/conf' 2>/dev/null || false
}

@test "restore: another bundle, another volume: the document of restore says where mounts come from" {
	mkdir -p "$T/vol"
	echo one >"$T/vol/file"
	add_mount /data bind "$T/vol" rbind rw
	start_counting
	checkpoint
	mv "$BUNDLE" "$T/moved"
	mv "$T/vol" "$T/vol-moved"
	BUNDLE=$T/moved CONFIG=$T/moved/config.json
	fails "$T/vol" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	config_set --arg s "$T/vol-moved" '(.mounts[] | select(.destination == "/data")).source = $s'
	restore
	goes_on
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" cat /data/file)" one
}

@test "restore: --mount-map" {
	mkdir -p "$T/vol" "$T/vol-2"
	echo one >"$T/vol/file"
	echo two >"$T/vol-2/file"
	add_mount /data bind "$T/vol" rbind rw
	start_counting
	checkpoint
	fails 'not DESTINATION=SOURCE' restore -d -b "$BUNDLE" --image-path "$IMG" --mount-map /data "$ID"
	fails 'nothing from outside mounted there' restore -d -b "$BUNDLE" --image-path "$IMG" --mount-map /dat="$T/vol" "$ID"
	restore --mount-map /data="$T/vol-2"
	goes_on
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" cat /data/file)" two
}

@test "restore: --mount-map: mount points are made in what is taken instead" {
	mkdir -p "$T/vol" "$T/new"
	add_mount /vol bind "$T/vol" bind
	add_mount /vol/cache tmpfs none
	start_counting
	checkpoint
	rmdir "$T/vol/cache"
	restore --mount-map "/vol=$T/new"
	goes_on
	[[ -d $T/new/cache && ! -e $T/vol/cache ]]
}

@test "checkpoint: what a hook mounted is there again, though no document names it" {
	mkdir -p "$T/hooked" "$BUNDLE/rootfs/opt"
	echo hooked >"$T/hooked/file"
	cat >"$T/hook" <<-H
	#!/bin/sh
	pid=\$(jq .pid)
	nsenter -t \$pid -m mount --bind $T/hooked $BUNDLE/rootfs/opt
	H
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" '.hooks.createRuntime = [{path: $h}]'
	start_counting
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" cat /opt/file)" hooked
	checkpoint
	config_set 'del(.hooks)'
	restore
	goes_on
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" cat /opt/file)" hooked
}

# hook_mounts SOURCE PLACE...: a hook that binds them in the container, and is gone afterwards.
hook_mounts() {
	printf '#!/bin/sh\nset -e\npid=$(jq .pid)\n' >"$T/hook"
	for ((; $# > 0; )); do
		printf 'nsenter -t $pid -m mount --bind %s %s%s\n' "$1" "$BUNDLE/rootfs" "$2" >>"$T/hook"
		shift 2
	done
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" '.hooks.createRuntime = [{path: $h}]'
}

inside() { "$VZRUN" --root "$ROOT" exec "$ID" "$@" 3>&- 4>&-; }

# Two volumes, one with what the host has mounted in it and one without.
@test "checkpoint: what a hook mounted into a volume is there again, and not what it covers" {
	mkdir -p "$T/vol/dir" "$T/vol/sub" "$T/hooked"
	mounts=$T/vol/sub
	mount -t tmpfs none "$T/vol/sub"
	echo hooked | tee "$T/secret" >"$T/hooked/file"
	echo sub >"$T/vol/sub/file"
	touch "$T/vol/secret"
	add_mount /data bind "$T/vol" rbind rw
	add_mount /plain bind "$T/vol" bind rw
	hook_mounts "$T/secret" /data/secret "$T/hooked" /data/dir "$T/vol/sub" /plain/dir
	start_counting
	config_set 'del(.hooks)'
	for i in 1 2; do
		assert_eq "$(inside cat /data/secret /data/dir/file /data/sub/file /plain/dir/file)" $'hooked\nhooked\nsub\nsub'
		assert_eq "$(inside ls /plain/sub)" ""
		checkpoint
		restore
		goes_on
		IMG+=-
	done
	ok delete --force "$ID"
}

@test "restore: volumes of one file system still hear of what the host mounts in them, in a user namespace too" {
	mkdir -p "$T/vol" "$T/vol-2"
	touch "$T/conf"
	add_mount /data bind "$T/vol" rbind rw
	add_mount /etc/conf bind "$T/conf" bind ro
	add_mount /data-2 bind "$T/vol-2" rbind rw
	for userns in "" userns; do
		[[ -z $userns ]] || in_userns
		start_counting
		checkpoint
		restore
		goes_on
		for v in vol vol-2; do
			mkdir -p "$T/$v/sub"
			mounts+=" $T/$v/sub"
			mount -t tmpfs none "$T/$v/sub"
			echo "$v" >"$T/$v/sub/file"
		done
		assert_eq "$(inside cat /data/sub/file /data-2/sub/file)" $'vol\nvol-2'
		ok delete --force "$ID"
		umount "$T/vol/sub" "$T/vol-2/sub"
		rm -rf "$IMG"
	done
}

# By the container itself, on the volume and elsewhere.
bind_parts() {
	mkdir -p "$T/vol/x" "$T/vol/sub" "$BUNDLE/rootfs/mnt" "$T/outside"
	echo x >"$T/vol/x/file"
	echo covered >"$T/vol/sub/file"
	echo outside >"$T/outside/file"
	add_mount /data bind "$T/vol" rbind rw
	[[ ${1:-} != userns ]] || { new_userns; chown 100000:200000 "$T/vol"; chmod 777 "$BUNDLE/rootfs/tmp"; }
	start_counting
	ok exec --cap CAP_SYS_ADMIN "$ID" mount --bind /data/x /data/sub
	ok exec --cap CAP_SYS_ADMIN "$ID" mount --bind /data/x /mnt
}

@test "checkpoint: what covers a mount from outside is not taken for it: refused, and the container goes on" {
	mkdir "$T/vol"
	add_mount /vol bind "$T/vol" bind
	start_counting
	nsenter -t "$(pid_of "$ID")" -m mount -t tmpfs over /vol
	fails "/vol: over is mounted over what comes from outside*unmount it" checkpoint --image-path "$IMG" "$ID"
	goes_on
	nsenter -t "$(pid_of "$ID")" -m umount /vol
	# The same once more is no question.
	nsenter -t "$(pid_of "$ID")" -m mount --bind /vol /vol
	checkpoint
	restore
	goes_on
}

@test "checkpoint: names of mounts from outside that would be taken for others are refused, and the container goes on" {
	local name

	mkdir "$T/vol"
	add_mount /vol bind "$T/vol" bind
	start_counting
	for name in '/tmp/x]:/e' $'/tmp/caf\xe9'; do
		nsenter -t "$(pid_of "$ID")" -m sh -c 'mkdir -p "$1" && mount --bind /vol "$1"' sh "$name"
		fails "mount from outside" checkpoint --image-path "$IMG" "$ID"
		goes_on
		nsenter -t "$(pid_of "$ID")" -m umount "$name"
	done
	checkpoint
	restore
	goes_on
}

@test "checkpoint: parts of a volume that the container mounted once more come from the volume, wherever it is now" {
	bind_parts
	checkpoint
	restore
	goes_on
	assert_eq "$(inside cat /data/sub/file /mnt/file)" $'x\nx'
	IMG+=-
	checkpoint
	cp -a "$T/vol" "$T/vol-2"
	echo x2 >"$T/vol-2/x/file"
	config_set --arg s "$T/vol-2" '(.mounts[] | select(.destination == "/data")).source = $s'
	restore
	goes_on
	assert_eq "$(inside cat /data/sub/file /mnt/file)" $'x2\nx2'
	IMG+=-
	checkpoint
	restore --mount-map "/data=$T/vol" --mount-map "/mnt=$T/vol-2/x"
	goes_on
	assert_eq "$(inside cat /data/sub/file /mnt/file)" $'x\nx2'
}

@test "restore: a part of a volume whose ids are mapped has them mapped too" {
	mkdir -p "$T/vol/x" "$BUNDLE/rootfs/mnt"
	echo x >"$T/vol/x/file"
	add_mount /data bind "$T/vol" rbind rw idmap
	in_userns
	set_args true
	run_vzrun run --bundle "$BUNDLE" "$ID"
	[[ $status == 0 ]] || skip "no mapped ids on this file system: $stderr"
	start_counting
	ok exec --cap CAP_SYS_ADMIN "$ID" mount --bind /data/x /mnt
	checkpoint
	restore
	goes_on
	assert_eq "$(inside stat -c %u /data/x/file /mnt/file)" $'0\n0'
}

@test "restore: a symbolic link that the container leaves in place of what it mounted leads nowhere" {
	for userns in "" userns; do
		bind_parts $userns
		checkpoint
		mv "$T/vol/x" "$T/vol/y"
		for to in "$T/outside" / y; do
			ln -sfn "$to" "$T/vol/x"
			fails "was mounted from $T/vol/x, and now a symbolic link leads there: --mount-map" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
			assert_eq "$(wc -l <<<"$stderr")" 1
			[[ ! -e $ROOT/$ID && ! -e $IMG/restore.log ]]
		done
		restore --mount-map "/mnt=$T/vol/y" --mount-map "/data/sub=$T/vol/y"
		goes_on
		assert_eq "$(inside cat /data/sub/file /mnt/file)" $'x\nx'
		ok delete --force "$ID"
		rm -rf "$T/vol" "$IMG"
	done
}

# A hook's, on the way to which somebody else may write.
@test "restore: a symbolic link on the way to what a hook mounted leads nowhere" {
	mkdir -p "$T/shared/a/b" "$T/outside/b" "$BUNDLE/rootfs/opt"
	echo hooked >"$T/shared/a/b/file"
	hook_mounts "$T/shared/a/b" /opt
	start_counting
	config_set 'del(.hooks)'
	checkpoint
	mv "$T/shared/a" "$T/shared/c"
	ln -s "$T/outside" "$T/shared/a"
	fails "/opt was mounted from $T/shared/a/b, and now a symbolic link leads there: --mount-map" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	[[ ! -e $ROOT/$ID ]]
	rm "$T/shared/a"
	fails "/opt: /: open ${T#/}/shared/a/b: no such file" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	mv "$T/shared/c" "$T/shared/a"
	restore
	goes_on
	assert_eq "$(inside cat /opt/file)" hooked
}

@test "restore: a root that was made anew gets its mount points" {
	mkdir -p "$T/vol"
	echo x >"$T/file"
	add_mount /some/where/deep bind "$T/vol" rbind
	add_mount /some/file bind "$T/file" bind
	start_counting
	checkpoint
	rm -rf "$BUNDLE/rootfs/some" "$BUNDLE/rootfs/dev" "$BUNDLE/rootfs/sys" "$BUNDLE/rootfs/proc"
	restore
	goes_on
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" cat /some/file)" x
}

@test "checkpoint: a user namespace" {
	in_userns
	start_counting
	pid=$(pid_of "$ID")
	map=$(cat "/proc/$pid/uid_map")
	checkpoint
	restore
	goes_on
	assert_eq "$(cat "/proc/$(pid_of "$ID")/uid_map")" "$map"
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" id -u)" 0
	"$VZRUN" --root "$ROOT" exec "$ID" sh -c ': >/dev/null && ls /dev/zero' >/dev/null
}

# CRIU has process 1 read the clocks' image before its ids are mapped, or after that, as it happens.  With a network namespace to be
# made it is mostly after.
@test "checkpoint: a user namespace: the clocks' image can be read by whom no id is mapped for, and nothing else" {
	in_userns
	config_set '.linux.namespaces |= map(select(.type != "network")) | .mounts |= map(select(.type != "sysfs"))'
	mkdir "$T/bin"
	cat >"$T/bin/criu" <<-S
	#!/bin/sh
	unshare -U cat /proc/self/fd/4/timens-0.img >$T/clocks 2>&1
	! unshare -U cat /proc/self/fd/4/core-1.img >>$T/clocks 2>/dev/null || echo open >>$T/clocks
	exec $(command -v criu) "\$@"
	S
	chmod 755 "$T/bin/criu"
	start_counting
	checkpoint --leave-running
	for i in 1 2 3; do
		ok delete --force "$ID"
		PATH=$T/bin:$PATH restore
		[[ ! -e $IMG/timens-0.img ]] || cmp "$T/clocks" "$IMG/timens-0.img"
		goes_on
	done
}

@test "checkpoint: a user namespace: images that are based on others" {
	needs_criu_feature mem_dirty_track
	in_userns
	start_counting
	# Where nobody may go but root.
	mkdir -m 700 "$T/closed"
	IMG=$T/closed/images
	ok checkpoint --pre-dump --image-path "$T/closed/pre/a" "$ID"
	ok checkpoint --pre-dump --image-path "$T/closed/b" --parent-path ../pre/a "$ID"
	checkpoint --parent-path ../b
	restore
	goes_on
	checkpoint
	restore --auto-dedup
	goes_on
}

# More than the links that the kernel follows in one path.
@test "checkpoint: a user namespace: images with many parents" {
	local i

	needs_criu_feature mem_dirty_track
	in_userns
	start_counting
	ok checkpoint --pre-dump --image-path "$T/pre1" "$ID"
	for ((i = 2; i <= 43; i++)); do
		ok checkpoint --pre-dump --parent-path "../pre$((i - 1))" --image-path "$T/pre$i" "$ID"
	done
	checkpoint --parent-path ../pre43
	restore
	goes_on
}

# pod TYPE=FILE...: what of another container's namespaces it has.
pod() {
	local pid ns

	config_set '.process.args = ["sleep", "1000"]'
	ok run -d -b "$BUNDLE" "$ID-pod"
	pid=$(pid_of "$ID-pod")
	for ns; do
		config_set --arg t "${ns%=*}" --arg p "/proc/$pid/ns/${ns#*=}" '.linux.namespaces |= map(if .type == $t then .path = $p else . end) | del(.hostname)'
	done
	start_counting
	checkpoint
	restore
	goes_on
	for ns; do
		assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/${ns#*=}")" "$(readlink "/proc/$pid/ns/${ns#*=}")"
	done
	[[ $(readlink "/proc/$(pid_of "$ID")/ns/mnt") != "$(readlink "/proc/$pid/ns/mnt")" ]]
}

@test "checkpoint: a pod: network, ipc and uts namespaces of another container" { pod network=net ipc=ipc uts=uts; }

@test "restore: a network namespace of another, where the container of the images had its own" {
	start_counting
	checkpoint
	new_network
	fails "CRIU has restored process 1 into another net namespace than /proc/$holder/ns/net" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "checkpoint: a pid namespace of another container" {
	config_set '.process.args = ["sh", "-c", "while :; do sleep .05; done"]' # it reaps
	ok run -d -b "$BUNDLE" "$ID-pod"
	pid=$(pid_of "$ID-pod")
	config_set --arg p "/proc/$pid/ns/pid" '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)'
	start_counting
	checkpoint
	restore
	goes_on
	assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/pid")" "$(readlink "/proc/$pid/ns/pid")"
}

@test "checkpoint: the clock goes on, and exec has the same" {
	start_worker clock /tmp/count
	before=$("$VZRUN" --root "$ROOT" exec "$ID" cut -d. -f1 /proc/uptime)
	checkpoint
	sleep 2
	restore
	goes_on
	"$VZRUN" --root "$ROOT" exec "$ID" cat /proc/uptime >"$T/uptime"
	after=$(cut -d. -f1 "$T/uptime")
	((after >= before && after < before + 60))
	assert_eq "$(readlink "/proc/$(pid_of "$ID")/ns/time")" "$("$VZRUN" --root "$ROOT" exec "$ID" readlink /proc/self/ns/time)"
}

@test "checkpoint: seccomp, capabilities, no_new_privs and ids are as they were" {
	config_set '.process.noNewPrivileges = true | .process.user = {uid: 1000, gid: 1000} |
		.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO"}]}'
	chmod 777 "$BUNDLE/rootfs/tmp"
	start_counting
	facts() { grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' "/proc/$(pid_of "$ID")/status"; }
	was=$(facts)
	grep -q 'Seccomp:.2' <<<"$was"
	checkpoint
	restore
	goes_on
	if ! criu_is 3.19; then
		[[ $stderr == *"/process/noNewPrivileges: CRIU "*" does not restore it"* ]]
		was=${was/NoNewPrivs:	1/NoNewPrivs:	0}
	fi
	assert_eq "$(facts)" "$was"
}

@test "restore: hooks: prestart and createRuntime find the new namespaces, poststart the running container" {
	for name in prestart createRuntime poststart; do
		printf '#!/bin/sh\njq -c "{status, id, net: (.pid | tostring)}" >>%s/hooks-%s\n' "$T" "$name" >"$T/$name"
		chmod 755 "$T/$name"
		config_set --arg n "$name" --arg p "$T/$name" '.hooks[$n] = [{path: $p}]'
	done
	start_counting
	checkpoint
	rm -f "$T"/hooks-*
	restore
	goes_on
	pid=$(pid_of "$ID")
	assert_eq "$(<"$T/hooks-prestart")" "{\"status\":\"creating\",\"id\":\"$ID\",\"net\":\"$pid\"}"
	assert_eq "$(<"$T/hooks-createRuntime")" "{\"status\":\"creating\",\"id\":\"$ID\",\"net\":\"$pid\"}"
	assert_eq "$(<"$T/hooks-poststart")" "{\"status\":\"running\",\"id\":\"$ID\",\"net\":\"$pid\"}"
}

@test "restore: a hook that fails leaves nothing" {
	start_counting
	checkpoint
	printf '#!/bin/sh\necho no way; exit 3\n' >"$T/hook"
	chmod 755 "$T/hook"
	config_set --arg p "$T/hook" '.hooks.createRuntime = [{path: $p}]'
	fails 'no way' restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	[[ ! -e $ROOT/$ID ]]
	config_set 'del(.hooks)'
	restore
	goes_on
}

@test "checkpoint: the file of annotation org.criu.config goes over our options" {
	start_counting
	echo 'log-file annotated.log' >"$T/criu.conf"
	config_annotation org.criu.config "$T/criu.conf"
	ok delete --force "$ID"
	start_counting
	checkpoint
	[[ -e $IMG/annotated.log && ! -e $IMG/dump.log ]]
	restore
	goes_on
}

@test "checkpoint: --work-path has the logs" {
	start_counting
	checkpoint --work-path "$T/logs"
	[[ -e $T/logs/dump.log && ! -e $IMG/dump.log ]]
	restore --work-path "$T/logs"
	[[ -e $T/logs/restore.log && ! -e $IMG/restore.log ]]
	goes_on
}

@test "checkpoint: refusals" {
	fails 'container does not exist' checkpoint --image-path "$IMG" "$ID"
	config_set '.process.args = ["sleep", "1000"]'
	ok create -b "$BUNDLE" "$ID"
	fails 'cannot be checkpointed in created state' checkpoint --image-path "$IMG" "$ID"
	ok start "$ID"
	echo file >"$T/file"
	fails "--image-path" checkpoint --image-path "$T/file" "$ID"
	fails '--parent-path ../nowhere' checkpoint --image-path "$IMG" --parent-path ../nowhere "$ID"
	fails '--parent-path ../images: that is the --image-path itself' checkpoint --image-path "$IMG" --parent-path ../images "$ID"
	# Where others could lay links that CRIU writes through.
	mkdir "$T/theirs"
	chown 1000 "$T/theirs"
	fails "$T/theirs: others than root could write it" checkpoint --image-path "$T/theirs" "$ID"
	fails "$T/theirs: others than root could write it" checkpoint --image-path "$IMG" --work-path "$T/theirs" "$ID"
	[[ -z $(ls "$T/theirs") ]]
	state_is "$ID" running
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	fails 'cannot be checkpointed in stopped state' checkpoint --image-path "$IMG" "$ID"
}

@test "restore: refusals leave nothing behind" {
	mkdir "$IMG"
	fails 'holds no finished checkpoint' restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	fails '--image-path' restore -d -b "$BUNDLE" --image-path "$T/nowhere" "$ID"
	start_counting
	checkpoint --leave-running
	fails 'container with given ID already exists' restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	goes_on
	ok delete --force "$ID"
	bad() {
		cp -a "$IMG" "$T/bad"
		(cd "$T/bad" && eval "$2")
		fails "$1" restore -d -b "$BUNDLE" --image-path "$T/bad" "$ID"
		[[ ! -e $ROOT/$ID ]]
		rm -rf "$T/bad"
	}
	bad 'it was cut, or is another' 'truncate -s 100 pages-1.img'
	bad 'core-1.img: no such file' 'rm core-1.img'
	bad 'others than root could write it' 'chmod 666 pages-1.img'
	bad 'others than root could write it' 'chown 1000 core-1.img'
	bad 'others than root could write it' 'chmod 777 .'
	bad 'pages-1.img: a symbolic link' 'mv pages-1.img ../mine; ln -s ../mine pages-1.img'
	bad 'the images are of a vax machine' 'sed -i "s/\"machine\":\"[^\"]*/\"machine\":\"vax/" vzrun.json'
	bad 'were made by CRIU 99.1' 'sed -i "s/\"criu\":[0-9]*/\"criu\":990100/" vzrun.json'
	bad '/mounts/0/point' 'sed -i "s/\"point\":\"[^\"]*\"/\"point\":3/" vzrun.json'
	bad 'core-1.img is not what the checkpoint wrote' 'n=$(stat -c %s core-1.img); head -c $n /dev/urandom >core-1.img'
	bad "magic doesn't match" 'n=$(stat -c %s core-1.img); head -c $n /dev/urandom >core-1.img; sed -i "s/\"crc32\":/\"none\":/g" vzrun.json'
	config_set '.linux.namespaces |= map(select(.type != "uts")) | del(.hostname)'
	fails '/linux/namespaces: the container of the images had a uts namespace' restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "restore: an image of another checkpoint among the images, as long as its own, is refused" {
	start_counting
	# The older one is the other's: its file has changed since.
	ok checkpoint --leave-running --image-path "$T/other" "$ID"
	n=$(count)
	wait_until counted_to $((n + 3))
	checkpoint
	tried=0
	for f in core-1 mm-1 mountpoints inventory files; do
		f=$(basename "$IMG/$f"*.img)
		[[ $(stat -c %s "$T/other/$f") == "$(stat -c %s "$IMG/$f")" ]] && ! cmp -s "$T/other/$f" "$IMG/$f" || continue
		tried=$((tried + 1))
		cp "$IMG/$f" "$T/kept"
		cp "$T/other/$f" "$IMG"
		fails "$IMG/$f is not what the checkpoint wrote: it was changed, or is another's" restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
		[[ ! -e $ROOT/$ID ]]
		cp "$T/kept" "$IMG/$f"
	done
	((tried > 0)) || criu_is 4.0 || skip "CRIU before 4.0 writes none that is as long"
	((tried > 0))
	restore
	goes_on
}

@test "restore: a root in which a running program is another: CRIU's reason is quoted, and the log is named" {
	cp "$BUNDLE/rootfs/bin/busybox" "$BUNDLE/rootfs/tmp/sh"
	config_set --arg s "$counting" '.process.args = ["/tmp/sh", "-c", $s]'
	mv "$BUNDLE/rootfs/tmp/sh" "$BUNDLE/rootfs/tmp/busybox"
	config_set --arg s "$counting" '.process.args = ["/tmp/busybox", "sh", "-c", $s]'
	ok run -d -b "$BUNDLE" "$ID"
	wait_until counted_to 3
	checkpoint
	echo more >>"$BUNDLE/rootfs/tmp/busybox"
	fails 'tmp/busybox' restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	[[ $stderr == *"(log: $IMG/restore.log)"* ]]
	[[ ! -e $ROOT/$ID ]]
}

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
	rules() { nsenter -t "${holder:-$(pid_of "$ID")}" -n nft list ruleset; }
	answers() { ping -c 1 -W 5 10.77.0.2; }
	for lock in iptables nftables; do
		held_checkpoint --network-lock "$lock"
		rules | grep CRIU
		! ping -c 1 -W 1 10.77.0.2 || false
		kill -KILL "$(pgrep -P "$bg" -x criu)"
		! wait "$bg" || false
		grep -q 'checkpoint failed: CRIU ended: signal: killed' "$T/out"
		[[ ! -e $IMG/vzrun.json ]]
		goes_on
		! rules | grep CRIU || false
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
	start_connected() {
		start_sh "worker serve 7177 & $counting"
		"$WORKER" client 127.0.0.1 7177 90000 >"$T/client" 2>&1 3>&- 4>&- &
		helpers=$!
		wait_until connected
	}
	start=start_connected
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
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	start_connected() {
		start_sh "worker serve 7000 & $counting"
		"$WORKER" client 10.77.0.2 7000 90000 >"$T/client" 2>&1 3>&- 4>&- &
		client=$! helpers+=" $!"
		sleep 1
	}
	start=start_connected
	held_checkpoint --tcp-established
	sleep .5
	kill -KILL "$(pgrep -P "$bg" -x criu)"
	! wait "$bg" || false
	goes_on
	kill -TERM "$client"
	wait "$client" || { cat "$T/client"; false; }
	read -r n pause < <(tail -n 1 "$T/client")
	((n > 20 && pause >= 500))
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
	wait_until eval '! nsenter -t "$holder" -n nft list ruleset | grep CRIU'
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

# ---- extensions ----

# settings_and_limits: what somebody has set and what the kernel has.
settings_and_limits() {
	local f p pid

	pid=$(pid_of "$ID")
	"$VZRUN" --root "$ROOT" set --format json "$ID" 3>&- 4>&- </dev/null | jq -r 'to_entries[] | "\(.key): \(.value.value)"'
	for f in cpu.max cpu.cfs_quota_us cpu.cfs_period_us cpu.weight cpu.shares io.max blkio.throttle.read_bps_device pids.max; do
		echo "$f: $(cg "$f" 2>/dev/null | xargs)"
	done
	for p in $("$VZRUN" --root "$ROOT" ps -f json "$ID" | jq '.[]'); do ionice -p "$p" 2>/dev/null; done | sort -u
	grep '^Cap' "/proc/$pid/status"
	"$VZRUN" --root "$ROOT" exec "$ID" sh -c 'hostname; ls -l /dev/fuse /dev/loop-control; grep ^CapEff /proc/self/status
		(exec 3<>/dev/fuse) && echo fuse; [ -e /dev/loop-control ] || exit 0
		(exec 3</dev/loop-control) && echo loop; (exec 3<>/dev/loop-control) || echo only' 2>/dev/null
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

@test "restore: settings of extensions, also those that were changed while it lived" {
	needs_command ionice
	[[ -c /dev/fuse && -c /dev/loop-control ]] || skip "no /dev/fuse here"
	config_set '.linux.resources = {} | del(.hostname)'
	config_annotation org.openvz.cpulimit 50
	config_annotation org.openvz.cpuunits 2000
	config_annotation org.openvz.numproc 60
	config_annotation org.openvz.ioprio 5
	config_annotation org.openvz.iolimit 8M
	config_annotation org.openvz.hostname first
	config_annotation org.openvz.capability "sys_time:on,net_raw:off"
	config_annotation org.openvz.devnodes fuse:rw
	start_counting
	was=$(settings_and_limits)
	grep -qx 'numproc: 60' <<<"$was"
	checkpoint
	restore
	goes_on
	assert_eq "$(settings_and_limits)" "$was"
	ok set "$ID" --cpulimit 30 --ioprio 6 --iolimit 4M --hostname second --devnodes-add loop-control:r
	was=$(settings_and_limits)
	grep -qx 'cpulimit: 30' <<<"$was"
	grep -qx second <<<"$was"
	[[ $(grep -cx 'fuse\|loop\|only' <<<"$was") == 3 ]]
	checkpoint
	restore
	goes_on
	assert_eq "$(settings_and_limits)" "$was"
	# And can be changed as before.
	ok set "$ID" --cpulimit 40 --ioprio 2 --hostname third --devnodes-del fuse:rw
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" sh -c 'hostname; ls /dev/fuse 2>/dev/null || echo none')" $'third\nnone'
	checkpoint
	restore
	goes_on
	settings_and_limits | grep -qx 'cpulimit: 40'
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID" sh -c 'hostname; ls /dev/fuse 2>/dev/null || echo none')" $'third\nnone'
}

# The class is that of threads: CRIU knows nothing of it.
@test "restore: ioprio where no disk knows weights: all processes have the class again" {
	needs_command ionice
	config_annotation org.openvz.ioprio 6
	start_sh "for i in 1 2; do (while :; do sleep .1; done) & done; $counting" # a sleep ends when CRIU interrupts it
	pid=$(pid_of "$ID")
	[[ $(ionice -p "$pid") == "best-effort: prio 1" ]] || skip "all disks here know weights"
	classes() { for p in $("$VZRUN" --root "$ROOT" ps -f json "$ID" | jq '.[]'); do ionice -p "$p" 2>/dev/null; done; }
	(($(classes | wc -l) >= 3))
	assert_eq "$(classes | sort -u)" "best-effort: prio 1"
	checkpoint
	restore
	goes_on
	(($(classes | wc -l) >= 3))
	assert_eq "$(classes | sort -u)" "best-effort: prio 1"
}

# without_zstd COMMAND...: calls it with a vzrun that finds no program but CRIU.
without_zstd() {
	local real=$VZRUN

	mkdir -p "$T/bin"
	ln -sf "$(command -v criu)" "$T/bin/criu"
	printf '#!/bin/sh\nPATH=%s exec %s "$@"\n' "$T/bin" "$VZRUN" >"$T/vzrun"
	chmod 755 "$T/vzrun"
	VZRUN=$T/vzrun "$@"
	VZRUN=$real
}

compress() {
	needs_command zstd
	start_counting
	checkpoint --compress --leave-running
	[[ -e $IMG/pages-1.img.zst && ! -e $IMG/pages-1.img && -z $(compgen -G "$IMG/*.part") ]]
	zstd -q -t "$IMG/pages-1.img.zst"
	(($(stat -c %s "$IMG/pages-1.img.zst") * 2 < $(jq '[.files[] | select(.name == "pages-1.img").size] | add' "$IMG/vzrun.json")))
	goes_on
	ok delete --force "$ID"
	restore
	goes_on
	[[ -e $IMG/pages-1.img && ! -e $IMG/pages-1.img.zst ]]
}

@test "checkpoint --compress: memory is packed when all is done, restore and a later checkpoint unpack it" { compress; }
@test "checkpoint --compress in a user namespace" { in_userns && compress; }

@test "checkpoint --compress: parent images that were packed are unpacked for what is based on them" {
	needs_command zstd
	needs_criu_feature mem_dirty_track
	start_counting
	ok checkpoint --image-path "$T/zero" --pre-dump "$ID"
	ok checkpoint --image-path "$T/first" --parent-path ../zero --leave-running --compress "$ID"
	[[ -e $T/first/pages-1.img.zst ]]
	checkpoint --parent-path ../first --auto-dedup --compress
	[[ -e $IMG/pages-1.img.zst && -e $T/first/pages-1.img ]]
	zstd -q --rm "$T/first/pages-1.img"
	# Nobody else may have a say in what is unpacked.
	chmod 777 "$T/first"
	fails "others than root could write it" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	chmod 700 "$T/first"
	[[ -e $T/first/pages-1.img.zst ]]
	restore
	goes_on
}

@test "checkpoint --compress: what was killed in the middle, is cut, damaged, or cannot be unpacked" {
	needs_command zstd
	start_counting
	checkpoint --compress
	# Killed between the last two steps: the plain file is whole.
	zstd -q -d -k "$IMG/pages-1.img.zst"
	cp "$IMG/pages-1.img.zst" "$T/good"
	echo rubbish >"$IMG/pages-1.img.zst.part"
	restore
	goes_on
	ok delete --force "$ID"
	rm "$IMG/pages-1.img"
	head -c 1000 "$T/good" >"$IMG/pages-1.img.zst"
	fails "$IMG: unpack its images: pages-1.img.zst: zstd: exit status 1" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	[[ ! -e $IMG/pages-1.img && ! -e $IMG/pages-1.img.part ]]
	printf 'AAAA' | cat <(head -c 2000 "$T/good") - <(tail -c +2005 "$T/good") >"$IMG/pages-1.img.zst"
	fails "$IMG: unpack its images: pages-1.img.zst: zstd: exit status 1" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	# Another's memory, packed well.
	head -c 4096 /dev/zero | zstd -q -c >"$IMG/pages-1.img.zst"
	fails "it was cut, or is another's" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	rm "$IMG/pages-1.img"
	cp "$T/good" "$IMG/pages-1.img.zst"
	without_zstd fails "zstd" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	restore
	goes_on
}

@test "checkpoint --compress: not with memory that is elsewhere or is read again; without zstd before anything is done" {
	start_counting
	fails "--compress and --pre-dump cannot be used together" checkpoint --image-path "$IMG" --compress --pre-dump "$ID"
	fails "--compress and --page-server cannot be used together" checkpoint --image-path "$IMG" --compress --page-server 127.0.0.1:9 "$ID"
	without_zstd fails "--compress: there is no zstd in PATH" checkpoint --image-path "$IMG" --compress "$ID"
	[[ ! -e $IMG ]]
	goes_on
}

# at_terminal ARG...: vzrun with a new terminal for its streams, which stays for a minute; what comes there is in $T/terminal.
at_terminal() {
	python3 - "$T/terminal" "$VZRUN" --root "$ROOT" "$@" <<-'P' &
		import os, pty, signal, sys
		out = open(sys.argv[1], "wb", 0)
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[2], sys.argv[2:])
		signal.alarm(60)
		while True:
		    try:
		        out.write(os.read(fd, 1000))
		    except OSError:
		        signal.pause()
	P
	helpers="${helpers:-} $!"
}

shell_job() {
	needs_command python3
	cp "$WORKER" "$BUNDLE/rootfs/bin/worker"
	config_set '.process.args = ["worker", "memory", "1", "0", "/tmp/count"] | .process.terminal = false'
	at_terminal run --detach --bundle "$BUNDLE" "$ID"
	wait_until counted_to 3
	local was
	was=$(readlink "/proc/$(pid_of "$ID")/fd/1")
	assert_match "$was" "/dev/pts/*"
	fails "path=$was" checkpoint --image-path "$IMG" "$ID"
	goes_on
	if ! criu_is 4.0; then # it looks for the mount of the terminal inside
		fails "path=$was" checkpoint --shell-job --image-path "$IMG" "$ID"
		goes_on
		return
	fi
	checkpoint --shell-job
	at_terminal restore --detach --shell-job --bundle "$BUNDLE" --image-path "$IMG" "$ID"
	wait_until state_is "$ID" running
	goes_on
	assert_match "$(readlink "/proc/$(pid_of "$ID")/fd/1")" "/dev/pts/*"
	[[ $(readlink "/proc/$(pid_of "$ID")/fd/1") != "$was" ]]
}

@test "checkpoint --shell-job: a terminal of the host that the container has, and the terminal of restore instead" { shell_job; }
@test "checkpoint --shell-job in a user namespace" { in_userns && shell_job; }
