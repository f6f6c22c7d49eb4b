// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/err.h"

#include <string.h>

#include "tests/lib/test.h"

TEST(always_below_zero)
{
	struct err e;

	CHECK_INT(err_set(&e, ERR_CONFIG, 0, "x"), -1);
	CHECK_INT(err_ret(&e), -1);
	CHECK_INT(err_set(&e, ERR_KERNEL, ENOENT, "x"), -ENOENT);
	CHECK_INT(err_wrap(&e, "y"), -ENOENT);
	errno = EPERM;
	CHECK_INT(err_sys(&e, "open %s", "f"), -EPERM);
	CHECK_INT(err_oom(&e), -ENOMEM);
}

TEST(text_grows_outwards)
{
	struct err e;
	char buf[256];

	err_set(&e, ERR_KERNEL, EPERM, "mount_setattr");
	err_wrap(&e, "%s", "/proc");
	err_wrap(&e, "mounts");
	CHECK_STR(e.text, "mounts: /proc: mount_setattr");
	CHECK_INT(e.len, strlen(e.text));
	CHECK_STR(err_format(&e, buf, sizeof buf), "mounts: /proc: mount_setattr: operation not permitted");
	e.kind = ERR_CONFIG; /* the number is not for its reader */
	CHECK_STR(err_format(&e, buf, sizeof buf), "mounts: /proc: mount_setattr");
}

TEST(too_long_loses_the_middle)
{
	char big[2 * ERR_TEXT_MAX], buf[ERR_TEXT_MAX + 128];
	struct err e;

	memset(big, 'm', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	memcpy(big + ERR_TEXT_MAX - 6, "cause", 5);
	CHECK_INT(err_set(&e, ERR_KERNEL, EIO, "%s", big), -EIO);
	CHECK_INT(e.len, ERR_TEXT_MAX - 1);
	for (int i = 0; i < 20; i++) {
		err_wrap(&e, "outer %d", i);
		CHECK_INT(e.len, strlen(e.text));
		CHECK(e.len < ERR_TEXT_MAX);
	}
	CHECK(strncmp(e.text, "outer 19: ... ", 14) == 0);
	CHECK_STR(e.text + e.len - 5, "cause");
	err_wrap(&e, "%s", big);
	CHECK_INT(e.len, strlen(e.text));
	CHECK_STR(e.text + e.len - 5, "cause");
	err_format(&e, buf, 40);
	CHECK_INT(strlen(buf), 39);
	CHECK_STR(buf + 39 - strlen(": input/output error"), ": input/output error");
	err_format(&e, buf, 8);
	CHECK_INT(strlen(buf), 7);
}

TEST(from_a_hostile_sender)
{
	struct err e;

	memset(&e, 0xff, sizeof e);
	memcpy(e.text, "a\nb\033[2Jc\0d", 10);
	err_sanitize(&e);
	CHECK_INT(e.kind, ERR_INTERNAL);
	CHECK_INT(e.num, 0);
	CHECK(e.len < sizeof e.text && e.text[e.len] == '\0');
	CHECK(strncmp(e.text, "a b?[2Jc d", 10) == 0);
	CHECK(err_ret(&e) < 0);
	e = (struct err){ .num = 5000, .kind = ERR_NONE };
	err_sanitize(&e);
	CHECK(e.num == 0 && e.kind == ERR_INTERNAL);
	e.kind = (enum err_kind)-3;
	CHECK_STR(err_kind_name(e.kind), "internal");
	CHECK_STR(err_kind_name(ERR_CONFIG), "config");
}
