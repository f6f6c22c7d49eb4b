/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state directory: <root>/<id>/ with state.json, config.json (the final document), and the two FIFOs of the
 * start channel.  The directory itself carries the lock (flock(2) of an open descriptor).
 *
 * Who takes the container's lock: create, start, run, restore, exec (while it sets up), update, set, pause, resume, checkpoint, delete, and
 * migrate for each dump and from the last one on.  state, list, ps, kill, events and stats never wait for it: they read state.json, which is replaced atomically. */

#include <stdbool.h>
#include <stddef.h>

#include "oci/state.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct store_dir {
	int root_fd; /* --root */
	int fd;      /* the container's directory; locked while open, where that was asked for */
};

#define STORE_DIR_NONE ((struct store_dir){ -1, -1 })

#define STORE_STATE "state.json"
#define STORE_CONFIG "config.json"
#define STORE_GIVEN "given.json" /* the document before extensions changed it, where they did */
#define STORE_START "start.fifo"
#define STORE_RESULT "result.fifo"
#define STORE_NOTIFY "notify"

/* "[a-zA-Z0-9_+-][a-zA-Z0-9_+.-]*" and at most 255 bytes; ERR_USAGE "invalid container ID format". */
int store_check_id(const char *id, struct err *e);

/* Make the directory and lock it.  ERR_STATE "container with given ID already exists". */
int store_create(const char *root, const char *id, struct store_dir *ret, struct err *e);

/* STORE_TRY does not wait: ERR_STATE, num EWOULDBLOCK, when somebody has the lock. */
enum store_lock { STORE_LOOK, STORE_WAIT, STORE_TRY };

/* Open an existing one; ERR_NOTFOUND "container does not exist". */
int store_open(const char *root, const char *id, enum store_lock lock, struct store_dir *ret, struct err *e);
int store_remove(struct store_dir *d, const char *id, struct err *e);
void store_unlock(const struct store_dir *d); /* before it is closed */
void store_close(struct store_dir *d);
#define cleanup_store __attribute__((cleanup(store_close)))

int store_save(const struct store_dir *d, const struct oci_state *s, struct err *e);
/* A missing (num ENOENT) or damaged record is ERR_STATE; *ret then holds nothing but the id, enough for delete --force. */
int store_load(const struct store_dir *d, const char *id, struct oci_state *ret, struct arena *a, struct err *e);
int store_load_spec(const struct store_dir *d, struct oci_spec *ret, struct arena *a, struct err *e);

/* All ids below the root, sorted; directories that are no container (names beginning with ".") are left out. */
int store_list(const char *root, struct oci_strs *ret, struct arena *a, struct err *e);

/* The present status: the recorded one corrected by what the process and its cgroup say.  *ret_pidfd (may be NULL) is a
 * pidfd of a living process 1, or -1. */
int store_status(const struct store_dir *d, const struct oci_state *s, int64_t *ret_status, int *ret_pidfd);
