#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each row of `restore` fails, kills the host side, and kills CRIU's process or what it has made: nothing is left, and the same
# images are good afterwards.  The rows come from `vzrun features --steps`; those that run while CRIU waits from the log.
#
# Documents: full   a terminal, hooks, a network device, limits, and an extension that acts at every point
#            user   a user namespace, a volume that is mapped to other ids
#            join   network, ipc and uts namespaces of another process

load ../lib/helpers
load faults

CALL_LIMIT=40
inner='rdt netdev ext-ns hooks-runtime'

setup() {
	"$VZRUN" features --steps >/dev/null 2>&1 || skip "no build with fault injection"
	needs_root
	needs_criu
	vz_setup
	mkdir "$T/probe"
	chmod 777 "$BUNDLE/rootfs/tmp"
	IMG=$T/images
	HOLDER=$(cat "$SHARED/holder")
	FAILED=
}

document() {
	config_set --arg s 'i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep .05; done' \
		'.root.readonly = false | .process.args = ["sh", "-c", $s]'
	case $1 in
	full)
		need_device
		config_set --arg probe "$T/probe" '
			.annotations = { "org.openvz.probe": $probe, "org.openvz.cpulimit": "50" } | .process.terminal = true
			| (.mounts[] | select(.type == "cgroup") | .options) -= ["ro"]
			| .linux.netDevices = { "vzsteps0": { "name": "given0" } }
			| { path: "/bin/true" } as $t | .hooks = { prestart: [$t], createRuntime: [$t], poststart: [$t], poststop: [$t] }'
		;;
	user)
		new_userns
		chmod 777 "$BUNDLE/rootfs/tmp"
		mkdir "$T/volume"
		echo volume >"$T/volume/file"
		add_mount /volume bind "$T/volume" rbind ridmap
		;;
	join)
		config_set --arg d "/proc/$HOLDER/ns/" '{ network: "net", ipc: "ipc", uts: "uts" } as $file
			| .linux.namespaces |= map(if $file[.type] then .path = $d + $file[.type] else . end) | del(.hostname)'
		;;
	esac
}

count() { cat "$BUNDLE/rootfs/tmp/count" 2>/dev/null; }
counts() { local was=$1 n; n=$(count); [[ -n $n && $n != "$was" ]]; }

images() {
	local -a more=()

	document "$1"
	[[ $1 != full ]] || more=(--console-socket "$SHARED/console")
	call "" run --detach "${more[@]}" --bundle "$BUNDLE" "$ID"
	[[ $status == 0 ]] || { bad "run of $1"; return 1; }
	wait_until counts ''
	call "" checkpoint --image-path "$IMG" "$ID"
	[[ $status == 0 ]] || { bad "checkpoint of $1"; return 1; }
	clean "checkpoint of $1"
}

# restore_with DOCUMENT VARIABLES [GLOBAL...]
restore_with() {
	local doc=$1 vars=$2
	local -a more=(--pid-file "$T/pid")

	shift 2
	[[ $doc != full ]] || need_device
	[[ $doc != full ]] || more+=(--console-socket "$SHARED/console")
	call "$vars" "$@" restore --detach --bundle "$BUNDLE" --image-path "$IMG" "${more[@]}" "$ID"
}

# restores ROW DOCUMENT: it does, and goes on, and can be deleted.
restores() {
	local was

	was=$(count)
	restore_with "$2" ""
	if [[ $status != 0 ]]; then
		bad "$1: no restore afterwards"
	elif ! wait_until counts "$was"; then
		bad "$1: a restored container does not go on"
	fi
	force_delete "$1"
}

# forget_criu: a CRIU that is killed leaves an empty directory for its mounts, which are gone.
forget_criu() { rmdir /tmp/.criu.* 2>/dev/null || :; }

# afterwards ROW DOCUMENT
afterwards() {
	forget_criu
	! compgen -G '/tmp/.criu.*' || bad "$1: CRIU left more than an empty directory"
	# What came to no process has seen nothing of the images.
	! after_clone "$1" || restores "$1" "$2"
}

# out_of_reach ROW: no document reaches it on this machine, and why.
out_of_reach() {
	case $1 in
	cgroup-delegate) [[ $(cg_mode) != v2 ]] ;;
	unit-wait) [[ ${VZ_MANAGER:-} != systemd || $(cg_mode) == v2 ]] ;;
	unit-*) [[ ${VZ_MANAGER:-} != systemd ]] ;;
	rdt) true ;; # needs resctrl
	*) return 1 ;;
	esac
}

@test "every row of restore is reached by some document" {
	local doc row lost=

	for doc in full user join; do
		BUNDLE=$T/$doc CONFIG=$T/$doc/config.json IMG=$T/images-$doc
		new_bundle "$BUNDLE"
		images "$doc"
		restore_with "$doc" "" --debug --log "$T/log"
		[[ $status == 0 ]] || { bad "restore of $doc"; return 1; }
		sed -n 's/.*step \([a-z-]*\) (host).*/\1/p' "$T/log" >"$SHARED/rows.$doc"
		rm -f "$T/log"
		call "" delete --force "$ID"
		rm -f "$T/pid"
	done
	for row in $(rows restore) $inner; do
		grep -qx "$row" "$SHARED"/rows.* || out_of_reach "$row" || lost+=" $row"
	done
	assert_eq "$lost" ""
}

# each DOCUMENT FUNCTION: for the rows that the document reaches.
each() {
	local row

	[[ -s $SHARED/rows.$1 ]] || { echo "the first test found no rows"; return 1; }
	images "$1" || return
	while read -r row; do
		"$2" "$row" "$1"
	done <"$SHARED/rows.$1"
	[[ -z $FAILED ]]
}

fail_row() {
	restore_with "$2" "VZRUN_FAIL_STEP=$1"
	[[ $status != 0 && $status -lt 124 ]] || bad "$1: did not fail"
	[[ $stderr == *"step $1: made to fail"* ]] || bad "$1: does not say why"
	[[ $2 != full ]] || device || bad "$1: the network device is gone"
	clean "$1"
	afterwards "$1" "$2"
}

kill_host_row() {
	restore_with "$2" "VZRUN_KILL_HOST=$1"
	[[ $status == 137 ]] || bad "$1: the host was not killed"
	force_delete "$1"
	afterwards "$1" "$2"
}

# Before `criu-restore` it is CRIU's process, then process 1 of what it made.
kill_init_row() {
	after_clone "$1" || [[ " $inner " == *" $1 "* ]] || return 0
	restore_with "$2" "VZRUN_KILL_INIT=$1"
	if [[ $1 == @(ext-restored|save|hooks-poststart) ]]; then
		# It ended by itself as soon as it ran, as far as anybody can see.
		[[ $status == 0 ]] || bad "$1: a container that ends is no failure of restore"
		force_delete "$1"
	else
		[[ $status != 0 && $status -lt 124 ]] || bad "$1: did not fail"
		[[ $stderr == *@(CRIU|"/proc/"*"no such file")* ]] || bad "$1: does not say why"
		clean "$1"
	fi
	afterwards "$1" "$2"
}

@test "restore: a row fails: document full" { each full fail_row; }
@test "restore: a row fails: document user" { each user fail_row; }
@test "restore: a row fails: document join" { each join fail_row; }
@test "restore: the host side is killed at a row: document full" { each full kill_host_row; }
@test "restore: the host side is killed at a row: document user" { each user kill_host_row; }
@test "restore: the host side is killed at a row: document join" { each join kill_host_row; }
@test "restore: CRIU or init is killed at a row: document full" { each full kill_init_row; }
@test "restore: CRIU or init is killed at a row: document user" { each user kill_init_row; }
@test "restore: CRIU or init is killed at a row: document join" { each join kill_init_row; }

# at_random SIGNAL WHOM N: while CRIU is at work.
killed_at_random() {
	local i

	for ((i = 0; i < 8; i++)); do
		restore_with user "" &
		sleep "$(printf '0.%03d' $((RANDOM % 900)))"
		pkill -KILL "$@" 2>/dev/null || :
		wait $! || :
		force_delete "round $i"
		forget_criu
	done
	restores "afterwards" user
	[[ -z $FAILED ]]
}

@test "restore, killed at random moments" {
	images user
	killed_at_random -f -- "restore --detach --bundle $BUNDLE"
}

@test "CRIU, killed at random moments of restore" {
	images user
	killed_at_random -x criu
}

# ---- checkpoint: an extension may refuse ----

@test "checkpoint: an extension refuses, and the container goes on" {
	document full
	call "" run --detach --console-socket "$SHARED/console" --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 0
	wait_until counts ''
	touch "$T/probe/refuse"
	call "" checkpoint --image-path "$IMG" "$ID"
	[[ $status == 1 && $stderr == *"org.openvz.probe: $T/probe/refuse is there"* ]]
	[[ ! -e $IMG ]]
	state_is "$ID" running
	wait_until counts "$(count)"
	rm "$T/probe/refuse"
	call "" checkpoint --image-path "$IMG" "$ID"
	assert_eq "$status" 0
	[[ -z $(ls -A "$T/probe") ]]
	restore_with full ""
	assert_eq "$status" 0
	# At its points of a restore, and no others.
	assert_eq "$(cd "$T/probe" && echo *)" "$(printf "$ID-%s " 1 2 3 8 | sed 's/ $//')"
}
