/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tables that the spec*.c files share among themselves. */

#include "oci/decode.h"

extern const struct oci_type oci_idmap_type, oci_linux_type, oci_seccomp_type;
