# SPDX-License-Identifier: LGPL-2.1-or-later
libvzrun_a_SOURCES += extensions/beancounters.c
libvzrun_a_SOURCES += extensions/blockdev.c extensions/blockdev.h
libvzrun_a_SOURCES += extensions/claims.c extensions/claims.h
libvzrun_a_SOURCES += extensions/cpu.c
libvzrun_a_SOURCES += extensions/devices.c
libvzrun_a_SOURCES += extensions/hostname.c
libvzrun_a_SOURCES += extensions/io.c
libvzrun_a_SOURCES += extensions/machine.c extensions/machine.h
libvzrun_a_SOURCES += extensions/memory.c
libvzrun_a_SOURCES += extensions/netdev.c extensions/netdev.h
libvzrun_a_SOURCES += extensions/node.c extensions/node.h
libvzrun_a_SOURCES += extensions/pci.c extensions/pci.h extensions/pci_live.c
libvzrun_a_SOURCES += extensions/pcidev.c extensions/pcidev.h
libvzrun_a_SOURCES += extensions/privileges.c extensions/privileges.h
if FAULT_INJECTION
libvzrun_a_SOURCES += extensions/probe.c
endif
libvzrun_a_SOURCES += extensions/proc.c extensions/proc.h
libvzrun_a_SOURCES += extensions/reboot.c
libvzrun_a_SOURCES += extensions/registry.c extensions/registry.h
libvzrun_a_SOURCES += extensions/traffic.c
libvzrun_a_SOURCES += extensions/values.c extensions/values.h
