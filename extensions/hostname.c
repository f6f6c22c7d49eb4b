// SPDX-License-Identifier: LGPL-2.1-or-later

/* hostname: the document's field at creation, and the living container's UTS namespace by `set`. */

#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "extensions/registry.h"
#include "extensions/values.h"
#include "oci/rows.h"
#include "runtime/linux/ns.h"

#define NAME_MAX_LEN 64 /* the kernel's __NEW_UTS_LEN */

struct hostname {
	const char *name;
};

struct hostname_saved {
	const char *first; /* what it was before the first `set`, where no annotation said it */
};

static int parse(const char *text, void *member, struct arena *a, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	const char **name = member;
	size_t len = strlen(text);

	if (len == 0 || len > NAME_MAX_LEN)
		return err_set(e, ERR_CONFIG, 0, "not 1 to %d bytes", NAME_MAX_LEN);
	if (strspn(text, allowed) != len || *text == '-' || *text == '.')
		return err_set(e, ERR_CONFIG, 0, "not a host name: letters, digits, '-', '.' and '_', neither of '-' and '.' first");
	*name = arena_strdup(a, text);
	return *name ? 0 : err_oom(e);
}

static const struct ext_value value_name = { "NAME", parse, value_print_text };

static const struct ext_row rows[] = {
	{ .name = "hostname", .offset = EXT_MEMBER(struct hostname, name), .value = &value_name,
	  .help = "Name of the host inside",
	  .doc = "At creation it becomes the document's hostname, which must not be another. No file is written." },
	EXT_ROWS_END,
};

static const struct oci_field hostname_saved_fields[] = {
	STR(struct hostname_saved, first, "first"),
	ROW_END
};
static TABLE(hostname_saved);

static int prepare(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct hostname *c = config;
	const char **theirs = &env->spec->hostname;

	(void)saved;
	if (!c->name)
		return 0;
	if (!oci_namespace(env->spec, CLONE_NEWUTS))
		return ext_refuse(env, e, "hostname", "needs a uts namespace in /linux/namespaces");
	if (!env->again && *theirs && **theirs && strcmp(*theirs, c->name) != 0)
		return ext_refuse(env, e, "hostname", "is %s, where /hostname has %.64s (leave one of the two out)", c->name,
				  *theirs);
	*theirs = c->name;
	return 0;
}

struct names {
	char now[NAME_MAX_LEN + 1], was[NAME_MAX_LEN + 1];
};

static int rename_inside(void *arg, struct err *e)
{
	struct names *n = arg;
	struct utsname u;

	if (uname(&u) < 0)
		return err_sys(e, "uname");
	snprintf(n->was, sizeof n->was, "%s", u.nodename);
	return ns_hostname(n->now, NULL, e);
}

/* Without an annotation before, putting it back means the name that was found. */
static int update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	const struct hostname *before = was, *c = now;
	struct hostname_saved *s = saved;
	const char *name = c->name ? c->name : s->first;
	struct names n = { 0 };

	if (!name)
		return 0;
	snprintf(n.now, sizeof n.now, "%s", name);
	if (ns_call(env->pid, env->pidfd, CLONE_NEWUTS, rename_inside, &n, sizeof n, e) < 0)
		return err_ret(e);
	if (before->name || s->first)
		return 0;
	s->first = arena_strdup(env->arena, n.was);
	return s->first ? 0 : err_oom(e);
}

const struct ext ext_hostname = {
	.name = "hostname",
	.rows = rows,
	.config_size = sizeof(struct hostname),
	.saved = &hostname_saved_type,
	.apply = { [EXT_PREPARE] = prepare },
	.update = update,
};
