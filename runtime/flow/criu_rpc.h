/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* `criu swrk`: a CRIU that serves one request over a socket pair.  The only place that knows CRIU's protocol and protobuf-c,
 * which is opened on first use.
 *
 * A process is made first and waits (criu_clone()): it can be put into a cgroup and recorded meanwhile.  criu_exec() lets it
 * become CRIU; then come the questions, and one request.  criu_close() ends it, wherever it is. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/base/err.h"

/* The numbers of the descriptors that it is given. */
#define CRIU_IMAGES 4
#define CRIU_WORK 5
#define CRIU_FDS 6 /* the first of the others */

/* The oldest that is known to do what we ask: its notifications tell of status-ready and it knows pid namespaces by path. */
#define CRIU_VERSION_MIN 31500
#define CRIU_TAKES_LSM 31600 /* --lsm-profile, --lsm-mount-context */
#define CRIU_SKIPS_LOCK 31900 /* --network-lock skip */
#define CRIU_FINDS_LOCK 40100 /* --network-lock nftables: until then named after a pid, which is another one after the restore */
#define CRIU_KEEPS_NNP 31900 /* no_new_privs */

struct criu {
	pid_t pid;   /* 0: none */
	int pidfd, sock;
	int failed;  /* how the child tells what it met before CRIU */
	int version; /* 40101: 4.1.1; 0: not asked yet */
	bool refused; /* what failed is what the listener or a signal refused: CRIU has nothing to add */
	bool serves;  /* it has told of the listener's `last` */
};

#define CRIU_NONE ((struct criu){ .pidfd = -1, .sock = -1, .failed = -1 })

struct criu_child {
	int cgroup_fd;             /* CLONE_INTO_CGROUP, or -1 */
	int images_fd, work_fd;    /* -1: none, for questions alone */
	const int *fds;            /* what it has as CRIU_FDS and up */
	size_t n_fds;
	int (*prepare)(struct criu_child *child, void *arg, struct err *e); /* in the child, before CRIU; or NULL */
	void *arg;
};

int criu_clone(struct criu *c, struct criu_child *child, struct err *e);
int criu_exec(struct criu *c, struct err *e);
void criu_close(struct criu *c);
#define cleanup_criu __attribute__((cleanup(criu_close)))

/* Its program, where PATH has it, or root's. */
bool criu_find(char *buf, size_t size);

/* Which CRIU it is; one that is too old is an error that says which is not. */
int criu_check_version(struct criu *c, struct err *e);

struct criu_features {
	bool mem_track, lazy_pages;
};

/* It tries them out; one that cannot run on this kernel is an error that says which can. */
int criu_ask_features(struct criu *c, struct criu_features *ret, struct err *e);

/* Both of a CRIU of its own: its version, or 0 where there is none or it cannot run, and *e says why. */
int criu_here(struct criu_features *ret, struct err *e);

enum criu_task { CRIU_DUMP, CRIU_PRE_DUMP, CRIU_RESTORE };

/* The values of its protocol. */
enum criu_cgroups { CRIU_CGROUPS_IGNORE = 0, CRIU_CGROUPS_SOFT = 3, CRIU_CGROUPS_FULL = 4, CRIU_CGROUPS_STRICT = 5 };
enum criu_lock { CRIU_LOCK_DEFAULT = 0, CRIU_LOCK_IPTABLES = 1, CRIU_LOCK_NFTABLES = 2, CRIU_LOCK_SKIP = 3 };

struct criu_pair {
	const char *key, *value;
};

struct criu_pairs {
	struct criu_pair *v;
	size_t n;
};

struct criu_inherited {
	const char *key;
	int fd; /* of CRIU's process */
};

struct criu_request {
	enum criu_task task;
	pid_t pid;
	const char *log_file, *config_file, *root, *parent, *freeze_cgroup, *lsm_profile, *lsm_mount_context;
	const char *page_server; /* its address, or NULL */
	uint16_t port;
	bool leave_running, ext_unix_sk, tcp_established, tcp_skip_in_flight, tcp_close, shell_job, file_locks, link_remap,
		auto_dedup, lazy_pages, track_mem, empty_network;
	bool terminal;                  /* one of the container's own, whose master is handed over: "orphan-pts-master" */
	enum criu_cgroups cgroups;
	enum criu_lock lock;
	struct criu_pairs mounts;       /* where in the container, the name or path of what is outside */
	struct criu_pairs cgroup_roots; /* controllers, directory */
	struct criu_pairs join;         /* type, path */
	struct oci_strs external;
	struct criu_inherited *inherit;
	size_t n_inherit;
};

struct criu_event {
	const char *script; /* "post-dump", "setup-namespaces", ... */
	pid_t pid;          /* of the restored process 1, where it is told; else 0 */
	int fd;             /* "orphan-pts-master": the terminal, to be taken (fd_take()); else -1 */
};

struct criu_listener {
	int (*event)(void *arg, struct criu_event *ev, struct err *e); /* a failure makes CRIU give up and undo */
	int (*answered)(void *arg, const struct criu_event *ev, struct err *e); /* when it was told whether to go on; or NULL */
	void *arg;
	int signals; /* signalfd of foreground_begin(), or -1 */
	const char *last; /* the event behind which it asks no more and may wait for ever: a signal then kills it; or NULL */
	const int *gone;    /* readable: who it is done for has gone, and what CRIU waits for may never come; or NULL */
	const int *process; /* pidfd of process 1 of what is restored, -1 until it is known; or NULL */
};

/* *ret_pid: of the restored process 1, which is our child.  The error is the listener's, or (not c->refused) CRIU's, whose log says
 * more. */
int criu_do(struct criu *c, const struct criu_request *r, const struct criu_listener *l, pid_t *ret_pid, struct err *e);

/* "4.1.1" */
const char *criu_version_text(int version, char *buf, size_t size);
