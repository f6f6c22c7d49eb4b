#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate: how many rounds there are, and what is sent in them.  tests/unit/migrate/rounds_test.c has the rules.

load ../lib/migrate

# rounds OPTION...: how many there are; what was said is in $output.
rounds() {
	VZ_TIMEOUT=120 migrate --format json "$@"
	n=$(jq -s 'map(select(.phase == "memory")) | length' <<<"$output")
	goes_on "$T/moved"
}

# of_rounds FILTER: of the list of them.
of_rounds() { jq -s "map(select(.phase == \"memory\")) | $1" <<<"$output"; }

@test "rounds: what an idle container has not changed is not sent again, and the second round is the last" {
	needs_criu_feature mem_dirty_track
	start_worker memory 16 0 /tmp/count
	rounds
	assert_eq "$n" 2
	(($(of_rounds '.[0].bytes') > 16 << 20 && $(of_rounds '.[1].bytes') < 2 << 20))
	(($(of_rounds '.[1].dirtyBytesPerSecond') < 1 << 20))
}

@test "rounds: --max-rounds ends those of a container that changes" {
	needs_criu_feature mem_dirty_track
	start_worker memory 16 4000 /tmp/count
	rounds --max-rounds 2
	assert_eq "$n" 2
	(($(of_rounds '.[1].dirtyBytesPerSecond') > 500000))
}

@test "rounds: --max-downtime ends them, but not behind the first one" {
	needs_criu_feature mem_dirty_track
	start_worker memory 16 4000 /tmp/count
	rounds --max-rounds 1000 --max-downtime 100s
	assert_eq "$n" 2
}

@test "rounds: --compress sends less" {
	needs_command zstd
	start_worker memory 16 0 /tmp/count
	rounds --max-rounds 1 --compress
	(($(of_rounds '.[0].bytes') < 8 << 20))
}

@test "rounds: --bandwidth is not exceeded" {
	local began
	start_worker memory 16 0 /tmp/count
	began=$SECONDS
	rounds --max-rounds 1 --bandwidth 1m
	((SECONDS - began >= 16))
	(($(of_rounds '.[0].bytesPerSecond') < (1 << 20) * 12 / 10))
}
