// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#include "oci/check_rules.h"
#include "runtime/base/str.h"

/* Only what belongs to a namespace of the container may be set: everything else is the host's.  `prefix` is a
 * name, or begins one when it ends with a dot. */
static const struct {
	const char *prefix, *ns;
	int64_t type;
} owners[] = {
	{ "kernel.msgmax", "ipc", CLONE_NEWIPC },
	{ "kernel.msgmnb", "ipc", CLONE_NEWIPC },
	{ "kernel.msgmni", "ipc", CLONE_NEWIPC },
	{ "kernel.sem", "ipc", CLONE_NEWIPC },
	{ "kernel.shmall", "ipc", CLONE_NEWIPC },
	{ "kernel.shmmax", "ipc", CLONE_NEWIPC },
	{ "kernel.shmmni", "ipc", CLONE_NEWIPC },
	{ "kernel.shm_rmid_forced", "ipc", CLONE_NEWIPC },
	{ "fs.mqueue.", "ipc", CLONE_NEWIPC },
	{ "kernel.domainname", "uts", CLONE_NEWUTS },
	{ "kernel.hostname", "uts", CLONE_NEWUTS },
	{ "net.", "network", CLONE_NEWNET },
	{ "user.", "user", CLONE_NEWUSER },
};

#define KEY_MAX 256

/* sysctl(8): the first separator decides; with "/" first, a "." belongs to the name (an interface's).  Returns
 * the name with "." between its parts, and "/" for a dot inside one. */
static bool normalise(const char *key, char *buf)
{
	const char *first = key + strcspn(key, "./");
	size_t i;

	if (strlen(key) >= KEY_MAX)
		return false;
	for (i = 0; key[i]; i++) {
		buf[i] = key[i];
		if (*first == '/' && (key[i] == '/' || key[i] == '.'))
			buf[i] = key[i] == '/' ? '.' : '/';
	}
	buf[i] = '\0';
	return true;
}

/* Every part becomes a component of a path below /proc/sys: none may be empty or lead elsewhere. */
static bool parts_fit(const char *name)
{
	size_t parts = 0;

	for (;; parts++) {
		size_t len = strcspn(name, ".");

		if (len == 0 || (len == 2 && memcmp(name, "//", 2) == 0) || (len == 1 && *name == '/'))
			return false;
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
				return false;
		if (!name[len])
			return parts > 0;
		name += len + 1;
	}
}

static int check_owner(const struct oci_spec *spec, const char *p, const char *key, const char *name, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		const char *prefix = owners[i].prefix;

		if (str_ends(prefix, ".") ? !str_starts(name, prefix) : strcmp(name, prefix) != 0)
			continue;
		if (!check_has_ns(spec, owners[i].type))
			return bad(e, "%s: sysctl '%.80s' needs namespace '%s' in /linux/namespaces", p, key,
				   owners[i].ns);
		return 0;
	}
	return bad(e, "%s: sysctl '%.80s' is not in a separate kernel namespace", p, key);
}

static int check_sysctl(const struct oci_spec *spec, const char *p, const char *key, struct err *e)
{
	char name[KEY_MAX];

	if (!normalise(key, name) || !parts_fit(name))
		return bad(e, "%s: malformed sysctl '%.80s'", p, key);
	if (strcmp(name, "kernel.hostname") == 0 && spec->hostname && *spec->hostname)
		return bad(e, "%s: sysctl '%s' conflicts with /hostname", p, key);
	if (strcmp(name, "kernel.domainname") == 0 && spec->domainname && *spec->domainname)
		return bad(e, "%s: sysctl '%s' conflicts with /domainname", p, key);
	return check_owner(spec, p, key, name, e);
}

int check_sysctls(const struct oci_spec *spec, const char *p, struct err *e)
{
	for (size_t i = 0; i < spec->linux->sysctl.n; i++)
		if (check_sysctl(spec, p, spec->linux->sysctl.v[i].key, e) < 0)
			return err_ret(e);
	return 0;
}
