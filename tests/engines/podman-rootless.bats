#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman of a plain user calls vzrun: what root's podman does not have.  The leg podman-session runs podman.bats and
# podman-pods.bats as that user, too.

load podman

plain_user() { [[ ${VZ_AS:-root} == session || ${VZ_AS:-root} == user ]]; }

setup_file() { ! plain_user || podman_setup_file; }
teardown_file() { podman_teardown_file; }
setup() {
	plain_user || skip "needs a plain user"
	podman_setup
	SUB=$(subids)
}
teardown() { podman_teardown; }

@test "podman of a user: root inside is the user; the owners of volumes, of what is written to them, and of those given away" {
	local map=$'0\n0 '"$EUID"$' 1\n1 '"$SUB"$' 65536'

	mkdir "$T/vol" "$T/given" && echo content >"$T/vol/file"
	box_gives 0 run --rm -v "$T/vol:/vol" -v "$T/given:/given:U" --user 7:8 $IMAGE sh -c 'stat -c %u:%g /vol /given; touch /given/new'
	assert_eq "$output" $'0:0\n7:8'
	assert_eq "$(stat -c %u:%g "$T/given/new")" "$((SUB + 6)):$((SUB + 7))"
	box_gives 0 run --rm -v "$T/vol:/vol" $IMAGE sh -c 'id -u; sed "s/^ *//; s/  */ /g" /proc/self/uid_map
		cat /vol/file; touch /vol/root /vol/other; chown 5:6 /vol/other'
	assert_eq "$output" "$map"$'\ncontent'
	assert_eq "$(stat -c %u:%g "$T/vol/root" "$T/vol/other")" "$EUID:$(id -g)"$'\n'"$((SUB + 4)):$((SUB + 5))"
}

@test "podman of a user: --userns=keep-id: the user's own id, exec, terminal, top, stop" {
	local pid

	mkdir "$T/vol" && echo content >"$T/vol/file" && chmod 600 "$T/vol/file"
	starts c1 --userns keep-id -v "$T/vol:/vol" $IMAGE sh -c 'trap "exit 5" TERM; cat /vol/file; id -u; id -g; touch /vol/new
		touch /new 2>/dev/null || echo not root; sed "s/^ *//; s/  */ /g" /proc/self/uid_map; while :; do sleep 0.1; done'
	pid=$(pid_in c1)
	gives 0 exec c1 id -u
	assert_eq "$output" "$EUID"
	gives 0 exec -u 0 c1 sh -c 'id -u; stat -c %u:%g /bin /vol; touch /new'
	assert_eq "$output" $'0\n0:0\n'"$EUID:$(id -g)"
	gives 0 exec -t c1 sh -c 'tty; stat -c %u $(tty)'
	assert_eq "$output" $'/dev/pts/0\n'"$EUID"
	gives 0 exec -d c1 sh -c 'id -u >/tmp/by-exec'
	wait_until test -s "/proc/$pid/root/tmp/by-exec"
	gives 0 top c1 user pid args
	assert_match "$output" "*USER*1 *sh -c trap*"
	gives 0 stop -t 20 c1
	gives 0 logs c1
	# The ids are those of podman's own user namespace, in which the user is 0.
	assert_eq "$output" "content
$EUID
$(id -g)
not root
0 1 $EUID
$EUID 0 1
$((EUID + 1)) $((EUID + 1)) $((65536 - EUID))"
	gives 0 inspect c1 --format '{{.State.ExitCode}}'
	assert_eq "$output" 5
	assert_eq "$(stat -c %u:%g "$T/vol/new")" "$EUID:$(id -g)"
}

@test "podman of a user: --uidmap in parts; an image with an owner outside of the map says so" {
	box_gives 0 run --rm --uidmap 0:1:10 --uidmap 10:0:1 --uidmap 11:11:100 --gidmap 0:1:10 --gidmap 10:0:1 \
		--gidmap 11:11:100 --user 10:10 $IMAGE sh -c 'id -u; id -g; sed "s/^ *//; s/  */ /g" /proc/self/uid_map; stat -c %u:%g /bin'
	assert_eq "$output" $'10\n10\n0 1 10\n10 0 1\n11 11 100\n0:0'
	tar -C "$BATS_FILE_TMPDIR/rootfs/rootfs" --owner 5000 --group 5000 --numeric-owner -cf - . >"$T/image.tar"
	gives 0 import -q "$T/image.tar" localhost/vzrun-owner:1
	box_gives 126 run --rm --uidmap 0:1:1000 --gidmap 0:1:1000 localhost/vzrun-owner:1 true
	assert_match "$stderr" '*/mounts/*its directory belongs to an id that is not mapped*'
	! has_containers || false
}

@test "podman of a user: a terminal, devices by binding, sysctl, ulimits, all privileges" {
	box_gives 0 run --rm -t --privileged --device /dev/full:/dev/other --sysctl net.ipv4.ip_unprivileged_port_start=80 \
		--ulimit core=0:0 --ulimit nofile=100:200 $IMAGE sh -c 'tty; stat -c %F /dev/console /dev/null
		echo x 2>/dev/null >/dev/other || echo full; cat /proc/sys/net/ipv4/ip_unprivileged_port_start
		ulimit -c; ulimit -n; ulimit -H -n
		awk "/CapEff/ { print \$2 }" /proc/self/status; mkdir -p /mnt && mount -t tmpfs none /mnt && echo mounted'
	assert_match "$output" $'/dev/pts/0\ncharacter special file\ncharacter special file\nfull\n80\n0\n100\n200\n000001ff*\nmounted'
	box_gives 126 run --rm --ulimit nofile=2000000000:2000000000 $IMAGE true
	assert_match "$stderr" '*RLIMIT_NOFILE*'
}

@test "podman of a user: limits in the cgroup that is delegated, update, and nothing left of it" {
	local dir

	[[ $VZ_AS == session ]] || skip "needs a delegated cgroup"
	# Where podman puts it without a parent.
	RUN=(--network none --env "VZRUN_TEST_ID=$VZRUN_TEST_ID")
	starts c1 --memory 64m --memory-swap 64m --pids-limit 20 --cpus 0.5 --cpuset-cpus 0 $IMAGE sleep 1000
	dir=$(cg_dir "$(pid_in c1)" -)
	assert_match "$dir" "/sys/fs/cgroup/user.slice/user-$EUID.slice/user@$EUID.service/*"
	assert_eq "$(cd "$dir" && cat memory.max memory.swap.max pids.max cpu.max cpuset.cpus)" $'67108864\n0\n20\n50000 100000\n0'
	gives 0 update --memory 96m --cpus 0.25 --pids-limit 30 c1
	assert_eq "$(cd "$dir" && cat memory.max pids.max cpu.max)" $'100663296\n30\n25000 100000'
	gives 0 stats --no-stream --format '{{.PIDs}}' c1
	assert_eq "$output" 1
	gives 0 rm -f -t 0 c1
	[[ ! -e $dir ]]
}

@test "podman of a user: without a cgroup limits are refused, with the remedy" {
	[[ $VZ_AS == user ]] || skip "needs a user without a session"
	box_gives 126 run --rm --memory 64m $IMAGE true
	assert_match "$stderr" '*/linux/resources/memory*enable-linger*'
}

@test "podman of a user: RUN of a build" {
	printf 'FROM %s\nUSER 7:8\nRUN id -u >/tmp/made && id -g >>/tmp/made\n' $IMAGE >"$T/file"
	gives 0 --runtime vzrun build -q --network none -t localhost/vzrun-built:1 -f "$T/file" "$T"
	box_gives 0 run --rm localhost/vzrun-built:1 sh -c 'cat /tmp/made; stat -c %u:%g /tmp/made'
	assert_eq "$output" $'7\n8\n7:8'
}
