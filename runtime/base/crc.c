// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/base/crc.h"

#include <stdbool.h>

uint32_t crc32(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256];
	static bool ready;

	for (uint32_t i = 0; !ready && i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? 0xedb88320U ^ table[i] >> 1 : table[i] >> 1;
	}
	ready = true;
	crc = ~crc;
	for (const uint8_t *p = data; len > 0; p++, len--)
		crc = table[(crc ^ *p) & 0xff] ^ crc >> 8;
	return ~crc;
}
