/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* create, start, run, exec and restore as one table of steps (table.c).
 *
 * Both processes, the host side and init, walk the same array.  A row runs on its own side; a row marked
 * STEP_SYNC is awaited by the other side, and the row number is the protocol: a message of another row than the
 * expected one is an error.  A row that fails cleans up after itself; rows that finished are undone by the host in
 * reverse order.  init never undoes: its namespaces die with it.
 *
 * Conditions (`when`) look only at what both sides know alike: the document, the options and what was decided
 * before the clone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "oci/state.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/proc.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/flow/ext.h"
#include "runtime/flow/store.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/seccomp.h"

enum flow_command {
	FLOW_CREATE = 1 << 0,
	FLOW_START = 1 << 1,
	FLOW_RUN = 1 << 2,
	FLOW_EXEC = 1 << 3,
	FLOW_RESTORE = 1 << 4,
};

enum flow_side { FLOW_HOST, FLOW_INIT };

struct criu_options; /* criu.h */
struct restore;      /* restore.h */

/* What the user said on the command line. */
struct flow_options {
	const char *root;          /* --root, absolute */
	const char *id;
	const char *bundle;        /* absolute */
	const char *config;        /* name of the document: "config.json", or a path */
	const struct str *document; /* its text where the file is not it: in a further life of a container; else NULL */
	const char *console_socket, *pidfd_socket, *pid_file; /* absolute paths */
	enum cg_driver_kind driver;
	enum proc_rootless rootless;
	bool no_pivot, no_new_keyring, detach;
	unsigned preserve_fds;     /* with those of LISTEN_FDS */
	unsigned listen_fds;
	const char *notify_socket; /* $NOTIFY_SOCKET of ours */
	bool watch_oom;            /* run: the count of what the kernel kills may be gone with the container's end */
	int signals;               /* signalfd of foreground_begin(), or -1: not interruptible */
	/* exec */
	const struct oci_process *process;
	struct oci_strs sub_cgroups;
	bool ignore_paused;
	const struct criu_options *criu; /* restore */
};

/* One end of the conversation.  Messages are written and read whole: on the socket pair of create, and on the two
 * FIFOs that init shares with `start`.  After the seccomp filter is in place init may only read and write. */
struct flow_channel {
	int rd, wr;
};

struct step;

struct flow {
	const struct flow_options *o;
	enum flow_command command;
	enum flow_side side;

	struct arena arena;
	struct str document;               /* text of config.json */
	struct str given;                  /* as it was before extensions changed it; empty: they did not */
	struct oci_spec spec;              /* the final document */
	const struct oci_process *process; /* spec.process, or exec's */
	struct oci_state state;
	struct ext_uses exts;              /* extensions that this container uses */
	struct store_dir dir;              /* the container's state directory, locked */

	struct cg_host cg_host;
	struct cgroup *cg;
	struct cgroup *join_cg;            /* exec --cgroup: what is joined instead, or NULL */

	uint64_t new_ns, join_ns;          /* CLONE_NEW* flags: made, joined by path */
	uint64_t diff_ns;                  /* exec: differ from ours, joined through init's pidfd */
	bool cloned_into_cgroup;           /* CLONE_INTO_CGROUP worked */
	bool inner_fork;                   /* a second process is needed: see step fork-inner */
	int *ns_fds;                       /* one per spec.linux.namespaces entry with a path, else -1 */

	struct mount_wish *wishes;         /* one per spec.mounts entry */
	int *sources;                      /* detached trees, or -1 */
	struct rlimit files;               /* the caller's RLIMIT_NOFILE where so many sources needed more; else 0 */
	struct cg_view *views;
	size_t n_views;
	int *view_fds;
	int userns_fd;                     /* for idmap without mappings of its own, or -1 */
	int notify_dir;                    /* detached tree of the notify directory, or -1 */
	int notify_fd;                     /* our socket in it; closed in init */
	bool notify;                       /* the container has a NOTIFY_SOCKET */

	struct seccomp_program seccomp;

	int procfs;                        /* of this side, lazily: flow_procfs() */
	pid_t pid;                         /* init, or exec's process */
	int pidfd;
	int dumpable;                      /* what the host side was before the clone */
	int oom_watch;                     /* with o->watch_oom, from before the payload runs; or -1 */
	int oom_fd;                        /* our own oom_score_adj while init is to inherit it, or -1 */
	int64_t oom_was;
	int netns;                         /* of init, while devices that were given to it may have to come back */
	pid_t middle;                      /* to be reaped after fork-inner */
	int init_pidfd;                    /* exec: the container's init */
	struct flow_channel peer;
	int start_fd, result_fd;           /* init's ends of the start channel */
	int root_fd;                       /* in init */
	int tty_master;                    /* host side, foreground */
	int listener;                      /* a number in init: on the host side it is not ours */
	char **envp;                       /* of the payload */
	const char *exec_path;             /* found by the lookup */
	uint64_t missing_caps;             /* asked for, but not ours to give: a warning */

	struct restore *restore;           /* restore */

	bool *done;                        /* per row */
	size_t cursor;
};

enum step_flags { STEP_SYNC = 1 << 8 };

struct step {
	const char *name;
	enum flow_side side;
	unsigned flags;                    /* FLOW_* commands | STEP_SYNC */
	const char *label;                 /* words put before an error, or NULL */
	bool (*when)(const struct flow *f);
	int (*run)(struct flow *f, struct err *e);
	void (*undo)(struct flow *f);      /* host side, idempotent, cannot fail */
	const char *why;                   /* the reason for its place in the order */
};

extern const struct step flow_table[];
size_t flow_table_size(void);

/* Walk the table.  In the child this does not return: it becomes the payload or exits.  On failure everything done
 * is undone and *e tells why. */
int flow_run(struct flow *f, struct err *e);

/* A row that the command itself has not, in the middle of one of its own. */
int flow_row(struct flow *f, const char *name, struct err *e);

void flow_init(struct flow *f, const struct flow_options *o, enum flow_command command);
void flow_done(struct flow *f);
#define cleanup_flow __attribute__((cleanup(flow_done)))

/* The container is dead, and this process makes the next: what it had of the host comes back, and so does what was changed
 * in us for it. */
void flow_take_back(struct flow *f);

/* The document before extensions changed it. */
const struct str *flow_given(const struct flow *f);

/* init lets go of what is the host's as soon as it has used it: no descriptor that leads out may be there when somebody
 * inside could look (CVE-2024-21626). */
void flow_close_cgroups(struct flow *f);
void flow_close_sources(struct flow *f);

int flow_procfs(struct flow *f, struct err *e); /* the handle of this side */

/* Print the table as text (docs/architecture.md has a copy, a test compares them). */
int flow_print_steps(struct str *ret);

/* The document as it has become: its text; and the same kept in the state directory. */
int flow_write_document(struct flow *f, struct err *e);
int flow_keep_document(struct flow *f, struct err *e);

/* Of a row that failed (r) in a container that has been let go elsewhere: it is told, and the container runs on. */
int flow_told(const struct flow *f, int r, const struct err *e);


int flow_userns(struct flow *f, struct err *e);           /* one with the container's maps, until flow_close_sources() */
int flow_give_stdio(uid_t uid, struct err *e);              /* the standard streams, to the payload's user */
void flow_replace_own_null(int fd);                       /* a standard stream that a container gets and must not be the host's device */
int flow_take_tty(struct flow *f, int fd, struct err *e); /* the terminal's master goes to whoever is to have it; takes fd */
void flow_close_namespaces(struct flow *f);               /* the descriptors of those joined by path */
void flow_restore_done(struct flow *f);
const char *flow_restored_stream(const struct flow *f, int fd); /* NULL: it is none of ours */

/* Conditions and helpers shared by the step files. */
bool flow_has_userns(const struct flow *f);
bool flow_new_mount_ns(const struct flow *f);
int flow_choose_cgroup(struct flow *f, struct err *e); /* once; later calls do nothing */
bool flow_unit_first(const struct flow *f); /* init goes nowhere before its unit is known to systemd */
int flow_rootfs(struct flow *f, const char **ret, struct err *e); /* the document's root as an absolute path */
bool flow_keeps_groups(const struct flow *f); /* the caller's additional groups, by annotation */
const struct oci_linux *flow_linux(const struct flow *f); /* never NULL */
