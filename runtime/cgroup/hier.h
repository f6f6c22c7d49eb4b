/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Inside runtime/cgroup only: the handle, and the two seams.  struct cg_driver knows who owns a directory (we
 * ourselves, later systemd); struct cg_hier knows how a wish is written on v1 or v2. */

#include <stdbool.h>
#include <stddef.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/plan.h"
#include "runtime/cgroup/stats.h"

#define CG_FILE_MAX ((size_t)4 << 20) /* more than any file of a cgroup that we read */

/* One directory of a container in one hierarchy. */
struct cg_dir {
	const char *mount;       /* "/sys/fs/cgroup/cpu" */
	const char *controllers; /* as in struct cg_mount */
	const char *dir;
	const char *made_top;    /* topmost parent that this command made, for undo; NULL: none */
	bool v2, made;
	int fd;                  /* opened on first use, -1 */
	int procs_fd;            /* `tasks` or cgroup.procs, from cgroup_open_procs() */
};

struct cg_driver {
	const char *name;
	int (*make)(struct cgroup *cg, struct err *e);
	int (*attach)(const struct cgroup *cg, bool cloned_into_v2, struct err *e); /* in the child */
	int (*set)(struct cgroup *cg, const struct cg_plan *plan, struct err *e);
	int (*remove)(struct cgroup *cg, struct err *e);
};

struct cgroup {
	const struct cg_driver *driver;
	enum cg_mode mode, host_mode;
	const struct oci_resources *resources;
	enum proc_rootless rootless;
	bool named;              /* by the document's cgroupsPath: it is there or nowhere */
	bool refused;            /* some directory was not allowed: the container does without */
	struct cg_dir *dirs;
	size_t n;
	struct cg_unit *unit;       /* systemd.h; NULL: cgroupfs */
	struct cg_plan before;      /* what puts back what the last update wrote, in the order of writing */
	struct arena *arena;        /* of whoever made the handle: not for what happens after that has returned */
};

extern const struct cg_driver cg_driver_fs, cg_driver_systemd, cg_driver_disabled;

/* The order in which limits are written (oci-contract 4.5): what bounds damage first, the device rules before the
 * rest of the payload can open anything, `unified` last because it may override the others. */
enum cg_group {
	CG_PIDS,
	CG_MEMORY,
	CG_IO,
	CG_CPU,
	CG_DEVICES,
	CG_CPUSET,
	CG_HUGETLB,
	CG_RDMA,
	CG_NET_CLS,
	CG_NET_PRIO,
	CG_GROUPS,
};

struct cg_planner {
	const struct oci_resources *r;
	const struct cg_current *now; /* never NULL */
	const char *controller;       /* of the knob that is being planned */
	bool missing;                 /* no hierarchy offers it: the first row is an error */
	bool update;
	struct cg_write *v;
	size_t n, cap;
	struct cg_write dummy;        /* what cg_row() hands out after an error */
	struct arena *arena;
	struct err *e;
};

struct cg_knob {
	const char *controller;
	int (*plan)(struct cg_planner *p); /* NULL: nothing to write there */
};

struct cg_hier {
	const struct cg_knob *knobs; /* CG_GROUPS of them */
	int (*freeze)(struct cg_dir *d, bool freeze, struct err *e);
	int (*frozen)(struct cg_dir *d);
};
extern const struct cg_hier cg_v1, cg_v2;

/* plan.c: append a row.  `field` is the pointer below /linux/resources. */
struct cg_write *cg_row(struct cg_planner *p, const char *field, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int cg_done(const struct cg_planner *p); /* 0, or the error that a row left */
int cg_refuse(struct cg_planner *p, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int cg_cpuset_plan(struct cg_planner *p);
int cg_rdma_plan(struct cg_planner *p);
int cg_hugetlb_plan(struct cg_planner *p, const char *suffix);
int cg_pids_plan(struct cg_planner *p);
int cg_swap_check(struct cg_planner *p, struct opt_i64 *ret_limit, struct opt_i64 *ret_swap);

/* devices.c */
int cg_devices_plan_v1(struct cg_planner *p);
/* The writes that lead from the rules `was` to p->r->devices; each is undone by the same value in the other file. */
int cg_devices_changes_v1(struct cg_planner *p, const struct oci_device_rules *was);
/* `replace`: the program that is there already, which a living container has. */
int cg_devices_attach(int cgroup_fd, const struct oci_device_rules *rules, bool replace, enum proc_rootless rootless,
		      struct err *e);

/* cgroup.c */
bool cg_list_has(const char *list, const char *word); /* "cpu,cpuacct" has "cpu" */
struct cg_dir *cg_find(const struct cgroup *cg, const char *controller);
struct cg_dir *cg_find_v2(const struct cgroup *cg);
void cg_add_dir(struct cgroup *cg, const struct cg_mount *m, const char *dir);
int cg_dir_fd(struct cg_dir *d); /* the descriptor or -1 and errno */
void cg_learn_mode(struct cgroup *cg); /* from the directories that there are */
const char *cg_remedy(enum cg_mode mode); /* how to get a cgroup that one may write */
struct cg_host cg_as_host(const struct cgroup *cg);

/* driver_fs.c */
int cg_open_procs(const struct cgroup *cg, struct cg_dir *d, struct err *e);
int cg_make_dirs(struct cgroup *cg, bool enable, struct err *e); /* enable: v2's controllers, too */
int cg_set_files(struct cgroup *cg, const struct cg_plan *plan, struct err *e);
void cg_wait_empty(struct cg_dir *d); /* v2 */
int cg_write_row(struct cgroup *cg, const struct cg_write *w, struct err *e);

/* tree.c: walks below one directory */
int cg_tree_pids(int dirfd, pid_t **ret, size_t *n, size_t *cap, struct arena *a, struct err *e);
int cg_tree_remove(const char *dir); /* 0 or -errno; deepest first, no waiting */
int cg_tree_each(int dirfd, int (*fn)(int fd, void *arg), void *arg); /* children first, then the directory itself */

/* Small readers: false when the file is missing or not of that form. */
bool cg_read_text(int dirfd, const char *file, char *buf, size_t size); /* trimmed */
bool cg_read_u64(int dirfd, const char *file, uint64_t *ret);           /* "max": all ones */
bool cg_read_key(int dirfd, const char *file, const char *key, uint64_t *ret);

/* sample.c: a whole file, false when it cannot be read; what blkio counts under `name`, whichever scheduler counts it. */
bool cg_slurp(const struct cg_dir *d, const char *file, struct str *ret);
bool cg_io_text_v1(const struct cg_dir *d, const char *name, struct str *ret);

/* v2.c: let the container's cgroup have its controllers */
bool cg_v2_enabled(int fd, const char *controller); /* in this directory */
int cg_v2_enable(struct cgroup *cg, struct cg_dir *d, struct err *e);
