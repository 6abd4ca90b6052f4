/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jobs, attach, cancel: work that exists already; errors: the one table.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

static bool job_path(const char *id, char *path, size_t size)
{
	char *end;
	unsigned long long n;

	if (!strncmp(id, FDLD_PATH_JOBS "/", strlen(FDLD_PATH_JOBS) + 1)) {
		snprintf(path, size, "%s", id);
		return true;
	}
	errno = 0;
	n = strtoull(id, &end, 10);
	if (errno || !*id || *end)
		return false;
	snprintf(path, size, FDLD_PATH_JOBS "/%llu", n);
	return true;
}

static int no_such_job(const struct client *c, const char *id)
{
	struct failure why = { .error = ERR_NO_SUCH_JOB, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s", id);
	return client_complain(c, &why);
}

static int job_call(struct client *c, const char *path, const char *method, sd_bus_message **m)
{
	return sd_bus_message_new_method_call(c->bus, m, FDLD_BUS_NAME, path, FDLD_IFACE_JOB, method);
}

static int trace(struct client *c, const char *path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *text;
	int r = client_connect(c);

	if (r)
		return r;
	r = job_call(c, path, "Trace", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask(c, m, &error, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &text);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	if (c->json) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "trace", json_object_new_string(text));
		print_json(o);
		json_object_put(o);
	} else if (!*text) {
		print_wrapped(stderr, "", _("No trace: only a job that failed leaves one."));
	} else {
		print_lines(stdout, text);
	}
	return 0;
}

static void job_line(const struct client *c, const char *path)
{
	json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);
	json_object *slot = mirror_props(c, prop_str(job, "Slot"), FDLD_IFACE_SLOT);
	json_object *progress = mirror_props(c, path, FDLD_IFACE_PROGRESS);
	const char *error = prop_text(job, "ErrorName"), *state = prop_text(job, "State");
	const char *what = prop_text(job, job_about(job));
	enum tone t = !strcmp(state, "succeeded") ? TONE_GOOD
		      : !strcmp(state, "skipped") ? TONE_WARN
		      : *error			  ? TONE_BAD
						  : TONE_PLAIN;

	if (!strncmp(error, FDLD_ERROR_PREFIX, strlen(FDLD_ERROR_PREFIX)))
		error += strlen(FDLD_ERROR_PREFIX);
	printf("%-6s %-10s %s %3.0f %%  %s %s\n", prop_text(job, "Id"), slot ? prop_text(slot, "Port") : "-",
	       tone(c, t, padded(state, 18)), prop_num(progress, "Fraction") * 100, padded(what, 20),
	       *error ? error : prop_text(job, "Stage"));
}

/* One property as a person reads it: times as times, and nothing about what does not apply. */
static void show_property(const char *key, json_object *value)
{
	const char *text = json_object_get_string(value);
	size_t len = strlen(key);
	bool number = json_object_is_type(value, json_type_int);
	uint64_t n = number ? json_object_get_uint64(value) : 0;
	char words[64];
	struct tm tm;
	time_t at;

	if (number && len > 2 && !strcmp(key + len - 2, "At")) {
		at = (time_t)(n / 1000000u);
		if (!n || !localtime_r(&at, &tm) || !strftime(words, sizeof(words), "%F %T", &tm))
			return;
		text = words;
	} else if (number && len > 4 && !strcmp(key + len - 4, "Usec")) {
		if (n == UINT64_MAX)
			return;
		text = format_duration(n, words, sizeof(words));
	} else if (json_object_is_type(value, json_type_object) ||
		   json_object_is_type(value, json_type_array)) {
		text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE);
	}
	if (*text && strcmp(text, "/"))
		printf("  %s %s\n", padded(clean(key), 16), clean(text));
}

static int show_one(struct client *c, const char *path, const char *id)
{
	json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);

	if (!job)
		return no_such_job(c, id);
	if (c->json) {
		print_json(mirror_object(c, path));
		return 0;
	}
	job_line(c, path);
	json_object_object_foreach(job, key, value)
	{
		show_property(key, value);
	}
	return 0;
}

static int jobs_run(struct client *c, int argc, char **argv)
{
	_cleanup_free_ const char **jobs = NULL;
	char path[128];
	size_t count;
	int opt, rc;

	while ((opt = verb_next(c, &verb_jobs, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	argc -= optind;
	argv += optind;
	if (argc == 2 && !strcmp(argv[0], "trace"))
		return job_path(argv[1], path, sizeof(path)) ? trace(c, path) : no_such_job(c, argv[1]);
	if (argc > 1)
		return client_usage(N_("jobs: one job at a time"));
	if (argc == 1 && !job_path(argv[0], path, sizeof(path)))
		return no_such_job(c, argv[0]);
	rc = mirror_load(c);
	if (rc)
		return rc;
	if (argc == 1)
		return show_one(c, path, argv[0]);
	jobs = mirror_paths(c, FDLD_IFACE_JOB, &count);
	if (!jobs)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (c->json) {
		json_object *list = json_object_new_object();

		for (size_t i = 0; i < count; i++)
			json_object_object_add(list, jobs[i], json_object_get(mirror_object(c, jobs[i])));
		print_json(list);
		json_object_put(list);
		return 0;
	}
	if (!count)
		puts(_("No jobs."));
	for (size_t i = 0; i < count; i++)
		job_line(c, jobs[i]);
	return 0;
}

const struct verb verb_jobs = {
	.name = "jobs",
	.args = N_("[ID | trace ID]"),
	.summary = N_("jobs, one of them, a failed one's last frames"),
	.about = N_(
		"All jobs the daemon still knows; with ID, everything it knows of that one; with trace, the last "
		"frames to and from the phone of a job that failed, never NV or image content."),
	.operand = OPERAND_JOB,
	.run = jobs_run,
};

static int attach(struct client *c, int argc, char **argv)
{
	_cleanup_free_ const char **all = NULL, **chosen = NULL;
	_cleanup_free_ char(*named)[128] = NULL;
	size_t count, n = 0;
	int opt, rc;

	while ((opt = verb_next(c, &verb_attach, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	argc -= optind;
	argv += optind;
	rc = mirror_load(c);
	if (rc)
		return rc;
	all = mirror_paths(c, FDLD_IFACE_JOB, &count);
	chosen = calloc(count + (size_t)argc + 1, sizeof(*chosen));
	named = calloc(count + (size_t)argc + 1, sizeof(*named));
	if (!all || !chosen || !named)
		return error_entry(ERR_INTERNAL)->exit_code;
	for (size_t i = 0; !argc && i < count; i++) {
		if (job_ended(mirror_props(c, all[i], FDLD_IFACE_JOB)))
			continue;
		/* the mirror's own word for it goes when the job is forgotten */
		snprintf(named[n], sizeof(named[n]), "%s", all[i]);
		chosen[n] = named[n];
		n++;
	}
	for (int i = 0; i < argc; i++) {
		if (!job_path(argv[i], named[i], sizeof(named[i])) ||
		    !mirror_props(c, named[i], FDLD_IFACE_JOB))
			return no_such_job(c, argv[i]);
		chosen[n++] = named[i];
	}
	if (!n && !c->json)
		puts(_("No job is running."));
	return follow_jobs(c, chosen, n, false);
}

const struct verb verb_attach = {
	.name = "attach",
	.args = N_("[ID...]"),
	.summary = N_("follow running jobs"),
	.about = N_(
		"Follows jobs to their end, all unfinished ones if none is named. Ctrl-C leaves them running."),
	.operand = OPERAND_RUNNING,
	.run = attach,
};

static int cancel_one(struct client *c, const char *id, bool force)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char path[128];
	int r;

	if (!job_path(id, path, sizeof(path)))
		return no_such_job(c, id);
	r = job_call(c, path, "Cancel", &m);
	if (r >= 0)
		r = force ? sd_bus_message_append(m, "a{sv}", 1, "force", "b", 1)
			  : sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask(c, m, &error, NULL);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	if (!c->json)
		printf(force ? _("job %s: asked to break off now\n")
			     : _("job %s: asked to stop at its next safe point; see 'fdlctl attach'\n"),
		       clean(strrchr(path, '/') + 1));
	return 0;
}

static int cancel(struct client *c, int argc, char **argv)
{
	bool force = false;
	int opt, rc, worst = 0;

	while ((opt = verb_next(c, &verb_cancel, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		force |= opt == 'f';
	}
	if (optind == argc)
		return client_usage(N_("cancel: which job?"));
	rc = client_connect(c);
	for (int i = optind; !rc && i < argc; i++) {
		int one = cancel_one(c, argv[i], force);

		worst = MAX(worst, one);
	}
	if (c->json && !rc && !worst)
		puts("{}");
	return rc ? rc : worst;
}

static const struct verb_opt cancel_options[] = {
	{ "force", 'f', NULL, N_("drop the link now: the phone may not start afterwards"), false },
	{ 0 },
};

const struct verb verb_cancel = {
	.name = "cancel",
	.args = N_("ID..."),
	.summary = N_("stop jobs safely; restart a phone that is kept"),
	.about = N_("Asks jobs to stop at their next safe point, and does not wait for it."),
	.options = cancel_options,
	.operand = OPERAND_RUNNING,
	.run = cancel,
};

/* ---- the error table ---- */

/* As a program reads it: English, whatever the user speaks. */
static json_object *error_json(const struct error_entry *e)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(e->bus_name));
	json_object_object_add(o, "exit_code", json_object_new_int(e->exit_code));
	json_object_object_add(o, "fault", json_object_new_string(error_fault_name(e->fault)));
	json_object_object_add(o, "retry", json_object_new_boolean(e->again));
	json_object_object_add(o, "cause", json_object_new_string(e->cause));
	json_object_object_add(o, "remedy", json_object_new_string(e->remedy));
	return o;
}

static const char *fault_words(enum error_fault fault)
{
	switch (fault) {
	case FAULT_CALLER: return _("caller");
	case FAULT_PACKAGE: return _("package");
	case FAULT_PHONE: return _("phone");
	case FAULT_STATION: return _("station");
	case FAULT_US:
	case FAULT_NONE: break;
	}
	return _("us");
}

static int errors(struct client *c, int argc, char **argv)
{
	json_object *list = json_object_new_array();
	enum error_id only = ERR_NONE;
	int opt, rc = 0;

	while ((opt = verb_next(c, &verb_errors, argc, argv, &rc)) != -1)
		if (opt == -2)
			goto out;
	if (optind + 1 < argc) {
		rc = client_usage(N_("errors: one name, or none for all"));
		goto out;
	}
	if (optind < argc && (only = error_by_name(argv[optind])) == ERR_NONE) {
		rc = client_usage(N_("errors: no error is named '%s'"), argv[optind]);
		goto out;
	}
	for (int id = ERR_NONE + 1; id < ERR_COUNT; id++) {
		const struct error_entry *e = error_entry((enum error_id)id);

		if (only != ERR_NONE && e->id != only)
			continue;
		if (c->json) {
			json_object_array_add(list, error_json(e));
			continue;
		}
		printf(_("%s  (exit %d, %s)\n"), tone(c, TONE_BOLD, e->name), e->exit_code,
		       fault_words(e->fault));
		print_wrapped(stdout, "    ", _(e->cause));
		print_wrapped(stdout, "    -> ", _(e->remedy));
	}
	if (c->json)
		print_json(list);
out:
	json_object_put(list);
	return rc;
}

const struct verb verb_errors = {
	.name = "errors",
	.args = N_("[NAME]"),
	.summary = N_("every error with exit code, cause and remedy"),
	.about = N_("The one table of errors: exit status, whose part it is to act, cause and remedy."),
	.operand = OPERAND_ERROR,
	.beside = "config",
	.run = errors,
};
