#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The completion scripts, asked through the shells that they are for.

load ../lib/helpers

setup() {
	vz_setup
	mkdir "$T/bin" "$T/dir-a" "$T/dir-b"
	: >"$T/dir-file"
	# What the scripts run to get the ids.  An id is data, whatever it looks like.
	cat >"$T/bin/vzrun" <<-'F'
		#!/bin/sh
		case $* in
		'list -q') printf '%s\n' one other ;;
		'--root /elsewhere list -q') printf '%s\n' third '$(touch${IFS}pwned)' '`touch${IFS}pwned`' ;;
		*) echo "called:$*" | tr ' ' , ;;
		esac
	F
	chmod 755 "$T/bin/vzrun"
}

# prepare SHELL: the answers come from this shell.
prepare() {
	shell=$1
	needs_command "$1"
	"$VZRUN" completion "$1" >"$T/script"
	"$1" -n "$T/script"
	: >"$T/questions"
}

ask() {
	local flag=()

	[[ $shell != fish ]] || flag=(--no-config)
	[[ $shell != zsh ]] || flag=(-f)
	(cd "$T" && PATH=$T/bin:$PATH timeout -k 5 90 "$shell" "${flag[@]}" "$TOP/tests/lib/complete/ask.$shell" "$T/script") \
		<"$T/questions" >"$T/answers" 2>"$T/complaints" 3>&- 4>&-
	assert_eq "$(<"$T/complaints")" "" || return
	assert_eq "$(wc -l <"$T/answers")" "$(wc -l <"$T/questions")"
}

# offers LINE WANTED...: exactly these, in any order.
offers() {
	local line=$1 n=0 l want got

	shift
	while IFS= read -r l; do
		n=$((n + 1))
		[[ $l != "$line" ]] || break
	done <"$T/questions"
	got=$(sed -n "${n}p" "$T/answers" | tr ' ' '\n' | sed '/^$/d' | sort)
	want=$(printf '%s\n' "$@" | sed '/^$/d' | sort)
	[[ $got == "$want" ]] || { echo "$shell: \"$line\": offered, and wanted:"; diff <(echo "$got") <(echo "$want"); return 1; }
}

every_option() {
	local commands c

	prepare "$1"
	"$VZRUN" completion options >"$T/options"
	[[ $(wc -l <"$T/options") -gt 80 ]]
	commands=$(cut -d ' ' -f 1 "$T/options" | sort -u)
	for c in $commands; do
		if [[ $c == vzrun ]]; then echo "vzrun --"; else echo "vzrun $c --"; fi
	done >"$T/questions"
	ask
	for c in $commands; do
		mapfile -t words < <(sed -n "s/^$c //p" "$T/options")
		if [[ $c == vzrun ]]; then offers "vzrun --" "${words[@]}"; else offers "vzrun $c --" "${words[@]}"; fi || return
	done
}

@test "completion: bash offers every option of the table, and no other" { every_option bash; }
@test "completion: fish offers every option of the table, and no other" { every_option fish; }
@test "completion: zsh offers every option of the table, and no other" { every_option zsh; }

values() {
	local signals='HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU
		URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'

	prepare "$1"
	cat >"$T/questions" <<-'Q'
		vzrun st
		vzrun --log-format 
		vzrun --log-format=j
		vzrun --cgroup-manager s
		vzrun --root run st
		vzrun --root dir-
		vzrun --log dir-
		vzrun create -b dir-
		vzrun exec --cwd dir-
		vzrun exec --env X=y o
		vzrun update --cpu-idle 
		vzrun list -f 
		vzrun state 
		vzrun state o
		vzrun state one o
		vzrun stats one o
		vzrun stats --sort 
		vzrun run o
		vzrun --root /elsewhere state 
		vzrun --root=/elsewhere state 
		vzrun exec one o
		vzrun exec one -
		vzrun run new --kee
		vzrun --debug kill o
		vzrun kill one 
		vzrun kill one T
		vzrun completion 
	Q
	ask
	offers "vzrun st" start state stats
	offers "vzrun --log-format " text json
	offers "vzrun --log-format=j" json
	offers "vzrun --cgroup-manager s" systemd
	offers "vzrun --root run st" start state stats
	offers "vzrun update --cpu-idle " 0 1
	offers "vzrun list -f " table json
	offers "vzrun exec --cwd dir-" ""
	offers "vzrun exec --env X=y o" one other
	offers "vzrun state " one other
	offers "vzrun state o" one other
	offers "vzrun state one o" ""
	offers "vzrun stats one o" one other
	offers "vzrun stats --sort " id cpu mem io net pids
	offers "vzrun run o" ""
	offers "vzrun --root /elsewhere state " third '$(touch${IFS}pwned)' '`touch${IFS}pwned`'
	offers "vzrun --root=/elsewhere state " third '$(touch${IFS}pwned)' '`touch${IFS}pwned`'
	offers "vzrun exec one o" ""
	offers "vzrun exec one -" ""
	offers "vzrun run new --kee" --keep
	offers "vzrun --debug kill o" one other
	# shellcheck disable=SC2086
	offers "vzrun kill one " $signals
	offers "vzrun kill one T" TRAP TERM TSTP TTIN TTOU
	offers "vzrun completion " bash fish zsh
	[[ ! -e $T/pwned ]]
	# fish tells a directory by its slash.
	sed -i 's:/\( \|$\):\1:g' "$T/answers"
	offers "vzrun --root dir-" dir-a dir-b
	offers "vzrun --log dir-" dir-a dir-b dir-file
	offers "vzrun create -b dir-" dir-a dir-b
}

@test "completion: bash offers ids, signals, choices, files where they belong" { values bash; }
@test "completion: fish offers ids, signals, choices, files where they belong" { values fish; }
@test "completion: zsh offers ids, signals, choices, files where they belong" { values zsh; }

@test "completion: the scripts that are installed are those that the program prints" {
	local dir=${VZRUN%/*}/contrib/completion

	[[ -e ${VZRUN%/*}/Makefile ]] || skip "no build directory here"
	for f in vzrun:bash vzrun.fish:fish _vzrun:zsh; do
		"$VZRUN" completion "${f#*:}" | cmp - "$dir/${f%:*}"
	done
}

@test "completion: an unknown shell" {
	fails 'only bash, fish and zsh are known' completion tcsh
}
