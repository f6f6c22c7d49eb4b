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
	run_vzrun migrate --dry-run --ssh "$T/ssh" --remote-root "$THERE" --new-id "$ID-2" --rootfs shared "$ID" host
	[[ $stderr != *rsync* ]]
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
