// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/names.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/lib/test.h"

static int64_t value(const struct oci_names *names, const char *word)
{
	int64_t v = -12345;

	return names_value(names, word, &v) < 0 ? -1 : v;
}

static int sig(const char *text)
{
	int v = -1;

	return names_signal(text, &v) < 0 ? -1 : v;
}

TEST(capabilities)
{
	CHECK_INT(names_cap("CAP_CHOWN"), CAP_CHOWN);
	CHECK_INT(names_cap("CAP_SYS_ADMIN"), CAP_SYS_ADMIN);
	CHECK_INT(names_cap("CAP_SETFCAP"), CAP_SETFCAP);
	CHECK_INT(names_cap("CAP_AUDIT_READ"), CAP_AUDIT_READ);
	CHECK_INT(names_cap("CAP_CHECKPOINT_RESTORE"), 40);
	CHECK_INT(names_cap("SYS_ADMIN"), -ENOENT);
	CHECK_INT(names_cap("cap_chown"), -ENOENT);
	CHECK(names_cap_word(OCI_CAPS) == NULL);
	CHECK(names_cap_word(-1) == NULL);
	for (int i = 0; i < OCI_CAPS; i++)
		CHECK_INT(names_cap(names_cap_word(i)), i);
}

TEST(signals)
{
	CHECK_INT(sig("TERM"), SIGTERM);
	CHECK_INT(sig("SIGTERM"), SIGTERM);
	CHECK_INT(sig("sigkill"), SIGKILL);
	CHECK_INT(sig("9"), 9);
	CHECK_INT(sig("64"), 64);
	CHECK_INT(sig("RTMIN"), SIGRTMIN);
	CHECK_INT(sig("SIGRTMIN+3"), SIGRTMIN + 3);
	CHECK_INT(sig("rtmax-1"), SIGRTMAX - 1);
	CHECK_INT(sig("SIGRTMAX"), SIGRTMAX);
	CHECK_INT(sig("RTMIN+30"), SIGRTMAX);
}

TEST(no_signals)
{
	static const char *const wrong[] = { "", "0", "65", "-1", "99999999999", "SIG", "SIGFOO", "RTMIN+31", "RTMIN+",
					     "RTMAX-31", "RTMIN-1", "RTMIN+1x", "SIGSIGTERM", "TERM ", "9x",
					     "AVERYLONGNAMETHATDOESNOTFITANYWHERE" };

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (sig(wrong[i]) != -1)
			FAIL("'%s' is %d", wrong[i], sig(wrong[i]));
}

TEST(signal_words)
{
	char buf[24];

	CHECK_STR(names_signal_word(SIGKILL, buf, sizeof buf), "SIGKILL");
	CHECK_STR(names_signal_word(SIGABRT, buf, sizeof buf), "SIGABRT");
	CHECK_STR(names_signal_word(37, buf, sizeof buf), "SIGRTMIN+3");
	CHECK(names_signal_word(0, buf, sizeof buf) == NULL);
	CHECK(names_signal_word(65, buf, sizeof buf) == NULL);
	for (int i = 1; i <= 64; i++) {
		const char *word = names_signal_word(i, buf, sizeof buf);

		if (i == 32 || i == 33)
			CHECK(word == NULL); /* libc's own */
		else
			CHECK_INT(sig(word), i);
	}
}

TEST(kernel_numbers)
{
	CHECK_INT(value(&names_namespaces, "pid"), CLONE_NEWPID);
	CHECK_INT(value(&names_namespaces, "mount"), CLONE_NEWNS);
	CHECK_INT(value(&names_namespaces, "time"), 0x80);
	CHECK_INT(value(&names_namespaces, "mnt"), -1);
	CHECK_INT(value(&names_rlimits, "RLIMIT_NOFILE"), RLIMIT_NOFILE);
	CHECK_INT(value(&names_rlimits, "RLIMIT_RTTIME"), RLIMIT_RTTIME);
	CHECK_INT(value(&names_sched_policies, "SCHED_RR"), SCHED_RR);
	CHECK_INT(value(&names_sched_policies, "SCHED_DEADLINE"), 6);
	CHECK_INT(value(&names_sched_flags, "SCHED_FLAG_UTIL_CLAMP_MAX"), 0x40);
	CHECK_INT(value(&names_ioprio_classes, "IOPRIO_CLASS_BE"), 2);
	CHECK_INT(value(&names_mpol_modes, "MPOL_BIND"), 2);
	CHECK_INT(value(&names_mpol_modes, "MPOL_WEIGHTED_INTERLEAVE"), 6);
	CHECK_INT(value(&names_mpol_flags, "MPOL_F_STATIC_NODES"), 0x8000);
	CHECK_INT(value(&names_personalities, "LINUX32"), 8);
	CHECK_INT(value(&names_propagations, "rslave"), MS_SLAVE | MS_REC);
	CHECK_INT(value(&names_seccomp_flags, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"), 32);
	CHECK_INT(value(&names_device_types, "u"), 'c');
}

TEST(first_word_is_printed)
{
	CHECK_STR(names_word(&names_device_types, 'c'), "c");
	CHECK_STR(names_word(&names_rule_types, 'a'), "a");
	CHECK(names_word(&names_namespaces, 12345) == NULL);
}
