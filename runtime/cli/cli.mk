# SPDX-License-Identifier: LGPL-2.1-or-later
# The program is main.c alone: everything else is in libvzrun.a, so that tests link the same objects.
libvzrun_a_SOURCES += runtime/cli/cli.h
libvzrun_a_SOURCES += runtime/cli/cmd_checkpoint.c
libvzrun_a_SOURCES += runtime/cli/cmd_control.c
libvzrun_a_SOURCES += runtime/cli/cmd_events.c
libvzrun_a_SOURCES += runtime/cli/cmd_info.c
libvzrun_a_SOURCES += runtime/cli/cmd_migrate.c
libvzrun_a_SOURCES += runtime/cli/cmd_run.c
libvzrun_a_SOURCES += runtime/cli/cmd_set.c
libvzrun_a_SOURCES += runtime/cli/cmd_state.c
libvzrun_a_SOURCES += runtime/cli/cmd_stats.c
libvzrun_a_SOURCES += runtime/cli/cmd_update.c
libvzrun_a_SOURCES += runtime/cli/complete_bash.c runtime/cli/complete_fish.c runtime/cli/complete_zsh.c
libvzrun_a_SOURCES += runtime/cli/complete.c runtime/cli/complete.h
libvzrun_a_SOURCES += runtime/cli/duration.c
libvzrun_a_SOURCES += runtime/cli/opt.c runtime/cli/opt.h
libvzrun_a_SOURCES += runtime/cli/self.c runtime/cli/self.h
libvzrun_a_SOURCES += runtime/cli/stats_table.c runtime/cli/stats_table.h
bin_PROGRAMS += vzrun
vzrun_SOURCES = runtime/cli/main.c
vzrun_LDADD = libvzrun.a $(VZ_LIBS)
# BUILT_SOURCES holds for all and check only; one target alone must build too.
runtime/cli/main.$(OBJEXT) runtime/cli/cmd_info.$(OBJEXT): commit.h
