// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/linux/seccomp_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

#define CACHE_FORMAT  1	   /* to be raised whenever the same document gives another program */
#define TOUCH_SECONDS 3600 /* how exact "used longest ago" is; a hit mostly costs no write */
#define NAME_LEN      64   /* the key in hexadecimal */

/* ---- BLAKE2b ---- */

static const uint64_t blake_iv[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const uint8_t blake_sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t rotr(uint64_t x, unsigned n)
{
	return x >> n | x << (64 - n);
}

static uint64_t little_endian(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static void blake_mix(uint64_t v[16], const uint8_t at[4], uint64_t x, uint64_t y)
{
	uint64_t a = v[at[0]], b = v[at[1]], c = v[at[2]], d = v[at[3]];

	a += b + x;
	d = rotr(d ^ a, 32);
	c += d;
	b = rotr(b ^ c, 24);
	a += b + y;
	d = rotr(d ^ a, 16);
	c += d;
	b = rotr(b ^ c, 63);
	v[at[0]] = a;
	v[at[1]] = b;
	v[at[2]] = c;
	v[at[3]] = d;
}

static void blake_block(struct blake2b *s, bool last)
{
	static const uint8_t at[8][4] = {{0, 4, 8, 12},	 {1, 5, 9, 13},	 {2, 6, 10, 14},
					 {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12},
					 {2, 7, 8, 13},	 {3, 4, 9, 14}};
	uint64_t v[16], m[16] = {0};

	for (int i = 0; i < 16; i++)
		m[i] = little_endian(s->buf + i * 8);
	memcpy(v, s->h, sizeof s->h);
	memcpy(v + 8, blake_iv, sizeof blake_iv);
	v[12] ^= s->total;
	if (last)
		v[14] = ~v[14];
	for (int round = 0; round < 12; round++)
		for (int i = 0; i < 8; i++)
			blake_mix(v, at[i], m[blake_sigma[round % 10][2 * i]],
				  m[blake_sigma[round % 10][2 * i + 1]]);
	for (int i = 0; i < 8; i++)
		s->h[i] ^= v[i] ^ v[i + 8];
}

void blake2b_init(struct blake2b *s, size_t out_len)
{
	*s = (struct blake2b){.out_len = out_len};
	memcpy(s->h, blake_iv, sizeof blake_iv);
	s->h[0] ^= 0x01010000 ^ out_len;
}

void blake2b_add(struct blake2b *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t n;

		if (s->used == sizeof s->buf) { /* more follows, so this block is not the last */
			s->total += s->used;
			blake_block(s, false);
			s->used = 0;
		}
		n = sizeof s->buf - s->used < len ? sizeof s->buf - s->used : len;
		memcpy(s->buf + s->used, p, n);
		s->used += n;
		p += n;
		len -= n;
	}
}

void blake2b_end(struct blake2b *s, uint8_t *out)
{
	memset(s->buf + s->used, 0, sizeof s->buf - s->used);
	s->total += s->used;
	blake_block(s, true);
	for (size_t i = 0; i < s->out_len; i++)
		out[i] = (uint8_t)(s->h[i / 8] >> 8 * (i % 8));
}

/* ---- the key: every field with its length or in fixed width, so that no two documents give the
 * same bytes ---- */

static void add_u64(struct blake2b *h, uint64_t v)
{
	blake2b_add(h, &v, sizeof v);
}

static void add_str(struct blake2b *h, const char *s)
{
	size_t len = strlen(s);

	add_u64(h, len);
	blake2b_add(h, s, len);
}

static void add_strs(struct blake2b *h, const struct oci_strs *s)
{
	add_u64(h, s->n);
	for (size_t i = 0; i < s->n; i++)
		add_str(h, s->v[i]);
}

static void add_opt(struct blake2b *h, const struct opt_u64 *v)
{
	add_u64(h, v->set);
	add_u64(h, v->set ? v->v : 0);
}

static void add_rule(struct blake2b *h, const struct oci_seccomp_rule *r)
{
	add_strs(h, &r->names);
	add_u64(h, (uint64_t)r->action);
	add_opt(h, &r->errno_ret);
	add_u64(h, r->args.n);
	for (size_t i = 0; i < r->args.n; i++) {
		add_u64(h, r->args.v[i].index);
		add_u64(h, r->args.v[i].value);
		add_opt(h, &r->args.v[i].value_two);
		add_u64(h, (uint64_t)r->args.v[i].op);
	}
}

int seccomp_cache_key(const struct oci_seccomp *s, struct seccomp_key *ret, struct err *e)
{
	struct utsname u;
	struct blake2b h;

	/* The kernel decides what libseccomp may use. */
	if (uname(&u) < 0)
		return err_sys(e, "uname");
	blake2b_init(&h, sizeof ret->b);
	add_u64(&h, CACHE_FORMAT);
	add_str(&h, PACKAGE_VERSION);
	add_str(&h, u.release);
	add_str(&h, u.version);
	add_str(&h, u.machine);
	add_u64(&h, sizeof(void *)); /* a 32-bit build on a 64-bit kernel has another native
					architecture */
	add_u64(&h, (uint64_t)s->default_action);
	add_opt(&h, &s->default_errno_ret);
	add_strs(&h, &s->architectures);
	add_u64(&h, s->flags_set);
	add_u64(&h, s->flags.n);
	for (size_t i = 0; i < s->flags.n; i++)
		add_u64(&h, (uint64_t)s->flags.v[i]);
	add_u64(&h, s->syscalls.n);
	for (size_t i = 0; i < s->syscalls.n; i++)
		add_rule(&h, &s->syscalls.v[i]);
	blake2b_end(&h, ret->b);
	return 0;
}

/* ---- entries ---- */

struct entry_header {
	char magic[8];
	struct seccomp_key key; /* a renamed file is not taken for another */
	uint64_t sum;		/* of the instructions: a damaged file is not loaded */
	uint64_t lib_dev, lib_ino, lib_size, lib_mtime, lib_ctime;
	uint32_t flags;
	uint16_t listener, len;
	char lib_path[256];
};

static const char entry_magic[8] = "vzsecc1";

struct entry_name {
	char s[NAME_LEN + 1];
};

static struct entry_name entry_name(const struct seccomp_key *key)
{
	struct entry_name n;

	for (size_t i = 0; i < sizeof key->b; i++)
		snprintf(n.s + 2 * i, 3, "%02x", key->b[i]);
	return n;
}

/* Against damage only (FNV-1a by instruction): nobody but us can write an entry. */
static uint64_t sum_insns(const struct sock_filter *insns, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++) {
		uint64_t insn;

		memcpy(&insn, &insns[i], sizeof insn);
		sum = (sum ^ insn) * 0x100000001b3;
		sum ^= sum >> 32; /* the product carries upwards only */
	}
	return sum;
}

static uint64_t stamp(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool fill_library(struct entry_header *h, const char *lib_path)
{
	struct stat st;

	if (strlen(lib_path) >= sizeof h->lib_path || stat(lib_path, &st) < 0)
		return false;
	memset(h->lib_path, 0, sizeof h->lib_path);
	memcpy(h->lib_path, lib_path, strlen(lib_path));
	h->lib_dev = st.st_dev;
	h->lib_ino = st.st_ino;
	h->lib_size = (uint64_t)st.st_size;
	h->lib_mtime = stamp(st.st_mtim);
	h->lib_ctime = stamp(st.st_ctim);
	return true;
}

static bool same_library(const struct entry_header *h)
{
	struct entry_header now = *h;

	if (h->lib_path[0] != '/' || h->lib_path[sizeof h->lib_path - 1] != '\0')
		return false;
	return fill_library(&now, h->lib_path) && memcmp(&now, h, sizeof now) == 0;
}

/* Ours alone to write, and of exactly the length that its header tells. */
static bool header_is_sound(const struct entry_header *h, const struct seccomp_key *key,
			    const struct stat *st)
{
	if (memcmp(h->magic, entry_magic, sizeof h->magic) != 0 ||
	    memcmp(&h->key, key, sizeof *key) != 0)
		return false;
	if (h->len == 0 || h->len > BPF_MAXINSNS)
		return false;
	return st->st_size == (off_t)(sizeof *h + h->len * sizeof(struct sock_filter));
}

static int open_entry(int dir, const char *name, struct stat *st)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return -1;
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_mode & (S_IWGRP | S_IWOTH))
		return -1;
	return fd_take(&fd);
}

static void touch(int fd, const struct stat *st)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 &&
	    now.tv_sec - st->st_mtime > TOUCH_SECONDS)
		futimens(fd, NULL);
}

bool seccomp_cache_find(int dir, const struct seccomp_key *key, struct seccomp_program *ret,
			struct arena *a)
{
	struct entry_name name = entry_name(key);
	struct entry_header h;
	struct stat st;
	cleanup_fd int fd = open_entry(dir, name.s, &st);

	if (fd < 0 || pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h ||
	    !header_is_sound(&h, key, &st))
		return false;
	if (!same_library(&h))
		return false;
	size_t bytes = h.len * sizeof(struct sock_filter);
	struct sock_filter *insns = arena_alloc(a, bytes);
	if (!insns || pread(fd, insns, bytes, sizeof h) != (ssize_t)bytes)
		return false;
	if (sum_insns(insns, h.len) != h.sum)
		return false;
	touch(fd, &st);
	*ret = (struct seccomp_program){
		.insns = insns, .len = h.len, .flags = h.flags, .listener = h.listener};
	return true;
}

static bool is_entry(const char *name)
{
	return strlen(name) == NAME_LEN && strspn(name, "0123456789abcdef") == NAME_LEN;
}

/* Remove the oldest entry while there are too many.  Others may do the same at the same time: no
 * lock, a file that is gone already is fine, and a reader holds its own descriptor. */
static void evict(int dir, size_t keep)
{
	for (size_t n = keep + 1; n > keep;) {
		cleanup_dir DIR *d = dir_open(dir, ".");
		struct timespec oldest = {0};
		char victim[NAME_LEN + 1];
		struct dirent *de;

		if (!d)
			return;
		n = 0;
		while ((de = readdir(d))) {
			struct stat st;

			if (!is_entry(de->d_name) ||
			    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
				continue;
			if (n++ == 0 || stamp(st.st_mtim) < stamp(oldest)) {
				oldest = st.st_mtim;
				memcpy(victim, de->d_name, sizeof victim);
			}
		}
		if (n > keep && unlinkat(dir, victim, 0) < 0)
			return;
		n -= n > keep;
	}
}

/* An unnamed file that gets its name when it is complete: a reader sees all or nothing, and a
 * killed writer leaves nothing.  Containers are created in parallel, so a temporary name would have
 * to be unique as well. */
static bool publish(int fd, int dir, const char *name)
{
	struct fd_path p = fd_path(fd);

	if (linkat(AT_FDCWD, p.s, dir, name, AT_SYMLINK_FOLLOW) == 0)
		return true;
	/* What is there was not good enough to be used: stale or damaged. */
	if (errno != EEXIST || (unlinkat(dir, name, 0) < 0 && errno != ENOENT))
		return false;
	return linkat(AT_FDCWD, p.s, dir, name, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST;
}

void seccomp_cache_store(int dir, const struct seccomp_key *key, const struct seccomp_program *p,
			 const char *lib_path)
{
	struct entry_header h = {
		.key = *key, .flags = p->flags, .listener = p->listener, .len = p->len};
	size_t bytes = p->len * sizeof *p->insns;
	struct iovec iov[2] = {{&h, sizeof h}, {p->insns, bytes}};
	struct entry_name name = entry_name(key);

	memcpy(h.magic, entry_magic, sizeof h.magic);
	h.sum = sum_insns(p->insns, p->len);
	if (p->len == 0 || !fill_library(&h, lib_path))
		return;
	evict(dir, SECCOMP_CACHE_ENTRIES - 1);
	cleanup_fd int fd = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, 0600) < 0 || writev(fd, iov, 2) != (ssize_t)(sizeof h + bytes) ||
	    !publish(fd, dir, name.s))
		log_debug("seccomp: cannot keep the compiled filter: %s", strerror(errno));
}
