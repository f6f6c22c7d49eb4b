#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# state, list, ps: what there is, in which form, and what a dead container still tells.

load ../lib/helpers

@test "state: the document that engines read" {
	config_set '.annotations = {"a.b": "c/d", "x": ""} | .process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok state "$ID"
	# A plain user without a session has no cgroup, and none of the limits.
	local more=" settings resources"
	[[ ${VZ_AS:-root} != u* ]] || more= # user, unshare
	assert_eq "$(jq -r 'keys_unsorted | join(" ")' "$T/stdout")" "ociVersion id pid status bundle rootfs created annotations owner$more"
	assert_eq "$(jq -r '[.ociVersion, .id, .status, .bundle, .rootfs, .annotations["a.b"], .annotations.x] | join("|")' "$T/stdout")" \
		"1.0.2|$ID|created|$(realpath "$BUNDLE")|$(realpath "$BUNDLE")/rootfs|c/d|"
	assert_match "$(jq -r .created "$T/stdout")" "20??-??-??T??:??:??.?????????Z"
	age=$(($(date +%s) - $(date -d "$(jq -r .created "$T/stdout")" +%s)))
	((age >= 0 && age < 60))
	[[ -d /proc/$(jq .pid "$T/stdout") ]]
	created=$(jq -r .created "$T/stdout")
	ok start "$ID"
	ok state "$ID"
	assert_eq "$(jq -r '.status + .created' "$T/stdout")" "running$created"
	ok kill "$ID" KILL
	wait_state "$ID" stopped
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .pid, .created]' "$T/stdout")" "[\"stopped\",0,\"$created\"]"
}

@test "state: paths are absolute and clean whatever was given" {
	cd "$T"
	config_set '.root.path = "./x/../rootfs/"'
	ok create --bundle ./bundle/../bundle "$ID"
	ok state "$ID"
	assert_eq "$(jq -r .bundle "$T/stdout")" "$(realpath "$BUNDLE")"
	assert_eq "$(jq -r .rootfs "$T/stdout")" "$(realpath "$BUNDLE")/rootfs"
}

@test "state: a missing container" {
	fails 'container does not exist: nope' state nope
	assert_eq "$status:$output" 1:
	fails 'container does not exist: nope' --root "$T/none" state nope
}

@test "state: a damaged record is an error, hides no other container, and can be deleted by force" {
	ok create --bundle "$BUNDLE" "$ID"
	ok create --bundle "$BUNDLE" "$ID-2"
	pid=$(pid_of "$ID-2")
	for text in '' '{' '{"version": 1}' '[]' 'null'; do
		cp "$ROOT/$ID-2/state.json" "$T/saved"
		printf '%s' "$text" >"$ROOT/$ID-2/state.json"
		fails "container $ID-2: its state cannot be read (delete --force removes it): state.json: " state "$ID-2"
		for c in start kill delete ps pause resume update events; do
			fails 'state.json: ' "$c" "$ID-2"
		done
		ok list -q
		assert_eq "$output" "$ID"
		assert_match "$stderr" "*warning: *$ID-2*"
		cp "$T/saved" "$ROOT/$ID-2/state.json"
	done
	state_is "$ID-2" created
	printf '{' >"$ROOT/$ID-2/state.json"
	ok delete --force "$ID-2"
	[[ ! -e $ROOT/$ID-2 ]]
	# Its process is known to nobody but the test; without a record nothing can be said about it.
	kill -KILL "$pid" 2>/dev/null || true
	# Of a unit systemd may take some; where the slice itself was made for it, nobody does.
	gone() { rmdir "$1" 2>/dev/null || [[ ! -d $1 ]]; }
	while read -r d; do
		wait_until gone "$d"
		[[ $d != *.scope ]] || rmdir "${d%/*}" 2>/dev/null || :
	done < <(find /sys/fs/cgroup -depth -type d -name "*$ID-2*")
}

@test "state: of another container is not believed" {
	ok create --bundle "$BUNDLE" "$ID"
	mkdir "$ROOT/$ID-2"
	cp "$ROOT/$ID/state.json" "$ROOT/$ID-2/"
	fails "it is of container $ID" state "$ID-2"
	fails "it is of container $ID" kill "$ID-2" KILL
	state_is "$ID" created
	rm -r "${ROOT:?}/$ID-2"
}

@test "state: a pid that is another process now is a stopped container" {
	ok create --bundle "$BUNDLE" "$ID"
	jq '.startTime += 1' "$ROOT/$ID/state.json" >"$T/s"
	pid=$(pid_of "$ID")
	cp "$T/s" "$ROOT/$ID/state.json"
	state_is "$ID" stopped
	fails 'container not running' kill "$ID" KILL
	[[ -d /proc/$pid ]]
	jq '.startTime -= 1' "$T/s" >"$ROOT/$ID/state.json"
	state_is "$ID" created
}

@test "state: a zombie still tells its exit status" {
	config_set '.process.args = ["sh", "-c", "exit 42"]'
	# The parent of init is the test's shell's child, which does not reap.
	python3 - "$VZRUN" "$ROOT" "$BUNDLE" "$ID" "$T" >"$T/py.log" 2>&1 3>&- 4>&- <<-'E' &
		import ctypes, subprocess, sys, time
		ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
		vzrun, root, bundle, id, t = sys.argv[1:]
		subprocess.run([vzrun, "--root", root, "create", "--bundle", bundle, id], stdin=subprocess.DEVNULL, check=True)
		subprocess.run([vzrun, "--root", root, "start", id], stdin=subprocess.DEVNULL, check=True)
		open(t + "/started", "w").close()
		time.sleep(30)
	E
	bg=$!
	wait_until test -e "$T/started"
	wait_state "$ID" stopped
	ok state "$ID"
	assert_eq "$(jq -c '[.status, .pid, .exit.status]' "$T/stdout")" '["stopped",0,42]'
	ok delete "$ID"
	kill $bg
	wait $bg || true
}

@test "list: table, json, quiet" {
	ok list
	assert_eq "$(awk '{ $1 = $1; print }' "$T/stdout")" "ID PID STATUS BUNDLE CREATED OWNER"
	ok list --format json
	assert_eq "$output" null
	ok list -q
	assert_eq "$output" ""
	ok create --bundle "$BUNDLE" "$ID-b"
	ok create --bundle "$BUNDLE" "$ID-a"
	ok list
	assert_eq "$(awk 'NR > 1 { print $1, $2, $3, $4, $6 }' "$T/stdout")" "$ID-a $(pid_of "$ID-a") created $(realpath "$BUNDLE") $(id -un)
$ID-b $(pid_of "$ID-b") created $(realpath "$BUNDLE") $(id -un)"
	ok list -q
	assert_eq "$output" "$ID-a"$'\n'"$ID-b"
	ok list -f json
	assert_eq "$(wc -l <"$T/stdout")" 1
	assert_eq "$(jq -c '[.[] | [.id, .status, .owner]]' "$T/stdout")" "[[\"$ID-a\",\"created\",\"$(id -un)\"],[\"$ID-b\",\"created\",\"$(id -un)\"]]"
	ok state "$ID-a"
	one=$(jq -cS . "$T/stdout")
	ok list -f json
	assert_eq "$(jq -cS '.[0]' "$T/stdout")" "$one"
	fails 'invalid format option: "yaml"' list -f yaml
}

@test "list: a root of one's own must be there, and is not made" {
	fails "open $T/none: no such file or directory" --root "$T/none" list
	[[ ! -e $T/none ]]
}

@test "list: files and caches in the root are no containers" {
	touch "$ROOT/file"
	mkdir -p "$ROOT/.cache/seccomp"
	ok list -q
	assert_eq "$output" ""
	rm "$ROOT/file"
	rm -r "$ROOT/.cache"
}

@test "list: does not wait for a container that is being created" {
	config_set --arg t "$T" '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "touch \($t)/hook; exec sleep 100"]}]'
	"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >"$T/out" 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -e "$T/hook"
	VZ_TIMEOUT=3 ok list
	assert_match "$output" "*$ID *creating*"
	VZ_TIMEOUT=3 ok state "$ID"
	assert_eq "$(jq -r .status "$T/stdout")" creating
	VZ_TIMEOUT=3 ok ps --format json "$ID"
	kill -TERM $bg
	wait $bg || true
}

@test "ps: json is every process of the cgroup, in the host's numbers" {
	config_set '.process.args = ["sh", "-c", "sleep 1000 & sleep 1000 & wait"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok ps --format json "$ID"
	assert_eq "$output" "[$(pid_of "$ID")]"
	ok start "$ID"
	three() { ok ps -f json "$ID" && [[ $(jq length "$T/stdout") == 3 ]]; }
	wait_until three
	ok ps --format json "$ID"
	for p in $(jq '.[]' "$T/stdout"); do [[ -d /proc/$p ]]; done
	jq -e --argjson p "$(pid_of "$ID")" 'index($p) != null' "$T/stdout" >/dev/null
	ok kill --all "$ID" KILL
	wait_state "$ID" stopped
	ok ps --format json "$ID"
	assert_eq "$output" "[]"
}

@test "ps: the table passes its arguments on and shows only the container's lines" {
	start_sleep
	ok ps "$ID"
	assert_match "${output%%$'\n'*}" "UID *PID *CMD"
	assert_eq "$(wc -l <"$T/stdout")" 2
	assert_match "$output" "*sleep 1000"
	ok ps "$ID" -o pid,comm
	assert_match "$output" "*PID COMMAND*"
	ok ps "$ID" -A -o pid,comm
	assert_eq "$(awk 'NR > 1 { print $1, $2 }' "$T/stdout")" "$(pid_of "$ID") sleep"
	fails "couldn't find PID field" ps "$ID" -A -o comm
	fails 'ps: ' ps "$ID" --no-such-option
	fails 'invalid format option: "x"' ps -f x "$ID"
	fails 'container does not exist' ps nope
}
