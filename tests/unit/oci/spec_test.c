// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the golden documents cannot show: the C side of the structs, the printed forms, the loader. */

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "oci/check.h"
#include "oci/decode.h"
#include "oci/defaults.h"
#include "oci/features.h"
#include "oci/json.h"
#include "oci/names.h"
#include "oci/state.h"
#include "tests/lib/test.h"

static int read_spec(const char *text, struct oci_spec *s, struct arena *a, struct err *e)
{
	return oci_spec_parse(text, strlen(text), "config.json", s, a, e);
}

TEST(words_are_numbers)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_spec s;
	struct err e;

	CHECK_INT(read_spec("{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"capabilities\":{\"bounding\":"
			    "[\"CAP_KILL\",\"CAP_X\"]},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1,\"hard\":"
			    "18446744073709551615}]},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"uts\","
			    "\"path\":\"/n\"}],\"resources\":{\"devices\":[{\"allow\":true}]}}}",
			    &s, &a, &e),
		  0);
	CHECK_INT(s.process->capabilities->bounding.mask, 1 << 5);
	CHECK_INT(s.process->capabilities->bounding.unknown.n, 1);
	CHECK_STR(s.process->capabilities->bounding.unknown.v[0], "CAP_X");
	CHECK(!s.process->capabilities->ambient.set);
	CHECK_INT(s.process->rlimits.v[0].type, RLIMIT_NOFILE);
	CHECK(s.process->rlimits.v[0].hard == RLIM_INFINITY);
	CHECK(oci_namespace_new(&s, CLONE_NEWPID));
	CHECK(!oci_namespace_new(&s, CLONE_NEWUTS));
	CHECK_STR(oci_namespace(&s, CLONE_NEWUTS)->path, "/n");
	CHECK(oci_namespace(&s, CLONE_NEWNET) == NULL);
	CHECK_INT(s.linux->resources->devices.v[0].type, 'a');
	CHECK(!s.linux->resources->devices.v[0].major.set);
}

TEST(without_linux)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_spec s;
	struct err e;

	CHECK_INT(read_spec("{\"ociVersion\":\"1.0.0\",\"annotations\":{\"k\":\"v\"}}", &s, &a, &e), 0);
	CHECK(oci_namespace(&s, CLONE_NEWPID) == NULL);
	CHECK(!oci_namespace_new(&s, CLONE_NEWPID));
	CHECK_STR(oci_annotation(&s, "k"), "v");
	CHECK(oci_annotation(&s, "x") == NULL);
}

TEST(errors_begin_with_the_document)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_spec s;
	struct err e;

	CHECK(read_spec("{\"ociVersion\":\"1.0.0\",\"mounts\":[{\"destination\":\"/\",\"options\":[\"a\",2]}]}", &s,
			&a, &e) < 0);
	CHECK_STR(e.text, "config.json: /mounts/0/options/1: expected string, got number");
	CHECK_INT(e.kind, ERR_CONFIG);
}

TEST(load)
{
	cleanup_arena struct arena a = { 0 };
	char name[] = "/tmp/vzrun-spec-XXXXXX";
	int fd = mkstemp(name);
	struct oci_spec s;
	struct err e;

	CHECK(write(fd, "{\"ociVersion\":\"1.2.3\"}", 22) == 22);
	CHECK_INT(oci_spec_load(AT_FDCWD, name, "config.json", &s, &a, &e), 0);
	CHECK_STR(s.oci_version, "1.2.3");
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(oci_spec_load(AT_FDCWD, name, "config.json", &s, &a, &e) < 0);
	CHECK(ftruncate(fd, (off_t)OCI_DOCUMENT_MAX + 1) == 0);
	CHECK_INT(oci_spec_load(AT_FDCWD, name, "config.json", &s, &a, &e), -EFBIG);
	unlink(name);
	close(fd);
	CHECK_INT(oci_spec_load(AT_FDCWD, name, "config.json", &s, &a, &e), -ENOENT);
}

static void check_default(bool rootless)
{
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str text = { 0 };
	struct oci_spec s;
	struct err e;

	CHECK_INT(defaults_spec(rootless, 1000, 1001, &text), 0);
	CHECK(str_starts(str_cstr(&text), "{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\": true,"));
	CHECK(str_ends(str_cstr(&text), "\n}\n"));
	CHECK_INT(read_spec(str_cstr(&text), &s, &a, &e), 0);
	if (check_spec(&s, &e) < 0)
		FAIL("%s", e.text);
	CHECK_STR(s.hostname, "vzrun");
	CHECK_STR(s.root->path, "rootfs");
	CHECK(oci_namespace_new(&s, CLONE_NEWUSER) == rootless);
	CHECK(oci_namespace_new(&s, CLONE_NEWNET) != rootless);
	CHECK_STR(s.mounts.v[5].source, rootless ? "/sys" : "sysfs");
	CHECK_INT(s.mounts.v[2].options.n, rootless ? 5 : 6);
	CHECK((s.linux->resources == NULL) == rootless);
	if (rootless) {
		CHECK_INT(s.linux->uid_mappings.v[0].host_id, 1000);
		CHECK_INT(s.linux->gid_mappings.v[0].host_id, 1001);
	}
}

TEST(default_documents)
{
	check_default(false);
	check_default(true);
}

static const struct oci_state sample = {
	.version = 1, .id = "c1", .pid = 42, .oci_version = "1.3.0", .bundle = "/b", .rootfs = "/b/r",
	.created = "2024-05-01T10:00:00.5Z",
};

TEST(state_printed)
{
	cleanup_str struct str out = { 0 };
	struct oci_state s = sample;
	struct oci_pair pair = { "a", "1" };

	oci_state_print(&s, OCI_RUNNING, 42, 2, &out);
	CHECK_STR(str_cstr(&out), "{\n  \"ociVersion\": \"1.3.0\",\n  \"id\": \"c1\",\n  \"pid\": 42,\n"
				  "  \"status\": \"running\",\n  \"bundle\": \"/b\",\n  \"rootfs\": \"/b/r\",\n"
				  "  \"created\": \"2024-05-01T10:00:00.5Z\",\n  \"owner\": \"\"\n}");
	s.annotations = (struct oci_map){ &pair, 1 };
	s.created = NULL;
	str_clear(&out);
	oci_state_print(&s, OCI_PAUSED, 42, 0, &out);
	CHECK_STR(str_cstr(&out), "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"pid\":42,\"status\":\"paused\","
				  "\"bundle\":\"/b\",\"rootfs\":\"/b/r\",\"created\":\"0001-01-01T00:00:00Z\","
				  "\"annotations\":{\"a\":\"1\"},\"owner\":\"\"}");
}

TEST(state_of_the_stopped)
{
	cleanup_str struct str out = { 0 };
	struct oci_state_exit how = { .status = 137, .signal = "SIGKILL", .oom_killed = true, .reboot = "halt" };
	struct oci_state s = sample;

	s.exit = &how;
	oci_state_print(&s, OCI_STOPPED, 42, 0, &out);
	CHECK(strstr(str_cstr(&out), "\"pid\":0,\"status\":\"stopped\"") != NULL);
	CHECK(str_ends(str_cstr(&out), ",\"exit\":{\"status\":137,\"signal\":\"SIGKILL\",\"oomKilled\":true,\"reboot\":\"halt\"}}"));
	str_clear(&out);
	oci_state_print(&s, OCI_RUNNING, 42, 0, &out);
	CHECK(strstr(str_cstr(&out), "exit") == NULL);
}

TEST(state_for_hooks_and_agents)
{
	cleanup_str struct str out = { 0 };

	oci_state_hook(&sample, "creating", 42, &out);
	CHECK_STR(str_cstr(&out),
		  "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":42,\"bundle\":\"/b\"}");
	str_clear(&out);
	oci_state_hook(&sample, "stopped", 0, &out);
	CHECK(strstr(str_cstr(&out), "pid") == NULL);
	str_clear(&out);
	oci_state_seccomp(&sample, "running", 42, 50, "m", &out);
	CHECK_STR(str_cstr(&out), "{\"ociVersion\":\"1.3.0\",\"fds\":[\"seccompFd\"],\"pid\":50,\"metadata\":\"m\","
				  "\"state\":{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"running\",\"pid\":42,"
				  "\"bundle\":\"/b\"}}");
}

static const struct json_node *linux_part(const struct json_node *doc, const char *a, const char *b)
{
	return json_get(json_get(json_get(doc, "linux"), a), b);
}

TEST(parsers_name_their_document)
{
	cleanup_arena struct arena a = { 0 };
	struct oci_process process;
	struct oci_resources resources;
	struct oci_state state;
	struct err e;

	CHECK_INT(oci_process_parse("{\"cwd\":\"/x\"}", 12, "process.json", &process, &a, &e), 0);
	CHECK_STR(process.cwd, "/x");
	CHECK(oci_process_parse("{}", 2, "process.json", &process, &a, &e) < 0);
	CHECK_STR(e.text, "process.json: /cwd: required, but missing");
	CHECK_INT(oci_resources_parse("{\"pids\":{\"limit\":7}}", 20, "stdin", &resources, &a, &e), 0);
	CHECK_INT(resources.pids->limit.v, 7);
	CHECK(oci_resources_parse("[]", 2, "stdin", &resources, &a, &e) < 0);
	CHECK_STR(e.text, "stdin: expected object, got array");
	CHECK_INT(oci_state_parse("{\"version\":1,\"id\":\"c\"}", 22, "state.json", &state, &a, &e), 0);
	CHECK_STR(state.id, "c");
	CHECK(oci_state_parse("{\"version\":1", 12, "state.json", &state, &a, &e) < 0);
	CHECK_STR(e.text, "state.json: line 1, column 13: parse error: premature EOF");
}

TEST(features_with_everything)
{
	static const char *const archs[] = { "SCMP_ARCH_ARM", NULL };
	static const char *const unsafe[] = { "bundle", NULL };
	struct oci_pair pair = { "org.example.version", "1" };
	const struct oci_map annotations = { &pair, 1 };
	const struct oci_features f = { .seccomp = true, .seccomp_archs = archs, .memory_policy = true,
					.annotations = &annotations, .unsafe_annotations = unsafe };
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str out = { 0 };
	struct json_node *doc;
	struct err e;

	oci_features_emit(&f, &out);
	CHECK_INT(json_parse(out.s, out.len, &doc, &a, &e), 0);
	CHECK_STR(linux_part(doc, "seccomp", "archs")->child->text, "SCMP_ARCH_ARM");
	CHECK(linux_part(doc, "seccomp", "archs")->child->next == NULL);
	CHECK_STR(linux_part(doc, "memoryPolicy", "modes")->child->text, "MPOL_DEFAULT");
	CHECK_STR(linux_part(doc, "memoryPolicy", "flags")->child->text, "MPOL_F_NUMA_BALANCING");
	CHECK_STR(json_get(json_get(doc, "annotations"), "org.example.version")->text, "1");
	CHECK_STR(json_get(doc, "potentiallyUnsafeConfigAnnotations")->child->text, "bundle");
}

TEST(features)
{
	static const char *const options[] = { "ro", "rro", NULL };
	cleanup_arena struct arena a = { 0 };
	cleanup_str struct str out = { 0 };
	const struct oci_features f = { .mount_options = options, .seccomp = true, .seccomp_flags = 2, .idmap = true };
	const struct json_node *n;
	struct json_node *doc;
	size_t caps = 0;
	struct err e;

	oci_features_emit(&f, &out);
	CHECK_INT(json_parse(out.s, out.len, &doc, &a, &e), 0);
	CHECK_STR(json_get(doc, "ociVersionMin")->text, "1.0.0");
	CHECK_STR(json_get(doc, "ociVersionMax")->text, OCI_VERSION);
	CHECK_STR(json_get(doc, "mountOptions")->child->next->text, "rro");
	CHECK_STR(linux_part(doc, "seccomp", "supportedFlags")->child->text, "SECCOMP_FILTER_FLAG_LOG");
	CHECK(linux_part(doc, "seccomp", "supportedFlags")->child->next == NULL);
	CHECK(json_get(linux_part(doc, "mountExtensions", "idmap"), "enabled")->truth);
	CHECK(!linux_part(doc, "selinux", "enabled")->truth);
	for (n = json_get(json_get(doc, "linux"), "capabilities")->child; n; n = n->next)
		caps++;
	CHECK_INT(caps, OCI_CAPS);
}
