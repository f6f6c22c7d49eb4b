#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate --rootfs copy: the bundle that is copied there and removed here.

load ../lib/migrate

# at_pass N COMMAND: what is done at the other side behind the N-th rsync there.
at_pass() {
	[[ -e $T/bin/rsync ]] || printf '#!/bin/sh\n/usr/bin/rsync "$@" || exit\necho >>%s/passes\ncase $(wc -l <%s/passes) in\n' "$T" "$T" >"$T/bin/rsync"
	printf '%s) %s ;;\n' "$1" "$2" >>"$T/bin/rsync"
	chmod 755 "$T/bin/rsync"
}

# Two files change so that their size and time do not tell; the second one by a mapped page that has been written to before.  And a directory
# takes the place of another, whose file has the same size and time.
unseen_changes() {
	local f=$BUNDLE/rootfs/tmp

	rm -f "$T/bin/rsync" "$T/passes"
	echo old >"$f/in-place"
	printf %4096s old >"$f/mapped"
	mkdir -p "$f/app/lib" "$f/app.new/lib"
	echo one >"$f/app/lib/f"
	echo two >"$f/app.new/lib/f"
	touch -d 2020-01-01 "$f/in-place" "$f"/app*/lib/f
	sleep 3 # both are older than the first pass
	mkfifo "$T/say"
	python3 -c 'import mmap, sys
f = open(sys.argv[1], "r+b")
m = mmap.mmap(f.fileno(), 0)
m[0:5] = b"first"
for line in open(sys.argv[2]):
    m[0:5] = line[0:5].encode()
    open(sys.argv[2] + "-done", "w").close()' "$f/mapped" "$T/say" 3>&- 4>&- &
	exec 7>"$T/say"
	# Dirty from here on, and newer than the first pass; and then again.
	at_pass 1 "echo third >$T/say; until [ -e $T/say-done ]; do sleep .1; done; rm $T/say-done
		mv $f/app $f/app.old; mv $f/app.new $f/app"
	at_pass 2 "echo fifth >$T/say; until [ -e $T/say-done ]; do sleep .1; done; printf new | dd of=$f/in-place conv=notrunc status=none
		touch -d 2020-01-01 $f/in-place"
	echo esac >>"$T/bin/rsync"
	start_worker memory 2 0 /tmp/count
	migrate --max-rounds 0
	exec 7>&-
	assert_eq "$(cat "$T/moved/rootfs/tmp/app/lib/f" "$T/moved/rootfs/tmp/app.old/lib/f")" "two
one"
	assert_eq "$(head -c 5 "$T/moved/rootfs/tmp/mapped")" fifth
	assert_eq "$(cat "$T/moved/rootfs/tmp/in-place")" new
	goes_on "$T/moved"
	assert_eq "$(find "$T/tmp" -mindepth 1)" ""
}

# bundle_on MOUNT-WORD...: it lies on a file system of its own, which is not a part of it.
bundle_on() {
	mkdir "$T/disk"
	mount "$@" "$T/disk"
	mv "$BUNDLE" "$T/disk/bundle"
	BUNDLE=$T/disk/bundle CONFIG=$T/disk/bundle/config.json
}

@test "migrate: files that have changed unseen are brought, from a file system that hears of stores into pages" {
	needs_command mkfs.ext4
	truncate -s 64M "$T/disk.img"
	mkfs.ext4 -q "$T/disk.img"
	bundle_on -o loop "$T/disk.img"
	unseen_changes
	umount "$T/disk"
}

@test "migrate: files that have changed unseen are brought, from tmpfs" {
	bundle_on -t tmpfs none
	unseen_changes
	umount "$T/disk"
}

@test "migrate: names of one file that become two files, and the other way round" {
	local f=$BUNDLE/rootfs/tmp t=$T/moved/rootfs/tmp

	echo old | tee "$f/a" >"$f/c"
	ln "$f/a" "$f/b"
	echo other >"$f/d"
	at_pass 1 "echo new >$f/new; mv $f/new $f/b; ln -f $f/c $f/d"
	at_pass 2 "echo newer >$f/new; mv $f/new $f/b"
	echo esac >>"$T/bin/rsync"
	start_worker memory 2 0 /tmp/count
	migrate --max-rounds 0
	goes_on "$T/moved"
	assert_eq "$(cat "$t/a" "$t/b" "$t/c" "$t/d")" "old
newer
old
old"
	assert_eq "$(stat -c %i "$t/c")" "$(stat -c %i "$t/d")"
	assert_eq "$(stat -c %h "$t/a" "$t/b")" "1
1"
}

@test "migrate: a root that is a mount is copied; other mounts in the bundle are named" {
	cp -a "$BUNDLE/rootfs" "$T/lower"
	mkdir "$T/lower/volume"
	mount --bind "$T/lower" "$BUNDLE/rootfs"
	start_worker memory 2 0 /tmp/count
	mount -t tmpfs none "$BUNDLE/rootfs/volume"
	refused "$BUNDLE/rootfs/volume is mounted in the bundle" --dry-run
	umount "$BUNDLE/rootfs/volume"
	migrate --max-rounds 0
	goes_on "$T/moved"
	[[ $stderr == *"the bundle $BUNDLE stays: $BUNDLE/rootfs is a mount"* ]]
	[[ -e $BUNDLE/rootfs/bin/worker && -e $BUNDLE/config.json ]]
	umount "$BUNDLE/rootfs"
}

@test "migrate: a bundle that another container has too is not removed" {
	start_worker memory 2 0 /tmp/count
	ok create --bundle "$BUNDLE" "$ID-3"
	refused "the bundle $BUNDLE would be removed here, and container $ID-3 has it, or something of it: --keep leaves it" --dry-run
	ok delete --force "$ID-3"
	# And one that has only its root there.
	cp -a "$BUNDLE" "$T/third"
	rm -rf "$T/third/rootfs"
	jq --arg r "$BUNDLE/rootfs" '.root.path = $r' "$BUNDLE/config.json" >"$T/third/config.json"
	ok create --bundle "$T/third" "$ID-3"
	refused "the bundle $BUNDLE would be removed here, and container $ID-3 has it, or something of it: --keep leaves it" --dry-run
	ok delete --force "$ID-3"
	# And one that mounts a part of it.
	mkdir "$BUNDLE/volume"
	new_bundle "$T/fourth"
	jq --arg v "$BUNDLE/volume" '.mounts += [{destination: "/volume", source: $v, options: ["rbind"]}]' "$T/fourth/config.json" >"$T/c"
	mv "$T/c" "$T/fourth/config.json"
	ok create --bundle "$T/fourth" "$ID-3"
	refused "the bundle $BUNDLE would be removed here, and container $ID-3 has it, or something of it: --keep leaves it" --dry-run
	ok delete --force "$ID-3"
	# Nobody knows what one has whose record cannot be read.
	mkdir "$ROOT/$ID-3"
	echo '{' >"$ROOT/$ID-3/state.json"
	refused "the bundle $BUNDLE would be removed here: whether container $ID-3 has something of it*--keep leaves it" --dry-run
	rm -r "$ROOT/$ID-3"
	# One that comes between the answer and the question.
	through lose back 33
	move --max-rounds 0
	[[ $status == 3 ]]
	unhindered
	ok create --bundle "$BUNDLE" "$ID-3"
	run_vzrun migrate --resolve "$ID"
	[[ $status == 0 && -e $BUNDLE/config.json ]]
	[[ $stderr == *"the bundle $BUNDLE stays: container $ID-3 has it, or something of it"* ]]
	goes_on "$T/moved"
	ok delete --force "$ID-3"
}

# Something is mounted in it, whenever rsync does not look.
@test "migrate: what cannot be removed there is not forgotten" {
	cat >"$T/bin/rsync" <<-EOF
		#!/bin/sh
		umount $T/moved/held 2>/dev/null && rmdir $T/moved/held
		/usr/bin/rsync "\$@" || exit
		mkdir $T/moved/held && mount -t tmpfs none $T/moved/held
	EOF
	chmod 755 "$T/bin/rsync"
	start_worker memory 4 0 /tmp/count
	through lose there 30
	move
	[[ $status == 1 ]]
	goes_on "$BUNDLE"
	[[ ! -e $THERE/$ID-2 && -e $T/moved ]]
	assert_eq "$(jq -r .bundle "$THERE"/.migrations/*)" "$T/moved"
	umount "$T/moved/held"
	there reconcile
	is_clean_there
}

@test "migrate: what the environment says to rsync here does not go there" {
	printf '#!/bin/sh\necho "$@" >>%s/words\nexec /usr/bin/rsync "$@"\n' "$T" >"$T/bin/rsync"
	chmod 755 "$T/bin/rsync"
	start_worker memory 2 0 /tmp/count
	export RSYNC_PROTECT_ARGS=1 RSYNC_ICONV=UTF-8,ISO-8859-1
	migrate --max-rounds 0
	! grep -Ev '^--server -[lHogDtpAXrcIRS]*e[0-9.]*[.A-Za-z]*( --delete)?( --numeric-ids)? \. ' "$T/words" || false
	goes_on "$T/moved"
}

@test "migrate: why the other side has failed is heard while files or memory are sent" {
	printf '#!/bin/sh\nkill -TERM $PPID\nsleep 3\n' >"$T/bin/rsync"
	chmod 755 "$T/bin/rsync"
	start_worker memory 8 0 /tmp/count
	refused 'host: interrupted by TERM'
	goes_on "$BUNDLE"
	mount -t tmpfs -o size=64m none "$T/tmp-there"
	printf '#!/bin/sh\n/usr/bin/rsync "$@" || exit\nhead -c 64m /dev/zero >%s/tmp-there/fill\nexit 0\n' "$T" >"$T/bin/rsync"
	refused 'o space left on device'
	rm "$T/tmp-there/fill"
	is_clean_there
	goes_on "$BUNDLE"
	umount "$T/tmp-there"
}

# wrap_rsync COMMAND: what is done in the place of the source's rsync, which is "$@".
wrap_rsync() {
	mkdir -p "$T/here"
	# The other side has the same PATH here.
	printf '#!/bin/sh\n[ "$1" != --server ] || exec /usr/bin/rsync "$@"\n%s\n' "$1" >"$T/here/rsync"
	chmod 755 "$T/here/rsync"
	export PATH=$T/here:$PATH
}

# While rsync is on its way a container can put a link in the place of any directory of its own.
@test "migrate: no symbolic link in the bundle leads who copies it to files of this host" {
	mkdir "$T/secrets"
	echo secret >"$T/secrets/file"
	ln -s "$T/secrets" "$BUNDLE/rootfs/out"
	ln -s tmp "$BUNDLE/rootfs/in"
	start_worker memory 2 0 /tmp/count
	[[ $(<"$BUNDLE/rootfs/out/file") == secret ]]
	wrap_rsync "cat $BUNDLE/rootfs/out/file $BUNDLE/rootfs/in/count >>$T/got 2>>$T/why; exec /usr/bin/rsync \"\$@\""
	migrate
	[[ -e $T/got && ! -s $T/got ]]
	grep -q 'out/file: Too many levels of symbolic links' "$T/why"
	goes_on "$T/moved"
	assert_eq "$(readlink "$T/moved/rootfs/out")" "$T/secrets"
}

@test "migrate: a file that cannot be read whole while the container changes it is no failure, but the last time it is" {
	start_worker memory 2 0 /tmp/count
	# A file that becomes shorter while it is read is one.
	wrap_rsync "/usr/bin/rsync \"\$@\" || exit; echo >>$T/passes; [ \$(wc -l <$T/passes) -gt \$(cat $T/well) ] || exit 23"
	echo 9 >"$T/well"
	refused 'rsync: exit status 23' --max-rounds 1
	goes_on "$BUNDLE"
	echo 2 >"$T/well"
	rm "$T/passes"
	migrate --max-rounds 1
	(($(wc -l <"$T/passes") > 2))
	goes_on "$T/moved"
}

@test "migrate: --compress: a disk that is full there is named" {
	start_worker memory 24 0 /tmp/count
	mounts=$T/tmp-there
	mount -t tmpfs -o size=64m none "$T/tmp-there"
	at_pass 1 "dd if=/dev/zero of=$T/tmp-there/fill bs=64k 2>/dev/null || truncate -s -192K $T/tmp-there/fill"
	echo esac >>"$T/bin/rsync"
	refused 'pages-1.img: no space left on device' --compress
	goes_on "$BUNDLE"
}
