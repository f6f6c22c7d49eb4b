// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>

#include "oci/check_rules.h"
#include "oci/names.h"

static bool carries_errno(int64_t action)
{
	return action == OCI_ACT_ERRNO || action == OCI_ACT_TRACE;
}

static bool names_write(const struct oci_seccomp_rule *rule)
{
	for (size_t i = 0; i < rule->names.n; i++)
		if (strcmp(rule->names.v[i], "write") == 0)
			return true;
	return false;
}

static int check_rule(const struct oci_seccomp_rule *rule, const char *p, size_t i, struct err *e)
{
	if (rule->names.n == 0)
		return bad(e, "%s/syscalls/%zu/names: must not be empty", p, i);
	if (rule->errno_ret.set && !carries_errno(rule->action))
		return bad(e, "%s/syscalls/%zu/errnoRet: action %s takes no errno", p, i,
			   names_word(&names_seccomp_actions, rule->action));
	/* The filter is in force before exec: init itself still writes then, and nobody would answer. */
	if (rule->action == OCI_ACT_NOTIFY && names_write(rule))
		return bad(e, "%s/syscalls/%zu: SCMP_ACT_NOTIFY cannot be used for the write syscall", p, i);
	for (size_t n = 0; n < rule->args.n; n++)
		if (rule->args.v[n].index > 5)
			return bad(e, "%s/syscalls/%zu/args/%zu/index: must be 0 to 5", p, i, n);
	return 0;
}

static bool notifies(const struct oci_seccomp *s)
{
	for (size_t i = 0; i < s->syscalls.n; i++)
		if (s->syscalls.v[i].action == OCI_ACT_NOTIFY)
			return true;
	return false;
}

static int check_listener(const struct oci_seccomp *s, const char *p, struct err *e)
{
	const bool path = s->listener_path && *s->listener_path;

	if (s->default_action == OCI_ACT_NOTIFY)
		return bad(e, "%s/defaultAction: SCMP_ACT_NOTIFY cannot be the default", p);
	if (notifies(s) && !path)
		return bad(e, "%s/listenerPath: required by the action SCMP_ACT_NOTIFY", p);
	if (path && !check_is_absolute(s->listener_path))
		return bad(e, "%s/listenerPath: path '%.200s' is not absolute", p, s->listener_path);
	if (!path && s->listener_metadata && *s->listener_metadata)
		return bad(e, "%s/listenerMetadata: without a listenerPath", p);
	return 0;
}

int check_seccomp(const struct oci_seccomp *s, const char *p, struct err *e)
{
	int64_t arch;

	if (s->default_errno_ret.set && !carries_errno(s->default_action))
		return bad(e, "%s/defaultErrnoRet: action %s takes no errno", p,
			   names_word(&names_seccomp_actions, s->default_action));
	for (size_t i = 0; i < s->architectures.n; i++)
		if (names_value(&names_seccomp_archs, s->architectures.v[i], &arch) < 0)
			return bad(e, "%s/architectures/%zu: unknown value '%.80s'", p, i, s->architectures.v[i]);
	for (size_t i = 0; i < s->syscalls.n; i++)
		if (check_rule(&s->syscalls.v[i], p, i, e) < 0)
			return err_ret(e);
	return check_listener(s, p, e);
}
