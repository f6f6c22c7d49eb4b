// SPDX-License-Identifier: LGPL-2.1-or-later

/* capability and features (vzctl(8)): what a container may do besides what its document grants.
 *
 * OpenVZ's kernel has a switch for each feature.  Upstream a feature is what it takes: a capability, a device, a namespace of
 * its own.  What that cannot give is refused with what is missing, and what cannot be kept from who has the capability for
 * something else is a warning. */

#include "extensions/privileges.h"

#include <ctype.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#include "extensions/node.h"
#include "extensions/registry.h"
#include "oci/names.h"

#define BIT(n) (UINT64_C(1) << (n))
#define VE_ADMIN 30 /* of OpenVZ's kernel; upstream it is the number of CAP_AUDIT_CONTROL */

struct privileges {
	struct switches caps, features;
};

/* ---- words ---- */

static int parse_switch(const char *word, size_t len, int (*index)(const char *name, size_t len, struct err *e),
			struct switches *ret, struct err *e)
{
	const char *colon = memchr(word, ':', len);
	size_t name = colon ? (size_t)(colon - word) : len, rest = len - name;
	bool on = rest == 3 && strncasecmp(colon, ":on", 3) == 0;
	int i;

	if (!on && !(rest == 4 && strncasecmp(colon, ":off", 4) == 0))
		return err_set(e, ERR_CONFIG, 0, "%.*s: not NAME:on or NAME:off", (int)len, word);
	i = index(word, name, e);
	if (i < 0)
		return i;
	*(on ? &ret->on : &ret->off) |= BIT(i);
	*(on ? &ret->off : &ret->on) &= ~BIT(i);
	return 0;
}

int switches_parse(const char *text, int (*index)(const char *name, size_t len, struct err *e), struct switches *ret,
		   struct err *e)
{
	static const char between[] = " \t\n,";
	struct switches s = { 0 };

	for (size_t len; text += strspn(text, between), (len = strcspn(text, between)) > 0; text += len)
		if (parse_switch(text, len, index, &s, e) < 0)
			return err_ret(e);
	if (!s.on && !s.off)
		return err_set(e, ERR_CONFIG, 0, "says nothing: NAME:on or NAME:off");
	*ret = s;
	return 0;
}

void switches_print(const struct switches *s, const char *(*name)(int index, char *buf, size_t size), struct str *out)
{
	char buf[64];

	for (int i = 0; i < 64; i++)
		if ((s->on | s->off) & BIT(i))
			str_addf(out, "%s%s:%s", out->len ? " " : "", name(i, buf, sizeof buf), s->on & BIT(i) ? "on" : "off");
}

/* ---- capability ---- */

static int cap_index(const char *name, size_t len, struct err *e)
{
	char word[48] = "CAP_";
	size_t skip = len >= 4 && strncasecmp(name, "cap_", 4) == 0 ? 4 : 0, o = strlen(word);
	int cap;

	for (size_t i = skip; i < len && o < sizeof word - 1; i++)
		word[o++] = (char)toupper((unsigned char)name[i]);
	word[o] = '\0';
	if (strcmp(word, "CAP_VE_ADMIN") == 0)
		return err_set(e, ERR_CONFIG, 0, "ve_admin: only OpenVZ's kernel has this capability (its number, %d, means another "
			       "one here): see sys_admin and net_admin", VE_ADMIN);
	cap = names_cap(word);
	return cap < 0 ? err_set(e, ERR_CONFIG, 0, "%.*s: unknown capability", (int)len, name) : cap;
}

static const char *cap_name(int cap, char *buf, size_t size)
{
	snprintf(buf, size, "%s", names_cap_word(cap) + strlen("CAP_"));
	for (char *p = buf; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return buf;
}

static int parse_caps(const char *text, void *member, struct arena *a, struct err *e)
{
	(void)a;
	return switches_parse(text, cap_index, member, e);
}

static void print_caps(const void *member, struct str *out)
{
	switches_print(member, cap_name, out);
}

/* ---- features ---- */

enum need {
	NEED_NET = 1 << 0,   /* a network namespace of its own: the capability would reach the host's */
	NEED_HOST = 1 << 1,  /* the kernel asks for the capability in the initial user namespace */
	NEED_ADMIN = 1 << 2, /* CAP_SYS_ADMIN, which is too much to be given along */
};

static const struct feature {
	const char *name;
	unsigned needs;
	uint64_t caps; /* given with it */
	const char *device;
	int64_t major, minor;
	const char *means_nothing; /* why */
} features[] = {
	{ .name = "sysfs", .means_nothing = "sysfs is there where /mounts has it" },
	{ .name = "nfs", .needs = NEED_HOST | NEED_ADMIN },
	{ .name = "def_perms", .means_nothing = "devices that every container may use are those of /linux/resources/devices" },
	{ .name = "sit", .needs = NEED_NET, .caps = BIT(CAP_NET_ADMIN) },
	{ .name = "ipip", .needs = NEED_NET, .caps = BIT(CAP_NET_ADMIN) },
	{ .name = "ppp", .needs = NEED_NET, .caps = BIT(CAP_NET_ADMIN), .device = "/dev/ppp", .major = 108, .minor = 0 },
	{ .name = "ipgre", .needs = NEED_NET, .caps = BIT(CAP_NET_ADMIN) },
	{ .name = "bridge", .needs = NEED_NET, .caps = BIT(CAP_NET_ADMIN) },
	{ .name = "nfsd", .needs = NEED_HOST | NEED_ADMIN },
	{ .name = "time", .needs = NEED_HOST, .caps = BIT(CAP_SYS_TIME) },
	{ .name = "fuse", .device = "/dev/fuse", .major = 10, .minor = 229 },
	{ .name = "tun", .needs = NEED_NET, .caps = BIT(CAP_NET_ADMIN), .device = "/dev/net/tun", .major = 10, .minor = 200 },
};

static int feature_index(const char *name, size_t len, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (strlen(features[i].name) == len && strncasecmp(features[i].name, name, len) == 0)
			return (int)i;
	return err_set(e, ERR_CONFIG, 0, "%.*s: unknown feature", (int)len, name);
}

static const char *feature_name(int i, char *buf, size_t size)
{
	(void)buf;
	(void)size;
	return features[i].name;
}

static int parse_features(const char *text, void *member, struct arena *a, struct err *e)
{
	(void)a;
	return switches_parse(text, feature_index, member, e);
}

static void print_features(const void *member, struct str *out)
{
	switches_print(member, feature_name, out);
}

const struct ext_value value_capabilities = { "NAME:on|off,...", parse_caps, print_caps };
const struct ext_value value_features = { "NAME:on|off,...", parse_features, print_features };

static const struct ext_row rows[] = {
	{ .name = "capability", .offset = EXT_MEMBER(struct privileges, caps), .value = &value_capabilities, .flags = EXT_COLD | EXT_GRANT,
	  .help = "Capabilities given (on) or taken (off) besides those of the document",
	  .doc = "Names with or without CAP_. on: bounding, effective and permitted; off: all sets." },
	{ .name = "features", .offset = EXT_MEMBER(struct privileges, features), .value = &value_features, .flags = EXT_COLD | EXT_GRANT,
	  .help = "Features of OpenVZ: sysfs nfs def_perms sit ipip ppp ipgre bridge nfsd time fuse tun",
	  .doc = "on gives what it takes: net_admin for sit, ipip, ipgre, bridge, ppp and tun, sys_time for time, and the devices "
		 "of fuse, tun and ppp. nfs and nfsd need sys_admin and no user namespace. sysfs and def_perms mean nothing "
		 "here." },
	EXT_ROWS_END,
};

/* ---- against the document ---- */

static uint64_t granted(const struct oci_spec *spec)
{
	return spec->process && spec->process->capabilities ? spec->process->capabilities->bounding.mask : 0;
}

static bool has_device(const struct oci_spec *spec, const struct feature *f)
{
	for (size_t i = 0; f->device && i < spec->linux->devices.n; i++)
		if (strcmp(spec->linux->devices.v[i].path, f->device) == 0)
			return true;
	return false;
}

static int check_on(const struct ext_env *env, const struct privileges *c, const struct feature *f, struct err *e)
{
	uint64_t has = (granted(env->spec) | c->caps.on) & ~c->caps.off;
	char name[64];

	if (f->means_nothing)
		ext_warn(env, "features", "%s means nothing: %s", f->name, f->means_nothing);
	for (int cap = 0; cap < OCI_CAPS; cap++)
		if (f->caps & c->caps.off & BIT(cap))
			return ext_refuse(env, e, "features", "%s:on needs capability %s, which /annotations/" EXT_PREFIX
					  "capability takes away", f->name, cap_name(cap, name, sizeof name));
	if (f->needs & NEED_HOST && oci_namespace(env->spec, CLONE_NEWUSER))
		return ext_refuse(env, e, "features", "%s:on: the kernel allows it in the initial user namespace only, and this "
				  "container has one of its own (%s)", f->name, f->needs & NEED_ADMIN ?
				  "mount it on the host and bind it" : "a time namespace has no time of day of its own");
	if (f->needs & NEED_ADMIN && !(has & BIT(CAP_SYS_ADMIN)))
		return ext_refuse(env, e, "features", "%s:on needs capability sys_admin, which is not given along: it is most of "
				  "what root can do (" EXT_PREFIX "capability sys_admin:on, or mount it on the host and bind it)",
				  f->name);
	if (f->needs & NEED_NET && !oci_namespace(env->spec, CLONE_NEWNET))
		return ext_refuse(env, e, "features", "%s:on needs a network namespace in /linux/namespaces: its capability would "
				  "reach the host's network", f->name);
	return 0;
}

/* Who has the capability for something else has this as well. */
static int check_off(const struct ext_env *env, const struct privileges *c, const struct feature *f, struct err *e)
{
	uint64_t has = (granted(env->spec) | c->caps.on) & ~c->caps.off;
	uint64_t takes = f->needs & NEED_ADMIN && !oci_namespace(env->spec, CLONE_NEWUSER) ? BIT(CAP_SYS_ADMIN) : f->caps;
	char name[64];

	if (has_device(env->spec, f))
		return ext_refuse(env, e, "features", "%s:off, where /linux/devices has %s (leave one of the two out)", f->name,
				  f->device);
	for (int cap = 0; cap < OCI_CAPS; cap++)
		if (has & takes & BIT(cap))
			ext_warn(env, "features", "%s:off: cannot be kept from a container with capability %s", f->name,
				 cap_name(cap, name, sizeof name));
	return 0;
}

static int validate(const struct ext_env *env, void *config, struct err *e)
{
	const struct privileges *c = config;

	for (size_t i = 0; env->spec && i < ARRAY_SIZE(features); i++) {
		int r = 0;

		if (c->features.on & BIT(i))
			r = check_on(env, c, &features[i], e);
		else if (c->features.off & BIT(i))
			r = check_off(env, c, &features[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the document ---- */

static void change_set(struct oci_caps_set *set, uint64_t on, uint64_t off)
{
	set->mask = (set->mask | on) & ~off;
	set->set |= on != 0;
}

/* Not inheritable or ambient: those are for who is not root, and only the document says so (CVE-2022-24769). */
static int change_caps(struct ext_env *env, uint64_t on, uint64_t off, struct err *e)
{
	struct oci_process *p = env->spec->process;
	struct oci_capabilities *caps;

	if (!p || (!on && !off))
		return 0;
	if (!p->capabilities)
		p->capabilities = arena_new(env->arena, struct oci_capabilities);
	caps = p->capabilities;
	if (!caps)
		return err_oom(e);
	change_set(&caps->bounding, on, off);
	change_set(&caps->effective, on, off);
	change_set(&caps->permitted, on, off);
	change_set(&caps->inheritable, 0, off);
	change_set(&caps->ambient, 0, off);
	return 0;
}

static int add_device(struct ext_env *env, const struct feature *f, struct err *e)
{
	const struct oci_device device = {
		.path = f->device, .type = 'c', .major = { f->major, true }, .minor = { f->minor, true }, .file_mode = { 0666, true },
	};
	struct oci_device_rule rule = node_rule_for('c', f->major, f->minor, "rw", env->arena);

	if (!has_device(env->spec, f) && node_device_to_document(env, &device, e) < 0)
		return err_ret(e);
	return node_rules_to_document(env, &(struct oci_device_rules){ &rule, 1 }, e);
}

static int prepare(struct ext_env *env, const void *config, void *saved, struct err *e)
{
	const struct privileges *c = config;
	uint64_t on = c->caps.on, off = c->caps.off;

	(void)saved;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];

		if (!(c->features.on & BIT(i)))
			continue;
		on |= f->caps;
		if (f->device && add_device(env, f, e) < 0)
			return err_ret(e);
	}
	return change_caps(env, on, off, e);
}

const struct ext ext_privileges = {
	.name = "privileges",
	.rows = rows,
	.config_size = sizeof(struct privileges),
	.validate = validate,
	.apply = { [EXT_PREPARE] = prepare },
};
