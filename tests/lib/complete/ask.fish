# SPDX-License-Identifier: LGPL-2.1-or-later
# ask.fish SCRIPT: as ask.bash.
source $argv[1]
while read -l line
	# What follows a tab is the description; of --option=value the value is printed.
	echo (complete -C $line | string replace -r '\t.*' '' | string replace -r '^--?[^=]*=' '')
end
