# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += oci/check.h
libvzrun_a_SOURCES += oci/decode.h
libvzrun_a_SOURCES += oci/emit.h
libvzrun_a_SOURCES += oci/json.h
libvzrun_a_SOURCES += oci/spec.h
