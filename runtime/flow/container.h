/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An existing container, and what can be done to it besides starting it: kill, delete, pause, resume, update, ps. */

#include <stdbool.h>
#include <sys/types.h>

#include "oci/state.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/flow/ext.h"
#include "runtime/flow/store.h"

struct container {
	const char *root, *id;
	struct arena arena;
	struct store_dir dir;
	struct oci_state state;
	struct cgroup *cg;  /* NULL when cgroups are disabled */
	int64_t status;     /* the present one, paused included */
	int pidfd;          /* of a living process 1, or -1 */
	const struct oci_resources *document_limits; /* container_resources() reads the document once */
	bool document_read;
};

/* `lock`: who takes it is written in store.h. */
int container_open(const char *root, const char *id, enum store_lock lock, struct container *ret, struct err *e);
/* The same, and for its lock until `signals` (of foreground_begin(), or -1) asks us to end (num EINTR), or for so many ms (num EWOULDBLOCK;
 * -1: without end). */
int container_open_until(const char *root, const char *id, int signals, int ms, struct container *ret, struct err *e);
void container_done(struct container *c);
#define cleanup_container __attribute__((cleanup(container_done)))

/* Signal process 1.  SIGKILL without a pid namespace of its own, or `all`, reaches every process of the cgroup; `all` on a
 * dead container succeeds.  ERR_STATE "container not running". */
int container_kill(struct container *c, int sig, bool all, struct err *e);

/* Undo everything the container has on the host.  `force`: kill it first, take a missing one for deleted, and remove
 * what a killed create or a damaged record left behind. */
int container_delete(const char *root, const char *id, bool force, struct err *e);
/* The same for who made it: one of that id that was created at another time is somebody else's, and left alone (0; 1: deleted). */
int container_delete_own(const char *root, const char *id, const char *created, bool force, struct err *e);

/* Before the end of a copy whose original goes on elsewhere: what becomes of its connections then does not get out. */
void container_silence(struct container *c);

/* What containers of this machine that have ended still have of the host is given back, whatever their --root. */
int container_reconcile(struct err *e);

int container_pause(struct container *c, struct err *e);
/* Whether it is known that it runs nowhere else: an error names the other host. */
int container_decided(const struct container *c, struct err *e);
/* Who moves it now, which takes its lock only for what stands between two others; 0: nobody else than we. */
pid_t container_mover(const struct container *c);
int container_resume(struct container *c, struct err *e);

/* Change limits: values that `changes` does not set stay as they are.  Saved, so that later updates merge.  Nothing is
 * changed when one value is refused. */
int container_update(struct container *c, const struct oci_resources *changes, const struct oci_intel_rdt *rdt,
		     struct err *e);

/* Change settings of extensions: everything is checked first, and when one value is refused nothing is changed. */
int container_set(struct container *c, const struct ext_wishes *wishes, struct err *e);
/* The settings, and limits in the words of extensions; both as annotations. */
int container_settings(struct container *c, struct oci_map *ret, struct err *e);
/* The limits in force, which may be NULL: the document's until the first change was saved. */
int container_resources(struct container *c, const struct oci_resources **ret, struct err *e);

int container_pids(const struct container *c, pid_t **ret, size_t *ret_n, struct arena *a, struct err *e);

/* Keep how process 1 ended (foreground run --keep). */
int container_save_exit(const char *root, const char *id, const char *created, int wait_status, bool oom_seen, struct err *e);

/* Above zero: the container, whose process 1 has ended, is to be started again, of the document *ret: `given` with the
 * settings and the limits that are in force.  Its record tells meanwhile how it ended. */
int container_again(const char *root, const char *id, int wait_status, const struct str *given, struct str *ret, struct err *e);

/* Its settings, and its limits where they are not the document's any more (else NULL): what a further life, here or elsewhere, is
 * to be given.  Device rules are the document's. */
int container_in_force(struct container *c, struct oci_map *ret_settings, struct oci_resources **ret_limits, struct err *e);
int container_use_limits(struct oci_spec *spec, const struct oci_resources *limits, struct arena *a, struct err *e);

/* Behind a freeze of ours.  Where it cannot be thawed that is said, with the remedy. */
void container_thaw(const struct container *c);

/* Kills what is left of it and undoes everything, as delete does; the lock is ours already. */
int container_destroy(struct container *c, struct err *e);

/* Shared by the files of this header. */
void container_set_exit(struct container *c, int wait_status, bool oom_seen);
int container_not_running(struct err *e);
int container_need_cgroup(const struct container *c, struct err *e);
struct ext_env container_env(struct container *c);
