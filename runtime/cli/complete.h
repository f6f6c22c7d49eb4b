/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the scripts of all shells have in common: what may stand where, read from the table of options and the usage lines of
 * the commands. */

#include "runtime/base/str.h"
#include "runtime/cli/opt.h"

enum complete_kind {
	COMPLETE_NOTHING, /* the user's own word */
	COMPLETE_CHOICE,  /* the words of complete_choices() */
	COMPLETE_DIR,
	COMPLETE_FILE,
	COMPLETE_ID,      /* of a container that exists */
	COMPLETE_SIGNAL,
};

enum complete_kind complete_value(const struct option_row *row);
enum complete_kind complete_argument(const struct command *c, size_t i);

void complete_choices(const char *text, struct str *out); /* "a|b" -> "a b" */
void complete_signals(struct str *out);                   /* "HUP INT ..." */
/* The text with a backslash before each character of `special`. */
void complete_escaped(const char *text, const char *special, struct str *out);

void complete_bash(struct str *out);
void complete_fish(struct str *out);
void complete_zsh(struct str *out);
