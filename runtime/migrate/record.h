/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the target of a migration keeps of it below its --root, and what that says to a source which asks later what became of it:
 * .migrations/TOKEN, a struct migration_record.  Whoever decides something holds the lock of the file meanwhile. */

#include "oci/migration.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

/* The descriptor, and with it the lock.  `flags`: O_CREAT, O_EXCL.  ENOENT: there is none. */
int record_open(const char *root, const char *token, int flags, struct err *e);
/* An empty one is as good as none: MIGRATION_UNKNOWN. */
int record_read(int fd, struct migration_record *ret, struct arena *a, struct err *e);
int record_write(int fd, const struct migration_record *r, struct err *e);
void record_forget(const char *root, const char *token);

/* What was made, and is not needed; *path becomes NULL when it is gone.  Else the record that names it is to be kept. */
void record_remove(const char **path);

/* Tells a directory from any that is there later by the same name, for `made`.  NULL, and errno. */
const char *record_identity(const char *path, struct arena *a);

/* What is left of a migration whose container will never run here, or must not any more. */
int record_undo(const char *root, struct migration_record *r, struct err *e);

/* The answer to a question, after which it is so: one that might still have run never will. */
int record_find_fate(const char *root, const struct migration_question *q, int64_t *ret, struct arena *a, struct err *e);
/* And behind it, when the source knows. */
void record_settled(const char *root, const char *token);
