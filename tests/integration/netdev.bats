#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# linux.netDevices.  The devices are made in a network namespace of the test.

load ../lib/helpers

setup() {
	vz_setup
	needs_command ip
	unshare -n ip link add va type veth peer name vb 2>/dev/null || skip "the kernel makes no network device here"
	export VZ_UNSHARE=-n
	in_mount_ns 'ip link set lo up; ip link add va type veth peer name vb; ip link set vb up
		ip addr add 10.7.0.1/24 dev va; ip addr add 10.7.0.2/32 dev va; ip -6 addr add fd07::1/64 dev va nodad
		ip link set va address 02:00:00:00:07:01 mtu 1400
		trap "ip -o link >$T/links" 0'
	sed -i "s/^exec \\('.*\\)/\\1/" "$T/in-mount-ns"
}

links() { cut -d' ' -f2 "$T/links" | tr -d : | cut -d@ -f1 | tr '\n' ' '; }

@test "netdev: a device goes in: its addresses, up, gone from the host" {
	config_set '.linux.netDevices = {va: {}}'
	run_sh 'ip addr show va; '"$INTERFACES"
	assert_match "$output" "*va*<*UP*mtu 1400*link/ether 02:00:00:00:07:01*10.7.0.1/24*10.7.0.2/32*fd07::1/64*"
}

@test "netdev: with a name of its own, with a template" {
	config_set '.linux.netDevices = {va: {name: "eth0"}}'
	run_sh "$INTERFACES"'; ip addr show eth0'
	assert_match "$output" "eth0
lo
*10.7.0.1/24*"
	config_set '.linux.netDevices = {va: {name: "net%d"}, vb: {name: "net%d"}}'
	run_sh "$INTERFACES"
	assert_eq "$output" "lo
net0
net1"
}

@test "netdev: a name that is taken is an error, and the host has its device back" {
	config_set '.linux.netDevices = {va: {name: "lo"}}'
	fails "/linux/netDevices/va/name: lo exists in the container's network namespace" run --bundle "$BUNDLE" "$ID"
	assert_match "$(links)" "*va*"
	config_set '.linux.netDevices = {va: {name: "same"}, vb: {name: "same"}}'
	fails "config.json: /linux/netDevices/vb/name: 'same' is there twice" run --bundle "$BUNDLE" "$ID"
}

@test "netdev: a missing device is an error" {
	config_set '.linux.netDevices = {nosuch: {}}'
	fails "/linux/netDevices/nosuch: no such interface" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.netDevices = {va: {}, zz: {}}'
	fails "/linux/netDevices/zz: no such interface" run --bundle "$BUNDLE" "$ID"
	assert_match "$(links)" "*va*"
}

@test "netdev: a create that fails later gives it back by its old name" {
	config_set '.linux.netDevices = {va: {name: "inside"}} | .process.args = ["/nonexistent"]'
	fails "/nonexistent" run --bundle "$BUNDLE" "$ID"
	assert_match "$(links)" "*va*"
	[[ $(links) != *inside* ]]
}

@test "netdev: bad names and no network namespace" {
	config_set '.linux.netDevices = {va: {name: "a/b"}}'
	fails "config.json: /linux/netDevices/va/name: 'a/b' is no interface name" run --bundle "$BUNDLE" "$ID"
	config_set '.linux.netDevices = {va: {name: "seventeen-letters"}}'
	fails "config.json: /linux/netDevices/va/name: " run --bundle "$BUNDLE" "$ID"
	config_set '.linux.netDevices = {va: {}} | .linux.namespaces |= map(select(.type != "network"))'
	fails "config.json: /linux/netDevices: needs a network namespace" run --bundle "$BUNDLE" "$ID"
}

@test "netdev: in a user namespace" {
	new_userns
	config_set '.linux.netDevices = {va: {name: "eth0"}}'
	run_sh 'ip addr show eth0'
	assert_match "$output" "*10.7.0.1/24*"
}

@test "netdev: hooks see it inside" {
	cat >"$T/hook" <<-S
		#!/bin/sh
		nsenter -t \$(jq .pid) -n ip -o link show va >$T/hook-saw
	S
	chmod 755 "$T/hook"
	config_set --arg h "$T/hook" --arg p "$PATH" '.linux.netDevices = {va: {}} | .hooks.createRuntime = [{path: $h, env: ["PATH=" + $p]}]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_match "$(cat "$T/hook-saw")" "*va*UP*"
}
