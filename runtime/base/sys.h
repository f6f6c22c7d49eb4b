/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place that calls syscall(2): system calls that the C library of Debian 12 does not wrap, or wraps in a
 * way that does not suit us.  They return what the kernel returns (-1 and errno on failure). */

#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifndef SCHED_FLAG_UTIL_CLAMP
#define SCHED_FLAG_UTIL_CLAMP 0x60
#endif

struct sys_sched_attr { /* linux/sched/types.h collides with sched.h */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

pid_t sys_clone3(struct clone_args *args);
int sys_openat2(int dirfd, const char *path, struct open_how *how);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
int sys_pidfd_open(pid_t pid, unsigned flags);
int sys_pidfd_getfd(int pidfd, int fd, unsigned flags);
int sys_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags);
int sys_pivot_root(const char *new_root, const char *put_old);
ssize_t sys_getcwd(char *buf, size_t size); /* the raw call: "(unreachable)/..." shows */
int sys_sched_setattr(pid_t pid, const struct sys_sched_attr *attr, unsigned flags);
int sys_ioprio_set(int which, int who, int ioprio);
int sys_ioprio_get(int which, int who);
int sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long maxnode);
long sys_keyctl(int cmd, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);
int sys_seccomp(unsigned op, unsigned flags, void *args);
int sys_bpf(int cmd, void *attr, unsigned size);
int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
int sys_capget(void *hdr, void *data);
int sys_capset(void *hdr, const void *data);

/* The mount calls of Linux 5.2 and later. */
int sys_open_tree(int dirfd, const char *path, unsigned flags);
int sys_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags);
int sys_fsopen(const char *fs, unsigned flags);
int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux);
int sys_fsmount(int fd, unsigned flags, unsigned attrs);
int sys_fspick(int dirfd, const char *path, unsigned flags);
int sys_mount_setattr(int dirfd, const char *path, unsigned flags, struct mount_attr *attr, size_t size);
