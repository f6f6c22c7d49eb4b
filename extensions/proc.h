/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the unit test. */

#include <stdint.h>
#include <time.h>

#include "oci/spec.h"

/* The offset with which a clock that shows `now`, in a time namespace with that offset of its own, shows zero. */
struct oci_time_offset proc_zero_offset(struct timespec now, int64_t own_s, int64_t own_ns);

/* Random bytes as a UUID, which differ from others in 122 bits. */
#define PROC_UUID_SIZE 37
void proc_uuid(uint8_t bytes[16], char buf[PROC_UUID_SIZE]);
