/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The payload of the conformance suite: it runs inside a container and compares what the kernel tells it with the
 * document that the container was started from.
 *
 * It shares no code with the runtime: documents are read with yajl's own tree parser.  A reader, a decode table or a
 * list of names that is wrong would be wrong on both sides otherwise, and nobody would notice.
 *
 * What only the host can know (inodes of the runtime's namespaces and of bind sources, the runtime's umask, ...) is
 * in a second document, the facts.  Each comparison is a line, "ok GROUP: WHAT" or "not ok GROUP: WHAT: is ...,
 * expected ...". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yajl/yajl_tree.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

extern yajl_val spec, facts;

/* Values at a path of keys, "process.user.uid"; NULL, or the default, when there is none. */
yajl_val at(yajl_val from, const char *path);
const char *string_at(yajl_val from, const char *path, const char *otherwise);
long long number_at(yajl_val from, const char *path, long long otherwise);
bool true_at(yajl_val from, const char *path);

const char *text_of(yajl_val v);                         /* "" when it is no string */

struct list { yajl_val *v; size_t n; };
struct list list_at(yajl_val from, const char *path);    /* of an array */
struct list strings_of(yajl_val v);
bool has_string(yajl_val array, const char *s);
unsigned long long unsigned_of(yajl_val v);              /* also above INT64_MAX, which yajl keeps as text */

/* Comparisons. */
void check(bool good, const char *group, const char *fmt, ...) PRINTF(3, 4);
void check_number(const char *group, const char *what, long long is, long long want);
void check_string(const char *group, const char *what, const char *is, const char *want);

/* The text of a small file without the newline at its end; NULL when it cannot be read.  In a static buffer. */
const char *read_text(const char *path);
const char *status_field(const char *name);              /* of /proc/self/status, e.g. "CapEff" */

bool has_new_ns(const char *type);
bool has_ns(const char *type);

/* mountinfo */
struct mount {
	long long id, parent;
	char *root, *target, *flags, *tags, *fs, *source, *super;
};
size_t mounts_read(struct mount **ret);
const struct mount *mount_at(const char *path);          /* what is visible there, when it is a mount point */
bool has_word(const char *comma_list, const char *word);

void check_process(int argc, char **argv, char **envp);
void check_user(void);
void check_attributes(void);
void check_mounts(void);
void check_root(void);
void check_paths(void);
void check_namespaces(void);
void check_uts(void);
void check_devices(void);
void check_device_rules(void);
void check_sysctl(void);
void check_cgroup(void);
void check_seccomp(void);
