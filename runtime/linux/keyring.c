// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/linux/creds.h"

/* Key permissions are four bytes: possessor, user, group, other; 8 is "search" (keyrings(7)). */
#define KEY_USER_SEARCH	 0x80000UL
#define KEY_OTHER_SEARCH 0x8UL

/* KEYCTL_DESCRIBE gives "type;uid;gid;perm;description" with perm in hexadecimal. */
static int read_permissions(unsigned long key, unsigned long *ret, struct err *e)
{
	char text[512];
	unsigned perm;
	long n = sys_keyctl(KEYCTL_DESCRIBE, key, (unsigned long)text, sizeof text - 1, 0);

	if (n < 0)
		return err_sys(e, "describe the session keyring");
	text[(size_t)n < sizeof text ? (size_t)n : sizeof text - 1] = '\0';
	if (sscanf(text, "%*[^;];%*d;%*d;%8x", &perm) != 1)
		return err_set(e, ERR_KERNEL, EPROTO, "describe the session keyring");
	*ret = perm;
	return 0;
}

int keyring_join(const char *id, bool in_userns, struct err *e)
{
	cleanup_str struct str name = {0};
	unsigned long perm;
	long key;
	int r;

	if (id)
		str_addf(&name, "_ses.%s", id);
	if (str_failed(&name))
		return err_oom(e);
	key = sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, id ? (unsigned long)str_cstr(&name) : 0, 0, 0, 0);
	if (key < 0 && errno == ENOSYS)
		return 0; /* a kernel without keys has no session keyring to leak either */
	if (key < 0)
		return err_sys(e, "join session keyring %s", str_cstr(&name));
	if (!id)
		return 0; /* whoever inherits it has all rights */
	if (key == 0) /* the kernel's answer when we are in it already */
		key = KEY_SPEC_SESSION_KEYRING;
	r = read_permissions((unsigned long)key, &perm, e);
	if (r < 0)
		return r;
	/* The keyring belongs to the uid of now; the payload's, which is "other" inside a user
	 * namespace, must find it. */
	perm |= in_userns ? KEY_OTHER_SEARCH : KEY_USER_SEARCH;
	if (sys_keyctl(KEYCTL_SETPERM, (unsigned long)key, perm, 0, 0) < 0)
		return err_sys(e, "set the permissions of session keyring %s", str_cstr(&name));
	return 0;
}
