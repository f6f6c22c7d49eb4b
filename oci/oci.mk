# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += oci/check.h
libvzrun_a_SOURCES += oci/decode.c oci/decode.h
libvzrun_a_SOURCES += oci/emit.c oci/emit.h
libvzrun_a_SOURCES += oci/json.c oci/json.h
libvzrun_a_SOURCES += oci/names.c oci/names.h
libvzrun_a_SOURCES += oci/rows.h oci/tables.h
libvzrun_a_SOURCES += oci/spec.c oci/spec.h
libvzrun_a_SOURCES += oci/spec_linux.c
libvzrun_a_SOURCES += oci/spec_resources.c
libvzrun_a_SOURCES += oci/spec_seccomp.c
libvzrun_a_SOURCES += oci/utf8.c oci/utf8.h
libvzrun_a_SOURCES += oci/walk.c oci/walk.h
libvzrun_a_SOURCES += oci/state.c oci/state.h
libvzrun_a_SOURCES += oci/defaults.c oci/defaults.h
libvzrun_a_SOURCES += oci/features.c oci/features.h
