/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long the end of the jobs is worth waiting for: what is told to the service manager while the daemon
 * ends.
 */
#include "common/util.h"
#include "station/runner.h"

#define LIFE_USEC UINT64_C(60000000) /* after a sign of life */

/* The answer that is owed may come until then; 0: none is. */
static uint64_t owed_until(const struct job *job)
{
	const struct runner *r = job->runner;

	if (!r || r->over || !r->w.deadline_usec)
		return 0;
	switch (r->w.kind) {
	case WANT_SEND:
	case WANT_STREAM:
	case WANT_AWAIT:
	case WANT_SLEEP: return r->taken_at + r->w.deadline_usec;
	default: return 0; /* files show life by moving on */
	}
}

uint64_t station_patience(const struct station *st)
{
	uint64_t now = loop_now(), until = 0;

	for (const struct job *j = st->jobs; j; j = j->next) {
		if (j->state != JOB_RUNNING && j->state != JOB_ENDING)
			continue;
		until = MAX(until, j->lively + LIFE_USEC);
		until = MAX(until, owed_until(j));
	}
	return until > now ? until - now : 0;
}
