/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the check*.c files share.  A rule is a function of its own; `p` is the JSON pointer of the object at hand. */

#include <stdbool.h>
#include <stddef.h>

#include "oci/check.h"
#include "oci/spec.h"
#include "runtime/base/err.h"

#define bad(e, ...) err_set((e), ERR_CONFIG, 0, __VA_ARGS__)

bool check_has_ns(const struct oci_spec *spec, int64_t type);     /* listed, new or by path */
bool check_is_list(const char *text);                             /* "0-3,8", cpuset(7) without groups */
bool check_is_if_name(const char *name);                          /* as the kernel's dev_valid_name() */
bool check_is_absolute(const char *path);
int check_absolute_paths(const struct oci_strs *paths, const char *p, struct err *e);
int check_env(const struct oci_strs *env, const char *p, struct err *e);
int check_idmaps(const struct oci_idmaps *maps, const char *p, struct err *e);

int check_linux(const struct oci_spec *spec, struct err *e);
int check_seccomp(const struct oci_seccomp *seccomp, const char *p, struct err *e);
int check_sysctls(const struct oci_spec *spec, const char *p, struct err *e);
