// SPDX-License-Identifier: LGPL-2.1-or-later

/* features, spec, completion: what needs no container. */

#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "oci/defaults.h"
#include "oci/features.h"
#include "runtime/base/fd.h"
#include "runtime/base/fs.h"
#include "runtime/cli/cli.h"
#include "runtime/linux/mount.h"
#include "runtime/linux/seccomp.h"

#include "commit.h"

static int print_annotations(const char *form, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (strcmp(form, "md") == 0)
		ext_print_reference(&text);
	else if (strcmp(form, "man") == 0)
		ext_print_man(&text);
	else
		return err_set(e, ERR_USAGE, 0, "--annotations: \"%s\" is neither md nor man", form);
	return cli_print(&text, e);
}

static int print_steps(struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (flow_print_steps(&text) < 0)
		return err_oom(e);
	return cli_print(&text, e);
}

static int run_features(struct cli *c, struct err *e)
{
	static const char *const unsafe[] = { "bundle", "org.systemd.property.", "org.criu.config", "run.oci.", EXT_PREFIX, NULL };
	cleanup_str struct str text = { 0 };
	char library[32] = "";
	struct oci_pair pairs[3] = {
		{ "io.vzrun.version", PACKAGE_VERSION },
		{ "io.vzrun.commit", VZRUN_COMMIT },
	};
	struct oci_map annotations = { pairs, 2 };

	if (c->steps)
		return print_steps(e);
	if (c->annotations)
		return print_annotations(c->annotations, e);
	if (seccomp_version(library, sizeof library) == 0)
		pairs[annotations.n++] = (struct oci_pair){ "io.github.seccomp.libseccomp.version", library };
	oci_features_emit(&(struct oci_features){
				  .mount_options = mount_option_names(),
				  .cgroup_v1 = true, .cgroup_v2 = true, .cgroup_rdma = true,
				  .cgroup_systemd = HAVE_SYSTEMD, .cgroup_systemd_user = HAVE_SYSTEMD,
				  .seccomp = seccomp_available(),
				  .seccomp_archs = seccomp_archs(),
				  .seccomp_flags = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
						   SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
				  .apparmor = true, .selinux = true, .memory_policy = true,
				  .intel_rdt = true, .intel_rdt_schemata = true, .intel_rdt_monitoring = true,
				  .idmap = true, .net_devices = HAVE_MNL,
				  .annotations = &annotations,
				  .unsafe_annotations = unsafe,
			  },
			  &text);
	str_addc(&text, '\n');
	return cli_print(&text, e);
}

static int run_spec(struct cli *c, struct err *e)
{
	cleanup_str struct str text = { 0 };
	cleanup_fd int fd = -1;
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/config.json", c->bundle ? c->bundle : ".") >= (int)sizeof path)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "--bundle");
	if (defaults_spec(c->spec_rootless, (uint32_t)geteuid(), (uint32_t)getegid(), &text) < 0)
		return err_oom(e);
	/* Never over somebody's document. */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return errno == EEXIST ? err_set(e, ERR_USAGE, 0, "%s exists. Remove it first", path)
				       : err_sys(e, "create %s", path);
	return fs_write_fd(fd, text.s, text.len, path, e);
}

static int run_completion(struct cli *c, struct err *e)
{
	cleanup_str struct str text = { 0 };

	if (str_eq(c->args.v[0], "options"))
		cli_option_list(&text);
	else if (cli_completion(c->args.v[0], &text) < 0)
		return err_set(e, ERR_USAGE, 0, "completion: \"%s\": only bash, fish and zsh are known", c->args.v[0]);
	return cli_print(&text, e);
}

const struct command cmd_features = {
	"features", CMD_FEATURES, "", "print what this build can do", 0, 0, false, run_features,
};
const struct command cmd_spec = {
	"spec", CMD_SPEC, "", "write a config.json to start from", 0, 0, false, run_spec,
};
const struct command cmd_completion = {
	"completion", CMD_COMPLETION, "bash|fish|zsh", "print a completion script", 1, 1, false, run_completion,
};
