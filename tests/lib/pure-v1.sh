#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# pure-v1.sh COMMAND...: runs it on a host whose only cgroups are the v1 hierarchies, which a hybrid host becomes when its
# cgroup2 mounts are left out of a mount namespace.  Only inside a mount namespace of the caller's own (unshare -m): the
# mounts go when its last process goes.  Status 77 and a reason where there is nothing to make it from.
set -eu
v1() { awk '{ i = index($0, " - "); split(substr($0, i + 3), t, " ") } t[1] == "cgroup" && $5 ~ "^/sys/fs/cgroup/[^/]*$" { print $5 }' /proc/self/mountinfo; }
cgroup2() { awk '{ i = index($0, " - "); split(substr($0, i + 3), t, " ") } t[1] == "cgroup2" { print $5 }' /proc/self/mountinfo; }

[ -n "$(v1)" ] || { echo "this host has no cgroup v1 hierarchy" >&2; exit 77; }
mount --make-rprivate /
# Put together where nobody looks, with the host's links from one controller to the hierarchy that it shares.
new=$(mktemp -d "${TMPDIR:-/tmp}/v1.XXXXXX")
mount -t tmpfs -o mode=755 none "$new"
for link in /sys/fs/cgroup/*; do
	[ ! -L "$link" ] || cp -P "$link" "$new"
done
v1 | while read -r dir; do
	mkdir "$new/${dir##*/}"
	mount --bind "$dir" "$new/${dir##*/}"
done
umount -R -l /sys/fs/cgroup
mount --move "$new" /sys/fs/cgroup
rmdir "$new"
cgroup2 | while read -r dir; do
	umount -l "$dir"
done
mount -o remount,ro /sys/fs/cgroup
mount --make-rshared /
exec "$@"
