#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the packages say about the program.  That they build and install: the suite `package`.

load ../lib/helpers

setup() {
	T=$(mktemp -d "${BATS_RUN_TMPDIR:-/tmp}/t.XXXXXX")
	spec=contrib/rpm/vzrun.spec
}

teardown() { rm -rf "$T"; }
teardown_file() { :; }

# A copy of the files that have the version.
copy_versions() {
	rm -rf "$T/tree"
	mkdir -p "$T/tree/debian" "$T/tree/contrib/rpm"
	cp "$TOP/configure.ac" "$TOP/NEWS" "$T/tree"
	cp "$TOP/debian/changelog" "$T/tree/debian"
	cp "$TOP/$spec" "$T/tree/$spec"
}

version() { VZ_TOP=$T/tree sh "$TOP/contrib/version.sh" "$@" 2>&1; }

# disagrees FILE SED: seen, and said with the file's name.
disagrees() {
	copy_versions
	sed -i "$2" "$T/tree/$1"
	run version
	assert_eq "$status" 1 || return
	assert_match "$output" "*${3:-$1}*"
}

@test "packaging: configure.ac, NEWS, debian/changelog, the rpm spec and the program agree on the version" {
	v=$(sh "$TOP/contrib/version.sh")
	assert_eq "$("$VZRUN" --version | head -n 1)" "vzrun version $v"
}

@test "packaging: a version that differs anywhere is noticed" {
	disagrees NEWS '1s/vzrun [0-9.]*/vzrun 9.9.9/'
	disagrees NEWS '1s/(.*)/(2026-01-02)/' debian/changelog
	disagrees debian/changelog '1s/([0-9.]*)/(9.9.9)/'
	disagrees $spec 's/^\(Version: *\).*/\19.9.9/'
	disagrees $spec '/^%changelog/ { n; s/ - [0-9.]*-/ - 9.9.9-/ }'
	disagrees configure.ac 's/AC_INIT(.*/AC_INIT([vzrun], [9.9.9])/' NEWS
}

@test "packaging: a version is begun, renamed, released, followed" {
	copy_versions
	assert_eq "$(version next 7.0.0)" 7.0.0
	assert_eq "$(version next 7.1.0)" 7.1.0
	assert_eq "$(version release)" 7.1.0
	assert_eq "$(head -n 1 "$T/tree/NEWS")" "vzrun 7.1.0 ($(date +%Y-%m-%d))"
	run version release
	assert_eq "$status" 1
	assert_match "$output" "*7.1.0 is released already"
	assert_eq "$(version next 7.2.0)" 7.2.0
	assert_eq "$(version)" 7.2.0
	grep -q '^vzrun (7.1.0) unstable' "$T/tree/debian/changelog"
	if command -v dpkg-parsechangelog >/dev/null; then
		dpkg-parsechangelog -l "$T/tree/debian/changelog" --all >/dev/null 2>"$T/warnings"
		assert_eq "$(<"$T/warnings")" ""
	fi
	run version next 7.x
	assert_eq "$status" 2
}

# Such a library is not in the program's list of needed ones, from which packages get their dependencies.
@test "packaging: both packages depend on each library that is opened by name" {
	libraries=$(grep -rhoE --include='*.c' '"lib[a-z0-9-]+\.so\.[0-9]+"' "$TOP/runtime" "$TOP/extensions" | tr -d '"' | sort -u)
	assert_match "$libraries" "*libseccomp.so.2*"
	for l in $libraries; do
		deb=${l%%.so.*}${l##*.so.}
		sed -n '/^Depends:/,/^[A-Z][a-z]*:/p' "$TOP/debian/control" | grep -qE "[ ,]$deb(,|\$)" ||
			{ echo "debian/control: no $deb"; return 1; }
		grep -qE "^Requires: *${l//./\\.}(%|\$)" "$TOP/$spec" || { echo "$spec: no $l"; return 1; }
	done
}
