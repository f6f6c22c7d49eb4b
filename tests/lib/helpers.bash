# SPDX-License-Identifier: LGPL-2.1-or-later
# For bats files: `load ../lib/helpers`.  Gives setup, teardown and teardown_file (call vz_setup, vz_teardown,
# vz_teardown_file in your own when you need more), and:
#
#   $T             a private directory, removed afterwards      $ROOT      vzrun's --root in it
#   $BUNDLE        $T/bundle, a fresh default bundle            $CONFIG    its config.json
#   $ID            a container id of this test (more: ${ID}-2)
#   run_vzrun ...  vzrun --root $ROOT ...: sets $status, $output (stdout), $stderr; never fails itself
#   ok ...         the same, must succeed                       fails TEXT ...   must fail and say TEXT on stderr
#   set_args ARG...  the payload in $CONFIG
#   config_set F   jq filter on $CONFIG                         run_sh SCRIPT    `run` with `sh -c SCRIPT` as the payload
#   state_is ID S  checks the status                            wait_state ID S  waits for it, up to 10 s
#   wait_until C.. repeats a command until it succeeds, 10 s or $VZ_TIMEOUT    needs_...        skips with a reason
#   add_mount DEST TYPE SOURCE [OPTION...]               one more mount in $CONFIG (TYPE or SOURCE "-": none)
#   mount_line DEST, mount_flags DEST, mount_fs DEST, mount_super DEST
#                  of the mountinfo in $output: the line, the mount's flags, its type, the superblock's options; of
#                  several on one place the last
#   new_userns [UID GID]   a user namespace for the container of $CONFIG, 0 to 65535 from UID and GID (100000 and 200000);
#                  its root owns the root filesystem
#   join_user_namespace    starts $ID-pod, whose user namespace is that of the container of $CONFIG from here on
#   in_mount_ns S  vzrun runs from here on in a mount namespace of its own each time, after the script S in it
#                  (VZ_UNSHARE=-n: in a network namespace as well)
#   read_only P    prints a line of such a script that makes P read-only
#   cgroupfs_paths       the test is about paths of groups as the cgroupfs driver reads them: with that driver everywhere
#   run_args ARG...  `run` with ARGs as the payload      run_probe ARG...  the same with tests/lib/probe.c
#   assert_fds S   payload_fds S: the payload may have the descriptors S ("0 1 2") and no other
#
# Standard output and error of vzrun are files, not pipes: a payload that keeps them open delays nobody.  Every
# teardown deletes what the test left in $ROOT by `delete --force` and then runs the leak audit.

HERE=${BASH_SOURCE[0]%/*}
TOP=$(cd "$HERE/../.." && pwd)
VZRUN=${VZRUN:-$TOP/build/vzrun}
PROBE=${PROBE:-${VZRUN%/*}/tests/lib/probe}
WORKER=${PROBE%/*}/worker
AUDIT=${PROBE%/*}/audit
[[ -x $AUDIT ]] || AUDIT=$TOP/build/tests/lib/audit

LIMIT=${AUDIT%/*}/limit

audit() { "$AUDIT" "$@"; }

vz_setup() {
	set +m
	[[ ${VZ_AS:-root} == root ]] || rootless_skip
	[[ -x $VZRUN && -x $AUDIT && -x $LIMIT ]] || { echo "no $VZRUN, $AUDIT or $LIMIT: build first, with check-programs" >&2; return 1; }
	# One program for all: in an emulated guest each is a thirtieth of a second.
	T=$BATS_RUN_TMPDIR/t.$BASHPID.$RANDOM
	ROOT=$T/root BUNDLE=$T/bundle CONFIG=$T/bundle/config.json
	mkdir -m 755 "$T" "$ROOT" "$BUNDLE" || return
	export AUDIT_STATE=$ROOT AUDIT_KEYRINGS=later
	[[ -e $BATS_FILE_TMPDIR/keyrings ]] || audit keyrings "$BATS_FILE_TMPDIR/keyrings"
	export VZRUN_TEST_ID="t$$-$BATS_TEST_NUMBER-$RANDOM"
	echo "$VZRUN_TEST_ID" >>"$BATS_FILE_TMPDIR/markers"
	ID=$VZRUN_TEST_ID
	audit snapshot "$T/before"
	new_bundle "$BUNDLE"
}

vz_teardown() {
	local rc=0 c

	[[ -n ${T:-} ]] || return 0 # skipped before anything was made
	VZRUN=${VZRUN_REAL:-$VZRUN}
	for c in "$ROOT"/*/; do
		[[ -d $c ]] || continue
		c=${c%/}
		"$LIMIT" 20 "$VZRUN" --root "$ROOT" delete --force "${c##*/}" >>"$T/teardown" 2>&1 </dev/null 3>&- 4>&-
	done
	if ! audit check "$T/before" "$VZRUN_TEST_ID"; then
		rc=1
		cat "$T/teardown" 2>/dev/null
		audit clean "$T/before" "$VZRUN_TEST_ID"
	fi
	cd / && rm -rf --one-file-system "$T" 2>/dev/null
	return $rc
}

setup() { vz_setup; }
teardown() { vz_teardown; }
teardown_file() { vz_teardown_file; }

vz_teardown_file() {
	[[ ! -e $BATS_FILE_TMPDIR/keyrings ]] || audit check-keyrings "$BATS_FILE_TMPDIR/keyrings" "$BATS_FILE_TMPDIR/markers"
}

# new_bundle DIR: the default bundle, whose payload carries the marker of the audit and prints nothing.
new_bundle() {
	local template=${BATS_RUN_TMPDIR:-/tmp}/template

	[[ -e $template/done ]] || make_template "$template" || return
	copy_bundle "$1" "$template"
}

# make_template DIR: a bundle to copy from; what is in /etc is beside the root filesystem.
make_template() {
	sh "$TOP/contrib/bundle.sh" "$1" true && rootless_template "$1/config.json" &&
		mv "$1/rootfs/etc" "$1/etc" && mkdir "$1/rootfs/etc" && : >"$1/done"
}

# VZ_AS says who runs these tests when it is not root: `user` (a plain user), `session` (with a systemd of its own and a
# delegated cgroup), `unshare` (root of a user namespace with one id).  Their default bundle is made accordingly; tests
# that need root all the same stand in tests/lib/rootless-skips.
rootless_template() {
	local first='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: $u, size: 1}] |
		.linux.gidMappings = [{containerID: 0, hostID: $g, size: 1}]'

	[[ ${VZ_AS:-root} != root ]] || return 0
	config_set --file "$1" --argjson u "$EUID" --argjson g "$(id -g)" "$first" || return
	if [[ $VZ_AS == unshare ]]; then
		config_set --file "$1" '.mounts |= map(if .type == "devpts" then .options -= ["gid=5"] else . end)'
	else
		config_set --file "$1" --argjson s "$(subids)" '.linux.uidMappings += [{containerID: 1, hostID: $s, size: 65535}] |
			.linux.gidMappings += [{containerID: 1, hostID: $s, size: 65535}]'
	fi && case $VZ_AS in session) ;; *) config_set --file "$1" 'del(.linux.resources)' ;; esac
}

# The first of the user's subordinate ids.
subids() { awk -F: -v u="$(id -un)" -v n="$EUID" '$1 == u || $1 == n { print $2; exit }' /etc/subuid; }

rootless_skip() {
	local modes file pattern reason

	while IFS='|' read -r modes file pattern reason; do
		# shellcheck disable=SC2053
		[[ $modes == \#* || ,$modes, != *,$VZ_AS,* || ${BATS_TEST_FILENAME##*/} != $file.bats ||
			$BATS_TEST_DESCRIPTION != $pattern ]] || skip "needs root: $reason"
	done <"$HERE/rootless-skips"
}

# copy_bundle DIR TEMPLATE: with the marker of the leak audit in the environment of the process.  bin/ is hard links (the copy is a
# few milliseconds), everything that a test may edit is its own.  One program for all.
copy_bundle() {
	local text f

	[[ -d $1 ]] || mkdir -p "$1"
	read_text text "$2/config.json"
	printf '%s\n' "${text/'"env": ['/'"env": ["VZRUN_TEST_ID='"$VZRUN_TEST_ID"'", '}" >"$1/config.json"
	cp -al "$2/rootfs" "$1/" || return
	for f in "$2"/etc/*; do
		read_text text "$f"
		printf '%s\n' "$text" >"$1/rootfs/etc/${f##*/}"
	done
}

# A filter that says no more than `.process.args = [STRING, ...]` needs no jq, which in an emulated guest is a tenth of a second.
config_set() {
	local file=$CONFIG text

	if [[ ${1:-} == --file ]]; then
		file=$2
		shift 2
	fi
	if [[ $# == 1 && $1 =~ ^'.process.args = '('['[^]\\]*']')$ ]] && put_args "$file" "${BASH_REMATCH[1]}"; then
		return
	fi
	text=$(jq "$@" "$file") && printf '%s\n' "$text" >"$file"
}

# put_args FILE ARRAY: the JSON array as the process's arguments, when it is seen without a parser what it replaces.
put_args() {
	local text old before after

	read_text text "$1"
	before=${text%%'"args":'*} after=${text#*'"args":'}
	[[ $after != "$text" && $after != *'"args":'* ]] || return
	old=${after%%']'*} after=${after#*']'}
	[[ $old =~ ^[[:space:]]*'['([[:space:]]*'"'[a-z0-9/.-]*'"',?)*[[:space:]]*$ ]] || return
	printf '%s\n' "$before\"args\": $2$after" >"$1"
}

# set_args WORD...: in $CONFIG.
set_args() {
	local word text=

	for word; do
		word=${word//'\'/'\\'}
		word=${word//'"'/'\"'}
		word=${word//$'\n'/'\n'}
		word=${word//$'\t'/'\t'}
		text+="${text:+, }\"$word\""
	done
	[[ $text != *[[:cntrl:]]* ]] && put_args "$CONFIG" "[$text]" && return
	text=$(jq '.process.args = $ARGS.positional' "$CONFIG" --args -- "$@") && printf '%s\n' "$text" >"$CONFIG"
}

run_vzrun() {
	local manager=${VZ_MANAGER:+--cgroup-manager=$VZ_MANAGER}

	status=0
	case " $* " in *" --cgroup-manager"* | *" --systemd-cgroup "*) manager= ;; esac
	# Standard streams are given to a process's user: who is not root cannot write to them again.
	[[ ! -e $T/stdout || -w $T/stdout ]] || rm -f "$T/stdout" "$T/stderr"
	"$LIMIT" "${VZ_TIMEOUT:-60}" "$VZRUN" ${manager:+"$manager"} --root "$ROOT" "$@" \
		>"$T/stdout" 2>"$T/stderr" <"${VZ_STDIN:-/dev/null}" 3>&- 4>&- || status=$?
	read_text output "$T/stdout"
	read_text stderr "$T/stderr"
	[[ $status != 124 && $status != 137 ]] || echo "# note: status $status (timed out?): vzrun $*"
	return 0
}

# read_text VARIABLE FILE: what $(<FILE) gives, without NUL bytes and without a fork, which is what costs time in an emulated guest.
read_text() {
	local __text __end

	mapfile -d '' -t __text <"$2"
	printf -v __text %s "${__text[@]}"
	__end=${__text##*[!$'\n']}
	printf -v "$1" %s "${__text%"$__end"}"
}

ok() {
	run_vzrun "$@"
	[[ $status == 0 ]] && return 0
	printf 'vzrun %s: status %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr"
	return 1
}

# fails TEXT ARGS...: a failure that says TEXT (a bash pattern inside the line) and is no crash or timeout.
fails() {
	local text=$1

	shift
	run_vzrun "$@"
	if [[ $status == 0 || ( $status -ge 124 && $status != 255 ) ]]; then
		printf 'vzrun %s: status %s, expected a failure\n%s\n%s\n' "$*" "$status" "$output" "$stderr"
		return 1
	fi
	# shellcheck disable=SC2053
	[[ $stderr == *$text* ]] && return 0
	printf 'vzrun %s says:\n%s\nexpected: %s\n' "$*" "$stderr" "$text"
	return 1
}

# VZ_MANAGER, from the environment: the driver that the tests use where they do not name one themselves.
cgroupfs_paths() { [[ -z ${VZ_MANAGER:-} ]] || VZ_MANAGER=cgroupfs; }

run_sh() {
	local script=$1

	shift
	set_args sh -c "$script" || return
	ok run --bundle "$BUNDLE" "$@" "$ID"
}

run_args() {
	set_args "$@" || return
	ok run --bundle "$BUNDLE" "$ID"
}

add_probe() {
	[[ -x $PROBE ]] || { echo "no $PROBE: build check-programs first"; return 1; }
	cp "$PROBE" "${1:-$BUNDLE}/rootfs/bin/probe"
}

run_probe() { add_probe && run_args probe "$@"; }

# start_sleep [ID] [BUNDLE]: a running container that does nothing.
start_sleep() {
	local id=${1:-$ID} bundle=${2:-$BUNDLE}

	config_set --file "$bundle/config.json" '.process.args = ["sleep", "1000"]' || return
	ok create --bundle "$bundle" "$id" && ok start "$id"
}

# state_field NAME ID: of the state's line for NAME, whose value is a word or a number.
state_field() {
	local json

	json=$("$VZRUN" --root "$ROOT" state "$2" 3>&- 4>&-) || return
	[[ $json =~ \"$1\":\ *\"?([a-z0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}
state_of() { state_field status "$1" 2>/dev/null; }

state_is() {
	local s

	s=$(state_of "$1")
	[[ $s == "$2" ]] && return 0
	echo "state of $1 is '$s', expected '$2'"
	return 1
}

wait_until() {
	local i

	for ((i = 0; i < 20 * ${VZ_TIMEOUT:-10}; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	echo "waited in vain for: $*"
	return 1
}

wait_state() { wait_until state_is "$1" "$2"; }

pid_of() { state_field pid "$1"; }

assert_eq() {
	[[ $1 == "$2" ]] && return 0
	printf 'is:       %s\nexpected: %s\n' "$1" "$2"
	return 1
}

# shellcheck disable=SC2053
assert_match() {
	[[ $1 == $2 ]] && return 0
	printf 'is:       %s\nexpected: %s\n' "$1" "$2"
	return 1
}

add_mount() {
	local dest=$1 type=$2 source=$3 text

	shift 3
	text=$(jq --arg d "$dest" --arg t "$type" --arg s "$source" '.mounts += [{destination: $d}
		+ (if $t == "-" then {} else {type: $t} end) + (if $s == "-" then {} else {source: $s} end)
		+ {options: $ARGS.positional}]' --args "$@" <"$CONFIG") && printf '%s\n' "$text" >"$CONFIG"
}

mount_line() { awk -v d="$1" '$5 == d { l = $0 } END { if (l == "") exit 1; print l }' <<<"$output"; }
mount_flags() { mount_line "$1" | cut -d' ' -f6; }
mount_fs() { mount_line "$1" | sed 's/.* - //' | cut -d' ' -f1; }
mount_super() { mount_line "$1" | sed 's/.* - //' | cut -d' ' -f3; }

new_userns() {
	local uid=${1:-100000} gid=${2:-200000} d=$BUNDLE

	config_set --argjson u "$uid" --argjson g "$gid" '.linux.namespaces += [{type: "user"}] |
		.linux.uidMappings = [{containerID: 0, hostID: $u, size: 65536}] |
		.linux.gidMappings = [{containerID: 0, hostID: $g, size: 65536}]' || return
	# Not bin: its files are the template's.
	find "$BUNDLE/rootfs" -path "$BUNDLE/rootfs/bin" -prune -o -print0 | xargs -0 chown -h "$uid:$gid"
	# The way to the bundle, and no further.
	while [[ $d != / && $d != /tmp ]]; do
		chmod a+x "$d"
		d=${d%/*}
		d=${d:-/}
	done
}

join_user_namespace() {
	ok run --detach --bundle "$BUNDLE" "$ID-pod"
	config_set --arg p "/proc/$(pid_of "$ID-pod")/ns/user" '.linux.namespaces |= map(if .type == "user" then .path = $p else . end) |
		del(.linux.uidMappings, .linux.gidMappings)'
}

# The script sees T and what else the test exported.
in_mount_ns() {
	export T
	VZRUN_REAL=${VZRUN_REAL:-$VZRUN}
	printf '%s\n' '#!/bin/sh' '[ -n "$VZ_IN_NS" ] || exec env VZ_IN_NS=1 unshare -m ${VZ_UNSHARE:-} --propagation private "$0" "$@"' \
		'set -e' "$1" 'unset VZ_IN_NS' "exec '$VZRUN_REAL' \"\$@\"" >"$T/in-mount-ns"
	chmod 755 "$T/in-mount-ns"
	VZRUN=$T/in-mount-ns
}

# read_only PATH: a line for in_mount_ns: what writes that file, or in that directory, is refused by the kernel.
read_only() { echo "mount --bind '$1' '$1'; mount -o remount,bind,ro '$1'"; }

# payload_fds [ARGS of run...]: the descriptors that the payload has, by the kernel's word.  The shell lists its own
# directory without a further process, so the only descriptor of its own is that of the glob, which is closed when
# the words are there: it is filtered by asking again whether it exists.
payload_fds() {
	run_sh 'set -- /proc/$$/fd/*; for f; do [ -L $f ] && printf "%s " ${f##*/}; done' "$@"
	output=${output% }
}

assert_fds() {
	local want=$1

	shift
	payload_fds "$@" && assert_eq "$output" "$want"
}

# For sh in a container: the names of its network interfaces.  The bonding driver has a file among them.
INTERFACES='for i in /sys/class/net/*/; do i=${i%/}; echo "${i##*/}"; done'

# A CRIU that runs on this kernel.
needs_criu() {
	needs_command criu
	criu check >/dev/null 2>&1 || skip "this CRIU does not run on this kernel"
}

needs_criu_feature() { criu check --feature "$1" >/dev/null 2>&1 || skip "CRIU has no $1 here"; }

# A network namespace that somebody else made, as CNI does, that of process $holder, with a way to this one: 10.77.0.2 from 10.77.0.1.
outer_network() {
	unshare -n sleep 1000 3>&- 4>&- &
	holder=$! helpers="${helpers:-} $!"
	apart() { [[ $(readlink "/proc/$holder/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
	wait_until apart
	ip link add "v$holder" type veth peer name eth0 netns "$holder"
	ip addr add 10.77.0.1/24 dev "v$holder"
	ip link set "v$holder" up
	nsenter -t "$holder" -n sh -c 'ip addr add 10.77.0.2/24 dev eth0; ip link set eth0 up; ip link set lo up'
}

# criu_is VERSION: or later.
criu_is() {
	local have

	have=$(criu --version | sed -n 's/^Version: //p')
	[[ $(printf '%s\n' "$1" "$have" | sort -V | head -n 1) == "$1" ]]
}

# cg FILE [ID]: content of a cgroup file of a container, whatever the mode of the host.
cg() {
	local file=$1 pid dir

	pid=$(pid_of "${2:-$ID}")
	dir=$(cg_dir "$pid" "${file%%.*}") && cat "$dir/$file"
}

# cg_dir PID CONTROLLER
cg_dir() {
	local hier controllers path m

	while IFS=: read -r hier controllers path; do
		case ",$controllers," in
		*,"$2",*)
			for m in "/sys/fs/cgroup/$controllers" "/sys/fs/cgroup/$2"; do
				[[ -d $m$path ]] && echo "$m${path%/}" && return 0
			done
			;;
		",,")
			for m in /sys/fs/cgroup/unified /sys/fs/cgroup; do
				[[ -e $m/cgroup.controllers && -e $m$path/cgroup.procs ]] && v2=$m${path%/}
			done
			;;
		esac
	done <"/proc/$1/cgroup"
	[[ -n ${v2:-} ]] && echo "$v2"
}

cg_mode() {
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		echo v2
	elif [[ -e /sys/fs/cgroup/unified/cgroup.controllers ]]; then
		echo hybrid
	else
		echo v1
	fi
}

needs_root() { [[ $EUID == 0 && ${VZ_AS:-root} == root ]] || skip "needs root"; }
needs_v1() { [[ $(cg_mode) != v2 ]] || skip "needs cgroup v1"; }
needs_v2() { [[ $(cg_mode) == v2 ]] || skip "needs cgroup v2"; }
needs_controller() {
	# These are no controllers any more: every group can be frozen, and devices are a program's.
	[[ $(cg_mode) == v2 && ( $1 == freezer || $1 == devices ) ]] && return 0
	[[ $(cg_mode) == v2 && " $(</sys/fs/cgroup/cgroup.controllers) " == *" $1 "* ]] && return 0
	grep -q "^$1	.*1\$" /proc/cgroups && [[ -d /sys/fs/cgroup/$1 ]] && return 0
	skip "no cgroup controller $1"
}
# Sanitizers want an address space without limits and nobody else who traces.
needs_plain_build() { [[ -z ${VZRUN_SANITIZED:-} ]] || skip "not with sanitizers"; }
needs_command() {
	local c

	for c; do command -v "$c" >/dev/null || skip "no command $c"; done
}
