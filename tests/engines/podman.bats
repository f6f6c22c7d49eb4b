#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman calls vzrun: the life of a container.

load podman

setup_file() { podman_setup_file; }
teardown_file() { podman_teardown_file; }
setup() { podman_setup; }
teardown() { podman_teardown; }

@test "podman: output, standard input and the exit status of run" {
	echo typed >"$T/in"
	IN=$T/in box_gives 7 run -i --rm $IMAGE sh -c 'cat; echo told >&2; exit 7'
	assert_eq "$output" typed
	assert_eq "$stderr" told
	! has_containers || false
}

@test "podman: run of a missing program is 127, of one that cannot be executed 126" {
	box_gives 127 run --rm $IMAGE /nonexistent
	assert_match "$stderr" '*exec: "/nonexistent"*not found*'
	box_gives 127 run --rm $IMAGE nonexistent
	assert_match "$stderr" '*executable file not found in $PATH*'
	box_gives 126 run --rm $IMAGE /etc/passwd
	assert_match "$stderr" '*ermission denied*'
	! has_containers || false
}

@test "podman: detached, logs, top, stats, stop, wait, rm" {
	starts c1 $IMAGE sh -c 'trap "echo bye; exit 5" TERM; echo started; while :; do sleep 0.1; done'
	gives 0 inspect c1 --format '{{.State.Status}} {{.OCIRuntime}}'
	assert_match "$output" "running *vzrun*"
	gives 0 top c1
	assert_match "$output" "*PID*sh -c trap*"
	gives 0 stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsageBytes}}' c1
	assert_match "$output" "c1 [1-9]* [1-9]*"
	gives 0 stop -t 10 c1
	gives 0 wait c1
	assert_eq "$output" 5
	gives 0 logs c1
	assert_eq "$output" $'started\nbye'
	gives 0 rm c1
	! has_containers || false
}

@test "podman: exec: its input, status, user, directory, environment, terminal; detached; of nothing" {
	local pid

	starts c1 --env GIVEN=1 --user 1000 $IMAGE sleep 1000
	pid=$(pid_in c1)
	echo typed >"$T/in"
	IN=$T/in gives 3 exec -i c1 sh -c 'cat; id -u; echo $GIVEN; exit 3'
	assert_eq "$output" $'typed\n1000\n1'
	gives 0 exec -u 2000:3000 -w /tmp -e A=b c1 sh -c 'id -u; id -g; pwd; echo $A; readlink /proc/self/ns/pid'
	assert_eq "$output" $'2000\n3000\n/tmp\nb\n'"$(readlink "/proc/$pid/ns/pid")"
	gives 0 exec -t c1 sh -c 'tty; stty size >/dev/null && echo sized'
	assert_match "$output" "/dev/pts/*sized"
	gives 0 exec -d c1 sh -c 'echo $PPID >/tmp/by-exec'
	wait_until test -s "/proc/$pid/root/tmp/by-exec"
	gives 0 exec --privileged -u 0 c1 awk '/CapEff/ { print $2 }' /proc/self/status
	assert_match "$output" "000001ff[ef]*ff"
	gives 127 exec c1 /nonexistent
	gives 126 exec c1 /etc/passwd
}

@test "podman: kill hands on the signal, stop kills the deaf" {
	starts c1 $IMAGE sh -c 'trap "exit 9" USR1; echo ready; while :; do sleep 0.1; done'
	wait_until said c1 ready
	starts c2 $IMAGE sleep 1000
	gives 0 kill -s USR1 c1
	gives 0 wait c1
	assert_eq "$output" 9
	gives 0 stop -t 1 c2
	gives 0 inspect c2 --format '{{.State.Status}} {{.State.ExitCode}}'
	assert_eq "$output" "exited 137"
}
said() { raw logs "$1" | grep -qx "$2"; }

@test "podman: pause and unpause" {
	local pid

	starts c1 $IMAGE sleep 1000
	pid=$(pid_in c1)
	gives 0 pause c1
	frozen "$pid"
	pod exec c1 true
	[[ $status != 0 ]]
	gives 0 unpause c1
	! frozen "$pid" || false
	gives 0 exec c1 true
}

# A hybrid host has both freezers.
frozen() {
	local dir

	dir=$(cg_dir "$1" freezer) && grep -qsx FROZEN "$dir/freezer.state" && return 0
	dir=$(cg_dir "$1" -) && grep -qsx 1 "$dir/cgroup.freeze"
}

@test "podman: create, start, restart, attach" {
	box_gives 0 create --name c1 $IMAGE sh -c 'echo run; exit 4'
	gives 4 start -a c1
	assert_eq "$output" run
	gives 4 start -a c1
	starts c2 $IMAGE sh -c 'echo ready; exec sleep 1000'
	gives 0 restart -t 0 c2
	gives 0 exec c2 true
}

@test "podman: limits, and update of them" {
	local pid

	starts c1 --memory 64m --memory-swap 64m --pids-limit 20 --cpus 0.5 --cpuset-cpus 0 $IMAGE sleep 1000
	pid=$(pid_in c1)
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cg_of "$pid" memory.max memory.swap.max pids.max cpu.max cpuset.cpus)" "67108864 0 20 50000 100000 0 "
		gives 0 update --memory 96m --cpus 0.25 c1
		assert_eq "$(cg_of "$pid" memory.max pids.max cpu.max)" "100663296 20 25000 100000 "
	else
		assert_eq "$(cg_of "$pid" memory.limit_in_bytes pids.max cpu.cfs_quota_us cpuset.cpus)" "67108864 20 50000 0 "
		gives 0 update --memory 96m --memory-swap 96m --cpus 0.25 c1
		assert_eq "$(cg_of "$pid" memory.limit_in_bytes pids.max cpu.cfs_quota_us)" "100663296 20 25000 "
	fi
}

@test "podman: annotations in OpenVZ's words" {
	local pid

	starts c1 --annotation org.openvz.cpulimit=25 --annotation org.openvz.cpumask=0 $IMAGE sleep 1000
	pid=$(pid_in c1)
	if [[ $(cg_mode) == v2 ]]; then
		assert_eq "$(cg_of "$pid" cpu.max cpuset.cpus)" "25000 100000 0 "
	else
		assert_eq "$(cg_of "$pid" cpu.cfs_quota_us cpuset.cpus)" "25000 0 "
	fi
	box_gives 126 run --rm --cpus 0.5 --annotation org.openvz.cpulimit=25 $IMAGE true
	[[ $output$stderr == *"/annotations/org.openvz.cpulimit: means 25000 for /linux/resources/cpu/quota, where the document has 50000"* ]]
}

@test "podman: out of memory" {
	box_gives 137 run --name c1 --memory 16m --memory-swap 16m $IMAGE sh -c 'tail /dev/zero; exit $?'
	gives 0 inspect c1 --format '{{.State.ExitCode}}'
	assert_eq "$output" 137
}

# What a container of ours sees, one fact a line.
facts() {
	cat <<-'S'
		fact() { what=$1; shift; echo "$what: $("$@" 2>&1)"; }
		field() { awk -v f="$1:" '$1 == f { $1 = ""; print }' /proc/self/status; }
		fact uid id -u
		fact gid id -g
		fact groups id -G
		for f in CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters Cpus_allowed_list; do
			fact $f field $f
		done
		fact host hostname
		fact cwd pwd
		fact umask umask
		fact limits sed 's/  */ /g' /proc/self/limits
		fact oom cat /proc/self/oom_score_adj
		fact env sh -c 'env | sort | grep -v ^VZRUN'
		fact fds ls /proc/self/fd
		fact uid_map sed 's/  */ /g' /proc/self/uid_map
		fact msgmax cat /proc/sys/kernel/msgmax
		fact dev sh -c 'find /dev -exec stat -c "%n %F %a %t:%T %u:%g" {} + | sort'
		fact device stat -c %t:%T:%a:%u /dev/other
		fact volume cat /vol/file
		fact volume-rw touch /vol/new
		fact read-only touch /vol-ro/new
		fact root touch /new
		fact scratch sh -c 'touch /scratch/new && df -k /scratch | awk "END { print \$2 }"'
		fact scratch-mode stat -c %a /scratch
		fact shm sh -c 'df -k /dev/shm | awk "END { print \$2 }"'
		fact hosts grep other /etc/hosts
		fact mkdir mkdir /scratch/refused
		fact masked sh -c 'head -c 4096 /proc/kcore | wc -c; ls /proc/scsi /sys/firmware; head -c 1 /proc/timer_list | wc -c'
		fact kernel sh -c 'echo 1 >/proc/sys/kernel/core_pattern'
		fact mounts sh -c "awk '{ o = \$0; sub(/.* - /, \"\", o); split(o, s, \" \"); print \$5, \$6, s[1] }' /proc/self/mountinfo | sort -u"
	S
}

# The same with another runtime's program in vzrun's place.
RUNTIME=
for RUNTIME in crun runc; do
	# crun does not start on a hybrid host.
	command -v $RUNTIME >/dev/null && [[ $RUNTIME != crun || $(cg_mode) == v2 ]] && break
done

has() { grep -qxF -- "$1" <<<"$output" || { echo "not there: $1"; echo "$output"; return 1; }; }

# Not alike: how masked paths are covered (we set all flags of a tmpfs over a directory), whose /dev/null is (crun gives the
# container's own to the user when it is the standard input), and with runc the flags of mounts.  crun binds devices again that the
# document has bound already: each mount counts once.
same() {
	local left_out='^/proc/.\|^/sys/firmware \|^/sys/dev/block \|^/sys/devices/virtual/powercap \|^/dev/null '

	[[ $RUNTIME != runc ]] || left_out='^/\|^mounts:'
	diff <(tr -d '\r' <"$1" | grep -v "$left_out") <(tr -d '\r' <"$2" | grep -v "$left_out") ||
		{ echo "vzrun is <, $RUNTIME is >"; return 1; }
}

@test "podman: root, mounts, user, capabilities, devices, names, sysctl, limits, seccomp: as asked, and as with another runtime" {
	local -a args

	mkdir "$T/vol" && echo content >"$T/vol/file" && chmod 777 "$T/vol"
	facts >"$T/facts"
	printf '%s' '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }] }' >"$T/seccomp.json"
	args=(--rm --read-only --user 1000:50 --group-add 33 --cap-drop all --cap-add net_raw,chown --hostname somebody
		--workdir /tmp --umask 027 --oom-score-adj 500 --env A="b c" --device /dev/null:/dev/other:r --sysctl kernel.msgmax=8192
		-v "$T/vol:/vol" -v "$T/vol:/vol-ro:ro,nosuid" --tmpfs /scratch:size=512k,mode=1777 --shm-size 256k
		--add-host other:10.1.2.3 --security-opt no-new-privileges --security-opt "seccomp=$T/seccomp.json"
		--ulimit core=0:0 --ulimit nofile=100:200 --cpuset-cpus 0
		-v "$T/facts:/facts:ro" $IMAGE sh /facts)
	box_gives 0 run "${args[@]}"
	has "uid: 1000"
	has "gid: 50"
	has "groups: 50 33"
	has "CapBnd:  0000000000002001"
	has "CapEff:  0000000000002001"
	has "NoNewPrivs:  1"
	has "Seccomp:  2"
	has "Cpus_allowed_list:  0"
	has "host: somebody"
	has "cwd: /tmp"
	has "umask: 0027"
	has "oom: 500"
	has "Max open files 100 200 files "
	has "Max core file size 0 0 bytes "
	has "env: A=b c"
	has "msgmax: 8192"
	has "device: 1:3:666:$(as_is 0 65534)"
	has "volume: content"
	has "volume-rw: "
	has "read-only: touch: /vol-ro/new: Read-only file system"
	has "root: touch: /new: Read-only file system"
	has "scratch: 512"
	has "scratch-mode: 1777"
	has "shm: 256"
	has $'hosts: 10.1.2.3\tother'
	has "mkdir: mkdir: can't create directory '/scratch/refused': No space left on device"
	[[ -e $T/vol/new ]]
	mv "$T/stdout" "$T/ours"
	[[ -n $RUNTIME ]] || return 0
	rm "$T/vol/new"
	gives 0 --runtime "$RUNTIME" run "${ULIMITS[@]}" "${RUN[@]}" "${args[@]}"
	same "$T/ours" "$T/stdout"
}

@test "podman: a privileged container, as with another runtime" {
	facts >"$T/facts"
	set -- --rm --privileged -v "$T/facts:/facts:ro" --hostname h $IMAGE sh /facts
	box_gives 0 run "$@"
	has "Seccomp:  0"
	assert_match "$output" "*CapEff:  00000[0-9a-f]ff*"
	mv "$T/stdout" "$T/ours"
	[[ -n $RUNTIME ]] || return 0
	gives 0 --runtime "$RUNTIME" run "${ULIMITS[@]}" "${RUN[@]}" "$@"
	same "$T/ours" "$T/stdout"
}
