// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/complete.h"

/* fish asks the condition of every line of ours at each key: they work on one list, which is made by builtins alone. */
static const char script[] =
	"# The program, what stood behind --root, the command, and its arguments so far: a line each.\n"
	"function __vzrun_words\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l root ''\n"
	"\tset -l seen\n"
	"\tset -l pending ''\n"
	"\tset -l options yes\n"
	"\techo -- (string replace -r '^~/' \"$HOME/\" -- $words[1])\n"
	"\tfor word in $words[2..-1]\n"
	"\t\tif test -n \"$pending\"\n"
	"\t\t\ttest \"$seen[1]:$pending\" != :root; or set root $word\n"
	"\t\t\tset pending ''\n"
	"\t\telse if test $options = yes -a -n \"$seen[1]\"; and string match -q -- -- $word\n"
	"\t\t\tset options no\n"
	"\t\telse if test $options = yes; and string match -qr '^-.' -- $word\n"
	"\t\t\tset -l name (string replace -r '^--?' '' -- $word)\n"
	"\t\t\tif string match -q '*=*' -- $name\n"
	"\t\t\t\tstring match -q ':root=*' -- \"$seen[1]:$name\"; and set root (string replace 'root=' '' -- $name)\n"
	"\t\t\telse if __vzrun_takes_value \"$seen[1]:$name\"\n"
	"\t\t\t\tset pending $name\n"
	"\t\t\tend\n"
	"\t\telse\n"
	"\t\t\tset -a seen $word\n"
	"\t\t\ttest (count $seen) -lt 2; or not __vzrun_stops $seen[1]; or set options no\n"
	"\t\tend\n"
	"\tend\n"
	"\techo -- $root\n"
	"\tstring join -- \\n $seen\n"
	"end\n\n"
	"# Whether options of one of these commands (-: of the program) may stand here.\n"
	"function __vzrun_in\n"
	"\tset -l words (__vzrun_words)\n"
	"\tset -q words[3]; or set words[3] -\n"
	"\tcontains -- $words[3] $argv; or return 1\n"
	"\ttest (count $words) -lt 4; or not __vzrun_stops $words[3]\n"
	"end\n\n"
	"# Whether argument $argv[1], from 1 up, of one of the other commands stands here.\n"
	"function __vzrun_at\n"
	"\tset -l words (__vzrun_words)\n"
	"\tset -q words[3]; or return 1\n"
	"\ttest (count $words) -eq (math $argv[1] + 2); and contains -- $words[3] $argv[2..-1]\n"
	"end\n\n"
	"function __vzrun_ids\n"
	"\tset -l words (__vzrun_words)\n"
	"\tset -l program $words[1]\n"
	"\tset -l root\n"
	"\ttest -z \"$words[2]\"; or set root --root $words[2]\n"
	"\t$program $root list -q 2>/dev/null </dev/null\n"
	"end\n\n"
	"complete -c vzrun -f\n";

/* Within single quotes. */
static void add_quoted(const char *text, struct str *out)
{
	str_addc(out, '\'');
	complete_escaped(text, "\\'", out);
	str_addc(out, '\'');
}

static void add_takers(struct str *out)
{
	size_t n;
	const struct option_row *rows = cli_options(&n);

	str_add(out, "function __vzrun_takes_value\n\tcontains -- $argv[1]");
	for (size_t i = 0; i < n; i++) {
		if (rows[i].kind == OPT_FLAG)
			continue;
		if (rows[i].commands & CMD_GLOBAL)
			str_addf(out, " :%s", rows[i].name);
		for (size_t c = 0; cli_commands[c]; c++) {
			if (!(rows[i].commands & cli_commands[c]->bit))
				continue;
			str_addf(out, " %s:%s", cli_commands[c]->name, rows[i].name);
			if (rows[i].letter)
				str_addf(out, " %s:%c", cli_commands[c]->name, rows[i].letter);
		}
	}
	str_add(out, "\nend\n\nfunction __vzrun_stops\n\tcontains -- $argv[1]");
	for (size_t c = 0; cli_commands[c]; c++)
		if (cli_commands[c]->stop_at_first)
			str_addf(out, " %s", cli_commands[c]->name);
	str_add(out, "\nend\n\n");
}

static void add_value(const struct option_row *row, struct str *out)
{
	if (row->kind == OPT_FLAG)
		return;
	switch (complete_value(row)) {
	case COMPLETE_CHOICE:
		str_add(out, " -x -a '");
		complete_choices(row->value, out);
		str_addc(out, '\'');
		break;
	case COMPLETE_DIR:
		str_add(out, " -x -a '(__fish_complete_directories (commandline -ct))'");
		break;
	case COMPLETE_FILE:
		str_add(out, " -r -F");
		break;
	case COMPLETE_NOTHING:
	case COMPLETE_ID:
	case COMPLETE_SIGNAL:
		str_add(out, " -x");
		break;
	}
}

static void add_option(const struct option_row *row, struct str *out)
{
	str_add(out, "complete -c vzrun -n '__vzrun_in");
	if (row->commands & CMD_GLOBAL)
		str_add(out, " -");
	for (size_t c = 0; cli_commands[c]; c++)
		if (row->commands & cli_commands[c]->bit)
			str_addf(out, " %s", cli_commands[c]->name);
	str_addf(out, "' -l %s", row->name);
	if (row->letter)
		str_addf(out, " -s %c", row->letter);
	add_value(row, out);
	str_add(out, " -d ");
	add_quoted(row->help, out);
	str_addc(out, '\n');
}

static void add_argument(const struct command *c, size_t i, struct str *out)
{
	enum complete_kind kind = complete_argument(c, i);

	if (kind == COMPLETE_NOTHING)
		return;
	str_addf(out, "complete -c vzrun -n '__vzrun_at %zu %s' -a '", i + 1, c->name);
	if (kind == COMPLETE_ID)
		str_add(out, "(__vzrun_ids)");
	else if (kind == COMPLETE_SIGNAL)
		complete_signals(out);
	else
		complete_choices(c->arguments, out);
	str_add(out, "'\n");
}

void complete_fish(struct str *out)
{
	size_t n;
	const struct option_row *rows = cli_options(&n);

	str_add(out, "# fish completion for vzrun; made by: vzrun completion fish\n\n");
	add_takers(out);
	str_add(out, script);
	for (size_t c = 0; cli_commands[c]; c++) {
		str_addf(out, "complete -c vzrun -n '__vzrun_in -' -a %s -d ", cli_commands[c]->name);
		add_quoted(cli_commands[c]->help, out);
		str_addc(out, '\n');
	}
	for (size_t i = 0; i < n; i++)
		add_option(&rows[i], out);
	for (size_t c = 0; cli_commands[c]; c++)
		for (size_t i = 0; i < 2; i++)
			add_argument(cli_commands[c], i, out);
}
