// SPDX-License-Identifier: LGPL-2.1-or-later
/* The floor of `run`: only the system calls that the default bundle of contrib/bundle.sh needs, in C, with nothing read,
 * checked, recorded or undone.  What a runtime takes above this is its own.
 *
 *   floor ROOTFS CGROUP-MOUNT... -- COMMAND...
 *
 * CGROUP-MOUNT is NAME:DIR, DIR being where a controller (or v1 name=systemd, or cgroup2 as "unified") is mounted. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_HIER 24

struct hier {
	const char *name, *dir;
	char path[256];
	int procs;
};

static struct hier hiers[MAX_HIER];
static int nhiers;

static void die(const char *what)
{
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void must(long r, const char *what)
{
	if (r < 0)
		die(what);
}

static void put(const char *dir, const char *file, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd, path);
	must(write(fd, text, strlen(text)), path);
	close(fd);
}

static void copy(const char *from, const char *to, const char *file)
{
	char path[512], text[256];

	snprintf(path, sizeof(path), "%s/%s", from, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd, path);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	must(n, path);
	close(fd);
	text[n] = '\0';
	put(to, file, text);
}

static void devices(const char *dir)
{
	static const char *const allow[] = { "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:8 rwm", "c 1:7 rwm", "c 5:0 rwm",
		"c 1:5 rwm", "c 1:9 rwm", "c 136:* rwm", "c 5:2 rwm" };

	put(dir, "devices.deny", "a");
	for (size_t i = 0; i < sizeof(allow) / sizeof(allow[0]); i++)
		put(dir, "devices.allow", allow[i]);
}

static void cgroup_make(struct hier *h)
{
	char path[300];

	snprintf(h->path, sizeof(h->path), "%s/vzrun-floor-%d", h->dir, (int)getpid());
	must(mkdir(h->path, 0755), h->path);
	if (strcmp(h->name, "cpuset") == 0) {
		copy(h->dir, h->path, "cpuset.cpus");
		copy(h->dir, h->path, "cpuset.mems");
	} else if (strcmp(h->name, "memory") == 0) {
		put(h->path, "memory.limit_in_bytes", "67108864");
	} else if (strcmp(h->name, "cpu") == 0) {
		put(h->path, "cpu.shares", "512");
	} else if (strcmp(h->name, "pids") == 0) {
		put(h->path, "pids.max", "64");
	} else if (strcmp(h->name, "devices") == 0) {
		devices(h->path);
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", h->path);
	h->procs = open(path, O_WRONLY | O_CLOEXEC);
	must(h->procs, path);
}

static void fs(const char *type, const char *where, unsigned long flags, const char *data)
{
	must(mount(type, where, type, flags, data), where);
}

static void mount_cgroups(void)
{
	char path[300], data[64];

	fs("tmpfs", "sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=755");
	for (int i = 0; i < nhiers; i++) {
		const char *n = hiers[i].name;

		snprintf(path, sizeof(path), "sys/fs/cgroup/%s", n);
		must(mkdir(path, 0755), path);
		snprintf(data, sizeof(data), "%s%s", strcmp(n, "systemd") == 0 ? "none,name=" : "", n);
		if (strcmp(n, "unified") == 0)
			must(mount("cgroup2", path, "cgroup2", MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL), path);
		else
			must(mount("cgroup", path, "cgroup", MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, data), path);
	}
	must(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL),
	     "cgroup read-only");
}

static void make_dev(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} dev[] = { { "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 }, { "dev/random", 1, 8 },
		    { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" }, { "pts/ptmx", "dev/ptmx" } };

	for (size_t i = 0; i < sizeof(dev) / sizeof(dev[0]); i++)
		must(mknod(dev[i].path, S_IFCHR | 0666, makedev(dev[i].major, dev[i].minor)), dev[i].path);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		must(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void make_mounts(const char *root)
{
	const unsigned long n = MS_NOSUID | MS_NOEXEC | MS_NODEV;

	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "/");
	must(mount(root, root, NULL, MS_BIND | MS_REC, NULL), root);
	must(chdir(root), root);
	fs("proc", "proc", n, NULL);
	fs("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	must(mkdir("dev/pts", 0755), "dev/pts");
	fs("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	fs("sysfs", "sys", n | MS_RDONLY, NULL);
	mount_cgroups();
	must(mkdir("dev/mqueue", 0755), "dev/mqueue");
	fs("mqueue", "dev/mqueue", n, NULL);
	must(mkdir("dev/shm", 0755), "dev/shm");
	fs("tmpfs", "dev/shm", n, "mode=1777,size=65536k");
	make_dev();
}

static void enter_root(void)
{
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount of the old root");
	must(chdir("/"), "/");
}

static void hide(void)
{
	static const char *const masked[] = { "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap" };
	static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };

	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++)
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno == ENOTDIR)
			must(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1"), masked[i]);
	for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++)
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) == 0)
			must(mount(NULL, readonly[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL),
			     readonly[i]);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd, "socket");
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	must(ioctl(fd, SIOCSIFFLAGS, &r), "loopback");
	close(fd);
}

static void drop_privileges(void)
{
	const uint64_t keep = 0xa80425fb;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { (uint32_t)keep, (uint32_t)keep, 0 }, { 0, 0, 0 } };
	struct rlimit nofile = { 1024, 1024 };

	must(setrlimit(RLIMIT_NOFILE, &nofile), "setrlimit");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	for (int c = 0; c <= 40; c++)
		if (!(keep >> c & 1))
			must(prctl(PR_CAPBSET_DROP, c, 0, 0, 0), "bounding set");
	must(syscall(SYS_capset, &head, data), "capset");
}

static void init(const char *root, char **argv)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", home[] = "HOME=/root";
	char *const env[] = { path, home, NULL };

	for (int i = 0; i < nhiers; i++)
		must(write(hiers[i].procs, "0", 1), "cgroup.procs");
	must(unshare(CLONE_NEWCGROUP), "cgroup namespace");
	loopback_up();
	make_mounts(root);
	enter_root();
	must(sethostname("first-container", 15), "hostname");
	hide();
	drop_privileges();
	execve(argv[0], argv, env);
	die(argv[0]);
}

int main(int argc, char **argv)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
		.exit_signal = SIGCHLD };
	int i = 2, status;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		char *colon = strchr(argv[i], ':');

		if (!colon || nhiers == MAX_HIER)
			return 2;
		*colon = '\0';
		hiers[nhiers].name = argv[i];
		hiers[nhiers++].dir = colon + 1;
	}
	if (i + 1 >= argc)
		return 2;
	for (int k = 0; k < nhiers; k++)
		cgroup_make(&hiers[k]);
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	must(pid, "clone3");
	if (pid == 0)
		init(argv[1], argv + i + 1);
	must(waitpid((pid_t)pid, &status, 0), "waitpid");
	for (int k = 0; k < nhiers; k++)
		must(rmdir(hiers[k].path), hiers[k].path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
