// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/node.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "oci/rows.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/linux/mountinfo.h"
#include "runtime/linux/ns.h"
#include "runtime/linux/rootfs.h"

#define NODE_MODE 0600

static const struct oci_field node_fields[] = {
	STR(struct node, word, "word"),
	STR(struct node, path, "path"),
	I64(struct node, type, "type"),
	I64(struct node, major, "major"),
	I64(struct node, minor, "minor"),
	OPT_BOOL(struct node, made, "made"),
	ROW_END
};
TABLE(node);

static const char *access_of(const struct node *n)
{
	return strrchr(n->word, ':') + 1;
}

static bool is_denied(const struct node *n)
{
	return strcmp(access_of(n), "none") == 0;
}

struct oci_device_rule node_rule_for(int64_t type, int64_t major, int64_t minor, const char *access, struct arena *a)
{
	bool allow = strcmp(access, "none") != 0;

	return (struct oci_device_rule){
		.allow = allow,
		.type = type,
		.major = { .v = major, .set = true },
		.minor = { .v = minor, .set = true },
		.access = allow ? arena_printf(a, "%sm", access) : "rwm",
	};
}

struct oci_device_rule node_rule(const struct node *n, struct arena *a)
{
	return node_rule_for(n->type, n->major, n->minor, access_of(n), a);
}

/* The kept document has ours among its own: these have the type in their mode, and no owner.  Who writes the type there, which
 * has a field of its own, has taken it from stat(2), and the owner with it. */
static uint64_t mode_of(int64_t type)
{
	return NODE_MODE | (type == 'b' ? S_IFBLK : S_IFCHR);
}

static bool is_ours(const struct oci_device *d)
{
	return d->file_mode.v == mode_of(d->type) && !d->uid.set && !d->gid.set;
}

static struct oci_device device_of(const struct node *n)
{
	return (struct oci_device){
		.path = n->path, .type = n->type, .major = { .v = n->major, .set = true }, .minor = { .v = n->minor, .set = true },
		.file_mode = { .v = mode_of(n->type), .set = true },
	};
}

static bool is_in_document(const struct ext_env *env, const struct node *n)
{
	static const struct oci_devices none;
	const struct oci_devices *list = env->spec && env->spec->linux ? &env->spec->linux->devices : &none;

	for (size_t i = 0; i < list->n; i++) {
		const struct oci_device *d = &list->v[i];

		if (str_eq(d->path, n->path) && d->type == n->type && d->major.v == n->major && d->minor.v == n->minor && !is_ours(d))
			return true;
	}
	return false;
}

void node_mark(const struct ext_env *env, struct node *n)
{
	if (is_in_document(env, n))
		n->made = (struct opt_bool){ .v = false, .set = true };
}

/* ---- creation: they become devices and rules of the document ---- */

int node_device_to_document(struct ext_env *env, const struct oci_device *d, struct err *e)
{
	struct oci_devices *list = &env->spec->linux->devices;
	struct oci_device *more = arena_alloc_n(env->arena, list->n + 1, sizeof *more);

	if (!more)
		return err_oom(e);
	if (list->n)
		memcpy(more, list->v, list->n * sizeof *more);
	more[list->n] = *d;
	*list = (struct oci_devices){ more, list->n + 1 };
	return 0;
}

int node_to_document(struct ext_env *env, struct node *n, struct err *e)
{
	const struct oci_device d = device_of(n);

	node_mark(env, n);
	return is_denied(n) || n->made.set ? 0 : node_device_to_document(env, &d, e);
}

static int joined(const struct oci_device_rules *x, const struct oci_device_rules *y, struct oci_device_rules *ret,
		  struct arena *a, struct err *e)
{
	struct oci_device_rule *v = arena_alloc_n(a, x->n + y->n + 1, sizeof *v);

	if (!v)
		return err_oom(e);
	if (x->n)
		memcpy(v, x->v, x->n * sizeof *v);
	if (y->n)
		memcpy(v + x->n, y->v, y->n * sizeof *v);
	*ret = (struct oci_device_rules){ v, x->n + y->n };
	return 0;
}

int node_rules_to_document(struct ext_env *env, const struct oci_device_rules *more, struct err *e)
{
	struct oci_device_rules *rules = &env->spec->linux->resources->devices;

	return joined(rules, more, rules, env->arena, e);
}

/* ---- a container that lives ---- */

struct job {
	struct oci_device device;
	int tree;
	bool add, made;
	uint32_t uid, gid; /* root's of the container's user namespace */
};

static int inside(void *arg, struct err *e)
{
	struct job *job = arg;
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_sys(e, "the container's root");
	/* A file system of a user namespace takes files only of who has an id in it. */
	setfsgid(job->gid);
	setfsuid(job->uid);
	return job->add ? dev_add(root, &job->device, job->tree, &job->made, e) : dev_remove(root, &job->device, e);
}

/* "0 100000 65536": the host's id of id 0; its own where there is none. */
static uint32_t root_id(const struct ext_env *env, const char *file)
{
	cleanup_str struct str text = { 0 };
	char path[64];
	struct err ignored;
	unsigned from, to;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)env->pid, file);
	if (fs_read(AT_FDCWD, path, 65536, &text, &ignored) < 0)
		return 0;
	for (const char *p = str_cstr(&text); *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (sscanf(p, "%u %u", &from, &to) == 2 && from == 0)
			return to;
	return 0;
}

static bool in_user_namespace(const struct ext_env *env)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)env->pid);
	return !ns_is_own(path, CLONE_NEWUSER);
}

/* Whose the directory of a node is.  HOSTS: as at creation nothing is made where /dev is not the container's; and there is one
 * devtmpfs only, in which the host's own driver makes and removes nodes.  SHARED: a directory of the host's that is bound. */
enum place { PLACE_OWN, PLACE_SHARED, PLACE_HOSTS };

static bool is_child(const struct mountinfos *list, const struct mountinfo *m, const struct mountinfo *parent)
{
	if (parent)
		return m != parent && m->parent == parent->id;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].id == m->parent && &list->v[i] != m)
			return false;
	return true;
}

/* From mount to mount, since the kernel's order says nothing of what covers what.  Of two on one mount the shorter covers. */
static const struct mountinfo *mount_of(const struct mountinfos *list, const char *dir)
{
	const struct mountinfo *ret = NULL, *next;

	do {
		next = NULL;
		for (size_t i = 0; i < list->n; i++) {
			const struct mountinfo *m = &list->v[i];

			if (path_below(m->point, dir) && is_child(list, m, ret) && (!next || strlen(m->point) < strlen(next->point)))
				next = m;
		}
		ret = next ? next : ret;
	} while (next);
	return ret;
}

static bool is_devtmpfs(const struct mountinfo *m)
{
	return m && strcmp(m->fs, "devtmpfs") == 0;
}

/* The root is always of a file system of the host's, and given to the container. */
static bool is_bound(const struct mountinfos *host, const struct mountinfo *m)
{
	return m && strcmp(m->point, "/") != 0 && mountinfo_has_device(host, m);
}

static int find_place(const struct ext_env *env, const struct node *n, enum place *ret, struct err *e)
{
	const char *dir = arena_printf(env->arena, "%.*s", (int)(strrchr(n->path, '/') - n->path), n->path);
	const struct mountinfo *dev, *m;
	struct mountinfos inside, host;

	if (!dir)
		return err_oom(e);
	if (mountinfo_read(env->pid, &inside, env->arena, e) < 0 || mountinfo_read(0, &host, env->arena, e) < 0)
		return err_ret(e);
	dev = mount_of(&inside, "/dev");
	m = mount_of(&inside, dir);
	if (is_devtmpfs(dev) || is_bound(&host, dev) || is_devtmpfs(m))
		*ret = PLACE_HOSTS;
	else
		*ret = is_bound(&host, m) ? PLACE_SHARED : PLACE_OWN;
	return 0;
}

static bool may_remove(const struct node *n, enum place place)
{
	return n->made.set ? n->made.v : place == PLACE_OWN;
}

/* What is there already, and not by the document, may be another extension's: then whoever is the last removes it. */
static void keep_made(const struct ext_env *env, struct node *n, bool made)
{
	n->made = (struct opt_bool){ .v = made, .set = made };
	if (!made)
		node_mark(env, n);
}

/* In a user namespace the host's node is bound: one made there could not be opened. */
static int change_node(const struct ext_env *env, struct node *n, bool add, struct err *e)
{
	cleanup_fd int tree = -1;
	enum place place = PLACE_HOSTS;
	struct job job = { .device = device_of(n), .add = add, .uid = root_id(env, "uid_map"), .gid = root_id(env, "gid_map") };

	if (is_denied(n))
		return 0;
	if (find_place(env, n, &place, e) < 0)
		return err_ret(e);
	if (place == PLACE_HOSTS || (!add && !may_remove(n, place)))
		return 0;
	if (add && in_user_namespace(env)) {
		tree = dev_clone(n->path, e);
		if (tree < 0)
			return tree;
	}
	job.tree = tree;
	if (ns_call(env->pid, env->pidfd, CLONE_NEWNS, inside, &job, sizeof job, e) < 0)
		return err_ret(e);
	if (add)
		keep_made(env, n, job.made);
	return 0;
}

/* ---- rules ---- */

static bool same_number(const struct opt_i64 *x, const struct opt_i64 *y)
{
	return x->set == y->set && (!x->set || x->v == y->v);
}

static bool same_device(const struct oci_device_rule *x, const struct oci_device_rule *y)
{
	return x->type == y->type && same_number(&x->major, &y->major) && same_number(&x->minor, &y->minor);
}

static bool same_rule(const struct oci_device_rule *x, const struct oci_device_rule *y)
{
	return x->allow == y->allow && same_device(x, y) && str_eq(x->access, y->access);
}

/* The last that is equal: those of extensions stand behind the document's. */
static void take_out(struct oci_device_rules *list, const struct oci_device_rule *rule)
{
	size_t at = list->n;

	while (at > 0 && !same_rule(&list->v[at - 1], rule))
		at--;
	if (at == 0)
		return;
	for (; at < list->n; at++)
		list->v[at - 1] = list->v[at];
	list->n--;
}

/* The rules in force without an extension's own. */
static int rules_of_others(const struct ext_env *env, const struct oci_device_rules *own, struct oci_device_rules *ret, struct err *e)
{
	static const struct oci_device_rules none;

	if (joined(env->resources ? &env->resources->devices : &none, &none, ret, env->arena, e) < 0)
		return err_ret(e);
	for (size_t i = own->n; i-- > 0;)
		take_out(ret, &own->v[i]);
	return 0;
}

static int change_rules(struct ext_env *env, const struct oci_device_rules *others, const struct oci_device_rules *own, struct err *e)
{
	struct oci_device_rules all;

	return joined(others, own, &all, env->arena, e) < 0 ? err_ret(e) : env->set_devices(env, &all, e);
}

/* ---- both ---- */

static bool same_node(const struct node *x, const struct node *y)
{
	return strcmp(x->path, y->path) == 0 && x->type == y->type && x->major == y->major && x->minor == y->minor;
}

/* Whatever the access: the node is the same. */
static const struct node *find_among(const struct node *n, const struct nodes *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!is_denied(&list->v[i]) && same_node(n, &list->v[i]))
			return &list->v[i];
	return NULL;
}

/* What stays was made when it came. */
static void take_over(const struct nodes *new, const struct nodes *old)
{
	for (size_t i = 0; i < new->n; i++) {
		const struct node *same = find_among(&new->v[i], old);

		if (same && !is_denied(&new->v[i]))
			new->v[i].made = same->made;
	}
}

/* A device that a rule of others allows by its number: the node is the document's too, or another extension's. */
static bool is_of_others(const struct node *n, const struct oci_device_rules *others)
{
	const struct oci_device_rule device = node_rule_for(n->type, n->major, n->minor, "none", NULL);

	for (size_t i = 0; i < others->n; i++)
		if (others->v[i].allow && same_device(&others->v[i], &device))
			return true;
	return false;
}

/* Of the first `n` of `a` those that `b` has not; returns the number that it came to. */
static size_t add_nodes(const struct ext_env *env, const struct nodes *a, size_t n, const struct nodes *b, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!find_among(&a->v[i], b) && change_node(env, &a->v[i], true, e) < 0)
			return i;
	return n;
}

static size_t remove_nodes(const struct ext_env *env, const struct nodes *a, size_t n, const struct nodes *b,
			   const struct oci_device_rules *others, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!find_among(&a->v[i], b) && !is_of_others(&a->v[i], others) && change_node(env, &a->v[i], false, e) < 0)
			return i;
	return n;
}

/* Permission before the node, the node's end before that of the permission: nobody finds one that may not be opened. */
int node_grant_change(struct ext_env *env, const struct node_grant *was, const struct node_grant *now, struct err *e)
{
	const struct nodes *old = &was->nodes, *new = &now->nodes;
	struct oci_device_rules others;
	struct err ignored;
	size_t done;

	if (rules_of_others(env, &was->rules, &others, e) < 0)
		return err_ret(e);
	take_over(new, old);
	done = remove_nodes(env, old, old->n, new, &others, e);
	if (done < old->n || change_rules(env, &others, &now->rules, e) < 0) {
		add_nodes(env, old, done, new, &ignored);
		return err_ret(e);
	}
	done = add_nodes(env, new, new->n, old, e);
	if (done == new->n)
		return 0;
	remove_nodes(env, new, done, old, &others, &ignored);
	change_rules(env, &others, &was->rules, &ignored);
	add_nodes(env, old, old->n, new, &ignored);
	return err_ret(e);
}
