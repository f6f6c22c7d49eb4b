#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each document of tests/golden/cgroup against a real kernel: what the planner says would be written (the section "v2"
# of NAME.out, which tests/golden/cgroup_test checks without a kernel) is what the files of the container's cgroup show,
# after create and after update.
#
# The documents speak of devices that few hosts have.  They are renamed in the document and in the plan alike, to what is
# here: `stand_in`.  What the kernel shows otherwise than it was written: `shown`.  What it refuses here: `refused`.
# What update means otherwise than create: `updated`.  Nothing else may differ.

load ../lib/helpers

GOLDEN=$BATS_TEST_DIRNAME/../golden/cgroup

# What each test needs of a document is made once: $MADE/NAME.json and $MADE/NAME.plan, with the devices of this host.
setup_file() {
	[[ $EUID == 0 && -e /sys/fs/cgroup/cgroup.controllers ]] || return 0
	{
		disks
		rdma_devices
	} >"$BATS_FILE_TMPDIR/stand-in"
	mkdir "$BATS_FILE_TMPDIR/made"
	cp "$GOLDEN"/*.json "$BATS_FILE_TMPDIR/made"
	(
		cd "$GOLDEN" || exit
		# Properties are what the systemd driver says to systemd; rules for devices become a program.
		awk -v dir="$BATS_FILE_TMPDIR/made" 'FNR == 1 { plan = dir "/" substr(FILENAME, 1, length(FILENAME) - 4) ".plan"; printf "" >plan }
			/^== / { on = $2 == "v2"; next }
			on && !/^systemd: / && !/# \/linux\/resources\/devices/ { print >plan }' *.out
	)
	sed -i -E -f "$BATS_FILE_TMPDIR/stand-in" "$BATS_FILE_TMPDIR"/made/*
}

setup() {
	vz_setup
	needs_v2
	needs_root
	MADE=$BATS_FILE_TMPDIR/made
	config_set '.linux.resources = "@"'
	TEMPLATE=$(<"$CONFIG")
}

teardown_file() {
	vz_teardown_file
	[[ ! -e $BATS_FILE_TMPDIR/cost ]] || while read -r dev; do echo "$dev enable=0"; done <"$BATS_FILE_TMPDIR/cost" >/sys/fs/cgroup/io.cost.qos
}

# sed expressions.  Loop devices first: a weight of a single device needs its cost model to be on.
disks() {
	local n=0 d dev

	for d in /sys/block/loop[01] /sys/block/[!l]*; do
		[[ -e $d/dev && $n -lt 2 ]] || continue
		dev=$(<"$d/dev")
		echo "s/(^|[^0-9])8:$((n * 16))\\b/\\1$dev/g; s/\"major\":8,\"minor\":$((n * 16))\\b/\"major\":${dev%:*},\"minor\":${dev#*:}/g"
		if [[ $d == */loop* && -e /sys/fs/cgroup/io.cost.qos ]] && echo "$dev enable=1" >/sys/fs/cgroup/io.cost.qos; then
			echo "$dev" >>"$BATS_FILE_TMPDIR/cost"
		fi
		n=$((n + 1))
	done
}

# Two soft devices, where the host has none; in a test guest only, and for ever: Linux 6.12 falls over its own list when
# such a device goes and cgroups have limits on it.
rdma_devices() {
	local d

	if [[ -z $(ls /sys/class/infiniband 2>/dev/null) ]] && grep -qsx vzrun /sys/class/virtio-ports/*/name &&
		modprobe -q rdma_rxe && command -v rdma; then
		ip link add vzplan0 type dummy && ip link set vzplan0 up && rdma link add rxe-vz0 type rxe netdev lo &&
			rdma link add rxe-vz1 type rxe netdev vzplan0
	fi >/dev/null 2>&1
	set -- /sys/class/infiniband/*
	for d in mlx5_1 mlx4_0; do
		[[ -e ${1:-} ]] || break
		echo "s/\\b$d\\b/${1##*/}/g"
		shift
	done
}

# shown FILE VALUE: $pattern of the whole file when VALUE was the last thing written to it.
shown() {
	local file=$1 value=$2

	case $file:$value in
	# without a quota the period means nothing, and systemd does not keep it over an update
	cpu.max:max\ *) if [[ ${VZ_MANAGER:-} == systemd ]]; then pattern="max +([0-9])"; else pattern=$value; fi ;;
	# the default comes first, what single devices have follows
	io.weight:*:*\ *) pattern="*"$'\n'"$value@(|"$'\n'"*)" ;;
	io.weight:*) pattern="default $value@(|"$'\n'"*)" ;;
	# one line per device with all four limits; a device without any has no line
	io.max:*=max) pattern="!(*${value% *} *${value##* }[0-9]*)" ;;
	io.max:*) pattern="@(|*"$'\n'")${value% *} @(|* )${value##* }@([ "$'\n'"]*|)" ;;
	# one line per device that the host has; what was not named stays without a limit
	rdma.max:*" hca_handle="*) pattern="@(|*"$'\n'")$value @(|"$'\n'"*)" ;;
	rdma.max:*) pattern="@(|*"$'\n'")${value% *} hca_handle=max ${value##* } @(|"$'\n'"*)" ;;
	# counted in pages, and as many as fit in a long are no limit (page_counter)
	hugetlb.*.max:9223372036854771712) pattern=max ;;
	*) pattern=$value ;;
	esac
}

# refused NAME: why this host's kernel or hardware cannot take the document; the error must then name the field and be
# the kernel's.
refused() {
	case $1 in
	cpuset) [[ -e /sys/devices/system/cpu/cpu8 ]] || echo "/linux/resources/cpu/cpus: value '0-3,8'" ;;
	unified-unknown-file) echo "/linux/resources/unified/memory.something_new: there is no memory.something_new in this cgroup" ;;
	hugepages) [[ -d /sys/kernel/mm/hugepages/hugepages-1048576kB ]] || echo "/linux/resources/hugepageLimits/1: there is no hugetlb.1GB.max" ;;
	rdma) [[ -n $(ls /sys/class/infiniband 2>/dev/null) ]] || echo "/linux/resources/rdma/mlx5_1" ;;
	esac
}

# The files of the container's cgroup are as the plan says.
compare() {
	local name=$1 line file value flags pattern text path dir bad=0

	shopt -s extglob
	while IFS=: read -r _ _ path; do
		dir=/sys/fs/cgroup$path
	done <"/proc/$(<"$T/pid")/cgroup"
	while IFS= read -r line; do
		flags=${line#*    # }
		value=${line%%    # *}
		file=${value%% = *}
		value=${value#* = }
		if [[ ! -e $dir/$file ]]; then
			[[ $flags != *"may be absent"* ]] || continue
			echo "$name: there is no $file"
			bad=1
			continue
		fi
		text=$(<"$dir/$file")
		shown "$file" "$value"
		rows=$((rows + 1))
		echo "$file" >>"$T/seen"
		# shellcheck disable=SC2053
		[[ $text == $pattern ]] && continue
		echo "$name: $file shows '$text', '$value' was to be written"
		bad=1
	done <"$MADE/$name.plan"
	return $bad
}

is_refused() { [[ $(<"$MADE/$1.plan") == error:* ]]; }

# each COMMAND: for each document that makes a plan with rows.  Without bats's trace of every command, which makes a loop
# ten times slower.
each() (
	trap - DEBUG ERR
	set +eET
	failed=0 rows=0
	for name in "$MADE"/*.json; do
		name=${name##*/}
		name=${name%.json}
		! is_refused "$name" && [[ -s $MADE/$name.plan ]] || continue
		"$@" "$name" || { failed=1; echo "failed: $name"; }
		"$VZRUN" --root "$ROOT" delete --force "$ID" 3>&- 4>&-
	done
	echo "$rows" >"$T/rows"
	[[ $failed == 0 ]]
)

create_with() { printf '%s\n' "${TEMPLATE/\"@\"/"$(<"$1")"}" >"$CONFIG"; }

create_and_compare() {
	local why

	why=$(refused "$1")
	create_with "$MADE/$1.json"
	if [[ -n $why ]]; then
		fails "$why" create --bundle "$BUNDLE" "$ID"
		return
	fi
	ok create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID" && compare "$1"
}

update_and_compare() {
	local why

	why=$(refused "$1")
	create_with "$MADE/empty.json"
	ok create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID" || return
	if [[ -n $why ]]; then
		fails "$why" update --resources "$MADE/$1.json" "$ID"
		return
	fi
	ok update --resources "$MADE/$1.json" "$ID" && compare "$1"
}

# Every file that a plan may name was looked at.
saw_all() {
	local file bad=0

	while IFS= read -r file; do
		grep -qxF "$file" "$T/seen" && continue
		case $file in
		memory.something_new) continue ;;
		rdma.max) [[ -n $(ls /sys/class/infiniband 2>/dev/null) ]] || continue ;;
		hugetlb.1GB.*) [[ -d /sys/kernel/mm/hugepages/hugepages-1048576kB ]] || continue ;;
		esac
		echo "no document showed $file"
		bad=1
	done <<<"$(sed -n 's/^\([a-z0-9A-Z._]*\) = .*/\1/p' "$MADE"/*.plan | sort -u)"
	return $bad
}

@test "plans: after create the cgroup's files are what the plan says" {
	each create_and_compare
	[[ $(<"$T/rows") -ge 45 ]]
	saw_all
}

@test "plans: after update the cgroup's files are what the plan says" {
	each update_and_compare
	[[ $(<"$T/rows") -ge 45 ]]
	saw_all
}

@test "plans: what the planner refuses is refused by create and update, and nothing is left" {
	local name n=0 text

	create_with "$MADE/empty.json"
	ok create --bundle "$BUNDLE" "$ID"
	for name in "$MADE"/*.json; do
		name=${name##*/}
		name=${name%.json}
		is_refused "$name" || continue
		n=$((n + 1))
		# The field; who says it first, the document's check or the planner, is another matter.
		text=$(<"$MADE/$name.plan")
		text=${text#error: }
		text=${text%%: *}
		case $name in # the document's check names the map, and the key in its words
		rdma-bad-name) text=/linux/resources/rdma ;;
		unified-*) text=/linux/resources/unified ;;
		esac
		create_with "$MADE/$name.json"
		fails "$text" create --bundle "$BUNDLE" "$ID-2"
		[[ ! -e $ROOT/$ID-2 ]]
		fails "${text#/linux/resources}" update --resources "$MADE/$name.json" "$ID"
	done
	[[ $n -ge 10 ]]
}

# The comparison itself: with any one value of a plan changed the files no longer agree.
notices_wrong_lines() (
	trap - DEBUG ERR
	set +eET
	n=$(wc -l <"$MADE/$1.plan")
	for ((i = 1; i <= n; i++)); do
		sed -E "$i s/([0-9])    #/\\17    #/; $i s/=max    #/=7    #/" "$MADE/$1.plan" >"$MADE/wrong.plan"
		! cmp -s "$MADE/$1.plan" "$MADE/wrong.plan" && ! compare wrong >/dev/null && continue
		echo "line $i of $1 may be wrong"
		return 1
	done
)

@test "plans: a value that differs by a digit is noticed" {
	local name

	for name in everything blkio-devices cpu-quota-short-period rdma; do
		[[ -z $(refused "$name") ]] || continue
		create_with "$MADE/$name.json"
		ok create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
		compare "$name"
		notices_wrong_lines "$name"
		ok delete --force "$ID"
	done
}
