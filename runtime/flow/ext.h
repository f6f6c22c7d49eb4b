/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Extensions: what goes beyond runc, behind tables.  This file is all that they know of the flow, and the flow knows none of
 * them by name: cli/ hands over the registry (extensions/registry.c).
 *
 * A row of an extension's table is a key: annotation org.openvz.NAME of the document, option --NAME of `vzrun set`, a line of
 * docs/annotations.md, vzrun.8 and `features`.  Its present value is kept as an annotation of the container's record, in the
 * words of its user.  A key that means the same as a field of linux.resources is `native`: it becomes a change of
 * resources, which goes through the one planner of limits, at creation as by `set`.
 *
 * Undo of a point is idempotent: it runs for a failed create, on delete, and on what a killed create left. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "oci/decode.h"
#include "oci/spec.h"
#include "oci/state.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/cgroup/cgroup.h"

#define EXT_PREFIX "org.openvz."

enum ext_point {
	EXT_PREPARE,      /* host; may change the document, which is checked afterwards.  Makes nothing: no record would name it */
	EXT_RECORDED,     /* host: the record stands, nothing else is made.  Takes what the host has of devices, and may add to the
			   * document what these turned out to be */
	EXT_CGROUP_READY, /* host: made and limited (under systemd: made), nobody in it */
	EXT_NS_READY,     /* host: all namespaces exist, init waits */
	EXT_ROOTFS_READY, /* init: mounts and devices are there, the root is not switched */
	EXT_BEFORE_START, /* host: start or run, before the payload goes */
	EXT_EXEC,         /* host: a further process, which waits */
	EXT_CHECKPOINT,   /* host: the container lives and may be stopped for good; may refuse */
	EXT_RESTORED,     /* host: all processes of a restored container are there; for what CRIU does not know of them */
	EXT_AFTER_STOP,   /* host: delete, the end of a foreground run */
	EXT_POINTS,
};

struct ext_wishes;

/* What a module may touch. */
struct ext_env {
	const char *id;                        /* NULL: in reclaim(), all that are no more */
	struct oci_spec *spec;                 /* PREPARE: may be changed; `set`: the kept one.  NULL or empty where none is at hand */
	const struct oci_resources *resources; /* in force; may be NULL */
	const struct cgroup *cg;               /* NULL: none */
	const char *rootfs, *bundle;           /* the host's paths */
	const char *store;                     /* --root: files in STORE/ID, which is there from CGROUP_READY on, go with the record */
	pid_t pid;                             /* init's or exec's, 0: none */
	int pidfd;                             /* of it, or -1 */
	int root_fd;                           /* ROOTFS_READY: the new root, else -1 */
	bool option;                           /* values came as options: errors say --NAME */
	bool again;                            /* at the creation of a further life: settings are newer than the document */
	const struct ext_wishes *wishes;       /* these options; NULL at creation */
	const struct oci_state_exts *kept;     /* what the record has of extensions; NULL: nothing yet */
	const struct oci_state_exts *before;   /* what a former life kept, of a container that is restored; else NULL */
	void *saved;                           /* of the one that is called: in validate and native, which have no parameter */
	struct arena *arena;
	/* In update(): device rules that hold from now on; in the cgroup, in env->resources and in the record, or nowhere.
	 * NULL elsewhere: at creation they are resources of the document. */
	int (*set_devices)(struct ext_env *env, const struct oci_device_rules *rules, struct err *e);
};

/* How the text of a value becomes a member and back.  `parse` says what is wrong, not where: the engine puts the place
 * before it.  `print` adds nothing for a member that is not set. */
struct ext_value {
	const char *word; /* for --help: "PERCENT|MHZ" */
	int (*parse)(const char *text, void *member, struct arena *a, struct err *e);
	void (*print)(const void *member, struct str *out);
};

enum ext_kind {
	EXT_VALUE,
	EXT_LIST, /* struct oci_strs: words in one text; options --NAME, --NAME-add, --NAME-del.  parse and print see one word */
};

enum ext_flags {
	EXT_COLD = 1 << 0,  /* not on a living container */
	EXT_INERT = 1 << 1, /* accepted, kept, shown, and reported as not enforced */
	EXT_GRANT = 1 << 2, /* gives rights: not from the annotations of a Kubernetes pod, which whoever may make pods chooses */
	EXT_NAMED = 1 << 3, /* a list's word speaks of what stands before its last ":", and replaces an earlier one that does so */
};

struct ext_row {
	const char *name;
	enum ext_kind kind;
	unsigned flags;
	size_t offset; /* in the extension's config */
	const struct ext_value *value;
	/* Fields below /linux/resources that it decides, separated by blanks: "cpu/quota cpu/period". */
	const char *native;
	const char *help;                                                                        /* one line */
	const char *doc;                                                                         /* more, for the reference, or NULL */
	const char *action;                                                                      /* a word that is done and not kept, or NULL */
};

struct ext {
	const char *name;           /* its file, log tag, key in the record */
	const struct ext_row *rows; /* ends with a row without a name */
	size_t config_size;
	const struct oci_type *saved; /* what it keeps in the record besides; or NULL */
	/* Its native fields depend on what others have made: a container that has settings of it is asked again at every
	 * `set`, after the updates of those before it. */
	bool follows;
	/* Against this machine, before anything is done. */
	int (*validate)(const struct ext_env *env, void *config, struct err *e);
	/* Members of `changes` for what the config sets.  The env's resources are those that the rest of it comes from.  Of a
	 * field that is a list only elements are given; whether the document has another for the same thing only validate
	 * can know. */
	int (*native)(const struct ext_env *env, const void *config, struct oci_resources *changes, struct err *e);
	/* The other way: what the resources in force are in the words of this extension. */
	void (*derive)(const struct ext_env *env, const struct oci_resources *r, void *config);
	int (*apply[EXT_POINTS])(struct ext_env *env, const void *config, void *saved, struct err *e);
	void (*undo[EXT_POINTS])(struct ext_env *env, const void *config, const void *saved);
	/* On a living container: what is not native.  Called again with the two exchanged when a later one refuses. */
	int (*update)(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e);
	/* Gives back what of the host a container still has that is no more: env->id, or NULL: whichever.  After the undo of all
	 * points, also where the record tells of no setting: a killed command may have come no further. */
	int (*reclaim)(struct ext_env *env, struct err *e);
	int (*act)(struct ext_env *env, const char *name, const char *word, const void *config, void *saved, struct err *e);
	/* Whether a container in the foreground that ended by reboot(2), "restart" or "halt", is to be started again. */
	bool (*again)(const struct ext_env *env, const void *config, const char *reboot);
};

#define EXT_ROWS_END { .name = NULL }
#define EXT_MEMBER(T, m) offsetof(T, m)

/* ---- for extensions ---- */

/* "/annotations/org.openvz.KEY: ..." or "--KEY: ...". */
int ext_refuse(const struct ext_env *env, struct err *e, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void ext_warn(const struct ext_env *env, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What `ext` kept in the container's former life, in its `saved` type; NULL: there was none, or nothing of it. */
int ext_before(const struct ext_env *env, const struct ext *ext, void **ret, struct err *e);

/* Whether `set` was asked for this key. */
bool ext_wished(const struct ext_env *env, const char *key);
/* At creation everything is new; later only what was asked for is worth a word. */
bool ext_is_new(const struct ext_env *env, const char *key);

/* Whether this container has come to its end, or is not there at all. */
bool ext_has_ended(const char *root, const char *id);

/* ---- for the flow ---- */

void ext_register(const struct ext *const *list); /* ends with NULL; once, before anything else */
const struct ext *const *ext_registry(void);

struct ext_use { /* an extension that this container has settings or saved state of */
	const struct ext *ext;
	void *config, *saved;
};

struct ext_uses {
	struct ext_use *v;
	size_t n;
};

/* From annotations and saved state.  Unknown keys below the prefix are warned of (`warn`), with the nearest known one. */
int ext_read(const struct oci_map *annotations, const struct oci_state_exts *saved, bool warn, struct ext_uses *ret,
	     struct arena *a, struct err *e);
bool ext_any(const struct oci_map *annotations);

/* Keys that pods may have though they give rights: one a line, in a file of the host's administrator. */
#define EXT_POD_KEYS "/etc/vzrun/pod-annotations"
int ext_check_pod(const struct oci_map *annotations, const char *allowed, struct err *e);

int ext_validate(const struct ext_uses *uses, const struct ext_env *env, struct err *e);
/* validate, the native changes merged into env->spec, PREPARE. */
int ext_prepare(const struct ext_uses *uses, struct ext_env *env, struct err *e);
bool ext_acts(const struct ext_uses *uses, enum ext_point point);
/* All of them; on failure those that are done are undone. */
int ext_run(const struct ext_uses *uses, enum ext_point point, struct ext_env *env, struct err *e);
void ext_undo(const struct ext_uses *uses, enum ext_point point, struct ext_env *env);
/* What they keep, as the record has it; in the arena. */
int ext_saved(const struct ext_uses *uses, struct oci_state_exts *ret, struct arena *a, struct err *e);

/* Whether one of them wants a container started again that ended so. */
bool ext_again(const struct ext_uses *uses, const struct ext_env *env, const char *reboot);

/* The container is no more: undoes every point, then AFTER_STOP.  Failures are warnings. */
void ext_end(struct ext_env *env, const struct oci_state *state);

/* The same without a record, and (no id) of all containers that have ended. */
int ext_reclaim(struct ext_env *env, struct err *e);

/* One wish of `vzrun set`. */
enum ext_verb { EXT_SET, EXT_ADD, EXT_DEL };

struct ext_wish {
	const struct ext *ext;
	const struct ext_row *row;
	enum ext_verb verb;
	const char *text;
};

struct ext_wishes {
	struct ext_wish *v;
	size_t n;
};

/* The row behind --NAME, --NAME-add, --NAME-del; false: none. */
bool ext_find_option(const char *name, size_t len, struct ext_wish *ret);
/* The annotations as they would be after the wishes, each value checked and in its canonical form. */
int ext_wish(const struct oci_map *annotations, const struct ext_wishes *wishes, struct oci_map *ret, struct arena *a,
	     struct err *e);

/* All members of `changes` that the settings mean. */
int ext_native(const struct ext_uses *uses, const struct ext_env *env, struct oci_resources *changes, struct err *e);

/* The env's resources without what settings have put into lists: in a further life it may be other devices that they
 * mean. */
int ext_without_elements(const struct ext_uses *uses, const struct ext_env *env, struct oci_resources *ret, struct err *e);

/* The annotations without settings whose native field was changed otherwise (`vzrun update`): the field is the truth.
 * Shown is besides what native fields without a setting are in the words of the extensions. */
int ext_present(const struct oci_map *annotations, const struct ext_env *env, struct oci_map *ret, struct err *e);
int ext_shown(const struct oci_map *annotations, const struct ext_env *env, struct oci_map *ret, struct err *e);

/* The canonical text of a row's member; nothing when it is not set. */
void ext_print(const struct ext_row *row, void *config, struct str *out);

/* The text of a key, NULL: not set; replaced or added. */
const char *ext_setting(const struct oci_map *map, const char *name);
int ext_put_setting(struct oci_map *map, const char *name, const char *text, struct arena *a, struct err *e);

/* The native fields of a row as "cpu/quota=25000 cpu/period=100000"; "" where it has none or they are not set. */
int ext_native_text(const struct ext_row *row, const struct oci_resources *r, struct str *out, struct arena *a,
		    struct err *e);

/* The reference of all keys: Markdown, or the rows of the man page. */
void ext_print_reference(struct str *out);
void ext_print_man(struct str *out);
