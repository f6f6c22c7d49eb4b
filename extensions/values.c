// SPDX-License-Identifier: LGPL-2.1-or-later
#include "extensions/values.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PAGE 4096 /* of OpenVZ's configurations, whatever the machine has */

static bool is_unlimited(const char *text)
{
	return strcmp(text, "unlimited") == 0 || strcmp(text, "9223372036854775807") == 0 || strcmp(text, "2147483647") == 0;
}

static int64_t factor(const char *suffix, int64_t unit)
{
	static const char letters[] = "kmgt";
	const char *p;

	if (*suffix == '\0')
		return unit;
	if (suffix[1] != '\0')
		return 0;
	if (tolower((unsigned char)*suffix) == 'p')
		return PAGE;
	if (tolower((unsigned char)*suffix) == 'b')
		return 1;
	p = strchr(letters, tolower((unsigned char)*suffix));
	return p ? INT64_C(1) << (10 * (p - letters + 1)) : 0;
}

int value_size(const char *text, int64_t unit, bool pair, int64_t *ret, struct err *e)
{
	const char *colon = pair ? strchr(text, ':') : NULL;
	size_t digits;
	char number[32];
	int64_t v, f;

	if (colon && value_size(colon + 1, unit, false, ret, e) < 0)
		return err_ret(e);
	if (colon) {
		cleanup_free char *barrier = strndup(text, (size_t)(colon - text));

		return barrier ? value_size(barrier, unit, false, &v, e) : err_oom(e);
	}
	if (is_unlimited(text)) {
		*ret = VALUE_UNLIMITED;
		return 0;
	}
	digits = strspn(text, "0123456789");
	f = factor(text + digits, unit);
	if (digits == 0 || digits >= sizeof number || f == 0)
		return err_set(e, ERR_CONFIG, 0, "not a size: a number with k, m, g, t or p behind it, or unlimited");
	snprintf(number, sizeof number, "%.*s", (int)digits, text);
	if (num_i64(number, &v) < 0 || __builtin_mul_overflow(v, f, ret))
		return err_set(e, ERR_CONFIG, ERANGE, "too large (unlimited is a word)");
	return 0;
}

void value_print_size(int64_t bytes, struct str *out)
{
	static const char letters[] = "KMGT";
	int i = -1;

	if (bytes == VALUE_UNLIMITED) {
		str_add(out, "unlimited");
		return;
	}
	while (bytes != 0 && bytes % 1024 == 0 && i < 3) {
		bytes /= 1024;
		i++;
	}
	str_addf(out, "%lld%c", (long long)bytes, i < 0 ? 'B' : letters[i]);
}

static int parse_pages(const char *text, void *member, struct arena *a, struct err *e)
{
	struct opt_i64 *m = member;

	(void)a;
	if (value_size(text, PAGE, true, &m->v, e) < 0)
		return err_ret(e);
	m->set = true;
	return 0;
}

static void print_size(const void *member, struct str *out)
{
	const struct opt_i64 *m = member;

	if (m->set)
		value_print_size(m->v, out);
}

/* A pair here as well: "numproc 8000:8000". */
static int parse_count(const char *text, void *member, struct arena *a, struct err *e)
{
	const char *colon = strchr(text, ':'), *limit = colon ? colon + 1 : text;
	struct opt_i64 *m = member;

	(void)a;
	if (is_unlimited(limit))
		m->v = VALUE_UNLIMITED;
	else if (num_i64(limit, &m->v) < 0 || m->v < 0)
		return err_set(e, ERR_CONFIG, 0, "neither a number nor unlimited");
	m->set = true;
	return 0;
}

static void print_count(const void *member, struct str *out)
{
	const struct opt_i64 *m = member;

	if (m->set && m->v == VALUE_UNLIMITED)
		str_add(out, "unlimited");
	else if (m->set)
		str_addf(out, "%lld", (long long)m->v);
}

int value_parse_number(const char *text, void *member, struct arena *a, struct err *e)
{
	struct opt_u64 *m = member;

	(void)a;
	if (num_u64(text, &m->v) < 0)
		return err_set(e, ERR_CONFIG, 0, "not a number");
	m->set = true;
	return 0;
}

void value_print_number(const void *member, struct str *out)
{
	const struct opt_u64 *m = member;

	if (m->set)
		str_addf(out, "%llu", (unsigned long long)m->v);
}

const struct ext_value value_pages = { "PAGES[:PAGES]", parse_pages, print_size };
const struct ext_value value_count = { "N[:N]", parse_count, print_count };
const struct ext_value value_number = { "N", value_parse_number, value_print_number };

/* ---- words ---- */

int value_choose(const char *text, const char *const *words, unsigned *ret, struct err *e)
{
	char list[128] = "";
	size_t len = 0;

	for (unsigned i = 1; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret = i;
			return 0;
		}
		len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i == 1 ? "" : words[i + 1] ? ", " : " nor ", words[i]);
	}
	return err_set(e, ERR_CONFIG, 0, "neither %s", list);
}

void value_print_text(const void *member, struct str *out)
{
	const char *const *text = member;

	if (*text)
		str_add(out, *text);
}

bool value_listed(const struct oci_strs *list, const char *word)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], word) == 0)
			return true;
	return false;
}
