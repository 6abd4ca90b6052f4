/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/renew.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/journal.h"
#include "loop/loop.h"
#include "station/station.h"

#define LOOK_EACH_USEC 1000000u
/*
 * so long has there to be nothing: who waited for the last job takes its result in that time, and a caller
 * who works off a list has asked for the next one
 */
#define QUIET_LOOKS 3u

struct host_renew {
	struct loop *loop;
	struct station *station;
	struct loop_signal *asked;
	struct loop_timer *look;
	unsigned int quiet;
	bool closing;
};

static void on_look(void *arg)
{
	struct host_renew *renew = arg;

	renew->quiet = station_busy(renew->station) ? 0 : renew->quiet + 1;
	if (renew->quiet < QUIET_LOOKS) {
		(void)loop_timer_after(renew->look, LOOK_EACH_USEC);
		return;
	}
	/* within this turn of the loop nobody can ask for anything: the door is closed on an empty house */
	renew->closing = true;
	station_drain(renew->station, false);
}

static void on_asked(void *arg)
{
	struct host_renew *renew = arg;

	if (host_renew_pending(renew))
		return;
	journal_event(EVENT_SERVICE_RENEWING, NULL, 0,
		      "a newer version is installed: it takes over when there is no job left");
	renew->quiet = 0;
	(void)loop_timer_after(renew->look, LOOK_EACH_USEC);
}

static void on_idle(void *user)
{
	struct host_renew *renew = user;

	if (renew->closing)
		loop_quit(renew->loop, HOST_RENEW_EXIT);
}

static const struct station_events events = { .idle = on_idle };

struct host_renew *host_renew_new(struct loop *loop, struct station *station)
{
	struct host_renew *renew = calloc(1, sizeof(*renew));

	if (!renew)
		return NULL;
	renew->loop = loop;
	renew->station = station;
	renew->asked = loop_signal_new(loop, SIGUSR1, on_asked, renew);
	renew->look = loop_timer_new(loop, on_look, renew);
	if (!renew->asked || !renew->look || station_subscribe(station, &events, renew) < 0) {
		host_renew_free(renew);
		return NULL;
	}
	return renew;
}

bool host_renew_pending(const struct host_renew *renew)
{
	return loop_timer_armed(renew->look) || renew->closing;
}

void host_renew_free(struct host_renew *renew)
{
	if (!renew)
		return;
	station_unsubscribe(renew->station, &events, renew);
	loop_signal_free(renew->asked);
	loop_timer_free(renew->look);
	free(renew);
}
