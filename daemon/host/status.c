/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/status.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "host/ending.h"
#include "host/inhibit.h"
#include "host/notify.h"
#include "host/renew.h"
#include "loop/loop.h"
#include "station/config.h"
#include "station/station.h"

struct host_status {
	struct station *station;
	struct loop_prepare *prepare;
	const struct host_ending *ending;
	const struct host_inhibit *inhibit;
	const struct host_renew *renew;
	enum host_ending_state ending_shown;
	bool renewing_shown;
	const char *note; /* as shown */
	bool dirty;
};

static void touch(void *user)
{
	((struct host_status *)user)->dirty = true;
}

static void touch_config(void *user, const struct failure *why)
{
	touch(user);
}

static void touch_device(void *user, struct device *device)
{
	touch(user);
}

static void touch_job(void *user, struct job *job)
{
	touch(user);
}

static const struct station_events events = {
	.station_changed = touch,
	.config_read = touch_config,
	.device_added = touch_device,
	.device_removed = touch_device,
	.job_added = touch_job,
	.job_changed = touch_job,
	.job_removed = touch_job,
};

/* Text is added as long as there is room. */
struct line {
	char text[201];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) say(struct line *line, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line->text + line->len, sizeof(line->text) - line->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		line->len = MIN(line->len + (size_t)n, sizeof(line->text) - 1);
}

/* Jobs whose phone does not start again before it is flashed to its end. */
static unsigned int committed(struct station *st)
{
	unsigned int n = 0;
	struct job_view view;

	for (struct job *j = NULL; (j = station_next_job(st, j));) {
		job_view(j, &view);
		n += !strcmp(view.state, "running") && !strcmp(view.leaves, "needs-flash");
	}
	return n;
}

static void say_prefix(struct line *line, const struct host_status *status)
{
	switch (status->ending ? host_ending_state(status->ending) : ENDING_NOT) {
	case ENDING_GENTLY: say(line, "Stopping when the running jobs have ended: "); break;
	case ENDING_SOON: say(line, "Stopping, jobs are cancelled at their next boundary: "); break;
	case ENDING_STUCK: say(line, "Stopping, but what still runs shows no sign of life: "); break;
	case ENDING_NOT:
		if (station_draining(status->station))
			say(line, "Draining, no new jobs: ");
	}
}

static void say_state(struct line *line, struct station *st, const char *note)
{
	struct station_counts c;
	unsigned int bound;

	station_counts(st, &c);
	if (c.running) {
		bound = committed(st);
		say(line, "flashing %u phone%s", c.running, c.running == 1 ? "" : "s");
		if (bound)
			say(line, " (%u past the first erase)", bound);
		say(line, ", ");
	} else {
		say(line, "idle, ");
	}
	say(line, "%u phone%s plugged in", c.devices, c.devices == 1 ? "" : "s");
	if (c.queued)
		say(line, ", %u job%s queued", c.queued, c.queued == 1 ? "" : "s");
	if (c.waiting)
		say(line, ", %u waiting for a phone", c.waiting);
	if (c.gated)
		say(line, ", %u waiting to be released", c.gated);
	if (c.running)
		say(line, "%s", note);
	if (c.armed)
		say(line, ", %u port%s armed", c.armed, c.armed == 1 ? "" : "s");
	if (c.stopped)
		say(line, "; %u port%s stopped, see fdlctl slots", c.stopped, c.stopped == 1 ? "" : "s");
	if (!station_history_ok(st))
		say(line, "; the history cannot be written");
	if (c.owed)
		say(line, "; an NV backup is owed, see fdlctl jobs");
}

static void on_prepare(void *arg)
{
	struct host_status *status = arg;
	const char *note = status->inhibit ? host_inhibit_note(status->inhibit) : "";
	enum host_ending_state ending = status->ending ? host_ending_state(status->ending) : ENDING_NOT;
	bool renewing = status->renew && host_renew_pending(status->renew);
	const struct config *config = station_config(status->station);
	struct line line = { .len = 0 };

	if (!status->dirty && note == status->note && ending == status->ending_shown &&
	    renewing == status->renewing_shown)
		return;
	status->dirty = false;
	status->note = note;
	status->ending_shown = ending;
	status->renewing_shown = renewing;
	say_prefix(&line, status);
	say_state(&line, status->station, note);
	if (renewing)
		say(&line, "; a newer version takes over when idle");
	if (config_failure(config)->error != ERR_NONE)
		say(&line, "; configuration refused: %s", config_failure(config)->detail);
	line.text[0] = (char)toupper((unsigned char)line.text[0]);
	host_notify_status("%s", line.text);
}

struct host_status *host_status_new(struct loop *loop, struct station *station)
{
	struct host_status *status = calloc(1, sizeof(*status));

	if (!status)
		return NULL;
	status->station = station;
	status->dirty = true;
	status->prepare = loop_prepare_new(loop, on_prepare, status);
	if (!status->prepare || station_subscribe(station, &events, status) < 0) {
		host_status_free(status);
		return NULL;
	}
	return status;
}

void host_status_ask(struct host_status *status, const struct host_ending *ending,
		     const struct host_inhibit *inhibit, const struct host_renew *renew)
{
	status->ending = ending;
	status->inhibit = inhibit;
	status->renew = renew;
}

void host_status_free(struct host_status *status)
{
	if (!status)
		return;
	station_unsubscribe(status->station, &events, status);
	loop_prepare_free(status->prepare);
	free(status);
}
