# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += runtime/migrate/fetch.c runtime/migrate/fetch.h
libvzrun_a_SOURCES += runtime/migrate/files.c runtime/migrate/files.h
libvzrun_a_SOURCES += runtime/migrate/migrate.h
libvzrun_a_SOURCES += runtime/migrate/offer.c runtime/migrate/offer.h
libvzrun_a_SOURCES += runtime/migrate/record.c runtime/migrate/record.h
libvzrun_a_SOURCES += runtime/migrate/relay.c runtime/migrate/relay.h
libvzrun_a_SOURCES += runtime/migrate/resolve.c
libvzrun_a_SOURCES += runtime/migrate/rsync.c
libvzrun_a_SOURCES += runtime/migrate/source.c runtime/migrate/source.h runtime/migrate/source_check.c
libvzrun_a_SOURCES += runtime/migrate/source_copy.c runtime/migrate/source_files.c runtime/migrate/source_switch.c
libvzrun_a_SOURCES += runtime/migrate/target.c
libvzrun_a_SOURCES += runtime/migrate/wire.c runtime/migrate/wire.h
