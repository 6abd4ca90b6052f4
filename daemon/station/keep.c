/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between two commands: a phone that a job has left in a loader stays there, so that the next job need not
 * load anything, until it is told to go, leaves, or nobody has wanted it for a while; then it is restarted.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"

void device_busy(struct device *d)
{
	d->kept_until = 0;
	if (!d->kept)
		return;
	d->kept = false;
	device_told(d);
}

void device_keep(struct device *d, struct image *image, struct device_facts *before)
{
	uint64_t idle = d->st->set.idle_usec, now = loop_now();

	if (image && image->pair) /* the rest of it was for one job */
		image = image->pair;
	if (image && image != d->kept_image) {
		image_hold(image);
		if (d->kept_image)
			image_release(d->kept_image);
		d->kept_image = image;
	}
	free(d->before);
	d->before = before;
	d->kept = true;
	d->kept_until = idle > STATION_FOREVER - now ? STATION_FOREVER : now + idle;
	d->kept_until_at = d->kept_until == STATION_FOREVER ? STATION_FOREVER : station_wall() + idle;
	device_told(d);
	station_poke(d->st);
}

static void released(void *user, struct job *job, const struct failure *why)
{
	(void)user;
	(void)job;
	(void)why; /* a phone that cannot be restarted stays as it is, and its job says so */
}

static bool wanted(const struct slot *slot)
{
	if (slot->job)
		return true;
	for (const struct job *j = slot->st->jobs; j; j = j->next)
		if (j->pinned && j->slot == slot && j->state <= JOB_QUEUED)
			return true;
	return false;
}

void device_expire(struct station *st, uint64_t now, uint64_t *next)
{
	for (struct device *d = st->devices; d; d = d->next) {
		struct job_request request = { .slot = d->slot,
					       .caller = { .uid = geteuid() },
					       .expect_device_given = true,
					       .expect_device = d->number,
					       .wait_given = true };

		if (!d->kept || !d->kept_until || d->kept_until == STATION_FOREVER)
			continue;
		if (now < d->kept_until) {
			*next = MIN(*next, d->kept_until);
			continue;
		}
		if (d->slot->errand)
			continue;  /* its end comes here again */
		d->kept_until = 0; /* once */
		if (!st->draining && !wanted(d->slot))
			(void)station_release(st, &request, false, released, NULL, NULL);
	}
}
