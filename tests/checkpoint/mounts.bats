#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore: what is mounted in the container, and from where.

load ../lib/checkpoint

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

@test "restore: the directory of the container's NOTIFY_SOCKET is the new container's" {
	config_set --arg s "$counting" '.process.args = ["sh", "-c", $s]'
	NOTIFY_SOCKET=$T/manager ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_until counted_to 3
	checkpoint
	ok restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID-2"
	goes_on "$ID-2"
	touch "$ROOT/$ID-2/notify/file"
	assert_eq "$("$VZRUN" --root "$ROOT" exec "$ID-2" ls /run/notify)" file
	ok delete --force "$ID-2"
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
