#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# run.sh [SUITE|FILE]...: installs what the tests need, builds, runs.  Suites by default: unit golden integration v1 steps
# conformance engines vm.  Only by name: package fuzz bench bench-vm sanitize valgrind analyze.  FILE: a bats file or the name of some without .bats.
# run.sh vm [--list | --full | LEG...] [--only WORD]: the same tests in guests; a leg is a guest and how the tests run in it
# (tests/vm/legs); WORD: a part of the file's name.
# By default all in one guest and a part in each of the others; --full: everything everywhere.  After other suites half of the
# guests run beside these.
# run.sh v1 [--full]: integration tests on a host with cgroup v1 alone (tests/lib/pure-v1.sh), those about cgroups or all.
# A bats file that fails is run once more, in a guest a new one: these machines are shared, emulated, and slow at times.  What
# failed at first is shown at once and named again at the end, whether it passed then or not; $VZRUN_ONCE=1: no second time.
# The table at the end names each failure and the reason of each skip; the last line is `N passed, N failed, N skipped`.
# Exit status 0: none failed, at least one passed.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
exec </dev/null
export LC_ALL=C srcdir="$top" top_srcdir="$top"
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
default='unit golden integration v1 steps conformance engines vm'

tmp=$(mktemp -d "${TMPDIR:-/tmp}/vzrun-tests.XXXXXX") || exit 1
chmod 755 "$tmp"
results=$tmp/results        # lines: STATUS|SUITE|NAME|REASON; STATUS: pass, fail, skip, or again: failed, and was run once more
: >"$results"
# Guests end before the directory goes that they work in, and so do those who make their images.
legs=
trap '[ -z "$legs" ] || ! kill "$legs" 2>/dev/null || wait "$legs"
	[ ! -e "$tmp/images.pid" ] || kill -TERM -"$(cat "$tmp/images.pid")" 2>/dev/null
	rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

note() { printf '%s|%s|%s|%s\n' "$1" "$2" "$3" "${4:-}" >>"$results"; }
fail_now() { note fail "$1" "$2" "$3"; echo "FAILED $1: $2: $3"; }

# tap SUITE NAME FILE STATUS: counts the TAP of a program.  Promised tests that did not come are failures, and so is a
# program that says that all is well and then dies.  $again: it is to be run once more, only what failed is kept.
tap() {
	awk -v suite="$1" -v file="$2" -v status="$4" '
	function out(s, n, r) { gsub(/\|/, "/", n); gsub(/\|/, "/", r); printf "%s|%s|%s|%s\n", s, suite, n, r }
	/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; planned = 1 }
	/^(not )?ok / {
		seen++
		bad = /^not /
		line = $0
		sub(/^(not )?ok [0-9]+ *-? */, "", line)
		reason = ""
		if (match(line, / *# *[Ss][Kk][Ii][Pp] */)) {
			reason = substr(line, RSTART + RLENGTH)
			line = substr(line, 1, RSTART - 1)
			skip = 1
		} else
			skip = 0
		if (bad) { failed++; out("fail", file ": " line, "") }
		else if (skip) out("skip", file ": " line, reason)
		else out("pass", file ": " line, "")
	}
	END {
		if (!planned) out("fail", file, "no plan, status " status)
		else if (seen < plan) out("fail", file, (plan - seen) " of " plan " tests did not come, status " status)
		else if (plan == 0) out("fail", file, "has no tests")
		else if (status != 0 && !failed) out("fail", file, "ended with status " status)
	}' "$3" >"$tmp/tap"
	if [ -n "${again:-}" ]; then
		sed -n 's/^fail/again/p' "$tmp/tap" >>"$results"
	else
		cat "$tmp/tap" >>"$results"
	fi
	printf '  %-44s %4d passed %3d failed %3d skipped%s\n' "${label:-$2}" "$(grep -c '^pass' "$tmp/tap")" \
		"$(grep -c '^fail' "$tmp/tap")" "$(grep -c '^skip' "$tmp/tap")" "${took:-}${again:+, runs once more}"
	if grep -q '^fail' "$tmp/tap"; then
		# The failures with their diagnostics, not the whole output.
		awk '/^not ok/ { on = 1 } /^ok / { on = 0 } on || /^Bail/ || /LEAK|Sanitizer|runtime error/' "$3" | head -n 200
		[ -z "${5:-}" ] || tail -n 30 "$5"
	fi
}

packages() { sh contrib/packages.sh install "$@"; }

# build SUITE DIR ARGS...: one line on success; a failed build is one failure of the suite.
build() {
	s=$1 d=$2
	shift 2
	if ! sh contrib/build.sh "$d" "$@" 2>"$tmp/build.err"; then
		cat "$tmp/build.err"
		fail_now "$s" "build of $d" "see above"
		return 1
	fi
}

# programs SUITE DIR PREFIX SECONDS [WRAPPER...]: the test programs of `make check` below a folder.
programs() {
	suite=$1 dir=$2 prefix=$3 limit=$4
	shift 4
	n=0
	for p in $(make -s -C "$dir" list-tests | grep "^$prefix/"); do
		[ "$p" != "${except:-}" ] || continue
		n=$((n + 1))
		(cd "$dir" && timeout -k 10 "$limit" "$@" "./$p") >"$tmp/out" 2>"$tmp/err"
		st=$?
		tap "$suite" "$p" "$tmp/out" $st "$tmp/err"
	done
	[ $n -gt 0 ] || fail_now "$suite" "$prefix" "has no test programs"
}

# bats_files SUITE SECONDS FILE...: each file with a time limit.  As root in a mount namespace of their own, shared within as
# on any host: what others mount meanwhile is not seen as a leak, and a leaked mount dies with it.  $world: a script that
# makes another host of it first.
bats_files() {
	suite=$1 limit=$2
	shift 2
	if [ ! -e "$1" ]; then
		fail_now "$suite" "$suite" "has no tests"
		return
	fi
	for f in "$@"; do
		set -- timeout -k 10 "$limit" bats --tap "$f"
		[ "$(id -u)" != 0 ] || set -- unshare -m ${world:+sh "$world"} sh -c 'mount --make-rshared / && exec "$@"' sh "$@"
		again=1
		[ -z "${VZRUN_ONCE:-}" ] || again=
		while :; do
			t=$(date +%s)
			"$@" >"$tmp/out" 2>"$tmp/err" 3>&- 9>&-
			st=$? took=" $(($(date +%s) - t)) s"
			[ $st != 0 ] || again=
			tap "$suite" "${f#tests/}" "$tmp/out" $st "$tmp/err"
			[ -n "$again" ] || break
			again=
		done
		took=
	done
}

main_build() {
	if [ -n "${built:-}" ]; then
		[ "$built" = 0 ] || fail_now "$1" "$1" "not run: the build failed"
		return "$built"
	fi
	built=1
	packages build runtime bundle test || { fail_now "$1" packages "cannot install"; return 1; }
	build "$1" build -t check-programs || return 1
	export VZRUN="$top/build/vzrun"
	built=0
}

fault_build() {
	build "$1" build-fault --enable-fault-injection || return 1
	export VZRUN_FAULT="$top/build-fault/vzrun"
}

suite_unit() { main_build unit && programs unit build tests/unit 120; }
suite_golden() { main_build golden && programs golden build tests/golden 300; }
suite_integration() { main_build integration && fault_build integration && bats_files integration 300 tests/integration/*.bats; }

# The host's cgroup2 mounts left out: the mode that a hybrid host else hides.
suite_v1() {
	world=tests/lib/pure-v1.sh
	if [ "$(id -u)" != 0 ]; then
		note skip v1 v1 "needs root"
	elif ! unshare -m sh $world true 2>"$tmp/err"; then
		note skip v1 v1 "$(head -n 1 "$tmp/err")"
	elif main_build v1 && fault_build v1; then
		if [ "${v1_args:-}" = --full ]; then
			set -- tests/integration/*.bats
		else
			set --
			for f in cgroups cgroup_limits cgroup_mount devices update run exec kill state audit; do
				set -- "$@" "tests/integration/$f.bats"
			done
		fi
		bats_files v1 600 "$@"
	fi
	world=
}

suite_steps() { main_build steps && fault_build steps && bats_files steps 600 tests/steps/*.bats; }
suite_conformance() {
	main_build conformance || return
	bats_files conformance 600 tests/conformance/*.bats
	if [ "$(id -u)" != 0 ]; then
		fail_now conformance documents "needs root"
		return
	fi
	timeout -k 10 900 bash tests/conformance/documents.bash build/tests/conformance/inside >"$tmp/out" 2>"$tmp/err"
	tap conformance tests/conformance/documents.bash "$tmp/out" $? "$tmp/err"
}
suite_engines() {
	main_build engines || return
	packages engines || echo "  not every engine can be installed: its tests are skipped"
	bats_files engines 600 tests/engines/*.bats
}

# Images that are missing are made beside the suites before vm: half of that is waiting for the network and the disk.
images_early() {
	case " $* " in *' vm '*) ;; *) return 0 ;; esac
	[ "$1" != vm ] && [ "$(id -u)" = 0 ] && packages vm >/dev/null 2>&1 || return 0
	# shellcheck disable=SC2016
	setsid sh -c 'echo $$ >"$0/images.pid"
		for i in qemu trixie bookworm; do nice -n 19 tests/vm/build $i; done
		rm -f "$0/images.pid"' "$tmp" >/dev/null 2>"$tmp/images.log" </dev/null &
}

# start_guests [ARG...]: the legs begin; what they have done stands in a file.  After whatever else wants a processor.
start_guests() {
	main_build vm && fault_build vm || return
	packages vm || { fail_now vm packages "cannot install"; return 1; }
	# shellcheck disable=SC2086
	nice -n 10 tests/vm/legs --out "$tmp/vm" ${vm_args:-} "$@" >"$tmp/legs.out" &
	legs=$!
}

# Beside suites that wait as often as they compute.
guests_early() {
	case " $* " in *' vm '*) ;; *) return 0 ;; esac
	[ "$1" = vm ] || [ "$(id -u)" != 0 ] || start_guests --beside "$tmp/alone"
}

# A shell that waits for one in the background hears signals at once.
suite_vm() {
	if [ "${vm_args:-}" = --list ]; then
		packages vm
		tests/vm/legs --list
		exit
	fi
	[ -n "$legs" ] || start_guests || return
	: >"$tmp/alone"
	[ ! -s "$tmp/images.log" ] || cat "$tmp/images.log"
	{
		tail -n +1 -f --pid="$legs" "$tmp/legs.out" | while read -r what leg a b c d; do
			case $what in
			file | again)
				label="$leg ${a#tests/}" took=" $c s" again=
				[ "$what" = file ] || again=1
				tap "vm-$leg" "${a#tests/}" "$d" "$b"
				rm -f "$d"
				;;
			skip) note skip "vm-$leg" "$leg" "$a $b $c $d" ;;
			leg)
				echo "   vm-$leg: $a s"
				[ "$b" != 1 ] || echo "vm-$leg" >>"$tmp/complete"
				;;
			end) : >"$tmp/legs.done" ;;
			esac
		done
	} &
	wait $!
	[ -e "$tmp/legs.done" ] || fail_now vm legs "ended before all tests had run"
	legs=
}

suite_package() {
	packages build runtime bundle test package || { fail_now package packages "cannot install"; return; }
	bats_files package 1800 tests/package/*.bats
}

suite_fuzz() {
	packages build bundle fuzz || { fail_now fuzz packages "cannot install"; return; }
	CC=clang build fuzz build-fuzz -t fuzzers --enable-fuzzers --enable-sanitizers --disable-hardening || return
	n=0
	for p in build-fuzz/tests/fuzz/*_fuzz; do
		[ -x "$p" ] || continue
		n=$((n + 1))
		name=$(basename "$p" _fuzz)
		mkdir -p "build-fuzz/corpus/$name"
		set -- "build-fuzz/corpus/$name"
		for c in "tests/fuzz/corpus/$name" tests/golden; do [ ! -d "$c" ] || set -- "$@" "$c"; done
		if timeout -k 10 $((${FUZZ_SECONDS:-60} + 540)) "$p" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
			-artifact_prefix=build-fuzz/ "$@" >"$tmp/out" 2>&1; then
			note pass fuzz "$name"
			echo "  $name: $(grep -a '^Done' "$tmp/out")"
		else
			tail -n 40 "$tmp/out"
			fail_now fuzz "$name" "see above; the input is in build-fuzz/"
		fi
	done
	[ $n -gt 0 ] || fail_now fuzz fuzz "has no targets"
}

# The sanitizers write what they find to files: a finding in a process whose exit status nobody sees counts too.
suite_sanitize() {
	packages build runtime bundle test sanitize || { fail_now sanitize packages "cannot install"; return; }
	build sanitize build-sanitize -t check-programs --enable-sanitizers --enable-fault-injection || return
	mkdir "$tmp/asan"
	chmod 1777 "$tmp/asan"
	export ASAN_OPTIONS="detect_leaks=1:log_path=$tmp/asan/asan:abort_on_error=0:exitcode=99"
	export UBSAN_OPTIONS="print_stacktrace=1:log_path=$tmp/asan/ubsan"
	programs sanitize build-sanitize tests/unit 300
	programs sanitize build-sanitize tests/golden 600
	saved=${VZRUN:-}
	export VZRUN="$top/build-sanitize/vzrun" VZRUN_FAULT="$top/build-sanitize/vzrun" VZRUN_SANITIZED=1
	bats_files sanitize 900 tests/integration/*.bats
	unset ASAN_OPTIONS UBSAN_OPTIONS VZRUN_FAULT VZRUN_SANITIZED
	VZRUN=$saved
	for f in "$tmp"/asan/*; do
		[ -s "$f" ] || continue
		head -n 40 "$f"
		fail_now sanitize "$(grep -m 1 -E 'ERROR|runtime error' "$f" | cut -c 1-120)" "$(basename "$f")"
	done
}

suite_valgrind() {
	main_build valgrind || return
	packages valgrind || { fail_now valgrind packages "cannot install"; return; }
	make -C build -s tests/lib/sealed >/dev/null
	set -- valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --track-fds=no
	# Not tests/unit/linux and cgroup: valgrind knows neither seccomp nor the mount calls by descriptor, and a program that
	# waits for them never ends.  Those are for the sanitizers.  proc_test's children are made by clone3: unknown, too.
	except=tests/unit/base/proc_test
	programs valgrind build tests/unit/base 120 "$@"
	except=
	programs valgrind build tests/unit/oci 300 "$@"
	programs valgrind build tests/golden 300 "$@"
	sh contrib/bundle.sh "$tmp/vg" true
	# What valgrind itself gets in the way of is left out: it knows no open_tree, and it keeps descriptors for itself.
	jq 'del(.process.rlimits, .linux.maskedPaths, .linux.readonlyPaths) | .mounts |= map(select(.type != "cgroup"))' \
		"$tmp/vg/config.json" >"$tmp/vg/reduced.json"
	"$VZRUN" --root "$tmp/vgroot" create --bundle "$tmp/vg" "vg-$$" >"$tmp/out" 2>&1 || cat "$tmp/out"
	# The host side of run: vzrun has sealed itself already, and the child is another program soon.
	run_valgrind "run" build/tests/lib/sealed "$VZRUN" "$@" --child-silent-after-fork=yes @ --root "$tmp/vgroot" run \
		--bundle "$tmp/vg" --config reduced.json "vg2-$$"
	for cmd in "--version" "features" "list" "list --format json" "state vg-$$" "ps --format json vg-$$" "events --stats vg-$$" \
		"update --pids-limit 30 vg-$$" "pause vg-$$" "resume vg-$$" "kill vg-$$ KILL" "delete --force vg-$$"; do
		# shellcheck disable=SC2086
		run_valgrind "$cmd" "$@" "$VZRUN" --root "$tmp/vgroot" $cmd
	done
	"$VZRUN" --root "$tmp/vgroot" delete --force "vg-$$" 2>/dev/null
}

run_valgrind() {
	what=$1
	shift
	if timeout -k 10 120 "$@" >"$tmp/out" 2>&1; then
		note pass valgrind "$what"
	elif grep -q 'unhandled .* syscall: 434' "$tmp/out" && ! grep -q '^==' "$tmp/out"; then
		note skip valgrind "$what" "this valgrind does not know pidfd_open"
	else
		cat "$tmp/out"
		fail_now valgrind "$what" "see above"
	fi
}

suite_analyze() {
	packages build bundle analyze || { fail_now analyze packages "cannot install"; return; }
	build analyze build || return
	for t in tidy cppcheck analyzer; do
		echo "  $t"
		if timeout -k 10 1800 make -s -C build "$t" >"$tmp/out" 2>&1; then
			note pass analyze "$t"
		else
			grep -E 'warning:|error:|: (style|performance|portability)' "$tmp/out" | sort -u | head -n 100
			fail_now analyze "$t" "$(grep -cE 'warning:|error:' "$tmp/out") findings"
		fi
	done
}

suite_bench() {
	main_build bench || return
	packages bench || { fail_now bench packages "cannot install"; return; }
	build bench build -t benches || return
	if sh tests/bench/bench.sh build "$VZRUN"; then note pass bench start; else fail_now bench start "see above"; fi
}

# Beside trixie's crun and runc, with both drivers, where nothing but the guest's own noise disturbs.
suite_bench_vm() {
	main_build bench-vm || return
	build bench-vm build -t benches -t check-programs && strip -o build/vzrun-stripped build/vzrun || return
	if tests/vm/run --timeout 600 "DRIVERS='cgroupfs systemd' LIMITS='cgroupfs:0.9 systemd:0.7' ROUNDS=${ROUNDS:-30} \
		sh tests/bench/bench.sh build build/vzrun-stripped"; then
		note pass bench-vm start
	else
		fail_now bench-vm start "see above"
	fi
	# Memory for images and what is in them.
	if tests/vm/run --mem 4G --timeout 5000 "mkdir -p /tmp/b/tests/lib && cp build/tests/lib/worker /tmp/b/tests/lib && cp build/vzrun-stripped /tmp/b/vzrun &&
		mount -o remount,dev,suid /tmp && LIMIT=1 ROUNDS=${CHECKPOINT_ROUNDS:-5} sh tests/bench/checkpoint.sh /tmp/b /tmp/b/vzrun"; then
		note pass bench-vm checkpoint
	else
		fail_now bench-vm checkpoint "see above"
	fi
}

# A guest is known: there only skips that are expected of its leg by name.
expected_skip() {
	while IFS= read -r pat; do
		case $pat in '' | \#*) continue ;; esac
		case $1 in vm-*) case $pat in vm-*) ;; *) continue ;; esac ;; esac
		# shellcheck disable=SC2254
		case $1 in $pat) return 0 ;; esac
	done <tests/expected-skips
	return 1
}

# File names among the arguments become one pseudo suite.
run_one() {
	case $1 in
	unit | golden | integration | v1 | steps | conformance | engines | vm | package | fuzz | bench | sanitize | valgrind | analyze)
		"suite_$1"
		return
		;;
	bench-vm)
		suite_bench_vm
		return
		;;
	esac
	ran=
	for f in "$1" tests/*/"$1" tests/*/"$1.bats"; do
		case $f in
		*.bats)
			[ -f "$f" ] || continue
			ran=1 suite=$(basename "$(dirname "$f")")
			main_build "$suite" && fault_build "$suite" && bats_files "$suite" 600 "$f"
			;;
		esac
	done
	[ -z "$ran" ] || return
	p=$(cd tests && ls -d unit/*/"$1.c" unit/*/"${1}_test.c" golden/"${1}_test.c" 2>/dev/null | head -n 1)
	if [ -n "$p" ]; then
		main_build unit && programs unit build "tests/${p%.c}" 300
		return
	fi
	fail_now "$1" "$1" "no such suite or file"
}

# As a function, and its call on one line with the end: who edits this file while it runs changes nothing for that run.
main() {
	if [ $# = 0 ]; then
		set -- $default
	fi
	if [ "$1" = vm ]; then
		shift
		vm_args=$*
		set -- vm
	elif [ "$*" = "v1 --full" ]; then
		v1_args=--full
		set -- v1
	fi
	start=$(date +%s)
	images_early "$@"
	guests_early "$@"
	for name in "$@"; do
		t0=$(date +%s)
		echo "== $name"
		run_one "$name"
		echo "   $name: $(($(date +%s) - t0)) s"
	done

	# Skips that nobody expects are failures.
	: >"$tmp/final"
	while IFS='|' read -r s suite name reason; do
		if [ "$s" = skip ] && ! expected_skip "$suite $name # $reason"; then
			s=fail reason="skipped without being expected: $reason"
		fi
		printf '%s|%s|%s|%s\n' "$s" "$suite" "$name" "$reason" >>"$tmp/final"
	done <"$results"
	# And so are those that a leg of which all files ran does not have any more.
	sort -u "$tmp/complete" 2>/dev/null | while read -r suite; do
		while IFS= read -r pat; do
			# shellcheck disable=SC2254
			case $suite in ${pat%% *}) ;; *) continue ;; esac
			case $pat in vm-*) ;; *) continue ;; esac
			while IFS='|' read -r s leg name reason; do
				[ "$s $leg" = "skip $suite" ] || continue
				# shellcheck disable=SC2254
				case "$leg $name # $reason" in $pat) continue 2 ;; esac
			done <"$results"
			printf 'fail|%s|tests/expected-skips|%s\n' "$suite" "nothing is skipped any more by: $pat" >>"$tmp/final"
		done <tests/expected-skips
	done

	echo
	echo "suite                passed  failed skipped   ($(($(date +%s) - start)) s)"
	awk -F'|' '$1 != "again" { n[$2, $1]++; if (!($2 in o)) { o[$2] = ++k; name[k] = $2 } }
		END { for (i = 1; i <= k; i++) printf "%-19s %7d %7d %7d\n", name[i], n[name[i], "pass"], n[name[i], "fail"], n[name[i], "skip"] }' "$tmp/final"
	if grep -q '^fail' "$tmp/final"; then
		echo
		awk -F'|' '$1 == "fail" { print "failed: " $2 ": " $3 ($4 ? "  (" $4 ")" : "") }' "$tmp/final"
	fi
	if grep -q '^again' "$tmp/final"; then
		echo
		awk -F'|' '$1 == "again" { print "failed at first: " $2 ": " $3 }' "$tmp/final"
	fi
	if grep -q '^skip' "$tmp/final"; then
		echo
		awk -F'|' '$1 == "skip" { n[$4]++ } END { for (r in n) printf "skipped: %d: %s\n", n[r], r }' "$tmp/final" | sort
	fi
	echo
	passed=$(grep -c '^pass' "$tmp/final")
	failed=$(grep -c '^fail' "$tmp/final")
	skipped=$(grep -c '^skip' "$tmp/final")
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
main "$@"; exit
