// SPDX-License-Identifier: LGPL-2.1-or-later

/* The cgroups of this host, whatever they are: needs root and a writable hierarchy, else each test is skipped.  All
 * that is made is below one name with our pid in it. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/sys.h"
#include "runtime/cgroup/hier.h"
#include "tests/lib/test.h"

static struct err err;

#define OK(call)                                                                   \
	do {                                                                       \
		err = (struct err){ 0 };                                           \
		if ((call) < 0)                                                    \
			FAIL("%s: %s (%d)", #call, err.text, err.num);             \
	} while (0)

static const char *name(void)
{
	static char buf[64];

	snprintf(buf, sizeof buf, "/vzrun-test-%d", (int)getpid());
	return buf;
}

static bool usable(struct cg_host *host, struct arena *a)
{
	if (geteuid() != 0 || cg_host_probe(NULL, host, a, &err) < 0 || host->n == 0)
		return false;
	for (size_t i = 0; i < host->n; i++)
		if (access(host->mounts[i].dir, W_OK) < 0)
			return false;
	return true;
}

#define NEED_HOST(host, a)                             \
	if (!usable(&(host), &(a)))                    \
	SKIP("needs root and writable cgroups")

static struct cgroup *choose(const struct cg_host *host, const char *path, const struct oci_resources *r, struct arena *a)
{
	struct cgroup_options o = { .id = "x", .path = path, .driver = CG_DRIVER_FS, .resources = r };
	struct cgroup *cg = NULL;

	OK(cgroup_choose(host, &o, &cg, a, &err));
	return cg;
}

/* A process in the cgroup: clone3 into v2, then its own writes; it says so through a pipe and sleeps. */
static pid_t spawn(struct cgroup *cg, void (*body)(void))
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int v2 = cgroup_clone_fd(cg), p[2];
	char c = 0;

	OK(cgroup_open_procs(cg, &err));
	if (pipe(p) < 0)
		return -1;
	if (v2 >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)v2;
	}
	pid_t pid = sys_clone3(&args);
	if (pid == 0) {
		struct err e;
		int r = cgroup_enter(cg, v2 >= 0, &e);

		if (r < 0)
			dprintf(2, "enter: %s\n", e.text);
		c = r < 0 ? 'n' : 'y';
		if (write(p[1], &c, 1) != 1)
			_exit(2);
		if (body)
			body();
		for (;;)
			pause();
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		c = 'n';
	close(p[0]);
	CHECK_INT(c, 'y');
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static const char *read_file(struct cgroup *cg, const char *controller, const char *file)
{
	static char buf[4096];
	struct cg_dir *d = cg_find(cg, controller);

	if (!d || !cg_read_text(cg_dir_fd(d), file, buf, sizeof buf))
		return "(unreadable)";
	return buf;
}

TEST(make_enter_kill_remove)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;
	pid_t *pids, pid;
	size_t n;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), NULL, &a);
	CHECK(!cgroup_exists(cg));
	OK(cgroup_make(cg, &err));
	CHECK(cgroup_exists(cg));
	CHECK(!cgroup_populated(cg));
	pid = spawn(cg, NULL);
	CHECK(cgroup_populated(cg));
	OK(cgroup_pids(cg, &pids, &n, &a, &err));
	CHECK_INT(n, 1);
	CHECK_INT(n ? pids[0] : 0, pid);

	/* It is in every hierarchy. */
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	FILE *f = fopen(path, "re");
	char line[512];
	size_t there = 0;
	while (f && fgets(line, sizeof line, f))
		there += strstr(line, name()) != NULL;
	fclose(f);
	CHECK_INT(there, cg->n);

	/* A second container with the same cgroup is refused, and nothing of the first is touched. */
	cleanup_cgroup struct cgroup *twin = choose(&host, name(), NULL, &a);
	CHECK(cgroup_make(twin, &err) < 0);
	CHECK_STR(err.text, "container's cgroup is not empty: 1 process(es) found");
	CHECK(cgroup_populated(cg));

	struct cg_saved_list saved = cgroup_saved(cg);
	cleanup_cgroup struct cgroup *again = NULL;
	OK(cgroup_reopen(&saved, CG_DRIVER_FS, &again, &a, &err));
	CHECK_INT(again->mode, host.mode);
	OK(cgroup_kill(again, SIGKILL, &err));
	reap(pid);
	OK(cgroup_remove(again, &err));
	CHECK(!cgroup_exists(cg));
	OK(cgroup_remove(again, &err));
}

TEST(failed_make_leaves_nothing)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;
	char path[128], dir[512];

	NEED_HOST(host, a);
	snprintf(path, sizeof path, "%s/a/b", name());
	cleanup_cgroup struct cgroup *cg = choose(&host, path, NULL, &a);
	/* The last hierarchy already has that cgroup, with a process in it. */
	struct cg_dir *last = &cg->dirs[cg->n - 1];
	snprintf(dir, sizeof dir, "%s%s", last->mount, name());
	mkdir(dir, 0755);
	strcat(dir, "/a");
	mkdir(dir, 0755);
	mkdir(last->dir, 0755);
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	char procs[600];
	snprintf(procs, sizeof procs, "%s/cgroup.procs", last->dir);
	int fd = open(procs, O_WRONLY | O_CLOEXEC);
	CHECK(dprintf(fd, "%d", pid) > 0);
	close(fd);
	CHECK(cgroup_make(cg, &err) < 0);
	CHECK_STR(err.text, "container's cgroup is not empty: 1 process(es) found");
	for (size_t i = 0; i + 1 < cg->n; i++) {
		char top[512];

		snprintf(top, sizeof top, "%s%s", cg->dirs[i].mount, name());
		CHECK(access(top, F_OK) < 0);
	}
	CHECK(access(last->dir, F_OK) == 0);
	kill(pid, SIGKILL);
	reap(pid);
	for (int i = 0; i < 100 && rmdir(last->dir) < 0; i++)
		poll(NULL, 0, 5);
	rmdir(dir);
	*strrchr(dir, '/') = '\0';
	CHECK(rmdir(dir) == 0);
}

TEST(limits_can_be_read_back)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_memory m = { .limit = { 64 << 20, true }, .reservation = { 32 << 20, true } };
	struct oci_cpu c = { .shares = { 512, true }, .quota = { 50000, true }, .period = { 20000, true }, .cpus = "0",
			     .mems = "0" };
	struct oci_pids p = { { 17, true } };
	struct oci_resources r = { .memory = &m, .cpu = &c, .pids = &p };
	struct cg_host host;

	NEED_HOST(host, a);
	if (host.mode == CG_V2)
		SKIP("the files of v1");
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), &r, &a);
	OK(cgroup_make(cg, &err));
	OK(cgroup_apply(cg, &r, &err));
	CHECK_STR(read_file(cg, "memory", "memory.limit_in_bytes"), "67108864");
	CHECK_STR(read_file(cg, "memory", "memory.soft_limit_in_bytes"), "33554432");
	CHECK_STR(read_file(cg, "cpu", "cpu.shares"), "512");
	CHECK_STR(read_file(cg, "cpu", "cpu.cfs_quota_us"), "50000");
	CHECK_STR(read_file(cg, "cpu", "cpu.cfs_period_us"), "20000");
	CHECK_STR(read_file(cg, "cpuset", "cpuset.cpus"), "0");
	CHECK_STR(read_file(cg, "pids", "pids.max"), "17");
	CHECK(strstr(read_file(cg, "devices", "devices.list"), "c 1:3 rwm") != NULL);
	CHECK(strstr(read_file(cg, "devices", "devices.list"), "a *:*") == NULL);
	pid_t pid = spawn(cg, NULL);

	/* update: one good and one bad value; the good one was written first and comes back */
	struct oci_memory m2 = { .limit = { 128 << 20, true } };
	struct oci_cpu bad = { .quota = { 60000, true }, .cpus = "5000" };
	struct oci_resources u = { .memory = &m2, .cpu = &bad };
	CHECK(cgroup_update(cg, &r, &u, &a, &err) < 0);
	CHECK(strncmp(err.text, "/linux/resources/cpu/cpus: ", 27) == 0);
	CHECK_STR(read_file(cg, "memory", "memory.limit_in_bytes"), "67108864");
	CHECK_STR(read_file(cg, "cpu", "cpu.cfs_quota_us"), "50000");
	CHECK_STR(read_file(cg, "cpuset", "cpuset.cpus"), "0");

	bad.cpus = "0-1";
	bad.period = (struct opt_u64){ 100000, true };
	OK(cgroup_update(cg, &r, &u, &a, &err));
	CHECK_STR(read_file(cg, "memory", "memory.limit_in_bytes"), "134217728");
	CHECK_STR(read_file(cg, "cpu", "cpu.cfs_quota_us"), "60000");
	CHECK_STR(read_file(cg, "cpu", "cpu.cfs_period_us"), "100000");
	CHECK_STR(read_file(cg, "cpu", "cpu.shares"), "512");
	CHECK_STR(read_file(cg, "pids", "pids.max"), "17");

	/* memsw and memory, up and down, in whatever order the kernel asks for */
	static const int64_t steps[][2] = { { 64, 96 }, { 128, 160 }, { 200, 200 }, { 32, 40 }, { 30, 300 }, { -1, 0 } };
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct oci_memory s = { .limit = { steps[i][0] > 0 ? steps[i][0] << 20 : -1, true },
					.swap = { steps[i][1] << 20, steps[i][1] != 0 } };
		struct oci_resources step = { .memory = &s };

		OK(cgroup_update(cg, &r, &step, &a, &err));
	}
	CHECK(strlen(read_file(cg, "memory", "memory.memsw.limit_in_bytes")) > 15);
	CHECK(strlen(read_file(cg, "memory", "memory.limit_in_bytes")) > 15);

	/* keyed and optional files: put back after a refusal further on */
	struct oci_throttle t = { 253, 0, 1 << 20 };
	struct oci_block_io b = { .throttle_read_bps = { &t, 1 } };
	struct stat st;
	if (stat("/", &st) == 0 && major(st.st_dev) != 0) {
		t.major = major(st.st_dev);
		t.minor = minor(st.st_dev) & ~0xfU;
		struct oci_resources v = { .block_io = &b, .cpu = &(struct oci_cpu){ .cpus = "5000" } };
		CHECK(cgroup_update(cg, &r, &v, &a, &err) < 0);
		CHECK(strstr(err.text, "cpu/cpus") || strstr(err.text, "blockIO")); /* no such disk: also fine */
		CHECK_STR(read_file(cg, "blkio", "blkio.throttle.read_bps_device"), "");
	}
	OK(cgroup_kill(cg, SIGKILL, &err));
	reap(pid);
	OK(cgroup_remove(cg, &err));
}

TEST(refused_value_names_its_field)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_cpu c = { .cpus = "4000-5000" };
	struct oci_resources r = { .cpu = &c };
	struct cg_host host;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), &r, &a);
	OK(cgroup_make(cg, &err));
	CHECK(cgroup_apply(cg, &r, &err) < 0);
	CHECK(strncmp(err.text, "/linux/resources/cpu/cpus: ", 27) == 0);
	OK(cgroup_remove(cg, &err));
}

TEST(freeze_thaw_and_kill_frozen)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), NULL, &a);
	OK(cgroup_make(cg, &err));
	pid_t pid = spawn(cg, NULL);
	CHECK_INT(cgroup_frozen(cg), 0);
	OK(cgroup_freeze(cg, true, &err));
	CHECK_INT(cgroup_frozen(cg), 1);
	OK(cgroup_freeze(cg, false, &err));
	CHECK_INT(cgroup_frozen(cg), 0);
	OK(cgroup_freeze(cg, true, &err));
	struct cg_dir *v1 = cg_find(cg, "freezer");
	if (v1 && !v1->v2) { /* both freezers at once, and a frozen nested cgroup of v1 */
		OK(cg_v1.freeze(v1, true, &err));
	}
	OK(cgroup_kill(cg, SIGKILL, &err));
	reap(pid);
	OK(cgroup_remove(cg, &err));
}

TEST(frozen_cgroup_is_refused)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), NULL, &a);
	OK(cgroup_make(cg, &err));
	OK(cgroup_freeze(cg, true, &err));
	cleanup_cgroup struct cgroup *twin = choose(&host, name(), NULL, &a);
	CHECK(cgroup_make(twin, &err) < 0);
	CHECK_STR(err.text, "container's cgroup unexpectedly frozen");
	OK(cgroup_freeze(cg, false, &err));
	/* Empty and thawed it is used, but not removed: it is somebody's. */
	OK(cgroup_make(twin, &err));
	OK(cgroup_remove(twin, &err));
	CHECK(cgroup_exists(cg));
	OK(cgroup_remove(cg, &err));
	CHECK(!cgroup_exists(cg));
}

TEST(v1_way_of_killing)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host, v1 = { .mode = CG_V1 };

	NEED_HOST(host, a);
	for (size_t i = 0; i < host.n; i++)
		if (!host.mounts[i].v2)
			v1.mounts[v1.n++] = host.mounts[i];
	if (v1.n == 0)
		SKIP("no v1 hierarchies");
	cleanup_cgroup struct cgroup *cg = choose(&v1, name(), NULL, &a);
	OK(cgroup_make(cg, &err));
	pid_t one = spawn(cg, NULL), two = spawn(cg, NULL), *pids;
	size_t n;
	OK(cgroup_pids(cg, &pids, &n, &a, &err));
	CHECK_INT(n, 2);
	OK(cgroup_freeze(cg, true, &err));
	CHECK_INT(cgroup_frozen(cg), 1);
	CHECK_STR(read_file(cg, "freezer", "freezer.state"), "FROZEN");
	OK(cgroup_kill(cg, SIGKILL, &err)); /* thaws */
	reap(one);
	reap(two);
	OK(cgroup_remove(cg, &err));
}

/* A cpuset made by hand on v1 is empty and takes no process. */
static void fill_cpuset(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (faccessat(fd, "cpuset.mem_hardwall", F_OK, 0) == 0) {
		OK(fs_write(fd, "cpuset.cpus", "0", &err));
		OK(fs_write(fd, "cpuset.mems", "0", &err));
	}
	close(fd);
}

TEST(nested_cgroups_are_removed)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;
	char path[600];

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), NULL, &a);
	OK(cgroup_make(cg, &err));
	for (size_t i = 0; i < cg->n; i++) {
		static const char *const subs[] = { "a", "a/b", "a/b/c", "d" };

		for (size_t j = 0; j < ARRAY_SIZE(subs); j++) {
			snprintf(path, sizeof path, "%s/%s", cg->dirs[i].dir, subs[j]);
			CHECK(mkdir(path, 0755) == 0);
			fill_cpuset(path);
		}
	}
	struct oci_strs one = { (const char *[]){ "a/b", NULL }, 1 }, bad = { (const char *[]){ "a/../..", NULL }, 1 };
	cleanup_cgroup struct cgroup *sub = NULL, *no = NULL;
	CHECK(cgroup_open_sub(cg, &bad, &no, &a, &err) < 0);
	OK(cgroup_open_sub(cg, &one, &sub, &a, &err));
	pid_t pid = spawn(sub, NULL), *pids;
	size_t n;
	OK(cgroup_pids(cg, &pids, &n, &a, &err)); /* of sub-cgroups too */
	CHECK_INT(n, 1);
	OK(cgroup_kill(cg, SIGKILL, &err));
	OK(cgroup_remove(cg, &err)); /* waits; the zombie does not count */
	reap(pid);
	CHECK(!cgroup_exists(cg));
}

TEST(payload_that_moved_is_followed)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;
	char text[32];

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), NULL, &a);
	struct cg_dir *d = cg_find_v2(cg);
	if (!d || d->controllers[0] == '\0')
		SKIP("no cgroup2 with a controller");
	const char *before = d->dir;
	OK(cgroup_make(cg, &err));
	pid_t pid = spawn(cg, NULL);
	OK(cgroup_follow(cg, pid, &err));
	CHECK_STR(d->dir, before);

	/* As a service manager in the container does: all processes to a leaf, then hand a controller down. */
	CHECK(mkdirat(cg_dir_fd(d), "leaf", 0755) == 0);
	snprintf(text, sizeof text, "%d", pid);
	OK(fs_write(d->fd, "leaf/cgroup.procs", text, &err));
	snprintf(text, sizeof text, "+%.*s", (int)strcspn(d->controllers, ","), d->controllers);
	cleanup_fd int top = open(d->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char enabled[256] = "";
	cg_read_text(top, "cgroup.subtree_control", enabled, sizeof enabled);
	OK(fs_write(top, "cgroup.subtree_control", text, &err));
	OK(fs_write(d->fd, "cgroup.subtree_control", text, &err));
	cleanup_cgroup struct cgroup *again = NULL;
	struct cg_saved_list saved = cgroup_saved(cg);
	OK(cgroup_reopen(&saved, CG_DRIVER_FS, &again, &a, &err));
	OK(cgroup_follow(again, pid, &err));
	CHECK(str_ends(cg_find_v2(again)->dir, "/leaf"));
	pid_t second = spawn(again, NULL);
	OK(cgroup_kill(cg, SIGKILL, &err));
	reap(pid);
	reap(second);
	OK(cgroup_remove(cg, &err));
	text[0] = '-';
	if (!strstr(enabled, text + 1)) /* as it was */
		OK(fs_write(top, "cgroup.subtree_control", text, &err));
}

static void eat(void)
{
	for (;;) {
		volatile char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; i < 1 << 20; i += 4096)
			p[i] = 1;
	}
}

TEST(out_of_memory_is_seen)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_memory m = { .limit = { 8 << 20, true }, .swap = { 8 << 20, true } };
	struct oci_resources r = { .memory = &m };
	struct cg_host host;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), &r, &a);
	OK(cgroup_make(cg, &err));
	OK(cgroup_apply(cg, &r, &err));
	int fd = cgroup_oom_watch(cg, &err);
	CHECK(fd >= 0);
	CHECK_INT(cgroup_oom_kills(cg), 0);
	reap(spawn(cg, eat));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	CHECK_INT(poll(&p, 1, 5000), 1);
	CHECK(cgroup_oom_kills(cg) >= 1);
	close(fd);
	OK(cgroup_remove(cg, &err));
}

static void spin(void)
{
	for (volatile int i = 0; i < 30000000; i++)
		;
}

TEST(statistics)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_pids p = { { 9, true } };
	struct oci_resources r = { .pids = &p };
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };
	struct cg_host host;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), &r, &a);
	OK(cgroup_make(cg, &err));
	OK(cgroup_apply(cg, &r, &err));
	pid_t pid = spawn(cg, spin);
	poll(NULL, 0, 50);
	emit_object(&out, NULL);
	OK(cg_stats_emit(cg, &out, &err));
	emit_object_end(&out);
	CHECK(strstr(str_cstr(&text), "\"pids\":{\"current\":1,\"limit\":9}") != NULL);
	CHECK(strstr(str_cstr(&text), "\"usage\":{\"total\":0") == NULL);
	CHECK(strstr(str_cstr(&text), "\"throttling\":{\"periods\":0") != NULL);
	if (getenv("SHOW"))
		printf("# %s\n", str_cstr(&text));
	OK(cgroup_kill(cg, SIGKILL, &err));
	reap(pid);
	OK(cgroup_remove(cg, &err));
}

/* 'y' when the device can be opened for reading and writing, else 'n' */
static char can_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 'y' : 'n';
}

static int answers;

static void try_devices(void)
{
	char c[3] = { can_open("/dev/null"), can_open("/dev/zero"), can_open("/dev/kmsg") };

	if (write(answers, c, 3) != 3)
		_exit(3);
}

/* Device rules on a hierarchy: v1's files and v2's program must give the same answers. */
static void check_devices(const struct cg_host *host, struct arena *a)
{
	struct oci_device_rule rules[] = { { false, 'a', { 0 }, { 0 }, "rwm" }, { true, 'c', { 1, true }, { 11, true }, "r" } };
	struct oci_resources r = { .devices = { rules, 2 } };
	char c[4] = "";
	int p[2];

	cleanup_cgroup struct cgroup *cg = choose(host, name(), NULL, a);
	OK(cgroup_make(cg, &err));
	OK(cgroup_apply(cg, &r, &err));
	CHECK(pipe(p) == 0);
	answers = p[1];
	pid_t pid = spawn(cg, try_devices);
	CHECK(read(p[0], c, 3) == 3);
	CHECK_STR(c, "yyn"); /* kmsg: read was allowed, read and write was asked for */
	close(p[0]);
	close(p[1]);
	OK(cgroup_kill(cg, SIGKILL, &err));
	reap(pid);
	OK(cgroup_remove(cg, &err));
}

TEST(devices_by_files_and_by_program)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host, part = { .mode = CG_V1 };

	NEED_HOST(host, a);
	if (can_open("/dev/kmsg") != 'y')
		SKIP("/dev/kmsg cannot be opened here");
	for (size_t i = 0; i < host.n; i++)
		if (!host.mounts[i].v2)
			part.mounts[part.n++] = host.mounts[i];
	if (part.n > 0)
		check_devices(&part, &a);
	part = (struct cg_host){ .mode = CG_HYBRID }; /* enables no controllers of the host */
	for (size_t i = 0; i < host.n; i++)
		if (host.mounts[i].v2)
			part.mounts[part.n++] = host.mounts[i];
	if (part.n > 0)
		check_devices(&part, &a);
}

TEST(views)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;
	struct cg_view *v;
	size_t n;

	NEED_HOST(host, a);
	cleanup_cgroup struct cgroup *cg = choose(&host, name(), NULL, &a);
	OK(cgroup_views(cg, &v, &n, &a, &err));
	CHECK_INT(n, host.n);
	for (size_t i = 0; i < n; i++)
		CHECK(v[i].v2 ? v[i].options[0] == '\0' : v[i].options[0] != '\0');
}
