// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/pcidev.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/base/sys.h"
#include "runtime/linux/ns.h"

#define DEPTH 12 /* below a function; sound cards and USB buses have about eight */
#define CLASS_BRIDGE 0x06
#define UNBIND_MS 10000

int pci_parse(const char *text, const char **ret, struct arena *a, struct err *e)
{
	unsigned domain = 0, bus, device, function;
	int end = 0;

	if ((sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 || text[end]) &&
	    ((domain = 0), sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3 || text[end]))
		return err_set(e, ERR_CONFIG, 0, "\"%.64s\" is no PCI function: [dddd:]bb:dd.f", text);
	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text) || device > 31 || function > 7)
		return err_set(e, ERR_CONFIG, 0, "\"%.64s\" is no PCI function: [dddd:]bb:dd.f", text);
	*ret = arena_printf(a, "%04x:%02x:%02x.%x", domain, bus, device, function);
	return *ret ? 0 : err_oom(e);
}

/* ---- files of sysfs ---- */

/* One line, without its end; NULL when there is none or it is empty. */
static const char *line_of(int dir, const char *name, struct arena *a)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;
	size_t len;

	if (fs_read(dir, name, 4096, &text, &ignored) < 0)
		return NULL;
	len = strcspn(str_cstr(&text), "\n");
	return len ? arena_strndup(a, text.s, len) : NULL;
}

static const char *link_name(int dir, const char *name, struct arena *a)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof target - 1);
	const char *slash;

	if (n <= 0)
		return NULL;
	target[n] = '\0';
	slash = strrchr(target, '/');
	return arena_strdup(a, slash ? slash + 1 : target);
}

static uint64_t number_of(int dir, const char *name, struct arena *a)
{
	const char *text = line_of(dir, name, a);

	return text ? strtoull(text, NULL, 0) : 0;
}

static int add_word(struct oci_strs *list, const char *word, struct arena *a, struct err *e)
{
	const char **more = arena_alloc_n(a, list->n + 1, sizeof *more);

	if (!more || !word)
		return err_oom(e);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = word;
	*list = (struct oci_strs){ more, list->n + 1 };
	return 0;
}

static int add_node(struct nodes *list, const struct node *n, struct arena *a, struct err *e)
{
	struct node *more = arena_alloc_n(a, list->n + 1, sizeof *more);

	if (!more || !n->path || !n->word)
		return err_oom(e);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = *n;
	*list = (struct nodes){ more, list->n + 1 };
	return 0;
}

/* Calls `each` with the name of every entry. */
static int each_entry(int at, const char *path, int (*each)(void *arg, int dir, const struct dirent *d, struct err *e), void *arg,
		      struct err *e)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!dir) {
		fd_close(&fd);
		return 0; /* it has gone meanwhile */
	}
	for (struct dirent *d = readdir(dir); d && r == 0; d = readdir(dir))
		if (d->d_name[0] != '.')
			r = each(arg, fd, d, e);
	return r;
}

/* ---- what is below a function ---- */

struct walk {
	struct pci_function *f;
	struct arena *a;
	const char *sysfs;
	unsigned depth;
	bool net; /* in a directory of interfaces */
};

/* "DEVNAME=snd/pcmC0D0p" of a uevent file. */
static const char *device_name(int dir, struct arena *a)
{
	cleanup_str struct str text = { 0 };
	struct err ignored;
	const char *p;

	if (fs_read(dir, "uevent", 4096, &text, &ignored) < 0)
		return NULL;
	p = strstr(str_cstr(&text), "DEVNAME=");
	if (!p || (p != text.s && p[-1] != '\n'))
		return NULL;
	p += strlen("DEVNAME=");
	return arena_strndup(a, p, strcspn(p, "\n"));
}

static int take_node(struct walk *w, int dir, struct err *e)
{
	const char *numbers = line_of(dir, "dev", w->a), *name, *subsystem;
	struct node n = { 0 };
	long long major, minor;

	if (!numbers || sscanf(numbers, "%lld:%lld", &major, &minor) != 2)
		return 0;
	name = device_name(dir, w->a);
	if (!name || !*name || strstr(name, ".."))
		return 0; /* one without a node */
	subsystem = link_name(dir, "subsystem", w->a);
	n = (struct node){
		.word = arena_printf(w->a, "%s:rw", name), .path = arena_printf(w->a, "/dev/%s", name),
		.type = str_eq(subsystem, "block") ? 'b' : 'c', .major = major, .minor = minor,
	};
	return add_node(&w->f->nodes, &n, w->a, e);
}

/* With multipath the disk that everybody uses, nvme0n1, is the subsystem's; below the function is a path to it without a
 * node, nvme0c1n1. */
static int take_multipath(const struct walk *w, const char *sysfs, const char *name, struct err *e)
{
	unsigned subsystem, controller, space;
	char head[64], path[PATH_MAX];
	long long major, minor;
	const char *numbers;
	struct node n;
	int end = 0;

	if (sscanf(name, "nvme%uc%un%u%n", &subsystem, &controller, &space, &end) != 3 || name[end])
		return 0;
	snprintf(head, sizeof head, "nvme%un%u", subsystem, space);
	snprintf(path, sizeof path, "%s/class/block/%s/dev", sysfs, head);
	numbers = line_of(AT_FDCWD, path, w->a);
	if (!numbers || sscanf(numbers, "%lld:%lld", &major, &minor) != 2)
		return 0;
	n = (struct node){
		.word = arena_printf(w->a, "%s:rw", head), .path = arena_printf(w->a, "/dev/%s", head), .type = 'b', .major = major,
		.minor = minor,
	};
	return add_node(&w->f->nodes, &n, w->a, e);
}

static int walk_entry(void *arg, int dir, const struct dirent *d, struct err *e)
{
	const struct walk *outer = arg;
	struct walk w = { outer->f, outer->a, outer->sysfs, outer->depth + 1, strcmp(d->d_name, "net") == 0 };

	if (d->d_type != DT_DIR || w.depth > DEPTH)
		return 0;
	if (outer->net)
		return add_word(&w.f->interfaces, arena_strdup(w.a, d->d_name), w.a, e);
	cleanup_fd int fd = openat(dir, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (take_node(&w, fd, e) < 0 || take_multipath(&w, w.sysfs, d->d_name, e) < 0)
		return err_ret(e);
	return each_entry(fd, ".", walk_entry, &w, e);
}

/* ---- a function ---- */

struct group {
	struct pci_function *f;
	struct arena *a;
};

static bool is_bridge_class(uint32_t class)
{
	return class >> 16 == CLASS_BRIDGE;
}

bool pci_is_bridge(const struct pci_function *f)
{
	return is_bridge_class(f->class);
}

static int take_member(void *arg, int dir, const struct dirent *d, struct err *e)
{
	struct group *g = arg;
	char class[NAME_MAX + 16];

	snprintf(class, sizeof class, "%s/class", d->d_name);
	if (strcmp(d->d_name, g->f->name) == 0 || is_bridge_class((uint32_t)number_of(dir, class, g->a)))
		return 0;
	return add_word(&g->f->members, arena_strdup(g->a, d->d_name), g->a, e);
}

static const char *real_path(const char *sysfs, const char *dir, struct arena *a)
{
	cleanup_free char *root = realpath(sysfs, NULL), *path = realpath(dir, NULL);

	return root && path && str_starts(path, root) ? arena_strdup(a, path + strlen(root)) : NULL;
}

int pci_look(const char *sysfs, const char *name, struct pci_function *ret, struct arena *a, struct err *e)
{
	struct pci_function f = { .name = name, .dir = arena_printf(a, "%s/bus/pci/devices/%s", sysfs, name) };
	struct walk w = { &f, a, sysfs, 0, false };
	struct group g = { &f, a };

	if (!f.dir)
		return err_oom(e);
	cleanup_fd int dir = open(f.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, ERR_CONFIG, ENODEV, "this host has no PCI function %s", name);
	f.real = real_path(sysfs, f.dir, a);
	f.class = (uint32_t)number_of(dir, "class", a);
	f.driver = link_name(dir, "driver", a);
	f.override = line_of(dir, "driver_override", a);
	if (str_eq(f.override, "(null)"))
		f.override = NULL;
	f.group = link_name(dir, "iommu_group", a);
	f.vfs = number_of(dir, "sriov_numvfs", a);
	if (!f.real)
		return err_oom(e);
	if (each_entry(dir, "iommu_group/devices", take_member, &g, e) < 0 || each_entry(dir, ".", walk_entry, &w, e) < 0)
		return err_ret(e);
	*ret = f;
	return 0;
}

/* ---- drivers ---- */

static int write_file(const char *sysfs, const char *dir, const char *name, const char *file, const char *text, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/bus/pci/%s/%s/%s", sysfs, dir, name, file);
	return fs_write(AT_FDCWD, path, text, e);
}

/* A driver lets go when nobody has the function open any more, and however long that takes, whoever asks it to cannot be
 * killed.  So that is a child, which holds nothing of ours. */
static int unbind(const char *sysfs, const char *name, struct err *e)
{
	const struct clone_options o = { .cgroup_fd = -1, .want_pidfd = true };
	cleanup_fd int pidfd = -1;
	int status = 0;
	pid_t pid = clone_process(&o, &pidfd, e);

	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		sys_close_range(0, ~0U, 0);
		_exit(write_file(sysfs, "devices", name, "driver/unbind", name, e) < 0 ? e->num & 127 : 0);
	}
	if (poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, UNBIND_MS) <= 0)
		return err_set(e, ERR_STATE, EBUSY, "%s: its driver does not let go: somebody has it open", name);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(e, ERR_KERNEL, WIFEXITED(status) ? WEXITSTATUS(status) : EIO, "%s: unbind from its driver", name);
}

static bool driver_now(const char *sysfs, const char *name, char *ret, size_t size)
{
	cleanup_arena struct arena a = { 0 };
	char path[PATH_MAX];
	const char *word;

	snprintf(path, sizeof path, "%s/bus/pci/devices/%s/driver", sysfs, name);
	word = link_name(AT_FDCWD, path, &a);
	snprintf(ret, size, "%s", word ? word : "");
	return word != NULL;
}

int pci_bind(const char *sysfs, const char *name, const char *override, const char *driver, struct err *e)
{
	char path[PATH_MAX], now[NAME_MAX];

	/* A line without a word takes it away. */
	if (write_file(sysfs, "devices", name, "driver_override", override ? override : "\n", e) < 0)
		return err_ret(e);
	if (driver_now(sysfs, name, now, sizeof now) && (!driver || strcmp(now, driver) != 0) && unbind(sysfs, name, e) < 0)
		return err_ret(e);
	if (!driver)
		return 0;
	snprintf(path, sizeof path, "%s/bus/pci/drivers_probe", sysfs);
	if (!driver_now(sysfs, name, now, sizeof now) && fs_write(AT_FDCWD, path, name, e) < 0)
		return err_ret(e);
	/* Another driver may want it as well. */
	if (driver_now(sysfs, name, now, sizeof now) && strcmp(now, driver) != 0 && unbind(sysfs, name, e) < 0)
		return err_ret(e);
	if (!driver_now(sysfs, name, now, sizeof now) && write_file(sysfs, "drivers", driver, "bind", name, e) < 0)
		return err_wrap(e, "%s", name);
	return 0;
}

/* ---- vfio ---- */

bool pci_has_vfio(const char *sysfs)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/bus/pci/drivers/" PCI_VFIO, sysfs);
	return access(path, F_OK) == 0;
}

static int add_vfio_node(const char *sysfs, const char *class, const char *name, struct nodes *list, struct arena *a, struct err *e)
{
	char path[PATH_MAX];
	const char *numbers;
	long long major, minor;
	struct node n;

	snprintf(path, sizeof path, "%s/class/%s/%s/dev", sysfs, class, name);
	numbers = line_of(AT_FDCWD, path, a);
	if (!numbers || sscanf(numbers, "%lld:%lld", &major, &minor) != 2)
		return err_set(e, ERR_STATE, ENODEV, "there is no /dev/vfio/%s", name);
	n = (struct node){
		.word = arena_printf(a, "vfio/%s:rw", name), .path = arena_printf(a, "/dev/vfio/%s", name), .type = 'c',
		.major = major, .minor = minor,
	};
	return add_node(list, &n, a, e);
}

int pci_vfio_nodes(const char *sysfs, const char *group, struct nodes *ret, struct arena *a, struct err *e)
{
	*ret = (struct nodes){ 0 };
	if (add_vfio_node(sysfs, "misc", "vfio", ret, a, e) < 0 || add_vfio_node(sysfs, "vfio", group, ret, a, e) < 0)
		return err_ret(e);
	return 0;
}
