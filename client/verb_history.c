/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * history: every job that has ended, from the daemon's database; history verify, history rebuild.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/sheet.h"
#include "client/when.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

enum {
	OPT_SLOT = 1,
	OPT_UNIT,
	OPT_SINCE,
	OPT_UNTIL,
	OPT_RESULT,
	OPT_ERROR,
	OPT_IMAGE,
	OPT_RULE,
	OPT_SERIAL,
	OPT_ORDER,
	OPT_LIMIT,
	OPT_CSV,
	OPT_FULL
};

#define LIMIT_FOR_PEOPLE 100u

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("only jobs of this port"), false },
	{ "unit", OPT_UNIT, N_("UNIT"), N_("only of the phone whose identity begins so"), false },
	{ "since", OPT_SINCE, N_("TIME"), N_("ended then or later: 2026-11-21, 07:30, 2h, today"), false },
	{ "until", OPT_UNTIL, N_("TIME"), N_("ended before then"), false },
	{ "result", OPT_RESULT, N_("RESULT"), N_("pass, fail, skipped, cancelled or interrupted"), false },
	{ "error", OPT_ERROR, N_("NAME"), N_("failed with this error"), false },
	{ "image", OPT_IMAGE, N_("IMAGE"), N_("name of the package, or 8 digits of its digest"), false },
	{ "rule", OPT_RULE, N_("NAME"), N_("asked for by this rule"), false },
	{ "serial", OPT_SERIAL, N_("TEXT"), N_("bound to this serial number"), false },
	{ "work-order", OPT_ORDER, N_("TEXT"), N_("bound to this work order"), false },
	{ "limit", OPT_LIMIT, N_("N"), N_("at most so many (100; with --json, --csv: all)"), false },
	{ "csv", OPT_CSV, NULL, N_("for a spreadsheet"), false },
	{ "full", OPT_FULL, NULL, N_("identities of phones in full"), false },
	{ 0 },
};

struct query {
	struct client *c;
	char *slot;
	const char *unit, *result, *error, *image, *rule, *serial, *order;
	uint64_t since, until, limit, shown;
	bool csv, full;
};

/* ---- one job ---- */

static bool show_words(void *user, json_object *job)
{
	struct query *q = user;
	const char *error = prop_text(job, "error"), *result = prop_text(job, "result");
	enum tone t = !strcmp(result, "succeeded") ? TONE_GOOD
		      : !strcmp(result, "skipped") ? TONE_WARN
		      : *error			   ? TONE_BAD
						   : TONE_PLAIN;
	char at[32], took[FORMAT_MAX];

	if (!q->shown)
		printf("%-6s %-16s %-24s %-8s %s %7s  %s\n", _("JOB"), _("ENDED"), _("SLOT"), _("UNIT"),
		       padded(_("RESULT"), 11), _("TIME"), _("IMAGE, ERROR"));
	printf("%-6" PRIu64 " %-16s %s %-8s %s %7s  %s%s%s\n", prop_u64(job, "job"),
	       sheet_time(prop_u64(job, "finished_at"), at, sizeof(at)), padded(prop_text(job, "slot"), 24),
	       *prop_str(job, "unit") ? prop_text(job, "unit") : "-", tone(q->c, t, padded(result, 11)),
	       prop_u64(job, "run_usec") ? format_duration(prop_u64(job, "run_usec"), took, sizeof(took))
					 : "-",
	       prop_text(job, "image"), *error ? "  " : "", error);
	q->shown++;
	return true;
}

static const struct column {
	const char *name;
	char type; /* s text, n number, t time */
} columns[] = {
	{ "job", 'n' },		{ "kind", 's' },	   { "result", 's' },
	{ "error", 's' },	{ "created_at", 't' },	   { "started_at", 't' },
	{ "finished_at", 't' }, { "run_usec", 'n' },	   { "slot", 's' },
	{ "unit", 's' },	{ "serial", 's' },	   { "work_order", 's' },
	{ "operator", 's' },	{ "rule", 's' },	   { "sample", 's' },
	{ "uid", 'n' },		{ "image", 's' },	   { "product", 's' },
	{ "firmware", 's' },	{ "digest", 's' },	   { "fdl1", 's' },
	{ "fdl2", 's' },	{ "loader", 's' },	   { "storage", 's' },
	{ "level", 's' },	{ "leaves", 's' },	   { "nv", 's' },
	{ "bytes_sent", 'n' },	{ "bytes_compared", 'n' }, { "bytes_read", 'n' },
	{ "rate", 'n' },	{ "stage", 's' },	   { "step", 's' },
	{ "entry", 's' },	{ "offset", 'n' },	   { "device_code", 'n' },
	{ "detail", 's' },	{ "notes", 's' },	   { "host", 's' },
	{ "version", 's' },
};

/* Names come from packages: a spreadsheet must not take one for a formula. */
static void csv_text(const char *text)
{
	putchar('"');
	if (*text && strchr("=+-@\t\r", *text))
		putchar('\'');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void csv_time(uint64_t usec)
{
	time_t at = (time_t)(usec / 1000000u);
	char text[40];
	struct tm tm;

	if (usec && localtime_r(&at, &tm) && strftime(text, sizeof(text), "%FT%T%z", &tm))
		fputs(text, stdout);
}

static bool show_csv(void *user, json_object *job)
{
	struct query *q = user;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		json_object *value = NULL;

		if (i)
			putchar(',');
		json_object_object_get_ex(job, columns[i].name, &value);
		if (columns[i].type == 's')
			csv_text(prop_str(job, columns[i].name));
		else if (columns[i].type == 't')
			csv_time(prop_u64(job, columns[i].name));
		else if (value)
			printf("%s", json_object_get_string(value));
	}
	putchar('\n');
	q->shown++;
	return true;
}

static bool show_json(void *user, json_object *job)
{
	struct query *q = user;

	print_json(job);
	q->shown++;
	return true;
}

/* ---- asking ---- */

static int append(sd_bus_message *m, const struct query *q, uint64_t before)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r < 0 || (r = sheet_text(m, "slot", q->slot)) < 0 || (r = sheet_text(m, "unit", q->unit)) < 0 ||
	    (r = sheet_text(m, "result", q->result)) < 0 || (r = sheet_text(m, "error", q->error)) < 0 ||
	    (r = sheet_text(m, "image", q->image)) < 0 || (r = sheet_text(m, "rule", q->rule)) < 0 ||
	    (r = sheet_text(m, "serial", q->serial)) < 0 || (r = sheet_text(m, "work_order", q->order)) < 0 ||
	    (r = sheet_number(m, "since", q->since)) < 0 || (r = sheet_number(m, "until", q->until)) < 0 ||
	    (r = sheet_number(m, "before", before)) < 0 ||
	    (r = sheet_number(m, "limit", q->limit ? q->limit - q->shown : 0)) < 0 ||
	    (r = sheet_flag(m, "steps", q->c->json)) < 0 || (r = sheet_flag(m, "full", q->full)) < 0)
		return r;
	return sd_bus_message_close_container(m);
}

/* One answer. *before: where to go on, 0 at the end. */
static int page(struct query *q, uint64_t *before)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *text = NULL;
	int r, rc;

	m = sheet_call(q->c, q->c->host ? "HistoryText" : "History", &rc);
	if (!m)
		return rc;
	r = append(m, q, *before);
	if (r >= 0)
		r = client_ask(q->c, m, &error, &reply);
	if (r >= 0)
		r = sheet_take(reply, &text);
	if (r >= 0)
		r = sd_bus_message_read(reply, "t", before);
	if (r < 0)
		return client_complain_bus(q->c, &error, r);
	if (!text || !sheet_each(text, q->c->json ? show_json : q->csv ? show_csv : show_words, q))
		return sheet_nonsense(q->c);
	return 0;
}

static int list(struct query *q)
{
	uint64_t before = 0;
	int rc;

	if (!q->limit && !q->c->json && !q->csv)
		q->limit = LIMIT_FOR_PEOPLE;
	for (size_t i = 0; q->csv && i < ARRAY_SIZE(columns); i++)
		printf("%s%s", columns[i].name, i + 1 < ARRAY_SIZE(columns) ? "," : "\n");
	do {
		rc = page(q, &before);
	} while (!rc && before && (!q->limit || q->shown < q->limit));
	if (!rc && !q->shown && !q->c->json && !q->csv)
		puts(_("No such jobs."));
	if (!rc && before && !q->c->json && !q->csv)
		print_wrapped(stderr, "", _("There are more: --limit shows them."));
	return rc;
}

/* ---- verify, rebuild ---- */

static bool show_difference(void *user, json_object *line)
{
	const struct client *c = user;
	const char *what = prop_str(line, "what");

	if (c->json)
		print_json(line);
	else if (!strcmp(what, "differs"))
		printf(_("job %s: %s: '%s' in the database, '%s' in the files\n"), prop_text(line, "job"),
		       prop_text(line, "field"), prop_text(line, "database"), prop_text(line, "files"));
	else if (!strcmp(what, "no-row"))
		printf(_("job %s: not in the database\n"), prop_text(line, "job"));
	else if (!strcmp(what, "damaged"))
		printf(_("the database was damaged (%s) and has just been made anew\n"),
		       prop_text(line, "database"));
	else /* no-folder, no-result */
		printf(_("job %s: in the database, but without files\n"), prop_text(line, "job"));
	return true;
}

static int verify(struct client *c)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *text = NULL;
	struct failure why = { .error = ERR_HISTORY_DIFFERS, .code = -1 };
	uint64_t jobs, count;
	int r, rc;

	m = sheet_call(c, "HistoryVerify", &rc);
	if (!m)
		return rc;
	r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask(c, m, &error, &reply);
	if (r >= 0)
		r = sheet_take(reply, &text);
	if (r >= 0)
		r = sd_bus_message_read(reply, "tt", &jobs, &count);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	if (!text || !sheet_each(text, show_difference, c))
		return sheet_nonsense(c);
	if (count) {
		fflush(stdout);
		snprintf(why.detail, sizeof(why.detail), _("%llu differences, %llu jobs compared"),
			 (unsigned long long)count, (unsigned long long)jobs);
		return client_complain(c, &why);
	}
	if (c->json)
		printf("{\"jobs\":%" PRIu64 ",\"differences\":0}\n", jobs);
	else
		printf(_("%llu jobs compared, no difference.\n"), (unsigned long long)jobs);
	return 0;
}

static int rebuild(struct client *c)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	uint64_t jobs;
	int r, rc;

	m = sheet_call(c, "HistoryRebuild", &rc);
	if (!m)
		return rc;
	r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask(c, m, &error, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "t", &jobs);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	if (c->json)
		printf("{\"jobs\":%" PRIu64 "}\n", jobs);
	else
		printf(_("Made anew from the job folders: %llu jobs.\n"), (unsigned long long)jobs);
	return 0;
}

/* ---- the verb ---- */

static bool take_result(struct query *q, const char *word)
{
	static const char *const words[][2] = {
		{ "pass", "succeeded" },	  { "succeeded", "succeeded" }, { "fail", "failed" },
		{ "failed", "failed" },		  { "skipped", "skipped" },	{ "cancelled", "cancelled" },
		{ "interrupted", "interrupted" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i][0], word))
			q->result = words[i][1];
	return q->result != NULL;
}

static bool take_number(const char *text, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return *text >= '1' && *text <= '9' && !*end;
}

/* 0, or the exit code of wrong usage. */
static int take(struct query *q, int opt, const char *value)
{
	uint64_t now = when_now();

	switch (opt) {
	case OPT_UNIT: q->unit = value; break;
	case OPT_IMAGE: q->image = value; break;
	case OPT_RULE: q->rule = value; break;
	case OPT_SERIAL: q->serial = value; break;
	case OPT_ORDER: q->order = value; break;
	case OPT_CSV: q->csv = true; break;
	case OPT_FULL: q->full = true; break;
	case OPT_ERROR:
		q->error = value;
		if (error_by_name(value) == ERR_NONE)
			return client_usage(N_("no error is called '%s'"), value);
		break;
	case OPT_RESULT:
		if (!take_result(q, value))
			return client_usage(N_("'%s': pass, fail, skipped, cancelled or interrupted"), value);
		break;
	case OPT_LIMIT:
		if (!take_number(value, &q->limit))
			return client_usage(N_("'%s' is no number"), value);
		break;
	case OPT_SINCE:
	case OPT_UNTIL:
		if (!when_parse(value, now, opt == OPT_SINCE ? &q->since : &q->until))
			return client_usage(
				N_("'%s' is no time: 2026-11-21, '2026-11-21 07:30', 07:30, 2h, today"),
				value);
		break;
	default: break;
	}
	return 0;
}

static int run(struct client *c, int argc, char **argv)
{
	struct query q = { .c = c };
	const char *word, *slot = NULL;
	int opt, rc;

	while ((opt = verb_next(c, &verb_history, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_SLOT)
			slot = optarg;
		rc = take(&q, opt, optarg);
		if (rc)
			return rc;
	}
	argc -= optind;
	argv += optind;
	word = argc ? argv[0] : "";
	if (argc > 1 || (argc && strcmp(word, "verify") && strcmp(word, "rebuild")))
		return client_usage(N_("history: '%s'? verify, rebuild, or options"), argv[argc - 1]);
	if (q.csv && c->json)
		return client_usage(N_("history: --csv or --json"));
	if (*word == 'v' && c->host)
		return client_usage(N_("history: the answer does not come through ssh; "
				       "'ssh %s fdlctl history verify' compares there"),
				    c->host);
	if (argc)
		return *word == 'v' ? verify(c) : rebuild(c);
	rc = client_connect(c);
	if (rc)
		return rc;
	if (slot) {
		q.slot = sheet_slot(c, slot);
		if (!q.slot)
			return error_entry(ERR_INTERNAL)->exit_code;
	}
	rc = list(&q);
	free(q.slot);
	return rc;
}

const struct verb verb_history = {
	.name = "history",
	.args = N_("[verify|rebuild]"),
	.summary = N_("jobs that have ended, also long ago"),
	.about = N_(
		"Every job that has ended and is still kept, the latest first. verify compares the database with "
		"the files of every job and names each difference; rebuild makes the database anew from them."),
	.options = options,
	.operand = OPERAND_HISTORY,
	.run = run,
};
