#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Documents that are made from tables say what the program says.

load ../lib/helpers

@test "docs/architecture.md has the table of steps as the program prints it" {
	ok features --steps
	sed -n '/^<!-- steps -->/,/^<!-- \/steps -->/p' "$TOP/docs/architecture.md" | sed '1,2d' | head -n -2 >"$T/documented"
	"$VZRUN" features --steps >"$T/printed"
	diff "$T/documented" "$T/printed"
}

@test "docs/vzrun.8 describes every option of every command, and no other" {
	"$VZRUN" completion options | sed 's/^vzrun --/- --/' | sort >"$T/options"
	# An option is an .It with one or more "Fl -name" in the section of the options or in that of a command.
	awk '$1 == ".Sh" { on = $2 == "GLOBAL" || $2 == "COMMANDS"; command = "-" }
		$1 == ".Ss" { command = $2 }
		on && $1 == ".It" && $2 == "Fl" && $3 ~ /^-/ { print command, "-" $3 }' "$TOP/docs/vzrun.8" | sort >"$T/documented"
	[[ -s $T/documented ]]
	diff "$T/documented" "$T/options"
	# Short forms too.
	for c in create run exec kill delete list ps update set stats spec; do
		"$VZRUN" $c --help | sed -n 's/^   --\([a-z0-9-]*\), -\(.\) .*/\1 \2/p' | while read -r long short; do
			awk -v c=$c '$1 == ".Ss" { on = $2 == c } on' "$TOP/docs/vzrun.8" | grep -q "^\.It Fl -$long , Fl $short" ||
				{ echo "$c: -$short"; exit 1; }
		done
	done
}

# between FILE BEGIN END: the lines between two others.
between() {
	sed -n "\\#^$2#,\\#^$3#p" "$1" | sed '1d;$d'
}

@test "docs/annotations.md and docs/vzrun.8 have the settings as the program prints them" {
	between "$TOP/docs/annotations.md" '<!-- settings -->' '<!-- /settings -->' >"$T/documented"
	[[ -s $T/documented ]]
	diff "$T/documented" <("$VZRUN" features --annotations md)
	between "$TOP/docs/vzrun.8" '[.]\\" settings' '[.]\\" end of settings' >"$T/documented"
	[[ -s $T/documented ]]
	diff "$T/documented" <("$VZRUN" features --annotations man)
}

@test "docs/vzrun.8 is well formed" {
	needs_command man
	man --warnings -l "$TOP/docs/vzrun.8" >"$T/text" 2>"$T/warnings"
	assert_eq "$(<"$T/warnings")" ""
	grep -q 'EXIT STATUS' "$T/text"
}
