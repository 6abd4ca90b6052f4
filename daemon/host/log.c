/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"
#include "common/util.h"
#include "loop/loop.h"
#include "station/config.h"
#include "station/station.h"

/* What was last said of a job, so that each thing is said once. */
struct seen {
	struct seen *next;
	const struct job *job;
	char stage[24];
	bool started;
};

struct host_log {
	struct loop *loop;
	struct station *station;
	struct loop_prepare *prepare;
	struct seen *jobs;
	uint64_t slow_turns;
	uint32_t threads_left, history_rebuilt;
	bool history_failed;
	struct failure history_why; /* as last said */
};

/* Fields that every line of a job has; the texts live as long as this. */
struct job_words {
	struct job_view view;
	struct slot_view slot;
	char number[24], uid[16];
	struct journal_field fields[JOURNAL_FIELDS_MAX];
	size_t count;
};

static void describe(const struct job *job, struct job_words *w)
{
	memset(w, 0, sizeof(*w));
	w->slot.id = w->slot.port = "";
	job_view(job, &w->view);
	if (w->view.slot)
		slot_view(w->view.slot, &w->slot);
	snprintf(w->number, sizeof(w->number), "%" PRIu64, w->view.number);
	snprintf(w->uid, sizeof(w->uid), "%u", w->view.uid);
	w->fields[w->count++] = (struct journal_field){ "FDL_JOB", w->number };
	w->fields[w->count++] = (struct journal_field){ "FDL_SLOT", w->slot.id };
	w->fields[w->count++] = (struct journal_field){ "FDL_PORT", w->slot.port };
	w->fields[w->count++] = (struct journal_field){ "FDL_IMAGE", w->view.image_name };
	w->fields[w->count++] = (struct journal_field){ "FDL_SENDER_UID", w->uid };
	if (w->view.failure.error != ERR_NONE)
		w->count += journal_failure_fields(&w->view.failure, w->fields + w->count);
	else
		w->fields[w->count++] = (struct journal_field){ "FDL_STAGE", w->view.stage };
}

static const char *place(const struct job_words *w)
{
	return w->slot.port[0] ? w->slot.port : w->slot.id[0] ? w->slot.id : "any port";
}

/* ---- jobs ------------------------------------------------------------------------- */

static void say_end(struct host_log *log, struct job *job, const struct job_words *w)
{
	struct job_result res;
	char text[1024];

	job_result(job, &res);
	if (!strcmp(w->view.state, "succeeded") && !*res.level) /* it has written nothing */
		journal_event(EVENT_JOB_SUCCEEDED, w->fields, w->count, "job %s (%s) passed on %s; phone: %s",
			      w->number, w->view.kind, place(w), res.leaves);
	else if (!strcmp(w->view.state, "succeeded"))
		journal_event(EVENT_JOB_SUCCEEDED, w->fields, w->count, "job %s passed on %s (%s, nv %s)",
			      w->number, place(w), res.level, res.nv);
	else if (!strcmp(w->view.state, "cancelled"))
		journal_event(EVENT_JOB_CANCELLED, w->fields, w->count,
			      "job %s was cancelled on %s; phone: %s", w->number, place(w), res.leaves);
	else if (!strcmp(w->view.state, "skipped"))
		journal_event(EVENT_JOB_SKIPPED, w->fields, w->count,
			      "job %s has left the phone on %s alone: %s", w->number, place(w),
			      failure_text(&w->view.failure, text, sizeof(text)));
	else if (!strcmp(w->view.state, "interrupted"))
		journal_event(EVENT_JOB_INTERRUPTED, w->fields, w->count,
			      "job %s was interrupted; last confirmed: %s", w->number,
			      res.last_confirmed[0] ? res.last_confirmed : "nothing");
	else
		journal_event(EVENT_JOB_FAILED, w->fields, w->count, "job %s failed on %s: %s; phone: %s",
			      w->number, place(w), failure_text(&w->view.failure, text, sizeof(text)),
			      res.leaves);
	if (*w->view.unstored)
		journal_event(EVENT_STORE_FAILED, w->fields, w->count,
			      "the result of job %s is not stored: %s", w->number, w->view.unstored);
	if (res.nv_owed)
		journal_event(EVENT_NV_OWED, w->fields, w->count,
			      "the NV backup of job %s is owed to its phone", w->number);
}

static struct seen *seen_of(struct host_log *log, const struct job *job)
{
	struct seen *s;

	for (s = log->jobs; s; s = s->next)
		if (s->job == job)
			return s;
	return NULL;
}

static void on_job_added(void *user, struct job *job)
{
	struct host_log *log = user;
	struct seen *s = calloc(1, sizeof(*s));
	struct job_words w;

	describe(job, &w);
	if (s) {
		s->job = job;
		s->next = log->jobs;
		log->jobs = s;
	}
	if (!w.view.ended)
		journal_event(EVENT_JOB_ACCEPTED, w.fields, w.count, "job %s (%s) was accepted for %s",
			      w.number, w.view.kind, place(&w));
}

static void on_job_changed(void *user, struct job *job)
{
	struct seen *s = seen_of(user, job);
	struct job_words w;

	if (!s)
		return;
	describe(job, &w);
	if (w.view.ended)
		return;
	if (!s->started && w.view.started_at) {
		s->started = true;
		journal_event(EVENT_JOB_STARTED, w.fields, w.count, "job %s has started on %s", w.number,
			      place(&w));
	}
	if (strncmp(s->stage, w.view.stage, sizeof(s->stage) - 1)) {
		snprintf(s->stage, sizeof(s->stage), "%s", w.view.stage);
		journal_event(EVENT_JOB_STAGE, w.fields, w.count, "job %s: %s", w.number, w.view.stage);
	}
}

static void on_job_finished(void *user, struct job *job)
{
	struct job_words w;

	describe(job, &w);
	say_end(user, job, &w);
}

static void on_job_removed(void *user, struct job *job)
{
	struct host_log *log = user;

	for (struct seen **p = &log->jobs; *p; p = &(*p)->next) {
		struct seen *s = *p;

		if (s->job != job)
			continue;
		*p = s->next;
		free(s);
		return;
	}
}

/* ---- phones and packages ---------------------------------------------------------- */

static void say_device(enum event_id event, struct device *device, const char *what)
{
	struct device_view view;
	struct slot_view slot = { .id = "", .port = "" };
	struct journal_field fields[2];

	device_view(device, &view);
	if (view.slot)
		slot_view(view.slot, &slot);
	fields[0] = (struct journal_field){ "FDL_SLOT", slot.id };
	fields[1] = (struct journal_field){ "FDL_PORT", slot.port };
	if (view.running) {
		journal_line(LOG_INFO, "running phone %" PRIu64 " %s on %s (%s)", view.number, what,
			     slot.port, slot.id);
		return;
	}
	journal_event(event, fields, 2, "phone %" PRIu64 " %s on %s (%s)", view.number, what, slot.port,
		      slot.id);
}

static void on_device_added(void *user, struct device *device)
{
	say_device(EVENT_DEVICE_ARRIVED, device, "arrived");
}

static void on_device_removed(void *user, struct device *device)
{
	say_device(EVENT_DEVICE_LOST, device, "left");
}

static void on_image_added(void *user, struct image *image)
{
	struct image_view view;
	struct journal_field field = { "FDL_IMAGE", NULL };

	image_view(image, &view);
	field.value = view.name;
	if (view.loader) {
		journal_line(LOG_INFO, "a pair of loaders is kept: %s (%.12s)", view.name, view.digest);
		return;
	}
	journal_event(EVENT_IMAGE_OPENED, &field, 1, "package %s opened: %s %s, %" PRIu64 " bytes", view.name,
		      view.product, view.firmware, view.size);
}

static void on_image_changed(void *user, struct image *image)
{
	struct journal_field fields[1 + JOURNAL_FAILURE_FIELDS];
	struct image_view view;
	char text[1024];

	image_view(image, &view);
	if (strcmp(view.state, "bad"))
		return;
	fields[0] = (struct journal_field){ "FDL_IMAGE", view.name };
	journal_event(EVENT_IMAGE_REJECTED, fields, 1 + journal_failure_fields(&view.failure, fields + 1),
		      "package %s: %s", view.name, failure_text(&view.failure, text, sizeof(text)));
}

/* ---- ourselves -------------------------------------------------------------------- */

static void on_station_changed(void *user)
{
	struct host_log *log = user;
	struct station_counts c;

	station_counts(log->station, &c);
	if (c.threads_left_behind > log->threads_left)
		journal_event(EVENT_THREAD_LEFT, NULL, 0,
			      "%u calls of a disk or of USB did not come back and were left behind",
			      c.threads_left_behind);
	log->threads_left = c.threads_left_behind;
}

static void on_config_read(void *user, const struct failure *why)
{
	struct host_log *log = user;
	struct config *config = station_config(log->station);
	struct journal_field fields[JOURNAL_FAILURE_FIELDS];
	const char *changes = config_changes(config);

	if (why)
		journal_event(EVENT_CONFIG_REJECTED, fields, journal_failure_fields(why, fields),
			      "the configuration is refused, what was in force stays so: %s", why->detail);
	else
		journal_event(EVENT_CONFIG_RELOADED, NULL, 0,
			      "the configuration was read anew from %zu files: %s",
			      config_book(config)->files.count, changes[0] ? changes : "nothing has changed");
}

/* Said once for each reason, not for each try. */
static void on_history_changed(void *user)
{
	struct journal_field fields[JOURNAL_FAILURE_FIELDS];
	struct host_log *log = user;
	struct history_view h;
	bool failed;

	station_history(log->station, &h);
	failed = !strcmp(h.state, "failed");
	if (h.rebuilt != log->history_rebuilt)
		journal_event(EVENT_HISTORY_REBUILT, NULL, 0,
			      "the history's database was moved aside (%s) and is made anew", h.damage);
	log->history_rebuilt = h.rebuilt;
	if (failed && (!log->history_failed || strcmp(h.failure->detail, log->history_why.detail) != 0)) {
		log->history_why = *h.failure;
		journal_event(EVENT_HISTORY_FAILED, fields, journal_failure_fields(h.failure, fields),
			      "the history cannot be written: %s; jobs go on", h.failure->detail);
	} else if (!failed && log->history_failed) {
		journal_event(EVENT_HISTORY_RESTORED, NULL, 0,
			      "the history can be written again: %" PRIu64 " jobs", h.jobs);
	}
	log->history_failed = failed;
}

static void on_prepare(void *arg)
{
	struct host_log *log = arg;
	struct loop_stats stats;
	struct journal_field field = { "FDL_STALL_MSEC", NULL };
	char text[24];

	loop_stats(log->loop, &stats);
	if (stats.slow_turns == log->slow_turns)
		return;
	log->slow_turns = stats.slow_turns;
	snprintf(text, sizeof(text), "%" PRIu64, stats.max_turn_usec / 1000);
	field.value = text;
	journal_event(EVENT_LOOP_STALLED, &field, 1,
		      "the loop was held up (%" PRIu64 " times so far, at most %s ms)", stats.slow_turns,
		      text);
}

static const struct station_events events = {
	.station_changed = on_station_changed,
	.history_changed = on_history_changed,
	.config_read = on_config_read,
	.device_added = on_device_added,
	.device_removed = on_device_removed,
	.image_added = on_image_added,
	.image_changed = on_image_changed,
	.job_added = on_job_added,
	.job_changed = on_job_changed,
	.job_finished = on_job_finished,
	.job_removed = on_job_removed,
};

struct host_log *host_log_new(struct loop *loop, struct station *station)
{
	struct host_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->loop = loop;
	log->station = station;
	log->prepare = loop_prepare_new(loop, on_prepare, log);
	if (!log->prepare || station_subscribe(station, &events, log) < 0) {
		host_log_free(log);
		return NULL;
	}
	/* what an earlier run left behind: it ended with that run and is said now */
	for (struct job *job = NULL; (job = station_next_job(station, job));) {
		struct job_words w;

		describe(job, &w);
		if (!strcmp(w.view.state, "interrupted") && !w.view.old)
			say_end(log, job, &w);
	}
	return log;
}

void host_log_free(struct host_log *log)
{
	if (!log)
		return;
	station_unsubscribe(log->station, &events, log);
	loop_prepare_free(log->prepare);
	while (log->jobs) {
		struct seen *s = log->jobs;

		log->jobs = s->next;
		free(s);
	}
	free(log);
}
