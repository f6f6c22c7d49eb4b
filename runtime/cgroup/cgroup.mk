# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += runtime/cgroup/cgroup.h
libvzrun_a_SOURCES += runtime/cgroup/plan.h
libvzrun_a_SOURCES += runtime/cgroup/stats.h
