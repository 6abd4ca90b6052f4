/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From asking for an errand to the end of its job. */
#include "station/errand.h"

#include <errno.h>
#include <inttypes.h>

#include "common/util.h"
#include "station/kv.h"

static void leave_slot(struct errand *e)
{
	e->slot->errand = NULL;
	station_poke(e->slot->st);
}

int errand_ask(struct errand *e, struct slot *slot, const struct station_caller *caller, station_job_fn done,
	       void *user, struct failure *why)
{
	struct job_request request = { .slot = slot, .caller = *caller };
	struct job_wish wish = { .request = &request, .kind = e->kind->name, .errand = e };
	int r;

	e->slot = slot;
	if (slot->st->draining)
		r = failure_set(why, ERR_DRAINING, "%s", "");
	else if (slot->job || slot->errand)
		r = slot_busy(slot, why);
	else if (slot->kick)
		r = failure_set(why, ERR_SLOT_BUSY, "%s: its phone is being asked into download mode",
				slot->id);
	else
		r = job_ask(slot->st, &wish, done, user, why);
	if (r < 0)
		e->kind->drop(e);
	else
		slot->errand = e;
	return r;
}

void errand_lost(struct errand *e)
{
	leave_slot(e);
	e->kind->drop(e);
}

void errand_begin(struct job *job)
{
	struct errand *e = job->errand;
	struct slot *slot = job->slot;
	struct failure why = { 0 };

	e->job = job;
	job->state = JOB_RUNNING;
	job->record.started_at = station_wall();
	job->run_since = loop_now();
	job->device = slot->device && slot->device->present ? slot->device : slot->runs;
	job->at.boundary = e->kind->hasty ? BOUNDARY_NOW : BOUNDARY_BOUND;
	job->stage = e->kind->stage;
	job_announce(job);
	if (slot->st->draining) {
		failure_set(&why, ERR_CANCELLED, "the daemon is being stopped");
		errand_over(e, &why);
	} else if (e->kind->begin(e, &why) < 0) {
		errand_over(e, &why);
	} else {
		slot_told(slot);
	}
}

void errand_stage(struct errand *e, const char *stage, const char *why, uint64_t until)
{
	struct job *job = e->job;

	job->stage = stage;
	job->silent_since = until ? loop_now() : 0;
	job->silent_until = until;
	kv_copy(job->why, sizeof(job->why), why);
	job_told(job);
	job_moved(job);
}

void errand_over(struct errand *e, const struct failure *why)
{
	struct slot *slot = e->slot;
	struct job *job = e->job;
	struct failure own = { 0 };

	if (why)
		own = *why;
	if (why && !*own.stage && job->stage)
		kv_copy(own.stage, sizeof(own.stage), job->stage);
	job->errand = NULL;
	leave_slot(e);
	e->kind->drop(e);
	job_end_errand(job, why ? &own : NULL);
	slot_told(slot);
}

int errand_cancel(struct errand *e, const char *why_text, struct failure *why)
{
	struct job *job = e->job;

	if (!e->kind->stop)
		return failure_set(why, ERR_NOT_CANCELABLE,
				   "job %" PRIu64
				   ": what is done to a port is done in a moment, and not by halves",
				   job->number);
	job->cancelling = true;
	job_told(job);
	e->kind->stop(e, why_text);
	return 0;
}

bool errand_named(const char *kind)
{
	return !strcmp(kind, "kick") || !strcmp(kind, "port-reset") || !strcmp(kind, "port-power");
}

void errand_free(struct slot *slot)
{
	struct errand *e = slot->errand;

	slot->errand = NULL;
	if (e)
		e->kind->drop(e);
}
