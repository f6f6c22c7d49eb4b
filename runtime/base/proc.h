/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes: identity that survives pid reuse, and helper programs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"

/* Field 22 of /proc/PID/stat: with the pid it names one process for ever.  Also its state letter ('Z': a zombie
 * counts as gone).  Returns 0, or an error with num ESRCH when there is no such process. */
int proc_stat(pid_t pid, uint64_t *ret_start, char *ret_state, struct err *e);

/* It has begun to end, and may have closed its files: a zombie in a moment, unless something holds it up. */
bool proc_is_ending(pid_t pid);

/* The wait status of a zombie (field 52, for whoever may trace it); below zero when it is none or cannot be known. */
int proc_exit_status(pid_t pid, uint64_t start, int *ret_status);

/* A pidfd of the process that had this pid at that start time; -ESRCH when it is gone, reused or a zombie. */
int proc_open(pid_t pid, uint64_t start, struct err *e);

/* Whether the kernel may refuse us what it grants to root: --rootless=auto asks for the truth. */
enum proc_rootless { PROC_ROOTLESS_AUTO, PROC_ROOTLESS_TRUE, PROC_ROOTLESS_FALSE };

/* In a user namespace that is not the initial one. */
bool proc_in_userns(void);

/* A plain user, or root of a user namespace.  To be asked after a refusal only: it reads a file. */
bool proc_is_rootless(enum proc_rootless how);

/* All processes of the namespace of this type ("pid", "net") of `pid` that we can see.  Returns how many, with *ret from malloc. */
ssize_t proc_list_namespace(pid_t pid, const char *type, pid_t **ret, struct err *e);

/* Run a program to its end: a hook, newuidmap, ps.
 *
 * It is started by vfork-like posix_spawn semantics with all descriptors but 0-2 closed, default signals and an
 * empty mask.  stdin reads `input` (NULL: /dev/null); stdout and stderr are kept together, the first `keep`
 * bytes of them (0: they go to ours); the rest is read and dropped, so that a flood neither blocks the program
 * nor fills memory.  A program that does not read its input is fine.  After `timeout` seconds (0: none) it and
 * its process group are killed. */
struct proc_run {
	const char *path;
	const char *const *argv;
	const char *const *envp; /* NULL: empty */
	const char *input;
	size_t keep;
	unsigned timeout;
	int cwd_fd;              /* -1: ours */
	int stop_fd;             /* polled besides; when it is readable and stopped() says so, the program is killed */
	int (*stopped)(int fd);  /* NULL: stop_fd is not used */
	int *fds;                /* descriptors the program may see besides, by the same numbers */
	size_t n_fds;
};

/* Returns the wait status (>= 0) or an error that says what failed: ETIMEDOUT after a timeout, EINTR when stopped, exec's errno when
 * the program could not be started. */
int proc_run(const struct proc_run *what, struct str *ret_output, struct err *e);

/* Start a program of PATH with these as standard input and output (-1: ours) and the rest of our streams, and no signal blocked.  It
 * is killed when we are; with `apart` it is not, and is in a process group of its own, which a ^C on our terminal does not reach. */
int proc_spawn(const char *const *argv, int in, int out, bool apart, pid_t *ret, struct err *e);

/* The same; before it becomes the program the child does `first`, whose error is ours. */
typedef int proc_first(const char *arg, struct err *e);
int proc_spawn_after(proc_first *first, const char *arg, const char *const *argv, int in, int out, bool apart, pid_t *ret, struct err *e);

/* fork(), of which the child ends when we are killed: it has all our descriptors, and nobody could tell by them.  Call it from a process
 * with one thread. */
pid_t proc_fork(struct err *e);

/* Wait for it; another status than 0 is an error. */
int proc_finish(const char *name, pid_t pid, struct err *e);

/* Kill it and wait for it; then *pid is 0, and 0 and below is none. */
void proc_end(pid_t *pid);

/* Whether PATH has such a program. */
bool proc_in_path(const char *name);
bool proc_in_list(const char *name, const char *path); /* or another such list */

/* "exit status 3", "signal: killed": Go's words, which callers of runc know. */
const char *proc_status_text(int status, char *buf, size_t size);
