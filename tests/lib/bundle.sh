#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# bundle.sh DIR TEMPLATE: copies a template made by contrib/bundle.sh.  bin/ is hard links (the copy is a few
# milliseconds), everything that a test may edit is its own.
set -eu
mkdir -p "$1/rootfs"
cp "$2/config.json" "$1/config.json"
cd "$2/rootfs"
cp -al bin "$1/rootfs/bin"
for d in *; do
	[ "$d" = bin ] || cp -a "$d" "$1/rootfs/$d"
done
