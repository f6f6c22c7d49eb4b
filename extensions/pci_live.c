// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/pci.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "extensions/values.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"

#define VFIO_DEVICE "anon_inode:[vfio-device]"
#define MAPS_MAX (16 << 20)

/* ---- in use? ---- */

static bool is_node(const struct stat *st, const struct node *n)
{
	return (n->type == 'b' ? S_ISBLK(st->st_mode) : S_ISCHR(st->st_mode)) && st->st_rdev == makedev((unsigned)n->major, (unsigned)n->minor);
}

static bool is_user_of(const char *path, const struct pci_record *given)
{
	char target[64];
	struct stat st;
	ssize_t n = readlink(path, target, sizeof target - 1);

	if (given->vfio && n > 0 && (target[n] = '\0', strcmp(target, VFIO_DEVICE) == 0))
		return true;
	if (stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < given->nodes.n; i++)
		if (is_node(&st, &given->nodes.v[i]))
			return true;
	return false;
}

/* Threads may have descriptors of their own, and a mapping outlives its descriptor. */
static bool thread_uses(const char *thread, const struct pci_record *given)
{
	cleanup_str struct str maps = { 0 };
	cleanup_dir DIR *dir = NULL;
	char path[PATH_MAX];
	struct err ignored;

	snprintf(path, sizeof path, "%s/maps", thread);
	if (given->vfio && fs_read(AT_FDCWD, path, MAPS_MAX, &maps, &ignored) == 0 && strstr(str_cstr(&maps), VFIO_DEVICE))
		return true;
	snprintf(path, sizeof path, "%s/fd", thread);
	dir = opendir(path);
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
		char fd[PATH_MAX];

		if (d->d_name[0] != '.' && snprintf(fd, sizeof fd, "%s/%s", path, d->d_name) < (int)sizeof fd && is_user_of(fd, given))
			return true;
	}
	return false;
}

static bool uses(pid_t pid, const struct pci_record *given)
{
	cleanup_dir DIR *dir = NULL;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	dir = opendir(path);
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
		char thread[NAME_MAX + 64];

		if (d->d_name[0] != '.' && snprintf(thread, sizeof thread, "%s/%s", path, d->d_name) < (int)sizeof thread &&
		    thread_uses(thread, given))
			return true;
	}
	return false;
}

/* A plain word about who has it open, where that can be seen; where not, the driver keeps it. */
static int check_unused(const struct ext_env *env, const struct claim *claim, struct err *e)
{
	pid_t *pids;
	size_t n;

	if ((!claim->pci->vfio && claim->pci->nodes.n == 0) || !env->cg)
		return 0;
	if (cgroup_pids(env->cg, &pids, &n, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < n; i++)
		if (uses(pids[i], claim->pci))
			return err_set(e, ERR_STATE, EBUSY, "process %d of the container uses %s", (int)pids[i], claim->name);
	return 0;
}

/* Whoever drives one function of an IOMMU group reaches what all of them reach. */
static int check_group(const struct pci *now, const struct claim *claim, struct arena *a, struct err *e)
{
	struct pci_function f;

	if (!claim->pci->vfio || pci_look(PCI_SYSFS, claim->name, &f, a, e) < 0)
		return 0;
	for (size_t i = 0; i < f.members.n; i++)
		if (value_listed(&now->functions, f.members.v[i]))
			return err_set(e, ERR_STATE, 0, "%s: its IOMMU group %s has also %s: take all of them, or none", claim->name, f.group,
				       f.members.v[i]);
	return 0;
}

static const struct node_grant nothing;

/* Whether they were made is kept in `nodes`. */
static int change_nodes(struct ext_env *env, const struct nodes *nodes, bool give, struct err *e)
{
	struct node_grant all = { .nodes = *nodes };

	if (nodes->n == 0)
		return 0;
	if (pci_rules(nodes, &all.rules, env->arena, e) < 0)
		return err_ret(e);
	return give ? node_grant_change(env, &nothing, &all, e) : node_grant_change(env, &all, &nothing, e);
}

/* What goes into the container and out of it waits for others, who may be of the container: not under the lock of all. */
static int own_claims(const struct ext_env *env, const char *name, struct claim_list *list, const struct claim **ret, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;

	*ret = NULL;
	if (claims_open(&claims, e) < 0 || claims_list(&claims, list, env->arena, e) < 0)
		return err_ret(e);
	*ret = claims_find(list, PCI_KIND, name);
	if (*ret && (!claim_is_of(*ret, env) || !(*ret)->pci))
		*ret = NULL;
	return 0;
}

static int return_claim(const struct ext_env *env, const struct claim_list *list, const struct claim *claim, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;

	if (claims_open(&claims, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].of, claim->name) && claim_is_of(&list->v[i], env) &&
		    netdev_give_back(&claims, &list->v[i], env->arena, e) < 0)
			return err_ret(e);
	return pci_give_back(&claims, claim, env->arena, e);
}

/* A function that does not go back keeps its nodes; not always its interfaces. */
static int take(struct ext_env *env, const struct pci *now, const char *name, struct err *e)
{
	const struct claim *claim;
	struct claim_list list;
	struct err ignored;

	if (own_claims(env, name, &list, &claim, e) < 0)
		return err_ret(e);
	if (!claim)
		return 0;
	if (check_group(now, claim, env->arena, e) < 0 || check_unused(env, claim, e) < 0 ||
	    change_nodes(env, &claim->pci->nodes, false, e) < 0)
		return err_ret(e);
	if (return_claim(env, &list, claim, e) == 0)
		return 0;
	change_nodes(env, &claim->pci->nodes, true, &ignored);
	return err_ret(e);
}

static bool limits_memory(const struct oci_spec *spec)
{
	for (size_t i = 0; spec && spec->process && i < spec->process->rlimits.n; i++)
		if (spec->process->rlimits.v[i].type == RLIMIT_MEMLOCK)
			return true;
	return false;
}

static int unlock_memory_of(pid_t pid, struct err *e)
{
	static const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	return prlimit(pid, RLIMIT_MEMLOCK, &none, NULL) < 0 && errno != ESRCH ? err_sys(e, "RLIMIT_MEMLOCK of process %d", (int)pid) : 0;
}

static int unlock_memory_of_all(const struct ext_env *env, struct err *e)
{
	pid_t *pids;
	size_t n;

	if (!env->cg || limits_memory(env->spec))
		return 0;
	if (cgroup_pids(env->cg, &pids, &n, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < n; i++)
		if (unlock_memory_of(pids[i], e) < 0)
			return err_ret(e);
	return 0;
}

/* The container's document knows nothing of what came later. */
int pci_further_process(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct pci *p = config;

	(void)saved;
	return p->functions.n && p->mode == MODE_VFIO && !limits_memory(env->spec) ? unlock_memory_of(env->pid, e) : 0;
}

static int interfaces_inside(struct ext_env *env, const char *name, struct err *e)
{
	cleanup_netdev_ends struct netdev_ends ends = NETDEV_ENDS_NONE;
	cleanup_claims struct claims claims = CLAIMS_NONE;
	const struct oci_strs one = { &name, 1 };

	if (!pci_has_interfaces(env, &one))
		return 0;
	if (claims_open(&claims, e) < 0 || netdev_ends_open(&ends, env, e) < 0)
		return err_ret(e);
	return pci_give_interfaces(env, &claims, &ends, name, e);
}

static int claim_new(const struct ext_env *env, const struct pci *p, const char *name, struct nodes *ret, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;
	struct claim_list list;

	if (claims_open(&claims, e) < 0 || claims_list(&claims, &list, env->arena, e) < 0 ||
	    pci_check(env, &list, p, name, e) < 0)
		return err_ret(e);
	return pci_give(env, &claims, p, name, ret, e);
}

/* Which of them were made here: to be known when they are taken away. */
static int record_nodes(const struct ext_env *env, const char *name, const struct nodes *nodes, struct err *e)
{
	cleanup_claims struct claims claims = CLAIMS_NONE;
	const struct claim *claim;
	struct pci_record record;
	struct claim_list list;
	struct claim now;

	if (nodes->n == 0)
		return 0;
	if (claims_open(&claims, e) < 0 || claims_list(&claims, &list, env->arena, e) < 0)
		return err_ret(e);
	claim = claims_find(&list, PCI_KIND, name);
	if (!claim || !claim->pci || !claim_is_of(claim, env))
		return 0;
	now = *claim;
	record = *claim->pci;
	record.nodes = *nodes;
	now.pci = &record;
	return claims_put(&claims, &now, e);
}

static int rest_inside(struct ext_env *env, bool vfio, const char *name, struct err *e)
{
	return vfio ? unlock_memory_of_all(env, e) : interfaces_inside(env, name, e);
}

/* A killed `set` may have left a claim. */
static int add(struct ext_env *env, const struct pci *p, const char *name, struct err *e)
{
	bool vfio = p->mode == MODE_VFIO;
	const struct claim *claim;
	struct claim_list list;
	struct err ignored;
	struct nodes nodes;

	if (own_claims(env, name, &list, &claim, e) < 0)
		return err_ret(e);
	if (claim) {
		nodes = claim->pci->nodes;
		vfio = claim->pci->vfio;
	} else if (claim_new(env, p, name, &nodes, e) < 0) {
		return err_ret(e);
	}
	if (change_nodes(env, &nodes, true, e) == 0) {
		if (record_nodes(env, name, &nodes, e) == 0 && rest_inside(env, vfio, name, e) == 0)
			return 0;
		change_nodes(env, &nodes, false, &ignored);
	}
	if (own_claims(env, name, &list, &claim, &ignored) == 0 && claim)
		return_claim(env, &list, claim, &ignored);
	return err_ret(e);
}

/* How far it came from one list to the other. */
struct progress {
	size_t taken, added;
};

static int change(struct ext_env *env, const struct pci *was, const struct pci *now, struct progress *p, struct err *e)
{
	for (; p->taken < was->functions.n; p->taken++)
		if (!value_listed(&now->functions, was->functions.v[p->taken]) && take(env, now, was->functions.v[p->taken], e) < 0)
			return err_ret(e);
	for (; p->added < now->functions.n; p->added++)
		if (!value_listed(&was->functions, now->functions.v[p->added]) && add(env, now, now->functions.v[p->added], e) < 0)
			return err_ret(e);
	return 0;
}

/* Back again: also what the one that did not go back has lost already. */
static void restore(struct ext_env *env, const struct pci *was, const struct pci *now, const struct progress *p)
{
	struct err ignored;

	for (size_t i = 0; i < p->added; i++)
		if (!value_listed(&was->functions, now->functions.v[i]))
			take(env, was, now->functions.v[i], &ignored);
	for (size_t i = 0; i < p->taken; i++)
		if (!value_listed(&now->functions, was->functions.v[i]))
			add(env, was, was->functions.v[i], &ignored);
	if (p->taken < was->functions.n)
		interfaces_inside(env, was->functions.v[p->taken], &ignored);
}

int pci_update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	struct progress p = { 0 };

	(void)saved;
	if (change(env, was, now, &p, e) == 0)
		return 0;
	restore(env, was, now, &p);
	return err_ret(e);
}
