# SPDX-License-Identifier: LGPL-2.1-or-later
# The program is main.c alone: everything else is in libvzrun.a, so that tests link the same objects.
# bin_PROGRAMS += vzrun
# vzrun_SOURCES = runtime/cli/main.c
# vzrun_LDADD = libvzrun.a $(VZ_LIBS)
