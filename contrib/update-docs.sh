#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# update-docs.sh VZRUN: puts what the program prints of itself into docs: the table of steps, and the settings.
set -eu
docs=$(dirname "$0")/../docs
vzrun=$1

# put FILE BEGIN END FENCE WORD...: between the lines that begin with BEGIN and END comes what `features WORD...` prints.
put() {
	doc=$docs/$1 begin=$2 end=$3 fence=$4
	shift 4
	"$vzrun" features "$@" >"$doc.part"
	BEGIN=$begin END=$end awk -v part="$doc.part" -v fence="$fence" '
		index($0, ENVIRON["BEGIN"]) == 1 {
			print
			if (fence) print fence
			while ((getline line < part) > 0) print line
			if (fence) print fence
			skip = 1
			next
		}
		index($0, ENVIRON["END"]) == 1 { skip = 0 }
		!skip' "$doc" >"$doc.new"
	mv "$doc.new" "$doc"
	rm -f "$doc.part"
}

put architecture.md '<!-- steps -->' '<!-- /steps -->' '```' --steps
put annotations.md '<!-- settings -->' '<!-- /settings -->' '' --annotations md
put vzrun.8 '.\" settings' '.\" end of settings' '' --annotations man
