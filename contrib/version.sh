#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The version stands in configure.ac, NEWS, debian/changelog and contrib/rpm/vzrun.spec.
#   version.sh              prints it; fails when the four do not agree
#   version.sh next N.N.N   begins a version: an unreleased one gets the number, else new entries are put on top
#   version.sh release      closes it with today's date
set -eu
cd "${VZ_TOP:-$(dirname "$0")/..}"
spec=contrib/rpm/vzrun.spec
who='vzrun maintainers <maintainers@vzrun.example>'

in_configure() { sed -n 's/^AC_INIT(\[vzrun\], \[\([0-9.]*\)\]).*/\1/p' configure.ac; }
in_news() { sed -n '1s/^vzrun \([0-9.]*\) (\(.*\))$/\1 \2/p' NEWS; }
in_debian() { sed -n '1s/^vzrun (\([0-9.]*\)) \([A-Za-z]*\); .*/\1 \2/p' debian/changelog; }
in_spec() { sed -n 's/^Version: *\([0-9.]*\)$/\1/p' $spec; }
in_spec_log() { sed -n '/^%changelog/ { n; s/.* - \([0-9.]*\)-[0-9]*$/\1/p }' $spec; }

check() {
	v=$(in_configure)
	bad=0
	[ -n "$v" ] || { echo "version.sh: configure.ac has no version" >&2; exit 1; }
	agree() { [ "$2" = "$v" ] || { echo "version.sh: configure.ac has $v, $1 has ${2:-none}" >&2; bad=1; }; }
	news=$(in_news) debian=$(in_debian)
	agree NEWS "${news%% *}"
	agree debian/changelog "${debian%% *}"
	agree $spec "$(in_spec)"
	agree "$spec's changelog" "$(in_spec_log)"
	case "${news#* }/${debian#* }" in
	unreleased/UNRELEASED | [0-9]*/unstable) ;;
	*) echo "version.sh: NEWS says \"${news#* }\", debian/changelog \"${debian#* }\": released or not?" >&2; bad=1 ;;
	esac
	[ $bad = 0 ] && echo "$v"
}

# on_top FILE: standard input before the file.
on_top() {
	cat - "$1" >"$1.new"
	cat "$1.new" >"$1" # keeps its mode
	rm "$1.new"
}

next() {
	old=$(check)
	case $1 in
	*[!0-9.]* | .* | *. | *..*) echo "version.sh: \"$1\" is no version" >&2; exit 2 ;;
	esac
	sed -i "s/^AC_INIT(\[vzrun\], \[[0-9.]*\])/AC_INIT([vzrun], [$1])/" configure.ac
	sed -i "s/^\(Version: *\)[0-9.]*$/\1$1/" $spec
	case $(in_news) in
	*unreleased)
		sed -i "1s/ [0-9.]* / $1 /" NEWS
		sed -i "1s/([0-9.]*)/($1)/" debian/changelog
		sed -i "/^%changelog/ { n; s/ - $old-/ - $1-/ }" $spec
		;;
	*)
		printf 'vzrun %s (unreleased)\n\n\n' "$1" | on_top NEWS
		printf 'vzrun (%s) UNRELEASED; urgency=medium\n\n  * See NEWS.\n\n -- %s  %s\n\n' "$1" "$who" "$(date -R)" |
			on_top debian/changelog
		sed -i "s/^%changelog/&\n* $(LC_ALL=C date '+%a %b %d %Y') $who - $1-1\n- See NEWS\n/" $spec
		;;
	esac
	check
}

release() {
	check >/dev/null
	case $(in_news) in
	*unreleased) ;;
	*) echo "version.sh: $(in_configure) is released already" >&2; exit 1 ;;
	esac
	sed -i "1s/(unreleased)/($(date +%Y-%m-%d))/" NEWS
	sed -i "1s/UNRELEASED/unstable/; 0,/^ -- /s/^ -- .*/ -- $who  $(date -R)/" debian/changelog
	sed -i "/^%changelog/ { n; s/^\* .*\( - [0-9.]*-[0-9]*\)$/* $(LC_ALL=C date '+%a %b %d %Y') $who\1/ }" $spec
	check
}

case "$#:${1:-}" in
0:) check ;;
2:next) next "$2" ;;
1:release) release ;;
*) echo "usage: version.sh [next N.N.N | release]" >&2; exit 2 ;;
esac
