#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# docs/spec-conformance.md: its numbers and the tests that it names.

load ../lib/helpers

setup() {
	T=$(mktemp -d "$BATS_RUN_TMPDIR/c.XXXXXX")
	TABLE=$TOP/docs/spec-conformance.md
	cp "$TABLE" "$T/table"
	sh "$TOP/contrib/bundle.sh" "$T/bundle" true
	jq -r -f "$HERE/../conformance/documents.jq" "$T/bundle/config.json" | jq -r .name >"$T/names"
}

teardown() { rm -rf "$T"; }

table_check() { sh "$HERE/../conformance/check-table.sh" "$1" "$T/names"; }

# complains TEXT: the changed copy is refused with this text.
complains() {
	local said rc=0

	said=$(table_check "$T/table") || rc=$?
	assert_eq "$rc" 1 && assert_match "$said" "*$1*"
}

@test "table: numbers are unique, each named test is there, each other row has its reason" {
	table_check "$TABLE"
}

@test "table: names of documents are unique" {
	assert_eq "$(sort "$T/names" | uniq -d)" ""
}

@test "table: a number twice is found" {
	grep -m 1 '^| R-0' "$TABLE" >>"$T/table"
	complains "R-001: twice"
}

@test "table: a test that is gone is found" {
	sed -i '0,/bats: /s//bats: no longer /' "$T/table"
	complains "no test 'no longer "
}

@test "table: a file that is gone is found" {
	sed -i '0,/`integration\/[a-z]*\.bats/s//`integration\/gone.bats/' "$T/table"
	complains "no file tests/integration/gone.bats"
}

@test "table: a row without a test is found" {
	sed -i '/^| R-002 /s/`//g' "$T/table"
	complains "R-002: met, but no test is named"
}

@test "table: lost rows are found" {
	sed -i '/^| C-/d' "$T/table"
	complains "some are missing"
}
