// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runtime/flow/hooks.h"

#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/proc.h"
#include "runtime/flow/foreground.h"

/* What a failing hook may add to an error text. */
#define OUTPUT_KEPT 400

static void trim(struct str *s)
{
	while (s->len > 0 && strchr(" \t\r\n", s->s[s->len - 1]))
		s->s[--s->len] = '\0';
}

static int run_one(const struct oci_hook *h, const struct hooks_context *c, struct err *e)
{
	const char *const only_path[] = { h->path, NULL };
	cleanup_str struct str output = { 0 };
	char how[64];
	int status;

	status = proc_run(&(struct proc_run){
				  .path = h->path,
				  .argv = h->args.n ? (const char *const *)h->args.v : only_path,
				  .envp = h->env.v ? (const char *const *)h->env.v : (const char *const *)c->envp,
				  .input = c->state_json,
				  .keep = OUTPUT_KEPT,
				  .timeout = h->timeout.set ? (unsigned)h->timeout.v : 0,
				  .cwd_fd = c->cwd_fd,
				  .stop_fd = c->signals,
				  .stopped = c->signals >= 0 ? foreground_ending_signal : NULL,
			  },
			  &output, e);
	if (status <= 0)
		return status;
	trim(&output);
	proc_status_text(status, how, sizeof how);
	if (output.len == 0)
		return err_set(e, ERR_STATE, 0, "%s", how);
	return err_set(e, ERR_STATE, 0, "%s, output: %s", how, str_cstr(&output));
}

int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct hooks_context *c, struct err *e)
{
	for (size_t i = 0; i < hooks->n; i++) {
		int r = run_one(&hooks->v[i], c, e);

		if (r < 0)
			return err_wrap(e, "error running %s hook #%zu", name, i);
	}
	return 0;
}

void hooks_run_all(const struct oci_hook_list *hooks, const char *name, const struct hooks_context *c)
{
	char text[ERR_TEXT_MAX + 128];
	struct err e;

	for (size_t i = 0; i < hooks->n; i++)
		if (run_one(&hooks->v[i], c, &e) < 0)
			log_warn("error running %s hook #%zu: %s", name, i, err_format(&e, text, sizeof text));
}
