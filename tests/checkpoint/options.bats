#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore: the options, in user namespaces too.  tests/checkpoint/network.bats has those of connections and networks.

load ../lib/checkpoint

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
	mkdir "$T/logs"
	mkfifo "$T/ready"
	"$VZRUN" ${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER} --root "$ROOT" checkpoint --image-path "$IMG" --lazy-pages --page-server 127.0.0.1:27302 \
		--status-fd 7 "$ID" 7>"$T/ready" >"$T/lazy.log" 2>&1 3>&- 4>&- &
	dump=$! helpers=$!
	exec 8<"$T/ready"
	IFS= read -r -d '' -t 20 word <&8
	exec 8<&-
	(cd "$T/logs" && exec criu lazy-pages --images-dir "$IMG" --work-dir "$T/logs" --page-server --address 127.0.0.1 --port 27302) \
		>"$T/daemon.log" 2>&1 3>&- 4>&- &
	helpers+=" $!"
	wait_until test -S "$T/logs/lazy-pages.socket"
	# Hardly anything is here: the rest comes over the network.
	(($(cat "$IMG"/pages-*.img | wc -c) < 8 << 20))
	ok restore --detach --bundle "$BUNDLE" --image-path "$IMG" --work-path "$T/logs" --lazy-pages "$ID-2"
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
