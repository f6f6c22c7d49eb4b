// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/str.h"
#include "runtime/migrate/files.h"
#include "tests/lib/test.h"

/* Two of the words between the first ones and the last; NULL: none. */
static bool allowed(const char *one, const char *two)
{
	const char *words[] = { "rsync", "--server", one, two, ".", "bundle/" };
	const char *fewer[] = { "rsync", "--server", one, ".", "bundle/" };
	struct err e;

	return (two ? rsync_check_words(words, ARRAY_SIZE(words), &e) : rsync_check_words(fewer, ARRAY_SIZE(fewer), &e)) == 0;
}

/* As rsync 3.2 and 3.4 say it. */
TEST(what_our_client_asks_for)
{
	CHECK(allowed("-lHogDtpAXrSe.iLsfxCIvu", "--delete"));
	CHECK(allowed("-lHogDtpAXrce.iLsfxCIvu", "--numeric-ids"));
	CHECK(allowed("-lHogDtpAXIRe.LsfxCIvu", "--numeric-ids"));
	CHECK(allowed("-lHogDtpAXre31.14.iLsfxCIvu", "--delete-during"));
}

TEST(what_leads_elsewhere)
{
	static const char *const others[] = {
		"-slHogDtpAXre.iLsfxCIvu", "-lHogDtpAXrKe.iLsfxCIvu", "-lHogDtpAXrbe.iLsfxCIvu", "-T/etc", "-M--daemon", "-e.L/etc", "-e.L s", "-",
		"", "x", "..", "--sender", "--daemon", "--config=/tmp/c", "--backup-dir=/etc", "--temp-dir=/etc", "--write-batch=/etc/x",
		"--log-file=/etc/x", "--partial-dir=/etc", "--link-dest=/etc", "--delete=x", "--numeric-ids=", "--keep-dirlinks", "--remove-source-files",
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		CHECK(!allowed(others[i], NULL));
		CHECK(!allowed("-lHogDtpAXre.iLsfxCIvu", others[i]));
	}
}

TEST(what_is_no_server_of_ours)
{
	const char *good[] = { "rsync", "--server", ".", "bundle/" }, *no_server[] = { "rsync", "-r", ".", "bundle/" },
		   *other[] = { "sh", "--server", ".", "bundle/" }, *elsewhere[] = { "rsync", "--server", ".", "/etc/" },
		   *from[] = { "rsync", "--server", "/etc", "bundle/" };
	struct err e;

	CHECK_INT(rsync_check_words(good, 4, &e), 0);
	CHECK(rsync_check_words(good, 3, &e) < 0);
	CHECK(rsync_check_words(good, 0, &e) < 0);
	CHECK(rsync_check_words(no_server, 4, &e) < 0);
	CHECK(rsync_check_words(other, 4, &e) < 0);
	CHECK(rsync_check_words(elsewhere, 4, &e) < 0);
	CHECK(rsync_check_words(from, 4, &e) < 0);
}
