// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/str.h"
#include "runtime/linux/process.h"
#include "runtime/linux/procfs.h"

#define KEY_MAX 256
#define PREFIX	"sys/"

static bool odd_character(char c)
{
	return !isalnum((unsigned char)c) && !strchr("_-.:@+", c);
}

/* No component may be empty or begin with a dot, so none is "." or ".."; odd characters name no
 * sysctl. */
static bool path_is_sane(const char *path)
{
	char before = '/';

	for (const char *p = path; *p; before = *p++) {
		if (*p == '/' ? before == '/' : odd_character(*p))
			return false;
		if (*p == '.' && before == '/')
			return false;
	}
	return before != '/';
}

/* The rule of sysctl(8): the separator that comes first is the separator, and the other one stands
 * for a dot inside a component: "net.ipv4.conf.eth0/100.rp_filter" and
 * "net/ipv4/conf/eth0.100/rp_filter" are the same. */
static int key_to_path(const char *key, char path[KEY_MAX], struct err *e)
{
	size_t len = strlen(key), first = strcspn(key, "./");
	bool swap = key[first] == '.';

	if (len >= KEY_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "/linux/sysctl/%.64s...: too long", key);
	for (size_t i = 0; i <= len; i++)
		path[i] = !swap ? key[i] : key[i] == '.' ? '/' : key[i] == '/' ? '.' : key[i];
	if (!path_is_sane(path))
		return err_set(e, ERR_CONFIG, EINVAL, "/linux/sysctl/%s: invalid name", key);
	return 0;
}

static bool is_ipc(const char *path)
{
	static const char *const names[] = {"msgmax", "msgmnb", "msgmni", "sem",
					    "shmall", "shmmax", "shmmni", "shm_rmid_forced"};

	if (str_starts(path, "fs/mqueue/"))
		return true;
	if (!str_starts(path, "kernel/"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(path + strlen("kernel/"), names[i]) == 0)
			return true;
	return false;
}

/* The namespace that a sysctl belongs to, 0: the whole machine. */
static uint64_t namespace_of(const char *path)
{
	if (is_ipc(path))
		return CLONE_NEWIPC;
	if (str_starts(path, "net/"))
		return CLONE_NEWNET;
	if (strcmp(path, "kernel/domainname") == 0 || strcmp(path, "kernel/hostname") == 0)
		return CLONE_NEWUTS;
	if (str_starts(path, "user/"))
		return CLONE_NEWUSER;
	return 0;
}

static const char *namespace_word(uint64_t flag)
{
	return flag == CLONE_NEWIPC   ? "ipc"
	       : flag == CLONE_NEWNET ? "network"
	       : flag == CLONE_NEWUTS ? "uts"
				      : "user";
}

static int check_one(const char *key, uint64_t namespaces, bool hostname_given, struct err *e)
{
	char path[KEY_MAX];
	uint64_t needs;
	int r = key_to_path(key, path, e);

	if (r < 0)
		return r;
	needs = namespace_of(path);
	if (needs == 0)
		return err_set(e, ERR_CONFIG, 0,
			       "/linux/sysctl/%s: not in a separate kernel namespace", key);
	if (!(namespaces & needs))
		return err_set(e, ERR_CONFIG, 0, "/linux/sysctl/%s: needs its own %s namespace",
			       key, namespace_word(needs));
	if (hostname_given && strcmp(path, "kernel/hostname") == 0)
		return err_set(e, ERR_CONFIG, 0, "/linux/sysctl/%s: conflicts with /hostname", key);
	return 0;
}

int sysctl_check(const struct oci_map *sysctl, uint64_t namespaces, bool hostname_given,
		 struct err *e)
{
	for (size_t i = 0; i < sysctl->n; i++) {
		int r = check_one(sysctl->v[i].key, namespaces, hostname_given, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Each key has a descriptor of its own and each value one write: nothing in a value can name
 * another key (CVE-2022-0811), and a sysctl takes what one write gives it. */
static int write_one(int procfs, const char *key, const char *value, struct err *e)
{
	char path[sizeof PREFIX + KEY_MAX] = PREFIX;
	size_t len = strlen(value);
	int r = key_to_path(key, path + strlen(PREFIX), e);
	ssize_t n;

	if (r < 0)
		return r;
	cleanup_fd int fd = procfs_open_file(procfs, path, O_WRONLY, e);
	if (fd < 0)
		return err_wrap(e, "sysctl %s", key);
	do
		n = write(fd, value, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "sysctl %s: write '%s'", key, value);
	if ((size_t)n != len)
		return err_set(e, ERR_KERNEL, EIO, "sysctl %s: write '%s': only %zd bytes taken",
			       key, value, n);
	return 0;
}

int sysctl_write(int procfs, const struct oci_map *sysctl, struct err *e)
{
	for (size_t i = 0; i < sysctl->n; i++) {
		int r = write_one(procfs, sysctl->v[i].key,
				  sysctl->v[i].value ? sysctl->v[i].value : "", e);

		if (r < 0)
			return r;
	}
	return 0;
}
