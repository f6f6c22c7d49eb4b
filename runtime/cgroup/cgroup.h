/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Control groups of a container: who makes the directory (struct cg_driver: cgroupfs, systemd) is separate from
 * how a limit is written (struct cg_hier: v1, v2); on a hybrid host both hierarchies are used at once.
 *
 * A struct cgroup holds a directory descriptor per hierarchy from the moment of its creation.  Its paths (and whether we made
 * the directories) go into the container's state and come back with cgroup_reopen(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "oci/state.h" /* struct cg_saved: directories as kept in the state */
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"

enum cg_mode { CG_V1, CG_HYBRID, CG_V2, CG_NONE }; /* NONE: no cgroups, or --cgroup-manager=disabled */
enum cg_driver_kind { CG_DRIVER_FS, CG_DRIVER_SYSTEMD, CG_DRIVER_DISABLED };

#define CG_HIERS_MAX 32

struct cg_mount {            /* one mounted hierarchy of this host */
	const char *dir;         /* "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/unified", "/sys/fs/cgroup" */
	const char *controllers; /* "cpu,cpuacct", "name=systemd"; v2: contents of cgroup.controllers, comma-separated */
	const char *own_path;    /* our own cgroup in it, from /proc/self/cgroup */
	bool v2;
};

struct cg_host {             /* what this host has; cg_host_probe() reads no mountinfo */
	enum cg_mode mode;
	struct cg_mount mounts[CG_HIERS_MAX];
	size_t n;
};

/* `root`: NULL for the real host; tests pass a directory that stands for "/". */
int cg_host_probe(const char *root, struct cg_host *ret, struct arena *a, struct err *e);

struct cgroup;               /* cgroup.c */

struct cgroup_options {
	const char *id;
	const char *path;        /* linux.cgroupsPath or NULL */
	enum cg_driver_kind driver;
	enum proc_rootless rootless;
	const struct oci_resources *resources; /* may be NULL: which controllers are needed */
	const struct oci_map *annotations;     /* for systemd: properties of the unit; may be NULL */
};

/* Which directories it will be, before anything exists (they go into the state first). */
int cgroup_choose(const struct cg_host *host, const struct cgroup_options *o, struct cgroup **ret, struct arena *a,
		  struct err *e);
int cgroup_reopen(const struct cg_saved_list *saved, enum cg_driver_kind driver, struct cgroup **ret, struct arena *a,
		  struct err *e); /* directories that are gone are no error */
int cgroup_of_state(const struct oci_state *s, struct cgroup **ret, struct arena *a, struct err *e);
/* The systemd unit, or NULL; and whether it is of a user's manager. */
const char *cgroup_unit(const struct cgroup *cg, bool *ret_user);
struct cg_saved_list cgroup_saved(const struct cgroup *cg);
void cgroup_close(struct cgroup **cg);
#define cleanup_cgroup __attribute__((cleanup(cgroup_close)))

/* Refuse a cgroup that exists with processes ("container's cgroup is not empty: N process(es) found") or frozen
 * ("container's cgroup unexpectedly frozen"), then make the directories (and enable controllers on v2, copy cpuset from
 * the parents on v1).  A failure removes what this call made.
 *
 * Who is not root (--rootless) may be refused a directory.  Where the document names none, the container does without
 * that hierarchy; limits that would need it are an error of cgroup_apply(). */
int cgroup_make(struct cgroup *cg, struct err *e);
bool cgroup_is_none(const struct cgroup *cg);                     /* nothing was allowed, or there is nothing on this host */

/* Write limits (all of the planner's rows) and the device program.  With systemd only the program: it is told the
 * limits when the unit starts. */
int cgroup_apply(struct cgroup *cg, const struct oci_resources *resources, struct err *e);

/* systemd: ask for the unit with this process in it, without waiting; or that the process, of an exec, is put into the
 * unit.  Then wait for either (nothing is to be waited for: 0), and write the limits that cgroup_apply() left: v1's device rules
 * as long as nobody inside opens anything, because they begin with a moment in which nothing is allowed; the rest at last. */
int cgroup_unit_start(struct cgroup *cg, pid_t pid, struct err *e);
int cgroup_unit_attach(struct cgroup *cg, pid_t pid, struct err *e);
int cgroup_unit_wait(struct cgroup *cg, struct err *e);
int cgroup_unit_devices(struct cgroup *cg, const struct oci_resources *resources, struct err *e);
int cgroup_unit_limits(struct cgroup *cg, const struct oci_resources *resources, struct err *e);

/* For clone3(CLONE_INTO_CGROUP): the v2 directory, or -1. */
int cgroup_clone_fd(const struct cgroup *cg);

/* In the child: enter every hierarchy that clone3 did not enter, by writing "0" to `tasks` (v1), which needs no
 * cgroup_threadgroup_rwsem; v2 (exec into a busy cgroup, EBUSY rules: oci-contract 4.2) by cgroup.procs.  Uses only descriptors opened by cgroup_open_procs() on the host
 * side beforehand. */
int cgroup_open_procs(struct cgroup *cg, struct err *e);
int cgroup_enter(const struct cgroup *cg, bool cloned_into_v2, struct err *e);

/* exec --cgroup [CTRL:]PATH...: a handle on sub-cgroups, "..": refused. */
int cgroup_open_sub(const struct cgroup *cg, const struct oci_strs *paths, struct cgroup **ret, struct arena *a,
		    struct err *e);

/* Before an exec: the payload may have moved itself below its cgroup, which then takes no more processes (v2, it hands
 * controllers down), or is gone.  Such a directory is replaced by the one that the container's process is in now.  The
 * handle is good for entering only. */
int cgroup_follow(struct cgroup *cg, pid_t init, struct err *e);

int cgroup_freeze(struct cgroup *cg, bool freeze, struct err *e); /* waits until it is so; a v1 FREEZING that sticks is thawed and retried; bounded */
int cgroup_frozen(const struct cgroup *cg);                       /* 1, 0; 0 when it cannot be known */
/* The directory by which CRIU may stop all processes: the v1 freezer's where there is one, else cgroup2's; NULL: none. */
const char *cgroup_freezer(const struct cgroup *cg);
void cgroup_let_die(const struct cgroup *cg);                     /* a SIGKILL of others reaches what is frozen, for which v1 has to be thawed */
int cgroup_kill(struct cgroup *cg, int sig, struct err *e);       /* all processes; SIGKILL by cgroup.kill, else freeze, signal, thaw */
/* Host pids, recursively, sorted, unique. */
int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *ret_n, struct arena *a, struct err *e);
bool cgroup_exists(const struct cgroup *cg);
bool cgroup_made(const struct cgroup *cg);                        /* some of its directories were not there before */
int cgroup_populated(const struct cgroup *cg);                    /* 1, 0 */
int cgroup_remove(struct cgroup *cg, struct err *e);              /* waits for it to be empty (poll, bounded), then removes with all sub-cgroups what is marked made */

/* Which controllers the container's cgroup and those that the payload made below it hand down (cgroup2): "system.slice": "memory
 * pids", "." its own.  And to have them so again, in cgroups that are there: of those that are gone nothing is said.  All processes
 * that stand in the container's own cgroup go to ours, since one that hands down controllers has none; but where `init`, its process 1,
 * is one of them. */
int cgroup_nested(const struct cgroup *cg, struct oci_map *ret, struct arena *a, struct err *e);
int cgroup_nest(struct cgroup *cg, const struct oci_map *nested, pid_t init, struct err *e);

/* Kills by the OOM killer so far (memory.events oom_kill, memory.oom_control oom_kill); -1 unknown. */
int64_t cgroup_oom_kills(const struct cgroup *cg);
/* A descriptor that becomes readable (v1 eventfd, v2 inotify on memory.events) at an OOM event; drained by the caller. */
int cgroup_oom_watch(const struct cgroup *cg, struct err *e);

/* Hand the container's own v2 directory to its root: chown of the directory and the files listed in
 * /sys/kernel/cgroup/delegate (4.8). */
int cgroup_delegate(const struct cgroup *cg, uid_t uid, struct err *e);

/* Merge and write changed limits: nothing is changed when one value is refused (values written before are put back).
 * `was` may be NULL. */
int cgroup_update(struct cgroup *cg, const struct oci_resources *was, const struct oci_resources *now, struct arena *a,
		  struct err *e);
/* Puts back what the last cgroup_update() wrote, whose arena is still there; failures are warnings. */
void cgroup_update_undo(struct cgroup *cg);

/* Whether limits of this controller are written in v2's words. */
bool cgroup_on_v2(const struct cgroup *cg, const char *controller);
/* "cpus" or "mems" that the container may be given: the effective set of the nearest parent that has one.  Below zero:
 * there is no cpuset here. */
int cgroup_allowed(const struct cgroup *cg, const char *what, struct str *ret);

/* Device rules of a living container: those in force become `now`, or nothing is changed.  On v1 only the difference is written, so
 * that nothing is closed for a moment.  systemd is told where it keeps them (v1). */
int cgroup_set_devices(struct cgroup *cg, const struct oci_device_rules *was, const struct oci_device_rules *now, struct err *e);

/* A device that every container may use, whatever the rules say; `minor` -1: all of them. */
bool cgroup_device_is_common(char type, int64_t major, int64_t minor);

/* What the container sees under a mount of type "cgroup": one entry per hierarchy. */
struct cg_view {
	const char *name;        /* directory name below the mount: "cpu,cpuacct", "systemd", "unified"; "" : v2 alone, the mount itself */
	const char *host_dir;    /* the container's own directory, to bind without a cgroup namespace */
	const char *options;     /* for a mount of type cgroup inside a cgroup namespace: "cpu,cpuacct", "none,name=systemd" */
	bool v2;
	const char *const *links; /* co-mount symlinks to make: "cpu", "cpuacct"; NULL-terminated */
};
int cgroup_views(const struct cgroup *cg, struct cg_view **ret, size_t *ret_n, struct arena *a, struct err *e);
