/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "runtime/base/err.h"

/* Before generated code is called; ERR_UNSUPPORTED where the library is missing, or vzrun was built without it. */
int protobuf_open(struct err *e);
