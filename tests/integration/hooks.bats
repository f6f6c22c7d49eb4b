#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hooks of all six kinds: when, where, what they are told, and what their failure does.

load ../lib/helpers

kinds='prestart createRuntime createContainer startContainer poststart poststop'

# A container that writes down all its hooks in $T/log, which it sees as /log.
setup() {
	vz_setup
	cp "$BUNDLE/rootfs/bin/busybox" "$T/busybox"
	: >"$T/log"
	touch "$BUNDLE/rootfs/log"
	add_mount /log bind "$T/log" bind
}

# hook KIND SCRIPT [FILTER]: one more hook; startContainer's runs in the container.
hook() {
	config_set --arg k "$1" --arg s "$2" \
		".hooks[\$k] += [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \$s]}] ${3:+| $3}"
}

log_of() { case $1 in startContainer) echo /log ;; *) echo "$T/log" ;; esac; }

@test "hooks: all six, in order, told their state" {
	for k in $kinds; do hook "$k" "s=\$(cat); echo \"$k \$s\" >>$(log_of $k)"; done
	config_set --arg s 'echo "payload {}" >>/log; sleep 1000' '.process.args = ["sh", "-c", $s] | .annotations = {"a/b": "c"}'
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(pid_of "$ID")
	assert_eq "$(cut -d' ' -f1 "$T/log" | tr '\n' ' ')" "prestart createRuntime createContainer "
	ok start "$ID"
	wait_until grep -q payload "$T/log"
	ok delete --force "$ID"
	assert_eq "$(cut -d' ' -f1 "$T/log" | grep -v payload | tr '\n' ' ')" \
		"prestart createRuntime createContainer startContainer poststart poststop "
	# the payload after startContainer
	[[ $(grep -n payload "$T/log" | cut -d: -f1) -gt $(grep -n startContainer "$T/log" | cut -d: -f1) ]]
	while read -r k state; do
		[[ $k != payload ]] || continue
		assert_eq "$(jq -r '[.ociVersion, .id, .bundle, .annotations["a/b"]] | join(" ")' <<<"$state")" "1.0.2 $ID $(realpath "$BUNDLE") c"
		case $k in
		prestart | createRuntime) want="creating $pid" ;;
		createContainer) want="creating" ;;
		startContainer) want="created" ;;
		poststart) want="running $pid" ;;
		poststop) want="stopped null" ;;
		esac
		assert_match "$(jq -r '"\(.status) \(.pid)"' <<<"$state")" "$want*" || { echo "$k"; return 1; }
		# On one line, and slashes as they are: simple scripts read it.
		[[ $state == *"$(realpath "$BUNDLE")"* ]]
	done <"$T/log"
}

@test "hooks: several of a kind run in their order" {
	for i in 1 2 3; do hook createRuntime "echo $i >>$T/log"; done
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(tr '\n' ' ' <"$T/log")" "1 2 3 "
}

@test "hooks: which namespaces and root they see" {
	for k in prestart createRuntime poststart poststop; do
		hook $k "echo $k \$(readlink /proc/self/ns/mnt) \$(readlink /proc/self/ns/net) >>$T/log"
	done
	hook createContainer "echo createContainer \$(readlink /proc/self/ns/mnt) \$(readlink /proc/self/ns/net) >>$T/log; test -d $BUNDLE"
	hook startContainer "echo startContainer \$(readlink /proc/self/ns/mnt) \$(readlink /proc/self/ns/net) >>/log; test ! -e $BUNDLE"
	config_set '.process.args = ["sh", "-c", "echo payload $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) >>/log"]'
	ok run --bundle "$BUNDLE" "$ID"
	host="$(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net)"
	inside=$(sed -n 's/^payload //p' "$T/log")
	[[ $inside != "$host" ]]
	for k in prestart createRuntime poststart poststop; do
		assert_eq "$(sed -n "s/^$k //p" "$T/log")" "$host"
	done
	for k in createContainer startContainer; do
		assert_eq "$(sed -n "s/^$k //p" "$T/log")" "$inside"
	done
}

@test "hooks: createContainer sees all mounts, before the root is switched" {
	hook createContainer "cat /proc/self/mountinfo >$T/log"
	ok run --bundle "$BUNDLE" "$ID"
	for m in /proc /dev /dev/pts /sys /dev/shm; do
		grep -q " $(realpath "$BUNDLE")/rootfs$m " "$T/log" || { echo "$m"; return 1; }
	done
}

@test "hooks: args, env, and the environment when there is none" {
	config_set --arg t "$T" '.hooks.createRuntime = [
		{path: "/bin/sh", args: ["zero", "-c", "echo $0 $1 $A \($t) >>\($t)/log", "x y", "one"], env: ["A=1"]},
		{path: "/usr/bin/env", env: ["ONLY=this"]}]'
	hook createRuntime "echo env \$MARK >>$T/log"
	hook createRuntime "env >$T/only" '(.hooks.createRuntime[-1].env = ["ONLY=this"])'
	MARK=ours ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(head -n 1 "$T/log")" "x y one 1 $T"
	assert_eq "$(tail -n 1 "$T/log")" "env ours"
	grep -qx ONLY=this "$T/only"
	[[ $(grep -c '^MARK\|^HOME' "$T/only") == 0 ]]
	# startContainer: the program's own, where it has none
	config_set '.hooks = {} | .process.env += ["PAYLOAD=1"]'
	hook startContainer 'echo $PAYLOAD >/log'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(<"$T/log")" 1
}

@test "hooks: a failure before start undoes everything and is told with its output" {
	for k in prestart createRuntime createContainer startContainer; do
		config_set '.hooks = {}'
		hook $k true
		hook $k 'echo some words; echo more words >&2; exit 3'
		hook poststop "echo stopped >>$T/log"
		run_vzrun run --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
		assert_eq "$status" 1
		assert_match "$stderr" "vzrun: run failed: error running $k hook #1: exit status 3, output: some words*more words" || return
		[[ ! -e $ROOT/$ID && ! -e $T/pid ]]
	done
}

@test "hooks: a failing startContainer hook reaches the user of start" {
	hook startContainer 'echo no >&2; exit 4'
	config_set '.process.args = ["sh", "-c", "echo ran >>/log"]'
	ok create --bundle "$BUNDLE" "$ID"
	VZ_TIMEOUT=10 fails 'start failed: error running startContainer hook #0: exit status 4, output: no' start "$ID"
	wait_state "$ID" stopped
	assert_eq "$(<"$T/log")" ""
	ok delete "$ID"
}

@test "hooks: a failing poststart hook ends the container" {
	hook poststart 'exit 5'
	config_set '.process.args = ["sleep", "1000"]'
	ok create --bundle "$BUNDLE" "$ID"
	fails 'start failed: error running poststart hook #0: exit status 5' start "$ID"
	wait_state "$ID" stopped
	ok delete "$ID"
	fails 'run failed: error running poststart hook #0: exit status 5' run --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
	fails 'run failed: error running poststart hook #0: exit status 5' run -d --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "hooks: a failing poststop hook is a warning, and the next ones run" {
	hook poststop 'exit 6'
	hook poststop "echo second >>$T/log"
	config_set '.hooks.poststop += [{path: "/no/such/hook"}]'
	hook poststop "echo fourth >>$T/log"
	ok create --bundle "$BUNDLE" "$ID"
	ok delete "$ID"
	assert_match "$stderr" "*warning: error running poststop hook #0: exit status 6*warning: error running poststop hook #2: *no such file*"
	assert_eq "$(tr '\n' ' ' <"$T/log")" "second fourth "
	[[ ! -e $ROOT/$ID ]]
}

@test "hooks: a timeout kills the hook and fails" {
	hook prestart 'sleep 100 & sleep 100' '(.hooks.prestart[-1].timeout = 1)'
	SECONDS=0
	fails 'error running prestart hook #0: /bin/sh: no end after 1 s' run --bundle "$BUNDLE" "$ID"
	((SECONDS < 5))
	[[ ! -e $ROOT/$ID ]]
	config_set '.hooks.prestart[0].timeout = 0'
	fails '/hooks/prestart/0/timeout' run --bundle "$BUNDLE" "$ID"
	config_set '.hooks.prestart[0].timeout = -1'
	fails '/hooks/prestart/0/timeout' run --bundle "$BUNDLE" "$ID"
}

@test "hooks: one that ends in time is not hurt by its timeout" {
	hook prestart "echo done >>$T/log" '(.hooks.prestart[-1].timeout = 30)'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(<"$T/log")" "done"
}

@test "hooks: flooding output does not block, and is cut in the text" {
	hook createRuntime 'head -c 3000000 /dev/zero | tr "\0" x; exit 7'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 1
	assert_match "$stderr" "*hook #0: exit status 7, output: xxx*"
	((${#stderr} < 2000))
}

@test "hooks: not reading the state, closing it, or reading it late" {
	config_set '.annotations = {"big": ("x" * 300000)}'
	hook prestart true
	hook prestart 'exec <&-; sleep 0.05'
	hook prestart "sleep 0.2; wc -c >>$T/log"
	ok run --bundle "$BUNDLE" "$ID"
	(($(<"$T/log") > 300000))
}

@test "hooks: a daemon that keeps the pipes open holds nobody" {
	hook prestart 'sleep 5 & echo started'
	SECONDS=0
	ok run --bundle "$BUNDLE" "$ID"
	((SECONDS < 4))
	for p in $(audit processes "$VZRUN_TEST_ID" | awk '{ print $2 }'); do kill -KILL "$p" || true; done
}

@test "hooks: signals are neither blocked nor ignored in them, and descriptors do not leak in" {
	hook prestart "grep -E '^Sig(Blk|Ign)' /proc/self/status >>$T/log; ls /proc/self/fd >>$T/log"
	(
		exec 7</etc/passwd
		trap '' USR1
		exec timeout 20 "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/stdout" 2>"$T/stderr" </dev/null
	)
	assert_eq "$(tr -s '\n\t' '  ' <"$T/log")" "SigBlk: 0000000000000000 SigIgn: 0000000000000000 0 1 2 3 "
}

@test "hooks: ended by a signal" {
	hook prestart 'kill -SEGV $$'
	fails 'error running prestart hook #0: signal: segmentation fault' run --bundle "$BUNDLE" "$ID"
}

@test "hooks: paths are absolute, and one that cannot be executed is named" {
	config_set '.hooks.prestart = [{path: "bin/sh"}]'
	fails '/hooks/prestart/0/path' run --bundle "$BUNDLE" "$ID"
	config_set '.hooks.prestart = [{path: "/no/such/hook"}]'
	fails 'error running prestart hook #0: exec /no/such/hook: no such file or directory' run --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOT/$ID ]]
}

@test "hooks: the working directory of the runtime's own is the bundle" {
	hook createRuntime "pwd >>$T/log"
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$(<"$T/log")" "$(realpath "$BUNDLE")"
}

@test "hooks: delete --force of a container whose create was killed runs poststop once" {
	hook poststop "echo once >>$T/log"
	hook createRuntime "touch $T/hook; exec sleep 100"
	"$VZRUN" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	bg=$!
	wait_until test -e "$T/hook"
	kill -KILL $bg
	wait $bg || true
	for p in $(audit processes "$VZRUN_TEST_ID" | awk '/sleep 100/ { print $2 }'); do kill -KILL "$p" || true; done
	ok delete --force "$ID"
	ok delete --force "$ID"
	(($(wc -l <"$T/log") <= 1))
}
