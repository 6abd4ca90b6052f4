/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Following jobs to their end: a live view on a terminal, plain lines elsewhere, JSON lines with --json.
 */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/client.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

#define TURN_USEC 250000u
#define PLAIN_USEC                                                                                          \
	5000000u /* elsewhere than on a terminal: one line per job at most this often, and at once on a new \
		    stage */
#define UNKNOWN_USEC UINT64_MAX

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupts++;
}

struct shown { /* what was last said of a job */
	char stage[32], why[128];
	char *line; /* with --json */
	uint64_t at;
	uint64_t silent, deadline, told_at; /* the last silence told, and when: it counts on here */
	bool finished;
};

bool job_ended(json_object *job)
{
	static const char *const ends[] = { "succeeded", "failed", "skipped", "cancelled", "interrupted" };
	const char *state = prop_str(job, "State");

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!strcmp(state, ends[i]))
			return true;
	return false;
}

const char *job_about(json_object *job)
{
	return *prop_str(job, "ImageName") ? "ImageName" : "Kind";
}

static const char *place(const struct client *c, json_object *job, char *buf, size_t size)
{
	json_object *slot = mirror_props(c, prop_str(job, "Slot"), FDLD_IFACE_SLOT);
	const char *port = prop_str(slot, "Port");

	snprintf(buf, size, "%s", slot ? clean(*port ? port : prop_str(slot, "Id")) : _("any port"));
	return buf;
}

/* Why nothing seems to happen, counting down. */
static void silence_line(json_object *job, json_object *progress, const char *what, uint64_t since, char *buf,
			 size_t size)
{
	uint64_t left = prop_u64(progress, "DeadlineUsec"), quiet = prop_u64(progress, "SilentUsec");
	bool nobody = !strcmp(prop_str(job, "State"), "waiting-for-device");
	char silent[32], limit[48] = "", number[32];

	format_duration(quiet + since, silent, sizeof(silent));
	if (left != UNKNOWN_USEC) {
		format_duration(left > since ? left - since : 0, number, sizeof(number));
		snprintf(limit, sizeof(limit), _(", at most %s more"), number);
	}
	if (nobody)
		snprintf(buf, size, _("waiting%s: %s"), limit, prop_text(progress, "Why"));
	else
		snprintf(buf, size, _("%s  silent for %s%s: %s"), what, silent, limit,
			 prop_text(progress, "Why"));
}

#define BAR_CELLS 20u

/* "[####----]  45 %  31 MiB/s  0:12 left  write boot", or why it waits, counting down: what a narrow terminal
 * cuts off is the end */
static void progress_text(json_object *job, json_object *progress, uint64_t since, unsigned width, char *buf,
			  size_t size)
{
	char rate[32], eta[32], cells[BAR_CELLS + 1], what[96];
	double fraction = prop_num(progress, "Fraction");
	const char *step = prop_text(job, "Step"), *entry = prop_text(job, "Entry");

	snprintf(what, sizeof(what), "%s%s%s", *step ? step : prop_text(job, "Stage"), *entry ? " " : "",
		 entry);
	if (!strcmp(prop_str(job, "State"), "queued")) {
		snprintf(buf, size, _("queued: %s"),
			 *prop_str(progress, "Why") ? prop_text(progress, "Why")
						    : prop_text(job, "QueuedFor"));
		return;
	}
	if (*prop_str(progress, "Why")) {
		silence_line(job, progress, what, since, buf, size);
		return;
	}
	if (!prop_u64(progress, "BytesTotal")) { /* nothing that a bar could measure */
		snprintf(buf, size, "%s", what);
		return;
	}
	/* on 80 columns what is being written is worth more than a long bar */
	print_bar(cells, width < 100 ? BAR_CELLS / 2 : BAR_CELLS, fraction);
	format_rate(prop_u64(progress, "Rate"), rate, sizeof(rate));
	if (prop_u64(progress, "EtaUsec") == UNKNOWN_USEC) {
		snprintf(buf, size, "[%s] %3.0f %%  %10s  %12s  %s", cells, fraction * 100, rate, "", what);
		return;
	}
	duration_words(prop_u64(progress, "EtaUsec"), eta, sizeof(eta));
	snprintf(buf, size, _("[%s] %3.0f %%  %10s  %7s left  %s"), cells, fraction * 100, rate, eta, what);
}

/* What the operator holds in the hand now. */
static const char *leaves_text(const char *leaves)
{
	if (!strcmp(leaves, "unchanged"))
		return _("unchanged: nothing was erased or written");
	if (!strcmp(leaves, "needs-flash"))
		return _("needs-flash: it may not start until it is flashed again");
	if (!strcmp(leaves, "complete"))
		return _("complete: everything the job had to do is done");
	return leaves;
}

/* "acknowledged (sampled: not this one)" */
static const char *level_words(json_object *result, char *buf, size_t size)
{
	const char *sample = prop_str(result, "sample");

	snprintf(buf, size, "%s%s", prop_text(result, "level"),
		 !strcmp(sample, "left")    ? _(" (sampled: not this one)")
		 : !strcmp(sample, "taken") ? _(" (sampled: this one)")
					    : "");
	return buf;
}

static void pass(const struct client *c, json_object *job, const char *where, json_object *result)
{
	char took[32], level[96];

	format_duration(prop_u64(result, "duration_usec"), took, sizeof(took));
	if (!*prop_str(result, "level")) { /* it has written nothing */
		printf(_("%s  %s  job %s  %s, the phone is unchanged, %s\n"), tone(c, TONE_GOOD, _("PASS")),
		       where, prop_text(job, "Id"), prop_text(job, "Kind"), took);
		return;
	}
	printf(_("%s  %s  job %s  %s (%s), NV %s, %s\n"), tone(c, TONE_GOOD, _("PASS")), where,
	       prop_text(job, "Id"), level_words(result, level, sizeof(level)), prop_text(result, "leaves"),
	       prop_text(result, "nv"), took);
}

static void fail(const struct client *c, json_object *job, const char *where)
{
	bool cancelled = !strcmp(prop_str(job, "State"), "cancelled");
	bool skipped = !strcmp(prop_str(job, "State"), "skipped");
	const char *name = prop_str(job, "ErrorName");
	json_object *error = NULL;
	char text[1024];

	json_object_object_get_ex(job, "ErrorDetails", &error);
	words_job(name, error, text, sizeof(text));
	printf(_("%s  %s  job %s  %s\n"),
	       cancelled ? tone(c, TONE_WARN, _("CANCELLED"))
	       : skipped ? tone(c, TONE_WARN, _("SKIPPED"))
			 : tone(c, TONE_BAD, _("FAIL")),
	       where, prop_text(job, "Id"),
	       clean(!strncmp(name, FDLD_ERROR_PREFIX, strlen(FDLD_ERROR_PREFIX))
			     ? name + strlen(FDLD_ERROR_PREFIX)
			     : name));
	print_wrapped(stdout, _("      what happened: "), text);
	print_wrapped(stdout, _("      what to do:    "),
		      words_remedy(error_by_name(name), prop_str(error, "remedy")));
	print_wrapped(stdout, _("      the phone:     "), leaves_text(prop_str(job, "CancelLeaves")));
}

void follow_result(const struct client *c, const char *path)
{
	json_object *job = mirror_props(c, path, FDLD_IFACE_JOB), *result = NULL, *notes = NULL;
	char where[96];

	json_object_object_get_ex(job, "Result", &result);
	place(c, job, where, sizeof(where));
	if (!strcmp(prop_str(job, "State"), "succeeded"))
		pass(c, job, where, result);
	else
		fail(c, job, where);
	if (json_object_object_get_ex(result, "notes", &notes))
		for (size_t i = 0; i < json_object_array_length(notes); i++)
			print_wrapped(stdout, _("      note: "),
				      json_object_get_string(json_object_array_get_idx(notes, i)));
	fflush(stdout);
}

/* By the error's name; of an error that we do not know, as the daemon says. */
static int exit_code(json_object *job)
{
	json_object *error = NULL;
	enum error_id id;

	if (!strcmp(prop_str(job, "State"), "succeeded"))
		return 0;
	id = error_by_name(prop_str(job, "ErrorName"));
	if (id != ERR_NONE)
		return error_entry(id)->exit_code;
	if (json_object_object_get_ex(job, "ErrorDetails", &error) &&
	    prop_u64(error, "exit_code") > EXIT_USAGE && prop_u64(error, "exit_code") < 125)
		return (int)prop_u64(error, "exit_code");
	return error_entry(ERR_INTERNAL)->exit_code;
}

/* ---- the three forms ---- */

/* Accepted for a phone that is there: it starts in a moment, and nobody has to be told to plug one in. */
static bool about_to_start(const struct client *c, json_object *job)
{
	const char *device = prop_str(mirror_props(c, prop_str(job, "Slot"), FDLD_IFACE_SLOT), "Device");

	return !strcmp(prop_str(job, "State"), "waiting-for-device") && !*prop_str(job, "QueuedFor") &&
	       strlen(device) > 1;
}

static void plain(const struct client *c, const char *path, struct shown *s)
{
	json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);
	json_object *progress = mirror_props(c, path, FDLD_IFACE_PROGRESS);
	uint64_t now = client_now();
	char text[512], where[96];
	const char *why = prop_str(progress, "Why");

	if (about_to_start(c, job))
		return;
	/* that the silence ended is no news; nor is the same one again, as when a loader is called time after
	 * time */
	if (!strcmp(s->stage, prop_str(job, "Stage")) && (!*why || !strcmp(s->why, why)) &&
	    now - s->at < PLAIN_USEC)
		return;
	snprintf(s->stage, sizeof(s->stage), "%s", prop_str(job, "Stage"));
	if (*why)
		snprintf(s->why, sizeof(s->why), "%s", why);
	s->at = now;
	progress_text(job, progress, now - s->told_at, UINT_MAX, text, sizeof(text));
	printf(_("%s  job %s  %s\n"), place(c, job, where, sizeof(where)), prop_text(job, "Id"), text);
	fflush(stdout);
}

/* One line about a job; of its progress only what is news. */
static void json_line(const struct client *c, const char *path, struct shown *s, bool final)
{
	json_object *o = json_object_new_object(), *copy = NULL;
	json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);
	json_object *progress = mirror_props(c, path, FDLD_IFACE_PROGRESS);
	const char *text;

	json_object_object_add(o, "event", json_object_new_string(final ? "finished" : "progress"));
	json_object_object_add(o, "path", json_object_new_string(path));
	if (job && json_object_deep_copy(job, &copy, NULL) == 0)
		json_object_object_add(o, "job", copy);
	copy = NULL;
	if (progress && json_object_deep_copy(progress, &copy, NULL) == 0)
		json_object_object_add(o, "progress", copy);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (final || !s->line || strcmp(s->line, text) != 0) {
		free(s->line);
		s->line = strdup(text);
		print_json(o);
	}
	json_object_put(o);
}

static unsigned live(const struct client *c, const char *const *paths, size_t count, struct shown *shown,
		     unsigned lines)
{
	struct winsize w = { .ws_col = 100 };
	unsigned drawn = 0;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	if (lines)
		printf("\033[%uA", lines);
	for (size_t i = 0; i < count; i++) {
		json_object *job = mirror_props(c, paths[i], FDLD_IFACE_JOB);
		json_object *progress = mirror_props(c, paths[i], FDLD_IFACE_PROGRESS);
		char text[512], where[96], line[700];

		if (!job || shown[i].finished)
			continue;
		progress_text(job, progress, client_now() - shown[i].told_at, w.ws_col > 1 ? w.ws_col : 80,
			      text, sizeof(text));
		snprintf(line, sizeof(line), _("%-10s job %-4s %s"), place(c, job, where, sizeof(where)),
			 prop_text(job, "Id"), text);
		printf("\033[2K%s\n", print_cut(line, w.ws_col > 1 ? w.ws_col - 1 : 79));
		drawn++;
	}
	for (unsigned i = drawn; i < lines; i++)
		printf("\033[2K\n");
	if (lines > drawn)
		printf("\033[%uA", lines - drawn);
	fflush(stdout);
	return drawn;
}

static void ask_cancel(struct client *c, const char *const *paths, size_t count)
{
	if (!c->json)
		fprintf(stderr, "\n%s\n",
			_("Asking to stop at the next safe point; press Ctrl-C again to leave the jobs running "
			  "and go."));
	for (size_t i = 0; i < count; i++) {
		_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
		json_object *job = mirror_props(c, paths[i], FDLD_IFACE_JOB);

		if (!job || job_ended(job))
			continue;
		if (sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, paths[i], FDLD_IFACE_JOB,
						   "Cancel") >= 0 &&
		    sd_bus_message_append(m, "a{sv}", 0) >= 0)
			(void)sd_bus_call_async(c->bus, NULL, m, NULL, NULL, 0);
	}
}

/* Prints the results that are new; returns how many jobs go on. */
static size_t finish(struct client *c, const char *const *paths, size_t count, struct shown *shown,
		     unsigned *lines, int *rc)
{
	size_t open = 0;

	for (size_t i = 0; i < count; i++) {
		json_object *job = mirror_props(c, paths[i], FDLD_IFACE_JOB);

		if (shown[i].finished)
			continue;
		if (job && !job_ended(job)) {
			open++;
			continue;
		}
		shown[i].finished = true;
		if (!job) {
			*rc = MAX(*rc, error_entry(ERR_NO_SUCH_JOB)->exit_code);
			continue;
		}
		if (c->json) {
			json_line(c, paths[i], &shown[i], true);
		} else {
			for (; *lines; (*lines)--) /* the results stand where the view was */
				fputs("\033[1A\033[2K", stdout);
			follow_result(c, paths[i]);
		}
		*rc = MAX(*rc, exit_code(job));
	}
	return open;
}

static void draw(struct client *c, const char *const *paths, size_t count, struct shown *shown,
		 unsigned *lines, bool news)
{
	if (c->tty && !c->json) {
		*lines = live(c, paths, count, shown, *lines);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (shown[i].finished)
			continue;
		if (!c->json)
			plain(c, paths[i], &shown[i]);
		else if (news)
			json_line(c, paths[i], &shown[i], false);
	}
}

/* Other jobs' news must not set this one's clock back. */
static void note_silence(const struct client *c, const char *path, struct shown *s)
{
	json_object *progress = mirror_props(c, path, FDLD_IFACE_PROGRESS);
	uint64_t silent = prop_u64(progress, "SilentUsec"), deadline = prop_u64(progress, "DeadlineUsec");

	if (s->told_at && silent == s->silent && deadline == s->deadline)
		return;
	s->silent = silent;
	s->deadline = deadline;
	s->told_at = client_now();
}

static int follow(struct client *c, const char *const *paths, size_t count, bool owner, struct shown *shown)
{
	uint64_t changes = c->changes + 1;
	unsigned lines = 0;
	bool asked = false;
	int rc = 0;

	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_interrupt }, NULL);
	client_turn(c, 0); /* the signal that tells of a new job stands before the reply that names it */
	while (finish(c, paths, count, shown, &lines, &rc)) {
		bool news = changes != c->changes;

		for (size_t i = 0; news && i < count; i++)
			note_silence(c, paths[i], &shown[i]);
		changes = c->changes;
		draw(c, paths, count, shown, &lines, news);
		client_turn(c, TURN_USEC);
		if (c->on_news && changes != c->changes)
			c->on_news(c->on_news_user);
		if (c->bus_lost) /* the last it said may have been how they ended */
			return finish(c, paths, count, shown, &lines, &rc) ? client_lost(c) : rc;
		if (!interrupts)
			continue;
		if (owner && !asked) {
			ask_cancel(c, paths, count);
			asked = true;
			lines = 0;
		}
		if (!owner || interrupts > 1) /* the jobs go on without us */
			return error_entry(ERR_CANCELLED)->exit_code;
	}
	return rc;
}

int follow_jobs(struct client *c, const char *const *paths, size_t count, bool owner)
{
	struct shown *shown = calloc(count + 1, sizeof(*shown));
	int rc = shown ? follow(c, paths, count, owner, shown) : error_entry(ERR_INTERNAL)->exit_code;

	for (size_t i = 0; shown && i < count; i++)
		free(shown[i].line);
	free(shown);
	return rc;
}
