#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The features document: each word in it is recognized in the place of config.json that it stands for.  What the
# kernel, or the other fields, then say to it is another matter: an unknown word has its own text.

load ../lib/helpers

words() { "$VZRUN" features 3>&- 4>&- | jq -r "$1"; }

# each PATH FILTER: a document with $w put in by FILTER is not refused for the word; a wrong word is.
each() {
	local w n=0

	for w in $(words "$1") "$3"; do
		cp "$T/config.json" "$CONFIG"
		config_set --arg w "$w" "$2"
		run_vzrun run --bundle "$BUNDLE" "$ID"
		if [[ $w == "$3" ]]; then
			[[ $status != 0 && $stderr == *"$3"* ]] || { echo "$w is not refused: $status $stderr"; return 1; }
		elif [[ $stderr == *unknown* || $stderr == *"not supported"* ]]; then
			echo "$w: $stderr"
			return 1
		fi
		n=$((n + 1))
	done
	((n > 1))
}

setup() {
	vz_setup
	cp "$CONFIG" "$T/config.json"
}

@test "features: versions are in order, and both are accepted in a document" {
	ok features
	assert_eq "$(jq -r '[.ociVersionMin, .ociVersionMax] | . == sort_by(split(".") | map(tonumber))' "$T/stdout")" true
	each '.ociVersionMin, .ociVersionMax' '.ociVersion = $w' 2.0.0
}

@test "features: only properties that the specification defines, none of them null" {
	ok features
	assert_eq "$(jq -r 'keys - ["ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations",
		"potentiallyUnsafeConfigAnnotations"] | length' "$T/stdout")" 0
	assert_eq "$(jq -r '.linux | keys - ["namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt",
		"memoryPolicy", "mountExtensions", "netDevices"] | length' "$T/stdout")" 0
	assert_eq "$(jq '[.. | select(. == null)] | length' "$T/stdout")" 0
	assert_eq "$(jq -r '.annotations // {} | to_entries | map(select((.value | type) != "string" or .key == "")) | length' "$T/stdout")" 0
}

@test "features: hooks" {
	each '.hooks[]' '.hooks = {($w): [{"path": "/bin/true"}]} | if $w == "none" then .hooks = {"prestart": [{"path": "none"}]} else . end' none
}

@test "features: mount options" {
	each '.mountOptions[]' '.mounts += [{"destination": "/mnt", "source": "rootfs", "type": "none", "options": ["rbind", $w]}]' no-such-option
}

@test "features: mount options: none is the data of a file system" {
	assert_eq "$(words '.mountOptions | map(select(test("^(size|mode|uid|gid|nr_|data|subvol)"))) | length')" 0
}

@test "features: namespaces" {
	each '.linux.namespaces[]' '.linux.namespaces = [{"type": "mount"}, {"type": "uts"}] + [{"type": $w}] | .linux.namespaces |= unique' pdi
}

@test "features: capabilities" {
	each '.linux.capabilities[]' '.process.capabilities = {"bounding": [$w]}
		| if $w == "cap" then .process.capabilities = {"bounding": $w} else . end' cap || return
	# An unknown one is a warning, which names it.
	cp "$T/config.json" "$CONFIG"
	config_set '.process.capabilities.bounding = ["CAP_NO_SUCH"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*CAP_NO_SUCH*"
}

@test "features: seccomp actions" {
	each '.linux.seccomp.actions[]' '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": $w}]}' SCMP_ACT_X
}

@test "features: seccomp operators" {
	each '.linux.seccomp.operators[]' '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO",
		"args": [{"index": 0, "value": 1, "op": $w}]}]}' SCMP_CMP_X
}

@test "features: seccomp architectures" {
	each '.linux.seccomp.archs[]' '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [$w],
		"syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}' SCMP_ARCH_X
}

@test "features: seccomp flags, known and supported" {
	each '.linux.seccomp | .knownFlags[], .supportedFlags[]' '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "flags": [$w],
		"syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}' SECCOMP_FILTER_FLAG_X
	assert_eq "$(words '.linux.seccomp | .supportedFlags - .knownFlags | length')" 0
}

@test "features: memory policies" {
	each '.linux.memoryPolicy.modes[]' '.linux.memoryPolicy = {"mode": $w} + (if $w | test("DEFAULT|LOCAL") then {} else {"nodes": "0"} end)' MPOL_X
}

@test "features: memory policy flags" {
	each '.linux.memoryPolicy.flags[]' '.linux.memoryPolicy = {"mode": "MPOL_BIND", "nodes": "0", "flags": [$w]}' MPOL_F_X
}

@test "features: mappings of mounts are recognized" {
	assert_eq "$(words .linux.mountExtensions.idmap.enabled)" true
	config_set '.mounts += [{"destination": "/mnt", "source": "rootfs", "options": ["bind"], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]'
	fails '/mounts/7' create --bundle "$BUNDLE" "$ID"
}

@test "features: the same on every host: nothing but the command line is looked at" {
	ok features
	cp "$T/stdout" "$T/first"
	unshare -m sh -c 'mount -t tmpfs none /sys && exec "$0" features' "$VZRUN" >"$T/second"
	cmp "$T/first" "$T/second"
}
