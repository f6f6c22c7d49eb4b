#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# bundle.sh DIR TEMPLATE MARKER: copies a template made by contrib/bundle.sh and puts the marker of the leak audit
# into the environment of its process.  bin/ is hard links (the copy is a few
# milliseconds), everything that a test may edit is its own.
set -eu
mkdir -p "$1/rootfs"
sed "s/\"env\": \[/&\"VZRUN_TEST_ID=$3\", /" "$2/config.json" >"$1/config.json"
cd "$2/rootfs"
cp -al bin "$1/rootfs/bin"
set -- "$1" ./*
dest=$1/rootfs
shift
for d; do
	shift
	[ "$d" = ./bin ] || set -- "$@" "$d"
done
cp -a "$@" "$dest"
