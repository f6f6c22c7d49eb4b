// SPDX-License-Identifier: LGPL-2.1-or-later

/* events: statistics, once or again and again, and out-of-memory events. */

#include <poll.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fd.h"
#include "runtime/cgroup/stats.h"
#include "runtime/cli/cli.h"
#include "runtime/flow/container.h"
#include "runtime/flow/netstats.h"
#include "runtime/flow/sample.h"

#define LOOKS 20
#define LOOK_MS 10
#define ENDING_MS 1000

static int stats_line(const struct container *box, struct str *text, struct err *e)
{
	cleanup_arena struct arena a = { 0 };
	struct emit out = { .out = text };
	struct net_interfaces network;
	struct sample sample;

	if (netstats_read((pid_t)box->state.pid, &network, &a, e) < 0 || sample_take(box, &sample, &a, e) < 0)
		return err_ret(e);
	emit_object(&out, NULL);
	emit_string(&out, "type", "stats");
	emit_string(&out, "id", box->id);
	emit_object(&out, "data");
	if (cg_stats_emit(box->cg, &out, e) < 0)
		return err_ret(e);
	netstats_emit(&network, &out);
	emit_object(&out, "vzrun");
	sample_emit(&sample, &out);
	emit_object_end(&out);
	emit_object_end(&out);
	emit_object_end(&out);
	str_addc(text, '\n');
	return 0;
}

static int print_stats(const struct container *box, struct err *e)
{
	cleanup_str struct str text = { 0 };

	return stats_line(box, &text, e) < 0 ? err_ret(e) : cli_print(&text, e);
}

/* Its namespaces and files go a moment before its descriptor tells of the end. */
static bool has_ended(const struct container *box)
{
	struct pollfd end = { .fd = box->pidfd, .events = POLLIN };

	return poll(&end, 1, ENDING_MS) == 1;
}

/* A container that ends meanwhile has no statistics any more, which is no error of whoever waits for its end. */
static int print_next_stats(const struct container *box, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (stats_line(box, &text, e) < 0)
		return has_ended(box) ? 0 : err_ret(e);
	return cli_print(&text, e);
}

static int print_oom(const struct container *box, struct err *e)
{
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	emit_object(&out, NULL);
	emit_string(&out, "type", "oom");
	emit_string(&out, "id", box->id);
	emit_object_end(&out);
	str_addc(&text, '\n');
	return cli_print(&text, e);
}

/* Whatever was counted, one read empties it (eventfd and inotify alike). */
static void drain(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof buf);

	(void)n;
}

/* One event per kill that was counted since the last look. */
static int report_kills(const struct container *box, int64_t *kills, struct err *e)
{
	int64_t now = cgroup_oom_kills(box->cg);
	int r = 0;

	for (; r == 0 && *kills < now; ++*kills)
		r = print_oom(box, e);
	return r;
}

/* Until process 1 ends.  v1 tells before it kills and counts, v2 tells of other things too: so after a word from the
 * kernel the counter is looked at for a while. */
static int follow(const struct container *box, int interval, struct err *e)
{
	cleanup_fd int oom = cgroup_oom_watch(box->cg, e);
	int64_t kills = cgroup_oom_kills(box->cg);
	int r = print_next_stats(box, e), looks = 0;

	while (r == 0) {
		struct pollfd fds[] = { { .fd = box->pidfd, .events = POLLIN }, { .fd = oom, .events = POLLIN } };
		int n = poll(fds, ARRAY_SIZE(fds), looks ? LOOK_MS : interval);

		if (n < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (n > 0 && fds[1].revents) {
			drain(oom);
			looks = LOOKS;
		} else if (n == 0 && looks == 0) {
			r = print_next_stats(box, e);
		}
		if (r == 0 && looks > 0) {
			looks--;
			r = report_kills(box, &kills, e);
		}
		if (fds[0].revents)
			return r;
	}
	return r;
}

static int run_events(struct cli *c, struct err *e)
{
	cleanup_container struct container box = { .dir = STORE_DIR_NONE, .pidfd = -1 };
	int interval = 0, r;

	r = cli_duration(c->interval ? c->interval : "5s", &interval, e);
	if (r == 0)
		r = store_check_id(c->args.v[0], e);
	if (r == 0)
		r = container_open(c->root, c->args.v[0], STORE_LOOK, &box, e);
	if (r < 0)
		return r;
	if (box.status == OCI_STOPPED || box.status == OCI_CREATING)
		return err_set(e, ERR_STATE, 0, "container with id %s is not running", box.id);
	if (!box.cg)
		return err_set(e, ERR_UNSUPPORTED, 0, "the container has no cgroup (--cgroup-manager=disabled, or none was allowed)");
	return c->stats ? print_stats(&box, e) : follow(&box, interval, e);
}

const struct command cmd_events = {
	"events", CMD_EVENTS, "ID", "print statistics and out-of-memory events", 1, 1, false, run_events,
};
