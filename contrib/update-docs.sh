#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# update-docs.sh VZRUN: puts the table of steps into docs/architecture.md.
set -eu
doc=$(dirname "$0")/../docs/architecture.md
"$1" features --steps >"$doc.steps"
awk -v steps="$doc.steps" '
	/^<!-- steps -->/ { print; print "```"; while ((getline line < steps) > 0) print line; print "```"; skip = 1; next }
	/^<!-- \/steps -->/ { skip = 0 }
	!skip' "$doc" >"$doc.new"
mv "$doc.new" "$doc"
rm -f "$doc.steps"
