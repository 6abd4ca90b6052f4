/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/ending.h"

#include <signal.h>
#include <stdlib.h>

#include "common/journal.h"
#include "host/notify.h"
#include "loop/loop.h"
#include "station/station.h"

#define EXTEND_EACH_USEC 10000000u
#define EXTEND_BY_USEC	 60000000u

struct host_ending {
	struct loop *loop;
	struct station *station;
	struct loop_signal *term, *intr;
	struct loop_timer *extend;
	unsigned int asked;
};

static void on_extend(void *arg)
{
	struct host_ending *ending = arg;

	host_notify_extend(EXTEND_BY_USEC);
	(void)loop_timer_after(ending->extend, EXTEND_EACH_USEC);
}

static void on_signal(void *arg)
{
	struct host_ending *ending = arg;

	if (!ending->asked++) {
		journal_event(EVENT_SERVICE_STOPPING, NULL, 0,
			      "stopping: no new jobs, running ones end first");
		host_notify_stopping();
		on_extend(ending);
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
