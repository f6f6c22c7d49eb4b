// SPDX-License-Identifier: LGPL-2.1-or-later

/* kill, delete, pause, resume: short commands on an existing container. */

#include <signal.h>

#include "oci/names.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/container.h"
#include "runtime/migrate/migrate.h"

static int open_container(struct cli *c, enum store_lock lock, struct container *ret, struct err *e)
{
	int r = store_check_id(c->args.v[0], e);

	return r < 0 ? r : container_open(c->root, c->args.v[0], lock, ret, e);
}

static int run_kill(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	int sig = SIGTERM, r;

	if (c->args.n > 1 && names_signal(c->args.v[1], &sig) < 0)
		return err_set(e, ERR_USAGE, 0, "unknown signal \"%s\"", c->args.v[1]);
	r = open_container(c, STORE_LOOK, &box, e);
	return r < 0 ? r : container_kill(&box, sig, c->all, e);
}

static int run_delete(struct cli *c, struct err *e)
{
	int r = store_check_id(c->args.v[0], e);

	return r < 0 ? r : container_delete(c->root, c->args.v[0], c->force, e);
}

static int run_pause(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	int r = open_container(c, STORE_WAIT, &box, e);

	return r < 0 ? r : container_pause(&box, e);
}

static int run_resume(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	int r = open_container(c, STORE_WAIT, &box, e);

	return r < 0 ? r : container_resume(&box, e);
}

static int run_reconcile(struct cli *c, struct err *e)
{
	int r = container_reconcile(e);

	return r < 0 ? r : migrate_reconcile(c->root, e);
}

const struct command cmd_kill = {
	"kill", CMD_KILL, "ID [SIGNAL]", "send a signal to a container (default: TERM)", 1, 2, true, run_kill,
};
const struct command cmd_delete = {
	"delete", CMD_DELETE, "ID", "delete what a stopped container holds", 1, 1, false, run_delete,
};
const struct command cmd_pause = {
	"pause", CMD_PAUSE, "ID", "suspend all processes of a container", 1, 1, false, run_pause,
};
const struct command cmd_resume = {
	"resume", CMD_RESUME, "ID", "resume what pause suspended", 1, 1, false, run_resume,
};
const struct command cmd_reconcile = {
	"reconcile", CMD_RECONCILE, "", "give back what containers that have ended still have of the host", 0, 0, false, run_reconcile,
};
