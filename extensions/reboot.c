// SPDX-License-Identifier: LGPL-2.1-or-later

/* reboot, ALLOWREBOOT of OpenVZ: a container in the foreground that reboots is started again by the `run` that waits for it. */

#include <linux/sched.h>
#include <string.h>

#include "extensions/registry.h"
#include "extensions/values.h"

enum mode { REBOOT_UNSET, REBOOT_ON, REBOOT_OFF };

static const char *const words[] = { [REBOOT_UNSET] = "", [REBOOT_ON] = "on", [REBOOT_OFF] = "off", NULL };

struct reboot {
	unsigned mode; /* enum mode */
};

VALUE_CHOICE(value_mode, words, "on|off")

static const struct ext_row rows[] = {
	{ .name = "reboot", .offset = EXT_MEMBER(struct reboot, mode), .value = &value_mode,
	  .help = "A container that reboots is started again by the run that waits for it",
	  .doc = "Of the document that it was made of, with the settings and limits that are in force; for reboot(2) it needs a pid "
		 "namespace of its own and CAP_SYS_BOOT. After a life of less than 10 seconds there is a pause, 0.1 seconds at first "
		 "and 5 at most." },
	EXT_ROWS_END,
};

/* In another's pid namespace it cannot be told from a signal. */
static int validate(const struct ext_env *env, void *config, struct err *e)
{
	const struct reboot *c = config;

	(void)e;
	if (c->mode == REBOOT_ON && env->spec && !env->again && !oci_namespace_new(env->spec, CLONE_NEWPID))
		ext_warn(env, "reboot", "means nothing without a pid namespace of its own in /linux/namespaces");
	return 0;
}

static bool again(const struct ext_env *env, const void *config, const char *reboot)
{
	const struct reboot *c = config;

	(void)env;
	return c->mode == REBOOT_ON && strcmp(reboot, "restart") == 0;
}

const struct ext ext_reboot = {
	.name = "reboot",
	.rows = rows,
	.config_size = sizeof(struct reboot),
	.validate = validate,
	.again = again,
};
