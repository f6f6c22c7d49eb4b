# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `make check` runs the programs that need no root: unit and golden.  Everything else: tests/run.sh.
#
# A unit test is one line here: `check_PROGRAMS += tests/unit/base/str_test` is built from tests/unit/base/str_test.c,
# linked with libtest.a and libvzrun.a, and run by `make check` and by tests/run.sh.

check_LIBRARIES += libtest.a
libtest_a_SOURCES = tests/lib/test.c tests/lib/test.h tests/lib/child.h
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh

EXTRA_DIST += tests/steps/agents.py tests/steps/faults.bash
EXTRA_DIST += tests/engines/podman.bash tests/engines/containerd.bash tests/engines/client.bash tests/engines/checkpoint.bash
EXTRA_DIST += tests/lib/checkpoint.bash tests/lib/migrate.bash tests/lib/criu-stub.py tests/lib/cut.py tests/lib/nfs-server
EXTRA_DIST += tests/run.sh tests/expected-skips .ci/run tests/lib/helpers.bash tests/lib/run-bats
EXTRA_DIST += tests/lib/complete/ask.bash tests/lib/complete/ask.fish tests/lib/complete/ask.zsh
EXTRA_DIST += $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/tests/*/*.bats $(srcdir)/tests/bench/*.sh $(srcdir)/tests/engines/*/*.py))

EXTRA_DIST += $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/tests/vm/*.py $(srcdir)/tests/vm/build $(srcdir)/tests/vm/run $(srcdir)/tests/vm/legs $(srcdir)/tests/vm/run-test $(srcdir)/tests/vm/unpack-kernel $(srcdir)/tests/vm/guest/*))

# Fuzz targets: tests/fuzz/NAME_fuzz.c with LLVMFuzzerTestOneInput, in a tree configured with CC=clang --enable-fuzzers.
if FUZZERS
fuzz_programs = $(patsubst $(srcdir)/%.c,%,$(wildcard $(srcdir)/tests/fuzz/*_fuzz.c))
tests/fuzz/%_fuzz: tests/fuzz/%_fuzz.c libvzrun.a
	@$(MKDIR_P) tests/fuzz
	$(AM_V_CCLD)$(CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fsanitize=fuzzer \
		$(VZ_LDFLAGS) -o $@ $< libvzrun.a $(VZ_LIBS)
endif
EXTRA_DIST += $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/tests/fuzz/*_fuzz.c))
fuzzers: $(fuzz_programs)
.PHONY: fuzzers

# Benchmarks stand alone: they measure programs, they do not link ours.
EXTRA_PROGRAMS += tests/bench/start tests/bench/floor
# For the suite valgrind.
EXTRA_PROGRAMS += tests/lib/sealed
tests_lib_sealed_LDADD =
tests_bench_start_LDADD =
tests_bench_floor_LDADD =
benches: tests/bench/start tests/bench/floor
.PHONY: benches

# Payloads of the tests, their leak audit and their time limit: static, of no library of ours, never instrumented.
tests/lib/probe tests/lib/audit tests/lib/vfio tests/lib/worker tests/lib/limit: tests/lib/%: tests/lib/%.c
	@$(MKDIR_P) tests/lib
	$(AM_V_CCLD)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -static -o $@ $<
check-programs: tests/lib/probe tests/lib/audit tests/lib/vfio tests/lib/worker tests/lib/limit
CLEANFILES += tests/lib/probe tests/lib/audit tests/lib/vfio tests/lib/worker tests/lib/limit
EXTRA_DIST += tests/lib/probe.c tests/lib/audit.c tests/lib/vfio.c tests/lib/worker.c tests/lib/limit.c

# The payload of the conformance suite: like the probe, and it reads documents without our reader.
inside_sources = inside.c inside_process.c inside_mounts.c inside_linux.c inside_cgroup.c inside_seccomp.c inside.h
tests/conformance/inside: $(addprefix tests/conformance/,$(inside_sources))
	@$(MKDIR_P) tests/conformance
	$(AM_V_CCLD)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -static -I$(top_srcdir) -o $@ $(filter %.c,$^) -l:libyajl_s.a
check-programs: tests/conformance/inside
CLEANFILES += tests/conformance/inside
EXTRA_DIST += $(addprefix tests/conformance/,$(inside_sources)) tests/conformance/documents.jq \
	tests/conformance/documents.bash tests/conformance/check-table.sh docs/spec-conformance.md

# Unit and golden tests
check_PROGRAMS += tests/unit/extensions/blockdev_test tests/unit/extensions/cpu_test tests/unit/extensions/io_test
check_PROGRAMS += tests/unit/linux/seccomp_test
EXTRA_DIST += tests/unit/linux/seccomp_names.inc
check_PROGRAMS += tests/unit/linux/netdev_test tests/unit/linux/netlink_test
check_PROGRAMS += tests/unit/linux/rdt_test
check_PROGRAMS += tests/unit/linux/creds_test
check_PROGRAMS += tests/unit/linux/process_test
check_PROGRAMS += tests/unit/linux/lsm_test
check_PROGRAMS += tests/unit/cgroup/plan_test tests/unit/cgroup/devices_test tests/unit/cgroup/fake_test
check_PROGRAMS += tests/unit/cgroup/real_test tests/unit/cgroup/unit_test tests/golden/cgroup_test
tests_unit_cgroup_plan_test_LDADD = $(LDADD) -lm
EXTRA_DIST += $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/tests/golden/cgroup/*))
check_PROGRAMS += tests/unit/linux/mount_options_test
check_PROGRAMS += tests/unit/linux/rootfs_test
check_PROGRAMS += tests/unit/base/path_test
check_PROGRAMS += tests/unit/oci/json_test tests/unit/oci/emit_test tests/unit/oci/names_test
check_PROGRAMS += tests/unit/oci/decode_test tests/unit/oci/spec_test tests/golden/golden_test
EXTRA_DIST += tests/golden/schema-exceptions.txt
EXTRA_DIST += $(foreach kind,config process resources state,$(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/tests/golden/$(kind)/*/*)))
check_PROGRAMS += tests/unit/linux/mount_test
check_PROGRAMS += tests/unit/base/str_test
check_PROGRAMS += tests/unit/base/err_test
check_PROGRAMS += tests/unit/base/fs_test
check_PROGRAMS += tests/unit/base/proc_test
check_PROGRAMS += tests/unit/base/sock_test
check_PROGRAMS += tests/unit/flow/ext_test tests/unit/flow/sample_test tests/unit/flow/sync_test
check_PROGRAMS += tests/unit/cli/stats_table_test
check_PROGRAMS += tests/unit/linux/ns_test
check_PROGRAMS += tests/unit/extensions/pcidev_test tests/unit/extensions/privileges_test tests/unit/extensions/proc_test
check_PROGRAMS += tests/unit/linux/mountinfo_test tests/unit/migrate/offer_test tests/unit/migrate/rounds_test tests/unit/migrate/rsync_test tests/unit/migrate/wire_test
check_PROGRAMS += tests/unit/linux/tty_test
