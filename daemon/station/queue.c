/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who goes next: on each slot first come, first served; on the machine as many at once as the settings say
 * and its USB memory carries, the oldest job first. Idempotent: called whenever a phone, a job, memory or a
 * setting came, went or changed.
 */
#include <errno.h>
#include <stdio.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/internal.h"

/* The largest frame that goes out: everything escaped (bsl-protocol 2.4). */
#define FRAME_MAX (2u * (65536u + 6u) + 2u)

bool job_may_use(const struct job *job, const struct slot *slot)
{
	if (job->state != JOB_WAITING && job->state != JOB_QUEUED)
		return false;
	if (job->pinned)
		return job->slot == slot;
	if (job->slot)
		return false; /* bound already */
	/* "the next phone" is none that an earlier job has had in its hands */
	if (slot->device && slot->device->used)
		return false;
	for (uint32_t i = 0; i < job->place_count; i++)
		if (job->places[i] == slot)
			return true;
	return !job->place_count;
}

static void start(struct job *job)
{
	struct failure why = { 0 };

	job->granted = false;
	job->record.started_at = station_wall();
	job->run_since = job->step_since = loop_now();
	if (job->device)
		device_busy(job->device);
	job_state(job, JOB_RUNNING, "");
	if (runner_start(job, &why) < 0)
		job_end_failed(job, &why);
}

static void granted(void *user)
{
	struct job *job = user;

	job->granted = true;
	if (!job->st->held)
		start(job);
	else
		job_state(job, JOB_QUEUED, job->st->held);
}

static void bind(struct job *job, struct slot *slot)
{
	uint64_t need = job->plan->options.raw ? USB_PIPE_STREAM_MEMORY(USB_STREAM_DEPTH) : 0;
	struct failure why = { 0 };
	int r;

	need = MAX(need, USB_PIPE_MEMORY(FRAME_MAX));
	slot->job = job;
	job->slot = slot;
	job->device = slot->device;
	snprintf(job->record.slot, sizeof(job->record.slot), "%s", slot->id);
	armed_bound(job);
	r = usb_budget_ask(job->st->budget, need, granted, job, &job->claim);
	if (r > 0) {
		start(job);
	} else if (r == 0) {
		job_state(job, JOB_QUEUED, "usb-memory");
	} else {
		failure_set(&why, ERR_USB_NO_MEMORY, "%llu bytes are needed for one phone: %s",
			    (unsigned long long)need, strerror(-r));
		job_end_failed(job, &why);
	}
	slot_told(slot);
}

void queue_leave(struct job *job)
{
	struct slot *slot = job->slot;

	usb_budget_release(TAKE_PTR(job->claim));
	if (slot && slot->job == job) {
		slot->job = NULL;
		slot_told(slot);
	}
	station_poke(job->st);
}

/* Its phone left while it was waiting for memory: back to the start. */
static void unbind(struct job *job)
{
	struct slot *slot = job->slot;

	usb_budget_release(TAKE_PTR(job->claim));
	job->granted = false;
	slot->job = NULL;
	if (!job->pinned)
		job->slot = NULL;
	job_state(job, JOB_WAITING, "");
	slot_told(slot);
}

/* True: the job was ended. */
static bool expected_gone(struct job *job)
{
	const struct device *d = job->slot ? job->slot->device : NULL;
	struct failure why = { 0 };

	if (!job->expect_given || (d && d->number == job->expect))
		return false;
	failure_set(&why, ERR_DEVICE_CHANGED, "device %llu was expected in %s, %s",
		    (unsigned long long)job->expect, job->slot ? job->slot->id : "?",
		    d ? "another one is there" : "there is none");
	job_end_failed(job, &why);
	return true;
}

/* Why no job may begin on the whole machine, whatever phones there are; NULL: one may. */
static const char *full(const struct station *st)
{
	uint32_t busy = 0;

	if (st->held)
		return st->held;
	for (const struct slot *s = st->slots; s; s = s->next)
		busy += s->job != NULL;
	if (busy >= st->set.running_max)
		return "limit";
	return st->bound_at && loop_now() - st->bound_at < st->set.stagger_usec ? "stagger" : NULL;
}

/* Bytes of an ID_PATH that name the hub: all but the last number of the port chain. */
static size_t hub_len(const char *id)
{
	const char *dot = strrchr(id, '.'), *colon = strrchr(id, ':');

	return (size_t)((dot && dot > colon ? dot : colon ? colon : id) - id);
}

static bool hub_full(const struct slot *slot)
{
	size_t len = hub_len(slot->id);
	uint32_t busy = 0;

	for (const struct slot *s = slot->st->slots; s; s = s->next)
		busy += s->job && hub_len(s->id) == len && !strncmp(s->id, slot->id, len);
	return busy >= slot->st->set.hub_max;
}

uint64_t queue_again(const struct station *st)
{
	if (st->bound_at)
		for (const struct job *j = st->jobs; j; j = j->next)
			if (j->held_by && !strcmp(j->held_by, "stagger"))
				return st->bound_at + st->set.stagger_usec;
	return UINT64_MAX;
}

/* A phone that a job could be given. */
static bool free_phone(const struct slot *s)
{
	return !s->job && !s->errand && s->device && s->device->present && !s->device->spent;
}

static struct job *first_for(struct station *st, struct slot *slot)
{
	for (struct job *j = st->jobs; j; j = j->next)
		if (j->state == JOB_GATED && j->slot == slot)
			return NULL; /* its phone is spoken for */
	for (struct job *j = st->jobs; j; j = j->next)
		if (!j->held_by && job_may_use(j, slot))
			return j;
	return NULL;
}

/* Of the jobs that could begin now the oldest, and where; so that no slot with many jobs keeps others out. */
static struct slot *next_place(struct station *st, struct job **job)
{
	struct slot *place = NULL;

	for (struct slot *s = st->slots; s; s = s->next) {
		struct job *first = free_phone(s) ? first_for(st, s) : NULL;

		if (!first || (place && (*job)->number <= first->number) || hub_full(s))
			continue;
		place = s;
		*job = first;
	}
	return place;
}

/* Pinned jobs behind another one are queued, the first of them waits for a phone. */
static void name_state(struct job *job)
{
	const struct slot *slot = job->slot;
	bool behind = slot && slot->job;
	struct failure why = { 0 };

	if (slot && slot->job == job)
		return;
	for (struct job *j = job->st->jobs; slot && j != job && !behind; j = j->next)
		behind = j->pinned && j->slot == slot && j->state <= JOB_QUEUED;
	if (behind && !job->wait_usec) { /* another one was faster, and this one was not to wait */
		slot_busy(slot, &why);
		job_end_failed(job, &why);
	} else if (behind) {
		job_state(job, JOB_QUEUED, "slot");
	} else if (job->held_by) {
		job_state(job, JOB_QUEUED, job->held_by);
	} else {
		job_state(job, JOB_WAITING, slot && slot->device && slot->device->spent ? "phone" : "");
	}
}

void queue_run(struct station *st)
{
	struct job *next = NULL;
	const char *full_for;
	struct slot *place;

	/* jobs end in here, but none is freed before the loop's next turn */
	for (struct job *j = st->jobs; j; j = j->next) {
		j->held_by = NULL;
		if (j->state > JOB_QUEUED || expected_gone(j) || j->state == JOB_GATED)
			continue;
		if (j->slot && j->slot->job == j && !j->device)
			unbind(j);
		else if (j->granted && !st->held)
			start(j);
	}
	while (!full(st) && (place = next_place(st, &next))) {
		st->bound_at = loop_now();
		bind(next, place);
	}
	/* what could begin, were it not for its hub or the whole machine: one for each phone */
	full_for = full(st);
	for (struct slot *s = st->slots; s; s = s->next)
		if (free_phone(s) && (next = first_for(st, s)))
			next->held_by = full_for ? full_for : hub_full(s) ? "hub" : NULL;
	for (struct job *j = st->jobs; j; j = j->next)
		if (j->state == JOB_WAITING || j->state == JOB_QUEUED)
			name_state(j);
}
