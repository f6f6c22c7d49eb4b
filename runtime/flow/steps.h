/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of the flow table.  This is the only place that translates the document into calls of the kernel side.
 * Each function is one row; its side, its commands and the reason for its place stand in table.c. */

#include "runtime/flow/flow.h"

/* Host, before anything exists: steps_open.c */
int step_open(struct flow *f, struct err *e);
int step_decode(struct flow *f, struct err *e);
int step_check(struct flow *f, struct err *e);
int step_intent(struct flow *f, struct err *e);
void undo_intent(struct flow *f);

/* Extensions: steps_ext.c */
bool when_ext_prepare(const struct flow *f);
int step_ext_prepare(struct flow *f, struct err *e);
bool when_ext_recorded(const struct flow *f);
int step_ext_recorded(struct flow *f, struct err *e);
void undo_ext_recorded(struct flow *f);
bool when_ext_cgroup(const struct flow *f);
int step_ext_cgroup(struct flow *f, struct err *e);
void undo_ext_cgroup(struct flow *f);
bool when_ext_ns(const struct flow *f);
int step_ext_ns(struct flow *f, struct err *e);
void undo_ext_ns(struct flow *f);
bool when_ext_rootfs(const struct flow *f);
int step_ext_rootfs(struct flow *f, struct err *e);
bool when_ext_start(const struct flow *f);
int step_ext_start(struct flow *f, struct err *e);
void undo_ext_start(struct flow *f);
bool when_ext_restored(const struct flow *f);
int step_ext_restored(struct flow *f, struct err *e);
void undo_ext_restored(struct flow *f);
bool when_ext_exec(const struct flow *f);
int step_ext_exec(struct flow *f, struct err *e);

/* Host: steps_host.c */
int step_cgroup_begin(struct flow *f, struct err *e);
void undo_cgroup(struct flow *f);
int step_cgroup_limits(struct flow *f, struct err *e);
bool when_unit_start(const struct flow *f);
int step_unit_start(struct flow *f, struct err *e);
bool when_unit_start_inner(const struct flow *f);
bool when_unit_wait(const struct flow *f);
bool when_unit_wait_inner(const struct flow *f);
bool when_unit_enter(const struct flow *f);
int step_unit_enter(struct flow *f, struct err *e);
bool when_unit_limits(const struct flow *f);
int step_unit_limits(struct flow *f, struct err *e);
int step_open_ns(struct flow *f, struct err *e);
int step_sources(struct flow *f, struct err *e);
int step_seccomp_compile(struct flow *f, struct err *e);
int step_affinity_initial(struct flow *f, struct err *e);
int step_start_channel(struct flow *f, struct err *e);
int step_clone(struct flow *f, struct err *e);
void undo_clone(struct flow *f);
int step_save_pid(struct flow *f, struct err *e);
int step_adopt(struct flow *f, struct err *e);
int step_id_maps(struct flow *f, struct err *e);
int step_cgroup_delegate(struct flow *f, struct err *e);
int step_oom_score_own(struct flow *f, struct err *e);
int step_oom_score(struct flow *f, struct err *e);
int step_rdt(struct flow *f, struct err *e);
void undo_rdt(struct flow *f);
int step_netdev(struct flow *f, struct err *e);
void undo_netdev(struct flow *f);
int step_rlimits_host(struct flow *f, struct err *e);
int step_listener(struct flow *f, struct err *e);
int step_save(struct flow *f, struct err *e);
void undo_save(struct flow *f);

/* Host, restore: steps_restore.c */
int step_image(struct flow *f, struct err *e);
int step_restore_mounts(struct flow *f, struct err *e);
int step_mount_points(struct flow *f, struct err *e);
int step_criu_clone(struct flow *f, struct err *e);
void undo_criu_clone(struct flow *f);
int step_criu_restore(struct flow *f, struct err *e);
void undo_criu_restore(struct flow *f);

/* Host, start: steps_start.c */
int step_connect(struct flow *f, struct err *e);
int step_notify_bind(struct flow *f, struct err *e);
int step_release(struct flow *f, struct err *e);
int step_running(struct flow *f, struct err *e);
int step_hooks_poststart(struct flow *f, struct err *e);
void undo_start(struct flow *f);

/* Hooks of the host: hooks.c does the work */
int step_hooks_runtime(struct flow *f, struct err *e);

/* init, namespaces and the file system: steps_init.c */
int step_cgroup_enter(struct flow *f, struct err *e);
int step_affinity_final(struct flow *f, struct err *e);
int step_join_ns(struct flow *f, struct err *e);
int step_unshare_user(struct flow *f, struct err *e);
int step_become_root(struct flow *f, struct err *e);
int step_unshare_rest(struct flow *f, struct err *e);
int step_time_offsets(struct flow *f, struct err *e);
int step_fork_inner(struct flow *f, struct err *e);
int step_session(struct flow *f, struct err *e);
int step_cgroup_ns(struct flow *f, struct err *e);
int step_loopback(struct flow *f, struct err *e);
int step_keyring(struct flow *f, struct err *e);
int step_rootfs(struct flow *f, struct err *e);
int step_mounts(struct flow *f, struct err *e);
int step_devices(struct flow *f, struct err *e);
int step_hooks_container(struct flow *f, struct err *e);
int step_pivot(struct flow *f, struct err *e);
int step_propagation(struct flow *f, struct err *e);
int step_tty(struct flow *f, struct err *e);
int step_hostname(struct flow *f, struct err *e);
int step_sysctl(struct flow *f, struct err *e);
int step_finalise(struct flow *f, struct err *e);
int step_mask(struct flow *f, struct err *e);

/* init, the process itself: steps_process.c */
int step_stdio(struct flow *f, struct err *e);
int step_rlimits(struct flow *f, struct err *e);
int step_rlimits_last(struct flow *f, struct err *e);
int step_signals(struct flow *f, struct err *e);
int step_rlimits_due(struct flow *f, struct err *e);
int step_lsm(struct flow *f, struct err *e);
int step_attributes(struct flow *f, struct err *e);
int step_seccomp(struct flow *f, struct err *e);
int step_creds(struct flow *f, struct err *e);
int step_lookup(struct flow *f, struct err *e);
int step_ready(struct flow *f, struct err *e);
int step_await_start(struct flow *f, struct err *e);
int step_hooks_start(struct flow *f, struct err *e);
int step_exec(struct flow *f, struct err *e);

/* What the host does with the number or the descriptor that came with an awaited row. */
int step_awaited(struct flow *f, const struct step *s, int64_t value, int fd, struct err *e);

/* Conditions (pure, alike on both sides). */
bool when_cgroup(const struct flow *f);
bool when_cgroup_delegate(const struct flow *f);
bool when_new_userns(const struct flow *f);
bool when_userns(const struct flow *f);
bool when_unshare(const struct flow *f);
bool when_time_offsets(const struct flow *f);
bool when_inner_fork(const struct flow *f);
bool when_cgroup_ns(const struct flow *f);
bool when_new_net(const struct flow *f);
bool when_propagation(const struct flow *f);
bool when_netdev(const struct flow *f);
bool when_keyring(const struct flow *f);
bool when_hooks_runtime(const struct flow *f);
bool when_hooks_container(const struct flow *f);
bool when_hooks_start(const struct flow *f);
bool when_hooks_poststart(const struct flow *f);
bool when_terminal(const struct flow *f);
bool when_hostname(const struct flow *f);
bool when_sysctl(const struct flow *f);
bool when_oom_score_own(const struct flow *f);
bool when_oom_score(const struct flow *f);
bool when_rdt(const struct flow *f);
bool when_rlimits_last(const struct flow *f);
bool when_rlimits_exec(const struct flow *f);
bool when_rlimits_here(const struct flow *f);
bool when_rlimits_by_host(const struct flow *f);
bool when_mount_ns(const struct flow *f);
bool when_lsm(const struct flow *f);
bool when_affinity_initial(const struct flow *f);
bool when_seccomp_early(const struct flow *f);
bool when_seccomp_late(const struct flow *f);
bool when_seccomp(const struct flow *f);
bool when_listener(const struct flow *f);
bool when_notify_bind(const struct flow *f);
bool when_start_channel(const struct flow *f);
