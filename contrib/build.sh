#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build.sh DIR [-t TARGET]... [CONFIGURE-OPTION]...: configures and builds this tree in DIR, outside of the sources.
# Does only what is needed: a second call with the same options is an incremental make.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
dir=$1
shift
targets=
while [ "${1:-}" = -t ]; do targets="$targets $2"; shift 2; done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
# autogen.sh writes into the sources: two builds at a time take turns.
exec 9>"$dir/.lock"
flock 9 2>/dev/null || :

if [ -e "$top/config.status" ]; then
	# Configured in place by its owner: a tree can be built either in place or outside.  Build from a copy.
	mkdir -p "$dir/source"
	(cd "$top" && tar -cf - --exclude=./build --exclude='./build-[!a]*' --exclude='*.[oa]' --exclude='.deps' \
		--exclude=./config.status --exclude=./config.h --exclude=./Makefile --exclude=./commit.h \
		--exclude=./vzrun --exclude=.dirstamp .) | tar -xf - -C "$dir/source"
	top=$dir/source
fi

log=$dir/build.log
run() {
	"$@" >>"$log" 2>&1 9>&- || { tail -n 40 "$log" >&2; echo "build.sh: failed: $*" >&2; exit 1; }
}
: >"$log"
stale() { [ -n "$(cd "$top" && find configure.ac Makefile.am m4/vz_flags.m4 oci runtime extensions tests docs contrib \
	\( -name '*.mk' -o -name '*.ac' -o -name '*.am' -o -name '*.m4' \) -newer "$1" -print -quit)" ]; }
if [ ! -e "$top/configure" ] || [ ! -e "$top/build-aux/install-sh" ] ||
	[ ! -e "$top/Makefile.in" ] || stale Makefile.in; then
	run sh "$top/autogen.sh"
fi
cd "$dir"
opts="${CC:-} ${CFLAGS:-} $*"
if [ ! -e Makefile ] || [ "$opts" != "$(cat .opts 2>/dev/null)" ]; then
	run "$top/configure" "$@"
	echo "$opts" >.opts
fi
# One after the other: `all` runs a make of its own (BUILT_SOURCES), and two must not build one archive at once.
run make -j"$(nproc)" all
# shellcheck disable=SC2086
[ -z "$targets" ] || run make -j"$(nproc)" $targets
