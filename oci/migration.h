/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What two vzruns tell each other about a container that is to move: JSON in the frames of runtime/migrate/wire.h.  Unknown keys are
 * ignored, so that a newer side can say more. */

#include "oci/decode.h"
#include "oci/spec.h"

#define MIGRATION_PROTOCOL 3
#define MIGRATION_OLDEST 3 /* that is understood */
#define MIGRATION_TOKEN 32 /* hexadecimal digits */

struct migration_hello {     /* both, first of all */
	int64_t protocol;    /* the newest that it speaks; the lower one of both is spoken */
	const char *vzrun;   /* version */
	const char *host;    /* which one it is: its machine id; NULL: it has none */
};

enum migration_rootfs { MIGRATION_COPY, MIGRATION_SHARED };

struct migration_offer {     /* the source: what would come */
	const char *token;   /* names this migration */
	const char *id;      /* there */
	const char *bundle;  /* there */
	int64_t rootfs;      /* enum migration_rootfs */
	const char *marker;  /* shared: a file that the source has just made in the bundle */
	const char *document;/* config.json, its text */
	const char *machine, *kernel;
	const char *cpu;     /* instruction sets, words */
	int64_t criu;
	const char *driver;  /* "cgroupfs", "systemd", "disabled" */
	const char *cgroups; /* "v1", "hybrid", "v2", "none" */
	bool compress;
	bool lazy;           /* memory comes when it runs there */
	uint64_t memory, files; /* bytes, about */
	struct oci_strs sources;    /* paths of the host that mounts come from */
	struct oci_strs namespaces; /* and namespaces */
};

struct migration_answer {    /* the target: what stands in the way; nothing: it waits for the rest */
	struct oci_strs problems;
	struct oci_strs doubts; /* what does not, but may be the reason if it fails */
};

struct migration_restore {   /* the source: all is there, restore and wait for the word */
	const char *images;  /* which of the directories that were sent */
	bool tcp_established, file_locks, ext_unix_sk, shell_job, lazy;
};

struct migration_question {  /* the source, later: what became of it? */
	const char *token, *id;
};

/* The target's record of a migration, and its answer to the question. */
enum migration_fate {
	MIGRATION_PENDING, MIGRATION_COMMITTED, MIGRATION_ABORTED, MIGRATION_UNKNOWN,
	MIGRATION_FETCHING, /* it runs, and not all of its memory is here */
	MIGRATION_LOST,     /* it ran, and was ended because the rest did not come */
};

struct migration_record {
	const char *token, *id;
	int64_t fate;
	int64_t pid;         /* of who restores, */
	uint64_t start_time; /* as in struct oci_state */
	const char *work;    /* and what it made: images, */
	const char *bundle;  /* files */
	const char *made;    /* which directory that is: one that is there later by the same name may be another */
	const char *created; /* of the container that runs and fetches: no other of its id is meant */
	bool ran;            /* whatever became of it since: it has been here, and its files are not the migration's any more */
};

extern const struct oci_type migration_hello_type, migration_offer_type, migration_answer_type, migration_restore_type,
	migration_question_type, migration_record_type;

int migration_parse(const struct oci_type *type, const char *text, size_t len, void *ret, struct arena *a, struct err *e);
