# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += runtime/cgroup/cgroup.c runtime/cgroup/cgroup.h runtime/cgroup/hier.h
libvzrun_a_SOURCES += runtime/cgroup/control.c
libvzrun_a_SOURCES += runtime/cgroup/devices.c runtime/cgroup/devices.h
libvzrun_a_SOURCES += runtime/cgroup/driver_fs.c
libvzrun_a_SOURCES += runtime/cgroup/merge.c
libvzrun_a_SOURCES += runtime/cgroup/plan.c runtime/cgroup/plan.h
libvzrun_a_SOURCES += runtime/cgroup/probe.c
libvzrun_a_SOURCES += runtime/cgroup/set.c
libvzrun_a_SOURCES += runtime/cgroup/stats.c runtime/cgroup/stats.h
libvzrun_a_SOURCES += runtime/cgroup/tree.c
libvzrun_a_SOURCES += runtime/cgroup/v1.c
libvzrun_a_SOURCES += runtime/cgroup/v2.c
