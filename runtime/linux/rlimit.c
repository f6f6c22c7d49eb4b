// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "oci/names.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/str.h"
#include "runtime/linux/process.h"
#include "runtime/linux/procfs.h"

static const char *limit_name(int64_t type)
{
	const char *name = names_word(&names_rlimits, type);

	return name ? name : "unknown limit";
}

struct limit_text {
	char s[24];
};

static struct limit_text limit_text(uint64_t v)
{
	struct limit_text t;

	if (v == RLIM_INFINITY)
		snprintf(t.s, sizeof t.s, "unlimited");
	else
		snprintf(t.s, sizeof t.s, "%" PRIu64, v);
	return t;
}

/* EPERM alone tells nobody that the container asks for more than its creator may have. */
static int limit_refused(pid_t pid, const struct oci_rlimit *l, struct err *e)
{
	int num = errno;
	struct rlimit now;

	if (num == EPERM && prlimit(pid, (__rlimit_resource_t)l->type, NULL, &now) == 0 &&
	    l->hard > now.rlim_max)
		return err_set(e, ERR_KERNEL, num,
			       "rlimits: %s: hard limit %s is above the current %s, needs "
			       "CAP_SYS_RESOURCE",
			       limit_name(l->type), limit_text(l->hard).s,
			       limit_text(now.rlim_max).s);
	return err_set(e, ERR_KERNEL, num, "rlimits: %s: soft %s, hard %s", limit_name(l->type),
		       limit_text(l->soft).s, limit_text(l->hard).s);
}

/* Raising a hard limit needs a privilege, lowering it none: so the one comes early, the other late. */
static int raise_hard(pid_t pid, const struct oci_rlimit *l, struct err *e)
{
	struct rlimit now;

	if (prlimit(pid, (__rlimit_resource_t)l->type, NULL, &now) < 0)
		return limit_refused(pid, l, e);
	if (l->hard <= now.rlim_max)
		return 0;
	now.rlim_max = l->hard;
	return prlimit(pid, (__rlimit_resource_t)l->type, &now, NULL) < 0 ? limit_refused(pid, l, e) : 0;
}

static bool starves(int64_t type)
{
	return type == RLIMIT_AS || type == RLIMIT_DATA || type == RLIMIT_NOFILE;
}

int rlimits_set(pid_t pid, const struct oci_rlimits *limits, bool last, struct err *e)
{
	for (size_t i = 0; i < limits->n; i++) {
		const struct oci_rlimit *l = &limits->v[i];
		struct rlimit new = {.rlim_cur = l->soft, .rlim_max = l->hard};

		if (!starves(l->type) && last)
			continue;
		if (starves(l->type) && !last) {
			if (raise_hard(pid, l, e) < 0)
				return err_ret(e);
			continue;
		}
		if (prlimit(pid, (__rlimit_resource_t)l->type, &new, NULL) < 0)
			return limit_refused(pid, l, e);
	}
	return 0;
}

int oom_score_set(int procfs, pid_t pid, int64_t score, struct err *e)
{
	char path[48] = "self/oom_score_adj", text[24];
	int r;

	if (pid > 0)
		snprintf(path, sizeof path, "%d/oom_score_adj", (int)pid);
	snprintf(text, sizeof text, "%" PRId64, score);
	r = procfs_write(procfs, path, text, e);
	if (r < 0 && e->num == EACCES)
		return err_wrap(
			e, "oomScoreAdj %" PRId64 " (lowering the score needs CAP_SYS_RESOURCE)",
			score);
	return r < 0 ? err_wrap(e, "oomScoreAdj %" PRId64, score) : 0;
}

static int write_score(int fd, int64_t score, struct err *e)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%" PRId64, score);

	return fs_write_fd(fd, text, (size_t)n, "oom_score_adj", e);
}

int oom_score_lend(int procfs, int64_t score, int64_t *ret_was)
{
	struct err ignored;
	cleanup_fd int fd = procfs_open_file(procfs, "self/oom_score_adj", O_RDWR, &ignored);
	char text[24] = "";

	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (num_i64(text, ret_was) < 0 || write_score(fd, score, &ignored) < 0)
		return -1;
	return fd_take(&fd);
}

int oom_score_take_back(int fd, int64_t was, struct err *e)
{
	return write_score(fd, was, e);
}
