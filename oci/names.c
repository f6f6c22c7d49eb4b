// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/names.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "oci/spec.h"
#include "runtime/base/str.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef SCHED_ISO
#define SCHED_ISO 4 /* reserved; no kernel has it */
#endif
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

int names_value(const struct oci_names *names, const char *word, int64_t *ret)
{
	for (const struct oci_name *n = names->v; n->word; n++) {
		if (strcmp(n->word, word) == 0) {
			*ret = n->value;
			return 0;
		}
	}
	return -ENOENT;
}

const char *names_word(const struct oci_names *names, int64_t value)
{
	for (const struct oci_name *n = names->v; n->word; n++)
		if (n->value == value)
			return n->word;
	return NULL;
}

#define NAMES(name, ...)                                                            \
	static const struct oci_name name##_list[] = { __VA_ARGS__, { NULL, 0 } };  \
	const struct oci_names names_##name = { .v = name##_list }
#define NAMES_SAYING(name, words, ...)                                              \
	static const struct oci_name name##_list[] = { __VA_ARGS__, { NULL, 0 } };  \
	const struct oci_names names_##name = { .v = name##_list, .invalid = words }
#define SAME(word) { #word, word }

NAMES(namespaces, { "cgroup", CLONE_NEWCGROUP }, { "ipc", CLONE_NEWIPC }, { "mount", CLONE_NEWNS },
      { "network", CLONE_NEWNET }, { "pid", CLONE_NEWPID }, { "time", CLONE_NEWTIME }, { "user", CLONE_NEWUSER },
      { "uts", CLONE_NEWUTS });

NAMES(rlimits, SAME(RLIMIT_AS), SAME(RLIMIT_CORE), SAME(RLIMIT_CPU), SAME(RLIMIT_DATA), SAME(RLIMIT_FSIZE),
      SAME(RLIMIT_LOCKS), SAME(RLIMIT_MEMLOCK), SAME(RLIMIT_MSGQUEUE), SAME(RLIMIT_NICE), SAME(RLIMIT_NOFILE),
      SAME(RLIMIT_NPROC), SAME(RLIMIT_RSS), SAME(RLIMIT_RTPRIO), SAME(RLIMIT_RTTIME), SAME(RLIMIT_SIGPENDING),
      SAME(RLIMIT_STACK));

NAMES(hooks, { "prestart", OCI_HOOK_PRESTART }, { "createRuntime", OCI_HOOK_CREATE_RUNTIME },
      { "createContainer", OCI_HOOK_CREATE_CONTAINER }, { "startContainer", OCI_HOOK_START_CONTAINER },
      { "poststart", OCI_HOOK_POSTSTART }, { "poststop", OCI_HOOK_POSTSTOP });

/* "u" is a character device without buffering, which is every one of Linux. */
NAMES(device_types, { "c", 'c' }, { "b", 'b' }, { "u", 'c' }, { "p", 'p' });
NAMES(rule_types, { "a", 'a' }, { "b", 'b' }, { "c", 'c' }, { "", 'a' });

NAMES(seccomp_actions, { "SCMP_ACT_KILL", OCI_ACT_KILL_THREAD }, { "SCMP_ACT_KILL_PROCESS", OCI_ACT_KILL_PROCESS },
      { "SCMP_ACT_KILL_THREAD", OCI_ACT_KILL_THREAD }, { "SCMP_ACT_TRAP", OCI_ACT_TRAP },
      { "SCMP_ACT_ERRNO", OCI_ACT_ERRNO }, { "SCMP_ACT_TRACE", OCI_ACT_TRACE }, { "SCMP_ACT_ALLOW", OCI_ACT_ALLOW },
      { "SCMP_ACT_LOG", OCI_ACT_LOG }, { "SCMP_ACT_NOTIFY", OCI_ACT_NOTIFY });

NAMES(seccomp_ops, { "SCMP_CMP_NE", OCI_CMP_NE }, { "SCMP_CMP_LT", OCI_CMP_LT }, { "SCMP_CMP_LE", OCI_CMP_LE },
      { "SCMP_CMP_EQ", OCI_CMP_EQ }, { "SCMP_CMP_GE", OCI_CMP_GE }, { "SCMP_CMP_GT", OCI_CMP_GT },
      { "SCMP_CMP_MASKED_EQ", OCI_CMP_MASKED_EQ });

NAMES(seccomp_archs, { "SCMP_ARCH_X86", 0 }, { "SCMP_ARCH_X86_64", 1 }, { "SCMP_ARCH_X32", 2 },
      { "SCMP_ARCH_ARM", 3 }, { "SCMP_ARCH_AARCH64", 4 }, { "SCMP_ARCH_LOONGARCH64", 5 }, { "SCMP_ARCH_M68K", 6 },
      { "SCMP_ARCH_MIPS", 7 }, { "SCMP_ARCH_MIPS64", 8 }, { "SCMP_ARCH_MIPS64N32", 9 }, { "SCMP_ARCH_MIPSEL", 10 },
      { "SCMP_ARCH_MIPSEL64", 11 }, { "SCMP_ARCH_MIPSEL64N32", 12 }, { "SCMP_ARCH_PPC", 13 },
      { "SCMP_ARCH_PPC64", 14 }, { "SCMP_ARCH_PPC64LE", 15 }, { "SCMP_ARCH_S390", 16 }, { "SCMP_ARCH_S390X", 17 },
      { "SCMP_ARCH_SH", 18 }, { "SCMP_ARCH_SHEB", 19 }, { "SCMP_ARCH_PARISC", 20 }, { "SCMP_ARCH_PARISC64", 21 },
      { "SCMP_ARCH_RISCV64", 22 });

/* linux/seccomp.h, by number: older headers lack the newer ones. */
NAMES(seccomp_flags, { "SECCOMP_FILTER_FLAG_TSYNC", 1 << 0 }, { "SECCOMP_FILTER_FLAG_LOG", 1 << 1 },
      { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1 << 2 }, { "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1 << 5 });

NAMES(sched_policies, SAME(SCHED_OTHER), SAME(SCHED_FIFO), SAME(SCHED_RR), SAME(SCHED_BATCH), SAME(SCHED_ISO),
      SAME(SCHED_IDLE), SAME(SCHED_DEADLINE));

/* linux/sched.h, which does not get along with sched.h. */
NAMES(sched_flags, { "SCHED_FLAG_RESET_ON_FORK", 0x01 }, { "SCHED_FLAG_RECLAIM", 0x02 },
      { "SCHED_FLAG_DL_OVERRUN", 0x04 }, { "SCHED_FLAG_KEEP_POLICY", 0x08 }, { "SCHED_FLAG_KEEP_PARAMS", 0x10 },
      { "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 }, { "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 });

NAMES(ioprio_classes, { "IOPRIO_CLASS_RT", 1 }, { "IOPRIO_CLASS_BE", 2 }, { "IOPRIO_CLASS_IDLE", 3 });

/* linux/mempolicy.h; engines and their tests look for these two texts. */
NAMES_SAYING(mpol_modes, "invalid memory policy mode", { "MPOL_DEFAULT", 0 }, { "MPOL_PREFERRED", 1 },
	     { "MPOL_BIND", 2 }, { "MPOL_INTERLEAVE", 3 }, { "MPOL_LOCAL", 4 }, { "MPOL_PREFERRED_MANY", 5 },
	     { "MPOL_WEIGHTED_INTERLEAVE", 6 });
NAMES_SAYING(mpol_flags, "invalid memory policy flag", { "MPOL_F_NUMA_BALANCING", 1 << 13 },
	     { "MPOL_F_RELATIVE_NODES", 1 << 14 }, { "MPOL_F_STATIC_NODES", 1 << 15 });

NAMES(personalities, { "LINUX", 0x0000 }, { "LINUX32", 0x0008 });

NAMES(propagations, { "private", MS_PRIVATE }, { "shared", MS_SHARED }, { "slave", MS_SLAVE },
      { "unbindable", MS_UNBINDABLE }, { "rprivate", MS_PRIVATE | MS_REC }, { "rshared", MS_SHARED | MS_REC },
      { "rslave", MS_SLAVE | MS_REC }, { "runbindable", MS_UNBINDABLE | MS_REC });

static const char *const cap_words[OCI_CAPS] = {
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
	"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
	"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
};

int names_cap(const char *word)
{
	for (int i = 0; i < OCI_CAPS; i++)
		if (strcmp(cap_words[i], word) == 0)
			return i;
	return -ENOENT;
}

const char *names_cap_word(int cap)
{
	return cap >= 0 && cap < OCI_CAPS ? cap_words[cap] : NULL;
}

/* The kernel's real-time signals are 32..64.  libc keeps the first two for itself, so its SIGRTMIN is 34: the
 * numbers that people, kill(1) and runc mean are counted from there. */
#define RT_FIRST 34
#define RT_LAST 64

static const struct oci_name signals[] = {
	{ "SIGHUP", SIGHUP },       { "SIGINT", SIGINT },     { "SIGQUIT", SIGQUIT },     { "SIGILL", SIGILL },
	{ "SIGTRAP", SIGTRAP },     { "SIGABRT", SIGABRT },   { "SIGIOT", SIGIOT },       { "SIGBUS", SIGBUS },
	{ "SIGFPE", SIGFPE },       { "SIGKILL", SIGKILL },   { "SIGUSR1", SIGUSR1 },     { "SIGSEGV", SIGSEGV },
	{ "SIGUSR2", SIGUSR2 },     { "SIGPIPE", SIGPIPE },   { "SIGALRM", SIGALRM },     { "SIGTERM", SIGTERM },
	{ "SIGCHLD", SIGCHLD },     { "SIGCLD", SIGCHLD },    { "SIGCONT", SIGCONT },     { "SIGSTOP", SIGSTOP },
	{ "SIGTSTP", SIGTSTP },     { "SIGTTIN", SIGTTIN },   { "SIGTTOU", SIGTTOU },     { "SIGURG", SIGURG },
	{ "SIGXCPU", SIGXCPU },     { "SIGXFSZ", SIGXFSZ },   { "SIGVTALRM", SIGVTALRM }, { "SIGPROF", SIGPROF },
	{ "SIGWINCH", SIGWINCH },   { "SIGIO", SIGIO },       { "SIGPOLL", SIGIO },       { "SIGPWR", SIGPWR },
	{ "SIGSYS", SIGSYS },
#ifdef SIGSTKFLT
	{ "SIGSTKFLT", SIGSTKFLT },
#endif
	{ "SIGRTMIN", RT_FIRST },   { "SIGRTMAX", RT_LAST },  { NULL, 0 },
};
static const struct oci_names signal_names = { .v = signals };

/* "SIGRTMIN+3" and "SIGRTMAX-1", already in capitals. */
static int signal_realtime(const char *word, int *ret)
{
	bool from_min = str_starts(word, "SIGRTMIN+");
	uint32_t n;

	if (!from_min && !str_starts(word, "SIGRTMAX-"))
		return -EINVAL;
	if (num_u32(word + strlen("SIGRTMIN+"), &n) < 0 || n > RT_LAST - RT_FIRST)
		return -EINVAL;
	*ret = from_min ? RT_FIRST + (int)n : RT_LAST - (int)n;
	return 0;
}

int names_signal(const char *text, int *ret)
{
	char word[24] = "SIG";
	size_t at;
	uint32_t number;
	int64_t value;

	if (num_u32(text, &number) == 0) {
		if (number < 1 || number > RT_LAST)
			return -EINVAL;
		*ret = (int)number;
		return 0;
	}
	at = strncasecmp(text, "SIG", 3) == 0 ? 0 : 3;
	if (at + strlen(text) >= sizeof word)
		return -EINVAL;
	for (; *text; text++)
		word[at++] = (char)toupper((unsigned char)*text);
	word[at] = '\0';
	if (names_value(&signal_names, word, &value) < 0)
		return signal_realtime(word, ret);
	*ret = (int)value;
	return 0;
}

const char *names_signal_word(int sig, char *buf, size_t size)
{
	const char *word = names_word(&signal_names, sig);

	if (word)
		return word;
	if (sig < RT_FIRST || sig > RT_LAST)
		return NULL;
	snprintf(buf, size, "SIGRTMIN+%d", sig - RT_FIRST);
	return buf;
}
