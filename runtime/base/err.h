/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one error type.
 *
 * A struct err lives on the caller's stack and is the last parameter of every function that can fail.
 * Functions return 0 or a positive value when they succeed and a number below zero when they fail;
 * err_set() and err_wrap() always return below zero, so `return err_set(...)` reads in one line.
 *
 * The text grows outwards ("mounts: /proc: mount_setattr").  strerror() is not part of it: err_format()
 * adds it once, at print time, and only for kind ERR_KERNEL.  When the text is too long the middle is cut,
 * the outermost words and the cause stay.
 *
 * It is plain data without pointers: init sends it to the host as it is, and the receiver passes it
 * through err_sanitize(), because init is less trusted.  Nothing here allocates.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

enum err_kind {
	ERR_NONE,
	ERR_USAGE,       /* the command line */
	ERR_CONFIG,      /* a document; the text begins with a JSON pointer */
	ERR_STATE,       /* the container is in the wrong state for this command */
	ERR_NOTFOUND,    /* no such container */
	ERR_KERNEL,      /* a system call failed; num is its errno */
	ERR_UNSUPPORTED, /* this build or this kernel cannot do it */
	ERR_EXTENSION,   /* an extension refused */
	ERR_INTERNAL,    /* a fault of ours */
	ERR_KINDS,
};

#define ERR_TEXT_MAX 1000

struct err {
	int num; /* errno, or 0 */
	enum err_kind kind;
	uint16_t len; /* of text, without the final NUL */
	char text[ERR_TEXT_MAX];
};

/* Begin an error.  Returns -num, or -1 when num is 0. */
int err_set(struct err *e, enum err_kind kind, int num, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same for a failed system call: kind ERR_KERNEL, num from errno. */
#define err_sys(e, ...) err_set((e), ERR_KERNEL, errno, __VA_ARGS__)

#define err_oom(e) err_set((e), ERR_KERNEL, ENOMEM, "out of memory")

/* Put "<words>: " before the text.  Returns what err_set() returned. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put " (<words>)" behind the text: what the user can do about it.  Left out where there is no room. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The number that err_set() returned for this error. */
int err_ret(const struct err *e);

/* Write the printable form, "text" or "text: strerror", cut to size.  Returns buf. */
char *err_format(const struct err *e, char *buf, size_t size);

/* Make an error that came from an untrusted process safe to use: bounds, known kind, no control characters. */
void err_sanitize(struct err *e);

/* "config", "kernel", ...: the word of a kind in the JSON log and the man page. */
const char *err_kind_name(enum err_kind kind);

#if defined(__clang_analyzer__) && !defined(ERR_IMPLEMENTATION)
/* The analyzer looks at one file at a time: tell it that an error is below zero. */
#define err_set(...) (err_set(__VA_ARGS__), -1)
#define err_wrap(...) (err_wrap(__VA_ARGS__), -1)
#define err_hint(...) (err_hint(__VA_ARGS__), -1)
#define err_ret(e) (err_ret(e), -1)
#endif
