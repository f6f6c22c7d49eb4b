#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate: what stands in the way is said before anything is done, and all at once.  tests/lib/criu-stub.py stands for CRIU, so this
# needs none that runs; the other "host" is a command that runs vzrun here with programs of its own.

load ../lib/helpers

setup() {
	needs_root
	vz_setup
	HERE_BIN=$T/here THERE_BIN=$T/there-bin THERE=$T/there
	local d python

	python=$(python3 -c 'import sys; print(sys.executable)')
	for d in "$HERE_BIN" "$THERE_BIN"; do
		mkdir "$d"
		install -m 755 "$TOP/tests/lib/criu-stub.py" "$d/criu"
		echo 4.1.1 >"$d/version"
		ln -s "$VZRUN" "$d/vzrun"
		ln -s "$python" "$d/python3"
		printf '#!/bin/sh\n' | tee "$d/rsync" >"$d/zstd"
		chmod 755 "$d/rsync" "$d/zstd"
	done
	printf '#!/bin/sh\necho "$@" >>%s/calls\nshift\nexport PATH=%s\nexec "$@"\n' "$T" "$THERE_BIN" >"$T/ssh"
	chmod 755 "$T/ssh"
	set_args sleep 1000
}

teardown() {
	umount "$T/netns/a" 2>/dev/null || :
	vz_teardown
}

start() { ok run --detach --bundle "$BUNDLE" "$@" "$ID"; }

# PATH is for vzrun alone, and for what it runs.
can_move() { PATH=$HERE_BIN ok migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "$@" "$ID" host; }
# cannot TEXT OPTION...: and nothing is left there, nor changed here.
cannot() {
	PATH=$HERE_BIN fails "$1" migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "${@:2}" "$ID" host
	assert_match "$stderr" "*it cannot move to host*"
	state_is "$ID" running
	[[ ! -e $T/moved && ! -e $THERE/$ID-2 ]]
	assert_eq "$(find "$THERE" -mindepth 2 2>/dev/null)" ""
}

@test "migrate: rsync and zstd are needed on both sides" {
	start
	can_move --compress
	rm "$HERE_BIN/rsync" "$HERE_BIN/zstd" "$THERE_BIN/rsync" "$THERE_BIN/zstd"
	cannot 'there is no rsync here, which brings the files (--rootfs shared does without)'
	assert_match "$stderr" "*host: there is no rsync, which brings the files*"
	[[ $stderr != *zstd* ]]
	cannot 'there is no zstd here, for --compress' --compress
	assert_match "$stderr" "*host: there is no zstd, for --compress*"
	can_move --rootfs shared --remote-bundle "$BUNDLE"
}

@test "migrate: the CRIU there may be newer, but not older, too old, unable or missing" {
	start
	echo 4.2.0 >"$THERE_BIN/version"
	can_move
	echo 4.1.0 >"$THERE_BIN/version"
	can_move
	echo 4.0.0 >"$THERE_BIN/version"
	cannot 'host: CRIU is 4.0 here and 4.1.1 at the source: an older one may not understand the images'
	echo 3.14.0 >"$THERE_BIN/version"
	cannot 'host: CRIU: CRIU 3.14 is too old: at least 3.15 is needed'
	echo 4.1.1 >"$THERE_BIN/version"
	touch "$THERE_BIN/too-new-kernel"
	cannot 'host: CRIU: CRIU 4.1.1 cannot run on this kernel'
	[[ ! -x /usr/sbin/criu ]] || return 0 # it is found without PATH
	rm "$THERE_BIN/criu"
	cannot 'host: CRIU: there is no program "criu": install CRIU'
}

@test "migrate: a CRIU here that cannot is said before anybody is asked" {
	start
	touch "$HERE_BIN/too-new-kernel"
	PATH=$HERE_BIN fails 'CRIU 4.1.1 cannot run on this kernel' migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" "$ID" host
	[[ ! -e $THERE ]]
}

@test "migrate: a container with a terminal, and one whose root is not in its bundle" {
	config_set '.process.terminal = true'
	python3 "$TOP/tests/lib/recvfd.py" "$T/console" "$T/got" >"$T/recv.log" 2>&1 3>&- 4>&- &
	helper=$!
	wait_until test -S "$T/console"
	start --console-socket "$T/console"
	cannot "/process/terminal: nobody would hold the container's terminal there"
	ok delete --force "$ID"
	kill "$helper" 2>/dev/null || :
	mv "$BUNDLE/rootfs" "$T/elsewhere"
	config_set --arg r "$T/elsewhere" '.process.terminal = false | .root.path = $r'
	start
	PATH=$HERE_BIN fails "the root $T/elsewhere is not in the bundle $BUNDLE: only --rootfs shared moves such a container" \
		migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "$ID" host
	state_is "$ID" running
}

@test "migrate: others have joined its network" {
	start
	nsenter -t "$(pid_of "$ID")" -n sleep 1000 3>&- 4>&- &
	local other=$!
	joined() { [[ /proc/$other/ns/net -ef /proc/$(pid_of "$ID")/ns/net ]]; }
	wait_until joined
	cannot "process $other has the container's network too, and would be left without one"
	kill "$other"
	wait "$other" || :
	ok exec --detach "$ID" sleep 1000 # its own are not others
	can_move
	# Who looks in for a moment: when CRIU is asked, just before that is looked at.
	mv "$HERE_BIN/criu" "$HERE_BIN/criu-stub"
	printf '#!/bin/sh\n%s -t %s -n %s .15 >/dev/null 2>&1 &\nexec %s/criu-stub "$@"\n' \
		"$(command -v nsenter)" "$(pid_of "$ID")" "$(command -v sleep)" "$HERE_BIN" >"$HERE_BIN/criu"
	chmod 755 "$HERE_BIN/criu"
	can_move
}

@test "migrate: where others could put images of their own" {
	start
	mkdir "$T/theirs"
	chmod 777 "$T/theirs"
	sed -i "s|^shift$|shift; export TMPDIR=$T/theirs|" "$T/ssh"
	cannot "host: the images: $T/theirs"
	chmod 1777 "$T/theirs"
	can_move
}

@test "migrate: a container in another's user namespace" {
	new_userns
	join_user_namespace
	start
	cannot 'CRIU cannot restore a container into a user namespace that is there already'
}

@test "migrate: mounts and namespaces that are not there, and all that is in the way at once" {
	mkdir "$T/volume" "$T/netns"
	touch "$T/netns/a"
	add_mount /data bind "$T/volume" bind
	unshare --net="$T/netns/a" true
	config_set --arg p "$T/netns/a" '(.linux.namespaces[] | select(.type == "network")).path = $p'
	start
	can_move
	# There the one is something else, and of the other there is nothing.
	sed -i "s|^exec|exec $(command -v unshare) -m $(command -v sh) -c '$(command -v mount) -t tmpfs none $T/netns; exec \"\$@\"' sh|" "$T/ssh"
	mv "$T/volume" "$T/was"
	cannot "host: $T/volume, which is mounted in the container, is not here"
	assert_match "$stderr" "*host: the namespace $T/netns/a is not here*"
}

@test "migrate: who is asked, and how: ssh in batch mode, and the bundle of the same name" {
	start
	mv "$T/ssh" "$HERE_BIN/ssh"
	sed -i 's/^shift$/shift 3/' "$HERE_BIN/ssh"
	PATH=$HERE_BIN fails "host.example: $BUNDLE is there already: --remote-bundle says where else" migrate --dry-run --remote-root "$THERE" --new-id "$ID-2" \
		"$ID" someone@host.example
	assert_match "$(<"$T/calls")" "-o BatchMode=yes someone@host.example *migrate-receive*"
}

@test "migrate: there has to be room for the bundle, and not for all that lies beside it" {
	local moved
	head -c 3000000 /dev/urandom >"$T/beside"
	mkdir "$T/disk"
	start
	roomy() { sed -i "s|^exec.*|exec $(command -v unshare) -m $(command -v sh) -c '$(command -v mount) -t tmpfs -o size=$1 none $T/disk; exec \"\$@\"' sh \"\$@\"|" "$T/ssh"; }
	moved=$T/disk/moved
	roomy 64m
	can_move --remote-bundle "$moved"
	roomy 64k
	cannot "host: the root file system needs up to*in $T/disk, where 0 are free" --remote-bundle "$moved"
}

@test "migrate: hooks have to be there, and those of the bundle lie where the bundle does" {
	printf '#!/bin/sh\n' | tee "$T/outside" >"$BUNDLE/inside"
	chmod 755 "$T/outside" "$BUNDLE/inside"
	config_set --arg i "$BUNDLE/inside" --arg o "$T/outside" '.hooks = {prestart: [{path: $o}], poststart: [{path: $i}], poststop: [{path: $o}]}'
	start
	can_move
	chmod 644 "$T/outside"
	cannot "host: $T/outside, which is a hook of the container, cannot be run here"
	[[ $stderr != *inside* ]]
	# A bundle that both have, there by another name.
	chmod 755 "$T/outside"
	ln -s "$BUNDLE" "$T/moved"
	can_move --rootfs shared
	chmod 644 "$BUNDLE/inside"
	PATH=$HERE_BIN fails "host: $T/moved/inside, which is a hook" migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" \
		--new-id "$ID-2" --rootfs shared "$ID" host
	chmod 755 "$BUNDLE/inside"
}

@test "migrate: a shared root is looked for where the bundle lies there" {
	config_set --arg r "$BUNDLE/rootfs" '.root.path = $r'
	start
	mkdir "$T/disk"
	# There the bundle is at the other place alone.
	sed -i "s|^exec.*|exec $(command -v unshare) -m $(command -v sh) -c '$(command -v mount) --bind $BUNDLE $T/disk; $(command -v mount) -t tmpfs none $BUNDLE; exec \"\$@\"' sh \"\$@\"|" "$T/ssh"
	can_move --rootfs shared --remote-bundle "$T/disk"
	ok delete --force "$ID"
	mkdir "$T/roots"
	mv "$BUNDLE/rootfs" "$T/roots/a"
	config_set --arg r "$T/roots/a" '.root.path = $r'
	start
	can_move --rootfs shared --remote-bundle "$T/disk"
	sed -i "s|; exec|; $(command -v mount) -t tmpfs none $T/roots; exec|" "$T/ssh"
	cannot "host: /root/path: $T/roots/a is not here" --rootfs shared --remote-bundle "$T/disk"
}

@test "migrate: --remote-root goes through a shell there, which must find nothing in it" {
	start
	for bad in "$T/a b" "$T/a;b" "$T/\$(a)" "$T/a'b" "$T/*"; do
		fails "--remote-root: $bad: it goes through a shell there" migrate --dry-run --ssh "$T/ssh" --remote-root "$bad" "$ID" host
	done
	[[ ! -e $T/calls ]]
}

@test "migrate: a signal ends one that waits for the container's lock" {
	local holder mover s command
	start
	flock "$ROOT/$ID" sleep 60 3>&- 4>&- &
	holder=$!
	held() { ! flock -n "$ROOT/$ID" true; }
	wait_until held
	for command in "--dry-run --ssh $T/ssh --remote-root $THERE $ID host" "--resolve $ID"; do
		# shellcheck disable=SC2086
		PATH=$HERE_BIN "$VZRUN" --root "$ROOT" migrate $command >"$T/move.out" 2>"$T/move.err" </dev/null 3>&- 4>&- &
		mover=$!
		# SIGTERM is bit 14 of the signals that wait.
		waits() { (((16#$(sed -n 's/^SigBlk:\t//p' "/proc/$mover/status") >> 14) & 1)); }
		wait_until waits
		kill -TERM "$mover"
		s=0
		wait "$mover" || s=$?
		assert_eq "$s" 1
		assert_match "$(<"$T/move.err")" "*interrupted by TERM*"
	done
	pkill -P "$holder" || :
	kill "$holder" 2>/dev/null || :
	[[ ! -e $T/calls ]]
	state_is "$ID" running
}

# frames TYPE:JSON...: what the other side says to a source that sends these after its hello.
frames() {
	python3 - "$VZRUN" --root "$THERE" migrate-receive -- "$@" <<-'P'
		import struct, subprocess, sys, zlib
		cut = sys.argv.index('--')
		peer = subprocess.Popen(sys.argv[1:cut], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		def send(kind, data):
		    head = struct.pack('<HHI', kind, 0, len(data))
		    peer.stdin.write(b'vzm1' + head + struct.pack('<I', zlib.crc32(data, zlib.crc32(head))) + data)
		    peer.stdin.flush()
		send(1, b'{"protocol": 3}')
		for word in sys.argv[cut + 1:]:
		    kind, data = word.split(':', 1)
		    send(int(kind), data.encode())
		peer.stdin.close()
		out = peer.stdout.read()
		while out:
		    kind, _, size = struct.unpack('<HHI', out[4:12])
		    print(kind, out[16:16 + size].decode())
		    out = out[16 + size:]
	P
}

@test "migrate-receive: names that lead elsewhere are refused before anything is made" {
	local token=0123456789abcdef0123456789abcdef offer
	offer='{token: $t, id: $i, bundle: $b, document: "{}", machine: "x", driver: "cgroupfs", cgroups: "v2"}'
	offered() { jq -cn --arg t "$1" --arg i "$2" --arg b "$T/moved" "$offer"; }
	run frames "2:$(offered "$token" ../../x)"
	assert_match "$output" "*51 *invalid container ID format*"
	for bad in "" x "${token}0" "../../$token" "${token%????????}/../../x"; do
		run frames "2:$(offered "$bad" x)"
		assert_match "$output" "*51 *is no name of a migration*"
	done
	assert_eq "$(find "$THERE" "$T/moved" 2>/dev/null -type f)" ""
	run frames "2:$(offered "$token" x)"
	assert_match "$output" "*3 *runs on a x*"
	assert_eq "$(find "$THERE" "$T/moved" 2>/dev/null -type f)" ""
}

# record TOKEN JSON: of a target that was killed.
record() {
	mkdir -p "$THERE/.migrations"
	jq -cn --arg t "$1" "{token: \$t, pid: 4194304, startTime: 1} + $2" >"$THERE/.migrations/$1"
}

@test "reconcile: a record that is damaged, and what is none, do not keep others from being cleared up" {
	local n
	for n in 0 4 8 c f; do
		mkdir "$T/work-$n"
		record "$n$(printf '%031d' 0)" "{id: \"x\", fate: \"pending\", work: \"$T/work-$n\"}"
		echo '{' >"$THERE/.migrations/$n$(printf '%031d' 1)"
		: >"$THERE/.migrations/${n}x"
	done
	run_vzrun --root "$THERE" reconcile
	assert_eq "$status" 0
	assert_match "$stderr" "*warning*.migrations/0$(printf '%031d' 1)*"
	assert_eq "$(compgen -G "$T/work-*")" ""
	assert_eq "$(find "$THERE/.migrations" -name '*0' | wc -l)" 0
	assert_eq "$(find "$THERE/.migrations" -type f | wc -l)" 10
}

# start_undecided JSON: a container that stands still here, of a migration whose end nobody knows, with what its record says beside.
start_undecided() {
	start
	jq --arg s "$T/ssh" --arg r "$THERE" --argjson more "$1" '.migration = {undecided: true, token: "00000000000000000000000000000000", host: "host",
		id: "x", root: $r, command: [$s]} + $more' "$ROOT/$ID/state.json" >"$T/state"
	ok pause "$ID"
	cp "$T/state" "$ROOT/$ID/state.json"
}

@test "migrate --resolve: another machine by that name knows nothing of it, and is not believed" {
	cp -a /etc "$T/etc"
	echo other >"$T/etc/machine-id"
	start_undecided '{"machine": "mine"}'
	sed -i "s|^exec.*|exec $(command -v unshare) -m $(command -v sh) -c '$(command -v mount) --bind $T/etc /etc; exec \"\$@\"' sh \"\$@\"|" "$T/ssh"
	fails "host is another machine (other) than it was when the container moved there (mine): \"vzrun migrate --resolve $ID HOST\" asks" migrate --resolve "$ID"
	state_is "$ID" paused
	cp "$ROOT/$ID/state.json" "$T/kept"
	echo mine >"$T/etc/machine-id"
	ok migrate --resolve "$ID"
	state_is "$ID" running
	# One that was made anew is asked by its name.
	ok pause "$ID"
	cp "$T/kept" "$ROOT/$ID/state.json"
	echo other >"$T/etc/machine-id"
	ok migrate --resolve "$ID" other
	assert_match "$(tail -n 1 "$T/calls")" "other vzrun*"
	assert_match "$output" "*does not run there, and goes on here*"
	state_is "$ID" running
}

@test "migrate --resolve: with a shared root, one that is not known there any more may have written: it stays paused" {
	start_undecided '{"shared": true}'
	run_vzrun migrate --resolve "$ID"
	assert_eq "$status" 4
	assert_match "$stderr" "*it stays paused here, and \"vzrun resume $ID\" lets it go on*"
	state_is "$ID" paused
	ok resume "$ID"
	state_is "$ID" running
}

@test "reconcile: a bundle whose maker was killed before it was on record" {
	needs_command strace
	# It has the other side make the bundle, and no more; behind -e stands how.
	printf '#!/bin/sh\nexec $5 host rsync --server -X . bundle/\n' >"$HERE_BIN/rsync"
	# By that it tells which one it has made.
	sed -i "s|^exec|exec $(command -v strace) -f -qq -o $T/trace -P $T/moved -e trace=statx -e inject=statx:signal=KILL|" "$T/ssh"
	start
	PATH=$HERE_BIN run_vzrun migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "$ID" host
	assert_eq "$status" 1
	state_is "$ID" running
	[[ -d $T/moved ]]
	run_vzrun --root "$THERE" reconcile
	assert_eq "$status" 0
	[[ ! -e $T/moved && -z $(find "$THERE/.migrations" -type f) ]]
	# Not what somebody has put there since.
	mkdir "$T/theirs"
	: >"$T/theirs/file"
	record "$(printf '%032d' 0)" "{id: \"x\", fate: \"pending\", bundle: \"$T/theirs\"}"
	run_vzrun --root "$THERE" reconcile
	assert_match "$stderr" "*$T/theirs stays: it is not known to be what a migration made there*"
	[[ -e $T/theirs/file && -z $(find "$THERE/.migrations" -type f) ]]
}

@test "migrate --resolve: takes --ssh alone" {
	for option in --dry-run --keep --compress --pre-copy --post-copy --both "--format json" "--remote-root /x" "--remote-bundle /x" "--new-id x" "--max-rounds 1"; do
		# shellcheck disable=SC2086
		fails "${option%% *}: --resolve ends a migration as it was begun, and takes --ssh alone" migrate --resolve $option "$ID"
	done
}
