/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/ending.h"

#include <signal.h>
#include <stdlib.h>

#include "common/journal.h"
#include "common/util.h"
#include "host/notify.h"
#include "loop/loop.h"
#include "station/station.h"

/* Asked again this often while jobs end ... */
#define EXTEND_EACH_USEC 2000000u
/* ... for this long each time, or as long as the jobs still deserve, if that is less. */
#define EXTEND_BY_USEC 30000000u

struct host_ending {
	struct loop *loop;
	struct station *station;
	struct loop_signal *term, *intr;
	struct loop_timer *extend;
	uint64_t each;
	unsigned int asked;
	bool stuck; /* nothing moves; said once */
};

/*
 * The manager's patience is renewed only for jobs that move or wait for an answer that may still come. For a
 * job that does neither, TimeoutStopSec runs out; its intent is on record, the next start reports it.
 */
static void on_extend(void *arg)
{
	struct host_ending *ending = arg;
	uint64_t patience = station_patience(ending->station);
	struct station_counts c;
	bool stuck;

	station_counts(ending->station, &c);
	stuck = c.running && !patience;
	if (patience)
		host_notify_extend(MIN(patience, (uint64_t)EXTEND_BY_USEC));
	else if (stuck && !ending->stuck)
		journal_line(
			LOG_WARNING,
			"stopping: the jobs that are left show no sign of life; no more time is asked for");
	ending->stuck = stuck;
	(void)loop_timer_after(ending->extend, ending->each);
}

static void on_signal(void *arg)
{
	struct host_ending *ending = arg;

	if (!ending->asked++) {
		journal_event(EVENT_SERVICE_STOPPING, NULL, 0,
			      "stopping: no new jobs, running ones go on to their end");
		host_notify_stopping();
		on_extend(ending);
	} else {
		journal_line(LOG_NOTICE, "stopping soon: running jobs are cancelled at their next boundary");
	}
	station_drain(ending->station, ending->asked > 1);
}

static void on_idle(void *user)
{
	struct host_ending *ending = user;

	/* a drain that was asked for on the bus does not end the service */
	if (ending->asked)
		loop_quit(ending->loop, 0);
}

static const struct station_events events = { .idle = on_idle };

struct host_ending *host_ending_new(struct loop *loop, struct station *station)
{
	struct host_ending *ending = calloc(1, sizeof(*ending));

	if (!ending)
		return NULL;
	ending->loop = loop;
	ending->station = station;
	ending->each = EXTEND_EACH_USEC;
	ending->term = loop_signal_new(loop, SIGTERM, on_signal, ending);
	ending->intr = loop_signal_new(loop, SIGINT, on_signal, ending);
	ending->extend = loop_timer_new(loop, on_extend, ending);
	if (!ending->term || !ending->intr || !ending->extend ||
	    station_subscribe(station, &events, ending) < 0) {
		host_ending_free(ending);
		return NULL;
	}
	return ending;
}

enum host_ending_state host_ending_state(const struct host_ending *ending)
{
	return !ending->asked	   ? ENDING_NOT
	       : ending->stuck	   ? ENDING_STUCK
	       : ending->asked > 1 ? ENDING_SOON
				   : ENDING_GENTLY;
}

void host_ending_hurry(struct host_ending *ending, uint64_t usec)
{
	ending->each = usec;
}

void host_ending_free(struct host_ending *ending)
{
	if (!ending)
		return;
	station_unsubscribe(ending->station, &events, ending);
	loop_signal_free(ending->term);
	loop_signal_free(ending->intr);
	loop_timer_free(ending->extend);
	free(ending);
}
