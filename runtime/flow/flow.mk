# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += runtime/flow/checkpoint.c runtime/flow/checkpoint.h
libvzrun_a_SOURCES += runtime/flow/container.c runtime/flow/container.h
libvzrun_a_SOURCES += runtime/flow/container_again.c
libvzrun_a_SOURCES += runtime/flow/container_change.c
libvzrun_a_SOURCES += runtime/flow/criu.c runtime/flow/criu.h
libvzrun_a_SOURCES += runtime/flow/criu_compress.c runtime/flow/criu_compress.h
libvzrun_a_SOURCES += runtime/flow/criu_image.c runtime/flow/criu_image.h
libvzrun_a_SOURCES += runtime/flow/criu_rpc.c runtime/flow/criu_rpc.h
libvzrun_a_SOURCES += runtime/flow/ext.c runtime/flow/ext.h
libvzrun_a_SOURCES += runtime/flow/ext_native.c
libvzrun_a_SOURCES += runtime/flow/externals.c runtime/flow/externals.h
libvzrun_a_SOURCES += runtime/flow/fault.h
libvzrun_a_SOURCES += runtime/flow/flow.c runtime/flow/flow.h
libvzrun_a_SOURCES += runtime/flow/foreground.c runtime/flow/foreground.h
libvzrun_a_SOURCES += runtime/flow/hooks.c runtime/flow/hooks.h
libvzrun_a_SOURCES += runtime/flow/netstats.c runtime/flow/netstats.h
libvzrun_a_SOURCES += runtime/flow/network.c runtime/flow/network.h
libvzrun_a_SOURCES += runtime/flow/notify_socket.c runtime/flow/notify_socket.h
libvzrun_a_SOURCES += runtime/flow/pressure.c runtime/flow/pressure.h
libvzrun_a_SOURCES += runtime/flow/protobuf.c runtime/flow/protobuf.h
libvzrun_a_SOURCES += runtime/flow/restore_place.c runtime/flow/restore.h
libvzrun_a_SOURCES += runtime/flow/sample.c runtime/flow/sample.h
libvzrun_a_SOURCES += runtime/flow/steps.h
libvzrun_a_SOURCES += runtime/flow/steps_cgroup.c
libvzrun_a_SOURCES += runtime/flow/steps_ext.c
libvzrun_a_SOURCES += runtime/flow/steps_host.c
libvzrun_a_SOURCES += runtime/flow/steps_init.c
libvzrun_a_SOURCES += runtime/flow/steps_open.c
libvzrun_a_SOURCES += runtime/flow/steps_process.c
libvzrun_a_SOURCES += runtime/flow/steps_restore.c
libvzrun_a_SOURCES += runtime/flow/steps_restore_mounts.c
libvzrun_a_SOURCES += runtime/flow/steps_start.c
libvzrun_a_SOURCES += runtime/flow/store.c runtime/flow/store.h
libvzrun_a_SOURCES += runtime/flow/sync.c runtime/flow/sync.h
libvzrun_a_SOURCES += runtime/flow/table.c

# CRIU's protocol: libprotobuf-c itself is opened when it is needed (protobuf.c).
EXTRA_DIST += runtime/flow/criu.proto
if PROTOBUF_C
nodist_libvzrun_a_SOURCES = runtime/flow/criu.pb-c.c runtime/flow/criu.pb-c.h
BUILT_SOURCES += runtime/flow/criu.pb-c.h
CLEANFILES += runtime/flow/criu.pb-c.c runtime/flow/criu.pb-c.h
runtime/flow/criu.pb-c.c: runtime/flow/criu.proto
	$(AM_V_GEN)$(MKDIR_P) runtime/flow && $(PROTOC_C) -I$(srcdir)/runtime/flow --c_out=runtime/flow $(srcdir)/runtime/flow/criu.proto
runtime/flow/criu.pb-c.h: runtime/flow/criu.pb-c.c
# BUILT_SOURCES holds for all and check only; one target alone must build too.
runtime/flow/criu_rpc.$(OBJEXT) runtime/flow/criu_image.$(OBJEXT): runtime/flow/criu.pb-c.h
endif
