/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs that change single things on a phone: what they have in common. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/change.h"
#include "client/package.h"
#include "client/read.h"
#include "common/util.h"

int change_take(struct change_wish *w, int opt)
{
	switch (opt) {
	case CHANGE_SLOT: w->slot = optarg; break;
	case CHANGE_LOADER: w->loader = optarg; break;
	case CHANGE_END: w->end = optarg; break;
	case CHANGE_LEVEL: w->level = optarg; break;
	case CHANGE_KNOW: w->i_know = true; break;
	case CHANGE_WITHOUT: w->without_backup = true; break;
	case CHANGE_FORCE: w->force_loaders = true; break;
	case CHANGE_DRY: w->dry_run = true; break;
	case CHANGE_YES: w->yes = true; break;
	case CHANGE_WAIT: w->has_wait = true; return ask_seconds(optarg, &w->wait_usec);
	default: break;
	}
	return 0;
}

void change_drop(struct change_wish *w)
{
	free(TAKE_PTR(w->path));
}

int change_begin(struct client *c, struct change_wish *w, const char *verb)
{
	int rc = mirror_load(c);

	if (rc)
		return rc;
	return w->slot ? ask_slot(c, w->slot, &w->path) : ask_only_slot(c, verb, &w->path);
}

int change_confirm(const struct client *c, const struct change_wish *w, const char *what)
{
	char answer[16] = "";
	const char *yes = _("yes");

	if (w->yes || w->dry_run || c->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return 0;
	print_wrapped(stderr, "", what);
	fprintf(stderr, _("Go on? Type '%s': "), yes);
	fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin)) {
		answer[strcspn(answer, "\r\n")] = '\0';
		if (!strcasecmp(answer, yes))
			return 0;
	}
	return client_usage(N_("nothing was done"));
}

int change_put(struct client *c, sd_bus_message *m, const struct change_wish *w, int *rc)
{
	_cleanup_free_ char *loader = NULL;
	int r;

	*rc = w->loader ? ask_package(c, w->loader, &loader) : 0;
	if (*rc)
		return -ECANCELED;
	r = ask_text(m, "loader", loader);
	if (r >= 0)
		r = ask_text(m, "end", w->end);
	if (r >= 0)
		r = ask_text(m, "level", w->level);
	if (r >= 0)
		r = ask_flag(m, "i_know", w->i_know);
	if (r >= 0)
		r = ask_flag(m, "without_backup", w->without_backup);
	if (r >= 0)
		r = ask_flag(m, "force_loaders", w->force_loaders);
	if (r >= 0)
		r = ask_flag(m, "dry_run", w->dry_run);
	if (r >= 0 && w->expect)
		r = sd_bus_message_append(m, "{sv}", "expect_device", "o", w->expect);
	if (r >= 0 && w->has_wait)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", w->wait_usec);
	return r;
}

int change_run(struct client *c, const struct change_wish *w, sd_bus_message *m, int r)
{
	_cleanup_free_ char *job = NULL;
	int rc = ask_path(c, m, r, &job);

	if (!rc)
		rc = follow_jobs(c, (const char *const[]){ job }, 1, true);
	if (!rc && w->dry_run)
		rc = package_print_decided(c, job);
	if (!rc && !c->json)
		read_say_kept(c, w->path);
	return rc;
}
