# SPDX-License-Identifier: LGPL-2.1-or-later
# For the files that test an engine by its client.
#
#   ask COMMAND...          runs the client: $status, $output (as a terminal's lines, too), $stderr
#   gives STATUS ARGS...    $CLIENT ARGS must end with STATUS; CLIENT: a function that asks.  What client_log prints is shown
#                           with a failure

ask() {
	status=0
	"$@" >"$T/stdout" 2>"$T/stderr" || status=$?
	output=$(tr -d '\r\0' <"$T/stdout")
	stderr=$(tr -d '\0' <"$T/stderr")
}

client_log() { :; }

gives() {
	local want=$1

	shift
	"$CLIENT" "$@"
	[[ $status == "$want" ]] && return 0
	printf '%s %s: status %s, expected %s\n%s\n%s\n' "$CLIENT" "$*" "$status" "$want" "$output" "$stderr"
	client_log
	return 1
}
