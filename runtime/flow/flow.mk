# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += runtime/flow/container.c runtime/flow/container.h
libvzrun_a_SOURCES += runtime/flow/fault.h
libvzrun_a_SOURCES += runtime/flow/foreground.c runtime/flow/foreground.h
libvzrun_a_SOURCES += runtime/flow/flow.c runtime/flow/flow.h
libvzrun_a_SOURCES += runtime/flow/hooks.c runtime/flow/hooks.h
libvzrun_a_SOURCES += runtime/flow/netstats.c runtime/flow/netstats.h
libvzrun_a_SOURCES += runtime/flow/notify_socket.c runtime/flow/notify_socket.h
libvzrun_a_SOURCES += runtime/flow/steps.h
libvzrun_a_SOURCES += runtime/flow/steps_host.c
libvzrun_a_SOURCES += runtime/flow/steps_init.c
libvzrun_a_SOURCES += runtime/flow/steps_open.c
libvzrun_a_SOURCES += runtime/flow/steps_process.c
libvzrun_a_SOURCES += runtime/flow/steps_start.c
libvzrun_a_SOURCES += runtime/flow/store.c runtime/flow/store.h
libvzrun_a_SOURCES += runtime/flow/sync.c runtime/flow/sync.h
libvzrun_a_SOURCES += runtime/flow/table.c
