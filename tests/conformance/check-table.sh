#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check-table.sh TABLE DOCUMENTS: is the table of docs/spec-conformance.md in order?  Prints what is wrong, status 1.
# DOCUMENTS: a file with the names of the documents of documents.jq, one a line.
#
# A row is "| NUMBER | SECTION | LEVEL | WHAT | TESTS | STATUS |".  Numbers are a letter and three digits, unique and rising
# in each section.  TESTS are references in backticks, "FILE: NAME" or, for golden documents, "FILE", below tests/;
# each must be there.  A row whose status is not "met" has no test, but a reason in its place.
set -u
table=$1 documents=$2
tests=$(cd "$(dirname "$0")/.." && pwd)

awk -F ' *\\| *' '
function bad(text) { print FILENAME ":" FNR ": " text; failed = 1 }
/^\| *[A-Z]-[0-9]/ {
	rows++
	if (NF != 8) { bad("a row has six columns, not " (NF - 2)); next }
	number = $2
	if (number !~ /^[RCLFX]-[0-9][0-9][0-9]$/) bad(number ": not a letter and three digits")
	if (seen[number]++) bad(number ": twice")
	kind = substr(number, 1, 1)
	if (kind in last && number <= last[kind]) bad(number ": comes after " last[kind])
	last[kind] = number
	if ($4 !~ /^(MUST|MUST NOT|SHOULD|SHOULD NOT|REQUIRED)$/) bad(number ": level " $4)
	if ($5 == "") bad(number ": says nothing")
	if ($7 !~ /^(met|not tested|not for us|deviates)$/) bad(number ": status " $7)
	refs = gsub(/`[^`]+`/, "&", $6)
	if ($7 == "met" && refs == 0) bad(number ": met, but no test is named")
	if ($7 != "met" && length($6) < 10) bad(number ": " $7 ", but no reason is given")
}
/^\|/ && !/^\| *[A-Z]-[0-9]/ && !/^\| *(Number|-)/ { bad("not a row: " $0) }
END {
	if (rows < 340) bad(rows + 0 " rows: some are missing")
	exit failed
}' "$table" || failed=1

# The references, one a line.
sed -n 's/^| *\([A-Z]-[0-9]*\) *|/\1|/p' "$table" | awk -F '|' '{
	number = $1
	cell = $5
	while (match(cell, /`[^`]+`/)) {
		print number "\t" substr(cell, RSTART + 1, RLENGTH - 2)
		cell = substr(cell, RSTART + RLENGTH)
	}
}' >"$documents.refs"

while IFS='	' read -r number ref; do
	file=${ref%%: *}
	name=${ref#*: }
	[ -f "$tests/$file" ] || { echo "$number: no file tests/$file"; failed=1; continue; }
	case $file in
	conformance/documents.bash) grep -qxF -- "$name" "$documents" ;;
	*.bats) grep -qF -- "@test \"$name\" {" "$tests/$file" ;;
	*.c) grep -qF -- "TEST($name)" "$tests/$file" ;;
	golden/*) [ "$name" = "$ref" ] ;;
	*) false ;;
	esac || { echo "$number: no test '$name' in tests/$file"; failed=1; }
done <"$documents.refs"
[ -z "${failed:-}" ]
