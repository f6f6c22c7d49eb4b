# SPDX-License-Identifier: LGPL-2.1-or-later
# ask.bash SCRIPT: for each line of standard input, which stands for a command line with the cursor at its end, one line: what
# bash offers, with blanks between.
# shellcheck disable=SC1090
set -u
. "$1"
complete -p vzrun | grep -q -- '-F _vzrun vzrun' || exit 1
while IFS= read -r line; do
	# As readline does it: = is a word of its own, and the last word is empty behind a blank.
	words=${line//=/ = }
	read -r -a COMP_WORDS <<<"$words"
	[[ $line != *' ' ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	_vzrun
	echo "${COMPREPLY[*]}"
done
