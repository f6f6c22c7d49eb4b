/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The whole disks on which files stand: a partition's disk, a mapped or multiple device with its members, a loop device
 * with the one below its image, all devices of a btrfs, those below the layers of an overlay.  What stands on none
 * (tmpfs, network) adds none, and so does what cannot be read: only memory can run out.  Who adds returns 1 when there was a
 * device, new or not. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/decode.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct blockdev {
	int64_t major, minor;
	bool stacked; /* others of the list carry what is written to it */
};

struct blockdevs {
	struct blockdev *v;
	size_t n;
};

extern const struct oci_type blockdev_type;

struct blockdev_search {
	const char *root;        /* stands for "/" before /sys and /proc; "" but in tests */
	struct blockdevs *found; /* grows; each device once */
	struct arena *arena;
	const char *mounts;      /* our mountinfo, when it was read */
	unsigned depth;
};

int blockdev_add_number(struct blockdev_search *s, uint64_t major, uint64_t minor, struct err *e);
/* A file, a directory, or a block device's node, which is the device itself. */
int blockdev_add_path(struct blockdev_search *s, const char *path, struct err *e);
/* What a mount has: type, source and options of the superblock as mountinfo writes them. */
int blockdev_add_mount(struct blockdev_search *s, const char *fs, const char *source, const char *options, struct err *e);
/* Mounts of another process.  Only numbers are taken from there: names are of its namespace, and of its choice. */
int blockdev_add_process(struct blockdev_search *s, pid_t pid, struct err *e);

bool blockdev_is_there(const char *root, const struct blockdev *d);
/* Whether this is its I/O scheduler. */
bool blockdev_scheduled_by(const char *root, const struct blockdev *d, const char *name);
/* Whether iocost is on for it; cgroup v2 only. */
bool blockdev_has_iocost(const char *root, const struct blockdev *d);
/* "vda", or "254:0" where it has no name. */
void blockdev_name(const char *root, const struct blockdev *d, char *buf, size_t size);
