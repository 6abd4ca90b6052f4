/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end on SIGTERM or SIGINT. First signal: no new jobs, queued and waiting ones are cancelled, running
 * ones go on to their end; the service manager is asked for time as long as they move (dbus-daemon-practice
 * 12). Second: running ones are cancelled at their next boundary. The loop is quit with 0 when nothing is
 * left.
 */
#ifndef FDLD_HOST_ENDING_H
#define FDLD_HOST_ENDING_H

#include <stdint.h>

struct loop;
struct station;
struct host_ending;

/* Takes the signals. NULL when memory is short. */
struct host_ending *host_ending_new(struct loop *loop, struct station *station);
enum host_ending_state {
	ENDING_NOT,
	ENDING_GENTLY, /* running jobs go on to their end */
	ENDING_SOON,   /* to their next boundary */
	ENDING_STUCK,  /* none of those that are left shows a sign of life: no time is asked for any more */
};
enum host_ending_state host_ending_state(const struct host_ending *ending);
/* How often time is asked for; for tests. */
void host_ending_hurry(struct host_ending *ending, uint64_t usec);
/* Before station_free(). NULL is fine. */
void host_ending_free(struct host_ending *ending);

#endif
