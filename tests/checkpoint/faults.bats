#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# migrate broken at every frame, in every way.  Afterwards one container runs, and not two; or it is undecided, and --resolve ends it
# so; and the side that was not killed is clean.

load ../lib/migrate

@test "migrate: the connection is cut before each frame" {
	each_frame lose
}

@test "migrate: the connection is cut behind each frame" {
	each_frame cut
}

@test "migrate: each frame is damaged" {
	each_frame garble
}

@test "migrate: the other side is killed at each frame" {
	each_frame kill-there
}

@test "migrate: this side is killed at each frame" {
	each_frame kill-here
}
