/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The runtime's own record of a container, <root>/<id>/state.json, and what `state` and `list` print of it.
 *
 * The record carries a format version.  A newer vzrun reads every older one; an older vzrun reads a newer one as far as it
 * can: unknown keys are ignored, nothing but `version` and `id` is required, so that a container can always be
 * listed, killed and deleted. */

#include "oci/decode.h"
#include "oci/spec.h"

#define OCI_STATE_VERSION 1

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };

struct cg_saved {            /* one cgroup directory of the container */
	const char *controllers; /* "cpu,cpuacct", "name=systemd"; v2: "" or the list */
	const char *dir;         /* absolute, on the host */
	bool v2;
	bool made;               /* by us: delete removes it */
};

struct cg_saved_list {
	struct cg_saved *v;
	size_t n;
};

struct oci_state_ext {
	const char *name; /* of the extension */
	const char *json; /* its saved state, an object */
};

struct oci_state_exts {
	struct oci_state_ext *v;
	size_t n;
};

struct oci_state_exit { /* how process 1 ended, where vzrun could know */
	int64_t status;     /* as $? of a shell: the exit status, or 128 + signal */
	const char *signal; /* "SIGKILL", or NULL */
	bool oom_killed;
	const char *reboot; /* "restart" or "halt": reboot(2) ended it; or NULL */
};

struct oci_state_rdt {
	const char *clos_id;
	bool made_clos, made_mon;
};

struct oci_state_migration { /* one that has not come to its end */
	bool undecided;          /* the container is frozen here, and perhaps runs there */
	bool switched;           /* post-copy: it did run there */
	int64_t pid;             /* of who moves it, */
	uint64_t start_time;     /* as in struct oci_state */
	const char *work;        /* directory of images that were not sent yet */
	const char *token;       /* by which the other side knows it */
	const char *host, *id;   /* where it went, and as what */
	const char *machine;     /* which one that was; NULL: it did not say */
	const char *root;        /* --root there; NULL: that host's own */
	struct oci_strs command; /* how that host is reached */
	bool remove;             /* the bundle goes when it turns out to run there */
	bool shared;             /* that host writes to the same files */
};

struct oci_state {
	int64_t version;
	const char *id;
	int64_t status;      /* enum oci_status as recorded; the real one also looks at the process */
	int64_t pid;         /* 0: none yet */
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	const char *oci_version, *bundle, *rootfs, *created, *owner;
	struct oci_map annotations;
	const char *cgroup_driver;   /* "cgroupfs", "systemd", "disabled" */
	const char *systemd_unit;
	bool systemd_user;           /* the unit is of a user's manager */
	struct cg_saved_list cgroups;
	struct oci_resources *resources; /* document's, merged with later updates; NULL: the document's */
	struct oci_state_rdt *intel_rdt;
	bool no_new_keyring;
	bool private_pid_ns;         /* process 1 of a pid namespace: killing it ends all */
	bool has_poststart, has_poststop;
	struct oci_strs streams;     /* what the standard streams are, in CRIU's words: "pipe:[1]", "file[2:3]"; "": not the host's */
	const char *config;          /* name of the kept document in the directory */
	struct oci_state_exts extensions;
	struct oci_state_exit *exit;
	struct oci_state_migration *migration; /* that has no known end */
	struct oci_map settings;     /* to print only: limits in the words of extensions */
};

extern const struct oci_custom oci_state_exts_member; /* of a struct oci_state_exts */
extern const struct oci_type oci_state_type;

int oci_state_parse(const char *text, size_t len, const char *what, struct oci_state *ret, struct arena *a,
		    struct err *e);

/* Append the public form: oci-contract 2.3, runc's key order, then what only vzrun tells (settings, limits in force, exit); `status` and `pid` are the present ones.  indent 0: one line
 * (list), 2: state. */
void oci_state_print(const struct oci_state *s, int64_t status, int64_t pid, unsigned indent, struct str *out);

/* The JSON that hooks get on stdin: compact, no "/" escaped; and seccomp agents' ContainerProcessState. */
void oci_state_hook(const struct oci_state *s, const char *status, int64_t pid, struct str *out);
void oci_state_seccomp(const struct oci_state *s, const char *status, int64_t init_pid, int64_t pid, const char *metadata,
		       struct str *out);

const char *oci_status_name(int64_t status);
