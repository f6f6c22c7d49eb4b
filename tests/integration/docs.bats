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
