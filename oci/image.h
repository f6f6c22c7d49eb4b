/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What vzrun keeps beside CRIU's images of a checkpoint, vzrun.json: what the images were made of and with, so that a restore
 * can tell what is missing or another before anything runs.  It is written when everything else is complete: a directory
 * without it holds no finished checkpoint.  A pre-dump has one too, by which its files are known. */

#include "oci/decode.h"
#include "oci/spec.h"
#include "oci/state.h"

#define OCI_IMAGE_FILE "vzrun.json"
#define OCI_IMAGE_VERSION 1

struct oci_image_mount {
	const char *point;  /* in the container */
	const char *source; /* where the host has it, of one from outside; "" where the host has no name for it */
	const char *fs;
	const char *device, *options; /* of one that nobody but the container has, and that is to be made again: NFS */
	bool external;      /* CRIU is told that it is there, and what it is */
	bool directory;
};

struct oci_image_mounts {
	struct oci_image_mount *v;
	size_t n;
};

struct oci_image_file {
	const char *name;
	uint64_t size;
	const char *sum; /* CRC-32, "0123abcd"; NULL of memory and of what is big */
};

struct oci_image_files {
	struct oci_image_file *v;
	size_t n;
};

struct oci_image {
	int64_t version;
	const char *id;      /* of the container that it was made of */
	const char *created; /* when */
	const char *machine, *kernel; /* uname(2) */
	int64_t criu;        /* 40101: 4.1.1 */
	bool empty_network;  /* the network namespace was left out: hooks make it anew */
	bool no_cgroups;     /* cgroups were left out, and with them how CRIU would give process 1 its cgroup namespace */
	bool terminal;
	bool pre_dump;       /* memory only, that a checkpoint is based on */
	struct oci_ints namespaces; /* types that it had of its own or joined, CLONE_NEW* */
	struct oci_image_mounts mounts;
	struct oci_image_files files;
	struct oci_strs stdio;      /* what the standard streams of process 1 were: "pipe:[123]" */
	struct oci_strs stdio_keys; /* names by which CRIU knows those that it does not keep; "" for the others */
	struct oci_map nested;      /* cgroup_nested() */
	struct oci_map settings;    /* of extensions, in force */
	struct oci_state_exts extensions; /* what they kept besides */
	struct oci_resources *resources; /* in force, where they are not the document's any more */
};

extern const struct oci_type oci_image_type;

int oci_image_parse(const char *text, size_t len, struct oci_image *ret, struct arena *a, struct err *e);
