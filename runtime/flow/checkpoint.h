/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "runtime/flow/container.h"
#include "runtime/flow/criu.h"

/* Writes the container into images.  Afterwards it is gone, unless it is to be left running or this is a pre-dump.  On failure it
 * runs on as before, unless the caller has frozen it in `begin`, and the directory holds no finished checkpoint. */
int container_checkpoint(struct container *c, const struct criu_options *o, struct err *e);
