#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# process.capabilities: the five sets as /proc/self/status of the payload tells them.

load ../lib/helpers

# caps_are BND EFF PRM INH AMB: masks in hexadecimal without leading zeros
caps_are() {
	local name value got=

	run_args grep '^Cap' /proc/self/status || return
	for name in CapBnd CapEff CapPrm CapInh CapAmb; do
		value=$(sed -n "s/^$name:\t0*//p" <<<"$output")
		got+="${value:-0} "
	done
	assert_eq "${got% }" "$*"
}

# The five sets in one call, each a JSON array without brackets.
set_caps() {
	config_set ".process.capabilities = {bounding: [$1], effective: [$2], permitted: [$3], inheritable: [$4], ambient: [$5]}"
}

KILL='"CAP_KILL"' CHOWN='"CAP_CHOWN"' # bits 5 (20) and 0 (1)

@test "capabilities: without the object there is none" {
	config_set 'del(.process.capabilities)'
	caps_are 0 0 0 0 0
}

@test "capabilities: an empty object is the same" {
	config_set '.process.capabilities = {}'
	caps_are 0 0 0 0 0
}

@test "capabilities: five different sets for a user that is not root" {
	# Of what execve does for a user without ambient capabilities only the bounding set and inheritable remain.
	config_set '.process.user = {uid: 1000, gid: 1000}'
	set_caps "$KILL, $CHOWN" "$KILL" "$KILL" "$KILL" ""
	caps_are 21 0 0 20 0
}

@test "capabilities: root's effective and permitted come from the bounding set at execve" {
	set_caps "$KILL, $CHOWN" "$KILL, $CHOWN" "$KILL, $CHOWN" "" ""
	caps_are 21 21 21 0 0
}

@test "capabilities: nothing is inheritable unless the document says so (CVE-2022-24769)" {
	caps_are a80425fb a80425fb a80425fb 0 0
}

@test "capabilities: ambient reaches the program of a user" {
	config_set '.process.user = {uid: 1000, gid: 1000}'
	set_caps "$KILL, $CHOWN" "$KILL" "$KILL" "$KILL" "$KILL"
	caps_are 21 20 20 20 20
}

@test "capabilities: ambient without inheritable is a warning, the rest applies" {
	config_set '.process.user = {uid: 1000, gid: 1000}'
	set_caps "$KILL, $CHOWN" "$KILL" "$KILL" "" "$KILL"
	caps_are 21 0 0 0 0
	assert_match "$stderr" "*capabilities that cannot be granted here: CAP_KILL*"
}

@test "capabilities: all that this kernel has" {
	local last names mask own

	last=$(</proc/sys/kernel/cap_last_cap)
	own=$(sed -n 's/^CapBnd:\t0*//p' /proc/self/status)
	names=$("$VZRUN" features | jq -c '.linux.capabilities')
	config_set --argjson n "$names" '.process.capabilities = {bounding: $n, effective: $n, permitted: $n}'
	[[ $(jq length <<<"$names") == $((last + 1)) ]]
	caps_are "$own" "$own" "$own" 0 0
}

@test "capabilities: one that cannot be granted is a warning on stderr, none in the log, and the rest applies" {
	[[ $((0x$(sed -n 's/^CapBnd:\t//p' /proc/self/status) >> 24 & 1)) == 0 ]] || skip "this process has CAP_SYS_RESOURCE"
	set_caps '"CAP_SYS_RESOURCE", "CAP_KILL"' '"CAP_SYS_RESOURCE", "CAP_KILL"' '"CAP_SYS_RESOURCE", "CAP_KILL"' "" ""
	config_set '.process.args = ["grep", "^CapBnd", "/proc/self/status"]'
	ok --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" "CapBnd:	0000000000000020"
	assert_match "$stderr" "*capabilities that cannot be granted here: CAP_SYS_RESOURCE*"
	[[ ! -s $T/log ]]
}

@test "capabilities: an unknown name is a warning" {
	set_caps "$KILL, \"CAP_FROM_2040\"" "$KILL" "$KILL" "" ""
	caps_are 20 20 20 0 0
	assert_match "$stderr" "*CAP_FROM_2040*"
}

@test "capabilities: what is no name at all is an error that points at it" {
	set_caps "$KILL, \"kill\\u0007\"" "" "" "" ""
	fails "/process/capabilities/bounding/1" run --bundle "$BUNDLE" "$ID"
}

@test "capabilities: a user namespace grants what the host cannot" {
	set_caps '"CAP_SYS_RESOURCE"' '"CAP_SYS_RESOURCE"' '"CAP_SYS_RESOURCE"' "" ""
	config_set '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	run_args grep '^CapEff' /proc/self/status
	assert_eq "$output" "CapEff:	0000000001000000"
	assert_eq "$stderr" ""
}

@test "exec --cap: added to the container's in all sets but inheritable (CVE-2022-29162)" {
	set_caps "$KILL" "$KILL" "$KILL" "" ""
	start_sleep
	ok exec "$ID" grep ^Cap /proc/self/status
	assert_match "$output" "*CapEff:	0000000000000020*CapBnd:	0000000000000020*"
	ok exec --cap CAP_CHOWN --cap CAP_NET_ADMIN "$ID" grep ^Cap /proc/self/status
	assert_match "$output" "CapInh:	0000000000000000*CapPrm:	0000000000001021*CapEff:	0000000000001021*CapBnd:	0000000000001021*"
}

@test "exec --cap: an unknown name is a usage error" {
	start_sleep
	fails "CAP_NONE" exec --cap CAP_NONE "$ID" true
}

@test "exec --process: only the document's capabilities, not the container's (CVE-2025-27612)" {
	start_sleep
	jq '.process | .args = ["grep", "^Cap", "/proc/self/status"] | .capabilities = {bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"]}' \
		"$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	assert_match "$output" "*CapEff:	0000000000000001*CapBnd:	0000000000000001*"
}

@test "exec --process: without capabilities there is none" {
	start_sleep
	jq '.process | .args = ["grep", "^Cap", "/proc/self/status"] | del(.capabilities)' "$CONFIG" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	assert_match "$output" "*CapPrm:	0000000000000000*CapEff:	0000000000000000*CapBnd:	0000000000000000*"
}
