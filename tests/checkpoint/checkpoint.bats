#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# checkpoint and restore, by a CRIU that runs here: the container as it was, its streams, cgroups, hooks and settings, and what is refused.

load ../lib/checkpoint

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

@test "checkpoint: a file that was deleted and is open comes back, a big one too" {
	start_sh 'dd if=/dev/zero bs=1M count=3 of=/tmp/big 2>/dev/null; exec 9</tmp/big; rm /tmp/big; '"$counting"
	checkpoint
	restore
	goes_on
	assert_eq "$(wc -c <"/proc/$(pid_of "$ID")/fd/9")" $((3 << 20))
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

# restore_for_caller COMMAND...: by somebody with a session keyring of his own; $keyring is that of the container then.
restore_for_caller() {
	checkpoint
	keyctl session caller "$@" timeout 60 "$VZRUN" --root "$ROOT" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "$ID" >"$T/said" 2>&1 \
		</dev/null 3>&- 4>&- || { cat "$T/said"; false; }
	rm -f "$BUNDLE/rootfs/tmp/keyring"
	wait_until test -e "$BUNDLE/rootfs/tmp/keyring"
	keyring=$(<"$BUNDLE/rootfs/tmp/keyring")
}
telling='while :; do probe keyring >/tmp/new; mv /tmp/new /tmp/keyring; sleep .1; done'

@test "restore: the keyring, the CPUs and the I/O priority are the container's, not those of who restores it" {
	needs_command keyctl ionice taskset
	add_probe
	config_set '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
	start_sh "$counting & $telling"
	restore_for_caller taskset -c 0 ionice -c 3
	goes_on
	assert_eq "$keyring" "_ses.$ID"
	assert_eq "$(sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$(pid_of "$ID")/status")" "0-$(($(nproc --all) - 1))"
	assert_eq "$(ionice -p "$(pid_of "$ID")")" "best-effort: prio 6"
}

# By its name all users of the host could find it.
@test "restore: the keyring of a container with a user namespace is nobody else's" {
	needs_command keyctl
	add_probe
	new_userns
	chmod 777 "$BUNDLE/rootfs/tmp"
	start_sh "$counting & $telling"
	restore_for_caller
	goes_on
	assert_eq "$keyring" _ses
	! grep "_ses.$ID" /proc/keys || false
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
	fails "$T/theirs: others than root could write it" checkpoint --image-path "$T/theirs/images" "$ID"
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
	# Who may rename a directory above them could put others there.
	mkdir "$T/theirs"
	cp -a "$IMG" "$T/theirs/images"
	chown 1000 "$T/theirs"
	fails "$T/theirs/images/..: others than root could write it" restore -d -b "$BUNDLE" --image-path "$T/theirs/images" "$ID"
	chown 0 "$T/theirs"
	chmod 777 "$T/theirs"
	fails "$T/theirs/images/..: others than root could write it" restore -d -b "$BUNDLE" --image-path "$T/theirs/images" "$ID"
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
