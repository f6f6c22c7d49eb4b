/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The polynomial of Ethernet and zip, reflected.  Of the first piece `crc` is 0, of a further one what came of those before it. */
uint32_t crc32(uint32_t crc, const void *data, size_t len);
