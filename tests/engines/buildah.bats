#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images built with steps that run programs, by podman and by buildah: each RUN is a container of vzrun.

load podman

# What the builder calls is written down: it might as well take another runtime.
setup_file() {
	printf '#!/bin/sh\necho "$*" >>%s\nexec %s "$@"\n' "$BATS_FILE_TMPDIR/calls" "$VZRUN" >"$BATS_FILE_TMPDIR/vzrun"
	chmod 755 "$BATS_FILE_TMPDIR/vzrun"
	VZRUN=$BATS_FILE_TMPDIR/vzrun podman_setup_file || return
	mkdir "$BATS_FILE_TMPDIR/context"
	cp "$BATS_FILE_TMPDIR/image.tar" "$BATS_FILE_TMPDIR/context/root.tar"
}
teardown_file() { podman_teardown_file; }
setup() { podman_setup; }
teardown() { podman_teardown; }

# Of a parent of cgroups the builder would make the cgroup of each RUN itself: none is named.
BUILD=(--isolation oci --network none --layers=false)

recipe() {
	cat <<-F
		FROM scratch
		ADD root.tar /
		ENV A=b
		RUN echo "\$A \$(id -u)" >/built
		USER 1000
		WORKDIR /home/user
		RUN touch /tmp/file && pwd >/tmp/where && id -u >>/tmp/where && echo \$\$ >>/tmp/where
	F
}

built_right() {
	[[ $(grep -c ' run \|^run ' "$BATS_FILE_TMPDIR/calls") -ge 2 || $(grep -c 'create' "$BATS_FILE_TMPDIR/calls") -ge 2 ]]
	rm "$BATS_FILE_TMPDIR/calls"
	gives 0 run --rm "${ULIMITS[@]}" "${RUN[@]}" "$1" cat /built /tmp/where
	assert_eq "$output" $'b 0\n/home/user\n1000\n1'
}

@test "podman build: RUN as root and as a user, and the image runs" {
	recipe >"$T/Containerfile"
	gives 0 build "${BUILD[@]}" -t made:1 -f "$T/Containerfile" "$BATS_FILE_TMPDIR/context"
	built_right made:1
	gives 0 rmi made:1
}

@test "podman build: a RUN that fails ends the build with its status" {
	printf 'FROM %s\nRUN exit 7\n' $IMAGE >"$T/Containerfile"
	pod build "${BUILD[@]}" -t made:2 -f "$T/Containerfile" "$BATS_FILE_TMPDIR/context"
	[[ $status != 0 ]]
	assert_match "$stderr" "*exit 7*exit status 7*"
	raw images -q made:2 2>/dev/null | { ! grep .; }
}

bud() {
	status=0
	timeout -k 5 60 buildah --root "$POD/root" --runroot "$POD/run" --storage-driver "${POD_STORAGE:-overlay}" "$@" \
		>"$T/stdout" 2>"$T/stderr" </dev/null 3>&- 4>&- || status=$?
	output=$(<"$T/stdout")
	[[ $status == 0 ]] || cat "$T/stdout" "$T/stderr"
}

@test "buildah: bud, from, run, the drop-in's runtime" {
	local c

	needs_command buildah
	recipe >"$T/Containerfile"
	bud bud "${BUILD[@]}" -t made:3 -f "$T/Containerfile" "$BATS_FILE_TMPDIR/context"
	assert_eq "$status" 0
	built_right made:3
	bud from made:3
	c=$output
	bud run --isolation oci --network none --runtime "$VZRUN" "$c" sh -c 'cat /built; grep -c . /proc/self/cgroup >/dev/null && echo in'
	assert_eq "$status" 0
	assert_eq "$output" $'b 0\nin'
	bud rm "$c"
	gives 0 rmi made:3
}
