// SPDX-License-Identifier: LGPL-2.1-or-later

/* Devices of the host for a container (vzctl(8)): devnodes makes the node and permits it, devices only permits.
 *
 *   devnodes   "name:rw ..."          name below /dev; r, w, or none: denied
 *   devices    "c:10:229:rw ..."      type, major, minor or all
 *
 * "q", OpenVZ's right to manage quotas, means nothing to an upstream kernel: it is taken and left out.  The rules stand behind
 * those of the document, in the order of the keys; the last one that speaks of an access wins. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "extensions/node.h"
#include "extensions/registry.h"
#include "extensions/values.h"
#include "oci/rows.h"
#include "runtime/cgroup/cgroup.h"

struct devices {
	struct oci_strs nodes, rules;
};

struct devices_saved {
	struct nodes nodes;
};

static const struct oci_field devices_saved_fields[] = {
	LIST(struct devices_saved, nodes, "nodes", node),
	ROW_END
};
static TABLE(devices_saved);

/* ---- words ---- */

/* "rw", "q", "none" in their canonical form. */
static const char *access_word(const char *text)
{
	static const struct {
		const char *text, *word;
	} words[] = { { "r", "r" }, { "w", "w" }, { "rw", "rw" }, { "wr", "rw" }, { "none", "none" }, { "", "rw" } };
	char letters[8];
	size_t n = 0;

	for (const char *p = text; *p && n < sizeof letters - 1; p++)
		if (*p != 'q')
			letters[n++] = *p;
	letters[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].text, letters) == 0 && (n || strcmp(text, "q") != 0))
			return words[i].word;
	return NULL;
}

static bool below_dev(const char *name, size_t len)
{
	if (len == 0 || name[0] == '/' || len > NAME_MAX)
		return false;
	for (const char *p = name; p < name + len; p += strcspn(p, "/") + 1)
		if (*p == '/' || (*p == '.' && (p[1] == '/' || p + 1 == name + len || (p[1] == '.' && (p[2] == '/' || p + 2 == name + len)))))
			return false;
	return true;
}

static int parse_node(const char *text, void *member, struct arena *a, struct err *e)
{
	const char *colon = strrchr(text, ':'), *access = colon ? access_word(colon + 1) : NULL;
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!access || !below_dev(text, len))
		return err_set(e, ERR_CONFIG, 0, "\"%.64s\" is not NAME:ACCESS with a name below /dev and r, w, rw or none", text);
	*(const char **)member = arena_printf(a, "%.*s:%s", (int)len, text, access);
	return *(const char **)member ? 0 : err_oom(e);
}

struct rule {
	char type;
	int64_t major, minor; /* -1: all */
	const char *access;
};

static int parse_numbers(const char *text, struct rule *ret)
{
	char type = '\0', major[16] = "", minor[16] = "", access[16] = "";
	int without = 0, whole = 0;
	uint32_t n;

	if (sscanf(text, "%c:%15[0-9]:%15[0-9al]%n:%15[rwqnoe]%n", &type, major, minor, &without, access, &whole) < 3 ||
	    text[whole ? whole : without] != '\0' || (type != 'b' && type != 'c'))
		return -1;
	ret->type = type;
	ret->access = access_word(access);
	if (num_u32(major, &n) < 0 || !ret->access)
		return -1;
	ret->major = n;
	ret->minor = -1;
	if (strcmp(minor, "all") == 0)
		return 0;
	if (num_u32(minor, &n) < 0)
		return -1;
	ret->minor = n;
	return 0;
}

static int parse_rule(const char *text, void *member, struct arena *a, struct err *e)
{
	struct rule r;

	if (parse_numbers(text, &r) < 0)
		return err_set(e, ERR_CONFIG, 0, "\"%.64s\" is not TYPE:MAJOR:MINOR[:ACCESS] with b or c, a minor number or all, and "
			       "r, w, rw or none", text);
	*(const char **)member = r.minor < 0 ? arena_printf(a, "%c:%lld:all:%s", r.type, (long long)r.major, r.access)
					     : arena_printf(a, "%c:%lld:%lld:%s", r.type, (long long)r.major,
							    (long long)r.minor, r.access);
	return *(const char **)member ? 0 : err_oom(e);
}

static const struct ext_value value_node = { "NAME:r|w|rw|none", parse_node, value_print_text };
static const struct ext_value value_rule = { "TYPE:MAJOR:MINOR[:ACCESS]", parse_rule, value_print_text };

static const struct ext_row rows[] = {
	{ .name = "devnodes", .kind = EXT_LIST, .flags = EXT_GRANT | EXT_NAMED, .offset = EXT_MEMBER(struct devices, nodes), .value = &value_node,
	  .help = "Devices of the host by their name below /dev, node and permission",
	  .doc = "none denies the permission. One word for a name: a later one replaces it. In a user namespace the host's node is bound, with "
		 "the host's owner and mode. Where /dev is the host's, bound, devices are only permitted; in a directory of the host's below it "
		 "only what was made there is removed." },
	{ .name = "devices", .kind = EXT_LIST, .flags = EXT_GRANT | EXT_NAMED, .offset = EXT_MEMBER(struct devices, rules), .value = &value_rule,
	  .help = "Devices by number, permission only",
	  .doc = "A minor number or all; none denies. One word for a number: a later one replaces it. Devices that every container may use "
		 "(null, zero, full, random, urandom, tty, ptmx, pts, net/tun) cannot be denied." },
	EXT_ROWS_END,
};

/* ---- what they mean ---- */

static int find_node(const struct ext_env *env, const char *word, struct node *ret, struct err *e)
{
	struct stat st;

	*ret = (struct node){ .word = word, .path = arena_printf(env->arena, "/dev/%.*s", (int)(strrchr(word, ':') - word), word) };
	if (!ret->path)
		return err_oom(e);
	if (stat(ret->path, &st) < 0)
		return ext_refuse(env, e, "devnodes", errno == ENOENT ? "this host has no %s" : "%s cannot be looked at", ret->path);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return ext_refuse(env, e, "devnodes", "%s is no device", ret->path);
	ret->type = S_ISBLK(st.st_mode) ? 'b' : 'c';
	ret->major = major(st.st_rdev);
	ret->minor = minor(st.st_rdev);
	return 0;
}

/* Theirs come behind all rules, so that no document takes a terminal away. */
static int check_denial(const struct ext_env *env, const char *key, const char *word, int64_t type, int64_t major, int64_t minor,
			struct err *e)
{
	if (strcmp(strrchr(word, ':') + 1, "none") != 0 || !cgroup_device_is_common((char)type, major, minor))
		return 0;
	return ext_refuse(env, e, key, "%s: every container may use this device", word);
}

static int check_node(const struct ext_env *env, const char *word, struct err *e)
{
	struct node n;

	return find_node(env, word, &n, e) < 0 ? err_ret(e) : check_denial(env, "devnodes", word, n.type, n.major, n.minor, e);
}

static int check_rule(const struct ext_env *env, const char *word, struct err *e)
{
	struct rule r = { 0 };

	parse_numbers(word, &r); /* it was read before */
	return check_denial(env, "devices", word, r.type, r.major, r.minor, e);
}

static struct oci_device_rule rule_of_word(const char *word, struct arena *a)
{
	struct rule r = { 0 };

	parse_numbers(word, &r); /* it was read before */
	return node_rule_for(r.type, r.major, r.minor, r.access, a);
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	const struct devices *d = config;

	for (size_t i = 0; i < d->nodes.n; i++)
		if ((!env->option || ext_wished(env, "devnodes")) && check_node(env, d->nodes.v[i], e) < 0)
			return err_ret(e);
	for (size_t i = 0; i < d->rules.n; i++)
		if ((!env->option || ext_wished(env, "devices")) && check_rule(env, d->rules.v[i], e) < 0)
			return err_ret(e);
	return 0;
}

/* All rules of both keys. */
static int rules_of(const struct nodes *nodes, const struct oci_strs *words, struct oci_device_rules *ret, struct arena *a,
		    struct err *e)
{
	*ret = (struct oci_device_rules){ arena_alloc_n(a, nodes->n + words->n + 1, sizeof *ret->v), 0 };
	if (!ret->v)
		return err_oom(e);
	for (size_t i = 0; i < nodes->n; i++)
		ret->v[ret->n++] = node_rule(&nodes->v[i], a);
	for (size_t i = 0; i < words->n; i++)
		ret->v[ret->n++] = rule_of_word(words->v[i], a);
	return 0;
}

static int find_nodes(const struct ext_env *env, const struct oci_strs *words, const struct nodes *known, struct nodes *ret,
		      struct err *e)
{
	ret->v = arena_alloc_n(env->arena, words->n + 1, sizeof *ret->v);
	ret->n = 0;
	if (!ret->v)
		return err_oom(e);
	for (size_t i = 0; i < words->n; i++) {
		struct node *n = &ret->v[ret->n++];
		size_t k = 0;

		while (k < known->n && strcmp(known->v[k].word, words->v[i]) != 0)
			k++;
		if (k < known->n)
			*n = known->v[k];
		else if (find_node(env, words->v[i], n, e) < 0)
			return err_ret(e);
	}
	return 0;
}

static int prepare(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	static const struct nodes unknown;
	const struct devices *d = config;
	struct devices_saved *s = saved;
	struct oci_device_rules rules;

	if (find_nodes(env, &d->nodes, &unknown, &s->nodes, e) < 0)
		return err_ret(e);
	for (size_t i = 0; i < s->nodes.n; i++)
		if (node_to_document(env, &s->nodes.v[i], e) < 0)
			return err_ret(e);
	if (rules_of(&s->nodes, &d->rules, &rules, env->arena, e) < 0)
		return err_ret(e);
	return node_rules_to_document(env, &rules, e);
}

/* ---- a container that lives ---- */

static int update(struct ext_env *env, const void *was, const void *now, void *saved, struct err *e)
{
	const struct devices *old = was, *new = now;
	struct devices_saved *s = saved;
	struct node_grant before = { .nodes = s->nodes }, after;

	if (find_nodes(env, &new->nodes, &s->nodes, &after.nodes, e) < 0 ||
	    rules_of(&before.nodes, &old->rules, &before.rules, env->arena, e) < 0 ||
	    rules_of(&after.nodes, &new->rules, &after.rules, env->arena, e) < 0 || node_grant_change(env, &before, &after, e) < 0)
		return err_ret(e);
	s->nodes = after.nodes;
	return 0;
}

const struct ext ext_devices = {
	.name = "devices",
	.rows = rows,
	.config_size = sizeof(struct devices),
	.saved = &devices_saved_type,
	.validate = validate,
	.apply = { [EXT_PREPARE] = prepare },
	.update = update,
};
