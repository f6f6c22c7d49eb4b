#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# linux.seccomp: what the payload's system calls give.  `probe call NAME ARG...` prints "RETURN ERRNO".

load ../lib/helpers

setup() {
	vz_setup || return
	add_probe
}

# profile JQ: linux.seccomp, a jq expression
profile() { config_set ".linux.seccomp = $1"; }

# one ACTION [MORE]: everything is allowed but getpgid
one() { profile "{defaultAction: \"SCMP_ACT_ALLOW\", syscalls: [{names: [\"getpgid\"], action: \"$1\"${2:+, $2}}]}"; }

# call_gives "RETURN ERRNO" NAME ARG...
call_gives() {
	local want=$1

	shift
	run_args probe call "$@" && assert_eq "$output" "$want"
}

# call_dies NAME ARG...: SIGSYS
call_dies() {
	jq '.process.args = $ARGS.positional' "$CONFIG" --args -- probe call "$@" >"$CONFIG.new"
	mv "$CONFIG.new" "$CONFIG"
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $output" "159 "
}

# What a static program needs, and no more: a profile by default ERRNO.
NEEDED='["execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink", "readlinkat",
	"getrandom", "mprotect", "fstat", "newfstatat", "read", "write", "close", "exit_group", "ioctl", "mmap", "munmap"]'

needs_x86() { [[ $(uname -m) == x86_64 ]] || skip "x86-64 only"; }

@test "seccomp: without the object there is no filter" {
	run_args grep ^Seccomp: /proc/self/status
	assert_eq "$output" $'Seccomp:\t0'
}

@test "seccomp: the filter is there, exactly one" {
	one SCMP_ACT_ERRNO
	run_args grep ^Seccomp /proc/self/status
	assert_eq "$output" $'Seccomp:\t2\nSeccomp_filters:\t1'
}

@test "seccomp: ERRNO, with EPERM unless the document says otherwise" {
	one SCMP_ACT_ERRNO
	call_gives "-1 1" getpgid 0
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	call_gives "-1 77" getpgid 0
	one SCMP_ACT_ERRNO 'errnoRet: 0'
	call_gives "0 0" getpgid 0
}

@test "seccomp: ALLOW and LOG let it through" {
	local action

	for action in SCMP_ACT_ALLOW SCMP_ACT_LOG; do
		one $action
		call_gives "1 0" getpgid 0
	done
}

@test "seccomp: KILL, KILL_THREAD, KILL_PROCESS and an unhandled TRAP end the program by SIGSYS" {
	local action

	for action in SCMP_ACT_KILL SCMP_ACT_KILL_THREAD SCMP_ACT_KILL_PROCESS SCMP_ACT_TRAP; do
		one $action
		call_dies getpgid 0
	done
}

@test "seccomp: TRACE without a tracer is ENOSYS" {
	one SCMP_ACT_TRACE
	call_gives "-1 38" getpgid 0
	one SCMP_ACT_TRACE 'errnoRet: 5'
	call_gives "-1 38" getpgid 0
}

@test "seccomp: defaultErrnoRet" {
	profile "{defaultAction: \"SCMP_ACT_ERRNO\", defaultErrnoRet: 99, syscalls: [{names: $NEEDED, action: \"SCMP_ACT_ALLOW\"}]}"
	call_gives "-1 99" getpgid 0
	profile "{defaultAction: \"SCMP_ACT_ERRNO\", syscalls: [{names: $NEEDED, action: \"SCMP_ACT_ALLOW\"}]}"
	call_gives "-1 1" getpgid 0
}

@test "seccomp: a profile that allows nothing of ours but read, write, close, exec" {
	# Nothing else happens between the filter and the program: with no_new_privs the filter is the last thing.
	profile "{defaultAction: \"SCMP_ACT_KILL_PROCESS\", syscalls: [{names: $NEEDED, action: \"SCMP_ACT_ALLOW\"}]}"
	config_set '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 20, hard: 30}, {type: "RLIMIT_AS", soft: 8000000, hard: 8000000}]'
	config_set '.process.args = ["probe", "none"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status $stderr" "2 usage: probe COMMAND [ARG...]"
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_state "$ID" stopped
}

@test "seccomp: each operator" {
	local op value two yes no

	while read -r op value two yes no; do
		one SCMP_ACT_ERRNO "errnoRet: 77, args: [{index: 0, value: $value, valueTwo: $two, op: \"SCMP_CMP_$op\"}]"
		run_args probe call getpgid "$yes"
		assert_eq "$op $output" "$op -1 77"
		run_args probe call getpgid "$no"
		[[ $output != "-1 77" ]] || { echo "$op: $no matches"; return 1; }
	done <<'ROWS'
NE 1 0 2 1
LT 2 0 1 2
LE 2 0 2 3
EQ 0 0 0 1
GE 2 0 2 1
GT 2 0 3 2
MASKED_EQ 240 32 47 31
ROWS
}

@test "seccomp: several arguments of one rule must all match, several rules are alternatives" {
	one SCMP_ACT_ERRNO 'errnoRet: 77, args: [{index: 0, value: 1, op: "SCMP_CMP_GE"}, {index: 1, value: 5, op: "SCMP_CMP_EQ"}]'
	call_gives "-1 77" getpgid 1 5
	call_gives "-1 3" getpgid 9999 6
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [
		{names: ["getpgid"], action: "SCMP_ACT_ERRNO", errnoRet: 77, args: [{index: 0, value: 1, op: "SCMP_CMP_EQ"}]},
		{names: ["getpgid"], action: "SCMP_ACT_ERRNO", errnoRet: 78, args: [{index: 0, value: 2, op: "SCMP_CMP_EQ"}]}]}'
	call_gives "-1 77" getpgid 1
	call_gives "-1 78" getpgid 2
	call_gives "1 0" getpgid 0
}

@test "seccomp: the same argument twice in one rule is either of them" {
	one SCMP_ACT_ERRNO 'errnoRet: 77, args: [{index: 0, value: 1, op: "SCMP_CMP_EQ"}, {index: 0, value: 2, op: "SCMP_CMP_EQ"}]'
	call_gives "-1 77" getpgid 1
	call_gives "-1 77" getpgid 2
	call_gives "1 0" getpgid 0
}

@test "seccomp: an unknown system call is ignored, the others of its rule are not" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["no_such_call", "getpgid"], action: "SCMP_ACT_ERRNO", errnoRet: 77}]}'
	call_gives "-1 77" getpgid 0
}

@test "seccomp: a rule with the default action changes nothing" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["getpgid"], action: "SCMP_ACT_ALLOW"}, {names: ["getsid"], action: "SCMP_ACT_ERRNO"}]}'
	call_gives "1 0" getpgid 0
	call_gives "-1 1" getsid 0
}

@test "seccomp: newer than the profile is ENOSYS, with and without no_new_privs" {
	local nnp

	for nnp in true false; do
		config_set ".process.noNewPrivileges = $nnp"
		# Without no_new_privs the filter comes before the ids change: that needs more.
		profile "{defaultAction: \"SCMP_ACT_ERRNO\", syscalls: [{action: \"SCMP_ACT_ALLOW\", names: ($NEEDED
			+ [\"capset\", \"capget\", \"prctl\", \"setgroups\", \"setresgid\", \"setresuid\", \"chdir\", \"getcwd\", \"stat\",
			   \"faccessat\", \"faccessat2\", \"access\", \"open\", \"openat\", \"openat2\", \"lseek\", \"fchown\"])}]}"
		call_gives "-1 38" 2000
		call_gives "-1 1" getpgid 0
	done
}

@test "seccomp: no ENOSYS where the default lets everything pass: the kernel's own word" {
	one SCMP_ACT_ERRNO
	call_gives "-1 38" 2000
}

@test "seccomp: both architectures of a profile, and a third is killed" {
	needs_x86
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	config_set '.linux.seccomp.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] | .process.args = ["probe", "call32", "132", "0"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" "-1 77"
	call_gives "-1 77" getpgid 0
	config_set '.linux.seccomp.architectures = ["SCMP_ARCH_X86_64"] | .process.args = ["probe", "call32", "132", "0"]'
	run_vzrun run --bundle "$BUNDLE" "$ID"
	assert_eq "$status" 159
}

@test "seccomp: the stub knows both architectures" {
	needs_x86
	profile "{defaultAction: \"SCMP_ACT_ERRNO\", architectures: [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\"],
		syscalls: [{names: $NEEDED, action: \"SCMP_ACT_ALLOW\"}]}"
	config_set '.process.args = ["probe", "call32", "2000"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" "-1 38"
	config_set '.process.args = ["probe", "call32", "132", "0"]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" "-1 1"
}

@test "seccomp: every flag the kernel takes from a document" {
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	config_set '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]'
	call_gives "-1 77" getpgid 0
	config_set '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_NEW"]'
	fails "/linux/seccomp/flags/0" run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: exec is filtered as well" {
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	start_sleep
	ok exec "$ID" probe call getpgid 0
	assert_eq "$output" "-1 77"
	jq '.process | .args = ["probe", "call", "getpgid", "0"] | .noNewPrivileges = false' "$CONFIG" >"$T/p.json"
	ok exec --process "$T/p.json" "$ID"
	assert_eq "$output" "-1 77"
}

@test "seccomp: a user without any capability, without no_new_privs" {
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	config_set '.process.noNewPrivileges = false | .process.capabilities = {} | .process.user = {uid: 1000, gid: 1000}'
	call_gives "-1 77" getpgid 0
}

@test "seccomp: without no_new_privs a profile may deny what init has done already, and an error tells what it denied" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{action: "SCMP_ACT_ERRNO", names: ["rt_sigaction", "rt_sigprocmask",
		"mount", "umount2", "pivot_root", "unshare", "setns", "sched_setattr", "openat2"]}]}'
	config_set '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000, additionalGids: [5]}'
	run_args true
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{action: "SCMP_ACT_ERRNO", names: ["setgroups"]}]}'
	fails "setgroups: operation not permitted" run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: what is wrong is pointed at" {
	profile '{defaultAction: "SCMP_ACT_MAYBE"}'
	fails "/linux/seccomp/defaultAction" run --bundle "$BUNDLE" "$ID"
	one SCMP_ACT_ERRNO 'args: [{index: 6, value: 0, op: "SCMP_CMP_EQ"}]'
	fails "/linux/seccomp/syscalls/0/args/0/index" run --bundle "$BUNDLE" "$ID"
	one SCMP_ACT_ALLOW 'errnoRet: 3'
	fails "/linux/seccomp/syscalls/0/errnoRet" run --bundle "$BUNDLE" "$ID"
	one SCMP_ACT_ERRNO
	config_set '.linux.seccomp.architectures = ["SCMP_ARCH_PDP11"]'
	fails "/linux/seccomp/architectures/0" run --bundle "$BUNDLE" "$ID"
}

# ---- the cache ----

cache_entry() { echo "$ROOT"/.cache/seccomp/*; }

@test "seccomp cache: made at the first run, 0600 in 0700, used at the second" {
	needs_plain_build
	local before

	one SCMP_ACT_ERRNO 'errnoRet: 77'
	call_gives "-1 77" getpgid 0
	assert_eq "$(stat -c '%a %u' "$ROOT/.cache/seccomp")" "700 $EUID"
	assert_eq "$(stat -c '%a %u' "$(cache_entry)")" "600 $EUID"
	before=$(stat -c '%i %s' "$(cache_entry)")
	call_gives "-1 77" getpgid 0
	assert_eq "$(stat -c '%i %s' "$(cache_entry)")" "$before"
	# A hit loads no library.
	needs_command strace
	run_args true
	strace -f -o "$T/trace" -e trace=openat "$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- 4>&-
	run grep -c libseccomp "$T/trace"
	assert_eq "$output" 0
}

@test "seccomp cache: another profile is another entry" {
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	call_gives "-1 77" getpgid 0
	one SCMP_ACT_ERRNO 'errnoRet: 78'
	call_gives "-1 78" getpgid 0
	set -- "$ROOT"/.cache/seccomp/*
	assert_eq $# 2
}

@test "seccomp cache: a damaged, foreign, writable or linked entry is not used" {
	local entry good kind

	one SCMP_ACT_ERRNO 'errnoRet: 77'
	call_gives "-1 77" getpgid 0
	entry=$(cache_entry)
	good=$(md5sum <"$entry")
	for kind in damaged short empty foreign writable link directory; do
		case $kind in
		# The last instructions become "allow": were it used, the call would pass.
		damaged) printf '\006\000\000\000\000\000\377\177' | dd of="$entry" bs=1 seek=$(($(stat -c %s "$entry") - 8)) conv=notrunc 2>/dev/null
			printf '\006\000\000\000\000\000\377\177' | dd of="$entry" bs=1 seek=$(($(stat -c %s "$entry") - 16)) conv=notrunc 2>/dev/null ;;
		short) truncate -s -8 "$entry" ;;
		empty) : >"$entry" ;;
		foreign) needs_root; chown 1000 "$entry" ;;
		writable) chmod 666 "$entry" ;;
		link) mv "$entry" "$T/elsewhere"; ln -s "$T/elsewhere" "$entry" ;;
		directory) rm "$entry"; mkdir "$entry" ;;
		esac
		run_args probe call getpgid 0
		assert_eq "$kind $output" "$kind -1 77"
		[[ $kind == directory ]] && break
		assert_eq "$kind $(stat -c '%a %u %F' "$entry")" "$kind 600 $EUID regular file"
		assert_eq "$kind $(md5sum <"$entry")" "$kind $good"
	done
}

@test "seccomp cache: none can be made, all works" {
	: >"$ROOT/.cache"
	one SCMP_ACT_ERRNO 'errnoRet: 77'
	call_gives "-1 77" getpgid 0
	rm "$ROOT/.cache"
}

@test "seccomp cache: is no container" {
	one SCMP_ACT_ERRNO
	call_gives "-1 1" getpgid 0
	ok list -q
	assert_eq "$output" ""
}

# ---- notify ----

# agent ERRNO [N]: in the background; its words go to $T/agent
agent() {
	VZRUN_TEST_ID='' timeout 20 "$PROBE" agent "$T/sock" "$@" >"$T/agent" 2>&1 </dev/null 3>&- 4>&- &
	agent_pid=$!
	wait_until test -S "$T/sock"
}

notify() {
	one SCMP_ACT_NOTIFY
	config_set --arg p "$T/sock" '.linux.seccomp.listenerPath = $p | .linux.seccomp.listenerMetadata = "some data"'
}

@test "seccomp notify: the agent gets the state and one descriptor, and answers" {
	local state

	notify
	agent 88
	call_gives "-1 88" getpgid 7
	wait "$agent_pid"
	assert_match "$(<"$T/agent")" "fds 1*call * 7"
	state=$(sed -n 's/^state //p' "$T/agent")
	assert_eq "$(jq -c '[.ociVersion != null, .fds, .metadata, .state.id == "'"$ID"'", .state.status, .state.bundle == "'"$BUNDLE"'"]' <<<"$state")" \
		'[true,["seccompFd"],"some data",true,"creating",true]'
	assert_eq "$(jq '.pid == .state.pid and .pid > 1' <<<"$state")" true
}

@test "seccomp notify: the agent lets the call go on" {
	notify
	agent 0
	call_gives "1 0" getpgid 0
	wait "$agent_pid"
}

@test "seccomp notify: without no_new_privs" {
	notify
	config_set '.process.noNewPrivileges = false'
	agent 88
	call_gives "-1 88" getpgid 7
	wait "$agent_pid"
}

@test "seccomp notify: in a user namespace and a pid namespace" {
	notify
	config_set '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	agent 88
	call_gives "-1 88" getpgid 7
	wait "$agent_pid"
}

@test "seccomp notify: exec gives the agent a descriptor of its own" {
	notify
	agent 0 0
	start_sleep
	wait "$agent_pid"
	rm "$T/sock"
	agent 88
	ok exec "$ID" probe call getpgid 3
	assert_eq "$output" "-1 88"
	wait "$agent_pid"
	sed -n 's/^state //p' "$T/agent" >"$T/state"
	assert_eq "$(jq -r '.state.status' "$T/state")" running
	assert_eq "$(jq -r '.state.pid' "$T/state")" "$(pid_of "$ID")"
	assert_eq "$(jq -r '.pid == .state.pid' "$T/state")" false
}

@test "seccomp notify: no agent is an error, nothing is left" {
	notify
	fails "seccomp listener" create --bundle "$BUNDLE" "$ID"
	assert_match "$stderr" "*$T/sock*"
	[[ ! -e $ROOT/$ID ]]
}

@test "seccomp notify: with WAIT_KILLABLE_RECV" {
	notify
	config_set '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]'
	agent 88
	call_gives "-1 88" getpgid 7
	wait "$agent_pid"
}

@test "seccomp notify: the payload has no descriptor of it" {
	notify
	agent 0 0
	assert_fds "0 1 2"
	wait "$agent_pid"
}
