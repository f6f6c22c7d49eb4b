#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The container's cgroup: where it is, who is in it, what is refused, update, freezing, what delete removes, and how it
# is without one.

load ../lib/helpers

setup() {
	vz_setup || return
	needs_root
	config_set '.linux.resources = {memory: {limit: 33554432}}'
}

# Nothing of that name in any hierarchy.
no_cgroup() {
	local left

	# Others, systemd for one, take directories away while find looks.
	left=$(find /sys/fs/cgroup -type d -name "${1:-$ID}*" -print -quit 2>/dev/null) || :
	[[ -z $left ]] || { echo "there is $left"; return 1; }
}

# The process's cgroup in each hierarchy, by its own word.  The kernel tells of cgroup v2 even where nobody mounts it.
cgroup_lines() { sed -n "$([[ $(cg_mode) != v1 ]] || echo '/^0::/d;') s/^[0-9]*://p" "/proc/$1/cgroup" | sort; }

# future CONTROLLER: where the cgroupfs driver will make $ID's cgroup.  On v2 beside ours, which has processes.
future() {
	local dir

	dir=$(cg_dir self "$1")
	[[ ! -e $dir/cgroup.subtree_control ]] || dir=${dir%/*}
	echo "$dir/$ID"
}

# ---- where ----

@test "cgroupsPath: absolute is from the root of each hierarchy" {
	cgroupfs_paths
	config_set --arg p "/$ID-top/inner" '.linux.cgroupsPath = $p'
	start_sleep
	while IFS=: read -r _ path; do
		assert_eq "$path" "/$ID-top/inner"
	done <<<"$(cgroup_lines "$(pid_of "$ID")")"
	ok delete --force "$ID"
	[[ -z $(find /sys/fs/cgroup -type d -path "*/$ID-top/inner" -print -quit) ]]
	find /sys/fs/cgroup -depth -type d -name "$ID-top" -exec rmdir {} +
}

@test "cgroupsPath: empty and relative are below the caller's cgroup of each hierarchy" {
	cgroupfs_paths
	local path

	for path in "" "$ID-rel"; do
		config_set --arg p "$path" '.linux.cgroupsPath = $p'
		start_sleep
		while IFS=: read -r controllers own; do
			[[ -n $controllers ]] || own=${own%/*}
			assert_match "$(cgroup_lines "$(pid_of "$ID")")" "*$controllers:${own%/}/${path:-$ID}*"
		done <<<"$(cgroup_lines self)"
		ok delete --force "$ID"
		no_cgroup
	done
}

@test "cgroupsPath: .. never leaves the hierarchy, and the root is refused" {
	cgroupfs_paths
	config_set --arg p "/../../$ID" '.linux.cgroupsPath = $p'
	run_vzrun create --bundle "$BUNDLE" "$ID"
	[[ $status == 0 ]] || assert_match "$stderr" "*/linux/cgroupsPath*"
	[[ ! -e /sys/fs/$ID && ! -e /sys/$ID && ! -e /sys/fs/cgroup/$ID ]]
	ok delete --force "$ID"
	config_set '.linux.cgroupsPath = "/"'
	fails "/linux/cgroupsPath" create --bundle "$BUNDLE" "$ID"
	config_set '.linux.cgroupsPath = "/x/.."'
	fails "/linux/cgroupsPath" create --bundle "$BUNDLE" "$ID"
}

# ---- who ----

@test "membership: init and exec are in the container's cgroup of every hierarchy" {
	local init

	start_sleep
	init=$(cgroup_lines "$(pid_of "$ID")")
	ok exec -d --pid-file "$T/pid" "$ID" sleep 1000
	assert_eq "$(cgroup_lines "$(<"$T/pid")")" "$init"
	[[ $(wc -l <<<"$init") == $(cgroup_lines self | wc -l) ]]
	while IFS=: read -r _ path; do
		assert_match "$path" "*[/-]$ID*(.scope)"
	done <<<"$init"
}

@test "membership: a created container is in already, vzrun itself is not" {
	local before

	before=$(cgroup_lines self)
	ok create --bundle "$BUNDLE" "$ID"
	assert_match "$(cgroup_lines "$(pid_of "$ID")")" "*[/-]$ID*"
	# On v1 systemd moves the services of a slice in which a unit asks for a further controller.
	[[ ${VZ_MANAGER:-} == systemd ]] || assert_eq "$(cgroup_lines self)" "$before"
	[[ $(cgroup_lines self) != *"$ID"* ]]
}

@test "exec --cgroup: a cgroup of the payload's, of one controller, and none that escapes" {
	needs_v1
	local dir

	start_sleep
	dir=$(cg_dir "$(pid_of "$ID")" pids)
	mkdir "$dir/sub"
	ok exec -d --cgroup pids:sub --pid-file "$T/pid" "$ID" sleep 1000
	assert_match "$(cgroup_lines "$(<"$T/pid")")" "*pids:*[/-]$ID*/sub*"
	assert_match "$(cgroup_lines "$(<"$T/pid")")" "*memory:*[/-]$ID?(.scope)"$'\n'"*"
	fails "escapes" exec --cgroup ../../.. "$ID" true
	fails "escapes" exec --cgroup pids:sub/../.. "$ID" true
	fails "no 'nothing' cgroup" exec --cgroup nothing:sub "$ID" true
	fails "missing" exec --cgroup pids:missing "$ID" true
}

# ---- what was there before ----

@test "a cgroup with a process in it is refused, and nothing is made or touched" {
	cgroupfs_paths
	local dir before

	needs_controller pids
	dir=$(future pids)
	mkdir "$dir"
	sh -c "echo \$\$ >$dir/cgroup.procs && exec sleep 1000" >/dev/null 2>&1 3>&- 4>&- &
	wait_until grep -q . "$dir/cgroup.procs"
	before=$(find /sys/fs/cgroup -type d | sort)
	run_vzrun create --bundle "$BUNDLE" "$ID"
	echo "$status: $stderr"
	[[ $status == 1 && $stderr == *"container's cgroup is not empty: 1 process(es) found"* ]] || status=bad
	[[ $(find /sys/fs/cgroup -type d | sort) == "$before" && ! -e $ROOT/$ID ]] || status=bad
	[[ $(wc -l <"$dir/cgroup.procs") == 1 ]] || status=bad
	kill $!
	wait $! || true
	wait_until rmdir "$dir"
	[[ $status != bad ]]
}

@test "so is one whose nested cgroup has a process" {
	cgroupfs_paths
	local dir

	needs_controller pids
	dir=$(future pids)
	mkdir -p "$dir/nested"
	sh -c "echo \$\$ >$dir/nested/cgroup.procs && exec sleep 1000" >/dev/null 2>&1 3>&- 4>&- &
	wait_until grep -q . "$dir/nested/cgroup.procs"
	run_vzrun create --bundle "$BUNDLE" "$ID"
	kill $!
	wait $! || true
	wait_until rmdir "$dir/nested"
	rmdir "$dir"
	assert_match "$status $stderr" "1 *container's cgroup is not empty*"
}

@test "a frozen cgroup is refused" {
	cgroupfs_paths
	local dir

	needs_v1
	needs_controller freezer
	dir=$(future freezer)
	mkdir "$dir"
	echo FROZEN >"$dir/freezer.state"
	run_vzrun create --bundle "$BUNDLE" "$ID"
	echo THAWED >"$dir/freezer.state"
	rmdir "$dir"
	assert_match "$status $stderr" "1 *container's cgroup unexpectedly frozen*"
	no_cgroup
}

@test "a frozen one of cgroup v2 is refused as well" {
	cgroupfs_paths
	local dir

	[[ $(cg_mode) == hybrid ]] || skip "needs a hybrid host"
	dir=/sys/fs/cgroup/unified/$ID
	config_set --arg p "/$ID" '.linux.cgroupsPath = $p'
	mkdir "$dir"
	echo 1 >"$dir/cgroup.freeze"
	run_vzrun create --bundle "$BUNDLE" "$ID"
	echo 0 >"$dir/cgroup.freeze"
	rmdir "$dir"
	assert_match "$status $stderr" "1 *container's cgroup unexpectedly frozen*"
	no_cgroup
}

@test "an empty one that was there is used and stays" {
	cgroupfs_paths
	local dir

	needs_controller pids
	dir=$(future pids)
	mkdir "$dir"
	start_sleep
	grep -q "^$(pid_of "$ID")\$" "$dir/cgroup.procs"
	ok delete --force "$ID"
	rmdir "$dir"
	no_cgroup
}

# ---- delete ----

@test "delete removes nested cgroups of the payload's" {
	local dir c

	start_sleep
	for c in pids memory; do
		needs_controller $c
		dir=$(cg_dir "$(pid_of "$ID")" $c)
		mkdir -p "$dir/a/b" "$dir/c"
	done
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
	no_cgroup
}

@test "delete --force kills what sits in nested cgroups" {
	local dir

	needs_v1
	start_sleep
	dir=$(cg_dir "$(pid_of "$ID")" pids)
	mkdir "$dir/deep"
	ok exec -d --cgroup pids:deep --pid-file "$T/pid" "$ID" sleep 1000
	ok delete --force "$ID"
	[[ ! -e /proc/$(<"$T/pid") ]]
	no_cgroup
}

# ---- update ----

@test "update: memory grows and shrinks, with and without swap" {
	needs_v1
	needs_controller memory
	local swap

	config_set '.linux.resources = {memory: {limit: 33554432, swap: 33554432}}'
	start_sleep
	swap=$(cg_dir "$(pid_of "$ID")" memory)/memory.memsw.limit_in_bytes
	ok update --memory 67108864 --memory-swap 100663296 "$ID"
	assert_eq "$(cg memory.limit_in_bytes)" 67108864
	[[ ! -e $swap ]] || assert_eq "$(<"$swap")" 100663296
	ok update --memory 16777216 --memory-swap 20971520 "$ID"
	assert_eq "$(cg memory.limit_in_bytes)" 16777216
	[[ ! -e $swap ]] || assert_eq "$(<"$swap")" 20971520
	ok update --memory 18M "$ID"
	assert_eq "$(cg memory.limit_in_bytes)" 18874368
	ok update --memory -1 "$ID"
	assert_eq "$(cg memory.limit_in_bytes)" 9223372036854771712
}

@test "update: every option of a controller that is here" {
	needs_v1
	start_sleep
	ok update --cpu-share 256 --cpu-quota 45000 --cpu-period 90000 --cpu-burst 10000 --cpuset-cpus 0 --cpuset-mems 0 \
		--pids-limit 33 --memory-reservation 8388608 "$ID"
	assert_eq "$(cg cpu.shares) $(cg cpu.cfs_quota_us) $(cg cpu.cfs_period_us) $(cg cpu.cfs_burst_us)" "256 45000 90000 10000"
	assert_eq "$(cg cpuset.cpus) $(cg cpuset.mems) $(cg pids.max) $(cg memory.soft_limit_in_bytes)" "0 0 33 8388608"
	ok update --cpu-idle 1 "$ID"
	assert_eq "$(cg cpu.idle)" 1
}

@test "update: one refused value changes nothing" {
	needs_v1
	config_set '.linux.resources = {memory: {limit: 33554432}, cpu: {shares: 512, quota: 50000}, pids: {limit: 40}}'
	start_sleep
	fails "/cpu/cpus" update --memory 67108864 --cpu-share 256 --pids-limit 7 --cpuset-cpus 4000 "$ID"
	assert_eq "$(cg memory.limit_in_bytes) $(cg cpu.shares) $(cg pids.max)" "33554432 512 40"
	# More than the quota.  (Not a tiny quota: with systemd it is rounded up to a percent.)
	fails "/cpu/burst" update --pids-limit 7 --cpu-burst 60000 "$ID"
	assert_eq "$(cg pids.max) $(cg cpu.cfs_quota_us) $(cg cpu.cfs_burst_us)" "40 50000 0"
	fails "--memory" update --memory much --pids-limit 7 "$ID"
	assert_eq "$(cg pids.max)" 40
}

@test "update -r: a document from standard input or a file" {
	needs_v1
	start_sleep
	echo '{"pids": {"limit": 17}, "memory": {"limit": 41943040}}' >"$T/r.json"
	VZ_STDIN=$T/r.json ok update -r - "$ID"
	assert_eq "$(cg pids.max) $(cg memory.limit_in_bytes)" "17 41943040"
	echo '{"cpu": {"shares": 100}}' >"$T/r.json"
	ok update --resources="$T/r.json" "$ID"
	assert_eq "$(cg cpu.shares) $(cg pids.max)" "100 17"
	echo '{"pids": {"limit": "x"}}' >"$T/r.json"
	fails "/pids/limit" update -r "$T/r.json" "$ID"
	fails "$T/none.json" update -r "$T/none.json" "$ID"
}

@test "update: merges with what earlier updates set" {
	needs_v1
	needs_controller memory
	config_set '.linux.resources = {memory: {limit: 33554432}}'
	start_sleep
	ok update --memory 50331648 "$ID"
	# The swap limit is held against the limit of the earlier update.
	fails "/memory/swap" update --memory-swap 41943040 "$ID"
	run_vzrun update --memory-swap 62914560 "$ID"
	assert_eq "$(cg memory.limit_in_bytes)" 50331648
}

@test "update: checkBeforeUpdate refuses a limit below the usage" {
	needs_v1
	needs_controller memory
	config_set '.linux.resources = {memory: {limit: 67108864}} | .process.args = ["sh", "-c", "dd if=/dev/zero of=/dev/shm/f bs=1M count=12 2>/dev/null; echo done; exec sleep 1000"]'
	"$VZRUN" --root "$ROOT" run -d --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&-
	wait_until grep -q done "$T/out"
	echo '{"memory": {"limit": 8388608, "checkBeforeUpdate": true}}' >"$T/r.json"
	fails "/memory/limit" update -r "$T/r.json" "$ID"
	assert_match "$stderr" "*below the current usage*"
	assert_eq "$(cg memory.limit_in_bytes)" 67108864
}

@test "update: not of a stopped container" {
	config_set '.process.args = ["true"]'
	ok run -d --bundle "$BUNDLE" "$ID"
	wait_state "$ID" stopped
	fails "container not running" update --pids-limit 5 "$ID"
}

# ---- freeze ----

@test "pause: exec is refused unless told otherwise, resume lets it run" {
	start_sleep
	ok pause "$ID"
	state_is "$ID" paused
	fails "cannot exec in a paused container (use --ignore-paused to override)" exec "$ID" true
	assert_eq "$status" 255
	# It waits like everything else in there.
	timeout 20 "$VZRUN" --root "$ROOT" exec --ignore-paused "$ID" sh -c 'echo ran >/tmp/ran' >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	sleep 0.2
	[[ ! -e $BUNDLE/rootfs/tmp/ran ]] && kill -0 $!
	ok resume "$ID"
	wait $!
	[[ -e $BUNDLE/rootfs/tmp/ran ]]
	state_is "$ID" running
	fails "container not paused" resume "$ID"
}

@test "pause: a paused container dies by KILL and can be deleted" {
	start_sleep
	ok pause "$ID"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
	no_cgroup
}

@test "pause: the same when someone used the v1 freezer" {
	local dir

	needs_v1
	needs_controller freezer
	start_sleep
	dir=$(cg_dir "$(pid_of "$ID")" freezer)
	echo FROZEN >"$dir/freezer.state"
	wait_until grep -q FROZEN "$dir/freezer.state"
	state_is "$ID" paused
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
	no_cgroup
}

@test "pause: delete --force of a container whose v1 freezer is closed" {
	local dir

	needs_v1
	needs_controller freezer
	start_sleep
	dir=$(cg_dir "$(pid_of "$ID")" freezer)
	echo FROZEN >"$dir/freezer.state"
	VZ_TIMEOUT=15 ok delete --force "$ID"
	no_cgroup
}

@test "pause: KILL without a pid namespace of its own, in a nested frozen v1 cgroup" {
	local dir

	needs_v1
	needs_controller freezer
	config_set '.linux.namespaces |= map(select(.type != "pid"))'
	start_sleep
	dir=$(cg_dir "$(pid_of "$ID")" freezer)
	mkdir "$dir/nested"
	ok exec -d --cgroup freezer:nested --pid-file "$T/pid" "$ID" sleep 1000
	echo FROZEN >"$dir/nested/freezer.state"
	VZ_TIMEOUT=15 ok kill "$ID" KILL
	wait_until test ! -e "/proc/$(<"$T/pid")/fd"
	wait_state "$ID" stopped
	ok delete "$ID"
	no_cgroup
}

@test "pause: a signal to a paused container arrives when it is resumed" {
	config_set '.process.args = ["sh", "-c", "trap \"echo got >/tmp/got; exit 0\" TERM; echo ready >/tmp/ready; while :; do sleep 0.05; done"]'
	ok run -d --bundle "$BUNDLE" "$ID"
	wait_until test -e "$BUNDLE/rootfs/tmp/ready"
	ok pause "$ID"
	ok kill "$ID" TERM
	ok resume "$ID"
	wait_until test -e "$BUNDLE/rootfs/tmp/got"
	wait_state "$ID" stopped
}

# ---- without ----

@test "cgroup-manager disabled: no cgroup is made, the container stays where the caller is" {
	local before

	config_set '.linux.resources = {} | .mounts |= map(select(.type != "cgroup"))'
	before=$(cgroup_lines self)
	ok --cgroup-manager=disabled create --bundle "$BUNDLE" "$ID"
	no_cgroup
	assert_eq "$(cgroup_lines "$(pid_of "$ID")")" "$before"
	config_set '.process.args = ["true"]'
	ok start "$ID"
	wait_state "$ID" stopped
	ok delete "$ID"
}

@test "cgroup-manager disabled: limits of the document are not applied, and it says so" {
	config_set '.linux.resources = {memory: {limit: 4096}, pids: {limit: 1}} | .process.args = ["true"]'
	ok --cgroup-manager=disabled run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*/linux/resources is not applied without a cgroup: memory, pids*"
	no_cgroup
}

@test "cgroup-manager disabled: pause and update say so, ps, exec and kill work" {
	config_set '.linux.resources = {} | .mounts |= map(select(.type != "cgroup")) | .process.args = ["sleep", "1000"]'
	ok --cgroup-manager disabled run -d --bundle "$BUNDLE" "$ID"
	ok ps "$ID"
	assert_match "$output" "*sleep 1000*"
	fails "the container has no cgroup" pause "$ID"
	fails "the container has no cgroup" update --pids-limit 4 "$ID"
	ok exec "$ID" true
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok delete "$ID"
}

@test "cgroup-manager: an unknown word, and systemd where there is none" {
	fails "cgroup-manager" --cgroup-manager=magic create --bundle "$BUNDLE" "$ID"
	in_mount_ns 'mkdir -p "$T/empty"; mount --bind "$T/empty" /run'
	fails "systemd cannot be reached" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	fails "use --cgroup-manager=cgroupfs" --cgroup-manager systemd run --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	no_cgroup
}
