#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who the payload is: ids, groups, umask, HOME, its cwd, its standard streams; which program it is.

load ../lib/helpers

user() { config_set --argjson u "$1" '.process.user = $u'; }

@test "user: ids, groups and umask" {
	user '{"uid": 1000, "gid": 1001, "additionalGids": [5, 50, 70000], "umask": 23}'
	run_sh 'grep -E "^(Uid|Gid|Groups|Umask)" /proc/self/status'
	assert_match "$output" $'Umask:\t0027\nUid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nGroups:\t5 50 70000 '
}

@test "user: without additionalGids there are no groups, the caller's are dropped" {
	user '{"uid": 1000, "gid": 1000}'
	run_sh 'grep ^Groups /proc/self/status'
	assert_eq "$output" $'Groups:\t '
}

@test "user: unset umask is the caller's" {
	(umask 027 && run_sh umask && assert_eq "$output" 0027)
}

@test "user: umask 0 is one" {
	user '{"uid": 0, "gid": 0, "umask": 0}'
	run_sh umask
	assert_eq "$output" 0000
}

@test "user: one that the image does not know" {
	user '{"uid": 4000000000, "gid": 4000000001}'
	run_sh 'id -u; id -g'
	assert_eq "$output" $'4000000000\n4000000001'
}

@test "user: additional group that the user namespace does not map is named" {
	user '{"uid": 0, "gid": 0, "additionalGids": [70000]}'
	config_set '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	fails "additional group has no mapping in the user namespace" run --bundle "$BUNDLE" "$ID"
}

@test "HOME: from the container's passwd when the document has none" {
	config_set '.process.env = ["PATH=/bin"]'
	user '{"uid": 1000, "gid": 1000}'
	run_sh 'echo $HOME'
	assert_eq "$output" /home/user
}

@test "HOME: an empty one is as good as none" {
	config_set '.process.env = ["PATH=/bin", "HOME="]'
	run_sh 'env | grep HOME'
	assert_eq "$output" HOME=/root
}

@test "HOME: / for a user without an entry, or without a passwd" {
	config_set '.process.env = ["PATH=/bin"]'
	user '{"uid": 4242, "gid": 0}'
	run_sh 'echo $HOME'
	assert_eq "$output" /
	rm "$BUNDLE/rootfs/etc/passwd"
	run_sh 'echo $HOME'
	assert_eq "$output" /
}

@test "HOME: the document's own is not touched" {
	config_set '.process.env = ["PATH=/bin", "HOME=/elsewhere"]'
	run_sh 'echo $HOME'
	assert_eq "$output" /elsewhere
}

@test "HOME: a passwd that is a fifo or a link out of the root hangs nobody and tells nothing" {
	config_set '.process.env = ["PATH=/bin"]'
	rm "$BUNDLE/rootfs/etc/passwd"
	mkfifo "$BUNDLE/rootfs/etc/passwd"
	VZ_TIMEOUT=10 run_sh 'echo $HOME'
	assert_eq "$output" /
	rm "$BUNDLE/rootfs/etc/passwd"
	ln -s /proc/1/root/etc/passwd "$BUNDLE/rootfs/etc/passwd"
	run_sh 'echo $HOME'
	assert_eq "$output" /
}

@test "cwd: made when missing, as root with 0755" {
	user '{"uid": 1000, "gid": 1000}'
	config_set '.process.cwd = "/made/for/me"'
	run_sh 'pwd; stat -c "%u %a" .'
	assert_eq "$output" $'/made/for/me\n0 755'
}

@test "cwd: one that the user cannot enter is an error, though root could" {
	mkdir -m 700 "$BUNDLE/rootfs/secret"
	config_set '.process.cwd = "/secret"'
	ok run --bundle "$BUNDLE" "$ID"
	user '{"uid": 1000, "gid": 1000}'
	fails '/secret' run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*permission denied*"
	fails '/secret' create --bundle "$BUNDLE" "$ID"
}

@test "cwd: one that the user can enter and root without capabilities cannot is none" {
	mkdir -m 700 "$BUNDLE/rootfs/mine"
	chown 1000 "$BUNDLE/rootfs/mine"
	config_set '.process.cwd = "/mine" | .process.capabilities = {}'
	user '{"uid": 1000, "gid": 1000}'
	run_sh pwd
	assert_eq "$output" /mine
}

@test "cwd: below a directory that only the user can enter" {
	mkdir -p -m 700 "$BUNDLE/rootfs/mine/deep"
	chown -R 1000 "$BUNDLE/rootfs/mine"
	chmod 700 "$BUNDLE/rootfs/mine"
	config_set '.process.cwd = "/mine/deep"'
	user '{"uid": 1000, "gid": 1000}'
	run_sh pwd
	assert_eq "$output" /mine/deep
}

@test "cwd: the same rules for exec --user and --cwd" {
	mkdir -m 700 "$BUNDLE/rootfs/secret"
	start_sleep
	ok exec --cwd /secret "$ID" true
	fails /secret exec --user 1000 --cwd /secret "$ID" true
	[[ $status == 255 ]]
	assert_match "$stderr" "*permission denied*"
}

@test "cwd: not a directory" {
	config_set '.process.cwd = "/etc/passwd"'
	fails "not a directory" run --bundle "$BUNDLE" "$ID"
}

@test "cwd: descriptors of the runtime lead to nothing but the container's own root (CVE-2024-21626)" {
	local fd inside

	run_sh 'pwd -P; ls -a'
	inside=$output
	for fd in 3 4 5 6 7 8 9 10 11; do
		config_set --arg d "/proc/self/fd/$fd" '.process.cwd = $d'
		run_vzrun run --bundle "$BUNDLE" "$ID"
		[[ $status == 1 ]] || assert_eq "$output" "$inside"
	done
}

@test "exec --user: numbers only, the whole word (CVE-2026-30892)" {
	local word

	start_sleep
	ok exec --user 1000:50 "$ID" sh -c 'id -u; id -g'
	assert_eq "$output" $'1000\n50'
	ok exec --user 1000 --additional-gids 50 --additional-gids 60 "$ID" sh -c 'id -u; grep ^Groups /proc/self/status'
	assert_eq "$output" $'1000\nGroups:\t50 60 '
	for word in 1x x "" 1: :1 -1 4294967296 1:2:3 " 1"; do
		fails "--user" exec --user "$word" "$ID" id -u
	done
}

@test "stdio: the user owns its streams and may open them again" {
	user '{"uid": 1000, "gid": 1000}'
	config_set '.process.args = ["sh", "-c", "echo out >/dev/stdout; echo err >/dev/stderr; stat -L -c %u /dev/stderr"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_match "$output" "*1000"
	assert_eq "$stderr" err
	"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID-p" 2>&1 </dev/null 3>&- 4>&- | grep err # all of it is read: the pipe stays
}

@test "stdio: a device is not given away" {
	user '{"uid": 1000, "gid": 1000}'
	config_set '.process.args = ["true"]'
	"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- 4>&-
	[[ $(stat -c %u /dev/null) == 0 ]]
}

@test "stdio: one on a read-only file system is left alone" {
	needs_root
	user '{"uid": 1000, "gid": 1000}'
	config_set '.process.args = ["cat"]'
	mkdir "$T/ro"
	timeout 20 unshare -m sh -c "mount -t tmpfs none $T/ro && echo hello >$T/ro/f && mount -o remount,ro $T/ro &&
		exec $VZRUN --root $ROOT run --bundle $BUNDLE $ID <$T/ro/f" >"$T/out" 2>&1 3>&- 4>&-
	assert_eq "$(<"$T/out")" hello
}

# ---- the program ----

@test "program: found by the PATH of the document, relative entries from cwd" {
	mkdir -p "$BUNDLE/rootfs/opt/tools"
	printf '#!/bin/sh\necho "tool $0"\n' >"$BUNDLE/rootfs/opt/tools/thing"
	chmod 755 "$BUNDLE/rootfs/opt/tools/thing"
	config_set '.process.env = ["PATH=/nowhere:/opt/tools:/bin"]'
	run_args thing
	assert_eq "$output" "tool /opt/tools/thing"
	config_set '.process.env = ["PATH=tools:/bin"] | .process.cwd = "/opt"'
	run_args thing
	assert_match "$output" "tool *tools/thing"
	config_set '.process.cwd = "/opt/tools"'
	run_args ./thing
	assert_eq "$output" "tool ./thing"
}

@test "program: without PATH the usual places are searched" {
	config_set '.process.env = []'
	run_args true
}

@test "program: a name that is a directory or not executable is passed over for a later one" {
	mkdir -p "$BUNDLE/rootfs/a/thing" "$BUNDLE/rootfs/b" "$BUNDLE/rootfs/c"
	echo text >"$BUNDLE/rootfs/b/thing"
	printf '#!/bin/sh\necho third\n' >"$BUNDLE/rootfs/c/thing"
	chmod 755 "$BUNDLE/rootfs/c/thing"
	config_set '.process.env = ["PATH=/a:/b:/c"]'
	run_args thing
	assert_eq "$output" third
}

@test "program: missing in PATH" {
	config_set '.process.args = ["nothing-like-it"]'
	fails 'exec: "nothing-like-it": executable file not found in $PATH' run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 1
	fails 'exec: "nothing-like-it": executable file not found in $PATH' \
		--log "$T/log" --log-format json create --bundle "$BUNDLE" "$ID"
	[[ $(jq -s 'length == 1 and .[0].level == "error" and (.[0].msg | contains("executable file not found in $PATH"))' "$T/log") == true ]]
}

@test "program: an absolute path that is missing" {
	config_set '.process.args = ["/bin/nothing"]'
	fails 'exec: "/bin/nothing": no such file or directory' create --bundle "$BUNDLE" "$ID"
	assert_match "${stderr,,}" '*exec: "/bin/nothing": no such file or directory*'
}

@test "program: not executable, a directory, of another architecture" {
	echo text >"$BUNDLE/rootfs/text"
	config_set '.process.args = ["/text"]'
	fails 'exec: "/text": permission denied' create --bundle "$BUNDLE" "$ID"
	config_set '.process.args = ["/etc"]'
	fails 'exec: "/etc": is a directory' create --bundle "$BUNDLE" "$ID"
	printf '\177ELF nonsense' >"$BUNDLE/rootfs/foreign"
	chmod 755 "$BUNDLE/rootfs/foreign"
	config_set '.process.args = ["/foreign"]'
	fails 'exec: "/foreign": exec format error' run --bundle "$BUNDLE" "$ID"
}

@test "program: only others may execute it" {
	printf '#!/bin/sh\n' >"$BUNDLE/rootfs/bin/private"
	chmod 700 "$BUNDLE/rootfs/bin/private"
	user '{"uid": 1000, "gid": 1000}'
	config_set '.process.args = ["private"] | .process.capabilities = {}'
	fails 'exec: "private": permission denied' run --bundle "$BUNDLE" "$ID"
}

@test "program: a script whose interpreter is missing is named as given" {
	printf '#!/bin/nowhere\n' >"$BUNDLE/rootfs/bin/script"
	chmod 755 "$BUNDLE/rootfs/bin/script"
	config_set '.process.args = ["script"]'
	fails 'exec: "script"' run --bundle "$BUNDLE" "$ID"
	assert_match "${stderr,,}" "*interpreter*no such file or directory*"
	ok create --bundle "$BUNDLE" "$ID"
	fails 'exec: "script"' start "$ID"
	assert_match "$stderr" "*interpreter*"
	state_is "$ID" stopped
	ok delete "$ID"
}

@test "program: exec of a missing one fails with 255 and names it" {
	start_sleep
	fails 'exec: "no-such-thing": executable file not found in $PATH' exec --pid-file "$T/pid" "$ID" no-such-thing
	assert_eq "$status" 255
	[[ ! -e $T/pid ]]
	fails 'exec: "/etc/passwd"' exec "$ID" /etc/passwd
	assert_eq "$status" 255
	fails 'exec: "/etc/passwd"' exec -d "$ID" /etc/passwd
	assert_eq "$status" 255
}

@test "program: an empty name" {
	config_set '.process.args = [""]'
	fails "" run --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*exec: \"\"*"
}

@test "program: arguments arrive as they are" {
	run_args printf '%s|' 'a b' '' $'new\nline' '"q"' '$HOME' -x
	assert_eq "$output" $'a b||new\nline|"q"|$HOME|-x|'
}

# ---- the environment ----

@test "environment: what the document says and HOME, nothing of the caller" {
	config_set '.process.env = ["PATH=/bin", "A=1", "B=x=y", "EMPTY=", "A=2"]'
	config_set '.process.args = ["env"]'
	OUTSIDE=leak run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$(sort <<<"$output" | tr '\n' ' ')" "A=1 A=2 B=x=y EMPTY= HOME=/root PATH=/bin "
}

@test "environment: exec has the container's, --env comes after it" {
	start_sleep
	ok exec --env X=1 -e TERM=dumb "$ID" sh -c 'echo $X $TERM $HOME'
	assert_eq "$output" "1 dumb /root"
}

@test "environment: HOME of exec --user" {
	config_set '.process.env = ["PATH=/bin"]'
	start_sleep
	ok exec --user 1000 "$ID" sh -c 'echo $HOME'
	assert_eq "$output" /home/user
}

@test "environment: an entry without = is an error that points at it" {
	config_set '.process.env += ["NOTHING"]'
	fails "/process/env/" run --bundle "$BUNDLE" "$ID"
}

@test "signals: nothing is blocked or ignored, whatever the caller has" {
	add_probe
	config_set '.process.args = ["probe", "signals"]'
	(
		trap '' HUP TERM USR1 PIPE CHLD
		ok run --bundle "$BUNDLE" "$ID"
		assert_eq "$output" $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000'
	)
}

# ---- no_new_privs ----

@test "noNewPrivileges: on, off, and for exec" {
	run_sh 'grep ^NoNewPrivs /proc/self/status'
	assert_eq "$output" $'NoNewPrivs:\t1'
	config_set '.process.noNewPrivileges = false'
	run_sh 'grep ^NoNewPrivs /proc/self/status'
	assert_eq "$output" $'NoNewPrivs:\t0'
	start_sleep
	ok exec --no-new-privs "$ID" grep ^NoNewPrivs /proc/self/status
	assert_eq "$output" $'NoNewPrivs:\t1'
	ok exec "$ID" grep ^NoNewPrivs /proc/self/status
	assert_eq "$output" $'NoNewPrivs:\t0'
}

@test "noNewPrivileges: a set-user-id program gives nothing" {
	# Not busybox: it lets go of such a right by itself.
	add_probe && chmod 4755 "$BUNDLE/rootfs/bin/probe"
	user '{"uid": 1000, "gid": 1000}'
	config_set '.process.noNewPrivileges = false'
	run_args probe call geteuid
	[[ $output == "0 "* ]] || skip "the file system is mounted nosuid"
	config_set '.process.noNewPrivileges = true'
	run_args probe call geteuid
	assert_match "$output" "1000 *"
}
