# SPDX-License-Identifier: LGPL-2.1-or-later
# What a test may do, for audit.bats, which holds tests/lib/run-bats against bats.  Most of these fail.

setup_file() { export WHOLE=one; unexported=1; }
setup() { if [[ $BATS_TEST_NUMBER == 7 ]]; then false; fi; MADE=1; }
teardown() {
	false # does not count
	[[ $BATS_TEST_NUMBER != 6 ]]
}
teardown_file() { [[ ${TEARDOWN_FILE:-} != bad ]]; }
helper() { false; }
@test "passes" { [[ $WHOLE == one && $MADE == 1 ]]; }
@test 'fails in the middle' {
	false
	true
}
@test "a helper's failure" { helper; true; }
@test "skips" { skip "the reason"; false; }
@test "run" { run sh -c 'echo a; echo b >&2; exit 3'; [[ $status == 3 && $output == $'a\nb' && ${lines[1]} == b ]]; }
@test "its teardown fails" { true; }
@test "its setup fails" { true; }
@test "says something on 3" { echo "# said" >&3; }
@test "exits by itself" { exit 0; }
@test "conditions do not end it" { if false; then :; fi; false || true; ! true || false || true; }
@test "the last command of a list ends it" { true && false; true; }
@test "unset variables are no error" { [[ -z $never_set ]]; }
@test "what is not exported is not seen" { [[ -z ${unexported:-} ]]; }
@test "a subshell ends it" { (exit 3); true; }
@test "a failure after a skipped one" { [[ 1 == 2 ]]; }
