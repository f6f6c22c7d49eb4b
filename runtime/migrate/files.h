/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Directories of images, and programs that speak with each other, over a wire. */

#include "oci/spec.h"
#include "runtime/migrate/wire.h"

/* All files of a directory and its links; below it there is nothing.  `compress`: by zstd(1), those with memory in them. */
int files_send(struct wire *w, int at, const char *name, bool compress, struct err *e);

/* `first`: the WIRE_DIR frame.  Names that lead elsewhere are refused; links may lead to directories beside this one. */
int files_receive(struct wire *w, int parent, const struct wire_frame *first, struct err *e);

/* rsync(1) from here to there, with these options besides.  Mounts in it are copied as well.  Its connection is the wire: it calls `vzrun migrate-rsh`, which hands its descriptors over to us.
 * No symbolic link in it leads rsync anywhere.  Below zero when it fails; files that vanish meanwhile are no failure, and but for the
 * `last` time neither are those that could not be read. */
int rsync_send(struct wire *w, const char *from, const char *const *options, bool last, struct err *e);
int rsync_rsh(const struct oci_strs *words, struct err *e); /* migrate-rsh: the exit status */

/* `first`: the WIRE_PIPE frame.  Only an rsync server that writes to `to` is run. */
int rsync_receive(struct wire *w, const struct wire_frame *first, const char *to, struct err *e);

/* What rsync's client asks its server for, written out: "rsync --server -lHogDtpAXre.iLsfxCIvu --numeric-ids . bundle/". */
int rsync_check_words(const char *const *words, size_t n, struct err *e);
