/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What checkpoint and restore share: the options of the command line, the directories of images and logs, CRIU's own words in
 * an error, and the record that vzrun keeps beside its images (oci/image.h). */

#include <stdbool.h>
#include <stdint.h>

#include "oci/image.h"
#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/flow/criu_rpc.h"

/* As runc and crun name them; paths are absolute, but the parent's, which is relative to the images. */
struct criu_options {
	const char *images, *work, *parent;
	bool leave_running, tcp_established, tcp_skip_in_flight, tcp_close, link_remap, ext_unix_sk, shell_job, file_locks,
		lazy_pages, pre_dump, auto_dedup, empty_network, compress;
	int status_fd;                      /* -1: none */
	const char *page_server;            /* address, or NULL */
	uint16_t page_port;
	enum criu_cgroups cgroups;
	enum criu_lock lock;
	const char *lsm_profile, *lsm_mount_context; /* restore */
	struct oci_strs mount_map;                   /* restore: "DESTINATION=SOURCE" */
	int signals;                                 /* of foreground_begin(), or -1 */
	/* Dump: before CRIU is told anything.  Who is killed behind that, and before container_checkpoint() has returned, is followed by a
	 * process that calls `abandoned` when CRIU has ended, with what was in memory before `begin`. */
	int (*begin)(void *arg, struct err *e);
	void (*abandoned)(void *arg);
	/* Called when all is written (dump) or made (restore) and no process runs, nor hears its network; `criu`: a pidfd.  A failure lets
	 * a container that was dumped go on, and undoes one that was restored.  Behind it what a restore has still to do is told where
	 * it fails, and nothing is taken back for it. */
	int (*hold)(void *arg, int criu, struct err *e);
	/* Dump with lazy_pages: behind that, also where it failed, while CRIU (a pidfd) serves what it left out over the stream `pages`.
	 * The callee shuts down its end, by which CRIU ends. */
	int (*serve)(void *arg, int criu, struct err *e);
	void *hold_arg;
	const int *pages;                            /* its two ends, the callee's and CRIU's; NULL: it listens at page_server */
	const int *gone;                             /* of struct criu_listener */
	bool tried;                                  /* the caller knows that this CRIU can do all of it on this kernel */
};

struct criu_dirs {
	const char *images, *work; /* for error texts */
	int images_fd, work_fd;
};

#define CRIU_PAGES "pages-" /* how the names of files with memory begin */

#define CRIU_DIRS_NONE ((struct criu_dirs){ .images_fd = -1, .work_fd = -1 })

/* The work directory holds logs; it is the images' unless another is named.  Both are made (0700) for a checkpoint. */
int criu_open_dirs(const struct criu_options *o, bool make, struct criu_dirs *ret, struct err *e);
/* Whether images may be made by that name: nobody but root can put others there, or in the place of what is there of it. */
int criu_check_place(const char *dir, struct err *e);
void criu_close_dirs(struct criu_dirs *d);
#define cleanup_dirs __attribute__((cleanup(criu_close_dirs)))

/* What the command line says, as the request has it; the rest is the caller's. */
void criu_fill(const struct criu_options *o, const char *log, struct criu_request *ret);

/* What this CRIU cannot do. */
int criu_check_options(const struct criu_options *o, const struct criu *c, struct err *e);

/* The file whose settings go over ours: annotation org.criu.config ("": none), /etc/criu/runc.conf where that is there. */
const char *criu_config_file(const struct oci_map *annotations);

/* Of a failed criu_do(): that this CRIU cannot run on this kernel, where it is so, the error lines of its log, and where that is.  `tried`: it is known that it
 * can. */
int criu_explain(const struct criu *c, const struct criu_dirs *d, const char *log, bool tried, struct err *e);

/* Another file with what is in that one (NULL: none) and one setting more; its path is allocated. */
#define CRIU_CONFIG_MORE "criu.conf"
const char *criu_config_more(const struct criu_dirs *d, const char *config, const char *line, struct arena *a, struct err *e);

/* What CRIU knows the namespaces by that the document names by path: keys of `external` and `inherit`. */
#define CRIU_NETNS_KEY "extRootNetNS"
#define CRIU_PIDNS_KEY "extRootPidNS"

/* ---- the record ---- */

int criu_write_record(const struct criu_dirs *d, struct oci_image *image, struct arena *a, struct err *e);

/* Reads it and looks at all files, with those of the images that they are based on: nobody but us (or root) may have been able to
 * write them, and they are as they were written.  Another architecture is refused. */
int criu_read_record(const struct criu_dirs *d, struct oci_image *ret, struct arena *a, struct err *e);

/* What a checkpoint is to build on: the same of images that may be a pre-dump's, or of others than vzrun. */
int criu_check_base(const struct criu_dirs *d, struct err *e);
int criu_check_record(const struct oci_image *image, int version, struct err *e);

/* With CRIU_CGROUPS_IGNORE the cgroup namespace is made before CRIU is, and so not by the container's user namespace, which then can
 * mount no cgroups in it. */
int criu_check_no_cgroups(const struct oci_image *image, struct err *e);
bool criu_image_has_namespace(const struct oci_image *image, int64_t type);

/* descriptors.json, which runc's restore reads too. */
#define CRIU_DESCRIPTORS "descriptors.json"
int criu_write_descriptors(const struct criu_dirs *d, const struct oci_strs *stdio, struct err *e);
