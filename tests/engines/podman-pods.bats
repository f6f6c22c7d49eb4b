#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman calls vzrun: containers that belong together, and special ones.

load podman

setup_file() { podman_setup_file; }
teardown_file() { podman_teardown_file; }
setup() { podman_setup; }
teardown() { podman_teardown; }

# ns PID NAME...: the identities of its namespaces
ns() {
	local pid=$1 n

	shift
	for n; do readlink "/proc/$pid/ns/$n"; done
}

@test "podman: a pod with an infra container: namespaces shared, limits, stop and start again" {
	local infra one two cg

	needs_command catatonit
	gives 0 pod create --name p1 --network none --cgroup-parent "$PARENT" --share pid,ipc,net,uts --memory 64m
	RUN=(--pod p1 --env "VZRUN_TEST_ID=$VZRUN_TEST_ID")
	starts c1 $IMAGE sleep 1000
	starts c2 $IMAGE sh -c 'ps -o args >/seen; exec sleep 2000'
	gives 0 inspect --format '{{.State.Pid}}' p1-infra c1 c2 2>/dev/null ||
		gives 0 inspect --format '{{.State.Pid}}' "$(raw pod inspect p1 --format '{{.InfraContainerID}}')" c1 c2
	read -r -d '' infra one two <<<"$output" || true
	assert_eq "$(ns "$one" pid ipc net uts)" "$(ns "$infra" pid ipc net uts)"
	assert_eq "$(ns "$two" pid ipc net uts)" "$(ns "$infra" pid ipc net uts)"
	[[ $(ns "$one" mnt) != "$(ns "$two" mnt)" ]]
	wait_until grep -q "sleep 1000" "/proc/$two/root/seen"
	if [[ $(cg_mode) == v2 ]]; then
		cg=$(cg_dir "$one" memory)
		assert_eq "$(cat "$cg/../memory.max")" 67108864
	fi
	gives 0 pod stop -t 0 p1
	[[ ! -e /proc/$one ]]
	gives 0 pod start p1
	gives 0 exec c1 sh -c 'ps -o args | grep -c "[s]leep [12]000"'
	assert_eq "$output" 2
	gives 0 pod rm -f -t 0 p1
	! has_containers || false
}

@test "podman: a user namespace: ids, owners of volumes and of new files" {
	local first

	# A plain user's map is into the ids of podman's own user namespace, in which 1 is the first subordinate id.
	first=$(as_is 100000 1)
	mkdir "$T/vol" && $(as_is "" "raw unshare") chown "$first:$first" "$T/vol"
	box_gives 0 run --rm --uidmap "0:$first:65536" --gidmap "0:$first:65536" -v "$T/vol:/vol" $IMAGE sh -c \
		'cat /proc/self/uid_map; touch /vol/new; chown 5:6 /vol/new; stat -c %u:%g /bin /vol; cat /sys/class/net/lo/mtu; touch /etc/new'
	assert_match "$output" $'* 0 *'"$first"$' *65536\n0:0\n0:0\n65536'
	first=$(as_is 100000 "$(subids)")
	assert_eq "$(stat -c %u:%g "$T/vol/new")" "$((first + 5)):$((first + 6))"
}

@test "podman: namespaces of the host and of another container" {
	local first

	starts c1 --ipc shareable $IMAGE sleep 1000
	first=$(pid_in c1)
	box_gives 0 run --rm --ipc container:c1 --pid container:c1 --uts host --cgroupns host $IMAGE \
		sh -c 'readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid; readlink /proc/self/ns/uts; readlink /proc/self/ns/cgroup'
	assert_eq "$output" "$(ns "$first" ipc pid; ns self uts cgroup)"
	starts c2 --pid host $IMAGE sh -c 'sleep 1001 & exec sleep 1000'
	gives 0 exec c2 readlink /proc/self/ns/pid
	assert_eq "$output" "$(ns self pid)"
	gives 0 rm -f -t 0 c2
}

@test "podman: an init inside reaps what is left to it" {
	needs_command catatonit
	starts c1 --init $IMAGE sh -c '(sleep 0.1 &); exec sleep 1000'
	gives 0 exec c1 sh -c 'tr "\0" " " </proc/1/cmdline; echo; sleep 0.5; ! ps -o stat | grep Z && echo reaped'
	assert_match "$output" $'*init* -- sh -c *\nreaped'
}

@test "podman: several containers at a time" {
	local i
	local -a jobs=()

	for i in 1 2 3 4 5; do
		POD_TIMEOUT=180 raw run --rm "${ULIMITS[@]}" "${RUN[@]}" $IMAGE sh -c "exit $((i + 20))" >/dev/null 2>"$T/err.$i" &
		jobs+=($!)
	done
	for i in 1 2 3 4 5; do
		status=0
		wait "${jobs[i - 1]}" || status=$?
		assert_eq "$status" $((i + 20)) || { cat "$T/err.$i"; return 1; }
	done
}

@test "podman: a health check" {
	starts c1 --health-cmd 'test -e /tmp/healthy' --health-interval disable --health-retries 1 $IMAGE sleep 1000
	gives 1 healthcheck run c1
	gives 0 inspect c1 --format '{{.State.Health.Status}}'
	assert_eq "$output" unhealthy
	touch "/proc/$(pid_in c1)/root/tmp/healthy"
	gives 0 healthcheck run c1
	gives 0 inspect c1 --format '{{.State.Health.Status}}'
	assert_eq "$output" healthy
}

@test "podman: without a cgroup, as the example configuration allows" {
	box_gives 0 run --rm --cgroups disabled --cgroup-parent "" --cgroupns host $IMAGE cat /proc/self/cgroup
	assert_eq "$output" "$(raw unshare cat /proc/self/cgroup 2>/dev/null || cat /proc/self/cgroup)"
}

# The payload sees what a systemd needs.
@test "podman: --systemd=always prepares /run, /tmp, the cgroup and the stop signal" {
	starts c1 --systemd always $IMAGE sh -c 'trap "exit 6" 37; echo ready; while :; do sleep 0.1; done'
	wait_until said c1 ready
	gives 0 exec c1 sh -c 'tr "\0" "\n" </proc/1/environ | grep -x container=podman
		for d in /run /run/lock /tmp /var/log/journal; do stat -f -c %T $d; done
		cd /sys/fs/cgroup/systemd 2>/dev/null || cd /sys/fs/cgroup; mkdir made && echo made && rmdir made'
	assert_eq "$output" $'container=podman\ntmpfs\ntmpfs\ntmpfs\ntmpfs\nmade'
	gives 0 stop -t 10 c1
	gives 0 inspect c1 --format '{{.State.ExitCode}}'
	assert_eq "$output" 6
}
said() { raw logs "$1" | grep -qx "$2"; }

needs_systemd() { [[ -d /run/systemd/system ]] || skip "needs systemd"; }

# The machine's own systemd, on an overlay of the machine's own root.
@test "podman: systemd as process 1" {
	needs_systemd
	needs_v2
	POD_TIMEOUT=100 starts c1 --systemd always --rootfs /:O /sbin/init systemd.unit=basic.target
	POD_TIMEOUT=100 gives 0 exec c1 sh -c 'for i in $(seq 100); do systemctl is-active -q basic.target && break; sleep 0.2; done
		systemctl is-active basic.target; systemd-run -q --wait --pipe cat /proc/self/cgroup; cat /proc/1/cgroup'
	assert_match "$output" $'active\n0::/system.slice/run-*.service\n0::/init.scope'
	gives 0 stop -t 60 c1
	gives 0 inspect c1 --format '{{.State.ExitCode}}'
	[[ $output == 0 || $output == 130 ]] || assert_eq "$output" "0 or 130"
}

# As above: what is in the machine is in the container, which brings its own storage and configuration.
inner() {
	printf '%s\n' podman --root /outer/root --runroot /outer/run --tmpdir /outer/tmp --storage-driver overlay \
		--cgroup-manager cgroupfs --events-backend file "$@"
}

@test "podman: podman in a privileged container, with vzrun at both levels" {
	local -a outer run

	needs_systemd
	needs_v2
	sh "$TOP/contrib/bundle.sh" "$T/outer/inner" true
	cp "$CONTAINERS_CONF" "$T/outer/containers.conf"
	outer=(--privileged -v "$T/outer:/outer" -v "$TOP:$TOP:ro" --env CONTAINERS_CONF=/outer/containers.conf --rootfs /:O)
	mapfile -t run < <(inner --runtime vzrun run --network none --memory 64m --pids-limit 20 --env VZRUN_TEST_ID)
	# It moves itself out of the cgroup whose controllers it enables.
	POD_TIMEOUT=100 box_gives 7 run --rm "${outer[@]}" "${run[@]}" --rm --rootfs /outer/inner/rootfs \
		sh -c 'cat /proc/self/cgroup /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; exit 7'
	assert_eq "$output" $'0::/\n67108864\n20'
	# With another first process, that one has to make room, and what is executed follows it.
	POD_TIMEOUT=100 starts c1 "${outer[@]}" sh -c 'cd /sys/fs/cgroup && mkdir init && echo 1 >init/cgroup.procs &&
		echo +memory +pids >cgroup.subtree_control && exec sleep 1000'
	gives 0 exec c1 "${run[@]}" -d --name c2 --rootfs /outer/inner/rootfs \
		sh -c 'trap "exit 5" TERM; echo started; while :; do sleep 0.1; done'
	mapfile -t run < <(inner)
	gives 3 exec c1 "${run[@]}" exec c2 sh -c 'cat /sys/fs/cgroup/memory.max; exit 3'
	assert_eq "$output" 67108864
	gives 0 exec c1 "${run[@]}" stop -t 20 c2
	gives 0 exec c1 "${run[@]}" logs c2
	assert_eq "$output" started
	gives 0 exec c1 "${run[@]}" rm c2
}
