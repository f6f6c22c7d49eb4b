/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Inside runtime/cgroup only: the systemd driver's own record of a container's unit. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/cgroup/bus.h"
#include "runtime/cgroup/unit.h"

struct cg_unit {
	const char *name, *slice;
	bool is_slice;
	bool user;                         /* of a user's manager */
	bool foreign;                      /* made by another command: whether it was started is not known */
	const char *id;
	const struct oci_map *annotations;
	struct bus bus;
	struct unit_properties properties; /* of the start that is under way */
	pid_t pid;
	int64_t pending;                   /* the call whose reply is awaited; 0: none */
	int turn;                          /* held until the unit has started (manager_take_turn), or -1 */
	bool attaching;                    /* that call is no start */
	bool started;
};


bool manager_is_user(void);
int manager_open(bool user, struct bus *ret, struct err *e);
/* systemd answers one call after the other.  Starts take turns, so that whoever else asks it something waits for one start
 * and not for all that engines make at a time.  Returns a descriptor to close, or -1: there is nothing to wait for. */
int manager_take_turn(bool user);
/* Its cgroup, "" for the root, as it shows below /sys/fs/cgroup. */
int manager_root(struct bus *b, bool user, const char **ret, struct arena *a, struct err *e);

struct cgroup;
struct cgroup_options;
struct cg_host;
struct cg_plan;

int systemd_choose(struct cgroup *cg, const struct cg_host *host, const struct cgroup_options *o, struct err *e);
int systemd_reopen(struct cgroup *cg, const char *unit, bool user, struct err *e);
void systemd_close(struct cgroup *cg);
/* The plan's properties of a unit that is running. */
int systemd_update(struct cgroup *cg, struct cg_plan *plan, struct arena *a, struct err *e);
int systemd_set_devices(struct cgroup *cg, const struct oci_device_rules *was, const struct oci_device_rules *now, struct arena *a,
			struct err *e);
int systemd_start(struct cgroup *cg, pid_t pid, struct cg_plan *plan, struct err *e);
