#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The command line itself: options, help, versions, where the state lives, the log.

load ../lib/helpers

commands='create start run exec state kill delete list ps pause resume update events stats features spec completion'

# vz ARGS...: as run_vzrun, without --root.
vz() {
	status=0
	timeout --foreground -k 5 20 "$VZRUN" "$@" >"$T/stdout" 2>"$T/stderr" </dev/null 3>&- 4>&- || status=$?
	output=$(<"$T/stdout") stderr=$(<"$T/stderr")
}

# usage TEXT ARGS...: refused with status 1, one line on stderr that says TEXT, nothing on stdout.
usage() {
	local text=$1

	shift
	vz "$@"
	assert_eq "$status" "${want:-1}" || return
	assert_eq "$output" "" || return
	assert_match "$stderr" "vzrun: *$text*" || return
	assert_eq "$(wc -l <"$T/stderr")" 1
}

@test "cli: --version prints lines that callers parse" {
	for v in --version -version -v -V; do
		vz $v
		assert_eq "$status" 0
		assert_match "${output%%$'\n'*}" "vzrun version [0-9]*.[0-9]*.[0-9]*"
		grep -qx 'commit: [0-9a-z]\+' "$T/stdout"
		grep -qx 'spec: 1\.[0-9]\+\.[0-9]\+' "$T/stdout"
	done
}

@test "cli: no command, --help, -h and help print the commands" {
	for v in "" --help -h -help help; do
		# shellcheck disable=SC2086
		vz $v
		assert_eq "$status" 0
		for c in $commands; do
			grep -q "^   $c " "$T/stdout" || { echo "$v: no $c"; return 1; }
		done
		assert_eq "$stderr" ""
	done
}

@test "cli: every command has help, with and without its arguments" {
	for c in $commands; do
		vz "$c" --help
		assert_eq "$status" 0
		assert_match "$output" "*vzrun $c*OPTIONS:*--help*"
		first=$output
		vz "$c" -h
		assert_eq "$output" "$first"
		vz help "$c"
		assert_eq "$output" "$first"
		vz "$c" "$ID" -help
		[[ $c == exec || $c == ps || $c == kill ]] || assert_eq "$output" "$first"
	done
}

@test "cli: unknown commands and options name themselves" {
	usage 'unknown command "frobnicate"' frobnicate
	usage 'unknown command "x"' --root "$ROOT" x
	usage 'flag provided but not defined: --frobnicate' --frobnicate list
	usage 'flag provided but not defined: --frobnicate' list --frobnicate
	usage 'flag provided but not defined: -z' list -z
	# An option of another command is not one of this.
	usage 'flag provided but not defined: --bundle' list --bundle x
	usage 'flag provided but not defined: --root' list --root x
	want=255 usage 'flag provided but not defined: --frobnicate' exec --frobnicate x true
	usage 'unknown command "nothing"' help nothing
}

@test "cli: missing and surplus arguments" {
	for c in create start run state kill delete ps pause resume update events completion; do
		usage "\"$c\" requires a minimum of 1 argument" "$c"
	done
	want=255 usage '"exec" requires a minimum of 1 argument' exec
	for c in create start run state delete pause resume update events; do
		usage "\"$c\" requires a maximum of 1 argument" "$c" a b
	done
	usage '"kill" requires a maximum of 2 arguments' kill a b c
	for c in list features spec; do
		usage "\"$c\" requires a maximum of 0 arguments" "$c" a
	done
}

@test "cli: an option without its value says so in the words that podman looks for" {
	for o in root log log-format log-level cgroup-manager; do
		usage "flag needs an argument: --$o" "--$o"
	done
	for o in bundle console-socket pid-file preserve-fds; do
		usage "flag needs an argument: --$o" create "--$o"
	done
	usage 'flag needs an argument: --resources' update id -r
}

@test "cli: one dash, two dashes, with = and without" {
	for o in "--root $ROOT" "-root $ROOT" "--root=$ROOT" "-root=$ROOT"; do
		# shellcheck disable=SC2086
		vz $o list --format=json
		assert_eq "$status $output" "0 null"
		# shellcheck disable=SC2086
		vz $o list -f json
		assert_eq "$status $output" "0 null"
		# shellcheck disable=SC2086
		vz $o list -format json -quiet=false
		assert_eq "$status $output" "0 null"
	done
	usage '--quiet: "maybe" is neither true nor false' --root "$ROOT" list --quiet=maybe
	# The last one counts.
	vz --root /nonexistent --root "$ROOT" list -q
	assert_eq "$status $output" "0 "
}

@test "cli: options may follow the id, and -- ends them" {
	ok create "$ID" --bundle "$BUNDLE" -pid-file "$T/pid"
	[[ -s $T/pid ]]
	ok delete "$ID" --force
	usage 'container does not exist: --bundle' --root "$ROOT" state -- --bundle
	ok create --bundle "$BUNDLE" -- "$ID"
	state_is "$ID" created
}

@test "cli: the first argument of exec, kill and ps ends our options" {
	start_sleep
	ok exec "$ID" echo --help -t --cwd=/x
	assert_eq "$output" "--help -t --cwd=/x"
	ok ps "$ID" -o pid,args
	assert_match "$output" "*PID*sleep 1000*"
	ok kill "$ID" KILL
}

@test "cli: container ids" {
	cgroupfs_paths # names of units know fewer characters
	for id in ../x a/b .hidden "" "a b" "ä" "a:b" "$(printf 'x%.0s' {1..300})"; do
		for c in create start run state kill delete ps pause resume update events; do
			usage 'invalid container ID format' --root "$ROOT" "$c" "$id"
		done
		want=255 usage 'invalid container ID format' --root "$ROOT" exec "$id" true
	done
	[[ -z $(ls -A "$ROOT") ]]
	for id in a A0 _x +x x.y-z+_ ; do
		ok create --bundle "$BUNDLE" "$id-$VZRUN_TEST_ID"
		ok delete --force "$id-$VZRUN_TEST_ID"
	done
}

@test "cli: --root of / is refused, a relative one is taken from here" {
	usage '--root: / cannot be used' --root / list
	usage '--root: /// cannot be used' --root /// list
	usage 'cannot be used' --root /./ list
	cd "$T"
	vz --root root create --bundle bundle "$ID"
	assert_eq "$status $stderr" "0 "
	state_is "$ID" created
	[[ -d $ROOT/$ID ]]
}

@test "cli: --root is made when a container is" {
	ok --root "$T/deep/er/root" create --bundle "$BUNDLE" "$ID"
	assert_eq "$(stat -c %a "$T/deep/er/root")" 700
	vz --root "$T/deep/er/root" delete --force "$ID"
	assert_eq "$status" 0
}

@test "cli: XDG_RUNTIME_DIR for plain users, and for a root that is none" {
	needs_root
	# The directory of the tests is closed to others: a mount namespace of its own puts everything in reach.
	mkdir "$T/xdg"
	cp "$VZRUN" "$T/xdg/program"
	chown 1000:1000 "$T/xdg"
	unshare -m sh -ec 'mount --bind "$1" /mnt && XDG_RUNTIME_DIR=/mnt exec \
		setpriv --reuid 1000 --regid 1000 --clear-groups /mnt/program list -q' sh "$T/xdg"
	assert_eq "$(stat -c %a:%u "$T/xdg/vzrun")" 1700:1000
	# root does not look at it ...
	mkdir -m 700 "$T/xdg0"
	XDG_RUNTIME_DIR=$T/xdg0 vz list -q
	assert_eq "$status" 0
	[[ ! -e $T/xdg0/vzrun ]]
	# ... not even in a user namespace, when it says so; but without a word it does.
	XDG_RUNTIME_DIR=$T/xdg0 USER=root unshare -r "$VZRUN" list -q
	[[ ! -e $T/xdg0/vzrun ]]
	XDG_RUNTIME_DIR=$T/xdg0 USER=me unshare -r "$VZRUN" list -q
	assert_eq "$(stat -c %a "$T/xdg0/vzrun")" 1700
	rmdir "$T/xdg0/vzrun"
	env -u USER XDG_RUNTIME_DIR="$T/xdg0" unshare -r "$VZRUN" list -q
	[[ -d $T/xdg0/vzrun ]]
}

@test "cli: bad values of global options" {
	usage '--log-format: "xml" is neither text nor json' --log-format xml list
	usage '--log-level: "loud" is none of' --log-level loud list
	usage '--rootless: "maybe" is none of true, false, auto' --rootless=maybe list
	usage '--cgroup-manager: "x" is none of' --cgroup-manager x --root "$ROOT" create --bundle "$BUNDLE" "$ID"
	usage '--systemd-cgroup contradicts' --systemd-cgroup --cgroup-manager=cgroupfs --root "$ROOT" create --bundle "$BUNDLE" "$ID"
	usage "--log $T/no/log: no such file or directory" --log "$T/no/log" list
	for v in true false auto; do
		vz --root "$ROOT" --rootless=$v list -q
		assert_eq "$status" 0
	done
}

# log_of FORMAT ARGS...: the log of a command that fails, in $log.
log_of() {
	local format=$1

	shift
	rm -f "$T/log"
	vz --root "$ROOT" --log "$T/log" --log-format "$format" "$@"
	[[ $status != 0 ]] || return
	log=$(<"$T/log")
}

@test "cli: the json log holds one error record, which podman reads as one document" {
	for c in "state nope" "create --bundle $T/no $ID" "frobnicate" "kill nope" "create" "delete nope"; do
		# shellcheck disable=SC2086
		log_of json $c
		assert_eq "$(jq -s length "$T/log")" 1
		assert_eq "$(jq -r 'keys | join(" ")' "$T/log")" "level msg time"
		assert_eq "$(jq -r .level "$T/log")" error
		date -d "$(jq -r .time "$T/log")" >/dev/null
		# The same words on stderr, for those who capture that.
		assert_eq "vzrun: $(jq -r .msg "$T/log")" "$stderr"
	done
}

@test "cli: a record survives any text" {
	log_of json create --bundle $'\x01"\\\xff\xc3\xa4\n' "$ID"
	assert_eq "$(jq -s length "$T/log")" 1
	assert_match "$(jq -r .msg "$T/log")" '*"\\*ä*'
	assert_eq "$(wc -l <"$T/log")" 1
}

@test "cli: the log is created at once and appended to" {
	ok --log "$T/log" --log-format json list
	[[ -e $T/log && ! -s $T/log ]]
	assert_eq "$(stat -c %a "$T/log")" 644
	run_vzrun --log "$T/log" --log-format=json state nope
	run_vzrun --log "file:$T/log" --log-format=json state nope
	assert_eq "$(jq -s length "$T/log")" 2
}

@test "cli: the text log" {
	log_of text state nope
	assert_match "$log" 'time="20*Z" level=error msg="container does not exist: nope"'
	assert_eq "$(wc -l <"$T/log")" 1
}

@test "cli: warnings go to stderr, and to the log only when it is asked for them" {
	config_set '.process.capabilities.bounding += ["CAP_FROBNICATE"]'
	ok --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*warning: *CAP_FROBNICATE*"
	[[ ! -s $T/log ]]
	ok --log "$T/log" --log-format json --log-level warning run --bundle "$BUNDLE" "$ID"
	assert_eq "$(jq -r .level "$T/log" | sort -u)" warning
	rm "$T/log"
	config_set '.process.args = ["/nonexistent"]'
	fails nonexistent --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	assert_eq "$(jq -s '[.[].level] | join(" ")' "$T/log")" '"error"'
}

@test "cli: --debug adds records of level debug, one error stays one" {
	ok --debug --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	assert_eq "$(jq -r .level "$T/log" | sort -u)" debug
	jq -r .msg "$T/log" | grep -q '^step exec (init)\|^step clone (host)'
	rm "$T/log"
	fails 'does not exist' --debug --log "$T/log" --log-format json start nope
	assert_eq "$(jq -r 'select(.level == "error") | .msg' "$T/log" | wc -l)" 1
	ok --debug run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" '*level=debug msg="step *'
}

@test "cli: closed standard streams are nobody's descriptors" {
	"$VZRUN" --root "$ROOT" list <&- >&- 2>&-
	"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" <&- >&- 2>&- 3>&- 4>&-
	state_is "$ID" created
}

@test "cli: output that cannot be written is an error" {
	[[ -e /dev/full ]] || skip "no /dev/full"
	status=0
	"$VZRUN" features >/dev/full 2>"$T/stderr" || status=$?
	assert_eq "$status" 1
	assert_match "$(<"$T/stderr")" "vzrun: *standard output: no space left on device"
}
