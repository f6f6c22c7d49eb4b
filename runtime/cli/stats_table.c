// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/cli/stats_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MIN 12

/* ---- numbers ---- */

static const char *no_number(double n)
{
	if (isnan(n))
		return "-";
	return isinf(n) ? "max" : NULL;
}

struct stats_number stats_size(double n)
{
	static const char units[] = { '\0', 'K', 'M', 'G', 'T', 'P', 'E' };
	struct stats_number ret;
	const char *word = no_number(n);
	size_t unit = 0;

	/* What would be shown as 1024 is one of the next unit. */
	for (; !word && n >= 1023.5 && unit + 1 < sizeof units; unit++)
		n /= 1024;
	if (word)
		snprintf(ret.s, sizeof ret.s, "%s", word);
	else
		snprintf(ret.s, sizeof ret.s, "%.*f%.1s", unit > 0 && n < 9.95 ? 1 : 0, n, &units[unit]);
	return ret;
}

struct stats_number stats_percent(double n)
{
	struct stats_number ret;
	const char *word = no_number(n);

	if (word)
		snprintf(ret.s, sizeof ret.s, "%s", word);
	else
		snprintf(ret.s, sizeof ret.s, "%.1f", n);
	return ret;
}

static double number(struct opt_u64 n)
{
	if (!n.set)
		return NAN;
	return n.v == CG_UNLIMITED ? INFINITY : (double)n.v;
}

/* Whole numbers, however large. */
static struct stats_number count(struct opt_u64 n)
{
	struct stats_number ret;
	const char *word = no_number(number(n));

	if (word)
		snprintf(ret.s, sizeof ret.s, "%s", word);
	else
		snprintf(ret.s, sizeof ret.s, "%llu", (unsigned long long)n.v);
	return ret;
}

/* ---- order ---- */

int stats_sort_key(const char *text, enum stats_key *ret, struct err *e)
{
	static const char *const names[] = { "id", "cpu", "mem", "io", "net", "pids" };

	*ret = STATS_ID;
	if (!text)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum stats_key)i;
			return 0;
		}
	return err_set(e, ERR_USAGE, 0, "--sort: \"%s\" is none of id, cpu, mem, io, net, pids", text);
}

static double shown_memory(const struct sample *s)
{
	return number(s->cg.memory.working_set.set ? s->cg.memory.working_set : s->cg.memory.usage);
}

static double value(const struct sample *s, enum stats_key key)
{
	switch (key) {
	case STATS_CPU:
		return s->rates.cpu_percent;
	case STATS_MEM:
		return shown_memory(s);
	case STATS_IO:
		return s->rates.read_bytes + s->rates.write_bytes;
	case STATS_NET:
		return s->rates.rx_bytes + s->rates.tx_bytes;
	case STATS_PIDS:
		return number(s->cg.pids);
	case STATS_ID:
		break;
	}
	return 0;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct sample *x = a, *y = b;
	double v = value(x, *(enum stats_key *)arg), w = value(y, *(enum stats_key *)arg);

	if (isnan(v) != isnan(w))
		return isnan(v) ? 1 : -1;
	if (v > w || v < w)
		return v > w ? -1 : 1;
	return strcmp(x->id, y->id);
}

void stats_sort(struct sample *v, size_t n, enum stats_key key)
{
	if (n > 1)
		qsort_r(v, n, sizeof *v, compare, &key);
}

/* ---- lines ---- */

static double pressure(const struct cg_psi *psi)
{
	return psi->some.set ? psi->some.avg10 : NAN;
}

static void add_line(const struct sample *s, int width, struct str *out)
{
	const struct sample_rates *r = &s->rates;
	const struct cg_sample *c = &s->cg;
	double disk = s->disk.known ? (double)s->disk.used_bytes : NAN;

	str_addf(out, "%-*.*s %6s %6s %6s %6s %6s %6s %6s %7s %8s", width, width, s->id, stats_percent(r->cpu_percent).s,
		 stats_percent(sample_cpu_limit(s)).s, stats_percent(r->throttled_percent).s, stats_size(shown_memory(s)).s,
		 stats_size(number(c->memory.limit)).s, stats_size(number(c->memory.swap)).s, count(c->pids).s,
		 stats_size(r->read_bytes).s, stats_size(r->write_bytes).s);
	str_addf(out, " %6s %6s %8s %8s %8s %6s\n", stats_size(r->rx_bytes).s, stats_size(r->tx_bytes).s,
		 stats_percent(pressure(&c->cpu.psi)).s, stats_percent(pressure(&c->memory.psi)).s,
		 stats_percent(pressure(&c->io.psi)).s, stats_size(disk).s);
}

void stats_table(const struct sample *v, size_t n, size_t id_max, struct str *out)
{
	size_t width = ID_MIN;

	for (size_t i = 0; i < n; i++)
		if (strlen(v[i].id) > width)
			width = strlen(v[i].id);
	if (id_max && width > id_max)
		width = id_max;
	str_addf(out, "%-*s %6s %6s %6s %6s %6s %6s %6s %7s %8s %6s %6s %8s %8s %8s %6s\n", (int)width, "ID", "CPU%", "LIMIT%",
		 "THROT%", "MEM", "LIMIT", "SWAP", "PIDS", "READ/s", "WRITE/s", "RX/s", "TX/s", "CPU-PSI%", "MEM-PSI%", "IO-PSI%",
		 "DISK");
	for (size_t i = 0; i < n; i++)
		add_line(&v[i], (int)width, out);
}

/* The last row stays free: a newline there would scroll. */
void stats_screen(const char *table, size_t rows, size_t columns, struct str *out)
{
	str_add(out, "\033[H");
	for (size_t row = 1; *table && row < rows; row++) {
		size_t len = strcspn(table, "\n");

		str_addn(out, table, len < columns ? len : columns);
		str_add(out, "\033[K\n");
		table += len + (table[len] == '\n');
	}
	str_add(out, "\033[J");
}
