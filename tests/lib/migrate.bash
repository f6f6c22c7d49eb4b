# SPDX-License-Identifier: LGPL-2.1-or-later
# For tests of migrate between two --roots of this host: the other "host" is a command that runs vzrun here.
#
#   $THERE                 the other --root             $T/moved    where the bundle goes
#   start_worker WORD...   a container that counts      goes_on BUNDLE   it does
#   migrate ...            there, must succeed          refused TEXT ... must not, and leave nothing there
#   there ...              vzrun at the other side
#   each_frame ACTION      what tests/lib/cut.py does, at every kind of frame of a migration; with "last", at those of the last copy

load ../lib/checkpoint

setup() {
	needs_migration
	migrate_prepare
}

needs_migration() {
	needs_root
	needs_criu
	needs_command rsync
}

migrate_prepare() {
	vz_setup
	THERE=$T/there
	mkdir -p "$BUNDLE/rootfs/tmp" "$T/bin" "$T/tmp" "$T/tmp-there"
	export TMPDIR=$T/tmp
	config_set '.root.readonly = false'
	ln -s "$VZRUN" "$T/bin/vzrun"
	printf '#!/bin/sh\necho "$@" >>%s/calls\nshift\nexport TMPDIR=%s PATH=%s/bin:$PATH\nexec "$@"\n' "$T" "$T/tmp-there" "$T" >"$T/ssh"
	chmod 755 "$T/ssh"
}

migrate_teardown() {
	local c

	for c in "${THERE:-/nonexistent}"/*/; do
		[[ ! -d $c ]] || timeout 20 "$VZRUN" --root "$THERE" delete --force "$(basename "$c")" >/dev/null 2>&1 </dev/null
	done
	end_helpers
	vz_teardown
}
teardown() { migrate_teardown; }

# Another one in its place, for the next container of a test.
fresh_bundle() {
	rm -rf "$BUNDLE"
	new_bundle "$BUNDLE"
	mkdir -p "$BUNDLE/rootfs/tmp"
	config_set '.root.readonly = false'
}

# goes_on BUNDLE: what it counts grows.
goes_on() {
	local n

	n=$(count "$1")
	((n > 0))
	wait_until counted_to $((n + 3)) "$1"
}

migrate() { ok migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "$@" "$ID" host; }
refused() { fails "$1" migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "${@:2}" "$ID" host; }
there() { "$VZRUN" --root "$THERE" "$@"; }
there_is() { [[ $(there state "$ID-2" | jq -r .status) == "$1" ]]; }

# hold_network_of PID: $held is that network namespace, which stays when all that was in it has ended.
hold_network_of() {
	sleep 1000 9<"/proc/$1/ns/net" 3>&- 4>&- &
	helpers+=" $!"
	held=/proc/$!/fd/9
	is_opened() { [[ $held -ef /proc/$1/ns/net ]]; }
	wait_until is_opened "$1"
}

interfaces_are_down() {
	nsenter --net="$held" ip -o link show eth7 >"$T/links"
	! grep '[<,]UP' "$T/links" || false
}

# The other side has nothing of it, and neither has anybody's directory for images.
is_clean_there() {
	[[ ! -e $THERE/$ID-2 && ! -e $T/moved ]]
	assert_eq "$(find "$T/tmp" "$T/tmp-there" "$THERE/.migrations" -mindepth 1 2>/dev/null)" ""
}

# ---- faults ----

# How, and of how much memory.
MOVE=(--max-rounds 1)
MOVED_MIB=2

# who_runs: how many of the two count.
who_runs() {
	local a b

	a=$(count "$BUNDLE") b=$(count "$T/moved")
	sleep .4
	running=$(( ($(count "$BUNDLE") > a) + ($(count "$T/moved") > b) ))
}

# through ACTION DIRECTION TYPE: the connection goes through tests/lib/cut.py.
through() {
	printf '#!/bin/sh\nshift\nexport TMPDIR=%s PATH=%s/bin:$PATH\nexec python3 %s/tests/lib/cut.py %s "$@"\n' "$T/tmp-there" "$T" "$TOP" "$*" >"$T/ssh"
}

move() { run_vzrun migrate --ssh "$T/ssh" --remote-root "$THERE" --remote-bundle "$T/moved" --new-id "$ID-2" "${MOVE[@]}" "$@" "$ID" host; }
unhindered() { printf '#!/bin/sh\nshift\nexport TMPDIR=%s PATH=%s/bin:$PATH\nexec "$@"\n' "$T/tmp-there" "$T" >"$T/ssh"; }

# The other side has noticed, and cleaned up.
settled() { [[ ! -e $THERE/$ID-2 && ! -e $T/moved && -z $(find "$T/tmp-there" "$THERE/.migrations" -mindepth 1 2>/dev/null) ]]; }

# Of one that was ended there, of which nothing is left but that word.
forget_lost() {
	local record

	for record in "$THERE"/.migrations/*; do
		if [[ -e $record && $(jq -c '[.fate, .id, .bundle, .work]' "$record") == '["lost",null,null,null]' ]]; then rm "$record"; fi
	done
}

# at_frame ACTION DIRECTION TYPE: afterwards one runs, and not two; or it is undecided, and --resolve ends it so.  The side that was
# not killed is clean.
at_frame() {
	local action=$1

	fresh_bundle
	start_worker memory "$MOVED_MIB" 0 /tmp/count
	through "$@"
	VZ_TIMEOUT=90 move
	after "$2" "$3"
}

# of_last_copy: "DIRECTION TYPE" of a frame becomes that of one which is sent while the container stands still.
of_last_copy() {
	local direction type

	while read -r direction type; do
		case $direction$type in
		there10) type=10=final ;;
		there1[1-5] | there20) type+=+10=final ;;
		back13 | *21 | *22) type+=+20+10=final ;;
		esac
		echo "$direction $type"
	done
	echo there 13+20+10=final
}

# each_frame ACTION [last]: at the first of every kind of frame, in either direction; with "last" not in what is sent while it runs.
each_frame() {
	local direction type

	: >"$T/list"
	export CUT_LIST=$T/list
	start_worker memory "$MOVED_MIB" 0 /tmp/count
	through list x 0
	move
	[[ $status == 0 ]]
	there delete --force "$ID-2"
	rm -rf "$T/moved"
	grep -vx '.* 4' "$T/list" | sort -u >"$T/kinds" # 4 comes when a side has nothing else to say
	[[ ${2:-} != last ]] || { of_last_copy <"$T/kinds" >"$T/last" && mv "$T/last" "$T/kinds"; }
	(($(wc -l <"$T/kinds") > 15))
	while read -r direction type <&9; do
		at_frame "$1" "$direction" "$type"
	done 9<"$T/kinds"
}

# Who was killed before the word to go on has left somebody who lets it go on here, once CRIU has ended.
is_decided() { [[ $("$VZRUN" --root "$ROOT" state "$ID" 2>/dev/null | jq -r '.migration.undecided // false') != true ]]; }

after() {
	local where="$action $1 $2" undecided ended=$status

	unhindered
	[[ $action != kill-here ]] || wait_until is_decided >/dev/null || :
	undecided=$("$VZRUN" --root "$ROOT" state "$ID" 2>/dev/null | jq -r '.migration.undecided // false')
	if [[ $undecided == true ]]; then
		who_runs
		((running <= 1)) || { echo "$where: two run"; return 1; }
		if state_is "$ID" paused; then
			fails 'may run on host' resume "$ID"
			fails 'may run on host' checkpoint --image-path "$T/second" "$ID"
			[[ ! -e $T/second ]]
		fi
		run_vzrun migrate --resolve "$ID"
		[[ $status == 0 || ($status == 4 && $stderr == *'what the container did there is lost'*) ]] || { echo "$where: --resolve: $stderr"; return 1; }
	fi
	one() { who_runs; ((running == 1)); }
	wait_until one || { echo "$where: $running run ($stderr)"; return 1; }
	if [[ -e $ROOT/$ID ]]; then
		# 4: it has heard that it was ended there, but what it says to that may be lost: then the record waits for a question.
		[[ $action != kill-there && $ended != 4 ]] || there reconcile
		[[ $ended != 4 ]] || forget_lost
		wait_until settled || { echo "$where: left there:"; find "$T/tmp-there" "$THERE" "$T/moved" | head; return 1; }
		state_is "$ID" running
		ok delete --force "$ID"
	else
		there delete --force "$ID-2"
		rm -rf "$T/moved"
		there reconcile
		# The source did not say that it knows: the record that it ran waits for a question for ever.
		! grep -q '"ran":true' "$THERE"/.migrations/* 2>/dev/null || rm "$THERE"/.migrations/*
	fi
	assert_eq "$(find "$T/tmp" -mindepth 1)" ""
	wait_until settled || { echo "$where: left there:"; find "$T/tmp-there" "$THERE" "$T/moved" | head; return 1; }
}
