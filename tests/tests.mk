# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `make check` runs the programs that need no root: unit and golden.  Everything else: tests/run.sh.
#
# A unit test is one line here: `check_PROGRAMS += tests/unit/base/str_test` is built from tests/unit/base/str_test.c,
# linked with libtest.a and libvzrun.a, and run by `make check` and by tests/run.sh.

check_LIBRARIES += libtest.a
libtest_a_SOURCES = tests/lib/test.c tests/lib/test.h
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh

check_PROGRAMS += tests/unit/linux/seccomp_test
EXTRA_DIST += tests/unit/linux/seccomp_names.inc
check_PROGRAMS += tests/unit/linux/netdev_test
