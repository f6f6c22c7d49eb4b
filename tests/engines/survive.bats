#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers of two engines at the same time, under systemd: what systemd and the engines do to themselves does not touch them.

load podman

setup_file() { MANAGER=systemd podman_setup_file; }
teardown_file() { podman_teardown_file; }

setup() {
	[[ -S /run/systemd/private ]] || skip "needs systemd"
	needs_command containerd ctr
	MANAGER=systemd
	podman_setup
	start_containerd
}

teardown() {
	[[ -n ${T:-} ]] || return 0
	if [[ -e $T/containerd.toml ]]; then
		c task rm -f c3 >/dev/null 2>&1
		c container rm c3 >/dev/null 2>&1
		systemctl stop "vzctrd$$" >/dev/null 2>&1
	fi
	podman_teardown
}

# As Debian's unit has it: what the daemon started outlives it.
start_containerd() {
	cat >"$T/containerd.toml" <<-C
		version = 2
		root = "$T/ctr-root"
		state = "$T/ctr-state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		address = "$T/c.sock"
		[ttrpc]
		address = "$T/t.sock"
	C
	systemd-run -q --unit "vzctrd$$" --collect -p Type=notify -p KillMode=process -p Delegate=yes \
		containerd --config "$T/containerd.toml" -l warn
}

c() { timeout -k 5 60 ctr -a "$T/c.sock" -n vzsurvive "$@" </dev/null 3>&- 4>&-; }

# Processes, their cgroups and limits, and that each engine can still enter its own.
alive() {
	local p now

	for p in "${pids[@]}"; do
		now+="$p $(cat "/proc/$p/cgroup") $(cg_of "$p" pids.max) "
	done
	assert_eq "$now" "${before:=$now}"
}
alive_within() { alive && gives 0 exec c1 true && gives 0 exec c2 true && c task exec --exec-id "e$RANDOM" c3 true; }

@test "engines: two containers of podman and one of containerd survive a reload of systemd, its exec, a restart of the engine" {
	local before='' pids=()

	starts c1 --pids-limit 21 $IMAGE sleep 1001
	starts c2 --pids-limit 22 $IMAGE sleep 1002
	sh "$TOP/contrib/bundle.sh" "$T/c3" true
	c run -d --rootfs --runc-binary "$VZRUN" --runc-systemd-cgroup --cgroup "system.slice:vzsurvive$$:c3" \
		--env "VZRUN_TEST_ID=$VZRUN_TEST_ID" "$T/c3/rootfs" c3 sleep 1003
	pids=("$(pid_in c1)" "$(pid_in c2)" "$(c task ls | awk '$1 == "c3" { print $2 }')")
	alive
	[[ $before == *.scope*" 21 "*.scope*" 22 "*"vzsurvive$$-c3.scope"* ]]
	systemctl daemon-reload
	alive
	systemctl daemon-reexec
	alive
	systemctl restart "vzctrd$$"
	wait_until c version
	alive_within
	gives 0 rm -f -t 0 c1 c2
	c task kill -s KILL c3
	wait_until no_process "${pids[2]}"
}
no_process() { [[ ! -e /proc/$1/exe ]]; }
