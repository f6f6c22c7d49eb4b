#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# features and spec: what this build can do, and a document to start from.

load ../lib/helpers

@test "features: every key of the specification, null nowhere" {
	ok features
	while read -r path type; do
		assert_eq "$(jq -r ".$path | type" "$T/stdout")" "$type" || { echo "$path"; return 1; }
	done <<-'E'
		ociVersionMin string
		ociVersionMax string
		hooks array
		mountOptions array
		linux.namespaces array
		linux.capabilities array
		linux.cgroup.v1 boolean
		linux.cgroup.v2 boolean
		linux.cgroup.systemd boolean
		linux.cgroup.systemdUser boolean
		linux.cgroup.rdma boolean
		linux.seccomp.enabled boolean
		linux.apparmor.enabled boolean
		linux.selinux.enabled boolean
		linux.memoryPolicy.modes array
		linux.memoryPolicy.flags array
		linux.intelRdt.enabled boolean
		linux.intelRdt.schemata boolean
		linux.intelRdt.monitoring boolean
		linux.mountExtensions.idmap.enabled boolean
		linux.netDevices.enabled boolean
		annotations object
		potentiallyUnsafeConfigAnnotations array
	E
	assert_eq "$(jq '[.. | nulls] | length' "$T/stdout")" 0
	assert_eq "$(jq -c .hooks "$T/stdout")" '["prestart","createRuntime","createContainer","startContainer","poststart","poststop"]'
	# What containerd, CRI-O and podman ask for.
	jq -e '(.linux.namespaces | index("user")) and .linux.mountExtensions.idmap.enabled and (.mountOptions | index("rro"))
		and (.linux.capabilities | index("CAP_SYS_ADMIN")) and (.linux.cgroup.v2) and (.ociVersionMin == "1.0.0")' "$T/stdout"
	if jq -e .linux.seccomp.enabled "$T/stdout"; then
		jq -e '.linux.seccomp | (.actions | index("SCMP_ACT_ERRNO")) and (.operators | index("SCMP_CMP_EQ"))
			and (.archs | index("SCMP_ARCH_X86_64")) and ((.knownFlags | length) >= (.supportedFlags | length))' "$T/stdout"
	fi
}

@test "features: need no state directory, no root and no mounts" {
	"$VZRUN" features >"$T/a"
	env -i unshare -r "$VZRUN" --root "$T/none" features >"$T/b"
	diff "$T/a" "$T/b"
	[[ ! -e $T/none ]]
}

@test "features: both versions and every version between are accepted" {
	ok features
	for v in $(jq -r '.ociVersionMin, .ociVersionMax' "$T/stdout") 1.0.2-dev 1.1.0+dev 1.99.0; do
		config_set --arg v "$v" '.ociVersion = $v'
		ok run --bundle "$BUNDLE" "$ID"
	done
	for v in 2.0.0 0.9.0 "" x; do
		config_set --arg v "$v" '.ociVersion = $v'
		fails '/ociVersion' run --bundle "$BUNDLE" "$ID"
	done
}

@test "spec: the document runs" {
	ok spec --bundle "$T"
	assert_eq "$(stat -c %F "$T/config.json")" "regular file"
	mv "$BUNDLE/rootfs" "$T/rootfs"
	config_set --file "$T/config.json" '.process.terminal = false | .process.args = ["sh", "-c", "id -u; hostname; pwd"]'
	ok run --bundle "$T" "$ID"
	assert_eq "$(sed -n 1p "$T/stdout")$(sed -n 3p "$T/stdout")" 0/
}

@test "spec: is written to the current directory, and over nothing" {
	cd "$T"
	ok spec
	cp config.json saved
	fails 'config.json exists. Remove it first' spec
	diff config.json saved
	ln -s nowhere "$T/bundle/dangling"
	rm "$CONFIG"
	ln -s "$T/target" "$CONFIG"
	fails 'exists' spec -b "$BUNDLE"
	[[ ! -e $T/target ]]
	fails "$T/none/config.json: no such file or directory" spec -b "$T/none"
}

@test "spec: --rootless is a document for a plain user" {
	ok spec --rootless --bundle "$T"
	jq -e '[.linux.namespaces[].type] | index("user") and (index("network") | not)' "$T/config.json"
	jq -e '.linux.uidMappings | length == 1 and .[0].containerID == 0 and .[0].size == 1' "$T/config.json"
	jq -e '.linux.resources == null or (.linux.resources | del(.devices) == {})' "$T/config.json"
}
