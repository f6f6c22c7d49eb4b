/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory in images, pages-*.img, as zstd(1) packs it: pages-*.img.zst.  Each file is whole under one of the two names at every
 * moment.  The record (oci/image.h) tells of the files as they were before. */

#include "runtime/flow/criu.h"

#define CRIU_PACKER "zstd"

int criu_compress(const struct criu_dirs *d, struct err *e);

/* And for good, with the images of its parents: CRIU reads no other, neither for a restore nor for a further checkpoint.  At one
 * time only one does so in a directory.  Who made the files is the caller's to check. */
int criu_expand(const struct criu_dirs *d, struct err *e);
