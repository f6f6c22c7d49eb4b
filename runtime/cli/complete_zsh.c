// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/complete.h"

static const char head[] =
	"#compdef vzrun\n"
	"# made by: vzrun completion zsh\n\n"
	"_vzrun_ids() {\n"
	"\tlocal -a ids expl\n"
	"\tids=(${(f)\"$(\"$vzrun[@]\" list -q 2>/dev/null </dev/null)\"})\n"
	"\t_wanted containers expl container compadd -a ids\n"
	"}\n\n";

static const char script[] =
	"_vzrun() {\n"
	"\tlocal curcontext=$curcontext context state state_descr line ret=1\n"
	"\tlocal -a vzrun\n"
	"\tlocal -A opt_args\n"
	"\tvzrun=(\"${${(Q)words[1]}/#\\~\\//$HOME/}\")\n"
	"\t_arguments -C : \\\n";

static const char dispatch[] =
	"\t\t'(-)1:command:_vzrun_commands' \\\n"
	"\t\t'(-)*:: :->arguments' && ret=0\n"
	"\t[[ $state == arguments ]] || return ret\n"
	"\t[[ -z ${opt_args[--root]:-} ]] || vzrun+=(--root \"${(Q)${opt_args[--root]//\\\\:/:}}\")\n"
	"\tcurcontext=${curcontext%:*:*}:vzrun-$words[1]:\n"
	"\tcase $words[1] in\n";

/* Read once as a file on the function path, or sourced by hand. */
static const char tail[] =
	"\tesac\n"
	"\treturn ret\n"
	"}\n\n"
	"if [[ $funcstack[1] == _vzrun ]]; then\n"
	"\t_vzrun \"$@\"\n"
	"else\n"
	"\tcompdef _vzrun vzrun\n"
	"fi\n";

/* Within single quotes, in the parts of a specification that brackets and colons end. */
static void add_text(const char *text, struct str *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			str_add(out, "'\\'");
		else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
			str_addc(out, '\\');
		str_addc(out, *text);
	}
}

static void add_value(const struct option_row *row, struct str *out)
{
	str_addc(out, ':');
	add_text(row->value, out);
	str_addc(out, ':');
	switch (complete_value(row)) {
	case COMPLETE_CHOICE:
		str_addc(out, '(');
		complete_choices(row->value, out);
		str_addc(out, ')');
		break;
	case COMPLETE_DIR:
		str_add(out, "_directories");
		break;
	case COMPLETE_FILE:
		str_add(out, "_files");
		break;
	case COMPLETE_NOTHING:
	case COMPLETE_ID:
	case COMPLETE_SIGNAL:
		str_addc(out, ' ');
		break;
	}
}

/* '(-b --bundle)'{-b=,--bundle=}'[...]:DIR:_directories'; an option that may be repeated begins with a star. */
static void add_option(const struct option_row *row, struct str *out)
{
	const char *equals = row->kind == OPT_FLAG ? "" : "=";
	const char *star = row->kind == OPT_LIST ? "*" : "";

	if (!row->letter)
		str_addf(out, "'%s--%s%s", star, row->name, equals);
	else if (*star)
		str_addf(out, "'*'{-%c%s,--%s%s}'", row->letter, equals, row->name, equals);
	else
		str_addf(out, "'(-%c --%s)'{-%c%s,--%s%s}'", row->letter, row->name, row->letter, equals, row->name, equals);
	str_addc(out, '[');
	add_text(row->help, out);
	str_addc(out, ']');
	if (row->kind != OPT_FLAG)
		add_value(row, out);
	str_addc(out, '\'');
}

static void add_options(uint32_t scope, const char *indent, struct str *out)
{
	size_t n;
	const struct option_row *rows = cli_options(&n);

	for (size_t i = 0; i < n; i++) {
		if (!(rows[i].commands & scope))
			continue;
		str_add(out, indent);
		add_option(&rows[i], out);
		str_add(out, " \\\n");
	}
}

static void add_argument(const struct command *c, size_t i, struct str *out)
{
	switch (complete_argument(c, i)) {
	case COMPLETE_ID:
		str_addf(out, "\t\t\t'%s%zu:container:_vzrun_ids' \\\n", c->stop_at_first ? "(-)" : "", i + 1);
		break;
	case COMPLETE_SIGNAL:
		str_addf(out, "\t\t\t'%zu:signal:(", i + 1);
		complete_signals(out);
		str_add(out, ")' \\\n");
		break;
	case COMPLETE_CHOICE:
		str_addf(out, "\t\t\t'%zu: :(", i + 1);
		complete_choices(c->arguments, out);
		str_add(out, ")' \\\n");
		break;
	case COMPLETE_NOTHING:
		/* Without a place for the new id there are no options behind it. */
		if (i < c->min_args)
			str_addf(out, "\t\t\t'%zu:id: ' \\\n", i + 1);
		break;
	case COMPLETE_DIR:
	case COMPLETE_FILE:
		break;
	}
}

static void add_commands(struct str *out)
{
	str_add(out, "_vzrun_commands() {\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		str_addf(out, "\t\t'%s:", cli_commands[i]->name);
		add_text(cli_commands[i]->help, out);
		str_add(out, "'\n");
	}
	str_add(out, "\t)\n\t_describe -t commands command commands\n}\n\n");
}

static void add_command(const struct command *c, struct str *out)
{
	str_addf(out, "\t%s)\n\t\t_arguments -S : \\\n", c->name);
	add_options(c->bit, "\t\t\t", out);
	for (size_t i = 0; i < 2; i++)
		add_argument(c, i, out);
	/* The rest of an exec or ps belongs to another program, in another root. */
	if (c->stop_at_first)
		str_add(out, "\t\t\t'*: : ' \\\n");
	str_add(out, "\t\t\t&& ret=0\n\t\t;;\n");
}

void complete_zsh(struct str *out)
{
	str_add(out, head);
	add_commands(out);
	str_add(out, script);
	add_options(CMD_GLOBAL, "\t\t", out);
	str_add(out, dispatch);
	for (size_t i = 0; cli_commands[i]; i++)
		add_command(cli_commands[i], out);
	str_add(out, tail);
}
