# SPDX-License-Identifier: LGPL-2.1-or-later
# The leak audit: what a test leaves on the host.  audit_snapshot FILE before, audit_check FILE MARKER after.
# One line per object, "KIND NAME"; a leak is a line that is there after and was not before.  Some objects die a
# moment after their last user (a pid namespace's mounts, keyrings, network devices), so the audit looks again
# for up to two seconds before it calls something a leak.

# audit_list: prints every object that could leak.  Forks little: every test runs it twice.
audit_list() {
	local f line k

	while IFS=' ' read -r _ _ _ _ f _; do
		echo "mount $f"
	done </proc/self/mountinfo
	find /sys/fs/cgroup -mindepth 1 -type d -printf 'cgroup %p\n' 2>/dev/null
	for f in /sys/class/net/*; do
		echo "netdev ${f##*/}"
	done
	for f in /sys/block/loop*/loop/backing_file; do
		[[ -e $f ]] && line=${f%/loop/*} && echo "loop /dev/${line##*/}"
	done
	for f in /run/vzrun/* "${AUDIT_STATE:-/nonexistent}"/* /dev/mqueue/* /run/netns/*; do
		[[ -e $f || -L $f ]] && echo "state $f"
	done
	# A keyring of a container is named _ses.ID.  Times and counts in the line change by themselves.
	while read -r _ _ _ _ _ _ _ k f _; do
		[[ $k == keyring && $f == _ses.* ]] && echo "keyring $f"
	done </proc/keys 2>/dev/null
	return 0
}

audit_snapshot() {
	audit_list | LC_ALL=C sort >"$1"
}

# audit_processes MARKER: processes which were started with VZRUN_TEST_ID=MARKER in their environment: everything
# below vzrun, since it is exported, and the payloads, since the test bundle hands it to them.
audit_processes() {
	local f pid stat

	for f in $(VZRUN_TEST_ID='' grep -lsz "^VZRUN_TEST_ID=$1\$" /proc/[0-9]*/environ 2>/dev/null); do
		pid=${f#/proc/}
		pid=${pid%/environ}
		# bats and its own helpers, and this shell, are no leak; a process that is gone by now neither.
		[[ $pid != "$$" && $pid != "$BASHPID" && " ${AUDIT_IGNORE_PIDS:-} " != *" $pid "* ]] || continue
		stat=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
		echo "process $pid ${stat:-zombie}"
	done
}

# audit_check FILE MARKER: prints the leaks and returns 1 when there is one.
audit_check() {
	local before=$1 marker=$2 i leaks

	for ((i = 0; ; i++)); do
		leaks=$(audit_list | LC_ALL=C sort | LC_ALL=C comm -13 "$before" -; audit_processes "$marker")
		[[ -n $leaks ]] || return 0
		((i < ${AUDIT_TRIES:-20})) || break
		sleep 0.1
	done
	printf 'LEAK: %s\n' "${leaks//$'\n'/$'\n'LEAK: }"
	return 1
}

# audit_clean FILE MARKER: removes what was leaked, so that the next test starts from a clean host.
audit_clean() {
	local kind name pid

	for pid in $(audit_processes "$2" | cut -d' ' -f2); do
		kill -KILL "$pid" 2>/dev/null
	done
	audit_list | LC_ALL=C sort | LC_ALL=C comm -13 "$1" - | LC_ALL=C sort -r | while read -r kind name; do
		case $kind in
		mount) umount -l "$name" ;;
		cgroup)
			[[ -e $name/freezer.state ]] && echo THAWED >"$name/freezer.state"
			while read -r pid; do kill -KILL "$pid"; done <"$name/cgroup.procs"
			sleep 0.05
			rmdir "$name"
			;;
		netdev) ip link delete "$name" ;;
		loop) losetup -d "$name" ;;
		state) rm -rf "$name" ;;
		esac
	done >/dev/null 2>&1
	return 0
}
