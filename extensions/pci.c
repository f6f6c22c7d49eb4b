// SPDX-License-Identifier: LGPL-2.1-or-later

/* PCI functions of the host for a container (vzctl(8), --pci_add), with whatever a function has:
 *
 *   network interfaces    move in (netdev.c)
 *   device nodes          are made and permitted: DRM, NVMe, sound, RDMA, accelerators ...
 *   pci-mode vfio         the function itself, bound to vfio-pci: /dev/vfio/GROUP, for a program that drives it
 *
 * There is no PCI namespace: sysfs shows every function of the host, read-only.  pci-sysfs rw makes the directories of the
 * container's own ones writable. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extensions/pci.h"
#include "extensions/registry.h"
#include "extensions/values.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/sys.h"

#define MODPROBE_MS 10000
#define CLASS_NETWORK 0x02

static const char *const mode_words[] = { [MODE_UNSET] = "", [MODE_AUTO] = "auto", [MODE_VFIO] = "vfio", NULL };
static const char *const sysfs_words[] = { [SYSFS_UNSET] = "", [SYSFS_RO] = "ro", [SYSFS_RW] = "rw", NULL };

/* ---- words ---- */

static int parse_function(const char *text, void *member, struct arena *a, struct err *e)
{
	return pci_parse(text, member, a, e);
}

static const struct ext_value value_function = { "[dddd:]bb:dd.f", parse_function, value_print_text };
VALUE_CHOICE(value_mode, mode_words, "auto|vfio")
VALUE_CHOICE(value_sysfs, sysfs_words, "ro|rw")

static const struct ext_row rows[] = {
	{ .name = "pci", .kind = EXT_LIST, .flags = EXT_GRANT, .offset = EXT_MEMBER(struct pci, functions), .value = &value_function,
	  .help = "PCI functions of the host",
	  .doc = "Their network interfaces move in, their device nodes are made and permitted. They go back to the driver that they came "
		 "from when they are taken away, when the container is deleted, when a foreground run ends, and by `vzrun reconcile`. "
		 "Bridges and what the host or another container uses are refused. None may be given at a checkpoint." },
	{ .name = "pci-mode", .flags = EXT_GRANT, .offset = EXT_MEMBER(struct pci, mode), .value = &value_mode,
	  .help = "How functions are given: what their driver makes of them, or themselves (vfio-pci)",
	  .doc = "With vfio: /dev/vfio/GROUP for all functions of an IOMMU group, and no limit of locked memory; functions that are bound to "
		 "vfio-pci already are given only so, and stay bound. Counts for functions that are given from then on." },
	{ .name = "pci-sysfs", .flags = EXT_GRANT | EXT_COLD, .offset = EXT_MEMBER(struct pci, sysfs), .value = &value_sysfs,
	  .help = "Whether the directories in /sys of the functions given at creation can be written",
	  .doc = "Whoever may write there can also reset, remove and rebind these functions. Driver and driver_override are as before when they "
		 "come back." },
	EXT_ROWS_END,
};

/* ---- may it go? ---- */

/* The kernel's own word: whatever has a file system, swap space or a volume on it holds it exclusively. */
static int check_disk(const struct node *n, struct err *e)
{
	if (n->type != 'b')
		return 0;
	cleanup_fd int fd = open(n->path, O_RDONLY | O_EXCL | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return err_set(e, ERR_STATE, EBUSY, "the host uses %s", n->path);
	if (fd < 0 && errno != ENOMEDIUM)
		return err_set(e, ERR_STATE, errno, "whether the host uses %s cannot be seen: %s", n->path, strerror(errno));
	return 0;
}

/* Interfaces that are elsewhere do not show below their function. */
static int check_lent(const struct claim_list *claims, const struct pci_function *f, struct err *e)
{
	for (size_t i = 0; i < claims->n; i++) {
		const struct claim *c = &claims->v[i];

		if (c->netdev && (str_eq(c->netdev->bus, f->name) || str_eq(c->of, f->name)))
			return err_set(e, ERR_STATE, EBUSY, "its interface %s is lent to container %s (%s)", c->name, c->id, c->root);
	}
	if (f->class >> 16 == CLASS_NETWORK && f->driver && !str_eq(f->driver, PCI_VFIO) && f->interfaces.n == 0)
		return err_set(e, ERR_STATE, EBUSY, "its interface is in another network namespace, or not there yet");
	return 0;
}

static int check_free(const struct ext_env *env, const struct claim_list *claims, const struct pci_function *f, struct err *e)
{
	if (check_lent(claims, f, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < f->nodes.n; i++)
		if (check_disk(&f->nodes.v[i], e) < 0)
			return err_ret(e);
	for (size_t i = 0; i < f->interfaces.n; i++)
		if (netdev_may_lend(env, claims, f->interfaces.v[i], e) < 0)
			return err_ret(e);
	return 0;
}

static int check_vfio(const struct pci_function *f, const struct pci *p, struct err *e)
{
	cleanup_str struct str others = { 0 };

	if (!f->group)
		return err_set(e, ERR_STATE, 0, "is in no IOMMU group: this host has no IOMMU, or it is off (intel_iommu=on, amd_iommu=on)");
	if (f->vfs)
		return err_set(e, ERR_STATE, EBUSY, "has %llu virtual functions enabled", (unsigned long long)f->vfs);
	for (size_t i = 0; i < f->members.n; i++)
		if (!value_listed(&p->functions, f->members.v[i]))
			str_addf(&others, "%s%s", others.len ? ", " : "", f->members.v[i]);
	if (others.len)
		return err_set(e, ERR_STATE, 0, "its IOMMU group %s has also %s: give all of them, or none", f->group, str_cstr(&others));
	return 0;
}

/* What vfio-pci has would go without its group, and without anybody who looks whether it is in use. */
static int check_auto(const struct pci_function *f, struct err *e)
{
	if (str_eq(f->driver, PCI_VFIO))
		return err_set(e, ERR_STATE, 0, "is bound to " PCI_VFIO ": pci-mode vfio gives it");
	if (f->interfaces.n || f->nodes.n)
		return 0;
	return err_set(e, ERR_STATE, 0, "has neither network interfaces nor device nodes here (driver: %s); pci-mode vfio gives the "
		       "function itself", f->driver ? f->driver : "none");
}

int pci_check(const struct ext_env *env, const struct claim_list *claims, const struct pci *p, const char *name, struct err *e)
{
	const struct claim *claim = claims_find(claims, PCI_KIND, name);
	struct pci_function f;

	if (claim && claim_is_of(claim, env))
		return 0;
	if (claim)
		return err_set(e, ERR_STATE, EBUSY, "%s is given to container %s (%s)", name, claim->id, claim->root);
	if (pci_look(PCI_SYSFS, name, &f, env->arena, e) < 0)
		return err_ret(e);
	if (pci_is_bridge(&f))
		return err_set(e, ERR_STATE, 0, "%s is a bridge", name);
	if (check_free(env, claims, &f, e) < 0 || (p->mode == MODE_VFIO ? check_vfio(&f, p, e) : check_auto(&f, e)) < 0)
		return err_wrap(e, "%s", name);
	if (p->mode != MODE_VFIO && f.interfaces.n && !env->option && !oci_namespace(env->spec, CLONE_NEWNET))
		return err_set(e, ERR_CONFIG, 0, "%s has network interfaces: needs a network namespace in /linux/namespaces", name);
	return 0;
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;
	const struct pci *p = config;
	struct claim_list list = { 0 };
	struct err why;

	if (p->functions.n == 0 || (env->option && !ext_wished(env, "pci")))
		return 0;
	if (claims_open_any(&claims, e) < 0 || (claims.dir >= 0 && claims_list(&claims, &list, env->arena, e) < 0))
		return err_ret(e);
	for (size_t i = 0; i < p->functions.n; i++)
		if (pci_check(env, &list, p, p->functions.v[i], &why) < 0)
			return ext_refuse(env, e, "pci", "%s", why.text);
	return 0;
}

/* ---- vfio ---- */

static int load_vfio(struct err *e)
{
	char modprobe[] = "/sbin/modprobe", driver[] = PCI_VFIO, path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const args[] = { modprobe, driver, NULL }, *const environment[] = { path, NULL };
	struct pollfd p = { .events = POLLIN };
	pid_t pid;

	if (pci_has_vfio(PCI_SYSFS))
		return 0;
	if (posix_spawn(&pid, modprobe, NULL, NULL, args, environment) != 0)
		return err_set(e, ERR_STATE, 0, "the driver " PCI_VFIO " is not there, and modprobe cannot be run");
	cleanup_fd int pidfd = sys_pidfd_open(pid, 0);
	p.fd = pidfd;
	if (poll(&p, 1, MODPROBE_MS) <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return pci_has_vfio(PCI_SYSFS) ? 0 : err_set(e, ERR_STATE, ENODEV, "this kernel has no driver " PCI_VFIO);
}

static int bind_vfio(const struct pci_function *f, struct nodes *ret, struct arena *a, struct err *e)
{
	if (load_vfio(e) < 0 || pci_bind(PCI_SYSFS, f->name, PCI_VFIO, PCI_VFIO, e) < 0)
		return err_ret(e);
	return pci_vfio_nodes(PCI_SYSFS, f->group, ret, a, e);
}

/* ---- given and given back ---- */

/* Also what was not bound by us: with pci-sysfs rw those inside may have changed it. */
int pci_give_back(const struct claims *claims, const struct claim *claim, struct arena *a, struct err *e)
{
	const struct pci_record *was = claim->pci;
	struct pci_function f;

	if (was && pci_look(PCI_SYSFS, claim->name, &f, a, e) < 0)
		log_warn("PCI function %s is no more", claim->name);
	else if (was && !(str_eq(f.driver, was->driver) && str_eq(f.override, was->override)) &&
		 pci_bind(PCI_SYSFS, claim->name, was->override, was->driver, e) < 0)
		return err_wrap(e, "%s", claim->name);
	claims_drop(claims, claim);
	return 0;
}

/* What it was before it was ours: a claim of this container that is there already knows better than sysfs does now. */
static int remember(const struct ext_env *env, const struct claims *claims, const struct pci_function *f, struct pci_record *ret, struct err *e)
{
	const struct claim *claim;
	struct claim_list list;

	if (claims_list(claims, &list, env->arena, e) < 0)
		return err_ret(e);
	claim = claims_find(&list, PCI_KIND, f->name);
	if (!claim || !claim->pci || !claim_is_of(claim, env))
		claim = NULL;
	ret->driver = claim ? claim->pci->driver : f->driver;
	ret->override = claim ? claim->pci->override : f->override;
	return 0;
}

/* Claimed first: what was done after it can be undone by whoever finds the claim. */
int pci_give(const struct ext_env *env, const struct claims *claims, const struct pci *p, const char *name, struct nodes *ret,
		struct err *e)
{
	struct pci_record record = { .vfio = p->mode == MODE_VFIO };
	struct claim claim = { .kind = PCI_KIND, .name = name, .root = claims_root(env), .id = env->id, .pci = &record };
	struct pci_function f;
	struct err ignored;
	int r;

	if (!claim.root)
		return err_oom(e);
	if (pci_look(PCI_SYSFS, name, &f, env->arena, e) < 0 || remember(env, claims, &f, &record, e) < 0)
		return err_ret(e);
	r = claims_put(claims, &claim, e);
	if (r == 0 && p->mode == MODE_VFIO)
		r = bind_vfio(&f, &record.nodes, env->arena, e);
	else if (r == 0)
		record.nodes = f.nodes;
	for (size_t i = 0; i < record.nodes.n; i++)
		node_mark(env, &record.nodes.v[i]);
	if (r == 0)
		r = claims_put(claims, &claim, e);
	*ret = record.nodes;
	if (r < 0)
		pci_give_back(claims, &claim, env->arena, &ignored);
	return r < 0 ? err_wrap(e, "%s", name) : 0;
}

static int reclaim(struct ext_env *env, struct err *e)
{
	return claims_reclaim(env, PCI_KIND, pci_give_back, e);
}

static void undo_recorded(struct ext_env *env, const void *config, const void *saved)
{
	(void)config;
	(void)saved;
	claims_undo(env, PCI_KIND, pci_give_back);
}

int pci_give_interfaces(const struct ext_env *env, const struct claims *claims, struct netdev_ends *ends, const char *name, struct err *e)
{
	struct pci_function f;

	if (pci_look(PCI_SYSFS, name, &f, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < f.interfaces.n; i++)
		if (netdev_lend_to(env, claims, ends, f.interfaces.v[i], name, e) < 0)
			return err_wrap(e, "%s", name);
	return 0;
}

static void undo_interfaces(struct ext_env *env, const void *config, const void *saved)
{
	(void)config;
	(void)saved;
	claims_undo(env, NETDEV_KIND, netdev_give_back);
}

/* ---- creation ---- */

static int add_mount(struct ext_env *env, const char *path, struct err *e)
{
	static const char *const options[] = { "bind", "rw", "nosuid", "nodev", "noexec" };
	struct oci_mounts *list = &env->spec->mounts;
	struct oci_mount *more = arena_alloc_n(env->arena, list->n + 1, sizeof *more);
	const char **copy = arena_alloc_n(env->arena, ARRAY_SIZE(options), sizeof *copy);

	if (!more || !copy || !path)
		return err_oom(e);
	memcpy(copy, options, sizeof options);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = (struct oci_mount){ .destination = path, .type = "bind", .source = path, .options = { copy, ARRAY_SIZE(options) } };
	*list = (struct oci_mounts){ more, list->n + 1 };
	return 0;
}

static bool has_sysfs(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->mounts.n; i++)
		if (str_eq(spec->mounts.v[i].destination, "/sys"))
			return true;
	return false;
}

static int open_sysfs(struct ext_env *env, const struct pci *p, struct err *e)
{
	struct pci_function f;

	if (!has_sysfs(env->spec))
		return ext_refuse(env, e, "pci-sysfs", "the container has no /sys");
	for (size_t i = 0; i < p->functions.n; i++)
		if (pci_look(PCI_SYSFS, p->functions.v[i], &f, env->arena, e) < 0 ||
		    add_mount(env, arena_printf(env->arena, PCI_SYSFS "%s", f.real), e) < 0)
			return err_ret(e);
	return 0;
}

/* vfio locks all memory that a function may reach.  What the document says of it holds. */
static int unlock_memory(struct ext_env *env, struct err *e)
{
	struct oci_process *process = env->spec->process;
	struct oci_rlimit *more;

	if (!process)
		return 0;
	for (size_t i = 0; i < process->rlimits.n; i++)
		if (process->rlimits.v[i].type == RLIMIT_MEMLOCK)
			return 0;
	more = arena_alloc_n(env->arena, process->rlimits.n + 1, sizeof *more);
	if (!more)
		return err_oom(e);
	if (process->rlimits.n)
		memcpy(more, process->rlimits.v, process->rlimits.n * sizeof *more);
	more[process->rlimits.n] = (struct oci_rlimit){ RLIMIT_MEMLOCK, UINT64_MAX, UINT64_MAX };
	process->rlimits = (struct oci_rlimits){ more, process->rlimits.n + 1 };
	return 0;
}

static int prepare(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct pci *p = config;

	(void)saved;
	if (p->functions.n && p->mode == MODE_VFIO && unlock_memory(env, e) < 0)
		return err_ret(e);
	return p->functions.n && p->sysfs == SYSFS_RW ? open_sysfs(env, p, e) : 0;
}

int pci_rules(const struct nodes *nodes, struct oci_device_rules *ret, struct arena *a, struct err *e)
{
	*ret = (struct oci_device_rules){ arena_alloc_n(a, nodes->n + 1, sizeof *ret->v), 0 };
	if (!ret->v)
		return err_oom(e);
	for (size_t i = 0; i < nodes->n; i++)
		ret->v[ret->n++] = node_rule(&nodes->v[i], a);
	return 0;
}

/* Functions of a group share a node. */
static bool in_document(const struct ext_env *env, const struct node *n)
{
	const struct oci_devices *list = &env->spec->linux->devices;

	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].path, n->path))
			return true;
	return false;
}

static int nodes_to_document(struct ext_env *env, struct nodes *nodes, struct err *e)
{
	struct oci_device_rules rules;

	for (size_t i = 0; i < nodes->n; i++)
		if (!in_document(env, &nodes->v[i]) && node_to_document(env, &nodes->v[i], e) < 0)
			return err_ret(e);
	if (pci_rules(nodes, &rules, env->arena, e) < 0)
		return err_ret(e);
	return node_rules_to_document(env, &rules, e);
}

static int give_all(struct ext_env *env, const struct pci *p, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;
	struct claim_list list;
	struct nodes nodes;

	if (claims_open(&claims, e) < 0 || claims_list(&claims, &list, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < p->functions.n; i++)
		if (pci_check(env, &list, p, p->functions.v[i], e) < 0 || pci_give(env, &claims, p, p->functions.v[i], &nodes, e) < 0 ||
		    nodes_to_document(env, &nodes, e) < 0)
			return err_ret(e);
	return 0;
}

/* What a container of this name could not give back at its end. */
static int reclaim_former(struct ext_env *env, struct err *e)
{
	return claims_reclaim(env, NETDEV_KIND, netdev_give_back, e) < 0 ? err_ret(e) : reclaim(env, e);
}

static int recorded(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct pci *p = config;
	int r;

	if (p->functions.n == 0)
		return 0;
	r = reclaim_former(env, e);
	if (r == 0)
		r = give_all(env, p, e);
	if (r < 0)
		undo_recorded(env, config, saved);
	return r;
}

static int interfaces_of_all(struct ext_env *env, const struct pci *p, struct err *e)
{
	cleanup_netdev_ends struct netdev_ends ends = NETDEV_ENDS_NONE;
	cleanup_claims struct claims claims = CLAIMS_NONE;

	if (claims_open(&claims, e) < 0 || netdev_ends_open(&ends, env, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < p->functions.n; i++)
		if (pci_give_interfaces(env, &claims, &ends, p->functions.v[i], e) < 0)
			return err_ret(e);
	return 0;
}

bool pci_has_interfaces(const struct ext_env *env, const struct oci_strs *functions)
{
	struct pci_function f;
	struct err ignored;

	for (size_t i = 0; i < functions->n; i++)
		if (pci_look(PCI_SYSFS, functions->v[i], &f, env->arena, &ignored) == 0 && f.interfaces.n)
			return true;
	return false;
}

static int namespaces(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct pci *p = config;
	int r = pci_has_interfaces(env, &p->functions) ? interfaces_of_all(env, p, e) : 0;

	if (r < 0)
		undo_interfaces(env, config, saved);
	return r;
}

/* What a program inside has made of it CRIU does not see. */
static int refuse_checkpoint(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct pci *p = config;

	(void)saved;
	return p->functions.n ? claims_refuse_checkpoint(env, "pci", p->functions.v[0], e) : 0;
}

const struct ext ext_pci = {
	.name = "pci",
	.rows = rows,
	.config_size = sizeof(struct pci),
	.validate = validate,
	.apply = { [EXT_PREPARE] = prepare, [EXT_RECORDED] = recorded, [EXT_NS_READY] = namespaces, [EXT_EXEC] = pci_further_process,
		   [EXT_CHECKPOINT] = refuse_checkpoint },
	.undo = { [EXT_RECORDED] = undo_recorded, [EXT_NS_READY] = undo_interfaces },
	.update = pci_update,
	.reclaim = reclaim,
};
