/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Armed slots: the phone that has passed here and is here again. One that starts anew within a moment is
 * known by the time alone (armed_same_phone()); one that starts, fails to, and comes back minutes later is
 * known only when it has told who it is, and then nothing of it has been changed yet.
 */
#include <inttypes.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/kv.h"

static bool is_the_one(const struct slot_arm *arm, const char *unit)
{
	return *arm->passed_unit && !strcmp(arm->passed_unit, unit);
}

static void forget(struct slot_arm *arm)
{
	*arm->passed_unit = '\0';
	arm->passed_at = arm->passed_job = 0;
}

/* By a clock that nobody sets if it left in this run of the service. */
static uint64_t away_for(const struct slot *slot)
{
	uint64_t at = slot->book.arm.passed_at, wall = station_wall();

	if (slot->passed_left)
		return loop_now() - slot->passed_left;
	/* a clock that was set back proves no absence */
	return wall > at ? wall - at : 0;
}

void armed_unit_arrived(struct device *d)
{
	d->arm.away = away_for(d->slot);
}

void armed_unit_gone(const struct device *d)
{
	struct slot *slot = d->slot;
	struct slot_arm *arm = &slot->book.arm;

	if (!is_the_one(arm, d->told.unit))
		return;
	slot->passed_left = loop_now();
	arm->passed_at = station_wall();
	slot_save(slot);
}

int armed_unit_met(const struct job *job, struct failure *why)
{
	const struct device *d = job->device;
	const struct slot_arm *arm = &job->slot->book.arm;

	/* whose job was cut off by the end of the service is in the middle of something, and was asked for */
	if (!d || d->arm.asked || d->arm.crashed ||
	    !armed_same_unit(arm->passed_unit, d->told.unit, d->arm.away, job->st->set.unit_away_usec))
		return 0;
	return failure_set(why, ERR_ALREADY_PASSED, "with job %" PRIu64 "; it was away for %" PRIu64 " s",
			   arm->passed_job, d->arm.away / 1000000);
}

void armed_unit_over(const struct job *job)
{
	const struct job_record *r = &job->record;
	struct slot *slot = job->slot;
	struct slot_arm *arm = &slot->book.arm;

	if (!strcmp(r->kind, "flash") && !strcmp(r->result, "succeeded")) {
		kv_copy(arm->passed_unit, sizeof(arm->passed_unit), r->unit);
		arm->passed_at = *r->unit ? station_wall() : 0;
		arm->passed_job = *r->unit ? job->number : 0;
		/* it may have left before its job had an end */
		slot->passed_left = job->device ? 0 : slot->left_at;
	} else if (strcmp(r->leaves, "unchanged") != 0 && (!*r->unit || is_the_one(arm, r->unit))) {
		/* what somebody has done to it since is no pass */
		forget(arm);
	} else {
		return;
	}
	slot_save(slot);
}

void armed_unit_interrupted(struct slot *slot, const struct job_record *r)
{
	struct slot_arm *arm = &slot->book.arm;

	if (!*arm->passed_unit || !strcmp(r->leaves, "unchanged") || (*r->unit && !is_the_one(arm, r->unit)))
		return;
	forget(arm);
	slot_save(slot);
}
