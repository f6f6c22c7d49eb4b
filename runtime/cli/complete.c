// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/complete.h"

#include <errno.h>
#include <string.h>

#include "oci/names.h"

#define LAST_PLAIN_SIGNAL 31

static bool is_choice(const char *text)
{
	return strchr(text, '|') && !(text[0] >= 'A' && text[0] <= 'Z');
}

enum complete_kind complete_value(const struct option_row *row)
{
	if (is_choice(row->value))
		return COMPLETE_CHOICE;
	if (strcmp(row->value, "DIR") == 0)
		return COMPLETE_DIR;
	if (str_starts(row->value, "FILE") || strcmp(row->value, "PATH") == 0)
		return COMPLETE_FILE;
	return COMPLETE_NOTHING;
}

enum complete_kind complete_argument(const struct command *c, size_t i)
{
	if (str_starts(c->arguments, "[ID...]"))
		return COMPLETE_ID;
	if (i == 1)
		return strcmp(c->arguments, "ID [SIGNAL]") == 0 ? COMPLETE_SIGNAL : COMPLETE_NOTHING;
	if (is_choice(c->arguments))
		return COMPLETE_CHOICE;
	/* The id that create and run take is a new one. */
	if (str_starts(c->arguments, "ID") && !(c->bit & (CMD_CREATE | CMD_RUN | CMD_RESTORE)))
		return COMPLETE_ID;
	return COMPLETE_NOTHING;
}

void complete_choices(const char *text, struct str *out)
{
	for (; *text; text++)
		str_addc(out, *text == '|' ? ' ' : *text);
}

void complete_signals(struct str *out)
{
	char buf[32];

	for (int sig = 1; sig <= LAST_PLAIN_SIGNAL; sig++) {
		const char *word = names_signal_word(sig, buf, sizeof buf);

		if (word)
			str_addf(out, "%s%s", sig > 1 ? " " : "", word + strlen("SIG"));
	}
}

void complete_escaped(const char *text, const char *special, struct str *out)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			str_addc(out, '\\');
		str_addc(out, *text);
	}
}

int cli_completion(const char *shell, struct str *out)
{
	if (strcmp(shell, "bash") == 0)
		complete_bash(out);
	else if (strcmp(shell, "fish") == 0)
		complete_fish(out);
	else if (strcmp(shell, "zsh") == 0)
		complete_zsh(out);
	else
		return -ENOENT;
	return 0;
}
