# SPDX-License-Identifier: LGPL-2.1-or-later
# ask.zsh SCRIPT: as ask.bash.  Completion lives in the line editor only: a second zsh on a terminal of its own is asked, and
# what the completion function hands to compadd is noted.
if [[ -z ${ASK_DIR:-} ]]; then
	zmodload zsh/zpty || exit 1
	export ASK_DIR=$(mktemp -d) ASK_SELF=${0:A} ASK_SCRIPT=${1:A}
	trap 'rm -rf $ASK_DIR' EXIT
	cat >$ASK_DIR/lines
	cp $ASK_SCRIPT $ASK_DIR/_vzrun
	print -r -- 'source $ASK_SELF' >$ASK_DIR/.zshrc
	export ZDOTDIR=$ASK_DIR
	zpty asked 'trap - EXIT; exec zsh -d -i'
	for ((i = 0; i < 600; i++)); do
		[[ ! -e $ASK_DIR/done ]] || break
		zpty -r -t asked >>$ASK_DIR/screen
		sleep 0.1
	done
	zpty -r -t asked >>$ASK_DIR/screen
	zpty -d asked
	[[ -e $ASK_DIR/done ]] || { cat $ASK_DIR/screen >&2; exit 1; }
	cat $ASK_DIR/answers
	exit
fi

fpath=($ASK_DIR $fpath)
autoload -U compinit
compinit -D -u
LISTMAX=100000

compadd() {
	local -a hits
	# Calls that only compute something are not offers.
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "$@"
		return
	fi
	builtin compadd -O hits "$@"
	offered+=($hits)
	builtin compadd "$@"
}

ask() {
	local line
	local -a offered
	while IFS= read -r line; do
		offered=()
		BUFFER=$line CURSOR=${#line}
		zle list-choices
		print -r -- ${(u)offered} >>$ASK_DIR/answers
	done <$ASK_DIR/lines
	: >$ASK_DIR/done
	BUFFER=
}
# The editor calls it when it is ready.
zle -N zle-line-init ask
