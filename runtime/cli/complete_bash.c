// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/complete.h"

/* Words that the script gives a meaning begin with @; what `list` prints is compared, never expanded. */
static const char script[] =
	"_vzrun_ids() {\n"
	"\tlocal word\n"
	"\twhile IFS= read -r word; do\n"
	"\t\t[[ $word != \"$cur\"* ]] || COMPREPLY+=(\"$word\")\n"
	"\tdone < <(\"$program\" \"${root[@]}\" list -q 2>/dev/null </dev/null)\n"
	"}\n\n"
	"_vzrun_offer() {\n"
	"\tcase $1 in\n"
	"\t'') ;;\n"
	"\t@id) _vzrun_ids ;;\n"
	"\t@dir | @file)\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\tif [[ $1 == @dir ]]; then mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
	"\t\telse mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); fi\n"
	"\t\t;;\n"
	"\t*) mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\") ;;\n"
	"\tesac\n"
	"}\n\n"
	"_vzrun() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command= pending= stop= switch= offer= word name i\n"
	"\tlocal -a root=() arguments=()\n"
	"\t[[ $program != '~/'* ]] || program=$HOME/${program#'~/'}\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $word == = ]]; then # readline takes = for a word of its own\n"
	"\t\t\t[[ -n $pending ]] || switch=1\n"
	"\t\telif [[ -n $pending ]]; then\n"
	"\t\t\t[[ $command:$pending != :root ]] || root=(--root \"$word\")\n"
	"\t\t\tpending=\n"
	"\t\telif [[ -n $switch ]]; then\n"
	"\t\t\tswitch=\n"
	"\t\telif [[ -z $stop && $word == -- && -n $command ]]; then\n"
	"\t\t\tstop=1\n"
	"\t\telif [[ -z $stop && $word == -?* ]]; then\n"
	"\t\t\tname=${word#-} name=${name#-}\n"
	"\t\t\tif [[ $name == *=* ]]; then\n"
	"\t\t\t\t[[ $command:$name != :root=* ]] || root=(\"--$name\")\n"
	"\t\t\telse\n"
	"\t\t\t\t! _vzrun_value \"$command\" \"$name\" || pending=$name\n"
	"\t\t\tfi\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\tcommand=$word\n"
	"\t\telse\n"
	"\t\t\targuments+=(\"$word\")\n"
	"\t\t\t_vzrun_stops \"$command\" && stop=1\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tCOMPREPLY=()\n"
	"\tif [[ $cur == = ]]; then cur= switch=1; fi\n"
	"\tif [[ -n $pending ]]; then\n"
	"\t\t_vzrun_value \"$command\" \"$pending\"\n"
	"\telif [[ -n $switch ]]; then\n"
	"\t\toffer='true false'\n"
	"\telif [[ -z $stop && $cur == -* ]]; then\n"
	"\t\t_vzrun_options \"$command\"\n"
	"\telif [[ -z $command ]]; then\n"
	"\t\t_vzrun_commands\n"
	"\telse\n"
	"\t\t_vzrun_argument \"$command\" ${#arguments[@]}\n"
	"\tfi\n"
	"\t_vzrun_offer \"$offer\"\n"
	"}\n"
	"complete -F _vzrun vzrun\n";

static void add_kind(enum complete_kind kind, const char *choices, struct str *out)
{
	switch (kind) {
	case COMPLETE_NOTHING:
		break;
	case COMPLETE_CHOICE:
		complete_choices(choices, out);
		break;
	case COMPLETE_DIR:
		str_add(out, "@dir");
		break;
	case COMPLETE_FILE:
		str_add(out, "@file");
		break;
	case COMPLETE_ID:
		str_add(out, "@id");
		break;
	case COMPLETE_SIGNAL:
		complete_signals(out);
		break;
	}
}

static void add_pattern(const char *command, const struct option_row *row, bool *first, struct str *out)
{
	str_addf(out, "%s%s:%s", *first ? "\t" : " | ", command, row->name);
	if (row->letter)
		str_addf(out, " | %s:%c", command, row->letter);
	*first = false;
}

static void add_values(struct str *out)
{
	size_t n;
	const struct option_row *rows = cli_options(&n);

	str_add(out, "# What option $2 of command $1 takes; false for a switch.\n"
		     "_vzrun_value() {\n\tcase $1:$2 in\n");
	for (size_t i = 0; i < n; i++) {
		bool first = true;

		if (rows[i].kind == OPT_FLAG)
			continue;
		if (rows[i].commands & CMD_GLOBAL)
			add_pattern("", &rows[i], &first, out);
		for (size_t c = 0; cli_commands[c]; c++)
			if (rows[i].commands & cli_commands[c]->bit)
				add_pattern(cli_commands[c]->name, &rows[i], &first, out);
		str_add(out, ") offer='");
		add_kind(complete_value(&rows[i]), rows[i].value, out);
		str_add(out, "' ;;\n");
	}
	str_add(out, "\t*) return 1 ;;\n\tesac\n}\n\n");
}

static void add_option_words(const char *command, uint32_t scope, struct str *out)
{
	size_t n;
	const struct option_row *rows = cli_options(&n);

	str_addf(out, "\t%s) offer='", command);
	for (size_t i = 0; i < n; i++)
		if (rows[i].commands & scope)
			str_addf(out, "--%s ", rows[i].name);
	str_add(out, "' ;;\n");
}

static void add_options(struct str *out)
{
	str_add(out, "_vzrun_options() {\n\tcase $1 in\n");
	add_option_words("''", CMD_GLOBAL, out);
	for (size_t i = 0; cli_commands[i]; i++)
		add_option_words(cli_commands[i]->name, cli_commands[i]->bit, out);
	str_add(out, "\tesac\n}\n\n");
}

static void add_commands(struct str *out)
{
	str_add(out, "_vzrun_commands() {\n\toffer='");
	for (size_t i = 0; cli_commands[i]; i++)
		str_addf(out, "%s ", cli_commands[i]->name);
	str_add(out, "'\n}\n\n"
		     "# Commands whose first argument ends their options.\n"
		     "_vzrun_stops() {\n\tcase $1 in\n");
	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_commands[i]->stop_at_first)
			str_addf(out, "\t%s) ;;\n", cli_commands[i]->name);
	str_add(out, "\t*) return 1 ;;\n\tesac\n}\n\n");
}

static void add_arguments(struct str *out)
{
	str_add(out, "# Argument $2, from 0 up, of command $1; where there is none, its options.\n"
		     "_vzrun_argument() {\n\tcase $1:$2 in\n");
	for (size_t c = 0; cli_commands[c]; c++)
		for (size_t i = 0; i < 2; i++) {
			enum complete_kind kind = complete_argument(cli_commands[c], i);

			if (kind == COMPLETE_NOTHING)
				continue;
			str_addf(out, "\t%s:%zu) offer='", cli_commands[c]->name, i);
			add_kind(kind, cli_commands[c]->arguments, out);
			str_add(out, "' ;;\n");
		}
	str_add(out, "\t*) [[ -n $stop ]] || _vzrun_options \"$1\" ;;\n\tesac\n}\n\n");
}

void complete_bash(struct str *out)
{
	str_add(out, "# bash completion for vzrun; made by: vzrun completion bash\n\n");
	add_values(out);
	add_options(out);
	add_commands(out);
	add_arguments(out);
	str_add(out, script);
}
