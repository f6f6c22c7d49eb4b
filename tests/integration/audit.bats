#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The leak audit itself: each kind of leak is made on purpose and must be found.  An audit that finds nothing would
# make every other test weaker without a sign.

load ../lib/helpers

setup() {
	T=$(mktemp -d "$BATS_RUN_TMPDIR/a.XXXXXX")
	export AUDIT_STATE=$T/root
	VZRUN_TEST_ID=audit-$BATS_TEST_NUMBER-$RANDOM
	mkdir "$T/root"
	audit snapshot "$T/before"
}

teardown() {
	audit clean "$T/before" "$VZRUN_TEST_ID"
	rm -rf --one-file-system "$T"
}

# found PATTERN [COMMAND...]: the audit fails, names the leak, and after cleaning (and the command) is content again.
found() {
	local said rc=0 pattern=$1

	shift

	said=$(audit check "$T/before" "$VZRUN_TEST_ID" 3) || rc=$?
	assert_eq "$rc" 1 || return
	assert_match "$said" "*LEAK: $pattern*" || return
	audit clean "$T/before" "$VZRUN_TEST_ID"
	"$@"
	audit check "$T/before" "$VZRUN_TEST_ID"
}

@test "audit: nothing leaked is nothing found" {
	audit check "$T/before" "$VZRUN_TEST_ID"
}

@test "audit: what goes away by itself in a moment is no leak" {
	mkdir "$T/root/soon"
	(sleep 0.4; rmdir "$T/root/soon") 3>&- 4>&- &
	audit check "$T/before" "$VZRUN_TEST_ID"
}

@test "audit: finds a process" {
	VZRUN_TEST_ID=$VZRUN_TEST_ID setsid sleep 300 >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	found "process $! sleep 300"
}

@test "audit: finds a mount" {
	needs_root
	mkdir "$T/m"
	mount -t tmpfs none "$T/m"
	found "mount $T/m"
}

@test "audit: finds a cgroup, and one with a process in it" {
	needs_root
	local d

	d=$(cg_dir self pids)/$VZRUN_TEST_ID
	mkdir "$d"
	found "cgroup $d"
	mkdir "$d"
	VZRUN_TEST_ID=$VZRUN_TEST_ID sleep 300 >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	echo $! >"$d/cgroup.procs"
	found "cgroup $d"
}

@test "audit: cleaning leaves alone what may be somebody else's" {
	needs_root
	local d pid

	d=$(cg_dir self pids)/vz-other-$$
	mkdir "$d"
	sleep 300 >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	pid=$!
	echo $pid >"$d/cgroup.procs"
	audit clean "$T/before" "$VZRUN_TEST_ID"
	kill -0 $pid && [[ -d $d ]]
	kill -KILL $pid
	wait $pid || true
	rmdir "$d"
}

@test "audit: finds a network device" {
	needs_root
	needs_command ip
	ip link add "vza$$" type dummy 2>/dev/null || ip link add "vza$$" type bridge 2>/dev/null ||
		ip link add "vza$$" type veth peer name "vzb$$" || skip "the kernel makes no network device here"
	found "netdev vza$$" ip link delete "vza$$"
}

@test "audit: finds a loop device" {
	needs_root
	local l

	truncate -s 1M "$T/img"
	l=$(losetup -f --show "$T/img" 2>/dev/null) || skip "no loop devices here"
	found "loop $l" losetup -d "$l"
}

@test "audit: finds a state directory" {
	mkdir "$T/root/c1"
	found "state $T/root/c1"
}

@test "audit: finds a keyring" {
	needs_command keyctl
	local k said rc=0

	k=$(keyctl newring "_ses.audit$$" @u) || skip "no user keyring here"
	said=$(audit check "$T/before" "$VZRUN_TEST_ID" 3) || rc=$?
	keyctl unlink "$k" @u
	assert_eq "$rc" 1
	assert_match "$said" "*LEAK: keyring _ses.audit$$*"
	audit check "$T/before" "$VZRUN_TEST_ID"
}

@test "audit: the runner of the test guests says what bats says" {
	needs_command bats
	[[ -z ${VZ_LEG:-} ]] || skip "asked on the host"
	cp "$TOP/tests/lib/runner-sample.bats" "$T/sample.bats"
	printf '%s\n' 'setup_file() { false; }' '@test "none" { true; }' >"$T/broken.bats"
	for file in sample broken; do
		for down in good bad; do
			for how in "bats --tap" "bash $TOP/tests/lib/run-bats"; do
				# shellcheck disable=SC2086
				run env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$T" TEARDOWN_FILE=$down $how "$T/$file.bats"
				output="status $status
$(grep -v '^# ' <<<"$output")"
				[[ $how == bats* ]] && want=$output
			done
			assert_eq "$output" "$want"
		done
	done
}

# The shell goes on behind it, whatever the command says.
@test "no test has a lone ! COMMAND for a check" {
	assert_eq "$(grep -nE '^[[:blank:]]*! ' "$TOP"/tests/*/*.bats "$TOP"/tests/*/*.bash | grep -vE '\|\||&&|\\$')" ""
}
