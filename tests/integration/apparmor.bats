#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# AppArmor, with the profiles of tests/lsm/vzrun-test.apparmor.  What a host without it says: scheduler.bats.

load ../lib/helpers

setup_file() {
	if grep -qsx Y /sys/module/apparmor/parameters/enabled && [[ -e /sys/kernel/security/apparmor/.load &&
		$EUID == 0 ]] && command -v apparmor_parser >/dev/null; then
		# The parser's cache is the host's: not for us.
		cp "$BATS_TEST_DIRNAME/../lsm/vzrun-test.apparmor" "$BATS_FILE_TMPDIR/profiles"
		# A word of AppArmor 4: what is older has nothing to permit.
		apparmor_parser --skip-kernel-load --skip-cache "$BATS_FILE_TMPDIR/profiles" 3>&- 4>&- 2>/dev/null ||
			sed -i '/^\tuserns,$/d' "$BATS_FILE_TMPDIR/profiles"
		apparmor_parser --skip-cache --replace "$BATS_FILE_TMPDIR/profiles" 3>&- 4>&-
		touch "$BATS_FILE_TMPDIR/loaded"
	fi
}

teardown_file() {
	vz_teardown_file
	[[ ! -e $BATS_FILE_TMPDIR/loaded ]] || apparmor_parser --remove "$BATS_FILE_TMPDIR/profiles" 3>&- 4>&-
}

setup() {
	vz_setup
	[[ -e $BATS_FILE_TMPDIR/loaded ]] || skip "needs AppArmor, its parser and root"
	echo s3cret >"$BUNDLE/rootfs/secret"
	echo h1dden >"$BUNDLE/rootfs/hidden"
}

profile() { config_set --arg p "$1" '.process.apparmorProfile = $p'; }

# What a process of the container says of its label, and whether it can read the two files.
look='cat /proc/self/attr/apparmor/current; for f in /secret /hidden; do cat $f 2>/dev/null || echo "no $f"; done'

says() { assert_eq "$output" "$(printf '%s\n' "$@")"; }

# under PROFILE: vzrun itself runs confined from here on.
under() {
	VZRUN_REAL=${VZRUN_REAL:-$VZRUN}
	printf '#!/bin/sh\nexec aa-exec -p %s -- %s "$@"\n' "$1" "$VZRUN_REAL" >"$T/under"
	chmod 755 "$T/under"
	VZRUN=$T/under
}

@test "apparmor: a container with a profile cannot read what the profile denies, one without can" {
	run_sh "$look"
	says unconfined s3cret h1dden
	profile vzrun-test
	run_sh "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
	# root of the container is no exception, nor is another way to the file
	run_sh 'id -u; ln /secret /other; mv /secret /other; echo x >/secret; cat /proc/self/root/secret || cat /proc/1/root/secret; true'
	assert_eq "$output" 0
	assert_eq "$(cat "$BUNDLE/rootfs/secret")" s3cret
}

@test "apparmor: unconfined is said, and the empty profile is none" {
	profile unconfined
	run_sh "$look"
	says unconfined s3cret h1dden
	profile ""
	run_sh "$look"
	says unconfined s3cret h1dden
}

@test "apparmor: noNewPrivileges, a filter, a user namespace and a plain user change nothing" {
	local nnp

	profile vzrun-test
	for nnp in true false; do
		config_set --argjson n "$nnp" '.process.noNewPrivileges = $n'
		run_sh "$look"
		says "vzrun-test (enforce)" "no /secret" h1dden
	done
	config_set '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}'
	run_sh "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
	new_userns
	for nnp in true false; do
		config_set --argjson n "$nnp" '.process.noNewPrivileges = $n'
		run_sh "$look"
		says "vzrun-test (enforce)" "no /secret" h1dden
	done
	config_set '.process.user = {uid: 1000, gid: 1000} | del(.process.capabilities)'
	run_sh "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
}

@test "apparmor: exec takes the profile of the document, --apparmor or its own document's" {
	profile vzrun-test
	start_sleep
	ok exec "$ID" sh -c "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
	ok exec --apparmor vzrun-test-other "$ID" sh -c "$look"
	says "vzrun-test-other (enforce)" s3cret "no /hidden"
	ok exec --apparmor unconfined "$ID" sh -c "$look"
	says unconfined s3cret h1dden
	jq --arg s "$look" '.process | .apparmorProfile = "vzrun-test-other" | .args = ["sh", "-c", $s]' "$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	says "vzrun-test-other (enforce)" s3cret "no /hidden"
	jq --arg s "$look" '.process | del(.apparmorProfile) | .args = ["sh", "-c", $s]' "$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	says unconfined s3cret h1dden
}

@test "apparmor: a profile that is not loaded is named, and nothing is left" {
	profile "vzrun-test-absent"
	fails "/process/apparmorProfile: no profile 'vzrun-test-absent' is loaded: load it (apparmor_parser" create \
		--bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	fails "/process/apparmorProfile: no profile 'vzrun-test-absent'" run --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	profile unconfined
	start_sleep
	fails "/process/apparmorProfile: no profile 'absent-too'" exec --apparmor absent-too "$ID" true
	state_is "$ID" running
}

@test "apparmor: the label goes to procfs and not to what the container put in its place" {
	# no procfs at all in the container, and files with the names of the real ones
	mkdir -p "$BUNDLE/rootfs/proc/self/attr/apparmor" "$BUNDLE/rootfs/proc/thread-self/attr/apparmor"
	touch "$BUNDLE"/rootfs/proc/{self,thread-self}/attr/{exec,current,apparmor/exec,apparmor/current}
	config_set '.mounts |= map(select(.destination != "/proc")) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	profile vzrun-test
	run_sh 'cat /secret || echo denied; cat /proc/thread-self/attr/apparmor/exec /proc/self/attr/exec'
	assert_eq "$output" denied
	[[ ! -s $BUNDLE/rootfs/proc/thread-self/attr/apparmor/exec && ! -s $BUNDLE/rootfs/proc/thread-self/attr/exec ]]
}

@test "apparmor: exec into a container that has hidden its /proc" {
	config_set '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"] | unique)'
	profile vzrun-test
	config_set '.process.args = ["sh", "-c", "mount -t tmpfs none /proc && mkdir -p /proc/self/attr/apparmor /proc/thread-self/attr/apparmor && : >/proc/thread-self/attr/apparmor/exec && : >/proc/thread-self/attr/exec; echo >/ready; exec sleep 1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_until test -e "$BUNDLE/rootfs/ready"
	ok exec "$ID" sh -c 'cat /secret || echo denied; cat /proc/thread-self/attr/apparmor/exec /proc/thread-self/attr/exec'
	assert_eq "$output" denied
}

@test "apparmor: vzrun under a profile: it changes where the policy permits that, or both hold" {
	needs_command aa-exec
	under vzrun-test-engine
	config_set '.process.noNewPrivileges = false'
	run_sh "$look"
	says "vzrun-test-engine (enforce)" s3cret "no /hidden"
	profile vzrun-test
	run_sh "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
	# no_new_privs: the kernel permits no change that could give more
	config_set '.process.noNewPrivileges = true'
	run_sh "$look"
	says "vzrun-test//&vzrun-test-engine (enforce)" "no /secret" "no /hidden"
	under vzrun-test-stacker
	for nnp in true false; do
		config_set --argjson n "$nnp" '.process.noNewPrivileges = $n'
		run_sh "$look"
		says "vzrun-test//&vzrun-test-stacker (enforce)" "no /secret" "no /hidden"
	done
}

@test "apparmor: vzrun under a profile that permits no change says which" {
	needs_command aa-exec
	under vzrun-test-jail
	profile vzrun-test
	for nnp in true false; do
		config_set --argjson n "$nnp" '.process.noNewPrivileges = $n'
		fails "/process/apparmorProfile: vzrun itself runs under the profile 'vzrun-test-jail (enforce)', which does not permit the change to 'vzrun-test'" \
			run --bundle "$BUNDLE" "$ID"
	done
	[[ ! -e $ROOT/$ID ]]
}

@test "apparmor: a profile that only names vzrun confines nobody" {
	needs_command aa-exec
	under vzrun-test-name
	profile vzrun-test
	config_set '.process.noNewPrivileges = true'
	run_sh "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
}

@test "apparmor: a startContainer hook runs in the container under its profile, the others do not" {
	profile vzrun-test
	printf '#!/bin/sh\ncat /proc/self/attr/apparmor/current >>%s/$1\n' "$T" >"$T/hook"
	chmod 755 "$T/hook"
	printf '#!/bin/sh\ncat /proc/self/attr/apparmor/current >/start\n' >"$BUNDLE/rootfs/hook"
	chmod 755 "$BUNDLE/rootfs/hook"
	config_set --arg h "$T/hook" '.hooks = {createRuntime: [{path: $h, args: ["h", "runtime"]}],
		poststart: [{path: $h, args: ["h", "poststart"]}], startContainer: [{path: "/hook"}]}'
	run_sh "$look"
	says "vzrun-test (enforce)" "no /secret" h1dden
	assert_eq "$(cat "$T/runtime")" unconfined
	assert_eq "$(cat "$T/poststart")" unconfined
	assert_eq "$(cat "$BUNDLE/rootfs/start")" "vzrun-test (enforce)"
}

# looks_again: what a process that was started before now says.
looks_again() {
	local out=/proc/$(pid_of "$ID")/root/seen/out # on a tmpfs: it comes with the images, whenever they are restored

	rm -f "$out"
	wait_until test -e "$out"
	output=$(<"$out")
}

@test "apparmor: the profile is there after checkpoint and restore; --lsm-profile gives another" {
	local nnp

	needs_criu
	add_mount /seen tmpfs tmpfs mode=777
	for nnp in true false; do
		profile vzrun-test
		config_set --arg s "while :; do { $look; } >/seen/new 2>/dev/null; mv /seen/new /seen/out; sleep .1; done" --argjson n "$nnp" \
			'.process.args = ["sh", "-c", $s] | .process.noNewPrivileges = $n | .root.readonly = false'
		ok run --detach --bundle "$BUNDLE" "$ID"
		looks_again
		says "vzrun-test (enforce)" "no /secret" h1dden
		ok checkpoint --image-path "$T/images" "$ID"
		ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
		looks_again
		says "vzrun-test (enforce)" "no /secret" h1dden
		ok delete --force "$ID"
		fails '"x" is neither apparmor:PROFILE nor selinux:LABEL' restore --detach --bundle "$BUNDLE" --image-path "$T/images" \
			--lsm-profile x "$ID"
		ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" --lsm-profile apparmor:vzrun-test-other "$ID"
		looks_again
		says "vzrun-test-other (enforce)" s3cret "no /hidden"
		ok exec "$ID" sh -c "$look"
		says "vzrun-test-other (enforce)" s3cret "no /hidden"
		ok delete --force "$ID"
		rm -rf "$T/images"
	done
}
