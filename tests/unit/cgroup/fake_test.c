// SPDX-License-Identifier: LGPL-2.1-or-later

/* A directory that stands for "/" with the files of v1, hybrid and v2 hosts: what this host does not have. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/emit.h"
#include "runtime/base/fs.h"
#include "runtime/cgroup/hier.h"
#include "runtime/cgroup/sample.h"
#include "tests/lib/test.h"

static char root[64];
static struct err err;

static void begin(void)
{
	strcpy(root, "/tmp/vzrun-cg-XXXXXX");
	CHECK(mkdtemp(root) != NULL);
	err = (struct err){ 0 };
}

static void end(void)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_INT(fs_remove_tree(tmp, root + 5, &err), 0);
	close(tmp);
}

static void put(const char *path, const char *text)
{
	char full[PATH_MAX], *slash;

	snprintf(full, sizeof full, "%s%s", root, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	CHECK_INT(fs_mkdir_all(full, 0755, &err), 0);
	*slash = '/';
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static const char *get(const char *path)
{
	static char buf[4096];
	char full[PATH_MAX];

	snprintf(full, sizeof full, "%s%s", root, path);
	return cg_read_text(AT_FDCWD, full, buf, sizeof buf) ? buf : "(missing)";
}

static void v2_host(const char *own)
{
	char line[256];

	put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
	put("/sys/fs/cgroup/cgroup.subtree_control", "");
	snprintf(line, sizeof line, "0::%s\n", own);
	put("/proc/self/cgroup", line);
}

static struct cgroup *choose(const struct cg_host *host, const char *path, const struct oci_resources *r, struct arena *a)
{
	struct cgroup_options o = { .id = "c1", .path = path, .driver = CG_DRIVER_FS, .resources = r };
	struct cgroup *cg = NULL;

	CHECK_INT(cgroup_choose(host, &o, &cg, a, &err), 0);
	return cg;
}

static const char *dir_of(const struct cg_host *host, const char *path, size_t i, struct arena *a)
{
	struct cgroup *cg = choose(host, path, NULL, a);

	return cg && i < cg->n ? cg->dirs[i].dir + strlen(root) : "(none)";
}

TEST(probe_v2)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;

	begin();
	v2_host("/user.slice/app.scope");
	put("/sys/fs/cgroup/user.slice/app.scope/cgroup.procs", "");
	CHECK_INT(cg_host_probe(root, &host, &a, &err), 0);
	CHECK_INT(host.mode, CG_V2);
	CHECK_INT(host.n, 1);
	CHECK_STR(host.mounts[0].controllers, "cpuset,cpu,io,memory,hugetlb,pids,rdma,misc");
	CHECK_STR(host.mounts[0].own_path, "/user.slice/app.scope");
	CHECK_STR(dir_of(&host, "/a/b", 0, &a), "/sys/fs/cgroup/a/b");
	CHECK_STR(dir_of(&host, "a/b", 0, &a), "/sys/fs/cgroup/user.slice/a/b");
	CHECK_STR(dir_of(&host, NULL, 0, &a), "/sys/fs/cgroup/user.slice/c1");
	CHECK_STR(dir_of(&host, "/../../etc/./x//y/", 0, &a), "/sys/fs/cgroup/etc/x/y");
	CHECK_STR(dir_of(&host, "../../../etc", 0, &a), "/sys/fs/cgroup/user.slice/etc");
	end();
}

TEST(probe_v1_and_hybrid)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;

	begin();
	put("/proc/self/cgroup", "4:memory:/here\n3:net_cls,net_prio:/\n2:cpuacct,cpu:/../..\n1:name=systemd:/x\n0::/\n");
	put("/sys/fs/cgroup/memory/here/cgroup.procs", "");
	put("/sys/fs/cgroup/memory/cgroup.procs", "");
	put("/sys/fs/cgroup/cpu/cgroup.procs", "");
	put("/sys/fs/cgroup/systemd/cgroup.procs", "");
	CHECK_INT(cg_host_probe(root, &host, &a, &err), 0);
	CHECK_INT(host.mode, CG_V1);
	CHECK_INT(host.n, 3); /* net_cls is not mounted */
	CHECK_STR(dir_of(&host, NULL, 0, &a), "/sys/fs/cgroup/memory/here/c1");
	CHECK_STR(dir_of(&host, "p", 1, &a), "/sys/fs/cgroup/cpu/p");
	CHECK_STR(dir_of(&host, "/p", 0, &a), "/sys/fs/cgroup/memory/p");
	CHECK_STR(dir_of(&host, "../p", 0, &a), "/sys/fs/cgroup/memory/here/p");
	CHECK_STR(dir_of(&host, "p", 2, &a), "/sys/fs/cgroup/systemd/p"); /* /x is not there */
	put("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n");
	CHECK_INT(cg_host_probe(root, &host, &a, &err), 0);
	CHECK_INT(host.mode, CG_HYBRID);
	CHECK_INT(host.n, 4);
	CHECK(host.mounts[3].v2);
	end();
}

TEST(no_cgroups_at_all)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_pids p = { { 5, true } };
	struct oci_resources r = { .pids = &p };
	struct cg_host host;

	begin();
	CHECK_INT(cg_host_probe(root, &host, &a, &err), 0);
	CHECK_INT(host.mode, CG_NONE);
	cleanup_cgroup struct cgroup *cg = choose(&host, NULL, &r, &a);
	CHECK_INT(cgroup_make(cg, &err), 0);
	CHECK(cgroup_apply(cg, &r, &err) < 0);
	CHECK_STR(err.text, "/linux/resources/pids/limit: this host has no pids controller");
	CHECK_INT(cgroup_apply(cg, NULL, &err), 0);
	CHECK_INT(cgroup_clone_fd(cg), -1);
	CHECK_INT(cgroup_enter(cg, false, &err), 0);
	end();
}

TEST(drivers)
{
	cleanup_arena struct arena a = { 0 };
	struct cgroup_options o = { .id = "c1", .driver = CG_DRIVER_SYSTEMD };
	struct cg_host host = { 0 };
	struct cgroup *cg = NULL;

	CHECK(cgroup_choose(&host, &o, &cg, &a, &err) < 0);
	CHECK_INT(err.kind, ERR_UNSUPPORTED);
	CHECK(strstr(err.text, "systemd") != NULL);
	o.driver = CG_DRIVER_FS;
	o.path = "/";
	host = (struct cg_host){ CG_V2, { { "/sys/fs/cgroup", "memory", "/", true } }, 1 };
	CHECK(cgroup_choose(&host, &o, &cg, &a, &err) < 0);
	CHECK(strncmp(err.text, "/linux/cgroupsPath: ", 20) == 0);
}

/* The container's directory as the kernel would fill it: made beforehand, so it is not ours. */
static struct cgroup *v2_container(const struct oci_resources *r, struct arena *a)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.freeze",	"memory.max",  "memory.swap.max", "memory.low",
					     "cpu.weight",   "cpu.max.burst",	"pids.max",    "cpuset.cpus",	  "io.max",
					     "io.weight",    "hugetlb.2MB.max", "memory.high", "memory.events" };
	struct cg_host host;

	v2_host("/");
	put("/sys/fs/cgroup/c1/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[128];

		snprintf(path, sizeof path, "/sys/fs/cgroup/c1/%s", files[i]);
		put(path, "");
	}
	put("/sys/fs/cgroup/c1/cpu.max", "max 100000\n");
	CHECK_INT(cg_host_probe(root, &host, a, &err), 0);
	struct cgroup *cg = choose(&host, NULL, r, a);
	CHECK(!cg->dirs[0].made);
	CHECK_INT(cgroup_make(cg, &err), 0);
	return cg;
}

static int set(struct cgroup *cg, const struct oci_resources *r, struct arena *a)
{
	struct cg_host host = cg_as_host(cg);
	struct cg_plan plan;

	err = (struct err){ 0 };
	if (cg_plan(&host, r, NULL, &plan, a, &err) < 0)
		return -1;
	return cg->driver->set(cg, &plan, &err);
}

TEST(v2_limits_and_update)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_memory m = { .limit = { 1000, true }, .swap = { 1500, true } };
	struct oci_cpu c = { .shares = { 1024, true }, .quota = { 20000, true } };
	struct oci_pids p = { { 5, true } };
	struct oci_resources r = { .memory = &m, .cpu = &c, .pids = &p };

	begin();
	cleanup_cgroup struct cgroup *cg = v2_container(&r, &a);
	CHECK_INT(set(cg, &r, &a), 0);
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.max"), "1000");
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.swap.max"), "500");
	CHECK_STR(get("/sys/fs/cgroup/c1/cpu.weight"), "100");
	CHECK_STR(get("/sys/fs/cgroup/c1/cpu.max"), "20000 100000");
	CHECK_STR(get("/sys/fs/cgroup/c1/pids.max"), "5");

	/* cpu.idle is missing: memory.max was written and is put back */
	struct oci_resources bad = { .memory = &(struct oci_memory){ .limit = { 1200, true } },
				     .cpu = &(struct oci_cpu){ .idle = { 1, true } } };
	CHECK(cgroup_update(cg, &r, &bad, &a, &err) < 0);
	CHECK_STR(err.text, "/linux/resources/cpu/idle: there is no cpu.idle in this cgroup");
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.max"), "1000");
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.swap.max"), "500");

	struct oci_resources good = { .memory = &(struct oci_memory){ .limit = { 1200, true } },
				      .cpu = &(struct oci_cpu){ .period = { 50000, true } } };
	put("/sys/fs/cgroup/c1/memory.swap.max", "");
	CHECK_INT(cgroup_update(cg, &r, &good, &a, &err), 0);
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.max"), "1200");
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.swap.max"), "300");
	CHECK(strncmp(get("/sys/fs/cgroup/c1/cpu.max"), "20000 50000", 11) == 0);

	/* Whoever could not record it puts it back. */
	cgroup_update_undo(cg);
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.max"), "1000");
	CHECK(strncmp(get("/sys/fs/cgroup/c1/cpu.max"), "20000 100000", 12) == 0);
	end();
}

TEST(v2_unified_holds_after_an_update_of_its_group)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_cpu c = { .shares = { 1024, true } };
	struct oci_pair weight = { "cpu.weight", "300" }, high = { "memory.high", "7000" };
	struct oci_pair both[] = { weight, high };
	struct oci_resources r = { .cpu = &c, .unified = { both, 2 } };

	begin();
	cleanup_cgroup struct cgroup *cg = v2_container(&r, &a);
	put("/sys/fs/cgroup/c1/memory.high", "max");
	CHECK_INT(set(cg, &r, &a), 0);

	struct oci_resources quota = { .cpu = &(struct oci_cpu){ .quota = { 20000, true } } };
	put("/sys/fs/cgroup/c1/memory.high", "8000");
	put("/sys/fs/cgroup/c1/cpu.weight", "");
	CHECK_INT(cgroup_update(cg, &r, &quota, &a, &err), 0);
	CHECK_STR(get("/sys/fs/cgroup/c1/cpu.max"), "20000 100000");
	CHECK_STR(get("/sys/fs/cgroup/c1/cpu.weight"), "300");
	CHECK_STR(get("/sys/fs/cgroup/c1/memory.high"), "8000"); /* not a file of that group */

	struct oci_resources shares = { .cpu = &(struct oci_cpu){ .shares = { 2, true } } };
	put("/sys/fs/cgroup/c1/cpu.weight", "");
	CHECK_INT(cgroup_update(cg, &r, &shares, &a, &err), 0);
	CHECK_STR(get("/sys/fs/cgroup/c1/cpu.weight"), "1");
	end();
}

TEST(v2_controllers_are_enabled_on_the_way)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_host host;

	begin();
	v2_host("/");
	put("/sys/fs/cgroup/p/cgroup.subtree_control", "");
	put("/sys/fs/cgroup/p/c1/cgroup.controllers", "");
	put("/sys/fs/cgroup/p/c1/cgroup.procs", "");
	CHECK_INT(cg_host_probe(root, &host, &a, &err), 0);
	cleanup_cgroup struct cgroup *cg = choose(&host, "/p/c1", NULL, &a);
	CHECK_INT(cgroup_make(cg, &err), 0);
	CHECK_STR(get("/sys/fs/cgroup/cgroup.subtree_control"), "+cpuset +cpu +io +memory +hugetlb +pids +rdma +misc");
	CHECK_STR(get("/sys/fs/cgroup/p/cgroup.subtree_control"), "+cpuset +cpu +io +memory +hugetlb +pids +rdma +misc");

	put("/sys/fs/cgroup/p/c1/cgroup.type", "domain invalid\n");
	struct oci_resources r = { .memory = &(struct oci_memory){ .limit = { 1, true } } };
	cleanup_cgroup struct cgroup *bad = choose(&host, "/p/c1", &r, &a);
	CHECK(cgroup_make(bad, &err) < 0);
	CHECK_INT(err.kind, ERR_UNSUPPORTED);
	end();
}

TEST(v2_statistics)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str text = { 0 };
	struct emit out = { .out = &text };

	begin();
	cleanup_cgroup struct cgroup *cg = v2_container(NULL, &a);
	put("/sys/fs/cgroup/c1/cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 4\n");
	put("/sys/fs/cgroup/c1/cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.25 total=8\n");
	put("/sys/fs/cgroup/c1/memory.current", "100\n");
	put("/sys/fs/cgroup/c1/memory.max", "1000\n");
	put("/sys/fs/cgroup/c1/memory.swap.current", "10\n");
	put("/sys/fs/cgroup/c1/memory.swap.max", "500\n");
	put("/sys/fs/cgroup/c1/memory.stat", "anon 60\nfile 40\n");
	put("/sys/fs/cgroup/c1/memory.events", "low 0\noom 1\noom_kill 3\n");
	put("/sys/fs/cgroup/c1/pids.current", "4\n");
	put("/sys/fs/cgroup/c1/pids.max", "max\n");
	put("/sys/fs/cgroup/c1/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16 rbytes=9 wbytes=8 rios=7 wios=6\n");
	put("/sys/fs/cgroup/c1/hugetlb.2MB.current", "2097152\n");
	put("/sys/fs/cgroup/c1/hugetlb.2MB.events", "max 2\n");
	put("/sys/fs/cgroup/c1/cpuset.cpus.effective", "0-1,3\n");
	emit_object(&out, NULL);
	CHECK_INT(cg_stats_emit(cg, &out, &err), 0);
	emit_object_end(&out);
#define HAS(s) CHECK(strstr(str_cstr(&text), (s)) != NULL)
	HAS("\"cpu\":{\"usage\":{\"total\":5000,\"kernel\":2000,\"user\":3000},"
	    "\"throttling\":{\"periods\":7,\"throttledPeriods\":1,\"throttledTime\":4000},\"psi\":{\"some\":{\"avg10\":1.5");
	HAS("\"cpuset\":{\"cpus\":[0,1,3],");
	HAS("\"memory\":{\"cache\":40,\"usage\":{\"limit\":1000,\"usage\":100,\"max\":0,\"failcnt\":0},"
	    "\"swap\":{\"limit\":1500,\"usage\":110,");
	HAS("\"raw\":{\"anon\":60,\"file\":40}");
	HAS("\"pids\":{\"current\":4,\"limit\":0}");
	HAS("\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":1},"
	    "{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":2},{\"major\":8,\"minor\":16,\"op\":\"Read\",\"value\":9}");
	HAS("\"hugetlb\":{\"2MB\":{\"usage\":2097152,\"max\":0,\"failcnt\":2}}");
	CHECK_INT(cgroup_oom_kills(cg), 3);
	end();
}

#define IS(n, value) CHECK((n).set && (n).v == (value))

TEST(v2_sample)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_sample s;

	begin();
	cleanup_cgroup struct cgroup *cg = v2_container(NULL, &a);
	CHECK_INT(cg_sample(cg, &s, &a, &err), 0);
	CHECK(!s.memory.usage.set && !s.cpu.usage_ns.set && !s.pids.set && !s.io.known && !s.cpu.mask && !s.cpu.psi.some.set);
	put("/sys/fs/cgroup/c1/cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\n");
	CHECK_INT(cg_sample(cg, &s, &a, &err), 0);
	IS(s.cpu.usage_ns, 5000);
	CHECK(!s.cpu.periods.set); /* no controller, and time is counted all the same */
	put("/sys/fs/cgroup/c1/cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 4\n");
	put("/sys/fs/cgroup/c1/cpu.max", "25000 100000\n");
	put("/sys/fs/cgroup/c1/cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.25 total=8\n");
	put("/sys/fs/cgroup/c1/memory.current", "100\n");
	put("/sys/fs/cgroup/c1/memory.max", "max\n");
	put("/sys/fs/cgroup/c1/memory.min", "50\n");
	put("/sys/fs/cgroup/c1/memory.low", "60\n");
	put("/sys/fs/cgroup/c1/memory.swap.current", "10\n");
	put("/sys/fs/cgroup/c1/memory.swap.max", "500\n");
	put("/sys/fs/cgroup/c1/memory.stat", "anon 60\nfile 40\ninactive_file 30\nworkingset_refault_anon 2\nworkingset_refault_file 3\n");
	put("/sys/fs/cgroup/c1/pids.current", "4\n");
	put("/sys/fs/cgroup/c1/pids.max", "max\n");
	put("/sys/fs/cgroup/c1/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16 cost.usage=5\n8:32 rbytes=9 wbytes=8 rios=7 wios=6\n");
	put("/sys/fs/cgroup/c1/cpuset.cpus.effective", "0-1,3\n");
	CHECK_INT(cg_sample(cg, &s, &a, &err), 0);
	IS(s.cpu.user_ns, 3000);
	IS(s.cpu.kernel_ns, 2000);
	IS(s.cpu.periods, 7);
	IS(s.cpu.throttled_periods, 1);
	IS(s.cpu.throttled_ns, 4000);
	IS(s.cpu.quota_us, 25000);
	IS(s.cpu.period_us, 100000);
	CHECK_STR(s.cpu.mask, "0-1,3");
	CHECK(s.cpu.psi.some.set && s.cpu.psi.some.avg10 == 1.5 && s.cpu.psi.full.total == 8);
	IS(s.memory.usage, 100);
	IS(s.memory.working_set, 70);
	IS(s.memory.cache, 40);
	IS(s.memory.limit, CG_UNLIMITED);
	IS(s.memory.guarantee, 50);
	IS(s.memory.reservation, 60);
	IS(s.memory.swap, 10);
	IS(s.memory.swap_limit, 500);
	IS(s.memory.refaults_anon, 2);
	IS(s.memory.refaults_file, 3);
	IS(s.pids, 4);
	IS(s.pids_limit, CG_UNLIMITED);
	CHECK(s.io.known);
	CHECK_INT(s.io.n, 3);
	CHECK(s.io.v[0].major == 8 && s.io.v[0].read_bytes == 1 && s.io.v[0].write_bytes == 2 && s.io.v[0].reads == 3 && s.io.v[0].writes == 4);
	CHECK(s.io.v[1].minor == 16 && s.io.v[1].read_bytes == 0 && s.io.v[2].read_bytes == 9);
	put("/sys/fs/cgroup/c1/cpu.max", "max 100000\n");
	CHECK_INT(cg_sample(cg, &s, &a, &err), 0);
	IS(s.cpu.quota_us, CG_UNLIMITED);
	end();
}

TEST(v1_sample)
{
	static const char *const controllers[] = { "cpu", "cpuacct", "cpuset", "memory", "pids", "blkio" };
	cleanup_arena struct arena a = { 0 };
	struct cg_saved saved[ARRAY_SIZE(controllers)];
	struct cg_saved_list list = { saved, ARRAY_SIZE(controllers) };
	cleanup_cgroup struct cgroup *cg = NULL;
	struct cg_sample s;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		saved[i] = (struct cg_saved){ controllers[i], arena_printf(&a, "%s/%s", root, controllers[i]), false, true };
	put("/cpuacct/cpuacct.usage", "123\n");
	put("/cpuacct/cpuacct.usage_user", "100\n");
	put("/cpu/cpu.stat", "nr_periods 7\nnr_throttled 2\nthrottled_time 9\n");
	put("/cpu/cpu.cfs_quota_us", "-1\n");
	put("/cpu/cpu.cfs_period_us", "100000\n");
	put("/cpuset/cpuset.cpus", "1\n");
	put("/memory/memory.usage_in_bytes", "1000\n");
	put("/memory/memory.limit_in_bytes", "4096\n");
	put("/memory/memory.soft_limit_in_bytes", "9223372036854771712\n");
	put("/memory/memory.memsw.usage_in_bytes", "1200\n");
	put("/memory/memory.memsw.limit_in_bytes", "9223372036854771712\n");
	put("/memory/memory.stat", "cache 1\ninactive_file 1\ntotal_cache 600\ntotal_inactive_file 400\n");
	put("/blkio/blkio.throttle.io_service_bytes_recursive", "8:0 Read 5\n8:0 Write 6\n8:0 Total 11\n8:16 Write 7\nTotal 18\n");
	put("/blkio/blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n");
	CHECK_INT(cgroup_reopen(&list, CG_DRIVER_FS, &cg, &a, &err), 0);
	CHECK_INT(cg_sample(cg, &s, &a, &err), 0);
	IS(s.cpu.usage_ns, 123);
	IS(s.cpu.user_ns, 100);
	CHECK(!s.cpu.kernel_ns.set);
	IS(s.cpu.throttled_ns, 9);
	IS(s.cpu.quota_us, CG_UNLIMITED);
	CHECK_STR(s.cpu.mask, "1");
	IS(s.memory.working_set, 600);
	IS(s.memory.cache, 600);
	IS(s.memory.limit, 4096);
	IS(s.memory.reservation, CG_UNLIMITED);
	IS(s.memory.swap, 200);
	IS(s.memory.swap_limit, CG_UNLIMITED);
	CHECK(!s.memory.guarantee.set && !s.memory.refaults_file.set && !s.pids.set && !s.pids_limit.set);
	CHECK(s.io.known && s.io.n == 2 && s.io.v[0].write_bytes == 6 && s.io.v[0].writes == 2 && s.io.v[1].write_bytes == 7);
	put("/memory/memory.memsw.limit_in_bytes", "8192\n");
	put("/cpu/cpu.cfs_quota_us", "5000\n");
	CHECK_INT(cg_sample(cg, &s, &a, &err), 0);
	IS(s.memory.swap_limit, 4096);
	IS(s.cpu.quota_us, 5000);
	CHECK_INT(cg_sample(NULL, &s, &a, &err), 0);
	CHECK(!s.cpu.usage_ns.set && !s.memory.usage.set);
	end();
}

TEST(views_of_co_mounted_controllers)
{
	cleanup_arena struct arena a = { 0 };
	struct cg_saved saved[] = { { "cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/c1", false, true },
				    { "name=systemd", "/sys/fs/cgroup/systemd/c1", false, true },
				    { "hugetlb", "/sys/fs/cgroup/unified/c1", true, true } };
	struct cg_saved_list list = { saved, 3 };
	struct cgroup *cg = NULL;
	struct cg_view *v;
	size_t n;

	CHECK_INT(cgroup_reopen(&list, CG_DRIVER_FS, &cg, &a, &err), 0);
	CHECK_INT(cg->mode, CG_HYBRID);
	CHECK_INT(cgroup_views(cg, &v, &n, &a, &err), 0);
	CHECK_INT(n, 3);
	CHECK_STR(v[0].name, "cpu,cpuacct");
	CHECK_STR(v[0].options, "cpu,cpuacct");
	CHECK_STR(v[0].links[0], "cpu");
	CHECK_STR(v[0].links[1], "cpuacct");
	CHECK(v[0].links[2] == NULL);
	CHECK_STR(v[1].name, "systemd");
	CHECK_STR(v[1].options, "none,name=systemd");
	CHECK(v[1].links[0] == NULL);
	CHECK_STR(v[2].name, "unified");
	CHECK(v[2].v2);
	list.v = &saved[2];
	list.n = 1;
	saved[2].dir = "/sys/fs/cgroup/a/unified/c1";
	CHECK_INT(cgroup_reopen(&list, CG_DRIVER_FS, &cg, &a, &err), 0);
	CHECK_INT(cgroup_views(cg, &v, &n, &a, &err), 0);
	CHECK_STR(v[0].name, "");
	cgroup_close(&cg);
}
