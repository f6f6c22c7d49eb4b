/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the user reads besides a command's output.
 *
 * Errors are reported once, by cli/, through log_error(): one record in the log file (podman parses the whole
 * file as one JSON object) and the bare message on stderr.  Warnings go to stderr, and to the log file only with
 * --debug or --log-level warning.  Library code returns errors; it calls log_warn() only for what it goes on
 * without, and log_debug() freely. */

#include <stdbool.h>

#include "runtime/base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_DEBUG };

struct log_options {
	int fd;               /* the log file, or -1: only stderr */
	bool json;            /* one JSON object a line, or text: time="..." level=... msg="..." */
	enum log_level level; /* what the log file takes */
	bool debug;           /* debug lines (to the log file, or to stderr where there is none) */
};

void log_setup(const struct log_options *options);
void log_user(int fd);    /* where the user reads, when that is not standard error any more; the one of before is closed */
bool log_debugging(void); /* asks before building a costly text */

void log_error(const struct err *e); /* formats with err_format() */
void log_warn_err(const struct err *e); /* the same as a warning */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
