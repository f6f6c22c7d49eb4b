#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# documents.bash INSIDE [PATTERN]: runs a container for each document of documents.jq whose name matches (a bash
# pattern), with INSIDE (the program of inside.c) as its payload, and prints TAP.  Each is followed by the leak audit.
# As root, with $VZRUN.
set -u
export LC_ALL=C
umask 022
inside=$(readlink -f "$1")
pattern=${2:-*}
here=${BASH_SOURCE[0]%/*}
here=$(cd "$here" && pwd)
# Mounts of ours and of what we start die with us; propagation within is as on any host.
if [[ -z ${VZ_CONFORMANCE_NS:-} ]]; then
	VZ_CONFORMANCE_NS=1 exec unshare -m --propagation private bash -c 'mount --make-rshared / && exec bash "$@"' bash \
		"${BASH_SOURCE[0]}" "$inside" "$pattern"
fi

BATS_RUN_TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/vzrun-conformance.XXXXXX")
chmod 755 "$BATS_RUN_TMPDIR"
BATS_FILE_TMPDIR=$BATS_RUN_TMPDIR
holder=
# shellcheck source=tests/lib/helpers.bash
. "$here/../lib/helpers.bash"
finish() {
	[[ -z $holder ]] || kill $holder
	umount -l "$BATS_RUN_TMPDIR"/joined/* "$BATS_RUN_TMPDIR/tree" 2>/dev/null
	rm -rf --one-file-system "$BATS_RUN_TMPDIR"
}
trap finish EXIT

# Namespaces to join, kept by a process and shown as files.
make_joined() {
	local d=$BATS_RUN_TMPDIR/joined t

	[[ -z $holder ]] || return 0
	mkdir "$d"
	unshare --net --ipc --uts --pid --fork --cgroup --time --mount-proc sleep 1000 >/dev/null 2>&1 </dev/null 3>&- &
	holder=$!
	wait_until pgrep -P "$holder" sleep || return
	pid=$(pgrep -P "$holder" sleep)
	for t in network:net ipc:ipc uts:uts pid:pid cgroup:cgroup time:time; do
		touch "$d/${t%:*}"
		mount --bind "/proc/$pid/ns/${t#*:}" "$d/${t%:*}" || return
		joined+="${joined:+,}\"${t%:*}\":\"$(readlink "/proc/$pid/ns/${t#*:}")\""
	done
	holder="$holder $pid"
}

# A mount with another one below it: what recursive options are about.
make_tree() {
	local d=$BATS_RUN_TMPDIR/tree

	mountpoint -q "$d" && return 0
	mkdir -p "$d"
	mount -t tmpfs -o mode=755 tree "$d" && mkdir "$d/sub" && mount -t tmpfs -o mode=755 sub "$d/sub"
}

host_facts() {
	local ns="" t s

	for t in pid:pid network:net mount:mnt ipc:ipc uts:uts user:user cgroup:cgroup time:time; do
		ns+="${ns:+,}\"${t%:*}\":\"$(readlink "/proc/self/ns/${t#*:}")\""
	done
	s=$(</proc/self/status)
	printf '"namespaces":{%s},"umask":18,"oom_score_adj":%s,"bounding":"%s","seccomp":"%s","hostname":"%s","domainname":"%s",
		"machine":"%s","cgroup_mode":"%s"' "$ns" "$(</proc/self/oom_score_adj)" "$(awk '/^CapBnd/ { print $2 }' <<<"$s")" \
		"$(awk '/^Seccomp:/ { print $2 }' <<<"$s")" "$(uname -n)" "$(</proc/sys/kernel/domainname)" "$(uname -m)" "$(cg_mode)"
}

# bind_facts LINE...: "DESTINATION SOURCE" of the bind mounts.
bind_facts() {
	local line dest source out=

	for line; do
		dest=${line%% *} source=${line#* }
		[[ $source == /* ]] || source=$BUNDLE/$source
		out+="${out:+,}\"$dest\":$(stat -L -c '{"dev":%d,"ino":%i}' "$source")"
	done
	printf '"sources":{%s}' "$out"
}

# Why a document cannot be tried here.
cannot() {
	case " $flags " in
	*" realtime "*)
		[[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] || echo "no real-time group scheduling here"
		;;
	*" v1 "*) [[ $(cg_mode) != v2 ]] || echo "needs cgroup v1" ;;
	*" v2 "*) [[ $(cg_mode) == v2 ]] || echo "needs cgroup v2" ;;
	*" hugetlb "*)
		[[ -n $(cg_dir self hugetlb) && -e /sys/fs/cgroup/unified/cgroup.controllers ]] &&
			grep -q hugetlb /sys/fs/cgroup/unified/cgroup.controllers || echo "no cgroup controller hugetlb"
		;;
	esac
}

run_container() {
	case " $flags " in
	*" create "*)
		timeout -k 5 30 "$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" || return
		timeout -k 5 30 "$VZRUN" --root "$ROOT" start "$ID" || return
		wait_state "$ID" stopped && timeout -k 5 30 "$VZRUN" --root "$ROOT" delete "$ID" && ! grep -q '^not ok' "$T/stdout"
		;;
	*" tty "*)
		timeout -k 5 30 script -qec "'$VZRUN' --root '$ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null
		;;
	*" extra-fd "*)
		timeout -k 5 30 "$VZRUN" --root "$ROOT" run --preserve-fds 1 --bundle "$BUNDLE" "$ID" 3</dev/null
		;;
	*) timeout -k 5 30 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" ;;
	esac
}

# What inside.c said is believed only when it got to its end and made comparisons.
verdict() {
	local done_line

	done_line=$(grep '^done: [1-9][0-9]* checks' "$T/said") || { echo "the payload did not get to its end, status $1"; return 1; }
	checks=${done_line#done: }
	checks=${checks%% *}
	if [[ -n $expect ]]; then
		[[ $1 == 1 ]] && grep -q "^not ok $expect: " "$T/said" && return 0
		echo "nothing of the group '$expect' was found, status $1"
		return 1
	fi
	[[ $1 == 0 && $done_line == *" 0 failures" ]] && ! grep -q '^not ok' "$T/said" && return 0
	echo "status $1, $done_line"
	return 1
}

prepare() {
	mkdir "$BUNDLE/source" "$BUNDLE/rootfs/conformance"
	echo text >"$BUNDLE/source/file"
	ln -s source "$BUNDLE/link"
	ln "$BATS_RUN_TMPDIR/inside" "$BUNDLE/rootfs/bin/inside" || return
	# Mount points that are missing are made by the namespace's root.
	[[ " $flags " != *" chown "* ]] || chown 100000:200000 "$BUNDLE/rootfs"
	[[ " $flags " != *" image-dev-fd "* ]] || ln -s /elsewhere "$BUNDLE/rootfs/dev/fd"
}

fill() {
	local text=$1

	text=${text//@T@/$BATS_RUN_TMPDIR}
	text=${text//@B@/$BUNDLE}
	text=${text//@N@/$BATS_RUN_TMPDIR/joined}
	text=${text//\"@INFINITY@\"/18446744073709551615}
	printf '%s\n' "${text//@I@/$ID}"
}

run_document() {
	local status=0 rc=0 why mounted=false bind_lines

	BATS_TEST_NUMBER=$number
	# Before the audit looks: these stay for the documents to come.
	case " $flags " in
	*" join "*) make_joined || return ;;
	*" tree "*) make_tree || return ;;
	esac
	vz_setup || return
	prepare || return
	fill "$document" >"$CONFIG"
	fill "$told" >"$BUNDLE/rootfs/conformance/document.json"
	mapfile -t bind_lines < <(fill "$binds" | tr '|' '\n' | sed '/^$/d')
	[[ $document != *'"type":"cgroup"'*'"source":"cgroup"'* && $document != *'"destination":"/sys/fs/cgroup"'* ]] || mounted=true
	echo "{$facts,$(fill "$more_facts")\"joined\":{$joined},\"cgroup_mounted\":$mounted,$(bind_facts "${bind_lines[@]}")}" \
		>"$BUNDLE/rootfs/conformance/facts.json"
	run_container >"$T/stdout" 2>"$T/stderr" </dev/null 3>&- || status=$?
	# A terminal echoes the end of file.
	tr -d '\r\0' <"$T/stdout" | sed 's/^\^[@D]//' >"$T/said"
	why=$(verdict "$status") || rc=1
	[[ $rc == 0 ]] || { echo "$why"; grep -v '^ok ' "$T/said"; cat "$T/stderr"; } | sed 's/^/# /'
	checks=$(sed -n 's/^done: \([0-9]*\) .*/\1/p' "$T/said")
	total=$((total + ${checks:-0}))
	vz_teardown || rc=1
	return $rc
}

make_template "$BATS_RUN_TMPDIR/template" || exit
cp "$inside" "$BATS_RUN_TMPDIR/inside" || exit
jq -r -f "$here/documents.jq" "$BATS_RUN_TMPDIR/template/config.json" >"$BATS_RUN_TMPDIR/documents.json" || exit
jq -r '.name, (.flags | join(" ")), .expect // "", ((.facts | tojson | .[1:-1]) as $f | if $f == "" then "" else $f + "," end),
	([.document.mounts[] | select((.options // []) | index("bind") or index("rbind")) | select(.options | index("remount") | not)
		| (.destination | sub("^\\./"; "/")) + " " + .source] | join("|")),
	(.document | tojson), (.told // .document | tojson)' "$BATS_RUN_TMPDIR/documents.json" >"$BATS_RUN_TMPDIR/lines" || exit
facts=$(host_facts)
joined=
total=0 number=0 failed=0 ran=0
while IFS= read -r name && IFS= read -r flags && IFS= read -r expect && IFS= read -r more_facts && IFS= read -r binds &&
	IFS= read -r document && IFS= read -r told; do
	# shellcheck disable=SC2053
	[[ $name == $pattern ]] || continue
	number=$((number + 1))
	why=$(cannot)
	if [[ -n $why ]]; then
		echo "ok $number $name # skip $why"
	elif run_document >"$BATS_RUN_TMPDIR/out" 2>&1; then
		ran=$((ran + 1))
		echo "ok $number $name"
	else
		failed=$((failed + 1))
		echo "not ok $number $name"
		cat "$BATS_RUN_TMPDIR/out"
	fi
done <"$BATS_RUN_TMPDIR/lines"
echo "# $number documents, $total comparisons"
# A run without a pattern is the whole suite: fewer documents would be lost coverage.
[[ $pattern != '*' ]] || number=$((number + 1))
if [[ $pattern == '*' ]]; then
	[[ $ran -ge 60 ]] && echo "ok $number at least 60 documents" || { failed=1; echo "not ok $number at least 60 documents"; }
fi
echo "1..$number"
[[ $failed == 0 ]]
