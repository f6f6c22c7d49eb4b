/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Compiled filters on disk; used by seccomp.c only.
 *
 * The name of an entry is the BLAKE2b-256 hash of everything that goes into the program but the library.  A
 * collision-resistant hash, because whoever writes a document chooses what is hashed: with a weaker one (SipHash
 * under a known key) two documents could be made that share an entry, and the lax filter of one would guard the
 * other.
 *
 * libseccomp must not be loaded just to ask for its version.  So the writer puts path, inode, size and times of the
 * library file that it used into the entry, and the reader compares them by one stat(2): an update of the library
 * makes its entries stale. */

#include <stdbool.h>
#include <stdint.h>

#include "oci/spec.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/linux/seccomp.h"

#define SECCOMP_CACHE_ENTRIES 64

struct seccomp_key {
	uint8_t b[32];
};

int seccomp_cache_key(const struct oci_seccomp *s, struct seccomp_key *ret, struct err *e);

/* False when there is no entry, or none that can be trusted. */
bool seccomp_cache_find(int dirfd, const struct seccomp_key *key, struct seccomp_program *ret, struct arena *a);

/* Keep the program; `lib_path` is the library that made it.  Drops the entries used longest ago.  A cache that cannot
 * be written is no error: a debug line. */
void seccomp_cache_store(int dirfd, const struct seccomp_key *key, const struct seccomp_program *p,
			 const char *lib_path);

/* RFC 7693, unkeyed, at most 64 bytes of result.  Visible for its test vectors. */
struct blake2b {
	uint64_t h[8], total;
	uint8_t buf[128];
	size_t used, out_len;
};
void blake2b_init(struct blake2b *b, size_t out_len);
void blake2b_add(struct blake2b *b, const void *data, size_t len);
void blake2b_end(struct blake2b *b, uint8_t *out);
